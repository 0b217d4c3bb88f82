"""PyTorch as an engine: whole nets give what real Caffe gives,
and what it cannot run is refused by name.
"""

from pathlib import Path

import corpus
import numpy as np
import pytest
from click.testing import CliRunner
from learned import learned

import fcnkit as fk
from fcnkit.cli.main import main
from fcnkit.engines import torch as engine
from fcnkit.engines.caffe import Question
from fcnkit.errors import EngineError, NetError, WeightsError
from fcnkit.formats import prototxt
from fcnkit.nets.graph import State, build
from fcnkit.nets.shapes import shapes_of
from fcnkit.weights import store

TEMPLATES = Path(fk.__file__).parents[1] / "prototxt_templates"
NAMES = sorted(path.parent.name for path in TEMPLATES.glob("*/train_val.prototxt"))


def parse(text, path="net.prototxt"):
    return prototxt.parse(text, path)


def test_without_pytorch_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("fcnkit.engines.torch.engine.available", lambda: False)
    with pytest.raises(EngineError, match=r"PyTorch: not found: .*pip install 'fcnkit\[torch\]'"):
        engine.run(parse(SLOPE), None, {"x": np.ones((1, 1))})


torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'fcnkit[torch]'")

SLOPE = """
layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 3 dim: 1 } } }
layer { name: "l" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 1 } }
layer { name: "relu" type: "ReLU" bottom: "y" top: "y" }
"""
LINE = [np.full((1, 1), 2), np.ones(1)]
X = {"x": np.array([[1], [-1], [0]])}


def module(net, weights=None, state=State(), **more):  # noqa: B008
    from fcnkit.engines.torch.net import Net

    return Net(shapes_of(build(net, state)), weights, **more)


@pytest.fixture
def line():
    """The weights of y = 2 x + 1."""
    return store.create().put("l", LINE)


# Whole nets


def fed(name, side=67):
    """A template's net in TEST, loss and Accuracy in it:
    fed by Inputs, narrow, its images of one side.
    """
    net = corpus.narrowed(corpus.in_test(prototxt.read(TEMPLATES / name / "train_val.prototxt")))
    shapes = {
        blob: (*shape[:2], side, side) if len(shape) == 4 else shape
        for blob, shape in corpus.sizes(build(net)).items()
    }
    return corpus.fed(net, shapes), shapes


def images(shapes):
    """Noise for which the scores of nets with `corpus.weights` are not far apart."""
    return {blob: values * 0.02 for blob, values in corpus.noise(shapes).items()}


def differences(found, expected, tolerance):
    for name, values in expected.items():
        for one, other in zip(found[name], values, strict=True):
            largest, worst = np.abs(other).max(), np.abs(one - other).max()
            if not worst <= tolerance * largest:
                yield f"{name} differs by {worst} of {largest}"


LARGE = ("googlenet", "nin", "resnet50", "vgg16", "vgg19")


@pytest.mark.parametrize("name", NAMES)
def test_templates_give_caffes_values_and_gradients(name, caffe, request):
    if name in LARGE and not request.config.getoption("--corpus"):
        pytest.skip("it takes 5 s or more; with --corpus (make corpus)")
    deep = name in ("googlenet", "resnet50", "vgg19")
    net, shapes = fed(name, 224 if name in ("googlenet", "nin", "resnet50") else 67)
    if deep:
        # Of so many values some lie so near a kink that rounding decides on which side, and the
        # gradients of two correct engines differ by 1e-2.  ReLU and MAX have tests of their own.
        smooth = net.text.replace('"ReLU"', '"TanH"').replace("pool: MAX", "pool: AVE")
        net = parse(smooth, net.path)
    weights, inputs = corpus.weights(net), images(shapes)
    (answer,) = caffe.ask([Question("gradients", net, weights, inputs)])
    assert not isinstance(answer, Exception), answer
    ours = module(net, weights)
    mine = learned(ours, inputs, force=False)
    single = [{blob: [value] for blob, value in each.outputs.items()} for each in (mine, answer)]
    assert not list(differences(*single, 1e-4))
    moved = [built.layer.name for built in ours.layers if built.uses and built.uses[0].learns]
    expected = {name: answer.params[name] for name in moved}
    assert not list(differences(mine.params, expected, 1e-3))
    assert all(np.abs(values[0]).max() > 0 for values in expected.values())


