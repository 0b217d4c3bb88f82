"""Other channels of the image: BGR and RGB, gray and colour, and channels beside them.

The layers that see the image first change, net and weights together.  Caffe's
own tools read images as BGR.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import fsum, prod
from typing import NamedTuple

from fcnkit.edits import Edit
from fcnkit.formats.prototxt import Field, Prototxt
from fcnkit.nets.graph import Layer, Top
from fcnkit.plan import Move, Plan, Step
from fcnkit.rewrites.changes import beside, inside, set_value, taken_out
from fcnkit.rewrites.slide import ELEMENTWISE
from fcnkit.rewrites.states import SAY_IT, Known, States, copies, crops_channels, refused, states
from fcnkit.shape import Shape

Rows = tuple[tuple[tuple[int, float], ...], ...]

# The share of blue, green and red in the brightness of a pixel, ITU-R BT.601: what OpenCV and PIL
# take.
LUMA = (0.114, 0.587, 0.299)
_SOURCES = frozenset(
    ("Input", "Data", "ImageData", "WindowData", "MemoryData", "DummyData", "HDF5Data", "Python")
)
_FIRST = ("Convolution", "InnerProduct")
_BLIND = ELEMENTWISE | {"Pooling", "Split", "Interp", "Pad"}
# Types that look at an image's size alone, or at nothing of it.
_ENDS = frozenset(("Silence", "HDF5Output", "PriorBox"))
_STATISTICS = {"BatchNorm": (0, 1), "Scale": (0, 1), "Bias": (0,)}


class _Change(NamedTuple):
    """What becomes of the channels: `rows` of the weights, and how to say and do the rest.

    `before` is the number of channels that the net must have; `means` gives
    the new mean values, `exact` says when the net computes the same.
    """

    before: int
    rows: Rows
    what: str
    exact: str
    means: Callable[[Sequence[float]], Sequence[float]]
    permutes: bool = False


def swap_channels(
    net: Prototxt, *, blob: str | None = None, inputs: Mapping[str, Shape] | None = None
) -> Plan:
    """The net takes RGB where it took BGR, or BGR where it took RGB.

    The weights of the layers that see the image have their three input
    channels in the other order, and so have the data layers' mean values.
    The outputs are those of the swapped image.  A mean_file must be swapped
    too; the plan says where one is.  `blob` names the image where a net has
    several inputs.

    Raises NetError when the image has not three channels, or another layer
    sees it whose channels cannot be changed.
    """
    rows = tuple(((index, 1),) for index in (2, 1, 0))
    exact = "on an image with its channels in the other order"
    change = _Change(3, rows, "channels in the other order", exact, lambda means: means[::-1], True)
    return _changed(net, blob, inputs, change)


def to_gray(
    net: Prototxt, *, blob: str | None = None, inputs: Mapping[str, Shape] | None = None
) -> Plan:
    """The net takes gray images where it took colour.

    The three input channels of the first weights are summed: the outputs are
    those of a colour image whose channels are equal.  Three mean values
    become their mean, which is exact where they are equal.

    Raises NetError as `swap_channels` does.
    """
    rows = (((0, 1), (1, 1), (2, 1)),)
    exact = "on a gray image as on one of 3 equal channels"
    change = _Change(
        3, rows, "its 3 channels summed to 1", exact, lambda means: [fsum(means) / len(means)]
    )
    return _changed(net, blob, inputs, change)


def to_colour(
    net: Prototxt,
    *,
    luma: Sequence[float] = LUMA,
    blob: str | None = None,
    inputs: Mapping[str, Shape] | None = None,
) -> Plan:
    """The net takes colour images where it took gray.

    The weights of the new channels are the old ones times `luma`, blue, green
    and red: the outputs are those of the image's brightness, and, where `luma`
    sums to 1, of a gray image on one whose three channels equal it.  Behind a
    pooling or another bend the latter alone holds.

    Raises NetError when the image has not one channel, as `swap_channels` does.
    """
    rows = tuple(((0, float(share)),) for share in luma)
    shares = ", ".join(f"{share:g}" for share in luma)
    what = f"1 channel to {len(rows)}, its weights times {shares}"
    exact = f"on the gray image that is the sum of the channels times {shares}"
    return _changed(net, blob, inputs, _Change(1, rows, what, exact, lambda means: means))


def add_channels(
    net: Prototxt,
    channels: int,
    *,
    start: str = "zero",
    blob: str | None = None,
    inputs: Mapping[str, Shape] | None = None,
) -> Plan:
    """The image has so many channels; those after the old ones are new, as depth beside colour.

    Their weights are zero, so that the outputs stay the same whatever they
    hold; or with `start` "mean" the mean of the old ones', as the FCN authors
    start their nets for colour and depth.

    Raises NetError when the image has as many channels or more, as `swap_channels` does.
    """
    work = states(net, inputs)
    old = _channels(net, work, blob)
    if channels <= old:
        raise refused(net, f"the image has {old} channels, and {channels} are asked for; give more")
    if start not in _STARTS:
        raise refused(net, f'new channels cannot start as "{start}"; say zero or mean')
    new, exact, row = _STARTS[start]
    same = tuple(((index, 1),) for index in range(old))
    rows = (*same, *(row(old),) * (channels - old))
    what = f"{old} channels to {channels}, the weights of the new ones {new}"
    change = _Change(old, rows, what, exact, lambda means: (*means, *[0.0] * (channels - old)))
    return _changed(net, blob, inputs, change)


_STARTS = {
    "zero": ("zero", "whatever the new channels hold", lambda old: ()),
    "mean": (
        "the mean of the old",
        "where the new channels are zero",
        lambda old: tuple((index, 1 / old) for index in range(old)),
    ),
}


def _changed(net: Prototxt, blob: str | None, inputs: Mapping | None, change: _Change) -> Plan:
    work = states(net, inputs)
    found = _channels(net, work, blob)
    if found != change.before:
        raise refused(net, f"the image has {found} channels, and this is for {change.before}")
    steps: dict[int, Step] = {}
    edits, moves = [], []
    for known in work.each:
        for top in _images(known, blob):
            source = known.graph.producer(top)
            changed, step = _source(net, source, top, change)
            edits += changed
            steps |= {source.field.start: step} if step else {}
            for layer in _readers(known, top, change):
                moves += _moves(work, layer, change)
                steps[layer.field.start] = _step(layer, change)
    return work.plan(edits, steps, moves)


def _images(known: Known, blob: str | None) -> Iterator[Top]:
    """The tops of layers that bring images, or the one of that name."""
    for layer in known.graph.layers:
        if not layer.bottoms and layer.type in _SOURCES:
            for top in layer.tops:
                shape = known.shape(top)
                image = shape is None or len(shape) == 4
                if top.blob == blob or (blob is None and image and _is_seen(known, top)):
                    yield top


def _is_seen(known: Known, top: Top) -> bool:
    """Whether weights are applied to it: a label of the image's shape is only compared."""
    todo, seen = [top], set()
    while todo:
        for user in known.graph.consumers[todo.pop()]:
            if user.type in _FIRST:
                return True
            if user.index not in seen and len(user.bottoms) == 1:
                seen.add(user.index)
                todo += user.tops
    return False


