"""Writes the files of tests/attacks that were made by hand: python tests/make_attacks.py.

Each is a small weights file with one thing wrong; its name says what.  Beside
them stand those that the fuzzer found, named found-*.
"""

import io
import pickle
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from small_files import hdf5, npz  # noqa: E402
from small_models import (
    V1,
    V2,
    WEIGHTS,
    dims,
    floats,
    message,
    modern_blob,
    number,
    old_blob,
    whole,
)  # noqa: E402

FOLDER = Path(__file__).with_name("attacks")
ONE = {"fc": [np.arange(6, dtype="<f4").reshape(2, 3)]}


def h5(build: Callable[[h5py.Group], object], name: str = "data/fc", **options) -> bytes:
    """A .caffemodel.h5 in whose group data/fc `build` puts something."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", **options) as file:
        build(file.require_group(name))
    return buffer.getvalue()


def stored(value, **options) -> Callable:
    return lambda group: group.create_dataset("0", data=value, **options)


def patched(data: bytes, old: bytes, new: bytes) -> bytes:
    """The first `old` is `new`, which is as long."""
    assert old in data and len(old) == len(new)
    return data.replace(old, new, 1)


def own_type(bias: int) -> Callable:
    """Floats of 4 bytes that numpy calls float32, with another bias:
    the bits do not say the values.
    """

    def build(group):
        kind = h5py.h5t.IEEE_F32LE.copy()
        kind.set_ebias(bias)
        space = h5py.h5s.create_simple((2,))
        h5py.h5d.create(group.id, b"0", kind, space).write(
            h5py.h5s.ALL, h5py.h5s.ALL, np.ones(2, "<f4")
        )

    return build


def low_level(shape, *, external: bool = False, maximal=None) -> Callable:
    """A dataset for which nothing is allocated, or that says its values are in another file."""

    def build(group):
        how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        if external:
            how.set_external(b"/etc/hostname", 0, 4)
        space = (
            h5py.h5s.create_simple(shape) if shape is not None else h5py.h5s.create(h5py.h5s.NULL)
        )
        h5py.h5d.create(group.id, b"0", h5py.h5t.IEEE_F32LE, space, how)

    return build


def virtual(group) -> None:
    layout = h5py.VirtualLayout((2,), "<f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "0", (2,))
    group.create_virtual_dataset("0", layout)


def linked(name: str, link) -> Callable:
    def build(group):
        group[name] = link

    return build


def data_is_a_dataset(group) -> None:
    group.file["data"] = [1.0]


def in_itself(group) -> None:
    group["fc"] = group


def twice(group) -> None:
    stored([1.0, 2.0])(group)
    group.file["data/other/0"] = group["0"]


def one_group_two_names(group) -> None:
    stored([1.0])(group)
    group.file["data/other"] = group


def filter_bomb(group) -> None:
    """16 MB of zeros in as many KB."""
    group.create_dataset("0", (1 << 22,), "<f4", chunks=(1 << 22,), compression="gzip")
    group["0"].id.write_direct_chunk((0,), zlib.compress(bytes(1 << 24), 9))


def zipped(*entries: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as whole_:
        for name, content in entries:
            whole_.writestr(zipfile.ZipInfo(name), content, method)
    return buffer.getvalue()


def npy(
    shape: str, values: bytes, descr: str = "<f4", order: str = "False", version: bytes = b"\1\0"
) -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return (
        b"\x93NUMPY"
        + version
        + struct.pack("<H" if version == b"\1\0" else "<I", len(text))
        + text
        + values
    )


def array(*given, **options) -> bytes:
    return zipped(("fc/0.npy", npy(*given, **options)))


def pickled() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], object), allow_pickle=True)
    return zipped(("fc/0.npy", buffer.getvalue()))


def encrypted() -> bytes:
    """The flag alone, in the directory."""
    at = NPZ.index(b"PK\1\2") + 8
    return NPZ[:at] + b"\1" + NPZ[at + 1 :]


def overlapping() -> bytes:
    """Two entries of the directory that are one and the same."""
    data = zipped(("fc/0.npy", npy("(2,)", floats(1, 2))), ("fc/1.npy", npy("(2,)", floats(3, 4))))
    second = data.index(b"PK\3\4", 1)
    return data[:-22].replace(struct.pack("<I", second) + b"fc/1", bytes(4) + b"fc/1") + data[-22:]


def nested_groups(depth: int) -> bytes:
    return h5(stored([1.0]), "data/" + "/".join("a" * depth))


def v2(blob: bytes) -> bytes:
    return message(100, message(1, b"fc"), message(7, blob))


def history(blob: bytes) -> bytes:
    return whole(1, 3) + message(2, b"x") + message(3, blob)


NPZ = npz(ONE)
LIES = b"\x2a\xff\xff\xff\xff\x07"  # `data` of 2 GB
SIX = message(5, floats(*WEIGHTS))

ATTACKS: dict[str, tuple[Callable[[], bytes], str]] = {
    "v2-length-beyond-the-file": (lambda: v2(LIES), 'layer "fc", blob 0, byte .* need byte'),
    "v2-negative-dimension": (
        lambda: v2(dims(-2, -3) + SIX),
        'layer "fc", blob 0, byte .* found -2',
    ),
    "v2-dimensions-that-overflow": (lambda: v2(dims(2**62, 4, 6) + SIX), "dimension from 0"),
    "v2-product-that-overflows": (
        lambda: v2(dims(65536, 65536, 65536, 65536) + SIX),
        "expected 18,446,744",
    ),
    "v2-product-unlike-the-data": (lambda: v2(dims(2, 4) + SIX), "expected 8 values .* found 6"),
    "v2-a-layer-twice": (lambda: v2(modern_blob((1,), [5])) + V2, ""),
    "v2-wire-type-6": (lambda: number(50 * 8 + 6) + V2, "unknown kind"),
    "v2-a-group-that-never-ends": (lambda: V2 + number(50 * 8 + 3), "a group"),
    "v2-empty-doubles-before-floats": (lambda: v2(message(8) + SIX + dims(2, 3)), ""),
    "v2-damaged-shape-beside-a-legacy-one": (
        lambda: v2(old_blob((1, 1, 2, 3), WEIGHTS) + message(7, b"\x08")),
        "whole number",
    ),
    "v2-tag-of-six-bytes": (lambda: V2 + b"\x8a\x80\x80\x80\x80\x00\x00", "tag of at most 5"),
    "v2-length-of-six-bytes": (lambda: V2 + b"\x0a\x80\x80\x80\x80\x80\x00", "length of at most 5"),
    "v2-signalling-nan": (lambda: v2(dims(1) + message(5, b"\1\0\x80\x7f")), ""),
    "v1-and-v2": (lambda: V1 + V2, "both"),
    "solverstate-length-beyond-the-file": (lambda: history(LIES), "blob 0, byte .* need byte"),
    "solverstate-negative-dimension": (lambda: history(dims(-1) + SIX), "blob 0, byte .* found -1"),
    "solverstate-name-of-a-megabyte": (
        lambda: whole(1, 3) + message(2, bytes(5000)),
        "name of a file",
    ),
    "h5-soft-link": (lambda: h5(linked("0", h5py.SoftLink("/data/x"))), 'layer "fc".* soft link'),
    "h5-soft-link-to-a-layer": (lambda: h5(linked("x", h5py.SoftLink("/data"))), "soft link"),
    "h5-external-link": (
        lambda: h5(linked("0", h5py.ExternalLink("/etc/passwd", "x"))),
        "another file",
    ),
    "h5-data-is-a-soft-link": (lambda: h5(linked("/data", h5py.SoftLink("/x")), "x"), "soft link"),
    "h5-data-is-a-dataset": (lambda: h5(data_is_a_dataset, "x"), "expected an HDF5 file"),
    "h5-no-data": (lambda: h5(stored([1.0]), "history"), "the group data, found 'history'"),
    "h5-external-storage": (lambda: h5(low_level((1,), external=True)), "blob 0, byte .* external"),
    "h5-virtual-storage": (lambda: h5(virtual), "virtual"),
    "h5-chunked": (lambda: hdf5(ONE, chunks=(1, 3)), "chunked"),
    "h5-compressed": (lambda: hdf5(ONE, compression="gzip"), "compressed"),
    "h5-checksummed": (lambda: hdf5(ONE, fletcher32=True), "compressed"),
    "h5-filter-bomb": (lambda: h5(filter_bomb), "compressed"),
    "h5-group-in-itself": (lambda: h5(in_itself), "in itself"),
    "h5-group-of-two-names": (lambda: h5(one_group_two_names), "in one place"),
    "h5-dataset-of-two-names": (lambda: h5(twice), "those of layer"),
    "h5-groups-40-deep": (lambda: nested_groups(40), "in itself"),
    "h5-user-block": (lambda: h5(stored([1.0]), userblock_size=512), ""),
    "h5-big-endian": (lambda: h5(stored(np.ones(2, ">f4"))), "blob 0, byte .* found >f4"),
    "h5-integers": (lambda: h5(stored(np.ones(2, "<i4"))), "found int32"),
    "h5-strings": (lambda: h5(stored("pickle")), "found object"),
    "h5-compound": (lambda: h5(stored(np.zeros(1, "<f4,<f4"))), "found "),
    "h5-floats-of-another-bias": (lambda: h5(own_type(126)), "floating-point"),
    "h5-no-dataspace": (lambda: h5(low_level(None)), "null dataspace"),
    "h5-huge-shape-without-values": (lambda: h5(low_level((1 << 20, 1 << 20))), "found 0 bytes"),
    "h5-named-type": (lambda: h5(linked("0", np.dtype("<f4"))), "to be a type"),
    "h5-blob-1-without-0": (
        lambda: h5(lambda group: group.create_dataset("1", data=[1.0])),
        "shares",
    ),
    "h5-blob-00": (
        lambda: h5(lambda group: group.create_dataset("00", data=[1.0])),
        "from 0 on, found '00'",
    ),
    "h5-name-with-a-slash": (
        lambda: patched(h5(stored([1.0]), "data/a_b"), b"a_b\0", b"a/b\0"),
        "plain names, found 'a/b'",
    ),
    "npz-pickled": (pickled, 'array "fc/0.npy", byte'),
    "npz-pickle-without-numpy": (lambda: zipped(("fc/0.npy", pickle.dumps({"a": 1}))), "header"),
    "npz-zip-bomb": (
        lambda: zipped(
            ("fc/0.npy", npy("(1048576,)", bytes(1 << 22))), method=zipfile.ZIP_DEFLATED
        ),
        "compressed",
    ),
    "npz-entries-overlap": (overlapping, ""),
    "npz-same-array-twice": (
        lambda: zipped(("fc/0.npy", npy("(1,)", floats(1))), ("fc/0", npy("(1,)", floats(2)))),
        "one twice",
    ),
    "npz-shape-beyond-the-file": (
        lambda: array("(1099511627776,)", floats(1)),
        "expected 439804651",
    ),
    "npz-product-that-overflows": (
        lambda: array("(4294967296, 4294967296)", floats(1)),
        "bytes of values",
    ),
    "npz-negative-shape": (lambda: array("(-1, -1)", floats(1)), "not what numpy writes"),
    "npz-shape-that-is-no-tuple": (lambda: array("(1)", floats(1)), "not what numpy writes"),
    "npz-shape-of-a-thousand-axes": (
        lambda: array("(" + "1," * 1000 + ")", floats(1)),
        "bytes of values",
    ),
    "npz-header-that-is-code": (
        lambda: array("(" * 3000 + ")" * 3000, floats(1)),
        "not what numpy writes",
    ),
    "npz-header-of-4-gigabytes": (
        lambda: zipped(("fc/0.npy", b"\x93NUMPY\2\0" + b"\xff" * 4)),
        "version 1",
    ),
    "npz-fortran-order": (
        lambda: array("(2, 3)", floats(*WEIGHTS), order="True"),
        "Fortran's order",
    ),
    "npz-big-endian": (lambda: array("(1,)", floats(1), descr=">f4"), "found >f4"),
    "npz-integers": (lambda: array("(1,)", floats(1), descr="<i4"), "found <i4"),
    "npz-wrong-checksum": (lambda: patched(NPZ, floats(1, 2, 3), floats(1, 9, 3)), "checksum"),
    "npz-names-that-differ": (lambda: patched(NPZ, b"fc/0", b"fd/0"), "header"),
    "npz-encrypted": (encrypted, "compressed"),
    "npz-other-names": (lambda: zipped(("arr_0.npy", npy("(1,)", floats(1)))), "another name"),
    "npz-blob-1-without-0": (
        lambda: zipped(("fc/1.npy", npy("(1,)", floats(1)))),
        "from 0 on, found 1",
    ),
    "npz-directory-of-4-gigabytes": (
        lambda: NPZ[:-10] + b"\xff" * 4 + NPZ[-6:],
        "expected an .npz",
    ),
    "npz-directory-elsewhere": (lambda: NPZ[:-6] + b"\xff" * 4 + NPZ[-2:], ""),
}
"""The hand-made files: how each is made, and words of the refusal;
"" where only safety is expected.
"""


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, (make, _) in ATTACKS.items():
        (FOLDER / name).write_bytes(make())
    print(
        f"{len(ATTACKS)} files, {sum(each.stat().st_size for each in FOLDER.iterdir())} bytes in "
        f"all"
    )


if __name__ == "__main__":
    main()
