"""Folders of images and labels become what Caffe reads:
whole or not at all, and always the same.
"""

import contextlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from caffe_training import trained
from click.testing import CliRunner
from pictures import GRAY, RGB, folders, png, save
from PIL import Image
from sketches import conv, data, fc, net, pool, relu, weights

from fcnkit import locks
from fcnkit.cli.main import main
from fcnkit.datasets import create as making
from fcnkit.datasets import databases, pairs, staging, workers
from fcnkit.datasets.colours import painted
from fcnkit.datasets.create import Task, create
from fcnkit.datasets.geometry import Geometry
from fcnkit.datasets.labels import Reading
from fcnkit.datasets.pairs import find, shuffled, split
from fcnkit.datasets.prepare import PairOptions
from fcnkit.datasets.summary import SPLITS, summarize
from fcnkit.errors import DatasetError, EngineError, OutputError
from fcnkit.formats import datum, schema
from fcnkit.formats.prototxt import Style, parse, render
from fcnkit.nets.graph import State
from fcnkit.rewrites.to_train import Images, data_layer

NAMES = ("sky", "road", "car")
SMALL = net(
    data(1, 3, 24, 24),
    conv("conv1", "data", 4, 3, "pad: 1"),
    relu("conv1"),
    pool("pool1", "conv1", 2, 2),
    fc("fc2", "pool1", 8),
    relu("fc2"),
    fc("fc3", "fc2", 10),
)
BASES = ("train_image_lmdb", "train_label_lmdb", "val_image_lmdb", "val_label_lmdb")


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def made(top, *options, images="images", labels="labels", split=0.34, out="data"):
    words = [top / images, top / labels, "-o", top / out, "--classes", 3, "--jobs", 1]
    words += ["--split", split] if split is not None else []
    return run("dataset", "create", *words, *options)


def task(top, *, names=None, **options) -> Task:
    """All pairs of a folder, in the order of names, to train on."""
    recipe = PairOptions(
        Reading(3), **{name: options.pop(name) for name in ("geometry", "order") if name in options}
    )
    return Task(
        {"train": find(top / "images", top / "labels", names=names)}, recipe, NAMES, **options
    )


def entries(folder) -> dict:
    return {name: list(databases.read(folder / name)) for name in BASES if (folder / name).is_dir()}


def contents(folder) -> dict:
    """Everything in a dataset, in a form that can be compared."""
    found = {
        name: [(key, array.tobytes()) for key, array in each]
        for name, each in entries(folder).items()
    }
    rest = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    return found | rest


def traces(top) -> list[str]:
    return sorted(path.name for path in top.iterdir() if path.name not in ("images", "labels"))


# ---- the straight path


def test_what_is_written_is_what_was_there(tmp_path):
    files = folders(tmp_path)
    result = made(tmp_path)
    assert result.exit_code == 0, result.output
    found = entries(tmp_path / "data")
    assert [len(found[name]) for name in BASES] == [4, 4, 2, 2]
    for kind in ("train", "val"):
        images, labels = found[f"{kind}_image_lmdb"], found[f"{kind}_label_lmdb"]
        assert [key for key, _ in images] == [key for key, _ in labels]
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            assert image.key.startswith(f"{number:08d}_")
            rgb, index = files[image.key[9:]]
            assert np.array_equal(image.array, rgb[..., ::-1].transpose(2, 0, 1))
            assert np.array_equal(label.array, index[None])
    assert {key[9:] for name in BASES for key, _ in found[name]} == set(files)
    assert traces(tmp_path) == ["data"]


def test_the_folder_has_classes_colours_mean_and_report(tmp_path):
    files = folders(tmp_path)
    (tmp_path / "classes.txt").write_text("sky\nroad\ncar\n")
    assert made(tmp_path, "--classes", tmp_path / "classes.txt", split=0).exit_code == 0
    folder = tmp_path / "data"
    assert (folder / "classes.txt").read_text() == "sky\nroad\ncar\n"
    assert (folder / "colours.txt").read_text() == "0 0 0\n128 0 0\n0 128 0\n"
    assert not (folder / "val_image_lmdb").exists()
    rgb = np.stack([image for image, _ in files.values()]).astype(float)
    blob = schema.message("BlobProto").FromString((folder / "mean.binaryproto").read_bytes())
    shape = blob.num, blob.channels, blob.height, blob.width
    assert shape == (1, 3, 5, 7)
    assert np.allclose(
        np.reshape(blob.data, shape[1:]), rgb.mean(axis=0)[..., ::-1].transpose(2, 0, 1)
    )
    report = json.loads((folder / "report.json").read_text())
    train = report["splits"]["train"]
    assert np.allclose(train["mean"], rgb.mean(axis=(0, 1, 2))[::-1]) and report["mean_file"]
    labels = np.stack([label for _, label in files.values()])
    counts = np.bincount(labels.ravel(), minlength=256)
    assert train["pixels"] == counts[:3].tolist() and train["ignored_pixels"] == 6
    assert train["majority_baseline"]["pixel_accuracy"] == counts[:3].max() / counts[:3].sum()
    assert [each["name"] for each in report["classes"]] == list(NAMES)


def test_create_prints_what_inspect_prints(tmp_path):
    folders(tmp_path)
    printed, inspected = made(tmp_path).output, run("dataset", "inspect", tmp_path / "data").output
    assert printed == f"{inspected}wrote {tmp_path / 'data'}\n" and "majority baseline" in printed
    as_json = json.loads(made(tmp_path, "--json", "--force").stdout)
    assert as_json == json.loads(run("dataset", "inspect", tmp_path / "data", "--json").stdout)
    assert as_json == json.loads((tmp_path / "data" / "report.json").read_text())


