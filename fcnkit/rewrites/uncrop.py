"""Crops taken into the padding of the layer before them, for tools that have no Crop."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fcnkit import expected
from fcnkit.edits import Edit
from fcnkit.formats.prototxt import NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.axes import show
from fcnkit.nets.layers.sliding import Spatial, pads_by_size, spatial
from fcnkit.nets.layers.strange_fields import not_understood
from fcnkit.nets.layers.table import of
from fcnkit.nets.layers.traits import Trait
from fcnkit.plan import Move, Plan, Step
from fcnkit.rewrites.changes import removed, set_param, set_value, shown_kernel
from fcnkit.rewrites.operations import Arguments, Operation, comma_separated
from fcnkit.rewrites.states import SAY_IT, Known, States, copies, each_name, present, states
from fcnkit.rewrites.taps import bilinear_fillers, each_axis, kernel_fields, shifted
from fcnkit.shape import Shape

_PARAM = "convolution_param"


class _Kept(Exception):
    """Why a Crop stays."""


class _Cut(NamedTuple):
    """What a Crop takes away, by spatial axis, of what a layer makes, and how large that is."""

    maker: Layer
    before: Shape
    after: Shape
    made: Shape
    left: Shape


class _Window(NamedTuple):
    """The window that makes the cut itself: its padding, its kernel, the zeros that come first."""

    pad: Shape
    kernel: Shape
    first: Shape


@expected.checked
def uncrop(
    net: NetOrPath, *layers: str | Sequence[str], inputs: Mapping[str, Shape] | None = None
) -> Plan:
    """Crops become padding of the layer before them.

    >>> fcn = fk.fcn(fk.template("alexnet"), classes=21, stride=32).net
    >>> plan = fk.uncrop(fcn, inputs={"data": (1, 3, 500, 500)})
    >>> [(step.verb, step.layer) for step in plan.steps]
    [('change', 'upscore'), ('remove', 'score')]

    A Deconvolution whose padding is one larger makes one point less on each side; so does a
    Convolution whose padding is smaller by its stride. If a Crop cuts more on one side, or more
    than the padding allows, the kernel gets zeros on that side, and the weights change with the
    net. A Crop is removed if a Convolution or a Deconvolution makes its input and nothing else
    reads that; other Crops stay, with the reason. The new net is right at its own input size,
    or at `inputs`; at other sizes a Crop would cut another number of points.

    - `net`: a Prototxt or its path.
    - `layers`: names of Crops, or lists of names; by default all Crops.
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError for a named layer that is not a Crop or has to stay.
    """
    net = given_net(net)
    work = states(net, inputs)
    names = each_name(layers)
    for each in (layer for name in names for layer in work.named(name)):
        if not _is_crop(each):
            raise each.error(f"its type is {each.type}; name a Crop")
    plan = Plan(net, net)
    for name in names or dict.fromkeys(layer.name for layer in work.layers if _is_crop(layer)):
        plan = plan.then(_without, name, inputs, bool(names))
    return plan


def _is_crop(layer: Layer) -> bool:
    return of(layer).message == "crop_param"


def _without(net: Prototxt, name: str, inputs: Mapping[str, Shape] | None, required: bool) -> Plan:
    """The Crops of one name are gone, or stay with the reason; an error where `required`."""
    work = states(net, present(net, inputs or {}))
    edits: list[Edit] = []
    moves: list[Move] = []
    steps: dict[int, Step] = {}
    for layer in work.named(name):
        try:
            cut = _cut(work, layer)
            changed, step, moved = _changed(work, cut)
        except _Kept as kept:
            if required:
                raise layer.error(f"{kept}, so the Crop has to stay") from None
            steps[layer.field.start] = Step("keep", name, layer.line, layer.type, str(kept))
            continue
        (top,) = cut.maker.field.all("top")
        edits += [*changed, set_value(top, layer.tops[0].blob, "uncrop")]
        edits.append(removed(layer.field, "uncrop"))
        moves += moved
        why = f'"{cut.maker.name}" makes {show(cut.left)} itself'
        steps[layer.field.start] = Step("remove", name, layer.line, layer.type, why)
        if step:
            steps[cut.maker.field.start] = step
    return work.plan(edits, steps, moves)


# ---- what a Crop takes away


def _cut(work: States, crop: Layer) -> _Cut:
    """What it cuts of what; the same in every state that has it."""
    found = [_cut_in(known, each) for known, each in work.places(crop)]
    if len({(cut.maker.field.start, *cut[1:]) for cut in found}) > 1:
        raise _Kept("it cuts otherwise in another state of the net")
    if len(work.places(found[0].maker)) != len(found):
        raise _Kept(f'one state of the net has "{found[0].maker.name}" without the Crop')
    return found[0]


def _cut_in(known: Known, crop: Layer) -> _Cut:
    if len(crop.bottoms) != 2 or len(crop.tops) != 1 or not_understood(crop):
        raise _Kept(not_understood(crop) or "it does not crop one blob to the size of another")
    graph, (cropped, reference), (top,) = known.graph, crop.bottoms, crop.tops
    maker = graph.producer(cropped)
    shape, made = known.shape(cropped), known.shape(top)
    if shape is None or made is None:
        raise _Kept(f"the size of what it crops is not known; {SAY_IT}")
    if len(graph.consumers[cropped]) > 1:
        raise _Kept(f'another layer reads "{cropped.blob}" whole')
    if not [each for each in graph.consumers[reference] if each.index != crop.index]:
        raise _Kept(f'without it nothing would read "{reference.blob}"')
    between = graph.layers[maker.index : crop.index]
    used = {each.blob for layer in between for each in (*layer.bottoms, *layer.tops)}
    if top.blob in used:
        raise _Kept(f'"{top.blob}" is the name of another blob before it')
    offsets = _offsets(crop, len(shape))
    before = tuple(offsets[2:])
    after = tuple(old - new - offset for old, new, offset in zip(shape, made, offsets, strict=True))
    if any(offsets[:2]) or any(after[:2]) or len(shape) < 3:
        raise _Kept("it cuts channels or images")
    return _Cut(maker, before, after[2:], shape[2:], made[2:])


def _offsets(crop: Layer, ndim: int) -> Shape:
    """Of every axis; a fork's Crop without offsets finds them as it runs."""
    found = of(crop).coord(crop, ndim)
    if found is None:
        raise _Kept("its offsets are known only at run time")
    own = [int(-shift) for _, shift in found.axes]
    return (*[0] * (ndim - len(own)), *own)


