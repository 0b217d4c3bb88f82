"""How large the tops of a net are at any size of its input, and where they lie over it.

A deep net has few sizes.  Most layers keep that of their bottom, and others do
to it what an earlier layer did to the same; only the rest is computed again
and again.  Beyond the size at which every window fits, adding one total stride
to the input adds the same to every top, so that one period of sizes stands for
all larger ones.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import copy
from fractions import Fraction
from math import lcm
from typing import NamedTuple

from fcnkit.errors import NetError
from fcnkit.nets.coordmap import IDENTITY, CoordMap
from fcnkit.nets.coords import carriers, downward, own
from fcnkit.nets.graph import Graph, Layer, Top, needed
from fcnkit.nets.layers.sliding import spatial
from fcnkit.nets.layers.table import TYPES, of
from fcnkit.nets.layers.windows import has_window, keeps_size, size_rule
from fcnkit.shape import Shape

TopShapes = Mapping[Top, Shape]


class Track(NamedTuple):
    """A blob over an image, there or still to be made.

    `place` maps coordinates of the image (or of another blob, the same for
    all tracks that are compared) to its own; `size` gives its height and
    width from the shapes that are known at one size of the input.
    """

    blob: str
    place: CoordMap
    size: Callable[[TopShapes], Shape]


def track(top: Top, place: CoordMap) -> Track:
    """A top of the net itself."""
    return Track(top.blob, place, lambda known: known[top][2:])


class Sizes:
    """Chosen tops of a net, at any size of its input and with any padding.

    `start` is the top whose height and width are varied together; its other
    dimensions stay as in `shape`.  `first` are the layers that `padded` pads.
    """

    def __init__(
        self,
        graph: Graph,
        start: Top,
        shape: Shape,
        tops: tuple[Top, ...],
        *,
        first: Collection[Layer] = (),
    ):
        self.graph, self.start, self.tops = graph, start, tops
        self.first, self.more = frozenset(layer.index for layer in first), (0, 0)
        self.places = downward(graph, start, loose=True)
        layers = [layer for layer in needed(graph, tops) if not layer.is_input]
        self.period = _period(self.places, layers)
        self.inputs: dict[Top, Shape] = _inputs(graph) | {start: shape}
        self.shapes, self.same, self.distinct = _collapsed(
            graph, layers, self.inputs, self.places, self.first
        )
        self.windows = tuple(layer for layer in self.distinct if has_window(layer))
        self._checked: dict[int, tuple] = {}

    def padded(self, *more: int) -> "Sizes":
        """The same net, its first layers padded
        by `more` pixels more on each side of each axis than they say.
        """
        other = copy(self)
        other.more, other._checked = (more[0], more[1]), {}
        return other

    def track(self, top: Top) -> Track:
        """A top over the image; KeyError where no coordinates carry to it."""
        place = self.places[top]
        if any(self.more) and self._is_padded(top):
            place = CoordMap.of((Fraction(1), Fraction(more)) for more in self.more).then(place)
        return track(top, place)

    def _is_padded(self, top: Top) -> bool:
        # A loop, for a net may be deeper than Python's stack.
        above: Sequence[Top] = (top,)
        while above:
            layer = self.graph.producer(above[0])
            if layer.index in self.first:
                return True
            above = carriers(layer)
        return False

    def at(self, size: int) -> dict[Top, Shape]:
        """The shape of every chosen top, and of those that it follows from, at one input size.

        Raises NetError where a layer cannot be built at that size.
        """
        known = dict(self.inputs)
        known[self.start] = (*known[self.start][:2], *(size for _ in known[self.start][2:]))
        for layer in self.distinct:
            tops = TYPES[layer.type].shapes(layer, self._bottoms(layer, known))
            made = zip(layer.tops, tops, strict=False)
            known.update((top, shape) for top, shape in made if shape is not None)
        known.update((top, self._shape(top, known)) for top in self.tops)
        return known

    def worth_checking(self, least: int) -> tuple[tuple[int, TopShapes | NetError], ...]:
        """(size, shapes) from `least` up to where one whole period has been regular.

        They end with the error in their place where the net cannot be built.
        """
        if least not in self._checked:
            self._checked[least] = tuple(self._from(least))
        return self._checked[least]

    def _from(self, least: int) -> Iterator[tuple[int, TopShapes | NetError]]:
        regular = 0
        for size in range(least, least + 20 * (self.period + 1000)):
            try:
                known = self.at(size)
            except NetError as error:
                yield size, error
                return
            yield size, known
            regular = regular + 1 if self._regular(known) else 0
            if regular == self.period:
                return

    def _regular(self, known: TopShapes) -> bool:
        """Whether every window lies within its padded input, so that sizes grow evenly."""
        return all(
            size + pad + far >= extent
            for layer in self.windows
            for size, (extent, _, pad, far) in self._sides(layer, known)
        )

    def _sides(self, layer: Layer, known: TopShapes) -> Iterator[tuple[int, tuple]]:
        """The size of each axis that the layer slides along, with its window there."""
        bottom = self._bottoms(layer, known)[0]
        sides = spatial(layer, len(bottom)).sides
        return zip(bottom[len(bottom) - len(sides) :], sides, strict=True)

    def _bottoms(self, layer: Layer, known: TopShapes) -> list[Shape]:
        """The shapes of a layer's bottoms, with what the layer is padded by in addition."""
        shapes = [self._shape(bottom, known) for bottom in layer.bottoms]
        if any(self.more) and layer.index in self.first:
            return [
                (count, channels, height + 2 * self.more[0], width + 2 * self.more[1])
                for count, channels, height, width in shapes
            ]
        return shapes

    def _shape(self, top: Top, known: TopShapes) -> Shape:
        leader = self.same[top]
        return known[top] if leader == top else (*self.shapes[top][:2], *known[leader][2:])


