"""The layers of a NetSpec as a prototxt, laid out as people write them."""

from collections.abc import Iterator, Sequence

from fcnkit.formats.prototxt import Prototxt, literal, parse
from fcnkit.pycaffe.fields import LAYER, Fields, Written, own_fields, text

_FIRST = ("name", "type", "bottom", "top", "loss_weight", "propagate_down", "param")
_ORDER = (*_FIRST, "include", "exclude", "phase")
_FILLERS = ("weight_filler", "bias_filler", "filler")


def written(layers: Sequence[Written], name: str = "", comment: str = "") -> Prototxt:
    """The net of these layers, under its name, with its comment above it."""
    return parse("".join(_lines(layers, name, comment)), name or "NetSpec")


def _lines(layers: Sequence[Written], name: str, comment: str) -> Iterator[str]:
    yield _comment(comment)
    if name:
        yield f"name: {literal(name)}\n"
    for layer in layers:
        inside = text(layer.fields, LAYER, _ORDER, depth=1)
        yield f"{_comment(layer.comment)}layer {{\n{inside}}}\n"


def _comment(words: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in words.splitlines())


def deployed(layer: Fields) -> Fields:
    """The layer without what only its training reads.

    Fillers of a layer whose rates are all 0 are its weights, and stay.
    """
    if layer["type"] == "BatchNorm":
        param = {"use_global_stats": True} | layer.get("batch_norm_param", {})
        return _without_rates(layer) | {"batch_norm_param": param}
    rates = [each.get("lr_mult", 1) for each in layer.get("param", ())]
    return layer if rates and not any(rates) else _without_rates(layer)


def _without_rates(layer: Fields) -> Fields:
    return {
        name: {key: each for key, each in value.items() if key not in _FILLERS}
        if isinstance(value, dict) and name in own_fields().values()
        else value
        for name, value in layer.items()
        if name != "param"
    }
