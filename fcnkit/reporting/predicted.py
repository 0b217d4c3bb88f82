"""What a net predicts of images, or has predicted: classes, confidence, the truth beside them."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fcnkit.datasets.colours import Colour, voc_palette
from fcnkit.datasets.images import MODES, read_image
from fcnkit.datasets.labels import KEEP, Reading, read_label
from fcnkit.datasets.pairs import files
from fcnkit.datasets.samples import Sample
from fcnkit.datasets.stacks import read_stack
from fcnkit.datasets.stacks import shown as stack_shown
from fcnkit.datasets.summary import colours_of
from fcnkit.engines.engine import Engine
from fcnkit.errors import DatasetError
from fcnkit.inference.inferred import Inferred
from fcnkit.inference.preparation import Preparation
from fcnkit.inference.results import MOST
from fcnkit.inference.score_maps import Head, scores
from fcnkit.preprocessing import STORED, Preprocessing
from fcnkit.progress import Progress, no_progress
from fcnkit.reporting.choice import covering, extremes, spread
from fcnkit.reporting.held_out import HeldOut
from fcnkit.scoring.metrics import Scores, confusion, total
from fcnkit.weights.store import Weights

if TYPE_CHECKING:
    import numpy

Image = tuple[str, "numpy.ndarray", "numpy.ndarray", "numpy.ndarray | None"]


class Seen(NamedTuple):
    """An image in RGB, the class of each pixel, and what else is known of it.

    `confidence` are probabilities of the classes, `truth` is the label, and `scores`
    compares the classes with it.
    """

    name: str
    image: "numpy.ndarray"
    classes: "numpy.ndarray"
    confidence: "numpy.ndarray | None" = None
    truth: "numpy.ndarray | None" = None
    scores: Scores | None = None


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions to look at, and the scores of all that were compared with the truth.

    `ignore` is the label that is no class, `of` how many images there are in all, and `by`
    says what predicted.
    """

    seen: tuple[Seen, ...]
    names: tuple[str, ...]
    colours: tuple[Colour, ...]
    ignore: int
    scores: Scores | None
    of: int
    by: str


class Runner(NamedTuple):
    """A net that scores pixels, what it wants of an image, and what runs it."""

    head: Head
    weights: Weights
    known: Preprocessing
    names: tuple[str, ...]
    engine: str | Engine | None = None
    device: str | None = None
    progress: Progress = no_progress

    @property
    def channels(self) -> int:
        """Those of the net's input."""
        return self.head.shape[1]

    def check(self) -> None:
        """The net has as many classes as a map has numbers; DatasetError otherwise."""
        if len(self.names) > MOST:
            raise DatasetError(f"{len(self.names)} classes: a class map has numbers for {MOST}")


def on_data(runner: Runner, data: HeldOut, count: int, numbers: Sequence[int] = ()) -> Predictions:
    """Images of a data set, run by a net: `count` in which every class is seen, as far as so few
    can show all, or those of these `numbers`.

    Raises DatasetError where images or classes of the data set are not those of the net.
    """
    _check_classes(data, len(runner.names))
    samples = list(data.samples({*(numbers or chosen(data, len(runner.names), count))}))
    images = (
        (each.name, data.given(each, runner.channels), data.seen(each), each.label)
        for each in samples
    )
    colours = colours_of(data.folder, len(runner.names))
    return _run(runner, images, colours, data.ignore, data.count)


def chosen(data: HeldOut, classes: int, count: int) -> list[int]:
    """The numbers of `count` images in which every class is seen; every label is read for it."""
    return spread(data.count, count, covering(data.pixels(classes), count))


def on_files(
    runner: Runner, paths: Sequence[str | os.PathLike[str]], data: HeldOut | None = None
) -> Predictions:
    """Image files, run by a net, in the colours of a data set or VOC's; they have no truth."""
    count = len(runner.names)
    colours = colours_of(data.folder, count) if data else voc_palette(256)[:count]
    return _run(runner, (_read(path, runner) for path in paths), colours, MOST, len(paths))


def _read(path: str | os.PathLike[str], runner: Runner) -> Image:
    import numpy as np

    name = os.path.basename(path)
    if runner.known.order == STORED:
        stack = read_stack(path, runner.channels)
        return name, stack, stack_shown(stack), None
    given = np.asarray(read_image(path, mode=MODES[runner.channels]))
    return name, given, np.asarray(read_image(path)), None


