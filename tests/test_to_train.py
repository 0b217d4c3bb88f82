"""Nets that Caffe trains, and their solvers; training itself in real Caffe on a tiny LMDB."""

import math

import numpy as np
import pytest
from caffe_training import trained
from sketches import conv, data, fc, layer, net, pool, relu, template, weights

import fcnkit as fk
from fcnkit.errors import NetError
from fcnkit.formats import prototxt
from fcnkit.formats.schema import check, message
from fcnkit.nets.graph import State, build, states
from fcnkit.nets.shapes import shapes_of
from fcnkit.rewrites.to_train import Images, solver, to_train

SMALL = net(
    data(1, 2, 24, 24),
    conv("conv1", "data", 4, 3),
    relu("conv1"),
    pool("pool1", "conv1", 2, 2),
    conv("conv2", "pool1", 6, 3),
    relu("conv2"),
    pool("pool2", "conv2", 2, 2),
    fc("fc3", "pool2", 8),
    relu("fc3"),
    fc("fc4", "fc3", 10),
    layer("prob", "Softmax", "fc4"),
)


def small(**options):
    plan = fk.fcn(SMALL, classes=3, stride=2)
    zero = {move.layer for move in plan.moves if move.how == "zero"}
    return to_train(plan.net, zero=zero, **options).net


def layers(text, state=State("TRAIN")):
    return {each.name: each for each in build(text, state).layers}


# ---- laws


def test_each_phase_reads_its_own_data_and_test_has_an_accuracy():
    text = small()
    assert [state.phase for state in states(text)] == ["TEST", "TRAIN"]
    for phase, short in (("TRAIN", "train"), ("TEST", "val")):
        graph = build(text, State(phase))
        sources = [
            each.param("data_param").get("source") for each in graph.layers if each.type == "Data"
        ]
        assert sources == [f"{short}_image_lmdb", f"{short}_label_lmdb"]
        kinds = [each.type for each in graph.layers]
        assert "SoftmaxWithLoss" in kinds and ("Accuracy" in kinds) == (phase == "TEST")
    assert not [each for each in build(text).layers if each.type == "Input"]


def test_every_file_is_what_caffes_parser_takes():
    check("NetParameter", small().root)
    check("SolverParameter", solver("train_val.prototxt").root)


def test_the_layers_between_are_those_of_the_deployed_net():
    plan = fk.fcn(SMALL, classes=3, stride=2)
    deployed, trained = build(plan.net), build(small(), State("TRAIN"))
    names = [
        each.name for each in trained.layers if each.name in {one.name for one in deployed.layers}
    ]
    assert names == [each.name for each in deployed.layers]
    shapes, other = shapes_of(deployed), shapes_of(trained, {"data": (1, 2, 24, 24)})
    for name in names[1:]:
        assert shapes.blobs(deployed.layer(name)) == other.blobs(trained.layer(name))


# ---- tables


@pytest.mark.parametrize("filler", ["msra", "xavier"])
def test_layers_without_a_filler_get_one_but_for_new_scores(filler):
    found = layers(small(filler=filler))
    kinds = {
        name: each.param("convolution_param").view("weight_filler").get("type")
        for name, each in found.items()
    }
    assert [kinds[name] for name in ("conv1", "conv2", "fc3")] == [filler] * 3
    assert kinds["score_fr"] == kinds["score_pool1"] == "constant"
    assert kinds["upscore2"] == "bilinear" and kinds["score_pool1"] == "constant"


def test_fillers_may_be_replaced():
    kept = "weight_filler { type: 'gaussian' std: 0.5 } bias_filler { type: 'constant' value: 1 }"
    text = net(data(1, 1, 9, 9), conv("a", "data", 2, 3, kept), conv("b", "a", 2, 3))
    found = layers(to_train(text, filler="xavier", refill=True).net)
    for name in "ab":
        assert found[name].param("convolution_param").view("weight_filler").get("type") == "xavier"
    assert found["a"].param("convolution_param").view("weight_filler").get("std") == 1
    assert found["a"].param("convolution_param").view("bias_filler").get("value") == 1


def test_fillers_may_be_kept():
    text = net(
        data(1, 1, 9, 9),
        conv("a", "data", 2, 3, "weight_filler { type: 'gaussian' std: 0.5 }"),
        conv("b", "a", 2, 1),
    )
    for filler, of_b in (("keep", False), ("msra", True)):
        found = layers(to_train(text, filler=filler).net)
        assert found["a"].param("convolution_param").view("weight_filler").get("type") == "gaussian"
        assert found["b"].param("convolution_param").has("weight_filler") == of_b


