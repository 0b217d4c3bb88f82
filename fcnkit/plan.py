"""A Plan: what a rewrite would do, why, and what it comes to; nothing is written."""

import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from fcnkit import notebook
from fcnkit.formats.prototxt import Prototxt
from fcnkit.shape import Shape
from fcnkit.shape import show as shown_shape
from fcnkit.tables import Done, folded, grouped


class Step(NamedTuple):
    """One change of one layer, or a layer that was left as it is, with the reason.

    `verb` is "convert", "insert", "remove", "change", "keep", or "skip" for what was asked for
    and cannot be done. `line` is the line of the layer in the net before, None for a new layer.
    """

    verb: str
    layer: str
    line: int | None
    what: str
    why: str

    def _repr_html_(self) -> str:
        return _steps_html((self,))


class Move(NamedTuple):
    """What one parameter blob of the new weights file is made of.

    `source` is the layer whose blob of the same number is taken; None for new
    values.  `how` says how the new blob is made from it, with `args` as plain data:

    copy        the same numbers in the same order under another shape
    transpose   a matrix stored K x N becomes N x K first
    mix         (old shape, axes, filler): for each (axis, rows) of axes, every
                new slice along it is the weighted sum that its row says, as
                ((old index, weight), ...).  A row of one index and weight 1
                copies bits; an empty row is zero, or along axis 0 as the
                (filler, seed) says
    dense       (groups,): weights A x n x ... in groups become A x (groups n) x ...,
                with zeros between the groups
    group       (groups,): the inverse; the values between the groups must be zero
    fold        (links, axis, groups): every output channel is multiplied by
                what the links multiply by; it lies along axis 0, or along
                axis 1 of each group
    fold bias   (links,): the bias, or zero, through the links
    shift       (shape, axis, values): the bias, or zero, plus a sum over the channels, which
                lie along `axis` of the weights in `shape`: value times sum of the weights
    blob        (number,): the source's blob of another number
    given       (values,): these values; (values, type) for a layer of this type
    placed      (places, type): 1 at these places, else 0; for a layer of this type
    plane       (rows, columns): in each channel the products of these; or (..., type)
    zero, bilinear   new values
    drop        `layer` of the old file is left out

    A link is (layer, Affine), which says which blobs of the layer are its
    factors, summands and statistics.  `after` are the moves that make the blobs
    that this one reads, if they are not in the file.
    """

    layer: str
    blob: int
    shape: Shape
    source: str | None = None
    how: str = "copy"
    args: tuple[Any, ...] = ()
    after: "tuple[Move, ...]" = ()

    @property
    def reads(self) -> tuple[tuple[str, int], ...]:
        """The (layer, blob) pairs from which it is made, its source first."""
        if self.how == "shift":
            return (*self._own, (self.layer, 0))
        links = self.args[0] if self.how.startswith("fold") else ()
        others = ((layer, blob) for layer, affine in links for blob in range(affine.blobs))
        return (*self._own, *others)

    @property
    def taken(self) -> str | None:
        """The layer from which it takes its values: `source`, or the layer of its own name."""
        return self.source or (self.layer if self.how in _TAKING else None)

    @property
    def _own(self) -> tuple[tuple[str, int], ...]:
        return ((self.taken, self.taken_blob),) if self.taken else ()

    @property
    def taken_blob(self) -> int:
        """The number of the blob in that layer."""
        number: int = self.args[0] if self.how == "blob" else self.blob
        return number

    @property
    def first(self) -> "Move":
        """The first move of the chain, which takes its source from the file or makes it."""
        return next(
            (move.first for move in self.after if (move.layer, move.blob) in self._own), self
        )

    @property
    def origin(self) -> str | None:
        """The layer of the file from which the blob comes; None for new values."""
        return self.first.taken

    def json(self) -> dict[str, Any]:
        """The move as plain lists, dicts, strings and numbers."""
        return self._asdict() | {
            "shape": list(self.shape),
            "args": _listed(self.args),
            "after": [move.json() for move in self.after],
        }

    def _repr_html_(self) -> str:
        return _moves_html((self,))


# Without a source, these take the blob of their own layer.
_TAKING = ("copy", "transpose", "mix", "dense", "group", "fold")


def _listed(value: object) -> object:
    return [_listed(item) for item in value] if isinstance(value, tuple) else value


class ImageBefore(NamedTuple):
    """How to make the image for the net before from the image for the net after.

    `blob` is the input of the net after. Channel i of the old image is the sum of the new one's
    channels, weighted as `rows[i]` says, ((new index, weight), ...), plus `shifts[i]`; without
    `rows` they are the same. With `more` the new image has others too. `pad` are the rows and
    columns of zeros on each side.
    """

    blob: str
    rows: tuple[tuple[tuple[int, float], ...], ...] = ()
    shifts: tuple[float, ...] = ()
    pad: tuple[int, int] = (0, 0)
    more: bool = False


