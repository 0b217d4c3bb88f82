"""The small edits that rewrites are made of; each keeps the file's own style."""

import re
from collections.abc import Iterable, Sequence

from fcnkit.edits import Edit
from fcnkit.errors import NetError
from fcnkit.formats.prototxt import BOM, Field, Prototxt, Style, literal, render, without
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
    """Where the field ends, or the list that it is an element of."""
    if not field.listed:
        return field.stop
    depth = 0
    for token in _BRACKET.finditer(field.source.text, field.stop):
        depth += {"[": 1, "]": -1}.get(token[0], 0)
        if depth < 0:
            return token.end()
    raise field.error("its list is never closed; add a ]")  # no parsed text has such


# Brackets of lists; strings and comments may hold others.
_BRACKET = re.compile(r"[\[\]]|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|#[^\n]*")


def inside(message: Field, fields: Fields, style: Style, why: str = "") -> Edit:
    """New fields at the end of a message, laid out as the message is."""
    if message.fields:
        return beside(message.fields[-1], fields, style, why)
    return Edit(message.value_start, message.stop, f"{{ {_inline(fields, style)} }}", why)


def in_place(field: Field, fields: Fields, style: Style, why: str = "") -> Edit:
    """New fields where one stood, on its line."""
    return Edit(field.start, field.stop, _inline(fields, style), why)


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
    if missing and gone and not gone[0].listed:
        edits.append(Edit(gone[0].start, gone[0].stop, _inline(missing, style), why))
        return edits + [removed(field) for field in gone[1:]]
    if missing:
        edits.append(inside(owner, missing, style, why))
    return edits + [removed(field) for field in gone]


def shown_kernel(kernel: Sequence[int]) -> str:
    """One number where it is the same on each axis, else one for each."""
    return "x".join(map(str, kernel if len(set(kernel)) > 1 else kernel[:1]))


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


# ---- whole layers: these alone put new layers into a net


def appended(net: Prototxt, after: Field, layers: Sequence[Fields], why: str = "") -> Edit:
    """New layers behind the layer `after`, one blank line between if the file has them.

    In a list of layers they are elements of it.  They are in the words of
    Caffe 1.0: NetError for a net of an older format.
    """
    _check_generation(net, after)
    text, style = net.text, net.style
    if after.listed:
        elements = _elements(after, layers, style)
        return Edit(after.stop, after.stop, "".join(f",{each}" for each in elements), why)
    separator = _SEPARATOR.match(text, after.stop)
    stop = separator.end() if separator else after.stop
    end = text.find("\n", stop)
    rest = text[stop : len(text) if end < 0 else end].strip(" \t\r")
    body = _statements(net, layers)
    gap = style.newline if style.newline * 2 in text else ""
    if rest and not rest.startswith("#"):  # more follows on the line, and begins one of its own
        blanks = len(text[stop:]) - len(text[stop:].lstrip(" \t"))
        return Edit(stop, stop + blanks, style.newline + gap + body + gap, why)
    if end < 0:
        return Edit(len(text), len(text), style.newline + gap + body, why)
    return Edit(end + 1, end + 1, gap + body, why)


def before(net: Prototxt, layer: Field, layers: Sequence[Fields], why: str = "") -> Edit:
    """New layers before the layer `layer`, as `appended` writes them."""
    _check_generation(net, layer)
    if layer.listed:
        elements = _elements(layer, layers, net.style)
        first, *others = (each.lstrip() for each in elements)
        gap = elements[0][: -len(first)]
        return Edit(
            layer.start, layer.start, "".join(f"{each},{gap}" for each in (first, *others)), why
        )
    return statements_before(net, layer, [("layer", layer) for layer in layers], why)


