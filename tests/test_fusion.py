"""FCNs of several images, fused early or late: the nets, their weights, and real Caffe."""

import re

import numpy as np
import pytest
from click.testing import CliRunner
from sketches import conv, data, fc, net, pool, relu, weights

import fcnkit as fk
from fcnkit import templates
from fcnkit.cli.main import main
from fcnkit.errors import NetError
from fcnkit.nets.graph import build
from fcnkit.plan import Move
from fcnkit.rewrites.fcn import fcn
from fcnkit.weights import store

EARLY = {"color": "bgr", "depth": "d"}
LATE = ("color", "hha")
VOC = {"classes": 5, "stride": 32, "pad": 100, "group": False}
SMALL = (
    data(1, 3, 16, 16)
    + conv("c1", "data", 4, 3, "pad: 1")
    + relu("c1")
    + pool("p1", "c1", 2, 2)
    + conv("c2", "p1", 5, 3, "pad: 1")
    + pool("p2", "c2", 2, 2)
    + fc("top", "p2", 7)
)


def vgg():
    """VGG-16 with a sixteenth of its channels."""
    text = (templates.path("vgg16")).read_text()
    thinner = re.sub(r"num_output: (\d+)", lambda found: f"num_output: {int(found[1]) // 16}", text)
    return fk.parse(thinner, "vgg.prototxt")


# ---- laws


def test_a_fused_net_is_the_net_of_one_image_apart_from_its_first_layer():
    one, early = fcn(vgg(), **VOC), fcn(vgg(), **VOC, early=EARLY)
    text = early.net.text.replace("conv1_1_bgrd", "conv1_1")
    assert text.replace("dim: 4", "dim: 3") == one.net.text


def test_each_trunk_is_that_of_the_net_of_one_image():
    one, late = build(fcn(vgg(), **VOC).net), build(fcn(vgg(), **VOC, late=LATE).net)
    trunk = [each for each in one.layers if each.bottoms][:-2]
    for image in LATE:
        for layer_ in trunk:
            other = late.layer(f"{layer_.name}{image}")
            text = other.field.source.text[other.field.start : other.field.stop]
            own = layer_.field.source.text[layer_.field.start : layer_.field.stop]
            names = text.replace(f'{image}"', '"').replace('bottom: ""', 'bottom: "data"')
            assert names.split() == own.split()


def test_the_order_is_that_of_the_images():
    plan = fcn(net(SMALL), classes=2, stride=4, late=("a", "b", "c"))
    names = [each.name for each in build(plan.net).layers]
    trunk = ["c1", "relu_c1", "p1", "c2", "p2", "score_fr"]
    expected = ["data", "images", *(f"{name}{image}" for image in "abc" for name in trunk)]
    assert names == [*expected, "score_fused", "upscore", "score"]
    (offset,) = plan.offsets
    assert offset.reference == "a"


def test_all_skips_and_heads_are_fused():
    plan = fcn(net(SMALL), classes={"x": 2, "y": 3}, stride=1, at_once=True, late=("a", "b"))
    graph = build(plan.net)
    fused = {each.name for each in graph.layers if each.name.endswith("_fused")}
    skips = {f"score_{place}_{head}_fused" for place in ("p1", "c1") for head in "xy"}
    assert fused == skips
    assert graph.layer("score_fused_x").bottoms[1].blob == "score_fr_xb"
    assert graph.layer("scale_p1_xb").bottoms[0].blob == "p1b"
    cropped = {each.cropped for each in plan.offsets if each.layer.startswith("score_p1")}
    assert cropped <= fused | {"upscore2_x", "upscore2_y"}
    assert [top.blob for top in graph.outputs] == ["score_x", "score_y"]


def test_shared_parameters_are_shared_within_a_trunk():
    text = SMALL.replace("convolution_param", 'param { name: "w" } convolution_param')
    text = text.replace("num_output: 5", "num_output: 4").replace("dim: 3", "dim: 4")
    graph = build(fcn(net(text), classes=2, stride=4, late=("a", "b")).net)
    names = {
        each.name: [param.get("name") for param in each.view.views("param")]
        for each in graph.layers
        if each.name.startswith("c")
    }
    assert names == {"c1a": ["wa"], "c2a": ["wa"], "c1b": ["wb"], "c2b": ["wb"]}


