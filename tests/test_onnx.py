"""ONNX Runtime as an engine, and what `fcnkit export` does with it."""

import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from corpus import weights
from layer_text import CONV, declare, source
from sketches import conv, data
from sketches import net as sketch
from test_verify import random_weights

import fcnkit as fk
from fcnkit.cli.main import main
from fcnkit.engines import opencv
from fcnkit.engines.engine import choose
from fcnkit.errors import EngineError, WeightsError
from fcnkit.formats import prototxt
from fcnkit.verifying.exports import verify_export

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from fcnkit.engines import onnx as engine  # noqa: E402

TEXT = source("a", 1, 3, 9, 9) + declare("Convolution", CONV("kernel_size: 3"))
NET = prototxt.parse(TEXT, "net.prototxt")


def test_it_runs_nets_as_the_other_engines_do():
    data = {"a": np.random.default_rng(0).normal(size=(2, 3, 7, 5)).astype(np.float32)}
    expected = opencv.run(NET, weights(NET), data)
    found = engine.run(NET, weights(NET), data)
    assert list(found) == ["t"] and np.abs(found["t"] - expected["t"]).max() < 1e-5
    both = fk.verify(NET, weights(NET), NET, engine="onnx", inputs={"a": (1, 3, 8, 5)})
    assert both[0].ok and both[0].largest


def test_inputs_of_many_sizes_need_one_export(monkeypatch):
    made = []
    monkeypatch.setattr(engine, "opened", lambda *args: made.append(args) or real(*args))
    many = [{"a": np.ones((1, 3, height, 5), np.float32)} for height in (5, 9, 8)]
    found = list(engine.run_all(NET, weights(NET), many))
    assert [each["t"].shape for each in found] == [(1, 4, 3, 3), (1, 4, 7, 3), (1, 4, 6, 3)]
    assert len(made) == 1


real = engine.opened


def test_a_blob_changed_in_place_keeps_its_name():
    net = prototxt.parse(source("a", 1, 3, 4, 4) + declare("ReLU", tops=("a",)), "net.prototxt")
    assert engine.run(net, None, {"a": np.full((1, 3, 4, 4), -1)})["a"].max() == 0


def _wide(folder, name: str):
    """A net whose first weights are worth pointing at, and its weights in a file of this name."""
    net = sketch(data(1, 3, 12, 12), conv("wide", "data", 1024, 7), conv("small", "wide", 2, 1))
    path = folder / name
    random_weights(net).save(path)
    return net, fk.weights(path)


@pytest.mark.parametrize("name", ["w.caffemodel", "w.h5", "w.npz", "a b'é.caffemodel"])
def test_weights_stay_in_their_file(tmp_path, name):
    net, stored = _wide(tmp_path, name)
    shape = {"data": (1, 3, 12, 12)}
    model = fk.export(net, stored, inputs=shape)
    made, folder = model.pointing()
    assert folder == str(tmp_path.resolve()) and len(made) < 20_000 < len(model.bytes())
    image = {"data": np.random.default_rng(0).normal(0, 50, shape["data"]).astype("f4")}
    pointed = engine.ran(engine.opened(made, "net", folder=folder, packed=False), image, "net")
    copied = engine.ran(engine.opened(model.bytes(), "net"), image, "net")
    for blob, array in copied.items():
        np.testing.assert_allclose(pointed[blob], array, rtol=1e-5, atol=1e-3)
    found = engine.run(net, stored, image)
    np.testing.assert_allclose(found["small"], copied["small"], rtol=1e-5, atol=1e-3)


def test_weights_of_two_files_and_of_none(tmp_path):
    net, first = _wide(tmp_path, "w.caffemodel")
    (tmp_path / "other").mkdir()
    other = _wide(tmp_path / "other", "w.caffemodel")[1]
    mixed = first.put("small", list(other["small"]))
    made = random_weights(net)
    image = {"data": np.ones((1, 3, 12, 12), "f4")}
    for given in (mixed, made):
        model = fk.export(net, given, inputs={"data": (1, 3, 12, 12)})
        copied = engine.ran(engine.opened(model.bytes(), "net"), image, "net")["small"]
        found = engine.run(net, given, image)["small"]
        np.testing.assert_allclose(found, copied, rtol=1e-5, atol=1e-3)
    assert fk.export(net, made).pointing()[1] == ""


