"""OpenCV as an engine: what it runs is what real Caffe computes,
what it cannot it refuses by name.
"""

import os

import numpy as np
import pytest

from fcnkit.engines import opencv
from fcnkit.errors import EngineError, NetError, WeightsError
from fcnkit.formats import prototxt
from fcnkit.nets.graph import State, build
from fcnkit.weights import store

pytest.importorskip("cv2")

FILLED = 'weight_filler { type: "gaussian" std: 0.3 } bias_filler { type: "gaussian" std: 1 }'


def source(name, *dims):
    shape = " ".join(f"dim: {dim}" for dim in dims)
    shape = f"input_param {{ shape {{ {shape} }} }}"
    return f'layer {{ name: "in_{name}" type: "Input" top: "{name}" {shape} }}\n'


def layer(kind, param="", bottoms="x", tops="y", name="l"):
    wires = [f'bottom: "{blob}"' for blob in bottoms.split()] + [
        f'top: "{blob}"' for blob in tops.split()
    ]
    return f'layer {{ name: "{name}" type: "{kind}" {" ".join(wires)} {param} }}\n'


def conv(text, kind="Convolution", **wires):
    return layer(kind, f"convolution_param {{ {text} {FILLED} }}", **wires)


def fc(text, **wires):
    return layer(
        "InnerProduct", f"inner_product_param {{ num_output: 7 {text} {FILLED} }}", **wires
    )


def pool(text):
    return layer("Pooling", f"pooling_param {{ {text} }}")


X = source("x", 2, 6, 13, 11)
XZ = X + source("z", 2, 6, 13, 11)
CUT = X + source("z", 2, 6, 9, 8)
RELU = layer("ReLU", bottoms="y", tops="y", name="relu")


def parse(text):
    return prototxt.parse(text, "net.prototxt")


def saved(path, params):
    weights = store.create()
    for name, arrays in params.items():
        weights = weights.put(name, arrays)
    weights.save(path, force=True)
    return path


def noise(net, seed=0):
    generator = np.random.default_rng(seed)
    graph = build(net)
    shapes = {
        top.blob: shape
        for each in graph.layers
        for top, shape in zip(each.tops, each.input_shapes, strict=False)
    }
    return {
        blob: generator.normal(0, 4, shape).astype(np.float32) for blob, shape in shapes.items()
    }


@pytest.fixture
def slope(tmp_path):
    """x -> y = 2 x + 1 by an InnerProduct, then relu in place, and its weights."""
    net = parse(
        source("x", 3, 1) + layer("InnerProduct", "inner_product_param { num_output: 1 }") + RELU
    )
    return net, saved(tmp_path / "slope.caffemodel", {"l": [np.full((1, 1), 2), np.ones(1)]})


# Laws


def test_blob_is_the_last_layer_that_writes_it(slope):
    net, weights = slope
    x = np.array([[1], [-1], [0]])
    for wanted in (None, ["y"]):
        found = opencv.run(net, weights, {"x": x}, wanted)
        assert list(found) == ["y"] and found["y"].tolist() == [[3], [0], [1]]
    assert opencv.run(net, weights, {"x": x}, ["x"])["x"].tolist() == x.tolist()


def test_weights_by_path_opened_or_edited(slope):
    net, path = slope
    weights = store.open(path)
    x = {"x": np.ones((1, 1))}
    assert opencv.run(net, weights, x)["y"] == 3
    assert opencv.run(net, weights.put("l", [np.full((1, 1), 5), np.ones(1)]), x)["y"] == 6
    renamed = parse(net.text.replace('"l"', '"ip"'))
    assert opencv.run(renamed, weights.rename({"l": "ip"}), x)["y"] == 3


