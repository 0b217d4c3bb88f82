"""The layers that an FCN adds, written as the FCN authors write them, and a Plan to add them."""

from collections.abc import Sequence

from fcnkit.formats.prototxt import Prototxt, Word
from fcnkit.nets.graph import build
from fcnkit.nets.layers.table import of
from fcnkit.nets.shapes import shapes_of
from fcnkit.plan import Move, Offset, Plan, Step
from fcnkit.plural import number_of
from fcnkit.rewrites.changes import appended
from fcnkit.rewrites.taps import each_axis, kernel_fields

Pairs = list[tuple[str, object]]

# Caffe's custom: biases learn at twice the solver's rate.
BIAS_RATE = 2


def learning(bias_rate: float = BIAS_RATE) -> Pairs:
    """Weights learn at the solver's rate and decay,
    biases at `bias_rate` times the rate without decay.
    """
    rates = (1, 1), (bias_rate, 0)
    return [("param", [("lr_mult", rate), ("decay_mult", decay)]) for rate, decay in rates]


LEARN = learning()
FIXED: Pairs = [("param", [("lr_mult", 0)])]


def score_layer(name: str, bottom: str, classes: int) -> Pairs:
    """A 1 x 1 Convolution that scores classes; without fillers it starts from zero."""
    return [
        ("name", name),
        ("type", "Convolution"),
        ("bottom", bottom),
        ("top", name),
        *LEARN,
        ("convolution_param", [("num_output", classes), ("kernel_size", 1)]),
    ]


def upscore_layer(
    name: str,
    bottom: str,
    classes: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    *,
    group: bool,
    pad: Sequence[int] = (0, 0),
) -> Pairs:
    """A bilinear Deconvolution that does not learn.

    Grouped, each class has its own plane and Caffe's bilinear filler.  Dense there
    is no filler, since Caffe's would mix the classes; nor where the kernel is not
    square, since Caffe's is for square ones.
    """
    filled = (group or classes == 1) and len(set(kernel)) == 1
    return [
        ("name", name),
        ("type", "Deconvolution"),
        ("bottom", bottom),
        ("top", name),
        *FIXED,
        (
            "convolution_param",
            [
                ("num_output", classes),
                *([("group", classes)] if group and classes > 1 else []),
                ("bias_term", False),
                *(each_axis("pad", pad) if any(pad) else []),
                *kernel_fields(kernel),
                *each_axis("stride", stride),
                *([("weight_filler", [("type", "bilinear")])] if filled else []),
            ],
        ),
    ]


def crop_layer(crop: Offset) -> Pairs:
    """A Crop layer; axis and offset are always written, since other tools centre one without."""
    values = crop.offset[:1] if len(set(crop.offset)) == 1 else crop.offset
    return [
        ("name", crop.layer),
        ("type", "Crop"),
        ("bottom", crop.cropped),
        ("bottom", crop.reference),
        ("top", crop.layer),
        ("crop_param", [("axis", 4 - len(crop.offset)), *(("offset", value) for value in values)]),
    ]


def fuse_layer(name: str, first: str, second: str) -> Pairs:
    """The sum of two blobs."""
    return [
        ("name", name),
        ("type", "Eltwise"),
        ("bottom", first),
        ("bottom", second),
        ("top", name),
        ("eltwise_param", [("operation", Word("SUM"))]),
    ]


def scale_layer(name: str, bottom: str, factor: float) -> Pairs:
    """A fixed factor."""
    return [
        ("name", name),
        ("type", "Scale"),
        ("bottom", bottom),
        ("top", name),
        *FIXED,
        ("scale_param", [("filler", [("type", "constant"), ("value", factor)])]),
    ]


def added(
    net: Prototxt, layers: Sequence[tuple[Pairs, str]], offsets: Sequence[Offset] = ()
) -> Plan:
    """The plan that writes these layers, each with its reason, at the end of the net.

    New Convolutions start from zero and Deconvolutions bilinear.
    """
    after = with_layers(net, [layer for layer, _ in layers])
    graph = build(after)
    shapes = shapes_of(graph)
    steps, moves = [], []
    for layer, why in layers:
        given = dict(layer)
        name = str(given["name"])
        steps.append(Step("insert", name, None, _describe(given), why))
        # A Scale's parameters are left to its filler.
        new = graph.layer(name)
        if of(new).linear:
            how = "bilinear" if of(new).spreads else "zero"
            blobs = shapes.blobs(new) or ()
            moves += [Move(new.name, at, shape, how=how) for at, shape in enumerate(blobs)]
    return Plan(net, after, tuple(steps), tuple(moves), tuple(offsets))


def with_layers(net: Prototxt, layers: Sequence[Pairs]) -> Prototxt:
    """The net with these layers at its end."""
    last = net.root.all("layer", "layers")[-1]
    return net.edit([appended(net, last, layers, "add layers")])


_AXES = (
    ("kernel_size", "kernel_h", "kernel_w"),
    ("stride", "stride_h", "stride_w"),
    ("pad", "pad_h", "pad_w"),
)


def _said(param: dict, *names: str) -> str:
    return "x".join(str(param[name]) for name in names if name in param)


def _describe(layer: dict) -> str:
    param = dict(layer.get("convolution_param", ()))
    if layer["type"] == "Deconvolution":
        kernel, stride, pad = (_said(param, *names) for names in _AXES)
        return f"Deconvolution, kernel {kernel}, stride {stride}{pad and ', pad '}{pad}, bilinear"
    if "crop_param" in layer:
        offset = [value for name, value in layer["crop_param"] if name == "offset"]
        return f"Crop, offset {'x'.join(map(str, offset))}"
    if "scale_param" in layer:
        return f"Scale, {dict(dict(layer['scale_param'])['filler'])['value']}"
    if param:
        return f"Convolution 1x1 of {layer['bottom']}, {number_of(param['num_output'], 'class')}"
    return f"{layer['type']}, sum"
