"""A net on images: both engines see the same,
at the right place, and the files say what was seen.
"""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from pictures import save
from PIL import Image

import fcnkit as fk
from fcnkit import files as filemaker
from fcnkit import templates
from fcnkit.cli.main import main
from fcnkit.datasets.colours import voc_palette
from fcnkit.datasets.images import read_raw
from fcnkit.engines import opencv
from fcnkit.errors import DatasetError, EngineError, NetError, OutputError, WeightsError
from fcnkit.formats import binaryproto, prototxt
from fcnkit.inference import heat, overlay, score_maps
from fcnkit.inference.preparation import Preparation, read_mean
from fcnkit.nets.coordmap import CoordMap

needs_opencv = pytest.mark.skipif(not opencv.available(), reason="no OpenCV with a Caffe importer")
SCALE = 1 / 256
BACKGROUND = 10
SIZES = ((97, 203), (60, 48), (120, 75), (60, 48))


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def listing(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def canvas(size, *digits):
    """Bytes, black but for digits (class, row,
    column of the middle) of 27 pixels that training never saw.
    """
    held = np.load(templates.path("digits", "heldout.npz"))
    made = np.zeros(size, np.uint8)
    for digit, row, column in digits:
        image = held["images"][held["labels"] == digit][0]
        drawn = np.asarray(Image.fromarray(np.pad(image * 15, 1)).resize((27, 27), Image.BICUBIC))
        made[row - 13 : row + 14, column - 13 : column + 14] = drawn
    return made


def canvases(sizes=SIZES):
    return [canvas(size, (number, size[0] // 2, 20)) for number, size in enumerate(sizes)]


def data(image):
    return image[None].astype(np.float32) * SCALE


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The files of the digits template:
    as an FCN of the image's size, and as a convolutional classifier.
    """
    folder = tmp_path_factory.mktemp("digits")
    net = fk.read(templates.path("digits"))
    old = fk.weights(templates.path("digits", "digits.caffemodel"))
    fcn, conv = fk.fcn(net, classes=11, stride=4), fk.convolutionalize(net)
    learned, bias = (blob.array() for blob in old["ip2"])
    trained = fk.transplant(fcn, old).put("score_fr", [learned.reshape(11, 80, 1, 1), bias])
    for name, plan, weights in (("fcn", fcn, trained), ("conv", conv, fk.transplant(conv, old))):
        plan.net.save(folder / f"{name}.prototxt")
        weights.save(folder / f"{name}.caffemodel")
    return folder


def files(folder, name):
    return folder / f"{name}.prototxt", folder / f"{name}.caffemodel"


def opened(folder, name):
    net, weights = files(folder, name)
    return fk.read(net), fk.weights(weights)


def seen(folder, name, images, engine="opencv"):
    return list(score_maps.scores(*opened(folder, name), map(data, images), engine=engine))


# ---- laws


@needs_opencv
@pytest.mark.parametrize("value", [0, 90, 255])
def test_a_constant_image_gives_a_constant_class(digits, value):
    (found,) = seen(digits, "conv", [np.full((80, 100), value, np.uint8)])
    assert len(np.unique(score_maps.classes(found))) == 1
    assert np.ptp(found, axis=(1, 2)).max() < 1e-4


@needs_opencv
def test_every_image_is_seen_as_if_it_were_alone(digits):
    images = canvases()
    found = seen(digits, "fcn", images)
    assert [each.shape for each in found] == [(11, *size) for size in SIZES]
    for image, each in zip(images, found, strict=True):
        assert np.array_equal(each, seen(digits, "fcn", [image])[0])


def test_classes_and_confidence_are_those_of_the_softmax():
    scores = np.random.default_rng(0).normal(0, 30, (7, 5, 6)).astype(np.float32)
    likely = score_maps.probabilities(scores)
    assert (
        np.allclose(likely.sum(axis=0), 1)
        and np.isfinite(score_maps.probabilities(scores * 100)).all()
    )
    assert np.array_equal(score_maps.classes(scores), likely.argmax(axis=0))
    assert np.allclose(score_maps.confidence(scores), likely.max(axis=0))
    assert score_maps.classes(scores).dtype == np.uint8
    assert score_maps.classes(np.eye(300)[:, :, None]).ravel().tolist() == list(range(300))


def test_an_overlay_goes_from_the_image_to_the_colours():
    rng = np.random.default_rng(1)
    image, classes = (
        rng.integers(0, 256, (9, 8, 3), np.uint8),
        rng.integers(0, 21, (9, 8), np.uint8),
    )
    colours = voc_palette(21)
    assert np.array_equal(overlay.overlay(image, classes, colours, 0), image)
    assert np.array_equal(
        overlay.overlay(image, classes, colours, 1), np.array(colours, np.uint8)[classes]
    )
    half = overlay.overlay(image, classes, colours, 0.5).astype(int) * 2
    assert np.abs(half - image - np.array(colours)[classes]).max() <= 1


def test_a_palette_png_holds_classes_and_colours(tmp_path):
    classes = np.random.default_rng(2).integers(0, 256, (13, 9), np.uint8)
    (tmp_path / "a.png").write_bytes(overlay.palette_png(classes, ((1, 2, 3), (4, 5, 6))))
    raw = read_raw(tmp_path / "a.png")
    assert np.array_equal(raw.values, classes)
    assert raw.palette.tolist() == [[1, 2, 3], [4, 5, 6], *map(list, voc_palette()[2:])]


# ---- places


def test_heat_lies_where_the_coordinate_map_says():
    cells, place = np.zeros((4, 6), np.float32), CoordMap((4, 4), (10, 13))
    cells[2, 3] = 1
    found = heat.placed(cells, place, (40, 50))
    assert np.argwhere(found == 1).tolist() == [[2 * 4 + 10, 3 * 4 + 13]]
    assert found[18, 23] == found[18, 27] == found[16, 25] == 0.5
    inside = np.argwhere(np.isfinite(found))
    assert inside.min(axis=0).tolist() == [8, 11] and inside.max(axis=0).tolist() == [23, 34]


def test_a_class_map_in_bands_is_that_of_all_pixels():
    likely = score_maps.probabilities(np.random.default_rng(3).normal(0, 2, (5, 50, 4)))
    place = CoordMap((4, 8), (2, 3))
    classes, sure = heat.class_map(likely, place, (210, 40))
    whole = np.stack([heat.placed(each, place, (210, 40)) for each in likely])
    outside = np.isnan(whole[0])
    assert np.array_equal(classes == heat.NOWHERE, outside) and (sure[outside] == 0).all()
    assert np.array_equal(classes[~outside], whole.argmax(axis=0)[~outside])
    assert np.allclose(sure[~outside], whole.max(axis=0)[~outside])


def test_one_window_reaches_half_a_stride():
    found = heat.placed(np.ones((1, 1), np.float32), CoordMap((16, 16), (113, 113)), (227, 227))
    assert np.nansum(found) == 256 and np.argwhere(found == 1).min() == 105


@needs_opencv
@pytest.mark.parametrize("digit, row, column", [(3, 40, 90), (7, 71, 33), (0, 52, 61)])
def test_a_digit_lights_up_where_it_is(digits, digit, row, column):
    net, weights = opened(digits, "conv")
    head = score_maps.head(net)
    image = canvas((110, 130), (digit, row, column))
    (found,) = score_maps.scores(head, weights, [data(image)], engine="opencv")
    assert head.place == fk.coords(net, "ip2", "data")
    likely = score_maps.probabilities(found)[digit]
    values = heat.placed(likely, head.place, image.shape)
    assert values[row, column] > 0.9
    hot = np.argwhere(np.nan_to_num(values) > 0.5)
    assert np.abs(hot.mean(axis=0) - (row, column)).max() <= 2, "half a stride is 2"


@needs_opencv
def test_windows_have_their_middles_and_their_best(digits):
    net, weights = opened(digits, "conv")
    (found,) = score_maps.scores(
        net, weights, [data(canvas((60, 80), (4, 30, 38)))], engine="opencv"
    )
    windows = heat.windows(score_maps.probabilities(found), fk.coords(net, "ip2", "data"), 3)
    assert len(windows) == found[0].size and all(len(each.top) == 3 for each in windows)
    assert [(each.y, each.x) for each in windows[:2]] == [(13.5, 13.5), (13.5, 17.5)]
    here = min(windows, key=lambda each: abs(each.y - 30) + abs(each.x - 38))
    assert here.top[0].number == 4 and here.top[0].probability > 0.9
    assert heat.frequent(windows, 2) == (BACKGROUND, 4)


# ---- engines


@needs_opencv
@pytest.mark.parametrize("name", ["fcn", "conv"])
def test_engines_agree(caffe, digits, name, monkeypatch):
    monkeypatch.setattr(caffe, "GROUP", 50_000)
    first, second = (seen(digits, name, canvases(), engine) for engine in ("caffe", "opencv"))
    assert len(first) == len(SIZES)
    for one, other in zip(first, second, strict=True):
        assert one.shape == other.shape and np.abs(one - other).max() < 1e-3
        assert (score_maps.classes(one) == score_maps.classes(other)).mean() >= 0.999
        assert len(np.unique(score_maps.classes(one))) > 1


def test_caffe_starts_once_for_a_group(caffe, digits, monkeypatch):
    starts, ask = [], caffe.ask
    monkeypatch.setattr(
        caffe, "ask", lambda questions: starts.append(len(questions)) or ask(questions)
    )
    seen(digits, "fcn", canvases(), "caffe")
    assert starts == [len(SIZES)]
    monkeypatch.setattr(caffe, "GROUP", 4 * (60 * 48 + 120 * 75))
    seen(digits, "fcn", canvases(), "caffe")
    assert starts[1:] == [1, 2, 1]


@pytest.mark.parametrize("engine", ["caffe", "opencv"])
def test_a_cat_is_a_cat(request, shared, tmp_path, engine):
    if engine == "caffe":
        request.getfixturevalue("caffe")
    model = shared / "models" / "squeezenet_v1.0_imagenet"
    fk.convolutionalize(fk.read(model / "SqueezeNet_deploy.prototxt")).net.save(
        tmp_path / "net.prototxt"
    )
    weights, photos = model / "squeezenet_v1.0_deepcompressed.caffemodel", shared / "photos"
    names = photos / "ilsvrc12_synset_words.txt"
    images = photos / "bvlc_cat.jpg", photos / "cat_1.jpg"
    result = run(
        "infer",
        tmp_path / "net.prototxt",
        weights,
        *images,
        "-o",
        tmp_path / "o",
        "--top",
        5,
        "--mean",
        "104,117,123",
        "--labels",
        names,
        "--engine",
        engine,
    )
    assert result.exit_code == 0, result.output
    for image in images:
        record = json.loads((tmp_path / "o" / f"{image.stem}.json").read_text())
        assert len(record["top"]) == 5 and any(
            281 <= each["class"] <= 285 for each in record["top"]
        )
        assert len(record["windows"]) == record["rows"] * record["columns"] > 100
    assert len(list((tmp_path / "o").glob("*.heat.*.png"))) == 8, (
        "cat_1 is one of three cats everywhere"
    )
    assert "281 n02123045 tabby" in result.output and not (tmp_path / "o" / "legend.png").exists()


# ---- which blob, what is prepared

DENSE = """layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "a" type: "Convolution" bottom: "data" top: "a"
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 } }
layer { name: "b" type: "Convolution" bottom: "data" top: "b"
  convolution_param { num_output: 2 kernel_size: 1 } }
"""


def parse(text):
    return prototxt.parse(text, "net.prototxt")


def test_the_head_is_the_last_map_or_the_one_named():
    assert score_maps.head(parse(DENSE)).scores.blob == "b"
    named = score_maps.head(parse(DENSE), "a")
    assert (named.scores.blob, named.classes, named.probable) == ("a", 4, False)
    soft = DENSE + 'layer { name: "p" type: "Softmax" bottom: "b" top: "%s" }'
    assert score_maps.head(parse(soft % "p")).scores.blob == "b", "the scores before it"
    inplace = score_maps.head(parse(soft % "b"))
    assert inplace.scores.blob == "b" and inplace.probable
    flat = (
        'layer { type: "InnerProduct" bottom: "b" top: "z" inner_product_param { num_output: 9 } }'
    )
    assert score_maps.head(parse(DENSE + flat)).scores.blob == "a", "z is not a map"


def test_a_head_is_found_where_the_declared_size_is_too_small():
    small = DENSE.replace("kernel_size: 1", "kernel_size: 11").replace(
        "dim: 8 dim: 8", "dim: 8 dim: 600"
    )
    head = score_maps.head(parse(small))
    assert head.shape == (1, 3, 512, 600) and head.size(30, 40) == (20, 30)
    with pytest.raises(NetError, match='layer "b"'):
        head.size(10, 40)


@pytest.mark.parametrize(
    "text, words",
    [
        (
            DENSE.replace("num_output: 2", "num_output: 1"),
            '"b" has 1 channel; scores have one for each',
        ),
        (DENSE.split('layer { name: "a')[0], "no output is a map of scores"),
        (
            DENSE.replace("dim: 3 dim: 8 dim: 8", "dim: 3"),
            'its input "data" is 1 x 3; an image needs 4 axes',
        ),
        (
            DENSE + 'input: "x" input_dim: 1 input_dim: 1 input_dim: 1 input_dim: 1',
            "its inputs are",
        ),
        (
            'layer { name: "d" type: "Data" top: "d" data_param { source: "x" } }',
            "give a deploy net",
        ),
    ],
)
def test_nets_without_a_map_of_scores(text, words):
    with pytest.raises(NetError, match=words):
        score_maps.head(parse(text))


def test_a_classifier_is_to_be_converted_first():
    with pytest.raises(
        NetError, match=r'"prob" \(1 x 11\); convert the net with `fcnkit convolutionalize`'
    ):
        score_maps.head(fk.read(templates.path("digits")))
    pooled = (
        'layer { name: "p" type: "Pooling" bottom: "b" top: "p" pooling_param { '
        "global_pooling: true } }"
    )
    head = score_maps.head(parse(DENSE.replace('top: "a"', 'top: "a0"') + pooled), "p")
    with pytest.raises(
        NetError, match="cannot be mapped .* converted by `fcnkit convolutionalize`"
    ):
        head.size(40, 40)


@needs_opencv
def test_scores_that_are_not_finite_are_refused(digits, tmp_path):
    net, weights = opened(digits, "fcn")
    blobs = [blob.array() for blob in weights["score_fr"]]
    blobs[1][0] = np.nan
    with pytest.raises(WeightsError, match='"score" holds NaN or infinity'):
        list(
            score_maps.scores(
                net, weights.put("score_fr", blobs), map(data, canvases()), engine="opencv"
            )
        )
    with pytest.raises(WeightsError, match="has no weights for it"):
        list(score_maps.scores(net, weights.drop("conv1"), map(data, canvases()), engine="opencv"))
    with pytest.raises(EngineError, match='no engine "tensorflow"'):
        list(score_maps.scores(net, weights, map(data, canvases()), engine="tensorflow"))


def test_images_are_prepared_as_caffes_data_layers_do():
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert np.array_equal(Preparation()(image), np.moveaxis(image[..., ::-1], 2, 0))
    rgb = Preparation(3, (1, 2, 3), scale=0.5, order="rgb")(image)
    assert rgb.dtype == np.float32 and rgb[:, 0, 0].tolist() == [-0.5, -0.5, -0.5]
    assert Preparation(3, (1, 2, 3))(image)[:, 0, 0].tolist() == [2 - 1, 1 - 2, 0 - 3], "BGR"
    assert Preparation(1, (7,))(image[..., 0])[0, 0, 1] == 3 - 7
    mean = np.arange(24, dtype=np.float32).reshape(3, 2, 4)
    assert np.array_equal(Preparation(3, (), mean)(image), Preparation()(image) - mean)
    other = Preparation(3, (), mean)(image[:, :3])
    assert np.allclose(other, Preparation()(image[:, :3]) - mean.mean((1, 2))[:, None, None])


@pytest.mark.parametrize("order, colours", [("bgr", [3, 2, 1]), ("rgb", [1, 2, 3])])
def test_alpha_stays_behind_the_colours(order, colours):
    image = np.array([[[1, 2, 3, 200]]], np.uint8)
    made = Preparation(4, (1, 1, 1, 100), order=order)
    made.check()
    assert made(image)[:, 0, 0].tolist() == [*(each - 1 for each in colours), 100]


@pytest.mark.parametrize(
    "channels, mean", [(2, ()), (4, (1, 2, 3)), (5, ()), (3, (1, 2)), (1, (1, 2, 3))]
)
def test_means_that_do_not_fit(channels, mean):
    with pytest.raises(DatasetError, match="1 channel|channels"):
        Preparation(channels, mean).check()


def test_mean_files(tmp_path):
    mean = np.random.default_rng(0).uniform(0, 255, (3, 4, 5)).astype(np.float32)
    (tmp_path / "mean.binaryproto").write_bytes(binaryproto.written(mean))
    np.save(tmp_path / "mean.npy", mean)
    assert np.array_equal(read_mean(tmp_path / "mean.binaryproto"), mean)
    assert np.array_equal(read_mean(tmp_path / "mean.npy"), mean)


@pytest.mark.parametrize("content", [b"", b"not a mean", b"\x2a\xff\xff\xff\xff\x0f", b"\x08\x01"])
@pytest.mark.parametrize("name", ["mean.binaryproto", "mean.npy"])
def test_damaged_mean_files(tmp_path, content, name):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=f"{name}: "):
        read_mean(tmp_path / name)
    with pytest.raises(DatasetError, match="cannot be read"):
        read_mean(tmp_path / "none" / name)


# ---- the command


@pytest.fixture
def photos(tmp_path):
    for name, image in zip(("a", "sub/b"), canvases(), strict=False):
        save(tmp_path / "photos" / f"{name}.png", image)
    return tmp_path / "photos"


def infer(digits, name, *words):
    return run("infer", *files(digits, name), *words, "--scale", SCALE, "--engine", "opencv")


@needs_opencv
def test_a_folder_of_images(digits, photos, tmp_path):
    names = templates.path("digits", "classes.txt")
    result = infer(digits, "fcn", photos, "-o", tmp_path / "o", "--classes", names, "--confidence")
    assert result.exit_code == 0, result.output
    ends = (".confidence.png", ".json", ".overlay.png", ".png")
    expected = ["legend.png", "sub", *(f"{name}{end}" for name in ("a", "sub/b") for end in ends)]
    assert listing(tmp_path / "o") == sorted(expected)
    images = canvases()[:2]
    for name, image, scores in zip(
        ("a", "sub/b"), images, seen(digits, "fcn", images), strict=True
    ):
        found = read_raw(tmp_path / "o" / f"{name}.png").values
        assert np.array_equal(found, scores.argmax(axis=0))
        sure = np.asarray(Image.open(tmp_path / "o" / f"{name}.confidence.png"))
        assert np.abs(sure / 255 - score_maps.confidence(scores)).max() <= 0.5 / 255 + 1e-6
        shown = np.asarray(Image.open(tmp_path / "o" / f"{name}.overlay.png"))
        assert np.array_equal(
            shown, overlay.overlay(image[..., None].repeat(3, 2), found, voc_palette())
        )
        record = json.loads((tmp_path / "o" / f"{name}.json").read_text())
        counts = {each["class"]: each["pixels"] for each in record["classes"]}
        assert counts == {number: int((found == number).sum()) for number in np.unique(found)}
        assert record["classes"][0]["name"] == "background" and record["width"] == image.shape[1]
        assert sum(each["share"] for each in record["classes"]) == pytest.approx(1)


@needs_opencv
def test_without_overlays_the_folder_can_be_scored(digits, photos, tmp_path):
    result = infer(digits, "fcn", photos, "-o", tmp_path / "o", "--no-overlay", "--json")
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)) == 2
    assert listing(tmp_path / "o") == ["a.json", "a.png", "sub", "sub/b.json", "sub/b.png"]
    assert "mean IU" in run("score", tmp_path / "o", tmp_path / "o", "--classes", 11).output


@needs_opencv
def test_coarse_scores_give_windows_and_heat(digits, photos, tmp_path):
    words = photos / "a.png", "-o", tmp_path / "o", "--top", 2, "--heat", "0,7"
    result = infer(digits, "conv", *words)
    assert result.exit_code == 0, result.output
    expected = ["a.heat.0.png", "a.heat.7.png", "a.json", "a.overlay.png", "a.png", "legend.png"]
    assert listing(tmp_path / "o") == expected
    assert "for each class, the window that is surest of it" in result.output
    record = json.loads((tmp_path / "o" / "a.json").read_text())
    assert (record["rows"], record["columns"]) == (19, 45), "pooling rounds up"
    assert len(record["windows"]) == 19 * 45
    found = read_raw(tmp_path / "o" / "a.png").values
    assert found.shape == SIZES[0] and (found[:11] == heat.NOWHERE).all() and found[48, 20] == 0
    picture = Image.open(tmp_path / "o" / "a.heat.0.png")
    assert picture.width == 260 and picture.height > SIZES[0][0], "room for a caption"


@needs_opencv
def test_nothing_is_overwritten_or_left_half_done(digits, photos, tmp_path):
    words = photos, "-o", tmp_path / "o"
    assert infer(digits, "fcn", *words).exit_code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "o").rglob("*.*")}
    again = infer(digits, "fcn", *words, "--opacity", 1)
    assert again.exit_code == 2 and "exists; give another name, or --force" in again.output
    assert before == {path: path.read_bytes() for path in (tmp_path / "o").rglob("*.*")}
    assert infer(digits, "fcn", *words, "--force", "--opacity", 1).exit_code == 0
    own = infer(digits, "fcn", photos, "-o", photos, "--force")
    assert own.exit_code == 2 and "is one of the images" in own.output


@needs_opencv
def test_a_failure_while_writing_leaves_nothing(digits, photos, tmp_path, monkeypatch):
    write, done = filemaker.write, []

    def fails(path, data, **options):
        if len(done) == 4:
            raise OutputError(f"{path}: no space left")
        done.append(write(path, data, **options))

    monkeypatch.setattr(filemaker, "write", fails)
    result = infer(digits, "fcn", photos, "-o", tmp_path / "new" / "o")
    assert result.exit_code == 2 and "no space left" in result.output
    assert len(done) == 4 and not (tmp_path / "new").exists()


@needs_opencv
@pytest.mark.parametrize("exif, size", [("apply", (48, 60)), ("ignore", (60, 48))])
def test_images_are_turned_as_exif_says(digits, tmp_path, exif, size):
    tag = Image.Exif()
    tag[0x0112] = 6
    Image.fromarray(canvas((48, 60))).save(tmp_path / "a.png", exif=tag)
    assert (
        infer(digits, "fcn", tmp_path / "a.png", "-o", tmp_path / "o", "--exif", exif).exit_code
        == 0
    )
    assert Image.open(tmp_path / "o" / "a.png").size == size


def hostile(photos):
    (photos / "text.jpg").write_text("no image")
    (photos / "empty.png").write_bytes(b"")
    (photos / "cut.png").write_bytes((photos / "a.png").read_bytes()[:90])
    save(photos / "small.png", canvas((3, 3)))
    return photos


@needs_opencv
def test_all_files_that_cannot_be_run_are_named(digits, photos, tmp_path):
    result = infer(digits, "fcn", hostile(photos), "-o", tmp_path / "o")
    assert (
        result.exit_code == 2 and "4 of 6 files cannot be run; nothing is written:" in result.output
    )
    for name in ("text.jpg", "empty.png", "cut.png", "small.png: 3 x 3 pixels"):
        assert name in result.output
    assert not (tmp_path / "o").exists()


@needs_opencv
@pytest.mark.parametrize(
    "words, said",
    [
        (["--mean", "1,2,3"], "3 mean values for images of 1 channel"),
        (["--mean", "x"], "write it as 104,117,123"),
        (["--mean", "1", "--mean-file", "m"], "give one of them"),
        (["--mean-file", "nowhere"], "nowhere: cannot be read"),
        (["--colours", "voc"], "voc: has 21 classes"),
        (["--heat", "11"], "not a class of the net; they are 0 to 10"),
        (["--opacity", "1.5"], "not in the range"),
        (["--blob", "fc9"], 'no blob "fc9"'),
    ],
)
def test_options_that_do_not_fit(digits, photos, tmp_path, words, said):
    result = infer(digits, "fcn", photos, "-o", tmp_path / "o", *words)
    assert result.exit_code == 2 and said in result.output and not (tmp_path / "o").exists()


@needs_opencv
def test_images_need_names_of_their_own(digits, photos, tmp_path):
    result = infer(digits, "fcn", photos / "a.png", photos, "-o", tmp_path / "o")
    assert result.exit_code == 0, "one file named twice is one file"
    save(tmp_path / "a.png", canvas((60, 60)))
    result = infer(digits, "fcn", photos, tmp_path / "a.png", "-o", tmp_path / "p")
    assert result.exit_code == 2 and "has the same name as" in result.output
    save(photos / "a.overlay.png", canvas((60, 60)))
    result = infer(digits, "fcn", photos, "-o", tmp_path / "p")
    assert result.exit_code == 2 and "two results would be named a.overlay.png" in result.output
    (tmp_path / "none").mkdir()
    result = infer(digits, "fcn", tmp_path / "none", "-o", tmp_path / "p")
    assert result.exit_code == 2 and "holds no images" in result.output
    assert not (tmp_path / "p").exists()
