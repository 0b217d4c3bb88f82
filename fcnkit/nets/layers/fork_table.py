"""The layer types that forks of Caffe add: one entry per type in FORKS; see table.py."""

from fcnkit.nets.layers import boxes, forks, pointwise, resizing, sources, windows
from fcnkit.nets.layers.old_names import FORK_NAMES
from fcnkit.nets.layers.traits import (
    MANY,
    Facts,
    LayerType,
    Trait,
    every,
    first,
    like,
    no_tops,
    none,
    point,
    second,
    second_on,
    unmoved,
    yes,
)

_DATA: Facts = {"bottoms": (0, 0), "unknown": sources.IN_DATA, "reads": ("transform_param",)}
_SAME: Facts = {"coord": unmoved, "window": point}
_SAME_ZERO: Facts = {**_SAME, "keeps_zero": yes}
_ENLARGED: Facts = {
    "coord": resizing.upsample_coord,
    "window": resizing.upsample_window,
    "keeps_zero": yes,
}
_BY_VALUE = "the size of its output depends on the values that it reads"
_FOUND: Facts = {"bottoms": (1, MANY), "tops": (1, MANY), "unknown": _BY_VALUE}
_REGIONS: Facts = {"bottoms": (2, 2), "channels": first, "keeps_zero": yes}
_BINS: Facts = {**_REGIONS, "unheeded": frozenset(("pooled_size",))}
_UNFOLLOWED = "the outputs of an evaluation are not followed"
_NUMBERS: Facts = {"bottoms": (1, MANY), "tops": (0, MANY), "unknown": _UNFOLLOWED}
_LOSS: Facts = {
    "reads": ("loss_param",),
    "bottoms": (2, MANY),
    "tops": (0, MANY),
    "unknown": "only a loss's first top is followed",
}
_OPERANDS: Facts = {"carriers": every, "bottoms": (1, 2), "coord": unmoved, "window": point}
_DEPTHWISE = LayerType(
    "DepthwiseConvolution", Trait.CHANNEL, "convolution_param", windows.convolution,
    windows.convolution_blobs, outputs="num_output", neutral=windows.HEEDED, channels=none,
    coord=windows.convolution_coord, window=windows.convolution_window, carriers=every,
    macs=windows.convolution_macs, bottoms=(1, MANY), tops=(1, MANY), paired=True,
    keeps_zero=windows.without_bias
)  # fmt: skip

