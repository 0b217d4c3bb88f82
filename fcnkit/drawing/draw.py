"""The picture of a net."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from fcnkit import expected, files, notebook
from fcnkit.drawing.blocks import chart
from fcnkit.drawing.svg import render
from fcnkit.errors import EngineError, NetError
from fcnkit.formats.prototxt import NetOrPath
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.graph import Graph, State, Top, build
from fcnkit.nets.shapes import shapes_of
from fcnkit.shape import Shape

# A notebook shows a larger graph as a table: its picture would take seconds, and find no room.
_MOST = 400


@dataclass(frozen=True)
class Drawing:
    """A drawing as SVG text, which a notebook shows as a picture."""

    path: str
    text: str

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Writes the SVG to `path`, completely or not at all; `force` replaces an existing file.
        Raises OutputError otherwise.
        """
        files.write(path, self.text.encode("utf-8", "replace"), force=force)

    def _repr_svg_(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return notebook.image(self.text, repr(self))

    def __repr__(self) -> str:
        return f"<Drawing of {self.path}>"


@expected.checked
def draw(
    net: NetOrPath, *, state: State = State(), inputs: Mapping[str, Shape] | None = None
) -> Drawing:
    """Draws the net that Caffe would build in one state.

    >>> fk.draw(fk.template("lenet")).save("lenet.svg")

    Each box is a layer, together with the in-place layers after it. It shows the name, what the
    layer does, and the shape of its top without the batch. A dashed line leads to a Crop and
    carries only a size. A tall picture is split into columns, which are read from left to
    right. What is not known is left out.

    - `net`: a Prototxt or its path.
    - `state`: a State; by default TEST.
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Drawing, whose `text` is SVG.

    Raises NetError if the net cannot be built or has no layers in this state, and EngineError
    without pygraphviz.
    """
    net = given_net(net)
    graph = build(net, state)
    if not graph.layers:
        raise NetError(f"{net.path}: no layers in state {state}; choose another phase or stage")
    return Drawing(net.path, render(chart(graph, shapes_of(graph, inputs)), f"{net.path}, {state}"))


def shown(graph: Graph) -> str:
    """The graph as a notebook shows it: its picture, or a table of its layers.

    That is what there is without pygraphviz, and for a graph that is too large to look at.
    """
    if 0 < len(graph.layers) <= _MOST:
        with suppress(EngineError):
            picture = render(chart(graph, shapes_of(graph)), repr(graph))
            return notebook.image(picture, repr(graph))
    return _layers(graph)


def _layers(graph: Graph) -> str:
    rows = [
        (layer.line, layer.name, layer.type, _blobs(layer.bottoms), _blobs(layer.tops))
        for layer in graph.layers
    ]
    head = ("line", "layer", "type", "reads", "makes")
    return notebook.table(rows, head=head, caption=repr(graph), left=(1, 2, 3, 4))


def _blobs(tops: Iterable[Top]) -> str:
    return ", ".join(top.blob for top in tops)
