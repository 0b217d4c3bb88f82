"""A Caffe net as a PyTorch module: real Caffe's values and gradients, and what PyTorch does with
modules.
"""

import copy
import io
import pickle
import re
from pathlib import Path

import corpus
import numpy as np
import pytest
import sketches
from sketches import conv, crop, data, deconv, fc, layer, pool, relu

import fcnkit as fk
from fcnkit.engines.caffe import Question
from fcnkit.errors import EngineError, NetError, WeightsError
from fcnkit.nets.graph import State


def test_without_pytorch_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("fcnkit.engines.torch.engine.available", lambda: False)
    with pytest.raises(EngineError, match=r"PyTorch: not found: .*pip install 'fcnkit\[torch\]'"):
        fk.module(DENSE)


torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'fcnkit[torch]'")

DENSE = sketches.net(
    data(2, 3, 12, 14),
    conv("a/conv", "data", 4, 3, "pad: 1"),
    relu("a/conv"),
    pool("pool", "a/conv", 2, 2),
    fc("b.fc", "pool", 5),
    layer("drop", "Dropout", "b.fc", top="b.fc"),
    layer("prob", "Softmax", "b.fc"),
    path="dense.prototxt",
)
# Grouped, in place, BatchNorm and Scale, a padded pooling, a sum, and scores brought to size.
SLIDING = sketches.net(
    data(1, 6, 20, 24),
    conv("conv", "data", 8, 3, "group: 2 stride: 2 pad: 1"),
    layer("bn/1", "BatchNorm", "conv", top="conv"),
    layer("bn/1.scale", "Scale", "conv", top="conv", more="scale_param { bias_term: true }"),
    relu("conv"),
    pool("pool", "conv", 3, 2, "pad: 2"),
    conv("res", "pool", 8, 1),
    layer("sum", "Eltwise", "res", "pool"),
    layer("slope", "PReLU", "sum", top="sum"),
    conv("score", "sum", 3, 1),
    deconv("up", "score", 3, 8, 4, "group: 3").replace("layer {", "layer { param { lr_mult: 0 }"),
    crop("out", "up", "data", 2),
    path="sliding.prototxt",
)
LOSS = layer("label", "Input", more="input_param { shape { dim: 2 } }") + layer(
    "loss", "SoftmaxWithLoss", "b.fc", "label"
)


@pytest.fixture
def dense(tmp_path):
    return sketches.weights(DENSE, tmp_path / "dense.caffemodel")


@pytest.fixture
def sliding(tmp_path):
    return sketches.weights(SLIDING, tmp_path / "sliding.caffemodel")


def noise(*shape, seed=1):
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, shape).astype("f4"))


def image(net, seed=1):
    (values,) = sketches.images(net, seed).values()
    return torch.from_numpy(values)


def close(found, expected, tolerance=1e-5):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def arrays(module):
    return {name: [blob.array() for blob in blobs] for name, blobs in fk.weights(module).items()}


# Real Caffe is the oracle


@pytest.mark.parametrize("size", [(1, 6, 20, 24), (3, 6, 33, 21), (1, 6, 24, 50)])
def test_values_at_any_size_are_caffes(caffe, sliding, size):
    x = noise(*size)
    expected = caffe.run(SLIDING, sliding, {"data": x.numpy()})
    module = fk.module(SLIDING, sliding)
    assert module.outputs == ("out",) and module.inputs == ("data",)
    with torch.no_grad():
        close(module(x), expected["out"])
        close(module(data=x), expected["out"])


def test_an_fcn_with_skips(caffe):
    net = corpus.narrowed(sketches.template("alexnet"))
    plan = fk.fcn(net, classes=3, stride=8)
    weights = fk.transplant(plan, corpus.weights(net))
    x, start = noise(1, 3, 59, 83), corpus.weights(plan.net)
    assert not fk.module(plan.net, weights)(x).any()  # its scores begin with zero
    module = fk.module(plan.net, start, outputs=["score", "score_pool2", "fc7"])
    expected = caffe.run(plan.net, start, {"data": x.numpy()}, list(module.outputs))
    with torch.no_grad():
        found = module(x)
    assert list(found) == ["score", "score_pool2", "fc7"]
    for name, value in found.items():
        close(value, expected[name], 1e-4)


