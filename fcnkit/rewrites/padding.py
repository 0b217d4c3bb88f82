"""The padding of the convolutions that read the image."""

from collections.abc import Iterable, Sequence
from fractions import Fraction

from fcnkit.errors import NetError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.coordmap import CoordMap
from fcnkit.nets.graph import Graph, Layer, build
from fcnkit.nets.layers.table import makes_scores, of
from fcnkit.nets.layers.traits import Trait
from fcnkit.nets.layers.windows import spatial
from fcnkit.plan import Plan, Step
from fcnkit.rewrites.changes import set_param


def pad_first(net: Prototxt, pad: int, axes: Sequence[bool] = (True, True)) -> Plan:
    """The convolutions that read the image are padded by `pad` pixels on each side.

    `axes` says which axes are; the others keep their padding.  Raises NetError
    where the image meets another layer with a window first.
    """
    if pad < 0:
        raise NetError(f"{net.path}: a padding of {pad} pixels; give 0 or more")
    graph = build(net)
    first = first_layers(graph)
    edits, steps = [], []
    for layer in first:
        fields: list[tuple[str, object]] = [("pad", pad)]
        if not all(axes):
            pads = zip(_BY_AXIS, axes, spatial(layer).pad, strict=True)
            fields = [(name, pad if wanted else own) for name, wanted, own in pads]
        gone = [name for name in ("pad", *_OTHER_PADS) if name not in dict(fields)]
        edits += set_param(layer, "convolution_param", fields, net.style, replacing=gone, why="pad")
        what = ", ".join(f"{name} {value}" for name, value in fields)
        why = "room for the crop at the image's border"
        steps.append(Step("change", layer.name, layer.line, what, why))
    return Plan(net, net.edit(edits), tuple(steps))


def padded_axes(place: CoordMap) -> tuple[bool, bool]:
    """On which axes the image has to be padded: not where its scores lie as its pixels do.

    `place` is the map from the image to the scores.  So a signal, of one row and
    kernels of height 1, keeps its one row.
    """
    down, across = ((_SAME, _SAME) + place.axes)[-2:]
    return (down != _SAME, across != _SAME) if (down, across) != (_SAME, _SAME) else (True, True)


_SAME = (Fraction(1), Fraction(0))
_BY_AXIS = ("pad_h", "pad_w")


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


def padding_of(layers: Iterable[Layer], axes: Sequence[bool] = (True, True)) -> set[int]:
    """What these layers are padded by, on any side of these axes."""
    windows = [spatial(layer) for layer in layers]
    sides = ((*window.pad, *window.far) for window in windows)
    return {
        pad for each in sides for pad, wanted in zip(each, (*axes, *axes), strict=True) if wanted
    }
