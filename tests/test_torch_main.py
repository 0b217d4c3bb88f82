"""The program that trains on PyTorch: what it is told, what it says, and how it ends."""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from small_training import NET, SOLVER, write_data, write_net

from fcnkit.engines.caffe_runtime import last_words
from fcnkit.formats import prototxt
from fcnkit.formats.schema import View
from fcnkit.training import trainers
from fcnkit.training.log import Loss, events
from fcnkit.training.recipe import Options, recipe
from fcnkit.weights import store

torch = pytest.importorskip("torch")

from fcnkit.training.torch.program import main  # noqa: E402
from fcnkit.training.torch.program.launch import Place  # noqa: E402

WORDS = ("train", "--solver=run/solver.prototxt")
SHORT = SOLVER.replace("max_iter: 90", "max_iter: 7")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("dataset") / "data")


@pytest.fixture
def run(data, tmp_path, monkeypatch, capsys):
    """Runs the program in the folder of a net, as `fcnkit train` makes it:
    the exit status, and the log.
    """

    def call(*words, net=NET, solver=SHORT):
        if not (tmp_path / "net").exists():
            folder = write_net(tmp_path / "net", net=net, solver=solver)
            (folder / "run").mkdir()
            recipe(folder, "run", Options(data)).save()
            monkeypatch.chdir(folder)
        status = main.run([*WORDS, *map(str, words)])
        return status, capsys.readouterr().err

    was = signal.getsignal(signal.SIGINT)
    yield call
    signal.signal(signal.SIGINT, was)


def shown(log):
    return [event for event in events(log.splitlines(keepends=True)) if isinstance(event, Loss)]


def states():
    return sorted(name for name in os.listdir("run") if name.endswith("state"))


def test_weights_come_one_over_the_other(run, tmp_path):
    for name, value in (("a", 1), ("b", 2)):
        blobs = [np.full((3, 3, 1, 1), value), np.full(3, value)]
        store.create().put("score", blobs).put(name, [np.ones(1)]).save(
            tmp_path / f"{name}.caffemodel"
        )
    still = SHORT.replace("0.05", "0").replace("max_iter: 7", "max_iter: 1")
    status, log = run(f"--weights={tmp_path}/a.caffemodel,{tmp_path}/b.caffemodel", solver=still)
    assert status == 0 and "Ignoring source layer a\n" in log and "Ignoring source layer b\n" in log
    assert all(
        (blob.array() == 2).all() for blob in store.open("run/fcn_iter_1.caffemodel")["score"]
    )


def test_a_snapshot_at_the_end_whatever_is_saved_on_the_way(run):
    status, log = run("--device=cpu")
    assert (
        status == 0
        and log.endswith("Optimization Done.\n")
        and states() == ["fcn_iter_7.solverstate"]
    )
    assert [event.iteration for event in shown(log)] == [0, 5]
    status, log = run("--snapshot=run/fcn_iter_7.solverstate")
    assert status == 0 and "Resuming from run/fcn_iter_7.solverstate" in log and not shown(log)


@pytest.mark.parametrize("tested", [False, True])
def test_a_stop_is_heard_between_two_steps_and_between_two_batches_of_a_test(
    run, tested, monkeypatch
):
    solver = SOLVER.replace(
        "test_initialization: false", f"test_initialization: {str(tested).lower()}"
    )

    def devices(*_):
        os.kill(os.getpid(), signal.SIGINT)
        return ["cpu"]

    monkeypatch.setattr(main, "_devices", devices)
    status, log = run(solver=solver)
    assert status == 0 and log.endswith("Optimization stopped early.\n")
    assert ("Test interrupted." in log) == tested
    assert states() == ([] if tested else ["fcn_iter_1.solverstate"])


@pytest.mark.parametrize("precision, near", [("tf32", 1e-4), ("bf16", 0.05)])
def test_other_precisions_are_near(run, precision, near):
    _, exact = run("--device=cpu")
    for path in os.listdir("run"):
        if "iter" in path:
            os.unlink(f"run/{path}")
    status, log = run("--device=cpu", f"--precision={precision}")
    assert status == 0 and f"on cpu, {precision}\n" in log
    for mine, other in zip(shown(log), shown(exact), strict=True):
        assert mine.loss == pytest.approx(other.loss, rel=near)


@pytest.mark.parametrize(
    "words, texts, said",
    [
        (["--device=cuda:77"], {}, "PyTorch: device cuda:77: "),
        (["--gpu=77"], {}, "PyTorch: device cuda:77: "),
        (["--device=nowhere"], {}, "use --device cpu"),
        (
            ["--device=cuda:1", "--processes=2"],
            {},
            "2 processes on cuda:1; give each a GPU with --gpu 0,1",
        ),
        (["--weights=none.caffemodel"], {}, "none.caffemodel"),
        (["--snapshot=none.solverstate"], {}, "none.solverstate: cannot be read"),
        (
            [],
            {"net": NET.replace('"Accuracy"', '"Python"')},
            'run/train_val.prototxt:17: layer "accuracy": PyTorch engine: it does not run the '
            "type Python",
        ),
        (
            [],
            {"net": NET.replace("backend: LMDB", "")},
            'run/train_val.prototxt:1: layer "data": PyTorch engine: its backend is LEVELDB',
        ),
        ([], {"solver": SHORT.replace('"fixed"', '"often"')}, 'lr_policy "often"'),
    ],
)
def test_what_goes_wrong_is_said_as_caffe_says_it(run, words, texts, said):
    status, log = run(*words, **texts)
    assert status == 1 and said in last_words(log, status) and not states()


