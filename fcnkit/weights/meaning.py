"""What the numbers of a layer mean: why those of one cannot be those of another.

Equal shapes are not enough.  A Scale's factors are no slopes of a PReLU, and
weights that sum 8 x 6 x 6 values are not those of 32 x 3 x 3.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from fcnkit.formats.blobproto import counted, shown_shape
from fcnkit.nets.graph import Graph, Layer
from fcnkit.nets.layers.table import TYPES, axis_of, channels_of, groups_of, has_field, of
from fcnkit.nets.layers.traits import LayerType, Trait
from fcnkit.nets.shapes import Shapes
from fcnkit.plural import number_of
from fcnkit.shape import Shape

_NEW_NAME = "use the old sizes, or give the layer a new name in the new net"


def elsewhere(layer: Layer, old: Shape, new: Shape) -> str:
    """What to say of two shapes of equal counts that arrange their numbers differently."""
    fact = (
        f"{shown_shape(old)} in the file and {shown_shape(new)} in the new net, as many "
        "values, arranged differently"
    )
    if has_field(layer, "transpose") and len(new) == 2 and new == old[:-3:-1]:
        return f"{fact}: one is the other's transpose; write transpose: true in the net of the file"
    return f"{fact}; {_NEW_NAME}"


def other_count(stored: int, taken: int) -> str:
    """What to say of a layer that has as many blobs in the file, and takes others."""
    fact = f"the file has {counted(stored)}, the new net takes {taken}"
    return f"{fact}; check whether both have a bias (bias_term)"


def other_meaning(type_: str, layer: Layer) -> str:
    """Why the numbers of a layer of this type are not those of `layer`; "" where they may be."""
    kind, new = TYPES.get(type_), of(layer)
    if kind is None or Trait.OPAQUE in (kind.trait, new.trait):
        return ""
    roles = _role(kind, layer), _role(new, layer)
    if kind is new or None in roles or roles[0] == roles[1]:
        return ""
    return (
        f"its numbers are for {kind.name}, and mean something else in {new.name}; "
        "give the layer a new name in the new net"
    )


def _role(kind: LayerType, layer: Layer) -> object:
    """What a type's first numbers are for: equal for types that can take each other's,
    None where that depends on what the layer says.

    A factor is a factor in a Scale and in SegNet's BN; counts tell the rest.
    """
    if kind.linear:
        return "weights", kind.spreads
    if not kind.folds:
        return kind.name
    affine = kind.affine(replace(layer, type=kind.name))
    return affine and next(part for part, number in affine._asdict().items() if number == 0)


def exchanged(stored: Sequence[Shape], expected: Sequence[Shape], name: str) -> str:
    """Why the blobs, by their shapes, lie in another order than Caffe's; "" where they do not.

    A bias of 10 and weights of 10 x 1 have equally many values, and each fits the other's place.
    """
    for forms in ((stored, expected), (_plain(stored), _plain(expected))):
        old, new = map(list, forms)
        if old != new and sorted(old) == sorted(new):
            fact = " and ".join(map(shown_shape, stored))
            wanted = " and ".join(map(shown_shape, expected))
            order = ", ".join(f"blobs[{old.index(shape)}]" for shape in new)
            return (
                f"its blobs are {fact} in the file, and are to be {wanted}, in this order; put "
                f'them so with fcnkit.weights(FILE).put("{name}", [{order}]), blobs being '
                f"fcnkit.weights(FILE)[{name!r}]"
            )
    return ""


def _plain(shapes: Sequence[Shape]) -> list[Shape]:
    """The shapes without the ones in front that old files have."""
    return [
        shape[next((at for at, size in enumerate(shape) if size != 1), 0) :] for shape in shapes
    ]


def other_axis(new: Layer, stored: Sequence[Shape], expected: Sequence[Shape]) -> str:
    """Why a matrix does not fit windows of its size, though the counts do; "" where it does.

    An InnerProduct's matrix is a Convolution's windows of one group, and no Deconvolution's.
    """
    kind = of(new)
    if not kind.linear or not expected:
        return ""
    becomes_window = len(stored[0]) == 2 < len(expected[0])
    if becomes_window and (groups_of(new) > 1 or kind.output_axis(new)):
        return f"its matrix in the file is for a single group of outputs, not for this {new.type}"
    return ""


def other_sums(old: Layer, old_shapes: Shapes, new: Layer, shapes: Shapes) -> str:
    """Why a layer sums in another order, or in other groups, than before; "" where it does not."""
    if not of(new).linear or not of(old).linear:
        return ""
    if has_field(old, "group") and groups_of(old) != groups_of(new):
        fact = (
            f"{number_of(groups_of(old), 'group')} in the net of the file, and "
            f"{groups_of(new)} in the new net"
        )
        return f"it has {fact}; {_NEW_NAME}"
    one, other = _summed(old, old_shapes), _summed(new, shapes)
    if one is None or other is None or one == other:
        return ""
    fact = f"{shown_shape(one)} in the net of the file, and {shown_shape(other)} in the new net"
    return f"it sums over {fact}: each weight would meet another value; {_NEW_NAME}"


def _summed(layer: Layer, shapes: Shapes) -> Shape | None:
    """The axes, outermost first, over which a layer weighs and sums; None where not known.

    Axes of one do not count.  One axis alone, as of a vector, says nothing of how
    its values lay before.
    """
    if has_field(layer, "kernel_size"):
        blobs = shapes.blobs(layer)
        return _longer_than_one(blobs[0][1:]) if blobs else None
    top, graph = layer.bottoms[0], shapes.graph
    axis = axis_of(layer)
    while (shape := shapes.tops[top]) is not None:
        axes = shape[axis:] if axis < 0 or axis < len(shape) else ()
        if len(axes) > 1:
            return _longer_than_one(axes)
        below = graph.producer(top)
        if not of(below).identity(below) or not axes:
            return None
        top, axis = below.bottoms[0], 1
    return None


def _longer_than_one(axes: Shape) -> Shape:
    return tuple(size for size in axes if size != 1)


def remedy(graph: Graph, layer: Layer, old: Shape, new: Shape) -> str:
    """What to do where a stored blob has not as many values as that of a layer of `graph`."""
    windows = has_field(layer, "kernel_size") and len(old) == len(new) > 2
    image = windows and (old[0], old[2:]) == (new[0], new[2:]) and groups_of(layer) == 1
    if image and _sees_image(graph, layer):
        return _channels_remedy(old[1], new[1]) or _other_size(old, new)
    if not of(layer).linear:
        return f"it reads, or makes, another number of channels: {_NEW_NAME}"
    return _other_size(old, new)


def _sees_image(graph: Graph, layer: Layer) -> bool:
    """Whether the layer reads what a source brings, its channels in their places."""
    source = graph.producer(layer.bottoms[0])
    while source.bottoms and channels_of(source):
        source = graph.producer(channels_of(source)[0])
    return not source.bottoms


def _channels_remedy(old: int, new: int) -> str:
    """What gives the old net's image the new one's channels; "" where nothing does."""
    word = {(3, 1): "gray", (1, 3): "colour"}.get((old, new))
    word = word or (f"channels={new}" if new > old else "")
    if not word:
        return ""
    return (
        f"its image has {number_of(old, 'channel')} and the new one's {new}: first change the "
        "old net and its "
        f"weights with --do {word} --net-out NET -o WEIGHTS, and transplant from these"
    )


def _other_size(old: Shape, new: Shape) -> str:
    outputs = next((dim for dim in old if dim != 1), 1)
    if new and outputs != new[0] and math.prod(old) * new[0] == math.prod(new) * outputs:
        return (
            f"it makes {number_of(outputs, 'output')} and the new one {new[0]}: for another "
            "number of classes, "
            "give the layer a new name in the new net"
        )
    remedy = "give the layer a new name in the new net, or use the old sizes"
    return f"its input or kernel differs: {remedy}"
