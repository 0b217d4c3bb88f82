"""The section of predictions: images under what a net says of them, and how right it is."""

import math
import os
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fcnkit import preprocessing
from fcnkit.datasets.colours import Colour, read_classes, voc_palette
from fcnkit.errors import DatasetError, FcnkitError, NetError
from fcnkit.foreign import json_of
from fcnkit.inference.results import shares
from fcnkit.inference.score_maps import head
from fcnkit.preprocessing import Preprocessing, order_for
from fcnkit.reporting.choice import ranked
from fcnkit.reporting.held_out import HeldOut
from fcnkit.reporting.pictures import Album, Shown
from fcnkit.reporting.predicted import (
    Predictions,
    Runner,
    Seen,
    of_folder,
    on_data,
    on_files,
    worth,
)
from fcnkit.reporting.section import Section
from fcnkit.reporting.subject import Subject
from fcnkit.reporting.trained import trained
from fcnkit.reporting.words import grouped
from fcnkit.rewrites import wanted
from fcnkit.scoring.metrics import METRICS, Scores

if TYPE_CHECKING:
    import numpy

# The longest side of a picture, in pixels, and of how many classes a matrix is drawn.
_LONGEST, _MATRIX = 560, 40
# What the pictures may take of what is left of the page.
_PART = 0.7
_CONFUSED = 12
NAME, TITLE = "predictions", "Predictions"


class Card(NamedTuple):
    """An image as the page has it; `map`, `truth` and `sure` lie over `photo`."""

    name: str
    mark: str
    photo: Shown
    map: Shown
    truth: Shown | None
    sure: Shown | None
    figures: str


def section(of: Subject, album: Album) -> Section | None:
    """Images under the classes that a net gives their pixels; None where there is nothing to run.

    Where a folder holds what cannot be run, the section says why; what was given with the
    command has its error.
    """
    wishes = of.wishes
    given = (wishes.data, wishes.predictions, wishes.labels) != (None, None, None)
    try:
        found = predictions(of)
    except FcnkitError as error:
        if given or wishes.images:
            raise
        return Section(NAME, TITLE, {"refused": str(error)}, "Not run.")
    if found is None:
        return None
    return Section(
        NAME, TITLE, shown(found, album), _summary(found, _older(of)), ("overlays", "scores")
    )


def predictions(of: Subject) -> Predictions | None:
    """The class maps that were written for a folder, or what its net says of images now."""
    data = data_of(of)
    folder = written(of)
    if folder is not None and data is not None:
        names = names_of(of, data, None)
        return of_folder(folder, data, of.wishes.count, names, of.wishes.progress)
    runner = runner_of(of, data)
    if runner is None:
        return None
    if of.wishes.images:
        return on_files(runner, of.wishes.images, data)
    return on_data(runner, data, of.wishes.count) if data else None


def awaited(of: Subject) -> tuple[int, str]:
    """How many images the section of an FCN has to work on, and what is done to them."""
    try:
        data = data_of(of)
        if data and written(of) is not None:
            return data.count, "scoring"
        if runner_of(of, data) is None:
            return 0, ""
    except FcnkitError:  # which the section says, or raises
        return 0, ""
    count = min(of.wishes.count, data.count) if data else 0
    return len(of.wishes.images) or count, "running"


def written(of: Subject) -> Path | None:
    """The folder of class maps that was given, or the newest of an FCN's folder."""
    if of.wishes.predictions is not None:
        return Path(of.wishes.predictions)
    if of.folder is None or of.wishes.images:
        return None
    found = [each for each in of.folder.glob("*/") if _is_written(each)]
    return max(found, key=os.path.getmtime, default=None)


