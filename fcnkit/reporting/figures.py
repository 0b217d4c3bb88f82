"""Figures of many numbers, read once or twice in pieces: how they spread, and their digest."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from fcnkit.weights.blobs import Blob
from fcnkit.weights.statistics import BlobStatistics, values

if TYPE_CHECKING:
    import numpy

BINS = 64


class Histogram(NamedTuple):
    """How many values lie in each equal part between `low` and `high`; zeros are left out."""

    low: float
    high: float
    counts: tuple[int, ...]

    @property
    def path(self) -> str:
        """Its outline as an SVG path, `BINS` wide and 20 high."""
        most = max(self.counts, default=0) or 1
        steps = (f"V{20 - 20 * count / most:.2f}h1" for count in self.counts)
        return f"M0,20{''.join(steps)}V20Z"


class Spread(NamedTuple):
    """What an array's values are like; None where no value is finite."""

    shape: tuple[int, ...]
    minimum: float | None
    maximum: float | None
    mean: float | None
    deviation: float | None
    zeros: int
    nans: int
    infinities: int
    total: int
    histogram: Histogram


def digest_and_histogram(blob: Blob, row: BlobStatistics) -> tuple[str, Histogram]:
    """The SHA-256 of a stored blob's values as little-endian numbers, and their histogram."""
    digest = hashlib.sha256()

    def runs() -> Iterator["numpy.ndarray"]:
        for run in values(blob):
            digest.update(run.tobytes())
            yield run

    found = histogram(runs(), row.minimum, row.maximum)
    return digest.hexdigest(), found


def histogram(runs: Iterable["numpy.ndarray"], low: float | None, high: float | None) -> Histogram:
    """The histogram of values that lie between two numbers; all runs are read in any case."""
    import numpy as np

    low, high = (0.0 if low is None else low), (0.0 if high is None else high)
    counts = np.zeros(BINS, np.int64)
    width = (high - low) / BINS
    for run in runs:
        if not width > 0 or not np.isfinite(width):
            continue
        wide = run.astype(np.float32 if run.dtype.itemsize < 8 else np.float64)
        wide = wide[np.isfinite(wide) & (wide != 0)]
        places = np.clip((wide - low) / width, 0, BINS - 1).astype(np.int64)
        counts += np.bincount(places, minlength=BINS)
    return Histogram(low, high, tuple(counts.tolist()))


def spread(array: "numpy.ndarray") -> Spread:
    """The figures of an array in memory."""
    import numpy as np

    flat = array.reshape(-1)
    finite = flat[np.isfinite(flat)]
    nans = int(np.isnan(flat).sum())
    low = high = mean = deviation = None
    if len(finite):
        low, high = float(finite.min()), float(finite.max())
        mean, deviation = (
            float(finite.mean(dtype=np.float64)),
            float(finite.std(dtype=np.float64)),
        )
    return Spread(
        array.shape,
        low,
        high,
        mean,
        deviation,
        int(len(finite) - np.count_nonzero(finite)),
        nans,
        int(len(flat) - len(finite) - nans),
        len(flat),
        histogram([finite], low, high),
    )
