"""The trunk of a net that classifies or is trained."""

import pytest
from sketches import conv, data, fc, layer, net, relu, template

import fcnkit as fk
from fcnkit.errors import NetError
from fcnkit.nets.graph import State, build, states
from fcnkit.rewrites.up_to_scores import up_to_scores

BODY = conv("c", "data", 4, 3) + relu("c") + fc("fc", "c", 9)
LOSS = layer("loss", "SoftmaxWithLoss", "fc", "label")
LOSS += layer("acc", "Accuracy", "fc", "label", more="include { phase: TEST }")


def source(phase, crop="crop_size: 8"):
    stored = 'data_param { source: "x" batch_size: 64 }'
    rules = f"include {{ phase: {phase} }} transform_param {{ {crop} }} {stored}"
    return layer("d", "Data", top="data", more=f'top: "label" {rules}')


TRAIN_VAL = source("TRAIN") + source("TEST") + BODY + LOSS
SIZE = {"data": (64, 3, 8, 8)}


def kinds(text):
    return [each.type for each in build(text).layers]


def test_a_deployed_net_keeps_all_but_its_softmax():
    plan = up_to_scores(net(data(1, 3, 8, 8), BODY, layer("prob", "Softmax", "fc")))
    assert kinds(plan.net) == ["Input", "Convolution", "ReLU", "InnerProduct"]
    assert [step.layer for step in plan.steps] == ["prob"]


def test_again_changes_nothing():
    once = up_to_scores(template("vgg16")).net
    assert not up_to_scores(once).changed


def test_data_become_an_input_of_one_image():
    plan = up_to_scores(net(TRAIN_VAL), inputs=SIZE)
    graph = build(plan.net)
    assert kinds(plan.net) == ["Input", "Convolution", "ReLU", "InnerProduct"]
    assert graph.layers[0].input_shapes == ((1, 3, 8, 8),)
    assert states(plan.net) == (State("TEST"),) and "phase" not in plan.net.text


@pytest.mark.parametrize(
    "head",
    [
        data(10, 3, 8, 8),
        'input: "data" input_dim: 10 input_dim: 3 input_dim: 8 input_dim: 8\n',
        'input: "data"\ninput_dim: [10, 3, 8, 8]\n',
        'input: "data"\ninput_shape { dim: 0xA dim: 3 dim: 8 dim: 8 }\n',
        layer(
            "data", "DummyData", more="dummy_data_param { shape { dim: 10 dim: 3 dim: 8 dim: 8 } }"
        ),
    ],
)
def test_the_batch_is_one_however_it_is_written(head):
    graph = build(up_to_scores(net(head, BODY)).net)
    assert graph.layers[0].input_shapes == ((1, 3, 8, 8),)


def test_another_size_is_written():
    graph = build(up_to_scores(net(data(1, 3, 8, 8), BODY), inputs={"data": (1, 3, 20, 30)}).net)
    assert graph.layers[0].input_shapes == ((1, 3, 20, 30),)


def test_other_heads_go_and_their_layers_with_them():
    text = net(
        data(1, 3, 8, 8),
        conv("c", "data", 4, 3),
        conv("side", "c", 2, 3),
        fc("a", "side", 3),
        fc("b", "c", 3),
    )
    plan = up_to_scores(text, head="b")
    assert [each.name for each in build(plan.net).layers] == ["data", "c", "b"]


def test_layers_of_other_states_go():
    text = net(
        data(1, 3, 8, 8), BODY, layer("x", "ReLU", "c", top="y", more="include { stage: 'odd' }")
    )
    assert "odd" not in up_to_scores(text).net.text


def test_comments_stay():
    text = net("# head\n", data(1, 3, 8, 8), "# of the body\n", BODY, "# tail\n")
    assert up_to_scores(text).net.text == text.text


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (TRAIN_VAL, {}, r"--input data=1,3,227,227"),
        (TRAIN_VAL, {"inputs": {"data": (1, 3, 8)}}, "."),
        (TRAIN_VAL, {"inputs": {"dato": (1, 3, 8, 8)}}, "dato"),
        (TRAIN_VAL, {"inputs": SIZE, "head": "nope"}, "nope"),
        (
            'layers { name: "d" type: DATA top: "data" data_param { source: "x" } }\n'
            'layers { name: "fc" type: INNER_PRODUCT bottom: "data" top: "fc" '
            "inner_product_param { num_output: 2 } }",
            {"inputs": SIZE},
            "upgrade",
        ),
        (data(1, 3, 8, 8).replace("input_param", "#") + BODY, {}, "--input|input_param"),
    ],
)
def test_what_cannot_be_is_refused(text, options, message):
    with pytest.raises(NetError, match=message):
        up_to_scores(net(text), **options)


def test_what_nothing_reads_stays_silent():
    """Of the trunk's own; the labels of a data layer go with it."""
    text = (
        data(1, 3, 9, 9)
        + conv("c", "data", 4, 3)
        + layer("cut", "Slice", "c", top="a", more='top: "b"')
        + fc("f", "a", 5)
        + layer("unread", "Silence", "b", top="")
    )
    kept = up_to_scores(net(text)).net
    assert [one.name for one in build(kept).layers][-2:] == ["f", "unread"]
    assert fk.fcn(net(text), classes=3, stride=1).changed


def test_a_train_val_becomes_an_fcn():
    plan = fk.fcn(net(TRAIN_VAL), classes=3, stride=1, inputs=SIZE)
    assert build(plan.net).outputs[0].blob == "score"


def aux(classes, bottom="conv1"):
    return fc("aux", bottom, classes) + layer("aux_prob", "Softmax", "aux")


def two_depths(classes=4, helper=4):
    deep = conv("conv1", "data", 3, 3) + aux(helper) + conv("conv2", "conv1", 3, 3)
    text = data(1, 3, 9, 9) + deep + fc("fc", "conv2", classes) + layer("prob", "Softmax", "fc")
    return fk.parse(text, "net")


def test_a_head_that_only_helps_to_train_a_deeper_one_goes():
    assert [one.name for one in build(up_to_scores(two_depths()).net).layers] == [
        "data",
        "conv1",
        "conv2",
        "fc",
    ]


@pytest.mark.parametrize(
    "net",
    [
        two_depths(helper=5),
        fk.parse(
            data(1, 3, 9, 9) + conv("conv1", "data", 3, 3) + aux(4) + fc("fc", "conv1", 4), "net"
        ),
    ],
)
def test_heads_of_other_classes_or_of_the_same_depth_are_asked_for(net):
    with pytest.raises(NetError, match=r'several layers give outputs: .*"aux".*--head'):
        up_to_scores(net)
    assert build(up_to_scores(net, head="fc").net).layers[-1].name == "fc"


def test_where_test_has_no_data_the_stage_that_is_given_its_images_counts():
    stored = 'top: "label" include { stage: "train" } data_param { source: "x" batch_size: 4 }'
    given = data(1, 3, 8, 8).replace('"Input"', '"Input"\n  include { stage: "deploy" }')
    feeds = layer("train-data", "Data", top="data", more=stored)
    loss = layer("loss", "SoftmaxWithLoss", "fc", "label", more='exclude { stage: "deploy" }')
    plan = up_to_scores(fk.parse(feeds + given + BODY + loss, "net"))
    assert kinds(plan.net) == ["Input", "Convolution", "ReLU", "InnerProduct"]
    assert "stage" not in plan.net.text