def _channels(net: Prototxt, work: States, blob: str | None) -> int:
    """How many channels the image has;
    NetError where there is none, or several of different sizes.
    """
    tops = [(known, top) for known in work.each for top in _images(known, blob)]
    counts = {known.shape(top)[1] if known.shape(top) else None for known, top in tops}
    names = ", ".join(dict.fromkeys(f'"{top.blob}"' for _, top in tops))
    if len({top.blob for _, top in tops}) > 1:
        raise refused(net, f"several blobs are images: {names}; say which")
    if not counts:
        made = blob and work.each[0].graph.top(blob)
        what = f'"{blob}" is no input' if made else "no Convolution or InnerProduct sees an input"
        raise refused(net, f"{what}; name the blob that is the image")
    if None in counts:
        raise refused(net, f"the size of {names} is not known; {SAY_IT}")
    if len(counts) > 1:
        several = " and ".join(map(str, sorted(counts)))
        raise refused(
            net, f"{names} has {several} channels in different states; split the net by state"
        )
    return counts.pop()


def _readers(known: Known, top: Top, change: _Change) -> Iterator[Layer]:
    """The layers that see the image, through what treats all channels alike."""
    for user in known.graph.consumers[top]:
        if user.type in _FIRST or (
            change.permutes and user.type in _STATISTICS and len(user.bottoms) == 1
        ):
            yield user
        if user.type in _BLIND or (
            change.permutes and user.type in _STATISTICS and len(user.bottoms) == 1
        ):
            yield from _readers(known, user.tops[0], change)
        elif user.type == "Crop" and not crops_channels(user):
            yield from _readers(known, user.tops[0], change) if user.bottoms[0] == top else ()
        elif user.type not in _FIRST and user.type not in _ENDS:
            fact = f'its type is {user.type}, and it reads the image "{top.blob}"'
            raise user.error(
                f"{fact}; its channels cannot be changed here: change that part by hand first"
            )


