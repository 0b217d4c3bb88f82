"""Solver states: what protobuf and real Caffe read and write."""

import numpy as np
import pytest
from caffe_snapshots import snapshots
from readings import of_npz, of_solverstate, ours
from small_files import SOLVERSTATE
from small_models import BIAS, V1, V2, WEIGHTS, doubles, message, modern_blob, old_blob, whole

from fcnkit.errors import WeightsError
from fcnkit.formats import schema, solverstate
from fcnkit.weights import store


@pytest.fixture
def opened(tmp_path):
    """The weights of a file of these bytes."""

    def opened(data: bytes):
        (tmp_path / "in").write_bytes(data)
        return store.open(tmp_path / "in")

    return opened


def test_what_it_says():
    found = solverstate.scan(SOLVERSTATE, "file")
    assert (found.iteration, found.learned_net, found.step) == (300, "net_iter_300.caffemodel", 2)
    assert [blob.shape for blob in found.history] == [(2, 3), (2,)]


def test_its_history_is_a_layer(opened):
    weights = opened(SOLVERSTATE)
    assert ours(weights) == of_solverstate(SOLVERSTATE)
    assert weights.kind == "solverstate" and list(weights) == ["history"]
    assert [blob.array().ravel().tolist() for blob in weights["history"]] == [
        list(WEIGHTS),
        list(BIAS),
    ]


@pytest.mark.parametrize(
    "data",
    [
        whole(1, 3) + message(2, b"a.caffemodel"),
        whole(1, 2**31 - 1) + message(3, old_blob((1, 1, 1, 2), BIAS)),
        whole(1, 1)
        + message(3, message(7, message(1, b"\2")) + message(8, doubles(*BIAS)))
        + whole(900, 1),
        whole(1, 0) + message(2),
    ],
)
def test_other_states(opened, data):
    assert solverstate.looks_like(data) and ours(opened(data)) == of_solverstate(data)


@pytest.mark.parametrize("data", [V1, V2, b"", b"\x08", whole(1, 3), whole(1, 1) + whole(2, 3)])
def test_what_is_none(data):
    assert not solverstate.looks_like(data)


@pytest.mark.parametrize(
    "data, words",
    [
        (
            whole(1, 3) + message(2, b"x" * 5000),
            "byte 2: expected the name of a file, found 5,000 bytes",
        ),
        (whole(1, 3) + message(3, modern_blob((3,), BIAS)), "blob 0, byte 2: expected 3 values"),
        (whole(1, 3) + message(3, modern_blob((2,), BIAS)) + whole(3, 1), "wire type 2, found 0"),
        (whole(1, 3) + message(2, b"x") + message(4), "field 4 with wire type 0, found 2"),
        (SOLVERSTATE[:-1], "end of its message"),
    ],
)
def test_refused(opened, data, words):
    with pytest.raises(WeightsError, match=words):
        opened(data)


def test_it_is_copied_and_never_edited(opened, tmp_path):
    weights = opened(SOLVERSTATE)
    weights.save(tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == SOLVERSTATE
    with pytest.raises(WeightsError, match="history is kept as it is"):
        weights.put("history", [[1.0]]).save(tmp_path / "other")


def test_what_caffe_wrote_is_read(caffe, tmp_path):
    _, path = snapshots(caffe, tmp_path, "BINARYPROTO")
    data = path.read_bytes()
    weights = store.open(path)
    assert ours(weights) == of_solverstate(data)
    state = schema.message("SolverState").FromString(data)
    found = solverstate.scan(data, "file")
    assert (found.iteration, found.learned_net, found.step) == (
        3,
        state.learned_net,
        state.current_step,
    )
    assert found.step == 1 and found.learned_net.endswith("snap_iter_3.caffemodel")
    for blob, theirs in zip(weights["history"], state.history, strict=True):
        np.testing.assert_array_equal(blob.array().ravel(), np.array(theirs.data, "<f4"))
        assert blob.shape == tuple(theirs.shape.dim)
    weights.to("npz").save(tmp_path / "history.npz")
    assert of_npz((tmp_path / "history.npz").read_bytes()) == ours(weights)


def test_caffe_says_the_same_in_hdf5(caffe, tmp_path):
    import h5py

    _, path = snapshots(caffe, tmp_path, "BINARYPROTO")
    weights = store.open(path)
    _, other = snapshots(caffe, tmp_path, "HDF5")
    with h5py.File(other) as file:
        for number, blob in enumerate(weights["history"]):
            assert file[f"history/{number}"][()].tobytes() == blob.array().tobytes()
