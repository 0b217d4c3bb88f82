"""How far the values of one net are from another's, and what that shows of the two."""

from collections.abc import Iterable, Iterator, Sequence
from math import inf, isfinite, nan, prod
from typing import Any, NamedTuple

from fcnkit import notebook
from fcnkit.errors import NetError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.plural import number_of
from fcnkit.shape import Shape

NOT_FINITE = "infinite or not numbers"
STILL = "the same for every input"
PINNED = "the same, or one of two values, for every input"
# Of a channel's values the tenth that is largest does not say how large the channel is, nor
# do the three largest quarters of the channels say how small a difference counts.
_USUAL, _LEAST = 0.9, 0.25
_SAMPLE = 1 << 14
# What two ways of computing the same may differ by, in terms of the values: float32 of deep nets.
_ROUNDING = 5e-5


class Difference(NamedTuple):
    """How far one output of the new net is from the same output of the old net.

    `absolute` is the largest absolute difference. `relative` is the largest difference divided
    by the usual distance between values of its channel; it is compared with `tolerance`.
    `largest` is the largest magnitude among the old net's values, and `low` and `high` are their
    range.

    Of `channels` channels, `still` have values that do not depend on the input, or take only two
    values; `held` says which. `hidden` says why the values could hide a difference; `made_of`
    are then the outputs in which the difference would show. `unseen` names layers that have no
    effect on anything that was compared, and `partly` names channels of inner blobs that have
    none. For the outputs in `left_out`, only the blobs from which they are made were compared.
    """

    output: str
    new_output: str
    shape: Shape
    new_shape: Shape
    absolute: float
    relative: float
    largest: float
    tolerance: float
    low: float = -inf
    high: float = inf
    made_of: tuple[str, ...] = ()
    hidden: str = ""
    channels: int = 0
    still: int = 0
    held: str = STILL
    unseen: str = ""
    partly: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the relative difference is within the tolerance. It is not if the difference
        is not finite.
        """
        return self.relative <= self.tolerance

    @property
    def shows(self) -> bool:
        """Whether these values could have shown a difference between the nets."""
        return not self.hidden and not self.largest == self.absolute == 0

    @property
    def why(self) -> str:
        """The reason why these values could show no difference; "" if they could."""
        return self.unseen or f"its values are {self.hidden or 'all zero'}"

    def __repr__(self) -> str:
        return f"<{self}>"

    def _repr_html_(self) -> str:
        return shown((self,))

    def __str__(self) -> str:
        return "; ".join((self.head, *self.notes))

    @property
    def head(self) -> str:
        """The verdict, the difference and the values, on one line."""
        name = (
            self.output if self.output == self.new_output else f"{self.output} -> {self.new_output}"
        )
        shape = " x ".join(map(str, self.new_shape))
        ends = f"{self.low:.3g} to {self.high:.3g}" if isfinite(self.low) else f"{self.largest:.3g}"
        return (
            f"{name}: {self._verdict}; max |difference| {self.absolute:.3g} over {shape} values "
            f"{'from' if isfinite(self.low) else 'up to'} {ends}, relative {self.relative:.2g} "
            f"(tolerance {self.tolerance:g})"
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What this comparison does not test, and what it leaves out, in a phrase for each."""
        parts = "outputs" if prod(self.new_shape[2:]) == 1 else "channels"
        still = f": {self.still} of {self.channels} {parts}" if self.partial else ""
        inside = f"{', and' if still else ':'} within the net {_some(self.partly)}"
        inside = inside if self.partly else ""
        untested = f"not tested by this input{still}{inside}" if still or inside else ""
        return tuple(filter(None, (untested, _without(self.left_out))))

    @property
    def partial(self) -> bool:
        """Whether some channels, but not all, could show no difference."""
        return 0 < self.still < self.channels

    @property
    def _verdict(self) -> str:
        if self.hidden == NOT_FINITE:
            return f"NOT COMPARED: some values are {NOT_FINITE}"
        if not self.ok:
            return "DIFFERENT"
        if self.unseen:
            return f"equal, but {self.unseen}"
        if self.shows:
            return "equal"
        why, by = self.hidden or "all zero", _several(self.made_of)
        if not by:
            return f"equal, but {why}: this proves nothing"
        return f"equal, but {why}: see {by}"


def _without(outputs: Sequence[str]) -> str:
    if not outputs:
        return ""
    are, they = ("is", "it is") if len(outputs) == 1 else ("are", "they are")
    return f"{_several(outputs)} {are} not compared: what {they} computed from is"


