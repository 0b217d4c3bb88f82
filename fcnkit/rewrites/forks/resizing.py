"""Maps made larger or smaller in BVLC's words: Deconvolution, Pooling of points, matrices."""

from collections.abc import Sequence

from fcnkit.formats.prototxt import Word
from fcnkit.nets.layers import resizing as rules
from fcnkit.nets.layers.axes import show
from fcnkit.nets.layers.table import of
from fcnkit.nets.layers.windows import spatial
from fcnkit.plan import Move
from fcnkit.rewrites.changes import removed, set_param, set_value
from fcnkit.rewrites.forks.rearrange import MADE
from fcnkit.rewrites.forks.site import FIXED, Change, Fields, Kept, Site, given
from fcnkit.rewrites.taps import each_axis, kernel_fields

Pair = tuple[int, int]
_ONES: Fields = [("weight_filler", [("type", "constant"), ("value", 1)])]
_TENTS: Fields = [("weight_filler", [("type", "bilinear")])]
# A larger zoom to a size that is written is two small matrices rather than a large kernel.
_MOST_ZOOM = 16


def upsample(site: Site) -> Change:
    """Deconvolution of ones with one group for each channel; with a mask it stays."""
    param = site.layer.param("upsample_param")
    if len(site.layer.bottoms) > 1:
        raise Kept(
            "it puts values back where a pooling found them, by a mask; BVLC has no such layer"
        )
    if param.says("upsample_h", "upsample_w", "pad_out_h", "pad_out_w"):
        raise Kept("it gives a size itself, which only the Upsample with a mask may")
    pair = ("scale_h", "scale_w") if param.has("scale_h") else ("scale", "scale")
    return _repeated(site, (param.get(pair[0]), param.get(pair[1])))


def upsample_darknet(site: Site) -> Change:
    """Deconvolution of ones with one group for each channel."""
    return _repeated(site, (site.layer.param("upsample_darknet_param").get("stride"),) * 2)