def test_rates_are_said_where_nothing_was():
    text = net(
        data(1, 1, 9, 9),
        conv("a", "data", 2, 3),
        conv("b", "a", 2, 1, "bias_term: false"),
        layer(
            "c",
            "Convolution",
            "b",
            more="param { lr_mult: 7 } convolution_param { num_output: 2 kernel_size: 1 }",
        ),
    )
    found = layers(to_train(text).net)
    rates = {
        name: [
            (one.get("lr_mult"), one.get("decay_mult")) for one in found[name].view.views("param")
        ]
        for name in "abc"
    }
    assert rates == {"a": [(1, 1), (2, 0)], "b": [(1, 1)], "c": [(7, 1)]}
    up = layers(small())["upscore2"]
    assert [one.get("lr_mult") for one in up.view.views("param")] == [0]


def test_biases_learn_as_fast_as_they_are_told_but_for_new_scores():
    found = layers(small(bias_rate=20))
    rates = {
        name: [(one.get("lr_mult"), one.get("decay_mult")) for one in each.view.views("param")]
        for name, each in found.items()
    }
    assert [rates[name] for name in ("conv1", "conv2", "fc3")] == [[(1, 1), (20, 0)]] * 3
    assert rates["score_fr"] == rates["score_pool1"] == [(1, 1), (2, 0)]
    assert rates["upscore2"] == [(0, 1)]


def test_images_are_changed_and_labels_are_not():
    text = small(images=Images("/some/where/", (104, 117.5), 0.5), ignore=11)
    for phase in ("TRAIN", "TEST"):
        graph = build(text, State(phase))
        image, label = (each for each in graph.layers if each.type == "Data")
        assert image.param("transform_param").list("mean_value") == [104, 117.5]
        assert image.param("transform_param").get("scale") == 0.5
        assert not label.view.has("transform_param")
        assert label.param("data_param").get("source").startswith("/some/where/")
    assert layers(text)["loss"].param("loss_param").get("ignore_label") == 11
    assert layers(text, State())["accuracy"].param("accuracy_param").get("ignore_label") == 11


@pytest.mark.parametrize(
    "head",
    [
        'input: "data"\ninput_dim: 1\ninput_dim: 1\ninput_dim: 9\ninput_dim: 9\n',
        'name: "n"  # of the net\ninput: "data" input_shape { dim: 1 dim: 1 dim: 9 dim: 9 }\n',
        data(1, 1, 9, 9),
    ],
)
def test_the_images_may_be_declared_in_any_way(head):
    text = to_train(net(head, conv("c", "data", 2, 3))).net
    assert not text.root.all("input", "input_dim", "input_shape")
    assert len(build(text, State("TRAIN")).layers) == 4


@pytest.mark.parametrize("cpu", [True, False])
def test_the_solver_names_its_net(cpu):
    text = solver("train_val.prototxt", cpu=cpu, prefix="snap/fcn")
    values = {field.name: field.raw.strip('"') for field in text.root.fields}
    assert values["net"] == "train_val.prototxt" and values["solver_mode"] == (
        "CPU" if cpu else "GPU"
    )
    assert values["snapshot_prefix"] == "snap/fcn"


def test_the_rate_of_adam_falls_to_nothing():
    text = solver("n", kind="adam")
    check("SolverParameter", text.root)
    values = {field.name: field.raw.strip('"') for field in text.root.fields}
    assert (values["type"], values["lr_policy"], values["power"]) == ("Adam", "poly", "1")


def test_there_is_no_other_solver():
    with pytest.raises(NetError, match='solver "rms": is not one of sgd, adam'):
        solver("n", kind="rms")


# ---- refusals


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            net(data(1, 1, 9, 9), data(1, 1, 9, 9, name="b"), conv("c", "data", 2, 3)),
            {},
            "inputs are data, b",
        ),
        (net(data(1, 1, 9, 9), conv("a", "data", 2, 3), conv("b", "data", 2, 3)), {}, "label"),
        (net(data(1, 1, 9, 9), conv("a", "data", 2, 3)), {"filler": "zeros"}, 'filler "zeros"'),
        (net(data(1, 1, 9, 9), conv("label", "data", 2, 3)), {}, "label"),
    ],
)
def test_what_cannot_be_trained_is_refused(text, options, message):
    with pytest.raises(NetError, match=message):
        build(to_train(text, **options).net, State("TRAIN"))


# ---- real Caffe


def lmdbs(folder, images=16, size=24):
    """Squares and stripes of two brightnesses; the first two rows are not to be learnt."""
    lmdb = pytest.importorskip("lmdb")
    datum, rng = message("Datum"), np.random.default_rng(0)
    for split in ("train", "val"):
        stores = {
            kind: lmdb.open(str(folder / f"{split}_{kind}_lmdb"), map_size=1 << 24)
            for kind in ("image", "label")
        }
        for number in range(images):
            label = np.zeros((size, size), np.uint8)
            row, column = rng.integers(0, size - 8, 2)
            label[row : row + 8, column : column + 8] = 1
            label[:, : number % 5] = 2
            picture = np.stack([(label == 1) * 200, (label == 2) * 200]) + rng.integers(
                0, 40, (2, size, size)
            )
            label[:2] = 255
            for kind, array in (("image", picture.astype(np.uint8)), ("label", label[None])):
                channels, height, width = array.shape
                value = datum(
                    channels=channels, height=height, width=width, data=array.tobytes(), label=0
                )
                with stores[kind].begin(write=True) as transaction:
                    transaction.put(b"%08d" % number, value.SerializeToString())
        for each in stores.values():
            each.close()


