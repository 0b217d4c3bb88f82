"""A Plan: what a rewrite would do, why, and what it comes to; nothing is written."""

import difflib
import html
import io
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fcnkit.formats.prototxt import Prototxt


class Step(NamedTuple):
    """One thing done to one layer, or deliberately not done, and the reason.

    `verb` is "convert", "insert", "remove", "change" or "keep"; `line` is the
    layer's line in the net that the plan starts from, None for a layer that
    is not in it.
    """

    verb: str
    layer: str
    line: int | None
    what: str
    why: str


class Move(NamedTuple):
    """What one parameter blob of the new weights file is made of.

    `how` is "copy" (the same numbers in the same order under another shape),
    "transpose" (a matrix stored K x N becomes N x K first), "zero",
    "bilinear", or "drop" (leave out the old file's `layer`).  `source` is the
    old file's layer, None for what is new.
    """

    layer: str
    blob: int
    shape: tuple[int, ...]
    source: str | None = None
    how: str = "copy"


class Offset(NamedTuple):
    """One Crop layer: where its reference's first pixel lies in what it cuts."""

    layer: str
    cropped: str
    reference: str
    offset: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """Before, after, and the steps between; the dry run and the record in one.

    `net` is the rewritten prototxt, `moves` what becomes of the weights,
    `offsets` every Crop that the plan computed.
    """

    before: Prototxt
    net: Prototxt
    steps: tuple[Step, ...] = ()
    moves: tuple[Move, ...] = ()
    offsets: tuple[Offset, ...] = ()

    def then(self, rewrite: Callable[..., "Plan"], *args, **options) -> "Plan":
        """This plan, and `rewrite(self.net, ...)` after it, as one plan."""
        after = rewrite(self.net, *args, **options)
        lines = _layer_lines(self.before)
        return Plan(
            self.before,
            after.net,
            self.steps + tuple(step._replace(line=lines.get(step.layer)) for step in after.steps),
            compose(self.moves, after.moves),
            self.offsets + after.offsets,
        )

    @property
    def changed(self) -> bool:
        """Whether the net's text differs from what it was."""
        return self.net.text != self.before.text

    def diff(self) -> str:
        """A unified diff from the old text to the new one; empty when equal."""
        name = self.before.path
        lines = difflib.unified_diff(
            _lines(self.before.text), _lines(self.net.text), name, f"{name} (fcnkit)"
        )
        return "".join(
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
        )

    def json(self) -> dict:
        """The plan as plain lists, dicts, strings and numbers."""
        return {
            "net": self.before.path,
            "changed": self.changed,
            "steps": [step._asdict() for step in self.steps],
            "moves": [move._asdict() | {"shape": list(move.shape)} for move in self.moves],
            "offsets": [crop._asdict() | {"offset": list(crop.offset)} for crop in self.offsets],
        }

    def table(self, width: int = 80) -> str:
        """Each step's line, layer, what and why, folded to `width` columns."""
        if not self.steps:
            return f"{self.before.path}: nothing to do\n"
        lines = max(len(str(step.line or "+")) for step in self.steps)
        names = min(max(len(step.layer) for step in self.steps), width // 4)
        return "".join(_shown(step, lines, names, width) for step in self.steps)

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return f"<Plan for {self.before.path}: {len(self.steps)} steps>\n{self.table()}"

    def _repr_html_(self) -> str:
        cells = [(step.line or "new", step.layer, step.verb, step.what, step.why) for step in self.steps]
        rows = "".join(
            "<tr>"
            + "".join(f"<td style='text-align:left'>{html.escape(str(cell))}</td>" for cell in row)
            + "</tr>"
            for row in cells
        )
        head = "".join(f"<th>{name}</th>" for name in ("line", "layer", "", "what", "why"))
        return f"<table><caption>{html.escape(self.before.path)}</caption><tr>{head}</tr>{rows}</table>"


def compose(first: tuple[Move, ...], second: tuple[Move, ...]) -> tuple[Move, ...]:
    """The moves of two plans as one: the second's, seen from the first's file.

    A blob that the second plan moves or drops after the first has moved it is
    taken from where the first took it.
    """
    made = {(move.layer, move.blob): move for move in first if move.how != "drop"}
    touched = {(move.source or move.layer, move.blob) for move in second if move.how != "drop"}
    dropped = {move.layer for move in second if move.how == "drop"}
    kept = [
        move for (layer, blob), move in made.items() if layer not in dropped and (layer, blob) not in touched
    ]
    drops = dict.fromkeys(move for move in first if move.how == "drop")
    for name in sorted(dropped):
        sources = {move.source for (layer, _), move in made.items() if layer == name}
        drops |= dict.fromkeys(Move(source, 0, (), how="drop") for source in sources or {name} if source)
    return tuple(drops) + tuple(kept) + tuple(_through(made, move) for move in second if move.how != "drop")


def _through(made: dict[tuple[str, int], Move], move: Move) -> Move:
    earlier = made.get((move.source or "", move.blob))
    if not earlier:
        return move
    how = earlier.how if move.how == "copy" else move.how
    return move._replace(source=earlier.source, how=how)


def _shown(step: Step, lines: int, names: int, width: int) -> str:
    head = f"{step.line or '+':>{lines}}  {step.layer:<{names}}  "
    return folded(head, lines + names + 4, [f"{step.verb}: {step.what}", step.why], width)


def folded(head: str, margin: int, texts: Sequence[str], width: int = 80) -> str:
    """A row of a table: texts beside a head, each from a line of its own, folded to `width`.

    A head that is longer than its column of `margin` stands alone.
    """
    indent = " " * margin
    first = head.ljust(margin) if len(head.rstrip()) < margin else head.rstrip() + "\n" + indent
    options = {"width": max(width - margin, 20), "break_long_words": False, "break_on_hyphens": False}
    parts = [part for text in texts for part in textwrap.wrap(text, **options)]
    return (first + f"\n{indent}".join(parts)).rstrip() + "\n"


def _layer_lines(net: Prototxt) -> dict[str, int]:
    """The line of each layer by name, the first of each."""
    names = ((field, field.last("name")) for field in reversed(net.root.all("layer", "layers")))
    return {name.string: field.line for field, name in names if name}


def _lines(text: str) -> list[str]:
    # Only \n ends a line here: a form feed in a comment must not split one.
    return list(io.StringIO(text))
