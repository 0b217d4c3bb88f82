"""One value from many: means, sums, the largest, along axes that layers reduce."""

from collections.abc import Callable, Sequence
from math import prod

from fcnkit.formats.prototxt import Word
from fcnkit.importing.held import Held
from fcnkit.importing.mixed import picked
from fcnkit.importing.rearrange import along
from fcnkit.importing.settle import convolution, plain, settled
from fcnkit.importing.site import Refusal, Site


def reduced(how: str) -> Callable[[Site], Held]:
    """ReduceMean, ReduceSum, ReduceMax and their like over the axes that layers sum over."""

    def made(site: Site) -> Held:
        before = site.shapes(site.input(0))
        count = len(before[0])
        said = site.argument("axes", 1)
        if said is None or not len(said):
            if said is not None and site.given("noop_with_empty_axes", 0):
                return site.x()
            said = list(range(count))
        held = site.x()
        order = held.transposition
        if order is None:
            held, order = plain(site), tuple(range(count))
        axes = sorted(order[axis % count] for axis in said)
        x = Held(held.blob, held.sizes)
        x = site.power(x, power=2, part="square") if how in ("L2", "SUMSQ") else x
        x = site.add("AbsVal", [x], part="abs") if how == "L1" else x
        x = site.power(x, scale=-1, part="minus") if how == "MIN" else x
        inner = {"L2": "SUM", "SUMSQ": "SUM", "L1": "SUM", "MIN": "MAX"}.get(how, how)
        result = _over(site, x, axes, inner)
        result = site.power(result, scale=-1, part="least") if how == "MIN" else result
        if how == "L2":
            result = site.power(result, power=0.5, part="root")
        # With all axes kept the sizes of 1 stand where the tensor has them.
        kept = [
            tuple(1 if axis in axes else size for axis, size in enumerate(sizes))
            for sizes in held.sizes
        ]
        back = result.reshaped(kept) if result.sizes != tuple(kept) else result
        moved = Held(back.blob, back.sizes, back.moves)
        if held.moves:
            moved = moved.transposed(order)
        return moved.reshaped(site.shapes(site.out))

    return made


def _over(site: Site, x: Held, axes: Sequence[int], how: str) -> Held:
    count = len(x.sizes[0])
    if count == 4 and list(axes) == [2, 3] and how in ("MEAN", "MAX"):
        pool = [("pool", Word("AVE"))] if how == "MEAN" else []
        shapes = [(*sizes[:2], 1, 1) for sizes in x.sizes]
        fields = [("pooling_param", [*pool, ("global_pooling", True)])]
        return site.add("Pooling", [x], fields, shapes=shapes)
    if count == 4 and list(axes) == [1] and how in ("MEAN", "SUM"):
        import numpy as np

        channels = x.sizes[0][1]
        value = 1 / channels if how == "MEAN" else 1
        return convolution(site, x, np.full((1, channels, 1, 1), value, np.float32), part="")
    if list(axes) == list(range(axes[0], count)) and how in ("MEAN", "SUM"):
        operation = [("operation", Word("MEAN"))] if how == "MEAN" else []
        fields = [("reduction_param", [*operation, ("axis", axes[0])])]
        shapes = [sizes[: axes[0]] for sizes in x.sizes]
        return site.add("Reduction", [x], fields, shapes=shapes)
    return _block(site, x, axes, how)


def _block(site: Site, x: Held, axes: Sequence[int], how: str) -> Held:
    """Over axes that follow one another, as the channels or the rows of an image."""
    first, last = axes[0], axes[-1]
    counts = {prod(sizes[first : last + 1]) for sizes in x.sizes}
    if how not in ("MEAN", "SUM", "MAX") or len(axes) != last - first + 1 or len(counts) > 1:
        raise Refusal(f"it takes the {how.lower()} over axes {list(axes)}, which no layer does")
    count = counts.pop()
    ends = [(prod(sizes[:first]), prod(sizes[last + 1 :])) for sizes in x.sizes]
    if how == "MAX":
        rows = settled(site, x.reshaped([(some, 1, count, rest) for some, rest in ends]))
        kernel = [("kernel_h", count), ("kernel_w", 1)]
        shapes = [(some, 1, 1, rest) for some, rest in ends]
        return site.add("Pooling", [rows], [("pooling_param", kernel)], shapes=shapes)
    import numpy as np

    mixed = settled(site, x.reshaped([(some, count, rest, 1) for some, rest in ends]))
    value = 1 / count if how == "MEAN" else 1
    return convolution(site, mixed, np.full((1, count, 1, 1), value, np.float32), part="")


def arg(sign: int) -> Callable[[Site], Held]:
    """ArgMax along one axis, or with a sign of -1 ArgMin."""
    return lambda site: _arg(site, sign)


def _arg(site: Site, sign: int) -> Held:
    x, axis, held = along(site, site.given("axis", 0))
    x = site.power(x, scale=sign, part="minus")
    last = bool(site.given("select_last_index", 0))
    # Of equal values Caffe takes the last, as it sorts pairs of a value and its place.
    x = x if last else _reversed(site, x, axis)
    shapes = [(*sizes[:axis], 1, *sizes[axis + 1 :]) for sizes in x.sizes]
    fields = [("argmax_param", [("axis", axis)])]
    made = site.add("ArgMax", [x], fields, shapes=shapes, part="" if last else "from_last")
    if not last:
        made = site.power(made, scale=-1, shift=x.sizes[0][axis] - 1)
    if held.moves:
        made = made.transposed(held.transposition or ())
    return made.reshaped(site.shapes(site.out))


def _reversed(site: Site, x: Held, axis: int) -> Held:
    """The values along the axis in the opposite order."""
    why = "among equal values Caffe takes the last, and the model the first"
    site.say("what it compares reversed", why)
    return picked(site, x, axis, range(x.sizes[0][axis])[::-1])
