"""The deploy net of a training net: what it predicts, against Caffe's own files and real Caffe."""

import numpy as np
import pytest
from sketches import conv, data, fc, layer, net, relu, weights

import fcnkit as fk
from fcnkit.errors import NetError
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of

SIZE = {"data": (1, 3, 8, 8)}
SOURCE = layer(
    "d", "Data", top="data", more='top: "label" data_param { source: "x" batch_size: 8 }'
)
BODY = conv("c", "data", 4, 3) + relu("c") + fc("fc", "c", 9)


def loss(kind, scores="fc", name="loss", labels="label", more=""):
    return layer(name, kind, scores, labels, more=more)


def kinds(plan):
    return [(each.type, *[top.blob for top in each.tops]) for each in build(plan.net).layers]


BODY_KINDS = [("Convolution", "c"), ("ReLU", "c"), ("InnerProduct", "fc")]


@pytest.mark.parametrize(
    ("text", "end"),
    [
        (loss("SoftmaxWithLoss"), [("Softmax", "prob")]),
        (loss("InfogainLoss"), [("Softmax", "prob")]),
        (loss("SigmoidCrossEntropyLoss"), [("Sigmoid", "prob")]),
        (loss("EuclideanLoss"), []),
        (loss("HingeLoss"), []),
        (loss("ContrastiveLossOfMine"), []),
        (layer("s", "Softmax", "fc") + loss("MultinomialLogisticLoss", "s"), [("Softmax", "s")]),
        (loss("SoftmaxWithLoss") + layer("prob", "Softmax", "fc"), [("Softmax", "prob")]),
        (loss("SoftmaxWithLoss") + layer("a", "Accuracy", "fc", "label"), [("Softmax", "prob")]),
        (
            loss("SoftmaxWithLoss", more="include { phase: TRAIN }")
            + layer("a", "Accuracy", "fc", "label", more="include { phase: TEST }"),
            [("Softmax", "prob")],
        ),
        (
            loss("SoftmaxWithLoss", more="include { phase: TRAIN }")
            + layer("p", "Softmax", "fc", more="include { phase: TEST }"),
            [("Softmax", "p")],
        ),
        (
            loss("SoftmaxWithLoss") + layer("a", "ArgMax", "fc"),
            [("ArgMax", "a"), ("Softmax", "prob")],
        ),
    ],
)
def test_what_a_loss_predicts_of_its_scores(text, end):
    each = "SigmoidCrossEntropyLoss" in text or "EuclideanLoss" in text
    plan = fk.deploy(net(SOURCE, BODY, text), inputs={**SIZE, "label": (1, 9 if each else 1)})
    assert kinds(plan) == [("Input", "data"), *BODY_KINDS, *end]
    assert "include" not in plan.net.text
    assert not fk.deploy(plan.net).changed


def test_the_axis_of_the_softmax_is_kept():
    text = loss("SoftmaxWithLoss", "c", more="softmax_param { axis: 2 }")
    sizes = {**SIZE, "label": (1, 4, 6)}
    plan = fk.deploy(net(SOURCE, conv("c", "data", 4, 3), text), inputs=sizes)
    assert build(plan.net).layers[-1].param("softmax_param").get("axis") == 2


def test_scores_that_only_help_go_with_their_weights():
    helper = conv("h", "c", 2, 1) + fc("side", "h", 9) + loss("SoftmaxWithLoss", "side", "loss1")
    deep = (
        conv("more", "c", 4, 1)
        + conv("deep", "more", 4, 3)
        + fc("fc", "deep", 9)
        + loss("SoftmaxWithLoss")
    )
    text = net(SOURCE, conv("c", "data", 4, 3), helper, deep)
    plan = fk.deploy(text, inputs=SIZE)
    left = [each.name for each in build(plan.net).layers]
    assert left == ["data", "c", "more", "deep", "fc", "prob"]
    assert [(move.layer, move.how) for move in plan.moves] == [("h", "drop"), ("side", "drop")]
    assert {step.why for step in plan.steps if step.layer in ("h", "side", "loss1")} == {
        'it is an auxiliary branch that helps to train "fc"'
    }


def test_several_tasks_stay_each_with_its_predictions():
    second = fc("age", "c", 4) + loss("SoftmaxWithLoss", "age", "loss_age", "label_age")
    labels = layer("l", "Data", top="label_age", more='data_param { source: "y" batch_size: 8 }')
    text = net(SOURCE, labels, BODY, loss("SoftmaxWithLoss"), second)
    assert kinds(fk.deploy(text, inputs=SIZE))[-2:] == [
        ("Softmax", "prob_fc"),
        ("Softmax", "prob_age"),
    ]


