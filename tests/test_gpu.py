"""On a GPU, where there is one, nets give what they give on the CPU, and learn alike.

`make gpu-checks` runs these on a machine that has one; they need PyTorch and this checkout alone.
With FCNKIT_TEST_DEVICE=cpu they run on the CPU, against itself.
"""

import os

import numpy as np
import pytest

import fcnkit as fk
from fcnkit.engines.engine import choose
from fcnkit.engines.trial import fault
from fcnkit.formats import prototxt
from fcnkit.nets.shapes import shapes_of
from fcnkit.weights import store

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'fcnkit[torch]'")
DEVICE = os.environ.get("FCNKIT_TEST_DEVICE", "cuda")
pytestmark = pytest.mark.skipif(
    DEVICE == "cuda" and not torch.cuda.is_available(), reason="PyTorch knows no GPU here"
)

# Layers whose kernels on a GPU are others than on a CPU.
LAYERS = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 24 dim: 20 } } }
layer { name: "c1" type: "Convolution" bottom: "data" top: "c1"
  convolution_param { num_output: 8 kernel_size: 3 pad: 2 stride: 1 dilation: 2 } }
layer { name: "b1" type: "BatchNorm" bottom: "c1" top: "b1" }
layer { name: "s1" type: "Scale" bottom: "b1" top: "b1" scale_param { bias_term: true } }
layer { name: "r1" type: "PReLU" bottom: "b1" top: "b1" }
layer { name: "n1" type: "LRN" bottom: "b1" top: "n1" lrn_param { local_size: 3 alpha: 0.5 } }
layer { name: "p1" type: "Pooling" bottom: "n1" top: "p1" pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "c2" type: "Convolution" bottom: "p1" top: "c2"
  convolution_param { num_output: 8 kernel_size: 3 group: 8 pad: 1 } }
layer { name: "p2" type: "Pooling" bottom: "c2" top: "p2"
  pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "up" type: "Deconvolution" bottom: "p2" top: "up"
  convolution_param { num_output: 8 group: 8 kernel_size: 4 stride: 2 bias_term: false } }
layer { name: "crop" type: "Crop" bottom: "up" bottom: "p1" top: "crop" crop_param { axis: 2 offset: 0 } }
layer { name: "sum" type: "Eltwise" bottom: "crop" bottom: "p1" top: "sum" }
layer { name: "score" type: "InnerProduct" bottom: "sum" top: "score"
  inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "score" top: "prob" }
"""  # noqa: E501
TRAINED = """
layer { name: "data" type: "Input" top: "data" top: "label"
  input_param { shape { dim: 4 dim: 3 dim: 16 dim: 16 } shape { dim: 4 dim: 1 dim: 16 dim: 16 } } }
