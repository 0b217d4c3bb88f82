"""The layers that images come from, when the images get other channels.

Sizes that the file says, mean values, and whether ImageData reads colour.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from fcnkit.edits import Edit
from fcnkit.formats.prototxt import Field, Prototxt
from fcnkit.formats.schema import slots
from fcnkit.nets.graph import Layer, Top
from fcnkit.nets.layers.table import has_field, of
from fcnkit.plan import Step
from fcnkit.plural import number_of
from fcnkit.rewrites.changes import beside, set_param, set_value, taken_out

Rows = tuple[tuple[tuple[int, float], ...], ...]


class Change(NamedTuple):
    """What becomes of the channels: `rows` of the weights, and how to say and do the rest.

    `before` is the number of channels that the net must have; `means` gives
    the new mean values, `exact` says when the net computes the same.
    """

    before: int
    rows: Rows
    what: str
    exact: str
    means: Callable[[Sequence[float]], Sequence[float]]
    permutes: bool = False


def source_changed(
    net: Prototxt, layer: Layer, top: Top, change: Change
) -> tuple[list[Edit], Step | None]:
    """What changes where the image comes from, and what its owner must see to."""
    edits = _colour(net, layer, change)
    if len(change.rows) != change.before:
        edits += _sizes(net, layer, top, len(change.rows))
    changed, notes, means = _means(net, layer, change)
    notes += [
        f"mean_file {field.string} must be changed in the same way"
        for field in _transform_fields(layer, "mean_file")
    ]
    if not (_says_shape(layer) or _is_told_colour(layer)) and len(change.rows) != change.before:
        notes.append(f"what it reads must have {number_of(len(change.rows), 'channel')}")
    if not edits and not changed and not notes and not change.permutes:
        return [], None
    what = (
        [f"{top.blob} has {number_of(len(change.rows), 'channel')}"]
        if len(change.rows) != change.before
        else []
    )
    what += [f"mean_value {', '.join(means)}"] if changed else []
    why = "; ".join([change.what, *notes])
    verb = "change" if edits or changed else "keep"
    return edits + changed, Step(verb, layer.name, layer.line, "; ".join(what) or layer.type, why)


def _transform_fields(layer: Layer, name: str) -> list[Field]:
    return [field for param in layer.field.all("transform_param") for field in param.all(name)]


def _sizes(net: Prototxt, layer: Layer, top: Top, channels: int) -> list[Edit]:
    """The channels where the file says the image's shape."""
    fields = [shape.all("dim")[1] for shape in _shapes(net, layer, top)]
    if layer.field.name == "input" and not net.root.all("input_shape"):
        fields = net.root.all("input_dim")[4 * top.index + 1 : 4 * top.index + 2]
    fields += [
        field for param in layer.field.all("memory_data_param") for field in param.all("channels")
    ]
    return [set_value(field, channels, "channels") for field in fields]


def _shapes(net: Prototxt, layer: Layer, top: Top) -> list[Field]:
    if layer.field.name == "input":
        return net.root.all("input_shape")[top.index : top.index + 1]
    shapes = [
        shape
        for param in layer.field.all("input_param", "dummy_data_param")
        for shape in param.all("shape")
    ]
    if len(shapes) == 1 and len(layer.tops) > 1:
        raise layer.error(f"its {len(layer.tops)} tops share one shape; give each its own")
    return shapes[top.index : top.index + 1]


def _says_shape(layer: Layer) -> bool:
    """Whether the prototxt says the size of what this source brings."""
    return has_field(layer, "shape")


def _is_told_colour(layer: Layer) -> bool:
    """Whether the source reads images in gray or in colour as `is_color` says."""
    return has_field(layer, "is_color")


def _colour(net: Prototxt, layer: Layer, change: Change) -> list[Edit]:
    """A layer that reads gray or colour as it is told is told."""
    if not _is_told_colour(layer) or {len(change.rows), change.before} != {1, 3}:
        return []
    if len(change.rows) == 3:
        params = layer.field.all(of(layer).message)
        return [taken_out(field, "colour") for param in params for field in param.all("is_color")]
    return set_param(layer, of(layer).message, [("is_color", False)], net.style, why="gray")


def _means(net: Prototxt, layer: Layer, change: Change) -> tuple[list[Edit], list[str], list[str]]:
    """The edits, what is to be noted, and the new values;
    where one serves every channel, nothing.
    """
    fields = _transform_fields(layer, "mean_value")
    if len(fields) < 2:
        return [], [], []
    slot = slots("TransformationParameter")["mean_value"]
    old = [slot.read(field, slot) for field in fields]
    new = list(change.means(old))
    if len(new) > len(fields):
        more = [("mean_value", value) for value in new[len(old) :]]
        return (
            [beside(fields[-1], more, net.style, "mean values")],
            [],
            [f"{value:g}" for value in new],
        )
    words = (
        [field.raw for field in fields][::-1]
        if change.permutes
        else [f"{value:g}" for value in new]
    )
    edits = [
        Edit(field.value_start, field.stop, word, "mean values")
        for field, word in zip(fields, words, strict=False)
        if field.raw != word
    ]
    inexact = len(new) < len(old) and len(set(old)) > 1
    note = ["exact only where the mean values were equal"] if inexact else []
    return edits + [taken_out(field, "mean values") for field in fields[len(new) :]], note, words
