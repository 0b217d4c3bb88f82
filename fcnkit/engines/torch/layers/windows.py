"""Convolution, Deconvolution, Pooling and Im2col as Caffe computes them.

Sizes are those of nets/layers/windows.py.  Both convolutions are cross-correlations
in Caffe as in PyTorch, and their weights lie in memory alike.
"""

from collections.abc import Callable, Sequence
from math import prod

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from fcnkit.engines.torch.layers.channelwise import KernelFinder, by_kernels
from fcnkit.engines.torch.layers.site import Run, Site, Tensors
from fcnkit.nets.layers.sliding import Spatial, convolved, spatial
from fcnkit.nets.layers.windows import im2col as im2col_shapes
from fcnkit.nets.layers.windows import pooled_shape
from fcnkit.plural import number_of
from fcnkit.shape import Shape

LOWEST = -torch.finfo(torch.float32).max
"""What Caffe's MAX pooling begins with, -FLT_MAX."""

_CONVOLVE: tuple[Callable[..., Tensor], ...] = (F.conv1d, F.conv1d, F.conv2d, F.conv3d)
_DECONVOLVE: tuple[Callable[..., Tensor], ...] = (
    F.conv_transpose1d,
    F.conv_transpose1d,
    F.conv_transpose2d,
    F.conv_transpose3d,
)


def convolution(site: Site) -> Run:
    """Each bottom convolved with the same weights.

    A window larger than its padded bottom sees zeros beyond it: C++ rounds
    its size up to one point.  A fork's padding of one side each and its ReLU are
    computed too.
    """
    return _convolved(site)


def _convolved(site: Site, groups: int | None = None) -> Run:
    axis, given, said = _settings(site)
    group = said if groups is None else groups
    function, finished = _CONVOLVE[len(given.kernel)], _rectified(site)
    sides, window = _one_by_one(given)

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        def filtered(x: Tensor, weight: Tensor) -> Tensor:
            x = _reaching(F.pad(x, sides) if any(sides) else x, window)
            bias = blobs[1] if len(blobs) > 1 else None
            if group == 1 and _is_heavy(x, weight, window):
                return _product(x, weight, bias, window)
            return function(x, weight, bias, *_ones(window), groups=group)

        return [finished(_folded(x, axis, blobs[0], filtered)) for x in bottoms]

    return run


def _one_by_one(window: Spatial) -> tuple[list[int], Spatial]:
    """The padding of each side, the last axis first, and the window without it, where they differ;
    PyTorch pads both sides alike.
    """
    if window.pad == window.far:
        return [], window
    none = (0,) * len(window.pad)
    ends = zip(reversed(window.pad), reversed(window.far), strict=True)
    return [side for both in ends for side in both], window._replace(pad=none, far=none)


def _rectified(site: Site) -> Callable[[Tensor], Tensor]:
    """What Intel's `relu` does behind a convolution."""
    param = site.param("convolution_param")
    if not param.says("relu") or not param.get("relu"):
        return lambda x: x
    slope = param.get("negative_slope")
    return lambda x: F.leaky_relu(x, slope)


def depthwise(site: Site) -> Run:
    """As a convolution with a group for each channel, which this layer is for."""
    group, channels = site.param("convolution_param").get("group"), site.shapes[0][1]
    # One of the two makes as many groups as there are channels, whatever it says.
    grouped = site.layer.type == "ConvolutionDepthwise" and group == 1
    if group != channels and not grouped:
        raise site.error(
            f"group {group} of {number_of(channels, 'channel')}; give it a group for each"
        )
    return _convolved(site, channels)


# From so many weights on, more than a cache holds, a convolution on a CPU is one product of
# matrices.
_HEAVY = 1 << 23


def _is_heavy(x: Tensor, weight: Tensor, window: Spatial) -> bool:
    """Whether the convolution is better done as one product:
    that of a fully connected layer made one.

    PyTorch's convolution on a CPU lays out all weights anew each time, and
    their gradients back, which takes longer than all else where the windows
    are few.
    """
    if x.device.type != "cpu" or x.dim() != 4 or weight.numel() < _HEAVY:
        return False
    return len(x) * prod(_windows(x, window)) <= len(weight)


