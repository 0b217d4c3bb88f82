"""Other channels of the image: BGR and RGB, gray and colour, and channels beside them.

The first layers change, net and weights together.  Caffe's own tools read images as BGR.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from math import fsum, prod

from fcnkit import expected
from fcnkit.errors import NetError
from fcnkit.formats.prototxt import NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Layer, Top
from fcnkit.nets.layers.strange_fields import understood
from fcnkit.nets.layers.table import (
    axis_of,
    channels_of,
    groups_of,
    is_pointwise,
    makes_scores,
    of,
    sized_by,
    trait,
    transposes,
)
from fcnkit.nets.layers.traits import Trait
from fcnkit.plan import ImageBefore, Move, Plan, Step
from fcnkit.plural import number_of
from fcnkit.rewrites.image_layers import Change, Rows, source_changed
from fcnkit.rewrites.operations import MOST, Arguments, Operation, image_blob, one_of, whole_number
from fcnkit.rewrites.states import SAY_IT, Known, States, copies, refused, states
from fcnkit.shape import Shape

# Of blue, green and red in a pixel's brightness: ITU-R BT.601, as OpenCV and PIL have it.
LUMA = (0.114, 0.587, 0.299)
# What treats all channels of an image alike.
_ALIKE = (Trait.PLACES, Trait.ARRANGES)


@expected.checked
def swap_channels(
    net: NetOrPath, *, blob: str | None = None, inputs: Mapping[str, Shape] | None = None
) -> Plan:
    """The net takes RGB instead of BGR, or BGR instead of RGB.

    >>> [step.layer for step in fk.swap_channels(fk.template("alexnet")).steps]
    ['data', 'conv1']

    The layers that read the image get their three input channels in the other order, and so do
    the mean values of data layers. The outputs for the swapped image equal the old ones. A
    mean_file must be swapped too; the plan names each one.

    - `net`: a Prototxt or its path; `blob`: the image, if the net has several inputs.
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError if the image does not have three channels, or if it is read by a layer
    whose channels cannot be changed.
    """
    net = given_net(net)
    rows = tuple(((index, 1),) for index in (2, 1, 0))
    exact = "on an image with its channels in the other order"
    change = Change(3, rows, "channels in the other order", exact, lambda means: means[::-1], True)
    return _changed(net, blob, inputs, change)


@expected.checked
def to_gray(
    net: NetOrPath, *, blob: str | None = None, inputs: Mapping[str, Shape] | None = None
) -> Plan:
    """The net takes gray images instead of colour ones.

    >>> gray = fk.to_gray(fk.template("alexnet")).net
    >>> fk.inspect(gray).rows[0].shape
    (1, 1, 227, 227)

    The three input channels of the first weights are added. So the outputs are those of a
    colour image with three equal channels. Three mean values become their mean.

    - `net`: a Prototxt or its path; `blob`: the image, if the net has several inputs.
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.
    Raises NetError in the cases of `swap_channels`.
    """
    net = given_net(net)
    rows = (((0, 1), (1, 1), (2, 1)),)
    exact = "on a gray image as on one of 3 equal channels"
    change = Change(
        3, rows, "its 3 channels summed to 1", exact, lambda means: [fsum(means) / len(means)]
    )
    return _changed(net, blob, inputs, change)


@expected.checked
def to_colour(
    net: NetOrPath,
    *,
    luma: Sequence[float] = LUMA,
    blob: str | None = None,
    inputs: Mapping[str, Shape] | None = None,
) -> Plan:
    """The net takes colour images instead of gray ones.

    >>> colour = fk.to_colour(fk.template("lenet")).net
    >>> fk.inspect(colour).rows[0].shape
    (1, 3, 28, 28)

    The weights of the new channels are the old ones times `luma`, so the outputs are those of
    the image's brightness. If `luma` sums to 1, a colour image with three equal channels gives
    the outputs of the gray image. If the image first goes through a pooling or another
    nonlinear layer, only this last statement holds.

    - `net`: a Prototxt or its path.
    - `luma`: the shares of blue, green and red in the brightness.
    - `blob`: the name of the image, if the net has several inputs.
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError if the image does not have one channel, and in the cases of `swap_channels`.
    """
    net = given_net(net)
    rows = tuple(((0, float(share)),) for share in luma)
    shares = ", ".join(f"{share:g}" for share in luma)
    what = f"1 channel to {len(rows)}, its weights times {shares}"
    exact = f"on the gray image that is the sum of the channels times {shares}"
    return _changed(net, blob, inputs, Change(1, rows, what, exact, lambda means: means))


@expected.checked
def add_channels(
    net: NetOrPath,
    channels: int,
    *,
    start: str = "zero",
    blob: str | None = None,
    inputs: Mapping[str, Shape] | None = None,
) -> Plan:
    """The image gets `channels` channels in all. The new ones come after the old ones, as depth
    comes after colour.

    >>> deeper = fk.add_channels(fk.template("alexnet"), 4).net
    >>> fk.inspect(deeper).rows[0].shape
    (1, 4, 227, 227)

    The weights of new channels are zero, so that the outputs do not depend on the new channels.
    With `start` "mean" they are the mean of the old channels' weights, as in the FCN authors'
    nets for colour and depth.

    - `net`: a Prototxt or its path.
    - `channels`: the new number of channels.
    - `start`: "zero" or "mean".
    - `blob`: the name of the image, if the net has several inputs.
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError if the image already has `channels` channels or more, and in the cases of
    `swap_channels`.
    """
    net = given_net(net)
    if channels > MOST:
        raise refused(net, f"{channels} channels are asked for; the most are {MOST:,}")
    work = states(net, inputs)
    old = _channels(net, work, blob)
    if channels <= old:
        raise refused(
            net,
            f"the image has {number_of(old, 'channel')}, and {channels} are asked for; give more",
        )
    if start not in _STARTS:
        raise refused(net, f'new channels cannot start as "{start}"; give zero or mean')
    new, exact, row = _STARTS[start]
    same = tuple(((index, 1),) for index in range(old))
    rows = (*same, *(row(old),) * (channels - old))
    what = f"{number_of(old, 'channel')} to {channels}; new weights are {new}"
    change = Change(old, rows, what, exact, lambda means: (*means, *[0.0] * (channels - old)))
    return _changed(net, blob, inputs, change)


_STARTS = {
    "zero": ("zero", "whatever the new channels hold", lambda old: ()),
    "mean": (
        "the mean of the old ones",
        "where the new channels are zero",
        lambda old: tuple((index, 1 / old) for index in range(old)),
    ),
}


def _changed(net: Prototxt, blob: str | None, inputs: Mapping | None, change: Change) -> Plan:
    work = states(net, inputs)
    found = _channels(net, work, blob)
    names: dict[str, None] = {}
    if found != change.before:
        fact = f"the image has {number_of(found, 'channel')}, but {change.before} are needed"
        raise refused(net, fact)
    steps: dict[int, Step] = {}
    edits, moves = [], []
    for known in work.each:
        for top in _images(known, blob):
            names[top.blob] = None
            source = known.graph.producer(top)
            changed, step = source_changed(net, source, top, change)
            edits += changed
            steps |= {source.field.start: step} if step else {}
            for layer in _readers(known, top, change):
                moves += _moves(work, layer, change)
                steps[layer.field.start] = _step(layer, change)
    plan = work.plan(edits, steps, moves)
    if len(change.rows) != change.before:
        _check_sizes(plan.net, names, inputs or {}, len(change.rows))
    rows, more = _transposed(change), any(not row for row in change.rows)
    return replace(plan, images=tuple(ImageBefore(name, rows, more=more) for name in names))


def _check_sizes(
    net: Prototxt, images: Collection[str], inputs: Mapping[str, Shape], channels: int
) -> None:
    """All that reads the image takes it with so many channels, or NetError says what does not."""
    sizes = {
        blob: (shape[0], channels, *shape[2:]) if blob in images else shape
        for blob, shape in inputs.items()
    }
    try:
        states(net, sizes)
    except NetError as error:
        raise refused(net, f"its image cannot have {channels} channels: {error}") from None


def _transposed(change: Change) -> Rows:
    """What each old channel is made of: what new weights are of old ones, the other way round."""
    return tuple(
        tuple(
            (new, weight)
            for new, row in enumerate(change.rows)
            for index, weight in row
            if index == old
        )
        for old in range(change.before)
    )


def _images(known: Known, blob: str | None) -> Iterator[Top]:
    """The tops of layers that bring images, or the one of that name."""
    for layer in known.graph.layers:
        if not layer.bottoms and not of(layer).learns:
            for top in layer.tops:
                shape = known.shape(top)
                image = shape is None or len(shape) > 2
                if top.blob == blob or (blob is None and image and _is_seen(known, top)):
                    yield top


def _is_seen(known: Known, top: Top) -> bool:
    """Whether weights are applied to it: a label of the image's shape is only compared."""
    todo, seen = [top], set()
    while todo:
        for user in known.graph.consumers[todo.pop()]:
            if makes_scores(user):
                return True
            if user.index not in seen and len(user.bottoms) == 1:
                seen.add(user.index)
                todo += user.tops
    return False


