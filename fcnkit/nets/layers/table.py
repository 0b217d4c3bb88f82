"""What a layer type is: one entry per type in TYPES, what BVLC Caffe 1.0 has and what forks add.

To add a type, add its entry, here or in fork_table.py; see LayerType for what
there is to say, and leave out what is as usual.  Its rules, functions of a
Layer and the shapes of its bottoms, stand in the file of its family and are
those of Caffe's layer of the same name.
"""

from fractions import Fraction
from typing import Any

from fcnkit.errors import NetError
from fcnkit.nets.graph import Layer, Top
from fcnkit.nets.layers import forks, losses, normal, pointwise, rearrange, sources, windows
from fcnkit.nets.layers.fork_table import FORKS
from fcnkit.nets.layers.traits import (
    MANY,
    Facts,
    LayerType,
    Trait,
    every,
    no_tops,
    none,
    point,
    second,
    unmoved,
    yes,
)
from fcnkit.shape import Shape

_IN: Facts = {"bottoms": (0, 0)}
_UNSAID: Facts = {**_IN, "unknown": sources.IN_DATA}
_DATA: Facts = {**_UNSAID, "reads": ("transform_param",), "beside": sources.labels_alike}
_SAME: Facts = {"coord": unmoved, "window": point}
_SAME_ZERO: Facts = {**_SAME, "keeps_zero": yes}
_COPY: Facts = {"identity": yes, "keeps_zero": yes}
_SLIDING: Facts = {"coord": windows.convolution_coord, "window": windows.convolution_window}
_FILTER: Facts = {
    "outputs": "num_output",
    "neutral": windows.HEEDED,
    "carriers": every,
    "bottoms": (1, MANY),
    "tops": (1, MANY),
    "paired": True,
    "keeps_zero": windows.without_bias,
}
_ARRANGED: Facts = {"window": point, "keeps_zero": yes}
_GATED: Facts = {"indices": normal.recurrent_indices, "gated": True}
_LOSS: Facts = {"reads": ("loss_param",), "bottoms": (2, 2), "tops": (0, 1)}
_ITEMS: Facts = {**_LOSS, "labelled": True, "ignores": False}
_SCORED: Facts = {
    "reads": ("loss_param",), "labelled": True, "predicts": "Softmax",
    "bottoms": (2, 3), "tops": (0, 2)
}  # fmt: skip

