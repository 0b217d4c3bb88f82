"""How a tensor of the model stands in the net: a blob, and how its numbers lie in it.

Reshapes and transpositions move no number that Caffe has to compute.  They are
kept beside the blob until a layer needs the tensor as it is, and are worked
out then, by following every index: what a whole chain of them comes to is the
same blob, another shape, channels in another order, or the pixels of a block.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

from fcnkit.shape import Shape


class Move(NamedTuple):
    """One reshape (`shapes`, one for each trial) or transposition (`axes`)."""

    axes: tuple[int, ...] = ()
    shapes: tuple[Shape, ...] = ()

    def done(self, array: Any, trial: int) -> Any:
        """The array, its numbers arranged so."""
        return array.transpose(self.axes) if self.axes else array.reshape(self.shapes[trial])


def arranged(array: Any, moves: Sequence[Move], trial: int) -> Any:
    """The array after all the moves, at this trial's sizes."""
    for move in moves:
        array = move.done(array, trial)
    return array


@dataclass(frozen=True)
class Held:
    """The blob, its shape at each trial, and the moves that make the tensor of it."""

    blob: str
    sizes: tuple[Shape, ...]
    moves: tuple[Move, ...] = ()

    def reshaped(self, shapes: Sequence[Shape]) -> "Held":
        """The same numbers in the same order under these shapes."""
        moves = self.moves[:-1] if self.moves and self.moves[-1].shapes else self.moves
        if not moves and tuple(shapes) == self.sizes:
            return replace(self, moves=())
        return replace(self, moves=(*moves, Move(shapes=tuple(shapes)))).simplest

    def transposed(self, axes: Sequence[int]) -> "Held":
        """Its axes in another order."""
        return replace(self, moves=(*self.moves, Move(axes=tuple(axes)))).simplest

    @property
    def simplest(self) -> "Held":
        """The same with one transposition, or nothing, where that is all that the moves come to."""
        if not self.moves:
            return self
        axes = self.transposition
        if axes is None:
            return self
        whole = axes == tuple(range(len(axes)))
        return replace(self, moves=() if whole else (Move(axes=axes),))

    def arranged(self, array: Any, trial: int) -> Any:
        """The tensor, of the blob's values."""
        return arranged(array, self.moves, trial)

    def indices(self, trial: int) -> Any:
        """For each number of the tensor, which number of the blob it is, counted from 0."""
        import numpy as np

        sizes = self.sizes[trial]
        return self.arranged(np.arange(prod(sizes)).reshape(sizes), trial)

    @cached_property
    def flat(self) -> bool:
        """Whether the numbers have the blob's order, so that only the shape differs."""
        import numpy as np

        if not any(move.axes for move in self.moves):
            return True
        return all(
            bool((self.indices(trial).ravel() == np.arange(prod(sizes))).all())
            for trial, sizes in enumerate(self.sizes)
        )

    @cached_property
    def transposition(self) -> tuple[int, ...] | None:
        """The order of the blob's axes that makes the tensor; None where there is none."""
        if len(self.moves) == 1 and self.moves[0].axes:
            return self.moves[0].axes
        if not self.moves:
            return tuple(range(len(self.sizes[0])))
        if not any(move.axes for move in self.moves):  # one reshape, of another shape
            return None
        found = [self.indices(trial) for trial in range(len(self.sizes))]
        axes = _axes(found[0], self.sizes[0])
        if axes is None:
            return None
        import numpy as np

        for index, sizes in zip(found, self.sizes, strict=True):
            straight = np.arange(prod(sizes)).reshape(sizes).transpose(axes)
            if straight.shape != index.shape or not (straight == index).all():
                return None
        return axes


def _axes(index: Any, sizes: Shape) -> tuple[int, ...] | None:
    """The axes of the blob along which the tensor's axes run, by their steps in memory."""
    if index.ndim != len(sizes):
        return None
    steps = [prod(sizes[axis + 1 :]) for axis in range(len(sizes))]
    wanted: list[int | None] = []
    for axis, size in enumerate(index.shape):
        if size == 1:
            wanted.append(None)
            continue
        at = [0] * index.ndim
        at[axis] = 1
        step = int(index[tuple(at)]) - int(index[(0,) * index.ndim])
        match = [one for one, its in enumerate(steps) if its == step and sizes[one] == size]
        if not match or match[0] in wanted:
            return None
        wanted.append(match[0])
    left = [axis for axis in range(len(sizes)) if axis not in wanted]
    if any(sizes[axis] != 1 for axis in left):
        return None
    # Axes of size 1 stay where they are where they can.
    for axis, its in enumerate(wanted):
        if its is None and axis in left:
            wanted[axis] = axis
            left.remove(axis)
    filled = [left.pop(0) if its is None else its for its in wanted]
    return tuple(filled)
