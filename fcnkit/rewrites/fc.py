"""Convolutions that see their whole input at once become InnerProducts:
convolutionalize backwards.
"""

from collections.abc import Mapping, Sequence
from math import prod
from typing import NamedTuple

from fcnkit import expected
from fcnkit.edits import Edit, merge
from fcnkit.formats.prototxt import Field, NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Layer, Top
from fcnkit.nets.layers.axes import show
from fcnkit.nets.layers.sliding import pads_by_size, spatial
from fcnkit.nets.layers.strange_fields import not_understood
from fcnkit.nets.layers.table import of
from fcnkit.plan import Move, Plan, Step
from fcnkit.rewrites.changes import set_name, shown_kernel, taken_out
from fcnkit.rewrites.conversion import Refused, check_shared, follow, refusal
from fcnkit.rewrites.operations import Operation, no_arguments
from fcnkit.rewrites.states import Known, states
from fcnkit.shape import Shape

_BOTH = ("num_output", "bias_term", "weight_filler", "bias_filler")
_PARAM = "convolution_param"


class _Result(NamedTuple):
    """What is decided for one state:
    the input of each layer to convert, and those of unknown input.
    """

    state: Known
    seen: dict[str, Shape]
    unknown: frozenset[str]


@expected.checked
def to_fc(net: NetOrPath, *, inputs: Mapping[str, Shape] | None = None) -> Plan:
    """Every Convolution whose kernel covers its whole input becomes an InnerProduct.

    >>> conv = fk.convolutionalize("deploy.prototxt").net
    >>> fk.to_fc(conv).steps[0].what
    'Convolution -> InnerProduct'

    The weights N x C x H x W become the matrix N x (C H W), in the same order. Convolutions of
    kernel 1 that follow are converted too. A layer that would not compute the same stays, with
    the reason. From then on, inputs must have the size that the net says.

    - `net`: a Prototxt or its path.
    - `inputs`: shapes by blob name, instead of those in the file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError if the net cannot be built.
    """
    net = given_net(net)
    work = states(net, inputs)
    keep: dict[str, str] = {}
    while True:
        try:
            results = [_simulate(state, keep) for state in work.each]
            check_shared((result.state.graph, result.seen) for result in results)
            _check_states(results)
            break
        except Refused as refused:
            keep.update((layer.name, refused.why) for layer in refused.layers)
    return _plan(net, results, keep)


def _simulate(state: Known, keep: Mapping[str, str]) -> _Result:
    """The shapes of the net to be, layer by layer;
    Refused at the first that a conversion would break.
    """
    old = state.shapes.tops
    new: dict[Top, Shape | None] = {}
    seen: dict[str, Shape] = {}
    unknown: set[str] = set()
    for layer in state.graph.layers:
        given = [new[bottom] for bottom in layer.bottoms]
        had = [old[bottom] for bottom in layer.bottoms]
        whole = None if layer.name in keep else _covered(layer, given, had)
        tops: list[Shape | None]
        if whole is not None:
            strange = not_understood(layer)
            if strange:
                raise Refused([layer], strange)
            seen[layer.name] = (*whole, *[1] * (len(had[0] or ()) - len(whole)))
            tops = [(whole[0], layer.param("convolution_param").get("num_output"))]
        elif given == had:
            unknown |= {layer.name} if None in given else set()
            tops = [old[top] for top in layer.tops]
        elif of(layer).message == _PARAM:
            raise refusal(state, layer, seen, "it slides over height and width")
        else:
            tops = follow(state, layer, given, seen, _same)
        new.update(_by_top(layer, tops))
    return _Result(state, seen, frozenset(unknown))


def _by_top(layer: Layer, shapes: Sequence[Shape | None]) -> dict[Top, Shape | None]:
    return dict(zip(layer.tops, shapes, strict=True))


def _same(old: Shape) -> tuple[Shape, ...]:
    return (old, old[:2]) if set(old[2:]) == {1} else (old,)


def _covered(
    layer: Layer, given: Sequence[Shape | None], had: Sequence[Shape | None]
) -> Shape | None:
    """The input's shape where a Convolution has one output place, made of every number of it."""
    shape = given[0] if layer.type == "Convolution" and len(given) == 1 else None
    if shape is None or had[0] is None or len(had[0]) < 3 or len(shape) not in (2, len(had[0])):
        return None
    if pads_by_size(layer):
        return None
    param, ndim = layer.param("convolution_param"), len(had[0])
    window, size = spatial(layer, ndim), (*shape[2:], *[1] * (ndim - len(shape)))
    covers = (
        param.get("axis") in (1, 1 - ndim)
        and param.get("group") == 1
        and window.kernel == window.extent == size
        and not any(window.pad + window.far)
    )
    return shape if covers else None


def _check_states(results: Sequence[_Result]) -> None:
    """Raises Refused for a layer that is to be converted in one state and not in another."""
    wanted = {name for result in results for name in result.seen}
    for result in results:
        for layer in result.state.graph.layers:
            if (
                layer.name in wanted
                and layer.name not in result.seen
                and layer.name not in result.unknown
            ):
                raise Refused(
                    [layer], f"its kernel does not cover its input in state {result.state.name}"
                )


def _plan(net: Prototxt, results: Sequence[_Result], keep: Mapping[str, str]) -> Plan:
    seen = {name: shape for result in results for name, shape in result.seen.items()}
    steps: dict[int, Step] = {}
    moves: dict[tuple[str, int], Move] = {}
    by_state = []
    for result in results:
        edits = []
        for layer in result.state.graph.layers:
            if layer.name in seen:
                edits += _conversion(layer)
                steps[layer.field.start] = _converted(layer, seen[layer.name])
                moves.update(
                    {(move.layer, move.blob): move for move in _moves(layer, seen[layer.name])}
                )
            elif layer.name in keep:
                why = keep[layer.name]
                steps[layer.field.start] = Step("keep", layer.name, layer.line, layer.type, why)
        by_state.append((result.state.name, edits))
    ordered = tuple(steps[start] for start in sorted(steps))
    return Plan(net, net.edit(merge(by_state)), ordered, tuple(moves.values()))


def _conversion(layer: Layer) -> list[Edit]:
    why, kind = f'make "{layer.name}" an InnerProduct', layer.field.required("type")
    v1 = layer.field.name == "layers"
    word = "INNER_PRODUCT" if v1 else f"{kind.raw[0]}InnerProduct{kind.raw[0]}"
    edits = [Edit(kind.value_start, kind.stop, word, why)]
    for message in layer.field.all("convolution_param"):
        edits.append(set_name(message, "inner_product_param", why))
        edits += [taken_out(field, why) for field in message.fields or () if _goes(field)]
    return edits


def _goes(field: Field) -> bool:
    return field.name not in _BOTH and (field.name, field.raw) != ("axis", "1")


def _converted(layer: Layer, shape: Shape) -> Step:
    size = shown_kernel(shape[2:])
    why = f"its kernel {size} covers {layer.bottoms[0].blob}, which is {show(shape[1:])}"
    return Step("convert", layer.name, layer.line, "Convolution -> InnerProduct", why)


def _moves(layer: Layer, shape: Shape) -> list[Move]:
    param = layer.param("convolution_param")
    outputs = param.get("num_output")
    bias = [Move(layer.name, 1, (outputs,), layer.name)] if param.get("bias_term") else []
    return [Move(layer.name, 0, (outputs, prod(shape[1:])), layer.name), *bias]


OPERATIONS = (Operation("fc", "fc", "turn Convolutions into InnerProducts", to_fc, no_arguments),)
