"""`fk.uncrop`: Crops are in the padding of what makes what they crop; Caffe computes the same."""

import numpy as np
import pytest
from sketches import conv, crop, data, deconv, images, layer, net, pool, relu, weights

import fcnkit as fk
from fcnkit.errors import NetError
from fcnkit.weights.surgery import transplant

D, C = "dilation: 2", "pad: 3 stride: 2"


def cropped(maker: str, *offset: int, size=(9, 8), more: str = ""):
    """Something of 3 channels that is cropped to `size` from `offset` on."""
    return net(
        data(2, 3, 7, 6),
        data(2, 3, *size, name="like"),
        maker,
        crop("score", "m", "like", *offset),
        layer("both", "Eltwise", "score", "like"),
        more,
    )


def computed(caffe, before, plan, tmp_path):
    """What Caffe makes of the net before, and of the new one with its weights."""
    old = weights(before, tmp_path / "w.caffemodel")
    made, image = transplant(plan, old), images(before)
    wanted, got = caffe.ask(
        [
            caffe.Question("run", before, old, image, ["score", "both"]),
            caffe.Question("run", plan.net, made, image, ["score", "both"]),
        ]
    )
    return wanted, got


@pytest.mark.parametrize(
    ("maker", "offset", "size", "what"),
    [
        # 7 x 6 is upsampled to 16 x 14.
        (deconv("m", "data", 3, 4, 2), (3, 2), (10, 10), "pad 0 -> 3x2"),
        (deconv("m", "data", 3, 4, 2, "pad: 1"), (1, 1), (12, 10), "pad 1 -> 2"),
        (deconv("m", "data", 3, 4, 2), (3, 2), (9, 8), "pad 0 -> 4, kernel 4 -> 5x6"),
        (deconv("m", "data", 3, 4, 2), (5, 3), (9, 11), "pad 0 -> 5x3, kernel 4 -> 7"),
        (deconv("m", "data", 3, 4, 2), (0,), (9, 8), "pad 0 -> 7x6, kernel 4 -> 11x10"),
        (deconv("m", "data", 3, 3, 3, D), (4, 2), (11, 14), "pad 0 -> 8x4, kernel 3 -> 5x4"),
        (deconv("m", "data", 3, 1, 1), (2, 1), (3, 4), "pad 0 -> 2x1"),
        # 7 x 6, and of a padding of 2 11 x 10.
        (conv("m", "data", 3, 1, "pad: 2"), (1, 2), (9, 6), "pad 2 -> 1x0"),
        (conv("m", "data", 3, 1), (2, 1), (3, 4), "kernel 1 -> 5x3"),
        (conv("m", "data", 3, 3, "pad: 1"), (3, 1), (2, 3), "pad 1 -> 0, kernel 3 -> 6x4"),
        (conv("m", "data", 3, 3, C), (1, 1), (4, 3), "pad 3 -> 1"),
        (conv("m", "data", 3, 3, C), (1, 1), (4, 2), "pad 3 -> 1, kernel 3 -> 3x5"),
    ],
)  # fmt: skip
def test_the_layer_before_makes_the_cut(caffe, maker, offset, size, what, tmp_path):
    before = cropped(maker, *offset, size=size)
    plan = fk.uncrop(before)
    assert [(step.verb, step.layer) for step in plan.steps] == [
        ("change", "m"),
        ("remove", "score"),
    ]
    assert plan.steps[0].what == what
    assert "Crop" not in plan.net.text
    wanted, got = computed(caffe, before, plan, tmp_path)
    for name, values in wanted.items():
        assert values.shape == got[name].shape
        assert np.abs(values - got[name]).max() <= 1e-5 * np.abs(values).max()


def test_a_dilated_kernel_has_no_tap_at_every_place():
    before = cropped(conv("m", "data", 3, 2, "pad: 4 dilation: 2"), 1, 2, size=(10, 8))
    plan = fk.uncrop(before)
    assert not plan.changed and "do not differ by a multiple of the dilation" in plan.steps[0].why


def test_a_crop_that_cuts_nothing_goes(caffe, tmp_path):
    before = cropped(conv("m", "data", 3, 1) + relu("m"), 0, size=(7, 6))
    plan = fk.uncrop(before)
    assert [(step.verb, step.layer) for step in plan.steps] == [("remove", "score")]
    wanted, got = computed(caffe, before, plan, tmp_path)
    assert np.array_equal(wanted["score"], got["score"]) and not plan.moves


