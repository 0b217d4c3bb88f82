"""`fk.bvlc`: what forks compute, on PyTorch or by a formula, and BVLC's Caffe of the net after."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from layer_text import CONV, POOL, declare, net, source
from test_cli import run

import fcnkit as fk
from fcnkit.formats import prototxt
from fcnkit.nets.graph import build
from fcnkit.nets.layers.table import CAFFE
from fcnkit.nets.shapes import shapes_of
from fcnkit.rewrites.forks.types import TYPES
from fcnkit.rewrites.forks.words import WORDS, said
from fcnkit.weights import store
from fcnkit.weights.surgery import transplant

pytest.importorskip("torch")
from fcnkit.engines.torch import engine  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
ROOT = Path(__file__).resolve().parent.parent
SIZES = ((2, 6, 9, 13), (1, 4, 7, 7), (3, 2, 8, 5))


def trained(text: prototxt.Prototxt, seed: int = 0) -> store.Weights | None:
    """Weights like those of a trained net; variances are positive, which all may be taken for."""
    rng, shapes = np.random.default_rng(seed), shapes_of(build(text))
    blobs = {layer.name: shapes.blobs(layer) for layer in shapes.graph.layers}
    made = {
        name: [_values(rng, shape) for shape in wanted] for name, wanted in blobs.items() if wanted
    }
    return store.create().put_all(made) if made else None


def _values(rng, shape):
    if len(shape) == 4 and shape[0] != 1:
        return rng.normal(0, np.prod(shape[1:]) ** -0.5, shape).astype("f4")
    return (np.abs(rng.normal(0, 1, shape)) + 0.3).astype("f4")


def noise(text: prototxt.Prototxt, seed: int = 1) -> dict[str, np.ndarray]:
    rng, graph = np.random.default_rng(seed), build(text)
    shapes = shapes_of(graph).tops
    return {t.blob: rng.normal(0, 4, shapes[t]).astype("f4") for t in graph.inputs}


def moved(text: prototxt.Prototxt, plan: fk.Plan) -> store.Weights | None:
    """The weights of the net after; None where it has none."""
    made = transplant(plan, trained(text) or store.create())
    return made if len(made) else None


def in_caffe(caffe, text: prototxt.Prototxt, plan: fk.Plan, data, blobs) -> dict:
    """What Caffe computes of the net after, with the weights that the plan makes."""
    (found,) = caffe.ask([caffe.Question("run", plan.net, moved(text, plan), data, blobs)])
    assert not isinstance(found, Exception), f"{found}\n{plan.net.text}"
    return found


def close(expected: np.ndarray, found: np.ndarray) -> bool:
    assert expected.shape == found.shape
    return bool(np.abs(expected - found).max() <= 1e-5 * np.abs(expected).max())


def is_bvlcs(plan: fk.Plan) -> bool:
    """Whether no word and no type of a fork is left."""
    kinds = {layer.type for layer in build(plan.net).layers}
    return kinds <= set(CAFFE) and not list(said("NetParameter", plan.net.root))


BOTH = ("master", "1.0")


def check(caffe, texts, *, words=("master",), by=None) -> list[fk.Plan]:
    """Of each net every blob that stays is what the fork computes, and no word of it is left.

    By PyTorch, or by the formula `by` of the inputs, of the blob "t".
    """
    asked, expected, plans = [], [], []
    for text, word in product([texts] if isinstance(texts, str) else texts, words):
        before = prototxt.parse(text, "net.prototxt")
        plan, data = fk.bvlc(before, word), noise(before)
        assert plan.changed and is_bvlcs(plan), plan.table()
        made = {top.blob for top in build(plan.net).tops}
        blobs = [blob for blob in dict.fromkeys(t.blob for t in build(before).tops) if blob in made]
        known = engine.run(before, trained(before), data, blobs) if by is None else {}
        expected.append({"t": by(*data.values())} if by else known)
        weights = moved(before, plan)
        asked.append(caffe.Question("run", plan.net, weights, data, list(expected[-1])))
        plans.append(plan)
    for plan, wanted, found in zip(plans, expected, caffe.ask(asked), strict=True):
        assert not isinstance(found, Exception), f"{found}\n{plan.net.text}"
        assert wanted, plan.net.text
        for blob, values in wanted.items():
            assert close(values, found[blob]), (blob, plan.table(), plan.net.text)
    return plans


def nets(kind: str, params: str = "") -> list[str]:
    return [net(kind, params, shape) for shape in SIZES]


# ---- layer types

DEPTHWISE = "convolution_param {{ num_output: {} group: {} kernel_size: 3 pad: 1 {} }}".format


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("ReLU6", ""),
        ("HardSwish", ""),
        ("Mish", ""),
        ("BN", "bn_param { bn_mode: INFERENCE }"),
        ("BN", "bn_param { slope_filler { value: 1 } bias_filler { value: 0 } eps: 1e-3 }"),
        ("BN", "param { lr_mult: 1 } param { lr_mult: 1 } param { lr_mult: 0 } param { lr_mult: 0 }"
               " bn_param { slope_filler { value: 1 } frozen: true }"),
        ("Upsample", "upsample_param { scale: 2 }"),
        ("Upsample", "upsample_param { scale_h: 3 scale_w: 2 }"),
        ("UpsampleDarknet", "upsample_darknet_param { stride: 3 }"),
        ("ShuffleChannel", "shuffle_channel_param { group: 2 }"),
        ("Interp", "interp_param { zoom_factor: 2 }"),
        ("Interp", "interp_param { zoom_factor: 3 }"),
        ("Interp", "interp_param { zoom_factor: 8 }"),
        ("Interp", "interp_param { height: 15 width: 33 }"),
        ("Interp", "interp_param { height: 5 width: 3 }"),
        ("Interp", "interp_param { height: 1 width: 1 }"),
        ("Interp", "interp_param { height: 16 width: 4 pad_beg: -1 pad_end: -2 }"),
        ("Interp", "interp_param { zoom_factor: 3 pad_beg: -1 }"),
        ("Interp", "interp_param { shrink_factor: 2 }"),
        ("Interp", "interp_param { shrink_factor: 2 zoom_factor: 3 }"),
        ("Padding", "padding_param { pad_beg: 2 pad_end: 2 }"),
        ("Padding", "padding_param { pad_beg: 1 pad_end: 3 }"),
        ("Padding", "padding_param { pad_beg: 3 pad_end: 0 }"),
        ("Padding", "padding_param { pad_beg: -1 pad_end: -2 }"),
        ("Padding", "padding_param { pad_beg: 0 pad_end: -2 }"),
        ("Permute", "permute_param { order: 0 order: 1 order: 2 }"),
    ],
)  # fmt: skip
def test_a_layer_type_of_a_fork_is_said_in_bvlcs_words(caffe, kind, params):
    check(caffe, nets(kind, params), words=BOTH)


@pytest.mark.parametrize("kind", ["HardSwish", "Mish", "ReLU6"])
def test_a_layer_in_place(caffe, kind):
    """Others read the blob before and behind it."""
    behind = (
        declare("Convolution", CONV("kernel_size: 3"), tops=("c",), name="conv")
        + declare("Power", "power_param { scale: 2 }", bottoms=("c",), tops=("c",), name="twice")
        + declare(kind, bottoms=("c",), tops=("c",), name="act")
        + declare("Pooling", POOL("kernel_size: 2"), bottoms=("c",), tops=("p",), name="pool")
        + declare(kind, bottoms=("p",), tops=("t",), name="last")
    )
    check(caffe, [source("a", *shape) + behind for shape in SIZES], words=BOTH)


@pytest.mark.parametrize("bias", ["", "bias_term: false"])
@pytest.mark.parametrize("kind", ["DepthwiseConvolution", "ConvolutionDepthwise"])
def test_depthwise(caffe, kind, bias):
    more = f"{bias} stride: 2 hole: 2"
    check(caffe, [net(kind, DEPTHWISE(c, c, more), (n, c, h, w)) for n, c, h, w in SIZES])


@pytest.mark.parametrize(
    ("kind", "params", "other"),
    [
        ("Add", "", lambda n, c, h, w: [(n, c, h, w)]),
        ("Mul", "", lambda n, c, h, w: [(n, c, h, w)]),
        ("Add", "", lambda n, c, h, w: [(n, c, 1, 1)]),
        ("Mul", "", lambda n, c, h, w: [(n, c, 1, 1)]),
        ("Mul", "", lambda n, c, h, w: [(1, c, 1, 1)]),
        ("Add", "", lambda n, c, h, w: [(h, w)]),
        ("Mul", "mul_param { mul_shape: 1 mul_shape: %(c)d mul_shape: 1 mul_shape: 1 }", None),
        ("Add", "add_param { add_shape: %(c)d add_shape: 1 add_shape: 1 }", None),
        ("Mul", "mul_param { mul_shape: %(w)d }", None),
        ("Add", "add_param { add_shape: %(h)d add_shape: %(w)d }", None),
    ],
)
def test_operands(caffe, kind, params, other):
    texts = [
        net(
            kind,
            params % {"c": c, "h": h, "w": w},
            (n, c, h, w),
            *(other(n, c, h, w) if other else ()),
        )
        for n, c, h, w in SIZES
    ]
    check(caffe, texts)


@pytest.mark.parametrize("tail", [(1, 1), ()])
def test_axpy(caffe, tail):
    check(caffe, [net("Axpy", "", (*shape[:2], *tail), shape, shape) for shape in SIZES])


def test_squeeze(caffe):
    cases = [
        ("", (2, 3, 1, 1)),
        ("squeeze_param { axis: 2 axis: 3 }", (2, 3, 1, 1)),
        ("squeeze_param { axis: 2 }", (2, 3, 1, 5)),
        ("squeeze_param { axis: -2 }", (2, 3, 1, 5)),
        ("squeeze_param { axis: 1 }", (2, 1, 4, 5)),
        ("squeeze_param { axis: 0 }", (1, 3, 4, 5)),
    ]
    check(caffe, [net("Squeeze", params, shape) for params, shape in cases])


def ordered(*axes: int) -> str:
    return f"permute_param {{ {' '.join(f'order: {axis}' for axis in axes)} }}"


def test_a_permute_that_moves_no_value(caffe):
    cases = [((0, 2, 3, 1), (2, 5, 1, 1)), ((0, 2, 3, 1), (2, 1, 4, 5)),
             ((0, 3, 2, 1), (3, 1, 1, 4)), ((0, 1, 2, 3), (2, 3, 4, 5))]  # fmt: skip
    check(caffe, [net("Permute", ordered(*order), shape) for order, shape in cases])


@pytest.mark.parametrize("order", [(0, 2, 3, 1), (0, 3, 1, 2), (0, 1, 3, 2)])
@pytest.mark.parametrize("flat", [True, False])
def test_a_permute_goes_into_the_inner_product_behind_it(caffe, order, flat):
    behind = declare("Permute", ordered(*order), tops=("p",))
    if flat:
        behind += declare("Flatten", bottoms=("p",), tops=("f",), name="flat")
    behind += declare("InnerProduct", "inner_product_param { num_output: 5 }",
                      bottoms=("f" if flat else "p",), name="fc")  # fmt: skip
    for shape in SIZES:
        before = prototxt.parse(source("a", *shape) + behind)
        plan, data = fk.bvlc(before), noise(before)
        assert is_bvlcs(plan)
        wanted = engine.run(before, trained(before), data, ["t"])["t"]
        assert close(wanted, in_caffe(caffe, before, plan, data, ["t"])["t"])


# ---- words in layers of Caffe's


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("Convolution", CONV("kernel_size: 3 hole: 2 pad: 2")),
        ("Convolution", CONV("kernel_size: 3 hole: 1")),
        ("Convolution", CONV("kernel_size: 3 hole_h: 2 hole_w: 1 pad: 1")),
        ("Convolution", CONV("kernel_size: 3 relu: true")),
        ("Convolution", CONV("kernel_size: 3 relu: true negative_slope: 0.25")),
        ("Convolution", CONV("kernel_size: 3 relu: false engine: MKL2017")),
        ("Convolution", CONV("kernel_size: 3 pad_l: 1 pad_r: 1 pad_t: 2 pad_b: 2")),
        ("Convolution", CONV("kernel_size: 3 stride: 2 pad_l: 0 pad_r: 1 pad_t: 0 pad_b: 1")),
        ("Convolution", CONV("kernel_h: 3 kernel_w: 2 pad_l: 2 pad_r: 0 pad_t: 1 pad_b: 3")),
        ("Convolution", CONV("kernel_size: 3 stride: 2 pad_r: 2 hole: 2 bias_term: false")),
        ("Convolution", CONV("kernel_size: 3 group: 2 pad_b: 1 pad_type: 0")),
        ("Convolution", CONV("kernel_size: 4 pad_type: 1")),
        ("ReLU", "relu_param { relu6: true }"),
        ("ReLU", "relu_param { relu6: true negative_slope: 0.25 }"),
        ("ReLU", "relu_param { relu6: false }"),
        ("Pooling", POOL("kernel_size: 3 stride: 2 ceil_mode: true")),
        ("Pooling", POOL("kernel_size: 3 ceil_mode: false")),
        ("Pooling", POOL("kernel_size: 2 stride: 2 torch_pooling: false engine: MKLDNN")),
        ("BatchNorm", "batch_norm_param { use_global_stats: true scale_bias: true eps: 1e-7 }"),
        ("BatchNorm", "batch_norm_param { scale_bias: true bias_filler { value: 2 } eps: 1e-3 }"),
        (
            "BatchNorm",
            "param { lr_mult: 0 } param { lr_mult: 0 } param { lr_mult: 0 } "
            "param { lr_mult: 1 } param { lr_mult: 2 } "
            "batch_norm_param { scale_filler { value: 1 } }",
        ),
    ],
)
def test_a_word_of_a_fork_is_said_in_bvlcs_words(caffe, kind, params):
    check(caffe, nets(kind, params), words=BOTH)


def test_a_relu_within_an_inner_product(caffe):
    """On PyTorch, which takes no such word, the ReLU is a layer."""
    product = "inner_product_param {{ num_output: 5 {} }}".format
    for shape in SIZES:
        before = prototxt.parse(net("InnerProduct", product("relu: true"), shape))
        plan, data = fk.bvlc(before), noise(before)
        plain = prototxt.parse(net("InnerProduct", product(""), shape))
        wanted = np.maximum(engine.run(plain, trained(plain), data, ["t"])["t"], 0)
        weights = trained(plain)
        (found,) = caffe.ask([caffe.Question("run", plan.net, weights, data, ["t"])])
        assert is_bvlcs(plan) and close(wanted, found["t"])


@pytest.mark.parametrize("more", ["", "pad: 1", "pool: AVE"])
@pytest.mark.parametrize("word", ["ceil_mode: false", "torch_pooling: true"])
def test_poolings_that_round_down(caffe, word, more):
    check(caffe, nets("Pooling", POOL(f"kernel_size: 3 stride: 2 {word} {more}")))


def test_caffe_1_0_has_no_round_mode(caffe):
    params = POOL("kernel_size: 3 stride: 2 ceil_mode: false")
    (plan,) = check(caffe, net("Pooling", params, (1, 2, 9, 13)), words=("1.0",))
    assert "round_mode" not in plan.net.text
    kept = fk.bvlc(prototxt.parse(net("Pooling", params, (1, 2, 10, 13))), "1.0")
    assert not kept.changed and kept.steps[0].verb == "skip"
    assert "makes 4 x 6 of 10 x 13, and BVLC's Caffe 1.0" in kept.steps[0].why


@pytest.mark.parametrize("params", ["pad: 1", "pad_h: 1 pad_w: 0", "", "ceil_mode: false pad: 1"])
def test_an_average_of_what_is_inside(caffe, params):
    for shape in SIZES:
        text = net("Pooling", POOL(f"pool: AVE_EXC_PAD kernel_size: 3 stride: 2 {params}"), shape)
        known = shapes_of(build(prototxt.parse(text))).tops
        (size,) = [each[2:] for top, each in known.items() if top.blob == "t"]
        pads = (int("pad: 1" in params or "pad_h: 1" in params), int("pad: 1" in params))
        check(caffe, text, by=lambda x: windows(x, 3, 2, pads, size, np.mean))  # noqa: B023


def windows(x, kernel, stride, pads, out, method):
    """Windows of what lies in the image, by hand; `pads` are those before."""
    made = np.empty((*x.shape[:2], *out), np.float32)
    for i in range(out[0]):
        for j in range(out[1]):
            top, left = i * stride - pads[0], j * stride - pads[1]
            part = x[:, :, max(top, 0) : top + kernel, max(left, 0) : left + kernel]
            made[:, :, i, j] = method(part.reshape(*x.shape[:2], -1), 2)
    return made


@pytest.mark.parametrize(("pool", "method"), [("MAX", np.max), ("AVE_EXC_PAD", np.mean)])
@pytest.mark.parametrize("word", ["ceil_mode: false", ""])
def test_a_pooling_that_pads_one_side(caffe, pool, method, word):
    """The sides of TensorFlow: what the last window lacks is behind the image."""
    params = POOL(f"pool: {pool} kernel_size: 3 stride: 2 pad_r: 1 pad_b: 1 {word}")
    for shape in SIZES if word else ((2, 6, 8, 12), (1, 4, 6, 6)):
        text = net("Pooling", params, shape)
        known = shapes_of(build(prototxt.parse(text))).tops
        (size,) = [each[2:] for top, each in known.items() if top.blob == "t"]
        check(caffe, text, by=lambda x: windows(x, 3, 2, (0, 0), size, method))  # noqa: B023


def test_a_pooling_with_other_windows_stays():
    params = POOL("pool: AVE kernel_size: 3 stride: 2 pad_r: 1 pad_b: 1")
    plan = fk.bvlc(prototxt.parse(net("Pooling", params, (1, 2, 9, 9))))
    (step,) = [step for step in plan.steps if step.what == "pad_r"]
    assert step.verb == "skip" and "an average counts the padding" in step.why


# ---- by formula


def test_hard_sigmoid(caffe):
    texts = nets("HardSigmoid", "hard_sigmoid_param { alpha: 0.25 beta: 0.5 }")
    check(caffe, texts, words=BOTH, by=lambda x: np.clip(x * np.float32(0.25) + 0.5, 0, 1))


@pytest.mark.parametrize(
    "how", ["scale_height: 2 scale_width: 3", "output_height: {} output_width: {}"]
)
def test_nearest(caffe, how):
    word = 'resize_nearest_neighbor_param {{ {} data_format: "NCHW" }}'.format
    texts = [
        net("ResizeNearestNeighbor", word(how.format(h * 2, w * 3)), (n, c, h, w))
        for n, c, h, w in SIZES
    ]
    check(caffe, texts, by=lambda x: x.repeat(2, 2).repeat(3, 3))


@pytest.mark.parametrize("size", [(15, 13), (11, 9), (4, 4), (8, 7)])
def test_interp_to_the_size_of_a_second_bottom(caffe, size):
    plans = check(caffe, net("Interp", "", (2, 3, 8, 7), (1, 1, *size)))
    assert len(build(plans[0].net).layers[-1].bottoms) == 1


def test_intels_factors_are_no_default_of_bvlcs():
    """use_weight_bias: true says that there are a factor and a summand, as is so without it."""
    word = "batch_norm_param {{ use_weight_bias: {} }}".format
    kept, gone = (
        fk.bvlc(prototxt.parse(net("BatchNorm", word(value), (1, 2, 3, 3))))
        for value in ("true", "false")
    )
    assert not kept.changed and kept.steps[0].verb == "skip" and is_bvlcs(gone)


def spread(x, block, places_first):
    """A block's places by the fork's loops over channels, one by one."""
    n, c, h, w = x.shape
    made = np.empty((n, c // block**2, h * block, w * block), x.dtype)
    for channel in range(made.shape[1]):
        for row in range(block):
            for column in range(block):
                place = row * block + column
                own = channel * block**2 + place
                source = place * made.shape[1] + channel if places_first else own
                made[:, channel, row::block, column::block] = x[:, source]
    return made


@pytest.mark.parametrize("block", [2, 3])
@pytest.mark.parametrize("order", ["NCHW", "DCR", "CRD"])
def test_depth_to_space(caffe, block, order):
    """TensorFlow's order, where a channel's place in the block counts first, and PyTorch's."""
    word = f'depth_to_space_param {{ block_size: {block} data_format: "{order}" }}'
    texts = [net("DepthToSpace", word, (n, block**2 * 3, h, w)) for n, _, h, w in SIZES]
    check(caffe, texts, by=lambda x: spread(x, block, order != "CRD"))


