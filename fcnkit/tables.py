"""Lays out text in a terminal: columns, fields, texts beside names, folded lines."""

import re
import textwrap
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

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


_NAMED = 4  # so many layers of a group are named


def grouped(
    steps: Iterable[tuple[str, str, str, str, str]], *, least: int
) -> Iterator[tuple[tuple[str, str], tuple[str, ...]]]:
    """The cells of steps for `folded`: (line, layer), and what is done and why.

    A step is (line, layer, verb, what, why). Of `least` steps or more that differ only in names
    there is one row, where the first of them stands.
    """
    groups: dict[tuple[str, str, str], list[tuple[str, str, str, str, str]]] = {}
    for step in steps:
        key = (
            step[2],
            _NAME.sub('"..."', _nameless(step[3])),
            _NAME.sub('"..."', _nameless(step[4])),
        )
        groups.setdefault(key, []).append(step)
    for (verb, what, why), alike in groups.items():
        if len(alike) < least:
            yield from (((line, name), (f"{v}: {w}", y)) for line, name, v, w, y in alike)
            continue
        whats, whys = ({_nameless(step[at]) for step in alike} for at in (3, 4))
        names = ", ".join(step[1] for step in alike[:_NAMED])
        more = f" and {len(alike) - _NAMED} more" if len(alike) > _NAMED else ""
        texts = (f"{verb}: {_one(whats, what)}", _one(whys, why), f"{names}{more}")
        yield ("", number_of(len(alike), "layer")), texts


_NAME = re.compile('"[^"]*"')


def _one(texts: set[str], alike: str) -> str:
    """The text that all have, or what they have in common."""
    return texts.pop() if len(texts) == 1 else alike


def _nameless(text: str) -> str:
    """What a step says without the names of other layers: conv1 (Convolution) is a Convolution."""
    return re.sub(r'(?:"[^"]*"|\S+) \(([A-Z]\w*)\)', r"\1", text)


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
