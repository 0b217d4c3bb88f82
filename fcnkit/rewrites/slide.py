"""Global poolings get a window, so that the classifier behind them slides."""

from collections.abc import Collection, Iterable, Mapping

from fcnkit.edits import Edit, merge
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.coordmap import IDENTITY, show
from fcnkit.nets.coords import axes
from fcnkit.nets.graph import Graph, Layer, Top
from fcnkit.nets.layers.table import of
from fcnkit.nets.layers.traits import Trait
from fcnkit.nets.layers.windows import is_global
from fcnkit.plan import Plan, Step
from fcnkit.rewrites.changes import removed
from fcnkit.rewrites.states import looked_at
from fcnkit.rewrites.taps import kernel_fields
from fcnkit.shape import Shape


def slide(net: Prototxt, *, inputs: Mapping[str, Shape] | None = None) -> Plan:
    """A global pooling that only a classifier follows pools a window of its size here.

    At the net's own input size the numbers are the same; on a larger input
    there is one for each place of the window.  A pooled vector that meets the
    map again, as in squeeze-and-excitation, must stay one: such poolings are
    left as they are, and so are those whose size is not known.
    """
    steps: dict[int, Step] = {}
    by_state = []
    states, _ = looked_at(net, inputs)
    stay = _needed(state.graph for state in states)
    for graph, sizes in states:
        shapes, edits = sizes.tops, []
        for layer in graph.layers:
            shape = shapes[layer.bottoms[0]] if layer.bottoms else None
            if (
                is_global(layer)
                and shape is not None
                and len(shape) == 4
                and layer.field.start not in stay
            ):
                edits += _edits(layer, shape[2:])
                steps[layer.field.start] = _step(layer, shape[2:])
        by_state.append((str(graph.state), edits))
    return Plan(net, net.edit(merge(by_state)), tuple(steps.values()))


def _needed(every: Iterable[Graph]) -> set[int]:
    """Where the global poolings begin that some state needs as they are."""
    return {
        layer.field.start
        for graph in every
        for layer in graph.layers
        if is_global(layer) and not _stays_pointwise(graph, layer)
    }


def _stays_pointwise(graph: Graph, layer: Layer) -> bool:
    pooled = set(layer.tops)
    for user in graph.layers:
        if pooled.isdisjoint(user.bottoms):
            continue
        if not _sees_one_place(graph, user, pooled):
            return False
        pooled.update(user.tops)
    return True


# What may follow a pooled vector and still be one for each place.
_BY_PLACE = (Trait.VALUE, Trait.CHANNEL, Trait.NORMAL, Trait.MIXES)


def _sees_one_place(graph: Graph, layer: Layer, pooled: Collection[Top]) -> bool:
    """Whether it does at each of many places what it does where there is one.

    A sum, a product or a concatenation does where all that it joins is pooled.
    """
    kind = of(layer)
    if kind.labelled or kind.trait is Trait.SINK:
        return True
    count = len(layer.bottoms)
    joins = len(kind.carriers(layer)) == count and all(top in pooled for top in layer.bottoms)
    ndim = axes(graph, layer)
    stays = kind.trait is Trait.ARRANGES and kind.coord(layer, ndim) == IDENTITY
    by_place = (kind.paired or count == 1 or joins) and (stays or kind.trait in _BY_PLACE)
    window = kind.window(layer, ndim) if by_place else None
    return window is not None and all(extent == 1 for extent, _ in window)


def _edits(layer: Layer, size: Shape) -> list[Edit]:
    view = layer.param("pooling_param")
    old = view.required("global_pooling")
    spare = [
        field
        for message in layer.field.all("pooling_param")
        for field in message.all("global_pooling")[:-1]
    ]
    new = " ".join(f"{name}: {value}" for name, value in kernel_fields(size))
    why = f'let "{layer.name}" slide'
    return [
        Edit(old.start, old.stop, new, why),
        *(removed(field, why) for field in spare if field != old),
    ]


def _step(layer: Layer, size: Shape) -> Step:
    what = f"global pooling -> kernel {show(size)}, stride 1"
    why = (
        f"{layer.bottoms[0].blob} is {size[0]} x {size[1]} here, and the window slides on "
        f"larger inputs"
    )
    return Step("change", layer.name, layer.line, what, why)
