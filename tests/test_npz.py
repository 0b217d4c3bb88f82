"""Weights in numpy's archives: what numpy reads and writes."""

import io
import time
import zipfile

import numpy as np
import pytest
from readings import of_npz, ours
from small_files import ARRAYS, npz
from small_models import V1, V2

from fcnkit.errors import WeightsError
from fcnkit.formats import npz as format
from fcnkit.weights import store

SHAPES = [(), (1,), (0,), (0, 3), (2, 3), (3, 1), (1, 1, 1, 2), (1,) * 32, (70_000,)]


@pytest.fixture
def opened(tmp_path):
    """The weights of a file of these bytes."""

    def opened(data: bytes):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.npz"
        path.write_bytes(data)
        return store.open(path)

    return opened


def written(weights, tmp_path) -> bytes:
    weights.to("npz").save(tmp_path / "out.npz", force=True)
    return (tmp_path / "out.npz").read_bytes()


def header(shape, descr) -> bytes:
    buffer = io.BytesIO()
    fields = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, fields)
    return buffer.getvalue()


def test_what_numpy_wrote_is_read_as_numpy_reads_it(opened):
    weights = opened(npz())
    assert ours(weights) == of_npz(npz())
    assert weights.kind == "npz" and list(weights) == ["fc", "top"]


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8"])
@pytest.mark.parametrize("shape", SHAPES)
def test_types_and_shapes(opened, dtype, shape):
    data = npz({"a": [(np.arange(np.prod(shape, dtype=int)) % 999).reshape(shape).astype(dtype)]})
    (blob,) = opened(data)["a"]
    assert (blob.shape, np.dtype(blob.dtype)) == (shape, dtype)
    assert ours({"a": [blob]}) == of_npz(data)


def test_slashes_belong_to_the_layer(opened):
    data = npz({"a/b/c": [np.float32(1)], "a/0": [np.float32(2)], "a": [np.float32(3)]})
    assert ours(opened(data)) == of_npz(data)
    assert list(opened(data)) == ["a/b/c", "a/0", "a"]


def test_blobs_come_in_the_order_of_their_numbers(opened):
    buffer = io.BytesIO()
    np.savez(buffer, **{f"a/{number}": np.float32(number) for number in reversed(range(12))})
    assert [float(blob.array()) for blob in opened(buffer.getvalue())["a"]] == list(range(12))


def test_an_order_that_makes_no_difference_is_no_order(opened):
    data = npz({"a": [np.ones((1, 3), "<f4", order="F"), np.ones((4, 1), "<f4", order="F")]})
    assert ours(opened(data)) == of_npz(data)


@pytest.mark.parametrize("data", [V1, V2])
def test_what_is_written_is_read_again(opened, tmp_path, data):
    weights = opened(data)
    out = written(weights, tmp_path)
    assert (
        ours(opened(out))
        == of_npz(out)
        == {name: blobs for name, blobs in ours(weights).items() if blobs}
    )


def test_what_is_written_is_what_was_put(opened, tmp_path):
    weights = store.create()
    for name, blobs in ARRAYS.items():
        weights = weights.put(name, blobs)
    weights = (
        weights.put("ä/b", [np.zeros((0, 3)), np.arange(100_000)])
        .put("x" * 5000, [[1.0]])
        .drop("none")
    )
    out = written(weights, tmp_path)
    assert ours(opened(out)) == of_npz(out) == ours(weights)


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8"])
@pytest.mark.parametrize("shape", SHAPES)
def test_headers_are_read_and_written_as_numpy_does(shape, dtype):
    theirs, mine = header(shape, dtype), format._header_of(shape, np.dtype(dtype).name)
    for data in (theirs, mine):
        assert np.lib.format.read_array_header_1_0(io.BytesIO(data[8:])) == (
            shape,
            False,
            np.dtype(dtype),
        )
        assert format._header(io.BytesIO(data), 0) == (shape, dtype, data, False)
    assert len(mine) % 64 == 0


def test_the_same_weights_give_the_same_bytes(tmp_path):
    weights = store.create().put("fc", [[1.0, 2.0]])
    first = written(weights, tmp_path)
    time.sleep(2.1)  # zip counts in two seconds
    assert written(weights, tmp_path) == first
    with zipfile.ZipFile(io.BytesIO(first)) as file:
        assert file.testzip() is None and file.namelist() == ["fc/0.npy"]


@pytest.mark.parametrize(
    "name", ["a\0b", "x" * 70_000, b"\xff".decode("utf-8", "surrogateescape"), ""]
)
def test_names_that_a_zip_cannot_have(tmp_path, name):
    with pytest.raises(
        WeightsError, match="cannot be that of an array in an .npz; rename it first"
    ):
        store.create().put(name, [[1.0]]).to("npz").save(tmp_path / "out.npz")
    assert list(tmp_path.iterdir()) == []


def test_values_are_checked_by_pieces(opened):
    """A blob of many pieces has one checksum, and a wrong bit in the last is found."""
    data = bytearray(npz({"a": [np.arange(100_000, dtype="<f4")]}))
    assert opened(bytes(data))["a"][0].array()[-1] == 99_999
    data[data.index(b"PK\1\2") - 1] ^= 1
    with pytest.raises(
        WeightsError, match=r'layer "a", blob 0, byte \d+: expected values with checksum'
    ):
        opened(bytes(data))["a"][0].array()