def test_the_state_chooses_the_layers(slope):
    net, weights = slope
    data = 'layer { name: "data" type: "Data" top: "x" top: "label" include { phase: TRAIN } }\n'
    loss = layer("SoftmaxWithLoss", "include { phase: TRAIN }", "y label", "loss", "loss")
    twice = layer("Power", 'power_param { scale: 2 } exclude { stage: "plain" }', "y", "y", "twice")
    both = parse(
        data + net.text.replace("input_param", "include { phase: TEST } input_param") + twice + loss
    )
    x = {"x": np.ones((1, 1))}
    assert opencv.run(both, weights, x)["y"] == 6
    assert opencv.run(both, weights, x, state=State(stages=("plain",)))["y"] == 3
    with pytest.raises(EngineError, match='"data": OpenCV cannot.*Data is for training'):
        opencv.run(both, weights, {}, state=State("TRAIN"))


def test_several_tops_and_two_tops_of_one_convolution(tmp_path):
    cut = layer("Slice", "slice_param { slice_point: 1 slice_point: 3 }", "w", "a b c", "cut")
    net = parse(
        XZ + conv("num_output: 6 kernel_size: 1 bias_term: false", bottoms="x z", tops="y w") + cut
    )
    weights = saved(tmp_path / "w.caffemodel", {"l": [np.eye(6).reshape(6, 6, 1, 1)]})
    x = noise(net)
    found = opencv.run(net, weights, x, ["c", "y", "a", "b"])
    assert list(found) == ["c", "y", "a", "b"]
    assert np.allclose(found["y"], x["x"]) and np.allclose(found["a"], x["z"][:, :1])
    assert np.allclose(np.concatenate([found[name] for name in "abc"], 1), x["z"])


def test_arrays_of_any_axes_keep_their_shape():
    for shape in ((5,), (4, 5), (2, 3, 4), (2, 3, 4, 5), (1, 2, 3, 4, 5)):
        net = parse(source("x", *shape) + layer("Power", "power_param { shift: 1 }"))
        x = np.arange(np.prod(shape)).reshape(shape)
        found = opencv.run(net, None, {"x": x})["y"]
        assert found.shape == shape and np.array_equal(found, x + 1)


def test_inputs_give_the_size(slope):
    net = parse(X + pool("kernel_size: 2 stride: 2"))
    assert opencv.run(net, None, {"x": np.ones((1, 3, 9, 20))})["y"].shape == (1, 3, 5, 10)


# Against real Caffe: every layer type that is taken, in its odd corners

