"""Draws what a net sees: class maps, colours and heat over the image, confidence, the legend."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fcnkit.datasets.colours import Colour, painted, voc_palette
from fcnkit.inference.legend import INK, PAPER, RIM, fitted
from fcnkit.libraries import load

if TYPE_CHECKING:
    import numpy
    from PIL.Image import Image

# Sizes of the legend in pixels: the text, a line, a colour's width, the margin; lines in a column.
_TEXT, _LINE, _SWATCH, _MARGIN, _LINES = 15, 24, 28, 12, 32
# Heat's caption: its height, and the width that it takes at least.
_CAPTION, _WIDTH = 46, 260
# Where no window lies, heat shows the image pale: so much of it is white.
_PALE = 0.6


def palette_png(classes: "numpy.ndarray", colours: Sequence[Colour]) -> bytes:
    """A palette PNG whose indices are the classes; colours that are not given are VOC's."""
    image = load("PIL.Image").fromarray(classes)
    palette = [*colours[:256], *voc_palette()[len(colours) :]]
    image.putpalette([value for colour in palette for value in colour])
    return png_of(image)


def overlay(
    image: "numpy.ndarray",
    classes: "numpy.ndarray",
    colours: Sequence[Colour],
    opacity: float = 0.5,
) -> "numpy.ndarray":
    """The colours of the classes over an RGB image: at opacity 0 the image, at 1 the colours."""
    return blend(image, painted(classes, colours), opacity)


def blend(
    image: "numpy.ndarray", over: "numpy.ndarray", opacity: "float | numpy.ndarray"
) -> "numpy.ndarray":
    """(1 - opacity) * image + opacity * over, rounded to bytes."""
    import numpy as np

    opacity = np.asarray(opacity, np.float32)
    return np.rint(image * (1 - opacity) + over * opacity).astype(np.uint8)


def gray(confidence: "numpy.ndarray") -> "numpy.ndarray":
    """Probabilities as bytes: 0 is black, 1 white."""
    import numpy as np

    return np.rint(np.clip(confidence, 0, 1) * 255).astype(np.uint8)


def heat(image: "numpy.ndarray", values: "numpy.ndarray", opacity: float = 0.5) -> "numpy.ndarray":
    """Values of 0 to 1 in colours over the image in gray, which is pale where they are NaN."""
    import numpy as np

    inside = np.isfinite(values)
    ground = image.mean(axis=2, keepdims=True).repeat(3, axis=2)
    hot = blend(ground, _hot(np.where(inside, values, 0)), opacity)
    return np.where(inside[..., None], hot, blend(ground, np.float32(255), _PALE))


def _hot(values: "numpy.ndarray") -> "numpy.ndarray":
    maps = load("matplotlib").colormaps
    return (maps["inferno"](values.clip(0, 1))[..., :3] * 255).round()


def enlarged(array: "numpy.ndarray", zoom: int) -> "numpy.ndarray":
    """Each pixel of the first two axes as zoom x zoom of them."""
    return array if zoom == 1 else array.repeat(zoom, axis=0).repeat(zoom, axis=1)


def heat_png(picture: "numpy.ndarray", name: str, peak: float) -> bytes:
    """A heat picture with its class, its highest value and the scale of its colours below it."""
    import numpy as np

    images = load("PIL.Image")
    height, width = picture.shape[:2]
    canvas = images.new("RGB", (max(width, _WIDTH), height + _CAPTION), PAPER)
    canvas.paste(images.fromarray(picture), (0, 0))
    pen, font = pen_on(canvas)
    right = canvas.width - 8
    peak_text = f"at most {peak:.2f}"
    room = canvas.width - 16 - pen.textlength(peak_text, font) - 12
    pen.text((8, height + 14), fitted(name, room, _TEXT), INK, font, anchor="lm")
    pen.text((right, height + 14), peak_text, INK, font, anchor="rm")
    bar = images.fromarray(_hot(np.linspace(0, 1, right - 44)[None].repeat(10, 0)).astype(np.uint8))
    canvas.paste(bar, (22, height + 29))
    pen.text((8, height + 34), "0", INK, font, anchor="lm")
    pen.text((right, height + 34), "1", INK, font, anchor="rm")
    return png_of(canvas)


def legend_png(names: Sequence[str], colours: Sequence[Colour]) -> bytes:
    """The colour, number and name of each class, in columns."""
    images = load("PIL.Image")
    pen, font = pen_on(images.new("RGB", (1, 1)))
    rows = min(len(names), _LINES)
    texts = [
        name if name == str(number) else f"{number}  {name}" for number, name in enumerate(names)
    ]
    texts = [fitted(text, 280, _TEXT) for text in texts]
    step = _SWATCH + 10 + round(max(pen.textlength(text, font) for text in texts)) + 2 * _MARGIN
    columns = -(-len(names) // rows)
    canvas = images.new("RGB", (columns * step, rows * _LINE + 2 * _MARGIN), PAPER)
    pen, font = pen_on(canvas)
    for number, (text, colour) in enumerate(zip(texts, colours, strict=True)):
        left, top = number // rows * step + _MARGIN, number % rows * _LINE + _MARGIN
        pen.rectangle((left, top + 3, left + _SWATCH, top + _LINE - 3), tuple(colour), RIM)
        pen.text((left + _SWATCH + 10, top + _LINE // 2), text, INK, font, anchor="lm")
    return png_of(canvas)


def pen_on(canvas: "Image") -> tuple[Any, Any]:
    """What draws on a canvas, and its font."""
    return load("PIL.ImageDraw").Draw(canvas), load("PIL.ImageFont").load_default(_TEXT)


def png(array: "numpy.ndarray") -> bytes:
    """A PNG of bytes, gray or RGB."""
    return png_of(load("PIL.Image").fromarray(array))


def png_of(image: "Image") -> bytes:
    """The PNG of an image of Pillow's."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
