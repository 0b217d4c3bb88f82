"""`make gpu-checks` as far as it goes without a GPU: its steps, its time, what it leaves out."""

import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"


@pytest.fixture
def checks(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    import gpu_checks

    return gpu_checks


def run(*words, **options):
    command = [sys.executable, SCRIPTS / "gpu_checks.py", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_so_and_leaves_nothing(tmp_path):
    done = run("-o", tmp_path / "gpu.md")
    assert done.returncode == 0, done.stderr
    assert "there is no GPU that PyTorch" in done.stdout and "nothing was measured" in done.stdout
    assert not (tmp_path / "gpu.md").exists()


def test_without_pytorch_it_says_which_python_that_is(tmp_path):
    code = (
        "import importlib.util as u, runpy, sys; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'torch' else find(name, *a)\n"
        f"sys.argv = ['x']; runpy.run_path({str(SCRIPTS / 'gpu_checks.py')!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2 and f"{sys.executable} has no PyTorch" in done.stdout


def test_all_steps_run_on_the_cpu_without_an_installed_fcnkit(tmp_path):
    pytest.importorskip("lmdb")
    done = run("--device", "cpu", "--quick", "-o", tmp_path / "gpu.md", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith(("ok", "left out"))]
    for step in ("tests of the GPU", "training against the CPU", "speed"):
        assert any(line.startswith(f"ok        {step}") for line in lines), lines
    assert any(line.startswith("left out  Caffe's program") for line in lines)
    page = (tmp_path / "gpu.md").read_text()
    assert "| FCN-AlexNet, fp32, inference |" in page
    row = next(line for line in page.splitlines() if line.startswith("| FCN-AlexNet | 2 | 48 x 48"))
    assert row.split("|")[4].strip() == "0.0e+00", "one device does not equal itself"


# ---- its parts


@pytest.fixture
def steps(checks, tmp_path):
    return checks.Checks(tmp_path, 60)


@pytest.mark.parametrize(
    "code, verdict, words",
    [
        ("print('fine')", "ok", "fine"),
        ("print('three of four'); raise SystemExit(1)", "FAILED", "three of four"),
        ("import os; os.abort()", "FAILED", ""),
    ],
)
def test_a_step_ends_as_its_program_does(steps, code, verdict, words):
    assert steps.step("one", [sys.executable, "-c", code]) == (verdict == "ok")
    (result,) = steps.results
    assert (result.verdict, result.words) == (verdict, words)


def test_a_step_that_takes_too_long_is_stopped(checks, tmp_path):
    steps = checks.Checks(tmp_path, checks.LEAST + 1)
    assert not steps.step("long", [sys.executable, "-c", "import time; time.sleep(120)"])
    assert steps.results[0].verdict == "FAILED" and "stopped after" in steps.results[0].words
    assert not steps.step("next", [sys.executable, "-c", "print()"])
    assert steps.results[1].words == "no time is left"


def test_what_a_machine_lacks_is_named(steps):
    assert not steps.step("one", [sys.executable, "-c", ""], needs=("nowhere_to_be_found",))
    assert steps.results[0].line().startswith("left out  one ")
    assert steps.results[0].words == "there is no nowhere_to_be_found"


def test_what_was_carried_along_counts_where_the_machine_lacks_it(checks, monkeypatch, tmp_path):
    site, folder = tmp_path / "site", tmp_path / "folder"
    monkeypatch.setattr(checks, "SITE", site)
    for name in ("some_thing/part", "numpy", "google/protobuf", "some_thing.libs"):
        (site / name).mkdir(parents=True)
    (site / "single_thing.py").touch()
    folder.mkdir()
    checks.lent(folder)
    lent = sorted(each.name for each in folder.iterdir())
    assert lent == ["single_thing.py", "some_thing", "some_thing.libs"]
    assert checks.carried("some_thing.part") and checks.carried("single_thing")
    assert not checks.carried("some_thing.other") and not checks.has("some_thing")


def test_losses_and_moves_that_differ_are_seen(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    import gpu_training
    import numpy as np

    one = gpu_training.Trained([2.0, 1.0], {"c": [np.array([3.0, 4.0]), np.zeros(2)]}, 1.0)
    two = gpu_training.Trained([2.0, 1.1], {"c": [np.array([3.0, 4.5]), np.zeros(2)]}, 1.0)
    assert gpu_training.apart(one, one) == (0.0, 0.0)
    assert gpu_training.apart(two, one) == (pytest.approx(0.1), pytest.approx(0.1))
