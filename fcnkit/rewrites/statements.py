"""Fields together with their comments, for rewrites that move fields to other places.

A Statement is what a user wrote for one field: `name: value`, or the whole of
`name: [a, b]`, with the comments that belong to it.  A Node is a statement to
be written.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from fcnkit.edits import Edit
from fcnkit.formats.prototxt import BOM, GAP, Field, Style, one_list

# The colon may be left out before a list of messages.
_LIST_HEAD = re.compile(rf"[A-Za-z0-9_]+{GAP}(?::{GAP})?\[{GAP}")
_LIST_TAIL = re.compile(rf"{GAP}\]")
_SEPARATOR = re.compile(r"[ \t]*[,;]")
_TRAIL = re.compile(r"[ \t]*#[^\n]*")


class Statement(NamedTuple):
    """One field as written, or one list of them.

    text[start:stop] is the name and the value.  text[start:end] takes in the
    separator and the comment on the same line, which `trail` is.  `lead` holds
    the comments, and "" for blank lines, between the statement before and this.
    """

    name: str
    start: int
    stop: int
    end: int
    fields: tuple[Field, ...]
    lead: tuple[str, ...]
    trail: str

    @property
    def text(self) -> str:
        """The text that this statement stands in."""
        return self.fields[0].source.text

    @property
    def rest(self) -> str:
        """What follows the name: the colon, if there is one, and the value."""
        return self.text[self.start + len(self.name) : self.stop]


class Node(NamedTuple):
    """A statement to be written; without a name, only comments.

    `rest` is what follows the name, or the nodes of a message, on one line if
    `flat`.  `indent` is the indent of the lines that `rest` has, for a text
    that comes from elsewhere.
    """

    name: str
    rest: "str | tuple[Node, ...]" = ""
    lead: tuple[str, ...] = ()
    trail: str = ""
    flat: bool = False
    indent: str = ""


def statements(message: Field) -> list[Statement]:
    """The statements of a message, in order; time linear in its text."""
    groups: list[list[Field]] = []
    for field in message.fields or ():
        if groups and one_list(groups[-1][-1], field):
            groups[-1].append(field)
        else:
            groups.append([field])
    text = message.source.text
    at = message.value_start + (text[message.value_start : message.value_start + 1] in ("{", "<"))
    found = []
    for group in groups:
        found.append(_statement(text, at, group))
        at = found[-1].end
    return found


def tail(message: Field, written: Sequence[Statement]) -> tuple[str, ...]:
    """The comments between a message's last statement and its closing bracket."""
    at = written[-1].end if written else message.value_start + 1
    return tuple(line for line in _lead(message.source.text[at : message.body_stop]) if line)


def runs(written: Iterable[Statement], names: Collection[str]) -> list[list[Statement]]:
    """The statements of these names, those that directly follow each other together."""
    found: list[list[Statement]] = []
    last = None
    for number, statement in enumerate(written):
        if statement.name in names:
            if found and last == number - 1:
                found[-1].append(statement)
            else:
                found.append([statement])
            last = number
    return found


def put(run: Sequence[Statement], nodes: Sequence[Node], style: Style, why: str = "") -> Edit:
    """The statements of a run, with the comments between them, become these nodes.

    The comments above the first one stay.  New text stands on lines of its own
    if the old did, or if it has comments.
    """
    text, start, end = run[0].text, run[0].start, run[-1].end
    line = text.rfind("\n", 0, start) + 1
    margin = text[line:start].removeprefix(BOM)
    indent = _indent(margin)
    eol = text.find("\n", end)
    eol = len(text) if eol < 0 else eol
    opens, closes = margin == indent, not text[end:eol].strip(" \t\r")
    if not nodes:
        return _removal(text, start, end, line, eol, opens and closes, why)
    apart = (opens and closes) or "\n" in text[start:end] or any(map(_commented, nodes))
    if not apart:
        return Edit(start, end, inline(nodes), why)
    inner = indent if opens else indent + style.indent
    body = style.newline.join(lines(nodes, inner, style))
    before = body[len(inner) :] if opens and body.startswith(inner) else style.newline + body
    return Edit(start, end, before + ("" if closes else style.newline + inner), why)


def removed(run: Sequence[Statement], style: Style, why: str = "") -> Edit:
    """The statements of a run are gone; their comments stay."""
    kept = tuple(comment for at, one in enumerate(run) for comment in comments(one, lead=at > 0))
    return put(run, [Node("", lead=kept)] if kept else [], style, why)


def comments(statement: Statement, *, lead: bool = False) -> list[str]:
    """Every comment in a statement and beside it, and with `lead` above it."""
    inside = statement.text[statement.start : statement.end]
    above = [line for line in statement.lead if line] if lead else []
    return above + _comments(inside)


def behind(statement: Statement, nodes: Sequence[Node], style: Style, why: str = "") -> Edit:
    """New statements directly after one:
    on lines of their own if it stands so, or they have comments.
    """
    text, end = statement.text, statement.end
    line = text.rfind("\n", 0, statement.start) + 1
    eol = text.find("\n", end)
    indent = margin(statement)
    opens = text[line : statement.start].removeprefix(BOM) == indent
    closes = not text[end : eol if eol >= 0 else len(text)].strip(" \t\r")
    if not (opens and closes) and not statement.trail and not any(map(_commented, nodes)):
        return Edit(end, end, " " + inline(nodes), why)
    inner = indent if opens else indent + style.indent
    body = style.newline + style.newline.join(lines(nodes, inner, style))
    return Edit(end, end, body if closes else body + style.newline + inner, why)


