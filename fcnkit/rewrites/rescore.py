"""The classifier layer starts afresh with another number of classes."""

from collections.abc import Mapping

from fcnkit import expected
from fcnkit.errors import NetError
from fcnkit.formats.prototxt import NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Graph, Layer, State, Top, build, buildable
from fcnkit.nets.layers.table import makes_scores, of
from fcnkit.nets.shapes import shapes_of
from fcnkit.plan import Move, Plan, Step
from fcnkit.plural import number_of
from fcnkit.rewrites.changes import removed, renamed_blob, set_param, set_value
from fcnkit.shape import Shape


@expected.checked
def rescore(
    net: NetOrPath,
    classes: int,
    *,
    name: str = "score_fr",
    head: str | None = None,
    inputs: Mapping[str, Shape] | None = None,
) -> Plan:
    """The last layer that learns is replaced by a new one, `name`, with `classes` outputs.

    >>> conv = fk.convolutionalize("deploy.prototxt").net
    >>> fk.rescore(conv, 3).steps[0].what
    'replaced by score_fr with 3 classes'

    The weights and the bias of the new layer are zero, as the FCN paper starts score layers.
    Its fillers are removed, because Caffe's default is the constant 0. Because of the new name,
    Caffe does not load the old layer's weights into it.

    - `net`: a Prototxt or its path.
    - `classes`: the number of outputs.
    - `name`: the name of the new layer.
    - `head`: the layer to replace. Without it, the net must have just one such layer.
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError if there is no such layer or several, if the name is taken, and if a later
    layer has weights for the old number of classes.
    """
    net = given_net(net)
    if classes < 1:
        raise NetError(f"{net.path}: {number_of(classes, 'class')}; give 1 or more")
    graph = build(net, State())
    layer = find_head(graph, head)
    if any(other.name == name and other is not layer for other in graph.layers):
        raise NetError(f'{net.path}: there is a layer "{name}" already; give another name')
    after = net.edit(_edits(net, graph, layer, classes, name))
    _check_behind(graph, build(after, State()), layer, inputs)
    steps = [
        Step(
            "change",
            layer.name,
            layer.line,
            f"replaced by {name} with {number_of(classes, 'class')}",
            f"the weights of {name} start at zero",
        )
    ]
    return Plan(net, after, tuple(steps), _moves(after, layer, name, inputs))


def completed(net: Prototxt, classes: int) -> Plan:
    """Every head that leaves the number of its outputs open has `classes` of them.

    So are the standard nets of DIGITS, which writes the number itself.
    """
    edits, steps = {}, {}
    for layer in (head for graph in buildable(net)[0] for head in find_heads(graph)):
        if layer.field.start not in edits and not layer.param(of(layer).message).says("num_output"):
            fields = [("num_output", classes)]
            edits[layer.field.start] = set_param(
                layer, of(layer).message, fields, net.style, why=f'classes of "{layer.name}"'
            )
            what, why = f"num_output {classes}", "the file leaves it open"
            steps[layer.field.start] = Step("change", layer.name, layer.line, what, why)
    return Plan(net, net.edit(edit for each in edits.values() for edit in each), (*steps.values(),))


def find_head(graph: Graph, head: str | None = None) -> Layer:
    """The learned layer that gives the net's class scores.

    Going up from the outputs, the first InnerProduct or Convolution; `head`
    names one where a net has several.

    Raises NetError when there is none, or several and no `head`.
    """
    if head is not None:
        layer = graph.layer(head)
        if not makes_scores(layer):
            raise layer.error(
                f"its type is {layer.type}; name an InnerProduct or a Convolution as the head"
            )
        return layer
    found = find_heads(graph)
    if not found:
        raise NetError(
            f"{graph.prototxt.path}: no InnerProduct or Convolution leads to an output; it does "
            "not look like a classifier"
        )
    if len(found) > 1:
        names = ", ".join(f'"{layer.name}" (line {layer.line})' for layer in found)
        raise NetError(
            f"{graph.prototxt.path}: several layers give outputs: {names}; choose one with --head"
        )
    return found[0]


def find_heads(graph: Graph) -> list[Layer]:
    """The last learned layers on all ways to the outputs, and to what ends without one.

    Losses of old nets have no top, nor has a layer that writes to a file; what
    a Silence layer reads is meant to be left alone.
    """
    topless = (layer for layer in graph.layers if not layer.tops and not silences(layer))
    ends = [*graph.outputs, *(bottom for layer in topless for bottom in layer.bottoms)]
    return list(dict.fromkeys(layer for top in ends for layer in _learned_above(graph, top)))


def silences(layer: Layer) -> bool:
    """Whether it only reads what is meant to be left alone."""
    return of(layer).discards


def _learned_above(graph: Graph, top: Top) -> list[Layer]:
    seen, todo, found = set(), [top], []
    while todo:
        layer = graph.producer(todo.pop())
        if layer.index in seen:
            continue
        seen.add(layer.index)
        if makes_scores(layer):
            found.append(layer)
        else:
            todo += layer.bottoms
    return found


def _edits(net: Prototxt, graph: Graph, layer: Layer, classes: int, name: str) -> list:
    why = f'rescore "{layer.name}"'
    message = of(layer).message
    edits = set_param(layer, message, [("num_output", classes)], net.style, why=why)
    for owner in layer.field.all(message):
        # Each class sees all channels, though the layer may have seen them in groups.
        edits += [
            removed(field, why) for field in owner.all("weight_filler", "bias_filler", "group")
        ]
    if name != layer.name:
        edits.append(set_value(layer.field.required("name"), name, why))
    old = layer.tops[0].blob
    if old != name:
        edits += renamed_blob(_users(graph, layer), old, name, why)
    return edits


def _users(graph: Graph, layer: Layer) -> list[Layer]:
    """The layer, and those that read or rewrite its top under its own name."""
    old, found, todo = layer.tops[0].blob, {layer.index}, list(layer.tops)
    while todo:
        for user in graph.consumers[todo.pop()]:
            found.add(user.index)
            todo += [top for top in user.tops if top.blob == old]
    return [graph.layers[index] for index in sorted(found)]


def _check_behind(
    before: Graph, after: Graph, head: Layer, inputs: Mapping[str, Shape] | None
) -> None:
    # The old head may have left the number of its outputs open.
    old = shapes_of(before, inputs, refuse=lambda name, error: None)
    new = shapes_of(after, inputs)
    for layer, same in zip(before.layers, after.layers, strict=True):
        had, has = old.blobs(layer), new.blobs(same)
        if layer is not head and had != has and None not in (had, has):
            fact = (
                f'it reads the scores of "{head.name}", and its weights fit their old number only'
            )
            raise layer.error(f"{fact}; drop it first, or change the classes with reclass")


def _moves(
    after: Prototxt, layer: Layer, name: str, inputs: Mapping[str, Shape] | None
) -> tuple[Move, ...]:
    graph = build(after, State())
    blobs = shapes_of(graph, inputs).blobs(graph.layer(name)) or []
    new = (Move(name, blob, tuple(shape), how="zero") for blob, shape in enumerate(blobs))
    return (Move(layer.name, 0, (), how="drop"), *new)
