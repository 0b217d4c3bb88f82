"""Arguments that are not what a function takes: a TypeError names the argument and its value."""

import operator
import os
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


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


def shapes(value: Any) -> Mapping[str, tuple[int, ...]]:
    """The shapes by blob name of an argument `inputs`; TypeError for anything else."""
    form = '{"data": (images, channels, height, width)}'
    for shape in instance("inputs", value, Mapping, form).values():
        if isinstance(shape, str) or not isinstance(shape, Iterable):
            raise _wrong("inputs", value, form)
    return value


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """The function, which compares its arguments with its annotations before it starts.

    Raises TypeError for one of another type: its name, what it is, and what it takes.
    """
    code = function.__code__
    named = code.co_varnames[: code.co_argcount]
    rest = code.co_varnames[code.co_argcount + code.co_kwonlyargcount] if code.co_flags & 4 else ""

    @wraps(function)
    def call(*args: P.args, **options: P.kwargs) -> R:
        from fcnkit.annotations import fits, form, hints_of

        hints = hints_of(function)
        given = [*zip(named, args, strict=False), *options.items()]
        given += [(rest, each) for each in args[len(named) :]] if rest else []
        for name, value in given:
            if name in hints and not fits(value, hints[name]):
                raise _wrong(name, value, form(hints[name]))
        return function(*args, **options)

    return call


def _wrong(name: str, value: Any, form: str) -> TypeError:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{type(value).__name__} {shown[:40]}..."
    return TypeError(f"{name}: {shown} is not what it takes; give {form}")
