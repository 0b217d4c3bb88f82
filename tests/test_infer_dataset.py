"""`infer` on a dataset runs the images that are kept from training; `score` takes the results."""

import json

import numpy as np
import pytest
from test_dataset import folders, made, run, save

from fcnkit.datasets import databases
from fcnkit.weights import store

FCN = """layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "score" type: "Convolution" bottom: "data" top: "score"
  convolution_param { num_output: 3 kernel_size: 1 bias_term: false } }
"""


@pytest.fixture
def net(tmp_path):
    paths = [str(tmp_path / name) for name in ("deploy.prototxt", "w.caffemodel")]
    (tmp_path / "deploy.prototxt").write_text(FCN)
    kernel = np.random.default_rng(0).normal(size=(3, 3, 1, 1)).astype("f4")
    store.create().put("score", [kernel], type="Convolution").save(paths[1])
    return paths


def keys(folder):
    return [each.key[databases.NUMBER :] for each in databases.read(folder)]


def test_the_images_kept_from_training_are_run_and_scored(tmp_path, net):
    pytest.importorskip("torch")
    folders(tmp_path, 6)
    assert made(tmp_path).exit_code == 0
    data, seen = tmp_path / "data", tmp_path / "seen"
    done = run("infer", *net, data, "-o", seen, "--engine", "torch")
    assert done.exit_code == 0, done.output
    held = keys(data / "val_image_lmdb")
    assert f"{data}: its {len(held)} images of val are run" in done.stderr
    assert sorted(path.stem for path in seen.glob("*.json")) == sorted(held)
    record = json.loads((seen / f"{held[0]}.json").read_text())
    assert record["image"] == f"{data / 'val_image_lmdb'}, {held[0]}"
    scored = run("score", seen, data)
    assert scored.exit_code == 0, scored.output


def test_they_are_what_the_files_are(tmp_path, net):
    pytest.importorskip("torch")
    folders(tmp_path, 6)
    assert made(tmp_path).exit_code == 0
    held = keys(tmp_path / "data" / "val_image_lmdb")
    for source, out in (("data", "one"), ("images", "two")):
        words = [tmp_path / source, "-o", tmp_path / out, "--engine", "torch"]
        assert run("infer", *net, *words).exit_code == 0
    for name in held:
        one, two = (tmp_path / out / f"{name}.png" for out in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()


def test_a_dataset_without_a_split_is_run_whole(tmp_path, net):
    pytest.importorskip("torch")
    folders(tmp_path, 3)
    assert made(tmp_path, split=0).exit_code == 0
    done = run("infer", *net, tmp_path / "data", "-o", tmp_path / "seen", "--engine", "torch")
    assert done.exit_code == 0 and "its 3 images of train are run" in done.stderr


def test_a_name_twice_is_said_with_both_places(tmp_path, net):
    folders(tmp_path, 6)
    assert made(tmp_path).exit_code == 0
    held = keys(tmp_path / "data" / "val_image_lmdb")[0]
    other = tmp_path / "more" / f"{held}.png"
    other.parent.mkdir()
    save(other, np.zeros((4, 4, 3), np.uint8))
    done = run("infer", *net, tmp_path / "data", other, "-o", tmp_path / "seen")
    assert done.exit_code == 2
    assert f"{other}: has the same name as {tmp_path / 'data' / 'val_image_lmdb'}" in done.stderr
