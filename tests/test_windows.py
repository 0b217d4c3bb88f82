import random
from fractions import Fraction as F
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layer_text import (
    CONV,
    POOL,
    check_refused,
    check_tops_and_parameters,
    declare,
    infer,
    layer_of,
    net,
    outcome,
    source,
)

from fcnkit.formats import prototxt
from fcnkit.nets.coordmap import IDENTITY, CoordMap
from fcnkit.nets.layers import sliding
from fcnkit.nets.layers.table import TYPES

# ---- laws

WINDOW = st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(0, 9), st.integers(1, 3))


@given(st.integers(1, 60), WINDOW)
def test_a_deconvolution_undoes_the_size_of_a_convolution_up_to_the_stride(size, window):
    kernel, stride, pad, dilation = window
    extent = dilation * (kernel - 1) + 1
    there = sliding.convolved(size, extent, stride, pad)
    if size + 2 * pad >= extent:
        assert 0 <= size - sliding.deconvolved(there, extent, stride, pad) < stride


@given(st.integers(0, 60), WINDOW)
def test_a_convolution_has_as_many_outputs_as_windows_fit(size, window):
    kernel, stride, pad, dilation = window
    extent = dilation * (kernel - 1) + 1
    starts = [at for at in range(0, size + 2 * pad, stride) if at + extent <= size + 2 * pad]
    if size + 2 * pad >= extent:
        assert sliding.convolved(size, extent, stride, pad) == len(starts)


@given(st.integers(1, 60), WINDOW)
def test_a_pooling_covers_every_input_and_clipped_no_window_starts_behind_it(size, window):
    kernel, stride, pad, _ = window
    pad = min(pad, kernel - 1)
    if size + 2 * pad < kernel:
        return
    out = sliding.pooled(size, kernel, stride, pad, clip=pad > 0)
    covered = {
        row for at in range(out) for row in range(at * stride - pad, at * stride - pad + kernel)
    }
    if kernel >= stride:
        assert set(range(size)) <= covered
    if pad:
        assert (out - 1) * stride - pad < size
    floored = sliding.pooled(size, kernel, stride, pad, clip=False, floor=True)
    assert floored == sliding.convolved(size, kernel, stride, pad)


@given(st.integers(1, 20), st.integers(1, 9), st.integers(0, 20))
def test_the_maps_of_a_convolution_and_the_deconvolution_of_its_window_are_inverse(
    kernel, stride, pad
):
    params = (
        f"convolution_param {{ num_output: 1 kernel_size: {kernel} stride: {stride} pad: {pad} }}"
    )
    there = TYPES["Convolution"].coord(layer_of("Convolution", params), 4)
    back = TYPES["Deconvolution"].coord(layer_of("Deconvolution", params), 4)
    assert there.then(back) == IDENTITY


@given(st.integers(1, 30), WINDOW)
def test_the_map_puts_each_output_at_the_centre_of_its_window(at, window):
    kernel, stride, pad, dilation = window
    params = f"num_output: 1 kernel_size: {kernel} stride: {stride} pad: {pad} dilation: {dilation}"
    there = TYPES["Convolution"].coord(
        layer_of("Convolution", f"convolution_param {{ {params} }}"), 4
    )
    rows = [at * stride - pad + dilation * tap for tap in range(kernel)]
    assert there(F(sum(rows), len(rows))) == at


# ---- tables: tops and parameters

