"""Trains a net with Caffe or PyTorch, from the first weights to the last snapshot, and resumes.

Where this file says Caffe, PyTorch's program is meant as well: it takes the
same arguments and writes the same log.
"""

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import NamedTuple, TypeAlias

from fcnkit.engines.caffe_runtime import fatal_words, last_words
from fcnkit.errors import EngineError, OutputError
from fcnkit.libraries import load
from fcnkit.training import curve, databases_fit, record
from fcnkit.training.caffe import running, said, stoppable
from fcnkit.training.log import Event as LogEvent
from fcnkit.training.log import Loss, Validation, events
from fcnkit.training.recipe import Recipe
from fcnkit.training.runs import PassedOver, Run, Snapshot, locked

# The loss of a pixel whose class has no probability at all, -log(FLT_MIN): scores have run away.
_NO_HOPE = 87.3365
# The picture is drawn at most so often, and never takes more than this part of the time.
_DRAW_EVERY, _DRAW_PART = 10.0, 0.05
_TAIL = 200


@dataclass(frozen=True)
class Begun:
    """Caffe is about to start; `snapshot` is what it resumes from, None for the first weights."""

    snapshot: Snapshot | None
    passed: tuple[PassedOver, ...]
    words: tuple[str, ...]
    record: tuple[dict, ...] = ()


@dataclass(frozen=True)
class Ended:
    """Caffe has ended as it should; `done` is False where it was asked to stop before its end.

    There is no snapshot where it stopped before the first one, or had nothing to do.
    """

    snapshot: Snapshot | None
    done: bool


@dataclass(frozen=True)
class Warned:
    """Something is amiss that the training goes on without."""

    words: str


Event: TypeAlias = Begun | LogEvent | Warned | Ended


class Start(NamedTuple):
    """What a run starts from; `weights` are files
    for a first start, later ones over earlier ones.
    """

    snapshot: Snapshot | None
    passed: tuple[PassedOver, ...]
    weights: tuple[Path, ...]

    def words(self, run: Run) -> list[str]:
        """The arguments for Caffe, in the folder of the net."""
        if self.snapshot:
            return [f"--snapshot={run.name}/{self.snapshot.state.name}"]
        named = [os.path.abspath(path) for path in self.weights]
        return [f"--weights={','.join(named)}"] if named else []


def start(
    run: Run, weights: Sequence[Path], *, restart: bool = False, force: bool = False
) -> Start:
    """The newest whole snapshot of the run, or with `restart` or where there is none the weights.

    Raises OutputError where a restart would lose a run and `force` is not given.
    """
    if restart and run.begun and not force:
        raise OutputError(
            f"{run.path}: holds a run that a restart would delete; give --force to delete it"
        )
    snapshot, passed = (None, []) if restart else run.newest()
    return Start(snapshot, tuple(passed), tuple(weights))


def finished(run: Run, iterations: int) -> Snapshot | None:
    """The last snapshot of a run that has all its iterations, None while it has not."""
    snapshot, _ = run.newest()
    return snapshot if snapshot and snapshot.iteration >= iterations else None


def train(
    recipe: Recipe,
    weights: Sequence[Path] = (),
    *,
    restart: bool = False,
    force: bool = False,
    on_signal: Callable[[int], None] = lambda count: None,
) -> Generator[Event, None, None]:
    """What happens while Caffe trains by the recipe: Begun, then what its log says, then Ended.

    The run's folder has solver, nets, caffe.log, train.jsonl, curve.png and
    the snapshots.  A signal to stop makes Caffe save a snapshot; `on_signal` is
    called then.  So does leaving the iterator before its end.

    Raises EngineError with Caffe's own words where it fails, and where the
    loss is no number; OutputError as `start` and `locked` do.
    """
    load("matplotlib.figure")  # where it is missing, now and not hours later
    run = recipe.run
    new = not run.begun
    with locked(run) as handle:
        begin = start(run, weights, restart=restart, force=force)
        if restart:
            run.clear()
            os.ftruncate(handle, 0)
        with _tidy(recipe, new):
            iteration = begin.snapshot.iteration if begin.snapshot else 0
            kept = record.cut_back(run.record, iteration, run.log if iteration else None)
            recipe.save()
            yield Begun(
                begin.snapshot, begin.passed, tuple(recipe.words(*begin.words(run))), tuple(kept)
            )
            yield from _listened(recipe, begin, handle, kept, on_signal)
    last, _ = run.newest()
    yield Ended(last, (last.iteration if last else 0) >= recipe.iterations)


@contextmanager
def _tidy(recipe: Recipe, new: bool) -> Iterator[None]:
    """Where Caffe failed before its first line on the training, the folder keeps only the log."""
    try:
        yield
    except Exception:
        run = recipe.run
        if new and not record.read(run.record) and not run.snapshots():
            run.clear()
            for each in recipe.nets:
                each.path.unlink(missing_ok=True)
        raise


