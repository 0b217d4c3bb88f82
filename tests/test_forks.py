"""The layer types and fields that forks of Caffe add:
their schema, shapes, coordinates and rewrites.
"""

import csv
import subprocess
import sys
from fractions import Fraction as F
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_text import CONV, POOL, declare, infer, layer_of, net, outcome, source

import fcnkit
from fcnkit.errors import FcnkitError, NetError
from fcnkit.formats import prototxt, schema
from fcnkit.formats.schema import View
from fcnkit.nets import graph
from fcnkit.nets.coordmap import IDENTITY, CoordMap
from fcnkit.nets.layers import strange_fields, table
from fcnkit.nets.layers.sliding import spatial
from fcnkit.nets.layers.table import CAFFE, FORKS, TYPES

FORMATS = Path(schema.__file__).parent
ROOT = FORMATS.parent.parent


def view(text: str, message: str) -> View:
    return View(message, prototxt.parse(text, "net.prototxt").root)


def coord(kind: str, params: str = "") -> CoordMap | None:
    return TYPES[kind].coord(layer_of(kind, params), 4)


# ---- laws


def test_caffes_types_and_the_forks_are_apart():
    assert not set(CAFFE) & set(FORKS) and CAFFE | FORKS == TYPES
    assert all(kind.name == name for name, kind in FORKS.items())


@given(scale=st.integers(2, 7), size=st.integers(1, 40))
@settings(deadline=None)
def test_upsampling_undoes_a_pooling_of_the_same_scale(scale, size):
    params = f"upsample_param {{ scale: {scale} }}"
    pooled = coord("Pooling", POOL(f"kernel_size: {scale} stride: {scale}"))
    assert pooled.then(coord("Upsample", params)) == IDENTITY
    assert outcome(net("Upsample", params, (2, 3, size, size)))[0] == [
        (2, 3, size * scale, size * scale)
    ]


@given(zoom=st.integers(1, 8), shrink=st.integers(1, 8), steps=st.integers(1, 20))
@settings(deadline=None)
def test_interp_keeps_the_corner_points(zoom, shrink, steps):
    params = f"interp_param {{ zoom_factor: {zoom} shrink_factor: {shrink} }}"
    size = steps * shrink + 1
    ((_, _, height, width),), _ = outcome(net("Interp", params, (2, 3, size, size)))
    place = coord("Interp", params)
    assert place(0) == 0 and place(size - 1) == height - 1 == width - 1


@given(size=st.integers(9, 60), sides=st.tuples(*[st.integers(0, 4)] * 4), stride=st.integers(1, 4))
@settings(deadline=None)
def test_padding_each_side_is_as_a_pad_layer_before_the_window(size, sides, stride):
    top, left, bottom, right = sides
    pads = f"pad_t: {top} pad_l: {left} pad_b: {bottom} pad_r: {right}"
    before = f"pad_param {{ paddings: [0, 0, 0, 0, {top}, {bottom}, {left}, {right}] }}"
    window = f"kernel_size: 5 stride: {stride}"
    ((padded,), _) = outcome(net("Pad", before, (1, 2, size, size)))
    ours = outcome(net("Convolution", CONV(f"{window} {pads}"), (1, 2, size, size)))
    assert ours == outcome(net("Convolution", CONV(window), padded))
    place = coord("Pad", before).then(coord("Convolution", CONV(window)))
    assert coord("Convolution", CONV(f"{window} {pads}")) == place


def test_a_permutation_and_its_inverse_give_the_shape_back():
    text = net("Permute", "permute_param { order: [0, 2, 3, 1] }", (2, 3, 4, 5))
    text += declare(
        "Permute", "permute_param { order: [0, 3, 1, 2] }", bottoms="t", tops="u", name="back"
    )
    found = infer(text)
    assert found.tops[found.graph.top("t")] == (2, 4, 5, 3)
    assert found.tops[found.graph.top("u")] == (2, 3, 4, 5)


# ---- tables: shapes and parameters

