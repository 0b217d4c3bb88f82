"""A learned layer keeps some of its filters, and what reads their channels follows.

So DeepLab makes the 4096 filters of VGG-16's fc6 and fc7 1024: Chen et al.,
"Semantic Image Segmentation with Deep Convolutional Nets and Fully Connected
CRFs", section 3.2.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import NamedTuple

from fcnkit import expected
from fcnkit.edits import Edit
from fcnkit.formats.prototxt import NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Layer, Top
from fcnkit.nets.layers.axes import canonical
from fcnkit.nets.layers.rearrange import join_axis
from fcnkit.nets.layers.strange_fields import understood
from fcnkit.nets.layers.table import (
    axis_of,
    channels_of,
    count_of_outputs,
    groups_of,
    of,
    sized_by,
    trait,
)
from fcnkit.nets.layers.traits import Trait
from fcnkit.plan import Move, Plan, Step
from fcnkit.plural import number_of
from fcnkit.rewrites.changes import set_param
from fcnkit.rewrites.operations import Arguments, Operation, name_and_rest, whole_number
from fcnkit.rewrites.states import SAY_IT, Known, States, copies, states
from fcnkit.shape import Shape

# What treats all channels alike where it keeps them.
_ALIKE = (Trait.VALUE, Trait.PLACES, Trait.ARRANGES)


class _Left(NamedTuple):
    """Of `all` the slices that a top had along axis 1, those that are `kept`, in order."""

    all: int
    kept: tuple[int, ...]

    @property
    def shown(self) -> str:
        """How many of how many."""
        return f"{len(self.kept)} of {self.all}"


class _Change(NamedTuple):
    """What becomes of one layer, and what is left of each of its tops."""

    tops: Mapping[Top, _Left]
    moves: Sequence[Move] = ()
    fields: Sequence[tuple[str, object]] = ()
    step: Step | None = None


@expected.checked
def fewer_filters(
    net: NetOrPath,
    layer: str,
    filters: int,
    *,
    first: bool = False,
    inputs: Mapping[str, Shape] | None = None,
) -> Plan:
    """The layer keeps only `filters` of its filters, and the layers that read them are adapted.

    >>> fk.fewer_filters("deploy.prototxt", "conv1", 8).steps[0].what
    'filters: 16 -> 8'

    Layers that read the removed channels lose the weights for them, even behind layers that
    keep channels apart, a Concat or a Flatten. BatchNorm, Scale and other layers with values
    for each channel lose those of the removed channels too. The outputs are those of the old
    net with these weights set to zero. Train the new net afterwards.

    - `net`: a Prototxt or its path.
    - `layer`: the name of a Convolution or an InnerProduct.
    - `filters`: how many filters are kept.
    - `first`: keep the first ones; by default they are chosen evenly.
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError if the layer has no more than `filters` filters, if it learns nothing or
    shares its weights, or if the channels cannot be removed, because they are scores, are
    summed with other channels, or would leave uneven groups.
    """
    net = given_net(net)
    work = states(net, inputs)
    start = work.named(layer)
    for each in start:
        _check(each, filters)
    if count_of_outputs(start[0]) == filters:
        return Plan(net, net)
    places = {each.field.start for each in start}
    found = [
        change for known in work.each for change in _followed(work, known, places, filters, first)
    ]
    edits, steps = {}, {}
    for each, change in found:
        if change.step:
            edits[each.field.start] = _edits(net, each, change)
            steps[each.field.start] = change.step
    moves = [move for _, change in found for move in change.moves]
    plan = work.plan([edit for each in edits.values() for edit in each], steps, moves)
    states(plan.net, inputs)  # raises where a layer cannot take so few, as an Eltwise of two
    return plan


def _check(layer: Layer, filters: int) -> None:
    if not of(layer).linear:
        raise layer.error(f"its type is {layer.type}; name a Convolution or an InnerProduct")
    if trait(layer) is Trait.CHANNEL:
        raise layer.error("it filters each channel alone; name the layer that makes its channels")
    count = count_of_outputs(layer)
    if not 1 <= filters <= count:
        raise layer.error(
            f"it has {number_of(count, 'filter')}, and {filters} are asked for; give 1 to {count}"
        )
    if of(layer).output_axis(layer) and groups_of(layer) > 1:
        raise layer.error(f"it spreads {groups_of(layer)} groups of channels; make it dense first")


def _followed(
    work: States, known: Known, start: set[int], filters: int, first: bool
) -> list[tuple[Layer, _Change]]:
    """The layers that change in one state, in order, and how."""
    left: dict[Top, _Left] = {}
    found = []
    for layer in known.graph.layers:
        if layer.field.start in start:
            _check_apart(layer, left)
            change = _begun(work, layer, filters, first)
        elif not left.keys().isdisjoint(layer.bottoms):
            change = _reader(work, known, layer, left)
        else:
            continue
        found.append((layer, change))
        left |= change.tops
    _check_read(known, left)
    return found


def _check_apart(layer: Layer, left: Mapping[Top, _Left]) -> None:
    if not left.keys().isdisjoint(layer.bottoms):
        raise layer.error("it reads channels of a layer of its own name; give them names apart")


def _check_read(known: Known, left: Mapping[Top, _Left]) -> None:
    for top in left:
        if not known.graph.consumers[top]:
            fact = (
                f'"{top.blob}" is an output of the net, and would have {left[top].shown} channels'
            )
            raise known.graph.producer(top).error(f"{fact}; choose classes with classes=")


def _edits(net: Prototxt, layer: Layer, change: _Change) -> list[Edit]:
    if not change.fields:
        return []
    why = f'filters of "{layer.name}"'
    return set_param(layer, of(layer).message, change.fields, net.style, why=why)


# ---- the layer itself


def _begun(work: States, layer: Layer, filters: int, first: bool) -> _Change:
    count, groups = count_of_outputs(layer), groups_of(layer)
    even = [index * count // filters for index in range(filters)]
    left = _Left(count, tuple(range(filters)) if first else tuple(even))
    parts = {len(part) for part in _parts(left, groups)}
    if parts - {filters // groups}:
        fact = f"its {count} filters are in {groups} groups, and as many must be left of each"
        raise layer.error(f"{fact}; give a multiple of {groups}, evenly chosen")
    weights, *bias = (tuple(shape) for shape in work.blobs(work.alone(layer)))
    moves = [
        _mixed(layer, 0, weights, of(layer).output_axis(layer), left),
        *(_mixed(layer, 1, shape, 0, left) for shape in bias),
    ]
    step = Step(
        "change", layer.name, layer.line, f"filters: {count} -> {filters}", _chosen(left, first)
    )
    return _Change(dict.fromkeys(layer.tops, left), moves, [("num_output", filters)], step)


def _chosen(left: _Left, first: bool) -> str:
    if first:
        return "the first of them"
    shown = ", ".join(map(str, left.kept[:3]))
    more = f", ... {left.kept[-1]}" if len(left.kept) > 3 else ""
    return f"evenly chosen: {shown}{more}"


def _parts(left: _Left, groups: int) -> list[list[int]]:
    """What is left of each of so many groups, counted in the group."""
    size = left.all // groups
    parts: list[list[int]] = [[] for _ in range(groups)]
    for index in left.kept:
        parts[index // size].append(index % size)
    return parts


def _mixed(layer: Layer, blob: int, shape: Shape, axis: int, left: _Left) -> Move:
    """The blob with what is left along an axis."""
    new = (*shape[:axis], len(left.kept), *shape[axis + 1 :])
    return _taken(layer, blob, shape, axis, left.kept, new)


def _taken(layer: Layer, blob: int, old: Shape, axis: int, kept: Sequence[int], new: Shape) -> Move:
    """The blob, seen in the shape `old`, with these slices along an axis, in the shape `new`."""
    rows = tuple(((index, 1),) for index in kept)
    return Move(layer.name, blob, new, layer.name, "mix", (old, ((axis, rows),)))


# ---- what reads its channels


def _reader(work: States, known: Known, layer: Layer, left: Mapping[Top, _Left]) -> _Change:
    """How a layer follows that reads channels of which some go."""
    reads = [top for top in layer.bottoms if top in left]
    if trait(layer) is Trait.SINK or _is_blind(layer, reads):
        return _Change({})
    understood(layer)
    if layer.type == "Concat" and not channels_of(layer):  # the one that puts channels in a row
        return _joined(known, layer, left)
    here = _one(layer, left)
    if of(layer).linear:
        return _weighed(work, known, layer, here)
    if trait(layer) is Trait.CHANNEL and channels_of(layer) == [*layer.bottoms]:
        return _by_channel(work, known, layer, here)
    if trait(layer) in _ALIKE and channels_of(layer):
        return _Change(dict.fromkeys(layer.tops, here))
    if trait(layer) is Trait.ARRANGES and of(layer).identity(layer):
        return _Change(dict.fromkeys(layer.tops, _flat(known, layer, here)))
    fact = f'its type is {layer.type}, and the channels of "{reads[0].blob}" cannot be followed'
    raise layer.error(f"{fact} through it; change that part of the net by hand first")


def _is_blind(layer: Layer, reads: Sequence[Top]) -> bool:
    """Whether the layer reads the size of these alone, and no channels."""
    size_alone = set(reads) <= set(sized_by(layer))
    return size_alone and bool(channels_of(layer) or trait(layer) is Trait.SOURCE)


def _one(layer: Layer, left: Mapping[Top, _Left]) -> _Left:
    """What is left of all bottoms whose channels it keeps, and of others that lose some."""
    kept, size_alone = channels_of(layer), sized_by(layer)
    bottoms = [top for top in layer.bottoms if top in kept or top in left and top not in size_alone]
    if len({left.get(top) for top in bottoms}) > 1:
        names = " and ".join(f'"{top.blob}"' for top in dict.fromkeys(bottoms))
        fact = f"it reads {names}, which would not have the same channels left"
        raise layer.error(f"{fact}; change that part of the net by hand first")
    return left[bottoms[0]]


def _joined(known: Known, layer: Layer, left: Mapping[Top, _Left]) -> _Change:
    """Channels in a row: those of the bottoms that stay are all kept."""
    if canonical(layer, join_axis(layer, 4, "concat_param", "concat_dim"), 4) != 1:
        raise layer.error(
            "it joins images, some of whose channels are removed; change it by hand first"
        )
    count, kept = 0, []
    for top in layer.bottoms:
        shape = known.shape(top)
        own = left[top].all if top in left else shape[1] if shape else known.shapes.channels(top)
        if own is None:
            raise layer.error(f'the size of "{top.blob}" is not known; {SAY_IT}')
        stay = left[top].kept if top in left else range(own)
        kept += [count + index for index in stay]
        count += own
    return _Change(dict.fromkeys(layer.tops, _Left(count, tuple(kept))))


def _flat(known: Known, layer: Layer, here: _Left) -> _Left:
    """What is left where channels and places become one axis, or the places alone change."""
    old, new = known.shape(layer.bottoms[0]), known.shape(layer.tops[0])
    if old is None or new is None:
        raise layer.error(f"the size of what it reads is not known; {SAY_IT}")
    if new[:2] == old[:2]:
        return here
    places = prod(old[2:])
    if new != (old[0], here.all * places):
        fact = "it merges values of several channels into one"
        raise layer.error(f"{fact}; change that part of the net by hand first")
    kept = (index * places + place for index in here.kept for place in range(places))
    return _Left(new[1], tuple(kept))


def _check_axis(known: Known, layer: Layer) -> None:
    shape = known.shape(layer.bottoms[0])
    if canonical(layer, axis_of(layer), len(shape) if shape else 4) != 1:
        raise layer.error(f"it works along axis {axis_of(layer)}, not along the channels")


def _by_channel(work: States, known: Known, layer: Layer, here: _Left) -> _Change:
    """A number of each channel goes with its channel; one for all of them stays."""
    _check_axis(known, layer)
    moves = []
    for blob, shape in enumerate(map(tuple, work.blobs(work.alone(layer)))):
        if prod(shape) == 1:
            moves.append(Move(layer.name, blob, shape, layer.name))
        elif prod(shape) == here.all and here.all in shape:
            moves.append(_mixed(layer, blob, shape, shape.index(here.all), here))
        else:
            raise layer.error(
                "it does not have one number for each channel; change it by hand first"
            )
    return _Change(dict.fromkeys(layer.tops, here), moves, (), _step(layer, here))


def _weighed(work: States, known: Known, layer: Layer, here: _Left) -> _Change:
    """A layer with weights for each channel that it reads."""
    _check_axis(known, layer)
    weights, *bias = (tuple(shape) for shape in work.blobs(work.alone(layer)))
    spread, groups = of(layer).output_axis(layer), _groups(layer, weights, here.all)
    if 1 < groups == here.all:
        return _each_alone(layer, [weights, *bias], here)
    parts = _parts(here, groups)
    if len(set(map(len, parts))) > 1:
        fact = f"it reads {here.all} channels in {groups} groups, which would become unequal"
        raise layer.error(f"{fact}; give a multiple of {groups}, or make it dense first")
    if of(layer).message != "convolution_param":
        move = _of_matrix(layer, weights, 1 - spread, here)
    elif groups == 1 or spread:
        move = _mixed(layer, 0, weights, 1 - spread, here)
    else:
        move = _of_groups(layer, weights, parts)
    return _Change({}, [move, *copies(layer, [weights, *bias], 1)], (), _step(layer, here))


def _groups(layer: Layer, weights: Shape, channels: int) -> int:
    """In how many groups it reads its channels, though it may not say so."""
    if of(layer).message != "convolution_param" or of(layer).output_axis(layer):
        return groups_of(layer)
    return channels // weights[1]


def _of_matrix(layer: Layer, weights: Shape, axis: int, here: _Left) -> Move:
    """An InnerProduct, which may have weights for each place of a channel."""
    places = weights[axis] // here.all
    old = (*weights[:axis], here.all, places, *weights[axis + 1 :])
    new = (*weights[:axis], len(here.kept) * places, *weights[axis + 1 :])
    return _taken(layer, 0, old, axis, here.kept, new)


def _of_groups(layer: Layer, weights: Shape, parts: Sequence[Sequence[int]]) -> Move:
    """A Convolution whose outputs each weigh the channels of one group."""
    outputs, size, *kernel = weights
    each = outputs // len(parts)
    kept = [output * size + index for output in range(outputs) for index in parts[output // each]]
    new = (outputs, len(parts[0]), *kernel)
    return _taken(layer, 0, (outputs * size, *kernel), 0, kept, new)


def _each_alone(layer: Layer, blobs: Sequence[Shape], here: _Left) -> _Change:
    """A layer with a group for each channel loses these groups and their outputs."""
    weights, *bias = blobs
    times = count_of_outputs(layer) // here.all
    own = tuple(index * times + number for index in here.kept for number in range(times))
    made = _Left(here.all * times, own)
    moves = [
        _mixed(layer, 0, weights, 0, here if of(layer).output_axis(layer) else made),
        *(_mixed(layer, 1, shape, 0, made) for shape in bias),
    ]
    fields: list[tuple[str, object]] = [("num_output", len(own))]
    if layer.param(of(layer).message).says("group"):
        fields.append(("group", len(here.kept)))
    return _Change(dict.fromkeys(layer.tops, made), moves, fields, _step(layer, here))


def _step(layer: Layer, here: _Left) -> Step:
    what = f"{here.shown} channels"
    return Step("change", layer.name, layer.line, what, "the others are gone")


def _arguments(text: str) -> Arguments:
    """LAYER:N or LAYER:N:first."""
    rest, colon, last = text.rpartition(":")
    first = bool(colon) and last == "first"
    layer, count = name_and_rest(rest if first else text)
    return (layer, whole_number(count)), {"first": first}


OPERATIONS = (
    Operation(
        "filters",
        "filters=LAYER:N[:first]",
        "keep fewer filters, evenly chosen or the first",
        fewer_filters,
        _arguments,
        keeps_values=False,
    ),
)
