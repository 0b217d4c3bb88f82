"""An ONNX graph in the making: nodes, constants,
and weights that stay where they are until it is written.
"""

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any, NamedTuple

from fcnkit.nets.graph import Layer
from fcnkit.shape import Shape
from fcnkit.weights.blobs import Blob


class Tensor(NamedTuple):
    """Weights under a name, of a shape that may not be their blob's own."""

    name: str
    shape: Shape
    blob: Blob


class Draft:
    """Nodes, constants and weights so far; every name is given once."""

    def __init__(self, reserved: Iterable[str]) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[tuple, Any] = {}
        self.tensors: dict[tuple, Tensor] = {}
        self._taken = set(reserved)

    def name(self, wanted: str) -> str:
        """The name, or with a number behind it where it is taken."""
        found, number = wanted, 1
        while found in self._taken:
            number += 1
            found = f"{wanted}_{number}"
        self._taken.add(found)
        return found

    def constant(self, array: Any, wanted: str) -> str:
        """The name of a constant of these values, one for all that are equal."""
        from onnx import numpy_helper

        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.constants:
            self.constants[key] = numpy_helper.from_array(array, self.name(wanted))
        return self.constants[key].name

    def weights(self, blob: Blob, shape: Sequence[int], wanted: str) -> str:
        """The name of a blob's values in this shape,
        written once for all layers that share them.
        """
        key = (id(blob), tuple(shape))
        if key not in self.tensors:
            self.tensors[key] = Tensor(self.name(wanted), tuple(shape), blob)
        return self.tensors[key].name

    def rename(self, first: int, old: str, new: str) -> bool:
        """What a node from number `first` on makes as `old` is called `new`;
        False where none makes it.
        """
        made = [node for node in self.nodes[first:] if old in node.output]
        for node in self.nodes[first:] if made else ():
            for names in (node.input, node.output):
                names[:] = [new if name == old else name for name in names]
        return bool(made)


class Copied(NamedTuple):
    """A size for a reshape: that of this axis of what is reshaped."""

    axis: int


class Site:
    """One layer's place in a draft: what it reads and what it may add.

    `sizes` and `tops` are the sizes of its bottoms and tops, None for each
    that may change.  Names stand for values, as in ONNX.
    """

    def __init__(
        self,
        draft: Draft,
        layer: Layer,
        bottoms: Sequence[str],
        sizes: Sequence,
        tops: Sequence,
        blobs: Sequence[tuple[Blob, Shape]],
    ) -> None:
        self.draft, self.layer = draft, layer
        self.bottoms, self.sizes, self.tops, self.blobs = (
            tuple(bottoms),
            tuple(sizes),
            tuple(tops),
            blobs,
        )

    @property
    def x(self) -> str:
        """The first bottom."""
        return self.bottoms[0]

    @property
    def ndim(self) -> int:
        """How many axes the first bottom has."""
        return len(self.sizes[0])

    def param(self, name: str) -> Any:
        """The layer's message of this name, Caffe's defaults in it."""
        return self.layer.param(name)

    def refuse(self, fact: str) -> Exception:
        """An error that says where the layer stands, and why it has no place in an ONNX model."""
        return self.layer.error(f"type {self.layer.type}: {fact}")

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """The one output of a new node."""
        return self.ops(kind, *inputs, count=1, **attributes)[0]

    def ops(self, kind: str, *inputs: str, count: int, **attributes: Any) -> list[str]:
        """The outputs of a new node."""
        from onnx import helper

        name = self.draft.name(f"{self.layer.name}/{kind}")
        outputs = [self.draft.name(f"{name}:{number}") for number in range(count)]
        self.draft.nodes.append(
            helper.make_node(kind, list(inputs), outputs, name=name, **attributes)
        )
        return outputs

    def number(self, value: float) -> str:
        """A float32 scalar."""
        import numpy as np

        return self.draft.constant(np.array(value, np.float32), f"{self.layer.name}/value")

    def whole(self, values: Sequence[int]) -> str:
        """Whole numbers on one axis."""
        import numpy as np

        return self.draft.constant(
            np.array(values, np.int64).reshape(len(values)), f"{self.layer.name}/whole"
        )

    def floats(self, array: Any, name: str) -> str:
        """A float32 array that is computed here and small."""
        import numpy as np

        return self.draft.constant(
            np.ascontiguousarray(array, np.float32), f"{self.layer.name}/{name}"
        )

    def weights(self, number: int, shape: Sequence[int] | None = None) -> str:
        """Parameter blob `number`, in this shape or its own."""
        blob, own = self.blobs[number]
        return self.draft.weights(
            blob, own if shape is None else shape, f"{self.layer.name}/{number}"
        )

    def size(self, value: str, dims: Sequence[int | None], axis: int) -> str:
        """The size of one axis of a value, on an axis of its own:
        a constant where it never changes.
        """
        known = dims[axis]
        if known is not None:
            return self.whole([known])
        return self.op("Gather", self.op("Shape", value), self.whole([axis]), axis=0)

    def part(self, value: str, axis: int, start: int | str, stop: int | str, step: int = 1) -> str:
        """The points from `start` up to `stop` of one axis; whole numbers, or names of them."""
        ends = [self.whole([end]) if isinstance(end, int) else end for end in (start, stop)]
        return self.op("Slice", value, *ends, self.whole([axis]), self.whole([step]))

    def reshape(
        self, value: str, dims: Sequence[int | None], wanted: Sequence[int | Copied], of: str = ""
    ) -> str:
        """The values in another shape: sizes,
        at most one -1 for what remains, and sizes copied from `dims`.

        `dims` are those of the value `of`, which is this one where it is not said.
        """
        sizes = [_settled(size, dims) for size in wanted]
        free = [at for at, size in enumerate(sizes) if isinstance(size, Copied)]
        if -1 not in sizes and len(free) == 1:
            sizes[free[0]] = -1
        if not of and all(
            not isinstance(size, Copied) or size.axis == at for at, size in enumerate(sizes)
        ):
            sizes = [0 if isinstance(size, Copied) else size for size in sizes]
        known = [size for size in sizes if not isinstance(size, Copied)]
        if len(known) == len(sizes):
            return self.op("Reshape", value, self.whole(known))
        parts = [
            self.size(of or value, dims, size.axis)
            if isinstance(size, Copied)
            else self.whole([size])
            for size in sizes
        ]
        return self.op("Reshape", value, self.op("Concat", *parts, axis=0))

    def filled(self, value: str, count: int) -> str:
        """The value with `count` axes of 1 behind its own."""
        return value if count == 0 else self.op("Unsqueeze", value, self.whole(range(-count, 0)))


def _settled(size: int | Copied, dims: Sequence[int | None]) -> int | Copied:
    """A copied size that never changes is a number."""
    known = dims[size.axis] if isinstance(size, Copied) else None
    return size if known is None else known


def joined(dims: Sequence[int | None]) -> int:
    """The size of these axes as one; -1 where it may change."""
    known = [size for size in dims if size is not None]
    return prod(known) if len(known) == len(dims) else -1
