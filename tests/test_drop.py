"""Layers taken out: what reads on, what goes along, and that real Caffe runs the rest."""

import numpy as np
import pytest
from sketches import conv, data, images, layer, net, pool, relu, thin, weights
from test_extract import TEXT, TWO, V1, names

import fcnkit as fk
from fcnkit.errors import NetError
from fcnkit.weights.surgery import transplant


@pytest.mark.parametrize(
    "text, dropped, left, moves",
    [
        (TEXT, ["g"], ["data", "c", "relu_c", "p", "f", "relu_f"], ["g"]),
        (TEXT, ["relu_c"], ["data", "c", "p", "f", "relu_f", "g", "prob"], []),
        (TEXT, ["prob"], ["data", "c", "relu_c", "p", "f", "relu_f", "g"], []),
        (TEXT, ["g", "prob"], ["data", "c", "relu_c", "p", "f", "relu_f"], ["g"]),
        (TWO, ["a"], ["data", "b"], ["a"]),
        (V1, ["d"], ["input", "a", "b"], []),
        (
            data(1, 3, 8, 8)
            + conv("c", "data", 4, 3)
            + layer("n", "BatchNorm", "c")
            + layer("m", "Scale", "n")
            + relu("m")
            + pool("p", "m", 2, 2),
            ["m", "n"],
            ["data", "c", "relu_m", "p"],
            ["m", "n"],
        ),
    ],
)
def test_dropped(text, dropped, left, moves):
    plan = fk.drop(net(text), *dropped)
    assert names(plan.net) == left
    assert sorted(move.layer for move in plan.moves) == moves
    assert {step.layer for step in plan.steps} >= set(dropped)


@pytest.mark.parametrize(
    "dropped, words", [(["nope"], 'no layer "nope"'), (["data"], "nothing would be left")]
)
def test_what_cannot_be_dropped(dropped, words):
    with pytest.raises(NetError, match=words):
        fk.drop(net(TEXT), *dropped)


def test_names_may_be_given_in_a_list():
    assert fk.drop(net(TEXT), ["f"]).net.text == fk.drop(net(TEXT), "f").net.text
    with pytest.raises(NetError, match='no layer "nope"'):
        fk.drop(net(TEXT), ["nope"])


# ---- real Caffe


def test_real_caffe_runs_what_dropping_and_renaming_leaves(caffe, tmp_path):
    before = thin("alexnet")
    old, given = weights(before, tmp_path / "old.caffemodel"), images(before)
    plan = fk.drop(before, "fc8").then(fk.rename, {"fc7": "features"})
    expected = caffe.run(before, old, given, ["fc7"])["fc7"]
    np.testing.assert_array_equal(
        caffe.run(plan.net, transplant(plan, old), given)["fc7"], expected
    )
