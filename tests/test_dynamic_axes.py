"""DynamicAxes: which sizes of a net's inputs may change, and which of its tops change with them."""

import pytest
from layer_text import CONV, POOL, declare, source

from fcnkit.errors import NetError
from fcnkit.exporting.dynamic_axes import dynamic_axes
from fcnkit.formats import prototxt
from fcnkit.nets.graph import build

A = source("a", 2, 6, 16, 12)
B = source("b", 1, 6, 9, 12)
HALF = declare("Pooling", POOL("kernel_size: 2 stride: 2"))
BACK = declare(
    "Deconvolution", CONV("kernel_size: 2 stride: 2"), bottoms=("t",), tops=("u",), name="up"
).replace("num_output: 4", "num_output: 6")
SUM = declare("Eltwise", bottoms=("a", "u"), tops=("v",), name="sum")


def of(text):
    graph = build(prototxt.parse(text, "net.prototxt"))
    return dynamic_axes(
        graph, {top.blob: graph.producer(top).input_shapes[top.index] for top in graph.inputs}
    )


def named(text, blob):
    found = of(text)
    return found.named(found.graph.top(blob))


@pytest.mark.parametrize(
    "text, blob, sizes",
    [
        (A, "a", ("batch", 6, "height", "width")),
        (A + HALF, "t", ("batch", 6, "t_2", "t_3")),
        (A + HALF + BACK, "u", ("batch", 6, "height", "width")),
        (A + declare("InnerProduct", "inner_product_param { num_output: 5 }"), "t", ("batch", 5)),
        (
            A + declare("InnerProduct", "inner_product_param { num_output: 5 }"),
            "a",
            ("batch", 6, 16, 12),
        ),
        (A + declare("Pooling", POOL("global_pooling: true")), "t", ("batch", 6, 1, 1)),
        (source("a", 3, 5) + declare("ReLU"), "t", ("batch", 5)),
        (A + B + declare("Concat"), "b", ("b_batch", 6, "b_height", "width")),
    ],
)
def test_sizes_by_name(text, blob, sizes):
    assert named(text, blob) == sizes


def test_a_net_that_takes_multiples_alone():
    found = of(A + HALF + BACK + SUM)
    assert found.dims(found.graph.top("v")) == (None, 6, None, None)
    # 29 x 19 is no multiple of 2: what is left is the largest that was tried.
    assert found.others() == [{"a": (2, 6, 32, 24)}]


def test_a_net_that_keeps_the_corners():
    # 17 -> 9 -> 17: sizes of 8 n + 1 alone.
    text = source("a", 1, 6, 17, 17) + declare("Interp", "interp_param { shrink_factor: 8 }")
    text += (
        declare("Interp", "interp_param { zoom_factor: 8 }", bottoms=("t",), tops=("u",), name="up")
        + SUM
    )
    found = of(text)
    assert found.named(found.graph.top("v")) == ("batch", 6, "height", "width")


def test_other_sizes_are_odd():
    assert of(A + HALF).others() == [{"a": (3, 6, 29, 19)}, {"a": (2, 6, 13, 9)}]


def test_large_images():
    found = of(source("a", 1, 64, 2000, 4000) + declare("ReLU"))
    assert found.named(found.graph.top("t")) == ("batch", 64, "height", "width")


def test_no_size_may_change():
    found = of(A + declare("Reshape", "reshape_param { shape { dim: 64 dim: 36 } }"))
    assert found.dims(found.graph.top("t")) == (64, 36) and found.others() == []
    assert found.names == {}


def test_a_net_that_caffe_refuses():
    with pytest.raises(NetError, match='net.prototxt:2: layer "x"'):
        of(A + declare("Reshape", "reshape_param { shape { dim: 5 } }"))
