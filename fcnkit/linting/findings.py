"""What is wrong at a place of a prototxt, and what its text alone shows of that."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from fcnkit import notebook
from fcnkit.edits import Edit
from fcnkit.errors import FcnkitError, PrototxtError
from fcnkit.formats import schema
from fcnkit.formats.prototxt import BOM, Field, Prototxt
from fcnkit.formats.values import Slot, nearest
from fcnkit.linting.messages import read_by, type_of
from fcnkit.nets import solver_types
from fcnkit.nets.layers.old_names import V1_TYPES
from fcnkit.nets.layers.replacements import in_its_place
from fcnkit.nets.layers.table import TYPES
from fcnkit.plural import number_of

ERROR, WARNING, NOTE = "error", "warning", "note"
FORKS = "the fork of Caffe that has it"
"""How a remedy ends for what BVLC Caffe does not know, though another Caffe may."""
THAT_FORK = "to run the net in Caffe, use that fork"
"""What to do about a word of a fork that has been named: other tools may have the word too."""


class Fact(NamedTuple):
    """What a target refuses or misreads: the name of the target and its verdict, the layers, the
    rule and the value that breaks it, the reason, the source, and the operations of surgery that
    may solve it.
    """

    target: str
    verdict: str = ""
    layers: tuple[str, ...] = ()
    rule: str = ""
    value: str = ""
    because: str = ""
    source: Mapping[str, str] = {}
    mend: tuple[str, ...] = ()


class Finding(NamedTuple):
    """One mistake: its short name, its place, and what to do.

    Its level is "error" for what Caffe refuses, "warning" for what Caffe reads in another way
    than was probably meant, and "note" for what could not be judged. For a finding about a
    target, `about` has the details.
    """

    name: str
    level: str
    path: str
    line: int
    text: str
    about: Fact | None = None

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.level}: {self.text} [{self.name}]"

    def plain(self) -> dict[str, object]:
        """The finding as plain dicts, lists, strings and numbers."""
        found: dict[str, object] = self._asdict()
        del found["about"]
        return found | (self.about._asdict() if self.about else {})

    def _repr_html_(self) -> str:
        return Findings((self,))._repr_html_()


_TONES = {ERROR: "bad", WARNING: "warn", NOTE: "note"}


class Findings(tuple[Finding, ...]):
    """The findings of lint, which a notebook shows as a table."""

    def _repr_html_(self) -> str:
        if not self:
            return notebook.text("nothing found")
        levels = Counter(one.level for one in self)
        counts = (number_of(levels[level], level) for level in _TONES if levels[level])
        paths = ", ".join(dict.fromkeys(one.path for one in self))
        rows = [
            (one.line, notebook.badge(one.level, _TONES[one.level]), one.name, one.text)
            for one in self
        ]
        head = ("line", "level", "name", "what is wrong, and what to do")
        caption = f"{paths}: {', '.join(counts)}"
        return notebook.table(rows, head=head, caption=caption, left=(1, 2, 3))


class Kind(NamedTuple):
    """What a finding's name stands for."""

    level: str
    meaning: str


TEXT_KINDS = {
    "unknown-field": Kind(
        ERROR, "a field that Caffe does not have, misspelt or in the wrong message"
    ),
    "fork-field": Kind(NOTE, "a field that a fork of Caffe has and BVLC Caffe does not"),
    "wrong-value": Kind(ERROR, "a value of the wrong type, or a misspelt one"),
    "fork-value": Kind(
        NOTE,
        "a word that BVLC Caffe does not know, and that is not a misspelling of one that it knows",
    ),
    "unknown-word": Kind(
        ERROR,
        "a filler, policy or solver that Caffe does not have, but close to one that it has",
    ),
    "fork-word": Kind(NOTE, "a filler, policy or solver of a fork of Caffe, or of no known Caffe"),
    "given-twice": Kind(ERROR, "a second value for a field that takes one"),
    "missing-field": Kind(ERROR, "a message without a field that Caffe requires"),
    "byte-order-mark": Kind(ERROR, "a byte order mark at the start of the file"),
}


