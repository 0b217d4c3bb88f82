"""Convolution and ConvTranspose, and zeros around an image by a convolution."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any, NamedTuple

from fcnkit.importing.held import Held
from fcnkit.importing.model import Constant
from fcnkit.importing.settle import plain, sizes_of
from fcnkit.importing.site import Refusal, Site
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
    """Pads such that an axis of n points has ceil(n / stride) windows, by the sizes that it has."""
    several = set()
    for sizes in site.shapes(site.input(0)):
        pads = []
        for size, extent, step in zip(sizes[2:], one.extent, one.stride, strict=True):
            short = (-(-size // step) - 1) * step + extent - size
            least = max(short, 0) // 2
            pads.append((least, max(short, 0) - least))
        several.add(tuple(pads))
    if len(several) > 1:
        raise Refusal("auto_pad depends on the size of its input; fix that with --input")
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
        raise Refusal("its pads are negative; crop its input with a Slice")
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
        raise Refusal(
            f'its weights "{site.input(1)}" are computed, but Caffe stores them in a file'
        )
    if found.dtype != "float32":
        raise Refusal(f"its weights are {found.dtype}; convert the model to float32")
    return found


def stored(found: Constant, shape: Shape | None = None) -> Any:
    """The values as a blob: where they stand in the file, or read when they are written.

    `shape` is another for the same values in the same order.
    """
    shape = found.shape if shape is None else shape
    if found.blob is not None:
        return replace(found.blob, shape=shape)
    return Lazy(shape, lambda: [_flat(found.read())])


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
                f"its pads on axis {axis + 2} are {begin} and {end}, and its dilation {step} "
                "does not divide the difference; pad its input in a layer before"
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
        "its pads differ at the two ends, and Caffe has one for both",
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
        raise Refusal("its output_shape is fixed; fix the input's size with --input")
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
                f"{step} does not divide the difference; crop its output with a Slice"
            )
        # What is cut less at one end is made there by zeros, and the same is cut at both.
        zeros.append((apart // step, 0) if first < last else (0, apart // step))
        pads.append(max(first, last))
    if min(pads) < 0:
        raise Refusal("its output is padded, which Deconvolution cannot do")
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
    place: tuple[Any, ...] = (slice(None), 0)
    place += tuple(pad - first for pad, first in zip(pads, begin, strict=True))
    weights[place] = 1
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
