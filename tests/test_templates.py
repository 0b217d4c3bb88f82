"""The networks that ship with fcnkit: published sizes, agreement of their files, real Caffe."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from caffe_training import trained
from test_cli import run

import fcnkit as fk
from fcnkit import preprocessing, templates
from fcnkit.datasets.colours import read_colours
from fcnkit.errors import NetError
from fcnkit.formats import prototxt, schema
from fcnkit.linting.walk import lint
from fcnkit.nets import graph, shapes

ROOT = Path(templates.__file__).parent
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("*/*.prototxt"))
SOLVERS = [file for file in FILES if file.endswith("/solver.prototxt")]
NETS = [file for file in FILES if file not in SOLVERS]
TRAINED = [name for name in templates.NAMES if (ROOT / name / "train_val.prototxt").exists()]
TRAIN, TEST = graph.State("TRAIN"), graph.State("TEST")

# name: parameters, multiply-adds of a forward pass, shape that reaches the first InnerProduct if
# there is one
PUBLISHED = {
    "alexnet": (60_965_224, 724_406_816, (1, 256, 6, 6)),
    "caffenet": (60_965_224, 724_406_816, (1, 256, 6, 6)),
    "vgg16": (138_357_544, 15_470_264_320, (1, 512, 7, 7)),
    "vgg19": (143_667_240, 19_632_062_464, (1, 512, 7, 7)),
    "googlenet": (6_998_552, 1_582_671_872, (1, 1024, 1, 1)),
    # 25,557,032 that learn, a bias that He's conv1 has and others' has not, and BatchNorm's
    # statistics.
    "resnet50": (25_557_032 + 64 + 53_173, 3_857_973_248, (1, 2048, 1, 1)),
    "squeezenet": (1_235_496, 387_747_520, None),
    "nin": (7_595_176, 1_100_188_800, None),
    "lenet": (431_080, None, (1, 50, 4, 4)),
    "digits": (55_179, None, (1, 32, 4, 4)),
}
# Heads that only help to train: what the names of their layers begin with, and all parameters with
# them.
AUXILIARY = ("loss1/", "loss2/")
TRAINING = {"googlenet": 13_378_280}
INCEPTION = (
    "1x1 relu_1x1 3x3_reduce relu_3x3_reduce 3x3 relu_3x3 5x5_reduce relu_5x5_reduce 5x5 relu_5x5 "
    "pool pool_proj relu_pool_proj output"
)
FIRE = "squeeze1x1 relu_squeeze1x1 expand1x1 relu_expand1x1 expand3x3 relu_expand3x3 concat"


def modules(names: str, parts: str) -> str:
    """Every part of every module, as "fire2/concat"."""
    return " ".join(f"{name}/{part}" for name in names.split() for part in parts.split())


def vgg(block: int, count: int) -> str:
    """The layers of one block of VGG."""
    layers = " ".join(f"conv{block}_{each} relu{block}_{each}" for each in range(1, count + 1))
    return f"{layers} pool{block} "


def branch(name: str, last: str = "relu") -> str:
    """A convolution, its BatchNorm and Scale, and its ReLU unless `last` is empty."""
    return f"res{name} bn{name} scale{name} " + (f"res{name}_relu " if last else "")


def bottleneck(name: str) -> str:
    """The layers of one bottleneck; a stage's first has a convolution on its shortcut."""
    shortcut = branch(f"{name}_branch1", "") if name.endswith("a") else ""
    inner = branch(f"{name}_branch2a") + branch(f"{name}_branch2b") + branch(f"{name}_branch2c", "")
    return f"{shortcut}{inner}res{name} res{name}_relu "


def stage(number: int, bottlenecks: int) -> str:
    """The layers of one stage of ResNet."""
    return "".join(bottleneck(f"{number}{letter}") for letter in "abcdef"[:bottlenecks])


