"""The windows that layers slide over their bottoms: where they lie, and how many fit.

The rules are those of Caffe's base_conv_layer.cpp, deconv_layer.cpp and
pooling_layer.cpp, in integers that divide as C++ does: towards zero; and those
of forks that round or pad otherwise.
"""

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from fcnkit.formats.schema import View
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.axes import canonical, show
from fcnkit.plural import number_of
from fcnkit.shape import Shape

# The (extent, stride) of each spatial axis that one point of a top sees; see LayerType.
Window = tuple[tuple[int, Fraction], ...]


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
def spatial(layer: Layer, ndim: int | None = None, *, unplaced: bool = False) -> Spatial:
    """The window of a Convolution, Deconvolution, Im2col or Pooling layer.

    `ndim` is the number of axes of its bottom; where it is not known there are as many
    spatial ones as the layer has values for one by one, or an image's two.  Not for
    global pooling, whose kernel is its bottom's size.  Where the padding depends on the
    bottom's size (see `pads_by_size`) it is an error, or with `unplaced` left out.
    """
    if layer.type == "Pooling":
        return _along(_pooling(layer, unplaced), ndim)
    param = layer.param("convolution_param")
    if ndim is None:
        most = max(len(param.list(name)) for name in ("kernel_size", "stride", "pad", "dilation"))
        n = most if most > 1 else 2
    else:
        n = ndim - 1 - canonical(layer, param.get("axis"), ndim)
    kernel = _per_axis(layer, param, "kernel_size", ("kernel_h", "kernel_w"), n, None)
    stride = _per_axis(layer, param, "stride", ("stride_h", "stride_w"), n, 1)
    pad = _per_axis(layer, param, "pad", ("pad_h", "pad_w"), n, 0)
    dilation = _dilation(layer, param, n)
    for name, values in (("kernel", kernel), ("stride", stride), ("dilation", dilation)):
        _check_positive(layer, name, values)
    return _padded(layer, param, Spatial(kernel, stride, pad, dilation, pad), unplaced)


def _along(window: Spatial, ndim: int | None) -> Spatial:
    """The window along so many axes, of which Caffe has two; alike on all where it is on both."""
    more = (ndim or 4) - 4
    alike = all(len(set(values)) == 1 for values in window)
    return Spatial(*((*values, *values[:1] * more) for values in window)) if alike else window


def pads_by_size(layer: Layer) -> bool:
    """Whether it pads so that its top has ceil(size / stride) points: pad_type 1 with a stride."""
    param = layer.param("pooling_param" if layer.type == "Pooling" else "convolution_param")
    if not param.says("pad_type") or param.get("pad_type") != 1 or layer.type == "Deconvolution":
        return False
    return max(spatial(layer, unplaced=True).stride) > 1


def _dilation(layer: Layer, param: View, n: int) -> tuple[int, ...]:
    """Caffe's dilation, or what DeepLab calls hole."""
    if not param.says("hole", "hole_h", "hole_w"):
        return _per_axis(layer, param, "dilation", (), n, 1)
    if param.has("dilation"):
        raise layer.error("hole and dilation mean the same; keep dilation")
    return pair(layer, param, "hole")


_PADS = ("pad_t", "pad_l", "pad_b", "pad_r")


def _padded(layer: Layer, param: View, window: Spatial, unplaced: bool = False) -> Spatial:
    """The window with the padding of a fork's own fields, where the text has them."""
    if not param.says("pad_type", *_PADS):
        return window
    sides, same_size = tuple(map(param.get, _PADS)), param.get("pad_type") == 1
    if param.get("pad_type") > 1:
        fact = f"its pad_type is {param.get('pad_type')}"
        raise layer.error(f"{fact}; give 0 or 1, or pad_t, pad_l, pad_b and pad_r")
    if not any(sides) and not same_size:
        return window
    if any(window.pad) or len(window.pad) != 2 or (any(sides) and same_size):
        fact = "more than one of pad, pad_type and pad_t, pad_l, pad_b, pad_r, or not 2 axes"
        raise layer.error(f"{fact}; keep one of the three")
    if same_size and unplaced and max(window.stride) > 1:
        return window
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
            fact = (
                f"{pair[0]} and {pair[1]} beside {name}, or for "
                f"{number_of(n, 'spatial axis', 'spatial axes')}"
            )
            raise layer.error(f"{fact}; use {name} alone")
        return tuple(param.get(one) for one in pair)
    if not values and default is not None:
        values = [default]
    if len(values) not in (1, n):
        raise layer.error(
            f"{number_of(len(values), 'value')} of {name} for "
            f"{number_of(n, 'spatial axis', 'spatial axes')}; give one, or one for each"
        )
    return tuple(values * n if len(values) == 1 else values)


def _check_positive(layer: Layer, name: str, values: Sequence[int]) -> None:
    if min(values, default=1) < 1:
        raise layer.error(f"its {name} is {show(tuple(values))}; every axis needs at least 1")


def _pooling(layer: Layer, unplaced: bool) -> Spatial:
    param = layer.param("pooling_param")
    by_axis = param.has("kernel_h") and param.has("kernel_w")
    if param.has("kernel_size") == by_axis:
        raise layer.error("give either kernel_size, or kernel_h and kernel_w")
    kernel = (
        (param.get("kernel_h"), param.get("kernel_w"))
        if by_axis
        else (param.get("kernel_size"),) * 2
    )
    stride, pad = pair(layer, param, "stride"), pair(layer, param, "pad")
    _check_positive(layer, "kernel", kernel)
    _check_positive(layer, "stride", stride)
    window = _padded(layer, param, Spatial(kernel, stride, pad, (1, 1), pad), unplaced)
    _check_pooling_pad(layer, param, window.pad, kernel)
    return window


def pair(layer: Layer, param: View, name: str) -> tuple[int, int]:
    """A field of both axes, as `name` or as name_h and name_w."""
    given = [param.has(f"{name}_h"), param.has(f"{name}_w")]
    if any(given) and (param.has(name) or not all(given)):
        raise layer.error(f"give either {name}, or {name}_h and {name}_w")
    return (param.get(f"{name}_h"), param.get(f"{name}_w")) if given[0] else (param.get(name),) * 2


def _check_pooling_pad(layer: Layer, param: View, pad: Shape, kernel: Shape) -> None:
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
    # Not -(-span // stride): traced into ONNX, whose division rounds towards 0, it would be less.
    out = (span if floor else span + stride - 1) // stride + 1
    return out - 1 if clip and (out - 1) * stride >= size + pad else out