class ScoresBefore(NamedTuple):
    """The old class of each score of a layer: its number, or None for a new class."""

    layer: str
    classes: tuple[int | None, ...]


class Offset(NamedTuple):
    """One Crop: where the first pixel of its reference lies in the blob that it cuts."""

    layer: str
    cropped: str
    reference: str
    offset: tuple[int, ...]

    def _repr_html_(self) -> str:
        return _offsets_html((self,))


class Steps(tuple[Step, ...]):
    """The steps of a plan, which a notebook shows as a table."""

    def _repr_html_(self) -> str:
        return _steps_html(self)


class Moves(tuple[Move, ...]):
    """The moves of a plan, which a notebook shows as a table."""

    def _repr_html_(self) -> str:
        return _moves_html(self)


class Offsets(tuple[Offset, ...]):
    """The offsets of a plan, which a notebook shows as a table."""

    def _repr_html_(self) -> str:
        return _offsets_html(self)


class Diff(str):
    """A unified diff, which a notebook shows in colours."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return notebook.diff(self)


@dataclass(frozen=True)
class Plan:
    """The result of a rewrite: the net before and after, and the steps between them.

    >>> plan = fk.convolutionalize("deploy.prototxt").then(fk.resize, "data", (1, 1, 56, 56))
    >>> [step.layer for step in plan.steps]
    ['ip1', 'ip2', 'data']
    >>> plan.net.save("conv.prototxt")
    >>> fk.transplant(plan, "net.caffemodel").save("conv.caffemodel")

    `net` is the new prototxt; `moves` say how its weights are made; `offsets` lists every Crop
    whose offset was computed; `images` say how the input differs, the last change first;
    `scores` say which classes were chosen."""

    before: Prototxt
    net: Prototxt
    steps: tuple[Step, ...] = ()
    moves: tuple[Move, ...] = ()
    offsets: tuple[Offset, ...] = ()
    images: tuple[ImageBefore, ...] = ()
    scores: tuple[ScoresBefore, ...] = ()

    def __post_init__(self) -> None:
        for name, kind in (("steps", Steps), ("moves", Moves), ("offsets", Offsets)):
            object.__setattr__(self, name, kind(getattr(self, name)))
        if self.net is self.before and (self.images or self.scores):  # its weights alone change
            object.__setattr__(self, "net", replace(self.net, plan=None))
        made = self.net.plan
        if self.net is not self.before and (made is None or made.before is self.before):
            vars(self.net)["plan"] = self

    def then(self, rewrite: Callable[..., "Plan"], *args: Any, **options: Any) -> "Plan":
        """Carries out `rewrite(self.net, ...)` as well, and returns both together as one plan."""
        after = rewrite(self.net, *args, **options)
        lines = _layer_lines(self.before)
        return Plan(
            self.before,
            after.net,
            self.steps + tuple(step._replace(line=lines.get(step.layer)) for step in after.steps),
            compose(self.moves, after.moves),
            self.offsets + after.offsets,
            self.images + after.images,
            _composed(self.scores, after),
        )

    @property
    def changed(self) -> bool:
        """Whether the text of the net has changed."""
        return self.net.text != self.before.text

    def diff(self) -> Diff:
        """Returns a unified diff from the old text to the new one; it is empty if they are
        equal.
        """
        import difflib

        name = self.before.path
        lines = difflib.unified_diff(
            _lines(self.before.text), _lines(self.net.text), name, f"{name} (fcnkit)"
        )
        return Diff(
            "".join(
                line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
                for line in lines
            )
        )

    def json(self) -> dict[str, Any]:
        """The plan as plain lists, dicts, strings and numbers."""
        return {
            "net": self.before.path,
            "changed": self.changed,
            "steps": [step._asdict() for step in self.steps],
            "moves": [move.json() for move in self.moves],
            "offsets": [crop._asdict() | {"offset": list(crop.offset)} for crop in self.offsets],
        }

    def table(self, width: int = 80) -> str:
        """The steps as text: line, layer, what is done and why, in at most `width` columns."""
        if not self.steps:
            return f"{self.before.path}: nothing to do\n"
        steps = (
            Done(str(line or "+"), layer, verb, what, why)
            for verb, layer, line, what, why in self.steps
        )
        return folded(grouped(steps, least=8), width=width, most=width // 4, right=(0,))

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return f"<Plan for {self.before.path}: {len(self.steps)} steps>\n{self.table()}"

    def _repr_html_(self) -> str:
        return _steps_html(self.steps, self.before.path)


# ---- in a notebook

_TONES = {"insert": "good", "remove": "bad", "skip": "warn", "keep": "note"}


def _steps_html(steps: Iterable[Step], path: str = "steps") -> str:
    cells = [
        (step.line or "new", step.layer, _verb(step.verb), step.what, step.why) for step in steps
    ]
    if not cells:
        return notebook.text(f"{path}: nothing to do")
    head = ("line", "layer", "", "what", "why")
    return notebook.table(cells, head=head, caption=path, left=(1, 2, 3, 4))


def _verb(verb: str) -> str:
    return notebook.badge(verb, _TONES[verb]) if verb in _TONES else verb


def _moves_html(moves: Iterable[Move]) -> str:
    cells = [
        (move.layer, move.blob, shown_shape(move.shape, " x "), move.how, _from(move))
        for move in moves
    ]
    head = ("layer", "blob", "shape", "how", "from")
    caption = "what each blob of the new weights is made from"
    return notebook.table(cells, head=head, caption=caption, left=(0, 2, 3, 4))


def _from(move: Move) -> str:
    """The file's layer, and what was done to it before."""
    if move.how == "drop":
        return "left out"
    before = [each.how for each in move.after if each.how != "copy"]
    steps = f", after {' and '.join(before)}" if before else ""
    return f"{move.origin or 'new'}{steps}"


