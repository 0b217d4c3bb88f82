"""Other classes: which layers follow, and that real Caffe gives every old class its old scores."""

import numpy as np
import pytest
from sketches import conv, data, deconv, fc, images, layer, net, relu, weights

import fcnkit as fk
from fcnkit.errors import NetError, WeightsError
from fcnkit.plan import Move
from fcnkit.weights.fillers import fill
from fcnkit.weights.surgery import transplant

CLASSIFIER = data(2, 3, 8, 8) + fc("a", "data", 7) + relu("a") + fc("s", "a", 5)
PROB = layer("prob", "Softmax", "s")
CROP = layer("crop", "Crop", "d", "data", more="crop_param { axis: 2 offset: 0 }")
BY_CLASS = "group: 5 weight_filler { type: 'bilinear' }"
HEADS = {
    "inner product": CLASSIFIER + PROB,
    "transposed": data(2, 3, 8, 8) + fc("s", "data", 5, "transpose: true"),
    "no bias": data(2, 3, 8, 8) + fc("s", "data", 5, "bias_term: false"),
    "convolution": data(2, 3, 8, 8) + conv("s", "data", 5, 3) + relu("s"),
    "deconvolution": data(2, 3, 4, 4) + deconv("s", "data", 5, 4, 2),
    "upsampled": data(1, 3, 8, 8)
    + conv("s", "data", 5, 1)
    + deconv("d", "s", 5, 4, 2, BY_CLASS)
    + CROP,
}
LAST = {"upsampled": "crop", "inner product": "s"}


def fcn(group=True):
    lenet = (
        data(1, 1, 28, 28)
        + conv("c1", "data", 4, 3, "pad: 14")
        + layer("p1", "Pooling", "c1", more="pooling_param { kernel_size: 2 stride: 2 }")
        + conv("c2", "p1", 6, 3)
        + layer("p2", "Pooling", "c2", more="pooling_param { kernel_size: 2 stride: 2 }")
        + fc("top", "p2", 9)
    )
    return fk.fcn(net(lenet), classes=5, stride=2, group=group).net


def run(caffe, before, plan, folder, blob):
    """The scores before and after, of random weights but bilinear upsampling."""
    old = weights(before, folder / "old.caffemodel")
    graph = fk.build(before)
    ups = [each for each in graph.layers if each.type == "Deconvolution" and each.name != "s"]
    old = transplant(_bilinear(before, ups), old)
    data_ = images(before)
    asked = [
        caffe.Question("run", before, old, data_, [blob]),
        caffe.Question("run", plan.net, transplant(plan, old), data_, [blob]),
    ]
    answers = caffe.ask(asked)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return [answer[blob] for answer in answers]


def _bilinear(text, layers):
    from fcnkit.nets.shapes import shapes_of
    from fcnkit.plan import Plan

    shapes = shapes_of(fk.build(text))
    moves = [
        Move(each.name, 0, tuple(shapes.blobs(shapes.graph.layer(each.name))[0]), how="bilinear")
        for each in layers
    ]
    return Plan(text, text, moves=tuple(moves))


# ---- laws


@pytest.mark.parametrize("name", HEADS)
def test_all_classes_in_order_change_nothing(name, tmp_path):
    before = net(HEADS[name])
    plan = fk.reclass(before, "s", range(5))
    assert not plan.changed
    old = weights(before, tmp_path / "old.caffemodel")
    new = transplant(plan, old)
    for found, blobs in old.items():
        for one, two in zip(blobs, new[found], strict=True):
            np.testing.assert_array_equal(one.array(), two.array())


def test_an_order_and_its_inverse(tmp_path):
    before = net(CLASSIFIER)
    plan = fk.reclass(before, "s", [2, 0, 4, 1, 3]).then(fk.reclass, "s", [1, 3, 0, 4, 2])
    old = weights(before, tmp_path / "old.caffemodel")
    new = transplant(plan, old)
    for one, two in zip(old["s"], new["s"], strict=True):
        np.testing.assert_array_equal(one.array(), two.array())


# ---- tables


def test_what_follows_the_classes():
    plan = fk.reclass(fcn(), "score_fr", [0, 3, None])
    changed = {step.layer for step in plan.steps}
    assert changed == {"score_fr", "upscore2", "score_p1", "upscore"}
    graph = fk.build(plan.net)
    for name in changed:
        assert graph.layer(name).param("convolution_param").get("num_output") == 3
    assert graph.layer("upscore").param("convolution_param").get("group") == 3
    assert fk.inspect(plan.net)  # every size still fits


def test_the_layer_to_start_from_does_not_matter():
    before = fcn()
    nets = {
        fk.reclass(before, step.layer, [1, None]).net.text
        for step in fk.reclass(before, "score_fr", [1, None]).steps
    }
    assert len(nets) == 1


def test_a_layer_with_two_tops():
    more = 'top: "t" convolution_param { num_output: 5 kernel_size: 1 }'
    text = (
        data(1, 3, 8, 8)
        + data(1, 3, 8, 8, name="b")
        + layer("s", "Convolution", "data", "b", more=more)
    )
    ups = deconv("u", "s", 5, 4, 2, "group: 5") + deconv("v", "t", 5, 4, 2, "group: 5")
    assert [step.layer for step in fk.reclass(net(text + ups), "u", [0, 1]).steps] == [
        "s",
        "u",
        "v",
    ]


