"""PyTorch trains through `fcnkit train`, is cut off,
and goes on; and takes turns with real Caffe.
"""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest
from click.testing import CliRunner
from small_training import NET, SOLVER, write_data, write_net

from fcnkit import preprocessing
from fcnkit.cli.main import main
from fcnkit.reporting.subject import Wishes, subject
from fcnkit.training import record
from fcnkit.training.trainers import program
from fcnkit.weights import store

torch = pytest.importorskip("torch")
FCNKIT = [sys.executable, "-c", "from fcnkit.cli.main import main; main()"]
LONG = ("--iterations", "30000000", "--display", "25", "--snapshot", "50", "--test", "30000000")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Threads that wait for each other in so small a net would take all the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("dataset") / "data")


@pytest.fixture
def net(tmp_path):
    return write_net(tmp_path / "net")


@pytest.fixture
def train(data):
    """Runs `fcnkit train` in this process, the engine torch unless it is said; what it said."""

    def call(*words, engine="torch", data=data):
        words = ["train", *map(str, words), "--data", str(data), "--engine", engine]
        done = CliRunner().invoke(main, words)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return call


def states(net):
    folder = net / "run"
    return (
        [name for name in os.listdir(folder) if name.endswith("state")] if folder.exists() else []
    )


def values(net, iteration=90):
    weights = store.open(net / "run" / f"fcn_iter_{iteration}.caffemodel")
    return np.concatenate(
        [blob.array().ravel() for name in ("score", "bn") for blob in weights[name]]
    )


def rows(net):
    return record.read(net / "run" / "train.jsonl")


def losses(net):
    return {row["iteration"]: row["loss"] for row in rows(net) if "loss" in row}


# What is asked for


def test_what_is_no_net_s_folder_is_named(net, train, tmp_path):
    (tmp_path / "empty").mkdir()
    for place, fact in (
        (tmp_path / "empty", "holds no solver.prototxt"),
        (tmp_path / "nowhere", "is not a folder"),
        (net / "solver.prototxt", "is not a folder"),
    ):
        done = train(place)
        assert done.exit_code == 2 and f"{place}: {fact}; name a folder that" in done.stderr


def test_a_dry_run_prints_the_command_and_needs_no_caffe(net, train, monkeypatch):
    monkeypatch.setenv("FCNKIT_CAFFE", str(net / "none"))
    start = f"cd {net} && {shlex.join(program())} train --solver=run/solver.prototxt"
    for words, said in (
        ((), ""),
        (("--cpu",), " --device=cpu"),
        (
            ("--gpu", "0,1", "--precision", "bf16", "--compile"),
            " --gpu=0,1 --precision=bf16 --compile",
        ),
        (("--device", "cuda:1", "--precision", "fp32"), " --device=cuda:1"),
        (("--device", "cpu", "--processes", "2"), " --device=cpu --processes=2"),
    ):
        done = train(net, "--dry-run", *words)
        assert done.stdout == f"{start}{said}\n" and not (net / "run").exists()


def test_options_that_do_not_go_together(net, train):
    for words, engine, said in (
        (("--device", "cpu"), "caffe", "--device is for --engine torch only"),
        (("--precision", "bf16"), "caffe", "--precision is for --engine torch only"),
        (("--compile",), "caffe", "--compile is for --engine torch only"),
        (("--processes", "2"), "caffe", "--processes is for --engine torch only"),
        (("--gpu", "0", "--device", "cpu"), "torch", "--gpu and --device exclude each other"),
        (("--cpu", "--device", "cuda"), "torch", "--cpu and --device exclude each other"),
        (("--precision", "fp16"), "torch", "'fp16' is not one of"),
    ):
        done = train(net, *words, engine=engine)
        assert done.exit_code == 2 and said in done.stderr
        assert sorted(os.listdir(net)) == ["solver.prototxt", "train_val.prototxt"]


# A whole run


