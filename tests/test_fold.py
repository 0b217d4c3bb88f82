"""BatchNorm, Scale and Bias into the layer before them:
which, and that real Caffe computes the same.
"""

import re

import numpy as np
import pytest
from sketches import conv, data, deconv, differences, fc, layer, net, pool, relu, weights

import fcnkit as fk
from fcnkit.nets.layers.traits import Affine
from fcnkit.plan import Move
from fcnkit.weights import store

START = data(2, 3, 8, 9)
CONV = conv("c", "data", 6, 3)
BARE = conv("c", "data", 6, 3, "bias_term: false")
SHARED = 'param { name: "w" } convolution_param { num_output: 6 kernel_size: 3 bias_term: false }'


def norm(bottom, top=None, more="", name="bn"):
    return layer(name, "BatchNorm", bottom, top=top or bottom, more=more)


def scale(bottom, top=None, more="scale_param { bias_term: true }", name="sc"):
    return layer(name, "Scale", bottom, top=top or bottom, more=more)


def stats(value):
    return f"batch_norm_param {{ use_global_stats: {value} }}"


FOLDS = {
    "in place": START + CONV + norm("c") + scale("c") + relu("c"),
    "with new tops": START + CONV + norm("c", "b") + scale("b", "s") + relu("s"),
    "mixed tops": START + CONV + norm("c", "b") + scale("b") + pool("p", "b", 2, 2),
    "no bias": START + BARE + norm("c") + scale("c"),
    "norm alone": START + CONV + norm("c", more="batch_norm_param { eps: 0.01 }"),
    "scale alone": START + CONV + scale("c", more="scale_param { }"),
    "scale alone, no bias": START + BARE + scale("c", more=""),
    "scale of one number": START
    + CONV
    + scale("c", more="scale_param { num_axes: 0 bias_term: true }"),
    "scale of axis -3": START + CONV + scale("c", more="scale_param { axis: -3 bias_term: true }"),
    "bias alone": START + BARE + layer("bi", "Bias", "c", top="c"),
    "five": START
    + BARE
    + norm("c")
    + scale("c")
    + layer("bi", "Bias", "c")
    + norm("bi", name="bn2")
    + scale("bi", "end", name="sc2"),
    "pad, stride, dilation": START
    + conv("c", "data", 6, 2, "pad: 3 stride: 2 dilation: 2")
    + norm("c"),
    "groups": data(2, 4, 8, 8) + conv("c", "data", 6, 3, "group: 2") + norm("c") + scale("c"),
    "deconvolution": START + deconv("c", "data", 6, 4, 2) + norm("c") + scale("c"),
    "deconvolution, groups": data(2, 4, 5, 5)
    + deconv("c", "data", 6, 4, 2, "group: 2")
    + norm("c")
    + scale("c"),
    "inner product": START + fc("c", "data", 5) + norm("c") + scale("c"),
    "inner product, all axes": START
    + fc("c", "data", 5)
    + scale("c", more="scale_param { num_axes: -1 }"),
    "transposed": START
    + fc("c", "data", 5, "transpose: true bias_term: false")
    + norm("c")
    + scale("c"),
    "a layer for TEST alone": START
    + CONV
    + norm("c")
    + pool("p", "c", 2, 2)
    + layer("s", "Sigmoid", "p", more="include { phase: TEST }"),
    "global statistics": START + CONV + norm("c", more=stats("true")) + scale("c"),
}

