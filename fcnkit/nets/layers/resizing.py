"""Layers of forks that make a map larger or smaller: Interp, Upsample, padding and nearest pixels.

Each rule is that of the fork's layer.
"""

from fractions import Fraction
from math import floor

from fcnkit.errors import NetError
from fcnkit.formats.schema import View
from fcnkit.nets.coordmap import CoordMap
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.axes import four, show
from fcnkit.nets.layers.sliding import Window
from fcnkit.nets.layers.traits import first
from fcnkit.plural import number_of
from fcnkit.shape import Shape


def _sized(layer: Layer, shape: Shape, sizes: tuple[int, ...]) -> list[Shape]:
    if min(sizes) < 1:
        raise layer.error(f"a {show(shape[2:])} input would give {show(sizes)}; enlarge the input")
    return [(*shape[:2], *sizes)]


def interp(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """Resized bilinearly, the corner points kept, after pad_beg and pad_end cut the border.

    To the size of a second bottom, where there is one.
    """
    shape, param = four(layer, bottoms[0]), layer.param("interp_param")
    if len(bottoms) > 1:
        return _sized(layer, shape, four(layer, bottoms[1])[2:])
    cut = (param.get("pad_beg"), param.get("pad_end"))
    if max(cut) > 0:
        raise layer.error(f"pad_beg and pad_end are {show(cut)}; Interp only crops: give 0 or less")
    sizes = tuple(size + sum(cut) for size in shape[2:])
    if min(sizes) < 1:
        raise layer.error(f"pad_beg and pad_end leave {show(sizes)} of {show(shape[2:])}; cut less")
    return _sized(layer, shape, _interpolated(layer, param, sizes))


def _interpolated(layer: Layer, param: View, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """shrink_factor s: (in - 1) / s + 1, then zoom_factor z:
    (in - 1) z + 1; or height and width.
    """
    if _by_size(param):
        return param.get("height"), param.get("width")
    if param.says("zoom_factor", "shrink_factor"):
        zoom, shrink = _factors(layer, param)
        return tuple((size - 1) // shrink * zoom + 1 for size in sizes)
    if param.has("full_zoom_factor"):
        return tuple(size * param.get("full_zoom_factor") for size in sizes)
    raise layer.error("it has no size; give zoom_factor, shrink_factor, or height and width")


def _factors(layer: Layer, param: View) -> tuple[int, int]:
    zoom, shrink = param.get("zoom_factor"), param.get("shrink_factor")
    if min(zoom, shrink) < 1:
        raise layer.error(f"zoom_factor {zoom} and shrink_factor {shrink}; give at least 1")
    return zoom, shrink


def interp_coord(layer: Layer, ndim: int) -> CoordMap | None:
    """Scale zoom / shrink from the first point that is not cut.

    It is exact where shrink divides the size less 1, for which such nets are
    made.  NetError where a size is given: the scale then depends on the bottom's.
    """
    param = layer.param("interp_param")
    if len(layer.bottoms) > 1 or _by_size(param):
        what = "its second bottom's" if len(layer.bottoms) > 1 else "the same"
        fact = f"it makes {what} size of every input"
        raise layer.error(f"{fact}; give it zoom_factor or shrink_factor instead of a size")
    if not param.says("zoom_factor", "shrink_factor"):
        return None
    zoom, shrink = _factors(layer, param)
    scale = Fraction(zoom, shrink)
    return CoordMap.of([(scale, scale * param.get("pad_beg"))] * 2)


def _by_size(param: View) -> bool:
    sized = param.has("height") and param.has("width")
    return sized and param.has("zoom_factor") == param.has("shrink_factor")


def interp_window(layer: Layer, ndim: int = 4) -> Window | None:
    """Two bottom points on each axis meet in a top point."""
    try:
        place = interp_coord(layer, ndim)
    except NetError:
        return None
    return None if place is None else tuple((2, 1 / scale) for scale in place.scale)


def padding(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """pad_beg and pad_end points more on both axes, or fewer where they are negative."""
    shape, param = four(layer, bottoms[0]), layer.param("padding_param")
    more = (param.get("pad_beg"), param.get("pad_end"))
    if min(more) < 0 < max(more):
        raise layer.error(f"pad_beg and pad_end are {show(more)}; give both the same sign")
    return _sized(layer, shape, tuple(size + sum(more) for size in shape[2:]))


def padding_coord(layer: Layer, ndim: int) -> CoordMap | None:
    """Shift pad_beg."""
    return CoordMap.of([(Fraction(1), Fraction(layer.param("padding_param").get("pad_beg")))] * 2)


def pad(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """Each axis with its two paddings."""
    shape, paddings = bottoms[0], layer.param("pad_param").list("paddings")
    if len(paddings) != 2 * len(shape):
        raise layer.error(
            f"{number_of(len(paddings), 'padding')} for {number_of(len(shape), 'axis', 'axes')}; "
            "give two for each"
        )
    return [tuple(sum(axis) for axis in zip(shape, paddings[::2], paddings[1::2], strict=True))]


def pad_coord(layer: Layer, ndim: int) -> CoordMap | None:
    """Shift by the padding before each spatial axis."""
    before = layer.param("pad_param").list("paddings")[:-1:2][2:]
    return CoordMap.of((Fraction(1), Fraction(value)) for value in before)


def upsample(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """upsample_h x upsample_w, or `scale` times the size; a second bottom is the pooling's mask."""
    shape, param = four(layer, bottoms[0]), layer.param("upsample_param")
    if len(bottoms) > 1 and bottoms[1] != shape:
        raise layer.error(_other_mask(layer, shape, bottoms[1]))
    if param.has("upsample_h") and param.has("upsample_w"):
        return _sized(layer, shape, (param.get("upsample_h"), param.get("upsample_w")))
    fewer = (param.get("pad_out_h"), param.get("pad_out_w"))
    scaled = zip(shape[2:], _upsampling(layer), fewer, strict=True)
    return _sized(layer, shape, tuple(size * scale - less for size, scale, less in scaled))


def _other_mask(layer: Layer, shape: Shape, mask: Shape) -> str:
    """What is wrong where the mask has another shape than the bottom.

    A pooling of an odd size rounds up, and the Upsample that undoes it makes a
    row or a column more than there was.
    """
    fact = f"its mask is {show(mask)} and its bottom {show(shape)}"
    more = [size - wanted for size, wanted in zip(shape[2:], mask[2:], strict=False)]
    if shape[:2] != mask[:2] or len(mask) != 4 or set(more) - {0, 1}:
        return f"{fact}; take the mask of the pooling that reduced this size"
    sides = [side for side, over in zip("hw", more, strict=True) if over]
    what = " and ".join({"h": "a row", "w": "a column"}[side] for side in sides)
    rest = ", ".join(f"pad_out_{side}: true" for side in sides)
    size = f"upsample_h: {mask[2]} upsample_w: {mask[3]}"
    return f"{fact}: the Upsample before it makes {what} too many; give that one {size}, or {rest}"


def _upsampling(layer: Layer) -> tuple[int, int]:
    """The factor of each axis: that of the layer's own type."""
    if layer.type == "UpsampleDarknet":
        return (layer.param("upsample_darknet_param").get("stride"),) * 2
    param = layer.param("upsample_param")
    pair = ("scale_h", "scale_w") if param.has("scale_h") else ("scale", "scale")
    factors = tuple(map(param.get, pair))
    if min(factors) < 1:
        raise layer.error(f"its scale is {show(factors)}; give at least 1")
    return factors


def upsample_darknet(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """`stride` times the size."""
    shape, scale = four(layer, bottoms[0]), _upsampling(layer)
    return _sized(
        layer, shape, tuple(size * times for size, times in zip(shape[2:], scale, strict=True))
    )


def upsample_coord(layer: Layer, ndim: int) -> CoordMap | None:
    """Scale s and shift (s - 1) / 2: the inverse of a pooling by s.

    SegNet writes sizes for masks of uneven sizes, and pools by its scale all the same.
    """
    return CoordMap.of((Fraction(s), Fraction(s - 1, 2)) for s in _upsampling(layer))


def upsample_window(layer: Layer, ndim: int = 4) -> Window | None:
    """One bottom point."""
    return tuple((1, Fraction(1, s)) for s in _upsampling(layer))


def resize_nearest(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """output_height x output_width, or the scales' times the size, at the data_format's axes."""
    shape, param = four(layer, bottoms[0]), layer.param("resize_nearest_neighbor_param")
    first = 1 if param.get("data_format") == "NHWC" else 2
    sizes = tuple(
        param.get(f"output_{name}") or floor(shape[axis] * param.get(f"scale_{name}"))
        for axis, name in enumerate(("height", "width"), first)
    )
    return [(*shape[:first], *sizes, *shape[first + 2 :])]


def resize_channels(layer: Layer) -> tuple[int, ...]:
    """Its bottom's, where channels are the second axis."""
    nchw = layer.param("resize_nearest_neighbor_param").get("data_format") != "NHWC"
    return first(layer) if nchw else ()


def pad_channels(layer: Layer) -> tuple[int, ...]:
    """Its bottom's, where neither images nor channels are added."""
    return () if any(layer.param("pad_param").list("paddings")[:4]) else first(layer)


def pads_with_zero(layer: Layer) -> bool:
    """Whether what is added is zero."""
    return layer.param("pad_param").get("constant_values") == 0
