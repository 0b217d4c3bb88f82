"""`fk.infer`: the same classes and pictures as the functions it stands on, for arrays and files."""

import io

import numpy as np
import pytest
from click.testing import CliRunner

import fcnkit as fk
from fcnkit import templates
from fcnkit.cli.main import main
from fcnkit.engines import opencv
from fcnkit.errors import DatasetError
from fcnkit.inference import heat, overlay
from fcnkit.inference.score_maps import head, probabilities, scores
from fcnkit.weights import store

Image = pytest.importorskip("PIL.Image")
pytestmark = pytest.mark.skipif(not opencv.available(), reason="no OpenCV with a Caffe importer")
COLOURS = templates.path("digits", "colours.txt")
LOOK = {"scale": 1 / 256, "engine": "opencv"}


@pytest.fixture(scope="module")
def net():
    return fk.convolutionalize(fk.template("digits"))


@pytest.fixture(scope="module")
def weights(net):
    return fk.transplant(net, fk.weights(templates.path("digits", "digits.caffemodel")))


@pytest.fixture(scope="module")
def image():
    held = np.load(templates.path("digits", "heldout.npz"))
    canvas = np.zeros((60, 80), np.uint8)
    for number, left in enumerate((4, 44)):
        glyph = np.pad(held["images"][number] * (255 / 16), 1).astype(np.uint8)
        canvas[16:44, left : left + 28] = np.asarray(Image.fromarray(glyph).resize((28, 28)))
    return canvas


@pytest.fixture(scope="module")
def seen(net, weights, image):
    return fk.infer(net.net, weights, image, colours=COLOURS, **LOOK)


def picture(found) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(found.png)))


def test_windows_lie_where_the_map_puts_them(net, weights, image, seen):
    found = head(net.net)
    (expected,) = scores(found, weights, [image[None].astype("f4") / 256], engine="opencv")
    assert np.array_equal(seen.scores, expected) and not seen.dense
    likely = probabilities(expected)
    for mine, theirs in zip(
        (seen.classes, seen.confidence),
        heat.class_map(likely, found.place, image.shape),
        strict=True,
    ):
        assert np.array_equal(mine, theirs)
    assert seen.windows(2) == heat.windows(likely, found.place, 2)
    held = np.load(templates.path("digits", "heldout.npz"))["labels"]
    assert seen.classes[30, 18] == held[0] and seen.classes[30, 58] == held[1]
    assert sum(seen.shares().values()) < 1, "the rim is not a class"


def test_what_it_shows(seen, image):
    rgb = image[..., None].repeat(3, 2)
    expected = overlay.overlay(rgb, seen.classes, seen.colours, 0.3)
    assert np.array_equal(picture(seen.overlay(0.3)), expected)
    assert np.array_equal(picture(seen.overlay(0.3, zoom=2))[::2, ::2], expected)
    hot = picture(seen.heat("background", zoom=4))
    assert hot.shape[1] == 320 and np.array_equal(hot, picture(seen.heat(10, zoom=4)))
    assert Image.open(io.BytesIO(seen._repr_png_())).width > 2 * 4 * 80
    assert seen.legend().size[1] > 11 * 20 and seen.names[10] == "background"
    wanted = "gray, no mean subtracted, times 0.00390625"
    assert f"<Inferred of 80 x 60 pixels, {wanted}: 11 classes at 9 x 14 windows, on" in repr(seen)


def test_an_fcn_scores_every_pixel(image, tmp_path):
    plan = fk.fcn(fk.template("digits"), classes=11, stride=4)
    new = fk.transplant(plan, fk.weights(templates.path("digits", "digits.caffemodel")))
    bias = np.arange(11.0)[::-1].copy()
    found = fk.infer(plan.net, new.put("score_fr", [np.zeros((11, 80, 1, 1)), bias]), image, **LOOK)
    assert found.dense and found.classes.shape == image.shape
    assert (found.classes[20:40, 20:60] == 0).all() and found.names[9:] == ("9", "background")
    assert picture(found.heat(0)).shape[0] > image.shape[0]


def test_more_classes_than_a_map_has_numbers(net, weights, image, seen):
    plan = fk.reclass(net.net, "ip2", [*range(11), *[None] * 289])
    found = fk.infer(plan.net, fk.transplant(plan, weights), image, **LOOK)
    assert np.allclose(found.scores[:11], seen.scores) and len(found.names) == 300
    with pytest.raises(DatasetError, match="300 classes: a class map has numbers for 255"):
        found.classes  # noqa: B018
    assert np.asarray(Image.open(io.BytesIO(found._repr_png_()))).shape[1] > 2 * 4 * 80
    assert {window.top[0].number for window in found.windows(1)} == {
        window.top[0].number for window in seen.windows(1)
    }


