"""Reads image files as exact arrays by Pillow; a damaged file is a DatasetError.

Pillow changes the values of some PNGs: it multiplies 2 and 4 bits of gray up to
8, and keeps only the upper 8 of 16 bits per colour channel.  For labels this
is undone here.
"""

import contextlib
import os
import struct
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from fcnkit.errors import DatasetError
from fcnkit.foreign import refusing
from fcnkit.formats import signature
from fcnkit.libraries import load

if TYPE_CHECKING:
    import numpy
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

SUFFIXES = (
    ".png",
    ".jpg",
    ".jpeg",
    ".bmp",
    ".gif",
    ".ppm",
    ".pgm",
    ".pbm",
    ".tif",
    ".tiff",
    ".webp",
)

# Pillow would also read EPS, for which it starts a program, and some forty others.
_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "GIF", "PPM", "WEBP")
_KINDS = f"{', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}"
_PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"
_ORIENTATION = 0x0112
# How Pillow reads the upper and the lower byte of each 16-bit value: the second takes the
# bytes for little-endian ones, of which it keeps the upper.
_UPPER, _LOWER = ";16B", ";16L"


@dataclass(frozen=True)
class Raw:
    """The values of a label file as they are stored.

    `values` is (height, width), or (height, width, 3) for colours, of uint8 or
    a wider type.  `palette` has a row R, G, B for each index of a palette
    image; `opaque` is False where an alpha channel hides a pixel; `white` is the
    value that a gray image draws as white.
    """

    values: "numpy.ndarray"
    palette: "numpy.ndarray | None" = None
    opaque: bool = True
    white: int = 255


class Alpha(NamedTuple):
    """What becomes of an alpha channel where none is wanted.

    Where it hides a pixel, be it in part, the image is refused, unless it is
    `ignored`; `remedy` says what can be done.  `told` hears of one that hides none.
    """

    ignored: bool = False
    remedy: str = "save it without alpha"
    told: Callable[[str], None] | None = None


REFUSE, IGNORE, KEEP = "refuse", "ignore", "keep"
NO_ALPHA, ANY_ALPHA = Alpha(), Alpha(ignored=True)
_OPAQUE = 255

# Pillow's name for an image of so many channels; the fourth is alpha.
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@contextlib.contextmanager
def opened(path: str | os.PathLike[str] | BinaryIO, place: str = "") -> "Iterator[Image]":
    """The image file, its header read;
    whatever is wrong with it, then or later, is a DatasetError.

    `place` is what messages call it, in place of its path.
    """
    shown = place or path
    images = load("PIL.Image")
    with refusing(
        lambda reason: DatasetError(f"{shown}: cannot be read: {reason}; it may be damaged")
    ):
        try:
            with warnings.catch_warnings():
                # Of twice Pillow's limit it makes an error; below that, large is just large.  What
                # else it warns of either matters, and it raises, or does not.
                warnings.simplefilter("ignore")
                with images.open(path, formats=_FORMATS) as image:
                    yield image
        except images.DecompressionBombError:
            limit = f"{2 * images.MAX_IMAGE_PIXELS:,}"
            raise DatasetError(
                f"{shown}: has more than {limit} pixels, Pillow's limit; cut it into tiles"
            ) from None
        except images.UnidentifiedImageError:
            known = not hasattr(path, "read") and signature.refusal_at(signature.PICTURE, path)
            fact = known or f"is not a {_KINDS} image, or is damaged"
            raise DatasetError(f"{shown}: {fact}") from None
        except MemoryError:
            raise DatasetError(f"{shown}: does not fit into memory; cut it into tiles") from None
        except FileNotFoundError:
            raise DatasetError(f"{shown}: there is no such file; name one that exists") from None


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """The width and height of the picture in a file, by its header; nothing is decoded."""
    with opened(path) as image:
        return image.size


def read_image(
    path: str | os.PathLike[str],
    *,
    mode: str = "RGB",
    turn: bool | None = None,
    alpha: Alpha = NO_ALPHA,
) -> "Image":
    """The picture in a file in a mode of MODES, of 8 bits.

    Where EXIF says that the picture is to be turned, it is with `turn` True,
    and is not with False.  Raises DatasetError where neither is said, for
    damage, for several pictures in one file, for gray images of more than 8 bits,
    which would be cut off, and for a channel that `alpha` does not let go.
    """
    with opened(path) as image:
        _check_one(path, image)
        if image.mode[0] in "IF":
            raise DatasetError(f"{path}: has more than 8 bits per value; make it an 8-bit image")
        orientation = image.getexif().get(_ORIENTATION, 1)
        if orientation not in (0, 1) and turn is None:
            fact = f"its EXIF data says to rotate it (orientation {orientation})"
            raise DatasetError(
                f"{path}: {fact}; give --exif apply if its label is for the rotated image, else "
                "--exif ignore"
            )
        if turn:
            image = load("PIL.ImageOps").exif_transpose(image)
        return converted(image, mode, str(path), alpha)


