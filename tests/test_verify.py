"""Two nets on one input: equal ones are called equal, and every way of being different is found."""

import json
import subprocess
import sys

import numpy as np
import pytest
from layer_text import source

from fcnkit.engines import caffe as caffe_engine
from fcnkit.engines import onnx, opencv
from fcnkit.engines import torch as torch_engine
from fcnkit.engines.engine import choose, installed_engines
from fcnkit.engines.inputs import noise
from fcnkit.errors import EngineError, NetError, WeightsError
from fcnkit.formats import prototxt
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of
from fcnkit.verifying.differences import Difference
from fcnkit.verifying.verify import verify
from fcnkit.verifying.windows import slide
from fcnkit.weights import store

needs_opencv = pytest.mark.skipif(not opencv.available(), reason="no OpenCV with a Caffe importer")

INPUT = """name: "tiny"
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 2 dim: 8 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { kernel_size: 2 stride: 2 } }
"""
SOFTMAX = 'layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }\n'
CLASSIFIER = (
    INPUT
    + """
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
  inner_product_param { num_output: 5 } }
"""
    + SOFTMAX
)
FCN = (
    INPUT
    + """
layer { name: "fc" type: "Convolution" bottom: "pool" top: "fc"
  convolution_param { num_output: 5 kernel_size: 3 } }
"""
    + SOFTMAX
)


def parse(text, path="tiny.prototxt"):
    return prototxt.parse(text, path)


def random_weights(net, seed=0, scale=1.0):
    """Seeded weights for every layer of a net that learns."""
    generator, graph = np.random.default_rng(seed), build(net)
    sizes, weights = shapes_of(graph), store.create()
    for layer in graph.layers:
        shapes = sizes.blobs(layer)
        if shapes:
            weights = weights.put(
                layer.name, [_random(generator, shape) * scale for shape in shapes]
            )
    return weights


def _random(generator, shape):
    return generator.normal(0, 1 / np.sqrt(max(np.prod(shape[1:]), 1)), shape)


@pytest.fixture
def tiny():
    net, fcn = parse(CLASSIFIER), parse(FCN, "fcn.prototxt")
    weights = random_weights(net)
    return net, weights, fcn, weights.reshape("fc", 0, (5, 4, 3, 3))


# Laws


@needs_opencv
def test_a_net_equals_itself_exactly(tiny):
    net, weights, *_ = tiny
    found = verify(net, weights, net, engine="opencv")
    assert [each.output for each in found] == ["fc", "prob"]
    assert all(each.ok and each.absolute == each.relative == 0 < each.largest for each in found)
    assert verify(net, weights, net, weights, engine="opencv") == found


@needs_opencv
def test_classifier_and_fcn(tiny):
    net, weights, fcn, fcn_weights = tiny
    scores, prob = verify(net, weights, fcn, fcn_weights, engine="opencv")
    assert scores.ok and prob.ok and scores.absolute < 1e-4
    assert scores[:4] == ("fc", "fc", (1, 5), (1, 5, 1, 1))


@needs_opencv
@pytest.mark.parametrize("layer, blob", [("conv", 0), ("conv", 1), ("fc", 0), ("fc", 1)])
def test_every_blob_counts(tiny, layer, blob):
    net, weights, fcn, fcn_weights = tiny
    blobs = [each.array() for each in fcn_weights[layer]]
    blobs[blob].flat[0] += 0.5
    scores, _ = verify(net, weights, fcn, fcn_weights.put(layer, blobs), engine="opencv")
    assert not scores.ok and scores.relative > 1e-4


@needs_opencv
def test_differences_that_a_softmax_hides_are_found(tiny):
    net, _, fcn, _ = tiny
    weights = random_weights(net, scale=30)
    blobs = [each.array() for each in weights.reshape("fc", 0, (5, 4, 3, 3))["fc"]]
    blobs[1] += 40
    shifted = weights.put("fc", blobs)
    scores, prob = verify(net, weights, fcn, shifted, engine="opencv")
    assert prob.ok and not scores.ok
    assert scores.absolute == pytest.approx(40, rel=1e-2)