@pytest.fixture(scope="module")
def alone(tmp_path_factory, data):
    """A net that one process has trained, from weights, without Caffe; what it said."""
    net = start_net(tmp_path_factory.mktemp("alone"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FCNKIT_CAFFE", str(net / "none"))
        done = CliRunner().invoke(
            main, ["train", str(net), "--data", str(data), "--engine", "torch"]
        )
    assert done.exit_code == 0, done.stderr
    return net, done


NORMED = NET.replace(
    'layer { name: "score" type: "Convolution" bottom: "data"',
    'layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" }\n'
    'layer { name: "score" type: "Convolution" bottom: "bn"',
)


def start_net(folder, **texts):
    """A net with weights to start from, so that both engines start alike."""
    net = write_net(folder / "net", net=NORMED, **texts)
    random = np.random.default_rng(1)
    blobs = [random.normal(size=(3, 3, 1, 1)), random.normal(size=3)]
    store.create().put("score", blobs).put("gone", [np.ones(2)]).save(net / "init.caffemodel")
    return net


def test_it_trains_without_caffe(alone, train):
    net, done = alone
    assert (
        "trained 90 iterations" in done.stdout
        and f"starts from {net}/init.caffemodel" in done.stderr
    )
    assert sorted(os.listdir(net / "run")) == sorted(
        [
            ".lock",
            "caffe.log",
            "curve.png",
            "index.html",
            "solver.prototxt",
            "train.jsonl",
            "train_val.prototxt",
            *(
                f"fcn_iter_{n}.{kind}"
                for n in (30, 60, 90)
                for kind in ("caffemodel", "solverstate")
            ),
        ]
    )
    assert list(losses(net)) == list(range(0, 91, 5)) and losses(net)[90] < losses(net)[0] / 4
    assert all(row["rate"] == 0.05 for row in rows(net) if "loss" in row)
    assert f"PyTorch {torch.__version__} on cpu" in done.stderr
    assert "Ignoring source layer gone" in (net / "run" / "caffe.log").read_text()
    again = train(net)
    assert again.exit_code == 0 and "already trained 90 iterations" in again.stdout


def test_the_losses_scores_and_weights_are_caffes(alone, caffe, train, tmp_path):
    ours, theirs = alone[0], start_net(tmp_path)
    assert train(theirs, engine="caffe").exit_code == 0
    for mine, other in zip(rows(ours), rows(theirs), strict=True):
        assert mine.keys() == other.keys() and mine["iteration"] == other["iteration"]
        for name in other.keys() - {"seconds"}:
            assert mine[name] == pytest.approx(other[name], rel=1e-4)
    for iteration in (30, 60, 90):
        assert np.allclose(values(ours, iteration), values(theirs, iteration), rtol=1e-4, atol=1e-5)


def test_each_engine_goes_on_from_the_others_snapshot(alone, caffe, train, tmp_path):
    net = start_net(tmp_path)
    for iterations, engine in ((30, "caffe"), (60, "torch"), (90, "caffe")):
        done = train(net, "--iterations", iterations, engine=engine)
        assert done.exit_code == 0, done.stderr
        assert iterations == 30 or f"resumes from iteration {iterations - 30}" in done.stderr
    for iteration, loss in losses(net).items():
        if iteration not in (30, 60):  # where the mean of the last losses begins anew
            assert loss == pytest.approx(losses(alone[0])[iteration], rel=1e-4)
    assert np.allclose(values(net), values(alone[0]), rtol=1e-4, atol=1e-5)


def test_two_processes_are_one_with_twice_the_passes(alone, train, tmp_path):
    net = start_net(tmp_path, solver=SOLVER.replace("iter_size: 2", "iter_size: 1"))
    done = train(net, "--device", "cpu", "--processes", 2)
    assert done.exit_code == 0, done.stderr
    for iteration in range(
        0, 90, 5
    ):  # the last loss is that of one more pass, or of one in each process
        assert losses(net)[iteration] == pytest.approx(losses(alone[0])[iteration], rel=1e-5)
    assert np.allclose(values(net), values(alone[0]), rtol=1e-5, atol=1e-6)
    tests = [[row["test"] for row in rows(each) if "test" in row] for each in (net, alone[0])]
    assert tests[0] == [pytest.approx(test, rel=1e-4) for test in tests[1]]


def test_two_gpus_are_one_with_twice_the_passes(alone, train, tmp_path):
    if torch.cuda.device_count() < 2:
        pytest.skip("PyTorch knows no two GPUs here")
    net = start_net(tmp_path, solver=SOLVER.replace("iter_size: 2", "iter_size: 1"))
    done = train(net, "--gpu", "0,1")
    assert done.exit_code == 0, done.stderr
    assert np.allclose(values(net), values(alone[0]), rtol=1e-4, atol=1e-5)


# Cut off


def test_a_run_that_is_killed_goes_on_and_a_stop_saves(net, data):
    with started(net, data) as process:
        trainer = child_of(process)
        process.kill()
    until(lambda: not os.path.exists(f"/proc/{trainer}"))  # it goes with us
    with started(net, data) as process:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=300)
    assert process.returncode == 130 and "resumes from iteration" in said
    assert "PyTorch saves a snapshot and stops" in said and "the same command continues" in said
    newest = max(int(name[9:-12]) for name in states(net))
    assert f"iteration {newest} is saved" in said
    assert list(losses(net)) == list(range(0, newest + 1, 25))[: len(losses(net))]


@contextmanager
def started(net, data):
    """`fcnkit train` in a process of its own, which has saved a snapshot."""
    had = set(states(net))
    words = [*FCNKIT, "train", net, "--data", data, "--engine", "torch", *LONG]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: len(set(states(net)) - had) > 1, process)
        try:
            yield process
        finally:
            process.kill()