def test_median_frequency_weights_of_two_labels(tmp_path):
    """Class 0 in both images (4 and 2 of 4 pixels),
    class 1 in one (2 of 4): 6/8 and 2/4, median 5/8.

    The ignored column counts nowhere.
    """
    for name, label in (("a", [[0, 0, 255], [0, 0, 255]]), ("b", [[0, 1, 255], [1, 0, 255]])):
        save(tmp_path / "images" / f"{name}.png", np.zeros((2, 3, 3), np.uint8))
        save(tmp_path / "labels" / f"{name}.png", np.array(label, np.uint8))
    made(tmp_path, split=0)
    found = summarize(tmp_path / "data").splits[0]
    assert found.weights == (0.625 / 0.75, 0.625 / 0.5, None)
    assert (
        found.baseline == (0, 0.75)
        and found.shares == (0.75, 0.25, 0)
        and found.images == (2, 1, 0)
    )


def test_images_of_many_sizes_have_a_mean_colour_and_no_mean_image(tmp_path):
    folders(tmp_path)
    save(tmp_path / "images" / "z.png", np.full((9, 9, 3), 7, np.uint8))
    save(tmp_path / "labels" / "z.png", np.zeros((9, 9), np.uint8))
    assert made(tmp_path, split=0).exit_code == 0
    assert not (tmp_path / "data" / "mean.binaryproto").exists()
    assert (
        len(json.loads((tmp_path / "data" / "report.json").read_text())["splits"]["train"]["sizes"])
        == 2
    )


@pytest.mark.parametrize("order", ["bgr", "rgb", "gray"])
@pytest.mark.parametrize("encode", ["raw", "png"])
def test_channel_orders_and_encodings(tmp_path, order, encode):
    files = folders(tmp_path)
    result = made(tmp_path, "--order", order, "--encode", encode, split=0)
    assert result.exit_code == 0
    assert f"mean {'gray' if order == 'gray' else ', '.join(order.upper())}: " in result.output
    for key, array in entries(tmp_path / "data")["train_image_lmdb"]:
        rgb = files[key[9:]][0]
        gray = np.asarray(Image.fromarray(rgb).convert("L"))[..., None]
        wanted = {"bgr": rgb[..., ::-1], "rgb": rgb, "gray": gray}[order]
        assert np.array_equal(array, wanted.transpose(2, 0, 1))


def test_sizes(tmp_path):
    folders(tmp_path)
    assert (
        made(tmp_path, "--resize", "20x10", "--pad", "24x4", "--crop", "22x8", split=0).exit_code
        == 0
    )
    for image, label in zip(*list(entries(tmp_path / "data").values())[:2], strict=True):
        assert image.array.shape == (3, 8, 22) and label.array.shape == (1, 8, 22)
        assert (label.array[..., -1] == 255).all() and not image.array[..., -1].any()


def deep(path, label):
    """A label as SYNTHIA's: 16 bits, the class in the first channel, instances in the second."""
    png(path, label[..., None] * np.array([1, 257, 0]), 16, RGB)


def coloured(path, label):
    save(path, painted(label, [(9, 9, 9), (1, 2, 3), (200, 0, 7)]))


def renumbered(path, label):
    save(path, np.array([7, 8, 26], np.uint8)[np.minimum(label, 2)] * (label != 255))


@pytest.mark.parametrize(
    "write, text, words",
    [
        (deep, "", ["--channel", "class"]),
        (coloured, "9 9 9\n1 2 3\n200 0 7\n", ["--colours", "FILE", "--unknown", "ignore"]),
        (coloured, "a 9 9 9\nb 1 2 3\nc 200 0 7\nvoid 224 224 192", ["--colours", "FILE"]),
        (renumbered, "7 0\n8 1\n26 2\n0 ignore\n", ["--map", "FILE"]),
        (renumbered, "", ["--map", "7=0,8=1,26=2", "--void", "0"]),
    ],
)
def test_labels_of_every_kind(tmp_path, write, text, words):
    files = folders(tmp_path)
    for name, (_, label) in files.items():
        write(tmp_path / "labels" / f"{name}.png", label)
    (tmp_path / "file.txt").write_text(text)
    result = made(
        tmp_path, *[tmp_path / "file.txt" if word == "FILE" else word for word in words], split=0
    )
    assert result.exit_code == 0, result.output
    for key, array in entries(tmp_path / "data")["train_label_lmdb"]:
        assert np.array_equal(array[0], files[key[9:]][1])


# ---- order, splits and lists


def test_the_result_depends_on_names_and_seed_alone(tmp_path):
    folders(tmp_path, 12)
    assert all(
        made(tmp_path, *more, out=out).exit_code == 0
        for out, more in (("a", []), ("b", []), ("c", ["--seed", 1]), ("d", ["--no-shuffle"]))
    )
    first, again, other, sorted_ = (contents(tmp_path / each) for each in "abcd")
    assert first == again
    keys = {
        each: [key[9:] for key, _ in found["train_image_lmdb"]]
        for each, found in (("first", first), ("other", other), ("sorted", sorted_))
    }
    assert (
        keys["first"] != keys["other"] and keys["sorted"] == sorted(keys["first"]) != keys["first"]
    )


@pytest.mark.parametrize("more", [(), ("--encode", "png"), ("--crop", "4x3")])
def test_flipped_pairs_are_the_mirror_images_of_the_others(tmp_path, more):
    folders(tmp_path, 8)
    assert made(tmp_path, "--flip", *more).exit_code == 0
    assert made(tmp_path, *more, out="plain").exit_code == 0
    found, plain = entries(tmp_path / "data"), entries(tmp_path / "plain")
    assert all(str(found[base]) == str(plain[base]) for base in BASES[2:])
    for base in BASES[:2]:
        arrays, single = ({key[9:]: array for key, array in some[base]} for some in (found, plain))
        assert set(arrays) == {f"{name}{tail}" for name in single for tail in ("", "-flipped")}
        for name, array in single.items():
            assert np.array_equal(arrays[name], array)
            assert np.array_equal(arrays[f"{name}-flipped"], array[..., ::-1])
    order = [[key[9:] for key, _ in found[base]] for base in BASES[:2]]
    assert order[0] == order[1] != sorted(order[0])