@needs_opencv
def test_swapped_norm_and_pool_are_found():
    """The one difference between AlexNet and CaffeNet, whose weights fit both."""
    lrn = 'layer { name: "norm" type: "LRN" bottom: "%s" top: "%s" lrn_param { alpha: 0.1 } }\n'
    head, pool = INPUT.split('layer { name: "pool"')
    pool = 'layer { name: "pool"' + pool
    fc = CLASSIFIER[len(INPUT) :]
    first = parse(
        head + lrn % ("conv", "norm") + pool.replace('bottom: "conv"', 'bottom: "norm"') + fc
    )
    last = parse(
        head + pool + lrn % ("pool", "norm") + fc.replace('bottom: "pool"', 'bottom: "norm"')
    )
    weights = random_weights(first)
    assert all(each.ok for each in verify(first, weights, first, engine="opencv"))
    assert not any(each.ok for each in verify(first, weights, last, engine="opencv"))


# Names, shapes and pairs


@needs_opencv
def test_renamed_tops_and_inputs(tiny):
    net, weights, fcn, fcn_weights = tiny
    text = (
        fcn.text.replace('"fc"', '"score"').replace('"prob"', '"map"').replace('"data"', '"image"')
    )
    renamed = parse(text)
    scores, prob = verify(
        net, weights, renamed, fcn_weights.rename({"fc": "score"}), engine="opencv"
    )
    assert scores.ok and prob.ok
    assert [scores[:2], prob[:2]] == [("fc", "score"), ("prob", "map")]
    assert "fc -> score: equal" in str(scores)


@needs_opencv
def test_scores_against_a_net_without_softmax(tiny):
    net, weights, fcn, fcn_weights = tiny
    bare = parse(fcn.text.replace(SOFTMAX, ""))
    for old, new in (((net, weights), (bare, fcn_weights)), ((bare, fcn_weights), (net, weights))):
        (only,) = verify(*old, *new, engine="opencv")
        assert only.ok and only[:2] == ("fc", "fc")


@needs_opencv
def test_the_scores_before_a_softmax_in_place_are_compared(tiny):
    net, weights, *_ = tiny
    over = parse(net.text.replace('top: "prob"', 'top: "fc"'))
    scores, prob = verify(over, weights, over, engine="opencv")
    assert scores.output == "fc, before prob" and scores.ok and scores.largest > 1
    assert prob.output == "fc" and prob.ok and prob.largest <= 1


@needs_opencv
def test_several_outputs_are_paired_by_name(tiny):
    net, weights, *_ = tiny
    side = (
        'layer { name: "side" type: "Power" bottom: "pool" top: "%s" power_param { scale: 2 } }\n'
    )
    both, swapped = (
        parse(net.text + side % "side"),
        parse(net.text.replace("prob", "p") + side % "side"),
    )
    found = verify(both, weights, swapped, engine="opencv")
    assert sorted(each[:2] for each in found) == [
        ("conv", "conv"),  # of which the pooling picks
        ("fc", "fc"),
        ("prob", "p"),
        ("side", "side"),
    ]
    with pytest.raises(
        NetError, match="no output answers to prob, side .* its outputs are .*; give"
    ):
        verify(both, weights, parse(net.text.replace("prob", "p") + side % "s"), engine="opencv")


@needs_opencv
def test_counts_that_differ(tiny):
    net, weights, fcn, fcn_weights = tiny
    larger = parse(fcn.text.replace("dim: 8 dim: 8", "dim: 8 dim: 10"))
    assert verify(net, weights, larger, fcn_weights, engine="opencv")[0].ok, (
        "the old net's input counts"
    )
    padded = parse(fcn.text.replace("num_output: 5", "num_output: 5 pad: 1"), "padded.prototxt")
    words = r"padded.prototxt: fc has the shape \(1, 5, 3, 3\), but fc of tiny.prototxt has "
    with pytest.raises(NetError, match=words):
        verify(net, weights, padded, fcn_weights, engine="opencv")


