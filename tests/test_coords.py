"""Maps between two tops of a graph, and the offsets of Crops."""

import re
from fractions import Fraction as F

import pytest
from sketches import conv, crop, data, deconv, fc, graph, layer, net, pool, relu

import fcnkit as fk
from fcnkit.errors import AlignError
from fcnkit.nets import coords
from fcnkit.nets.coordmap import CoordMap


def base(conv_more="", kernel=2, stride=2, up=2, up_kernel=None, up_more="", path=()):
    """data, a convolution, a pooling, a deconvolution: pycaffe's own test net."""
    return graph(
        data(2, 1, 100, 100),
        conv("conv", "data", 10, 3, conv_more),
        *path,
        pool("pool", "conv", kernel, stride),
        deconv("deconv", "pool", 10, up_kernel or 2 * up, up, up_more),
    )


def between(found, start="deconv", end="data"):
    return coords.between(found, found.top(start), found.top(end))


def one(scale, shift) -> CoordMap:
    return CoordMap((scale,) * 2, (shift,) * 2)


# ---- laws


@pytest.mark.parametrize("pad", range(0, 11, 5))
def test_there_and_back_is_the_identity(pad):
    found = base(f"pad: {pad}")
    for top in found.tops:
        for other in found.tops:
            there = coords.between(found, top, other)
            assert there.then(coords.between(found, other, top)) == CoordMap()


def test_a_way_is_the_composition_of_its_parts():
    found = base("pad: 3")
    whole = between(found)
    assert between(found, "deconv", "pool").then(between(found, "pool", "data")) == whole


def test_upward_and_downward_are_inverse():
    found = base("pad: 7")
    up = coords.upward(found, found.top("deconv")).maps
    down = coords.downward(found, found.top("data"))
    assert all(up[top] == down[found.top("deconv")].inverse().then(down[top]) for top in down)


# ---- tables: the cases of pycaffe's coord_map tests


@pytest.mark.parametrize(
    ("options", "scale", "shift"),
    [
        ({}, 1, 0),
        ({"stride": 4, "kernel": 4, "up": 4}, 1, -1),
        ({"conv_more": "pad: 7"}, 1, -7),
        ({"up_more": "pad: 7"}, 1, 7),
        ({"conv_more": "pad: 4", "up_more": "pad: 4"}, 1, 0),
        ({"stride": 3, "kernel": 3, "up": 2}, F(3, 2), F(-1, 4)),
    ],
)
def test_from_the_deconvolution_to_the_data(options, scale, shift):
    assert between(base(**options)) == one(scale, shift)


def test_layers_of_one_value_pass_coordinates():
    plain = between(base())
    found = graph(
        data(2, 1, 100, 100),
        conv("conv", "data", 10, 3),
        relu("conv"),
        conv("same", "conv", 10, 1),
        pool("pool", "same", 2, 2),
        deconv("deconv", "pool", 10, 4, 2),
    )
    assert between(found) == plain


def test_two_tops_of_one_convolution_have_one_map():
    text = layer(
        "conv",
        "Convolution",
        "data",
        "other",
        more='top: "b" convolution_param { num_output: 2 kernel_size: 5 stride: 2 }',
    )
    found = graph(data(1, 1, 50, 50), data(1, 1, 50, 50, name="other"), text)
    assert between(found, "conv", "data") == between(found, "b", "other") == one(2, 2)


def test_axes_may_differ():
    more = "kernel_h: 3 kernel_w: 5 stride_h: 1 stride_w: 2 pad_h: 0 pad_w: 10"
    text = layer("odd", "Convolution", "data", more=f"convolution_param {{ num_output: 1 {more} }}")
    three = conv("three", "data", 1, 3)
    five = conv("five", "data", 1, 5, "stride: 2 pad: 10")
    found = graph(data(1, 1, 40, 40), text, three, five)
    rows, columns = between(found, "three", "data").axes[0], between(found, "five", "data").axes[1]
    assert between(found, "odd", "data").axes == (rows, columns)


@pytest.mark.parametrize("spatial", [(20,), (20, 18), (20, 18, 16), (9, 9, 9, 9)])
def test_a_layer_slides_over_as_many_axes_as_its_bottom_has(spatial):
    dims = " ".join(f"dim: {size}" for size in (1, 2, *spatial))
    text = f"""layer {{ name: "data" type: "Input" top: "data"
  input_param {{ shape {{ {dims} }} }} }}
layer {{ name: "c" type: "Convolution" bottom: "data" top: "c"
  convolution_param {{ num_output: 2 kernel_size: 3 stride: 2 pad: 1 }} }}
layer {{ name: "u" type: "Deconvolution" bottom: "c" top: "u"
  convolution_param {{ num_output: 2 kernel_size: 4 stride: 2 }} }}
"""
    found = fk.build(fk.parse(text))
    place = between(found, "u", "data")
    assert place.scale == (1,) * len(spatial) and place.shift == (F(-3, 2),) * len(spatial)
    row = fk.inspect(found.prototxt).rows[1]
    assert row.scale == (F(1, 2),) * len(spatial) and row.field == (3,) * len(spatial)