def _run(
    runner: Runner, images: Iterable[Image], colours: tuple[Colour, ...], ignore: int, of: int
) -> Predictions:
    runner.check()
    known = runner.known
    prepared = Preparation(runner.channels, known.mean or (), scale=known.scale, order=known.order)
    prepared.check()
    waiting: list[Image] = []

    def inputs() -> Iterator["numpy.ndarray"]:
        for image in images:
            waiting.append(image)
            yield prepared(image[1])

    ran: list[Engine] = []
    made = scores(
        runner.head,
        runner.weights,
        inputs(),
        engine=runner.engine,
        device=runner.device,
        told=ran.append,
    )
    seen = []
    for found in made:
        name, _, image, truth = waiting.pop(0)
        one = Inferred(image, runner.head, found, runner.names, colours, "")
        seen.append(_seen(one, name, truth))
        runner.progress(1)
    by = f"{ran[-1].name} {ran[-1].version}".rstrip() if ran else ""
    return Predictions(
        tuple(seen), runner.names, colours, ignore, _total(seen, runner.names), of, by
    )


def _seen(found: Inferred, name: str, truth: "numpy.ndarray | None") -> Seen:
    own = None if truth is None else _scored(found.classes, truth, found.names)
    return Seen(name, found.image, found.classes, found.confidence, truth, own)


def _scored(classes: "numpy.ndarray", truth: "numpy.ndarray", names: Sequence[str]) -> Scores:
    """The scores of one image; where the net gives no class, nothing is scored."""
    label = truth.copy()
    label[classes >= len(names)] = MOST
    return total([(confusion(label, classes, len(names)), label.size)], names)


def _total(seen: Sequence[Seen], names: Sequence[str]) -> Scores | None:
    import numpy as np

    each = [one.scores for one in seen if one.scores]
    matrices = [
        (np.array(one.confusion, np.int64), sum(one.labelled) + one.ignored) for one in each
    ]
    return total(matrices, names) if each else None


def of_folder(
    folder: Path,
    data: HeldOut,
    count: int,
    names: Sequence[str] = (),
    progress: Progress = no_progress,
) -> Predictions:
    """The class maps that `fcnkit infer` wrote in a folder, all scored against a data set as
    `fcnkit score` does; those that are shown are the worst, the best, and so many that each
    class is seen.

    Raises DatasetError where one is missing, or is no class map of its image.
    """
    import numpy as np

    names = tuple(names or data.names)
    if not names:
        raise DatasetError(f"{data.folder}: has no names of classes; give them with --labels")
    _check_classes(data, len(names))
    found = files(folder, more=(".npy",))
    reading = Reading(len(names), data.ignore, unknown=KEEP)
    each = []
    for name, truth in data.truths():
        each.append(_compared(folder, name, found.get(name), truth, reading, names))
        progress(1)
    labelled = np.array([one.labelled for one in each])
    values = [_worth(one) for one in each]
    chosen = {*extremes(values, count, covering(labelled, count - min(count, 4) // 2 * 2))}
    seen = [_loaded(sample, found, reading, names, data) for sample in data.samples(chosen)]
    matrices = (
        (np.array(one.confusion, np.int64), sum(one.labelled) + one.ignored) for one in each
    )
    colours = colours_of(data.folder, len(names))
    by = f"the class maps in {folder}"
    return Predictions(
        tuple(seen), names, colours, data.ignore, total(matrices, names), data.count, by
    )


def _compared(
    folder: Path,
    name: str,
    path: Path | None,
    truth: "numpy.ndarray",
    reading: Reading,
    names: Sequence[str],
) -> Scores:
    if path is None:
        fact = f"has no prediction for {name}"
        raise DatasetError(f"{folder}: {fact}; run `fcnkit infer` on all images of the data set")
    predicted = read_label(path, reading)
    try:
        matrix = confusion(truth, predicted, len(names))
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from None
    return total([(matrix, truth.size)], names)


def _loaded(
    sample: Sample, found: dict[str, Path], reading: Reading, names: Sequence[str], data: HeldOut
) -> Seen:
    import numpy as np

    path = found[sample.name]
    predicted = read_label(path, reading)
    sure = path.with_name(f"{path.stem}.confidence.png")
    confidence = np.asarray(read_image(sure, mode="L")) / 255 if os.path.isfile(sure) else None
    own = total([(confusion(sample.label, predicted, len(names)), sample.label.size)], names)
    return Seen(sample.name, data.seen(sample), predicted, confidence, sample.label, own)


def _worth(found: Scores) -> float:
    """What an image is ranked by: its mean IU; one without a label is neither good nor bad."""
    return found.mean_iu if any(found.labelled) else 0.5


def worth(seen: Seen) -> float:
    """What an image is ranked by."""
    return _worth(seen.scores) if seen.scores else 0.5


def _check_classes(data: HeldOut, classes: int) -> None:
    if data.names and len(data.names) != classes:
        fact = f"has {len(data.names)} classes, and the net {classes}"
        raise DatasetError(f"{data.folder}: {fact}; name the data set of this net")