def _channels(net: Prototxt, work: States, blob: str | None) -> int:
    """How many channels the image has; NetError where there is none, or several that differ."""
    tops = [(known, top) for known in work.each for top in _images(known, blob)]
    shapes = [known.shape(top) for known, top in tops]
    counts = {shape[1] for shape in shapes if shape}
    names = ", ".join(dict.fromkeys(f'"{top.blob}"' for _, top in tops))
    if len({top.blob for _, top in tops}) > 1:
        raise refused(net, f"several blobs are images: {names}; give one")
    if not tops:
        made = blob and work.each[0].graph.top(blob)
        what = (
            f'"{blob}" is not an input' if made else "no Convolution or InnerProduct reads an input"
        )
        raise refused(net, f"{what}; name the blob that is the image")
    if not all(shapes):
        raise refused(net, f"the size of {names} is not known; {SAY_IT}")
    if len(counts) > 1:
        several = " and ".join(map(str, sorted(counts)))
        raise refused(
            net, f"{names} has {several} channels in different states; split the net by state"
        )
    return counts.pop()


def _readers(known: Known, top: Top, change: Change) -> Iterator[Layer]:
    """The layers that see the image, through what treats all channels alike."""
    for user in known.graph.consumers[top]:
        own = change.permutes and trait(user) is Trait.CHANNEL and len(user.bottoms) == 1
        kept = top in channels_of(user)
        if makes_scores(user) or (own and kept):
            yield user
        if kept and (own or is_pointwise(user) or trait(user) in _ALIKE):
            understood(user)
            for each in user.tops:
                yield from _readers(known, each, change)
        elif not (makes_scores(user) or _is_blind(user, top)):
            fact = f'its type is {user.type}, and it reads the image "{top.blob}"'
            raise user.error(
                f"{fact}; its channels cannot be changed here: change that part by hand first"
            )