def _several(names: Sequence[str], most: int = 3) -> str:
    if len(names) > most:
        return f"{', '.join(names[:most])} and {number_of(len(names) - most, 'other')}"
    return " and ".join(names)


def _some(partly: Sequence[str], most: int = 3) -> str:
    more = f" and {number_of(len(partly) - most, 'other blob')}" if len(partly) > most else ""
    return f"{', '.join(partly[:most])}{more}"


def unproven(found: Iterable[Difference]) -> list[Difference]:
    """The outputs that could hide a difference, where nothing that was compared would show it."""
    rows = list(found)
    inner = {name for row in rows for name in row.made_of}
    return [
        row for row in rows if row.unseen or (row.output not in inner and not _shown(row, rows))
    ]


def _shown(row: Difference, rows: Sequence[Difference]) -> bool:
    made_of = [each for each in rows if each.output in row.made_of]
    return row.shows or bool(made_of) and all(_shown(each, rows) for each in made_of)


def proven(found: Iterable[Difference]) -> bool:
    """Whether nothing differs, and of every output something was compared that shows it."""
    rows = list(found)
    return all(row.ok for row in rows) and not unproven(rows)


def compare(
    net: Prototxt,
    new_net: Prototxt,
    name: str,
    old: Any,
    new_name: str,
    new: Any,
    tolerance: float,
    *,
    other: Any = None,
    alike: bool = False,
) -> Difference:
    """How far the array `new` is from `old`; NetError where they have different counts.

    A difference is measured by how far the values of its own channel usually are apart: one
    channel of 1e8 says nothing of others of 1, nor a large bias of what is added to it.
    What rounding makes of large values is no difference.  `other` is what the old net makes
    of another input; without it nothing is known but how large the values are.
    With `alike` all channels are measured by the largest value of all, as what keeps to
    bounds is.
    """
    import numpy as np

    if old.size != new.size or old.shape[:1] != new.shape[:1]:
        remedy = (
            "give an input on which both have the same number of values"
            if old.shape[1:2] == new.shape[1:2]
            else "verify compares nets that should compute the same: name two such nets"
        )
        raise NetError(
            f"{new_net.path}: {new_name} has the shape {new.shape}, but {name} of {net.path} has "
            f"{old.shape}; {remedy}"
        )
    reference = by_channel(old.astype(np.float64))
    magnitude = np.abs(reference)
    largest = float(magnitude.max())
    with np.errstate(invalid="ignore"):  # inf - inf
        apart = np.abs(by_channel(new.reshape(old.shape)) - reference)
    strange = "" if isfinite(largest) else NOT_FINITE
    relative = nan
    if not strange:
        scale = np.full(reference.shape, largest) if alike else _scale(reference, other, tolerance)
        with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0 is no difference
            relative = float(np.where(apart == 0, 0, apart / scale).max())
    shapes = old.shape, new.shape
    return Difference(
        name,
        new_name,
        *shapes,
        float(apart.max()),
        relative,
        largest,
        tolerance,
        float(reference.min()),
        float(reference.max()),
        hidden=strange,
        channels=len(reference),
    )


def by_channel(values: Any) -> Any:
    """The values of each channel in a row; one row where there is one axis."""
    if values.ndim < 2:
        return values.reshape(1, -1)
    return values.swapaxes(0, 1).reshape(values.shape[1], -1)


def _scale(reference: Any, other: Any, tolerance: float) -> Any:
    """What each difference is measured by: how far the values of its channel usually are apart.

    It is no less than in the quarter of the channels where that is least, and where rounding
    of the value or its channel is more than the tolerance of it, that counts.
    """
    import numpy as np

    magnitude = np.abs(reference)
    usual = large = _high(magnitude)
    if other is not None:
        others = by_channel(other).astype(np.float64)
        middle = (reference.mean(1) + others.mean(1))[:, None] / 2
        usual = np.maximum(_high(np.abs(reference - middle)), _high(np.abs(others - middle)))
        large = np.maximum(large, _high(np.abs(others)))
    some = np.sort(usual[usual > 0])
    if len(some):
        usual = np.maximum(usual, some[int(_LEAST * len(some))])
    rounded = min(1.0, _ROUNDING / tolerance) if tolerance > 0 else 1.0
    return np.maximum(usual[:, None], rounded * np.maximum(magnitude, large[:, None]))


