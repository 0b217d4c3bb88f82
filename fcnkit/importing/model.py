"""An ONNX model as it lies on disk: its graph in memory, its weights where they stand.

Only small constants are read.  Of a large one the file's bytes are cut out
before protobuf parses the rest, and its place is kept: a model of 553 MB is
opened by reading some kilobytes.  https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

import importlib.util
import mmap
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from math import prod
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from fcnkit import expected
from fcnkit.errors import EngineError, NetError, error_text
from fcnkit.foreign import reason
from fcnkit.formats import signature, wire
from fcnkit.formats.blobproto import Chunk
from fcnkit.plural import number_of
from fcnkit.shape import Shape
from fcnkit.system import READ
from fcnkit.weights.blobs import Blob, OpenFile, Stored, stamp

# Constants of at least so many bytes stay in the file.
LARGE = 4096
OLDEST = 7

_GRAPH, _NODE, _ATTRIBUTE, _TENSOR = "graph", "node", "attribute", "tensor"
# The messages that lead to tensors: field number -> message.
_WITHIN = {
    "model": {7: _GRAPH},
    _GRAPH: {1: _NODE, 5: _TENSOR},
    _NODE: {5: _ATTRIBUTE},
    _ATTRIBUTE: {5: _TENSOR},
}
_FLOAT_DATA, _RAW_DATA, _EXTERNAL, _LOCATION = 4, 9, 13, 14
# Where a tensor's bytes lie in the model's own file; no file that a model names has this name.
_SELF = "\0"


class Constant(NamedTuple):
    """Values that do not depend on the inputs; `read` gives them as an array.

    `blob` is where they stand as they are, in float32, None where they are
    computed or stored in another way.  `name` is the initializer's own.
    """

    name: str
    shape: Shape
    dtype: str
    read: Callable[[], Any]
    blob: Blob | None = None


@dataclass(frozen=True, eq=False)
class Model:
    """An ONNX model: `proto` without its large constants, which `constants` has by name."""

    path: str
    proto: Any
    constants: Mapping[str, Constant]
    source: OpenFile
    beside: dict[str, OpenFile] = field(default_factory=dict)

    @property
    def opset(self) -> int:
        """The version of ONNX's own operators that the model is written for."""
        return next((each.version for each in self.proto.opset_import if not each.domain), 0)

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the file."""
        found = sha256()
        for piece in self.source.pieces(0, self.source.stamp[0]):
            found.update(piece)
        return found.hexdigest()

    @property
    def title(self) -> str:
        """Its file's name without the ending."""
        return Path(self.path).stem

    def error(self, fact: str) -> NetError:
        """An error of this file."""
        return NetError(f"{self.path}: {fact}")


def read(path: str | os.PathLike[str]) -> Model:
    """The model of the file at `path`; its large constants are not read.

    Raises NetError where it is no ONNX model, damaged, or of an opset that is
    older than 7 or newer than the installed onnx; EngineError without onnx.
    """
    if importlib.util.find_spec("onnx") is None:
        raise EngineError("onnx: not found: install it with `pip install 'fcnkit[onnx]'`")
    name = os.fspath(expected.path("path", path))
    source = _opened(name)
    with mmap.mmap(source.file, 0, access=mmap.ACCESS_READ) as data:
        _check_kind(data, name)
        try:
            skeleton = _trimmed(data, 0, len(data), "model")
        except wire.Damage as damage:
            raise NetError(f"{name}: byte {damage.byte}: {damage.fact}") from None
    proto = _parsed(skeleton, name)
    model = Model(name, proto, {}, source)
    _check(model)
    constants = {each.name: constant(model, each) for each in proto.graph.initializer}
    return replace(model, constants=constants)


def _check_kind(data: Any, name: str) -> None:
    """Raises NetError for what is known to be another kind of file."""
    fact = signature.refusal(signature.MODEL, data)
    if fact and "PyTorch" in fact:
        raise NetError(
            f"{name}: is a file of PyTorch, which holds weights only; export the model as ONNX "
            "in Python:\n"
            f"  model.load_state_dict(torch.load({name!r}, weights_only=True)); model.eval()\n"
            '  torch.onnx.export(model, torch.zeros(1, 3, 224, 224), "model.onnx", dynamo=False)\n'
            "  then: fcnkit import model.onnx"
        )
    if fact:
        raise NetError(f"{name}: byte 0: {fact}")


def _opened(name: str) -> OpenFile:
    try:
        file = os.open(name, READ | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError) as error:
        raise NetError(f"{name}: cannot be read: {reason(error)}; check the name") from None
    source = OpenFile(name, file, stamp(file))
    if not os.path.isfile(name) or not source.stamp[0]:
        raise NetError(f"{name}: is not an ONNX model; name the .onnx file itself")
    return source


def _parsed(skeleton: bytes, name: str) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        proto = onnx.ModelProto.FromString(skeleton)
        if proto.functions:
            from onnx.inliner import inline_local_functions

            proto = inline_local_functions(proto)
    except (DecodeError, RuntimeError, ValueError) as error:
        raise NetError(
            f"{name}: is not an ONNX model: {error_text(error)}; export it again"
        ) from None
    return proto


