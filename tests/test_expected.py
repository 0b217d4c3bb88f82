"""An argument of another kind than a function takes is named, with what it was given."""

import inspect
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fcnkit as fk
from fcnkit import expected
from fcnkit.annotations import fits, form

NET = fk.template("digits")

WRONG = {
    "fk.read(3)": "path: 3",
    "fk.read(None)": "path: None",
    "fk.weights(3)": "path: 3",
    "fk.from_onnx(3)": "path: 3",
    "fk.convolutionalize(3)": "net: 3 is not what it takes; give a Prototxt or a path",
    "fk.convolutionalize(None)": "net: None is not what it takes; give a Prototxt or a path",
    "fk.statistics(3)": "weights: 3 is not what it takes; give Weights or a path",
    "fk.build(NET, 'TEST')": "state: 'TEST'",
    "fk.inspect(NET, state='TEST')": "state: 'TEST'",
    "fk.inspect(NET, inputs=3)": "inputs: 3",
    "fk.inspect(NET, inputs={'data': 'x'})": "inputs: {'data': 'x'}",
    "fk.inspect(NET, to=3)": "to: 3",
    "fk.fcn(NET, classes='x', stride=4)": "classes: 'x'",
    "fk.fcn(NET, classes=3, stride='8')": "stride: '8'",
    "fk.fcn(NET, classes=3, stride=True)": "stride: True",
    "fk.pad(NET, 'conv1', '2')": "pixels: '2'",
    "fk.pad(NET, 3, 1)": "layer: 3",
    "fk.resize(NET, 'data', 3)": "shape: 3",
    "fk.resize(NET, 'data', '1,3,4,4')": "shape: '1,3,4,4'",
    "fk.resize(NET, 'data', (1, 3, 4.5, 4))": "shape: (1, 3, 4.5, 4)",
    "fk.batch(NET, 'x')": "count: 'x'",
    "fk.batch(NET, 1.5)": "count: 1.5",
    "fk.rename(NET, 'x')": "names: 'x'",
    "fk.rename(NET, {'ip2': 3})": "names: {'ip2': 3}",
    "fk.drop(NET, 3)": "layers: 3",
    "fk.rescore(NET, 'x')": "classes: 'x'",
    "fk.coords(NET, 'data', 3)": "end: 3",
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


class Odd:
    """What no function takes."""


# Of these every value may be right, as far as annotations tell: arrays, and what PyTorch has.
FREE = {
    *(("beside", "panels"), ("confusion", "label"), ("confusion", "prediction")),
    *(("from_torch", name) for name in ("module", "example", "weights", "options")),
    *(("infer", "image"), ("infer", "colours"), ("transplant", "plan"), ("report", "weights")),
}
ARGUMENTS = [
    (name, each)
    for name in fk.__all__
    if inspect.isfunction(getattr(fk, name))
    for each in inspect.signature(getattr(fk, name)).parameters
    if (name, each) not in FREE
]


@pytest.mark.parametrize("name, argument", ARGUMENTS)
def test_every_argument_of_every_public_function_is_named(name, argument):
    function = getattr(fk, name)
    several = (
        inspect.signature(function).parameters[argument].kind is inspect.Parameter.VAR_POSITIONAL
    )
    with pytest.raises(TypeError, match=f"^{argument}: <.*Odd object.* is not what it takes; give"):
        function(NET, Odd()) if several else function(**{argument: Odd()})


@pytest.mark.parametrize("value, hint, right", [
    (np.int64(3), int, True), (3.0, int, False), (True, int, False), (np.float32(1), float, True),
    (3, float, True), ("3", float, False), (np.bool_(True), bool, True), (1, bool, False),
    ([1, 2], Sequence[int], True), (np.zeros(3), Sequence[float], True),
    ("ab", Sequence[str], False),
    (["a", 3], Sequence[str], False), ({"a": (1,)}, Mapping[str, tuple[int, ...]], True),
    ({"a": 1}, Mapping[str, Sequence[int]], False), (None, int | None, True), (None, int, False),
    (Path("a"), str | os.PathLike[str], True), (print, Callable[[], None], True),
    (Odd(), Any, True),
])  # fmt: skip
def test_a_value_is_of_its_annotated_type(value, hint, right):
    assert fits(value, hint) is right


@pytest.mark.parametrize("hint, words", [
    (str | os.PathLike[str] | None, "a path"), (int | str, "a whole number or text"),
    (Mapping[str, tuple[int, ...]], "a mapping of names to a list of whole numbers"),
    (fk.Weights | str | os.PathLike[str], "Weights or a path"), (fk.Plan, "a Plan"),
    (Callable[[], None], "a function"), (Sequence[float], "a list of numbers"),
])  # fmt: skip
def test_a_type_in_words(hint, words):
    assert form(hint) == words


def test_numbers_that_are_too_small_are_named():
    with pytest.raises(ValueError, match="count: 0 is too few; give 1 or more"):
        fk.batch(NET, 0)
    with pytest.raises(ValueError, match="pixels: -1 is too few"):
        fk.pad(NET, "conv1", -1)
    with pytest.raises(fk.FcnkitError, match='phase "x": give TEST or TRAIN'):
        fk.lint(NET, phase="x")


def test_what_is_right_passes():
    assert expected.whole("a", np.int64(3), least=3) == 3
    assert expected.shapes({"data": [1, 3, 2, 2], "b": np.array([1, 2])})
    assert fk.inspect(NET, inputs={"data": [1, 1, 30, 30]}).rows[0].shape == (1, 1, 30, 30)


def test_a_long_value_is_cut():
    with pytest.raises(TypeError, match=r"^a: list \[0, 1, .*\.\.\. is not what it takes") as said:
        expected.text("a", list(range(1000)))
    assert len(str(said.value)) < 120
