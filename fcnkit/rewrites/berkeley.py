"""An FCN written out as the FCN authors publish theirs: fcn.berkeleyvision.org.

Nothing is computed otherwise; but every field that their net definitions
write is written, and what they leave out is gone, so that the nets made from
the VGG-16 and CaffeNet classifiers equal theirs field for field, apart
from the data layers.
"""

from collections.abc import Iterator, Mapping, Sequence

from fcnkit.edits import Edit
from fcnkit.errors import NetError
from fcnkit.formats.prototxt import Prototxt, Style, Word, parse, render
from fcnkit.nets.graph import Graph, Layer, build
from fcnkit.nets.layers.sliding import spatial
from fcnkit.nets.layers.table import groups_of, is_pointwise, makes_scores, of
from fcnkit.nets.shapes import shapes_of
from fcnkit.plan import Plan, Step
from fcnkit.plural import number_of
from fcnkit.rewrites.changes import appended, inside, instead_of_input, removed, set_param
from fcnkit.rewrites.parts import LEARN, Pairs
from fcnkit.rewrites.to_train import Images, data_layer

_WHY = "as the FCN authors write it"
_INPUT_SIZE = 500
# Validation images, iterations and those between snapshots of the authors' solvers, by number of
# classes: PASCAL VOC, NYUDv2, PASCAL-Context, SIFT Flow.  That of SIFT Flow saves nothing before
# the end, and VOC's at once goes on for as long as the others.
_DATASETS = {
    (21,): (736, 100_000, 4000),
    (40,): (654, 300_000, 2000),
    (60,): (5105, 300_000, 4000),
    (33, 3): (200, 300_000, 4000),
}
_AT_ONCE = 300_000


def deployed(net: Prototxt) -> Plan:
    """The net as their deploy files are: an Input of 500 x 500, no Dropout.

    Raises NetError where a layer has a window that they cannot write.
    """
    graph = build(net)
    gone = [layer for layer in graph.layers if _trains_only(layer)]
    stay = [layer for layer in graph.layers if layer not in gone]
    edits = _spelled(net, graph, stay) + _replaced(net, graph, [_input_layer(graph)])
    edits += [edit for layer in gone for edit in _bridged(layer)]
    return _plan(net, edits)


def trained(
    net: Prototxt,
    *,
    split: str,
    ignore: int = 255,
    images: Images = Images(),
    fused: Mapping[str, int] | None = None,
) -> Plan:
    """The net as their train and val files are: one file for each `split`, "train" or "val".

    Each head has a loss that leaves out `ignore`; its labels are `label`, or
    the head's own name.  Only the net with groups averages its loss over
    pixels.  Data layers read LMDBs.  `fused` {name: channels} are the images that
    the input is made of: each has a data layer of its own, and they are
    concatenated unless each has a trunk.

    Raises NetError where a layer has a window that they cannot write.
    """
    graph = build(net)
    labels = [_label(top.blob) for top in graph.outputs]
    image = graph.inputs[0]
    images.check(net, graph.producer(image).input_shapes[image.index])
    parting = [each for each in graph.consumers[image] if _parts(each, fused or {})]
    feeds = [*_image_layers(image.blob, split, images, fused or {})]
    feeds += [
        data_layer(label, None, images.source(f"{split}_{label}_lmdb"), None) for label in labels
    ]
    _check_names(net, [*(fused or ())], labels)
    if fused and not parting:
        feeds.append(_concatenated(image.blob, [*fused]))
    edits = _spelled(net, graph, graph.layers) + _replaced(net, graph, feeds)
    edits += [removed(layer.field, _WHY) for layer in parting]
    for number, top in enumerate(graph.outputs):
        name = f"loss_{_label(top.blob)}" if number else "loss"
        loss = _loss_layer(name, top.blob, ignore, _grouped(graph))
        edits.append(appended(net, graph.producer(top).field, [loss], _WHY))
    return _plan(net, edits)


