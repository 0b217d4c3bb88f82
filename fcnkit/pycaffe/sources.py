"""Where a net's data comes from: what a script writes, fillers, files, or arrays in memory."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from fcnkit.engines.torch.forward import phase_of
from fcnkit.engines.torch.layers.filling import by_filler
from fcnkit.engines.torch.layers.site import check_fields
from fcnkit.errors import DatasetError
from fcnkit.formats.schema import View
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers import sources
from fcnkit.pycaffe import modes
from fcnkit.pycaffe.memory import Blob
from fcnkit.pycaffe.running import Running
from fcnkit.training.torch.reading.ahead import READERS
from fcnkit.training.torch.reading.readers import Setting


class Given(Running):
    """An Input layer: its blobs hold what a script writes into them."""

    def __init__(self, layer: Layer, tops: Sequence[Blob]) -> None:
        super().__init__((), tops)
        self.layer, self.type = layer, layer.type

    def setup(self) -> None:
        """The blobs have the sizes that the net gives them; NetError where it gives none."""
        check_fields(self.layer)
        for top, shape in zip(self.tops, self.layer.input_shapes, strict=True):
            if shape is None:
                fact = "it says no size; add input_param"
                raise self.layer.error(f"{fact} {{ shape {{ dim: 1 dim: 3 dim: 227 dim: 227 }} }}")
            top.resize(tuple(shape))


class Made(Running):
    """A DummyData layer: what is constant is made once, what is random with every pass."""

    def __init__(self, layer: Layer, tops: Sequence[Blob], rng: np.random.Generator) -> None:
        super().__init__((), tops)
        self.layer, self.type, self._rng = layer, layer.type, rng

    def setup(self) -> None:
        """The blobs have their sizes, and what is constant its values."""
        check_fields(self.layer)
        param = self.layer.param("dummy_data_param")
        given = [*param.views("data_filler")] or [View("FillerParameter", None)]
        if len(given) not in (1, len(self.tops)):
            fact = f"{len(given)} data_filler for {len(self.tops)} tops"
            raise self.layer.error(f"{fact}; give none, one, or one each")
        self._fillers = given * len(self.tops) if len(given) == 1 else given
        for top, shape in zip(self.tops, sources.dummy(self.layer, []), strict=True):
            top.resize(tuple(shape or ()))
        self._fill(constant=True)

    def forward(self, device: torch.device) -> None:
        """What is random is drawn anew."""
        self._fill(constant=False)

    def _fill(self, *, constant: bool) -> None:
        for top, filler in zip(self.tops, self._fillers, strict=True):
            if (filler.get("type") == "constant") == constant:
                top.data[...] = by_filler(filler, top.sizes, self._rng)


class Read(Running):
    """A layer that reads files: Data, ImageData and HDF5Data."""

    def __init__(self, layer: Layer, tops: Sequence[Blob], phase: str) -> None:
        super().__init__((), tops)
        self.layer, self.type, self._phase = layer, layer.type, phase

    def setup(self) -> None:
        """The blobs have the sizes of the first batch; EngineError where it cannot be read."""
        check_fields(self.layer)
        setting = Setting(
            phase_of(self.layer, self._phase),
            modes.chance(),
            modes.solver_rank(),
            modes.solver_count(),
        )
        try:
            self._batches: Iterator[Any] = READERS[self.layer.type](self.layer, setting)
            self._first: Any = next(self._batches)
        except DatasetError as error:
            raise self.layer.error(str(error)) from error
        self._resize(self._first)

    def forward(self, device: torch.device) -> None:
        """The blobs hold the next batch."""
        batch = next(self._batches) if self._first is None else self._first
        self._first = None
        self._resize(batch)
        for top, values in zip(self.tops, batch, strict=True):
            top.data[...] = values

    def _resize(self, batch: Any) -> None:
        for top, values in zip(self.tops, batch, strict=True):
            top.resize(values.shape)


class Held(Running):
    """A MemoryData layer: batches of arrays that a script gives, in turn, without end."""

    def __init__(self, layer: Layer, tops: Sequence[Blob]) -> None:
        super().__init__((), tops)
        self.layer, self.type = layer, layer.type
        self._arrays: tuple[np.ndarray, np.ndarray] | None = None
        self._at = 0

    def setup(self) -> None:
        """The blobs have the sizes that the layer says; NetError where it does not say them all."""
        check_fields(self.layer)
        param = self.layer.param("memory_data_param")
        sizes = [param.get(name) for name in ("batch_size", "channels", "height", "width")]
        if min(sizes) < 1:
            fact = "a batch_size, channels, height or width of 0"
            raise self.layer.error(f"{fact}; give all four in memory_data_param")
        self._size = tuple(sizes)
        self.tops[0].resize(self._size)
        for top in self.tops[1:]:
            top.resize(self._size[:1])

    def give(self, data: np.ndarray, labels: np.ndarray) -> None:
        """These are the images and labels of the passes to come; RuntimeError for other sizes."""
        for name, array in (("data", data), ("labels", labels)):
            _check_array(name, array)
        if data.shape[1:] != self._size[1:] or labels.shape[1:] not in ((), (1, 1, 1)):
            fact = f"images of {data.shape} and labels of {labels.shape}"
            raise RuntimeError(f"{fact} do not fit the layer's {self._size}; reshape them")
        if len(data) != len(labels) or not len(data) or len(data) % self._size[0]:
            fact = f"{len(data)} images and {len(labels)} labels"
            raise RuntimeError(f"{fact}; give as many of both, a multiple of {self._size[0]}")
        self._arrays, self._at = (data, labels.reshape(len(labels), 1, 1, 1)), 0

    def forward(self, device: torch.device) -> None:
        """The blobs hold the next of the arrays; RuntimeError where none are given."""
        if self._arrays is None:
            raise RuntimeError("MemoryData has no data; give it with net.set_input_arrays")
        part = slice(self._at, self._at + self._size[0])
        for top in self.tops[1:]:
            top.resize((self._size[0], 1, 1, 1))
        for top, values in zip(self.tops, self._arrays, strict=False):
            top.data[...] = values[part]
        self._at = part.stop % len(self._arrays[0])


def _check_array(name: str, array: np.ndarray) -> None:
    """The array is as Caffe takes it by its address."""
    if array.dtype != np.float32 or not array.flags.c_contiguous:
        remedy = "give np.ascontiguousarray(array, np.float32)"
        raise RuntimeError(f"{name} is not float32 in C's order; {remedy}")


def source(
    layer: Layer, tops: Sequence[Blob], phase: str, rng: np.random.Generator
) -> Running | None:
    """The layer where it is a source of data; None where it is another."""
    if layer.is_input:
        return Given(layer, tops)
    if layer.type == "DummyData":
        return Made(layer, tops, rng)
    if layer.type in READERS:
        return Read(layer, tops, phase)
    if layer.type == "MemoryData":
        return Held(layer, tops)
    return None
