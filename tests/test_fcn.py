"""The whole recipe: published nets, skips found by the graph, padding, and real Caffe."""

import re

import numpy as np
import pytest
from click.testing import CliRunner
from sketches import conv, data, fc, graph, layer, net, pool, relu, template, thin
from test_verify import random_weights

import fcnkit as fk
from fcnkit.cli.main import main
from fcnkit.errors import AlignError, NetError
from fcnkit.formats import prototxt
from fcnkit.nets.graph import build
from fcnkit.nets.layers.sliding import spatial
from fcnkit.nets.shapes import shapes_of
from fcnkit.rewrites.padding import first_layers, pad_first
from fcnkit.rewrites.trunk import without_last_pooling
from fcnkit.weights import store


def ave(name, bottom, more="global_pooling: true"):
    return layer(name, "Pooling", bottom, more=f"pooling_param {{ pool: AVE {more} }}")


def fire(name, bottom, squeezed, expanded):
    """SqueezeNet's module: a squeeze, two expansions, their concatenation."""
    return (
        conv(f"{name}/s", bottom, squeezed, 1)
        + relu(f"{name}/s")
        + conv(f"{name}/e1", f"{name}/s", expanded, 1)
        + conv(f"{name}/e3", f"{name}/s", expanded, 3, "pad: 1")
        + layer(f"{name}/concat", "Concat", f"{name}/e1", f"{name}/e3")
        + relu(f"{name}/concat")
    )


def block(name, bottom, outputs, stride):
    """A residual block: a shortcut of 1 x 1, two convolutions of 3 x 3, batch norm, their sum."""
    body = conv(f"{name}a", bottom, outputs, 3, f"pad: 1 stride: {stride} bias_term: false")
    body += layer(f"bn{name}a", "BatchNorm", f"{name}a", top=f"{name}a")
    body += layer(
        f"sc{name}a", "Scale", f"{name}a", top=f"{name}a", more="scale_param { bias_term: true }"
    )
    body += relu(f"{name}a") + conv(f"{name}b", f"{name}a", outputs, 3, "pad: 1")
    short = conv(f"{name}s", bottom, outputs, 1, f"stride: {stride}")
    return body + short + layer(name, "Eltwise", f"{name}b", f"{name}s") + relu(name)


SQUEEZE = net(
    data(1, 3, 131, 131),
    conv("conv1", "data", 4, 7, "stride: 2"),
    relu("conv1"),
    pool("pool1", "conv1", 3, 2),
    fire("fire2", "pool1", 2, 2),
    fire("fire3", "fire2/concat", 2, 2),
    pool("pool3", "fire3/concat", 3, 2),
    fire("fire4", "pool3", 2, 3),
    pool("pool4", "fire4/concat", 3, 2),
    fire("fire5", "pool4", 2, 2),
    layer("drop", "Dropout", "fire5/concat", top="fire5/concat"),
    conv("conv10", "fire5/concat", 7, 1),
    relu("conv10"),
    ave("pool10", "conv10"),
    layer("prob", "Softmax", "pool10"),
    path="squeeze.prototxt",
)
RESNET = net(
    data(1, 3, 96, 96),
    conv("conv1", "data", 4, 7, "stride: 2 pad: 3"),
    relu("conv1"),
    pool("pool1", "conv1", 3, 2),
    block("res2", "pool1", 4, 1),
    block("res3", "res2", 4, 2),
    block("res4", "res3", 4, 2),
    block("res5", "res4", 4, 2),
    ave("pool5", "res5", "kernel_size: 3 stride: 1"),
    fc("fc", "pool5", 9),
    layer("prob", "Softmax", "fc"),
    path="resnet.prototxt",
)
GOOGLE = net(
    data(1, 3, 112, 112),
    conv("conv1/7x7", "data", 4, 7, "stride: 2 pad: 3"),
    pool("pool1", "conv1/7x7", 3, 2),
    conv("conv2", "pool1", 4, 3, "pad: 1"),
    pool("pool2", "conv2", 3, 2),
    fire("in3", "pool2", 2, 3),
    pool("pool3", "in3/concat", 3, 2),
    fire("in4", "pool3", 2, 3),
    pool("pool4", "in4/concat", 3, 2),
    fire("in5", "pool4", 2, 3),
    ave("pool5", "in5/concat", "kernel_size: 3 stride: 1"),
    layer("drop", "Dropout", "pool5"),
    fc("classifier", "drop", 9),
    layer("prob", "Softmax", "classifier"),
    path="google.prototxt",
)
NETS = {"squeeze": SQUEEZE, "resnet": RESNET, "google": GOOGLE}


