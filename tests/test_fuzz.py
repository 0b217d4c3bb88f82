"""Hostile inputs of every kind: a FcnkitError or a result, no other exception, bounded memory.

Every kind has some whole inputs, and hypothesis changes them.  `make test` tries
some dozens of each, `make fuzz` many thousands (FCNKIT_FUZZ says how many).
What breaks the law is written to tests/found/KIND-new, the smallest last; give
it a name that says what it is, and it is tried for ever.
"""

import io
import json
import os
import struct
import tracemalloc
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from small_files import hdf5, npz

import fcnkit as fk
from fcnkit.cli.main import COMMANDS, main
from fcnkit.datasets import databases, images, labels
from fcnkit.datasets.colours import read_classes, read_colours
from fcnkit.datasets.labels import Reading
from fcnkit.errors import FcnkitError
from fcnkit.formats import binaryproto, datum, hdf5state
from fcnkit.formats.prototxt import parse
from fcnkit.inference.preparation import read_mean
from fcnkit.models import index
from fcnkit.training import record
from fcnkit.training.log import events
from fcnkit.weights import store

FOUND = Path(__file__).with_name("found")
EXAMPLES = int(os.environ.get("FCNKIT_FUZZ") or 40)
# What the largest of these small inputs may take, of what Python and numpy allocate.
MEMORY = 200 << 20

NET = b"""\
name: "n"  # a comment
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 16 dim: 16 } } }
layer { name: "c" type: "Convolution" bottom: "data" top: "c" param { lr_mult: 1 } convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "b" type: "BatchNorm" bottom: "c" top: "c" batch_norm_param { use_global_stats: true } }
layer { name: "p" type: "Pooling" bottom: "c" top: "p" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "s" type: "Slice" bottom: "p" top: "s1" top: "s2" slice_param { slice_point: 2 } }
layer { name: "k" type: "Concat" bottom: "s1" bottom: "s2" top: "k" }
layer { name: "fc" type: "InnerProduct" bottom: "k" top: "fc" inner_product_param { num_output: 010 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" include { phase: TEST } }
"""  # noqa: E501
V1 = b"""\
input: "data" input_dim: 1 input_dim: 3 input_dim: 16 input_dim: 16
layers [ { name: "c" type: CONVOLUTION bottom: "data" top: "c" blobs_lr: 1 convolution_param { num_output: 2 kernel_size: 3 } },
{ name: "fc" type: INNER_PRODUCT bottom: "c" top: "fc" inner_product_param { num_output: 2 } } ]
"""  # noqa: E501
TRAIN = b"""\
layer { name: "d" type: "Data" top: "data" top: "label" include { phase: TRAIN stage: "x" } transform_param { mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.5 crop_size: 16 mirror: true mean_file: "mean\\000.binaryproto" } data_param { source: "db" batch_size: 2 backend: LMDB } }
layer { name: "d" type: "ImageData" top: "data" top: "label" include { phase: TEST not_stage: "y" } image_data_param { source: "list.txt" batch_size: 1 new_height: 16 new_width: 16 } }
layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 4 kernel_h: 3 kernel_w: 3 group: 1 dilation: 2 } }
layer { name: "u" type: "Deconvolution" bottom: "c" top: "u" convolution_param { num_output: 2 kernel_size: 4 stride: 2 bias_term: false } }
layer { name: "crop" type: "Crop" bottom: "u" bottom: "data" top: "crop" crop_param { axis: 2 offset: 3 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "crop" bottom: "label" top: "loss" loss_weight: 1 loss_param { ignore_label: 255 } }
"""  # noqa: E501
LOG = b"""\
I1125 21:04:13.361202 27063 solver.cpp:239] Iteration 0 (4.2e-31 iter/s, 0.003s/5 iters), loss = 2.2191
I1125 21:04:13.361202 27063 solver.cpp:258]     Train net output #0: loss_a = 2.3714 (* 1 = 2.3714 loss)
I1125 21:04:13.361202 27063 sgd_solver.cpp:112] Iteration 0, lr = 0.05
I1125 21:04:13.361202 27063 solver.cpp:347] Iteration 20, Testing net (#0)
I1125 21:04:13.361202 27063 sgd_solver.cpp:284] Snapshotting solver state to HDF5 file run/fcn.solverstate.h5
"""  # noqa: E501
ARRAYS = {"c": [np.arange(6, dtype="<f4").reshape(2, 3), np.ones(2, "<f4")]}


# ---- whole inputs