def resize_nearest(site: Site) -> Change:
    """Deconvolution of ones, if its factors are whole and its channels are the second axis."""
    param = site.layer.param("resize_nearest_neighbor_param")
    if param.get("data_format") == "NHWC":
        raise Kept("its channels are the last axis (data_format NHWC), which no layer of BVLC has")
    if param.get("align_corners"):
        raise Kept("align_corners samples other points than a whole factor does")
    shape = site.shape()
    (made,) = rules.resize_nearest(site.layer, [shape])
    if any(after % before for before, after in zip(shape[2:], made[2:], strict=True)):
        raise Kept(f"{show(shape[2:])} to {show(made[2:])} is not a whole factor")
    return _repeated(site, (made[2] // shape[2], made[3] // shape[3]))


def _repeated(site: Site, factors: Pair) -> Change:
    rows = [[1.0] * factor for factor in factors]
    what = f"{site.layer.type} -> Deconvolution of ones"
    return _spread(site, rows, factors, (0, 0), _ONES, Change([], what, "each value repeated"))


def _spread(
    site: Site, taps: Sequence[Sequence[float]], strides: Pair, pads: Pair, filler: Fields,
    change: Change
) -> Change:  # fmt: skip
    """A Deconvolution of each channel by itself; `taps` are its kernel's rows and columns."""
    if site.bottom == site.top:
        raise Kept("it works in place, which a Deconvolution cannot; give its top another name")
    channels, (high, wide) = site.channels(), map(len, taps)
    fields: Fields = [("num_output", channels), ("bias_term", False)]
    fields += each_axis("pad", pads) if any(pads) else []
    fields += kernel_fields((high, wide))
    fields += each_axis("stride", strides) if max(strides) > 1 else []
    fields += ([("group", channels)] if channels > 1 else []) + filler
    message = of(site.layer).message
    edits = site.retyped("Deconvolution", FIXED, ("convolution_param", fields), gone=(message,))
    edits += site.reading(site.bottom)  # of an Interp's second one the size alone was read
    shape = (channels, 1, high, wide)
    move = Move(site.layer.name, 0, shape, None, "plane", (tuple(taps[0]), tuple(taps[1])))
    why = change.why if filler else f"{change.why}; {MADE}"
    return change._replace(edits=edits, why=why, moves=[move])


# ---- Interp


def interp(site: Site) -> Change:
    """To enlarge by a whole factor z (up to 16, or any zoom_factor): Deconvolution of kernel
    2 z - 1. To shrink by a whole factor: Pooling of single points. Else InnerProduct along the
    width and Convolution along the height, for this size only.
    """
    param = site.layer.param("interp_param")
    cut = (param.get("pad_beg"), param.get("pad_end")) if len(site.layer.bottoms) == 1 else (0, 0)
    by_factor = param.says("zoom_factor", "shrink_factor") and len(site.layer.bottoms) == 1
    zoom, shrink = param.get("zoom_factor"), param.get("shrink_factor")
    sized = param.has("height") and param.has("width")
    if by_factor and not sized and cut == (0, 0) and shrink == 1:
        return _zoomed(site, (zoom, zoom), (0, 0), "")
    shape = site.shape()
    bottoms = [site.shape(number) for number in range(len(site.layer.bottoms))]
    (made,) = rules.interp(site.layer, bottoms)
    sizes = tuple(size + sum(cut) for size in shape[2:])
    here = f" at {show(shape[2:])}, for this size only"
    if cut == (0, 0):
        factors = [_whole(new, old) for new, old in zip(made[2:], sizes, strict=True)]
        if all(factor is not None and factor <= _MOST_ZOOM for factor in factors):
            high, wide = (n * (old == 1) for n, old in zip(made[2:], sizes, strict=True))
            return _zoomed(site, (factors[0] or 1, factors[1] or 1), (high, wide), here)
        steps = [_whole(old, new) for new, old in zip(made[2:], sizes, strict=True)]
        if all(steps) and min(made[2:]) > 1:
            return _thinned(site, (steps[0] or 1, steps[1] or 1), here)
    return _by_matrices(site, shape[2:], made[2:], cut)


def _whole(new: int, old: int) -> int | None:
    """By which whole factor so many points become so many, the corners kept; None where by none."""
    if old == 1:
        return 1
    return (new - 1) // (old - 1) if new > 1 and (new - 1) % (old - 1) == 0 else None


def _zoomed(site: Site, zooms: Pair, spread: Pair, here: str) -> Change:
    """(n - 1) z + 1 points at steps of 1 / z; an axis of one point is repeated `spread` times."""
    taps = [[1.0] * many if many else _tent(zoom)
            for zoom, many in zip(zooms, spread, strict=True)]  # fmt: skip
    pads = tuple(0 if many else zoom - 1 for zoom, many in zip(zooms, spread, strict=True))
    # Caffe's filler has its peak in the middle of a kernel of 2 z - 1 where z is odd.
    odd = not any(spread) and zooms[0] == zooms[1] and zooms[0] % 2
    filler = _ONES if all(spread) or zooms == (1, 1) and not any(spread) else _TENTS * bool(odd)
    what = f"Interp -> Deconvolution, kernel {show(tuple(map(len, taps)))}"
    why = f"zoomed by {show(zooms)}{here}" if not all(spread) else f"one point repeated{here}"
    return _spread(site, taps, zooms, (pads[0], pads[1]), filler, Change([], what, why))


def _tent(zoom: int) -> list[float]:
    return [1 - abs(at - zoom + 1) / zoom for at in range(2 * zoom - 1)]


def _thinned(site: Site, steps: Pair, here: str) -> Change:
    """Every so manieth point: a Pooling of single points."""
    if site.bottom == site.top:
        raise Kept("it works in place, which a Pooling cannot; give its top another name")
    fields: Fields = [("pool", Word("MAX")), ("kernel_size", 1), *each_axis("stride", steps)]
    edits = site.retyped("Pooling", ("pooling_param", fields), gone=("interp_param",))
    edits += site.reading(site.bottom)
    why = f"it takes points at regular steps{here}"
    return Change(edits, f"Interp -> Pooling of single points, stride {show(steps)}", why)


def _by_matrices(site: Site, old: Sequence[int], new: Sequence[int], cut: Pair) -> Change:
    """Along the width an InnerProduct; along the height a 1 x 1 Convolution, the height as
    channels.
    """
    channels = site.channels()
    fields = [("num_output", new[1]), ("bias_term", False), ("axis", 3)]
    across = site.made(
        "columns", "InnerProduct", [site.bottom], FIXED, ("inner_product_param", fields)
    )
    turned = site.made("turned", "Reshape", [str(across[0][1])], _shape(-1, old[0], new[1], 1))
    fields = [("num_output", new[0]), ("bias_term", False), ("kernel_size", 1)]
    down = site.made(
        "rows", "Convolution", [str(turned[0][1])], FIXED, ("convolution_param", fields)
    )
    edits = site.retyped("Reshape", _shape(-1, channels, *new), gone=("interp_param",))
    edits += [site.ahead(across, turned, down), *site.reading(str(down[0][1]))]
    moves = []
    for layer, axis, kind in ((across, 1, "InnerProduct"), (down, 0, "Convolution")):
        shape = (new[axis], old[axis], *((1, 1) if axis == 0 else ()))
        values = _matrix(old[axis], new[axis], cut)
        moves.append(given(str(layer[0][1]), 0, shape, values, kind))
    what = "Interp -> InnerProduct across, Convolution down"
    why = f"from {show(tuple(old))} to {show(tuple(new))}, for this size only; {MADE}"
    return Change(edits, what, why, moves)


def _shape(*sizes: int) -> tuple[str, object]:
    return ("reshape_param", [("shape", [("dim", size) for size in sizes])])


def _matrix(old: int, new: int, cut: Pair) -> list[float]:
    """For each new point the weights of the old ones; the first and the last uncut one are kept."""
    size, found = old + sum(cut), list[float]()
    for at in range(new):
        numerator = at * (size - 1)
        first, rest = divmod(numerator, new - 1) if new > 1 else (0, 0)
        row = [0.0] * old
        row[first - cut[0]] = 1 - rest / max(new - 1, 1)
        if rest:
            row[first - cut[0] + 1] = rest / (new - 1)
        found += row
    return found


# ---- Padding, Pad


def padding(site: Site) -> Change:
    """Part of the next Convolution, if nothing else reads it; else a padding Convolution whose only
    nonzero weight is 1. A negative padding becomes a Crop to the size of a Pooling.
    """
    param = site.layer.param("padding_param")
    sides = (param.get("pad_beg"), param.get("pad_end"))
    return _padded(site, (sides[0],) * 2, (sides[1],) * 2)


def pad(site: Site) -> Change:
    """As Padding, if it pads height and width by zeros."""
    param = site.layer.param("pad_param")
    sides = param.list("paddings")
    if len(sides) != 8 or any(sides[:4]) or param.get("constant_values"):
        raise Kept("it pads other axes than height and width, or not by zero")
    return _padded(site, (sides[4], sides[6]), (sides[5], sides[7]))


def _padded(site: Site, before: Pair, after: Pair) -> Change:
    if min(*before, *after) < 0:
        return _cut(site, -before[0], -after[0])
    if site.bottom == site.top:
        raise Kept("it works in place, which a Convolution cannot; give its top another name")
    joined = _joined(site, before, after)
    if joined is not None:
        return joined
    channels = site.channels()
    more = tuple(abs(b - a) for b, a in zip(before, after, strict=True))
    pads = tuple(max(b, a) for b, a in zip(before, after, strict=True))
    taps = [
        [float(at == most - first) for at in range(size + 1)]
        for size, most, first in zip(more, pads, before, strict=True)
    ]
    fields: Fields = [("num_output", channels), ("bias_term", False)]
    fields += each_axis("pad", pads)
    fields += kernel_fields(tuple(map(len, taps)))
    fields += ([("group", channels)] if channels > 1 else []) + _ONES * (not any(more))
    message = of(site.layer).message
    edits = site.retyped("Convolution", FIXED, ("convolution_param", fields), gone=(message,))
    shape = (channels, 1, len(taps[0]), len(taps[1]))
    args = (tuple(taps[0]), tuple(taps[1]), "Convolution")
    why = "each channel is copied, with zeros around it" + f"; {MADE}" * any(more)
    what = f"{site.layer.type} -> Convolution of a single 1"
    return Change(edits, what, why, [Move(site.layer.name, 0, shape, None, "plane", args)])


def _cut(site: Site, before: int, after: int) -> Change:
    """A Crop; a Pooling of stride 1 has as many points fewer as its kernel has more than one."""
    if site.bottom == site.top:
        raise Kept("it works in place, which a Crop cannot; give its top another name")
    fields: Fields = [("pool", Word("MAX")), ("kernel_size", before + after + 1), ("stride", 1)]
    size = site.made("size", "Pooling", [site.bottom], ("pooling_param", fields))
    cut: Fields = [("axis", 2), ("offset", before)]
    edits = site.retyped("Crop", ("crop_param", cut), gone=(of(site.layer).message,))
    edits += [site.ahead(size), *site.reading(site.bottom, str(size[0][1]))]
    return Change(edits, "Padding -> Crop", "it crops the border; the Pooling has the size only")


def _joined(site: Site, before: Pair, after: Pair) -> Change | None:
    """The padding as that of the Convolution that alone reads it; None where it is not so."""
    readers = site.readers()
    if len(readers) != 1 or readers[0].type != "Convolution" or len(readers[0].bottoms) > 1:
        return None
    reader = readers[0]
    param = reader.param("convolution_param")
    other = ("pad_type", "pad_t", "pad_l", "pad_b", "pad_r")
    if param.says(*other) or len(param.list("pad")) > 1 or len(site.shape()) != 4:
        return None
    own = spatial(reader, 4).pad
    sides = [*(o + b for o, b in zip(own, before, strict=True)),
             *(o + a for o, a in zip(own, after, strict=True))]  # fmt: skip
    alike = sides[:2] == sides[2:]
    names = ("pad_t", "pad_l", "pad_b", "pad_r")
    new = each_axis("pad", sides[:2]) if alike else list(zip(names, sides, strict=True))
    gone = [name for name in ("pad", "pad_h", "pad_w") if name not in dict(new)]
    edits = set_param(reader, "convolution_param", new, site.net.style, replacing=gone)
    edits += [set_value(one, site.bottom) for one in reader.field.all("bottom")]
    edits.append(removed(site.layer.field, "padding"))
    what = f'{site.layer.type} joined into "{reader.name}"'
    why = "nothing else reads it, and a Convolution pads with zeros"
    return Change(edits, what, why, others=frozenset((reader.field.start,)))
