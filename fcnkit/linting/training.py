"""What can be wrong with what a net learns, and with its weights, one function per check.

Each yields Hits; the first line of its docstring says what it finds.
"""

from collections.abc import Iterable, Iterator
from math import prod

from fcnkit.formats.prototxt import Field
from fcnkit.linting.seen import Hit, Seen, fills_zero
from fcnkit.nets.graph import Layer, Top
from fcnkit.nets.layers.axes import show
from fcnkit.nets.layers.table import CAFFE, axis_of, is_loss, of, trait
from fcnkit.nets.layers.traits import Trait
from fcnkit.nets.shared import overwritten
from fcnkit.plural import number_of
from fcnkit.shape import Shape
from fcnkit.weights.matching import MISMATCH, RESHAPED

# ---- layers that hinder each other


def duplicate_name(seen: Seen) -> Iterator[Hit]:
    """two layers of one name that both learn:
    weights are copied by name, and only one gets its own
    """
    first: dict[str, Layer] = {}
    for layer in seen.graph.layers:
        if not seen.count(layer):
            continue
        other = first.setdefault(layer.name, layer)
        if other is not layer:
            fact = (
                f"the layer on line {other.line} has the same name, and weights are copied by name"
            )
            yield Hit(layer, f"{fact}; rename one")


def unread_top(seen: Seen) -> Iterator[Hit]:
    """a top that no layer reads while the net trains: it is computed in vain"""
    for top in seen.graph.outputs if seen.trains else ():
        layer = seen.graph.producer(top)
        if layer.type in CAFFE and trait(layer) not in _ENDS and not is_loss(layer):
            yield Hit(
                layer,
                f'no layer reads its top "{top.blob}" in training; remove it, or give it to a '
                f"Silence layer",
            )


_ENDS = (Trait.JUDGE, Trait.OPAQUE)


def shared_memory(seen: Seen) -> Iterator[Hit]:
    """a layer in place that changes what others read: Flatten, Reshape and Split make no copy"""
    for each in overwritten(seen.graph):
        yield Hit(each.writer, each.fact)


def double_softmax(seen: Seen) -> Iterator[Hit]:
    """a SoftmaxWithLoss of what a Softmax gives,
    or a SigmoidCrossEntropyLoss of what a Sigmoid gives
    """
    # Such a loss has its activation's message.
    for layer in _losses(seen, "softmax_param", "sigmoid_param"):
        maker = seen.graph.producer(layer.bottoms[0])
        own = maker.type
        if of(maker).message == of(layer).message and trait(maker) is not Trait.LOSS:
            fact = f'its bottom is the top of the {own} layer "{maker.name}", and it takes the'
            yield Hit(layer, f'{fact} {own.lower()} itself; give it "{maker.bottoms[0].blob}"')


# ---- labels and classes


def one_class(seen: Seen) -> Iterator[Hit]:
    """a SoftmaxWithLoss of one class, whose probability is always 1: nothing is learned"""
    for layer in _losses(seen, "softmax_param"):
        if seen.classes(layer.bottoms[0], layer.param("softmax_param").get("axis")) == 1:
            fact = (
                f'its bottom "{layer.bottoms[0].blob}" scores one class, whose softmax is always 1'
            )
            yield Hit(
                layer, f"{fact}; give labels 0 and 1 num_output: 2, or use SigmoidCrossEntropyLoss"
            )


def ignored_class(seen: Seen) -> Iterator[Hit]:
    """an ignore_label that is one of the classes, which is then never learned or counted"""
    for layer, param, axis in labelled(seen):
        ignored, classes = ignored_label(layer), seen.classes(layer.bottoms[0], axis)
        if ignored is not None and classes and 0 <= ignored < classes:
            fact = (
                f"ignore_label {ignored} is one of the {number_of(classes, 'class')}, 0 to "
                f"{classes - 1}"
            )
            yield Hit(
                layer,
                f"{fact}; ignore a number that is not a class, such as 255",
                _field(layer, param),
            )


