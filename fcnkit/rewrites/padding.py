"""The padding of the convolutions that read the image."""

from collections.abc import Iterable

from fcnkit.errors import NetError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.graph import Graph, Layer, build
from fcnkit.nets.layers.table import makes_scores, of
from fcnkit.nets.layers.traits import Trait
from fcnkit.nets.layers.windows import spatial
from fcnkit.plan import Plan, Step
from fcnkit.rewrites.changes import set_param


def pad_first(net: Prototxt, pad: int) -> Plan:
    """The convolutions that read the image are padded by `pad` pixels on each side.

    Raises NetError where the image meets another layer with a window first.
    """
    if pad < 0:
        raise NetError(f"{net.path}: a padding of {pad} pixels; give 0 or more")
    graph = build(net)
    first = first_layers(graph)
    edits, steps = [], []
    for layer in first:
        edits += set_param(
            layer, "convolution_param", [("pad", pad)], net.style, replacing=_OTHER_PADS, why="pad"
        )
        steps.append(
            Step(
                "change",
                layer.name,
                layer.line,
                f"pad {pad}",
                "room for the crop at the image's border",
            )
        )
    return Plan(net, net.edit(edits), tuple(steps))


# What says the padding in place of pad: the last five are a fork's.
_OTHER_PADS = ("pad_h", "pad_w", "pad_type", "pad_t", "pad_l", "pad_b", "pad_r")


def first_layers(graph: Graph) -> list[Layer]:
    """The convolutions that the image meets first, on any way from the inputs.

    Raises NetError where it meets another layer with a window before them.
    """
    reached, found = set(graph.inputs), []
    for layer in graph.layers:
        if not reached.intersection(layer.bottoms):
            continue
        kind = of(layer)
        if makes_scores(layer) and kind.message == "convolution_param":
            found.append(layer)
        elif kind.linear or kind.trait is Trait.PLACES:
            raise layer.error(
                f"a {layer.type} reads the image, and only a Convolution can be padded; use pad "
                f"keep"
            )
        else:
            reached.update(layer.tops)
    return found


def padding_of(layers: Iterable[Layer]) -> set[int]:
    """What these layers are padded by, on any side."""
    return {pad for window in map(spatial, layers) for pad in (*window.pad, *window.far)}