def _moves(work: States, layer: Layer, change: _Change) -> list[Move]:
    """The layer's weights with their input channels mixed as the rows say."""
    shapes = [tuple(shape) for shape in work.blobs(work.alone(layer))]
    if layer.type in _STATISTICS:
        return [_statistic(layer, at, shape, change.rows) for at, shape in enumerate(shapes)]
    if len(layer.bottoms) > 1:
        raise layer.error(
            f"its weights are for {len(layer.bottoms)} bottoms at once; give each a layer"
        )
    axis, old = _split(layer, shapes[0], change.before)
    new = (*old[:axis], len(change.rows), *old[axis + 1 :])
    shape = new if layer.type == "Convolution" else _joined(new, axis)
    mix = Move(layer.name, 0, shape, layer.name, "mix", (old, ((axis, change.rows),)))
    return [mix, *copies(layer, shapes, 1)]


def _statistic(layer: Layer, at: int, shape: Shape, rows: Rows) -> Move:
    """One blob of a layer that normalises the image;
    what is not one number for each channel stays.
    """
    if at not in _STATISTICS[layer.type] or shape in ((), (1,)):
        return Move(layer.name, at, shape, layer.name)
    if shape != (len(rows),):
        raise layer.error(
            "it has not one number for each channel of the image; change it by hand first"
        )
    return Move(layer.name, at, shape, layer.name, "mix", (shape, ((0, rows),)))


