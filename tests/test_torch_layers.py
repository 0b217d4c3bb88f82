"""Every layer type on PyTorch against real Caffe: values, and gradients of data and parameters.

Two passes are made, as iter_size does, so that what is added up is compared and what is not.
"""

import zlib
from typing import NamedTuple

import numpy as np
import pytest
from learned import learned

from fcnkit.engines.caffe import Question
from fcnkit.formats import prototxt
from fcnkit.formats.schema import View
from fcnkit.nets.graph import State, build
from fcnkit.nets.layers.table import of as of_type
from fcnkit.nets.layers.windows import Spatial
from fcnkit.nets.shapes import shapes_of
from fcnkit.weights import store

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'fcnkit[torch]'")

from fcnkit.engines.torch.layers import normal, windows  # noqa: E402

VALUES, GRADIENTS, PASSES = 1e-4, 1e-3, 2
TEST, TRAIN = State(), State("TRAIN")


class Case(NamedTuple):
    """Layers that read x (and z, label, ...), a shape for each, and the tops whose loss is taken.

    `shape` of the data is given values by `values`: "noise", "whole" numbers
    that are often equal, "positive", "large".  Blobs called label are classes.
    Without `force` gradients go only where the net itself wants them.
    """

    name: str
    layers: str
    inputs: dict[str, tuple[int, ...]]
    tops: str = "y"
    values: str = "noise"
    classes: int = 5
    state: State = TEST
    filled: bool = False
    force: bool = True


def layer(kind, param="", bottoms="x", tops="y", name="l"):
    wires = [f'bottom: "{blob}"' for blob in bottoms.split()] + [
        f'top: "{blob}"' for blob in tops.split()
    ]
    return f'layer {{ name: "{name}" type: "{kind}" {" ".join(wires)} {param} }}\n'


def of(kind, message, param, shape=(2, 6, 9, 8), *, bottoms="x", tops="y", name="", **more):
    """A case of one layer; every bottom has the shape, or its own by its name."""
    shapes = {blob: more.pop(blob, shape) for blob in bottoms.split()}
    text = layer(kind, f"{message} {{ {param} }}" if message else param, bottoms, tops)
    return Case(name or f"{kind} {param}", text, shapes, more.pop("out", tops), **more)


def conv(param, shape=(2, 6, 9, 8), kind="Convolution", **more):
    return of(kind, "convolution_param", param, shape, **more)


def deconv(param, shape=(2, 6, 5, 4), **more):
    return conv(param, shape, "Deconvolution", **more)


def pool(param, shape=(2, 3, 9, 8), **more):
    return of("Pooling", "pooling_param", param, shape, **more)


def softmax_loss(param="", shape=(2, 5, 4, 3), more="", **others):
    label = (shape[0], 1, *shape[2:])
    param = f"loss_param {{ {param} }} {more}"
    return of("SoftmaxWithLoss", "", param, shape, bottoms="x label", label=label, out="", **others)


def accuracy(param="", shape=(4, 5, 3, 2), **more):
    label = (shape[0], *shape[2:])
    return of(
        "Accuracy",
        "accuracy_param",
        param,
        shape,
        bottoms="x label",
        label=label,
        values="whole",
        out="",
        force=False,
        **more,
    )


def infogain(param="", shape=(4, 5), tops="loss", values="noise", name=""):
    label = (shape[0], 1, *shape[2:])
    text = BIASED + layer("InfogainLoss", param, "m label h", tops)
    inputs = {"x": shape, "label": label, "h": (1, 1, 5, 5)}
    return Case(name or f"InfogainLoss {param}", text, inputs, "", values, force=False)


# Before a layer that cannot have every bottom's gradient: the bias's is that of its data.
BIASED = layer("Bias", "bias_param { axis: 0 num_axes: -1 }", "x", "m", "k")

