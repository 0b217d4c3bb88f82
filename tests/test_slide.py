"""Global poolings that slide: where only a classifier follows, and in every state that has them."""

import pytest
from sketches import conv, data, differences, fc, layer, net

import fcnkit as fk
from fcnkit.rewrites.slide import slide

START = data(2, 3, 8, 8) + conv("conv", "data", 4, 3)
GLOBAL = layer("gap", "Pooling", "conv", more="pooling_param { pool: AVE global_pooling: true }")
SCORE = conv("k", "gap", 5, 1)


def flat(bottom):
    return layer("flat", "Flatten", bottom)


@pytest.mark.parametrize(
    ("after", "kernel"),
    [
        (fc("fc", "gap", 5), "kernel_size: 6"),
        (conv("k", "gap", 5, 1) + layer("prob", "Softmax", "k"), "kernel_size: 6"),
        (conv("k", "gap", 5, 3, "pad: 1"), ""),
        (
            fc("a", "gap", 4)
            + layer("sig", "Sigmoid", "a")
            + layer("se", "Scale", "conv", "sig", more="scale_param { axis: 0 }"),
            "",
        ),
        (layer("tile", "Tile", "gap", more="tile_param { axis: 2 tiles: 6 }"), ""),
        (
            conv("a", "gap", 4, 1)
            + layer("sig", "Sigmoid", "a")
            + layer("swish", "Eltwise", "a", "sig", more="eltwise_param { operation: PROD }")
            + layer("both", "Concat", "gap", "swish")
            + conv("k", "both", 5, 1),
            "kernel_size: 6",
        ),
        (
            conv("a", "gap", 1, 1)
            + layer("tile", "Tile", "a", more="tile_param { tiles: 4 }")
            + layer("sum", "Eltwise", "gap", "tile"),
            "kernel_size: 6",
        ),
        (
            conv("b", "conv", 4, 6) + layer("sum", "Eltwise", "gap", "b") + conv("k", "sum", 5, 1),
            "",
        ),
        (fc("a", "gap", 4, "axis: 2"), ""),
        (flat("gap") + layer("prob", "Softmax", "flat"), ""),
    ],
)
def test_a_global_pooling_slides_where_only_a_classifier_follows(after, kernel):
    plan = fk.convolutionalize(net(START + GLOBAL + after))
    assert ("global_pooling: true" in plan.net.text) == (not kernel)
    assert kernel in plan.net.text


def test_slices_of_a_classifier_are_its_own_on_larger_inputs():
    plan = fk.convolutionalize(net(START + GLOBAL + fc("fc", "gap", 5)))
    assert fk.inspect(plan.net, inputs={"data": (1, 3, 12, 20)}).rows[-1].shape == (1, 5, 5, 13)


def test_a_net_without_global_pooling_does_not_change():
    assert not slide(net(START)).changed


@pytest.mark.parametrize(
    ("params", "slid"),
    [
        ("pool: MAX global_pooling: true", "pool: MAX kernel_size: 6"),
        ("global_pooling: true pool: AVE stride: 1", "kernel_size: 6 pool: AVE stride: 1"),
        ("global_pooling: false kernel_size: 6", "global_pooling: false kernel_size: 6"),
    ],
)
def test_only_the_kernel_is_written(params, slid):
    text = START + layer("gap", "Pooling", "conv", more=f"pooling_param {{ {params} }}") + SCORE
    assert slide(net(text)).net.text == text.replace(params, slid)


def test_a_map_that_is_not_square_gets_both_sides():
    text = net(data(1, 3, 8, 12), conv("conv", "data", 4, 3), GLOBAL, SCORE)
    assert "kernel_h: 6 kernel_w: 10" in slide(text).net.text


def test_a_pooling_that_one_state_needs_stays_in_both():
    again = layer(
        "t", "Tile", "gap", more="include { phase: TRAIN } tile_param { axis: 2 tiles: 6 }"
    )
    assert slide(net(START, GLOBAL, SCORE)).changed
    assert not slide(net(START, GLOBAL, SCORE, again)).changed


def test_at_its_own_size_the_net_computes_the_same(caffe, tmp_path):
    nets = [
        net(START + GLOBAL.replace("AVE", kind) + SCORE + layer("p", "Softmax", "k"))
        for kind in ("AVE", "MAX")
    ]
    assert max(differences(caffe, [(text, slide(text)) for text in nets], tmp_path)) < 1e-5
