"""Lays out text in a terminal: columns, fields, texts beside names, folded lines."""

import re
import textwrap
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from fcnkit.plural import number_of

GAP = "  "
# Texts are never folded to less than this, however narrow the table.
_LEAST = 20


def columns(rows: Iterable[Sequence[str]], *, left: Container[int] = ()) -> list[str]:
    """A line for each row, its cells at the right of columns wide enough for all, or at the left.

    `left` has the numbers of the columns that are flush left.
    """
    lines = list(rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [GAP.join(_padded(line, widths, left)).rstrip() for line in lines]


def aligned(names: Sequence[str], rows: Iterable[Mapping[str, str]], left: Sequence[str]) -> str:
    """The rows under the names of their columns, a line each.

    Columns of words, those in `left`, are flush left.
    """
    lines = [names, *([row[name] for name in names] for row in rows)]
    to_left = [number for number, name in enumerate(names) if name in left]
    return "".join(f"{line}\n" for line in columns(lines, left=to_left))


def fields(pairs: Iterable[tuple[str, str]], *, indent: str = "") -> list[str]:
    """A line for each name and its value."""
    return [f"{indent}{line}" for line in columns(pairs, left=(0, 1))]


def folded(
    rows: Iterable[tuple[Sequence[str], Sequence[str]]],
    *,
    width: int = 80,
    most: int = 80,
    right: Container[int] = (),
) -> str:
    """Rows of some cells and texts beside them, each text from a line of its own.

    The whole is folded to `width` columns, of which a cell has at most `most`;
    cells that need more stand on a line alone.  `right` has the numbers of
    the cells that are flush right.
    """
    rows = list(rows)
    cells = [head for head, _ in rows]
    widths = [min(max(map(len, column)), most) for column in zip(*cells, strict=True)]
    left = [number for number in range(len(widths)) if number not in right]
    margin = sum(widths) + len(GAP) * len(widths)
    lines = (
        _beside(GAP.join(_padded(head, widths, left)), margin, texts, width) for head, texts in rows
    )
    return "".join(lines)


# Of a row for several layers, so many are named; of those that were passed over, all are.
_NAMED = 4
_NAME = re.compile('"[^"]*"')
_OTHER = re.compile(r'(?:"[^"]*"|\S+) \(([A-Z]\w*)\)')


class Done(NamedTuple):
    """What a row of a plan says: the layer and its line, what happens to it, and why."""

    line: str
    layer: str
    verb: str
    what: str
    why: str

    def alike(self) -> tuple[str, str, str]:
        """What it shares with the like of other layers: all but the names."""
        return self.verb, _NAME.sub('"..."', self.texts[0]), _NAME.sub('"..."', self.texts[1])

    @property
    def texts(self) -> tuple[str, str]:
        """What and why, of another layer its type alone: "conv1 (Convolution)" is a Convolution."""
        return _OTHER.sub(r"\1", self.what), _OTHER.sub(r"\1", self.why)


def grouped(
    steps: Iterable[Done], *, least: int
) -> Iterator[tuple[tuple[str, str], tuple[str, ...]]]:
    """The cells of steps for `folded`, in their order: (line, layer), and what is done and why.

    Of `least` steps or more that differ only in names there is one row, where the first of them
    stands.
    """
    groups: dict[tuple[str, str, str], list[Done]] = {}
    every = [(step, groups.setdefault(step.alike(), [])) for step in steps]
    for step, alike in every:
        alike.append(step)
    for step, alike in every:
        if len(alike) < least:
            yield (step.line, step.layer), (f"{step.verb}: {step.what}", step.why)
        elif step is alike[0]:
            yield ("", number_of(len(alike), "layer")), _together(alike)


def _together(steps: Sequence[Done]) -> tuple[str, ...]:
    """What is done to several layers, why, and the names of the first of them."""
    verb, *common = steps[0].alike()
    texts = [
        each.pop() if len(each) == 1 else alike
        for each, alike in zip(
            map(set, zip(*(step.texts for step in steps), strict=True)), common, strict=True
        )
    ]
    named = len(steps) if verb == "skip" else _NAMED
    more = f" and {len(steps) - named} more" * (len(steps) > named)
    return f"{verb}: {texts[0]}", texts[1], ", ".join(step.layer for step in steps[:named]) + more


def _padded(cells: Sequence[str], widths: Sequence[int], left: Container[int]) -> Iterator[str]:
    for number, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        yield f"{cell:<{width}}" if number in left else f"{cell:>{width}}"


def _beside(head: str, margin: int, texts: Sequence[str], width: int) -> str:
    indent = " " * margin
    head = head.rstrip()
    first = head.ljust(margin) if len(head) < margin else f"{head}\n{indent}"
    parts = [part for text in texts for part in _wrapped(text, max(width - margin, _LEAST))]
    return (first + f"\n{indent}".join(parts)).rstrip() + "\n"


def _wrapped(text: str, width: int, further: str = "") -> list[str]:
    return textwrap.wrap(
        text, width, subsequent_indent=further, break_long_words=False, break_on_hyphens=False
    )


def fold(text: str, width: int) -> str:
    """The text, with every line that is longer than `width` broken between words.

    What is broken off stands two columns further right than its line. A command in backquotes stays
    whole, to be copied, and so does a line with a caret below it, which points into it.
    """
    lines = text.split("\n")
    below = [*lines[1:], ""]
    found: list[str] = []
    for line, following in zip(lines, below, strict=True):
        whole = len(line) <= width or following.strip() == "^"
        found += [line] if whole else _parts(line, width)
    return "\n".join(found)


def _parts(line: str, width: int) -> list[str]:
    indent = line[: len(line) - len(line.lstrip())]
    kept = _COMMAND.sub(lambda command: command[0].replace(" ", _JOINED), line)
    parts = _wrapped(kept, max(width, len(indent) + _LEAST), f"{indent}  ")
    return [part.replace(_JOINED, " ") for part in parts]


_COMMAND = re.compile("`[^`]*`")
_JOINED = "\N{NO-BREAK SPACE}"  # which textwrap does not break at
