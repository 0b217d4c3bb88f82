"""Means and matrices, in a binaryproto of Caffe's or an .npy file: one array of numbers."""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fcnkit import files
from fcnkit.errors import WeightsError, error_text
from fcnkit.formats import binaryproto, npy
from fcnkit.shape import show

if TYPE_CHECKING:
    import numpy

NPY, BINARYPROTO = ".npy", ".binaryproto"
# A BlobProto of Caffe's first days has four axes.
_AXES = 4


@dataclass(frozen=True, eq=False)
class Matrix:
    """An array that is written in either format, by the name of the file."""

    values: "numpy.ndarray"

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """The file holds the values: as they are in .npy, in float32 in .binaryproto.

        Raises WeightsError where a binaryproto cannot hold them, and OutputError
        as `files.write` does.
        """
        files.write(path, self._bytes(path), force=force)

    def _bytes(self, path: str | os.PathLike[str]) -> bytes:
        import numpy as np

        if Path(path).suffix.lower() == NPY:
            file = io.BytesIO()
            np.save(file, self.values)
            return file.getvalue()
        if not 0 < self.values.ndim <= _AXES:
            fact = (
                f"{show(self.values.shape) or 'one number'}, but a binaryproto has up to four axes"
            )
            raise WeightsError(f"{path}: the values are {fact}; reshape them, or write .npy")
        single = self.values.astype("<f4")
        if not np.array_equal(single, self.values, equal_nan=True):
            fact = f"the values are {self.values.dtype}, and float32 does not hold them exactly"
            raise WeightsError(f"{path}: {fact}; round them first: values.astype('float32')")
        return binaryproto.written(single)


def read(path: str | os.PathLike[str]) -> Matrix:
    """What a binaryproto or an .npy file holds; WeightsError where it is neither, or damaged."""
    try:
        return Matrix(npy.read(path) if npy.looks_like(path) else binaryproto.read(path))
    except OSError as error:
        fact = f"cannot be read: {error_text(error)}"
        raise WeightsError(f"{path}: {fact}; name a mean file") from None
    except ValueError as error:
        raise WeightsError(
            f"{path}: is not a mean file: {error}; name a binaryproto or an .npy file"
        ) from None
