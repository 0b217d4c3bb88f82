"""A plan proved: the net before on what the plan makes of the new net's image, against the new."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from sketches import conv, data, fc, layer, net, pool, relu, weights

import fcnkit as fk
from fcnkit.cli.main import main
from fcnkit.errors import NetError
from fcnkit.rewrites.operations import every
from fcnkit.verifying.differences import proven

pytestmark = pytest.mark.usefixtures("one_thread")

BODY = conv("c", "data", 6, 3, "pad: 1") + relu("c") + pool("p", "c", 2, 2) + conv("d", "p", 8, 3)
OPERATIONS = {each.name: each for each in every()}
NET = net(data(1, 3, 17, 17), BODY, fc("fc", "d", 5), layer("prob", "Softmax", "fc"))
LOSS = layer("loss", "SoftmaxWithLoss", "fc", "label")
SOURCE = layer(
    "d0", "Data", top="data", more='top: "label" data_param { source: "x" batch_size: 4 }'
)
TRAINED = net(SOURCE, BODY, fc("fc", "d", 5), LOSS)
SIZE = {"data": (1, 3, 17, 17)}
PLANS = {
    "nothing": lambda: fk.fold(NET),
    "conv": lambda: fk.convolutionalize(NET),
    "swap": lambda: fk.swap_channels(NET),
    "swap twice": lambda: fk.swap_channels(NET).then(fk.swap_channels),
    "gray": lambda: fk.to_gray(NET),
    "colour": lambda: fk.to_gray(NET).then(fk.to_colour),
    "channels": lambda: fk.add_channels(NET, 5, start="mean"),
    "bake": lambda: fk.bake(NET, (3.0, 4.0, 5.0), 0.5),
    "bake, swap": lambda: fk.bake(NET, (3.0, 4.0, 5.0)).then(fk.swap_channels),
    "classes": lambda: fk.reclass(NET, "fc", [3, None, 0]),
    "classes of classes": lambda: fk.reclass(NET, "fc", [3, None, 0]).then(
        fk.reclass, "fc", [2, 0]
    ),
    "classes, renamed": lambda: fk.reclass(NET, "fc", [4, 0]).then(fk.rename, {"fc": "score"}),
    "extract": lambda: fk.extract(NET, "c", "fc"),
    "resize": lambda: fk.convolutionalize(NET).then(fk.resize, "data", (1, 3, 40, 33)),
    "upsample": lambda: OPERATIONS["upsample"].rewrite(fk.extract(NET, None, "p").net, "p", "2"),
    "fcn": lambda: fk.fcn(NET, classes=4, stride=2),
    "fcn, padded": lambda: fk.fcn(NET, classes=4, stride=2, pad=20),
    "fcn, kept": lambda: fk.fcn(NET, stride=2, keep_scores=True),
    "fcn of a training net": lambda: fk.fcn(TRAINED, classes=4, stride=2, inputs=SIZE),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("w") / "net.caffemodel"
    weights(NET, path)
    return path


def proof(plan, *files, **options):
    return fk.verify_plan(plan, *files, engine="torch", inputs=SIZE, **options)


@pytest.mark.parametrize("name", PLANS)
def test_what_a_plan_keeps_is_equal_and_a_slip_is_seen(name, trained):
    plan = PLANS[name]()
    assert proven(proof(plan, trained))
    made = fk.transplant(plan, trained)
    spoilt = "d" if 'name: "d"' in plan.net.text else "c"
    blobs = [blob.array() for blob in made[spoilt]]
    slip = made.put(spoilt, [blobs[0] * np.float32(1.01), *blobs[1:]])
    assert not all(row.ok for row in proof(plan, trained, slip))


def test_channels_in_a_wrong_order_are_seen(trained):
    """The new net's channels are swapped, its weights are not."""
    plan = fk.swap_channels(NET)
    assert not all(row.ok for row in proof(plan, trained, fk.weights(trained)))


def test_other_classes_than_the_plan_says_are_seen(trained):
    plan, other = fk.reclass(NET, "fc", [3, 0]), fk.reclass(NET, "fc", [0, 3])
    assert not all(row.ok for row in proof(plan, trained, fk.transplant(other, trained)))


def test_scores_all_new_leave_nothing_to_compare(trained):
    text = net(data(1, 3, 17, 17), fc("fc", "data", 5))
    with pytest.raises(NetError, match="nothing that the old net computes is left to compare"):
        proof(fk.reclass(text, "fc", [None]), weights(text, trained.parent / "fc.caffemodel"))