def _windows(x: Tensor, window: Spatial) -> tuple[int, ...]:
    """How many windows there are along each axis."""
    return tuple(
        convolved(size, *axis) for size, axis in zip(x.shape[2:], window.axes, strict=True)
    )


def _product(x: Tensor, weight: Tensor, bias: Tensor | None, window: Spatial) -> Tensor:
    """The convolution as the product of the weights and the values of all windows."""
    images, size = len(x), _windows(x, window)
    if prod(window.kernel) == prod(window.stride) == 1 and not any(window.pad):
        columns = x.flatten(2)
    else:
        columns = F.unfold(x, window.kernel, window.dilation, window.pad, window.stride)
    rows, columns = weight.flatten(1), columns.transpose(0, 1).flatten(1)
    y = rows @ columns if bias is None else torch.addmm(bias[:, None], rows, columns)
    return y.unflatten(1, (images, *size)).transpose(0, 1)


def _ones(window: Spatial) -> tuple:
    """stride, padding and dilation as the functions take them; a point where there is no axis."""
    return window.stride or 1, window.pad or 0, window.dilation or 1


def deconvolution(site: Site) -> Run:
    """Each bottom deconvolved with the same weights, in/group x out."""
    axis, window, group = _settings(site)
    function = _DECONVOLVE[len(window.kernel)]
    stride, pad, dilation = _ones(window)
    finder = KernelFinder(group)

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        bias = blobs[1] if len(blobs) > 1 else None
        kernels = finder.of(blobs[0])

        def deconvolved(x: Tensor, weight: Tensor) -> Tensor:
            if kernels and x.dim() == 4:
                return by_kernels(x, kernels, bias, window)
            return function(x, weight, bias, stride, pad, groups=group, dilation=dilation)

        return [_folded(x, axis, blobs[0], deconvolved) for x in bottoms]

    return run


def _settings(site: Site) -> tuple[int, Spatial, int]:
    """The channel axis, the window over the axes behind it, and the number of groups."""
    axis = site.axis("convolution_param")
    window = spatial(site.layer, len(site.shapes[0]))
    if len(window.kernel) > 3:
        raise site.error(
            f"it has {number_of(len(window.kernel), 'spatial axis', 'spatial axes')}; PyTorch "
            "has convolutions over up to 3"
        )
    return axis, window, site.param("convolution_param").get("group")