def ignored_once(seen: Seen) -> Iterator[Hit]:
    """a loss and an Accuracy that read the same labels but ignore different values"""
    losses: dict[Top, Layer] = {}
    for layer, param, _ in labelled(seen):
        label = source_of(seen, layer.bottoms[1])
        other = losses.setdefault(label, layer)
        if layer.type != other.type and ignored_label(layer) != ignored_label(other):
            mine, its = (f"ignores {_label_text(ignored_label(each))}" for each in (layer, other))
            fact = (
                f'it {mine}, and layer "{other.name}" on line {other.line} {its} of the same labels'
            )
            yield Hit(layer, f"{fact}; give both the same ignore_label", _field(layer, param))


def _label_text(ignored: int | None) -> str:
    return "nothing" if ignored is None else str(ignored)


def head_classes(seen: Seen) -> Iterator[Hit]:
    """heads that score different numbers of classes against the same labels"""
    first: dict[Top, tuple[Layer, int]] = {}
    for layer, _, axis in labelled(seen):
        classes = seen.classes(layer.bottoms[0], axis)
        if classes:
            other, had = first.setdefault(source_of(seen, layer.bottoms[1]), (layer, classes))
            if had != classes:
                fact = (
                    f'its {number_of(classes, "class")} and the {had} of layer "{other.name}" on '
                    "line "
                    f"{other.line}"
                )
                yield Hit(
                    layer, f"{fact} are scored against the same labels; give both num_output {had}"
                )


def labelled(seen: Seen) -> Iterator[tuple[Layer, str, int]]:
    """The layers that compare scores with labels,
    where their ignore_label is, and their channel axis.
    """
    for layer in seen.graph.layers:
        if of(layer).labelled and len(layer.bottoms) > 1:
            yield layer, _ignores_in(layer), axis_of(layer)


def _ignores_in(layer: Layer) -> str:
    """The message that says which label is left out."""
    kind = of(layer)
    return "loss_param" if "loss_param" in kind.reads else kind.message


def ignored_label(layer: Layer) -> int | None:
    """The label that this loss or Accuracy leaves out, None where it leaves out none."""
    if not of(layer).ignores:
        return None
    param = layer.param(_ignores_in(layer))
    return param.get("ignore_label") if param.has("ignore_label") else None


def _field(layer: Layer, param: str) -> Field | None:
    return layer.param(param).field("ignore_label")


def source_of(seen: Seen, top: Top) -> Top:
    """The top that a label is a plain copy of."""
    layer = seen.graph.producer(top)
    while of(layer).shares:
        top = layer.bottoms[0]
        layer = seen.graph.producer(top)
    return top


# ---- loss and learning rate

HIGH, LOW = 1e-6, 1e-8


def loss_rate(seen: Seen) -> Iterator[Hit]:
    """a learning rate that does not go with the loss: summed over all pixels, or their mean"""
    if seen.solver is None or not seen.trains:
        return
    rate, field = seen.solver.get("base_lr"), seen.solver.field("base_lr")
    for layer in _losses(seen, "softmax_param", "sigmoid_param"):
        summed, pixels = _summed(layer), _pixels(seen, layer)
        if pixels is not None and pixels < 100:
            continue
        place = f"{layer.field.source.path}:{layer.line}"
        fact = f'base_lr is {rate:g}, and the loss "{layer.name}" ({place}) is'
        each = f"its {number_of(pixels, 'place')}" if pixels else "all pixels"
        if summed and rate > HIGH:
            fix = "set loss_param { normalize: true }, or a base_lr of about 1e-10"
            yield Hit(layer, f"{fact} summed over {each}; {fix}", field)
        elif not summed and 0 < rate < LOW:
            fix = "set a base_lr of about 1e-4, or loss_param { normalize: false }"
            yield Hit(
                layer, f"{fact} the mean over {each}: it would learn very slowly; {fix}", field
            )


def _losses(seen: Seen, *messages: str) -> Iterator[Layer]:
    """The losses of BVLC's whose parameters stand in one of these messages, with their labels."""
    for layer in seen.graph.layers:
        kind = CAFFE.get(layer.type)
        if kind and kind.trait is Trait.LOSS and kind.message in messages and layer.bottoms[1:]:
            yield layer