AGREE = {
    "conv": X + conv("num_output: 4 kernel_size: 3 group: 2 stride: 2 pad: 1 dilation: 2"),
    "conv height and width": X
    + conv("num_output: 4 kernel_h: 3 kernel_w: 2 stride_h: 1 stride_w: 2 pad_h: 0 pad_w: 1"),
    "conv repeated": X
    + conv("num_output: 4 kernel_size: 3 kernel_size: 2 dilation: 2 dilation: 1"),
    "conv no bias": X + conv("num_output: 4 kernel_size: 3 bias_term: false"),
    "deconv": X + conv("num_output: 4 kernel_size: 4 stride: 2 pad: 1", "Deconvolution"),
    "deconv grouped": X
    + conv("num_output: 6 group: 6 kernel_size: 4 stride: 2 bias_term: false", "Deconvolution"),
    "deconv gaps": X + conv("num_output: 4 kernel_size: 2 stride: 4", "Deconvolution"),
    "fc": X + fc(""),
    "fc axis": X + fc("axis: 2"),
    "fc last axis": X + fc("axis: -1 bias_term: false"),
    "fc one axis left": X + fc("axis: 0"),
    "pool clipped": X + pool("kernel_size: 3 stride: 2 pad: 1"),
    "pool of negatives": X
    + layer("Power", "power_param { scale: -1 shift: -500 }", "x", "x", "far")
    + pool("kernel_size: 3 stride: 2 pad: 1"),
    "pool average": X + pool("pool: AVE kernel_size: 3 stride: 3 pad: 2"),
    "pool rounded up": X + pool("pool: AVE kernel_size: 4 stride: 3"),
    "pool global": X + pool("pool: AVE global_pooling: true"),
    "lrn": X + layer("LRN", "lrn_param { local_size: 3 alpha: 0.01 beta: 0.6 }"),
    "lrn within": X
    + layer("LRN", "lrn_param { local_size: 3 alpha: 0.01 norm_region: WITHIN_CHANNEL k: 2 }"),
    "relu": X + layer("ReLU", "relu_param { negative_slope: 0.1 }"),
    "prelu": X + layer("PReLU", "prelu_param { filler { value: 0.3 } }"),
    "elu": X + layer("ELU", "elu_param { alpha: 0.3 }"),
    "sigmoid": X + layer("Sigmoid"),
    "swish": X + layer("Swish"),
    "tanh": X + layer("TanH"),
    "absval": X + layer("AbsVal"),
    "exp": X + layer("Exp", "exp_param { base: 2 scale: 0.3 shift: 1 }"),
    "power": X + layer("Power", "power_param { power: 2 scale: 0.3 shift: 1 }"),
    "dropout": X + layer("Dropout"),
    "mvn": X + layer("MVN", "mvn_param { across_channels: true }"),
    "eltwise": XZ + layer("Eltwise", "eltwise_param { coeff: 1 coeff: -2 }", "x z"),
    "eltwise product": XZ + layer("Eltwise", "eltwise_param { operation: PROD }", "x z"),
    "eltwise max": XZ + layer("Eltwise", "eltwise_param { operation: MAX }", "x z"),
    "concat": XZ + layer("Concat", "concat_param { axis: -1 }", "x z"),
    "slice": X + layer("Slice", "slice_param { axis: 3 slice_point: 4 }", "x", "y z"),
    "crop": CUT + layer("Crop", "crop_param { axis: 2 offset: 2 offset: 1 }", "x z"),
    "crop one offset": CUT + layer("Crop", "crop_param { offset: 2 }", "x z"),
    "crop without words": CUT + layer("Crop", "", "x z"),
    "crop without offset": CUT + layer("Crop", "crop_param { axis: 2 }", "x z"),
    "flatten": X + layer("Flatten", "flatten_param { axis: 1 end_axis: 2 }"),
    "reshape": X + layer("Reshape", "reshape_param { shape { dim: 0 dim: -1 dim: 11 } }"),
    "softmax": X + layer("Softmax", "softmax_param { axis: 3 }"),
    "batch norm": X
    + layer("BatchNorm", "batch_norm_param { eps: 0.1 }")
    + layer("Scale", "scale_param { bias_term: true }", "y", "y", "scale"),
    "scale by a blob": X + source("z", 6) + layer("Scale", "", "x z"),
    "scale of an axis": X + layer("Scale", "scale_param { axis: 2 num_axes: -1 }"),
    "input in place": X
    + layer("ReLU", "", "x", "x")
    + layer("Power", "power_param { scale: 2 }", name="p"),
    "silence": X + layer("ReLU") + layer("Silence", "", "x", "", "hush"),
    "v1": 'input: "x" input_dim: 2 input_dim: 6 input_dim: 13 input_dim: 11\n'
    'layers { name: "l" type: CONVOLUTION bottom: "x" top: "y" convolution_param { num_output: 3 '
    f'kernel_size: 2 {FILLED} }} }} layers {{ name: "r" type: RELU bottom: "y" top: "y" }}',
    "branches": X
    + conv("num_output: 3 kernel_size: 3")
    + RELU
    + conv("num_output: 3 kernel_size: 1", bottoms="y", tops="a", name="one")
    + layer("ReLU", "", "a", "a", "one_relu")
    + conv("num_output: 3 kernel_size: 3 pad: 1", bottoms="y", tops="b", name="three")
    + layer("ReLU", "", "b", "b", "three_relu")
    + layer("Concat", "", "a b", "c", "both"),
}


