"""What puts numbers elsewhere: shapes, axes, joining, cutting, repeating."""

from collections.abc import Callable, Sequence
from typing import Any

from fcnkit.formats.prototxt import Word
from fcnkit.importing.held import Held
from fcnkit.importing.settle import convolution, one_hot, plain, settled, sizes_of
from fcnkit.importing.site import Refusal, Site
from fcnkit.importing.windows import shifted
from fcnkit.shape import Shape

LAST = 2**31 - 1


def reshape(site: Site) -> Held:
    """Reshape, Flatten, Squeeze, Unsqueeze: the same blob, seen under another shape."""
    return site.x().reshaped(site.shapes(site.out))


def transpose(site: Site) -> Held:
    """Transpose: the same blob, its axes seen in another order."""
    count = len(site.shapes(site.input(0))[0])
    return site.x().transposed(site.given("perm", tuple(reversed(range(count)))))


def _along(site: Site, axis: int, at: int = 0) -> tuple[Held, int, Held]:
    """An input as a blob, the axis of the blob that is this one, and the input as it was."""
    count = len(site.shapes(site.input(at))[0])
    held = site.x(at)
    order = held.transposition
    if order is None:
        held = plain(site, at)
        order = tuple(range(count))
    return Held(held.blob, held.sizes), order[axis % count], held


def concat(site: Site) -> Held:
    """Concat."""
    count = len(site.node.input)
    if any(site.constant(at) is not None for at in range(count)):
        raise Refusal("one of its inputs is a constant")
    parts = [site.x(at) for at in range(count)]
    axis = site.given("axis", 1) % len(site.shapes(site.out)[0])
    orders = {part.transposition for part in parts}
    if len(orders) > 1 or None in orders:
        parts = [plain(site, at) for at in range(count)]
    order = parts[0].transposition or ()
    if count == 1:
        return parts[0]
    its = order[axis]
    fields = [("concat_param", [("axis", its)])] if its != 1 else ()
    blobs = [Held(part.blob, part.sizes) for part in parts]
    shapes = [
        (*sizes[0][:its], sum(each[its] for each in sizes), *sizes[0][its + 1 :])
        for sizes in zip(*(part.sizes for part in parts), strict=True)
    ]
    made = site.add("Concat", blobs, fields, shapes=shapes)
    return Held(made.blob, made.sizes, parts[0].moves)


def split(site: Site) -> list[Held]:
    """Split: a Slice."""
    axis = site.given("axis", 0)
    count = len(site.shapes(site.input(0))[0])
    several = [site.dims(name)[axis % count] for name in site.node.output]
    if None in several:
        raise Refusal("its parts follow the size of the input; fix that with --input")
    if len(several) == 1:
        return [site.x()]
    blob, its, held = _along(site, axis)
    return [
        Held(each.blob, each.sizes, held.moves)
        for each in _cut(site, blob, its, [size or 0 for size in several])
    ]


def _cut(site: Site, x: Held, axis: int, parts: Sequence[int]) -> list[Held]:
    """Slices of these sizes along one axis."""
    shapes = [[(*sizes[:axis], part, *sizes[axis + 1 :]) for sizes in x.sizes] for part in parts]
    fields: list[tuple[str, object]] = [("axis", axis)] if axis != 1 else []
    if len(set(parts)) > 1:
        places = [sum(parts[: at + 1]) for at in range(len(parts) - 1)]
        fields += [("slice_point", place) for place in places]
    return site.adds("Slice", [x], [("slice_param", fields)] if fields else (), shapes=shapes)


def slice_(site: Site) -> Held:
    """Slice: along channels a Slice; along height and width a Convolution with a single one."""
    sizes = site.shapes(site.input(0))
    count = len(sizes[0])
    starts, ends = site.argument("starts", 1), site.argument("ends", 2)
    axes = site.argument("axes", 3, list(range(len(starts))))
    steps = site.argument("steps", 4, [1] * len(starts))
    held = site.x()
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis %= count
        spans = [_span(start, end, step, shape[axis]) for shape in sizes]
        if all(span == (0, shape[axis], 1) for span, shape in zip(spans, sizes, strict=True)):
            continue
        held = _sliced(site, held, axis, spans)
        sizes = tuple(
            (*shape[:axis], len(range(*span)), *shape[axis + 1 :])
            for shape, span in zip(sizes, spans, strict=True)
        )
    return held


def _span(start: int, end: int, step: int, size: int) -> tuple[int, int, int]:
    if step < 1:
        raise Refusal("it runs backwards, which no layer of Caffe does")
    return slice(start, end, step).indices(size)