# ---- published facts


@pytest.mark.parametrize(
    ("name", "stride", "offsets", "params"),
    [
        ("alexnet", 32, [18], 56_954_261),
        ("caffenet", 32, [18], 56_954_261),
        ("vgg16", 32, [19], 134_346_581),
        ("vgg16", 16, [5, 27], 134_357_354),
        ("vgg16", 8, [5, 9, 31], 134_362_751),
    ],
)
def test_published_offsets_and_parameters(name, stride, offsets, params):
    plan = fk.fcn(template(name), classes=21, stride=stride, pad=100)
    assert [crop.offset for crop in plan.offsets] == [(each, each) for each in offsets]
    rows = fk.inspect(plan.net).rows
    assert sum(row.params for row in rows if row.type != "Deconvolution") == params


@pytest.mark.parametrize(
    ("name", "stride", "size", "wanted"),
    [
        (
            "vgg16",
            32,
            (500, 500),
            {"conv1_1": 698, "pool3": 88, "pool5": 22, "fc6": 16, "upscore": 544, "score": 500},
        ),
        ("vgg16", 16, (500, 500), {"upscore2": 34, "upscore16": 560}),
        ("vgg16", 8, (500, 500), {"upscore2": 34, "upscore_pool4": 70, "upscore8": 568}),
        (
            "vgg16",
            8,
            (375, 500),
            {"upscore2": (26, 34), "upscore_pool4": (54, 70), "upscore8": (440, 568)},
        ),
        (
            "alexnet",
            32,
            (375, 500),
            {"conv1": (142, 173), "pool5": (17, 21), "fc6": (12, 16), "upscore": (415, 543)},
        ),
    ],
)
def test_published_shapes(name, stride, size, wanted):
    plan = fk.fcn(template(name), classes=21, stride=stride, pad=100)
    rows = {
        row.name: row.shape for row in fk.inspect(plan.net, inputs={"data": (1, 3, *size)}).rows
    }
    for row, shape in wanted.items():
        assert rows[row][2:] == (shape if isinstance(shape, tuple) else (shape, shape)), row


@pytest.mark.parametrize("pad", [81, 82, 90, 100])
def test_the_offset_of_vgg_follows_the_padding(pad):
    offsets = {32: pad - 81, 16: pad - 73, 8: pad - 69}
    for stride, offset in offsets.items():
        try:
            plan = fk.fcn(template("vgg16"), classes=2, stride=stride, pad=pad, least=100)
        except AlignError:
            assert offset < 8
        else:
            assert plan.offsets[-1].offset == (offset, offset)
            assert [crop.offset[0] for crop in plan.offsets[:-1]] == [5, 9][: len(plan.offsets) - 1]


@pytest.mark.parametrize(("pad", "offset", "kernel"), [("keep", 1, 63), (100, 98, 63)])
def test_googlenet_has_its_published_offsets(pad, offset, kernel):
    plan = fk.fcn(GOOGLE, classes=3, stride=32, pad=pad, least=31)
    assert plan.offsets[-1].offset == (offset, offset) and plan.moves[-1].shape[-1] == kernel


@pytest.mark.parametrize(
    ("text", "offset"), [(RESNET, 29), (template("resnet50"), 29), (template("googlenet"), 1)]
)
def test_resnet_and_googlenet_need_no_more_padding(text, offset):
    plan = fk.fcn(text, classes=3, stride=32)
    assert plan.offsets[-1].offset == (offset, offset) and not [
        step for step in plan.steps if step.what.startswith("pad")
    ]


