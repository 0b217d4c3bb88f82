"""docs/architecture.md, "To add something": what it says to write is all that there is to write.

In a copy of the package a layer type, a rewrite and an engine are added, each as the page says;
the command line then knows them.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sketches import conv, data, fc, layer, net, relu, weights

import fcnkit as fk

ROOT = Path(__file__).resolve().parent.parent

# A layer type is one entry in the table, and one line in the table of each engine that runs it.
TYPE = '    LayerType("Negate", Trait.VALUE, **_SAME_ZERO),\n'
IN_TORCH = '    "Negate": Kind(lambda site: lambda bottoms, blobs: [-bottoms[0]]),\n'

# A rewrite is one file, and one line in the list of them.
REWRITE = '''"""Layers that learn no more."""

from collections.abc import Mapping

from fcnkit.formats.prototxt import Prototxt
from fcnkit.plan import Plan, Step
from fcnkit.rewrites.changes import inside
from fcnkit.rewrites.operations import Arguments, Operation, comma_separated
from fcnkit.rewrites.states import states
from fcnkit.shape import Shape


def freeze(net: Prototxt, *layers: str, inputs: Mapping[str, Shape] | None = None) -> Plan:
    """These layers have a rate of 0."""
    work = states(net, inputs)
    found = [each for name in layers for each in work.named(name)]
    rate = [("param", [("lr_mult", 0)])]
    edits = [inside(each.field, rate, net.style, "freeze") for each in found]
    steps = [Step("change", each.name, each.line, "lr_mult 0", "it is frozen") for each in found]
    return work.plan(edits, steps, [])


def _arguments(text: str) -> Arguments:
    return comma_separated(text), {}


OPERATIONS = (
    Operation("freeze", "freeze=LAYER,...", "layers that learn no more", freeze, _arguments),
)
'''
IN_REWRITES = '    "freeze": ("freeze",),\n'

# An engine is one file, and one line in the list of them.
ENGINE = '''"""What a net computes, from its inputs' means and its weights' alone."""

import numpy as np

from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of
from fcnkit.weights import store

INSTALL = "pip install nothing"


def available() -> bool:
    """It is always there."""
    return True


def run_all(net, weights, many, outputs=None, *, state=None):
    """Each output is a slope: the mean of all weights, and one more for each value."""
    graph, held = build(net), weights if hasattr(weights, "values") else store.open(weights)
    mean = np.mean([blob.array().mean() for blobs in held.values() for blob in blobs])
    for inputs in many:
        tops = shapes_of(graph, {name: value.shape for name, value in inputs.items()}).tops
        wanted = outputs or [top.blob for top in graph.outputs]
        shapes = {blob: tops[graph.top(blob)] for blob in wanted}
        yield {
            blob: mean + np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
            for blob, shape in shapes.items()
        }
'''
IN_ENGINES = '    Engine("slope", "fcnkit.engines.slope"),\n'

NET = net(
    data(1, 3, 16, 16),
    conv("conv1", "data", 4, 3, "stride: 2"),
    layer("negate", "Negate", "conv1", top="conv1"),
    relu("conv1"),
    fc("fc2", "conv1", 6),
    layer("fc2n", "Negate", "fc2"),
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The package with the three additions, and a net with its weights beside it."""
    top = tmp_path_factory.mktemp("added")
    package = top / "fcnkit"
    shutil.copytree(ROOT / "fcnkit", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "rewrites" / "freeze.py").write_text(REWRITE)
    (package / "engines" / "slope.py").write_text(ENGINE)
    for file, begin, line in (
        ("nets/layers/table.py", r"_CAFFE = \(\n", TYPE),
        ("engines/torch/layers/table.py", r"LAYERS: .* = \{\n", IN_TORCH),
        ("rewrites/__init__.py", r"REWRITES: .* = \{\n", IN_REWRITES),
        ("engines/engine.py", r"ENGINES = \(\n", IN_ENGINES),
    ):
        text = (package / file).read_text()
        (place,) = re.finditer(begin, text)
        (package / file).write_text(text[: place.end()] + line + text[place.end() :])
    NET.save(top / "net.prototxt")
    known = fk.parse(NET.text.replace("Negate", "ReLU"))
    weights(known, top / "net.caffemodel")
    Image.fromarray(np.full((16, 24, 3), 90, np.uint8)).save(top / "image.png")
    return top


def said(copy: Path, *words: object, status: int = 0) -> str:
    """What the copy's command line prints."""
    code = "from fcnkit.cli.main import run; run()"
    return _run(copy, "-c", code, *words, status=status)


def python(copy: Path, code: str) -> str:
    """What a script that imports the copy prints."""
    return _run(copy, "-c", code)


