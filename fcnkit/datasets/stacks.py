"""Images of any number of channels, in .npy files: (height, width, channels) of bytes.

No image format that Pillow reads has two, five or twelve channels, as those of
satellites, or of colour beside depth, have.
"""

import os
from typing import TYPE_CHECKING

from fcnkit.errors import DatasetError, error_text
from fcnkit.formats import npy
from fcnkit.plural import number_of
from fcnkit.preprocessing import MOST_CHANNELS
from fcnkit.shape import Shape, show

if TYPE_CHECKING:
    import numpy

SUFFIX = ".npy"


def is_stack(path: str | os.PathLike[str]) -> bool:
    """Whether the file's name says that it is one."""
    return os.fspath(path).lower().endswith(SUFFIX)


def stack_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """The width and height of the image, by the file's header; DatasetError as `read_stack`."""
    try:
        shape = npy.shape_of(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    return _checked(path, shape)


def read_stack(path: str | os.PathLike[str], channels: int | None = None) -> "numpy.ndarray":
    """The image, (height, width, channels), of uint8.

    Raises DatasetError where it is damaged, of another shape or type, or has not
    as many `channels` as are wanted.
    """
    try:
        values = npy.read(path)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from None
    _checked(path, values.shape)
    if values.dtype.name != "uint8":
        fact = f"holds {values.dtype.name} values, but images are bytes, 0 to 255"
        raise DatasetError(f"{path}: {fact}; save it as uint8")
    found = values[:, :, None] if values.ndim == 2 else values
    if channels not in (None, found.shape[2]):
        fact = f"has {number_of(found.shape[2], 'channel')}, and {channels} are wanted"
        raise DatasetError(f"{path}: {fact}; save it as (height, width, {channels})")
    return found


def shown(values: "numpy.ndarray") -> "numpy.ndarray":
    """The first three channels as a picture in RGB, or the first alone as a gray one."""
    import numpy as np

    planes = values[:, :, :3] if values.shape[2] >= 3 else values[:, :, [0, 0, 0]]
    return np.ascontiguousarray(planes)


def _checked(path: str | os.PathLike[str], shape: Shape) -> tuple[int, int]:
    if len(shape) not in (2, 3) or 0 in shape or (*shape, 1)[2] > MOST_CHANNELS:
        fact = f"is {show(shape)}, and an image is height x width x channels"
        raise DatasetError(
            f"{path}: {fact}; reorder the axes with numpy.moveaxis and save it again"
        )
    return shape[1], shape[0]


def _unreadable(path: str | os.PathLike[str], error: Exception) -> DatasetError:
    why = error_text(error) if isinstance(error, OSError) else str(error)
    return DatasetError(f"{path}: cannot be read: {why}; save it with numpy.save")
