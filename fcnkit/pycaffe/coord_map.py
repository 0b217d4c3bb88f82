"""Offsets between blobs of a net that is being made, as pycaffe's coord_map has them.

A map is (axis, a, b): pixel x of one blob lies at a x + b in the other, along the axes
behind `axis`.  fcnkit keeps the maps as exact fractions; here they are numpy's floats.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from fcnkit.errors import AlignError
from fcnkit.nets.coordmap import CoordMap
from fcnkit.nets.coords import between
from fcnkit.nets.graph import build
from fcnkit.pycaffe.net_spec import Top, layers
from fcnkit.pycaffe.text import written
from fcnkit.pycaffe.tops import named_layers

if TYPE_CHECKING:
    import numpy

Map = tuple[int | None, Any, Any]
# The channels of a blob, in front of its places.
_CHANNELS = 1


class UndefinedMapException(Exception):
    """A layer on the way has no map."""


class AxisMismatchException(Exception):
    """The maps of two layers are along different axes."""


def coord_map_from_to(top_from: Top, top_to: Top) -> Map:
    """The map from coordinates of `top_from` to those of `top_to`.

    Raises RuntimeError where no map leads from one to the other, with the reason.
    """
    found = _map(top_from, top_to)
    if not found.scale:
        return None, 1, 0
    scales, shifts = _once(found.scale), _once(found.shift)
    if len(scales) != len(shifts):  # as many of both
        scales, shifts = found.scale, found.shift
    return _CHANNELS, _floats(scales), _floats(shifts)


def crop(top_from: Top, top_to: Top) -> Top:
    """A Crop layer that cuts `top_from` to where `top_to` lies.

    Raises AssertionError for another scale, a negative or a fractional offset, and
    RuntimeError as `coord_map_from_to`.
    """
    found = _map(top_from, top_to)
    if not all(scale == 1 for scale in found.scale):
        raise AssertionError(f"scale mismatch on crop (scale = {_shown(found.scale)})")
    offset = [-shift for shift in _once(found.shift)] or [Fraction(0)]
    if min(offset) < 0:
        raise AssertionError(f"cannot crop negative offset (offset = {_shown(offset)})")
    if not all(each.denominator == 1 for each in offset):
        raise AssertionError(f"cannot crop noninteger offset (offset = {_shown(offset)})")
    param = {"axis": _CHANNELS + 1, "offset": [int(each) for each in offset]}
    made: Top = layers.Crop(top_from, top_to, crop_param=param)
    return made


def compose(base_map: Map, next_map: Map) -> Map:
    """The map that goes through `base_map` first and `next_map` then.

    Raises AxisMismatchException where they are along different axes.
    """
    axis1, a1, b1 = base_map
    axis2, a2, b2 = next_map
    if axis1 is None:
        axis = axis2
    elif axis2 is None or axis1 == axis2:
        axis = axis1
    else:
        raise AxisMismatchException(f"one map is along axis {axis1}, the next along {axis2}")
    return axis, a1 * a2, a1 * b2 + b1


def inverse(coord_map: Map) -> Map:
    """The map back."""
    axis, a, b = coord_map
    return axis, 1 / a, -b / a


def _map(top_from: Top, top_to: Top) -> CoordMap:
    """The exact map between two tops, of the net that both need."""
    made, named = named_layers(top_from, top_to, short=True)
    graph = build(written(made))
    try:
        return between(graph, graph.top(named.of(top_from)), graph.top(named.of(top_to)))
    except AlignError as error:
        raise RuntimeError(f"Could not compute map between tops; {error}") from error


def _once(values: Sequence[Fraction]) -> Sequence[Fraction]:
    """One value for all axes where they are equal, as fields of one kernel_size give."""
    return values[:1] if len(set(values)) == 1 else values


def _floats(values: Iterable[Fraction]) -> "numpy.ndarray":
    import numpy as np

    return np.array([float(value) for value in values])


def _shown(values: Iterable[Fraction]) -> str:
    return " x ".join(map(str, values))
