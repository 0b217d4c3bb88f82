"""One value from one value, and values of several tensors or constants by sum, product, largest."""

from collections.abc import Callable, Sequence
from math import inf
from typing import Any

from fcnkit.importing.held import Held
from fcnkit.importing.model import Constant
from fcnkit.importing.settle import plain, settled
from fcnkit.importing.site import MASTER, Refusal, Site, number
from fcnkit.importing.windows import stored
from fcnkit.shape import Shape

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
    """0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))); the form with erf is refused."""
    if site.given("approximate", "none") != "tanh":
        raise Refusal("it is computed by erf, which no layer has; use GELU(approximate='tanh')")
    cube = site.power(x, power=3, part="cube")
    inner = site.eltwise(
        "SUM", x, cube, coeff=(0.7978845608028654, 0.7978845608028654 * 0.044715), part="sum"
    )
    half = site.power(
        site.add("TanH", [inner], part="tanh", inplace=True), scale=0.5, shift=0.5, part="half"
    )
    return site.eltwise("PROD", x, half)


def swish(site: Site, x: Held) -> Held:
    """x sigmoid(alpha x)."""
    scaled = site.power(x, scale=site.given("alpha", 1.0), part="scaled")
    return site.eltwise("PROD", x, site.add("Sigmoid", [scaled], part="sigmoid"))


def hard_sigmoid(site: Site, x: Held, part: str = "") -> Held:
    """alpha x + beta, kept within 0 and 1."""
    alpha, beta = site.given("alpha", 0.2), site.given("beta", 0.5)
    return _bounded(site, site.power(x, scale=alpha, shift=beta, part="line"), 0, 1)


def hard_swish(site: Site, x: Held) -> Held:
    """x times x / 6 + 1 / 2, which is kept within 0 and 1."""
    line = site.power(x, scale=1 / 6, shift=0.5, part="line")
    return site.eltwise("PROD", x, _bounded(site, line, 0, 1, "gate"))


def clip(site: Site, x: Held) -> Held:
    """Clip: the value, kept within two bounds."""
    low = site.argument("min", 1, -inf)
    high = site.argument("max", 2, inf)
    return _bounded(site, x, float(low), float(high))


def _bounded(site: Site, x: Held, low: float, high: float, part: str = "") -> Held:
    low = -inf if low <= -3.4028e38 else low
    high = inf if high >= 3.4028e38 else high
    if low > high:
        raise Refusal(f"its bounds {low:g} and {high:g} let no value through")
    if low == -inf and high == inf:
        return x
    if high == inf:
        return _at_least(site, x, low, part)
    if low == -inf:
        # min(x, h) = -max(-x, -h)
        inner = _at_least(site, site.power(x, scale=-1, part="minus"), -high, "least")
        return site.power(inner, scale=-1, part=part)
    if site.caffe == MASTER:
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
    """Identity, Dropout and the like: no layer."""
    return site.x()


def cast(site: Site) -> Held:
    """Cast from one kind of real number to another: no layer."""
    trial = site.trials[0]
    kinds = {trial.types[site.input(0)], trial.types[site.out]}
    if not kinds <= {"float32", "float64"}:
        raise Refusal(f"it makes {trial.types[site.out]} of {trial.types[site.input(0)]}")
    return site.x()


def pow_(site: Site) -> Held:
    """Pow with a constant exponent."""
    exponent = site.constant(1)
    if exponent is None or len(set(exponent.read().ravel().tolist())) != 1:
        raise Refusal("its exponent is not one constant number")
    power = float(exponent.read().ravel()[0])
    return each(powered(power))(site)


# ---- several tensors, or a tensor and a constant


def add(site: Site) -> Held:
    """Add."""
    return _sum(site, (1, 1))


def sub(site: Site) -> Held:
    """Sub."""
    return _sum(site, (1, -1))


def _sum(site: Site, signs: tuple[int, int]) -> Held:
    fixed = [site.constant(at) for at in (0, 1)]
    if all(each is None for each in fixed):
        if all(site.shapes(site.input(at)) == site.shapes(site.out) for at in (0, 1)):
            return _alike(site, "SUM", signs)
        return _broadcast(site, "SUM", signs)
    at = 0 if fixed[0] is None else 1
    values = fixed[1 - at]
    assert values is not None
    x = site.x(at)
    sign, other = signs[at], signs[1 - at]
    one = _one_number(values)
    if one is not None and _keeps_shape(site, at):
        moved = site.power(Held(x.blob, x.sizes), scale=sign, shift=other * one)
        return Held(moved.blob, moved.sizes, x.moves)
    x = site.power(plain(site, at), scale=sign, part="minus")
    return _by_constant(site, "Bias", x, values, other)