def test_squeezenet_stops_at_stride_16():
    with pytest.raises(
        NetError, match="its scores already have stride 16, finer than 32; choose from 16, 8, 4, 2"
    ):
        fk.fcn(template("squeezenet"), classes=3, stride=32)


# ---- the steps


def test_the_layers_have_the_authors_names():
    plan = fk.fcn(template("vgg16"), classes=21, stride=8, pad=100)
    names = [each.name for each in build(plan.net).layers]
    added = names[names.index("score_fr") :]
    assert added == [
        "score_fr",
        "upscore2",
        "score_pool4",
        "score_pool4c",
        "fuse_pool4",
        "upscore_pool4",
        "score_pool3",
        "score_pool3c",
        "fuse_pool3",
        "upscore8",
        "score",
    ]
    assert build(plan.net).outputs[0].blob == "score"


@pytest.mark.parametrize(
    ("name", "stride", "tops"),
    [
        ("squeeze", 8, {"fire4/concat"}),
        ("squeeze", 4, {"fire4/concat", "fire3/concat"}),
        ("resnet", 8, {"res4", "res3"}),
        ("google", 8, {"in4/concat", "in3/concat"}),
        ("google", 16, {"in4/concat"}),
    ],
)
def test_skips_start_from_the_deepest_block_of_each_stride(name, stride, tops):
    plan = fk.fcn(NETS[name], classes=3, stride=stride)
    scores = [
        each
        for each in build(plan.net).layers
        if each.name.startswith("score_") and each.type == "Convolution"
    ]
    assert {each.bottoms[0].blob for each in scores[1:]} == tops
    assert "/" not in "".join(each.name for each in scores)


def test_new_scores_start_from_zero_and_fresh_names():
    plan = fk.fcn(template("vgg16"), classes=5, stride=16, pad=100)
    moves = {(move.layer, move.blob): move for move in plan.moves}
    assert (
        moves["score_fr", 0].how
        == moves["score_pool4", 0].how
        == moves["score_pool4", 1].how
        == "zero"
    )
    assert moves["score_pool4", 0].shape == (5, 512, 1, 1) and moves["score_fr", 0].shape == (
        5,
        4096,
        1,
        1,
    )
    assert moves["upscore2", 0].how == "bilinear" and moves["fc6", 0].how == "copy"
    assert moves["fc8", 0].how == "drop"


def test_the_average_before_the_scores_goes():
    plan = fk.fcn(RESNET, classes=3, stride=32)
    assert [step.layer for step in plan.steps if step.verb == "remove"][-1] == "pool5"
    assert fk.inspect(plan.net).rows[-3].shape[2:] == (3, 3)


def test_an_average_that_is_not_the_last_stays():
    text = net(
        data(1, 3, 8, 8),
        conv("c", "data", 2, 3),
        ave("p", "c", "kernel_size: 2 stride: 2"),
        fc("fc", "p", 2),
    )
    assert not without_last_pooling(text, "fc").changed


def test_a_net_of_one_resolution():
    text = net(
        data(1, 3, 9, 9),
        conv("a", "data", 4, 3, "pad: 1"),
        conv("b", "a", 2, 1),
        path="flat.prototxt",
    )
    plan = fk.fcn(text, classes=3, stride=1)
    assert plan.offsets[-1].offset == (0, 0)


# ---- padding


@pytest.mark.parametrize(
    ("first", "written"),
    [
        ("num_output: 2 kernel_size: 3", "num_output: 2 kernel_size: 3 pad: 7"),
        ("num_output: 2 pad: 1 kernel_size: 3", "num_output: 2 pad: 7 kernel_size: 3"),
        ("num_output: 2 pad: 1 pad: 2 kernel_size: 3", "num_output: 2 pad: 7  kernel_size: 3"),
        ("num_output: 2 pad_h: 1 pad_w: 2 kernel_size: 3", "num_output: 2 pad: 7  kernel_size: 3"),
        ("num_output: 2 pad: [1, 2] kernel_size: 3", "num_output: 2 pad: [7] kernel_size: 3"),
        ("num_output: 2 kernel_size: [3, 3]", "num_output: 2 kernel_size: [3, 3] pad: 7"),
        ("num_output: 2, kernel_size: 3", "num_output: 2, kernel_size: 3 pad: 7"),
    ],
)
def test_padding_is_written_once(first, written):
    text = net(
        data(1, 1, 9, 9), layer("c", "Convolution", "data", more=f"convolution_param {{ {first} }}")
    )
    plan = pad_first(text, 7)
    assert build(plan.net).layer("c").param("convolution_param").list("pad") == [7]
    assert re.sub(" +", " ", written) in re.sub(" +", " ", plan.net.text)