# ---- the window that makes it


def _changed(work: States, cut: _Cut) -> tuple[list[Edit], Step | None, list[Move]]:
    maker = cut.maker
    _check(maker)
    if not any(cut.before + cut.after):
        return [], None, []
    if of(maker).message != _PARAM or not of(maker).linear:
        raise _Kept(
            f'"{maker.name}" ({maker.type}) makes the cropped blob, and has no padding that '
            "could shrink"
        )
    strange = not_understood(maker)
    if strange:
        raise _Kept(f'"{maker.name}": {strange}')
    window = None if pads_by_size(maker) else spatial(maker, len(cut.made) + 2)
    if window is None or window.pad != window.far:
        raise _Kept(f'"{maker.name}" is padded differently on its two sides')
    new = (_spread if of(maker).spreads else _gathered)(window, cut)
    edits = _edits(work.net, maker, window, new)
    why = f"it makes {show(cut.left)} instead of {show(cut.made)}"
    if new.kernel == window.kernel:
        return edits, Step("change", maker.name, maker.line, _what(window, new), why), []
    sharing = work.sharing(maker)
    if sharing:
        raise _Kept(f'"{maker.name}": {sharing}')
    shape, *_ = blobs = work.blobs(maker)
    rows = shifted(window.kernel, new.kernel, new.first)
    moves = [Move(maker.name, 0, (*shape[:2], *new.kernel), maker.name, "mix", (shape, rows))]
    moves += copies(maker, blobs, 1)
    why += "; what the kernel gains is zero"
    return edits, Step("change", maker.name, maker.line, _what(window, new), why), moves


