"""Writes the tables of docs/targets.md: the words that rules are made of, and every target's.

Run by `make targets` after a file of fcnkit/targets was changed.  What stands before the mark in
the page is written by hand.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fcnkit.targets.forks import BVLC, FORK_TARGETS
from fcnkit.targets.index import every
from fcnkit.targets.quantities import QUANTITIES
from fcnkit.targets.reading import NET_FACTS
from fcnkit.targets.rules import ASIDE, FIELD, NET, TYPE, VERDICTS, Condition, Rule, Target

PAGE = Path(__file__).resolve().parent.parent / "docs" / "targets.md"
ANY = "*"  # in place of types: they are not judged
ALWAYS = "always broken"  # a rule without a subject
MARK = "<!-- `make targets` writes what follows. -->\n"


def page() -> str:
    """The page as it should be."""
    by_hand, mark, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    return by_hand + (mark or MARK) + "\n".join(_tables())


def _tables() -> Iterator[str]:
    yield "\n## The words of rules\n"
    yield from _table(("verdict", "what it means"), VERDICTS.items())
    quantities = ((name, quantity.meaning) for name, quantity in QUANTITIES.items())
    yield from _table(("quantity", "what it is"), quantities)
    yield from _table(("fact about the net", "what it is"), NET_FACTS.items())
    for target in every():
        if isinstance(target, Target):
            yield from _target(target)
    yield "## Forks of Caffe\n"
    others = ", ".join(f"`{name}`" for name in FORK_TARGETS if name != BVLC)
    yield f"`{BVLC}`, {others}. `fcnkit/formats/forks.proto` has the words of each fork.\n"


def _target(target: Target) -> Iterator[str]:
    yield f"## {target.name}\n"
    yield f"{target.title}, {target.versions}; sources read on {target.date}."
    yield f"{target.note}\n" if target.note else ""
    for source in target.sources:
        yield f"- {source.key}: [{source.title}]({source.url}), {source.version}, {source.date}"
    yield ""
    yield from _taken(target)
    rows = (_row(rule) for rule in target.rules)
    if target.rules:
        yield from _table(("layers", "rule", "verdict", "reason", "source", "mend"), rows)


def _taken(target: Target) -> Iterator[str]:
    """The layer types that it takes, and what becomes of others."""
    if ANY in target.types:
        key = target.types[ANY].key
        yield f"Layer types are not judged: only the rules below count (source: {key}).\n"
        return
    for key in dict.fromkeys(source.key for source in target.types.values()):
        names = sorted(name for name, source in target.types.items() if source.key == key)
        yield f"It takes (source: {key}): {', '.join(_code(name) for name in names)}.\n"
    rest = target.untaken
    gets = "gets a note" if rest.verdict == ASIDE else f"is {rest.verdict}"
    yield f"Any other type {gets} (source: {rest.source.key}): {rest.because}.\n"


def _row(rule: Rule) -> Sequence[str]:
    types = "every layer" if rule.types == (ANY,) else ", ".join(rule.types) or "the net"
    asked = _words(rule.condition)
    if rule.when:
        asked = f"{asked or ALWAYS}, if {_words(rule.when)}"
    mend = ", ".join(map(_code, rule.mend))
    return types, asked or ALWAYS, rule.verdict, rule.because, rule.source.key, mend


def _words(condition: Condition) -> str:
    """A condition in words."""
    if condition.subject == TYPE:
        return ""
    if condition.subject == NET and condition.name == "types" and "forbidden" in condition.tests:
        return f"the net has no {' or '.join(condition.tests['forbidden'])}"
    name = _code(condition.name) if condition.subject in (FIELD, NET) else condition.name
    return f"{name}: {condition.wanted()}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)
    yield ""


def _code(name: str) -> str:
    return f"`{name}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
