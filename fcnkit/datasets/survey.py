"""The figures of an LMDB of Datums, and how they are shown; `records` counts them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from fcnkit import notebook
from fcnkit.plural import number_of
from fcnkit.shape import Shape, show
from fcnkit.tables import folded

# Of more different numbers than this only how many, the least and the greatest are kept.
MOST_NUMBERS = 1 << 16
# So many shapes are shown, and so many different numbers with how often each is there.
_SHAPES, LISTED = 8, 64
# Characters of a key that are shown.
_KEY = 32


class Kind(NamedTuple):
    """How records are stored: `stored` as bytes, floats or a picture file, and in which shape."""

    stored: str
    shape: Shape


class Fault(NamedTuple):
    """A record that is no Datum, and why."""

    key: str
    reason: str


class Values(NamedTuple):
    """What all values of all records come to; `distinct` are those of gray bytes, if they are few.

    `mean` is one number for each channel where all records have as many, else one.
    """

    least: float
    greatest: float
    mean: tuple[float, ...]
    distinct: tuple[int, ...]
    not_finite: int


@dataclass(frozen=True)
class Survey:
    """The figures of an LMDB.  `labels` maps each number to how many records have it."""

    folder: str
    names: tuple[str, ...]
    records: int
    nbytes: int
    first_key: str
    last_key: str
    key_forms: Mapping[str, int]
    unpadded: bool
    kinds: Mapping[Kind, int]
    labels: Mapping[int, int]
    label_range: tuple[int, int] | None
    unlabelled: int
    values: Values | None
    faults: tuple[Fault, ...]
    faulty: int

    def table(self) -> str:
        """What there is, in 80 columns."""
        lines: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
            (("records",), (f"{self.records:,}; {number_of(self.nbytes, 'byte')}",)),
            (("keys",), tuple(self._keys())),
        ]
        lines += [
            ((stored,), tuple(_shapes(counts))) for stored, counts in self._by_stored().items()
        ]
        lines.append((("labels",), tuple(self._labels())))
        if self.values:
            lines.append((("values",), tuple(self._values(self.values))))
        if self.faulty:
            lines.append((("faulty",), tuple(self._faults())))
        return folded(line for line in lines if line[1])

    def _by_stored(self) -> dict[str, dict[Shape, int]]:
        found: dict[str, dict[Shape, int]] = {}
        for kind, count in sorted(self.kinds.items(), key=lambda item: -item[1]):
            found.setdefault(kind.stored, {})[kind.shape] = count
        return found

    def _keys(self) -> Iterator[str]:
        forms = [(form, count) for form, count in self.key_forms.items()]
        for form, count in forms:
            yield form if len(forms) == 1 else f"{form}: {count:,}"
        if forms:
            yield f"{_short(self.first_key)} to {_short(self.last_key)}"
        if self.unpadded:
            yield "numbers of different lengths, which Caffe sorts as text, 10 before 2"

    def _labels(self) -> Iterator[str]:
        if self.unlabelled:
            yield f"none in {_of(self.unlabelled, self.records - self.faulty)}; Caffe reads 0"
        if self.label_range is None:
            return
        low, high = self.label_range
        if not self.labels:
            yield f"more than {MOST_NUMBERS:,} different, from {low} to {high}"
            return
        if len(self.labels) == 1:
            yield f"{self._named(low)} in {_of(self.labels[low], self.records - self.faulty)}"
            return
        yield f"{len(self.labels):,} different, from {low} to {high}"
        missing = high - low + 1 - len(self.labels)
        if missing:
            yield f"{number_of(missing, 'number')} missing in between"
        yield from self._counted()

    def _counted(self) -> Iterator[str]:
        if len(self.labels) <= LISTED:
            counts = sorted(self.labels.items())
            yield "; ".join(f"{self._named(label)}: {count:,}" for label, count in counts)
            return
        most, least = (pick(self.labels.items(), key=lambda one: one[1]) for pick in (max, min))
        for word, (label, count) in (("most", most), ("least", least)):
            times = "once" if count == 1 else f"{number_of(count, 'time')}"
            yield f"{self._named(label)} {word} often, {times}"

    def _named(self, label: int) -> str:
        inside = 0 <= label < len(self.names) and self.names[label] != str(label)
        return f"{label} {self.names[label]}" if inside else str(label)

    def _values(self, values: Values) -> Iterator[str]:
        channels = {kind.shape[0] for kind in self.kinds}
        what = ", ".join(f"{value:.6g}" for value in values.mean)
        each = " of each channel" if len(values.mean) > 1 else ""
        yield f"{values.least:g} to {values.greatest:g}; mean{each} {what}"
        if values.not_finite:
            yield f"{values.not_finite:,} infinite or NaN"
        if values.distinct and channels == {1}:
            yield f"{len(values.distinct)} different: {_ranges(values.distinct)}"

    def _faults(self) -> Iterator[str]:
        yield f"{_of(self.faulty, self.records)}:"
        for fault in self.faults:
            yield f"{_short(fault.key)}: {fault.reason}"
        if self.faulty > len(self.faults):
            yield f"and {self.faulty - len(self.faults):,} more"

    def json(self) -> dict[str, Any]:
        """The same as plain lists, dicts, strings and numbers."""
        return {
            "records": self.records,
            "bytes": self.nbytes,
            "keys": {
                "first": self.first_key,
                "last": self.last_key,
                "forms": dict(self.key_forms),
                "unpadded_numbers": self.unpadded,
            },
            "kinds": [
                {"stored": kind.stored, "shape": list(kind.shape), "records": count}
                for kind, count in self.kinds.items()
            ],
            "labels": {
                "counts": [[label, count] for label, count in sorted(self.labels.items())],
                "range": list(self.label_range) if self.label_range else None,
                "unlabelled": self.unlabelled,
            },
            "values": self._plain_values(),
            "faulty": self.faulty,
            "faults": [fault._asdict() for fault in self.faults],
        }

    def _plain_values(self) -> dict[str, Any] | None:
        values = self.values
        if values is None:
            return None
        return {
            key: [*each] if isinstance(each, tuple) else each
            for key, each in values._asdict().items()
        }

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        return notebook.text(self.table())


# ---- words


def _shapes(counts: Mapping[Shape, int]) -> Iterator[str]:
    for shape, count in list(counts.items())[:_SHAPES]:
        yield f"{show(shape)}: {count:,}"
    others = list(counts.items())[_SHAPES:]
    if others:
        records = sum(count for _, count in others)
        sides = [range_of(axis) for axis in zip(*(shape for shape, _ in others), strict=True)]
        yield f"{number_of(len(others), 'other shape')}, within {' x '.join(sides)}: {records:,}"


def range_of(sizes: Sequence[int]) -> str:
    """One size, or the least and the greatest of several."""
    low, high = min(sizes), max(sizes)
    return str(low) if low == high else f"{low}-{high}"


def _ranges(numbers: Sequence[int]) -> str:
    """Numbers in order, those that follow each other as one: 0-11, 255."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(range_of(run) for run in runs)


def _short(key: str) -> str:
    """A key whose line is not too long for a terminal."""
    return key if len(key) <= _KEY else f"{key[: _KEY - 3]}..."


def _of(some: int, every: int) -> str:
    one = "the one record" if every == 1 else f"all {number_of(every, 'record')}"
    return one if some == every else f"{some:,} of {number_of(every, 'record')}"