def test_a_file_that_comes_leaves_the_rest_where_they_were():
    many = [pairs.Pair(f"n{number}", f"i{number}", f"l{number}") for number in range(200)]
    before, after = ({pair.name for pair in split(some, 0.1, 3)[1]} for some in (many, many[:-1]))
    assert len(before) == len(after) == 20 and len(before ^ after) <= 2
    assert set(shuffled(many, 3)) == set(many)


@pytest.mark.parametrize("share, message", [(0.99, "leaves none of 3 pairs")])
def test_a_split_that_leaves_nothing(share, message):
    with pytest.raises(DatasetError, match=message):
        split([pairs.Pair(name, name, name) for name in "abc"], share, 0)


def test_lists_and_folders_of_their_own(tmp_path):
    folders(tmp_path)
    (tmp_path / "train.txt").write_text("street_00\nstreet_03\n")
    (tmp_path / "val.txt").write_text("street_05\n")
    lists = ["--list", tmp_path / "train.txt", "--val-list", tmp_path / "val.txt", "--no-shuffle"]
    assert made(tmp_path, *lists, split=None).exit_code == 0
    found = entries(tmp_path / "data")
    assert [key[9:] for key, _ in found["train_label_lmdb"]] == ["street_00", "street_03"]
    assert [key[9:] for key, _ in found["val_label_lmdb"]] == ["street_05"]
    own = ["--val-images", tmp_path / "images", "--val-labels", tmp_path / "labels"]
    result = made(tmp_path, *own, split=None, out="other")
    assert (
        result.exit_code == 2
        and "6 labels are in both the training and the validation list" in result.output
    )


def test_subfolders_tails_and_unlabelled_images(tmp_path):
    for place in (
        "images/berlin/a_leftImg8bit.png",
        "images/ulm/a_leftImg8bit.png",
        "images/ulm/b_leftImg8bit.png",
    ):
        save(tmp_path / place, np.zeros((2, 2, 3), np.uint8))
    for place in ("labels/berlin/a_ids.png", "labels/ulm/a_ids.png", "labels/ulm/a_color.png"):
        save(tmp_path / place, np.zeros((2, 2), np.uint8))
    (tmp_path / "images" / "Thumbs.db").write_text("x")
    save(tmp_path / "images" / ".trash" / "a_leftImg8bit.png", np.zeros((2, 2, 3), np.uint8))
    ends = ["--image-tail", "_leftImg8bit", "--label-tail", "_ids"]
    result = made(tmp_path, *ends, split=0)
    assert (
        result.exit_code == 2 and "has no label for" in result.output and "ulm/b" in result.output
    )
    assert made(tmp_path, *ends, "--labelled-only", "--no-shuffle", split=0).exit_code == 0
    keys = [key for key, _ in entries(tmp_path / "data")["train_image_lmdb"]]
    assert keys == ["00000000_berlin/a", "00000001_ulm/a"]


def test_images_and_labels_in_one_folder(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / "images" / f"{name}.png", np.zeros((2, 2, 3), np.uint8))
        save(tmp_path / "images" / f"{name}_L.png", np.zeros((2, 2), np.uint8))
    assert made(tmp_path, "--label-tail", "_L", labels="images", split=0).exit_code == 0
    assert len(entries(tmp_path / "data")["train_label_lmdb"]) == 2


# ---- every bad file is named, and nothing is left


def spoil(top) -> dict[str, str]:
    """Seven kinds of bad files among good ones, and what is said of each."""
    labels, images = top / "labels", top / "images"
    save(labels / "street_00.png", np.zeros((5, 8), np.uint8))
    save(labels / "street_01.png", np.full((5, 7), 255, np.uint8))
    save(labels / "street_02.png", np.zeros((5, 7, 3), np.uint8))
    save(labels / "street_03.png", np.full((5, 7), 3, np.uint8))
    (labels / "street_04.png").write_bytes((labels / "street_05.png").read_bytes()[:60])
    (images / "street_05.png").write_bytes(b"GIF89a")
    png(labels / "street_06.png", [[0]], 8, GRAY, size=(20000, 20000))
    return {
        "labels/street_00.png": "is 8x5, but its image",
        "labels/street_01.png": "every pixel is ignored",
        "labels/street_02.png": "has three channels",
        "labels/street_03.png": "x 0, y 0 is 3, which is not a class, 0 to 2",
        "labels/street_04.png": "may be damaged",
        "images/street_05.png": "or is damaged",
        "labels/street_06.png": "has more than 178,956,970 pixels, Pillow's limit",
    }


def test_every_bad_file_is_named(tmp_path):
    folders(tmp_path, 10)
    wrong = spoil(tmp_path)
    result = made(tmp_path)
    lines = result.output.splitlines()
    assert result.exit_code == 2 and lines[0].startswith("fcnkit: 7 bad files; ")
    for place, fact in wrong.items():
        assert [
            line for line in lines if line.startswith(f"  {tmp_path / place}: ") and fact in line
        ], place
    assert len(lines) == 8 and traces(tmp_path) == []


def test_a_remedy_for_all_bad_files_stands_once(tmp_path):
    folders(tmp_path, 3)
    for number in range(3):
        save(tmp_path / "labels" / f"street_0{number}.png", np.full((5, 7), 3, np.uint8))
    _, *lines, last = made(tmp_path, split=0).output.splitlines()
    assert len(lines) == 3 and all(line.endswith("(35 pixels of 1 value)") for line in lines)
    assert last.startswith("  for each of these: add it with --void or --map")


def test_bad_pairs_may_be_left_out(tmp_path):
    folders(tmp_path, 10)
    wrong = spoil(tmp_path)
    assert made(tmp_path, "--skip-bad", split=0).exit_code == 0
    report = json.loads((tmp_path / "data" / "report.json").read_text())
    assert report["splits"]["train"]["images"] == 3
    assert sorted(each.split(":")[0] for each in report["skipped"]) == sorted(
        str(tmp_path / w) for w in wrong
    )
    images, labels = (entries(tmp_path / "data")[name] for name in BASES[:2])
    assert [key for key, _ in images] == [key for key, _ in labels] and len(images) == 3
    assert "left out: " in run("dataset", "inspect", tmp_path / "data").output