def test_a_fork_s_own_padding_gives_way():
    own = "pad_t: 2 pad_b: 3 pad_l: 2 pad_r: 3"
    text = net(
        data(1, 3, 56, 56),
        conv("a", "data", 4, 7, f"stride: 2 {own}"),
        pool("p", "a", 2, 2),
        fc("fc", "p", 5),
    )
    plan = fk.fcn(text, classes=3, stride=4)
    pad = int(re.search(r"pad (\d+)", plan.table())[1])
    assert pad > 3 and f"stride: 2 pad: {pad} " in re.sub(" +", " ", plan.net.text)
    assert not re.search("pad_[tblr]", plan.net.text)


def test_every_convolution_that_reads_the_image_is_padded():
    text = graph(
        data(1, 1, 40, 40),
        relu("data"),
        conv("a", "data", 2, 3),
        conv("b", "data", 2, 3),
        layer("c", "Concat", "a", "b"),
        conv("d", "c", 2, 3),
    )
    assert [each.name for each in first_layers(text)] == ["a", "b"]
    assert pad_first(text.prototxt, 9).net.text.count("pad: 9") == 2


def test_an_image_that_is_pooled_first_cannot_be_padded():
    text = net(data(1, 1, 40, 40), pool("p", "data", 2, 2), conv("a", "p", 2, 9), fc("fc", "a", 2))
    with pytest.raises(NetError, match='"p": a Pooling reads the image.*use pad keep'):
        fk.fcn(text, classes=2, stride=2, pad=100)


@pytest.mark.parametrize("least", [1, 32, 64, 200])
def test_the_automatic_padding_is_the_smallest(least):
    for name, stride in (("alexnet", 32), ("vgg16", 8)):
        plan = fk.fcn(template(name), classes=2, stride=stride, least=least)
        pad = int(re.search(r"pad (\d+)", plan.table())[1])
        for smaller in (pad - 1, pad - 2, pad - 3):
            with pytest.raises(AlignError):
                fk.fcn(template(name), classes=2, stride=stride, pad=smaller, least=least)


# ---- refusals


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (template("vgg16"), {"stride": 7}, "no layer has stride 7; choose from 32, 16, 8, 4, 2"),
        (
            template("vgg16"),
            {"stride": 64},
            "its scores already have stride 32, finer than 64; choose from 32, 16,",
        ),
        (template("vgg16"), {"stride": 32, "pad": "some"}, 'pad "some"'),
        (template("vgg16"), {"stride": 32, "pad": -1}, "padding of -1"),
        (template("vgg16"), {"stride": 32, "pad": "keep"}, r'"conv1_1" by 81 more, 82 in all'),
        (template("vgg16"), {"stride": 32, "head": "nope"}, 'no layer "nope"'),
        (template("vgg16"), {"stride": 32, "head": "pool1"}, "its type is Pooling"),
        (template("vgg16"), {"stride": 32, "classes": 0}, "0 classes"),
        (
            net(data(1, 3, 9, 9), fc("a", "data", 3), fc("b", "data", 3)),
            {"stride": 1},
            r'"a" .*"b" .*--head',
        ),
        (
            net(data(1, 3, 9, 9), fc("a", "data", 3, "axis: 2")),
            {"stride": 1},
            'layer "a" stays an InnerProduct: .*axis 2',
        ),
        (net(data(1, 3, 9, 9), relu("data")), {"stride": 1}, "no InnerProduct or Convolution"),
        (net(""), {"stride": 1}, "no InnerProduct or Convolution"),
        (
            net(data(1, 3, 9, 9).replace("dim: 9", ""), fc("a", "data", 3)),
            {"stride": 1},
            "size of its top|4 axes|input_param",
        ),
    ],
)
def test_what_cannot_be_is_refused(text, options, message):
    with pytest.raises(NetError, match=message):
        fk.fcn(text, **({"classes": 3} | options))


