"""A deployed FCN becomes the net that Caffe trains, and the solver that trains it."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from fcnkit import expected
from fcnkit.edits import Edit
from fcnkit.errors import NetError
from fcnkit.formats.prototxt import NetOrPath, Prototxt, Style, Word, parse, render
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Graph, Layer, build
from fcnkit.nets.layers.axes import show
from fcnkit.nets.layers.table import has_bias, of
from fcnkit.nets.shapes import shapes_of
from fcnkit.plan import Plan, Step
from fcnkit.plural import number_of
from fcnkit.rewrites.changes import appended, inside, instead_of_input, set_param
from fcnkit.rewrites.parts import BIAS_RATE, FIXED, Pairs, learning
from fcnkit.rewrites.upgrade import upgrade

FILLERS = ("msra", "xavier", "keep")
SGD, ADAM = "sgd", "adam"
SOLVERS = (SGD, ADAM)


class Images(NamedTuple):
    """What the data layers of a training net read.

    `folder` holds the LMDBs train_image_lmdb, train_label_lmdb, val_image_lmdb and
    val_label_lmdb; "" means the folder in which Caffe is started. `mean` is subtracted: one
    value for each channel, in the order of the database (BGR for Caffe). Then the values are
    multiplied by `scale`.
    """

    folder: str = ""
    mean: Sequence[float] = ()
    scale: float = 1.0

    def source(self, name: str) -> str:
        """The path of one LMDB."""
        return f"{self.folder.rstrip('/')}/{name}" if self.folder else name

    def check(self, net: Prototxt, shape: Sequence[int] | None) -> None:
        """Checks that there is one mean for all channels of this shape, or one for each.

        Raises NetError if Caffe would refuse them.
        """
        channels = shape[1] if shape and len(shape) > 1 else None
        if channels and len(self.mean) not in (0, 1, channels):
            fact = (
                f"{number_of(len(self.mean), 'mean value')} for images of "
                f"{number_of(channels, 'channel')}"
            )
            raise NetError(f"{net.path}: {fact}; give one, or one for each channel")


@expected.checked
def to_train(
    net: NetOrPath,
    *,
    ignore: int = 255,
    filler: str = "msra",
    refill: bool = False,
    zero: Collection[str] = (),
    bias_rate: float = BIAS_RATE,
    images: Images = Images(),
) -> Plan:
    """A deploy FCN becomes a training net: it reads LMDBs and has a loss.

    >>> fcn = fk.fcn("deploy.prototxt", classes=3, stride=4).net
    >>> training = fk.to_train(fcn).net
    >>> fk.build(training, fk.State("TRAIN")).layers[0].type
    'Data'

    Data layers for images and labels, for TRAIN and TEST, replace the Input. SoftmaxWithLoss
    and, in TEST, Accuracy are added for each output. An output score_x gets its own label_x,
    loss_x and accuracy_x. Weights learn with lr_mult 1 and decay_mult 1, and biases with
    lr_mult `bias_rate` and decay_mult 0; the biases of the layers in `zero` learn with lr_mult
    2. Deconvolutions do not learn, and neither does a Scale after a BatchNorm with
    use_global_stats. A layer with a `param` of its own keeps it. A net in an old format is
    upgraded first.

    With Adam, all parameters take steps of the same length. The values of a net with pixels
    from 0 to 255 are large, so biases that start from zero then need a larger `bias_rate`.

    - `net`: a Prototxt or its path.
    - `ignore`: the label that loss and Accuracy ignore.
    - `filler`: the filler for layers that have none; a deploy net has none, and Caffe's default
      is zero.
    - `refill`: use `filler` for layers that have one, too.
    - `zero`: names of layers that start from zero in any case.
    - `bias_rate`: the lr_mult of biases.
    - `images`: what the data layers read: folder, mean and scale.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError if the net does not have exactly one input, if it has no scores, or if two
    of its outputs would get the same labels.
    """
    net = given_net(net)
    if filler not in FILLERS:
        raise NetError(f'filler "{filler}": is not one of {", ".join(FILLERS)}')
    if net.root.all("layers"):
        options = {"ignore": ignore, "filler": filler, "refill": refill, "zero": zero}
        return upgrade(net).then(to_train, bias_rate=bias_rate, images=images, **options)
    graph = build(net)
    if len(graph.inputs) != 1:
        blobs = ", ".join(top.blob for top in graph.inputs) or "missing"
        raise NetError(f"{net.path}: its inputs are {blobs}; give a net of one input, the image")
    _check_outputs(graph)
    edits = _data(net, graph, images)
    for layer in graph.layers:
        if of(layer).linear:
            rate = BIAS_RATE if layer.name in zero else bias_rate
            edits += _learning(net, layer, rate) + _filling(
                net, layer, filler, refill, layer.name in zero
            )
    frozen = [layer for layer in graph.layers if _of_frozen(graph, layer)]
    sizes = shapes_of(graph)
    for layer in frozen:
        many = len(sizes.blobs(layer) or FIXED)
        edits.append(inside(layer.field, FIXED * many, net.style, f'keep "{layer.name}"'))
    steps = [_kept(frozen)] if frozen else []
    for top in graph.outputs:
        edits.append(appended(net, graph.producer(top).field, _head(top.blob, ignore), "train"))
        what = f"loss and accuracy of {top.blob}, without label {ignore}"
        steps.append(Step("insert", f"loss{_suffix(top.blob)}", None, what, "to train"))
    return Plan(net, net.edit(edits), tuple(steps))


def _check_outputs(graph: Graph) -> None:
    """There are outputs, each of them has classes, and labels of its own."""
    named: dict[str, str] = {}
    shapes, path = shapes_of(graph).tops, graph.prototxt.path
    if not graph.outputs:
        raise NetError(f"{path}: it has no output; let it end with its scores")
    for top in graph.outputs:
        shape = shapes[top]
        if shape is not None and len(shape) < 2:
            fact = f'its output "{top.blob}" is {show(shape)}, and has no axis of classes'
            raise NetError(f"{path}: {fact}; let the net end with its scores")
        other = named.setdefault(_suffix(top.blob), top.blob)
        if other != top.blob:
            fact = f'its outputs "{other}" and "{top.blob}" would have the same labels and loss'
            remedy = "name them score_..., or remove one"
            raise NetError(f"{path}: {fact}; {remedy}")


def _suffix(score: str) -> str:
    """What a head's layers end in: "_sem" for "score_sem", nothing for "score"."""
    return score.removeprefix("score") if score.startswith("score_") else ""