@pytest.fixture(scope="module")
def answers(caffe, tmp_path_factory):
    """For each net of AGREE its weights, input, and every blob as real Caffe computes it."""
    folder = tmp_path_factory.mktemp("agree")
    nets = {name: parse(text) for name, text in AGREE.items()}
    questions = [caffe.Question("params", net) for net in nets.values()]
    filled = caffe.ask(questions)
    shapes = caffe.ask([question._replace(action="shapes") for question in questions])
    asked = []
    for number, (name, net) in enumerate(nets.items()):
        params = filled[number]
        if name == "batch norm":
            params["l"] = [np.linspace(-1, 1, 6), np.linspace(1, 2, 6), np.array([2.0])]
            params["scale"] = [np.linspace(2, 3, 6), np.linspace(-3, 3, 6)]
        weights = saved(folder / f"{number}.caffemodel", params) if params else None
        asked.append(caffe.Question("run", net, weights, noise(net), list(shapes[number])))
    return dict(zip(nets, zip(asked, caffe.ask(asked), strict=True), strict=True))


@pytest.mark.parametrize("name", AGREE)
def test_every_blob_is_real_caffes(answers, name):
    question, expected = answers[name]
    found = opencv.run(question.net, question.weights, question.inputs, question.outputs)
    for blob, array in expected.items():
        assert found[blob].shape == array.shape
        assert np.abs(found[blob] - array).max() <= 1e-5 * np.abs(array).max(), blob


MODELS = [
    ("age_net_v1", "deploy_age.prototxt", "age_net.caffemodel"),
    ("lenet_v1", "lenet.prototxt", "lenet_iter_10000.caffemodel"),
    ("lenet_v2", "lenet.prototxt", "lenet_iter_10000.caffemodel"),
    ("cifar10_full_v1", "cifar10_full.prototxt", "cifar10_full_iter_70000.caffemodel"),
    ("cifar10_quick_v2", "cifar10_quick.prototxt", "cifar10_quick_iter_5000.caffemodel"),
    (
        "squeezenet_v1.0_imagenet",
        "SqueezeNet_deploy.prototxt",
        "squeezenet_v1.0_deepcompressed.caffemodel",
    ),
    ("open_nsfw_resnet50_v2", "deploy.prototxt", "resnet_50_1by2_nsfw.caffemodel"),
    ("mtcnn_v2", "det2.prototxt", "det2.caffemodel"),
    ("mtcnn_v2", "det3.prototxt", "det3.caffemodel"),
    ("concat_into_fc_v2", "1_F.prototxt", "1_F.caffemodel"),
]


@pytest.fixture(scope="module")
def trained(caffe, shared):
    """For each of MODELS every blob of one run, as real Caffe computes it."""
    asked = []
    for folder, net_file, weights_file in MODELS:
        net = prototxt.read(shared / "models" / folder / net_file)
        inputs = {blob: array * 20 for blob, array in noise(net).items()}
        blobs = list({top.blob: None for top in build(net).tops})
        asked.append(
            caffe.Question("run", net, shared / "models" / folder / weights_file, inputs, blobs)
        )
    return dict(zip(MODELS, zip(asked, caffe.ask(asked), strict=True), strict=True))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: "/".join(model[:2]))
def test_every_blob_of_a_trained_network(trained, model):
    question, expected = trained[model]
    found = opencv.run(question.net, question.weights, question.inputs, question.outputs)
    for blob, array in expected.items():
        assert found[blob].shape == array.shape
        assert np.abs(found[blob] - array).max() <= 1e-4 * np.abs(array).max(), blob


# What OpenCV gets wrong is refused

CONV_RELU = conv("num_output: 2 kernel_size: 3", tops="relu", name="c")


