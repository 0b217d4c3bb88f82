"""What docs/changes.md promises to stay: each version's names, and the files that it has written.

tests/promised has a file of names and an archive of files for each version.  `pytest
--promises` writes those of this version anew; those of earlier versions are never written again.
"""

import importlib
import inspect
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from sketches import conv, data, fc, net, pool, weights

import fcnkit as fk
from fcnkit import errors, preprocessing
from fcnkit.cli.main import main
from fcnkit.rewrites.operations import every
from fcnkit.training import record

ROOT = Path(__file__).resolve().parent.parent
PROMISED, SCHEMAS, PYTHON = ROOT / "tests/promised", ROOT / "docs/schemas", ROOT / "docs/python"
VERSIONS = sorted(file.stem for file in PROMISED.glob("*.json"))
Names = dict[str, list[str]]
CLASSIFIER = net(
    data(1, 1, 8, 8), conv("conv1", "data", 2, 3, "pad: 1"), pool("pool1", "conv1", 2, 2),
    fc("fc2", "pool1", 4),
)  # fmt: skip


def commands(command: click.Command, path: str) -> Iterator[tuple[str, list[str]]]:
    """Each command below this one, with its arguments and options."""
    found = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
    yield path, sorted(found)
    for name, each in getattr(command, "commands", {}).items():
        yield from commands(each, f"{path} {name}")


def public() -> Iterator[tuple[str, list[str]]]:
    """Each name on the pages of docs/python, with its arguments or its members."""
    pages = "".join(page.read_text(encoding="utf-8") for page in sorted(PYTHON.glob("*.md")))
    for name in re.findall(r"auto(?:function|class):: ([\w.]+)", pages):
        module, _, last = name.rpartition(".")
        thing = getattr(importlib.import_module(module), last)
        found = members(thing) if inspect.isclass(thing) else (*parameters(thing), *raised(thing))
        yield name, sorted(found)


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def raised(function: Any) -> list[str]:
    """The errors that its help says it raises."""
    return [f"raises {name}" for name in set(re.findall(r"\b[A-Z]\w+Error\b", function.__doc__))]


def kinds() -> Iterator[tuple[str, list[str]]]:
    """Each kind of error, with the kinds that it is caught as."""
    for name, kind in vars(errors).items():
        if inspect.isclass(kind) and issubclass(kind, errors.FcnkitError):
            yield name, sorted(each.__name__ for each in kind.__mro__)


def members(kind: type) -> Iterator[str]:
    """The public members of a class, and the arguments of its methods."""
    own = {name for each in kind.__mro__ if each.__module__.startswith("fcnkit")
           for name in (*vars(each), *getattr(each, "__annotations__", ()))}  # fmt: skip
    for name in own:
        if not name.startswith("_"):
            yield name
            found = getattr(kind, name, None)
            if inspect.isfunction(found) or inspect.ismethod(found):
                yield from (f"{name}({each})" for each in set(parameters(found)) - {"self", "cls"})


def fields(schema: Any, path: str = "") -> Iterator[str]:
    """Every field that a schema describes, with its type."""
    if isinstance(schema, list):
        for each in schema:
            yield from fields(each, path)
    elif isinstance(schema, dict):
        for name, each in schema.get("properties", {}).items():
            kind = each.get("type", each.get("$ref", "")) if isinstance(each, dict) else ""
            yield f"{path}.{name}: {kind}"
        for name, each in schema.items():
            below = path if name not in schema.get("properties", {}) else f"{path}.{name}"
            yield from fields(each, f"{path}.{name}" if name == "properties" else below)


def names() -> dict[str, Names]:
    """All that is promised by its name."""
    schemas = {file.stem: json.loads(file.read_text()) for file in sorted(SCHEMAS.glob("*.json"))}
    return {
        "commands": dict(sorted(commands(main, "fcnkit"))),
        "operations": {"--do": sorted(operation.name for operation in every())},
        "python": dict(sorted(public())),
        "errors": dict(sorted(kinds())),
        "json": {name: sorted(set(fields(each))) for name, each in schemas.items()},
    }


def test_this_version_has_its_promises(request):
    if request.config.getoption("promises"):
        text = json.dumps(names(), indent=1) + "\n"
        (PROMISED / f"{fk.__version__}.json").write_text(text, encoding="utf-8")
    assert fk.__version__ in VERSIONS, "pytest --promises tests/test_promises.py writes them"


@pytest.mark.parametrize("version", VERSIONS)
def test_no_name_is_gone(version):
    promised, now = json.loads((PROMISED / f"{version}.json").read_text()), names()
    gone = [
        (kind, name, each)
        for kind, of in promised.items()
        for name, all_of_it in of.items()
        for each in all_of_it or [""]
        if name not in now[kind] or (each and each not in now[kind][name])
    ]
    assert gone == [], "announce it one version before, as docs/changes.md says"
    assert {kind: bool(of) for kind, of in promised.items()} == dict.fromkeys(now, True)