# ---- real Caffe


def test_scores_have_the_images_size_at_every_odd_size(caffe):
    questions, wanted = [], []
    for name, text in NETS.items():
        for stride in (16, 8, 4) if name == "squeeze" else (32, 16, 8):
            for least in (32, 45):
                plan = fk.fcn(text, classes=3, stride=stride, least=least)
                for height, width in ((least, least + 1), (least + 3, least), (77, 95)):
                    questions.append(
                        caffe.Question("shapes", plan.net, inputs={"data": (1, 3, height, width)})
                    )
                    wanted.append((name, stride, (1, 3, height, width)))
    for answer, (name, stride, shape) in zip(caffe.ask(questions), wanted, strict=True):
        assert not isinstance(answer, Exception), (name, stride, shape, answer)
        assert answer["score"] == shape, (name, stride)


def test_caffe_builds_what_inspect_says(caffe):
    plans = [
        fk.fcn(thin("vgg16"), classes=4, stride=8, pad=100),
        fk.fcn(GOOGLE, classes=4, stride=8),
        fk.fcn(RESNET, classes=4, stride=16),
        *(
            fk.fcn(thin(name), classes=4, stride=8)
            for name in ("googlenet", "nin", "resnet50", "squeezenet")
        ),
    ]
    for plan, shapes in zip(
        plans, caffe.ask([caffe.Question("shapes", plan.net) for plan in plans]), strict=True
    ):
        rows = {row.name: row.shape for row in fk.inspect(plan.net).rows}
        assert all(shapes[name] == shape for name, shape in rows.items() if name in shapes)


def test_a_net_of_two_images_is_refused():
    both = (
        data(1, 3, 32, 32, name="rgb") + data(1, 1, 32, 32, name="depth") + conv("a", "rgb", 4, 3)
    )
    both += conv("b", "depth", 4, 3) + layer("cat", "Concat", "a", "b") + fc("fc", "cat", 5)
    with pytest.raises(
        NetError, match="its scores need 2 inputs, rgb, depth; an FCN has one input, the image"
    ):
        fk.fcn(net(both), classes=3, stride=1)


def test_a_net_of_stride_one_says_so():
    flat = net(data(1, 3, 9, 9), conv("c", "data", 4, 3), fc("fc", "c", 5))
    with pytest.raises(NetError, match="no layer has stride 8; choose from stride 1 only"):
        fk.fcn(flat, classes=3, stride=8)


# ---- axes of their own: signals, and strides that differ

SIGNAL = """layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 1 dim: %d dim: 96 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" convolution_param {
  num_output: 4 kernel_h: %d kernel_w: 7 stride_h: %d stride_w: 2 pad_h: 0 pad_w: 3 } }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: MAX kernel_h: 1 kernel_w: 2 stride_h: 1 stride_w: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool1" top: "fc"
  inner_product_param { num_output: 5 } }
"""
AXES = [(1, 1, 1, (1, 4)), (24, 5, 2, (2, 4))]


@pytest.mark.parametrize("rows, kernel, down, stride", AXES)
@pytest.mark.parametrize("finest", [4, 2])
def test_each_axis_has_its_own_factor(caffe, rows, kernel, down, stride, finest):
    """Every pixel is scored, and upsampling keeps what is the same everywhere."""
    before = fk.parse(SIGNAL % (rows, kernel, down))
    plan = fk.fcn(before, classes=3, stride=finest)
    start = fk.transplant(plan, random_weights(before))
    start = start.put("score_fr", [start["score_fr"][0].array() * 0, np.float32([1, 2, 3])])
    ups = [layer for layer in fk.build(plan.net).layers if layer.type == "Deconvolution"]
    assert {layer.name for layer in ups} <= set(start)
    for each in ups:
        square = len(set(spatial(each).kernel)) == 1
        assert each.param("convolution_param").has("weight_filler") is square
    for height, width in ((rows, 61), (rows, 97), (rows + 40, 200)):
        image = {"data": np.ones((1, 1, height, width), "f4")}
        (found,) = caffe.run_all(plan.net, start, [image], ["score"])
        assert found["score"].shape == (1, 3, height, width)
        inside = found["score"][0, :, :, 12:-12]
        inside = inside if rows == 1 else inside[:, 12:-12]
        for number, plane in enumerate(inside, 1):
            np.testing.assert_allclose(plane, number, rtol=1e-5)


