"""The layer types that the engine runs as Caffe does: one entry per type in LAYERS.

To add a type, add its entry: the function that builds it, and what its
parameters are filled with where no file has them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fcnkit.engines.torch.layers import losses, names, normal, pointwise, rearrange, windows
from fcnkit.engines.torch.layers.filling import (
    Fill,
    dummy_data,
    factors,
    nothing,
    slopes,
    summands,
    weights,
    zeros,
)
from fcnkit.engines.torch.layers.names import named
from fcnkit.engines.torch.layers.site import Run, Site
from fcnkit.nets.graph import Layer


@dataclass(frozen=True)
class Kind:
    """How one Caffe layer type is run.

    build(site): the function from bottoms and parameters to tops.
    fills(layer): what each parameter begins with.
    learns: whether a solver changes the parameters, where the net does not say.
    loss: whether its first top is part of the loss, where the net does not say.
    over(site): as `build`, where its bottom may be written over; None where it never is.
    names(layer): what its parameters are called in a module; the others by their numbers.
    """

    build: Callable[[Site], Run]
    fills: Callable[[Layer], Sequence[Fill]] = nothing
    learns: bool = True
    loss: bool = False
    over: Callable[[Site], Run] | None = None
    names: Callable[[Layer], Sequence[str]] = named("weight", "bias")


LAYERS: dict[str, Kind] = {
    # Windows.
    "Convolution": Kind(windows.convolution, weights("convolution_param")),
    "Deconvolution": Kind(windows.deconvolution, weights("convolution_param")),
    "Pooling": Kind(windows.pooling),
    "Im2col": Kind(windows.im2col),
    # One value from one value.
    "ReLU": Kind(pointwise.relu, over=pointwise.relu_over),
    "PReLU": Kind(normal.prelu, slopes),
    "ELU": Kind(pointwise.elu),
    "Sigmoid": Kind(pointwise.sigmoid),
    "TanH": Kind(pointwise.tanh),
    "Swish": Kind(pointwise.swish),
    "Clip": Kind(pointwise.clip),
    "AbsVal": Kind(pointwise.absolute),
    "BNLL": Kind(pointwise.bnll),
    "Power": Kind(pointwise.power),
    "Exp": Kind(pointwise.exp),
    "Log": Kind(pointwise.logarithm),
    "Threshold": Kind(pointwise.threshold),
    "Dropout": Kind(pointwise.dropout),
    "Softmax": Kind(normal.softmax),
    "Eltwise": Kind(pointwise.eltwise),
    # Normalisation and learned factors.
    "LRN": Kind(normal.lrn),
    "MVN": Kind(normal.mvn),
    "BatchNorm": Kind(
        normal.batch_norm, zeros, learns=False, names=named("mean", "variance", "factor")
    ),
    "Scale": Kind(normal.scale, factors, names=names.factors),
    "Bias": Kind(normal.bias, summands, names=named("bias")),
    "InnerProduct": Kind(normal.inner_product, weights("inner_product_param")),
    "Embed": Kind(normal.embed, weights("embed_param")),
    "Parameter": Kind(normal.parameter, zeros, names=named("value")),
    # Joining and cutting.
    "Concat": Kind(rearrange.concat),
    "Slice": Kind(rearrange.slices),
    "Split": Kind(rearrange.split),
    "Crop": Kind(rearrange.crop),
    "Flatten": Kind(rearrange.flatten),
    "Reshape": Kind(rearrange.reshape),
    "Tile": Kind(rearrange.tile),
    "Reduction": Kind(rearrange.reduction),
    "ArgMax": Kind(rearrange.argmax),
    "BatchReindex": Kind(rearrange.batch_reindex),
    # Where results go.
    "Silence": Kind(rearrange.silence),
    "SoftmaxWithLoss": Kind(losses.softmax_loss, loss=True),
    "InfogainLoss": Kind(losses.infogain_loss, loss=True),
    "SigmoidCrossEntropyLoss": Kind(losses.sigmoid_loss, loss=True),
    "EuclideanLoss": Kind(losses.euclidean_loss, loss=True),
    "HingeLoss": Kind(losses.hinge_loss, loss=True),
    "MultinomialLogisticLoss": Kind(losses.multinomial_loss, loss=True),
    "ContrastiveLoss": Kind(losses.contrastive_loss, loss=True),
    "Accuracy": Kind(losses.accuracy),
    # Where data comes from; what comes from outside is in SOURCES.
    "DummyData": Kind(dummy_data),
}

SOURCES = ("Input", "Data", "ImageData", "HDF5Data", "MemoryData", "WindowData")
"""The layer types whose tops are given to the net, as a Python layer's without bottoms are."""


def is_source(layer: Layer) -> bool:
    """Whether the layer's tops are given to the net."""
    return layer.type in SOURCES or layer.type == "Python" and not layer.bottoms
