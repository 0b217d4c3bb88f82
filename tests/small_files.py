"""Small weights files in HDF5, .npz and .solverstate, as bytes."""

import io

import h5py
import numpy as np
from small_models import BIAS, WEIGHTS, message, modern_blob, whole

ARRAYS = {
    "fc": [np.array(WEIGHTS, "<f4").reshape(2, 3), np.array(BIAS, "<f4")],
    "top": [np.array([[9, 10]], "<f8"), np.array(11, "<f4")],
    "none": [],
}


def hdf5(arrays=ARRAYS, *, libver="earliest", **options) -> bytes:
    """A .caffemodel.h5, written by h5py; `options` are those of create_dataset."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=libver) as file:
        data = file.create_group("data")
        for name, blobs in arrays.items():
            group = data.require_group(name)
            for number, blob in enumerate(blobs):
                group.create_dataset(str(number), data=blob, **options)
    return buffer.getvalue()


def npz(arrays=ARRAYS) -> bytes:
    """An .npz, written by numpy."""
    buffer = io.BytesIO()
    named = {f"{name}/{n}": blob for name, blobs in arrays.items() for n, blob in enumerate(blobs)}
    np.savez(buffer, **named)
    return buffer.getvalue()


SOLVERSTATE = (
    whole(1, 300)
    + message(2, b"net_iter_300.caffemodel")
    + message(3, modern_blob((2, 3), WEIGHTS))
    + message(3, modern_blob((2,), BIAS))
    + whole(4, 2)
)
