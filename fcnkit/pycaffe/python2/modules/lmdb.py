"""lmdb, which takes text for bytes and gives strings."""

from collections.abc import Callable, Iterator
from typing import Any

import lmdb as _lmdb
from lmdb import *  # noqa: F403

from fcnkit.pycaffe.python2.byte_strings import ByteString, as_bytes


class _Held:
    """An environment, a transaction or a cursor."""

    def __init__(self, held: Any) -> None:
        self._held = held

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._held, name)
        return _of_strings(found) if callable(found) else found

    def __enter__(self) -> "_Held":
        self._held.__enter__()
        return self

    def __exit__(self, *raised: Any) -> Any:
        return self._held.__exit__(*raised)

    def __iter__(self) -> Iterator[Any]:
        return map(_given, self._held)


def open(*args: Any, **named: Any) -> _Held:
    """The environment."""
    return _Held(_lmdb.open(*args, **named))


Environment = open  # type: ignore[misc, assignment]


def _of_strings(method: Callable[..., Any]) -> Callable[..., Any]:
    def of_strings(*args: Any, **named: Any) -> Any:
        taken = {name: _taken(each) for name, each in named.items()}
        return _given(method(*map(_taken, args), **taken))

    return of_strings


def _taken(value: Any) -> Any:
    """What lmdb takes."""
    if isinstance(value, list | tuple):
        return type(value)(_taken(each) for each in value)
    return value._held if isinstance(value, _Held) else as_bytes(value)


def _given(value: Any) -> Any:
    """What it gives."""
    if isinstance(value, bytes):
        return ByteString(value)
    if isinstance(value, list | tuple):
        return type(value)(_given(each) for each in value)
    if isinstance(value, _lmdb.Transaction | _lmdb.Cursor):
        return _Held(value)
    return map(_given, value) if isinstance(value, Iterator) else value
