"""What puts numbers elsewhere: shapes, axes, joining, cutting, repeating."""

from collections.abc import Sequence
from math import isfinite, prod

from fcnkit.importing.combined import tiled
from fcnkit.importing.held import Held
from fcnkit.importing.mixed import picked
from fcnkit.importing.settle import plain, settled
from fcnkit.importing.site import Refusal, Site
from fcnkit.importing.windows import shifted
from fcnkit.plural import number_of


def reshape(site: Site) -> Held:
    """Reshape, Flatten, Squeeze, Unsqueeze: the same blob, seen under another shape."""
    held, made = site.x(), site.shapes(site.out)
    for sizes, shape in zip(held.sizes, made, strict=True):
        if prod(sizes) != prod(shape):  # onnx takes the model's word for it
            raise Refusal(
                f"it makes {shape} of {number_of(prod(sizes), 'number')}; another size can be "
                "given with --input"
            )
    return held.reshaped(made)


def transpose(site: Site) -> Held:
    """Transpose: the same blob, its axes seen in another order."""
    count = len(site.shapes(site.input(0))[0])
    return site.x().transposed(site.given("perm", tuple(reversed(range(count)))))


def along(site: Site, axis: int, at: int = 0) -> tuple[Held, int, Held]:
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
        raise Refusal("the sizes of its parts depend on the input; fix them with --input")
    if len(several) == 1:
        return [site.x()]
    blob, its, held = along(site, axis)
    return [
        Held(each.blob, each.sizes, held.moves)
        for each in _cut(site, blob, its, [size or 0 for size in several])
    ]


def _cut(site: Site, x: Held, axis: int, parts: Sequence[int]) -> list[Held]:
    """Slices of these sizes along one axis; those that are there, where it was cut so before."""
    key = (x.blob, axis, tuple(parts))
    if key not in site.draft.cuts:
        site.draft.cuts[key] = _new_cut(site, x, axis, parts)
    return site.draft.cuts[key]


def _new_cut(site: Site, x: Held, axis: int, parts: Sequence[int]) -> list[Held]:
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
        if held is site.x() and held.transposition is None:
            held = plain(site)  # once, for all that is cut from it
        held = _sliced(site, held, axis, spans)
        sizes = tuple(
            (*shape[:axis], len(range(*span)), *shape[axis + 1 :])
            for shape, span in zip(sizes, spans, strict=True)
        )
    return held


def _span(start: int, end: int, step: int, size: int) -> tuple[int, int, int]:
    return slice(start, end, step).indices(size)


def _sliced(site: Site, held: Held, axis: int, spans: Sequence[tuple[int, int, int]]) -> Held:
    order = held.transposition
    if order is None:
        held = settled(site, held)
        order = tuple(range(len(held.sizes[0])))
    x, its = Held(held.blob, held.sizes), order[axis]
    whole = [shape[its] for shape in x.sizes]
    step = spans[0][2]
    if its > 1 and len(x.sizes[0]) == 4 and step > 0:
        made = _cut_out(site, x, its, spans, step)
    elif len(set(spans)) > 1 or len(set(whole)) > 1:
        raise Refusal("what it selects depends on the size of the input; fix that with --input")
    elif its == 0:
        raise Refusal("it selects some images of a batch")
    elif step != 1:
        chosen = list(range(*spans[0]))
        made = picked(site, x, its, chosen)
    else:
        first, last, _ = spans[0]
        parts = [first, last - first, whole[0] - last]
        tops = _cut(site, x, its, [part for part in parts if part])
        made = tops[1 if first else 0]
    return Held(made.blob, made.sizes, held.moves)