_CAFFE = (
    # Where data comes from.
    LayerType(
        "Input", Trait.SOURCE, "input_param", sources.given,
        tops=(1, MANY), unknown="the prototxt gives it no shape", **_IN
    ),
    LayerType(
        "DummyData", Trait.SOURCE, "dummy_data_param", sources.dummy,
        tops=(1, MANY), beside=sources.dummy_alike, **_IN
    ),
    LayerType("Data", Trait.SOURCE, "data_param", sources.data, tops=(1, 2), **_DATA),
    LayerType(
        "ImageData", Trait.SOURCE, "image_data_param", sources.image_data, tops=(2, 2), **_DATA
    ),
    LayerType(
        "WindowData", Trait.SOURCE, "window_data_param", sources.window_data, tops=(2, 2), **_DATA
    ),
    LayerType(
        "MemoryData", Trait.SOURCE, "memory_data_param", sources.memory_data, tops=(2, 2), **_DATA
    ),
    LayerType(
        "HDF5Data", Trait.SOURCE, "hdf5_data_param", sources.unsaid, tops=(1, MANY), **_UNSAID
    ),
    LayerType(
        "Parameter", Trait.SOURCE, "parameter_param", normal.parameter, normal.parameter,
        overwrites=normal.parameter_overwrites, **_IN
    ),
    LayerType(
        "Python", Trait.OPAQUE, "python_param", sources.unsaid, bottoms=(0, MANY), tops=(0, MANY),
        unknown="a Python layer sets the size of its tops at run time"
    ),
    # Windows.
    LayerType(
        "Convolution", Trait.MIXES, "convolution_param", windows.convolution,
        windows.convolution_blobs, macs=windows.convolution_macs,
        columns=windows.convolution_columns, **_SLIDING, **_FILTER
    ),
    LayerType(
        "Deconvolution", Trait.MIXES, "convolution_param", windows.deconvolution,
        windows.deconvolution_blobs, coord=windows.deconvolution_coord,
        window=windows.deconvolution_window, macs=windows.deconvolution_macs,
        columns=windows.deconvolution_columns, output_axis=windows.outputs_second,
        spreads=True, **_FILTER
    ),
    LayerType(
        "Pooling", Trait.PLACES, "pooling_param", windows.pooling,
        neutral=windows.HEEDED, tops=(1, 2), keeps_zero=yes, picks=windows.takes_largest,
        unknown=windows.STRANGE, **_SLIDING
    ),
    LayerType(
        "Im2col", Trait.ARRANGES, "convolution_param", windows.im2col, keeps_zero=yes, **_SLIDING
    ),
    LayerType("SPP", Trait.PLACES, "spp_param", windows.spp, channels=none, keeps_zero=yes),
    # One value from one value.
    LayerType(
        "ReLU", Trait.VALUE, "relu_param",
        range=pointwise.relu_bounds, **_SAME_ZERO
    ),
    LayerType("ELU", Trait.VALUE, "elu_param", range=pointwise.elu_bounds, **_SAME_ZERO),
    LayerType("Sigmoid", Trait.VALUE, "sigmoid_param", range=pointwise.unit_bounds, **_SAME),
    LayerType("TanH", Trait.VALUE, "tanh_param", range=pointwise.sign_bounds, **_SAME_ZERO),
    LayerType("Swish", Trait.VALUE, "swish_param", **_SAME_ZERO),
    LayerType(
        "Clip", Trait.VALUE, "clip_param",
        range=pointwise.clip_bounds, keeps_zero=pointwise.clip_of_zero, **_SAME
    ),
    LayerType(
        "AbsVal", Trait.VALUE, "", pointwise.like_elsewhere,
        range=pointwise.positive_bounds, **_SAME_ZERO
    ),
    LayerType("BNLL", Trait.VALUE, range=pointwise.positive_bounds, **_SAME),
    LayerType(
        "Power", Trait.VALUE, "power_param",
        range=pointwise.power_bounds, keeps_zero=pointwise.power_of_zero, **_SAME
    ),
    LayerType("Exp", Trait.VALUE, "exp_param", range=pointwise.positive_bounds, **_SAME),
    LayerType("Log", Trait.VALUE, "log_param", keeps_zero=pointwise.log_of_zero, **_SAME),
    LayerType(
        "Threshold", Trait.VALUE, "threshold_param",
        range=pointwise.unit_bounds, keeps_zero=pointwise.threshold_of_zero, **_SAME
    ),
    LayerType("Dropout", Trait.VALUE, "dropout_param", identity=yes, **_SAME_ZERO),
    LayerType("Split", Trait.VALUE, tops=(1, MANY), identity=yes, shares=True, **_SAME_ZERO),
    LayerType(
        "Eltwise", Trait.VALUE, "eltwise_param", pointwise.eltwise,
        carriers=every, bottoms=(2, MANY), picks=pointwise.takes_largest,
        ordering=pointwise.eltwise_order, unweighed=pointwise.eltwise_unweighed, **_SAME_ZERO
    ),
    # Learned factors and normalisation.
    LayerType(
        "PReLU", Trait.CHANNEL, "prelu_param", normal.prelu, normal.prelu_blobs,
        slopes=True, **_SAME_ZERO
    ),
    LayerType(
        "BatchNorm", Trait.CHANNEL, "batch_norm_param", normal.batch_norm, forks.batch_norm_blobs,
        affine=forks.batch_norm_affine, affine_heeds=forks.BATCH_NORM_FACTORS, **_SAME
    ),
    LayerType(
        "Scale", Trait.CHANNEL, "scale_param", normal.scale, normal.scale_blobs, bottoms=(1, 2),
        affine=normal.scale_affine, keeps_zero=normal.scale_of_zero,
        overwrites=normal.scale_overwrites, **_SAME
    ),
    LayerType(
        "Bias", Trait.CHANNEL, "bias_param", normal.bias, normal.bias_blobs, bottoms=(1, 2),
        affine=normal.bias_affine, **_SAME
    ),
    LayerType(
        "LRN", Trait.NORMAL, "lrn_param", normal.lrn,
        coord=unmoved, window=normal.lrn_window, keeps_zero=yes
    ),
    LayerType("MVN", Trait.NORMAL, "mvn_param", normal.mvn, coord=unmoved, keeps_zero=yes),
    LayerType(
        "Softmax", Trait.NORMAL, "softmax_param", normal.softmax,
        coord=unmoved, window=normal.softmax_window, range=pointwise.unit_bounds
    ),
    # Every value from every value.
    LayerType(
        "InnerProduct", Trait.MIXES, "inner_product_param", normal.inner_product,
        normal.inner_product_blobs, outputs="num_output",
        macs=normal.inner_product_macs, output_axis=normal.inner_product_axis,
        keeps_zero=normal.inner_product_of_zero
    ),
    LayerType(
        "Embed", Trait.MIXES, "embed_param", normal.embed, normal.embed_blobs,
        outputs="num_output", output_axis=windows.outputs_second, indices=normal.embed_indices
    ),
    LayerType(
        "LSTM", Trait.OPAQUE, "recurrent_param", normal.recurrent, normal.lstm_blobs,
        outputs="num_output", bottoms=(2, 5), tops=(1, 3), **_GATED
    ),
    LayerType(
        "RNN", Trait.OPAQUE, "recurrent_param", normal.recurrent, normal.rnn_blobs,
        outputs="num_output", bottoms=(2, 4), tops=(1, 2), **_GATED
    ),
    LayerType(
        "LSTMUnit", Trait.OPAQUE, "", normal.lstm_unit, bottoms=(3, 3), tops=(2, 2), gated=True
    ),
    LayerType(
        "Reduction", Trait.MIXES, "reduction_param", rearrange.reduction, keeps_zero=yes
    ),
    # Joining, cutting and reordering.
    LayerType(
        "Concat", Trait.ARRANGES, "concat_param", rearrange.concat, coord=rearrange.concat_coord,
        carriers=every, channels=rearrange.concat_channels,
        ordering=rearrange.concat_order,
        bottoms=(1, MANY), **_ARRANGED
    ),
    LayerType(
        "Crop", Trait.ARRANGES, "crop_param", rearrange.crop, coord=rearrange.crop_coord,
        channels=rearrange.crop_channels, sized=second, bottoms=(2, 2), **_ARRANGED
    ),
    LayerType(
        "Slice", Trait.ARRANGES, "slice_param", rearrange.slices, coord=rearrange.slice_coord,
        channels=rearrange.slice_channels, ordering=rearrange.slice_order,
        tops=(1, MANY), **_ARRANGED
    ),
    LayerType(
        "Tile", Trait.ARRANGES, "tile_param", rearrange.tile, coord=rearrange.tile_coord,
        ordering=rearrange.tile_order, **_ARRANGED
    ),
    LayerType("Flatten", Trait.ARRANGES, "flatten_param", rearrange.flatten, shares=True, **_COPY),
    LayerType(
        "Reshape", Trait.ARRANGES, "reshape_param", forks.reshape,
        identity=forks.only_reshapes, shares=True, keeps_zero=yes
    ),
    LayerType(
        "BatchReindex", Trait.ARRANGES, "", rearrange.batch_reindex,
        indices=rearrange.reindexed, coord=unmoved, bottoms=(2, 2), **_ARRANGED
    ),
    LayerType(
        "Filter", Trait.ARRANGES, "", rearrange.filtered,
        indices=rearrange.selector, coord=unmoved, bottoms=(2, MANY), tops=(1, MANY), **_ARRANGED
    ),
    # Where results go.
    LayerType(
        "ArgMax", Trait.JUDGE, "argmax_param", rearrange.argmax,
        coord=rearrange.argmax_coord, window=point
    ),
    LayerType(
        "Accuracy", Trait.JUDGE, "accuracy_param", losses.accuracy,
        labelled=True, range=pointwise.unit_bounds, bottoms=(2, 2), tops=(1, 2)
    ),
    LayerType("Silence", Trait.SINK, "", no_tops, discards=True, bottoms=(1, MANY), tops=(0, 0)),
    LayerType(
        "HDF5Output", Trait.SINK, "hdf5_output_param", no_tops, bottoms=(2, 2), tops=(0, 0)
    ),
    LayerType("SoftmaxWithLoss", Trait.LOSS, "softmax_param", losses.softmax_loss, **_SCORED),
    LayerType(
        "InfogainLoss", Trait.LOSS, "infogain_loss_param", losses.infogain_loss,
        **{**_SCORED, "reads": ("softmax_param", "loss_param")}
    ),
    LayerType(
        "SigmoidCrossEntropyLoss", Trait.LOSS, "sigmoid_param", losses.same_count_loss,
        reads=("loss_param",), predicts="Sigmoid", bottoms=(2, 2), tops=(0, 2)
    ),
    LayerType("EuclideanLoss", Trait.LOSS, "", losses.same_count_loss, **_LOSS),
    LayerType("HingeLoss", Trait.LOSS, "hinge_loss_param", losses.hinge_loss, **_ITEMS),
    LayerType("MultinomialLogisticLoss", Trait.LOSS, "", losses.multinomial_loss, **_ITEMS),
    LayerType(
        "ContrastiveLoss", Trait.LOSS, "contrastive_loss_param", losses.contrastive_loss,
        reads=("loss_param",), bottoms=(3, 3), tops=(0, 1)
    ),
)  # fmt: skip

