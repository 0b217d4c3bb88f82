"""Crop offsets: computed, checked, corrected; only they change."""

import re

import pytest
from sketches import conv, crop, data, deconv, fc, kept_lines, layer, net, pool, template

import fcnkit as fk
from fcnkit.errors import AlignError, NetError
from fcnkit.nets.graph import build

TRUNK = (
    data(1, 1, 40, 40)
    + conv("c", "data", 1, 3, "pad: 12")
    + pool("p", "c", 2, 2)
    + deconv("u", "p", 1, 4, 2)
)
RIGHT = 12


def cropped(params: str) -> str:
    return TRUNK + layer("score", "Crop", "u", "data", more=params)


# ---- laws


@pytest.mark.parametrize(
    ("name", "stride"), [("vgg16", 8), ("vgg16", 16), ("alexnet", 32), ("alexnet", 8), ("lenet", 4)]
)
def test_what_fcn_makes_is_aligned(name, stride):
    plan = fk.fcn(template(name), classes=4, stride=stride)
    checked = fk.align(plan.net)
    assert not checked.changed and checked.offsets == plan.offsets
    assert all(step.verb == "keep" for step in checked.steps)


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_offsets_that_were_taken_away_are_found_again(stride):
    plan = fk.fcn(template("vgg16"), classes=4, stride=stride, pad=100)
    bare = fk.parse(re.sub(r"    offset: \d+\n", "", plan.net.text))
    # A Crop without offset is 0 to Caffe, and moves what comes after it.
    again = fk.align(bare)
    assert again.offsets == plan.offsets and not fk.align(again.net).changed


@pytest.mark.parametrize(("name", "stride"), [("vgg16", 8), ("alexnet", 32), ("lenet", 4)])
def test_crops_that_find_their_offsets_become_crops_with_them(name, stride):
    plan = fk.fcn(template(name), classes=4, stride=stride)
    found = re.sub(r"  crop_param \{[^}]*\}\n", "", plan.net.text)
    found = fk.parse(found.replace('type: "Crop"', 'type: "AutoCrop"'))
    again = fk.align(found)
    assert again.offsets == plan.offsets
    assert again.net.text.split() == plan.net.text.split()
    assert {step.what for step in again.steps} == {
        f"AutoCrop -> Crop, offset {each.offset[0]}" for each in plan.offsets
    }
    assert not fk.align(again.net).changed


# ---- tables


@pytest.mark.parametrize(
    ("written", "fixed"),
    [
        ("crop_param { axis: 2 offset: 3 }", "crop_param { axis: 2 offset: 12 }"),
        ("crop_param { axis: 2 offset: 12 }", "crop_param { axis: 2 offset: 12 }"),
        ("crop_param { axis: 2 offset: 3 offset: 12 }", "crop_param { axis: 2 offset: 12 }"),
        (
            "crop_param { axis: 2 offset: 12 offset: 12 }",
            "crop_param { axis: 2 offset: 12 offset: 12 }",
        ),
        ("crop_param { offset: 3 }", "crop_param { offset: 12 axis: 2 }"),
        ("crop_param { axis: -2 offset: 3 }", "crop_param { axis: -2 offset: 12 }"),
        ("crop_param { axis: 3 offset: 3 }", "crop_param { axis: 3 offset: 12 }"),
        ("crop_param { axis: 2 }", "crop_param { axis: 2 offset: 12 }"),
        ("crop_param { }", "crop_param { axis: 2 offset: 12 }"),
        ("crop_param {}", "crop_param { axis: 2 offset: 12 }"),
        ("crop_param { offset: [3, 3] }", "crop_param { offset: 12 axis: 2 }"),
        ("crop_param { axis: 2 offset: [3, 4] }", "crop_param { axis: 2 offset: 12 }"),
        ("# no crop_param", "crop_param { axis: 2 offset: 12 }"),
        (
            "crop_param { axis: 2 # why\n offset: 3 # not\n}",
            "crop_param { axis: 2 # why\n offset: 12 # not\n}",
        ),
    ],
)
def test_each_way_to_write_a_crop(written, fixed):
    plan = fk.align(net(cropped(written)))
    found = build(plan.net).layer("score").param("crop_param")
    axes = 1 if "axis: 3" in fixed else 2
    assert set(found.list("offset")) == {RIGHT} and found.has("axis")
    assert plan.offsets[0].offset == (RIGHT,) * axes
    assert not fk.align(plan.net).changed
    if "[" not in written and "#" not in written[:1]:
        assert re.sub(r"\s+", " ", fixed) in re.sub(r"\s+", " ", plan.net.text)


