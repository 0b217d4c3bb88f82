"""A net in the making: layers of Caffe, one after the other, and their weights."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fcnkit.importing.held import Held
from fcnkit.plan import Step

Fields = Sequence[tuple[str, object]]


@dataclass
class Made:
    """A layer: its fields, its blobs, and the number of the node that it comes from.

    `inplace` says that it may write over its bottom.
    """

    name: str
    type: str
    bottoms: list[str]
    tops: list[str]
    fields: Fields
    blobs: Sequence[Any] = ()
    node: int = -1
    inplace: bool = False


@dataclass
class Draft:
    """Layers and steps so far; every name is given once."""

    layers: list[Made] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    # What is cut already: the parts of a blob along an axis, by their sizes.
    cuts: dict[tuple[str, int, tuple[int, ...]], list[Held]] = field(default_factory=dict)

    def name(self, wanted: str) -> str:
        """The name, or with a number behind it where it is taken."""
        found, number = wanted, 1
        while found in self.taken:
            number += 1
            found = f"{wanted}_{number}"
        self.taken.add(found)
        return found