WINDOWS = [
    conv("num_output: 4 kernel_size: 3"),
    conv("num_output: 4 kernel_size: 3 stride: 2 pad: 1 group: 2 bias_term: false"),
    conv("num_output: 4 kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1 pad_h: 0 pad_w: 1"),
    conv("num_output: 4 kernel_size: 3 kernel_size: 1 dilation: 2 dilation: 1"),
    conv("num_output: 4 kernel_size: 1", bottoms="x z", tops="y w"),
    conv("num_output: 3 kernel_size: 5 stride: 2", (2, 2, 4, 4), name="a kernel beyond its bottom"),
    conv("num_output: 3 kernel_size: 2 axis: 2", (2, 2, 4, 7)),
    conv("num_output: 3 kernel_size: 2 axis: 0", (3, 4, 7)),
    Case(
        "Convolution over 3 axes",  # flattened, since EuclideanLoss takes no 5 axes
        layer(
            "Convolution",
            "convolution_param { num_output: 3 kernel_size: 2 kernel_size: 3 stride: 2 "
            "kernel_size: 2 weight_filler { type: 'xavier' } }",
            tops="v",
        )
        + layer("Flatten", "", "v", name="f"),
        {"x": (1, 2, 4, 5, 3)},
    ),
    conv("num_output: 6 kernel_size: 3 pad: 1 group: 6", name="depthwise"),
    deconv("num_output: 4 kernel_size: 4 stride: 2"),
    deconv("num_output: 6 kernel_size: 4 stride: 2 pad: 1 group: 6 bias_term: false"),
    deconv("num_output: 4 kernel_size: 3 stride: 2 dilation: 2 group: 2"),
    deconv("num_output: 4 kernel_h: 3 kernel_w: 2 stride_h: 3 stride_w: 1 pad_h: 1 pad_w: 0"),
    pool("kernel_size: 3 stride: 2"),
    pool("kernel_size: 3 stride: 2 pad: 1"),
    pool("kernel_size: 2 stride: 3 pad: 1", (2, 3, 2, 5), name="the clip of a last window"),
    pool("kernel_size: 3 stride: 2 pad: 2", name="MAX, more than half a window of padding"),
    pool("kernel_size: 3 stride: 2 round_mode: FLOOR", (2, 3, 8, 8)),
    pool("kernel_size: 2 stride: 2", tops="y m", out="y", name="MAX with its mask"),
    pool("kernel_size: 3 stride: 2 pad: 2", tops="y m", out="y", name="the mask with much padding"),
    pool("kernel_size: 3 stride: 1", values="whole", name="MAX of equal values"),
    pool("global_pooling: true"),
    pool("pool: AVE kernel_size: 3 stride: 2"),
    pool("pool: AVE kernel_size: 3 stride: 2 pad: 1"),
    pool("pool: AVE kernel_size: 3 stride: 2 pad: 2"),
    pool("pool: AVE kernel_h: 2 kernel_w: 5 stride_h: 1 stride_w: 3 pad_h: 1 pad_w: 2"),
    pool("pool: AVE kernel_size: 3 stride: 2 round_mode: FLOOR", (2, 3, 8, 8)),
    pool("pool: AVE global_pooling: true"),
    pool(
        "pool: AVE kernel_size: 5 stride: 1 pad: 1",
        (2, 3, 4, 4),
        name="a window larger than its bottom",
    ),
    of("Im2col", "convolution_param", "kernel_size: 3 stride: 2 pad: 1 dilation: 2"),
]

