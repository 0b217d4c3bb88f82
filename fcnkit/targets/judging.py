"""What a target makes of a net: the layers that break its rules, and those not judged."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from fcnkit.errors import NetError, PrototxtError
from fcnkit.formats.prototxt import Field
from fcnkit.nets.graph import Graph, Layer
from fcnkit.nets.layers.table import is_pointwise, of
from fcnkit.nets.shapes import Shapes
from fcnkit.targets.quantities import QUANTITIES, UNKNOWN, Values
from fcnkit.targets.reading import ALL
from fcnkit.targets.rules import (
    ASIDE,
    FIELD,
    NET,
    QUANTITY,
    TESTS,
    TYPE,
    UNFINISHED,
    WRITTEN,
    Condition,
    Rule,
    Target,
    listed,
)


class Broken(NamedTuple):
    """Layers that break one rule in one way: where the first stands, and what it has.

    `place` is the field of the text, `layers` are () where the whole net breaks it.
    `value` is what it has, "" for a rule on types.
    """

    rule: Rule
    layers: tuple[Layer, ...]
    place: Field
    value: str


class Judged(NamedTuple):
    """What a target makes of a net, and the layers of which sizes that a rule asks are unknown."""

    broken: tuple[Broken, ...]
    unjudged: tuple[Layer, ...]


def judge(target: Target, graph: Graph, shapes: Shapes) -> Judged:
    """Which layers of the graph break the target's rules, in the order of the file."""
    broken: dict[tuple[object, ...], Broken] = {}
    unjudged: dict[int, Layer] = {}
    for layer in filter(_is_written, graph.layers):
        if not _is_taken(layer, target):
            _join(broken, Broken(_untaken(target, layer), (layer,), layer.field, layer.type))
            continue
        for rule in target.rules:
            if layer.type not in rule.types and ALL not in rule.types:
                continue
            verdict = _verdict(rule, layer, shapes)
            if isinstance(verdict, Broken):
                _join(broken, verdict)
            elif verdict is None:
                unjudged.setdefault(layer.index, layer)
    whole = _of_the_net(target.rules, graph)
    found = sorted((*whole, *broken.values()), key=lambda one: one.place.start)
    return Judged(tuple(found), tuple(unjudged.values()))


def _is_written(layer: Layer) -> bool:
    """Whether it stands in the file as a layer: an `input` of the net does not."""
    return layer.field.name in ("layer", "layers")


def _is_taken(layer: Layer, target: Target) -> bool:
    """Whether its type is; how a net is fed is said by other rules than the list of types."""
    return layer.type in target.types or ALL in target.types or layer.is_input


def _untaken(target: Target, layer: Layer) -> Rule:
    """The rule on types; of a layer that does nothing in use a list may well be silent."""
    if not (target.idle and is_pointwise(layer) and of(layer).identity(layer)):
        return target.untaken
    return target.untaken._replace(verdict=ASIDE, because=_NOTHING)


_NOTHING = "its list does not name it; it has no effect outside training, and may be skipped"


def _join(broken: dict[tuple[object, ...], Broken], one: Broken) -> None:
    """Layers that break a rule alike are one finding."""
    rule, how = one.rule, (one.value, one.layers[0].type)
    whole = ALL in rule.types and rule.condition.subject != TYPE  # one size spreads to all layers
    key = (rule.because, rule.condition.name, str(rule.condition.tests), () if whole else how)
    first = broken.setdefault(key, one)
    if first is not one:
        broken[key] = first._replace(layers=(*first.layers, *one.layers))


def _verdict(rule: Rule, layer: Layer, shapes: Shapes) -> Broken | bool | None:
    """The rule broken, True where it is kept, None where that is not known."""
    if rule.when is not None:
        meant = _holds(rule.when, layer, shapes)
        if meant is not True:
            return True if meant is False else None
    if rule.condition.subject == TYPE:
        return Broken(rule, (layer,), layer.field, layer.type)
    kept = _holds(rule.condition, layer, shapes)
    if kept is not False:
        return kept
    values = _values(rule.condition, layer, shapes, written=False).known
    return Broken(rule, (layer,), _place(rule.condition, layer), listed(values))


