import random
from math import prod

import pytest

from fcnkit.errors import FcnkitError, NetError
from fcnkit.formats import prototxt
from fcnkit.nets import graph, shapes
from fcnkit.nets.graph import State

# ---- the nets of the papers, in a few lines each


def image(*shape: int) -> str:
    dims = " ".join(f"dim: {size}" for size in shape)
    what = f"input_param {{ shape {{ {dims} }} }}"
    return f'layer {{ name: "input" type: "Input" top: "data" {what} }}\n'


def one(kind: str, name: str, bottom: str, params: str, *more: str) -> str:
    bottoms = "".join(f' bottom: "{blob}"' for blob in (bottom, *more))
    return f'layer {{ name: "{name}" type: "{kind}"{bottoms} top: "{name}" {params} }}\n'


def conv(name: str, bottom: str, outputs: int, kernel: int, more: str = "") -> str:
    params = f"num_output: {outputs} kernel_size: {kernel} {more}"
    text = one("Convolution", name, bottom, f"convolution_param {{ {params} }}")
    return text + f'layer {{ name: "relu_{name}" type: "ReLU" bottom: "{name}" top: "{name}" }}\n'


def pool(name: str, bottom: str, kernel: int, stride: int = 2) -> str:
    return one(
        "Pooling", name, bottom, f"pooling_param {{ kernel_size: {kernel} stride: {stride} }}"
    )


def fc(name: str, bottom: str, outputs: int) -> str:
    return one("InnerProduct", name, bottom, f"inner_product_param {{ num_output: {outputs} }}")


def deconv(name: str, bottom: str, kernel: int, stride: int, classes: int = 21) -> str:
    params = f"num_output: {classes} bias_term: false kernel_size: {kernel} stride: {stride}"
    return one("Deconvolution", name, bottom, f"convolution_param {{ {params} }}")


def crop(name: str, bottom: str, reference: str, offset: int) -> str:
    return one("Crop", name, bottom, f"crop_param {{ axis: 2 offset: {offset} }}", reference)


def alexnet_trunk(pad: int) -> str:
    return "".join(
        (
            conv("conv1", "data", 96, 11, f"stride: 4 pad: {pad}"),
            pool("pool1", "conv1", 3),
            one("LRN", "norm1", "pool1", "lrn_param { local_size: 5 }"),
            conv("conv2", "norm1", 256, 5, "pad: 2 group: 2"),
            pool("pool2", "conv2", 3),
            one("LRN", "norm2", "pool2", "lrn_param { local_size: 5 }"),
            conv("conv3", "norm2", 384, 3, "pad: 1"),
            conv("conv4", "conv3", 384, 3, "pad: 1 group: 2"),
            conv("conv5", "conv4", 256, 3, "pad: 1 group: 2"),
            pool("pool5", "conv5", 3),
        )
    )


def vgg_trunk(pad: int) -> str:
    text, bottom = "", "data"
    for block, (depth, outputs) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), 1):
        for number in range(1, depth + 1):
            name = f"conv{block}_{number}"
            text += conv(name, bottom, outputs, 3, f"pad: {pad if name == 'conv1_1' else 1}")
            bottom = name
        text += pool(f"pool{block}", bottom, 2)
        bottom = f"pool{block}"
    return text


def head(sixth: int) -> str:
    return (
        conv("fc6", "pool5", 4096, sixth) + conv("fc7", "fc6", 4096, 1) + score("score_fr", "fc7")
    )


def score(name: str, bottom: str) -> str:
    return one("Convolution", name, bottom, "convolution_param { num_output: 21 kernel_size: 1 }")


def fuse(name: str, upscored: str, pool_name: str, offset: int) -> str:
    cropped = f"score_{pool_name}c"
    text = score(f"score_{pool_name}", pool_name) + crop(
        cropped, f"score_{pool_name}", upscored, offset
    )
    return text + one("Eltwise", name, upscored, "", cropped)