@pytest.mark.parametrize(
    "text, fact",
    [
        (
            X + "\n" + conv("num_output: 2 kernel_size: 3 dilation: 2", "Deconvolution"),
            "the dilation",
        ),
        (X + "\n" + conv("num_output: 2 kernel_size: 3 pad_w: 1"), "pad_h without pad_w"),
        (X + "\n" + conv("num_output: 2 kernel_size: 3 axis: 2"), "the axis of a Convolution"),
        (X + "\n" + fc("transpose: true"), "ignores the transpose"),
        (X + "\n" + layer("LRN", "lrn_param { k: 2 }"), "assumes k = 1 for an LRN, whose k is 2"),
        (X + "\n" + pool("kernel_size: 2 round_mode: FLOOR"), "round_mode"),
        (X + "\n" + pool("kernel_size: 2 pool: STOCHASTIC"), "stochastic"),
        (X + "\n" + layer("Concat", "concat_param { concat_dim: 0 }"), "concat_dim.*axis"),
        (X + "\n" + layer("Slice", "", "x", "y z"), "slice_point"),
        (X + "\n" + layer("Slice", "slice_param { slice_dim: 0 }", "x", "y z"), "slice_dim"),
        (X + "\n" + layer("PReLU", "prelu_param { channel_shared: true }"), "share one slope"),
        (
            X + "\n" + layer("BatchNorm", "batch_norm_param { use_global_stats: false }"),
            "stored statistics",
        ),
        (X + "\n" + layer("Scale", "scale_param { num_axes: 0 }"), "one number"),
        (X + "\n" + layer("Log"), "no Log like Caffe's"),
        (X + "\n" + layer("Bias"), "no Bias like Caffe's"),
        (X + "\n" + layer("ArgMax"), "no ArgMax like Caffe's"),
        (X + "\n" + layer("Python"), "no Python like Caffe's"),
        (XZ + layer("EuclideanLoss", "", "x z"), "EuclideanLoss is for training.*deploy"),
        (X + "\n" + layer("ReLU", name=""), "a name for every layer"),
        (
            X + layer("ReLU", "", "x", "q") + layer("ReLU", "", "q"),
            'takes "l" for the name.*line 2; rename',
        ),
        (X + CONV_RELU + layer("ReLU", "", "relu", "y", "relu"), 'takes "relu" for the name'),
    ],
)
def test_refused_by_name(text, fact, tmp_path):
    net = parse(text)
    weights = saved(tmp_path / "w.caffemodel", {"c": [np.ones((2, 6, 3, 3)), np.ones(2)]})
    words = rf'(?s)^net.prototxt:3: layer ".*": OpenCV cannot.*{fact}.*engine caffe'
    with pytest.raises(EngineError, match=words):
        opencv.run(net, weights, noise(net))


@pytest.mark.parametrize("kind", ["Dropout", "BatchNorm"])
def test_training_is_not_testing(kind):
    net = parse(X + layer(kind))
    with pytest.raises(EngineError, match=f"runs {kind} as in TEST"):
        opencv.run(net, None, noise(net), state=State("TRAIN"))


@pytest.mark.parametrize(
    "blobs, fact",
    [
        (None, "no weights file has 0 parameter blobs for it, the net 2"),
        ([], "has 0 parameter blobs for it, the net 2"),
        ([np.ones((1, 1))], "has 1 parameter blob for it, the net 2"),
        ([np.ones((1, 1)), np.ones(1), np.ones(1)], "has 3 parameter blobs for it, the net 2"),
        (
            [np.ones((1, 2)), np.ones(1)],
            r'layer "l", blob 0.*has the shape \(1, 2\), the net \(1, 1\)',
        ),
        ([np.ones((1, 1, 1, 1)), np.ones(1)], r"has the shape \(1, 1, 1, 1\), the net \(1, 1\)"),
    ],
)
def test_weights_that_do_not_fit(slope, tmp_path, blobs, fact):
    net, _ = slope
    weights = None
    if blobs is not None:
        weights = saved(tmp_path / "w.caffemodel", {"l": blobs, "other": [np.ones(1)]})
    with pytest.raises(EngineError, match=f'net.prototxt:2: layer "l": .*{fact}'):
        opencv.run(net, weights, {"x": np.ones((1, 1))})


