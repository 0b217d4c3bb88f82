"""Layers that make one value of one value: their shapes, their bounds, what they make of zero."""

from math import inf

from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.axes import same
from fcnkit.nets.layers.traits import like
from fcnkit.plural import number_of
from fcnkit.shape import Shape

Bounds = tuple[float, float]


def like_elsewhere(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The top has the bottom's shape, and may not be the bottom."""
    if layer.tops[0].blob == layer.bottoms[0].blob:
        raise layer.error(f"{layer.type} cannot work in place; give its top another name")
    return like(layer, bottoms)


# ---- bounds


def unit_bounds(layer: Layer) -> Bounds:
    """0 to 1."""
    return 0, 1


def sign_bounds(layer: Layer) -> Bounds:
    """-1 to 1."""
    return -1, 1


def positive_bounds(layer: Layer) -> Bounds:
    """0 and more."""
    return 0, inf


def relu_bounds(layer: Layer) -> Bounds:
    """0 and more, unless negative_slope lets negative values through; a fork's relu6 ends at 6."""
    param = layer.param("relu_param")
    most = 6 if param.says("relu6") and param.get("relu6") else inf
    return -inf if param.get("negative_slope") else 0, most


def elu_bounds(layer: Layer) -> Bounds:
    """-alpha and more."""
    return -layer.param("elu_param").get("alpha"), inf


def relu6_bounds(layer: Layer) -> Bounds:
    """0 to 6."""
    return 0, 6


def clip_bounds(layer: Layer) -> Bounds:
    """min to max."""
    param = layer.param("clip_param")
    return param.get("min"), param.get("max")


def power_bounds(layer: Layer) -> Bounds:
    """One number where nothing is left of x; 0 and more for an even power; else any number."""
    param = layer.param("power_param")
    power, scale, shift = (param.get(name) for name in ("power", "scale", "shift"))
    if power and scale:
        return (0 if power % 2 == 0 else -inf), inf
    try:
        value = pow(shift, power) if power else 1.0
    except (ZeroDivisionError, OverflowError):
        return -inf, inf
    return (-inf, inf) if isinstance(value, complex) else (value, value)


# ---- what becomes of zero


def clip_of_zero(layer: Layer) -> bool:
    """Zero stays where min and max are around it."""
    low, high = clip_bounds(layer)
    return low <= 0 <= high


def threshold_of_zero(layer: Layer) -> bool:
    """Zero stays unless the threshold is below it."""
    return layer.param("threshold_param").get("threshold") >= 0


def power_of_zero(layer: Layer) -> bool:
    """(shift + scale x)^power: zero stays where there is no shift, and a power above 0."""
    param = layer.param("power_param")
    return param.get("shift") == 0 and param.get("power") > 0


def log_of_zero(layer: Layer) -> bool:
    """log(shift + scale x) is zero where the shift is 1."""
    return layer.param("log_param").get("shift") == 1


def takes_largest(layer: Layer) -> bool:
    """Of several bottoms the largest number is taken."""
    return layer.param("eltwise_param").get("operation") == "MAX"


def eltwise(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The shape that all bottoms share."""
    same(layer, bottoms)
    param = layer.param("eltwise_param")
    coeff = param.list("coeff")
    if coeff and (len(coeff) != len(bottoms) or param.get("operation") == "PROD"):
        raise layer.error(
            f"{len(coeff)} coeff for {number_of(len(bottoms), 'bottom')}; give one each, and "
            "none for PROD"
        )
    return [bottoms[0]]


def eltwise_order(layer: Layer, ndim: int) -> tuple[float, ...]:
    """Its factors, where they differ: a sum without them is the same in every order."""
    coeff = layer.param("eltwise_param").list("coeff")
    return tuple(coeff) if len(set(coeff)) > 1 else ()


def eltwise_unweighed(layer: Layer) -> tuple[int, ...]:
    """The bottoms with the factor 0 in a sum; a maximum heeds no factors."""
    param = layer.param("eltwise_param")
    factors = param.list("coeff") if param.get("operation") == "SUM" else []
    return tuple(index for index, factor in enumerate(factors) if not factor)
