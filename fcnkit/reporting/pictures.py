"""Pictures as data URLs, of which a page holds no more than its budget."""

import base64
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil, sqrt
from typing import TYPE_CHECKING, NamedTuple

from fcnkit.libraries import load

if TYPE_CHECKING:
    import numpy

BUDGET = 7_000_000
# The longest side of a picture, in pixels, and the least to which the budget brings it down.
LONGEST, LEAST = 1200, 48
# What one picture may take of what is left: so there is always something left for the next.
_SHARE = 8


class Shown(NamedTuple):
    """A picture in a page: its data URL, "" where the budget had no room for it.

    `alt` says what is seen to those who do not see it; `width` and `height` are those
    of the picture before it was scaled, and `pixelated` says that its pixels are figures.
    """

    url: str
    alt: str
    width: int
    height: int
    pixelated: bool = False


class Album:
    """The pictures of one page; with `full` none is scaled or left out."""

    def __init__(self, *, full: bool = False, budget: int = BUDGET) -> None:
        self.full = full
        self.left = budget
        self.scaled = self.omitted = 0
        self._coming = 0

    @contextmanager
    def sharing(self, count: int, part: float = 0.5) -> Iterator[None]:
        """`count` pictures to come share this part of what is left, about alike."""
        kept = self.left - int(self.left * part)
        self.left -= kept
        self._coming = count
        try:
            yield
        finally:
            self.left += kept
            self._coming = 0

    @property
    def notes(self) -> list[str]:
        """What the budget has done to the pictures."""
        counts = {"scaled down": self.scaled, "left out": self.omitted}
        done = [f"{count} {what}" for what, count in counts.items() if count]
        return [f"Pictures {' and '.join(done)}; --full keeps all as they are."] if done else []

    def figure(self, pixels: "numpy.ndarray", alt: str, *, longest: int = LONGEST) -> Shown:
        """Bytes, (height, width) or (height, width, 3) in RGB, as a PNG;
        where it must be smaller, every so many pixels are one.
        """
        height, width = pixels.shape[:2]
        step = 1 if self.full else -(-max(height, width) // longest)
        while True:
            url = _url("png", png(_thinned(pixels, step)))
            if self._takes(url):
                self.scaled += step > 1
                return Shown(url, alt, width, height, pixelated=True)
            step = max(step + 1, ceil(step * sqrt(len(url) / max(self._room, 1))))
            if max(height, width) < LEAST * step:
                return self._without(alt, width, height)

    def map(
        self,
        values: "numpy.ndarray",
        alt: str,
        *,
        colours: Sequence[Sequence[int]] = (),
        longest: int = LONGEST,
    ) -> Shown:
        """Bytes, (height, width), as a PNG of just these values, with `colours` of these colours;
        where it must be smaller, pixels are left out, and none is mixed of others.
        """
        height, width = values.shape
        side = max(height, width) if self.full else min(longest, max(height, width))
        while True:
            url = _url(
                "png", png(_fewer(values, side / max(height, width)), colours, smallest=True)
            )
            if self._takes(url):
                self.scaled += side < max(height, width)
                return Shown(url, alt, width, height, pixelated=True)
            side //= 2
            if side < LEAST:
                return self._without(alt, width, height)

    def photo(self, pixels: "numpy.ndarray", alt: str, *, longest: int = LONGEST) -> Shown:
        """Bytes, (height, width) or (height, width, 3) in RGB, as a JPEG.

        Raises EngineError without Pillow.
        """
        images = load("PIL.Image")
        image = images.fromarray(pixels)
        side = max(image.size) if self.full else min(longest, max(image.size))
        while True:
            small = image.copy()
            small.thumbnail((side, side))
            file = io.BytesIO()
            small.save(file, "JPEG", quality=88)
            url = _url("jpeg", file.getvalue())
            if self._takes(url):
                self.scaled += small.size != image.size
                return Shown(url, alt, *image.size)
            side = int(side * min(0.9, sqrt(self._room / len(url))))
            if side < LEAST:
                return self._without(alt, *image.size)

    @property
    def _room(self) -> int:
        """How many characters the next picture may take."""
        return self.left // (self._coming or _SHARE)

    def _takes(self, url: str) -> bool:
        fits = self.full or len(url) <= self._room
        self.left -= len(url) * fits
        self._coming = max(1, self._coming - fits) if self._coming else 0
        return fits

    def _without(self, alt: str, width: int, height: int) -> Shown:
        self.omitted += 1
        self._coming = max(1, self._coming - 1) if self._coming else 0
        return Shown("", alt, width, height)


def _url(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _thinned(pixels: "numpy.ndarray", step: int) -> "numpy.ndarray":
    """The mean of each `step` x `step` pixels; the last are repeated where some are missing."""
    import numpy as np

    if step == 1:
        return pixels
    edges = [(0, -side % step) for side in pixels.shape[:2]] + [(0, 0)] * (pixels.ndim - 2)
    whole = np.pad(pixels, edges, "edge")
    total = np.zeros((whole.shape[0] // step, whole.shape[1] // step, *whole.shape[2:]), np.uint32)
    for row in range(step):
        for column in range(step):
            total += whole[row::step, column::step]
    return ((total + step * step // 2) // (step * step)).astype(np.uint8)


def _fewer(values: "numpy.ndarray", factor: float) -> "numpy.ndarray":
    """So many of the pixels on each axis, evenly apart."""
    import numpy as np

    rows, columns = (
        ((np.arange(count) + 0.5) * side / count).astype(int)
        for side in values.shape
        for count in (max(1, round(side * factor)),)
    )
    return values[rows][:, columns]


def png(
    pixels: "numpy.ndarray", colours: Sequence[Sequence[int]] = (), *, smallest: bool = False
) -> bytes:
    """The PNG of bytes, (height, width) or (height, width, 3) in RGB: https://www.w3.org/TR/png.

    With `colours`, at most 256, the bytes are their numbers; to be the `smallest` it takes
    twice the time.
    """
    import numpy as np

    height, width = pixels.shape[:2]
    lines = pixels.reshape(height, -1)
    data = _packed(lines, 0)
    if smallest:  # as differences from the line above, many a picture takes less
        above = np.diff(lines, axis=0, prepend=np.zeros((1, lines.shape[1]), np.uint8))
        data = min(data, _packed(above, 2), key=len)
    colour = 3 if colours else 2 if pixels.ndim == 3 else 0
    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, colour, 0, 0, 0))
    palette = [(b"PLTE", bytes(value for each in colours for value in each))] if colours else []
    chunks = [(b"IHDR", head), *palette, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _packed(lines: "numpy.ndarray", way: int) -> bytes:
    """Lines as a PNG holds them, each after the number of its filter."""
    import numpy as np

    return zlib.compress(np.pad(lines, ((0, 0), (1, 0)), constant_values=way).tobytes(), 6)


def _chunk(name: bytes, data: bytes) -> bytes:
    check = zlib.crc32(name + data)
    return len(data).to_bytes(4, "big") + name + data + check.to_bytes(4, "big")
