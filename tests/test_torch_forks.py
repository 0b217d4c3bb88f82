"""The layers and words of forks on PyTorch, against OpenCV where it has the layer, and formulas."""

import numpy as np
import pytest
from layer_text import declare, net, source

import fcnkit as fk
from fcnkit.engines import opencv
from fcnkit.engines.engine import choose
from fcnkit.engines.fields import of_forks
from fcnkit.errors import EngineError
from fcnkit.formats import prototxt
from fcnkit.weights import store

pytest.importorskip("torch")
from fcnkit.engines.torch import engine  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32) * 3


X = noise(2, 6, 5, 7)


def run(kind: str, params: str = "", *inputs: np.ndarray, blobs=(), tops: int = 1):
    """The first top of one layer on these inputs, and with these parameters."""
    given = inputs or (X,)
    text = prototxt.parse(net(kind, params, *(each.shape for each in given), tops=tops))
    weights = store.create().put_all({"x": list(blobs)}) if blobs else None
    fed = dict(zip("abcdef", given, strict=False))
    return engine.run(text, weights, fed, ["t"])["t"]


def by_opencv(kind: str, params: str, *inputs: np.ndarray) -> np.ndarray:
    cv2 = pytest.importorskip("cv2")
    text = net(kind, params, *(each.shape for each in inputs))
    found = cv2.dnn.readNetFromCaffe(np.frombuffer(text.encode(), np.uint8))
    for name, each in zip("abcdef", inputs, strict=False):
        found.setInput(each, name)
    return found.forward()


# ---- the same numbers elsewhere, by the loops of the forks' code


@pytest.mark.parametrize("order", ["NHWC", "NCHW", "DCR", "CRD"])
@pytest.mark.parametrize("block", [1, 2])
def test_depth_to_space(order, block):
    x = noise(2, 3, 5, 8) if order == "NHWC" else noise(2, 8, 3, 5)
    found = run(
        "DepthToSpace", f'depth_to_space_param {{ block_size: {block} data_format: "{order}" }}', x
    )
    if order == "NHWC":
        x, found = x.transpose(0, 3, 1, 2), found.transpose(0, 3, 1, 2)
    assert np.array_equal(found, finer(x, block, order != "CRD"))


def finer(x, block, places_first):
    n, c, h, w = x.shape
    depth = c // block**2
    top = np.empty((n, depth, h * block, w * block), x.dtype)
    for d, y, z in np.ndindex(*top.shape[1:]):
        place = (y % block) * block + z % block
        own = place * depth + d if places_first else d * block**2 + place
        top[:, d, y, z] = x[:, own, y // block, z // block]
    return top


def test_a_reshape_that_shuffles_pixels():
    x = noise(2, 12, 3, 5)
    assert np.array_equal(
        run("Reshape", "reshape_param { pixelshuffler: 2 }", x), finer(x, 2, False)
    )
    whole = run("Reshape", "reshape_param { shape { dim: 0 dim: -1 } pixelshuffler: 1 }", x)
    assert np.array_equal(whole, x.reshape(2, -1))


@pytest.mark.parametrize("value", [0, 2.5])
def test_pad(value):
    sides = ((0, 1), (2, 0), (1, 3), (0, 2))
    words = " ".join(f"paddings: {one}" for pair in sides for one in pair)
    found = run("Pad", f"pad_param {{ {words} constant_values: {value} }}")
    assert np.array_equal(found, np.pad(X, sides, constant_values=value))


@pytest.mark.parametrize("size", [(5, 7), (10, 14), (8, 3), (1, 1), (11, 9)])
@pytest.mark.parametrize("words", ["", "align_corners: true", "half_pixel_centers: true"])
@pytest.mark.parametrize("order", ["NCHW", "NHWC"])
def test_nearest_points(size, words, order):
    """Each is the fork's own count, in 32 bits."""
    x = X if order == "NCHW" else X.transpose(0, 2, 3, 1)
    params = f'output_height: {size[0]} output_width: {size[1]} data_format: "{order}" {words}'
    found = run(
        "ResizeNearestNeighbor",
        f"resize_nearest_neighbor_param {{ {params} }}",
        np.ascontiguousarray(x),
    )
    rows, columns = (nearest(old, new, words) for old, new in zip(X.shape[2:], size, strict=True))
    wanted = X[:, :, rows][..., columns]
    assert np.array_equal(found, wanted if order == "NCHW" else wanted.transpose(0, 2, 3, 1))


def nearest(old, new, words):
    f4, found = np.float32, []
    corners = "align_corners" in words and new > 1
    step = f4(old - 1) / f4(new - 1) if corners else f4(old) / f4(new)
    for at in range(new):
        if "half" in words:
            place = int(np.floor((f4(at) + f4(0.5)) * step))
        else:
            place = int(np.floor(float(f4(at) * step) + 0.5 * ("align" in words)))
        found.append(max(min(place, old - 1), 0))
    return found


# ---- against OpenCV


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("ReLU6", ""),
        ("Mish", ""),
        ("ShuffleChannel", "shuffle_channel_param { group: 3 }"),
        ("Permute", "permute_param { order: 0 order: 2 order: 3 order: 1 }"),
        ("Permute", "permute_param { order: 1 order: 0 order: 3 order: 2 }"),
        ("Interp", "interp_param { zoom_factor: 3 }"),
        ("Interp", "interp_param { height: 11 width: 9 }"),
        ("Interp", "interp_param { height: 2 width: 3 }"),
    ],
)
def test_a_layer_computes_what_opencv_does(kind, params):
    assert np.allclose(run(kind, params), by_opencv(kind, params, X), atol=2e-6)


