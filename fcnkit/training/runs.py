"""Finds what a run's folder holds, and the newest snapshot in it that is whole."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from fcnkit import locks
from fcnkit.errors import OutputError, WeightsError
from fcnkit.formats import wire
from fcnkit.weights import store
from fcnkit.weights.statistics import statistics

# What the solver is called, in the net's folder and in the run's.
SOLVER = "solver.prototxt"
RECORD, PAGE = "train.jsonl", "index.html"
_LOG, _CURVE, _LOCK = "caffe.log", "curve.png", ".lock"
# What TensorBoard's event files begin with.
EVENTS = "events.out.tfevents."
# The names in a run's folder that no net may take.
OWN = (SOLVER, RECORD, PAGE, _LOG, _CURVE)
# The last field that Caffe writes of a SolverState, whatever the solver: the rate's step.
_LAST_FIELD = 4


class Snapshot(NamedTuple):
    """What Caffe saves to resume from: weights after some iterations, and the solver's state."""

    iteration: int
    weights: Path
    state: Path


class PassedOver(NamedTuple):
    """A snapshot that a resume passes over, and why."""

    snapshot: Snapshot
    why: str


@dataclass(frozen=True)
class Run:
    """A run called `name` in the folder of its net; Caffe works in that folder.

    Solver and snapshots are named relative to it, so that the folder may be
    moved, and the nets' own relative paths mean what they did.
    """

    folder: Path
    name: str
    prefix: str = "fcn"

    @property
    def path(self) -> Path:
        """Where all that the run leaves lies."""
        return self.folder / self.name

    @property
    def solver(self) -> Path:
        """The solver as run."""
        return self.path / SOLVER

    @property
    def log(self) -> Path:
        """The file of Caffe's whole log."""
        return self.path / _LOG

    @property
    def record(self) -> Path:
        """Losses and scores, a JSON object a line."""
        return self.path / RECORD

    @property
    def curve(self) -> Path:
        """The picture of the record."""
        return self.path / _CURVE

    @property
    def page(self) -> Path:
        """The page of the run, for a browser."""
        return self.path / PAGE

    def event_files(self) -> list[Path]:
        """The files for TensorBoard, in its order."""
        return sorted(self.path.glob(f"{EVENTS}*"))

    def matrices(self) -> list[Path]:
        """The infogain matrices that lie in the folder: the class weights of the losses."""
        return sorted(self.path.glob("infogain*.binaryproto"))

    @property
    def begun(self) -> bool:
        """Whether there is anything that a new start would lose."""
        return os.path.exists(self.record) or bool(self.snapshots())

    def weights(self, iteration: int) -> Path:
        """The caffemodel that Caffe saves after this many iterations."""
        return self.path / f"{self.prefix}_iter_{iteration}.caffemodel"

    def snapshots(self) -> list[Snapshot]:
        """Every snapshot that has a solver state, whole or not, the newest first."""
        pattern = re.compile(re.escape(self.prefix) + r"_iter_(\d+)\.solverstate")
        names = os.listdir(self.path) if os.path.isdir(self.path) else []
        numbers = sorted(int(found[1]) for name in names if (found := pattern.fullmatch(name)))
        return [
            Snapshot(number, self.weights(number), self.weights(number).with_suffix(".solverstate"))
            for number in reversed(numbers)
        ]

    def newest(self) -> tuple[Snapshot | None, list[PassedOver]]:
        """The newest snapshot that is whole, and those after it that are not.

        One that was being written when Caffe was killed is cut; one that was
        written when the training had failed holds NaN.
        """
        passed: list[PassedOver] = []
        for snapshot in self.snapshots():
            why = damage(snapshot)
            if not why:
                return snapshot, passed
            passed.append(PassedOver(snapshot, why))
        return None, passed

    def clear(self) -> None:
        """What the run has left is gone; files of other names stay."""
        made = [
            self.solver,
            self.record,
            self.curve,
            self.page,
            *self.matrices(),
            *self.event_files(),
        ]
        for snapshot in self.snapshots():
            made += [snapshot.state, snapshot.weights]
        for path in made:
            path.unlink(missing_ok=True)


def damage(snapshot: Snapshot) -> str:
    """Why Caffe could not go on from this snapshot, "" where it can."""
    try:
        weights, state = store.open(snapshot.weights), store.open(snapshot.state)
    except (WeightsError, OSError) as error:
        return str(error)
    if state.kind != "solverstate" or not _ends(snapshot.state):
        return f"{snapshot.state}: the solver state is cut off"
    bad = [f'layer "{row.layer}"' for row in statistics(weights).rows if row.nans or row.infinities]
    return f"{snapshot.weights}: NaN or infinity in {', '.join(bad[:3])}" if bad else ""


def _ends(state: Path) -> bool:
    """Whether a solver state that can be read is all there, for it may be cut between two blobs."""
    data = memoryview(state.read_bytes())
    number = 0
    for field in wire.fields(data, 0, len(data)):
        number = field.number
    return number == _LAST_FIELD


@contextmanager
def locked(run: Run) -> Iterator[int]:
    """The run is ours alone; the open file of Caffe's log.  The folder is made where there is none.

    Raises OutputError where another process has the run.
    """
    try:
        run.path.mkdir(exist_ok=True)
        lock = locks.taken(run.path / _LOCK)
    except OSError as error:
        raise _unwritable(run, error) from None
    if lock is None:
        raise OutputError(
            f"{run.path}: another process is training it; wait until it ends, or give another --run"
        )
    try:
        with _open_log(run) as handle:
            yield handle
    finally:
        lock.release()


@contextmanager
def _open_log(run: Run) -> Iterator[int]:
    try:
        handle = os.open(run.log, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError as error:
        raise _unwritable(run, error) from None
    try:
        yield handle
    finally:
        with suppress(OSError):
            os.close(handle)


def _unwritable(run: Run, error: OSError) -> OutputError:
    return OutputError(f"{run.path}: cannot be written: {error.strerror}; give another --run")


def in_use(run: Run) -> bool:
    """Whether a process trains this run now."""
    if not os.path.exists(run.path / _LOCK):
        return False
    try:
        lock = locks.taken(run.path / _LOCK)
    except OSError:  # another's folder, which cannot be written
        return False
    if lock is None:
        return True
    lock.release()
    return False
