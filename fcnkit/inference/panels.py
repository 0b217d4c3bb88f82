"""Draws class maps of several nets side by side: a row for each image, a column for each net."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fcnkit.datasets.colours import Colour, painted
from fcnkit.errors import DatasetError
from fcnkit.inference.overlay import blend
from fcnkit.libraries import load

if TYPE_CHECKING:
    import numpy

_INK, _PAPER, _RIM = (32, 33, 36), (255, 255, 255), (160, 162, 168)
# Sizes in pixels: the room between pictures, a heading, a line of the legend and a colour in it,
# the text.
_GAP, _HEAD, _LINE, _SWATCH, _TEXT = 6, 30, 30, 30, 19
_QUALITY = 85


class PanelRow(NamedTuple):
    """An RGB image, and class maps of its size, one for each column after the image's."""

    image: "numpy.ndarray"
    maps: "Sequence[numpy.ndarray]"


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
        fact = f"{len(rows)} rows below {len(heads)} heads"
        raise DatasetError(f"{fact}; give a map for each head but the first")
    strips = [_strip(row, colours, ignore, opacity, width) for row in rows]
    across = len(heads) * (width + _GAP) + _GAP
    entries = _legend(names, across)
    top = _HEAD + sum(strip.shape[0] + _GAP for strip in strips)
    canvas = load("PIL.Image").new(
        "RGB", (across, top + _LINE * (entries[-1][1] + 1) + _GAP), _PAPER
    )
    pen = load("PIL.ImageDraw").Draw(canvas)
    for number, head in enumerate(heads):
        middle = _GAP + number * (width + _GAP) + width // 2
        pen.text((middle, _HEAD // 2), head, _INK, _font(), anchor="mm")
    place = _HEAD
    for strip in strips:
        canvas.paste(load("PIL.Image").fromarray(strip), (_GAP, place))
        place += strip.shape[0] + _GAP
    for (left, line), name, colour in zip(entries, names, colours, strict=True):
        y = top + line * _LINE
        pen.rectangle((left, y + 5, left + _SWATCH, y + _LINE - 5), tuple(colour), _RIM)
        pen.text((left + _SWATCH + 8, y + _LINE // 2), name, _INK, _font(), anchor="lm")
    file = io.BytesIO()
    canvas.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


def _font() -> Any:
    return load("PIL.ImageFont").load_default(_TEXT)


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


def _legend(names: Sequence[str], across: int) -> list[tuple[int, int]]:
    """Where each name stands: pixels from the left, and its line."""
    places, left, line = [], _GAP, 0
    for name in names:
        wide = _SWATCH + 8 + round(_font().getlength(name)) + 20
        if left + wide > across and left > _GAP:
            left, line = _GAP, line + 1
        places.append((left, line))
        left += wide
    return places