CLASSIFIER = fc("fc6", "pool5", 4096) + fc("fc7", "fc6", 4096) + fc("fc8", "fc7", 1000)
ALEXNET = image(1, 3, 227, 227) + alexnet_trunk(0) + CLASSIFIER
VGG16 = image(1, 3, 224, 224) + vgg_trunk(1) + CLASSIFIER
LENET = (
    image(1, 1, 28, 28)
    + conv("conv1", "data", 20, 5)
    + pool("pool1", "conv1", 2)
    + conv("conv2", "pool1", 50, 5)
    + pool("pool2", "conv2", 2)
    + fc("ip1", "pool2", 500)
    + fc("ip2", "ip1", 10)
)
FCN_ALEXNET = (
    alexnet_trunk(100)
    + head(6)
    + deconv("upscore", "score_fr", 63, 32)
    + crop("score", "upscore", "data", 18)
)
FCN32 = (
    vgg_trunk(100)
    + head(7)
    + deconv("upscore", "score_fr", 64, 32)
    + crop("score", "upscore", "data", 19)
)
FCN16 = (
    vgg_trunk(100)
    + head(7)
    + deconv("upscore2", "score_fr", 4, 2)
    + fuse("fuse_pool4", "upscore2", "pool4", 5)
    + deconv("upscore16", "fuse_pool4", 32, 16)
    + crop("score", "upscore16", "data", 27)
)
FCN8 = (
    vgg_trunk(100)
    + head(7)
    + deconv("upscore2", "score_fr", 4, 2)
    + fuse("fuse_pool4", "upscore2", "pool4", 5)
    + deconv("upscore_pool4", "fuse_pool4", 4, 2)
    + fuse("fuse_pool3", "upscore_pool4", "pool3", 9)
    + deconv("upscore8", "fuse_pool3", 16, 8)
    + crop("score", "upscore8", "data", 31)
)


def infer(text: str, inputs: dict | None = None, state: State = State()) -> shapes.Shapes:
    return shapes.shapes_of(graph.build(prototxt.parse(text, "net.prototxt"), state), inputs)


def top(found: shapes.Shapes, blob: str) -> tuple[int, ...] | None:
    return found.tops[found.graph.top(blob)]


def total(found: shapes.Shapes, kind: str = "") -> int:
    return sum(found.parameters(layer) for layer in found.graph.layers if kind in layer.type)


# ---- published figures


@pytest.mark.parametrize(
    "text, parameters, macs",
    (
        (ALEXNET, 60_965_224, 724_406_816),
        (VGG16, 138_357_544, 15_470_264_320),
        (LENET, 431_080, 2_293_000),
    ),
    ids=("AlexNet", "VGG-16", "LeNet"),
)
def test_parameters_and_multiply_adds_of_classifiers(text, parameters, macs):
    found = infer(text)
    assert total(found) == parameters
    assert sum(map(found.macs, found.graph.layers)) == macs


def test_parameters_of_the_layers_of_alexnet():
    found = infer(ALEXNET)
    wanted = {"conv1": 34_944, "fc6": 37_752_832, "fc7": 16_781_312, "fc8": 4_097_000, "pool1": 0}
    assert {name: found.parameters(found.graph.layer(name)) for name in wanted} == wanted
    assert found.blobs(found.graph.layer("fc6")) == [(4096, 9216), (4096,)]


FCNS = {  # parameters, those of deconvolutions, multiply-adds in units of 10 million at 500 x 500
    "FCN-AlexNet": (FCN_ALEXNET, 58_704_590, 1_750_329, 2142),
    "FCN-32s": (FCN32, 136_152_917, 1_806_336, 18137),
    "FCN-16s": (FCN16, 134_815_994, 458_640, 18145),
    "FCN-8s": (FCN8, 134_489_759, 127_008, 18153),
}


@pytest.mark.parametrize("text, parameters, deconvolutions, macs", FCNS.values(), ids=FCNS)
def test_parameters_and_multiply_adds_of_fcns(text, parameters, deconvolutions, macs):
    found = infer(image(1, 3, 500, 500) + text)
    assert total(found) == parameters
    assert total(found, "Deconvolution") == deconvolutions
    assert round(sum(map(found.macs, found.graph.layers)) / 1e7) == macs


SIZES = {
    "VGG": (
        FCN32,
        (500, 500),
        {
            "conv1_1": 698,
            "pool1": 349,
            "pool2": 175,
            "pool3": 88,
            "pool4": 44,
            "pool5": 22,
            "fc6": 16,
            "upscore": 544,
        },
    ),
    "VGG, 375": (
        FCN32,
        (375, 500),
        {
            "conv1_1": (573, 698),
            "pool1": (287, 349),
            "pool2": (144, 175),
            "pool3": (72, 88),
            "pool4": (36, 44),
            "pool5": (18, 22),
            "fc6": (12, 16),
            "upscore": (416, 544),
            "score": (375, 500),
        },
    ),
    "16s": (FCN16, (500, 500), {"upscore2": 34, "fuse_pool4": 34, "upscore16": 560, "score": 500}),
    "16s, 375": (FCN16, (375, 500), {"upscore2": (26, 34), "upscore16": (432, 560)}),
    "8s": (FCN8, (500, 500), {"upscore2": 34, "upscore_pool4": 70, "upscore8": 568, "score": 500}),
    "8s, 375": (
        FCN8,
        (375, 500),
        {"upscore_pool4": (54, 70), "upscore8": (440, 568), "score": (375, 500)},
    ),
    "AlexNet, 375": (
        FCN_ALEXNET,
        (375, 500),
        {
            "conv1": (142, 173),
            "pool1": (71, 86),
            "pool2": (35, 43),
            "pool5": (17, 21),
            "fc6": (12, 16),
            "upscore": (415, 543),
            "score": (375, 500),
        },
    ),
}


