"""An ONNX model that is ready to be written: small parts made, weights still in their own file."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

from fcnkit import notebook
from fcnkit.errors import WeightsError
from fcnkit.exporting.draft import Tensor
from fcnkit.files import atomic
from fcnkit.formats import wire
from fcnkit.plural import number_of
from fcnkit.progress import Progress, no_progress, reported
from fcnkit.tables import fields
from fcnkit.weights.blobs import OpenFile

# What one protobuf message may hold, and so one file without data beside it.
LIMIT = 2**31 - 1
_FLOAT = 4
# Values of fewer bytes than this stand in the model itself.
_WORTH = 1 << 16


class Port(NamedTuple):
    """An input or an output of the model: a size for each axis, or a name if the size may
    change.
    """

    name: str
    dims: tuple[int | str, ...]

    def takes(self, shape: Sequence[int]) -> bool:
        """Whether the port allows this shape."""
        pairs = zip(self.dims, shape, strict=False)
        return len(shape) == len(self.dims) and all(
            isinstance(dim, str) or dim == size for dim, size in pairs
        )

    def __str__(self) -> str:
        return f"{self.name}  {' x '.join(map(str, self.dims)) or 'a scalar'}"


class Left(NamedTuple):
    """A layer that is not in the model, and the reason."""

    layer: str
    line: int
    reason: str


@dataclass(frozen=True, eq=False)
class Exported:
    """An ONNX model of a net: `save` writes it, and `table` shows its content.

    `model` and `graph` are the two messages without the weights, and `tensors` names the
    weights. `operators` counts the nodes of each operator.
    """

    path: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    left: tuple[Left, ...]
    operators: Mapping[str, int]
    tensors: tuple[Tensor, ...]
    opset: int
    model: bytes
    graph: bytes

    @property
    def nbytes(self) -> int:
        """The size of the file in bytes."""
        graph = self._graph_bytes
        return len(self.model) + len(_head("ModelProto", "graph", graph)) + graph

    def takes(self, shapes: Mapping[str, Sequence[int]]) -> bool:
        """Whether the model also takes inputs of these shapes."""
        return all(port.takes(shapes.get(port.name, ())) for port in self.inputs)

    @property
    def _graph_bytes(self) -> int:
        tensors = (_tensor_bytes(tensor) for tensor in self.tensors)
        return len(self.graph) + sum(
            len(_head("GraphProto", "initializer", size)) + size for size in tensors
        )

    def pieces(self) -> Iterator[bytes | memoryview]:
        """Yields the bytes of the file, piece by piece; weights are read when they are needed. A
        piece may be overwritten by the next one.

        A message's fields may come in any order, so the graph is last, and in it the weights.
        Raises WeightsError if the weights file has changed.
        """
        yield self.model
        yield _head("ModelProto", "graph", self._graph_bytes)
        yield self.graph
        for tensor in self.tensors:
            yield _head("GraphProto", "initializer", _tensor_bytes(tensor))
            yield _tensor_head(tensor)
            yield from _values(tensor)

    def save(
        self, path: str | os.PathLike[str], *, force: bool = False, progress: Progress = no_progress
    ) -> None:
        """Writes the model to `path`, completely or not at all; `force` replaces an existing
        file.

        Raises OutputError if the file cannot be written, and WeightsError for a model of more
        than 2 GB, which a single ONNX file cannot hold.
        """
        size = self.nbytes
        if size > LIMIT:
            fact = f"{size:,} bytes, and an ONNX file holds at most {LIMIT:,}"
            raise WeightsError(f"{path}: the model would be {fact}; export a part of the net")
        with atomic(path, force=force, size=size) as file:
            for piece in reported(self.pieces(), progress):
                file.write(piece)

    def check(self) -> None:
        """Raises WeightsError if the file of the weights has changed since it was opened."""
        for source in {place[0] for place in map(_place, self.tensors) if place}:
            source.check()

    def pointing(self) -> tuple[bytes, str]:
        """The model without the values of the file that holds the most weights; instead of them,
        it has their places in that file. Also returns the file's folder; "" if the model holds
        all values.

        Raises WeightsError if the file has changed.
        """
        places = [(tensor, _place(tensor)) for tensor in self.tensors]
        most = Counter[OpenFile]()
        for tensor, place in places:
            if place:
                most[place[0]] += _FLOAT * prod(tensor.shape)
        source = most.most_common(1)[0][0] if most else None
        file = _named(source)
        parts = [self.graph]
        for tensor, place in places:
            if file and place and place[0] is source:
                whole = [_pointing_head(tensor, os.path.basename(file), place[1])]
            else:
                whole = [_tensor_head(tensor), *map(bytes, _values(tensor))]
            parts += [_head("GraphProto", "initializer", sum(map(len, whole))), *whole]
        graph = b"".join(parts)
        model = self.model + _head("ModelProto", "graph", len(graph)) + graph
        return model, os.path.dirname(file)

    def bytes(self) -> bytes:
        """The whole file."""
        return b"".join(bytes(piece) for piece in self.pieces())

    def table(self) -> str:
        """Inputs, outputs, operators, and layers that are left out, as text."""
        values = sum(prod(tensor.shape) for tensor in self.tensors)
        kinds = ", ".join(
            f"{count} {kind}" for kind, count in Counter(self.operators).most_common()
        )
        rows = [
            f"{self.path}: ONNX, opset {self.opset}, {number_of(self.nbytes, 'byte')}, "
            f"{number_of(values, 'weight')}"
        ]
        ports = ((word, str(port)) for word, port in self._ports())
        rows += fields([*ports, ("free", self._free())], indent="  ")
        rows += [
            f"  {number_of(sum(self.operators.values()), 'operator')}: {kinds or 'none'}",
        ]
        rows += [
            f'  left out: layer "{each.layer}" on line {each.line}: {each.reason}'
            for each in self.left
        ]
        return "\n".join(rows) + "\n"

    def _ports(self) -> Iterator[tuple[str, Port]]:
        yield from (("input", port) for port in self.inputs)
        yield from (("output", port) for port in self.outputs)

    def _free(self) -> str:
        names = dict.fromkeys(
            dim for port in self.inputs for dim in port.dims if isinstance(dim, str)
        )
        return ", ".join(names) or "no size: the net takes its inputs as they are"

    def json(self) -> dict[str, Any]:
        """The content as plain lists, dicts, strings and numbers."""
        return {
            "net": self.path,
            "opset": self.opset,
            "bytes": self.nbytes,
            "inputs": {port.name: list(port.dims) for port in self.inputs},
            "outputs": {port.name: list(port.dims) for port in self.outputs},
            "operators": dict(self.operators),
            "left_out": [each._asdict() for each in self.left],
        }

    def __repr__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        return notebook.text(self.table())


# ---- on the wire, by onnx's own field numbers


def _number(message: str, field: str) -> int:
    import onnx

    return getattr(onnx, message).DESCRIPTOR.fields_by_name[field].number


def _head(message: str, field: str, size: int) -> bytes:
    """What stands before the value of a message's field."""
    return wire.tag(_number(message, field)) + wire.varint(size)


