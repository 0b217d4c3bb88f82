"""How each layer type is exported: one entry per type in OPERATORS.

To add a type, add its entry: a function of a Site that gives the names of the
layer's tops.  Sizes, defaults and refusals of what Caffe refuses are those of
`nets.layers`.
"""

from collections.abc import Callable

from fcnkit.exporting import normal, pointwise, rearrange, windows
from fcnkit.exporting.draft import Site
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.replacements import in_its_place
from fcnkit.nets.layers.strange_fields import fork_fields
from fcnkit.nets.layers.table import trait
from fcnkit.nets.layers.traits import Trait

OPERATORS: dict[str, Callable[[Site], list[str]]] = {
    # Windows, and every value from every value.
    "Convolution": windows.convolution,
    "DepthwiseConvolution": windows.convolution,
    "ConvolutionDepthwise": windows.convolution,
    "Deconvolution": windows.deconvolution,
    "Pooling": windows.pooling,
    "Interp": windows.interp,
    "LRN": normal.lrn,
    "InnerProduct": normal.inner_product,
    "Embed": normal.embed,
    # One value from one value.
    "ReLU": pointwise.relu,
    "ReLU6": pointwise.relu6,
    "PReLU": normal.prelu,
    "ELU": pointwise.elu,
    "Sigmoid": pointwise.node("Sigmoid"),
    "TanH": pointwise.node("Tanh"),
    "AbsVal": pointwise.node("Abs"),
    "BNLL": pointwise.node("Softplus"),
    "Swish": pointwise.swish,
    "Clip": pointwise.clip,
    "Power": pointwise.power,
    "Exp": pointwise.exp,
    "Log": pointwise.log,
    "Threshold": pointwise.threshold,
    "Dropout": pointwise.same,
    "Split": pointwise.same,
    # Normalisation and learned factors.
    "Softmax": normal.softmax,
    "BatchNorm": normal.batch_norm,
    "Scale": normal.scale,
    "Bias": normal.bias,
    "MVN": normal.mvn,
    # Joining, cutting, counting.
    "Concat": rearrange.concat,
    "Slice": rearrange.slices,
    "Crop": rearrange.crop,
    "Flatten": rearrange.flatten,
    "Reshape": rearrange.reshape,
    "Tile": rearrange.tile,
    "Permute": rearrange.permute,
    "BatchReindex": rearrange.batch_reindex,
    "Eltwise": pointwise.eltwise,
    "Axpy": pointwise.axpy,
    "Reduction": rearrange.reduction,
    "ArgMax": rearrange.argmax,
}

_LEFT_OUT = {
    Trait.LOSS: "a loss is for training",
    Trait.JUDGE: "it compares outputs with labels",
    Trait.SINK: "nothing comes out of it",
}


def left_out(layer: Layer) -> str:
    """Why a deployed net does without this layer; "" for one that is exported or refused."""
    return "" if layer.type in OPERATORS else _LEFT_OUT.get(trait(layer), "")


def check(layer: Layer) -> None:
    """The layer can be exported, as far as its type and its fields tell.

    Raises NetError with layer, type and line where it cannot.
    """
    if layer.type not in OPERATORS:
        raise layer.error(f"type {layer.type}: {_unknown(layer)}")
    for field, fork in fork_fields(layer):
        whose = f"the fork {fork}" if fork else "no Caffe that is known"
        fact = f"{field.name} is a field of {whose}, which the export does not know"
        raise layer.error(f"type {layer.type}: {fact}; {in_its_place(field) or 'remove it'}")


def _unknown(layer: Layer) -> str:
    if trait(layer) is Trait.SOURCE and not layer.bottoms:
        return "data layers belong to training; give the deploy net, with an Input in its place"
    return "fcnkit cannot export it to ONNX; export a blob before it (--blob)"
