"""Fewer taps of a kernel: which, where they lie, and that real Caffe computes what is left."""

import numpy as np
import pytest
from sketches import conv, data, deconv, fc, images, layer, net, relu, template, weights

import fcnkit as fk
from fcnkit.errors import NetError
from fcnkit.nets.shapes import shapes_of
from fcnkit.plan import Move
from fcnkit.weights.surgery import transplant

START = data(2, 3, 14, 15)
NETS = {
    "7 to 4": (START + conv("c", "data", 4, 7) + relu("c"), 4, (2, 2)),
    "7 to 3": (START + conv("c", "data", 4, 7, "pad: 3"), 3, (3, 3)),
    "7 to 2": (START + conv("c", "data", 4, 7, "bias_term: false stride: 2"), 2, (6, 6)),
    "of dilation 2": (START + conv("c", "data", 4, 5, "dilation: 2"), 3, (2, 2)),
    "of groups": (START + conv("c", "data", 6, 5, "group: 3"), 3, (2, 2)),
    "h is not w": (
        START + conv("c", "data", 4, 1).replace("kernel_size: 1", "kernel_h: 7 kernel_w: 5"),
        (4, 3),
        (2, 2),
    ),
    "one axis": (START + conv("c", "data", 4, 5), (3, 5), (2, 1)),
    "a list of sizes": (
        START + conv("c", "data", 4, 1).replace("kernel_size: 1", "kernel_size: 7 kernel_size: 7"),
        4,
        (2, 2),
    ),
    "of a signal": (data(2, 3, 19) + conv("c", "data", 4, 7), 3, (3,)),
    "of a signal, dilated": (data(2, 3, 19) + conv("c", "data", 4, 5, "dilation: 2"), 3, (2,)),
    "of a volume": (data(2, 3, 9, 8, 7) + conv("c", "data", 4, 5), 3, (2, 2, 2)),
    "of some axes of a volume": (
        data(2, 3, 9, 8, 7) + conv("c", "data", 4, 5, "stride: 2 dilation: 1"),
        (5, 3, 2),
        (1, 2, 4),
    ),
    "of other sizes in a volume": (
        data(2, 3, 9, 8, 7)
        + conv("c", "data", 4, 1).replace(
            "kernel_size: 1",
            "kernel_size: 3 kernel_size: 5 kernel_size: 1 dilation: 2 dilation: 1 dilation: 1",
        ),
        (2, 3, 1),
        (2, 2, 1),
    ),
    "behind another axis": (data(2, 2, 3, 9, 8) + conv("c", "data", 4, 5, "axis: 2"), 3, (2, 2)),
    "from behind": (data(2, 3, 9, 8) + conv("c", "data", 4, 5, "axis: -3"), 3, (2, 2)),
    "deconvolution of a volume": (data(2, 3, 4, 3, 2) + deconv("c", "data", 4, 5, 2), 3, (2, 2, 2)),
    "deconvolution": (data(2, 3, 5, 5) + deconv("c", "data", 4, 7, 2), 3, (3, 3)),
}


def masked(blob, kernel, steps):
    """The weights with zeros at the taps that go."""
    array = blob.array()
    kept = np.zeros_like(array)
    taps = (..., *(slice(None, None, step) for step in steps))
    kept[taps] = array[taps]
    return kept


# ---- laws


@pytest.mark.parametrize("name", NETS)
def test_every_size_stays(name):
    text, kernel, _ = NETS[name]
    before, after = (
        shapes_of(fk.build(each)) for each in (net(text), fk.decimate(net(text), "c", kernel).net)
    )
    assert list(before.tops.values()) == list(after.tops.values())


@pytest.mark.parametrize("name", NETS)
def test_again_changes_nothing(name):
    text, kernel, _ = NETS[name]
    again = fk.decimate(fk.decimate(net(text), "c", kernel).net, "c", kernel)
    assert not again.changed and not again.moves and not again.steps


