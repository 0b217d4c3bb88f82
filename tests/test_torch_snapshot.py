"""Snapshots: begun in Caffe and ended here, and the other way round, in both of Caffe's formats."""

import numpy as np
import pytest
from caffe_training import case, differences, log_of

from fcnkit.errors import WeightsError
from fcnkit.formats import prototxt
from fcnkit.weights import store

pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'fcnkit[torch]'")

from fcnkit.training.torch.solving import snapshot  # noqa: E402
from fcnkit.training.torch.solving.snapshot import SolverState  # noqa: E402
from fcnkit.training.torch.solving.solver import Solver  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

# After twelve steps of a batch of four of twelve images, Caffe is at the first image again.
LINES = """net: "net.prototxt" max_iter: 24 snapshot: 12 weight_decay: 0.01
lr_policy: "multistep" stepvalue: [5, 16] gamma: 0.3 type: "%s" base_lr: 0.01 momentum: 0.9
snapshot_format: %s
"""
KINDS = pytest.mark.parametrize("kind, form", [("Adam", "BINARYPROTO"), ("SGD", "HDF5")])
ENDS = snapshot.ENDINGS


@KINDS
def test_begun_in_caffe_and_ended_here(caffe, tmp_path, kind, form):
    given = case(tmp_path)
    text = given.solver(LINES % (kind, form))
    log_of(caffe, tmp_path)
    solver = Solver(text, given.feed, folder=tmp_path, device="cpu")
    solver.restore(tmp_path / f"caffe_iter_12.solverstate{ENDS[form]}")
    assert solver.iteration == 12
    before = solver.snapshot("again")
    for one, other in zip(before, ("caffemodel", "solverstate"), strict=True):
        theirs = tmp_path / f"caffe_iter_12.{other}{ENDS[form]}"
        assert of(one) == of(theirs) != {}
    if form == "BINARYPROTO":
        assert layers(before.weights) == layers(tmp_path / "caffe_iter_12.caffemodel")
    for _ in range(12):
        solver.step()
    assert list(differences(solver.snapshot("ours").weights, caffes(tmp_path, form), 1e-4)) == []


@KINDS
def test_begun_here_and_ended_in_caffe(caffe, tmp_path, kind, form):
    given = case(tmp_path)
    text = given.solver(LINES % (kind, form))
    solver = Solver(text, given.feed, folder=tmp_path, device="cpu")
    for _ in range(12):
        solver.step()
    _, state = solver.snapshot("ours")
    assert state.name == f"ours_iter_12.solverstate{ENDS[form]}"
    for _ in range(12):
        solver.step()
    log_of(caffe, tmp_path, f"--snapshot={state.name}")
    assert list(differences(solver.snapshot("ours").weights, caffes(tmp_path, form), 1e-4)) == []


def caffes(folder, form):
    return folder / f"caffe_iter_24.caffemodel{ENDS[form]}"


def layers(path):
    """The names and types in a caffemodel, but for the Splits that Caffe puts in."""
    return [(layer.name, layer.type) for layer in store.open(path).layers if layer.type != "Split"]


def of(path):
    """The values of a file, by layer or number of the history; what a state says beside them."""
    if "solverstate" in path.name:
        state = snapshot.read_state(path)
        return {number: values.tolist() for number, values in enumerate(state.history)} | {
            "iteration": state.iteration,
            "step": state.step,
        }
    # Caffe names layers without parameters too, and in HDF5 a shared parameter once.
    return {
        name: [blob.array().tolist() for blob in blobs]
        for name, blobs in store.open(path).items()
        if blobs and name != "two"
    }


STATE = SolverState(
    7, "a.caffemodel", 2, (np.arange(6, dtype="f4").reshape(2, 3), np.ones(4, "f4"))
)


@pytest.mark.parametrize("form", ENDS)
def test_a_state_is_read_as_it_was_written(tmp_path, form):
    snapshot.save_state(tmp_path / "state", STATE, form)
    found = snapshot.read_state(tmp_path / "state")
    assert found[:3] == STATE[:3]
    for one, other in zip(found.history, STATE.history, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_state_is_protobufs_own(tmp_path):
    from fcnkit.formats import schema

    snapshot.save_state(tmp_path / "state", STATE)
    found = schema.message("SolverState").FromString((tmp_path / "state").read_bytes())
    assert (found.iter, found.learned_net, found.current_step) == STATE[:3]
    assert [list(blob.shape.dim) for blob in found.history] == [[2, 3], [4]]
    assert found.SerializeToString() == (tmp_path / "state").read_bytes()


@pytest.mark.parametrize("data", [b"", b"nothing", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_what_is_no_state(tmp_path, data):
    (tmp_path / "state").write_bytes(data)
    with pytest.raises(WeightsError, match="state: "):
        snapshot.read_state(tmp_path / "state")


def test_a_link_to_another_file_is_not_followed(tmp_path):
    import h5py

    snapshot.save_state(tmp_path / "other", STATE, "HDF5")
    with h5py.File(tmp_path / "state", "w") as file:
        for name in ("iter", "current_step", "learned_net", "history"):
            file[name] = h5py.ExternalLink(str(tmp_path / "other"), name)
    with pytest.raises(WeightsError, match="it has no iter"):
        snapshot.read_state(tmp_path / "state")


def test_a_state_of_another_net_or_solver_is_refused(tmp_path):
    given = case(tmp_path)
    solver = Solver(
        given.solver(LINES % ("Adam", "BINARYPROTO")), given.feed, folder=tmp_path, device="cpu"
    )
    _, state = solver.snapshot("ours")
    sgd = Solver(
        given.solver(LINES % ("SGD", "BINARYPROTO")), given.feed, folder=tmp_path, device="cpu"
    )
    with pytest.raises(
        WeightsError, match="it has 22 histories, and this solver and net 11; give a state"
    ):
        sgd.restore(state)
    snapshot.save_state(tmp_path / "bad", STATE._replace(history=(np.ones(3, "f4"),) * 11))
    with pytest.raises(WeightsError, match="history 0 is 3, in the net 4 x 3 x 3 x 3"):
        sgd.restore(tmp_path / "bad")


def test_weights_are_where_the_state_says_or_beside_it(tmp_path):
    state = SolverState(1, "run/a.caffemodel", 0, ())
    with pytest.raises(WeightsError, match="its weights are in run/a.caffemodel, which is neither"):
        snapshot.weights_of(tmp_path / "moved" / "s", state, tmp_path)
    for folder in ("moved", "run"):  # the second is found first
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.caffemodel").write_bytes(b"")
        found = snapshot.weights_of(tmp_path / "moved" / "s", state, tmp_path)
        assert found == tmp_path / folder / "a.caffemodel"


@pytest.mark.parametrize(
    "text, expected",
    [
        ('snapshot_prefix: "a/b"', "a/b"),
        ("", "folder/solver"),
        ('snapshot_prefix: "there"', "there/solver"),
    ],
)
def test_prefixes(tmp_path, text, expected):
    (tmp_path / "there").mkdir()
    assert snapshot.prefix(prototxt.parse(text, "folder/solver.prototxt"), tmp_path) == expected
