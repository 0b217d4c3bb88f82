"""BatchNorm, Scale and Bias go into the layer before them.

A layer that is linear in its weights and bias, w * x + b, followed by
y -> a y + c for each channel, is (a w) * x + (a b + c).  BatchNorm with stored
statistics is a = 1 / sqrt(var / factor + eps), c = -a mean / factor; Scale is
a = gamma, c = beta.
"""

from collections.abc import Iterator, Mapping
from itertools import takewhile
from os.path import commonprefix
from typing import NamedTuple

from fcnkit.edits import Edit
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.axes import canonical
from fcnkit.plan import Move, Plan, Step
from fcnkit.rewrites.changes import removed, set_value, taken_out
from fcnkit.rewrites.operations import Operation, no_arguments
from fcnkit.rewrites.states import Known, States, states
from fcnkit.shape import Shape

LINEAR = {
    "Convolution": "convolution_param",
    "ConvolutionDepthwise": "convolution_param",
    "DepthwiseConvolution": "convolution_param",
    "Deconvolution": "convolution_param",
    "InnerProduct": "inner_product_param",
}
LINKS = ("BatchNorm", "Scale", "Bias")
_AXIS = {"Scale": "scale_param", "Bias": "bias_param"}


class _Chain(NamedTuple):
    """A linear layer, and the layers that go into it."""

    layer: Layer
    links: tuple[Layer, ...]


def fold(net: Prototxt, *, inputs: Mapping[str, Shape] | None = None) -> Plan:
    """Every BatchNorm, Scale and Bias that can be is part of the linear layer before it.

    That is a Convolution, a Deconvolution or an InnerProduct whose top only
    they read, one after the other, in place or not; it gets a bias where it
    has none.  Its top takes the name of the last of them.  What stays, stays
    with its reason: a BatchNorm that normalises by the batch while it trains, a
    Scale with two bottoms or along other axes, shared parameters.

    Raises NetError when the net cannot be built.
    """
    work = states(net, inputs)
    why: dict[int, str] = {}
    chains = _agreed(work, [dict(_chains(work, known, why)) for known in work.each], why)
    steps, edits, moves = {}, [], []
    for chain in chains:
        edits += _edits(chain)
        moves += _moves(work, chain)
        steps |= {layer.field.start: step for layer, step in _steps(chain)}
    for layer in work.layers:
        if layer.type in LINKS and layer.field.start not in steps:
            reason = why[layer.field.start]
            steps[layer.field.start] = Step("keep", layer.name, layer.line, layer.type, reason)
    return work.plan(edits, steps, moves)


def _chains(work: States, known: Known, why: dict[int, str]) -> Iterator[tuple[int, _Chain]]:
    """Of one state, every linear layer by where it stands, with the links that could go into it."""
    reached = set()
    for layer in known.graph.layers:
        if layer.type in LINEAR:
            links = tuple(_links(work, known, layer, why))
            reached.update(link.field.start for link in links)
            yield layer.field.start, _Chain(layer, links)
        elif layer.type in LINKS and layer.field.start not in reached:
            why.setdefault(layer.field.start, _behind(known, layer))


def _links(work: States, known: Known, layer: Layer, why: dict[int, str]) -> Iterator[Layer]:
    """The layers after `layer` that could go into it, up to the first that cannot."""
    top = layer.tops[0]
    while True:
        users = known.graph.consumers[top]
        link = next((user for user in users if user.type in LINKS), None)
        reason = link and _why_not(work, known, layer, link, users)
        if reason:
            why[link.field.start] = reason
        if link is None or reason:
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
        return f'"{layer.name}" has {len(layer.tops)} tops from the same weights'
    for each in (layer, link):
        shared = work.sharing(each)
        if shared:
            return shared if each is link else f'"{layer.name}": {shared}'
    if link.type == "BatchNorm" and not _stored(known, link):
        fact = f"in state {known.name} it normalises by the batch (use_global_stats is not true)"
        return fact + ("; extract state TEST first" if known.graph.state.phase == "TRAIN" else "")
    return _other_axes(known, layer, link)


def _stored(known: Known, link: Layer) -> bool:
    param = link.param("batch_norm_param")
    own = param.has("use_global_stats")
    return param.get("use_global_stats") if own else not _trains(known)


def _trains(known: Known) -> bool:
    """Whether anyone trains this state:
    a deploy net with a layer for TEST has a TRAIN without a loss.
    """
    return known.graph.state.phase == "TRAIN" and any(
        "Loss" in layer.type or any(layer.view.list("loss_weight")) for layer in known.graph.layers
    )


