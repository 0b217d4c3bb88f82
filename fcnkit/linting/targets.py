"""What a tool chain, or a fork of Caffe, makes of a net, as findings."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from fcnkit.formats import schema
from fcnkit.formats.prototxt import Prototxt
from fcnkit.linting.findings import ERROR, NOTE, WARNING, Fact, Fault, Finding, Kind
from fcnkit.nets.graph import Graph, Layer
from fcnkit.nets.layers.owners import UNOWNED, owners
from fcnkit.nets.layers.table import CAFFE, is_loss, of
from fcnkit.nets.layers.traits import Trait
from fcnkit.nets.shapes import Shapes
from fcnkit.plural import number_of
from fcnkit.rewrites.forks.types import TYPES
from fcnkit.rewrites.forks.words import COMPUTED, WORDS
from fcnkit.targets.forks import BVLC, ForkTarget
from fcnkit.targets.index import AnyTarget
from fcnkit.targets.judging import Broken, judge
from fcnkit.targets.mending import likely
from fcnkit.targets.rules import ASIDE, FIELD, LAYER, MISREAD, REFUSED, TYPE, Target, listed

NAMES = {REFUSED: "target-refuses", MISREAD: "target-misreads", ASIDE: "target-aside"}
UNJUDGED = "target-unjudged"
LEVELS = {REFUSED: ERROR, MISREAD: WARNING, ASIDE: NOTE}
KINDS = {
    NAMES[REFUSED]: Kind(ERROR, "what the --target does not support"),
    NAMES[MISREAD]: Kind(WARNING, "what the --target takes for something else, without a message"),
    NAMES[ASIDE]: Kind(NOTE, "what the --target runs on the host's CPU, or in floating point"),
    UNJUDGED: Kind(NOTE, "what fcnkit cannot judge for the --target"),
}
_DOES = {
    REFUSED: "does not support",
    MISREAD: "misreads",
    ASIDE: "runs on a CPU, or in floating point, a layer with",
}


def findings(asked: Iterable[AnyTarget], graph: Graph, shapes: Shapes) -> list[Finding]:
    """What the targets make of the net in one state."""
    return [finding for target in asked for finding in _of(target, graph, shapes)]


def _of(target: AnyTarget, graph: Graph, shapes: Shapes) -> Iterator[Finding]:
    if isinstance(target, ForkTarget):
        yield from _of_a_fork(target, graph)
        return
    judged = judge(target, graph, shapes)
    yield from (_finding(target, graph.prototxt, one) for one in judged.broken)
    if judged.unjudged:
        first = judged.unjudged[0]
        fact = f"{_many(judged.unjudged)}: not checked for {target.name}, as sizes are not known"
        blob = next(iter(graph.inputs or graph.tops[:1])).blob if graph.tops else "data"
        text = f"{fact}; give them, for example with --input {blob}=1,3,224,224"
        yield Finding(UNJUDGED, NOTE, graph.prototxt.path, first.line, text, Fact(target.name))


def _finding(target: Target, net: Prototxt, one: Broken) -> Finding:
    rule = one.rule
    names = tuple(layer.name for layer in one.layers)
    words = _mends(one)
    who = f"{_many(one.layers)}: " if one.layers else ""
    listless = rule.condition.subject == TYPE and rule.verdict == ASIDE
    does = "is not known to support" if listless else _DOES[rule.verdict]
    fact = f"{who}{target.name} {does} {_what(one)}: {rule.because}"
    text = "; ".join(filter(None, (fact, _remedy(one, words)))) + f" ({rule.source})"
    about = Fact(
        target.name, rule.verdict, names, _rule_of(one), one.value, rule.because,
        {**rule.source._asdict(), "date": str(rule.source.date)},
        words
    )  # fmt: skip
    return Finding(NAMES[rule.verdict], LEVELS[rule.verdict], net.path, one.place.line, text, about)


def _mends(one: Broken) -> tuple[str, ...]:
    """The words of --do that mend it: those that its rule names, or what mends such as a rule."""
    names = ",".join(dict.fromkeys(layer.name for layer in one.layers))
    if one.rule.mend:
        return tuple(mend.replace(LAYER, names) for mend in one.rule.mend)
    word = likely(one)
    return (word,) if word else ()


def _many(layers: Sequence[Layer]) -> str:
    first = f'layer "{layers[0].name}"'
    return f"{first} and {number_of(len(layers) - 1, 'other')}" if len(layers) > 1 else first


def _what(one: Broken) -> str:
    condition = one.rule.condition
    if condition.subject == TYPE:
        return f"layer type {one.value}"
    of_type = f" in {one.layers[0].type}" if one.layers else ""
    wanted = condition.wanted().removeprefix("only ")
    if condition.name == "readers":
        return f"{one.layers[0].type} layers read by {one.value} (supported: {wanted})"
    return f"{condition.name} {one.value}{of_type} (supported: {wanted})"


def _subject(one: Broken) -> str:
    return (
        one.rule.condition.name.replace("_", " ") if one.layers == () else one.rule.condition.name
    )


def _rule_of(one: Broken) -> str:
    condition = one.rule.condition
    return "type" if condition.subject == TYPE else f"{condition.name}: {condition.wanted()}"


def _remedy(one: Broken, words: Sequence[str]) -> str:
    if words:
        return f"try `fcnkit surgery NET --do {' or --do '.join(words)}`"
    if one.rule.condition.subject == TYPE and all(map(_of_training, one.layers)):
        return "make the net for use with `fcnkit deploy`"
    if "; write " in one.rule.because or "; remove " in one.rule.because:
        return ""
    if one.rule.verdict == ASIDE or one.rule.condition.name == "format":
        return ""  # what it says of a format names `fcnkit upgrade`
    return "fcnkit knows no way to rewrite it"


def _of_training(layer: Layer) -> bool:
    """Whether a net that is deployed does not have the layer."""
    data = of(layer).trait is Trait.SOURCE and not layer.bottoms and not layer.is_input
    return data or is_loss(layer) or of(layer).labelled


# ---- forks of Caffe, by the schema of their words


class _Word(NamedTuple):
    """A word of forks: what it is, the forks that are known to have it, and where it stands.

    `field` is the name of the field that it is, "" for a value or a type.
    """

    what: str
    owners: tuple[str, ...]
    line: int
    layers: tuple[str, ...] = ()
    places: int = 1
    field: str = ""


def words(asked: Iterable[AnyTarget], net: Prototxt, found: Iterable[Fault]) -> list[Finding]:
    """What the targets make of the fields and values of the text that are of forks.

    `found` are those that the checks of the text find, but for those in layers of a fork's type.
    """
    told = list(_fields(found))
    return [finding for target in asked for finding in _of_words(target, net, told)]


def _of_words(target: AnyTarget, net: Prototxt, told: Sequence[_Word]) -> Iterator[Finding]:
    if isinstance(target, ForkTarget):
        yield from (_finding_of(w, target, net) for w in told if target.fork not in w.owners)
        return
    conditions = [each.condition for each in target.rules if each.condition.subject == FIELD]
    ruled = {each.name for each in conditions}
    judged = {each.name for each in conditions if {"allowed", "forbidden"} & each.tests.keys()}
    unruled = [
        word for word in told if word.field not in ruled and word.what.split(":")[0] not in judged
    ]
    if unruled:
        first, more = unruled[0], len(unruled) - 1
        others = f" and {number_of(more, 'other word')} of forks" if more else ", of a fork"
        fact = f"no rule of {target.name} says what it does with {first.what}{others}"
        about = Fact(target.name, value=listed([word.what for word in unruled]))
        yield Finding(
            UNJUDGED, NOTE, net.path, first.line, f"{fact}; try it there, or take it out", about
        )


def _of_a_fork(target: ForkTarget, graph: Graph) -> Iterator[Finding]:
    for word in _types(graph):
        if target.fork not in word.owners:
            yield _finding_of(word, target, graph.prototxt)


_TYPE = "layer type "
MENDED = {*WORDS, *COMPUTED}
"""Fields of forks of which `surgery --do bvlc` often makes BVLC's words."""