def listed(text):
    """The layers as elements of one list."""
    layers = re.findall(r"layer (\{.*?\}) (?=layer|$)", f"{' '.join(text.split())} ")
    return f"layer: [ {', '.join(layers)} ]"


LEGACY = 'input: "data" input_dim: 1 input_dim: 3 input_dim: 16 input_dim: 16\n'
LAYOUTS = {
    "one line": " ".join(SMALL.split()),
    "a list": listed(SMALL),
    "input fields": LEGACY + SMALL[SMALL.index('layer {\n  name: "c1"') :],
    "lines of Windows": SMALL.replace("\n", "\r\n"),
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("options", [{"late": LATE}, {"early": EARLY}])
def test_the_layout_of_the_file_does_not_matter(name, options):
    plans = [
        fcn(fk.parse(text, "net"), classes=2, stride=1, at_once=True, **options)
        for text in (SMALL, LAYOUTS[name])
    ]
    wires = [
        [(each.type, each.bottoms, each.tops) for each in build(plan.net).layers] for plan in plans
    ]
    assert wires[0] == wires[1] and plans[0].moves == plans[1].moves


# ---- weights


def test_early_the_new_channel_is_the_mean_of_the_old_ones(tmp_path):
    """As nyud-fcn32s-color-d/solve.py has it: data[:, 3] = np.mean(data, axis=1)."""
    old = weights(vgg(), tmp_path / "old")
    new = fk.transplant(fcn(vgg(), **VOC, early=EARLY), old)
    was, now = old["conv1_1"][0].array(), new["conv1_1_bgrd"][0].array()
    np.testing.assert_array_equal(now[:, :3], was)
    np.testing.assert_allclose(now[:, 3], was.mean(axis=1), rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(new["conv1_1_bgrd"][1].array(), old["conv1_1"][1].array())
    assert "conv1_1" not in new and not new["score_fr"][0].array().any()


def test_late_both_trunks_are_the_classifiers(tmp_path):
    old = weights(vgg(), tmp_path / "old")
    new = fk.transplant(fcn(vgg(), **VOC, late=LATE), old)
    for name in set(old) - {"fc8"}:
        for image in LATE:
            for mine, its in zip(new[f"{name}{image}"], old[name], strict=True):
                assert mine.array().tobytes() == its.array().tobytes()
    trunk = {f"{name}{image}" for name in {*old, "score_fr"} - {"fc8"} for image in LATE}
    assert set(new) == trunk | {"upscore"}


def test_no_tensor_is_computed_but_the_first():
    early, late = fcn(vgg(), **VOC, early=EARLY), fcn(vgg(), **VOC, late=LATE)
    plain = {"copy", "drop", "zero", "bilinear"}
    assert {move.how for move in late.moves} == plain
    mixed = [move for move in early.moves if move.how not in plain]
    assert [(move.layer, move.blob, move.how) for move in mixed] == [("conv1_1_bgrd", 0, "mix")]
    assert Move("fc6hha", 0, (256, 32, 7, 7), "fc6") in late.moves


# ---- refusals


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"early": {"color": "bgr"}}, "early fusion of 1 image; name two"),
        ({"early": {"depth": "d", "color": "bgr"}}, '"depth" has 1 channel, and the net\'s im'),
        (
            {"early": {"data": "bgr", "depth": "d"}},
            '"data" is the blob that the images are joined into',
        ),
        ({"early": {"color": "bgr", "depth": ""}}, "channels are called ''; give one letter"),
        ({"early": {"co/lor": "bgr", "depth": "d"}}, "the image 'co/lor' is to be fused; name"),
        ({"late": ("color",)}, "late fusion of 1 image"),
        ({"late": ("color", "")}, "the image '' is to be fused; name it with letters"),
        ({"late": ("color", "color")}, 'late fusion of "color" twice'),
        ({"late": ("score", "hha")}, 'late fusion adds "score", but the net already has one'),
        ({"late": ("data", "hha")}, 'late fusion adds "data"'),
        ({"late": ("c1", "hha")}, 'late fusion adds "c1"'),
    ],
)
def test_what_cannot_be_fused_is_refused(options, words):
    with pytest.raises(NetError, match=words):
        fcn(net(SMALL), classes=2, stride=4, **options)


