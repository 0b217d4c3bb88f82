"""Other channels of the image, and that real Caffe computes the same on the image so changed."""

import numpy as np
import pytest
from sketches import conv, data, fc, images, layer, net, pool, relu, weights

import fcnkit as fk
from fcnkit.errors import NetError
from fcnkit.plan import Move
from fcnkit.rewrites.channels import LUMA
from fcnkit.weights.surgery import transplant

REST = relu("c") + fc("top", "c", 4)
CROP = layer("crop", "Crop", "c", "data", more="crop_param { axis: 2 }")


def first(channels):
    """Nets whose image has so many channels, by what sees it first."""
    start, c = data(2, channels, 8, 9), conv("c", "data", 5, 3)
    return {
        "convolution": start + c + REST,
        "inner product": start + fc("c", "data", 5) + REST,
        "transposed": start
        + fc("c", "data", 5, "transpose: true axis: -3 bias_term: false")
        + REST,
        "two layers": start + c + fc("d", "data", 5) + REST,
        "through layers": start
        + layer("p", "Power", "data", more="power_param { shift: 1 scale: 0.5 }")
        + pool("q", "p", 2, 2)
        + conv("c", "q", 5, 2)
        + REST,
        "in place": start
        + layer("p", "Power", "data", top="data", more="power_param { shift: 1 }")
        + c,
        "crop to the image": start + conv("c", "data", 5, 3, "pad: 1") + CROP,
        "input fields": f'input: "data" input_dim: 2 input_dim: {channels} input_dim: 8 '
        f"input_dim: 9 " + c,
        "input_shape": f'input: "data" input_shape {{ dim: 2 dim: {channels} dim: 8 dim: 9 }} ' + c,
        "V1": f'input: "data" input_dim: 2 input_dim: {channels} input_dim: 8 input_dim: 9 '
        'layers { name: "c" type: CONVOLUTION bottom: "data" top: "c" '
        "convolution_param { num_output: 4 kernel_size: 3 } }",
    }


NORMED = (
    data(2, 3, 8, 9)
    + layer("bn", "BatchNorm", "data", top="n")
    + layer("sc", "Scale", "n", top="n", more="scale_param { bias_term: true }")
    + conv("c", "n", 5, 3)
)
NAMES = list(first(3))
CHANGES = {
    "swap": (3, fk.swap_channels, lambda image: image[:, ::-1]),
    "gray": (3, fk.to_gray, lambda image: image[:, :1]),
    "colour": (1, fk.to_colour, None),
    "add": (3, lambda text: fk.add_channels(text, 5), None),
}


# ---- laws


@pytest.mark.parametrize("name", NAMES)
def test_swapping_twice_is_the_original(name, tmp_path):
    before = net(first(3)[name])
    plan = fk.swap_channels(before).then(fk.swap_channels)
    assert plan.net.text == before.text
    same(transplant(plan, weights(before, tmp_path / "old")), weights(before, tmp_path / "old2"))


