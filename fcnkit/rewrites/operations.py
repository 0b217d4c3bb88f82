"""What a rewrite says to `fcnkit surgery --do`: its words, and how their arguments are read.

Each rewrite's file ends with its own OPERATIONS, plain data that the command line reads.
"""

from collections.abc import Callable, Collection
from importlib import import_module
from math import isfinite
from typing import Any, NamedTuple

from fcnkit.formats.prototxt import Prototxt
from fcnkit.plan import Plan
from fcnkit.rewrites import REWRITES

# More classes or channels than this are a slip of the hand.
MOST = 1_000_000

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class Operation(NamedTuple):
    """One word of --do: the form of its arguments,
    one line on it, the rewrite, how its arguments are read.

    `keeps_images` says that the new net wants what the old one did of an image, and has the same
    classes, but for what the plan's `images` and `scores` say; `reads_images` that without
    arguments it goes by what the file beside the net says of that; `keeps_values` that the new
    net computes what the old one did, as far as the plan says, and `keeps_with` whether it does
    with these arguments, where that depends on them; `skips` that its plan has steps "skip", for
    what is asked for and has to stay.  `read` gives the rewrite's arguments and its options; it
    raises ValueError, which says what is wrong, for arguments of another form.
    """

    name: str
    form: str
    help: str
    rewrite: Callable[..., Plan]
    read: Callable[[str], Arguments]
    keeps_images: bool = True
    reads_images: bool = False
    keeps_values: bool = True
    skips: bool = False
    keeps_with: Callable[[Prototxt, tuple[Any, ...]], bool] | None = None


# Rewrites that go by what rooms above know: the rules of targets.
ABOVE = ("fcnkit.targets.fit",)


def every() -> tuple[Operation, ...]:
    """The operations of all rewrites, in the order of the list of rewrites."""
    names = (*(f"{__package__}.{name}" for name in REWRITES), *ABOVE)
    modules = (import_module(name) for name in names)
    return tuple(each for module in modules for each in getattr(module, "OPERATIONS", ()))


def no_arguments(text: str) -> Arguments:
    """No arguments; ValueError for any."""
    if text:
        raise ValueError("it takes no arguments")
    return (), {}


def image_blob(text: str) -> Arguments:
    """The name of the image's blob as the option `blob`, or nothing."""
    return (), {"blob": text or None}


def comma_separated(text: str) -> tuple[str, ...]:
    """The names between commas; ValueError where one is missing."""
    found = tuple(text.split(","))
    if not all(found):
        raise ValueError("a name is missing")
    return found


def name_and_rest(text: str) -> tuple[str, str]:
    """NAME:REST as the two; a layer's name may have colons itself.

    Raises ValueError where one is missing.
    """
    name, colon, rest = text.rpartition(":")
    if not (name and colon and rest):
        raise ValueError(f'"{text}" has no colon')
    return name, rest


def whole_number(text: str, most: int = MOST) -> int:
    """The whole number that is written in the digits 0 to 9; ValueError above `most`."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f'"{text}" is not a whole number')
    if len(text) > len(str(most)) or int(text) > most:
        raise ValueError(f"{text[:20]} is more than {most:,}")
    return int(text)


def finite_number(text: str) -> float:
    """The number that is written; ValueError for what is none, NaN and infinity among them."""
    found = float(text)
    if not isfinite(found):
        raise ValueError(f'"{text[:20]}" is not a finite number')
    return found


def one_of(text: str, words: Collection[str]) -> str:
    """The text itself; ValueError where it is none of the words."""
    if text not in words:
        raise ValueError(f'"{text}" is none of {", ".join(filter(None, words))}')
    return text
