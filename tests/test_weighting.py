"""Class weights in the loss: where they come from,
the net as run, and what real Caffe makes of them.
"""

import os

import numpy as np
import pytest
from click.testing import CliRunner
from small_training import NET, SOLVER, write_data, write_lmdb, write_net

from fcnkit.cli.main import main
from fcnkit.datasets.summary import summarize
from fcnkit.engines.caffe import Question
from fcnkit.errors import DatasetError, NetError, OutputError
from fcnkit.formats import prototxt, schema
from fcnkit.nets.graph import State, build
from fcnkit.training.recipe import Matrix, Options, recipe
from fcnkit.training.weighting import check_resumed, described, read_weights, weighted
from fcnkit.weights import store

SCORES = """layer {{ name: "in" type: "Input" top: "score" top: "label"
  input_param {{ shape {{ dim: 2 dim: 4 dim: 5 dim: 6 }}
    shape {{ dim: 2 dim: 1 dim: 5 dim: 6 }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss"
  loss_param {{ ignore_label: 255 {} }} }}
"""


@pytest.fixture
def data(tmp_path):
    return write_data(tmp_path / "data")


def made(folder, net=NET, how=None):
    """The recipe of a net that is written into `folder`,
    weighted by `how`: a word, or numbers for a file.
    """
    if not (folder / "net").exists():
        write_net(folder / "net", net=net)
    plain = recipe(folder / "net", "run", Options(folder / "data"))
    if how is None or isinstance(how, str):
        return weighted(plain, how) if how else plain
    return weighted(plain, file(folder, "".join(f"{weight}\n" for weight in how)))


def file(folder, text):
    (folder / "weights.txt").write_text(text)
    return str(folder / "weights.txt")


def saved(made):
    """The recipe's files are there; its net,
    with the matrices named so that any process finds them.
    """
    made.run.path.mkdir(exist_ok=True)
    made.save()
    text = made.nets[0].net.text
    return prototxt.parse(text.replace('source: "run/', f'source: "{made.run.path}/'))


# ---- in real Caffe


@pytest.mark.parametrize("words", ["all", "weighted"])
def test_the_loss_is_what_it_says(caffe, tmp_path, words):
    normalizations = {
        "": "VALID",
        "normalize: true": "VALID",
        "normalize: false": "BATCH_SIZE",
        "normalization: VALID": "VALID",
        "normalization: FULL": "FULL",
        "normalization: NONE": "NONE",
        "normalization: BATCH_SIZE": "BATCH_SIZE",
        "normalize: true normalization: NONE": "NONE",
    }
    weights = [1, 1, 1, 1] if words == "all" else [0.5, 2, 0, 3.25]
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 3, (2, 4, 5, 6)).astype(np.float32)
    labels = rng.integers(0, 4, (2, 1, 5, 6)).astype(np.float32)
    labels[0, 0, :2] = 255
    asked = []
    for number, said in enumerate(normalizations):
        folder = tmp_path / str(number)
        plain = made(folder, SCORES.format(said))
        nets = plain.nets[0].net, saved(made(folder, SCORES.format(said), weights))
        inputs = {"score": scores, "label": labels}
        asked += [Question("run", net, None, inputs, ["loss"], State("TRAIN")) for net in nets]
    found = [float(answer["loss"]) for answer in caffe.ask(asked)]
    kept = labels[:, 0] != 255
    truth = np.where(kept, labels[:, 0], 0).astype(int)
    log = scores - np.log(np.exp(scores, dtype=np.float64).sum(1, keepdims=True))
    each = -np.take_along_axis(log, truth[:, None], 1)[:, 0] * kept
    total, plain = (each * np.array(weights)[truth]).sum(), each.sum()
    by = {"VALID": kept.sum(), "FULL": kept.size, "BATCH_SIZE": 2, "NONE": 1}
    for number, rule in enumerate(normalizations.values()):
        assert found[2 * number] == pytest.approx(plain / by[rule], rel=1e-5)
        assert found[2 * number + 1] == pytest.approx(total / by[rule], rel=1e-5)


