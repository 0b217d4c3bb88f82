"""Layers that make one value of one value, or of the values at one place."""

from collections.abc import Callable, Sequence
from math import log

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from fcnkit.engines.torch.layers.site import Run, Site, Tensors


def each(function: Callable[[Tensor], Tensor]) -> Run:
    """The function of the first bottom."""
    return lambda bottoms, blobs: [function(bottoms[0])]


def relu(site: Site) -> Run:
    """x above 0, negative_slope x elsewhere; at most 6 where a fork's relu6 says so."""
    slope = site.param("relu_param").get("negative_slope")
    above = each(lambda x: F.leaky_relu(x, slope)) if slope else each(F.relu)
    return each(lambda x: F.leaky_relu(x, slope).clamp(max=6)) if _to_six(site) else above


def _to_six(site: Site) -> bool:
    param = site.param("relu_param")
    return param.says("relu6") and bool(param.get("relu6"))


def relu_over(site: Site) -> Run:
    """As `relu`, in the memory of its bottom."""
    slope = site.param("relu_param").get("negative_slope")
    if _to_six(site):
        return relu(site)
    return each(lambda x: F.leaky_relu_(x, slope) if slope else F.relu_(x))


def elu(site: Site) -> Run:
    """x above 0, alpha (e^x - 1) elsewhere."""
    alpha = site.param("elu_param").get("alpha")
    return each(lambda x: F.elu(x, alpha))


def sigmoid(site: Site) -> Run:
    """1 / (1 + e^-x)."""
    return each(torch.sigmoid)


def tanh(site: Site) -> Run:
    """The hyperbolic tangent."""
    return each(torch.tanh)


def swish(site: Site) -> Run:
    """x / (1 + e^(-beta x))."""
    beta = site.param("swish_param").get("beta")
    return each(lambda x: x * torch.sigmoid(beta * x))


def clip(site: Site) -> Run:
    """x between min and max; on either bound Caffe passes the gradient on.

    What clamp does there is another thing from one release of PyTorch to the next.
    """
    low, high = (site.param("clip_param").get(name) for name in ("min", "max"))
    return each(lambda x: torch.where((x < low) | (x > high), x.detach().clamp(low, high), x))


def absolute(site: Site) -> Run:
    """|x|."""
    return each(torch.abs)


def bnll(site: Site) -> Run:
    """log(1 + e^x)."""
    return each(lambda x: torch.logaddexp(x, torch.zeros_like(x)))


def power(site: Site) -> Run:
    """(shift + scale x)^power."""
    param = site.param("power_param")
    exponent, scale, shift = (param.get(name) for name in ("power", "scale", "shift"))
    if exponent == 0 or scale == 0:  # a constant, and Caffe has no gradient of it
        return each(lambda x: torch.full_like(x, 1.0 if exponent == 0 else shift**exponent))

    def function(x: Tensor) -> Tensor:
        x = x * scale if scale != 1 else x
        x = x + shift if shift else x
        return x if exponent == 1 else x**exponent

    return each(function)


def exp(site: Site) -> Run:
    """base^(shift + scale x); base -1 stands for e."""
    base, scale, shift = _logarithmic(site, "exp_param")
    return each(lambda x: torch.exp((x * scale + shift) * base))


def logarithm(site: Site) -> Run:
    """The logarithm of shift + scale x to base; base -1 stands for e."""
    base, scale, shift = _logarithmic(site, "log_param")
    return each(lambda x: torch.log(x * scale + shift) / base)


def _logarithmic(site: Site, message: str) -> tuple[float, float, float]:
    """The natural logarithm of the base, scale and shift."""
    param = site.param(message)
    base, scale, shift = (param.get(name) for name in ("base", "scale", "shift"))
    if base != -1 and base <= 0:
        raise site.error(f"base {base} is not above 0; give one that is, or -1 for e")
    return 1.0 if base == -1 else log(base), scale, shift


def threshold(site: Site) -> Run:
    """1 above the threshold, 0 elsewhere."""
    limit = site.param("threshold_param").get("threshold")
    return each(lambda x: (x > limit).to(x.dtype))


def dropout(site: Site) -> Run:
    """In training each value is 0 with probability dropout_ratio,
    and otherwise divided by 1 - that.
    """
    ratio = site.param("dropout_param").get("dropout_ratio")
    return each(lambda x: F.dropout(x, ratio)) if site.training else each(lambda x: x)


def eltwise(site: Site) -> Run:
    """The weighted sum, the product or the largest of the bottoms at each place."""
    param = site.param("eltwise_param")
    coefficients = param.list("coeff") or [1.0] * len(site.shapes)
    operation = param.get("operation")
    if operation == "SUM":
        return lambda bottoms, blobs: [_sum(bottoms, coefficients)]
    if operation not in _ELTWISE:
        raise site.error(f"it has no operation {operation}; use SUM, {', '.join(_ELTWISE)}")
    return lambda bottoms, blobs: [_ELTWISE[operation](bottoms)]


def _sum(bottoms: Tensors, coefficients: Sequence[float]) -> Tensor:
    parts = (
        x if coefficient == 1 else x * coefficient
        for x, coefficient in zip(bottoms, coefficients, strict=True)
    )
    total = next(parts)
    for part in parts:
        total = total + part
    return total


def _product(bottoms: Tensors) -> Tensor:
    total = bottoms[0]
    for x in bottoms[1:]:
        total = total * x
    return total


def _largest(bottoms: Tensors) -> Tensor:
    """Of equal values Caffe takes the second bottom's over the first's, and else the earlier one's.

    That decides which of them gets the gradient.
    """
    first, second, *others = bottoms
    largest = torch.where(first > second, first, second)
    for x in others:
        largest = torch.where(x > largest, x, largest)
    return largest


_ELTWISE = {"PROD": _product, "MAX": _largest}
