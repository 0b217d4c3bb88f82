"""Ticks of axes: round numbers, few of them, between the ends, as one writes them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcnkit.ticks import linear, logarithmic, plain


@pytest.mark.parametrize(
    "value, words",
    [
        (0, "0"),
        (-0.0, "0"),
        (2.4, "2.4"),
        (100000, "100,000"),
        (1000000.0, "1,000,000"),
        (0.1 + 0.2, "0.3"),
        (-12.5, "-12.5"),
        (0.0001, "0.0001"),
        (2e-5, "2e-5"),
        (-1.5e-10, "-1.5e-10"),
        (3e8, "3e8"),
        (123456.789, "123,456.789"),
        (math.inf, "inf"),
        (math.nan, "nan"),
    ],
)
def test_numbers_as_one_writes_them(value, words):
    assert plain(value) == words


@pytest.mark.parametrize(
    "low, high, found",
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0, 100000, [0, 20000, 40000, 60000, 80000, 100000]),
        (2.41, 2.47, [2.41, 2.42, 2.43, 2.44, 2.45, 2.46, 2.47]),
        (-3, 3, [-3, -2, -1, 0, 1, 2, 3]),
        (5, 5, [5]),
    ],
)
def test_ticks_of_a_linear_axis(low, high, found):
    assert linear(low, high) == found


@pytest.mark.parametrize(
    "low, high, found",
    [
        (0.3, 12, [0.5, 1, 2, 5, 10]),
        (0.1, 100, [0.1, 0.3, 1, 3, 10, 30, 100]),
        (1e-5, 1e5, [1e-5, 1e-3, 1e-1, 1e1, 1e3, 1e5]),
        (2.1, 2.6, [2.1, 2.2, 2.3, 2.4, 2.5, 2.6]),
    ],
)
def test_ticks_of_a_logarithmic_axis(low, high, found):
    assert logarithmic(low, high) == found


FLOATS = st.floats(-1e9, 1e9)


@given(FLOATS, st.floats(1e-3, 1e9), st.integers(5, 12))
def test_there_are_few_and_all_lie_between_the_ends(low, more, most):
    high = low + more
    found = linear(low, high, most)
    slack = more * 1e-6 + abs(low) * 1e-9
    assert 1 <= len(found) <= most and found == sorted(set(found))
    assert low - slack <= found[0] and found[-1] <= high + slack


@given(st.floats(1e-12, 1e12), st.floats(1.001, 1e12))
def test_of_a_logarithm_too(low, factor):
    found = logarithmic(low, low * factor)
    assert 1 <= len(found) <= 8 and found == sorted(set(found))
    assert low * 0.999 <= found[0] and found[-1] <= low * factor * 1.001


@given(st.floats(-1e15, 1e15).filter(lambda value: value == 0 or abs(value) > 1e-15))
def test_a_number_is_what_it_was(value):
    assert float(plain(value).replace(",", "")) == pytest.approx(value, rel=1e-6, abs=1e-30)