def test_one_kernel_for_each_of_three_axes():
    text = """layer { name: "data" type: "Input" top: "data" input_param { shape {
  dim: 1 dim: 3 dim: 16 dim: 32 dim: 32 } } }
layer { name: "c" type: "Convolution" bottom: "data" top: "c"
  convolution_param { num_output: 4 kernel_size: 3 kernel_size: 5 kernel_size: 7 } }
"""
    row = fk.inspect(fk.parse(text)).rows[1]
    assert row.shape == (1, 4, 14, 28, 26) and row.field == (3, 5, 7)
    assert row.offset == (-1, -2, -3)


def test_a_crop_adds_its_offset():
    found = graph(
        data(2, 1, 100, 100),
        conv("conv", "data", 10, 3, "pad: 12"),
        pool("pool", "conv", 2, 2),
        deconv("deconv", "pool", 10, 4, 2),
        crop("crop", "deconv", "data", 3),
    )
    assert between(found, "crop", "data").shift[0] == between(found).shift[0] + 3


def test_a_crop_does_not_follow_its_reference():
    found = graph(
        data(1, 1, 9, 9), data(1, 1, 5, 5, name="small"), crop("crop", "data", "small", 2)
    )
    assert coords.carriers(found.layer("crop")) == [found.top("data")]
    with pytest.raises(AlignError, match="cannot be mapped"):
        between(found, "crop", "small")


@pytest.mark.parametrize("kind", ["Concat", "Eltwise"])
def test_branches_that_agree_are_one(kind):
    found = graph(
        data(1, 1, 40, 40),
        conv("a", "data", 2, 1),
        conv("b", "data", 2, 3, "pad: 1"),
        conv("c", "data", 2, 5, "pad: 2"),
        layer("join", kind, "a", "b", "c"),
    )
    assert between(found, "join", "data") == CoordMap()


@pytest.mark.parametrize("kind", ["Concat", "Eltwise"])
def test_branches_that_disagree_are_refused_with_both_ways(kind):
    found = graph(
        data(1, 1, 40, 40),
        conv("a", "data", 2, 3, "pad: 1"),
        conv("b", "data", 2, 3),
        crop("c", "a", "b", 0),
        layer("join", kind, "c", "b"),
    )
    with pytest.raises(
        AlignError, match=r'from "join" to "data" one path gives .*shift=1\).*shift=0\).*agree'
    ):
        between(found, "join", "data")


def test_a_branch_that_disagrees_is_left_out_on_the_way_down():
    found = graph(
        data(1, 1, 40, 40),
        conv("a", "data", 2, 3, "pad: 1"),
        conv("b", "data", 2, 3),
        crop("c", "a", "b", 0),
        layer("join", "Eltwise", "c", "b"),
        relu("join"),
    )
    down = coords.downward(found, found.top("data"))
    assert found.top("b") in down and found.top("join") not in down


def test_two_common_ancestors_that_disagree_are_refused():
    found = graph(
        data(1, 1, 40, 40),
        data(1, 1, 40, 40, name="depth"),
        layer("one", "Eltwise", "data", "depth"),
        conv("shifted", "depth", 1, 3),
        crop("small", "data", "shifted", 0),
        layer("two", "Eltwise", "small", "shifted"),
    )
    with pytest.raises(
        AlignError, match='there is .* through "data" and .* through "depth"|through "depth" and'
    ):
        between(found, "one", "two")


# ---- refusals


def test_an_inner_product_ends_coordinates_and_is_named():
    found = graph(data(1, 1, 9, 9), conv("conv", "data", 2, 3), fc("ip", "conv", 3))
    with pytest.raises(
        AlignError, match=r'"ip" cannot be mapped to "data".*end at "ip" \(InnerProduct, line \d+\)'
    ):
        between(found, "ip", "data")


def test_a_type_that_is_not_known_ends_coordinates_and_is_named():
    found = graph(data(1, 1, 9, 9), layer("odd", "Warp", "data"), conv("conv", "odd", 2, 3))
    with pytest.raises(AlignError, match=r'"odd" \(Warp, line'):
        between(found, "conv", "data")


