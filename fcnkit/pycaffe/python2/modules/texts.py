"""Functions of bytes, for text."""

from collections.abc import Callable
from typing import Any

from fcnkit.pycaffe.python2.byte_strings import as_bytes, as_text


def giving_text(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function; it takes text for bytes, and gives text where it gives bytes that are text."""

    def of_text(*args: Any, **named: Any) -> Any:
        given = {name: as_bytes(each) for name, each in named.items()}
        return as_text(function(*map(as_bytes, args), **given))

    return of_text
