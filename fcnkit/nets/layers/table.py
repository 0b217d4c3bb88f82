"""What Caffe's layer types do to shapes and coordinates: one entry per type in TYPES.

To add a type, add its entry; what it computes is a function of a Layer and the
shapes of its bottoms.  The rules are those of Caffe's layer of the same name.
TYPES holds what Caffe has (CAFFE) and what its forks add (FORKS).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from fcnkit.nets.coordmap import IDENTITY, CoordMap
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers import boxes, forks, losses, normal, rearrange, sources, windows
from fcnkit.nets.layers.windows import Window
from fcnkit.shape import Shape

MANY = 1 << 30


def like(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """Every top has the first bottom's shape."""
    return [bottoms[0]] * len(layer.tops)


def like_elsewhere(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The top has the bottom's shape, and may not be the bottom."""
    if layer.tops[0].blob == layer.bottoms[0].blob:
        raise layer.error(f"{layer.type} cannot work in place; give its top another name")
    return like(layer, bottoms)


def no_tops(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """It has no tops."""
    return []


def no_blobs(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """It learns nothing."""
    return []


def unmoved(layer: Layer, ndim: int) -> CoordMap | None:
    """Every point stays where it is."""
    return IDENTITY


def nowhere(layer: Layer, ndim: int) -> CoordMap | None:
    """Its tops have no place in its bottoms."""
    return None


def every(layer: Layer) -> tuple[int, ...]:
    """All bottoms carry coordinates."""
    return tuple(range(len(layer.bottoms)))


def first(layer: Layer) -> tuple[int, ...]:
    """The first bottom alone carries coordinates, where there is one."""
    return (0,)[: len(layer.bottoms)]


def second_on(layer: Layer) -> tuple[int, ...]:
    """All bottoms but the first carry coordinates."""
    return tuple(range(1, len(layer.bottoms)))


def free(layer: Layer, bottoms: list[Shape], tops: list[Shape]) -> int:
    """No multiply-adds are counted."""
    return 0


def point(layer: Layer, ndim: int = 4) -> Window | None:
    """A top point sees one bottom point."""
    return ()


def whole(layer: Layer, ndim: int = 4) -> Window | None:
    """What a top point sees has no fixed size."""
    return None


@dataclass(frozen=True)
class LayerType:
    """What one Caffe layer type does.

    shapes(layer, bottoms): a shape per top; None for a top whose size the
        prototxt does not say, and `unknown` is the reason.
    blobs(layer, bottoms): the shapes of its parameters in Caffe's order.
    coord(layer, ndim): the map from its bottom, which has ndim axes, to its
        tops; None where it is not defined.
    carriers(layer): the indices of the bottoms that the map holds for.
    macs(layer, bottoms, tops): the multiply-adds of one pass.
    window(layer, ndim): (extent, stride) of each spatial axis, for receptive
        fields: r += (extent - 1) * jump, jump *= stride.  () is one point,
        None is not defined.
    bottoms, tops: the least and the greatest number of each.

    The first four raise NetError with the reason why Caffe would refuse.
    """

    name: str
    shapes: Callable[[Layer, list[Shape]], list[Shape | None]] = like
    blobs: Callable[[Layer, list[Shape]], list[Shape]] = no_blobs
    coord: Callable[[Layer, int], CoordMap | None] = nowhere
    carriers: Callable[[Layer], tuple[int, ...]] = first
    macs: Callable[[Layer, list[Shape], list[Shape]], int] = free
    window: Callable[..., Window | None] = whole
    bottoms: tuple[int, int] = (1, 1)
    tops: tuple[int, int] = (1, 1)
    unknown: str = ""


def of(layer: Layer) -> LayerType:
    """The entry of this layer's type; one that knows nothing for a type that has none."""
    kind = TYPES.get(layer.type)
    return kind or LayerType(
        layer.type,
        sources.unsaid,
        bottoms=(0, MANY),
        tops=(0, MANY),
        unknown=f"type {layer.type} is not known to fcnkit",
    )


_IN_DATA = "its size is that of the data, which the prototxt does not say"
_SOURCE = {"bottoms": (0, 0), "unknown": _IN_DATA}
_POINTWISE = {"coord": unmoved, "window": point}
_JOINED = {"carriers": every, "bottoms": (1, MANY), "window": point}
_LOSS = {"bottoms": (2, 2), "tops": (0, 1)}
_WINDOWED = {"coord": windows.convolution_coord, "window": windows.convolution_window}
_CONVOLVED = {"carriers": every, "bottoms": (1, MANY), "tops": (1, MANY)}

_CAFFE = (
    # Where data comes from.
    LayerType(
        "Input",
        sources.given,
        bottoms=(0, 0),
        tops=(1, MANY),
        unknown="the prototxt gives it no shape",
    ),
    LayerType("DummyData", sources.dummy, bottoms=(0, 0), tops=(1, MANY)),
    LayerType("Data", sources.data, tops=(1, 2), **_SOURCE),
    LayerType("ImageData", sources.image_data, tops=(2, 2), **_SOURCE),
    LayerType("WindowData", sources.window_data, tops=(2, 2), **_SOURCE),
    LayerType("MemoryData", sources.memory_data, tops=(2, 2), **_SOURCE),
    LayerType("HDF5Data", sources.unsaid, tops=(1, MANY), **_SOURCE),
    LayerType("Parameter", normal.parameter, normal.parameter, bottoms=(0, 0)),
    LayerType(
        "Python",
        sources.unsaid,
        bottoms=(0, MANY),
        tops=(0, MANY),
        unknown="a Python layer decides on its tops when it runs",
    ),
    # Windows.
    LayerType(
        "Convolution",
        windows.convolution,
        windows.convolution_blobs,
        macs=windows.convolution_macs,
        **_WINDOWED,
        **_CONVOLVED,
    ),
    LayerType(
        "Deconvolution",
        windows.deconvolution,
        windows.deconvolution_blobs,
        macs=windows.deconvolution_macs,
        coord=windows.deconvolution_coord,
        window=windows.deconvolution_window,
        **_CONVOLVED,
    ),
    LayerType("Pooling", windows.pooling, tops=(1, 2), **_WINDOWED),
    LayerType("Im2col", windows.im2col, **_WINDOWED),
    LayerType("SPP", windows.spp),
    # One value from one value.
    LayerType("ReLU", **_POINTWISE),
    LayerType("PReLU", normal.prelu, normal.prelu_blobs, **_POINTWISE),
    LayerType("ELU", **_POINTWISE),
    LayerType("Sigmoid", **_POINTWISE),
    LayerType("TanH", **_POINTWISE),
    LayerType("Swish", **_POINTWISE),
    LayerType("Clip", **_POINTWISE),
    LayerType("AbsVal", like_elsewhere, **_POINTWISE),
    LayerType("BNLL", **_POINTWISE),
    LayerType("Power", **_POINTWISE),
    LayerType("Exp", **_POINTWISE),
    LayerType("Log", **_POINTWISE),
    LayerType("Threshold", **_POINTWISE),
    LayerType("Dropout", **_POINTWISE),
    # Normalisation and learned factors.
    LayerType("LRN", normal.lrn, coord=unmoved, window=normal.lrn_window),
    LayerType("MVN", normal.mvn, coord=unmoved),
    LayerType("BatchNorm", normal.batch_norm, forks.batch_norm_blobs, **_POINTWISE),
    LayerType("Scale", normal.scale, normal.scale_blobs, bottoms=(1, 2), **_POINTWISE),
    LayerType("Bias", normal.bias, normal.bias_blobs, bottoms=(1, 2), **_POINTWISE),
    LayerType("Softmax", losses.softmax, **_POINTWISE),
    # Every value from every value.
    LayerType(
        "InnerProduct",
        normal.inner_product,
        normal.inner_product_blobs,
        macs=normal.inner_product_macs,
    ),
    LayerType("Embed", normal.embed, normal.embed_blobs),
    LayerType("LSTM", normal.recurrent, normal.lstm_blobs, bottoms=(2, 5), tops=(1, 3)),
    LayerType("RNN", normal.recurrent, normal.rnn_blobs, bottoms=(2, 4), tops=(1, 2)),
    LayerType("LSTMUnit", normal.lstm_unit, bottoms=(3, 3), tops=(2, 2)),
    # Joining and cutting.
    LayerType("Concat", rearrange.concat, coord=rearrange.concat_coord, **_JOINED),
    LayerType(
        "Eltwise", rearrange.eltwise, coord=unmoved, carriers=every, bottoms=(2, MANY), window=point
    ),
    LayerType("Crop", rearrange.crop, coord=rearrange.crop_coord, window=point, bottoms=(2, 2)),
    LayerType("Slice", rearrange.slices, coord=rearrange.slice_coord, window=point, tops=(1, MANY)),
    LayerType("Split", tops=(1, MANY), **_POINTWISE),
    LayerType("Tile", rearrange.tile, coord=rearrange.tile_coord, window=point),
    LayerType("Flatten", rearrange.flatten),
    LayerType("Reshape", forks.reshape),
    LayerType("Reduction", rearrange.reduction),
    LayerType("ArgMax", rearrange.argmax, coord=rearrange.argmax_coord, window=point),
    LayerType("BatchReindex", rearrange.batch_reindex, bottoms=(2, 2), **_POINTWISE),
    LayerType("Filter", rearrange.filtered, bottoms=(2, MANY), tops=(1, MANY), **_POINTWISE),
    # Where results go.
    LayerType("Silence", no_tops, bottoms=(1, MANY), tops=(0, 0)),
    LayerType("HDF5Output", no_tops, bottoms=(2, 2), tops=(0, 0)),
    LayerType("SoftmaxWithLoss", losses.softmax_loss, bottoms=(2, 3), tops=(0, 2)),
    LayerType("InfogainLoss", losses.infogain_loss, bottoms=(2, 3), tops=(0, 2)),
    LayerType("SigmoidCrossEntropyLoss", losses.same_count_loss, bottoms=(2, 2), tops=(0, 2)),
    LayerType("EuclideanLoss", losses.same_count_loss, **_LOSS),
    LayerType("HingeLoss", losses.hinge_loss, **_LOSS),
    LayerType("MultinomialLogisticLoss", losses.multinomial_loss, **_LOSS),
    LayerType("ContrastiveLoss", losses.contrastive_loss, bottoms=(3, 3), tops=(0, 1)),
    LayerType("Accuracy", losses.accuracy, bottoms=(2, 2), tops=(1, 2)),
)

_BY_VALUE = "how much there is depends on the values that it reads"
_FOUND = {"bottoms": (1, MANY), "tops": (1, MANY), "unknown": _BY_VALUE}
_REGIONS = {"bottoms": (2, 2)}
_FORK_LOSS = {
    "bottoms": (2, MANY),
    "tops": (0, MANY),
    "unknown": "only a loss's first top is followed",
}
_NUMBERS = {
    "bottoms": (1, MANY),
    "tops": (0, MANY),
    "unknown": "an evaluation's figures are not followed",
}
_ENLARGED = {"coord": forks.upsample_coord, "window": forks.upsample_window}
_OPERANDS = {"carriers": every, "bottoms": (1, 2), "coord": unmoved, "window": point}
_DEPTHWISE = LayerType(
    "DepthwiseConvolution",
    windows.convolution,
    windows.convolution_blobs,
    macs=windows.convolution_macs,
    **_WINDOWED,
    **_CONVOLVED,
)

_FORKS = (
    # Where data comes from.
    LayerType("AnnotatedData", sources.annotated_data, tops=(1, MANY), **_SOURCE),
    LayerType("ImageSegData", sources.image_seg_data, tops=(1, 3), **_SOURCE),
    LayerType("DenseImageData", sources.dense_image_data, tops=(2, 2), **_SOURCE),
    LayerType("VideoData", sources.unsaid, tops=(1, MANY), **_SOURCE),
    LayerType("VIDEO_DATA", sources.unsaid, tops=(1, MANY), **_SOURCE),
    # Windows.
    _DEPTHWISE,
    replace(_DEPTHWISE, name="ConvolutionDepthwise"),
    # Resizing.
    LayerType("Interp", forks.interp, coord=forks.interp_coord, window=forks.interp_window),
    LayerType("Upsample", forks.upsample, bottoms=(1, 2), **_ENLARGED),
    LayerType("UpsampleDarknet", forks.upsample_darknet, **_ENLARGED),
    LayerType("ResizeNearestNeighbor", forks.resize_nearest),
    LayerType("Padding", forks.padding, coord=forks.padding_coord, window=point),
    LayerType("Pad", forks.pad, coord=forks.pad_coord, window=point),
    LayerType(
        "DepthToSpace",
        forks.depth_to_space,
        coord=forks.depth_to_space_coord,
        window=forks.depth_to_space_window,
    ),
    LayerType("Reorg", forks.reorg),
    LayerType("CROP", forks.old_crop, window=point, bottoms=(2, 2)),
    # One value from one value, or from two.
    LayerType("ReLU6", **_POINTWISE),
    LayerType("HardSwish", **_POINTWISE),
    LayerType("HardSigmoid", **_POINTWISE),
    LayerType("Mish", **_POINTWISE),
    LayerType("Add", forks.operands, forks.operand_blobs, **_OPERANDS),
    LayerType("Mul", forks.operands, forks.operand_blobs, **_OPERANDS),
    LayerType("Axpy", forks.axpy, coord=unmoved, carriers=second_on, bottoms=(3, 3), window=point),
    LayerType("MaskPooling", bottoms=(2, 2), **_POINTWISE),
    # Normalisation.
    LayerType("BN", forks.bn, forks.bn_blobs, tops=(1, 3), **_POINTWISE),
    LayerType(
        "Normalize", like, forks.normalize_blobs, coord=unmoved, window=forks.normalize_window
    ),
    # Joining and cutting.
    LayerType("Permute", forks.permute, coord=forks.permute_coord, window=forks.permute_window),
    LayerType("ShuffleChannel", forks.shuffled, **_POINTWISE),
    LayerType("Squeeze", forks.squeeze),
    # Boxes.
    LayerType("PriorBox", boxes.prior_box, bottoms=(1, 2)),
    LayerType("ROIPooling", boxes.roi_pooling, **_REGIONS),
    LayerType("ROIWarping", boxes.roi_pooling, **_REGIONS),
    LayerType("PSROIPooling", boxes.psroi_pooling, **_REGIONS),
    LayerType("MaskResize", boxes.mask_resize),
    LayerType("Proposal", sources.unsaid, **_FOUND),
    LayerType("DetectionOutput", sources.unsaid, **_FOUND),
    LayerType("YoloDetectionOutput", sources.unsaid, **_FOUND),
    LayerType("Yolov3DetectionOutput", sources.unsaid, **_FOUND),
    LayerType("BoxAnnotatorOHEM", sources.unsaid, **_FOUND),
    # Where results go.
    LayerType("MatWrite", no_tops, bottoms=(1, MANY), tops=(0, 0)),
    LayerType("DetectionEvaluate", sources.unsaid, **_NUMBERS),
    LayerType("EvalDetection", sources.unsaid, **_NUMBERS),
    LayerType("SegAccuracy", sources.unsaid, **_NUMBERS),
    LayerType("SmoothL1Loss", forks.loss, **_FORK_LOSS),
    LayerType("SmoothL1LossOHEM", forks.loss, **_FORK_LOSS),
    LayerType("SoftmaxWithLossOHEM", forks.loss, **_FORK_LOSS),
    LayerType("MultiBoxLoss", forks.loss, **_FORK_LOSS),
    LayerType("RegionLoss", forks.loss, **_FORK_LOSS),
)

# What V1 files of forks call them: names of an enum that Caffe does not have.
_OLD_NAMES = {
    "INTERP": "Interp",
    "PADDING": "Padding",
    "IMAGE_SEG_DATA": "ImageSegData",
    "MAT_WRITE": "MatWrite",
    "SEG_ACCURACY": "SegAccuracy",
}

CAFFE: dict[str, LayerType] = {kind.name: kind for kind in _CAFFE}
FORKS: dict[str, LayerType] = {kind.name: kind for kind in _FORKS}
FORKS |= {old: replace(FORKS[new], name=old) for old, new in _OLD_NAMES.items()}
TYPES: dict[str, LayerType] = CAFFE | FORKS
