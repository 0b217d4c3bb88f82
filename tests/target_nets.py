"""For each rule of the targets a net that keeps it and one that breaks it, written by hand.

What breaks a rule is said here in numbers and words of its own, beside the rule's: a bound that
slips in a target's file meets a net that stands on the other side.
"""

from collections.abc import Iterator
from typing import NamedTuple

from fcnkit.nets.layers.table import TYPES
from fcnkit.targets.rules import Rule

WINDOWS = ("Convolution", "ConvolutionDepthwise", "DepthwiseConvolution", "Deconvolution")
K3 = "num_output: 4 kernel_size: 3"
INPUT = 'layer {{ name: "{0}" type: "Input" top: "{0}" input_param {{ shape {{ {1} }} }} }}\n'


class Side(NamedTuple):
    """A net around one layer: what its message says, its bottoms and tops, and their size."""

    param: str = ""
    bottoms: int = 1
    tops: int = 1
    shape: tuple[int, ...] = (1, 4, 40, 40)
    after: str = ""
    phase: str = ""

    def text(self, kind: str) -> str:
        """The net, with the layer under the name "it"."""
        names = ["data", *(f"data{number}" for number in range(1, self.bottoms))]
        dims = " ".join(f"dim: {size}" for size in self.shape)
        blobs = [f'bottom: "{name}"' for name in names]
        blobs += [f'top: "it{number or ""}"' for number in range(self.tops)]
        message = TYPES[kind].message
        inside = f"{message} {{ {self.param} }}" if message else ""
        layer = f'layer {{ name: "it" type: "{kind}" {" ".join(blobs)} {inside} }}\n'
        return "".join(INPUT.format(name, dims) for name in names) + layer + self.after


class Whole(NamedTuple):
    """A net as it stands."""

    net: str

    def text(self, kind: str) -> str:
        return self.net


def side(param: str = "", **more) -> Side:
    return Side(param, **more)


def relu(name: str, top: str, bottom: str = "data") -> str:
    return f'layer {{ name: "{name}" type: "ReLU" bottom: "{bottom}" top: "{top}" }}\n'


DATA = INPUT.format("data", "dim: 1 dim: 4 dim: 40 dim: 40")
V1 = 'input: "data" input_dim: 1 input_dim: 4 input_dim: 9 input_dim: 9\n' + (
    'layers { name: "it" type: RELU bottom: "data" top: "it" }\n'
)
SCALE = 'layer { name: "s" type: "Scale" bottom: "it" top: "s" }\n'
DETECTED = 'layer { name: "d" type: "DetectionOutput" bottom: "it" top: "d" }\n'
FC = (
    'layer { name: "f" type: "InnerProduct" bottom: "it" top: "f" '
    "inner_product_param { num_output: 2 } }\n"
)
POOL = "pool: MAX kernel_size: 2"
BY_CHANNEL = "across_spatial: false channel_shared: false"

