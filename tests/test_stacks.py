"""Images of any number of channels, in .npy files: into a dataset, a training, a prediction."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from sketches import conv, data, net

import fcnkit as fk
from fcnkit.cli.main import main
from fcnkit.datasets import stacks
from fcnkit.datasets.images import read_image
from fcnkit.datasets.summary import records
from fcnkit.errors import DatasetError
from fcnkit.weights import store

CLASSES = 2


def run(*words):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def folder(tmp_path):
    """Six images of five channels; a pixel is of class 1 where its fourth channel is bright."""
    PIL = pytest.importorskip("PIL.Image")
    pytest.importorskip("lmdb")
    random = np.random.default_rng(0)
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
    for number in range(6):
        image = random.integers(0, 256, (12, 16, 5), dtype=np.uint8)
        np.save(tmp_path / "images" / f"{number}.npy", image)
        label = (image[:, :, 3] > 127).astype(np.uint8)
        PIL.fromarray(label).save(tmp_path / "labels" / f"{number}.png")
    (tmp_path / "classes.txt").write_text("dark\nbright\n")
    return tmp_path


def created(folder, *more):
    out = folder / "data"
    words = ["dataset", "create", folder / "images", folder / "labels", "-o", out, "--split", "0.2"]
    run(*words, "--classes", folder / "classes.txt", "--order", "stored", "--no-shuffle", *more)
    return out


def test_a_dataset_holds_the_channels_as_they_are(folder):
    out = created(folder)
    found = [image.array for image, _ in records(out, "train")]
    assert len(found) == 5
    stored = [np.load(path) for path in sorted((folder / "images").iterdir())]
    assert all(
        any(np.array_equal(each, np.moveaxis(image, 2, 0)) for image in stored) for each in found
    )
    shown = run("dataset", "inspect", out, "--sheet", folder / "sheet.png").output
    assert "mean stored: " in shown and (folder / "sheet.png").exists()
    assert json.loads((out / "report.json").read_text())["order"] == "stored"


def test_each_channel_is_resized_by_itself(folder):
    out = created(folder, "--resize", "8x6")
    image, label = next(iter(records(out, "train")))
    assert image.array.shape == (5, 6, 8) and label.array.shape == (1, 6, 8)


DENSE = data(1, 5, 12, 16) + conv("score", "data", CLASSES, 1)


def test_it_is_learnt_from_and_run_on(folder, one_thread):
    """The fourth channel alone says the class: a net of one weight that is not 0 knows it."""
    out = created(folder)
    weights = np.zeros((CLASSES, 5, 1, 1), "f4")
    weights[1, 3] = 1
    made = store.create().put_all({"score": [weights, np.array([127.5, 0], "f4")]})
    made.save(folder / "w.caffemodel")
    net(DENSE).save(folder / "deploy.prototxt")
    words = ["infer", folder / "deploy.prototxt", folder / "w.caffemodel", folder / "images"]
    result = run(*words, "-o", folder / "seen", "--mean", "0", "--no-overlay")
    assert "Traceback" not in result.output
    run("score", folder / "seen", folder / "labels", "--classes", folder / "classes.txt")
    label = np.asarray(fk.infer(net(DENSE), made, folder / "images" / "0.npy", mean=[0]).classes)
    image = np.load(folder / "images" / "0.npy")
    assert np.array_equal(label, image[:, :, 3] > 127)
    assert np.array_equal(fk.infer(net(DENSE), made, image, mean=[0]).classes, label)
    assert out.exists()


def test_an_fcn_of_such_images_is_trained(folder, one_thread):
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'fcnkit[torch]'")
    out = created(folder)
    small = data(1, 5, 12, 16) + conv("c", "data", 4, 3, "pad: 1 stride: 2") + conv("fc", "c", 3, 1)
    net(small).save(folder / "net.prototxt")
    words = ["fcn", folder / "net.prototxt", "--classes", CLASSES, "--stride", 2, "--data", out]
    run(*words, "--refill", "--cpu", "-o", folder / "made")
    beside = json.loads((folder / "made" / "deploy.preprocessing.json").read_text())
    assert beside["order"] == "stored" and "report.json" in beside["origins"]["order"]
    words = ["train", folder / "made", "--data", out, "--engine", "torch", "--iterations", 2]
    run(*words)
    snapshot = next((folder / "made" / "run").glob("*_iter_2.caffemodel"))
    run(
        "infer",
        folder / "made" / "deploy.prototxt",
        snapshot,
        folder / "images",
        "-o",
        folder / "s",
    )
    assert len(list((folder / "s").glob("?.png"))) == 6


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((4, 4, 5), "f4"), "holds float32 values, but images are bytes"),
        (np.zeros((4,), "u1"), "is 4, and an image is height x width x channels"),
        (np.zeros((4, 0, 3), "u1"), "an image is height x width x channels"),
        (np.zeros((4, 4, 6), "u1"), "has 6 channels, and 5 are wanted"),
    ],
)
def test_what_is_no_such_image_is_refused(array, reason, tmp_path):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DatasetError, match=reason):
        stacks.read_stack(tmp_path / "a.npy", 5)


def test_pictures_and_stacks_are_not_taken_for_each_other(folder):
    words = ["dataset", "create", folder / "images", folder / "labels", "-o", folder / "out"]
    words += ["--split", "0", "--classes", folder / "classes.txt"]
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 2 and not (folder / "out").exists()
    words = ["dataset", "create", folder / "labels", folder / "labels", "-o", folder / "out"]
    words += ["--split", "0", "--classes", folder / "classes.txt", "--order", "stored"]
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 2 and "--order stored is for .npy files" in result.output
    np.save(folder / "cut.npy", np.load(folder / "images" / "0.npy")[:, :, :3])
    wide = net(data(1, 3, 12, 16) + conv("score", "data", CLASSES, 1))
    made = store.create().put_all({"score": [np.ones((2, 3, 1, 1), "f4"), np.zeros(2, "f4")]})
    with pytest.raises(DatasetError, match="found a numpy array"):
        fk.infer(wide, made, folder / "cut.npy", mean=[0])
    assert fk.infer(wide, made, folder / "cut.npy", mean=[0], order="stored").classes.shape == (
        12,
        16,
    )


@pytest.mark.parametrize("suffix", [".tif", ".gif", ".webp"])
def test_of_several_pictures_in_a_file_none_is_chosen(suffix, tmp_path):
    """The pages of a TIFF are no channels, and of an animation no picture is the right one."""
    PIL = pytest.importorskip("PIL.Image")
    first, second = (PIL.new("RGB", (8, 6), colour) for colour in ("red", "blue"))
    first.save(tmp_path / f"a{suffix}", save_all=True, append_images=[second])
    with pytest.raises(DatasetError, match="holds 2 pictures; save one per file"):
        read_image(tmp_path / f"a{suffix}")
    first.save(tmp_path / f"b{suffix}")
    assert read_image(tmp_path / f"b{suffix}").size == (8, 6)
