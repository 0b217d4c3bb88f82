"""Groups made dense and back: the net, the weights, and that real Caffe computes the same."""

import pytest
from sketches import conv, data, deconv, differences, layer, net, relu, template, thin, weights

import fcnkit as fk
from fcnkit.errors import NetError, WeightsError
from fcnkit.plan import Move
from fcnkit.weights.surgery import transplant

FILLED = "group: 6 weight_filler { type: 'bilinear' }"
GROUPED = {
    "convolution": data(2, 4, 8, 9) + conv("c", "data", 6, 3, "group: 2") + relu("c"),
    "no bias": data(2, 4, 8, 9) + conv("c", "data", 6, 3, "group: 2 bias_term: false"),
    "each channel": data(2, 4, 8, 9) + conv("c", "data", 8, 3, "group: 4"),
    "deconvolution": data(2, 6, 4, 5) + deconv("c", "data", 6, 4, 2, "group: 6"),
    "deconvolution, two": data(2, 6, 4, 5) + deconv("c", "data", 4, 4, 2, "group: 2"),
    "two": data(2, 4, 8, 9)
    + conv("c", "data", 6, 3, "group: 2")
    + conv("d", "c", 6, 2, "group: 3"),
}
NUMBERS = {
    "convolution": 2,
    "no bias": 2,
    "each channel": 4,
    "deconvolution": 6,
    "deconvolution, two": 2,
}


# ---- laws


@pytest.mark.parametrize("name", NUMBERS)
def test_dense_and_back_is_the_original(name, tmp_path):
    before = net(GROUPED[name])
    plan = fk.ungroup(before).then(fk.regroup, "c", NUMBERS[name])
    graph = fk.build(plan.net)
    assert graph.layer("c").param("convolution_param").get("group") == NUMBERS[name]
    assert set(plan.net.text.split()) == set(before.text.split())
    old = weights(before, tmp_path / "old.caffemodel")
    for one, two in zip(old["c"], transplant(plan, old)["c"], strict=True):
        assert one.shape == two.shape and (one.array() == two.array()).all()


@pytest.mark.parametrize("name", GROUPED)
def test_a_dense_net_does_not_change(name):
    once = fk.ungroup(net(GROUPED[name])).net
    again = fk.ungroup(once)
    assert not again.changed and not again.steps and not again.moves


# ---- tables


def test_moves():
    plan = fk.ungroup(net(GROUPED["two"]), "c")
    assert plan.moves == (Move("c", 0, (6, 4, 3, 3), "c", "dense", (2,)), Move("c", 1, (6,), "c"))
    assert [step.what for step in plan.steps] == ["2 groups -> dense"]
    back = fk.regroup(plan.net, "c", 2)
    assert back.moves == (Move("c", 0, (6, 2, 3, 3), "c", "group", (2,)), Move("c", 1, (6,), "c"))


def test_a_bilinear_filler_goes():
    plan = fk.ungroup(net(data(2, 6, 4, 5) + deconv("up", "data", 6, 4, 2, FILLED)))
    assert "filler" not in plan.net.text and "no bilinear filler" in plan.steps[0].why


def test_an_fcn_becomes_the_one_that_no_group_gives():
    lenet = template("lenet")
    dense = fk.ungroup(fk.fcn(lenet, classes=3, stride=4).net).net
    assert dense.text == fk.fcn(lenet, classes=3, stride=4, group=False).net.text
    again = fk.regroup(dense, "upscore")
    assert fk.build(again.net).layer("upscore").param("convolution_param").get("group") == 3


def test_layers_that_share_their_weights_stay():
    text = data(2, 4, 8, 9) + "".join(
        layer(
            name,
            "Convolution",
            "data",
            more="param { name: 'w' } convolution_param { num_output: 4 kernel_size: 1 group: 2 }",
        )
        for name in "ab"
    )
    plan = fk.ungroup(net(text))
    assert not plan.changed and [step.verb for step in plan.steps] == ["keep", "keep"]


UNKNOWN = layer("data", "Data", more='data_param { source: "x" }') + conv("c", "data", 6, 3)
DENSE = data(2, 4, 8, 9) + conv("c", "data", 6, 3)


@pytest.mark.parametrize(
    "rewrite, words",
    [
        (lambda: fk.ungroup(net(DENSE + relu("c")), "relu_c"), "type is ReLU; only a Convolution"),
        (lambda: fk.ungroup(net(DENSE), "d"), 'no layer "d"'),
        (lambda: fk.regroup(net(DENSE), "c"), "takes 4 channels to 6.*give the number of groups"),
        (
            lambda: fk.regroup(net(DENSE), "c", 3),
            "3 groups do not divide both its 4 input and 6 output",
        ),
        (lambda: fk.regroup(net(DENSE), "c", 0), "0 groups do not divide"),
        (
            lambda: fk.regroup(net(GROUPED["each channel"]), "c", 2),
            "4 groups already; make it dense",
        ),
        (lambda: fk.regroup(net(UNKNOWN), "c", 2), "size of what it reads is not known"),
    ],
)
def test_what_cannot_be_is_refused(rewrite, words):
    with pytest.raises(NetError, match=words):
        rewrite()


def test_weights_that_are_not_zero_across_groups(tmp_path):
    before = net(DENSE)
    new = transplant(fk.regroup(before, "c", 2), weights(before, tmp_path / "old.caffemodel"))
    with pytest.raises(
        WeightsError, match='layer "c", blob 0.* outside the blocks of 2 groups must be zero'
    ):
        new.save(tmp_path / "new.caffemodel")
    assert not (tmp_path / "new.caffemodel").exists()


# ---- real Caffe


def test_real_caffe_computes_the_same(caffe, tmp_path, capsys):
    nets = [net(text, path=name) for name, text in GROUPED.items()] + [thin("alexnet")]
    plans = [(before, fk.ungroup(before)) for before in nets]
    plans += [
        (before, fk.ungroup(before).then(fk.regroup, "c", NUMBERS[before.path]))
        for before in nets
        if before.path in NUMBERS
    ]
    found = differences(caffe, plans, tmp_path)
    with capsys.disabled():
        print(f"groups: {max(found):.2g} relative at most over {len(found)} nets")
    assert max(found) < 1e-5, found