def test_a_larger_image_is_compared_window_by_window(tmp_path):
    text = net(data(1, 3, 10, 10), conv("c", "data", 4, 3), pool("p", "c", 2, 2), fc("fc", "p", 5))
    trained = weights(text, tmp_path / "w.caffemodel")
    plan = fk.convolutionalize(text).then(fk.resize, "data", (1, 3, 20, 16))
    rows = fk.verify_plan(plan, trained, engine="torch")
    assert [row.output for row in rows] == ["fc", "fc of each window"]
    assert rows[-1].new_shape == (1, 5, 6, 4)
    assert proven(rows)
    other = fk.transplant(plan, trained)
    moved = [blob.array() * np.float32(1.01) for blob in other["c"]]
    assert not proven(fk.verify_plan(plan, trained, other.put("c", moved), engine="torch"))


def test_a_resized_net_is_compared_at_its_own_size(tmp_path):
    """A kernel that enlarges to a fixed size is right at one size alone: another shows it."""
    inner = 'layer { name: "u" type: "Interp" bottom: "c" top: "u" '
    text = net(data(1, 3, 10, 10), conv("c", "data", 4, 3)).text
    fixed = fk.parse(text + inner + "interp_param { height: 15 width: 15 } }")
    trained = weights(fixed, tmp_path / "w.caffemodel")
    bvlc = fk.bvlc(fixed)
    assert proven(fk.verify_plan(bvlc, trained, engine="torch"))
    with pytest.raises(NetError, match="give an input on which both have the same number"):
        fk.verify_plan(bvlc.then(fk.resize, "data", (1, 3, 18, 18)), trained, engine="torch")
    plain = net(data(1, 3, 10, 10), conv("c", "data", 4, 3))
    moved = fk.resize(plain, "data", (1, 3, 18, 12))
    rows = fk.verify_plan(moved, weights(plain, tmp_path / "p.caffemodel"), engine="torch")
    assert proven(rows) and rows[0].shape == (1, 4, 16, 10)


# ---- on the command line


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def files(tmp_path, trained):
    NET.save(tmp_path / "n.prototxt")
    return tmp_path / "n.prototxt", trained


def test_surgery_proves_the_files_that_it_writes(files, tmp_path):
    out = "--net-out", tmp_path / "o.prototxt", "-o", tmp_path / "o.caffemodel"
    words = "surgery", *files, "--do", "swap", "--do", "classes=fc:1,0", *out
    found = run(*words, "--verify", "--engine", "torch", "--json")
    assert found.exit_code == 0
    verdict = json.loads(found.stdout)["verify"]
    assert verdict["proven"]
    assert verdict["engines"][0]["engine"] == "torch"
    assert verdict["engines"][0]["version"]
    named = [str(path) for path in (*files, out[1], out[3])]
    assert list(verdict["files"]) == named
    assert all(len(digest) == 64 for digest in verdict["files"].values())


def test_convolutionalize_and_fcn_prove(files, tmp_path):
    conv_ = "convolutionalize", files[0], "--weights", files[1], "--weights-out"
    found = run(*conv_, tmp_path / "c.caffemodel", "--verify", "--engine", "torch")
    assert found.exit_code == 0
    assert "fc: equal; max |difference|" in found.stdout
    assert "by torch 2" in found.stdout
    fcn = "fcn", files[0], "--classes", "3", "--stride", "2", "--weights", files[1]
    found = run(*fcn, "-o", tmp_path / "fcn", "--verify", "--engine", "torch")
    assert found.exit_code == 0, found.output
    assert "d: equal" in found.stdout


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        (("--do", "pad=d:1", "--verify"), "--do pad changes what the net computes"),
        (
            ("--do", "swap", "--engine", "torch"),
            "give --verify with --engine",
        ),
    ],
)
def test_what_cannot_be_proved_is_refused(words, fact, files):
    found = run("surgery", *files, *words)
    assert found.exit_code == 2
    assert fact in found.stderr
    found = run("surgery", files[0], "--do", "swap", "--verify")
    assert "--verify runs the nets and needs their weights" in found.stderr


def test_dropping_a_layer_that_does_nothing_in_use_is_proved(tmp_path):
    dropout = layer("dropped", "Dropout", "p", top="q")
    text = net(data(1, 3, 8, 8), conv("c", "data", 4, 3), relu("c"), pool("p", "c", 2, 2), dropout,
               fc("fc", "q", 5))  # fmt: skip
    text.save(tmp_path / "n.prototxt")
    weights(text, tmp_path / "n.caffemodel")
    words = "surgery", tmp_path / "n.prototxt", tmp_path / "n.caffemodel", "--verify"
    found = run(*words, "--engine", "torch", "--do", "drop=dropped")
    assert found.exit_code == 0 and "fc: equal;" in found.stdout
    for others in ("c", "dropped,fc", "dropped,none"):
        found = run(*words, "--engine", "torch", "--do", f"drop={others}")
        assert found.exit_code == 2 and "fc: equal" not in found.stdout


