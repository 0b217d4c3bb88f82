"""Convolution back to InnerProduct:
convolutionalize backwards, and that real Caffe computes the same.
"""

import pytest
from sketches import conv, data, differences, fc, layer, net, pool, relu, template, thin
from test_convolutionalize import CONVERTS

import fcnkit as fk

GLOBAL = layer("gap", "Pooling", "c", more="pooling_param { global_pooling: true }")
START = data(2, 3, 8, 9) + conv("c", "data", 4, 3)
COVERS = {
    "one": START + conv("fc", "c", 5, 1).replace("kernel_size: 1", "kernel_h: 6 kernel_w: 7"),
    "two": data(2, 3, 8, 8)
    + conv("fc", "data", 5, 8, "stride: 4")
    + relu("fc")
    + conv("top", "fc", 3, 1),
    "no bias": data(2, 3, 8, 8) + conv("fc", "data", 5, 8, "bias_term: false dilation: 1 axis: 1"),
    "after global pooling": START
    + GLOBAL
    + conv("fc", "gap", 5, 1)
    + layer("prob", "Softmax", "fc"),
    "two of one": data(2, 3, 8, 8)
    + conv("a", "data", 5, 8)
    + conv("b", "data", 5, 8)
    + layer("sum", "Eltwise", "a", "b")
    + conv("top", "sum", 3, 1),
    "then a matrix": data(2, 3, 8, 8) + conv("a", "data", 5, 8) + fc("b", "a", 4),
    "then norm": data(2, 3, 8, 8)
    + conv("a", "data", 5, 8)
    + layer("n", "BatchNorm", "a")
    + layer("s", "Scale", "n", more="scale_param { bias_term: true }"),
}
KEEPS = {
    "pad": data(2, 3, 8, 8) + conv("a", "data", 5, 8, "pad: 1"),
    "smaller": data(2, 3, 8, 9) + conv("a", "data", 5, 8),
    "dilated": data(2, 3, 7, 7) + conv("a", "data", 5, 4, "dilation: 2"),
    "groups": data(2, 4, 8, 8) + conv("a", "data", 6, 8, "group: 2"),
    "size not known": layer("data", "Data", more='data_param { source: "x" }')
    + conv("a", "data", 5, 8),
}
BLAMES = {
    "a pooling": (data(2, 3, 8, 8) + conv("a", "data", 5, 8) + pool("p", "a", 1, 1), "p"),
    "a deconvolution": (
        data(2, 3, 8, 8)
        + conv("a", "data", 5, 8)
        + layer(
            "up", "Deconvolution", "a", more="convolution_param { num_output: 5 kernel_size: 2 }"
        ),
        "up",
    ),
    "groups": (data(2, 3, 8, 8) + conv("a", "data", 6, 8) + conv("b", "a", 4, 1, "group: 2"), "b"),
    "a factor for each channel": (
        START + GLOBAL + conv("a", "gap", 4, 1) + layer("se", "Python", "c", "a"),
        "se",
    ),
    "a softmax over the last": (
        data(2, 3, 8, 8)
        + conv("a", "data", 6, 8)
        + layer("p", "Softmax", "a", more="softmax_param { axis: -3 }"),
        "p",
    ),
}


# ---- laws


@pytest.mark.parametrize("name", ["alexnet", "caffenet", "vgg16", "lenet"])
def test_of_a_convolutionalized_net_it_is_the_original(name):
    before = template(name)
    plan = fk.convolutionalize(before).then(fk.to_fc)
    assert plan.net.text == before.text
    assert all(move.how == "copy" and not move.after for move in plan.moves)


@pytest.mark.parametrize("name", COVERS)
def test_again_changes_nothing_and_no_such_convolution_is_left(name):
    plan = fk.to_fc(net(COVERS[name]))
    kinds = {each.name: each.type for each in fk.build(plan.net).layers}
    assert {kinds[step.layer] for step in plan.steps} == {"InnerProduct"}
    assert not fk.to_fc(plan.net).changed


@pytest.mark.parametrize("name", KEEPS)
def test_what_does_not_cover_its_input_stays(name):
    plan = fk.to_fc(net(KEEPS[name]))
    assert not plan.changed and not plan.steps


@pytest.mark.parametrize("name", BLAMES)
def test_what_a_layer_after_it_needs_stays_with_its_reason(name):
    text, after = BLAMES[name]
    plan = fk.to_fc(net(text))
    assert not plan.changed and not plan.moves
    assert [(step.verb, step.layer) for step in plan.steps][0] == ("keep", "a")
    assert f'layer "{after}"' in plan.steps[0].why


# ---- tables


def test_fields_of_convolutions_go():
    plan = fk.to_fc(net(COVERS["no bias"]))
    assert "inner_product_param { num_output: 5 bias_term: false axis: 1 }" in " ".join(
        plan.net.text.split()
    )


def test_v1():
    text = (
        'input: "data" input_dim: 1 input_dim: 3 input_dim: 4 input_dim: 4 layers { name: "a" '
        'type: CONVOLUTION bottom: "data" top: "a" convolution_param { num_output: 5 '
        "kernel_size: 4 } }"
    )
    plan = fk.to_fc(net(text))
    assert "type: INNER_PRODUCT" in plan.net.text and "kernel" not in plan.net.text


def test_shared_in_two_shapes():
    shared = 'param { name: "w" } convolution_param { num_output: 5 kernel_size: 4 }'
    text = data(1, 3, 4, 4) + data(1, 3, 6, 6, name="twin")
    text += layer("a", "Convolution", "data", more=shared) + layer(
        "b", "Convolution", "twin", more=shared
    )
    plan = fk.to_fc(net(text))
    assert not plan.changed and 'share the parameter "w"' in plan.steps[0].why


# ---- real Caffe


def test_real_caffe_computes_the_same(caffe, tmp_path, capsys):
    pairs = [(before, fk.to_fc(before)) for before in map(net, COVERS.values())]
    convertible = [*map(net, CONVERTS.values()), thin("alexnet")]
    pairs += [(before, fk.convolutionalize(before).then(fk.to_fc)) for before in convertible]
    found = differences(caffe, pairs, tmp_path)
    with capsys.disabled():
        print(f"to_fc: {max(found):.2g} relative at most over {len(found)} nets")
    assert max(found) < 1e-5
