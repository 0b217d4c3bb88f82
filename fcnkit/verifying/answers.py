"""Which top of another net holds what one of this net does, by the names of the layers around."""

from collections.abc import Iterable, Mapping

from fcnkit.nets.graph import Graph, Layer, Top
from fcnkit.nets.layers.table import of
from fcnkit.verifying.compared import Pair


def answers(graph: Graph, new_graph: Graph, ends: Iterable[Top]) -> list[Pair]:
    """The tops with their likes in the other net: what a layer of one name reads, or makes."""
    old, named = _named(graph), _named(new_graph)
    found = ((top, _like(graph, named, top)) for top in ends)
    return [
        Pair(top, new)
        for top, new in found
        if new is not None
        and not _holds_more(graph, old, top, new, new_graph.consumers.get(new, ()))
    ]


def _named(graph: Graph) -> dict[str, Layer]:
    return {layer.name: layer for layer in graph.layers}


def _holds_more(
    graph: Graph, named: Mapping[str, Layer], top: Top, new: Top, readers: Iterable[Layer]
) -> bool:
    """Whether the new top is made of what learns behind the old one, too: a BatchNorm that has
    taken in its Scale.  Its readers then read something later in the old net.
    """
    for reader in readers:
        other = named.get(reader.name)
        if other and reader.name and len(other.bottoms) == len(reader.bottoms):
            read = other.bottoms[reader.bottoms.index(new)]
            maker = graph.producer(read)
            if read != top and of(maker).learns and top in maker.bottoms:
                return True
    return False


def _like(graph: Graph, named: Mapping[str, Layer], top: Top) -> Top | None:
    for reader in graph.consumers.get(top, ()):
        other = named.get(reader.name)
        if other and reader.name and len(other.bottoms) == len(reader.bottoms):
            return other.bottoms[reader.bottoms.index(top)]
    maker = graph.producer(top)
    other = named.get(maker.name)
    if not other or len(other.tops) != len(maker.tops):
        return None
    return other.tops[maker.tops.index(top)]