def filled(message: Field, nodes: Sequence[Node], style: Style, why: str = "") -> Edit:
    """The nodes at the beginning of a message that has no statement."""
    at, text = message.value_start + 1, message.source.text
    if not any(map(_commented, nodes)) and "\n" not in text[at : message.body_stop]:
        return Edit(at, at, " " + inline(nodes), why)
    line = text.rfind("\n", 0, message.start) + 1
    indent = _indent(text[line:].removeprefix(BOM))
    body = style.newline.join(lines(nodes, indent + style.indent, style))
    closes = text[at : message.body_stop].partition("\n")[0].strip()
    return Edit(at, at, style.newline + body + (style.newline + indent if closes else ""), why)


def moved(run: Sequence[Statement]) -> list[Node]:
    """The statements of a run as nodes;
    the comments above the first one are left where they are.
    """
    nodes = [as_node(one) for one in run]
    return [
        node._replace(lead=tuple(line for line in node.lead if line) if at else ())
        for at, node in enumerate(nodes)
    ]


def lines(nodes: Iterable[Node], indent: str, style: Style) -> Iterator[str]:
    """The nodes as lines without their newlines."""
    for node in nodes:
        yield from (indent + comment if comment else "" for comment in node.lead)
        if not node.name:
            continue
        if isinstance(node.rest, str) or node.flat and not any(map(_commented, node.rest)):
            yield indent + _reindented(inline([node]), node.indent, indent) + node.trail
        else:
            yield f"{indent}{node.name} {{"
            yield from lines(node.rest, indent + style.indent, style)
            yield f"{indent}}}{node.trail}"


def inline(nodes: Iterable[Node]) -> str:
    """The nodes on one line."""
    return " ".join(
        node.name + (node.rest if isinstance(node.rest, str) else f" {{ {inline(node.rest)} }}")
        for node in nodes
    )


def as_node(statement: Statement, name: str = "") -> Node:
    """A statement as it is, its comments with it, under another name if one is given."""
    return Node(
        name or statement.name,
        statement.rest,
        statement.lead,
        statement.trail,
        indent=margin(statement),
    )


def revalued(node: Node, rest: str) -> Node:
    """The node with another value; comments that stood within the old one are above it."""
    within = _comments(node.rest) if isinstance(node.rest, str) else ()
    return node._replace(rest=rest, lead=(*node.lead, *within))


def hidden(statement: Statement) -> tuple[str, ...]:
    """The comments between a statement's name and its value, and between the values of a list."""
    first = statement.fields[0]
    stop = statement.stop if first.listed else first.value_start
    return tuple(_comments(statement.text[statement.start : stop]))


def _statement(text: str, at: int, group: list[Field]) -> Statement:
    first, last = group[0], group[-1]
    start, stop = first.start, last.stop
    if first.listed:
        tail = _LIST_TAIL.match(text, stop)
        start, stop = _list_start(text, first), tail.end() if tail else stop
    separator = _SEPARATOR.match(text, stop)
    end = separator.end() if separator else stop
    trail = _TRAIL.match(text, end)
    shown = trail[0].rstrip("\r") if trail else ""
    return Statement(
        first.name, start, stop, end + len(shown), tuple(group), tuple(_lead(text[at:start])), shown
    )


def _list_start(text: str, first: Field) -> int:
    """Where the name of a list stands: searched backward, comments may lie between."""
    at = first.start
    while True:
        at = text.rindex(first.name, 0, at)
        head = _LIST_HEAD.match(text, at)
        if head and head.end() == first.start:
            return at


def _lead(gap: str) -> list[str]:
    """The comments and blank lines of a gap, without the rest of the line that it starts in."""
    rows = [row.lstrip(" \t\r\v\f,;" + BOM).rstrip() for row in gap.split("\n")]
    first, between = rows[:1], rows[1:-1] + [row for row in rows[-1:] if row and len(rows) > 1]
    return [row for row in first if row] + between


def margin(statement: Statement) -> str:
    """The white space that begins the statement's line."""
    text = statement.text
    return _indent(text[text.rfind("\n", 0, statement.start) + 1 :].removeprefix(BOM))


def _indent(text: str) -> str:
    return text[: len(text) - len(text.lstrip(" \t"))]


def _reindented(text: str, old: str, new: str) -> str:
    if "\n" not in text:
        return text
    first, *others = text.split("\n")
    moved = (new + row.removeprefix(old) if row.startswith(old) else row for row in others)
    return "\n".join((first, *moved))


def _commented(node: Node) -> bool:
    if any(node.lead) or node.trail:
        return True
    if isinstance(node.rest, str):
        return "\n" in node.rest
    return any(map(_commented, node.rest))


def _comments(text: str) -> list[str]:
    """The comments of a text, which may have # in its strings."""
    if "#" not in text:
        return []
    tokens = re.finditer(r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|#[^\n]*', text)
    return [token[0].rstrip("\r") for token in tokens if token[0].startswith("#")]


def _removal(text: str, start: int, end: int, line: int, eol: int, alone: bool, why: str) -> Edit:
    if alone:
        first = line + len(BOM) if text.startswith(BOM, line) else line
        return Edit(first, min(eol + 1, len(text)), "", why)
    return Edit(start, end + (text[end : end + 1] == " "), "", why)