def test_half_precision_is_refused(shared):
    folder = shared / "models/fp16_raw_ssd"
    weights = store.open(folder / "res10_300x300_ssd_iter_140000_fp16.caffemodel")
    name = next(
        name for name, blobs in weights.items() if len(blobs) == 2 and len(blobs[0].shape) == 4
    )
    channels, kernel = weights[name][0].shape[1], weights[name][0].shape[-1]
    size = f"num_output: {weights[name][0].shape[0]} kernel_size: {kernel}"
    net = parse(source("x", 1, channels, 9, 9) + conv(size, name=name))
    with pytest.raises(EngineError, match="does not read float16 values"):
        opencv.run(net, weights, noise(net))


def test_size_that_is_not_caffes(monkeypatch):
    net = parse(X + pool("kernel_size: 2 stride: 2"))
    wrong = np.ones((2, 6, 6, 6))
    monkeypatch.setattr(opencv, "_forward", lambda graph, model, inputs, tops: {tops[0]: wrong})
    with pytest.raises(EngineError, match=r'"y" is \(2, 6, 6, 6\), where Caffe has \(2, 6, 7, 6\)'):
        opencv.run(net, None, noise(net))


# Hostile input


def test_without_opencv_or_with_one_that_is_too_new(slope, monkeypatch):
    import cv2

    net, weights = slope
    with monkeypatch.context() as patch:
        patch.setattr("importlib.util.find_spec", lambda name: None)
        assert not opencv.available()
    with monkeypatch.context() as patch:
        patch.delattr(cv2.dnn, "readNetFromCaffe")
        with pytest.raises(EngineError, match="pip install 'opencv-python-headless<5'"):
            opencv.run(net, weights, {"x": np.ones((1, 1))})
    assert opencv.available()


def test_inputs_and_outputs_that_are_not_there(slope):
    net, weights = slope
    with pytest.raises(EngineError, match='no data is given for the input "x"'):
        opencv.run(net, weights, {})
    with pytest.raises(EngineError, match=r'"q" is not an input'):
        opencv.run(net, weights, {"q": np.ones((1, 1))})
    with pytest.raises(NetError, match='no blob "q"'):
        opencv.run(net, weights, {"x": np.ones((1, 1))}, ["q"])


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>", b"\xff" * 40])
def test_weights_that_are_none(slope, tmp_path, content):
    path = tmp_path / "weights.caffemodel"
    path.write_bytes(content)
    with pytest.raises(WeightsError):
        opencv.run(slope[0], path, {"x": np.ones((1, 1))})
    with pytest.raises(WeightsError):
        opencv.run(slope[0], tmp_path / "none", {"x": np.ones((1, 1))})


def test_what_opencv_says_is_the_error_and_not_printed(capfd, tmp_path):
    # Caffe makes one place of a window that is larger than its padded input; OpenCV refuses.
    net = parse(source("x", 1, 2, 3, 3) + conv("num_output: 1 kernel_size: 5 stride: 4", name="c"))
    weights = saved(tmp_path / "w.caffemodel", {"c": [np.ones((1, 2, 5, 5)), np.ones(1)]})
    with pytest.raises(
        EngineError, match=r"^net.prototxt: OpenCV 4\.\d+\.\d+: \(-\d+:.*engine caffe$"
    ):
        opencv.run(net, weights, noise(net))
    assert capfd.readouterr() == ("", "")


def test_windows_over_more_axes_are_refused_by_name(tmp_path):
    net = parse(source("x", 1, 2, 5, 6, 7) + conv("num_output: 1 kernel_size: 3", name="c"))
    weights = saved(tmp_path / "w.caffemodel", {"c": [np.ones((1, 2, 3, 3, 3)), np.ones(1)]})
    with pytest.raises(
        EngineError, match='layer "c".*reads a Convolution over 5 axes as one over 4'
    ):
        opencv.run(net, weights, noise(net))


