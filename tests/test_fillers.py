"""Caffe's fillers: bilinear to the last bit, the random ones by their bounds and moments."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcnkit.errors import WeightsError
from fcnkit.formats import prototxt
from fcnkit.formats.schema import FILLERS
from fcnkit.weights.fillers import bilinear, bilinear_planes, fill

SHAPE = (40, 30, 5, 4)
COUNT, FAN_IN, FAN_OUT = 40 * 30 * 20, 30 * 20, 40 * 20


def bilinear_blob(shape, group=None):
    """The planes as one array."""
    return np.stack(list(bilinear_planes(shape, group))).reshape(shape)


def filled_by_caffe(
    caffe, filler: str, *, group: int = 1, kernel=(5, 4), outputs=40, inputs=30
) -> np.ndarray:
    """The weights of a Convolution that Caffe has filled."""
    net = f"""
        layer {{ name: "data" type: "Input" top: "data"
          input_param {{ shape {{ dim: 1 dim: {inputs} dim: 99 dim: 99 }} }} }}
        layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {{
          num_output: {outputs} group: {group} kernel_h: {kernel[0]} kernel_w: {kernel[1]}
          bias_term: false
          weight_filler {{ {filler} }} }} }}"""
    return caffe.params(prototxt.parse(net, "net"))["conv"][0]


# bilinear: laws


@given(st.integers(1, 40))
def test_the_shifted_kernels_sum_to_one(stride):
    for size in {2 * stride, 2 * stride - 1} - {0}:
        total = np.zeros(6 * stride + size)
        row = bilinear((1, size))[0].astype(float)
        for start in range(0, 6 * stride + 1, stride):
            total[start : start + size] += row
        np.testing.assert_allclose(total[2 * stride : 5 * stride], 1, atol=1e-6)


@pytest.mark.parametrize("size, stride", [(63, 16), (65, 32), (5, 2)])
def test_other_sizes_do_not(size, stride):
    row = bilinear((1, size))[0].astype(float)
    sums = [row[start::stride].sum() for start in range(stride)]
    assert max(sums) > 1.01


@given(st.integers(1, 99), st.integers(1, 99))
def test_it_is_symmetric_and_separable(height, width):
    kernel = bilinear((height, width))
    assert kernel.shape == (height, width) and kernel.dtype == np.float32
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], atol=1e-6)
    np.testing.assert_allclose(
        kernel, np.outer(bilinear((height, 1)), bilinear((1, width))), atol=1e-6
    )
    assert kernel.max() <= 1 and kernel.min() > 0


# bilinear: tables


@pytest.mark.parametrize(
    "size, row",
    [
        (1, [1]),
        (2, [0.5, 0.5]),
        (3, [0.5, 1, 0.5]),
        (4, [0.25, 0.75, 0.75, 0.25]),
        (5, [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3]),
    ],
)
def test_small_kernels(size, row):
    np.testing.assert_allclose(bilinear((1, size))[0] / bilinear((1, 1))[0], row, rtol=1e-6)
    np.testing.assert_allclose(bilinear(size), np.outer(row, row), rtol=1e-6)


@pytest.mark.parametrize("size, first, most", [(64, 1 / 64, 63 / 64), (63, 1 / 32, 1)])
def test_the_kernels_of_the_paper(size, first, most):
    row = bilinear((1, size))[0]
    assert (row[0], row.max()) == (np.float32(first), np.float32(most))


def test_grouped_and_dense_weights():
    grouped, dense = bilinear_blob((3, 1, 4, 4)), bilinear_blob((3, 3, 4, 4))
    kernel = bilinear(4)
    for channel in range(3):
        np.testing.assert_array_equal(grouped[channel, 0], kernel)
        for output in range(3):
            np.testing.assert_array_equal(dense[channel, output], kernel * (channel == output))


def test_two_groups_of_two():
    weights = bilinear_blob((4, 2, 3, 3), group=2)
    assert [[plane.any() for plane in channel] for channel in weights] == [
        [True, False],
        [False, True],
    ] * 2


def test_planes_come_one_by_one():
    planes = bilinear_planes((10_000, 10_000, 64, 64))
    assert next(planes).any() and not next(planes).any()


@pytest.mark.parametrize(
    "shape, group, words",
    [
        ((3, 2, 4, 4), None, "each channel must go to itself"),
        ((2, 3, 4, 4), None, "each channel must go to itself"),
        ((3, 1, 4, 4), 1, "with group 1 they take 3 channels to 1,"),
        ((3, 3, 4, 4), 3, "to 9,"),
        ((3, 4, 4), None, "expected 4 axes, found 3"),
        ((0, 0, 4, 4), None, "each channel"),
        ((1, 1, 0, 4), None, "a side is below 1"),
    ],
)
def test_weights_that_cannot_be(shape, group, words):
    with pytest.raises(WeightsError, match=words):
        bilinear_blob(shape, group)


# bilinear: oracles


def test_caffe_gives_the_same_bits(caffe):
    sizes = range(1, 80)
    nets = [
        prototxt.parse(
            f"""input: "data" input_shape {{ dim: 1 dim: 2 dim: 4 dim: 4 }}
            layer {{ name: "up" type: "Deconvolution" bottom: "data" top: "up" convolution_param {{
              num_output: 2 group: 2 kernel_size: {size} bias_term: false
              weight_filler {{ type: "bilinear" }} }} }}""",
            f"kernel {size}",
        )
        for size in sizes
    ]
    for size, params in zip(
        sizes, caffe.ask([caffe.Question("params", net) for net in nets]), strict=True
    ):
        np.testing.assert_array_equal(params["up"][0], bilinear_blob((2, 1, size, size)))


def test_caffe_fills_every_plane(caffe):
    weights = filled_by_caffe(caffe, 'type: "bilinear"', kernel=(4, 4), inputs=3, outputs=2)
    np.testing.assert_array_equal(weights, fill("bilinear", (2, 3, 4, 4), rng=0))


# the others


def bounds(name: str, **params) -> tuple[float, float, float, float]:
    """Least, most, mean and standard deviation that the formula says;
    the first two may be infinite.
    """
    fan = {"FAN_IN": FAN_IN, "FAN_OUT": FAN_OUT, "AVERAGE": (FAN_IN + FAN_OUT) / 2}[
        params.get("variance_norm", "FAN_IN")
    ]
    if name == "uniform":
        low, high = params.get("min", 0), params.get("max", 1)
        return low, high, (low + high) / 2, (high - low) / math.sqrt(12)
    if name == "xavier":
        bound = math.sqrt(3 / fan)
        return -bound, bound, 0, bound / math.sqrt(3)
    if name == "msra":
        return -math.inf, math.inf, 0, math.sqrt(2 / fan)
    mean, std = params.get("mean", 0), params.get("std", 1)
    kept = params.get("sparse", 40) / 40
    return (
        -math.inf,
        math.inf,
        mean * kept,
        math.sqrt(kept * (std**2 + mean**2) - (mean * kept) ** 2),
    )


CASES = [
    ("uniform", {}),
    ("uniform", {"min": -2, "max": 3}),
    ("gaussian", {}),
    ("gaussian", {"mean": 2, "std": 0.01}),
    ("gaussian", {"std": 0.5, "sparse": 10}),
    ("xavier", {}),
    ("xavier", {"variance_norm": "FAN_OUT"}),
    ("xavier", {"variance_norm": "AVERAGE"}),
    ("msra", {}),
    ("msra", {"variance_norm": "FAN_OUT"}),
    ("msra", {"variance_norm": "AVERAGE"}),
]


def check_moments(values: np.ndarray, name: str, params: dict) -> None:
    low, high, mean, std = bounds(name, **params)
    assert values.shape == SHAPE and values.dtype == np.float32
    assert low - 1e-6 <= values.min() and values.max() <= high + 1e-6
    assert abs(values.mean() - mean) < 5 * std / math.sqrt(COUNT)
    assert abs(values.std() / std - 1) < 0.04
    if math.isfinite(high):
        assert values.max() > high - 0.01 * (high - low)


@pytest.mark.parametrize("name, params", CASES)
def test_the_formulas_hold(name, params):
    check_moments(fill(name, SHAPE, rng=3, **params), name, params)


@pytest.mark.parametrize("name, params", CASES)
def test_the_formulas_hold_for_caffe(caffe, name, params):
    text = " ".join(f"{key}: {value}" for key, value in params.items())
    check_moments(filled_by_caffe(caffe, f'type: "{name}" {text}'), name, params)


def test_positive_unitball(caffe):
    for values in (
        fill("positive_unitball", SHAPE, rng=0),
        filled_by_caffe(caffe, 'type: "positive_unitball"'),
    ):
        np.testing.assert_allclose(values.reshape(40, -1).sum(axis=1), 1, rtol=1e-4)
        assert values.min() >= 0 and values.max() < 3 * 2 / FAN_IN


def test_constant():
    assert not fill("constant", (2, 3), rng=0).any()
    assert (fill("constant", (2, 3), rng=0, value=0.5) == 0.5).all()


@pytest.mark.parametrize("name", [name for name in FILLERS if name not in ("bilinear", "constant")])
def test_a_seed_gives_the_same_and_another_seed_does_not(name):
    one, same, other = (fill(name, SHAPE, rng=seed) for seed in (1, np.random.default_rng(1), 2))
    assert (one == same).all() and (one != other).any()


def test_a_bias_has_itself_as_fan_out():
    values = fill("xavier", (5000,), rng=0, variance_norm="FAN_OUT")
    assert np.abs(values).max() == pytest.approx(math.sqrt(3 / 5000), rel=0.01)


@pytest.mark.parametrize(
    "name, shape, params, words",
    [
        ("xaviar", (2,), {}, "no such filler; use one of bilinear, constant"),
        ("xavier", (2,), {"std": 1}, "takes no std; it takes variance_norm"),
        ("xavier", (2,), {"variance_norm": "FAN"}, "no variance_norm FAN; use one of FAN_IN"),
        ("bilinear", (2, 3, 4, 5), {}, "square kernel"),
        ("bilinear", (4, 4), {}, "4 axes"),
        ("bilinear", (1, 1, 4, 4), {"value": 1}, "takes no value; it takes no parameters"),
        ("uniform", (2,), {"min": 2, "max": 1}, "min 2 is above max 1"),
        ("gaussian", (2, 3), {"sparse": 3}, "sparse 3 is above its 2 outputs"),
    ],
)
def test_what_caffe_has_not(name, shape, params, words):
    with pytest.raises(WeightsError, match=words):
        fill(name, shape, rng=0, **params)
