"""Which images are shown: every class is seen where so few can show it, the worst come first."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcnkit.reporting.choice import BEST, WORST, allotted, covering, extremes, ranked, spread


def test_the_rarest_class_is_served_first():
    pixels = np.array([[9, 9, 0, 0], [9, 0, 5, 0], [0, 9, 9, 0], [0, 0, 0, 3], [9, 9, 9, 0]])
    assert covering(pixels, 10) == [3, 4]
    assert covering(pixels, 1) == [3]
    assert covering(pixels[:, :3] * 0, 10) == []


PIXELS = st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=12)


@given(PIXELS, st.integers(1, 12))
def test_every_class_is_seen_where_there_is_room(rows, count):
    pixels = np.array(rows)
    found = covering(pixels, count)
    assert len(found) <= count and len(set(found)) == len(found)
    if count >= 4:  # one image for each class is always enough
        assert ((pixels[found] > 0).any(axis=0) == (pixels > 0).any(axis=0)).all()


@given(st.integers(0, 30), st.integers(1, 12), st.lists(st.integers(0, 29), unique=True))
def test_others_are_spread_evenly(total, count, taken):
    taken = [each for each in taken if each < total]
    found = spread(total, count, taken)
    assert len(found) == min(total, count) and found == sorted(set(found))
    assert {*taken[:count]} <= {*found} <= {*range(total)}


@pytest.mark.parametrize(
    "sizes, count, parts",
    [((2, 14), 10, [2, 8]), ((9, 9), 5, [3, 2]), ((1, 1), 5, [1, 1]), ((4,), 2, [2])],
)
def test_several_sets_share_the_room(sizes, count, parts):
    assert allotted(sizes, count) == parts


def test_images_evenly_apart():
    assert spread(100, 4) == [12, 37, 62, 87]
    assert spread(3, 10) == [0, 1, 2]


@given(st.lists(st.floats(0, 1), max_size=20), st.integers(1, 12))
def test_the_worst_and_the_best_are_taken(values, count):
    found = extremes(values, count)
    assert len(found) == min(len(values), count) == len(set(found))
    if len(values) > 1 and count > 1:
        assert values[found[0]] == min(values) and values[found[1]] == max(values)


def test_taken_images_stay():
    assert extremes([0.5, 0.1, 0.9, 0.4], 3, [0]) == [0, 1, 2]


@pytest.mark.parametrize(
    "values, order",
    [
        ([], []),
        ([0.5], [(0, "")]),
        ([0.5, 0.2], [(1, WORST), (0, BEST)]),
        (
            [0.5, 0.1, 0.9, 0.3, 0.7, 0.2, 0.8],
            [(1, WORST), (5, WORST), (3, WORST), (2, BEST), (6, BEST), (4, BEST), (0, "")],
        ),
    ],
)
def test_the_worst_first_then_the_best(values, order):
    assert ranked(values) == order