def mul(site: Site) -> Held:
    """Mul."""
    return _product(site, 1)


def div(site: Site) -> Held:
    """Div: times the other to the power of -1."""
    return _product(site, -1)


def _product(site: Site, power: int) -> Held:
    fixed = [site.constant(at) for at in (0, 1)]
    if all(each is None for each in fixed):
        if all(site.shapes(site.input(at)) == site.shapes(site.out) for at in (0, 1)):
            return _alike(site, "PROD", (1, power))
        return _broadcast(site, "PROD", (1, power))
    at = 0 if fixed[0] is None else 1
    values = fixed[1 - at]
    assert values is not None
    x = site.x(at)
    if power == -1 and at == 1:  # a constant divided by x
        inner = site.power(Held(x.blob, x.sizes), power=-1, part="inverse")
        x = Held(inner.blob, inner.sizes, x.moves)
        power = 1
    one = _one_number(values)
    if one is not None and _keeps_shape(site, at):
        made = site.power(Held(x.blob, x.sizes), scale=one**power)
        return Held(made.blob, made.sizes, x.moves)
    return _by_constant(site, "Scale", settled(site, x), values, power)


def _one_number(values: Constant) -> float | None:
    array = values.read().ravel() if _count(values.shape) <= 4096 else None
    if array is None or not len(array) or (array != array[0]).any():
        return None
    return float(array[0])


def _count(shape: Shape) -> int:
    from math import prod

    return prod(shape)


def _keeps_shape(site: Site, at: int) -> bool:
    return site.shapes(site.input(at)) == site.shapes(site.out)


def _by_constant(site: Site, kind: str, x: Held, values: Constant, power: int) -> Held:
    """A Scale or a Bias with the constant in its weights, along the axes that it differs on."""
    if not all(sizes == made for sizes, made in zip(x.sizes, site.shapes(site.out), strict=True)):
        raise Refusal("the constant has more places than the blob; its values would be repeated")
    axes = len(x.sizes[0])
    shape = (1,) * (axes - len(values.shape)) + values.shape
    wide = [axis for axis, size in enumerate(shape) if size != 1]
    if not wide:
        wide = [axes - 1]
    first, last = wide[0], wide[-1]
    inner = [site.dims(site.out)[axis] for axis in range(first, last + 1)]
    if None in inner or first == 0:
        raise Refusal("the constant goes along an axis whose size is free; fix it with --input")
    sizes = tuple(size for size in inner if size is not None)

    def array() -> Any:
        import numpy as np

        found = values.read().reshape(shape[first : last + 1])
        found = np.broadcast_to(found, sizes).astype(np.float32)
        return (found * power if kind == "Bias" else found if power == 1 else 1 / found).ravel()

    message = f"{kind.lower()}_param"
    fields: list[tuple[str, object]] = [] if first == 1 else [("axis", first)]
    fields += [] if len(sizes) == 1 else [("num_axes", len(sizes))]
    blob = stored(values) if values.shape == sizes and power == 1 else _lazy(sizes, array)
    return site.add(kind, [x], [(message, fields)] if fields else (), blobs=[blob], inplace=True)


def _lazy(shape: Shape, array: Callable[[], Any]) -> Any:
    from fcnkit.weights.blobs import Lazy

    return Lazy(shape, lambda: [array()])


def _alike(site: Site, how: str, words: tuple[int, int]) -> Held:
    """Two tensors of one shape."""
    left, right = site.x(0), site.x(1)
    if left.moves != right.moves or left.sizes != right.sizes:
        left, right = plain(site, 0), plain(site, 1)
    a, b = Held(left.blob, left.sizes), Held(right.blob, right.sizes)
    if how == "SUM":
        made = site.eltwise("SUM", a, b, coeff=() if words == (1, 1) else words)
    else:
        b = site.power(b, power=words[1], part="inverse")
        made = site.eltwise("PROD", a, b)
    return Held(made.blob, made.sizes, left.moves)