def test_they_are_not_fused_twice():
    with pytest.raises(ValueError, match="either early or late"):
        fcn(net(SMALL), classes=2, stride=4, early=EARLY, late=LATE)


# ---- the command


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def classifier(tmp_path):
    path = tmp_path / "vgg.prototxt"
    path.write_text(vgg().text)
    weights(vgg(), tmp_path / "vgg.caffemodel")
    return "fcn", path, "--classes", 40, "--stride", 32


@pytest.mark.parametrize("style", ["fcnkit", "berkeley"])
def test_a_mean_is_shared_out(classifier, style, tmp_path):
    how = (*classifier, "--style", style, "--early", "color=bgr,depth=d", "-o", tmp_path / "out")
    refused = run(*how, "--mean", "1,2,3")
    assert refused.exit_code == 2 and "3 mean values for images of 4 channels" in refused.output
    assert not (tmp_path / "out").exists()
    assert run(*how, "--mean", "1,2,3,4").exit_code == 0
    train = "train.prototxt" if style == "berkeley" else "train_val.prototxt"
    layers = build(fk.read(tmp_path / "out" / train)).layers
    means = [each.param("transform_param").list("mean_value") for each in layers[:2]]
    assert means == ([[1, 2, 3], [4]] if style == "berkeley" else [[1, 2, 3, 4], []])
    deploy = build(fk.read(tmp_path / "out" / "deploy.prototxt"))
    assert deploy.layers[0].input_shapes[0][1] == 4


def test_one_mean_is_for_all_images(classifier, tmp_path):
    how = ("--style", "berkeley", "--late", "a,b", "--mean", "7", "-o", tmp_path / "out")
    assert run(*classifier, *how).exit_code == 0
    layers = build(fk.read(tmp_path / "out" / "val.prototxt")).layers
    assert [each.param("transform_param").list("mean_value") for each in layers[:2]] == [[7], [7]]
    sources = [each.param("data_param").get("source") for each in layers[:3]]
    assert sources == ["val_a_lmdb", "val_b_lmdb", "val_label_lmdb"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--early", "color=bgr,depth=d", "--late", "a,b"), "exclude each other; give one"),
        (("--early", "color"), "write it as color=bgr,depth=d"),
        (("--late", "color"), "late fusion of 1 image; name two or more"),
        (("--late", "label,hha", "--style", "berkeley"), '"label" would be the blob of both'),
        (("--late", "a,b", "--weights", "a=x.caffemodel"), "has files for a; give a file for each"),
        (("--late", "a,b", "--weights", "a=x,b="), "give a file for each of a, b, or one file for"),
    ],
)
def test_the_command_refuses(classifier, words, says, tmp_path):
    refused = run(*classifier, *words, "-o", tmp_path / "out")
    assert refused.exit_code == 2 and says in refused.output
    assert not (tmp_path / "out").exists()


def test_without_a_mean_it_says_how_many(classifier, tmp_path):
    how = ("--weights", tmp_path / "vgg.caffemodel", "--late", "a,b", "-o", tmp_path / "out")
    made = run(*classifier, *how)
    assert made.exit_code == 0
    assert "give --mean with a number for each of 6 channels" in made.stderr
    assert run(*classifier, *how, "--force", "--mean", "1,2,3,4,5,6").exit_code == 0


