"""Prepares images for a net as the FCN authors do: float32, less the mean, never resized."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fcnkit.errors import DatasetError, WeightsError
from fcnkit.plural import number_of
from fcnkit.preprocessing import BGR, STORED, orders
from fcnkit.shape import Shape
from fcnkit.weights import matrices

if TYPE_CHECKING:
    import numpy


@dataclass(frozen=True, eq=False)
class Preparation:
    """Turns an image's bytes into (value - mean) * scale, as Caffe's data layers compute it.

    `channels` is 1 for gray, 3, or 4 with alpha behind the colours, which are in
    `order` "bgr" or "rgb"; or any number of them, "stored" as the net takes
    them.  `mean` is one value, or one for each channel in that
    order; or `mean_image`, of (channels, height, width), is taken off pixel by
    pixel where an image has its size, and its mean of each channel where one has
    not.  `scale` is one number, or one for each channel.
    """

    channels: int = 3
    mean: Sequence[float] = ()
    mean_image: "numpy.ndarray | None" = None
    scale: float | Sequence[float] = 1.0
    order: str = BGR

    def check(self) -> None:
        """Means and channels fit each other; DatasetError otherwise."""
        if self.order not in orders(self.channels):
            fact = f"the net takes images of {number_of(self.channels, 'channel')}"
            raise DatasetError(
                f"{fact}, but pictures have one, three, or with alpha four; give .npy files of "
                f"(height, width, {self.channels}), with --order {STORED}"
            )
        given = len(self.mean) if self.mean_image is None else len(self.mean_image)
        if given not in (0, 1, self.channels):
            fact = (
                f"{number_of(given, 'mean value')} for images of "
                f"{number_of(self.channels, 'channel')}"
            )
            raise DatasetError(f"mean: {fact}; give one, or one for each channel")

    def __call__(self, image: "numpy.ndarray") -> "numpy.ndarray":
        """(channels, height, width) float32 of bytes,
        (height, width), or (height, width, 3) in RGB, with alpha 4, or as many as are stored.
        """
        import numpy as np

        planes = image[None] if image.ndim == 2 else np.moveaxis(image, 2, 0)
        if self.order == BGR:
            planes = np.concatenate([planes[2::-1], planes[3:]])
        prepared = (planes.astype(np.float32) - self._mean(planes.shape)) * _planes(self.scale)
        return np.ascontiguousarray(prepared, np.float32)

    def _mean(self, shape: Shape) -> "numpy.ndarray":
        import numpy as np

        if self.mean_image is None:
            return _planes(self.mean or 0)
        if self.mean_image.shape[1:] == shape[1:]:
            return self.mean_image
        return (
            self.mean_image.mean(axis=(1, 2), dtype=np.float64).astype(np.float32).reshape(-1, 1, 1)
        )


def _planes(values: float | Sequence[float]) -> "numpy.ndarray":
    """One number for all channels, or one for each, to be repeated over height and width."""
    import numpy as np

    return np.array(values, np.float32).reshape(-1, 1, 1)


def read_mean(path: str | Path) -> "numpy.ndarray":
    """The mean image, (channels, height, width), in a binaryproto or an .npy file.

    Raises DatasetError where it is damaged or something else.
    """
    import numpy as np

    try:
        mean = np.asarray(matrices.read(path).values, np.float32)
    except WeightsError as error:
        raise DatasetError(str(error)) from None
    mean = mean.reshape(mean.shape[-3:]) if mean.shape[:-3] == (1,) else mean
    if mean.ndim != 3 or not mean.size:
        shape = " x ".join(map(str, mean.shape))
        fact = f"holds {shape or 'one'} values"
        raise DatasetError(f"{path}: {fact}; a mean image is channels x height x width")
    return mean
