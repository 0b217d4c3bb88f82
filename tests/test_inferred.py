"""`fk.infer`: the same classes and pictures as the functions it stands on, for arrays and files."""

import io

import numpy as np
import pytest

import fcnkit as fk
from fcnkit import templates
from fcnkit.engines import opencv
from fcnkit.errors import DatasetError
from fcnkit.inference import heat, overlay
from fcnkit.inference.score_maps import head, probabilities, scores

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
    assert sum(seen.shares().values()) < 1, "the rim is no class"


def test_what_it_shows(seen, image):
    rgb = image[..., None].repeat(3, 2)
    expected = overlay.overlay(rgb, seen.classes, seen.colours, 0.3)
    assert np.array_equal(picture(seen.overlay(0.3)), expected)
    assert np.array_equal(picture(seen.overlay(0.3, zoom=2))[::2, ::2], expected)
    hot = picture(seen.heat("background", zoom=4))
    assert hot.shape[1] == 320 and np.array_equal(hot, picture(seen.heat(10, zoom=4)))
    assert Image.open(io.BytesIO(seen._repr_png_())).width > 2 * 4 * 80
    assert seen.legend().size[1] > 11 * 20 and seen.names[10] == "background"
    wanted = "gray, nothing taken off, times 0.00390625"
    assert f"<Inferred of 80 x 60 pixels, {wanted}: 11 classes at 9 x 14 windows, on" in repr(seen)


def test_an_fcn_scores_every_pixel(image, tmp_path):
    plan = fk.fcn(fk.template("digits"), classes=11, stride=4)
    new = fk.transplant(plan, fk.weights(templates.path("digits", "digits.caffemodel")))
    bias = np.arange(11.0)[::-1].copy()
    found = fk.infer(plan.net, new.put("score_fr", [np.zeros((11, 80, 1, 1)), bias]), image, **LOOK)
    assert found.dense and found.classes.shape == image.shape
    assert (found.classes[20:40, 20:60] == 0).all() and found.names == tuple(map(str, range(11)))
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
    found = fk.infer(net.net, weights, image, scale=1 / 256)
    assert found.engine == "caffe"
    assert np.abs(found.scores - seen.scores).max() < 1e-3 * np.abs(seen.scores).max()


@pytest.mark.parametrize(
    "options, said",
    [
        ({"names": ["a", "b"]}, "names: 2 are given, .*has 11 classes"),
        ({"colours": [(0, 0, 0)]}, "colours: 1 are given"),
        ({"mean": [1, 2, 3]}, "3 mean values for images of 1 channels"),
    ],
)
def test_what_does_not_fit_is_said(net, weights, image, options, said):
    with pytest.raises(DatasetError, match=said):
        fk.infer(net.net, weights, image, **LOOK, **options)


@pytest.mark.parametrize("name", ["eleven", 11, -1])
def test_a_class_that_there_is_not(seen, name):
    with pytest.raises(DatasetError, match="is no class"):
        seen.heat(name)
