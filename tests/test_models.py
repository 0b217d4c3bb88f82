"""The commands that list, show and fetch models, and weights that are named as model:NAME."""

import hashlib
import json
import os
import subprocess
import sys

import loopback
import numpy as np
import pytest
from click.testing import CliRunner

from fcnkit.cli.main import main
from fcnkit.models.index import known
from fcnkit.weights import store

FCNKIT = [sys.executable, "-c", "from fcnkit.cli.main import main; main()"]


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder with an index of two models, and an empty cache that is the user's."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in ("one", "two"):
        values = np.full((2, 3), len(name), np.float32)
        store.create().put(name, [values]).save(folder / f"{name}.caffemodel")
    data = (folder / "one.caffemodel").read_bytes()
    one = {
        "name": "one",
        "file": "one.caffemodel",
        "size": len(data),
        "licence": "mine",
        "sha1": hashlib.sha1(data).hexdigest(),
        "template": "lenet",
    }
    index = {"models": [one, {"name": "two", "file": "two.caffemodel"}]}
    (folder / "models.json").write_text(json.dumps(index))
    monkeypatch.setenv("FCNKIT_MODELS", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("FCNKIT_MODELS_INDEX", raising=False)
    return folder


def run(*words):
    done = CliRunner().invoke(main, list(map(str, words)))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def models(*words):
    return run("models", *words)


def test_the_list_fits_a_terminal(mine):
    done = models("list")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80 and not done.stderr
    assert [line.split()[0] for line in lines[1:-1]] == [model.name for model in known()]
    row = next(line for line in lines if line.startswith("vgg16 "))
    assert row.split() == ["vgg16", "553.4", "MB", "CC", "BY", "SHA-1,", "SHA-256", "no"]
    assert not (mine.parent / "cache").exists()


def test_everything_of_one(mine):
    text = models("show", "vgg16").stdout
    for said in (
        "VGG_ILSVRC_16_layers.caffemodel",
        "553,432,081 bytes",
        "9363e1f6d65f7dba68c4f27a1e62105cdf6c4e24",
        "CC BY",
        "http://www.robots.ox.ac.uk/~vgg/software/very_deep/caffe/VGG_ILSVRC_16_layers.caffemodel",
        "in cache  no",
        "fcnkit fcn template:vgg16 --classes 21 --stride 16 --weights model:vgg16 -o fcn",
    ):
        assert said in text
    assert (
        "none is published, so the download cannot be verified"
        in models("show", "voc-fcn16s").stdout
    )
    assert (
        "none that a program can download from; see the page" in models("show", "resnet50").stdout
    )
    assert json.loads(models("show", "vgg16", "--json").stdout)["size"] == 553432081
    done = models("show", "vgg17")
    assert done.exit_code == 2 and "vgg17: no such model; there are alexnet, " in done.stderr


def test_what_is_shown_to_be_used_can_be(mine):
    for name in ("squeezenet", "voc-fcn8s-atonce", "voc-fcn-alexnet"):
        use = next(
            line for line in models("show", name).stdout.splitlines() if line.startswith("  use")
        )
        words = [
            word
            for word in use.split()[2:]
            if not word.startswith("model:") and word != "--weights"
        ]
        assert run(*words[:-2]).exit_code == 0


def test_a_folder(mine):
    cache = mine.parent / "cache"
    done = models("fetch", "one", "--index", mine)
    assert done.exit_code == 0 and done.stdout == f"{cache}/one/one.caffemodel\n"
    assert done.stderr == "fcnkit: one: fetched; SHA-1 as published; licence: mine\n"
    assert (
        "one: is there already; SHA-1 as published"
        in models("fetch", "one", "--index", mine).stderr
    )
    assert models("list", "--index", mine).stdout.splitlines()[1].split()[-2:] == ["SHA-1", "yes"]
    assert f"in cache  {cache}/one/one.caffemodel" in models("show", "one", "--index", mine).stdout
    done = models("fetch", "two", "--index", mine, "--cache", mine.parent / "other")
    assert "no digest is published; its SHA-1 is " in done.stderr
    assert (mine.parent / "other" / "two" / "two.caffemodel").exists()


def test_an_index_in_the_environment(mine, monkeypatch):
    monkeypatch.setenv("FCNKIT_MODELS_INDEX", str(mine))
    assert [row["name"] for row in json.loads(models("list", "--json").stdout)] == ["one", "two"]
    assert models("fetch", "one").exit_code == 0


def test_an_index_on_the_web(mine):
    with loopback.serving() as server:
        server.files = {f"/{path.name}": path.read_bytes() for path in mine.iterdir()}
        assert models("list", "--index", server.address).exit_code == 0
        assert [path for path, _ in server.asked] == ["/models.json"]
        server.ways = [loopback.well, loopback.cut(30)]
        assert models("fetch", "one", "--index", server.address).exit_code == 0
        assert (mine.parent / "cache" / "one" / "one.caffemodel").read_bytes() == server.files[
            "/one.caffemodel"
        ]
        server.ways = [loopback.well, loopback.cut(30), loopback.cut(0)]
        done = models("fetch", "one", "--index", server.address, "--cache", mine.parent / "other")
        assert (
            done.exit_code == 2
            and "the 30 bytes received are kept" in done.stderr
            and not done.stdout
        )
        text = models(
            "show", "one", "--index", server.address, "--cache", mine.parent / "other"
        ).stdout
        assert "in cache  no; 30 bytes have come" in text
        server.ways = [loopback.well, loopback.silent]
        words = ("--index", server.address, "--timeout", 0.3)
        assert "nothing came for 0.3 seconds" in models("fetch", "two", *words).stderr


def test_a_file_of_ones_own(mine):
    out = mine.parent / "out.caffemodel"
    done = models("fetch", "one", "--index", mine, "-o", out)
    assert done.stdout == f"{out}\n" and out.read_bytes() == (mine / "one.caffemodel").read_bytes()
    done = models("fetch", "two", "--index", mine, "-o", out)
    assert done.exit_code == 2 and "out.caffemodel: exists" in done.stderr
    assert not (mine.parent / "cache" / "two").exists()
    assert models("fetch", "two", "--index", mine, "-o", out, "--force").exit_code == 0
    assert out.read_bytes() == (mine / "two.caffemodel").read_bytes()


def test_from_elsewhere_it_is_verified_all_the_same(mine):
    done = models("fetch", "resnet50", "--from", mine / "one.caffemodel")
    assert done.exit_code == 2 and "and resnet50 102,462,397" in done.stderr
    assert (
        "see https://github.com/KaimingHe/deep-residual-networks"
        in models("fetch", "resnet50").stderr
    )
    (mine / "one.caffemodel").rename(mine / "elsewhere")
    assert "one.caffemodel: cannot be read" in models("fetch", "one", "--index", mine).stderr
    assert models("fetch", "one", "--index", mine, "--from", mine / "elsewhere").exit_code == 0


def test_weights_are_named_as_models(mine):
    done = run("inspect", "model:one")
    cache = mine.parent / "cache"
    assert done.exit_code == 2
    assert f"model:one: is not in {cache}; fetch it with `fcnkit models fetch one`" in done.stderr
    models("fetch", "one", "--index", mine)
    assert "one.caffemodel" in run("inspect", "model:one").stdout
    assert run("convert", "model:one", mine / "one.npz").exit_code == 0
    assert run("diff", "model:one", mine / "one.caffemodel").exit_code == 0
    for words in (
        ["fcn", "template:vgg16", "--classes", "2", "--weights"],
        ["convolutionalize", "template:vgg16", "--weights"],
        ["lint", "template:vgg16", "--weights"],
        ["inspect", "template:vgg16", "--weights"],
        ["upgrade", "--weights"],
        ["train", "x", "--weights"],
        ["surgery", "template:lenet"],
        ["verify", "template:lenet"],
        ["infer", "template:lenet"],
        ["diff", "model:one"],
        ["verify", "template:lenet", "model:one", "template:lenet"],
    ):
        assert (
            "fetch it with `fcnkit models fetch gone`" in run(*words, "model:gone", "x", "x").stderr
        )


def test_a_bar_on_a_terminal_and_none_in_a_pipe(mine):
    pty = pytest.importorskip("pty")
    words = [*FCNKIT, "models", "fetch", "one", "--index", mine]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr.count("\n") == 1 and " MB" not in done.stderr
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [*words, "--cache", mine.parent / "b"],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    said = b""
    try:
        while piece := os.read(ours, 4096):
            said += piece
    except OSError:  # Linux says so at the end
        pass
    os.close(ours)
    assert done.returncode == 0 and b"fetching one.caffemodel" in said
    assert "━" in said.decode() and b" MB" in said


def test_a_stop_says_how_to_go_on(mine, monkeypatch):
    from fcnkit.models import fetch as fetching

    def stop(*words, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(fetching, "fetch", stop)
    done = models("fetch", "one", "--index", mine)
    assert done.exit_code == 130 and "the same command continues the download" in done.stderr


def test_the_network_is_loaded_by_fetching_alone():
    code = (
        "import sys, fcnkit.cli.main, fcnkit.cli.models, fcnkit.models.index, "
        "fcnkit.models.cache; {}"
    )
    said = code.format("print({'http', 'ssl', 'socket'} & set(sys.modules))")
    assert (
        subprocess.run([sys.executable, "-c", said], capture_output=True, text=True).stdout
        == "set()\n"
    )
