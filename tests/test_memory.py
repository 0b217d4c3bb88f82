"""Memory as Caffe counts it: published figures, the rules one by one, real Caffe's log."""

import os
import re
import subprocess

import pytest
from click.testing import CliRunner
from sketches import conv, crop, data, deconv, fc, graph, layer, net, pool, relu, template

import fcnkit as fk
from fcnkit.cli.main import main
from fcnkit.engines import caffe_runtime
from fcnkit.formats import prototxt
from fcnkit.nets.memory import memory
from fcnkit.nets.shapes import shapes_of

BIG, SMALL = 4 * 2 * 8 * 8, 4 * 3
POINT = [data(1, 2, 8, 8), data(1, 3, name="label")]


def taken(*layers):
    built = graph(*layers)
    return memory(built, shapes_of(built))


# ---- published


def digits_fcn_alexnet():
    """The trunk of DIGITS' FCN-AlexNet in TRAIN,
    with its shift and a label image of three channels.
    """
    text = fk.fcn(template("caffenet"), classes=21, stride=32, pad=100).net.text
    text = text.replace('bottom: "data"\n  top: "conv1"', 'bottom: "shift"\n  top: "conv1"')
    at = text.index('layer {\n  name: "conv1"')
    shift = layer("shift", "Power", "data", more="power_param { shift: -116 }")
    return prototxt.parse(text[:at] + data(1, 3, 375, 500, name="label") + shift + text[at:])


def test_the_figures_of_a_published_log():
    found = fk.inspect(digits_fcn_alexnet(), inputs={"data": (1, 3, 375, 500)})
    logged = {row.name: row.memory for row in found.rows}
    assert (logged["upscore"], logged["score"]) == (100_907_428, 116_657_428)


def test_fcn32s_takes_160_million_numbers_for_what_it_computes():
    net = fk.fcn(template("vgg16"), classes=21, stride=32, pad=100).net
    found = fk.inspect(net, inputs={"data": (1, 3, 500, 500)}).memory
    assert found.data // 4 - 3 * 500 * 500 == pytest.approx(160.4e6, abs=0.05e6)
    # The buffer of conv1_2 alone: 64 channels x 9 window values at 698 x 698 places.
    assert found.columns > 4 * 64 * 9 * 698 * 698


# ---- one rule each


@pytest.mark.parametrize(
    ("layers", "counted"),
    [
        ([], BIG + SMALL),
        ([layer("a", "ReLU", "data")], 2 * BIG + SMALL),
        # In place: its top is counted though it takes nothing.
        ([relu("data")], 2 * BIG + SMALL),
        # Two readers: a Split with two tops more.
        ([layer("a", "ReLU", "data"), layer("b", "ReLU", "data")], 5 * BIG + SMALL),
        # One layer that reads a blob twice is two readers.
        ([layer("a", "Eltwise", "data", "data")], 4 * BIG + SMALL),
        # A weight makes a loss of a top, which is then read once more.
        (
            [layer("a", "ReLU", "data", more="loss_weight: 1"), layer("b", "ReLU", "a")],
            5 * BIG + SMALL,
        ),
        (
            [layer("a", "ReLU", "data", more="loss_weight: 0"), layer("b", "ReLU", "a")],
            3 * BIG + SMALL,
        ),
        # A loss without a top gets one of one number.
        (
            [fc("f", "label", 3), layer("l", "EuclideanLoss", "f", "label", top="")],
            BIG + 4 * SMALL + 4,
        ),
        ([layer("s", "Silence", "data", "label", top="")], BIG + SMALL),
    ],
)
def test_what_is_counted(layers, counted):
    assert taken(*POINT, *layers).counted == counted


def test_what_is_really_taken():
    found = taken(*POINT, relu("data"), layer("a", "ReLU", "data"), layer("b", "Flatten", "a"))
    assert (found.data, found.columns, found.parameters) == (2 * BIG + SMALL, 0, 0)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        (conv("c", "data", 4, 3), 2 * 9 * 6 * 6),
        (conv("c", "data", 4, 3, "group: 2 stride: 2"), 2 * 9 * 3 * 3),
        (conv("c", "data", 4, 1), 0),
        (conv("c", "data", 4, 1, "stride: 2"), 2 * 4 * 4),
        (deconv("c", "data", 4, 4, 2), 4 * 16 * 8 * 8),
        (pool("c", "data", 2, 2), 0),
    ],
)
def test_the_buffers_of_convolutions(text, columns):
    assert taken(*POINT, text).columns == 4 * columns


def test_training_takes_gradients_and_momentum():
    found = taken(*POINT, fc("f", "label", 2))
    assert found.parameters == 4 * (3 * 2 + 2)
    assert found.training - found.testing == found.data + 2 * found.parameters


def test_an_unknown_size_is_not_counted_as_nothing():
    found = taken(*POINT, layer("n", "Novel", "data"), layer("a", "ReLU", "data"))
    assert (
        found.logged[-3] is not None and found.logged[-2:] == (None, None) and found.counted is None
    )


# ---- what a person sees


def test_inspect_shows_it_on_request():
    words = ["inspect", "template:lenet", "--memory"]
    shown, plain = (CliRunner().invoke(main, each).stdout for each in (words, words[:-1]))
    counted = fk.inspect(template("lenet")).memory.counted
    assert f"{counted:,} bytes after the last" in shown and "to train" in shown
    assert "memory" in shown.splitlines()[1] and "memory" not in plain


def test_json_has_it():
    found = fk.inspect(template("lenet")).json()
    assert found["memory"]["counted"] == found["layers"][-1]["memory"]


# ---- real Caffe

ASK = """
import sys, caffe
caffe.set_mode_cpu()
caffe.Net(sys.argv[1], caffe.TRAIN if sys.argv[2] == "TRAIN" else caffe.TEST)
"""
LOSSES = net(
    *POINT,
    layer("a", "ReLU", "data"),
    relu("a"),
    crop("c", "a", "data", 0),
    fc("f", "c", 3),
    layer("e", "EuclideanLoss", "f", "label", top=""),
    layer("m", "Eltwise", "f", "f"),
    layer("n", "EuclideanLoss", "m", "label", more="loss_weight: 0.3"),
)


def said(caffe, read, state):
    """What Caffe's log says after each layer, by the layer's name, Splits among them."""
    read.save("net.prototxt", force=True)
    environment = {**os.environ, "GLOG_minloglevel": "0", "GLOG_logtostderr": "1"}
    words = [*caffe_runtime.command("python"), "-c", ASK, "net.prototxt", state]
    log = subprocess.run(words, capture_output=True, text=True, env=environment, check=True).stderr
    found = re.findall(r"\] (?:Setting up (\S+)|Memory required for data: (\d+))", log)
    return {name: int(size) for (name, _), (_, size) in zip(found[::2], found[1::2], strict=True)}


@pytest.mark.parametrize(
    ("read", "state"),
    [
        (LOSSES, "TRAIN"),
        (fk.fcn(template("alexnet"), classes=21, stride=16).net, "TEST"),
        (template("lenet"), "TEST"),
    ],
    ids=["losses", "alexnet", "lenet"],
)
def test_it_is_what_caffes_log_says(caffe, tmp_path, monkeypatch, read, state):
    monkeypatch.chdir(tmp_path)
    log = said(caffe, read, state)
    rows = fk.inspect(read, state=fk.State(state)).rows
    assert {row.name: row.memory for row in rows} == {row.name: log[row.name] for row in rows}
    assert fk.inspect(read, state=fk.State(state)).memory.counted == max(log.values())
