"""`fcnkit doctor`: what it finds, and that it sees what is wrong."""

import json
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from fcnkit.cli import examined, machine
from fcnkit.cli.main import main
from fcnkit.engines import trial
from fcnkit.engines.engine import ENGINES, choose, names
from fcnkit.errors import EngineError
from fcnkit.formats.prototxt import parse
from fcnkit.libraries import LIBRARIES


def run(*words):
    return CliRunner().invoke(main, ["doctor", *words])


@pytest.fixture(scope="module")
def found():
    return json.loads(run("--json").stdout)


def test_all_libraries_and_engines_are_there_with_what_they_are_for(found):
    assert [each["name"] for each in found["libraries"]] == [each.package for each in LIBRARIES]
    assert [each["name"] for each in found["engines"]] == names()
    numpy = next(each for each in found["libraries"] if each["name"] == "numpy")
    assert numpy["version"] == np.__version__ and numpy["state"] == "ok" and numpy["note"]
    assert all(each["state"] != "broken" for each in found["engines"]) and found["ok"]
    assert [each["what"] for each in found["places"]] == ["Caffe", "Caffe for GPUs", "models"]
    assert all(each["free"] > 0 for each in found["places"])


@pytest.mark.parametrize("name", names())
def test_every_engine_computes_the_small_net(name):
    engine = choose(name)
    if not engine.available():
        pytest.skip(f"{name} is not installed")
    assert trial.fault(engine) == ""


def turned(net, weights):
    (kernel, bias), score = weights["conv"], weights["score"]
    weights = weights.put("conv", [np.flip(kernel.array(), (2, 3)), bias.array()])
    return net, weights.put("score", [each.array() for each in score])


def without(text, other):
    return lambda net, weights: (parse(net.text.replace(text, other)), weights)


@pytest.mark.parametrize(
    "change",
    [
        turned,
        without('"ReLU"', '"Power"'),
        without("pool: MAX", "pool: AVE"),
    ],
    ids=["turned", "no ReLU", "mean"],
)
def test_an_engine_that_computes_otherwise_is_found(change):
    class Other:
        def run_all(self, net, weights, many):
            return choose("opencv").run_all(*change(net, weights), many)

    said = trial.fault(Other())
    assert "of a net whose scores are 7.5 and -1.5" in said


@pytest.mark.parametrize(
    "error, words",
    [
        (EngineError("Caffe: no such loader"), "Caffe: no such loader"),
        (ImportError("libX.so: not found"), "ImportError: libX.so: not found"),
    ],
)
def test_what_an_engine_raises_is_its_fault(error, words):
    class Broken:
        def run_all(self, net, weights, many):
            raise error

    assert trial.fault(Broken()) == words


def test_the_trial_in_numpy():
    """Its numbers once more, by the definition of each layer."""
    x, (kernel, bias) = np.array(trial.IMAGE, float), trial.WEIGHTS["conv"]
    k = np.array(kernel)[0, 0]
    conv = [[(x[i : i + 2, j : j + 2] * k).sum() + bias[0] for j in range(3)] for i in range(3)]
    relu = np.maximum(conv, 0)
    pool = [relu[i : i + 2, j : j + 2].max() for i in (0, 2) for j in (0, 2)]
    factors, offsets = trial.WEIGHTS["score"]
    assert tuple(np.array(factors) @ pool + offsets) == trial.SCORES


# ---- what is missing or broken


@pytest.fixture
def said(monkeypatch):
    """What the processes say, which are not started: {what they try: (lines, status, error)}."""
    texts = {
        name: ([{"name": name, "version": "1.0", "fault": ""}], 0, "")
        for name in (*names(), "libraries")
    }
    libraries = [{"name": each.package, "version": "2", "fault": ""} for each in LIBRARIES]
    texts["libraries"] = (libraries, 0, "")

    def answer(words, **options):
        if words[:3] != [sys.executable, "-m", "fcnkit.cli.examined"]:
            raise FileNotFoundError(words[0])
        lines, status, error = texts[words[3]]
        if words[4:]:
            lines = [line for line in lines if line["name"] in words[4:]]
            ends = [number for number, line in enumerate(lines) if "fault" not in line]
            lines, status = (lines[: ends[0] + 1], status) if ends else (lines, 0)
        text = "\n".join(["a library may say this", *map(json.dumps, lines)])
        return machine.subprocess.CompletedProcess(words, status, text, error)

    monkeypatch.setattr(machine.subprocess, "run", answer)
    return texts


