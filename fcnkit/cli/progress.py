"""Shows how far long work is, on a terminal: a live bar, or that it goes on.

Where standard error is no terminal but a pipe or a file nothing is shown, but for a training, whose
lines are its log.  rich leaves colours out where NO_COLOR is set.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from fcnkit.cli.text import say, shown
from fcnkit.progress import Progress, no_progress

# Between two lines, and between two states of a bar, in seconds.
EVERY, FRAME = 10.0, 0.1
# To read or write fewer bytes takes a moment, and needs no display.
LONG = 64 << 20


class Unit(NamedTuple):
    """How amounts are written: as numbers behind a word, or in a multiple such as megabytes."""

    word: str = ""
    symbol: str = ""
    size: int = 1

    def amount(self, done: int, total: int) -> str:
        """So much of so much."""
        return f"{self.word}{self._figure(done)} of {self._figure(total)}{self.symbol}"

    def speed(self, each_second: float) -> str:
        """So much each second."""
        return f"{each_second / self.size:.3g}{self.symbol}/s"

    def _figure(self, value: int) -> str:
        return str(value) if self.size == 1 else f"{value / self.size:.1f}"


THINGS, ITERATIONS, MEGABYTES = Unit(), Unit("iteration "), Unit("", " MB", 10**6)


def clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


class Work:
    """What is done of some work, and how fast it goes."""

    def __init__(self, label: str, total: int, first: int, unit: Unit) -> None:
        self.label, self.total, self.first, self.unit = label, total, first, unit
        self.done, self.begun = first, time.monotonic()

    def left(self) -> str:
        """The speed and the time that is left, "" where neither is known."""
        done = self.done - self.first
        if done <= 0 or self.done >= self.total:
            return ""
        speed = done / max(time.monotonic() - self.begun, 1e-9)
        return f"{self.unit.speed(speed)}, {clock((self.total - self.done) / speed)} left"

    def state(self, note: str) -> str:
        """A note, the speed and the time that is left, as far as they are known."""
        return ", ".join(part for part in (note, self.left()) if part)


class Lines:
    """Progress as a line now and then, and at the end."""

    def __init__(self, work: Work) -> None:
        self.work, self.last = work, -EVERY

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def advance(self, more: int) -> None:
        """So much more is done."""
        self.at(self.work.done + more)

    def at(self, done: int, note: str = "") -> None:
        """So much is done: a line where none was shown for a while, and at the end."""
        work, now = self.work, time.monotonic()
        work.done = done
        if now - self.last < EVERY and done < work.total:
            return
        self.last = now
        self.say(", ".join(filter(None, (work.unit.amount(done, work.total), work.state(note)))))

    def result(self, text: str) -> None:
        """A figure that stands until there is another."""
        self.say(text)

    def say(self, text: str) -> None:
        """One line."""
        say(f"{self.work.label}: {text}", err=True)


class Nothing(Lines):
    """Progress that nobody watches."""

    def at(self, done: int, note: str = "") -> None:
        """So much is done."""
        self.work.done = done


class Bar:
    """Progress as a bar that is always the terminal's last line but one,
    and the newest result below it.
    """

    def __init__(self, work: Work) -> None:
        from rich.console import Console, Group
        from rich.live import Live
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.text import Text

        self.work, self.last = work, 0.0
        self.bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[amount]}", markup=False),
            TextColumn("{task.fields[state]}", markup=False),
        )
        self.task = self.bar.add_task(
            shown(work.label),
            total=work.total,
            completed=work.done,
            state="",
            amount=work.unit.amount(work.done, work.total),
        )
        self.below = Text()
        self.live = Live(
            Group(self.bar, self.below), console=Console(stderr=True), refresh_per_second=4
        )

    def __enter__(self) -> "Bar":
        self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.live.stop()

    def advance(self, more: int) -> None:
        """So much more is done."""
        self.at(self.work.done + more)

    def at(self, done: int, note: str = "") -> None:
        """So much is done."""
        work, now = self.work, time.monotonic()
        work.done = done
        if now - self.last < FRAME and done < work.total:
            return
        self.last = now
        amount = work.unit.amount(done, work.total)
        self.bar.update(self.task, completed=done, amount=amount, state=work.state(note))

    def result(self, text: str) -> None:
        """It stays below the bar until there is another."""
        self.below.plain = shown(text)

    def say(self, text: str) -> None:
        """One line above the bar."""
        self.live.console.print(shown(text), markup=False, highlight=False)


def progress(
    label: str, total: int, *, first: int = 0, unit: Unit = THINGS, logged: bool = False
) -> Bar | Lines:
    """The display of work on `total` things, of which `first` are done already.

    It is a context; a bar where standard error is a terminal, elsewhere nothing,
    or lines of what is `logged`.
    """
    work = Work(label, total, first, unit)
    return Bar(work) if sys.stderr.isatty() else Lines(work) if logged else Nothing(work)


@contextmanager
def waiting(label: str) -> Iterator[None]:
    """A terminal shows that work goes on of which nobody knows how long it takes."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(shown(label)):
        yield


@contextmanager
def counted(total: int, label: str) -> Iterator[Progress]:
    """What is to be called with how many more of `total` things are done."""
    with progress(label, total) as display:
        yield display.advance


@contextmanager
def measured(size: int, label: str) -> Iterator[Progress]:
    """What is to be called with how many more of `size` bytes are done; few have no display."""
    if size < LONG:
        yield no_progress
        return
    with progress(label, size, unit=MEGABYTES) as display:
        yield display.advance
