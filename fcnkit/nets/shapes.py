"""The shape of every top and every parameter blob of a graph, by Caffe's rules."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod

from fcnkit import expected
from fcnkit.errors import NetError
from fcnkit.nets.declared import Refuse, raising
from fcnkit.nets.graph import Graph, Layer, Top
from fcnkit.nets.layers import table
from fcnkit.nets.layers.axes import show
from fcnkit.nets.layers.traits import MANY, LayerType, Trait
from fcnkit.plural import number_of
from fcnkit.shape import Shape

MAX_AXES = 32
MAX_COUNT = 2**31 - 1


@dataclass(frozen=True, eq=False)
class Shapes:
    """What is known of the sizes in a graph; None where the prototxt does not say."""

    graph: Graph
    tops: Mapping[Top, Shape | None]
    reasons: Mapping[Top, str]
    refused: frozenset[int] = frozenset()
    # What `channels` has found, so that long nets are walked through once.
    _channels: dict[Top, int | None] = field(default_factory=dict, repr=False)

    def bottoms(self, layer: Layer) -> list[Shape] | None:
        """The shapes of a layer's bottoms, None unless all are known and the layer takes them."""
        if layer.index in self.refused:
            return None
        return all_known(self.tops[top] for top in layer.bottoms)

    def channels(self, top: Top) -> int | None:
        """How many channels a top has, though its height and width may not be known.

        The layer that makes them says so; None where none does.
        """
        passed: list[Top] = []
        while top not in self._channels and (below := self._below(top)) is not None:
            passed.append(top)
            top = below
        found = self._channels.setdefault(top, self._own_channels(top))
        self._channels.update(dict.fromkeys(passed, found))
        return found

    def _below(self, top: Top) -> Top | None:
        """The top whose channels a top of unknown size keeps; None where it has its own."""
        layer = self.graph.producer(top)
        if self.tops[top] is not None or table.of(layer).linear:
            return None
        return next(iter(table.channels_of(layer)), None)

    def _own_channels(self, top: Top) -> int | None:
        shape, layer = self.tops[top], self.graph.producer(top)
        if shape is not None:
            return shape[1] if len(shape) > 1 else None
        return table.count_of_outputs(layer) if table.of(layer).linear else None

    def blobs(self, layer: Layer) -> list[Shape] | None:
        """The shapes of a layer's parameters in Caffe's order, None where they are not known."""
        bottoms, kind = self.bottoms(layer), table.TYPES.get(layer.type)
        if kind is None:
            return None
        if bottoms is not None:
            return kind.blobs(layer, bottoms)
        known = self.known_blobs(layer)
        return None if known is None or any(0 in shape for shape in known) else known

    def known_blobs(self, layer: Layer) -> list[Shape] | None:
        """The parameters of a layer whose bottom has channels, and no height or width.

        0 stands for a size that is not known; None where not even their number is.
        """
        kind = table.TYPES.get(layer.type)
        slides = kind is not None and kind.linear and table.has_field(layer, "kernel_size")
        alone = kind is not None and kind.trait is Trait.CHANNEL and len(layer.bottoms) == 1
        if kind is None or not layer.bottoms or layer.index in self.refused or not slides | alone:
            return None
        channels = self.channels(layer.bottoms[0]) or 0
        sizes = layer.param(kind.message).list("kernel_size") if slides else []
        axes = len(sizes) if len(sizes) > 1 else 2  # one size for each axis, or for all
        try:
            return kind.blobs(layer, [(1, channels, *[0] * axes)])
        except NetError:
            return None

    def parameters(self, layer: Layer) -> int | None:
        """How many parameters a layer has, None where that is not known."""
        blobs = self.blobs(layer)
        return None if blobs is None else sum(map(prod, blobs))

    def macs(self, layer: Layer) -> int | None:
        """The multiply-adds of one pass, None where they are not known.

        Convolution, Deconvolution and InnerProduct count; biases do not.
        """
        bottoms, kind = self.bottoms(layer), table.TYPES.get(layer.type)
        tops = all_known(self.tops[top] for top in layer.tops)
        if bottoms is None or tops is None or kind is None:
            return None
        return kind.macs(layer, bottoms, tops)

    def say_it(self, top: Top) -> str:
        """The option that tells the size of a top that is not known, by what it is made from."""
        layer = self.graph.producer(top)
        while before := next((one for one in layer.bottoms if self.tops[one] is None), None):
            top, layer = before, self.graph.producer(before)
        if layer.bottoms:
            return f"give it with --input, as in --input {top.blob}=N,C,H,W"
        return f"give it with --input, as in --input {top.blob}=1,3,227,227"

    def reason(self, top: Top) -> str:
        """Why a top's shape is not known; "" where it is."""
        return self.reasons.get(top, "")


def all_known(shapes: Iterable[Shape | None]) -> list[Shape] | None:
    """The shapes, None where one of them is not known."""
    every = list(shapes)
    known = [shape for shape in every if shape is not None]
    return known if len(known) == len(every) else None