def picture(form: str, mode: str) -> bytes:
    values = np.arange(64, dtype=np.uint8).reshape(8, 8) % 4
    made = Image.fromarray(values).convert(mode)
    file = io.BytesIO()
    made.save(file, form)
    return file.getvalue()


def caffemodel(kind: str) -> bytes:
    file = io.BytesIO()
    made = store.create(kind=kind).put_all(ARRAYS)
    path = FOUND.with_name(".fuzz.caffemodel")
    try:
        made.save(path)
        file.write(path.read_bytes())
    finally:
        path.unlink(missing_ok=True)
    return file.getvalue()


def array(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def state() -> bytes:
    return hdf5state.render(hdf5state.SolverState(3, "net.caffemodel", 0, (ARRAYS["c"][0],)))


def lmdb_file() -> bytes:
    import tempfile

    import lmdb

    with tempfile.TemporaryDirectory() as folder:
        with lmdb.open(folder, map_size=1 << 22) as whole, whole.begin(write=True) as transaction:
            for number in range(90):
                values = np.full((1, 2, 2 + number % 40), number % 3, np.uint8)
                transaction.put(b"%08d_a" % number, datum.written(values))
        return Path(folder, "data.mdb").read_bytes()


MODELS = {"models": [{"name": "a", "file": "a.caffemodel"}, {"name": "b", "file": "b", "size": 3}]}


@cache
def seeds(kind: str) -> tuple[bytes, ...]:
    forms = ("PNG", "JPEG", "BMP", "TIFF", "GIF", "PPM", "WEBP")
    made: dict[str, Callable[[], tuple[bytes, ...]]] = {
        "prototxt": lambda: (NET, V1, TRAIN),
        "weights": lambda: (
            caffemodel("layer"),
            caffemodel("layers"),
            hdf5(ARRAYS),
            npz(ARRAYS),
            b"\x08\x03\x12\x01n\x1a\x0e" + b"\x3a\x02\x08\x02\x2a\x08" + struct.pack("<2f", 1, 2),
        ),
        "state": lambda: (state(),),
        "lmdb": lambda: (lmdb_file(),),
        "picture": lambda: tuple(
            picture(form, mode)
            for form in forms
            for mode in ("L", "RGB", "P", "1")
            if (form, mode) not in {("JPEG", "P"), ("JPEG", "1"), ("PPM", "P"), ("WEBP", "1")}
        ),
        "npy": lambda: (array(np.ones((4, 4), "u1")), array(np.ones((3, 4, 4), ">f4"))),
        "mean": lambda: (binaryproto.written(np.ones((3, 4, 4), "f4")),),
        "datum": lambda: (
            datum.written(np.ones((1, 2, 2), np.uint8)),
            datum.written_picture(picture("PNG", "L"), (1, 8, 8)),
        ),
        "log": lambda: (LOG,),
        "record": lambda: (record.line({"iteration": 3, "loss": 0.5, "seconds": 1.5}) * 3,),
        "index": lambda: (json.dumps(MODELS).encode(),),
        "colours": lambda: (b"0 0 0 sky\n128 0 0 tree\nvoid 255 255 255\n", b"a\nb\nc\n"),
    }
    return made[kind]()


# ---- what is done with an input of a kind: with its file, or with its bytes


def net(path: Path) -> None:
    found = fk.read(path)
    assert parse(found.text).text == found.text
    works = fk.inspect, fk.lint, fk.upgrade, fk.convolutionalize, fk.fold, fk.draw, fk.ungroup
    for work in (*works, partial(fk.fcn, classes=2, stride=2)):
        try:
            str(work(found))
        except FcnkitError as error:
            assert len(str(error)) < 6000


def weights(path: Path) -> None:
    found = fk.weights(path)
    str(fk.statistics(found))
    for suffix in (".npz", ".h5", ".caffemodel"):
        found.to({"npz": "npz", "h5": "hdf5", "caffemodel": "layer"}[suffix[1:]]).save(
            path.with_suffix(suffix), force=True
        )


def label(path: Path) -> None:
    values = labels.read_label(path, Reading(4, unknown="keep"))
    assert values.dtype == np.uint8


def both(path: Path) -> None:
    """A picture as an image, and as a label."""
    try:
        images.read_image(path, turn=True)
    except FcnkitError as error:
        assert len(str(error)) < 2000
    label(path)


def database(path: Path) -> None:
    for each in databases.read(path.parent):
        assert each.array.ndim == 3


def one_datum(path: Path) -> None:
    databases._array("db", "a", path.read_bytes())


def rows(path: Path) -> None:
    found = record.rows(path.read_bytes())
    record.seconds(found)
    record.before(found, 2)


def read_index(path: Path) -> None:
    index.read(str(path), 1.0)


KINDS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "prototxt": ("net.prototxt", net),
    "weights": ("net.weights", weights),
    "state": ("a.h5", lambda path: hdf5state.parse(path.read_bytes(), str(path))),
    "lmdb": ("data.mdb", database),
    "picture": ("a.png", both),
    "npy": ("a.npy", label),
    "mean": ("mean.binaryproto", read_mean),
    "datum": ("datum", one_datum),
    "log": ("log", lambda path: list(events(path.read_text(errors="replace").splitlines()))),
    "record": ("train.jsonl", rows),
    "index": ("models.json", read_index),
    "colours": ("colours.txt", lambda path: (read_classes(path), read_colours(path))),
}