@pytest.mark.parametrize("generation", ["layer", "layers"])
def test_an_engine_that_no_known_fork_has(generation):
    """FFT was offered to BVLC and never taken: BVLC's Caffe stops at the word."""
    kind = '"Convolution"' if generation == "layer" else "CONVOLUTION"
    text = (
        'input: "data" input_dim: 1 input_dim: 1 input_dim: 9 input_dim: 9\n'
        f'{generation} {{ name: "c" type: {kind} bottom: "data" top: "c"\n'
        "  convolution_param { num_output: 2 kernel_size: 3 engine: FFT } }\n"
    )
    plan = fk.bvlc(prototxt.parse(text))
    assert "FFT" not in plan.net.text and is_bvlcs(plan)
    kept = text.replace("FFT", "1" if generation == "layer" else "CAFFE")
    assert not fk.bvlc(prototxt.parse(kept)).changed


def test_a_pixelshuffler(caffe):
    texts = [
        net("Reshape", "reshape_param { pixelshuffler: 2 }", (n, 12, h, w)) for n, _, h, w in SIZES
    ]
    check(caffe, texts, by=lambda x: spread(x, 2, False))
    shape = "shape { dim: 0 dim: -1 } pixelshuffler: 1"
    check(caffe, [net("Reshape", f"reshape_param {{ {shape} }}", SIZES[0])])


