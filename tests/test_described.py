"""fcnkit.families: the descriptions beside the files that ship and those that were published."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sweeps
from click.testing import CliRunner
from google.protobuf import text_format

import fcnkit as fk
from fcnkit import families, templates
from fcnkit.cli.main import main
from fcnkit.engines.caffe import Question
from fcnkit.errors import NetError
from fcnkit.families import DEPLOY, FAMILIES, TRAIN_VAL
from fcnkit.formats import schema
from fcnkit.linting.walk import lint
from fcnkit.nets.graph import Layer, State, build

NET = schema.message("NetParameter")
TRAIN, TEST = State("TRAIN"), State("TEST")
SHIPPED = sorted(templates.NAMES & families.DESCRIBED.keys())
MADE = [name for name in families.DESCRIBED if name not in templates.NAMES]
# Parameters that learn, and multiply-adds: those of torchvision's models where it has the net.
# resnet101's and deeper blocks have their stride in the first convolution, as in the paper.
# MobileNet v2 has 1,088 parameters more than the paper's: its first block widens too, to as many.
PUBLISHED = {
    "densenet121": (7_978_856, 2_834_161_664),
    "densenet161": (28_681_000, 7_727_907_072),
    "densenet169": (14_149_480, 3_359_843_328),
    "densenet201": (20_013_928, 4_291_365_888),
    "mobilenet": (4_231_976, 568_740_352),
    "mobilenet_v2": (3_504_872 + 1_088, 429_111_936),
    "resnet18": (11_689_512, 1_814_073_344),
    "resnet34": (21_797_672, 3_663_761_408),
    "resnet101": (44_549_160, 7_570_194_432),
    "resnet152": (60_192_808, 11_282_415_616),
    "vgg11": (132_863_336, 7_609_090_048),
    "vgg13": (133_047_848, 11_308_466_176),
}


# ---- files that ship


def described(name, file):
    net = families.described(name)
    side = families.size(name)
    return net.to_prototxt() if file == TRAIN_VAL else net.to_deploy({"data": (1, 3, side, side)})


def message(text):
    return text_format.Parse(text, NET())


@pytest.mark.parametrize("file", [DEPLOY, TRAIN_VAL])
@pytest.mark.parametrize("name", SHIPPED)
def test_the_description_is_the_file_that_ships(name, file):
    shipped = templates.path(name, file).read_text()
    assert message(described(name, file).text) == message(shipped)


def test_what_ships_and_is_of_a_family_is_described():
    assert SHIPPED == ["alexnet", "googlenet", "resnet50", "squeezenet", "vgg16", "vgg19"]


def test_a_file_that_ships_is_read_and_any_other_template_is_made():
    assert families.template("vgg16").text == templates.path("vgg16").read_text()
    assert fk.template("vgg11").text == described("vgg11", DEPLOY).text
    assert fk.template("vgg11", TRAIN_VAL).text == described("vgg11", TRAIN_VAL).text
    assert fk.template("vgg11").path == "template:vgg11"


@pytest.mark.parametrize("file", sorted({file for file, _ in FAMILIES.values()}))
def test_a_description_is_one_screen(file):
    """Its functions are, below the table of its numbers."""
    lines = (Path(families.__file__).parent / f"{file}.py").read_text().splitlines()
    assert len(lines) - next(n for n, line in enumerate(lines) if line[:4] == "def ") <= 60


# ---- published facts


@pytest.mark.parametrize("name", MADE)
def test_published_sizes(name):
    table = fk.inspect(fk.template(name))
    learned = sum(row.params for row in table.rows if row.type != "BatchNorm")
    assert (learned, table.macs) == PUBLISHED[name]


def test_lint_finds_nothing_and_training_learns_what_is_deployed(family):
    nets = [described(family, file) for file in (DEPLOY, TRAIN_VAL)]
    assert [lint(net) for net in nets] == [(), ()]
    deployed, *trained = (
        [(layer.name, layer.type) for layer in build(net, state).layers if layer.bottoms]
        for net, state in ((nets[0], TEST), (nets[1], TRAIN), (nets[1], TEST))
    )
    for layers in trained:
        trunk = [
            (name, kind)
            for name, kind in layers
            if kind not in ("Accuracy", "SoftmaxWithLoss") and name[:6] not in ("loss1/", "loss2/")
        ]
        assert [*trunk, ("prob", "Softmax")] == deployed


_SYNOPSYS = "foss-for-synopsys-dwc-arc-processors+synopsys-caffe-models/caffe_models"
# The authors' own files, or copies of them, in the shared corpus; what theirs say otherwise.
FILES = {
    "alexnet": ("BXuan694+Caffe/models/bvlc_alexnet/train_val.prototxt", {"fc8"}),
    "googlenet": ("BVLC+caffe/models/bvlc_googlenet/train_val.prototxt", set()),
    "squeezenet": ("DeepScale+SqueezeNet/SqueezeNet_v1.1/train_val.prototxt", set()),
    "vgg16": ("SnailTyan+caffe-model-zoo/VGG16/train_val.prototxt", {"fc8", "my-fc8"}),
    "vgg19": ("SnailTyan+caffe-model-zoo/VGG19/train_val.prototxt", {"fc8", "my-fc8"}),
    "resnet50": ("KaimingHe+deep-residual-networks/prototxt/ResNet-50-deploy.prototxt", set()),
    "resnet101": ("chaosmail+caffejs/docs/assets/models/ResNet/ResNet-101-deploy.prototxt", set()),
    "resnet152": (
        "CSAILVision+places365/deploy_resnet152_hybrid1365.prototxt",
        {"fc1000", "fc1365"},
    ),
    # Their pool1 says ceil_mode: false, which only forks have.
    "densenet201": (f"{_SYNOPSYS}/densenet/caffe_model/201/DenseNet_201.prototxt", {"pool1"}),
    "densenet161": (
        "SnailTyan+caffe-model-zoo/DenseNet-161/train_val.prototxt",
        {"pool1", "fc6", "my-classifier"},
    ),
    # This copy has a pooling of 7 in place of the author's global one.
    "mobilenet": (f"{_SYNOPSYS}/mobilenet/caffe_model/deploy.prototxt", {"pool6"}),
    "mobilenet_v2": (f"{_SYNOPSYS}/mobilenet/caffe_model/mobilenet_v2_deploy.prototxt", set()),
}
# What is no matter of a layer's numbers, and what differs between training and deployment.
_APART = ("engine", "use_global_stats", "moving_average_fraction")
_ENDS = ("Input", "Data", "Accuracy", "SoftmaxWithLoss", "Softmax")


def layers(net, state):
    """Each layer and what its fields say, defaults too, without rates and fillers."""
    found = {}
    for layer in build(net, state).layers:
        if layer.type not in _ENDS:
            wires = [[top.blob for top in tops] for tops in (layer.bottoms, layer.tops)]
            found[layer.name] = (layer.type, *wires, fields(layer))
    return found


def fields(layer: Layer):
    from fcnkit.nets.layers.table import CAFFE

    name = CAFFE[layer.type].message
    view = layer.param(name) if name else None
    slots = schema.slots(view.message_name) if view else {}
    return {
        key: said(view, key, slot.repeated)
        for key, slot in slots.items()
        if not slot.message and key not in _APART
    }


def said(view, name, repeated):
    """What is said of a field; of those that repeat, what Caffe takes where none is there."""
    if not repeated:
        return view.get(name)
    return view.list(name) or {"pad": [0], "stride": [1], "dilation": [1]}.get(name, [])


@pytest.mark.parametrize("name", FILES)
def test_layers_are_those_of_the_published_file(name, shared):
    place, apart = FILES[name]
    published = fk.read(shared / "prototxts" / "repos" / place)
    file, state = (TRAIN_VAL, TRAIN) if "train_val" in place else (DEPLOY, TEST)
    theirs, ours = layers(published, state), layers(described(name, file), state)
    assert len(theirs) == len(ours) > 20
    assert {each for each in theirs.keys() | ours if theirs.get(each) != ours.get(each)} == apart


def test_pool1_of_densenet_rounds_down(caffe):
    net = fk.template("densenet121")
    (found,) = caffe.ask([Question("shapes", net)])
    assert found["pool1"] == (1, 64, 56, 56)


# ---- what becomes of them


def pytest_generate_tests(metafunc):
    """One net of each family, or with --corpus all; in Caffe those that take little memory."""
    if "family" in metafunc.fixturenames:
        quick = [f"{name}{min(depths, default='')}" for name, (_, depths) in FAMILIES.items()]
        if "caffe" in metafunc.fixturenames:
            quick = [name for name in quick if name not in ("alexnet", "vgg11")]
        every = metafunc.config.getoption("--corpus")
        metafunc.parametrize("family", list(families.DESCRIBED) if every else quick)


def test_real_caffe_builds_them_converts_them_and_scores_every_pixel(family, caffe):
    net = fk.template(family)
    trials = [sweeps.shapes(net), sweeps.convolutionalized(net), sweeps.fcn(net, 8)]
    shapes, converted, scored = sweeps.verdicts(trials, caffe)
    assert (shapes, scored) == (sweeps.EQUAL, sweeps.GOOD)
    assert converted in (sweeps.EQUAL, sweeps.NOTHING)


def test_real_caffe_has_the_published_parameters(family, caffe):
    (found,) = caffe.ask([Question("params", fk.template(family), values=False)])
    whole = sum(int(np.prod(shape)) for blobs in found.values() for shape in blobs)
    assert whole == fk.inspect(fk.template(family)).params


def test_each_slides_and_becomes_an_fcn(family):
    net = fk.template(family)
    whole = {"data": (1, 3, 353, 289)}
    dense = fk.inspect(fk.convolutionalize(net).net, inputs=whole).rows[-1].shape
    assert min(dense[2:]) > 1
    made = fk.fcn(net, classes=21, stride=8).net
    assert fk.inspect(made, inputs=whole).rows[-1].shape == (1, 21, 353, 289)


# ---- names


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("resnet19", "no such template; there are alexnet, caffenet, densenet121"),
        ("resnet18/solver.prototxt", "has no file 'solver.prototxt'; it has deploy.prototxt, tr"),
        ("vgg16/weights.npz", "has no file 'weights.npz'"),
    ],
)
def test_names_that_there_are_not(words, says):
    done = CliRunner().invoke(main, ["inspect", f"template:{words}"])
    assert done.exit_code == 2 and says in done.stderr


def test_a_net_without_a_description():
    with pytest.raises(NetError, match="template:nin: there is no description of it"):
        families.described("nin")


def test_the_training_net_on_the_command_line():
    done = CliRunner().invoke(main, ["inspect", "template:resnet18/train_val.prototxt"])
    assert done.exit_code == 0 and "SoftmaxWithLoss" in done.stdout


def test_what_ships_is_read_without_what_describes():
    code = (
        "import sys, fcnkit as fk; fk.template('vgg16');"
        "sys.exit(any(name.startswith('fcnkit.pycaffe') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
