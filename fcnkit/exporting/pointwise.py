"""Layers that compute a value from one value, or from those at its place, in ONNX."""

from functools import reduce
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


def eltwise(at: Site) -> list[str]:
    """The sum of its bottoms, each with its coefficient, their product, or the largest."""
    param = at.param("eltwise_param")
    kind, factors = param.get("operation"), param.list("coeff") or [1] * len(at.bottoms)
    if kind == "MAX":
        return [at.op("Max", *at.bottoms)]
    if kind == "PROD":
        return [reduce(lambda left, right: at.op("Mul", left, right), at.bottoms)]
    pairs = zip(at.bottoms, factors, strict=True)
    terms = [
        bottom if factor == 1 else at.op("Mul", bottom, at.number(factor))
        for bottom, factor in pairs
    ]
    return [reduce(lambda left, right: at.op("Add", left, right), terms)]


def axpy(at: Site) -> list[str]:
    """factor * x + y, a factor for each channel."""
    factor, x, y = at.bottoms
    factor = at.filled(factor, len(at.sizes[1]) - at.ndim)
    return [at.op("Add", at.op("Mul", factor, x), y)]
