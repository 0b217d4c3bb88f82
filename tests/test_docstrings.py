"""What `help(fk.NAME)` shows: parameters, what comes back, what is raised, examples that run."""

import doctest
import inspect
import re
import shutil
from pathlib import Path

import pytest

import fcnkit as fk

DIGITS = Path(__file__).parents[1] / "prototxt_templates" / "digits"
FUNCTIONS = [name for name in fk.__all__ if inspect.isfunction(getattr(fk, name))]
CLASSES = [name for name in fk.__all__ if inspect.isclass(getattr(fk, name))]
# What an example needs beside numpy.
NEEDS = {
    "from_torch": ("torch", "onnx"),
    "module": ("torch",),
    "export": ("onnx",),
    "from_onnx": ("onnx",),
    "verify_import": ("onnx", "onnxruntime"),
    "draw": ("pygraphviz",),
    "infer": ("cv2", "PIL"),
    "Inferred": ("cv2", "PIL"),
    "beside": ("PIL",),
    "report": ("PIL", "jinja2", "pygraphviz"),
    **{name: ("cv2",) for name in ("verify", "verify_layers", "verify_plan")},
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The files that examples read: the trained classifier of digits."""
    shutil.copy(DIGITS / "deploy.prototxt", tmp_path)
    shutil.copy(DIGITS / "digits.caffemodel", tmp_path / "net.caffemodel")
    monkeypatch.chdir(tmp_path)


def run_examples(thing, name):
    """The examples of a docstring, run as they stand."""
    found = doctest.DocTestParser().get_doctest(
        inspect.getdoc(thing), {"fk": fk}, name, inspect.getsourcefile(thing), 0
    )
    said = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(found, out=said.append)
    assert said == [], "".join(said)
    return found.examples


@pytest.mark.parametrize("name", FUNCTIONS)
def test_examples_of_a_public_function_run_as_they_stand(name, here):
    for module in NEEDS.get(name, ()):
        pytest.importorskip(module)
    examples = run_examples(getattr(fk, name), name)
    assert examples, f"help(fk.{name}) has no example"
    assert re.search(rf"fk\.{name}[(,]", "".join(each.source for each in examples))


@pytest.mark.parametrize("name", CLASSES)
def test_examples_of_a_public_class_run_as_they_stand(name, here):
    for module in NEEDS.get(name, ()):
        pytest.importorskip(module)
    run_examples(getattr(fk, name), name)


def test_some_classes_have_examples():
    assert {name for name in CLASSES if ">>>" in getattr(fk, name).__doc__} >= {"Plan", "CoordMap"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_help_tells_each_parameter_what_is_returned_and_what_is_raised(name):
    function = getattr(fk, name)
    shown = inspect.getdoc(function)
    told = set(re.findall(r"`(\w+)`", shown))
    named = {
        each.name
        for each in inspect.signature(function).parameters.values()
        if each.kind is not inspect.Parameter.VAR_KEYWORD
    }
    assert named <= told, f"help(fk.{name}) does not tell what these are: {named - told}"
    assert re.search(r"Raises\s", shown) or name == "installed_engines"
    returns = str(inspect.signature(function, eval_str=False).return_annotation)
    type_name = re.findall(r"\w+", returns.split("[")[0])[-1]
    assert type_name in shown or "Returns " in shown or type_name in ("ndarray", "tuple")