def _sliced(site: Site, held: Held, axis: int, spans: Sequence[tuple[int, int, int]]) -> Held:
    order = held.transposition
    if order is None:
        held = settled(site, held)
        order = tuple(range(len(held.sizes[0])))
    x, its = Held(held.blob, held.sizes), order[axis]
    whole = [shape[its] for shape in x.sizes]
    step = spans[0][2]
    if its > 1 and len(x.sizes[0]) == 4:
        made = _cut_out(site, x, its, spans, step)
    elif len(set(spans)) > 1 or len(set(whole)) > 1:
        raise Refusal("what it takes follows the size of the input; fix that with --input")
    elif its == 0:
        raise Refusal("it takes some images of a batch")
    elif step != 1:
        chosen = list(range(*spans[0]))
        made = picked(site, x, its, chosen)
    else:
        first, last, _ = spans[0]
        parts = [first, last - first, whole[0] - last]
        tops = _cut(site, x, its, [part for part in parts if part])
        made = tops[1 if first else 0]
        left = [top for top in tops if top is not made]
        site.draft.unread.extend(top.blob for top in left)
    return Held(made.blob, made.sizes, held.moves)


def _cut_out(
    site: Site, x: Held, axis: int, spans: Sequence[tuple[int, int, int]], step: int
) -> Held:
    starts = {span[0] for span in spans}
    # How many points behind the last that is taken would hold another; none for "up to the end".
    behind = {shape[axis] - span[1] for shape, span in zip(x.sizes, spans, strict=True)}
    if len(starts) > 1 or len(behind) > 1:
        raise Refusal("what it takes follows the size of the input; fix that with --input")
    begin, end = [0, 0], [0, 0]
    begin[axis - 2], end[axis - 2] = -starts.pop(), -behind.pop()
    stride = [1, 1]
    stride[axis - 2] = step
    shapes = [
        (*shape[:axis], len(range(*span)), *shape[axis + 1 :])
        for shape, span in zip(x.sizes, spans, strict=True)
    ]
    return shifted(site, x, begin, end, stride=stride, shapes=shapes, part=f"cut{axis}")


def picked(site: Site, x: Held, axis: int, chosen: Sequence[int]) -> Held:
    """These channels, in this order: a 1 x 1 Convolution of ones and zeros."""
    if axis != 1 or len(x.sizes[0]) != 4:
        raise Refusal("it picks places along an axis that is not the channels of an image")
    weights = one_hot(
        [(at, its, 0, 0) for at, its in enumerate(chosen)], (len(chosen), x.sizes[0][1], 1, 1)
    )
    return convolution(site, x, weights, part="pick")


def gather(site: Site) -> Held:
    """Gather by constant indices."""
    indices = site.value(1)
    count = len(site.shapes(site.input(0))[0])
    axis = site.given("axis", 0) % count
    sizes = {shape[axis] for shape in site.shapes(site.input(0))}
    if site.constant(0) is not None:
        raise Refusal("it looks up a table, which is an Embed layer; begin behind it")
    if len(sizes) > 1:
        raise Refusal("it picks along an axis whose size is free; fix it with --input")
    size = sizes.pop()
    chosen = [int(each) % size for each in indices.ravel()]
    straight = chosen == list(range(chosen[0], chosen[0] + len(chosen)))
    if straight:
        held = (
            _sliced(site, site.x(), axis, [(chosen[0], chosen[-1] + 1, 1)] * len(site.trials))
            if len(chosen) != size
            else site.x()
        )
    else:
        blob, its, held = _along(site, axis)
        made = picked(site, blob, its, chosen)
        held = Held(made.blob, made.sizes, held.moves)
    return held.reshaped(site.shapes(site.out))


def pad(site: Site) -> Held:
    """Pad with zeros: a Convolution with a single one in each kernel, padded."""
    if site.given("mode", "constant") != "constant":
        raise Refusal(f"it pads by {site.given('mode')}, and Caffe's layers pad with zeros")
    value = site.argument("value", 2, 0)
    value = value[0] if isinstance(value, list) else value
    if value:
        raise Refusal(f"it pads with {value:g}, and Caffe's layers pad with zeros")
    pads = site.argument("pads", 1)
    count = len(site.shapes(site.input(0))[0])
    axes = [axis % count for axis in site.argument("axes", 3, list(range(count)))]
    begin, end = [0] * count, [0] * count
    for at, axis in enumerate(axes):
        begin[axis], end[axis] = pads[at], pads[at + len(axes)]
    held = site.x()
    if not any((*begin, *end)):
        return held
    order = held.transposition
    if order is None:
        held = plain(site)
        order = tuple(range(count))
    if len(held.sizes[0]) != 4:
        raise Refusal("it pads something else than an image")
    inner, outer = [0] * 4, [0] * 4
    for axis, its in enumerate(order):
        inner[its], outer[its] = begin[axis], end[axis]
    if any((*inner[:2], *outer[:2])):
        raise Refusal("it pads the batch or the channels")
    made = shifted(site, Held(held.blob, held.sizes), inner[2:], outer[2:], part="")
    return Held(made.blob, made.sizes, held.moves)


