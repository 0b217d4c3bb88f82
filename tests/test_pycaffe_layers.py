"""Every layer type that runs, and nets of losses and shared parameters, beside real pycaffe."""

import pytest
from beside_pycaffe import check_equal

pytest.importorskip("torch")

pytestmark = pytest.mark.usefixtures("one_thread")

HEAD = """
def net_of(text, phase):
    open("net.prototxt", "w").write(text)
    return caffe.Net("net.prototxt", phase)

def layer(kind, bottoms, tops, more="", name=None):
    words = ["bottom: '%s'" % each for each in bottoms] + ["top: '%s'" % each for each in tops]
    name = name or (list(tops) + [kind])[0]
    return "layer { name: '%s' type: '%s' %s %s }" % (name, kind, " ".join(words), more)

def given(name, *shape):
    dims = " ".join("dim: %d" % each for each in shape)
    return layer("Input", [], [name], "input_param { shape { %s } }" % dims)

def fill(net, seed):
    rng = np.random.RandomState(seed)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = rng.randn(*blob.data.shape) * 0.5
    for name in net.inputs:
        data = net.blobs[name].data
        labels = name.startswith("label")
        data[...] = rng.randint(0, 4, data.shape) if labels else rng.randn(*data.shape)
    return rng

def keep(net, word):
    for name, blob in net.blobs.items():
        out[word + " data " + name] = blob.data.copy()
        out[word + " diff " + name] = blob.diff.copy()
    for name, blobs in net.params.items():
        for number, blob in enumerate(blobs):
            out["%s %s %d" % (word, name, number)] = blob.data.copy()
            out["%s diff %s %d" % (word, name, number)] = blob.diff.copy()
"""

# Each layer alone: forward, backward with random gradients, twice, and once more on other values.
LAYERS = """
IMAGE = (2, 3, 7, 5)
cases = []
for more in ("kernel_size: 3", "kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1 pad_h: 0 pad_w: 1",
             "kernel_size: 3 dilation: 2 pad: 2", "kernel_size: 1 bias_term: false"):
    cases.append(("Convolution", [IMAGE], "convolution_param { num_output: 4 %s }" % more))
    cases.append(("Deconvolution", [IMAGE], "convolution_param { num_output: 4 %s }" % more))
for shape, more in (((2, 4, 7, 5), "kernel_size: 3 group: 2"), ((2, 3, 9), "kernel_size: 3 pad: 1"),
                    ((2, 3, 5, 4, 6), "kernel_size: 3 kernel_size: 2 kernel_size: 1"),
                    ((2, 3, 2, 7, 5), "kernel_size: 3 axis: 2")):
    cases.append(("Convolution", [shape], "convolution_param { num_output: 4 %s }" % more))
for pool in ("MAX", "AVE"):
    for more in ("kernel_size: 2 stride: 2", "kernel_size: 3 stride: 2 pad: 1",
                 "global_pooling: true", "kernel_size: 5 stride: 3 pad: 2",
                 "kernel_size: 2 stride: 3"):
        cases.append(("Pooling", [IMAGE], "pooling_param { pool: %s %s }" % (pool, more)))
cases.append(("Im2col", [IMAGE], "convolution_param { kernel_size: 3 pad: 1 stride: 2 }"))
for kind, more in (("ReLU", ""), ("ReLU", "relu_param { negative_slope: 0.2 }"), ("ELU", ""),
                   ("Sigmoid", ""), ("TanH", ""), ("Swish", "swish_param { beta: 1.5 }"),
                   ("PReLU", ""), ("PReLU", "prelu_param { channel_shared: true }"),
                   ("Softmax", ""), ("BatchNorm", ""), ("Scale", "scale_param { bias_term: true }"),
                   ("Bias", ""), ("Dropout", "phase: TEST"), ("AbsVal", None), ("BNLL", None),
                   ("Clip", None), ("Softmax", None), ("MVN", None), ("LRN", None)):
    cases.append((kind, [IMAGE], more or ""))
    if more is not None:
        cases.append((kind + " in place", [IMAGE], more))
for kind, more in (
        ("Power", "power_param { power: 2 scale: 0.5 shift: 0.3 }"), ("Power", ""),
        ("Power", "power_param { scale: 0 shift: 2 power: 3 }"), ("Exp", "exp_param { base: 2 }"),
        ("Log", "log_param { shift: 20 scale: 1.5 base: 3 }"),
        ("MVN", "mvn_param { across_channels: true }"),
        ("LRN", "lrn_param { local_size: 3 alpha: 0.5 beta: 0.6 k: 2 }"),
        ("LRN", "lrn_param { local_size: 3 alpha: 2 norm_region: WITHIN_CHANNEL }"),
        ("Flatten", "flatten_param { axis: 2 }"), ("Tile", "tile_param { axis: 1 tiles: 3 }"),
        ("Reshape", "reshape_param { axis: 1 num_axes: 0 shape { dim: 1 } }"),
        ("Slice", "slice_param { axis: 2 slice_point: 2 slice_point: 3 }"),
        ("InnerProduct", "inner_product_param { num_output: 4 axis: 2 }"),
        ("InnerProduct", "inner_product_param { num_output: 4 transpose: true }"),
        ("Scale", "scale_param { axis: 2 }"), ("Bias", "bias_param { axis: 1 num_axes: 2 }"),
        ("Reduction", "reduction_param { operation: MEAN axis: 1 coeff: 1.5 }"),
        ("Reduction", "reduction_param { operation: ASUM axis: 2 }"),
        ("BatchNorm", "batch_norm_param { use_global_stats: true eps: 0.01 }"), ("Split", "")):
    cases.append((kind, [IMAGE], more))
for more in ("", "concat_param { axis: 2 }"):
    cases.append(("Concat", [IMAGE] * 3, more))
for more in ("operation: PROD", "operation: MAX", "coeff: 0.5 coeff: -1 coeff: 2"):
    cases.append(("Eltwise", [IMAGE] * 3, "eltwise_param { %s }" % more))
cases.append(("Crop", [IMAGE, (2, 3, 4, 3)], "crop_param { axis: 2 offset: 1 offset: 2 }"))
cases.append(("Scale", [IMAGE, (2, 3)], "scale_param { axis: 0 }"))

for number, (kind, shapes, more) in enumerate(cases):
    kind, _, place = kind.partition(" in ")
    names = ["d%d" % each for each in range(len(shapes))]
    text = "force_backward: true " + "".join(given(*((n,) + s)) for n, s in zip(names, shapes))
    bottoms, tops = names, ["t", "u", "v"][:3 if kind in ("Slice", "Split") else 1]
    if place:
        text += layer("Power", names, ["t"], name="before")
        bottoms = ["t"]
    text += layer(kind, bottoms, tops, more, name="x")
    for phase in (caffe.TRAIN, caffe.TEST):
        word = "%d %s%s %s %d" % (number, kind, place, more, phase)
        net = net_of(text, phase)
        rng = fill(net, number)
        if kind == "BatchNorm":
            net.params["x"][1].data[...] = abs(net.params["x"][1].data) + 0.1
            net.params["x"][2].data[...] = 2
        for turn in range(2):
            net.forward()
            for again in range(1 if place else 2):
                for top in tops:
                    net.blobs[top].diff[...] = rng.randn(*net.blobs[top].data.shape)
                net.backward()
                keep(net, "%s %d %d" % (word, turn, again))
            for name in names:
                net.blobs[name].data[...] *= 1.3
"""

