"""What can be wrong with the values that weights hold for a net, one function per check.

Each yields Hits; the first line of its docstring says what it finds.
"""

from collections.abc import Iterator

from fcnkit.linting.learning import by_stored, like
from fcnkit.linting.seen import Hit, Seen
from fcnkit.nets.layers.table import keeps_statistics, of
from fcnkit.nets.layers.traits import Affine
from fcnkit.weights.blobs import Blob


def statistics(seen: Seen) -> Iterator[Hit]:
    """a BatchNorm whose stored statistics Caffe reads as zeros or turns into NaN"""
    weights = seen.weights
    for layer in filter(keeps_statistics, seen.graph.layers) if weights is not None else ():
        affine, stored = of(layer).affine(layer), weights.get(layer.name) if weights else None
        words = ""
        if not stored and by_stored(seen, layer):
            words = "has no statistics for it, and use_global_stats is true; leave that out"
        elif affine and stored and len(stored) >= affine.blobs:
            words = _amiss(affine, stored)
        if words:
            yield Hit(layer, f"{weights.path if weights else ''} {words}")


def _amiss(affine: Affine, stored: tuple[Blob, ...]) -> str:
    """What is wrong with stored statistics, and what to do; "" where nothing is."""
    mean, variance, factor = (
        None if number is None else stored[number].array().astype("f8")
        for number in (affine.mean, affine.variance, affine.divisor)
    )
    count = 1.0 if factor is None else float(factor.sum())
    if not count and any(part is not None and part.any() for part in (mean, variance)):
        remedy = (
            f"set the factor, blob {affine.divisor}, to 1 if mean and variance are final values"
        )
        return (
            f"has the factor 0 beside its mean and variance, which Caffe then reads as 0; {remedy}"
        )
    lowest = float(variance.min()) / count if variance is not None and count else 0.0
    if lowest + affine.eps < 0:
        remedy = "measure it again, or set it to 0 if that is a rounding error"
        return f"has a variance of {lowest:g} for it, which has no square root; {remedy}"
    return ""


def raw_weights(seen: Seen) -> Iterator[Hit]:
    """weights in NVCaffe's raw data, on which BVLC Caffe aborts"""
    weights = seen.weights
    raw = set(weights.raw) if weights is not None else set()
    mine = [layer for layer in seen.graph.layers if layer.name in raw]
    if mine and weights is not None:
        fact = f"its blobs in {weights.path} are NVCaffe's raw data{like(len(mine) - 1)}"
        remedy = f"`fcnkit convert {weights.path} OUT.caffemodel` makes a file that it reads"
        yield Hit(mine[0], f"{fact}, on which BVLC Caffe aborts; {remedy}")
