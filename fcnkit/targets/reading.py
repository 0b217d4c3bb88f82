"""Reads a target's description, a TOML file, and refuses what is not one, at its line.

    name = "mine"                       # what --target calls it
    title = "My chip's compiler"
    versions = "1.2"
    date = 2026-11-30                   # the day on which the sources were read
    [[sources]]                         # key, title, url, version, date
    [[taken]]                           # source, types = [...], others = [...]
    [untaken]                           # verdict, because, source, idle
    [[rules]]                           # types, a subject, tests, verdict, because, source

A subject is `quantity`, `field` or `net`; tests are those of rules.TESTS.  A rule without a
subject is broken by every layer of its types, or with `when` by those of which that is so.
"""

import os
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from fcnkit.errors import TargetError, printable
from fcnkit.foreign import reason
from fcnkit.formats import schema
from fcnkit.libraries import toml
from fcnkit.nets.layers.table import TYPES
from fcnkit.rewrites import operations
from fcnkit.targets.kinds import misfit
from fcnkit.targets.quantities import QUANTITIES
from fcnkit.targets.rules import (
    FIELD,
    NET,
    QUANTITY,
    SUBJECTS,
    TESTS,
    TYPE,
    VERDICTS,
    Condition,
    Rule,
    Source,
    Target,
)

NET_FACTS = {
    "format": "V1 (`layers`) or V2 (`layer`)",
    "inputs": "how the file gives its inputs: layer, input_dim or input_shape, or several of them",
    "repeated_names": "names that several layers have",
    "repeated_tops": "blobs that several layers write, other than in place",
    "types": "the layer types that it has",
}
"""The facts of a whole net that rules speak of."""

ALL = "*"
"""In place of types: every layer."""

_LONGEST = 1 << 20
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_TEXTS = ("name", "title", "versions", "note")
_HEADER = re.compile(r"\s*\[\[?\s*([A-Za-z_]+)\s*\]\]?\s*(?:#.*)?")


class _File(NamedTuple):
    """A description's path and text."""

    path: str
    text: str

    def error(self, table: str, number: int, key: str, fact: str) -> TargetError:
        """An error at the line of a key of a table, or of the table itself."""
        return TargetError(f"{self.path}:{_line(self.text, table, number, key)}: {fact}")


class _Table(NamedTuple):
    """One table of a description: its name, which of them it is, and what is in it.

    `at` is the key that holds it where it stands on the line of one.
    """

    file: _File
    name: str
    number: int
    values: Mapping[str, Any]
    at: str = ""

    def error(self, key: str, fact: str) -> TargetError:
        """An error at the line of the key."""
        return self.file.error(self.name, self.number, self.at or key, fact)

    def text(self, key: str, *, empty: bool = False) -> str:
        """A text that must be there, or may be left out."""
        found = self.values.get(key, "" if empty else None)
        if not isinstance(found, str) or not (found.strip() or empty):
            raise self.error(key, f"{self._where}{key} is {_shown(found)}; give a text")
        return found

    def texts(self, key: str, *, empty: bool = True) -> list[str]:
        """A list of texts."""
        found = self.values.get(key, [])
        if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
            raise self.error(key, f"{self._where}{key} is {_shown(found)}; give a list of texts")
        if not (found or empty):
            raise self.error(key, f"{self._where}{key} names nothing; give one or more")
        return found

    def day(self, key: str) -> date:
        """A day that must be there, as 2026-11-30."""
        found = self.values.get(key)
        if not isinstance(found, date) or isinstance(found, datetime):
            fact = f"{self._where}{key} is {_shown(found)}; give a day, as 2026-11-30"
            raise self.error(key, fact)
        return found

    def tables(self, key: str) -> Iterator["_Table"]:
        """The tables of an array of tables."""
        found = self.values.get(key, [])
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise self.error(key, f"{key} is {_shown(found)}; give tables, each under [[{key}]]")
        for number, one in enumerate(found):
            yield _Table(self.file, key, number, one)

    def only(self, known: tuple[str, ...]) -> None:
        """Nothing else is in it."""
        for key in self.values:
            if key not in known:
                fact = f'{self._where}no key "{printable(key)}" is known here'
                raise self.error(key, f"{fact}; {_near(key, known)}")

    def chosen(self, key: str, known: Mapping[str, Any]) -> str:
        """A text that is one of the names."""
        found = self.text(key)
        if found not in known:
            fact = f'{self._where}{key} is "{printable(found)}"; {_near(found, tuple(known))}'
            raise self.error(key, fact)
        return found

    @property
    def _where(self) -> str:
        return f"[[{self.name}]] {self.number + 1}: " if self.name else ""


