"""Sizes and coordinates of the layers that move a window: Convolution to SPP.

The rules are those of Caffe's base_conv_layer.cpp, deconv_layer.cpp,
pooling_layer.cpp, im2col_layer.cpp and spp_layer.cpp, in integers that divide
as C++ does: towards zero; and those of forks that round or pad otherwise.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from math import prod
from typing import NamedTuple

from fcnkit.formats.schema import View
from fcnkit.nets.coordmap import CoordMap
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.axes import canonical, four, same, show
from fcnkit.shape import Shape


class Spatial(NamedTuple):
    """A sliding window, one number per spatial axis, outermost axis first.

    `pad` is before the first point; `far`, after the last one, is the same but
    in forks that pad each side on its own.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[int, ...]
    dilation: tuple[int, ...]
    far: tuple[int, ...]

    @property
    def extent(self) -> tuple[int, ...]:
        """What the dilated kernel covers: dilation * (kernel - 1) + 1."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def axes(self) -> tuple[tuple[int, int, int], ...]:
        """(extent, stride, pad) of each axis."""
        return tuple(zip(self.extent, self.stride, self.pad, strict=True))

    @property
    def sides(self) -> tuple[tuple[int, int, int, int], ...]:
        """(extent, stride, pad before, pad after) of each axis."""
        return tuple(zip(self.extent, self.stride, self.pad, self.far, strict=True))


@lru_cache(maxsize=4096)
def spatial(layer: Layer, ndim: int = 4) -> Spatial:
    """The window of a Convolution, Deconvolution, Im2col or Pooling layer.

    `ndim` is the number of axes of its bottom.  Not for global pooling, whose
    kernel is its bottom's size.
    """
    if layer.type == "Pooling":
        return _pooling(layer)
    param = layer.param("convolution_param")
    n = ndim - 1 - canonical(layer, param.get("axis"), ndim)
    kernel = _per_axis(layer, param, "kernel_size", ("kernel_h", "kernel_w"), n, None)
    stride = _per_axis(layer, param, "stride", ("stride_h", "stride_w"), n, 1)
    pad = _per_axis(layer, param, "pad", ("pad_h", "pad_w"), n, 0)
    dilation = _dilation(layer, param, n)
    for name, values in (("kernel", kernel), ("stride", stride), ("dilation", dilation)):
        _check_positive(layer, name, values)
    return _padded(layer, param, Spatial(kernel, stride, pad, dilation, pad))


def _dilation(layer: Layer, param: View, n: int) -> tuple[int, ...]:
    """Caffe's dilation, or what DeepLab calls hole."""
    if not param.says("hole", "hole_h", "hole_w"):
        return _per_axis(layer, param, "dilation", (), n, 1)
    if param.has("dilation"):
        raise layer.error("hole and dilation, which are the same; keep dilation")
    return _pair(layer, param, "hole")


_PADS = ("pad_t", "pad_l", "pad_b", "pad_r")


def _padded(layer: Layer, param: View, window: Spatial) -> Spatial:
    """The window with the padding of a fork's own fields, where the text has them."""
    if not param.says("pad_type", *_PADS):
        return window
    sides, same_size = tuple(map(param.get, _PADS)), param.get("pad_type") == 1
    if not any(sides) and not same_size:
        return window
    if any(window.pad) or len(window.pad) != 2 or (any(sides) and same_size):
        fact = "more than one of pad, pad_type and pad_t, pad_l, pad_b, pad_r, or not 2 axes"
        raise layer.error(f"{fact}; keep one of the three")
    return (
        _same_sized(layer, window) if same_size else window._replace(pad=sides[:2], far=sides[2:])
    )