layer { name: "c" type: "Convolution" bottom: "data" top: "c"
  convolution_param { num_output: 16 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
layer { name: "score" type: "Convolution" bottom: "c" top: "score"
  convolution_param { num_output: 3 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss"
  loss_param { ignore_label: 255 } }
"""
SOLVER = """base_lr: 0.05 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.0005
max_iter: 20 display: 1 random_seed: 1 net: "net.prototxt"
"""


def weights_of(net):
    """Random weights of the size that keeps values about 1; what is squared is positive."""
    rng, shapes = np.random.default_rng(0), shapes_of(fk.build(net))
    made = store.create()
    for layer in shapes.graph.layers:
        blobs = shapes.blobs(layer) or []
        if blobs:
            values = [
                rng.normal(0, 1 / np.sqrt(max(1, np.prod(shape[1:]))), shape)
                if len(shape) > 1
                else rng.uniform(0.5, 1, shape)
                for shape in blobs
            ]
            made = made.put(layer.name, [np.asarray(each, "f4") for each in values])
    return made


def run(net, weights, image, device, outputs):
    engine = choose("torch", device)
    (found,) = engine.run_all(net, weights, [{"data": image}], outputs)
    return found


def apart(one, other):
    """The largest difference over the largest value."""
    return float(np.abs(one - other).max() / np.abs(other).max())


def test_the_small_net_of_doctor():
    assert fault(choose("torch", DEVICE)) == ""


def test_every_blob_is_as_on_the_cpu():
    net = prototxt.parse(LAYERS, "layers.prototxt")
    image = np.random.default_rng(1).normal(size=(2, 3, 24, 20)).astype("f4")
    blobs = ["c1", "b1", "n1", "p1", "c2", "p2", "up", "crop", "sum", "score", "prob"]
    here, there = (run(net, weights_of(net), image, each, blobs) for each in (DEVICE, "cpu"))
    for blob in blobs:
        assert apart(here[blob], there[blob]) < 1e-5, blob


@pytest.mark.parametrize("name", ["lenet", "squeezenet"])
def test_templates_are_as_on_the_cpu(name):
    net = fk.template(name)
    shape = shapes_of(fk.build(net)).tops[fk.build(net).inputs[0]]
    image = np.random.default_rng(1).normal(0, 50, (1, *shape[1:])).astype("f4")
    last = fk.build(net).outputs[-1].blob
    here, there = (run(net, weights_of(net), image, each, [last])[last] for each in (DEVICE, "cpu"))
    assert apart(here, there) < 1e-4


def test_float32_is_not_cut_to_fewer_bits():
    """TF32 has 10 bits: sums of a thousand products differ by 1e-3 of themselves, not by 1e-6."""
    text = """layer { name: "data" type: "Input" top: "data"
      input_param { shape { dim: 1 dim: 1024 dim: 4 dim: 4 } } }
    layer { name: "c" type: "Convolution" bottom: "data" top: "c"
      convolution_param { num_output: 64 kernel_size: 1 bias_term: false } }"""
    net = prototxt.parse(text, "wide.prototxt")
    weights, rng = weights_of(net), np.random.default_rng(1)
    image = rng.normal(size=(1, 1024, 4, 4)).astype("f4")
    found = run(net, weights, image, DEVICE, ["c"])["c"]
    exact = np.einsum("oi,iyx->oyx", weights["c"][0].array()[:, :, 0, 0].astype("f8"), image[0])
    assert apart(found[0], exact) < 1e-5


def trained(tmp_path, device, precision="fp32", steps=20):
    """(the losses, the parameters) of so many steps."""
    from fcnkit.training.torch.solving.solver import Solver

    (tmp_path / "net.prototxt").write_text(TRAINED)
    rng = np.random.default_rng(0)
    image = rng.normal(size=(4, 3, 16, 16)).astype("f4")
    label = image.argmax(1)[:, None].astype("f4")
    label[:, :, 0] = 255
    batch = {"data": torch.from_numpy(image), "label": torch.from_numpy(label)}

    def batches(graph):
        while True:
            yield batch

    solver = Solver(
        prototxt.parse(SOLVER, str(tmp_path / "solver.prototxt")),
        batches,
        folder=tmp_path,
        device=device,
        precision=precision,
    )
    losses = [float(solver.step().loss) for _ in range(steps)]
    return losses, solver.net.saved()


def test_it_learns_as_on_the_cpu(tmp_path):
    (here, ours), (there, theirs) = (trained(tmp_path, each) for each in (DEVICE, "cpu"))
    assert here[-1] < 0.6 * here[0]
    assert here == pytest.approx(there, rel=1e-4)
    for name, blobs in ours.items():
        for one, other in zip(blobs, theirs[name], strict=True):
            assert apart(np.asarray(one), np.asarray(other)) < 1e-3, name


@pytest.mark.parametrize("precision, most", [("tf32", 0.02), ("bf16", 0.1)])
def test_fewer_bits_learn_too(tmp_path, precision, most):
    if DEVICE == "cpu" and precision == "tf32":
        pytest.skip("a CPU has no TF32")
    here, _ = trained(tmp_path, DEVICE, precision)
    there, _ = trained(tmp_path, "cpu")
    assert here[-1] < 0.6 * here[0]
    assert here[-1] == pytest.approx(there[-1], rel=most)


def test_a_module_has_gradients_there():
    net = prototxt.parse(LAYERS, "layers.prototxt")
    image = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 3, 24, 20)).astype("f4"))
    grads = []
    for device in (DEVICE, "cpu"):
        module = fk.module(net, weights_of(net), outputs="score").to(device)
        module(image.to(device)).square().sum().backward()
        grads.append({name: each.grad.cpu().numpy() for name, each in module.named_parameters()
                      if each.grad is not None})  # fmt: skip
    assert grads[0].keys() == grads[1].keys() and len(grads[0]) > 5
    for name, grad in grads[0].items():
        assert apart(grad, grads[1][name]) < 1e-4, name
