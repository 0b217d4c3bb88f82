"""How the blobs of a weights file fit a net, blob by blob,
in every state that the net can be built in.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest

from fcnkit.formats.prototxt import Prototxt
from fcnkit.inspection import MISMATCH, fit
from fcnkit.nets.graph import Graph, Layer, graphs
from fcnkit.nets.layers.table import of
from fcnkit.nets.layers.traits import Trait
from fcnkit.nets.shapes import Shapes, shapes_of
from fcnkit.shape import Shape
from fcnkit.weights import matching
from fcnkit.weights.blobs import Blob
from fcnkit.weights.difference import EXTRA, MISSING, BlobDifference
from fcnkit.weights.store import Weights


def net_rows(
    weights: Weights, net: Prototxt, names: Mapping[str, str], inputs: Mapping[str, Shape]
) -> list[BlobDifference]:
    """A row for each blob that the net takes in some state,
    then for those of the file that it never takes.

    Raises NetError when the net cannot be built, WeightsError when `names`
    names a layer that it has in no state.
    """
    layers: dict[str, list[BlobDifference]] = {}
    found = graphs(net)
    for graph in found:
        here, sizes = _meant(graph, found, names, inputs)
        for name, rows in _graph_rows(graph, shapes_of(graph, sizes), weights, here):
            layers.setdefault(name, rows)
    taken = [row for rows in layers.values() for row in rows]
    used = {row.layer for row in taken if row.old is not None}
    spare = (
        _row(name, "", number, blob, None)
        for name, blobs in weights.items()
        for number, blob in enumerate(blobs)
        if name not in used
    )
    return [*taken, *spare]


def _meant(
    graph: Graph, found: Sequence[Graph], names: Mapping[str, str], inputs: Mapping[str, Shape]
) -> tuple[dict[str, str], dict[str, Shape]]:
    """The names and inputs that are for this graph:
    not those that another one has and this one has not.
    """
    others = {layer.name for each in found for layer in each.layers} - {
        layer.name for layer in graph.layers
    }
    elsewhere = {top.blob for each in found for top in each.tops} - {top.blob for top in graph.tops}
    return (
        {old: new for old, new in names.items() if new not in others},
        {blob: shape for blob, shape in inputs.items() if blob not in elsewhere},
    )


def _graph_rows(
    graph: Graph, shapes: Shapes, weights: Weights, names: Mapping[str, str]
) -> Iterator[tuple[str, list[BlobDifference]]]:
    """The name and the rows of each layer that has parameters, in one state."""
    matched = matching.match(graph, graph, shapes, weights, names=names)
    found = {row.layer: row for row in matched.rows if row.verdict != matching.ORDER}
    for layer in graph.layers:
        if layer.name in found:
            yield layer.name, list(_layer_rows(found[layer.name], weights))
        elif shapes.blobs(layer) is None and _learns(layer):
            yield layer.name, [BlobDifference(MISSING, "", layer.name, 0, None, None, why=_UNSIZED)]


_UNSIZED = "its size is not known; give the shape of its input"


def _learns(layer: Layer) -> bool:
    """Whether a layer whose bottoms are of unknown size has parameters of its own."""
    kind = of(layer)
    # The second bottom is what it takes.
    given = kind.trait is Trait.CHANNEL and len(layer.bottoms) > 1
    return kind.learns and not given


def _layer_rows(row: matching.LayerMatch, weights: Weights) -> Iterator[BlobDifference]:
    blobs = weights[row.source] if row.source else ()
    found = [
        _row(row.source, row.layer, number, blob, shape)
        for number, (blob, shape) in enumerate(zip_longest(blobs, row.new))
    ]
    bad = any(each.verdict in (MISMATCH, MISSING, EXTRA) for each in found)
    if row.verdict == matching.MISMATCH and (not bad or not row.new):
        found = [each._replace(verdict=MISMATCH, why=row.why) for each in found]
    yield from found


def _row(
    source: str, layer: str, number: int, blob: Blob | None, shape: Shape | None
) -> BlobDifference:
    verdict = MISSING if blob is None else EXTRA if shape is None else fit(blob, shape)
    return BlobDifference(
        verdict, source, layer, number, None if blob is None else blob.shape, shape
    )
