"""What a comparison of two nets shows: ends that keep to bounds or pick hide no difference."""

import numpy as np
import pytest
from click.testing import CliRunner
from test_verify import random_weights

from fcnkit.cli.main import main
from fcnkit.formats.prototxt import parse
from fcnkit.verifying.differences import moved, proven, unproven
from fcnkit.verifying.verify import verify
from fcnkit.weights import store

END = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 1 dim: 6 dim: 6 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 5 bias_term: false } }
"""
BENDS = {
    "Softmax": 'layer { name: "p" type: "Softmax" bottom: "fc" top: "p" }',
    "Softmax, Flatten": 'layer { name: "q" type: "Softmax" bottom: "fc" top: "q" }\n'
    'layer { name: "p" type: "Flatten" bottom: "q" top: "p" }',
    "Sigmoid": 'layer { name: "p" type: "Sigmoid" bottom: "fc" top: "p" }',
    "Clip": 'layer { name: "p" type: "Clip" bottom: "fc" top: "p" clip_param { min: -1 max: 1 } }',
    "TanH, Power": 'layer { name: "q" type: "TanH" bottom: "fc" top: "q" }\n'
    'layer { name: "p" type: "Power" bottom: "q" top: "p" power_param { scale: 3 } }',
    "Threshold": 'layer { name: "p" type: "Threshold" bottom: "fc" top: "p" }',
    "ArgMax": 'layer { name: "p" type: "ArgMax" bottom: "fc" top: "p" }',
}


def scores(factor=1.0):
    rng = np.random.default_rng(1)
    return store.create().put("fc", [(factor * rng.normal(0, 9, (5, 36))).astype("f4")])


@pytest.mark.parametrize("bend", BENDS)
def test_what_an_end_hides_is_compared_before_it(bend, caffe):
    net = parse(END + BENDS[bend])
    same = verify(net, scores(), net, engine="caffe")
    assert [row.output for row in same] == ["fc", "p"] and proven(same)
    other = verify(net, scores(), net, scores(1.2), engine="caffe")
    assert not other[0].ok and not proven(other)


def test_scores_that_a_layer_in_place_overwrites_are_compared_too(caffe):
    softmax = 'layer { name: "prob" type: "Softmax" bottom: "fc" top: "fc" }\n'
    net = parse(END + softmax)
    rows = verify(net, scores(), net, scores(1.2), engine="caffe")
    assert [row.output for row in rows] == ["fc, before prob", "fc"]
    assert rows[1].ok and not rows[1].shows and not rows[0].ok and not proven(rows)
    assert "equal, but saturated at 0 or 1: see fc, before prob;" in str(rows[1])
    assert proven(verify(net, scores(), net, engine="caffe"))
    rows = verify(net, scores(0.0005), net, scores(0.0005), engine="caffe")
    assert proven(rows) and 0 < rows[1].low < rows[1].high < 1


LAYER_OF_INPUT = 'layer { name: "first" type: "ReLU" bottom: "data" top: "data" }\n'
IN_PLACE = """layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
%slayer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 bias_term: false } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "tanh" type: "TanH" bottom: "conv" top: "conv" }
layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }
"""


@pytest.mark.parametrize("start", ["", LAYER_OF_INPUT])
@pytest.mark.parametrize("engine", ["caffe", "opencv"])
def test_layers_in_place_one_after_the_other_are_told_apart(caffe, engine, start):
    """What is wanted of a blob gets a name of its own, and Caffe makes no blob twice."""
    net = parse(IN_PLACE % start)
    weights = random_weights(net)
    stored = [np.zeros(4, "f4"), np.full(4, 9, "f4"), np.ones(1, "f4")]
    weights = weights.put("bn", stored)
    rows = verify(net, weights, net, engine=engine)
    assert proven(rows) and "conv, before tanh" in [row.output for row in rows]
    moved = weights.put("scale", [each.array() * 1.2 for each in weights["scale"]])
    assert not proven(verify(net, weights, net, moved, engine=engine))


# ---- every end that hides, under everything that may follow it

PLACE = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 2 dim: 6 dim: 6 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "c"
  convolution_param { num_output: 4 kernel_size: 1 } }
"""
LAYER = 'layer { name: "%s" type: "%s" bottom: "%s" top: "%s" %s }\n'
TAILS = {
    "nothing": [],
    "Pooling": [("Pooling", "pooling_param { kernel_size: 2 stride: 2 pool: AVE }")],
    "global Pooling": [("Pooling", "pooling_param { global_pooling: true }")],
    "Deconvolution": [("Deconvolution", "convolution_param { num_output: 4 kernel_size: 2 }")],
    "InnerProduct": [("InnerProduct", "inner_product_param { num_output: 3 }")],
    "Convolution, Softmax": [
        ("Convolution", "convolution_param { num_output: 3 kernel_size: 1 }"),
        ("Softmax", ""),
    ],
    "Reduction": [("Reduction", "reduction_param { operation: MEAN axis: 2 }")],
    "Power": [("Power", "power_param { scale: -2 shift: 1 }")],
    "Scale": [("Scale", "scale_param { bias_term: true }")],
    "Flatten, Reshape": [
        ("Flatten", ""),
        ("Reshape", "reshape_param { shape { dim: 2 dim: -1 } }"),
    ],
    "Tile, Softmax": [
        ("Tile", "tile_param { tiles: 2 }"),
        ("Softmax", "softmax_param { axis: 2 }"),
    ],
}


