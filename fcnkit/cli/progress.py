"""How far a training is: a live bar on a terminal, plain lines now and then elsewhere."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path

import click

from fcnkit.training.log import Loss, Scores

# Between two plain lines of losses, in seconds.
_EVERY = 10.0


def shown(values: Mapping[str, object]) -> str:
    """Scores in a few words; those of several classes by how many they are."""
    parts = (f"{name} {_figure(value)}" for name, value in values.items())
    return ", ".join(parts)


def _figure(value: object) -> str:
    return f"of {len(value)} classes" if isinstance(value, list) else f"{value:.4g}"


def clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


class Pace:
    """How fast the iterations come, from the first one on."""

    def __init__(self, first: int) -> None:
        self.first, self.begun = first, time.monotonic()

    def left(self, iteration: int, iterations: int) -> str:
        """The speed and the time that is left, "" where neither is known."""
        done = iteration - self.first
        if done <= 0 or iteration >= iterations:
            return ""
        speed = done / max(time.monotonic() - self.begun, 1e-9)
        return f", {speed:.3g}/s, {clock((iterations - iteration) / speed)} left"


class Lines:
    """Progress as lines on standard error."""

    def __init__(self, name: str, first: int, iterations: int) -> None:
        self.name, self.iterations, self.pace = name, iterations, Pace(first)
        self.said = 0.0

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def loss(self, event: Loss) -> None:
        """Says the loss, if nothing was said for a while or it is the last."""
        if time.monotonic() - self.said < _EVERY and event.iteration < self.iterations:
            return
        self.said = time.monotonic()
        rate = "" if event.rate is None else f", rate {event.rate:g}"
        left = self.pace.left(event.iteration, self.iterations)
        self.say(
            f"iteration {event.iteration} of {self.iterations}, loss {event.loss:.4g}{rate}{left}"
        )

    def scores(self, event: Scores) -> None:
        """Says the scores."""
        self.say(f"iteration {event.iteration}, validation: {shown(event.values)}")

    def say(self, text: str) -> None:
        """One line."""
        click.echo(f"{self.name}: {text}", err=True)


class Bar:
    """Progress as a bar that is always the terminal's last line but one,
    and the newest scores below it.
    """

    def __init__(self, name: str, first: int, iterations: int) -> None:
        from rich import progress
        from rich.console import Console, Group
        from rich.live import Live
        from rich.text import Text

        self.bar = progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(bar_width=16),
            progress.TextColumn("{task.completed}/{task.total}"),
            progress.TextColumn("{task.fields[state]}", markup=False),
        )
        # The whole path would leave no room for the rest.
        short = Path(name).resolve().name
        self.task = self.bar.add_task(short, total=iterations, completed=first, state="")
        self.test = Text()
        self.live = Live(
            Group(self.bar, self.test), console=Console(stderr=True), refresh_per_second=4
        )
        self.iterations, self.pace = iterations, Pace(first)

    def __enter__(self) -> "Bar":
        self.live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.live.stop()

    def loss(self, event: Loss) -> None:
        """The bar stands at this iteration."""
        rate = "" if event.rate is None else f" rate {event.rate:g}"
        state = f"loss {event.loss:.4g}{rate}{self.pace.left(event.iteration, self.iterations)}"
        self.bar.update(self.task, completed=event.iteration, state=state)

    def scores(self, event: Scores) -> None:
        """The scores stay below the bar until there are others."""
        self.test.plain = f"validation at {event.iteration}: {shown(event.values)}"

    def say(self, text: str) -> None:
        """One line above the bar."""
        self.live.console.print(text, markup=False, highlight=False)


def progress(name: str, first: int, iterations: int) -> "Bar | Lines":
    """What fits where standard error goes."""
    from fcnkit.libraries import load

    if not sys.stderr.isatty():
        return Lines(name, first, iterations)
    load("rich.progress")
    return Bar(name, first, iterations)
