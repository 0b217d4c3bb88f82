"""The section of a net's drawing: folded where it is long, whole, to zoom and to search."""

from typing import NamedTuple

from fcnkit.drawing.blocks import Block, Chart, chart
from fcnkit.drawing.folding import Folded, Group, fold, opened
from fcnkit.drawing.svg import Look, render
from fcnkit.errors import EngineError, NetError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of
from fcnkit.reporting.pictures import Album
from fcnkit.reporting.section import Section
from fcnkit.reporting.subject import Subject
from fcnkit.reporting.words import brief, seen

# A net of more boxes is drawn folded alone, or not at all.
MOST = 3000
# A name in a box has at most so many letters: boxes are as wide as what they say.
_LETTERS = 40


class Opened(NamedTuple):
    """A folded block by itself: how many are like it, and its drawing."""

    anchor: str
    name: str
    what: str
    svg: str


def section(of: Subject, album: Album) -> Section | None:
    """The drawing of a net, or why there is none; None where the page is of no net."""
    if of.net is None:
        return None
    graph = build(of.net)
    whole = _readable(chart(graph, shapes_of(graph, of.wishes.inputs)))
    title = f"{of.net.path}, {graph.state}"
    short = fold(whole)
    try:
        if len(short.chart.blocks) > MOST:
            fact = f"it has {len(whole.blocks):,} boxes"
            raise EngineError(f"{fact}; `fcnkit draw` draws any number")
        values = {
            "problem": "",
            "whole": _svg(whole, title) if len(whole.blocks) <= MOST else "",
            "folded": _svg(short.chart, title, short) if short.groups else "",
            "groups": [_opened(whole, *each) for each in short.groups.items()],
            "boxes": len(whole.blocks),
        }
    except EngineError as error:
        values = {"problem": str(error)}
    return Section("drawing", "Drawing", values)


def overview(net: Prototxt) -> str:
    """The drawing of a net, folded where it is long; "" where there is none."""
    try:
        graph = build(net)
        short = fold(_readable(chart(graph, shapes_of(graph)))).chart
        return _svg(short, net.path) if len(short.blocks) <= MOST else ""
    except (EngineError, NetError):
        return ""


def _svg(whole: Chart, title: str, folded: Folded | None = None) -> str:
    from markupsafe import Markup

    links = {number: f"#{_anchor(number)}" for number in folded.groups} if folded else {}
    return Markup(render(whole, brief(seen(title), 400), Look(labelled=True, links=links)))


def _anchor(number: int) -> str:
    return f"block-{number}"


def _opened(whole: Chart, number: int, group: Group) -> Opened:
    each = sum(len(whole.blocks[box].about) for box in group.parts[0])
    times = len(group.parts)
    what = f"the first of {times} blocks of {each} layers" if times > 1 else f"{each} layers"
    return Opened(_anchor(number), group.name, what, _svg(opened(whole, group), group.name))


def _readable(whole: Chart) -> Chart:
    """The chart with names as a page shows them."""
    blocks = tuple(_readable_block(block) for block in whole.blocks)
    wires = tuple(wire._replace(blob=brief(seen(wire.blob), _LETTERS)) for wire in whole.wires)
    return Chart(blocks, wires)


def _readable_block(block: Block) -> Block:
    what = brief(seen(block.what), 2 * _LETTERS)
    about = tuple(brief(seen(line), 400) for line in block.about)
    return block._replace(name=brief(seen(block.name), _LETTERS), what=what, about=about)
