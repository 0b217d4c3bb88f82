"""Convolution, ConvTranspose and pooling."""

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

from fcnkit.formats.prototxt import Word
from fcnkit.importing.held import Held
from fcnkit.importing.model import Constant
from fcnkit.importing.settle import plain, sizes_of
from fcnkit.importing.site import RELEASE, Refusal, Site
from fcnkit.shape import Shape
from fcnkit.weights.blobs import Lazy


class Window(NamedTuple):
    """A kernel on each spatial axis: its size, stride, dilation, and the pads at both ends."""

    kernel: Shape
    stride: Shape
    dilation: Shape
    begin: Shape
    end: Shape

    @property
    def extent(self) -> Shape:
        """How many points the kernel spans, with its holes."""
        return tuple(
            (size - 1) * step + 1 for size, step in zip(self.kernel, self.dilation, strict=True)
        )


def window(site: Site, kernel: Sequence[int]) -> Window:
    """The window that the node's attributes say."""
    axes = len(kernel)
    ones = (1,) * axes
    stride = tuple(site.given("strides", ones))
    dilation = tuple(site.given("dilations", ones))
    pads = tuple(site.given("pads", (0,) * 2 * axes))
    found = Window(tuple(kernel), stride, dilation, pads[:axes], pads[axes:])
    auto = site.given("auto_pad", "NOTSET")
    if auto == "VALID":
        return found._replace(begin=(0,) * axes, end=(0,) * axes)
    return found if auto == "NOTSET" else _automatic(site, found, auto == "SAME_UPPER")


