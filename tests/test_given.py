"""Every public function that takes a net or weights takes a path to them, or says what it takes."""

import inspect
import os
import warnings
from fractions import Fraction

import numpy as np
import pytest

import fcnkit as fk
from fcnkit.errors import FcnkitError
from fcnkit.rewrites.upsample import Names
from fcnkit.weights import store

NET = """\
name: "n"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 16 dim: 16 } } }
layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 4 kernel_size: 3 group: 1 } }
layer { name: "b" type: "BatchNorm" bottom: "c" top: "c" }
layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
layer { name: "fc" type: "InnerProduct" bottom: "c" top: "fc" inner_product_param { num_output: 2 } }
"""  # noqa: E501
NETS = ("net", "new_net", "prototxt", "solver")
WEIGHTS = ("weights", "new_weights", "first", "second")
# What each public function is called with beside nets and weights.
MORE = {
    "add_channels": {"channels": 4},
    "coords": {"start": "c", "end": "data"},
    "decimate": {"layer": "fc", "kernel": 7},
    "fit": {"target": "ncnn"},
    "fork": {"name": "deeplab"},
    "fewer_filters": {"layer": "fc", "filters": 1, "first": False},
    "drop": ("r",),
    "extract": {"end": "c"},
    "fcn": {"classes": 2, "stride": 1},
    "bake": {"mean": (1.0,)},
    "batch": {"count": 3},
    "input_as": {"how": "legacy"},
    "resize": {"blob": "data", "shape": (2, 3, 16, 16)},
    "pad": {"layer": "c", "pixels": 1},
    "infer": {"image": np.zeros((16, 16, 3), np.uint8)},
    "reclass": {"layer": "fc", "classes": [0]},
    "regroup": {"layer": "c"},
    "rename": {"names": {"fc": "x"}},
    "rescore": {"classes": 2},
    "skip": {"score": "fc", "source": "c", "names": Names("up", "cut", "s", "f")},
    "upsample": {"score": "c", "reference": "data"},
}
# These take neither, and `report` folders as well: see test_report.
OTHERS = {
    "report",
    *("beside", "confusion", "from_onnx", "from_torch", "installed_engines", "parse", "read"),
    *("score", "template", "verify_import", "weights"),
}
FUNCTIONS = [
    name for name in fk.__all__ if inspect.isfunction(getattr(fk, name)) and name not in OTHERS
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "n.prototxt").write_text(NET)
    arrays = {
        "c": [np.ones((4, 3, 3, 3), "f4"), np.zeros(4, "f4")],
        "b": [np.zeros(4, "f4"), np.ones(4, "f4"), np.ones(1, "f4")],
        "fc": [np.ones((2, 784), "f4"), np.zeros(2, "f4")],
    }
    store.create().put_all(arrays).save(tmp_path / "w.caffemodel")
    return tmp_path


def called(name: str, net, weights):
    """What the function gives, or the error of ours that it raises."""
    function = getattr(fk, name)
    words = MORE.get(name, {})
    rest = words if isinstance(words, tuple) else ()
    options = {} if rest else dict(words)
    for each in inspect.signature(function).parameters:
        if each in NETS and each != "solver":
            options.setdefault(each, net)
        elif each in WEIGHTS:
            options.setdefault(each, weights)
    if name in ("transplant", "verify_plan"):
        options["plan"] = fk.convolutionalize(fk.read(net) if isinstance(net, str) else net)
    if rest:
        return outcome(lambda: function(options["net"], *rest))
    return outcome(lambda: function(**options))


def outcome(work) -> str:
    try:
        found = work()
    except FcnkitError as error:
        return f"{type(error).__name__}: {error}"
    if isinstance(found, fk.Plan):
        return found.net.text
    return str(len(list(found))) if inspect.isgenerator(found) else type(found).__name__


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_path_is_as_good_as_what_is_read_from_it(folder, name):
    net, weights = folder / "n.prototxt", folder / "w.caffemodel"
    read = called(name, fk.read(net), fk.weights(weights))
    assert called(name, os.fspath(net), os.fspath(weights)) == read
    may_refuse = (
        "upsample",
        "skip",
        "infer",
        "module",
        "verify",
        "verify_plan",
        "export",
        "to_colour",
        "regroup",
        "decimate",
        "fewer_filters",
    )
    assert "Error" not in read or name in may_refuse, read


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_neither_is_a_type_error(folder, name):
    if name in ("transplant", "compare", "statistics", "skeleton"):
        place = "first" if name == "compare" else "weights"
        with pytest.raises(TypeError, match=f"{place}: 7 is not what it takes; give Weights or a"):
            called(name, fk.read(folder / "n.prototxt"), 7)
        return
    words = r"(net|prototxt): \[1\] is not what it takes; give a Prototxt or a path"
    with pytest.raises(TypeError, match=words):
        called(name, [1], fk.weights(folder / "w.caffemodel"))


def test_weights_of_inspect_and_lint_are_paths_too(folder):
    net, weights = fk.read(folder / "n.prototxt"), folder / "w.caffemodel"
    for each in (str(weights), weights, fk.weights(weights)):
        assert "fits" in str(fk.inspect(net, weights=each)) or fk.inspect(net, weights=each).rows
        assert not [*fk.lint(net, each)]


def test_the_identity_keeps_a_point():
    assert fk.CoordMap()(3) == 3 and isinstance(fk.CoordMap()(3), Fraction)
    net = fk.parse(NET)
    assert fk.coords(net, "c", "c")(5) == 5


def test_a_blob_is_an_array(folder):
    blob = fk.weights(folder / "w.caffemodel")["c"][0]
    assert np.asarray(blob).shape == (4, 3, 3, 3) and np.asarray(blob).dtype == np.float32
    assert np.asarray(blob, np.float64).dtype == np.float64
    assert np.array_equal(np.asarray(blob) * 2, blob.array() * 2)


@pytest.mark.parametrize("variance, factor", [(-1, 1), (0, 0), (np.inf, 1), (np.nan, 1), (1, 0)])
def test_fold_warns_of_nothing(folder, variance, factor):
    weights = fk.weights(folder / "w.caffemodel")
    numbers = [np.zeros(4, "f4"), np.full(4, variance, "f4"), np.full(1, factor, "f4")]
    weights = weights.put("b", numbers)
    plan = fk.fold(fk.read(folder / "n.prototxt"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            fk.transplant(plan, weights).save(folder / "o.caffemodel")
        except FcnkitError as error:
            assert not variance >= 0 and "the variance of channel 0 is " in str(error)
        else:
            assert variance >= 0