def test_a_larger_kernel_has_no_bilinear_filler():
    """The filler would make another tent of it; where the kernel stays it stays."""
    filler = 'weight_filler { type: "bilinear" } group: 3'
    even = fk.uncrop(cropped(deconv("m", "data", 3, 4, 2, filler), 3, 2, size=(10, 10)))
    odd = fk.uncrop(cropped(deconv("m", "data", 3, 4, 2, filler), 3, 2))
    assert "bilinear" in even.net.text and "bilinear" not in odd.net.text


SHARED = conv("s", "data", 3, 1).replace(
    "convolution_param", 'param { name: "w" } convolution_param'
)
KEPT = {
    "has no padding that could shrink": (pool("m", "data", 1, 1), ""),
    'another layer reads "m" whole': (conv("m", "data", 3, 1), layer("r", "ReLU", "m")),
    'it shares the parameter "w" with "s"': (SHARED.replace('"s"', '"m"'), SHARED),
    'its field "relu", of Intel\'s Caffe': (conv("m", "data", 3, 1, "relu: true"), ""),
}  # fmt: skip


@pytest.mark.parametrize("why", KEPT)
def test_what_stays_says_why(why):
    maker, more = KEPT[why]
    before = cropped(maker, 1, size=(3, 4), more=more)
    (step,) = fk.uncrop(before).steps
    assert (step.verb, step.layer) == ("keep", "score") and why in step.why
    with pytest.raises(NetError, match="so the Crop has to stay"):
        fk.uncrop(before, "score")


def test_a_reference_that_nothing_else_reads_stays_read():
    before = net(
        data(1, 3, 7, 6), data(1, 3, 3, 4, name="like"), conv("m", "data", 3, 1),
        crop("score", "m", "like", 1),
    )  # fmt: skip
    (step,) = fk.uncrop(before).steps
    assert 'without it nothing would read "like"' in step.why


def test_channels_are_not_padding():
    before = net(
        data(1, 3, 7, 6), data(1, 2, 3, 4, name="like"), conv("m", "data", 3, 1),
        crop("score", "m", "like", 1, axis=1), layer("both", "Eltwise", "score", "like"),
    )  # fmt: skip
    (step,) = fk.uncrop(before).steps
    assert step.why == "it cuts channels or images"


def test_one_state_may_need_another_cut():
    """Without the Crop in one phase, the layer before it would make another size there."""
    text = cropped(conv("m", "data", 3, 1), 1, size=(3, 4)).text
    text = text.replace('name: "score"', 'name: "score" include { phase: TEST }')
    text = text.replace('name: "both"', 'name: "both" include { phase: TEST }')
    before = fk.parse(
        text + layer("train", "ReLU", "m").replace("layer {", "layer { include { phase: TRAIN }")
    )
    (step,) = fk.uncrop(before).steps
    assert 'one state of the net has "m" without the Crop' in step.why


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_an_fcn_without_crops(caffe, stride, tmp_path):
    """A whole FCN at the size that its file says."""
    trunk = net(
        data(1, 1, 64, 64), conv("c1", "data", 4, 5, "stride: 2"), relu("c1"),
        layer("p1", "Pooling", "c1", more="pooling_param { kernel_size: 2 stride: 4 }"),
        conv("c2", "p1", 5, 3, "stride: 2"),
        layer("p2", "Pooling", "c2", more="pooling_param { kernel_size: 2 stride: 2 }"),
        layer("fc", "InnerProduct", "p2", more="inner_product_param { num_output: 6 }"),
    )  # fmt: skip
    before = fk.resize(fk.fcn(trunk, classes=3, stride=stride).net, "data", (1, 1, 75, 91)).net
    plan = fk.uncrop(before)
    assert "Crop" not in plan.net.text and "Crop" in before.text
    old = weights(before, tmp_path / "w.caffemodel")
    made, image = transplant(plan, old), images(before)
    wanted, got = caffe.ask(
        [
            caffe.Question("run", before, old, image, ["score"]),
            caffe.Question("run", plan.net, made, image, ["score"]),
        ]
    )
    assert wanted["score"].shape == got["score"].shape == (1, 3, 75, 91)
    assert np.abs(wanted["score"] - got["score"]).max() <= 1e-5 * np.abs(wanted["score"]).max()


def test_a_layer_that_is_no_crop():
    with pytest.raises(NetError, match="its type is Convolution; name a Crop"):
        fk.uncrop(cropped(conv("m", "data", 3, 1), 1, size=(3, 4)), "m")
