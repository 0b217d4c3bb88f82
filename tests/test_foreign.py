"""What other libraries do with damaged data is an error of ours, and takes no more memory
than the file has."""

import io
import os
import stat
import struct

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from fcnkit.datasets import images, staging
from fcnkit.datasets.create import Task, create
from fcnkit.datasets.images import read_image
from fcnkit.datasets.labels import Reading, label_size, read_label
from fcnkit.datasets.pairs import Pair, find
from fcnkit.datasets.prepare import PairOptions, prepared
from fcnkit.errors import DatasetError, OutputError, WeightsError
from fcnkit.foreign import json_of, refusing
from fcnkit.formats import hdf5state, npy
from fcnkit.inference.preparation import read_mean
from fcnkit.scoring import files as scoring
from fcnkit.training import record
from fcnkit.training.log import Loss, events

# ---- any library


@pytest.mark.parametrize(
    "error, words",
    [
        (MemoryError(), "it does not fit into memory"),
        (FileNotFoundError(2, "No such file or directory"), "No such file or directory"),
        (ValueError("a\nb" * 300), "a b"),
        (KeyError(), "KeyError"),
        (RecursionError("deep"), "deep"),
    ],
)
def test_whatever_it_raises_is_refused(error, words):
    with pytest.raises(DatasetError) as caught, refusing(lambda reason: DatasetError(reason)):
        raise error
    assert str(caught.value).startswith(words) and len(str(caught.value)) <= 200


def test_ours_pass_and_ctrl_c_does():
    for error in (OutputError("x"), KeyboardInterrupt()):
        with pytest.raises(type(error)), refusing(DatasetError):
            raise error


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[" * 100_000,
        "9" * 5000,
        b"\xff",
        "nul",
        '{"a": 1, "a": 1}',
        '[{"b": {"c": 1, "c": 2}}]',
    ],
)
def test_json(text):
    with pytest.raises(ValueError):
        json_of(text)


# ---- .npy


@given(
    arrays.arrays(
        st.sampled_from(["<f4", ">f8", "|b1", "<i8", ">u2", "|u1", "<f2"]),
        arrays.array_shapes(min_dims=0, max_dims=4, min_side=0),
    ),
    st.booleans(),
)
def test_an_array_is_read_as_by_numpy(tmp_path_factory, values, fortran):
    path = tmp_path_factory.mktemp("npy") / "a.npy"
    np.save(path, np.asfortranarray(values) if fortran else values)
    found, expected = npy.read(path), np.load(path)
    assert found.dtype == expected.dtype and found.shape == expected.shape == npy.shape_of(path)
    assert found.tobytes() == expected.tobytes()


