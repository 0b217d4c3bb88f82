"""Pooling: how sizes are rounded, and what stands beyond the edge."""

from collections.abc import Callable, Sequence

from fcnkit.formats.prototxt import Word
from fcnkit.importing.held import Held
from fcnkit.importing.settle import plain, settled, sizes_of
from fcnkit.importing.site import Refusal, Site
from fcnkit.importing.windows import Window, shifted, window
from fcnkit.plural import number_of
from fcnkit.shape import Shape


def max_pool(site: Site) -> Held:
    """MaxPool."""
    if len(site.node.output) > 1 and site.node.output[1]:
        raise Refusal(
            "it also outputs the places of the largest values, and another node uses them"
        )
    if set(site.given("dilations", (1,))) != {1}:
        raise Refusal("its window is dilated, which Caffe's pooling cannot be")
    x, one, shapes = _images(site)
    return _pooled(site, "MAX", one, x, shapes).reshaped(site.shapes(site.out))


def average_pool(site: Site) -> Held:
    """AveragePool; without the padding in the count, AVE(x) / AVE(1)."""
    if set(site.given("dilations", (1,))) != {1}:
        raise Refusal("its window is dilated, which Caffe's pooling cannot be")
    x, one, shapes = _images(site)
    if site.given("count_include_pad", 0) or not any((*one.begin, *one.end)):
        return _pooled(site, "AVE", one, x, shapes).reshaped(site.shapes(site.out))
    site.say("divided by the mean of ones", "Caffe counts the padding, but the model does not")
    made = _pooled(site, "AVE", one, x, shapes, part="sum")
    ones = site.power(x, scale=0, shift=1, part="ones")
    share = _pooled(site, "AVE", one, ones, shapes, part="share")
    inverse = site.power(share, power=-1, part="inverse")
    return site.eltwise("PROD", made, inverse, part="mean").reshaped(site.shapes(site.out))


def _images(site: Site) -> tuple[Held, Window, Sequence[Shape]]:
    """The blob that is pooled, its window and the shapes that come of it.

    What has one axis is a column of an image.
    """
    x, one = plain(site), window(site, site.given("kernel_shape"))
    shapes: Sequence[Shape] = site.shapes(site.out)
    if len(x.sizes[0]) == 3:
        x = settled(site, x.reshaped([(*sizes, 1) for sizes in x.sizes]))
        one = Window(*((*each, at) for each, at in zip(one, (1, 1, 1, 0, 0), strict=True)))
        shapes = [(*sizes, 1) for sizes in shapes]
    _check_axes(x)
    return x, one, shapes


def global_pool(how: str) -> Callable[[Site], Held]:
    """GlobalAveragePool or GlobalMaxPool."""

    def pooled(site: Site) -> Held:
        x = plain(site)
        fields = ([] if how == "MAX" else [("pool", Word(how))]) + [("global_pooling", True)]
        _check_axes(x)
        return site.add("Pooling", [x], [("pooling_param", fields)], shapes=site.shapes(site.out))

    return pooled


def _check_axes(x: Held) -> None:
    if len(x.sizes[0]) != 4:
        raise Refusal(
            f"it pools {number_of(len(x.sizes[0]) - 2, 'axis', 'axes')}, and Caffe's pooling two"
        )


def _pooled(
    site: Site, how: str, one: Window, x: Held, shapes: Sequence[Shape], part: str = ""
) -> Held:
    if {*one.kernel, *one.stride} == {1} and not any((*one.begin, *one.end)):
        return x  # an adaptive pooling of what has its size already
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
        raise Refusal("its size is neither Caffe's size rounded up nor rounded down")
    if not ceil:
        if not site.has("round_mode"):
            return _without_rounding(site, how, one, pads, x, shapes, part)
        fields.append(("round_mode", Word("FLOOR")))
        if not part:
            site.say("round_mode: FLOOR", "the model rounds its size down, and Caffe rounds up")
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
    site.say(
        "a Crop to the size of a Convolution",
        "the model rounds its size down, and Caffe 1.0 can only round up",
    )
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
        raise Refusal("its two ends have different pads, which zeros can replace only after a ReLU")
    site.say(
        "zeros around its input", "its pads differ at the two ends, and Caffe has one for both"
    )
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
