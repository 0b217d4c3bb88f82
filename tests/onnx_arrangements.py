"""More small ONNX models for the tests: what puts numbers elsewhere, and what reduces them."""

from collections.abc import Sequence

from onnx_models import CASES, MAP, Case, W

ARRANGEMENTS: Sequence[Case] = (
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
    Case("pad with a number", "y = Pad(x, p, v)", {"p": [0, 0, 1, 2, 0, 0, 3, 0], "v": 0.7}),
    *(
        Case(
            f"pad by {how}",
            f'y = Pad<mode="{how}">(x, p)',
            {"p": [0, 0, 1, 2, 0, 0, 3, 0]},
            inputs="float[n,3,5,6] x",
            opset=opset,
        )
        for how, opset in (("reflect", 17), ("edge", 17), ("wrap", 19))
    ),
    Case(
        "mirrored",
        "y = Slice(x, a, b, c, d)",
        {"a": [-1, 4], "b": [-99, 0], "c": [3, 2], "d": [-1, -2]},
        inputs="float[n,3,5,6] x",
    ),
    Case(
        "channels mirrored",
        "y = Slice(x, a, b, c, d)",
        {"a": [-1], "b": [-99], "c": [1], "d": [-1]},
    ),
    Case("gather rows", "y = Gather<axis=2>(x, i)", {"i": [4, 0, 2]}, inputs="float[n,3,5,6] x"),
    Case("gather of a row", "y = Gather<axis=1>(x, i)", {"i": [4, 0, 2]}, inputs="float[n,7] x"),
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
    Case("pooling of a point", "r = Relu(x) y = AveragePool<kernel_shape=[1,1]>(r)"),
    Case("bytes", "c = Cast<to=1>(x) y = Mul(c, k)", {"k": 0.1}, inputs="uint8[n,3,h,w] x"),
    Case("argmax of equals", "r = Relu(x) y = ArgMax<axis=1>(r)", kind="int64"),
    Case(
        "argmax, the last", "r = Relu(x) y = ArgMax<axis=1, select_last_index=1>(r)", kind="int64"
    ),
    Case("argmin", "r = Relu(x) y = ArgMin<axis=1, keepdims=0>(r)", kind="int64"),
    Case("least of places", "y = ReduceMin<axes=[2,3]>(x)"),
    Case(
        "a value over a map of any size",
        """p = GlobalAveragePool(x) c = Conv(p, w) m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(x)
         sh = Shape(m) hw = Slice(sh, two, four) nc = Shape<start=0, end=2>(c)
         s = Concat<axis=0>(nc, hw) r = Resize<mode="linear">(c, , , s)
         y = Concat<axis=1>(m, r)""",
        {"w": (5, 3, 1, 1), "two": [2], "four": [4]},
    ),
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
    *(
        Case(
            f"cubic {how}",
            f'y = Resize<mode="cubic", cubic_coeff_a=-0.75, '
            f'coordinate_transformation_mode="{how}">(x, , , s)',
            {"s": [1, 3, 10, 4]},
            inputs="float[1,3,5,6] x",
        )
        for how in ("half_pixel", "align_corners", "pytorch_half_pixel")
    ),
    Case(
        "smoothed before",
        'y = Resize<mode="linear", antialias=1>(x, , , s)',
        {"s": [1, 3, 3, 4]},
        inputs="float[1,3,5,6] x",
        opset=18,
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

EVERY_CASE = (*CASES, *ARRANGEMENTS)
