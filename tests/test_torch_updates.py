"""The six solvers: after a hundred steps the weights and the solver's memory are real Caffe's."""

import numpy as np
import pytest
from caffe_training import case, differences, log_of

from fcnkit.errors import EngineError
from fcnkit.formats import prototxt
from fcnkit.nets import solver_types
from fcnkit.weights import store

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'fcnkit[torch]'")

from fcnkit.training.torch.solving import updates  # noqa: E402
from fcnkit.training.torch.solving.solver import Solver  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

LINES = """net: "net.prototxt" max_iter: 100 weight_decay: 0.01
lr_policy: "step" stepsize: 40 gamma: 0.3
"""
SOLVERS = {
    "SGD": 'type: "SGD" base_lr: 0.05 momentum: 0.9 iter_size: 2 clip_gradients: 1',
    "Nesterov": 'type: "Nesterov" base_lr: 0.05 momentum: 0.9 regularization_type: "L1"',
    "AdaGrad": "solver_type: ADAGRAD base_lr: 0.05",
    "RMSProp": 'type: "RMSProp" base_lr: 0.01 rms_decay: 0.98 clip_gradients: 0.5',
    "AdaDelta": 'type: "AdaDelta" base_lr: 1 momentum: 0.95 delta: 1e-6',
    "Adam": 'type: "Adam" base_lr: 0.01 momentum: 0.9',
}


@pytest.mark.parametrize("name", SOLVERS)
def test_after_a_hundred_steps_all_is_as_in_caffe(caffe, tmp_path, monkeypatch, name):
    monkeypatch.setattr(updates, "_PIECE", 10)
    given = case(tmp_path)
    solver = Solver(given.solver(LINES + SOLVERS[name]), given.feed, folder=tmp_path, device="cpu")
    given.start(solver)
    log_of(caffe, tmp_path, f"--weights={given.weights}")
    for _ in range(100):
        solver.step()
    weights, state = solver.snapshot("ours")
    assert list(differences(weights, given.weights, 1e-2))  # it did learn
    assert list(differences(weights, tmp_path / "caffe_iter_100.caffemodel", 1e-4)) == []
    assert list(differences(state, tmp_path / "caffe_iter_100.solverstate", 1e-4)) == []
    history = store.open(state)["history"]
    assert len(history) == 11 * (2 if name in ("AdaDelta", "Adam") else 1)
    assert any(blob.array().any() for blob in history)


@pytest.mark.parametrize(
    "text, words",
    [
        (
            'type: "Rprop"',
            'type "Rprop"; Caffe knows SGD, Nesterov, AdaGrad, RMSProp, AdaDelta, Adam',
        ),
        ('type: "SGD" solver_type: SGD', "both type and solver_type; remove solver_type"),
        (
            'type: "AdaGrad" momentum: 0.9',
            "momentum is 0.9, and Caffe aborts: .* with AdaGrad",
        ),
        ('type: "RMSProp" rms_decay: 1', "rms_decay is 1, and Caffe aborts"),
    ],
)
def test_refused(text, words):
    with pytest.raises(EngineError, match=f"s.prototxt: the solver: .*{words}"):
        updates.rule(prototxt.parse(text, "s.prototxt"))


def test_caffe_refuses_them_too(caffe, tmp_path):
    given = case(tmp_path)
    for text in ('type: "Rprop"', 'type: "SGD" solver_type: SGD', 'type: "AdaGrad" momentum: 0.9'):
        given.solver(f'net: "net.prototxt" lr_policy: "fixed" base_lr: 1 max_iter: 1 {text}')
        with pytest.raises(
            AssertionError, match="Unknown solver type|cannot be both specified|Momentum"
        ):
            log_of(caffe, tmp_path)


def test_pieces_are_the_whole(monkeypatch):
    monkeypatch.setattr(updates, "_PIECE", 4)
    many = [torch.arange(float(count)).reshape(2, -1) for count in (6, 2, 10)]
    whole = updates.ParameterStep(many, many, many, (), 1, 0, 1, 1)
    found = list(updates.pieces(whole))
    assert [len(piece.values[0]) for piece in found] == [4, 2, 2, 4, 4, 2]
    assert all(len(piece.second) == 0 for piece in found)
    for piece in found:
        piece.first[0].add_(1)
    np.testing.assert_array_equal(many[0].ravel(), np.arange(6) + 1)


def test_every_type_of_caffe_has_a_rule():
    assert tuple(updates.RULES) == solver_types.TYPES
