"""Draws the record of a run, or of several: the loss, and the scores below it."""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from fcnkit import files
from fcnkit.errors import printable
from fcnkit.libraries import load
from fcnkit.ticks import linear, logarithmic, plain


def draw(rows: Sequence[dict], path: Path, title: str) -> None:
    """The PNG at `path` shows these rows; it is whole at every moment.

    The loss is on a logarithmic scale, with that of the test nets; scores lie
    in a part of their own.  No display is needed.
    """
    figure = load("matplotlib.figure").Figure(figsize=(8, 6), layout="constrained")
    scores = _series(rows)
    losses = {name: scores.pop(name) for name in list(scores) if "loss" in name}
    upper, *lower = figure.subplots(2 if scores else 1, 1, sharex=True, squeeze=False)[:, 0]
    train = [(each["iteration"], each["loss"]) for each in rows if "loss" in each]
    _plot(
        upper, {"training": train, **{f"validation: {name}": line for name, line in losses.items()}}
    )
    upper.set(title=_literal(title), ylabel="loss")
    if any(value and value > 0 for line in (train, *losses.values()) for _, value in line):
        upper.set_yscale("log")
    for axes in lower:
        _plot(axes, scores)
        axes.set_ylabel("validation")
    figure.axes[-1].set_xlabel("iteration")
    for axes in figure.axes:
        _tick(axes)
    _save(figure, path)


def compare(
    runs: Mapping[str, Sequence[dict]], path: Path, title: str, score: str = "accuracy"
) -> None:
    """The PNG at `path` shows the rows of several runs,
    by their names: losses, and beside them one score.

    A run has the same colour in both.
    """
    figure = load("matplotlib.figure").Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _plot(
        left,
        {
            name: [(row["iteration"], row["loss"]) for row in rows if "loss" in row]
            for name, rows in runs.items()
        },
    )
    _plot(right, {name: _series(rows).get(score, []) for name, rows in runs.items()})
    figure.suptitle(_literal(title))
    left.set(ylabel="training loss", xlabel="iteration", yscale="log")
    right.set(ylabel=_literal(f"validation {score}"), xlabel="iteration")
    for axes in (left, right):
        _tick(axes)
    _save(figure, path)


def _tick(axes: Any) -> None:
    """Both axes have ticks at round numbers, written as a reader would: 0.5, 20,000."""
    for axis, (low, high), way in (
        (axes.xaxis, axes.get_xlim(), axes.get_xscale()),
        (axes.yaxis, axes.get_ylim(), axes.get_yscale()),
    ):
        logarithm = way == "log" and low > 0
        places = logarithmic(low, high) if logarithm else linear(low, high)
        axis.set_major_locator(load("matplotlib.ticker").FixedLocator(places))
        axis.set_major_formatter(lambda value, _: plain(value))
        axis.set_minor_locator(load("matplotlib.ticker").NullLocator())
        axis.set_view_interval(low, high, ignore=True)


def _literal(text: str) -> str:
    """A name as matplotlib shows it letter for letter, on one line and not too long.

    A dollar begins a formula there, and what begins with _ is in no legend.
    """
    return printable(f" {text}" if text.startswith("_") else text).replace("$", r"\$")


def _save(figure: Any, path: Path) -> None:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    files.write(path, file.getvalue(), force=True)


Line = list[tuple[int, float | None]]


def _series(rows: Iterable[dict]) -> dict[str, Line]:
    """Each score's values over the iterations; those of several classes are left to the record."""
    found: dict[str, Line] = {}
    for each in rows:
        net = f" ({each['net']})" if each.get("net") else ""
        for name, value in each.get("test", {}).items():
            if not isinstance(value, list):
                found.setdefault(name + net, []).append((each["iteration"], value))
    return found


def _plot(axes: Any, lines: dict[str, Line]) -> None:
    for number, (name, line) in enumerate(lines.items()):
        if line:
            xs, ys = zip(*line, strict=True)
            # A gap where there was no number.
            known = [float("nan") if y is None else y for y in ys]
            marker = "." if len(line) < 30 else ""
            axes.plot(
                xs, known, label=_literal(name), marker=marker, linewidth=1, color=f"C{number}"
            )
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend(loc="best", fontsize="small")