LAYERS = {
    "alexnet": "data conv1 relu1 norm1 pool1 conv2 relu2 norm2 pool2 "
    "conv3 relu3 conv4 relu4 conv5 relu5 pool5 fc6 relu6 drop6 fc7 relu7 drop7 fc8 prob",
    "caffenet": "data conv1 relu1 pool1 norm1 conv2 relu2 pool2 norm2 "
    "conv3 relu3 conv4 relu4 conv5 relu5 pool5 fc6 relu6 drop6 fc7 relu7 drop7 fc8 prob",
    "lenet": "data conv1 pool1 conv2 pool2 ip1 relu1 ip2 prob",
    "vgg19": f"data {vgg(1, 2)}{vgg(2, 2)}{vgg(3, 4)}{vgg(4, 4)}{vgg(5, 4)}"
    "fc6 relu6 drop6 fc7 relu7 drop7 fc8 prob",
    "googlenet": "data conv1/7x7_s2 conv1/relu_7x7 pool1/3x3_s2 pool1/norm1 conv2/3x3_reduce "
    "conv2/relu_3x3_reduce conv2/3x3 conv2/relu_3x3 conv2/norm2 pool2/3x3_s2 "
    f"{modules('inception_3a inception_3b', INCEPTION)} pool3/3x3_s2 "
    f"{modules('inception_4a inception_4b inception_4c inception_4d inception_4e', INCEPTION)} "
    f"pool4/3x3_s2 "
    f"{modules('inception_5a inception_5b', INCEPTION)} "
    "pool5/7x7_s1 pool5/drop_7x7_s1 loss3/classifier prob",
    "resnet50": "data conv1 bn_conv1 scale_conv1 conv1_relu pool1 "
    f"{stage(2, 3)}{stage(3, 4)}{stage(4, 6)}{stage(5, 3)}pool5 fc1000 prob",
    "squeezenet": f"data conv1 relu_conv1 pool1 {modules('fire2 fire3', FIRE)} pool3 "
    f"{modules('fire4 fire5', FIRE)} pool5 {modules('fire6 fire7 fire8 fire9', FIRE)} "
    "drop9 conv10 relu_conv10 pool10 prob",
    "nin": "data conv1 relu0 cccp1 relu1 cccp2 relu2 pool0 conv2 relu3 cccp3 relu5 cccp4 relu6 "
    "pool2 "
    "conv3 relu7 cccp5 relu8 cccp6 relu9 pool3 drop "
    "conv4-1024 relu10 cccp7-1024 relu11 cccp8-1024 relu12 pool4 prob",
}
PARAMETERS = {
    ("alexnet", "conv1"): 34_944,
    ("alexnet", "fc6"): 37_752_832,
    ("alexnet", "fc7"): 16_781_312,
    ("alexnet", "fc8"): 4_097_000,
    ("vgg16", "fc6"): 102_764_544,
    ("vgg19", "fc6"): 102_764_544,
    ("googlenet", "loss3/classifier"): 1_025_000,
    ("resnet50", "fc1000"): 2_049_000,
    ("squeezenet", "conv10"): 513_000,
    ("nin", "conv4-1024"): 3_539_968,
}


def read(name: str, file: str = "deploy.prototxt") -> prototxt.Prototxt:
    return prototxt.read(templates.path(name, file))


def built(name: str, file: str = "deploy.prototxt", state: graph.State = TEST) -> graph.Graph:
    return graph.build(read(name, file), state)


def learned(name: str, file: str, state: graph.State) -> list[tuple]:
    """Name, type and parameter shapes of the layers that hold parameters."""
    net = built(name, file, state)
    data = shapes.shapes_of(built(name)).tops[built(name).top("data")]
    found = shapes.shapes_of(net, {"data": data})
    return [
        (layer.name, layer.type, found.blobs(layer)) for layer in net.layers if found.blobs(layer)
    ]


@pytest.mark.parametrize("file", NETS)
def test_every_net_is_valid(file):
    net = prototxt.read(ROOT / file)
    schema.check("NetParameter", net.root)
    assert all(graph.build(net, state).layers for state in graph.states(net))


@pytest.mark.parametrize("file", SOLVERS)
def test_every_solver_is_valid_and_names_the_net_beside_it(file):
    solver = prototxt.read(ROOT / file)
    schema.check("SolverParameter", solver.root)
    assert (ROOT / file).with_name(schema.View("SolverParameter", solver.root).get("net")).exists()