CAFFE: dict[str, LayerType] = {kind.name: kind for kind in _CAFFE}
TYPES: dict[str, LayerType] = CAFFE | FORKS


# ---- what rewrites and others ask of a layer


def of(layer: Layer) -> LayerType:
    """The entry of this layer's type; one that knows nothing for a type that has none."""
    return TYPES.get(layer.type) or LayerType(
        layer.type,
        Trait.OPAQUE,
        shapes=sources.unsaid,
        bottoms=(0, MANY),
        tops=(0, MANY),
        unknown=f"type {layer.type} is not known to fcnkit",
    )


def trait(layer: Layer) -> Trait:
    """What the layer does to the numbers that it reads."""
    return of(layer).trait


def is_pointwise(layer: Layer) -> bool:
    """Whether each number of its tops is made of one number, at the same place of its one bottom.

    Neither the shape nor the order of the numbers matters to such a layer.
    """
    return trait(layer) is Trait.VALUE and len(layer.bottoms) == 1


def is_loss(layer: Layer) -> bool:
    """Whether the net learns from this layer's tops; an unknown type's name may say so."""
    kind = of(layer)
    named = kind.trait is Trait.OPAQUE and "Loss" in layer.type
    return kind.trait is Trait.LOSS or named or any(layer.view.list("loss_weight"))


