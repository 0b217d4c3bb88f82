"""Export: what ONNX Runtime computes of a model
is what real Caffe computes, at every size that is free.
"""

import numpy as np
import pytest
from corpus import noise, weights
from layer_text import CONV, POOL, declare, net, source

import fcnkit as fk
from fcnkit import templates
from fcnkit.errors import EngineError, NetError, WeightsError
from fcnkit.formats import prototxt
from fcnkit.nets.graph import build
from fcnkit.rewrites.changes import set_value
from fcnkit.weights import store

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from fcnkit.engines import onnx as engine  # noqa: E402
from fcnkit.exporting.dynamic_axes import dynamic_axes  # noqa: E402
from fcnkit.exporting.export import export  # noqa: E402
from fcnkit.verifying.exports import verify_export  # noqa: E402

X = (2, 6, 13, 11)
AXES = {"N": 0, "H": 2, "W": 3}
# What is added to batch, height and width where they are free.
GROWN = ((0, 0, 0), (1, 4, 7), (-1, 9, 2))


def one(kind, params="", *inputs, tops=1):
    return net(kind, params, *(inputs or (X,)), tops=tops)


def conv(words, kind="Convolution"):
    return one(kind, CONV(words))


def pool(words):
    return one("Pooling", POOL(words))


def fc(words, *inputs):
    return one("InnerProduct", f"inner_product_param {{ num_output: 7 {words} }}", *inputs)


def of(kind, words, *inputs, tops=1):
    """A layer whose message is called after its type."""
    return one(kind, f"{kind.lower()}_param {{ {words} }}", *inputs, tops=tops)


WIDE = conv("kernel_h: 3 kernel_w: 2 stride_h: 1 stride_w: 2 pad_h: 0 pad_w: 1")
TWICE = one("Convolution", CONV("kernel_size: 3"), X, X, tops=2)
DEEP = one("Convolution", CONV("kernel_size: 3 kernel_size: 2 kernel_size: 1"), (2, 2, 4, 5, 6))
GROUPED = CONV("group: 4 kernel_size: 4 stride: 2 bias_term: false")
GROUPED = one("Deconvolution", GROUPED, (2, 4, 5, 7))
HALF_PADDED = pool("kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 3 pad_h: 1 pad_w: 0")
UNEVEN = pool("pool: AVE kernel_h: 4 kernel_w: 2 stride_h: 2 stride_w: 2 pad_h: 2 pad_w: 1")
FAR = declare("Power", "power_param { scale: -1 shift: -500 }", bottoms="a", tops="b", name="far")
TWO_TOPS = one("Pooling", POOL("kernel_size: 2 stride: 2"), X, tops=2)
NARROW = conv("kernel_size: 14 stride: 4") + declare(
    "InnerProduct",
    "inner_product_param { num_output: 1 axis: 0 }",
    bottoms="t",
    tops="u",
    name="fc",
)
NEGATIVE = (
    source("a", *X) + FAR + declare("Pooling", POOL("kernel_size: 3 stride: 3 pad: 2"), bottoms="b")
)
DOUBLED = declare("Power", "power_param { scale: 2 }", bottoms="a", tops="a", name="p")
BIG = (2, 6, 20, 21)

