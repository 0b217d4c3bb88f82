"""Sequences as pycaffe's are: they index, slice and iterate, and equal no list."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

Each = TypeVar("Each")


class Vec(Sequence[Each]):
    """The items in their order.  A list is made of it with list()."""

    def __init__(self, items: Iterable[Each] = ()) -> None:
        self._items = list(items)

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Each]:
        return iter(self._items)

    def __getitem__(self, at: Any) -> Any:
        found = self._items[at]
        return type(self)(found) if isinstance(at, slice) else found

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._items}>"


class BoolVec(Vec[bool]):
    """Whether each of several."""


class IntVec(Vec[int]):
    """Numbers, such as the sizes of a blob."""


class StringVec(Vec[str]):
    """Names."""