def _is_written(folder: Path) -> bool:
    """Whether `fcnkit infer` wrote here: beside a class map lies a record of it."""
    for path in sorted(folder.glob("*.json"))[:1]:
        try:
            record = json_of(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return isinstance(record, dict) and {"image", "width", "classes"} <= record.keys()
    return False


def data_of(of: Subject) -> HeldOut | None:
    """The data set that was given, or the one that a training read."""
    if of.wishes.data is not None:
        return HeldOut(Path(of.wishes.data))
    if of.folder is None:
        return None
    sources = (Path(each.source) for run in of.runs for each in trained(run).data)
    found = (path.parent for path in sources if path.name.endswith("_image_lmdb"))
    there = next((each for each in found if os.path.isdir(each)), None)
    return HeldOut(there) if there else None


def runner_of(of: Subject, data: HeldOut | None) -> Runner | None:
    """What runs; None where there are no weights, or the net is no map of scores."""
    if of.net is None or of.weights is None:
        return None
    try:
        found = head(of.net)
    except NetError:
        return None
    if not found.dense:
        return None
    stored = wanted.of(of.net) or Preprocessing(mean=())
    order = order_for(stored.order, found.shape[1])
    known = stored.with_origin("given", order=order)
    if of.wishes.mean is not None:
        known = known.with_origin("given", mean=of.wishes.mean)
    preprocessing.check(known, found.shape[1], found.classes, of.net.path)
    names = names_of(of, data, found.classes)
    wishes = of.wishes
    return Runner(found, of.weights, known, names, wishes.engine, wishes.device, wishes.progress)


def names_of(of: Subject, data: HeldOut | None, count: int | None) -> tuple[str, ...]:
    """What the classes are called: by the file that was given, the net's own, or the data's.

    Raises DatasetError where the file has others than so many.
    """
    if of.wishes.labels is not None:
        names = read_classes(Path(of.wishes.labels), unique=False)
        if count not in (None, len(names)):
            fact = f"has {len(names)} classes, and the net {count}"
            raise DatasetError(f"{of.wishes.labels}: {fact}; name the file of this net")
        return names
    stored = wanted.of(of.net) if of.net else None
    if stored and stored.classes:
        return stored.classes
    if data and len(data.names) == count:
        return data.names
    return tuple(map(str, range(count or 0)))


# ---- as the page has it


def shown(found: Predictions, album: Album) -> dict[str, Any]:
    """The values of the template."""
    colours = distinct([*found.colours, voc_palette()[255]])
    order = ranked([worth(each) for each in found.seen])
    if found.scores is None:
        order = [(number, "") for number in range(len(found.seen))]
    with album.sharing(4 * len(order), _PART):
        cards = [_card(found, found.seen[number], mark, colours, album) for number, mark in order]
    return {
        "refused": "",
        "cards": cards,
        "ignored": "ignored",
        "colours": colours,
        "classes": [*_classes(found)],
        "compared": found.scores is not None,
        "sure": any(card.sure for card in cards),
        "facts": [*_facts(found)],
        "confused": [*_confused(found.scores)] if found.scores else [],
        "matrix": _matrix(found.scores) if found.scores else None,
    }


def distinct(colours: Sequence[Colour]) -> list[Colour]:
    """The colours, changed by as little as keeps any two apart: a page reads classes by them."""
    found: dict[Colour, None] = {}
    for red, green, blue in colours:
        code = red << 16 | green << 8 | blue
        while (code >> 16, code >> 8 & 255, code & 255) in found:
            code = (code + 1) % (1 << 24)
        found[(code >> 16, code >> 8 & 255, code & 255)] = None
    return [*found]


def _card(
    found: Predictions, seen: Seen, mark: str, colours: Sequence[Colour], album: Album
) -> Card:
    said = ", ".join(
        f"{each['name']} {each['share']:.0%}" for each in shares(seen.classes, found.names)[:5]
    )

    def drawn(values: "numpy.ndarray", alt: str) -> Shown:
        # What is no class has the last colour.
        return album.map(within(values, len(found.names)), alt, colours=colours, longest=_LONGEST)

    truth = None if seen.truth is None else drawn(seen.truth, f"{seen.name}, the truth")
    return Card(
        seen.name,
        mark,
        album.photo(seen.image, seen.name, longest=_LONGEST),
        drawn(seen.classes, f"{seen.name}, predicted: {said}"),
        truth,
        None if seen.confidence is None else _sure(seen.name, seen.confidence, album),
        _figures(seen.scores) if seen.scores else said,
    )


def within(values: "numpy.ndarray", count: int) -> "numpy.ndarray":
    """The classes, and what is none as the number after them."""
    import numpy as np

    return np.minimum(values, count).astype(np.uint8)


def _sure(name: str, confidence: "numpy.ndarray", album: Album) -> Shown:
    """The confidence in hundredths."""
    import numpy as np

    percent = np.rint(np.clip(confidence, 0, 1) * 100).astype(np.uint8)
    return album.map(percent, f"{name}, the confidence", longest=_LONGEST)


def _figures(scores: Scores) -> str:
    accuracy, iu = _percent(scores.pixel_accuracy), _percent(scores.mean_iu)
    return f"{accuracy} of pixels right, mean IU {iu}"


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1%}"