def shapes_of(
    graph: Graph, inputs: Mapping[str, Shape] | None = None, *, refuse: Refuse = raising
) -> Shapes:
    """The shape of every top, from the inputs' on, in time linear in the layers.

    `inputs` gives shapes by blob name: those of an Input or data layer, in
    place of what the prototxt says, and those that cannot be inferred.

    Raises NetError for a blob that there is not, and at the layer where Caffe
    would find that sizes cannot be; or tells `refuse` of the latter, and takes
    the layer's tops as unknown.
    """
    if inputs or refuse is not raising:
        return _inferred(graph, expected.shapes(inputs or {}), refuse)
    return _own(graph)


@lru_cache(maxsize=4)
def _own(graph: Graph) -> Shapes:
    """The shapes at the net's own sizes, which are asked for again and again."""
    return _inferred(graph, {}, raising)


def _inferred(graph: Graph, inputs: Mapping[str, Shape], refuse: Refuse) -> Shapes:
    wanted = _overrides(graph, inputs)
    tops: dict[Top, Shape | None] = {}
    reasons: dict[Top, str] = {}
    refused: set[int] = set()
    for layer in graph.layers:
        try:
            _add(layer, wanted, tops, reasons)
        except NetError as error:
            refuse("shape", error)
            refused.add(layer.index)
            tops.update(dict.fromkeys(layer.tops))
            reasons.update(dict.fromkeys(layer.tops, str(error)))
    return Shapes(graph, tops, reasons, frozenset(refused))


def _add(
    layer: Layer,
    wanted: Mapping[Top, Shape],
    tops: dict[Top, Shape | None],
    reasons: dict[Top, str],
) -> None:
    """The layer's tops are in `tops`, and in `reasons` where they are not known."""
    kind = table.of(layer)
    check_counts(layer, kind)
    found = _follow(layer, _shapes(layer, kind, tops), wanted)
    for top, shape in zip(layer.tops, found, strict=True):
        known = tops[top] = _override(layer, shape, wanted.get(top))
        if known is None:
            reasons[top] = _reason(layer, kind, tops, reasons)
        else:
            _check_size(layer, top, known)


def _shapes(layer: Layer, kind: LayerType, tops: Mapping[Top, Shape | None]) -> list[Shape | None]:
    bottoms = all_known(tops[top] for top in layer.bottoms)
    if bottoms is None:
        return [None] * len(layer.tops)
    return [*kind.shapes(layer, bottoms)[: len(layer.tops)]]


def _overrides(graph: Graph, inputs: Mapping[str, Shape]) -> dict[Top, Shape]:
    """The given shapes by the first top of each blob, which in-place layers take over."""
    first: dict[str, Top] = {}
    for top in graph.tops:
        first.setdefault(top.blob, top)
    return {first.get(blob) or graph.top(blob): tuple(shape) for blob, shape in inputs.items()}


def _override(layer: Layer, shape: Shape | None, wanted: Shape | None) -> Shape | None:
    if wanted is None or shape == wanted:
        return shape
    if shape is not None and layer.bottoms:
        fact = f"its top is {show(shape)}, not the given {show(wanted)}"
        raise layer.error(f"{fact}; give shapes for inputs only")
    return wanted


def _follow(
    layer: Layer, shapes: list[Shape | None], wanted: Mapping[Top, Shape]
) -> list[Shape | None]:
    """The tops beside images of a given shape are as that shape makes them."""
    given = wanted.get(layer.tops[0]) if layer.tops and not layer.bottoms else None
    return [*table.of(layer).beside(layer, shapes, given)] if given else shapes


def _reason(
    layer: Layer,
    kind: LayerType,
    tops: Mapping[Top, Shape | None],
    reasons: Mapping[Top, str],
) -> str:
    for top in layer.bottoms:
        if tops[top] is None:
            return reasons[top]
    return f'layer "{layer.name}" on line {layer.line}: {kind.unknown}'


def check_counts(layer: Layer, kind: LayerType) -> None:
    """NetError where the layer has more bottoms or tops than its type takes, or fewer."""
    for word, (least, most), tops in (
        ("bottom", kind.bottoms, layer.bottoms),
        ("top", kind.tops, layer.tops),
    ):
        if not least <= len(tops) <= most:
            plural = "s" * ((least, most) != (1, 1))
            fact = f"{layer.type} takes {_range(least, most)} {word}{plural} and has {len(tops)}"
            raise layer.error(f"{fact}; {'add' if len(tops) < least else 'remove'} {word}s")
    if kind.paired and len(layer.bottoms) != len(layer.tops):
        fact = f"{number_of(len(layer.bottoms), 'bottom')} and {number_of(len(layer.tops), 'top')}"
        raise layer.error(f"{fact}; give one top for each bottom")


def _range(least: int, most: int) -> str:
    if most == MANY:
        return f"{least} or more"
    return f"{least}" if least == most else f"{least} to {most}"


def _check_size(layer: Layer, top: Top, shape: Shape) -> None:
    fact = f'its top "{top.blob}" would be {show(shape)}'
    if min(shape, default=0) < 0:
        raise layer.error(f"{fact}; give sizes that are not negative")
    if len(shape) > MAX_AXES or prod(shape) > MAX_COUNT:
        limit = f"at most {MAX_AXES} axes and {MAX_COUNT:,} values"
        raise layer.error(f"{fact} and Caffe takes {limit}; make it smaller")
