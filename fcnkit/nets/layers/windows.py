"""Shapes and coordinates of the layers that slide a window: Convolution to SPP.

The rules are those of Caffe's base_conv_layer.cpp, deconv_layer.cpp,
pooling_layer.cpp, im2col_layer.cpp and spp_layer.cpp; the windows themselves
are those of sliding.py.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import prod

from fcnkit.formats.schema import View
from fcnkit.nets.coordmap import CoordMap
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.axes import canonical, four, outputs_of, same, show
from fcnkit.nets.layers.sliding import (
    Spatial,
    Window,
    convolved,
    deconvolved,
    pads_by_size,
    pair,
    pooled,
    spatial,
)
from fcnkit.plural import number_of
from fcnkit.shape import Shape


def _window(layer: Layer, ndim: int = 4) -> Spatial:
    """The window, where its place does not matter."""
    return spatial(layer, ndim, unplaced=True)


def _sizes(layer: Layer, rule: Callable[..., int], shape: Shape, window: Spatial) -> Shape:
    """The rule on each of the last axes; NetError where nothing would be left.

    Caffe may build a blob of size 0, and cannot run it.
    """
    ins = shape[len(shape) - len(window.kernel) :]
    outs = tuple(rule(size, *axis) for size, axis in zip(ins, window.sides, strict=True))
    if pads_by_size(layer):
        pairs = zip(ins, window.stride, strict=True)
        return tuple((size + stride - 1) // stride for size, stride in pairs)
    if any(out < 1 for out in outs):
        raise layer.error(
            f"a {show(ins)} input with kernel {show(window.kernel)}, stride "
            f"{show(window.stride)} and "
            f"pad {show(window.pad)} would give {show(outs)}; enlarge the input or the pad"
        )
    return outs


# ---- Convolution, Deconvolution


def convolution(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """num_output channels, each spatial size convolved; one top per bottom."""
    return _filtered(layer, bottoms, convolved)


def deconvolution(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """num_output channels, each spatial size deconvolved; one top per bottom."""
    return _filtered(layer, bottoms, deconvolved)


def _filtered(layer: Layer, bottoms: list[Shape], rule: Callable[..., int]) -> list[Shape]:
    same(layer, bottoms)
    shape = bottoms[0]
    axis, _, outputs, _ = _channels(layer, shape)
    return [
        (*shape[:axis], outputs, *_sizes(layer, rule, shape, _window(layer, len(shape))))
    ] * len(bottoms)


def _channels(layer: Layer, shape: Shape) -> tuple[int, int, int, int]:
    """The channel axis, and the numbers of inputs, outputs and groups."""
    param = layer.param("convolution_param")
    axis = canonical(layer, param.get("axis"), len(shape))
    inputs, outputs = shape[axis], outputs_of(layer, "convolution_param")
    group = inputs if layer.type == "ConvolutionDepthwise" else param.get("group")
    if group < 1 or inputs % group or outputs % group:
        raise layer.error(
            f"group {group} does not divide both its {inputs} input and "
            f"{number_of(outputs, 'output channel')}; "
            f"give one that does"
        )
    return axis, inputs, outputs, group


def convolution_blobs(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """Weights out x in/group x kernel, and biases."""
    _, inputs, outputs, group = _channels(layer, bottoms[0])
    return _with_bias(layer, (outputs, inputs // group), bottoms[0])


def deconvolution_blobs(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """Weights in x out/group x kernel, and biases."""
    _, inputs, outputs, group = _channels(layer, bottoms[0])
    return _with_bias(layer, (inputs, outputs // group), bottoms[0])


def _with_bias(layer: Layer, channels: Shape, shape: Shape) -> list[Shape]:
    param = layer.param("convolution_param")
    bias = [(param.get("num_output"),)] if param.get("bias_term") else []
    return [(*channels, *_window(layer, len(shape)).kernel), *bias]


def convolution_macs(layer: Layer, bottoms: list[Shape], tops: list[Shape]) -> int:
    """Output values x kernel x in/group, summed over the tops."""
    weights = convolution_blobs(layer, bottoms)[0]
    return sum(map(prod, tops)) * prod(weights[1:])


def deconvolution_macs(layer: Layer, bottoms: list[Shape], tops: list[Shape]) -> int:
    """Input values x kernel x out/group, summed over the bottoms."""
    weights = deconvolution_blobs(layer, bottoms)[0]
    return sum(map(prod, bottoms)) * prod(weights[1:])


# ---- Pooling, Im2col, SPP


# Why the size of a pooling is not known.
STRANGE = "a field of its pooling_param is in no known Caffe, and may change its size"


def pooling(layer: Layer, bottoms: list[Shape]) -> Sequence[Shape | None]:
    """Each spatial size pooled, 1 x 1 for global pooling; the mask has the top's shape."""
    if len(layer.tops) > 1 and layer.param("pooling_param").get("pool") != "MAX":
        raise layer.error("a second top, the mask, is for MAX pooling only; remove that top")
    top = None if is_strange(layer) else pooled_shape(layer, bottoms[0])
    return [top] * len(layer.tops)