def _check_one(path: str | os.PathLike[str], image: "Image") -> None:
    """There is one picture in the file; a camera's JPEG may have views of it behind it."""
    pictures = getattr(image, "n_frames", 1)
    if pictures > 1 and image.format != "MPO":
        raise DatasetError(f"{path}: holds {pictures} pictures; save one per file")


def converted(image: "Image", mode: str, place: str, alpha: Alpha = NO_ALPHA) -> "Image":
    """The picture in a mode of MODES.

    Raises DatasetError where it has no fourth channel to give, or one that says
    something and is not wanted.
    """
    if mode != "RGBA":
        _let_go(image, mode, place, alpha)
    elif not image.has_transparency_data:
        fact = "has no alpha channel, but images with one are wanted"
        raise DatasetError(f"{place}: {fact}; give images that all have one, as RGBA PNGs")
    return image.convert(mode)


def _let_go(image: "Image", mode: str, place: str, alpha: Alpha) -> None:
    """Nothing is lost that the alpha channel says, be it a channel or a transparent colour."""
    if alpha.ignored or not image.has_transparency_data:
        return
    low, high = cast("tuple[int, int]", image.convert("RGBA").getchannel("A").getextrema())
    wanted = {"L": "gray images are", "RGB": "images of three channels are"}[mode]
    if low < _OPAQUE:
        fact = f"has an alpha channel of {low} to {high}, but {wanted} wanted"
        raise DatasetError(f"{place}: {fact}; {alpha.remedy}")
    if alpha.told:
        alpha.told(f"{place}: its alpha channel is {_OPAQUE} everywhere and is left out")


def read_raw(path: str | Path, *, lossy: bool = False, as_stored: bool = False) -> Raw:
    """The values of a label file, exactly as stored.

    Raises DatasetError for damage, for several pictures in one file, for values that are no
    whole numbers, for a JPEG, which has kept no value exactly, unless it may be `lossy`, and
    for a picture that its EXIF would turn, unless it is to be `as_stored`.
    """
    depth, colour_type = _png_header(path)
    with opened(path) as image:
        if image.format in ("JPEG", "MPO") and not lossy:
            fact = "is a JPEG, whose compression changes class numbers; export labels as PNG"
            remedy = "or give --map for all of 0 to 255, such as --map 0-127=0,128-255=1"
            raise DatasetError(f"{path}: {fact}, {remedy}")
        _check_one(path, image)
        if image.mode == "F":
            raise DatasetError(f"{path}: has values with fractions; save one class per pixel")
        orientation = image.getexif().get(_ORIENTATION, 1)
        if orientation not in (0, 1) and not as_stored:
            fact = f"its EXIF data says to rotate it (orientation {orientation})"
            raise DatasetError(f"{path}: {fact}; save the label rotated, without EXIF data")
        if depth == 16 and colour_type in (2, 6):
            return _deep(path, image)
        if depth == 16 and colour_type == 4:
            raise DatasetError(
                f"{path}: is 16-bit gray with an alpha channel; save it without alpha"
            )
        return _raw(image, depth if colour_type == 0 else 8)


def _png_header(path: str | Path) -> tuple[int, int]:
    """Bits per value and PNG's colour type; 8 and -1 for other formats."""
    try:
        with open(path, "rb") as file:
            head = file.read(26)
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from None
    return (
        struct.unpack("BB", head[24:26]) if head.startswith(_PNG) and len(head) == 26 else (8, -1)
    )


def _raw(image: "Image", depth: int) -> Raw:
    import numpy as np

    palette = None
    if image.mode in ("P", "PA"):
        palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        image = image.convert("RGB")
    values = np.asarray(image)
    if values.dtype == bool:
        return Raw(values.astype(np.uint8), palette, white=1)
    if depth in (2, 4) and image.mode == "L":
        white = 2**depth - 1
        return Raw(values // (255 // white), palette, white=white)
    if image.mode in ("LA", "PA", "RGBA"):
        return _without_alpha(values, palette)
    return Raw(values, palette)


def _without_alpha(values: "numpy.ndarray", palette: "numpy.ndarray | None") -> Raw:
    opaque = bool((values[..., -1] == 255).all())
    rest = values[..., :-1]
    return Raw(rest[..., 0] if rest.shape[2] == 1 else rest, palette, opaque)


def _deep(path: str | Path, image: "Image") -> Raw:
    """All 16 bits of each colour channel: read twice, the upper bytes and the lower."""
    import numpy as np

    upper = np.asarray(image).astype(np.uint16)
    with opened(path) as again:
        file = cast("ImageFile", again)
        file.tile = [_lower(tile) for tile in file.tile]
        values = upper << 8 | np.asarray(again)
    if values.shape[2] == 3:
        return Raw(values)
    return Raw(values[..., :3], None, bool((values[..., 3] == 65535).all()))


def _lower(tile: Any) -> Any:
    """Pillow's order to read one piece of an image, for the lower byte in place of the upper."""
    mode = tile[3].replace(_UPPER, _LOWER)
    return tile._replace(args=mode) if hasattr(tile, "_replace") else (*tile[:3], mode)