def solver(
    net: Prototxt,
    *,
    stride: int,
    at_once: bool = False,
    late: bool = False,
    cpu: bool = False,
    style: Style = Style(),
) -> Prototxt:
    """Their solver for this net; it runs on the GPU, as Caffe does unasked, but for `cpu`.

    The rate is 1e-10 for a loss summed over pixels, a hundred times less at
    each stage of a net trained in stages, late fusion being one more; 1e-4 with
    20 images a step for the net with groups, whose loss is averaged.
    """
    graph = build(net)
    classes = tuple(_classes(graph))
    tests, iterations, snapshot = _DATASETS.get(classes, (100, 100_000, 4000))
    iterations = max(iterations, _AT_ONCE) if at_once else iterations
    stages = (
        0 if at_once else min({32: 0, 16: 1, 8: 2}.get(stride, 0), 1 if len(classes) > 1 else 2)
    ) + late
    grouped = _grouped(graph)
    fields: Pairs = [
        ("train_net", "train.prototxt"),
        ("test_net", "val.prototxt"),
        ("test_iter", tests),
        ("test_interval", 999999999),
        ("display", 20),
        ("average_loss", 20),
        ("lr_policy", "fixed"),
        ("base_lr", Word("1e-4" if grouped else f"1e-{10 + 2 * stages}")),
        ("momentum", 0.9 if grouped else 0.99),
        ("iter_size", 20 if grouped else 1),
        ("max_iter", iterations),
        ("weight_decay", 0.0005),
        ("snapshot", snapshot),
        ("snapshot_prefix", "snapshot/train"),
        ("test_initialization", False),
        *([("solver_mode", Word("CPU"))] if cpu else []),
    ]
    return parse(render(fields, style), "solver.prototxt")


def _plan(net: Prototxt, edits: Sequence[Edit]) -> Plan:
    return Plan(net, net.edit(edits), (Step("change", "", None, "every field written out", _WHY),))


def _trains_only(layer: Layer) -> bool:
    """Whether it does nothing in a net that is tested: a Dropout."""
    return is_pointwise(layer) and of(layer).identity(layer)


def _grouped(graph: Graph) -> bool:
    """Whether this is the CaffeNet kind of trunk, whose definition they wrote another way."""
    return any(makes_scores(layer) and groups_of(layer) > 1 for layer in graph.layers)


def _classes(graph: Graph) -> list[int]:
    """How many classes each head scores."""
    sizes = shapes_of(graph).tops
    return [shape[1] for top in graph.outputs if (shape := sizes[top])]


def _label(score: str) -> str:
    return score.removeprefix("score_") if score.startswith("score_") else "label"


def _spelled(net: Prototxt, graph: Graph, layers: Sequence[Layer]) -> list[Edit]:
    """Each of these layers with the fields that they write, and the net without a name."""
    edits = [removed(field, _WHY) for field in net.root.all("name")]
    grouped = _grouped(graph)
    for layer in layers:
        if makes_scores(layer):
            edits += _convolution(net, layer, grouped)
        elif of(layer).message in _WRITTEN:
            edits += _written(net, layer, of(layer).message, _WRITTEN[of(layer).message])
    return edits


_WRITTEN = {
    "pooling_param": ("pool", "kernel_size", "stride"),
    "lrn_param": ("local_size", "alpha", "beta"),
    "dropout_param": ("dropout_ratio",),
}


def _written(net: Prototxt, layer: Layer, message: str, names: Sequence[str]) -> list[Edit]:
    param = layer.param(message)
    missing = [(name, _literal(param.get(name))) for name in names if not param.has(name)]
    return set_param(layer, message, missing, net.style, why=_WHY) if missing else []


def _literal(value: object) -> object:
    return Word(value) if isinstance(value, str) else value