@needs_opencv
def test_given_inputs(tiny):
    net, weights, fcn, fcn_weights = tiny
    batch = verify(net, weights, fcn, fcn_weights, engine="opencv", inputs={"data": (3, 2, 8, 8)})
    assert batch[0].shape == (3, 5) and batch[0].new_shape == (3, 5, 1, 1) and batch[0].ok
    zeros = verify(
        net, weights, fcn, fcn_weights, engine="opencv", inputs={"data": np.zeros((1, 2, 8, 8))}
    )
    assert zeros[0].ok and zeros[0].largest < batch[0].largest
    other = verify(net, weights, fcn, fcn_weights, engine="opencv", seed=1)
    assert other[0].ok and other[0].largest != verify(net, weights, net, engine="opencv")[0].largest


# The numbers


@pytest.mark.parametrize(
    "absolute, largest, relative, ok",
    [
        (0.0, 0.0, 0.0, True),
        (1e-5, 1.0, 1e-5, True),
        (1e-3, 1.0, 1e-3, False),
        (float("nan"), 1.0, float("nan"), False),
        (float("inf"), 1.0, float("inf"), False),
        (1.0, 0.0, float("inf"), False),
    ],
)
def test_verdict(absolute, largest, relative, ok):
    difference = Difference("a", "a", (1, 5), (1, 5, 1, 1), absolute, relative, largest, 1e-4)
    assert difference.ok is ok
    assert ("DIFFERENT" in str(difference)) is not ok
    assert ("proves nothing" in str(difference)) is (largest == absolute == 0)


@needs_opencv
def test_what_is_not_finite_is_not_equal(tiny):
    net, weights, *_ = tiny
    blobs = [each.array() for each in weights["fc"]]
    blobs[1][0] = np.nan
    broken = weights.put("fc", blobs)
    assert not any(each.ok for each in verify(net, broken, net, engine="opencv"))


def test_noise_is_fixed_centred_and_coarse():
    first = noise((2, 3, 20, 30), 5)
    assert first.dtype == np.float32 and np.array_equal(first, noise((2, 3, 20, 30), 5))
    assert not np.array_equal(first, noise((2, 3, 20, 30), 6))
    assert np.abs(first).max() <= 128 and abs(first.mean()) < 10 and first.std() > 30
    squares = first[:, :, :16, :24].reshape(2, 3, 2, 8, 3, 8).mean((3, 5))
    assert squares.std() > 20, "white noise would average to about 7"
    assert noise((4, 5)).shape == (4, 5) and noise((3,)).shape == (3,)


# Windows


@needs_opencv
def test_fcn_on_a_canvas_is_the_classifier_on_every_window(tiny):
    net, weights, fcn, fcn_weights = tiny
    canvas = noise((1, 2, 21, 32))
    found = slide(net, weights, fcn, fcn_weights, canvas, stride=2, engine="opencv")
    assert found.ok and found.shape == (1, 5, 7, 13) and found.relative < 1e-5
    assert not slide(net, weights, fcn, fcn_weights, canvas, stride=3, engine="opencv").ok
    part = slide(net, weights, fcn, fcn_weights, canvas[:, :, :8, :8], stride=2, engine="opencv")
    assert part.ok and part.shape == (1, 5, 1, 1)


@needs_opencv
def test_padding_breaks_the_windows(tiny):
    net, weights, fcn, fcn_weights = tiny
    padded = parse(net.text.replace("num_output: 4", "num_output: 4 pad: 1"))
    padded_fcn = parse(
        fcn.text.replace("num_output: 4", "num_output: 4 pad: 1").replace(
            "num_output: 5 kernel_size: 3", "num_output: 5 kernel_size: 4"
        )
    )
    weights = random_weights(padded)
    wide = weights.reshape("fc", 0, (5, 4, 4, 4))
    assert verify(padded, weights, padded_fcn, wide, engine="opencv")[0].ok
    assert not slide(
        padded, weights, padded_fcn, wide, noise((1, 2, 16, 16)), stride=2, engine="opencv"
    ).ok


@needs_opencv
def test_canvas_that_holds_no_window(tiny):
    net, weights, fcn, fcn_weights = tiny
    with pytest.raises(NetError, match="the window 8 x 8; give one canvas"):
        slide(net, weights, fcn, fcn_weights, noise((1, 2, 7, 30)), stride=2, engine="opencv")
    with pytest.raises(NetError, match="check the stride 1"):
        slide(net, weights, fcn, fcn_weights, noise((1, 2, 12, 12)), stride=1, engine="opencv")


