"""Draws datasets and scores: contact sheets and confusion matrices."""

import io
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from fcnkit.datasets.colours import Colour, painted, voc_palette
from fcnkit.datasets.records import Picture
from fcnkit.errors import DatasetError
from fcnkit.libraries import load
from fcnkit.preprocessing import BGR, STORED
from fcnkit.scoring.metrics import Scores

if TYPE_CHECKING:
    import numpy

# The width of one picture on a contact sheet, and the room between two, in pixels.
_WIDTH, _GAP = 240, 6
# Above so many classes, no number fits into a field of the matrix.
_NUMBERED = 25
# One picture of a gallery, and the line under it, in pixels.
_THUMB, _LINE = 144, 14


def sheet(
    pairs: Iterable[tuple["numpy.ndarray", "numpy.ndarray"]],
    colours: Sequence[Colour],
    *,
    ignore: int = 255,
    order: str = BGR,
    columns: int = 3,
) -> bytes:
    """A PNG of images beside their coloured labels, `columns` pairs in a row.

    Images are (channels, height, width) in this order of channels, of which the
    first three are drawn, labels
    (height, width).  Raises DatasetError where there are none.
    """
    import numpy as np

    tiles = [_tile(image, painted(label, colours, ignore), order) for image, label in pairs]
    if not tiles:
        raise DatasetError("there are no images to draw; ask for at least one")
    height = max(tile.shape[0] for tile in tiles)
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    across, down = 2 * _WIDTH + _GAP + 2 * _GAP, height + 2 * _GAP
    canvas = np.full((rows * down, columns * across, 3), 255, np.uint8)
    for number, tile in enumerate(tiles):
        top, left = number // columns * down + _GAP, number % columns * across + _GAP
        canvas[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return _png(canvas)


def gallery(pictures: Iterable[Picture], *, classes: bool = False, columns: int = 5) -> bytes:
    """A PNG of pictures, `columns` in a row, each over its number and its key.

    Colours are blue, green and red, as Caffe has them; floats are drawn from their
    darkest to their lightest, and with `classes` one channel of bytes as a label image.
    Raises DatasetError where there are none.
    """
    import numpy as np

    images, drawing = load("PIL.Image"), load("PIL.ImageDraw")
    found = list(pictures)
    if not found:
        raise DatasetError("there are no records to draw; ask for at least one")
    tiles = [images.fromarray(_seen(each.array, classes)) for each in found]
    sizes = [_fitting(tile.width, tile.height) for tile in tiles]
    columns = min(columns, len(tiles))
    across, down = _THUMB + 2 * _GAP, max(height for _, height in sizes) + _LINE + 2 * _GAP
    canvas = images.new("RGB", (columns * across, -(-len(tiles) // columns) * down), "white")
    for number, (each, tile, size) in enumerate(zip(found, tiles, sizes, strict=True)):
        left, top = number % columns * across + _GAP, number // columns * down + _GAP
        smaller = size[0] < tile.width and not classes
        way = images.Resampling.BILINEAR if smaller else images.Resampling.NEAREST
        canvas.paste(tile.resize(size, way), (left, top))
        label = "" if each.label is None else f"{each.label}  "
        words = f"{label}{each.key}"[: _THUMB // 6]
        drawing.Draw(canvas).text((left, top + size[1] + 1), words, fill="black")
    return _png(np.asarray(canvas))


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
    if order == STORED:
        image = image[:3] if len(image) >= 3 else image[:1]
    planes = image[2::-1] if order == BGR else image[:3]
    picture = np.moveaxis(np.broadcast_to(planes, (3, *planes.shape[1:])), 0, 2)
    size = _WIDTH, max(1, round(_WIDTH * picture.shape[0] / picture.shape[1]))
    left = images.fromarray(np.ascontiguousarray(picture)).resize(size, images.Resampling.BILINEAR)
    right = images.fromarray(label).resize(size, images.Resampling.NEAREST)
    gap = np.full((size[1], _GAP, 3), 255, np.uint8)
    return np.concatenate([np.asarray(left), gap, np.asarray(right)], axis=1)


def _png(array: "numpy.ndarray") -> bytes:
    file = io.BytesIO()
    load("PIL.Image").fromarray(array).save(file, "PNG")
    return file.getvalue()


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
    return [name.replace("$", r"\$") for name in names]
