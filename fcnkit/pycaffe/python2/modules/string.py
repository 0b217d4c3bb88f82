"""The module string, with the functions that became methods."""

import string as _string
from collections.abc import Callable, Iterable
from string import *  # noqa: F403
from typing import Any

letters, lowercase = _string.ascii_letters, _string.ascii_lowercase
uppercase = _string.ascii_uppercase


def _method(name: str) -> Callable[..., Any]:
    return lambda text, *args: getattr(text, name)(*args)


capitalize, center, count = map(_method, ("capitalize", "center", "count"))
expandtabs, find, index, ljust = map(_method, ("expandtabs", "find", "index", "ljust"))
lower, lstrip, replace = map(_method, ("lower", "lstrip", "replace"))
rfind, rindex, rjust = map(_method, ("rfind", "rindex", "rjust"))
rsplit, rstrip, split = map(_method, ("rsplit", "rstrip", "split"))
splitfields, strip, swapcase = map(_method, ("split", "strip", "swapcase"))
upper, zfill = map(_method, ("upper", "zfill"))
atof, atoi, atol = float, int, int


def join(words: Iterable[Any], between: str = " ") -> Any:
    """The words, with a space or `between` between them."""
    return between.join(words)


joinfields = join


def maketrans(old: str, new: str) -> str:
    """256 characters: each of the old ones is the new one in its place."""
    table = dict(zip(old, new, strict=True))
    return "".join(table.get(chr(number), chr(number)) for number in range(256))


def translate(text: str, table: str | None, without: str = "") -> str:
    """The text by the table, without those characters."""
    kept = "".join(each for each in text if each not in without)
    return kept.translate(table) if table is not None else kept
