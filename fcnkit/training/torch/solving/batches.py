"""Gives a net its batches in turn, of whatever sizes it takes."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from fcnkit.engines.torch.engine import check_same
from fcnkit.errors import EngineError
from fcnkit.nets.graph import Graph
from fcnkit.nets.shapes import shapes_of
from fcnkit.shape import Shape

# The batches of a graph's data layers without end: an array or tensor of each of their tops, by
# name.
Feed = Callable[[Graph], Iterator[Mapping[str, Any]]]


class Batches:
    """The batches of one graph; `sizes` are those of the first, which the net is built for.

    Raises EngineError when there is none, and NetError for a batch that the
    net's parameters do not fit.
    """

    def __init__(self, graph: Graph, feed: Feed):
        self.graph = graph
        self._batches = iter(feed(graph))
        self._first: Mapping[str, Any] | None = self._next()
        self._known: set[tuple] = set()
        self.sizes = shapes_of(graph, _shapes(self._first))
        self._check(self._first)

    def next(self, device: torch.device) -> dict[str, Tensor]:
        """The next batch as float32 on the device; the GPU may still be waiting for it."""
        batch = self._next() if self._first is None else self._first
        self._first = None
        self._check(batch)
        return {name: _placed(value, device) for name, value in batch.items()}

    def _next(self) -> Mapping[str, Any]:
        batch = next(self._batches, None)
        if batch is None:
            raise EngineError(
                f"{self.graph.prototxt.path}: its data ended; give batches without end"
            )
        return batch

    def _check(self, batch: Mapping[str, Any]) -> None:
        """Batches of these sizes have been inferred once: the parameters are those of the first."""
        shapes = _shapes(batch)
        key = tuple(shapes.items())
        if key not in self._known:
            check_same(self.sizes, shapes_of(self.graph, shapes))
            self._known.add(key)


def _shapes(batch: Mapping[str, Any]) -> dict[str, Shape]:
    return {name: tuple(value.shape) for name, value in batch.items()}


def _placed(value: Any, device: torch.device) -> Tensor:
    """The values on the device.  From pinned memory they are copied while the GPU and we go on."""
    tensor = torch.as_tensor(value)
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, torch.float32, non_blocking=True)