@pytest.mark.parametrize(
    "params",
    [
        "min_size: 30 max_size: 60 aspect_ratio: 2 flip: true clip: false variance: 0.1",
        "min_size: 9 min_size: 4 max_size: 16 max_size: 25 aspect_ratio: 2 aspect_ratio: 3 "
        "flip: false clip: true variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.3",
        "min_size: 9 step: 8 offset: 0.25 clip: false variance: 0.2",
        "min_size: 9 step_h: 8 step_w: 4 img_h: 40 img_w: 63 clip: false variance: 0.1",
    ],
)
def test_prior_boxes_are_opencvs(params):
    """OpenCV clips the boxes unless it is told not to, SSD only where it is told; and it takes
    the image's size from the second bottom alone.
    """
    params = f"prior_box_param {{ {params} }}"
    image = noise(2, 3, 40, 63)
    assert np.allclose(
        run("PriorBox", params, X, image), by_opencv("PriorBox", params, X, image), atol=1e-6
    )


# ---- against formulas


def upright(values) -> np.ndarray:
    return np.asarray(values, np.float32).reshape(1, -1, 1, 1)


def test_normalize_divides_by_the_norm_of_a_place_or_of_all():
    factors = noise(6, seed=1)
    each = run("Normalize", "norm_param { across_spatial: false channel_shared: false }",
               blobs=[factors])  # fmt: skip
    norm = np.sqrt((X**2).sum(1, keepdims=True) + 1e-10)
    assert np.allclose(each, X / norm * upright(factors), atol=1e-5)
    shared = run("Normalize", "norm_param { scale_filler { type: 'constant' value: 20 } }")
    norm = np.sqrt((X**2).sum((1, 2, 3), keepdims=True) + 1e-10)
    assert np.allclose(shared, X / norm * 20, atol=1e-5)


PSPNET = "bn_param { slope_filler { } bias_filler { } eps: 1e-3 }"


def test_bn_of_each_fork_that_keeps_its_statistics():
    factor, summand, mean = (noise(6, seed=seed) for seed in (1, 2, 3))
    variance = np.abs(noise(6, seed=4))
    folded = run("BN", "bn_param { bn_mode: INFERENCE }",
                 blobs=[each.reshape(1, 6, 1, 1) for each in (factor, summand)])  # fmt: skip
    assert np.allclose(folded, X * upright(factor) + upright(summand), atol=1e-5)
    kept = run("BN", PSPNET, blobs=[each[None] for each in (factor, summand, mean, variance)])
    wanted = (X - upright(mean)) / np.sqrt(upright(variance) + 1e-3) * upright(factor)
    assert np.allclose(kept, wanted + upright(summand), atol=1e-4)


