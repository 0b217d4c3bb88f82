"""Exact coordinate maps between blobs: x -> scale * x + shift, per spatial axis.

The algebra of Long, Shelhamer and Darrell, "Fully Convolutional Networks for
Semantic Segmentation", appendix of the reference code's coord_map: offsets do
not add up, they compose.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest

from fcnkit import notebook

_ONE = (Fraction(1), Fraction(0))


def _exact(values: Iterable) -> tuple[Fraction, ...]:
    # Most are Fractions already, and a copy of one is slow to make.
    return tuple(value if type(value) is Fraction else Fraction(value) for value in values)


@dataclass(frozen=True)
class CoordMap:
    """Where a point of one blob lies in another: scale * point + shift, for each axis, as exact
    fractions.

    >>> half = fk.coords(fk.template("lenet"), "data", "pool1")
    >>> half
    CoordMap(scale=1/2, shift=-5/4)
    >>> half.then(half.inverse()) == fk.CoordMap()
    True

    scale[i] and shift[i] belong to the *last* len(scale) axes, in order. Axes further to the
    left are mapped to themselves. CoordMap() is the identity. Call a map with a coordinate to
    map it.
    """

    scale: tuple[Fraction, ...] = ()
    shift: tuple[Fraction, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", _exact(self.scale))
        object.__setattr__(self, "shift", _exact(self.shift))
        if len(self.scale) != len(self.shift):
            raise ValueError(
                f"{len(self.scale)} scales and {len(self.shift)} shifts; give one of each per axis"
            )

    def then(self, after: "CoordMap") -> "CoordMap":
        """The map that goes through this one first and then through `after`."""
        if not after.scale:
            return self
        return CoordMap.of(
            (outer * scale, outer * shift + offset)
            for (scale, shift), (outer, offset) in _pairs(self, after)
        )

    def inverse(self) -> "CoordMap":
        """The map in the other direction; self.then(self.inverse()) is the identity."""
        return CoordMap.of((1 / scale, -shift / scale) for scale, shift in self.axes)

    @classmethod
    def of(cls, axes: Iterable[tuple[Fraction, Fraction]]) -> "CoordMap":
        """Makes a map of these (scale, shift) pairs, the first axis first."""
        return cls(*zip(*axes, strict=True)) if (axes := tuple(axes)) else cls()

    @property
    def axes(self) -> tuple[tuple[Fraction, Fraction], ...]:
        """The (scale, shift) pair of each axis, the first axis first."""
        return tuple(zip(self.scale, self.shift, strict=True))

    def __call__(self, point: Fraction | int) -> "Fraction | tuple[Fraction, ...]":
        """Where `point` (the same number on every axis) lies in the other blob."""
        places = tuple(scale * point + shift for scale, shift in self.axes)
        if not places:  # the identity says nothing of how many axes there are
            return Fraction(point)
        return places[0] if len(set(places)) == 1 else places

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CoordMap):
            return NotImplemented
        return all(mine == theirs for mine, theirs in _pairs(self, other))

    def __hash__(self) -> int:
        kept = list(self.axes)
        while kept and kept[0] == _ONE:
            kept.pop(0)
        return hash(tuple(kept))

    def __repr__(self) -> str:
        scale, shift = self.scale or (Fraction(1),), self.shift or (Fraction(0),)
        return f"CoordMap(scale={show(scale)}, shift={show(shift)})"

    def _repr_html_(self) -> str:
        axes = self.axes or (_ONE,)
        names = _AXES[-len(axes) :] if len(axes) <= len(_AXES) else range(len(axes))
        rows = [(name, *map(_exactly, axis)) for name, axis in zip(names, axes, strict=True)]
        if len(set(axes)) == 1:
            rows = [("each", *rows[0][1:])]
        caption = "a position p in one blob is at scale * p + shift in the other"
        return notebook.table(rows, head=("axis", "scale", "shift"), caption=caption, left=(0,))


IDENTITY = CoordMap()
_AXES = ("depth", "height", "width")


def _exactly(value: Fraction) -> str:
    """The fraction, and what it is about as a decimal where that says more."""
    decimal = _number(value, decimal=True)
    return str(value) if decimal == str(value) else f"{value} = {decimal}"


def show(values: Iterable[Fraction | int], *, decimal: bool = False) -> str:
    """One number when all axes agree, `h x w` when they do not.

    Fractions are exact: 1/32, or with `decimal` -0.40625 where that is short.
    """
    texts = [_number(value, decimal) for value in values]
    return texts[0] if len(set(texts)) == 1 else "x".join(texts)


def _number(value: Fraction | int, decimal: bool) -> str:
    if decimal and 1_000_000 % value.denominator == 0:
        return f"{float(value):.10g}"
    return str(value)


def _pairs(left: CoordMap, right: CoordMap) -> list:
    """The two maps' axes side by side, aligned at the last axis."""
    return list(zip_longest(left.axes[::-1], right.axes[::-1], fillvalue=_ONE))[::-1]
