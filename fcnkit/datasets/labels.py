"""Reads label files of all kinds as exact class numbers: nothing is rounded, guessed or cut off."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fcnkit.datasets.colours import ColourMap
from fcnkit.datasets.images import Raw, image_size, read_raw
from fcnkit.errors import DatasetError
from fcnkit.foreign import refusing
from fcnkit.formats import npy
from fcnkit.plural import number_of
from fcnkit.shape import show

if TYPE_CHECKING:
    import numpy

# SYNTHIA keeps the class in the first of three 16-bit channels and the instance in the second.
CHANNELS = {"red": 0, "green": 1, "blue": 2, "class": 0, "instance": 1}
INDEX, COLOUR = "index", "colour"
ERROR, IGNORE, KEEP = "error", "ignore", "keep"
# Wider values than this are no labels of anything.
_MOST = 1 << 16


@dataclass(frozen=True)
class Reading:
    """How label files become class numbers 0 to `classes` - 1, or `ignore`.

    `colours` says which colour is which class, `channel` that one channel of
    a colour image holds the class.  Of a palette image the index counts, or
    its colour where `palette` is "colour"; with "" the index, but a palette
    that disagrees with `colours` is an error.  So of a gray image its numbers
    count or its grays, and with "" whichever are known.  Values in `void` are ignored;
    where there are `numbers`, they say what every other value becomes.
    Whatever is then no class is an error; with `unknown` "ignore" it is
    ignored, and with "keep" a number stays as it is, or 255 where it is larger.
    A label that its EXIF would turn is an error, unless it counts `as_stored`.
    """

    classes: int
    ignore: int = 255
    colours: ColourMap | None = None
    channel: str = ""
    palette: str = ""
    void: tuple[int, ...] = ()
    numbers: Mapping[int, int] = field(default_factory=dict)
    unknown: str = ERROR
    as_stored: bool = False

    @property
    def whole(self) -> bool:
        """Whether it says what becomes of each value of 8 bits, so that none need be exact."""
        return len({*self.numbers, *self.void} & {*range(256)}) == 256

    def check(self) -> None:
        """The numbers fit 8 bits and each other; DatasetError otherwise."""
        if not 1 <= self.classes <= 255:
            raise DatasetError(
                f"{number_of(self.classes, 'class')}: labels have 8 bits, with one value to "
                "ignore; give 1 to 255 classes"
            )
        if not self.classes <= self.ignore <= 255:
            fact = (
                f"ignore {self.ignore}: must be above the {number_of(self.classes, 'class')}, 0 to "
                f"{self.classes - 1}"
            )
            raise DatasetError(f"{fact}, and at most 255; use 255, as is usual")
        wrong = [
            new
            for new in self.numbers.values()
            if not (0 <= new < self.classes or new == self.ignore)
        ]
        if wrong:
            raise DatasetError(
                f"map to {wrong[0]}: is not a class, 0 to {self.classes - 1}, nor {self.ignore}"
            )


def read_label(path: str | Path, reading: Reading) -> "numpy.ndarray":
    """The class of each pixel, uint8 of (height, width).

    Raises DatasetError with the file, the first pixel that is at fault, and
    its value or colour.
    """
    if Path(path).suffix == ".npy":
        return _numbered(path, _array(path), reading)
    raw = read_raw(path, lossy=reading.whole, as_stored=reading.as_stored)
    if not raw.opaque and reading.unknown != IGNORE:
        raise DatasetError(f"{path}: has transparent pixels; save it without alpha")
    if raw.values.ndim == 3:
        return _of_channels(path, raw.values, reading)
    if raw.palette is not None:
        return _of_palette(path, raw, raw.palette, reading)
    if reading.colours is None or reading.palette == INDEX:
        return _numbered(path, raw.values, reading)
    return _of_gray(path, raw, reading)


def numbers_in(path: str | Path, reading: Reading) -> "numpy.ndarray | None":
    """The numbers of a label file as stored; None where its colours count."""
    if Path(path).suffix == ".npy":
        return _array(path)
    raw = read_raw(path, lossy=reading.whole, as_stored=reading.as_stored)
    if raw.values.ndim == 3:
        return raw.values[..., CHANNELS[reading.channel]] if reading.channel else None
    return None if raw.palette is not None and reading.palette == COLOUR else raw.values


def label_size(path: str | Path) -> tuple[int, int]:
    """The width and height of a label, by its header: of a file that may be of any size."""
    if Path(path).suffix != ".npy":
        return image_size(path)
    with refusing(lambda reason: _unreadable(path, reason)):
        shape = npy.shape_of(path)
    if len(shape) != 2:
        raise DatasetError(_no_label(path, f"{show(shape)} values"))
    return shape[1], shape[0]


def _unreadable(path: str | Path, reason: str) -> DatasetError:
    return DatasetError(f"{path}: cannot be read: {reason}; it may be damaged")


def _no_label(path: str | Path, what: str) -> str:
    fact = f"is {what}, no array of whole numbers, height by width"
    return f"{path}: {fact}; save one class per pixel"


def _array(path: str | Path) -> "numpy.ndarray":
    import numpy as np

    with refusing(lambda reason: _unreadable(path, reason)):
        values = npy.read(path)
    if values.ndim != 2 or values.dtype.kind not in "bui":
        raise DatasetError(_no_label(path, f"{show(values.shape)} values of {values.dtype}"))
    return values.astype(np.uint8) if values.dtype == bool else values


def _of_channels(path: str | Path, values: "numpy.ndarray", reading: Reading) -> "numpy.ndarray":
    if reading.channel:
        return _numbered(path, values[..., CHANNELS[reading.channel]], reading)
    if values.dtype.itemsize > 1:
        remedy = "give --channel class, red, green or blue"
        raise DatasetError(
            f"{path}: has three channels of 16 bits, as SYNTHIA's labels do; {remedy}"
        )
    if reading.colours is None:
        remedy = (
            "give the colours of the classes with --colours, or name the channel with --channel"
        )
        raise DatasetError(f"{path}: has three channels; {remedy}")
    return _of_colours(path, _coded(values), reading)


def _of_palette(
    path: str | Path, raw: Raw, palette: "numpy.ndarray", reading: Reading
) -> "numpy.ndarray":
    codes = _coded(palette)
    highest = int(raw.values.max(initial=0))
    if highest >= len(codes) and reading.palette == COLOUR:
        raise DatasetError(
            f"{path}: uses index {highest}, and its palette has "
            f"{number_of(len(codes), 'colour')}; save it again"
        )
    if reading.palette == COLOUR:
        return _of_colours(path, codes[raw.values], reading)
    if reading.colours and not reading.palette:
        _agree(path, raw.values, palette, reading.colours)
    return _numbered(path, raw.values, reading)


def _agree(
    path: str | Path, values: "numpy.ndarray", palette: "numpy.ndarray", colours: ColourMap
) -> None:
    """The palette has the map's colour for each class that the label uses."""
    import numpy as np

    known = min(len(colours.colours), len(palette))
    for index in np.flatnonzero(np.bincount(values.ravel(), minlength=known)[:known]):
        here, there = tuple(map(int, palette[index])), colours.colours[index]
        if here != there:
            fact = (
                f"index {index} is {_shown(here)} in its palette, but {_shown(there)} in "
                f"{colours.path}"
            )
            raise DatasetError(f"{path}: {fact}; choose with --palette index or --palette colour")


