"""What a layer of each type of the table needs around it: its parameters and its other bottoms.

A type without an entry in FRAGMENTS is a layer without parameters that reads one blob.
"""

from collections.abc import Callable
from dataclasses import dataclass

from fcnkit.nets.layers.table import TYPES
from fcnkit.shape import Shape

# What a layer may read beside the blob that it is tried on.  Made of that blob by another layer:
IT, LIKE, LESS, POOLED = "it", "a blob of the same shape", "two pixels less", "one value each"
# Inputs of the net, of the shape that the fragment says:
NOISE, SHARES, LABELS, ITEMS = "noise", "0 to 1", "labels", "item numbers"
CHOSEN, ALL = "0 and 1", "ones"
REGIONS = "regions of the first item"


@dataclass(frozen=True)
class Fragment:
    """How a layer of one type is written.

    params: the text of its parameters, or what gives it for the shape it reads.
    bottoms: what it reads, in order; an input is (what its values are, its shape).
    tops: how many it has.  alone: it reads nothing that a net computes.
    given: the shape of its first top where the prototxt does not say it.
    """

    params: "str | Callable[[Shape], str]" = ""
    bottoms: "Callable[[Shape], tuple]" = lambda shape: (IT,)
    tops: int = 1
    alone: bool = False
    given: Shape | None = None

    def text(self, shape: Shape) -> str:
        """The parameters for a blob of this shape."""
        return self.params if isinstance(self.params, str) else self.params(shape)


def _beside(*others) -> Callable[[Shape], tuple]:
    """It reads the blob, and these, which may depend on the blob's shape."""

    def bottoms(shape: Shape) -> tuple:
        return (IT, *(other(shape) if callable(other) else other for other in others))

    return bottoms


def _places(shape: Shape) -> tuple:
    """A label for each place of a map of scores."""
    return LABELS, (shape[0], *((1,) * (len(shape) > 2)), *shape[2:])


def _labels(shape: Shape) -> tuple:
    return LABELS, shape[:1]


def _conv(more: str) -> Callable[[Shape], str]:
    return lambda shape: f"convolution_param {{ num_output: {shape[1]} {more} }}"


def _group(shape: Shape) -> str:
    return f"shuffle_channel_param {{ group: {3 if shape[1] % 2 else 2} }}"


def _infogain(shape: Shape) -> tuple:
    return SHARES, (1, 1, shape[1], shape[1])


IMAGE = (2, 3, 15, 15)
_OF_DATA = {"alone": True, "tops": 2, "given": IMAGE}
_FOUND = {"given": (2, 6)}
_SCORED = {"bottoms": _beside(_labels)}
_DENSE = {"bottoms": _beside(_places)}
_REGIONS = {"bottoms": _beside((REGIONS, (3, 5)))}
_SIZE = "dim: 2 dim: 3 dim: 15 dim: 15"