def _is_blind(layer: Layer, top: Top) -> bool:
    """Whether the layer makes nothing of an image's channels, but reads its size at most."""
    size_alone = top in sized_by(layer) and (channels_of(layer) or trait(layer) is Trait.SOURCE)
    return trait(layer) is Trait.SINK or bool(size_alone)


def _moves(work: States, layer: Layer, change: Change) -> list[Move]:
    """The layer's weights with their input channels mixed as the rows say."""
    shapes = [tuple(shape) for shape in work.blobs(work.alone(layer))]
    if trait(layer) is Trait.CHANNEL:
        return [_statistic(layer, at, shape, change.rows) for at, shape in enumerate(shapes)]
    if len(layer.bottoms) > 1:
        raise layer.error(
            f"its weights are for {len(layer.bottoms)} bottoms at once; give each bottom a layer"
        )
    axis, old = channel_axis(layer, shapes[0], change.before)
    new = (*old[:axis], len(change.rows), *old[axis + 1 :])
    shape = new if len(new) == len(shapes[0]) else _joined(new, axis)
    mix = Move(layer.name, 0, shape, layer.name, "mix", (old, ((axis, change.rows),)))
    return [mix, *copies(layer, shapes, 1)]


def _statistic(layer: Layer, at: int, shape: Shape, rows: Rows) -> Move:
    """A blob of a layer that normalises the image; one without a number per channel stays."""
    if shape in ((), (1,)):
        return Move(layer.name, at, shape, layer.name)
    if shape != (len(rows),):
        raise layer.error(
            "it does not have one number for each channel of the image; change it by hand first"
        )
    return Move(layer.name, at, shape, layer.name, "mix", (shape, ((0, rows),)))


def channel_axis(layer: Layer, shape: Shape, channels: int) -> tuple[int, Shape]:
    """The axis of the input channels in the weights, and their shape with that axis apart."""
    if groups_of(layer) != 1:
        raise layer.error("it reads the image in groups of channels; make it dense first")
    if axis_of(layer) not in (1, -3):
        raise layer.error(f"it works along axis {axis_of(layer)} of the image, not its channels")
    if len(shape) > 2:
        return 1, shape
    if transposes(layer):
        return 0, (channels, shape[0] // channels, shape[1])
    return 1, (shape[0], channels, shape[1] // channels)


def _joined(shape: Shape, axis: int) -> Shape:
    return (*shape[:axis], prod(shape[axis : axis + 2]), *shape[axis + 2 :])


def _step(layer: Layer, change: Change) -> Step:
    return Step("change", layer.name, layer.line, change.what, f"the same outputs {change.exact}")


def _colour(text: str) -> Arguments:
    orders = {"": LUMA, "bgr": LUMA, "rgb": LUMA[::-1], "mean": (1 / 3,) * 3}
    return (), {"luma": orders[one_of(text, orders)]}


def _more(text: str) -> Arguments:
    count, _, start = text.partition(":")
    return (whole_number(count),), {"start": one_of(start or "zero", _STARTS)}


OPERATIONS = (
    Operation("swap", "swap[=BLOB]", "swap BGR and RGB", swap_channels, image_blob),
    Operation("gray", "gray[=BLOB]", "take gray images instead of colour", to_gray, image_blob),
    Operation(
        "colour",
        "colour[=bgr|rgb|mean]",
        "take colour images instead of gray",
        to_colour,
        _colour,
    ),
    Operation(
        "channels",
        "channels=N[:zero|mean]",
        "add input channels, such as depth beside colour",
        add_channels,
        _more,
    ),
)
