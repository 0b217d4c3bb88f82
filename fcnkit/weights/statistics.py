"""What the blobs of a weights file hold: least, largest and mean value, zeros, NaN and infinity.

Every value is read once, in the pieces that the file gives, and counted in
float64: the memory that this takes does not grow with a blob.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple

from fcnkit import expected, notebook
from fcnkit.plural import number_of
from fcnkit.progress import Progress, no_progress
from fcnkit.shape import Shape
from fcnkit.tables import GAP, columns, folded
from fcnkit.weights.blobs import Blob
from fcnkit.weights.store import WeightsOrPath
from fcnkit.weights.store import given as given_weights

if TYPE_CHECKING:
    import numpy

# As many values at a time: longer float64 arrays come from the system and go back to it each time.
RUN = 1 << 13


ALL_ZERO, NAN, INFINITE = "all zero", "NaN", "infinite"

_COLUMNS = ("layer", "blob", "shape", "bytes", "minimum", "maximum", "mean", "zeros")


class BlobStatistics(NamedTuple):
    """The statistics of one blob.

    `minimum`, `maximum`, `mean` and `deviation` (the standard deviation) are computed from the
    finite values, and are None if there are none. `zeros`, `nans` and `infinities` count values.
    """

    layer: str
    blob: int
    shape: Shape
    dtype: str
    count: int  # type: ignore[assignment]  # in place of tuple.count, which nobody asks for
    bytes: int
    minimum: float | None
    maximum: float | None
    mean: float | None
    deviation: float | None
    zeros: int
    nans: int
    infinities: int

    @property
    def flags(self) -> tuple[str, ...]:
        """What is unusual about the blob: "all zero", "NaN", "infinite"."""
        odd = {ALL_ZERO: 0 < self.count == self.zeros, NAN: self.nans, INFINITE: self.infinities}
        return tuple(flag for flag, found in odd.items() if found)


@dataclass(frozen=True)
class Statistics:
    """The statistics of a weights file: a row for each blob, in the order of the file."""

    path: str
    rows: tuple[BlobStatistics, ...]

    @property
    def count(self) -> int:
        """The number of all values."""
        return sum(row.count for row in self.rows)

    @property
    def bytes(self) -> int:
        """The size of all values in bytes."""
        return sum(row.bytes for row in self.rows)

    @property
    def flagged(self) -> tuple[BlobStatistics, ...]:
        """The rows that have something unusual."""
        return tuple(row for row in self.rows if row.flags)

    @property
    def types(self) -> tuple[str, ...]:
        """The types in which values are stored, the most frequent first."""
        return tuple(name for name, _ in Counter(row.dtype for row in self.rows).most_common())

    def table(self, width: int = 10_000) -> str:
        """A line for each blob, and the sums. A name that is too long for `width` is written
        above its blobs.
        """
        names, *cells = zip(_COLUMNS, *map(_cells, self.rows), strict=True)
        numbers = columns(zip(*cells, strict=True), left=(_COLUMNS.index("shape") - 1,))
        notes = ["", *(self._notes(row) for row in self.rows)]
        room = max(width - len(GAP) - len(numbers[0]), len("layer"))
        table = folded(
            (
                ((head,), (f"{line}{GAP}{note}",))
                for head, line, note in zip(_heads(names, room), numbers, notes, strict=True)
            ),
            width=width,
            most=room,
        )
        return f"{self.path}\n{table}{self.totals()}"

    def totals(self) -> str:
        """The sums, and how many blobs are unusual, as text."""
        layers, zeros = len({row.layer for row in self.rows}), sum(row.zeros for row in self.rows)
        odd = Counter(flag for row in self.rows for flag in row.flags)
        lines = [
            f"{number_of(len(self.rows), 'blob')} of {number_of(layers, 'layer')}, "
            f"{number_of(self.count, 'value')}",
            f"{number_of(self.bytes, 'byte')}{', ' * bool(self.types)}{' and '.join(self.types)}; "
            f"zeros {share(zeros, self.count)}",
            *(
                f"{number} {'blob' if number == 1 else 'blobs'} {_WORDS[flag]}"
                for flag, number in odd.items()
            ),
        ]
        return "".join(f"{line}\n" for line in lines)

    def _notes(self, row: BlobStatistics) -> str:
        """What is odd about a row, and its type in a file of several."""
        counts = {NAN: row.nans, INFINITE: row.infinities}
        notes = [f"{counts[flag]:,} {flag}" if flag in counts else flag for flag in row.flags]
        return ", ".join(notes + [row.dtype] * (len(self.types) > 1))

    def json(self) -> dict[str, Any]:
        """The content as plain lists, dicts, strings and numbers; null for a missing figure."""
        return {
            "weights": self.path,
            "values": self.count,
            "bytes": self.bytes,
            "blobs": [_plain(row) for row in self.rows],
        }

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        rows = ((*_cells(row), self._badge(row)) for row in self.rows)
        left, head = (0, _COLUMNS.index("shape")), (*_COLUMNS, "")
        return notebook.table(rows, head=head, caption=self.path, note=self.totals(), left=left)

    def _badge(self, row: BlobStatistics) -> str:
        notes = self._notes(row)
        bad = NAN in row.flags or INFINITE in row.flags
        return notebook.badge(notes, "bad" if bad else "warn") if row.flags else notes


_WORDS = {ALL_ZERO: "all zero", NAN: "with NaN", INFINITE: "with infinity"}


@expected.checked
def statistics(weights: WeightsOrPath, *, progress: Progress = no_progress) -> Statistics:
    """Computes statistics of every blob; each value is read once.

    >>> row = fk.statistics("net.caffemodel").rows[0]
    >>> row.layer, row.shape, round(row.maximum, 2)
    ('conv1', (16, 1, 5, 5), 0.97)

    - `weights`: Weights or their path.
    - `progress`: is called with the number of bytes that have been read.

    Returns Statistics with one row for each blob.

    Raises WeightsError if the file has changed since it was opened.
    """
    weights = given_weights(weights)
    blobs = (
        (name, number, blob) for name, blobs in weights.items() for number, blob in enumerate(blobs)
    )
    return Statistics(weights.path, tuple(_row(*each, progress) for each in blobs))


def _row(layer: str, number: int, blob: Blob, progress: Progress) -> BlobStatistics:
    import numpy

    with numpy.errstate(
        over="ignore", invalid="ignore"
    ):  # NaN of any kind, float64 that comes to infinity
        found = reduce(_joined, map(_part, values(blob, progress)), _Moments())
    deviation = math.sqrt(found.spread / max(found.finite, 1))
    return BlobStatistics(
        layer,
        number,
        blob.shape,
        blob.dtype,
        blob.count,
        blob.nbytes,
        found.low if found.finite else None,
        found.high if found.finite else None,
        found.mean if found.finite else None,
        deviation if found.finite else None,
        found.zeros,
        found.nans,
        found.infinities,
    )


def values(blob: Blob, progress: Progress = no_progress) -> Iterator["numpy.ndarray"]:
    """The values in turn, in the stored type; each array may be overwritten by the next."""
    import numpy

    stored = numpy.dtype(blob.dtype).newbyteorder("<")
    for piece in blob.pieces():
        found = numpy.frombuffer(piece, stored)
        yield from (found[at : at + RUN] for at in range(0, len(found), RUN))
        progress(len(piece))


class _Moments(NamedTuple):
    """What a run of values comes to; `spread` sums the squared distances from its mean."""

    finite: int = 0
    low: float = math.inf
    high: float = -math.inf
    mean: float = 0.0
    spread: float = 0.0
    zeros: int = 0
    nans: int = 0
    infinities: int = 0


def _part(run: "numpy.ndarray") -> _Moments:
    import numpy

    wide = run.astype(numpy.float64)
    whole = numpy.isfinite(wide)
    finite = wide if whole.all() else wide[whole]
    nans = int(numpy.isnan(wide).sum()) if len(finite) < len(wide) else 0
    odd = nans, len(wide) - len(finite) - nans
    if not len(finite):
        return _Moments(nans=odd[0], infinities=odd[1])
    zeros, low, high = numpy.count_nonzero(finite == 0), float(finite.min()), float(finite.max())
    mean = float(finite.mean())
    finite -= mean
    spread = float(numpy.square(finite, out=finite).sum())
    return _Moments(len(finite), low, high, mean, spread, int(zeros), *odd)


def _joined(one: _Moments, other: _Moments) -> _Moments:
    """What two runs come to together:
    https://en.wikipedia.org/wiki/Algorithms_for_calculating_variance.
    """
    finite, offset = one.finite + other.finite, other.mean - one.mean
    weight = other.finite / max(finite, 1)
    return _Moments(
        finite,
        min(one.low, other.low),
        max(one.high, other.high),
        one.mean + offset * weight,
        one.spread + other.spread + offset * offset * one.finite * weight,
        *(old + new for old, new in zip(one[5:], other[5:], strict=True)),
    )


def _cells(row: BlobStatistics) -> tuple[str, ...]:
    return (
        row.layer,
        str(row.blob),
        "x".join(map(str, row.shape)) or "1",
        f"{row.bytes:,}",
        _shown(row.minimum),
        _shown(row.maximum),
        _shown(row.mean),
        share(row.zeros, row.count),
    )


def _shown(figure: float | None) -> str:
    return "-" if figure is None else f"{figure + 0:.3g}"


def share(part: int, whole: int) -> str:
    """How much of a whole a part is, in percent; 0% and 100% are exact."""
    if part in (0, whole):
        return "100%" if part else "0%"
    percent = min(max(100 * part / whole, 0.1), 99.9)
    return f"{percent:.1f}%"


def _heads(names: Sequence[str], room: int) -> Iterator[str]:
    """Each line's name; one that is too long for its column is said once."""
    for before, name in zip(("", *names), names, strict=False):
        yield "" if len(name) > room and name == before else name


def _plain(row: BlobStatistics) -> dict:
    figures = {name: value for name, value in row._asdict().items() if isinstance(value, float)}
    unsaid = {name: None for name, value in figures.items() if not math.isfinite(value)}
    return row._asdict() | {"shape": list(row.shape), "flags": list(row.flags)} | unsaid