def lack(texts, *packages):
    lines, status, error = texts["libraries"]
    for each in lines:
        if each["name"] in packages:
            each.update(version="", fault=None)


def test_nothing_is_missing(said):
    done = run()
    assert done.exit_code == 0 and done.output.endswith("Nothing is missing.\n")
    assert max(map(len, done.output.splitlines())) <= 80


def test_one_command_installs_all_that_is_missing(said, monkeypatch):
    lack(said, "lmdb", "torch", "pygraphviz")
    said["torch"] = ([{"name": "torch", "version": "", "fault": None}], 0, "")
    done = run()
    assert done.exit_code == 0 and "pip install 'fcnkit[train,torch,draw]'" in done.output
    assert "caffe install" not in done.output


@pytest.mark.parametrize("installable", [True, False])
def test_caffe_has_a_command_of_its_own_where_it_can_be_had(said, monkeypatch, installable):
    said["caffe"] = ([{"name": "caffe", "version": "", "fault": None}], 0, "")
    monkeypatch.setattr("fcnkit.engines.caffe_runtime.obstacle", lambda: "" if installable else "x")
    done = run()
    assert done.exit_code == 0 and ("fcnkit caffe install" in done.output) == installable


def test_a_wrong_engine_is_broken(said):
    fault = "computes 1 and 2 of a net whose scores are 7.5 and -1.5"
    said["opencv"] = ([{"name": "opencv", "version": "4.0", "fault": fault}], 0, "")
    done = run()
    assert done.exit_code == 1 and f"broken: opencv: {fault}" in done.output
    data = json.loads(run("--json").stdout)
    assert not data["ok"] and data["engines"][1]["state"] == "broken"


def test_a_library_that_ends_the_process_is_named(said):
    lines = said["libraries"][0]
    said["libraries"] = ([*lines[:4], {"name": lines[4]["name"]}, *lines[5:]], -11, "")
    found = machine.examine()
    broken = [(part.name, part.note) for part in found.broken]
    assert broken == [(lines[4]["name"], "ends Python by SIGSEGV")]
    assert {part.state for part in found.libraries} == {"ok", "broken"} and run().exit_code == 1


@pytest.mark.parametrize("engine", names())
def test_an_engine_that_fails_without_a_word(said, engine):
    said[engine] = ([], 3, "Traceback\nOSError: no libX\n")
    done = run()
    assert done.exit_code == 1 and f"broken: {engine}: OSError: no libX" in done.output


@pytest.mark.parametrize(
    "version, bounds, words",
    [
        ("4.14.0", [">=4.5.5", "<5"], ""),
        ("5.0", [">=4.5.5", "<5"], "is 5.0, and fcnkit needs <5"),
        ("4.5.4", [">=4.5.5", "<5"], "is 4.5.4, and fcnkit needs >=4.5.5"),
        ("2.13.0+cpu", [">=2.4"], ""),
        ("3", [">=3.0"], ""),
        ("2.1", ["!=2.1"], "is 2.1, and fcnkit needs !=2.1"),
        ("1.9", [], ""),
    ],
)
def test_versions_that_fcnkit_does_not_work_with(version, bounds, words):
    assert examined.unfit(version, *bounds) == words


def test_bounds_are_those_of_the_package():
    opencv = next(each for each in LIBRARIES if each.module == "cv2")
    assert "<5" in examined._bounds(opencv)


def test_every_library_is_in_the_package_under_its_extra():
    from importlib import metadata

    lines = metadata.requires("fcnkit")
    for each in LIBRARIES:
        extra = f'extra == "{each.extra}"'
        mine = [line for line in lines if line.lower().startswith(each.package)]
        assert any((extra in line) if each.extra else ("extra" not in line) for line in mine), each


def test_engines_are_tried_on_a_processor_and_a_gpu(monkeypatch):
    asked = []
    monkeypatch.setattr(examined, "_devices", lambda: ["GeForce"])
    monkeypatch.setattr(trial, "fault", lambda engine: asked.append(engine.device) or "")
    if not choose("torch").available():
        pytest.skip("PyTorch is not installed")
    (found,) = examined.engine("torch")
    assert asked == [None, "cpu"] and found["devices"] == ["GeForce"]
    assert len(ENGINES) == 4