def test_in_two_steps(tmp_path):
    before = net(NETS["7 to 4"][0])
    once = fk.decimate(before, "c", 2)
    twice = fk.decimate(before, "c", 4).then(fk.decimate, "c", 2)
    assert once.net.text == twice.net.text
    old = weights(before, tmp_path / "old.caffemodel")
    one, two = (transplant(plan, old)["c"][0].array() for plan in (once, twice))
    np.testing.assert_array_equal(one, two)


# ---- tables


def test_fc6_of_vgg_as_deeplab_has_it():
    vgg = fk.convolutionalize(template("vgg16"))
    plan = vgg.then(fk.decimate, "fc6", 4)
    (param,) = [line.strip() for line in plan.net.text.splitlines() if "dilation" in line]
    assert param == "dilation: 2" or "kernel_size: 4 dilation: 2" in param
    (move,) = [move for move in plan.moves if move.layer == "fc6" and move.blob == 0]
    rows = tuple(((tap, 1),) for tap in (0, 2, 4, 6))
    assert move.shape == (4096, 512, 4, 4) and move.origin == "fc6"
    assert move.args == ((4096, 512, 7, 7), ((2, rows), (3, rows)))
    assert plan.steps[-1].what == "kernel 7 -> 4, dilation times 2"
    assert plan.steps[-1].why == "weights 0, 2, 4, 6 of 7 keep their places"


def test_a_forks_word_stays():
    plan = fk.decimate(net(START + conv("c", "data", 4, 7, "hole: 1")), "c", 4)
    assert "hole: 2" in plan.net.text and "dilation" not in plan.net.text


def test_blobs_move_together():
    text, kernel, _ = NETS["7 to 4"]
    assert fk.decimate(net(text), "c", kernel).moves[1] == Move("c", 1, (4,), "c")


SHARED = "".join(
    layer(
        name,
        "Convolution",
        "data",
        more="param { name: 'w' } convolution_param { num_output: 4 kernel_size: 5 }",
    )
    for name in "cd"
)


@pytest.mark.parametrize(
    "text, kernel, words",
    [
        (
            START + conv("c", "data", 4, 7),
            5,
            "5 of 7 weights cannot be spread evenly.*these fit: 4, 3, 2",
        ),
        (START + conv("c", "data", 4, 7), 8, "8 of 7 weights"),
        (START + conv("c", "data", 4, 7), 1, "1 of 7 weights"),
        (START + conv("c", "data", 4, 2), 0, "0 of 2 weights.*none does"),
        (START + conv("c", "data", 4, 7), (4, 4, 4), "has 2 axes and the new one 3"),
        (data(2, 3, 9) + conv("c", "data", 4, 7), (4, 4), "has 1 axis and the new one 2"),
        (START + fc("c", "data", 4), 4, "type is InnerProduct.*convolutionalize it first"),
        (START + relu("data").replace("relu_data", "c"), 4, "type is ReLU"),
        (START + SHARED, 3, 'shares the parameter "w" with "d"'),
    ],
)
def test_what_cannot_be_is_refused(text, kernel, words):
    with pytest.raises(NetError, match=words):
        fk.decimate(net(text), "c", kernel)


# ---- real Caffe


def test_real_caffe_computes_what_is_left(caffe, tmp_path, capsys):
    asked = []
    for number, (text, kernel, steps) in enumerate(NETS.values()):
        before = net(text)
        plan, old = (
            fk.decimate(before, "c", kernel),
            weights(before, tmp_path / f"{number}.caffemodel"),
        )
        kept = old.put("c", [masked(old["c"][0], kernel, steps), *old["c"][1:]])
        asked += [
            caffe.Question("run", before, kept, images(before)),
            caffe.Question("run", plan.net, transplant(plan, old), images(before)),
        ]
    answers = caffe.ask(asked)
    worst = 0.0
    for one, two in zip(answers[::2], answers[1::2], strict=True):
        assert not isinstance(two, Exception), two
        worst = max(worst, float(np.abs(one["c"] - two["c"]).max() / np.abs(one["c"]).max()))
    with capsys.disabled():
        print(f"decimate: {worst:.2g} relative at most over {len(NETS)} nets")
    assert worst < 1e-5
