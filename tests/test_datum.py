"""Datums: what is written is what is read, by us and by protobuf; what is damaged is named."""

import numpy as np
import pytest

from fcnkit.formats import datum, schema

VALUES = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)


def test_what_is_written_is_read():
    found = datum.read(datum.written(VALUES, 7))
    assert found.label == 7 and np.array_equal(found.values, VALUES)
    assert found.values.dtype == np.uint8 and not found.picture


def test_it_is_what_protobuf_writes():
    same = schema.message("Datum")(channels=2, height=2, width=3, data=VALUES.tobytes(), label=0)
    assert datum.written(VALUES) == same.SerializeToString()


def test_a_picture_is_left_as_it_is():
    found = datum.read(datum.written_picture(b"PNG", (3, 4, 5), 2))
    assert found == (2, None, b"PNG", True)


def test_floats():
    entry = schema.message("Datum")(channels=1, height=1, width=2, float_data=[0.5, -1])
    assert datum.read(entry.SerializeToString()).values.tolist() == [[[0.5, -1]]]
    entry.data = b"\x02\x03"
    assert datum.read(entry.SerializeToString()).values.tolist() == [[[2, 3]]]


@pytest.mark.parametrize(
    "data, message",
    [
        (b"\xff\xff", r"is not a Datum \("),
        (b"", "has 0 values for 0 x 0 x 0"),
        (datum.written(VALUES)[:-5], "is not a Datum"),
        (schema.message("Datum")(channels=1 << 30, height=1 << 30, width=1 << 30), "has 0 values"),
        (schema.message("Datum")(channels=1, height=-1, width=-1, data=b"x"), "has 1 value"),
    ],
)
def test_what_is_damaged(data, message):
    data = data if isinstance(data, bytes) else data.SerializeToString()
    with pytest.raises(ValueError, match=message):
        datum.read(data)
