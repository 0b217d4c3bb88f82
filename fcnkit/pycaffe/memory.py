"""Blobs: values and gradients that numpy and PyTorch share, as in Caffe's SyncedMemory."""

import os
from math import prod
from operator import index
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from fcnkit.pycaffe.vectors import IntVec, Vec
from fcnkit.shape import Shape

if TYPE_CHECKING:
    import numpy

CPU = torch.device("cpu")
# PyTorch's threads are not there in a process that is forked, and are waited for without end.
if hasattr(os, "register_at_fork"):  # not on every system
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
# Caffe's names of the first axes, which older scripts ask for.
_LEGACY_AXES = 4


class Memory:
    """Float32 numbers on the CPU and on a device; where they were written last they count.

    Numbers are 0 until they are written, and take no room until they are asked for.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._here: Tensor | None = None
        self._there: Tensor | None = None
        # Which of the two is older than the other, if one is.
        self._old_here = self._old_there = False

    def on(self, device: torch.device, *, write: bool = False) -> Tensor:
        """The numbers in a row, on this device; what is not said to be written must not be."""
        return self._on_cpu(write) if device.type == "cpu" else self._on_device(device, write)

    def _on_cpu(self, write: bool) -> Tensor:
        if self._here is None:
            self._here = torch.zeros(self.count)
        if self._old_here and self._there is not None:
            self._here.copy_(self._there)
            self._old_here = False
        self._old_there |= write
        return self._here

    def _on_device(self, device: torch.device, write: bool) -> Tensor:
        if self._there is None or self._there.device != device:
            first = self._on_cpu(write=True) if self._there is not None else self._here
            self._there = torch.zeros(self.count, device=device)
            self._old_there = first is not None
        if self._old_there and self._here is not None:
            self._there.copy_(self._here)
            self._old_there = False
        self._old_here |= write
        return self._there


class _Seen(NamedTuple):
    """A tensor of a memory's numbers in a shape, for as long as both are the same."""

    numbers: Tensor
    shape: Shape
    tensor: Tensor


def _seen(numbers: Tensor, shape: Shape, before: _Seen | None) -> _Seen:
    """The numbers in this shape; the tensor from before where it is that."""
    if before is not None and before.numbers is numbers and before.shape == shape:
        return before
    return _Seen(numbers, shape, numbers[: prod(shape)].view(shape))


class Blob:
    """Numbers in a shape, and as many of their gradients.

    `data` and `diff` are numpy arrays of the very memory that layers read and write; a new
    array each time.  A blob that shrinks keeps its memory, one that grows has new memory of
    zeros, and earlier arrays are then no longer its own.
    """

    def __init__(self, *shape: int) -> None:
        self._shape: Shape = ()
        self._values = self._gradients = Memory(0)
        self._seen_values: _Seen | None = None
        self._seen_gradients: _Seen | None = None
        self.resize(shape)

    @property
    def data(self) -> "numpy.ndarray":
        """The values."""
        found: numpy.ndarray = self.values(CPU, write=True).numpy()
        return found

    @property
    def diff(self) -> "numpy.ndarray":
        """The gradients."""
        found: numpy.ndarray = self.gradients(CPU, write=True).numpy()
        return found

    @property
    def shape(self) -> IntVec:
        """The sizes of the axes, a copy."""
        return IntVec(self._shape)

    @property
    def count(self) -> int:
        """How many numbers it has."""
        return prod(self._shape)

    @property
    def num(self) -> int:
        """The size of the first axis, 1 where there is none, as of the next three."""
        return self._legacy(0)

    @property
    def channels(self) -> int:
        """The size of the second axis."""
        return self._legacy(1)

    @property
    def height(self) -> int:
        """The size of the third axis."""
        return self._legacy(2)

    @property
    def width(self) -> int:
        """The size of the fourth axis."""
        return self._legacy(3)

    def reshape(self, *shape: int) -> None:
        """The blob has this shape; layers have theirs by it at the next forward pass.

        Raises TypeError for what is no whole number, ValueError for one below 0.
        """
        sizes = tuple(map(index, shape))
        if min(sizes, default=0) < 0:
            raise ValueError(f"a blob of shape {sizes}: sizes are 0 or more; give such")
        self.resize(sizes)

    def resize(self, shape: Shape) -> None:
        """As `reshape`, of a tuple of whole numbers."""
        if shape == self._shape and self._values.count:
            return
        self._shape = tuple(shape)
        if self.count > self._values.count:
            self._values = Memory(self.count)
        if self.count > self._gradients.count:
            self._gradients = Memory(self.count)

    @property
    def sizes(self) -> Shape:
        """The shape as a tuple."""
        return self._shape

    def values(self, device: torch.device, *, write: bool = False) -> Tensor:
        """The values as a tensor on this device."""
        numbers = self._values.on(device, write=write)
        self._seen_values = _seen(numbers, self._shape, self._seen_values)
        return self._seen_values.tensor

    def gradients(self, device: torch.device, *, write: bool = False) -> Tensor:
        """The gradients as a tensor on this device."""
        numbers = self._gradients.on(device, write=write)
        self._seen_gradients = _seen(numbers, self._shape, self._seen_gradients)
        return self._seen_gradients.tensor

    def share_data(self, other: "Blob") -> None:
        """The values are in the other's memory."""
        self._values = other._values

    def share_diff(self, other: "Blob") -> None:
        """The gradients are in the other's memory."""
        self._gradients = other._gradients

    @property
    def place(self) -> tuple[Memory, Shape]:
        """The memory of the values and their shape: another one when it is given another."""
        return self._values, self._shape

    def _legacy(self, axis: int) -> int:
        if len(self._shape) > _LEGACY_AXES:
            fact = f"a blob of {len(self._shape)} axes has no num, channels, height and width"
            raise ValueError(f"{fact}; ask for its shape")
        return self._shape[axis] if axis < len(self._shape) else 1

    def __repr__(self) -> str:
        return f"<Blob {' x '.join(map(str, self._shape)) or 'of one number'}>"


class BlobVec(Vec[Blob]):
    """The blobs of a layer or a net."""

    def add_blob(self, *shape: int) -> None:
        """A blob of zeros of this shape is behind the others: of a Python layer, it is learned."""
        self.add(Blob(*map(index, shape)))

    def add(self, blob: Blob) -> None:
        """This blob is behind the others."""
        self._items.append(blob)