# Name: the net, and which sizes of its inputs are free.
CASES = {
    "conv": (conv("kernel_size: 3 group: 2 stride: 2 pad: 1 dilation: 2"), "NHW"),
    "conv height and width": (WIDE, "NHW"),
    "conv no bias": (conv("kernel_size: 3 bias_term: false"), "NHW"),
    "conv twice": (TWICE, "NHW"),
    "conv three axes": (DEEP, "N"),
    "conv negative axis": (conv("kernel_size: 3 axis: -3"), "NHW"),
    "deconv": (conv("kernel_size: 4 stride: 2 pad: 1", "Deconvolution"), "NHW"),
    "deconv grouped": (GROUPED, "NHW"),
    "deconv two groups": (conv("group: 2 kernel_size: 3 stride: 2", "Deconvolution"), "NHW"),
    "deconv dilated": (conv("kernel_size: 3 stride: 2 pad: 1 dilation: 2", "Deconvolution"), "NHW"),
    "deconv gaps": (conv("kernel_size: 2 stride: 4", "Deconvolution"), "NHW"),
    "pool max": (pool("kernel_size: 3 stride: 2"), "NHW"),
    "pool max even": (pool("kernel_size: 2 stride: 2"), "NHW"),
    "pool max padded": (pool("kernel_size: 3 stride: 2 pad: 1"), "NHW"),
    "pool max stride 1": (pool("kernel_size: 3 stride: 1 pad: 1"), "NHW"),
    "pool max clipped": (pool("kernel_size: 2 stride: 2 pad: 1"), "NHW"),
    "pool max clipped wide": (pool("kernel_size: 3 stride: 3 pad: 2"), "NHW"),
    "pool max clipped on one axis": (HALF_PADDED, "NHW"),
    "pool max of every other": (pool("kernel_size: 1 stride: 2"), "NHW"),
    "pool max beyond": (pool("kernel_size: 2 stride: 3"), "NHW"),
    "pool max down": (pool("kernel_size: 3 stride: 2 pad: 1 round_mode: FLOOR"), "NHW"),
    "pool max of negatives": (NEGATIVE, "NHW"),
    "pool average": (pool("pool: AVE kernel_size: 4 stride: 3"), "NHW"),
    "pool average padded": (pool("pool: AVE kernel_size: 3 stride: 2 pad: 1"), "NHW"),
    "pool average stride 1": (pool("pool: AVE kernel_size: 5 stride: 1 pad: 2"), "NHW"),
    "pool average clipped": (pool("pool: AVE kernel_size: 2 stride: 2 pad: 1"), "NHW"),
    "pool average clipped wide": (pool("pool: AVE kernel_size: 3 stride: 3 pad: 2"), "NHW"),
    "pool average uneven": (UNEVEN, "NHW"),
    "pool average down": (
        pool("pool: AVE kernel_size: 3 stride: 2 pad: 1 round_mode: FLOOR"),
        "NHW",
    ),
    "pool average with gaps": (pool("pool: AVE kernel_size: 2 stride: 3"), "NHW"),
    "pool global average": (pool("pool: AVE global_pooling: true"), "NHW"),
    "pool global max": (pool("global_pooling: true"), "NHW"),
    "lrn": (of("LRN", "local_size: 3 alpha: 0.01 beta: 0.6 k: 2"), "NHW"),
    "lrn plain": (one("LRN"), "NHW"),
    "lrn within": (of("LRN", "local_size: 3 alpha: 0.01 norm_region: WITHIN_CHANNEL k: 2"), "NHW"),
    "fc": (fc(""), "N"),
    "fc transposed": (fc("transpose: true"), "N"),
    "fc no bias": (fc("bias_term: false", (3, 5)), "N"),
    "fc axis": (fc("axis: 2"), "N"),
    "fc last axis": (fc("axis: -1 bias_term: false"), "NH"),
    "fc last axis transposed": (fc("axis: 3 transpose: true"), "NH"),
    "fc of all": (fc("axis: 0"), ""),
    "relu": (one("ReLU"), "NHW"),
    "relu leaky": (of("ReLU", "negative_slope: 0.1"), "NHW"),
    "prelu": (one("PReLU"), "NHW"),
    "prelu shared": (of("PReLU", "channel_shared: true"), "NHW"),
    "prelu two axes": (one("PReLU", "", (3, 5)), "N"),
    "elu": (of("ELU", "alpha: 0.3"), "NHW"),
    "sigmoid": (one("Sigmoid"), "NHW"),
    "tanh": (one("TanH"), "NHW"),
    "absval": (one("AbsVal"), "NHW"),
    "bnll": (one("BNLL"), "NHW"),
    "power": (of("Power", "power: 2 scale: 0.3 shift: 1"), "NHW"),
    "power plain": (one("Power"), "NHW"),
    "power constant": (of("Power", "scale: 0 shift: 3"), "NHW"),
    "exp": (of("Exp", "base: 2 scale: 0.1 shift: 1"), "NHW"),
    "exp to e": (of("Exp", "scale: 0.05 shift: -1"), "NHW"),
    "log": (of("Log", "base: 10 scale: 0.1 shift: 6"), "NHW"),
    "log to e": (of("Log", "shift: 60"), "NHW"),
    "threshold": (of("Threshold", "threshold: 7.5"), "NHW"),
    "dropout": (one("Dropout"), "NHW"),
    "split": (one("Split", tops=3), "NHW"),
    "softmax": (of("Softmax", "axis: 3"), "NHW"),
    "softmax of channels": (one("Softmax"), "NHW"),
    "softmax two axes": (of("Softmax", "axis: -1", (3, 5)), "N"),
    "batch norm": (one("BatchNorm", "batch_norm_param { eps: 0.1 }"), "NHW"),
    "batch norm two axes": (one("BatchNorm", "", (3, 5)), "N"),
    "batch norm of the batch": (
        one("BatchNorm", "batch_norm_param { use_global_stats: false }"),
        "NHW",
    ),
    "scale": (of("Scale", "bias_term: true"), "NHW"),
    "scale of an axis": (of("Scale", "axis: 2 num_axes: 1"), "NW"),
    "scale to the end": (of("Scale", "axis: 1 num_axes: -1 bias_term: true"), "N"),
    "scale by a number": (of("Scale", "num_axes: 0"), "NHW"),
    "scale by channels": (of("Scale", "", X, (6,)), "HW"),
    "scale by items": (of("Scale", "axis: 0 bias_term: true", X, (2, 6)), "HW"),
    "scale by all": (of("Scale", "axis: 0", X, X), "NHW"),
    "bias": (one("Bias"), "NHW"),
    "bias by items": (of("Bias", "axis: 0", X, (2, 6)), "NHW"),
    "mvn": (one("MVN"), "NHW"),
    "mvn across": (of("MVN", "across_channels: true eps: 0.1"), "NHW"),
    "mvn mean": (of("MVN", "normalize_variance: false"), "NHW"),
    "mvn two axes": (of("MVN", "across_channels: true", (3, 5)), "N"),
    "eltwise": (one("Eltwise", "", X, X, X), "NHW"),
    "eltwise coeff": (of("Eltwise", "coeff: 1 coeff: -2.3", X, X), "NHW"),
    "eltwise product": (of("Eltwise", "operation: PROD", X, X, X), "NHW"),
    "eltwise max": (of("Eltwise", "operation: MAX", X, X, X), "NHW"),
    "concat": (one("Concat", "", X, (2, 3, 13, 11)), "NHW"),
    "concat axis": (of("Concat", "axis: -1", X, X), "NHW"),
    "concat dim": (of("Concat", "concat_dim: 0", X, X), "NHW"),
    "slice": (of("Slice", "slice_point: 1 slice_point: 4", tops=3), "NHW"),
    "slice width": (of("Slice", "axis: 3 slice_point: 4", tops=2), "NHW"),
    "slice equal": (of("Slice", "slice_dim: 1", tops=3), "NHW"),
    "slice one": (of("Slice", "", tops=1), "NHW"),
    "crop": (of("Crop", "axis: 2 offset: 2 offset: 1", BIG, (2, 3, 13, 11)), "NHW"),
    "crop one offset": (of("Crop", "offset: 3", BIG, (2, 3, 13, 11)), "NHW"),
    "crop without words": (one("Crop", "", BIG, X), "NHW"),
    "crop channels too": (
        of("Crop", "axis: 1 offset: 2 offset: 1 offset: 3", BIG, (2, 3, 13, 11)),
        "NHW",
    ),
    "crop last": (of("Crop", "axis: -1 offset: 4", BIG, (2, 6, 20, 11)), "NHW"),
    "flatten": (one("Flatten"), "NHW"),
    "flatten some": (of("Flatten", "axis: 1 end_axis: 2"), "NHW"),
    "flatten last": (of("Flatten", "axis: -2"), "NHW"),
    "flatten all": (of("Flatten", "axis: 0"), "NHW"),
    "reshape": (of("Reshape", "shape { dim: 0 dim: -1 dim: 6 }"), "NHW"),
    "reshape copied": (of("Reshape", "shape { dim: 0 dim: 3 dim: -1 dim: 0 }"), "NHW"),
    "reshape some": (of("Reshape", "shape { dim: 2 dim: 3 } axis: 1 num_axes: 1"), "NHW"),
    "reshape more": (of("Reshape", "shape { dim: 1 dim: -1 } axis: -1 num_axes: 0"), "NHW"),
    "reshape fixed": (of("Reshape", "shape { dim: 2 dim: 78 dim: 11 }"), ""),
    "reduction": (of("Reduction", "axis: 2 coeff: 0.5"), "NHW"),
    "reduction of all": (one("Reduction"), "NHW"),
    "reduction asum": (of("Reduction", "operation: ASUM axis: 1"), "NHW"),
    "reduction sumsq": (of("Reduction", "operation: SUMSQ axis: -1 coeff: 3"), "NHW"),
    "reduction mean": (of("Reduction", "operation: MEAN axis: 1"), "NHW"),
    "argmax": (of("ArgMax", "axis: 1"), "NHW"),
    "argmax values": (of("ArgMax", "axis: 1 out_max_val: true top_k: 2"), "NHW"),
    "argmax of all": (of("ArgMax", "top_k: 3"), "NHW"),
    "argmax of all with values": (of("ArgMax", "top_k: 3 out_max_val: true"), "NHW"),
    "tile": (of("Tile", "axis: 2 tiles: 3"), "NHW"),
    "embed": (one("Embed", "embed_param { num_output: 4 input_dim: 6 }", (5,)), "N"),
    "in place": (source("a", *X) + declare("ReLU", tops="a") + DOUBLED, "NHW"),
    "v1": (
        'input: "a" input_dim: 2 input_dim: 6 input_dim: 13 input_dim: 11\n'
        'layers { name: "l" type: CONVOLUTION bottom: "a" top: "y" convolution_param { '
        "num_output: 3 "
        'kernel_size: 2 } } layers { name: "r" type: RELU bottom: "y" top: "y" }',
        "NHW",
    ),
}


