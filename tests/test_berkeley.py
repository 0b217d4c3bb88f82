"""The FCN authors' nets from their classifiers, message for message apart from the data layers.

What is expected is written here from the published nets' tables: their layer
names, windows, offsets and rates.
"""

import re

import pytest
from google.protobuf import text_format

import fcnkit as fk
from fcnkit import templates
from fcnkit.errors import NetError
from fcnkit.formats.schema import message
from fcnkit.rewrites import berkeley

VGG = [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)]
RATES = "param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 } "
FIXED = "param { lr_mult: 0 } "


def net(text):
    return text_format.Parse(text, message("NetParameter")())


def layer(name, kind, bottoms, body="", top=None):
    wires = "".join(f'bottom: "{bottom}" ' for bottom in bottoms.split())
    return f'layer {{ name: "{name}" type: "{kind}" {wires}top: "{top or name}" {body} }}\n'


def conv(name, bottom, param, rates=RATES):
    return layer(name, "Convolution", bottom, f"{rates}convolution_param {{ {param} }}")


def relu(name, blob):
    return layer(name, "ReLU", blob, top=blob)


def pool(name, bottom, kernel):
    return layer(
        name, "Pooling", bottom, f"pooling_param {{ pool: MAX kernel_size: {kernel} stride: 2 }}"
    )


def drop(name, blob):
    return layer(name, "Dropout", blob, "dropout_param { dropout_ratio: 0.5 }", top=blob)


def score(name, bottom, classes):
    return conv(name, bottom, f"num_output: {classes} pad: 0 kernel_size: 1")


def up(name, bottom, classes, kernel, stride):
    param = f"num_output: {classes} bias_term: false kernel_size: {kernel} stride: {stride}"
    return layer(name, "Deconvolution", bottom, f"{FIXED}convolution_param {{ {param} }}")


def crop(name, bottoms, offset):
    return layer(name, "Crop", bottoms, f"crop_param {{ axis: 2 offset: {offset} }}")


def fuse(name, bottoms):
    return layer(name, "Eltwise", bottoms, "eltwise_param { operation: SUM }")


def scale(name, bottom, factor):
    return layer(
        name,
        "Scale",
        bottom,
        f'{FIXED}scale_param {{ filler {{ type: "constant" value: {factor} }} }}',
    )


def loss(name, bottoms, normalize="false"):
    return layer(
        name,
        "SoftmaxWithLoss",
        bottoms,
        f"loss_param {{ ignore_label: 255 normalize: {normalize} }}",
    )


def vgg_trunk(dropout=True):
    text, bottom = "", "data"
    for block, (channels, depth) in enumerate(VGG, 1):
        for number in range(1, depth + 1):
            name = f"conv{block}_{number}"
            pad = 100 if name == "conv1_1" else 1
            text += conv(
                name, bottom, f"num_output: {channels} pad: {pad} kernel_size: 3 stride: 1"
            )
            text += relu(f"relu{block}_{number}", name)
            bottom = name
        text += pool(f"pool{block}", bottom, 2)
        bottom = f"pool{block}"
    for number, kernel, bottom in ((6, 7, "pool5"), (7, 1, "fc6")):
        text += conv(
            f"fc{number}", bottom, f"num_output: 4096 pad: 0 kernel_size: {kernel} stride: 1"
        )
        text += relu(f"relu{number}", f"fc{number}")
        text += drop(f"drop{number}", f"fc{number}") if dropout else ""
    return text


def caffenet_trunk():
    text, bottom = "", "data"
    table = [
        ("conv1", 96, 100, 11, 1, 4, True, True),
        ("conv2", 256, 2, 5, 2, 1, True, True),
        ("conv3", 384, 1, 3, 1, 1, False, False),
        ("conv4", 384, 1, 3, 2, 1, False, False),
        ("conv5", 256, 1, 3, 2, 1, True, False),
    ]
    for name, channels, pad, kernel, group, stride, pooled, normed in table:
        param = (
            f"num_output: {channels} pad: {pad} kernel_size: {kernel} group: {group} stride: "
            f"{stride}"
        )
        text += conv(name, bottom, param, "") + relu(f"relu{name[-1]}", name)
        bottom = name
        if pooled:
            text += pool(f"pool{name[-1]}", bottom, 3)
            bottom = f"pool{name[-1]}"
        if normed:
            text += layer(
                f"norm{name[-1]}",
                "LRN",
                bottom,
                "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }",
            )
            bottom = f"norm{name[-1]}"
    for number, kernel, bottom in ((6, 6, "pool5"), (7, 1, "fc6")):
        param = f"num_output: 4096 pad: 0 kernel_size: {kernel} group: 1 stride: 1"
        text += conv(f"fc{number}", bottom, param, "") + relu(f"relu{number}", f"fc{number}")
        text += drop(f"drop{number}", f"fc{number}")
    return text