def test_two_inputs_are_not_connected():
    found = graph(data(1, 1, 9, 9), data(1, 1, 9, 9, name="other"))
    with pytest.raises(AlignError, match='"data" cannot be mapped to "other"'):
        between(found, "data", "other")


def offset(found, cropped="deconv", reference="data"):
    exact = coords.offset(found, found.top(cropped), found.top(reference))
    return coords.whole(found, found.top(cropped), found.top(reference), exact)


def test_the_offset_is_where_the_reference_begins():
    assert offset(base("pad: 7")) == (7, 7)
    assert offset(base(stride=4, kernel=4, up=4)) == (1, 1)
    assert offset(base(), "data", "data") == (0, 0)


def test_another_resolution_is_refused():
    with pytest.raises(AlignError, match=r'"deconv" has 2/3 times the resolution of "data"'):
        offset(base(stride=3, kernel=3))


def followed(text: str, message: str):
    """The text with what the message's remedy says done to it."""
    kernel = re.search(r'give layer "(\w+)" kernel_size (\d+) instead of (\d+)', message)
    if kernel:
        name, better, old = kernel.groups()
        head, tail = text.split(f'name: "{name}"')
        return f'{head}name: "{name}"' + tail.replace(
            f"kernel_size: {old}", f"kernel_size: {better}", 1
        )
    name, more = re.search(r'pad layer "(\w+)" by (\d+) more', message).groups()
    head, tail = text.split(f'name: "{name}"')
    old = int(re.search(r"pad: (\d+)", tail)[1])
    return f'{head}name: "{name}"' + tail.replace(f"pad: {old}", f"pad: {old + int(more)}", 1)


@pytest.mark.parametrize(
    ("pad", "kernel", "up", "up_kernel"),
    [
        (7, 2, 2, 3),
        (7, 3, 2, 4),
        (40, 3, 2, 4),
        (9, 2, 4, 7),
        (0, 3, 2, 3),
        (0, 2, 2, 10),
        (1, 6, 8, 16),
        (0, 11, 2, 3),
    ],
)
def test_following_the_remedies_cures(pad, kernel, up, up_kernel):
    text = "".join(
        [
            data(1, 1, 60, 60),
            conv("conv", "data", 2, 3, f"pad: {pad}"),
            pool("pool", "conv", kernel, up),
            deconv("deconv", "pool", 2, up_kernel, up),
        ]
    )
    for _ in range(2):
        try:
            found = offset(fk.build(fk.parse(text)))
            break
        except AlignError as error:
            assert re.match(
                r'<text>:\d+: layer "deconv": cropping "deconv" to "data" needs the offset',
                str(error),
            )
            text = followed(text, str(error))
    else:
        found = offset(fk.build(fk.parse(text)))
    assert min(found) >= 0


def test_the_remedy_for_padding_counts_in_the_layers_own_pixels():
    found = graph(
        data(1, 1, 64, 64),
        pool("pool", "data", 2, 2),
        conv("conv", "pool", 2, 8),
        deconv("deconv", "conv", 2, 4, 2),
    )
    missing = -coords.offset(found, found.top("deconv"), found.top("data"))[0]
    assert missing == 6
    with pytest.raises(AlignError, match=r'pad layer "conv" by 3 more'):
        offset(found)


# ---- the public function


def test_coords_takes_blob_names():
    found = fk.coords(
        net(data(1, 1, 20, 20), conv("conv", "data", 2, 3, "pad: 31")), "conv", "data"
    )
    assert found == one(1, -30)


@pytest.mark.parametrize(
    "text, words",
    [
        (
            'type: "Convolution" convolution_param { num_output: 2 kernel_size: 3 stride: 2 '
            "pad_type: 1 }",
            "pad_type 1 with a stride pads by the size of the bottom, so positions in "
            '"data" cannot be mapped to "odd"; write pad_t, pad_l, pad_b and pad_r',
        ),
        (
            'type: "Interp" interp_param { height: 20 width: 20 }',
            "it makes the same size of every input, so positions in "
            '"data" cannot be mapped to "odd"; '
            "give it zoom_factor or shrink_factor instead of a size",
        ),
    ],
)
def test_a_layer_without_a_map_says_why(text, words):
    found = graph(data(1, 1, 9, 9), f'layer {{ name: "odd" bottom: "data" top: "odd" {text} }}')
    with pytest.raises(AlignError) as caught:
        between(found, "data", "odd")
    assert str(caught.value).endswith(f'layer "odd": {words}')
