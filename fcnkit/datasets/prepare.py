"""Turns one image file and its label file into two arrays, or into a list of what is wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from fcnkit.datasets.databases import encoded
from fcnkit.datasets.geometry import Geometry, size_of
from fcnkit.datasets.images import KEEP, REFUSE, Alpha, image_size, read_image
from fcnkit.datasets.labels import Reading, label_size, read_label
from fcnkit.datasets.pairs import Pair
from fcnkit.datasets.stacks import is_stack, read_stack, stack_size
from fcnkit.errors import DatasetError
from fcnkit.preprocessing import BGR, GRAY, STORED

if TYPE_CHECKING:
    import numpy
    from PIL.Image import Image

_ALPHA_REMEDY = "give --alpha ignore to leave it out, or --alpha keep"


@dataclass(frozen=True)
class PairOptions:
    """How files become arrays.

    `order` is that of an image's channels; Caffe's models have bgr, and STORED
    is that of .npy files, of any number of channels.  `turn`
    says what to do with images that EXIF would turn.  `empty` lets labels
    pass that are ignored altogether.  `png` stores both as PNGs in their Datums.
    `alpha` says what becomes of a fourth channel: REFUSE, where it says
    something, IGNORE or KEEP, behind the colours.
    """

    reading: Reading
    geometry: Geometry = Geometry()
    order: str = BGR
    turn: bool | None = None
    empty: bool = False
    png: bool = False
    alpha: str = REFUSE

    @property
    def mode(self) -> str:
        """The name in `images.MODES` of what images are read as."""
        return "L" if self.order == GRAY else "RGBA" if self.alpha == KEEP else "RGB"

    def check(self) -> None:
        """The options go together; DatasetError otherwise."""
        self.reading.check()
        if self.alpha == KEEP and self.order == GRAY:
            raise DatasetError("gray images have no alpha channel to keep; use --order bgr")
        if self.order == STORED and self.png:
            fact = "Caffe reads a PNG in a database as three channels"
            raise DatasetError(f"{fact}; store images of any number with --encode raw")
        if self.alpha == KEEP and self.png:
            fact = "Caffe reads a PNG in a database as three channels, so four cannot be kept"
            raise DatasetError(f"{fact}; store raw values with --encode raw")


class Prepared(NamedTuple):
    """An image of (channels, height, width) and its label of (height,
    width), or the `problems` of the pair.

    `stored` are their Datums where they are stored as PNGs.
    """

    image: "numpy.ndarray | None" = None
    label: "numpy.ndarray | None" = None
    problems: tuple[str, ...] = ()
    stored: tuple[bytes, bytes] | None = None

    @property
    def arrays(self) -> "tuple[numpy.ndarray, numpy.ndarray] | None":
        """The image and the label; None where there are problems."""
        return None if self.image is None or self.label is None else (self.image, self.label)


def prepared(pair: Pair, recipe: PairOptions) -> Prepared:
    """The arrays of a pair, or everything that is wrong with it:
    nothing is raised for bad files.
    """
    apart = _apart(pair)
    if apart:
        return Prepared(problems=(apart,))
    problems: list[str] = []
    image = _tried(lambda: _image(pair.image, recipe), problems)
    label = _tried(lambda: read_label(pair.label, recipe.reading), problems)
    if image is None or label is None:
        return Prepared(problems=tuple(problems))
    size = size_of(image)
    if size != label.shape[::-1]:
        return Prepared(problems=(_unequal(pair, size, label.shape[::-1]),))
    try:
        found = (
            _cut(recipe.geometry.image(image), recipe.order),
            recipe.geometry.label(label, recipe.reading.ignore),
        )
    except DatasetError as error:
        return Prepared(problems=(f"{pair.image}: {error}",))
    if pair.flipped:
        found = _flipped(found[0]), _flipped(found[1])
    if not recipe.empty and (found[1] == recipe.reading.ignore).all():
        fact = "every pixel is ignored, so nothing can be learned from it"
        return Prepared(
            problems=(f"{pair.label}: {fact}; remove it, or keep it with --keep-empty",)
        )
    if recipe.png:
        return Prepared(*found, stored=(encoded(found[0]), encoded(found[1][None])))
    return Prepared(*found)


def _image(path: str, recipe: PairOptions) -> "Image | numpy.ndarray":
    """The image, of whichever kind is wanted."""
    if is_stack(path):
        if recipe.order != STORED:
            raise DatasetError(f"{path}: its channels are not colours; give --order {STORED}")
        return read_stack(path)
    if recipe.order == STORED:
        fact = f"is a picture, and --order {STORED} is for .npy files"
        raise DatasetError(f"{path}: {fact}; give --order {BGR}")
    alpha = Alpha(recipe.alpha != REFUSE, _ALPHA_REMEDY)
    return read_image(path, mode=recipe.mode, turn=recipe.turn, alpha=alpha)


def _apart(pair: Pair) -> str:
    """That image and label differ in size even where one is turned: before either is decoded.

    "" where they do not, or where a header cannot be read, which says more when all of it is.
    """
    try:
        size = stack_size if is_stack(pair.image) else image_size
        image, label = size(pair.image), label_size(pair.label)
    except DatasetError:
        return ""
    return _unequal(pair, image, label) if sorted(image) != sorted(label) else ""


def _unequal(pair: Pair, image: tuple[int, int], label: tuple[int, int]) -> str:
    sizes = [f"{width}x{height}" for width, height in (label, image)]
    fact = f"is {sizes[0]}, but its image {pair.image} is {sizes[1]}"
    return f"{pair.label}: {fact}; make them the same size"


Read = TypeVar("Read")


def _tried(read: Callable[[], Read], problems: list[str]) -> Read | None:
    try:
        return read()
    except DatasetError as error:
        problems.append(str(error))
        return None


def _flipped(array: "numpy.ndarray") -> "numpy.ndarray":
    """The array with its last axis, from left to right, the other way round."""
    import numpy as np

    return np.ascontiguousarray(array[..., ::-1])


def _cut(image: "numpy.ndarray", order: str) -> "numpy.ndarray":
    """(height, width, ...) as (channels, height, width) in this order."""
    import numpy as np

    if image.ndim == 2:
        return image[None]
    planes = np.moveaxis(image, 2, 0)
    if order == BGR:
        planes = np.concatenate([planes[2::-1], planes[3:]])
    return np.ascontiguousarray(planes)
