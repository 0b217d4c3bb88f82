"""Weights in HDF5: what h5py and real Caffe read and write."""

import io
import os
import time

import h5py
import numpy as np
import pytest
from caffe_snapshots import NET, snapshots
from readings import of_hdf5, ours
from sketches import data, layer
from small_files import ARRAYS, hdf5
from small_models import V1, V2

from fcnkit.errors import EngineError, WeightsError
from fcnkit.formats import hdf5 as format
from fcnkit.formats import hdf5_frame, prototxt
from fcnkit.weights import store

LIBVERS = ["earliest", ("v108", "v108"), "latest"]


@pytest.fixture
def opened(tmp_path):
    """The weights of a file of these bytes."""

    def opened(data: bytes):
        path = tmp_path / f"{len(os.listdir(tmp_path))}.caffemodel.h5"
        path.write_bytes(data)
        return store.open(path)

    return opened


def written(weights, tmp_path) -> bytes:
    weights.to("hdf5").save(tmp_path / "out.h5", force=True)
    return (tmp_path / "out.h5").read_bytes()


# reading


@pytest.mark.parametrize("libver", LIBVERS)
def test_what_h5py_wrote_is_read_as_h5py_reads_it(opened, libver):
    data = hdf5(libver=libver)
    weights = opened(data)
    assert ours(weights) == of_hdf5(data)
    assert (
        weights.kind == "hdf5"
        and "HDF5" in repr(weights)
        and list(weights) == ["fc", "none", "top"]
    )
    assert [blob.shape for blob in weights["top"]] == [(1, 2), ()] and weights["none"] == ()


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8"])
@pytest.mark.parametrize(
    "shape", [(), (1,), (0,), (0, 3), (2, 3), (1, 1, 1, 2), (1,) * 32, (70_000,)]
)
def test_types_and_shapes(opened, dtype, shape):
    data = hdf5({"a": [(np.arange(np.prod(shape, dtype=int)) % 999).reshape(shape).astype(dtype)]})
    (blob,) = opened(data)["a"]
    assert (blob.shape, np.dtype(blob.dtype)) == (shape, dtype)
    assert ours({"a": [blob]}) == of_hdf5(data)


def test_a_slash_in_a_name_is_a_group_in_a_group(opened):
    data = hdf5({"a/b/c": [np.float32(1)], "a/d": [np.float32(2)], "a": [np.float32(3)], "e": []})
    weights = opened(data)
    assert ours(weights) == of_hdf5(data)
    assert {name: float(blobs[0].array()) for name, blobs in weights.items() if blobs} == {
        "a": 3,
        "a/b/c": 1,
        "a/d": 2,
    }


def test_more_than_ten_blobs_come_in_the_order_of_their_numbers(opened):
    weights = opened(hdf5({"a": [np.float32(number) for number in range(12)]}))
    assert [float(blob.array()) for blob in weights["a"]] == list(range(12))


def test_names_that_are_no_utf8(opened, tmp_path):
    weights = store.create().put(b"\xff\xfe".decode("utf-8", "surrogateescape"), [[1.0]])
    assert ours(opened(written(weights, tmp_path))) == ours(weights)


def test_a_blob_is_a_stretch_of_the_file(opened):
    weights = opened(hdf5({"a": [np.arange(5, dtype="<f4")]}))
    (chunk,) = weights["a"][0].values.span.chunks
    assert chunk.stop - chunk.start == 20


def test_a_file_that_goes_is_read_on(opened):
    weights = opened(hdf5())
    os.unlink(weights.path)
    assert ours(weights)["fc"][0][0] == (2, 3)


def test_a_file_that_is_replaced_while_it_is_opened_is_the_one_that_was_opened(tmp_path):
    path = tmp_path / "net.h5"
    path.write_bytes(hdf5())
    handle = os.open(path, os.O_RDONLY)
    path.unlink()
    path.write_bytes(hdf5({"other": []}))
    assert [group.name for group in format.scan(handle, "net.h5")] == ["fc", "none", "top"]
    os.close(handle)


# writing


@pytest.mark.parametrize("data", [V1, V2])
def test_what_is_written_is_read_again(opened, tmp_path, data):
    weights = opened(data)
    out = written(weights, tmp_path)
    blobless = [name for name, blobs in weights.items() if not blobs]
    assert ours(opened(out)) == of_hdf5(out) == ours(weights.drop(*blobless))


def test_what_is_written_is_what_was_put(opened, tmp_path):
    weights = store.create()
    for name, blobs in ARRAYS.items():
        weights = weights.put(name, blobs)
    weights = weights.put("a/b", [np.zeros((0, 3)), np.arange(100_000)]).put("a/c", [[1.0]])
    out = written(weights, tmp_path)
    assert ours(opened(out)) == of_hdf5(out) == ours(weights.drop("none"))


def test_the_same_weights_give_the_same_bytes(tmp_path):
    weights = store.create().put("fc", [[1.0, 2.0]])
    first = written(weights, tmp_path)
    time.sleep(1.1)  # HDF5 counts in seconds
    assert written(weights, tmp_path) == first


def test_half_precision_stays_in_a_copy_and_becomes_float32_elsewhere(opened, tmp_path):
    weights = opened(hdf5({"a": [np.array([1, 2], "<f2")]}))
    assert written(weights, tmp_path) == (tmp_path / "0.caffemodel.h5").read_bytes()
    assert ours(opened(written(weights.put("b", [[3.0]]), tmp_path)))["a"][0][1] == "float32"