def test_fcns_of_alexnet_give_caffes_scores(caffe):
    net = corpus.narrowed(prototxt.read(TEMPLATES / "alexnet" / "deploy.prototxt"))
    jobs = []
    for stride in (32, 16, 8):
        fcn = fk.fcn(net, classes=3, stride=stride).net
        jobs.append((fcn, corpus.weights(fcn), images({"data": (1, 3, 59, 83)})))
    for job, expected in zip(jobs, caffe.ask([Question("run", *job) for job in jobs]), strict=True):
        assert expected["score"].shape == (1, 3, 59, 83) and np.ptp(expected["score"]) > 0
        assert not list(differences(engine.run(*job, device="cpu"), expected, 1e-4))


def test_other_peoples_models_give_caffes_scores(shared, caffe):
    asked, jobs = [], []
    for path in sorted((shared / "models").glob("*/*.prototxt")):
        job = job_of(path)
        if job:
            jobs.append((path.parent.name, *job))
            asked.append(Question("run", *job))
    names = set()
    for (name, *job), answer in zip(jobs, caffe.ask(asked), strict=True):
        if not isinstance(answer, Exception):
            assert not list(differences(engine.run(*job, device="cpu"), answer, 1e-4)), name
            names.add(name)
    assert {
        "age_net_v1",
        "lenet_v1",
        "cifar10_full_v1",
        "open_nsfw_resnet50_v2",
        "mtcnn_v2",
    } <= names


def job_of(path):
    """The deploy net beside its weights, the weights and noise; None where either is missing."""
    net = corpus.read(path)
    found = [*path.parent.glob("*.caffemodel"), *path.parent.glob("*.h5")]
    if net is None or not build(net).inputs:
        return None
    for file in found:
        try:
            weights = store.open(file)
            shapes = {top.blob: shapes_of(build(net)).tops[top] for top in build(net).inputs}
            module(net, weights)
        except (EngineError, NetError, WeightsError):
            continue
        return net, weights, images(shapes)
    return None


# The interface


def test_blob_is_the_last_layer_that_writes_it(line):
    net = parse(SLOPE)
    for wanted in (None, ["y"]):
        found = engine.run(net, line, X, wanted)
        assert list(found) == ["y"] and found["y"].tolist() == [[3], [0], [1]]
        assert found["y"].dtype == np.float32
    assert engine.run(net, line, X, ["x"])["x"].tolist() == X["x"].tolist()


def test_weights_by_path_opened_or_edited(line, tmp_path):
    net, path = parse(SLOPE), tmp_path / "line.caffemodel"
    line.save(path)
    one = {"x": np.ones((1, 1))}
    assert engine.run(net, str(path), one)["y"] == 3
    assert (
        engine.run(net, store.open(path).put("l", [np.full((1, 1), 5), np.ones(1)]), one)["y"] == 6
    )


def test_the_state_chooses_the_layers_and_data_layers_are_given(line):
    data = 'layer { name: "d" type: "Data" top: "x" top: "label" include { phase: TRAIN } }\n'
    loss = (
        'layer { name: "a" type: "SoftmaxWithLoss" bottom: "y" bottom: "label" include { '
        "phase: TRAIN } }"
    )
    net = parse(data + SLOPE.replace("input_param", "include { phase: TEST } input_param") + loss)
    inputs = {"x": np.ones((2, 1)), "label": np.zeros(2)}
    assert engine.run(net, line, {"x": np.ones((2, 1))})["y"].tolist() == [[3], [3]]
    found = engine.run(net, line, inputs, ["y"], state=State("TRAIN"))
    assert found["y"].tolist() == [[3], [3]]


