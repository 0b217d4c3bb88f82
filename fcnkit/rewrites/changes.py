"""The small edits that rewrites are made of; each keeps the file's own style."""

from collections.abc import Iterable, Sequence

from fcnkit.edits import Edit
from fcnkit.formats.prototxt import Field, Prototxt, Style, literal, render, without
from fcnkit.nets.graph import Layer

Fields = Sequence[tuple[str, object]]


def set_value(field: Field, value: object, why: str = "") -> Edit:
    """The field's value becomes `value`, in the quotes that it has."""
    quote = "'" if field.raw.startswith("'") else '"'
    return Edit(field.value_start, field.stop, literal(value, Style(quote=quote)), why)


def set_name(field: Field, name: str, why: str = "") -> Edit:
    """The field is called `name`; its value stays."""
    return Edit(field.start, field.start + len(field.name), name, why)


def beside(field: Field, fields: Fields, style: Style, why: str = "") -> Edit:
    """New fields directly after `field`: on lines of their own if it has one."""
    text, stop = field.source.text, _stop(field)
    start = text.rfind("\n", 0, field.start) + 1
    indent = text[start : field.start]
    end = text.find("\n", stop)
    rest = text[stop : len(text) if end < 0 else end].strip(" \t\r,;")
    if indent.strip(" \t\ufeff") or (rest and not rest.startswith("#")):
        separator = "," if text[stop : stop + 1] == "," else ""
        return Edit(stop, stop, f"{separator} {_inline(fields, style)}", why)
    if end < 0:
        return Edit(len(text), len(text), style.newline + _indented(fields, style, indent), why)
    return Edit(end + 1, end + 1, _indented(fields, style, indent), why)


def _stop(field: Field) -> int:
    """Where the field ends, or the list that it is the last element of."""
    return field.source.text.index("]", field.stop) + 1 if field.listed else field.stop


def inside(message: Field, fields: Fields, style: Style, why: str = "") -> Edit:
    """New fields at the end of a message, laid out as the message is."""
    if message.fields:
        return beside(message.fields[-1], fields, style, why)
    return Edit(message.value_start, message.stop, f"{{ {_inline(fields, style)} }}", why)


def set_param(
    layer: Layer,
    message: str,
    fields: Fields,
    style: Style,
    *,
    replacing: Iterable[str] = (),
    why: str = "",
) -> list[Edit]:
    """The layer's `message` says `fields`; what it said under those names,
    or under the names in `replacing`, is gone.
    """
    owner = layer.view.field(message)
    if owner is None:
        return [inside(layer.field, [(message, list(fields))], style, why)]
    edits, missing = [], []
    for name, value in fields:
        old = owner.all(name)
        if old and not isinstance(value, (list, tuple)):
            edits += [set_value(old[0], value, why), *map(removed, old[1:])]
        else:
            missing.append((name, value))
    gone = [field for field in owner.all(*replacing)]
    if missing and gone:
        edits.append(Edit(gone[0].start, gone[0].stop, _inline(missing, style), why))
        return edits + [removed(field) for field in gone[1:]]
    if missing:
        edits.append(inside(owner, missing, style, why))
    return edits + [removed(field) for field in gone]


def kernel_fields(kernel: Sequence[int]) -> list[tuple[str, int]]:
    """kernel_size, or kernel_h and kernel_w where they differ."""
    height, width = kernel
    return (
        [("kernel_size", height)]
        if height == width
        else [("kernel_h", height), ("kernel_w", width)]
    )


def removed(field: Field, why: str = "") -> Edit:
    """The field is gone, its separator and its whole lines with it."""
    return without(field)._replace(why=why)


def taken_out(field: Field, why: str = "") -> Edit:
    """As `removed`; within a line, the blank before the field goes too."""
    edit, text = removed(field, why), field.source.text
    blanks = text[edit.start - 1 : edit.start], text[edit.stop : edit.stop + 1]
    within = not field.listed and all(blank in (" ", "\t") for blank in blanks)
    return edit._replace(start=edit.start - 1) if within else edit


def renamed_blob(layers: Iterable[Layer], old: str, new: str, why: str = "") -> list[Edit]:
    """Every bottom and top called `old` in these layers is called `new`."""
    return [
        set_value(field, new, why)
        for layer in layers
        for field in layer.field.all("bottom", "top")
        if field.string == old
    ]


def appended(net: Prototxt, after: Field, layers: Sequence[Fields], why: str = "") -> Edit:
    """New layers behind the field `after`, one blank line between if the file has them."""
    text, style = net.text, net.style
    end = text.find("\n", after.stop)
    lead = "" if end >= 0 else style.newline
    at = len(text) if end < 0 else end + 1
    gap = style.newline if style.newline * 2 in text else ""
    body = gap.join(render([("layer", fields)], style) for fields in layers)
    return Edit(at, at, lead + gap + body, why)


def _inline(fields: Fields, style: Style) -> str:
    return " ".join(_one_line(name, value, style) for name, value in fields)


def _one_line(name: str, value: object, style: Style) -> str:
    if isinstance(value, (list, tuple)):
        return f"{name} {{ {_inline(value, style)} }}"
    return f"{name}: {literal(value, style)}"


def _indented(fields: Fields, style: Style, indent: str) -> str:
    lines = render(fields, style).splitlines(keepends=True)
    return "".join(indent + line for line in lines)
