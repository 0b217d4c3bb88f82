"""The nouns of a target: its sources, its rules, and the small vocabulary that rules are made of.

A rule says what must be so of one subject: a quantity of a layer (see quantities.py), a field of
the message with its parameters, or a fact of the whole net.  There is no Python in it.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from math import isfinite
from typing import Any, NamedTuple

from fcnkit.plural import number_of

REFUSED, MISREAD, ASIDE = "refused", "misread", "aside"
VERDICTS = {
    REFUSED: "the tool chain refuses it",
    MISREAD: "the tool chain silently computes something else",
    ASIDE: "the tool chain runs it in another place, such as the host's CPU, or in floating point",
}
"""What becomes of a layer that breaks a rule."""

LAYER, QUANTITY, FIELD, NET, TYPE = "LAYER", "quantity", "field", "net", "type"
SUBJECTS = (QUANTITY, FIELD, NET)


class Source(NamedTuple):
    """Where a fact is from: a public page or file, its version or commit, and the day of that."""

    key: str
    title: str
    url: str
    version: str
    date: date

    def __str__(self) -> str:
        return f"{self.title}, {self.version}, {self.date}"


class Condition(NamedTuple):
    """What must be so of a subject: every one of the tests, by their names in TESTS."""

    subject: str
    name: str
    tests: Mapping[str, Any]

    def wanted(self) -> str:
        """What is taken, in words."""
        words = [TESTS[test].words(wanted) for test, wanted in self.tests.items()]
        if {*self.tests} == {"min", "max"}:
            least, most = self.tests["min"], self.tests["max"]
            words = [f"{least} to {most}" if least < most else f"only {least}"]
        return " and ".join(words)


class Rule(NamedTuple):
    """What must be so of layers of these types, and what becomes of those of which it is not.

    `when` restricts it to layers of which something else is so; `mend` are the operations of
    `fcnkit surgery --do` that often help, where LAYER stands for the layer's name.
    """

    types: tuple[str, ...]
    condition: Condition
    when: Condition | None
    verdict: str
    because: str
    source: Source
    mend: tuple[str, ...] = ()


class Target(NamedTuple):
    """A tool chain that takes Caffe's nets.

    `date` is the day on which its sources were read.  `types` are the layer types that it
    takes, each with its source; `untaken` says what becomes of any other, and why.  Where
    `idle` is set the list is silent on layers that do nothing in a net that is used.
    """

    name: str
    title: str
    versions: str
    date: date
    note: str
    sources: tuple[Source, ...]
    types: Mapping[str, Source]
    untaken: Rule
    rules: tuple[Rule, ...]
    idle: bool = False


class Test(NamedTuple):
    """One test of a condition: whether it holds of values, what it must be given, its words."""

    holds: Any
    fits: Any
    words: Any


def _number(wanted: object) -> bool:
    return isinstance(wanted, int | float) and not isinstance(wanted, bool) and isfinite(wanted)


def _plain(wanted: object) -> bool:
    return isinstance(wanted, int | float | str | bool)


def _list(wanted: object) -> bool:
    return isinstance(wanted, list) and bool(wanted) and all(map(_plain, wanted))


def _lists(wanted: object) -> bool:
    return isinstance(wanted, list) and bool(wanted) and all(map(_list, wanted))


def _truth(wanted: object) -> bool:
    return isinstance(wanted, bool)


def one_value(value: object) -> str:
    """A value as a prototxt writes it."""
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def listed(values: Sequence[object]) -> str:
    """Values between commas."""
    return ", ".join(map(one_value, values)) or "nothing"


def _sequences(wanted: Sequence[Sequence[object]]) -> str:
    return "only " + " or ".join(f"({listed(each)})" for each in wanted)


TESTS = {
    "allowed": Test(
        lambda values, wanted: all(value in wanted for value in values),
        _list,
        lambda wanted: f"only {' or '.join(map(one_value, wanted))}",
    ),
    "forbidden": Test(
        lambda values, wanted: not any(value in wanted for value in values),
        _list,
        lambda wanted: f"anything but {' or '.join(map(one_value, wanted))}",
    ),
    "min": Test(
        lambda values, wanted: all(value >= wanted for value in values),
        _number,
        lambda wanted: f"{wanted} or more",
    ),
    "max": Test(
        lambda values, wanted: all(value <= wanted for value in values),
        _number,
        lambda wanted: f"at most {wanted}",
    ),
    "alike": Test(
        lambda values, wanted: (len(set(values)) < 2) == wanted,
        _truth,
        lambda wanted: "equal values" if wanted else "different values",
    ),
    "least": Test(
        lambda values, wanted: len(values) >= wanted,
        _number,
        lambda wanted: f"at least {number_of(wanted, 'value')}",
    ),
    "most": Test(
        lambda values, wanted: len(values) <= wanted,
        _number,
        lambda wanted: f"at most {number_of(wanted, 'value')}" if wanted else "none",
    ),
    "sequences": Test(
        lambda values, wanted: list(values) in wanted,
        _lists,
        _sequences,
    ),
    "given": Test(
        lambda values, wanted: bool(values) == wanted,
        _truth,
        lambda wanted: "given in the file" if wanted else "not given",
    ),
}
"""The tests by name; each holds of a subject's values, all of them."""

WRITTEN = ("alike", "least", "most", "sequences", "given")
"""The tests that look at what the text gives; the others at Caffe's default where it gives none."""
UNFINISHED = ("allowed", "forbidden", "min", "max")
"""The tests that can fail of some of the values, while others are not known."""