@pytest.mark.parametrize("name", templates.NAMES)
def test_lint_finds_nothing(name):
    assert lint(read(name)) == ()
    assert lint(read(name, "train_val.prototxt"), solver=read(name, "solver.prototxt")) == ()


def test_a_template_is_read_by_its_name():
    net = fk.template("lenet")
    assert net.path == "template:lenet" and net.text == templates.path("lenet").read_text()
    with pytest.raises(NetError, match="template:lenett: no such template"):
        fk.template("lenett")


def test_the_digits_have_a_colour_for_each_class():
    known = read_colours(templates.path("digits", "colours.txt"))
    assert known.names == tuple(templates.path("digits", "classes.txt").read_text().split())


def test_the_list_of_names_is_complete():
    assert sorted(templates.NAMES) == sorted(
        path.parent.name for path in ROOT.glob("*/deploy.prototxt")
    )
    assert set(TRAINED) == set(templates.NAMES) == {Path(file).parent.name for file in SOLVERS}


@pytest.mark.parametrize("name", templates.NAMES)
def test_train_val_learns_what_deploy_uses(name):
    deploy = learned(name, "deploy.prototxt", TEST)
    assert deploy
    for state in (TRAIN, TEST):
        layers = learned(name, "train_val.prototxt", state)
        trunk = [layer for layer in layers if not layer[0].startswith(AUXILIARY)]
        assert trunk == deploy and (layers == trunk) == (name not in TRAINING)


@pytest.mark.parametrize("name", templates.NAMES)
def test_every_learning_layer_has_a_filler_and_a_rate_for_its_weights_and_for_its_biases(name):
    net = built(name, "train_val.prototxt", TRAIN)
    for layer in net.layers:
        message = {"Convolution": "convolution_param", "InnerProduct": "inner_product_param"}.get(
            layer.type
        )
        if message:
            param = layer.param(message)
            biased = param.get("bias_term")
            assert param.has("weight_filler") and param.has("bias_filler") == biased, layer.name
            assert rates(layer, "lr_mult") == [1, 2][: 1 + biased], layer.name


def rates(layer: graph.Layer, field: str) -> list[float]:
    return [param.get(field) for param in layer.view.views("param")]


def test_each_batch_norm_of_resnet_has_a_scale_that_learns_for_it():
    layers = built("resnet50", "train_val.prototxt", TRAIN).layers
    norms = [place for place, layer in enumerate(layers) if layer.type == "BatchNorm"]
    assert len(norms) == 53 == sum(layer.type == "Scale" for layer in layers)
    for norm, scale in ((layers[place], layers[place + 1]) for place in norms):
        # Caffe gives BatchNorm's three blobs the rate 0 by itself.
        assert not norm.view.has("param") and scale.type == "Scale"
        assert scale.param("scale_param").get("bias_term")
        assert rates(scale, "lr_mult") == [1, 1] and rates(scale, "decay_mult") == [0, 0]


def test_resnet_has_biases_in_its_first_convolution_alone():
    convolutions = [layer for layer in built("resnet50").layers if layer.type == "Convolution"]
    biased = [
        layer.name for layer in convolutions if layer.param("convolution_param").get("bias_term")
    ]
    assert len(convolutions) == 53 and biased == ["conv1"]


@pytest.mark.parametrize("state", [TRAIN, TEST], ids=lambda state: state.phase)
def test_googlenet_trains_with_two_auxiliary_heads_of_weight_three_tenths(state):
    losses = [
        layer
        for layer in built("googlenet", "train_val.prototxt", state).layers
        if layer.type == "SoftmaxWithLoss"
    ]
    assert [(loss.name, loss.view.list("loss_weight")) for loss in losses] == [
        ("loss1/loss", [pytest.approx(0.3)]),
        ("loss2/loss", [pytest.approx(0.3)]),
        ("loss3/loss3", []),
    ]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(name):
    parameters, macs, first = PUBLISHED[name]
    net = built(name)
    found = shapes.shapes_of(net)
    assert sum(found.parameters(layer) for layer in net.layers) == parameters
    assert macs is None or sum(found.macs(layer) for layer in net.layers) == macs
    dense = [found.tops[layer.bottoms[0]] for layer in net.layers if layer.type == "InnerProduct"]
    assert dense[:1] == ([first] if first else [])


