"""Text format as a tree of fields, each with its span in the source.

Grammar: https://protobuf.dev/reference/protobuf/textformat-spec/, as read by
the C++ TextFormat parser that Caffe uses.
"""

import re
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, cast

from fcnkit.edits import Edit
from fcnkit.errors import PrototxtError

BOM = "\ufeff"


@dataclass(frozen=True, eq=False)
class Source:
    """A text and the name of the place that it came from."""

    text: str
    path: str

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *[match.end() for match in re.finditer("\n", self.text)]]

    def line(self, offset: int) -> int:
        """The number, from 1, of the line that holds the character at `offset`."""
        return bisect_right(self._line_starts, offset)

    def error(self, offset: int, fact: str) -> PrototxtError:
        """An error that shows the place: file:line:column, the line and a caret."""
        line = self.line(offset)
        start = self._line_starts[line - 1]
        shown = self.text[start:].split("\n", 1)[0].rstrip("\r")
        before = self.text[start:offset]
        column = len(before) + 1
        if len(shown) > _SHOWN:
            cut = max(0, len(before) - _SHOWN // 2)
            shown, before = shown[cut : cut + _SHOWN], before[cut:]
        margin = re.sub(r"[^\t]", " ", before.replace(BOM, ""))
        return PrototxtError(
            f"{self.path}:{line}:{column}: {fact}\n  {_printable(shown)}\n  {margin}^"
        )


_SHOWN = 200  # characters of a line: a net may stand on one line


class Field(NamedTuple):
    """One `name: value` or `name { ... }`, and its place in the text.

    `source.text[start:stop]` is the field, without a separator after it.
    `source.text[value_start:stop]` is its value, with brackets or quotes. `fields` are the
    fields of a message, None for a single value. Each element of a list `name: [a, b]` is a
    Field of its own, with `listed` True, that starts at its value.
    """

    name: str
    start: int
    stop: int
    value_start: int
    fields: "tuple[Field, ...] | None"
    listed: bool
    source: Source

    @property
    def raw(self) -> str:
        """The value as written in the file."""
        return self.source.text[self.value_start : self.stop]

    @property
    def line(self) -> int:
        """The line on which the field starts, counted from 1."""
        return self.source.line(self.start)

    @property
    def body_stop(self) -> int:
        """The offset of a message's closing bracket."""
        return self.stop - 1

    @property
    def string(self) -> str:
        """The text of a quoted value, adjacent strings joined. Bytes that are not UTF-8 become
        surrogates. Raises PrototxtError if the value is not quoted.
        """
        raw = self.raw
        if self.fields is not None or raw[:1] not in ('"', "'"):
            raise self.error(f'"{self.name}" takes a quoted string; put quotes around the value')
        plain = raw[1:-1]
        if '"' not in plain and "'" not in plain and "\\" not in plain:
            return plain
        if "\\" not in raw and raw.count(raw[0]) == 2 and raw[-1] == raw[0]:
            return plain
        parts = _STRING.findall(_without_comments(raw))
        return b"".join(map(_unescape, parts)).decode("utf-8", "surrogateescape")

    def all(self, *names: str) -> "list[Field]":
        """The fields of this message with one of these names, in the order of the file."""
        return [field for field in self.fields or () if field.name in names]

    def last(self, name: str) -> "Field | None":
        """The last field of this message with this name, which counts; None if there is none."""
        found = self.all(name)
        return found[-1] if found else None

    def required(self, name: str) -> "Field":
        """The last field of this message with this name. Raises PrototxtError if there is none."""
        found = self.last(name)
        if found is None:
            raise self.error(f'"{self.name}" has no "{name}"; add one')
        return found

    def error(self, fact: str) -> PrototxtError:
        """A PrototxtError with this fact that points at the field."""
        return self.source.error(self.start, fact)


# It matches everywhere, if only nothing.
_space = cast(
    "Callable[[str, int], re.Match[str]]", re.compile(r"(?:[ \t\r\n\v\f]|#[^\n]*)*").match
)
# As before, but a comment needs its newline: within a larger pattern there must
# be one way only to match, or a long row of # takes exponential time.
GAP = r"(?:[ \t\r\n\v\f]|#[^\n]*\n)*"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EXTENSION = re.compile(r"\[[ \t]*[A-Za-z_][A-Za-z0-9_./\-]*[ \t]*\]")
_STRING = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"|\'(?:[^\'\\\n]|\\[^\n])*\'')
_SIGN = rf"(?:-{GAP})?"
_NUMBER = re.compile(
    _SIGN + r"(?:0[xX][0-9A-Fa-f]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fF]?)"
)
_WORD = re.compile(rf"{_SIGN}{_NAME.pattern}")
_LETTER_NEXT = re.compile(r"[A-Za-z0-9_.]")
_CLOSERS = {"{": "}", "<": ">"}


class _Open:
    """A message, or a list of messages, whose closing bracket is still to come."""

    __slots__ = ("closer", "colon", "fields", "name", "start", "value_start", "listed")

    def __init__(
        self,
        name: str,
        start: int,
        value_start: int,
        closer: str,
        fields: list[Field],
        listed: bool,
        colon: bool = False,
    ) -> None:
        self.name, self.start, self.value_start = name, start, value_start
        self.closer, self.fields, self.listed, self.colon = closer, fields, listed, colon


def fields(source: Source, at: int) -> tuple[Field, ...]:
    """The fields of a text from the character `at` on, in time linear in its length.

    Raises PrototxtError with line, column and reason.
    """
    return _fields(source, at, {})


class _Kept(NamedTuple):
    """A field that stands in the text as it did in an older one, `by` characters further on."""

    field: Field
    by: int
    next: int


def edited(
    source: Source, at: int, before: tuple[Field, ...], edits: Iterable[Edit]
) -> tuple[Field, ...]:
    """`fields` of a text that these edits, in order and apart,
    made of one whose fields are `before`.

    A field that no edit touches, nor the gap behind it, is moved in place of
    being read again.
    """
    # At the top level the parser knows nothing but its place, and looks no further ahead than the
    # first character of the next field (for more of a number or string, or for a separator).
    # Where all of that is as it was, reading it again would give the same fields, `by` further on.
    kept: dict[int, _Kept] = {}
    ahead, by = iter(edits), 0
    edit = next(ahead, _NO_EDIT)
    for field, after in zip(before, before[1:], strict=False):
        while edit.stop < field.start:
            by += len(edit.new) - (edit.stop - edit.start)
            edit = next(ahead, _NO_EDIT)
        if after.start < edit.start and not field.listed and not after.listed:
            kept[field.start + by] = _Kept(field, by, after.start + by)
    try:
        return _fields(source, at, kept)
    except RecursionError:  # fields are moved with Python's stack, which may be too small for them
        return _fields(source, at, {})


_NO_EDIT = Edit(sys.maxsize, sys.maxsize, "")


def _fields(source: Source, at: int, kept: Mapping[int, _Kept]) -> tuple[Field, ...]:
    # A stack of our own: files nest deeper than Python's.
    text, stop = source.text, len(source.text)
    root = _Open("", at, at, "", [], False)
    stack = [root]
    at = _space(text, at).end()
    while at < stop:
        top = stack[-1]
        if top is root and at in kept:
            root.fields += _moved((kept[at].field,), kept[at].by, source)
            at = kept[at].next
            continue
        if text[at] == top.closer:
            at = _close(source, stack, at)
        elif top.closer == "]":
            at = _element(source, stack, at)
        else:
            at = _field(source, stack, at)
        at = _space(text, at).end()
    if len(stack) > 1:
        raise source.error(
            stack[-1].start, f'"{stack[-1].name}" is never closed; add "{stack[-1].closer}"'
        )
    return tuple(root.fields)


def _moved(before: tuple[Field, ...], by: int, source: Source) -> tuple[Field, ...]:
    """The fields as they stand in `source`, `by` characters further on."""
    moved = []
    for name, start, stop, at, own, listed, _ in before:
        own = own and _moved(own, by, source)
        moved.append(_new(Field, (name, start + by, stop + by, at + by, own, listed, source)))
    return tuple(moved)


# `Field(...)` takes longer, and a large net has ten thousand of them.
_new = tuple.__new__


def _field(source: Source, stack: list[_Open], start: int) -> int:
    """Reads one field's name and scalar value, or opens its message or list."""
    text = source.text
    match = _NAME.match(text, start) or _EXTENSION.match(text, start)
    if not match:
        raise source.error(start, _unexpected(text, start, "a field name"))
    name = match[0]
    at = _space(text, match.end()).end()
    colon = text.startswith(":", at)
    if colon:
        at = _space(text, at + 1).end()
    bracket = text[at : at + 1]
    if bracket in _CLOSERS:
        stack.append(_Open(name, start, at, _CLOSERS[bracket], [], False))
        return at + 1
    if bracket == "[":
        stack.append(_Open(name, start, at, "]", stack[-1].fields, True, colon))
        return at + 1
    if not colon:
        raise source.error(at, _unexpected(text, at, f'":" or "{{" after "{name}"'))
    end = _scalar(source, at)
    stack[-1].fields.append(Field(name, start, end, at, None, False, source))
    return _separator(text, end)


def _element(source: Source, stack: list[_Open], at: int) -> int:
    """Reads one scalar of a list, or opens one of its messages."""
    text, top = source.text, stack[-1]
    bracket = text[at]
    if bracket in _CLOSERS:
        stack.append(_Open(top.name, at, at, _CLOSERS[bracket], [], True))
        return at + 1
    if not top.colon:
        raise source.error(
            top.value_start, _unexpected(text, top.value_start, f'":" after "{top.name}"')
        )
    end = _scalar(source, at)
    top.fields.append(Field(top.name, at, end, at, None, True, source))
    return _comma(source, end)


def _close(source: Source, stack: list[_Open], at: int) -> int:
    done = stack.pop()
    if done.closer == "]":
        return _separator(source.text, at + 1)
    field = Field(
        done.name, done.start, at + 1, done.value_start, tuple(done.fields), done.listed, source
    )
    stack[-1].fields.append(field)
    return _comma(source, at + 1) if done.listed else _separator(source.text, at + 1)


def _separator(text: str, at: int) -> int:
    at = _space(text, at).end()
    return at + 1 if text[at : at + 1] in (",", ";") and at < len(text) else at


def _comma(source: Source, at: int) -> int:
    """Past the comma between a list's elements; at its closing bracket otherwise."""
    text = source.text
    at = _space(text, at).end()
    if text.startswith("]", at):
        return at
    if not text.startswith(",", at):
        raise source.error(min(at, max(len(text) - 1, 0)), _unexpected(text, at, '"," or "]"'))
    at = _space(text, at + 1).end()
    if text.startswith("]", at):
        raise source.error(at, 'found "]" after ","; remove the comma')
    return at


def _scalar(source: Source, at: int) -> int:
    text = source.text
    if text[at : at + 1] in ('"', "'"):
        return _strings(source, at)
    match = _NUMBER.match(text, at) or _WORD.match(text, at)
    if not match:
        raise source.error(min(at, max(len(text) - 1, 0)), _unexpected(text, at, "a value"))
    if _LETTER_NEXT.match(text, match.end()):
        raise source.error(
            at, f'"{text[at : match.end() + 1]}" is not a number; separate the values'
        )
    return match.end()


def _strings(source: Source, at: int) -> int:
    text, end, next_at = source.text, at, at
    while text[next_at : next_at + 1] in ('"', "'") and next_at < len(text):
        match = _STRING.match(text, next_at)
        if not match:
            raise source.error(next_at, "this string has no end on its line; close its quote")
        end = match.end()
        for escape in _ESCAPE.finditer(text, next_at, end):
            if not escape[1]:
                raise source.error(
                    escape.start(), 'this is not an escape; write "\\\\" for a backslash'
                )
        next_at = _space(text, end).end()
    return end


def _unexpected(text: str, at: int, wanted: str) -> str:
    found = f'"{_printable(text[at])}"' if at < len(text) else "the end of the file"
    return f"expected {wanted}, found {found}"


def _printable(text: str) -> str:
    return text.replace(BOM, "").encode("utf-8", "replace").decode("utf-8")


def _without_comments(raw: str) -> str:
    """Adjacent strings may have comments between them, with quotes in those."""
    if "#" not in raw:
        return raw
    tokens = re.finditer(rf"{_STRING.pattern}|#[^\n]*", raw)
    return "".join(token[0] for token in tokens if token[0][0] != "#")


_SIMPLE = {"n": b"\n", "t": b"\t", "r": b"\r", "a": b"\a", "b": b"\b", "f": b"\f", "v": b"\v"}
_ESCAPE = re.compile(
    r"\\(?:([0-7]{1,3}|[xX][0-9A-Fa-f]{1,2}|[abfnrtv\\?'\"]"
    r"|u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}"
    r"|u[0-9A-Fa-f]{4}|U000[0-9A-Fa-f]{5}|U0010[0-9A-Fa-f]{4})|.)"
)


def _unescape(quoted: str) -> bytes:
    def parts(body: str) -> Iterator[bytes]:
        at = 0
        for match in _ESCAPE.finditer(body):
            yield body[at : match.start()].encode("utf-8", "surrogateescape")
            yield _escaped(match[1])
            at = match.end()
        yield body[at:].encode("utf-8", "surrogateescape")

    return b"".join(parts(quoted[1:-1]))


def _escaped(code: str) -> bytes:
    if code[0] in "01234567":
        return bytes([int(code, 8) & 0xFF])
    if code[0] in "xX":
        return bytes([int(code[1:], 16)])
    if code[0] in "uU":
        # Two escapes may be one character, as in UTF-16.
        units = "".join(chr(int(unit, 16)) for unit in code[1:].split("\\u"))
        return (
            units.encode("utf-16", "surrogatepass")
            .decode("utf-16", "surrogatepass")
            .encode("utf-8", "surrogatepass")
        )
    return _SIMPLE.get(code, code.encode("utf-8", "surrogateescape"))
