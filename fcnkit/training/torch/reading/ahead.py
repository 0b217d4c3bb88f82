"""Reads the batches of a net's data layers ahead of their use, equal to Caffe's bit for bit.

Each layer draws its crops and mirrors by itself, as in Caffe: an image and its
label image are cropped and mirrored differently.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from fcnkit.ahead import ahead
from fcnkit.engines.torch.layers.site import check_fields, refusal
from fcnkit.engines.torch.layers.table import is_source
from fcnkit.nets.graph import Graph, Layer
from fcnkit.training.torch.reading import readers
from fcnkit.training.torch.reading.draws import Draws
from fcnkit.training.torch.reading.readers import Arrays, Setting

READERS: dict[str, Callable[[Layer, Setting], Iterator[Arrays]]] = {
    "Data": readers.data,
    "ImageData": readers.image_data,
    "HDF5Data": readers.hdf5_data,
}
"""The data layers that can be read; others are given data from outside, as no solver does."""

Batch = Mapping[str, np.ndarray]
# Batches of one layer that are ready before they are asked for.
_AHEAD = 3


@contextmanager
def batches(
    graph: Graph,
    *,
    chance: Draws | None = None,
    rank: int = 0,
    ranks: int = 1,
    placed: Callable[[np.ndarray], Any] = lambda array: array,
) -> Iterator[Iterator[Batch]]:
    """Batches without end of all blobs that the net's data layers make, by name.

    Every layer reads in a thread of its own, a few batches ahead; the threads
    end with the block.  `chance` is Caffe's generator, seeded by random_seed.
    Of `ranks` processes this one, `rank`, has its share of the training data.
    `placed` is done to each array in its thread.  Sources are relative to the
    working folder.

    Raises EngineError for what cannot be read, with layer and line, here or
    when a batch is asked for.
    """
    setting = Setting(graph.state.phase, chance or Draws(), rank, ranks)
    layers = [layer for layer in graph.layers if is_source(layer)]
    found = [_reader(layer, setting) for layer in layers]
    with ExitStack() as stack:
        feeds = [stack.enter_context(ahead(_placed(each, placed), _AHEAD)) for each in found]
        yield _joined(layers, feeds)


def _reader(layer: Layer, setting: Setting) -> Iterator[Arrays]:
    if layer.type not in READERS:
        fact = f"it is of the type {layer.type}, whose data comes from outside"
        raise refusal(
            layer, f"{fact}; train with a layer of type {', '.join(READERS)}, or the engine caffe"
        )
    check_fields(layer)
    return READERS[layer.type](layer, setting)


def _placed(arrays: Iterator[Arrays], placed: Callable) -> Iterator[Arrays]:
    for each in arrays:
        yield [placed(array) for array in each]


def _joined(layers: list[Layer], feeds: list[Iterator[Arrays]]) -> Iterator[Batch]:
    while True:
        batch: dict[str, np.ndarray] = {}
        for layer, feed in zip(layers, feeds, strict=True):
            batch.update(zip((top.blob for top in layer.tops), next(feed), strict=True))
        yield batch
