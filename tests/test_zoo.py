"""torchvision's classifiers in Caffe: as PyTorch computes them, and then as FCNs.

A few at small sizes by default, all of them with `pytest --corpus` (`make corpus`).
"""

from importlib.util import find_spec

import numpy as np
import pytest
import torchvision_zoo as zoo

import fcnkit as fk
from fcnkit.importing import trace
from fcnkit.nets.graph import build
from fcnkit.nets.layers.table import of
from fcnkit.verifying.imports import verify_import

pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'fcnkit[torch]'")
pytest.importorskip("onnxruntime", reason="pip install 'fcnkit[onnx]'")

CLASSES = 5


def pytest_generate_tests(metafunc):
    if "net" in metafunc.fixturenames:
        nets = zoo.NETS if metafunc.config.getoption("--corpus") else zoo.QUICK
        metafunc.parametrize("net", nets, ids=[net.name for net in nets])


@pytest.fixture(scope="module", autouse=True)
def torchvision():
    if find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed: pip install --no-deps 'torchvision>=0.19,<0.29'")


def test_a_classifier_is_the_same_in_caffe_and_an_fcn(net, caffe, monkeypatch, one_thread):
    """At every size: each blob beside ONNX Runtime, the scores beside PyTorch; then each stride."""
    import torch

    monkeypatch.setattr(trace, "SIZES", (net.sizes * 2)[:2])
    module = zoo.built(net)
    made = fk.from_torch(module, torch.zeros(1, 3, *net.sizes[0]))
    assert {its["input"][2:] for its in made.inputs} == set(net.sizes)
    assert {its["input"][0] for its in made.inputs} == {1, 2}

    rows = verify_import(made, engine="caffe")
    assert not [str(row) for row in rows if not row.ok]
    assert all(1e-3 < row.largest < 1e4 for row in rows)

    (output,) = made.outputs
    many = [zoo.images(its["input"]) for its in made.inputs]
    data = made.blobs["input"].blob
    found = caffe.run_all(made.net, made.weights, [{data: each} for each in many], [output.blob])
    for images, blobs in zip(many, found, strict=True):
        with torch.no_grad():
            expected = module(torch.from_numpy(images)).numpy()
        scores = blobs[output.blob].reshape(expected.shape)
        assert np.abs(scores - expected).max() <= 1e-4 * np.abs(expected).max()

    height, width = net.sizes[-1]
    for stride in net.strides:
        scored(made, stride, ((height + 2) | 1, (width + 6) | 1), caffe)


def test_a_net_that_segments_is_the_same_in_caffe_at_one_size(caffe, request, one_thread):
    """Its scores are resized to the image's size, by no whole factor."""
    import torch

    more = ("deeplabv3_mobilenet_v3_large", "fcn_resnet50")
    for name in ("lraspp_mobilenet_v3_large", *more * request.config.getoption("--corpus")):
        module = zoo.segmenting(name)
        shape = (1, 3, 65, 81)
        made = fk.from_torch(module, torch.zeros(shape), inputs={"input": shape})
        rows = verify_import(made, engine="caffe")
        assert len(rows) > 100 and not [str(row) for row in rows if not row.ok]
        assert made.tensors[-1].name == made.outputs[0].name


def scored(made, stride, size, caffe):
    """An FCN of the net scores every pixel of an image of this size."""
    plan = fk.fcn(made.net, classes=CLASSES, stride=stride)
    (data,) = build(plan.net).inputs
    weights = fk.transplant(plan, made.weights)
    image = {data.blob: zoo.images((1, 3, *size))}
    scores = caffe.run(plan.net, weights, image, ["score"])["score"]
    assert scores.shape == (1, CLASSES, *size) and np.isfinite(scores).all()


# ---- the zoo's names

SINGLE = ("num_output", "bias_term", "axis", "group", "pool", "global_pooling", "negative_slope")
BOTH = ("kernel_size", "stride", "pad")


def said(net):
    """Each layer's name, type, blobs and shape, and what its fields come to; no Dropout."""
    for layer in build(net).layers:
        if layer.type != "Dropout":
            param = layer.param(of(layer).message) if of(layer).message else None
            fields = [(name, param.get(name)) for name in SINGLE if param and param.knows(name)]
            fields += [(name, values(param, name)) for name in BOTH if param and param.knows(name)]
            blobs = [[top.blob for top in its] for its in (layer.bottoms, layer.tops)]
            yield layer.name, layer.type, blobs, layer.input_shapes, fields


def values(param, name):
    """One number for all axes, a convolution's or a pooling's."""
    found = param.list(name)
    return found[0] if found else param.get(name)


def test_vgg16_is_the_template(request):
    """It has the layers of the net that the FCN authors took, under their names."""
    import torch

    if not request.config.getoption("--corpus"):
        pytest.skip("its weights are 553 MB; pytest --corpus")
    with torch.device("meta"):
        module = zoo.torchvision().vgg16(weights=None, init_weights=False)
    module = torch.nn.Sequential(module.to_empty(device="cpu"), torch.nn.Softmax(1)).eval()
    made = fk.from_torch(module, torch.zeros(1, 3, 224, 224), names="caffe")
    assert list(said(made.net)) == list(said(fk.template("vgg16")))
