"""Where the tops of a graph lie over one another, exactly."""

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from fcnkit.errors import AlignError, NetError
from fcnkit.nets.coordmap import IDENTITY, CoordMap, show
from fcnkit.nets.graph import Graph, Layer, Top
from fcnkit.nets.layers.table import makes_scores, of
from fcnkit.nets.layers.traits import nowhere
from fcnkit.nets.shapes import shapes_of
from fcnkit.shape import Shape


def own(graph: Graph, layer: Layer) -> CoordMap | None:
    """The layer's map from its bottoms to its tops; None where it has none, or Caffe refuses it."""
    try:
        return of(layer).coord(layer, axes(graph, layer))
    except NetError:
        return None


def axes(graph: Graph, layer: Layer) -> int:
    """How many axes the layer's first bottom has; 4, an image's, where that is not known."""
    known = _counts(graph).get(layer.bottoms[0]) if layer.bottoms else None
    if known is not None:
        return known
    sizes = layer.param("convolution_param").list("kernel_size")  # one for each axis, or for all
    return 2 + len(sizes) if len(sizes) > 1 else 4


@lru_cache(maxsize=4)
def _counts(graph: Graph) -> Mapping[Top, int]:
    """How many axes tops have, as far as it is known: of a layer that Caffe refuses, its
    bottom's.
    """
    shapes, found = _shapes(graph), dict[Top, int]()
    for layer in graph.layers:
        below = found.get(layer.bottoms[0]) if layer.bottoms else None
        kept = below if of(layer).coord is not nowhere else None
        for top in layer.tops:
            shape = shapes[top]
            count = kept if shape is None else len(shape)
            if count is not None:
                found[top] = count
    return found


@lru_cache(maxsize=4)
def _shapes(graph: Graph) -> Mapping[Top, Shape | None]:
    """The shapes of the tops, as far as they are known: where Caffe refuses a layer, too."""
    try:
        return shapes_of(graph).tops
    except NetError:
        return shapes_of(graph, refuse=lambda fault, error: None).tops


def carriers(layer: Layer) -> list[Top]:
    """The bottoms whose coordinates the layer's tops keep.

    A Crop's reference gives its size only: it is not among them.
    """
    return [layer.bottoms[index] for index in of(layer).carriers(layer)]


class Reach(NamedTuple):
    """Maps to (or from) all tops that can be reached, and where the way ended."""

    maps: dict[Top, CoordMap]
    stops: tuple[Layer, ...]


def upward(graph: Graph, top: Top, *, loose: bool = False) -> Reach:
    """The map from `top` to each of its ancestors, all paths checked to agree.

    Raises AlignError where two paths to one ancestor give different maps, or with
    `loose` different scales; of maps that lie apart the first counts.
    """
    maps, stops = {top: IDENTITY}, []
    for layer in reversed(graph.layers[: top.layer + 1]):
        reached = [maps[each] for each in layer.tops if each in maps]
        if not reached:
            continue
        bottoms = carriers(layer)
        step = own(graph, layer) if bottoms else None
        if step is None:
            stops.append(layer)
            continue
        back = step.inverse()
        for here in reached:
            for bottom in bottoms:
                _agree(maps, bottom, here.then(back), layer, top, loose)
    return Reach(maps, tuple(stops))


@lru_cache(maxsize=4)
def downward(graph: Graph, top: Top, *, loose: bool = False) -> Mapping[Top, CoordMap]:
    """The map from `top` to each top below it, as far as coordinates carry.

    Where branches disagree the later top is left out, with all below it.  With
    `loose` they may lie apart, and the first one counts.
    """
    maps = {top: IDENTITY}
    for layer in graph.layers[top.layer + 1 :]:
        here = [maps[bottom] for bottom in carriers(layer) if bottom in maps]
        step = own(graph, layer) if here else None
        if step is not None and all(_alike(here[0], other, loose) for other in here):
            below = here[0].then(step)
            maps.update((each, below) for each in layer.tops)
    return maps


def _alike(one: CoordMap, other: CoordMap, loose: bool) -> bool:
    if one is other or one == other:
        return True
    return loose and len(one.scale) == len(other.scale) and one.scale == other.scale


def apart(graph: Graph, start: Top, end: Top) -> list[tuple[Layer, tuple[Fraction, ...]]]:
    """The layers on the ways from `start` to `end` whose branches lie apart, and how far.

    The distance is in pixels of `start`, on each axis.
    """
    down, found = downward(graph, start, loose=True), []
    up = upward(graph, end, loose=True).maps
    for layer in graph.layers:
        here = [down[bottom] for bottom in carriers(layer) if bottom in down and bottom in up]
        if any(other != here[0] for other in here[1:]) and any(top in up for top in layer.tops):
            shifts = zip(*(each.inverse().shift for each in here), strict=False)
            found.append((layer, tuple(max(axis) - min(axis) for axis in shifts)))
    return found


