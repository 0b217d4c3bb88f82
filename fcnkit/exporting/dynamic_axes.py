"""Which sizes of a net's inputs may change, and which sizes of its tops change with them.

A size may change where Caffe builds the net at others too, with the same
parameters: found by asking `nets.shapes`, which knows Caffe's rules, at some.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from fcnkit.errors import NetError
from fcnkit.nets.graph import Graph, Top
from fcnkit.nets.shapes import Shapes, shapes_of
from fcnkit.shape import Shape

AXES = {"batch": 0, "height": 2, "width": 3}
TIMES = (2, 3)
# Other sizes: a larger batch of larger images, and a smaller image.
_OTHERS: tuple[dict[int, Callable[[int], int]], ...] = (
    {0: lambda size: size + 1, 2: lambda size: size + 13 | 1, 3: lambda size: size + 6 | 1},
    {
        0: lambda size: size,
        2: lambda size: size - size // 4 | 1,
        3: lambda size: size - size // 3 | 1,
    },
)

# Nets that halve their maps ask for multiples, those that keep the corners for multiples and 1.
_GROWTHS: tuple[Callable[[int, int], int], ...] = (
    lambda size, times: size * times,
    lambda size, times: (size - 1) * times + 1,
)

Dims = tuple[int | str, ...]


@dataclass(frozen=True, eq=False)
class DynamicAxes:
    """A graph's sizes: as given, and at other sizes
    of its inputs that it takes with the same parameters.
    """

    graph: Graph
    given: Mapping[str, Shape]
    found: tuple[Shapes, ...]
    names: Mapping[tuple[str, int], str]

    @property
    def shapes(self) -> Shapes:
        """The sizes as given."""
        return self.found[0]

    def dims(self, top: Top) -> tuple[int | None, ...]:
        """A top's sizes, None for each that may change."""
        return tuple(sizes[0] if len(set(sizes)) == 1 else None for sizes in self._sizes(top))

    def named(self, top: Top) -> Dims:
        """A top's sizes, a name for each that may change: an input's where both change alike."""
        return tuple(
            sizes[0] if len(set(sizes)) == 1 else self._symbols.get(sizes, f"{top.blob}_{axis}")
            for axis, sizes in enumerate(self._sizes(top))
        )

    def others(self) -> list[dict[str, Shape]]:
        """Other shapes of the inputs that the net takes: odd ones, or if none the largest tried."""
        free = [axis for axis in AXES.values() if any(axis == other for _, other in self.names)]
        odd = (
            {blob: _moved(shape, free, more) for blob, shape in self.given.items()}
            for more in _OTHERS
        )
        taken = [shapes for shapes in odd if shapes != self.given and _taken(self.shapes, shapes)]
        last = self.found[-1].tops
        largest = {top.blob: shape for top in self.graph.inputs if (shape := last[top]) is not None}
        return taken or [largest] * bool(free)

    def _sizes(self, top: Top) -> list[tuple[int, ...]]:
        return list(zip(*(shapes.tops[top] for shapes in self.found), strict=True))

    @cached_property
    def _symbols(self) -> dict[tuple[int, ...], str]:
        tops = {top.blob: top for top in self.graph.inputs}
        return {self._sizes(tops[blob])[axis]: name for (blob, axis), name in self.names.items()}


def dynamic_axes(graph: Graph, inputs: Mapping[str, Shape]) -> DynamicAxes:
    """What may change in a net of these inputs: the batch, the height, the width, or none of them.

    Raises NetError where Caffe refuses the net at the sizes as given.
    """
    base = shapes_of(graph, inputs)
    chosen: list[str] = []
    found: list[Shapes] = []
    for name, axis in AXES.items():
        alone, growth = next(_growing(base, inputs, axis), ([], _GROWTHS[0]))
        # Height and width together too, and less: Caffe has no blob of more than 2**31 values.
        both = [AXES[other] for other in chosen if other != "batch"] + [axis]
        together = _grown(base, inputs, both, growth, TIMES[:1]) if alone else []
        if together:
            chosen.append(name)
            found += alone + together
    return DynamicAxes(graph, dict(inputs), (base, *found), dict(_names(inputs, chosen)))


def _growing(
    base: Shapes, inputs: Mapping[str, Shape], axis: int
) -> Iterator[tuple[list[Shapes], Callable[[int, int], int]]]:
    """The sizes with one axis grown, and how it was, for each way that the net takes."""
    for growth in _GROWTHS:
        found = _grown(base, inputs, [axis], growth, TIMES)
        if found:
            yield found, growth


def _grown(
    base: Shapes,
    inputs: Mapping[str, Shape],
    axes: Sequence[int],
    growth: Callable,
    many: Sequence[int],
) -> list[Shapes]:
    """The sizes with these axes of all inputs grown; [] where the net does not take it."""
    found = []
    for times in many:
        larger = {blob: _larger(shape, axes, times, growth) for blob, shape in inputs.items()}
        if larger == inputs:
            return []
        shapes = _taken(base, larger)
        if shapes is None:
            return []
        found.append(shapes)
    return found


def _taken(base: Shapes, inputs: Mapping[str, Shape]) -> Shapes | None:
    """The sizes for other inputs; None where Caffe refuses them, or has other parameters there."""
    try:
        shapes = shapes_of(base.graph, inputs)
    except NetError:
        return None
    alike = all(shapes.blobs(layer) == base.blobs(layer) for layer in base.graph.layers)
    return shapes if alike else None


def _larger(shape: Shape, axes: Sequence[int], times: int, growth: Callable) -> Shape:
    mine = _mine(shape, axes)
    return tuple(growth(size, times) if axis in mine else size for axis, size in enumerate(shape))


def _moved(shape: Shape, axes: Sequence[int], more: Mapping[int, Callable]) -> Shape:
    """Other sizes on these axes, odd ones but for the batch."""
    mine = _mine(shape, axes)
    return tuple(more[axis](size) if axis in mine else size for axis, size in enumerate(shape))


def _mine(shape: Shape, axes: Iterable[int]) -> list[int]:
    """Those of the axes that an input has: height and width where it has four."""
    return [axis for axis in axes if axis < len(shape) and (axis == 0 or len(shape) == 4)]


def _names(
    inputs: Mapping[str, Shape], chosen: Sequence[str]
) -> Iterator[tuple[tuple[str, int], str]]:
    """A name for each size that may change; inputs of one size there share it."""
    for name in chosen:
        axis = AXES[name]
        having = {blob: shape[axis] for blob, shape in inputs.items() if _mine(shape, [axis])}
        alike = len(set(having.values())) == 1
        for blob in having:
            yield (blob, axis), name if alike else f"{blob}_{name}"