POINTWISE = [
    of("ReLU", "", ""),
    of("ReLU", "relu_param", "negative_slope: 0.1"),
    of("PReLU", "", ""),
    of("PReLU", "prelu_param", "channel_shared: true"),
    of("ELU", "elu_param", "alpha: 0.7"),
    of("Sigmoid", "", ""),
    of("TanH", "", ""),
    of("Swish", "swish_param", "beta: 1.5"),
    of("Clip", "clip_param", "min: -1 max: 2", values="whole"),
    of("AbsVal", "", "", values="whole"),
    of("BNLL", "", ""),
    of("Power", "power_param", "power: 3 scale: 0.5 shift: -1"),
    of("Power", "power_param", "power: 0.5 scale: 2 shift: 1", values="positive"),
    of("Power", "power_param", "scale: -2"),
    of("Power", "power_param", "power: 0"),
    of("Exp", "exp_param", "scale: 0.3 shift: 0.2"),
    of("Exp", "exp_param", "base: 2 scale: 0.3 shift: 0.2"),
    of("Log", "log_param", "", values="positive"),
    of("Log", "log_param", "base: 10 scale: 2 shift: 1", values="positive"),
    of("Threshold", "threshold_param", "threshold: 0.5", force=False),
    of("Dropout", "dropout_param", "dropout_ratio: 0.3"),
    of("Softmax", "", ""),
    of("Softmax", "softmax_param", "axis: -1"),
    of("Eltwise", "", "", bottoms="x z"),
    of("Eltwise", "eltwise_param", "coeff: 1 coeff: -0.5 coeff: 2", bottoms="x z w"),
    of("Eltwise", "eltwise_param", "operation: PROD", bottoms="x z w"),
    of("Eltwise", "eltwise_param", "operation: MAX", bottoms="x z w"),
    of(
        "Eltwise",
        "eltwise_param",
        "operation: MAX",
        bottoms="x z w",
        values="whole",
        name="MAX of equals",
    ),
]

NORMAL = [
    of("LRN", "", ""),
    of("LRN", "lrn_param", "local_size: 3 alpha: 2 beta: 0.6 k: 2"),
    of("LRN", "lrn_param", "local_size: 3 alpha: 2 k: 3 norm_region: WITHIN_CHANNEL"),
    of("LRN", "lrn_param", "local_size: 5 alpha: 0.1 norm_region: WITHIN_CHANNEL", (1, 2, 3, 4)),
    of("MVN", "", ""),
    of("MVN", "mvn_param", "across_channels: true eps: 0.01"),
    of("MVN", "mvn_param", "normalize_variance: false"),
    of("BatchNorm", "", ""),
    of("BatchNorm", "", "", state=TRAIN, name="BatchNorm in training"),
    of("BatchNorm", "batch_norm_param", "moving_average_fraction: 0.5 eps: 0.1", state=TRAIN),
    of("BatchNorm", "batch_norm_param", "use_global_stats: true", state=TRAIN),
    of("BatchNorm", "batch_norm_param", "use_global_stats: false"),
    of("BatchNorm", "", "", (3, 4), state=TRAIN, name="BatchNorm of 2 axes"),
    of("BatchNorm", "", "", filled=True, name="BatchNorm with factor 0"),
    of("Scale", "", ""),
    of("Scale", "scale_param", "bias_term: true"),
    of("Scale", "scale_param", "axis: 2 num_axes: 1 bias_term: true"),
    of("Scale", "scale_param", "axis: 0 num_axes: -1"),
    of("Scale", "scale_param", "num_axes: 0"),
    *(
        of("Scale", "scale_param", param, shape, name=f"Scale {param} of {shape}")
        for param in (
            "bias_term: true",
            "axis: 0 num_axes: 1",
            "axis: 2 num_axes: 1",
            "num_axes: 0",
        )
        for shape in ((1, 6, 4, 3), (1, 1, 4, 3), (1, 6, 1, 1), (1, 1, 1, 1), (2, 1, 1, 1))
    ),
    of(
        "Scale", "scale_param", "axis: 1 num_axes: -1", (1, 6, 4, 3), name="a factor of each number"
    ),
    of("Scale", "scale_param", "axis: 1 num_axes: -1", (2, 6, 4, 3), name="one for both images"),
    of(
        "Scale", "scale_param", "axis: 0 bias_term: true", (1, 6), bottoms="x z", z=(1, 6), name="z"
    ),
    *(
        of(kind, "", "", (1, 6, 4, 3), name=f"{kind} of one image")
        for kind in ("Bias", "PReLU", "BatchNorm")
    ),
    of("Scale", "scale_param", "axis: 0 bias_term: true", bottoms="x z", z=(2, 6)),
    of("Bias", "", ""),
    of("Bias", "bias_param", "axis: -2 num_axes: 2"),
    of("Bias", "bias_param", "axis: 1", bottoms="x z", z=(6, 9)),
    of("InnerProduct", "inner_product_param", "num_output: 4"),
    of("InnerProduct", "inner_product_param", "num_output: 4 transpose: true bias_term: false"),
    of("InnerProduct", "inner_product_param", "num_output: 4 axis: 2"),
    of("InnerProduct", "inner_product_param", "num_output: 4 axis: -1 transpose: true"),
    of("Parameter", "parameter_param", "shape { dim: 2 dim: 3 }", bottoms=""),
    Case(
        "Embed",
        layer("Embed", "embed_param { num_output: 3 input_dim: 5 }", "label"),
        {"label": (4, 2)},
        force=False,
    ),
]

