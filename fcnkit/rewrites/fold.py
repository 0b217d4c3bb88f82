"""BatchNorm, Scale and Bias go into the layer before them.

A layer that is linear in its weights and bias, w * x + b, followed by
y -> a y + c for each channel, is (a w) * x + (a b + c).  BatchNorm with stored
statistics is a = 1 / sqrt(var / factor + eps), c = -a mean / factor; Scale is
a = gamma, c = beta.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from os.path import commonprefix
from typing import NamedTuple

from fcnkit import expected
from fcnkit.edits import Edit
from fcnkit.formats.prototxt import NetOrPath
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.axes import canonical
from fcnkit.nets.layers.strange_fields import not_understood
from fcnkit.nets.layers.table import (
    TYPES,
    axis_of,
    count_of_outputs,
    groups_of,
    has_bias,
    is_loss,
    keeps_statistics,
    of,
)
from fcnkit.nets.layers.traits import Affine
from fcnkit.plan import Move, Plan, Step
from fcnkit.plural import number_of
from fcnkit.rewrites.changes import removed, set_value, taken_out
from fcnkit.rewrites.operations import Operation, no_arguments
from fcnkit.rewrites.states import Known, States, states
from fcnkit.shape import Shape


class _Chain(NamedTuple):
    """A linear layer, and the layers that go into it."""

    layer: Layer
    links: tuple[Layer, ...]


# The net of one state, which `extract` leaves where it is given no blobs.
_EXTRACT = "first keep the TEST phase only (--do extract=:)"


@expected.checked
def fold(net: NetOrPath, *, inputs: Mapping[str, Shape] | None = None) -> Plan:
    """Every BatchNorm, Scale and Bias becomes part of the linear layer before it, if possible.

    >>> plan = fk.fold(fk.template("resnet18"))
    >>> plan.steps[0].layer
    'conv1'

    The linear layer is a Convolution, a Deconvolution or an InnerProduct whose top only these
    layers read, one after the other, in place or not. It gets a bias if it has none, and its
    top gets the name of the last of them. The others stay, with the reason: a BatchNorm that
    uses the statistics of the batch in training, a Scale with two bottoms or along other axes,
    shared parameters.

    - `net`: a Prototxt or its path.
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError if the net cannot be built.
    """
    net = given_net(net)
    work = states(net, inputs)
    why: dict[int, str] = {}
    chains = _agreed(work, [dict(_chains(work, known, why)) for known in work.each], why)
    steps: dict[int, Step] = {}
    edits, moves = [], []
    for chain in chains:
        edits += _edits(chain)
        moves += _moves(work, chain)
        steps |= {layer.field.start: step for layer, step in _steps(chain)}
    for layer in work.layers:
        if of(layer).folds and layer.field.start not in steps:
            reason = why[layer.field.start]
            steps[layer.field.start] = Step("keep", layer.name, layer.line, layer.type, reason)
    for layer in (each for known in work.each for each in _strangers(known)):
        why_not = (
            "fcnkit does not know its type; if it normalises, merge it with the script of its fork"
        )
        steps[layer.field.start] = Step("keep", layer.name, layer.line, layer.type, why_not)
    return work.plan(edits, steps, moves)


def _strangers(known: Known) -> Iterator[Layer]:
    """The layers of unknown types that follow a linear layer, and might be folded elsewhere."""
    for layer in known.graph.layers:
        before = [known.graph.producer(top) for top in layer.bottoms[:1]]
        if layer.type not in TYPES and any(of(each).linear for each in before):
            yield layer


def _chains(work: States, known: Known, why: dict[int, str]) -> Iterator[tuple[int, _Chain]]:
    """Of one state, every linear layer by where it stands, with the links that could go into it."""
    reached: set[int] = set()
    for layer in known.graph.layers:
        if of(layer).linear:
            links = tuple(_links(work, known, layer, why))
            reached.update(link.field.start for link in links)
            yield layer.field.start, _Chain(layer, links)
        elif of(layer).folds and layer.field.start not in reached:
            why.setdefault(layer.field.start, _behind(known, layer))


def _links(work: States, known: Known, layer: Layer, why: dict[int, str]) -> Iterator[Layer]:
    """The layers after `layer` that could go into it, up to the first that cannot."""
    top = layer.tops[0]
    while True:
        users = known.graph.consumers[top]
        link = next((user for user in users if of(user).folds), None)
        if link is None:
            return
        reason = _why_not(work, known, layer, link, users)
        if reason:
            why[link.field.start] = reason
            return
        yield link
        top = link.tops[0]


def _why_not(
    work: States, known: Known, layer: Layer, link: Layer, users: tuple[Layer, ...]
) -> str:
    """Why a link cannot go into a linear layer that it follows; "" when it can."""
    if len(link.bottoms) > 1:
        return f'its second bottom "{link.bottoms[1].blob}" is computed, not stored'
    if len(users) > 1:
        others = ", ".join(f'"{user.name}"' for user in users if user is not link)
        return f'{others} also reads "{link.bottoms[0].blob}" as it is before'
    if len(layer.tops) > 1:
        return f'"{layer.name}" has {number_of(len(layer.tops), "top")} from the same weights'
    for each in (layer, link):
        if any(each.view.list("loss_weight")):
            fact = f'its top "{each.tops[0].blob}" counts in the loss (loss_weight)'
            return fact if each is link else f'"{layer.name}": {fact}'
        strange = not_understood(each, of(each).affine_heeds)
        if strange:
            return strange if each is link else f'"{layer.name}": {strange}'
        shared = work.sharing(each)
        if shared:
            return shared if each is link else f'"{layer.name}": {shared}'
    if of(link).affine(link) is None:
        fact = "it normalises by batch statistics, or in a way of its fork only"
        return f"{fact}; merge it with that fork's script"
    if keeps_statistics(link) and not _stored(known, link):
        fact = f"in state {known.name} it normalises by the batch (use_global_stats is not true)"
        return fact + (f"; {_EXTRACT}" if known.graph.state.phase == "TRAIN" else "")
    return _other_axes(known, layer, link)


def _stored(known: Known, link: Layer) -> bool:
    """Whether the link normalises by what is stored: PSPNet's BN says so by frozen."""
    param = link.param(of(link).message)
    if param.knows("use_global_stats") and param.has("use_global_stats"):
        return param.get("use_global_stats")
    return not _trains(known) or (param.says("frozen") and param.get("frozen"))


