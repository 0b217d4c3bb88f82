"""A text-format file as a document: nothing is lost, nothing is interpreted.

A Prototxt is its source text and a tree of Fields that say where in the text
each field stands.  Changes are Edits on the text, so that comments, order,
quotes and unknown fields stay as they are.  What a field means to Caffe is
`schema`'s business.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from functools import cached_property
from typing import Any, BinaryIO, NamedTuple, TypeAlias, cast

from fcnkit import expected, files, notebook
from fcnkit.edits import Edit, arrange, splice
from fcnkit.errors import PrototxtError
from fcnkit.foreign import reason
from fcnkit.formats import signature
from fcnkit.formats.spans import BOM, GAP, Field, Source, edited, fields
from fcnkit.plural import number_of


class Word(str):
    """A value that is written without quotes: an enum's name, a literal."""

    __slots__ = ()


class Style(NamedTuple):
    """How a file is written; added text follows it."""

    indent: str = "  "
    newline: str = "\n"
    quote: str = '"'
    colon: bool = False


STYLE = Style()


@dataclass(frozen=True, eq=False)
class Prototxt:
    """A file in protobuf's text format: its text, and the tree of its fields.

    `plan` is the Plan whose new net this is, None if no plan made it.
    """

    source: Source
    root: Field
    plan: Any = attribute(default=None, compare=False, repr=False)

    @property
    def text(self) -> str:
        """The whole text of the file."""
        return self.source.text

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields at the top level of the file."""
        return self.root.fields or ()

    @property
    def path(self) -> str:
        """The name that messages use for this file."""
        return self.source.path

    @cached_property
    def style(self) -> Style:
        """The indentation, line ends, quotes and colons of this file."""
        text = self.text
        first = re.search(r"[{<][ \t]*\r?\n([ \t]+)[A-Za-z\[]", text)
        indent = first and first[1].removeprefix(_margin(text, first.start()))
        return Style(
            indent=indent or "  ",
            newline="\r\n" if "\r\n" in text else "\n",
            quote="'" if re.search(r":\s*'", text) and not re.search(r':\s*"', text) else '"',
            colon=bool(re.search(r"\w\s*:\s*\{", text) and not re.search(r"\w\s*\{", text)),
        )

    def edit(self, edits: Iterable[Edit]) -> "Prototxt":
        """Returns this file with the edits made, or itself if there are none.

        If elements of a list are removed, the commas between the others are corrected.
        """
        made = arrange(edits)
        if not made:
            return self
        made = arrange([*made, *_commas(self.root, made)])
        source, start = _source(splice(self.text, made), self.path)
        return _whole(source, start, edited(source, start, self.fields, made))

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Writes the text to `path`, completely or not at all; `force` replaces an existing
        file. Raises OutputError otherwise.
        """
        files.write(path, self.text.encode("utf-8", "surrogateescape"), force=force)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Prototxt {self.path}: {number_of(len(self.fields), 'field')}>"

    def _repr_html_(self) -> str:
        return notebook.prototxt(self.text, self.path)


# A device may never end.
_LONGEST = 1 << 28


@expected.checked
def read(path: str | os.PathLike[str], name: str | None = None) -> Prototxt:
    """Reads the prototxt at `path`.

    >>> net = fk.read("deploy.prototxt")
    >>> net.save("copy.prototxt")

    - `path`: the file.
    - `name`: the name that messages use for it, instead of the path.

    Returns a Prototxt.

    Raises PrototxtError if the file does not exist or is not in text format.
    """
    try:
        with open(expected.path("path", path), "rb") as file:
            data = _bounded(file)
    except (OSError, ValueError) as error:  # ValueError for a name with a zero byte
        if isinstance(error, IsADirectoryError):
            raise PrototxtError(f"{path}: {signature.refusal_at(signature.NET, path)}") from None
        raise PrototxtError(f"{path}: cannot be read: {reason(error)}; check the name") from error
    if len(data) > _LONGEST:
        fact = f"it has more than {_LONGEST:,} bytes"
        raise PrototxtError(
            f"{path}: {fact}, while the largest nets have a few million; check the name"
        )
    return of_bytes(data, name or str(path))


