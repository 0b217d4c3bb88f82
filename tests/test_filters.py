"""Fewer filters: which, what follows, and that real Caffe computes what is left."""

import numpy as np
import pytest
from sketches import conv, data, deconv, fc, images, layer, net, pool, relu, template, weights

import fcnkit as fk
from fcnkit.errors import NetError
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of
from fcnkit.weights.surgery import transplant

START = data(2, 3, 8, 9)
C = START + conv("c", "data", 8, 3, "pad: 1") + relu("c")
EVEN = (0, 2, 4, 6)
GONE = (1, 3, 5, 7)


def norm(name, bottom, kind, more=""):
    return layer(name, kind, bottom, top=bottom, more=more)


ALL = slice(None)
NORMS = (
    norm("bn", "c", "BatchNorm")
    + norm("sc", "c", "Scale", "scale_param { bias_term: true }")
    + norm("pr", "c", "PReLU")
    + norm("bi", "c", "Bias")
)
TRANSPOSED = "transpose: true"
FOLLOWED = {
    "dense": (C + conv("d", "c", 4, 3), EVEN, {"d": (ALL, GONE)}),
    "the first": (C + conv("d", "c", 4, 3), (0, 1, 2, 3), {"d": (ALL, (4, 5, 6, 7))}),
    "uneven": (C + conv("d", "c", 4, 1), (0, 2, 5), {"d": (ALL, (1, 3, 4, 6, 7))}),
    "one": (C + conv("d", "c", 4, 1), (0,), {"d": (ALL, range(1, 8))}),
    "groups": (C + conv("d", "c", 6, 3, "group: 2"), EVEN, {"d": (ALL, (1, 3))}),
    "groups of its own": (
        START.replace("dim: 3", "dim: 4")
        + conv("c", "data", 8, 3, "group: 2")
        + conv("d", "c", 4, 1),
        EVEN,
        {"d": (ALL, GONE)},
    ),
    "a group each": (
        C + conv("w", "c", 8, 3, "group: 8") + relu("w") + conv("d", "w", 4, 1),
        EVEN,
        {"d": (ALL, GONE)},
    ),
    "a group each, twice as many": (
        C + conv("w", "c", 16, 3, "group: 8") + conv("d", "w", 4, 1),
        EVEN,
        {"d": (ALL, [2 * index + number for index in GONE for number in (0, 1)])},
    ),
    "upsampled by itself": (
        C + deconv("u", "c", 8, 4, 2, "group: 8") + conv("d", "u", 4, 1),
        EVEN,
        {"d": (ALL, GONE)},
    ),
    "deconvolution": (C + deconv("u", "c", 4, 4, 2), EVEN, {"u": (GONE,)}),
    "deconvolution of groups": (C + deconv("u", "c", 4, 4, 2, "group: 2"), EVEN, {"u": (GONE,)}),
    "by a deconvolution": (
        START + deconv("c", "data", 8, 4, 2) + conv("d", "c", 4, 1),
        EVEN,
        {"d": (ALL, GONE)},
    ),
    "normalised": (C + NORMS + conv("d", "c", 4, 3), EVEN, {"d": (ALL, GONE)}),
    "one slope for all": (
        C + norm("pr", "c", "PReLU", "prelu_param { channel_shared: true }") + conv("d", "c", 4, 3),
        EVEN,
        {"d": (ALL, GONE)},
    ),
    "matrix": (
        C + pool("p", "c", 3, 3) + fc("d", "p", 5),
        EVEN,
        {"d": (ALL, [index * 9 + place for index in GONE for place in range(9)])},
    ),
    "flat": (
        C
        + pool("p", "c", 3, 3)
        + layer("f", "Flatten", "p")
        + relu("f")
        + fc("d", "f", 5, TRANSPOSED),
        EVEN,
        {"d": ([index * 9 + place for index in GONE for place in range(9)],)},
    ),
    "flat and normalised": (
        C + layer("f", "Flatten", "c") + norm("bn", "f", "BatchNorm") + fc("d", "f", 5),
        EVEN,
        {"d": (ALL, [index * 72 + place for index in GONE for place in range(72)])},
    ),
    "scores of scores": (
        START + fc("c", "data", 8) + relu("c") + fc("d", "c", 5),
        EVEN,
        {"d": (ALL, GONE)},
    ),
    "from inputs x outputs": (
        START + fc("c", "data", 8, TRANSPOSED) + fc("d", "c", 5),
        EVEN,
        {"d": (ALL, GONE)},
    ),
    "beside others": (
        C
        + conv("b", "data", 2, 3, "pad: 1")
        + layer("j", "Concat", "b", "c", "b")
        + conv("d", "j", 4, 1),
        EVEN,
        {"d": (ALL, [2 + index for index in GONE])},
    ),
    "its own sum": (
        C + layer("e", "TanH", "c") + layer("s", "Eltwise", "c", "e") + conv("d", "s", 4, 1),
        EVEN,
        {"d": (ALL, GONE)},
    ),
    "several readers": (
        C + conv("d", "c", 4, 1) + conv("e", "c", 4, 3, "pad: 1") + layer("s", "Eltwise", "d", "e"),
        EVEN,
        {"d": (ALL, GONE), "e": (ALL, GONE)},
    ),
    "whose size is read": (
        C
        + conv("b", "data", 2, 1)
        + layer("cut", "Crop", "b", "c", more="crop_param { axis: 2 }")
        + layer("j", "Concat", "cut", "c")
        + conv("d", "j", 4, 1),
        EVEN,
        {"d": (ALL, [2 + index for index in GONE])},
    ),
}


