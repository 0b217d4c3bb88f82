"""One value from one value: each operator a layer, or a few."""

from collections.abc import Callable
from math import inf, sqrt

from fcnkit.importing.held import Held
from fcnkit.importing.site import Refusal, Site, number

Pointwise = Callable[[Site, Held], Held]


def each(function: Pointwise) -> Callable[[Site], Held]:
    """An operator of one value: its layer works on the blob, however the tensor lies in it."""

    def made(site: Site) -> Held:
        x = site.x()
        result = function(site, Held(x.blob, x.sizes))
        return Held(result.blob, result.sizes, x.moves)

    return made


def layer(kind: str, *, inplace: bool = False) -> Pointwise:
    """A layer without fields; `inplace` where its gradient does not need its bottom."""
    return lambda site, x: site.add(kind, [x], inplace=inplace)


def relu(site: Site, x: Held, part: str = "") -> Held:
    """The value, or 0 where it is less."""
    return site.add("ReLU", [x], part=part, inplace=True)


def leaky_relu(site: Site, x: Held) -> Held:
    """LeakyRelu."""
    slope = number(site.given("alpha", 0.01))
    return site.add("ReLU", [x], [("relu_param", [("negative_slope", slope)])], inplace=True)


def elu(site: Site, x: Held) -> Held:
    """Elu."""
    return _elu(site, x, site.given("alpha", 1.0))


def _elu(site: Site, x: Held, alpha: float, part: str = "") -> Held:
    fields = [("elu_param", [("alpha", number(alpha))])] if alpha != 1 else ()
    return site.add("ELU", [x], fields, part=part, inplace=True)


def selu(site: Site, x: Held) -> Held:
    """Selu: an ELU times gamma."""
    alpha = site.given("alpha", 1.67326319217681884765625)
    gamma = site.given("gamma", 1.05070102214813232421875)
    return site.power(_elu(site, x, alpha, "elu"), scale=gamma)


def celu(site: Site, x: Held) -> Held:
    """Celu: alpha ELU(x / alpha)."""
    alpha = site.given("alpha", 1.0)
    inner = site.power(x, scale=1 / alpha, part="scaled")
    return site.power(_elu(site, inner, 1, "elu"), scale=alpha, part="back")


def thresholded(site: Site, x: Held) -> Held:
    """ThresholdedRelu: the value where it is more than alpha."""
    alpha = number(site.given("alpha", 1.0))
    fields = [("threshold_param", [("threshold", alpha)])] if alpha else ()
    return site.eltwise("PROD", x, site.add("Threshold", [x], fields, part="threshold"))


def softsign(site: Site, x: Held) -> Held:
    """x / (1 + |x|)."""
    size = site.power(site.add("AbsVal", [x], part="abs"), shift=1, power=-1, part="inverse")
    return site.eltwise("PROD", x, size)


def softplus(site: Site, x: Held) -> Held:
    """log(1 + exp(x))."""
    return site.add("BNLL", [x])


def mish(site: Site, x: Held) -> Held:
    """x tanh(log(1 + exp(x)))."""
    inner = site.add("BNLL", [x], part="softplus")
    return site.eltwise("PROD", x, site.add("TanH", [inner], part="tanh"))


def gelu(site: Site, x: Held) -> Held:
    """0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), or x times the normal distribution."""
    if site.given("approximate", "none") != "tanh":
        return _gelu_by_erf(site, x)
    cube = site.power(x, power=3, part="cube")
    inner = site.eltwise(
        "SUM", x, cube, coeff=(0.7978845608028654, 0.7978845608028654 * 0.044715), part="sum"
    )
    half = site.power(
        site.add("TanH", [inner], part="tanh", inplace=True), scale=0.5, shift=0.5, part="half"
    )
    return site.eltwise("PROD", x, half)


def _gelu_by_erf(site: Site, x: Held) -> Held:
    """0.5 x (1 + erf(x / sqrt(2))), as relu(x) - 0.5 |x| (1 - erf(|x| / sqrt(2)))."""
    site.say("erf of eleven layers", "Caffe has none; this approximation is exact to 1.5e-7")
    size = site.add("AbsVal", [x], part="abs")
    below = site.eltwise("PROD", size, *_erfc(site, size, sqrt(0.5)), part="below")
    return site.eltwise("SUM", relu(site, x, "relu"), below, coeff=(1, -0.5))


def erf(site: Site, x: Held) -> Held:
    """erf(x) as sign(x) (1 - (1 - erf(|x|)))."""
    site.say("erf of fifteen layers", "Caffe has none; this approximation is exact to 1.5e-7")
    size = site.add("AbsVal", [x], part="abs")
    rest = site.eltwise("PROD", *_erfc(site, size, 1), part="rest")
    # x / (|x| + tiny) is the sign of all numbers that a net tells from 0, and has a gradient.
    inverse = site.power(size, shift=1e-12, power=-1, part="inverse")
    return site.eltwise("PROD", x, inverse, site.power(rest, scale=-1, shift=1, part="size"))


# Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: with t = 1 / (1 + p a),
# 1 - erf(a) = (a1 t + a2 t^2 + ... + a5 t^5) exp(-a^2) + e, and |e| < 1.5e-7.
_P = 0.3275911
_A = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)


def _erfc(site: Site, size: Held, scale: float) -> tuple[Held, Held, Held]:
    """Three factors of 1 - erf(scale a), of the blob of a, which is not negative."""
    t = site.power(size, scale=_P * scale, shift=1, power=-1, part="t")
    *rest, before, last = _A
    sum_ = site.power(t, scale=last, shift=before, part="sum4")
    for at, summand in reversed(list(enumerate(rest, 1))):
        product = site.eltwise("PROD", sum_, t, part=f"product{at}")
        sum_ = site.power(product, shift=summand, part=f"sum{at}")
    square = site.power(size, power=2, part="square")
    fields = [("exp_param", [("scale", number(-(scale**2)))])]
    return sum_, t, site.add("Exp", [square], fields, part="exp")


def swish(site: Site, x: Held) -> Held:
    """x sigmoid(alpha x)."""
    scaled = site.power(x, scale=site.given("alpha", 1.0), part="scaled")
    return site.eltwise("PROD", x, site.add("Sigmoid", [scaled], part="sigmoid"))


def hard_sigmoid(site: Site, x: Held, part: str = "") -> Held:
    """alpha x + beta, kept within 0 and 1."""
    alpha, beta = site.given("alpha", 0.2), site.given("beta", 0.5)
    return bounded(site, site.power(x, scale=alpha, shift=beta, part="line"), 0, 1)


def hard_swish(site: Site, x: Held) -> Held:
    """x times x / 6 + 1 / 2, which is kept within 0 and 1."""
    line = site.power(x, scale=1 / 6, shift=0.5, part="line")
    return site.eltwise("PROD", x, bounded(site, line, 0, 1, "gate"))


def clip(site: Site, x: Held) -> Held:
    """Clip: the value, kept within two bounds."""
    low = site.argument("min", 1, -inf)
    high = site.argument("max", 2, inf)
    return bounded(site, x, float(low), float(high))


def bounded(site: Site, x: Held, low: float, high: float, part: str = "") -> Held:
    """The value, or the nearer of two bounds beyond them, of which one may be infinite."""
    low = -inf if low <= -3.4028e38 else low
    high = inf if high >= 3.4028e38 else high
    if low > high:
        raise Refusal(f"its bounds {low:g} and {high:g} exclude every value")
    if low == -inf and high == inf:
        return x
    if high == inf:
        return _at_least(site, x, low, part)
    if low == -inf:
        # min(x, h) = -max(-x, -h)
        inner = _at_least(site, site.power(x, scale=-1, part="minus"), -high, "least")
        return site.power(inner, scale=-1, part=part)
    if site.has("Clip"):
        bounds = [("min", number(low)), ("max", number(high))]
        return site.add("Clip", [x], [("clip_param", bounds)], part=part)
    # h - relu(h - l - relu(x - l)): what is beyond a bound is exactly that bound.
    above = relu(site, site.power(x, shift=-low, part="above"), "above_relu")
    below = site.power(above, scale=-1, shift=high - low, part="below")
    return site.power(relu(site, below, "below_relu"), scale=-1, shift=high, part=part)


def _at_least(site: Site, x: Held, low: float, part: str = "") -> Held:
    if low == 0:
        return relu(site, x, part)
    above = relu(site, site.power(x, shift=-low, part="above"), "above_relu")
    return site.power(above, shift=low, part=part)


def powered(power: float = 1, scale: float = 1) -> Pointwise:
    """A Power layer: (scale x) to the power."""
    return lambda site, x: site.power(x, power=power, scale=scale)


def same(site: Site) -> Held:
    """Identity: no layer."""
    return site.x()


def dropout(site: Site) -> Held:
    """Dropout of a model that is used, not trained: no layer."""
    if site.argument("training_mode", 2, False):
        raise Refusal("it drops values at random (training_mode); export the model in eval mode")
    return site.x()


# Whole numbers that stay what they are: bytes of images, and what an ArgMax gives.
_WIDER = frozenset(
    [(old, new) for old in ("bool", "uint8", "int8") for new in ("int32", "int64")]
    + [("int32", "int64"), ("int64", "int32")]
)


def cast(site: Site) -> Held:
    """Cast to real numbers, or from whole ones to as many or more: no layer."""
    types = site.trials[0].types
    old, new = types[site.input(0)], types[site.out]
    if new not in ("float32", "float64") and not (old == new or (old, new) in _WIDER):
        raise Refusal(f"it casts {old} to {new}, which no layer does")
    return site.x()


def pow_(site: Site) -> Held:
    """Pow with a constant exponent."""
    exponent = site.constant(1)
    if exponent is None or len(set(exponent.read().ravel().tolist())) != 1:
        raise Refusal("its exponent is not one constant number")
    power = float(exponent.read().ravel()[0])
    return each(powered(power))(site)