def test_a_row_stays_a_row():
    plan = fk.fcn(fk.parse(SIGNAL % (1, 1, 1)), classes=3, stride=4)
    (first,) = first_layers(fk.build(plan.net))
    assert spatial(first).pad[0] == 0 < spatial(first).pad[1]
    assert shapes_of(fk.build(plan.net)).tops[fk.build(plan.net).top("pool1")][2] == 1


def test_a_signal_of_three_axes_is_to_be_an_image_of_one_row():
    text = SIGNAL.replace("dim: %d dim: 96", "dim: 96")
    text = text.replace("kernel_h: %d kernel_w: 7", "kernel_size: 7")
    text = text.replace("stride_h: %d stride_w: 2 pad_h: 0 pad_w: 3", "stride: 2")
    start, stop = text.index('layer { name: "pool1'), text.index('layer { name: "fc')
    text = (text[:start] + text[stop:]).replace('"pool1"', '"conv1"')
    with pytest.raises(NetError, match="an image of one row, 1 x 1 x 1 x 96"):
        fk.fcn(fk.parse(text), classes=3, stride=2)


# ---- weights without the classifier


def test_a_trunk_alone_is_taken_and_the_rest_is_said(tmp_path, caffe):
    text = template("alexnet")
    sizes = shapes_of(build(text))
    blobs = {each.name: sizes.blobs(each) for each in sizes.graph.layers}
    trunk = {name: [np.ones(shape) for shape in shapes] for name, shapes in blobs.items() if shapes}
    kept = {name: arrays for name, arrays in trunk.items() if name.startswith("conv")}
    for name, given in (("trunk", kept), ("other", {"zzz": [np.ones(3)]})):
        store.create().put_all(given).save(tmp_path / f"{name}.caffemodel")
    words = ["fcn", "template:alexnet", "--classes", "3", "--stride", "32"]
    words += ["-o", str(tmp_path / "out"), "--weights"]
    done = CliRunner().invoke(main, [*words, str(tmp_path / "other.caffemodel")])
    assert done.exit_code == 2
    assert "it has no layer of template:alexnet" in done.output
    done = CliRunner().invoke(main, [*words, str(tmp_path / "trunk.caffemodel")])
    assert done.exit_code == 0, done.output
    assert all(f'layer "{name}": left to the filler' in done.output for name in ("fc6", "fc7"))
    net = prototxt.read(tmp_path / "out" / "deploy.prototxt")
    found = caffe.params(net, tmp_path / "out" / "init.caffemodel")
    assert all((array == 1).all() for name in kept for array in found[name])


# ---- branches that lie apart

APART = """layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 24 dim: 24 } } }
layer { name: "stem" type: "Convolution" bottom: "data" top: "stem"
  convolution_param { num_output: 3 kernel_size: 1 } }
layer { name: "conv" type: "Convolution" bottom: "stem" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 stride: 2 pad: %d } }
layer { name: "pool" type: "Pooling" bottom: "stem" top: "pool"
  pooling_param { pool: MAX kernel_size: 2 stride: %d } }
layer { name: "both" type: "Concat" bottom: "conv" bottom: "pool" top: "both" }
layer { name: "gap" type: "Pooling" bottom: "both" top: "gap"
  pooling_param { pool: AVE global_pooling: true } }
layer { name: "fc" type: "InnerProduct" bottom: "gap" top: "fc"
  inner_product_param { num_output: 5 } }
"""


