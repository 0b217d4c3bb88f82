"""Canvases of many handwritten digits, shared by train_digits.py and demo.py."""

from typing import NamedTuple

import numpy as np
from PIL import Image


class Placed(NamedTuple):
    """A digit on a canvas: its class and the pixel of its middle."""

    digit: int
    row: int
    column: int


def glyph(image: np.ndarray, size: int, angle: float = 0.0) -> np.ndarray:
    """An 8x8 digit of values 0..16 in size x size bytes,
    with a black rim, turned by `angle` degrees.
    """
    rimmed = np.pad((image * (255 / 16)).astype(np.uint8), 1)
    enlarged = Image.fromarray(rimmed).resize((size, size), Image.BICUBIC)
    return np.asarray(enlarged.rotate(angle, Image.BICUBIC))


def scatter(
    rng: np.random.Generator,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    shape: tuple[int, int],
    pitch: int = 36,
    margin: int = 0,
    size: tuple[int, int] = (24, 30),
    jitter: int = 5,
    fill: float = 0.85,
) -> tuple[np.ndarray, list[Placed]]:
    """A canvas of bytes with digits on a shaken grid, and where each digit lies.

    Of the grid's cells, `pitch` pixels apart and `margin` pixels from the edges, the share
    `fill` holds a digit.
    """
    canvas = np.zeros(shape, np.uint8)
    placed = []
    for top in range(margin, shape[0] - margin - pitch + 1, pitch):
        for left in range(margin, shape[1] - margin - pitch + 1, pitch):
            if rng.random() > fill:
                continue
            which = rng.integers(len(images))
            drawn = glyph(
                images[which], int(rng.integers(size[0], size[1] + 1)), rng.uniform(-8, 8)
            )
            middle = np.array([top, left]) + pitch // 2 + rng.integers(-jitter, jitter + 1, 2)
            _draw(canvas, drawn, middle - len(drawn) // 2)
            placed.append(Placed(int(labels[which]), int(middle[0]), int(middle[1])))
    return canvas, placed


def _draw(canvas: np.ndarray, drawn: np.ndarray, corner: np.ndarray) -> None:
    row, column = np.maximum(corner, 0)
    here = canvas[row : row + len(drawn), column : column + len(drawn)]
    np.maximum(here, drawn[: here.shape[0], : here.shape[1]], out=here)
