"""Says what a file is by its content, where it is not what it should be.

Every reader asks here: of a net, weights, a mean, an image, a database.
"""

import os
import re
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from fcnkit.formats.wire import LENGTH, VARINT, Buffer, Damage, fields, read_varint

ENOUGH = 4096
"""So many bytes of a file's beginning tell what it is."""


class Wanted(NamedTuple):
    """What a reader takes: `kind` in messages, `these` kinds of file, and what to do otherwise."""

    kind: str
    these: tuple[str, ...]
    remedy: str


class Found(NamedTuple):
    """What a file is, and what helps whatever was wanted, where something does."""

    kind: str
    remedy: str = ""


_CAFFEMODEL = "a caffemodel, which holds weights and no net"
_HDF5, _NPZ = "an HDF5 file, such as a .caffemodel.h5", "an .npz of arrays"
_STATE = "a solver's state"
_MEAN = "a mean image (.binaryproto)"
_ARRAY = "a numpy array"
_IMAGE = "an image"
_NET, _SOLVER, _PLAIN = "a prototxt", "a solver's prototxt", "text"
_EMPTY = "an empty file"
_DATABASE = "an LMDB"

NET = Wanted("a prototxt", (_NET, _SOLVER, _PLAIN, _EMPTY), "name the .prototxt of the net")
WEIGHTS = Wanted(
    "a caffemodel", (_CAFFEMODEL, _HDF5, _NPZ, _STATE), "give the .caffemodel of the net"
)
MEAN = Wanted("a binaryproto", (_MEAN,), "name a .binaryproto")
PICTURE = Wanted("an image", (_IMAGE,), "name a PNG or a JPEG")
DATABASE = Wanted("an LMDB", (_DATABASE,), "name a folder that holds data.mdb")
MODEL = Wanted("an ONNX model", ("an ONNX model",), "name the .onnx file")
TEXT = Wanted("a text file", (_PLAIN,), "name a text file")

_FROM_ELSEWHERE = (
    "save its arrays with numpy.savez, named <layer>/<number> as in conv1/0, and give that .npz"
)


def check(wanted: Wanted, head: Buffer, path: str, error: Callable[[str], Exception]) -> None:
    """A file that begins so is not known to be anything but what is wanted; raises the error."""
    fact = refusal(wanted, head)
    if fact:
        raise error(f"{path}: byte 0: {fact}")


def other(wanted: Wanted, head: Buffer) -> Found | None:
    """What a file that begins so is, where it is known not to be what is wanted."""
    found = _found(head)
    return None if found is None or found.kind in wanted.these else found


def refusal(wanted: Wanted, head: Buffer) -> str:
    """What is to be said of a file that begins so where it is known not to be what is wanted.

    "expected a caffemodel, found an HTML page; download the file itself, ...";
    "" for what is wanted, and for what is not known.
    """
    found = other(wanted, head)
    if not found:
        return ""
    remedy = found.remedy or wanted.remedy
    if wanted is WEIGHTS and found.kind in _FRAMEWORKS:
        remedy = _FROM_ELSEWHERE
    return f"expected {wanted.kind}, found {found.kind}; {remedy}"


def refusal_at(wanted: Wanted, path: str | os.PathLike[str]) -> str:
    """As `refusal`, of the file or folder at `path`; "" too where that cannot be read.

    Nothing else is opened: a pipe would wait for who writes into it.
    """
    try:
        if os.path.isdir(path):
            return _folder(wanted, path)
        if not os.path.isfile(path):
            return ""
        with open(path, "rb") as file:
            return refusal(wanted, file.read(ENOUGH))
    except (OSError, ValueError):  # ValueError for a name with a zero byte
        return ""


def _folder(wanted: Wanted, path: str | os.PathLike[str]) -> str:
    holds = os.path.join(path, "data.mdb")
    kind = _DATABASE if os.path.exists(holds) else "a folder"
    deploy = os.path.join(path, "deploy.prototxt")
    remedy = f"try {deploy}" if wanted is NET and os.path.isfile(deploy) else wanted.remedy
    return "" if kind in wanted.these else f"expected {wanted.kind}, found {kind}; {remedy}"


def is_text(head: bytes) -> bool:
    """Whether a file that begins so has no control characters there."""
    return not any(byte < 32 and byte not in b"\t\n\f\r" for byte in head)


def is_weights(head: bytes) -> bool:
    """Whether a file that begins so is no text, and so weights if anything that fcnkit reads."""
    found = _found(head)
    return found is None and b"\0" in head or found is not None and found.kind in WEIGHTS.these


def is_solver(names: Collection[str]) -> bool:
    """Whether a text whose fields have these names is a solver and no net."""
    return not {"layer", "layers"} & {*names} and bool(_OF_SOLVERS & {*names})


_OF_SOLVERS = {
    *("base_lr", "lr_policy", "max_iter", "net", "net_param", "train_net", "train_net_param")
}


def _found(head: Buffer) -> Found | None:
    begin = bytes(head[:ENOUGH])
    for start, found in _STARTS:
        if begin.startswith(start):
            return found
    for place, magic, found in _WITHIN:
        if begin[place : place + len(magic)] == magic:
            return found
    if begin.startswith(b"PK\3\4"):
        return _zip(begin)
    return _text(begin) if is_text(begin[:512]) else _message(head)


