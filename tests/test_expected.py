"""An argument of another kind than a function takes is named, with what it was given."""

import re

import numpy as np
import pytest

import fcnkit as fk
from fcnkit import expected

NET = fk.template("digits")

WRONG = {
    "fk.read(3)": "path: 3",
    "fk.read(None)": "path: None",
    "fk.weights(3)": "path: 3",
    "fk.from_onnx(3)": "path: 3",
    "fk.convolutionalize(3)": "net: give a Prototxt or a path, not int",
    "fk.convolutionalize(None)": "net: give a Prototxt or a path",
    "fk.statistics(3)": "weights: give Weights or a path, not int",
    "fk.build(NET, 'TEST')": "state: 'TEST'",
    "fk.inspect(NET, state='TEST')": "state: 'TEST'",
    "fk.inspect(NET, inputs=3)": "inputs: 3",
    "fk.inspect(NET, inputs={'data': 'x'})": "inputs: {'data': 'x'}",
    "fk.inspect(NET, to=3)": "blob: 3",
    "fk.fcn(NET, classes='x', stride=4)": "classes: 'x'",
    "fk.fcn(NET, classes=3, stride='8')": "stride: '8'",
    "fk.fcn(NET, classes=3, stride=True)": "stride: True",
    "fk.pad(NET, 'conv1', '2')": "pixels: '2'",
    "fk.pad(NET, 3, 1)": "layer: 3",
    "fk.resize(NET, 'data', 3)": "shape: 3",
    "fk.resize(NET, 'data', '1,3,4,4')": "shape: '1,3,4,4'",
    "fk.resize(NET, 'data', (1, 3, 4.5, 4))": "shape: 4.5",
    "fk.batch(NET, 'x')": "count: 'x'",
    "fk.batch(NET, 1.5)": "count: 1.5",
    "fk.rename(NET, 'x')": "names: 'x'",
    "fk.rename(NET, {'ip2': 3})": "names: {'ip2': 3}",
    "fk.drop(NET, 3)": "layers: 3",
    "fk.rescore(NET, 'x')": "classes: 'x'",
    "fk.coords(NET, 'data', 3)": "blob: 3",
    "fk.reclass(NET, 'ip2', 'x')": "classes: 'x'",
    "fk.fewer_filters(NET, 'conv1', 'x')": "filters: 'x'",
    "fk.regroup(NET, 'conv2', 'x')": "groups: 'x'",
    "fk.add_channels(NET, 'x')": "channels: 'x'",
    "fk.transplant(NET, 'w')": "plan: give a Plan",
    "fk.verify_plan(NET, 'w')": "plan: ",
    "fk.verify(NET, 'w', NET, tolerance='x')": "tolerance: 'x'",
    "fk.fit(NET, 3)": "target: 3",
    "fk.lint(NET, target=3)": "target: 3",
}


@pytest.mark.parametrize("call", WRONG)
def test_the_argument_is_named(call):
    with pytest.raises(TypeError, match=f"^{re.escape(WRONG[call])}"):
        eval(call)


def test_numbers_that_are_too_small_are_named():
    with pytest.raises(ValueError, match="count: 0 is too few; give 1 or more"):
        fk.batch(NET, 0)
    with pytest.raises(ValueError, match="pixels: -1 is too few"):
        fk.pad(NET, "conv1", -1)
    with pytest.raises(fk.FcnkitError, match='phase "x": give TEST or TRAIN'):
        fk.lint(NET, phase="x")


def test_what_is_right_passes():
    assert expected.whole("a", np.int64(3), least=3) == 3
    assert expected.number("a", np.float32(0.5)) == 0.5 and expected.number("a", 1) == 1.0
    assert expected.names("a", {"x": "y"}) == {"x": "y"}
    assert expected.shapes({"data": [1, 3, 2, 2], "b": np.array([1, 2])})
    assert fk.inspect(NET, inputs={"data": [1, 1, 30, 30]}).rows[0].shape == (1, 1, 30, 30)


def test_a_long_value_is_cut():
    with pytest.raises(TypeError, match=r"^a: list \[0, 1, .*\.\.\. is not what it takes") as said:
        expected.text("a", list(range(1000)))
    assert len(str(said.value)) < 120
