"""What an LMDB of Datums holds, whoever made it: keys, shapes, encodings, labels, values.

Every record is read once, in the order in which Caffe reads them, and one at a
time.  Pictures are decoded, since that alone shows that they can be; their
channels are counted as Caffe has them, blue to red.
"""

import io
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fcnkit.datasets.images import opened
from fcnkit.datasets.survey import LISTED, MOST_NUMBERS, Fault, Kind, Survey, Values
from fcnkit.errors import DatasetError
from fcnkit.formats import datum, lmdbs
from fcnkit.plural import number_of
from fcnkit.progress import Progress, no_progress
from fcnkit.shape import show

if TYPE_CHECKING:
    import numpy
    from PIL.Image import Image

# So many faulty records are named; the others are counted.
_NAMED = 20
_BYTES, _FLOATS = "bytes", "floats"


def survey(
    folder: str | Path, *, names: Sequence[str] = (), progress: Progress = no_progress
) -> Survey:
    """The figures of the LMDB in a folder; `names` are those of its labels' classes.

    Raises DatasetError where there is no LMDB, a damaged one, or one without a
    single Datum.
    """
    folder = Path(folder)
    found = _Counts()
    with lmdbs.Database(folder) as database:
        for key, read in database.entries():
            found.add(key, read())
            progress(1)
    if found.faulty and found.faulty == found.records:
        fault = found.faults[0]
        fact = f"none of its {found.records:,} records is a Datum; record '{fault.key}'"
        raise DatasetError(
            f"{folder}: {fact} {fault.reason}; it may be the database of another tool"
        )
    nbytes = (folder / "data.mdb").stat().st_size
    return found.survey(str(folder), tuple(names), nbytes)


class Picture(NamedTuple):
    """One record as a picture: its key, its number, (channels, height, width)."""

    key: str
    label: int | None
    array: "numpy.ndarray"