def _split(layer: Layer, shape: Shape, channels: int) -> tuple[int, Shape]:
    """The axis of the input channels in the weights, and their shape with that axis apart."""
    if layer.type == "Convolution":
        if layer.param("convolution_param").get("group") != 1:
            raise layer.error("it reads the image in groups of channels; make it dense first")
        return 1, shape
    param = layer.param("inner_product_param")
    if param.get("axis") not in (1, -3):
        raise layer.error(
            f"it works along axis {param.get('axis')} of the image, not along its channels"
        )
    if param.get("transpose"):
        return 0, (channels, shape[0] // channels, shape[1])
    return 1, (shape[0], channels, shape[1] // channels)


def _joined(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], prod(shape[axis : axis + 2]), *shape[axis + 2 :])


def _step(layer: Layer, change: _Change) -> Step:
    return Step("change", layer.name, layer.line, change.what, f"the same outputs {change.exact}")


def _source(
    net: Prototxt, layer: Layer, top: Top, change: _Change
) -> tuple[list[Edit], Step | None]:
    """What changes where the image comes from, and what its owner must see to."""
    edits = _colour(net, layer, change)
    if len(change.rows) != change.before:
        edits += _sizes(net, layer, top, len(change.rows))
    changed, notes, means = _means(net, layer, change)
    notes += [f"mean_file {field.string} must change alike" for field in _said(layer, "mean_file")]
    if layer.type not in ("Input", "DummyData", "ImageData") and len(change.rows) != change.before:
        notes.append(f"what it reads must have {len(change.rows)} channels")
    if not edits and not changed and not notes and not change.permutes:
        return [], None
    what = (
        [f"{top.blob} has {len(change.rows)} channels"] if len(change.rows) != change.before else []
    )
    what += [f"mean_value {', '.join(means)}"] if changed else []
    why = "; ".join([change.what, *notes])
    verb = "change" if edits or changed else "keep"
    return edits + changed, Step(verb, layer.name, layer.line, "; ".join(what) or layer.type, why)


def _said(layer: Layer, name: str) -> list[Field]:
    return [field for param in layer.field.all("transform_param") for field in param.all(name)]


def _sizes(net: Prototxt, layer: Layer, top: Top, channels: int) -> list[Edit]:
    """The channels where the file says the image's shape."""
    fields = [shape.all("dim")[1] for shape in _shapes(net, layer, top)]
    if layer.field.name == "input" and not net.root.all("input_shape"):
        fields = net.root.all("input_dim")[4 * top.index + 1 : 4 * top.index + 2]
    fields += [
        field for param in layer.field.all("memory_data_param") for field in param.all("channels")
    ]
    return [set_value(field, channels, "channels") for field in fields]


def _shapes(net: Prototxt, layer: Layer, top: Top) -> list[Field]:
    if layer.field.name == "input":
        return net.root.all("input_shape")[top.index : top.index + 1]
    shapes = [
        shape
        for param in layer.field.all("input_param", "dummy_data_param")
        for shape in param.all("shape")
    ]
    if len(shapes) == 1 and len(layer.tops) > 1:
        raise layer.error(f"its {len(layer.tops)} tops have one shape; give each its own")
    return shapes[top.index : top.index + 1]


def _colour(net: Prototxt, layer: Layer, change: _Change) -> list[Edit]:
    """ImageData reads gray or colour as it is told."""
    if layer.type != "ImageData" or {len(change.rows), change.before} != {1, 3}:
        return []
    param = layer.field.all("image_data_param")[-1]
    said = param.all("is_color")
    if len(change.rows) == 3:
        return [taken_out(field, "colour") for field in said]
    if said:
        return [set_value(said[-1], False, "gray")]
    return [inside(param, [("is_color", False)], net.style, "gray")]


def _means(net: Prototxt, layer: Layer, change: _Change) -> tuple[list[Edit], list[str], list[str]]:
    """The edits, what is to be noted, and the new values;
    where one serves every channel, nothing.
    """
    fields = _said(layer, "mean_value")
    if len(fields) < 2:
        return [], [], []
    old = [float(field.raw) for field in fields]
    new = list(change.means(old))
    if len(new) > len(fields):
        more = [("mean_value", value) for value in new[len(old) :]]
        return (
            [beside(fields[-1], more, net.style, "mean values")],
            [],
            [f"{value:g}" for value in new],
        )
    words = (
        [field.raw for field in fields][::-1]
        if change.permutes
        else [f"{value:g}" for value in new]
    )
    edits = [
        Edit(field.value_start, field.stop, word, "mean values")
        for field, word in zip(fields, words, strict=False)
        if field.raw != word
    ]
    inexact = len(new) < len(old) and len(set(old)) > 1
    note = ["exact only where the mean values were equal"] if inexact else []
    return edits + [taken_out(field, "mean values") for field in fields[len(new) :]], note, words