# What `build` and `infer` refuse, and what concerns the file as a whole.
FILE_KINDS = {
    "not-a-net": Kind(WARNING, "a file without a layer"),
    "a-solver": Kind(NOTE, "a solver instead of a net"),
    "a-label-map": Kind(NOTE, "the names of a data set's labels instead of a net"),
    "v0": Kind(NOTE, "the format of 2013, of which lint checks only the words"),
    "two-formats": Kind(ERROR, "`layer` and `layers` in one file"),
    "no-type": Kind(ERROR, "a layer without a type"),
    "include-and-exclude": Kind(ERROR, "a layer with both kinds of rules"),
    "undefined-bottom": Kind(ERROR, "a bottom that no earlier layer makes"),
    "duplicate-top": Kind(ERROR, "a top that another layer already makes"),
    "in-place": Kind(ERROR, "a layer that works in place on what another reads"),
    "shape": Kind(ERROR, "impossible sizes, or a wrong number of bottoms or tops"),
    "other-weights": Kind(WARNING, "weights that fit few layers of the net, or none"),
    "unused-weights": Kind(WARNING, "weights of a layer that the net does not have"),
}


def from_error(name: str, level: str, net: Prototxt, error: FcnkitError) -> Finding:
    """The finding that an error's message, `place: fact; remedy`, tells."""
    first = str(error).split("\n", 1)[0]
    place = re.match(rf"{re.escape(net.path)}:(\d+):(?:\d+:)? ", first)
    text = first[place.end() :] if place else first.removeprefix(f"{net.path}: ")
    return Finding(name, level, net.path, int(place[1]) if place else 1, text)


class Fault(NamedTuple):
    """A field that Caffe's parser refuses, in a message of this type, and why.

    `far` is what the fault has in common with others that need no line of
    their own: it is no slip, but a word that BVLC Caffe does not know.
    """

    name: str
    message: str
    field: Field
    error: PrototxtError
    far: str = ""


def text_findings(file: Prototxt, found: Iterable[Fault]) -> list[Finding]:
    """The faults as findings; what is no slip but a fork's word once for all its places."""
    alike: dict[object, list[Fault]] = {}
    for number, fault in enumerate(found):
        alike.setdefault(
            (fault.name, fault.message, fault.far) if fault.far else number, []
        ).append(fault)
    return [_finding(file, faults) for faults in alike.values()]


def _finding(file: Prototxt, alike: list[Fault]) -> Finding:
    first, last = alike[0], alike[-1]
    finding = from_error(first.name, TEXT_KINDS[first.name].level, file, first.error)
    if len(alike) == 1:
        return finding
    text, names = finding.text, list(dict.fromkeys(f'"{fault.field.name}"' for fault in alike))
    if len(names) > 1:
        text = text.replace(names[0], f"{', '.join(names[:-1])} and {names[-1]}", 1)
        text = text.replace("remove it", "remove them")
    return finding._replace(
        text=f"{text} ({number_of(len(alike), 'place')}, the last on line {last.field.line})"
    )


# The strings that Caffe takes from a list, by message and field, and what they are.
WORDS = {
    ("FillerParameter", "type"): ("filler", schema.FILLERS),
    ("SolverParameter", "lr_policy"): ("lr_policy", solver_types.POLICIES),
    ("SolverParameter", "type"): ("solver", solver_types.TYPES),
}


def faults(message: str, root: Field) -> Iterator[Fault]:
    """Everything that Caffe's parser would refuse in this message, in source order.

    `schema.check` raises at the first of them.
    """
    if root.name == "" and root.source.text.startswith(BOM):
        fact = "the file starts with a byte order mark (BOM), which Caffe refuses; save it without"
        yield Fault("byte-order-mark", message, root, root.source.error(0, fact))
    near = {field.start: name for field, name in schema.unknown(message, root)}
    yield from _faults(message, root, near)


def _faults(
    message: str,
    root: Field,
    near: dict[int, str | None],
    around: tuple[tuple[str, Field], ...] = (),
) -> Iterator[Fault]:
    known, around = schema.slots(message), ((message, root), *around)
    seen: set[str] = set()
    for field in root.fields or ():
        slot = known.get(field.name)
        if slot is None:
            yield _unknown(around, field, near.get(field.start))
            yield from _in_a_forks(message, root, field)
            continue
        if not slot.repeated and (field.name in seen or field.listed):
            fact = f'"{field.name}" is given a second time and takes one value; remove one'
            yield Fault("given-twice", message, field, field.error(fact))
        seen.add(field.name)
        yield from _value(message, field, slot)
        if slot.message:
            yield from _faults(slot.message, field, near, around)
    for slot in known.values():
        if slot.required and slot.name not in seen:
            fact = f'{message} lacks "{slot.name}", which Caffe requires; add it'
            yield Fault("missing-field", message, root, root.error(fact))