def _tensor_head(tensor: Tensor) -> bytes:
    """A TensorProto up to its values."""
    import onnx

    head = onnx.TensorProto(dims=tensor.shape, data_type=onnx.TensorProto.FLOAT, name=tensor.name)
    return head.SerializeToString() + _head("TensorProto", "raw_data", _FLOAT * prod(tensor.shape))


def _named(source: OpenFile | None) -> str:
    """The file's whole name, if ONNX can tell it; "" else."""
    there = str(source.there() or "") if source else ""
    return there if there.isprintable() else ""


def _place(tensor: Tensor) -> tuple[OpenFile, int] | None:
    """Where its values stand as ONNX has them, where they are worth pointing at."""
    wide = _FLOAT * prod(tensor.shape) >= _WORTH
    return tensor.blob.place if wide and tensor.blob.dtype == "float32" else None


def _pointing_head(tensor: Tensor, file: str, start: int) -> bytes:
    """A TensorProto whose values stand in a file."""
    import onnx

    kind = onnx.TensorProto
    made = kind(dims=tensor.shape, data_type=kind.FLOAT, name=tensor.name)
    made.data_location = kind.EXTERNAL
    found = {"location": file, "offset": start, "length": _FLOAT * prod(tensor.shape)}
    for key, value in found.items():
        made.external_data.add(key=key, value=str(value))
    return made.SerializeToString()


def _tensor_bytes(tensor: Tensor) -> int:
    return len(_tensor_head(tensor)) + _FLOAT * prod(tensor.shape)


def _values(tensor: Tensor) -> Iterator[bytes | memoryview]:
    """Little-endian float32, whatever the file has;
    a piece may be half a float64's, so these come whole.
    """
    if tensor.blob.dtype == "float32":
        yield from tensor.blob.pieces()
    else:
        yield tensor.blob.array().astype("<f4").tobytes()


def declared(ports: Sequence[Port]) -> list[Any]:
    """The ports as ONNX declares them."""
    from onnx import TensorProto, helper

    return [
        helper.make_tensor_value_info(port.name, TensorProto.FLOAT, port.dims) for port in ports
    ]