def _listened(
    recipe: Recipe, begin: Start, handle: int, kept: list[dict], on_signal: Callable[[int], None]
) -> Iterator[LogEvent | Warned]:
    """The events of Caffe's log, kept in the run's files as they come."""
    run = recipe.run
    tail: list[str] = []
    keeper = _Keeper(run, kept)
    command = recipe.command(*begin.words(run))
    start = os.fstat(handle).st_size
    with (
        running(command, cwd=run.folder, log=handle) as process,
        stoppable(process, on_signal) as caught,
    ):
        for event in events(_kept(said(process, handle, start), tail)):
            if isinstance(event, Loss) and _failed(event.loss):
                process.kill()
                raise _not_a_number(recipe, event)
            keeper.keep(event)
            yield event
            yield from keeper.warnings()
        status = process.wait()
    keeper.draw()
    yield from keeper.warnings()
    if status and not caught:
        raise _death(recipe, "".join(tail), status)


def _kept(lines: Iterable[str], tail: list[str]) -> Iterator[str]:
    """The lines; the last of them stay in `tail`."""
    for line in lines:
        tail.append(line)
        del tail[:-_TAIL]
        yield line


class _Keeper:
    """Writes each event into the record, and draws the curve now and then."""

    def __init__(self, run: Run, kept: list[dict]) -> None:
        self.run, self.rows = run, list(kept)
        self.begun = time.monotonic() - record.seconds(kept)
        self.drawn, self.took = time.monotonic(), 0.0
        self.amiss: dict[str, bool] = {}  # what cannot be drawn, and whether it is said

    def keep(self, event: LogEvent) -> None:
        """The record has the event, if it is one that is kept; OutputError where it cannot."""
        if not isinstance(event, Loss | Validation):
            return
        if isinstance(event, Loss) and event.rate is None and self.rows:
            event = Loss(event.iteration, event.loss, self._rate(), event.parts)
        row = record.row(event, time.monotonic() - self.begun)
        try:
            with open(self.run.record, "ab") as file:
                file.write(record.line(row))
        except OSError as error:
            fact = f"cannot be written: {error.strerror}, so the training stops"
            remedy = "check the folder of the run, and give the same command again"
            raise OutputError(f"{self.run.record}: {fact}; {remedy}") from None
        self.rows.append(row)
        if time.monotonic() - self.drawn > max(_DRAW_EVERY, self.took / _DRAW_PART):
            self.draw()

    def _rate(self) -> float | None:
        """The last rate: Caffe says none with the loss after the last update."""
        return next((row["rate"] for row in reversed(self.rows) if "rate" in row), None)

    def draw(self) -> None:
        """The curve shows the record so far, where it can be written."""
        if not self.rows:
            return
        begun = time.monotonic()
        title = f"{Path(os.path.realpath(self.run.folder)).name}/{self.run.name}"
        try:
            curve.draw(self.rows, self.run.curve, title)
        except OutputError as error:
            self.amiss.setdefault(str(error), False)
        self.drawn = time.monotonic()
        self.took = self.drawn - begun

    def warnings(self) -> Iterator[Warned]:
        """What has been amiss, each once."""
        for words in [words for words, told in self.amiss.items() if not told]:
            self.amiss[words] = True
            yield Warned(words)


# ---- what goes wrong


def _failed(loss: float) -> bool:
    return not isfinite(loss) or abs(loss - _NO_HOPE) < 1e-3


def _not_a_number(recipe: Recipe, event: Loss) -> EngineError:
    run, view = recipe.run, recipe.view
    rate = view.get("base_lr") if event.rate is None else event.rate
    what = "is not a number" if not isfinite(event.loss) else "means that the scores have diverged"
    last, _ = run.newest()
    back = (
        f"; iteration {last.iteration} is saved, and can continue with a lower base_lr"
        if last
        else ""
    )
    return EngineError(
        f"{run.solver}: iteration {event.iteration}: the loss is {event.loss:g}, which {what}, "
        f"at a rate of {rate:g}; lower base_lr (1e-4 goes with the mean over pixels, 1e-10 with "
        f"their sum: --loss), and start from trained weights{back}"
    )


def _death(recipe: Recipe, log: str, status: int) -> EngineError:
    run, trainer = recipe.run, recipe.trainer
    words = last_words(log, status).removeprefix(f"{trainer.name}: ")
    remedy = next((remedy for sign, remedy in trainer.remedies if sign in words), "")
    damage = databases_fit.damage(recipe) if status < 0 else ""
    if damage:
        ended = words.partition(":")[0]
        return EngineError(f"{trainer.name}: {ended} ({run.solver}), for {damage}")
    last, _ = run.newest()
    back = f"see {run.log}"
    if last and fatal_words(log):  # which would come again
        back = f"iteration {last.iteration} is saved; {back}"
    elif last:
        back = f"the same command resumes from iteration {last.iteration}"
    return EngineError(f"{trainer.name}: {words} ({run.solver}); {remedy or back}")