def test_weights_whose_file_has_changed_are_not_pointed_at(tmp_path):
    net, stored = _wide(tmp_path, "w.caffemodel")
    with open(tmp_path / "w.caffemodel", "ab") as file:
        file.write(b"x")
    with pytest.raises(WeightsError, match="changed after it was opened"):
        engine.run(net, stored, {"data": np.ones((1, 3, 12, 12), "f4")})


def test_what_onnx_runtime_refuses():
    with pytest.raises(EngineError, match="net.prototxt: ONNX Runtime: .*; use the engine caffe"):
        engine.opened(b"nonsense", "net.prototxt")
    session = engine.opened(fk.export(NET, weights(NET)).bytes(), "net.prototxt")
    with pytest.raises(EngineError, match="net.prototxt: ONNX Runtime: "):
        engine.ran(session, {"a": np.ones((1, 4, 9, 9))}, "net.prototxt")


def test_a_model_of_other_weights_differs():
    other = weights(NET).put("x", [np.ones((4, 3, 3, 3)), np.zeros(4)])
    rows = verify_export(NET, weights(NET), fk.export(NET, other).bytes(), engine="opencv")
    assert len(rows) == 3 and not any(row.ok for row in rows)
    assert rows[1].output == "t of a 2 x 3 x 23 x 15"


def test_it_is_not_compared_with_itself(monkeypatch):
    monkeypatch.setattr(
        sys.modules["fcnkit.verifying.exports"], "choose", lambda name: choose("onnx")
    )
    with pytest.raises(EngineError, match="no engine is installed to compare with"):
        verify_export(NET, weights(NET), fk.export(NET, weights(NET)).bytes())
    with pytest.raises(
        EngineError, match='the engine "onnx" runs the model itself; choose another'
    ):
        verify_export(NET, weights(NET), fk.export(NET, weights(NET)).bytes(), engine="onnx")


# ---- the command


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    NET.save("net.prototxt")
    weights(NET).save("net.caffemodel")
    return ["export", "net.prototxt", "net.caffemodel"]


def test_without_o_the_command_writes_nothing(files, tmp_path):
    done = CliRunner().invoke(main, files)
    assert done.exit_code == 0 and "input   a  batch x 3 x height x width" in done.output
    assert {each.name for each in tmp_path.iterdir()} == {"net.prototxt", "net.caffemodel"}


def test_the_command_writes_and_verifies(files, tmp_path):
    words = [*files, "-o", "net.onnx", "--verify", "--engine", "opencv"]
    done = CliRunner().invoke(main, words)
    assert (
        done.exit_code == 0
        and done.output.count("equal; max") == 3
        and "wrote net.onnx" in done.output
    )
    onnx.checker.check_model("net.onnx", full_check=True)
    again = CliRunner().invoke(main, words)
    assert again.exit_code == 2 and "net.onnx: exists" in again.output
    shown = CliRunner().invoke(main, [*words, "--force", "--json"])
    assert [row["ok"] for row in json.loads(shown.stdout)["verify"]] == [True] * 3


def test_the_command_says_no(files, monkeypatch):
    broken = fk.export(NET, weights(NET).put("x", [np.ones((4, 3, 3, 3)), np.zeros(4)]))
    monkeypatch.setattr("fcnkit.exporting.export.export", lambda *args, **words: broken)
    done = CliRunner().invoke(main, [*files, "--verify", "--engine", "opencv"])
    assert done.exit_code == 1 and "DIFFERENT" in done.output


def test_what_cannot_be_exported_leaves_no_file(files, tmp_path):
    prototxt.parse(TEXT + declare("Python", bottoms=("t",), tops=("u",), name="p")).save(
        "net.prototxt", force=True
    )
    done = CliRunner().invoke(main, [*files, "-o", "net.onnx"])
    assert (
        done.exit_code == 2
        and 'net.prototxt:3: layer "p": type Python: fcnkit cannot export it' in done.output
    )
    assert not (tmp_path / "net.onnx").exists()
    wrong = CliRunner().invoke(main, [*files, "-o", "net.pb"])
    assert wrong.exit_code == 2 and "name it OUT.onnx" in wrong.output


def test_another_output_and_input_size(files):
    done = CliRunner().invoke(
        main, [*files, "--blob", "a", "--blob", "t", "--input", "a=4,3,20,30"]
    )
    assert done.exit_code == 0 and "output  t  batch" in done.output
