"""A chart as SVG text: boxes and curves, a tall picture in several columns."""

import html
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from fcnkit.drawing.blocks import Block, Chart, Wire
from fcnkit.drawing.columns import GAP, Column, columns
from fcnkit.drawing.layout import Layout, Link, Point, layout

FONT = 11
LINE = 14
MARGIN = 8
# The letters of shapes beside lines, and how far boxes are apart with them, in inches.
SMALL = 9
_LABELLED = "0.4"
ARROW = 6
BOLD = ' font-weight="bold"'

COLOURS = {
    "data": "#e3e3e3",
    "convolution": "#d3e3f8",
    "dense": "#e2d6f3",
    "pooling": "#d5ecd4",
    "upsampling": "#fbdcbf",
    "crop": "#f6d5df",
    "joint": "#fbf0b6",
    "result": "#f3c9c4",
    "other": "#f4f4f4",
    "group": "#e8eef5",
}


class Look(NamedTuple):
    """What a picture in a page has more.

    `labelled` puts shapes on the lines, not into the boxes; `links` lead from boxes, by number,
    to places of the page.
    """

    labelled: bool = False
    links: Mapping[int, str] = {}


PLAIN = Look()


def render(chart: Chart, title: str, look: Look = PLAIN) -> str:
    """The chart as one SVG document; the same chart gives the same text.

    Raises EngineError as `layout` does.
    """
    labels = _labels(chart) if look.labelled else {}
    chart = _bare(chart, labels)
    sizes = [_size(block) for block in chart.blocks]
    links = [Link(wire.start, wire.stop, wire.sized) for wire in chart.wires]
    places = layout(sizes, links, *[_LABELLED] * bool(labels))
    strips = columns(places, sizes)
    top = MARGIN + LINE * (len(strips) > 1)
    body, across = [], float(MARGIN)
    for strip in strips:
        body.append(_column(chart, places, sizes, strip, (across, top), look, labels))
        across += strip.right - strip.left + GAP
    width = plain(across - GAP + MARGIN)
    height = plain(top + max(strip.bottom - strip.top for strip in strips) + MARGIN)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="Helvetica, Arial, sans-serif" '
        f'font-size="{FONT}" text-anchor="middle">\n<title>{escaped(title)}</title>\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{"".join(body)}</svg>\n'
    )


def _column(
    chart: Chart,
    places: Layout,
    sizes: Sequence[Point],
    strip: Column,
    corner: Point,
    look: Look,
    labels: Mapping[int, str],
) -> str:
    """The part of the picture that is in one column,
    cut off at its edges; its top left corner lies here.

    Above it stand the names of the blobs that come from the column before.
    """
    (left, top), width, height = (
        corner,
        plain(strip.right - strip.left),
        plain(strip.bottom - strip.top),
    )
    lines = (_wire(places.curves[number], chart.wires[number]) for number in strip.curves)
    boxes = (
        _linked(_box(chart.blocks[number], places.centres[number], sizes[number]), number, look)
        for number in strip.boxes
    )
    shapes = (
        _label(places.curves[number], labels[number]) for number in strip.curves if number in labels
    )
    names = (
        f'<text x="{plain(x - strip.left + left)}" y="{plain(top - 3)}" fill="#777">'
        f"{escaped(chart.wires[number].blob)}</text>\n"
        for number, x in strip.entries
    )
    return (
        f'{"".join(names)}<svg x="{plain(left)}" y="{plain(top)}" width="{width}" '
        f'height="{height}" '
        f'viewBox="{plain(strip.left)} {plain(strip.top)} {width} {height}">\n'
        f"{''.join(lines)}{''.join(boxes)}{''.join(shapes)}</svg>\n"
    )


def _labels(chart: Chart) -> dict[int, str]:
    """The shape beside each line, by number: of lines from one box to several, beside one."""
    labels: dict[tuple[int, str], int] = {}
    for number, wire in enumerate(chart.wires):
        known = labels.get((wire.start, wire.blob))
        if known is None or wire.stop == wire.start + 1 or chart.wires[known].sized:
            labels[wire.start, wire.blob] = number
    wires = {number: chart.wires[number].shape for number in labels.values()}
    return {number: shape for number, shape in wires.items() if shape}