@pytest.fixture
def folder(tmp_path):
    """What `fcn -o` writes, with LMDBs beside it."""
    from click.testing import CliRunner

    from fcnkit.cli.main import main

    SMALL.save(tmp_path / "classifier.prototxt")
    weights(SMALL, tmp_path / "classifier.caffemodel")
    words = [
        "fcn",
        str(tmp_path / "classifier.prototxt"),
        "--classes",
        "3",
        "--stride",
        "2",
        "--cpu",
        "-o",
        str(tmp_path),
    ]
    words += [
        "--weights",
        str(tmp_path / "classifier.caffemodel"),
        "--scale",
        "0.0078125",
        "--mean",
        "60,60",
    ]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    lmdbs(tmp_path)
    return tmp_path


def test_training_from_init_gives_a_finite_and_falling_loss(caffe, folder):
    path = folder / "solver.prototxt"
    text = path.read_text()
    for old, new in (
        ("base_lr: 1e-4", "base_lr: 0.02"),
        ("iter_size: 20", "iter_size: 4"),
        ("average_loss: 20", "average_loss: 1"),
    ):
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    found = trained("solver.prototxt", folder / "init.caffemodel", 40, folder=folder)
    losses = [loss for _, loss in found]
    assert all(map(math.isfinite, losses))
    assert losses[0] == pytest.approx(math.log(3), rel=1e-3)  # all scores are zero
    assert np.mean(losses[-5:]) < 0.7 * losses[0]


def test_both_files_load_with_the_same_weights(caffe, folder):
    deploy, both = (prototxt.read(folder / f"{name}.prototxt") for name in ("deploy", "train_val"))
    init = fk.weights(folder / "init.caffemodel")
    found = caffe.params(deploy, folder / "init.caffemodel")
    assert set(found) == {name for name, blobs in init.items() if blobs}
    old = fk.weights(folder / "classifier.caffemodel")
    for name in ("conv1", "conv2", "fc3"):
        assert np.array_equal(found[name][0].ravel(), old[name][0].array().ravel())
    assert not found["score_fr"][0].any() and "fc4" not in init
    assert both.text.count("LMDB") == 4


@pytest.mark.parametrize("name", ["alexnet", "vgg16"])
def test_templates_give_files_that_caffe_takes(name, caffe):
    text = to_train(fk.fcn(template(name), classes=21, stride=16, pad=100).net).net
    # The parser alone: without LMDBs the net itself cannot be built.
    check("NetParameter", text.root)
    with pytest.raises(fk.errors.EngineError, match="mdb|No such file"):
        caffe.load(text)


def test_a_net_of_an_older_format_is_upgraded_first():
    old = fk.parse(
        'input: "data" input_dim: 1 input_dim: 3 input_dim: 9 input_dim: 9\n'
        'layers { name: "s" type: CONVOLUTION bottom: "data" top: "s"\n'
        "  convolution_param { num_output: 4 kernel_size: 3 } }\n"
    )
    plan = to_train(old, ignore=7, filler="xavier", images=Images("here", (1, 2, 3)))
    new = to_train(fk.upgrade(old).net, ignore=7, filler="xavier", images=Images("here", (1, 2, 3)))
    assert plan.net.text == new.net.text and plan.before is old


def test_two_outputs_of_the_same_labels_are_refused():
    text = net(data(1, 3, 9, 9), conv("a", "data", 2, 3), conv("b", "data", 2, 3))
    with pytest.raises(NetError, match='outputs "a" and "b" would have the same labels'):
        to_train(text)


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (layer("r", "Reduction", "s"), 'its output "r" is a scalar, and has no axis of classes'),
        (layer("r", "Silence", "s", top=""), "it has no output; let it end with its scores"),
    ],
)
def test_a_net_without_scores_is_refused(tail, message):
    with pytest.raises(NetError, match=message):
        to_train(net(data(1, 3, 9, 9), conv("s", "data", 2, 3), tail))


@pytest.mark.parametrize("fields", ['input: "data" input_shape { dim: [1, 3, 9, 9] }',
                                    'input: "data" input_dim: 1 input_dim: 3 input_dim: 9\n'
                                    "input_dim: 9"])  # fmt: skip
def test_input_fields_behind_the_layers_give_way_to_data_before_them(fields):
    scores = conv("s", "data", 2, 3)
    behind, before = (to_train(net(text)).net for text in (scores + fields, fields + "\n" + scores))
    names = [[layer.name for layer in build(each).layers] for each in (behind, before)]
    assert names[0] == names[1] and "input" not in behind.text
