"""How much memory Caffe takes for a net, in bytes, as it counts and as it allocates.

Caffe adds the tops of every layer (Net::Init in net.cpp), among them those of
in-place layers, which take none of their own, and those of the Split layers
that it puts after a top with several readers (insert_splits.cpp).  Its log
says the sum after each layer: "Memory required for data".
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from math import prod
from typing import NamedTuple

from fcnkit.nets.graph import Graph, Layer, Top
from fcnkit.nets.layers.table import of
from fcnkit.nets.shapes import Shapes, all_known
from fcnkit.shape import Shape

FLOAT = 4


class Memory(NamedTuple):
    """How much memory a net needs, in bytes. Tops of unknown size count as 0.

    `logged` is what Caffe's log says after each layer, and None from the first top of unknown
    size on; `counted` is its last figure, including all Splits. `data` is what the tops really
    need. `columns` are the buffers of Caffe's own convolutions (im2col), one for each layer, for
    one image. `parameters` are the weights. Training needs `data` and `parameters` again for
    gradients, and `parameters` a third time for the momentum.
    """

    logged: tuple[int | None, ...]
    counted: int | None
    data: int
    columns: int
    parameters: int

    @property
    def testing(self) -> int:
        """The memory for a forward pass."""
        return self.data + self.columns + self.parameters

    @property
    def training(self) -> int:
        """The memory for training with momentum."""
        return 2 * self.data + self.columns + 3 * self.parameters


def memory(graph: Graph, shapes: Shapes) -> Memory:
    """The memory that Caffe takes for a graph of these shapes."""
    readers = Counter(bottom for layer in graph.layers for bottom in layer.bottoms)
    total: int | None = 0
    logged = []
    for layer in graph.layers:
        own = _sum(_bytes(shapes.tops[top]) for top in layer.tops)
        total = _sum((total, own, FLOAT * _gets_a_top(layer)))
        logged.append(total)
        weights = layer.view.list("loss_weight")
        total = _sum((total, *(_split(top, weights, readers, shapes) for top in layer.tops)))
    return Memory(
        tuple(logged),
        total,
        sum(_allocated(layer, shapes) for layer in graph.layers),
        sum(_column(layer, shapes) for layer in graph.layers),
        FLOAT * sum(shapes.parameters(layer) or 0 for layer in graph.layers),
    )


def _sum(parts: Iterator[int | None] | tuple[int | None, ...]) -> int | None:
    every = tuple(parts)
    known = [part for part in every if part is not None]
    return sum(known) if len(known) == len(every) else None


def _bytes(shape: Shape | None) -> int | None:
    return None if shape is None else FLOAT * prod(shape)


def _gets_a_top(layer: Layer) -> bool:
    """Whether Caffe gives the layer a top of one number, as a loss that names none gets."""
    return not layer.tops and of(layer).tops[1] > 0


def _split(top: Top, weights: Sequence, readers: Counter, shapes: Shapes) -> int | None:
    """The tops of the Split after a top that several layers read;
    a loss counts as one that reads it.
    """
    count = readers[top] + any(weights[top.index : top.index + 1])
    if count < 2:
        return 0
    own = _bytes(shapes.tops[top])
    return None if own is None else count * own


def _allocated(layer: Layer, shapes: Shapes) -> int:
    below = {bottom.blob for bottom in layer.bottoms}
    if of(layer).shares:
        return 0
    return sum(_bytes(shapes.tops[top]) or 0 for top in layer.tops if top.blob not in below)


def _column(layer: Layer, shapes: Shapes) -> int:
    """The buffer in which Caffe lays out the windows of one image."""
    bottoms, tops = shapes.bottoms(layer), all_known(shapes.tops[top] for top in layer.tops)
    if bottoms is None or tops is None:
        return 0
    return FLOAT * of(layer).columns(layer, bottoms, tops)
