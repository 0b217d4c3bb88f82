"""An FCN with the classifier's own scores: at every pixel what lies between those of windows."""

import numpy as np
import pytest
from click.testing import CliRunner
from sketches import conv, data, fc, layer, net, pool, relu, template

import fcnkit as fk
from fcnkit import templates
from fcnkit.cli.main import main
from fcnkit.errors import NetError
from fcnkit.nets.graph import build


def between(scores, place, size):
    """The scores at each pixel, bilinear between cells that `place` maps to pixels; 0 beyond."""
    rows, columns = (_weights(scores.shape[2 + axis], place, size[axis]) for axis in (0, 1))
    return np.einsum("hr,nkrc,wc->nkhw", rows, scores, columns)


def _weights(count, place, size):
    begin, stride = float(place(0)), float(place(1) - place(0))
    cells = (np.arange(size)[:, None] - begin) / stride - np.arange(count)
    return np.maximum(0, 1 - np.abs(cells))


def check(caffe, plan, weights, scores, channels, sizes):
    """Real Caffe's `score` is the scores of the net's own layer, brought up."""
    place = fk.coords(plan.net, scores, "data")
    for height, width in sizes:
        random = np.random.default_rng(height)
        image = random.uniform(-100, 100, (1, channels, height, width)).astype("f4")
        (found,) = caffe.run_all(plan.net, weights, [{"data": image}], [scores, "score"])
        wanted = between(found[scores], place, (height, width))
        assert found["score"].shape == wanted.shape
        assert np.abs(found["score"] - wanted).max() <= 1e-5 * np.abs(wanted).max()
        assert np.abs(wanted).max() > 0


@pytest.mark.parametrize("pad", ["auto", 40])
def test_digits(caffe, pad):
    weights = fk.weights(templates.path("digits", "digits.caffemodel"))
    plan = fk.fcn(template("digits"), keep_scores=True, stride=4, pad=pad)
    check(caffe, plan, fk.transplant(plan, weights), "ip2", 1, ((61, 45), (33, 70)))


def test_the_scores_are_those_of_the_windows(caffe):
    """Cell by cell what the classifier makes of the window that is cut out there."""
    weights = fk.weights(templates.path("digits", "digits.caffemodel"))
    net = template("digits")
    plan = fk.fcn(net, keep_scores=True, stride=4, pad=28)
    image = np.random.default_rng(5).uniform(0, 1, (1, 1, 40, 44)).astype("f4")
    file = fk.transplant(plan, weights)
    (found,) = caffe.run_all(plan.net, file, [{"data": image}], ["ip2"])
    padded = np.pad(image, ((0, 0), (0, 0), (28, 28), (28, 28)))
    cells = [(0, 0), (3, 5), (7, 7), (12, 9)]
    cut = [{"data": padded[:, :, 4 * r : 4 * r + 28, 4 * c : 4 * c + 28]} for r, c in cells]
    windows = caffe.run_all(net, weights, cut, ["ip2"])
    for (row, column), window in zip(cells, windows, strict=True):
        expected = window["ip2"].ravel()
        assert np.allclose(found["ip2"][0, :, row, column], expected, atol=1e-4)


def test_squeezenet_keeps_its_last_relu(caffe, shared):
    """Its classes are those of the mean of what ReLU leaves, so that is kept; pool and prob go."""
    folder = shared / "models" / "squeezenet_v1.0_imagenet"
    source = fk.read(folder / "SqueezeNet_deploy.prototxt")
    plan = fk.fcn(source, keep_scores=True, stride=16)
    assert [each.name for each in build(plan.net).layers][-4:] == [
        "conv_final", "relu_conv_final", "upscore", "score",
    ]  # fmt: skip
    weights = fk.weights(folder / "squeezenet_v1.0_deepcompressed.caffemodel")
    check(caffe, plan, fk.transplant(plan, weights), "conv_final", 3, ((67, 95),))


SMALL = data(1, 3, 16, 16) + conv("c", "data", 8, 3, "pad: 1") + relu("c") + pool("p", "c", 2, 2)


def test_skips_start_from_zero(caffe, tmp_path):
    from sketches import weights

    whole = net(SMALL + conv("d", "p", 8, 3, "pad: 1") + pool("q", "d", 2, 2) + fc("fc", "q", 5))
    file = weights(whole, tmp_path / "w.caffemodel")
    coarse = fk.fcn(whole, keep_scores=True, stride=4, pad=20)
    fine = fk.fcn(whole, keep_scores=True, stride=2, pad=20)
    assert [each.layer for each in fine.steps if each.why == "its weights start at zero"] == [
        "score_p"
    ]
    image = {"data": np.random.default_rng(0).standard_normal((1, 3, 21, 18)).astype("f4")}
    found = [
        each
        for plan in (coarse, fine)
        for each in caffe.run_all(plan.net, fk.transplant(plan, file), [image], ["score", "fc"])
    ]
    assert np.array_equal(found[0]["fc"], found[1]["fc"])
    assert found[0]["score"].shape == found[1]["score"].shape == (1, 5, 21, 18)


def test_a_new_classifier_of_as_many_classes_is_told_of_them():
    plan = fk.fcn(net(SMALL + fc("fc", "p", 5)), classes=5, stride=2)
    wanted = "--keep-scores would keep the trained weights of fc"
    assert any(wanted in step.why for step in plan.steps)
    plan = fk.fcn(net(SMALL + fc("fc", "p", 5)), classes=4, stride=2)
    assert not any("--keep-scores" in step.why for step in plan.steps)


def test_scores_that_are_called_score_need_another_name():
    with pytest.raises(NetError, match="--do rename=score:score_fr"):
        fk.fcn(net(SMALL + fc("score", "p", 5)), keep_scores=True, stride=2)
    with pytest.raises(ValueError, match="either classes or keep_scores"):
        fk.fcn(net(SMALL + fc("fc", "p", 5)), stride=2)


def test_what_bounds_the_scores_goes():
    ended = SMALL + fc("fc", "p", 5) + layer("prob", "Softmax", "fc")
    sigmoid = SMALL + fc("fc", "p", 5) + layer("s", "Sigmoid", "fc")
    for text in (ended, sigmoid):
        plan = fk.fcn(net(text), keep_scores=True, stride=2)
        assert [each.name for each in build(plan.net).layers][-3:] == ["fc", "upscore", "score"]


def test_the_command_and_infer(tmp_path, one_thread):
    """A segmentation of a trained classifier, without a training."""
    weights = templates.path("digits", "digits.caffemodel")
    words = ["fcn", "template:digits", "--keep-scores", "--stride", "4", "--weights", weights]
    result = CliRunner().invoke(main, [*map(str, words), "-o", str(tmp_path / "dense")])
    assert result.exit_code == 0, result.output
    held = np.load(templates.path("digits", "heldout.npz"))
    image = np.zeros((60, 60), np.uint8)
    big = np.kron(held["images"][0], np.ones((3, 3), "u1")).astype(np.uint8) * 15
    image[18:42, 18:42] = big
    deploy, init = tmp_path / "dense" / "deploy.prototxt", tmp_path / "dense" / "init.caffemodel"
    seen = fk.infer(deploy, init, image, mean=[0], scale=1 / 256)
    assert seen.classes.shape == (60, 60)
    assert seen.classes[29, 29] == held["labels"][0]
    result = CliRunner().invoke(main, ["fcn", "template:digits", "--stride", "4"])
    assert result.exit_code == 2 and "--keep-scores" in result.output
