"""Changes to text or bytes, as values: the one mechanism behind every rewrite."""

from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import NamedTuple, TypeVar

from fcnkit.errors import EditConflict

AnyStr = TypeVar("AnyStr", str, bytes)


class Edit(NamedTuple):
    """Replaces source[start:stop] by `new`; `why` names the step that asks for it.

    `new` is text or bytes, or stands for bytes that are too many to hold in memory.
    """

    start: int
    stop: int
    new: str | bytes | Sized
    why: str = ""


def arrange(edits: Iterable[Edit]) -> tuple[Edit, ...]:
    """The edits in source order, equal ones once, checked not to disagree.

    Insertions at one place keep the order in which they were given, and come
    before a replacement that starts there.

    Raises EditConflict when two different edits claim the same characters.
    """
    unique: dict[tuple, Edit] = {}
    for edit in edits:
        unique.setdefault(edit[:3], edit)
    ordered = sorted(unique.values(), key=lambda edit: edit[:2])
    for left, right in zip(ordered, ordered[1:], strict=False):
        if right.start < left.stop:
            raise EditConflict(
                f"characters {right.start} to {left.stop}: {left.why or 'one edit'} "
                f"puts {_short(left.new)} where {right.why or 'another'} puts "
                f"{_short(right.new)}; apply one and plan the other on its result"
            )
    return tuple(ordered)


def pieces(source: Sequence, edits: Iterable[Edit]) -> Iterator:
    """The edited source in order: slices of what stays, texts of what is new."""
    at = 0
    for edit in arrange(edits):
        if at < edit.start:
            yield source[at : edit.start]
        if edit.new:
            yield edit.new
        at = edit.stop
    if at < len(source):
        yield source[at:]


def splice(source: AnyStr, edits: Iterable[Edit]) -> AnyStr:
    """The source with every edit made and everything else verbatim.

    splice(source, ()) == source.  Raises EditConflict as `arrange` does.
    """
    return source[:0].join(pieces(source, edits))


def merge(states: Iterable[tuple[str, Sequence[Edit]]]) -> tuple[Edit, ...]:
    """The union of the edits that several states of one net ask for.

    Each item is (state, edits).  What two states both insert at one place
    must be the same there; the EditConflict names both states otherwise.
    """
    merged: list[Edit] = []
    inserted: dict[int, tuple[str, list]] = {}
    for state, edits in states:
        named = arrange(edit._replace(why=f"{edit.why} ({state})".strip()) for edit in edits)
        here: dict[int, list] = {}
        for edit in named:
            if edit.start == edit.stop:
                here.setdefault(edit.start, []).append(edit.new)
        for place, new in here.items():
            other, earlier = inserted.setdefault(place, (state, new))
            if earlier != new:
                raise EditConflict(
                    f"character {place}: state {other} inserts {_short(_joined(earlier))} and "
                    f"state {state} inserts {_short(_joined(new))}; split the net by state first"
                )
        merged += named
    return arrange(merged)


def _joined(texts: Sequence[AnyStr]) -> AnyStr:
    return texts[0][:0].join(texts)


def _short(new: object) -> str:
    shown = repr(new)
    return shown if len(shown) <= 40 else shown[:37] + "..."