def _run(copy: Path, *words: object, status: int = 0) -> str:
    path = os.pathsep.join(map(str, (copy, ROOT / "tests")))
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": path, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def test_it_is_the_copy_that_runs(copy):
    assert python(copy, "import fcnkit; print(fcnkit.__file__)").startswith(f"{copy}")


def test_without_the_additions_none_of_it_is_known(copy):
    shown = " ".join(str(fk.convolutionalize(NET)).split())
    assert "type Negate is not known to fcnkit" in shown
    assert not hasattr(fk, "freeze") and "slope" not in fk.installed_engines()


# ---- a layer type


def test_a_layer_type_has_shapes_and_coordinates(copy):
    shown = said(copy, "inspect", "net.prototxt")
    assert re.search(r"negate +Negate +1x4x7x7 ", shown)
    assert "undefined" not in shown and re.search(r"fc2n +Negate +1x6 ", shown)


def test_every_rewrite_knows_it(copy):
    conv = said(copy, "convolutionalize", "net.prototxt")
    assert "fc2  convert: InnerProduct -> Convolution, kernel 7" in conv
    assert "keep" not in said(copy, "fcn", "net.prototxt", "--classes", "3", "--stride", "2")
    assert "that read conv1 now read" in said(
        copy, "surgery", "net.prototxt", "--do", "drop=negate"
    )


def test_it_is_among_the_types_that_are_sent_through_every_rewrite(copy):
    code = "import every_type; print({case.kind for case in every_type.cover()})"
    assert "'Negate'" in python(copy, code)


def test_an_engine_runs_it_by_one_line(copy):
    pytest.importorskip("torch")
    code = """
import fcnkit as fk, numpy as np
from fcnkit.engines.torch import run
image = {"data": np.random.default_rng(1).normal(size=(1, 3, 16, 16)).astype("f4")}
found = run(fk.read("net.prototxt"), "net.caffemodel", image, ["fc2", "fc2n"])
print(np.array_equal(found["fc2"], -found["fc2n"]), np.abs(found["fc2"]).max() > 0)
"""
    assert python(copy, code) == "True True\n"


# ---- a rewrite


def test_a_rewrite_is_in_the_help_and_carried_out(copy):
    assert re.search("freeze=LAYER,... +layers that learn no more", said(copy, "surgery", "--help"))
    diff = said(copy, "surgery", "net.prototxt", "--do", "freeze=conv1,fc2", "--diff")
    assert diff.count("+  param {") == 2 and diff.count("+    lr_mult: 0") == 2
    wrong = said(copy, "surgery", "net.prototxt", "--do", "freeze=", status=2)
    assert "'freeze=': a name is missing; write it as freeze=LAYER,..." in wrong


def test_a_rewrite_has_a_public_name(copy):
    code = """
import fcnkit as fk
print(fk.freeze(fk.read("net.prototxt"), "conv1"), "freeze" in dir(fk))
"""
    shown = python(copy, code)
    assert "conv1  change: lr_mult 0" in shown and shown.endswith("True\n")
    shutil.copytree(ROOT / "scripts", copy / "scripts", dirs_exist_ok=True)
    _run(copy, copy / "scripts" / "make_stubs.py")
    stub = (copy / "fcnkit" / "__init__.pyi").read_text()
    assert "from fcnkit.rewrites.freeze import freeze\n" in stub and '    "freeze",\n' in stub


# ---- an engine


@pytest.fixture(scope="module")
def converted(copy):
    """The net made convolutional, with its weights and with others."""
    outs = (
        "-o",
        "conv.prototxt",
        "--weights",
        "net.caffemodel",
        "--weights-out",
        "conv.caffemodel",
    )
    said(copy, "convolutionalize", "net.prototxt", *outs)
    known = fk.parse((copy / "conv.prototxt").read_text().replace("Negate", "ReLU"))
    weights(known, copy / "other.caffemodel", seed=7)
    return copy


def test_an_engine_verifies(converted):
    words = "verify", "net.prototxt", "net.caffemodel", "conv.prototxt"
    assert "slope" in said(converted, "verify", "--help")
    said(converted, *words, "conv.caffemodel", "--engine", "slope")
    said(converted, *words, "other.caffemodel", "--engine", "slope", status=1)


def test_an_engine_infers(converted):
    words = "infer", "conv.prototxt", "conv.caffemodel", "image.png", "-o", "out"
    said(converted, *words, "--engine", "slope")
    assert any((converted / "out").iterdir())


def test_an_engine_is_listed(copy):
    code = "import fcnkit as fk; print(fk.installed_engines())"
    assert "'slope'" in python(copy, code)
    wrong = said(copy, "verify", "a", "b", "c", "d", "--engine", "hill", status=2)
    assert "'slope'" in wrong