def _unknown(around: tuple[tuple[str, Field], ...], field: Field, near: str | None) -> Fault:
    message = around[0][0]
    fork = schema.fork_of(message, field.name)
    if fork:
        whose = "a fork" if fork == schema.OTHERS else f"the {fork} fork"
        instead = in_its_place(field) or "remove it"
        fact = (
            f'BVLC Caffe does not know {message}\'s "{field.name}", which {whose} has; '
            f"{THAT_FORK}, or {instead}"
        )
        return Fault("fork-field", message, field, field.error(fact), f"{fork}: {instead}")
    fact, home = f'{message} has no field "{field.name}"', _home(around, field.name)
    if home:
        return Fault("unknown-field", message, field, field.error(f"{fact}, {home}"))
    remedy = f'did you mean "{near}"?' if near else f"remove it, or use {FORKS}"
    far = "" if near else field.name
    return Fault("unknown-field", message, field, field.error(f"{fact}; {remedy}"), far)


def _in_a_forks(message: str, root: Field, field: Field) -> Iterator[Fault]:
    """The fields that the own message of a fork's type has not, as far as it is described."""
    kind = TYPES.get(type_of(root))
    if kind is None or field.name != kind.message or field.fields is None:
        return
    for strange in schema.View(message, root).view(field.name).strange_fields:
        fact = f'{field.name} has no field "{strange.name}" in any fork that is known'
        yield Fault("unknown-field", message, strange, strange.error(f"{fact}; remove it"))


def _home(around: tuple[tuple[str, Field], ...], name: str) -> str:
    """Where a field belongs that stands in the wrong message, "" where that is not known."""
    for depth, (message, root) in enumerate(around):
        if depth and name in schema.slots(message):
            return f"which belongs to {message}; move it out"
        inner = [slot.name for slot in schema.slots(message).values() if _could_hold(slot, name)]
        own = [one for one in inner if one in read_by(type_of(root))] or inner
        if 0 < len(own) < 4:
            return f"which belongs to {' or '.join(own)}; move it there"
    return ""


def _could_hold(slot: Slot, name: str) -> bool:
    # Not the blobs, nor the V0 layer within a layer, which has a bit of everything.
    return slot.message not in ("", "BlobProto", "V0LayerParameter") and name in schema.slots(
        slot.message
    )


def _value(message: str, field: Field, slot: Slot) -> Iterator[Fault]:
    try:
        value = slot.read(field, slot)
    except PrototxtError as error:
        if (message, field.name) == ("V1LayerParameter", "type") and field.raw.isidentifier():
            return  # an unknown type is said of the layer, with Caffe's name that is near
        if (
            slot.kind == "enum"
            and field.raw.isidentifier()
            and not nearest(field.raw, tuple(slot.enum))
        ):
            fork = schema.fork_of_word(message, field.name, field.raw)
            whose = f", which the {fork} fork has; {THAT_FORK}" if fork else f"; use {FORKS}"
            fact = f'BVLC Caffe has no {field.raw} for "{field.name}"{whose}'
            yield Fault(
                "fork-value", message, field, field.error(fact), f"{field.name}: {field.raw}"
            )
        else:
            yield Fault("wrong-value", message, field, error)
        return
    what, words = WORDS.get((message, field.name), ("", (value,)))
    if value not in words:
        near = nearest(value, words)
        fact = f'{"" if near else "BVLC "}Caffe has no {what} "{value}"'
        remedy = f'did you mean "{near}"?' if near else f"use {FORKS}"
        name, far = ("unknown-word", "") if near else ("fork-word", f"{field.name}: {value}")
        yield Fault(name, message, field, field.error(f"{fact}; {remedy}"), far)


def readable(file: Prototxt, found: Iterable[Fault]) -> Prototxt:
    """The file without its wrong values, but with the words of known forks,
    every line where it was, so that the rest can be looked at.

    Raises PrototxtError where they cannot be taken out one by one.
    """
    wrong = (
        fault
        for fault in found
        if fault.name == "wrong-value"
        or fault.name == "fork-value"
        and schema.fork_of_word(fault.message, fault.field.name, fault.field.raw) is None
    )
    return file.edit(_mended(fault) for fault in sorted(wrong, key=lambda fault: fault.field.start))


def _mended(fault: Fault) -> Edit:
    field, raw, why = fault.field, fault.field.raw, "a wrong value"
    if field.name == "type" and raw.isidentifier():
        # An unknown type of V1 is read as it is; those of V2 are strings.
        word = raw if fault.message == "V1LayerParameter" else f'"{V1_TYPES.get(raw, raw)}"'
        return Edit(field.value_start, field.stop, word, why)
    if field.name == "type" and raw[1:-1].isidentifier():
        return Edit(field.value_start, field.stop, raw[1:-1], why)
    start = field.value_start if field.listed else field.start
    return Edit(
        start, field.stop, re.sub(r"[^\n]", " ", field.source.text[start : field.stop]), why
    )