def test_nothing_but_bad_pairs(tmp_path):
    folders(tmp_path, 2)
    for number in range(2):
        save(tmp_path / "labels" / f"street_{number:02d}.png", np.full((5, 7), 9, np.uint8))
    result = made(tmp_path, "--skip-bad", split=0)
    assert (
        result.exit_code == 2
        and "no pair of it is good" in result.output
        and traces(tmp_path) == []
    )


def test_partners_that_are_missing_or_too_many(tmp_path):
    folders(tmp_path)
    (tmp_path / "labels" / "street_01.png").unlink()
    (tmp_path / "images" / "street_02.png").unlink()
    shutil.copy(tmp_path / "images" / "street_03.png", tmp_path / "images" / "street_03.jpg")
    result = made(tmp_path)
    assert result.exit_code == 2 and "3 files without exactly one partner" in result.output
    for fact in ("has no label for", "has no image for", "street_03.png: has the same name as"):
        assert fact in result.output
    assert traces(tmp_path) == []


def test_a_list_with_names_that_are_not_there(tmp_path):
    folders(tmp_path)
    (tmp_path / "list.txt").write_text("street_00\nstreet_99\n")
    result = made(tmp_path, "--list", tmp_path / "list.txt")
    assert result.exit_code == 2 and "has no image for street_99" in result.output


@pytest.mark.parametrize(
    "words, message",
    [
        (["--split", "0.1", "--val-list", "x"], "choose one way to validate"),
        (["--val-images", "x"], "choose one way to validate"),
        ([], "choose one way to validate"),
        (["--split", "1.5"], "range"),
        (["--split", "0.1", "--resize", "3"], "write width x height"),
        (["--split", "0.1", "--map", "1=x"], "write it as 7=0"),
        (["--split", "0.1", "--map", "1=0,1=2"], "1 appears twice"),
        (["--split", "0.1", "--map", "nofile"], "is neither a list"),
        (["--split", "0.1", "--void", "a"], "write it as 11"),
        (["--split", "0.1", "--ignore", "2"], "ignore 2: must be above the 3 classes"),
        (["--split", "0.1", "--classes", "none.txt"], "none.txt: cannot be read"),
        (["--split", "0.1", "--colours", "none.txt"], "none.txt: cannot be read"),
        (["--split", "0.1", "--crop", "9x9"], "smaller than the crop 9x9"),
    ],
)
def test_wrong_words_are_exit_2_and_leave_nothing(tmp_path, words, message):
    folders(tmp_path)
    result = made(tmp_path, *words, split=None)
    assert result.exit_code == 2 and message in result.output and traces(tmp_path) == []


def test_folders_that_are_not_there(tmp_path):
    folders(tmp_path)
    assert "is not a folder" in made(tmp_path, images="none").output
    (tmp_path / "empty").mkdir()
    assert "holds no images" in made(tmp_path, images="empty", labels="empty").output
    no_classes = run(
        "dataset", "create", tmp_path / "images", tmp_path / "labels", "-o", "x", "--split", 0
    )
    assert no_classes.exit_code == 2 and "give the classes: " in no_classes.output


def test_a_library_that_is_missing_is_named(tmp_path, monkeypatch):
    folders(tmp_path)
    monkeypatch.setitem(sys.modules, "lmdb", None)
    result = made(tmp_path)
    assert result.exit_code == 2 and "lmdb is needed, and is not installed" in result.output
    assert "pip install 'fcnkit[train]'" in result.output


# ---- whole or not at all


def test_a_dataset_is_replaced_only_with_force(tmp_path):
    folders(tmp_path)
    assert made(tmp_path).exit_code == 0
    before = contents(tmp_path / "data")
    assert made(tmp_path, "--seed", 5).exit_code == 2 and contents(tmp_path / "data") == before
    assert (
        made(tmp_path, "--seed", 5, "--force").exit_code == 0
        and contents(tmp_path / "data") != before
    )
    assert traces(tmp_path) == ["data"]