KEEPS = {
    "after a ReLU": (START + CONV + relu("c") + norm("c"), {"bn": '"relu_c" .ReLU., which cannot'}),
    "of the image": (START + norm("data"), {"bn": '"data" .Input., which cannot'}),
    "another reader": (
        START + CONV + norm("c", "b") + pool("p", "c", 2, 2),
        {"bn": '"p" also reads "c"'},
    ),
    "two norms": (
        START + CONV + norm("c", "b") + norm("c", "d", name="bn2"),
        {"bn": '"bn2" also reads "c"', "bn2": "which cannot take it in"},
    ),
    "two bottoms": (
        START
        + CONV
        + conv("d", "data", 6, 3)
        + layer("sc", "Scale", "c", "d", more="scale_param { axis: 0 }"),
        {"sc": 'second bottom "d"'},
    ),
    "as a second bottom": (
        data(2, 6)
        + conv("c", "image", 6, 3)
        + layer("sc", "Scale", "c", "data", more="scale_param { axis: 0 }"),
        {"sc": 'second bottom "data"'},
    ),
    "along the width": (
        START + CONV + scale("c", more="scale_param { axis: 3 }"),
        {"sc": "not have one number"},
    ),
    "along all axes": (
        START + CONV + scale("c", more="scale_param { num_axes: -1 }"),
        {"sc": "not have one number"},
    ),
    "of the batch": (
        START + CONV + norm("c", more=stats("false")) + scale("c"),
        {"bn": "in state TEST it normalises by the batch", "sc": '"bn" before it stays'},
    ),
    "axis 2": (START + fc("c", "data", 5, "axis: 2") + norm("c"), {"bn": '"c" works along axis 2'}),
    "shared weights": (
        START
        + data(2, 3, 8, 9, name="twin")
        + layer("c", "Convolution", "data", more=SHARED)
        + layer("d", "Convolution", "twin", more=SHARED)
        + norm("c"),
        {"bn": '"c": it shares the parameter "w" with "d"'},
    ),
    "shared factors": (
        START
        + CONV
        + conv("d", "data", 6, 3)
        + scale("c", more='param { name: "g" }')
        + scale("d", more='param { name: "g" }', name="sd"),
        {"sc": 'shares the parameter "g" with "sd"', "sd": 'shares the parameter "g" with "sc"'},
    ),
    "size not known": (
        layer("data", "Data", more='data_param { source: "x" batch_size: 2 }') + CONV + norm("c"),
        {"bn": "give it with --input"},
    ),
    "when it trains": (
        START
        + CONV
        + norm("c")
        + layer("l", "EuclideanLoss", "c", "c", more="include { phase: TRAIN }"),
        {"bn": "in state TRAIN it normalises by the batch"},
    ),
    "twice, one for each phase": (
        START
        + CONV
        + norm("c", more="include { phase: TRAIN } " + stats("true"))
        + norm("c", more="include { phase: TEST }", name="bn2"),
        {"bn": "in one state but not in another", "bn2": "in one state but not in another"},
    ),
}


def image(text):
    return data(2, 3, 8, 8, name="image") + text if '"image"' in text else text


# ---- laws


@pytest.mark.parametrize("name", FOLDS)
def test_nothing_is_left_to_fold_and_again_changes_nothing(name):
    plan = fk.fold(net(FOLDS[name]))
    types = {each.type for each in fk.build(plan.net).layers}
    assert types.isdisjoint(("BatchNorm", "Scale", "Bias"))
    again = fk.fold(plan.net)
    assert not again.changed and not again.steps and not again.moves


@pytest.mark.parametrize("name", KEEPS)
def test_what_cannot_be_folded_stays_with_its_reason(name):
    text, reasons = KEEPS[name]
    plan = fk.fold(net(image(text)))
    found = {step.layer: step for step in plan.steps}
    for kept, why in reasons.items():
        assert found[kept].verb == "keep" and re.search(why, found[kept].why), found[kept]
    assert not plan.changed and not plan.moves


@pytest.mark.parametrize("text", [START + CONV + relu("c"), START, ""])
def test_a_net_without_normalisation_does_not_change(text):
    plan = fk.fold(net(text))
    assert plan.net.text == text and not plan.steps


@pytest.mark.parametrize("name", FOLDS)
def test_outputs_keep_their_names(name):
    before, after = fk.build(net(FOLDS[name])), fk.build(fk.fold(net(FOLDS[name])).net)
    assert {top.blob for top in before.outputs} == {top.blob for top in after.outputs}


# ---- tables


def test_moves_are_plain_data():
    plan = fk.fold(net(FOLDS["no bias"]))
    links = (
        ("bn", Affine(mean=0, variance=1, divisor=2, eps=1e-05)),
        ("sc", Affine(factor=0, summand=1)),
    )
    assert plan.moves == (
        Move("c", 0, (6, 3, 3, 3), "c", "fold", (links, 0, 1)),
        Move("c", 1, (6,), None, "fold bias", (links,)),
        Move("bn", 0, (), how="drop"),
        Move("sc", 0, (), how="drop"),
    )
    assert plan.json()["moves"][0]["args"] == [
        [["bn", [None, None, 0, 1, 2, 1e-05]], ["sc", [0, 1, None, None, None, 0.0]]],
        0,
        1,
    ]


