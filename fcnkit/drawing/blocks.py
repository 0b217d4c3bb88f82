"""What a picture of a net shows:
a box for each layer that is not in place, a line for each blob read.
"""

from collections.abc import Callable
from typing import NamedTuple

from fcnkit.nets.graph import Graph, Layer
from fcnkit.nets.layers.sliding import spatial
from fcnkit.nets.layers.table import enlarges, groups_of, makes_probabilities, of
from fcnkit.nets.layers.traits import Trait
from fcnkit.nets.shapes import Shapes
from fcnkit.shape import Shape


class Block(NamedTuple):
    """One box: a layer with the in-place layers after it.

    `kind` is what it is coloured by, `what` its type and sizes, `shape` its
    first top's without the batch, `about` one line for each of its layers.
    """

    name: str
    kind: str
    what: str
    shape: str
    about: tuple[str, ...]


class Wire(NamedTuple):
    """A blob that goes from one block to another, both by number;
    `sized` where its size alone is read, `shape` is its own without the batch.
    """

    start: int
    stop: int
    blob: str
    sized: bool = False
    shape: str = ""


class Chart(NamedTuple):
    """Blocks in the order of the file, and the wires between them."""

    blocks: tuple[Block, ...]
    wires: tuple[Wire, ...]


def chart(graph: Graph, shapes: Shapes) -> Chart:
    """What is to be drawn of a graph.

    A layer that works in place on one blob is part of the block that made the blob.
    """
    homes: dict[int, int] = {}
    members: list[list[Layer]] = []
    for layer in graph.layers:
        if _in_place(layer):
            homes[layer.index] = homes[layer.bottoms[0].layer]
            members[homes[layer.index]].append(layer)
        else:
            homes[layer.index] = len(members)
            members.append([layer])
    wires = dict.fromkeys(
        Wire(
            homes[bottom.layer],
            homes[layer.index],
            bottom.blob,
            number in of(layer).sized(layer),
            _shown(shapes.tops[bottom]),
        )
        for layer in graph.layers
        if not _in_place(layer)
        for number, bottom in enumerate(layer.bottoms)
    )
    return Chart(tuple(_block(layers, shapes) for layers in members), tuple(wires))


def _in_place(layer: Layer) -> bool:
    return [top.blob for top in layer.tops] == [bottom.blob for bottom in layer.bottoms] != []


def _block(layers: list[Layer], shapes: Shapes) -> Block:
    first, *rest = layers
    what = " + ".join([_type_text(first, shapes), *(layer.type for layer in rest)])
    shape = shapes.tops[first.tops[0]] if first.tops else None
    about = tuple(
        f"{layer.name}: {_type_text(layer, shapes)}{_parameters(layer, shapes)}, line {layer.line}"
        for layer in layers
    )
    return Block(first.name, _kind(first), what, _shown(shape), about)


def _shown(shape: Shape | None) -> str:
    if shape is None:
        return ""
    return " × ".join(map(str, shape[1:] if len(shape) > 1 else shape))


def _parameters(layer: Layer, shapes: Shapes) -> str:
    count = shapes.parameters(layer)
    return f", {count:,} parameters" if count else ""


def _type_text(layer: Layer, shapes: Shapes) -> str:
    """The layer's type with what tells it from others of its type."""
    say = _SAY.get(of(layer).message)
    bottoms = shapes.bottoms(layer)
    if say is None or bottoms is None:
        return layer.type or "undefined"
    return say(layer, len(bottoms[0]))


def _window(layer: Layer, ndim: int) -> str:
    kernel, stride, pad, dilation, _ = spatial(layer, ndim)
    parts = (
        ("", kernel, None),
        ("stride ", stride, (1,) * len(stride)),
        ("pad ", pad, (0,) * len(pad)),
        ("dilation ", dilation, (1,) * len(dilation)),
        ("group ", (groups_of(layer),), (1,)),
    )
    shown = (name + _each(values, name) for name, values, plain in parts if values != plain)
    return " ".join((layer.type, *shown))


def _each(values: tuple[int, ...], name: str) -> str:
    """3 × 3 for a kernel; for others one number where all are the same."""
    short = name and len(set(values)) == 1
    return str(values[0]) if short else " × ".join(map(str, values))


def _pooling(layer: Layer, ndim: int) -> str:
    param = layer.param("pooling_param")
    word = f"{param.get('pool').capitalize()} pooling"
    if param.get("global_pooling"):
        return f"{word}, global"
    return _window(layer, ndim).replace("Pooling", word, 1)


def _crop(layer: Layer, ndim: int) -> str:
    offsets = layer.param("crop_param").list("offset") or [0]
    return f"Crop, offset {', '.join(map(str, offsets))}"


def _eltwise(layer: Layer, ndim: int) -> str:
    return f"Eltwise {layer.param('eltwise_param').get('operation')}"


_SAY: dict[str, Callable[[Layer, int], str]] = {
    "convolution_param": _window,
    "pooling_param": _pooling,
    "crop_param": _crop,
    "eltwise_param": _eltwise,
}
"""What is said of layers whose parameters stand in these messages."""


def _kind(layer: Layer) -> str:
    """What the block is coloured by."""
    kind = of(layer)
    if not layer.bottoms:
        return "data"
    if enlarges(layer):
        return "upsampling"
    if kind.outputs:
        return "convolution" if kind.message == "convolution_param" else "dense"
    if kind.sized(layer):
        return "crop"
    if len(kind.carriers(layer)) > 1 or (kind.trait is Trait.ARRANGES and len(layer.tops) > 1):
        return "joint"
    if kind.trait in (Trait.LOSS, Trait.JUDGE) or makes_probabilities(layer):
        return "result"
    return "pooling" if kind.trait is Trait.PLACES else "other"