def pooled_shape(layer: Layer, bottom: Shape, *, floor: bool | None = None) -> Shape:
    """The shape of a pooling's top, rounded as the layer says unless `floor` is given."""
    shape, param = four(layer, bottom), layer.param("pooling_param")
    if param.get("global_pooling"):
        _check_global(layer, param)
        return (*shape[:2], 1, 1)
    window = _window(layer)
    clip = any(window.pad + window.far)
    floor = rounds_down(param) if floor is None else floor

    def rule(size: int, kernel: int, stride: int, pad: int, far: int) -> int:
        return pooled(size, kernel, stride, pad, far, clip=clip, floor=floor)

    return (*shape[:2], *_sizes(layer, rule, shape, window))


def beyond(layer: Layer, bottom: Shape, top: Shape) -> tuple[tuple[int, int], ...]:
    """Of each spatial axis whose last window begins behind the bottom: the axis, and where.

    Caffe rounds the number of windows up, and takes one away that lies outside where the
    layer pads; without padding one stays where the stride is longer than the kernel.  It
    holds no number: MAX is -FLT_MAX there, AVE 0 divided by a size of 0 or less.
    """
    if layer.type != "Pooling" or is_global(layer) or is_strange(layer) or pads_by_size(layer):
        return ()
    axes = zip(spatial(layer).axes, bottom[2:], top[2:], strict=True)
    starts = [(count - 1) * stride - pad for (_, stride, pad), _, count in axes]
    return tuple(
        (axis, start)
        for axis, (start, size) in enumerate(zip(starts, bottom[2:], strict=True), 2)
        if start >= size
    )


def takes_largest(layer: Layer) -> bool:
    """Of each window the largest number is taken."""
    return layer.param("pooling_param").get("pool") == "MAX"


def is_strange(layer: Layer) -> bool:
    """Whether it is a pooling with a field of no known Caffe, whose window nobody knows."""
    return layer.type == "Pooling" and layer.param("pooling_param").strange


def rounds_down(param: View) -> bool:
    """Whether a pooling's parameters say that its size is rounded down."""
    if param.says("ceil_mode", "torch_pooling") and not param.has("round_mode"):
        return not param.get("ceil_mode") or param.get("torch_pooling")
    return param.get("round_mode") == "FLOOR"  # which goes before ceil_mode in Synopsys' fork


def _check_global(layer: Layer, param: View) -> None:
    if any(map(param.has, ("kernel_size", "kernel_h", "kernel_w"))):
        raise layer.error("global_pooling and a kernel; remove the kernel")
    if any(pair(layer, param, "pad")) or pair(layer, param, "stride") != (1, 1):
        raise layer.error("global_pooling with pad or stride; remove them")