def until(true, process=None, seconds=300):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end and (process is None or process.poll() is None)
        time.sleep(0.02)


def child_of(process):
    with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
        return int(file.read().split()[0])


# What goes wrong


def test_a_loss_that_is_no_number(net, train):
    (net / "solver.prototxt").write_text(SOLVER.replace("0.05", "1e30"))
    done = train(net)
    assert done.exit_code == 2
    assert "iteration 5: the loss is nan, which is not a number, at a rate of 1e+30" in done.stderr
    assert [row["iteration"] for row in rows(net)] == [0]


# ---- before it starts, and without iterations

DEEP = """layer { name: "deep" type: "Power" bottom: "loss" top: "deep" loss_weight: 1
  power_param { scale: 2 } include { phase: TRAIN min_level: 3 } }
"""


def test_both_engines_build_the_level_of_the_solver(net, train, caffe):
    (net / "train_val.prototxt").write_text(NET + DEEP)
    (net / "solver.prototxt").write_text(SOLVER + "train_state { level: 3 }")
    for engine in ("torch", "caffe"):
        done = train(net, "--iterations", 1, "--display", 1, "--run", engine, engine=engine)
        assert done.exit_code == 0, done.stderr
        assert "output #0: deep = " in (net / engine / "caffe.log").read_text(errors="replace")


@pytest.mark.parametrize("engine", ["torch", "caffe"])
@pytest.mark.parametrize(
    "file, old, new, words",
    [
        (
            "solver",
            "momentum: 0.9",
            "momentun: 0.9",
            'no field "momentun"; did you mean "momentum"',
        ),
        ("solver", 'lr_policy: "fixed"', 'lr_policy: "step" gamma: 0.1', "set stepsize"),
        ("train_val", "layer {", 'nme: "n"\nlayer {', 'no field "nme"; did you mean "name"?'),
        ("train_val", "num_output: 3", "num_ouput: 3", 'did you mean "num_output"?'),
    ],
)
def test_what_caffe_refuses_stops_it_before_it_starts(
    net, train, caffe, engine, file, old, new, words
):
    path = net / f"{file}.prototxt"
    path.write_text(path.read_text().replace(old, new, 1))
    done = train(net, engine=engine)
    assert done.exit_code == 2 and words in done.stderr, done.stderr
    assert not (net / "run" / "caffe.log").exists()


def test_a_word_of_an_unknown_fork_is_its_caffes_business(net, train, caffe):
    (net / "solver.prototxt").write_text(SOLVER + "zebra: 1\n")
    assert "warning" not in train(net, "--dry-run").stderr
    assert train(net, "--dry-run").exit_code == 2
    done = train(net, "--dry-run", engine="caffe")
    assert done.exit_code == 0 and "warning: " in done.stderr and '"zebra"' in done.stderr


