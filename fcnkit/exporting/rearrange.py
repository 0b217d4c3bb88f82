"""Layers that join, cut, reorder and count in ONNX:
Concat, Slice, Crop, Reshape, ArgMax and their kin.
"""

from math import prod

from fcnkit.exporting.draft import Copied, Site, joined
from fcnkit.nets.layers.rearrange import crop_offsets, join_axis

END = 2**63 - 1


def concat(at: Site) -> list[str]:
    """Concat."""
    return [
        at.op(
            "Concat", *at.bottoms, axis=join_axis(at.layer, at.ndim, "concat_param", "concat_dim")
        )
    ]


def slices(at: Site) -> list[str]:
    """A Slice for each top where there are slice points, a Split into equal parts otherwise."""
    axis = join_axis(at.layer, at.ndim, "slice_param", "slice_dim")
    points = at.param("slice_param").list("slice_point")
    if len(at.tops) == 1:
        return [at.x]
    if not points:
        return at.ops("Split", at.x, count=len(at.tops), axis=axis)
    ends = zip([0, *points], [*points, END], strict=True)
    return [at.part(at.x, axis, start, stop) for start, stop in ends]


def crop(at: Site) -> list[str]:
    """On each cropped axis as many points as the second bottom has,
    from the offset on, at every size.
    """
    offsets = crop_offsets(at.layer, at.ndim)
    axes = list(range(at.ndim - len(offsets), at.ndim))
    sizes = [at.sizes[1][axis] for axis in axes]
    starts, steps = at.whole(offsets), at.whole([1] * len(axes))
    if None not in sizes:
        stops = at.whole([size + offset for size, offset in zip(sizes, offsets, strict=True)])
    else:
        shape = at.op("Shape", at.bottoms[1])
        stops = at.op("Add", at.op("Gather", shape, at.whole(axes), axis=0), starts)
    return [at.op("Slice", at.x, starts, stops, at.whole(axes), steps)]


def flatten(at: Site) -> list[str]:
    """The axes from `axis` to `end_axis` as one."""
    param = at.param("flatten_param")
    start, end = param.get("axis") % at.ndim, param.get("end_axis") % at.ndim + 1
    if (start, end) == (1, at.ndim):
        return [at.op("Flatten", at.x, axis=1)]
    before, after = map(Copied, range(start)), map(Copied, range(end, at.ndim))
    wanted: list[int | Copied] = [*before, joined(at.sizes[0][start:end]), *after]
    return [at.reshape(at.x, at.sizes[0], wanted)]


def reshape(at: Site) -> list[str]:
    """Sizes as they are said: 0 copies one, -1 is what remains, and the axes outside stay."""
    param = at.param("reshape_param")
    axis, count = param.get("axis"), param.get("num_axes")
    start = axis if axis >= 0 else at.ndim + axis + 1
    end = at.ndim if count == -1 else start + count
    dims = param.view("shape").list("dim")
    new = [Copied(start + number) if size == 0 else size for number, size in enumerate(dims)]
    wanted = [*map(Copied, range(start)), *new, *map(Copied, range(end, at.ndim))]
    return [at.reshape(at.x, at.sizes[0], wanted)]


def tile(at: Site) -> list[str]:
    """One axis repeated."""
    param = at.param("tile_param")
    times = [1] * at.ndim
    times[param.get("axis") % at.ndim] = param.get("tiles")
    return [at.op("Tile", at.x, at.whole(times))]


def permute(at: Site) -> list[str]:
    """SSD's: the axes in another order."""
    order = at.param("permute_param").list("order")
    return [
        at.op(
            "Transpose", at.x, perm=order + [axis for axis in range(at.ndim) if axis not in order]
        )
    ]


def batch_reindex(at: Site) -> list[str]:
    """The items that the second bottom numbers."""
    from onnx import TensorProto

    return [at.op("Gather", at.x, at.op("Cast", at.bottoms[1], to=TensorProto.INT64), axis=0)]


_REDUCED = {"ASUM": "ReduceL1", "SUMSQ": "ReduceSumSquare", "MEAN": "ReduceMean"}


def reduction(at: Site) -> list[str]:
    """All axes from `axis` on to one number, times coeff."""
    param = at.param("reduction_param")
    axes = list(range(param.get("axis") % at.ndim, at.ndim))
    kind, factor = param.get("operation"), param.get("coeff")
    if kind == "SUM":
        y = at.op("ReduceSum", at.x, at.whole(axes), keepdims=0)
    else:
        y = at.op(_REDUCED[kind], at.x, axes=axes, keepdims=0)
    return [y if factor == 1 else at.op("Mul", y, at.number(factor))]


# ---- ArgMax


def argmax(at: Site) -> list[str]:
    """The numbers of the largest, as floats; the last of equals, as Caffe's sort has it."""
    param = at.param("argmax_param")
    if param.has("axis"):
        found = _largest(at, at.x, param.get("axis") % at.ndim, at.sizes[0])
        return [found[int(param.get("out_max_val"))]]
    behind = at.sizes[0][1:]
    flat = at.reshape(at.x, at.sizes[0], [Copied(0), 1, joined(behind)])
    numbers, values = _largest(at, flat, 2, (None, 1, None if None in behind else prod(behind)))
    y = at.op("Concat", numbers, values, axis=1) if param.get("out_max_val") else numbers
    return [at.filled(y, max(at.ndim - 3, 0))]


def _largest(at: Site, x: str, axis: int, dims: tuple[int | None, ...]) -> tuple[str, str]:
    """The numbers and the values of the top_k largest on an axis.

    ONNX takes the first of equals, so the axis is turned round.
    """
    from onnx import TensorProto

    count = at.param("argmax_param").get("top_k")
    turned = at.part(x, axis, -1, -END, -1)
    values, places = at.ops("TopK", turned, at.whole([count]), count=2, axis=axis)
    last = at.op("Sub", at.size(x, dims, axis), at.whole([1]))
    return at.op("Cast", at.op("Sub", last, places), to=TensorProto.FLOAT), values