def test_names_with_slashes_of_a_published_net(caffe):
    net = sketches.thin("googlenet")
    weights = corpus.weights(net)
    module = fk.module(net, weights, outputs=["inception_3b/output"])
    assert "inception_3a/3x3_reduce.weight" in module.state_dict()
    assert not any(name.startswith("inception_4") for name in module.state_dict())
    x = noise(1, 3, 64, 96)
    net = fk.extract(net, end="inception_3b/output").net
    expected = caffe.run(net, weights, {"data": x.numpy()}, ["inception_3b/output"])
    close(module(x).detach(), expected["inception_3b/output"], 1e-4)


def test_gradients_and_weights_that_were_learned_are_caffes(caffe, dense, tmp_path):
    net = fk.parse(DENSE.text + LOSS, "loss.prototxt")
    x, label = image(DENSE), torch.tensor([1, 4])
    inputs = {"data": x.numpy(), "label": label.numpy().astype("f4")}
    (answer,) = caffe.ask([Question("gradients", net, dense, inputs)])
    module = fk.module(net, dense, outputs="loss")
    assert module.inputs == ("data", "label")
    loss = module(x, label)
    loss.backward()
    close(loss.detach(), answer.outputs["loss"])
    for name, (weight, bias) in answer.params.items():
        close(module.get_parameter(f"{name}.weight").grad, weight, 1e-4)
        close(module.get_parameter(f"{name}.bias").grad, bias, 1e-4)
    torch.optim.SGD(module.parameters(), 0.1).step()
    assert module(x, label) < loss
    path = tmp_path / "new.caffemodel"
    fk.weights(module).save(path)
    expected = caffe.run(net, path, inputs)["loss"]
    close(module(x, label).detach(), expected)
    assert not np.allclose(expected, loss.detach())
    saved = fk.weights(path)
    assert [each.type for each in saved.layers] == ["Convolution", "InnerProduct"]
    assert [blob.shape for blob in saved["b.fc"]] == [(5, 4 * 6 * 7), (5,)]


def test_batch_statistics_move_as_caffes(caffe, sliding):
    x = noise(2, 6, 20, 24)
    question = Question("gradients", SLIDING, sliding, {"data": x.numpy()}, state=State("TRAIN"))
    (answer,) = caffe.ask([question])
    module = fk.module(SLIDING, sliding).train()
    close(module(x).detach(), answer.outputs["out"])
    for name, values in arrays(module).items():
        for found, expected in zip(values, answer.values[name], strict=True):
            close(found, expected)
    assert module.get_buffer("bn/1.factor") > sliding["bn/1"][2].array().item()
    before = arrays(module)["bn/1"]
    module.eval()(x)
    assert all((a == b).all() for a, b in zip(arrays(module)["bn/1"], before, strict=True))


# Parameters


def test_parameters_have_caffes_names_and_shapes(sliding):
    module = fk.module(SLIDING, sliding)
    assert {name: tuple(value.shape) for name, value in module.state_dict().items()} == {
        "conv.weight": (8, 3, 3, 3),
        "conv.bias": (8,),
        "bn/1.mean": (8,),
        "bn/1.variance": (8,),
        "bn/1.factor": (1,),
        "bn/1.scale.weight": (8,),
        "bn/1.scale.bias": (8,),
        "res.weight": (8, 8, 1, 1),
        "res.bias": (8,),
        "slope.weight": (8,),
        "score.weight": (3, 8, 1, 1),
        "score.bias": (3,),
        "up.weight": (3, 1, 8, 8),
    }
    still = {name for name, value in module.named_parameters() if not value.requires_grad}
    assert still == {"up.weight"}
    assert {name for name, _ in module.named_buffers()} == {
        "bn/1.mean",
        "bn/1.variance",
        "bn/1.factor",
    }
    assert (arrays(module)["conv"][0] == sliding["conv"][0].array()).all()


def test_a_frozen_layer_learns_when_it_is_asked_to(sliding):
    module = fk.module(SLIDING, sliding)
    module.up.weight.requires_grad_(True)
    module(image(SLIDING)).sum().backward()
    assert module.up.weight.grad.abs().max() > 0