def test_a_reorg_stays():
    plan = fk.bvlc(prototxt.parse(net("Reorg", "reorg_param { stride: 2 }", (1, 4, 6, 6))))
    assert not plan.changed and "in two ways" in plan.steps[0].why


def test_pad(caffe):
    values = " ".join(f"paddings: {each}" for each in (0, 0, 0, 0, 1, 2, 3, 0))
    texts = nets("Pad", f"pad_param {{ {values} }}")
    check(caffe, texts, by=lambda x: np.pad(x, [(0, 0), (0, 0), (1, 2), (3, 0)]))


@pytest.mark.parametrize("sides", [(1, 1), (0, 2), (2, 1)])
def test_a_padding_goes_into_the_convolution_behind_it(caffe, sides):
    pads = "padding_param {{ pad_beg: {} pad_end: {} }}".format(*sides)
    texts = [
        source("a", *shape)
        + declare("Padding", pads, tops=("p",))
        + declare("Convolution", CONV(f"kernel_size: 3 {own}"), bottoms=("p",), name="conv")
        for shape in SIZES
        for own in ("", "pad: 1", "pad_h: 1 pad_w: 0")
    ]
    assert all(len(build(plan.net).layers) == 2 for plan in check(caffe, texts))


@pytest.mark.parametrize("kind", ["AutoCrop", "CROP"])
def test_a_crop_is_where_the_maps_say(caffe, kind):
    text = (
        source("a", 1, 2, 12, 13)
        + declare("Convolution", CONV("kernel_size: 3"), tops=("c",), name="conv")
        + declare("Convolution", CONV("kernel_size: 3 pad: 3"), tops=("d",), name="wide")
        + declare(kind, bottoms=("d", "c"))
    )
    before = prototxt.parse(text)
    plan, data = fk.bvlc(before), noise(before)
    assert "offset: 3" in plan.net.text and is_bvlcs(plan)
    found = in_caffe(caffe, before, plan, data, ["d", "t"])
    assert np.array_equal(found["t"], found["d"][:, :, 3:13, 3:14])


