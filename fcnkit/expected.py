"""Arguments that are not what a function takes: a TypeError names the argument and its value."""

import operator
import os
from collections.abc import Iterable, Mapping
from typing import Any


def whole(name: str, value: Any, *, least: int | None = None) -> int:
    """The whole number; TypeError for anything else, ValueError below `least`."""
    if not isinstance(value, bool):
        try:
            found = operator.index(value)
        except TypeError:
            pass
        else:
            if least is not None and found < least:
                raise ValueError(f"{name}: {found} is too few; give {least} or more")
            return found
    raise _wrong(name, value, "a whole number")


def number(name: str, value: Any) -> float:
    """The number; TypeError for anything else."""
    if isinstance(value, str | bytes | bool) or not hasattr(value, "__float__"):
        raise _wrong(name, value, "a number")
    return float(value)


def text(name: str, value: Any) -> str:
    """The text; TypeError for anything else."""
    return instance(name, value, str, "text")


def path(name: str, value: Any) -> "str | os.PathLike[str]":
    """The path; TypeError for anything else, such as a number, which `open` takes for a file."""
    return instance(name, value, (str, os.PathLike), "a path")


def instance(name: str, value: Any, kind: type | tuple[type, ...], form: str) -> Any:
    """The value, where it is of this kind; else TypeError, with the form in which to give it."""
    if not isinstance(value, kind):
        raise _wrong(name, value, form)
    return value


def names(name: str, value: Any) -> Mapping[str, str]:
    """The mapping of names to names; TypeError for anything else."""
    found = instance(name, value, Mapping, "{old: new}")
    if not all(isinstance(each, str) for pair in found.items() for each in pair):
        raise _wrong(name, value, "{old: new}, both text")
    return found


def shapes(value: Any) -> Mapping[str, tuple[int, ...]]:
    """The shapes by blob name of an argument `inputs`; TypeError for anything else."""
    form = '{"data": (images, channels, height, width)}'
    for shape in instance("inputs", value, Mapping, form).values():
        if isinstance(shape, str) or not isinstance(shape, Iterable):
            raise _wrong("inputs", value, form)
    return value


def _wrong(name: str, value: Any, form: str) -> TypeError:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{type(value).__name__} {shown[:40]}..."
    return TypeError(f"{name}: {shown} is not what it takes; give {form}")
