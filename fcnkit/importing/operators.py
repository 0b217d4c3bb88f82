"""How each ONNX operator is imported: one entry per operator in OPERATORS.

To add an operator, add its entry: a function of a Site that adds layers and
gives the blob of the node's output, or of each.  A node that has no form in
the Caffe that is asked for raises Refusal with the reason.
"""

from collections.abc import Callable

from fcnkit.importing import (
    combined,
    matrices,
    normal,
    pointwise,
    pooling,
    rearrange,
    reductions,
    resizing,
    windows,
)
from fcnkit.importing.held import Held
from fcnkit.importing.pointwise import each
from fcnkit.importing.site import Site

OPERATORS: dict[str, Callable[[Site], Held | list[Held]]] = {
    # Windows, and every value from every value.
    "Conv": windows.conv,
    "ConvTranspose": windows.conv_transpose,
    "MaxPool": pooling.max_pool,
    "AveragePool": pooling.average_pool,
    "GlobalAveragePool": pooling.global_pool("AVE"),
    "GlobalMaxPool": pooling.global_pool("MAX"),
    "Gemm": matrices.gemm,
    "MatMul": matrices.matmul,
    # One value from one value.
    "Relu": each(pointwise.relu),
    "LeakyRelu": each(pointwise.leaky_relu),
    "Elu": each(pointwise.elu),
    "Selu": each(pointwise.selu),
    "Celu": each(pointwise.celu),
    "ThresholdedRelu": each(pointwise.thresholded),
    "Sigmoid": each(pointwise.layer("Sigmoid", inplace=True)),
    "Tanh": each(pointwise.layer("TanH", inplace=True)),
    "Abs": each(pointwise.layer("AbsVal")),
    "Exp": each(pointwise.layer("Exp")),
    "Log": each(pointwise.layer("Log")),
    "Softplus": each(pointwise.softplus),
    "Softsign": each(pointwise.softsign),
    "Mish": each(pointwise.mish),
    "Gelu": each(pointwise.gelu),
    "Erf": each(pointwise.erf),
    "Swish": each(pointwise.swish),
    "HardSigmoid": each(pointwise.hard_sigmoid),
    "HardSwish": each(pointwise.hard_swish),
    "Clip": each(pointwise.clip),
    "Neg": each(pointwise.powered(scale=-1)),
    "Sqrt": each(pointwise.powered(0.5)),
    "Reciprocal": each(pointwise.powered(-1)),
    "Pow": pointwise.pow_,
    "Cast": pointwise.cast,
    "Dropout": pointwise.dropout,
    "Identity": pointwise.same,
    # Several values, or a value and a constant.
    "Add": combined.add,
    "Sub": combined.sub,
    "Mul": combined.mul,
    "Div": combined.div,
    "Sum": combined.many("SUM"),
    "Mean": combined.many("SUM", share=True),
    "Max": combined.many("MAX"),
    "Min": combined.many("MAX", sign=-1),
    "PRelu": normal.prelu,
    # Normalisation.
    "BatchNormalization": normal.batch_norm,
    "InstanceNormalization": normal.instance_norm,
    "LayerNormalization": normal.layer_norm,
    "LpNormalization": normal.lp_norm,
    "GroupNormalization": normal.group_norm,
    "RMSNormalization": normal.rms_norm,
    "LRN": normal.lrn,
    "Softmax": normal.softmax,
    "LogSoftmax": normal.log_softmax,
    # The same numbers elsewhere.
    "Reshape": rearrange.reshape,
    "Flatten": rearrange.reshape,
    "Squeeze": rearrange.reshape,
    "Unsqueeze": rearrange.reshape,
    "Transpose": rearrange.transpose,
    "Concat": rearrange.concat,
    "Split": rearrange.split,
    "Slice": rearrange.slice_,
    "Gather": rearrange.gather,
    "Pad": rearrange.pad,
    "Expand": rearrange.expand,
    "Tile": rearrange.tile,
    "DepthToSpace": rearrange.depth_to_space,
    "SpaceToDepth": rearrange.space_to_depth,
    "Resize": resizing.resize,
    "Upsample": resizing.resize,
    # One value from many.
    "ReduceMean": reductions.reduced("MEAN"),
    "ReduceSum": reductions.reduced("SUM"),
    "ReduceMax": reductions.reduced("MAX"),
    "ReduceMin": reductions.reduced("MIN"),
    "ReduceL1": reductions.reduced("L1"),
    "ReduceL2": reductions.reduced("L2"),
    "ReduceSumSquare": reductions.reduced("SUMSQ"),
    "ArgMax": reductions.arg(1),
    "ArgMin": reductions.arg(-1),
}

# Those that whole numbers may go through or come from: they count places, or move numbers.
WHOLE = frozenset(
    (
        "ArgMax", "ArgMin", "Cast", "Concat", "DepthToSpace", "Expand", "Flatten", "Gather",
        "Identity", "Max", "MaxPool", "Min", "Pad", "ReduceMax", "ReduceMin", "Reshape", "Slice",
        "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
    )
)  # fmt: skip
