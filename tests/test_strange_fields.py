"""Nothing is computed across a layer with a field that nobody knows; neutral ones do not matter."""

import numpy as np
import pytest

import fcnkit as fk
from fcnkit.engines import opencv
from fcnkit.engines.torch import engine as torch_engine
from fcnkit.errors import NetError, PrototxtError
from fcnkit.nets.graph import build
from fcnkit.nets.layers.strange_fields import fork_fields, not_understood
from fcnkit.nets.shapes import shapes_of

INPUT = """layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 4 dim: 8 dim: 8 } } }
"""
CONV = "convolution_param { num_output: 4 kernel_size: 8 %s }"


def _net(*layers: tuple[str, str]) -> fk.Prototxt:
    text, bottom = INPUT, "data"
    for number, (kind, params) in enumerate(layers):
        name = f"x{number}"
        text += (
            f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{name}" {params} }}\n'
        )
        bottom = name
    return fk.parse(text)


@pytest.mark.parametrize(
    "kind, params, names",
    [
        ("Convolution", CONV % "relu: true", ["relu"]),
        ("Convolution", CONV % "engine: MKL2017", []),
        ("Convolution", CONV % "hole: 2 pad_l: 1", []),
        ("Convolution", f"{CONV} quantization_param {{ }}" % "", ["quantization_param"]),
        ("Pooling", "pooling_param { kernel_size: 2 dilation: 4 }", ["dilation"]),
        ("Pooling", "pooling_param { kernel_size: 2 ceil_mode: false }", []),
        ("BatchNorm", "batch_norm_param { scale_bias: true }", ["scale_bias"]),
        ("ReLU", "relu_param { relu6: true }", ["relu6"]),
        ("ReLU", "relu_param { negative_slope: 0.1 }", []),
        ("Interp", "interp_param { zoom_factor: 2 }", []),
        ("Interp", "interp_param { zoom_factor: 2 zoom: 3 }", ["zoom"]),
        ("DetectionOutput", "detection_output_param { num_classes: 21 }", []),
        ("Permute", "permute_param { order: [0, 2, 3, 1] odrer: 0 }", ["odrer"]),
        ("BN", "bn_param { bn_mode: INFERENCE slope: 3 }", ["slope"]),
        ("Convolution", f"{CONV} binarize: true" % "", ["binarize"]),
        ("Convolution", f"{CONV} engine: MKL2017 strict_dim: false" % "", []),
        ("Scale", "scale_param { bias_term: true } relu_param { }", ["relu_param"]),
        ("Pooling", "pooling_param { kernel_size: 2 } power_param { scale: 2 }", ["power_param"]),
        ("Scale", "scale_param { } loss_weight: 0 propagate_down: true", []),
        ("Flatten", 'flatten_param { order: "NHWC" }', ["order"]),
    ],
)  # fmt: skip
def test_fields_that_may_change_what_is_computed(kind, params, names):
    layer = build(_net((kind, params))).layer("x0")
    assert [field.name for field, _ in fork_fields(layer)] == names
    assert bool(not_understood(layer)) == bool(names)
    assert not not_understood(layer, names)


RELU = ("Convolution", CONV % "relu: true")
SCALE = ("Scale", "scale_param { bias_term: true }")


@pytest.mark.parametrize(
    "layers, rewrite",
    [
        ((RELU, SCALE), fk.fold),
        ((RELU,), fk.to_fc),
        (
            (("InnerProduct", "inner_product_param { num_output: 3 normalize: true }"),),
            fk.convolutionalize,
        ),
    ],
)
def test_such_a_layer_is_kept_with_the_reason(layers, rewrite):
    plan = rewrite(_net(*layers))
    assert [step.verb for step in plan.steps] == ["keep"]
    assert "may change what it computes" in plan.steps[0].why
    assert plan.net.text == plan.before.text and not plan.moves


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda net: fk.reclass(net, "x0", [0, 1]),
        lambda net: fk.decimate(net, "x0", 2),
        lambda net: fk.add_channels(net, 5),
        lambda net: fk.regroup(net, "x0", 2),
    ],
)
def test_such_a_layer_is_not_changed(rewrite):
    with pytest.raises(NetError, match='x0": its field "relu", of Intel.*; remove the field'):
        rewrite(_net(RELU))