def _trains(known: Known) -> bool:
    """Whether anyone trains this state:
    a deploy net with a layer for TEST has a TRAIN without a loss.
    """
    return known.graph.state.phase == "TRAIN" and any(map(is_loss, known.graph.layers))


def _other_axes(known: Known, layer: Layer, link: Layer) -> str:
    """Why the link is not one factor and summand for each output channel; "" when it is."""
    shape, blobs = known.shape(link.bottoms[0]), known.shapes.blobs(link)
    if shape is None or blobs is None or known.shapes.blobs(layer) is None:
        tops = (*link.bottoms[:1], *layer.bottoms[:1])
        top = next((top for top in tops if known.shape(top) is None), tops[0])
        reason = known.shapes.reason(top)
        return f"sizes are not known ({reason}); {known.shapes.say_it(top)}"
    axis = canonical(layer, axis_of(layer), len(shape))
    if axis != 1:
        return f'"{layer.name}" works along axis {axis}'
    along = canonical(link, axis_of(link), len(shape))
    numbers = tuple(size for size in blobs[0] if size != 1)
    if numbers == () or (along == 1 and numbers == shape[1:2]):
        return ""
    return "it does not have one number for each channel"


def _behind(known: Known, link: Layer) -> str:
    """Why a link that no chain has reached stays."""
    producer = known.graph.producer(link.bottoms[0])
    if of(producer).folds:
        return f'"{producer.name}" before it stays'
    return f'it follows "{producer.name}" ({producer.type}), which cannot take it in'


def _agreed(work: States, found: list[dict[int, _Chain]], why: dict[int, str]) -> list[_Chain]:
    """The chains that are the same in every state, cut where they differ."""
    agreed = []
    present = Counter(layer.field.start for known in work.each for layer in known.graph.layers)
    for layer in work.layers:
        here = [chains[layer.field.start] for chains in found if layer.field.start in chains]
        links = commonprefix([[link.field.start for link in chain.links] for chain in here] or [[]])
        alone = _while_present(present, links, len(here))
        if alone:
            agreed.append(_Chain(here[0].layer, here[0].links[: len(alone)]))
        for chain in here:
            for link in chain.links[len(alone) :]:
                reason = f'it follows "{layer.name}" in one state but not in another'
                why.setdefault(link.field.start, f"{reason}; {_EXTRACT}")
    return agreed


def _while_present(present: Mapping[int, int], links: Sequence[int], states: int) -> list[int]:
    """The links up to the first that is in more states than these."""
    return list(takewhile(lambda start: present[start] == states, links))


def _edits(chain: _Chain) -> list[Edit]:
    layer, links = chain
    why = f'fold into "{layer.name}"'
    edits = [removed(link.field, why) for link in links]
    last = links[-1].tops[0].blob
    if last != layer.tops[0].blob:
        edits.append(set_value(layer.field.all("top")[0], last, why))
    if _adds_bias(chain):
        messages = layer.field.all(of(layer).message)
        edits += [
            taken_out(field, why) for message in messages for field in message.all("bias_term")
        ]
    return edits


def _adds_bias(chain: _Chain) -> bool:
    """Whether the linear layer gets a bias: only factors leave it without one."""
    only_factors = Affine(factor=0)
    return not has_bias(chain.layer) and any(
        of(link).affine(link) != only_factors for link in chain.links
    )


def _link(link: Layer) -> tuple[str, Affine | None]:
    """The layer as a Move's args have it."""
    return link.name, of(link).affine(link)


def _moves(work: States, chain: _Chain) -> list[Move]:
    layer, links = chain.layer, tuple(map(_link, chain.links))
    weights = tuple(work.blobs(layer)[0])
    axis = of(layer).output_axis(layer)
    # Where the outputs come second, each group has its own part of them.
    groups = groups_of(layer) if axis else 1
    moves = [Move(layer.name, 0, weights, layer.name, "fold", (links, axis, groups))]
    if has_bias(layer) or _adds_bias(chain):
        source = layer.name if has_bias(layer) else None
        outputs = (count_of_outputs(layer),)
        moves.append(Move(layer.name, 1, outputs, source, "fold bias", (links,)))
    return moves + [Move(link.name, 0, (), how="drop") for link in chain.links]


def _steps(chain: _Chain) -> Iterator[tuple[Layer, Step]]:
    layer, links = chain
    names = ", ".join(f"{link.name} ({link.type})" for link in links)
    what = f"absorbs {names}" + "; gets a bias" * _adds_bias(chain)
    why = "their factors and shifts go into its weights and bias"
    yield layer, Step("change", layer.name, layer.line, what, why)
    for link in links:
        yield link, Step("remove", link.name, link.line, link.type, f'it is part of "{layer.name}"')


OPERATIONS = (
    Operation(
        "fold", "fold", "merge BatchNorm and Scale into the layer before", fold, no_arguments
    ),
)