def test_one_step_of_training_is_the_gradient_by_hand(caffe, tmp_path):
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (3, 8, 8), dtype=np.uint8)
    label = rng.integers(0, 3, (1, 8, 8)).astype(np.uint8)
    label[0, :2] = 255
    for split in ("train", "val"):
        write_lmdb(tmp_path / "data" / f"{split}_image_lmdb", [image])
        write_lmdb(tmp_path / "data" / f"{split}_label_lmdb", [label])
    solver = (
        SOLVER.replace("0.05", "1").replace("momentum: 0.9", "momentum: 0").replace("0.0005", "0")
    )
    solver = solver.replace("iter_size: 2", "iter_size: 1")
    net = write_net(tmp_path / "net", solver=solver)
    store.create().put("score", [np.zeros((3, 3, 1, 1)), np.zeros(3)]).save(net / "init.caffemodel")
    words = ["train", net, "--data", tmp_path / "data", "--iterations", "1"]
    done = CliRunner().invoke(
        main, [*map(str, words), "--loss-weights", file(tmp_path, "0.5\n4\n0\n")]
    )
    assert done.exit_code == 0, done.output
    assert 'layer "loss": class weights 0=0.5, 1=4, 2=0' in done.stderr
    x, truth = image[:, 2:].reshape(3, -1) * 0.01, label[0, 2:].ravel()
    error = np.array([0.5, 4, 0])[truth] * (1 / 3 - np.eye(3)[truth].T) / truth.size
    trained = store.open(net / "run" / "fcn_iter_1.caffemodel")["score"]
    assert np.allclose(trained[0].array().reshape(3, 3), -error @ x.T, atol=1e-6)
    assert np.allclose(trained[1].array().ravel(), -error.sum(1), atol=1e-6)


# ---- where weights come from


def test_median_frequency_is_what_the_dataset_says(tmp_path, data):
    (data / "classes.txt").write_text("a\nb\nc\n")
    found = made(tmp_path, how="median").matrices[0].weights
    assert found == pytest.approx(summarize(data).splits[0].weights) and len(set(found)) == 3


def test_a_class_that_is_not_there_has_weight_1(tmp_path):
    labels = [
        np.array([[[0, 0, 0, 2], [255, 255, 2, 0]]], np.uint8),
        np.array([[[0, 0]]], np.uint8),
    ]
    for split in ("train", "val"):
        write_lmdb(
            tmp_path / "data" / f"{split}_image_lmdb", [label.repeat(3, 0) for label in labels]
        )
        write_lmdb(tmp_path / "data" / f"{split}_label_lmdb", labels)
    (tmp_path / "data" / "classes.txt").write_text("road\nsign\nsky\n")
    found = made(tmp_path, how="median")
    # road is 6 of 8 pixels, sky 2 of 6: their median is 13/24
    assert found.matrices[0].weights == pytest.approx((13 / 18, 1, 13 / 8))
    assert list(described(found)) == [
        'layer "loss": class weights road=0.7222, sign=1, sky=1.625',
        'layer "loss": classes not in the training labels: sign',
    ]


def test_weights_in_a_file(tmp_path):
    names = ("road", "traffic light", "sky")
    for text in ("1\n\n0.25\n3e1\n", "sky 30\nroad\t1\n  traffic light 0.25 \n"):
        assert read_weights(file(tmp_path, text), 3, names) == [1, 0.25, 30]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\n2\n", "weights.txt: has 2 weights, and the loss scores 3 classes; write one for each"),
        ("1\n2\n3\n4\n", "has 4 weights, and the loss scores 3 classes"),
        ("", "has 0 weights"),
        ("1\n-2\n3\n", "weights.txt:2: the weight -2 is not a finite number from 0 on"),
        ("1\n2\nnan\n", "weights.txt:3: the weight nan is not a finite number"),
        ("1\ninf\n3\n", "weights.txt:2: the weight inf is not"),
        ("1\n1e39\n3\n", "weights.txt:2: the weight 1e39 is not"),
        ("1\ntwo\n3\n", 'weights.txt:2: "two" does not end in a number'),
        ("0\n0\n0\n", "every weight is 0, and nothing would be learned"),
        ("a 1\n2\nc 3\n", "weights.txt:2: has no name, but other lines do"),
        ("a 1\nb 2\nd 3\n", 'weights.txt:3: "d" is not a class; there are a, b, c'),
        ("a 1\nb 2\na 3\n", 'weights.txt:3: "a" is on line 1 too'),
        ("a 1\nb 2\n", "has 2 weights, and the loss scores 3 classes"),
    ],
)
def test_files_that_do_not_fit(tmp_path, text, message):
    with pytest.raises(DatasetError) as caught:
        read_weights(file(tmp_path, text), 3, ("a", "b", "c"))
    assert message in str(caught.value)