def expand(site: Site) -> Held:
    """Expand or Tile: a Tile layer for each axis."""
    from fcnkit.importing.pointwise import _tiled

    x = plain(site)
    wanted = site.shapes(site.out)
    missing = len(wanted[0]) - len(x.sizes[0])
    if missing:
        x = settled(site, x.reshaped([(*(1,) * missing, *sizes) for sizes in x.sizes]))
    return _tiled(site, x, wanted)


def tile(site: Site) -> Held:
    """Tile."""
    x = plain(site)
    repeats = site.value(1).tolist()
    for axis, count in enumerate(repeats):
        if count == 1:
            continue
        shapes = [(*s[:axis], s[axis] * count, *s[axis + 1 :]) for s in x.sizes]
        fields = [("tile_param", [("axis", axis), ("tiles", count)])]
        x = site.add("Tile", [x], fields, shapes=shapes, part=f"tile{axis}")
    return x


def depth_to_space(site: Site) -> Held:
    """DepthToSpace: what its reshapes and transposition come to."""
    block = site.given("blocksize")
    held, made = site.x(), site.shapes(site.out)
    columns = site.given("mode", "DCR") == "CRD"
    first = [
        (n, c // block**2, block, block, h, w)
        if columns
        else (n, block, block, c // block**2, h, w)
        for n, c, h, w in site.shapes(site.input(0))
    ]
    axes = (0, 1, 4, 2, 5, 3) if columns else (0, 3, 4, 1, 5, 2)
    return held.reshaped(first).transposed(axes).reshaped(made)


def space_to_depth(site: Site) -> Held:
    """SpaceToDepth: what its reshapes and transposition come to."""
    block = site.given("blocksize")
    first = [
        (n, c, h // block, block, w // block, block) for n, c, h, w in site.shapes(site.input(0))
    ]
    held = site.x().reshaped(first).transposed((0, 3, 5, 1, 2, 4))
    return held.reshaped(site.shapes(site.out))


# ---- sums over axes


def reduced(how: str) -> Callable[[Site], Held]:
    """ReduceMean, ReduceSum, ReduceMax and their like over the axes that layers sum over."""

    def made(site: Site) -> Held:
        before = site.shapes(site.input(0))
        count = len(before[0])
        said = site.argument("axes", 1)
        if said is None or not len(said):
            if said is not None and site.given("noop_with_empty_axes", 0):
                return site.x()
            said = list(range(count))
        held = site.x()
        order = held.transposition
        if order is None:
            held, order = plain(site), tuple(range(count))
        axes = sorted(order[axis % count] for axis in said)
        x = Held(held.blob, held.sizes)
        x = site.power(x, power=2, part="square") if how in ("L2", "SUMSQ") else x
        x = site.add("AbsVal", [x], part="abs") if how == "L1" else x
        inner = {"L2": "SUM", "SUMSQ": "SUM", "L1": "SUM"}.get(how, how)
        result = _over(site, x, axes, inner)
        if how == "L2":
            result = site.power(result, power=0.5, part="root")
        # With all axes kept the sizes of 1 stand where the tensor has them.
        kept = [
            tuple(1 if axis in axes else size for axis, size in enumerate(sizes))
            for sizes in held.sizes
        ]
        back = result.reshaped(kept) if result.sizes != tuple(kept) else result
        moved = Held(back.blob, back.sizes, back.moves)
        if held.moves:
            moved = moved.transposed(order)
        return moved.reshaped(site.shapes(site.out))

    return made


def _over(site: Site, x: Held, axes: Sequence[int], how: str) -> Held:
    count = len(x.sizes[0])
    if count == 4 and list(axes) == [2, 3] and how in ("MEAN", "MAX"):
        pool = [("pool", Word("AVE"))] if how == "MEAN" else []
        shapes = [(*sizes[:2], 1, 1) for sizes in x.sizes]
        fields = [("pooling_param", [*pool, ("global_pooling", True)])]
        return site.add("Pooling", [x], fields, shapes=shapes)
    if count == 4 and list(axes) == [1] and how in ("MEAN", "SUM"):
        import numpy as np

        channels = x.sizes[0][1]
        value = 1 / channels if how == "MEAN" else 1
        return convolution(site, x, np.full((1, channels, 1, 1), value, np.float32), part="")
    if list(axes) == list(range(axes[0], count)) and how in ("MEAN", "SUM"):
        operation = [("operation", Word("MEAN"))] if how == "MEAN" else []
        fields = [("reduction_param", [*operation, ("axis", axes[0])])]
        shapes = [sizes[: axes[0]] for sizes in x.sizes]
        return site.add("Reduction", [x], fields, shapes=shapes)
    raise Refusal(f"it takes the {how.lower()} over axes {list(axes)}, which no layer does")


def arg_max(site: Site) -> Held:
    """ArgMax along one axis."""
    if site.given("select_last_index", 0):
        raise Refusal("of equal values it takes the last, and Caffe the first")
    blob, axis, held = _along(site, site.given("axis", 0))
    shapes = [(*sizes[:axis], 1, *sizes[axis + 1 :]) for sizes in blob.sizes]
    made = site.add("ArgMax", [blob], [("argmax_param", [("axis", axis)])], shapes=shapes)
    if held.moves:
        made = made.transposed(held.transposition or ())
    return made.reshaped(site.shapes(site.out))


# ---- sizes


def resize(site: Site) -> Held:
    """Resize and Upsample: whole factors by Deconvolution."""
    x = plain(site)
    before, after = x.sizes, site.shapes(site.out)
    if len(before[0]) != 4 or any(a[:2] != b[:2] for a, b in zip(before, after, strict=True)):
        raise Refusal("it resizes other axes than height and width")
    if before == after:
        return x
    mode = site.given("mode", "nearest")
    old = site.node.op_type == "Upsample" or site.opset < 11
    how = "asymmetric" if old else site.given("coordinate_transformation_mode", "half_pixel")
    factors = {
        tuple(b[axis] / a[axis] for axis in (2, 3)) for a, b in zip(before, after, strict=True)
    }
    factor = factors.pop() if len(factors) == 1 else None
    if factor and all(each.is_integer() for each in factor):
        ratio = (int(factor[0]), int(factor[1]))
        if mode == "nearest" and _repeats(site, how, old):
            return _repeated(site, x, ratio, after)
        if mode == "linear" and how in ("half_pixel", "pytorch_half_pixel"):
            return _linear(site, x, ratio, after)
    return _fixed(site, x, mode, how, old, after)


def _repeats(site: Site, how: str, old: bool) -> bool:
    """Whether every pixel becomes a block of itself."""
    rounding = "floor" if old else site.given("nearest_mode", "round_prefer_floor")
    if how == "asymmetric":
        return rounding == "floor"
    # The middle of each pixel of a block lies within the pixel that it is made of.
    return how in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric") and rounding in (
        "round_prefer_floor",
        "round_prefer_ceil",
    )


def _repeated(site: Site, x: Held, ratio: tuple[int, int], shapes: Sequence[Shape]) -> Held:
    import numpy as np

    channels = x.sizes[0][1]
    return _grouped(site, x, np.ones((channels, 1, *ratio), np.float32), ratio, (0, 0), shapes, "")


def _grouped(
    site: Site,
    x: Held,
    weights: Any,
    stride: tuple[int, int],
    pads: tuple[int, int],
    shapes: Sequence[Shape],
    part: str,
) -> Held:
    """A Deconvolution of each channel alone."""
    channels = weights.shape[0]
    fields: list[tuple[str, object]] = [("num_output", channels), ("bias_term", False)]
    fields += sizes_of(("pad", "pad"), pads) if any(pads) else []
    fields += sizes_of(("kernel_size", "kernel"), weights.shape[2:])
    fields += sizes_of(("stride", "stride"), stride)
    fields += [("group", channels)] if channels > 1 else []
    return site.add(
        "Deconvolution",
        [x],
        [("convolution_param", fields)],
        blobs=[weights],
        shapes=shapes,
        part=part,
    )


def _linear(site: Site, x: Held, ratio: tuple[int, int], shapes: Sequence[Shape]) -> Held:
    """Bilinear upsampling, divided by the same of ones, so that the border is its own neighbour.

    Kernel 2 f - f mod 2, stride f, pad ceil((f - 1) / 2): the filler `bilinear` of Caffe.
    """
    import numpy as np

    kernels, pads = zip(*(_bilinear(each) for each in ratio), strict=True)
    kernel = np.outer(*kernels).astype(np.float32)
    channels = x.sizes[0][1]
    weights = np.broadcast_to(kernel, (channels, 1, *kernel.shape)).copy()
    made = _grouped(site, x, weights, ratio, pads, shapes, "upsampled")
    first = site.power(x, scale=0, shift=1, part="ones")
    share = _grouped(site, first, weights, ratio, pads, shapes, "share")
    site.say("divided by the upsampling of ones", "Caffe fades to zero at the border")
    inverse = site.power(share, power=-1, part="inverse")
    return site.eltwise("PROD", made, inverse)


def _bilinear(factor: int) -> tuple[list[float], int]:
    size = 2 * factor - factor % 2
    centre = (size - 1) / 2
    return [1 - abs(at - centre) / factor for at in range(size)], (size - factor) // 2


def _fixed(site: Site, x: Held, mode: str, how: str, old: bool, shapes: Sequence[Shape]) -> Held:
    """At one size: along W and then along H, each a matrix."""
    if mode not in ("linear", "nearest"):
        raise Refusal(f"it resizes by {mode} interpolation, which no layer does")
    if any(None in site.dims(name)[2:] for name in (site.input(0), site.out)):
        raise Refusal(
            "it resizes by a factor that is not whole, or to a size that does not follow the "
            "input's, which has a form at one size only; fix it with --input"
        )
    tall, wide = (
        _matrix(site, x.sizes[0][axis], shapes[0][axis], mode, how, old, axis) for axis in (2, 3)
    )
    batches = [sizes[0] for sizes in x.sizes]
    _, channels, height, _ = x.sizes[0]
    high, broad = shapes[0][2:]
    site.say(
        "two matrices", f"it resizes to {high} x {broad} by no whole factor; only at this size"
    )
    made = site.add(
        "InnerProduct",
        [x],
        [("inner_product_param", [("num_output", broad), ("bias_term", False), ("axis", 3)])],
        blobs=[wide],
        shapes=[(count, channels, height, broad) for count in batches],
        part="columns",
    )
    # Rows become channels of images of one row, one for each channel.
    rows = [(count * channels, height, broad, 1) for count in batches]
    made = site.add(
        "Reshape",
        [made],
        [("reshape_param", [("shape", [("dim", -1), *(("dim", s) for s in rows[0][1:])])])],
        shapes=rows,
        part="rows",
    )
    made = convolution(
        site,
        made,
        tall.reshape(*tall.shape, 1, 1),
        shapes=[(count * channels, high, broad, 1) for count in batches],
        part="mixed",
    )
    last = [("dim", -1), ("dim", channels), ("dim", high), ("dim", broad)]
    return site.add(
        "Reshape", [made], [("reshape_param", [("shape", last)])], shapes=shapes, part="back"
    )


def _matrix(site: Site, size: int, made: int, mode: str, how: str, old: bool, axis: int) -> Any:
    """For each new point, the weights of the old ones: onnx's own, by its reference."""
    import numpy as np

    scale = made / size
    if not old and site.input(2) and site.constant(2) is not None and len(site.value(2)):
        scale = float(site.value(2)[axis])
    weights = np.zeros((made, size), np.float32)
    for at in range(made):
        place = _place(how, at, size, made, scale)
        if mode == "nearest":
            rounding = "floor" if old else site.given("nearest_mode", "round_prefer_floor")
            weights[at, min(max(_rounded(place, rounding), 0), size - 1)] = 1
            continue
        first = int(np.floor(place))
        for its, share in ((first, 1 - (place - first)), (first + 1, place - first)):
            weights[at, min(max(its, 0), size - 1)] += share
    return weights


def _place(how: str, at: int, size: int, made: int, scale: float) -> float:
    """Where a new point lies among the old: ONNX's Resize, coordinate_transformation_mode."""
    if how == "align_corners":
        return at * (size - 1) / (made - 1) if made > 1 else 0.0
    if how == "asymmetric":
        return at / scale
    if how == "pytorch_half_pixel" and made == 1:
        return 0.0
    if how in ("half_pixel", "pytorch_half_pixel"):
        return (at + 0.5) / scale - 0.5
    raise Refusal(f"its coordinates are {how}, which is not taken")


def _rounded(place: float, rounding: str) -> int:
    from math import ceil, floor

    if rounding == "floor":
        return floor(place)
    if rounding == "ceil":
        return ceil(place)
    return floor(place + 0.5) if rounding == "round_prefer_ceil" else ceil(place - 0.5)
