"""Which layers two nets reach in another order: nets that share every shape, and differ."""

from collections.abc import Iterator, Mapping, Sequence

from fcnkit.nets.graph import Graph, Layer
from fcnkit.nets.layers.table import of
from fcnkit.nets.layers.traits import Trait

_ORDER_WHY = "the same weights give other results"


def differences(
    before: Graph, after: Graph, sources: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    """Each matched layer that the two nets reach through other types, or in another order.

    Its name, that of its source in the net `before`, and how they differ.
    """
    old_layers = {layer.name: layer for layer in before.layers}
    new_names = {source: name for name, source in sources.items()}
    for name, source in sources.items():
        if source not in old_layers:
            continue
        new_start, new = _way(after, after.layer(name), sources)
        old_start, old = _way(before, old_layers[source], new_names)
        elsewhere = old_start in old_layers and sources.get(new_start, old_start) != old_start
        if old != new or elsewhere:
            why = f"{_arrow(old_start, old, source)} in {before.prototxt.path}, "
            why += f"{_arrow(new_start, new, name)} in {after.prototxt.path}; {_ORDER_WHY}"
            yield name, source, why
            continue
        here = _joined(after, after.layer(name), sources)
        there = _joined(before, old_layers[source], new_names)
        if [sources.get(each, each) for each in here] != there and sorted(here) == sorted(
            new_names.get(each, each) for each in there
        ):
            why = f"{', '.join(there)} joined in {before.prototxt.path}, {', '.join(here)} in "
            why += f"{after.prototxt.path}; {_ORDER_WHY}"
            yield name, source, why


def _joined(graph: Graph, layer: Layer, matched: Mapping[str, str]) -> list[str]:
    """What a junction above `layer` joins, in its order: the nearest matched layer of each bottom.

    None where the way goes to no junction, or to one to which the order is nothing.
    """
    while len(layer.bottoms) == 1:
        layer = graph.producer(layer.bottoms[0])
        if layer.name in matched or not layer.bottoms:
            return []
    if of(layer).trait is not Trait.ARRANGES:
        return []
    return [
        above.name
        if (above := graph.producer(top)).name in matched
        else _way(graph, above, matched)[0]
        for top in layer.bottoms
    ]


def _way(graph: Graph, layer: Layer, matched: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """The types passed from the nearest matched layer, an input or a junction down to `layer`."""
    types: list[str] = []
    while len(layer.bottoms) == 1:
        layer = graph.producer(layer.bottoms[0])
        if layer.name in matched or not layer.bottoms:
            break
        if not of(layer).identity(layer):
            types.append(layer.type)
    return layer.name, tuple(reversed(types))


def _arrow(start: str, types: Sequence[str], stop: str) -> str:
    return " -> ".join((start, *types, stop))