@pytest.mark.parametrize("mode", ["bn_mode: LEARN", ""])
def test_segnets_bn_takes_the_statistics_of_the_batch_and_shows_them(mode):
    factor, summand = noise(6, seed=1), noise(6, seed=2)
    text = prototxt.parse(net("BN", f"bn_param {{ {mode} scale_filler {{ }} }}", X.shape, tops=3))
    weights = store.create().put_all(
        {"x": [factor.reshape(1, 6, 1, 1), summand.reshape(1, 6, 1, 1)]}
    )
    found = engine.run(text, weights, {"a": X}, ["t", "u", "v"])
    mean, variance = X.mean((0, 2, 3), keepdims=True), X.var((0, 2, 3), keepdims=True)
    wanted = (X - mean) / np.sqrt(variance + 1e-9) * upright(factor) + upright(summand)
    for name, each in zip("tuv", (wanted, mean, variance), strict=True):
        assert found[name].shape == each.shape and np.allclose(found[name], each, atol=1e-4)


def test_nvcaffes_batch_norm_has_a_factor_and_a_summand():
    factor, summand, mean = (noise(6, seed=seed) for seed in (1, 2, 3))
    variance = np.abs(noise(6, seed=4))
    found = run(
        "BatchNorm",
        "param { lr_mult: 0 } param { lr_mult: 0 } param { lr_mult: 0 } param { lr_mult: 1 } "
        "batch_norm_param { use_global_stats: true scale_bias: true eps: 1e-7 }",
        blobs=[mean * 2, variance * 2, np.array([2.0], np.float32), factor, summand],
    )
    wanted = (X - upright(mean)) / np.sqrt(upright(variance) + 1e-5) * upright(factor)
    assert np.allclose(found, wanted + upright(summand), atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "params", "wanted"),
    [
        ("HardSwish", "", X * np.clip(X + 3, 0, 6) / 6),
        ("ReLU", "relu_param { relu6: true negative_slope: 0.5 }",
         np.minimum(np.where(X > 0, X, X / 2), 6)),
        ("Padding", "padding_param { pad_beg: 1 pad_end: 2 }",
         np.pad(X, [(0, 0)] * 2 + [(1, 2)] * 2)),
        ("Padding", "padding_param { pad_beg: -1 pad_end: -2 }", X[:, :, 1:-2, 1:-2]),
        ("UpsampleDarknet", "upsample_darknet_param { stride: 2 }", X.repeat(2, 2).repeat(2, 3)),
        ("Upsample", "upsample_param { scale: 3 }", X.repeat(3, 2).repeat(3, 3)),
        ("Interp", "interp_param { shrink_factor: 2 }", X[:, :, ::2, ::2]),
        ("Interp", "interp_param { shrink_factor: 2 pad_beg: -1 pad_end: -1 }",
         X[:, :, 1:-1:2, 1:-1:2]),
    ],
)  # fmt: skip
def test_a_layer_computes_its_formula(kind, params, wanted):
    assert np.allclose(run(kind, params), wanted, atol=1e-6)


def test_squeeze_takes_axes_of_one_out():
    assert run("Squeeze", "squeeze_param { axis: 1 }", X[:, :1]).shape == (2, 5, 7)


def test_axpy_is_a_factor_for_each_channel_and_a_sum():
    factors, other = noise(2, 6, 1, 1, seed=1), noise(2, 6, 5, 7, seed=2)
    assert np.allclose(run("Axpy", "", factors, X, other), factors * X + other, atol=1e-5)


def test_operands_are_stretched():
    column = noise(1, 6, 1, 1, seed=1)
    assert np.allclose(run("Add", "", X, column), X + column)
    learned = run("Mul", "mul_param { mul_shape: 7 }", blobs=[column.reshape(6)[[0] * 7]])
    assert np.allclose(learned, X * column[0, 0, 0, 0])


