"""Real Caffe in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from caffe_training import on_cpu, trained

from fcnkit.engines import caffe as engine
from fcnkit.engines import caffe_runtime
from fcnkit.errors import EngineError
from fcnkit.formats import prototxt
from fcnkit.nets.graph import State

CHAIN = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 1 dim: 4 dim: 4 } } }
layer { name: "a/conv" type: "Convolution" bottom: "data" top: "a/x"
  convolution_param { num_output: 2 kernel_size: 3 weight_filler { type: "constant" value: 1 } } }
layer { name: "a/relu" type: "ReLU" bottom: "a/x" top: "a/x" }
layer { name: "double" type: "Power" bottom: "a/x" top: "y" power_param { scale: 2 } }
layer { name: "triple" type: "Power" bottom: "a/x" top: "z" power_param { scale: 3 } }
layer { name: "noise" type: "Dropout" bottom: "z" top: "z" include { stage: "noisy" } }
"""
ONES = np.ones((1, 1, 4, 4), np.float32)


@pytest.fixture
def chain():
    return prototxt.parse(CHAIN, "chain.prototxt")


@pytest.fixture
def absent(monkeypatch, tmp_path):
    """No pycaffe in this Python, and a folder without a runtime."""
    monkeypatch.setenv("FCNKIT_CAFFE", str(tmp_path / "nowhere"))


# Without Caffe


def test_absent_runtime_says_how_to_install_it(absent, chain):
    assert not caffe_runtime.available()
    for call in (
        lambda: engine.run(chain, None, {"data": ONES}),
        lambda: caffe_runtime.command("caffe"),
        lambda: engine.ask([engine.Question("load", chain)]),
    ):
        with pytest.raises(EngineError, match="nowhere holds none.*`fcnkit caffe install`"):
            call()


def test_a_half_installed_runtime_is_not_there(absent, chain, tmp_path):
    (tmp_path / "nowhere" / "bin").mkdir(parents=True)
    (tmp_path / "nowhere" / "bin" / "python").write_text("#!/bin/sh\n")
    assert not caffe_runtime.available()


def test_runtime_that_does_not_start(absent, chain, tmp_path):
    program = tmp_path / "nowhere" / "bin" / "python"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho no such loader >&2\nexit 3\n")
    program.chmod(0o755)
    (tmp_path / "nowhere" / caffe_runtime.MARKER).touch()
    with pytest.raises(EngineError, match="does not start: no such loader"):
        engine.load(chain)