def test_names_from_beside_the_labels(tmp_path, data):
    (data / "classes.txt").write_text("road\nsign\nsky\n")
    write_net(tmp_path / "net")
    plain = recipe(tmp_path / "net", "run", Options(data))
    found = weighted(plain, file(tmp_path, "sky 3\nsign 2\nroad 0.5\n"))
    assert list(described(found)) == ['layer "loss": class weights road=0.5, sign=2, sky=3']
    assert list(described(plain)) == []


def test_names_need_an_order(tmp_path):
    with pytest.raises(DatasetError, match=r"there is no classes.txt beside the labels"):
        read_weights(file(tmp_path, "a 1\nb 2\nc 3\n"), 3)
    with pytest.raises(DatasetError, match="cannot be read: No such file"):
        read_weights(tmp_path / "none", 3)


# ---- the net as run


def test_the_layer_alone_changes(tmp_path, data):
    plain, found = made(tmp_path), made(tmp_path, how=[1, 2, 3])
    old = """type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss"
  loss_param { ignore_label: 255 normalize: true } }"""
    new = """type: "InfogainLoss" bottom: "score" bottom: "label" top: "loss"
  loss_param { ignore_label: 255 normalization: VALID } \
infogain_loss_param { source: "run/infogain.binaryproto" } }"""
    assert old in plain.nets[0].net.text
    assert found.nets[0].net.text == plain.nets[0].net.text.replace(old, new)
    assert found.solver.text == plain.solver.text
    blob = schema.message("BlobProto").FromString(found.matrices[0].data)
    assert np.array(blob.data).reshape(3, 3).tolist() == [[1, 0, 0], [0, 2, 0], [0, 0, 3]]


def test_words_of_v1_and_another_axis(tmp_path):
    text = """input: "s" input: "l" input_shape { dim: 2 dim: 3 } input_shape { dim: 2 }
layers { name: "loss" type: SOFTMAX_LOSS bottom: "s" bottom: "l" top: "loss"
  softmax_param { axis: -1 } }
"""
    found = made(tmp_path, text, [1, 2, 3])
    layer = build(found.nets[0].net, State("TRAIN")).layer("loss")
    assert layer.type == "InfogainLoss" and "type: INFOGAIN_LOSS" in found.nets[0].net.text
    assert layer.param("infogain_loss_param").get("axis") == -1


def test_two_heads_and_two_files(tmp_path, data):
    head = NET.split("\n")
    at = next(number for number, line in enumerate(head) if '"score" type' in line)
    second = "\n".join(head[at:]).replace('"score"', '"other"').replace('"loss"', '"loss_other"')
    second = second.replace('"accuracy"', '"accuracy_other"').replace(
        "num_output: 3", "num_output: 4"
    )
    two = NET + second
    solver = SOLVER.replace(
        'net: "train_val.prototxt"', 'test_net: "val.prototxt" train_net: "train.prototxt"'
    )
    folder = write_net(tmp_path / "net", solver=solver)
    (folder / "train.prototxt").write_text(two)
    (folder / "val.prototxt").write_text(two)
    found = made(tmp_path, how="median")
    assert [(each.path.name, each.layer, len(each.weights)) for each in found.matrices] == [
        ("infogain_1.binaryproto", "loss", 3),
        ("infogain_2.binaryproto", "loss_other", 4),
    ]
    for trained in found.nets:
        assert trained.net.text.count('"InfogainLoss"') == 2
    with pytest.raises(DatasetError, match="has 3 weights, and the loss scores 4 classes"):
        made(tmp_path, how=[1, 2, 3])


