"""What a file is that is not what it should be is said by every reader, in one way."""

import gzip
import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from small_files import SOLVERSTATE, hdf5, npz
from small_models import message, modern_blob, whole

import fcnkit as fk
from fcnkit.cli.main import main
from fcnkit.datasets.colours import texts
from fcnkit.datasets.images import read_image
from fcnkit.errors import DatasetError, FcnkitError, PrototxtError, WeightsError
from fcnkit.formats import binaryproto, signature
from fcnkit.formats.lmdbs import Database
from fcnkit.inference.preparation import read_mean
from fcnkit.weights import store

NET = b'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 dim: 3 } } }\n'
SOLVER = b'net: "net.prototxt"\nbase_lr: 0.1\nlr_policy: "fixed"\n'
CAFFEMODEL = message(100, message(1, b"fc") + message(2, b"InnerProduct"))


def archive(*names):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for name in names:
            made.writestr(name, b"x" * 50)
    return file.getvalue()


def onnx():
    graph = message(1, message(4, b"Conv")) * 20
    about = message(2, b"pytorch") + message(3, b"1.9")
    return whole(1, 7) + about + message(7, graph) + message(8, whole(2, 11))


def picture(form):
    image = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    image.new("RGB", (8, 8)).save(file, form)
    return file.getvalue()


FILES = {
    "an ONNX model": onnx,
    "a PyTorch .pth": lambda: archive("archive/data.pkl", "archive/data/0"),
    "a Python pickle": lambda: pickle.dumps({"a": 1}, 2),
    "a safetensors file": lambda: struct.pack("<Q", 32) + b'{"a":{"dtype":"F32","shape":[]}}',
    "a TensorFlow Lite model": lambda: b"\x1c\0\0\0TFL3" + bytes(100),
    "a TensorFlow model": lambda: message(1, message(1, b"in") + message(2, b"Placeholder")),
    "a Keras model": lambda: archive("metadata.json", "config.json"),
    "a zip archive; unpack it": lambda: archive("a.caffemodel"),
    "a zip archive, or an .npz, with nothing in it; save it": lambda: b"PK\5\6" + bytes(18),
    "a gzip archive; unpack it": lambda: gzip.compress(b"x"),
    "a tar archive": lambda: b"a".ljust(257, b"\0") + b"ustar" + bytes(300),
    "an HTML page; download the file itself": lambda: b"\n<!DOCTYPE html><html></html>",
    "a Git LFS pointer; fetch": lambda: (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d"
    ),
    "an empty file; download or export it again": lambda: b"",
    "an error message of a server (404: Not Found)": lambda: b"404: Not Found",
    "a PDF document": lambda: b"%PDF-1.4\n%\xe2\xe3\n",
    "a JSON file": lambda: b'{"a": 1}\n',
    "text in UTF-16; save it as UTF-8": lambda: NET.decode().encode("utf-16"),
    "the data.mdb of an LMDB": lambda: bytes(16) + b"\xde\xc0\xef\xbe" + bytes(4000),
    "a numpy array": lambda: b"\x93NUMPY\x01\0" + bytes(50),
    "a mean image": lambda: binaryproto.written(np.ones((1, 3, 4, 4), "f4")),
    "an image": lambda: picture("PNG"),
    "an image;": lambda: picture("JPEG"),
    "a prototxt": lambda: NET,
    "a solver's prototxt": lambda: SOLVER,
    "a caffemodel": lambda: CAFFEMODEL,
    "an HDF5 file": hdf5,
    "an .npz": npz,
    "a solver's state": lambda: SOLVERSTATE,
}
WEIGHTS = {"a caffemodel", "an HDF5 file", "an .npz", "a solver's state"}
READERS = {
    fk.read: (PrototxtError, {"a prototxt", "a solver's prototxt"}),
    store.open: (WeightsError, WEIGHTS),
    read_image: (DatasetError, {"an image", "an image;"}),
    read_mean: (DatasetError, {"a mean image", "a numpy array"}),
}


@pytest.mark.parametrize("what", FILES)
@pytest.mark.parametrize("read", READERS, ids=lambda read: f"{read.__module__}.{read.__name__}")
def test_every_reader_says_what_the_file_is(read, what, tmp_path):
    path = tmp_path / "a.file"
    path.write_bytes(FILES[what]())
    error, takes = READERS[read]
    if what in takes or (read is fk.read and "empty" in what):
        if what != "a numpy array":  # it is an array's beginning only
            read(path)
        return
    with pytest.raises(error) as caught:
        read(path)
    text = str(caught.value)
    assert text.startswith(str(path)) and what.split(";")[0] in text and ";" in text
    assert "damaged" not in text and "\n" not in text