def _holds(condition: Condition, layer: Layer, shapes: Shapes) -> bool | None:
    """Whether every test holds of a layer; None where too little is known."""
    unknown = False
    for name, wanted in condition.tests.items():
        values = _values(condition, layer, shapes, written=name in WRITTEN)
        held = bool(TESTS[name].holds(values.known, wanted))
        if not held and (values.whole or name in UNFINISHED):
            return False
        unknown = unknown or not values.whole
    return None if unknown else True


def _values(condition: Condition, layer: Layer, shapes: Shapes, *, written: bool) -> Values:
    if condition.subject == QUANTITY:
        return QUANTITIES[condition.name].of(layer, shapes)
    if condition.subject == NET:
        return Values(_NET[condition.name](shapes.graph)[0])
    try:
        return Values(tuple(_of_field(condition.name, layer, written=written)))
    except (PrototxtError, NetError):
        return UNKNOWN


def _of_field(name: str, layer: Layer, *, written: bool) -> list[object]:
    """What the text gives for a field, or Caffe's default where that is asked."""
    message = of(layer).message
    view = layer.param(message)
    if view.has(name) and view.repeats(name):
        return list(view.list(name))
    if view.has(name):
        return [view.get(name)]
    default = None if written or view.repeats(name) else view.get(name)
    return [] if default is None else [default]


def _place(condition: Condition, layer: Layer) -> Field:
    """Where the field stands, or the layer."""
    if condition.subject == FIELD:
        field = layer.param(of(layer).message).field(condition.name)
        if field is not None and field.source is layer.field.source:
            return field
    return layer.field


# ---- what is asked of the whole net


def _of_the_net(rules: Sequence[Rule], graph: Graph) -> Iterator[Broken]:
    for rule in rules:
        if rule.condition.subject != NET or rule.types:
            continue
        values, place = _NET[rule.condition.name](graph)
        tests = rule.condition.tests.items()
        if not all(TESTS[name].holds(values, wanted) for name, wanted in tests):
            yield Broken(rule, (), place, listed(values))


def _format(graph: Graph) -> tuple[tuple[str, ...], Field]:
    found = graph.prototxt.root.all("layer", "layers")
    words = dict.fromkeys("V1" if field.name == "layers" else "V2" for field in found)
    return tuple(words), found[0] if found else graph.prototxt.root


def _inputs(graph: Graph) -> tuple[tuple[str, ...], Field]:
    root = graph.prototxt.root
    forms = [field.name for field in root.all("input_dim", "input_shape")]
    layers = [layer.field for layer in graph.layers if layer.is_input and _is_written(layer)]
    if root.all("input") and not forms:
        forms = ["input_dim"]
    found = tuple(dict.fromkeys([*forms, *("layer" for _ in layers)]))
    return found, next(iter((*root.all("input"), *layers)), root)


def _repeated_names(graph: Graph) -> tuple[tuple[str, ...], Field]:
    return _repeated(graph, ((layer.name, layer) for layer in graph.layers if _is_written(layer)))


def _repeated_tops(graph: Graph) -> tuple[tuple[str, ...], Field]:
    made = (
        (top.blob, layer)
        for layer in graph.layers
        for top in layer.tops
        if top.blob not in {bottom.blob for bottom in layer.bottoms}
    )
    return _repeated(graph, made)


def _types(graph: Graph) -> tuple[tuple[str, ...], Field]:
    return tuple(dict.fromkeys(layer.type for layer in graph.layers)), graph.prototxt.root


def _repeated(graph: Graph, named: Iterable[tuple[str, Layer]]) -> tuple[tuple[str, ...], Field]:
    seen: set[str] = set()
    again: dict[str, Field] = {}
    for name, layer in named:
        if name in seen:
            again.setdefault(name, layer.field)
        seen.add(name)
    return tuple(again), next(iter(again.values()), graph.prototxt.root)


_NET = {
    "format": _format,
    "inputs": _inputs,
    "repeated_names": _repeated_names,
    "repeated_tops": _repeated_tops,
    "types": _types,
}
