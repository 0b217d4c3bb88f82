"""Filters and activations as pictures: a tile for each, in a grid."""

from collections.abc import Sequence
from math import ceil, sqrt
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy

# Between two tiles, and the most pixels of a grid's side.
_GAP, _SIDE = 1, 1024
# What is between tiles: as far as may be from what is often in them.
_DARK, _BRIGHT = 56, 236
# Least, in between, greatest: of values on both sides of zero, and of others.
_SIGNED = ((33, 102, 172), (247, 247, 247), (178, 24, 43))
_PLAIN = ((13, 8, 65), (156, 23, 158), (237, 121, 83), (252, 253, 191))
_ODD = (0, 255, 0)


class Grid(NamedTuple):
    """The picture, of bytes in RGB; what its first and last colours stand for; how many tiles it
    has, of how many.
    """

    pixels: "numpy.ndarray"
    low: float
    high: float
    colours: str
    tiles: int
    of: int


def activations(array: "numpy.ndarray", most: int = 256) -> Grid:
    """The channels of one image's blob, (channels, height, width), in one scale;
    a vector is drawn as one tile.
    """
    import numpy as np

    planes = array.reshape(array.shape[0], -1) if array.ndim < 3 else array
    if planes.ndim == 2 or planes.shape[1] * planes.shape[2] == 1:
        return _scaled(_vector(planes.reshape(-1))[None], 1, 1)
    planes = planes.reshape(*planes.shape[:2], -1)
    each = max(planes.shape[1:])
    step = max(1, each // 256)
    few = np.asarray(planes[:most, ::step, ::step])
    return _scaled(few, len(few), len(planes))


def filters(array: "numpy.ndarray", order: str | None) -> Grid:
    """Filters, (outputs, inputs, height, width): in colour where they see an image in an `order`
    of channels; else a row for each output and a column for each input, as many as are seen well.
    """
    import numpy as np

    outputs, inputs, height, width = array.shape
    if order and inputs == 3:
        colours = array[:, ::-1] if order == "bgr" else array
        return _coloured(np.moveaxis(colours, 1, -1))
    rows = min(outputs, max(1, _SIDE // 2 // (height + _GAP)))
    columns = min(inputs, max(1, _SIDE // 2 // (width + _GAP)))
    if inputs == 1:
        few = array[: 16 * rows, 0]
        return _scaled(few, len(few), outputs)
    few = array[:rows, :columns].reshape(-1, height, width)
    return _scaled(few, rows * columns, outputs * inputs, columns)


def _coloured(tiles: "numpy.ndarray") -> Grid:
    """Tiles (count, height, width, 3) from their least value, black, to their greatest."""
    import numpy as np

    low, high = _ends(tiles)
    shown = np.nan_to_num((tiles - low) / ((high - low) or 1) * 255, posinf=255, neginf=0)
    pixels = np.clip(shown, 0, 255).astype(np.uint8)
    return Grid(_laid(pixels, None, _BRIGHT), low, high, "natural", len(tiles), len(tiles))


def _scaled(tiles: "numpy.ndarray", shown: int, of: int, columns: int | None = None) -> Grid:
    """Tiles (count, height, width) in the colours of their values."""
    import numpy as np

    low, high = _ends(tiles)
    signed = low < 0
    if signed:
        high = max(-low, high)
        low = -high
    finite = np.isfinite(tiles)
    at = (np.where(finite, tiles, low) - low) * (255 / ((high - low) or 1))
    pixels = _colours(_SIGNED if signed else _PLAIN)[at.astype(np.uint8)]
    pixels[~finite] = _ODD
    return Grid(
        _laid(pixels, columns, _DARK if signed else _BRIGHT),
        low,
        high,
        "signed" if signed else "plain",
        shown,
        of,
    )


def _colours(known: Sequence[Sequence[int]]) -> "numpy.ndarray":
    """256 colours on the way through those that are known."""
    import numpy as np

    at = np.linspace(0, len(known) - 1, 256)
    each = [np.interp(at, range(len(known)), channel) for channel in zip(*known, strict=True)]
    return np.rint(np.stack(each, 1)).astype(np.uint8)


def _ends(tiles: "numpy.ndarray") -> tuple[float, float]:
    import numpy as np

    finite = tiles[np.isfinite(tiles)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)


def _vector(values: "numpy.ndarray") -> "numpy.ndarray":
    """The values in rows, about as many as there are columns; what is missing is NaN's like."""
    import numpy as np

    columns = ceil(sqrt(len(values)))
    rows = ceil(len(values) / columns)
    filled = np.zeros(rows * columns, np.float32)
    filled[: len(values)] = values
    return filled.reshape(rows, columns)


def _columns(count: int, ratio: float) -> int:
    """How many tiles in a row make a picture wider than high, with few places left over."""
    about = max(1, min(count, round(sqrt(count * ratio * 1.6))))
    near = range(max(1, about * 3 // 4), min(count, about * 3 // 2) + 1)
    return min(near, key=lambda each: (-count % each, abs(each - about), -each))


def _laid(tiles: "numpy.ndarray", columns: int | None, ground: int) -> "numpy.ndarray":
    """Tiles (count, height, width, 3) in rows from left to right."""
    import numpy as np

    count, height, width, _ = tiles.shape
    columns = columns or _columns(count, height / width)
    rows = ceil(count / columns)
    tall, wide = height + _GAP, width + _GAP
    page = np.full((rows * tall - _GAP, columns * wide - _GAP, 3), ground, np.uint8)
    for number, tile in enumerate(tiles):
        top, left = number // columns * tall, number % columns * wide
        page[top : top + height, left : left + width] = tile
    return page
