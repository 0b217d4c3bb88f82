"""Reads and writes a Datum, one entry of a database: an image or a label image, and a number.

A Datum holds its values as bytes, as floats, or as a picture file (`encoded`).
The picture file is left to the caller to decode: Caffe uses OpenCV for it.
"""

import math
from typing import TYPE_CHECKING, NamedTuple

from fcnkit.foreign import refusing
from fcnkit.formats import schema
from fcnkit.plural import number_of
from fcnkit.shape import Shape

if TYPE_CHECKING:
    import numpy


class Datum(NamedTuple):
    """`values`, (channels, height, width) of uint8 or float32, or a `picture`; and the number.

    Where an entry says no number, Caffe takes 0 for it, and it is not `labelled`.
    """

    label: int
    values: "numpy.ndarray | None" = None
    picture: bytes = b""
    labelled: bool = True


def read(data: bytes) -> Datum:
    """What an entry holds; bytes before floats where it has both, as Caffe takes them.

    Raises ValueError, which says what is wrong with it.
    """
    import numpy as np

    with refusing(lambda reason: ValueError(f"is not a Datum ({reason})")):
        found = schema.message("Datum").FromString(data)
    labelled = found.HasField("label")
    if found.encoded:
        return Datum(found.label, picture=found.data, labelled=labelled)
    shape = found.channels, found.height, found.width
    values = (
        np.frombuffer(found.data, np.uint8)
        if found.data
        else np.array(found.float_data, np.float32)
    )
    if min(shape) < 1 or values.size != math.prod(shape):
        raise ValueError(f"has {number_of(values.size, 'value')} for {' x '.join(map(str, shape))}")
    return Datum(found.label, values.reshape(shape), labelled=labelled)


def written(values: "numpy.ndarray", label: int = 0) -> bytes:
    """The entry that holds (channels, height, width) of uint8."""
    return _written(values.shape, label, data=values.tobytes())


def written_picture(file: bytes, shape: Shape, label: int = 0) -> bytes:
    """The entry that holds a picture file, which decoded has this shape."""
    return _written(shape, label, data=file, encoded=True)


def _written(shape: Shape, label: int, **fields: object) -> bytes:
    channels, height, width = shape
    return schema.message("Datum")(
        channels=channels, height=height, width=width, label=label, **fields
    ).SerializeToString()
