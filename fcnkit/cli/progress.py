"""How far a training is: a live bar on a terminal, plain lines now and then elsewhere."""

import sys
import time
from collections.abc import Mapping

import click

from fcnkit.segmentation.log import Loss, Scores

# Between two plain lines of losses, in seconds.
_EVERY = 10.0


def shown(values: Mapping[str, object]) -> str:
    """Scores in a few words; those of several classes by how many they are."""
    parts = (f"{name} {_figure(value)}" for name, value in values.items())
    return ", ".join(parts)


def _figure(value: object) -> str:
    return f"of {len(value)} classes" if isinstance(value, list) else f"{value:.4g}"


class Lines:
    """Progress as lines on standard error."""

    def __init__(self, name: str, first: int, iterations: int) -> None:
        self.name, self.first, self.iterations = name, first, iterations
        self.begun, self.said = time.monotonic(), 0.0

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def loss(self, event: Loss) -> None:
        """Says the loss, if nothing was said for a while or it is the last."""
        now = time.monotonic()
        if now - self.said < _EVERY and event.iteration < self.iterations:
            return
        self.said = now
        rate = "" if event.rate is None else f", rate {event.rate:g}"
        done = f"iteration {event.iteration} of {self.iterations}"
        self.say(f"{done}, loss {event.loss:.4g}{rate}{self._left(event, now)}")

    def _left(self, event: Loss, now: float) -> str:
        done = event.iteration - self.first
        if done <= 0 or event.iteration >= self.iterations:
            return ""
        speed = done / max(now - self.begun, 1e-9)
        return f", {speed:.3g} iterations/s, {clock((self.iterations - event.iteration) / speed)} left"

    def scores(self, event: Scores) -> None:
        """Says the scores."""
        self.say(f"iteration {event.iteration}, validation: {shown(event.values)}")

    def say(self, text: str) -> None:
        """One line."""
        click.echo(f"{self.name}: {text}", err=True)


def clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


class Bar:
    """Progress as one line of the terminal that is always the newest."""

    def __init__(self, name: str, first: int, iterations: int) -> None:
        from rich import progress
        from rich.console import Console

        columns = (
            progress.TextColumn("{task.description}", markup=False), progress.BarColumn(bar_width=None),
            progress.MofNCompleteColumn(), progress.TextColumn("{task.fields[state]}", markup=False),
            progress.TimeRemainingColumn(), progress.TextColumn("left", markup=False),
        )  # fmt: skip
        self.bar = progress.Progress(*columns, console=Console(stderr=True), refresh_per_second=4)
        self.task = self.bar.add_task(name, total=iterations, completed=first, state="")
        self.first, self.begun = first, time.monotonic()
        self.test = ""

    def __enter__(self) -> "Bar":
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def loss(self, event: Loss) -> None:
        """The bar stands at this iteration."""
        speed = (event.iteration - self.first) / max(time.monotonic() - self.begun, 1e-9)
        rate = "" if event.rate is None else f" rate {event.rate:g}"
        state = f"loss {event.loss:.4g}{rate} {speed:.3g}/s{self.test}"
        self.bar.update(self.task, completed=event.iteration, state=state)

    def scores(self, event: Scores) -> None:
        """The scores stay beside the bar until there are others."""
        self.test = f" | {shown(event.values)}"

    def say(self, text: str) -> None:
        """One line above the bar."""
        self.bar.console.print(text, markup=False, highlight=False)


def progress(name: str, first: int, iterations: int) -> "Bar | Lines":
    """What fits where standard error goes."""
    from fcnkit.segmentation.libraries import load

    if not sys.stderr.isatty():
        return Lines(name, first, iterations)
    load("rich.progress")
    return Bar(name, first, iterations)