# ---- what stays, and what is said of it


STAYS = (
    source("a", 1, 4, 8, 8)
    + declare("Permute", ordered(0, 2, 3, 1), tops=("p",), name="perm")
    + declare("Flatten", bottoms=("p",), tops=("f",), name="flat")
    + declare("Concat", bottoms=("f", "f"), tops=("t",), name="loc")
    + declare("Normalize", "norm_param { across_spatial: false }", tops=("n",), name="norm")
    + declare("Pooling", POOL("kernel_size: 2 stride: 2"), tops=("q", "mask"), name="pool")
    + declare("Upsample", "upsample_param { scale: 2 }", bottoms=("q", "mask"), tops=("u",),
              name="unpool")
    + declare("BN", "bn_param { bn_mode: LEARN }", tops=("b",), name="bn")
    + declare("ReLU6", tops=("r",), name="relu")
)  # fmt: skip


def test_what_has_no_words_in_bvlcs_caffe_stays_and_is_named():
    plan = fk.bvlc(prototxt.parse(STAYS))
    left = {step.layer: step.why for step in plan.steps if step.verb == "skip"}
    assert set(left) == {"perm", "norm", "unpool", "bn"}
    assert "a type of SSD's Caffe" in left["perm"] and "is not an InnerProduct" in left["perm"]
    assert "BVLC has no words for it" in left["norm"] and "mask" in left["unpool"]
    assert [step.layer for step in plan.steps if step.verb == "change"] == ["relu"]
    assert "Clip" in plan.net.text and plan.net.text.count("\n") == STAYS.count("\n")


