"""Which layers two nets reach in another order: nets that share every shape, and differ."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from fcnkit.errors import NetError
from fcnkit.nets.graph import Graph, Layer, Top
from fcnkit.nets.layers.axes import canonical
from fcnkit.nets.layers.table import axis_of, has_field, of
from fcnkit.nets.layers.traits import Trait
from fcnkit.nets.shapes import Shapes

_ORDER_WHY = "the same weights give other results"
# Axes of a blob whose shape is not known: an image's.
_AXES = 4


class _Way(NamedTuple):
    """Where a bottom comes from: the nearest matched layer, input or junction, and what follows."""

    start: str
    steps: tuple[str, ...]

    def to(self, stop: str) -> str:
        return " -> ".join((self.start, *self.steps, stop))


def differences(
    before: Shapes, after: Shapes, sources: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    """Each matched layer that the two nets reach through other types, or in another order,
    or whose numbers are for another axis.

    Its name, that of its source in the net `before`, and how they differ.
    """
    old_layers = {layer.name: layer for layer in before.graph.layers}
    new_names = {source: name for name, source in sources.items()}
    old, new = _Side(before, after, new_names), _Side(after, before, sources)
    for name, source in sources.items():
        if source in old_layers:
            layers = old_layers[source], after.graph.layer(name)
            why = _difference(old, new, *layers, sources)
            if why:
                there, here = (each.graph.prototxt.path for each in (before, after))
                yield name, source, f"{why[0]} in {there}, {why[1]} in {here}; {_ORDER_WHY}"


def _difference(
    old: "_Side", new: "_Side", source: Layer, layer: Layer, sources: Mapping[str, str]
) -> tuple[str, str] | None:
    """What is so in the old net and what in the new one; None where nothing differs."""
    axes = old.axis(source), new.axis(layer)
    if None not in axes and axes[0] != axes[1]:
        return f"its numbers are for axis {axes[0]}", f"for axis {axes[1]}"
    if not source.bottoms or not layer.bottoms:
        return None
    there, here = old.way(source.bottoms[0]), new.way(layer.bottoms[0])
    known = there.start in old.starts and here.start in new.starts
    if there.steps != here.steps or (known and sources.get(here.start, here.start) != there.start):
        return there.to(source.name), here.to(layer.name)
    joined = old.joined(source), new.joined(layer)
    renamed = [way._replace(start=sources.get(way.start, way.start)) for way in joined[1]]
    if renamed != joined[0] and sorted(renamed) == sorted(joined[0]):
        shown = [", ".join(way.to("")[: -len(" -> ")] for way in ways) for ways in joined]
        return f"{shown[0]} joined", shown[1]
    return None


class _Side:
    """One of the two nets, as the other sees it: `matched` are its layers that the other has."""

    def __init__(self, shapes: Shapes, other: Shapes, matched: Mapping[str, str]) -> None:
        self.shapes, self.graph, self.matched = shapes, shapes.graph, matched
        inputs = [{top.blob for top in _given(side.graph)} for side in (shapes, other)]
        # An input of the same name in both is the same; of others it is not known.
        self.starts = {*matched, *(inputs[0] & inputs[1])}

    def axis(self, layer: Layer) -> int | None:
        """The axis of its bottom that a layer's own factors and summands are for; None for none."""
        if not of(layer).folds or not has_field(layer, "axis"):
            return None
        axis, shape = axis_of(layer), self.shapes.tops[layer.bottoms[0]]
        if shape is None:
            return axis if axis >= 0 else None
        return canonical(layer, axis, len(shape))

    def way(self, top: Top) -> _Way:
        """From the nearest matched layer, input or junction down to this top."""
        steps: list[str] = []
        while True:
            layer = self.graph.producer(top)
            several = len(layer.tops) > 1 and not of(layer).identity(layer)
            if layer.name in self.matched:
                steps += [self._which(layer, top)] * several
                return _Way(layer.name, tuple(reversed(steps)))
            if not layer.bottoms:
                return _Way(top.blob, tuple(reversed(steps)))
            if len(layer.bottoms) > 1:
                steps += [self._passed(layer, top)]
                return _Way(layer.name, tuple(reversed(steps)))
            if not of(layer).identity(layer):
                steps.append(self._passed(layer, top))
            top = layer.bottoms[0]

    def joined(self, layer: Layer) -> list[_Way]:
        """What a junction above `layer` joins, in its order.

        Nothing where the way goes to no junction, or to one to which the order is nothing.
        """
        while len(layer.bottoms) == 1:
            layer = self.graph.producer(layer.bottoms[0])
            if layer.name in self.matched or not layer.bottoms:
                return []
        if of(layer).trait is not Trait.ARRANGES and not self._order(layer):
            return []
        return [self.way(top) for top in layer.bottoms]

    def _passed(self, layer: Layer, top: Top) -> str:
        """A layer on the way: its type, in which order it has its numbers, and which top it is."""
        words = layer.type
        order = self._order(layer)
        words += f" ({', '.join(map(str, order))})" if order else ""
        return words if len(layer.tops) < 2 else f"{words} {self._which(layer, top)}"

    def _which(self, layer: Layer, top: Top) -> str:
        """Which of several tops it is: the channels, where a cut along them says so."""
        if self._order(layer) == (1,):
            counts = [self.shapes.channels(each) for each in layer.tops[: top.index + 1]]
            known = [count for count in counts if count is not None]
            if len(known) == len(counts):
                return f"[channels {sum(known[:-1])} to {sum(known) - 1}]"
        return f"[top {top.index + 1}]"

    def _order(self, layer: Layer) -> tuple[float, ...]:
        axes = len(self.shapes.tops[layer.bottoms[0]] or range(_AXES)) if layer.bottoms else 0
        try:
            return of(layer).ordering(layer, axes)
        except NetError:  # of a blob that has other axes than an image
            return ()


def _given(graph: Graph) -> Sequence[Top]:
    return [top for top in graph.tops if not graph.producer(top).bottoms]
