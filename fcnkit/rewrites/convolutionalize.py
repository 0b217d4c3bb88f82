"""InnerProduct layers become the Convolutions that compute the same numbers.

An InnerProduct over an input of C x H x W is a Convolution whose kernel is
H x W: its weight matrix N x (C H W), read in the same order, is the N x C x H x W
of the kernels.  On a larger input the Convolution slides.  So it is over C x L and
C x D x H x W, for Caffe's Convolution slides over any number of axes.  Long, Shelhamer and
Darrell, "Fully Convolutional Networks for Semantic Segmentation", section 3.1.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import NamedTuple

from fcnkit import expected
from fcnkit.edits import Edit, merge
from fcnkit.errors import NetError
from fcnkit.formats.prototxt import NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.declared import declared
from fcnkit.nets.graph import Graph, Layer, Top
from fcnkit.nets.layers.axes import show
from fcnkit.nets.layers.sliding import spatial
from fcnkit.nets.layers.strange_fields import not_understood
from fcnkit.nets.layers.table import has_field, is_pointwise, of, trait
from fcnkit.nets.layers.traits import Trait
from fcnkit.nets.layers.windows import is_global
from fcnkit.nets.shapes import shapes_of
from fcnkit.plan import Move, Plan, Step
from fcnkit.rewrites.changes import (
    beside,
    removed,
    renamed_blob,
    set_name,
    set_value,
    shown_kernel,
)
from fcnkit.rewrites.conversion import Refused, check_shared, follow
from fcnkit.rewrites.operations import Operation, no_arguments
from fcnkit.rewrites.round_down import is_cut
from fcnkit.rewrites.slide import slide
from fcnkit.rewrites.states import Known, looked_at
from fcnkit.rewrites.taps import kernel_fields
from fcnkit.shape import Shape


@expected.checked
def convolutionalize(
    net: NetOrPath,
    *,
    inputs: Mapping[str, Shape] | None = None,
    rename: str | Mapping[str, str] | None = None,
    phase: str | None = None,
) -> Plan:
    """Every InnerProduct becomes a Convolution, if possible; the others stay, with the reason.

    >>> plan = fk.convolutionalize("deploy.prototxt")
    >>> print(plan.steps[0].layer, plan.steps[0].what)
    ip1 InnerProduct -> Convolution, kernel 4
    >>> plan.net.save("conv.prototxt")

    The kernel has the height and width of the layer's input. A Flatten in between is removed. A
    global pooling that only a classifier follows gets its input's size as kernel, so that the
    net can slide over a larger image. All states that Caffe can build are considered, or those
    of `phase`.

    - `net`: a Prototxt or its path.
    - `inputs`: shapes by blob name, instead of those in the file.
    - `rename`: new names for the converted layers: a pattern such as "{name}-conv", or {old:
      new}. By default, names stay.
    - `phase`: "TRAIN" or "TEST", to consider only this phase.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError if the net cannot be built in any state, or if `rename` names a layer that
    is not converted.
    """
    net = given_net(net)
    found, broken = looked_at(net, inputs, phase)
    # All are converted at first; where a layer could not live with what it would get, the nearest
    # conversions above it are taken back, for good, and all is tried again. Each round keeps one
    # more at least, so that there are no more rounds than layers; the last round breaks nothing.
    keep: dict[str, str] = {}
    while True:
        try:
            results = [_simulate(state, keep) for state in found]
            check_shared((result.state.graph, result.kernels) for result in results)
            _check_flattens(results, keep)
            break
        except Refused as refused:
            keep.update((layer.name, refused.why) for layer in refused.layers)
    known = {name for result in results for name in result.kernels}
    for result in results:
        keep.update((name, why) for name, why in result.unknown.items() if name not in known)
    plan = _plan(net, results, keep, _renamer(rename, known, results))
    others = (*_other_sizes(found, inputs or {}), *_cut(found)) if known else ()
    plan = replace(plan, steps=(*plan.steps, *_not_seen(net, found, broken), *others))
    return plan.then(slide, inputs=inputs) if "global_pooling" in net.text else plan


def _not_seen(net: Prototxt, found: Sequence[Known], broken: Sequence[NetError]) -> Iterator[Step]:
    """A step for each InnerProduct that is in no state that was looked at."""
    seen = {layer.field.start for state in found for layer in state.graph.layers}
    for one in declared(net):
        if one.type == "InnerProduct" and one.field.start not in seen:
            why = f"no state that has it can be built: {broken[0]}" if broken else "no state has it"
            yield Step("keep", one.name, one.field.line, one.type, why)


def _cut(found: Sequence[Known]) -> Iterator[Step]:
    """A step for each pooling whose cut window keeps a net without padding from sliding exactly."""
    seen: dict[str, Step] = {}
    for state in found:
        if any(map(pads, state.graph.layers)):
            continue  # what is at a window's border is not what a larger image has there
        for layer in state.graph.layers:
            if is_cut(state, layer):
                why = (
                    "its last window is cut off at the image's border but not inside a larger "
                    "image, so scores there differ slightly from the classifier's"
                )
                seen[layer.name] = Step("keep", layer.name, layer.line, layer.type, why)
    yield from seen.values()


def pads(layer: Layer) -> bool:
    """Whether a window of the layer sees zeros around what it reads."""
    if has_field(layer, "kernel_size") and not is_global(layer):
        return any(spatial(layer, unplaced=True).pad)
    return False


def _other_sizes(found: Sequence[Known], inputs: Mapping[str, Shape]) -> Iterator[Step]:
    """A step for each input that the net says to be of another size than the kernels are for."""
    said: dict[str, Step] = {}
    for state in found:
        own = shapes_of(state.graph, refuse=lambda name, error: None).tops if inputs else {}
        for top in state.graph.inputs:
            shape, given = own.get(top), inputs.get(top.blob)
            if shape is None or given is None or shape[2:] == given[2:]:
                continue
            layer = state.graph.producer(top)
            why = (
                f'the kernels are for "{top.blob}" of {show(given)}, as --input says, and the net '
                f"still says {show(shape)}; `fcnkit surgery --do "
                f"resize={top.blob}:{','.join(map(str, given))}` changes that"
            )
            said[top.blob] = Step("keep", layer.name, layer.line, layer.type, why)
    yield from said.values()


# The new name of a layer, by its old one.
_Named = Callable[[str], str]


class _Result(NamedTuple):
    """What is decided for one state."""

    state: Known
    kernels: dict[str, Shape]
    unknown: dict[str, str]
    dissolved: tuple[Layer, ...]


def _simulate(state: Known, keep: Mapping[str, str]) -> _Result:
    """The shapes of the net to be, layer by layer, and so what can be converted.

    Raises Refused at the first layer that a conversion before it would break.
    """
    graph, old = state.graph, state.shapes.tops
    new: dict[Top, Shape | None] = {}
    kernels: dict[str, Shape] = {}
    unknown: dict[str, str] = {}
    dissolved = []
    for layer in graph.layers:
        given = [new[bottom] for bottom in layer.bottoms]
        if layer.type == "InnerProduct" and layer.name not in keep:
            tops = [_convert(layer, state, given[0], kernels, unknown)]
        elif _is_flatten(layer, old) and len(given[0] or ()) > 2 and _dissolves(graph, layer, keep):
            dissolved.append(layer)
            tops = [given[0]]
        elif given == [old[bottom] for bottom in layer.bottoms]:
            tops = [old[top] for top in layer.tops]
        else:
            had = [old[bottom] for bottom in layer.bottoms]
            tops = follow(state, layer, given, kernels, _same(had, given))
        new.update(zip(layer.tops, tops, strict=True))
    return _Result(state, kernels, unknown, tuple(dissolved))


def _convert(
    layer: Layer, state: Known, given: Shape | None, kernels: dict, unknown: dict
) -> Shape | None:
    """Notes the layer's kernel, and gives the shape of its top as a Convolution."""
    view = layer.param("inner_product_param")
    before = state.shapes.tops[layer.bottoms[0]]
    if given is None or before is None:
        unknown[layer.name] = (
            f'the size of its input "{layer.bottoms[0].blob}" is not known '
            f"({state.shapes.reason(layer.bottoms[0])}); {state.shapes.say_it(layer.bottoms[0])}"
        )
        return None
    strange = not_understood(layer)
    if strange:
        raise Refused([layer], strange)
    axis = view.get("axis")
    if axis + (len(before) if axis < 0 else 0) != 1:
        raise Refused(
            [layer],
            f"it works along axis {axis}, but a Convolution works along the channels, axis 1",
        )
    if len(given) < 3:
        raise Refused(
            [layer],
            f'its input "{layer.bottoms[0].blob}" is {show(given)} after layer '
            f'"{state.graph.producer(layer.bottoms[0]).name}", and has no height and width',
        )
    kernels[layer.name] = (view.get("num_output"), *given[1:])
    return given[0], view.get("num_output"), *[1] * len(given[2:])


