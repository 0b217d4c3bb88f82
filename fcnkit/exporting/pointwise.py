"""Layers that compute a value from one value, or normalise, in ONNX."""

from math import exp as e_to
from math import log as ln
from typing import Any

from fcnkit.exporting.draft import Site


def node(kind: str) -> Any:
    """What exports a layer that one ONNX operator without attributes computes."""
    return lambda at: [at.op(kind, at.x)]


def same(at: Site) -> list[str]:
    """Every top is the bottom."""
    return [at.x] * len(at.tops)


def relu(at: Site) -> list[str]:
    """Relu, or LeakyRelu with a negative_slope."""
    slope = at.param("relu_param").get("negative_slope")
    return [at.op("LeakyRelu", at.x, alpha=slope) if slope else at.op("Relu", at.x)]


def prelu(at: Site) -> list[str]:
    """PRelu; its slopes stand for the channels, all axes behind them are 1."""
    shared = at.param("prelu_param").get("channel_shared")
    channels = (1,) if shared else (at.sizes[0][1],)
    return [at.op("PRelu", at.x, at.weights(0, channels + (1,) * (at.ndim - 2)))]


def elu(at: Site) -> list[str]:
    """Elu."""
    return [at.op("Elu", at.x, alpha=at.param("elu_param").get("alpha"))]


def swish(at: Site) -> list[str]:
    """x * sigmoid(beta * x)."""
    inner = _scaled(at, at.x, at.param("swish_param").get("beta"), 0)
    return [at.op("Mul", at.x, at.op("Sigmoid", inner))]


def clip(at: Site) -> list[str]:
    """Clip to min and max."""
    param = at.param("clip_param")
    return [at.op("Clip", at.x, at.number(param.get("min")), at.number(param.get("max")))]


def relu6(at: Site) -> list[str]:
    """Clip to 0 and 6."""
    return [at.op("Clip", at.x, at.number(0), at.number(6))]


def _scaled(at: Site, x: str, scale: float, shift: float) -> str:
    """scale * x + shift, without what does nothing."""
    x = x if scale == 1 else at.op("Mul", x, at.number(scale))
    return x if shift == 0 else at.op("Add", x, at.number(shift))


def power(at: Site) -> list[str]:
    """(scale * x + shift) ** power."""
    param = at.param("power_param")
    x = _scaled(at, at.x, param.get("scale"), param.get("shift"))
    return [x if param.get("power") == 1 else at.op("Pow", x, at.number(param.get("power")))]


def _base(at: Site, param: Any) -> float:
    """The base: -1, which means e, or a positive number that logarithms have."""
    base = param.get("base")
    if base != -1 and (base <= 0 or base == 1):
        raise at.refuse(f"base {base}; give a positive one that is not 1, or -1 for e")
    return base


def exp(at: Site) -> list[str]:
    """base ** (scale * x + shift), as base ** shift * e ** (ln(base) * scale * x);
    base -1 means e.
    """
    param = at.param("exp_param")
    base, scale, shift = _base(at, param), param.get("scale"), param.get("shift")
    factor, outer = (1, e_to(shift)) if base == -1 else (ln(base), base**shift)
    return [_scaled(at, at.op("Exp", _scaled(at, at.x, factor * scale, 0)), outer, 0)]


def log(at: Site) -> list[str]:
    """log(scale * x + shift) to the base, -1 meaning e."""
    param = at.param("log_param")
    base = _base(at, param)
    y = at.op("Log", _scaled(at, at.x, param.get("scale"), param.get("shift")))
    return [y if base == -1 else _scaled(at, y, 1 / ln(base), 0)]


def threshold(at: Site) -> list[str]:
    """1 where the bottom is greater, 0 elsewhere."""
    from onnx import TensorProto

    above = at.op("Greater", at.x, at.number(at.param("threshold_param").get("threshold")))
    return [at.op("Cast", above, to=TensorProto.FLOAT)]


# ---- normalisation and learned factors


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
