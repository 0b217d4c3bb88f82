"""Which snapshot a run goes on from, whatever a kill has left of the newest."""

import os

import numpy as np
import pytest
from small_training import write_net

from fcnkit.errors import OutputError
from fcnkit.formats import schema
from fcnkit.training.runs import Run, damage, locked
from fcnkit.weights import store


def state(iteration: int, *, blobs: int = 2) -> bytes:
    """A solver state as Caffe writes it: the step of the rate last, zero though it is."""
    made = schema.message("SolverState")(
        iter=iteration, learned_net=f"run/fcn_iter_{iteration}.caffemodel", current_step=0
    )
    for _ in range(blobs):
        blob = made.history.add(data=[1.0, 2.0, 3.0])
        blob.shape.dim.append(3)
    return made.SerializeToString()


def save(run: Run, iteration: int, value: float = 1.0) -> bytes:
    """A snapshot; the bytes of its solver state."""
    store.create().put("score", [np.full(3, value, np.float32)]).save(
        run.weights(iteration), force=True
    )
    data = state(iteration)
    run.weights(iteration).with_suffix(".solverstate").write_bytes(data)
    return data


@pytest.fixture
def run(tmp_path):
    made = Run(write_net(tmp_path / "net"), "run")
    made.path.mkdir()
    return made


def test_the_newest_is_by_number(run):
    assert run.newest() == (None, [])
    for iteration in (20, 100, 9):
        save(run, iteration)
    snapshot, passed = run.newest()
    assert snapshot.iteration == 100 and passed == []
    assert [each.iteration for each in run.snapshots()] == [100, 20, 9]
    assert (
        snapshot.weights.name == "fcn_iter_100.caffemodel"
        and snapshot.state.suffix == ".solverstate"
    )


def test_a_state_cut_at_any_byte_is_passed_over(run):
    save(run, 20)
    data = save(run, 40)
    path = run.path / "fcn_iter_40.solverstate"
    for length in range(len(data)):
        path.write_bytes(data[:length])
        snapshot, passed = run.newest()
        assert snapshot.iteration == 20, length
        assert [each.snapshot.iteration for each in passed] == [40]
    path.write_bytes(data)
    assert run.newest()[0].iteration == 40


def test_weights_that_are_cut_or_gone_are_passed_over(run):
    save(run, 20)
    save(run, 40)
    path = run.weights(40)
    path.write_bytes(path.read_bytes()[:-1])
    assert run.newest()[0].iteration == 20
    path.unlink()
    snapshot, passed = run.newest()
    assert snapshot.iteration == 20 and "fcn_iter_40.caffemodel" in passed[0].why


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_without_numbers_are_passed_over(run, value):
    save(run, 20)
    save(run, 40, value)
    snapshot, [passed] = run.newest()
    assert snapshot.iteration == 20
    assert passed.why.endswith('fcn_iter_40.caffemodel: NaN or infinity in layer "score"')


def test_other_files_are_no_snapshots(run):
    for name in (
        "fcn_iter_.solverstate",
        "fcn_iter_5.caffemodel",
        "other_iter_5.solverstate",
        "caffe.log",
    ):
        (run.path / name).write_bytes(state(5))
    assert run.snapshots() == [] and not run.begun


def test_a_clear_leaves_what_is_not_the_runs(run):
    save(run, 20)
    (run.path / "notes.txt").touch()
    run.record.touch()
    assert run.begun
    run.clear()
    assert os.listdir(run.path) == ["notes.txt"] and not run.begun


def test_a_run_is_for_one_process(run):
    with (
        locked(run),
        pytest.raises(OutputError, match="another process is training it"),
        locked(run),
    ):
        pass
    with locked(run):
        pass


def test_a_run_where_nothing_can_be_written(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(OutputError, match="cannot be written"),
        locked(Run(tmp_path / "file", "run")),
    ):
        pass


def test_real_snapshots_are_whole(caffe, tmp_path):
    from caffe_snapshots import snapshots

    from fcnkit.training.runs import Snapshot

    weights, solver_state = snapshots(caffe, tmp_path, "BINARYPROTO")
    assert damage(Snapshot(3, weights, solver_state)) == ""
    data = solver_state.read_bytes()
    solver_state.write_bytes(data[:-2])  # the last field alone, the step of the rate
    assert "is cut" in damage(Snapshot(3, weights, solver_state))
