"""Shapes and coordinates of the layer types that forks of Caffe add.

Each rule is that of the fork's layer; where two forks give one name to
different layers, what the layer says tells them apart.
"""

from fractions import Fraction
from math import prod

from fcnkit.nets.coordmap import IDENTITY, CoordMap
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers import normal, rearrange
from fcnkit.nets.layers.axes import canonical, four, show
from fcnkit.nets.layers.sliding import Window
from fcnkit.nets.layers.traits import Affine
from fcnkit.plural import number_of
from fcnkit.shape import Shape


def _channels(layer: Layer, shape: Shape) -> int:
    return shape[canonical(layer, 1, len(shape))]


# ---- channels to places and back


def shuffled(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The bottom's shape; `group` divides its channels."""
    group, channels = (
        layer.param("shuffle_channel_param").get("group"),
        _channels(layer, bottoms[0]),
    )
    if group < 1 or channels % group:
        raise layer.error(
            f"group {group} does not divide its {number_of(channels, 'channel')}; give one that "
            "does"
        )
    return bottoms[:1]


# In which order DepthToSpace's channels have the places of a block: see engines.
PLACES_FIRST, CHANNELS_FIRST = ("NCHW", "DCR"), ("CRD",)


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
            f"blocks of {block} do not divide its {number_of(channels, 'channel')}; give ones "
            "that do"
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


def reorg_order(layer: Layer, ndim: int) -> tuple[int, ...]:
    """Its stride, and 1 for the way back."""
    param = layer.param("reorg_param")
    return param.get("stride"), int(param.get("reverse"))


def shuffle_order(layer: Layer, ndim: int) -> tuple[int, ...]:
    """In how many groups the channels are."""
    return (layer.param("shuffle_channel_param").get("group"),)


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
            f"its order is {order} for {number_of(ndim, 'axis', 'axes')}; give each of 0 to "
            f"{ndim - 1} at most once"
        )
    return order + [axis for axis in range(ndim) if axis not in order]


def permute_order(layer: Layer, ndim: int) -> tuple[int, ...]:
    """Its axes, each by its number in the bottom."""
    return tuple(_order(layer, ndim))


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
        raise layer.error(
            f"axes {sorted(axes)} of {show(shape)} are not all 1; give axes of size 1 only"
        )
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


# The words of Yjxiong's BN, which PSPNet has too, and of others that keep averages.
_SLOPES = ("slope_filler", "bias_filler", "momentum", "frozen")
_OTHER_AVERAGES = ("icnet", "var_eps", "decay", "moving_average", "use_history_in_test")
_WITH_AVERAGES = (*_SLOPES, *_OTHER_AVERAGES)


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
    """Caffe's BatchNorm's, and NVCaffe's factor and summand of each channel."""
    known = normal.batch_norm_blobs(layer, bottoms)
    return [*known, known[0], known[0]] if _has_factors(layer) else known


# What says that NVCaffe's BatchNorm has a factor and a summand: batch_norm_layer.cpp of
# NVIDIA/caffe takes a filler of either for scale_bias, too.
BATCH_NORM_FACTORS = frozenset(("scale_bias", "scale_filler", "bias_filler"))


def _has_factors(layer: Layer) -> bool:
    param = layer.param("batch_norm_param")
    said = param.says("scale_bias") and bool(param.get("scale_bias"))
    return said or param.says("scale_filler", "bias_filler")


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
    scalar: list[Shape | None] = [()]
    return [*scalar, *[None] * (len(layer.tops) - 1)][: len(layer.tops)]


def old_crop(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """Crop without offsets of its own, which Caffe finds: the second bottom's height and width."""
    return [(*bottoms[0][:2], *bottoms[1][2:])]


# ---- what else there is to say of them


def batch_norm_affine(layer: Layer) -> Affine:
    """The stored statistics, and NVCaffe's factor and summand, whose eps is at least 1e-5."""
    own = Affine(mean=0, variance=1, divisor=2, eps=layer.param("batch_norm_param").get("eps"))
    if not _has_factors(layer):
        return own
    return own._replace(factor=3, summand=4, eps=max(own.eps, 1e-5))


def bn_affine(layer: Layer) -> Affine | None:
    """SegNet's in the mode INFERENCE, whose factor and summand have the statistics in them,
    and PSPNet's, which keeps a mean and a variance beside.

    PSPNet's, by its words slope_filler, bias_filler, momentum or frozen, adds eps to
    the stored variance: bn_layer.cpp of hszhao/PSPNet and lxx1991/caffe_mpi.  The rule
    of others that keep averages differs from fork to fork.
    """
    param = layer.param("bn_param")
    mode = param.field("bn_mode")
    if mode is not None:
        inference = mode.raw.strip("\"'") == "INFERENCE"
        return Affine(factor=0, summand=1) if inference else None
    if not param.says(*_SLOPES) or param.says("scale_filler", "shift_filler", *_OTHER_AVERAGES):
        return None
    return Affine(factor=0, summand=1, mean=2, variance=3, eps=param.get("eps"))


def only_reshapes(layer: Layer) -> bool:
    """Whether the numbers keep their order: all do but a pixelshuffler's."""
    param = layer.param("reshape_param")
    return not param.says("pixelshuffler") or param.get("pixelshuffler") == 1