def _same(had: Sequence[Shape | None], given: Sequence[Shape | None]) -> Callable:
    """The shapes in which a top keeps its order: a vector may be a map of one place,
    with the axes that the bottoms have got.
    """
    more = {len(new) - len(old) for old, new in zip(had, given, strict=True) if old and new}
    return lambda old: [old, *((*old, *[1] * count) for count in more if count > 0)]


def _is_flatten(layer: Layer, old: Mapping[Top, Shape | None]) -> bool:
    """Whether the layer makes N x (C H W) of N x C x H x W, with however many axes."""
    if trait(layer) is not Trait.ARRANGES or not of(layer).identity(layer):
        return False
    before, after = old[layer.bottoms[0]], old[layer.tops[0]]
    if before is None or after is None or not_understood(layer):
        return False
    return len(after) == 2 <= len(before) and after == (before[0], prod(before[1:]))


def _dissolves(graph: Graph, layer: Layer, keep: Mapping[str, str]) -> bool:
    """Whether only InnerProducts would see that this Flatten is gone,
    and no blob name is taken twice.
    """
    if layer.name in keep:
        return False
    in_place = False
    todo = list(layer.tops)
    while todo:
        users = graph.consumers[todo.pop()]
        if not users:
            return False
        for user in users:
            if is_pointwise(user):
                todo += user.tops
                in_place |= any(top.blob == layer.tops[0].blob for top in user.tops)
            elif user.type != "InnerProduct" or user.name in keep:
                return False
    return not in_place or len(graph.consumers[layer.bottoms[0]]) == 1