def statements_before(net: Prototxt, field: Field, new: Fields, why: str = "") -> Edit:
    """New fields of the net on lines of their own before one, or before the list that it is in."""
    text, style, start = net.text, net.style, field.start
    if field.listed:
        from fcnkit.rewrites import statements

        every = statements.statements(net.root)
        start = next(each.start for each in every if field in each.fields)
    line = text.rfind("\n", 0, start) + 1
    body = render(new, style) + (style.newline if style.newline * 2 in text else "")
    if not text[line:start].strip(" \t" + BOM):
        at = start if text.startswith(BOM, line) else line
        return Edit(at, at, body, why)
    blanks = len(text[:start]) - len(text[:start].rstrip(" \t"))
    return Edit(start - blanks, start, style.newline + body, why)


def instead(net: Prototxt, layer: Field, layers: Sequence[Fields], why: str = "") -> Edit:
    """New layers in the place of one, which is gone with the rest of its line."""
    _check_generation(net, layer)
    if layer.listed:
        elements = _elements(layer, layers, net.style)
        return Edit(layer.start, layer.stop, ",".join(elements).lstrip(), why)
    edit = removed(layer, why)
    body = "".join(render([("layer", fields)], net.style) for fields in layers)
    opens = not net.text[net.text.rfind("\n", 0, edit.start) + 1 : edit.start].strip(" \t" + BOM)
    return edit._replace(new=body if opens else net.style.newline + body)


def instead_of_input(
    net: Prototxt, layer: Field, layers: Sequence[Fields], why: str = ""
) -> list[Edit]:
    """New layers where the image came in, by an Input layer or by fields of the net."""
    if layer.name in ("layer", "layers"):
        return [instead(net, layer, layers, why)]
    names = ("input", "input_dim", "input_shape")
    fields, first = net.root.all(*names), net.root.all("layer", "layers")[0]
    if any(field.listed for field in fields):
        # Its patterns take a millisecond to compile.
        from fcnkit.rewrites import statements

        found = statements.runs(statements.statements(net.root), names)
        gone = [statements.removed(run, net.style, why) for run in found]
        return [before(net, first, layers, why), *gone]
    _check_generation(net, first)
    if fields[0].start > first.start:  # before the layers that read the image, not behind them
        return [before(net, first, layers, why), *(removed(field, why) for field in fields)]
    text = "".join(render([("layer", each)], net.style) for each in layers)
    edit, *others = (removed(field, why) for field in fields)
    return [edit._replace(new=text), *others]


def _check_generation(net: Prototxt, layer: Field) -> None:
    if layer.name == "layers":
        fact = "its `layers` are of an older format, which has not every type"
        raise NetError(f"{net.path}:{layer.line}: {fact}; run `fcnkit upgrade` on it first")


def _statements(net: Prototxt, layers: Sequence[Fields]) -> str:
    gap = net.style.newline if net.style.newline * 2 in net.text else ""
    return gap.join(render([("layer", fields)], net.style) for fields in layers)


def _elements(beside: Field, layers: Sequence[Fields], style: Style) -> list[str]:
    """Layers as elements of a list, each with the white space before it: as `beside` stands."""
    text = beside.source.text
    indent = text[text.rfind("\n", 0, beside.start) + 1 : beside.start]
    if indent.strip(" \t"):
        return [f" {{ {_inline(fields, style)} }}" for fields in layers]
    head, tail = f"{style.newline}{indent}{{{style.newline}", f"{indent}}}"
    return [head + _indented(fields, style, indent + style.indent) + tail for fields in layers]


_SEPARATOR = re.compile(r"[ \t]*[,;]")


def _inline(fields: Fields, style: Style) -> str:
    return " ".join(_one_line(name, value, style) for name, value in fields)


def _one_line(name: str, value: object, style: Style) -> str:
    if isinstance(value, (list, tuple)):
        return f"{name} {{ {_inline(value, style)} }}"
    return f"{name}: {literal(value, style)}"


def _indented(fields: Fields, style: Style, indent: str) -> str:
    lines = render(fields, style).splitlines(keepends=True)
    return "".join(indent + line for line in lines)