@pytest.mark.parametrize(
    "words",
    [
        "scale_bias: true",
        "scale_filler { value: 1 }",
        "bias_filler { value: 0 }",
        "scale_bias: false scale_filler { value: 1 }",
    ],
)
def test_nvcaffes_factor_and_summand_are_folded(words):
    """A filler of either says that there are both."""
    norm = ("BatchNorm", f"batch_norm_param {{ {words} }}")
    plan = fk.fold(_net(("Convolution", CONV % ""), norm))
    assert [step.verb for step in plan.steps] == ["change", "remove"]
    assert (("x1", 3) in plan.moves[0].reads) and (("x1", 4) in plan.moves[0].reads)


def test_a_pooling_of_an_unknown_field_has_an_unknown_size():
    graph = build(_net(("Pooling", "pooling_param { kernel_size: 2 dilation: 4 }")))
    top = graph.top("x0")
    assert shapes_of(graph).tops[top] is None
    assert "may change its size" in shapes_of(graph).reason(top)
    with pytest.raises(fk.FcnkitError, match="cannot be mapped"):
        fk.coords(graph.prototxt, "x0", "data")


FC = ("InnerProduct", "inner_product_param { num_output: 3 }")
FLATTENS = [
    ("Flatten", 'flatten_param { order: "NHWC" }'),
    ("Reshape", "reshape_param { shape { dim: 0 dim: -1 } nhwc: true }"),
    ("Flatten", "nhwc_param { on: true }"),
    ("Flatten", "nhwc: true"),
]


@pytest.mark.parametrize("flatten", FLATTENS)
def test_a_flatten_in_an_order_of_its_own_stays(flatten):
    plan = fk.convolutionalize(_net(flatten, FC))
    assert [step.verb for step in plan.steps] == ["keep"]
    assert plan.net.text == plan.before.text and not plan.moves


def test_groups_of_a_layer_with_such_a_field_stay():
    grouped = ("Convolution", CONV % "group: 2 shuffle: true")
    plan = fk.ungroup(_net(grouped))
    assert [step.verb for step in plan.steps] == ["keep"] and '"shuffle"' in plan.steps[0].why
    assert not plan.moves
    assert fk.ungroup(_net(("Convolution", CONV % "group: 2"))).moves


@pytest.mark.parametrize(
    "layer", [("ReLU", "shuffle_thing_param { g: 2 }"), ("Swish", "per_channel: true")]
)
def test_no_channels_are_followed_through_such_a_layer(layer):
    head = ("Convolution", CONV % "")
    for rewrite, layers in (
        (lambda net: fk.reclass(net, "x0", [0, 1]), (head, layer)),
        (lambda net: fk.add_channels(net, 5), (layer, head)),
    ):
        with pytest.raises(NetError, match="may change what it computes"):
            rewrite(_net(*layers))


def test_a_field_of_the_net_that_nobody_knows_is_refused(tmp_path):
    pytest.importorskip("torch")
    net = fk.parse("quantize: true\n" + _net(("ReLU", "")).text)
    known = fk.parse("default_forward_type: FLOAT16\n" + _net(("ReLU", "")).text)
    image = np.ones((1, 4, 8, 8), np.float32)
    for run in (torch_engine.run, opencv.run):
        with pytest.raises(PrototxtError, match='a net has no field "quantize".*; remove it'):
            run(net, None, {"data": image}, ["x0"])
        assert run(known, None, {"data": image}, ["x0"])["x0"].all()
    pytest.importorskip("onnx")
    with pytest.raises(PrototxtError, match='a net has no field "quantize"'):
        fk.export(net, None)


def test_lint_looks_into_the_messages_of_forks():
    found = fk.lint(_net(("BN", "bn_param { foo: 3 }"), ("Axpy", "")))
    assert [each.text for each in found if each.name == "unknown-field"] == [
        'bn_param has no field "foo" in any fork that is known; remove it'
    ]