def read(path: str | os.PathLike[str]) -> Target:
    """The target that a TOML file describes; TargetError at the line of what is wrong with it."""
    place = os.fspath(path)
    try:
        with Path(place).open("rb") as file:
            data = file.read(_LONGEST + 1)
    except (OSError, ValueError) as error:
        raise TargetError(f"{place}: cannot be read: {reason(error)}; check the name") from error
    if len(data) > _LONGEST:
        raise TargetError(f"{place}: more than {_LONGEST:,} bytes; a target has some thousand")
    return parse(_decoded(data, place), place)


def _decoded(data: bytes, path: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        fact = f"{path}:{line}: a byte that is not UTF-8; TOML files are written in UTF-8"
        raise TargetError(fact) from error


def parse(text: str, path: str) -> Target:
    """The target that a text in TOML describes; `path` is for messages."""
    file = _File(path, text)
    top = _Table(file, "", 0, _loaded(file))
    top.only((*_TEXTS, "date", "sources", "taken", "untaken", "rules"))
    name = top.text("name")
    if not _NAME.fullmatch(name):
        fact = f'name is "{printable(name)}"; give small letters, digits and hyphens'
        raise top.error("name", fact)
    sources = {source.key: source for source in map(_source, top.tables("sources"))}
    if not sources:
        raise top.error("sources", "it names no source; a target needs one")
    types = _types(top, sources)
    rules = tuple(rule for table in top.tables("rules") for rule in _rules(table, sources))
    return Target(
        name, top.text("title"), top.text("versions"), top.day("date"),
        top.text("note", empty=True), tuple(sources.values()), types, _untaken(top, sources), rules,
        bool(top.values["untaken"].get("idle")),
    )  # fmt: skip


def _loaded(file: _File) -> dict[str, Any]:
    tomllib = toml()
    try:
        return tomllib.loads(file.text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+), column (\d+)", str(error))
        line = f":{place[1]}:{place[2]}" if place else ""
        fact = re.sub(r" \(at .*\)$", "", str(error))
        raise TargetError(
            f"{file.path}{line}: not valid TOML: {printable(fact)}; correct it"
        ) from error
    except RecursionError as error:
        raise TargetError(f"{file.path}: nested too deeply; write it flatter") from error


def _source(table: _Table) -> Source:
    table.only(Source._fields)
    url = table.text("url")
    if not re.match(r"https?://[^\s/]+\.[^\s/]+", url):
        raise table.error("url", f'url is "{printable(url)}"; give the address of a web page')
    return Source(
        table.text("key"), table.text("title"), url, table.text("version"), table.day("date")
    )


def _cited(table: _Table, sources: Mapping[str, Source]) -> Source:
    """The source of a table, without which nothing is said."""
    if "source" not in table.values:
        where = f"[[{table.name}]] {table.number + 1}" if table.name else "it"
        raise table.error("", f"{where} has no source; name the key of one of the sources")
    return sources[table.chosen("source", sources)]


def _types(top: _Table, sources: Mapping[str, Source]) -> dict[str, Source]:
    found: dict[str, Source] = {}
    for table in top.tables("taken"):
        table.only(("source", "types", "others"))
        source = _cited(table, sources)
        _known_types(table, "types")
        for name in (*table.texts("types"), *table.texts("others")):
            if name in found:
                raise table.error("types", f'type "{printable(name)}" is named twice; once will do')
            found[name] = source
    if not found:
        raise top.error("taken", "it takes no layer type; list those that it takes in [[taken]]")
    return found


def _known_types(table: _Table, key: str) -> None:
    for name in table.texts(key):
        if name not in TYPES and name != ALL:
            fact = (
                f'[[{table.name}]] {table.number + 1}: no layer type "{printable(name)}" is known'
            )
            beside = "; or write it into others" if table.name == "taken" else ""
            raise table.error(key, f"{fact}; {_near(name, tuple(TYPES))}{beside}")


def _untaken(top: _Table, sources: Mapping[str, Source]) -> Rule:
    values = top.values.get("untaken")
    if not isinstance(values, dict):
        raise top.error("untaken", "it does not say what happens to other types; give [untaken]")
    table = _Table(top.file, "untaken", 0, values)
    table.only(("verdict", "because", "source", "idle"))
    if not isinstance(values.get("idle", False), bool):
        raise table.error("idle", f"idle is {_shown(values['idle'])}; give true or false")
    return Rule(
        (ALL,), Condition(TYPE, "", {}), None, table.chosen("verdict", VERDICTS),
        table.text("because"), _cited(table, sources)
    )  # fmt: skip


_OF_RULES = (
    "types", *SUBJECTS, *TESTS, "when", "verdict", "because", "source", "mend"
)  # fmt: skip


def _rules(table: _Table, sources: Mapping[str, Source]) -> Iterator[Rule]:
    table.only(_OF_RULES)
    source, condition = _cited(table, sources), _condition(table, bare=True)
    types = table.texts("types", empty=condition.subject == NET)
    _known_types(table, "types")
    _check_subject(table, types, condition)
    when = table.values.get("when")
    if when is not None:
        if not isinstance(when, dict):
            raise table.error("when", f"when is {_shown(when)}; give {{ field = ..., a test }}")
        if not types:
            raise table.error("when", "when is about a layer, but this rule is about the whole net")
        when = _when(table, types, when)
    verdict, because = table.chosen("verdict", VERDICTS), table.text("because")
    _check_mends(table)
    mends = tuple(table.texts("mend"))
    yield Rule(tuple(types), condition, when, verdict, because, source, mends)


def _when(table: _Table, types: list[str], values: dict[str, Any]) -> Condition:
    inner = table._replace(values=values, at="when")
    inner.only((*SUBJECTS, *TESTS))
    found = _condition(inner)
    _check_subject(inner, types, found)
    return found


def _condition(table: _Table, *, bare: bool = False) -> Condition:
    subjects = [key for key in SUBJECTS if key in table.values]
    if bare and not subjects and not any(test in table.values for test in TESTS):
        return Condition(TYPE, "", {})
    if len(subjects) != 1:
        fact = f"it is about {' and '.join(subjects) or 'nothing'}"
        raise table.error(
            subjects[1] if subjects else "", f"{fact}; give one of {', '.join(SUBJECTS)}"
        )
    subject = subjects[0]
    known: Mapping[str, Any] = _KNOWN.get(subject, {})
    name = table.chosen(subject, known) if known else table.text(subject)
    tests = {key: table.values[key] for key in TESTS if key in table.values}
    if not tests:
        fact = f"{subject} {name} has no condition; give one of {', '.join(TESTS)}"
        raise table.error(subject, fact)
    for key, wanted in tests.items():
        if not TESTS[key].fits(wanted):
            raise table.error(key, f"{key} is {_shown(wanted)}; {_FORMS[key]}")
    return Condition(subject, name, tests)


_KNOWN: Mapping[str, Mapping[str, Any]] = {QUANTITY: QUANTITIES, NET: NET_FACTS}
_FORMS = {
    **dict.fromkeys(("allowed", "forbidden"), "give a list of values"),
    **dict.fromkeys(("min", "max", "least", "most"), "give a number"),
    **dict.fromkeys(("alike", "given"), "give true or false"),
    "sequences": "give a list of lists of values",
}


def _check_subject(table: _Table, types: list[str], condition: Condition) -> None:
    """A field is one of the message of every type that the rule is for; tests are of its kind."""
    for name in types if condition.subject == FIELD else ():
        message = TYPES[name].message if name in TYPES else ""
        slots = _slots(message) if message else ()
        if condition.name not in slots:
            fact = (
                f'a {name} has no field "{printable(condition.name)}" in {message or "a message"}'
            )
            near = _near(condition.name, slots) if slots else "name the types that have it"
            raise table.error(FIELD, f"{fact}; {near}")
    wrong = misfit(types, condition)
    if wrong:
        raise table.error(wrong[0], printable(wrong[1]))


def _slots(message: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(schema.View("LayerParameter", None).view(message).names))


def _check_mends(table: _Table) -> None:
    known = {operation.name for operation in operations.every()}
    for mend in table.texts("mend"):
        word = mend.partition("=")[0]
        if word not in known:
            fact = f'mend: surgery has no --do "{printable(word)}"'
            raise table.error("mend", f"{fact}; {_near(word, tuple(known))}")


def _near(name: str, known: tuple[str, ...]) -> str:
    near = get_close_matches(name, known, 1, 0.7)
    if near:
        return f'did you mean "{near[0]}"?'
    return f"give one of {', '.join(sorted(known))}" if len(known) < 30 else "see docs/targets.md"


def _shown(value: object) -> str:
    if value is None:
        return "missing"
    return f'"{printable(value)}"' if isinstance(value, str) else printable(str(value))[:60]


def _line(text: str, table: str, number: int, key: str) -> int:
    """The line of a key in the table of that number, of the table itself, or the first."""
    inside, seen, start = not table, -1, 1
    for line, content in enumerate(text.split("\n"), 1):
        header = _HEADER.fullmatch(content)
        if header:
            seen += header[1] == table
            inside = bool(table) and header[1] == table and seen == number
            start = line if inside else start
            if key == header[1] and not table:
                return line
        elif inside and key and re.match(rf'\s*"?{re.escape(key)}"?\s*=', content):
            return line
    return start