REARRANGED = [
    of("Concat", "", "", bottoms="x z", z=(2, 3, 9, 8)),
    of("Concat", "concat_param", "axis: -2", bottoms="x z", z=(2, 6, 4, 8)),
    of("Concat", "concat_param", "concat_dim: 0", bottoms="x z", z=(1, 6, 9, 8)),
    of("Concat", "", "", name="Concat of one"),
    of("Slice", "slice_param", "slice_point: 1 slice_point: 4", tops="y w v"),
    of("Slice", "slice_param", "axis: 2", tops="y w v"),
    of("Split", "", "", tops="y w"),
    of("Crop", "crop_param", "offset: 2", bottoms="x z", z=(2, 6, 5, 6)),
    of(
        "Crop", "crop_param", "axis: 1 offset: 1 offset: 0 offset: 3", bottoms="x z", z=(2, 4, 5, 4)
    ),
    of(
        "Crop",
        "crop_param",
        "axis: -1",
        bottoms="x z",
        z=(1, 1, 1, 5),
        name="Crop at 0 by a negative axis",
    ),
    of("Flatten", "", ""),
    of("Flatten", "flatten_param", "axis: -3 end_axis: 2"),
    of("Reshape", "reshape_param", "shape { dim: 0 dim: -1 dim: 4 }"),
    of("Reshape", "reshape_param", "shape { dim: 3 dim: 2 } axis: 1 num_axes: 1", (2, 6, 5)),
    of("Tile", "tile_param", "tiles: 3"),
    of("Tile", "tile_param", "tiles: 2 axis: -1"),
    of("Reduction", "reduction_param", "axis: 1 coeff: 0.5"),
    of("Reduction", "reduction_param", "operation: ASUM axis: 2"),
    of("Reduction", "reduction_param", "operation: SUMSQ axis: -1"),
    of("Reduction", "reduction_param", "operation: MEAN axis: 1 coeff: 3"),
    of("ArgMax", "", "", values="whole", force=False),
    of("ArgMax", "argmax_param", "top_k: 3 out_max_val: true", values="whole", force=False),
    of("ArgMax", "argmax_param", "axis: 1 top_k: 2", values="whole", force=False),
    of(
        "ArgMax", "argmax_param", "axis: -1 top_k: 2 out_max_val: true", values="whole", force=False
    ),
    Case(
        "BatchReindex",
        BIASED + layer("BatchReindex", "", "m label"),
        {"x": (2, 3), "label": (4,)},
        classes=2,
        force=False,
    ),
    Case(
        "Silence",
        layer("Silence", "", "x", "") + layer("Power", "power_param { scale: 2 }", name="p"),
        {"x": (2, 3)},
    ),
]

