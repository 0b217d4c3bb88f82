"""The function that long work calls to say how much more of it is done."""

from collections.abc import Callable, Iterable, Iterator, Sized
from typing import TypeVar

Progress = Callable[[int], object]
"""Is called with how many more bytes, files or entries are done."""

Piece = TypeVar("Piece", bound=Sized)


def no_progress(done: int) -> None:
    """Nobody is told that so many more are done."""


def reported(pieces: Iterable[Piece], progress: Progress) -> Iterator[Piece]:
    """The same pieces; `progress` is called with the length of each when the next is asked for."""
    for piece in pieces:
        yield piece
        progress(len(piece))
