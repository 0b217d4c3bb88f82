"""What an image is prepared by goes into the net: it takes bytes, as Caffe's tools give them.

(v - mean) * scale is linear, and so is the first layer: its weights are multiplied
and its bias moved.  Where that layer pads with zeros, a zero stands for the mean, and
a Scale behind the input does it in its place, so that the border is exact too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from fcnkit import expected, preprocessing
from fcnkit.edits import Edit
from fcnkit.errors import NetError
from fcnkit.formats.prototxt import Field, NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Graph, Layer, Top
from fcnkit.nets.layers.sliding import spatial
from fcnkit.nets.layers.table import (
    axis_of,
    count_of_outputs,
    groups_of,
    has_bias,
    makes_scores,
    of,
)
from fcnkit.plan import ImageBefore, Move, Plan, Step
from fcnkit.plural import number_of
from fcnkit.rewrites.changes import appended, before, renamed_blob, taken_out
from fcnkit.rewrites.channels import channel_axis
from fcnkit.rewrites.operations import Arguments, Operation, finite_number
from fcnkit.rewrites.states import States, copies, states
from fcnkit.shape import Shape


@expected.checked
def bake(
    net: NetOrPath,
    mean: Sequence[float] | None = None,
    scale: float | Sequence[float] = 1.0,
    *,
    inputs: Mapping[str, Shape] | None = None,
) -> Plan:
    """The first layer takes over the preprocessing: the net takes the image as it is.

    >>> fk.bake(fk.template("alexnet"), [104, 117, 123]).steps[0].layer
    'conv1'

    Before, the net was given (value - `mean`) * `scale`. The outputs for the same image stay
    the same, at every image size.

    - `net`: a Prototxt or its path.
    - `mean`, `scale`: one number, or one number for each channel in the net's order. If `net`
      is a path, you may leave them out; they are then read from NET.preprocessing.json beside
      the net.
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError if nothing gives the mean, if the net has no input that is an image, or
    several of them, or if it has a data layer, which subtracts the mean itself.
    """
    if mean is None:
        if isinstance(net, Prototxt):  # whose channels may stand in another order by now
            raise NetError(
                f"{net.path}: nothing says what mean to subtract; give a mean, or a path"
            )
        net = given_net(net)
        mean, scale = _beside(net)
    net = given_net(net)
    work = states(net, inputs)
    graph = work.each[0].graph
    if len(work.each) > 1:
        raise NetError(f"{net.path}: has several states; give the deploy net")
    top, channels = _image(work, graph)
    means, scales = _each(net, "mean", mean, channels), _each(net, "scale", scale, channels)
    if 0 in scales:
        raise NetError(f"{net.path}: a scale of 0 would erase the image; give another")
    if set(means) == {0.0} and set(scales) == {1.0}:
        return Plan(net, net)
    shifts = tuple(-each * factor for each, factor in zip(means, scales, strict=True))
    what = f"subtracts {_shown(means)}, then multiplies by {_shown(scales)}"
    users = graph.consumers[top]
    if all(_folds(user, any(shifts)) for user in users):
        plan = _folded(net, work, users, what, scales, shifts)
    else:
        plan = _put_before(net, graph, top, what, scales, shifts)
    rows = tuple(((index, factor),) for index, factor in enumerate(scales))
    return replace(plan, images=(ImageBefore(top.blob, rows, tuple(shifts)),))


def _beside(net: Prototxt) -> tuple[Sequence[float], float | Sequence[float]]:
    found = preprocessing.beside(net)
    place = preprocessing.place(net.path)
    if found is None or found.mean is None:
        fact = "says no mean" if found else "is not there"
        raise NetError(f"{place}: {fact}; give the mean, as in bake=104,117,123")
    return found.mean or (0.0,), found.scale


def _image(work: States, graph: Graph) -> tuple[Top, int]:
    """The one input that is an image, and how many channels it has."""
    path = graph.prototxt.path
    brought = [layer for layer in graph.layers if not layer.bottoms and layer.tops]
    images = [
        top
        for layer in brought
        for top in layer.tops
        if len(work.each[0].shape(top) or (0, 0, 0)) > 2
    ]
    if len(images) != 1:
        names = ", ".join(f'"{top.blob}"' for top in images) or "none"
        raise NetError(f"{path}: its images are {names}; bake takes a net of one image")
    (top,) = images
    maker, shape = graph.producer(top), work.each[0].shape(top)
    if not maker.is_input:
        raise maker.error("this layer already prepares its images; give the deploy net")
    if shape is None:
        raise maker.error(f'the size of "{top.blob}" is not known; write it into the net')
    return top, shape[1]


def _each(
    net: Prototxt, what: str, given: float | Sequence[float], count: int
) -> tuple[float, ...]:
    values = tuple(map(float, given)) if isinstance(given, Sequence) else (float(given),)
    if len(values) not in (1, count):
        fact = f"{number_of(len(values), 'number')} as {what} for {number_of(count, 'channel')}"
        raise NetError(f"{net.path}: {fact}; give one, or one for each")
    return values * count if len(values) == 1 else values


def _folds(layer: Layer, moves: bool) -> bool:
    """Whether the layer is linear, and no zero of its padding would stand for the mean."""
    if not makes_scores(layer) or len(layer.bottoms) > 1 or groups_of(layer) > 1:
        return False
    if axis_of(layer) not in (1, -3):
        return False
    if of(layer).message != "convolution_param":
        return True
    window = spatial(layer)
    return not (moves and any((*window.pad, *window.far)))


def _folded(
    net: Prototxt,
    work: States,
    users: Sequence[Layer],
    what: str,
    scales: Sequence[float],
    shifts: Sequence[float],
) -> Plan:
    edits: list[Edit] = []
    steps: dict[int, Step] = {}
    moves: list[Move] = []
    rows = tuple(((at, factor),) for at, factor in enumerate(scales))
    for layer in users:
        shapes = [tuple(shape) for shape in work.blobs(work.alone(layer))]
        axis, old = channel_axis(layer, shapes[0], len(scales))
        moves.append(Move(layer.name, 0, shapes[0], layer.name, "mix", (old, ((axis, rows),))))
        if any(shifts):
            own = layer.name if has_bias(layer) else None
            shape = (count_of_outputs(layer),)
            args = (old, axis, tuple(shifts))
            moves.append(Move(layer.name, 1, shape, own, "shift", args))
            edits += _with_bias(layer)
        else:
            moves += copies(layer, shapes, 1)
        why = "its weights and its bias now include that"
        steps[layer.field.start] = Step("change", layer.name, layer.line, what, why)
    return work.plan(edits, steps, moves)


def _with_bias(layer: Layer) -> Iterator[Edit]:
    """A bias is what Caffe makes where nothing is said."""
    if not has_bias(layer):
        for message in layer.field.all(of(layer).message):
            for field in message.all("bias_term"):
                yield taken_out(field, "a bias for the mean")


def _put_before(
    net: Prototxt,
    graph: Graph,
    top: Top,
    what: str,
    scales: Sequence[float],
    shifts: Sequence[float],
) -> Plan:
    """A Scale behind the input, which the layers read that read the image."""
    blob = f"{top.blob}_prepared"
    if any(each.blob == blob for each in graph.tops) or any(x.name == blob for x in graph.layers):
        raise NetError(f'{net.path}: already has a blob "{blob}"; was it baked before?')
    fields: list[tuple[str, object]] = [
        ("name", blob),
        ("type", "Scale"),
        ("bottom", top.blob),
        ("top", blob),
        ("scale_param", [("bias_term", True)]),
    ]
    why = "bake"
    readers = _readers(graph, top)
    edits = renamed_blob(readers, top.blob, blob, why)
    source = graph.producer(top).field
    edits.append(_behind(net, source, fields, why))
    steps = [
        Step(
            "insert",
            blob,
            None,
            f"Scale, {what}",
            "the first layer pads with zeros, which then stand for the mean",
        )
    ]
    moves = [
        Move(blob, at, (len(values),), how="given", args=(tuple(values),))
        for at, values in enumerate((scales, shifts))
    ]
    return Plan(net, net.edit(edits), tuple(steps), tuple(moves))


def _readers(graph: Graph, top: Top) -> list[Layer]:
    """The layers that read the image, or what others make of it in place."""
    found: dict[int, Layer] = {}
    todo = [top]
    while todo:
        for user in graph.consumers[todo.pop()]:
            found[user.index] = user
            todo += [each for each in user.tops if each.blob == top.blob]
    return [found[index] for index in sorted(found)]


def _behind(net: Prototxt, source: Field, fields: list[tuple[str, object]], why: str) -> Edit:
    if source.name == "layer":
        return appended(net, source, [fields], why)
    return before(net, net.root.all("layer", "layers")[0], [fields], why)


def _shown(values: Sequence[float]) -> str:
    return preprocessing.shown(values[:1] if len(set(values)) == 1 else values)


def _operated(
    net: Prototxt,
    mean: Sequence[float] | None = None,
    scale: float | Sequence[float] = 1.0,
    *,
    inputs: Mapping[str, Shape] | None = None,
) -> Plan:
    """By the file beside the net where nothing is said: no operation before it has changed that."""
    if mean is None:
        mean, scale = _beside(net)
    return bake(net, mean, scale, inputs=inputs)


def _arguments(text: str) -> Arguments:
    """Nothing, MEAN or MEAN:SCALE, each one number or one for each channel."""
    if not text:
        return (), {}
    mean, _, scale = text.partition(":")
    if mean.endswith((".binaryproto", ".npy")):
        raise ValueError("a mean image cannot be baked into a net; give its mean colour")
    numbers = tuple(finite_number(each) for each in mean.split(","))
    factors = tuple(finite_number(each) for each in scale.split(",")) if scale else (1.0,)
    return (numbers, factors), {}


OPERATIONS = (
    Operation(
        "bake",
        "bake[=MEAN[:SCALE]]",
        "build mean and scale into the net",
        _operated,
        _arguments,
        reads_images=True,
    ),
)
