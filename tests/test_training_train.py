"""Real Caffe trains, is cut off, and goes on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner
from small_training import NET, SOLVER, write_data, write_net

from fcnkit.cli.main import main
from fcnkit.cli.progress import ITERATIONS, progress
from fcnkit.cli.train import _follow, figures
from fcnkit.engines import caffe_runtime
from fcnkit.engines.caffe_runtime import GPU_MARKER, NO_MODULE, last_words
from fcnkit.errors import EngineError
from fcnkit.formats import prototxt
from fcnkit.training import record
from fcnkit.training.caffe import stoppable
from fcnkit.training.log import Loss, Validation
from fcnkit.training.recipe import Recipe
from fcnkit.training.runs import Run
from fcnkit.training.train import _death, _failed
from fcnkit.training.trainers import Caffe, Torch
from fcnkit.weights import store

FCNKIT = [sys.executable, "-c", "from fcnkit.cli.main import main; main()"]
LONG = ("--iterations", "30000000", "--display", "3000", "--snapshot", "9000", "--test", "30000000")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("dataset") / "data")


@pytest.fixture
def net(tmp_path, caffe):
    return write_net(tmp_path / "net")


@pytest.fixture
def train(data):
    """Runs `fcnkit train` in this process; what it said."""

    def call(*words, data=data):
        done = CliRunner().invoke(main, ["train", *map(str, words), "--data", str(data)])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return call


@pytest.fixture
def started(net, data):
    """Starts `fcnkit train` in a process of its own,
    and waits until Caffe has saved a snapshot there.
    """
    processes = []

    def start(*words, data=data):
        process = subprocess.Popen(
            [*FCNKIT, "train", net, "--data", data, *LONG, *words],
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        had = set(states(net))
        until(lambda: len(set(states(net)) - had) > 1, process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stderr.close()


def until(true, process=None, seconds=120):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end and (process is None or process.poll() is None)
        time.sleep(0.02)


def states(net):
    folder = net / "run"
    return (
        [name for name in os.listdir(folder) if name.endswith("state")] if folder.exists() else []
    )


def caffe_of(process):
    """The Caffe that a process has started."""
    with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
        return int(file.read().split()[0])


def final(net, iteration=90):
    weights = store.open(net / "run" / f"fcn_iter_{iteration}.caffemodel")
    return np.concatenate([blob.array().ravel() for blob in weights["score"]])


def rows(net):
    return record.read(net / "run" / "train.jsonl")


def shown_iterations(net):
    return [row["iteration"] for row in rows(net) if "loss" in row]


# A whole run


def test_it_trains(net, train):
    done = train(net)
    assert done.exit_code == 0
    assert "trained 90 iterations" in done.stdout and "starts from its fillers" in done.stderr
    assert sorted(os.listdir(net)) == ["run", "solver.prototxt", "train_val.prototxt"]
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
    assert (net / "train_val.prototxt").read_text() == NET and (
        net / "solver.prototxt"
    ).read_text() == SOLVER
    losses = [row["loss"] for row in rows(net) if "loss" in row]
    assert shown_iterations(net) == list(range(0, 91, 5)) and losses[-1] < losses[0] / 4
    assert all(row["rate"] == 0.05 for row in rows(net) if "loss" in row)
    tests = [(row["iteration"], set(row["test"])) for row in rows(net) if "test" in row]
    assert tests == [(n, {"accuracy", "loss"}) for n in (30, 60, 90)]
    assert (net / "run" / "curve.png").read_bytes().startswith(b"\x89PNG")
    again = train(net)
    assert again.exit_code == 0 and "already trained 90 iterations" in again.stdout


def test_a_dry_run_prints_what_runs_and_writes_nothing(net, train, caffe, data):
    done = train(net, "--cpu", "--dry-run")
    program = caffe_runtime.command("caffe")[0]
    assert done.stdout == f"cd {net} && {program} train --solver=run/solver.prototxt\n"
    assert sorted(os.listdir(net)) == ["solver.prototxt", "train_val.prototxt"]
    train(net, "--iterations", 30)
    done = train(net, "--iterations", 35, "--dry-run")
    assert done.stdout.endswith("--snapshot=run/fcn_iter_30.solverstate\n")
    # What it prints is all that there is to it: a shell trains as we do.
    (net / "run" / "solver.prototxt").write_text(
        (net / "run" / "solver.prototxt").read_text().replace("max_iter: 30", "max_iter: 35")
    )
    subprocess.run(done.stdout, shell=True, check=True, capture_output=True)
    by_hand = final(net, 35)
    (net / "run" / "fcn_iter_35.solverstate").unlink()
    train(net, "--iterations", 35)
    assert np.array_equal(final(net, 35), by_hand)


def test_images_mirrored_without_their_labels_are_said_beforehand(net, train):
    assert "warning" not in train(net, "--cpu", "--dry-run").stderr
    file = net / "train_val.prototxt"
    file.write_text(file.read_text().replace("scale: 0.01", "scale: 0.01 mirror: true", 1))
    said = train(net, "--cpu", "--dry-run").stderr
    assert said.count("warning: ") == 1 and "mirror mirrors half of its items" in said


def test_stages_start_from_the_one_before(net, train, tmp_path):
    text = NET.replace('name: "score"', 'name: "other"')
    second = write_net(tmp_path / "second", solver=SOLVER.replace("0.05", "0"))
    third = write_net(tmp_path / "third", net=text, solver=SOLVER.replace("0.05", "0"))
    dry = train(net, second, "--dry-run")
    assert dry.stdout.splitlines()[1].endswith(f"--weights={net}/run/fcn_iter_90.caffemodel")
    done = train(net, second, third)
    assert done.exit_code == 0
    assert np.array_equal(final(second), final(net))
    assert f"starts from {net}/run/fcn_iter_90.caffemodel" in done.stderr
    assert 'layer "other": has no weights' in done.stderr
    assert "Ignoring source layer score" in (third / "run" / "caffe.log").read_text()


def test_weights_and_what_has_none_of_its_layers(net, train, tmp_path):
    store.create().put("score", [np.ones((3, 3, 1, 1)), np.ones(3)]).save(net / "init.caffemodel")
    (net / "solver.prototxt").write_text(SOLVER.replace("0.05", "0"))
    assert f"starts from {net}/init.caffemodel" in train(net).stderr
    assert (final(net) == 1).all()
    store.create().put("score", [np.zeros((3, 3, 1, 1)), np.zeros(3)]).save(
        tmp_path / "w.caffemodel"
    )
    train(net, "--weights", tmp_path / "w.caffemodel", "--run", "b")
    assert not np.any(store.open(net / "b" / "fcn_iter_90.caffemodel")["score"][0].array())


def test_several_weights_go_one_over_the_other(net, train, tmp_path):
    (net / "solver.prototxt").write_text(SOLVER.replace("0.05", "0"))
    files = [tmp_path / "one.caffemodel", tmp_path / "two.caffemodel", tmp_path / "a,b.caffemodel"]
    for number, file in enumerate(files):
        values = [np.full((3, 3, 1, 1), number + 1.0), np.full(3, number + 1.0)]
        store.create().put("score", values).save(file)
    done = train(net, "--weights", f"{files[0]},{files[1]}", "--iterations", 3)
    assert f"starts from {files[0]}, {files[1]}" in done.stderr and done.exit_code == 0
    assert (final(net, 3) == 2).all()
    done = train(net, "--weights", f"{files[1]},{files[0]}", "--iterations", 3, "--run", "b")
    assert (store.open(net / "b" / "fcn_iter_3.caffemodel")["score"][0].array() == 1).all()
    done = train(net, "--weights", files[2], "--run", "c")
    assert done.exit_code == 2 and "takes a comma for the end of a name" in done.stderr


def test_weights_of_another_net_are_refused(net, train, tmp_path):
    other = tmp_path / "other.caffemodel"
    store.create().put("fc9", [np.ones((3, 3))]).save(other)
    done = train(net, "--weights", other)
    assert done.exit_code == 2 and "training would start from fillers" in done.stderr
    assert not (net / "run").exists()


def test_a_solver_state_is_no_weights(net, train):
    train(net, "--iterations", 30)
    done = train(net, "--weights", net / "run" / "fcn_iter_30.solverstate", "--run", "b")
    assert done.exit_code == 2 and "give the caffemodel beside it" in done.stderr


# Cut off


def test_a_resume_where_the_database_begins_anew_is_exact(net, train, tmp_path):
    other, third = write_net(tmp_path / "other"), write_net(tmp_path / "third")
    train(net)
    train(other, "--iterations", 30)
    assert "resumes from iteration 30" in train(other).stderr
    assert np.array_equal(final(net), final(other))
    assert shown_iterations(net) == shown_iterations(other)
    # In the middle of the database it is not: Caffe reads it from its first entry again.
    train(third, "--iterations", 31)
    train(third)
    assert not np.array_equal(final(net), final(third)) and np.allclose(
        final(net), final(third), atol=0.1
    )
    assert shown_iterations(third) == shown_iterations(net)


def test_a_run_that_is_killed_goes_on(net, train, started):
    process = started()
    caffe = caffe_of(process)
    process.kill()
    process.wait()
    until(lambda: not os.path.exists(f"/proc/{caffe}"))  # it goes with us
    process = started()
    os.kill(caffe_of(process), signal.SIGKILL)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 2 and "resumes from iteration" in said
    assert "Caffe: ended by SIGKILL" in said and "the same command resumes from iteration" in said
    newest = max(int(name[9:-12]) for name in states(net))
    last = newest + 9000
    with open(net / "run" / "train.jsonl", "ab") as file:
        file.write(b'{"iteration": 99')  # cut in half
    done = train(net, *LONG[2:], "--iterations", last)
    assert done.exit_code == 0
    if (
        f"skips the snapshot of iteration {newest}" in done.stderr
    ):  # killed while Caffe was writing it
        newest -= 9000
    assert f"resumes from iteration {newest}" in done.stderr
    assert shown_iterations(net) == list(range(0, last + 1, 3000))
    seconds = [row["seconds"] for row in rows(net) if "loss" in row]
    assert seconds == sorted(seconds)


def test_a_cut_snapshot_is_passed_over(net, train):
    train(net)
    state = net / "run" / "fcn_iter_90.solverstate"
    whole = state.read_bytes()
    state.write_bytes(whole[: len(whole) // 2])
    done = train(net)
    assert done.exit_code == 0 and "skips the snapshot of iteration 90" in done.stderr
    assert "resumes from iteration 60" in done.stderr and state.read_bytes() == whole
    assert shown_iterations(net) == list(range(0, 91, 5))


def test_what_was_trained_while_we_did_not_look_is_in_the_record(net, train):
    train(net)
    record = net / "run" / "train.jsonl"
    whole = record.read_bytes()
    lines = whole.splitlines(keepends=True)
    record.write_bytes(b"".join(lines[:4] + lines[9:12]))  # as after a kill, and another
    done = train(net, "--iterations", 95)
    assert done.exit_code == 0 and shown_iterations(net) == list(range(0, 96, 5))
    known = {one["iteration"]: one["loss"] for one in map(json.loads, lines) if "loss" in one}
    found = {one["iteration"]: one["loss"] for one in rows(net) if "loss" in one}
    assert found | {90: known[90]} == known | {90: known[90], 95: found[95]}


def test_a_folder_that_goes_meanwhile_is_no_bug(net, started):
    process = started()
    while (net / "run").exists():  # the trainer writes into it meanwhile
        shutil.rmtree(net / "run", ignore_errors=True)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 2 and "Traceback" not in said, said
    assert "cannot be written" in said or "could not be opened" in said or "No such file" in said


def test_a_curve_that_cannot_be_written_is_said_and_no_more(net, train):
    (net / "run" / "curve.png").mkdir(parents=True)
    done = train(net)
    assert done.exit_code == 0 and states(net), done.stderr
    assert done.stderr.count("warning: ") == 1 and "curve.png" in done.stderr


def test_a_database_that_is_cut_meanwhile_is_named(net, started, data, tmp_path):
    shutil.copytree(data, tmp_path / "copy")
    process = started(data=tmp_path / "copy")
    with open(tmp_path / "copy" / "train_image_lmdb" / "data.mdb", "r+b") as file:
        file.truncate(8192)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 2 and "Caffe: ended by SIG" in said
    assert "train_image_lmdb: is cut off: 8,192 of " in said and "Iteration" not in said


def test_another_type_of_solver_does_not_go_on(net, train):
    train(net, "--iterations", 30)
    text = (net / "solver.prototxt").read_text()
    (net / "solver.prototxt").write_text(text + 'type: "Adam"\n')
    done = train(net)
    assert done.exit_code == 2 and 'was started with the solver type "SGD"' in done.stderr
    assert train(net, "--restart", "--force", "--iterations", 30).exit_code == 0


def test_a_net_of_other_parameters_does_not_go_on_by_the_same_command(net, train):
    train(net, "--iterations", 30)
    text = (net / "train_val.prototxt").read_text()
    without = text.replace("kernel_size: 1", "kernel_size: 1 bias_term: false")
    (net / "train_val.prototxt").write_text(without)
    done = train(net)
    assert done.exit_code == 2 and "Incompatible number of blobs" in done.stderr
    assert "the same command" not in done.stderr and "iteration 30 is saved" in done.stderr


def test_a_python_layer_that_is_not_found_is_named():
    log = "Traceback (most recent call last):\nModuleNotFoundError: No module named 'mine'\n"
    log += "terminate called after throwing an instance of 'boost::python::error_already_set'\n"
    words = last_words(log + "*** Aborted at 17\n    @ 0x7f std::terminate()\n", -6)
    assert words.startswith(NO_MODULE.join(("ended by SIGABRT: ", ": No module named 'mine'")))
    assert NO_MODULE in dict(Caffe.remedies)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_saves_a_snapshot(net, started, train, number):
    process = started()
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Caffe saves a snapshot and stops" in said and "the same command continues" in said
    newest = max(int(name[9:-12]) for name in states(net))
    assert f"iteration {newest} is saved" in said
    assert f"resumes from iteration {newest}" in train(net, "--iterations", newest + 1).stderr


def test_a_run_in_use_is_left_alone(net, started, train):
    started()
    done = train(net, *LONG)
    assert done.exit_code == 2 and "another process is training it" in done.stderr


def test_a_restart(net, train):
    train(net)
    before = (net / "run" / "train.jsonl").read_bytes()
    done = train(net, "--restart")
    assert done.exit_code == 2 and "--force to delete it" in done.stderr
    assert (net / "run" / "train.jsonl").read_bytes() == before
    done = train(net, "--restart", "--force", "--iterations", 30)
    assert done.exit_code == 0 and states(net) == ["fcn_iter_30.solverstate"]
    assert (net / "run" / "caffe.log").read_text().count("Starting Optimization") == 1


# What goes wrong


def test_a_loss_that_is_no_number(net, train):
    (net / "solver.prototxt").write_text(SOLVER.replace("0.05", "1e30"))
    done = train(net)
    assert done.exit_code == 2
    assert "iteration 5: the loss is nan, which is not a number, at a rate of 1e+30" in done.stderr
    assert "lower base_lr (1e-4" in done.stderr
    assert [row["iteration"] for row in rows(net)] == [0]
    (net / "solver.prototxt").write_text(SOLVER)
    assert train(net).exit_code == 0 and shown_iterations(net)[-1] == 90


def test_a_gpu_that_is_not_there(net, train, caffe, monkeypatch, tmp_path):
    monkeypatch.setenv("FCNKIT_CAFFE_GPU", str(tmp_path / "none"))
    words = [*caffe_runtime.command("caffe"), "device_query", "--gpu=0"]
    if b"CPU-only" not in subprocess.run(words, capture_output=True).stderr:
        pytest.skip("this Caffe has GPU support")
    for gpu in ("0", "all"):
        done = train(net, "--engine", "caffe", "--gpu", gpu)
        assert done.exit_code == 2
        assert (
            "Cannot use GPU in CPU-only Caffe" in done.stderr and "train with --cpu" in done.stderr
        )
        assert sorted(os.listdir(net / "run")) == [".lock", "caffe.log"]
    # Unless a GPU is asked for, it trains on the CPU, and says so.
    solver = (net / "solver.prototxt").read_text().replace("solver_mode: CPU", "solver_mode: GPU")
    (net / "solver.prototxt").write_text(solver)
    done = train(net, "--engine", "caffe")
    assert done.exit_code == 0 and f"{net}: training with Caffe on the CPU\n" in done.stderr


def test_a_caffe_for_gpus_is_taken_for_them_alone(net, train, monkeypatch, tmp_path):
    program = tmp_path / "caffe-gpu" / "bin" / "caffe"
    program.parent.mkdir(parents=True)
    program.write_text(
        "#!/bin/sh\necho F1126 caffe.cpp:1] no CUDA-capable device is detected\nexit 1\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("FCNKIT_CAFFE_GPU", str(tmp_path / "caffe-gpu"))
    assert str(program) not in train(net, "--gpu", "0", "--dry-run").stdout  # it is not whole
    (tmp_path / "caffe-gpu" / GPU_MARKER).touch()
    assert f"{program} train" in train(net, "--gpu", "0", "--dry-run").stdout
    assert str(program) not in train(net, "--cpu", "--dry-run").stdout
    done = train(net, "--gpu", "0")
    assert done.exit_code == 2 and "this machine has no GPU that CUDA knows" in done.stderr
    assert train(net, "--cpu").exit_code == 0


def test_bad_input_leaves_nothing(net, train, tmp_path):
    bad = write_data(tmp_path / "bad", wrong=3)
    (tmp_path / "junk.caffemodel").write_text("junk")
    had = sorted(os.listdir(net))
    for words, data, said in (
        ((), bad, "label 3 at 1 pixel"),
        ((), tmp_path / "none", "does not exist"),
        (("--weights", tmp_path / "junk.caffemodel"), bad, "expected a caffemodel, found text"),
        (("--gpu", "zero"), bad, "write it as 0"),
        (("--gpu", "0", "--cpu"), bad, "exclude each other"),
        (("--rate", "1", "--loss", "normalized"), bad, "leave out --rate or --loss"),
        (("--run", "../x"), bad, "a name without /"),
    ):
        done = train(net, *words, data=data)
        assert done.exit_code == 2 and said in done.stderr
        assert sorted(os.listdir(net)) == had


def test_weights_that_caffe_refuses(net, train, tmp_path):
    store.create().put("score", [np.ones((5, 3, 1, 1)), np.ones(5)]).save(tmp_path / "w.caffemodel")
    done = train(net, "--weights", tmp_path / "w.caffemodel")
    assert done.exit_code == 2 and "Cannot copy param 0 weights from layer 'score'" in done.stderr
    assert sorted(os.listdir(net / "run")) == [".lock", "caffe.log"]


@pytest.mark.parametrize(
    "loss, failed", [(0.1, False), (87.33654, True), (float("inf"), True), (1e5, False)]
)
def test_losses_that_lead_nowhere(loss, failed):
    assert _failed(loss) == failed


@pytest.mark.parametrize(
    "words, said",
    [
        ("Check failed: error == cudaSuccess (10 vs. 0)  invalid device ordinal", "nvidia-smi -L"),
        ("Check failed: error == cudaSuccess (2 vs. 0)  out of memory", "smaller images"),
        ("Check failed: label == 1", "see "),
    ],
)
def test_remedies(tmp_path, words, said):
    recipe = Recipe(Run(tmp_path, "run"), prototxt.parse(""), ())
    log = (
        f"F0102 03:04:05.678901 42 syncedmem.cpp:71] {words}\n*** Check failure stack trace: ***\n"
    )
    error = _death(recipe, log, -6)
    assert isinstance(error, EngineError) and words in str(error) and said in str(error)


def test_what_pytorch_says_is_said_once(tmp_path):
    recipe = Recipe(Run(tmp_path, "run"), prototxt.parse(""), (), Torch())
    log = (
        "F0102 03:04:05.678901 42 torch.py:1] PyTorch: device cuda:7: no such thing; use "
        "--device cpu\n"
    )
    assert str(_death(recipe, log, 1)) == (
        f"PyTorch: device cuda:7: no such thing; use --device cpu "
        f"({tmp_path}/run/solver.prototxt); "
        f"see {tmp_path}/run/caffe.log"
    )
    log = "F0102 03:04:05.678901 42 torch.py:1] a.prototxt: PyTorch: CUDA out of memory. Tried to\n"
    assert "smaller images" in str(_death(recipe, log, 1))


# What is shown


def test_a_signal_that_is_ignored_stays_so():
    was = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with subprocess.Popen(["sleep", "9"]) as sleep, stoppable(sleep, print) as caught:
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGTERM)
            assert caught == [signal.SIGTERM] and sleep.wait() == -signal.SIGINT
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, was)


def test_lines(capsys):
    with progress("net", 20, first=10, unit=ITERATIONS, logged=True) as lines:
        _follow(lines, Loss(10, 0.5, None, {}))
        _follow(lines, Loss(15, 0.4, 0.1, {}))  # too soon
        _follow(lines, Validation(15, {"accuracy": 0.25}))
        _follow(lines, Loss(20, 0.3, 0.1, {}))
    assert capsys.readouterr().err.splitlines() == [
        "net: iteration 10 of 20, loss 0.5",
        "net: validation at 15: accuracy 0.25",
        "net: iteration 20 of 20, loss 0.3, rate 0.1",
    ]
    assert (
        figures({"accuracy": 0.25, "per_class": [1.0, 0.5]})
        == "accuracy 0.25, per_class of 2 classes"
    )


def test_a_bar_on_a_terminal(net, data):
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    words = [*FCNKIT, "train", net, "--data", data, "--iterations", "2000"]
    terminal = {**os.environ, "TERM": "xterm"}
    with subprocess.Popen(words, stderr=theirs, stdout=subprocess.PIPE, env=terminal) as done:
        os.close(theirs)
        said = b""
        try:
            while piece := os.read(ours, 4096):
                said += piece
        except OSError:  # Linux says so at the end
            pass
        assert b"trained 2,000 iterations" in done.stdout.read()
    os.close(ours)
    assert "━" in said.decode() and "validation at 1980: accuracy" in said.decode()
