"""What is written for a Caffe that has other words than BVLC's, and for no other."""

import numpy as np
import pytest
from onnx_models import MAP, Case, save

import fcnkit as fk
from fcnkit.engines import onnx as runtime
from fcnkit.importing.caffes import CAFFES
from fcnkit.nets.graph import build

pytest.importorskip("onnx", reason="onnx is not installed: pip install 'fcnkit[onnx]'")
pytest.importorskip("onnxruntime", reason="pip install 'fcnkit[onnx]'")

SIZE = {"x": (1, 4, 12, 13)}
POOLED = Case("pooled", "y = MaxPool<kernel_shape=[3,3],strides=[2,2]>(x)", inputs=MAP)
CLIPPED = Case("clipped", "y = Clip(x, low, high)", {"low": [0.0], "high": [6.0]}, inputs=MAP)
PERMUTED = Case("permuted", "y = Transpose<perm=[0,2,3,1]>(x)", inputs=MAP)
NORMED = Case("normed", "y = LpNormalization<axis=1,p=2>(x)", inputs=MAP)
CORNERS = 'mode="linear",coordinate_transformation_mode="align_corners"'
RESIZED = Case(
    "resized", f"y = Resize<{CORNERS}>(x, , , s)", {"s": [1, 4, 17, 29]}, inputs=MAP
)  # fmt: skip
BY_NODES = {
    "master": (
        (POOLED, "Pooling"),
        (CLIPPED, "Clip"),
        (NORMED, "Eltwise"),
        (RESIZED, "InnerProduct"),
    ),
    "1.0": ((POOLED, "Crop"), (CLIPPED, "Power"), (NORMED, "Eltwise"), (RESIZED, "InnerProduct")),
    "ssd": ((POOLED, "Crop"), (CLIPPED, "Power"), (NORMED, "Normalize"), (PERMUTED, "Permute")),
    "deeplab": ((POOLED, "Crop"), (CLIPPED, "Power"), (NORMED, "Eltwise"), (RESIZED, "Interp")),
}


def scalars(case):
    """Bounds are tensors without axes."""
    if case is not CLIPPED:
        return case
    nodes = "l = Squeeze(low) h = Squeeze(high) y = Clip(x, l, h)"
    return case._replace(nodes=nodes)


@pytest.mark.parametrize(
    ("caffe", "case", "last"),
    [(caffe, case, last) for caffe, cases in BY_NODES.items() for case, last in cases],
    ids=lambda value: value.name if isinstance(value, Case) else value,
)
def test_each_caffe_has_its_words_and_no_other(caffe, case, last, tmp_path):
    made = fk.from_onnx(save(scalars(case), tmp_path), inputs=SIZE, caffe=caffe)
    types = {layer.type for layer in build(made.net).layers}
    assert last in types or build(made.net).layers[-1].type == last
    theirs = {"round_mode", "Clip", "Permute", "Normalize", "Interp"} - CAFFES[caffe]
    assert not {word for word in theirs if word in types or word in made.net.text}


@pytest.mark.parametrize("case", [PERMUTED, NORMED], ids=lambda case: case.name)
def test_ssds_layers_compute_the_same_in_opencv(case, tmp_path):
    pytest.importorskip("cv2")
    made = fk.from_onnx(save(case, tmp_path), inputs=SIZE, caffe="ssd")
    rows = fk.verify_import(made, engine="opencv")
    assert rows and all(row.ok for row in rows) and rows[-1].largest > 0


def test_interp_computes_the_same_as_an_export_makes_of_it(tmp_path):
    made = fk.from_onnx(save(RESIZED, tmp_path), inputs=SIZE, caffe="deeplab")
    image = np.random.default_rng(0).standard_normal(SIZE["x"]).astype("f4")
    found = runtime.run_all(made.net, None, [{"x": image}], [made.outputs[0].blob])
    plain = fk.from_onnx(save(RESIZED, tmp_path), inputs=SIZE)
    wanted = runtime.run_all(plain.net, plain.weights, [{"x": image}], [plain.outputs[0].blob])
    first, second = (next(iter(next(each).values())) for each in (found, wanted))
    assert first.shape == second.shape == (1, 4, 17, 29)
    assert np.allclose(first, second, atol=1e-5)