def fewer(name):
    """The net, its plan, and its weights with those at zero that have no part any more."""
    text, kept, masks = FOLLOWED[name]
    before = net(text)
    return before, fk.fewer_filters(before, "c", len(kept), first=name == "the first"), masks


def masked(old, masks):
    for name, index in masks.items():
        first, *rest = (blob.array().copy() for blob in old[name])
        axis = len(index) - 1
        assert first.shape[axis] > max(index[axis])
        first[tuple([ALL] * axis) + (list(index[axis]),)] = 0
        old = old.put(name, [first, *rest])
    return old


# ---- laws


@pytest.mark.parametrize("name", FOLLOWED)
def test_what_nobody_reads_of_it_stays_in_shape(name):
    before, plan, _ = fewer(name)
    ends = [
        {top.blob: shapes_of(build(each)).tops[top] for top in build(each).outputs}
        for each in (before, plan.net)
    ]
    assert ends[0] == ends[1]


def test_as_many_are_the_same_net():
    plan = fk.fewer_filters(net(C + conv("d", "c", 4, 1)), "c", 8)
    assert not plan.changed and not plan.moves and not plan.steps


def test_in_two_steps(tmp_path):
    before = net(C + conv("d", "c", 4, 1))
    once = fk.fewer_filters(before, "c", 2)
    twice = fk.fewer_filters(before, "c", 4).then(fk.fewer_filters, "c", 2)
    assert once.net.text == twice.net.text
    old = weights(before, tmp_path / "old.caffemodel")
    one, two = (transplant(plan, old) for plan in (once, twice))
    for name in ("c", "d"):
        for a, b in zip(one[name], two[name], strict=True):
            np.testing.assert_array_equal(a.array(), b.array())


# ---- tables


def test_the_fc6_and_fc7_of_deeplab():
    """Chen et al.: 1024 filters each, and a 4 x 4 kernel."""
    plan = fk.convolutionalize(template("vgg16")).then(fk.decimate, "fc6", 4)
    plan = plan.then(fk.fewer_filters, "fc6", 1024).then(fk.fewer_filters, "fc7", 1024)
    graph = build(plan.net)
    shapes = shapes_of(graph, {"data": (1, 3, 321, 321)})
    found = {name: tuple(shapes.blobs(graph.layer(name))[0]) for name in ("fc6", "fc7", "fc8")}
    assert found == {
        "fc6": (1024, 512, 4, 4),
        "fc7": (1024, 1024, 1, 1),
        "fc8": (1000, 1024, 1, 1),
    }
    assert {(move.layer, move.shape) for move in plan.moves if move.blob == 0} == set(found.items())


def test_what_is_said():
    plan = fk.fewer_filters(net(C + conv("d", "c", 4, 1)), "c", 4)
    assert [step[1:2] + step[3:] for step in plan.steps] == [
        ("c", "filters: 8 -> 4", "evenly chosen: 0, 2, 4, ... 6"),
        ("d", "4 of 8 channels", "the others are gone"),
    ]