def pictures(folder: str | Path, count: int) -> Iterator[Picture]:
    """At most `count` records from all over the LMDB, as pictures of 1, 3 or 4 channels.

    Those that are no Datums are passed over.  Raises DatasetError for one that is no picture.
    """
    with lmdbs.Database(Path(folder)) as database:
        every = max(1, database.count // max(count, 1))
        for number, (key, read) in enumerate(database.entries()):
            if number % every == 0 and number // every < count:
                place = f"{folder}: record {lmdbs.shown(key)}"
                try:
                    found = datum.read(read())
                    _, array = _array(found)
                except ValueError:
                    continue
                yield _picture(place, key, found, array)


def _picture(place: str, key: bytes, found: datum.Datum, array: "numpy.ndarray") -> Picture:
    if array.shape[0] not in (1, 3, 4) or min(array.shape[1:]) < 2:
        fact = f"is {show(array.shape)}, and a picture has 1, 3 or 4 channels and two sides"
        raise DatasetError(f"{place}: {fact}; inspect it without --sheet")
    return Picture(_text(key), found.label if found.labelled else None, array)


# ---- counting


@dataclass
class _Counts:
    """Figures that grow record by record, in bounded memory."""

    records: int = 0
    first: bytes = b""
    last: bytes = b""
    forms: Counter[str] = field(default_factory=Counter)
    lengths: set[int] = field(default_factory=set)
    kinds: Counter[Kind] = field(default_factory=Counter)
    labels: Counter[int] | None = field(default_factory=Counter)
    low: int | None = None
    high: int | None = None
    unlabelled: int = 0
    faults: list[Fault] = field(default_factory=list)
    faulty: int = 0
    least: float = math.inf
    greatest: float = -math.inf
    sums: dict[int, list[float]] = field(default_factory=dict)
    areas: Counter[int] = field(default_factory=Counter)
    bins: "numpy.ndarray | None" = None
    not_finite: int = 0

    def add(self, key: bytes, data: bytes) -> None:
        """One more record."""
        self.first = self.first if self.records else key
        self.last, self.records = key, self.records + 1
        self.forms[_form(key)] += 1
        if key.isdigit():
            self.lengths.add(len(key))
        try:
            found = datum.read(data)
            stored, array = _array(found)
        except ValueError as error:
            self.faulty += 1
            self.faults += [Fault(_text(key), str(error))] * (len(self.faults) < _NAMED)
            return
        self.kinds[Kind(stored, tuple(array.shape))] += 1
        self._label(found)
        self._values(array)

    def _label(self, found: datum.Datum) -> None:
        if not found.labelled:
            self.unlabelled += 1
            return
        self.low = found.label if self.low is None else min(self.low, found.label)
        self.high = found.label if self.high is None else max(self.high, found.label)
        if self.labels is not None:
            self.labels[found.label] += 1
            self.labels = None if len(self.labels) > MOST_NUMBERS else self.labels

    def _values(self, array: "numpy.ndarray") -> None:
        import numpy as np

        channels, area = array.shape[0], math.prod(array.shape[1:])
        if array.dtype.kind == "f":
            finite = np.isfinite(array)
            lost = array.size - int(finite.sum())
            self.not_finite += lost
            array = np.where(finite, array, 0) if lost else array
        self.least = min(self.least, float(array.min()))
        self.greatest = max(self.greatest, float(array.max()))
        exact = np.float64 if array.dtype.kind == "f" else np.int64
        sums = array.sum(axis=(1, 2), dtype=exact).tolist()
        old = self.sums.setdefault(channels, [0] * channels)
        self.sums[channels] = [before + more for before, more in zip(old, sums, strict=True)]
        self.areas[channels] += area
        if channels == 1 and array.dtype == np.uint8:
            counts = np.bincount(array.ravel(), minlength=256)
            self.bins = counts if self.bins is None else self.bins + counts

    def survey(self, folder: str, names: tuple[str, ...], nbytes: int) -> Survey:
        """The figures as they stand."""
        labels = {} if self.labels is None else dict(self.labels)
        has = None if self.low is None or self.high is None else (self.low, self.high)
        return Survey(
            folder,
            names,
            self.records,
            nbytes,
            _text(self.first),
            _text(self.last),
            dict(self.forms.most_common()),
            len(self.lengths) > 1,
            dict(self.kinds.most_common()),
            labels,
            has,
            self.unlabelled,
            self._made() if self.kinds else None,
            tuple(self.faults),
            self.faulty,
        )

    def _made(self) -> Values:
        means = {
            channels: [value / self.areas[channels] for value in sums]
            for channels, sums in self.sums.items()
        }
        mean = next(iter(means.values()))
        if len(means) > 1 or len(mean) > 4:
            total = sum(channels * area for channels, area in self.areas.items())
            mean = [math.fsum(value for sums in self.sums.values() for value in sums) / total]
        there = () if self.bins is None else tuple(map(int, self.bins.nonzero()[0]))
        distinct = there if len(there) <= LISTED else ()
        return Values(self.least, self.greatest, tuple(mean), distinct, self.not_finite)


def _array(found: datum.Datum) -> "tuple[str, numpy.ndarray]":
    """How a Datum is stored, and its values; ValueError for a picture that cannot be decoded."""
    if found.values is not None:
        return (_BYTES if found.values.dtype.kind == "u" else _FLOATS), found.values
    try:
        with opened(io.BytesIO(found.picture), "its picture") as image:
            return _decoded(image)
    except DatasetError as error:
        raise ValueError(f"is an encoded Datum, but {error}") from None


def _decoded(image: "Image") -> "tuple[str, numpy.ndarray]":
    """As OpenCV decodes for Caffe: gray, or blue, green and red, and alpha where there is one."""
    import numpy as np

    colour = {"L": "gray", "1": "gray", "I;16": "16-bit gray", "I": "16-bit gray"}
    word = colour.get(image.mode, "colour")
    stored = f"{image.format}, {'colour with alpha' if image.mode == 'RGBA' else word}"
    modes = {"1": "L", "P": "RGB", "CMYK": "RGB", "YCbCr": "RGB", "LA": "L", "PA": "RGBA"}
    values = np.asarray(image.convert(modes[image.mode]) if image.mode in modes else image)
    if values.ndim == 2:
        return stored, values[None]
    planes = np.moveaxis(values, 2, 0)
    return stored, planes[[2, 1, 0, 3]] if len(planes) == 4 else planes[::-1]


# ---- keys


def _text(key: bytes) -> str:
    return lmdbs.shown(key)[1:-1]


_FORM = re.compile(rb"(\d+)(.?)(.*)", re.DOTALL)


def _form(key: bytes) -> str:
    """What keys are made of: "8 digits, _ and a name"."""
    found = _FORM.fullmatch(key)
    if found is None:
        return "names"
    digits, mark, rest = found.groups()
    if not mark:
        return f"{number_of(len(digits), 'digit')}"
    whole = f"{number_of(len(digits), 'digit')}, {lmdbs.shown(mark)[1:-1]} and "
    return whole + ("a number" if rest.isdigit() else "a name")
