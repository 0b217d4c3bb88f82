"""What the values of a rule's subject are, and whether a test can be asked of such."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from fcnkit.formats.with_forks import slots
from fcnkit.nets.layers.table import TYPES
from fcnkit.targets.rules import FIELD, NET, QUANTITY, Condition, listed, one_value

NUMBER, TEXT, TRUTH, MESSAGE = "a number", "a text", "true or false", "a message"
_OF_SLOTS = {"bool": TRUTH, "string": TEXT, "bytes": TEXT, "enum": TEXT, "message": MESSAGE}
# Tests that order values, those that name them, and those that ask how many there are.
_ORDER, _NAMING = ("min", "max"), ("allowed", "forbidden")
_COUNTING = ("least", "most", "given")


class Known(NamedTuple):
    """The kind of a subject's values, and the words that there are; () where any will do."""

    kind: str
    words: tuple[str, ...] = ()


_KNOWN = {
    (QUANTITY, "grouping"): Known(TEXT, ("none", "depthwise", "multiplied", "some")),
    (QUANTITY, "readers"): Known(TEXT),
    (NET, "format"): Known(TEXT, ("V1", "V2")),
    (NET, "inputs"): Known(TEXT, ("layer", "input_dim", "input_shape")),
}


def misfit(types: Sequence[str], condition: Condition) -> tuple[str, str] | None:
    """The test that cannot be asked of the condition's subject, and why; None where all can."""
    for known in _known(types, condition):
        for test, wanted in condition.tests.items():
            fact = _fact(known, test, wanted)
            if fact:
                return test, f"{condition.name} is {known.kind}{fact}"
    return None


def _known(types: Sequence[str], condition: Condition) -> Iterable[Known]:
    if condition.subject != FIELD:
        other = Known(TEXT if condition.subject == NET else NUMBER)
        yield _KNOWN.get((condition.subject, condition.name), other)
        return
    for name in types:
        slot = slots(slots("LayerParameter")[TYPES[name].message].message)[condition.name]
        yield Known(_OF_SLOTS.get(slot.kind, NUMBER), tuple(slot.enum))


def _fact(known: Known, test: str, wanted: Any) -> str:
    """What speaks against the test; "" where nothing does."""
    if test in _COUNTING:
        return ""
    if known.kind == MESSAGE:
        return f"; ask {', '.join(_COUNTING[:-1])} or {_COUNTING[-1]} of it"
    if test in _ORDER and known.kind != NUMBER:
        return f", which has no {test}; give allowed or forbidden"
    values = wanted if test in _NAMING else sum(wanted, []) if test == "sequences" else []
    for value in values:
        if _kind(value) != known.kind:
            return f", and {_shown(value)} is not"
        if known.words and value not in known.words:
            return f", and never {_shown(value)}; give one of {listed(known.words)}"
    return ""


def _kind(value: object) -> str:
    return TRUTH if isinstance(value, bool) else TEXT if isinstance(value, str) else NUMBER


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else one_value(value)