def _convolution(net: Prototxt, layer: Layer, grouped: bool) -> list[Edit]:
    window, score = spatial(layer), layer.name.startswith("score_")
    if any(len(set(sizes)) > 1 for sizes in (window.kernel, window.stride, window.pad)):
        raise layer.error("its window is not square; the FCN authors' style needs square windows")
    fields: Pairs = [("pad", window.pad[0]), ("kernel_size", window.kernel[0])]
    if not score:
        group = layer.param("convolution_param").get("group")
        fields += [("group", group)] * grouped + [("stride", window.stride[0])]
    gone = (
        "weight_filler",
        "bias_filler",
        "kernel_h",
        "kernel_w",
        "pad_h",
        "pad_w",
        "stride_h",
        "stride_w",
    )
    edits = set_param(layer, "convolution_param", fields, net.style, replacing=gone, why=_WHY)
    return edits + _rates(net, layer, written=score or not grouped)


def _rates(net: Prototxt, layer: Layer, *, written: bool) -> list[Edit]:
    """Scores and VGG trunks learn biases at twice the rate; their CaffeNet trunk says nothing."""
    edits = [removed(field, _WHY) for field in layer.field.all("param")]
    learn = LEARN if layer.param("convolution_param").get("bias_term") else LEARN[:1]
    return [*edits, inside(layer.field, learn, net.style, _WHY)] if written else edits


def _bridged(layer: Layer) -> list[Edit]:
    if layer.tops[0].blob != layer.bottoms[0].blob:
        raise layer.error(
            "it does not work in place, so the deploy net, which leaves it out, would need its "
            "top renamed"
        )
    return [removed(layer.field, _WHY)]


def _replaced(net: Prototxt, graph: Graph, layers: Sequence[Pairs]) -> list[Edit]:
    """These layers where the Input was."""
    if len(graph.inputs) != 1:
        raise NetError(
            f"{net.path}: {number_of(len(graph.inputs), 'input')}; the FCN authors' style has "
            "one, the image"
        )
    field = graph.producer(graph.inputs[0]).field
    return instead_of_input(net, field, layers, _WHY)


def _parts(layer: Layer, fused: Mapping[str, int]) -> bool:
    """Whether it makes the images apart of the one input."""
    return bool(fused) and [top.blob for top in layer.tops] == [*fused]


def _image_layers(
    blob: str, split: str, images: Images, fused: Mapping[str, int]
) -> Iterator[Pairs]:
    """A data layer for the image, or for each that is fused, with its share of the mean."""
    if not fused:
        yield data_layer(blob, None, images.source(f"{split}_image_lmdb"), images)
    mean = [*images.mean]
    for name, channels in fused.items():
        own = mean if len(mean) < 2 else mean[:channels]
        mean = mean if len(mean) < 2 else mean[channels:]
        source = images.source(f"{split}_{name}_lmdb")
        yield data_layer(name, None, source, images._replace(mean=own))


def _check_names(net: Prototxt, images: Sequence[str], labels: Sequence[str]) -> None:
    for name in images:
        if name in labels:
            fact = f'"{name}" would be the blob of both the labels and an image'
            raise NetError(f"{net.path}: {fact}; choose another name for the image")


def _concatenated(top: str, bottoms: Sequence[str]) -> Pairs:
    wires = [*(("bottom", name) for name in bottoms), ("top", top)]
    return [("name", top), ("type", "Concat"), *wires]


def _input_layer(graph: Graph) -> Pairs:
    top = graph.inputs[0]
    channels = (graph.producer(top).input_shapes[top.index] or (1, 3))[1]
    shape = [("dim", size) for size in (1, channels, _INPUT_SIZE, _INPUT_SIZE)]
    return [
        ("name", "input"),
        ("type", "Input"),
        ("top", top.blob),
        ("input_param", [("shape", shape)]),
    ]


def _loss_layer(name: str, score: str, ignore: int, averaged: bool) -> Pairs:
    return [
        ("name", name),
        ("type", "SoftmaxWithLoss"),
        ("bottom", score),
        ("bottom", _label(score)),
        ("top", name),
        ("loss_param", [("ignore_label", ignore), ("normalize", averaged)]),
    ]