def test_upsample_puts_values_where_the_pooling_found_them():
    text = source("a", *X.shape) + declare(
        "Pooling", "pooling_param { kernel_size: 2 stride: 2 }", tops=("p", "mask"), name="pool"
    ) + declare("Upsample", "upsample_param { upsample_h: 5 upsample_w: 7 }",
                bottoms=("p", "mask"))  # fmt: skip
    found = engine.run(prototxt.parse(text), None, {"a": X}, ["p", "mask", "t"])
    wanted = np.zeros((2, 6, 35), np.float32)
    places = found["mask"].reshape(2, 6, -1).astype(int)
    np.put_along_axis(wanted, places, found["p"].reshape(2, 6, -1), 2)
    assert np.array_equal(found["t"], wanted.reshape(X.shape))


def test_a_mask_beyond_the_top_is_refused():
    mask = np.full_like(X, 500)
    with pytest.raises(EngineError, match="its mask names place 500, and its top is 10 x 14"):
        run("Upsample", "upsample_param { scale: 2 }", X, mask)


# ---- words of forks in layers of Caffe's


CONV = "convolution_param {{ num_output: 6 kernel_size: 3 {} }}".format


@pytest.mark.parametrize(
    ("theirs", "caffes"),
    [
        (CONV("hole: 2 pad: 1"), CONV("dilation: 2 pad: 1")),
        (CONV("hole_h: 2 hole_w: 1"), CONV("dilation: 2 dilation: 1")),
        (CONV("pad_t: 2 pad_b: 2 pad_l: 1 pad_r: 1"), CONV("pad_h: 2 pad_w: 1")),
        (CONV("pad_type: 1"), CONV("pad: 1")),
    ],
)
def test_a_forks_word_of_a_convolution_is_caffes(theirs, caffes):
    blobs = [noise(6, 6, 3, 3, seed=1), noise(6, seed=2)]
    found, wanted = (run("Convolution", each, blobs=blobs) for each in (theirs, caffes))
    assert np.array_equal(found, wanted)
    assert of_forks(prototxt.parse(net("Convolution", theirs, X.shape)))


def test_a_convolution_that_pads_one_side_and_has_a_relu():
    blobs = [noise(6, 6, 3, 3, seed=1), noise(6, seed=2)]
    found = run("Convolution", CONV("pad_r: 2 relu: true negative_slope: 0.25"), blobs=blobs)
    plain = run("Convolution", CONV(""), np.pad(X, [(0, 0)] * 3 + [(0, 2)]), blobs=blobs)
    assert np.allclose(found, np.where(plain > 0, plain, plain / 4), atol=1e-5)


@pytest.mark.parametrize("word", ["ceil_mode: false", "torch_pooling: true"])
@pytest.mark.parametrize("method", ["MAX", "AVE"])
def test_a_pooling_rounds_down(word, method):
    theirs, caffes = (
        run("Pooling", f"pooling_param {{ pool: {method} kernel_size: 2 stride: 2 pad: 1 {each} }}")
        for each in (word, "round_mode: FLOOR")
    )
    assert np.array_equal(theirs, caffes)


def test_depthwise_is_a_convolution_with_a_group_for_each_channel():
    blobs = [noise(6, 1, 3, 3, seed=1), noise(6, seed=2)]
    wanted = run("Convolution", CONV("group: 6"), blobs=blobs)
    assert np.array_equal(run("DepthwiseConvolution", CONV("group: 6"), blobs=blobs), wanted)
    with pytest.raises(EngineError, match="group 3 of 6 channels; give it a group for each"):
        run("DepthwiseConvolution", CONV("group: 3"))
    unsaid = CONV("engine: MKLDNN")
    assert np.array_equal(run("ConvolutionDepthwise", unsaid, blobs=blobs), wanted)


