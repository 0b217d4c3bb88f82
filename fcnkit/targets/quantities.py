"""The quantities of a layer that rules speak of, each computed from what the table of types knows.

A quantity is some values, and whether these are all: sizes may be unknown where the prototxt
does not say them.  () is that of a layer that has no such thing.
"""

from collections.abc import Callable
from math import prod
from typing import Any, NamedTuple

from fcnkit.errors import NetError
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.axes import canonical
from fcnkit.nets.layers.sliding import Spatial, spatial
from fcnkit.nets.layers.table import axis_of, count_of_outputs, groups_of, has_field, of
from fcnkit.nets.layers.traits import Trait
from fcnkit.nets.layers.windows import is_global
from fcnkit.nets.shapes import Shapes
from fcnkit.shape import Shape


class Values(NamedTuple):
    """The values of a subject, and whether they are all."""

    known: tuple[Any, ...]
    whole: bool = True


NONE, UNKNOWN = Values(()), Values((), False)


class Quantity(NamedTuple):
    """What a quantity is computed by, and what it is in words."""

    of: Callable[[Layer, Shapes], Values]
    meaning: str


def _window(layer: Layer, shapes: Shapes) -> Spatial | None:
    """The layer's window; None where it has none that the file says."""
    sizes = [shapes.tops[top] for top in layer.bottoms[:1]]
    shape = sizes[0] if sizes else None
    if is_global(layer):
        if shape is None:
            return None
        whole = shape[2:]
        ones, zeros = (1,) * len(whole), (0,) * len(whole)
        return Spatial(whole, ones, zeros, ones, zeros)
    try:
        return spatial(layer, len(shape) if shape else None, unplaced=True)
    except NetError:
        return None


def _of_window(part: Callable[[Spatial], tuple[int, ...]]) -> Callable[[Layer, Shapes], Values]:
    def found(layer: Layer, shapes: Shapes) -> Values:
        if not (has_field(layer, "kernel_size") and has_field(layer, "stride")):
            return NONE
        window = _window(layer, shapes)
        return UNKNOWN if window is None else Values(part(window))

    return found


def _excess(window: Spatial) -> tuple[int, ...]:
    far = zip(window.pad, window.far, window.extent, strict=True)
    return tuple(max(before, after) - (extent - 1) for before, after, extent in far)


def _group(layer: Layer, shapes: Shapes) -> Values:
    return Values((groups_of(layer),)) if has_field(layer, "group") else NONE


def _grouping(layer: Layer, shapes: Shapes) -> Values:
    if not has_field(layer, "group"):
        return NONE
    if of(layer).trait is Trait.CHANNEL:
        return Values(("depthwise",))
    group, (inputs, _) = groups_of(layer), _channels(layer, shapes)
    if group == 1:
        return Values(("none",))
    if not inputs:
        return UNKNOWN
    if group != inputs[0]:
        return Values(("some",))
    return Values(("depthwise" if count_of_outputs(layer) == group else "multiplied",))


def _channels(layer: Layer, shapes: Shapes) -> Values:
    found = [shapes.channels(top) for top in layer.bottoms[:1]]
    if not found:
        return NONE
    return UNKNOWN if found[0] is None else Values((found[0],))


def _outputs(layer: Layer, shapes: Shapes) -> Values:
    count = count_of_outputs(layer)
    return Values((count,)) if count else NONE


def _along(axis: int, ndim: int | None = 4) -> Callable[[Layer, Shapes], Values]:
    """The size along an axis of every bottom and top that has so many axes."""

    def found(layer: Layer, shapes: Shapes) -> Values:
        every = [shapes.tops[top] for top in (*layer.bottoms, *layer.tops)]
        sizes = [shape[axis] for shape in every if shape and ndim in (None, len(shape))]
        return Values(tuple(sizes), None not in every)

    return found


def _axes(layer: Layer, shapes: Shapes) -> Values:
    every = [shapes.tops[top] for top in layer.bottoms]
    return Values(tuple(len(shape) for shape in every if shape is not None), None not in every)


def _axis(layer: Layer, shapes: Shapes) -> Values:
    if not has_field(layer, "axis"):
        return NONE
    axis, (axes, _) = _written_axis(layer), _axes(layer, shapes)
    if axis >= 0:
        return Values((axis,))
    try:
        return Values((canonical(layer, axis, axes[0]),)) if axes else UNKNOWN
    except NetError:
        return UNKNOWN


def _written_axis(layer: Layer) -> int:
    """The axis by its own name, or by that of 2014."""
    message = layer.param(of(layer).message)
    for old in ("concat_dim", "slice_dim"):
        if message.says(old):
            return int(message.get(old))
    return axis_of(layer)


def _bottoms(layer: Layer, shapes: Shapes) -> Values:
    return Values((len(layer.bottoms),))


def _tops(layer: Layer, shapes: Shapes) -> Values:
    return Values((len(layer.tops),))


def _readers(layer: Layer, shapes: Shapes) -> Values:
    graph = shapes.graph
    return Values(tuple(one.type for top in layer.tops for one in graph.consumers[top]))


def _blobs(layer: Layer, shapes: Shapes) -> Values:
    try:
        found: list[Shape] | None = shapes.blobs(layer)
    except NetError:
        found = None
    return UNKNOWN if found is None else Values((len(found),))


QUANTITIES = {
    "kernel": Quantity(_of_window(lambda window: window.kernel), "the kernel's height and width"),
    "stride": Quantity(_of_window(lambda window: window.stride), "the strides of both axes"),
    "pad": Quantity(_of_window(lambda window: window.pad), "the padding of both axes"),
    "dilation": Quantity(_of_window(lambda window: window.dilation), "the dilation of both axes"),
    "extent": Quantity(
        _of_window(lambda window: window.extent), "the height and width of the dilated kernel"
    ),
    "kernel_area": Quantity(
        _of_window(lambda window: (prod(window.kernel),)), "the kernel's height times its width"
    ),
    "stride_area": Quantity(
        _of_window(lambda window: (prod(window.stride),)),
        "the vertical stride times the horizontal one",
    ),
    "excess": Quantity(_of_window(_excess), "the padding minus (extent - 1)"),
    "group": Quantity(_group, "the number of groups"),
    "grouping": Quantity(
        _grouping,
        "`none`; `depthwise`: one group and one output for each channel; `multiplied`: one group "
        "and several outputs for each channel; `some`: any other groups",
    ),
    "channels": Quantity(_channels, "the channels of the first bottom"),
    "outputs": Quantity(_outputs, "num_output"),
    "batch": Quantity(_along(0, None), "the first axis of every bottom and top"),
    "height": Quantity(_along(2), "the height of every bottom and top"),
    "width": Quantity(_along(3), "the width of every bottom and top"),
    "axes": Quantity(_axes, "the number of axes of each bottom"),
    "axis": Quantity(_axis, "the axis that the layer works along, counted from the first"),
    "bottoms": Quantity(_bottoms, "the number of bottoms"),
    "tops": Quantity(_tops, "the number of tops"),
    "readers": Quantity(_readers, "the types of the layers that read its tops"),
    "blobs": Quantity(_blobs, "the number of parameter blobs"),
}
"""The quantities by the names that rules call them."""