def test_a_shared_parameter_stands_under_its_first_layer():
    shared = 'layer { param { name: "w" } param { name: "b" }'
    layers = (fc(name, bottom, 4, 'weight_filler { type: "xavier" }').replace("layer {", shared)
              for name, bottom in (("one", "data"), ("two", "one")))  # fmt: skip
    module = fk.module(sketches.net(data(2, 4), *layers))
    assert [*module.state_dict()] == ["one.weight", "one.bias"]
    module(noise(2, 4)).sum().backward()
    saved = arrays(module)
    assert (saved["one"][0] == saved["two"][0]).all() and module.one.weight.grad.abs().max() > 0
    again = fk.module(sketches.net(data(2, 4), *layers, fc("one", "data", 4)), fk.weights(module))
    assert (arrays(again)["one"][0] == saved["one"][0]).all()


def test_names_that_pytorch_cannot_have():
    for name, words in (("half", '"half" is taken'), ("a..b", "a part is empty")):
        with pytest.raises(NetError, match=rf'layer "{name}": PyTorch .*{words}.*fk.rename\(net'):
            fk.module(sketches.net(data(1, 2), fc(name, "data", 2)))
    with pytest.raises(NetError, match=r'layer "a": PyTorch cannot have its parameter a.weight'):
        fk.module(sketches.net(data(1, 2), fc("a.weight", "data", 2), fc("a", "a.weight", 2)))


def test_layers_without_weights_begin_as_their_fillers_say(dense):
    filler = 'weight_filler { type: "uniform" min: 2 max: 3 } bias_filler { value: 7 }'
    net = fk.parse(DENSE.text + fc("new", "pool", 3, filler), "new.prototxt")
    with pytest.raises(
        WeightsError,
        match=r'dense.caffemodel: has no layer "new" \(new.prototxt:\d+\); .*strict=False',
    ):
        fk.module(net, dense)
    found = fk.module(net, dense, strict=False, seed=3).state_dict()
    assert found["new.weight"].min() >= 2 and (found["new.bias"] == 7).all()
    assert (found["b.fc.bias"].numpy() == dense["b.fc"][1].array()).all()
    same = fk.module(net, None, seed=3).state_dict()
    assert same["new.weight"].shape == found["new.weight"].shape
    assert (fk.module(net, seed=3).state_dict()["new.weight"] == same["new.weight"]).all()
    # What the outputs do not need is not asked for.
    assert fk.module(net, dense, outputs="prob").outputs == ("prob",)


# What PyTorch does with modules


def test_state_dict_round_trip(dense, tmp_path):
    module, x = fk.module(DENSE, dense), image(DENSE)
    torch.save(module.state_dict(), tmp_path / "state.pt")
    fresh = fk.module(DENSE)
    assert not torch.equal(fresh(x), module(x))
    fresh.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert torch.equal(fresh(x), module(x))
    other = fk.module(DENSE)
    doubled = {name: 2 * value for name, value in module.state_dict().items()}
    other.load_state_dict(doubled, assign=True)
    assert (arrays(other)["a/conv"][0] == 2 * dense["a/conv"][0].array()).all()


def copies(module):
    yield copy.deepcopy(module)
    yield pickle.loads(pickle.dumps(module))
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    yield torch.load(file, weights_only=False)


def test_copies_are_apart(sliding):
    module, x = fk.module(SLIDING, sliding, outputs=["pool", "out"]), image(SLIDING)
    with torch.no_grad():
        expected = module(x)
        for each in copies(module):
            assert repr(each) == repr(module)
            assert torch.equal(each(x)["out"], expected["out"])
            each.up.weight.mul_(2)
            assert not torch.equal(each(x)["out"], expected["out"])
        assert torch.equal(module(x)["out"], expected["out"])


def test_train_and_eval_are_caffes_phases(dense):
    module, x = fk.module(DENSE, dense, outputs="b.fc"), image(DENSE)
    assert not module.training and torch.equal(module(x), module(x))
    assert not torch.equal(module.train()(x), module(x))
    assert torch.equal(module.eval()(x), module(x))
    assert fk.module(DENSE, dense, state=State("TRAIN")).training
    own = fk.parse(DENSE.text.replace('type: "Dropout"', 'type: "Dropout" phase: TEST'))
    module = fk.module(own, dense, outputs="b.fc").train()
    assert torch.equal(module(x), module(x))


