"""Layers that normalise, or learn factors and weights, in ONNX."""

from fcnkit.exporting.draft import Copied, Site


def prelu(at: Site) -> list[str]:
    """PRelu; its slopes stand for the channels, all axes behind them are 1."""
    shared = at.param("prelu_param").get("channel_shared")
    channels = (1,) if shared else (at.sizes[0][1],)
    return [at.op("PRelu", at.x, at.weights(0, channels + (1,) * (at.ndim - 2)))]


def softmax(at: Site) -> list[str]:
    """Softmax over one axis, as since opset 13."""
    return [at.op("Softmax", at.x, axis=at.param("softmax_param").get("axis") % at.ndim)]


def batch_norm(at: Site) -> list[str]:
    """BatchNormalization, mean and variance divided by the third blob; or those of the batch."""
    import numpy as np

    param = at.param("batch_norm_param")
    eps, stored = (
        param.get("eps"),
        param.get("use_global_stats") or not param.has("use_global_stats"),
    )
    if not stored:
        axes = [axis for axis in range(at.ndim) if axis != 1]
        centred = at.op("Sub", at.x, at.op("ReduceMean", at.x, axes=axes))
        squares = at.op("ReduceMean", at.op("Mul", centred, centred), axes=axes)
        return [at.op("Div", centred, at.op("Sqrt", at.op("Add", squares, at.number(eps))))]
    mean, variance, factor = (blob.array().astype(np.float32).ravel() for blob, _ in at.blobs)
    times = np.float32(1 / factor[0] if factor[0] else 0)
    ones, zeros = np.ones_like(mean), np.zeros_like(mean)
    given = {"ones": ones, "zeros": zeros, "mean": mean * times, "variance": variance * times}
    names = [at.floats(array, name) for name, array in given.items()]
    return [at.op("BatchNormalization", at.x, *names, epsilon=eps)]


def scale(at: Site) -> list[str]:
    """Times its factors, plus its summands, from `axis` on."""
    own = len(at.bottoms) == 1
    factors = _spread(at, "scale_param", 0) if own else _second(at, "scale_param")
    y = at.op("Mul", at.x, factors)
    if not at.param("scale_param").get("bias_term"):
        return [y]
    return [at.op("Add", y, _spread(at, "scale_param", int(own)))]


def bias(at: Site) -> list[str]:
    """Plus its summands, from `axis` on."""
    own = len(at.bottoms) == 1
    return [at.op("Add", at.x, _spread(at, "bias_param", 0) if own else _second(at, "bias_param"))]


def _spread(at: Site, message: str, number: int) -> str:
    """A parameter blob with axes of 1 behind its own,
    so that it stands for the axes from `axis` on.
    """
    shape = at.blobs[number][1]
    return at.weights(number, (*shape, *(1,) * _behind(at, message, len(shape))))


def _second(at: Site, message: str) -> str:
    """The second bottom, likewise."""
    return at.filled(at.bottoms[1], _behind(at, message, len(at.sizes[1])))


def _behind(at: Site, message: str, count: int) -> int:
    axis = at.param(message).get("axis") % at.ndim if count else at.ndim
    return at.ndim - axis - count


def mvn(at: Site) -> list[str]:
    """Less the mean, and divided by the deviation plus eps,
    of each item or of each of its channels.
    """
    param = at.param("mvn_param")
    x = at.filled(at.x, 4 - at.ndim)
    axes = [1, 2, 3] if param.get("across_channels") else [2, 3]
    centred = at.op("Sub", x, at.op("ReduceMean", x, axes=axes))
    if not param.get("normalize_variance"):
        return [centred]
    variance = at.op("ReduceMean", at.op("Mul", centred, centred), axes=axes)
    return [
        at.op("Div", centred, at.op("Add", at.op("Sqrt", variance), at.number(param.get("eps"))))
    ]


def lrn(at: Site) -> list[str]:
    """LRN, whose alpha is divided by the size in ONNX too;
    within a channel by averages of squares, k = 1.
    """
    param = at.param("lrn_param")
    size, alpha, beta = param.get("local_size"), param.get("alpha"), param.get("beta")
    if param.get("norm_region") == "ACROSS_CHANNELS":
        return [at.op("LRN", at.x, size=size, alpha=alpha, beta=beta, bias=param.get("k"))]
    squares = at.op("Mul", at.x, at.x)
    pads = [(size - 1) // 2] * 4
    means = at.op(
        "AveragePool",
        squares,
        kernel_shape=[size] * 2,
        strides=[1, 1],
        pads=pads,
        count_include_pad=1,
    )
    base = at.op("Add", at.op("Mul", means, at.number(alpha)), at.number(1))
    return [at.op("Mul", at.x, at.op("Pow", base, at.number(-beta)))]


def inner_product(at: Site) -> list[str]:
    """Gemm over the axes from `axis` on as one; those before it are put back afterwards."""
    param = at.param("inner_product_param")
    axis = param.get("axis") % at.ndim
    x = at.x if (at.ndim, axis) == (2, 1) else at.op("Flatten", at.x, axis=axis)
    given = [at.weights(number) for number in range(len(at.blobs))]
    y = at.op("Gemm", x, *given, transB=int(not param.get("transpose")))
    if axis == 1:
        return [y]
    kept = [Copied(each) for each in range(axis)]
    return [at.reshape(y, at.sizes[0], [*kept, at.tops[0][-1]], of=at.x)]


def embed(at: Site) -> list[str]:
    """The rows of the weights that the bottom numbers."""
    from onnx import TensorProto

    y = at.op("Gather", at.weights(0), at.op("Cast", at.x, to=TensorProto.INT64), axis=0)
    return [at.op("Add", y, at.weights(1)) if len(at.blobs) > 1 else y]