def test_files_and_colours_are_taken_too(net, weights, image, seen, tmp_path):
    Image.fromarray(image).save(tmp_path / "a.png")
    Image.fromarray(image).convert("RGB").save(tmp_path / "b.png")
    for given in (tmp_path / "a.png", str(tmp_path / "b.png"), image[..., None].repeat(3, 2)):
        assert np.array_equal(fk.infer(net.net, weights, given, **LOOK).scores, seen.scores)


def test_a_mean_is_taken_off(net, weights, image, seen):
    brighter = (image // 2 + 50).astype(np.uint8)
    plain = fk.infer(net.net, weights, image // 2, **LOOK)
    less = fk.infer(net.net, weights, brighter, mean=[50], **LOOK)
    assert np.array_equal(less.scores, plain.scores) and not np.array_equal(
        plain.scores, seen.scores
    )


def test_caffe_and_opencv_agree(caffe, net, weights, image, seen):
    found = fk.infer(net.net, weights, image, scale=1 / 256, engine="caffe")
    assert found.engine == "caffe"
    assert np.abs(found.scores - seen.scores).max() < 1e-3 * np.abs(seen.scores).max()


@pytest.mark.parametrize(
    "options, said",
    [
        ({"names": ["a", "b"]}, "names: 2 are given, .*has 11 classes"),
        ({"colours": [(0, 0, 0)]}, "colours: 1 are given"),
        ({"mean": [1, 2, 3]}, "3 mean values for images of 1 channel"),
    ],
)
def test_what_does_not_fit_is_said(net, weights, image, options, said):
    with pytest.raises(DatasetError, match=said):
        fk.infer(net.net, weights, image, **LOOK, **options)


@pytest.mark.parametrize("name", ["eleven", 11, -1])
def test_a_class_that_there_is_not(seen, name):
    with pytest.raises(DatasetError, match="is not a class"):
        seen.heat(name)


# ---- four channels


@pytest.fixture(scope="module")
def deeper(tmp_path_factory):
    """A net that scores colour and depth: the depth alone, and blue less red."""
    text = (
        'name: "deeper" input: "data" input_shape { dim: 1 dim: 4 dim: 8 dim: 9 }\n'
        'layer { name: "score" type: "Convolution" bottom: "data" top: "score"\n'
        "  convolution_param { num_output: 2 kernel_size: 1 bias_term: false } }\n"
    )
    path = tmp_path_factory.mktemp("deeper") / "deeper.prototxt"
    path.write_text(text)
    kernel = np.array([[0, 0, 0, 1], [1, 0, -1, 0]], "f4").reshape(2, 4, 1, 1)
    return fk.read(path), store.create().put("score", [kernel], type="Convolution")


@pytest.mark.parametrize("order, sign", [("bgr", 1), ("rgb", -1)])
@pytest.mark.parametrize("how", ["array", "file"])
def test_the_fourth_channel_is_seen(deeper, tmp_path, order, sign, how):
    net, weights = deeper
    given = np.random.default_rng(0).integers(0, 256, (8, 9, 4), np.uint8)
    Image.fromarray(given).save(tmp_path / "given.png")
    image = given if how == "array" else tmp_path / "given.png"
    mean = (10, 20, 30, 40)
    found = fk.infer(net, weights, image, mean=mean, order=order, engine="opencv")
    values = given.astype("f4")
    difference = sign * (values[..., 2] - values[..., 0]) - mean[0] + mean[2]
    np.testing.assert_allclose(found.scores, [values[..., 3] - 40, difference], atol=1e-3)


@pytest.mark.parametrize("how", ["array", "file"])
def test_an_image_without_a_fourth_channel_is_refused(deeper, tmp_path, how):
    given = np.zeros((8, 9, 3), np.uint8)
    Image.fromarray(given).save(tmp_path / "given.png")
    image = given if how == "array" else tmp_path / "given.png"
    with pytest.raises(DatasetError, match="no alpha channel.*give images that all have one"):
        fk.infer(*deeper, image, mean=(0,), engine="opencv")


def test_the_command_sees_the_fourth_channel(deeper, tmp_path):
    net, weights = deeper
    given = np.zeros((8, 9, 4), np.uint8)
    given[2:4, 3:5, 3] = 200
    Image.fromarray(given).save(tmp_path / "given.png")
    weights.save(tmp_path / "deeper.caffemodel")
    words = ["infer", net.path, str(tmp_path / "deeper.caffemodel"), str(tmp_path / "given.png")]
    words += ["--mean", "0,0,0,100", "--engine", "opencv", "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert not (np.asarray(Image.open(tmp_path / "out" / "given.png"))[2:4, 3:5]).any()
    assert np.asarray(Image.open(tmp_path / "out" / "given.png")).mean() > 0.9
