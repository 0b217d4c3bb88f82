"""What a net wants of an image travels with it: written by fcn, heeded by infer, said by both."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from test_verify import random_weights

import fcnkit as fk
from fcnkit import templates
from fcnkit.cli.main import main
from fcnkit.cli.preprocessing import for_images
from fcnkit.engines import opencv
from fcnkit.errors import DatasetError, NetError
from fcnkit.formats import binaryproto
from fcnkit.inference.preparation import Preparation
from fcnkit.inference.trunks import trained_like
from fcnkit.preprocessing import Preprocessing, check, of, of_data, place, read
from fcnkit.weights import store

Image = pytest.importorskip("PIL.Image")
needs_opencv = pytest.mark.skipif(not opencv.available(), reason="no OpenCV with a Caffe importer")

TRUNK = """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 stride: 2 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param { num_output: 5 } }
"""
INPUT = """layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 9 dim: 9 } } }"""
DATA = """layer { name: "data" type: "Data" top: "data" top: "label"
  transform_param { %s crop_size: 9 } data_param { source: "x" batch_size: 1 } }"""


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.parametrize(
    "made",
    [
        Preprocessing(),
        Preprocessing("rgb", (0.5,), 1 / 255, (224, 300), ("a", "b"), {"mean": "--mean"}),
        Preprocessing("gray", (), 1.0, None, ("é", "x y")),
    ],
)
def test_the_file_says_what_was_written(tmp_path, made):
    path = place(tmp_path / "deploy.prototxt")
    made.save(path)
    assert path.name == "deploy.preprocessing.json" and read(path) == made


@pytest.mark.parametrize(
    "text, fact",
    [
        ("", "cannot be read as JSON"),
        ("[1]", "is not a JSON object"),
        ("{" * 100000, "cannot be read as JSON"),
        ('{"format": 2}', '"format" is 2; it is to be 1'),
        ('{"format": 1, "mean": [1, 2, 3, 4, 5]}', "up to 4 numbers"),
        ('{"format": 1, "mean": [NaN]}', "up to 4 numbers"),
        ('{"format": 1, "mean": "104"}', "up to 4 numbers"),
        ('{"format": 1, "scale": true}', "be a number"),
        ('{"format": 1, "scale": 1e400}', "be a number"),
        ('{"format": 1, "order": "grb"}', "one of bgr, rgb, gray"),
        ('{"format": 1, "size": [0, 4]}', "height and width"),
        ('{"format": 1, "classes": [1]}', "a list of names"),
        ('{"format": 1, "means": [1]}', '"means" is not known'),
        ('{"format": true}', '"format" is True'),
        ('{"format": 1, "mean": 0}', "up to 4 numbers"),
        ('{"format": 1, "mean": {}}', "up to 4 numbers"),
        ('{"format": 1, "mean": ""}', "up to 4 numbers"),
        ('{"format": 1, "size": 0}', "height and width"),
        ('{"format": 1, "size": {}}', "height and width"),
        ('{"format": 1, "scale": 0}', "not 0"),
        ('{"format": 1, "classes": ["a", ""]}', "a list of names"),
        ('{"format": 1, "classes": ["a\\nb"]}', "a list of names"),
        ('{"format": 1, "origins": {"mean": 5}}', "an object of texts"),
        ('{"format": 1, "mean": [1], "mean": [2]}', "'mean' appears 2 times in one object"),
        ('{"format": 1, "mean": [1], "me\\u0061n": [1]}', "'mean' appears 2 times"),
        ('{"format": 1, "origins": {"a": "b", "a": "b", "a": "b"}}', "'a' appears 3 times"),
        ('{"format": 1, "classes": ["a", "b", "a"]}', "has 'a' 2 times; give each class"),
        ('{"format": 1, "classes": ["a", "a "]}', "a list of names"),
    ],
)
def test_what_it_cannot_say(tmp_path, text, fact):
    path = tmp_path / "x.preprocessing.json"
    path.write_text(text)
    with pytest.raises(NetError, match=fact):
        read(path)


def test_data_layers_say_it_too(tmp_path):
    net = fk.parse(DATA % "mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.5" + TRUNK)
    found = of_data(net)
    assert found.mean == (104, 117, 123) and found.scale == 0.5
    assert of_data(fk.parse(DATA % 'mean_file: "m.binaryproto"' + TRUNK)).mean is None
    assert of_data(fk.parse(INPUT + TRUNK)) is None and of_data(fk.parse(DATA % "" + TRUNK)) is None


def _fcn(tmp_path, source, *words):
    (tmp_path / "net.prototxt").write_text(source + TRUNK)
    size = ("--input", "data=1,3,9,9")
    done = run("fcn", tmp_path / "net.prototxt", "--classes", 2, "--stride", 2, "-o",
               tmp_path / "out", *size, *words)  # fmt: skip
    assert done.exit_code == 0, done.output
    return done, read(tmp_path / "out/deploy.preprocessing.json")


@pytest.mark.parametrize(
    "source, words, mean, origin",
    [
        (DATA % "mean_value: 7", (), (7,), 'net.prototxt:1: layer "data"'),
        (DATA % "mean_value: 7", ("--mean", "1,2,3"), (1, 2, 3), "--mean"),
        (INPUT, (), (), ""),
        (DATA % 'mean_file: "m.binaryproto"', (), (), '"m.binaryproto"'),
    ],
)
def test_fcn_writes_what_the_net_is_trained_with(tmp_path, source, words, mean, origin):
    done, made = _fcn(tmp_path, source, *words)
    assert made.mean == mean and origin in made.origins.get("mean", "")
    assert (made.order, made.size) == ("bgr", (9, 9))
    trained = of_data(fk.read(tmp_path / "out/train_val.prototxt"))
    assert (trained.mean if trained else ()) == mean, "the net is trained as the file says"
    assert ("m.binaryproto" in done.output) is ("m.binaryproto" in source)


def test_fcn_heeds_the_file_beside_its_source(tmp_path):
    Preprocessing("bgr", (1.0, 2.0, 3.0), 0.25, classes=("a", "b")).save(
        tmp_path / "net.preprocessing.json"
    )
    _, made = _fcn(tmp_path, INPUT)
    assert (made.mean, made.scale, made.classes) == ((1, 2, 3), 0.25, ("a", "b"))
    assert of(fk.read(tmp_path / "out/deploy.prototxt")) == made


def test_the_names_of_the_classes_are_the_data_sets(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/classes.txt").write_text("sky\nroad\n")
    _, made = _fcn(tmp_path, INPUT, "--data", tmp_path / "data")
    assert made.classes == ("sky", "road")
    (tmp_path / "data/classes.txt").rename(tmp_path / "out/classes.txt")
    _, made = _fcn(tmp_path, INPUT, "--force")
    assert made.classes == ("sky", "road"), "in the folder that it is written into"
    (tmp_path / "names.txt").write_text("a\nb\nc\n")
    words = ("--labels", tmp_path / "names.txt", "--force")
    refused = run("fcn", tmp_path / "net.prototxt", "--classes", 2, "--stride", 2, "-o",
                  tmp_path / "out", *words)  # fmt: skip
    assert refused.exit_code == 2 and "has 3 names, and there are 2 classes" in refused.output


@pytest.fixture
def trained(tmp_path):
    """A folder as fcn makes it, random weights and an image."""
    _fcn(tmp_path, INPUT, "--mean", "104,117,123", "--scale", "0.01")
    net = fk.read(tmp_path / "out/deploy.prototxt")
    random_weights(net).save(tmp_path / "out/x.caffemodel")
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), "u1")
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path


def _inferred(folder, *words):
    files = [folder / name for name in ("out/deploy.prototxt", "out/x.caffemodel", "a.png")]
    done = run("infer", *files, "-o", folder / "seen", "--force", "--engine", "opencv", *words)
    assert done.exit_code == 0, done.output
    return done.output, json.loads((folder / "seen/a.json").read_text())


@needs_opencv
def test_infer_heeds_it_and_says_so(trained):
    said, plain = _inferred(trained)
    assert "images are prepared as " in said and (
        "deploy.preprocessing.json says: BGR, minus 104,117,123, times 0.01" in said
    )
    said, other = _inferred(trained, "--mean", "0,0,0", "--scale", "1")
    assert "says except for --mean and --scale: " in said and other != plain
    place(trained / "out/deploy.prototxt").unlink()
    said, same = _inferred(trained, "--mean", "104,117,123", "--scale", "0.01")
    assert same == plain and "json says" not in said
    said, none = _inferred(trained)
    assert none != plain and "no mean is subtracted from the images: " in said
    near = "train_val.prototxt, which has the same layers, subtracts 104,117,123; if it trained"
    assert f"{near} this net, give --mean" in said


@needs_opencv
def test_the_python_function_does_too(trained):
    net, weights = (trained / "out" / name for name in ("deploy.prototxt", "x.caffemodel"))
    found = fk.infer(fk.read(net), weights, trained / "a.png", engine="opencv")
    assert "BGR, minus 104,117,123, times 0.01" in repr(found)
    place(net).unlink()
    mean = {"mean": [104, 117, 123], "scale": 0.01}
    same = fk.infer(fk.read(net), weights, trained / "a.png", engine="opencv", **mean)
    assert np.array_equal(found.scores, same.scores)
    with pytest.warns(UserWarning, match="no mean is subtracted from the image"):
        fk.infer(fk.read(net), weights, trained / "a.png", engine="opencv")


@needs_opencv
def test_a_mean_file_comes_before_it(trained):
    binary = trained / "mean.binaryproto"
    binary.write_bytes(binaryproto.written(np.full((3, 20, 30), 50.0, "f4")))
    said, found = _inferred(trained, "--mean-file", binary)
    assert "except for --mean-file: " in said
    _, same = _inferred(trained, "--mean", "50,50,50")
    assert found == same


@pytest.mark.parametrize("name", ["squeezenet", "googlenet"])
def test_layers_tell_a_published_trunk(name):
    net = fk.read(templates.path(name))
    weights = random_weights(net)
    assert trained_like(weights).name == name
    plan = fk.fcn(net, classes=5, stride=16)
    assert trained_like(fk.transplant(plan, weights)).name == name
    assert trained_like(weights.drop(*list(weights)[5:])) is None


def test_fcn_says_what_the_trunk_was_trained_with(tmp_path):
    net = fk.read(templates.path("squeezenet"))
    random_weights(net).save(tmp_path / "w.caffemodel")
    words = ("fcn", "template:squeezenet", "--classes", 3, "--stride", 16, "-o", tmp_path / "out")
    words += ("--weights", tmp_path / "w.caffemodel")
    done = run(*words)
    assert (
        done.exit_code == 0
        and "with 104,117,123 subtracted; give --mean 104,117,123" in done.output
    )
    done = run(*words, "--force", "--mean", "104,117,123")
    assert done.exit_code == 0 and "no mean is subtracted" not in done.output


def test_a_convolutional_net_wants_the_same_images(tmp_path):
    (tmp_path / "net.prototxt").write_text(INPUT + TRUNK)
    made = Preprocessing("rgb", (1.0, 2.0, 3.0), classes=tuple("abcde"))
    words = ("convolutionalize", tmp_path / "net.prototxt", "-o", tmp_path / "conv.prototxt")
    assert run(*words).exit_code == 0 and not place(tmp_path / "conv.prototxt").exists()
    made.save(place(tmp_path / "net.prototxt"))
    done = run(*words, "--force")
    assert done.exit_code == 0 and "conv.preprocessing.json" in done.output
    assert read(place(tmp_path / "conv.prototxt")) == made


def test_what_is_no_file_is_not_taken_for_none(tmp_path):
    (tmp_path / "net.prototxt").write_text(INPUT + TRUNK)
    place(tmp_path / "net.prototxt").mkdir()
    with pytest.raises(NetError, match="is not a file"):
        of(fk.read(tmp_path / "net.prototxt"))


@needs_opencv
@pytest.mark.parametrize("made, fact", [
    (Preprocessing("gray"), '"order" is gray, but the net takes images of 3 channels'),
    (Preprocessing(classes=("a", "b", "c")), 'has 3 names, and the net 2 classes'),
])  # fmt: skip
def test_what_does_not_go_with_the_net_is_refused(trained, made, fact):
    made.save(place(trained / "out/deploy.prototxt"), force=True)
    files = [trained / name for name in ("out/deploy.prototxt", "out/x.caffemodel", "a.png")]
    done = run("infer", *files, "-o", trained / "seen", "--engine", "opencv")
    assert done.exit_code == 2 and fact in done.output


def test_another_nets_is_not_left_beside_a_new_net(tmp_path):
    (tmp_path / "net.prototxt").write_text(INPUT + TRUNK)
    Preprocessing("rgb").save(tmp_path / "conv.preprocessing.json")
    words = ("convolutionalize", tmp_path / "net.prototxt", "-o", tmp_path / "conv.prototxt")
    for more in ((), ("--force",)):
        done = run(*words, *more)
        assert done.exit_code == 2 and "describes the images of another net" in done.output
        assert not (tmp_path / "conv.prototxt").exists()


def test_operations_take_it_along_unless_they_change_it(tmp_path):
    (tmp_path / "net.prototxt").write_text(INPUT + TRUNK)
    made = Preprocessing("bgr", (1.0, 2.0, 3.0), classes=tuple("abcde"))
    made.save(place(tmp_path / "net.prototxt"))

    def operate(word, out):
        return run("surgery", tmp_path / "net.prototxt", "--do", word, "--net-out",
                   tmp_path / out, "--force")  # fmt: skip

    assert operate("conv", "conv.prototxt").exit_code == 0
    assert read(place(tmp_path / "conv.prototxt")) == made
    for number, word in enumerate(("gray", "channels=4", "extract=data:fc")):
        done = operate(word, f"{number}.prototxt")
        assert done.exit_code == 0 and "is not copied" in done.output, done.output
        assert not place(tmp_path / f"{number}.prototxt").exists()
        done = operate(word, "net.prototxt")
        assert done.exit_code == 2 and "the images of the old net" in done.output
    assert (tmp_path / "net.prototxt").read_text() == INPUT + TRUNK


CHANGED = [
    (("swap",), {"order": "rgb", "mean": (3.0, 2.0, 1.0), "scale": (4.0, 2.0, 0.5)}),
    (("swap", "swap"), {}),
    (("classes=fc:2,1",), {"classes": ("c", "b")}),
    (("classes=fc:2,new",), {"classes": ()}),
    (("drop=fc",), {"classes": ()}),
    (("bake",), {"mean": (), "scale": 1.0}),
    (("bake", "swap"), {"order": "rgb", "mean": (), "scale": 1.0}),
    (("bake=1,1,1:0.5,2,4",), {"mean": (0.0, 1.0, 2.0), "scale": 1.0}),
    (("conv", "resize=data:1,3,20,30"), {"size": (20, 30)}),
    (("bake=1,2,3",), {"mean": (-1.0, 1.0, 2.25)}),
]


@pytest.mark.parametrize("words, changes", CHANGED, ids=lambda each: "+".join(map(str, each)))
def test_what_operations_change_is_written_as_it_is_then(tmp_path, words, changes):
    (tmp_path / "net.prototxt").write_text(INPUT + TRUNK)
    made = Preprocessing("bgr", (1.0, 2.0, 3.0), (0.5, 2.0, 4.0), (9, 9), tuple("abcde"))
    made.save(place(tmp_path / "net.prototxt"))
    given = [part for word in words for part in ("--do", word)]
    out = tmp_path / "out.prototxt"
    done = run("surgery", tmp_path / "net.prototxt", *given, "--net-out", out)
    assert done.exit_code == 0, done.output
    assert read(place(out)) == replace(made, **changes)
    lost = "classes" in changes and not changes["classes"]
    assert ("names of its classes are not copied" in done.output) == lost
    # In place of the net the file beside it changes with it.
    own = tmp_path / "net.prototxt"
    assert run("surgery", own, *given, "--net-out", own, "--force").exit_code == 0
    assert read(place(own)) == replace(made, **changes)


@needs_opencv
def test_a_plans_net_is_given_what_it_wants_of_an_image(tmp_path):
    """The file beside the path of its net speaks of the net before the plan."""
    path = tmp_path / "net.prototxt"
    path.write_text(INPUT + TRUNK[: TRUNK.index('layer { name: "fc"')])
    made = Preprocessing("bgr", (104.0, 117.0, 123.0), 0.017, None, tuple("abcd"))
    made.save(place(path))
    net, image = fk.read(path), np.arange(1200, dtype="u1").reshape(20, 20, 3)
    weights = random_weights(net)
    before = fk.infer(net, weights, image, engine="opencv")
    bake, swap = fk.bake(path), fk.swap_channels(net)
    both, larger = bake.then(fk.swap_channels), swap.then(fk.resize, "data", (1, 3, 20, 20))
    for plan in (bake, swap, both, larger):
        found = fk.infer(plan.net, fk.transplant(plan, weights), image, engine="opencv")
        assert np.allclose(found.scores, before.scores, atol=1e-4)
        assert found.names == before.names
    # Plan upon plan, each of the net that the one before has made.
    again = fk.swap_channels(bake.net)
    made = fk.transplant(again, fk.transplant(bake, weights))
    found = fk.infer(again.net, made, image, engine="opencv")
    assert np.allclose(found.scores, before.scores, atol=1e-4)


@needs_opencv
def test_a_net_that_takes_the_mean_off_itself_is_given_the_image_as_it_is(tmp_path):
    (tmp_path / "net.prototxt").write_text(INPUT + TRUNK[: TRUNK.index('layer { name: "fc"')])
    out, weights = tmp_path / "out.prototxt", tmp_path / "net.caffemodel"
    random_weights(fk.read(tmp_path / "net.prototxt")).save(weights)
    Image.fromarray(np.arange(1200, dtype="u1").reshape(20, 20, 3)).save(tmp_path / "a.png")
    done = run("surgery", tmp_path / "net.prototxt", weights, "--do", "bake=104,117,123:0.017",
               "--net-out", out, "-o", tmp_path / "out.caffemodel")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert read(place(out)) == Preprocessing(mean=(), origins=read(place(out)).origins)
    before = fk.infer(tmp_path / "net.prototxt", weights, tmp_path / "a.png",
                      mean=(104, 117, 123), scale=0.017, engine="opencv")  # fmt: skip
    after = run("infer", out, tmp_path / "out.caffemodel", tmp_path / "a.png", "--json",
                "-o", tmp_path / "seen", "--engine", "opencv")  # fmt: skip
    assert after.exit_code == 0 and "--mean" not in after.stderr, after.stderr
    found = fk.infer(out, tmp_path / "out.caffemodel", tmp_path / "a.png", engine="opencv")
    assert np.allclose(before.scores, found.scores, atol=1e-4)


def _alpha(path, *, palette=False, low=255):
    """An image that hides a pixel by as much: by a channel, or by a colour of its palette."""
    pixels = np.full((20, 30, 4), 255, "u1")
    pixels[..., 0] = np.arange(30)
    pixels[3, 4, 3] = low
    image = Image.fromarray(pixels)
    if palette:
        seen = Image.fromarray((pixels[..., 3] == low).astype("u1"), mode="P")
        seen.putpalette([9, 9, 9, 200, 0, 0])
        seen.save(path, transparency=1)
        return
    image.save(path)


@needs_opencv
@pytest.mark.parametrize("palette, low", [(False, 0), (False, 254), (True, 0)])
def test_what_alpha_hides_is_not_shown_to_a_net_unsaid(trained, palette, low):
    _alpha(trained / "a.png", palette=palette, low=low)
    files = [trained / name for name in ("out/deploy.prototxt", "out/x.caffemodel", "a.png")]
    done = run("infer", *files, "-o", trained / "seen", "--engine", "opencv")
    assert done.exit_code == 2 and f"a.png: has an alpha channel of {low} to 255" in done.stderr
    assert "give --alpha ignore" in done.stderr and not (trained / "seen").exists()
    said, _ = _inferred(trained, "--alpha", "ignore")
    assert "its alpha" not in said
    with pytest.raises(DatasetError, match='leave it out with alpha="ignore"'):
        fk.infer(*files, engine="opencv")
    found = fk.infer(*files, engine="opencv", alpha="ignore")
    with pytest.raises(DatasetError, match="alpha='keep': is not known"):
        fk.infer(*files, engine="opencv", alpha="keep")
    pixels = np.asarray(Image.open(trained / "a.png").convert("RGB"))
    assert np.array_equal(found.image, pixels)
    assert np.array_equal(found.scores, fk.infer(*files[:2], pixels, engine="opencv").scores)


@needs_opencv
def test_alpha_that_hides_nothing_is_left_out_and_named(trained):
    _alpha(trained / "a.png")
    said, _ = _inferred(trained)
    assert "a.png: its alpha channel is 255 everywhere and is left out" in said
    files = [trained / name for name in ("out/deploy.prototxt", "out/x.caffemodel", "a.png")]
    with pytest.warns(
        UserWarning, match="a.png: its alpha channel is 255 everywhere and is left out"
    ):
        fk.infer(*files, engine="opencv")


# ---- a factor for each channel, as PyTorch's models want


def test_each_channel_has_its_factor():
    """(value - mean) * scale, channel by channel, in the net's order."""
    prepared = Preparation(3, (1, 2, 3), scale=(10, 100, 1000), order="rgb")
    image = np.array([[[5, 6, 7]]], np.uint8)
    assert prepared(image).ravel().tolist() == [40, 400, 4000]
    assert replace(prepared, order="bgr")(image).ravel().tolist() == [60, 400, 2000]