def same(one, two, tolerance=0.0):
    assert list(one) == list(two)
    for name in one:
        for left, right in zip(one[name], two[name], strict=True):
            np.testing.assert_allclose(left.array(), right.array(), rtol=tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_colour_then_gray_is_the_original(name, tmp_path):
    before = net(first(1)[name])
    plan = fk.to_colour(before).then(fk.to_gray)
    assert plan.net.text == before.text
    same(
        transplant(plan, weights(before, tmp_path / "old")),
        weights(before, tmp_path / "old2"),
        1e-6,
    )


def test_channels_added_one_by_one(tmp_path):
    before = net(first(3)["convolution"])
    once = fk.add_channels(before, 5)
    twice = fk.add_channels(before, 4).then(fk.add_channels, 5)
    assert once.net.text == twice.net.text
    old = weights(before, tmp_path / "old")
    same(transplant(once, old), transplant(twice, old))


# ---- tables


def test_moves_copy_or_sum():
    before = net(first(3)["convolution"])
    mix = fk.to_gray(before).moves[0]
    assert mix.shape == (5, 1, 3, 3) and mix.args == (
        (5, 3, 3, 3),
        ((1, (((0, 1), (1, 1), (2, 1)),)),),
    )
    assert fk.swap_channels(before).moves[1] == Move("c", 1, (5,), "c")


def test_new_channels_start_as_the_mean():
    """As the FCN authors' nyud-fcn32s-color-d starts conv1_1_bgrd."""
    plan = fk.add_channels(net(first(3)["convolution"]), 4, start="mean")
    (rows,) = (move.args[1][0][1] for move in plan.moves if move.how == "mix")
    assert rows[:3] == (((0, 1),), ((1, 1),), ((2, 1),))
    assert rows[3] == ((0, 1 / 3), (1, 1 / 3), (2, 1 / 3))


def source(*means, more="", kind="Data"):
    text = " ".join(f"mean_value: {mean}" for mean in means)
    return layer("data", kind, more=f"transform_param {{ crop_size: 8 {text} }} {more}")


DATA = 'data_param { source: "x" batch_size: 2 }'
IMAGES = 'top: "label" image_data_param { source: "x" batch_size: 2 new_height: 8 new_width: 8 }'


@pytest.mark.parametrize(
    "text, change, words, steps",
    [
        (
            source(104, 117, 123, more=DATA),
            fk.swap_channels,
            "mean_value: 123 mean_value: 117 mean_value: 104",
            "mean_value",
        ),
        (
            source("[1, 2.50, 3]", more=DATA).replace("mean_value: [", "mean_value: ["),
            fk.swap_channels,
            "mean_value: [3, 2.50, 1]",
            "mean_value",
        ),
        (
            source(104, 117, 124, more=DATA),
            fk.to_gray,
            "{ crop_size: 8 mean_value: 115 ",
            "exact only where",
        ),
        (
            source(9, 9, 9, more=IMAGES, kind="ImageData"),
            fk.to_gray,
            "{ crop_size: 8 mean_value: 9 ",
            "data has 1 channel; mean_value",
        ),
        (
            source(more=IMAGES, kind="ImageData"),
            fk.to_gray,
            "is_color: false",
            "data has 1 channel",
        ),
        (
            source(more=IMAGES.replace("batch", "is_color: false batch"), kind="ImageData"),
            fk.to_colour,
            '"x" batch_size',
            "data has 3 channels",
        ),
        (
            source(104, more=IMAGES, kind="ImageData"),
            fk.swap_channels,
            "mean_value: 104",
            "other order",
        ),
        (
            source(1, 2, 3, more=DATA),
            lambda text: fk.add_channels(text, 4),
            "mean_value: 1 mean_value: 2 mean_value: 3 mean_value: 0",
            "must have 4 channels",
        ),
        (
            source('mean_file: "m.binaryproto"', more=IMAGES, kind="ImageData").replace(
                "mean_value: mean_file", "mean_file"
            ),
            fk.swap_channels,
            "m.binaryproto",
            "mean_file m.binaryproto must be changed in the same way",
        ),
    ],
)
def test_data_layers(text, change, words, steps):
    plan = change(net(text + conv("c", "data", 5, 3)))
    assert words in plan.net.text
    assert steps in plan.steps[0].what + plan.steps[0].why


def test_every_state_changes():
    rules = (f" include {{ phase: {phase} }}" for phase in ("TRAIN", "TEST"))
    text = "".join(source(1, 2, 3, more=DATA + rule) for rule in rules)
    plan = fk.swap_channels(net(text + conv("c", "data", 5, 3)))
    assert plan.net.text.count("mean_value: 3 mean_value: 2 mean_value: 1") == 2
    assert [step.layer for step in plan.steps] == ["data", "data", "c"]


def test_a_label_of_the_images_shape_is_no_image():
    text = (
        data(1, 3, 8, 8)
        + data(1, 1, 8, 8, name="label")
        + conv("c", "data", 2, 1)
        + layer("loss", "SoftmaxWithLoss", "c", "label")
    )
    assert {step.layer for step in fk.swap_channels(net(text)).steps} == {"data", "c"}


CONV = conv("c", "data", 5, 3)


@pytest.mark.parametrize(
    "text, change, words",
    [
        (
            data(1, 4, 8, 8) + CONV,
            fk.swap_channels,
            "the image has 4 channels, but 3 are needed",
        ),
        (data(1, 1, 8, 8) + CONV, fk.to_gray, "the image has 1 channel"),
        (data(1, 3, 8, 8) + CONV, fk.to_colour, "but 1 are needed"),
        (
            data(1, 3, 8, 8) + CONV,
            lambda text: fk.add_channels(text, 3),
            "3 channels, and 3 are asked for",
        ),
        (
            data(1, 3, 8, 8) + CONV,
            lambda text: fk.add_channels(text, 4, start="one"),
            "give zero or mean",
        ),
        (
            layer("data", "Data", more=DATA) + CONV,
            fk.swap_channels,
            'size of "data" is not known.*--input',
        ),
        (
            data(1, 3, 8, 8) + data(1, 3, 8, 8, name="b") + CONV + conv("d", "b", 2, 2),
            fk.swap_channels,
            'several blobs are images: "data", "b"',
        ),
        (
            data(1, 3, 8, 8) + CONV + layer("s", "Concat", "data"),
            fk.swap_channels,
            'layer "s": its type is Concat, and it reads the image "data"',
        ),
        (
            data(1, 3, 8, 8) + conv("c", "data", 6, 3, "group: 3"),
            fk.swap_channels,
            "make it dense first",
        ),
        (data(1, 3, 8, 8) + fc("c", "data", 6, "axis: 2"), fk.swap_channels, "along axis 2"),
        (
            data(1, 3, 8, 8)
            + data(1, 3, 8, 8, name="b")
            + layer(
                "c",
                "Convolution",
                "data",
                "b",
                more='top: "d" convolution_param { num_output: 2 kernel_size: 3 }',
            ),
            lambda text: fk.swap_channels(text, blob="b"),
            "weights are for 2 bottoms at once",
        ),
        (
            data(1, 3, 8, 8)
            + conv("c", "data", 5, 1)
            + layer("k", "Crop", "c", "data", more="crop_param { axis: 1 }"),
            fk.swap_channels,
            "type is Crop",
        ),
        (NORMED, fk.to_gray, "its type is BatchNorm"),
        (
            data(1, 3, 8, 8)
            + data(1, 3, 8, 8, name="b")
            + fc("c", "data", 5, outer='param { name: "w" } ')
            + fc("d", "b", 5, outer='param { name: "w" } '),
            lambda text: fk.swap_channels(text, blob="b"),
            'shares the parameter "w" with "c"',
        ),
        (data(1, 3, 8, 8), fk.swap_channels, "no Convolution or InnerProduct reads an input"),
        (
            data(1, 3, 8, 8) + CONV,
            lambda text: fk.swap_channels(text, blob="c"),
            '"c" is not an input',
        ),
        (
            data(1, 3, 8, 8) + CONV,
            lambda text: fk.swap_channels(text, blob="dada"),
            'no blob "dada"',
        ),
    ],
)
def test_what_cannot_be_is_refused(text, change, words):
    with pytest.raises(NetError, match=words):
        change(net(text))


# ---- real Caffe


def pairs(name):
    """(net, plan, image before, image after) for every net of one change."""
    channels, change, _ = CHANGES[name]
    texts = first(channels) | ({"normalised": NORMED} if name == "swap" else {})
    for path, text in texts.items():
        before = net(text, path=path)
        yield before, change(before), *seen(name, images(before)["data"])


def seen(name, image):
    rng = np.random.default_rng(9)
    if name == "swap":
        return image, image[:, ::-1]
    if name == "gray":
        return image[:, :1].repeat(3, 1), image[:, :1]
    if name == "add":
        return image, np.concatenate(
            [image, rng.uniform(-9, 9, image[:, :2].shape).astype("f4")], 1
        )
    colour = rng.uniform(-1, 1, (image.shape[0], 3, *image.shape[2:])).astype("f4")
    return np.tensordot(LUMA, colour.astype("f8"), (0, 1))[:, None].astype("f4"), colour


@pytest.mark.parametrize("name", CHANGES)
def test_real_caffe_computes_the_same(name, caffe, tmp_path, capsys):
    asked = []
    for number, (before, plan, old_image, new_image) in enumerate(pairs(name)):
        if (before.path, name) == ("through layers", "colour"):
            continue  # the largest brightness is not the brightness of the largest
        old = weights(before, tmp_path / f"{number}.caffemodel")
        asked.append(caffe.Question("run", before, old, {"data": old_image}))
        asked.append(caffe.Question("run", plan.net, transplant(plan, old), {"data": new_image}))
    answers = caffe.ask(asked)
    worst = max(map(difference, answers[::2], answers[1::2]))
    with capsys.disabled():
        print(f"{name}: {worst:.2g} relative at most over {len(answers) // 2} nets")
    assert worst < 1e-5


def difference(one, two):
    for answer in (one, two):
        if isinstance(answer, Exception):
            raise answer
    return max(float(np.abs(one[blob] - two[blob]).max() / np.abs(one[blob]).max()) for blob in one)


@pytest.mark.parametrize("given", [{}, {"data": (2, 3, 8, 9)}])
def test_a_net_that_could_not_be_built_is_refused(given):
    """Beside the convolution, a Concat along the rows joins the image with three channels."""
    joined = layer("o", "Concat", "c", "data", more="concat_param { axis: 2 }")
    before = net(data(2, 3, 8, 9) + conv("c", "data", 3, 3, "pad: 1") + joined)
    assert fk.swap_channels(before).steps
    for change in (lambda: fk.add_channels(before, 5, inputs=given), lambda: fk.to_gray(before)):
        with pytest.raises(NetError, match='cannot have [15] channels: .*layer "o"'):
            change()
