"""The page of a training while it goes on: run/index.html, written anew now and then."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fcnkit.reporting.overlays import Overlays, iteration_of
from fcnkit.reporting.report import report_of
from fcnkit.reporting.subject import RUNS, Subject, Wishes
from fcnkit.training.log import Loss, Saved, Validation
from fcnkit.training.runs import Run
from fcnkit.training.tensorboard import Board
from fcnkit.training.train import Begun, Event

# The page is written at most so often, in seconds, and takes no more than this part of the time.
_EVERY, _PART = 5.0, 0.02
# How often a browser reads it.
REFRESH = 10


class LivePage:
    """The page of a run that is being trained; a browser reads it anew until it is finished.

    A page is never worth a training: whatever keeps it from being written is told once,
    by `tell`, and tried again later.
    """

    def __init__(self, run: Run, tell: Callable[[str], None]) -> None:
        self.run, self.tell = run, tell
        self.told = False
        self.due = 0.0

    def keep(self) -> None:
        """Something has happened: the page shows it, unless one was written just before."""
        if time.monotonic() >= self.due:
            self.write(refresh=REFRESH)

    def write(self, refresh: int = 0) -> None:
        """The page shows the run as it is; with `refresh` it is read anew."""
        if not self.run.begun:  # a start that failed leaves nothing
            return
        begun = time.monotonic()
        try:
            subject = Subject(RUNS, str(self.run.path), Wishes(), runs=(self.run,))
            report_of(subject, refresh=refresh).save(self.run.page, force=True)
        except Exception as error:  # even a defect of the page's
            self._tell(error)
        took = time.monotonic() - begun
        self.due = time.monotonic() + max(_EVERY, took / _PART)

    def _tell(self, error: Exception) -> None:
        if self.told:
            return
        self.told = True
        what = str(error) if str(self.run.page) in str(error) else f"{self.run.page}: {error}"
        self.tell(f"{what}; the training goes on without its page")


class LiveBoard:
    """The run's event file for TensorBoard: numbers as they come, and at each snapshot what the
    net sees.  What goes wrong is told once, and ends that part alone.
    """

    def __init__(self, run: Run, tell: Callable[[str], None]) -> None:
        self.run, self.tell = run, tell
        self.board, self.overlays = Board(run), Overlays(run)
        self.writes = self.draws = True

    def keep(self, event: Event) -> None:
        """The file has what has happened, if it is something to see."""
        if not self.writes:
            return
        try:
            if isinstance(event, Begun):
                self.board.begin(event.record, event.snapshot.iteration if event.snapshot else 0)
            elif isinstance(event, Loss | Validation):
                self.board.keep(event)
        except Exception as error:
            self.writes = False
            self.tell(f"{self.run.path}: {error}; nothing more is written for TensorBoard")
        if isinstance(event, Saved) and self.writes and self.draws:
            self._draw(event)

    def _draw(self, event: Saved) -> None:
        iteration = iteration_of(event.path)
        if iteration is None:
            return
        try:
            found = self.overlays.draw(self.run.weights(iteration))
            self.board.show(iteration, {f"overlay/{name}": each for name, each in found.items()})
        except Exception as error:
            self.draws = False
            self.tell(f"{self.run.path}: {error}; TensorBoard gets no overlays")


@contextmanager
def followers(
    run: Run, tell: Callable[[str], None], *, tensorboard: bool
) -> Iterator[Callable[[Event], None]]:
    """What is to be called with each event of a training, so that all can look at it.

    At the end, however it comes, the page is written once more, and is read anew no longer.
    """
    page = LivePage(run, tell)
    board = LiveBoard(run, tell) if tensorboard else None

    def follow(event: Event) -> None:
        if board:
            board.keep(event)
        if isinstance(event, Begun | Loss | Validation | Saved):
            page.keep()

    try:
        yield follow
    finally:
        page.write()