LOSSES = [
    softmax_loss(),
    softmax_loss("ignore_label: 2"),
    softmax_loss("ignore_label: 2 normalization: FULL"),
    softmax_loss("ignore_label: 2 normalization: BATCH_SIZE"),
    softmax_loss("ignore_label: 2 normalization: NONE"),
    softmax_loss("ignore_label: 2 normalize: false"),
    softmax_loss("ignore_label: 2 normalize: true"),
    softmax_loss("ignore_label: 2 normalization: NONE normalize: true"),
    softmax_loss(more="loss_weight: 3"),
    softmax_loss(tops=""),
    softmax_loss(
        more="softmax_param { axis: -1 }", shape=(2, 1, 3, 5), name="SoftmaxWithLoss on axis -1"
    )._replace(inputs={"x": (2, 1, 3, 5), "label": (2, 1, 3)}),
    softmax_loss("ignore_label: 0", classes=1, name="SoftmaxWithLoss that ignores all"),
    softmax_loss(values="large", name="SoftmaxWithLoss at its cap"),
    infogain(),
    infogain("loss_param { ignore_label: 1 normalization: BATCH_SIZE }", (3, 5, 2, 2)),
    infogain("infogain_loss_param { axis: -1 }", (3, 1, 2, 5))._replace(
        inputs={"x": (3, 1, 2, 5), "label": (3, 1, 2), "h": (5, 5)}
    ),
    infogain(
        "loss_weight: 1 loss_weight: 0",
        tops="loss prob",
        values="large",
        name="InfogainLoss, capped",
    ),
    of("SigmoidCrossEntropyLoss", "", "", bottoms="x label", label=(2, 6, 9, 8), classes=2, out=""),
    of(
        "SigmoidCrossEntropyLoss",
        "",
        "loss_param { ignore_label: 2 normalization: VALID }",
        (2, 6, 4, 3),
        bottoms="x label",
        label=(2, 6, 4, 3),
        classes=3,
        out="",
        values="large",
    ),
    of(
        "SigmoidCrossEntropyLoss",
        "",
        "loss_param { ignore_label: 1 normalize: true } loss_weight: 2",
        (2, 6),
        bottoms="x label",
        label=(2, 6),
        classes=2,
        out="",
    ),
    of(
        "SigmoidCrossEntropyLoss",
        "",
        "loss_param { normalization: FULL }",
        (2, 6),
        bottoms="x label",
        label=(2, 6),
        classes=2,
        out="",
    ),
    of("EuclideanLoss", "", "", bottoms="x z", out=""),
    of("EuclideanLoss", "", "loss_weight: 0.5", bottoms="x z", z=(2, 432), out=""),
    of("HingeLoss", "", "", (4, 5), bottoms="x label", label=(4,), out=""),
    of("HingeLoss", "hinge_loss_param", "norm: L2", (4, 5), bottoms="x label", label=(4,), out=""),
    of(
        "MultinomialLogisticLoss",
        "",
        "",
        (4, 5),
        bottoms="x label",
        label=(4,),
        values="positive",
        out="",
    ),
    of(
        "ContrastiveLoss",
        "contrastive_loss_param",
        "margin: 6",
        (6, 4),
        bottoms="x z label",
        label=(6,),
        classes=2,
        out="",
    ),
    of(
        "ContrastiveLoss",
        "contrastive_loss_param",
        "margin: 9 legacy_version: true",
        (6, 4),
        bottoms="x z label",
        label=(6,),
        classes=2,
        out="",
    ),
    accuracy(),
    accuracy("top_k: 2"),
    accuracy("ignore_label: 2"),
    accuracy("ignore_label: 2", tops="y each", name="Accuracy of each class"),
    accuracy("axis: -1", name="Accuracy on axis -1")._replace(
        inputs={"x": (4, 3, 5), "label": (4, 3)}
    ),
    accuracy("ignore_label: 0", classes=1, name="Accuracy of nothing"),
]

# Numbers that lie on the corner of a function, and equal ones: which way the gradient goes there
# is another thing in every library, and in PyTorch from one release to the next.
CORNERS = [
    *(of(kind, "", "", values="whole", name=f"{kind} at 0") for kind in ("ReLU", "PReLU", "ELU")),
    of("ReLU", "relu_param", "negative_slope: 0.1", values="whole", name="a leaky ReLU at 0"),
    *(
        of("Clip", "clip_param", f"min: {low} max: {high}", values="whole", name=f"{low} to {high}")
        for low, high in ((-1, 2), (0, 0), (0, 6), (-9, 9))
    ),
    of("AbsVal", "", "", values="whole", name="AbsVal at 0"),
    of("Power", "power_param", "power: 2", values="whole", name="a square at 0"),
    of("Reduction", "reduction_param", "operation: ASUM axis: 1", values="whole", name="ASUM at 0"),
    pool("global_pooling: true", values="whole", name="the largest of equals"),
    pool("kernel_size: 3 stride: 2 pad: 1", values="whole", name="padded, of equals"),
    pool("kernel_size: 3 stride: 2 pad: 2", values="whole", name="much padded, of equals"),
    pool("kernel_size: 2 stride: 2", tops="y m", out="y", values="whole", name="a mask of equals"),
    *(
        of(
            "HingeLoss", "hinge_loss_param", f"norm: {norm}", (4, 5), values="whole",
            bottoms="x label", label=(4,), out="", name=f"HingeLoss {norm} at its margin"
        )
        for norm in ("L1", "L2")
    ),
    *(
        of(
            "ContrastiveLoss", "contrastive_loss_param", f"margin: {margin} {more}", (9, 1),
            values="whole", bottoms="x z label", label=(9,), classes=2, out="",
            name=f"ContrastiveLoss of equals and at {margin} {more}"
        )
        for margin in (1, 2, 4)
        for more in ("", "legacy_version: true")
    ),
]  # fmt: skip

