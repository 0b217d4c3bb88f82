"""A net that is trained, or classifies, becomes the trunk up to one learned layer."""

from collections.abc import Collection, Iterator, Mapping

from fcnkit.edits import Edit
from fcnkit.formats.prototxt import Field, Prototxt
from fcnkit.formats.schema import slots
from fcnkit.nets.graph import Elsewhere, Graph, Layer, State, build, graphs, needed
from fcnkit.nets.layers.axes import show
from fcnkit.nets.layers.table import count_of_outputs, is_pointwise, makes_scores, of
from fcnkit.nets.shapes import shapes_of
from fcnkit.plan import Plan, Step
from fcnkit.rewrites.changes import instead, removed, set_value
from fcnkit.rewrites.rescore import find_head, find_heads, silences
from fcnkit.shape import Shape


def up_to_scores(
    net: Prototxt,
    *,
    head: str | None = None,
    inputs: Mapping[str, Shape] | None = None,
    with_tail: bool = False,
) -> Plan:
    """What is left ends at the head: the last learned layer and all that it needs.

    Losses, accuracies, Softmax, data layers, other heads and layers of other
    states go; a data layer's first top becomes an Input of the same shape.
    The batch is one: an FCN takes images of any size, one at a time.  `head`
    names the layer where a net has several; heads that only help to train a
    deeper one of as many classes, as GoogLeNet's do, go without being asked.
    `with_tail` keeps what follows the head and makes each score of itself alone,
    as SqueezeNet's last ReLU does, but for what only brings scores within bounds.

    Raises NetError when there is no head, or an input's shape is not known.
    """
    graph = state_that_tests(net)
    shapes = shapes_of(graph, inputs).tops
    last = _main_head(graph) if head is None else find_head(graph, head)
    trunk = [*ancestors(graph, last), *(_tail(graph, last) if with_tail else ())]
    edits, steps, kept = [], [], set()
    for layer in trunk:
        kept.add(layer.field.start)
        if not layer.bottoms:
            found, step = _input(
                net, layer, {top: _batch_of_one(layer, shapes[top]) for top in layer.tops[:1]}
            )
            edits += found
            steps += step
        if layer.bottoms or layer.is_input:
            edits += [removed(rule, "one state") for rule in layer.field.all("include", "exclude")]
    kept.update(layer.field.start for layer in _silences(graph, trunk))
    for field in net.root.all("layer", "layers"):
        if field.start not in kept:
            edits.append(removed(field, f"keep the trunk up to {last.name}"))
            steps.append(left_out(field, f'the scores of "{last.name}" do not depend on it'))
    return Plan(net, net.edit(edits), tuple(sorted(steps, key=lambda step: step.line or 0)))


def _silences(graph: Graph, kept: Collection[Layer]) -> list[Layer]:
    """What keeps parts of the trunk that nothing reads, such as a Slice's, from being outputs."""
    inner = {layer for layer in kept if layer.bottoms}  # of a source's tops the first alone stays
    return [
        layer
        for layer in graph.layers
        if silences(layer) and all(graph.producer(bottom) in inner for bottom in layer.bottoms)
    ]


def state_that_tests(net: Prototxt) -> Graph:
    """The net of state TEST; where that has no data,
    as in DIGITS' files, of the stage that is given it.
    """
    try:
        return build(net, State())
    except Elsewhere:
        found = graphs(net)
        given = (
            one for one in found if all(layer.bottoms or layer.is_input for layer in one.layers)
        )
        return next(given, found[0])


def _main_head(graph: Graph) -> Layer:
    """The only head, or the one that is deeper than all others of as many classes."""
    trunks = {head: ancestors(graph, head)[:-1] for head in find_heads(graph)}
    main = max(trunks, key=lambda head: len(trunks[head]), default=None)
    if main and all(_helps(head, main, trunks) for head in trunks if head is not main):
        return main
    return find_head(graph)


