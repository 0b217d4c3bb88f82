"""Layers of the PyTorch engine on values far from those of a good training, as in Caffe."""

import numpy as np
import pytest

from fcnkit.engines import torch as torch_engine
from fcnkit.formats.prototxt import parse

pytest.importorskip("torch")

INPUTS = """
layer { name: "in" type: "Input" top: "x" top: "label"
  input_param { shape { dim: 1 dim: 2 } shape { dim: 1 } } }
"""
LOSSES = {
    "SoftmaxWithLoss": "",
    "MultinomialLogisticLoss": "",
    "HingeLoss": "",
    "SigmoidCrossEntropyLoss": "",
    "EuclideanLoss": "",
}
POINTWISE = {
    "ReLU": "",
    "ELU": "",
    "Sigmoid": "",
    "TanH": "",
    "Swish": "",
    "Clip": "clip_param { min: -1 max: 1 }",
    "AbsVal": "",
    "BNLL": "",
    "Power": "power_param { scale: 0.5 shift: 1 }",
    "Threshold": "",
    "Softmax": "",
}
VALUES = (0.0, 1e-30, 1.0, 87.0, 89.0, 1e3, 1e6, 1e9, 1e20, 1e38)


def _both(text, many, caffe):
    net = parse(text)
    mine = torch_engine.run_all(net, None, many, ["y"], device="cpu")
    return tuple([found["y"] for found in each] for each in (mine, caffe.run_all(net, None, many)))


@pytest.mark.parametrize("kind", LOSSES)
def test_losses(kind, caffe):
    """The loss of scores (v, 0) for either label: Caffe's SoftmaxWithLoss ends at 87.3365."""
    two = kind in ("SigmoidCrossEntropyLoss", "EuclideanLoss")
    inputs = INPUTS.replace("shape { dim: 1 } }", "shape { dim: 1 dim: 2 } }") if two else INPUTS
    loss = f'layer {{ name: "l" type: "{kind}" bottom: "x" bottom: "label" top: "y" }}'
    many = []
    for value in VALUES:
        value = min(value, 1e18) if kind == "EuclideanLoss" else value
        scores = np.array([[value, 0]], "f4")
        for label in (0, 1):
            labels = np.array([[label, 1 - label]] if two else [label], "f4")
            many.append({"x": scores, "label": labels})
    for mine, theirs, each in zip(*_both(inputs + loss, many, caffe), many, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6, err_msg=str(each))


@pytest.mark.parametrize("kind", POINTWISE)
def test_one_value_from_one_value(kind, caffe):
    text = 'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 20 } } }\n'
    text += f'layer {{ name: "l" type: "{kind}" bottom: "x" top: "y" {POINTWISE[kind]} }}'
    values = np.array([[*VALUES, *(-value for value in VALUES)]], "f4")
    (mine,), (theirs,) = _both(text, [{"x": values}], caffe)
    np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-30)


@pytest.mark.parametrize("scaled", ["true", "false"])
@pytest.mark.parametrize("value", [1e-30, 1.0, 1e18, 1e20, 1e37])
def test_mvn_of_values_whose_squares_overflow(value, scaled, caffe):
    """Their variance is infinite, and what is divided by it 0."""
    text = 'layer { name: "in" type: "Input" top: "x" input_param { shape {'
    text += ' dim: 1 dim: 2 dim: 2 dim: 2 } } }\nlayer { name: "l" type: "MVN" bottom: "x" top: "y"'
    text += f" mvn_param {{ normalize_variance: {scaled} }} }}"
    values = value * np.arange(-3, 5, dtype="f4").reshape(1, 2, 2, 2)
    (mine,), (theirs,) = _both(text, [{"x": values}], caffe)
    np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-30)
