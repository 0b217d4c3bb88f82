"""The quantities that rules speak of, in numbers counted by hand."""

import pytest
from target_nets import INPUT

from fcnkit.formats import prototxt
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of
from fcnkit.targets.quantities import QUANTITIES

WINDOW = (
    "num_output: 8 kernel_h: 3 kernel_w: 5 stride_h: 2 stride_w: 1 pad_h: 1 pad_w: 4 dilation: 2"
)
DATA = INPUT.format("data", "dim: 2 dim: 4 dim: 40 dim: 30")
UNSAID = 'layer { name: "data" type: "Input" top: "data" }\n'


def quantity(name, kind, param, *, data=DATA, more="", bottoms="data", tops="it"):
    blobs = " ".join(f'bottom: "{blob}"' for blob in bottoms.split())
    blobs += " ".join(f' top: "{blob}"' for blob in tops.split())
    net = data + f'layer {{ name: "it" type: "{kind}" {blobs} {param} }}\n' + more
    graph = build(prototxt.parse(net))
    found = QUANTITIES[name].of(graph.layer("it"), shapes_of(graph, refuse=lambda *_: None))
    return found.known, found.whole


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("kernel", (3, 5)),
        ("stride", (2, 1)),
        ("pad", (1, 4)),
        ("dilation", (2, 2)),
        ("extent", (5, 9)),
        ("kernel_area", (15,)),
        ("stride_area", (2,)),
        ("excess", (-3, -4)),
        ("group", (1,)),
        ("grouping", ("none",)),
        ("channels", (4,)),
        ("outputs", (8,)),
        ("batch", (2, 2)),
        ("height", (40, 19)),
        ("width", (30, 30)),
        ("axes", (4,)),
        ("axis", (1,)),
        ("bottoms", (1,)),
        ("tops", (1,)),
        ("readers", ()),
        ("blobs", (2,)),
    ],
)
def test_of_a_convolution(name, values):
    param = f"convolution_param {{ {WINDOW} }}"
    assert quantity(name, "Convolution", param) == (values, True)


def test_every_quantity_is_counted_above():
    told = next(mark for mark in test_of_a_convolution.pytestmark if mark.name == "parametrize")
    assert {name for name, _ in told.args[1]} == QUANTITIES.keys()


@pytest.mark.parametrize(
    ("group", "outputs", "word"),
    [(1, 8, "none"), (2, 8, "some"), (4, 4, "depthwise"), (4, 8, "multiplied")],
)
def test_the_groups_of_a_convolution(group, outputs, word):
    param = f"convolution_param {{ num_output: {outputs} kernel_size: 3 group: {group} }}"
    assert quantity("grouping", "Convolution", param) == ((word,), True)
    unknown = quantity("grouping", "Convolution", param, data=UNSAID)
    assert unknown == ((word,), True) if group == 1 else unknown == ((), False)


def test_a_forks_depthwise_convolution_has_a_group_for_each_channel():
    param = "convolution_param { num_output: 4 kernel_size: 3 }"
    assert quantity("grouping", "ConvolutionDepthwise", param) == (("depthwise",), True)


def test_a_global_pooling_has_its_bottoms_size_for_a_kernel():
    param = "pooling_param { pool: AVE global_pooling: true }"
    assert quantity("kernel", "Pooling", param) == ((40, 30), True)
    assert quantity("kernel", "Pooling", param, data=UNSAID) == ((), False)
    assert quantity("stride", "Pooling", param) == ((1, 1), True)


def test_an_axis_from_the_end_is_counted_from_the_front():
    def axis(param, data=DATA):
        return quantity("axis", "Concat", f"concat_param {{ {param} }}", data=data)

    assert axis("axis: -1") == ((3,), True)
    assert axis("concat_dim: 2") == ((2,), True)
    assert axis("axis: 2", UNSAID) == ((2,), True)
    assert axis("axis: -1", UNSAID) == ((), False)
    assert axis("axis: 9") == ((9,), True)
    assert axis("axis: -9") == ((), False)


def test_a_layer_without_a_window_or_an_axis_has_none():
    for name in ("kernel", "group", "grouping", "outputs", "axis"):
        assert quantity(name, "ReLU", "") == ((), True)


def test_some_sizes_may_be_known_and_others_not():
    more = INPUT.format("other", "dim: 1 dim: 1 dim: 5000 dim: 9")
    found = quantity("height", "Eltwise", "", data=UNSAID + more, bottoms="data other")
    assert found == ((5000,), False)


def test_what_reads_a_layer_is_told_by_type():
    more = 'layer { name: "r" type: "ReLU" bottom: "it" top: "it" }\n'
    assert quantity("readers", "BatchNorm", "", more=more) == (("ReLU",), True)