def test_other_precisions(sliding):
    module, x = fk.module(SLIDING, sliding), image(SLIDING)
    with torch.no_grad():
        expected = module(x)
        close(copy.deepcopy(module).double()(x.double()), expected, 1e-5)
        half = copy.deepcopy(module).double().half()
        assert half.get_buffer("bn/1.mean").dtype == torch.float64
        half = copy.deepcopy(module).half()
        assert half.get_buffer("bn/1.mean").dtype == torch.float32
        close(half(x.half()).float(), expected, 1e-2)
        close(copy.deepcopy(module).bfloat16()(x.bfloat16()).float(), expected, 5e-2)
        with torch.autocast("cpu", torch.bfloat16):
            close(module(x).float(), expected, 5e-2)
    assert {blob.array().dtype.name for blobs in fk.weights(half).values() for blob in blobs} == {
        "float32"
    }


def test_parameters_are_read_where_pytorch_puts_them(dense):
    module, x = fk.module(DENSE, dense, outputs="b.fc"), image(DENSE)
    zeros = {name: torch.zeros_like(value) for name, value in module.state_dict().items()}
    assert not torch.func.functional_call(module, zeros, (x,)).any() and module(x).any()
    meta = module.to("meta")
    assert meta(x.to("meta")).shape == (2, 5)