@pytest.mark.parametrize("name, layer", PARAMETERS)
def test_published_parameters_of_a_layer(name, layer):
    net = built(name)
    assert shapes.shapes_of(net).parameters(net.layer(layer)) == PARAMETERS[name, layer]


@pytest.mark.parametrize("name", LAYERS)
def test_published_layer_names_in_order(name):
    assert [layer.name for layer in built(name).layers] == LAYERS[name].split()


def test_alexnet_and_caffenet_share_every_parameter_shape():
    assert learned("alexnet", "deploy.prototxt", TEST) == learned(
        "caffenet", "deploy.prototxt", TEST
    )


@pytest.mark.parametrize("name", ["alexnet", "caffenet"])
def test_second_fourth_and_fifth_convolution_have_two_groups(name):
    groups = {
        layer.name: layer.param("convolution_param").get("group")
        for layer in built(name).layers
        if layer.type == "Convolution"
    }
    assert groups == {"conv1": 1, "conv2": 2, "conv3": 1, "conv4": 2, "conv5": 2}


@pytest.mark.parametrize("name", ["", "alex", "AlexNet", "../fcnkit", "digits/deploy.prototxt"])
def test_unknown_template(name):
    with pytest.raises(
        NetError, match="no such template; there are alexnet, caffenet, digits, googlenet, l"
    ):
        templates.path(name)


def test_unknown_file_of_a_template():
    with pytest.raises(
        NetError, match="has no file 'alexnet.caffemodel'; it has deploy.prototxt, solver"
    ):
        templates.path("alexnet", "alexnet.caffemodel")


# Real Caffe.


@pytest.fixture(scope="module")
def windows() -> tuple[np.ndarray, np.ndarray]:
    """The held-out digits, each in the middle of a 28x28 window of values 0..1."""
    place = Path(__file__).resolve().parent.parent / "scripts" / "canvas.py"
    spec = importlib.util.spec_from_file_location("canvas", place)
    canvas = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(canvas)
    held = np.load(templates.path("digits", "heldout.npz"))
    drawn = np.stack([np.pad(canvas.glyph(image, 26), 1) for image in held["images"]])
    return drawn[:, None].astype(np.float32) / 256, held["labels"]


def write_lmdb(folder: Path, shape: tuple[int, int, int], count: int = 2) -> None:
    import lmdb

    rng = np.random.default_rng(0)
    channels, height, width = shape
    with lmdb.open(str(folder), map_size=1 << 24) as store, store.begin(write=True) as transaction:
        for number in range(count):
            data = rng.integers(0, 256, shape, np.uint8).tobytes()
            datum = schema.message("Datum")(
                channels=channels, height=height, width=width, data=data, label=number
            )
            transaction.put(b"%08d" % number, datum.SerializeToString())


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> dict[str, Path]:
    """For each template a folder with a tiny train_lmdb and val_lmdb."""
    made = {}
    for name in templates.NAMES:
        made[name] = tmp_path_factory.mktemp(name)
        gray = name in ("lenet", "digits")
        for part in ("train_lmdb", "val_lmdb"):
            write_lmdb(made[name] / part, (1, 28, 28) if gray else (3, 256, 256))
    return made


def small(name: str, folder: Path) -> prototxt.Prototxt:
    """The train_val net with its stores in `folder`, one image at a time."""
    net = read(name, "train_val.prototxt")
    edits = []
    for layer in net.root.all("layer"):
        for data in layer.all("data_param"):
            source, batch = data.last("source"), data.last("batch_size")
            edits += [value(source, f'"{folder / source.string}"'), value(batch, "1")]
    return net.edit(edits)


def value(field: prototxt.Field, text: str):
    from fcnkit.edits import Edit

    return Edit(field.value_start, field.stop, text)


@pytest.fixture(scope="module")
def answers(caffe, stores) -> dict:
    """What Caffe says of every net, asked in one go."""
    questions = {}
    for name in templates.NAMES:
        questions[name, "deploy"] = caffe.Question("params", read(name), values=False)
        for state in (TRAIN, TEST):
            net = small(name, stores[name])
            questions[name, state.phase] = caffe.Question("params", net, values=False, state=state)
    return dict(zip(questions, caffe.ask(list(questions.values())), strict=True))