def test_axes_that_differ_have_an_offset_each():
    text = TRUNK.replace("pad: 12", "pad_h: 12 pad_w: 15") + crop("score", "u", "data", 3)
    plan = fk.align(net(text))
    assert plan.offsets[0].offset == (12, 15)
    assert build(plan.net).layer("score").param("crop_param").list("offset") == [12, 15]


def test_only_the_offset_changes():
    gone, new = kept_lines(fk.align(net(cropped("crop_param { axis: 2 offset: 3 }"))))
    assert (gone, new) == (
        ["  crop_param { axis: 2 offset: 3 }"],
        ["  crop_param { axis: 2 offset: 12 }"],
    )


def test_both_phases_are_looked_at():
    text = TRUNK + "".join(
        crop(f"s{phase}", "u", "data", 3).replace(
            "crop_param", f"include {{ phase: {phase} }} crop_param"
        )
        for phase in ("TRAIN", "TEST")
    )
    plan = fk.align(net(text))
    assert {each.layer for each in plan.offsets} == {"sTRAIN", "sTEST"} and plan.net.text.count(
        "offset: 12"
    ) == 2


def test_the_steps_say_what_each_crop_had():
    what = {
        written: fk.align(net(cropped(written))).steps[0]
        for written in (
            "crop_param { axis: 2 offset: 3 }",
            "crop_param { axis: 2 }",
            "crop_param { axis: 2 offset: 12 }",
        )
    }
    assert [(step.verb, step.what) for step in what.values()] == [
        ("change", "offset 3 -> 12"),
        ("change", "offset none -> 12"),
        ("keep", "offset 12"),
    ]


def test_a_net_without_crops_has_nothing_to_align():
    assert not fk.align(net(TRUNK)).steps


# ---- refusals


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (cropped("crop_param { axis: 1 offset: 0 offset: 3 }"), NetError, "crops from axis 1 on"),
        (
            TRUNK.replace("pad: 12", "pad: 0").replace("kernel_size: 3", "kernel_size: 9")
            + crop("s", "u", "data", 0),
            AlignError,
            "negative.*pad layer",
        ),
        (
            TRUNK.replace("kernel_size: 4", "kernel_size: 5") + crop("s", "u", "data", 0),
            AlignError,
            'not a whole number; give layer "u" kernel_size 3 instead of 5',
        ),
        (
            TRUNK + conv("x", "data", 1, 1, "stride: 2") + crop("s", "u", "x", 0),
            AlignError,
            "resolution",
        ),
        (
            data(1, 1, 9, 9) + data(1, 1, 5, 5, name="b") + crop("s", "data", "b", 0),
            AlignError,
            "cannot be mapped",
        ),
        (TRUNK + fc("f", "p", 4) + crop("s", "f", "data", 0), AlignError, r'"f" \(InnerProduct'),
    ],
)
def test_what_cannot_be_aligned_is_refused(text, error, message):
    with pytest.raises(error, match=message):
        fk.align(net(text))


def test_branches_that_disagree_are_refused():
    two = (
        pool("a", "data", 2, 2)
        + conv("b", "data", 1, 3, "stride: 2 pad: 1")
        + layer("sum", "Eltwise", "a", "b")
    )
    text = data(1, 1, 40, 40) + two + deconv("u", "sum", 1, 8, 2) + crop("s", "u", "data", 0)
    with pytest.raises(AlignError, match="agree"):
        fk.align(net(text))


# ---- real data


def test_the_authors_nets_are_aligned(shared):
    found = sorted(shared.glob("prototxts/repos/**/voc-fcn*/*.prototxt")) + sorted(
        shared.glob("prototxts/repos/**/*fcn8s*.prototxt")
    )
    crops = 0
    for path in found:
        try:
            plan = fk.align(fk.read(path))
        except NetError:
            continue
        for step, crop_ in zip(plan.steps, plan.offsets, strict=False):
            crops += step.verb == "keep" and crop_.offset[0] in (5, 9, 18, 19, 27, 31)
    assert crops >= 3