# (targets, types, subject, what keeps the rule, what breaks it); "" is every target or type.
# A rule is matched by the first line that fits it.
LINES = (
    ("", WINDOWS, "kernel_size alike", side("num_output: 4 kernel_size: 3 kernel_size: 3"),
     side("num_output: 4 kernel_size: 3 kernel_size: 5")),
    ("", WINDOWS, "stride alike", side(f"{K3} stride: 2 stride: 2"),
     side(f"{K3} stride: 2 stride: 1")),
    ("", WINDOWS, "pad alike", side(f"{K3} pad: 1 pad: 1"), side(f"{K3} pad: 1 pad: 0")),
    ("armnn ascend mace opencv4 snpe tensorrt8", WINDOWS, "dilation allowed", side(K3),
     side(f"{K3} dilation: 2")),
    ("", WINDOWS, "dilation alike", side(f"{K3} dilation: 2 dilation: 2"),
     side(f"{K3} dilation: 2 dilation: 1")),
    ("mace", WINDOWS, "kernel_size most", side("num_output: 4 kernel_h: 3 kernel_w: 5"),
     side("num_output: 4 kernel_size: 3 kernel_size: 3")),
    ("mace", WINDOWS, "stride most", side(f"{K3} stride: 2"),
     side(f"{K3} stride: 2 stride: 2")),
    ("mace", WINDOWS, "pad most", side(f"{K3} pad: 1"), side(f"{K3} pad: 1 pad: 1")),
    ("mace", ("Convolution",), "grouping allowed", side(f"{K3} group: 4"),
     side(f"{K3} group: 2")),
    ("armnn", ("Convolution",), "grouping forbidden", side(f"{K3} group: 2"),
     side("num_output: 8 kernel_size: 3 group: 4")),
    ("ascend", ("Deconvolution",), "group allowed", side(K3), side(f"{K3} group: 4")),
    ("ascend", ("Deconvolution",), "stride_area min max",
     side("num_output: 1 kernel_size: 16 stride_h: 15 stride_w: 17"),
     side("num_output: 1 kernel_size: 16 stride: 16")),
    ("ascend", ("Convolution",), "kernel min max",
     side("num_output: 1 kernel_h: 255 kernel_w: 1", shape=(1, 4, 300, 40)),
     side("num_output: 1 kernel_h: 256 kernel_w: 1", shape=(1, 4, 300, 40))),
    ("vitis", ("Convolution",), "kernel min max", side("num_output: 1 kernel_size: 16"),
     side("num_output: 1 kernel_h: 3 kernel_w: 17")),
    ("snpe", ("Deconvolution",), "kernel alike", side(K3),
     side("num_output: 4 kernel_h: 3 kernel_w: 5")),
    ("vitis", ("Convolution",), "stride min max", side(f"{K3} stride: 8"),
     side(f"{K3} stride: 9")),
    ("vitis", ("Convolution",), "excess max", side(f"{K3} pad: 4 dilation: 2"),
     side(f"{K3} pad: 5 dilation: 2")),
    ("armnn tensorrt8", ("Convolution", "Deconvolution"), "bottoms max", side(K3),
     side(K3, bottoms=2, tops=2)),
    ("ascend opencv4", ("Convolution",), "axes allowed", side(K3),
     side(K3, shape=(1, 4, 9, 9, 9))),
    ("opencv4", ("Deconvolution",), "axes allowed", side(K3), side(K3, shape=(1, 4, 9, 9, 9))),
    ("opencv4", ("Pooling",), "axes allowed", side(POOL), side(POOL, shape=(1, 4, 9, 9, 9))),
    ("tpu-mlir", ("Scale",), "axes allowed", side(shape=(1, 4)), side(shape=(1, 4, 9))),
    ("opencv4", WINDOWS, "pad_w given", side(f"{K3} pad_h: 1 pad_w: 1"), side(f"{K3} pad_h: 1")),
    ("opencv4", WINDOWS, "pad_h given", side(f"{K3} pad_h: 1 pad_w: 1"), side(f"{K3} pad_w: 1")),
    ("", WINDOWS, "axis allowed", side(f"{K3} axis: 1"),
     side(f"{K3} axis: 2", shape=(1, 4, 9, 9, 9))),
    ("opencv4", ("Pooling",), "pool forbidden", side(POOL),
     side("pool: STOCHASTIC kernel_size: 2")),
    ("", ("Pooling",), "pool allowed", side("pool: AVE kernel_size: 2"),
     side("pool: STOCHASTIC kernel_size: 2")),
    ("armnn", ("Pooling",), "pool given", side(POOL), side("kernel_size: 2")),
    ("armnn", ("Pooling",), "stride alike", side(f"{POOL} stride_h: 2 stride_w: 2"),
     side(f"{POOL} stride_h: 2 stride_w: 1")),
    ("ascend", ("Pooling",), "stride min max", side(f"{POOL} stride: 63"),
     side(f"{POOL} stride: 64")),
    ("mace", ("Pooling",), "global_pooling forbidden", side(POOL),
     side(f"{POOL} global_pooling: false")),
    ("", ("Pooling",), "round_mode given", side(POOL), side(f"{POOL} round_mode: CEIL")),
    ("", ("Pooling",), "ceil_mode given", side(POOL), side(f"{POOL} ceil_mode: true")),
    ("tensorrt8", ("Pooling",), "tops max", side(POOL), side(POOL, tops=2)),
    ("nnie", ("Proposal",), "tops max", side(), side(tops=2)),
    ("", ("LRN",), "norm_region allowed", side("norm_region: ACROSS_CHANNELS"),
     side("norm_region: WITHIN_CHANNEL")),
    ("ncnn opencv4", ("LRN",), "k allowed", side("k: 1"), side("k: 2")),
    ("armnn tensorrt8", ("LRN",), "beta given", side("beta: 0.75"), side("alpha: 0.1")),
    ("", ("BatchNorm",), "use_global_stats forbidden", side(), side("use_global_stats: false")),
    ("tensorrt8", ("Flatten",), "readers allowed", side(after=FC), side(after=SCALE)),
    ("tensorrt8", ("DetectionOutput",), "tops min max", side(tops=2), side()),
    ("mace", ("BatchNorm",), "readers allowed least", side(after=SCALE),
     side(after=relu("r", "r", "it"))),
    ("ncnn", ("BN",), "blobs max", side("bn_mode: INFERENCE"), side("slope_filler { value: 1 }")),
    ("opencv4", ("PriorBox",), "clip given", side("clip: false variance: 1", bottoms=2),
     side("variance: 1", bottoms=2)),
    ("opencv4", ("PriorBox",), "variance given", side("clip: false variance: 1", bottoms=2),
     side("clip: false", bottoms=2)),
    ("opencv4", ("PriorBox",), "img_h given", side("clip: true variance: 1", bottoms=2),
     side("clip: true variance: 1 img_h: 9 img_w: 9", bottoms=2)),
    ("opencv4", ("PriorBox",), "img_size given", side("clip: true variance: 1", bottoms=2),
     side("clip: true variance: 1 img_size: 9", bottoms=2)),
    ("opencv4", ("Scale",), "num_axes forbidden", side("num_axes: 1"), side("num_axes: 0")),
    ("armnn tensorrt8", ("Scale",), "bottoms max", side(), side(bottoms=2)),
    ("armnn ncnn tensorrt8", ("Scale",), "axis allowed", side("axis: 1"), side("axis: 2")),
    ("", ("PReLU",), "channel_shared forbidden", side(), side("channel_shared: true")),
    ("opencv4", ("Normalize",), "channel_shared allowed", side(BY_CHANNEL),
     side("across_spatial: false")),
    ("opencv4", ("Normalize",), "across_spatial allowed", side(BY_CHANNEL),
     side("channel_shared: false")),
    ("tpu-mlir", ("Normalize",), "across_spatial forbidden", side("across_spatial: false"),
     side("across_spatial: true")),
    ("", ("InnerProduct",), "transpose forbidden", side("num_output: 2"),
     side("num_output: 2 transpose: true")),
    ("", ("InnerProduct",), "axis allowed", side("num_output: 2"), side("num_output: 2 axis: 2")),
    ("ascend vitis", ("Eltwise",), "operation allowed", side("operation: SUM", bottoms=2),
     side("operation: PROD", bottoms=2)),
    ("tensorrt8", ("Eltwise",), "bottoms max", side(bottoms=2), side(bottoms=3)),
    ("", ("Eltwise",), "coeff allowed", side("coeff: 1 coeff: 1", bottoms=2),
     side("coeff: 1 coeff: -1", bottoms=2)),
    ("ncnn tensorrt8", ("Concat", "Softmax", "Slice"), "axis min", side("axis: 2"),
     side("axis: -1")),
    ("vitis", ("Concat",), "axis min", side("axis: 2", bottoms=2), side("axis: -3", bottoms=2)),
    ("armnn vitis", ("Concat",), "axis allowed", side("axis: -3", bottoms=2),
     side("axis: 2", bottoms=2)),
    ("ascend", ("Concat",), "bottoms min max", side(bottoms=1000), side(bottoms=1001)),
    ("", ("Concat",), "concat_dim allowed", side("concat_dim: 1", bottoms=2),
     side("concat_dim: 2", bottoms=2)),
    ("armnn", ("Softmax",), "axis allowed", side("axis: 1"), side("axis: 2")),
    ("tensorrt8", ("Softmax",), "axis min max", side("axis: 3"), side("axis: -1")),
    ("tensorrt8", ("Reduction",), "axis min max", side("axis: 1"), side("axis: 0")),
    ("tpu-mlir", ("Reduction",), "operation allowed", side("operation: MEAN"),
     side("operation: SUM")),
    ("tpu-mlir", ("Reduction",), "coeff allowed", side("operation: MEAN"),
     side("operation: MEAN coeff: 2")),
    ("tensorrt8", ("Crop",), "axis allowed", side("axis: -1", bottoms=2),
     side("axis: 1", bottoms=2)),
    ("tpu-mlir", ("Crop",), "axis min", side("axis: 2", bottoms=2), side("axis: -2", bottoms=2)),
    ("mace", ("Slice",), "axis allowed", side("axis: -3", tops=2), side("axis: 2", tops=2)),
    ("mace", ("Slice",), "slice_point most", side(tops=2), side("slice_point: 1", tops=2)),
    ("opencv4", ("Slice",), "slice_point least", side("slice_point: 1", tops=2), side(tops=2)),
    ("opencv4", ("Slice",), "slice_dim given", side("slice_point: 1", tops=2),
     side("slice_point: 1 slice_dim: 1", tops=2)),
    ("tpu-mlir", ("Slice",), "slice_dim allowed", side("slice_dim: 1", tops=2),
     side("slice_dim: 2", tops=2)),
    ("ncnn tensorrt8", ("Permute",), "order sequences",
     side("order: 0 order: 2 order: 3 order: 1"), side("order: 1 order: 0 order: 2 order: 3")),
    ("", ("Permute",), "order least", side("order: 0 order: 2 order: 3 order: 1"),
     side("order: 0 order: 2 order: 3")),
    ("", ("Reshape",), "axis allowed", side("shape { dim: 0 dim: -1 }"),
     side("shape { dim: -1 } axis: 1")),
    ("", ("Reshape",), "num_axes allowed", side("shape { dim: 0 dim: -1 }"),
     side("shape { dim: -1 } num_axes: 2")),
    ("", ("Flatten",), "end_axis allowed", side("end_axis: -1"), side("end_axis: 2")),
    ("", ("Flatten",), "axis allowed", side("axis: 1"), side("axis: 2")),
    ("tpu-mlir", ("ArgMax",), "axis given", side("axis: 1"), side()),
    ("ncnn", ("ArgMax",), "axis given", side(), side("axis: 1")),
    ("", ("ArgMax",), "top_k allowed", side("axis: 1"), side("axis: 1 top_k: 2")),
    ("", ("ArgMax",), "out_max_val forbidden", side(), side("out_max_val: true")),
    ("", ("Interp",), "pad_beg allowed", side("zoom_factor: 2"),
     side("zoom_factor: 2 pad_beg: -1")),
    ("", ("Interp",), "pad_end allowed", side("zoom_factor: 2"),
     side("zoom_factor: 2 pad_end: -1")),
    ("ncnn", ("Swish",), "beta allowed", side("beta: 1"), side("beta: 2")),
    ("ncnn", ("Scale",), "num_axes allowed", side("num_axes: 1"), side("num_axes: 3")),
    ("ncnn", ("Crop",), "axis min", side("axis: 2 offset: 3", bottoms=2),
     side("axis: -2 offset: 3", bottoms=2)),
    ("tpu-mlir", ("BN",), "frozen forbidden", side("frozen: true"), side("frozen: false")),
    ("tpu-mlir", ("PriorBox",), "variance least most",
     side("variance: 1 variance: 1 variance: 2 variance: 2", bottoms=2),
     side("variance: 1", bottoms=2)),
    ("armnn", ("Concat",), "axes allowed", side(bottoms=2), side(bottoms=2, shape=(1, 4))),
    ("armnn", ("LRN",), "local_size given", side("local_size: 5"), side("alpha: 1 beta: 1")),
    ("armnn", ("LRN",), "alpha given", side("alpha: 1"), side("local_size: 5 beta: 1")),
    ("armnn", ("InnerProduct",), "bias_term forbidden", side("num_output: 2"),
     side("num_output: 2 bias_term: false")),
    ("armnn", ("InnerProduct",), "transpose given", side("num_output: 2"),
     side("num_output: 2 transpose: false")),
    ("armnn", ("Eltwise",), "bottoms min max", side(bottoms=2), side(bottoms=3)),
    ("armnn", ("Eltwise",), "operation allowed", side("operation: PROD", bottoms=2),
     side("operation: MAX", bottoms=2)),
    ("armnn", ("Scale",), "bias_term forbidden", side("bias_term: true"),
     side("bias_term: false")),
    ("mace", ("Interp",), "height given", side("height: 9 width: 9"), side("zoom_factor: 2")),
    ("mace", ("Interp",), "width given", side("height: 9 width: 9"), side("zoom_factor: 2")),
    ("ascend", ("Upsample",), "bottoms max", side("scale: 2"), side("scale: 2", bottoms=2)),
    ("tpu-mlir", ("Reorg",), "reverse forbidden", side("stride: 2"),
     side("stride: 2 reverse: true")),
    ("", ("Exp", "Log"), "base allowed", side(), side("base: 2")),
    ("", ("Exp", "Log"), "scale allowed", side(), side("scale: 2")),
    ("", ("Exp", "Log"), "shift allowed", side(), side("shift: 2")),
    ("mace", ("Clip",), "min allowed", side("min: 0 max: 6"), side("min: -1 max: 6")),
    ("", ("Python",), "layer allowed", side('module: "m" layer: "ProposalLayer"'),
     side('module: "m" layer: "Other"')),
    ("ascend", ("*",), "height max", side(shape=(1, 1, 4096, 1)), side(shape=(1, 1, 4097, 1))),
    ("ascend", ("*",), "width max", side(shape=(1, 1, 1, 4096)), side(shape=(1, 1, 1, 4097))),
    ("", (), "format forbidden", Whole(DATA + relu("it", "it")), Whole(V1)),
    ("", (), "repeated_names most", Whole(DATA + relu("a", "a") + relu("b", "b")),
     Whole(DATA + relu("a", "a") + relu("a", "b"))),
    ("", (), "repeated_tops most", Whole(DATA + relu("a", "a") + relu("b", "b")),
     Whole(DATA + relu("a", "a") + relu("b", "a"))),
    ("tidl", ("Permute", "Reshape", "PriorBox"), "type when", side(after=DETECTED), side()),
    ("", ("",), "type", None, side()),
)  # fmt: skip


def sides(target: str, rule: Rule, kind: str) -> Iterator[Side | Whole | None]:
    """The net that keeps the rule, None where every layer breaks it, and the one that does not.

    Raises LookupError for a rule of which no line here speaks.
    """
    words = " ".join((rule.condition.name or "type", *rule.condition.tests))
    words += " when" if rule.condition.name == "" and rule.when else ""
    for targets, types, subject, right, wrong in LINES:
        fits = target in targets.split() if targets else True
        if fits and subject == words and (kind in types or types == ("",) or not (types or kind)):
            return iter((right, wrong))
    raise LookupError(f"{target}: {kind}: {words}: write a net for each side into LINES")
