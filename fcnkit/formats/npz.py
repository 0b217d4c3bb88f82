"""Where things stand in an .npz of weights: the array <layer>/<number> is one blob; and how one is written.

An .npz is a zip file of .npy arrays.  Only arrays that are stored as they are
are taken, in C order and of plain floating-point numbers: nothing is
unpacked, and nothing is unpickled.
"""

import math
import zipfile
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO, NamedTuple

from fcnkit.errors import WeightsError

MAGIC = b"PK\x03\x04"
AGAIN = "the file is damaged or cut short, get it again"
_SAVEZ = "write it with numpy.savez"
_TYPES = {"<f2": "float16", "<f4": "float32", "<f8": "float64"}
_LOCAL_HEADER = 30
_LARGEST_COUNT = 2**31 - 1


class Array(NamedTuple):
    """One blob: its layer and number, its shape and type, and the place [start, stop) of its values."""

    layer: str
    number: int
    shape: tuple[int, ...]
    dtype: str
    start: int
    stop: int


def scan(file: BinaryIO, path: str) -> tuple[Array, ...]:
    """Every array of an .npz in the order of the file; no value is read.

    Raises WeightsError for anything else than arrays <layer>/<number>, stored
    as they are.
    """
    try:
        with zipfile.ZipFile(file) as whole:
            entries = whole.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise WeightsError(f"{path}: byte 0: expected an .npz, found that {error}; {AGAIN}") from None
    size = file.seek(0, 2)
    arrays = tuple(_array(file, path, entry, size) for entry in entries)
    _check_apart(path, arrays)
    return arrays


def _array(file: BinaryIO, path: str, entry: zipfile.ZipInfo, size: int) -> Array:
    layer, _, number = entry.filename.removesuffix(".npy").rpartition("/")
    place = f'{path}: array "{entry.filename}", byte {entry.header_offset}'
    if not layer or not (number.isascii() and number.isdecimal() and len(number) < 6):
        fact = "expected weights, arrays named <layer>/<blob number>, as in conv1/0; found another name"
        raise WeightsError(f"{place}: {fact}")
    if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
        raise WeightsError(f"{place}: expected an array stored as it is, found it compressed; {_SAVEZ}")
    try:
        shape, dtype, start = _header(file, entry)
    except (ValueError, OSError, EOFError, SyntaxError, TypeError, OverflowError) as error:
        raise WeightsError(f"{place}: expected an array's header, found that {error}; {AGAIN}") from None
    if dtype not in _TYPES:
        raise WeightsError(
            f"{place}: expected floating-point values, found {dtype}; {_SAVEZ} of float32 arrays"
        )
    length = math.prod(shape) * int(dtype[2:])
    stop = start + length
    if min(shape, default=0) < 0 or math.prod(shape) > _LARGEST_COUNT or stop > size:
        fact = f"expected {length} bytes of values for its shape, and the file ends at byte {size}; {AGAIN}"
        raise WeightsError(f"{place}: {fact}")
    return Array(layer, int(number), shape, _TYPES[dtype], start, stop)


def _check_apart(path: str, arrays: Sequence[Array]) -> None:
    """Raises WeightsError where two arrays overlap, or are of one name."""
    blobs = sorted((array for array in arrays if array.stop > array.start), key=lambda array: array.start)
    for one, other in zip(blobs, blobs[1:], strict=False):
        if other.start < one.stop:
            fact = f"expected values of its own, found those of {one.layer}/{one.number}; {AGAIN}"
            raise WeightsError(f'{path}: array "{other.layer}/{other.number}", byte {other.start}: {fact}')
    if len({array[:2] for array in arrays}) < len(arrays):
        raise WeightsError(f"{path}: byte 0: expected each array once, found one twice; {AGAIN}")


def _header(file: BinaryIO, entry: zipfile.ZipInfo) -> tuple[tuple[int, ...], str, int]:
    """Shape, type and place of the values of one array."""
    from numpy.lib import format as npy

    file.seek(entry.header_offset)
    local = file.read(_LOCAL_HEADER)
    if len(local) < _LOCAL_HEADER or local[:4] != MAGIC:
        raise ValueError("no file begins where the zip says")
    names = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
    begin = file.seek(names, 1)
    version = npy.read_magic(file)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"its version is {version}")
    shape, fortran, dtype = read(file)
    if fortran and sum(dim != 1 for dim in shape) > 1:
        raise ValueError("it is in Fortran's order; write numpy.ascontiguousarray of it")
    start = file.tell()
    if start - begin + math.prod(shape) * dtype.itemsize != entry.file_size:
        raise ValueError(f"its shape and its {entry.file_size} bytes do not agree")
    return tuple(shape), dtype.str, start


def write(
    file: BinaryIO, arrays: Iterable[tuple[str, Sequence[int], str, Iterable[Any]]]
) -> None:
    """The file is an .npz of these arrays: (name, shape, dtype, pieces of little-endian bytes)."""
    from numpy.lib import format as npy

    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as whole:
        for name, shape, dtype, pieces in arrays:
            descr = next(code for code, known in _TYPES.items() if known == dtype)
            with whole.open(f"{name}.npy", "w", force_zip64=True) as entry:
                npy.write_array_header_1_0(
                    entry, {"descr": descr, "fortran_order": False, "shape": tuple(shape)}
                )
                for piece in pieces:
                    entry.write(piece)