BIAS = (4,)
SHAPES = {
    "conv": (
        "Convolution",
        CONV("kernel_size: 3"),
        [(2, 3, 6, 5)],
        [(2, 4, 4, 3)],
        [(4, 3, 3, 3), BIAS],
    ),
    "conv truncates": (
        "Convolution",
        CONV("kernel_size: 5 stride: 2"),
        [(1, 1, 4, 4)],
        [(1, 4, 1, 1)],
        [(4, 1, 5, 5), BIAS],
    ),
    "conv h w": (
        "Convolution",
        CONV("kernel_h: 3 kernel_w: 1 pad_h: 1 stride_h: 2 stride_w: 1"),
        [(2, 3, 6, 5)],
        [(2, 4, 3, 5)],
        [(4, 3, 3, 1), BIAS],
    ),
    "conv per axis": (
        "Convolution",
        CONV("kernel_size: [3, 1] pad: [1, 0] stride: [2, 1] dilation: [2, 1]"),
        [(2, 3, 6, 5)],
        [(2, 4, 2, 5)],
        [(4, 3, 3, 1), BIAS],
    ),
    "conv group, no bias": (
        "Convolution",
        CONV("kernel_size: 1 group: 2 bias_term: false"),
        [(2, 6, 6, 5)],
        [(2, 4, 6, 5)],
        [(4, 3, 1, 1)],
    ),
    "conv 3-D": (
        "Convolution",
        CONV("kernel_size: 3 pad: [0, 1, 2]"),
        [(1, 2, 5, 5, 5)],
        [(1, 4, 3, 5, 7)],
        [(4, 2, 3, 3, 3), BIAS],
    ),
    "conv 1-D": (
        "Convolution",
        CONV("kernel_size: 3"),
        [(1, 2, 5)],
        [(1, 4, 3)],
        [(4, 2, 3), BIAS],
    ),
    "conv 0-D": ("Convolution", CONV("kernel_size: 1"), [(1, 2)], [(1, 4)], [(4, 2), BIAS]),
    "conv axis": (
        "Convolution",
        CONV("kernel_size: 3 axis: -2"),
        [(5, 6, 2, 5)],
        [(5, 6, 4, 3)],
        [(4, 2, 3), BIAS],
    ),
    "conv of two": (
        "Convolution",
        CONV("kernel_size: 3"),
        [(2, 3, 6, 5)] * 2,
        [(2, 4, 4, 3)] * 2,
        [(4, 3, 3, 3), BIAS],
    ),
    "deconv": (
        "Deconvolution",
        CONV("kernel_size: 3 stride: 2"),
        [(2, 3, 6, 4)],
        [(2, 4, 13, 9)],
        [(3, 4, 3, 3), BIAS],
    ),
    "deconv group 3": (
        "Deconvolution",
        "convolution_param { num_output: 3 group: 3 kernel_size: 3 stride: 2 }",
        [(2, 3, 6, 4)],
        [(2, 3, 13, 9)],
        [(3, 1, 3, 3), (3,)],
    ),
    "deconv pad, dilation": (
        "Deconvolution",
        CONV("kernel_size: 3 pad: 1 dilation: 2 bias_term: false"),
        [(2, 3, 6, 4)],
        [(2, 4, 8, 6)],
        [(3, 4, 3, 3)],
    ),
    "pool": ("Pooling", POOL("kernel_size: 3 stride: 2"), [(2, 3, 6, 5)], [(2, 3, 3, 2)], []),
    "pool floor": (
        "Pooling",
        POOL("kernel_size: 3 stride: 2 round_mode: FLOOR"),
        [(2, 3, 6, 5)],
        [(2, 3, 2, 2)],
        [],
    ),
    "pool pad": (
        "Pooling",
        POOL("pool: AVE kernel_size: 3 stride: 2 pad: 1"),
        [(2, 3, 6, 5)],
        [(2, 3, 4, 3)],
        [],
    ),
    "pool clips": (
        "Pooling",
        POOL("kernel_size: 2 stride: 3 pad: 1"),
        [(1, 1, 2, 2)],
        [(1, 1, 1, 1)],
        [],
    ),
    "pool clips the unpadded axis too": (
        "Pooling",
        POOL("kernel_size: 2 stride: 3 pad_h: 1 pad_w: 0"),
        [(1, 1, 9, 6)],
        [(1, 1, 4, 2)],
        [],
    ),
    "pool without pad does not clip": (
        "Pooling",
        POOL("kernel_size: 1 stride: 4"),
        [(1, 1, 4, 3)],
        [(1, 1, 2, 2)],
        [],
    ),
    "pool larger than its input": (
        "Pooling",
        POOL("kernel_size: 5 stride: 2"),
        [(1, 1, 4, 4)],
        [(1, 1, 1, 1)],
        [],
    ),
    "pool with mask": ("Pooling", POOL("kernel_size: 2"), [(1, 2, 4, 4)], [(1, 2, 3, 3)] * 2, []),
    "pool h w": (
        "Pooling",
        POOL("kernel_h: 2 kernel_w: 3 stride_h: 2 stride_w: 1"),
        [(1, 2, 4, 4)],
        [(1, 2, 2, 2)],
        [],
    ),
    "pool kernel_size and kernel_h": (
        "Pooling",
        POOL("kernel_size: 2 kernel_h: 3"),
        [(1, 2, 4, 4)],
        [(1, 2, 3, 3)],
        [],
    ),
    "global pool": (
        "Pooling",
        POOL("pool: AVE global_pooling: true"),
        [(2, 3, 6, 5)],
        [(2, 3, 1, 1)],
        [],
    ),
    "im2col": ("Im2col", CONV("kernel_size: 3 stride: 2"), [(2, 3, 7, 5)], [(2, 27, 3, 2)], []),
    "spp": ("SPP", "spp_param { pyramid_height: 3 }", [(2, 3, 9, 11)], [(2, 63)], []),
    "spp of one level": (
        "SPP",
        "spp_param { pyramid_height: 1 }",
        [(2, 3, 9, 11)],
        [(2, 3, 1, 1)],
        [],
    ),
    # Crop: A 2x4x5x4, B 2x3x4x2.
    "crop axis 0": (
        "Crop",
        "crop_param { axis: 0 }",
        [(2, 4, 5, 4), (2, 3, 4, 2)],
        [(2, 3, 4, 2)],
        [],
    ),
    "crop": ("Crop", "", [(2, 4, 5, 4), (2, 3, 4, 2)], [(2, 4, 4, 2)], []),
    "crop axis -1": (
        "Crop",
        "crop_param { axis: -1 }",
        [(2, 4, 5, 4), (2, 3, 4, 2)],
        [(2, 4, 5, 2)],
        [],
    ),
    "crop, B with more channels": ("Crop", "", [(2, 4, 5, 4), (2, 5, 4, 2)], [(2, 4, 4, 2)], []),
    "crop, one offset": (
        "Crop",
        "crop_param { offset: 1 }",
        [(2, 4, 5, 4), (2, 3, 4, 2)],
        [(2, 4, 4, 2)],
        [],
    ),
    "crop, offsets": (
        "Crop",
        "crop_param { axis: 0 offset: [0, 1, 1, 2] }",
        [(2, 4, 5, 4), (2, 3, 4, 2)],
        [(2, 3, 4, 2)],
        [],
    ),
    "crop 5-D": (
        "Crop",
        "crop_param { axis: 2 offset: [1, 2, 0] }",
        [(2, 4, 5, 4, 3), (2, 1, 4, 2, 1)],
        [(2, 4, 4, 2, 1)],
        [],
    ),
}