def is_softmax_loss(layer: Layer) -> bool:
    """Whether it is the loss of scores against the number of a class, SoftmaxWithLoss."""
    kind = of(layer)
    return kind.trait is Trait.LOSS and kind.message == "softmax_param"


def count_of_outputs(layer: Layer) -> int:
    """How many outputs the layer says that it has; 0 for a type that says none."""
    kind = of(layer)
    return layer.param(kind.message).get(kind.outputs) if kind.outputs else 0


def has_bias(layer: Layer) -> bool:
    """Whether the layer adds a learned number to each output or channel."""
    return bool(_field(layer, "bias_term", False))


def groups_of(layer: Layer) -> int:
    """In how many groups it takes its channels; 1 for a type that has none."""
    return _field(layer, "group", 1)


def transposes(layer: Layer) -> bool:
    """Whether its weights are stored inputs x outputs, as those of some InnerProducts are."""
    return bool(_field(layer, "transpose", False))


def axis_of(layer: Layer) -> int:
    """The axis that the layer works along, as it is written; 1 for a type that has none."""
    return _field(layer, "axis", 1) or 0


def has_field(layer: Layer, name: str) -> bool:
    """Whether the message of the layer's parameters has a field of this name, written or not."""
    message = of(layer).message
    return bool(message) and layer.param(message).knows(name)


def _field(layer: Layer, name: str, default: Any) -> Any:
    return layer.param(of(layer).message).get(name) if has_field(layer, name) else default


def makes_scores(layer: Layer) -> bool:
    """Whether each of its outputs weighs all inputs, as those of Convolution and InnerProduct do.

    A Deconvolution, which spreads them, brings scores to another resolution.
    """
    kind = of(layer)
    return kind.linear and kind.trait is Trait.MIXES and not kind.spreads


def enlarges(layer: Layer) -> bool:
    """Whether its tops have a higher resolution than its bottom, as a Deconvolution's have."""
    return _largest_scale(layer) > 1


def _largest_scale(layer: Layer) -> Fraction:
    try:
        place = of(layer).coord(layer, 4)
    except NetError:
        place = None
    return max(place.scale, default=Fraction(1)) if place else Fraction(1)


def keeps_statistics(layer: Layer) -> bool:
    """Whether its parameters are means and variances that training measures, as a BatchNorm's."""
    found = of(layer).affine(layer)
    return found is not None and found.mean is not None


def learns_nothing(layer: Layer) -> bool:
    """Whether its parameters are such statistics alone; others have factors beside them."""
    found = of(layer).affine(layer)
    return keeps_statistics(layer) and found is not None and found.factor is None


def makes_probabilities(layer: Layer) -> bool:
    """Whether it is a Softmax: what normalises, and keeps to bounds."""
    return trait(layer) is Trait.NORMAL and of(layer).saturates(layer)


def channels_of(layer: Layer) -> list[Top]:
    """The bottoms whose channels its tops keep, each in its place."""
    return [layer.bottoms[index] for index in of(layer).kept_channels(layer)]


def sized_by(layer: Layer) -> list[Top]:
    """The bottoms of which the layer reads the size alone."""
    return [layer.bottoms[index] for index in of(layer).sized(layer)]


def whole_numbers(layer: Layer, bottoms: list[Shape]) -> dict[Top, int]:
    """The bottoms that hold whole numbers, each with how many there are: 0 and up.

    Labels are numbers of classes, as many as there are scores.
    """
    kind = of(layer)
    found = kind.indices(layer, bottoms)
    if kind.labelled and len(bottoms) > 1:
        found = {1: bottoms[0][axis_of(layer)], **found}
    return {layer.bottoms[index]: count for index, count in found.items()}
