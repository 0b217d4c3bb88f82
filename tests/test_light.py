"""Models of packages: the light ones of onnx, which have an old model zoo's structure and no
weights, and a recogniser of text that Caffe has no form of.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'fcnkit[onnx]'")
pytest.importorskip("onnxruntime", reason="pip install 'fcnkit[onnx]'")

from fcnkit.errors import NetError  # noqa: E402
from fcnkit.importing import trace  # noqa: E402
from fcnkit.importing.from_onnx import from_onnx  # noqa: E402
from fcnkit.verifying.imports import verify_import  # noqa: E402

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
NAMES = tuple(path.stem for path in sorted(FOLDER.glob("*.onnx")))
# Those of few weights; all of them with `pytest --corpus`.
QUICK = ("light_shufflenet", "light_squeezenet")


def pytest_generate_tests(metafunc):
    if "name" in metafunc.fixturenames:
        every = metafunc.config.getoption("--corpus")
        metafunc.parametrize("name", NAMES if every else [n for n in QUICK if n in NAMES])


def random_weights(model):
    """The model with noise in place of its weights, which are one number each.

    Every layer keeps the size of its values; what is a variance, or scales, is near 1.
    """
    rng = np.random.default_rng(0)
    constants = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    shapes = {
        node.output[0]: tuple(constants[node.input[0]])
        for node in model.graph.node
        if node.op_type == "ConstantOfShape"
    }
    scales = {
        node.input[at]
        for node in model.graph.node
        if node.op_type == "BatchNormalization"
        for at in (1, 4)
    }
    nodes = [node for node in model.graph.node if node.op_type != "ConstantOfShape"]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    for name, shape in shapes.items():
        fan_in = int(np.prod(shape[1:]))
        values = rng.normal(0, (1.5 / fan_in) ** 0.5 if len(shape) > 1 else 0.1, shape)
        values = rng.uniform(0.8, 1.25, shape) if name in scales else values
        model.graph.initializer.append(
            onnx.numpy_helper.from_array(values.astype(np.float32), name)
        )
    return model


def test_every_blob_of_a_light_model_is_equal_in_caffe(name, caffe, tmp_path):
    """At its one size, with random weights."""
    path = tmp_path / "model.onnx"
    onnx.save(random_weights(onnx.load(FOLDER / f"{name}.onnx")), path)
    rows = verify_import(from_onnx(path), engine="caffe")
    assert len(rows) > 15 and not [str(row) for row in rows if not row.ok]
    assert all(1e-6 < row.largest < 1e6 for row in rows)


def test_attention_is_refused_by_the_name_of_every_node(caffe, monkeypatch):
    """PP-OCR's recogniser: each product of computed matrices; what comes before is right."""
    found = find_spec("rapidocr_onnxruntime")
    if found is None:
        pytest.skip("pip install --no-deps rapidocr-onnxruntime==1.4.4, for its recogniser")
    folder = Path(found.submodule_search_locations[0])
    path = folder / "models" / "ch_PP-OCRv4_rec_infer.onnx"
    monkeypatch.setattr(trace, "SIZES", ((48, 320), (48, 192), (48, 160)))
    with pytest.raises(NetError, match=r"\d+ nodes of 860 cannot be said") as raised:
        from_onnx(path)
    text = str(raised.value)
    for number in (2, 4, 14, 16):  # two attentions, each of two products
        assert f"p2o.MatMul.{number} (MatMul): it multiplies two computed matrices" in text
    outputs = text.rpartition("--outputs ")[2].split(",")
    rows = verify_import(from_onnx(path, outputs=outputs), engine="caffe")
    assert len(rows) > 900 and not [str(row) for row in rows if not row.ok]