def test_a_folder_that_is_no_dataset_is_never_replaced(tmp_path):
    folders(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("years of work")
    result = made(tmp_path, "--force")
    assert result.exit_code == 2 and "is not a dataset to replace" in result.output
    staging.place(tmp_path / "new").mkdir()
    (staging.place(tmp_path / "new") / "thesis.txt").write_text("years of work")
    result = made(tmp_path, "--force", out="new")
    assert result.exit_code == 2 and "which is not of fcnkit" in result.output
    assert len(list(tmp_path.rglob("thesis.txt"))) == 2


class Stop(KeyboardInterrupt):
    """Ctrl-C: what another error leaves, nothing can be taken up from."""


def interrupted(top, at: int, monkeypatch, **options) -> None:
    """Begins a dataset in batches of two,
    and is stopped when `at` of them are written, images or labels.
    """
    calls = count()
    put = databases.DatabaseWriter.put

    def stopping(self, some):
        if next(calls) == at:
            raise Stop
        put(self, some)

    monkeypatch.setattr(making, "_BATCH", 2)
    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(databases.DatabaseWriter, "put", stopping)
        create(task(top, **options), top / "data")


@pytest.mark.parametrize("at", range(6))
def test_resuming_gives_what_going_through_gives(tmp_path, monkeypatch, at):
    folders(tmp_path, 6)
    interrupted(tmp_path, at, monkeypatch)
    assert traces(tmp_path) == [".data.partial"]
    with pytest.raises(DatasetError, match="holds an interrupted dataset; continue with --resume"):
        create(task(tmp_path), tmp_path / "data")
    read = []
    patched = making.prepared
    monkeypatch.setattr(
        making, "prepared", lambda pair, recipe: read.append(pair) or patched(pair, recipe)
    )
    create(task(tmp_path), tmp_path / "data", resume=True)
    assert len(read) == 6 - at // 2 * 2  # what both databases have is not read again
    create(task(tmp_path), tmp_path / "whole")
    assert contents(tmp_path / "data") == contents(tmp_path / "whole")


def test_resuming_remembers_what_was_left_out(tmp_path, monkeypatch):
    folders(tmp_path, 6)
    save(tmp_path / "labels" / "street_00.png", np.full((5, 7), 9, np.uint8))
    interrupted(tmp_path, 3, monkeypatch, skip_bad=True)
    found = create(task(tmp_path, skip_bad=True), tmp_path / "data", resume=True)
    assert (
        len(found.skipped) == 1 and "street_00" in found.skipped[0] and found.splits[0].count == 5
    )


@pytest.mark.parametrize("name", ["_moved", "_permit"])
def test_stopped_at_the_very_end(tmp_path, monkeypatch, name):
    folders(tmp_path)
    save(tmp_path / "labels" / "street_00.png", np.full((5, 7), 9, np.uint8))
    real, calls = getattr(staging, name), count()

    def stopping(*words):
        if next(calls) == (name == "_permit"):
            raise Stop
        return real(*words)

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr(staging, name, stopping)
        create(task(tmp_path, skip_bad=True), tmp_path / "data")
    found = create(task(tmp_path, skip_bad=True), tmp_path / "data", resume=True)
    create(task(tmp_path, skip_bad=True), tmp_path / "whole")
    assert contents(tmp_path / "data") == contents(tmp_path / "whole") and len(found.skipped) == 1
    assert traces(tmp_path) == ["data", "whole"]


def test_a_folder_that_appears_meanwhile_stays(tmp_path, monkeypatch):
    folders(tmp_path)

    def other(summary, *more):
        save(tmp_path / "data" / "photo.png", np.zeros((1, 1), np.uint8))

    monkeypatch.setattr(making, "_described", other)
    with pytest.raises(OutputError, match="exists"):
        create(task(tmp_path), tmp_path / "data")
    assert (tmp_path / "data" / "photo.png").exists()


def test_another_plan_is_not_taken_up(tmp_path, monkeypatch):
    folders(tmp_path)
    interrupted(tmp_path, 2, monkeypatch)
    others = (
        (task(tmp_path, geometry=Geometry(resize=(9, 9))), "options"),
        (task(tmp_path, order="rgb"), "options"),
        (task(tmp_path, names=["street_00"]), "files"),
    )
    for other, what in others:
        with pytest.raises(
            DatasetError, match=f"was started with other values of {what}; give the same values"
        ):
            create(other, tmp_path / "data", resume=True)
    os.utime(tmp_path / "labels" / "street_04.png", ns=(1, 1))
    with pytest.raises(DatasetError, match="was started with other values of files"):
        create(task(tmp_path), tmp_path / "data", resume=True)
    create(task(tmp_path), tmp_path / "data", force=True)
    assert traces(tmp_path) == ["data"]


@pytest.mark.parametrize(
    "name, data", [("plan.json", b"{"), ("train_label_lmdb/data.mdb", b"x" * 9000)]
)
def test_damage_to_an_interrupted_one_is_refused(tmp_path, monkeypatch, name, data):
    folders(tmp_path)
    interrupted(tmp_path, 2, monkeypatch)
    (tmp_path / ".data.partial" / name).write_bytes(data)
    with pytest.raises((DatasetError, OutputError), match=r"\.data\.partial"):
        create(task(tmp_path), tmp_path / "data", resume=True)


@pytest.mark.parametrize("system, held", [("linux", True), ("win32", False)])
def test_where_open_files_keep_a_folder_the_lock_goes_first(tmp_path, monkeypatch, system, held):
    found, move = [], staging._moved

    def moved(new, folder):
        lock = locks.taken(new / "lock")
        found.append(lock is None)
        if lock:
            lock.release()
        move(new, folder)

    monkeypatch.setattr(staging, "_moved", moved)
    monkeypatch.setattr(staging.sys, "platform", system)
    with staging.staged(tmp_path / "data", {}, resume=False, force=False, ours="report.json"):
        pass
    assert found == [held] and [path.name for path in (tmp_path / "data").iterdir()] == []


def test_two_at_once_are_refused(tmp_path):
    folders(tmp_path)
    with (
        staging.staged(tmp_path / "data", {}, resume=False, force=False, ours="report.json"),
        pytest.raises(DatasetError, match="another fcnkit process is writing"),
    ):
        create(task(tmp_path), tmp_path / "data", force=True)


def gone(group: int) -> bool:
    """Whether all processes of a group end within some seconds."""
    for _ in range(500):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_killed_and_taken_up(tmp_path):
    folders(tmp_path, 150, size=(200, 150))
    code = "import sys; from fcnkit.cli.main import main; main(sys.argv[1:])"
    words = [sys.executable, "-c", code, "dataset", "create", "images", "labels", "-o", "data"]
    words += ["--classes", "3", "--split", "0.1", "--jobs", "2"]
    database = tmp_path / ".data.partial" / "train_label_lmdb" / "data.mdb"
    with subprocess.Popen(
        words, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        while not (database.exists() and database.stat().st_size > 1 << 20):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "data").exists() and gone(process.pid)
    done = subprocess.run([*words, "--resume"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = entries(tmp_path / "data")
    assert [len(found[name]) for name in BASES] == [135, 135, 15, 15]
    assert traces(tmp_path) == ["data"]


# ---- many processes


def test_processes_give_the_same_in_the_same_order(tmp_path):
    folders(tmp_path, 40)
    for jobs in (1, 2):
        create(task(tmp_path), tmp_path / f"by{jobs}", jobs=jobs)
    assert contents(tmp_path / "by1") == contents(tmp_path / "by2")


def test_few_results_wait_at_a_time():
    waiting, most = set(), 0

    class Done:
        def __init__(self, item):
            waiting.add(item)
            self.item = item

        def result(self):
            waiting.remove(self.item)
            return self.item

    for wanted, found in zip(range(50), workers._windowed(Done, range(50), 5), strict=True):
        most = max(most, len(waiting))
        assert wanted == found
    assert most <= 5 and not waiting


def test_a_process_that_ends_is_an_error():
    with pytest.raises(EngineError, match="was ended early"):
        list(workers.in_order(os._exit, [3] * 30, 2))


# ---- databases


def test_a_database_grows(tmp_path, monkeypatch):
    monkeypatch.setattr(databases, "_FIRST_SIZE", 1 << 16)
    array = np.arange(30000, dtype=np.uint32).view(np.uint8).reshape(3, 200, 200)
    store = databases.DatabaseWriter(tmp_path)
    for number in range(4):
        store.put([(databases.key(number, "x"), datum.written(array))])
    store.close()
    assert [np.array_equal(each.array, array) for each in databases.read(tmp_path)] == [True] * 4


def test_keys_are_never_too_long(tmp_path):
    store = databases.DatabaseWriter(tmp_path)
    store.put([(databases.key(7, "é" * 400), datum.written(np.zeros((1, 1, 1), np.uint8)))])
    store.close()
    assert next(databases.read(tmp_path)).key.startswith("00000007_é")


def test_a_damaged_page_is_named(tmp_path):
    store = databases.DatabaseWriter(tmp_path)
    store.put([(b"0", datum.written(np.zeros((1, 9, 9), np.uint8)))])
    store.close()
    whole = (tmp_path / "data.mdb").read_bytes()
    for start in range(0, len(whole), 4096):
        (tmp_path / "data.mdb").write_bytes(whole[: start + 10] + b"\0\0" + whole[start + 12 :])
        with contextlib.suppress(DatasetError):
            assert len(list(databases.read(tmp_path))) == 1
    (tmp_path / "data.mdb").write_bytes(b"x" * len(whole))
    with pytest.raises(DatasetError, match="is damaged"):
        list(databases.read(tmp_path))


def test_a_disk_that_is_full_leaves_what_resume_takes_up(tmp_path):
    folders(tmp_path, 10, size=(300, 300))
    limit = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20,) * 2); "
    code = "from fcnkit.cli.main import main; main(sys.argv[1:])"
    words = [
        "dataset",
        "create",
        "images",
        "labels",
        "-o",
        "data",
        "--classes",
        "3",
        "--split",
        "0",
        "--jobs",
        "1",
        "--resume",
    ]
    full, roomy = (
        subprocess.run(
            [sys.executable, "-c", each, *words], cwd=tmp_path, capture_output=True, text=True
        )
        for each in (limit + code, "import sys; " + code)
    )
    assert full.returncode == 2 and "train_image_lmdb: cannot be used" in full.stderr, full.stderr
    assert roomy.returncode == 0 and traces(tmp_path) == ["data"], roomy.stderr


@pytest.mark.parametrize(
    "value, message",
    [
        (b"\xff\xff", "is not a Datum"),
        (b"", "has 0 values for 0 x 0 x 0"),
        (
            schema.message("Datum")(
                channels=1, height=1, width=1, encoded=True, data=b"x"
            ).SerializeToString(),
            "entry 0: .* is not a PNG",
        ),
    ],
)
def test_entries_that_are_no_images(tmp_path, value, message):
    store = databases.DatabaseWriter(tmp_path)
    store.put([(b"0", value)])
    store.close()
    with pytest.raises(DatasetError, match=message):
        list(databases.read(tmp_path))


def test_inspect_refuses_what_does_not_fit(tmp_path):
    folders(tmp_path)
    assert run("dataset", "inspect", tmp_path).exit_code == 2
    made(tmp_path, split=0)
    folder = tmp_path / "data"
    store = databases.DatabaseWriter(folder / "train_label_lmdb")
    last = list(store.records())[-1]
    store.cut(5)
    store.put([(b"00000005_other", datum.written(last.array))])
    store.close()
    other = run("dataset", "inspect", folder)
    assert (
        other.exit_code == 2
        and f"the image's key is {last.key}, but the label's 00000005_other" in other.output
    )
    (folder / "classes.txt").rename(folder / "names.txt")
    assert (
        "has no classes.txt; give the number of classes" in run("dataset", "inspect", folder).output
    )
    (folder / "names.txt").rename(folder / "classes.txt")
    narrow = run("dataset", "inspect", folder, "--classes", 2)
    assert narrow.exit_code == 2 and "has label 2, and there are 2 classes" in narrow.output
    store = databases.DatabaseWriter(folder / "train_label_lmdb")
    store.cut(5)
    store.close()
    result = run("dataset", "inspect", folder)
    assert result.exit_code == 2 and "but the label's no more entries" in result.output
    data = folder / "train_image_lmdb" / "data.mdb"
    data.write_bytes(data.read_bytes()[:-4096])
    result = run("dataset", "inspect", folder)
    assert result.exit_code == 2 and "is cut off" in result.output


def test_inspect_draws_a_sheet(tmp_path):
    folders(tmp_path)
    made(tmp_path)
    result = run(
        "dataset", "inspect", tmp_path / "data", "--sheet", tmp_path / "sheet.png", "--count", 4
    )
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "sheet.png") as sheet:
        colours = {colour for _, colour in sheet.convert("RGB").getcolors(1 << 20)}
    assert {(0, 0, 0), (128, 0, 0), (0, 128, 0), (224, 224, 192)} <= colours
    again = run("dataset", "inspect", tmp_path / "data", "--sheet", tmp_path / "sheet.png")
    assert again.exit_code == 2 and "exists" in again.output