IP = "inner_product_param {{ num_output: 6 {} }}"
NETS = [
    Case(
        "in place",
        layer("Convolution", "convolution_param { num_output: 4 kernel_size: 3 bias_term: false }")
        + layer("BatchNorm", "", "y", "y", "b")
        + layer("Scale", "scale_param { bias_term: true }", "y", "y", "s")
        + layer("ReLU", "", "y", "y", "r"),
        {"x": (2, 3, 5, 6)},
        state=TRAIN,
    ),
    Case(
        "shared by name",
        layer("InnerProduct", 'param { name: "w" } param { name: "b" } ' + IP.format(""), tops="m")
        + layer(
            "InnerProduct", 'param { name: "w" } ' + IP.format("bias_term: false"), "m", name="k"
        ),
        {"x": (2, 6)},
    ),
    Case(
        "shared by count",
        layer("InnerProduct", 'param { name: "w" } ' + IP.format("bias_term: false"), tops="m")
        + layer(
            "Bias",
            'param { name: "w" share_mode: PERMISSIVE } bias_param { axis: 0 num_axes: 2 }',
            "z",
            "y",
            "k",
        ),
        {"x": (2, 6), "z": (9, 4)},
        tops="m y",
    ),
    Case(
        "lr_mult 0",
        layer(
            "InnerProduct", "param { lr_mult: 0 } param { lr_mult: 2 } " + IP.format(""), tops="m"
        )
        + layer("InnerProduct", IP.format(""), "m", name="k"),
        {"x": (2, 6)},
        force=False,
    ),
    Case(
        "propagate_down",
        layer("InnerProduct", IP.format(""), tops="m")
        + layer("InnerProduct", "propagate_down: false " + IP.format(""), "m", "k", "k")
        + layer("Eltwise", "propagate_down: true propagate_down: false", "k m", name="e"),
        {"x": (2, 6)},
        force=False,
    ),
    Case(
        "several losses",
        layer("InnerProduct", IP.format(""), tops="m")
        + layer("SoftmaxWithLoss", "loss_weight: 0.3", "m label", "a", "a")
        + layer("Reduction", "reduction_param { operation: SUMSQ } loss_weight: 0.1", "m", "b", "b")
        + layer("Accuracy", "", "m label", "c", "c"),
        {"x": (3, 4), "label": (3,)},
        tops="",
        force=False,
    ),
    Case(
        "DummyData",
        layer(
            "DummyData",
            "dummy_data_param { shape { dim: 2 dim: 3 } data_filler { value: 2 } }",
            "",
            "d",
            "d",
        )
        + layer("Eltwise", "", "x d", name="e"),
        {"x": (2, 3)},
    ),
    Case(
        "V1",
        """
         layers { name: "l" type: INNER_PRODUCT bottom: "x" top: "m" blobs_lr: 0 blobs_lr: 2
           inner_product_param { num_output: 6 } }
         layers { name: "k" type: INNER_PRODUCT bottom: "m" top: "y" param: "w" param: "b"
           inner_product_param { num_output: 6 } }
         layers { name: "j" type: INNER_PRODUCT bottom: "y" top: "w" param: "w" param: "b"
           inner_product_param { num_output: 6 } }
         layers { name: "loss" type: EUCLIDEAN_LOSS bottom: "w" bottom: "z" top: "loss"
           loss_weight: 2 }
         """,
        {"x": (2, 6), "z": (2, 6)},
        tops="",
        force=False,
    ),
]