def test_each_trunk_may_have_weights_of_its_own(classifier, tmp_path):
    """As solve.py of nyud-fcn32s-color-hha: from two nets that were trained, with a suffix each."""
    one = fcn(vgg(), classes=40, stride=32)
    trained = weights(one.net, tmp_path / "trained.caffemodel", seed=3)
    files = f"a={tmp_path / 'vgg.caffemodel'},b={tmp_path / 'trained.caffemodel'}"
    made = run(*classifier, "--late", "b,a", "--weights", files, "-o", tmp_path / "out")
    assert made.exit_code == 0, made.output
    found = store.open(tmp_path / "out" / "init.caffemodel")
    old = store.open(tmp_path / "vgg.caffemodel")
    for name in set(old) - {"fc8"}:
        for at in range(2):
            assert found[f"{name}a"][at].array().tobytes() == old[name][at].array().tobytes()
            own = trained[name][at].array()
            assert found[f"{name}b"][at].array().tobytes() == own.tobytes()
    assert not found["score_fra"][0].array().any()
    assert (found["score_frb"][0].array() == trained["score_fr"][0].array()).all()


def test_weights_that_lack_a_layer_are_refused(classifier, tmp_path):
    one = fcn(vgg(), classes=40, stride=32)
    weights(one.net, tmp_path / "whole").drop("conv3_2").save(tmp_path / "less.caffemodel")
    files = ",".join(f"{name}={tmp_path / 'less.caffemodel'}" for name in "ab")
    refused = run(*classifier, "--late", "a,b", "--weights", files, "-o", tmp_path / "out")
    assert refused.exit_code == 2 and not (tmp_path / "out").exists()
    assert 'no layer "conv3_2", which the trunk of "a" needs' in refused.output


# ---- real Caffe


def computed(caffe, plan, file, image, blobs):
    (found,) = caffe.run_all(plan.net, file, [{"data": image}], blobs)
    return [found[blob] for blob in blobs]


def scored(plan, file, seed):
    """The weights, with scores that are not zero."""
    random = np.random.default_rng(seed)
    names = [name for name in file if name.startswith("score_fr")]
    shapes = {name: [blob.shape for blob in file[name]] for name in names}
    one = {f: random.normal(0, 0.1, s).astype("f4") for f, s in enumerate(shapes[names[0]])}
    return file.put_all({name: [one[0], one[1]] for name in names})


@pytest.mark.parametrize("size", [(61, 83), (33, 45)])
def test_caffe_runs_early_fusion_at_odd_sizes(caffe, tmp_path, size):
    old = weights(vgg(), tmp_path / "old.caffemodel")
    one, early = fcn(vgg(), **VOC), fcn(vgg(), **VOC, early=EARLY)
    files = [scored(plan, fk.transplant(plan, old), 3) for plan in (one, early)]
    image = np.random.default_rng(1).uniform(-50, 50, (1, 4, *size)).astype("f4")
    (fused,) = computed(caffe, early, files[1], image, ["score"])
    assert fused.shape == (1, 5, *size) and np.abs(fused).max() > 0
    # The new channel has the mean of the old weights: it is to them a gray image over the image.
    (gray,) = computed(caffe, one, files[0], image[:, :3] + image[:, 3:] / 3, ["score"])
    np.testing.assert_allclose(fused, gray, atol=1e-4 * np.abs(gray).max())


@pytest.mark.parametrize("size", [(61, 83), (33, 45)])
def test_caffe_runs_late_fusion_at_odd_sizes(caffe, tmp_path, size):
    old = weights(vgg(), tmp_path / "old.caffemodel")
    one, late = fcn(vgg(), **VOC), fcn(vgg(), **VOC, late=LATE)
    files = [scored(plan, fk.transplant(plan, old), 3) for plan in (one, late)]
    image = np.random.default_rng(2).uniform(-50, 50, (1, 6, *size)).astype("f4")
    (fused,) = computed(caffe, late, files[1], image, ["score"])
    apart = [
        computed(caffe, one, files[0], part, ["score"])[0] for part in (image[:, :3], image[:, 3:])
    ]
    mean = (apart[0] + apart[1]) / 2
    assert fused.shape == (1, 5, *size) and np.abs(apart[0] - apart[1]).max() > 0
    np.testing.assert_allclose(fused, mean, atol=1e-4 * np.abs(mean).max())