# ---- real Caffe


def read_by_caffe(caffe, folder: Path, split: str, number: int) -> tuple:
    layers = [
        data_layer(
            blob, None, str(folder / f"{split}_{kind}_lmdb"), Images() if kind == "image" else None
        )
        for blob, kind in (("data", "image"), ("label", "label"))
    ]
    text = "".join(render([("layer", layer)], Style()) for layer in layers)
    net = parse(text.replace("batch_size: 1", f"batch_size: {number}"))
    found = caffe.run(net, None, {}, ["data", "label"], state=State("TEST"))
    return found["data"], found["label"]


@pytest.mark.parametrize("encode", ["raw", "png"])
def test_caffe_reads_the_same_arrays_in_order(caffe, tmp_path, encode):
    folders(tmp_path, 12, size=(9, 6))
    assert made(tmp_path, "--encode", encode).exit_code == 0
    found = entries(tmp_path / "data")
    for kind, number in (("train", 8), ("val", 4)):
        images, labels = read_by_caffe(caffe, tmp_path / "data", kind, number)
        assert np.array_equal(images, np.stack([array for _, array in found[f"{kind}_image_lmdb"]]))
        assert np.array_equal(labels, np.stack([array for _, array in found[f"{kind}_label_lmdb"]]))


def test_caffe_takes_off_the_mean_image(caffe, tmp_path):
    folders(tmp_path)
    made(tmp_path, split=0)
    folder = tmp_path / "data"
    layer = data_layer("data", None, str(folder / "train_image_lmdb"), None)
    layer.append(("transform_param", [("mean_file", str(folder / "mean.binaryproto"))]))
    net = parse(render([("layer", layer)], Style()).replace("batch_size: 1", "batch_size: 6"))
    found = caffe.run(net, None, {}, ["data"])["data"]
    assert np.abs(found.mean(axis=0)).max() < 1e-4


