"""Operations one after the other: one transplant of the whole plan is a transplant after each."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sketches import conv, data, deconv, fc, images, layer, net, pool, relu, weights

import fcnkit as fk
from fcnkit.errors import FcnkitError
from fcnkit.plan import Plan
from fcnkit.weights.surgery import transplant

NET = net(
    data(1, 3, 12, 12),
    conv("a", "data", 4, 5, "bias_term: false"),
    layer("bn", "BatchNorm", "a", top="n"),
    layer("sc", "Scale", "n", more="scale_param { bias_term: true }"),
    relu("sc"),
    pool("p", "sc", 2, 2),
    conv("b", "p", 6, 3, "group: 2"),
    layer("sb", "Scale", "b", top="b", more="scale_param { bias_term: true }"),
    fc("c", "b", 5),
    layer("bc", "BatchNorm", "c", top="c"),
    fc("d", "c", 4, "transpose: true"),
)
UP = net(
    data(1, 3, 6, 6),
    conv("s", "data", 3, 3),
    deconv("u", "s", 3, 4, 2, "group: 3"),
    layer("su", "Scale", "u", top="u"),
)
STEPS = {
    "fold": fk.fold,
    "conv": fk.convolutionalize,
    "fc": fk.to_fc,
    "dense": fk.ungroup,
    "group": lambda text: fk.regroup(text, "b", 2),
    "swap": fk.swap_channels,
    "gray": fk.to_gray,
    "colour": fk.to_colour,
    "add": lambda text: fk.add_channels(text, 3),
    "classes": lambda text: fk.reclass(text, "d", [2, None, 0, 1]),
    "decimate": lambda text: fk.decimate(text, "a", 3),
    "exchange": lambda text: fk.rename(text, {"b": "c", "c": "b"}),
    "rename": lambda text: fk.rename(text, {"a": "first"}),
    "drop sc": lambda text: fk.drop(text, "sc"),
    "drop d": lambda text: fk.drop(text, "d"),
    "from p": lambda text: fk.extract(text, "p"),
    "rescore": lambda text: fk.rescore(text, 3, head="d", name="d"),
}
ON_UP = {
    "fold": fk.fold,
    "dense": fk.ungroup,
    "group": lambda text: fk.regroup(text, "u", 3),
    "classes": lambda text: fk.reclass(text, "s", [1, 2, 0]),
    "back": lambda text: fk.reclass(text, "u", [2, None, 0]),
}


def chained(before, steps, words, folder):
    """The plan of all steps that can be,
    and the weights after each transplanted in turn, through files.
    """
    plan, current, number = Plan(before, before), weights(before, folder / "old"), 0
    for word in words:
        try:
            step = steps[word](plan.net)
            plan_after = plan.then(steps[word])
        except FcnkitError:
            continue
        number += 1
        transplant(step, current).save(folder / f"{number}", force=True)
        plan, current = plan_after, fk.weights(folder / f"{number}")
    return plan, current


def compare(plan, current, folder):
    transplant(plan, fk.weights(folder / "old")).save(folder / "whole", force=True)
    whole = fk.weights(folder / "whole")
    assert set(whole) == set(current)
    for name in whole:
        assert [blob.shape for blob in whole[name]] == [blob.shape for blob in current[name]], name
        for one, two in zip(whole[name], current[name], strict=True):
            np.testing.assert_array_equal(one.array(), two.array(), name)


@settings(max_examples=120, deadline=None)
@given(words=st.lists(st.sampled_from(sorted(STEPS)), min_size=2, max_size=7))
def test_a_chain_of_operations(words, tmp_path_factory):
    folder = tmp_path_factory.mktemp("chain")
    plan, current = chained(NET, STEPS, words, folder)
    compare(plan, current, folder)
    assert plan.json()


@settings(max_examples=40, deadline=None)
@given(words=st.lists(st.sampled_from(sorted(ON_UP)), min_size=2, max_size=6))
def test_a_chain_on_an_upsampling_net(words, tmp_path_factory):
    folder = tmp_path_factory.mktemp("chain")
    compare(*chained(UP, ON_UP, words, folder), folder)


@pytest.mark.parametrize(
    "words",
    [
        ("fold", "dense", "conv", "exchange", "swap", "fc"),
        ("swap", "fold", "swap", "dense", "group"),
        ("exchange", "conv", "fold", "rename"),
        ("rename", "fold", "dense", "fold"),
    ],
)
def test_real_caffe_computes_the_same_after_a_chain(words, caffe, tmp_path):
    plan, current = chained(NET, STEPS, words, tmp_path)
    image = images(NET)["data"]
    seen = image[:, ::-1] if words.count("swap") % 2 else image
    expected = caffe.run(NET, tmp_path / "old", {"data": image}, ["d"])["d"]
    found = caffe.run(plan.net, current, {"data": seen}, ["d"])["d"]
    np.testing.assert_allclose(found.ravel(), expected.ravel(), atol=1e-5 * np.abs(expected).max())