def test_every_operation_says_whether_it_keeps_values():
    changing = {each.name for each in every() if not each.keeps_values}
    assert changing == {"decimate", "drop", "filters", "pad"}


# ---- layers, windows, images, several engines


@pytest.fixture
def both(files, tmp_path):
    plan = fk.convolutionalize(NET, rename={"fc": "conv"})
    plan.net.save(tmp_path / "c.prototxt")
    fk.transplant(plan, fk.weights(files[1])).save(tmp_path / "c.caffemodel")
    return (*files, tmp_path / "c.prototxt", tmp_path / "c.caffemodel")


def test_every_layer_is_compared_and_the_first_that_differs_is_named(both, tmp_path):
    found = run("verify", *both, "--layers", "--map", "fc=conv", "--engine", "torch")
    assert found.exit_code == 0
    assert "6 layers compared: all equal" in found.stdout
    assert "fc -> conv" in found.stdout
    held = fk.weights(both[3])
    blobs = [blob.array() * np.float32(1.1) for blob in held["d"]]
    held.put("d", blobs).save(tmp_path / "bad.caffemodel")
    found = run("verify", *both[:3], tmp_path / "bad.caffemodel", "--layers", "--engine", "torch")
    assert found.exit_code == 1
    assert f"{both[2]}:" in found.stdout
    assert 'layer "d" is the first that differs' in found.stdout
    assert "only in the old net: fc\nonly in the new net: conv\n" in found.stdout
    shown = run("verify", *both, "--layers", "--json", "--engine", "torch")
    (one,) = json.loads(shown.stdout)["engines"]
    assert [row["layer"] for row in one["layers"]] == ["c", "relu_c", "p", "d", "prob"]


@pytest.mark.parametrize("pair, place", [("fc=foo", 2), ("foo=conv", 0)])
def test_a_pair_of_layers_that_are_not_there_is_an_error(both, pair, place):
    found = run("verify", *both, "--layers", "--map", pair, "--engine", "torch")
    assert found.exit_code == 2
    assert f'{both[place]}: has no layer "foo", which the map names' in found.stderr


def test_rows_of_a_table_that_nothing_looks_up_are_said(tmp_path):
    param = "embed_param { input_dim: 10 num_output: 3 bias_term: false }"
    text = net(data(1, 4), layer("e", "Embed", "data", more=param))
    saved = weights(text, tmp_path / "e.caffemodel")
    found = fk.verify_layers(text, saved, text, engine="torch")
    assert 'of the 10 rows of "e", which no value of the input looks up' in found.unseen
    enough = fk.verify_layers(text, saved, text, engine="torch", inputs={"data": (1, 40)})
    assert not enough.unseen
    text.save(tmp_path / "e.prototxt")
    words = [tmp_path / "e.prototxt", tmp_path / "e.caffemodel"] * 2
    done = run("verify", *words, "--layers", "--engine", "torch")
    assert done.exit_code == 1
    assert "not tested: " in done.stderr


def test_a_layer_of_another_count_is_named(files):
    plan = fk.pad(fk.extract(NET, None, "d").net, "c", 2)
    found = fk.verify_layers(NET, files[1], plan.net, engine="torch")
    assert found.first.layer == "c"
    assert found.first.found is None
    assert (found.first.shape, found.first.new_shape) == ((1, 6, 17, 17), (1, 6, 19, 19))


def test_windows_slide(tmp_path):
    text = net(data(1, 3, 10, 10), conv("c", "data", 4, 3), pool("p", "c", 2, 2), fc("fc", "p", 5))
    old = tmp_path / "w.caffemodel"
    weights(text, old)
    plan = fk.convolutionalize(text)
    text.save(tmp_path / "a.prototxt")
    plan.net.save(tmp_path / "b.prototxt")
    fk.transplant(plan, old).save(tmp_path / "b.caffemodel")
    words = "verify", tmp_path / "a.prototxt", old, tmp_path / "b.prototxt"
    found = run(*words, tmp_path / "b.caffemodel", "--slide", "--engine", "torch")
    assert found.exit_code == 0, found.output
    assert "fc: equal; max |difference|" in found.stdout
    assert "over 1 x 5 x 4 x 4 values" in found.stdout