# Real networks


TRAINED = [
    ("age_net_v1", "deploy_age.prototxt", "age_net.caffemodel"),
    ("lenet_v1", "lenet.prototxt", "lenet_iter_10000.caffemodel"),
    ("lenet_v2", "lenet.prototxt", "lenet_iter_10000.caffemodel"),
    ("cifar10_full_v1", "cifar10_full.prototxt", "cifar10_full_iter_70000.caffemodel"),
    ("cifar10_quick_v2", "cifar10_quick.prototxt", "cifar10_quick_iter_5000.caffemodel"),
]


def converted(folder, net_file, weights_file):
    """A trained network, and its fully convolutional form."""
    convolutionalize = pytest.importorskip("fcnkit.rewrites.convolutionalize").convolutionalize
    transplant = pytest.importorskip("fcnkit.weights.surgery").transplant
    net, weights = prototxt.read(folder / net_file), store.open(folder / weights_file)
    plan = convolutionalize(net)
    return net, weights, plan.net, transplant(plan, weights)


@pytest.mark.parametrize("engine", ["caffe", "opencv"])
@pytest.mark.parametrize("folder, net_file, weights_file", TRAINED)
def test_trained_networks(request, shared, engine, folder, net_file, weights_file):
    if engine == "caffe":
        request.getfixturevalue("caffe")
    nets = converted(shared / "models" / folder, net_file, weights_file)
    found = verify(*nets, engine=engine)
    assert len(found) == 2 and all(each.ok and each.largest > 0 for each in found), "\n".join(
        map(str, found)
    )


@pytest.mark.parametrize("engine", ["caffe", "opencv"])
def test_lenet_slides_over_a_canvas(request, shared, engine):
    if engine == "caffe":
        request.getfixturevalue("caffe")
    nets = converted(shared / "models/lenet_v2", *TRAINED[2][1:])
    canvas = np.abs(noise((1, 1, 52, 64))) / 128
    found = slide(*nets, canvas, stride=4, engine=engine)
    assert found.ok and found.shape == (1, 10, 7, 10), str(found)


def test_engines_agree_on_a_difference(caffe, tiny):
    net, weights, fcn, fcn_weights = tiny
    wrong = fcn_weights.put("fc", [fcn_weights["fc"][0], np.ones(5)])
    first, second = (
        verify(net, weights, fcn, wrong, engine=name)[0] for name in ("caffe", "opencv")
    )
    assert not first.ok and first.absolute == pytest.approx(second.absolute, rel=1e-3)


# Hostile input


def test_choice_of_engine(monkeypatch):
    monkeypatch.setattr(caffe_engine, "available", lambda: True)
    assert choose().name == "caffe" and installed_engines()[0] == "caffe"
    monkeypatch.setattr(caffe_engine, "available", lambda: False)
    monkeypatch.setattr(opencv, "available", lambda: True)
    monkeypatch.setattr(torch_engine, "available", lambda: False)
    monkeypatch.setattr(onnx, "available", lambda: False)
    assert choose().name == "opencv" and choose("caffe").name == "caffe"
    assert installed_engines() == ("opencv",)
    monkeypatch.setattr(opencv, "available", lambda: False)
    monkeypatch.setattr(torch_engine, "available", lambda: True)
    assert choose().name == "torch"
    monkeypatch.setattr(torch_engine, "available", lambda: False)
    monkeypatch.setattr(onnx, "available", lambda: True)
    assert choose().name == "onnx" and choose("opencv").name == "opencv"
    monkeypatch.setattr(onnx, "available", lambda: False)
    assert installed_engines() == ()
    with pytest.raises(EngineError, match="caffe install.*opencv-python-headless.*torch.*onnx"):
        choose()
    with pytest.raises(
        EngineError, match='no engine "tensorflow"; there are caffe, opencv, torch, onnx'
    ):
        choose("tensorflow")


def test_a_device_goes_with_torch():
    assert choose(device="cpu") == choose("torch", "cpu")
    assert choose("torch", "cpu").device == "cpu" and choose("torch").device is None
    with pytest.raises(EngineError, match='"opencv" runs on the CPU only; a device goes with'):
        choose("opencv", "cuda")