def bounded():
    """An example of every type of Caffe that keeps one value in bounds, or picks."""
    texts = {"Clip": "clip_param { min: -1 max: 1 }", "ELU": "elu_param { alpha: 0.5 }"}
    plain = ("Softmax", "Sigmoid", "TanH", "Threshold", "ReLU", "AbsVal", "BNLL")
    texts |= {"Exp": "exp_param { base: 2 }", "Power": "power_param { power: 0 }"}
    return [*((name, "") for name in plain), *texts.items(), ("ArgMax", "argmax_param { axis: 1 }")]


@pytest.mark.parametrize("place", [False, True], ids=["own top", "in place"])
@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("bend, param", bounded(), ids=[name for name, _ in bounded()])
def test_no_tail_hides_what_a_bend_hides(bend, param, tail, place):
    """A change of the weights before it is found, whatever follows; the same weights are proven."""
    pytest.importorskip("torch")
    text, blob = PLACE, "c"
    for number, (kind, words) in enumerate([(bend, param), *TAILS[tail]]):
        works = kind in ("Sigmoid", "TanH", "Threshold", "ReLU", "Clip", "ELU", "Power", "Scale")
        top = blob if place and works else f"{kind}{number}"
        text += LAYER % (f"l{number}", kind, blob, top, words)
        blob = top
    net = parse(text)
    weights = random_weights(net)
    factor = 9 if bend != "Exp" else 0.05
    first, last = factor * weights["conv"][0].array(), weights["conv"][1].array()
    last[1] = last[3] = -9e5  # far below any bound
    last[2] = 9e5 if bend != "Exp" else 9
    weights = weights.put("conv", [first, last])
    moved = weights.put("conv", [first, last * np.float32([1, 1.2, 1.2, 1])])
    same = verify(net, weights, net, engine="torch")
    assert proven(same), same
    other = verify(net, weights, net, moved, engine="torch")
    assert not proven(other), other


BRANCH = """layer { name: "%s" type: "Convolution" bottom: "data" top: "%s"
  convolution_param { num_output: 2 kernel_size: 1 } }
"""


@pytest.mark.parametrize("end", ["MAX", "MAX, Pooling", "none"])
def test_what_is_never_picked_is_compared_too(end):
    """Of two branches the second is always the smaller, and its weights show nowhere else."""
    pytest.importorskip("torch")
    text = PLACE[: PLACE.index('layer { name: "conv"')] + BRANCH % ("a", "a") + BRANCH % ("b", "b")
    operation = "SUM" if end == "none" else "MAX"
    text += 'layer { name: "m" type: "Eltwise" bottom: "a" bottom: "b" top: "m" eltwise_param {'
    text += f" operation: {operation} }} }}\n"
    if "Pooling" in end:
        text += LAYER % ("p", "Pooling", "m", "p", "pooling_param { global_pooling: true }")
    net = parse(text)
    weights = random_weights(net)
    low = [weights["b"][0].array(), np.float32([-5e4, -5e4])]
    weights = weights.put("b", low)
    moved = weights.put("b", [low[0] * 1.2, low[1]])
    assert proven(verify(net, weights, net, engine="torch"))
    assert not proven(verify(net, weights, net, moved, engine="torch", tolerance=1e-6))


def test_a_hidden_layer_that_saturates_is_looked_into(caffe):
    """fc -> Sigmoid -> fc2: nothing of a change in fc may be left in fc2."""
    last = 'layer { name: "fc2" type: "InnerProduct" bottom: "p" top: "s" %s }\n'
    net = parse(END + BENDS["Sigmoid"] + last % "inner_product_param { num_output: 2 }")
    second = [np.arange(10, dtype="f4").reshape(2, 5), np.ones(2, "f4")]
    weights, moved = (scores(factor).put("fc2", second) for factor in (1, 1.2))
    rows = verify(net, weights, net, moved, engine="caffe")
    assert [row.output for row in rows] == ["fc", "s"] and rows[1].ok and not rows[0].ok
    assert proven(verify(net, weights, net, engine="caffe"))
    calm = [
        row.output
        for row in verify(net, weights.put("fc", scores(1e-3)["fc"]), net, engine="caffe")
    ]
    assert calm == ["s"], "where the sigmoid is not at its bounds, it hides nothing"


