"""Reads and writes train.jsonl: one JSON object a line, in the order of the iterations."""

import os
from collections.abc import Iterable
from pathlib import Path

from fcnkit import files
from fcnkit.foreign import json_of, json_text
from fcnkit.training.log import Loss, Validation, events


def row(event: Loss | Validation, seconds: float) -> dict:
    """What is kept of an event; `seconds` is how long the run has trained, before a resume too."""
    if isinstance(event, Validation):
        test = {"iteration": event.iteration, "test": dict(event.values)}
        return test | ({"net": event.net} if event.net else {})
    shown = {"iteration": event.iteration, "loss": event.loss, "rate": event.rate}
    # Of one output the loss is the mean already.
    parts = {"outputs": dict(event.parts)} if len(event.parts) > 1 else {}
    return {**shown, "seconds": round(seconds, 3), **parts}


def line(row: dict) -> bytes:
    """One row as it stands in the file; what is not a number (a score may not be) is null."""
    return json_text(row).encode() + b"\n"


def rows(data: bytes) -> list[dict]:
    """The rows of a file; lines that are not whole are left out."""
    found = []
    for text in data.split(b"\n")[:-1]:  # what follows the last newline was being written
        try:
            value = json_of(text)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("iteration"), int):
            found.append(value)
    return found


def before(rows: Iterable[dict], iteration: int) -> list[dict]:
    """The rows that a resume from this iteration does not give again:
    it begins by showing this one.
    """
    return [each for each in rows if each["iteration"] < iteration]


def read(path: Path) -> list[dict]:
    """The rows of the file at `path`, none where there is no file."""
    return rows(path.read_bytes()) if os.path.exists(path) else []


def logged(path: Path) -> list[dict]:
    """The rows that a run's log tells of, none where there is no log.

    Where a resume goes back, what it repeats counts.  When the run had trained for how
    long, the log does not say.
    """
    found: dict[tuple, dict] = {}
    last = 0
    for event in _told(path):
        made = {**row(event, 0.0), **_UNTIMED[type(event)]}
        if event.iteration < last or _key(made) in found:
            found = {_key(one): one for one in before(found.values(), event.iteration)}
        found[_key(made)], last = made, event.iteration
    return [*found.values()]


def _told(path: Path) -> list[Loss | Validation]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return [event for event in events(file) if isinstance(event, Loss | Validation)]
    except (OSError, ValueError):  # a log that others have written in
        return []


_UNTIMED: dict[type, dict] = {Loss: {"seconds": None}, Validation: {}}


def completed(rows: Iterable[dict], others: Iterable[dict]) -> list[dict]:
    """The rows and, each in its place, those of the others that they lack.

    Where it is not known how long the run had trained, it had for as long as at the row before.
    """
    found = {_key(each): each for each in others} | {_key(each): each for each in rows}
    whole: list[dict] = []
    # A net is tested before the update of the same number.
    for each in sorted(found.values(), key=lambda each: (each["iteration"], "loss" in each)):
        untimed = each.get("seconds", 0) is None
        whole.append({**each, "seconds": seconds(whole)} if untimed else each)
    return whole


def _key(row: dict) -> tuple:
    return row["iteration"], "loss" in row, row.get("net", 0)


def cut_back(path: Path, iteration: int, log: Path | None = None) -> list[dict]:
    """The file holds the rows before this iteration alone, which are returned.

    Those that were not written when we were killed, though the trainer had come so far,
    are taken from its log.
    """
    kept = before(completed(read(path), logged(log) if log else []), iteration)
    files.write(path, b"".join(map(line, kept)), force=True)
    return kept


def seconds(rows: Iterable[dict]) -> float:
    """How long the run had trained at the last of these rows."""
    return max((each.get("seconds") or 0.0 for each in rows), default=0.0)
