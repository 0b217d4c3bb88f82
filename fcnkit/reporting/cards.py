"""What there is to see of each layer: its weights, and its tops as an image leaves them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from fcnkit.nets.graph import Graph, Layer
from fcnkit.reporting import tiles
from fcnkit.reporting.figures import Histogram, Spread, digest_and_histogram, spread
from fcnkit.reporting.pictures import Album, Shown
from fcnkit.shape import Shape, show
from fcnkit.weights.statistics import BlobStatistics, share
from fcnkit.weights.store import Weights

if TYPE_CHECKING:
    import numpy

# Filters of more values than this are not drawn, nor a matrix of more rows or columns.
_DRAWN, _MATRIX = 20_000_000, 1024
# Layers that have a card.
MOST = 1000


class Picture(NamedTuple):
    """A grid with what its ends stand for, and how many of its tiles are shown."""

    shown: Shown
    low: float
    high: float
    colours: str
    tiles: int
    of: int


class BlobRow(NamedTuple):
    """One stored blob: its figures, the digest of its values, how they spread."""

    row: BlobStatistics
    zeros: str
    digest: str
    histogram: Histogram
    picture: Picture | None


class TopRow(NamedTuple):
    """One top as an image leaves it; `after` are the layers that changed it in place."""

    blob: str
    shape: str
    spread: Spread
    zeros: str
    after: tuple[str, ...]
    picture: Picture


class Card(NamedTuple):
    """One layer: its weights and its tops."""

    layer: str
    type: str
    place: int
    blobs: tuple[BlobRow, ...]
    tops: tuple[TopRow, ...]

    @property
    def parameters(self) -> int:
        """How many values it has stored."""
        return sum(each.row.count for each in self.blobs)


def pictures(rows: Sequence[BlobStatistics], computed: Mapping[str, "numpy.ndarray"]) -> int:
    """How many pictures the cards will have."""
    return sum(map(_drawn, rows)) + len(computed)


def _matrix(row: BlobStatistics) -> Shape | None:
    """The rows and columns of a blob that is a matrix, or filters of one value each."""
    if len(row.shape) == 4 and row.shape[2:] == (1, 1) and min(row.shape[:2]) > 1:
        return row.shape[:2]
    return row.shape if len(row.shape) == 2 else None


def _drawn(row: BlobStatistics) -> bool:
    """Whether a blob can be drawn: filters, or a matrix that is not large."""
    matrix = _matrix(row)
    if matrix:
        return min(matrix) > 1 and max(matrix) <= _MATRIX
    return len(row.shape) == 4 and prod(row.shape[:2]) > 1 and row.count <= _DRAWN


@dataclass(frozen=True)
class Maker:
    """Makes the cards of a net's layers; `order` is that of the channels of its images."""

    graph: Graph
    weights: Weights
    order: str
    album: Album

    def cards(
        self, rows: Sequence[BlobStatistics], computed: Mapping[str, "numpy.ndarray"]
    ) -> tuple[list[Card], int]:
        """A card for each layer that has weights or makes a blob, in the net's order, of the first
        `MOST`, and how many there are more.
        """
        stored: dict[str, list[BlobStatistics]] = {}
        for row in rows:
            stored.setdefault(row.layer, []).append(row)
        seen: set[str] = set()
        found: list[Card] = []
        more = 0
        for layer in self.graph.layers:
            fresh = {top.blob for top in layer.tops if top.blob in computed} - seen
            seen |= fresh
            if not fresh and layer.name not in stored:
                continue
            if len(found) == MOST:
                more += 1
                continue
            blobs = tuple(self._blob(layer, row) for row in stored.pop(layer.name, ()))
            tops = tuple(self._top(blob, computed[blob]) for blob in sorted(fresh))
            found.append(Card(layer.name, layer.type, layer.index, blobs, tops))
        return found, more

    def _blob(self, layer: Layer, row: BlobStatistics) -> BlobRow:
        blob = self.weights[layer.name][row.blob]
        digest, histogram = digest_and_histogram(blob, row)
        picture = self._filters(layer, row) if _drawn(row) else None
        return BlobRow(row, share(row.zeros, row.count), digest, histogram, picture)

    def _filters(self, layer: Layer, row: BlobStatistics) -> Picture:
        array = self.weights[layer.name][row.blob].array()
        matrix = _matrix(row)
        array = array.reshape(1, 1, *matrix) if matrix else array
        first = bool({*layer.bottoms} & {*self.graph.inputs})
        grid = tiles.filters(array, self.order if first else None)
        shown = f"{grid.tiles} of {grid.of}" if grid.tiles < grid.of else f"all {grid.of}"
        what = "Matrix" if matrix else f"Filters, {shown}"
        return self._picture(grid, f"{what} of layer {layer.name}")

    def _top(self, blob: str, array: "numpy.ndarray") -> TopRow:
        found = spread(array)
        one = array[0] if array.ndim > 1 else array
        grid = tiles.activations(one.reshape(1) if one.ndim == 0 else one)
        after = [
            layer.name
            for layer in self.graph.layers
            if any(top.blob == blob for top in layer.tops)
            and any(bottom.blob == blob for bottom in layer.bottoms)
        ]
        picture = self._picture(grid, f"Activations of blob {blob}, {grid.tiles} of {grid.of}")
        return TopRow(
            blob, show(found.shape, " × "), found, share(found.zeros, found.total),
            tuple(after), picture,
        )  # fmt: skip

    def _picture(self, grid: tiles.Grid, alt: str) -> Picture:
        shown = self.album.figure(grid.pixels, alt)
        return Picture(shown, grid.low, grid.high, grid.colours, grid.tiles, grid.of)
