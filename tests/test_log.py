"""Lines of Caffe's log become events; the lines are what Caffe wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcnkit.training.log import Ignored, Loss, Saved, Validation, events

TIME = "I1125 21:04:13.361202 27063 "
LOG = """\
caffe.cpp:197] Use CPU.
net.cpp:744] Ignoring source layer fc8
solver.cpp:289] Solving 
solver.cpp:239] Iteration 0 (4.25782e-31 iter/s, 0.003s/5 iters), loss = 2.2191
solver.cpp:258]     Train net output #0: loss_a = 2.3714 (* 1 = 2.3714 loss)
solver.cpp:258]     Train net output #1: loss_b = 1.5 (* 1 = 1.5 loss)
sgd_solver.cpp:112] Iteration 0, lr = 0.05
blocking_queue.cpp:49] Waiting for data
solver.cpp:464] Snapshotting to binary proto file run/fcn_iter_20.caffemodel
sgd_solver.cpp:284] Snapshotting solver state to binary proto file run/fcn_iter_20.solverstate
solver.cpp:347] Iteration 20, Testing net (#0)
solver.cpp:414]     Test net output #0: accuracy = 0.791667
data_layer.cpp:73] Restarting data prefetching from start.
solver.cpp:414]     Test net output #1: per_class = 0.5
solver.cpp:414]     Test net output #2: per_class = 1
solver.cpp:414]     Test net output #3: loss = -nan (* 1 = -nan loss)
solver.cpp:347] Iteration 20, Testing net (#1)
solver.cpp:414]     Test net output #0: accuracy = 0.25
solver.cpp:239] Iteration 20 (-nan iter/s, 0s/5 iters), loss = 1e+30
solver.cpp:258]     Train net output #0: loss = 0.529262 (* 1 = 0.529262 loss)
sgd_solver.cpp:112] Iteration 20, lr = 1e-10
sgd_solver.cpp:284] Snapshotting solver state to HDF5 file run/fcn_iter_25.solverstate.h5
solver.cpp:327] Iteration 25, loss = 0.265112
solver.cpp:332] Optimization Done.
caffe.cpp:250] Optimization Done.
""".splitlines()  # fmt: skip  # noqa: W291
LINES = [f"{TIME}{line}\n" for line in LOG]


def test_a_log():
    ignored, first, saved, scores, other, second, state, last = events(LINES)
    assert ignored == Ignored("fc8")
    assert first == Loss(0, 2.2191, 0.05, {"loss_a": 2.3714, "loss_b": 1.5})
    assert saved == Saved("run/fcn_iter_20.solverstate")
    assert (scores.iteration, scores.net) == (20, 0)
    assert scores.values["accuracy"] == 0.791667 and scores.values["per_class"] == [0.5, 1]
    assert scores.values["loss"] != scores.values["loss"]
    assert other == Validation(20, {"accuracy": 0.25}, 1)
    assert second == Loss(20, 1e30, 1e-10, {"loss": 0.529262})
    assert state == Saved("run/fcn_iter_25.solverstate.h5")
    assert last == Loss(25, 0.265112, None, {})


@given(st.integers(0, len(LINES)))
def test_a_log_that_ends_early_gives_the_first_of_the_events(count):
    every, some = list(map(repr, events(LINES))), list(map(repr, events(LINES[:count])))
    # The last may be known in part alone: a loss without its rate.
    assert some[:-1] == every[: max(0, len(some) - 1)]


def test_events_come_as_soon_as_they_are_whole():
    heard = []

    def spoken():
        for line in LINES[:7]:
            heard.append(line)
            yield line

    stream = events(spoken())
    assert next(stream) == Ignored("fc8") and len(heard) == 2
    assert next(stream).iteration == 0 and len(heard) == 7


@pytest.mark.parametrize(
    "text", ["", "\n", "Iteration 5, loss = 3", "] Iteration , loss = ", "\ufffd" * 9]
)
def test_other_lines_say_nothing(text):
    assert list(events([text])) == []