def test_runtime_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("FCNKIT_CAFFE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert caffe_runtime.runtime() == tmp_path / "fcnkit" / "caffe"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert caffe_runtime.runtime() == Path.home() / ".cache" / "fcnkit" / "caffe"
    monkeypatch.setenv("FCNKIT_CAFFE", "~/mine")
    assert caffe_runtime.runtime() == Path.home() / "mine"


def test_a_folder_named_caffe_is_not_pycaffe(monkeypatch, tmp_path):
    (tmp_path / "caffe").mkdir()
    monkeypatch.delenv("FCNKIT_CAFFE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(tmp_path)
    assert not caffe_runtime.available()
    (tmp_path / "caffe" / "_caffe.so").touch()
    assert caffe_runtime.available()
    assert caffe_runtime.command("python") == [sys.executable]


@pytest.mark.parametrize(
    "log, words",
    [
        (
            "F0102 03:04:05.678901   42 net.cpp:9] Check failed: a == b (1 vs. 2) No.\n"
            "*** Check failure stack trace: ***\n    @  0x7f  google\n",
            "Check failed: a == b (1 vs. 2) No.",
        ),
        (
            "W0102 03:04:05.678901 42 a.cpp:1] careful\nF0102 03:04:05.678901 42 b.cpp:2] "
            "two\nlines",
            "two\nlines",
        ),
        (
            "[libprotobuf ERROR google/protobuf/text_format.cc:317] Error parsing: 1:2: oops\n"
            "F1123 03:04:05.678901 42 upgrade_proto.cpp:90] Check failed: Read\n",
            "Error parsing: 1:2: oops; Check failed: Read",
        ),
        ("I0102 03:04:05.678901 42 net.cpp:9] F is a letter\n", ""),
        ("", ""),
    ],
)
def test_fatal_words(log, words):
    assert caffe_runtime.fatal_words(log) == words


def test_solver_is_edited_not_rewritten():
    text = (
        "# mine\nnet: 'a.prototxt'\nsolver_mode: GPU # fast\ndisplay: 20\nmax_iter: 9\nbase_lr: 0.1"
    )
    edited = on_cpu(prototxt.parse(text), 3, False).text
    assert edited == (
        "# mine\nnet: 'a.prototxt'\nbase_lr: 0.1\n"
        "solver_mode: CPU\ndisplay: 1\nmax_iter: 3\nsnapshot: 0\nsnapshot_after_train: false\n"
    )


# Real Caffe


def test_run_gives_outputs_and_any_blob(caffe, chain):
    found = caffe.run(chain, None, {"data": -ONES})
    assert list(found) == ["y", "z"]
    assert all(array.shape == (1, 2, 2, 2) and not array.any() for array in found.values())
    found = caffe.run(chain, None, {"data": ONES}, ["a/x", "z", "data"])
    assert (found["a/x"] == 9).all() and (found["z"] == 27).all() and (found["data"] == 1).all()


def test_inputs_reshape_the_net(caffe, chain):
    x = np.arange(2 * 5 * 6, dtype=np.float64).reshape(2, 1, 5, 6)
    found = caffe.run(chain, None, {"data": x}, ["y"])["y"]
    assert found.shape == (2, 2, 3, 4) and found.dtype == np.float32
    windows = np.lib.stride_tricks.sliding_window_view(x[:, 0], (3, 3), (1, 2)).sum((-2, -1))
    assert np.array_equal(found[:, 0], 2 * windows)


def test_state_chooses_the_layers(caffe, chain):
    noisy = State("TRAIN", 0, ("noisy",))
    plain, dropped, other = caffe.ask(
        [
            caffe.Question("run", chain, None, {"data": ONES}, ["z"], state)
            for state in (State("TRAIN"), noisy, noisy._replace(phase="TEST"))
        ]
    )
    assert (plain["z"] == 27).all() and (other["z"] == 27).all()
    assert set(np.unique(dropped["z"])) <= {0, 54} and not (dropped["z"] == 27).any()


def test_shapes_and_params(caffe, chain):
    sizes = {"data": (3, 1, 7, 4), "a/x": (3, 2, 5, 2), "y": (3, 2, 5, 2), "z": (3, 2, 5, 2)}
    assert caffe.shapes(chain, {"data": [3, 1, 7, 4]}) == sizes
    assert caffe.params(chain, values=False) == {"a/conv": [(2, 1, 3, 3), (2,)]}
    weight, bias = caffe.params(chain)["a/conv"]
    assert (weight == 1).all() and not bias.any()


def test_many_questions_and_a_fatal_one_between(caffe, chain):
    lost = prototxt.parse(CHAIN.replace('bottom: "data"', 'bottom: "dada"'), "lost.prototxt")
    first, error, last = caffe.ask([caffe.Question("load", net) for net in (chain, lost, chain)])
    assert first is None and last is None
    assert isinstance(error, EngineError)
    assert str(error) == (
        "lost.prototxt: Caffe (TEST): Unknown bottom blob 'dada' (layer 'a/conv', bottom index 0)"
    )


def test_runs_of_one_net_share_it_until_one_is_fatal(caffe, chain):
    inputs = [
        np.full(shape, 3, np.float32)
        for shape in ((1, 1, 4, 4), (1, 3, 4, 4), (1, 1, 5, 5), (2, 1, 6, 7))
    ]
    asked = [caffe.Question("run", chain, None, {"data": x}, ["y"]) for x in inputs]
    fits, coloured, unknown, large = caffe.ask(
        [*asked[:2], asked[2]._replace(outputs=["w"]), asked[3]]
    )
    assert "Check failed" in str(coloured) and 'no blob "w"' in str(unknown)
    for x, found in ((inputs[0], fits), (inputs[3], large)):
        assert np.array_equal(found["y"], caffe.run(chain, None, {"data": x}, ["y"])["y"])


def test_python_layers_run(caffe, tmp_path, monkeypatch):
    (tmp_path / "negate.py").write_text(
        "import caffe, skimage.transform\n"
        "class Negate(caffe.Layer):\n"
        "    def setup(self, bottom, top): pass\n"
        "    def reshape(self, bottom, top): top[0].reshape(*bottom[0].shape)\n"
        "    def forward(self, bottom, top): top[0].data[...] = -bottom[0].data\n"
        "    def backward(self, *parts): pass\n"
    )
    monkeypatch.setenv("FCNKIT_PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    net = prototxt.parse(
        'input: "x" input_shape { dim: 2 } layer { name: "n" type: "Python" bottom: "x" top: "y" '
        'python_param { module: "negate" layer: "Negate" } }'
    )
    assert caffe.run(net, None, {"x": np.array([1, 2])})["y"].tolist() == [-1, -2]


def test_training_lowers_the_loss(caffe, tmp_path):
    (tmp_path / "net.prototxt").write_text("""
        layer { name: "in" type: "DummyData" top: "x" top: "t" dummy_data_param {
          shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 }
          data_filler { type: "constant" value: 1 } data_filler { type: "constant" value: 5 } } }
        layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
          inner_product_param { num_output: 2 } }
        layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }""")
    solver = tmp_path / "solver.prototxt"
    solver.write_text(
        'net: "net.prototxt" base_lr: 0.05 lr_policy: "fixed" max_iter: 90 solver_mode: GPU'
    )
    losses = trained(solver, iterations=5, folder=tmp_path)
    assert [number for number, _ in losses] == [0, 1, 2, 3, 4, 5]
    assert losses[0][1] == 25 and all(b[1] < a[1] for a, b in zip(losses, losses[1:], strict=False))
    assert sorted(os.listdir(tmp_path)) == ["net.prototxt", "solver.prototxt"]
    with pytest.raises(EngineError, match="Unknown bottom"):
        (tmp_path / "net.prototxt").write_text('layer { type: "ReLU" bottom: "q" top: "q" }')
        trained(solver, folder=tmp_path)


def test_command_starts_caffes_own_tools(caffe, shared, tmp_path):
    old = shared / "models/lenet_v1/lenet.prototxt"
    words = [*caffe_runtime.command("upgrade_net_proto_text"), old, tmp_path / "new.prototxt"]
    subprocess.run(words, check=True, capture_output=True)
    net = prototxt.read(tmp_path / "new.prototxt")
    assert net.root.all("layer") and not net.root.all("layers")
    with pytest.raises(EngineError, match='no program "upgrade_everything"'):
        caffe_runtime.command("upgrade_everything")


def test_real_networks_with_their_weights(caffe, shared):
    models = shared / "models"
    v1, v2 = (prototxt.read(models / f"lenet_v{n}/lenet.prototxt") for n in (1, 2))
    age = prototxt.read(models / "age_net_v1/deploy_age.prototxt")
    files = [models / f"lenet_v{n}/lenet_iter_10000.caffemodel" for n in (1, 2)]
    x = np.random.default_rng(0).random((2, 1, 28, 28))
    crossed, own, shapes = caffe.ask(
        [
            caffe.Question("run", v1, files[1], {"data": x}),
            caffe.Question("run", v2, files[1], {"data": x}),
            caffe.Question("params", age, models / "age_net_v1/age_net.caffemodel", values=False),
        ]
    )
    assert np.array_equal(crossed["prob"], own["prob"])
    assert np.allclose(own["prob"].sum(1), 1, atol=1e-6)
    assert shapes["fc6"] == [(512, 18816), (512,)]


def test_edited_weights_are_saved_for_caffe(caffe, shared):
    store = pytest.importorskip("fcnkit.weights.store")
    net = prototxt.read(shared / "models/lenet_v2/lenet.prototxt")
    weights = store.open(shared / "models/lenet_v2/lenet_iter_10000.caffemodel")
    renamed = prototxt.parse(net.text.replace('"ip2"', '"ip3"'))
    x = {"data": np.ones(caffe.shapes(net)["data"])}
    old, new, random = caffe.ask(
        [
            caffe.Question("run", net, weights, x),
            caffe.Question("run", renamed, weights.rename({"ip2": "ip3"}), x),
            caffe.Question("run", renamed, weights, x),
        ]
    )
    assert np.array_equal(old["prob"], new["prob"]) and not np.array_equal(
        old["prob"], random["prob"]
    )


# Hostile input


REFUSED = [
    (CHAIN, {"dat": ONES}, r'"dat" is not an input of this net; its inputs are "data"'),
    (CHAIN, {}, r'no data is given for the input "data"'),
    (
        CHAIN,
        {"data": np.ones((1, 3, 4, 4))},
        "Check failed: .*Input size incompatible with convolution",
    ),
    (CHAIN, {"data": np.ones((1, 1, 1, 4))}, "Check failed: shape"),
    ("layer { nmae: 'a' }", {}, r'has no field named "nmae".*; did you mean "name"\?$'),
    (
        "layer { name: 'a' hole: 2 }",
        {},
        'has no field named "hole".*; write dilation in its place$',
    ),
    ("layer { name: 'a' zzz: 2 }", {}, 'has no field named "zzz".*; `fcnkit lint` tells for each'),
    (
        "layer { name: 'a' type: 'Convolve' }",
        {},
        "Unknown layer type: Convolve.*; use the fork of Caffe that has it$",
    ),
]


def test_refused_nets(caffe):
    questions = [
        caffe.Question("run", prototxt.parse(text), None, inputs) for text, inputs, _ in REFUSED
    ]
    for (*_, words), error in zip(REFUSED, caffe.ask(questions), strict=True):
        assert isinstance(error, EngineError)
        with pytest.raises(EngineError, match=f"^<text>: Caffe .TEST.: .*{words}"):
            raise error


def test_input_without_values(caffe, chain):
    with pytest.raises(EngineError, match="no values"):
        caffe.run(chain, None, {"data": np.ones((0, 1, 4, 4))})


def test_unknown_output(caffe, chain):
    with pytest.raises(EngineError, match='no blob "w"'):
        caffe.run(chain, None, {"data": ONES}, ["w"])


@pytest.mark.parametrize(
    "content", [b"#!/bin/sh\n", b"\xff" * 100, b"\xa2\x06\x80\x80\x80\x80\x08"]
)
def test_weights_that_are_none(caffe, chain, tmp_path, content):
    path = tmp_path / "weights.caffemodel"
    path.write_bytes(content)
    with pytest.raises(EngineError, match="Failed to parse NetParameter file"):
        caffe.load(chain, path)
    with pytest.raises(EngineError, match="no such weights"):
        caffe.load(chain, tmp_path / "none.caffemodel")


def test_caffe_itself_takes_html_for_an_empty_file(caffe, chain, tmp_path):
    path = tmp_path / "weights.caffemodel"
    path.write_bytes(b"<!DOCTYPE html>")
    assert caffe.load(chain, path) is None


def test_a_database_that_a_net_names_is_not_made_here(caffe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = 'data_param { source: "no_such_leveldb" batch_size: 1 backend: LEVELDB }'
    net = prototxt.parse(f'layer {{ name: "data" type: "Data" top: "data" {source} }}')
    with pytest.raises(EngineError):
        caffe.load(net)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_behind(caffe, chain, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    caffe.run(chain, None, {"data": ONES})
    with pytest.raises(EngineError):
        caffe.run(chain, None, {"nope": ONES})
    assert os.listdir(tmp_path) == []


def test_a_python_layer_is_refused_and_its_module_not_run(caffe, tmp_path, monkeypatch):
    """Boost gives no reason; what stands beside the net is not on Caffe's path."""
    (tmp_path / "evil.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path)
    net = prototxt.parse(
        'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 } } }\n'
        'layer { name: "p" type: "Python" bottom: "d" top: "p"\n'
        '  python_param { module: "evil" layer: "L" } }\n'
    )
    with pytest.raises(EngineError, match="for a Python layer, Caffe does not find the module"):
        caffe.run(net, None, {"d": np.zeros(1, "f4")}, ["p"])
    assert not (tmp_path / "ran").exists()
