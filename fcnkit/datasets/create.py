"""Makes a dataset: LMDBs, the mean image and the report, from folders of images and labels."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from fcnkit import files
from fcnkit.datasets import databases, staging
from fcnkit.datasets.absent import explicit, ignored_values
from fcnkit.datasets.colours import Colour, colour_text, voc_palette
from fcnkit.datasets.pairs import Pair
from fcnkit.datasets.prepare import PairOptions, Prepared, prepared
from fcnkit.datasets.summary import (
    CLASSES_FILE,
    COLOURS_FILE,
    MEAN_FILE,
    REPORT_FILE,
    Split,
    Summary,
    Tally,
    list_file,
)
from fcnkit.datasets.workers import in_order
from fcnkit.errors import DatasetError, OutputError
from fcnkit.foreign import json_of, refusing
from fcnkit.formats import binaryproto, datum
from fcnkit.libraries import load
from fcnkit.plural import number_of
from fcnkit.progress import Progress, no_progress

SKIPPED_FILE = "skipped.txt"
KINDS = ("image", "label")
# A batch goes to the disk when it has so many entries or bytes; what an interruption loses is less
# than that.
_BATCH, _BATCH_BYTES = 64, 32 << 20


@dataclass(frozen=True)
class Task:
    """What is to be made: the pairs of each split in their order,
    how they are read, what they are called.

    With `skip_bad`, bad pairs are left out and reported.
    """

    splits: Mapping[str, Sequence[Pair]]
    recipe: PairOptions
    names: tuple[str, ...]
    colours: tuple[Colour, ...] = ()
    skip_bad: bool = False

    def check(self) -> None:
        """It can be carried out; DatasetError otherwise."""
        self.recipe.check()
        if len(self.names) != self.recipe.reading.classes:
            fact = (
                f"{number_of(len(self.names), 'name')} for "
                f"{number_of(self.recipe.reading.classes, 'class')}"
            )
            raise DatasetError(f"{fact}; name each class once")
        labels = [(pair.label, pair.flipped) for pairs in self.splits.values() for pair in pairs]
        twice = len(labels) - len(set(labels))
        if twice:
            raise DatasetError(
                f"{twice} labels are in both the training and the validation list; make the "
                "lists differ"
            )

    def plan(self) -> dict:
        """All that the result depends on, as JSON; of the files their names, sizes and times."""
        options = asdict(self.recipe) | {"skip_bad": self.skip_bad}
        found = {
            name: [[*pair, *_stamp(pair)] for pair in pairs] for name, pairs in self.splits.items()
        }
        return {
            "options": options,
            "classes": list(self.names),
            "colours": self.colours,
            "files": found,
        }


def _stamp(pair: Pair) -> Iterator[int]:
    for path in (pair.image, pair.label):
        status = os.stat(path)
        yield from (status.st_size, status.st_mtime_ns)


def create(
    task: Task,
    folder: str | Path,
    *,
    jobs: int = 1,
    resume: bool = False,
    force: bool = False,
    progress: Progress = no_progress,
) -> Summary:
    """The folder holds the LMDBs of every split, the mean,
    classes, colours and report; it appears whole.

    Every pair is read, by `jobs` processes, and checked.  An interrupted
    create leaves a folder beside `folder`, which `resume` takes up.
    `progress` is told of each pair that is done.

    Raises DatasetError that names every bad file, and then nothing is left;
    OutputError where the folder exists or the disk is full.
    """
    task.check()
    for module in ("lmdb", "PIL.Image"):
        load(module)  # else a folder would be begun
    staged = partial(staging.staged, ours=REPORT_FILE, scratch=(SKIPPED_FILE,))
    with staged(folder, task.plan(), resume=resume, force=force) as new:
        problems, tallies = _filled(new, task, jobs, progress)
        if problems and not task.skip_bad:
            staging.drop(folder)
            count = number_of(len(problems), "bad file")
            raise DatasetError(
                f"{count}; correct them, or leave them out with --skip-bad:", problems
            )
        summary = _summary(folder, task, tallies, _skipped(new))
        _check_classes(folder, task, summary)
        mean = tallies["train"].mean_image()
        if mean is not None:
            files.write(new / MEAN_FILE, binaryproto.written(mean), force=True)
            summary = replace(summary, mean_file=MEAN_FILE)
        names = {split: [each.name for each in pairs] for split, pairs in task.splits.items()}
        _described(new, summary, names)
    return summary


class _SplitProgress(NamedTuple):
    """A split on its way: the `done` first ones
    of its pairs are in both of its LMDBs, and counted.
    """

    pairs: Sequence[Pair]
    stores: Sequence[databases.DatabaseWriter]
    tally: Tally
    done: int

    @property
    def rest(self) -> Sequence[Pair]:
        """The pairs that are still to be read."""
        return self.pairs[self.done :]


def _filled(
    new: Path, task: Task, jobs: int, progress: Progress
) -> tuple[list[str], dict[str, Tally]]:
    """The LMDBs hold the pairs of every split; or else what is wrong with them, all of it."""
    problems: list[str] = []
    with ExitStack() as stack:
        parts = {split: _part(new, split, task, stack) for split in task.splits}
        progress(sum(part.done for part in parts.values()))
        rest = list(chain.from_iterable(part.rest for part in parts.values()))
        results = stack.enter_context(
            closing(in_order(partial(prepared, recipe=task.recipe), rest, jobs))
        )
        for part in parts.values():
            own = _told(islice(results, len(part.rest)), progress)
            for batch in _batches(enumerate(own, part.done)):
                problems += _kept(new, task, part, batch, bool(problems))
    return problems, {split: part.tally for split, part in parts.items()}


def _told(results: Iterator[Prepared], progress: Progress) -> Iterator[Prepared]:
    for each in results:
        progress(1)
        yield each


def _part(new: Path, split: str, task: Task, stack: ExitStack) -> _SplitProgress:
    stores = [databases.DatabaseWriter(new / f"{split}_{kind}_lmdb") for kind in KINDS]
    for store in stores:
        stack.callback(store.close)
    tally = Tally(task.recipe.reading.classes, task.recipe.reading.ignore, split == "train")
    return _SplitProgress(task.splits[split], stores, tally, _taken_up(stores, tally))


def _kept(new: Path, task: Task, part: _SplitProgress, batch: Sequence, spoilt: bool) -> list[str]:
    """The problems of a batch; it is written and counted unless there are some, or were."""
    bad = [each for _, each in batch if each.problems]
    if task.skip_bad:
        _note(new, bad)
    if task.skip_bad or not bad and not spoilt:
        _put(part.stores, batch, part.pairs)
        _count(part.tally, batch)
    return [problem for each in bad for problem in each.problems]


def _taken_up(stores: Sequence[databases.DatabaseWriter], tally: Tally) -> int:
    """How many pairs are done, all counted; what one database has and the other has not is gone."""
    done = min(store.after() for store in stores)
    for store in stores:
        store.cut(done)
    for image, label in zip(*(store.records() for store in stores), strict=True):
        tally.add(image.array, label.array[0])
    return done


def _batches(results: Iterator[tuple[int, Prepared]]) -> Iterator[list[tuple[int, Prepared]]]:
    batch, size = [], 0
    for number, each in results:
        batch.append((number, each))
        size += sum(array.nbytes for array in each.arrays or ())
        if len(batch) >= _BATCH or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _put(
    stores: Sequence[databases.DatabaseWriter], batch: Sequence, pairs: Sequence[Pair]
) -> None:
    good = [
        (databases.key(number, pairs[number].name), each.stored, each.arrays)
        for number, each in batch
        if each.arrays
    ]
    for which, store in enumerate(stores):
        store.put(
            [
                (key, stored[which] if stored else datum.written((image, label[None])[which]))
                for key, stored, (image, label) in good
            ]
        )


def _count(tally: Tally, batch: Sequence[tuple[int, Prepared]]) -> None:
    for _, each in batch:
        if each.arrays:
            tally.add(*each.arrays)


def _note(new: Path, bad: Sequence[Prepared]) -> None:
    """The problems are in a file, for a later `resume` to report."""
    if not bad:
        return
    path = new / SKIPPED_FILE
    with (
        refusing(
            lambda reason: OutputError(
                f"{path}: cannot be written: {reason}; check that the disk has room"
            )
        ),
        open(path, "a", encoding="utf-8", errors="surrogateescape") as file,
    ):
        file.writelines(f"{json.dumps(problem)}\n" for each in bad for problem in each.problems)


def _skipped(new: Path) -> tuple[str, ...]:
    path = new / SKIPPED_FILE
    if not os.path.exists(path):
        return ()
    fact = f"{path}: cannot be read"
    with refusing(lambda reason: DatasetError(f"{fact}: {reason}; start over with --force")):
        lines = path.read_text(encoding="utf-8").splitlines()
        # A batch may have been done twice.
        return tuple(dict.fromkeys(str(json_of(line)) for line in lines))


def _summary(
    folder: str | Path, task: Task, tallies: Mapping[str, Tally], skipped: Sequence[str]
) -> Summary:
    splits: list[Split] = [tally.split(name) for name, tally in tallies.items()]
    empty = [each.name for each in splits if not each.count]
    if empty:
        staging.drop(folder)
        raise DatasetError(f"{empty[0]}: no pair of it is good:", skipped)
    colours = (*task.colours, *voc_palette()[len(task.colours) :])[: len(task.names)]
    plan = task.plan()["options"]
    return Summary(
        str(folder),
        task.names,
        colours,
        task.recipe.reading.ignore,
        task.recipe.order,
        tuple(splits),
        tuple(skipped),
        plan,
    )


def _check_classes(folder: str | Path, task: Task, summary: Summary) -> None:
    """No class is swallowed by the number to ignore; DatasetError otherwise.

    Values that the user has said are to be ignored are.
    """
    found = summary.absent
    if found is None or not found.hopeless:
        return
    reading = task.recipe.reading
    paths = (pair.label for pairs in task.splits.values() for pair in pairs)
    values = ignored_values(paths, reading)
    if not values or explicit(reading, values):
        return
    staging.drop(folder)
    found = found._replace(values=values, coloured=False)
    void = f"if it is not a class, give --void {','.join(map(str, values))}"
    raise DatasetError(
        f"{folder}: {found.fact}, so nothing would be learned; {found.remedy}; {void}"
    )


def _described(new: Path, summary: Summary, lists: Mapping[str, Sequence[str]]) -> None:
    """Classes, colours, report and the names of each split's images are in the folder,
    in place of those that an interrupted one left.
    """
    files.write(
        new / CLASSES_FILE,
        "".join(f"{name}\n" for name in summary.names).encode("utf-8", "surrogateescape"),
        force=True,
    )
    for split, names in lists.items():
        files.write(
            new / list_file(split),
            "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape"),
            force=True,
        )
    files.write(new / COLOURS_FILE, colour_text(summary.colours).encode(), force=True)
    files.write(new / REPORT_FILE, f"{json.dumps(summary.json(), indent=2)}\n".encode(), force=True)