def _cut_out(
    site: Site, x: Held, axis: int, spans: Sequence[tuple[int, int, int]], step: int
) -> Held:
    starts = {span[0] for span in spans}
    # How many points behind the last that is taken would hold another; none for "up to the end".
    behind = {shape[axis] - span[1] for shape, span in zip(x.sizes, spans, strict=True)}
    if len(starts) > 1 or len(behind) > 1:
        raise Refusal("what it selects depends on the size of the input; fix that with --input")
    begin, end = [0, 0], [0, 0]
    begin[axis - 2], end[axis - 2] = -starts.pop(), -behind.pop()
    stride = [1, 1]
    stride[axis - 2] = step
    shapes = [
        (*shape[:axis], len(range(*span)), *shape[axis + 1 :])
        for shape, span in zip(x.sizes, spans, strict=True)
    ]
    return shifted(site, x, begin, end, stride=stride, shapes=shapes, part=f"cut{axis}")


def gather(site: Site) -> Held:
    """Gather by constant indices."""
    indices = site.value(1)
    count = len(site.shapes(site.input(0))[0])
    axis = site.given("axis", 0) % count
    sizes = {shape[axis] for shape in site.shapes(site.input(0))}
    if site.constant(0) is not None:
        raise Refusal(
            "it looks up a table, which is an Embed layer in Caffe; import only what follows it"
        )
    if len(sizes) > 1:
        raise Refusal("it selects along an axis of free size; fix the size with --input")
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
        blob, its, held = along(site, axis)
        made = picked(site, blob, its, chosen)
        held = Held(made.blob, made.sizes, held.moves)
    return held.reshaped(site.shapes(site.out))


def pad(site: Site) -> Held:
    """Pad with a number: a Convolution with a single one in each kernel, padded.

    What is padded by itself (edge, reflect, wrap) is mapped by a matrix on each axis.
    """
    value = site.argument("value", 2, 0)
    value = value[0] if isinstance(value, list) else value
    if not isfinite(value):
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
        raise Refusal("it pads something other than an image")
    x = Held(held.blob, held.sizes)
    inner, outer = [0] * 4, [0] * 4
    for axis, its in enumerate(order):
        inner[its], outer[its] = begin[axis], end[axis]
    if any((*inner[:2], *outer[:2])):
        raise Refusal("it pads the batch or the channels")
    mode = site.given("mode", "constant")
    if mode == "constant":
        # Zeros around what is less the number, and the number again.
        less = site.power(x, shift=-value, part="less")
        part = "padded" if value else ""
        made = shifted(site, less, inner[2:], outer[2:], part=part)
        made = site.power(made, shift=value)
    else:
        made = _padded_by_itself(site, x, inner, outer, mode)
    return Held(made.blob, made.sizes, held.moves)


def _padded_by_itself(
    site: Site, x: Held, begin: Sequence[int], end: Sequence[int], mode: str
) -> Held:
    if min(*begin, *end) < 0:
        raise Refusal(f"it pads by {mode} and cuts at once")
    import numpy as np

    site.say(
        f"picked rows and columns ({mode})", "Caffe's layers pad with zeros; only at this size"
    )
    for axis in (2, 3):
        if begin[axis] or end[axis]:
            # numpy calls these ways to pad as ONNX does.
            places = np.pad(np.arange(x.sizes[0][axis]), (begin[axis], end[axis]), mode)  # type: ignore[call-overload]
            x = picked(site, x, axis, places.tolist(), f"pad{axis}")
    return x


def expand(site: Site) -> Held:
    """Expand or Tile: a Tile layer for each axis."""
    x = plain(site)
    wanted = site.shapes(site.out)
    missing = len(wanted[0]) - len(x.sizes[0])
    if missing:
        x = settled(site, x.reshaped([(*(1,) * missing, *sizes) for sizes in x.sizes]))
    return tiled(site, x, wanted)


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
    columns = site.given("mode", "DCR") == "CRD"
    axes = (0, 1, 3, 5, 2, 4) if columns else (0, 3, 5, 1, 2, 4)
    held = site.x().reshaped(first).transposed(axes)
    return held.reshaped(site.shapes(site.out))