def _of_gray(path: str | Path, raw: Raw, reading: Reading) -> "numpy.ndarray":
    """The classes of a gray image: its values are numbers, or colours of which R = G = B."""
    codes, strict = _grays(raw), replace(reading, unknown=ERROR)
    numbered = _tried(lambda: _numbered(path, raw.values, strict))
    coloured = _tried(lambda: _of_colours(path, codes, strict))
    if numbered is not None and coloured is not None:
        if not reading.palette:
            _same_class(path, raw, numbered, coloured, reading)
        return coloured
    if numbered is None and coloured is None and _more_colours(path, raw, reading):
        return _of_colours(path, codes, reading)
    return _numbered(path, raw.values, reading) if coloured is None else coloured


def _more_colours(path: str | Path, raw: Raw, reading: Reading) -> bool:
    """Whether more pixels of a gray image have the colour of a class than its number."""
    lax = replace(reading, unknown=IGNORE)
    found = _numbered(path, raw.values, lax), _of_colours(path, _grays(raw), lax)
    numbered, coloured = (int((each != reading.ignore).sum()) for each in found)
    return coloured > numbered


def _grays(raw: Raw) -> "numpy.ndarray":
    """The colour of each pixel of a gray image as one number; -1 for values above white."""
    import numpy as np

    values = raw.values.astype(np.int64) * (255 // raw.white)
    return np.where((values >= 0) & (values <= 255), values * 0x010101, -1).astype(np.int32)


def _tried(read: "Callable[[], numpy.ndarray]") -> "numpy.ndarray | None":
    try:
        return read()
    except DatasetError:
        return None


def _same_class(
    path: str | Path,
    raw: Raw,
    numbered: "numpy.ndarray",
    coloured: "numpy.ndarray",
    reading: Reading,
) -> None:
    """Numbers and colours give one class, but that a colour may be the number to ignore.

    A mask of 0 and 255 whose map lists 255 255 255 is so: the colour says what 255 is.
    """
    import numpy as np

    differ = numbered != coloured
    swallowed = (numbered == reading.ignore) & ~np.isin(raw.values, reading.void)
    if (wrong := differ & ~swallowed).any():
        value = int(raw.values[wrong][0])
        gray, classes = value * (255 // raw.white), (numbered[wrong][0], coloured[wrong][0])
        here, there = ("ignored" if each == reading.ignore else f"class {each}" for each in classes)
        colours = reading.colours.path if reading.colours else ""
        fact = f"is {here} as a number, and {there} as the colour {gray} {gray} {gray} of {colours}"
        raise DatasetError(
            f"{path}: pixel {_first(wrong)}, {value}, {fact}; choose with --palette index or "
            "--palette colour"
        )


def _coded(colours: "numpy.ndarray") -> "numpy.ndarray":
    """Each colour as one number."""
    import numpy as np

    return colours.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)


def _of_colours(path: str | Path, codes: "numpy.ndarray", reading: Reading) -> "numpy.ndarray":
    import numpy as np

    if reading.colours is None:
        raise DatasetError(
            f"{path}: --palette colour needs the colours of the classes; give --colours"
        )
    known, classes = _sorted(reading.colours, reading.ignore)
    place = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    values = classes[place]
    lost = known[place] != codes
    if lost.any() and reading.unknown != IGNORE:
        code = int(codes[lost][0])
        colour = _shown((code >> 16, code >> 8 & 255, code & 255))
        fact = f"pixel {_first(lost)} is {colour}, which is not in {reading.colours.path}"
        raise DatasetError(
            f"{path}: {fact} ({_others(codes[lost], 'colour')}); {_remedy('--colours')}"
        )
    values[lost] = reading.ignore
    return _numbered(path, values, reading)


def _sorted(colours: ColourMap, ignore: int) -> tuple["numpy.ndarray", "numpy.ndarray"]:
    """The codes of all colours, ascending, and the value of each."""
    import numpy as np

    codes = _coded(np.array([*colours.colours, *colours.void]))
    values = np.array([*range(len(colours.colours)), *([ignore] * len(colours.void))], np.int32)
    order = np.argsort(codes)
    return codes[order], values[order]


def _numbered(path: str | Path, values: "numpy.ndarray", reading: Reading) -> "numpy.ndarray":
    import numpy as np

    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    if low < 0 or high >= _MOST:
        found = low if low < 0 else high
        raise DatasetError(
            f"{path}: pixel {_first(values == found)} is {found}; labels are 0 to {_MOST - 1}"
        )
    table = _table(reading, high + 1)
    found = table[values]
    lost = found < 0
    if reading.unknown == KEEP:
        found[lost] = np.minimum(values[lost], 255)
        return found.astype(np.uint8)
    if lost.any() and reading.unknown == ERROR:
        first = int(values[lost][0])
        known = (
            "in the map"
            if reading.numbers
            else f"a class, 0 to {reading.classes - 1}, nor {reading.ignore}"
        )
        fact = f"pixel {_first(lost)} is {first}, which is not {known}"
        raise DatasetError(
            f"{path}: {fact} ({_others(values[lost], 'value')}); {_remedy('--void or --map')}"
        )
    found[lost] = reading.ignore
    return found.astype(np.uint8)


def _table(reading: Reading, size: int) -> "numpy.ndarray":
    """What each value becomes; -1 for one that is no class."""
    import numpy as np

    table = np.full(max(size, 256), -1, np.int16)
    if not reading.numbers:
        table[: reading.classes] = np.arange(reading.classes)
    table[reading.ignore] = reading.ignore
    for old, new in [
        *reading.numbers.items(),
        *((value, reading.ignore) for value in reading.void),
    ]:
        if 0 <= old < len(table):
            table[old] = new
    return table


def _first(mask: "numpy.ndarray") -> str:
    import numpy as np

    row, column = np.unravel_index(int(mask.argmax()), mask.shape)
    return f"x {column}, y {row}"


def _others(values: "numpy.ndarray", what: str) -> str:
    import numpy as np

    count = len(np.unique(values))
    return f"{number_of(values.size, 'pixel')} of {number_of(count, what)}"


def _remedy(option: str) -> str:
    return f"add it with {option}, or ignore it with --unknown ignore"


def _shown(colour: Sequence[int]) -> str:
    return " ".join(map(str, colour))
