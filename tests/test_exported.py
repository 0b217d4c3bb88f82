"""Exported: the model as a file, its weights streamed from theirs."""

import numpy as np
import pytest
from corpus import weights
from layer_text import CONV, declare, source

from fcnkit.errors import OutputError, WeightsError
from fcnkit.formats import prototxt
from fcnkit.weights import store
from fcnkit.weights.blobs import Blob, Lazy, zeros

onnx = pytest.importorskip("onnx")

from fcnkit.exporting.export import export  # noqa: E402
from fcnkit.exporting.exported import LIMIT, Port  # noqa: E402

TEXT = source("a", 1, 3, 9, 9) + declare("Convolution", CONV("kernel_size: 3"))
NET = prototxt.parse(TEXT, "net.prototxt")


@pytest.fixture
def model():
    return export(NET, weights(NET))


def test_the_file_is_the_message_that_onnx_would_write(model, tmp_path):
    model.save(tmp_path / "net.onnx")
    data = (tmp_path / "net.onnx").read_bytes()
    assert data == model.bytes() and len(data) == model.nbytes
    read = onnx.load_from_string(data)
    assert sorted(read.SerializeToString()) == sorted(data)  # the same fields, in another order
    arrays = {each.name: onnx.numpy_helper.to_array(each) for each in read.graph.initializer}
    own = weights(NET)
    assert np.array_equal(arrays["x/0"], own["x"][0].array())
    assert np.array_equal(arrays["x/1"], own["x"][1].array())


def test_weights_are_read_when_they_are_written(monkeypatch, tmp_path):
    weights(NET).save(tmp_path / "net.caffemodel")
    read = []
    pieces = Blob.pieces
    monkeypatch.setattr(Blob, "pieces", lambda self: read.append(self) or pieces(self))
    monkeypatch.setattr(Blob, "array", lambda self: pytest.fail("a tensor was decoded"))
    model = export(NET, tmp_path / "net.caffemodel")
    assert model.table() and model.nbytes and read == []
    model.save(tmp_path / "net.onnx")
    assert len(read) == 2


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_weights_of_other_types_become_float32(dtype):
    array = np.linspace(-1, 1, 108).astype(dtype)
    blob = Lazy((4, 3, 3, 3), lambda: [array], dtype)
    model = export(NET, store.create().put_all({"x": [blob, np.zeros(4)]}))
    read = onnx.load_from_string(model.bytes())
    assert np.array_equal(
        onnx.numpy_helper.to_array(read.graph.initializer[0]).ravel(), array.astype("f4")
    )


def test_nothing_is_overwritten(model, tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match="exists"):
        model.save(path)
    assert path.read_bytes() == b"old"
    done = []
    model.save(path, force=True, progress=done.append)
    assert path.stat().st_size == model.nbytes == sum(done)


def test_more_than_two_gigabytes_are_refused(tmp_path):
    fc = declare("InnerProduct", "inner_product_param { num_output: 20000 bias_term: false }")
    net = prototxt.parse(source("a", 1, 30000) + fc)
    model = export(net, store.create().put_all({"x": [zeros((20000, 30000))]}))
    assert model.nbytes > LIMIT
    with pytest.raises(
        WeightsError, match=r"the model would be 2,400,000,\d+ bytes, and an ONNX file holds"
    ):
        model.save(tmp_path / "net.onnx")
    assert not any(tmp_path.iterdir())


def test_the_table_and_the_json_say_what_is_in_it(model):
    assert model.table() == (
        f"net.prototxt: ONNX, opset 13, {model.nbytes} bytes, 112 weights\n"
        "  input   a  batch x 3 x height x width\n"
        "  output  t  batch x 4 x t_2 x t_3\n"
        "  free    batch, height, width\n"
        "  1 operator: 1 Conv\n"
    )
    assert model.json()["inputs"] == {"a": ["batch", 3, "height", "width"]}
    assert model.json()["operators"] == {"Conv": 1} and ">net.prototxt: ONNX" in model._repr_html_()


def test_a_port_takes_shapes(model):
    port = Port("a", ("batch", 3, "height", "width"))
    assert port.takes((2, 3, 4, 5)) and not port.takes((2, 4, 4, 5)) and not port.takes((2, 3, 4))
    assert model.takes({"a": (1, 3, 5, 5)}) and not model.takes({})