def _broadcast(site: Site, how: str, words: tuple[int, int]) -> Held:
    """A tensor and one that is repeated along some of its axes."""
    wanted = site.shapes(site.out)
    large = next((at for at in (0, 1) if site.shapes(site.input(at)) == wanted), None)
    if large is None:
        a, b = (_tiled(site, plain(site, at), wanted) for at in (0, 1))
        return _combined(site, how, words, a, b)
    whole, part = plain(site, large), plain(site, 1 - large)
    if how == "SUM":
        part = site.power(part, scale=words[1 - large], part="minus")
        whole = site.power(whole, scale=words[large], part="minus_whole")
    elif words[1] == -1:
        part, whole = (
            (site.power(part, power=-1, part="inverse"), whole)
            if large == 0
            else (part, site.power(whole, power=-1, part="inverse"))
        )
    if _per_channel(part, whole):
        # Scale and Bias with two bottoms repeat a factor over the axes that follow it.
        flat = [sizes[:2] for sizes in part.sizes]
        if flat != list(part.sizes):
            part = site.add("Flatten", [part], shapes=flat, part="flat")
        kind, message = ("Bias", "bias_param") if how == "SUM" else ("Scale", "scale_param")
        return site.add(kind, [whole, part], [(message, [("axis", 0)])])
    return _combined(site, how, (1, 1), whole, _tiled(site, part, wanted))


def _combined(site: Site, how: str, words: tuple[int, int], a: Held, b: Held) -> Held:
    if how == "SUM":
        return site.eltwise("SUM", a, b, coeff=() if words == (1, 1) else words)
    return site.eltwise("PROD", a, site.power(b, power=words[1], part="inverse"))


def _per_channel(part: Held, whole: Held) -> bool:
    """N x C x 1 x 1 beside N x C x H x W."""
    return len(whole.sizes[0]) > 2 and all(
        its == (*sizes[:2], *(1,) * (len(sizes) - 2))
        for its, sizes in zip(part.sizes, whole.sizes, strict=True)
    )


def _tiled(site: Site, part: Held, wanted: Sequence[Shape]) -> Held:
    """The blob repeated along every axis on which it has one point."""
    axes = len(wanted[0])
    if len(part.sizes[0]) != axes:
        raise Refusal("its tensors have different numbers of axes; reshape the smaller one")
    for axis in range(axes):
        pairs = list(zip(part.sizes, wanted, strict=True))
        if all(sizes[axis] == made[axis] for sizes, made in pairs):
            continue
        counts = {made[axis] for _, made in pairs}
        if len(counts) > 1 or any(sizes[axis] != 1 for sizes, _ in pairs):
            raise Refusal(
                f"a value is repeated along axis {axis}, whose size follows the input's; "
                "fix it with --input"
            )
        count = counts.pop()
        shapes = [(*sizes[:axis], count, *sizes[axis + 1 :]) for sizes in part.sizes]
        part = site.add(
            "Tile",
            [part],
            [("tile_param", [("axis", axis), ("tiles", count)])],
            shapes=shapes,
            part=f"tile{axis}",
        )
    return part


def many(how: str, sign: int = 1, share: bool = False) -> Callable[[Site], Held]:
    """Sum, Mean, Max or Min of any number of tensors."""

    def made(site: Site) -> Held:
        count = len(site.node.input)
        if count == 1:
            return site.x()
        if any(site.constant(at) is not None for at in range(count)):
            if count == 2 and how == "MAX":
                return _bound(site, sign)
            if count == 2 and not share:
                return add(site)
            raise Refusal("one of its inputs is a constant; add it before by an Add")
        wanted = site.shapes(site.out)
        parts = [_tiled(site, plain(site, at), wanted) for at in range(count)]
        if sign == -1:
            parts = [site.power(part, scale=-1, part=f"minus{at}") for at, part in enumerate(parts)]
        coeff = [1 / count] * count if share else ()
        made = site.eltwise(how, *parts, coeff=coeff, part="least" if sign == -1 else "")
        return site.power(made, scale=-1) if sign == -1 else made

    return made


def _bound(site: Site, sign: int) -> Held:
    """Max or Min with a constant number."""
    at = 0 if site.constant(0) is None else 1
    values = site.constant(1 - at)
    one = _one_number(values) if values else None
    if one is None or not _keeps_shape(site, at):
        raise Refusal("its constant is not one number")
    x = site.x(at)
    low, high = (one, inf) if sign == 1 else (-inf, one)
    made = _bounded(site, Held(x.blob, x.sizes), low, high)
    return Held(made.blob, made.sizes, x.moves)
