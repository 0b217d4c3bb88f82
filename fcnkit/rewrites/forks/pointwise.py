"""One value from one value in BVLC's words: ReLU6, HardSwish, Mish; and sums and products."""

from collections.abc import Sequence
from math import prod

from fcnkit.formats.prototxt import Word
from fcnkit.nets.layers.table import of
from fcnkit.plan import Move
from fcnkit.rewrites.changes import taken_out
from fcnkit.rewrites.forks.site import Change, Fields, Kept, Site
from fcnkit.shape import Shape

CLIP = "Clip"
_SIXTH = 1 / 6


def relu6(site: Site) -> Change:
    """Clip from 0 to 6; for Caffe 1.0 ReLU, Power, ReLU, Power: 6 - max(6 - x, 0)."""
    return _bounded(site, 6)


def relu_to_six(site: Site) -> Change:
    """Clip from 0 to 6 after the layer; for Caffe 1.0, or with a negative_slope, Power, ReLU and
    Power.
    """
    param = site.layer.param("relu_param")
    if not param.get("negative_slope"):
        return _bounded(site, 6)
    edits = [taken_out(one) for one in site.layer.field.all("relu_param")[-1].all("relu6")]
    edits.append(site.behind(*_at_most(site, site.top, 6)))
    return Change(edits, "at most 6 by Power and ReLU after it", "its part below 0 stays")


def _bounded(site: Site, most: int) -> Change:
    if CLIP in site.words:
        fields = ("clip_param", [("min", 0), ("max", most)])
        edits = site.retyped(CLIP, fields, gone=("relu_param", "relu6_param"))
        return Change(edits, f"{site.layer.type} -> Clip, 0 to {most}", "the same values")
    edits = site.retyped("ReLU", gone=("relu_param", "relu6_param"))
    edits.append(site.behind(*_at_most(site, site.top, most)))
    what = f"{site.layer.type} -> ReLU, Power, ReLU, Power"
    return Change(edits, what, f"min(x, {most}) is {most} - max({most} - x, 0)")


def _at_most(site: Site, blob: str, most: float) -> list[Fields]:
    """min(x, most), in place."""
    turned = ("power_param", [("scale", -1), ("shift", most)])
    return [
        site.made("from", "Power", [blob], turned, tops=[blob]),
        site.made("above", "ReLU", [blob], tops=[blob]),
        site.made("back", "Power", [blob], turned, tops=[blob]),
    ]


def _unit(site: Site, blob: str) -> list[Fields]:
    """Between 0 and 1, in place."""
    if CLIP in site.words:
        fields = ("clip_param", [("min", 0), ("max", 1)])
        return [site.made("clip", CLIP, [blob], fields, tops=[blob])]
    return [site.made("relu", "ReLU", [blob], tops=[blob]), *_at_most(site, blob, 1)]


def hard_swish(site: Site) -> Change:
    """Power, Clip (for Caffe 1.0 ReLU and Power), Eltwise PROD: x clip(x / 6 + 1 / 2, 0, 1)."""
    fields = ("power_param", [("scale", _SIXTH), ("shift", 0.5)])
    blob, edits, others = site.apart()
    gate = site.made("gate", "Power", [blob], fields)
    name = str(gate[0][1])
    edits += [site.ahead(gate, *_unit(site, name)), *_product(site, blob, name)]
    what = f"HardSwish -> Power, {'Clip' if CLIP in site.words else 'ReLU'}, Eltwise PROD"
    return Change(edits, what, "x times x / 6 + 1 / 2 between 0 and 1", others=others)


def hard_sigmoid(site: Site) -> Change:
    """Power, Clip (for Caffe 1.0 ReLU and Power): clip(alpha x + beta, 0, 1)."""
    param = site.layer.param("hard_sigmoid_param")
    fields = ("power_param", [("scale", param.get("alpha")), ("shift", param.get("beta"))])
    edits = site.retyped("Power", fields, gone=("hard_sigmoid_param",))
    edits.append(site.behind(*_unit(site, site.top)))
    return Change(edits, "HardSigmoid -> Power and its bounds", "a line between 0 and 1")


def mish(site: Site) -> Change:
    """BNLL, TanH, Eltwise PROD."""
    blob, edits, others = site.apart()
    inner = site.made("bnll", "BNLL", [blob])
    name = str(inner[0][1])
    curved = site.made("tanh", "TanH", [name], tops=[name])
    edits += [site.ahead(inner, curved), *_product(site, blob, name)]
    return Change(
        edits, "Mish -> BNLL, TanH, Eltwise PROD", "x tanh(log(1 + e^x)), exactly", others=others
    )


def _product(site: Site, *blobs: str) -> list:
    fields = ("eltwise_param", [("operation", Word("PROD"))])
    return [*site.retyped("Eltwise", fields, gone=_own(site)), *site.reading(*blobs)]


