"""The FCN authors' nets from their classifiers, message for message apart from the data layers.

What is expected is written here from the published nets' tables: their layer
names, windows, offsets and rates.
"""

import re

import pytest
from berkeley_nets import (
    caffenet_trunk,
    crop,
    head,
    layer,
    loss,
    net,
    score,
    up,
    vgg_trunk,
)
from google.protobuf import text_format

import fcnkit as fk
from fcnkit import templates
from fcnkit.errors import NetError
from fcnkit.formats.schema import message
from fcnkit.rewrites import berkeley


def made(name, **options):
    source = fk.read(templates.path(name))
    return fk.fcn(source, pad=100, group=False, **options).net


def without_data(prototxt):
    parsed = net(prototxt.text)
    kept = [one for one in parsed.layer if one.type not in ("Data", "Python", "Input")]
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


EARLY = {"early": {"color": "bgr", "depth": "d"}}, {"color": 3, "depth": 1}
LATE = {"late": ("color", "hha")}, {"color": 3, "hha": 3}


@pytest.mark.parametrize("split", ["train", "val"])
def test_nyud_fcn32s_color_d_is_fused_early(split):
    options, fused = EARLY
    source = made("vgg16", classes=40, stride=32, **options)
    ours = berkeley.trained(source, split=split, fused=fused).net
    stacked = layer("data", "Concat", "color depth")
    trunk = vgg_trunk(first="conv1_1_bgrd")
    assert without_data(ours) == net(stacked + trunk + head(32, 40) + loss("loss", "score label"))


@pytest.mark.parametrize("split", ["train", "val"])
def test_nyud_fcn32s_color_hha_is_fused_late(split):
    options, fused = LATE
    source = made("vgg16", classes=40, stride=32, **options)
    ours = berkeley.trained(source, split=split, fused=fused).net
    trunks = "".join(
        vgg_trunk(bottom=name, suffix=name) + score(f"score_fr{name}", f"fc7{name}", 40)
        for name in fused
    )
    mean = layer(
        "score_fused",
        "Eltwise",
        "score_frcolor score_frhha",
        "eltwise_param { operation: SUM coeff: 0.5 coeff: 0.5 }",
    )
    top = up("upscore", "score_fused", 40, 64, 32) + crop("score", "upscore color", 19)
    assert without_data(ours) == net(trunks + mean + top + loss("loss", "score label"))


@pytest.mark.parametrize(("options", "fused"), [EARLY, LATE])
def test_each_fused_image_has_a_data_layer(options, fused):
    source = made("vgg16", classes=40, stride=32, **options)
    layers = net(berkeley.trained(source, split="val", fused=fused).net.text).layer[:4]
    sources = [each.data_param.source for each in layers[:3]]
    assert sources == [f"val_{name}_lmdb" for name in (*fused, "label")]
    assert layers[3].type == ("Concat" if "depth" in fused else "Convolution")


def test_the_deploy_net_of_several_images_has_one_input():
    text = berkeley.deployed(made("vgg16", classes=40, stride=32, **LATE[0])).net.text
    first, second = net(text).layer[:2]
    assert list(first.input_param.shape[0].dim) == [1, 6, 500, 500]
    assert (second.type, list(second.top)) == ("Slice", ["color", "hha"])
    assert (second.slice_param.axis, list(second.slice_param.slice_point)) == (1, [3])


SIFT_FLOW = {"sem": 33, "geo": 3}
PUBLISHED = [
    *((f"voc-fcn{stride}s", 21, stride, {}, None) for stride in (32, 16, 8)),
    ("voc-fcn8s-atonce", 21, 8, {"at_once": True}, None),
    ("voc-fcn-alexnet", 21, 32, {}, None),
    *((f"pascalcontext-fcn{stride}s", 60, stride, {}, None) for stride in (32, 16, 8)),
    *(
        (f"siftflow-fcn{stride}s", {"sem": 33, "geo": 3}, stride, {}, None)
        for stride in (32, 16, 8)
    ),
    ("nyud-fcn32s-color", 40, 32, {}, None),
    ("nyud-fcn32s-hha", 40, 32, {}, None),
    ("nyud-fcn32s-color-d", 40, 32, *EARLY),
    ("nyud-fcn32s-color-hha", 40, 32, *LATE),
]


@pytest.mark.parametrize(("name", "classes", "stride", "options", "fused"), PUBLISHED)
def test_all_fifteen_equal_the_authors_own_files(shared, name, classes, stride, options, fused):
    """Nets without data layers; solvers but for the names of files and SIFT Flow's snapshots."""
    folder = shared / "prototxts/repos/shelhamer+fcn.berkeleyvision.org" / name
    if not folder.is_dir():
        pytest.skip(f"the data folder has not the authors' own {name}")
    classifier = "caffenet" if name == "voc-fcn-alexnet" else "vgg16"
    source = made(classifier, classes=classes, stride=stride, **options)
    for ours, theirs in (("train", "trainval"), ("val", "test")):
        file = next(each for each in (ours, theirs) if (folder / f"{each}.prototxt").is_file())
        expected = without_data(fk.read(folder / f"{file}.prototxt"))
        assert without_data(berkeley.trained(source, split=ours, fused=fused).net) == expected
    how = {"at_once": "at_once" in options, "late": "late" in options}
    made_solver = message("SolverParameter")()
    text_format.Parse(berkeley.solver(source, stride=stride, **how).text, made_solver)
    wanted = text_format.Parse((folder / "solver.prototxt").read_text(), type(made_solver)())
    gone = ["train_net", "test_net"] + ["snapshot", "snapshot_prefix"] * name.startswith("sift")
    for solver in (made_solver, wanted):
        for field in gone:
            solver.ClearField(field)
    assert made_solver == wanted


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
    ("vgg16", 21, 8, True, 1e-10, 0.99, 1, 736, 300_000),
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
    assert solver.snapshot == (2000 if classes == 40 else 4000)


def test_late_fusion_is_one_stage_more():
    source = made("vgg16", classes=40, stride=32, **LATE[0])
    text = berkeley.solver(source, stride=32, late=True).text
    solver = text_format.Parse(text, message("SolverParameter")())
    assert solver.base_lr == pytest.approx(1e-12, rel=1e-6)
    assert list(solver.test_iter) == [654] and solver.max_iter == 300_000


def test_an_image_is_not_called_as_the_labels_are():
    source = made("vgg16", classes=40, stride=32, early={"label": "bgr", "depth": "d"})
    with pytest.raises(NetError, match='"label" would be the blob of both the labels and'):
        berkeley.trained(source, split="val", fused={"label": 3, "depth": 1})


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