@pytest.mark.parametrize(
    ("pool", "fill", "method"),
    [("MAX", -np.inf, np.max), ("AVE_EXC_PAD", np.nan, np.nanmean)],
)
@pytest.mark.parametrize("sides", [(1, 1, 1, 1), (0, 1, 0, 1), (1, 0, 0, 1)])
def test_a_pooling_of_what_is_inside(pool, fill, method, sides):
    """`sides` are those above, below, left and right."""
    words = " ".join(f"pad_{s}: {n}" for s, n in zip("tblr", sides, strict=True))
    params = f"pool: {pool} kernel_size: 3 stride: 2 ceil_mode: false {words}"
    found = run("Pooling", f"pooling_param {{ {params} }}")
    padded = np.pad(X, [(0, 0), (0, 0), sides[:2], sides[2:]], constant_values=fill)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))[:, :, ::2, ::2]
    assert np.allclose(found, method(windows, (4, 5)), atol=1e-5)


# ---- what is refused


@pytest.mark.parametrize(
    ("kind", "params", "fact"),
    [
        ("Normalize", "", "without norm_param forks divide by different norms"),
        ("BN", "bn_param { frozen: false icnet: true }", "takes the statistics of the batch"),
        ("Normalize", "norm_param { add_eps_before_sqrt: true }", "add_eps_before_sqrt"),
        ("Upsample", "upsample_param { scale: 2 pad_out_h: true }", "a size of its own"),
        ("PriorBox", "prior_box_param { min_size: 3.5 img_size: 9 }", "not whole numbers"),
        ("PriorBox", "prior_box_param { min_size: 3 }", "it has no image"),
        ("PriorBox", "prior_box_param { box_width: 3 box_height: 3 }", "words of forks of SSD's"),
        ("PriorBox", "prior_box_param { min_size: 3 img_size: 9 tf: true }", 'no field "tf"'),
        ("ReLU", "relu_param { maximum: 4 }", 'no field "maximum"'),
        ("Reduction", "reduction_param { operation: TOPK }", "no operation TOPK; use SUM"),
        ("Pooling", "pooling_param { pool: AVE kernel_size: 2 pad_l: 1 }", "sides that are padded"),
        ("Pooling", "pooling_param { pool: AVE_TF kernel_size: 2 }", "it has no AVE_TF pooling"),
    ],
)
def test_what_is_not_known_is_refused(kind, params, fact):
    with pytest.raises(EngineError, match=fact):
        run(kind, params)


@pytest.mark.parametrize("operation", ["MIN", "DIV", "STOCHASTIC_SUM"])
def test_a_forks_operation_of_an_eltwise_is_refused(operation):
    with pytest.raises(EngineError, match=f"no operation {operation}; use SUM, PROD, MAX"):
        run("Eltwise", f"eltwise_param {{ operation: {operation} }}", X, X)


@pytest.mark.parametrize(
    ("kind", "params", "fact"),
    [
        ("BatchNorm", "batch_norm_param { use_global_stats: true scale_bias: true }",
         "the scale and bias of NVCaffe's BatchNorm are not computed"),
        ("BN", "bn_param { slope_filler { } frozen: true }", "frozen with the rest"),
        ("BN", "bn_param { slope_filler { } }", "takes the statistics of the batch"),
    ],
)  # fmt: skip
def test_what_would_train_otherwise_is_refused(kind, params, fact):
    """NVCaffe trains factor and summand beside stored statistics, Yjxiong's frozen BN neither."""
    with pytest.raises(EngineError, match=fact):
        run(kind, f"phase: TRAIN {params}")


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("BatchNorm", "batch_norm_param { scale_bias: true }"),
        ("BN", "bn_param { slope_filler { value: 1 } frozen: true }"),
    ],
)
def test_a_module_is_run_in_the_phase_that_can_be(kind, params):
    torch = pytest.importorskip("torch")
    module = fk.module(prototxt.parse(net(kind, params, X.shape)))
    with torch.no_grad():
        assert module.eval()(torch.from_numpy(X)).shape == X.shape
        with pytest.raises(EngineError, match="scale and bias"):
            module.train()(torch.from_numpy(X))


# ---- a net with a head of SSD