def given(shapes, number, free):
    """Input shapes number `number`: those of the net, or with each free size changed."""
    added = {
        AXES[axis]: more for axis, more in zip("NHW", GROWN[number], strict=True) if axis in free
    }
    return {
        blob: tuple(
            size + added.get(axis, 0) if axis == 0 or len(shape) == 4 else size
            for axis, size in enumerate(shape)
        )
        for blob, shape in shapes.items()
    }


def shapes_of(graph):
    return {top.blob: graph.producer(top).input_shapes[top.index] for top in graph.inputs}


def data(shapes, name):
    if name == "embed":
        return {blob: np.arange(shape[0], dtype=np.float32) % 6 for blob, shape in shapes.items()}
    rng = np.random.default_rng(1)
    return {blob: rng.uniform(-50, 50, shape).astype(np.float32) for blob, shape in shapes.items()}


@pytest.fixture(scope="module")
def answers(caffe):
    """For each net of CASES the weights, and what real Caffe computes of three inputs."""
    asked = {}
    for name, (text, free) in CASES.items():
        parsed = prototxt.parse(text, f"{name}.prototxt")
        own = weights(parsed) or None
        inputs = [
            data(given(shapes_of(build(parsed)), number, free), name)
            for number in range(len(GROWN))
        ]
        outputs = [top.blob for top in build(parsed).outputs]
        asked[name] = [caffe.Question("run", parsed, own, each, outputs) for each in inputs]
    found = iter(caffe.ask([question for questions in asked.values() for question in questions]))
    return {
        name: [(question, next(found)) for question in questions]
        for name, questions in asked.items()
    }