def test_windows_that_see_their_neighbours_are_said(both):
    found = run("verify", *both, "--slide", "--engine", "torch")
    assert found.exit_code == 1
    assert 'layer "c" pads its input' in found.stderr


def test_real_images_and_several_engines_side_by_side(both, tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(3)
    for name in "ab":
        Image.fromarray(rng.integers(0, 255, (30, 40, 3), np.uint8)).save(
            tmp_path / "photos" / f"{name}.png"
        )
    words = "verify", *both, "--images", tmp_path / "photos", "--mean", "100"
    found = run(*words, "--engine", "torch,onnx", "--tolerance", "0.001")
    assert found.stdout.startswith("relative difference")
    assert "by torch" in found.stdout
    assert "on 2 images" in found.stdout
    assert "onnx" in found.stdout.splitlines()[0]


def test_the_seed_is_used_and_said(both):
    words = "verify", *both, "--engine", "torch", "--seed"
    first, second = run(*words, "1"), run(*words, "2")
    assert "on noise of seed 1" in first.stdout
    assert first.stdout.splitlines()[0] != second.stdout.splitlines()[0]


# ---- trained nets of others, in real Caffe


SQUEEZENET = "squeezenet_v1.0_imagenet"


@pytest.mark.parametrize(
    "plan",
    [
        lambda net: fk.swap_channels(net).then(fk.bake, (104.0, 117.0, 123.0)),
        lambda net: fk.reclass(net, "conv_final", [281, 282, None]),
        lambda net: fk.fcn(net, classes=21, stride=16),
        lambda net: fk.fcn(net, stride=16, keep_scores=True),
    ],
    ids=["swap and bake", "classes", "fcn", "scores kept"],
)
def test_trained_nets_are_proved_in_real_caffe(plan, shared, caffe):
    folder = shared / "models" / SQUEEZENET
    saved = folder / "squeezenet_v1.0_deepcompressed.caffemodel"
    made = plan(fk.read(folder / "SqueezeNet_deploy.prototxt"))
    assert proven(fk.verify_plan(made, saved, engine="caffe"))
    transplanted = fk.transplant(made, fk.weights(saved))
    first = [blob.array() for blob in transplanted["conv1"]]
    slip = transplanted.put("conv1", [first[0] * np.float32(1.02), *first[1:]])
    assert not all(row.ok for row in fk.verify_plan(made, saved, slip, engine="caffe"))


def test_a_trained_net_as_a_module_computes_what_caffe_does(shared, caffe):
    folder = shared / "models" / "lenet_v1"
    deploy, saved = folder / "lenet.prototxt", folder / "lenet_iter_10000.caffemodel"
    back = fk.weights(fk.module(deploy, saved))
    assert proven(fk.verify(fk.read(deploy), saved, fk.read(deploy), back, engine="caffe"))


def test_a_layer_that_takes_in_the_next_one_is_not_compared_with_what_it_was(tmp_path):
    """NVCaffe's BatchNorm holds its Scale; of a Scale by 0 nothing shows the BatchNorm alone."""
    scaled = layer("s", "Scale", "b", more="scale_param { bias_term: true }")
    layers = conv("c", "data", 4, 3), layer("b", "BatchNorm", "c"), scaled, relu("s")
    old = net(data(1, 3, 9, 9), *layers, conv("d", "s", 4, 3))
    weights(old, tmp_path / "net.caffemodel")
    values = fk.weights(tmp_path / "net.caffemodel")
    values = values.put("b", [np.zeros(4), np.ones(4), np.ones(1)])
    plan = fk.fork(old, "nvcaffe")
    assert proven(fk.verify_plan(plan, values))
    rows = fk.verify_plan(plan, values.put("s", [np.zeros(4), np.arange(1, 5)]))
    assert all(row.ok for row in rows)
    assert "not tested: b, which no output shows" in rows[-1].unseen


def test_a_comparison_is_printed_in_lines_of_80_columns(trained):
    rows = fk.verify_plan(fk.convolutionalize(NET), trained, engine="torch")
    lines = str(rows).splitlines()
    assert max(map(len, lines)) <= 80
    flat = " ".join(str(rows).split())
    assert all(" ".join(row.head.split()) in flat for row in rows)
    assert "by torch" in flat and "noise of seed 0" in flat


def test_windows_are_compared_with_a_convolutional_net(files):
    found = run("verify", *files, *files, "--slide", "--engine", "torch")
    assert found.exit_code == 2
    assert "have no height and width; give the net that `fcnkit convolutionalize`" in found.stderr