def test_the_file_has_a_number_for_each_channel(tmp_path):
    """As it was written, and said of the images."""
    made = Preprocessing("rgb", (123.7, 116.3, 103.5), (0.017, 0.018, 0.0175))
    made.save(tmp_path / "net.preprocessing.json")
    assert read(tmp_path / "net.preprocessing.json") == made
    assert "times 0.017,0.018,0.0175" in str(made)


@pytest.mark.parametrize("scale", ["[1, 0, 1]", "[]", '["a"]', "[1, 2, 3, 4, 5]"])
def test_factors_that_are_none(scale, tmp_path):
    """Zeros, texts, none or too many."""
    path = tmp_path / "net.preprocessing.json"
    path.write_text(f'{{"format": 1, "scale": {scale}}}')
    with pytest.raises(NetError, match="be a number"):
        read(path)


def test_factors_for_another_number_of_channels():
    """Two, for an image of three."""
    with pytest.raises(NetError, match='"scale" has 2 numbers'):
        check(Preprocessing(scale=(1.0, 2.0)), 3, 10, "net.preprocessing.json")


def test_a_data_layer_has_one_scale_for_all(tmp_path):
    """fcn refuses to write what would train on other images."""
    path = place(tmp_path / "net.prototxt")
    Preprocessing(mean=(), scale=(1.0, 2.0, 3.0)).save(path)
    (tmp_path / "net.prototxt").write_text(INPUT + TRUNK)
    words = ("fcn", tmp_path / "net.prototxt", "--classes", 2, "--stride", 2)
    refused = run(*words, "--input", "data=1,3,9,9")
    assert refused.exit_code == 2 and "one factor for all channels" in refused.output
    assert run(*words, "--input", "data=1,3,9,9", "--scale", "1").exit_code == 0


