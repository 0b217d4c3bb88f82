"""PyTorch trains through `fcnkit train`, is cut off, and goes on; and takes turns with real Caffe."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner
from small_training import NET, SOLVER, write_data, write_net

from fcnkit.cli.main import main
from fcnkit.segmentation import record
from fcnkit.weights import store

pytest.importorskip("torch")
FCNKIT = [sys.executable, "-c", "from fcnkit.cli.main import main; main()"]
LONG = ("--iterations", "30000000", "--display", "200", "--snapshot", "600", "--test", "30000000")


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
    return [name for name in os.listdir(folder) if name.endswith("state")] if folder.exists() else []


def values(net, iteration=90):
    weights = store.open(net / "run" / f"fcn_iter_{iteration}.caffemodel")
    return np.concatenate([blob.array().ravel() for blob in weights["score"]])


def rows(net):
    return record.read(net / "run" / "train.jsonl")


def losses(net):
    return {row["iteration"]: row["loss"] for row in rows(net) if "loss" in row}


# What is asked for


def test_a_dry_run_prints_the_command_and_needs_no_caffe(net, train, monkeypatch):
    monkeypatch.setenv("FCNKIT_CAFFE", str(net / "none"))
    start = f"cd {net} && {sys.executable} -m fcnkit.engines.torch.program train --solver=run/solver.prototxt"
    for words, said in (
        ((), ""),
        (("--cpu",), " --device=cpu"),
        (("--gpu", "0,1", "--precision", "bf16", "--compile"), " --gpu=0,1 --precision=bf16 --compile"),
        (("--device", "cuda:1", "--precision", "fp32"), " --device=cuda:1"),
        (("--device", "cpu", "--processes", "2"), " --device=cpu --processes=2"),
    ):
        done = train(net, "--dry-run", *words)
        assert done.stdout == f"{start}{said}\n" and not (net / "run").exists()


def test_options_that_do_not_go_together(net, train):
    for words, engine, said in (
        (("--device", "cpu"), "caffe", "--device: is for --engine torch alone"),
        (("--precision", "bf16"), "caffe", "--precision: is for --engine torch alone"),
        (("--compile",), "caffe", "--compile: is for --engine torch alone"),
        (("--processes", "2"), "caffe", "--processes: is for --engine torch alone"),
        (("--gpu", "0", "--device", "cpu"), "torch", "--gpu and --device: choose one"),
        (("--cpu", "--device", "cuda"), "torch", "--cpu and --device: choose one"),
        (("--precision", "fp16"), "torch", "'fp16' is not one of"),
    ):
        done = train(net, *words, engine=engine)
        assert done.exit_code == 2 and said in done.stderr
        assert sorted(os.listdir(net)) == ["solver.prototxt", "train_val.prototxt"]
