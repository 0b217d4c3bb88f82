"""Shapes of the layers that join, cut and reorder axes: Concat, Slice, Crop, Reshape and their kin.

The rules are those of Caffe's layer of the same name.
"""

from fractions import Fraction
from math import prod

from fcnkit.formats.schema import View
from fcnkit.nets.coordmap import IDENTITY, CoordMap
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.axes import canonical, same, show
from fcnkit.nets.layers.traits import every, first
from fcnkit.plural import number_of
from fcnkit.shape import Shape


def join_axis(layer: Layer, ndim: int, message: str, old: str) -> int:
    """The axis of a Concat or Slice, by `axis` or by its deprecated word."""
    param = layer.param(message)
    if not param.has(old):
        return canonical(layer, param.get("axis"), ndim)
    if param.has("axis"):
        raise layer.error(f"both axis and {old}; keep only axis")
    return canonical(layer, param.get(old), ndim, old)


def concat(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The bottoms one behind the other on `axis`, all other axes equal."""
    first = bottoms[0]
    axis = join_axis(layer, len(first), "concat_param", "concat_dim")
    same(layer, bottoms, but=axis)
    return [(*first[:axis], sum(shape[axis] for shape in bottoms), *first[axis + 1 :])]


def concat_order(layer: Layer, ndim: int) -> tuple[int, ...]:
    """The axis on which it joins."""
    return (join_axis(layer, ndim, "concat_param", "concat_dim"),)


def concat_coord(layer: Layer, ndim: int) -> CoordMap | None:
    """The identity on the batch or channel axis, undefined on a spatial one."""
    return IDENTITY if join_axis(layer, ndim, "concat_param", "concat_dim") < 2 else None


def slices(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The bottom cut on `axis`, at slice_point or into equal parts."""
    shape, tops = bottoms[0], len(layer.tops)
    axis = join_axis(layer, len(shape), "slice_param", "slice_dim")
    points = layer.param("slice_param").list("slice_point")
    if not points and shape[axis] % tops:
        raise layer.error(
            f"{shape[axis]} on axis {axis} is not a multiple of {number_of(tops, 'top')}; give "
            "slice_point"
        )
    if points and len(points) != tops - 1:
        raise layer.error(
            f"{len(points)} slice_point for {number_of(tops, 'top')}; give one fewer than there "
            "are tops"
        )
    part = shape[axis] // tops
    ends = [0, *(points or (part * at for at in range(1, tops))), shape[axis]]
    sizes = [stop - start for start, stop in zip(ends, ends[1:], strict=False)]
    if points and min(sizes) < 1:
        fact = f"slice_point {points} for {shape[axis]} on axis {axis}"
        raise layer.error(f"{fact}; they must increase and stay below it")
    return [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]


def slice_order(layer: Layer, ndim: int) -> tuple[int, ...]:
    """The axis on which it cuts."""
    return (join_axis(layer, ndim, "slice_param", "slice_dim"),)


def slice_coord(layer: Layer, ndim: int) -> CoordMap | None:
    """The identity on the batch or channel axis, undefined on a spatial one."""
    return IDENTITY if join_axis(layer, ndim, "slice_param", "slice_dim") < 2 else None


def flatten(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The axes from `axis` to `end_axis` as one."""
    shape, param = bottoms[0], layer.param("flatten_param")
    _not_in_place(layer)
    start = canonical(layer, param.get("axis"), len(shape))
    end = canonical(layer, param.get("end_axis"), len(shape), "end_axis") + 1
    if start > end:
        raise layer.error(f"axis {start} is after end_axis {end - 1}; give an axis before it")
    return [(*shape[:start], prod(shape[start:end]), *shape[end:])]


def reshape(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The axes from `axis` on, num_axes of them, as `shape` says: 0 copies, -1 is what remains."""
    shape, param = bottoms[0], layer.param("reshape_param")
    _not_in_place(layer)
    start, end = _replaced(layer, param, len(shape))
    dims = param.view("shape").list("dim")
    if dims.count(-1) > 1 or any(dim < -1 for dim in dims):
        raise layer.error(f"shape {dims}; give sizes, 0 to copy one, and at most one -1")
    if any(dim == 0 and start + at >= len(shape) for at, dim in enumerate(dims)):
        fact = f"shape {dims} copies an axis that its bottom {show(shape)} does not have"
        raise layer.error(f"{fact}; give its size")
    dims = [shape[start + at] if dim == 0 else dim for at, dim in enumerate(dims)]
    known = prod(dim for dim in (*shape[:start], *dims, *shape[end:]) if dim != -1)
    if -1 in dims and known and prod(shape) % known == 0:
        dims[dims.index(-1)] = prod(shape) // known
    top = (*shape[:start], *dims, *shape[end:])
    if prod(top) != prod(shape):
        fact = f"{number_of(prod(shape), 'value')} of {show(shape)} do not fill {show(top)}"
        raise layer.error(f"{fact}; give sizes that fit")
    return [top]


def _replaced(layer: Layer, param: View, ndim: int) -> tuple[int, int]:
    axis, count = param.get("axis"), param.get("num_axes")
    start = axis if axis >= 0 else ndim + axis + 1
    end = ndim if count == -1 else start + count
    if not 0 <= start <= end <= ndim or count < -1:
        raise layer.error(
            f"axis {axis} and num_axes {count} of a bottom with "
            f"{number_of(ndim, 'axis', 'axes')}; stay within it"
        )
    return start, end


def _not_in_place(layer: Layer) -> None:
    if layer.tops[0].blob == layer.bottoms[0].blob:
        raise layer.error(f"{layer.type} cannot work in place; give its top another name")


def tile(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """`axis` repeated `tiles` times."""
    shape, param = bottoms[0], layer.param("tile_param")
    axis, tiles = canonical(layer, param.get("axis"), len(shape)), param.get("tiles")
    if tiles < 1:
        raise layer.error("it has no tiles; give the number of repetitions")
    return [(*shape[:axis], shape[axis] * tiles, *shape[axis + 1 :])]


def tile_order(layer: Layer, ndim: int) -> tuple[int, ...]:
    """The axis that it repeats, and how often."""
    param = layer.param("tile_param")
    return canonical(layer, param.get("axis"), ndim), param.get("tiles")


def tile_coord(layer: Layer, ndim: int) -> CoordMap | None:
    """The identity on the batch or channel axis, undefined on a spatial one."""
    return IDENTITY if canonical(layer, layer.param("tile_param").get("axis"), ndim) < 2 else None


def argmax(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """top_k on `axis`; without axis N x 1 x top_k, N x 2 x top_k with the values."""
    shape, param = bottoms[0], layer.param("argmax_param")
    top_k = param.get("top_k")
    axis = canonical(layer, param.get("axis"), len(shape)) if param.has("axis") else None
    most = prod(shape[1:]) if axis is None else shape[axis]
    if not 1 <= top_k <= most:
        raise layer.error(f"top_k {top_k} of {number_of(most, 'value')}; give 1 to {most}")
    if axis is not None:
        return [(*shape[:axis], top_k, *shape[axis + 1 :])]
    canonical(layer, 0, len(shape))
    ones = (1,) * max(len(shape) - 3, 0)
    return [(shape[0], 2 if param.get("out_max_val") else 1, top_k, *ones)]


def argmax_coord(layer: Layer, ndim: int) -> CoordMap | None:
    """The identity where the arg max is over channels, undefined otherwise."""
    param = layer.param("argmax_param")
    over = canonical(layer, param.get("axis"), ndim) if param.has("axis") else None
    return IDENTITY if over == 1 else None


def reduction(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The axes before `axis`."""
    axis = canonical(layer, layer.param("reduction_param").get("axis"), len(bottoms[0]))
    return [bottoms[0][:axis]]


def batch_reindex(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """As many items as the second bottom names."""
    if len(bottoms[1]) != 1:
        raise layer.error(f"its second bottom is {show(bottoms[1])}; it must have one axis")
    return [(*bottoms[1], *bottoms[0][1:])]


def reindexed(layer: Layer, bottoms: list[Shape]) -> dict[int, int]:
    """Each number of the second bottom is an item of the first."""
    return {1: bottoms[0][0]}


def selector(layer: Layer, bottoms: list[Shape]) -> dict[int, int]:
    """The last bottom has 0 for each item that goes."""
    return {len(bottoms) - 1: 2}


def filtered(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """Every bottom but the last, which says for each of their items whether it stays."""
    *shapes, selector = bottoms
    if len(layer.tops) != len(shapes):
        fact = (
            f"{number_of(len(shapes), 'bottom')} before the selector and "
            f"{number_of(len(layer.tops), 'top')}"
        )
        raise layer.error(f"{fact}; give one top for each of them")
    if (
        not selector
        or prod(selector[1:]) != 1
        or any(shape[:1] != selector[:1] for shape in shapes)
    ):
        fact = f"its selector is {show(selector)}"
        raise layer.error(f"{fact}; give one value for each item of the bottoms before it")
    return shapes


def crop(layer: Layer, bottoms: list[Shape]) -> list[Shape]:
    """The first bottom's sizes before `axis`, the second's from it on."""
    shape, reference = bottoms
    offsets = crop_offsets(layer, len(shape))
    start = len(shape) - len(offsets)
    if len(reference) < len(shape):
        raise layer.error(
            f"it crops {show(shape)} to {show(reference)}; give both the same number of axes"
        )
    for axis, offset in enumerate(offsets, start):
        if shape[axis] - offset < reference[axis]:
            raise layer.error(
                f'on axis {axis} "{layer.bottoms[0].blob}" has {shape[axis]} and offset {offset} '
                f"leaves "
                f"{shape[axis] - offset}, fewer than the {reference[axis]} of "
                f'"{layer.bottoms[1].blob}"; '
                f"crop the larger of the two to the smaller, or pad more"
            )
    return [(*shape[:start], *reference[start : len(shape)])]


def crop_offsets(layer: Layer, ndim: int) -> tuple[int, ...]:
    """The offset on each cropped axis, from `axis` to the last."""
    param = layer.param("crop_param")
    axis = canonical(layer, param.get("axis"), ndim)
    offsets = param.list("offset") or [0]
    if len(offsets) not in (1, ndim - axis):
        raise layer.error(
            f"{number_of(len(offsets), 'offset')} for {ndim - axis} cropped axes; give one, or "
            "one for each"
        )
    return tuple(offsets * (ndim - axis) if len(offsets) == 1 else offsets)


def crop_coord(layer: Layer, ndim: int) -> CoordMap | None:
    """Scale 1 and shift -offset on each cropped axis."""
    return CoordMap.of((Fraction(1), Fraction(-offset)) for offset in crop_offsets(layer, ndim))


# ---- the bottoms whose channels a top keeps


def concat_channels(layer: Layer) -> tuple[int, ...]:
    """All, where places are joined and not channels or images."""
    return every(layer) if join_axis(layer, 4, "concat_param", "concat_dim") > 1 else ()


def slice_channels(layer: Layer) -> tuple[int, ...]:
    """Its bottom, where places are cut and not channels or images."""
    return first(layer) if join_axis(layer, 4, "slice_param", "slice_dim") > 1 else ()


def crop_channels(layer: Layer) -> tuple[int, ...]:
    """The bottom that is cropped, where places are cut and not channels or images."""
    return () if layer.param("crop_param").get("axis") in (0, 1, -3, -4) else first(layer)