def test_a_net_of_bvlcs_is_left_alone():
    text = prototxt.parse(net("Convolution", CONV("kernel_size: 3 dilation: 2"), (1, 2, 9, 9)))
    assert not fk.bvlc(text).changed and not fk.bvlc(text).steps


def test_strict_is_exit_1_where_something_stays(tmp_path):
    (tmp_path / "n.prototxt").write_text(STAYS)
    (tmp_path / "r.prototxt").write_text(net("ReLU6", "", (1, 2, 3, 3)))
    out = tmp_path / "o.prototxt"
    words = ("surgery", str(tmp_path / "n.prototxt"), "--do", "bvlc", "--net-out", str(out))
    assert run(*words).exit_code == 0 and out.exists()
    assert run(*words, "--force", "--strict").exit_code == 1
    assert run("surgery", str(tmp_path / "r.prototxt"), "--do", "bvlc", "--strict").exit_code == 0
    assert run("surgery", str(tmp_path / "r.prototxt"), "--do", "floor", "--strict").exit_code == 2


def test_without_weights_it_says_whose_change(tmp_path):
    params = "bn_param { slope_filler { } }"
    (tmp_path / "n.prototxt").write_text(net("BN", params, (1, 2, 3, 3)))
    (tmp_path / "r.prototxt").write_text(net("ReLU6", "", (1, 2, 3, 3)))
    found = run("surgery", str(tmp_path / "n.prototxt"), "--do", "bvlc")
    assert found.exit_code == 0
    assert "the weights of x_scale, x change with the net; give WEIGHTS" in found.stderr
    assert not run("surgery", str(tmp_path / "r.prototxt"), "--do", "bvlc").stderr


