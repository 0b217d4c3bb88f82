"""Which messages of a layer its type reads: what stands in another one is ignored by Caffe."""

from functools import cache

from fcnkit.formats import schema
from fcnkit.formats.prototxt import Field
from fcnkit.nets.layers.old_names import V1_TYPES
from fcnkit.nets.layers.table import CAFFE

_DATA, _LOSS = ("transform_param",), ("loss_param",)
# What a type reads beside the message that has its name.
_MORE = {
    "Data": _DATA,
    "ImageData": _DATA,
    "MemoryData": _DATA,
    "WindowData": _DATA,
    "Deconvolution": ("convolution_param",),
    "Im2col": ("convolution_param",),
    "LSTM": ("recurrent_param",),
    "RNN": ("recurrent_param",),
    "SoftmaxWithLoss": ("softmax_param", *_LOSS),
    "SigmoidCrossEntropyLoss": ("sigmoid_param", *_LOSS),
    "InfogainLoss": ("softmax_param", *_LOSS),
    "ContrastiveLoss": _LOSS,
    "EuclideanLoss": _LOSS,
    "HingeLoss": _LOSS,
    "MultinomialLogisticLoss": _LOSS,
    # Not read, but often left there by the loss that it stands for: no slip.
    "Softmax": _LOSS,
}


@cache
def messages() -> frozenset[str]:
    """The messages that are for some types only."""
    return frozenset(
        slot.name
        for slot in schema.slots("LayerParameter").values()
        if slot.name.endswith("_param")
    )


@cache
def read_by(kind: str) -> tuple[str, ...]:
    """The messages that a type of Caffe's reads; () for any other type."""
    own = tuple(
        name for name in messages() if name.removesuffix("_param").replace("_", "") == kind.lower()
    )
    return own + _MORE.get(kind, ()) if kind in CAFFE else ()


def type_of(layer: Field) -> str:
    """The type that a layer's text gives, as V2 calls it; "" where it gives none."""
    written = layer.last("type")
    word = written.raw.strip("\"'") if written else ""
    return V1_TYPES.get(word, word)
