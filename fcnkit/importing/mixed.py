"""A blob mapped by a matrix along one of its axes: what picks, mirrors, pads or resizes there."""

from collections.abc import Sequence
from math import prod
from typing import Any

from fcnkit.importing.held import Held
from fcnkit.importing.settle import convolution, one_hot, settled
from fcnkit.importing.site import Refusal, Site


def mixed(site: Site, x: Held, axis: int, matrix: Any, part: str) -> Held:
    """Along this axis each value is the sum of the old ones times a row of the matrix.

    Channels are mixed by a 1 x 1 Convolution, the last axis by an InnerProduct, and
    another by a Convolution of what is reshaped so that its values are channels.
    Right where the axis has one size alone; raises Refusal where it has several.
    """
    count, size = len(x.sizes[0]), matrix.shape[1]
    if axis == 0:
        raise Refusal("it mixes the images of a batch")
    if any(sizes[axis] != size for sizes in x.sizes):
        raise Refusal("it moves values along an axis of free size; fix the size with --input")
    if axis == 1 and count == 4:
        return convolution(site, x, matrix.reshape(*matrix.shape, 1, 1), part=part)
    shapes = [(*sizes[:axis], matrix.shape[0], *sizes[axis + 1 :]) for sizes in x.sizes]
    if axis == count - 1:
        fields: list[tuple[str, object]] = [("num_output", matrix.shape[0]), ("bias_term", False)]
        fields += [("axis", axis)] if axis != 1 else []
        params = [("inner_product_param", fields)]
        return site.add("InnerProduct", [x], params, blobs=[matrix], shapes=shapes, part=part)
    ends = [(prod(sizes[:axis]), prod(sizes[axis + 1 :])) for sizes in x.sizes]
    channels = settled(site, x.reshaped([(first, size, last, 1) for first, last in ends]))
    made = convolution(site, channels, matrix.reshape(*matrix.shape, 1, 1), part=part)
    return settled(site, made.reshaped(shapes))


def picked(site: Site, x: Held, axis: int, chosen: Sequence[int], part: str = "pick") -> Held:
    """These values along the axis, in this order."""
    size = x.sizes[0][axis]
    places = [(at, its) for at, its in enumerate(chosen)]
    return mixed(site, x, axis, one_hot(places, (len(chosen), size)), part)
