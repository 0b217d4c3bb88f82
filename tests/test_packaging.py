"""What a user installs: the wheel's files, its dependencies, and templates found from anywhere."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from fcnkit import templates
from fcnkit.cli.main import main
from fcnkit.libraries import LIBRARIES

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


def test_an_index_shows_no_link_that_leads_nowhere(wheel):
    """The description of the wheel is README without what is in the source tree alone."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        text = archive.read(name).decode()
    assert "docs/" in (ROOT / "README.md").read_text() and "# fcnkit" in text
    assert "![" not in text and not re.findall(r"\]\((?!https?:)", text)


def test_the_citation_is_of_this_version():
    text = (ROOT / "CITATION.cff").read_text()
    assert f"version: {importlib.metadata.version('fcnkit')}" in text.splitlines()
    assert "license: BSD-2-Clause" in text.splitlines()


# ---- what other tools read


def hook():
    """The fields of the one pre-commit hook, as text."""
    lines = (ROOT / ".pre-commit-hooks.yaml").read_text().splitlines()
    return dict(line[2:].split(": ", 1) for line in lines)


def test_the_hook_is_a_command_on_prototxts(tmp_path, monkeypatch):
    assert hook()["id"] == "fcnkit-lint" and hook()["language"] == "python"
    words = hook()["entry"].split()
    assert words[0] == "fcnkit"
    found = [path for path in sorted(ROOT.glob("prototxt_templates/*/*"))]
    nets = [str(path) for path in found if re.search(hook()["files"], path.name)]
    assert len(nets) > 10 and CliRunner().invoke(main, [*words[1:], *nets]).exit_code == 0
    (tmp_path / "wrong.prototxt").write_text(
        'layer { name: "a" type: "ReLU" bottom: "nowhere" top: "b" }'
    )
    wrong = CliRunner().invoke(main, [*words[1:], *nets, str(tmp_path / "wrong.prototxt")])
    assert wrong.exit_code == 1 and "nowhere" in wrong.output


def test_the_page_on_servers_names_the_hook_and_options_that_there_are():
    page = (ROOT / "docs" / "continuous-integration.md").read_text()
    assert f"- id: {hook()['id']}" in page
    commands = re.findall(r"fcnkit (lint|verify)\b", page)
    assert {"lint", "verify"} == set(commands)
    options = set(re.findall(r"(?<![\w-])--[a-z]+", page)) - {"--no"}
    shown = "".join(
        CliRunner().invoke(main, [name, "--help"]).output for name in ("lint", "verify")
    )
    assert options and all(option in shown for option in options)


@pytest.fixture
def steps(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import dockerfile_steps

    return dockerfile_steps


def test_every_step_of_the_dockerfile_is_known(steps):
    found = list(steps.steps((ROOT / "Dockerfile").read_text()))
    assert found[0] == ("FROM", "debian:trixie-slim")
    assert [words for name, words in found if name == "RUN"][-2:] == [
        "fcnkit caffe install",
        "fcnkit doctor",
    ]
    assert found[-1] == ("ENTRYPOINT", '["fcnkit"]')
    known = {"FROM", "RUN", "COPY", "ENV", "WORKDIR", "ENTRYPOINT"}
    assert {name for name, _ in found} == known


def test_the_image_gets_what_the_package_is_made_of(steps):
    assert set(steps.copied(ROOT)) == set(SOURCES)


def test_the_image_has_every_library_that_fcnkit_always_needs(steps):
    text = (ROOT / "Dockerfile").read_text()
    names = {each.package: f"python3-{each.package}" for each in LIBRARIES if not each.extra}
    assert [name for name in names.values() if f"{name} " not in text] == []


@pytest.mark.skipif(not shutil.which("make"), reason="no make")
def test_make_lists_its_targets():
    listed = subprocess.run(
        ["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split()
    assert set(re.findall(r"^  make ([\w-]+) +\S", listed, re.M)) == set(phony)
