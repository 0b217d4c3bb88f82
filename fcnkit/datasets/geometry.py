"""Brings an image and its label to one size: the image smoothly, the label by nearest pixel."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fcnkit.errors import DatasetError
from fcnkit.libraries import load

if TYPE_CHECKING:
    import numpy
    from PIL.Image import Image

Size = tuple[int, int]


@dataclass(frozen=True)
class Geometry:
    """Sizes as (width, height), in this order:
    `resize` to it, `pad` to at least it, `crop` its middle.
    """

    resize: Size | None = None
    pad: Size | None = None
    crop: Size | None = None

    def image(self, image: "Image | numpy.ndarray") -> "numpy.ndarray":
        """The picture, or the array of (height, width, channels), as an array; padding is 0."""
        import numpy as np

        if self.resize and size_of(image) != self.resize:
            image = _resized(image, self.resize)
        return self._cut(np.asarray(image), 0)

    def label(self, label: "numpy.ndarray", ignore: int) -> "numpy.ndarray":
        """The label as its image; padding is `ignore`."""
        import numpy as np

        if self.resize and label.shape[::-1] != self.resize:
            images = load("PIL.Image")
            label = np.asarray(
                images.fromarray(label).resize(self.resize, images.Resampling.NEAREST)
            )
        return self._cut(label, ignore)

    def _cut(self, array: "numpy.ndarray", fill: int) -> "numpy.ndarray":
        if self.pad:
            array = _padded(array, self.pad, fill)
        return _middle(array, self.crop) if self.crop else array


def size_of(image: "Image | numpy.ndarray") -> Size:
    """Width and height."""
    import numpy as np

    return (image.shape[1], image.shape[0]) if isinstance(image, np.ndarray) else image.size


def _resized(image: "Image | numpy.ndarray", size: Size) -> "Image | numpy.ndarray":
    """Each channel by itself; Pillow weighs colours by a fourth one otherwise."""
    import numpy as np

    images = load("PIL.Image")
    if isinstance(image, np.ndarray):
        planes = [images.fromarray(plane) for plane in np.moveaxis(image, 2, 0)]
        return np.stack([each.resize(size, images.Resampling.BILINEAR) for each in planes], 2)
    if image.mode != "RGBA":
        return image.resize(size, images.Resampling.BILINEAR)
    bands = [band.resize(size, images.Resampling.BILINEAR) for band in image.split()]
    return images.merge(image.mode, bands)


def _padded(array: "numpy.ndarray", size: Size, fill: int) -> "numpy.ndarray":
    """At least as large as `size`: what is missing comes on the right and below."""
    import numpy as np

    missing = [(0, max(0, want - had)) for want, had in zip(size[::-1], array.shape, strict=False)]
    return np.pad(array, missing + [(0, 0)] * (array.ndim - 2), constant_values=fill)


def _middle(array: "numpy.ndarray", size: Size) -> "numpy.ndarray":
    (height, width), (rows, columns) = array.shape[:2], size[::-1]
    if height < rows or width < columns:
        raise DatasetError(
            f"is {width}x{height}, smaller than the crop {columns}x{rows}; add --pad "
            f"{columns}x{rows}"
        )
    top, left = (height - rows) // 2, (width - columns) // 2
    return array[top : top + rows, left : left + columns]