def test_what_cannot_be_weighed(tmp_path, data):
    with pytest.raises(NetError, match="has no SoftmaxWithLoss"):
        made(
            tmp_path / "a", SCORES.format("").replace("SoftmaxWithLoss", "EuclideanLoss"), "median"
        )
    with pytest.raises(NetError, match="labels are in no LMDB .* give --loss-weights a file"):
        made(tmp_path / "b", SCORES.format(""), "median")


# ---- from run to run


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ([1, 2, 3], None, "was started with class weights; give the same --loss-weights"),
        (None, [1, 2, 3], "was started with no class weights; leave out --loss-weights"),
        ([1, 2, 3], [1, 2, 4], "was started with other class weights; give the same"),
        ([1, 2, 3], [1, 2, 3], ""),
        (None, None, ""),
    ],
)
def test_a_run_keeps_its_weights(tmp_path, data, before, now, said):
    saved(made(tmp_path, how=before))
    found = made(tmp_path, how=now)
    check_resumed(found)  # nothing has been trained, so that nothing is lost
    found.run.record.write_text('{"iteration": 0, "loss": 1}\n')
    if said:
        with pytest.raises(OutputError, match=f"net/run: {said}"):
            check_resumed(found)
    else:
        check_resumed(found)


def test_a_run_without_weights_leaves_no_matrix(tmp_path, data):
    saved(made(tmp_path, how=[1, 2, 3]))
    assert (tmp_path / "net" / "run" / "infogain.binaryproto").exists()
    saved(made(tmp_path))
    assert sorted(os.listdir(tmp_path / "net" / "run")) == ["solver.prototxt", "train_val.prototxt"]
    saved(made(tmp_path, how=[1, 2, 3])), made(tmp_path).run.clear()
    assert os.listdir(tmp_path / "net" / "run") == ["train_val.prototxt"]


def test_a_dry_run_says_the_weights_and_writes_nothing(tmp_path, data, caffe):
    net = write_net(tmp_path / "net")
    words = ["train", str(net), "--data", str(data), "--dry-run", "--loss-weights"]
    done = CliRunner().invoke(main, [*words, "median"])
    weights = made(tmp_path, how="median").matrices[0].weights
    said = ", ".join(f"{number}={weight:.4g}" for number, weight in enumerate(weights))
    assert done.stderr == f'{net}: layer "loss": class weights {said}\n'
    assert done.stdout.endswith(" train --solver=run/solver.prototxt\n")
    done = CliRunner().invoke(main, [*words, file(tmp_path, "1\n2\n")])
    assert done.exit_code == 2 and "has 2 weights, and the loss scores 3 classes" in done.stderr
    assert sorted(os.listdir(net)) == ["solver.prototxt", "train_val.prototxt"]
    saved(made(tmp_path, how="median"))
    (net / "run" / "train.jsonl").write_text('{"iteration": 0, "loss": 1}\n')
    assert CliRunner().invoke(main, [*words, "median"]).exit_code == 0
    done = CliRunner().invoke(main, words[:-1])
    assert done.exit_code == 2 and "was started with class weights" in done.stderr
    assert CliRunner().invoke(main, [*words[:-1], "--restart", "--force"]).exit_code == 0


def test_a_matrix_has_the_weights_in_its_diagonal(tmp_path):
    blob = schema.message("BlobProto").FromString(Matrix(tmp_path / "m", "loss", (0.5, 2.0)).data)
    assert (blob.num, blob.channels, blob.height, blob.width) == (1, 1, 2, 2)
    assert list(blob.data) == [0.5, 0, 0, 2]