@pytest.mark.parametrize("text, size, wanted", SIZES.values(), ids=SIZES)
def test_sizes_of_fcns(text, size, wanted):
    found = infer(image(1, 3, *size) + text)
    for blob, sizes in wanted.items():
        assert top(found, blob)[2:] == (sizes if isinstance(sizes, tuple) else (sizes, sizes)), blob


def test_blobs_of_a_deconvolution_are_in_by_out():
    found = infer(image(1, 3, 64, 64) + deconv("up", "data", 4, 2, classes=5))
    assert found.blobs(found.graph.layer("up")) == [(3, 5, 4, 4)]


# ---- shapes given from outside

BATCHES = "".join(
    f'layer {{ name: "d" type: "Data" top: "data" top: "label" data_param {{ batch_size: {size} }} '
    f"include {{ phase: {phase} }} }}\n"
    for phase, size in (("TRAIN", 4), ("TEST", 2))
)
DATA = BATCHES + LENET.split("\n", 1)[1] + one("SoftmaxWithLoss", "loss", "ip2", "", "label")


def test_an_input_given_from_outside_takes_the_place_of_the_prototxts():
    assert top(infer(ALEXNET, {"data": (7, 3, 451, 451)}), "pool5") == (7, 256, 13, 13)


def test_data_of_unknown_size_is_unknown_with_all_that_hangs_on_it():
    found = infer(DATA)
    assert top(found, "data") is None and top(found, "ip2") is None
    assert top(found, "label") == (2,)
    wanted = 'layer "d" on line 2: its size is that of the data, which the prototxt does not give'
    assert found.reason(found.graph.top("data")) == found.reason(found.graph.top("ip2")) == wanted
    assert found.reason(found.graph.top("label")) == ""
    conv1 = found.graph.layer("conv1")
    assert (
        found.bottoms(conv1)
        is found.blobs(conv1)
        is found.parameters(conv1)
        is found.macs(conv1)
        is None
    )


def test_dummy_labels_are_as_many_as_the_images_given():
    text = (
        'layer { name: "d" type: "DummyData" top: "data" top: "label" top: "mean" '
        "dummy_data_param { "
        "shape { dim: 50 dim: 3 dim: 8 dim: 8 } shape { dim: 50 dim: 1 } shape { dim: 1 dim: 3 } "
        "} }"
    )
    found = infer(text, {"data": (2, 3, 9, 9)})
    assert [top(found, blob) for blob in ("data", "label", "mean")] == [
        (2, 3, 9, 9),
        (2, 1),
        (1, 3),
    ]


def test_labels_are_as_many_as_the_images_given():
    found = infer(DATA, {"data": (64, 1, 28, 28)}, State("TRAIN"))
    assert top(found, "label") == (64,)
    assert top(found, "ip2") == (64, 10)
    assert top(found, "loss") == ()
    assert total(found) == 431_080


def test_a_top_that_cannot_be_inferred_can_be_given():
    text = image(1, 3, 8, 8) + one("Whirl", "p", "data", "") + fc("x", "p", 5)
    found = infer(text)
    reason = found.reason(found.graph.top("x"))
    assert reason == 'layer "p" on line 2: type Whirl is not known to fcnkit'
    assert found.macs(found.graph.layer("p")) is None
    assert top(infer(text, {"p": (1, 8, 8, 3)}), "x") == (1, 5)


def test_a_python_source_and_an_input_without_shape_say_why():
    text = 'input: "data"\nlayer { name: "py" type: "Python" top: "label" }\n'
    found = infer(text)
    assert "the prototxt gives it no shape" in found.reason(found.graph.top("data"))
    assert "a Python layer sets the size of its tops at run time" in found.reason(
        found.graph.top("label")
    )


def test_an_in_place_layer_takes_the_given_shape_over():
    text = 'input: "data"\n' + one("Power", "data", "data", "")
    found = infer(text, {"data": [2, 3]})
    assert [found.tops[each] for each in found.graph.tops] == [(2, 3), (2, 3)]