def test_many_inputs_of_any_size_for_one_net():
    net = parse("""
        input: "x" input_shape { dim: 1 dim: 1 dim: 4 dim: 4 }
        layer { name: "p" type: "Pooling" bottom: "x" top: "y"
          pooling_param { kernel_size: 2 stride: 2 } }
        layer { name: "c" type: "Convolution" bottom: "y" top: "z" convolution_param { num_output: 1
          kernel_size: 1 weight_filler { value: 3 } } }""")
    many = [{"x": np.ones((1, 1, *size))} for size in ((4, 4), (5, 7), (2, 3))]
    assert [found["z"].shape for found in engine.run_all(net, None, many)] == [
        (1, 1, 2, 2),
        (1, 1, 3, 4),
        (1, 1, 1, 2),
    ]
    dense = parse(SLOPE)
    with pytest.raises(NetError, match='"l": its parameters are .* give inputs of the first one'):
        list(engine.run_all(dense, None, [{"x": np.ones((1, 1))}, {"x": np.ones((1, 2))}]))


def test_tf32_is_off_while_a_net_runs(line, monkeypatch):
    from fcnkit.engines.torch.net import Net

    seen = []
    monkeypatch.setattr(Net, "forward", lambda net, inputs, outputs: seen.append(tf32()) or {})
    before = tf32()
    try:
        set_tf32(True, True)
        engine.run(parse(SLOPE), line, X, device="cpu")
        assert seen == [(False, False)] and tf32() == (True, True)
    finally:
        set_tf32(*before)


def tf32():
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


def set_tf32(matmul, cudnn):
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matmul, cudnn


def test_parameters_that_no_file_has_are_filled():
    net = parse(
        SLOPE.replace(
            "num_output: 1",
            """num_output: 4000
        weight_filler { type: "uniform" min: 2 max: 3 } bias_filler { value: 7 }""",
        )
    )
    weight, bias = module(net, seed=5).saved()["l"]
    assert 2 <= weight.min() < 2.1 and 2.9 < weight.max() <= 3 and (bias == 7).all()
    assert (module(net, seed=5).saved()["l"][0] == weight).all()
    assert (module(net, seed=6).saved()["l"][0] != weight).any()


def test_dropout_in_training_drops_and_scales():
    drop = (
        'layer { name: "d" type: "Dropout" bottom: "x" top: "y" dropout_param { '
        "dropout_ratio: 0.2 } }"
    )
    net = parse('input: "x" input_shape { dim: 5000 }' + drop)
    x = torch.full((5000,), 4.0, requires_grad=True)
    y = module(net, state=State("TRAIN"))({"x": x})["y"]
    y.sum().backward()
    assert set(y.tolist()) == {0, 5} and 0.7 < (y == 5).float().mean() < 0.9
    assert ((y == 5) * 1.25).equal(x.grad)
    assert module(net)({"x": x})["y"].equal(x)


def test_what_has_been_learned_is_what_caffe_loads(caffe):
    net, _ = fed("lenet", 28)
    ours = module(net, corpus.weights(net))
    with torch.no_grad():
        for each in ours.learned:
            each.value.mul_(1.5)
    found = caffe.params(net, store.create().put_all(ours.saved()))
    assert found.keys() == ours.saved().keys()
    assert all(
        (a == b).all()
        for name, saved in ours.saved().items()
        for a, b in zip(saved, found[name], strict=False)
    )


def test_verify_and_infer_run_on_it(tmp_path, line):
    line.save(tmp_path / "l.caffemodel")
    (tmp_path / "net.prototxt").write_text(SLOPE)
    words = [str(tmp_path / name) for name in ("net.prototxt", "l.caffemodel")]
    done = CliRunner().invoke(
        main, ["verify", *words, *words, "--engine", "torch", "--device", "cpu"]
    )
    assert done.exit_code == 0 and "y: equal" in done.output
    done = CliRunner().invoke(
        main, ["verify", *words, *words, "--engine", "opencv", "--device", "cpu"]
    )
    assert done.exit_code == 2 and "a device goes with the engine torch" in done.output


# Refusals


def test_a_layer_that_it_does_not_run_is_named(line):
    net = parse(
        SLOPE + 'layer { name: "u" type: "Filter" bottom: "y" bottom: "x" top: "z" }', "a.prototxt"
    )
    with pytest.raises(
        EngineError, match=r'^a.prototxt:5: layer "u": PyTorch engine: .* type Filter; use'
    ):
        engine.run(net, line, X)


