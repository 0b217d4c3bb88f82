"""The layer types that the engine runs as Caffe does: one entry per type in LAYERS.

To add a type, add its entry: the function that builds it, and what its
parameters are filled with where no file has them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from fcnkit.engines.torch.layers import (
    boxes,
    forks,
    losses,
    names,
    normal,
    pointwise,
    rearrange,
    windows,
)
from fcnkit.engines.torch.layers.filling import (
    Fill,
    dummy_data,
    factors,
    norms,
    nothing,
    slopes,
    statistics,
    summands,
    weights,
    with_factors,
    zeros,
)
from fcnkit.engines.torch.layers.names import named
from fcnkit.engines.torch.layers.site import Run, Site
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.forks import BATCH_NORM_FACTORS


@dataclass(frozen=True)
class Kind:
    """How one Caffe layer type is run.

    build(site): the function from bottoms and parameters to tops.
    fills(layer): what each parameter begins with.
    learns: whether a solver changes the parameters, where the net does not say.
    loss: whether its first top is part of the loss, where the net does not say.
    over(site): as `build`, where its bottom may be written over; None where it never is.
    adds(site): what adds the gradient of its first parameter to what is held, from its bottom
        and the top's gradient, and so needs no room for it; None for PyTorch's own.
    names(layer): what its parameters are called in a module; the others by their numbers.
    heeds: the fields that forks add to its message and that `build` computes as they do.
    """

    build: Callable[[Site], Run]
    fills: Callable[[Layer], Sequence[Fill | None]] = nothing
    learns: bool = True
    loss: bool = False
    over: Callable[[Site], Run] | None = None
    adds: Callable[[Site], Callable[[Tensor, Tensor, Tensor], None]] | None = None
    names: Callable[[Layer], Sequence[str]] = named("weight", "bias")
    heeds: frozenset[str] = frozenset()


# What DeepLab calls dilation, and how forks say that a pooling's size is rounded down.
_HOLES = frozenset(("hole", "hole_h", "hole_w"))
_SIDES = frozenset(("pad_type", "pad_l", "pad_r", "pad_t", "pad_b"))
_RELU = frozenset(("relu", "negative_slope"))
_FLOOR = frozenset(("ceil_mode", "torch_pooling"))


LAYERS: dict[str, Kind] = {
    # Windows.
    "Convolution": Kind(
        windows.convolution, weights("convolution_param"), heeds=_HOLES | _SIDES | _RELU
    ),
    "Deconvolution": Kind(windows.deconvolution, weights("convolution_param")),
    "Pooling": Kind(windows.pooling, heeds=_FLOOR | _SIDES),
    "Im2col": Kind(windows.im2col),
    # One value from one value.
    "ReLU": Kind(pointwise.relu, over=pointwise.relu_over, heeds=frozenset(("relu6",))),
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
        normal.batch_norm,
        with_factors,
        learns=False,
        heeds=BATCH_NORM_FACTORS,
        names=named("mean", "variance", "factor", "weight", "bias"),
    ),
    "Scale": Kind(normal.scale, factors, names=names.factors),
    "Bias": Kind(normal.bias, summands, names=named("bias")),
    "InnerProduct": Kind(
        normal.inner_product, weights("inner_product_param"), adds=normal.add_weights
    ),
    "Embed": Kind(normal.embed, weights("embed_param")),
    "Parameter": Kind(normal.parameter, zeros, names=named("value")),
    # Joining and cutting.
    "Concat": Kind(rearrange.concat),
    "Slice": Kind(rearrange.slices),
    "Split": Kind(rearrange.split),
    "Crop": Kind(rearrange.crop),
    "Flatten": Kind(rearrange.flatten),
    "Reshape": Kind(forks.reshape, heeds=frozenset(("pixelshuffler",))),
    "Tile": Kind(rearrange.tile),
    "Reduction": Kind(rearrange.reduction),
    "ArgMax": Kind(rearrange.argmax),
    "BatchReindex": Kind(rearrange.batch_reindex),
    # Of forks.
    "DepthwiseConvolution": Kind(windows.depthwise, weights("convolution_param"), heeds=_HOLES),
    "ConvolutionDepthwise": Kind(windows.depthwise, weights("convolution_param"), heeds=_HOLES),
    "ReLU6": Kind(forks.relu6),
    "HardSwish": Kind(forks.hard_swish),
    "Mish": Kind(forks.mish),
    "Axpy": Kind(forks.axpy),
    "Add": Kind(forks.add, zeros),
    "Mul": Kind(forks.mul, zeros),
    "Normalize": Kind(forks.normalize, norms),
    "BN": Kind(forks.bn, statistics),
    "Permute": Kind(forks.permute),
    "ShuffleChannel": Kind(forks.shuffle_channel),
    "Squeeze": Kind(rearrange.squeeze),
    "Padding": Kind(forks.padding),
    "Pad": Kind(forks.pad),
    "DepthToSpace": Kind(forks.depth_to_space),
    "Interp": Kind(forks.interp),
    "Upsample": Kind(forks.upsample),
    "UpsampleDarknet": Kind(forks.upsample_darknet),
    "ResizeNearestNeighbor": Kind(forks.resize_nearest),
    "PriorBox": Kind(boxes.prior_box),
    "DetectionOutput": Kind(boxes.detection_output),
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