def solver(
    net: str, *, kind: str = SGD, cpu: bool = False, prefix: str = "fcn", style: Style = Style()
) -> Prototxt:
    """A solver for the train_val net at path `net`, with the loss averaged over pixels.

    The rates of "sgd" are those that the FCN authors published for a normalised
    loss (voc-fcn-alexnet): 1e-4, momentum 0.9, 20 images a step.  "adam" is for
    short trainings: one image a step, from 3e-4 down to nothing at max_iter.

    Raises NetError where there is no such kind.
    """
    if kind not in SOLVERS:
        raise NetError(f'solver "{kind}": is not one of {", ".join(SOLVERS)}')
    long, every, snapshot = (100000, 1000, 4000) if kind == SGD else (2000, 500, 500)
    fields: Pairs = [
        ("net", net),
        ("test_iter", 100),
        ("test_interval", every),
        ("test_initialization", False),
        *_RATES[kind],
        ("weight_decay", 0.0005),
        ("max_iter", long),
        ("display", 20),
        ("average_loss", 20),
        ("snapshot", snapshot),
        ("snapshot_prefix", prefix),
        ("solver_mode", Word("CPU" if cpu else "GPU")),
    ]
    return parse(render(fields, style), "solver.prototxt")


_RATES: dict[str, Pairs] = {
    SGD: [("base_lr", Word("1e-4")), ("lr_policy", "fixed"), ("momentum", 0.9), ("iter_size", 20)],
    ADAM: [
        ("type", "Adam"),
        ("base_lr", Word("3e-4")),
        ("lr_policy", "poly"),
        ("power", 1),
        ("momentum", 0.9),
        ("momentum2", 0.999),
        ("iter_size", 1),
    ],
}