def test_the_device_reaches_the_engine(monkeypatch, tiny):
    seen = []
    monkeypatch.setattr(torch_engine, "run_all", lambda *job, **options: seen.append(options) or [])
    for device in ("cpu", None):
        list(choose("torch", device).run_all(*tiny[:2], []))
    assert [each.get("device") for each in seen] == ["cpu", None]


MINE = """
INSTALL = "pip install mine"

def available():
    return True

def run_all(net, weights, many, outputs=None, *, state=None):
    for inputs in many:
        yield {blob: data.sum() + data[:1] for blob, data in zip(outputs, inputs.values())}
"""


def test_an_engine_is_one_file_and_one_line(tmp_path):
    """Verify runs a net on it, and the command line offers it."""
    (tmp_path / "mine.py").write_text(MINE)
    net = source("a", 1, 3, 4, 4) + 'layer { name: "r" type: "ReLU" bottom: "a" top: "r" }'
    (tmp_path / "net.prototxt").write_text(net)
    store.create().put("r", []).save(tmp_path / "net.caffemodel")
    start = (
        "from fcnkit.engines import engine\n"
        "engine.ENGINES += (engine.Engine('mine', 'mine'),)\n"
        "from fcnkit.cli.main import main\n"
        "main()"
    )
    files = ["net.prototxt", "net.caffemodel"]
    done = subprocess.run(
        [sys.executable, "-c", start, "verify", *files, *files, "--engine", "mine", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (ran,) = found["engines"]
    (row,) = ran["outputs"]
    assert found["proven"] and ran["engine"] == "mine"
    assert row["output"] == "r" and row["largest"] > 128  # which a ReLU of noise does not exceed


@pytest.mark.parametrize("engine", ["caffe", "opencv"])
def test_a_layer_without_weights_is_never_left_to_chance(tiny, engine):
    net, weights, fcn, fcn_weights = tiny
    for own in (
        fcn_weights.drop("fc"),
        fcn_weights.put("fc", []),
        fcn_weights.rename({"fc": "fc6"}),
    ):
        with pytest.raises(
            WeightsError, match='fcn.prototxt:10: layer "fc": .* has no weights for it'
        ):
            verify(net, weights, fcn, own, engine=engine)
    with pytest.raises(WeightsError, match='layer "conv": no weights file'):
        verify(net, None, fcn, fcn_weights, engine=engine)


def test_inputs_that_do_not_belong(tiny):
    net, weights, fcn, fcn_weights = tiny
    with pytest.raises(NetError, match='"image" is not an input of this net; its inputs are data'):
        verify(net, weights, fcn, fcn_weights, engine="opencv", inputs={"image": (1, 2, 8, 8)})
    sizeless = parse(net.text.replace("input_param { shape { dim: 1 dim: 2 dim: 8 dim: 8 } }", ""))
    with pytest.raises(NetError, match="no shape; give one, such as --input data=1,3,227,227"):
        verify(sizeless, weights, sizeless, engine="opencv")
    two = parse('input: "roi" input_dim: 1 input_dim: 1 input_dim: 1 input_dim: 5\n' + net.text)
    with pytest.raises(NetError, match="its inputs are roi, data, those of tiny.prototxt data"):
        verify(net, weights, two, engine="opencv")
    train = parse(
        'layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 1 } } }'
    )
    with pytest.raises(NetError, match="give the deploy net"):
        verify(train, None, train, engine="opencv")


def test_a_net_without_an_output_is_named():
    silent = prototxt.parse(
        """layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 } } }
layer { name: "r" type: "ReLU" bottom: "data" top: "r" }
layer { name: "s" type: "Silence" bottom: "r" }""",
        "silent.prototxt",
    )
    with pytest.raises(NetError, match=r"silent.prototxt: it has no output .*; remove the Silence"):
        verify(silent, None, silent, None)


def test_nets_for_images_of_other_channels_are_no_pair(tiny):
    net, weights, *_ = tiny
    other = parse(net.text.replace("dim: 2", "dim: 1", 1), "gray.prototxt")
    assert other.text != net.text
    with pytest.raises(NetError, match='gray.prototxt: its input "data" has 1 channel, but that'):
        verify(net, weights, other, weights)
