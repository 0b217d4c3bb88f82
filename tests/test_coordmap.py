"""The algebra of coordinate maps."""

from fractions import Fraction as F

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fcnkit.nets.coordmap import IDENTITY, CoordMap, show

NUMBERS = st.fractions(-50, 50, max_denominator=16)
MAPS = st.lists(st.tuples(NUMBERS.filter(bool), NUMBERS), max_size=3).map(CoordMap.of)
few = settings(max_examples=40, deadline=None)


# ---- laws


@few
@given(MAPS)
def test_the_identity_changes_nothing_on_either_side(one):
    assert one.then(IDENTITY) == one == IDENTITY.then(one)


@few
@given(MAPS)
def test_a_map_and_its_inverse_are_the_identity(one):
    assert one.then(one.inverse()) == IDENTITY == one.inverse().then(one)
    assert one.inverse().inverse() == one


@few
@given(MAPS, MAPS, MAPS)
def test_composition_is_associative(one, two, three):
    assert one.then(two).then(three) == one.then(two.then(three))


@few
@given(MAPS, MAPS)
def test_the_inverse_of_a_way_is_the_way_back(one, two):
    assert one.then(two).inverse() == two.inverse().then(one.inverse())


@few
@given(MAPS, MAPS)
def test_equal_maps_have_equal_hashes(one, two):
    padded = CoordMap.of([(F(1), F(0)), *one.axes])
    assert padded == one and hash(padded) == hash(one)
    assert one != two or hash(one) == hash(two)


@few
@given(NUMBERS.filter(bool), NUMBERS, NUMBERS)
def test_a_point_goes_where_the_formula_says(scale, shift, point):
    assert CoordMap((scale,), (shift,))(point) == scale * point + shift


@few
@given(MAPS, MAPS, NUMBERS)
def test_a_composed_map_maps_in_two_steps(one, two, point):
    if len(one.axes) == len(two.axes) == 1:
        assert one.then(two)(point) == two(one(point))


# ---- tables


def test_axes_are_aligned_at_the_last():
    columns = CoordMap((F(2),), (F(3),))
    both = CoordMap((F(5), F(7)), (F(11), F(13)))
    assert both.then(columns) == CoordMap((5, 14), (11, 29))
    assert columns.then(both) == CoordMap((5, 14), (11, 34))


def test_a_map_of_all_axes_differs_from_one_of_the_last():
    assert CoordMap((2,), (1,)) != CoordMap((2, 2), (1, 1))
    assert CoordMap((1, 2), (0, 1)) == CoordMap((2,), (1,))


def test_numbers_become_exact_fractions():
    assert CoordMap((1,), (0.5,)).shift == (F(1, 2),)
    assert isinstance(CoordMap((1,), (0,)).scale[0], F)


def test_a_scale_needs_its_shift():
    with pytest.raises(ValueError, match="2 scales and 1 shifts"):
        CoordMap((1, 2), (0,))


def test_a_map_is_not_a_tuple():
    assert CoordMap() != ()


def test_two_axes_that_differ_give_two_places():
    assert CoordMap((1, 2), (0, 1))(3) == (3, 7)
    assert CoordMap((2, 2), (1, 1))(3) == 7


@pytest.mark.parametrize(
    ("values", "decimal", "text"),
    [
        ((F(1, 32), F(1, 32)), False, "1/32"),
        ((F(1, 32), F(1, 16)), False, "1/32x1/16"),
        ((F(-13, 32),), True, "-0.40625"),
        ((F(1, 3),), True, "1/3"),
        ((F(18),), True, "18"),
        ((F(-77),), False, "-77"),
    ],
)
def test_numbers_are_shown_exactly(values, decimal, text):
    assert show(values, decimal=decimal) == text


def test_a_map_shows_itself():
    assert repr(CoordMap((1, 1), (-31, -31))) == "CoordMap(scale=1, shift=-31)"
    assert repr(IDENTITY) == "CoordMap(scale=1, shift=0)"
