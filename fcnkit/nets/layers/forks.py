"""Shapes and coordinates of the layer types that forks of Caffe add.

Each rule is that of the fork's layer; where two forks give one name to
different layers, what the layer says tells them apart.
"""

from fractions import Fraction
from math import floor, prod

from fcnkit.formats.schema import View
from fcnkit.nets.coordmap import IDENTITY, CoordMap
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers import normal, rearrange
from fcnkit.nets.layers.axes import canonical, four, show
from fcnkit.nets.layers.windows import Window
from fcnkit.shape import Shape


def _channels(layer: Layer, shape: Shape) -> int:
    return shape[canonical(layer, 1, len(shape))]


def _sized(layer: Layer, shape: Shape, sizes: tuple[int, ...]) -> list[Shape]:
    if min(sizes) < 1:
        raise layer.error(f"a {show(shape[2:])} input would give {show(sizes)}; enlarge the input")
    return [(*shape[:2], *sizes)]


# ---- resizing: DeepLab's Interp and Padding, everyone's Upsample


def interp(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """Resized bilinearly, the corner points kept, after pad_beg and pad_end cut the border."""
    shape, param = four(layer, bottoms[0]), layer.param("interp_param")
    cut = (param.get("pad_beg"), param.get("pad_end"))
    if max(cut) > 0:
        raise layer.error(
            f"pad_beg and pad_end are {show(cut)}; Interp only cuts: give them at most 0"
        )
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
    raise layer.error("it says no size; give zoom_factor, shrink_factor, or height and width")


def _factors(layer: Layer, param: View) -> tuple[int, int]:
    zoom, shrink = param.get("zoom_factor"), param.get("shrink_factor")
    if min(zoom, shrink) < 1:
        raise layer.error(f"zoom_factor {zoom} and shrink_factor {shrink}; give at least 1")
    return zoom, shrink


def interp_coord(layer: Layer, ndim: int) -> CoordMap | None:
    """Scale zoom / shrink from the first point that is not cut.

    It is exact where shrink divides the size less 1, for which such nets are
    made.  None where a size is given: the scale then depends on the bottom's.
    """
    param = layer.param("interp_param")
    if _by_size(param) or not param.says("zoom_factor", "shrink_factor"):
        return None
    zoom, shrink = _factors(layer, param)
    scale = Fraction(zoom, shrink)
    return CoordMap.of([(scale, scale * param.get("pad_beg"))] * 2)


def _by_size(param: View) -> bool:
    sized = param.has("height") and param.has("width")
    return sized and param.has("zoom_factor") == param.has("shrink_factor")


def interp_window(layer: Layer, ndim: int = 4) -> Window | None:
    """Two bottom points on each axis meet in a top point."""
    place = interp_coord(layer, ndim)
    return None if place is None else tuple((2, 1 / scale) for scale in place.scale)


def padding(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """pad_beg and pad_end points more on both axes, or fewer where they are negative."""
    shape, param = four(layer, bottoms[0]), layer.param("padding_param")
    more = (param.get("pad_beg"), param.get("pad_end"))
    if min(more) < 0 < max(more):
        raise layer.error(f"pad_beg and pad_end are {show(more)}; give both one sign")
    return _sized(layer, shape, tuple(size + sum(more) for size in shape[2:]))


def padding_coord(layer: Layer, ndim: int) -> CoordMap | None:
    """Shift pad_beg."""
    return CoordMap.of([(Fraction(1), Fraction(layer.param("padding_param").get("pad_beg")))] * 2)


def pad(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """Each axis with its two paddings."""
    shape, paddings = bottoms[0], layer.param("pad_param").list("paddings")
    if len(paddings) != 2 * len(shape):
        raise layer.error(f"{len(paddings)} paddings for {len(shape)} axes; give two for each")
    return [tuple(sum(axis) for axis in zip(shape, paddings[::2], paddings[1::2], strict=True))]


def pad_coord(layer: Layer, ndim: int) -> CoordMap | None:
    """Shift by the padding before each spatial axis."""
    before = layer.param("pad_param").list("paddings")[:-1:2][2:]
    return CoordMap.of((Fraction(1), Fraction(value)) for value in before)


def upsample(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """upsample_h x upsample_w, or `scale` times the size; a second bottom is the pooling's mask."""
    shape, param = four(layer, bottoms[0]), layer.param("upsample_param")
    if len(bottoms) > 1 and bottoms[1] != shape:
        fact = f"its mask is {show(bottoms[1])} and its bottom {show(shape)}"
        raise layer.error(f"{fact}; take the mask of the pooling that made this size")
    if param.has("upsample_h") and param.has("upsample_w"):
        return _sized(layer, shape, (param.get("upsample_h"), param.get("upsample_w")))
    fewer = (param.get("pad_out_h"), param.get("pad_out_w"))
    scaled = zip(shape[2:], _upsampling(layer), fewer, strict=True)
    return _sized(layer, shape, tuple(size * scale - less for size, scale, less in scaled))


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


# ---- channels to places and back


def shuffled(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The bottom's shape; `group` divides its channels."""
    group, channels = (
        layer.param("shuffle_channel_param").get("group"),
        _channels(layer, bottoms[0]),
    )
    if group < 1 or channels % group:
        raise layer.error(
            f"group {group} does not divide its {channels} channels; give one that does"
        )
    return bottoms[:1]


def depth_to_space(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """block_size times the height and width, from as many channels."""
    param = layer.param("depth_to_space_param")
    block, shape = param.get("block_size"), four(layer, bottoms[0])
    if param.get("data_format") != "NHWC":
        return [_finer(layer, shape, block)]
    batch, height, width, channels = shape
    _, channels, height, width = _finer(layer, (batch, channels, height, width), block)
    return [(batch, height, width, channels)]


def _finer(layer: Layer, shape: Shape, block: int) -> Shape:
    batch, channels, height, width = shape
    if block < 1 or channels % block**2:
        raise layer.error(
            f"blocks of {block} do not divide its {channels} channels; give ones that do"
        )
    return batch, channels // block**2, height * block, width * block


def depth_to_space_coord(layer: Layer, ndim: int) -> CoordMap | None:
    """Scale b and shift (b - 1) / 2; None where the spatial axes are not the last."""
    param = layer.param("depth_to_space_param")
    block = param.get("block_size")
    nchw = param.get("data_format") != "NHWC"
    return CoordMap.of([(Fraction(block), Fraction(block - 1, 2))] * 2) if nchw else None


def depth_to_space_window(layer: Layer, ndim: int = 4) -> Window | None:
    """One bottom point; None where the spatial axes are not the last."""
    place = depth_to_space_coord(layer, ndim)
    return None if place is None else tuple((1, 1 / scale) for scale in place.scale)


def reshape(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """Caffe's Reshape, or with a fork's pixelshuffler as DepthToSpace."""
    param = layer.param("reshape_param")
    if param.says("pixelshuffler") and param.get("pixelshuffler") != 1:
        return [_finer(layer, four(layer, bottoms[0]), param.get("pixelshuffler"))]
    return rearrange.reshape(layer, bottoms)


def reorg(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """Darknet's: stride^2 the channels at a size divided by stride, or back with `reverse`."""
    shape, param = four(layer, bottoms[0]), layer.param("reorg_param")
    stride = param.get("stride")
    if param.get("reverse"):
        return [_finer(layer, shape, stride)]
    batch, channels, *sizes = shape
    if stride < 1 or any(size % stride for size in sizes):
        raise layer.error(
            f"stride {stride} does not divide {show(tuple(sizes))}; give one that does"
        )
    return [(batch, channels * stride**2, *(size // stride for size in sizes))]


def permute(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The bottom's axes in another order."""
    shape = bottoms[0]
    return [tuple(shape[axis] for axis in _order(layer, len(shape)))]


def _order(layer: Layer, ndim: int) -> list[int]:
    order = layer.param("permute_param").list("order")
    if len(set(order)) != len(order) or max(order, default=0) >= ndim:
        raise layer.error(
            f"its order is {order} for {ndim} axes; name each of 0 to {ndim - 1} at most once"
        )
    return order + [axis for axis in range(ndim) if axis not in order]


def permute_coord(layer: Layer, ndim: int) -> CoordMap | None:
    """Unmoved where the spatial axes stay where they are; None elsewhere."""
    return IDENTITY if _order(layer, ndim)[2:] == list(range(2, ndim)) else None


def permute_window(layer: Layer, ndim: int = 4) -> Window | None:
    """One point where the spatial axes stay where they are; None elsewhere."""
    return None if permute_coord(layer, ndim) is None else ()


def squeeze(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """Without the named axes, which have size 1; without all such where none is named."""
    shape = bottoms[0]
    named = layer.param("squeeze_param").list("axis")
    axes = {canonical(layer, axis, len(shape)) for axis in named}
    if any(shape[axis] != 1 for axis in axes):
        raise layer.error(f"axes {sorted(axes)} of {show(shape)} are not all 1; name only such")
    return [tuple(n for axis, n in enumerate(shape) if (axis not in axes if named else n != 1))]


# ---- two operands


def axpy(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """factor * x + y: x's shape; one factor for each channel of each item."""
    factor, shape, other = bottoms
    if factor[:2] != shape[:2] or prod(factor[2:]) != 1 or other != shape:
        raise layer.error(
            f"its bottoms are {show(factor)}, {show(shape)} and {show(other)}; "
            f"give a factor for each of {show(shape[:2])}, and two of one shape"
        )
    return [shape]


def operands(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The shape to which both operands are stretched along axes of 1,
    the last axes side by side.
    """
    left, right = (*bottoms, *operand_blobs(layer, bottoms))[:2]
    ndim = max(len(left), len(right))
    pairs = list(
        zip((1,) * (ndim - len(left)) + left, (1,) * (ndim - len(right)) + right, strict=True)
    )
    if any(a != b and 1 not in (a, b) for a, b in pairs):
        raise layer.error(
            f"{show(left)} and {show(right)} do not fit; make them equal, or 1, on every axis"
        )
    return [tuple(map(max, pairs))]


def operand_blobs(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The second operand, where it is no bottom."""
    name = layer.type.lower()
    return [] if len(bottoms) > 1 else [tuple(layer.param(f"{name}_param").list(f"{name}_shape"))]


# ---- normalisation


_WITH_AVERAGES = (
    "slope_filler",
    "bias_filler",
    "momentum",
    "frozen",
    "icnet",
    "var_eps",
    "decay",
    "moving_average",
    "use_history_in_test",
)


def bn(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The bottom's shape, and SegNet's mean and variance of the batch."""
    return [bottoms[0], *[(1, _channels(layer, bottoms[0]), 1, 1)] * (len(layer.tops) - 1)]


def bn_blobs(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """Factor and summand of each channel, and in all but SegNet's the running mean and variance.

    1 x C where they are called slope and bias (PSPNet), 1 x C x 1 x 1 where scale and shift.
    """
    channels, param = _channels(layer, bottoms[0]), layer.param("bn_param")
    averages = param.says(*_WITH_AVERAGES) or len(layer.view.list("param")) > 2
    slopes = averages and not param.says("scale_filler", "shift_filler")
    return [(1, channels) if slopes else (1, channels, 1, 1)] * (4 if averages else 2)


def batch_norm_blobs(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """Caffe's BatchNorm's, and with NVCaffe's scale_bias a factor and a summand of each channel."""
    param, known = layer.param("batch_norm_param"), normal.batch_norm_blobs(layer, bottoms)
    both = param.says("scale_bias") and param.get("scale_bias")
    return [*known, known[0], known[0]] if both else known


def normalize_blobs(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """SSD's factors, one or one per channel;
    without norm_param it is a layer that learns nothing.
    """
    if not layer.view.says("norm_param"):
        return []
    shared = layer.param("norm_param").get("channel_shared")
    return [() if shared else (_channels(layer, bottoms[0]),)]


def normalize_window(layer: Layer, ndim: int = 4) -> Window | None:
    """One point, across the channels; None where SSD's norm is over all places."""
    everywhere = layer.view.says("norm_param") and layer.param("norm_param").get("across_spatial")
    return None if everywhere else ()


# ---- losses and crops


def loss(layer: Layer, bottoms: list[Shape]) -> list[Shape | None]:
    """A scalar; further tops are not followed."""
    return [(), *[None] * (len(layer.tops) - 1)][: len(layer.tops)]


def old_crop(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """Crop before it had offsets of its own: the second bottom's height and width."""
    return [(*bottoms[0][:2], *bottoms[1][2:])]
