"""A long chart made short: what lies between two places where one blob alone goes on is a block,
and blocks that are alike and follow one another are one box.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from fcnkit.drawing.blocks import Block, Chart

# A chart of no more boxes is not folded, nor a block of fewer or of more.
SHORT = 30
_FEWEST, _MOST = 3, 24
# The longest row of parts that is looked for again behind itself, and the most boxes of one.
_PERIOD, _LONGEST = 4, 12
# What a group is coloured by.
GROUP = "group"
_MARKS = "_-/."

_Part = tuple[int, ...]
_Sign = tuple[tuple[str, ...], tuple[tuple[int, int], ...]]


class Group(NamedTuple):
    """Boxes of the whole chart that are one in the folded: `parts` that are alike, one or more."""

    name: str
    parts: tuple[_Part, ...]

    @property
    def boxes(self) -> _Part:
        """All of them, in the order of the file."""
        return tuple(number for part in self.parts for number in part)


class Folded(NamedTuple):
    """The short chart, and the group that each of its boxes stands for, by its number."""

    chart: Chart
    groups: Mapping[int, Group]


def fold(chart: Chart) -> Folded:
    """The chart with its blocks folded; as it is where it is short."""
    if len(chart.blocks) <= SHORT:
        return Folded(chart, {})
    return _folded(chart, list(_rows(chart, _parts(chart))))


def opened(chart: Chart, group: Group) -> Chart:
    """The first part of a group by itself, below what it reads."""
    within = set(group.parts[0])
    wires = [wire for wire in chart.wires if wire.stop in within]
    numbers = sorted(within | {wire.start for wire in wires})
    places = {number: place for place, number in enumerate(numbers)}
    blocks = tuple(chart.blocks[number] for number in numbers)
    moved = (wire._replace(start=places[wire.start], stop=places[wire.stop]) for wire in wires)
    return Chart(blocks, tuple(moved))


def _parts(chart: Chart) -> list[_Part]:
    """The boxes between the places where one blob alone goes on; each of them ends a part."""
    last = list(range(len(chart.blocks)))
    reads = [False] * len(chart.blocks)
    for wire in chart.wires:
        if not wire.sized:
            last[wire.start] = max(last[wire.start], wire.stop)
            reads[wire.stop] = True
    parts: list[_Part] = []
    begun, reached = 0, 0
    for number in range(len(chart.blocks)):
        # What was begun before this box and is read after it crosses the place behind the box.
        if reached <= number and (last[number] > number or number + 1 == len(chart.blocks)):
            parts.append(tuple(range(begun, number + 1)))
            begun = number + 1
        reached = max(reached, last[number])
    return [*parts, tuple(range(begun, len(chart.blocks)))] if begun < len(last) else parts


def _rows(chart: Chart, parts: Sequence[_Part]) -> Iterator[tuple[_Part, ...]]:
    """The parts in order, each with those behind it that repeat it."""
    signs = [_sign(chart, part) for part in parts]
    at = 0
    single: list[int] = []  # boxes that nothing folds but a name that they have in common
    while at < len(parts):
        period, times = _repeated(signs, at)
        joined = [
            tuple(number for part in parts[start : start + period] for number in part)
            for start in range(at, at + period * times, period)
        ]
        at += period * times
        if times == 1 and not _FEWEST <= len(joined[0]) <= _MOST:
            single += joined[0]
            continue
        yield from _named(chart, single)
        single = []
        yield tuple(joined)
    yield from _named(chart, single)


def _named(chart: Chart, numbers: Sequence[int]) -> Iterator[tuple[_Part, ...]]:
    """The boxes one by one, but for those of one module, as conv2_1/expand and conv2_1/dwise."""
    for _, same in groupby(numbers, lambda number: chart.blocks[number].name.partition("/")[0]):
        part = tuple(same)
        yield from ((part,),) if len(part) >= _FEWEST else (((number,),) for number in part)


def _repeated(signs: Sequence[_Sign], at: int) -> tuple[int, int]:
    """How many parts from here repeat how many times, so that most fold; (1, 1) for none."""
    best, folded = (1, 1), 0
    for period in range(1, _PERIOD + 1):
        times, row = 1, signs[at : at + period]
        while signs[at + period * times : at + period * (times + 1)] == row:
            times += 1
        short = sum(len(kinds) for kinds, _ in row) <= _LONGEST or period == 1
        if short and period * (times - 1) > folded:
            best, folded = (period, times), period * (times - 1)
    return best


def _sign(chart: Chart, part: _Part) -> _Sign:
    """What parts that are alike have in common: types and ways, not names, sizes and strides."""
    kinds = tuple(re.sub(r"[\d×.]+", "", chart.blocks[number].what) for number in part)
    inside = sorted(
        (wire.start - part[0], wire.stop - part[0])
        for wire in chart.wires
        if part[0] <= wire.stop <= part[-1] and wire.start >= part[0]
    )
    return kinds, tuple(inside)


def _folded(chart: Chart, rows: Sequence[tuple[_Part, ...]]) -> Folded:
    homes = {number: place for place, row in enumerate(rows) for part in row for number in part}
    groups = {
        place: Group(_row_name(chart, row), row)
        for place, row in enumerate(rows)
        if len(row) > 1 or len(row[0]) > 1
    }
    blocks = tuple(
        _box(chart, groups[place]) if place in groups else chart.blocks[row[0][0]]
        for place, row in enumerate(rows)
    )
    wires = dict.fromkeys(
        wire._replace(start=homes[wire.start], stop=homes[wire.stop])
        for wire in chart.wires
        if homes[wire.start] != homes[wire.stop]
    )
    return Folded(Chart(blocks, tuple(wires)), groups)


def _box(chart: Chart, group: Group) -> Block:
    each = sum(len(chart.blocks[number].about) for number in group.parts[0])
    times = len(group.parts)
    what = f"{times} blocks of {each} layers" if times > 1 else f"{each} layers"
    about = tuple(line for number in group.boxes for line in chart.blocks[number].about)
    shape = chart.blocks[group.boxes[-1]].shape
    return Block(group.name, GROUP, what, shape, about)


def _row_name(chart: Chart, row: Sequence[_Part]) -> str:
    first, last = (_name(chart, part) for part in (row[0], row[-1]))
    return first if first == last else f"{first} … {last}"


def _name(chart: Chart, part: _Part) -> str:
    """What the names of a part's boxes begin with, up to a mark that ends a word; or the last."""
    names = [chart.blocks[number].name for number in part]
    common = os.path.commonprefix(names)
    if any(name[len(common) :][:1] not in ("", *_MARKS) for name in names):
        common = common[: max(map(common.rfind, _MARKS)) + 1]
    return common.rstrip(_MARKS) or names[-1]