def head(stride, classes, suffix="", factors=(None, None)):
    """The layers from score_fr to the last crop."""
    text = score(f"score_fr{suffix}", "fc7", classes)
    if stride == 32:
        text += up(f"upscore{suffix}", f"score_fr{suffix}", classes, 64, 32)
        return text + crop(f"score{suffix}", f"upscore{suffix} data", 19)
    text += skip("upscore2", f"score_fr{suffix}", "pool4", 5, classes, suffix, factors[0])
    if stride == 16:
        text += up(f"upscore16{suffix}", f"fuse_pool4{suffix}", classes, 32, 16)
        return text + crop(f"score{suffix}", f"upscore16{suffix} data", 27)
    text += skip("upscore_pool4", f"fuse_pool4{suffix}", "pool3", 9, classes, suffix, factors[1])
    text += up(f"upscore8{suffix}", f"fuse_pool3{suffix}", classes, 16, 8)
    return text + crop(f"score{suffix}", f"upscore8{suffix} data", 31)


def skip(upscore, bottom, source, offset, classes, suffix, factor):
    upscore, scores = f"{upscore}{suffix}", f"score_{source}{suffix}"
    text = up(upscore, bottom, classes, 4, 2)
    text += scale(f"scale_{source}{suffix}", source, factor) if factor else ""
    text += score(scores, f"scale_{source}{suffix}" if factor else source, classes)
    text += crop(f"{scores}c", f"{scores} {upscore}", offset)
    return text + fuse(f"fuse_{source}{suffix}", f"{upscore} {scores}c")


def made(name, **options):
    source = fk.read(templates.path(name))
    return fk.fcn(source, pad=100, group=False, **options).net


def without_data(prototxt):
    parsed = net(prototxt.text)
    kept = [one for one in parsed.layer if one.type not in ("Data", "Input")]
    del parsed.layer[:]
    parsed.layer.extend(kept)
    return parsed


VOC = [(stride, classes) for classes in (21, 40, 60) for stride in (32, 16, 8)]


@pytest.mark.parametrize(("stride", "classes"), VOC)
def test_vgg_nets_equal_the_published_ones(stride, classes):
    expected = net(vgg_trunk() + head(stride, classes) + loss("loss", "score label"))
    for split in ("train", "val"):
        ours = berkeley.trained(made("vgg16", classes=classes, stride=stride), split=split).net
        assert without_data(ours) == expected


def test_voc_fcn8s_at_once():
    ours = berkeley.trained(made("vgg16", classes=21, stride=8, at_once=True), split="train").net
    scaled = head(8, 21, factors=(0.01, 0.0001))
    assert without_data(ours) == net(vgg_trunk() + scaled + loss("loss", "score label"))


def test_voc_fcn_alexnet():
    ours = berkeley.trained(made("caffenet", classes=21, stride=32), split="train").net
    top = (
        score("score_fr", "fc7", 21)
        + up("upscore", "score_fr", 21, 63, 32)
        + crop("score", "upscore data", 18)
    )
    assert without_data(ours) == net(caffenet_trunk() + top + loss("loss", "score label", "true"))


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_siftflow_has_two_heads(stride):
    ours = berkeley.trained(
        made("vgg16", classes={"sem": 33, "geo": 3}, stride=stride), split="train"
    ).net
    sem = head(stride, 33, "_sem") + loss("loss", "score_sem sem")
    geo = head(stride, 3, "_geo") + loss("loss_geo", "score_geo geo")
    assert without_data(ours) == net(vgg_trunk() + sem + geo)


def test_voc_fcn8s_deploy():
    ours = net(berkeley.deployed(made("vgg16", classes=21, stride=8)).net.text)
    shape = "input_param { shape { dim: 1 dim: 3 dim: 500 dim: 500 } }"
    feed = f'layer {{ name: "input" type: "Input" top: "data" {shape} }}'
    assert ours == net(feed + vgg_trunk(dropout=False) + head(8, 21))
    assert len(ours.layer) == 47


