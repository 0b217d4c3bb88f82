"""The section of a plan: the net before and after it, side by side, and why."""

import difflib
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from fcnkit.errors import NetError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.inspection import Inspection, LayerRow, inspect
from fcnkit.reporting.drawing import overview
from fcnkit.reporting.pictures import Album
from fcnkit.reporting.records import PlanRecord, plan_of
from fcnkit.reporting.section import Section
from fcnkit.reporting.subject import Subject
from fcnkit.reporting.words import bytes_text, grouped
from fcnkit.shape import show
from fcnkit.verifying.proof import digest

# Lines around a change; above how many lines those that are everywhere no longer lead to matches,
# which takes the square of their number; and the longest texts that are compared.
_AROUND, _MANY, _LINES = 3, 2_000, 20_000


class Sides(NamedTuple):
    """A layer before and after, None where there is none, and what was done to it and why."""

    before: str | None
    after: str | None
    layer: str
    verbs: tuple[str, ...]
    whys: tuple[tuple[str, str], ...]


class Line(NamedTuple):
    """A line of the old text beside one of the new; `kind` is same, change, gone, new or skip."""

    kind: str
    old_number: int | None
    old: str
    new_number: int | None
    new: str


def section(of: Subject, album: Album) -> Section | None:
    """What the plan did that a folder keeps; None where it keeps none."""
    record = plan_of(of.folder) if of.folder and of.net else None
    if record is None or of.net is None:
        return None
    values = {
        "sides": list(_layers(record, of.net)),
        "totals": _totals(record.before, of.net),
        "lines": list(_lines(record.before.text, of.net.text)),
        "offsets": [(each, show(each.offset, ", ")) for each in record.offsets],
        "drawn": [overview(record.before), overview(of.net)],
        "before": record.before.path,
        "after": of.net.path,
        "command": record.command,
        "stale": digest(of.net) != record.digest,
    }
    return Section("plan", "Before and after", values, f"{record.before.path} became this net.")


def _inspected(net: Prototxt) -> Inspection | None:
    """The table of a net; None where Caffe could not build it."""
    try:
        return inspect(net)
    except NetError:
        return None


def _totals(before: Prototxt, after: Prototxt) -> list[tuple[str, str, str]]:
    """Sums of both nets."""
    both = [_inspected(before), _inspected(after)]

    def row(name: str, values: Sequence[str]) -> tuple[str, str, str]:
        return name, values[0], values[1]

    return [
        row("layers", [grouped(len(each.rows)) if each else "?" for each in both]),
        row("parameters", [grouped(each.params) if each else "?" for each in both]),
        row("multiply-adds", [grouped(each.macs) if each else "?" for each in both]),
        row("memory to test", [bytes_text(each.memory.testing) if each else "?" for each in both]),
    ]


def _layers(record: PlanRecord, after: Prototxt) -> Iterator[Sides]:
    """The layers that a step speaks of, in the order of the steps."""
    old, new = _described(record.before), _described(after)
    named = dict.fromkeys(step.layer for step in record.steps)
    new |= {layer: f"now {name}: {new[name]}" for layer, name in _renamed(record, old, new)}
    for layer in named:
        steps = [step for step in record.steps if step.layer == layer]
        verbs = tuple(dict.fromkeys(step.verb for step in steps))
        whys = tuple(dict.fromkeys((step.what, step.why) for step in steps))
        yield Sides(old.get(layer), new.get(layer), layer, verbs, whys)


def _renamed(
    record: PlanRecord, old: Collection[str], new: Collection[str]
) -> Iterator[tuple[str, str]]:
    """The layers that have another name in the new net, and that name.

    Steps do not say it alike. Neither net's order changes, so the layers that left without being
    removed and those that came without being inserted belong together, if they are as many.
    """
    known = {(step.layer, step.verb) for step in record.steps}
    left = [name for name in old if name not in new and (name, "remove") not in known]
    come = [name for name in new if name not in old and (name, "insert") not in known]
    return zip(left, come, strict=True) if len(left) == len(come) else iter(())


def _described(net: Prototxt) -> dict[str, str]:
    found = _inspected(net)
    return {row.name: _words(row) for row in found.rows} if found else {}


def _words(row: LayerRow) -> str:
    shape = "?" if row.shape is None else show(row.shape, " × ")
    count = f", {row.params:,} parameters" if row.params else ""
    return f"{row.type}, {shape}{count}"


def _lines(before: str, after: str) -> Iterator[Line]:
    """The lines that differ, with some around them, the old beside the new."""
    old, new = before.splitlines(), after.splitlines()
    if max(len(old), len(new)) > _LINES:
        return
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=max(len(old), len(new)) > _MANY)
    end = 0
    for group in matcher.get_grouped_opcodes(_AROUND):
        if group[0][1] > end:
            yield Line("skip", None, "", None, "")
        for tag, one, two, first, last in group:
            yield from _beside(tag, old, range(one, two), new, range(first, last))
        end = group[-1][2]
    if 0 < end < len(old):
        yield Line("skip", None, "", None, "")


def _beside(
    tag: str, old: Sequence[str], olds: range, new: Sequence[str], news: range
) -> Iterator[Line]:
    for at in range(max(len(olds), len(news))):
        left = olds[at] if at < len(olds) else None
        right = news[at] if at < len(news) else None
        kind = "same" if tag == "equal" else "new" if left is None else "gone"
        kind = "change" if kind != "same" and None not in (left, right) else kind
        yield Line(
            kind,
            None if left is None else left + 1,
            "" if left is None else old[left],
            None if right is None else right + 1,
            "" if right is None else new[right],
        )