# ---- nets beside a net, which may have trained it

SCORES = """layer { name: "s" type: "Convolution" bottom: "data" top: "s"
  convolution_param { num_output: 2 kernel_size: 1 } }
"""
OLD = SCORES.replace("layer {", "layers {").replace('"Convolution"', "CONVOLUTION")
TRAINED = {
    "scale": 'layer { name: "d" type: "Data" top: "data" transform_param { scale: 0.00390625 } }\n',
    "old scale": 'layer { name: "d" type: "Data" top: "data" data_param { scale: 0.00390625 } }\n',
    "old mean file": 'layers { name: "d" type: IMAGE_DATA top: "data" image_data_param {'
    ' mean_file: "m.binaryproto" } }\n',
    "mean": 'layer { name: "d" type: "Data" top: "data" transform_param { mean_value: 7 } }\n',
}
SAID = {
    "scale": "multiplies by 0.00390625; if it trained this net, give --scale 0.00390625",
    "old scale": "give --scale 0.00390625",
    "old mean file": "subtracts a mean file; give it with --mean-file",
    "mean": "subtracts 7; if it trained this net, give --mean 7",
}


@pytest.mark.parametrize("words", TRAINED)
@pytest.mark.parametrize(
    "name", ["train_val.prototxt", "train.prototxt", "lenet_train_test.prototxt"]
)
def test_what_a_net_beside_it_does_to_images_is_said(tmp_path, capsys, name, words):
    """LeNet's pixels are divided by 256 in training, and nothing in its deploy net says so."""
    deploy = tmp_path / "deploy.prototxt"
    deploy.write_text('input: "data" input_dim: [1, 1, 4, 4]\n' + SCORES)
    (tmp_path / name).write_text(TRAINED[words] + (OLD if "layers" in TRAINED[words] else SCORES))
    weights = tmp_path / "w.caffemodel"
    store.create().put("s", [np.ones((2, 1, 1, 1), "f4"), np.ones(2, "f4")]).save(weights)
    options = {"mean": (), "mean_file": None, "scale": None, "order": None}
    for_images(fk.read(deploy), str(weights), channels=1, classes=2, **options)
    said = capsys.readouterr().err
    assert name in said and SAID[words] in said
    given = {"mean": (7.0,), "scale": 0.00390625}
    for_images(fk.read(deploy), str(weights), channels=1, classes=2, **(options | given))
    assert capsys.readouterr().err == ""
    (tmp_path / name).write_text(
        (tmp_path / name).read_text().replace('name: "s"', 'name: "other"')
    )
    for_images(fk.read(deploy), str(weights), channels=1, classes=2, **options)
    assert name not in capsys.readouterr().err, "another net's images are nothing to this one"