SSD = (
    source("a", 1, 3, 20, 20)
    + declare("Convolution", CONV(""), tops=("c",), name="conv")
    + declare("Permute", "permute_param { order: 0 order: 2 order: 3 order: 1 }",
              bottoms=("c",), tops=("p",), name="perm")
    + declare("Flatten", bottoms=("p",), tops=("loc",), name="flat")
    + declare("PriorBox", "prior_box_param { min_size: 9 }", bottoms=("c", "a"),
              tops=("prior",), name="prior")
    + declare("DetectionOutput", "detection_output_param { num_classes: 2 }",
              bottoms=("loc", "loc", "prior"), tops=("found",), name="found")
)  # fmt: skip


def test_a_net_is_run_up_to_what_is_asked():
    found = engine.run(prototxt.parse(SSD), None, {"a": noise(1, 3, 20, 20)}, ["loc", "prior"])
    assert found["loc"].shape == (1, 18 * 18 * 6)
    side = 9 / 20
    assert np.allclose(found["prior"][0, 0, 2] - found["prior"][0, 0, 0], side)
    stranger = SSD.replace("num_classes: 2", "num_classes: 2 objectness_score: 0.5")
    with pytest.raises(EngineError, match='its "objectness_score" .line 6. is not computed'):
        engine.run(prototxt.parse(stranger), None, {"a": noise(1, 3, 20, 20)})


def test_a_net_of_ssd_is_verified_by_what_its_boxes_are_made_of():
    weights = store.create().put_all({"conv": [noise(6, 3, 3, 3), noise(6)]})
    other = store.create().put_all({"conv": [noise(6, 3, 3, 3) * 1.01, noise(6)]})
    text = prototxt.parse(SSD, "ssd.prototxt")
    rows = fk.verify(text, weights, text)
    assert {row.output for row in rows} == {"loc", "prior"} and all(row.ok for row in rows)
    assert rows[-1].left_out == (
        "found",
    ) and "found is not compared: what it is computed from is" in str(rows[-1])
    assert not all(row.ok for row in fk.verify(text, weights, text, other))


def test_nets_of_forks_are_given_to_the_engine_that_knows_them():
    assert choose(nets=[prototxt.parse(SSD)]).forks
    caffes = prototxt.parse(net("ReLU", "", (1, 2, 3, 3)))
    assert choose(nets=[caffes]) == choose() and not of_forks(caffes)


@pytest.mark.parametrize(
    ("kind", "params", "fact"),
    [
        ("ReLU6", "", ""),
        ("Mish", "", ""),
        ("ShuffleChannel", "shuffle_channel_param { group: 2 }", ""),
        ("Interp", "interp_param { zoom_factor: 2 }", ""),
        ("Interp", "interp_param { height: 3 width: 20 }", ""),
        ("Interp", "interp_param { shrink_factor: 2 }", "ignores the shrink_factor"),
        ("Interp", "interp_param { zoom_factor: 2 pad_beg: -1 }", "ignores pad_beg"),
        ("PriorBox", "prior_box_param { min_size: 3 clip: true variance: 1 }", ""),
        ("PriorBox", "prior_box_param { min_size: 3 variance: 1 }", "default than SSD for .* clip"),
        ("PriorBox", "prior_box_param { min_size: 3.5 clip: true variance: 1 }", "whole numbers"),
        ("PriorBox", "prior_box_param { min_size: 3 clip: true variance: 1 img_size: 9 }",
         "second bottom, whatever"),
    ],
)  # fmt: skip
def test_opencv_runs_what_it_runs_as_the_fork_does(kind, params, fact):
    """What is refused is other in OpenCV, or there is no result at all."""
    pytest.importorskip("cv2")
    given = (X[:1], noise(1, 3, 40, 60)) if kind == "PriorBox" else (X,)
    text = prototxt.parse(net(kind, params, *(each.shape for each in given)))
    fed = dict(zip("ab", given, strict=False))
    if fact:
        with pytest.raises(EngineError, match=fact):
            opencv.run(text, None, fed)
    else:
        assert np.allclose(opencv.run(text, None, fed)["t"], run(kind, params, *given), atol=1e-5)