def _check_flattens(results: Sequence[_Result], keep: Mapping[str, str]) -> None:
    """Raises Refused for a Flatten that one state could do without and another could not."""
    gone = _gone(results)
    for result in results:
        for layer in result.state.graph.layers:
            if layer.field.start in gone and not _dissolves(result.state.graph, layer, keep):
                raise Refused([layer], f"it is needed in state {result.state.name}")


def _gone(results: Sequence[_Result]) -> set[int]:
    """Where the layers begin that go, in whichever state that was found."""
    return {layer.field.start for result in results for layer in result.dissolved}


def _plan(
    net: Prototxt, results: Sequence[_Result], keep: Mapping[str, str], new_name: _Named
) -> Plan:
    steps: dict[int, Step] = {}
    moves: dict[tuple[str, int], Move] = {}
    by_state = []
    dissolved = _gone(results)
    for result in results:
        graph, edits = result.state.graph, []
        flattens = [layer for layer in graph.layers if layer.field.start in dissolved]
        gone = {layer.tops[0].blob: layer.bottoms[0].blob for layer in flattens}
        for layer in graph.layers:
            if layer.name in result.kernels:
                kernel = result.kernels[layer.name]
                edits += _conversion(net, layer, kernel, new_name(layer.name))
                steps.setdefault(
                    layer.field.start, _converted(layer, kernel, gone, new_name(layer.name))
                )
                moves.update(
                    ((move.layer, move.blob), move)
                    for move in _moves(layer, kernel, new_name(layer.name))
                )
            elif layer.name in keep and layer.type == "InnerProduct":
                steps.setdefault(
                    layer.field.start,
                    Step("keep", layer.name, layer.line, "InnerProduct", keep[layer.name]),
                )
        for layer in flattens:
            edits += _dissolution(graph, layer)
            steps.setdefault(
                layer.field.start, Step("remove", layer.name, layer.line, layer.type, _FLATTEN_WHY)
            )
        by_state.append((result.state.name, edits))
    ordered = tuple(steps[start] for start in sorted(steps))
    return Plan(net, net.edit(merge(by_state)), ordered, tuple(moves.values()))


