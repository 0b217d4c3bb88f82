"""Where the cells of each layer lie over the image,
and what one of them sees: a picture along its width.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil, floor
from typing import NamedTuple

from fcnkit import expected
from fcnkit.drawing.draw import Drawing
from fcnkit.drawing.svg import escaped, plain
from fcnkit.errors import NetError
from fcnkit.formats.prototxt import NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.inspection import LayerRow, inspect
from fcnkit.nets.coords import carriers
from fcnkit.nets.graph import Graph, Layer, State, build
from fcnkit.shape import Shape

# Sizes in the picture's pixels: its scale's width, a row, the columns of words left and right of
# it.
_WIDTH, _ROW, _LEFT, _RIGHT = 620, 34, 118, 250
_TOP, _FONT = 34, 11
# Where the columns right of the picture end.
_COLUMNS = (64, 114, 164, 239)
# Cells nearer than this are one band.
_APART = 2.5
_INK, _CELL, _SEEN, _FIELD, _IMAGE = "#202124", "#6f757b", "#c5221f", "#f28b82", "#e8f0fe"


class Strip(NamedTuple):
    """A layer's cells along the width of the image, in its pixels.

    The middle of cell i is first + i * step; each sees `field` pixels around its middle.
    """

    name: str
    cells: int
    first: float
    step: float
    field: float

    @property
    def last(self) -> float:
        """The middle of the last cell."""
        return self.first + (self.cells - 1) * self.step

    def seen(self, at: float) -> tuple[float, float, float]:
        """The middle of the cell nearest to a pixel,
        and the first and the last pixel that it sees.
        """
        index = min(max(round((at - self.first) / self.step), 0), self.cells - 1)
        middle = self.first + index * self.step
        return middle, middle - (self.field - 1) / 2, middle + (self.field - 1) / 2


@expected.checked
def draw_fields(
    net: NetOrPath,
    blob: str | None = None,
    *,
    at: float | None = None,
    state: State = State(),
    inputs: Mapping[str, Shape] | None = None,
) -> Drawing:
    """Draws where the cells of each layer lie over the width of the image, and what they see.

    >>> fk.draw_fields(fk.template("lenet"), "pool2").save("fields.svg")

    Each row is a layer, from the image to `blob`. Dots are the centres of the cells. One cell
    is red, and the bar is its receptive field. The blue area is the image; what lies outside
    it is padding. Layers that do not change the cells are left out. If there are several
    branches, the one with the largest receptive field is drawn.

    - `net`: a Prototxt or its path.
    - `blob`: the last blob to draw; by default the last one that has coordinates.
    - `at`: the red cell of each row is the one nearest to this pixel; by default the centre of
      the image.
    - `state`: a State; by default TEST.
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Drawing, whose `text` is SVG.

    Raises NetError for a blob that does not exist or that has no coordinates.
    """
    net = given_net(net)
    strips = list(strips_of(net, blob, state=state, inputs=inputs))
    middle = (strips[0].cells - 1) / 2 if at is None else at
    return Drawing(net.path, _Picture(strips, middle).text(net.path))


def strips_of(
    net: Prototxt,
    blob: str | None = None,
    *,
    state: State = State(),
    inputs: Mapping[str, Shape] | None = None,
) -> Iterator[Strip]:
    """The rows of `draw_fields`, the image first."""
    return (strip for _, strip in layers_of(net, blob, state=state, inputs=inputs))


def layers_of(
    net: Prototxt,
    blob: str | None = None,
    *,
    state: State = State(),
    inputs: Mapping[str, Shape] | None = None,
) -> Iterator[tuple[LayerRow, Strip]]:
    """The layers of the rows of `draw_fields`, each with its row, the image first."""
    graph = build(net, state)
    rows = inspect(net, state=state, inputs=inputs).rows
    before = None
    for row in _way(graph, rows, _end(graph, rows, blob)):
        strip = _strip(row)
        if strip and (before is None or strip[1:] != before[1:]):
            yield row, strip
        before = strip


def _strip(row: LayerRow) -> Strip | None:
    """The cells of a layer; None for one that cannot be drawn."""
    shape, scale, offset, field = row.shape, row.scale, row.offset, row.field
    if shape is None or scale is None or offset is None or field is None:
        return None
    step = 1 / _across(scale)
    return Strip(row.name, shape[-1], -_across(offset) * step, step, _across(field))


def _end(graph: Graph, rows: tuple[LayerRow, ...], blob: str | None) -> Layer:
    path = graph.prototxt.path
    if blob is not None:
        layer = graph.producer(graph.top(blob))
        if _drawable(rows[layer.index]):
            return layer
        raise NetError(f'{path}: "{blob}" has no position over the image; name a blob before it')
    found = [layer for layer in graph.layers if _drawable(rows[layer.index])]
    if not found:
        raise NetError(f"{path}: no layer makes a map over the image; convolutionalize the net")
    return found[-1]


def _drawable(row: LayerRow) -> bool:
    return row.shape is not None and len(row.shape) > 2 and None not in (row.scale, row.field)


def _way(graph: Graph, rows: tuple[LayerRow, ...], end: Layer) -> list[LayerRow]:
    """The rows from the image to a layer, of branches through the one that sees most."""
    way, layer = [rows[end.index]], end
    while bottoms := carriers(layer):
        makers = [graph.producer(bottom) for bottom in bottoms]
        layer = max(makers, key=lambda maker: rows[maker.index].field or (0,))
        way.append(rows[layer.index])
    return way[::-1]


def _across(values: tuple) -> float:
    return float(values[-1]) if values[-1] % 1 else int(values[-1])


@dataclass(frozen=True)
class _Picture:
    """The strips as SVG, one below the other, the layer farthest from the image on top."""

    strips: list[Strip]
    at: float

    @property
    def span(self) -> tuple[float, float]:
        """The first and the last pixel to be drawn, of the image or outside it."""
        seen = [strip.seen(self.at) for strip in self.strips]
        low = min(*(strip.first for strip in self.strips), *(each[1] for each in seen))
        high = max(*(strip.last for strip in self.strips), *(each[2] for each in seen))
        return floor(low) - 1, ceil(high) + 1

    def x(self, pixel: float) -> float:
        """Where a pixel's middle lies in the picture."""
        low, high = self.span
        return _LEFT + (pixel - low) / (high - low) * _WIDTH

    def text(self, title: str) -> str:
        """The whole document."""
        width, bottom = _LEFT + _WIDTH + _RIGHT, _TOP + _ROW * len(self.strips)
        height = bottom + 30
        body = "".join(
            self._strip(strip, _TOP + _ROW * (row + 0.5))
            for row, strip in enumerate(self.strips[::-1])
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="Helvetica, Arial, sans-serif" '
            f'font-size="{_FONT}" fill="{_INK}">\n<title>{escaped(title)}</title>\n'
            f'<rect width="100%" height="100%" fill="white"/>\n'
            f"{self._ground(bottom)}{self._heads()}{body}{self._scale(bottom)}</svg>\n"
        )

    def _ground(self, bottom: float) -> str:
        left, right = self.x(-0.5), self.x(self.strips[0].cells - 0.5)
        return _rect(left, _TOP, right - left, bottom - _TOP, _IMAGE)

    def _heads(self) -> str:
        return _words(_TOP - 12, ("cells", "stride", "field", "first at"))

    def _strip(self, strip: Strip, y: float) -> str:
        middle, start, stop = strip.seen(self.at)
        left, right = self.x(start - 0.5), self.x(stop + 0.5)
        name = _text(_LEFT - 12, y + 4, strip.name, "end")
        words = _words(
            y + 4, (str(strip.cells), f"{strip.step:.6g}", str(strip.field), f"{strip.first:.6g}")
        )
        bar = _rect(left, y - 9, max(right - left, 1), 18, _FIELD)
        return f"{name}{words}{bar}{self._cells(strip, y)}{_dot(self.x(middle), y, 3.5, _SEEN)}"

    def _cells(self, strip: Strip, y: float) -> str:
        apart = self.x(strip.step) - self.x(0)
        if apart < _APART:
            left, right = self.x(strip.first), self.x(strip.last)
            return _rect(left, y - 1.5, right - left, 3, _CELL)
        radius = min(2.2, apart / 3)
        places = (strip.first + index * strip.step for index in range(strip.cells))
        return "".join(_dot(self.x(place), y, radius, _CELL) for place in places)

    def _scale(self, bottom: float) -> str:
        """Pixels of the image in round numbers, below all rows."""
        low, high = self.span
        step = next(
            step
            for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 10**9)
            if (high - low) / step <= 14
        )
        marks = range(ceil(low / step) * step, floor(high) + 1, step)
        ticks = "".join(_rect(self.x(mark) - 0.5, bottom, 1, 5, _INK) for mark in marks)
        words = "".join(_text(self.x(mark), bottom + 18, str(mark), "middle") for mark in marks)
        return f"{ticks}{words}{_text(_LEFT - 12, bottom + 18, 'pixel', 'end')}"


def _words(y: float, words: tuple[str, ...]) -> str:
    """A word in each of the columns on the right."""
    edges = (_LEFT + _WIDTH + column for column in _COLUMNS)
    return "".join(_text(x, y, word, "end") for x, word in zip(edges, words, strict=True))


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{plain(x)}" y="{plain(y)}" text-anchor="{anchor}">{escaped(text)}</text>\n'


def _rect(x: float, y: float, width: float, height: float, colour: str) -> str:
    sizes = f'width="{plain(width)}" height="{plain(height)}"'
    return f'<rect x="{plain(x)}" y="{plain(y)}" {sizes} fill="{colour}"/>\n'


def _dot(x: float, y: float, radius: float, colour: str) -> str:
    return f'<circle cx="{plain(x)}" cy="{plain(y)}" r="{plain(radius)}" fill="{colour}"/>\n'