def _inputs(graph: Graph) -> dict[Top, Shape]:
    """The inputs whose sizes are known."""
    return {
        top: shape
        for layer in graph.layers
        if layer.is_input
        for top, shape in zip(layer.tops, layer.input_shapes, strict=True)
        if shape is not None
    }


def _period(places: Mapping[Top, CoordMap], layers: Collection[Layer]) -> int:
    # A window of stride s gives floor((size + pads - extent) / s) + 1 points, rounded up or down,
    # and s more of `size` give just one more. So the least number of pixels that is a whole
    # number of points of every top adds that number to each, at any size that all windows fit.
    tops = [top for layer in layers for top in layer.tops if top in places]
    return lcm(*(scale.denominator for top in tops for scale in places[top].scale))


def _collapsed(
    graph: Graph,
    layers: Collection[Layer],
    inputs: TopShapes,
    places: Mapping[Top, CoordMap],
    first: Collection[int],
) -> tuple[dict[Top, Shape], dict[Top, Top], tuple[Layer, ...]]:
    """Every top's shape at the net's own size,
    a top that always has its size, and the layers that remain.
    """
    shapes, same = dict(inputs), {top: top for top in inputs}
    distinct: list[Layer] = []
    done: dict[tuple, Top] = {}
    for layer in layers:
        shapes.update(_known_tops(layer, shapes))
        flat = all(len(shapes[top]) == 4 for top in (*layer.bottoms, *layer.tops))
        follows = flat and layer.index not in first and all(top in places for top in layer.tops)
        leader = _leader(graph, layer, same, done) if follows else None
        if leader is None:
            distinct.append(layer)
        same.update((top, leader or top) for top in layer.tops)
    return shapes, same, tuple(distinct)


def _known_tops(layer: Layer, known: TopShapes) -> Iterator[tuple[Top, Shape]]:
    """The layer's tops with their shapes.

    Raises NetError where one is not known, or what it follows from is not.
    """
    kind = of(layer)
    lacking = [bottom.blob for bottom in layer.bottoms if bottom not in known]
    if lacking:
        raise layer.error(
            f'the size of its bottom "{lacking[0]}" is not known; write it into the net'
        )
    bottoms = [known[bottom] for bottom in layer.bottoms]
    for top, shape in zip(layer.tops, kind.shapes(layer, bottoms), strict=False):
        if shape is None:
            fact = f'the size of its top "{top.blob}" is not known: {kind.unknown}'
            raise layer.error(f"{fact}; end the net above it with --head")
        yield top, shape


def _leader(
    graph: Graph, layer: Layer, same: Mapping[Top, Top], done: dict[tuple, Top]
) -> Top | None:
    """The top that has this layer's size at every size of the input, None where that is its own."""
    # A top's size depends on its bottom's size and the layer's rule alone (kernel, stride, pad,
    # dilation, rounding). So tops that one rule makes of tops of one size have one size, at every
    # size of the input: the first of them leads, and by induction over the layers it is enough.
    sources = {same[bottom] for bottom in layer.bottoms}
    if len(sources) != 1 or len(carriers(layer)) != len(layer.bottoms):
        return None
    source = sources.pop()
    if not has_window(layer):
        return source if own(graph, layer) == IDENTITY else None
    if keeps_size(layer):
        return source
    made = done.setdefault((size_rule(layer), source), layer.tops[0])
    return None if made == layer.tops[0] else made


class Fit(NamedTuple):
    """The least slack of a Crop, in pixels, and the input size where it is reached.

    Slack is size(cropped) - offset - size(reference) at the far end; the crop
    is valid where it is not negative.  `slack` is None where the net itself
    cannot be built at that size, and `why` says why.
    """

    slack: int | None
    size: int
    why: str = ""

    @property
    def valid(self) -> bool:
        """Whether the crop fits at every size that was looked at."""
        return self.slack is not None and self.slack >= 0


def crop_fit(
    sizes: Sizes, cropped: Track, reference: Track, offset: tuple[int, ...], least: int
) -> Fit:
    """The crop's least slack over every input size from `least` up."""
    found = []
    for size, known in sizes.worth_checking(least):
        if isinstance(known, NetError):
            return Fit(None, size, str(known))
        axes = zip(cropped.size(known), reference.size(known), offset, strict=True)
        found.append(Fit(min(have - start - want for have, want, start in axes), size))
    return min(found)
