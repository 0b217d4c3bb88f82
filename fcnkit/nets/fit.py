"""Whether a Crop fits at every input size: integer sizes, where coords.py has exact places.

The map between two tops says where pixels lie; how many there are follows
from the floor and ceil of each layer.  Beyond the size at which every window
fits, adding one total stride to the input adds the same to every top, so that
one period of sizes proves all larger ones.
"""

from collections.abc import Iterator, Mapping
from math import lcm
from typing import NamedTuple

from fcnkit.errors import NetError
from fcnkit.nets.coords import downward
from fcnkit.nets.graph import Graph, Layer, Top
from fcnkit.nets.layertypes import TYPES
from fcnkit.nets.spatial import spatial

Shape = tuple[int, ...]


class Fit(NamedTuple):
    """The least slack of a Crop, in pixels, and the input size where it is reached.

    Slack is size(cropped) - offset - size(reference) at the far end; the crop
    is valid where it is not negative.  `slack` is None where the net itself
    cannot be built at that size.
    """

    slack: int | None
    size: int

    @property
    def valid(self) -> bool:
        """Whether the crop fits at every size that was looked at."""
        return self.slack is not None and self.slack >= 0


class Sizes:
    """The spatial sizes of chosen tops as a function of the input's size.

    `start` is the top whose height and width are varied together; its other
    dimensions stay as in `shape`.
    """

    def __init__(self, graph: Graph, start: Top, shape: Shape, tops: tuple[Top, ...]):
        self.start, self.shape, self.tops = start, shape, tops
        self.layers = _needed(graph, tops)
        self.inputs = {
            top: layer.input_shapes[top.index]
            for layer in graph.layers
            if layer.type == "Input"
            for top in layer.tops
        }
        self.period = _period(graph, start, self.layers)
        self.windows = tuple(layer for layer in self.layers if _has_window(layer))

    def at(self, size: int) -> "dict[Top, Shape]":
        """The spatial shape of every top that the chosen ones need, at one input size.

        Raises NetError where a layer cannot be built at that size.
        """
        known = dict(self.inputs)
        known[self.start] = (*self.shape[:2], *(size for _ in self.shape[2:]))
        for layer in self.layers:
            if layer.type != "Input":
                tops = TYPES[layer.type].shapes(layer, [known[bottom] for bottom in layer.bottoms])
                known.update(zip(layer.tops, tops, strict=True))
        return known

    def worth_checking(self, least: int) -> Iterator[tuple[int, "dict[Top, Shape] | None"]]:
        """(size, shapes) from `least` up to where one whole period has been regular.

        The shapes are None where the net cannot be built.
        """
        regular, size = 0, least
        while regular < self.period:
            try:
                known = self.at(size)
            except NetError:
                known = None
            yield size, known
            regular = regular + 1 if known is not None and self._regular(known) else 0
            size += 1
            if size > least + 20 * (self.period + 1000):
                return

    def _regular(self, known: dict[Top, Shape]) -> bool:
        """Whether every window lies within its padded input, so that sizes grow evenly."""
        return all(
            size + pad + far >= extent
            for layer in self.windows
            for size, (extent, _, pad, far) in zip(
                known[layer.bottoms[0]][2:], spatial(layer).sides, strict=True
            )
        )


def check(sizes: Sizes, cropped: Top, reference: Top, offset: tuple[int, ...], least: int) -> Fit:
    """The crop's least slack over every input size from `least` up."""
    found = []
    for size, known in sizes.worth_checking(least):
        if known is None:
            return Fit(None, size)
        found.append(Fit(_slack(known, cropped, reference, offset), size))
    return min(found)


def _slack(known: Mapping[Top, Shape], cropped: Top, reference: Top, offset: tuple[int, ...]) -> int:
    axes = zip(known[cropped][-len(offset) :], known[reference][-len(offset) :], offset, strict=True)
    return min(have - start - want for have, want, start in axes)


def _needed(graph: Graph, tops: tuple[Top, ...]) -> tuple[Layer, ...]:
    """The layers whose sizes decide those of `tops`, in order."""
    wanted, layers = set(tops), []
    for layer in reversed(graph.layers):
        if wanted.intersection(layer.tops):
            layers.append(layer)
            wanted.update(layer.bottoms)
    return tuple(reversed(layers))


def _has_window(layer: Layer) -> bool:
    if layer.type == "Pooling":
        return not layer.param("pooling_param").get("global_pooling")
    return layer.type in ("Convolution", "DepthwiseConvolution", "ConvolutionDepthwise")


def _period(graph: Graph, start: Top, layers: tuple[Layer, ...]) -> int:
    maps = downward(graph, start)
    tops = [top for layer in layers for top in layer.tops if top in maps]
    return lcm(*(scale.denominator for top in tops for scale in maps[top].scale))
