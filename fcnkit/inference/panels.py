"""Draws class maps of several nets side by side: a row for each image, a column for each net."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from fcnkit.datasets.colours import Colour, painted
from fcnkit.errors import DatasetError
from fcnkit.inference.legend import INK, PAPER, Legend, fitted, font
from fcnkit.inference.overlay import blend
from fcnkit.libraries import load
from fcnkit.plural import number_of

if TYPE_CHECKING:
    import numpy

# Sizes in pixels: the room between pictures, a heading, the name of a row, its text.
_GAP, _HEAD, _CAPTION, _TEXT = 6, 30, 22, 15
_QUALITY = 85


class PanelRow(NamedTuple):
    """An RGB image, and class maps of its size, one for each column after the image's.

    `name` is that of the image's file, "" where it is not to be shown.
    """

    image: "numpy.ndarray"
    maps: "Sequence[numpy.ndarray]"
    name: str = ""


def panels(
    rows: Sequence[PanelRow],
    heads: Sequence[str],
    names: Sequence[str],
    colours: Sequence[Colour],
    *,
    ignore: int = 255,
    opacity: float = 0.6,
    width: int = 240,
) -> bytes:
    """A JPEG of each row's image and of its class maps over it,
    below their heads, above the legend.

    `heads` has one for the image and one for each map; a picture is `width`
    pixels wide.  Pixels of `ignore` show the image alone.

    Raises DatasetError where there are no rows, or one has another number of maps.
    """
    if not rows or any(len(row.maps) + 1 != len(heads) for row in rows):
        fact = f"{number_of(len(rows), 'row')} below {number_of(len(heads), 'head')}"
        raise DatasetError(f"{fact}; give a map for each head but the first")
    strips = [_strip(row, colours, ignore, opacity, width) for row in rows]
    captions = _CAPTION if any(row.name for row in rows) else 0
    across = len(heads) * (width + _GAP) + _GAP
    legend = Legend(names, colours[: len(names)], across - 2 * _GAP)
    top = _HEAD + sum(strip.shape[0] + _GAP + captions for strip in strips)
    canvas = load("PIL.Image").new("RGB", (across, top + legend.height + _GAP), PAPER)
    pen = load("PIL.ImageDraw").Draw(canvas)
    for number, head in enumerate(heads):
        middle = _GAP + number * (width + _GAP) + width // 2
        pen.text((middle, _HEAD // 2), fitted(head, width, 19), INK, font(19), anchor="mm")
    place = _HEAD
    for row, strip in zip(rows, strips, strict=True):
        canvas.paste(load("PIL.Image").fromarray(strip), (_GAP, place))
        place += strip.shape[0] + _GAP
        if captions:
            words = fitted(row.name, across - 2 * _GAP, _TEXT, ends=True)
            pen.text((_GAP, place - _GAP + captions // 2), words, INK, font(_TEXT), anchor="lm")
        place += captions
    legend.draw(pen, _GAP, top)
    file = io.BytesIO()
    canvas.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


def _strip(
    row: PanelRow, colours: Sequence[Colour], ignore: int, opacity: float, width: int
) -> "numpy.ndarray":
    """One row's pictures side by side."""
    import numpy as np

    shown = [row.image]
    for found in row.maps:
        over = np.where(found == ignore, 0.0, opacity)[..., None]
        shown.append(blend(row.image, painted(found, colours, ignore), over))
    images = load("PIL.Image")
    size = width, max(1, round(width * row.image.shape[0] / row.image.shape[1]))
    small = [
        np.asarray(images.fromarray(each).resize(size, images.Resampling.BOX)) for each in shown
    ]
    gap = np.full((size[1], _GAP, 3), 255, np.uint8)
    return np.concatenate([part for each in small for part in (each, gap)][:-1], axis=1)
