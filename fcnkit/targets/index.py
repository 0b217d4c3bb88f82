"""The targets that fcnkit has, by name, and those of a user's own files."""

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TypeAlias

from fcnkit import expected
from fcnkit.errors import TargetError, printable
from fcnkit.targets.forks import FORK_TARGETS, ForkTarget
from fcnkit.targets.reading import read
from fcnkit.targets.rules import Target

AnyTarget: TypeAlias = Target | ForkTarget
NameOrPath: TypeAlias = str | os.PathLike[str]
FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """The names of the tool chains, and after them of the forks of Caffe."""
    return (*(path.stem for path in sorted(FOLDER.glob("*.toml"))), *FORK_TARGETS)


def every() -> tuple[AnyTarget, ...]:
    """All targets, tool chains first."""
    return tuple(map(target, names()))


def chosen(asked: NameOrPath | Iterable[NameOrPath]) -> tuple[AnyTarget, ...]:
    """The targets of one name or path, or of several."""
    if isinstance(asked, str | os.PathLike):
        return (target(asked),)
    return tuple(map(target, expected.instance("target", asked, Iterable, "a name, or names")))


def target(name: NameOrPath) -> AnyTarget:
    """The target of that name, or the one that a TOML file of the user's describes.

    Raises TargetError for a name that is not known, with those that are, and for what is
    wrong with a file.
    """
    name = os.fspath(expected.path("target", name))
    if name in names():
        return _own(name)
    if name.endswith(".toml") or os.sep in name:
        return read(name)
    known = ", ".join(names())
    raise TargetError(
        f'no target "{printable(name)}": give one of {known}, or a TOML file of your own'
    )


@cache
def _own(name: str) -> AnyTarget:
    return FORK_TARGETS[name] if name in FORK_TARGETS else read(FOLDER / f"{name}.toml")
