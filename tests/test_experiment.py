"""The experiment's whole path, by real Caffe, on a few small images and a net of two layers."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pictures import save
from sketches import conv, data, fc, net, pool, relu, weights

from fcnkit.weights import store

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
SMALL = net(
    data(1, 3, 24, 24),
    conv("conv1", "data", 4, 3, "pad: 1"),
    relu("conv1"),
    pool("pool1", "conv1", 2, 2),
    conv("conv2", "pool1", 4, 3, "pad: 1"),
    relu("conv2"),
    pool("pool2", "conv2", 2, 2),
    fc("fc3", "pool2", 8),
    relu("fc3"),
    fc("fc4", "fc3", 10),
)
PICTURES = {"small-net-curves.png", "small-net-overlays.jpg", "small-net-confusion.png"}


@pytest.fixture
def words(tmp_path):
    """The script on images whose left part is dark,
    of one class, and whose right part is bright.
    """
    rng = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2)):
        for number in range(count):
            label = np.zeros((32, 40), np.uint8)
            label[:, rng.integers(8, 32) :] = 1
            label[0] = 2
            image = (60 + 120 * (label[..., None] > 0) + rng.integers(0, 40, (32, 40, 3))).astype(
                np.uint8
            )
            save(tmp_path / "data" / split / "images" / f"{split}{number}.png", image)
            save(tmp_path / "data" / split / "labels" / f"{split}{number}.png", label)
    (tmp_path / "data" / "classes.txt").write_text("dark\nbright\n")
    SMALL.save(tmp_path / "net.prototxt")
    weights(SMALL, tmp_path / "net.caffemodel")
    trunk = ["small net, untrained", tmp_path / "net.prototxt", tmp_path / "net.caffemodel", "100"]
    trunk += [4, 2, "auto", 8]
    places = ["--data", tmp_path / "data", "--work", tmp_path / "work", "-o", tmp_path / "out"]
    return [str(each) for each in ("--void", 2, "--jobs", 2, *places, "--trunk", *trunk)]


def run(words):
    script = [sys.executable, str(SCRIPTS / "experiment.py"), *words]
    return subprocess.run(script, capture_output=True, text=True)


def test_the_whole_path_and_again(caffe, words, tmp_path):
    pytest.importorskip("matplotlib")
    done = run(words)
    assert done.returncode == 0, done.stdout + done.stderr
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == PICTURES | {"README.md", "results.json"}
    results = json.loads((out / "results.json").read_text())
    assert set(results) == {"small-net-random", "small-net-transplanted", "small-net-skips"}
    for each in results.values():
        assert each["images"] == 2 and sum(map(sum, each["confusion"])) == 2 * 31 * 40
    text = (out / "README.md").read_text()
    assert all(picture in text for picture in PICTURES) and str(tmp_path) not in text
    figure = results["small-net-skips"]["pixel_accuracy"]
    assert f"| skips | 2 | 0.0 min | {100 * figure:.1f} |" in text
    again = run(words)
    assert again.returncode == 0 and "$ fcnkit" not in again.stdout, again.stdout + again.stderr
    assert json.loads((out / "results.json").read_text()) == results


def test_weights_of_the_trunk_alone_on_pytorch_and_without_skips(words, tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("torch")
    store.open(tmp_path / "net.caffemodel").drop("fc3", "fc4").save(tmp_path / "trunk.caffemodel")
    trunk = (
        "a trunk",
        tmp_path / "net.prototxt",
        tmp_path / "trunk.caffemodel",
        "100",
        2,
        2,
        "auto",
        8,
    )
    done = run(["--engine", "torch", *words[: words.index("--trunk")], "--trunk", *map(str, trunk)])
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert set(results) == {"a-trunk-random", "a-trunk-transplanted"}
    logs = [
        (tmp_path / "work" / name / "run" / "caffe.log").read_text() for name in sorted(results)
    ]
    assert ["Finetuning from" in log for log in logs] == [False, True]
    text = (tmp_path / "out" / "README.md").read_text()
    assert "Skips on top" not in text and "| random | transplanted |\n|---|---|---|---|\n" in text


@pytest.mark.parametrize("change", [("--data", "nowhere"), ("--void", "3")])
def test_what_stops_it_before_anything_is_done(caffe, words, tmp_path, change):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "settings.json").write_text("of another experiment")
    done = run([*words, *change])
    told = "nowhere/classes.txt" if change[1] == "nowhere" else "other settings; remove it"
    assert done.returncode == 1 and told in done.stderr
    assert not (tmp_path / "out").exists() and len(list((tmp_path / "work").iterdir())) == 1