def test_steps_say_which():
    plan = fk.reclass(net(CLASSIFIER), "s", [0, 1, 2, 4, None], filler="xavier")
    (step,) = plan.steps
    assert step.what == "5 -> 5 classes; 1 new with xavier weights"
    assert step.why == "old classes 0-2, 4"


def test_a_filler_for_the_new_ones(tmp_path):
    before = net(CLASSIFIER)
    old = weights(before, tmp_path / "old.caffemodel")
    new = transplant(fk.reclass(before, "s", [None, 1, None], filler="gaussian", seed=3), old)
    found = new["s"][0].array()
    np.testing.assert_array_equal(found[[0, 2]], fill("gaussian", (2, 7), rng=3))
    np.testing.assert_array_equal(found[1], old["s"][0].array()[1])
    assert new["s"][1].array().tolist() == [0, old["s"][1].array()[1], 0]


@pytest.mark.parametrize(
    "text, classes, options, words",
    [
        (CLASSIFIER, [], {}, "no classes are left"),
        (CLASSIFIER, [5], {}, "5 classes, 0 to 4, and no 5"),
        (CLASSIFIER, [-1], {}, "and no -1"),
        (CLASSIFIER.replace('"s"', '"t"'), [0], {}, 'no layer "s"'),
        (
            CLASSIFIER + layer("r", "Flatten", "s"),
            [0],
            {},
            'type is Flatten, and the classes of "s"',
        ),
        (
            data(1, 3, 8, 8)
            + conv("s", "data", 5, 1)
            + layer("k", "Crop", "s", "data", more="crop_param { axis: 1 }"),
            [0],
            {},
            "its type is Crop",
        ),
        (CLASSIFIER + fc("next", "s", 3), [0], {}, "type is InnerProduct"),
        (
            CLASSIFIER
            + data(2, 1, name="l")
            + layer("acc", "Accuracy", "s", "l", more="accuracy_param { top_k: 5 }"),
            [0, 1],
            {},
            "top_k 5 of 2 classes; give at most 2",
        ),
        (data(1, 3, 8, 8) + relu("data").replace("relu_data", "s"), [0], {}, "its type is ReLU"),
        (HEADS["transposed"], [None], {"filler": "xavier"}, "let new classes be zero"),
        (
            data(1, 4, 8, 8) + conv("s", "data", 6, 3, "group: 2"),
            [0],
            {},
            "2 groups; make it dense first",
        ),
        (
            HEADS["upsampled"].replace(
                "num_output: 5 kernel_size: 4", "num_output: 5 kernel_size: 4 pad: 1"
            ),
            [0],
            {"inputs": {"nope": (1,)}},
            'no blob "nope"',
        ),
    ],
)
def test_what_cannot_be_is_refused(text, classes, options, words):
    with pytest.raises(NetError, match=words):
        fk.reclass(net(text), "s", classes, **options)


def test_classes_that_a_dense_upsampling_mixes(tmp_path):
    before = net(HEADS["upsampled"].replace(BY_CLASS, ""))
    new = transplant(fk.reclass(before, "s", [0, 1]), weights(before, tmp_path / "old.caffemodel"))
    with pytest.raises(WeightsError, match='layer "d".*outside the blocks of 5 groups'):
        new.save(tmp_path / "new.caffemodel")
    assert not (tmp_path / "new.caffemodel").exists()


# ---- real Caffe

CHOICES = [[3], [4, 0], [0, 1, 2, 3, 4, None], [None, 2, 2, None]]


@pytest.mark.parametrize("classes", CHOICES)
@pytest.mark.parametrize("name", HEADS)
def test_old_classes_keep_their_scores(name, classes, caffe, tmp_path):
    before = net(HEADS[name])
    old, new = run(caffe, before, fk.reclass(before, "s", classes), tmp_path, LAST.get(name, "s"))
    compare(old, new, classes)


def compare(old, new, classes):
    for at, index in enumerate(classes):
        expected = 0 * old[:, 0] if index is None else old[:, index]
        np.testing.assert_allclose(new[:, at], expected, atol=1e-6 * np.abs(old).max())


@pytest.mark.parametrize("group", [True, False])
@pytest.mark.parametrize("classes", CHOICES)
def test_old_classes_of_an_fcn_keep_their_scores(group, classes, caffe, tmp_path):
    before = fcn(group)
    old, new = run(caffe, before, fk.reclass(before, "score_fr", classes), tmp_path, "score")
    compare(old, new, classes)


def test_classes_of_a_net_whose_images_have_no_known_size():
    """The channels are known all the same, and with them the weights' shapes."""
    text = """
layer { name: "data" type: "Data" top: "data" data_param { source: "x" batch_size: 1 } }
layer { name: "label" type: "Data" top: "label" data_param { source: "y" batch_size: 1 } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 kernel_size: 3 pad: 1 stride: 2 } }
layer { name: "score" type: "Convolution" bottom: "conv1" top: "score"
  convolution_param { num_output: 6 kernel_size: 1 } }
layer { name: "up" type: "Deconvolution" bottom: "score" top: "up" convolution_param {
  num_output: 6 group: 6 bias_term: false kernel_size: 4 stride: 2 pad: 1 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "up" bottom: "label" top: "loss" }
"""
    plan = fk.reclass(fk.parse(text), "score", [0, 5, 2])
    assert [(step.layer, step.verb) for step in plan.steps] == [
        ("score", "change"),
        ("up", "change"),
    ]
    shapes = {(move.layer, move.blob): move.shape for move in plan.moves}
    assert shapes == {("score", 0): (3, 8, 1, 1), ("score", 1): (3,), ("up", 0): (3, 1, 4, 4)}
