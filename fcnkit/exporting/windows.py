"""Layers with windows in ONNX: Convolution, Deconvolution, Pooling, Interp."""

from typing import Any

from fcnkit.exporting.draft import Site
from fcnkit.nets.layers.sliding import Spatial, spatial
from fcnkit.nets.layers.windows import is_global, rounds_down
from fcnkit.plural import number_of

# What Caffe pads with where it looks for the largest value: -FLT_MAX.
LOWEST = -3.4028234663852886e38


def convolution(at: Site) -> list[str]:
    """Conv: Caffe's own sizes, as both round down."""
    window = _window(at)
    _check_size(at, window)
    return _convolved(at, "Conv", window, at.sizes[0][1] // at.blobs[0][1][1])


def deconvolution(at: Site) -> list[str]:
    """ConvTranspose without output padding has Caffe's sizes: s (in - 1) + d (k - 1) + 1 - 2 p."""
    return _convolved(at, "ConvTranspose", _window(at), at.tops[0][1] // at.blobs[0][1][1])


def _convolved(at: Site, kind: str, window: Spatial, group: int) -> list[str]:
    """One node for each bottom, all with the same weights."""
    given = [at.weights(number) for number in range(len(at.blobs))]
    words = {
        "kernel_shape": window.kernel,
        "strides": window.stride,
        "pads": window.pad + window.far,
        "dilations": window.dilation,
        "group": group,
    }
    return [at.op(kind, bottom, *given, **words) for bottom in at.bottoms]


def _window(at: Site) -> Spatial:
    axis = at.param("convolution_param").get("axis")
    if axis % at.ndim != 1 or not 3 <= at.ndim <= 5:
        fact = f"axis {axis} of {number_of(at.ndim, 'axis', 'axes')}"
        raise at.refuse(
            f"{fact}; ONNX convolves 1 to 3 axes after the channels: give axis 1 and 3 to 5 axes"
        )
    return spatial(at.layer, at.ndim)


def _check_size(at: Site, window: Spatial) -> None:
    """Caffe makes one point of a window that is up to a stride too large,
    as C++ divides; ONNX makes none.
    """
    axes = zip(at.sizes[0][2:], window.extent, window.pad, window.far, strict=True)
    for size, extent, pad, far in axes:
        if size is not None and size + pad + far < extent:
            fact = (
                f"its window of {extent} points is larger than its padded bottom of "
                f"{size + pad + far}"
            )
            raise at.refuse(f"{fact}, for which ONNX gives nothing; enlarge the input or the pad")


# ---- Pooling


def pooling(at: Site) -> list[str]:
    """Windows as Caffe's: rounded up, clipped where padded,
    averages over what lies in the padded bottom.
    """
    kind = at.param("pooling_param").get("pool")
    if kind not in ("MAX", "AVE"):
        raise at.refuse(f"{kind} pooling is for training; take MAX or AVE")
    if len(at.tops) > 1:
        raise at.refuse(
            "its second top, the mask of the largest values, is not exported; remove that top"
        )
    largest = kind == "MAX"
    if is_global(at.layer):
        return [at.op("GlobalMaxPool" if largest else "GlobalAveragePool", at.x)]
    window, floor = spatial(at.layer), rounds_down(at.param("pooling_param"))
    if not floor and any(s + p > k for k, s, p in window.axes):
        return [_beyond(at, window, largest)]
    return [(_largest if largest else _average)(at, window, floor)]


def _words(window: Spatial, **more: Any) -> dict[str, Any]:
    return {"kernel_shape": window.kernel, "strides": window.stride, **more}


def _largest(at: Site, window: Spatial, floor: bool) -> str:
    """Where s + p <= k every window begins in the bottom,
    and Caffe clips none: ONNX rounds up alike.
    """
    words = _words(window, pads=window.pad + window.far, ceil_mode=int(not floor))
    return at.op("MaxPool", at.x, **words)


def _average(at: Site, window: Spatial, floor: bool) -> str:
    """The padding comes first, since Caffe counts it;
    what a last window has beyond it does not count.
    """
    if floor or max(window.stride) == 1:
        whole = _words(window, pads=window.pad + window.far, count_include_pad=1)
        return at.op("AveragePool", at.x, **whole)
    x = _padded(at, at.x, window.pad, window.far, 0.0)
    return at.op("AveragePool", x, **_words(window, ceil_mode=1, count_include_pad=0))


def _beyond(at: Site, window: Spatial, largest: bool) -> str:
    """Windows that may begin behind the bottom:
    rounded down over s - 1 points more, those clipped cut off.

    ceil(x / s) = floor((x + s - 1) / s).  An average is divided by the share
    of its window that lies in the padded bottom, 0 / 0 where there is none.
    """
    more = tuple(p + s - 1 for p, s in zip(window.far, window.stride, strict=True))
    x = _padded(at, at.x, window.pad, more, LOWEST if largest else 0.0)
    y = at.op("MaxPool" if largest else "AveragePool", x, **_words(window))
    if not largest:
        y = at.op("Div", y, _share(at, window))
    return _clipped(at, y, window) if any(window.pad + window.far) else y


def _share(at: Site, window: Spatial) -> str:
    """What part of each window lies in the padded bottom."""
    import numpy as np

    ones = [at.size(at.x, at.sizes[0], axis) for axis in (2, 3)]
    shape = at.op("Concat", at.whole([1, 1]), *ones, axis=0)
    image = at.op("Expand", at.floats(np.ones((1, 1, 1, 1)), "one"), shape)
    image = _padded(at, image, window.pad, window.far, 1.0)
    more = tuple(s - 1 for s in window.stride)
    return at.op("AveragePool", _padded(at, image, (0, 0), more, 0.0), **_words(window))


def _clipped(at: Site, y: str, window: Spatial) -> str:
    """Without the windows that begin at in + p or behind: ceil((in + p) / s) are left, or fewer."""
    for axis, (stride, pad) in enumerate(zip(window.stride, window.pad, strict=True), 2):
        size = at.sizes[0][axis]
        if size is not None:
            y = at.part(y, axis, 0, -(-(size + pad) // stride))
            continue
        grown = at.op("Add", at.size(at.x, at.sizes[0], axis), at.whole([pad + stride - 1]))
        y = at.part(y, axis, 0, at.op("Div", grown, at.whole([stride])))
    return y


def _padded(at: Site, x: str, before: tuple[int, ...], after: tuple[int, ...], value: float) -> str:
    if not any(before + after):
        return x
    return at.op("Pad", x, at.whole([0, 0, *before, 0, 0, *after]), at.number(value))


# ---- the rest


def interp(at: Site) -> list[str]:
    """DeepLab's: a Resize that keeps the corners, of what pad_beg and pad_end leave."""
    param = at.param("interp_param")
    cut = (-param.get("pad_beg"), -param.get("pad_end"))
    x = at.x
    if any(cut):
        for axis in (2, 3):
            x = at.part(x, axis, cut[0], -cut[1] if cut[1] else 2**63 - 1)
    sizes = [_resized(at, param, axis, sum(cut)) for axis in (2, 3)]
    first = [at.size(at.x, at.sizes[0], axis) for axis in (0, 1)]
    wanted = at.op("Concat", *first, *sizes, axis=0)
    words = {"mode": "linear", "coordinate_transformation_mode": "align_corners"}
    return [at.op("Resize", x, "", "", wanted, **words)]


def _resized(at: Site, param: Any, axis: int, cut: int) -> str:
    """The size of one axis: as `nets.forks` has it, or computed when the net runs."""
    if at.tops[0][axis] is not None:
        return at.whole([at.tops[0][axis]])
    if len(at.bottoms) > 1:
        return at.size(at.bottoms[1], at.sizes[1], axis)
    size = at.op("Sub", at.size(at.x, at.sizes[0], axis), at.whole([cut]))
    if not param.says("zoom_factor", "shrink_factor"):
        return at.op("Mul", size, at.whole([param.get("full_zoom_factor")]))
    steps = at.op("Div", at.op("Sub", size, at.whole([1])), at.whole([param.get("shrink_factor")]))
    return at.op("Add", at.op("Mul", steps, at.whole([param.get("zoom_factor")])), at.whole([1]))
