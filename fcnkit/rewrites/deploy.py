"""The net that is trained becomes the net that is deployed: images in, predictions out."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from fcnkit import expected
from fcnkit.edits import Edit
from fcnkit.errors import NetError
from fcnkit.formats.prototxt import NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Graph, Layer, Top, build, buildable
from fcnkit.nets.layers.axes import show
from fcnkit.nets.layers.table import axis_of, has_field, is_loss, makes_scores, of
from fcnkit.nets.layers.traits import Trait
from fcnkit.nets.shapes import Shapes, shapes_of
from fcnkit.plan import Move, Plan, Step
from fcnkit.rewrites.changes import Fields, appended, instead, removed
from fcnkit.rewrites.up_to_scores import ancestors, left_out, state_that_tests
from fcnkit.rewrites.upgrade import upgrade
from fcnkit.shape import Shape

# What Caffe's own deploy files call the probabilities.
PROB = "prob"


class _Part(NamedTuple):
    """What is deployed: the ends, those that a loss was made of, and all layers that they need.

    `helpers` are layers that only help to train the others, by their place in the
    text, each with the scores that are deeper.
    """

    graph: Graph
    shapes: Shapes
    ends: tuple[Top, ...]
    losses: dict[Top, Layer]
    layers: tuple[Layer, ...]
    helpers: dict[int, str]
    sizes: Mapping[str, Shape]


@expected.checked
def deploy(net: NetOrPath, *, inputs: Mapping[str, Shape] | None = None) -> Plan:
    """A training net becomes a deploy net: data layers, labels and losses are removed.

    >>> plan = fk.deploy(fk.template("alexnet", "train_val.prototxt"))
    >>> fk.inspect(plan.net).rows[0].shape
    (1, 3, 227, 227)

    The net is that of the state TEST, and all include and exclude rules are removed. An Input
    replaces the data layers, with the same size and a batch of one image. A loss is replaced by
    the function that it applies to the scores: SoftmaxWithLoss by a Softmax "prob",
    SigmoidCrossEntropyLoss by a Sigmoid, EuclideanLoss by nothing. Scores that only help to
    train a deeper layer, such as GoogLeNet's loss1 and loss2, are removed with all layers that
    only they need; their weights are dropped. A net in an old format is upgraded first. A
    deploy net stays as it is.

    - `net`: a Prototxt or its path.
    - `inputs`: shapes by blob name, for the new Inputs.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError if no layer that learns leads to an output or a loss, or if the size of an
    input is not known.
    """
    net = given_net(net)
    plan = upgrade(net) if net.root.all("layers") else Plan(net, net)
    return plan.then(_deployed, inputs=inputs)


def _deployed(net: Prototxt, *, inputs: Mapping[str, Shape] | None) -> Plan:
    part = _part(net, inputs)
    edits: list[Edit] = []
    steps: list[Step] = []
    for layer in part.layers:
        if _reads_data(layer, part):
            edit, step = _given(net, part, layer)
            edits.append(edit)
            steps.append(step)
        elif layer.field.name == "layer":
            edits += [removed(rule, "one state") for rule in layer.field.all("include", "exclude")]
    kept = {layer.field.start for layer in part.layers}
    for field in net.root.all("layer"):
        if field.start not in kept:
            edits.append(removed(field, "deploy"))
            deeper = part.helpers.get(field.start)
            why = (
                f'it is an auxiliary branch that helps to train "{deeper}"'
                if deeper
                else "no prediction needs it"
            )
            steps.append(left_out(field, why))
    new = [*_predictions(part)]
    if new:
        last = max((layer.field for layer in part.layers), key=lambda field: field.start)
        edits.append(appended(net, last, [fields for fields, _ in new], "predictions"))
    steps += [step for _, step in new]
    steps += _as_they_are(part)
    after = net.edit(edits)
    build(after)
    order = sorted(steps, key=lambda step: step.line or 1 << 30)
    return Plan(net, after, tuple(order), tuple(_drops(net, part)))


# ---- what is deployed


def _part(net: Prototxt, inputs: Mapping[str, Shape] | None) -> _Part:
    graph = state_that_tests(net)
    losses, ends, helped = _ends(net, graph)
    if not ends:
        raise NetError(f"{net.path}: no learned layer leads to an output or to a loss")
    layers = {layer for end in ends for layer in ancestors(graph, graph.producer(end))}
    inside = {top for layer in layers for top in layer.tops}
    quiet = [
        layer for layer in graph.layers if of(layer).discards and inside.issuperset(layer.bottoms)
    ]
    kept = sorted({*layers, *quiet}, key=lambda layer: layer.index)
    shapes = shapes_of(graph, inputs)
    helpers = {
        layer.field.start: deeper.blob
        for top, deeper in helped.items()
        for layer in [*ancestors(graph, graph.producer(top)), *graph.consumers[top]]
    }
    return _Part(graph, shapes, tuple(ends), losses, tuple(kept), helpers, inputs or {})


def _ends(net: Prototxt, graph: Graph) -> tuple[dict[Top, Layer], list[Top], dict[Top, Top]]:
    """What losses are made of, each with its loss; all that is to be predicted; what only
    helps to train deeper scores, each with these.
    """
    learned = _learned(graph)
    judged = [layer for layer in graph.layers if is_loss(layer) or of(layer).labelled]
    judged.sort(key=is_loss)  # of those that read the same scores, the loss counts
    scores = {top: layer for layer in judged for top in layer.bottoms if top in learned}
    helped = {top: deeper for top in scores if (deeper := _deeper(graph, top, scores))}
    late = _labels(graph, judged, learned, scores)
    outputs = [top for top in graph.tops if _wanted(graph, top) and top in learned - late]
    losses = {top: _loss_of(net, top, judge) for top, judge in scores.items() if top not in helped}
    return losses, list(dict.fromkeys([*losses, *outputs])), helped


def _wanted(graph: Graph, top: Top) -> bool:
    """Whether no layer of the net needs it: an output, or what goes to a file."""
    readers = graph.consumers[top]
    return all(of(each).trait is Trait.SINK and not of(each).discards for each in readers)


def _labels(
    graph: Graph, judged: Sequence[Layer], learned: set[Top], scores: Collection[Top]
) -> set[Top]:
    """Labels, and all that is made of them, the losses themselves among it."""
    needed = {
        top
        for end in scores
        for layer in ancestors(graph, graph.producer(end))
        for top in layer.tops
    }
    found = {top for layer in judged for top in layer.bottoms} - learned - needed
    for layer in graph.layers:
        if layer in judged or found.intersection(layer.bottoms):
            found.update(layer.tops)
    return found


def _learned(graph: Graph) -> set[Top]:
    """What some learned scores lead to."""
    found: set[Top] = set()
    for layer in graph.layers:
        if makes_scores(layer) or found.intersection(layer.bottoms):
            found.update(layer.tops)
    return found


def _loss_of(net: Prototxt, top: Top, judge: Layer) -> Layer:
    """The loss of these scores, in another state where this one has an Accuracy alone."""
    if is_loss(judge):
        return judge
    for graph in buildable(net)[0]:
        for layer in graph.layers:
            if is_loss(layer) and top.blob in [bottom.blob for bottom in layer.bottoms[:1]]:
                return layer
    return judge


def _deeper(graph: Graph, top: Top, scores: Mapping[Top, Layer]) -> Top | None:
    """Scores of the same labels that learn more from what these are made of; None for none."""
    mine = _learned_above(graph, top)
    for each, judge in scores.items():
        if each != top and is_loss(judge) and judge.bottoms[1:] == scores[top].bottoms[1:]:
            deeper = _learned_above(graph, each)
            if deeper & mine and not mine <= deeper and len(deeper) > len(mine):
                return each
    return None


def _learned_above(graph: Graph, top: Top) -> set[Layer]:
    return set(filter(makes_scores, ancestors(graph, graph.producer(top))))


# ---- the new layers


def _reads_data(layer: Layer, part: _Part) -> bool:
    """Whether its numbers come from outside the net; where no layer's do, a DummyData's count."""
    if layer.bottoms or layer.is_input or of(layer).learns:
        return False
    sources = [each for each in part.layers if not each.bottoms and not of(each).learns]
    outside = any(each.is_input or of(each).unknown for each in sources)
    return bool(of(layer).unknown) if outside else True


def _given(net: Prototxt, part: _Part, layer: Layer) -> tuple[Edit, Step]:
    """The layer's tops that the ends need are inputs."""
    needed = [top for top in layer.tops if any(top in each.bottoms for each in part.layers)]
    layers: list[Fields] = []
    sizes: list[str] = []
    for top in needed or layer.tops[:1]:
        size = _size(part, layer, top)
        shape = [("shape", [("dim", each) for each in size])]
        layers.append(
            [("name", top.blob), ("type", "Input"), ("top", top.blob), ("input_param", shape)]
        )
        sizes.append(f'"{top.blob}" {show(size)}')
    why = f"Input {', '.join(sizes)}: the deployed net is given its images"
    step = Step("change", layer.name, layer.line, f"{layer.type} -> Input", why)
    return instead(net, layer.field, layers, "deploy"), step


