"""Colours of classes: the VOC palette, and the text files that say which colour is which class."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fcnkit.errors import DatasetError
from fcnkit.formats import signature

if TYPE_CHECKING:
    import numpy

Colour = tuple[int, int, int]

# The names of lines that are no class: their colours are pixels to ignore.
VOID = ("void", "ignore")

# What `--colours` takes in place of a file.
VOC = "voc"
_VOC_NAMES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)


def voc_palette(count: int = 256) -> tuple[Colour, ...]:
    """The first colours of PASCAL VOC:
    the bits of the number, dealt to R, G and B from the top down.
    """
    return tuple(_voc(number) for number in range(count))


def _voc(number: int) -> Colour:
    red, green, blue = (
        sum((number >> 3 * bit + channel & 1) << 7 - bit for bit in range(3))
        for channel in range(3)
    )
    return red, green, blue


@dataclass(frozen=True)
class ColourMap:
    """The colour of each class, by number; `void` are colours of pixels to ignore.

    `names` is empty where the file gives none.
    """

    path: str
    colours: tuple[Colour, ...]
    names: tuple[str, ...] = ()
    void: tuple[Colour, ...] = ()


def voc() -> ColourMap:
    """The 21 classes of PASCAL VOC and their colours; its cream outlines are to ignore."""
    return ColourMap(VOC, voc_palette(len(_VOC_NAMES)), _VOC_NAMES, (voc_palette()[255],))


class _Line(NamedTuple):
    number: int
    colour: Colour
    name: str


def read_colours(path: str | os.PathLike[str]) -> ColourMap:
    """The colour map in a text file: a line `R G B` for each class, in order, as DIGITS reads them.

    A name may stand before or behind the numbers, and commas between them;
    lines called void or ignore are no class.

    Raises DatasetError with file and line for anything else, and for a colour
    or a name that is there twice.
    """
    lines = [_line(path, number, text) for number, text in texts(path)]
    _once(path, lines)
    classes = [line for line in lines if line.name.lower() not in VOID]
    named = [line.name for line in classes if line.name]
    if named and len(named) < len(classes):
        line = next(line for line in classes if not line.name)
        raise DatasetError(
            f"{path}:{line.number}: has no name, but other lines do; name all classes or none"
        )
    if not classes:
        raise DatasetError(f"{path}: has no classes; write a line R G B for each")
    void = tuple(line.colour for line in lines if line.name.lower() in VOID)
    return ColourMap(str(path), tuple(line.colour for line in classes), tuple(named), void)


def read_classes(path: str | Path, *, unique: bool = True) -> tuple[str, ...]:
    """The names in a text file, one a line.

    Raises DatasetError where there are none, or with `unique` one is there twice.
    """
    names = tuple(text for _, text in texts(path))
    twice = [name for name, count in Counter(names).items() if unique and count > 1]
    if twice or not names:
        fact = f'"{twice[0]}" appears twice' if twice else "has no names"
        raise DatasetError(f"{path}: {fact}; write the name of each class on a line of its own")
    return names


def painted(
    labels: "numpy.ndarray", colours: Sequence[Colour], ignore: int = 255
) -> "numpy.ndarray":
    """Label values as an image: each class in its colour, `ignore` in VOC's cream, 224 224 192."""
    import numpy as np

    palette = np.array(voc_palette(), np.uint8)
    palette[: len(colours)] = colours[:256]
    palette[ignore] = voc_palette()[255]
    return palette[labels]


def colour_text(colours: Sequence[Colour], names: Sequence[str] = ()) -> str:
    """The text of a colour map, as `read_colours` reads it."""
    names = names or [""] * len(colours)
    return "".join(
        f"{' '.join(map(str, colour))} {name}".rstrip() + "\n"
        for colour, name in zip(colours, names, strict=True)
    )


def texts(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, with their numbers."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        known = signature.refusal_at(signature.TEXT, path)
        if known:
            raise DatasetError(f"{path}: {known}") from None
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise DatasetError(f"{path}: cannot be read: {reason}; name a text file") from None
    yield from (
        (number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()
    )


def _line(path: str | os.PathLike[str], number: int, text: str) -> _Line:
    words = [word for word in re.split(r"[\s,;]+", text) if word]
    for colour, name in ((words[:3], words[3:]), (words[-3:], words[:-3])):
        if len(colour) == 3 and all(re.fullmatch(r"[0-9]{1,3}", word) for word in colour):
            red, green, blue = map(int, colour)
            if max(red, green, blue) < 256:
                return _Line(number, (red, green, blue), " ".join(name))
    raise DatasetError(
        f'{path}:{number}: "{text[:60]}" is not a colour; write R G B, each 0 to 255, and a name'
    )


def _once(path: str | os.PathLike[str], lines: Sequence[_Line]) -> None:
    seen: dict[object, int] = {}
    for line in lines:
        name = line.name if line.name.lower() not in VOID else ""
        for what, kind in ((line.colour, "colour"), (name, "name")):
            if what and what in seen:
                shown = " ".join(map(str, what)) if kind == "colour" else what
                fact = f"the {kind} {shown} is on line {seen[what]} too"
                raise DatasetError(f"{path}:{line.number}: {fact}; a class has one of its own")
            seen[what] = line.number