_PICKLE = Found("a Python pickle, such as PyTorch's older .pth")
_TORCH, _ONNX = Found("a PyTorch .pth"), Found("an ONNX model")
_SAFETENSORS, _TFLITE = Found("a safetensors file"), Found("a TensorFlow Lite model")
_TENSORFLOW, _KERAS = Found("a TensorFlow model"), Found("a Keras model")
_FRAMEWORKS = {
    each.kind for each in (_PICKLE, _TORCH, _ONNX, _SAFETENSORS, _TFLITE, _TENSORFLOW, _KERAS)
}

_STARTS = (
    (
        b"PK\5\6",
        Found("a zip archive, or an .npz, with nothing in it", "save it again with what it lacks"),
    ),
    (b"\x1f\x8b", Found("a gzip archive", "unpack it first (gunzip)")),
    (b"BZh", Found("a bzip2 archive", "unpack it first (bunzip2)")),
    (b"\xfd7zXZ\0", Found("an xz archive", "unpack it first (unxz)")),
    (b"7z\xbc\xaf\x27\x1c", Found("a 7z archive", "unpack it first (7z x)")),
    (b"Rar!", Found("a RAR archive", "unpack it first (unrar x)")),
    (b"\x28\xb5\x2f\xfd", Found("a zstd archive", "unpack it first (unzstd)")),
    (b"\x93NUMPY", Found(_ARRAY)),
    (b"\x89HDF\r\n\x1a\n", Found(_HDF5)),
    *((b"\x80" + bytes([version]), _PICKLE) for version in (2, 3, 4, 5)),
    *((start, Found(_IMAGE)) for start in (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0")),
    (b"MM\0*", Found(_IMAGE)),
    (b"%PDF", Found("a PDF document")),
    (b"%!PS", Found("a PostScript file")),
    (b"\xff\xfe", Found("text in UTF-16", "save it as UTF-8")),
    (b"\xfe\xff", Found("text in UTF-16", "save it as UTF-8")),
)
_WITHIN = (
    (4, b"TFL3", _TFLITE),
    (8, b"WEBP", Found(_IMAGE)),
    (8, b'{"', _SAFETENSORS),
    (16, b"\xde\xc0\xef\xbe", Found("the data.mdb of an LMDB")),
    (257, b"ustar", Found("a tar archive", "unpack it first (tar xf)")),
)


def _zip(begin: bytes) -> Found:
    """What a zip file is, by the name of the first file in it."""
    size = int.from_bytes(begin[26:28], "little")
    name = begin[30 : 30 + size]
    if name.endswith(b".npy"):
        return Found(_NPZ)
    if name.endswith((b"data.pkl", b"/.format_version", b"/byteorder")):
        return _TORCH
    if name in (b"metadata.json", b"config.json", b"model.weights.h5"):
        return _KERAS
    return Found("a zip archive", "unpack it first (unzip)")


def _text(begin: bytes) -> Found | None:
    text = begin.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not begin:
        return Found(_EMPTY, "get it again")
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<!--")):
        return Found("an HTML page", "download the file itself, not the page that shows it")
    if text.startswith(b"version https://git-lfs"):
        return Found("a Git LFS pointer", "fetch the file itself (git lfs pull)")
    if text.startswith((b"404", b"403", b"429")):
        return Found(f"an error message of a server ({_line(begin)})", "look at the address")
    if text.startswith(b"<?xml"):
        return Found("an XML file")
    if text.startswith((b'{"', b"{\n", b"{\r", b'["', b"[{")):
        return Found("a JSON file")
    if b"layer" in text and b"{" in text:
        return Found(_NET)
    words = {word.decode("ascii", "replace") for word in re.findall(rb"^(\w+)\s*:", text, re.M)}
    return Found(_SOLVER if is_solver(words) else _PLAIN)


def _line(begin: bytes) -> str:
    return begin.split(b"\n")[0][:40].decode("ascii", "replace").strip()


def _message(head: Buffer) -> Found | None:
    """What a message in protobuf's wire format is, by the first of its fields."""
    seen = list(_first_fields(head))
    kinds = [each[:2] for each in seen]
    numbers = {number for number, _ in kinds}
    if kinds[:1] == [(1, VARINT)]:
        if kinds[1:2] == [(2, VARINT)]:
            return Found(_MEAN)
        if numbers & {7, 8}:
            return _ONNX
        if kinds[1:2] == [(2, LENGTH)] and bytes(head[seen[1][2] : seen[1][2] + 1]) == b"\n":
            return _TENSORFLOW
        return Found(_STATE) if kinds[1:2] in ([(2, LENGTH)], [(3, LENGTH)]) else None
    if kinds[:1] in ([(5, LENGTH)], [(7, LENGTH)]):
        return Found(_MEAN)
    if kinds[:1] == [(1, LENGTH)] and bytes(head[seen[0][2] : seen[0][2] + 1]) == b"\n":
        return _TENSORFLOW
    return Found(_CAFFEMODEL) if kinds[:1] and kinds[0] in _BEGINS_NET else None


# A NetParameter's name, its layers of 2013 and those of today.
_BEGINS_NET = ((1, LENGTH), (2, LENGTH), (100, LENGTH))


def _first_fields(head: Buffer) -> Iterator[tuple[int, int, int]]:
    """Number, wire type and place of the value of the first fields, the one that is cut too."""
    at = 0
    try:
        for _ in range(16):
            tag, value = read_varint(head, at, len(head))
            field = tag >> 3, tag & 7
            if field[1] == LENGTH:
                _, place = read_varint(head, value, len(head))
                yield (*field, place)
            at = next(fields(head, at, len(head))).stop
            if field[1] != LENGTH:
                yield (*field, value)
    except (Damage, StopIteration):
        return
