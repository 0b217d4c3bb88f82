"""What a layer in place changes beside its own blob: Caffe keeps some blobs in one memory.

Flatten, Reshape and Split make no copy: their tops are their bottom's memory
(ShareData in flatten_layer.cpp, reshape_layer.cpp, split_layer.cpp).  A layer that works in
place on the one changes the other, for all that read it later.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from fcnkit.nets.graph import Graph, Layer, Top
from fcnkit.nets.layers.table import of


class Overwritten(NamedTuple):
    """A layer in place, and a top that it changes without naming it; None reads an output."""

    writer: Layer
    top: Top
    reader: Layer | None

    @property
    def fact(self) -> str:
        """What happens, in words, and what to do."""
        place = f'it works in place on "{self.writer.tops[0].blob}", which Caffe keeps in one'
        who = "which is an output"
        if self.reader:
            who = f'which layer "{self.reader.name}" on line {self.reader.line} reads later'
        return f'{place} memory with "{self.top.blob}", {who}; give its top its own name'


def overwritten(graph: Graph) -> Iterator[Overwritten]:
    """Each layer in place that changes a top of another name which something reads later."""
    roots: dict[Top, Top] = {}
    members: defaultdict[Top, list[Top]] = defaultdict(list)
    writers: list[tuple[Layer, Top]] = []
    for layer in graph.layers:
        for top in layer.tops:
            before = next((each for each in layer.bottoms if each.blob == top.blob), None)
            if before is not None and not _changes_nothing(graph, layer):
                writers.append((layer, before))
            if before is None and of(layer).shares:
                before = next(iter(layer.bottoms), None)
            roots[top] = top if before is None else roots[before]
            members[roots[top]].append(top)
    for layer, before in writers:
        for top in members[roots[before]] if len(members[roots[before]]) > 1 else ():
            if top.blob != before.blob and graph.producer(top).index < layer.index:
                later = (each for each in graph.consumers.get(top, ()) if each.index > layer.index)
                reader = next(later, None)
                if reader or top in graph.outputs:
                    yield Overwritten(layer, top, reader)


def _changes_nothing(graph: Graph, layer: Layer) -> bool:
    return graph.state.phase == "TEST" and of(layer).identity(layer)
