"""Runs the net before a plan and the one after it, and compares what the plan keeps.

The plan knows what the net before is given for an image of the net after, and whose
classes the scores are.  Where it adds layers, what these read is compared.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fcnkit import expected
from fcnkit.engines.engine import Engine, choose
from fcnkit.engines.inputs import input_arrays, nominal, other_arrays
from fcnkit.errors import NetError
from fcnkit.nets.graph import Graph, Layer, Top, build
from fcnkit.nets.shapes import shapes_of
from fcnkit.plan import ImageBefore, Plan
from fcnkit.rewrites.convolutionalize import convolutionalize, pads
from fcnkit.rewrites.deploy import deploy
from fcnkit.shape import Shape
from fcnkit.verifying.compared import Pair, pairs, pairs_of
from fcnkit.verifying.differences import Difference
from fcnkit.verifying.results import Differences, Made, given_words
from fcnkit.verifying.verify import Fed, Side, compare_sides
from fcnkit.verifying.windows import canvas_of, slide
from fcnkit.weights.store import GivenWeights, WeightsOrPath
from fcnkit.weights.surgery import transplant

# What weights of new layers are made as.
_NEW = ("zero", "bilinear")


@expected.checked
def verify_plan(
    plan: Plan,
    weights: WeightsOrPath,
    new_weights: WeightsOrPath | None = None,
    *,
    engine: str | None = None,
    device: str | None = None,
    inputs: Mapping[str, Any] | None = None,
    tolerance: float = 1e-4,
    seed: int = 0,
) -> Differences:
    """Runs the net before and after a plan, and compares their outputs.

    >>> plan = fk.convolutionalize("deploy.prototxt")
    >>> all(row.ok for row in fk.verify_plan(plan, "net.caffemodel"))
    True

    The plan knows how it changed the input. So the old net gets the same image as the new one,
    but with its channels in the old order, with a mean subtracted, or padded. If classes were
    chosen, the scores of these classes are compared, before any Softmax. If the plan adds
    layers, as `fcn` does, everything that the new layers read is compared.

    - `plan`: a Plan.
    - `weights`: the weights of the net before, or their path.
    - `new_weights`: the weights of the net after; by default the plan makes them.
    - `engine`: one of `installed_engines()`; by default the first.
    - `device`: such as "cpu" or "cuda", for an engine with several devices.
    - `inputs`: arrays or shapes for the net before, as for `verify`.
    - `tolerance`: the largest relative difference that counts as equal.
    - `seed`: the seed of the random input.

    Returns a Difference for each output.

    Raises as `fcnkit.verify` does, and NetError if nothing of the net is left to compare.
    """
    runner = choose(engine, device, nets=(plan.before, plan.net))
    if not build(plan.before).inputs:
        plan = _from_deployed(plan, inputs)
    new_weights = transplant(plan, weights) if new_weights is None else new_weights
    read = plan.before, weights, plan.net, new_weights
    made = Made.by(runner, given_words(inputs or {}, seed), tolerance, *read)
    if not any(map(any, (image.pad for image in plan.images))):
        rows = _compared(plan, weights, new_weights, runner, inputs or {}, tolerance, seed)
        windows = _windows(plan, weights, new_weights, runner, tolerance, seed)
        return Differences.of((*rows, *windows), made)
    # A classifier takes one size; as convolutions it takes the padded image.
    slid = convolutionalize(plan.before)
    slid_weights = transplant(slid, weights)
    trial = Plan(slid.net, plan.net, (), plan.moves, (), plan.images, plan.scores)
    rows = _compared(slid, weights, slid_weights, runner, inputs or {}, tolerance, seed)
    more = _compared(trial, slid_weights, new_weights, runner, inputs or {}, tolerance, seed)
    return Differences.of((*rows, *more), made)


def _windows(
    plan: Plan,
    weights: GivenWeights,
    new_weights: GivenWeights,
    runner: Engine,
    tolerance: float,
    seed: int,
) -> Iterator[Difference]:
    """The classifier on each window of the larger image that the net after says it takes.

    Nothing where that is not larger, and where a window sees more of it than of itself.
    """
    graph, new_graph = build(plan.before), build(plan.net)
    if plan.images or plan.scores or not len(graph.inputs) == len(new_graph.inputs) == 1:
        return
    own, new = (nominal(each)[each.inputs[0].blob] or () for each in (graph, new_graph))
    larger = len(own) == len(new) == 4 and own[2:] != new[2:]
    if not larger or any(a > b for a, b in zip(own[2:], new[2:], strict=True)):
        return
    if _of_the_new_file(plan, graph, new_graph, {new_graph.inputs[0].blob: graph.inputs[0].blob}):
        return  # the net before has run at that size
    alike = not any(map(pads, graph.layers))
    if alike and not any(step.verb == "keep" for step in convolutionalize(plan.before).steps):
        given = {new_graph.inputs[0].blob: (1, *new[1:])}
        canvas, stride = canvas_of(plan.before, plan.net, given, seed)
        both = plan.before, weights, plan.net, new_weights
        row = slide(*both, canvas, stride=stride, engine=runner.name, tolerance=tolerance)
        name = f"{row.output} of each window"
        yield row._replace(output=name, new_output=name)


def _from_deployed(plan: Plan, inputs: Mapping[str, Any] | None) -> Plan:
    """The plan of a training net, seen from what that predicts."""
    sizes = {name: tuple(value) for name, value in (inputs or {}).items() if _is_shape(value)}
    before = deploy(plan.before, inputs=sizes or None).net
    return Plan(before, plan.net, (), plan.moves, (), plan.images, plan.scores)


def _is_shape(value: object) -> bool:
    return isinstance(value, (tuple, list))


def _compared(
    plan: Plan,
    weights: GivenWeights,
    new_weights: GivenWeights,
    runner: Engine,
    inputs: Mapping[str, Any],
    tolerance: float,
    seed: int,
) -> tuple[Difference, ...]:
    graph, new_graph = build(plan.before), build(plan.net)
    every, chosen, new_chosen = _pairs(plan, graph, new_graph)
    old = Side(graph, weights, chosen)
    fed = _fed(plan, old, new_graph, runner, inputs, seed)
    new = Side(new_graph, new_weights, new_chosen)
    ends = [pair.old for pair in every]
    return compare_sides(old, new, fed, every, runner, tolerance, ends)


# ---- what both nets are given


def _fed(
    plan: Plan,
    old: Side,
    new_graph: Graph,
    runner: Engine,
    inputs: Mapping[str, Any],
    seed: int,
) -> Fed:
    """Noise for the net after, and what that is for the net before; or a blob of that net."""
    names = [top.blob for top in new_graph.inputs]
    own = [top.blob for top in old.graph.inputs]
    inner = [name for name in names if name not in own and _last(old.graph, name)]
    if inner:
        data = input_arrays(old.graph, inputs, seed)
        other = other_arrays(old.graph, inputs, data, seed)
        (found,) = runner.run_all(old.graph.prototxt, old.weights, [data], inner)
        return Fed(data, other, {name: found.get(name, data.get(name)) for name in names})
    belong = _belong(names, own)
    if len(belong) != len(names):
        raise NetError(
            f"{new_graph.prototxt.path}: its inputs are {', '.join(names)}, those of "
            f"{old.graph.prototxt.path} {', '.join(own)}; only plans with the same inputs can be "
            "compared"
        )
    sizes = _sizes(plan, old.graph, new_graph, inputs, belong)
    new = input_arrays(new_graph, sizes, seed)
    other = other_arrays(new_graph, sizes, new, seed)
    return Fed(_before(plan, belong, new), _before(plan, belong, other), new)


def _last(graph: Graph, blob: str) -> Top | None:
    return next((top for top in reversed(graph.tops) if top.blob == blob), None)


def _belong(names: Sequence[str], own: Sequence[str]) -> dict[str, str]:
    """The input of the net before for each of the net after, by name, else in order."""
    left = [name for name in own if name not in names]
    new = [name for name in names if name not in own]
    return {name: name for name in names if name in own} | dict(zip(new, left, strict=False))


def _sizes(
    plan: Plan,
    graph: Graph,
    new_graph: Graph,
    inputs: Mapping[str, Any],
    belong: Mapping[str, str],
) -> dict[str, Any]:
    """What the net after is given: arrays, or shapes of the net before with its own channels."""
    given = {blob: tuple(each) for blob, each in inputs.items() if _is_shape(each)}
    arrays = {blob: each for blob, each in inputs.items() if blob not in given}
    if arrays and plan.images:
        fact = f'an array for "{next(iter(arrays))}" is given, and the plan changes what the net'
        raise NetError(f"{graph.prototxt.path}: {fact} takes; give a shape")
    given = _of_the_new_file(plan, graph, new_graph, belong) | given
    shapes = shapes_of(graph, given).tops
    mixed = any(image.rows for image in plan.images)
    own = nominal(new_graph) if mixed else {}
    sizes: dict[str, Any] = {}
    for new, old in belong.items():
        shape, said = shapes[graph.top(old)], own.get(new)
        if shape is not None:
            sizes[new] = (shape[0], said[1], *shape[2:]) if said else shape
        if old in arrays:
            sizes[new] = arrays[old]
    return sizes


def _of_the_new_file(
    plan: Plan, graph: Graph, new_graph: Graph, belong: Mapping[str, str]
) -> dict[str, Shape]:
    """The height and width that the file of the net after says, where it is for others.

    Nothing where the net before takes its own alone, as a classifier does, or a padded image.
    """
    if any(map(any, (image.pad for image in plan.images))):
        return {}
    own, new = nominal(graph), nominal(new_graph)
    wanted = {}
    for name, old in belong.items():
        shape, said = own.get(old), new.get(name)
        if shape and said and len(shape) == len(said) and shape[2:] != said[2:]:
            wanted[old] = (*shape[:2], *said[2:])
    try:
        here, there = shapes_of(graph), shapes_of(graph, wanted)
    except NetError:
        return {}
    alike = all(here.blobs(layer) == there.blobs(layer) for layer in graph.layers)
    return wanted if alike else {}


def _before(plan: Plan, belong: Mapping[str, str], new: Mapping[str, Any]) -> dict[str, Any]:
    """What the net before is given where the one after is given this."""
    arrays = dict(new)
    for image in reversed(plan.images):
        if image.blob in arrays:
            arrays[image.blob] = _image(image, arrays[image.blob])
    return {belong[name]: array for name, array in arrays.items()}


def _image(image: ImageBefore, array: Any) -> Any:
    import numpy as np

    if image.rows:
        array = np.stack(
            [
                sum((weight * array[:, index] for index, weight in row), np.zeros_like(array[:, 0]))
                for row in image.rows
            ],
            1,
        )
    if image.shifts:
        array = array + np.reshape(image.shifts, (1, -1, *(1,) * (array.ndim - 2)))
    if any(image.pad):
        rows, columns = image.pad
        array = np.pad(array, ((0, 0), (0, 0), (rows, rows), (columns, columns)))
    return np.ascontiguousarray(array, np.float32)


# ---- what is compared


def _pairs(
    plan: Plan, graph: Graph, new_graph: Graph
) -> tuple[list[Pair], dict[Top, list[int]], dict[Top, list[int]]]:
    """The pairs to compare, and the channels of scores whose classes were chosen."""
    chosen, new_chosen = {}, {}
    heads: list[tuple[Top, Top]] = []
    sources = {move.layer: move.origin for move in plan.moves if move.blob == 0}
    for each in plan.scores:
        top = new_graph.layer(each.layer).tops[0]
        old = graph.layer(sources.get(each.layer) or each.layer).tops[0]
        heads.append((old, top))
        known = [(at, index) for at, index in enumerate(each.classes) if index is not None]
        chosen[old] = [index for _, index in known]
        new_chosen[top] = [at for at, _ in known]
    if heads:
        below = _below(new_graph, [top for _, top in heads])
        ends = [(old, new) for old, new in _same_outputs(graph, new_graph) if new not in below]
        kept = [Pair(old, new) for old, new in heads if chosen[old]]
        every = [*kept, *pairs_of(graph, new_graph, ends)]
    elif any(move.how in _NEW and not move.source for move in plan.moves):
        every = pairs_of(graph, new_graph, list(_read_by_new(plan, graph, new_graph)))
    else:
        every = pairs(graph, new_graph)
    if not every:
        raise NetError(f"{plan.net.path}: nothing that the old net computes is left to compare")
    return every, chosen, new_chosen


def _same_outputs(graph: Graph, new_graph: Graph) -> Iterator[tuple[Top, Top]]:
    new = {top.blob: top for top in new_graph.outputs if top not in new_graph.inputs}
    for top in graph.outputs:
        if top.blob in new and top not in graph.inputs:
            yield top, new[top.blob]


def _below(graph: Graph, tops: Sequence[Top]) -> set[Top]:
    found = set(tops)
    for layer in graph.layers:
        if found.intersection(layer.bottoms):
            found.update(layer.tops)
    return found


def _read_by_new(plan: Plan, graph: Graph, new_graph: Graph) -> Iterator[tuple[Top, Top]]:
    """What layers that the net before does not have, or whose weights start anew, read of it."""
    fresh = {move.layer for move in plan.moves if move.how in _NEW and not move.source}
    like: dict[Top, Top] = {}
    for top in new_graph.inputs:
        old = _last(graph, top.blob) or graph.inputs[0]
        like[top] = next((each for each in graph.inputs if each.blob == top.blob), old)
    kept: set[int] = set()
    named = {layer.name: layer for layer in graph.layers}
    for layer in new_graph.layers:
        other = named.get(layer.name)
        if other and layer.name not in fresh and _reads_alike(layer, other, like):
            kept.add(layer.index)
            like |= dict(zip(layer.tops, other.tops, strict=True))
    for top, old in like.items():
        readers = new_graph.consumers.get(top, ())
        new = [each for each in readers if each.index not in kept]
        if not new_graph.producer(top).is_input and (new or not readers):
            yield old, top


def _reads_alike(layer: Layer, other: Layer, like: Mapping[Top, Top]) -> bool:
    """Whether the layer reads what the other one reads, and has as many tops."""
    return (
        not layer.is_input
        and [like.get(top) for top in layer.bottoms] == list(other.bottoms)
        and len(layer.tops) == len(other.tops)
    )
