"""Pictures as values that a notebook shows: a PNG, or several side by side with captions."""

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fcnkit import expected, files
from fcnkit.errors import DatasetError
from fcnkit.inference.overlay import enlarged, pen_on, png, png_of
from fcnkit.libraries import load

if TYPE_CHECKING:
    import numpy

_INK, _PAPER = (32, 33, 36), (255, 255, 255)
# Sizes of `beside` in pixels: between two pictures, and the line of a caption.
_GAP, _CAPTION = 12, 26


@dataclass(frozen=True)
class Picture:
    """A picture as the bytes of a PNG, which a notebook shows."""

    png: bytes

    @classmethod
    def of(cls, array: "numpy.ndarray", *, zoom: int = 1) -> "Picture":
        """Makes a picture of an array of bytes, (height, width) or (height, width, 3) in RGB.
        Each pixel becomes `zoom` x `zoom` pixels.
        """
        return cls(png(enlarged(array, zoom)))

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Writes the PNG to `path`, completely or not at all; `force` replaces an existing file.
        Raises OutputError otherwise.
        """
        files.write(path, self.png, force=force)

    @property
    def size(self) -> tuple[int, int]:
        """The width and height in pixels."""
        return int.from_bytes(self.png[16:20], "big"), int.from_bytes(self.png[20:24], "big")

    def _repr_png_(self) -> bytes:
        return self.png

    def __repr__(self) -> str:
        return f"<Picture of {self.size[0]} x {self.size[1]} pixels>"


@expected.checked
def beside(panels: "Mapping[str, numpy.ndarray | Picture]", *, zoom: int = 1) -> Picture:
    """Several pictures in a row, each under its caption.

    >>> import numpy as np
    >>> image = np.zeros((4, 6, 3), np.uint8)
    >>> fk.beside({"image": image, "the same": image}, zoom=8).save("two.png")

    - `panels`: {caption: picture}. A picture is an array of bytes, (height, width) or (height,
      width, 3), or a Picture. A caption may have several lines.
    - `zoom`: arrays are enlarged by this factor, as in `Picture.of`.

    Returns a Picture; its attribute `png` holds the bytes of a PNG.

    Raises DatasetError if there are no pictures.
    """
    if not panels:
        raise DatasetError("no pictures are given to put side by side; give at least one")
    images = load("PIL.Image")
    tiles = {caption: _opened(each, zoom) for caption, each in panels.items()}
    captions = [caption.splitlines() or [""] for caption in tiles]
    pen, font = pen_on(images.new("RGB", (1, 1)))
    widths = [
        max(tile.width, *(round(pen.textlength(line, font)) + 2 for line in lines))
        for lines, tile in zip(captions, tiles.values(), strict=True)
    ]
    top = _CAPTION * max(map(len, captions))
    size = sum(widths) + _GAP * (len(tiles) - 1), top + max(tile.height for tile in tiles.values())
    canvas = images.new("RGB", size, _PAPER)
    (pen, font), left = pen_on(canvas), 0
    for lines, tile, width in zip(captions, tiles.values(), widths, strict=True):
        for number, line in enumerate(lines):
            pen.text((left, _CAPTION * (number + 0.5)), line, _INK, font, anchor="lm")
        canvas.paste(tile, (left, top))
        left += width + _GAP
    return Picture(png_of(canvas))


def _opened(each: "numpy.ndarray | Picture", zoom: int) -> Any:
    picture = each if isinstance(each, Picture) else Picture.of(each, zoom=zoom)
    return load("PIL.Image").open(io.BytesIO(picture.png)).convert("RGB")