DETECTED = (
    "num_classes: 4 share_location: true background_label_id: 0 nms_param {{ {} }} code_type: {} {}"
).format


@pytest.mark.parametrize(
    "params",
    [
        DETECTED("nms_threshold: 0.3 top_k: 40", "CENTER_SIZE", "keep_top_k: 9"),
        DETECTED("nms_threshold: 0.6 top_k: 20", "CORNER", "keep_top_k: 100"),
        DETECTED("nms_threshold: 0.45 top_k: 30", "CENTER_SIZE",
                 "keep_top_k: 30 confidence_threshold: 0.3"),
        DETECTED("nms_threshold: 0.45 top_k: 30", "CENTER_SIZE",
                 "keep_top_k: 30 clip: true"),
    ],
)  # fmt: skip
def test_detections_are_opencvs(params):
    params = f"detection_output_param {{ {params} }}"
    given = boxes_to_find()
    found, wanted = (one("DetectionOutput", params, *given) for one in (run, by_opencv))
    # Its order is its own, and behind the last there are rows of zeros.
    rows, others = (
        sorted(row for row in each[0, 0].tolist() if row[2]) for each in (found, wanted)
    )
    assert len(rows) > 1 and np.allclose(rows, others, atol=1e-5)


def test_the_variance_is_in_the_offsets_or_beside_them():
    offsets, scores, prior = boxes_to_find()
    params = "detection_output_param {{ num_classes: 4 code_type: {} {} }}".format
    for kind in ("CORNER", "CENTER_SIZE", "CORNER_SIZE"):
        beside = run("DetectionOutput", params(kind, ""), offsets, scores, prior)
        within = run("DetectionOutput", params(kind, "variance_encoded_in_target: true"),
                     offsets * np.float32(0.1), scores, prior)  # fmt: skip
        assert np.allclose(beside, within, atol=1e-6)


def boxes_to_find() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offsets, scores of four classes, and 60 priors with a variance of 0.1."""
    rng = np.random.default_rng(5)
    low = rng.uniform(0, 0.7, (60, 2))
    priors = np.concatenate([low, low + rng.uniform(0.1, 0.3, (60, 2))], 1)
    prior = np.stack([priors, np.full((60, 4), 0.1)]).reshape(1, 2, -1).astype(np.float32)
    offsets = rng.normal(size=(1, 240)).astype(np.float32)
    return offsets, rng.uniform(size=(1, 240)).astype(np.float32), prior


def test_detections_of_each_class_have_boxes_of_their_own():
    """One prior; the second class's box lies elsewhere, the first one's is the background's."""
    prior = np.array([0, 0, 0.5, 0.5, 1, 1, 1, 1], np.float32).reshape(1, 2, 4)
    offsets = np.array([[0] * 4, [0.25] * 4, [0, 0, 1, 1]], np.float32).reshape(1, 12)
    params = (
        "detection_output_param { num_classes: 3 share_location: false code_type: CORNER_SIZE }"
    )
    found = run("DetectionOutput", params, offsets, np.array([[0.1, 0.3, 0.6]], np.float32), prior)
    wanted = [[0, 1, 0.3, *[0.125, 0.125, 0.625, 0.625]], [0, 2, 0.6, 0, 0, 1, 1]]
    assert np.allclose(found[0, 0], wanted)


def test_an_image_without_detections_has_a_row_of_none():
    """As detection_output_layer.cpp makes it."""
    prior = np.array([0, 0, 0.5, 0.5, 1, 1, 1, 1], np.float32).reshape(1, 2, 4)
    params = "detection_output_param { num_classes: 2 confidence_threshold: 0.9 }"
    found = run("DetectionOutput", params, np.zeros((2, 4), np.float32),
                np.full((2, 2), 0.5, np.float32), prior)  # fmt: skip
    assert found.tolist() == [[[[0, *[-1] * 6], [1, *[-1] * 6]]]]