def _folded(
    x: Tensor, axis: int, weight: Tensor, function: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """The function on x with one axis before the channels, and at least one behind them."""
    if axis == 1 and x.dim() > 2:
        return function(x, weight)
    lead, points = x.shape[:axis], x.dim() == axis + 1
    x = x.reshape(prod(lead), *x.shape[axis:], *(1,) * points)
    y = function(x, weight[..., None] if points else weight)
    y = y.squeeze(-1) if points else y
    return y.reshape(*lead, *y.shape[1:])


def _reaching(x: Tensor, window: Spatial) -> Tensor:
    """x, with zeros behind it where a window is larger than it and its padding."""
    missing = [
        max(extent - size - 2 * pad, 0)
        for size, (extent, _, pad) in zip(x.shape[2:], window.axes, strict=False)
    ]
    if not any(missing):
        return x
    return F.pad(x, [side for more in reversed(missing) for side in (0, more)])


def pooling(site: Site) -> Run:
    """The largest or the mean value of each window; with a second top the places of the largest."""
    layer, param = site.layer, site.param("pooling_param")
    method, whole = param.get("pool"), param.get("global_pooling")
    if method not in _POOL:
        raise site.error(f"it has no {method} pooling; use MAX or AVE, or the engine caffe")
    window = None if whole else spatial(layer)
    if method == "AVE" and window is not None and window.pad != window.far:
        raise site.error("an average over sides that are padded differently, which is not known")

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        (x,) = bottoms
        if window is None:
            return _POOL[method](x, _whole(x), (1, 1), len(layer.tops))
        size = pooled_shape(layer, tuple(x.shape))[2:]
        return _POOL[method](x, window, size, len(layer.tops))

    return run


def _whole(x: Tensor) -> Spatial:
    return Spatial(tuple(x.shape[2:]), (1, 1), (0, 0), (1, 1), (0, 0))


def _largest(x: Tensor, window: Spatial, size: Shape, tops: int) -> list[Tensor]:
    if window.kernel == tuple(x.shape[2:]) and size == (1, 1) and tops == 1 and not any(window.pad):
        return [x.flatten(2).max(2).values[..., None, None]]
    lowest = max(LOWEST, torch.finfo(x.dtype).min)
    padded, pad = _padded(x, window, lowest)
    if tops == 1:
        found = F.max_pool2d(padded, window.kernel, window.stride, pad, ceil_mode=True)
        return [_sized(found, size, (lowest, lowest))]
    found, place = F.max_pool2d(
        padded, window.kernel, window.stride, pad, ceil_mode=True, return_indices=True
    )
    width = padded.shape[3]
    shift = tuple(old - new for old, new in zip(window.pad, pad, strict=True))
    row, column = place.div(width, rounding_mode="floor") - shift[0], place % width - shift[1]
    mask = (row * x.shape[3] + column).to(x.dtype)
    return [_sized(found, size, (lowest, lowest)), _sized(mask, size, (-1, -1))]


def _mean(x: Tensor, window: Spatial, size: Shape, tops: int) -> list[Tensor]:
    """Each divisor is the window's size clipped to the padded bottom, as PyTorch has it too."""
    if window.kernel == tuple(x.shape[2:]) and size == (1, 1) and not any(window.pad):
        return [x.mean((2, 3), keepdim=True)]
    padded, pad = _padded(x, window, 0)
    found = F.avg_pool2d(padded, window.kernel, window.stride, pad, ceil_mode=True)
    ends = zip(size, window.stride, x.shape[2:], strict=True)
    return [_sized(found, size, [_mean_of_none((n - 1) * s - end) for n, s, end in ends])]


def _mean_of_none(beyond: int) -> float:
    """What Caffe makes of no number: it divides 0 by as many as the window lies beyond the end."""
    return 0.0 if beyond else float("nan")


def _mean_inside(x: Tensor, window: Spatial, size: Shape, tops: int) -> list[Tensor]:
    """A fork's, which counts no padding: the mean over that of ones."""
    (values,), (ones,) = (_mean(each, window, size, tops) for each in (x, torch.ones_like(x)))
    return [values / ones]


_POOL = {"MAX": _largest, "AVE": _mean, "AVE_EXC_PAD": _mean_inside}


def _padded(x: Tensor, window: Spatial, value: float) -> tuple[Tensor, Shape]:
    """x and what is still to be padded: PyTorch pads no more than half a window by itself."""
    small = all(2 * pad <= kernel for pad, kernel in zip(window.pad, window.kernel, strict=True))
    if small and window.pad == window.far:
        return x, window.pad
    (top, left), (bottom, right) = window.pad, window.far
    return F.pad(x, (left, right, top, bottom), value=value), (0, 0)


def _sized(y: Tensor, size: Shape, empty: Sequence[float]) -> Tensor:
    """y in Caffe's size: without windows that Caffe leaves out, and with its empty ones.

    Without padding Caffe keeps a last window that begins behind the bottom; `empty`
    is what is in one of each axis.
    """
    y = y[:, :, : size[0], : size[1]]
    for axis in sorted((0, 1), key=lambda each: empty[each] != 0):  # NaN is so in the corner, too
        missing = size[axis] - y.shape[2 + axis]
        if missing:
            sides = (0, 0, 0, missing) if axis == 0 else (0, missing)
            y = F.pad(y, sides, value=empty[axis])
    return y


def im2col(site: Site) -> Run:
    """The values of every window as channels."""
    window = spatial(site.layer, len(site.shapes[0]))
    if len(site.shapes[0]) != 4 or len(window.kernel) != 2:
        raise site.error("its windows are not over the last 2 of 4 axes; PyTorch unfolds no others")

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        (x,) = bottoms
        columns = F.unfold(
            _reaching(x, window), window.kernel, window.dilation, window.pad, window.stride
        )
        return [columns.reshape(im2col_shapes(site.layer, [tuple(x.shape)])[0])]

    return run
