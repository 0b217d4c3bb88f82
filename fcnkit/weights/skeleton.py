"""The net that a weights file speaks of, as far as its bytes say."""

import mmap
from collections.abc import Iterator, Sequence

from fcnkit import expected
from fcnkit.errors import WeightsError
from fcnkit.formats.binary import Said, said
from fcnkit.formats.caffemodel import KINDS
from fcnkit.formats.prototxt import STYLE, Prototxt, parse, render
from fcnkit.formats.wire import Damage
from fcnkit.nets.layers.axes import show
from fcnkit.shape import Shape
from fcnkit.weights.store import Weights, WeightsOrPath
from fcnkit.weights.store import given as given_weights

_MESSAGES = {"layer": "LayerParameter", "layers": "V1LayerParameter"}
# What a saved net says of the state that it ran in, and tensors.
_LEFT = ("blobs", "include", "exclude", "phase", "state", "layer", "layers", "propagate_down")
# Layers that Caffe adds where several read one blob, by their type in either generation.
SPLIT = "split"


@expected.checked
def skeleton(weights: WeightsOrPath) -> Prototxt:
    """Shows the net in a caffemodel: its layers, what they read, their fields, and the shapes
    of their blobs.

    >>> fk.skeleton("net.caffemodel").save("net.prototxt")

    When Caffe saves a caffemodel, it also writes the net: that of the state TRAIN, if it was
    training; `deploy` makes a deploy net of it. The Splits that Caffe inserted are removed. HDF5
    and .npz files hold only names and blobs, so the layers of their net have neither types nor
    bottoms. A comment before each layer gives the shapes of its blobs, and another comment lists
    the fields that no known schema names.

    - `weights`: Weights or their path.

    Returns a Prototxt.

    Raises WeightsError for the state of a solver, and for weights that are not from a file.
    """
    weights = given_weights(weights)
    if weights.source is None or weights.kind == "solverstate":
        fact = "holds no layers of a net" if weights.kind == "solverstate" else "is not a file"
        raise WeightsError(f"{weights.path}: {fact}; name a caffemodel")
    if weights.kind not in KINDS:
        return _names_alone(weights)
    with mmap.mmap(weights.source.file, 0, access=mmap.ACCESS_READ) as mapped:
        try:
            net = said(mapped, 0, len(mapped), "NetParameter", leave=_LEFT)
            message = _MESSAGES[weights.kind]
            spans = weights.layout.layers
            layers = [said(mapped, each.body, each.stop, message, leave=_LEFT) for each in spans]
        except Damage as damage:
            raise damage.error(weights.path) from None
    strange = [*net.strange, *(word for each in layers for word in each.strange)]
    parts = [_heading(weights, strange), render(net.fields, STYLE)]
    shapes = [[blob.shape for blob in layer.blobs] for layer in weights.layout.layers]
    for fields, blobs in _without_splits(layers, shapes):
        parts.append("\n" + _blobs(blobs) + render([(weights.kind, fields)], STYLE))
    return parse("".join(parts), weights.path)


def _heading(weights: Weights, strange: Sequence[str]) -> str:
    text = "# What a weights file says of its net.\n"
    if strange:
        words = list(dict.fromkeys(strange))
        few = ", ".join(words[:3]) + (" and others" if len(words) > 3 else "")
        text += f"# Fields that Caffe does not have are left out, {len(strange)} in all: {few}\n"
    if weights.kind not in KINDS:
        text += "# The format has only names and blobs: no types, bottoms or fields.\n"
    return text


def _names_alone(weights: Weights) -> Prototxt:
    parts = [_heading(weights, ())]
    for name, blobs in weights.items():
        comment = _blobs([blob.shape for blob in blobs])
        parts.append("\n" + comment + render([("layer", [("name", name)])], STYLE))
    return parse("".join(parts), weights.path)


def _blobs(shapes: Sequence[Shape]) -> str:
    return f"# blobs: {', '.join(show(shape) or '1' for shape in shapes)}\n" if shapes else ""


def _without_splits(
    layers: Sequence[Said], shapes: Sequence[Sequence[Shape]]
) -> Iterator[tuple[list[tuple[str, object]], Sequence[Shape]]]:
    """The layers but for Splits, which read a blob that has several readers; each its blobs."""
    blobs: dict[object, object] = {}
    for layer, own in zip(layers, shapes, strict=True):
        fields = [
            (name, blobs.get(value, value) if name == "bottom" else value)
            for name, value in layer.fields
        ]
        if str(dict(fields).get("type")).casefold() == SPLIT:
            (read,) = [value for name, value in fields if name == "bottom"][:1] or [None]
            blobs.update((value, read) for name, value in fields if name == "top")
        else:
            yield fields, own