def test_nothing_is_left_behind(slope, tmp_path, monkeypatch):
    net, path = slope
    weights = store.open(path).rename({"l": "m"})
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    opencv.run(parse(net.text.replace('"l"', '"m"')), weights, {"x": np.ones((1, 1))})
    assert os.listdir(folder) == []


# ---- layers of SSD, which Caffe has not: numpy's values are the right ones

SSD = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 4 dim: 3 dim: 5 } } }\n'  # noqa: E501


@pytest.mark.parametrize("order", [(0, 2, 3, 1), (0, 1, 2, 3), (3, 2, 1, 0), (0, 3, 1, 2)])
def test_permute_is_numpys_transpose(order):
    words = " ".join(f"order: {axis}" for axis in order)
    net = prototxt.parse(
        f'{SSD}layer {{ name: "p" type: "Permute" bottom: "data" top: "p" '
        f"permute_param {{ {words} }} }}"
    )
    data = np.random.default_rng(0).normal(size=(2, 4, 3, 5)).astype("f4")
    np.testing.assert_array_equal(opencv.run(net, None, {"data": data})["p"], data.transpose(order))


@pytest.mark.parametrize("eps", [1e-10, 0.5])
def test_normalize_divides_by_the_length_across_channels(eps):
    net = prototxt.parse(
        f'{SSD}layer {{ name: "n" type: "Normalize" bottom: "data" top: "n" '
        f"norm_param {{ across_spatial: false channel_shared: false eps: {eps} }} }}"
    )
    rng = np.random.default_rng(0)
    data, factors = rng.normal(size=(2, 4, 3, 5)).astype("f4"), rng.normal(size=4).astype("f4")
    weights = store.create().put_all({"n": [factors]})
    length = np.sqrt((data.astype("f8") ** 2).sum(axis=1, keepdims=True) + eps)
    expected = data / length * factors.reshape(1, 4, 1, 1)
    np.testing.assert_allclose(opencv.run(net, weights, {"data": data})["n"], expected, atol=1e-6)


@pytest.mark.parametrize(
    "layer, fact, remedy",
    [
        (
            '"Permute" permute_param { order: 0 order: 2 }',
            "leaves axes out",
            "engine torch or onnx",
        ),
        ('"Normalize" norm_param { across_spatial: true }', "across channels", "the engine torch"),
        ('"BNLL"', "no BNLL like Caffe's", "the engine caffe"),
        ('"Reorg" reorg_param { stride: 1 }', "no Reorg that is known", "the fork of Caffe"),
    ],
)
def test_another_engine_is_named_where_it_runs_the_type(layer, fact, remedy):
    net = prototxt.parse(f'{SSD}layer {{ name: "x" bottom: "data" top: "x" type: {layer} }}')
    with pytest.raises(EngineError, match=f"{fact}.*{remedy}"):
        opencv.run(net, None, {"data": np.ones((2, 4, 3, 5), "f4")})


@pytest.mark.parametrize(
    "kind, params, name, remedy",
    [
        ("ReLU", "relu_param { relu6: true }", "relu6", "make it a Clip layer with min: 0 and"),
        ("Permute", "permute_param { order: [0, 1, 2, 3] odrer: 0 }", "odrer", "remove it"),
        ("ReLU", "clipped: 3", "clipped", "remove it"),
        ("Pooling", "pooling_param { kernel_size: 2 ceil_mode: false }", "ceil_mode", "round_mode"),
    ],
)
def test_fields_of_forks_are_not_passed_over(kind, params, name, remedy):
    net = prototxt.parse(source("x", 1, 2, 4, 4) + layer(kind, params))
    with pytest.raises(EngineError, match=f'OpenCV engine: .* no field "{name}" .*{remedy}'):
        opencv.run(net, None, {"x": np.ones((1, 2, 4, 4), "f4")})