@pytest.mark.parametrize("kind, params, inputs, tops, blobs", SHAPES.values(), ids=SHAPES)
def test_tops_and_parameters(kind, params, inputs, tops, blobs):
    assert outcome(net(kind, params, *inputs, tops=len(tops))) == [tops, blobs]


def test_tops_and_parameters_are_those_of_real_caffe(caffe):
    check_tops_and_parameters(caffe, SHAPES.values())


# ---- refusals: where Caffe's checks end its process

REFUSED = {
    "im2col of a vector": (
        "Im2col",
        CONV("kernel_size: 3"),
        [(2, 5)],
        "its bottom is 2 x 5; give it axes after the channels",
    ),
    "conv to nothing": (
        "Convolution",
        CONV("kernel_size: 5"),
        [(1, 1, 4, 4)],
        "would give 0 x 0; enlarge the input",
    ),
    "conv below nothing": (
        "Convolution",
        CONV("kernel_size: 9"),
        [(1, 1, 4, 4)],
        "a 4 x 4 input with kernel 9 x 9",
    ),
    "conv without kernel": (
        "Convolution",
        CONV(""),
        [(1, 1, 4, 4)],
        "0 values of kernel_size for 2 spatial axes",
    ),
    "conv kernel 0": ("Convolution", CONV("kernel_size: 0"), [(1, 1, 4, 4)], "its kernel is 0 x 0"),
    "conv kernel_h alone": (
        "Convolution",
        CONV("kernel_h: 3"),
        [(1, 1, 4, 4)],
        "its kernel is 3 x 0",
    ),
    "conv both kernels": (
        "Convolution",
        CONV("kernel_size: 3 kernel_h: 3 kernel_w: 3"),
        [(1, 1, 4, 4)],
        "kernel_h and kernel_w beside",
    ),
    "conv h w in 3-D": (
        "Convolution",
        CONV("kernel_h: 3 kernel_w: 3"),
        [(1, 1, 4, 4, 4)],
        "for 3 spatial axes",
    ),
    "conv three kernels": (
        "Convolution",
        CONV("kernel_size: [1, 2, 3]"),
        [(1, 1, 4, 4)],
        "3 values of kernel_size",
    ),
    "conv stride 0": (
        "Convolution",
        CONV("kernel_size: 1 stride: 0"),
        [(1, 1, 4, 4)],
        "its stride is 0 x 0",
    ),
    "conv stride_h alone": (
        "Convolution",
        CONV("kernel_size: 1 stride_h: 2"),
        [(1, 1, 4, 4)],
        "its stride is 2 x 0",
    ),
    "conv without outputs": (
        "Convolution",
        "convolution_param { kernel_size: 1 }",
        [(1, 1, 4, 4)],
        "no num_output",
    ),
    "conv group and inputs": (
        "Convolution",
        CONV("kernel_size: 1 group: 2"),
        [(1, 3, 4, 4)],
        "group 2 does not divide",
    ),
    "conv group and outputs": (
        "Convolution",
        CONV("kernel_size: 1 group: 3"),
        [(1, 3, 4, 4)],
        "group 3 does not div",
    ),
    "conv group 0": (
        "Convolution",
        CONV("kernel_size: 1 group: 0"),
        [(1, 3, 4, 4)],
        "group 0 does not divide",
    ),
    "conv axis": (
        "Convolution",
        CONV("kernel_size: 1 axis: 4"),
        [(1, 3, 4, 4)],
        "axis 4 of a bottom with 4 axes",
    ),
    "deconv below nothing": (
        "Deconvolution",
        CONV("kernel_size: 1 pad: 3"),
        [(1, 1, 4, 4)],
        "would give -2 x -2",
    ),
    "pool 3-D": ("Pooling", POOL("kernel_size: 2"), [(1, 3, 4, 4, 4)], "Pooling takes 4 axes"),
    "pool pad": (
        "Pooling",
        POOL("kernel_size: 2 pad: 2"),
        [(1, 3, 4, 4)],
        "is not smaller than its kernel",
    ),
    "pool without kernel": (
        "Pooling",
        POOL("stride: 2"),
        [(1, 3, 4, 4)],
        "give either kernel_size, or kernel_h and",
    ),
    "pool both kernels": (
        "Pooling",
        POOL("kernel_size: 2 kernel_h: 2 kernel_w: 2"),
        [(1, 3, 4, 4)],
        "give either",
    ),
    "pool kernel 0": ("Pooling", POOL("kernel_size: 0"), [(1, 3, 4, 4)], "its kernel is 0 x 0"),
    "pool pad_h alone": (
        "Pooling",
        POOL("kernel_size: 2 pad_h: 1"),
        [(1, 3, 4, 4)],
        "give either pad, or pad_h and",
    ),
    "pool below nothing": ("Pooling", POOL("kernel_size: 7"), [(1, 3, 4, 4)], "would give -2 x -2"),
    "global pool with kernel": (
        "Pooling",
        POOL("global_pooling: true kernel_size: 2"),
        [(1, 3, 4, 4)],
        "remove the kernel",
    ),
    "global pool with stride": (
        "Pooling",
        POOL("global_pooling: true stride: 2"),
        [(1, 3, 4, 4)],
        "global_pooling with pad or stride",
    ),
    "spp": (
        "SPP",
        "spp_param { pyramid_height: 3 }",
        [(1, 2, 9, 2)],
        "4 bins on each axis of 9 x 2",
    ),
    "spp of none": ("SPP", "", [(1, 2, 9, 9)], "its pyramid_height 0"),
    "crop too small": (
        "Crop",
        "",
        [(2, 4, 5, 4), (2, 4, 4, 5)],
        'on axis 3 "a" has 4 and offset 0 leaves 4, fewer',
    ),
    "crop offset": ("Crop", "crop_param { offset: 3 }", [(2, 4, 5, 4), (2, 4, 3, 2)], "on axis 2"),
    "crop offsets": (
        "Crop",
        "crop_param { offset: [1, 1, 1] }",
        [(2, 4, 5, 4), (2, 4, 3, 2)],
        "3 offsets for 2 crop",
    ),
    "crop axes": ("Crop", "", [(2, 4, 5, 4), (2, 4, 3)], "the same number of axes"),
    "crop of one": ("Crop", "", [(2, 4, 5, 4)], "Crop takes 2 bottoms and has 1; add bottoms"),
}


