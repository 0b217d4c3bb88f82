"""What a user installs: the wheel's files, its dependencies, and templates found from anywhere."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fcnkit import templates

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("fcnkit", "prototxt_templates", "setup.py", "pyproject.toml", "LICENSE", "README.md")
BOUNDED = re.compile(r"([\w.-]+)(?:\[[\w,]+\])? ?(?:(<[\d.]+),)?>=[\d.]+(?:,(<[\d.]+))?(?:; .*)?")
# Upper bounds that there is a reason for, which setup.py says.
BREAK = {("opencv-python-headless", "<5"), ("numpy", "<2.4")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """A wheel built from a copy of the sources, so that nothing is left in the tree."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, copy)
    command = (
        "pip wheel --quiet --no-deps --no-build-isolation --disable-pip-version-check --wheel-dir"
    )
    done = subprocess.run(
        [sys.executable, "-m", *command.split(), str(out), str(copy)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return next(out.glob("fcnkit-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def python(installed: Path, code: str) -> subprocess.CompletedProcess:
    environment = {"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=installed.parent,
        env=environment,
    )


def test_the_wheel_holds_every_source_and_nothing_else(wheel):
    expected = {
        path.relative_to(ROOT).as_posix().replace("prototxt_templates/", "fcnkit/templates/", 1)
        for folder in ("fcnkit", "prototxt_templates")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == expected


def test_the_schema_and_a_trained_network_are_in_the_wheel(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"fcnkit/formats/caffe.desc", "fcnkit/templates/digits/digits.caffemodel"} <= names


def test_type_checkers_are_told_that_there_are_types(wheel):
    stubs = {"fcnkit/__init__.pyi", "fcnkit/pycaffe/layer_types.pyi"}
    assert {"fcnkit/py.typed", *stubs} <= set(zipfile.ZipFile(wheel).namelist())


def test_templates_are_found_in_an_installed_wheel(installed):
    done = python(installed, "from fcnkit import templates; print(templates.path('vgg16'))")
    assert done.stdout.strip() == str(installed / "fcnkit/templates/vgg16/deploy.prototxt"), (
        done.stderr
    )


def test_the_schema_is_found_in_an_installed_wheel(installed):
    code = (
        "from fcnkit.formats import schema; print(schema.__file__, schema.message('Datum')().label)"
    )
    done = python(installed, code)
    assert done.stdout.split() == [str(installed / "fcnkit/formats/schema.py"), "0"], done.stderr


def test_templates_are_found_in_the_source_tree():
    assert templates.path("vgg16") == ROOT / "prototxt_templates/vgg16/deploy.prototxt"


def test_the_command_is_declared(wheel):
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith("entry_points.txt"))
        assert "fcnkit = fcnkit.cli.main:run" in archive.read(name).decode()


def test_every_dependency_has_a_lower_bound_and_an_upper_one_where_something_breaks():
    requirements = importlib.metadata.requires("fcnkit")
    assert len(requirements) > 6
    assert [line for line in requirements if not BOUNDED.fullmatch(line)] == []
    assert set(filter(None, map(upper, requirements))) == BREAK


def upper(line):
    name, *bounds = BOUNDED.fullmatch(line).groups()
    return next(((name, bound) for bound in bounds if bound), None)


@pytest.mark.parametrize("line", ["numpy", "numpy<3", 'click; extra == "x"'])
def test_an_open_dependency_would_be_found(line):
    assert not BOUNDED.fullmatch(line)


def test_an_upper_bound_would_be_found():
    assert upper("numpy<3,>=1.24") == upper('numpy>=1.24,<3; extra == "x"') == ("numpy", "<3")


def extra(name):
    """The packages of an extra."""
    lines = importlib.metadata.requires("fcnkit")
    mine = [line for line in lines if line.endswith(f'extra == "{name}"')]
    return {re.split(r"[<>;]", line)[0].strip() for line in mine}


def test_extras_are_by_use():
    assert {"lmdb", "matplotlib", "pillow"} == extra("train") == extra("segmentation")
    uses = ("train", "torch", "onnx", "opencv", "draw", "notebooks", "pycaffe")
    assert extra("all") == set().union(*map(extra, uses)) - {"numpy"}
    tools = extra("dev") - extra("all")
    assert tools >= {"pytest", "ruff", "mypy"} and "torch" not in extra("dev")
    assert extra("dev") | {"torch"} >= extra("all")


def test_it_says_which_pythons_it_runs_on():
    said = importlib.metadata.metadata("fcnkit").get_all("Classifier")
    assert {f"Programming Language :: Python :: 3.{minor}" for minor in range(10, 15)} <= {*said}


def test_the_citation_is_of_this_version():
    text = (ROOT / "CITATION.cff").read_text()
    assert f"version: {importlib.metadata.version('fcnkit')}" in text.splitlines()
    assert "license: BSD-2-Clause" in text.splitlines()


@pytest.mark.skipif(not shutil.which("make"), reason="no make")
def test_make_lists_its_targets():
    listed = subprocess.run(
        ["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split()
    assert set(re.findall(r"^  make (\w+) +\S", listed, re.M)) == set(phony)
