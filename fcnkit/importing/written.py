"""The text of an imported net: layers as a person writes them, activations in place."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fcnkit.formats.prototxt import STYLE, Prototxt, parse, render
from fcnkit.importing.draft import Draft, Made
from fcnkit.nets.layers.table import TYPES
from fcnkit.nets.layers.traits import Trait
from fcnkit.shape import Shape

# Whose top another layer may write over: what such a layer learns by does not read its top.
_OPEN = (Trait.MIXES, Trait.CHANNEL, Trait.PLACES)


class Text(NamedTuple):
    """The net, and what blobs that are written over are called in it."""

    net: Prototxt
    blobs: Mapping[str, str]


def written(
    draft: Draft,
    inputs: Mapping[str, Shape],
    outputs: Sequence[str],
    *,
    title: str,
    comment: str,
) -> Text:
    """The net as a prototxt; `inputs` are its blobs, `outputs` the blobs that are to stay."""
    blobs = _in_place(draft.layers, {*inputs, *outputs})
    parts = [f"# {line}\n" for line in comment.splitlines()]
    parts.append(render([("name", title)], STYLE))
    for name, shape in inputs.items():
        dims = [("shape", [("dim", size) for size in shape])]
        words = [("name", name), ("type", "Input"), ("top", name), ("input_param", dims)]
        parts.append("\n" + render([("layer", words)], STYLE))
    before = None
    for layer in draft.layers:
        text = render([("layer", _fields(layer, blobs))], STYLE)
        parts.append(("\n" if _begins(layer, before) else "") + text)
        before = layer
    unread = _unread(draft.layers, outputs)
    if unread:
        words = [("name", draft.name("unread")), ("type", "Silence")]
        words += [("bottom", name) for name in unread]
        parts.append("\n" + render([("layer", words)], STYLE))
    return Text(parse("".join(parts), title), blobs)


def _unread(layers: Sequence[Made], outputs: Sequence[str]) -> list[str]:
    """Parts of a Slice that the model leaves."""
    read = {*outputs, *(name for layer in layers for name in layer.bottoms)}
    several = (layer.tops for layer in layers if len(layer.tops) > 1)
    return [name for tops in several for name in tops if name not in read]


def _fields(layer: Made, blobs: Mapping[str, str]) -> list[tuple[str, object]]:
    return [
        ("name", layer.name),
        ("type", layer.type),
        *(("bottom", blobs.get(name, name)) for name in layer.bottoms),
        *(("top", blobs.get(name, name)) for name in layer.tops),
        *layer.fields,
    ]


def _in_place(layers: Sequence[Made], kept: set[str]) -> dict[str, str]:
    """The blob that each top stands in, where that is not one of its own."""
    readers: dict[str, int] = {}
    for layer in layers:
        for name in layer.bottoms:
            readers[name] = readers.get(name, 0) + 1
    makers = {name: layer for layer in layers for name in layer.tops}
    found: dict[str, str] = {}
    for layer in layers:
        bottom = layer.bottoms[0] if layer.bottoms else ""
        alone = readers.get(bottom) == 1 and bottom not in kept and bottom in makers
        if layer.inplace and alone and _is_open(makers[bottom]):
            found[layer.tops[0]] = found.get(bottom, bottom)
    return found


def _is_open(layer: Made) -> bool:
    """Whether what reads the layer's top may write over it, with its gradient still right."""
    if layer.type in ("Eltwise", "Power", "Concat", "ReLU"):
        return "operation" not in dict(_param(layer)) and dict(_param(layer)).get("power", 1) == 1
    kind = TYPES.get(layer.type)
    return kind is not None and kind.trait in _OPEN


def _param(layer: Made) -> Sequence[tuple[str, object]]:
    fields = layer.fields[0][1] if layer.fields else ()
    return fields if isinstance(fields, (list, tuple)) else ()


def _begins(layer: Made, before: Made | None) -> bool:
    """Whether a blank line stands before the layer: where a module, or its next step, begins."""
    if before is None:
        return True
    if layer.node == before.node:
        return False
    same = _module(layer.name) == _module(before.name)
    return not (same and layer.inplace)


def _module(name: str) -> str:
    return name.rpartition(".")[0]