BOX = [(1, 8, 38, 50), (1, 3, 300, 300)]
SHAPES = {
    "hole": (
        "Convolution",
        CONV("kernel_size: 3 hole: 2"),
        [(1, 2, 9, 9)],
        [(1, 4, 5, 5)],
        [(4, 2, 3, 3), (4,)],
    ),
    "holes": (
        "Convolution",
        CONV("kernel_size: 3 hole_h: 2 hole_w: 3"),
        [(1, 2, 9, 9)],
        [(1, 4, 5, 3)],
        [(4, 2, 3, 3), (4,)],
    ),
    "pad_type": (
        "Convolution",
        CONV("kernel_size: 4 pad_type: 1"),
        [(1, 2, 9, 8)],
        [(1, 4, 9, 8)],
        [(4, 2, 4, 4), (4,)],
    ),
    "pad_type with a stride": (
        "Convolution",
        CONV("kernel_size: 3 stride: 2 pad_type: 1"),
        [(1, 2, 9, 8)],
        [(1, 4, 5, 4)],
        [(4, 2, 3, 3), (4,)],
    ),
    "pooling pad_type with a stride": (
        "Pooling",
        POOL("kernel_size: 3 stride_h: 2 stride_w: 3 pad_type: 1"),
        [(1, 2, 9, 10)],
        [(1, 2, 5, 4)],
        [],
    ),
    "interp to the size of another": (
        "Interp",
        "",
        [(1, 21, 41, 41), (1, 3, 500, 321)],
        [(1, 21, 500, 321)],
        [],
    ),
    "deconvolution pads": (
        "Deconvolution",
        CONV("kernel_size: 4 stride: 2 pad_l: 1 pad_b: 2"),
        [(1, 2, 5, 5)],
        [(1, 4, 10, 11)],
        [(2, 4, 4, 4), (4,)],
    ),
    "ceil_mode": (
        "Pooling",
        POOL("kernel_size: 3 stride: 2 ceil_mode: false"),
        [(1, 2, 8, 8)],
        [(1, 2, 3, 3)],
        [],
    ),
    "ceil_mode true": (
        "Pooling",
        POOL("kernel_size: 3 stride: 2 ceil_mode: true"),
        [(1, 2, 8, 8)],
        [(1, 2, 4, 4)],
        [],
    ),
    "round_mode before ceil_mode": (
        "Pooling",
        POOL("kernel_size: 3 stride: 2 ceil_mode: true round_mode: FLOOR"),
        [(1, 2, 8, 8)],
        [(1, 2, 3, 3)],
        [],
    ),
    "round_mode before ceil_mode, up": (
        "Pooling",
        POOL("kernel_size: 3 stride: 2 ceil_mode: false round_mode: CEIL"),
        [(1, 2, 8, 8)],
        [(1, 2, 4, 4)],
        [],
    ),
    "torch_pooling": (
        "Pooling",
        POOL("kernel_size: 3 stride: 2 torch_pooling: true"),
        [(1, 2, 8, 8)],
        [(1, 2, 3, 3)],
        [],
    ),
    "pooling pads": (
        "Pooling",
        POOL("kernel_size: 2 pad_r: 1 pad_b: 1 pool: AVE_EXC_PAD"),
        [(1, 2, 13, 13)],
        [(1, 2, 13, 13)],
        [],
    ),
    "pooling pad_type": (
        "Pooling",
        POOL("kernel_size: 2 pad_type: 1"),
        [(1, 2, 13, 13)],
        [(1, 2, 13, 13)],
        [],
    ),
    "depthwise": (
        "DepthwiseConvolution",
        CONV("kernel_size: 3 pad: 1 group: 4 bias_term: false"),
        [(1, 4, 9, 9)],
        [(1, 4, 9, 9)],
        [(4, 1, 3, 3)],
    ),
    "depthwise by itself": (
        "ConvolutionDepthwise",
        CONV("kernel_size: 3 stride: 2"),
        [(1, 4, 9, 9)],
        [(1, 4, 4, 4)],
        [(4, 1, 3, 3), (4,)],
    ),
    "interp zoom": (
        "Interp",
        "interp_param { zoom_factor: 8 }",
        [(1, 21, 41, 41)],
        [(1, 21, 321, 321)],
        [],
    ),
    "interp shrink": (
        "Interp",
        "interp_param { shrink_factor: 8 }",
        [(1, 1, 321, 322)],
        [(1, 1, 41, 41)],
        [],
    ),
    "interp both": (
        "Interp",
        "interp_param { shrink_factor: 4 zoom_factor: 2 }",
        [(1, 1, 33, 41)],
        [(1, 1, 17, 21)],
        [],
    ),
    "interp size": (
        "Interp",
        "interp_param { height: 90 width: 60 }",
        [(1, 1, 6, 6)],
        [(1, 1, 90, 60)],
        [],
    ),
    "interp cut": (
        "Interp",
        "interp_param { zoom_factor: 8 pad_beg: -1 pad_end: 0 }",
        [(1, 1, 42, 42)],
        [(1, 1, 321, 321)],
        [],
    ),
    "interp full": (
        "Interp",
        "interp_param { full_zoom_factor: 2 }",
        [(1, 1, 6, 7)],
        [(1, 1, 12, 14)],
        [],
    ),
    "padding": (
        "Padding",
        "padding_param { pad_beg: -7 pad_end: -8 }",
        [(1, 1, 40, 40)],
        [(1, 1, 25, 25)],
        [],
    ),
    "upsample": ("Upsample", "", [(1, 2, 5, 6), (1, 2, 5, 6)], [(1, 2, 10, 12)], []),
    "upsample to a size": (
        "Upsample",
        "upsample_param { scale: 2 upsample_w: 30 upsample_h: 23 }",
        [(1, 2, 12, 15)] * 2,
        [(1, 2, 23, 30)],
        [],
    ),
    "upsample less one": (
        "Upsample",
        "upsample_param { scale: 2 pad_out_h: true }",
        [(1, 2, 12, 15)] * 2,
        [(1, 2, 23, 30)],
        [],
    ),
    "upsample each axis": (
        "Upsample",
        "upsample_param { scale_h: 2 scale_w: 3 }",
        [(1, 2, 4, 5)],
        [(1, 2, 8, 15)],
        [],
    ),
    "upsample of darknet": (
        "UpsampleDarknet",
        "upsample_darknet_param { stride: 2 }",
        [(1, 2, 13, 13)],
        [(1, 2, 26, 26)],
        [],
    ),
    "nearest": (
        "ResizeNearestNeighbor",
        "resize_nearest_neighbor_param { output_height: 8 scale_width: 2.5 }",
        [(1, 4, 5, 3)],
        [(1, 8, 12, 3)],
        [],
    ),
    "nearest of planes": (
        "ResizeNearestNeighbor",
        "resize_nearest_neighbor_param { scale_height: 2 scale_width: 2 data_format: 'NCHW' }",
        [(1, 3, 4, 5)],
        [(1, 3, 8, 10)],
        [],
    ),
    "depth to space": (
        "DepthToSpace",
        "depth_to_space_param { block_size: 2 data_format: 'NCHW' }",
        [(1, 8, 4, 5)],
        [(1, 2, 8, 10)],
        [],
    ),
    "depth to space last": (
        "DepthToSpace",
        "depth_to_space_param { block_size: 2 }",
        [(1, 4, 5, 8)],
        [(1, 8, 10, 2)],
        [],
    ),
    "pixelshuffler": (
        "Reshape",
        "reshape_param { pixelshuffler: 2 }",
        [(1, 8, 4, 5)],
        [(1, 2, 8, 10)],
        [],
    ),
    "reorg": ("Reorg", "reorg_param { stride: 2 }", [(1, 64, 38, 38)], [(1, 256, 19, 19)], []),
    "reorg back": (
        "Reorg",
        "reorg_param { stride: 2 reverse: true }",
        [(1, 8, 4, 4)],
        [(1, 2, 8, 8)],
        [],
    ),
    "shuffle": (
        "ShuffleChannel",
        "shuffle_channel_param { group: 3 }",
        [(1, 6, 4, 5)],
        [(1, 6, 4, 5)],
        [],
    ),
    "permute": ("Permute", "permute_param { order: [0, 2] }", [(2, 3, 4, 5)], [(2, 4, 3, 5)], []),
    "squeeze": ("Squeeze", "squeeze_param { axis: 1 axis: -2 }", [(1, 1, 1, 5)], [(1, 5)], []),
    "squeeze all": ("Squeeze", "", [(1, 3, 1, 5)], [(3, 5)], []),
    "axpy": ("Axpy", "", [(2, 3, 1, 1), (2, 3, 4, 5), (2, 3, 4, 5)], [(2, 3, 4, 5)], []),
    "mul": ("Mul", "", [(2, 3, 4, 5), (2, 3, 1, 1)], [(2, 3, 4, 5)], []),
    "add its own": (
        "Add",
        "add_param { add_shape: [3, 1, 1] }",
        [(2, 3, 4, 5)],
        [(2, 3, 4, 5)],
        [(3, 1, 1)],
    ),
    "relu6": ("ReLU6", "", [(2, 3)], [(2, 3)], []),
    "SegNet's BN": (
        "BN",
        "bn_param { scale_filler { value: 1 } shift_filler {} }",
        [(2, 3, 4, 5)],
        [(2, 3, 4, 5)],
        [(1, 3, 1, 1)] * 2,
    ),
    "PSPNet's BN": (
        "BN",
        "bn_param { slope_filler { value: 1 } frozen: true momentum: 0.95 }",
        [(2, 3, 4, 5)],
        [(2, 3, 4, 5)],
        [(1, 3)] * 4,
    ),
    "BN of four rates": (
        "BN",
        "param {} param {} param {} param {}",
        [(2, 3, 4, 5)],
        [(2, 3, 4, 5)],
        [(1, 3)] * 4,
    ),
    "NVCaffe's BatchNorm": (
        "BatchNorm",
        "batch_norm_param { scale_bias: true }",
        [(2, 3, 4, 5)],
        [(2, 3, 4, 5)],
        [(3,), (3,), (1,), (3,), (3,)],
    ),
    "SSD's Normalize": (
        "Normalize",
        "norm_param { channel_shared: false }",
        [(2, 3, 4, 5)],
        [(2, 3, 4, 5)],
        [(3,)],
    ),
    "one factor": ("Normalize", "norm_param {}", [(2, 3, 4, 5)], [(2, 3, 4, 5)], [()]),
    "Normalize of faces": ("Normalize", "", [(2, 128)], [(2, 128)], []),
    "priors": (
        "PriorBox",
        "prior_box_param { min_size: 30 max_size: 60 aspect_ratio: 2 aspect_ratio: 2.0 }",
        BOX,
        [(1, 2, 38 * 50 * 4 * 4)],
        [],
    ),
    "priors unflipped": (
        "PriorBox",
        "prior_box_param { min_size: [30, 40] aspect_ratio: [2, 3] flip: false }",
        BOX,
        [(1, 2, 38 * 50 * 6 * 4)],
        [],
    ),
    "priors at two offsets": (
        "PriorBox",
        "prior_box_param { min_size: 30 offset_w: [0.5, 0.5] offset_h: [0.5, 1] }",
        BOX,
        [(1, 2, 38 * 50 * 2 * 4)],
        [],
    ),
    "roi": (
        "ROIPooling",
        "roi_pooling_param { pooled_h: 6 pooled_w: 7 }",
        [(1, 256, 38, 50), (300, 5)],
        [(300, 256, 6, 7)],
        [],
    ),
    "psroi": (
        "PSROIPooling",
        "psroi_pooling_param { spatial_scale: 0.0625 output_dim: 21 group_size: 7 }",
        [(1, 1029, 38, 50), (300, 5)],
        [(300, 21, 7, 7)],
        [],
    ),
    "mask": (
        "MaskResize",
        "mask_resize_param { output_height: 14 output_width: 14 }",
        [(9, 1, 21, 21)],
        [(9, 1, 14, 14)],
        [],
    ),
    "smooth loss": (
        "SmoothL1Loss",
        "smooth_l1_loss_param { sigma: 3 }",
        [(2, 84), (2, 84)],
        [()],
        [],
    ),
    "old crop": ("CROP", "", [(1, 21, 568, 568), (1, 3, 500, 375)], [(1, 21, 500, 375)], []),
    "auto crop": ("AutoCrop", "", [(1, 21, 568, 568), (1, 3, 500, 375)], [(1, 21, 500, 375)], []),
}


