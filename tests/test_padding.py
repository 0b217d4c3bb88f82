"""A layer that is named gets another padding: its text, its size, what real Caffe computes."""

import numpy as np
import pytest
from sketches import conv, data, fc, net, pool, relu, template, weights

import fcnkit as fk
from fcnkit.errors import NetError
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of

IMAGE = data(1, 3, 9, 8)
NET = IMAGE + conv("c", "data", 4, 3, "pad: 1 stride: 2") + relu("c") + pool("p", "c", 3, 2)


def test_only_the_padding_changes():
    plan = fk.pad(net(NET), "c", 3)
    assert plan.net.text == NET.replace("pad: 1", "pad: 3")
    assert [(step.layer, step.verb, step.what) for step in plan.steps] == [("c", "change", "pad 3")]
    assert fk.pad(plan.net, "c", 3).net.text == plan.net.text
    assert not fk.pad(plan.net, "c", 3).steps
    without = fk.pad(net(NET), "p", 1).net.text
    assert without == NET.replace("stride: 2 }\n}\n", "stride: 2 pad: 1 }\n}\n").replace(
        "pad: 1 stride: 2 pad: 1", "pad: 1 stride: 2"
    )


@pytest.mark.parametrize("said", ["pad_h: 2 pad_w: 0", "pad: 2 pad: 0", "pad_h: 3 pad_w: 1"])
def test_a_padding_for_each_axis_becomes_one(said):
    text = NET.replace("pad: 1", said)
    plan = fk.pad(net(text), "c", 3)
    assert shapes_of(build(plan.net)).tops == shapes_of(build(fk.pad(net(NET), "c", 3).net)).tops
    assert "pad_h" not in plan.net.text and plan.net.text.count("pad: ") == 1


def test_an_fc_layer_that_is_padded_scores_to_the_border(caffe, tmp_path):
    """As wide a padding around its input is what Caffe computes."""
    whole = IMAGE + fc("fc", "data", 5)
    plan = fk.convolutionalize(net(whole))
    padded = plan.then(fk.pad, "fc", 3)
    file = fk.transplant(padded, weights(net(whole), tmp_path / "w.caffemodel"))
    image = np.random.default_rng(0).standard_normal((1, 3, 9, 8)).astype("f4")
    larger = np.pad(image, ((0, 0), (0, 0), (3, 3), (3, 3)))
    (found,) = caffe.run_all(padded.net, file, [{"data": image}], ["fc"])
    (wanted,) = caffe.run_all(plan.net, file, [{"data": larger}], ["fc"])
    assert found["fc"].shape == (1, 5, 7, 7)
    assert np.allclose(found["fc"], wanted["fc"], atol=1e-4)


def test_vgg16_is_an_fcn_without_a_padded_image():
    """Each of its maps is ceil of its input's, and every crop is that of the kernels alone."""
    padded = fk.convolutionalize(template("vgg16")).then(fk.pad, "fc6", 3)
    plan = fk.fcn(padded.net, classes=11, stride=8, pad="keep")
    assert [step.what for step in plan.steps if "Crop" in step.what] == [
        "Crop, offset 1", "Crop, offset 1", "Crop, offset 4",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("layer", "pixels", "reason"),
    [
        ("relu_c", 1, "its type is ReLU; name a layer with a window"),
        ("g", 1, "it pools its whole input"),
        ("p", 3, "pad"),
        ("x", 1, "no layer"),
    ],
)
def test_it_refuses(layer, pixels, reason):
    text = NET + pool("g", "p", 1, 1).replace("kernel_size: 1 stride: 1", "global_pooling: true")
    with pytest.raises(NetError, match=reason):
        fk.pad(net(text), layer, pixels)


def test_a_volume_is_padded_on_all_its_axes():
    windows = conv("c", "data", 4, 2).replace("kernel_size: 2", "kernel_size: [1, 2, 3]")
    graph = build(fk.pad(net(data(1, 2, 5, 6, 7) + windows), "c", 1).net)
    assert shapes_of(graph).tops[graph.top("c")] == (1, 4, 7, 7, 7)