def _other_axes(known: Known, layer: Layer, link: Layer) -> str:
    """Why the link is not one factor and summand for each output channel; "" when it is."""
    shape, blobs = known.shape(link.bottoms[0]), known.shapes.blobs(link)
    if shape is None or blobs is None or known.shapes.blobs(layer) is None:
        reason = known.shapes.reason(link.bottoms[0]) or known.shapes.reason(layer.bottoms[0])
        return (
            f"sizes are not known ({reason}); say it with --input, as in --input data=1,3,227,227"
        )
    axis = canonical(layer, layer.param(LINEAR[layer.type]).get("axis"), len(shape))
    if axis != 1 or (layer.type == "InnerProduct" and len(shape) != 2):
        return f'"{layer.name}" works along axis {axis}'
    own = link.param(_AXIS[link.type]).get("axis") if link.type in _AXIS else 1
    if blobs[0] == () or (canonical(link, own, len(shape)) == 1 and blobs[0] == shape[1:2]):
        return ""
    return "it is not one number for each channel"


def _behind(known: Known, link: Layer) -> str:
    """Why a link that no chain has reached stays."""
    producer = known.graph.producer(link.bottoms[0])
    if producer.type in LINKS:
        return f'"{producer.name}" before it stays'
    return f'it follows "{producer.name}" ({producer.type}), which cannot take it in'


def _agreed(work: States, found: list[dict[int, _Chain]], why: dict[int, str]) -> list[_Chain]:
    """The chains that are the same in every state, cut where they differ."""
    agreed = []
    for layer in work.layers:
        here = [chains[layer.field.start] for chains in found if layer.field.start in chains]
        links = commonprefix([[link.field.start for link in chain.links] for chain in here] or [[]])
        alone = _while_present(work, links, len(here))
        if alone:
            agreed.append(_Chain(here[0].layer, here[0].links[: len(alone)]))
        for chain in here:
            for link in chain.links[len(alone) :]:
                reason = f'it follows "{layer.name}" in one state and not in another'
                why.setdefault(link.field.start, f"{reason}; extract state TEST first")
    return agreed


def _while_present(work: States, links: list[int], states: int) -> list[int]:
    """The links up to the first that is in more states than these."""
    every = [{layer.field.start for layer in known.graph.layers} for known in work.each]
    return list(takewhile(lambda start: sum(start in starts for starts in every) == states, links))


def _edits(chain: _Chain) -> list[Edit]:
    layer, links = chain
    why = f'fold into "{layer.name}"'
    edits = [removed(link.field, why) for link in links]
    last = links[-1].tops[0].blob
    if last != layer.tops[0].blob:
        edits.append(set_value(layer.field.all("top")[0], last, why))
    if _adds_bias(chain):
        messages = layer.field.all(LINEAR[layer.type])
        edits += [
            taken_out(field, why) for message in messages for field in message.all("bias_term")
        ]
    return edits


def _has_bias(layer: Layer) -> bool:
    return layer.param(LINEAR[layer.type]).get("bias_term")


def _adds_bias(chain: _Chain) -> bool:
    return not _has_bias(chain.layer) and any(
        link.type != "Scale" or _link(link)[2] for link in chain.links
    )


def _link(link: Layer) -> tuple[str, str, float | bool]:
    """The layer as a Move's args have it."""
    if link.type == "BatchNorm":
        return link.type, link.name, link.param("batch_norm_param").get("eps")
    return link.type, link.name, link.type == "Bias" or link.param("scale_param").get("bias_term")


def _moves(work: States, chain: _Chain) -> list[Move]:
    layer, links = chain.layer, tuple(map(_link, chain.links))
    weights = tuple(work.blobs(layer)[0])
    param = layer.param(LINEAR[layer.type])
    across = layer.type == "Deconvolution" or (
        layer.type == "InnerProduct" and param.get("transpose")
    )
    groups = param.get("group") if layer.type == "Deconvolution" else 1
    moves = [Move(layer.name, 0, weights, layer.name, "fold", (links, int(across), groups))]
    if _has_bias(layer) or _adds_bias(chain):
        source = layer.name if _has_bias(layer) else None
        moves.append(Move(layer.name, 1, (param.get("num_output"),), source, "fold bias", (links,)))
    return moves + [Move(link.name, 0, (), how="drop") for link in chain.links]


def _steps(chain: _Chain) -> Iterator[tuple[Layer, Step]]:
    layer, links = chain
    names = ", ".join(f"{link.name} ({link.type})" for link in links)
    what = f"takes in {names}" + "; gets a bias" * _adds_bias(chain)
    why = "a factor and a summand for each channel, which weights and bias can hold"
    yield layer, Step("change", layer.name, layer.line, what, why)
    for link in links:
        yield link, Step("remove", link.name, link.line, link.type, f'it is part of "{layer.name}"')


OPERATIONS = (
    Operation("fold", "fold", "BatchNorm, Scale, Bias into the layer before", fold, no_arguments),
)
