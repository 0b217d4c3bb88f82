"""Event files: their checksums, what TensorBoard itself reads in them, and what a resume keeps."""

import importlib.util
import struct

import numpy as np
import pytest

from fcnkit.training import tensorboard
from fcnkit.training.log import Loss, Validation
from fcnkit.training.runs import EVENTS, Run
from fcnkit.training.tensorboard import Board, crc32c, framed, records, scalars

ROWS = [
    {"iteration": 0, "loss": 2.5, "rate": 0.01, "seconds": 1.0},
    {"iteration": 10, "test": {"accuracy": 0.25, "each": [0.5, None]}, "net": 1},
    {"iteration": 10, "loss": 1.5, "rate": 0.01, "seconds": 2.0, "outputs": {"a": 1.0, "b": 0.5}},
]


@pytest.fixture
def run(tmp_path):
    made = Run(tmp_path, "run")
    made.path.mkdir()
    return made


def png(width: int = 4, height: int = 3) -> bytes:
    from fcnkit.reporting.pictures import png as written

    return written(np.full((height, width, 3), 7, np.uint8))


@pytest.mark.parametrize(
    "data, value",
    [
        # https://www.rfc-editor.org/rfc/rfc3720#appendix-B.4
        (b"\0" * 32, 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        (b"123456789", 0xE3069283),
        (b"", 0),
    ],
)
def test_the_checksum_is_the_published_one(data, value):
    assert crc32c(data) == value


def test_records_are_read_until_one_is_cut_or_damaged():
    parts = [b"", b"one", bytes(300)]
    data = b"".join(map(framed, parts))
    assert list(records(data)) == parts
    for length in range(len(data)):
        found = list(records(data[:length]))
        assert found == parts[: len(found)] and len(found) < 3
    for byte in range(len(data)):
        spoilt = bytearray(data)
        spoilt[byte] ^= 1
        assert list(records(bytes(spoilt))) != parts


def test_each_number_of_a_row_has_a_name():
    found = [dict(scalars(row)) for row in ROWS]
    assert found[0] == {"loss": 2.5, "rate": 0.01}
    assert found[1] == {"validation (1)/accuracy": 0.25, "validation (1)/each/0": 0.5}
    assert found[2] == {"loss": 1.5, "rate": 0.01, "training/a": 1.0, "training/b": 0.5}


# ---- TensorBoard itself


@pytest.fixture
def read():
    """What TensorBoard's own reader finds in a run's folder, and how many events it took."""
    if importlib.util.find_spec("tensorboard") is None:
        pytest.skip("TensorBoard is not installed: pip install tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def found(run):
        made = EventAccumulator(str(run.path), size_guidance={"scalars": 0, "images": 0})
        made.Reload()
        return made

    return found


def curve(found, tag):
    return [(each.step, round(each.value, 6)) for each in found.Scalars(tag)]


def test_tensorboard_reads_scalars_and_pictures(run, read):
    board = Board(run)
    board.begin(ROWS, 10)
    board.keep(Loss(20, 1.25, 0.005, {}))
    board.keep(Validation(20, {"accuracy": 0.75, "none": float("nan")}))
    board.show(20, {"overlay/a": png()})
    found = read(run)
    assert curve(found, "loss") == [(0, 2.5), (10, 1.5), (20, 1.25)]
    assert curve(found, "rate")[-1] == (20, 0.005)
    assert curve(found, "validation/accuracy") == [(20, 0.75)]
    assert set(found.Tags()["scalars"]) == {
        *("loss", "rate", "training/a", "training/b", "validation/accuracy"),
        *("validation (1)/accuracy", "validation (1)/each/0"),
    }
    (image,) = found.Images("overlay/a")
    assert (image.step, image.width, image.height) == (20, 4, 3)
    assert image.encoded_image_string == png()
    times = [each.wall_time for each in found.Scalars("loss")]
    assert times == sorted(times) and times[1] - times[0] == pytest.approx(1.0)


def test_a_resume_has_one_file_with_what_is_kept(run, read):
    board = Board(run)
    board.begin(ROWS[:1])
    for iteration in (10, 20, 30):
        board.keep(Loss(iteration, 1.0, 0.01, {}))
        board.show(iteration, {"overlay/a": png(iteration)})
    (first,) = run.event_files()
    with open(first, "ab") as file:
        file.write(b"cut")  # as a kill may leave it
    again = Board(run)
    again.begin([ROWS[0], {"iteration": 10, "loss": 1.0, "rate": 0.01}], 20)
    again.keep(Loss(20, 0.5, 0.01, {}))
    (second,) = run.event_files()
    assert second.name > first.name and second.name.startswith(EVENTS)
    found = read(run)
    assert curve(found, "loss") == [(0, 2.5), (10, 1.0), (20, 0.5)]
    assert [each.width for each in found.Images("overlay/a")] == [10, 20]


def test_a_restart_takes_the_file_away(run):
    Board(run).begin(ROWS)
    (run.path / "other.txt").write_text("")
    run.clear()
    assert [path.name for path in run.path.iterdir()] == ["other.txt"]


def test_a_name_of_any_kind_and_any_length(run, read):
    board = Board(run)
    board.begin([])
    names = ["<b>", "x" * 5000, "\udcff\x1b[31m", "a/b", "שלום"]
    board.keep(Validation(1, dict.fromkeys(names, 1.0)))
    tags = read(run).Tags()["scalars"]
    assert len(tags) == len(names) and "validation/<b>" in tags


def test_the_numbers_are_little_endian_as_they_must_be():
    data = framed(b"abc")
    assert struct.unpack("<Q", data[:8]) == (3,) and data[12:15] == b"abc" and len(data) == 19
    assert tensorboard._sum(b"") == struct.pack("<I", 0xA282EAD8)