FRAGMENTS: dict[str, Fragment] = {
    # Where data comes from.
    "Input": Fragment(f"input_param {{ shape {{ {_SIZE} }} }}", alone=True),
    "DummyData": Fragment(
        f"dummy_data_param {{ shape {{ {_SIZE} }} data_filler {{ value: 0.7 }} }}", alone=True
    ),
    "Parameter": Fragment(f"parameter_param {{ shape {{ {_SIZE} }} }}", alone=True),
    "Data": Fragment('data_param { source: "lmdb" batch_size: 2 }', **_OF_DATA),
    "ImageData": Fragment(
        'image_data_param { source: "list" batch_size: 2 new_height: 15 new_width: 15 }',
        **_OF_DATA,
    ),
    "WindowData": Fragment(
        'transform_param { crop_size: 15 } window_data_param { source: "list" batch_size: 2 }',
        **_OF_DATA,
    ),
    "MemoryData": Fragment(
        "memory_data_param { batch_size: 2 channels: 3 height: 15 width: 15 }", **_OF_DATA
    ),
    "HDF5Data": Fragment('hdf5_data_param { source: "list" batch_size: 2 }', **_OF_DATA),
    "AnnotatedData": Fragment('data_param { source: "lmdb" batch_size: 2 }', **_OF_DATA),
    "ImageSegData": Fragment('image_data_param { source: "list" batch_size: 2 }', **_OF_DATA),
    "DenseImageData": Fragment(
        'dense_image_data_param { source: "list" batch_size: 2 }', **_OF_DATA
    ),
    "VideoData": Fragment(**_OF_DATA),
    "VIDEO_DATA": Fragment(**_OF_DATA),
    "Python": Fragment('python_param { module: "ours" layer: "Ours" }', given=(2, 6)),
    # Windows.
    "Convolution": Fragment(_conv("kernel_size: 3 pad: 1")),
    "Deconvolution": Fragment(_conv("kernel_size: 2 stride: 2")),
    "DepthwiseConvolution": Fragment(
        lambda shape: _conv(f"kernel_size: 3 pad: 1 group: {shape[1]}")(shape)
    ),
    "ConvolutionDepthwise": Fragment(_conv("kernel_size: 3 pad: 1")),
    "Pooling": Fragment("pooling_param { pool: AVE kernel_size: 2 stride: 2 }"),
    "Im2col": Fragment("convolution_param { kernel_size: 3 pad: 1 }"),
    "SPP": Fragment("spp_param { pyramid_height: 2 }"),
    # Resizing.
    "Interp": Fragment("interp_param { zoom_factor: 2 }"),
    "Upsample": Fragment("upsample_param { scale: 2 }"),
    "UpsampleDarknet": Fragment("upsample_darknet_param { stride: 2 }"),
    "ResizeNearestNeighbor": Fragment(
        'resize_nearest_neighbor_param { scale_height: 2 scale_width: 2 data_format: "NCHW" }'
    ),
    "Padding": Fragment("padding_param { pad_beg: 1 pad_end: 1 }"),
    "Pad": Fragment("pad_param { paddings: [0, 0, 0, 0, 1, 1, 1, 1] }"),
    "DepthToSpace": Fragment('depth_to_space_param { block_size: 2 data_format: "NCHW" }'),
    "Reorg": Fragment("reorg_param { stride: 2 }"),
    "CROP": Fragment(bottoms=_beside(LESS)),
    "AutoCrop": Fragment(bottoms=_beside(LESS)),
    # One value from one value, or from two.
    "Clip": Fragment("clip_param { min: 0 max: 6 }"),
    "Power": Fragment("power_param { power: 2 scale: 0.5 shift: 0.3 }"),
    "Exp": Fragment("exp_param { base: 2 scale: 0.2 }"),
    "Log": Fragment("log_param { shift: 200 }"),
    "Threshold": Fragment("threshold_param { threshold: 0.5 }"),
    "Add": Fragment(bottoms=_beside(LIKE)),
    "Mul": Fragment(bottoms=_beside(LIKE)),
    "Axpy": Fragment(bottoms=lambda shape: (POOLED, IT, LIKE)),
    "MaskPooling": Fragment(bottoms=_beside(LIKE)),
    # Normalisation.
    "Scale": Fragment("scale_param { bias_term: true }"),
    "Normalize": Fragment("norm_param {}"),
    # Every value from every value.
    "InnerProduct": Fragment("inner_product_param { num_output: 6 }"),
    "Embed": Fragment(
        "embed_param { num_output: 4 input_dim: 9 }",
        lambda shape: ((LABELS, (2, 3)),),
        alone=True,
    ),
    "LSTM": Fragment(
        "recurrent_param { num_output: 3 }", _beside(lambda shape: (CHOSEN, shape[:2]))
    ),
    "RNN": Fragment(
        "recurrent_param { num_output: 3 }", _beside(lambda shape: (CHOSEN, shape[:2]))
    ),
    "LSTMUnit": Fragment(
        bottoms=lambda shape: ((NOISE, (1, 2, 3)), (NOISE, (1, 2, 12)), (CHOSEN, (1, 2))),
        tops=2,
        alone=True,
    ),
    # Joining and cutting.
    "Concat": Fragment(bottoms=_beside(LIKE)),
    "Eltwise": Fragment("eltwise_param { operation: MAX }", _beside(LIKE)),
    "Crop": Fragment("crop_param { axis: 2 offset: 1 }", _beside(LESS)),
    "Slice": Fragment("slice_param { slice_point: 1 }", tops=2),
    "Split": Fragment(tops=2),
    "Tile": Fragment("tile_param { tiles: 2 }"),
    "Reshape": Fragment("reshape_param { shape { dim: 0 dim: -1 } }"),
    "Reduction": Fragment(lambda shape: f"reduction_param {{ axis: {len(shape) // 2} }}"),
    "ArgMax": Fragment("argmax_param { axis: 1 }"),
    "BatchReindex": Fragment(bottoms=_beside((ITEMS, (3,)))),
    "Filter": Fragment(bottoms=_beside(lambda shape: (ALL, shape[:1]))),
    "Permute": Fragment("permute_param { order: [0, 2, 3, 1] }"),
    "ShuffleChannel": Fragment(_group),
    # Boxes.
    "PriorBox": Fragment("prior_box_param { min_size: 3 }", _beside(LIKE)),
    "ROIPooling": Fragment("roi_pooling_param { pooled_h: 2 pooled_w: 2 }", **_REGIONS),
    "ROIWarping": Fragment("roi_warping_param { pooled_h: 2 pooled_w: 2 }", **_REGIONS),
    "PSROIPooling": Fragment(
        lambda shape: (
            f"psroi_pooling_param {{ spatial_scale: 1 output_dim: {shape[1]} group_size: 1 }}"
        ),
        **_REGIONS,
    ),
    "MaskResize": Fragment("mask_resize_param { output_height: 8 output_width: 8 }"),
    "Proposal": Fragment(bottoms=_beside(LIKE), **_FOUND),
    "DetectionOutput": Fragment(bottoms=_beside(LIKE), **_FOUND),
    "YoloDetectionOutput": Fragment(**_FOUND),
    "Yolov3DetectionOutput": Fragment(**_FOUND),
    "BoxAnnotatorOHEM": Fragment(**_FOUND),
    # Where results go.
    "Silence": Fragment(tops=0),
    "HDF5Output": Fragment('hdf5_output_param { file_name: "h5" }', _beside(LIKE), tops=0),
    "MatWrite": Fragment(tops=0),
    "SoftmaxWithLoss": Fragment(**_DENSE),
    "InfogainLoss": Fragment(bottoms=_beside(_places, _infogain)),
    "SigmoidCrossEntropyLoss": Fragment(bottoms=_beside(lambda shape: (SHARES, shape))),
    "EuclideanLoss": Fragment(bottoms=_beside(LIKE)),
    "HingeLoss": Fragment(**_SCORED),
    "MultinomialLogisticLoss": Fragment(**_SCORED),
    "ContrastiveLoss": Fragment(bottoms=_beside(LIKE, _labels)),
    "Accuracy": Fragment(**_DENSE),
    "DetectionEvaluate": Fragment(bottoms=_beside(LIKE), given=(2, 6)),
    "EvalDetection": Fragment(bottoms=_beside(LIKE), given=(2, 6)),
    "SegAccuracy": Fragment(given=(2, 6), **_DENSE),
    "SmoothL1Loss": Fragment(bottoms=_beside(LIKE)),
    "SmoothL1LossOHEM": Fragment(bottoms=_beside(LIKE)),
    "SoftmaxWithLossOHEM": Fragment(**_DENSE),
    "MultiBoxLoss": Fragment(bottoms=_beside(LIKE)),
    "RegionLoss": Fragment(**_DENSE),
}
# What V1 files of forks call them.
FRAGMENTS |= {
    "INTERP": FRAGMENTS["Interp"],
    "PADDING": FRAGMENTS["Padding"],
    "IMAGE_SEG_DATA": FRAGMENTS["ImageSegData"],
    "MAT_WRITE": FRAGMENTS["MatWrite"],
    "SEG_ACCURACY": FRAGMENTS["SegAccuracy"],
}


def fragment(kind: str) -> Fragment:
    """How a layer of this type is written; any type of the table has a fragment."""
    assert kind in TYPES
    return FRAGMENTS.get(kind, Fragment())