def test_a_part_of_a_chain():
    plan = fk.fold(net(START + CONV + norm("c", "b") + scale("b", "s") + pool("p", "b", 2, 2)))
    assert [step.verb for step in plan.steps] == ["change", "remove", "keep"]
    assert fk.build(plan.net).layer("c").tops[0].blob == "b"


def test_both_phases_with_stored_statistics():
    loss = layer("l", "EuclideanLoss", "c", "c", more="include { phase: TRAIN }")
    text = START + CONV + norm("c", more=stats("true")) + loss
    assert [step.verb for step in fk.fold(net(text)).steps] == ["change", "remove"]


def test_a_file_of_another_net(tmp_path):
    old = weights(net(FOLDS["in place"]), tmp_path / "old.caffemodel")
    plan = fk.fold(net(FOLDS["no bias"]))
    with pytest.raises(
        fk.FcnkitError,
        match='layer "c": has 2 blobs, and the Convolution on line 7 of sketch.prototxt takes 1',
    ):
        fk.transplant(plan, old)
    with pytest.raises(fk.FcnkitError, match='has no layer "bn"'):
        fk.transplant(fk.fold(net(FOLDS["in place"])), old.drop("bn"))
    with pytest.raises(
        fk.FcnkitError,
        match='layer "bn": has 1 blob, and the BatchNorm on line 14 of sketch.prototxt takes 3',
    ):
        fk.transplant(fk.fold(net(FOLDS["in place"])), old.put("bn", old["bn"][:1]))


@pytest.mark.parametrize("place", ["c", "sc"])
def test_what_counts_in_the_loss_stays(place):
    parts = {"c": CONV, "sc": scale("c", "s")}
    weighed = parts[place].replace('top: "', 'loss_weight: 1 top: "', 1)
    plan = fk.fold(net(START + "".join((parts | {place: weighed}).values())))
    (step,) = plan.steps
    assert step.verb == "keep" and "counts in the loss (loss_weight)" in step.why


def test_an_unknown_type_behind_a_convolution_is_named():
    plan = fk.fold(net(START + CONV + layer("bn", "CuDNNBatchNorm", "c", top="c") + relu("c")))
    (step,) = plan.steps
    assert step[:2] == ("keep", "bn") and "does not know its type" in step.why


@pytest.mark.parametrize(
    "more, blobs, words",
    [
        ("scale_param { }", [np.full(6, 1e30)] * 2, "would become 1e+60, and float32 holds"),
        ("scale_param { }", [np.full(6, np.inf), np.ones(6)], "would become "),
        ("scale_param { bias_term: true }", [np.ones(6), np.full(6, np.nan)], "would become nan"),
    ],
)
def test_what_float32_cannot_hold_is_not_written(tmp_path, more, blobs, words, recwarn):
    text = START + CONV + scale("c", more=more)
    stored = store.create().put("c", [np.ones((6, 3, 3, 3), "f4"), np.ones(6, "f4")])
    if "bias" not in more:
        text += scale("c", more=more, name="sd")
        stored = stored.put("sc", [blobs[0].astype("f4")]).put("sd", [blobs[1].astype("f4")])
    else:
        stored = stored.put("sc", [blob.astype("f4") for blob in blobs])
    with pytest.raises(fk.FcnkitError, match=re.escape(words)):
        fk.transplant(fk.fold(net(text)), stored).save(tmp_path / "o.caffemodel")
    assert not (tmp_path / "o.caffemodel").exists() and not recwarn.list


def test_without_an_eps_a_variance_of_zero_asks_for_one(tmp_path):
    plan = fk.fold(net(START + CONV + norm("c", more="batch_norm_param { eps: 0 }")))
    stored = store.create().put("c", [np.ones((6, 3, 3, 3), "f4"), np.ones(6, "f4")])
    stored = stored.put("bn", [np.ones(6, "f4"), np.zeros(6, "f4"), np.ones(1, "f4")])
    with pytest.raises(fk.FcnkitError, match="channel 0 is 0, .*give the layer an eps above 0"):
        fk.transplant(plan, stored).save(tmp_path / "o.caffemodel")


# ---- real Caffe


