"""The examples of every help text run as they stand, on small files of the names that they have."""

import os
import re
import shlex
import shutil
import sys

import pytest
from click.testing import CliRunner
from example_files import OWN, Files, index, thin

from fcnkit.cli import machine
from fcnkit.cli.main import main
from fcnkit.engines import caffe_runtime
from fcnkit.engines.engine import choose

# Words behind which a name is written, not read.
WRITTEN = {"-o", "--output", "--weights-out", "--net-out", "--picture", "--sheet", "--keep-2to3"}
# Commands whose last argument is written.
LAST_WRITTEN = {"convert"}
NETWORK = "https://"


def helps(command=main, words=()):
    """(words, command) of every command and group."""
    yield words, command
    for name in getattr(command, "list_commands", lambda _: ())(None):
        yield from helps(command.get_command(None, name), (*words, name))


def examples():
    """Each command line that a help text shows, once, by the command that shows it first."""
    found = {}
    for words, command in helps():
        text = (command.help or "").replace("\\\n", " ")
        for line in re.findall(r"^ *(fcnkit [a-z].*)$", text, re.M):
            found.setdefault(" ".join(line.split()), " ".join(words))
    return found


EXAMPLES = examples()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return Files(tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def models(files, tmp_path_factory):
    """An index of models in files."""
    return index(tmp_path_factory.mktemp("models") / "index", files)


@pytest.fixture
def here(tmp_path, monkeypatch, files, models):
    """The working folder of an example, and its home; thin templates where weights are read."""
    home = tmp_path / "home"
    (home / "Downloads").mkdir(parents=True)
    monkeypatch.setenv("FCNKIT_CAFFE", str(caffe_runtime.runtime()))  # which is below the old one
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("FCNKIT_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("FCNKIT_MODELS_INDEX", str(models))
    shutil.copy(models / "thin.caffemodel", home / "Downloads" / "ResNet-50-model.caffemodel")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def placed(words, files, here):
    """The files that these words read are in the folder."""
    command = words[0]
    read = words[:-1] if command in LAST_WRITTEN else words
    for before, word in zip(read, read[1:], strict=False):
        if before in WRITTEN:
            continue
        for name in (word, *word.split(",")):
            if name.startswith("/") or (here / name).exists():
                continue
            elif name in OWN.get(command, {}):
                OWN[command][name](files, here / name)
            elif (source := files(name) or files(name.split("/")[0])) is not None:
                target = here / source.relative_to(files.folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if source.is_dir() else shutil.copy)(source, target)


def test_there_are_examples_of_every_command():
    shown = set(EXAMPLES.values())
    leaves = {" ".join(words) for words, command in helps() if not hasattr(command, "commands")}
    told = {" ".join(line.split()[1:3]) for line in EXAMPLES} | {
        line.split()[1] for line in EXAMPLES
    }
    assert leaves <= shown | told


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_runs_as_it_stands(line, here, files, monkeypatch, models):
    words = shlex.split(line.partition(" > ")[0])[1:]
    placed(words, files, here)
    prepare(line, words, here, files, monkeypatch, models)
    words = [word.replace("~", os.environ["HOME"]) for word in words]
    done = CliRunner().invoke(main, words, catch_exceptions=False)
    # A check may say no of nets with random weights: that is an answer.
    right = (0, 1) if words[0] in ("lint", "align") else (0,)
    assert done.exit_code in right, f"{line}\n{done.output}"
    for before, name in zip(words, words[1:], strict=False):
        if before in WRITTEN and "--dry-run" not in words:
            assert os.path.exists(name), f"{line}: {name} is not there\n{done.output}"


def prepare(line, words, here, files, monkeypatch, models):
    """What an example needs beside files; a skip where this machine cannot have it."""
    if NETWORK in line:
        pytest.skip("it asks a server that is an example's")
    if "vgg16" in line and ("--weights" in line):
        monkeypatch.setattr("fcnkit.families.template", lambda name, file="": thin(name))
    if "model:" in line:
        assert CliRunner().invoke(main, ["models", "fetch", "vgg16"]).exit_code == 0
    if words[0] == "models" and words[1] == "list" and "--index" in words:
        words[words.index("--index") + 1] = str(models)
    if words[0] == "train":
        prepare_training(words)
    if words[0] == "caffe":
        prepare_caffe(here, monkeypatch)
    if words[0] == "doctor":
        monkeypatch.setattr(machine, "_tried", lambda *names: fine(names))
    engines = words[words.index("--engine") + 1] if "--engine" in words else ""
    if {"--verify", "verify", "infer"} & {*words} or engines:
        needed = re.findall(r"caffe|torch|onnx|opencv", engines) or ["opencv"]
        needed += ["onnx"] * (words[0] in ("import", "export"))
        for name in needed:
            if not choose(name).available():
                pytest.skip(f"{name} is not installed")


def fine(names):
    """What the processes of doctor say where nothing is wrong."""
    return [{"name": name, "version": "1", "fault": ""} for name in names if name != "libraries"]


def prepare_training(words):
    """Where there is no GPU, or nothing that trains, the commands are printed alone."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    if {"--gpu", "tf32"} & {*words} and not torch.cuda.is_available():
        words.append("--dry-run")
    if not caffe_runtime.available():
        words += ["--engine", "torch"] * ("--engine" not in words)
    if "--dry-run" not in words and sys.platform == "linux":
        os.environ.setdefault("OMP_NUM_THREADS", "1")


def prepare_caffe(here, monkeypatch):
    """A Caffe is there already: what is installed anew is tests/test_caffe_install.py's."""
    for folder in (here / "caffe", here.parent / "home" / "caffe"):
        folder.mkdir()
        (folder / caffe_runtime.MARKER).touch()
    monkeypatch.setenv("FCNKIT_CAFFE", str(here / "caffe"))