def _data(net: Prototxt, graph: Graph, images: Images) -> list[Edit]:
    """Data layers in place of the Input layer or the net-level input fields."""
    top = graph.inputs[0]
    field = graph.producer(top).field
    images.check(net, graph.producer(top).input_shapes[top.index])
    labels = [f"label{_suffix(output.blob)}" for output in graph.outputs]
    layers = [
        data_layer(
            blob, phase, images.source(f"{short}_{kind}_lmdb"), images if kind == "image" else None
        )
        for phase, short in (("TRAIN", "train"), ("TEST", "val"))
        for blob, kind in ((top.blob, "image"), *((label, label) for label in labels))
    ]
    return instead_of_input(net, field, layers, "train")


def data_layer(blob: str, phase: str | None, source: str, images: Images | None) -> Pairs:
    """A Data layer for one LMDB, in one phase or in all; `images` says what is taken off pixels."""
    transform: Pairs = []
    if images and images.scale != 1:
        transform.append(("scale", images.scale))
    if images:
        transform += [("mean_value", value) for value in images.mean]
    return [
        ("name", blob),
        ("type", "Data"),
        ("top", blob),
        *([("include", [("phase", Word(phase))])] if phase else []),
        *([("transform_param", transform)] if transform else []),
        ("data_param", [("source", source), ("batch_size", 1), ("backend", Word("LMDB"))]),
    ]


def _of_frozen(graph: Graph, layer: Layer) -> bool:
    """Whether it has the factors of a BatchNorm whose statistics are not to change.

    Published trunks are trained so: with one image a pass Caffe would not even
    add up these gradients.
    """
    if layer.view.has("param") or len(layer.bottoms) != 1 or not of(layer).learns:
        return False
    maker = graph.producer(layer.bottoms[0])
    mine, its = of(layer).affine(layer), of(maker).affine(maker)
    if mine is None or mine.mean is not None or its is None or its.mean is None:
        return False
    return bool(maker.param(of(maker).message).get("use_global_stats"))


def _kept(frozen: Sequence[Layer]) -> Step:
    many = f", here and in {number_of(len(frozen) - 1, 'other layer')}" if len(frozen) > 1 else ""
    why = (
        "like the statistics of the BatchNorm before it, it does not learn (use_global_stats: true)"
    )
    what = f"{frozen[0].type} with lr_mult 0{many}"
    return Step("change", frozen[0].name, frozen[0].line, what, why)


def _learning(net: Prototxt, layer: Layer, bias_rate: float) -> list[Edit]:
    if layer.view.has("param"):
        return []
    rates = FIXED * 2 if of(layer).spreads else learning(bias_rate)
    blobs = 2 if has_bias(layer) else 1
    return [inside(layer.field, rates[:blobs], net.style, f'let "{layer.name}" learn')]


def _filling(net: Prototxt, layer: Layer, filler: str, refill: bool, zero: bool) -> list[Edit]:
    message = of(layer).message
    kind = "constant" if zero else filler
    has = layer.param(message).has("weight_filler") and (zero or not refill)
    if of(layer).spreads or has or kind == "keep":
        return []
    fields = [("weight_filler", [("type", kind)])]
    return set_param(
        layer, message, fields, net.style, replacing=("weight_filler",), why=f'fill "{layer.name}"'
    )


def _head(score: str, ignore: int) -> list[Pairs]:
    label, loss, accuracy = (f"{name}{_suffix(score)}" for name in ("label", "loss", "accuracy"))
    return [
        [
            ("name", loss),
            ("type", "SoftmaxWithLoss"),
            ("bottom", score),
            ("bottom", label),
            ("top", loss),
            ("loss_param", [("ignore_label", ignore), ("normalize", True)]),
        ],
        [
            ("name", accuracy),
            ("type", "Accuracy"),
            ("bottom", score),
            ("bottom", label),
            ("top", accuracy),
            ("include", [("phase", Word("TEST"))]),
            ("accuracy_param", [("ignore_label", ignore)]),
        ],
    ]
