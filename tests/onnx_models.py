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
    Case(
        "instance norm of rows",
        "y = InstanceNormalization(x, g, b)",
        {"g": (3,), "b": (3,)},
        inputs="float[n,3,w] x",
    ),
    Case(
        "group norm of parts",
        """r = Reshape(x, s) n = InstanceNormalization(r, one, zero) sh = Shape(x)
         k = Reshape(n, sh) m = Mul(k, g) y = Add(m, b)""",
        {"s": [0, 2, -1], "one": [1.0, 1.0], "zero": [0.0, 0.0], "g": (4, 1, 1), "b": (4, 1, 1)},
        inputs=MAP,
    ),
    Case(
        "group norm",
        "y = GroupNormalization<num_groups=2>(x, g, b)",
        {"g": (4,), "b": (4,)},
        inputs=MAP,
        opset=21,
    ),
    Case(
        "layer norm of rows",
        "y = LayerNormalization(x, g, b)",
        {"g": (7,), "b": (7,)},
        inputs="float[n,5,7] x",
    ),
    Case(
        "layer norm of images",
        "y = LayerNormalization<axis=1>(x, g, b)",
        {"g": (3, 5, 6), "b": (3, 5, 6)},
        inputs="float[n,3,5,6] x",
    ),
    Case(
        "rms norm", "y = RMSNormalization(x, g)", {"g": (6,)}, inputs="float[n,3,5,6] x", opset=23
    ),
    Case("euclidean norm of rows", "y = LpNormalization(x)", inputs="float[n,5,7] x"),
    Case("prelu of places", "y = PRelu(x, s)", {"s": (3, 5, 6)}, inputs="float[n,3,5,6] x"),
    Case(
        "pooled rows",
        "y = MaxPool<kernel_shape=[3], strides=[2], pads=[1,1]>(x)",
        inputs="float[n,3,w] x",
    ),
    Case(
        "averaged rows",
        "y = AveragePool<kernel_shape=[3], strides=[2], pads=[1,1]>(x)",
        inputs="float[n,3,w] x",
    ),
    Case("mean of rows", "y = ReduceMean<axes=[1]>(x)", inputs="float[n,4,7] x"),
    Case("largest of rows", "y = ReduceMax<axes=[2]>(x)", inputs="float[n,4,5,7] x"),
    Case("lrn", "y = LRN<size=3, alpha=0.01, bias=2.0>(x)"),
    Case("softmax", "y = Softmax<axis=1>(x)"),
    Case("softmax of the last", "y = Softmax(x)"),
    Case("softmax of opset 11", "y = Softmax(x)", inputs="float[n,3,5,6] x", opset=11),
    Case("log softmax", "y = LogSoftmax<axis=1>(x)"),
)