SHARED = "param { name: 'w' }"
OTHER = conv("b", "data", 8, 3, "pad: 1")


@pytest.mark.parametrize(
    "text, filters, words",
    [
        (C + conv("d", "c", 4, 1), 9, "it has 8 filters, and 9 are asked for; give 1 to 8"),
        (C + conv("d", "c", 4, 1), 0, "give 1 to 8"),
        (START + relu("data").replace("relu_data", "c"), 4, "type is ReLU; name a Convolution"),
        (C, 4, '"c" is an output of the net, and would have 4 of 8 channels; choose classes'),
        (C + OTHER + layer("s", "Eltwise", "c", "b"), 4, '"c" and "b", which would not have'),
        (C + layer("l", "LRN", "c") + conv("d", "l", 4, 1), 4, "type is LRN.*cannot be followed"),
        (
            C
            + layer("s", "Slice", "c", more='top: "z" slice_param { slice_point: 2 }')
            + conv("d", "s", 4, 1)
            + conv("e", "z", 4, 1),
            4,
            "type is Slice",
        ),
        (
            C + conv("d", "c", 6, 3, "group: 2"),
            3,
            "in 2 groups, which would become unequal.*multiple",
        ),
        (
            START.replace("dim: 3", "dim: 4") + conv("c", "data", 8, 3, "group: 2"),
            3,
            "in 2 groups, and as many must be left of each; give a multiple of 2",
        ),
        (
            C
            + norm("sc", "c", "Scale", "scale_param { axis: 2 num_axes: 1 }")
            + conv("d", "c", 4, 1),
            4,
            "works along axis 2",
        ),
        (
            C + norm("sc", "c", "Scale", "scale_param { num_axes: -1 }") + conv("d", "c", 4, 1),
            4,
            "does not have one number for each channel",
        ),
        (
            C
            + layer("r", "Reshape", "c", more="reshape_param { shape { dim: 0 dim: 4 dim: -1 } }"),
            4,
            "merges values of several channels into one",
        ),
        (
            START
            + conv("c", "data", 8, 3).replace("  convolution", f"  {SHARED}\n  convolution")
            + conv("e", "data", 8, 3).replace("  convolution", f"  {SHARED}\n  convolution"),
            4,
            'shares the parameter "w" with "e"',
        ),
        (
            START
            + layer(
                "c",
                "ConvolutionDepthwise",
                "data",
                more="convolution_param { num_output: 6 kernel_size: 1 }",
            ),
            3,
            "filters each channel alone",
        ),
    ],
)
def test_what_cannot_follow_is_refused(text, filters, words):
    with pytest.raises(NetError, match=words):
        fk.fewer_filters(net(text), "c", filters)


def test_the_first_of_groups_are_refused():
    text = START.replace("dim: 3", "dim: 4") + conv("c", "data", 8, 3, "group: 2")
    with pytest.raises(NetError, match="evenly chosen"):
        fk.fewer_filters(net(text + conv("d", "c", 4, 1)), "c", 4, first=True)


# ---- real Caffe


def test_real_caffe_computes_what_is_left(caffe, tmp_path, capsys):
    asked = []
    for number, name in enumerate(FOLLOWED):
        before, plan, masks = fewer(name)
        old = weights(before, tmp_path / f"{number}.caffemodel")
        names = [top.blob for top in build(before).outputs]
        for each, blobs in ((before, masked(old, masks)), (plan.net, transplant(plan, old))):
            asked.append(caffe.Question("run", each, blobs, images(before), names))
    answers = caffe.ask(asked)
    worst = 0.0
    for name, one, two in zip(FOLLOWED, answers[::2], answers[1::2], strict=True):
        assert not isinstance(one, Exception) and not isinstance(two, Exception), (name, one, two)
        for blob, value in one.items():
            found = float(np.abs(value - two[blob]).max() / np.abs(value).max())
            assert found < 1e-5, (name, blob, found)
            worst = max(worst, found)
    with capsys.disabled():
        print(f"filters: {worst:.2g} relative at most over {len(FOLLOWED)} nets")