def _offsets_html(offsets: Iterable[Offset]) -> str:
    cells = [
        (each.layer, each.cropped, each.reference, ", ".join(map(str, each.offset)))
        for each in offsets
    ]
    caption = "where the first pixel of the reference lies in the cropped blob"
    head = ("crop", "cropped", "reference", "offset")
    return notebook.table(cells, head=head, caption=caption, left=(0, 1, 2))


def _composed(first: tuple[ScoresBefore, ...], second: Plan) -> tuple[ScoresBefore, ...]:
    """The scores of two plans as one: the old classes of the first's net, by the second's names."""
    names = {move.source: move.layer for move in second.moves if move.blob == 0 and move.source}
    made = {names.get(each.layer, each.layer): each.classes for each in first}
    for each in second.scores:
        known = made.get(each.layer)
        classes = each.classes
        if known is not None:
            classes = tuple(None if index is None else known[index] for index in classes)
        made[each.layer] = classes
    return tuple(ScoresBefore(layer, classes) for layer, classes in made.items())


def compose(first: tuple[Move, ...], second: tuple[Move, ...]) -> tuple[Move, ...]:
    """The moves of two plans as one: the second's, seen from the first's file.

    A blob that the second plan moves or drops after the first has moved it is
    taken from where the first took it; what the two do to it becomes a chain,
    unless one of them only copies.
    """
    # A plan is a function of a weights file, and its moves are the terms of that function: what
    # the second reads under a name is what the first made under it, put in its place as a term
    # (`after`), or the file's own where the first made nothing. Nothing is computed before the end.
    made = {(move.layer, move.blob): move for move in first if move.how != "drop"}
    later = [move for move in second if move.how != "drop"]
    dropped = {move.layer for move in second if move.how == "drop"}
    gone = dropped | {move.layer for move in later} | {move.source for move in later}
    kept = [move for (layer, _), move in made.items() if layer not in gone]
    drops = dict.fromkeys(move for move in first if move.how == "drop")
    for name in sorted(dropped):
        origins = {move.origin for (layer, _), move in made.items() if layer == name}
        sources = {origin for origin in origins if origin is not None}
        drops |= dict.fromkeys(Move(source, 0, (), how="drop") for source in sources or {name})
    return tuple(drops) + tuple(kept) + tuple(_through(made, move) for move in later)


def _through(made: dict[tuple[str, int], Move], move: Move) -> Move:
    own = tuple(_through(made, each) for each in move.after)
    known = {(each.layer, each.blob) for each in own}
    earlier = own + tuple(made[key] for key in move.reads if key in made and key not in known)
    if len(earlier) == 1 and move.how == "copy" and _copies(earlier[0], move):
        return earlier[0]._replace(layer=move.layer, shape=move.shape, source=earlier[0].taken)
    return move._replace(after=earlier)


def _copies(earlier: Move, move: Move) -> bool:
    """Whether a copy of what the earlier move makes is that move under another name and shape."""
    return earlier.shape == move.shape or earlier.how in ("copy", "transpose", "zero")


def _layer_lines(net: Prototxt) -> dict[str, int]:
    """The line of each layer by name, the first of each."""
    names = ((field, field.last("name")) for field in reversed(net.root.all("layer", "layers")))
    return {name.string: field.line for field, name in names if name}


def _lines(text: str) -> list[str]:
    return list(io.StringIO(text))  # \n alone ends a line: a form feed must not split one
