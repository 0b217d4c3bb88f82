"""What the new net of a plan wants of an image, where it is known what the old one wants."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from fcnkit.errors import NetError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of
from fcnkit.plan import ImageBefore, Plan
from fcnkit.preprocessing import BGR, GRAY, RGB, STORED, Preprocessing, beside, order_for

# Channel numbers of BGR as RGB and back; a fourth is alpha.
_SWAPPED = {(2, 1, 0), (2, 1, 0, 3)}
_OTHER = {BGR: RGB, RGB: BGR}
# A mean that is taken off twice, once in the net, leaves this much of rounding.
_ROUNDING = 1e-9


def of(net: Prototxt) -> Preprocessing | None:
    """What a net wants of an image, by the file beside it and the plans that changed it since;
    None where nothing says it.
    """
    return beside(net) if net.plan is None else wanted(of(net.plan.before), net.plan)


def wanted(known: Preprocessing | None, plan: Plan) -> Preprocessing | None:
    """The images that the plan's new net wants and its classes' names; None where nothing says it.

    `known` is what the old net wants, None where nothing says that.  A net that a mean was put
    into takes nothing off its images, whoever said the mean.
    """
    images = [image for image in plan.images if image.rows]
    if len({image.blob for image in images}) > 1:
        return None
    made = known
    if made is None and any(image.shifts for image in images):
        made = _put_in(images)
        images = []
    for image in images:
        made = made and _of_image(made, image)
    return made and _fitting(_named(made, plan), plan)


def _put_in(images: Sequence[ImageBefore]) -> Preprocessing | None:
    """What a net wants whose mean and scale, which no file says, are in the net now."""
    if len(images) > 1:
        return None
    order = order_for(None, len(images[0].rows))
    return Preprocessing(order, ()).with_origin("the net takes it off itself", mean=(), scale=1.0)


def _of_image(known: Preprocessing, image: ImageBefore) -> Preprocessing | None:
    """What is wanted of the image after, where `known` is of the one before."""
    count = len(image.rows)
    if image.more or any(len(row) != 1 for row in image.rows):
        return None
    sources = tuple(row[0][0] for row in image.rows)
    factors = tuple(row[0][1] for row in image.rows)
    if 0 in factors:
        return None
    order = _order(known.order, sources)
    if order is None:
        return None
    scale = _each(known.scale, count)
    shifts = image.shifts or (0.0,) * count
    made = _through(sources, [s / w for s, w in zip(scale, factors, strict=True)])
    if made is None:
        return None
    new = replace(known, order=order, scale=_one(made))
    if known.mean is None:
        return None if any(shifts) else new
    means = [
        _difference(mean, -shift / factor)
        for mean, shift, factor in zip(_each(known.mean, count), shifts, scale, strict=True)
    ]
    less = _through(sources, means)
    return None if less is None else replace(new, mean=less if any(less) else ())


def _order(order: str, sources: tuple[int, ...]) -> str | None:
    """The order of the new image's channels, of which the old one's are those `sources`."""
    if sources == tuple(range(len(sources))):
        return order
    if sources in _SWAPPED:
        return _OTHER.get(order)
    return GRAY if set(sources) == {0} and order != STORED else None


def _through(sources: tuple[int, ...], values: Sequence[float]) -> tuple[float, ...] | None:
    """The new channels' values, where the old ones' are these; None where two differ in one."""
    made = dict(zip(sources, values, strict=True))
    if any(made[source] != value for source, value in zip(sources, values, strict=True)):
        return None
    return tuple(made[source] for source in sorted(made))


def _each(value: float | Sequence[float], count: int) -> tuple[float, ...]:
    values = tuple(value) if isinstance(value, Sequence) else (value,)
    return values * count if len(values) == 1 else values or (0.0,) * count


def _one(values: tuple[float, ...]) -> float | tuple[float, ...]:
    return values[0] if len(set(values)) == 1 else values


def _difference(mean: float, taken: float) -> float:
    """What is left to be taken off, where the net takes off so much itself."""
    left = mean - taken
    return left if abs(left) > _ROUNDING * abs(mean) else 0.0


def _fitting(made: Preprocessing, plan: Plan) -> Preprocessing:
    """With the size that the new net's file says, and without names for another count of scores."""
    if made.size is None and not made.classes:
        return made
    with suppress(NetError):
        graph = build(plan.net)
        shapes = shapes_of(graph).tops
        (image,) = graph.inputs if len(graph.inputs) == 1 else (None,)
        shape = shapes[image] if image else None
        if made.size and shape and len(shape) == 4 and shape[2:] != made.size:
            made = replace(made, size=shape[2:])
        scores = {found[1] for top in graph.outputs if len(found := shapes[top] or ()) > 1}
        if scores and len(made.classes) not in (0, *scores):
            made = replace(made, classes=())
    return made


def _named(made: Preprocessing, plan: Plan) -> Preprocessing:
    """With the names of the classes that are left, of which there are none where one is new."""
    if not plan.scores or not made.classes:
        return made
    chosen = {each.classes for each in plan.scores}
    names = made.classes
    numbers = chosen.pop() if len(chosen) == 1 else (None,)
    left = [number for number in numbers if number is not None and number < len(names)]
    whole = len(left) == len(numbers) == len(set(left))
    return replace(made, classes=tuple(names[number] for number in left) if whole else ())
