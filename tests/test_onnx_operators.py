"""The table of ONNX's operators: what its script writes, and that no import gives other values."""

from pathlib import Path

import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'fcnkit[onnx]'")

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
# A few of every kind; all with `pytest --corpus`.
SAMPLE = (
    "Abs", "ArgMax", "ArgMin", "Cast", "Clip", "Concat", "Conv", "Dropout", "Erf", "Gather", "Gelu",
    "Gemm", "If", "LSTM", "MaxPool", "Mul", "Pad", "PRelu", "ReduceMean", "Resize", "Slice",
    "SpaceToDepth", "Split", "TopK",
)  # fmt: skip


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    import onnx_operators

    return onnx_operators


def test_the_page_has_a_line_for_each_operator(script):
    """In the order of their names, and no line says WRONG."""
    text = script.shown(script.PAGE.read_text(encoding="utf-8"))
    assert script.HEAD in text and "WRONG" not in text
    names = [line.split()[1] for line in text.partition(script.HEAD)[2].splitlines()]
    assert names == sorted(names, key=str.lower) and len(names) > 190


def test_tests_of_onnx_are_equal_in_caffe_or_refused(script, caffe, request):
    """No traceback, no other values, and what the page says."""
    every = request.config.getoption("--corpus")
    found = list(script.outcomes(script.cases(() if every else SAMPLE)))
    wrong = [each for each in found if each.word not in (script.EQUAL, script.REFUSED)]
    assert found and not wrong
    assert all(each.why for each in found if each.word == script.REFUSED)
    text = script.shown(script.PAGE.read_text(encoding="utf-8"))
    if not text.startswith(f"onnx {onnx.__version__}:"):
        pytest.skip(f"the page is of {text.partition(':')[0]}, and here is {onnx.__version__}")
    told = text.partition(script.HEAD)[2].splitlines(keepends=True)
    tried = {each.operator for each in found}
    assert [line for line in script.rows(found) if line.split()[1] in tried] == [
        line for line in told if line.split()[1] in tried
    ]
