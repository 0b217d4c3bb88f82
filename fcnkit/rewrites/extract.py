"""A part of a net, from one blob to another, as a net of its own."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from fcnkit import expected
from fcnkit.edits import Edit
from fcnkit.errors import NetError
from fcnkit.formats.prototxt import Field, NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Elsewhere, Graph, Layer, State, Top, build, graphs
from fcnkit.nets.shapes import Shapes, shapes_of
from fcnkit.plan import Move, Plan, Step
from fcnkit.plural import number_of
from fcnkit.rewrites.changes import Fields, before, removed, statements_before
from fcnkit.rewrites.operations import Arguments, Operation, comma_separated
from fcnkit.shape import Shape


class _Part(NamedTuple):
    """The layers that are kept, and the blob that is given to them where a layer made it."""

    graph: Graph
    shapes: Shapes
    start: Top | None
    layers: tuple[Layer, ...]


@expected.checked
def extract(
    net: NetOrPath,
    start: str | None = None,
    end: str | Sequence[str] | None = None,
    *,
    inputs: Mapping[str, Shape] | None = None,
) -> Plan:
    """Keeps only the layers between the blobs `start` and `end`; `start` becomes an input.

    >>> part = fk.extract(fk.template("lenet"), "data", "pool2").net
    >>> [layer.name for layer in fk.build(part).layers]
    ['data', 'conv1', 'pool1', 'conv2', 'pool2']

    The net is that of the state TEST, and all include and exclude rules are removed. If layers
    change the blob `start` in place, the new net starts after the last of them. The weights of
    removed layers are dropped.

    - `net`: a Prototxt or its path.
    - `start`: a blob; without it, the net starts where it started before.
    - `end`: a blob or several; without it, the net ends at its own outputs.
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError for a blob that does not exist, if `end` does not depend on `start`, or if
    the size of `start` is not known.
    """
    net = given_net(net)
    part = _part(net, start, [end] if isinstance(end, str) else end, inputs)
    edits = [*_removals(net, part), *_given(net, part)]
    after = net.edit(edits)
    build(after)
    return Plan(net, after, tuple(_steps(net, part)), tuple(_drops(net, part)))


def _part(
    net: Prototxt, start: str | None, ends: Sequence[str] | None, inputs: Mapping | None
) -> _Part:
    graph = _graph(net)
    top = graph.top(start) if start else None
    wanted = [graph.top(end) for end in ends] if ends else _below(graph, top)
    found, todo, reached = set(), list(wanted), top is None
    while todo:
        each = todo.pop()
        reached |= each == top
        if each == top and not graph.producer(each).is_input:
            continue
        if graph.producer(each) not in found:
            found.add(graph.producer(each))
            todo += graph.producer(each).bottoms
    if not reached or not found:
        names = ", ".join(f'"{end}"' for end in ends or ()) or "nothing"
        raise NetError(
            f'{net.path}: {names} does not depend on "{start}"; see the order of layers with '
            "`fcnkit inspect`"
        )
    return _Part(
        graph, shapes_of(graph, inputs), top, tuple(sorted(found, key=lambda layer: layer.index))
    )


def _graph(net: Prototxt) -> Graph:
    try:
        return build(net, State())
    except Elsewhere:
        return graphs(net)[0]


def _below(graph: Graph, start: Top | None) -> list[Top]:
    """The net's outputs, those alone that need the start."""
    if start is None:
        return list(graph.outputs)
    reached = {start}
    for layer in graph.layers:
        if reached.intersection(layer.bottoms):
            reached.update(layer.tops)
    return [top for top in graph.outputs if top in reached]


def _removals(net: Prototxt, part: _Part) -> Iterator[Edit]:
    kept = {layer.field.start: layer for layer in part.layers}
    for field in net.root.all("layer", "layers"):
        if field.start not in kept:
            yield removed(field, "extract")
    for layer in part.layers:
        for rule in layer.field.all("include", "exclude"):
            yield removed(rule, "one state")
    first = next(iter(net.root.all("input")), None)
    if first is not None and first.start not in kept:
        yield from (
            removed(field, "extract") for field in net.root.all("input", "input_shape", "input_dim")
        )