@pytest.mark.parametrize("kind, params, inputs, message", REFUSED.values(), ids=REFUSED)
def test_refusals_say_line_and_remedy(kind, params, inputs, message):
    error = outcome(net(kind, params, *inputs))
    assert error.startswith(f'net.prototxt:{len(inputs) + 1}: layer "x": ')
    assert message in error
    assert ";" in error or "give" in error


def test_real_caffe_refuses_what_is_refused_here(caffe):
    check_refused(
        caffe, [net(kind, params, *inputs) for kind, params, inputs, _ in REFUSED.values()]
    )


# ---- random windows against real Caffe


def _random_window(dice: random.Random) -> tuple[str, str]:
    kind = dice.choice(("Convolution", "Deconvolution", "Pooling", "Im2col"))
    both = dice.random() < 0.5

    def pair(name: str, low: int, high: int) -> str:
        one, two = dice.randint(low, high), dice.randint(low, high)
        if kind == "Pooling" or dice.random() < 0.5:
            return f"{name}_h: {one} {name}_w: {two}" if both else f"{name}: {one}"
        return f"{name}: [{one}, {two}]" if both else f"{name}: {one}"

    kernel = pair("kernel", 1, 7).replace("kernel:", "kernel_size:")
    window = f"{kernel} {pair('stride', 1, 4)} {pair('pad', 0, 4)}"
    if kind == "Pooling":
        more = f"pool: {dice.choice(('MAX', 'AVE'))}" + " round_mode: FLOOR" * (dice.random() < 0.3)
        return kind, POOL(f"{window} {more}")
    more = f"dilation: {dice.randint(1, 3)}"
    if kind != "Im2col":
        more += f" group: {dice.choice((1, 2))}" + " bias_term: false" * (dice.random() < 0.3)
    return kind, CONV(f"{window} {more}")