# Losses, with weights and without; blobs that several read; what learns, and what does not.
NETS = """
D, LABEL = given("data", 3, 4, 2, 3), given("label", 3)
def ip(bottom, top, more="", outputs=5):
    return layer("InnerProduct", [bottom], [top],
                 "inner_product_param { num_output: %d } %s" % (outputs, more))
IP, FORCED = ip("data", "ip"), "force_backward: true "
def scored(kind, more="", name=None, tops=("loss",), other="label"):
    return layer(kind, ["ip", other], tops, more, name)
cases = {}
for word in ("", "loss_param { normalization: FULL }", "loss_param { normalize: false }",
             "loss_param { normalization: VALID ignore_label: 1 } loss_weight: 3"):
    cases["softmax " + word] = D + LABEL + IP + scored("SoftmaxWithLoss", word)
    cases["maps " + word] = D + given("label", 3, 1, 2, 3) + layer(
        "SoftmaxWithLoss", ["data", "label"], ["loss"], word + " propagate_down: true"
        " propagate_down: false")
cases["sigmoid"] = D + given("t", 3, 5) + IP + scored("SigmoidCrossEntropyLoss", other="t")
cases["hinge"] = D + LABEL + IP + scored("HingeLoss", "hinge_loss_param { norm: L2 }")
cases["infogain"] = D + LABEL + given("h", 1, 1, 5, 5) + IP + layer(
    "InfogainLoss", ["ip", "label", "h"], ["loss"])
cases["multinomial"] = (D + LABEL + IP + layer("Softmax", ["ip"], ["p"])
    + layer("MultinomialLogisticLoss", ["p", "label"], ["loss"]))
cases["contrastive"] = D + LABEL + IP + ip("data", "q") + layer(
    "ContrastiveLoss", ["ip", "q", "label"], ["loss"],
    "contrastive_loss_param { margin: 50 legacy_version: true }")
cases["two without tops"] = D + LABEL + IP + scored(
    "SoftmaxWithLoss", "loss_weight: 4", "one", ()) + scored("HingeLoss", "", "two", ())
cases["judged"] = D + LABEL + IP + scored("SoftmaxWithLoss") + layer(
    "Accuracy", ["ip", "label"], ["acc", "per"], "accuracy_param { top_k: 2 ignore_label: 1 }")
cases["two"] = D + LABEL + IP + ip("ip", "next") + scored(
    "SoftmaxWithLoss", "loss_weight: 0.3") + layer("HingeLoss", ["next", "label"], ["more"])
cases["weighted"] = D + ip("data", "ip", "loss_weight: 2") + layer(
    "Sigmoid", ["ip"], ["s"], "loss_weight: 0.5")
cases["slices"] = (D + IP
    + layer("Slice", ["ip"], ["a", "b", "c"], "slice_param { slice_point: 1 slice_point: 3 } "
            "loss_weight: 1 loss_weight: 0 loss_weight: 2", "cut")
    + layer("Power", ["a"], ["aa"], "power_param { power: 2 }") + layer("Power", ["a"], ["ab"]))
cases["loss of a loss"] = D + LABEL + IP + scored("SoftmaxWithLoss", "loss_weight: 5") + layer(
    "Power", ["loss"], ["m"], "power_param { scale: 3 } loss_weight: 2")
cases["shared"] = (FORCED + given("data", 3, 5)
    + ip("data", "ip", "param { name: 'w' } param { name: 'b' lr_mult: 0 }")
    + ip("ip", "next", "param { name: 'w' } param { name: 'b' } loss_weight: 1"))
cases["shared, one frozen"] = (given("data", 3, 5)
    + ip("data", "ip", "param { name: 'w' lr_mult: 0 } param { lr_mult: 0 }")
    + ip("ip", "next", "param { name: 'w' } loss_weight: 1"))
cases["permissive"] = (given("data", 3, 5) + ip("data", "ip", "param { name: 'w' }", 4)
    + ip("ip", "next", "param { name: 'w' share_mode: PERMISSIVE } loss_weight: 1"))
FROZEN = "param { lr_mult: 0 } param { lr_mult: 0 }"
for word, head in (("frozen", ""), ("frozen, forced", FORCED)):
    cases[word] = head + D + LABEL + ip("data", "q", FROZEN) + ip("q", "ip") + scored(
        "SoftmaxWithLoss")
cases["stopped"] = D + LABEL + ip("data", "q") + ip("q", "ip", "propagate_down: false") + scored(
    "SoftmaxWithLoss")
for word, head in (("half", ""), ("half, forced", FORCED)):
    cases[word] = head + D + IP + ip("data", "q", "propagate_down: false") + layer(
        "EuclideanLoss", ["ip", "q"], ["loss"], "propagate_down: true propagate_down: false")
cases["silence"] = D + IP + layer("Silence", ["ip"], []) + ip("data", "q", "loss_weight: 1")
cases["statistics first"] = (D + layer("BatchNorm", ["data"], ["b"], "phase: TEST")
    + layer("Bias", ["b"], ["s"]) + layer("ReLU", ["s"], ["s"], name="r")
    + layer("Reduction", ["s"], ["loss"], "loss_weight: 1"))
cases["statistics frozen"] = cases["statistics first"].replace("phase: TEST",
    "param { lr_mult: 0 } param { lr_mult: 0 } param { lr_mult: 0 }")
cases["nothing learns"] = D + layer("Reduction", ["data"], ["loss"], "loss_weight: 1")

for number, word in enumerate(sorted(cases)):
    for phase in (caffe.TRAIN, caffe.TEST):
        net = net_of(cases[word], phase)
        fill(net, number)
        for blob in net.params.get("b", [])[1:]:
            blob.data[...] = abs(blob.data) + 0.1
        key = "%s %d" % (word, phase)
        out[key + " weights"] = [repr(each) for each in net._blob_loss_weights]
        out[key + " blobs"] = list(net._blob_names)
        out[key + " tops"] = [repr(list(net._top_ids(each))) for each in range(len(net.layers))]
        out[key + " layers"] = list(net._layer_names)
        for turn in range(2):
            out["%s %d loss" % (key, turn)] = net._forward(0, len(net.layers) - 1)
            net.backward()
            keep(net, "%s %d" % (key, turn))
            if word.startswith("statistics"):  # which Caffe gives an input unasked
                del out["%s %d diff data" % (key, turn)]
"""


@pytest.mark.parametrize("script", [LAYERS, NETS], ids=["layers", "nets"])
def test_values_and_gradients_are_as_pycaffes(script, caffe, tmp_path):
    check_equal(HEAD + script, tmp_path, tolerance=1e-4)