def test_an_autoencoder_gives_what_it_makes_again():
    flat = layer("flat", "Flatten", "data")
    again = fc("code", "flat", 5) + fc("again", "code", 192)
    text = net(SOURCE, flat, again, loss("EuclideanLoss", "again", labels="flat"))
    plan = fk.deploy(text, inputs=SIZE)
    assert kinds(plan)[-1] == ("InnerProduct", "again")
    assert [top.blob for top in build(plan.net).outputs] == ["again"]
    assert 'EuclideanLoss "loss" compares it as it is' in [step.why for step in plan.steps]


def test_both_inputs_that_are_needed_stay_and_labels_go():
    source = layer(
        "d",
        "HDF5Data",
        top="data",
        more='top: "clip" top: "label" hdf5_data_param { source: "x" batch_size: 8 }',
    )
    text = net(
        source,
        conv("c", "data", 4, 3),
        fc("v", "c", 3),
        fc("w", "clip", 3),
        layer("fc", "Eltwise", "v", "w"),
        loss("SoftmaxWithLoss"),
    )
    plan = fk.deploy(text, inputs={**SIZE, "clip": (1, 7), "label": (1,)})
    assert [top.blob for top in build(plan.net).inputs] == ["data", "clip"]


def test_what_goes_to_a_file_is_predicted():
    text = net(
        data(1, 3, 8, 8),
        conv("c", "data", 4, 3),
        layer("o", "Power", "c"),
        fc("fc", "c", 3),
        layer("file", "HDF5Output", "o", "c", more='hdf5_output_param { file_name: "x" }', top=""),
        layer("quiet", "Silence", "c", top=""),
    )
    plan = fk.deploy(text)
    assert {top.blob for top in build(plan.net).outputs} == {"o", "fc"}
    assert ("HDF5Output",) not in kinds(plan) and ("Silence",) in kinds(plan)


def test_a_name_that_is_taken_is_said():
    text = net(SOURCE, conv("prob", "data", 9, 8), loss("SoftmaxWithLoss", "prob"))
    with pytest.raises(NetError, match='there is already a "prob".*--do rename'):
        fk.deploy(text, inputs=SIZE)


def test_a_size_that_is_not_known_is_asked_for():
    with pytest.raises(NetError, match=r'"data" is not known; give it with --input'):
        fk.deploy(net(SOURCE, BODY, loss("SoftmaxWithLoss")))


def test_a_net_that_learns_nothing_has_nothing_to_deploy():
    with pytest.raises(NetError, match="no learned layer leads to an output or to a loss"):
        fk.deploy(net(SOURCE, layer("r", "ReLU", "data")), inputs=SIZE)


def test_a_batch_that_is_asked_for():
    plan = fk.deploy(net(SOURCE, BODY, loss("SoftmaxWithLoss")), inputs={"data": (4, 3, 8, 8)})
    assert shapes_of(build(plan.net)).tops[build(plan.net).inputs[0]] == (4, 3, 8, 8)


def test_in_real_caffe_the_trained_weights_fit_and_predict(caffe, tmp_path):
    trained = net(data(1, 3, 8, 8), BODY)
    saved = weights(trained, tmp_path / "net.caffemodel")
    image = [{"data": np.random.default_rng(5).normal(size=(1, 3, 8, 8)).astype("f4")}]
    plan = fk.deploy(net(SOURCE, BODY, loss("SoftmaxWithLoss")), inputs=SIZE)
    (scores,) = (one["fc"] for one in caffe.run_all(trained, saved, image, ["fc"]))
    (found,) = (one["prob"] for one in caffe.run_all(plan.net, saved, image, ["prob"]))
    expected = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    assert np.abs(found - expected).max() < 1e-5


# Folders whose two nets are not the same: layers in another order, renamed, or a detector.
APART = ("alexnet_train", "train_val_conti", "SSD_300x300")


def reads(net):
    """Each layer's type and what it reads, whatever it and its tops are called."""
    return [(one.type, [top.blob for top in one.bottoms]) for one in net.layers if one.bottoms]


def test_published_deploy_files_are_what_their_training_nets_become(shared):
    equal = 0
    for path in sorted((shared / "prototxts").rglob("*train*.prototxt")):
        published = sorted(path.parent.glob("*deploy*.prototxt"))
        if len(published) != 1 or "solver" in path.name or any(word in str(path) for word in APART):
            continue
        theirs = build(fk.upgrade(published[0]).net)
        sizes = {top.blob: shapes_of(theirs).tops[top] for top in theirs.inputs}
        assert reads(build(fk.deploy(path, inputs=sizes).net)) == reads(theirs), path
        equal += 1
    assert equal >= 10