def _high(magnitude: Any) -> Any:
    """What nine in ten of a channel's values that are not zero do not exceed."""
    import numpy as np

    # A sample says as much of a large map.
    ordered = np.sort(magnitude[:, :: max(1, magnitude.shape[1] // _SAMPLE)], 1)
    some = (ordered > 0).sum(1)
    at = ordered.shape[1] - some + (_USUAL * (some - 1)).astype(int)
    return ordered[np.arange(len(ordered)), np.minimum(at, ordered.shape[1] - 1)]


class Moved(NamedTuple):
    """How far each channel is apart on two inputs, and which are the same, as far as can be told.

    A channel moves where a tenth of the difference would be told from rounding.  Those that
    are `pinned` are still, too: they change places between two values, and take no other.
    """

    by: Any
    still: Any
    pinned: Any

    def dwarfed(self, tolerance: float, most: float = 0.0) -> bool:
        """Whether most channels that move do so by too little to be told beside the others.

        `most` is how far others move that they are added to.
        """
        by = self.by[~self.still]
        least = tolerance * max(most, by.max(initial=0.0))
        return 2 * int((by <= least).sum()) > len(by)


def moved(values: Any, others: Any) -> Moved:
    """How far the values of two inputs are apart in each channel."""
    import numpy as np

    first, second = by_channel(values), by_channel(others)
    with np.errstate(invalid="ignore", over="ignore"):
        by = np.abs(first - second).max(1)
        usual = np.abs(first).mean(1, dtype=np.float64)
    some = np.sort(usual[usual > 0])
    least = some[int(_LEAST * len(some))] if len(some) else 0.0
    # What is not a number moves: nothing is said of it here.
    still = by <= 10 * _ROUNDING * np.maximum(usual, least)
    whole = first.reshape(1, -1), second.reshape(1, -1)
    pinned = (_of_two(first, second) | _of_two(*whole)) & ~still
    return Moved(by, still | pinned, pinned)


def _of_two(first: Any, second: Any) -> Any:
    """Which rows have the same two values and no other, on either input.

    So it is with what an MVN, or a BatchNorm by the batch, makes of two numbers: 1 and -1.
    """
    import numpy as np

    both = np.concatenate([first, second], 1)
    with np.errstate(invalid="ignore", over="ignore"):
        low, high = both.min(1, keepdims=True), both.max(1, keepdims=True)
        # Each by its own size: beside 1e6 all that is small would be one value.
        lowest, highest = (
            end + 10 * _ROUNDING * side * np.abs(end) for end, side in ((low, 1), (high, -1))
        )
        below, above = (
            (first <= lowest, second <= lowest),
            (first >= highest, second >= highest),
        )
    two = (np.concatenate(below, 1) | np.concatenate(above, 1)).all(1)
    return two & np.all([each.any(1) for each in (*below, *above)], 0)


# ---- in a notebook


def shown(found: Sequence[Difference], note: str = "") -> str:
    """A table of outputs, what they show, and a note under it."""
    hidden = unproven(found)
    rows = [_cells(row, row in hidden) for row in found]
    head = ("output", "shape", "", "largest difference", "relative", "range of the values")
    below = "\n".join((*_notes(found, hidden), *filter(None, [note])))
    caption = _caption(found, bool(hidden))
    return notebook.table(rows, head=head, caption=caption, note=below, left=(0, 1, 2))


def _cells(row: Difference, hidden: bool) -> tuple[object, ...]:
    name = row.output if row.output == row.new_output else f"{row.output} -> {row.new_output}"
    ends = f"{row.low:.3g} to {row.high:.3g}" if isfinite(row.low) else f"up to {row.largest:.3g}"
    badge = notebook.badge("equal", "good")
    if not row.ok:
        badge = notebook.badge("different", "bad")
    elif hidden or not row.shows:
        badge = notebook.badge("equal, proves nothing", "warn" if hidden else "note")
    shape = " x ".join(map(str, row.new_shape))
    return name, shape, badge, f"{row.absolute:.3g}", f"{row.relative:.2g}", ends


def _caption(found: Iterable[Difference], hidden: bool) -> str:
    apart = [row.output for row in found if not row.ok]
    if apart:
        return f"the nets differ in {', '.join(apart)}"
    return (
        "no difference was found, but one could be hidden"
        if hidden
        else "the nets compute the same"
    )


def _notes(found: Iterable[Difference], hidden: Sequence[Difference]) -> Iterator[str]:
    yield from (f"{row.output}: {row.why}" for row in hidden if row.ok)
    for row in found:
        if row.made_of and row not in hidden and not row.shows:
            why, by = row.hidden or "all zero", _several(row.made_of)
            yield f"{row.output}: {why}: see {by}, from which it is computed"
        yield from (f"{row.output}: {note}" for note in row.notes)