@pytest.mark.parametrize(
    "what", ["an ONNX model", "a PyTorch .pth", "a Python pickle", "a safetensors file"]
)
def test_weights_of_another_framework_come_as_npz(what, tmp_path):
    path, made = tmp_path / "a.file", tmp_path / "a.npz"
    path.write_bytes(FILES[what]())
    with pytest.raises(WeightsError, match="save its arrays with numpy.savez, named <layer>/"):
        store.open(path)
    np.savez(made, **{"conv1/0": np.ones((2, 3, 1, 1), "f4"), "conv1/1": np.zeros(2, "f4")})
    assert [blob.shape for blob in store.open(made)["conv1"]] == [(2, 3, 1, 1), (2,)]


@pytest.mark.parametrize("what", FILES)
def test_a_list_and_a_database_are_told_from_files(what, tmp_path):
    path = tmp_path / "a.file"
    path.write_bytes(FILES[what]())
    with pytest.raises(DatasetError, match="is not an LMDB; expected an LMDB, found"):
        Database(path)
    if b"\x93" in path.read_bytes()[:1] or what in WEIGHTS - {"a solver's state", "a caffemodel"}:
        with pytest.raises(DatasetError, match="expected a text file, found a"):
            list(texts(path))


def test_folders_are_named(tmp_path):
    with pytest.raises(PrototxtError, match="expected a prototxt, found a folder"):
        fk.read(tmp_path)
    (tmp_path / "data.mdb").write_bytes(b"x")
    for read, error in ((fk.read, PrototxtError), (store.open, WeightsError)):
        with pytest.raises(error, match="found an LMDB"):
            read(tmp_path)


def test_the_net_in_a_folder_is_named(tmp_path):
    (tmp_path / "deploy.prototxt").write_bytes(NET)
    with pytest.raises(PrototxtError, match="found a folder") as error:
        fk.read(tmp_path)
    remedy = str(error.value).rpartition("; try ")[2]
    assert fk.read(remedy).text.encode() == NET


def test_binary_data_of_no_known_kind_is_not_shown(tmp_path):
    path = tmp_path / "x.prototxt"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(PrototxtError, match="found binary data; name the .prototxt") as caught:
        fk.read(path)
    assert "\n" not in str(caught.value)


def test_a_net_and_a_solver_are_told_apart(tmp_path):
    net, solver = tmp_path / "net.prototxt", tmp_path / "solver.prototxt"
    net.write_bytes(NET)
    solver.write_bytes(SOLVER)
    run = CliRunner().invoke
    assert (
        "it is a solver; name the prototxt of a net" in run(main, ["inspect", str(solver)]).output
    )
    done = run(main, ["lint", str(net), "--solver", str(net)])
    assert done.exit_code == 2 and "it is a net; name the prototxt of a solver" in done.output


@pytest.mark.parametrize("command", [("inspect",), ("lint",), ("align",), ("draw", "-o", "x.svg")])
def test_standard_input_is_recognised_too(command):
    done = CliRunner().invoke(main, [command[0], "-", *command[1:]], input=onnx())
    assert done.exit_code == 2 and "found an ONNX model" in done.output


@pytest.mark.parametrize("name", [b"\xc3\xa4 net", b"a" * 600, b"n"])
@pytest.mark.parametrize("kind", [2, 100])
def test_caffemodels_with_names_are_caffemodels(name, kind):
    data = message(1, name) + message(kind, message(7, modern_blob((1,), [1.0])))
    for head in (data, data[:512]):
        assert not signature.refusal(signature.WEIGHTS, head)


def test_real_files_are_what_they_are(shared, tmp_path):
    for path in sorted((shared / "onnx").glob("*.onnx")):
        for read in (fk.read, store.open):
            with pytest.raises(FcnkitError, match="found an ONNX model"):
                read(path)
    for path in Path(shared / "models").rglob("*.prototxt"):
        assert not signature.refusal_at(signature.NET, path)
        assert "found a" in signature.refusal_at(signature.WEIGHTS, path)
    for path in Path(shared / "models").rglob("*.binaryproto"):
        assert not signature.refusal_at(signature.MEAN, path)
        assert "found a mean image" in signature.refusal_at(signature.WEIGHTS, path)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert signature.refusal_at(signature.NET, tmp_path / "pipe") == ""