def _bounded(file: BinaryIO) -> bytes:
    """All that is in a file, or the first of it where that is more than a net may have."""
    parts, size = [], 0
    while size <= _LONGEST and (part := file.read(1 << 20)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def of_bytes(data: bytes, path: str) -> Prototxt:
    """The fields of a file that holds these bytes; raises PrototxtError, which says what it is."""
    signature.check(signature.NET, data, path, PrototxtError)
    if b"\0" in data and not signature.is_text(data[: signature.ENOUGH]):
        raise PrototxtError(
            f"{path}: byte 0: expected a prototxt, found binary data; {signature.NET.remedy}"
        )
    return parse(data.decode("utf-8", "surrogateescape"), path)


NetOrPath: TypeAlias = Prototxt | str | os.PathLike[str]


def given(net: NetOrPath) -> Prototxt:
    """The prototxt itself, or the one at this path.

    Raises PrototxtError as `read` does, and TypeError for what is neither.
    """
    if isinstance(net, Prototxt):
        return net
    if isinstance(net, str | os.PathLike):
        return read(net)
    raise TypeError(f"net: give a Prototxt or a path, not {type(net).__name__}")


@expected.checked
def parse(text: str, path: str = "<text>") -> Prototxt:
    """Reads a text in protobuf's text format, in time proportional to its length.

    >>> net = fk.parse('layer { name: "data" type: "Input" top: "data" }  # mine')
    >>> net.text[-6:]
    '# mine'

    - `text`: the content of a prototxt.
    - `path`: the name that messages use for it.

    Returns a Prototxt.

    Raises PrototxtError with the line, the column and the reason.
    """
    source, start = _source(text, path)
    return _whole(source, start, fields(source, start))


def _source(text: str, path: str) -> tuple[Source, int]:
    """The text under its name, and where its fields may begin."""
    source = Source(text, path)
    if "\0" in text:
        raise source.error(text.index("\0"), "found a NUL character; this is not a text file")
    return source, len(BOM) if text.startswith(BOM) else 0


def _whole(source: Source, start: int, its: tuple[Field, ...]) -> Prototxt:
    return Prototxt(source, Field("", start, len(source.text), start, its, False, source))


def render(fields: Sequence[tuple[str, object]], style: Style, depth: int = 0) -> str:
    """These fields as lines of text, indented `depth` deep, the last with its newline.

    A value is a str (quoted), a Word (as it is), a bool, a number, or a
    sequence of fields (a message).
    """
    pad = style.indent * depth
    colon = ":" if style.colon else ""
    lines = []
    for name, value in fields:
        if isinstance(value, (list, tuple)):
            body = render(value, style, depth + 1)
            lines.append(f"{pad}{name}{colon} {{{style.newline}{body}{pad}}}{style.newline}")
        else:
            lines.append(f"{pad}{name}: {literal(value, style)}{style.newline}")
    return "".join(lines)


def literal(value: object, style: Style = STYLE) -> str:
    """A scalar as text format writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and not isinstance(value, Word):
        escaped = re.sub(r"[\\\"'\x00-\x1f\x7f]", _escape, value)
        return f"{style.quote}{escaped}{style.quote}"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e9:
        return f"{int(value)}"
    return f"{value}"


def _margin(text: str, at: int) -> str:
    """The white space that begins a line."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def without(field: Field) -> Edit:
    """The edit that takes a field away, its separator and its whole lines with it.

    A comment after it on its last line goes too; comments above it stay.  Of an
    element of a list the commas are minded by `Prototxt.edit`.
    """
    text = field.source.text
    if field.listed:
        return Edit(field.start, field.stop, "", f"remove {field.name}")
    stop = _separator(text, field.stop).end()
    line_start = text.rfind("\n", 0, field.start) + 1
    rest = _LINE_REST.match(text, stop)
    if text[line_start : field.start].strip(" \t" + BOM) == "" and rest:
        start = field.start if text.startswith(BOM, line_start) else line_start
        return Edit(start, rest.end(), "", f"remove {field.name}")
    return Edit(field.start, stop, "", f"remove {field.name}")


def one_list(left: Field, right: Field) -> bool:
    """Whether two fields that follow each other are elements of one list."""
    if not (left.listed and right.listed and left.name == right.name):
        return False
    return bool(_BETWEEN.fullmatch(left.source.text, left.stop, right.start))


def _commas(root: Field, edits: Sequence[Edit]) -> Iterator[Edit]:
    """The commas that go with the elements of lists that these edits take out."""
    gone = {edit[:2]: edit.why for edit in edits if not edit.new}
    if not gone or "[" not in root.source.text:
        return
    for elements in _lists(root):
        whys = [gone.get((one.start, one.stop)) for one in elements]
        first = next((at for at, why in enumerate(whys) if why is None), len(elements))
        for at, (one, why) in enumerate(zip(elements, whys, strict=True)):
            if why is not None and at > first:
                yield _comma_before(elements[at - 1], one)._replace(why=why)
            elif why is not None and at + 1 < len(elements):
                yield _comma_after(one, elements[at + 1])._replace(why=why)


def _lists(root: Field) -> Iterator[list[Field]]:
    """The elements of every list, wherever it stands."""
    todo = [root]
    while todo:
        fields = todo.pop().fields or ()
        todo += [field for field in fields if field.fields]
        run: list[Field] = []
        for field in fields:
            if run and one_list(run[-1], field):
                run.append(field)
                continue
            if run:
                yield run
            run = [field] if field.listed else []
        if run:
            yield run


def _comma_after(one: Field, other: Field) -> Edit:
    """The comma behind an element goes, with the line break behind that."""
    text, comma = one.source.text, _comma(one)
    gap = text[comma + 1 : other.start]
    stop = other.start if "\n" in gap and not gap.strip() else comma + 1
    return Edit(comma if text[one.stop : comma].strip() else one.stop, stop, "")


def _comma_before(other: Field, one: Field) -> Edit:
    """The comma before an element goes, with the blanks behind it."""
    text, comma = one.source.text, _comma(other)
    return Edit(comma, comma + 1 if text[comma + 1 : one.start].strip() else one.start, "")


def _comma(element: Field) -> int:
    """Where the comma behind an element stands: comments may lie between."""
    return _gap(element.source.text, element.stop).end()


# They match everywhere, if only nothing.
_gap = cast("Callable[[str, int], re.Match[str]]", re.compile(GAP).match)
_separator = cast("Callable[[str, int], re.Match[str]]", re.compile(rf"(?:{GAP}[,;])?").match)
_BETWEEN = re.compile(rf"{GAP},{GAP}")
_LINE_REST = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)")


def _escape(match: re.Match) -> str:
    character = match[0]
    if character in "\\\"'":
        return "\\" + character
    return {"\n": r"\n", "\r": r"\r", "\t": r"\t"}.get(character, f"\\{ord(character):03o}")