def tried(kind: str, data: bytes, folder: Path) -> None:
    """The law holds for this input."""
    name, work = KINDS[kind]
    path = folder / name
    path.write_bytes(data)
    tracemalloc.start()
    try:
        work(path)
    except FcnkitError as error:
        assert str(error)
    except BaseException:
        FOUND.mkdir(exist_ok=True)
        (FOUND / f"{kind}-new").write_bytes(data)
        raise
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < MEMORY, peak


# ---- changes

NUMBERS = (b"0", b"-1", b"4294967296", b"9" * 400, b"1e999", b"nan", b"\xff\xff\xff\xff", b"\0" * 8)
PIECES = st.one_of(st.binary(max_size=8), st.sampled_from(NUMBERS), st.sampled_from(b'{}[]:"#,;'))


@st.composite
def changed(draw, kind: str) -> bytes:
    """A whole input of a kind with up to six changes."""
    data = bytearray(draw(st.sampled_from(seeds(kind))))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(data)))
        length = draw(st.sampled_from((0, 1, 1, 2, 4, 8, 60, len(data))))
        new = draw(PIECES)
        new = bytes([new]) if isinstance(new, int) else new
        if draw(st.booleans()) and data:
            start = draw(st.integers(0, len(data) - 1))
            new = bytes(data[start : start + length])  # a part of it, once more
        data[at : at + length] = new
    return bytes(data)


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_input_is_refused_or_read(kind, tmp_path):
    @settings(
        max_examples=EXAMPLES if kind != "lmdb" else EXAMPLES // 2,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(changed(kind))
    def check(data):
        tried(kind, data, tmp_path)

    check()


def found() -> list[str]:
    return sorted(path.name for path in FOUND.glob("*")) if FOUND.is_dir() else []


@pytest.mark.parametrize("name", found())
def test_what_was_found_stays_mended(name, tmp_path):
    tried(name.partition("-")[0], (FOUND / name).read_bytes(), tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_whole_inputs_are_read(kind, tmp_path):
    """Else the changes would begin at what is refused anyhow."""
    name, work = KINDS[kind]
    read = 0
    for number, data in enumerate(seeds(kind)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / name).write_bytes(data)
        try:
            work(folder / name)
        except FcnkitError:
            continue
        read += 1
    assert read >= len(seeds(kind)) / 2


# ---- the words of commands

COMMON = """
n.prototxt w.npz gone . - -- -o --json --diff --force --classes --stride --do --input --pad --head
--mean --to --with --engine --phase --stage --map --void --split --resize data=1,3,16,16 data=0 fold
classes=fc:0-3,new rename=c:x drop=b 21 999999999999999999999999999999 nan -1 ² a=b 1,2,3 create
list template:lenet out
"""
# No zero byte: no system passes one to a program.
LETTERS = st.characters(min_codepoint=1)
WORDS = st.one_of(st.text(LETTERS, max_size=12), st.sampled_from(COMMON.split()))


def test_any_words_end_well(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "n.prototxt").write_bytes(NET)
    (tmp_path / "w.npz").write_bytes(npz(ARRAYS))
    # Those that would ask the net or start programs are given no chance to.
    names = [name for name in COMMANDS if name not in ("models", "train", "verify", "infer")]

    @settings(max_examples=4 * EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(names), st.lists(WORDS, max_size=7))
    def check(name, words):
        done = CliRunner().invoke(main, [name, *words], input=NET)
        fine = done.exception is None or isinstance(done.exception, SystemExit)
        assert fine and done.exit_code in (0, 1, 2), (name, words, done.exception)

    check()