def _same_sized(layer: Layer, window: Spatial) -> Spatial:
    """The window padded so that its top has its bottom's size, the odd point after."""
    if max(window.stride) > 1:
        fact = "pad_type 1 with a stride pads by the size of the bottom"
        raise layer.error(f"{fact}; write pad_t, pad_l, pad_b and pad_r")
    before = tuple((extent - 1) // 2 for extent in window.extent)
    return window._replace(pad=before, far=tuple(extent // 2 for extent in window.extent))


def _per_axis(
    layer: Layer, param: View, name: str, pair: tuple[str, ...], n: int, default: int | None
) -> tuple[int, ...]:
    """One value for each of n axes: from name_h and name_w, one for all, one each, or none."""
    values = param.list(name)
    if pair and param.says(*pair):
        if values or n != 2:
            fact = f"{pair[0]} and {pair[1]} beside {name}, or for {n} spatial axes"
            raise layer.error(f"{fact}; use {name} alone")
        return tuple(param.get(one) for one in pair)
    if not values and default is not None:
        values = [default]
    if len(values) not in (1, n):
        raise layer.error(
            f"{len(values)} values of {name} for {n} spatial axes; give one, or one for each"
        )
    return tuple(values * n if len(values) == 1 else values)


def _check_positive(layer: Layer, name: str, values: Sequence[int]) -> None:
    if min(values, default=1) < 1:
        raise layer.error(f"its {name} is {show(tuple(values))}; every axis needs at least 1")


def _pooling(layer: Layer) -> Spatial:
    param = layer.param("pooling_param")
    by_axis = param.has("kernel_h") and param.has("kernel_w")
    if param.has("kernel_size") == by_axis:
        raise layer.error("give either kernel_size, or kernel_h and kernel_w")
    kernel = (
        (param.get("kernel_h"), param.get("kernel_w"))
        if by_axis
        else (param.get("kernel_size"),) * 2
    )
    stride, pad = _pair(layer, param, "stride"), _pair(layer, param, "pad")
    _check_positive(layer, "kernel", kernel)
    _check_positive(layer, "stride", stride)
    window = _padded(layer, param, Spatial(kernel, stride, pad, (1, 1), pad))
    _check_pooling_pad(layer, param, window.pad, kernel)
    return window


def _pair(layer: Layer, param: View, name: str) -> tuple[int, int]:
    given = [param.has(f"{name}_h"), param.has(f"{name}_w")]
    if any(given) and (param.has(name) or not all(given)):
        raise layer.error(f"give either {name}, or {name}_h and {name}_w")
    return (param.get(f"{name}_h"), param.get(f"{name}_w")) if given[0] else (param.get(name),) * 2


def _check_pooling_pad(
    layer: Layer, param: View, pad: tuple[int, int], kernel: tuple[int, int]
) -> None:
    if any(pad) and param.get("pool") == "STOCHASTIC":
        raise layer.error("STOCHASTIC pooling takes no pad; remove it")
    if any(pad) and any(p >= k for p, k in zip(pad, kernel, strict=True)):
        fact = f"its pad {show(pad)} is not smaller than its kernel {show(kernel)}"
        raise layer.error(f"{fact}; make it smaller")


# ---- sizes


def truncated(dividend: int, divisor: int) -> int:
    """The quotient as C++ gives it, rounded towards zero."""
    quotient = abs(dividend) // divisor
    return quotient if dividend >= 0 else -quotient


def convolved(size: int, extent: int, stride: int, pad: int, far: int | None = None) -> int:
    """A convolution's output size: (in + 2 pad - extent) / stride + 1."""
    return truncated(size + _both(pad, far) - extent, stride) + 1


def deconvolved(size: int, extent: int, stride: int, pad: int, far: int | None = None) -> int:
    """A deconvolution's output size: stride * (in - 1) + extent - 2 pad."""
    return stride * (size - 1) + extent - _both(pad, far)


def _both(pad: int, far: int | None) -> int:
    return 2 * pad if far is None else pad + far


def pooled(
    size: int,
    kernel: int,
    stride: int,
    pad: int,
    far: int | None = None,
    *,
    clip: bool,
    floor: bool = False,
) -> int:
    """A pooling's output size: ceil((in + 2 pad - kernel) / stride) + 1.

    With `clip`, which Caffe sets where either axis is padded, a last window
    that would start behind the left-padded input is left out.
    """
    span = size + _both(pad, far) - kernel
    out = (span // stride if floor else -(-span // stride)) + 1
    return out - 1 if clip and (out - 1) * stride >= size + pad else out


def _sizes(layer: Layer, rule: Callable[..., int], shape: Shape, window: Spatial) -> Shape:
    """The rule on each of the last axes; NetError where nothing would be left.

    Caffe may build a blob of size 0, and cannot run it.
    """
    ins = shape[len(shape) - len(window.kernel) :]
    outs = tuple(rule(size, *axis) for size, axis in zip(ins, window.sides, strict=True))
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
        (*shape[:axis], outputs, *_sizes(layer, rule, shape, spatial(layer, len(shape))))
    ] * len(bottoms)


def _channels(layer: Layer, shape: Shape) -> tuple[int, int, int, int]:
    """The channel axis, and the numbers of inputs, outputs and groups."""
    param = layer.param("convolution_param")
    axis = canonical(layer, param.get("axis"), len(shape))
    inputs, outputs = shape[axis], param.get("num_output")
    group = inputs if layer.type == "ConvolutionDepthwise" else param.get("group")
    if outputs < 1:
        raise layer.error("it has no num_output; give the number of its output channels")
    if group < 1 or inputs % group or outputs % group:
        raise layer.error(
            f"group {group} does not divide both its {inputs} input and {outputs} output channels; "
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
    return [(*channels, *spatial(layer, len(shape)).kernel), *bias]


def convolution_macs(layer: Layer, bottoms: list[Shape], tops: list[Shape]) -> int:
    """Output values x kernel x in/group, summed over the tops."""
    weights = convolution_blobs(layer, bottoms)[0]
    return sum(map(prod, tops)) * prod(weights[1:])


def deconvolution_macs(layer: Layer, bottoms: list[Shape], tops: list[Shape]) -> int:
    """Input values x kernel x out/group, summed over the bottoms."""
    weights = deconvolution_blobs(layer, bottoms)[0]
    return sum(map(prod, bottoms)) * prod(weights[1:])


# ---- Pooling, Im2col, SPP


def pooling(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """Each spatial size pooled, 1 x 1 for global pooling; the mask has the top's shape."""
    shape, param = four(layer, bottoms[0]), layer.param("pooling_param")
    if len(layer.tops) > 1 and param.get("pool") != "MAX":
        raise layer.error("a second top, the mask, with a pool that is not MAX; remove that top")
    if param.get("global_pooling"):
        _check_global(layer, param)
        return [(*shape[:2], 1, 1)] * len(layer.tops)
    window, floor = _pooling(layer), rounds_down(param)
    clip = any(window.pad + window.far)

    def rule(size: int, kernel: int, stride: int, pad: int, far: int) -> int:
        return pooled(size, kernel, stride, pad, far, clip=clip, floor=floor)

    return [(*shape[:2], *_sizes(layer, rule, shape, window))] * len(layer.tops)


def rounds_down(param: View) -> bool:
    """Whether a pooling's parameters say that its size is rounded down."""
    if param.says("ceil_mode", "torch_pooling"):
        return not param.get("ceil_mode") or param.get("torch_pooling")
    return param.get("round_mode") == "FLOOR"


def _check_global(layer: Layer, param: View) -> None:
    if any(map(param.has, ("kernel_size", "kernel_h", "kernel_w"))):
        raise layer.error("global_pooling and a kernel; remove the kernel")
    if any(_pair(layer, param, "pad")) or _pair(layer, param, "stride") != (1, 1):
        raise layer.error("global_pooling with pad or stride; remove them")


def im2col(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """Every window's values along the channel axis, at the sizes of a convolution."""
    shape = bottoms[0]
    window = spatial(layer, len(shape))
    if not window.kernel:
        raise layer.error(f"its bottom is {show(shape)}; give it axes behind the channels")
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
        fact = f"{2 ** (height - 1)} bins on each axis of {show(tuple(sizes))}"
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
    """Scale 1/s and shift (p - (k-1)/2) / s; None for global pooling."""
    if is_global(layer):
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


Window = tuple[tuple[int, Fraction], ...]


def convolution_window(layer: Layer, ndim: int = 4) -> Window | None:
    """The bottom's points under one top point; None for global pooling."""
    if is_global(layer):
        return None
    return tuple((k, Fraction(s)) for k, s, _ in spatial(layer, ndim).axes)


def deconvolution_window(layer: Layer, ndim: int = 4) -> Window | None:
    """At most ceil(k / s) bottom points meet in a top point, and a step there is 1/s here."""
    return tuple((-(-k // s), Fraction(1, s)) for k, s, _ in spatial(layer, ndim).axes)