_FORKS = (
    # Where data comes from.
    LayerType(
        "AnnotatedData", Trait.SOURCE, "data_param", sources.annotated_data, tops=(1, MANY), **_DATA
    ),
    LayerType(
        "ImageSegData", Trait.SOURCE, "image_data_param", sources.image_seg_data,
        tops=(1, 3), **_DATA
    ),
    LayerType(
        "DenseImageData", Trait.SOURCE, "dense_image_data_param", sources.dense_image_data,
        tops=(2, 2), **_DATA
    ),
    LayerType(
        "VideoData", Trait.SOURCE, "video_data_param", sources.unsaid, tops=(1, MANY), **_DATA
    ),
    LayerType(
        "VIDEO_DATA", Trait.SOURCE, "image_data_param", sources.unsaid, tops=(1, MANY), **_DATA
    ),
    # Windows.
    _DEPTHWISE,
    _DEPTHWISE._replace(name="ConvolutionDepthwise"),
    # Resizing.
    LayerType(
        "Interp", Trait.PLACES, "interp_param", resizing.interp,
        coord=resizing.interp_coord, window=resizing.interp_window, keeps_zero=yes,
        channels=first, bottoms=(1, 2), sized=second
    ),
    LayerType(
        "Upsample", Trait.PLACES, "upsample_param", resizing.upsample,
        channels=first, bottoms=(1, 2), **_ENLARGED
    ),
    LayerType(
        "UpsampleDarknet", Trait.PLACES, "upsample_darknet_param", resizing.upsample_darknet,
        **_ENLARGED
    ),
    LayerType(
        "ResizeNearestNeighbor", Trait.PLACES, "resize_nearest_neighbor_param",
        resizing.resize_nearest, channels=resizing.resize_channels, keeps_zero=yes,
        unheeded=frozenset(("half_pixel_onnx",))
    ),
    LayerType(
        "Padding", Trait.ARRANGES, "padding_param", resizing.padding,
        coord=resizing.padding_coord, window=point, channels=first, keeps_zero=yes
    ),
    LayerType(
        "Pad", Trait.ARRANGES, "pad_param", resizing.pad, coord=resizing.pad_coord, window=point,
        channels=resizing.pad_channels, keeps_zero=resizing.pads_with_zero
    ),
    LayerType(
        "DepthToSpace", Trait.ARRANGES, "depth_to_space_param", forks.depth_to_space,
        coord=forks.depth_to_space_coord, window=forks.depth_to_space_window, keeps_zero=yes
    ),
    LayerType(
        "Reorg", Trait.ARRANGES, "reorg_param", forks.reorg, ordering=forks.reorg_order,
        keeps_zero=yes
    ),
    LayerType(
        "CROP", Trait.ARRANGES, "crop_param", forks.old_crop,
        window=point, channels=first, sized=second, bottoms=(2, 2), keeps_zero=yes
    ),
    LayerType(
        "AutoCrop", Trait.ARRANGES, "crop_param", forks.old_crop,
        window=point, channels=first, sized=second, bottoms=(2, 2), keeps_zero=yes
    ),
    # One value from one value, or from several.
    LayerType("ReLU6", Trait.VALUE, "relu_param", range=pointwise.relu6_bounds, **_SAME_ZERO),
    LayerType("HardSwish", Trait.VALUE, **_SAME_ZERO),
    LayerType("HardSigmoid", Trait.VALUE, range=pointwise.unit_bounds, **_SAME),
    LayerType("Mish", Trait.VALUE, **_SAME_ZERO),
    LayerType(
        "Add", Trait.CHANNEL, "add_param", forks.operands, forks.operand_blobs,
        channels=none, **_OPERANDS
    ),
    LayerType(
        "Mul", Trait.CHANNEL, "mul_param", forks.operands, forks.operand_blobs,
        channels=none, keeps_zero=yes, **_OPERANDS
    ),
    LayerType(
        "Axpy", Trait.VALUE, "", forks.axpy, carriers=second_on, bottoms=(3, 3), **_SAME_ZERO
    ),
    LayerType(
        "MaskPooling", Trait.VALUE, "mask_pooling_param",
        channels=first, bottoms=(2, 2), **_SAME_ZERO
    ),
    # Normalisation.
    LayerType(
        "BN", Trait.CHANNEL, "bn_param", forks.bn, forks.bn_blobs, affine=forks.bn_affine,
        tops=(1, 3), **_SAME
    ),
    LayerType(
        "Normalize", Trait.NORMAL, "norm_param", like, forks.normalize_blobs,
        coord=unmoved, window=forks.normalize_window, keeps_zero=yes,
        unheeded=frozenset(("add_eps_before_sqrt",))
    ),
    # Joining and cutting.
    LayerType(
        "Permute", Trait.ARRANGES, "permute_param", forks.permute,
        coord=forks.permute_coord, window=forks.permute_window, ordering=forks.permute_order,
        keeps_zero=yes
    ),
    LayerType(
        "ShuffleChannel", Trait.ARRANGES, "shuffle_channel_param", forks.shuffled,
        ordering=forks.shuffle_order, **_SAME_ZERO
    ),
    LayerType(
        "Squeeze", Trait.ARRANGES, "squeeze_param", forks.squeeze, identity=yes, keeps_zero=yes
    ),
    # Boxes.
    LayerType(
        "PriorBox", Trait.SOURCE, "prior_box_param", boxes.prior_box, sized=every, bottoms=(1, 2),
        unheeded=frozenset(("tf", "yx_order", "keras"))
    ),
    LayerType("ROIPooling", Trait.PLACES, "roi_pooling_param", boxes.roi_pooling, **_BINS),
    LayerType("ROIWarping", Trait.PLACES, "roi_warping_param", boxes.roi_pooling, **_REGIONS),
    LayerType(
        "PSROIPooling", Trait.PLACES, "psroi_pooling_param", boxes.psroi_pooling,
        **{**_REGIONS, "channels": none}
    ),
    LayerType(
        "MaskResize", Trait.PLACES, "mask_resize_param", boxes.mask_resize, keeps_zero=yes
    ),
    LayerType("Proposal", Trait.JUDGE, "proposal_param", sources.unsaid, **_FOUND),
    LayerType("DetectionOutput", Trait.JUDGE, "detection_output_param", sources.unsaid, **_FOUND),
    LayerType(
        "YoloDetectionOutput", Trait.JUDGE, "yolo_detection_output_param", sources.unsaid, **_FOUND
    ),
    LayerType(
        "Yolov3DetectionOutput", Trait.JUDGE, "yolov3_detection_output_param", sources.unsaid,
        **_FOUND
    ),
    LayerType(
        "BoxAnnotatorOHEM", Trait.JUDGE, "box_annotator_ohem_param", sources.unsaid, **_FOUND
    ),
    # Where results go.
    LayerType(
        "MatWrite", Trait.SINK, "mat_write_param", no_tops, bottoms=(1, MANY), tops=(0, 0)
    ),
    LayerType(
        "DetectionEvaluate", Trait.JUDGE, "detection_evaluate_param", sources.unsaid, **_NUMBERS
    ),
    LayerType("EvalDetection", Trait.JUDGE, "eval_detection_param", sources.unsaid, **_NUMBERS),
    LayerType("SegAccuracy", Trait.JUDGE, "seg_accuracy_param", sources.unsaid, **_NUMBERS),
    LayerType("SmoothL1Loss", Trait.LOSS, "smooth_l1_loss_param", forks.loss, **_LOSS),
    LayerType("SmoothL1LossOHEM", Trait.LOSS, "smooth_l1_loss_param", forks.loss, **_LOSS),
    LayerType(
        "SoftmaxWithLossOHEM", Trait.LOSS, "softmax_param", forks.loss, predicts="Softmax", **_LOSS
    ),
    LayerType("MultiBoxLoss", Trait.LOSS, "multibox_loss_param", forks.loss, **_LOSS),
    LayerType("RegionLoss", Trait.LOSS, "region_loss_param", forks.loss, **_LOSS),
)  # fmt: skip

FORKS: dict[str, LayerType] = {kind.name: kind for kind in _FORKS}
FORKS |= {old: FORKS[new]._replace(name=old) for old, new in FORK_NAMES.items()}
