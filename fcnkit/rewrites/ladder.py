"""The tops from which scores are added on their way up to the image, one for each stride."""

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from fcnkit.errors import AlignError, NetError
from fcnkit.nets import coords
from fcnkit.nets.coordmap import CoordMap, show
from fcnkit.nets.graph import Graph, Layer, Top
from fcnkit.nets.layers.table import of, trait
from fcnkit.nets.layers.traits import Trait
from fcnkit.plan import Step


class Rung(NamedTuple):
    """One finer resolution on the way up: its stride, the top to add, and the factor from below."""

    stride: int
    top: str
    factor: int


class Apart(AlignError):
    """Branches lie apart, which may be accepted."""


def ladder(graph: Graph, stride: int, scores: str, *, loose: bool = False) -> list[Rung]:
    """The tops that scores are added from, coarsest first; the last is the image.

    At each stride the deepest top that ends a block (a pooling, concatenation
    or sum, with the in-place layers after it), or the deepest of all where
    none does.  `loose` accepts branches that lie apart.

    Raises NetError where there is no such stride, AlignError where branches lie apart.
    """
    start = graph.inputs[0]
    score = graph.top(scores)
    if not loose:
        _check_branches(graph, start, score)
    strides = _strides(graph, start, score)
    if score not in strides:
        coords.between(graph, start, score, loose=loose)
    own = strides[score]
    finer = sorted({value for value in strides.values() if stride <= value < own}, reverse=True)
    if own != stride and stride not in finer:
        there = sorted({value for value in strides.values() if 1 < value <= own}, reverse=True)
        which = ", ".join(map(str, there)) or "stride 1 only"
        fact = (
            f"its scores already have stride {own}, finer than"
            if stride > own > 1
            else "no layer has stride"
        )
        raise NetError(f"{graph.prototxt.path}: {fact} {stride}; choose from {which}")
    rungs = [
        Rung(int(value), _deepest(graph, strides, value).blob, int(below / value))
        for below, value in zip([own, *finer], finer, strict=False)
    ]
    return [*rungs, Rung(1, start.blob, int([own, *finer][-1]))]


def _check_branches(graph: Graph, start: Top, score: Top) -> None:
    found = coords.apart(graph, start, score)
    if found:
        layer, distance = found[0]
        rest = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        fact = layer.error(f"its branches lie {show(distance)} pixels of the image apart{rest}")
        raise Apart(f"{fact}; make their pads and kernels agree")


def _strides(graph: Graph, start: Top, score: Top) -> dict[Top, Fraction]:
    """Image pixels per pixel of each top that leads to the scores."""
    up = coords.upward(graph, score, loose=True).maps
    down = coords.downward(graph, start, loose=True)
    return {top: 1 / min(down[top].scale, default=Fraction(1)) for top in down if top in up}


def _deepest(graph: Graph, strides: Mapping[Top, Fraction], stride: Fraction) -> Top:
    tops = [top for top in strides if strides[top] == stride and graph.top(top.blob) == top]
    ends = [top for top in tops if _ends_block(_maker(graph, top))]
    return max(ends or tops, key=lambda top: top.layer)


def _ends_block(layer: Layer) -> bool:
    """Whether a block of layers ends here, from which a skip starts: a pooling, or a joint."""
    return trait(layer) is Trait.PLACES or len(of(layer).carriers(layer)) > 1


def _maker(graph: Graph, top: Top) -> Layer:
    """The layer that made the blob, past the in-place layers after it."""
    layer = graph.producer(top)
    while layer.bottoms and layer.bottoms[0].blob == top.blob:
        layer = graph.producer(layer.bottoms[0])
    return layer


def score_place(graph: Graph, scores: str) -> CoordMap:
    """The map from the image to the scores."""
    return coords.between(graph, graph.inputs[0], graph.top(scores), loose=True)


def accepted(graph: Graph, scores: str) -> list[Step]:
    """A step for each layer whose branches lie apart, which the scores need."""
    return [
        Step(
            "keep",
            layer.name,
            layer.line,
            f"{layer.type}, misaligned",
            f"its branches lie {show(distance)} pixels of the image apart; its first counts",
        )
        for layer, distance in coords.apart(graph, graph.inputs[0], graph.top(scores))
    ]
