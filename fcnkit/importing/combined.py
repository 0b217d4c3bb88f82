"""Values of several tensors, or of a tensor and a constant: sum, product, largest."""

from collections.abc import Callable, Sequence
from math import inf, prod
from typing import Any

from fcnkit.importing.held import Held
from fcnkit.importing.model import Constant
from fcnkit.importing.pointwise import bounded
from fcnkit.importing.settle import plain, settled
from fcnkit.importing.site import Refusal, Site
from fcnkit.importing.windows import stored
from fcnkit.shape import Shape
from fcnkit.weights.blobs import Lazy


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
    values = site.known(1 - at)
    x = site.x(at)
    sign, other = signs[at], signs[1 - at]
    one = _one_number(values)
    if one is not None and _keeps_shape(site, at):
        moved = site.power(Held(x.blob, x.sizes), scale=sign, shift=other * one)
        return Held(moved.blob, moved.sizes, x.moves)
    x = _ordered(site, x)
    moved = site.power(Held(x.blob, x.sizes), scale=sign, part="minus")
    return by_constant(site, "Bias", Held(moved.blob, moved.sizes, x.moves), values, other)


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
    values = site.known(1 - at)
    x = site.x(at)
    if power == -1 and at == 1:  # a constant divided by x
        inner = site.power(Held(x.blob, x.sizes), power=-1, part="inverse")
        x = Held(inner.blob, inner.sizes, x.moves)
        power = 1
    one = _one_number(values)
    if one is not None and _keeps_shape(site, at):
        made = site.power(Held(x.blob, x.sizes), scale=one**power)
        return Held(made.blob, made.sizes, x.moves)
    return by_constant(site, "Scale", _ordered(site, x), values, power)


def _ordered(site: Site, x: Held) -> Held:
    """A blob that has the tensor's axes, in whichever order."""
    return settled(site, x) if x.transposition is None else x


def _one_number(values: Constant) -> float | None:
    array = values.read().ravel() if prod(values.shape) <= 4096 else None
    if array is None or not len(array) or (array != array[0]).any():
        return None
    return float(array[0])


def _keeps_shape(site: Site, at: int) -> bool:
    return site.shapes(site.input(at)) == site.shapes(site.out)


def by_constant(
    site: Site, kind: str, x: Held, values: Constant, power: int, part: str = ""
) -> Held:
    """A Scale or a Bias with the constant in its weights, along the axes that it differs on."""
    axes, made = len(x.sizes[0]), site.shapes(site.out)
    # Where each axis of the blob is in the tensor.
    order = x.transposition or ()
    places = [order.index(axis) for axis in range(axes)]
    if [tuple(shape[place] for place in places) for shape in made] != [*x.sizes]:
        raise Refusal("the constant is larger than the blob, whose values would be repeated")
    whole = (1,) * (axes - len(values.shape)) + values.shape
    shape = tuple(whole[place] for place in places)
    wide = [axis for axis, size in enumerate(shape) if size != 1] or [axes - 1]
    first, last = wide[0], wide[-1]
    inner = [site.dims(site.out)[places[axis]] for axis in range(first, last + 1)]
    if first == 0:
        raise Refusal("its constant differs from image to image of the batch")
    if None in inner:
        raise Refusal("the constant lies along an axis of free size; fix the size with --input")
    sizes = tuple(size for size in inner if size is not None)

    def array() -> Any:
        import numpy as np

        found = values.read().reshape(whole).transpose(places).reshape(shape[first : last + 1])
        found = np.broadcast_to(found, sizes).astype(np.float32)
        return (found * power if kind == "Bias" else found if power == 1 else 1 / found).ravel()

    message = f"{kind.lower()}_param"
    fields: list[tuple[str, object]] = [] if first == 1 else [("axis", first)]
    fields += [] if len(sizes) == 1 else [("num_axes", len(sizes))]
    as_it_lies = power == 1 and values.shape == sizes and (len(sizes) == 1 or not x.moves)
    blob = stored(values) if as_it_lies else Lazy(sizes, lambda: [array()])
    params = [(message, fields)] if fields else ()
    bottom = Held(x.blob, x.sizes)
    result = site.add(kind, [bottom], params, blobs=[blob], part=part, inplace=True)
    return Held(result.blob, result.sizes, x.moves)


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
        a, b = (tiled(site, plain(site, at), wanted) for at in (0, 1))
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
    return _combined(site, how, (1, 1), whole, tiled(site, part, wanted))


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


def tiled(site: Site, part: Held, wanted: Sequence[Shape]) -> Held:
    """The blob repeated along every axis on which it has one point."""
    axes = len(wanted[0])
    if len(part.sizes[0]) != axes:
        raise Refusal("its tensors have different numbers of axes; reshape the smaller one")
    for axis in range(axes):
        pairs = list(zip(part.sizes, wanted, strict=True))
        if all(sizes[axis] == made[axis] for sizes, made in pairs):
            continue
        counts = {made[axis] for _, made in pairs}
        if len(counts) > 1 and (spread := _spread(site, part, wanted)) is not None:
            return spread
        if len(counts) > 1 or any(sizes[axis] != 1 for sizes, _ in pairs):
            raise Refusal(
                f"a value is repeated along axis {axis}, whose size depends on the input; fix "
                "the size with --input"
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


def _spread(site: Site, part: Held, wanted: Sequence[Shape]) -> Held | None:
    """N x C x 1 x 1 over maps whose size follows the input's, where another blob has that size.

    A Convolution of zeros with a bias of one makes ones of that blob, which are scaled.
    """
    channels = wanted[0][1]
    alike = [
        held
        for held in site.held.values()
        if not held.moves
        and all(
            len(sizes) == len(made) == 4 and (sizes[0], *sizes[2:]) == (made[0], *made[2:])
            for sizes, made in zip(held.sizes, wanted, strict=True)
        )
    ]
    if not alike or any(
        its != (*made[:2], 1, 1) for its, made in zip(part.sizes, wanted, strict=True)
    ):
        return None
    import numpy as np

    nothing = np.zeros((channels, alike[-1].sizes[0][1], 1, 1), np.float32)
    blobs: list[Any] = [nothing, np.ones(channels, np.float32)]
    fields = [("convolution_param", [("num_output", channels), ("kernel_size", 1)])]
    ones = site.add("Convolution", [alike[-1]], fields, blobs=blobs, shapes=wanted, part="ones")
    flat = site.add("Flatten", [part], shapes=[its[:2] for its in part.sizes], part="flat")
    site.say(f"scaled ones of the size of {alike[-1].blob}", "a value is repeated over a map")
    return site.add("Scale", [ones, flat], [("scale_param", [("axis", 0)])])


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
            raise Refusal("one of its inputs is a constant; add that with a separate Add")
        wanted = site.shapes(site.out)
        parts = [tiled(site, plain(site, at), wanted) for at in range(count)]
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
    made = bounded(site, Held(x.blob, x.sizes), low, high)
    return Held(made.blob, made.sizes, x.moves)
