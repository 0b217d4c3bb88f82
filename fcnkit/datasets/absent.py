"""Says where ignored pixels have swallowed a class: it is nowhere, and they are there.

Masks of 0 and 255 are the usual case: 255, the usual number to ignore, is their second class.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fcnkit.datasets.labels import Reading, numbers_in, read_label
from fcnkit.errors import DatasetError
from fcnkit.plural import number_of

# A map of more classes is not written out.
_FEW = 8


class Absent(NamedTuple):
    """Classes that no label has, while pixels are ignored; `values` are those, where known.

    `coloured` says that labels have colours in place of values.
    `hopeless` says that not even two classes are there, so that nothing can be told apart.
    """

    numbers: tuple[int, ...]
    names: tuple[str, ...]
    ignored: int
    values: tuple[int, ...] = ()
    coloured: bool = False

    @property
    def hopeless(self) -> bool:
        """Whether fewer than two classes have pixels."""
        return len(self.names) - len(self.numbers) < 2

    @property
    def fact(self) -> str:
        """Which classes are nowhere, and what is ignored."""
        shown = ", ".join(map(self._shown, self.numbers[:3])) + ", ..." * (len(self.numbers) > 3)
        several = len(self.numbers) > 1
        classes = f"class{'es' * several} {shown} {'have' if several else 'has'} no pixel"
        value = _listed(self.values)
        of = f" of value{'s' * (len(self.values) > 1)} {value}" if value else ""
        are = "is" if self.ignored == 1 else "are"
        return f"{classes}, and {number_of(self.ignored, 'pixel')}{of} {are} ignored"

    def _shown(self, number: int) -> str:
        name = self.names[number]
        return str(number) if name == str(number) else f"{number} ({name})"

    @property
    def map(self) -> str:
        """The option that makes a class of the value that is ignored."""
        value, new = (self.values or (255,))[0], self.numbers[0]
        others = [number for number in range(len(self.names)) if number not in self.numbers]
        if len(self.names) > _FEW:
            return f"a --map of all values, with {value}={new} among them"
        pairs = [*((number, number) for number in others), (value, new)]
        return f"--map {','.join(f'{old}={now}' for old, now in sorted(pairs))}"

    @property
    def remedy(self) -> str:
        """What to do where a class has been ignored."""
        if self.coloured:
            shown = self._shown(self.numbers[0])
            remedy = "give its colour to that class in --colours, or its value with --map"
            return f"if class {shown} is among the ignored pixels, {remedy}"
        if not self.values:
            return f"if an ignored value means class {self.numbers[0]}, map it with --map"
        return f"if {self.values[0]} means class {self.numbers[0]}, give {self.map}"


def absent(
    names: Sequence[str],
    pixels: Sequence[int],
    ignored: int,
    values: Iterable[int] = (),
    *,
    coloured: bool = False,
) -> Absent | None:
    """The classes without pixels where others are ignored; None where there is nothing to say.

    Of labels that are `coloured` no values are told, which are not in their files.
    """
    numbers = tuple(number for number, count in enumerate(pixels) if not count)
    if not numbers or not ignored or len(names) < 2:
        return None
    return Absent(numbers, tuple(names), ignored, () if coloured else tuple(values), coloured)


def ignored_values(paths: Iterable[str | Path], reading: Reading) -> tuple[int, ...]:
    """The values in label files that become the one to ignore, the most frequent first.

    Files are read until one has such pixels; of colours none is told.
    """
    for path in paths:
        found = Counter(dict(_ignored(path, reading)))
        if found:
            return tuple(value for value, _ in found.most_common(3))
    return ()


def _ignored(path: str | Path, reading: Reading) -> Iterator[tuple[int, int]]:
    import numpy as np

    try:
        label, values = read_label(path, reading), numbers_in(path, reading)
    except DatasetError:
        return
    if values is not None:
        found, counts = np.unique(values[label == reading.ignore], return_counts=True)
        yield from zip(found.tolist(), counts.tolist(), strict=True)


def _listed(values: Sequence[int]) -> str:
    return " and ".join(map(str, values))


def explicit(reading: Reading, values: Iterable[int]) -> bool:
    """Whether the user has said of each value that it is to be ignored."""
    said = {*reading.void, *(old for old, new in reading.numbers.items() if new == reading.ignore)}
    found = set(values)
    return bool(found) and found <= said
