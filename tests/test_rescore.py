"""A new classifier layer: its classes, its name, its zeros; and which layer it is."""

import pytest
from sketches import conv, data, fc, kept_lines, layer, net, pool, relu, template

import fcnkit as fk
from fcnkit.errors import NetError
from fcnkit.nets.graph import build
from fcnkit.rewrites.rescore import completed, find_head

FILLERS = "weight_filler { type: 'xavier' } bias_filler { type: 'constant' value: 0.1 }"
TEXT = (
    data(1, 3, 8, 8)
    + conv("c", "data", 4, 3)
    + fc("fc", "c", 9, FILLERS)
    + relu("fc")
    + layer("prob", "Softmax", "fc")
)
TRAINED = TEXT + data(1, 1, name="label") + layer("loss", "SoftmaxWithLoss", "fc", "label")
# As nets of 2013 are: the loss has no top.
OLD = data(1, 3, 8, 8) + fc("fc", "data", 9) + data(1, 1, name="label")
OLD += layer("loss", "SoftmaxWithLoss", "fc", "label", top="")


def head(text, name=None):
    return find_head(build(net(text)), name).name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (TEXT, "fc"),
        (TRAINED, "fc"),
        (
            data(1, 3, 8, 8)
            + conv("a", "data", 4, 3)
            + conv("b", "a", 4, 1)
            + pool("p", "b", 6, 1),
            "b",
        ),
        (TEXT + data(1, 2, name="unused"), "fc"),
        (OLD, "fc"),
        (TEXT + conv("aux", "data", 4, 3) + layer("quiet", "Silence", "aux", top=""), "fc"),
    ],
)
def test_the_head_is_the_last_learned_layer(text, name):
    assert head(text) == name


def test_the_new_layer_has_its_name_its_classes_and_no_fillers():
    plan = fk.rescore(net(TEXT), 5)
    graph = build(plan.net)
    new = graph.layer("score_fr")
    view = new.param("inner_product_param")
    assert (
        view.get("num_output") == 5
        and not view.has("weight_filler")
        and not view.has("bias_filler")
    )
    assert new.tops[0].blob == "score_fr"
    assert [each.bottoms[0].blob for each in graph.layers[3:]] == ["score_fr", "score_fr"]
    assert 'top: "fc"' not in plan.net.text and 'bottom: "fc"' not in plan.net.text


def test_weights_start_from_zero_and_the_old_ones_are_left_out():
    plan = fk.rescore(net(TEXT), 5, name="mine")
    assert [(move.layer, move.blob, move.shape, move.how) for move in plan.moves] == [
        ("fc", 0, (), "drop"),
        ("mine", 0, (5, 144), "zero"),
        ("mine", 1, (5,), "zero"),
    ]


def test_each_class_sees_all_channels():
    plan = fk.rescore(net(data(1, 4, 8, 8), conv("c", "data", 4, 3, "group: 2")), 5)
    assert "group" not in plan.net.text
    assert [move.shape for move in plan.moves if move.how == "zero"] == [(5, 4, 3, 3), (5,)]


def test_only_the_head_changes():
    gone, new = kept_lines(fk.rescore(template("alexnet"), 21))
    assert new == [
        '  name: "score_fr"',
        '  top: "score_fr"',
        "  inner_product_param { num_output: 21 }",
        '  bottom: "score_fr"',
    ]
    assert len(gone) == 4


def test_the_name_may_stay():
    plan = fk.rescore(net(TEXT), 5, name="fc")
    assert build(plan.net).layer("fc").param("inner_product_param").get("num_output") == 5


def test_a_convolution_may_be_the_head():
    plan = fk.rescore(
        net(data(1, 3, 8, 8), conv("a", "data", 4, 3), conv("b", "a", 4, 2, "bias_term: false")), 5
    )
    assert plan.moves[1:] == (fk.Move("score_fr", 0, (5, 4, 2, 2), how="zero"),)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (TEXT, {"classes": 0}, "0 classes"),
        (TEXT, {"head": "relu_fc"}, "type is ReLU"),
        (TEXT, {"head": "nope"}, 'no layer "nope"'),
        (TEXT, {"name": "c"}, 'a layer "c" already'),
        (TEXT + fc("other", "c", 3), {}, r'"fc" .*"other" .*--head'),
        (data(1, 3, 8, 8) + relu("data"), {}, "no InnerProduct or Convolution"),
        ("", {}, "no InnerProduct or Convolution"),
    ],
)
def test_what_cannot_be_is_refused(text, options, message):
    with pytest.raises(NetError, match=message):
        fk.rescore(net(text), **({"classes": 3} | options))


def test_a_blob_name_that_is_taken_is_refused():
    with pytest.raises(NetError, match="score_fr"):
        build(fk.rescore(net(TEXT + layer("x", "Power", "c", top="score_fr")), 3, head="fc").net)


def test_head_chooses_among_several():
    text = TEXT + fc("other", "c", 3)
    plan = fk.rescore(net(text), 7, head="other")
    assert build(plan.net).layer("score_fr").line == build(net(text)).layer("other").line


def test_weights_behind_the_head_are_for_its_old_classes():
    behind = layer("sc", "Scale", "fc", more="scale_param { bias_term: true }")
    text = net(data(1, 3, 4, 4), fc("fc", "data", 5), behind)
    with pytest.raises(NetError, match='"sc": it reads the scores of "fc", and its weights'):
        fk.rescore(text, 3)
    assert fk.rescore(text, 5).net.text


# ---- heads that leave their classes open


OPEN = TRAINED.replace("num_output: 9", "")


def test_a_head_that_leaves_its_classes_open_is_rescored():
    plan = fk.rescore(net(OPEN), 5)
    moves = fk.rescore(net(TRAINED), 5).moves
    assert plan.moves == moves and "num_output: 5" in plan.net.text


@pytest.mark.parametrize("text", [TRAINED, TRAINED.replace("num_output: 9", "num_output: 0")])
def test_what_a_head_says_is_left_as_it_is(text):
    assert not completed(net(text), 5).changed


def test_a_head_that_leaves_its_classes_open_has_those_of_the_fcn():
    """As DIGITS' standard nets, each stage of which has data and ends of its own."""
    stages = {"train": "exclude", "val": "exclude", "deploy": "include"}
    text = "".join(
        layer(f"{stage}-data", "Data", top="data", more=f'include {{ stage: "{stage}" }}')
        for stage in ("train", "val")
    )
    text += conv("c", "data", 4, 3, "pad: 1") + pool("p", "c", 2, 2)
    text += fc("ip1", "p", 8) + relu("ip1") + fc("ip2", "ip1", 9, FILLERS)
    for stage, rule in stages.items():
        text += layer(f"end-{stage}", "Softmax", "ip2", more=f'{rule} {{ stage: "deploy" }}')
    whole, left_open = (
        fk.fcn(net(each), classes=5, stride=2, inputs={"data": (1, 3, 16, 16)})
        for each in (text, text.replace("num_output: 9", ""))
    )
    assert left_open.net.text.split() == whole.net.text.split()
    assert left_open.moves == whole.moves
    step = next(step for step in left_open.steps if step.layer == "ip2")
    assert step[3:] == ("num_output 5", "the file leaves it open")