@pytest.mark.parametrize("case", SHAPES)
def test_shapes_and_parameters(case):
    kind, params, inputs, tops, blobs = SHAPES[case]
    assert outcome(net(kind, params, *inputs, tops=len(tops))) == [tops, blobs]


def test_what_segnets_bn_tells_of_the_batch():
    assert outcome(net("BN", "", (2, 3, 4, 5), tops=3))[0] == [
        (2, 3, 4, 5),
        (1, 3, 1, 1),
        (1, 3, 1, 1),
    ]


@pytest.mark.parametrize(
    "kind, params, shapes",
    [
        (
            "ImageSegData",
            "image_data_param { batch_size: 4 } transform_param { crop_size: 321 }",
            [(4, 3, 321, 321), (4, 1, 321, 321), (4, 1, 1, 2)],
        ),
        ("ImageSegData", "image_data_param { batch_size: 4 }", [None, None, (4, 1, 1, 2)]),
        (
            "DenseImageData",
            "dense_image_data_param { batch_size: 2 new_height: 360 new_width: 480 }",
            [(2, 3, 360, 480), (2, 1, 360, 480)],
        ),
        ("DenseImageData", "dense_image_data_param { batch_size: 2 }", [None, None]),
        (
            "AnnotatedData",
            "data_param { batch_size: 8 } transform_param { mean_value: [1, 2, 3] "
            "resize_param { resize_mode: WARP height: 300 width: 320 interp_mode: LINEAR } }",
            [(8, 3, 300, 320), None],
        ),
        (
            "AnnotatedData",
            "data_param { batch_size: 8 } transform_param { mean_value: [1, 2, 3] "
            "resize_param { resize_mode: FIT_SMALL_SIZE height: 300 width: 320 } }",
            [None, None],
        ),
        ("AnnotatedData", "data_param { batch_size: 8 }", [None, None]),
    ],
)
def test_sources(kind, params, shapes):
    found = infer(net(kind, params, tops=len(shapes)))
    assert [found.tops[top] for top in found.graph.layers[0].tops] == shapes
    assert all(found.tops[top] or "that of the data" in found.reason(top) for top in found.tops)