def _own(site: Site) -> tuple[str, ...]:
    message = of(site.layer).message
    return (message,) if message else ()


def axpy(site: Site) -> Change:
    """Flatten of the factors, Scale with two bottoms along axis 0, Eltwise SUM."""
    factor, x, other = (bottom.blob for bottom in site.layer.bottoms)
    if site.top in (factor, x, other):
        raise Kept("it works in place, which a Scale and a sum cannot; give its top another name")
    layers, factor = _flat(site, 0, factor)
    scaled = site.made("scaled", "Scale", [x, factor], ("scale_param", [("axis", 0)]))
    edits = [site.ahead(*layers, scaled), *site.reading(str(scaled[0][1]), other)]
    edits += site.retyped("Eltwise", ("eltwise_param", [("operation", Word("SUM"))]))
    return Change(edits, "Axpy -> Scale of two bottoms, Eltwise SUM", "a factor for each channel")


def _flat(site: Site, number: int, blob: str) -> tuple[list[Fields], str]:
    """N x C x 1 x 1 as N x C."""
    if len(site.shape(number)) == 2:
        return [], blob
    flat = site.made("flat", "Flatten", [blob])
    return [flat], str(flat[0][1])


# ---- Add, Mul


def add(site: Site) -> Change:
    """Eltwise SUM, if both bottoms have one shape; else Bias along its axes, learned or with
    two bottoms.
    """
    return _operands(site, "Bias", "SUM")


def mul(site: Site) -> Change:
    """Eltwise PROD, if both bottoms have one shape; else Scale along its axes, learned or with
    two bottoms.
    """
    return _operands(site, "Scale", "PROD")


def _operands(site: Site, kind: str, operation: str) -> Change:
    if len(site.layer.bottoms) == 1:
        return _learned(site, kind)
    left, right = site.shape(0), site.shape(1)
    if left == right:
        word = ("eltwise_param", [("operation", Word(operation))])
        edits = site.retyped("Eltwise", word, gone=_own(site))
        return Change(edits, f"{site.layer.type} -> Eltwise {operation}", "two of one shape")
    large, small = (0, 1) if prod(left) >= prod(right) else (1, 0)
    shape, other = (left, right) if large == 0 else (right, left)
    first = _along(shape, other)
    if first is None or len(shape) != max(len(left), len(right)):
        raise Kept("its operands are broadcast along axes that no Scale or Bias of two bottoms can")
    axis, sizes = first
    blobs = [bottom.blob for bottom in site.layer.bottoms]
    if site.top in blobs and site.top != blobs[large]:
        raise Kept("it works in place on the smaller operand; give its top another name")
    layers, name = [], blobs[small]
    if sizes != other:
        dims = [("dim", size) for size in sizes]
        fields = ("reshape_param", [("shape", [("dim", -1), *dims[1:]])])
        layers = [site.made("flat", "Reshape", [name], fields)]
        name = str(layers[0][0][1])
    message = f"{kind.lower()}_param"
    edits = site.retyped(kind, (message, [("axis", axis)]), gone=_own(site))
    edits += [*site.reading(blobs[large], name), *([site.ahead(*layers)] if layers else [])]
    what = f"{site.layer.type} -> {kind} of two bottoms, axis {axis}"
    return Change(edits, what, "the smaller operand is broadcast along the other's axes")


def _along(shape: Shape, other: Shape) -> tuple[int, Shape] | None:
    """The first axis of a blob that the operand lies along, and its sizes without ones around."""
    whole = (1,) * (len(shape) - len(other)) + tuple(other)
    wide = [axis for axis, size in enumerate(whole) if size != 1]
    first, last = (wide[0], wide[-1]) if wide else (0, -1)
    sizes = whole[first : last + 1]
    return (first, sizes) if sizes == tuple(shape[first : last + 1]) and sizes else None


def _learned(site: Site, kind: str) -> Change:
    (own,) = site.work.blobs(site.layer)
    if site.work.sharing(site.layer):
        raise Kept(site.work.sharing(site.layer))
    shape = site.shape()
    found = _along(shape, own)
    if found is None or found[0] == 0 or len(own) > len(shape):
        raise Kept("its parameters lie along axes that no Scale or Bias can have")
    axis, sizes = found
    fields: Fields = [("axis", axis)] if axis != 1 else []
    fields += [("num_axes", len(sizes))] if len(sizes) != 1 else []
    message = f"{kind.lower()}_param"
    new: Sequence[tuple[str, object]] = [(message, fields)] if fields else []
    edits = site.retyped(kind, *new, gone=_own(site))
    moves = [Move(site.layer.name, 0, sizes, site.layer.name)]
    return Change(edits, f"{site.layer.type} -> {kind}", "its parameters lie along its axes", moves)