_FLATTEN_WHY = "a Convolution takes the map as it is"


def _conversion(net: Prototxt, layer: Layer, kernel: Shape, name: str) -> list[Edit]:
    why = f'convolutionalize "{layer.name}"'
    v1 = layer.field.name == "layers"
    kind = layer.field.required("type")
    edits = [Edit(kind.value_start, kind.stop, _type_word(kind.raw, v1), why)]
    if name != layer.name:
        edits.append(set_value(layer.field.required("name"), name, why))
    for message in layer.field.all("inner_product_param"):
        edits.append(set_name(message, "convolution_param", why))
        edits += [removed(field, why) for field in message.all("transpose")]
        edits += [removed(field, why) for field in message.all("axis") if field.raw != "1"]
    count = layer.param("inner_product_param").required("num_output")
    return [*edits, beside(count, kernel_fields(kernel[2:]), net.style, why)]


def _type_word(raw: str, v1: bool) -> str:
    return "CONVOLUTION" if v1 else f"{raw[0]}Convolution{raw[0]}"


def _converted(layer: Layer, kernel: Shape, gone: Mapping[str, str], name: str) -> Step:
    bottom = layer.bottoms[0]
    source = gone.get(bottom.blob, bottom.blob)
    size = shown_kernel(kernel[2:])
    renamed = f", renamed {name}" if name != layer.name else ""
    why = f"{source} is {show(kernel[1:])}"
    return Step(
        "convert",
        layer.name,
        layer.line,
        f"InnerProduct -> Convolution, kernel {size}{renamed}",
        why,
    )


def _moves(layer: Layer, kernel: Shape, name: str) -> list[Move]:
    view = layer.param("inner_product_param")
    how = "transpose" if view.get("transpose") else "copy"
    bias = [Move(name, 1, kernel[:1], layer.name)] if view.get("bias_term") else []
    return [Move(name, 0, kernel, layer.name, how), *bias]


def _dissolution(graph: Graph, layer: Layer) -> list[Edit]:
    """The Flatten goes, and what read its top reads its bottom."""
    why = f'remove "{layer.name}"'
    old, new = layer.tops[0].blob, layer.bottoms[0].blob
    users, todo = [], list(layer.tops)
    while todo:
        for user in graph.consumers[todo.pop()]:
            users.append(user)
            todo += [top for top in user.tops if top.blob == old]
    return [removed(layer.field, why), *renamed_blob(users, old, new, why)]


def _renamer(
    rename: str | Mapping[str, str] | None, known: set[str], results: Sequence[_Result]
) -> _Named:
    """The new name of each layer; NetError when one is not known, or two would have the same."""
    if isinstance(rename, str) and "{name}" not in rename:
        raise NetError(
            f'rename "{rename}": has no {{name}} in it; write for instance "{{name}}-conv"'
        )
    if isinstance(rename, str):
        pairs = {name: rename.replace("{name}", name) for name in known}
    else:
        pairs = dict(rename or {})
    for name in pairs.keys() - known:
        raise NetError(
            f'rename "{name}": no such layer is converted; the converted layers are '
            f"{', '.join(sorted(known)) or 'none'}"
        )
    others = {
        layer.name for result in results for layer in result.state.graph.layers
    } - pairs.keys()
    for name, new in pairs.items():
        if new in others or list(pairs.values()).count(new) > 1:
            raise NetError(
                f'rename "{name}": another layer would be named "{new}" too; choose another name'
            )
    return lambda name: pairs.get(name, name)


OPERATIONS = (
    Operation(
        "conv", "conv", "turn InnerProducts into Convolutions", convolutionalize, no_arguments
    ),
)
