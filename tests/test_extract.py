"""Parts of nets, and that real Caffe computes the same in each."""

import numpy as np
import pytest
from sketches import conv, data, fc, images, layer, net, pool, relu, template, thin, weights

import fcnkit as fk
from fcnkit.errors import NetError
from fcnkit.weights.surgery import transplant

BODY = conv("c", "data", 4, 3) + relu("c") + pool("p", "c", 2, 2) + fc("f", "p", 5) + relu("f")
TEXT = data(2, 3, 8, 8) + BODY + fc("g", "f", 3) + layer("prob", "Softmax", "g")
TWO = (
    data(2, 3, 8, 8)
    + conv("a", "data", 4, 3)
    + conv("b", "data", 4, 3)
    + layer("s", "Eltwise", "a", "b")
)
V1 = """input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layers { name: "a" type: CONVOLUTION bottom: "data" top: "a"
  convolution_param { num_output: 4 kernel_size: 3 } }
layers { name: "b" type: INNER_PRODUCT bottom: "a" top: "b" inner_product_param { num_output: 5 } }
layers { name: "d" type: DROPOUT bottom: "b" top: "b" }
"""


def names(text):
    return [each.name for each in fk.build(text).layers]


# ---- extract: laws


@pytest.mark.parametrize("name", ["alexnet", "lenet", "digits"])
def test_the_whole_net_is_itself(name):
    before = template(name)
    for plan in (
        fk.extract(before),
        fk.extract(before, "data"),
        fk.extract(before, "data", "prob"),
    ):
        assert plan.net.text == before.text and not plan.steps and not plan.moves


def test_again_changes_nothing():
    once = fk.extract(net(TEXT), "c", "f").net
    assert fk.extract(once, "c", "f").net.text == once.text


# ---- extract: tables


@pytest.mark.parametrize(
    "start, end, left, dropped",
    [
        ("data", "p", ["data", "c", "relu_c", "p"], ["f", "g"]),
        (None, "p", ["data", "c", "relu_c", "p"], ["f", "g"]),
        ("p", "g", ["p", "f", "relu_f", "g"], ["c"]),
        ("c", None, ["c", "p", "f", "relu_f", "g", "prob"], ["c"]),
        ("f", "prob", ["f", "g", "prob"], ["c", "f"]),
        ("c", ["p", "f"], ["c", "p", "f", "relu_f"], ["c", "g"]),
    ],
)
def test_what_is_between(start, end, left, dropped):
    plan = fk.extract(net(TEXT), start, end)
    assert names(plan.net) == left
    assert [move.layer for move in plan.moves] == dropped
    assert all(move.how == "drop" for move in plan.moves)


def test_the_start_is_an_input_of_its_size():
    plan = fk.extract(net(TEXT), "p", "f")
    first = fk.build(plan.net).layers[0]
    assert (first.type, first.input_shapes) == ("Input", ((2, 4, 3, 3),))
    assert plan.steps[0].what == "Input, 2 x 4 x 3 x 3" and plan.steps[0].line is None


def test_v1():
    plan = fk.extract(net(V1), "a")
    assert 'input: "a"\ninput_shape {' in plan.net.text
    assert names(plan.net) == ["input", "b", "d"] and "data" not in plan.net.text


def test_data_layers_and_rules_go():
    text = layer(
        "data", "Data", more='top: "label" include { phase: TEST } data_param { source: "x" }'
    )
    text += BODY + layer("loss", "SoftmaxWithLoss", "f", "label")
    plan = fk.extract(net(text), "data", "f", inputs={"data": (1, 3, 8, 8)})
    assert names(plan.net) == ["data", "c", "relu_c", "p", "f", "relu_f"]
    assert fk.build(plan.net).layers[0].type == "Input" and "include" not in plan.net.text


@pytest.mark.parametrize(
    "text, start, end, words",
    [
        (TEXT, "nope", None, 'no blob "nope"'),
        (TEXT, "data", "nope", 'no blob "nope"'),
        (TEXT, "g", "c", '"c" does not depend on "g"'),
        (TWO, "a", "b", '"b" does not depend on "a"'),
        (
            layer("data", "Data", more='data_param { source: "x" }') + BODY,
            "c",
            "f",
            'of "c" is not known',
        ),
    ],
)
def test_parts_that_cannot_be(text, start, end, words):
    with pytest.raises(NetError, match=words):
        fk.extract(net(text), start, end)


# ---- real Caffe


def test_real_caffe_computes_the_same_in_every_part(caffe, tmp_path, capsys):
    before = thin("alexnet")
    old, given = weights(before, tmp_path / "old.caffemodel"), images(before)
    blobs = ["pool1", "norm2", "conv3", "pool5", "fc6", "fc7", "prob"]
    whole = caffe.run(before, old, given, blobs)
    plans = [fk.extract(before, *pair) for pair in zip(blobs, blobs[1:], strict=False)]
    plans.append(fk.extract(before, "data", "pool1"))
    asked = [
        caffe.Question(
            "run",
            plan.net,
            transplant(plan, old),
            {top.blob: whole.get(top.blob, given["data"]) for top in fk.build(plan.net).inputs},
        )
        for plan in plans
    ]
    worst = 0.0
    for answer in caffe.ask(asked):
        assert not isinstance(answer, Exception), answer
        for blob, values in answer.items():
            worst = max(
                worst, float(np.abs(values - whole[blob]).max() / np.abs(whole[blob]).max())
            )
    with capsys.disabled():
        print(f"extract: {worst:.2g} relative at most over {len(plans)} parts")
    assert worst < 1e-5


TWO_INPUTS = """input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
input: "z" input_dim: 1 input_dim: 4 input_dim: 6 input_dim: 6
layers { name: "a" type: CONVOLUTION bottom: "data" top: "a"
  convolution_param { num_output: 4 kernel_size: 3 } }
layers { name: "b" type: ELTWISE bottom: "a" bottom: "z" top: "b" }
layers { name: "c" type: INNER_PRODUCT bottom: "b" top: "c" inner_product_param { num_output: 5 } }
layers { name: "d" type: FLATTEN bottom: "z" top: "d" }
layers { name: "e" type: CONCAT bottom: "c" bottom: "d" top: "e" }
"""


def test_inputs_that_stay_and_the_new_one_are_in_the_same_words():
    text = fk.parse(TWO_INPUTS)
    part = fk.build(fk.extract(text, "a", "e").net)
    shapes = dict(zip(part.inputs, part.layers[0].input_shapes, strict=True))
    assert {top.blob: shape for top, shape in shapes.items() if top.blob != "data"} == {
        "z": (1, 4, 6, 6),
        "a": (1, 4, 6, 6),
    }
    with pytest.raises(NetError, match='"c" has 2 axes, and .* run `fcnkit upgrade`'):
        fk.extract(text, "c", "e")
    assert fk.extract(fk.upgrade(text).net, "c", "e")


def test_a_layer_of_another_state_goes_for_that_reason():
    text = """input: "data" input_dim: 1 input_dim: 3 input_dim: 4 input_dim: 4
layer { name: "a" type: "ReLU" bottom: "data" top: "a" }
layer { name: "b" type: "ReLU" bottom: "a" top: "b" }
layer { name: "t" type: "ReLU" bottom: "a" top: "t" include { phase: TRAIN } }
layer { name: "c" type: "ReLU" bottom: "b" top: "c" }"""
    steps = fk.extract(fk.parse(text), "", "b").steps
    assert {step.layer: step.why for step in steps if step.what == "ReLU"} == {
        "t": "state TEST is without it",
        "c": "it is not between the two blobs",
    }