def im2col(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """Every window's values along the channel axis, at the sizes of a convolution."""
    shape = bottoms[0]
    window = spatial(layer, len(shape))
    if not window.kernel:
        raise layer.error(f"its bottom is {show(shape)}; give it axes after the channels")
    axis = len(shape) - len(window.kernel) - 1
    columns = shape[axis] * prod(window.kernel)
    return [(*shape[:axis], columns, *_sizes(layer, convolved, shape, window))]


def spp(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """N x (channels x bins of every level of the pyramid); 4 axes for one level."""
    height = layer.param("spp_param").get("pyramid_height")
    if len(bottoms[0]) != 4 or height < 1:
        fact = f"its bottom is {show(bottoms[0])} and its pyramid_height {height}"
        raise layer.error(f"{fact}; SPP takes 4 axes, and a height of at least 1")
    batch, channels, *sizes = bottoms[0]
    if any(_outside(size, 2**level) for size in sizes for level in range(height)):
        fact = f"{number_of(2 ** (height - 1), 'bin')} on each axis of {show(tuple(sizes))}"
        raise layer.error(f"{fact}; give a smaller pyramid_height or a larger bottom")
    if height == 1:
        return [(batch, channels, 1, 1)]
    return [(batch, channels * sum(4**level for level in range(height)))]


def _outside(size: int, bins: int) -> bool:
    """Whether SPP's pooling into so many bins would pad by its whole kernel."""
    kernel = max(-(-size // bins), 1)
    return (kernel * bins - size + 1) // 2 >= kernel


# ---- coordinates: x in the bottom is scale * x + shift in the top


def convolution_coord(layer: Layer, ndim: int) -> CoordMap | None:
    """Scale 1/s and shift (p - (k-1)/2) / s; None for global pooling,
    NetError where the padding depends on the bottom's size.
    """
    if is_global(layer) or is_strange(layer):
        return None
    axes = spatial(layer, ndim).axes
    return CoordMap.of((Fraction(1, s), Fraction(2 * p - (k - 1), 2 * s)) for k, s, p in axes)


def deconvolution_coord(layer: Layer, ndim: int) -> CoordMap | None:
    """Scale s and shift (k-1)/2 - p."""
    return CoordMap.of(
        (Fraction(s), Fraction(k - 1, 2) - p) for k, s, p in spatial(layer, ndim).axes
    )


def is_global(layer: Layer) -> bool:
    """Whether the layer pools its whole bottom, whatever its size."""
    return layer.type == "Pooling" and layer.param("pooling_param").get("global_pooling")


def has_window(layer: Layer) -> bool:
    """Whether the layer takes windows of a fixed size from its bottom:
    a convolution or a pooling.
    """
    return layer.type in _CONVOLUTIONS or (layer.type == "Pooling" and not is_global(layer))


_CONVOLUTIONS = ("Convolution", "DepthwiseConvolution", "ConvolutionDepthwise")


def keeps_size(layer: Layer) -> bool:
    """Whether the top of a layer with a window is as large as its bottom, whatever the size."""
    return all(
        stride == 1 and pad + far == extent - 1 for extent, stride, pad, far in spatial(layer).sides
    )


def size_rule(layer: Layer) -> tuple:
    """What decides the size of a top, for a layer with a window:
    layers of equal rules give equal sizes.
    """
    pooling = layer.type == "Pooling"
    return pooling, pooling and rounds_down(layer.param("pooling_param")), spatial(layer)


# ---- receptive fields: (extent, stride) per axis


def convolution_window(layer: Layer, ndim: int = 4) -> Window | None:
    """The bottom's points under one top point; None for global pooling."""
    if is_global(layer) or is_strange(layer):
        return None
    return tuple((k, Fraction(s)) for k, s, _ in _window(layer, ndim).axes)


def deconvolution_window(layer: Layer, ndim: int = 4) -> Window | None:
    """At most ceil(k / s) bottom points meet in a top point, and a step there is 1/s here."""
    return tuple((-(-k // s), Fraction(1, s)) for k, s, _ in spatial(layer, ndim).axes)


# ---- what else there is to say of a convolution

# Fields of forks that change nothing but sizes, which the rules here follow.
HEEDED = frozenset(
    (
        *("hole", "hole_h", "hole_w", "pad_type", "pad_t", "pad_l", "pad_b", "pad_r"),
        *("ceil_mode", "torch_pooling"),
    )
)


def without_bias(layer: Layer) -> bool:
    """Zero stays zero where nothing is added."""
    return not layer.param("convolution_param").get("bias_term")


def outputs_second(layer: Layer) -> int:
    """The weights are inputs x outputs."""
    return 1


def convolution_columns(layer: Layer, bottoms: list[Shape], tops: list[Shape]) -> int:
    """The buffer of conv_layer.cpp: a column of window values for each place of one image.

    A 1 x 1 kernel of stride 1 without padding needs none.
    """
    return _columns(layer, bottoms[0], tops[0], convolution_blobs(layer, bottoms)[0])


def deconvolution_columns(layer: Layer, bottoms: list[Shape], tops: list[Shape]) -> int:
    """As a convolution's, backwards: a column for each place of the bottom."""
    return _columns(layer, bottoms[0], bottoms[0], deconvolution_blobs(layer, bottoms)[0])


def _columns(layer: Layer, bottom: Shape, places: Shape, weights: Shape) -> int:
    window = _window(layer, len(bottom))
    if all(
        (k, s, p) == (1, 1, 0)
        for k, s, p in zip(window.kernel, window.stride, window.pad, strict=True)
    ):
        return 0
    group = layer.param("convolution_param").get("group")
    return prod(weights[1:]) * group * prod(places[-len(window.kernel) :])
