"""itertools, with what gives one value after another where map, filter and zip gave lists."""

from collections.abc import Callable, Iterable, Iterator
from itertools import *  # noqa: F403
from itertools import filterfalse as ifilterfalse  # noqa: F401
from itertools import zip_longest as izip_longest  # noqa: F401
from typing import Any

ifilter, izip = filter, zip


def imap(function: Callable[..., Any] | None, *values: Iterable[Any]) -> Iterator[Any]:
    """What the function gives for each, to the end of the shortest; without one, each."""
    together = zip(*values)  # noqa: B905  the shortest ends it
    return (each if function is None else function(*each) for each in together)