def test_a_name_that_goes_is_found():
    one = {"properties": {"a": {"type": "object", "properties": {"b": {"type": "string"}}}}}
    other = {"properties": {"a": {"type": "object", "properties": {"b": {"type": "number"}}}}}
    gone = set(fields(one)) - set(fields(other))
    assert len(gone) == 1 and "b: string" in gone.pop()
    assert {"classes", "raises AlignError"} <= set(dict(public())["fcnkit.fcn"])
    assert {"diff", "then", "then(rewrite)"} <= set(dict(public())["fcnkit.Plan"])


# ---- the files


def run(*words: object) -> str:
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, (words, done.output)
    return done.output


def write_files(folder: Path) -> None:
    """One of each kind of file and folder that this version writes."""
    random = np.random.default_rng(0)
    for kind in ("images", "labels"):
        (folder / kind).mkdir()
    for number in range(3):
        label = np.zeros((28, 28), np.uint8)
        label[:, 8 + number :] = 1
        image = np.uint8(60 + 120 * label + random.integers(0, 40, label.shape))
        for kind, each in (("images", image), ("labels", label)):
            Image.fromarray(each).save(folder / kind / f"{number}.png")
    (folder / "classes.txt").write_text("dark\nbright\n")
    run("dataset", "create", "images", "labels", "-o", "data", "--classes", "classes.txt",
        "--order", "gray", "--list", "train.txt", "--val-list", "val.txt")  # fmt: skip
    CLASSIFIER.save("net.prototxt")
    weights(CLASSIFIER, "net.caffemodel")
    run("fcn", "net.prototxt", "--classes", "2", "--stride", "2", "--weights", "net.caffemodel",
        "--data", "data", "-o", "fcn")  # fmt: skip
    run("train", "fcn", "--data", "data", "--iterations", "2", "--snapshot", "2", "--seed", "1",
        "--engine", "torch", "--device", "cpu", "--save-config", "train.toml")  # fmt: skip
    run("train", "fcn", "--config", "train.toml")
    run("infer", "fcn/deploy.prototxt", "fcn/run/fcn_iter_2.caffemodel", "images", "-o", "seen")
    for name in ("weights.caffemodel.h5", "weights.npz"):
        run("convert", "fcn/run/fcn_iter_2.caffemodel", name)
    run("models", "fetch", "ours", "--index", "index", "--cache", "models")


@pytest.mark.parametrize("version", VERSIONS)
def test_files_that_a_version_wrote_are_read(version, request, tmp_path, monkeypatch, one_thread):
    monkeypatch.chdir(tmp_path)
    archive = PROMISED / f"{version}.zip"
    if request.config.getoption("promises") and version == fk.__version__:
        made = tmp_path / "made"
        made.mkdir()
        monkeypatch.chdir(made)
        (made / "train.txt").write_text("0\n1\n")
        (made / "val.txt").write_text("2\n")
        (made / "index").mkdir()
        weights(CLASSIFIER, made / "index" / "ours.caffemodel")
        index = {"models": [{"name": "ours", "file": "ours.caffemodel"}]}
        (made / "index" / "models.json").write_text(json.dumps(index))
        write_files(made)
        for each in filter(Path.is_file, made.rglob("*")):  # no names of this machine
            each.write_bytes(each.read_bytes().replace(str(made).encode(), b"/elsewhere"))
        shutil.make_archive(str(archive.with_suffix("")), "zip", made)
        monkeypatch.chdir(tmp_path)
        shutil.rmtree(made)
    shutil.unpack_archive(archive, tmp_path)
    check_files()


def check_files() -> None:
    """Every file of the archive in the current folder is read for what it was."""
    assert "dark" in run("dataset", "inspect", "data")
    assert record.seconds(record.read(Path("fcn/run/train.jsonl"))) >= 0
    trained = fk.weights("fcn/run/fcn_iter_2.caffemodel")
    for name in ("weights.caffemodel.h5", "weights.npz"):
        assert fk.compare(trained, fk.weights(name)).equal
    described = preprocessing.beside(fk.read("fcn/deploy.prototxt"))
    assert described and described.order == "gray" and described.classes == ("dark", "bright")
    assert "pixel" in run("score", "seen", "labels", "--classes", "classes.txt").lower()
    (ours,) = json.loads(run("models", "list", "--index", "index", "--cache", "models", "--json"))
    assert ours["name"] == "ours" and os.path.exists(ours["path"])
    assert "iteration 2" in run("train", "fcn", "--config", "train.toml", "--iterations", "4")
    assert Path("fcn/run/fcn_iter_4.caffemodel").exists()
    run("report", "fcn", "-o", "fcn.html")
    assert "dark" in Path("fcn.html").read_text()
