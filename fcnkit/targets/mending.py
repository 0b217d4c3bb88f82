"""What may mend that a target does not take something of a net."""

from collections.abc import Iterator

from fcnkit.formats import schema
from fcnkit.nets.graph import Graph, Layer
from fcnkit.nets.layers.table import CAFFE, is_pointwise, makes_scores, of
from fcnkit.rewrites.forks.types import TYPES
from fcnkit.rewrites.forks.words import Said, said
from fcnkit.targets.judging import Broken
from fcnkit.targets.rules import FIELD, LAYER, NET, TYPE

UPGRADE = "upgrade"
"""`fcnkit upgrade`, which is no word of --do."""
# Of many targets the copy of Caffe's schema is as old as its release 1.0.
_IN_BVLCS_WORDS = ("bvlc", "bvlc=1.0")


def likely(one: Broken) -> str:
    """The word of `surgery --do` that mends such a thing as a rule; "" where there is none."""
    condition = one.rule.condition
    if condition.subject == TYPE and all(layer.type in CAFFE for layer in one.layers):
        names = ",".join(dict.fromkeys(layer.name for layer in one.layers))
        return next(_of_types(one, names), "")
    if condition.subject == TYPE:
        return _IN_BVLCS_WORDS[0] if all(layer.type in TYPES for layer in one.layers) else ""
    if any(word.field.name == condition.name for layer in one.layers for word in _words(layer)):
        return _IN_BVLCS_WORDS[0]
    return {"round_mode": "ceil", "batch": "batch=1"}.get(condition.name, "")


def mends(one: Broken, graph: Graph) -> Iterator[str]:
    """The words of `surgery --do` that may mend it, those that its rule names first."""
    names = ",".join(dict.fromkeys(layer.name for layer in one.layers))
    yield from (mend.replace(LAYER, names) for mend in one.rule.mend)
    condition = one.rule.condition
    if condition.subject == TYPE:
        if any(layer.type not in CAFFE for layer in one.layers):
            yield from _in_bvlcs_words(one, graph, names)
        yield from _of_types(one, names)
    elif condition.subject == FIELD and condition.name == "round_mode":
        yield "ceil"
    elif condition.subject == NET and condition.name == "inputs":
        yield from ("input=layer", "input=legacy")
    elif condition.subject == NET and condition.name == "format":
        yield UPGRADE
    elif condition.name == "batch":
        yield "batch=1"
    if one.layers and all(map(makes_scores, one.layers)) and condition.subject != TYPE:
        yield "fc"
    if condition.subject != NET and any(_said(layer) for layer in one.layers):
        yield from _in_bvlcs_words(one, graph, names)


def _said(layer: Layer) -> bool:
    """Whether the layer has a word or a type that BVLC does not know."""
    return layer.type not in CAFFE or any(_words(layer))


def _words(layer: Layer) -> Iterator[Said]:
    return said(layer.view.message_name, layer.field)


def _in_bvlcs_words(one: Broken, graph: Graph, names: str) -> Iterator[str]:
    """Those layers alone, where others have words of forks that the target may well take."""
    known = schema.slots("NetParameter")
    elsewhere = [field for field in graph.prototxt.root.fields or () if field.name not in known]
    mine = {layer.field.start for layer in one.layers}
    others = [layer for layer in graph.layers if layer.field.start not in mine and _said(layer)]
    only = f":{names}" if others or elsewhere else ""
    yield from (f"{word}{'' if '=' in word or not only else '='}{only}" for word in _IN_BVLCS_WORDS)


def _of_types(one: Broken, names: str) -> Iterator[str]:
    if all(of(layer).folds for layer in one.layers):
        yield "fold"
    if all(is_pointwise(layer) and of(layer).identity(layer) for layer in one.layers):
        yield f"drop={names}"
    if all(of(layer).message == "inner_product_param" for layer in one.layers):
        yield "conv"
    if all(of(layer).message == "crop_param" for layer in one.layers):
        yield f"uncrop={names}"
        yield from (f"uncrop={layer.name}" for layer in one.layers)