FAMILIES = {
    "windows": WINDOWS,
    "pointwise": POINTWISE,
    "normal": NORMAL,
    "rearranged": REARRANGED,
    "losses": LOSSES,
    "corners": CORNERS,
    "nets": NETS,
}


# ---- a case as a question


class Posed(NamedTuple):
    """A case's net, the weights and the inputs of it."""

    net: prototxt.Prototxt
    weights: store.Weights | None
    inputs: dict[str, np.ndarray]


def posed(case):
    """The net with its inputs, and with a loss of every top that the case names."""
    rng = np.random.default_rng(zlib.crc32(case.name.encode()))
    shapes = dict(case.inputs)
    net = parse(case, shapes, "")
    ours = {top.blob: shape for top, shape in shapes_of(build(net, case.state)).tops.items()}
    targets = {f"t_{top}": ours[top] for top in case.tops.split()}
    losses = "".join(
        layer("EuclideanLoss", "loss_weight: 3", f"{top} t_{top}", f"loss_{top}", f"loss_{top}")
        for top in case.tops.split()
    )
    net = parse(case, shapes | targets, losses)
    inputs = {blob: values(case, blob, shape, rng) for blob, shape in (shapes | targets).items()}
    return Posed(net, None if case.filled else weights(net, case.state, rng), inputs)


def parse(case, shapes, losses):
    sources = "".join(
        f'input: "{blob}" input_shape {{ {" ".join(f"dim: {size}" for size in shape)} }}\n'
        for blob, shape in shapes.items()
    )
    force = f"force_backward: {str(case.force).lower()}\n"
    return prototxt.parse(force + sources + case.layers + losses, f"{case.name}.prototxt")


def values(case, blob, shape, rng):
    if blob == "label":
        return rng.integers(0, case.classes, shape).astype(np.float32)
    data = rng.normal(0, 2, shape)
    made = {"whole": np.round(data), "positive": np.abs(data) + 0.1, "large": data * 60}
    kind = case.values if blob == "x" or case.values == "whole" else ""
    return np.asarray(made.get(kind, data), np.float32)


def weights(net, state, rng):
    sizes = shapes_of(build(net, state))
    made = {each.name: sizes.blobs(each) for each in sizes.graph.layers}
    made = {
        name: [
            np.abs(rng.normal(0, 1, shape)) + 0.2 if len(shapes) == 3 else rng.normal(0, 1, shape)
            for shape in shapes
        ]
        for name, shapes in made.items()
        if shapes
    }
    return store.create().put_all(made) if made else None


def ours(posed, state):
    """The loss's gradients as the engine has them, in the shape of Caffe's answer."""
    from fcnkit.engines.torch.net import Net

    net = Net(shapes_of(build(posed.net, state)), posed.weights)
    asked = View("NetParameter", posed.net.root).get("force_backward")
    found = learned(net, posed.inputs, force=asked, passes=PASSES)
    return found._replace(params=as_added(net.graph, found.params))


def as_added(graph, params):
    """The gradients as Caffe adds them up: of what it overwrites, that of the last pass alone."""
    sizes = shapes_of(graph)
    for layer in graph.layers:
        if of_type(layer).overwrites(layer, sizes.bottoms(layer)):
            params[layer.name][0] /= PASSES  # all passes are alike
    return params


def compared(case, found, answer):
    """What differs from Caffe, as lines."""
    if isinstance(answer, Exception):
        return [f"{case.name}: {answer}"]
    kinds = (VALUES, GRADIENTS, GRADIENTS, VALUES)
    return [
        f"{case.name}: {what} {key}: {worst}"
        for what, tolerance, mine, theirs in zip(answer._fields, kinds, found, answer, strict=True)
        for key, worst in differences(mine, theirs)
        if not worst <= tolerance
    ]


