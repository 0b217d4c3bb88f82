"""Draws datasets and scores: contact sheets and confusion matrices."""

import io
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from fcnkit.datasets.colours import Colour, painted, voc_palette
from fcnkit.datasets.records import Picture
from fcnkit.datasets.samples import Sample, in_rgb
from fcnkit.errors import DatasetError, printable
from fcnkit.inference.legend import INK, PAPER, Legend, fitted, font
from fcnkit.inference.overlay import png_of
from fcnkit.libraries import load
from fcnkit.preprocessing import BGR
from fcnkit.scoring.metrics import Scores

if TYPE_CHECKING:
    import numpy

# The width of one picture on a contact sheet, and the room between two, in pixels.
_WIDTH, _GAP = 240, 6
# Above so many classes, no number fits into a field of the matrix.
_NUMBERED = 25
# One picture of a gallery, a line under a picture and its text, in pixels.
_THUMB, _LINE, _TEXT = 144, 19, 13
# Of more classes a legend has only those that are shown.
_LISTED = 40
_IGNORED = "ignored"


def sheet(
    samples: Iterable[Sample],
    colours: Sequence[Colour],
    *,
    names: Sequence[str] = (),
    ignore: int = 255,
    order: str = BGR,
    columns: int = 3,
) -> bytes:
    """A PNG of images beside their coloured labels, `columns` pairs in a row, above the legend.

    Each pair stands over the name of its file.  Images are (channels, height, width) in
    this order of channels, of which the first three are drawn, labels (height, width).
    The legend has the classes of these `names`, and what is ignored where something is.
    Raises DatasetError where there are none.
    """
    found = list(samples)
    tiles = [_tile(each.image, painted(each.label, colours, ignore), order) for each in found]
    if not tiles:
        raise DatasetError("no images to draw are given; give at least one")
    columns = min(columns, len(tiles))
    captions = _LINE if any(each.name for each in found) else 0
    across, down = _cell(2 * _WIDTH + _GAP, max(tile.shape[0] for tile in tiles) + captions)
    images = load("PIL.Image")
    entries = _entries([each.label for each in found], names, colours, ignore)
    legend = Legend([*entries], [*entries.values()], columns * across - 2 * _GAP)
    canvas, pen = _canvas(columns * across, -(-len(tiles) // columns) * down, legend)
    for number, (each, tile) in enumerate(zip(found, tiles, strict=True)):
        left, top = number % columns * across + _GAP, number // columns * down + _GAP
        canvas.paste(images.fromarray(tile), (left, top))
        words = fitted(each.name, tile.shape[1], _TEXT, ends=True)
        pen.text((left, top + tile.shape[0] + 2), words, INK, font(_TEXT))
    return png_of(canvas)


def _cell(width: int, height: int) -> tuple[int, int]:
    return width + 2 * _GAP, height + 2 * _GAP


def _canvas(width: int, height: int, legend: Legend) -> tuple[Any, Any]:
    """White paper of this size with the legend below it, and what draws on it."""
    room = legend.height + _GAP if legend.height else 0
    canvas = load("PIL.Image").new("RGB", (width, height + room), PAPER)
    pen = load("PIL.ImageDraw").Draw(canvas)
    legend.draw(pen, _GAP, height)
    return canvas, pen


def _entries(
    labels: "Sequence[numpy.ndarray]", names: Sequence[str], colours: Sequence[Colour], ignore: int
) -> dict[str, Colour]:
    """The legend: all classes, or where they are many those that are shown; what is ignored."""
    import numpy as np

    there = {int(value) for label in labels for value in np.unique(label)}
    few = len(names) <= _LISTED
    found = {
        name if name == str(number) else f"{number}  {name}": colours[number]
        for number, name in enumerate(names)
        if few or number in there
    }
    return found | ({_IGNORED: voc_palette()[255]} if found and ignore in there else {})


def gallery(
    pictures: Iterable[Picture],
    *,
    classes: bool = False,
    names: Sequence[str] = (),
    columns: int = 5,
) -> bytes:
    """A PNG of pictures, `columns` in a row, each over its number and its key.

    Colours are blue, green and red, as Caffe has them; floats are drawn from their
    darkest to their lightest, and with `classes` one channel of bytes as a label image,
    with a legend of its values.  `names` are those of the classes.
    Raises DatasetError where there are none.
    """
    images = load("PIL.Image")
    found = list(pictures)
    if not found:
        raise DatasetError("no records to draw are given; give at least one")
    tiles = [images.fromarray(_seen(each.array, classes)) for each in found]
    sizes = [_fitting(tile.width, tile.height) for tile in tiles]
    columns = min(columns, len(tiles))
    numbered = not classes and any(each.label is not None for each in found)
    across, down = _cell(_THUMB, max(height for _, height in sizes) + (1 + numbered) * _LINE)
    entries = _values([each.array for each in found], names) if classes else {}
    legend = Legend([*entries], [*entries.values()], columns * across - 2 * _GAP)
    canvas, pen = _canvas(columns * across, -(-len(tiles) // columns) * down, legend)
    for number, (each, tile, size) in enumerate(zip(found, tiles, sizes, strict=True)):
        left, top = number % columns * across + _GAP, number // columns * down + _GAP
        smaller = size[0] < tile.width and not classes
        way = images.Resampling.BILINEAR if smaller else images.Resampling.NEAREST
        canvas.paste(tile.resize(size, way), (left, top))
        below = top + size[1] + 2
        pen.text((left, below), fitted(each.key, _THUMB, _TEXT, ends=True), INK, font(_TEXT))
        if numbered:
            words = fitted(_called(each.label, names), _THUMB, _TEXT)
            pen.text((left, below + _LINE), words, INK, font(_TEXT))
    return png_of(canvas)


def _called(label: int | None, names: Sequence[str]) -> str:
    """A record's number, and the name of that class where there is one."""
    if label is None:
        return ""
    return f"{label}  {names[label]}" if 0 <= label < len(names) else str(label)


def _values(arrays: "Iterable[numpy.ndarray]", names: Sequence[str]) -> dict[str, Colour]:
    """The values that label images have, as `_seen` colours them."""
    import numpy as np

    flat = [array for array in arrays if array.dtype == np.uint8 and len(array) == 1]
    there = sorted({int(value) for array in flat for value in np.unique(array)})
    return {_called(value, names): voc_palette()[value] for value in there}


def _fitting(width: int, height: int) -> tuple[int, int]:
    """The size in which a picture is drawn: as wide as its place, or twice as tall at most."""
    factor = min(_THUMB / width, 2 * _THUMB / height)
    return max(1, round(width * factor)), max(1, round(height * factor))


def _seen(array: "numpy.ndarray", classes: bool) -> "numpy.ndarray":
    """(channels, height, width) as (height, width, 3) of bytes in RGB."""
    import numpy as np

    if array.dtype != np.uint8:
        finite = np.where(np.isfinite(array), array, 0).astype(np.float64)
        low, high = finite.min(), finite.max()
        array = ((finite - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)
    elif classes and len(array) == 1:
        return painted(array[0], voc_palette())
    planes = array[2::-1] if len(array) > 1 else array
    return np.ascontiguousarray(np.moveaxis(np.broadcast_to(planes, (3, *array.shape[1:])), 0, 2))


def _tile(image: "numpy.ndarray", label: "numpy.ndarray", order: str) -> "numpy.ndarray":
    """An image and its label side by side."""
    import numpy as np

    images = load("PIL.Image")
    picture = in_rgb(image, order)
    size = _WIDTH, max(1, round(_WIDTH * picture.shape[0] / picture.shape[1]))
    left = images.fromarray(picture).resize(size, images.Resampling.BILINEAR)
    right = images.fromarray(label).resize(size, images.Resampling.NEAREST)
    gap = np.full((size[1], _GAP, 3), 255, np.uint8)
    return np.concatenate([np.asarray(left), gap, np.asarray(right)], axis=1)


def picture(scores: Scores) -> bytes:
    """A PNG of the confusion matrix, each row by its sum, beside the IU of each class."""
    import numpy as np

    figures, agg = load("matplotlib.figure"), load("matplotlib.backends.backend_agg")
    count = len(scores.names)
    side = min(max(4, 0.35 * count + 2), 30)
    figure = figures.Figure(figsize=(2 * side, side), layout="constrained")
    agg.FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    counts = np.array(scores.confusion, float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    _matrix(left, shares, scores.names)
    right.barh(range(count), np.nan_to_num(scores.ius), color="#4477aa")
    for number in (number for number, iu in enumerate(scores.ius) if math.isnan(iu)):
        right.text(0.01, number, "not there", va="center", size=7, color="gray")
    right.set(xlim=(0, 1), ylim=(count - 0.5, -0.5), xlabel="IU", yticks=range(count))
    right.set_yticklabels(_escaped(scores.names))
    right.set_title(f"mean IU {scores.mean_iu:.3f}, pixel accuracy {scores.pixel_accuracy:.3f}")
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100, metadata={"Software": None})
    return file.getvalue()


def _matrix(axes: Any, shares: "numpy.ndarray", names: Sequence[str]) -> None:
    places = range(len(names))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="predicted", ylabel="labelled", xticks=places, yticks=places)
    axes.set_title("what the pixels of each class are predicted as")
    axes.set_xticklabels(_escaped(names), rotation=90)
    axes.set_yticklabels(_escaped(names))
    for row, column in ((r, c) for r in places for c in places if len(names) <= _NUMBERED):
        share = shares[row, column]
        if share >= 0.005:
            colour = "white" if share > 0.5 else "black"
            axes.text(
                column,
                row,
                f"{share:.2f}".lstrip("0"),
                ha="center",
                va="center",
                size=7,
                color=colour,
            )


def _escaped(names: Sequence[str]) -> list[str]:
    """Names as matplotlib shows them literally: a dollar begins a formula there."""
    return [printable(name).replace("$", r"\$") for name in names]