def test_verify_runs_the_net_before_on_pytorch(tmp_path):
    params = CONV("kernel_size: 3 hole: 2 pad_r: 2")
    text = (
        source("a", 1, 3, 8, 9)
        + declare("Convolution", params, tops=("c",), name="conv")
        + declare("BN", "bn_param { slope_filler { } eps: 1e-3 }", bottoms=("c",), name="bn")
    )
    before = prototxt.parse(text)
    (tmp_path / "n.prototxt").write_text(text)
    trained(before).save(tmp_path / "w.caffemodel")
    outs = [str(tmp_path / name) for name in ("o.prototxt", "o.caffemodel")]
    words = (
        "surgery",
        str(tmp_path / "n.prototxt"),
        str(tmp_path / "w.caffemodel"),
        "--do",
        "bvlc",
    )
    found = run(*words, "--net-out", outs[0], "-o", outs[1], "--verify")
    assert found.exit_code == 0, found.output
    assert "torch" in found.output


def test_old_formats_are_brought_up_to_date_first(caffe):
    """Their inputs stay as they are said."""
    text = (
        'input: "a" input_dim: 1 input_dim: 2 input_dim: 5 input_dim: 6\n'
        'layers { name: "c" type: CONVOLUTION bottom: "a" top: "c" '
        "convolution_param { num_output: 3 kernel_size: 3 hole: 2 pad: 2 } }\n"
        'layers { name: "i" type: INTERP bottom: "c" top: "t" interp_param { zoom_factor: 2 } }\n'
    )
    before = prototxt.parse(text)
    plan, data = fk.bvlc(before), noise(before)
    found = in_caffe(caffe, before, plan, data, ["t"])["t"]
    known = prototxt.parse(fk.upgrade(before).net.text)
    assert is_bvlcs(plan) and close(engine.run(known, trained(before), data, ["t"])["t"], found)
    assert plan.net.text.startswith('input: "a" input_dim: 1')
    assert "layers" not in plan.net.text


def test_a_field_of_the_net_goes_too(caffe):
    text = "default_forward_type: FLOAT16 version: 2\n" + net("ReLU", "", (1, 2, 3, 3))
    plan = fk.bvlc(prototxt.parse(text))
    assert is_bvlcs(plan) and [step.verb for step in plan.steps] == ["remove", "remove"]
    (found,) = caffe.ask([caffe.Question("shapes", plan.net)])
    assert found["t"] == (1, 2, 3, 3)


def test_the_page_says_what_the_rules_say(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import fork_page

    page = fork_page.PAGE.read_text(encoding="utf-8")
    assert fork_page.written(page) == page


def test_every_rule_for_a_type_is_tried_here():
    text = Path(__file__).read_text(encoding="utf-8")
    assert all(f'"{name}"' in text for name in TYPES)
    assert all(name in text for name in WORDS)