def written(text: bytes, values: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + values


PLAIN = b"{'descr': '%s', 'fortran_order': False, 'shape': (%s), }\n"
HOSTILE = {
    "empty": b"",
    "cut": b"\x93NUMPY\x01",
    "version 3": b"\x93NUMPY\x03\x00" + bytes(20),
    "a zip": b"PK\x03\x04" + bytes(40),
    "pickled": b"\x80\x04\x95" + bytes(20),
    "objects": written(PLAIN % (b"|O", b"2,"), bytes(16)),
    "strings": written(PLAIN % (b"<U1", b"2,"), bytes(8)),
    "records": written(b"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }"),
    "no such type": written(PLAIN % (b"<f1", b"2,"), bytes(2)),
    "brackets": written(b"(" * 60_000),
    "open": written(b"{'descr': '<f4"),
    "terabytes": written(PLAIN % (b"<f4", b"1000000, 1000000"), bytes(16)),
    "digits": written(PLAIN % (b"<f4", b"9" * 5000), bytes(16)),
    "axes": written(PLAIN % (b"|u1", b"1, " * 64), bytes(1)),
    "nothing": written(PLAIN % (b"<f4", b"0, 1000000000000000000"), bytes(16)),
    "short": written(PLAIN % (b"<f4", b"2, 2"), bytes(15)),
    "long": written(PLAIN % (b"<f4", b"2, 2"), bytes(17)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_array(tmp_path, name):
    path = tmp_path / "a.npy"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(ValueError):
        npy.read(path)
    for read in (lambda: read_label(path, Reading(2)), lambda: read_mean(path)):
        with pytest.raises(DatasetError) as caught:
            read()
        assert str(caught.value).startswith(str(path)) and len(str(caught.value)) < 400


# ---- pictures


def test_text_in_a_picture_starts_no_program(tmp_path, monkeypatch):
    """Pillow runs PostScript with gs, whatever the file's name."""
    trace = tmp_path / "started"
    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {trace}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
    for read in (read_image, lambda path: read_label(path, Reading(2))):
        with pytest.raises(DatasetError, match="found a PostScript file"):
            read(path)
    assert not trace.exists()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "TIFF", "GIF", "PPM", "WEBP"])
def test_a_picture_of_each_kind(tmp_path, form):
    Image.new("RGB", (5, 4), (0, 0, 0)).save(tmp_path / "a", form)
    assert read_image(tmp_path / "a").size == images.image_size(tmp_path / "a") == (5, 4)


@pytest.fixture
def pair(tmp_path, monkeypatch) -> Pair:
    """An image of 8 x 8 and a label of 13,000 x 13,000, which must not be decoded."""
    Image.new("RGB", (8, 8)).save(tmp_path / "image.png")
    Image.new("1", (13_000, 13_000)).save(tmp_path / "label.png")

    def decoded(*words, **options):
        raise AssertionError("it was decoded")

    monkeypatch.setattr(Image.Image, "load", decoded)
    return Pair("a", tmp_path / "image.png", tmp_path / "label.png")


def test_sizes_are_compared_before_pictures_are_decoded(pair):
    (problem,) = prepared(pair, PairOptions(Reading(2))).problems
    assert problem.startswith(f"{pair.label}: is 13000x13000, but its image {pair.image} is 8x8")


def test_so_are_those_of_predictions(pair):
    readings = scoring.Readings(Reading(2), Reading(2))
    found = scoring._scored(scoring.ScoredPair(pair.label, pair.image), readings, 2)
    assert "8 x 8" in found and "13000 x 13000" in found


def test_the_size_of_an_array_is_in_its_header(tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(written(PLAIN % (b"<f4", b"30, 20")))
    assert label_size(path) == (20, 30)


# ---- what a failed create leaves


def folders(top) -> Task:
    for kind in ("images", "labels"):
        (top / kind).mkdir()
        for name in "ab":
            Image.new("RGB" if kind == "images" else "L", (4, 4)).save(top / kind / f"{name}.png")
    pairs = find(top / "images", top / "labels")
    return Task({"train": pairs}, PairOptions(Reading(2)), ("x", "y"))


@pytest.mark.parametrize(
    "error, stays",
    [
        (ValueError("a defect"), False),
        (DatasetError("damage"), False),
        (OutputError("the disk is full"), True),
        (KeyboardInterrupt(), True),
    ],
)
def test_what_would_fail_again_leaves_nothing(tmp_path, monkeypatch, error, stays):
    task = folders(tmp_path)

    def failing(*words):
        raise error

    with monkeypatch.context() as patch, pytest.raises(type(error)):
        patch.setattr("fcnkit.datasets.create._put", failing)
        create(task, tmp_path / "data")
    assert staging.place(tmp_path / "data").exists() == stays
    create(task, tmp_path / "data", resume=stays)
    assert (tmp_path / "data" / "report.json").exists()


@pytest.mark.parametrize("name", ["lmdb", "PIL.Image"])
def test_a_library_that_is_missing_leaves_nothing(tmp_path, monkeypatch, name):
    task = folders(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(Exception, match="is needed, and (is not installed|does not load)"):
        create(task, tmp_path / "data")
    assert not staging.place(tmp_path / "data").exists()


# ---- solver states in HDF5


def state(build) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as whole:
        whole.create_dataset("iter", data=np.array([3], "<i4"))
        whole.create_dataset("current_step", data=np.array([0], "<i4"))
        whole.create_dataset("learned_net", data=np.array(b"net", "S4"))
        build(whole.create_group("history"))
    return file.getvalue()


@pytest.mark.parametrize(
    "options",
    [
        {"shape": (800_000_000,), "dtype": "<f4", "chunks": (1 << 20,), "compression": "gzip"},
        {"shape": (800_000_000,), "dtype": "<f4", "chunks": (1 << 20,)},
        {"shape": (800_000_000,), "dtype": "<f4"},  # of which nothing was written
        {"shape": (4,), "dtype": "<f4", "maxshape": (None,)},
    ],
)
def test_a_small_state_asks_for_little_memory(options):
    data = state(lambda group: group.create_dataset("0", **options))
    assert len(data) < 1 << 24
    with pytest.raises(WeightsError, match="its 0, .* is not stored plainly .h5repack"):
        hdf5state.parse(data, "a.solverstate.h5")


def test_a_plain_state_is_read():
    data = state(lambda group: group.create_dataset("0", data=np.arange(3, dtype="<f4")))
    assert hdf5state.parse(data, "a.h5").history[0].tolist() == [0, 1, 2]


# ---- Caffe's log, and our record of it


@pytest.mark.parametrize(
    "line",
    [
        "] Iteration 5, loss = abc",
        "] Iteration 5, loss = 1.5abc",
        "] Iteration 5, loss = 1.2.3",
        f"] Iteration {'9' * 5000}, loss = 1",
        "] Iteration ٣, loss = 1",
        "] Iteration 5, lr = x",
        "]     Train net output #0: loss = xyz",
        "] Iteration 5, Testing net (#" + "9" * 5000 + ")",
    ],
)
def test_a_line_that_caffe_did_not_write(line):
    kept = ["] Iteration 7, loss = 2", "] Iteration 7, lr = 0.1", "] Iteration 8, loss = -nan"]
    found = list(events([line, *kept]))
    assert found[0] == Loss(7, 2.0, 0.1, {}) and found[1].iteration == 8 and len(found) == 2


def test_rows_that_are_no_json():
    whole = record.line({"iteration": 1, "loss": 2.0})
    assert record.rows(b"[" * 50_000 + b"\n" + b"9" * 5000 + b"\n" + whole) == [
        {"iteration": 1, "loss": 2.0}
    ]
