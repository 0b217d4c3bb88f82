"""How each layer type is exported: one entry per type in OPERATORS, what is left out in LEFT_OUT.

To add a type, add its entry: a function of a Site that gives the names of the
layer's tops.  Sizes, defaults and refusals of what Caffe refuses are those of
`nets.layertypes`.
"""

import re
from collections.abc import Callable, Iterator

from fcnkit.exporting import pointwise, rearrange, windows
from fcnkit.exporting.draft import Site
from fcnkit.formats import schema
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.table import CAFFE

OPERATORS: dict[str, Callable[[Site], list[str]]] = {
    # Windows, and every value from every value.
    "Convolution": windows.convolution,
    "DepthwiseConvolution": windows.convolution,
    "ConvolutionDepthwise": windows.convolution,
    "Deconvolution": windows.deconvolution,
    "Pooling": windows.pooling,
    "Interp": windows.interp,
    "LRN": windows.lrn,
    "InnerProduct": windows.inner_product,
    "Embed": windows.embed,
    # One value from one value.
    "ReLU": pointwise.relu,
    "ReLU6": pointwise.relu6,
    "PReLU": pointwise.prelu,
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
    "Softmax": pointwise.softmax,
    "BatchNorm": pointwise.batch_norm,
    "Scale": pointwise.scale,
    "Bias": pointwise.bias,
    "MVN": pointwise.mvn,
    # Joining, cutting, counting.
    "Concat": rearrange.concat,
    "Slice": rearrange.slices,
    "Crop": rearrange.crop,
    "Flatten": rearrange.flatten,
    "Reshape": rearrange.reshape,
    "Tile": rearrange.tile,
    "Permute": rearrange.permute,
    "BatchReindex": rearrange.batch_reindex,
    "Eltwise": rearrange.eltwise,
    "Axpy": rearrange.axpy,
    "Reduction": rearrange.reduction,
    "ArgMax": rearrange.argmax,
}

_LOSS = "a loss is for training"
LEFT_OUT: dict[str, str] = {
    "SoftmaxWithLoss": _LOSS,
    "InfogainLoss": _LOSS,
    "SigmoidCrossEntropyLoss": _LOSS,
    "EuclideanLoss": _LOSS,
    "HingeLoss": _LOSS,
    "MultinomialLogisticLoss": _LOSS,
    "ContrastiveLoss": _LOSS,
    "Accuracy": "it judges outputs by labels",
    "Silence": "it makes nothing",
    "HDF5Output": "it writes a file",
}
"""Layers that a deployed net does without, and why."""

# Fields of forks that say how to compute, or what `nets` heeds already.
_HEEDED = {
    "engine",
    "hole",
    "hole_h",
    "hole_w",
    "pad_type",
    "pad_t",
    "pad_l",
    "pad_b",
    "pad_r",
    "ceil_mode",
    "torch_pooling",
    "forward_type",
    "backward_type",
    "forward_math",
    "backward_math",
}


def check(layer: Layer) -> None:
    """The layer can be exported, as far as its type and its fields tell.

    Raises NetError with layer, type and line where it cannot.
    """
    if layer.type not in OPERATORS:
        raise layer.error(f"type {layer.type}: {_unknown(layer.type)}")
    for name, fork in _fork_fields(layer):
        fact = f"{name} is a field of {f'the fork {fork}' if fork else 'no Caffe that is known'}"
        raise layer.error(f"type {layer.type}: {fact}, and the export does not heed it; remove it")


def _unknown(kind: str) -> str:
    if kind in CAFFE and re.search("Data$", kind):
        return "data layers belong to training; give the deploy net, with an Input in its place"
    return "it has no export to ONNX; export a blob before it (--blob)"


def _fork_fields(layer: Layer) -> Iterator[tuple[str, str | None]]:
    """The fields that a fork adds to a layer of Caffe's, and that change what it computes."""
    if layer.type not in CAFFE:
        return
    for param in (field for field in layer.field.fields or () if field.name.endswith("_param")):
        message = schema.slots("LayerParameter").get(param.name)
        if message is None or param.name == "transform_param":
            continue
        for field, _ in schema.unknown(message.message, param):
            if field.name not in _HEEDED:
                yield field.name, schema.fork_of(message.message, field.name)