def differences(mine, theirs):
    """The largest difference of each array by the largest of Caffe's values."""
    assert mine.keys() == theirs.keys()
    for key, expected in theirs.items():
        several = isinstance(expected, list)
        pairs = zip(mine[key], expected, strict=True) if several else [(mine[key], expected)]
        for number, (one, other) in enumerate(pairs):
            assert one.shape == other.shape, (key, one.shape, other.shape)
            largest, worst = np.abs(other).max(), np.abs(one - other).max()
            yield f"{key} {number}", worst / largest if largest else worst


# Few windows: with many weights, one product on a CPU.
HEAVY = [
    conv("num_output: 60 kernel_size: 3 stride: 2 pad: 1"),
    conv(
        "num_output: 60 kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 3 pad_h: 0 pad_w: 1 "
        "bias_term: false"
    ),
    conv("num_output: 80 kernel_size: 3 dilation: 2", (1, 6, 9, 8)),
    conv("num_output: 90 kernel_size: 1", (1, 6, 9, 8)),
    conv("num_output: 150 kernel_size: 1", bottoms="x z", tops="y w"),
    conv(
        "num_output: 9 kernel_size: 5 stride: 2", (2, 2, 4, 4), name="one window beyond its bottom"
    ),
]


@pytest.mark.parametrize("family", FAMILIES)
def test_values_and_gradients_are_caffes(family, caffe):
    compare(FAMILIES[family], caffe)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_no_gradient_goes_by_what_clamp_does_on_its_bounds(share, caffe, monkeypatch):
    class Clamped(torch.autograd.Function):
        """clamp, with so much of the gradient on its bounds."""

        @staticmethod
        def forward(ctx, x, low, high):
            ctx.share = ((x > low) & (x < high)) + share * ((x == low) | (x == high))
            return real(x, low, high)

        @staticmethod
        def backward(ctx, gradient):
            return gradient * ctx.share, None, None

    def clamp(x, min=-np.inf, max=np.inf):
        return Clamped.apply(x, min, max)

    real = torch.Tensor.clamp
    monkeypatch.setattr(torch.Tensor, "clamp", clamp)
    compare(CORNERS, caffe)


def test_a_product_of_many_weights_is_caffes_convolution(caffe, monkeypatch):
    products = []
    monkeypatch.setattr(windows, "_HEAVY", 0)
    real = windows._product
    monkeypatch.setattr(windows, "_product", lambda *given: products.append(given) or real(*given))
    compare(HEAVY, caffe)
    assert len(products) == PASSES * (len(HEAVY) + 1)


def test_only_many_weights_and_few_windows_are_a_product():
    window = Spatial((6, 6), (1, 1), (0, 0), (1, 1), (0, 0))
    fc6, conv = torch.empty(4096, 256, 6, 6), torch.empty(512, 256, 6, 6)
    assert windows._is_heavy(torch.empty(1, 256, 21, 21), fc6, window)
    assert not windows._is_heavy(torch.empty(1, 256, 21, 21), conv, window)
    assert not windows._is_heavy(torch.empty(1, 256, 90, 90), fc6, window)
    assert not windows._is_heavy(torch.empty(17, 256, 21, 21), fc6, window)


def compare(cases, caffe):
    asked = [posed(case) for case in cases]
    answers = caffe.ask(
        [
            Question(
                "gradients", each.net, each.weights, each.inputs, None, case.state, passes=PASSES
            )
            for case, each in zip(cases, asked, strict=True)
        ]
    )
    wrong = [
        line
        for case, each, answer in zip(cases, asked, answers, strict=True)
        for line in compared(case, ours(each, case.state), answer)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("size", [1, 3, 5, 15])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_lrn_is_the_same_where_no_gradient_is_asked_for(size, layout):
    for shape in ((2, 5, 3, 4), (3, 12, 4, 1), (0, 3, 2, 2)):
        x = torch.randn(shape).contiguous(memory_format=layout)
        expected = normal._across(x.clone().requires_grad_(), size, 0.5, 0.75, 2.0)
        torch.testing.assert_close(normal._across(x, size, 0.5, 0.75, 2.0), expected.detach())