def test_from_images_to_a_trained_net(caffe, tmp_path):
    """The README's commands, on a small net: what one writes, the next reads."""
    folders(tmp_path, 12, size=(24, 24))
    SMALL.save(tmp_path / "classifier.prototxt")
    weights(SMALL, tmp_path / "classifier.caffemodel")
    assert made(tmp_path).exit_code == 0
    mean = json.loads((tmp_path / "data" / "report.json").read_text())["splits"]["train"]["mean"]
    words = [
        "fcn",
        tmp_path / "classifier.prototxt",
        "--classes",
        3,
        "--stride",
        2,
        "--cpu",
        "-o",
        tmp_path / "data",
    ]
    words += ["--weights", tmp_path / "classifier.caffemodel", "--mean", ",".join(map(str, mean))]
    result = run(*words)
    assert result.exit_code == 0, result.output
    losses = trained(
        "solver.prototxt", tmp_path / "data" / "init.caffemodel", 2, folder=tmp_path / "data"
    )
    assert losses[0][1] == pytest.approx(math.log(3), rel=1e-3)


# ---- real data


def test_real_camvid(shared, tmp_path):
    top = shared / "camvid"
    words = [top / "val" / "images", top / "val" / "labels", "-o", tmp_path / "data", "--split", 0]
    result = run(
        "dataset",
        "create",
        *words,
        "--classes",
        top / "classes.txt",
        "--void",
        11,
        "--resize",
        "120x90",
    )
    assert result.exit_code == 0, result.output
    found = summarize(tmp_path / "data").splits[0]
    assert found.count == 101 and set(found.sizes) == {(120, 90)} and found.baseline[0] == 3


def test_real_voc(caffe, shared, tmp_path):
    words = [
        shared / "voc" / "JPEGImages",
        shared / "voc" / "SegmentationClass",
        "-o",
        tmp_path / "data",
    ]
    result = run("dataset", "create", *words, "--colours", "voc", "--split", 0.13, "--no-shuffle")
    assert result.exit_code == 0 and "aeroplane" in result.output, result.output
    first = next(databases.read(tmp_path / "data" / "train_image_lmdb"))
    image, label = read_by_caffe(caffe, tmp_path / "data", "train", 1)
    assert np.array_equal(image[0], first.array) and set(np.unique(label)) <= {*range(21), 255}


# ---- which images a split has, a fourth channel, and Ctrl-C


def test_the_images_of_each_split_are_listed_and_scored_alone(tmp_path):
    folders(tmp_path, 6)
    assert made(tmp_path).exit_code == 0
    for part in SPLITS:
        names = (tmp_path / "data" / f"{part}.txt").read_text().split()
        labels = databases.read(tmp_path / "data" / f"{part}_label_lmdb")
        assert names == [each.key[9:] for each in labels] and len(names) == 4 - 2 * (part == "val")
    again = made(tmp_path, "--list", tmp_path / "data" / "train.txt", split=0, out="b")
    assert again.exit_code == 0, again.output
    for part, left in (("val", 4), ("train", 2)):
        done = run("score", tmp_path / "labels", tmp_path / "data", "--split", part)
        assert done.exit_code == 0, done.output
        assert f"left out {left} prediction" in done.stderr and "100.0" in done.stdout
    save(tmp_path / "labels" / "stray.png", np.zeros((4, 4), np.uint8))
    done = run("score", tmp_path / "labels", tmp_path / "data")
    assert done.exit_code == 2 and "stray.png: " in done.stderr


@pytest.mark.parametrize("alpha, refused", [((255, 255), False), ((0, 255), True), ((7, 7), True)])
def test_a_fourth_channel_is_not_dropped_unsaid(tmp_path, alpha, refused):
    folders(tmp_path, 3)
    path = next((tmp_path / "images").iterdir())
    with Image.open(path) as image:
        image = image.convert("RGB")
    channel = Image.new("L", image.size, alpha[0])
    channel.putpixel((0, 0), alpha[1])
    image.putalpha(channel)
    path.unlink()
    image.save(path.with_suffix(".png"))
    done = made(tmp_path)
    assert done.exit_code == (2 if refused else 0), done.output
    if refused:
        fact = f"has an alpha channel of {alpha[0]} to {alpha[1]}, but images of three channels are"
        assert (
            fact in done.stderr and "--alpha ignore to leave it out, or --alpha keep" in done.stderr
        )
        assert made(tmp_path, "--alpha", "ignore").exit_code == 0


