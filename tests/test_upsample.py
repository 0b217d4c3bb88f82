"""Upsampling and skips: kernels, offsets,
which of the two is cropped, and where pixels really arrive.
"""

import re

import numpy as np
import pytest
from sketches import conv, data, fc, layer, net, template

import fcnkit as fk
from fcnkit.errors import AlignError, NetError
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of
from fcnkit.plan import Offset
from fcnkit.rewrites.parts import crop_layer
from fcnkit.rewrites.upsample import Names
from fcnkit.weights import store

NAMES = Names("upscore2", "cropped", "skip_score", "fuse")


def ave(name, bottom, kernel, stride, more=""):
    """A pooling that keeps the values of a ramp."""
    text = f"pool: AVE kernel_size: {kernel} stride: {stride} {more}".strip()
    return layer(name, "Pooling", bottom, more=f"pooling_param {{ {text} }}")


def trunk(first="pad: 20", head=1, pools=2, tail=""):
    """data, a convolution, `pools` poolings of stride 2,
    and one class's scores by a kernel of `head`.
    """
    layers, last = [data(1, 1, 96, 96), conv("conv", "data", 1, 3, first)], "conv"
    for number in range(1, pools + 1):
        layers.append(ave(f"pool{number}", last, 2, 2))
        last = f"pool{number}"
    return net(*layers, conv("score_fr", last, 1, head, tail))


# ---- laws: where a ramp arrives


def bilinear(shape):
    """Each class's kernel is 1 - |x - centre| / s on both axes, and no class reaches another."""
    count, dense, kernel, _ = shape
    centre, factor = (kernel - 1) / 2, (kernel + 1) // 2
    line = 1 - np.abs(np.arange(kernel) - centre) / factor
    planes = np.zeros(shape, "f4")
    for each in range(count):
        planes[each, each if dense > 1 else 0] = np.outer(line, line)
    return planes


def weighted(text, path):
    """Kernels that average, so that a ramp stays the
    same ramp wherever a layer's map says it lies.
    """
    made, shapes = store.create(), shapes_of(build(text))
    for each in shapes.graph.layers:
        blobs = shapes.blobs(each) or []
        if each.type == "Deconvolution":
            made = made.put(each.name, [bilinear(blobs[0])], type=each.type)
        elif blobs:
            made = made.put(
                each.name,
                [np.full(blobs[0], 1 / np.prod(blobs[0][1:]), "f4"), *map(np.zeros, blobs[1:])],
            )
    made.save(path)
    return path


def ramp(height, width):
    rows, columns = np.mgrid[:height, :width]
    return (rows * 2.0 - columns * 0.5 + 3).astype("f4")[None, None]