def test_random_windows_give_the_shapes_of_real_caffe(caffe):
    dice = random.Random(20150608)
    text = "".join(
        source(f"in{at}", 1, 2, dice.randint(1, 14), dice.randint(1, 14)) for at in range(20)
    )
    kept, refused = [], []
    for number in range(400):
        kind, params = _random_window(dice)
        bottoms = (f"in{dice.randrange(20)}",)
        one = declare(kind, params, bottoms=bottoms, tops=(f"t{number}",), name=f"x{number}")
        (refused if isinstance(outcome(text + one), str) else kept).append(one)
    assert len(kept) > 250 and len(refused) > 40
    found = infer(text + "".join(kept))
    net = found.graph.prototxt
    together = [caffe.Question("shapes", net), caffe.Question("params", net, values=False)]
    alone = [caffe.Question("shapes", prototxt.parse(text + one)) for one in refused[:40]]
    tops, params, *others = caffe.ask([*together, *alone])
    assert {top: tops[top.blob] for top in found.tops} == found.tops
    for layer in found.graph.layers[20:]:
        assert [tuple(shape) for shape in params.get(layer.name, [])] == found.blobs(layer)
    for one, other in zip(refused, others, strict=False):
        assert isinstance(other, Exception) or any(0 in shape for shape in other.values()), one


# ---- coordinates

CONVS = {
    "kernel 3": ("Convolution", CONV("kernel_size: 3"), (1, -1)),
    "pad": ("Convolution", CONV("kernel_size: 3 pad: 7"), (1, 6)),
    "AlexNet conv1": (
        "Convolution",
        CONV("kernel_size: 11 stride: 4 pad: 100"),
        (F(1, 4), F(95, 4)),
    ),
    "dilation": ("Convolution", CONV("kernel_size: 3 dilation: 2"), (1, -2)),
    "pool": ("Pooling", POOL("kernel_size: 3 stride: 2"), (F(1, 2), F(-1, 2))),
    "im2col": ("Im2col", CONV("kernel_size: 3 stride: 2"), (F(1, 2), F(-1, 2))),
    "deconv 64/32": ("Deconvolution", CONV("kernel_size: 64 stride: 32"), (32, F(63, 2))),
    "deconv 63/32": ("Deconvolution", CONV("kernel_size: 63 stride: 32"), (32, 31)),
    "deconv pad": ("Deconvolution", CONV("kernel_size: 4 stride: 2 pad: 1"), (2, F(1, 2))),
}


