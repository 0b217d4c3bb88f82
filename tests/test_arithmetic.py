"""Blobs made out of blobs, against numpy; and how much they hold at a time."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcnkit.errors import WeightsError
from fcnkit.nets.layers.traits import Affine
from fcnkit.weights import arithmetic, fillers, store


def blob(array, cut=0):
    """The array as a blob, its bytes in pieces of `cut`."""
    array = np.ascontiguousarray(array)
    raw, kind = (
        array.tobytes(),
        {"<f4": "float32", "<f8": "float64", "<f2": "float16"}[array.dtype.str],
    )
    cut = cut or max(1, len(raw))
    chunks = [raw[at : at + cut] for at in range(0, len(raw), cut)]
    return store.create().put("a", [store.Lazy(array.shape, lambda: chunks, kind)])["a"][0]


def noise(*shape, kind="f4"):
    return np.random.default_rng(len(shape)).normal(size=shape).astype(kind)


def copies(*indices):
    return tuple(((index, 1),) for index in indices)


# ---- mix


@pytest.mark.parametrize("axis", [0, 1, 2])
@given(st.integers(1, 5), st.integers(1, 64), st.integers(1, 300))
def test_slices_that_are_copied_are_numpys(axis, seed, block, cut):
    array, rng = noise(3, 4, 5), np.random.default_rng(seed)
    indices = rng.integers(array.shape[axis], size=rng.integers(1, 7))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arithmetic, "_BLOCK", block)
        found = arithmetic.mixed(blob(array, cut), array.shape, ((axis, copies(*indices)),))
        np.testing.assert_array_equal(found.array(), array.take(indices, axis))


def test_every_bit_of_a_copied_slice_stays():
    array = np.array([[0x7FC00001, 0x80000000], [0x00000001, 0xFF800000]], "<u4").view("<f4")
    found = arithmetic.mixed(blob(array), (2, 2), ((0, copies(1, 0)), (1, copies(1, 0)))).array()
    assert found.view("<u4").tolist() == array.view("<u4")[::-1, ::-1].tolist()


def test_sums_are_rounded_once():
    array = noise(6, 7)
    rows = (((0, 0.1), (3, 0.2), (5, 0.7)), (), ((2, 1.0),), ((1, -1.0),))
    found = arithmetic.mixed(blob(array), (6, 7), ((0, rows),)).array()
    double = array.astype("f8")
    expected = [
        0.1 * double[0] + 0.2 * double[3] + 0.7 * double[5],
        0 * double[0],
        double[2],
        -double[1],
    ]
    np.testing.assert_array_equal(found, np.array(expected).astype("f4"))


def test_a_legacy_shape_and_a_new_one():
    array = noise(1, 1, 4, 6)
    found = arithmetic.mixed(blob(array), (4, 2, 3), ((1, copies(1, 0)),))
    np.testing.assert_array_equal(found.array(), array.reshape(4, 2, 3)[:, ::-1])


@pytest.mark.parametrize("kind, becomes", [("f4", "f4"), ("f8", "f8"), ("f2", "f4")])
def test_what_type_the_values_have(kind, becomes):
    array = noise(3, 2, kind=kind)
    found = arithmetic.mixed(blob(array), (3, 2), ((0, copies(2)),)).array()
    assert found.dtype == np.dtype(becomes) and (found == array[2:]).all()


def test_new_slices_are_filled_as_caffe_would():
    array, rows = noise(2, 3, 2, 2), (*copies(1), (), ())
    found = arithmetic.mixed(blob(array), array.shape, ((0, rows),), ("xavier", 7)).array()
    np.testing.assert_array_equal(found[0], array[1])
    np.testing.assert_array_equal(found[1:], fillers.fill("xavier", (2, 3, 2, 2), rng=7))


@pytest.mark.parametrize(
    "old, axes, words",
    [
        ((5, 2), (), "is 6 values, 5 x 2 would be 10"),
        ((3, 2), ((0, copies(3)),), "3 x 2 has 3 slices along axis 0, and 3 is asked for"),
    ],
)
def test_mixes_that_cannot_be(old, axes, words):
    with pytest.raises(WeightsError, match=words):
        arithmetic.mixed(blob(noise(3, 2)), old, axes)


# ---- dense, group


def diagonal(array, groups):
    """By the definition: one block per group."""
    out = np.zeros((array.shape[0], groups * array.shape[1], *array.shape[2:]), array.dtype)
    for group, part in enumerate(np.split(array, groups)):
        rows = slice(group * len(part), (group + 1) * len(part))
        out[rows, group * array.shape[1] : (group + 1) * array.shape[1]] = part
    return out


@given(
    st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 500), st.integers(1, 99)
)
def test_groups_spread_out_and_gathered(groups, each, width, block, cut):
    array = noise(groups * each, width, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arithmetic, "_BLOCK", block)
        dense = arithmetic.spread(blob(array, cut), groups, (groups * each, groups * width, 2))
        np.testing.assert_array_equal(dense.array(), diagonal(array, groups))
        np.testing.assert_array_equal(
            arithmetic.gathered(dense, groups, array.shape).array(), array
        )


@pytest.mark.parametrize("value, words", [(0.5, "0.5"), (-2.25, "2.25"), (np.nan, "inf")])
def test_what_is_not_block_diagonal(value, words):
    array = diagonal(noise(4, 3), 2)
    array[3, 0] = value
    with pytest.raises(WeightsError, match=f"outside the blocks of 2 groups .*{words}.* one group"):
        arithmetic.gathered(blob(array), 2, (4, 3)).array()


# ---- fold

STATISTICS = {
    ("bn", 0): noise(6),
    ("bn", 1): noise(6, 1)[:, 0] ** 2,
    ("bn", 2): np.array([8], "f4"),
    ("scale", 0): noise(6, 1, 1).ravel(),
    ("scale", 1): noise(6),
    ("bias", 0): noise(6, 1).ravel(),
    ("one", 0): np.array(3, "f4"),
    ("wrong", 0): noise(5),
    ("empty", 0): noise(6),
    ("empty", 1): noise(6),
    ("empty", 2): np.array([0], "f4"),
}
LINKS = (
    ("bn", Affine(mean=0, variance=1, divisor=2, eps=1e-3)),
    ("scale", Affine(factor=0, summand=1)),
    ("bias", Affine(summand=0)),
    ("one", Affine(factor=0)),
)


def read(layer, number):
    return blob(STATISTICS[layer, number].astype("f4"))


def through(x):
    """The links on x, channels first."""
    stat = {key: value.astype("f8") for key, value in STATISTICS.items()}
    x = (x - stat["bn", 0] / 8) / np.sqrt(stat["bn", 1] / 8 + 1e-3)
    return 3 * (x * stat["scale", 0] + stat["scale", 1] + stat["bias", 0])


@pytest.mark.parametrize(
    "shape, axis, groups", [((6, 2, 3), 0, 1), ((4, 6, 3), 1, 1), ((4, 3, 3), 1, 2)]
)
@pytest.mark.parametrize("block", [1, 50, 1 << 20])
def test_weights_and_bias_go_through_the_links(shape, axis, groups, block, monkeypatch):
    monkeypatch.setattr(arithmetic, "_BLOCK", block)
    array, bias = noise(*shape), noise(6)
    factors = through(np.ones(6)) - through(np.zeros(6))
    by_slice = (
        factors[:, None, None]
        if axis == 0
        else factors.reshape(groups, -1).repeat(len(array) // groups, 0)[:, :, None]
    )
    found = arithmetic.scaled(blob(array), LINKS, axis, groups, shape, read).array()
    np.testing.assert_allclose(found, array * by_slice, rtol=1e-6)
    shifted = arithmetic.shifted(blob(bias), LINKS, (6,), read, "new")
    np.testing.assert_allclose(shifted.array(), through(bias.astype("f8")), rtol=1e-6)
    new = arithmetic.shifted(None, LINKS, (6,), read, "new")
    np.testing.assert_allclose(new.array(), through(np.zeros(6)), rtol=1e-6)


def test_a_factor_of_zero_is_no_statistics():
    found = arithmetic.shifted(
        blob(noise(6)),
        (("empty", Affine(mean=0, variance=1, divisor=2, eps=0.25)),),
        (6,),
        read,
        "new",
    ).array()
    np.testing.assert_allclose(found, 2 * noise(6))


def test_statistics_of_another_net():
    with pytest.raises(
        WeightsError, match="5 is 5 values for 6 channels; it belongs to another net"
    ):
        arithmetic.shifted(None, (("wrong", Affine(factor=0)),), (6,), read, "new").array()


# ---- memory


def test_a_large_blob_is_worked_on_in_parts():
    shape = (512, 64, 16, 16)  # 32 MB

    def chunks():
        return (bytes(1 << 20) for _ in range(32))

    large = store.create().put("a", [store.Lazy(shape, chunks)])["a"][0]
    made = arithmetic.mixed(large, shape, ((1, copies(*range(63, -1, -1))), (2, copies(0, 5))))
    made = arithmetic.scaled(made, (("one", Affine(factor=0)),), 0, 1, made.shape, read)
    made = arithmetic.spread(made, 2, (512, 128, 2, 16))
    tracemalloc.start()
    count = sum(len(piece) for piece in made.pieces())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == made.nbytes and peak < 64 << 20


def test_the_first_axis_takes_one_copy_of_the_blob():
    shape = (512, 64, 16, 16)  # 32 MB
    large = store.create().put("a", [store.zeros(shape)])["a"][0]
    made = arithmetic.mixed(
        large, shape, ((0, (*copies(*range(511, -1, -1)), (), ((0, 0.5), (9, 0.5)))),)
    )
    tracemalloc.start()
    count = sum(len(piece) for piece in made.pieces())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == made.nbytes and peak < 56 << 20