@pytest.mark.parametrize(
    "kind, reason",
    [
        ("DetectionOutput", "depends on the values that it reads"),
        ("SegAccuracy", "the outputs of an evaluation are not followed"),
        ("NeverHeardOf", "type NeverHeardOf is not known to fcnkit"),
    ],
)
def test_a_hole_is_stated(kind, reason):
    text = net(kind, "never_heard_of_param { a: 1 }", (1, 2, 3, 4))
    found = infer(text + declare("ReLU", bottoms="t", tops="u", name="y"))
    assert reason in found.reason(found.graph.top("u"))
    assert "?" in fcnkit.inspect(prototxt.parse(text, "net.prototxt")).table()


REFUSED = {
    "no size": ("Interp", "", [(1, 2, 3, 4)], "has no size"),
    "enlarging": (
        "Interp",
        "interp_param { zoom_factor: 2 pad_beg: 1 }",
        [(1, 2, 3, 4)],
        "only crops",
    ),
    "all cut": (
        "Interp",
        "interp_param { zoom_factor: 2 pad_beg: -3 }",
        [(1, 2, 3, 4)],
        "cut less",
    ),
    "zoom 0": ("Interp", "interp_param { zoom_factor: 0 }", [(1, 2, 3, 4)], "at least 1"),
    "interp of 2": ("Interp", "interp_param { zoom_factor: 2 }", [(1, 2)], "takes 4 axes"),
    "scale 0": ("Upsample", "upsample_param { scale: 0 }", [(1, 2, 3, 4)], "at least 1"),
    "stride 0": (
        "UpsampleDarknet",
        "upsample_darknet_param { stride: 0 }",
        [(1, 2, 3, 4)],
        "enlarge",
    ),
    "other mask": ("Upsample", "", [(1, 2, 3, 4), (1, 2, 6, 8)], "take the mask"),
    "mask of others": ("Upsample", "", [(1, 2, 3, 4), (1, 3, 3, 4)], "take the mask"),
    "odd height": (
        "Upsample",
        "",
        [(1, 2, 24, 30), (1, 2, 23, 30)],
        "makes a row too many; give that one upsample_h: 23 upsample_w: 30, or pad_out_h: true",
    ),
    "odd sizes": (
        "Upsample",
        "",
        [(1, 2, 24, 30), (1, 2, 23, 29)],
        "a row and a column too many; give that one upsample_h: 23 upsample_w: 29, "
        "or pad_out_h: true, pad_out_w: true",
    ),
    "signs": (
        "Padding",
        "padding_param { pad_beg: -1 pad_end: 1 }",
        [(1, 2, 3, 4)],
        "the same sign",
    ),
    "cut away": ("Padding", "padding_param { pad_beg: -4 }", [(1, 2, 3, 4)], "enlarge"),
    "pad axes": ("Pad", "pad_param { paddings: [1, 2] }", [(1, 2, 3, 4)], "2 paddings for 4 axes"),
    "shuffle": (
        "ShuffleChannel",
        "shuffle_channel_param { group: 4 }",
        [(1, 6, 3, 3)],
        "does not divide",
    ),
    "shuffle 0": (
        "ShuffleChannel",
        "shuffle_channel_param { group: 0 }",
        [(1, 6, 3, 3)],
        "does not divide",
    ),
    "blocks": (
        "DepthToSpace",
        "depth_to_space_param { block_size: 0 }",
        [(1, 8, 3, 3)],
        "do not divide",
    ),
    "reorg": ("Reorg", "reorg_param { stride: 2 }", [(1, 8, 3, 4)], "does not divide"),
    "reorg 0": ("Reorg", "reorg_param { stride: 0 }", [(1, 8, 3, 4)], "does not divide"),
    "order": ("Permute", "permute_param { order: [0, 0] }", [(1, 8, 3, 4)], "at most once"),
    "order of 5": ("Permute", "permute_param { order: [4] }", [(1, 8, 3, 4)], "0 to 3"),
    "squeezed": ("Squeeze", "squeeze_param { axis: 1 }", [(1, 8, 1, 1)], "not all 1"),
    "axpy": ("Axpy", "", [(2, 3), (2, 4, 5, 5), (2, 4, 5, 5)], "a factor for each of 2 x 4"),
    "operands": ("Add", "", [(2, 3), (2, 4)], "make them equal, or 1"),
    "no min_size": ("PriorBox", "", BOX, "0 min_size"),
    "max_size": (
        "PriorBox",
        "prior_box_param { min_size: [1, 2] max_size: 3 }",
        BOX,
        "as many or none",
    ),
    "no bins": ("ROIPooling", "", [(1, 8, 9, 9), (3, 5)], "at least 1"),
    "no spatial_scale": ("PSROIPooling", "", [(1, 8, 9, 9), (3, 5)], "make them agree"),
    "pad_type 2": (
        "Convolution",
        CONV("kernel_size: 3 pad_type: 2"),
        [(1, 2, 9, 9)],
        "give 0 or 1",
    ),
    "pooling pad_type 2": (
        "Pooling",
        POOL("kernel_size: 3 stride: 2 pad_type: 2"),
        [(1, 2, 9, 9)],
        "give 0 or 1",
    ),
    "hole and dilation": (
        "Convolution",
        CONV("kernel_size: 3 hole: 2 dilation: 2"),
        [(1, 2, 9, 9)],
        "keep dilation",
    ),
    "hole 0": ("Convolution", CONV("kernel_size: 3 hole: 0"), [(1, 2, 9, 9)], "dilation is 0 x 0"),
    "pad and pad_l": (
        "Convolution",
        CONV("kernel_size: 3 pad: 1 pad_l: 1"),
        [(1, 2, 9, 9)],
        "keep one",
    ),
    "not a number": (
        "Interp",
        'interp_param { zoom_factor: "2" }',
        [(1, 2, 3, 4)],
        "takes a whole number",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_at_its_place(case):
    kind, params, inputs, words = REFUSED[case]
    with pytest.raises(FcnkitError) as caught:
        infer(net(kind, params, *inputs))
    assert words in str(caught.value) and str(caught.value).startswith("net.prototxt:")


# ---- tables: coordinates, windows, multiply-adds


@pytest.mark.parametrize(
    "kind, params, place",
    [
        ("Convolution", CONV("kernel_size: 3 hole: 4 pad: 4"), IDENTITY),
        (
            "Convolution",
            CONV("kernel_size: 3 pad_t: 1 pad_b: 0 pad_l: 0 pad_r: 1"),
            CoordMap((1, 1), (0, -1)),
        ),
        (
            "DepthwiseConvolution",
            CONV("kernel_size: 3 stride: 2 group: 2"),
            CoordMap((F(1, 2),) * 2, (F(-1, 2),) * 2),
        ),
        ("Interp", "interp_param { zoom_factor: 8 }", CoordMap((8, 8), (0, 0))),
        ("Interp", "interp_param { zoom_factor: 8 pad_beg: -1 }", CoordMap((8, 8), (-8, -8))),
        ("Interp", "interp_param { shrink_factor: 2 }", CoordMap((F(1, 2),) * 2, (0, 0))),
        ("Interp", "interp_param { full_zoom_factor: 2 }", None),
        ("Padding", "padding_param { pad_beg: -7 pad_end: -8 }", CoordMap((1, 1), (-7, -7))),
        (
            "DepthToSpace",
            "depth_to_space_param { block_size: 2 data_format: 'NCHW' }",
            CoordMap((2, 2), (F(1, 2),) * 2),
        ),
        ("DepthToSpace", "depth_to_space_param { block_size: 2 }", None),
        ("Permute", "permute_param { order: [1, 0] }", IDENTITY),
        ("Permute", "permute_param { order: [0, 2, 3, 1] }", None),
        ("Reorg", "reorg_param { stride: 2 }", None),
        ("BN", "", IDENTITY),
        ("ROIPooling", "", None),
    ],
)
def test_places(kind, params, place):
    assert coord(kind, params) == place


@pytest.mark.parametrize("shapes", [((1, 2, 9, 9),), ((1, 2, 9, 9), (1, 2, 18, 18))])
def test_an_interp_to_a_size_has_no_place_and_says_why(shapes):
    layer = infer(net("Interp", "interp_param { height: 60 width: 60 }", *shapes)).graph.layers[-1]
    with pytest.raises(NetError, match="size of every input; give it zoom_factor or shrink_factor"):
        TYPES["Interp"].coord(layer, 4)


def test_axpys_factor_has_no_place():
    layer = infer(net("Axpy", "", (2, 3, 1, 1), (2, 3, 4, 5), (2, 3, 4, 5))).graph.layers[-1]
    assert TYPES["Axpy"].carriers(layer) == (1, 2)


@pytest.mark.parametrize(
    "kind, params, window",
    [
        ("Convolution", CONV("kernel_size: 3 hole: 2"), ((5, 1), (5, 1))),
        ("Upsample", "upsample_param { scale: 2 }", ((1, F(1, 2)),) * 2),
        ("Interp", "interp_param { zoom_factor: 8 }", ((2, F(1, 8)),) * 2),
        ("Interp", "interp_param { height: 8 width: 8 }", None),
        ("Permute", "permute_param { order: [0, 2, 3, 1] }", None),
        ("Normalize", "norm_param { across_spatial: false }", ()),
        ("Normalize", "norm_param {}", None),
        ("ReLU6", "", ()),
    ],
)
def test_windows(kind, params, window):
    assert TYPES[kind].window(layer_of(kind, params)) == window


def test_a_depthwise_convolution_multiplies_each_channel_by_itself():
    found = infer(net("DepthwiseConvolution", CONV("kernel_size: 3 group: 4"), (1, 4, 9, 9)))
    assert found.macs(found.graph.layers[-1]) == 4 * 7 * 7 * 9


# ---- the schema


def test_the_compiled_schema_is_that_of_the_source(tmp_path):
    pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed; run `make setup`")
    target = tmp_path / "forks.desc"
    subprocess.run(
        [sys.executable, ROOT / "scripts" / "make_schema.py", target], check=True, timeout=60
    )
    from google.protobuf.descriptor_pb2 import FileDescriptorSet as Files

    assert Files.FromString(target.read_bytes()) == Files.FromString(
        (FORMATS / "forks.desc").read_bytes()
    )


def test_a_forks_message_answers_with_its_defaults_and_values():
    layer = view(
        'name: "x" interp_param { zoom_factor: 8 } bn_param { slope_filler { value: 2 } }',
        "LayerParameter",
    )
    assert layer.view("interp_param").get("zoom_factor") == 8
    assert layer.view("interp_param").get("shrink_factor") == 1
    assert layer.view("bn_param").view("slope_filler").get("value") == 2.0
    assert layer.view("upsample_param").get("scale") == 2 and not layer.has("upsample_param")
    assert View("V1LayerParameter", None).view("interp_param").get("pad_beg") == 0


def test_caffes_messages_answer_for_the_fields_of_forks_too():
    conv = view("kernel_size: 3 hole: 2", "ConvolutionParameter")
    assert (conv.get("hole"), conv.list("kernel_size"), conv.has("pad_l")) == (2, [3], False)
    assert conv.says("pad", "hole") and not conv.says("pad", "dilation")
    assert conv.field("hole").raw == "2"


def test_a_word_that_forks_add_to_an_enum_is_read():
    pooling = view("pool: AVE_EXC_PAD", "PoolingParameter")
    assert (
        pooling.get("pool") == "AVE_EXC_PAD" and schema.fork_of("PoolingParameter", "pool") is None
    )
    assert view("pool: 1", "PoolingParameter").get("pool") == "AVE"
    with pytest.raises(FcnkitError, match="MAX, AVE or STOCHASTIC"):
        view("pool: AVG", "PoolingParameter").get("pool")
    with pytest.raises(FcnkitError, match="AVE_EXC_PAD"):
        schema.check("PoolingParameter", pooling.source_field)


@pytest.mark.parametrize(
    "message, name",
    [
        ("ConvolutionParameter", "holes"),
        ("InterpParameter", "zoom"),
        ("Datum", "hole"),
        ("SolverState", "x"),
    ],
)
def test_a_name_that_no_fork_has_is_our_mistake(message, name):
    for ask in (View(message, None).get, View(message, None).has, View(message, None).view):
        with pytest.raises(KeyError):
            ask(name)


def test_a_message_that_no_fork_has_is_our_mistake():
    with pytest.raises(KeyError):
        View("HoleParameter", None)


@pytest.mark.parametrize(
    "message, name, fork",
    [
        ("ConvolutionParameter", "hole", "DeepLab"),
        ("LayerParameter", "upsample_param", "SegNet"),
        ("LayerParameter", "psroi_pooling_param", "R-FCN"),
        ("LayerParameter", "roi_pooling_param", "Fast-R-CNN"),
        ("PoolingParameter", "torch_pooling", "NVCaffe"),
        ("InterpParameter", "full_zoom_factor", "Synopsys"),
        ("V1LayerParameter", "local_param", "others"),
        ("PoolingParameter", "ceil_mode", "others"),
        ("SolverParameter", "warmup_iter", "Intel"),
        ("SolverParameter", "ap_version", "SSD"),
        ("ConvolutionParameter", "dilation", None),
        ("ConvolutionParameter", "kernal_size", None),
        ("NoSuchMessage", "hole", None),
    ],
)
def test_fork_of(message, name, fork):
    assert schema.fork_of(message, name) == fork


def test_every_field_has_a_fork_and_no_field_is_caffes_own():
    from google.protobuf.descriptor_pb2 import FileDescriptorSet as Files

    (file,) = Files.FromString((FORMATS / "forks.desc").read_bytes()).file
    for message in file.message_type:
        for field in message.field:
            named = schema.fork_of(message.name, field.name)
            assert named or field.type == field.TYPE_ENUM, f"{message.name}.{field.name}"


def test_caffes_own_view_of_the_fields_stays():
    root = prototxt.parse(
        'layer { name: "x" convolution_param { hole: 2 } bn_param {} }', "a.prototxt"
    ).root
    assert [field.name for field, _ in schema.unknown("NetParameter", root)] == ["hole", "bn_param"]
    with pytest.raises(FcnkitError, match="hole"):
        schema.check("NetParameter", root)
    with pytest.raises(KeyError):
        schema.slots("InterpParameter")


def test_the_forks_schema_is_loaded_when_a_fork_is_read():
    text = net("Convolution", CONV("kernel_size: 3"), (1, 2, 9, 9)) + declare(
        "Pooling", POOL("kernel_size: 2"), bottoms="t", tops="u", name="p"
    )
    code = (
        "from fcnkit.formats import prototxt, schema; from fcnkit.nets import graph, shapes\n"
        f"shapes.shapes_of(graph.build(prototxt.parse({text!r}, 'a')))\n"
        "print(schema._descriptors.cache_info().currsize)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"  # Caffe's


# ---- rewrites


def _deeplab() -> str:
    text = source("data", 1, 3, 321, 321)
    for at, (bottom, kernel, params) in enumerate(
        [
            ("data", 3, "pad: 1 stride: 2"),
            ("c0", 3, "pad: 1 stride: 2"),
            ("c1", 3, "pad: 2 hole: 2"),
            ("c2", 4, "pad: 6 hole: 4"),
        ]
    ):
        text += declare(
            "Convolution",
            CONV(f"kernel_size: {kernel} {params}"),
            bottoms=[bottom],
            tops=[f"c{at}"],
            name=f"c{at}",
        )
    params = "convolution_param { num_output: 21 kernel_size: 1 }"
    return text + declare("Convolution", params, bottoms=["c3"], tops=["fc8"], name="fc8")


def test_fcn_of_a_net_with_holes_is_that_of_the_net_with_dilation():
    with_holes = prototxt.parse(_deeplab(), "a.prototxt")
    dilated = prototxt.parse(_deeplab().replace("hole:", "dilation:"), "a.prototxt")
    ours, theirs = (
        fcnkit.fcn(with_holes, classes=5, stride=4),
        fcnkit.fcn(dilated, classes=5, stride=4),
    )
    assert ours.net.text.replace("hole:", "dilation:") == theirs.net.text
    assert "hole: 4" in ours.net.text and "Crop" in ours.net.text


def test_convolutionalize_leaves_the_forks_layers_as_they_are():
    text = _deeplab() + declare(
        "BN", "bn_param { slope_filler {} }", bottoms=["fc8"], tops=["bn"], name="bn"
    )
    params = "inner_product_param { num_output: 7 }"
    text += declare("InnerProduct", params, bottoms=["bn"], tops=["fc9"], name="fc9")
    plan = fcnkit.convolutionalize(prototxt.parse(text, "a.prototxt"))
    layer = graph.build(plan.net).layer("fc9")
    assert (layer.type, spatial(layer).kernel) == ("Convolution", (81, 81))
    assert "bn_param { slope_filler {} }" in plan.net.text


# ---- real data

KNOWN_HOLES = (
    "that of the data",
    "no shape",
    "sets the size of its tops",
    "depends on the values",
    "not followed",
)


@pytest.fixture(scope="module")
def nets(shared) -> dict:
    """The shapes of every net of the corpus in which a fork's type stands, by path."""
    folder, words = (
        shared / "prototxts",
        [f'"{kind}"' for kind in FORKS] + ["type: INTERP", "hole:"],
    )
    with open(folder / "INDEX.csv", newline="") as index:
        paths = [
            folder / row["path"] for row in csv.DictReader(index) if row["format"] in ("V1", "V2")
        ]
    found = {}
    for path in paths:
        text = path.read_text(errors="replace")
        if any(word in text for word in words):
            found[str(path)] = _shapes(prototxt.read(path))
    return {path: shapes for path, shapes in found.items() if shapes}


def _shapes(one: prototxt.Prototxt):
    try:
        return fcnkit.nets.shapes.shapes_of(graph.build(one))
    except FcnkitError:
        return None  # a template, or for one phase alone; what is wrong is other tests' business


def test_every_net_of_a_fork_is_followed_as_far_as_it_says(nets):
    reasons = [shapes.reason(top) for shapes in nets.values() for top in shapes.tops]
    assert len(nets) > 100
    assert [why for why in reasons if why and not any(words in why for words in KNOWN_HOLES)] == []
    assert all(
        shapes.blobs(layer) is not None for shapes in nets.values() for layer in _learning(shapes)
    )


def _learning(shapes):
    followed = (layer for layer in shapes.graph.layers if shapes.bottoms(layer) is not None)
    return (
        layer for layer in followed if layer.type in ("BN", "Normalize", "DepthwiseConvolution")
    )


def test_ssd_gives_each_prior_a_box_and_a_score_of_each_class(nets):
    checked = 0
    for shapes in nets.values():
        blobs = {top.blob: shape for top, shape in shapes.tops.items()}
        priors, boxes = blobs.get("mbox_priorbox"), blobs.get("mbox_loc")
        if priors and boxes:
            classes = F(blobs["mbox_conf"][1], priors[2] // 4)
            assert boxes[1] == priors[2] and classes.denominator == 1
            checked += 1
    assert checked > 12


PUBLISHED = {
    "VGGNet/VOC0712/SSD_300x300/test.prototxt@": ("mbox_priorbox", (1, 2, 8732 * 4)),
    "VGG_VOC0712_SSD_512x512_iter_120000.prototxt": ("mbox_priorbox", (1, 2, 24564 * 4)),
    "pspnet101_cityscapes_713": ("conv6_interp", (1, 19, 713, 713)),
    "bayesian_segnet_basic_camvid": ("prob", (1, 11, 360, 480)),
    "icnet/caffe_model/icnet_cityscapes.prototxt": ("conv6_interp", (1, 19, 1025, 2049)),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(nets, name):
    blob, shape = PUBLISHED[name]
    (found,) = (shapes for path, shapes in nets.items() if name in path)
    assert found.tops[found.graph.top(blob)][1:] == shape[1:]


# ---- oracles: real Caffe on what says the same in its own words

EQUAL = [
    (
        "Convolution",
        "kernel_size: 3 hole: 2 pad: 1",
        "Convolution",
        "kernel_size: 3 dilation: 2 pad: 1",
    ),
    (
        "Convolution",
        "kernel_size: 5 pad_t: 2 pad_b: 2 pad_l: 1 pad_r: 1",
        "Convolution",
        "kernel_size: 5 pad_h: 2 pad_w: 1",
    ),
    ("Convolution", "kernel_size: 5 pad_type: 1", "Convolution", "kernel_size: 5 pad: 2"),
    (
        "DepthwiseConvolution",
        "kernel_size: 3 stride: 2 group: 4",
        "Convolution",
        "kernel_size: 3 stride: 2 group: 4",
    ),
    (
        "ConvolutionDepthwise",
        "kernel_size: 3 stride: 2",
        "Convolution",
        "kernel_size: 3 stride: 2 group: 4",
    ),
    (
        "Pooling",
        "kernel_size: 3 stride: 2 ceil_mode: false",
        "Pooling",
        "kernel_size: 3 stride: 2 round_mode: FLOOR",
    ),
    (
        "Pooling",
        "kernel_size: 3 stride: 2 torch_pooling: true pad: 1",
        "Pooling",
        "kernel_size: 3 stride: 2 round_mode: FLOOR pad: 1",
    ),
    (
        "Pooling",
        "kernel_size: 3 stride: 2 pad_l: 1 pad_r: 1 pad_t: 1 pad_b: 1",
        "Pooling",
        "kernel_size: 3 stride: 2 pad: 1",
    ),
    (
        "Pooling",
        "kernel_size: 3 pad: 1 pool: AVE_EXC_PAD",
        "Pooling",
        "kernel_size: 3 pad: 1 pool: AVE",
    ),
]


def test_real_caffe_gives_these_sizes_for_the_same_in_its_own_words(caffe):
    cases = []
    for (kind, params, other, words), size in [
        (case, size) for case in EQUAL for size in (14, 15, 16, 17)
    ]:
        inside = POOL if kind == "Pooling" else CONV
        shape = (1, 4, size, size + 3)
        cases.append(
            (outcome(net(kind, inside(params), shape))[0], net(other, inside(words), shape))
        )
    answers = caffe.ask([caffe.Question("shapes", prototxt.parse(text)) for _, text in cases])
    assert [tuple(answer["t"]) for answer in answers] == [tops[0] for tops, _ in cases]


@pytest.mark.parametrize(
    "kind, params, inputs",
    [
        ("Interp", "interp_param { zoom_factor: 8 }", [(1, 2, 6, 7)]),
        ("Interp", "interp_param { height: 9 width: 5 }", [(1, 2, 6, 7)]),
        ("Permute", "permute_param { order: [0, 2, 3, 1] }", [(2, 3, 4, 5)]),
        (
            "PriorBox",
            "prior_box_param { min_size: 30 max_size: 60 aspect_ratio: [2, 3] variance: 0.1 }",
            BOX,
        ),
        ("ROIPooling", "roi_pooling_param { pooled_h: 6 pooled_w: 7 }", [(1, 4, 9, 9), (3, 5)]),
        ("ShuffleChannel", "shuffle_channel_param { group: 3 }", [(1, 6, 4, 5)]),
        ("ReLU6", "", [(1, 6, 4, 5)]),
    ],
)
def test_opencv_gives_these_shapes(kind, params, inputs):
    cv2, numpy = pytest.importorskip("cv2"), pytest.importorskip("numpy")
    text = net(kind, params, *inputs)
    read = cv2.dnn.readNetFromCaffe(numpy.frombuffer(text.encode(), numpy.uint8))
    for blob, shape in zip("abcdef", inputs, strict=False):
        read.setInput(numpy.zeros(shape, numpy.float32), blob)
    assert [read.forward("x").shape] == outcome(text)[0]


def test_interp_puts_each_point_where_its_map_says():
    cv2, numpy = pytest.importorskip("cv2"), pytest.importorskip("numpy")
    params = "interp_param { zoom_factor: 4 }"
    read = cv2.dnn.readNetFromCaffe(
        numpy.frombuffer(net("Interp", params, (1, 1, 5, 5)).encode(), numpy.uint8)
    )
    read.setInput(numpy.tile(numpy.arange(5, dtype=numpy.float32), (1, 1, 5, 1)), "a")
    back = coord("Interp", params).inverse()
    assert read.forward("x")[0, 0, 0] == pytest.approx(
        [float(back(at)) for at in range(17)], abs=1e-5
    )


# ---- hostile


@given(
    params=st.text(alphabet="{}:0123456789-\"' \nabehilnoprst_", max_size=60),
    kind=st.sampled_from(sorted(FORKS)),
)
@settings(deadline=None, max_examples=300)
def test_whatever_the_text_says_is_followed_or_refused_in_words(kind, params):
    text = net(kind, params, (1, 4, 9, 9), (1, 4, 9, 9))
    try:
        found = infer(text)
        for layer in found.graph.layers:
            found.blobs(layer), found.macs(layer)
    except FcnkitError as error:
        assert str(error)


@pytest.mark.parametrize("kind", sorted(FORKS))
@pytest.mark.parametrize("shapes", [[()], [(0,)], [(1, 2)], [(1, 2, 3, 4)] * 3, [(1, 0, 0, 0)] * 2])
def test_any_type_takes_any_bottoms_or_says_why_not(kind, shapes):
    assert isinstance(outcome(net(kind, "", *shapes)), list | str)


def test_the_table_knows_no_type_twice():
    assert len(table.TYPES) == len(CAFFE) + len(FORKS) > 110


@pytest.mark.parametrize("kind, params", [
    ("Convolution", CONV("kernel_size: 3 stride: 2 pad_type: 1")),
    ("Pooling", POOL("kernel_size: 3 stride: 2 pad_type: 1")),
])  # fmt: skip
def test_what_pads_by_the_size_of_its_bottom_lies_nowhere(kind, params):
    """Its size is known and its place is not: an FCN is refused, and no engine guesses."""
    text = net(kind, params, (1, 2, 9, 9))
    found = fcnkit.build(fcnkit.parse(text))
    with pytest.raises(NetError, match="pads by the size of the bottom; write pad_t"):
        coord(kind, params)
    assert {one.name for one in fcnkit.lint(found.prototxt)} == {"fork-field"}
    last = """layer { name: "fc" type: "InnerProduct" bottom: "t" top: "fc"
  inner_product_param { num_output: 3 } }
"""
    assert [step.verb for step in fcnkit.convolutionalize(fcnkit.parse(text + last)).steps] == [
        "convert"
    ]
    with pytest.raises(FcnkitError, match="pads by the size of the bottom, so positions in"):
        fcnkit.fcn(fcnkit.parse(text + last), classes=2, stride=2)
    assert [step.verb for step in fcnkit.to_fc(fcnkit.parse(text + last)).steps] in ([], ["keep"])


# ---- whose a word is


@pytest.mark.parametrize(
    ("field", "word", "fork"),
    [
        (("ReLUParameter", "engine"), "MKL2017", "Intel"),
        (("PoolingParameter", "pool"), "AVE_EXC_PAD", "Synopsys"),
        (("EltwiseParameter", "operation"), "DIV", "Synopsys"),
        (("SolverParameter", "solver_type"), "SAG", "NVCaffe"),
        (("EltwiseParameter", "operation"), "SUM", None),
        (("EltwiseParameter", "operation"), "QUOTIENT", None),
        (("EltwiseParameter", "coeff"), "1", None),
    ],
)
def test_a_word_of_an_enum_has_its_fork(field, word, fork):
    assert schema.fork_of_word(*field, word) == fork


def test_lint_says_whose_word_it_is():
    text = 'layer { name: "a" type: "ReLU" bottom: "x" top: "y" relu_param { engine: MKLDNN } }'
    found = fcnkit.lint(prototxt.parse(text, "net.prototxt"))
    assert any(
        "which the Intel fork has; to run the net in Caffe, use that fork" in finding.text
        for finding in found
    )


def test_a_field_that_no_rule_follows_is_said():
    """Synopsys' PriorBox in TensorFlow's manner, of which only SSD's shape is known."""
    params = "norm_param { add_eps_before_sqrt: true }"
    why = strange_fields.not_understood(layer_of("Normalize", params))
    assert (
        why == 'its field "add_eps_before_sqrt", of Synopsys\'s Caffe, may change what it computes'
    )
    assert not strange_fields.not_understood(layer_of("Normalize", "norm_param { eps: 1e-5 }"))


def test_every_entry_names_fields_that_its_message_has():
    for kind in FORKS.values():
        if kind.unheeded:
            message = View("LayerParameter", None).view(kind.message).message_name
            known = {name for name in kind.unheeded if schema.fork_of(message, name)}
            assert known == kind.unheeded, kind.name


# Of the fields of real nets, those of which no proto was found that declares them.
_OF_NO_KNOWN_FORK = {
    ("LayerParameter", "force_backward"),  # which belongs to the net
}


def test_every_field_of_real_nets_is_caffes_or_a_forks(shared):
    strange = set()
    for path in sorted((shared / "prototxts").rglob("*.prototxt*")):
        try:
            net = fcnkit.read(path)
        except FcnkitError:
            continue
        if net.root.fields and {field.name for field in net.root.fields} != {"item"}:
            solver = any(field.name in ("base_lr", "max_iter") for field in net.root.fields)
            strange |= _strange("SolverParameter" if solver else "NetParameter", net.root)
    assert strange == _OF_NO_KNOWN_FORK


def _strange(message: str, field) -> set[tuple[str, str]]:
    seen = View(message, field)
    found = {(message, one.name) for one in seen.strange_fields}
    for one in field.fields or ():
        if one.fields is not None and (message, one.name) not in found:
            inner = seen.view(one.name).message_name
            found |= _strange(inner, one) if inner != "Opaque" else set()
    return found


def test_single_authors_work_is_a_forks():
    layer = layer_of("InnerProduct", "inner_product_param { num_output: 2 normalize: true }")
    assert 'its field "normalize", of a fork of Caffe, may' in strange_fields.not_understood(layer)
