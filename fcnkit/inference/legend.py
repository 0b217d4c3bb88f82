"""Text beside pictures: a line that fits its room, and the legend of classes below them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fcnkit.datasets.colours import Colour
from fcnkit.errors import printable
from fcnkit.libraries import load

INK, PAPER, RIM = (32, 33, 36), (255, 255, 255), (160, 162, 168)
# Sizes in pixels: a line of the legend, a colour in it, what is left after a name, the text.
_LINE, _SWATCH, _AFTER, _TEXT = 26, 26, 20, 16
# So much of either end of a long name is looked at.
_KEPT = 38
# An entry has at most this part of the width.
_PART = 0.5


@lru_cache(maxsize=8)
def font(size: int = _TEXT) -> Any:
    """Pillow's own font, which is there on every machine."""
    return load("PIL.ImageFont").load_default(size)


def fitted(text: str, room: float, size: int = _TEXT, *, ends: bool = False) -> str:
    """The text on one line of at most so many pixels, cut where it is longer.

    With `ends` the middle is left out: names of files differ in what they end with.
    """
    if ends and len(text) > 2 * _KEPT:
        text = f"{text[:_KEPT]}...{text[-_KEPT:]}"
    text = printable(text)
    if font(size).getlength(text) <= room:
        return text
    for kept in range(len(text) - 1, 0, -1):
        head = kept - kept // 2 if ends else kept
        cut = f"{text[:head].rstrip(' ,')}...{text[len(text) - kept + head :]}"
        if font(size).getlength(cut) <= room:
            return cut
    return "..."


@dataclass(frozen=True)
class Legend:
    """Names beside their colours, in lines `across` pixels wide."""

    names: Sequence[str]
    colours: Sequence[Colour]
    across: int

    def places(self) -> list[tuple[int, int, str]]:
        """Where each name stands: pixels from the left, its line, and what is shown of it."""
        found, left, line = [], 0, 0
        for name in self.names:
            text = fitted(name, self.across * _PART)
            wide = _SWATCH + 8 + round(font().getlength(text)) + _AFTER
            if left + wide > self.across and left:
                left, line = 0, line + 1
            found.append((left, line, text))
            left += wide
        return found

    @property
    def height(self) -> int:
        """How many pixels all lines take; none without names."""
        return _LINE * (self.places()[-1][1] + 1) if self.names else 0

    def draw(self, pen: Any, left: int, top: int) -> None:
        """The legend is drawn from this corner on."""
        for (x, line, text), colour in zip(self.places(), self.colours, strict=True):
            x, y = left + x, top + line * _LINE
            pen.rectangle((x, y + 4, x + _SWATCH, y + _LINE - 4), tuple(colour), RIM)
            pen.text((x + _SWATCH + 8, y + _LINE // 2), text, INK, font(), anchor="lm")