def _bare(chart: Chart, labels: Mapping[int, str]) -> Chart:
    """The chart with the shapes that stand beside lines gone from the boxes."""
    said = {(chart.wires[number].start, shape) for number, shape in labels.items()}
    blocks = (
        block._replace(shape="") if (number, block.shape) in said else block
        for number, block in enumerate(chart.blocks)
    )
    return chart._replace(blocks=tuple(blocks))


def _box(block: Block, centre: Point, size: Point) -> str:
    (x, y), (width, height), lines = centre, size, _lines(block)
    first = y - LINE * len(lines) / 2 + LINE * 0.75
    texts = "".join(
        f'<text x="{plain(x)}" '
        f'y="{plain(first + LINE * number)}"{BOLD * (not number)}>{escaped(line)}</text>'
        for number, line in enumerate(lines)
    )
    about = escaped("\n".join(block.about))
    return (
        f'<g class="{block.kind}"><title>{about}</title>'
        f'<rect x="{plain(x - width / 2)}" y="{plain(y - height / 2)}" '
        f'width="{plain(width)}" height="{plain(height)}" rx="4" fill="{COLOURS[block.kind]}" '
        f'stroke="#555"/>'
        f"{texts}</g>\n"
    )


def _wire(curve: Sequence[Point], wire: Wire) -> str:
    start, *rest = curve
    colour, dashes = ("#b0708a", ' stroke-dasharray="4 3"') if wire.sized else ("#444", "")
    return (
        f'<g class="wire{" sized" * wire.sized}">'
        f"<title>{escaped(wire.blob)}{' (its size)' * wire.sized}</title>"
        f'<path d="M{_pair(start)}C{" ".join(map(_pair, rest))}" fill="none" '
        f'stroke="{colour}"{dashes}/>'
        f'<path d="{_head(rest[-2], rest[-1])}" fill="{colour}"/></g>\n'
    )


def _label(curve: Sequence[Point], shape: str) -> str:
    """A shape to the right of where a line begins."""
    x, y = curve[0]
    return (
        f'<text class="shape" x="{plain(x + 5)}" y="{plain(y + SMALL + 3)}" font-size="{SMALL}" '
        f'text-anchor="start" fill="#555">{escaped(shape)}</text>\n'
    )


def _linked(box: str, number: int, look: Look) -> str:
    """The box as a link, where it is one."""
    place = look.links.get(number)
    return f'<a href="{html.escape(place)}">{box}</a>\n' if place else box


def _head(before: Point, tip: Point) -> str:
    """The triangle at the end of a curve."""
    dx, dy = tip[0] - before[0], tip[1] - before[1]
    length = math.hypot(dx, dy) or 1
    dx, dy = dx / length * ARROW, dy / length * ARROW
    back = tip[0] - dx, tip[1] - dy
    sides = (back[0] - dy / 2, back[1] + dx / 2), (back[0] + dy / 2, back[1] - dx / 2)
    return f"M{_pair(tip)}L{' '.join(map(_pair, sides))}Z"


def _lines(block: Block) -> list[str]:
    return [line for line in (block.name, block.what, block.shape) if line]


def _size(block: Block) -> Point:
    lines = _lines(block)
    return max(60, max(map(_width, lines), default=0) + 14), LINE * len(lines) + 8


# Widths of Helvetica's letters in thousandths of its size; 590 for those that are not here.
_LETTERS = dict.fromkeys("iIjlft.,:/ '()[]-|", 300) | dict.fromkeys(
    "mwMWABCDEGHKNOPQRSUVXYZ+×%@", 750
)


def _width(text: str) -> float:
    """About how wide a line is, a little too wide rather than too narrow."""
    return sum(_LETTERS.get(letter, 590) for letter in text) * FONT / 1000


_NOT_XML = "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"


def escaped(text: str) -> str:
    """As XML takes it: a name may have any bytes."""
    return html.escape(re.sub(_NOT_XML, "\ufffd", text), quote=False)


def _pair(point: Iterable[float]) -> str:
    return ",".join(map(plain, point))


def plain(value: float) -> str:
    """A coordinate with at most one decimal."""
    return f"{value:.1f}".removesuffix(".0")