@pytest.mark.filterwarnings("ignore")
def test_it_is_traced_and_exported(sliding, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    module, x = fk.module(SLIDING, sliding), image(SLIDING)
    other = noise(1, 6, 20, 24, seed=5)
    with torch.no_grad():
        expected = module(other)
        traced = torch.jit.trace(fk.module(SLIDING, sliding), x)
        close(traced(other), expected)
        exported = torch.export.export(module, (x,))
        close(exported.module()(other), expected)
        assert exported.state_dict.keys() == module.state_dict().keys()
        torch.onnx.export(
            module, (x,), str(tmp_path / "m.onnx"), dynamo=False, input_names=["data"]
        )
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    close(session.run(None, {"data": other.numpy()})[0], expected)


def test_any_batch_in_one_export(sliding):
    if not hasattr(torch.export.Dim, "AUTO"):
        pytest.skip("this PyTorch finds out no sizes by itself")
    module, any_ = fk.module(SLIDING, sliding), torch.export.Dim.AUTO
    with torch.no_grad():
        exported = torch.export.export(
            module, (noise(2, 6, 20, 24),), dynamic_shapes={"inputs": ({0: any_},)}
        )
        x = noise(5, 6, 20, 24)
        close(exported.module()(x), module(x))


def test_it_shows_its_layers(dense):
    lines = repr(fk.module(DENSE, dense)).splitlines()
    assert lines[0] == ("<CaffeModule dense.prototxt, TEST: data -> prob, 957 parameters>"), lines[
        0
    ]
    assert [line.split()[0] for line in lines[2:]] == [
        "data", "a/conv", "relu_a/conv", "pool", "b.fc", "drop", "prob",
    ]  # fmt: skip
    assert lines[3].endswith("weight 4 x 3 x 3 x 3, bias 4")
    assert " TRAIN:" in repr(fk.module(DENSE, dense).train())


# Data layers, and what is asked of them


TRAINING = (
    'layer { name: "d" type: "Data" top: "data" top: "label" data_param { source: "x" } }\n'
    + fc("ip", "data", 3)
    + layer("loss", "SoftmaxWithLoss", "ip", "label")
)


def test_what_data_layers_make_is_given():
    net = fk.parse(TRAINING, "train.prototxt")
    words = (
        r'train.prototxt:1: layer "d": it says no size of "data"; give it, such as inputs={"data"'
    )
    with pytest.raises(NetError, match=words):
        fk.module(net)
    module = fk.module(net, inputs={"data": (4, 1, 2, 2), "label": (4,)})
    assert module.inputs == ("data", "label")
    assert module(noise(2, 1, 2, 2), torch.tensor([0, 2])).shape == ()
    scores = fk.module(net, inputs={"data": (4, 1, 2, 2)}, outputs="ip")
    assert scores.inputs == ("data",)
    x = noise(3, 1, 2, 2)
    assert torch.equal(scores(x), scores(data=x, label=torch.zeros(3)))


# The page


@pytest.mark.filterwarnings("ignore")
def test_the_examples_of_the_page_run(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    page = Path(fk.__file__).parents[1] / "docs" / "pytorch.md"
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S)
    monkeypatch.chdir(tmp_path)
    net = sketches.thin("alexnet")
    net.save("deploy.prototxt")
    sketches.weights(net, "net.caffemodel")
    found = {}
    exec("\n".join(blocks), found)
    assert found["prob"].shape == (1, 30) and found["found"]["pool5"].shape == (1, 8, 6, 6)
    assert found["scores"].training and not found["module"].training
    new, old = (fk.weights(f"{name}.caffemodel")["fc8"][0].array() for name in ("new", "net"))
    assert (new != old).any() and np.isfinite(new).all()


# Refusals


@pytest.mark.parametrize(
    "inputs, words",
    [
        ((), 'no input "data" is given; give data'),
        ((noise(1, 3, 12, 14),) * 2, "2 inputs are given; it takes data"),
        ((noise(3, 12, 14),), r'"data" is 3 x 12 x 14, 3 axes; .* 2 x 3 x 12 x 14; .*x\[None\]'),
        ((noise(1, 3, 0, 14),), 'input "data" is 1 x 3 x 0 x 14: no values'),
        (
            (noise(1, 4, 12, 14),),
            r'dense.prototxt:\d+: layer "a/conv": input "data" is 1 x 4 x 12 x 14: its weights are '
            "4 x 3 x 3 x 3 and would have to be 4 x 4 x 3 x 3; give .data. of 2 x 3 x 12 x 14$",
        ),
        (
            (noise(1, 3, 16, 14),),
            'layer "b.fc": .*5 x 168 and would have to be 5 x 224; .*or fk.convolutionalize',
        ),
    ],
)
def test_inputs_that_it_cannot_take(dense, inputs, words):
    with pytest.raises(NetError, match=words):
        fk.module(DENSE, dense)(*inputs)


def test_inputs_that_do_not_belong(dense):
    module, x = fk.module(DENSE, dense), image(DENSE)
    with pytest.raises(NetError, match='dense.prototxt: "image" is not an input of this net'):
        module(image=x)
    with pytest.raises(NetError, match='input "data" is given twice'):
        module(x, data=x)
    with pytest.raises(TypeError, match='input "data" is a tensor, not ndarray; give torch.as_'):
        module(x.numpy())
    with pytest.raises(NetError, match=r'layer "conv": .*\(input "data" is 1 x 5 x 20 x 24\)'):
        fk.module(SLIDING)(noise(1, 5, 20, 24))


def test_weights_that_do_not_belong(dense, sliding, tmp_path):
    with pytest.raises(WeightsError, match=r'no layer "conv" \(sliding.prototxt:\d+\) and 6 more'):
        fk.module(SLIDING, dense)
    wrong = dense.put("a/conv", [np.zeros((4, 1, 3, 3)), np.zeros(4)])
    with pytest.raises(WeightsError, match='"a/conv": blob 0 is 4 x 1 x 3 x 3, in the net 4 x 3'):
        fk.module(DENSE, wrong)
    with pytest.raises(WeightsError, match="none.caffemodel: cannot be read: No such file"):
        fk.module(DENSE, tmp_path / "none.caffemodel")
    with pytest.raises(TypeError, match=r"weights: .* is not what it takes; give Weights"):
        fk.module(DENSE, {"a/conv": []})


def test_blobs_and_layers_that_are_not_there(dense):
    with pytest.raises(NetError, match='no blob "fc7" in state TEST'):
        fk.module(DENSE, dense, outputs=["fc7"])
    with pytest.raises(NetError, match="no outputs; name a blob"):
        fk.module(DENSE, dense, outputs=[])
    net = fk.parse(DENSE.text + layer("u", "HardSigmoid", "b.fc"), "a.prototxt")
    with pytest.raises(EngineError, match=r'a.prototxt:\d+: layer "u": PyTorch .*HardSigmoid'):
        fk.module(net, dense)
    assert fk.module(net, dense, outputs=["b.fc", "pool"]).outputs == ("b.fc", "pool")