def test_what_pytorch_does_not_show_is_said(net, train, caffe):
    (net / "solver.prototxt").write_text(SOLVER + "debug_info: true\n")
    assert (
        "prototxt:18: debug_info: PyTorch does not print layers' values"
        in train(net, "--dry-run").stderr
    )
    assert "debug_info" not in train(net, "--dry-run", engine="caffe").stderr


@pytest.mark.parametrize("engine", ["torch", "caffe"])
def test_a_training_of_no_iterations_is_done(net, train, caffe, engine):
    (net / "solver.prototxt").write_text(SOLVER.replace("max_iter: 90", "max_iter: 0"))
    done = train(net, engine=engine)
    assert done.exit_code == 0 and "trained 0 iterations" in done.stdout, done.stderr
    assert [row["iteration"] for row in rows(net)] == [0, 0]  # Caffe tests at the end all the same


def test_the_deploy_net_gets_the_names_of_the_classes(net, train, data, tmp_path):
    """Into what fcn wrote beside it, unless that has names."""
    here = shutil.copytree(data, tmp_path / "named")
    (here / "classes.txt").write_text("red\ngreen\nblue\n")
    path = net / "deploy.preprocessing.json"
    preprocessing.Preprocessing(mean=(1.0,)).save(path)
    done = train(net, "--iterations", 2, data=here)
    assert done.exit_code == 0 and "now has the names of the classes" in done.stderr
    made = preprocessing.read(path)
    assert made.classes == ("red", "green", "blue") and made.mean == (1.0,)
    assert made.origins["classes"] == str(here / "classes.txt")
    preprocessing.Preprocessing(classes=("a", "b", "c")).save(path, force=True)
    done = train(net, "--iterations", 2, "--restart", "--force", data=here)
    assert done.exit_code == 0, done.stderr
    assert preprocessing.read(path).classes == ("a", "b", "c")


def test_the_deploy_net_gets_order_and_names_of_its_last_data_set(net, train, data, tmp_path):
    """Names that an earlier data set gave are replaced, and an order of channels that was told."""
    path = net / "deploy.preprocessing.json"
    preprocessing.Preprocessing(mean=(1.0,)).save(path)
    one, two = (shutil.copytree(data, tmp_path / name) for name in ("one", "two"))
    (one / "classes.txt").write_text("a\nb\nc\n")
    (two / "classes.txt").write_text("red\ngreen\nblue\n")
    (two / "report.json").write_text(json.dumps({"order": "rgb"}))
    train(net, "--iterations", 2, data=one)
    made = preprocessing.read(path)
    assert made.classes == ("a", "b", "c") and made.order == "bgr"
    done = train(net, "--iterations", 2, "--restart", "--force", data=two)
    assert f"the order of the channels is now RGB, as in {two / 'report.json'}" in done.stderr
    made = preprocessing.read(path)
    assert made.classes == ("red", "green", "blue") and made.order == "rgb"
    assert made.mean == (1.0,)


def test_a_page_shows_the_weights_of_the_training_that_was_last(net, train, tmp_path):
    """An FCN's folder may hold several trainings, whatever their names and iterations."""
    (net / "deploy.prototxt").write_text(
        'layer { name: "data" type: "Input" top: "data"'
        " input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }\n"
        'layer { name: "score" type: "Convolution" bottom: "data" top: "score"'
        " convolution_param { num_output: 3 kernel_size: 1 } }\n"
    )
    for name, iterations in (("b", 4), ("a", 2)):
        done = train(net, "--iterations", iterations, "--run", name)
        assert done.exit_code == 0, done.stderr
    assert subject(net, None, Wishes()).weights.path == str(net / "a" / "fcn_iter_2.caffemodel")
    os.utime(net / "a" / "fcn_iter_2.caffemodel", (0, 0))
    assert subject(net, None, Wishes()).weights.path == str(net / "b" / "fcn_iter_4.caffemodel")