@pytest.mark.parametrize(
    ("file", "options", "split", "names"),
    [
        ("voc-fcn32s/val", {"stride": 32}, "val", {}),
        ("voc-fcn8s/train", {"stride": 8}, "train", {}),
        ("voc-fcn8s/val", {"stride": 8}, "val", {}),
        (
            "voc-fcn8s-atonce/train",
            {"stride": 8, "at_once": True},
            "train",
            {"fc6_1": "fc6", "fc7_1": "fc7"},
        ),
    ],
)
def test_it_equals_somebody_elses_copy_of_the_published_file(shared, file, options, split, names):
    """Apart from the data layers, and from names that the copy has changed."""
    text = (shared / f"prototxts/repos/aabramovrepo+caffe/pascal-voc/{file}.prototxt").read_text()
    for theirs, ours in names.items():
        text = text.replace(f'"{theirs}"', f'"{ours}"')
    expected = [each for each in net(text).layer if each.bottom]
    plan = fk.fcn(fk.read(templates.path("vgg16")), classes=21, group=False, pad=100, **options)
    found = net(berkeley.trained(plan.net, split=split).net.text)
    assert [each for each in found.layer if each.bottom] == expected


def test_a_classifier_that_writes_its_fields_otherwise_gives_the_same_net():
    """The train_val template has fillers, rates and one-line layers; none of that is left."""
    inputs = {"data": (1, 3, 224, 224)}
    source = fk.read(templates.path("vgg16", "train_val.prototxt"))
    ours = fk.fcn(source, classes=21, stride=8, pad=100, group=False, inputs=inputs).net
    expected = without_data(
        berkeley.trained(made("vgg16", classes=21, stride=8), split="train").net
    )
    assert without_data(berkeley.trained(ours, split="train").net) == expected


SOLVERS = [
    ("vgg16", 21, 32, False, 1e-10, 0.99, 1, 736, 100_000),
    ("vgg16", 21, 16, False, 1e-12, 0.99, 1, 736, 100_000),
    ("vgg16", 21, 8, False, 1e-14, 0.99, 1, 736, 100_000),
    ("vgg16", 21, 8, True, 1e-10, 0.99, 1, 736, 100_000),
    ("vgg16", 40, 32, False, 1e-10, 0.99, 1, 654, 300_000),
    ("vgg16", 60, 8, False, 1e-14, 0.99, 1, 5105, 300_000),
    ("vgg16", {"sem": 33, "geo": 3}, 16, False, 1e-12, 0.99, 1, 200, 300_000),
    ("vgg16", {"sem": 33, "geo": 3}, 8, False, 1e-12, 0.99, 1, 200, 300_000),
    ("caffenet", 21, 32, False, 1e-4, 0.9, 20, 736, 100_000),
]


@pytest.mark.parametrize(
    ("name", "classes", "stride", "at_once", "rate", "momentum", "images", "tests", "iterations"),
    SOLVERS,
)
def test_solvers_are_those_published(
    name, classes, stride, at_once, rate, momentum, images, tests, iterations
):
    ours = made(name, classes=classes, stride=stride, at_once=at_once)
    text = berkeley.solver(ours, stride=stride, at_once=at_once).text
    solver = text_format.Parse(text, message("SolverParameter")())
    assert solver.base_lr == pytest.approx(rate, rel=1e-6)
    assert solver.momentum == pytest.approx(momentum, rel=1e-6)
    assert (solver.iter_size, list(solver.test_iter), solver.max_iter) == (
        images,
        [tests],
        iterations,
    )
    assert (solver.train_net, list(solver.test_net)) == ("train.prototxt", ["val.prototxt"])


def test_a_window_that_is_not_square_is_refused():
    text = made("vgg16", classes=21, stride=32).text.replace(
        "kernel_size: 7", "kernel_h: 7 kernel_w: 6"
    )
    with pytest.raises(NetError, match=r'layer "fc6": its window is not square'):
        berkeley.deployed(fk.parse(text, "net"))


def test_a_dropout_that_says_nothing_goes_like_any_other():
    said = made("vgg16", classes=21, stride=32)
    silent = fk.parse(re.sub(r"dropout_param \{[^}]*\}", "", said.text), "net")
    assert "dropout_ratio" in said.text and "dropout_ratio" not in silent.text
    for split in ("train", "val"):
        assert net(berkeley.trained(silent, split=split).net.text) == net(
            berkeley.trained(said, split=split).net.text
        )
    assert net(berkeley.deployed(silent).net.text) == net(berkeley.deployed(said).net.text)


def test_a_convolution_without_bias_has_one_rate():
    text = made("vgg16", classes=21, stride=32).text
    text = text.replace("kernel_size: 7", "kernel_size: 7 bias_term: false")
    layers = net(berkeley.deployed(fk.parse(text, "net")).net.text).layer
    assert [[rate.lr_mult for rate in each.param] for each in layers if each.name == "fc6"] == [[1]]
