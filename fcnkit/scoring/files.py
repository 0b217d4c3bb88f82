"""Scores files of predictions against the labels of a folder, or of a dataset's LMDB."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fcnkit.datasets import databases
from fcnkit.datasets.absent import Absent
from fcnkit.datasets.labels import Reading, label_size, read_label
from fcnkit.datasets.pairs import files, read_names
from fcnkit.datasets.summary import SPLITS, list_file
from fcnkit.datasets.workers import in_order
from fcnkit.errors import DatasetError
from fcnkit.inference.results import is_picture
from fcnkit.plural import number_of
from fcnkit.progress import Progress, no_progress
from fcnkit.scoring.metrics import Scores, confusion, total

if TYPE_CHECKING:
    import numpy

Result = tuple["numpy.ndarray", int] | str


class Readings(NamedTuple):
    """How the files of predictions are read, and how those of labels."""

    predictions: Reading
    labels: Reading


class ScoredPair(NamedTuple):
    """A file of predictions and the file of their labels."""

    prediction: Path
    label: Path


def paired(predictions: str | Path, labels: str | Path) -> list[ScoredPair]:
    """Two files, or those of two folders by name; DatasetError that names all without a partner."""
    if os.path.isfile(predictions) and os.path.isfile(labels):
        return [ScoredPair(Path(predictions), Path(labels))]
    found, wanted = (files(folder, more=(".npy",)) for folder in (predictions, labels))
    lacking = [
        f"{predictions}: has no prediction for {wanted[name]}"
        for name in wanted
        if name not in found
    ]
    rest = [name for name in found if name not in wanted and not is_picture(name)]
    lacking += [f"{labels}: has no label for {found[name]}" for name in rest]
    if lacking:
        predicted = [name for name in found if name in wanted or not is_picture(name)]
        count = f"{number_of(len(predicted), 'prediction')} and {number_of(len(wanted), 'label')}"
        raise DatasetError(f"{count}; each needs a partner of the same name:", lacking)
    if not found:
        raise DatasetError(
            f"{predictions}: holds no predictions; name a folder of images or .npy files"
        )
    return [ScoredPair(found[name], path) for name, path in wanted.items()]


def score_files(
    pairs: Sequence[ScoredPair],
    names: Sequence[str],
    readings: Readings,
    *,
    jobs: int = 1,
    progress: Progress = no_progress,
) -> Scores:
    """The scores of predictions against labels, read by `jobs` processes.

    Raises DatasetError that names every file of another size than its partner,
    or with a value that is no class.
    """
    readings.predictions.check()
    readings.labels.check()
    work = partial(_scored, readings=readings, classes=len(names))
    return _collected(in_order(work, pairs, jobs), names, progress)


def score_dataset(
    predictions: str | Path,
    folder: str | Path,
    names: Sequence[str],
    reading: Reading,
    *,
    progress: Progress = no_progress,
) -> Scores:
    """The scores of prediction files against a label LMDB:
    each is called as its label's key, without number.  Those of the dataset's other
    splits, as its lists say, are left out.

    Raises DatasetError as `score_files` does.
    """
    reading.check()
    found = files(predictions, more=(".npy",))
    return _collected(_against(found, predictions, folder, reading, len(names)), names, progress)


def check_scored(place: str | Path, found: Absent | None, before: str = "") -> None:
    """No class is swallowed by the values to ignore, so that one class alone is scored.

    Raises DatasetError; `before` leads to its remedy.
    """
    if found is None or not found.hopeless or not found.values:
        return
    fact = f"{found.fact}, so predicting one class everywhere would score 100%"
    raise DatasetError(
        f"{place}: {fact}; {before}{found.remedy}; if it is not a class, give --ignore "
        f"{found.values[0]}"
    )


def _scored(pair: ScoredPair, readings: Readings, classes: int) -> Result:
    """The confusion of one image and its number of pixels, or what is wrong with it."""
    try:
        sizes = label_size(pair.prediction), label_size(pair.label)
        if sizes[0] != sizes[1]:
            return f"{pair.prediction}, {pair.label}: {_unequal(*sizes)}"
        label = read_label(pair.label, readings.labels)
        prediction = read_label(pair.prediction, readings.predictions)
    except DatasetError as error:
        return str(error)
    try:
        return confusion(label, prediction, classes), label.size
    except DatasetError as error:
        return f"{pair.prediction}, {pair.label}: {error}"


def _against(
    found: dict[str, Path],
    predictions: str | Path,
    folder: str | Path,
    reading: Reading,
    classes: int,
) -> Iterator[Result]:
    rest = dict(found)
    for record in databases.read(folder):
        name = record.key[databases.NUMBER :]
        path = rest.pop(name, None)
        if path is None:
            yield f"{predictions}: has no prediction for {record.key} of {folder}"
            continue
        try:
            label = databases.whole(record, folder)
            size = label_size(path)
            if size != label.shape[::-1]:
                raise DatasetError(_unequal(size, label.shape[::-1]))
            yield confusion(label, read_label(path, reading), classes), label.size
        except DatasetError as error:
            yield str(error) if str(path) in str(error) else f"{path}: {error}"
    others = _listed(Path(folder).parent)
    more = (path for name, path in rest.items() if not is_picture(name) and name not in others)
    yield from (f"{path}: {folder} has no label for it" for path in more)


def _unequal(prediction: Sequence[int], label: Sequence[int]) -> str:
    sizes = [f"{height} x {width}" for width, height in (prediction, label)]
    return f"the prediction is {sizes[0]}, but the label {sizes[1]}; give both the same size"


def _listed(dataset: Path) -> set[str]:
    """The names of the images of a dataset's splits, as far as it has lists of them."""
    found: set[str] = set()
    for path in (dataset / list_file(split) for split in SPLITS):
        with suppress(DatasetError):  # none, or another's
            found.update(read_names(path))
    return found


def others(predictions: str | Path, folder: str | Path) -> int:
    """How many of the predictions are of images that a dataset's lists have, and this split not."""
    own = {record.key[databases.NUMBER :] for record in databases.read(folder)}
    return len((files(predictions, more=(".npy",)).keys() & _listed(Path(folder).parent)) - own)


def _collected(results: Iterator[Result], names: Sequence[str], progress: Progress) -> Scores:
    """The scores of all, unless something is wrong with one."""
    problems: list[str] = []

    def good() -> Iterator[tuple["numpy.ndarray", int]]:
        for each in results:
            progress(1)
            if isinstance(each, str):
                problems.append(each)
            else:
                yield each

    scores = total(good(), names)
    if problems:
        count = number_of(len(problems), "bad file")
        raise DatasetError(f"{count}; nothing is scored:", problems)
    return scores
