"""train.jsonl: cut anywhere, it is read up to there, and a resume gives each iteration once."""

import json
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from fcnkit.training import record
from fcnkit.training.log import Loss, Validation

ITERATIONS = st.lists(st.integers(0, 50), unique=True, min_size=1).map(sorted)


def rows_of(iterations):
    return [
        record.row(Loss(number, number / 7, 1e-10, {"loss": 1.0}), number * 0.5)
        for number in iterations
    ]


def file_of(rows):
    return b"".join(map(record.line, rows))


@given(ITERATIONS)
def test_what_is_written_is_read(iterations):
    rows = rows_of(iterations)
    assert record.rows(file_of(rows)) == rows


@given(ITERATIONS, st.data())
def test_a_file_cut_anywhere_has_the_rows_that_are_whole(iterations, data):
    rows = rows_of(iterations)
    whole = file_of(rows)
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    assert record.rows(cut) == rows[: cut.count(b"\n")]


@given(ITERATIONS, st.integers(0, 60), st.integers(0, 60))
def test_resuming_gives_every_iteration_once(iterations, start, killed):
    shown = [number for number in iterations if number < killed]
    again = [number for number in iterations if number >= start]
    kept = [row["iteration"] for row in record.before(rows_of(shown), start)] + again
    assert len(set(kept)) == len(kept)
    assert start > killed or kept == iterations


def test_cut_back(tmp_path):
    path = tmp_path / "train.jsonl"
    assert record.cut_back(path, 5) == [] and path.read_bytes() == b""
    path.write_bytes(file_of(rows_of([0, 5, 10, 15])) + b'{"iteration": 20, "lo')
    assert [row["iteration"] for row in record.cut_back(path, 10)] == [0, 5]
    assert path.read_bytes() == file_of(rows_of([0, 5]))
    assert record.seconds(record.read(path)) == 2.5


def test_rows():
    loss = Loss(3, 0.5, None, {"loss_a": 0.2, "loss_b": 0.3})
    outputs = {"loss_a": 0.2, "loss_b": 0.3}
    assert record.row(loss, 1.23456) == {
        "iteration": 3,
        "loss": 0.5,
        "rate": None,
        "seconds": 1.235,
        "outputs": outputs,
    }
    assert record.row(Validation(3, {"accuracy": 0.5}), 1) == {
        "iteration": 3,
        "test": {"accuracy": 0.5},
    }
    assert record.row(Validation(3, {}, 1), 1)["net"] == 1


def test_what_is_no_number_is_null():
    row = record.row(Validation(3, {"a": float("nan"), "b": [float("inf"), 1.0]}), 0)
    assert json.loads(record.line(row)) == {"iteration": 3, "test": {"a": None, "b": [None, 1.0]}}


def test_other_lines_are_left_out():
    data = b'[]\n3\n{"loss": 1}\n{"iteration": "a"}\n\xff\n{"iteration": 1}\n'
    assert record.rows(data) == [{"iteration": 1}]


# ---- rows that were not written, though the trainer had come so far


def log_of(*sessions):
    """A log of runs that each show these iterations, tested at every tenth."""
    lines = []
    for number in (number for session in sessions for number in session):
        if number % 10 == 0:
            lines += [f"Iteration {number}, Testing net (#0)"]
            lines += [f"    Test net output #0: accuracy = 0.{number}"]
        lines += [f"Iteration {number} (9 iter/s, 1s/5 iters), loss = {number / 7:.6g}"]
        lines += ["    Train net output #0: loss = 1 (* 1 = 1 loss)"]
        lines += [f"Iteration {number}, lr = 1e-10"]
    return "".join(f"I1125 21:04:13.361202 27063 a.cpp:1] {line}\n" for line in lines)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=4), st.data())
def test_a_record_that_lacks_rows_is_completed_from_the_log(ends, data):
    """However often the run was killed, and however much of each session was not written."""
    sessions, start = [], 0
    for end in ends:
        sessions.append(range(start, start + end))
        start = data.draw(st.integers(0, start + end))
    with tempfile.TemporaryDirectory() as folder:
        path, log = Path(folder) / "train.jsonl", Path(folder) / "caffe.log"
        log.write_text(log_of(*sessions))
        whole = record.before(record.logged(log), start)
        known = sorted(data.draw(st.sets(st.sampled_from(range(len(whole)))))) if whole else []
        timed = [{**whole[number]} for number in known]
        for place, row in enumerate(timed):
            if "loss" in row:
                row["seconds"] = float(place)
        path.write_bytes(file_of(timed))
        kept = record.cut_back(path, start, log)
    assert [(row["iteration"], "loss" in row) for row in kept] == [
        (number, one)
        for number in range(start)
        for one in ([False, True] if number % 10 == 0 else [True])
    ]
    assert [row for row in kept if row in timed] == timed
    times = [row["seconds"] for row in kept if "loss" in row]
    assert times == sorted(times)


def test_a_log_of_something_else_adds_nothing(tmp_path):
    (tmp_path / "log").write_text("] Iteration 5, loss = x\n")
    assert record.logged(tmp_path / "log") == record.logged(tmp_path / "none") == []
