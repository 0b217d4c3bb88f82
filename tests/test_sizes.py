"""Sizes at any input size: the few layers that
are computed against the inference of the whole net.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sketches import conv, crop, data, deconv, graph, layer, pool, relu, template

from fcnkit.errors import NetError
from fcnkit.nets.coords import downward
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of
from fcnkit.nets.sizes import Sizes
from fcnkit.rewrites.padding import first_layers, pad_first

OWN = 200


def sizes_of(found, *blobs, first=()) -> Sizes:
    start = found.inputs[0]
    return Sizes(
        found, start, shapes_of(found).tops[start], tuple(map(found.top, blobs)), first=first
    )


def block(name, bottom, kind):
    """Layers on one resolution, or on a coarser one, that end in a blob `name`."""
    if kind == "residual":
        a, b = f"{name}a", f"{name}b"
        body = conv(a, bottom, 2, 3, "pad: 1") + relu(a) + conv(b, bottom, 2, 1)
        return body + layer(name, "Eltwise", a, b)
    if kind == "inception":
        a, b, c = f"{name}a", f"{name}b", f"{name}c"
        body = conv(a, bottom, 3, 5, "pad: 2") + pool(b, bottom, 3, 1, "pad: 1") + conv(c, b, 1, 1)
        return body + layer(name, "Concat", a, c) + layer(f"{name}n", "LRN", name, top=name)
    if kind == "twins":
        a, b = f"{name}a", f"{name}b"
        body = conv(a, bottom, 3, 3, "stride: 2") + conv(b, bottom, 5, 3, "stride: 2")
        return body + layer(name, "Concat", a, b)
    if kind == "branches":
        a, b = f"{name}a", f"{name}b"
        body = conv(a, bottom, 2, 3, "pad: 1 stride: 2") + pool(b, bottom, 2, 2)
        return body + conv(f"{name}c", b, 2, 1) + layer(name, "Concat", a, f"{name}c")
    if kind == "dilated":
        return conv(name, bottom, 4, 3, "dilation: 2 pad: 1")
    if kind == "pool":
        return pool(name, bottom, 3, 2)
    return conv(name, bottom, 4, 5, "stride: 3 pad: 1")


KINDS = ("residual", "inception", "twins", "branches", "dilated", "pool", "strided")


def drawn(kinds):
    names = [f"b{number}" for number in range(len(kinds))]
    bottoms = ["first", *names]
    layers = [block(*each) for each in zip(names, bottoms[: len(names)], kinds, strict=True)]
    return graph(data(1, 3, OWN, OWN), conv("first", "data", 2, 3, "pad: 1"), *layers), names


def inferred(found, size):
    """Every top's shape by inference of the whole net; None where it cannot be built."""
    try:
        return shapes_of(found, {"data": (1, 3, size, size)}).tops
    except NetError:
        return None


# ---- laws


@given(st.lists(st.sampled_from(KINDS), max_size=5), st.integers(1, 120))
@settings(max_examples=60, deadline=None)
def test_they_are_those_of_the_whole_net(kinds, size):
    found, names = drawn(kinds)
    try:
        sizes = sizes_of(found, "first", *names)
    except NetError:
        return  # branches that differ at the net's own size
    try:
        known = sizes.at(size)
    except NetError:
        known = None
    wanted = inferred(found, size)
    assert (known is None) == (wanted is None)
    for top in sizes.tops if wanted else ():
        assert known[top] == wanted[top]


@given(st.lists(st.sampled_from(KINDS), max_size=4), st.integers(20, 90), st.integers(0, 60))
@settings(max_examples=40, deadline=None)
def test_more_padding_is_that_of_the_padded_net(kinds, size, more):
    found, names = drawn(kinds)
    padded = build(pad_first(found.prototxt, 1 + more).net)
    try:
        sizes = sizes_of(found, "data", *names, first=first_layers(found)).padded(more, more)
        known, wanted = sizes.at(size), sizes_of(padded, "data", *names).at(size)
    except NetError:
        return
    places = downward(padded, padded.inputs[0])
    for blob in ("data", *names):
        top = found.top(blob)
        assert known[top] == wanted[top]
        if top in places:
            assert sizes.track(top).place == places[top]
            assert sizes.track(top).size(known) == known[top][2:]


def test_what_has_no_fixed_place_is_computed_as_it_stands():
    found = graph(
        data(1, 4, 40, 40),
        conv("a", "data", 4, 3, "stride: 2 pad: 1"),
        layer("p", "Pooling", "a", more="pooling_param { pool: AVE global_pooling: true }"),
        layer("f", "Flatten", "p"),
        layer("s", "Scale", "a", "f", more="scale_param { axis: 0 }"),
        layer("r", "Reshape", "a", more="reshape_param { shape { dim: 0 dim: -1 dim: 1 dim: 1 } }"),
        deconv("up", "s", 4, 4, 2),
        crop("cut", "up", "data", 1),
    )
    sizes = sizes_of(found, "s", "r", "cut")
    for size in (1, 2, 39, 41, 64):
        wanted = shapes_of(found, {"data": (1, 4, size, size)}).tops
        assert all(sizes.at(size)[top] == wanted[top] for top in sizes.tops)


# ---- speed, by counting


def test_a_deep_net_has_few_sizes():
    kinds = ["residual"] * 40 + ["pool"] + ["inception"] * 40
    found, names = drawn(kinds)
    assert len(found.layers) > 300
    assert [each.name for each in sizes_of(found, names[-1]).distinct] == ["b40"]
    vgg = template("vgg16")
    assert len(sizes_of(build(vgg), "pool5").distinct) == 5


@pytest.mark.parametrize("least", [1, 30])
def test_one_period_is_looked_at_once(least, monkeypatch):
    found, names = drawn(["pool", "residual", "pool", "inception"])
    sizes, asked = sizes_of(found, names[-1]), []
    monkeypatch.setattr(sizes, "at", lambda size: asked.append(size) or Sizes.at(sizes, size))
    first, second = sizes.worth_checking(least), sizes.worth_checking(least)
    assert first is second and len(asked) == len(set(asked)) <= sizes.period + 8