def _what(window: Spatial, new: _Window) -> str:
    pairs = (("pad", window.pad, new.pad), ("kernel", window.kernel, new.kernel))
    return ", ".join(
        f"{name} {shown_kernel(old)} -> {shown_kernel(now)}"
        for name, old, now in pairs
        if old != now
    )


def _check(maker: Layer) -> None:
    if of(maker).trait is Trait.SOURCE or len(maker.tops) != 1 or len(maker.bottoms) != 1:
        raise _Kept(f'"{maker.name}" ({maker.type}) makes the cropped blob')


def _spread(window: Spatial, cut: _Cut) -> _Window:
    """Of a Deconvolution: one point fewer on each side for a padding of one more.

    Zeros before the first tap move all that it makes up by so many points.
    """
    before, after = cut.before, cut.after
    more = _taps(window, [abs(a - b) for a, b in zip(after, before, strict=True)])
    pad = tuple(map(sum, zip(window.pad, map(max, before, after), strict=True)))
    first = tuple(
        count if late > early else 0 for count, early, late in zip(more, before, after, strict=True)
    )
    return _Window(pad, tuple(map(sum, zip(window.kernel, more, strict=True))), first)


def _gathered(window: Spatial, cut: _Cut) -> _Window:
    """Of a Convolution: its first point reads a stride further in, for each that is cut."""
    sides = [
        [pad - stride * count for pad, stride, count in zip(window.pad, window.stride, counts,
                                                            strict=True)]
        for counts in (cut.before, cut.after)
    ]  # fmt: skip
    pad = tuple(max(0, *both) for both in zip(*sides, strict=True))
    first, last = (
        _taps(window, [most - own for most, own in zip(pad, side, strict=True)]) for side in sides
    )
    kernel = tuple(map(sum, zip(window.kernel, first, last, strict=True)))
    return _Window(pad, kernel, first)


def _taps(window: Spatial, points: Sequence[int]) -> Shape:
    """So many points as taps of the kernel."""
    if any(count % step for count, step in zip(points, window.dilation, strict=True)):
        raise _Kept("its sides do not differ by a multiple of the dilation")
    return tuple(count // step for count, step in zip(points, window.dilation, strict=True))


_OLD_PADS = ("pad", "pad_h", "pad_w")
_OLD_KERNELS = ("kernel_size", "kernel_h", "kernel_w")


def _edits(net: Prototxt, maker: Layer, window: Spatial, new: _Window) -> list[Edit]:
    fields, gone = each_axis("pad", new.pad), list(_OLD_PADS)
    edits = []
    if new.kernel != window.kernel:
        fields += kernel_fields(new.kernel)
        gone += _OLD_KERNELS
        # A bilinear filler would fill the larger kernel.
        edits = [removed(field, "uncrop") for field in bilinear_fillers(maker)]
    names = {name for name, _ in fields}
    lists = len(fields) > len(names) or any(
        len(maker.param(_PARAM).list(name)) > 1 for name in ("pad", "kernel_size")
    )
    if lists:
        raise _Kept(f'"{maker.name}" gives its pad or kernel separately for each axis')
    replacing = [name for name in gone if name not in names]
    return edits + set_param(maker, _PARAM, fields, net.style, replacing=replacing, why="uncrop")


def _arguments(text: str) -> Arguments:
    return (comma_separated(text) if text else ()), {}


OPERATIONS = (
    Operation(
        "uncrop",
        "uncrop[=LAYER,...]",
        "replace Crops by smaller pads before them",
        uncrop,
        _arguments,
    ),
)