def _tail(graph: Graph, head: Layer) -> Iterator[Layer]:
    """The layers behind the head of which each alone reads the one before, value by value."""
    (top,) = head.tops
    while len(users := graph.consumers[top]) == 1:
        (layer,) = users
        if not is_pointwise(layer) or of(layer).saturates(layer) or len(layer.tops) != 1:
            return
        yield layer
        (top,) = layer.tops


def _helps(head: Layer, main: Layer, trunks: Mapping[Layer, list[Layer]]) -> bool:
    """Whether the main trunk learns more after it has left this head's, for the same classes."""
    later = set(trunks[main]) - set(trunks[head])
    return count_of_outputs(head) == count_of_outputs(main) and any(map(makes_scores, later))


def ancestors(graph: Graph, last: Layer) -> list[Layer]:
    """The layers that the last one needs, itself included, in file order."""
    return [*needed(graph, last.bottoms), last]


def _batch_of_one(layer: Layer, shape: Shape | None) -> Shape:
    if shape is not None and len(shape) != 4:
        fact = f'its top "{layer.tops[0].blob}" is {show(shape)}, and images have 4 axes'
        if len(shape) == 3:
            signal = show((*shape[:2], 1, shape[2]))
            remedy = (
                f"write the signal as an image of one row, {signal}, with kernels of kernel_h 1"
            )
            raise layer.error(f"{fact}; {remedy}")
        raise layer.error(f"{fact}; remove what needs it, or name a head that does not")
    if shape is None:
        raise layer.error(
            f'the size of its top "{layer.tops[0].blob}" is not known; give it with --input, '
            f"as in --input {layer.tops[0].blob}=1,3,227,227"
        )
    return (1, *shape[1:])


def _input(net: Prototxt, layer: Layer, wanted: Mapping) -> tuple[list[Edit], list[Step]]:
    """The edits that make the layer an Input of the wanted shapes."""
    if not layer.is_input:
        return _replaced(net, layer, wanted)
    edits = []
    for top, shape in wanted.items():
        dims = shape_fields(net, layer, top.index)
        if len(dims) != len(shape):
            raise layer.error(
                f'the shape of "{top.blob}" is not written here; add an input_param with its shape'
            )
        edits += [
            set_value(dim, size, "input shape")
            for dim, size in zip(dims, shape, strict=True)
            if _number(dim) != size
        ]
    what = " ".join(f"{top.blob} {' x '.join(map(str, shape))}" for top, shape in wanted.items())
    step = Step("change", layer.name, layer.line, what, "one image at a time, of any size")
    return edits, [step] if edits else []


def _number(dim: Field) -> int:
    slot = slots("BlobShape")["dim"]
    return slot.read(dim, slot)


def shape_fields(net: Prototxt, layer: Layer, index: int) -> list[Field]:
    """The `dim` fields that give one top's shape, wherever the file has them."""
    if layer.field.name == "input":
        shapes = net.root.all("input_shape")
        return (
            shapes[index].all("dim")
            if shapes
            else net.root.all("input_dim")[4 * index : 4 * index + 4]
        )
    shapes = [shape for param in layer.field.all("input_param") for shape in param.all("shape")]
    return shapes[index if len(shapes) > 1 else 0].all("dim") if shapes else []


def _replaced(net: Prototxt, layer: Layer, wanted: Mapping) -> tuple[list[Edit], list[Step]]:
    (top, shape), *_ = wanted.items()
    fields = [
        ("name", top.blob),
        ("type", "Input"),
        ("top", top.blob),
        ("input_param", [("shape", [("dim", size) for size in shape])]),
    ]
    step = Step(
        "change",
        layer.name,
        layer.line,
        f"{layer.type} -> Input",
        "the images are given to the deployed net",
    )
    return [instead(net, layer.field, [fields], "deploy")], [step]


def left_out(field: Field, why: str) -> Step:
    """The step that a layer is gone."""
    name, kind = field.last("name"), field.last("type")
    what = kind.raw.strip("\"'") if kind else "layer"
    return Step("remove", name.string if name else "", field.line, what, why)
