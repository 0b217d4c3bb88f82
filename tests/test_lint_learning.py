"""What lint says of what keeps a net from learning, and real Caffe of the same nets."""

import numpy as np
import pytest

import fcnkit
from fcnkit.engines.caffe import Question
from fcnkit.formats import prototxt
from fcnkit.nets.graph import State

XAVIER = 'weight_filler { type: "xavier" }'


def data(size: str) -> str:
    """Images from a database of unknown size, or of the given one, and labels."""
    if "dim" not in size:
        source = f'data_param {{ source: "x" batch_size: {size} }}'
        return f'layer {{ name: "d" type: "Data" top: "data" top: "label" {source} }}\n'
    return (
        f'layer {{ name: "d" type: "Input" top: "data" input_param {{ shape {{ {size} }} }} }}\n'
        'layer { name: "l" type: "Input" top: "label" '
        f"input_param {{ shape {{ {size[: size.index(' dim')]} }} }} }}\n"
    )


def scale(name: str, more: str = "") -> str:
    return f'layer {{ name: "{name}" type: "Scale" bottom: "c" top: "c" {more} }}\n'


def net(size: str, *layers: str) -> prototxt.Prototxt:
    conv = (
        'layer { name: "c" type: "Convolution" bottom: "data" top: "c" '
        f"convolution_param {{ num_output: 4 kernel_size: 1 {XAVIER} }} }}\n"
    )
    end = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }'
    last = (
        'layer { name: "ip" type: "InnerProduct" bottom: "c" top: "ip" '
        f"inner_product_param {{ num_output: 2 {XAVIER} }} }}\n"
    )
    return prototxt.parse(data(size) + conv + "".join(layers) + last + end, "net.prototxt")


def found(text: prototxt.Prototxt, passes: int = 20) -> list:
    words = f'base_lr: 0.1\nlr_policy: "fixed"\niter_size: {passes}\n'
    return list(fcnkit.lint(text, solver=prototxt.parse(words, "solver.prototxt")))


# ---- gradients that Caffe overwrites


@pytest.mark.parametrize(
    "size, passes, layers, words",
    [
        ("1", 20, [scale("s")], 'layer "s" (net.prototxt:3): of a step\'s 20 passes the last'),
        ("1", 20, [scale("s"), scale("t")], 'layer "s" (net.prototxt:3) and 1 more'),
        ("1", 1, [scale("s")], None),
        ("2", 20, [scale("s")], None),
        ("1", 20, [scale("s", "param { lr_mult: 0 }")], None),
        ("1", 20, [scale("s", "param { lr_mult: 0.5 }")], "give it lr_mult: 0"),
        ("2", 20, [scale("s", "scale_param { axis: 0 num_axes: -1 }")], "give it lr_mult: 0"),
        ("dim: 2 dim: 3 dim: 5 dim: 5", 20, [scale("s", "scale_param { axis: 0 }")], "give it"),
        ("dim: 1 dim: 3 dim: 5 dim: 5", 20, [scale("s")], "give it"),
    ],
)
def test_a_gradient_that_is_not_added_up_is_said_of_the_solver(size, passes, layers, words):
    hits = [one for one in found(net(size, *layers), passes) if "overwritten" in one.name]
    expected = ("overwritten-gradient", "solver.prototxt", 3)
    assert [(one.name, one.path, one.line) for one in hits] == [expected] * bool(words)
    assert words is None or words in hits[0].text


def test_without_a_solver_nobody_knows_how_many_passes_there_are():
    assert not fcnkit.lint(net("1", scale("s")))


SHARED = 'param { name: "g" }'


@pytest.mark.parametrize("batch, said", [(1, True), (2, False)])
def test_what_is_shared_is_overwritten_in_one_pass(batch, said, caffe):
    text = net(f"dim: {batch} dim: 3 dim: 2 dim: 2", scale("s", SHARED), scale("t", SHARED))
    hits = [one for one in found(text) if one.name == "overwritten-share"]
    assert [one.line for one in hits] == [4] * said
    apart = prototxt.parse(text.text.replace(SHARED, ""), "net.prototxt")
    rng = np.random.default_rng(0)
    inputs = {"data": rng.normal(size=(batch, 3, 2, 2)), "label": np.zeros(batch)}
    shared, alone = caffe.ask(
        [Question("gradients", each, None, inputs, None, State("TRAIN")) for each in (text, apart)]
    )
    first, second = (alone.params[name][0] for name in "st")
    right = first if said else first + second
    np.testing.assert_allclose(shared.params["s"][0], right, rtol=1e-4, atol=1e-7)