@pytest.mark.parametrize("stride", [1, 2])
def test_branches_that_lie_apart_are_accepted_where_it_is_asked(caffe, stride):
    before = fk.parse(APART % (1, 2))
    with pytest.raises(AlignError, match="branches lie 1/2 pixels .* accept it with --misaligned"):
        fk.fcn(before, classes=2, stride=stride)
    plan = fk.fcn(before, classes=2, stride=stride, misaligned=True)
    said = {step.layer: step.why for step in plan.steps if step.verb == "keep"}
    assert "its branches lie 1/2 pixels of the image apart; its first counts" in said["both"]
    start = fk.transplant(plan, random_weights(before))
    for height, width in ((32, 32), (33, 47), (101, 64)):
        image = {"data": np.ones((1, 3, height, width), "f4")}
        (found,) = caffe.run_all(plan.net, start, [image], ["score"])
        assert found["score"].shape == (1, 2, height, width)


def test_branches_of_another_scale_are_refused_all_the_same():
    text = (APART % (1, 2)).replace("kernel_size: 2 stride: 2", "kernel_size: 13 stride: 1")
    with pytest.raises(NetError, match="disagree|cannot be mapped|one path gives"):
        fk.fcn(fk.parse(text), classes=2, stride=2, misaligned=True)


def test_a_net_whose_branches_agree_is_the_same_with_it():
    before = template("googlenet")
    plans = [fk.fcn(before, classes=2, stride=32, misaligned=each) for each in (False, True)]
    assert plans[0].net.text == plans[1].net.text and plans[0].steps == plans[1].steps


@pytest.mark.parametrize("stride", [1, 2])
def test_what_cannot_help_is_not_advised(stride):
    """Branches that differ in size at odd sizes of the image, besides lying apart."""
    text = (APART % (1, 2)).replace(
        "kernel_size: 2 stride", "round_mode: FLOOR kernel_size: 2 stride"
    )
    with pytest.raises(AlignError, match="branches lie 1/2 pixels") as error:
        fk.fcn(fk.parse(text), classes=2, stride=stride)
    assert "misaligned" not in str(error.value)
    with pytest.raises(NetError, match="cannot be built for an input of 33 pixels") as error:
        fk.fcn(fk.parse(text), classes=2, stride=stride, misaligned=True)
    # The sizes are those of an image of 33 pixels in the net as it is.
    assert '"pool" is 1 x 3 x 16 x 16 and bottom "conv" is 1 x 4 x 17 x 17' in str(error.value)
    assert "pad the first layer" not in str(error.value)


# ---- padding that is not enough


SHORT = net(data(1, 3, 64, 64), conv("c1", "data", 8, 7, "stride: 2"), conv("c2", "c1", 8, 5))


@pytest.mark.parametrize("padding", ["keep", 0, 2])
def test_the_padding_that_is_asked_for_is_enough(padding):
    """At the far end of the image, too, and at every size."""
    with pytest.raises(AlignError) as caught:
        fk.fcn(SHORT, classes=3, stride=2, pad=padding)
    more, whole = map(
        int, re.search(r'pad layer "c1" by (\d+) more, (\d+) in all', str(caught.value)).groups()
    )
    assert more + (0 if padding == "keep" else padding) == whole
    made = fk.fcn(SHORT, classes=3, stride=2, pad=whole)
    assert made.net.text == fk.fcn(SHORT, classes=3, stride=2).net.text
    with pytest.raises(AlignError):
        fk.fcn(SHORT, classes=3, stride=2, pad=whole - 1)


# ---- the folder


@pytest.mark.parametrize("name", ["deploy.caffemodel", "deploy.prototxt", "net.ONNX", "a.zip"])
def test_a_folder_has_no_name_of_a_file(tmp_path, name):
    path = tmp_path / "net.prototxt"
    path.write_text(SHORT.text)
    words = ["fcn", str(path), "--classes", "3", "--stride", "2", "-o"]
    refused = CliRunner().invoke(main, [*words, str(tmp_path / name)])
    assert refused.exit_code == 2 and "would be a folder" in refused.output
    assert not (tmp_path / name).exists()
    assert CliRunner().invoke(main, [*words, f"{tmp_path / name}/"]).exit_code == 0
    assert CliRunner().invoke(main, [*words, str(tmp_path / name), "--force"]).exit_code == 0