@pytest.mark.parametrize(
    "text, words",
    [
        (
            'type: "Pooling" pooling_param { pool: STOCHASTIC kernel_size: 2 }',
            "no STOCHASTIC pooling",
        ),
        (
            'type: "Convolution" convolution_param { num_output: 1 kernel_size: 1 pad_3d: 2 }',
            'Caffe has no field "pad_3d"',
        ),
        (
            'type: "ReLU" include { phase: TRAIN } include { phase: TEST } foo: 1',
            'no field "foo" .line 2',
        ),
    ],
)
def test_what_it_would_get_wrong_is_refused(text, words):
    net = parse(f"""input: "x" input_shape {{ dim: 1 dim: 1 dim: 4 dim: 4 }}
        layer {{ name: "l" bottom: "x" top: "y" {text} }}""")
    with pytest.raises(EngineError, match=f'net.prototxt:2: layer "l": PyTorch engine: .*{words}'):
        engine.run(net, None, {"x": np.ones((1, 1, 4, 4))})


def test_a_matrix_that_is_none_is_refused(tmp_path):
    net = parse(f"""input: "x" input_shape {{ dim: 2 dim: 3 }}
  input: "label" input_shape {{ dim: 2 }}
        layer {{ name: "l" type: "InfogainLoss" bottom: "x" bottom: "label" top: "y"
            infogain_loss_param {{ source: "{tmp_path}/matrix" }} }}""")
    inputs = {"x": np.ones((2, 3)), "label": np.zeros(2)}
    with pytest.raises(
        EngineError, match='layer "l": .*its matrix .* cannot be read: No such file'
    ):
        engine.run(net, None, inputs)
    (tmp_path / "matrix").write_bytes(b"1 0 0\n0 1 0\n0 0 1\n")
    with pytest.raises(EngineError, match='layer "l": .*is not a matrix .*make it again'):
        engine.run(net, None, inputs)


def test_weights_of_another_net(line):
    net = parse(SLOPE)
    with pytest.raises(
        WeightsError, match='"l": 1 parameter blob, and the net has 2 .net.prototxt:3'
    ):
        engine.run(net, line.put("l", LINE[:1]), X)
    with pytest.raises(WeightsError, match="blob 0 is 1 x 2, in the net 1 x 1"):
        engine.run(net, line.put("l", [np.ones((1, 2)), np.ones(1)]), X)
    assert engine.run(net, line.put("other", LINE), X)["y"].tolist() == [[3], [0], [1]]


def test_inputs_that_do_not_belong(line):
    net = parse(SLOPE)
    with pytest.raises(EngineError, match='"z" is not an input of this net; its inputs are x'):
        engine.run(net, line, X | {"z": np.ones(1)})
    with pytest.raises(EngineError, match='no data is given for the input "x"'):
        engine.run(net, line, {})
    with pytest.raises(EngineError, match="no values"):
        engine.run(net, line, {"x": np.ones((0, 1))})
    with pytest.raises(EngineError, match="PyTorch: device warp: .*--device cpu"):
        engine.run(net, line, X, device="warp")


def test_labels_that_are_no_class():
    net = parse("""input: "x" input_shape { dim: 2 dim: 3 } input: "label" input_shape { dim: 2 }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "label" top: "loss" }""")
    with pytest.raises(
        EngineError, match='"loss": .* a label is 3 and there are 3 classes; .*ignore_label'
    ):
        engine.run(net, None, {"x": np.zeros((2, 3)), "label": np.array([0, 3])})


REFUSED_BY_BOTH = {
    'param { name: "w" } param {} param {}': "3 param for 2 parameters",
    'param { name: "w" } param { name: "w" }': 'parameter "w" is 1, that of layer "l" 1 x 1',
    "propagate_down: true propagate_down: true": "2 propagate_down for 1 bottom",
    "loss_weight: 1 loss_weight: 1": "2 loss_weight for 1 top",
}


def test_what_caffe_refuses_too(caffe):
    nets = {
        param: parse(SLOPE.replace("inner_product_param", f"{param} inner_product_param"))
        for param in REFUSED_BY_BOTH
    }
    for param, words in REFUSED_BY_BOTH.items():
        with pytest.raises(NetError, match=f'net.prototxt:3: layer "l": .*{words}'):
            module(nets[param])
    answers = caffe.ask([Question("load", net) for net in nets.values()])
    assert all(isinstance(answer, EngineError) for answer in answers)
