"""Shows values in a notebook: tables, text, diffs and drawings as escaped HTML.

A notebook that is not trusted keeps few tags and properties, and Jupyter's themes are light and
dark: colours stand beside the text they belong to, never in a style sheet, and can be read on both
grounds.
"""

import re
from collections.abc import Container, Iterable, Sequence

from fcnkit.plural import number_of

# Text in colour is read on white and on black; a ground in colour lets the theme's own shine
# through, or comes with its own ink.
_COMMENT, _STRING, _NUMBER, _NAME = "#7a7a7a", "#2b8a4b", "#b8600b", "#3d7dc8"
_ADDED, _REMOVED = "rgba(46,160,67,0.22)", "rgba(248,81,73,0.22)"
_TONES = {"bad": "#b3261e", "warn": "#8a5300", "note": "#3b5ba5", "good": "#1e7b3a"}
# Formulas are not looked for in what a file says.
_PLAIN = "class='tex2jax_ignore mathjax_ignore'"
_PRE = "style='font-family:monospace;white-space:pre;text-align:left;overflow:auto'"

# Texts with more lines are folded, and so many characters of one are shown.
FOLDED = 40
LONGEST = 200_000


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def table(
    rows: Iterable[Iterable[object]],
    *,
    caption: str,
    head: Sequence[str] = (),
    note: str = "",
    left: bool | Container[int] = False,
) -> str:
    """A table with text over it and under it, whose lines stay lines.

    Cells are at the right, as numbers are, or `left`: all of them or the columns of these numbers.
    """
    at_left = range(1000) if left is True else left or ()
    lines = [_row("th", head, at_left)] if head else []
    lines += [_row("td", row, at_left) for row in rows]
    below = f"<p>{_lines(note.rstrip())}</p>" if note else ""
    top = f"<caption style='text-align:left'>{_lines(caption)}</caption>"
    return f"<div {_PLAIN}><table>{top}{''.join(lines)}</table>{below}</div>"


def text(lines: str) -> str:
    """Lines as they are in a terminal."""
    return _pre(escaped(lines))


def badge(word: str, tone: str) -> Html:
    """A word on a coloured ground; the tone is "bad", "warn", "note" or "good"."""
    style = f"background-color:{_TONES[tone]};color:#ffffff;padding:1px 6px;border-radius:4px"
    return Html(f"<span style='{style}'>{escaped(word)}</span>")


def diff(lines: str) -> str:
    """A unified diff: what comes is on green, what goes on red; a long one is folded."""
    shown, more = _cut(lines)
    body = "".join(map(_diff_line, shown.splitlines(keepends=True)))
    return _foldable(f"{_count(lines)} of a diff", body + more, lines)


def prototxt(source: str, caption: str) -> str:
    """A file in text format, its comments, names and values in colours; a long one is folded."""
    shown, more = _cut(source)
    return _foldable(f"{caption}: {_count(source)}", _coloured(shown) + more, source)


def image(svg: str, about: str) -> str:
    """A drawing as an image, which a notebook that is not trusted shows as well.

    Such a one takes SVG itself away.
    """
    import base64

    data = base64.b64encode(svg.encode("utf-8", "replace")).decode()
    name = escaped(about)
    return f"<img alt='{name}' src='data:image/svg+xml;base64,{data}' style='max-width:100%'>"


def drawn(graph: object) -> str:
    """A graph as a drawing.

    Drawings are made of graphs, in a room above this one: it is asked for by its name.
    """
    from importlib import import_module

    shown: str = import_module("fcnkit.drawing.draw").shown(graph)
    return shown


def escaped(cell: object) -> str:
    """What a cell says as HTML; bytes that were not UTF-8 are question marks."""
    if isinstance(cell, Html):
        return str(cell)
    import html  # only where a notebook asks: every command would wait for it

    readable = str(cell).encode("utf-8", "replace").decode("utf-8")
    return html.escape(_CONTROL.sub("\ufffd", readable))


_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def _row(kind: str, cells: Iterable[object], left: Container[int]) -> str:
    return (
        "<tr>" + "".join(_cell(kind, cell, at in left) for at, cell in enumerate(cells)) + "</tr>"
    )


def _cell(kind: str, cell: object, left: bool) -> str:
    style = " style='text-align:left'" if left else ""
    return f"<{kind}{style}>{_lines(cell)}</{kind}>"


def _lines(cell: object) -> str:
    return escaped(cell).replace("\n", "<br>")


def _pre(body: str) -> str:
    return f"<pre {_PLAIN} {_PRE}>{body}</pre>"


def _count(lines: str) -> str:
    count = len(lines.splitlines())
    return number_of(count, "line")


def _cut(lines: str) -> tuple[str, str]:
    """What is shown of a text, and what is said of the rest."""
    if len(lines) <= LONGEST:
        return lines, ""
    return lines[:LONGEST], f"... {len(lines) - LONGEST:,} more characters"


def _foldable(summary: str, body: str, source: str) -> str:
    shown = "" if len(source.splitlines()) > FOLDED else " open"
    head = f"<summary {_PLAIN}>{escaped(summary)}</summary>"
    return f"<details{shown}>{head}{_pre(body)}</details>"


def _diff_line(line: str) -> str:
    end = "\n" * line.endswith("\n")
    inner = escaped(line.removesuffix("\n"))
    if line.startswith(("---", "+++")):
        return f"<b>{inner}</b>{end}"
    if line.startswith("@@"):
        return f"<span style='color:{_NAME}'>{inner}</span>{end}"
    ground = {"+": _ADDED, "-": _REMOVED}.get(line[:1])
    return f"<span style='background-color:{ground}'>{inner}</span>{end}" if ground else inner + end


# ---- the words of text format

_WORDS = re.compile(
    r"(?P<comment>#[^\n]*)"
    r"|(?P<string>\"(?:[^\"\\\n]|\\.)*\"?|'(?:[^'\\\n]|\\.)*'?)"
    r"|(?P<name>(?<![\w.])[A-Za-z_][\w.]*(?=\s*[:{<]))"
    r"|(?P<number>(?<![\w.])[-+]?(?:\d[\w.+-]*|\.\d[\w+-]*))"
)
_COLOURS = {"comment": _COMMENT, "string": _STRING, "name": _NAME, "number": _NUMBER}


def _coloured(source: str) -> str:
    parts, at = [], 0
    for found in _WORDS.finditer(source):
        parts.append(escaped(source[at : found.start()]))
        colour = _COLOURS[found.lastgroup or ""]
        parts.append(f"<span style='color:{colour}'>{escaped(found[0])}</span>")
        at = found.end()
    return "".join([*parts, escaped(source[at:])])