def test_real_caffe_computes_the_same(caffe, tmp_path, capsys):
    nets = [net(text, path=name) for name, text in FOLDS.items()]
    found = differences(caffe, [(before, fk.fold(before)) for before in nets], tmp_path)
    with capsys.disabled():
        print(f"fold: {max(found):.2g} relative at most over {len(found)} nets")
    assert max(found) < 1e-5, dict(zip(FOLDS, found, strict=True))


def test_then_convolutionalize_and_before(caffe, tmp_path):
    before = net(FOLDS["inner product"] + fc("d", "c", 3) + norm("d", name="bn2"))
    plans = [
        fk.fold(before).then(fk.convolutionalize, rename="{name}-conv"),
        fk.convolutionalize(before, rename="{name}-conv").then(fk.fold),
    ]
    found = differences(caffe, [(before, plan) for plan in plans], tmp_path)
    assert max(found) < 1e-5


BN = """
layer { name: "data" type: "Input" top: "data" input_param { shape { %s } } }
layer { name: "c" type: "Convolution" bottom: "data" top: "c"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "bn" type: "BN" bottom: "c" top: "c" bn_param { %s } }
"""
IMAGE = "dim: 1 dim: 3 dim: 8 dim: 8"


def test_segnets_merged_bn_is_folded():
    """In SegNet's mode INFERENCE it is a factor and a summand, 1 x C x 1 x 1 each."""
    plan = fk.fold(fk.parse(BN % (IMAGE, "bn_mode: INFERENCE scale_filler { } shift_filler { }")))
    assert [step.verb for step in plan.steps] == ["change", "remove"]
    rng = np.random.default_rng(2)
    w, b, scale, shift = (
        rng.normal(0, 1, shape).astype("f4")
        for shape in ((4, 3, 3, 3), (4,), (1, 4, 1, 1), (1, 4, 1, 1))
    )
    made = fk.transplant(plan, store.create().put("c", [w, b]).put("bn", [scale, shift]))
    np.testing.assert_allclose(made["c"][0].array(), w * scale.reshape(4, 1, 1, 1), rtol=1e-6)
    want = b * scale.ravel() + shift.ravel()
    np.testing.assert_allclose(made["c"][1].array(), want, rtol=1e-5, atol=1e-6)
    assert "bn" not in made


@pytest.mark.parametrize("frozen", [False, True])
def test_pspnets_bn_is_folded(frozen):
    """(x - mean) / sqrt(variance + eps) * slope + bias, by a reference in numpy."""
    words = f"slope_filler {{ value: 1 }} bias_filler {{ }} eps: 0.01 frozen: {str(frozen).lower()}"
    loss = """layer { name: "loss" type: "EuclideanLoss" bottom: "c" bottom: "c" top: "loss"
  include { phase: TRAIN } }
"""
    plan = fk.fold(fk.parse(BN % (IMAGE, words) + loss))
    assert [step.verb for step in plan.steps] == (["change", "remove"] if frozen else ["keep"])
    if not frozen:
        assert "normalises by the batch" in plan.steps[0].why
        plan = fk.fold(fk.parse(BN % (IMAGE, words)))
    rng = np.random.default_rng(2)
    w, b = rng.normal(0, 1, (4, 3, 3, 3)).astype("f4"), rng.normal(0, 1, 4).astype("f4")
    slope, bias, mean, variance = (rng.uniform(0.1, 2, (1, 4)).astype("f4") for _ in range(4))
    start = store.create().put("c", [w, b]).put("bn", [slope, bias, mean, variance])
    made = fk.transplant(plan, start)
    factor = (slope / np.sqrt(variance + 0.01)).ravel()
    np.testing.assert_allclose(made["c"][0].array(), w * factor[:, None, None, None], rtol=1e-5)
    want = (b - mean.ravel()) * factor + bias.ravel()
    np.testing.assert_allclose(made["c"][1].array(), want, rtol=1e-5, atol=1e-6)
    assert "bn" not in made


@pytest.mark.parametrize("params", ["", "bn_mode: LEARN", "slope_filler { value: 1 } icnet: true"])
def test_a_forks_bn_of_another_rule_stays_with_the_reason(params):
    plan = fk.fold(fk.parse(BN % (IMAGE, params)))
    (step,) = plan.steps
    assert step.verb == "keep" and "in a way of its fork only" in step.why
    assert plan.net.text == plan.before.text