@pytest.mark.filterwarnings("error")
def test_values_that_are_not_finite_are_not_compared():
    pytest.importorskip("torch")
    net = parse(END)
    for wrong in (np.nan, np.inf):
        broken = store.create().put("fc", [np.full((5, 36), wrong, "f4")])
        (row,) = verify(net, broken, net, engine="torch")
        assert not row.ok and "NOT COMPARED: some values are infinite or not num" in str(row)


def test_zeros_prove_nothing(caffe, tmp_path):
    net = parse(END, "net.prototxt")
    rows = verify(net, scores(0), net, engine="caffe")
    assert rows[0].ok and unproven(rows) == [*rows]
    paths = [str(tmp_path / name) for name in ("net.prototxt", "w.caffemodel")]
    net.save(paths[0])
    scores(0).save(paths[1])
    result = CliRunner().invoke(main, ["verify", *paths, *paths])
    assert result.exit_code == 1 and "fc: not proven equal" in result.output
    scores().save(paths[1], force=True)
    assert CliRunner().invoke(main, ["verify", *paths, *paths]).exit_code == 0


# What makes 1 and -1 of whatever it reads; between data of a batch of two and the end.
PINS = {
    "MVN of two": """
layer { name: "q" type: "Reshape" bottom: "fc" top: "q" reshape_param { shape { dim: 0 dim: 3 dim: 2
  dim: 1 } } }
layer { name: "p" type: "MVN" bottom: "q" top: "p" }""",
    "BatchNorm by a batch of two": """
layer { name: "p" type: "BatchNorm" bottom: "fc" top: "p" batch_norm_param {
  use_global_stats: false } }""",
    "value by its size": """
layer { name: "q" type: "AbsVal" bottom: "fc" top: "q" }
layer { name: "r" type: "Power" bottom: "q" top: "r" power_param { power: -1 } }
layer { name: "p" type: "Scale" bottom: "fc" bottom: "r" top: "p" scale_param { axis: 0 } }""",
    "LRN": """
layer { name: "q" type: "Reshape" bottom: "fc" top: "q" reshape_param { shape { dim: 0 dim: 6 dim: 1
  dim: 1 } } }
layer { name: "p" type: "LRN" bottom: "q" top: "p" lrn_param { local_size: 1 alpha: 1e9
  beta: 0.5 } }""",
}


@pytest.mark.parametrize("pin", PINS)
def test_one_of_two_values_shows_nothing(pin, caffe):
    """What is -1 or 1 in every net is compared where it still moves."""
    batch = END.replace("dim: 1 dim: 1 dim: 6 dim: 6", "dim: 2 dim: 1 dim: 6 dim: 6")
    net = parse(batch.replace("num_output: 5", "num_output: 6") + PINS[pin])
    rng = np.random.default_rng(2)
    one, other = (rng.normal(0, 9, (6, 36)).astype("f4") for _ in range(2))
    weights = random_weights(net).put("fc", [one])
    rows = verify(net, weights, net, weights, engine="caffe")
    assert proven(rows) and not rows[-1].shows and "one of two values" in str(rows[-1])
    rows = verify(net, weights, net, weights.put("fc", [(one + other) / 2]), engine="caffe")
    assert not proven(rows) and not rows[0].ok


@pytest.mark.parametrize(
    "first, second, still, pinned",
    [
        ([[1, -1]], [[-1, 1]], [True], [True]),
        ([[1, -1]], [[1, -1]], [True], [False]),
        ([[1, 1]], [[-1, -1]], [False], [False]),  # a map of one value moves
        ([[0, 0, 5]], [[0, 0, 0]], [False], [False]),  # and so does a ReLU's
        ([[0, 0, 5]], [[0, 3, 0]], [False], [False]),
        ([[1], [-1], [1]], [[-1], [1], [1]], [True, True, True], [True, True, False]),
        ([[1, -1], [3, 4]], [[-1, 1], [5, 6]], [True, False], [True, False]),
    ],
)
def test_which_channels_move(first, second, still, pinned):
    found = moved(*(np.asarray(each, "f4")[None] for each in (first, second)))
    assert found.still.tolist() == still and found.pinned.tolist() == pinned
