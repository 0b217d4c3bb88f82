"""Poolings round down where nothing changes, and nets of other frameworks become FCNs."""

import numpy as np
import pytest
from test_verify import random_weights

import fcnkit as fk
from fcnkit.errors import NetError
from fcnkit.verifying.differences import proven
from fcnkit.verifying.verify import verify

# As in Inception-v3: at 23 x 23 both branches are 11 x 11, at 24 x 24 one is 11 and one 12.
INCEPTION = """layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: %d dim: %d } } }
layer { name: "stem" type: "Convolution" bottom: "data" top: "stem"
  convolution_param { num_output: 3 kernel_size: 1 } }
layer { name: "conv" type: "Convolution" bottom: "stem" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 stride: 2 } }
layer { name: "pool" type: "Pooling" bottom: "stem" top: "pool"
  pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "both" type: "Concat" bottom: "conv" bottom: "pool" top: "both" }
layer { name: "gap" type: "Pooling" bottom: "both" top: "gap"
  pooling_param { pool: AVE global_pooling: true } }
layer { name: "fc" type: "InnerProduct" bottom: "gap" top: "fc"
  inner_product_param { num_output: 5 } }
"""


def net(size=23):
    return fk.parse(INCEPTION % (size, size), "inception.prototxt")


def test_it_changes_what_rounding_does_not_change(caffe):
    plan = fk.round_down(net())
    old = "pool: MAX kernel_size: 3 stride: 2 }"
    assert plan.net.text == net().text.replace(old, old.replace("}", "round_mode: FLOOR }"))
    assert [(step.layer, step.verb) for step in plan.steps] == [("pool", "change")]
    weights = random_weights(net())
    assert proven(verify(net(), weights, plan.net, engine="caffe"))
    assert fk.round_down(plan.net).net.text == plan.net.text and not fk.round_down(plan.net).steps


def test_it_keeps_what_rounding_changes():
    alone = 'bottom: "pool" top: "both"'
    text = INCEPTION.replace('bottom: "conv" ' + alone, alone)
    plan = fk.round_down(fk.parse(text % (24, 24)))
    assert plan.net.text == plan.before.text
    (step,) = plan.steps
    assert step.verb == "keep" and step.why == "it makes 12 x 12 of 24 x 24, and would make 11 x 11"


@pytest.mark.parametrize("size", [23, 35])
def test_an_fcn_of_such_a_net_can_be_built_at_every_size(caffe, size):
    plan = fk.fcn(net(size), classes=2, stride=2)
    assert ("pool", "round_mode: FLOOR") in [(step.layer, step.what) for step in plan.steps]
    start = fk.transplant(plan, random_weights(net(size)))
    for height, width in ((32, 32), (33, 47), (40, 35), (101, 64)):
        image = {"data": np.ones((1, 3, height, width), "f4")}
        (found,) = caffe.run_all(plan.net, start, [image], ["score"])
        assert found["score"].shape == (1, 2, height, width)


def test_a_net_that_needs_no_rounding_is_not_touched():
    start, stop = INCEPTION.index('layer { name: "conv"'), INCEPTION.index('layer { name: "pool"')
    text = (INCEPTION[:start] + INCEPTION[stop:]).replace('bottom: "conv" ', "")
    assert "round_mode" not in fk.fcn(fk.parse(text % (23, 23)), classes=2, stride=2).net.text


DECODER = """layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 24 dim: 24 } } }
layer { name: "stem" type: "Convolution" bottom: "data" top: "stem"
  convolution_param { num_output: 4 kernel_size: 1 } }
layer { name: "down" type: "Convolution" bottom: "stem" top: "down"
  convolution_param { num_output: 4 kernel_size: 2 stride: 2 } }
layer { name: "up" type: "Deconvolution" bottom: "down" top: "up"
  convolution_param { num_output: 4 kernel_size: 2 stride: 2 } }
layer { name: "both" type: "Eltwise" bottom: "up" bottom: "stem" top: "both" }
layer { name: "pool" type: "Pooling" bottom: "both" top: "pool"
  pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc"
  inner_product_param { num_output: 5 } }
"""


def test_what_cannot_be_mended_says_at_which_size():
    """What goes down by two and up again lacks the last pixel of an odd image."""
    with pytest.raises(NetError, match="cannot be built for an input of .* pixels") as error:
        fk.fcn(fk.parse(DECODER), classes=2, stride=2)
    assert "round_mode" not in str(error.value)