SOURCES = {
    "ImageData, new size": (
        'type: "ImageData" image_data_param { batch_size: 4 new_height: 5 new_width: 6 is_color: '
        "false }",
        [(4, 1, 5, 6), (4,)],
    ),
    "ImageData, crop": (
        'type: "ImageData" image_data_param { batch_size: 4 } transform_param { crop_size: 7 }',
        [(4, 3, 7, 7), (4,)],
    ),
    "ImageData, free": ('type: "ImageData" image_data_param { batch_size: 4 }', [None, (4,)]),
    "WindowData": (
        'type: "WindowData" window_data_param { batch_size: 4 } transform_param { crop_size: 7 }',
        [(4, 3, 7, 7), (4,)],
    ),
    "Data, crop": (
        'type: "Data" data_param { batch_size: 4 } transform_param { crop_size: 7 }',
        [None, (4,)],
    ),
    "HDF5Data": ('type: "HDF5Data" hdf5_data_param { batch_size: 4 }', [None, None]),
}


@pytest.mark.parametrize("params, wanted", SOURCES.values(), ids=SOURCES)
def test_what_the_prototxt_says_of_data(params, wanted):
    found = infer(f'layer {{ name: "d" top: "a" top: "b" {params} }}')
    assert list(found.tops.values()) == wanted


# ---- refusals


def test_an_input_that_is_not_there_is_refused():
    with pytest.raises(
        NetError, match='net.prototxt: no blob "dta" in state TEST; did you mean "data"'
    ):
        infer(LENET, {"dta": (1, 1, 28, 28)})


def test_a_top_that_is_inferred_cannot_be_given():
    with pytest.raises(
        NetError, match=r':4: layer "pool1": its top is 1 x 20 x 12 x 12, not the given'
    ):
        infer(LENET, {"pool1": (1, 20, 9, 9)})
    assert top(infer(LENET, {"pool1": (1, 20, 12, 12)}), "ip2") == (1, 10)


def test_an_input_too_small_names_the_layer_where_nothing_is_left():
    with pytest.raises(NetError) as caught:
        infer(LENET, {"data": (1, 1, 9, 9)})
    assert str(caught.value) == (
        'net.prototxt:5: layer "conv2": a 3 x 3 input with kernel 5 x 5, stride 1 x 1 and pad 0 '
        "x 0 "
        "would give -1 x -1; enlarge the input or the pad"
    )


@pytest.mark.parametrize("shape", ((1, -3, 8, 8), (1,) * 33, (2**16, 2**16)))
def test_inputs_that_caffe_has_no_room_for_are_refused(shape):
    with pytest.raises(NetError, match=':1: layer "input": '):
        infer(image(*shape))


# ---- size


def test_a_net_of_ten_thousand_layers_asks_each_layer_once(monkeypatch):
    count = 5_000
    text = image(1, 3, 8, 8).replace('top: "data"', 'top: "b0"') + "".join(
        conv(f"b{at}", f"b{at - 1}", 3, 3, "pad: 1") for at in range(1, count + 1)
    )
    asked = []
    ask = shapes._shapes
    monkeypatch.setattr(
        shapes, "_shapes", lambda layer, *rest: asked.append(layer) or ask(layer, *rest)
    )
    found = infer(text)
    assert len(asked) == len(found.graph.layers) == 2 * count + 1
    assert top(found, f"b{count}") == (1, 3, 8, 8)
    assert total(found) == count * 84


# ---- real files, and real Caffe


def test_every_real_file_has_shapes_or_a_reason(shared):
    known = 0
    for path in sorted(shared.glob("prototxts/repos/**/*.prototxt")):
        if path.stat().st_size > 30_000:
            continue
        try:
            found = shapes.shapes_of(graph.build(prototxt.read(path)))
        except FcnkitError:
            continue
        for each, shape in found.tops.items():
            assert (shape is None) == bool(found.reason(each))
            assert shape is None or (prod(shape) > 0 and all(type(size) is int for size in shape))
        known += None not in found.tops.values()
    assert known > 30


def test_real_deploy_files_have_the_shapes_of_real_caffe(shared, caffe):
    paths = [
        path for path in sorted(shared.glob("**/*deploy*.prototxt")) if path.stat().st_size < 20_000
    ]
    paths = random.Random(7).sample(paths, 25) + sorted(shared.glob("models/*/*net*.prototxt"))
    nets = []
    for path in paths:
        try:
            found = shapes.shapes_of(graph.build(prototxt.read(path)))
        except FcnkitError:
            continue
        if None not in found.tops.values() and total(found) < 20_000_000:
            nets.append(found)
    answers = caffe.ask([caffe.Question("shapes", found.graph.prototxt) for found in nets])
    built = [
        (found, answer)
        for found, answer in zip(nets, answers, strict=True)
        if isinstance(answer, dict)
    ]
    for found, answer in built:
        ours = {each.blob: shape for each, shape in found.tops.items()}
        assert {blob: answer[blob] for blob in ours} == ours, found.graph.prototxt.path
    assert len(built) >= 10
