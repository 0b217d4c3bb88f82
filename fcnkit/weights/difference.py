"""What a comparison of weights found: a row for each blob, shown as a table."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NamedTuple

from fcnkit import notebook
from fcnkit.formats.blobproto import shown_shape
from fcnkit.inspection import FITS, MISMATCH, RESHAPE
from fcnkit.shape import Shape
from fcnkit.tables import folded

EQUAL, CLOSE, CHANGED, RESHAPED = "equal", "close", "changed", "reshaped"
MISSING, EXTRA = "missing", "extra"

_SAME = (EQUAL, FITS, CLOSE)
# How the summary says each, in its order.
_WORDS = {
    EQUAL: EQUAL,
    FITS: "fitting",
    CLOSE: CLOSE,
    CHANGED: CHANGED,
    RESHAPED: RESHAPED,
    RESHAPE: "to reshape",
    MISMATCH: "mismatched",
    MISSING: MISSING,
    EXTRA: EXTRA,
}


class BlobChange(NamedTuple):
    """How far the values b of one blob are from the values a of another.

    `differing` of the `count` values differ; bit-equal NaN are equal, and so are zeros of either
    sign. `largest` and `mean` are those of |b - a|, in float64, over the places where both are
    finite. `relative` is `largest` divided by the largest finite |a|: 0 if nothing differs, and
    infinite if all a are 0. `odd` of the differing values are NaN or infinite on either side.
    """

    count: int  # type: ignore[assignment]  # in place of tuple.count, which nobody asks for
    differing: int
    largest: float
    mean: float
    relative: float
    odd: int

    def within(self, tolerance: float) -> bool:
        """Whether all values are equal, or differ by finite numbers with `relative` at most
        `tolerance`.
        """
        return not self.differing or bool(tolerance and not self.odd and self.relative <= tolerance)

    def __str__(self) -> str:
        if not self.differing:
            return "values equal"
        odd = f", {self.odd:,} with NaN or infinity" if self.odd else ""
        return (
            f"{self.differing:,} of {self.count:,} differ{odd}: "
            f"largest {self.largest:.3g}, mean {self.mean:.3g}, relative {self.relative:.2g}"
        )


class BlobDifference(NamedTuple):
    """One blob of the first file (`layer`, `old` shape), and its counterpart in the second
    (`new_layer`, `new` shape).

    If one of them is missing, its values are "" and None; a net has no types of values. If a net
    does not give a size, `new` is None and `why` is the reason.
    """

    verdict: str
    layer: str
    new_layer: str
    blob: int
    old: Shape | None
    new: Shape | None
    old_type: str = ""
    new_type: str = ""
    change: BlobChange | None = None
    why: str = ""


@dataclass(frozen=True)
class Comparison:
    """The comparison of two weights files, or of a weights file with a net: a row for each blob.

    `lacking` says which of the two lacks the "missing" blobs.
    """

    first: str
    second: str
    lacking: str
    rows: tuple[BlobDifference, ...]
    tolerance: float = 0.0

    @property
    def equal(self) -> bool:
        """Whether every blob is equal within the tolerance, or fits the net.

        A blob with another shape counts as equal if its values are equal.
        """
        return all(
            row.verdict == RESHAPED and row.change is not None and row.change.within(self.tolerance)
            for row in self.different
        )

    @property
    def different(self) -> tuple[BlobDifference, ...]:
        """The rows that are not equal within the tolerance, or do not fit the net."""
        return tuple(row for row in self.rows if row.verdict not in _SAME)

    def of(self, *verdicts: str) -> tuple[BlobDifference, ...]:
        """The rows with one of these verdicts."""
        return tuple(row for row in self.rows if row.verdict in verdicts)

    def table(self, width: int = 80, *, every: bool = False) -> str:
        """The rows that differ, or with `every` all rows, and the summary, in at most `width`
        columns.
        """
        cells = [_cells(row) for row in (self.rows if every else self.different)]
        rows = ((each[:2], each[2:]) for each in cells)
        return folded(rows, width=width, most=width // 3) + self.summary()

    def summary(self) -> str:
        """How many blobs have each verdict, and where missing blobs are missing."""
        counts = Counter(row.verdict for row in self.rows)
        found = [verdict for verdict in _WORDS if counts[verdict]]
        nouns = ["blob " if counts[found[0]] == 1 else "blobs "] if found else []
        parts = zip_longest(found, nouns, fillvalue="")
        counted = ", ".join(f"{counts[verdict]} {noun}{_WORDS[verdict]}" for verdict, noun in parts)
        lines = [counted or "no blobs", *self._legend(counts)]
        return "".join(f"{line}\n" for line in lines)

    def _legend(self, counts: Counter) -> Iterator[str]:
        having = self.first if self.lacking == self.second else self.second
        if counts[CLOSE]:
            yield f"{CLOSE}: the relative difference is at most {self.tolerance:g}"
        if counts[MISSING]:
            yield f"{MISSING}: not in {self.lacking}"
        if counts[EXTRA]:
            yield f"{EXTRA}: not in {having}"

    def json(self) -> dict[str, Any]:
        """The content as plain lists, dicts, strings and numbers; null for a figure that is not
        finite.
        """
        return {
            "first": self.first,
            "second": self.second,
            "equal": self.equal,
            "tolerance": self.tolerance,
            "counts": dict(Counter(row.verdict for row in self.rows)),
            "blobs": [_plain(row) for row in self.rows],
        }

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        caption = f"{self.first} against {self.second}"
        return notebook.table(
            map(_cells, self.different), caption=caption, note=self.summary(), left=True
        )


def _cells(row: BlobDifference) -> tuple[str, str, str, str]:
    name = row.layer or row.new_layer
    if row.layer and row.new_layer and row.layer != row.new_layer:
        name = f"{row.layer} -> {row.new_layer}"
    detail = row.change if row.change and row.verdict not in (EQUAL, MISMATCH) else row.why
    return f"{name} {row.blob}", row.verdict, _sizes(row), str(detail or "")


def _sizes(row: BlobDifference) -> str:
    sides = ((row.old, row.old_type), (row.new, row.new_type))
    types = {kind for _, kind in sides if kind}
    shown = [
        f"{shown_shape(shape)} {kind if len(types) > 1 else ''}".strip()
        for shape, kind in sides
        if shape is not None
    ]
    return " -> ".join(dict.fromkeys(shown))


def _plain(row: BlobDifference) -> dict:
    shapes = {"old": _listed(row.old), "new": _listed(row.new)}
    return row._asdict() | shapes | {"change": row.change and _figures(row.change)}


def _listed(shape: Shape | None) -> Sequence[int] | None:
    return None if shape is None else list(shape)


def _figures(change: BlobChange) -> dict:
    return {
        name: value if math.isfinite(value) else None for name, value in change._asdict().items()
    }
