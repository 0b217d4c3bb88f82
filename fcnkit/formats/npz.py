"""Finds every array <layer>/<number> of an .npz by its place in the file, and writes such files.

An .npz is a zip file of .npy arrays.  Only uncompressed arrays in C order, of
plain floating-point numbers, are accepted.  Nothing is unpacked or unpickled.

zipfile reads the zip.  numpy.load is not used: it reads all values of an array
to tell its shape, and does not say where they stand; `npy` says what else.
"""

import math
import re
import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from fcnkit.errors import WeightsError, printable
from fcnkit.files import Writer
from fcnkit.foreign import refusing
from fcnkit.formats import npy
from fcnkit.shape import Shape

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo

MAGIC = b"PK\x03\x04"
AGAIN = "the file is damaged or cut short, get it again"
_SAVEZ = "write it with numpy.savez"
_TYPES = {"<f2": "float16", "<f4": "float32", "<f8": "float64"}
_LOCAL_HEADER = 30
_STORED = 0
_LARGEST_COUNT = 2**31 - 1
_MOST_AXES = 32
_LARGEST_NAME = 60_000


class Array(NamedTuple):
    """One blob: its layer and number, its shape and type,
    and the place [start, stop) of its values.

    `crc` is the zip's checksum of all of the array, `begun` that of its header:
    `zlib.crc32(values, begun) == crc`.
    """

    layer: str
    number: int
    shape: Shape
    dtype: str
    start: int
    stop: int
    begun: int
    crc: int


def scan(file: BinaryIO, path: str) -> tuple[Array, ...]:
    """Every array of an .npz in the order of the file; no value is read.

    Raises WeightsError for anything else than arrays <layer>/<number>, stored
    as they are.
    """
    from zipfile import ZipFile

    place = f"{path}: byte 0: expected an .npz, found that"
    with (
        refusing(lambda reason: WeightsError(f"{place} {reason}; {AGAIN}")),
        ZipFile(file) as whole,
    ):
        arrays = tuple(_array(whole, file, path, entry) for entry in whole.infolist())
    _check_no_overlap(path, arrays)
    return arrays


def _array(whole: "ZipFile", file: BinaryIO, path: str, entry: "ZipInfo") -> Array:
    if entry.header_offset < 0:
        raise ValueError("an array begins before the file does")
    layer, _, number = entry.filename.removesuffix(".npy").rpartition("/")
    place = f'{path}: array "{printable(entry.filename)}", byte {entry.header_offset}'
    if not layer or not re.fullmatch("0|[1-9][0-9]{0,4}", number):
        fact = (
            "expected weights, arrays named <layer>/<blob number>, as in conv1/0; found "
            "another name"
        )
        raise WeightsError(f"{place}: {fact}")
    if entry.compress_type != _STORED or entry.flag_bits & 1:
        raise WeightsError(
            f"{place}: expected an array stored as it is, found it compressed; {_SAVEZ}"
        )
    expected = f"{place}: expected an array's header, found that"
    with refusing(lambda reason: WeightsError(f"{expected} {reason}; {AGAIN}")):
        begin = _begin(whole, file, entry)
        shape, descr, header, turned = _header(file, begin)
    if turned:
        fact = "expected an array row by row, found it in Fortran's order"
        raise WeightsError(f"{place}: {fact}; {_SAVEZ} of numpy.ascontiguousarray of it")
    if descr not in _TYPES:
        fact = f"expected floating-point values, found {descr}; {_SAVEZ} of float32 arrays"
        raise WeightsError(f"{place}: {fact}")
    count, length = math.prod(shape), math.prod(shape) * int(descr[2:])
    start = begin + len(header)
    sizes = {entry.file_size, entry.compress_size, len(header) + length}
    if len(sizes) > 1 or count > _LARGEST_COUNT or len(shape) > _MOST_AXES:
        fact = (
            f"expected {length} bytes of values for its shape, found "
            f"{entry.file_size - len(header)}"
        )
        raise WeightsError(f"{place}: {fact}; {AGAIN}")
    if start + length > file.seek(0, 2):
        raise WeightsError(
            f"{place}: expected values up to byte {start + length}, found the end; {AGAIN}"
        )
    crc = zlib.crc32(header)
    return Array(layer, int(number), shape, _TYPES[descr], start, start + length, crc, entry.CRC)


def _check_no_overlap(path: str, arrays: Sequence[Array]) -> None:
    """Raises WeightsError where two arrays overlap, or are of one name."""
    blobs = sorted(
        (array for array in arrays if array.stop > array.start), key=lambda array: array.start
    )
    for one, other in zip(blobs, blobs[1:], strict=False):
        if other.start < one.stop:
            fact = (
                f"expected values of its own, found those of {printable(one.layer)}/{one.number}; "
                f"{AGAIN}"
            )
            place = f'array "{printable(other.layer)}/{other.number}", byte {other.start}'
            raise WeightsError(f"{path}: {place}: {fact}")
    if len({array[:2] for array in arrays}) < len(arrays):
        raise WeightsError(f"{path}: byte 0: expected each array once, found one twice; {AGAIN}")


def _begin(whole: "ZipFile", file: BinaryIO, entry: "ZipInfo") -> int:
    """Where the bytes of an entry begin;
    raises as zipfile does where the entry is not as it is listed.
    """
    whole.open(entry).close()
    file.seek(entry.header_offset + _LOCAL_HEADER - 4)
    name, extra = struct.unpack("<HH", file.read(4))
    return entry.header_offset + _LOCAL_HEADER + name + extra


def _header(file: BinaryIO, begin: int) -> tuple[Shape, str, bytes, bool]:
    """Shape and type of the array at `begin`, all that stands before its values,
    and whether these are column by column.
    """
    file.seek(begin)
    found = npy.header(file)
    turned = found.fortran and sum(dim != 1 for dim in found.shape) > 1
    return found.shape, found.code, found.text, turned


def write(file: Writer, arrays: Iterable[tuple[str, Sequence[int], str, Iterable[Any]]]) -> None:
    """The file is an .npz of these arrays: (name, shape, dtype, pieces of little-endian bytes)."""
    from zipfile import ZipFile, ZipInfo

    # Writing in order is all that zipfile needs.
    with ZipFile(cast("BinaryIO", file), "w") as whole:
        for name, shape, dtype, pieces in arrays:
            _check_name(name)
            # An entry of a fixed date: the same arrays give the same bytes.
            with whole.open(ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                entry.write(_header_of(shape, dtype))
                for piece in pieces:
                    entry.write(piece)


def _check_name(name: str) -> None:
    """Raises WeightsError for a name that an entry of a zip cannot have:
    UTF-8 of less than 64 KB.
    """
    layer = name.rpartition("/")[0]
    try:
        fits = len(name.encode()) < _LARGEST_NAME and layer and "\0" not in layer
    except UnicodeEncodeError:
        fits = False
    if not fits:
        fact = "its name cannot be that of an array in an .npz; rename it first"
        raise WeightsError(f'layer "{printable(layer)}": {fact}')


def _header_of(shape: Sequence[int], dtype: str) -> bytes:
    """What stands before the values of an array;
    they begin at a multiple of 64 bytes, as numpy has it.

    https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
    """
    descr = next(code for code, known in _TYPES.items() if known == dtype)
    dims = "".join(f"{dim}, " for dim in shape) if len(shape) != 1 else f"{shape[0]},"
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': ({dims.removesuffix(', ')}), }}"
    text += " " * (-(10 + len(text) + 1) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()