def between(graph: Graph, start: Top, end: Top, *, loose: bool = False) -> CoordMap:
    """The map from coordinates of `start` to coordinates of `end`.

    It goes through every common ancestor of the two, and all must agree, or with
    `loose` may lie apart.  Raises AlignError when there is none or they do not.
    """
    up, other = upward(graph, start, loose=loose), upward(graph, end, loose=loose)
    found: dict[CoordMap, Top] = {}
    for common in up.maps.keys() & other.maps.keys():
        found[up.maps[common].then(other.maps[common].inverse())] = common
    if not found:
        raise AlignError(_unconnected(graph, start, end, up.stops + other.stops))
    if len(found) > 1 and not loose:
        raise AlignError(_disagree(graph, start, end, found))
    return next(iter(found))


def offset(graph: Graph, cropped: Top, reference: Top, ndim: int = 2) -> tuple[Fraction, ...]:
    """Where the reference's first pixel lies in `cropped`, per spatial axis.

    The numbers are exact and may be fractions or negative: `whole` checks
    them.  Raises AlignError when the two tops differ in scale or have no map.
    """
    back = between(graph, reference, cropped)
    if any(scale != 1 for scale in back.scale):
        raise AlignError(
            f'{graph.prototxt.path}: "{cropped.blob}" has {show(back.scale)} times the '
            f"resolution of "
            f'"{reference.blob}", but a Crop needs the same; change a stride between them'
        )
    return ((Fraction(0),) * ndim + back.shift)[-ndim:]


def whole(
    graph: Graph, cropped: Top, reference: Top, exact: tuple[Fraction, ...]
) -> tuple[int, ...]:
    """The offsets as the whole, non-negative numbers that a Crop takes.

    Raises AlignError with the remedy: another kernel for a fraction, padding
    for a negative number.
    """
    producer, what = graph.producer(cropped), f'cropping "{cropped.blob}" to "{reference.blob}"'
    if any(value.denominator != 1 for value in exact):
        fact = f"{what} needs the offset {show(exact)}, not a whole number"
        raise _error(producer, f"{fact}; {_kernel_remedy(graph, cropped, exact)}")
    if any(value < 0 for value in exact):
        fact = f"{what} needs the offset {show(exact)}, a negative number"
        raise _error(producer, f"{fact}; {pad_remedy(graph, cropped, -min(exact))}")
    return tuple(map(int, exact))


def _kernel_remedy(graph: Graph, cropped: Top, exact: tuple[Fraction, ...]) -> str:
    maps = upward(graph, cropped).maps
    for layer in reversed(graph.layers):
        if of(layer).spreads and layer.tops[0] in maps:
            view = layer.param("convolution_param")
            kernel, stride = (view.list("kernel_size") or [0])[0], (view.list("stride") or [1])[0]
            if all(value.denominator == 2 for value in exact) and kernel:
                better = 2 * stride - 1 if kernel != 2 * stride - 1 else 2 * stride
                return f'give layer "{layer.name}" kernel_size {better} instead of {kernel}'
    return "make a kernel or a pad between them odd instead of even, or the reverse"


def pad_remedy(graph: Graph, top: Top, missing: Fraction) -> str:
    """What makes a top begin so many of its pixels earlier."""
    maps = upward(graph, top).maps
    for layer in graph.layers:
        if makes_scores(layer) and layer.tops[0] in maps:
            here = own(graph, layer) or IDENTITY
            scale = max(here.then(maps[layer.tops[0]].inverse()).scale, default=Fraction(1))
            more = missing / scale
            return f'pad layer "{layer.name}" by {-(-more.numerator // more.denominator)} more'
    return "crop the other top, or pad the net's first layer"


def _error(layer: Layer, fact: str) -> AlignError:
    return AlignError(str(layer.error(fact)))


def _agree(maps: dict, bottom: Top, here: CoordMap, layer: Layer, top: Top, loose: bool) -> None:
    known = maps.setdefault(bottom, here)
    if not _alike(known, here, loose):
        fact = (
            f'from "{top.blob}" to "{bottom.blob}" one path gives {known} and the path '
            f"through here {here}"
        )
        raise _error(layer, f"{fact}; make the pads and kernels of the branches agree")


def _unconnected(graph: Graph, start: Top, end: Top, stops: tuple[Layer, ...]) -> str:
    fact = f'positions in "{start.blob}" cannot be mapped to "{end.blob}"'
    for layer in stops:
        why, _, remedy = _no_map(graph, layer).partition("; ")
        if remedy:
            return f"{why}, so {fact}; {remedy}"
    where = ", ".join(
        f'"{layer.name}" ({layer.type}, line {layer.line})' for layer in dict.fromkeys(stops)
    )
    return (
        f"{graph.prototxt.path}: {fact}; "
        f"the paths end at {where or 'the inputs'}; take tops that are computed from the same "
        "blob by convolutions"
    )


def _no_map(graph: Graph, layer: Layer) -> str:
    """What a layer itself says of why it has no map, "" where it says nothing."""
    try:
        of(layer).coord(layer, axes(graph, layer))
    except NetError as error:
        return str(error)
    return ""


def _disagree(graph: Graph, start: Top, end: Top, found: Mapping[CoordMap, Top]) -> str:
    ways = " and ".join(f'{each} through "{top.blob}"' for each, top in found.items())
    return (
        f'{graph.prototxt.path}: from "{start.blob}" to "{end.blob}" there is {ways}; '
        "make the pads and kernels of the branches agree"
    )
