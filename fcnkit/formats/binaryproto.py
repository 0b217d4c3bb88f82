"""A binaryproto: a file that is one BlobProto, in which Caffe keeps mean images and matrices."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from fcnkit.foreign import refusing
from fcnkit.formats import blobproto, schema, signature, wire

if TYPE_CHECKING:
    import numpy


def read(path: str | os.PathLike[str]) -> "numpy.ndarray":
    """The values, float32, in the shape that the file says:
    doubles where it has them, as Caffe takes them.

    Raises ValueError, which says what is wrong with it, and OSError.
    """
    import numpy as np

    data = Path(path).read_bytes()
    found = signature.other(signature.MEAN, data)
    if found:
        raise ValueError(f"it is {found.kind}")
    blob = schema.message("BlobProto")()
    try:
        span = blobproto.blob_span(data, wire.WireField(0, wire.LENGTH, 0, 0, len(data)), 0)
    except wire.Damage as damage:
        raise ValueError(str(damage)) from None
    with refusing(lambda reason: ValueError(f"it is not a BlobProto ({reason})")):
        blob.ParseFromString(data)
    return np.array(blob.double_data or blob.data, np.float32).reshape(span.shape)


def written(values: "numpy.ndarray") -> bytes:
    """The file that holds these values, of up to four axes,
    as Caffe has written them from its first days.
    """
    import numpy as np

    shape = blobproto.shape_field(values.shape, legacy=True)
    return shape + wire.framed(5, np.ascontiguousarray(values, "<f4").tobytes())
