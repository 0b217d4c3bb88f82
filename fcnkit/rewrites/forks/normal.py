"""Forks' normalisation by stored statistics as BatchNorm and Scale; their weights go along."""

from collections.abc import Sequence

from fcnkit.formats.prototxt import Field
from fcnkit.nets.layers.table import of
from fcnkit.plan import Move
from fcnkit.rewrites.changes import removed, set_param, taken_out
from fcnkit.rewrites.forks.site import Change, Fields, Kept, Site, given, plain

_BVLC_EPS = 1e-5
_NO_STATISTICS = "it uses batch statistics, and stores them in a way that only its fork knows"


def bn(site: Site) -> Change:
    """PSPNet's BN becomes BatchNorm and Scale. SegNet's, with `bn_mode: INFERENCE`, becomes Scale,
    because its factors contain the statistics. The weights are moved too.
    """
    affine = of(site.layer).affine(site.layer)
    if affine is None:
        raise Kept(_NO_STATISTICS)
    _check_alone(site)
    channels, name = site.channels(), site.layer.name
    param = site.layer.param("bn_param")
    if affine.mean is None or affine.variance is None:
        fillers = _fillers(param.source_field, "scale_filler", "shift_filler")
        edits = site.retyped("Scale", ("scale_param", fillers), gone=("bn_param",))
        moves = [Move(name, blob, (channels,), name) for blob in (0, 1)]
        return Change(
            edits, "BN -> Scale", "in its mode INFERENCE it is a scale and a shift", moves
        )
    fields: Fields = [("eps", affine.eps)] if affine.eps != _BVLC_EPS else []
    fields += [("use_global_stats", True)] if param.get("frozen") else []
    fields += [("moving_average_fraction", param.get("momentum"))]
    rates = site.layer.field.all("param")
    edits = site.retyped("BatchNorm", ("batch_norm_param", fields), gone=("bn_param",))
    edits += [removed(one) for one in rates]
    fillers = _fillers(param.source_field, "slope_filler", "bias_filler")
    scale, moves = _scale(site, fillers, rates[:2], (0, 1), channels)
    edits.append(site.behind(scale))
    moves += [_taken(name, at, (channels,), number) for at, number in enumerate((2, 3))]
    moves.append(given(name, 2, (1,), (1.0,), "BatchNorm"))
    why = "mean and variance in one, scale and shift in the other"
    return Change(edits, "BN -> BatchNorm, Scale", why, moves)


def batch_norm(site: Site) -> Change:
    """A Scale after the BatchNorm, with the BatchNorm's own factor and summand."""
    affine = of(site.layer).affine(site.layer)
    if affine is None or affine.factor is None or affine.summand is None:
        raise Kept(_NO_STATISTICS)
    if site.layer.param("batch_norm_param").says("filler", "bias_term", "use_weight_bias"):
        raise Kept(
            "its fields are of NVCaffe and of Intel's Caffe, which store different blobs for them"
        )
    _check_alone(site)
    channels, name = site.channels(), site.layer.name
    own = site.layer.param("batch_norm_param")
    words = ("scale_bias", "scale_filler", "bias_filler")
    fillers = _fillers(own.source_field, "scale_filler", "bias_filler")
    edits = [taken_out(one) for each in site.layer.field.all("batch_norm_param")
             for one in each.all(*words)]  # fmt: skip
    if own.get("eps") < affine.eps:
        eps = [("eps", affine.eps)]
        edits += set_param(site.layer, "batch_norm_param", eps, site.net.style)
    rates = site.layer.field.all("param")
    edits += [removed(one) for one in rates[3:]]
    scale, moves = _scale(site, fillers, rates[3:5], (affine.factor, affine.summand), channels)
    edits.append(site.behind(scale))
    sizes = ((channels,), (channels,), (1,))
    moves += [_taken(name, at, shape, at) for at, shape in enumerate(sizes)]
    what = "scale_bias -> Scale after it"
    return Change(edits, what, "its scale and shift per channel become a layer", moves)


def _check_alone(site: Site) -> None:
    if len(site.layer.tops) > 1:
        raise Kept("it also outputs the batch's mean and variance")
    shared = site.work.sharing(site.layer)
    if shared:
        raise Kept(shared)


def _fillers(param: Field | None, factor: str, summand: str) -> Fields:
    """What a scale_param says: both are learned, and start as the fork's layer says."""
    found: Fields = []
    for old, new in ((factor, "filler"), (summand, "bias_filler")):
        said = param.last(old) if param else None
        found += [(new, plain(said))] if said is not None and said.fields else []
    return [*found[:1], ("bias_term", True), *found[1:]]


def _scale(
    site: Site, fillers: Fields, rates: Sequence[Field], blobs: tuple[int, int], channels: int
) -> tuple[Fields, list[Move]]:
    """A Scale in place on the layer's top, and what becomes its factor and its summand."""
    more = [("param", plain(rate)) for rate in rates]
    made = site.made("scale", "Scale", [site.top], *more, ("scale_param", fillers), tops=[site.top])
    name, source = str(made[0][1]), site.layer.name
    moves = [
        Move(name, at, (channels,), source, "blob", (number,)) for at, number in enumerate(blobs)
    ]
    return made, moves


def _taken(name: str, blob: int, shape: tuple[int, ...], number: int) -> Move:
    return Move(name, blob, shape, name, "blob", (number,))