def test_weights_that_do_not_fit(run, tmp_path):
    store.create().put("score", [np.ones((5, 3, 1, 1)), np.ones(5)]).save(tmp_path / "w.caffemodel")
    status, log = run(f"--weights={tmp_path}/w.caffemodel")
    assert status == 1 and 'layer "score": blob 0 is 5 x 3 x 1 x 1, in the net 3 x 3 x 1 x 1' in log


def test_a_gpu_where_there_is_one(run):
    if not torch.cuda.is_available():
        pytest.skip("PyTorch knows no GPU here")
    _, ours = run("--device=cpu")
    status, log = run("--gpu=0")
    assert status == 0 and "on cuda:0 (" in log
    for mine, other in zip(shown(log), shown(ours), strict=True):
        assert mine.loss == pytest.approx(other.loss, rel=1e-4)


@pytest.mark.parametrize(
    "words, place, gpus, found",
    [
        ("", None, 0, ["cpu"]),
        ("", None, 2, ["cuda"]),
        ("--processes=2", None, 0, ["cpu", "cpu"]),
        ("--processes=2", None, 4, ["cuda:0", "cuda:1"]),
        ("--device=cuda:1", None, 4, ["cuda:1"]),
        ("--gpu=1,3", None, 4, ["cuda:1", "cuda:3"]),
        ("--gpu=all", None, 4, ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]),
        ("--gpu=all", None, 0, []),
        ("", Place(9, 16, 1, 2), 2, ["cuda:0", "cuda:1"]),
        ("", Place(3, 4, 0, 1), 1, ["cuda:0"]),
        ("--device=cpu", Place(0, 4, 0, 2), 4, ["cpu", "cpu"]),
    ],
)
def test_the_devices_of_a_machines_processes(words, place, gpus, found, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    asked = main._parser().parse_args([*WORDS, *words.split()])
    assert main._devices(asked, prototxt.parse('net: "a"'), place) == found
    if not words and place is None:
        assert main._devices(asked, prototxt.parse("solver_mode: CPU"), place) == ["cpu"]


@pytest.mark.parametrize(
    "words",
    [
        ["--weights=a", "--snapshot=b"],
        ["--gpu=0", "--device=cpu"],
        ["--precision=fp16"],
        ["--gpus=0"],
    ],
)
def test_words_that_it_does_not_know(words, capsys):
    with pytest.raises(SystemExit) as caught:
        main.run([*WORDS, *words])
    assert caught.value.code == 2


@pytest.mark.skipif(sys.version_info < (3, 11), reason="an older Python cannot be told so")
def test_nothing_that_lies_in_the_folder_is_executed(tmp_path):
    for name in ("argparse.py", "fcnkit.py", "numpy.py", "signal.py"):
        (tmp_path / name).write_text("raise SystemExit('executed')\n")
    done = subprocess.run(
        [*trainers.program(), "train", "--solver=none"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (
        done.returncode == 1
        and "none: cannot be read" in done.stderr
        and "executed" not in done.stderr
    )


@pytest.mark.parametrize(
    "words, fields, expected",
    [
        ([], "", ["cuda"]),
        ([], "device_id: 2", ["cuda:2"]),
        ([], "device_id: 2 solver_mode: CPU", ["cpu"]),
        (["--processes=2"], "device_id: 2", ["cuda:0", "cuda:1"]),
        (["--gpu=1"], "device_id: 2", ["cuda:1"]),
        (["--device=cpu"], "device_id: 2", ["cpu"]),
    ],
)
def test_the_gpu_is_the_solvers_unless_it_is_said(monkeypatch, words, fields, expected):
    monkeypatch.setattr(main, "_gpus", lambda: 3)
    asked = main._parser().parse_args(["train", "--solver=s", *words])
    assert main._devices(asked, prototxt.parse(fields), None) == expected


@pytest.mark.parametrize(
    "state", ["", "train_state { level: 3 }", 'train_state {\n  stage: "b"\n  level: 3\n}']
)
def test_the_level_is_that_of_the_command_and_stages_are_added(state):
    text = prototxt.parse(f'net: "n" # its net\n{state}')
    for words, level, more in (([], 0, []), (["--level=2", "--stage=c,d"], 2, ["c", "d"])):
        asked = main._parser().parse_args(["train", "--solver=s", *words])
        made = main._in_state(text, asked.level, asked.stage)
        its = View("SolverParameter", made.root).view("train_state")
        assert its.get("level") == level
        assert list(its.list("stage")) == ["b"] * ("b" in state) + more
        assert made.text.startswith('net: "n" # its net\n')