def test_ctrl_c_is_told_as_a_shell_tells_it(tmp_path, monkeypatch):
    folders(tmp_path, 3)

    def stopped(*words, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(making, "_filled", stopped)
    done = made(tmp_path)
    assert done.exit_code == 130 and "interrupted; continue with --resume" in done.stderr


def test_a_jpeg_is_a_label_where_a_map_says_all_its_values(tmp_path):
    folders(tmp_path, 3, size=(16, 16))
    for path in (tmp_path / "labels").iterdir():
        mask = np.zeros((16, 16), np.uint8)
        mask[:, 8:] = 255
        path.unlink()
        Image.fromarray(mask).save(path.with_suffix(".jpg"), quality=40)
    for words in ([], ["--map", "0=0,255=1"], ["--map", "0-127=0,129-255=1"]):
        done = made(tmp_path, *words)
        assert done.exit_code == 2 and "give --map for all of 0 to 255" in done.stderr
    done = made(tmp_path, "--map", "0-127=0,128-255=1")
    assert done.exit_code == 0, done.output
    for each in databases.read(tmp_path / "data" / "train_label_lmdb"):
        assert (each.array[0, :, :8] == 0).all() and (each.array[0, :, 8:] == 1).all()


def test_floats_on_which_caffe_trains_are_inspected_and_scored(tmp_path):
    folders(tmp_path, 6)
    assert made(tmp_path).exit_code == 0
    as_bytes = summarize(tmp_path / "data")
    for name in BASES:
        found = list(databases.raw(tmp_path / "data" / name))
        store = databases.DatabaseWriter(tmp_path / "data" / name)
        store.put([(key.encode(), as_floats(value)) for key, value in found])
        store.close()
    assert next(iter(databases.read(tmp_path / "data" / BASES[0]))).array.dtype == np.float32
    as_floats_ = summarize(tmp_path / "data")
    for one, other in zip(as_bytes.splits, as_floats_.splits, strict=True):
        assert one.pixels == other.pixels and one.images == other.images
        np.testing.assert_allclose(one.mean, other.mean)
    done = run("dataset", "inspect", tmp_path / "data", "--sheet", tmp_path / "sheet.png")
    assert done.exit_code == 0, done.output
    for value, words in ((-1.5, "has the label -1.5"), (256, "has the label 256")):
        odd = databases.Record("k", np.full((1, 2, 2), value, np.float32))
        with pytest.raises(DatasetError, match=words):
            databases.whole(odd, "data")
    done = run("score", tmp_path / "labels", tmp_path / "data")
    assert done.exit_code == 0 and "100.0" in done.stdout


def as_floats(value: bytes) -> bytes:
    found = schema.message("Datum").FromString(value)
    found.float_data.extend(np.frombuffer(found.data, np.uint8).astype(float))
    found.ClearField("data")
    return found.SerializeToString()


# ---- a fourth channel that is kept


def four(top, count=6, size=(7, 5)):
    """Images of four channels, each without relation to the others, and their labels."""
    random, found = np.random.default_rng(3), {}
    for number in range(count):
        values = random.integers(0, 256, (*size[::-1], 4), np.uint8)
        save(top / "images" / f"{number}.png", values)
        save(top / "labels" / f"{number}.png", (values[..., 3] > 127).astype("u1"))
        found[str(number)] = values
    return found


@pytest.mark.parametrize("order, planes", [("bgr", [2, 1, 0, 3]), ("rgb", [0, 1, 2, 3])])
def test_a_fourth_channel_is_kept_behind_the_colours(tmp_path, order, planes):
    files = four(tmp_path)
    done = made(tmp_path, "--alpha", "keep", "--order", order)
    assert done.exit_code == 0, done.output
    found = list(databases.read(tmp_path / "data" / "train_image_lmdb"))
    assert len(found) == 4
    for image in found:
        expected = files[image.key[9:].removesuffix(".png")][..., planes].transpose(2, 0, 1)
        assert np.array_equal(image.array, expected)
    report = json.loads((tmp_path / "data" / "report.json").read_text())
    assert len(report["splits"]["train"]["mean"]) == 4
    assert (
        f"mean {', '.join(order.upper())}, A: "
        in run("dataset", "inspect", tmp_path / "data").stdout
    )


def test_each_of_four_channels_is_resized_by_itself(tmp_path):
    files = four(tmp_path, size=(14, 10))
    done = made(tmp_path, "--alpha", "keep", "--order", "rgb", "--resize", "7x5")
    assert done.exit_code == 0, done.output
    for image in databases.read(tmp_path / "data" / "train_image_lmdb"):
        values = files[image.key[9:].removesuffix(".png")]
        for number, plane in enumerate(image.array):
            alone = Image.fromarray(np.ascontiguousarray(values[..., number]))
            assert np.array_equal(
                plane, np.asarray(alone.resize((7, 5), Image.Resampling.BILINEAR))
            )


@pytest.mark.parametrize(
    "options, words",
    [
        (("--encode", "png"), "Caffe reads a PNG in a database as three channels"),
        (("--order", "gray"), "gray images have no alpha channel to keep"),
    ],
)
def test_a_fourth_channel_that_cannot_be_kept(tmp_path, options, words):
    four(tmp_path)
    done = made(tmp_path, "--alpha", "keep", *options)
    assert done.exit_code == 2 and words in done.stderr and traces(tmp_path) == []


def test_an_image_of_three_channels_among_those_of_four_is_named(tmp_path):
    four(tmp_path)
    save(tmp_path / "images" / "1.png", np.zeros((5, 7, 3), np.uint8))
    done = made(tmp_path, "--alpha", "keep")
    assert done.exit_code == 2 and "1.png: has no alpha channel" in done.stderr


def test_caffe_reads_four_channels(caffe, tmp_path):
    files = four(tmp_path)
    assert made(tmp_path, "--alpha", "keep").exit_code == 0
    base = tmp_path / "data" / "train_image_lmdb"
    made_net = parse(
        'layer { name: "data" type: "Data" top: "data" '
        f'data_param {{ source: "{base}" batch_size: 4 backend: LMDB }} }}\n'
        'layer { name: "same" type: "Power" bottom: "data" top: "same" }\n'
    )
    (values,) = caffe.run(made_net, None, {}, ["same"]).values()
    keys = [each.key[9:].removesuffix(".png") for each in databases.read(base)]
    expected = [files[key][..., [2, 1, 0, 3]].transpose(2, 0, 1) for key in keys]
    assert np.array_equal(values, expected)
