"""A BlobProto alone in a file: written as protobuf writes it,
read as Caffe does, and damage told.
"""

import numpy as np
import pytest

from fcnkit.formats import binaryproto, schema

VALUES = np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 7


@pytest.mark.parametrize("shape", [(1, 2, 3, 4), (2, 3, 4), (6, 4), (24,)])
def test_what_is_written_is_what_protobuf_writes(shape):
    dims = (1,) * (4 - len(shape)) + shape
    blob = schema.message("BlobProto")(num=dims[0], channels=dims[1], height=dims[2], width=dims[3])
    blob.data.extend(VALUES.ravel().tolist())
    assert binaryproto.written(VALUES.reshape(shape)) == blob.SerializeToString()


def test_rows_that_lie_apart_are_written_in_order(tmp_path):
    (tmp_path / "mean").write_bytes(binaryproto.written(VALUES[::-1, :, ::2].astype(np.float64)))
    assert (binaryproto.read(tmp_path / "mean")[0] == VALUES[::-1, :, ::2]).all()


def test_what_is_read_has_the_shape_and_the_values_that_caffe_takes(tmp_path):
    blob = schema.message("BlobProto")(data=[1.0] * 24, double_data=VALUES.ravel().tolist())
    blob.shape.dim.extend(VALUES.shape)
    (tmp_path / "mean").write_bytes(blob.SerializeToString())
    found = binaryproto.read(tmp_path / "mean")
    assert found.dtype == np.float32 and found.shape == VALUES.shape and (found == VALUES).all()


@pytest.mark.parametrize("cut", range(1, 24 * 4, 7))
def test_a_cut_file_is_no_blob(tmp_path, cut):
    (tmp_path / "mean").write_bytes(binaryproto.written(VALUES)[:-cut])
    with pytest.raises(ValueError, match="."):
        binaryproto.read(tmp_path / "mean")


@pytest.mark.parametrize("data", [b"a text\n", b"\xff" * 40, b"\x08\x02\x2a\x04\0\0\0\0"])
def test_another_file_is_no_blob(tmp_path, data):
    (tmp_path / "mean").write_bytes(data)
    with pytest.raises(ValueError, match="."):
        binaryproto.read(tmp_path / "mean")