def _older(of: Subject) -> bool:
    """Whether class maps that were found in a folder were written before its newest weights."""
    folder = None if of.wishes.predictions is not None else written(of)
    if folder is None or of.weights is None or not os.path.isfile(of.weights.path):
        return False
    return os.path.getmtime(folder) < os.path.getmtime(of.weights.path)


def _summary(found: Predictions, older: bool) -> str:
    count = len(found.seen)
    several = "s" * (found.of != 1)
    part = f"{count} of {grouped(found.of)}" if count < found.of else str(count)
    part = f"{part} image{several}"
    if found.scores is None:
        return f"{part}, run by {found.by}."
    if found.scores.images > count:
        late = ", which are older than the newest weights" if older else ""
        whole = grouped(found.scores.images)
        return f"{part}; the scores are those of all {whole}, by {found.by}{late}."
    return f"{part}, run by {found.by}, chosen so that each class is seen; the scores are theirs."


def _facts(found: Predictions) -> Iterator[tuple[str, str]]:
    if found.scores is None:
        return
    for name, words in METRICS.items():
        yield words, _exact(getattr(found.scores, name))
    yield "images scored", grouped(found.scores.images)
    yield "pixels scored", grouped(sum(found.scores.labelled))
    yield "pixels ignored", grouped(found.scores.ignored)


def _exact(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2%}"


def _classes(found: Predictions) -> Iterator[dict[str, Any]]:
    """Each class with its colour, and how it did."""
    scores = found.scores
    for number, name in enumerate(found.names):
        row: dict[str, Any] = {"number": number, "name": name}
        if scores:
            row |= {
                "labelled": grouped(scores.labelled[number]),
                "predicted": grouped(scores.predicted[number]),
                "accuracy": _exact(scores.accuracies[number]),
                "iu": _exact(scores.ius[number]),
                "bar": 0 if math.isnan(scores.ius[number]) else scores.ius[number],
            }
        yield row


def _confused(scores: Scores) -> Iterator[tuple[str, str, str, str]]:
    """Which class is taken for which other one most: the pixels, and their share of the class."""
    places = product(range(len(scores.names)), repeat=2)
    wrong = [(scores.confusion[i][j], i, j) for i, j in places if i != j and scores.confusion[i][j]]
    for pixels, i, j in sorted(wrong, key=lambda each: -each[0])[:_CONFUSED]:
        share = _percent(pixels / scores.labelled[i])
        yield scores.names[i], scores.names[j], grouped(pixels), share


def _matrix(scores: Scores) -> dict[str, Any] | None:
    """Each row by its sum; none of more classes than can be read."""
    if len(scores.names) > _MATRIX:
        return None
    rows = []
    for i, line in enumerate(scores.confusion):
        whole = scores.labelled[i]
        parts = [pixels / whole if whole else 0.0 for pixels in line]
        rows.append((scores.names[i], [(f"{part:.3f}", _cell(part)) for part in parts]))
    return {"names": scores.names, "rows": rows}


def _cell(part: float) -> str:
    """Hundredths, and nothing for less than half of one."""
    return f"{100 * part:.0f}" if part >= 0.005 else ""