@pytest.mark.parametrize("part", ["deploy", "TRAIN", "TEST"])
@pytest.mark.parametrize("name", templates.NAMES)
def test_caffe_loads_every_net_with_the_published_parameters(answers, name, part):
    answer = answers[name, part]
    assert isinstance(answer, dict), answer
    wanted = PUBLISHED[name][0] if part == "deploy" else TRAINING.get(name, PUBLISHED[name][0])
    assert sum(np.prod(shape) for blobs in answer.values() for shape in blobs) == wanted


@pytest.mark.parametrize("name", ["lenet", "digits"])
def test_caffe_trains_with_the_solver(caffe, stores, name):
    solver = read(name, "solver.prototxt")
    few = solver.edit([value(solver.root.last("test_iter"), "1")])
    (stores[name] / "solver.prototxt").write_text(few.text)
    (stores[name] / "train_val.prototxt").write_text(read(name, "train_val.prototxt").text)
    losses = trained("solver.prototxt", iterations=3, folder=stores[name])
    assert losses and all(np.isfinite(loss) for _, loss in losses)


def test_the_digits_network_reads_held_out_digits(caffe, windows):
    images, labels = windows
    weights = templates.path("digits", "digits.caffemodel")
    found = caffe.run(read("digits"), weights, {"data": images})["prob"].argmax(1)
    assert (found == labels).mean() >= 0.97


def test_the_digits_network_reads_held_out_digits_in_opencv(windows):
    opencv = pytest.importorskip("fcnkit.engines.opencv")
    images, labels = windows
    weights = templates.path("digits", "digits.caffemodel")
    found = opencv.run(read("digits"), weights, {"data": images}, ["prob"])["prob"].argmax(1)
    assert (found == labels).mean() >= 0.97


def test_the_digits_network_calls_an_empty_window_background(caffe):
    weights = templates.path("digits", "digits.caffemodel")
    empty = np.zeros((1, 1, 28, 28), np.float32)
    assert caffe.run(read("digits"), weights, {"data": empty})["prob"].argmax() == 10
    assert templates.path("digits", "classes.txt").read_text().split()[10] == "background"


def test_the_held_out_digits_are_all_there():
    held = np.load(templates.path("digits", "heldout.npz"))
    assert held["images"].shape == (500, 8, 8) and held["images"].max() == 16
    assert np.bincount(held["labels"]).min() > 30


def test_the_first_ten_minutes_need_no_download(tmp_path):
    """digits has weights and an image: a classifier becomes a picture."""
    pytest.importorskip("onnxruntime")
    net, weights, seen = (str(tmp_path / name) for name in ("c.prototxt", "c.caffemodel", "seen"))
    made = run("convolutionalize", "template:digits", "--weights", "model:digits",
               "-o", net, "--weights-out", weights)  # fmt: skip
    assert made.exit_code == 0, made.output
    assert (tmp_path / "c.preprocessing.json").read_bytes() == templates.path(
        "digits", "deploy.preprocessing.json"
    ).read_bytes()
    words = ("infer", net, weights, "template:digits/canvas.png", "-o", seen, "--json")
    shown = run(*words, "--engine", "onnx")
    assert shown.exit_code == 0, shown.output
    assert "canvas.overlay.png" in {each.name for each in (tmp_path / "seen").iterdir()}


def test_what_a_template_says_of_images_is_what_its_training_does():
    said = preprocessing.beside(fk.read(templates.path("digits")))
    assert said == preprocessing.read(preprocessing.place("template:digits"))
    assert f"scale: {said.scale}" in templates.path("digits", "train_val.prototxt").read_text()
    assert list(said.classes) == templates.path("digits", "classes.txt").read_text().split()


def test_weights_that_do_not_ship_are_fetched():
    refused = run("inspect", "model:alexnet")
    assert refused.exit_code == 2 and "fcnkit models fetch alexnet" in refused.output
    assert run("inspect", "model:digits").exit_code == 0
