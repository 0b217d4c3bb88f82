"""Small ONNX models for the tests, from the text of their nodes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Case(NamedTuple):
    """A model: its nodes, the shapes of its weights or their values, and its inputs."""

    name: str
    nodes: str
    weights: Mapping[str, Any] = {}
    inputs: str = "float[n,3,h,w] x"
    output: str = "y"
    opset: int = 17
    kind: str = "float"


def array(value: Any, seed: int) -> Any:
    """Weights of this shape, which is a tuple, or the values themselves."""
    import numpy as np

    if isinstance(value, tuple):
        return np.random.default_rng(seed).normal(0, 0.5, value).astype(np.float32)
    if isinstance(value, bool):
        return np.asarray(value)
    kind = np.int64 if all(isinstance(each, int) for each in np.ravel(value).tolist()) else "f4"
    return np.asarray(value, kind)


def save(case: Case, folder: Path) -> Path:
    """The model as a file in this folder."""
    import onnx
    from onnx import numpy_helper, parser

    graph = parser.parse_graph(
        f"g ({case.inputs}) => ({case.kind} {case.output}) {{ {case.nodes} }}"
    )
    for port in graph.output:
        port.type.tensor_type.ClearField("shape")
    for seed, (name, value) in enumerate(case.weights.items()):
        graph.initializer.append(numpy_helper.from_array(array(value, seed), name))
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", case.opset)], ir_version=8
    )
    path = folder / f"{case.name.replace(' ', '_').replace('/', '_')}.onnx"
    onnx.save(model, path)
    return path


def conv(words: str = "", name: str = "w") -> str:
    """A Conv of x with these attributes."""
    return f"y = Conv{words and f'<{words}>'}(x, {name})"


W = {"w": (4, 3, 3, 3)}
POSITIVE = [0.5, 1.5, 2.5]
MAP = "float[n,4,h,w] x"

CASES: Sequence[Case] = (
    # Windows.
    Case("conv", conv(), W),
    Case("conv bias", "y = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w, b)", {**W, "b": (4,)}),
    Case("conv pads differ", conv("pads=[0,1,2,1]"), W),
    Case("conv pads at the end", conv("pads=[0,0,1,1], strides=[2,2]"), W),
    Case("conv pads at the beginning", conv("pads=[2,1,0,0]"), W),
    Case("conv pads differ dilated", conv("pads=[0,2,2,2], dilations=[2,1]"), W),
    Case("conv grouped", conv("group=3"), {"w": (6, 1, 3, 3)}),
    Case("conv dilated", conv("dilations=[2,3], pads=[2,3,2,3]"), W),
    Case("conv wide kernel", conv("pads=[0,2,0,2]"), {"w": (4, 3, 1, 5)}),
    Case("conv same", conv('auto_pad="SAME_UPPER", strides=[1,1]'), W),
    Case("conv same lower", conv('auto_pad="SAME_LOWER"'), {"w": (4, 3, 2, 2)}),
    Case("conv valid", conv('auto_pad="VALID", strides=[2,2]'), W),
    Case("transposed", "y = ConvTranspose<strides=[2,2]>(x, w)", {"w": (3, 4, 2, 2)}),
    Case(
        "transposed output padding",
        "y = ConvTranspose<strides=[2,2], pads=[1,1,1,1], output_padding=[1,1]>(x, w, b)",
        {"w": (3, 4, 3, 3), "b": (4,)},
    ),
    Case(
        "transposed cut at one end",
        "y = ConvTranspose<strides=[2,2], pads=[0,1,1,0]>(x, w)",
        {"w": (3, 4, 3, 3)},
    ),
    Case(
        "transposed grouped",
        "y = ConvTranspose<strides=[3,2], group=3, dilations=[1,2]>(x, w)",
        {"w": (3, 2, 3, 3)},
    ),
    Case("max pool", "y = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x)"),
    Case("max pool padded", "y = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x)"),
    Case("max pool up", "y = MaxPool<kernel_shape=[3,3], strides=[2,2], ceil_mode=1>(x)"),
    Case("max pool beyond", "y = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[0,0,1,1]>(x)"),
    Case(
        "max pool before",
        "r = Relu(x) y = MaxPool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,0,0]>(r)",
    ),
    Case("max pool stride 3", "y = MaxPool<kernel_shape=[3,3], strides=[3,3]>(x)"),
    Case("max pool stride 1", "y = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(x)"),
    Case(
        "average with padding",
        "y = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1], "
        "count_include_pad=1>(x)",
    ),
    Case(
        "average without padding",
        "y = AveragePool<kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]>(x)",
    ),
    Case("average", "y = AveragePool<kernel_shape=[2,2], strides=[2,2]>(x)"),
    Case(
        "average pads differ",
        "y = AveragePool<kernel_shape=[2,2], pads=[0,0,1,1], count_include_pad=1>(x)",
    ),
    Case("average pads differ uncounted", "y = AveragePool<kernel_shape=[2,2], pads=[0,1,1,0]>(x)"),
    Case("global average", "y = GlobalAveragePool(x)"),
    Case("global max", "y = GlobalMaxPool(x)"),
    # One value from one value.
    *(
        Case(f"one {words}", f"y = {words}(x)", opset=28 if words in ("Swish",) else 20)
        for words in (
            "Relu",
            "LeakyRelu<alpha=0.2>",
            "Elu",
            "Elu<alpha=0.7>",
            "Selu",
            "Celu<alpha=2.0>",
            "ThresholdedRelu<alpha=0.4>",
            "Sigmoid",
            "Tanh",
            "Abs",
            "Exp",
            "Softplus",
            "Softsign",
            "Mish",
            'Gelu<approximate="tanh">',
            "HardSigmoid",
            "HardSigmoid<alpha=0.16666667, beta=0.5>",
            "HardSwish",
            "Neg",
        )
    ),
    Case("square root", "a = Abs(x) y = Sqrt(a)"),
    Case("logarithm", "a = Softplus(x) y = Log(a)"),
    Case("reciprocal", "a = Exp(x) y = Reciprocal(a)"),
    Case("power", "y = Pow(x, p)", {"p": [2.0]}),
    Case("gelu by erf", "y = Gelu(x)", opset=20),
    Case(
        "gelu of parts",
        "d = Div(x, r) e = Erf(d) a = Add(e, o) m = Mul(x, a) y = Mul(m, h)",
        {"r": 2**0.5, "o": 1.0, "h": 0.5},
    ),
    Case("silu", "s = Sigmoid(x) y = Mul(x, s)"),
    Case("clip", "y = Clip(x, a, b)", {"a": 0.0, "b": 0.8}),
    Case("clip low", "y = Clip(x, a)", {"a": -0.3}),
    Case("clip high", "y = Clip(x, , b)", {"b": 0.3}),
    Case("clip of opset 7", "y = Clip<min=-0.5, max=0.4>(x)", opset=7),
    Case(
        "hard swish of parts",
        "a = Add(x, t) c = Clip(a, z, s) m = Mul(x, c) y = Div(m, s)",
        {"t": 3.0, "z": 0.0, "s": 6.0},
    ),
    Case("prelu", "y = PRelu(x, s)", {"s": (3, 1, 1)}),
    Case("prelu shared", "y = PRelu(x, s)", {"s": [0.3]}),
    Case("cast", "a = Cast<to=1>(x) y = Relu(a)"),
    Case("dropout", "a, m = Dropout(x) y = Relu(a)"),
    # Several.
    Case("add", "a = Relu(x) y = Add(x, a)"),
    Case("sub", "a = Relu(x) y = Sub(x, a)"),
    Case("mul", "a = Sigmoid(x) y = Mul(x, a)"),
    Case("div", "a = Exp(x) y = Div(x, a)"),
    Case("max", "a = Neg(x) y = Max(x, a)"),
    Case("min", "a = Neg(x) y = Min(x, a)"),
    Case("sum of three", "a = Neg(x) b = Abs(x) y = Sum(x, a, b)"),
    Case("mean of three", "a = Exp(x) b = Abs(x) y = Mean(x, a, b)"),
    Case("add a number", "y = Add(x, c)", {"c": 0.3}),
    Case("a number less x", "y = Sub(c, x)", {"c": 0.3}),
    Case("a number by x", "a = Exp(x) y = Div(c, a)", {"c": 0.3}),
    Case("x by numbers", "y = Div(x, c)", {"c": [[[[0.5]], [[1.5]], [[-2.0]]]]}),
    Case("add for each channel", "y = Add(x, c)", {"c": (3, 1, 1)}),
    Case("channels less x", "y = Sub(c, x)", {"c": (1, 3, 1, 1)}),
    Case("times for each channel", "y = Mul(c, x)", {"c": (1, 3, 1, 1)}),
    Case("times a map", "y = Mul(x, c)", {"c": (5, 6)}, inputs="float[n,3,5,6] x"),
    Case("plus all values", "y = Add(x, c)", {"c": (1, 3, 5, 6)}, inputs="float[n,3,5,6] x"),
    Case("plus a row", "y = Add(x, c)", {"c": (6,)}, inputs="float[n,3,5,6] x"),
    Case(
        "squeeze and excite",
        "p = GlobalAveragePool(x) c = Conv(p, w) s = Sigmoid(c) y = Mul(x, s)",
        {"w": (3, 3, 1, 1)},
    ),
    Case("plus a computed channel", "p = GlobalAveragePool(x) y = Add(p, x)"),
    Case("x less its mean", "p = GlobalAveragePool(x) y = Sub(x, p)"),
    Case("mean less x", "p = GlobalAveragePool(x) y = Sub(p, x)"),
    Case("x by its mean", "e = Exp(x) p = GlobalAveragePool(e) y = Div(x, p)"),
    Case("mean by x", "e = Exp(x) p = GlobalAveragePool(e) y = Div(p, e)"),
    Case("times a computed map", "c = Conv(x, w) y = Mul(x, c)", {"w": (1, 3, 1, 1)}),
    Case("max with a number", "y = Max(x, c)", {"c": [0.2]}),
    # Normalisation.
    Case(
        "batch norm",
        "c = Conv(x, w) y = BatchNormalization<epsilon=0.001>(c, g, b, m, v)",
        {**W, "g": (4,), "b": (4,), "m": (4,), "v": [0.5, 1.0, 1.5, 2.5]},
    ),
    Case(
        "batch norm first",
        "y = BatchNormalization(x, g, b, m, v)",
        {"g": (3,), "b": (3,), "m": (3,), "v": POSITIVE},
    ),
    Case(
        "batch norm read twice",
        "c = Conv(x, w) n = BatchNormalization(c, g, b, m, v) r = Relu(n) y = Add(c, r)",
        {**W, "g": (4,), "b": (4,), "m": (4,), "v": [0.5, 1.0, 1.5, 2.5]},
    ),
    Case("instance norm", "y = InstanceNormalization(x, g, b)", {"g": (3,), "b": (3,)}),
    Case(
        "layer norm of channels",
        "t = Transpose<perm=[0,2,3,1]>(x) n = LayerNormalization(t, g, b) "
        "y = Transpose<perm=[0,3,1,2]>(n)",
        {"g": (3,), "b": (3,)},
    ),
    Case("lrn", "y = LRN<size=3, alpha=0.01, bias=2.0>(x)"),
    Case("softmax", "y = Softmax<axis=1>(x)"),
    Case("softmax of the last", "y = Softmax(x)"),
    Case("softmax of opset 11", "y = Softmax(x)", inputs="float[n,3,5,6] x", opset=11),
    Case("log softmax", "y = LogSoftmax<axis=1>(x)"),
    # Elsewhere.
    Case("concat", "a = Relu(x) y = Concat<axis=1>(x, a)"),
    Case("concat of rows", "a = Relu(x) y = Concat<axis=2>(x, a)"),
    Case("split", "a, b = Split<axis=1>(x, s) r = Relu(a) y = Concat<axis=1>(b, r)", {"s": [1, 2]}),
    Case("split in halves", "a, b = Split<axis=1>(x) y = Mul(a, b)", inputs=MAP, opset=11),
    Case("slice of channels", "y = Slice(x, a, b, c)", {"a": [1], "b": [3], "c": [1]}),
    Case("slice of one channel", "y = Slice(x, a, b, c)", {"a": [1], "b": [2], "c": [1]}),
    Case("slice of the first", "y = Slice(x, a, b, c)", {"a": [0], "b": [-1], "c": [1]}),
    Case(
        "slice of places",
        "y = Slice(x, a, b, c)",
        {"a": [1, 2], "b": [9223372036854775807, -1], "c": [2, 3]},
    ),
    Case(
        "slice every second",
        "y = Slice(x, a, b, c, d)",
        {"a": [0, 1], "b": [99999, 99999], "c": [2, 3], "d": [2, 2]},
    ),
    Case("slice of opset 9", "y = Slice<axes=[2], starts=[1], ends=[-2]>(x)", opset=9),
    Case(
        "focus",
        """
        a = Slice(x, zz, e, ax, s) b = Slice(x, oz, e, ax, s)
        c = Slice(x, zo, e, ax, s) d = Slice(x, oo, e, ax, s) y = Concat<axis=1>(a, b, c, d)""",
        {
            "zz": [0, 0],
            "oz": [1, 0],
            "zo": [0, 1],
            "oo": [1, 1],
            "e": [99999, 99999],
            "ax": [2, 3],
            "s": [2, 2],
        },
        inputs="float[n,3,8,10] x",
    ),
    Case("gather a channel", "y = Gather<axis=1>(x, i)", {"i": 2}),
    Case("gather channels", "y = Gather<axis=1>(x, i)", {"i": [2, 0]}),
    Case("pad", "y = Pad(x, p)", {"p": [0, 0, 1, 2, 0, 0, 3, 0]}),
    Case(
        "pad before a convolution",
        "p = Pad(x, q) y = Conv(p, w)",
        {**W, "q": [0, 0, 0, 1, 0, 0, 2, 1]},
    ),
    Case("pad and cut", "y = Pad(x, p)", {"p": [0, 0, 1, -2, 0, 0, -1, 1]}),
    Case("flatten", "y = Flatten(x)"),
    Case("reshape", "y = Reshape(x, s)", {"s": [0, 0, -1]}),
    Case(
        "flatten and gemm",
        "f = Flatten(x) y = Gemm<transB=1>(f, w, b)",
        {"w": (5, 60), "b": (5,)},
        inputs="float[n,3,4,5] x",
    ),
    Case(
        "gemm scaled",
        "f = Flatten(x) y = Gemm<alpha=0.5, beta=2.0>(f, w, b)",
        {"w": (60, 5), "b": (5,)},
        inputs="float[n,3,4,5] x",
    ),
    Case("gemm of numbers", "y = Gemm<transB=1>(x, w)", {"w": (5, 7)}, inputs="float[n,7] x"),
    Case("matmul", "y = MatMul(x, w)", {"w": (6, 5)}, inputs="float[n,3,4,6] x"),
    Case(
        "nhwc and gemm",
        "c = Conv(x, w) t = Transpose<perm=[0,2,3,1]>(c) f = Reshape(t, s) y = MatMul(f, m)",
        {**W, "s": [0, -1], "m": (48, 5)},
        inputs="float[n,3,5,6] x",
    ),
    Case(
        "nhwc within",
        """c = Conv(x, w) u = Transpose<perm=[0,2,3,1]>(c) r = Relu(u)
         a = Add(r, k) y = Transpose<perm=[0,3,1,2]>(a)""",
        {**W, "k": 0.2},
    ),
    Case(
        "linear and layer norm of channels that are last",
        """u = Transpose<perm=[0,2,3,1]>(x) n = LayerNormalization(u, g, b) m = MatMul(n, w)
         a = Add(m, c) s = Mul(a, d) y = Transpose<perm=[0,3,1,2]>(s)""",
        {"g": (3,), "b": (3,), "w": (3, 5), "c": (5,), "d": (5,)},
    ),
    Case(
        "halves of a shuffle",
        """r = Reshape(x, a) t = Transpose<perm=[0,2,1,3,4]>(r) k = Reshape(t, b)
         f = Slice(k, zero, two, one) l = Slice(k, two, four, one) y = Concat<axis=1>(l, f)""",
        {"a": [0, 2, 2, 5, 6], "b": [0, 4, 5, 6], "zero": [0], "one": [1], "two": [2], "four": [4]},
        inputs="float[n,4,5,6] x",
    ),
    Case(
        "nhwc from the input",
        "t = Transpose<perm=[0,3,1,2]>(x) c = Conv(t, w) y = Relu(c)",
        W,
        inputs="float[n,h,w,3] x",
    ),
    Case(
        "linear by a scale that makes a whole factor",
        'y = Resize<mode="linear">(x, , s)',
        {"s": [1.0, 1.0, 2.1, 2.05]},
        inputs="float[1,3,5,6] x",
    ),
    Case(
        "a matrix that is transposed first",
        "f = Flatten(x) t = Transpose(w) y = MatMul(f, t)",
        {"w": (70, 60)},
        inputs="float[n,3,4,5] x",
    ),
    Case(
        "shuffle",
        "r = Reshape(x, a) t = Transpose<perm=[0,2,1,3,4]>(r) y = Reshape(t, b)",
        {"a": [0, 2, 2, 5, 6], "b": [0, 4, 5, 6]},
        inputs="float[n,4,5,6] x",
    ),
    Case("depth to space", "y = DepthToSpace<blocksize=2>(x)", inputs=MAP.replace("4", "8")),
    Case(
        "depth to space crd",
        'y = DepthToSpace<blocksize=2, mode="CRD">(x)',
        inputs=MAP.replace("4", "8"),
    ),
    Case(
        "space to depth crd",
        'y = SpaceToDepth<blocksize=2, mode="CRD">(x)',
        inputs="float[n,3,6,8] x",
        opset=28,
    ),
    Case("space to depth", "y = SpaceToDepth<blocksize=2>(x)", inputs="float[n,3,6,8] x"),
    Case("mean of places", "y = ReduceMean<axes=[2,3], keepdims=0>(x)"),
    Case("mean kept", "y = ReduceMean<axes=[-1,-2]>(x)"),
    Case("mean of channels", "y = ReduceMean<axes=[1]>(x)"),
    Case("sum of all behind", "y = ReduceSum(x, a)", {"a": [1, 2, 3]}),
    Case("largest of places", "y = ReduceMax<axes=[2,3]>(x)"),
    Case("norm of channels", "y = ReduceL2<axes=[1]>(x)"),
    Case("argmax", "y = ArgMax<axis=1>(x)", kind="int64"),
    Case("argmax of equals", "r = Relu(x) y = ArgMax<axis=1>(r)", kind="int64"),
    Case(
        "argmax, the last", "r = Relu(x) y = ArgMax<axis=1, select_last_index=1>(r)", kind="int64"
    ),
    Case("argmin", "r = Relu(x) y = ArgMin<axis=1, keepdims=0>(r)", kind="int64"),
    Case("least of places", "y = ReduceMin<axes=[2,3]>(x)"),
    Case("expand", "p = GlobalAveragePool(x) y = Expand(p, s)", {"s": [1, 1, 4, 5]}),
    Case("tile", "y = Tile(x, r)", {"r": [1, 2, 1, 1]}),
    # Sizes.
    Case(
        "nearest",
        'y = Resize<mode="nearest", coordinate_transformation_mode="asymmetric", '
        'nearest_mode="floor">(x, , s)',
        {"s": [1.0, 1.0, 2.0, 3.0]},
    ),
    Case("nearest by default", "y = Resize(x, , s)", {"s": [1.0, 1.0, 2.0, 2.0]}),
    Case("upsample", "y = Upsample(x, s)", {"s": [1.0, 1.0, 2.0, 2.0]}, opset=9),
    Case("linear", 'y = Resize<mode="linear">(x, , s)', {"s": [1.0, 1.0, 2.0, 4.0]}),
    Case("linear by three", 'y = Resize<mode="linear">(x, , s)', {"s": [1.0, 1.0, 3.0, 5.0]}),
    *(
        Case(
            f"linear to a size {how}",
            f'y = Resize<mode="linear", coordinate_transformation_mode="{how}">(x, , , s)',
            {"s": [1, 3, 7, 11]},
            inputs="float[1,3,5,6] x",
        )
        for how in ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel")
    ),
    Case(
        "nearest to a size", "y = Resize(x, , , s)", {"s": [1, 3, 7, 4]}, inputs="float[1,3,5,6] x"
    ),
    Case(
        "a size that follows",
        """sh = Shape(x) hw = Slice(sh, two, four)
         nc = Slice(sh, zero, two) d = Mul(hw, two) s = Concat<axis=0>(nc, d)
         p = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(x)
         y = Resize<mode="linear">(p, , , s)""",
        {"zero": [0], "two": [2], "four": [4]},
    ),
)