@pytest.mark.parametrize("kind, params, wanted", CONVS.values(), ids=CONVS)
def test_coordinates_of_windows(kind, params, wanted):
    scale, shift = wanted
    assert TYPES[kind].coord(layer_of(kind, params), 4) == CoordMap((scale,) * 2, (shift,) * 2)


def test_coordinates_are_per_axis_and_aligned_at_the_last():
    params = CONV("kernel_size: [3, 5] stride: [1, 2] pad: [0, 10]")
    assert TYPES["Convolution"].coord(layer_of("Convolution", params), 4) == CoordMap(
        (1, F(1, 2)), (-1, 4)
    )
    params = CONV("kernel_size: 3 pad: [0, 1, 2]")
    assert TYPES["Convolution"].coord(layer_of("Convolution", params), 5) == CoordMap(
        (1, 1, 1), (-1, 0, 1)
    )
    crop = layer_of("Crop", "crop_param { axis: 2 offset: [3, 4] }")
    assert TYPES["Crop"].coord(crop, 4) == CoordMap((1, 1), (-3, -4))
    crop = layer_of("Crop", "crop_param { axis: -1 offset: 3 }")
    assert TYPES["Crop"].coord(crop, 4) == CoordMap((1,), (-3,))


CHAINS = {  # conv, pool and deconv; the map back from the deconvolution to the data
    "conv pool deconv": (CONV("kernel_size: 3"), 2, (2, 0), (1, 0)),
    "stride 4": (CONV("kernel_size: 3"), 4, (4, 0), (1, -1)),
    "conv pad 7": (CONV("kernel_size: 3 pad: 7"), 2, (2, 0), (1, -7)),
    "deconv pad 7": (CONV("kernel_size: 3"), 2, (2, 7), (1, 7)),
    "both pads": (CONV("kernel_size: 3 pad: 7"), 2, (2, 7), (1, 0)),
    "5x5, stride 2, pad 10": (CONV("kernel_size: 5 stride: 2 pad: 10"), 2, (2, 0), (2, -10)),
    "pool 3, deconv 2": (CONV("kernel_size: 3"), 3, (2, 0), (F(3, 2), F(-1, 4))),
}


@pytest.mark.parametrize("conv, pool, deconv, wanted", CHAINS.values(), ids=CHAINS)
def test_coordinates_of_chains(conv, pool, deconv, wanted):
    stride, pad = deconv
    layers = (
        layer_of("Convolution", conv),
        layer_of("Pooling", POOL(f"kernel_size: {pool} stride: {pool}")),
        layer_of("Deconvolution", CONV(f"kernel_size: {2 * stride} stride: {stride} pad: {pad}")),
    )
    maps = (TYPES[layer.type].coord(layer, 4) for layer in layers)
    scale, shift = wanted
    assert reduce(CoordMap.then, maps).inverse() == CoordMap((scale,) * 2, (shift,) * 2)


# ---- receptive fields

WINDOWS = {
    "conv": ("Convolution", CONV("kernel_size: 3 stride: 2 dilation: 2 pad: 9"), ((5, 2),) * 2),
    "per axis": ("Convolution", CONV("kernel_size: [3, 1] stride: [1, 2]"), ((3, 1), (1, 2))),
    "pool": ("Pooling", POOL("kernel_size: 3 stride: 2"), ((3, 2),) * 2),
    "deconv": ("Deconvolution", CONV("kernel_size: 4 stride: 2"), ((2, F(1, 2)),) * 2),
    "deconv, odd": ("Deconvolution", CONV("kernel_size: 5 stride: 2"), ((3, F(1, 2)),) * 2),
    "lrn": ("LRN", "", ()),
    "lrn within": ("LRN", "lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 }", ((3, 1),) * 2),
    "relu": ("ReLU", "", ()),
    "crop": ("Crop", "", ()),
    "global": ("Pooling", POOL("global_pooling: true"), None),
    "fc": ("InnerProduct", "", None),
}


@pytest.mark.parametrize("kind, params, wanted", WINDOWS.values(), ids=WINDOWS)
def test_windows(kind, params, wanted):
    assert TYPES[kind].window(layer_of(kind, params)) == wanted