def _given(net: Prototxt, part: _Part) -> list[Edit]:
    """The start as an input, before the first layer that is kept."""
    start = part.start
    if start is None or any(start in layer.tops for layer in part.layers):
        return []
    shape = part.shapes.tops[start]
    if shape is None:
        reason = part.shapes.reason(start)
        raise NetError(
            f'{net.path}: the size of "{start.blob}" is not known ({reason}); '
            f"{part.shapes.say_it(start)}"
        )
    found = (layer.field for layer in part.layers if layer.field.name in ("layer", "layers"))
    first = min(found, key=lambda field: field.start)
    return [_input(net, part, first, start.blob, shape)]


def _input(net: Prototxt, part: _Part, first: Field, blob: str, shape: Shape) -> Edit:
    """The input before the first layer: a layer itself, or in a V1 net fields of the net."""
    why = "extract"
    if first.name == "layers":
        fields = [("input", blob), *_sizes(net, part, blob, shape)]
        return statements_before(net, net.root if first.listed else first, fields, why)
    name = f"{blob}_input" if any(layer.name == blob for layer in part.layers) else blob
    fields = [
        ("name", name),
        ("type", "Input"),
        ("top", blob),
        ("input_param", [("shape", [("dim", size) for size in shape])]),
    ]
    return before(net, first, [fields], why)


def _sizes(net: Prototxt, part: _Part, blob: str, shape: Shape) -> Fields:
    """A size at net level, in the words of the inputs that stay: Caffe takes one kind."""
    stay = any(layer.field.name == "input" for layer in part.layers)
    if not (stay and net.root.all("input_dim") and not net.root.all("input_shape")):
        return [("input_shape", [("dim", size) for size in shape])]
    if len(shape) != 4:
        fact = (
            f'"{blob}" has {number_of(len(shape), "axis", "axes")}, and the net says sizes as '
            "input_dim"
        )
        raise NetError(f"{net.path}: {fact}, for 4; run `fcnkit upgrade` on it first")
    return [("input_dim", size) for size in shape]


def _steps(net: Prototxt, part: _Part) -> Iterator[Step]:
    kept = {layer.field.start for layer in part.layers}
    if part.start is not None and not any(part.start in layer.tops for layer in part.layers):
        size = " x ".join(map(str, part.shapes.tops[part.start] or ()))
        why = f'"{part.graph.producer(part.start).name}" made it'
        yield Step("insert", part.start.blob, None, f"Input, {size}", why)
    built = {layer.field.start for layer in part.graph.layers}
    for field in net.root.all("layer", "layers"):
        if field.start not in kept:
            why = "it is not between the two blobs"
            if field.start not in built:
                why = f"state {part.graph.state} is without it"
            name, kind = field.last("name"), field.last("type")
            what = kind.raw.strip("\"'") if kind else "layer"
            yield Step("remove", name.string if name else "", field.line, what, why)


def _drops(net: Prototxt, part: _Part) -> Iterator[Move]:
    """Layers that go and may have weights, in any state."""
    kept = {layer.name for layer in part.layers}
    gone: dict[str, Move] = {}
    for graph in graphs(net):
        for layer in graph.layers:
            blobs = (
                part.shapes.blobs(layer)
                if graph.state == part.graph.state and layer.bottoms
                else None
            )
            if layer.name not in kept and layer.bottoms and (blobs is None or blobs):
                gone[layer.name] = Move(layer.name, 0, (), how="drop")
    yield from gone.values()


def _arguments(text: str) -> Arguments:
    start, colon, end = text.partition(":")
    if not colon:
        raise ValueError("it has no colon")
    return (start or None, comma_separated(end) if end else None), {}


OPERATIONS = (
    Operation(
        "extract",
        "extract=[BLOB]:[BLOB,...]",
        "keep only the layers from one blob to others",
        extract,
        _arguments,
        keeps_images=False,
    ),
)
