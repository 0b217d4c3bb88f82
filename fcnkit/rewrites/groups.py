"""Groups of channels made dense, and dense layers that are block-diagonal made groups."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fcnkit import expected
from fcnkit.edits import Edit
from fcnkit.formats.prototxt import NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.strange_fields import not_understood
from fcnkit.nets.layers.table import count_of_outputs, groups_of, has_field, of
from fcnkit.nets.layers.traits import Trait
from fcnkit.plan import Move, Plan, Step
from fcnkit.plural import number_of
from fcnkit.rewrites.changes import set_param, taken_out
from fcnkit.rewrites.operations import Arguments, Operation, comma_separated, whole_number
from fcnkit.rewrites.states import States, copies, each_name, states
from fcnkit.rewrites.taps import bilinear_fillers
from fcnkit.shape import Shape


class _Grouping(NamedTuple):
    """What becomes of one layer: its groups, its weights' new shape, and how they are got."""

    layer: Layer
    groups: int
    shape: Shape
    how: str


@expected.checked
def ungroup(
    net: NetOrPath, *layers: str | Sequence[str], inputs: Mapping[str, Shape] | None = None
) -> Plan:
    """Layers with several groups get one group.

    >>> [step.layer for step in fk.ungroup(fk.template("alexnet")).steps]
    ['conv2', 'conv4', 'conv5']

    The weights between the old groups are zero. This is for runtimes that have no groups. The
    bilinear filler of a Deconvolution is removed, because in one group it would mix the
    channels; only a weights file then upsamples each channel separately. Layers that share
    their weights stay, if they are not named.

    - `net`: a Prototxt or its path.
    - `layers`: names, or lists of names; by default all layers with groups.
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError for a named layer that is not a Convolution or Deconvolution or that shares
    its weights, and if sizes are not known.
    """
    net = given_net(net)
    work = states(net, inputs)
    chosen = [layer for name in each_name(layers) for layer in work.named(name)]
    for layer in chosen:
        _check(work, layer)
    every = [layer for layer in work.layers if _has_groups(layer) and groups_of(layer) > 1]
    steps, found = {}, []
    for layer in chosen or every:
        why = work.sharing(layer) or not_understood(layer)
        if why:
            steps[layer.field.start] = Step(
                "keep", layer.name, layer.line, _group_count(groups_of(layer)), why
            )
        elif groups_of(layer) > 1:
            found.append(_spread(work, layer))
    return _plan(work, found, steps)


@expected.checked
def regroup(
    net: NetOrPath,
    layer: str,
    groups: int | None = None,
    *,
    inputs: Mapping[str, Shape] | None = None,
) -> Plan:
    """The layer is split into `groups` groups; its weights between the groups must be zero.

    >>> fk.regroup("deploy.prototxt", "conv2", 2).steps[0].what
    'dense -> 2 groups'

    The weights are checked when they are written; a WeightsError then names the largest one
    that is not zero.

    - `net`: a Prototxt or its path.
    - `layer`: the name of a Convolution or a Deconvolution.
    - `groups`: the number of groups; by default one for each channel, as in a bilinear
      Deconvolution.
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError for a layer that already has groups, that is not a Convolution or
    Deconvolution, or whose channels cannot be divided, and if sizes are not known.
    """
    net = given_net(net)
    work = states(net, inputs)
    found = []
    for each in work.named(layer):
        _check(work, each)
        inputs_, outputs = _channels(work, each)
        wanted = _wanted(each, groups, inputs_, outputs)
        old = groups_of(each)
        if old not in (1, wanted):
            raise each.error(f"it has {number_of(old, 'group')} already; make it dense first")
        if wanted > old:
            found.append(_gathered(work, each, wanted))
    return _plan(work, found, {})


def _check(work: States, layer: Layer) -> None:
    if not _has_groups(layer):
        raise layer.error(
            f"its type is {layer.type}; only a Convolution or a Deconvolution has groups"
        )
    work.alone(layer)


