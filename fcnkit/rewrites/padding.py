"""The padding of a layer: of one that is named, and of the convolutions that read the image."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from fcnkit import expected
from fcnkit.errors import NetError
from fcnkit.formats.prototxt import NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets.coordmap import CoordMap
from fcnkit.nets.graph import Graph, Layer, build
from fcnkit.nets.layers.table import makes_scores, of
from fcnkit.nets.layers.traits import Trait
from fcnkit.nets.layers.windows import is_global, spatial
from fcnkit.plan import ImageBefore, Plan, Step
from fcnkit.plural import number_of
from fcnkit.rewrites.changes import set_param
from fcnkit.rewrites.operations import Arguments, Operation, name_and_rest, whole_number
from fcnkit.rewrites.states import states
from fcnkit.shape import Shape


@expected.checked
def pad(
    net: NetOrPath, layer: str, pixels: int, *, inputs: Mapping[str, Shape] | None = None
) -> Plan:
    """The window of a Convolution, Deconvolution or Pooling is padded by `pixels` on each side.

    >>> plan = fk.convolutionalize("deploy.prototxt").then(fk.pad, "ip1", 2)
    >>> plan.steps[-1].what
    'pad 2'

    The weights stay, and the top gets another size. A kernel of 7 that is padded by 3 makes a
    top of the same size as its input.

    - `net`: a Prototxt or its path.
    - `layer`: the name of the layer.
    - `pixels`: the padding on each side.
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError for another type of layer, for a pooling whose padding would be as large as
    its kernel, and if the net cannot be built afterwards.
    """
    net = given_net(net)
    edits, steps = [], {}
    expected.whole("pixels", pixels, least=0)
    for each in states(net, inputs).named(layer):
        message = of(each).message
        if message not in ("convolution_param", "pooling_param") or is_global(each):
            fact = f"its type is {each.type}" if not is_global(each) else "it pools its whole input"
            raise each.error(f"{fact}; name a layer with a window")
        gone = [name for name in _OTHER_PADS if each.param(message).says(name)]
        same = {*spatial(each).pad, *spatial(each).far} == {pixels}
        if same or each.field.start in steps:
            continue
        fields = [("pad", pixels)]
        edits += set_param(each, message, fields, net.style, replacing=gone, why=f'pad "{layer}"')
        why = "its top has another size"
        steps[each.field.start] = Step("change", each.name, each.line, f"pad {pixels}", why)
    plan = Plan(net, net.edit(edits), tuple(steps[at] for at in sorted(steps)))
    states(plan.net, inputs)  # raises where the layers behind it cannot take that
    return plan


def pad_first(net: Prototxt, pad: int, axes: Sequence[bool] = (True, True)) -> Plan:
    """The convolutions that read the image are padded by `pad` pixels on each side.

    `axes` says which axes are; the others keep their padding.  Raises NetError
    where the image meets another layer with a window first.
    """
    if pad < 0:
        raise NetError(f"{net.path}: a padding of {number_of(pad, 'pixel')}; give 0 or more")
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
        why = "makes room for cropping at the image's border"
        steps.append(Step("change", layer.name, layer.line, what, why))
    return Plan(net, net.edit(edits), tuple(steps), images=_zeros_around(graph, first, pad, axes))


def _zeros_around(
    graph: Graph, first: Sequence[Layer], pad: int, axes: Sequence[bool]
) -> tuple[ImageBefore, ...]:
    """Layers that are padded alike see what they would see of an image with zeros around it."""
    more = {
        tuple((pad - own) * wanted for own, wanted in zip(spatial(layer).pad, axes, strict=True))
        for layer in first
    }
    rows, columns = more.pop() if len(more) == 1 else (-1, -1)
    if rows < 0 or columns < 0:
        return ()
    return tuple(ImageBefore(top.blob, pad=(rows, columns)) for top in graph.inputs)


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
                f"a {layer.type} reads the image, but only a Convolution can be padded; use pad "
                "keep"
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


def _arguments(text: str) -> Arguments:
    """LAYER:N."""
    layer, pixels = name_and_rest(text)
    return (layer, whole_number(pixels)), {}


OPERATIONS = (
    Operation(
        "pad",
        "pad=LAYER:N",
        "pad a layer's window by N pixels",
        pad,
        _arguments,
        keeps_values=False,
    ),
)