def _summed(layer: Layer) -> bool:
    """Whether the loss grows with the number of pixels:
    SoftmaxWithLoss takes their mean by default.
    """
    param = layer.param("loss_param")
    if param.has("normalization"):
        return param.get("normalization") in ("BATCH_SIZE", "NONE")
    if param.has("normalize"):
        return not param.get("normalize")
    return of(layer).message == "sigmoid_param"


def _pixels(seen: Seen, layer: Layer) -> int | None:
    """How many places of an image the loss looks at,
    1 for scores without places; None if not known.
    """
    shape = seen.shapes.tops[layer.bottoms[0]]
    if shape is not None:
        return prod(shape[2:])
    return None if layer.bottoms[0] in seen.reached else 1


# ---- weights


def shared_shape(seen: Seen) -> Iterator[Hit]:
    """layers that share a parameter which they need in different shapes"""
    first: dict[str, tuple[Layer, Shape]] = {}
    for layer in seen.graph.layers:
        for name, loose, shape in zip(*_shared(layer), seen.blobs(layer) or (), strict=False):
            other, had = first.setdefault(name, (layer, shape)) if name else (layer, shape)
            if shape != had and not (loose and prod(shape) == prod(had)):
                fact = f'it shares "{name}", which is {show(shape)} here and {show(had)} in'
                yield Hit(
                    layer, f'{fact} layer "{other.name}" on line {other.line}; give it another name'
                )


def shared_names(layer: Layer) -> list[str]:
    """The names of a layer's parameters, "" for one that is not shared."""
    return _shared(layer)[0]


def _shared(layer: Layer) -> tuple[list[str], list[bool]]:
    """The names of a layer's parameters, and whether only their counts must agree."""
    if layer.view.message_name == "V1LayerParameter":
        modes = layer.view.list("blob_share_mode")
        names = layer.view.list("param")
    else:
        params = layer.view.views("param")
        names, modes = ([param.get(field) for param in params] for field in ("name", "share_mode"))
    return names, [mode == "PERMISSIVE" for mode in modes] + [False] * (len(names) - len(modes))


# So many layers that the weights lack are one finding.
_TOGETHER = 4


def untrained(seen: Seen) -> Iterator[Hit]:
    """a layer without weights in the file: it starts from its filler, or from zero"""
    weights = seen.weights
    if weights is None or seen.of_another_net:
        return
    found: dict[str, list[Layer]] = {}
    for layer in seen.graph.layers:
        if weights.get(layer.name) or not seen.count(layer):
            continue
        if of(layer).spreads and fills_zero(layer):
            continue  # a finding of its own
        start = "zero, since it has no weight_filler" if fills_zero(layer) else "its filler"
        found.setdefault(start, []).append(layer)
    for start, layers in found.items():
        fact = f"{weights.path} has no layer of this name, so it starts from {start}"
        text = f"{fact}; give it the name that it has there, or train it"
        if len(layers) < _TOGETHER:
            yield from (Hit(layer, text) for layer in layers)
        else:
            names = ", ".join(layer.name for layer in layers[1:_TOGETHER])
            more = len(layers) - _TOGETHER
            others = f"{names} and {more} more" if more > 0 else names
            yield Hit(layers[0], f"{text} (so it is with {others})")


def weights_shape(seen: Seen) -> Iterator[Hit]:
    """a layer whose blobs in the weights Caffe refuses for their number or shape"""
    if seen.match is None or seen.weights is None:
        return
    rows = [row for row in seen.match.rows if row.verdict == MISMATCH or RESHAPED in row.verdict]
    # Of another net's weights one layer says enough.
    for row in rows[:1] if seen.of_another_net else rows:
        remedy = "rename the layer to train it from scratch, or give it the sizes of the file"
        if row.verdict != MISMATCH:
            remedy = "reshape them with `fcnkit surgery`"
        here = f"{_sizes(row.new)} in the net" if row.new else "of other sizes in the net"
        fact = f"its blobs are {_sizes(row.old)} in {seen.weights.path} but {here}"
        others = (
            f" ({number_of(len(rows) - 1, 'more layer')} like it)" if seen.of_another_net else ""
        )
        yield Hit(seen.graph.layer(row.layer), f"{fact}, which Caffe refuses{others}; {remedy}")


def _sizes(shapes: Iterable[Shape]) -> str:
    return " and ".join(map(show, shapes)) or "none"
