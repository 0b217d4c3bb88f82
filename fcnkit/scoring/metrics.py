"""Measures how well predictions match labels by the four metrics of the FCN paper.

They are those of its authors' score.py.  With n[i][j] the pixels of class i
that are predicted as class j and t[i] all pixels of class i: pixel accuracy =
sum n[i][i] / sum t[i]; mean accuracy = the mean of n[i][i] / t[i]; mean IU =
the mean of n[i][i] / (t[i] + sum_j n[j][i] - n[i][i]); frequency-weighted IU =
sum t[i] IU[i] / sum t[i].  A class whose quotient is 0/0 is left out of the
mean.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from fcnkit import expected, notebook
from fcnkit.datasets.absent import absent
from fcnkit.errors import DatasetError
from fcnkit.plural import number_of
from fcnkit.tables import aligned, columns

if TYPE_CHECKING:
    import numpy

# The four by their names, and how a table says them.
METRICS = {
    "pixel_accuracy": "pixel accuracy",
    "mean_accuracy": "mean accuracy",
    "mean_iu": "mean IU",
    "frequency_weighted_iu": "frequency-weighted IU",
}


_COLUMNS = ("class", "name", "pixels", "accuracy", "IU")


@dataclass(frozen=True)
class Scores:
    """A confusion matrix, and the metrics that follow from it.

    >>> import numpy as np
    >>> found = fk.score(np.array([[0, 1, 1]]), np.array([[0, 1, 0]]), ["ground", "sky"])
    >>> found.confusion, found.ius
    (((1, 1), (0, 1)), (0.5, 0.5))

    `confusion[i][j]` counts the pixels with label i and prediction j. `ignored` counts the
    pixels whose label is not a class.
    """

    names: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    ignored: int = 0
    images: int = 0

    @property
    def labelled(self) -> tuple[int, ...]:
        """The number of pixels of each class in the labels."""
        return tuple(map(sum, self.confusion))

    @property
    def predicted(self) -> tuple[int, ...]:
        """The number of pixels of each class in the predictions, where the label is a class."""
        return tuple(map(sum, zip(*self.confusion, strict=True)))

    @property
    def right(self) -> tuple[int, ...]:
        """The number of correct pixels of each class."""
        return tuple(row[number] for number, row in enumerate(self.confusion))

    @property
    def accuracies(self) -> tuple[float, ...]:
        """For each class, the correct pixels divided by those with this label; NaN if there are
        none.
        """
        return tuple(map(_quotient, self.right, self.labelled))

    @property
    def ius(self) -> tuple[float, ...]:
        """The intersection over union of each class; NaN if it occurs neither in labels nor in
        predictions.
        """
        unions = (
            t + p - n for t, p, n in zip(self.labelled, self.predicted, self.right, strict=True)
        )
        return tuple(map(_quotient, self.right, unions))

    @property
    def pixel_accuracy(self) -> float:
        """The correct pixels divided by all pixels."""
        return _quotient(sum(self.right), sum(self.labelled))

    @property
    def mean_accuracy(self) -> float:
        """The mean accuracy of the classes that occur in the labels."""
        return _mean(self.accuracies)

    @property
    def mean_iu(self) -> float:
        """The mean IU of the classes that occur in labels or predictions."""
        return _mean(self.ius)

    @property
    def frequency_weighted_iu(self) -> float:
        """The mean IU, where each class is weighted by its number of labelled pixels."""
        pairs = zip(self.labelled, self.ius, strict=True)
        return _quotient(math.fsum(count * iu for count, iu in pairs if count), sum(self.labelled))

    def table(self) -> str:
        """A line for each class, and the four metrics."""
        rows = [dict(zip(_COLUMNS, row, strict=True)) for row in self._cells()]
        return aligned(_COLUMNS, rows, ("name",)) + "".join(f"{line}\n" for line in self._lines())

    def _cells(self) -> list[tuple[str, ...]]:
        figures = zip(self.names, self.labelled, self.accuracies, self.ius, strict=True)
        return [
            (str(number), name, f"{count:,}", _shown(accuracy), _shown(iu))
            for number, (name, count, accuracy, iu) in enumerate(figures)
        ]

    def _lines(self) -> list[str]:
        """The four metrics, and what was scored."""
        metrics = ((words, _shown(getattr(self, name))) for name, words in METRICS.items())
        images = number_of(self.images, "image")
        pixels = f"{number_of(sum(self.labelled), 'pixel')} scored, {self.ignored:,} ignored"
        found = absent(self.names, self.labelled, self.ignored)
        facts = [found.fact] if found else []
        return [*columns(metrics, left=(0,)), f"{images}, {pixels}", *facts]

    def json(self) -> dict[str, Any]:
        """The content as plain lists, dicts, strings and numbers; null for NaN."""
        per_class = zip(
            self.names, self.labelled, self.predicted, self.accuracies, self.ius, strict=True
        )
        return {
            **{name: _plain(getattr(self, name)) for name in METRICS},
            "classes": [
                {
                    "name": name,
                    "labelled": t,
                    "predicted": p,
                    "accuracy": _plain(acc),
                    "iu": _plain(iu),
                }
                for name, t, p, acc, iu in per_class
            ],
            "confusion": [list(row) for row in self.confusion],
            "ignored": self.ignored,
            "images": self.images,
        }

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        facts = "\n".join(self._lines()[len(METRICS) :])
        figures = (f"{words} {_shown(getattr(self, name))}" for name, words in METRICS.items())
        caption, note = ", ".join(figures), facts
        return notebook.table(self._cells(), head=_COLUMNS, caption=caption, note=note, left=(1,))


@expected.checked
def confusion(label: "numpy.ndarray", prediction: "numpy.ndarray", classes: int) -> "numpy.ndarray":
    """Counts how many pixels with label i were predicted as class j.

    >>> import numpy as np
    >>> fk.confusion(np.array([[0, 1, 255]]), np.array([[0, 0, 0]]), classes=2)
    array([[1, 0],
           [1, 0]])

    - `label`, `prediction`: arrays of integers, (height, width). Classes are 0 to `classes` -
      1; pixels with any other label are ignored.
    - `classes`: the number of classes.

    Returns an int64 array of (classes, classes).

    Raises DatasetError if the two arrays differ in size, or if a predicted value is not a class
    and its label is one.
    """
    import numpy as np

    label, prediction = np.asarray(label), np.asarray(prediction)
    for array, what in ((label, "label"), (prediction, "prediction")):
        if array.dtype.kind not in "bui":
            raise DatasetError(
                f"the {what} holds {array.dtype}; give whole numbers, one class per pixel"
            )
    if label.shape != prediction.shape:
        sizes = [" x ".join(map(str, array.shape)) for array in (prediction, label)]
        raise DatasetError(
            f"the prediction is {sizes[0]}, but the label {sizes[1]}; give both the same size"
        )
    counts = (label >= 0) & (label < classes)
    label, prediction = label[counts].astype(np.int64), prediction[counts].astype(np.int64)
    wrong = prediction[(prediction < 0) | (prediction >= classes)]
    if wrong.size:
        fact = (
            f"{number_of(wrong.size, 'pixel')} predicted as {wrong[0]}, which is not a class, 0 to "
            f"{classes - 1}"
        )
        raise DatasetError(f"{fact}; predict a class for every labelled pixel")
    return np.bincount(classes * label + prediction, minlength=classes**2).reshape(classes, classes)


@expected.checked
def score(
    predictions: "Iterable[numpy.ndarray]",
    labels: "Iterable[numpy.ndarray]",
    classes: int | Sequence[str],
) -> Scores:
    """Scores predictions against labels, image by image.

    >>> import numpy as np
    >>> fk.score(np.array([[0, 1, 1]]), np.array([[0, 1, 0]]), 2).mean_iu
    0.5

    - `predictions`, `labels`: arrays of integers, (height, width), or lists of such arrays.
    - `classes`: the number of classes, or their names. Pixels whose label is not a class, such
      as 255, are ignored.

    Returns Scores.

    Raises DatasetError if a prediction and its label differ in size, or if their numbers differ.
    """
    names = tuple(map(str, range(classes))) if isinstance(classes, int) else tuple(classes)
    pairs = _pairs(predictions, labels)
    return total(
        ((confusion(label, found, len(names)), label.size) for found, label in pairs), names
    )


def total(matrices: "Iterable[tuple[numpy.ndarray, int]]", names: Sequence[str]) -> Scores:
    """The scores of images together: of each, its confusion and its number of pixels."""
    import numpy as np

    matrix, pixels, images = np.zeros((len(names), len(names)), np.int64), 0, 0
    for each, size in matrices:
        matrix, pixels, images = matrix + each, pixels + size, images + 1
    rows = tuple(tuple(map(int, row)) for row in matrix)
    return Scores(tuple(names), rows, pixels - int(matrix.sum()), images)


def _pairs(
    predictions: Iterable, labels: Iterable
) -> "Iterator[tuple[numpy.ndarray, numpy.ndarray]]":
    import numpy as np

    end = object()
    for count, (prediction, label) in enumerate(zip_longest(predictions, labels, fillvalue=end)):
        if prediction is end or label is end:
            more = "predictions" if label is end else "labels"
            raise DatasetError(
                f"there are more {more} than the {number_of(count, 'pair')}; give one of each"
            )
        yield np.asarray(prediction), np.asarray(label)


def _quotient(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return _quotient(math.fsum(known), len(known))


def _plain(value: float) -> float | None:
    return None if math.isnan(value) else value


def _shown(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2%}"