def _automatic(site: Site, one: Window, upper: bool) -> Window:
    """Pads such that an axis of n points has ceil(n / stride) windows, worked out from the sizes."""
    several = set()
    for sizes in site.shapes(site.input(0)):
        pads = []
        for size, extent, step in zip(sizes[2:], one.extent, one.stride, strict=True):
            short = (-(-size // step) - 1) * step + extent - size
            least = max(short, 0) // 2
            pads.append((least, max(short, 0) - least))
        several.add(tuple(pads))
    if len(several) > 1:
        raise Refusal("auto_pad pads by the size of its input; fix that with --input")
    found = several.pop()
    ends = [pair if upper else pair[::-1] for pair in found]
    return one._replace(
        begin=tuple(first for first, _ in ends), end=tuple(last for _, last in ends)
    )


# ---- convolutions


def conv(site: Site) -> Held:
    """Conv: a Convolution; pads that differ become zeros of its kernel."""
    x, weights = plain(site), _weights(site)
    outputs, groups = weights.shape[0], site.given("group", 1)
    one = window(site, weights.shape[2:])
    if min((*one.begin, *one.end)) < 0:
        raise Refusal("its pads are negative; cut its input by a Slice")
    axes, pads = _evened(one)
    fields: list[tuple[str, object]] = [("num_output", outputs)]
    bias = _bias(site, outputs)
    if not bias:
        fields.append(("bias_term", False))
    kernel = tuple(size + sum(more) for size, more in zip(one.kernel, axes, strict=True))
    fields += _fields(one._replace(kernel=kernel), pads, groups)
    blob = _widened(site, weights, axes)
    return site.add(
        "Convolution",
        [x],
        [("convolution_param", fields)],
        blobs=[blob, *bias],
        shapes=site.shapes(site.out),
    )


def _weights(site: Site) -> Constant:
    found = site.constant(1)
    if found is None:
        raise Refusal(f'its weights "{site.input(1)}" are computed, and Caffe has them in a file')
    if found.dtype != "float32":
        raise Refusal(f"its weights are {found.dtype}; convert the model to float32")
    return found


def stored(found: Constant) -> Any:
    """The values as a blob: where they stand in the file, or read when they are written."""
    if found.blob is not None:
        return found.blob
    return Lazy(found.shape, lambda: [_flat(found.read())])


def _flat(array: Any) -> Any:
    import numpy as np

    return np.ascontiguousarray(array, "<f4").reshape(-1)


def _bias(site: Site, outputs: int) -> list[Any]:
    if not site.input(2):
        return []
    found = site.constant(2)
    if found is None or prod(found.shape) != outputs:
        raise Refusal(f'its bias "{site.input(2)}" is not one constant for each output')
    return [stored(found)]


def _evened(one: Window) -> tuple[list[tuple[int, int]], list[int]]:
    """Zeros before and behind the kernel's points on each axis, and the one pad of each."""
    zeros, pads = [], []
    for axis, (begin, end, step) in enumerate(zip(one.begin, one.end, one.dilation, strict=True)):
        apart = abs(begin - end)
        if apart % step:
            raise Refusal(
                f"its pads on axis {axis + 2} are {begin} and {end}, and its dilation {step} does "
                "not divide the difference; pad its input first"
            )
        # A point more on the side of the smaller pad lets that side be padded like the other.
        zeros.append((apart // step, 0) if begin < end else (0, apart // step))
        pads.append(max(begin, end))
    return zeros, pads


def _widened(site: Site, weights: Constant, zeros: Sequence[tuple[int, int]]) -> Any:
    if not any(map(sum, zeros)):
        return stored(weights)
    site.say(
        f"zeros in the kernel, {weights.shape[2:]} with {list(zeros)} more",
        "its pads differ, and Caffe has one for both ends",
    )
    shape = (
        *weights.shape[:2],
        *(size + sum(more) for size, more in zip(weights.shape[2:], zeros, strict=True)),
    )
    return Lazy(shape, lambda: [_flat(_padded(weights.read(), zeros))])


def _padded(array: Any, zeros: Sequence[tuple[int, int]]) -> Any:
    import numpy as np

    return np.pad(array, ((0, 0), (0, 0), *zeros))


def _fields(one: Window, pads: Sequence[int], groups: int) -> list[tuple[str, object]]:
    fields: list[tuple[str, object]] = []
    if any(pads):
        fields += sizes_of(("pad", "pad"), pads)
    fields += sizes_of(("kernel_size", "kernel"), one.kernel)
    if any(step != 1 for step in one.stride):
        fields += sizes_of(("stride", "stride"), one.stride)
    if groups != 1:
        fields.append(("group", groups))
    if any(step != 1 for step in one.dilation):
        same = len(set(one.dilation)) == 1
        fields += [("dilation", step) for step in (one.dilation[:1] if same else one.dilation)]
    return fields


def conv_transpose(site: Site) -> Held:
    """ConvTranspose: a Deconvolution; ends that differ become zeros of its kernel."""
    x, weights = plain(site), _weights(site)
    groups = site.given("group", 1)
    outputs = weights.shape[1] * groups
    one = window(site, weights.shape[2:])
    shapes = site.shapes(site.out)
    ends = set()
    for before, after in zip(x.sizes, shapes, strict=True):
        # The size says both ends together, whichever of the attributes gave it.
        ends.add(
            tuple(
                step * (size - 1) + extent - made
                for size, made, step, extent in zip(
                    before[2:], after[2:], one.stride, one.extent, strict=True
                )
            )
        )
    if len(ends) > 1:
        raise Refusal("its output_shape is one for all sizes; fix the input's with --input")
    both = ends.pop()
    begin = _begin(site, one, both)
    fitted = one._replace(
        begin=begin, end=tuple(all_ - first for all_, first in zip(both, begin, strict=True))
    )
    zeros, pads = [], []
    for axis, (first, last, step) in enumerate(
        zip(fitted.begin, fitted.end, one.dilation, strict=True)
    ):
        apart = abs(first - last)
        if apart % step:
            raise Refusal(
                f"it cuts {first} and {last} from the ends of axis {axis + 2}, and its dilation "
                f"{step} does not divide the difference; cut its output by a Slice"
            )
        # What is cut less at one end is made there by zeros, and the same is cut at both.
        zeros.append((apart // step, 0) if first < last else (0, apart // step))
        pads.append(max(first, last))
    if min(pads) < 0:
        raise Refusal("its output is padded at both ends, which Deconvolution cannot")
    kernel = tuple(size + sum(more) for size, more in zip(one.kernel, zeros, strict=True))
    fields: list[tuple[str, object]] = [("num_output", outputs)]
    bias = _bias(site, outputs)
    if not bias:
        fields.append(("bias_term", False))
    fields += _fields(one._replace(kernel=kernel), pads, groups)
    return site.add(
        "Deconvolution",
        [x],
        [("convolution_param", fields)],
        blobs=[_widened(site, weights, zeros), *bias],
        shapes=shapes,
    )


def _begin(site: Site, one: Window, both: Sequence[int]) -> Shape:
    """What is cut at the beginning of each axis."""
    said = site.given("output_shape") is not None
    auto = site.given("auto_pad", "NOTSET")
    if not said and auto in ("NOTSET", "VALID"):
        return one.begin
    if auto == "SAME_UPPER":
        return tuple(total // 2 for total in both)
    return tuple(total - total // 2 for total in both)


# ---- pooling


def max_pool(site: Site) -> Held:
    """MaxPool."""
    if len(site.node.output) > 1 and site.node.output[1]:
        raise Refusal("it also gives the places of the largest values, which no other node may use")
    if set(site.given("dilations", (1,))) != {1}:
        raise Refusal("its window has holes (dilations), and Caffe's pooling has none")
    return _pooled(site, "MAX", window(site, site.given("kernel_shape")))


def average_pool(site: Site) -> Held:
    """AveragePool; without the padding in the count, AVE(x) / AVE(1)."""
    if set(site.given("dilations", (1,))) != {1}:
        raise Refusal("its window has holes (dilations), and Caffe's pooling has none")
    one = window(site, site.given("kernel_shape"))
    if site.given("count_include_pad", 0) or not any((*one.begin, *one.end)):
        return _pooled(site, "AVE", one)
    site.say("divided by the mean of ones", "Caffe counts the padding, and the model does not")
    made = _pooled(site, "AVE", one, part="sum")
    ones = site.power(plain(site), scale=0, shift=1, part="ones")
    share = _pooled(site, "AVE", one, ones, part="share")
    inverse = site.power(share, power=-1, part="inverse")
    return site.eltwise("PROD", made, inverse, part="mean")


def global_pool(how: str) -> Any:
    """GlobalAveragePool or GlobalMaxPool."""

    def pooled(site: Site) -> Held:
        x = plain(site)
        fields = ([] if how == "MAX" else [("pool", Word(how))]) + [("global_pooling", True)]
        return _two_axes(site, x) or site.add(
            "Pooling", [x], [("pooling_param", fields)], shapes=site.shapes(site.out)
        )

    return pooled


def _two_axes(site: Site, x: Held) -> None:
    if len(x.sizes[0]) != 4:
        raise Refusal(f"it pools {len(x.sizes[0]) - 2} axes, and Caffe's pooling two")


def _pooled(site: Site, how: str, one: Window, x: Held | None = None, part: str = "") -> Held:
    x = plain(site) if x is None else x
    _two_axes(site, x)
    shapes = site.shapes(site.out)
    pads = one.begin
    counted = how == "AVE" and bool(site.given("count_include_pad", 0))
    if one.begin != one.end and (counted or not _rounds(one, x, shapes)):
        x, pads = _padded_before(site, x, one, how, part), (0, 0)
    fields: list[tuple[str, object]] = [] if how == "MAX" else [("pool", Word(how))]
    if any(pads):
        fields += sizes_of(("pad", "pad"), pads)
    fields += sizes_of(("kernel_size", "kernel"), one.kernel)
    if any(step != 1 for step in one.stride):
        fields += sizes_of(("stride", "stride"), one.stride)
    if any(pad >= size for pad, size in zip(pads, one.kernel, strict=True)):
        raise Refusal("its pads are as wide as its kernel, which Caffe refuses")
    rounded = {ceil: _rounds(one._replace(begin=pads), x, shapes, ceil) for ceil in (True, False)}
    free = None in site.dims(site.input(0))[2:] and any(step != 1 for step in one.stride)
    ceil = bool(site.given("ceil_mode", 0)) if free else rounded[True]
    if not rounded[ceil]:
        ceil = not ceil
    if not rounded[ceil]:
        raise Refusal("its size is neither Caffe's rounded up nor rounded down")
    if not ceil:
        if site.caffe == RELEASE:
            return _without_rounding(site, how, one, pads, x, shapes, part)
        fields.append(("round_mode", Word("FLOOR")))
        if not part:
            site.say("round_mode: FLOOR", "the model rounds down, and Caffe up")
    return site.add("Pooling", [x], [("pooling_param", fields)], shapes=shapes, part=part)


def _rounds(one: Window, x: Held, shapes: Sequence[Shape], ceil: bool = True) -> bool:
    """Whether Caffe, padding both ends as the first, makes the sizes that the model makes.

    Where it does, its last window reaches over the end, which is as good as padding.
    """
    return all(
        _size(axis, sizes, one, one.begin, ceil) == made[axis]
        for sizes, made in zip(x.sizes, shapes, strict=True)
        for axis in (2, 3)
    )


def _size(axis: int, sizes: Shape, one: Window, pads: Sequence[int], ceil: bool) -> int:
    """How many windows Caffe makes: PoolingLayer::Reshape in pooling_layer.cpp."""
    at = axis - 2
    over = sizes[axis] + 2 * pads[at] - one.kernel[at]
    count = (-(-over // one.stride[at]) if ceil else over // one.stride[at]) + 1
    if any(pads) and (count - 1) * one.stride[at] >= sizes[axis] + pads[at]:
        count -= 1
    return count


def _without_rounding(
    site: Site,
    how: str,
    one: Window,
    pads: Sequence[int],
    x: Held,
    shapes: Sequence[Shape],
    part: str,
) -> Held:
    """Caffe's own rounding, cut to the size of a convolution, which rounds down."""
    more = [
        (
            sizes[0],
            sizes[1],
            *(_size(axis, sizes, one, pads, True) for axis in (2, 3)),
        )
        for sizes in x.sizes
    ]
    fields: list[tuple[str, object]] = [] if how == "MAX" else [("pool", Word(how))]
    geometry = [
        *(sizes_of(("pad", "pad"), pads) if any(pads) else ()),
        *sizes_of(("kernel_size", "kernel"), one.kernel),
        *sizes_of(("stride", "stride"), one.stride),
    ]
    pooled = site.add(
        "Pooling",
        [x],
        [("pooling_param", fields + geometry)],
        shapes=more,
        part=f"{part or 'pool'}_up",
    )
    import numpy as np

    weights = np.zeros((1, x.sizes[0][1], *one.kernel), np.float32)
    size = site.add(
        "Convolution",
        [x],
        [("convolution_param", [("num_output", 1), ("bias_term", False), *geometry])],
        blobs=[weights],
        shapes=[(made[0], 1, *made[2:]) for made in shapes],
        part=f"{part or 'pool'}_size",
    )
    site.say("a Crop to the size of a Convolution", "the model rounds down, and Caffe 1.0 only up")
    return site.add(
        "Crop",
        [pooled, size],
        [("crop_param", [("axis", 2), ("offset", 0)])],
        shapes=shapes,
        part=part,
    )


def _padded_before(site: Site, x: Held, one: Window, how: str, part: str) -> Held:
    """Zeros around the input by a Convolution, where they are as good as the model's padding."""
    if how == "MAX" and not _not_negative(site, x):
        raise Refusal(
            "its pads differ at the two ends; zeros in their place are right only behind a ReLU"
        )
    site.say("zeros around its input", "its pads differ, and Caffe has one for both ends")
    return shifted(site, x, one.begin, one.end, part=f"{part}padded")


def _not_negative(site: Site, x: Held) -> bool:
    """Whether no value of the blob is negative, as far as the layer says that makes it."""
    made = (
        next(layer for layer in reversed(site.draft.layers) if x.blob in layer.tops)
        if any(x.blob in layer.tops for layer in site.draft.layers)
        else None
    )
    return made is not None and made.type in _NEVER_NEGATIVE and not made.fields


# Layers which, without a field, make no negative value.
_NEVER_NEGATIVE = ("ReLU", "Sigmoid", "AbsVal", "Softmax")


def shifted(
    site: Site,
    x: Held,
    begin: Sequence[int],
    end: Sequence[int],
    *,
    stride: Sequence[int] = (1, 1),
    shapes: Sequence[Shape] | None = None,
    part: str,
) -> Held:
    """So many zeros before and behind each spatial axis, or so many points fewer, where negative.

    out[i] = x[stride i - begin] is a Convolution of each channel alone whose
    kernel has a single one: with pad p = max(begin, end, 0) at point p - begin
    of 2 p - begin - end + 1.  Right at every size.
    """
    if not any((*begin, *end)) and set(stride) == {1}:
        return x
    pads = [max(first, last, 0) for first, last in zip(begin, end, strict=True)]
    kernel = [2 * pad - first - last + 1 for pad, first, last in zip(pads, begin, end, strict=True)]
    channels = x.sizes[0][1]
    import numpy as np

    weights = np.zeros((channels, 1, *kernel), np.float32)
    weights[(slice(None), 0, *(pad - first for pad, first in zip(pads, begin, strict=True)))] = 1
    one = Window(tuple(kernel), tuple(stride), (1,) * len(kernel), (), ())
    fields = [("num_output", channels), ("bias_term", False), *_fields(one, pads, channels)]
    if shapes is None:
        shapes = [
            (
                *sizes[:2],
                *(
                    size + first + last
                    for size, first, last in zip(sizes[2:], begin, end, strict=True)
                ),
            )
            for sizes in x.sizes
        ]
    return site.add(
        "Convolution",
        [x],
        [("convolution_param", fields)],
        blobs=[weights],
        shapes=shapes,
        part=part,
    )