def _has_groups(layer: Layer) -> bool:
    """Whether it is a Convolution or a Deconvolution; one of each channel has no choice."""
    kind = of(layer)
    return kind.linear and kind.trait is Trait.MIXES and has_field(layer, "group")


def _channels(work: States, layer: Layer) -> tuple[int, int]:
    """Input and output channels."""
    weights, inputs_first = work.blobs(layer)[0], of(layer).output_axis(layer) == 1
    inputs = weights[0] if inputs_first else weights[1] * groups_of(layer)
    return inputs, count_of_outputs(layer)


def _wanted(layer: Layer, groups: int | None, inputs: int, outputs: int) -> int:
    if groups is None and inputs != outputs:
        fact = (
            f"it takes {number_of(inputs, 'channel')} to {outputs}, so there is no group for each"
        )
        raise layer.error(f"{fact}; give the number of groups")
    wanted = inputs if groups is None else groups
    if wanted < 1 or inputs % wanted or outputs % wanted:
        fact = (
            f"{wanted} groups do not divide both its {inputs} input and "
            f"{number_of(outputs, 'output channel')}"
        )
        raise layer.error(f"{fact}; give a number that does")
    return wanted


def _spread(work: States, layer: Layer) -> _Grouping:
    first, second, *rest = work.blobs(layer)[0]
    groups = groups_of(layer)
    return _Grouping(layer, groups, (first, second * groups, *rest), "dense")


def _gathered(work: States, layer: Layer, groups: int) -> _Grouping:
    first, second, *rest = work.blobs(layer)[0]
    return _Grouping(layer, groups, (first, second // groups, *rest), "group")


def _plan(work: States, found: list[_Grouping], steps: dict[int, Step]) -> Plan:
    edits, moves = [], []
    for each in found:
        layer = each.layer
        edits += _edits(work.net, each)
        moves += [Move(layer.name, 0, each.shape, layer.name, each.how, (each.groups,))]
        moves += copies(layer, work.blobs(layer), 1)
        steps[layer.field.start] = _step(each)
    return work.plan(edits, steps, moves)


def _edits(net: Prototxt, each: _Grouping) -> list[Edit]:
    layer, why = each.layer, f'groups of "{each.layer.name}"'
    if each.how == "group":
        return set_param(layer, "convolution_param", [("group", each.groups)], net.style, why=why)
    params = layer.field.all("convolution_param")
    gone = [field for param in params for field in param.all("group")]
    return [taken_out(field, why) for field in (*gone, *bilinear_fillers(layer))]


def _step(each: _Grouping) -> Step:
    layer = each.layer
    if each.how == "dense":
        filler = "; no bilinear filler, which would mix them" if bilinear_fillers(layer) else ""
        return Step(
            "change",
            layer.name,
            layer.line,
            f"{_group_count(each.groups)} -> dense",
            f"weights across the groups are zero{filler}",
        )
    return Step(
        "change",
        layer.name,
        layer.line,
        f"dense -> {_group_count(each.groups)}",
        "the weights between groups must be zero, which is checked when they are written",
    )


def _group_count(groups: int) -> str:
    return f"{number_of(groups, 'group')}" if groups > 1 else "dense"


def _dense(text: str) -> Arguments:
    return (comma_separated(text) if text else ()), {}


def _group(text: str) -> Arguments:
    layer, colon, count = text.rpartition(":")
    if colon and layer and count.isdigit():
        return (layer, whole_number(count)), {}
    if len(comma_separated(text)) > 1:
        raise ValueError("several layers; give --do group once for each")
    return (text,), {}


OPERATIONS = (
    Operation("dense", "dense[=LAYER,...]", "write grouped layers with one group", ungroup, _dense),
    Operation(
        "group",
        "group=LAYER[:N]",
        "split a block-diagonal dense layer into N groups",
        regroup,
        _group,
    ),
)
