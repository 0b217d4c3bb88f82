"""The networks that ship with fcnkit: published sizes, agreement of their files, real Caffe."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from fcnkit import templates
from fcnkit.errors import NetError
from fcnkit.formats import prototxt, schema
from fcnkit.nets import graph, shapes

ROOT = Path(templates.__file__).parent
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("*/*.prototxt"))
SOLVERS = [file for file in FILES if file.endswith("/solver.prototxt")]
NETS = [file for file in FILES if file not in SOLVERS]
TRAINED = [name for name in templates.NAMES if (ROOT / name / "train_val.prototxt").exists()]
TRAIN, TEST = graph.State("TRAIN"), graph.State("TEST")

# name: parameters, multiply-adds of a forward pass, shape that reaches the first InnerProduct
PUBLISHED = {
    "alexnet": (60_965_224, 724_406_816, (1, 256, 6, 6)),
    "caffenet": (60_965_224, 724_406_816, (1, 256, 6, 6)),
    "vgg16": (138_357_544, 15_470_264_320, (1, 512, 7, 7)),
    "lenet": (431_080, None, (1, 50, 4, 4)),
    "digits": (55_179, None, (1, 32, 4, 4)),
}
LAYERS = {
    "alexnet": "data conv1 relu1 norm1 pool1 conv2 relu2 norm2 pool2 "
    "conv3 relu3 conv4 relu4 conv5 relu5 pool5 fc6 relu6 drop6 fc7 relu7 drop7 fc8 prob",
    "caffenet": "data conv1 relu1 pool1 norm1 conv2 relu2 pool2 norm2 "
    "conv3 relu3 conv4 relu4 conv5 relu5 pool5 fc6 relu6 drop6 fc7 relu7 drop7 fc8 prob",
    "lenet": "data conv1 pool1 conv2 pool2 ip1 relu1 ip2 prob",
}
PARAMETERS = {
    ("alexnet", "conv1"): 34_944,
    ("alexnet", "fc6"): 37_752_832,
    ("alexnet", "fc7"): 16_781_312,
    ("alexnet", "fc8"): 4_097_000,
    ("vgg16", "fc6"): 102_764_544,
}


def read(name: str, file: str = "deploy.prototxt") -> prototxt.Prototxt:
    return prototxt.read(templates.path(name, file))


def built(name: str, file: str = "deploy.prototxt", state: graph.State = TEST) -> graph.Graph:
    return graph.build(read(name, file), state)


def learned(name: str, file: str, state: graph.State) -> list[tuple]:
    """Name, type and parameter shapes of the layers that learn."""
    net = built(name, file, state)
    data = shapes.infer(built(name)).tops[built(name).top("data")]
    found = shapes.infer(net, {"data": data})
    return [(layer.name, layer.type, found.blobs(layer)) for layer in net.layers if found.blobs(layer)]


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


def test_the_list_of_names_is_complete():
    assert sorted(templates.NAMES) == sorted(path.parent.name for path in ROOT.glob("*/deploy.prototxt"))
    assert set(TRAINED) == set(templates.NAMES) == {Path(file).parent.name for file in SOLVERS}


@pytest.mark.parametrize("name", templates.NAMES)
def test_train_val_learns_what_deploy_uses(name):
    deploy = learned(name, "deploy.prototxt", TEST)
    assert deploy
    assert learned(name, "train_val.prototxt", TRAIN) == deploy
    assert learned(name, "train_val.prototxt", TEST) == deploy


@pytest.mark.parametrize("name", templates.NAMES)
def test_every_learning_layer_has_fillers_and_two_rates(name):
    net = built(name, "train_val.prototxt", TRAIN)
    for layer in net.layers:
        message = {"Convolution": "convolution_param", "InnerProduct": "inner_product_param"}.get(layer.type)
        if message:
            assert layer.param(message).has("weight_filler") and layer.param(message).has("bias_filler")
            assert [param.get("lr_mult") for param in layer.view.views("param")] == [1, 2], layer.name


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes(name):
    parameters, macs, first = PUBLISHED[name]
    net = built(name)
    found = shapes.infer(net)
    assert sum(found.parameters(layer) for layer in net.layers) == parameters
    assert macs is None or sum(found.macs(layer) for layer in net.layers) == macs
    dense = next(layer for layer in net.layers if layer.type == "InnerProduct")
    assert found.tops[dense.bottoms[0]] == first


@pytest.mark.parametrize("name, layer", PARAMETERS)
def test_published_parameters_of_a_layer(name, layer):
    net = built(name)
    assert shapes.infer(net).parameters(net.layer(layer)) == PARAMETERS[name, layer]


@pytest.mark.parametrize("name", LAYERS)
def test_published_layer_names_in_order(name):
    assert [layer.name for layer in built(name).layers] == LAYERS[name].split()


def test_alexnet_and_caffenet_share_every_parameter_shape():
    assert learned("alexnet", "deploy.prototxt", TEST) == learned("caffenet", "deploy.prototxt", TEST)


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
    with pytest.raises(NetError, match="no such template; there are alexnet, caffenet, digits, lenet, vgg16"):
        templates.path(name)


def test_unknown_file_of_a_template():
    with pytest.raises(NetError, match="has no file 'alexnet.caffemodel'; it has deploy.prototxt, solver"):
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
    assert sum(np.prod(shape) for blobs in answer.values() for shape in blobs) == PUBLISHED[name][0]


@pytest.mark.parametrize("name", ["lenet", "digits"])
def test_caffe_trains_with_the_solver(caffe, stores, name):
    solver = read(name, "solver.prototxt")
    few = solver.edit([value(solver.root.last("test_iter"), "1")])
    (stores[name] / "solver.prototxt").write_text(few.text)
    (stores[name] / "train_val.prototxt").write_text(read(name, "train_val.prototxt").text)
    losses = caffe.train("solver.prototxt", iterations=3, cwd=stores[name])
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
