"""Where the boxes and lines of a picture lie: Graphviz's dot, through pygraphviz, decides."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from fcnkit.errors import EngineError

Point = tuple[float, float]

# Graphviz counts sizes in inches of 72 points.
_INCH = 72


class Link(NamedTuple):
    """A line from one box to another, by number; a `loose` one does not pull them together."""

    start: int
    stop: int
    loose: bool = False


@dataclass(frozen=True)
class Layout:
    """Places in points, from the top left corner.

    `centres` is one for each box; `curves`, one for each link, are the points of
    cubic Bezier curves: a start, then three for each piece.
    """

    width: float
    height: float
    centres: tuple[Point, ...]
    curves: tuple[tuple[Point, ...], ...]


def layout(sizes: Sequence[Point], links: Sequence[Link], apart: str = "0.25") -> Layout:
    """Boxes of these sizes in layers from top to bottom, with few crossings; `apart` is the
    height between them in inches.

    Raises EngineError where pygraphviz is not installed.
    """
    graph = _graph(sizes, links, apart)
    graph.layout(prog="dot")
    _, _, width, height = map(float, graph.graph_attr["bb"].split(","))
    centres = tuple(
        _point(graph.get_node(number).attr["pos"], height) for number in range(len(sizes))
    )
    curves = tuple(_curve(graph, link, number, height) for number, link in enumerate(links))
    return Layout(width, height, centres, curves)


def _graph(sizes: Sequence[Point], links: Sequence[Link], apart: str) -> Any:
    try:
        import pygraphviz
    except ImportError as error:
        raise EngineError(
            f"drawing needs pygraphviz, which does not load ({error}): pip install 'fcnkit[draw]'"
        ) from None
    graph = pygraphviz.AGraph(directed=True, strict=False, ranksep=apart, nodesep="0.2")
    for number, (width, height) in enumerate(sizes):
        # Without a label there is nothing to measure, and no fonts are asked for.
        graph.add_node(
            number,
            label="",
            shape="box",
            fixedsize="true",
            width=width / _INCH,
            height=height / _INCH,
        )
    for number, link in enumerate(links):
        weight = 0 if link.loose else 4 if link.stop == link.start + 1 else 1
        graph.add_edge(link.start, link.stop, key=str(number), weight=weight, arrowhead="none")
    return graph


def _curve(graph: Any, link: Link, number: int, height: float) -> tuple[Point, ...]:
    # What "s," and "e," stand before are tips of arrow heads, which are drawn with the lines.
    pieces = graph.get_edge(link.start, link.stop, key=str(number)).attr["pos"].split()
    return tuple(_point(piece, height) for piece in pieces if piece[0] not in "se")


def _point(text: str, height: float) -> Point:
    x, y = map(float, text.split(","))
    return x, height - y