def arrives(caffe, text, folder, times, size, middle):
    """How far the score's middle is from `times` the image's own ramp."""
    image = ramp(*size)
    weights = weighted(text, folder / "ramp.caffemodel")
    output = build(text).outputs[0].blob
    found = caffe.run(text, weights, {"data": image}, [output])[output]
    assert found.shape == image.shape
    rows, columns = (slice(each // 2 - middle, each // 2 + middle) for each in size)
    return float(np.abs(found - times * image)[..., rows, columns].max())


ALEX = net(
    data(1, 1, 227, 227),
    conv("conv1", "data", 1, 11, "stride: 4"),
    ave("pool1", "conv1", 3, 2),
    conv("conv2", "pool1", 1, 5, "pad: 2"),
    ave("pool2", "conv2", 3, 2),
    conv("conv3", "pool2", 1, 3, "pad: 1"),
    ave("pool5", "conv3", 3, 2),
    fc("fc6", "pool5", 1),
    fc("fc7", "fc6", 1),
)
EVEN = net(
    data(1, 1, 32, 32),
    conv("conv1", "data", 1, 3, "pad: 1"),
    ave("pool1", "conv1", 2, 2),
    conv("conv2", "pool1", 1, 3, "pad: 1"),
    ave("pool2", "conv2", 2, 2),
    ave("pool3", "pool2", 2, 2),
    fc("fc", "pool3", 1),
)
TALL = net(
    data(1, 1, 48, 40),
    conv("conv1", "data", 1, 7, "stride: 2 pad: 3"),
    ave("pool1", "conv1", 3, 2, "pad: 1"),
    conv("conv2", "pool1", 1, 4, "pad: 1"),
    ave("pool2", "conv2", 2, 2),
    fc("fc", "pool2", 1),
)


@pytest.mark.parametrize(
    ("text", "stride", "pad"),
    [
        (ALEX, 32, "auto"),
        (ALEX, 16, "auto"),
        (ALEX, 8, 100),
        (EVEN, 8, 40),
        (EVEN, 4, "auto"),
        (EVEN, 2, "auto"),
        (TALL, 8, "auto"),
        (TALL, 4, "auto"),
        (TALL, 2, 30),
    ],
)
def test_a_ramp_arrives_where_it_was(text, stride, pad, caffe, tmp_path):
    plan = fk.fcn(text, classes=1, stride=stride, pad=pad)
    assert arrives(caffe, plan.net, tmp_path, len(plan.offsets), (520, 617), 30) < 2e-2


ONE_SIDE = (
    conv("a", "data", 1, 1, "pad: 6")
    + conv("b", "a", 1, 4, "stride: 4")
    + conv("score_fr", "b", 1, 1)
)
SHAPES = {
    "the skip reaches beyond": (trunk("pad: 20", 5), "skip_score", 0),
    "the upsampled one reaches beyond": (trunk("pad: 20", 3, tail="pad: 3"), "upscore2", 0),
    "each on one side": (net(data(1, 1, 96, 96), ONE_SIDE), "skip_score", 2),
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_larger_is_cropped_to_the_smaller(name, caffe, tmp_path):
    text, cropped, pad = SHAPES[name]
    plan = fk.skip(text, "score_fr", "a" if pad else "pool1", names=NAMES, least=8)
    assert plan.offsets[0].cropped == cropped
    found = re.search(r"upscore2.*?convolution_param \{(.*?)\n  \}", plan.net.text, re.S)[1]
    assert re.findall(r"pad: (\d+)", found) == [str(pad)] * bool(pad)
    full = plan.then(fk.upsample, "fuse", "data", names=Names("up", "score"), least=8)
    assert arrives(caffe, full.net, tmp_path, 2, (97, 110), 20) < 2e-2


# ---- tables


@pytest.mark.parametrize(
    ("stride", "offsets"), [(32, [19]), (16, [5, 27]), (8, [5, 9, 31])]
)  # the FCN authors' offsets
def test_vgg_has_the_published_offsets(stride, offsets):
    plan = fk.fcn(template("vgg16"), classes=21, stride=stride, pad=100)
    assert [crop.offset for crop in plan.offsets] == [(each, each) for each in offsets]
    kernels = [int(each) for each in re.findall(r"kernel_size: (\d+)\n    stride", plan.net.text)][
        -len(offsets) :
    ]
    assert kernels == {32: [64], 16: [4, 32], 8: [4, 4, 16]}[stride]


@pytest.mark.parametrize(
    ("stride", "offsets", "kernels"), [(32, [18], [63]), (16, [5, 18], [3, 31])]
)
def test_alexnet_takes_odd_kernels(stride, offsets, kernels):
    plan = fk.fcn(template("alexnet"), classes=21, stride=stride, pad=100)
    assert [crop.offset[0] for crop in plan.offsets] == offsets
    assert [
        int(each)
        for each in re.findall(
            r"kernel_size: (\d+)\n    stride: (?:2|16|32)\n    weight", plan.net.text
        )
    ] == kernels


@pytest.mark.parametrize("first", [12, 13, 20, 21])
@pytest.mark.parametrize("head", [1, 2, 3, 4])
def test_the_kernel_is_2s_or_one_less_and_the_offset_whole(first, head):
    plan = fk.upsample(trunk(f"pad: {first}", head), "score_fr", "data", least=8)
    kernel = next(move.shape[-1] for move in plan.moves)
    assert kernel in (7, 8)
    exact = fk.coords(plan.net, "data", "upscore").shift
    assert all(each.denominator == 1 for each in exact) and tuple(exact) == plan.offsets[0].offset
    assert fk.coords(plan.net, "score", "data") == fk.CoordMap()


def test_each_class_is_upsampled_by_itself_or_densely():
    text = net(
        data(1, 1, 96, 96),
        conv("conv", "data", 1, 3, "pad: 20 stride: 2"),
        conv("score_fr", "conv", 5, 1),
    )
    grouped, dense = (
        fk.upsample(text, "score_fr", "data", group=group, least=8) for group in (True, False)
    )
    assert grouped.moves[0].shape[:2] == (5, 1) and dense.moves[0].shape[:2] == (5, 5)
    assert "group: 5" in grouped.net.text and "bilinear" in grouped.net.text
    # Caffe's bilinear filler on a dense kernel would sum all classes into each.
    assert "group" not in dense.net.text and "bilinear" not in dense.net.text


def test_grouped_and_dense_upsampling_are_the_same_numbers(caffe, tmp_path):
    text = net(
        data(1, 1, 64, 64),
        conv("conv", "data", 1, 3, "pad: 20 stride: 2"),
        conv("score_fr", "conv", 3, 1),
    )
    found = []
    for group in (True, False):
        plan = fk.upsample(text, "score_fr", "data", group=group, least=8)
        weights = weighted(plan.net, tmp_path / f"{group}.caffemodel")
        found.append(caffe.run(plan.net, weights, {"data": ramp(64, 64)}, ["score"])["score"])
    assert np.abs(found[0] - found[1]).max() < 1e-3


@pytest.mark.parametrize(
    ("offset", "lines"),
    [
        ((3, 3), [("offset", 3)]),
        ((3, 4), [("offset", 3), ("offset", 4)]),
        ((0, 0), [("offset", 0)]),
    ],
)
def test_axis_and_offset_are_always_written(offset, lines):
    assert dict(crop_layer(Offset("c", "a", "b", offset)))["crop_param"] == [("axis", 2), *lines]


# ---- refusals


def test_too_little_padding_is_refused_with_the_remedy_that_cures():
    with pytest.raises(
        AlignError,
        match=r'needs the offset -\d+, a negative number; pad layer "conv" by (\d+) more',
    ) as caught:
        fk.upsample(trunk("pad: 0", 9), "score_fr", "data", least=64)
    more = int(re.search(r"by (\d+) more", str(caught.value))[1])
    fk.upsample(trunk(f"pad: {more}", 9), "score_fr", "data", least=64)
    with pytest.raises(AlignError):
        fk.upsample(trunk(f"pad: {more - 1}", 9), "score_fr", "data", least=64)


def test_a_crop_that_does_not_fit_says_how_much_is_missing_and_where():
    text = net(data(1, 1, 96, 96), conv("score_fr", "data", 1, 4, "stride: 4"))
    with pytest.raises(
        AlignError,
        match='"upscore" at 2(x2)? to "data": 1 pixel missing for an input of 7 pixels; pad',
    ):
        fk.upsample(text, "score_fr", "data", least=4)


def test_no_common_resolution_is_refused():
    text = net(
        data(1, 1, 60, 60),
        conv("a", "data", 1, 3, "stride: 3 pad: 9"),
        conv("b", "data", 1, 3, "stride: 2 pad: 9"),
    )
    with pytest.raises(AlignError, match="whole factor|resolution"):
        fk.upsample(text, "a", "b")


def test_an_axis_of_no_whole_factor_is_refused():
    more = "convolution_param { num_output: 1 kernel_size: 3 stride_h: 3 stride_w: 1 }"
    text = net(
        data(1, 1, 60, 60),
        layer("a", "Convolution", "data", more=more),
        conv("b", "data", 1, 2, "stride: 2"),
    )
    with pytest.raises(AlignError, match='3/2x1/2 times the resolution of "a".* for each axis'):
        fk.upsample(text, "a", "b")


def test_each_axis_has_a_factor_and_a_kernel_of_its_own():
    window = "kernel_h: 3 kernel_w: 1 stride_h: 2 stride_w: 1 pad_h: 9 pad_w: 0"
    more = f"convolution_param {{ num_output: 1 {window} }}"
    text = net(data(1, 1, 60, 60), layer("a", "Convolution", "data", more=more))
    plan = fk.upsample(text, "a", "data")
    assert "kernel_h: 3\n    kernel_w: 1\n    stride_h: 2\n    stride_w: 1" in plan.net.text
    assert "weight_filler" not in plan.net.text, "Caffe's bilinear filler takes square kernels"
    assert plan.offsets[0].offset == (9, 0)


@pytest.mark.parametrize(("score", "reference"), [("nothing", "data"), ("score_fr", "nothing")])
def test_an_unknown_blob_is_refused(score, reference):
    with pytest.raises(NetError, match='no blob "nothing"'):
        fk.upsample(trunk(), score, reference)


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(NetError, match='"conv" is already made'):
        fk.upsample(trunk(), "score_fr", "data", names=Names("conv", "score"))


V1 = """input: "data" input_dim: 1 input_dim: 1 input_dim: 60 input_dim: 60
layers { name: "s" type: CONVOLUTION bottom: "data" top: "s"
  convolution_param { num_output: 1 kernel_size: 3 stride: 2 pad: 9 } }
layers { name: "t" type: CONVOLUTION bottom: "s" top: "t"
  convolution_param { num_output: 1 kernel_size: 3 stride: 2 pad: 3 } }
"""
V0 = """input: "data" input_dim: 1 input_dim: 1 input_dim: 60 input_dim: 60
layers { layer { name: "s" type: "conv" num_output: 1 kernelsize: 3 stride: 2 pad: 9 }
  bottom: "data" top: "s" }
"""


@pytest.mark.parametrize("text", [V0, V1])
def test_a_net_of_an_older_format_is_upgraded_first(text):
    old = fk.parse(text, "net.prototxt")
    plan = fk.upsample(old, "s", "data")
    new = fk.upsample(fk.upgrade(old).net, "s", "data")
    assert plan.net.text == new.net.text and plan.offsets == new.offsets and plan.before is old


def test_so_is_one_that_gets_a_skip():
    old = fk.parse(V1, "net.prototxt")
    assert (
        fk.skip(old, "t", "s", names=NAMES, scale=0.5).net.text
        == fk.skip(fk.upgrade(old).net, "t", "s", names=NAMES, scale=0.5).net.text
    )


@pytest.mark.parametrize(
    "sizes, words", [((9,), "signal as an image of one row, 1 x 2 x 1 x 9"), ((9, 9, 9), "by hand")]
)
def test_what_is_no_map_is_not_upsampled(sizes, words):
    with pytest.raises(NetError, match=f"maps of 4 axes can be upsampled; .*{words}"):
        fk.upsample(
            net(data(1, 2, *sizes), conv("c", "data", 4, 3, "stride: 2 pad: 3")), "c", "data"
        )