def _check(model: Model) -> None:
    from onnx import defs

    newest = defs.onnx_opset_version()
    if not model.proto.graph.node:
        raise model.error("is not an ONNX model, or one without a node; export it again")
    if not OLDEST <= model.opset <= newest:
        remedy = f"export it with an opset from {OLDEST} to {newest}"
        raise model.error(f"is written for opset {model.opset}; {remedy}")


# ---- what is large stays in the file


def _trimmed(data: Any, start: int, stop: int, message: str) -> bytes:
    """The message without the bytes of large tensors, whose places are written in their stead."""
    parts = []
    for part in wire.fields(data, start, stop):
        inner = _WITHIN[message].get(part.number)
        if inner is None or part.wire != wire.LENGTH or part.stop - part.value < LARGE:
            parts.append(bytes(data[part.start : part.stop]))
        elif inner == _TENSOR:
            parts.append(wire.framed(part.number, _placed(data, part)))
        else:
            content = _trimmed(data, part.value, part.stop, inner)
            parts.append(wire.framed(part.number, content))
    return b"".join(parts)


def _placed(data: Any, tensor: wire.WireField) -> bytes:
    parts, place = [], b""
    for part in wire.fields(data, tensor.value, tensor.stop):
        length = part.stop - part.value
        if part.number in (_FLOAT_DATA, _RAW_DATA) and part.wire == wire.LENGTH and length >= LARGE:
            entries = {"location": _SELF, "offset": f"{part.value}", "length": f"{length}"}
            place = b"".join(map(_entry, entries.items()))
        else:
            parts.append(bytes(data[part.start : part.stop]))
    if place:
        parts += [place, wire.tag(_LOCATION, wire.VARINT), wire.varint(1)]
    return b"".join(parts)


def _entry(pair: tuple[str, str]) -> bytes:
    key, value = (text.encode() for text in pair)
    return wire.framed(_EXTERNAL, wire.framed(1, key) + wire.framed(2, value))


# ---- one constant


def constant(model: Model, tensor: Any) -> Constant:
    """The values of a TensorProto, read when they are asked for.

    Raises NetError for values that are not as many as the shape says, or lie
    outside of the folder of the model.
    """
    import numpy as np
    from onnx import helper, numpy_helper

    shape = tuple(tensor.dims)
    where = f'{model.path}: constant "{tensor.name}"'
    if any(size < 0 for size in shape):
        raise NetError(f"{where} has the shape {shape}; export the model again")
    try:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type)).name
    except (KeyError, TypeError):
        raise NetError(f"{where} is of no type that ONNX has; export the model again") from None
    if tensor.data_location != tensor.EXTERNAL:
        try:
            array = numpy_helper.to_array(tensor)
        except (ValueError, TypeError, RuntimeError) as error:
            raise NetError(f"{where} cannot be read: {error_text(error)}") from None
        return Constant(tensor.name, shape, dtype, lambda: array)
    source, start, stop = _place(model, tensor, where)
    size = np.dtype(dtype).itemsize
    if stop - start != prod(shape) * size:
        fact = f"has {number_of(stop - start, 'byte')} of values, and its shape {shape} needs"
        raise NetError(f"{where} {fact} {prod(shape) * size}; export the model again")
    span = _Span((Chunk(start, stop, 0),), False)
    blob = Blob(shape, dtype, False, Stored(source, span), where)
    if dtype in ("float32", "float64"):
        return Constant(tensor.name, shape, dtype, blob.array, blob if dtype == "float32" else None)
    return Constant(
        tensor.name, shape, dtype, lambda: _bytes(source, start, stop).view(dtype).reshape(shape)
    )


class _Span(NamedTuple):
    chunks: tuple[Chunk, ...]
    raw: bool


def _bytes(source: OpenFile, start: int, stop: int) -> Any:
    import numpy as np

    data = bytearray(stop - start)
    source.check()
    source.read_into(memoryview(data), start)
    return np.frombuffer(data, np.uint8)


def _place(model: Model, tensor: Any, where: str) -> tuple[OpenFile, int, int]:
    """The file, and the bytes in it, that hold the values."""
    said = {each.key: each.value for each in tensor.external_data}
    name = said.get("location", "")
    source = model.source if name == _SELF else _beside(model, name, where)
    try:
        start = int(said.get("offset", 0))
        length = int(said.get("length", source.stamp[0] - start))
    except ValueError:
        raise NetError(f"{where}: its place in {name!r} is not a number; export it again") from None
    if start < 0 or length < 0 or start + length > source.stamp[0]:
        fact = f"lies at bytes {start} to {start + length} of {source.path}"
        raise NetError(f"{where} {fact}, which has {source.stamp[0]}; get the file again")
    return source, start, start + length


def _beside(model: Model, name: str, where: str) -> OpenFile:
    """The file of weights that a model names, which is to lie in the model's folder."""
    place = PurePosixPath(name)
    folder = Path(model.path).parent
    if not name or place.is_absolute() or ".." in place.parts:
        raise NetError(f"{where} lies in {name!r}; only files beside the model are read")
    path = folder / place
    if not path.resolve().is_relative_to(folder.resolve()):
        raise NetError(f"{where} lies in {name!r}, a link out of the folder; copy the file there")
    if str(path) not in model.beside:
        model.beside[str(path)] = _opened(str(path))
    return model.beside[str(path)]
