"""Imported models compute in Caffe what ONNX Runtime computes, and say why where they cannot."""

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx is not installed: pip install 'fcnkit[onnx]'")
pytest.importorskip("onnxruntime", reason="onnxruntime: pip install 'fcnkit[onnx]'")

from onnx_models import CASES, save

from fcnkit.importing import trace
from fcnkit.importing.importer import from_onnx
from fcnkit.verify_import import verify_imports


@pytest.fixture(scope="module", autouse=True)
def small():
    """Sizes that are tried of those that a model leaves free, odd ones too."""
    before = trace.SIZES
    trace.SIZES = ((12, 13), (16, 14), (17, 19))
    yield
    trace.SIZES = before


@pytest.fixture(scope="module")
def compared(caffe, small, tmp_path_factory):
    """Every case, imported and run in real Caffe beside ONNX Runtime, by its name."""
    folder = tmp_path_factory.mktemp("onnx")
    made = {case.name: from_onnx(save(case, folder)) for case in CASES}
    rows = verify_imports(list(made.values()), engine="caffe")
    return {name: (one, its) for (name, one), its in zip(made.items(), rows, strict=True)}


@pytest.mark.parametrize("name", [case.name for case in CASES])
def test_every_blob_is_equal_in_caffe(name, compared):
    """At each of the sizes, within float32's rounding."""
    made, rows = compared[name]
    assert len(made.inputs) == len({str(each) for each in made.inputs})
    assert {row.new_output for row in rows} >= {each.blob for each in made.outputs}
    assert rows and not [str(row) for row in rows if not row.ok]
    assert any(row.largest > 0 for row in rows)