@pytest.mark.parametrize("name", CASES)
def test_every_layer_at_three_sizes(answers, name):
    question = answers[name][0][0]
    model = export(question.net, question.weights)
    onnx.checker.check_model(model.bytes(), full_check=True)
    session = engine.opened(model.bytes(), name)
    assert {port.name for port in model.inputs} == set(question.inputs)
    assert free_axes(model) == CASES[name][1]
    for question, expected in answers[name]:
        agree(session, question, expected)


def free_axes(model):
    """The letters of the sizes that are free in any input."""
    sizes = [size for port in model.inputs for size in port.dims if isinstance(size, str)]
    letters = {"batch": "N", "height": "H", "width": "W"}
    found = {letters[size.rsplit("_", 1)[-1]] for size in sizes}
    return "".join(letter for letter in letters.values() if letter in found)


def agree(session, question, expected, tolerance=1e-5):
    assert not isinstance(expected, Exception), expected
    found = engine.ran(session, question.inputs, "net")
    assert list(found) == list(expected) or question.net.path == "in place.prototxt"
    for (blob, array), values in zip(expected.items(), found.values(), strict=True):
        assert values.shape == array.shape and values.dtype == np.float32, blob
        same = (values == array) | (np.isnan(values) & np.isnan(array))
        largest = np.nanmax(np.abs(array), initial=0)
        assert np.all(same | (np.abs(values - array) <= tolerance * largest)), blob


