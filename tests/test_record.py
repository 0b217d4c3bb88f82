"""train.jsonl: cut anywhere, it is read up to there, and a resume gives each iteration once."""

import json

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