def _types(graph: Graph) -> Iterator[_Word]:
    found: dict[str, list[Layer]] = {}
    for layer in graph.layers:
        if layer.type not in CAFFE:
            found.setdefault(layer.type, []).append(layer)
    for name, layers in found.items():
        names = tuple(layer.name for layer in layers)
        yield _Word(f"{_TYPE}{name}", owners(name), layers[0].line, names, len(layers))


def _fields(faults: Iterable[Fault]) -> Iterator[_Word]:
    """The fields and values of forks, each once."""
    found: dict[str, _Word] = {}
    for fault in faults:
        if fault.name not in _OF_FORKS:
            continue
        what, owner = _OF_FORKS[fault.name](fault)
        known = () if owner in (None, UNOWNED) else (owner,)
        field = fault.field.name if fault.name == "fork-field" else ""
        first = found.setdefault(what, _Word(what, known, fault.field.line, (), 0, field))
        found[what] = first._replace(places=first.places + 1)
    yield from found.values()


def _field_of(fault: Fault) -> tuple[str, str | None]:
    what = f'the field "{fault.field.name}" of {fault.message}'
    return what, schema.fork_of_field(fault.message, fault.field)


def _value_of(fault: Fault) -> tuple[str, str | None]:
    name, raw = fault.field.name, fault.field.raw
    return f"{name}: {raw} of {fault.message}", schema.fork_of_word(fault.message, name, raw)


_OF_FORKS = {"fork-field": _field_of, "fork-value": _value_of, "fork-word": _value_of}
"""What to say of a word that the checks of the text find to be a fork's, and whose it is."""


def _finding_of(word: _Word, target: ForkTarget, net: Prototxt) -> Finding:
    owners = " or ".join(word.owners)
    whose = f"of the {owners} fork" if owners else "of an unknown fork"
    many = f" ({number_of(word.places, 'place')})" if word.places > 1 else ""
    verdict = REFUSED if target.name == BVLC else ""
    about = Fact(target.name, verdict, word.layers, word.what, listed(word.owners))
    if target.name == BVLC:
        mended = word.field in MENDED or word.what.removeprefix(_TYPE) in TYPES
        remedy = (
            "try `fcnkit surgery NET --do bvlc`, or use that fork" if mended else "use that fork"
        )
        text = f"bvlc does not support {word.what}{many}: it is {whose}; {remedy}"
        about = about._replace(mend=("bvlc",) if mended else ())
        return Finding(NAMES[REFUSED], ERROR, net.path, word.line, text, about)
    fact = f"{word.what}{many} is {whose}; fcnkit does not know whether {target.title} has it"
    return Finding(UNJUDGED, NOTE, net.path, word.line, f"{fact}: try it there", about)
