"""Curves as figures: where lines and ticks are, what is thinned out, what is said of them."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcnkit.reporting.chart import HEIGHT, WIDTH, Series, chart, thinned


def drawn(path: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([-\d.]+) ([-\d.]+)", path)]


def test_a_line_runs_between_the_axes():
    made = chart("Loss", [Series("training", [(0, 1.0), (50, 2.0), (100, 3.0)])])
    (line,) = made.lines
    points = drawn(line.path)
    assert [x for x, _ in points] == [0, WIDTH / 2, WIDTH]
    heights = [y for _, y in points]
    assert heights == sorted(heights, reverse=True) and 0 < heights[-1] < heights[0] < HEIGHT
    assert line.points == "0:1 50:2 100:3" and line.last == "3"
    assert [(each.place, each.text) for each in made.across][:2] == [(0, "0"), (20, "20")]
    assert made.alt == "Loss against iterations. training: from 1 at 0 to 3 at 100"
    assert made.span == "0 100"


def test_ticks_of_a_logarithm_are_evenly_apart():
    made = chart("Loss", [Series("a", [(0, 1.0), (10, 1000.0)])], logarithmic=True)
    places = {each.text: each.place for each in made.up}
    assert list(places) == ["1", "3", "10", "30", "100", "300", "1,000"]
    assert math.isclose(places["10"] - places["1"], places["1,000"] - places["100"], abs_tol=0.01)
    assert not chart("Loss", [Series("a", [(0, 0.0), (1, 1.0)])], logarithmic=True).logarithmic


def test_what_is_no_number_is_a_gap():
    (line,) = chart("a", [Series("a", [(0, 1), (1, None), (2, 2), (3, 3)])]).lines
    assert line.path.count("M") == 2 and line.points == "0:1 2:2 3:3"
    assert chart("a", [Series("a", [(0, None)]), Series("b", [])]) is None


def test_few_points_are_marked_and_one_alone_is_seen():
    (line,) = chart("a", [Series("a", [(0, 1), (5, 2)])]).lines
    assert line.marks.count("h0") == 2
    many = [(x, None if x in (49, 51) else 1.0) for x in range(100)]
    (line,) = chart("a", [Series("a", many)]).lines
    assert line.marks == "M500.0 200.0h0" or line.marks.count("h0") == 1
    assert chart("a", [Series("a", [(7, 3.0)])], last=100).across[-1].text == "100"


def test_a_spike_is_never_lost():
    points = [(x, 1.0) for x in range(100_000)]
    points[54_321] = (54_321, 9.0)
    found = thinned(points)
    assert len(found) <= 400 and (54_321, 9.0) in found and found[-1] == points[-1]


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=700), st.integers(5, 60))
def test_thinning_keeps_ends_order_and_bounds(values, most):
    points = list(enumerate(values))
    found = thinned(points, most)
    known = [value for value in values if value is not None]
    kept = [value for _, value in found if value is not None]
    assert len(found) <= max(most, 1) and found == sorted(found, key=lambda each: each[0])
    assert set(found) <= set(points) and found[-1:] == points[-1:]
    if known:
        assert (min(kept), max(kept)) == (min(known), max(known))


@pytest.mark.parametrize("value", [0.0, 5.0, -3.0, 1e-9])
def test_a_line_without_a_slope_is_in_the_middle(value):
    (line,) = chart("a", [Series("a", [(0, value), (1, value)])]).lines
    assert {y for _, y in drawn(line.path)} == {HEIGHT / 2}