def _size(part: _Part, layer: Layer, top: Top) -> Shape:
    """One image at a time, where no other number is asked for or goes with another input."""
    size = part.shapes.tops[top]
    if size is None:
        fact = f'the size of its top "{top.blob}" is not known'
        raise layer.error(f"{fact}; {part.shapes.say_it(top)}")
    given = any(each.is_input for each in part.layers)
    return size if given or top.blob in part.sizes else (1, *size[1:])


def _predictions(part: _Part) -> Iterator[tuple[Fields, Step]]:
    """What the losses make of their scores, where the net has no such layer itself."""
    made = [
        (top, loss)
        for top, loss in part.losses.items()
        if of(loss).predicts and not _is_there(part, top, of(loss).predicts)
    ]
    taken = {layer.name for layer in part.layers} | {
        top.blob for layer in part.layers for top in layer.tops
    }
    for top, loss in made:
        name = PROB if len(made) == 1 else f"{PROB}_{top.blob}"
        if name in taken:
            fact = f'there is already a "{name}", and the predictions would be named so too'
            raise loss.error(f"{fact}; rename it with `fcnkit surgery --do rename`")
        kind = of(loss).predicts
        fields: list[tuple[str, object]] = [
            ("name", name), ("type", kind), ("bottom", top.blob), ("top", name)
        ]  # fmt: skip
        axis = axis_of(loss) if has_field(loss, "axis") else 1
        if axis != 1:
            fields.append(("softmax_param", [("axis", axis)]))
        why = f'{loss.type} "{loss.name}" computed it from "{top.blob}" before comparing'
        yield fields, Step("insert", name, None, kind, why)


def _as_they_are(part: _Part) -> Iterator[Step]:
    """What losses read that no layer is added for."""
    for top, loss in part.losses.items():
        kind = of(loss)
        if not kind.predicts:
            known = kind.trait is not Trait.OPAQUE and len(loss.bottoms) == 2
            why = f'{loss.type} "{loss.name}" compares it as it is'
            if not known:
                why = f'nothing is added of what {loss.type} "{loss.name}" may make of it'
            maker = part.graph.producer(top)
            yield Step("keep", maker.name, maker.line, f'"{top.blob}" is an output', why)


def _is_there(part: _Part, top: Top, kind: str) -> bool:
    return any(layer.type == kind and layer.bottoms == (top,) for layer in part.layers)


def _drops(net: Prototxt, part: _Part) -> Iterator[Move]:
    """Layers that go and may have weights, in any state."""
    kept: Collection[str] = {layer.name for layer in part.layers}
    gone: dict[str, Move] = {}
    for graph in buildable(net)[0]:
        for layer in graph.layers:
            if layer.name not in kept and layer.bottoms and of(layer).learns:
                gone[layer.name] = Move(layer.name, 0, (), how="drop")
    yield from gone.values()