# ---- whole nets


def thin(net, times=8):
    """The net with an eighth of the channels everywhere."""
    params = (
        param
        for layer in net.root.all("layer")
        for param in layer.all("convolution_param", "inner_product_param")
    )
    counts = [field for param in params for field in param.all("num_output")]
    return net.edit(set_value(field, max(1, int(field.raw) // times)) for field in counts)


def template(name):
    return prototxt.read(templates.path(name), f"{name}.prototxt")


def fully(name, stride):
    return fk.fcn(thin(template(name)), classes=3, stride=stride).net


# The batches and sizes of three inputs, for nets that take any.
IMAGES = ((1, 67, 81), (2, 96, 75), (1, 101, 64))
LARGER = tuple((batch, height + 160, width + 160) for batch, height, width in IMAGES)
NETS = {
    **{
        name: (lambda name=name: thin(template(name)), "N")
        for name in (
            "alexnet",
            "caffenet",
            "vgg16",
            "vgg19",
            "googlenet",
            "resnet50",
            "lenet",
            "digits",
        )
    },
    **{name: (lambda name=name: thin(template(name)), "NHW") for name in ("squeezenet", "nin")},
    "fcn-alexnet": (lambda: fully("alexnet", 32), "NHW"),
    "fcn-32s": (lambda: fully("vgg16", 32), "NHW"),
    "fcn-16s": (lambda: fully("vgg16", 16), "NHW"),
    "fcn-8s": (lambda: fully("vgg16", 8), "NHW"),
    "fcn-8s-googlenet": (lambda: fully("googlenet", 8), "NHW"),
}


def images(graph, free):
    """Three inputs: of the sizes of IMAGES,
    or where the net takes one size of that and other batches.
    """
    (name,), (shape,) = zip(*shapes_of(graph).items(), strict=True)
    several = LARGER if graph.prototxt.path == "nin.prototxt" else IMAGES
    sizes = [(batch, shape[1], *(size if free == "NHW" else shape[2:])) for batch, *size in several]
    return [noise({name: size}) for size in sizes]


@pytest.fixture(scope="module")
def whole(caffe):
    """For each of NETS what real Caffe computes of three inputs."""
    asked = []
    for make, free in NETS.values():
        net = make()
        own = weights(net)
        asked += [caffe.Question("run", net, own, each) for each in images(build(net), free)]
    found = list(zip(asked, caffe.ask(asked), strict=True))
    return {name: found[3 * at : 3 * at + 3] for at, name in enumerate(NETS)}


@pytest.mark.parametrize("name", NETS)
def test_templates_and_fcns_at_three_sizes(whole, name, tmp_path):
    question = whole[name][0][0]
    model = export(question.net, question.weights)
    assert free_axes(model) == NETS[name][1]
    model.save(tmp_path / "net.onnx")
    onnx.checker.check_model(tmp_path / "net.onnx", full_check=True)
    session = engine.opened(str(tmp_path / "net.onnx"), name)
    for question, expected in whole[name]:
        agree(session, question, expected, 1e-4)


MODELS = [
    ("age_net_v1", "deploy_age.prototxt", "age_net.caffemodel"),
    ("lenet_v1", "lenet.prototxt", "lenet_iter_10000.caffemodel"),
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
    """For each of MODELS what real Caffe computes of noise
    of its own size, and of others that it takes.
    """
    asked = {}
    for folder, net_file, weights_file in MODELS:
        net = prototxt.read(shared / "models" / folder / net_file)
        own = shapes_of(build(net))
        many = [own, *dynamic_axes(build(net), own).others()]
        path = shared / "models" / folder / weights_file
        asked[folder, net_file] = [
            caffe.Question("run", net, path, noise(shapes)) for shapes in many
        ]
    found = iter(caffe.ask([question for questions in asked.values() for question in questions]))
    return {
        model: [(question, next(found)) for question in questions]
        for model, questions in asked.items()
    }


@pytest.mark.parametrize("model", [model[:2] for model in MODELS], ids="/".join)
def test_trained_networks(trained, model):
    question = trained[model][0][0]
    session = engine.opened(export(question.net, question.weights).bytes(), "net")
    assert len(trained[model]) >= 2
    for question, expected in trained[model]:
        agree(session, question, expected, 1e-4)


def compare(net, own):
    return verify_export(net, own, export(net, own).bytes())


# ---- what layers share


@pytest.mark.parametrize("old", [False, True], ids=["V2", "V1"])
def test_layers_that_share_weights_have_the_last(caffe, old):
    new = ("layer", 'param { name: "w" } param { name: "b" }')
    words = ("layers", "param: 'w' param: 'b'") if old else new
    kind = "INNER_PRODUCT" if old else '"InnerProduct"'
    fc = f"type: {kind} inner_product_param {{ num_output: 4 }} {words[1]} }}"
    text = 'input: "a" input_dim: 2 input_dim: 4 input_dim: 1 input_dim: 1\n' + "".join(
        f'{words[0]} {{ name: "{name}" bottom: "{bottom}" top: "{name}" {fc}\n'
        for name, bottom in (("p", "a"), ("q", "p"))
    )
    net = prototxt.parse(text, "shared.prototxt")
    rng = np.random.default_rng(0)
    own = store.create().put_all(
        {name: [rng.normal(size=(4, 4)), rng.normal(size=4)] for name in "pq"}
    )
    model = export(net, own)
    assert len(model.tensors) == 2
    assert all(row.ok and row.largest for row in compare(net, own))


@pytest.mark.parametrize("old", [False, True], ids=["V2", "V1"])
@pytest.mark.parametrize("permissive", [False, True], ids=["strict", "permissive"])
def test_parameters_of_other_shapes_are_shared_as_caffe_lets_them(caffe, old, permissive):
    """6 x 2 and 4 x 3: of one count, which is enough where the layer says so."""
    mode = ("blob_share_mode" if old else "share_mode") + ": PERMISSIVE" if permissive else ""
    word = f"param: 'w' {mode}" if old else f"param {{ name: 'w' {mode} }}"
    kind = "INNER_PRODUCT" if old else '"InnerProduct"'
    text = 'input: "a" input_dim: 2 input_dim: 2 input_dim: 1 input_dim: 1\n' + "".join(
        f'{"layers" if old else "layer"} {{ name: "{name}" bottom: "{bottom}" top: "{name}" {said} '
        f"type: {kind} "
        f"inner_product_param {{ bias_term: false num_output: {outputs} }} }}\n"
        for name, bottom, outputs, said in (
            ("p", "a", 6, word),
            ("c", "a", 3, ""),
            ("q", "c", 4, word),
        )
    )
    net, rng = prototxt.parse(text, "shared.prototxt"), np.random.default_rng(0)
    shapes = {"p": (6, 2), "c": (3, 2), "q": (4, 3)}
    own = store.create().put_all({name: [rng.normal(size=each)] for name, each in shapes.items()})
    if permissive:
        assert all(row.ok and row.largest for row in compare(net, own))
        return
    with pytest.raises(NetError, match='parameter "w" is 4 x 3, that of layer "p" 6 x 2; share'):
        export(net, own)
    with pytest.raises(EngineError, match="Cannot share param 'w'"):
        caffe.run(net, own, {"a": np.ones((2, 2, 1, 1), np.float32)})


# ---- layers of forks, which real Caffe does not have


def ran(text, shape, own=None):
    """The input, and what the model of a net without weights makes of it,
    exported for other sizes.
    """
    net = prototxt.parse(text, "net.prototxt")
    (name,) = shapes_of(build(net))
    given = noise({name: shape})
    session = engine.opened(export(net, own).bytes(), "net")
    (found,) = engine.ran(session, given, "net").values()
    return given[name], found


@pytest.mark.parametrize(
    "words, size",
    [
        ("zoom_factor: 8", lambda n: (n - 1) * 8 + 1),
        ("shrink_factor: 2", lambda n: (n - 1) // 2 + 1),
        ("height: 20 width: 20", lambda n: 20),
        ("zoom_factor: 2 pad_beg: -1 pad_end: -1", lambda n: (n - 3) * 2 + 1),
    ],
)
def test_interp_keeps_the_corners(words, size):
    x, found = ran(one("Interp", f"interp_param {{ {words} }}"), (2, 6, 9, 17))
    x = x[:, :, 1:-1, 1:-1] if "pad" in words else x
    for axis, points in ((2, 9), (3, 17)):
        at = np.linspace(0, x.shape[axis] - 1, size(points))
        low = np.minimum(at.astype(int), x.shape[axis] - 2)
        part = np.expand_dims(at - low, tuple(each for each in range(4) if each != axis))
        x = x.take(low, axis) * (1 - part) + x.take(low + 1, axis) * part
    assert found.shape == x.shape and np.abs(found - x).max() < 1e-3


def test_permute():
    x, found = ran(
        one("Permute", "permute_param { order: 0 order: 2 order: 3 order: 1 }"), (3, 6, 9, 5)
    )
    assert np.array_equal(found, x.transpose(0, 2, 3, 1))


def test_relu6():
    x, found = ran(one("ReLU6"), (1, 6, 9, 5))
    assert np.array_equal(found, x.clip(0, 6))


@pytest.mark.parametrize(
    "kind, words", [("DepthwiseConvolution", "group: 6"), ("ConvolutionDepthwise", "")]
)
def test_depthwise_is_grouped(kind, words):
    grouped, other = (
        one(each, f"convolution_param {{ num_output: 6 kernel_size: 3 {more} }}")
        for each, more in (("Convolution", "group: 6"), (kind, words))
    )
    own = weights(prototxt.parse(grouped))
    assert np.array_equal(ran(other, (1, 6, 9, 5), own)[1], ran(grouped, (1, 6, 9, 5), own)[1])


# ---- names, and what is left out

LOSS = (
    source("data", 2, 3, 8, 8)
    + source("label", 2, 1, 8, 8)
    + declare("ReLU", bottoms=("data",), tops=("score",))
    + declare("SoftmaxWithLoss", bottoms=("score", "label"), tops=("loss",), name="loss")
    + declare("Power", bottoms=("score",), tops=("other",), name="other")
    + declare("Silence", bottoms=("other",), tops=(), name="hush")
)


def test_losses_and_what_only_they_read_are_left_out():
    model = export(prototxt.parse(LOSS, "net.prototxt"))
    assert [str(port) for port in model.inputs] == ["data  batch x 3 x height x width"]
    assert [port.name for port in model.outputs] == ["score"]
    left = {each.layer: each.reason for each in model.left}
    assert set(left) == {"label", "loss", "other", "hush"}
    assert "training" in left["loss"] and "nothing in the model reads label" in left["label"]
    assert 'layer "loss" on line 4: SoftmaxWithLoss: a loss is for training' in model.table()


def test_any_blob_may_be_an_output():
    net = prototxt.parse(LOSS, "net.prototxt")
    model = export(net, outputs=["other", "data"])
    assert [port.name for port in model.outputs] == ["other", "data_2"]
    given = {"data": np.ones((1, 3, 5, 4)), "label": np.ones((1, 1, 5, 4))}
    found = engine.run(net, None, given, ["other", "data"])
    assert found["data"].shape == (1, 3, 5, 4) and np.array_equal(found["data"], found["other"])
    with pytest.raises(NetError, match='line 4|:4: layer "loss": type SoftmaxWithLoss'):
        export(net, outputs=["loss"])


def test_names_and_metadata():
    text = (
        'name: "tiny"\n'
        + source("a", *X)
        + declare("ReLU")
        + declare("Dropout", bottoms="t", name="d")
    )
    model = onnx.load_from_string(export(prototxt.parse(text, "net.prototxt")).bytes())
    assert (model.producer_name, model.graph.name, model.opset_import[0].version) == (
        "fcnkit",
        "tiny",
        13,
    )
    assert 'Caffe net "tiny" in state TEST' in model.doc_string
    assert [port.name for port in model.graph.input] == ["a"]
    assert [node.name for node in model.graph.node] == ["x/Relu", "d/Identity"]
    assert [port.name for port in model.graph.output] == ["t"]
    assert len({name for node in model.graph.node for name in node.output}) == 2


# ---- refusals


@pytest.mark.parametrize(
    "text, fact",
    [
        (one("Python"), "type Python: fcnkit cannot export it"),
        (one("SPP", "spp_param { pyramid_height: 2 }"), "type SPP: fcnkit cannot export it"),
        (one("Nonsense"), "type Nonsense: fcnkit cannot export it"),
        (
            pool("kernel_size: 2 pool: STOCHASTIC"),
            "type Pooling: STOCHASTIC pooling is for training",
        ),
        (TWO_TOPS, "type Pooling: its second top, the mask"),
        (conv("kernel_size: 3 axis: 2"), "type Convolution: axis 2"),
        (
            NARROW,
            "type Convolution: its window of 14 points is larger than its padded bottom of 13",
        ),
        (of("Log", "base: 1"), "type Log: base 1"),
        (of("Exp", "base: -2"), "type Exp: base -2"),
        (one("ReLU", "relu_param { relu6: true }"), "type ReLU: relu6 is a field of"),
        (
            one("Dropout", "dropout_param { scale_train: false }"),
            "type Dropout: scale_train is a field of",
        ),
    ],
)
def test_refused_with_layer_type_and_line(text, fact):
    parsed = prototxt.parse("\n" + text, "net.prototxt")
    with pytest.raises(NetError, match=f'net.prototxt:3: layer "x": .*{fact}'):
        export(parsed, weights(parsed))


def test_data_layers_are_refused():
    text = 'layer { name: "d" type: "Data" top: "a" }' + declare("ReLU")
    with pytest.raises(
        NetError, match='net.prototxt:1: layer "d": type Data: data layers.*deploy net'
    ):
        export(prototxt.parse(text, "net.prototxt"), inputs={"a": X})


@pytest.mark.parametrize(
    "blobs, fact",
    [
        (None, "no weights are given, but the net needs 2"),
        ({"y": [np.ones((4, 6, 3, 3))]}, "has 0 parameter blobs for it, but the net needs 2"),
        ({"x": [np.ones((4, 6, 3, 3))]}, "has 1 parameter blob for it, but the net needs 2"),
        (
            {"x": [np.ones((4, 6, 3, 2)), np.ones(4)]},
            r"has the shape \(4, 6, 3, 2\), but the net needs \(4, 6, 3, 3\)",
        ),
    ],
)
def test_weights_that_do_not_fit(blobs, fact):
    parsed = prototxt.parse(conv("kernel_size: 3"), "net.prototxt")
    with pytest.raises(WeightsError, match=f'net.prototxt:2: layer "x": .*{fact}'):
        export(parsed, blobs and store.create().put_all(blobs))


def test_inputs_without_a_shape_and_of_other_names():
    text = 'input: "a"\n' + declare("ReLU")
    net = prototxt.parse(text, "net.prototxt")
    with pytest.raises(NetError, match='its input "a" no shape; give one, such as --input a='):
        export(net)
    assert (
        str(export(net, inputs={"a": (1, 3, 5, 5)}).outputs[0]) == "t  batch x 3 x height x width"
    )
    with pytest.raises(NetError, match='"b" is not an input of this net; its inputs are a'):
        export(net, inputs={"b": (1,)})


def test_without_onnx(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EngineError, match=r"pip install 'fcnkit\[onnx\]'"):
        export(prototxt.parse(one("ReLU"), "net.prototxt"))
    with pytest.raises(EngineError, match=r"ONNX Runtime: not found.*fcnkit\[onnx\]"):
        engine.opened(b"", "net.prototxt")


@pytest.mark.parametrize("which", ["onnx", "opencv"])
def test_names_that_are_no_utf_8_are_refused(which):
    # ONNX's own library raises for such a name, and OpenCV ends the process.
    made = prototxt.of_bytes(
        b'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 dim: 2 } } }\n'
        b'layer { name: "\xff" type: "ReLU" bottom: "d" top: "r" }',
        "net.prototxt",
    )
    running = pytest.importorskip(f"fcnkit.engines.{which}")
    if not running.available():
        pytest.skip(f"{which} is not installed")
    with pytest.raises(NetError, match="net.prototxt:2: .* not UTF-8"):
        running.run(made, None, {"d": np.ones((1, 2), np.float32)})