@pytest.mark.parametrize(
    "names", [["/a"], ["a//b"], ["a/."], ["a\0b"], ["x/" * 40 + "x"], [""], ["a/b", "a/b/0"]]
)
def test_names_that_hdf5_cannot_have(tmp_path, names):
    weights = store.create()
    for name in names:
        weights = weights.put(name, [[1.0]])
    with pytest.raises(WeightsError, match="HDF5.*; rename"):
        weights.to("hdf5").save(tmp_path / "out.h5")
    assert list(tmp_path.iterdir()) == []


def test_the_frame_takes_room_for_what_is_written_alone():
    frame = hdf5_frame.frame(
        [("a", [((1 << 14, 1 << 16), "float32")]), ("b", [((1 << 30,), "float64")])]
    )
    assert frame.size > 12 << 30 and len(frame.rest.pages) < 10


def test_sparse_files_are_files():
    sparse, plain = hdf5_frame.Sparse(), io.BytesIO()
    for at, new in ((5, b"abc"), (4094, b"xyz" * 3000), (20_000, b"end"), (4096, b"!")):
        for file in (sparse, plain):
            file.seek(at)
            file.write(memoryview(new))
        assert sparse.tell() == plain.tell()
    for at, length in ((0, 10), (4090, 10), (8000, 12_000), (19_999, 4)):
        sparse.seek(at), plain.seek(at)
        assert sparse.read(length) == plain.read(length)
    assert sparse.size == len(plain.getvalue()) == sparse.seek(0, os.SEEK_END)


# real Caffe


def test_caffe_reads_what_is_written(caffe, tmp_path):
    net = prototxt.parse(NET, "net")
    random = np.random.default_rng(1)
    weights = store.create()
    for name, shapes in caffe.params(net, values=False).items():
        weights = weights.put(name, [random.normal(size=shape) for shape in shapes])
    weights.to("hdf5").save(tmp_path / "net.caffemodel.h5")
    found = caffe.params(net, tmp_path / "net.caffemodel.h5")
    assert list(found) == list(weights)
    for name, blobs in found.items():
        assert [blob.tobytes() for blob in blobs] == [
            blob.array().tobytes() for blob in weights[name]
        ]


def slashed(*names: str, types: str) -> tuple:
    """A net of layers with these names in a row, P a PReLU and R a ReLU, and weights for it."""
    known = {"P": ("PReLU", [[0.5, 0.25]]), "R": ("ReLU", [])}
    bottoms = ["data", *(f"top{number}" for number in range(len(names)))]
    text, weights = data(1, 2, 3, 3), store.create()
    for name, kind, bottom, top in zip(names, types, bottoms, bottoms[1:], strict=False):
        text += layer(name, known[kind][0], bottom, top=top)
        weights = weights.put(name, known[kind][1])
    return prototxt.parse(text, "net"), weights


@pytest.mark.parametrize(
    ("names", "types"),
    [
        (("conv0", "conv0/relu"), "PR"),
        (("conv0", "conv0/relu"), "PP"),
        (("block", "block/conv"), "RP"),
        (("block", "block/conv"), "RR"),
        (("a/b/c", "a/b", "d"), "PRP"),
        (("a", "a/b/c", "d"), "RPP"),
        (("a/b", "a"), "RP"),
    ],
)
def test_what_caffe_would_refuse_is_not_written(caffe, tmp_path, names, types):
    """Caffe is asked with the file that h5py makes of the layers with blobs."""
    net, weights = slashed(*names, types=types)
    theirs, ours = tmp_path / "theirs.caffemodel.h5", tmp_path / "ours.caffemodel.h5"
    arrays = {name: [blob.array() for blob in blobs] for name, blobs in weights.items() if blobs}
    theirs.write_bytes(hdf5(arrays))
    try:
        caffe.load(net, theirs)
    except EngineError:
        with pytest.raises(
            WeightsError, match="Caffe refuses such a file; write a .caffemodel, or rename"
        ):
            weights.to("hdf5").save(ours)
        assert not ours.exists()
    else:
        weights.to("hdf5").save(ours)
        caffe.load(net, ours)


def test_caffe_leaves_out_what_stands_in_no_layers_group(caffe, tmp_path):
    net, weights = slashed("a/b", types="P")
    weights.to("hdf5").save(tmp_path / "net.caffemodel.h5")
    (values,) = caffe.params(net, tmp_path / "net.caffemodel.h5")["a/b"]
    assert values.tolist() == [0.25, 0.25]  # Caffe's filler


def test_what_caffe_wrote_is_read(caffe, tmp_path):
    path, _ = snapshots(caffe, tmp_path, "HDF5")
    weights = store.open(path)
    assert ours(weights) == of_hdf5(path.read_bytes())
    found = caffe.params(prototxt.parse(NET, "net"), path)
    assert {name: len(blobs) for name, blobs in weights.items() if blobs} == {
        "conv": 2,
        "bn": 3,
        "fc": 2,
    }
    for name, blobs in found.items():
        assert [blob.tobytes() for blob in blobs] == [
            blob.array().tobytes() for blob in weights[name]
        ]
    weights.save(tmp_path / "copy.h5")
    assert (tmp_path / "copy.h5").read_bytes() == path.read_bytes()


def test_a_solver_state_in_hdf5_is_no_net(caffe, tmp_path):
    _, path = snapshots(caffe, tmp_path, "HDF5")
    with pytest.raises(
        WeightsError, match="the group data, found 'current_step', 'history', 'iter'"
    ):
        store.open(path)


def test_h5py_is_as_it_was(tmp_path):
    """Nothing stays open: a file that was refused can be written by h5py itself."""
    path = tmp_path / "x.h5"
    path.write_bytes(hdf5()[:-100])
    with pytest.raises(WeightsError):
        store.open(path)
    with h5py.File(path, "w") as file:
        file["data/a/0"] = [1.0]
    assert list(store.open(path)) == ["a"]
