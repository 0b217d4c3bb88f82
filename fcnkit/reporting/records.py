"""What `fcnkit fcn` leaves in its folder for the page: the plan, and a proof if it made one."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fcnkit import files
from fcnkit.errors import NetError, error_text
from fcnkit.foreign import json_of, json_text
from fcnkit.formats import prototxt
from fcnkit.formats.prototxt import Prototxt
from fcnkit.plan import Offset, Plan, Step
from fcnkit.verifying.proof import digest

PLAN, PROOF = "plan.json", "proof.json"
_FORMAT = 1
# The longest file that is read: of a plan with a net of 100 MB.
_LONGEST = 1 << 28


@dataclass(frozen=True)
class PlanRecord:
    """A plan that was carried out: the net before, what was done and why, and by which command.

    `digest` is the SHA-256 of the text of the net after.
    """

    before: Prototxt
    steps: tuple[Step, ...]
    offsets: tuple[Offset, ...]
    command: tuple[str, ...]
    digest: str

    @classmethod
    def of(cls, plan: Plan, after: Prototxt, command: Sequence[str]) -> "PlanRecord":
        """The record of a plan, whose net was written as `after`."""
        return cls(plan.before, plan.steps, plan.offsets, tuple(command), digest(after))

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """The file at `path` holds the record; see `fcnkit.files.atomic`."""
        made = {
            "format": _FORMAT,
            "command": list(self.command),
            "before": {"path": self.before.path, "text": self.before.text},
            "after": self.digest,
            "steps": [step._asdict() for step in self.steps],
            "offsets": [each._asdict() for each in self.offsets],
        }
        files.write(path, f"{json_text(made, indent=1)}\n".encode(), force=force)


@dataclass(frozen=True)
class ProofRecord:
    """A proof as it was saved: what `verify --json` prints, with the command that made it."""

    path: str
    found: Mapping[str, Any]
    command: tuple[str, ...] = field(default=())


def save_proof(
    found: Mapping[str, Any], command: Sequence[str], path: str | os.PathLike[str], *, force: bool
) -> None:
    """The file at `path` holds a proof's JSON and the command; see `fcnkit.files.atomic`."""
    made = {"format": _FORMAT, "command": list(command), **found}
    files.write(path, f"{json_text(made, indent=1)}\n".encode(), force=force)


def plan_of(folder: Path) -> PlanRecord | None:
    """The plan that a folder keeps; None where it keeps none.

    Raises NetError where the file is damaged.
    """
    path = folder / PLAN
    if not os.path.lexists(path):
        return None
    found = _read(path)
    try:
        before = found["before"]
        return PlanRecord(
            prototxt.parse(_text(before["text"]), _text(before["path"])),
            tuple(Step(*_of_step(each)) for each in _list(found["steps"])),
            tuple(_offset(each) for each in _list(found["offsets"])),
            tuple(map(_text, _list(found["command"]))),
            _text(found["after"]),
        )
    except (KeyError, TypeError) as error:
        raise _damaged(path, f"it has no {error_text(error)}") from None


def proof_of(path: str | os.PathLike[str]) -> ProofRecord:
    """The proof in a file that `verify --json` or `--verify` wrote.

    Raises NetError where it is no such file.
    """
    found = _read(path)
    # What a command with a plan prints has the proof in it.
    inner = found.get("verify")
    found = inner if isinstance(inner, dict) else found
    engines = found.get("engines")
    if not isinstance(engines, list) or not all(isinstance(each, dict) for each in engines):
        raise _damaged(path, "it has no list of engines")
    command = found.get("command", ())
    words = tuple(map(_text, command)) if isinstance(command, list) else ()
    return ProofRecord(os.fspath(path), found, words)


def _read(path: str | os.PathLike[str]) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            data = file.read(_LONGEST)
        found = json_of(data.decode())
    except OSError as error:
        raise NetError(f"{path}: cannot be read: {error_text(error)}; name a file") from None
    except ValueError as error:
        raise _damaged(path, f"it is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise _damaged(path, "it is not a JSON object")
    return found


def _damaged(path: str | os.PathLike[str], fact: str) -> NetError:
    return NetError(f"{path}: {fact}; make it again, or remove it")


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("list where there should be one")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text where there should be one")
    return value


def _of_step(found: Mapping[str, Any]) -> tuple[str, str, int | None, str, str]:
    line = found["line"]
    if line is not None and not isinstance(line, int):
        raise TypeError("line of a step")
    verb, layer, what, why = (_text(found[name]) for name in ("verb", "layer", "what", "why"))
    return verb, layer, line, what, why


def _offset(found: Mapping[str, Any]) -> Offset:
    layer, cropped, reference = (_text(found[name]) for name in ("layer", "cropped", "reference"))
    numbers = _list(found["offset"])
    if not all(isinstance(each, int) for each in numbers):
        raise TypeError("numbers of an offset")
    return Offset(layer, cropped, reference, tuple(numbers))
