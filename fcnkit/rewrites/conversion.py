"""What the conversions between InnerProduct and Convolution share:
who can live with other shapes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from fcnkit.errors import NetError
from fcnkit.nets.graph import Graph, Layer
from fcnkit.nets.layers.axes import show
from fcnkit.nets.layers.table import axis_of, is_pointwise, of, trait
from fcnkit.nets.layers.traits import Trait
from fcnkit.nets.shapes import all_known
from fcnkit.rewrites.states import Known, param_names
from fcnkit.shape import Shape


class Refused(Exception):
    """A layer cannot take what the conversions before it would give it."""

    def __init__(self, layers: Sequence[Layer], why: str):
        self.layers, self.why = layers, why


def follow(
    state: Known,
    layer: Layer,
    given: list[Shape | None],
    converted: Mapping,
    same: Callable[[Shape], Sequence[Shape]],
) -> list[Shape | None]:
    """The tops of a layer that stays, on bottoms that have changed their shape.

    `same` gives the shapes in which the numbers of an old shape are in the
    order that they have always had.

    Raises Refused for the nearest conversions before it, if they are not.
    """
    old = all_known(state.shapes.tops[top] for top in layer.tops)
    bottoms = all_known(given)
    if trait(layer) is Trait.OPAQUE:
        raise refusal(state, layer, converted, "it may need a matrix as input")
    if bottoms is None or old is None:
        return [None] * len(layer.tops)
    if is_pointwise(layer):
        return [*bottoms] * len(old)
    try:
        made = of(layer).shapes(layer, bottoms)[: len(old)]
    except NetError as error:
        why = f"it would fail: {str(error).split(': ', 2)[-1]}"
        raise refusal(state, layer, converted, why) from error
    if axis_of(layer) < 0:
        why = f"its axis {axis_of(layer)} counts from the end, where height and width would stand"
        raise refusal(state, layer, converted, why)
    had = all_known(state.shapes.tops[bottom] for bottom in layer.bottoms)
    if had and of(layer).blobs(layer, had) != of(layer).blobs(layer, bottoms):
        raise refusal(state, layer, converted, "its own weights would need another shape")
    new = [before if after is None else after for before, after in zip(old, made, strict=True)]
    for before, after in zip(old, new, strict=True):
        if after not in same(before):
            why = f"its output would be {show(after)} instead of {show(before)}"
            raise refusal(state, layer, converted, why)
    return [*new]


def refusal(state: Known, layer: Layer, converted: Mapping[str, Shape], why: str) -> Refused:
    """The nearest conversions above `layer`, refused."""
    graph, seen, todo, nearest = state.graph, set(), list(layer.bottoms), []
    while todo:
        top = todo.pop()
        producer = graph.producer(top)
        if top in seen:
            continue
        seen.add(top)
        if producer.name in converted:
            nearest.append(producer)
        else:
            todo += producer.bottoms
    which = f'layer "{layer.name}" ({layer.type}, line {layer.line})'
    return Refused(nearest, f"{which} after it: {why}")


def check_shared(states: Iterable[tuple[Graph, Mapping[str, Shape]]]) -> None:
    """Raises Refused where layers that share a parameter would need it in two shapes.

    Each state gives its graph and the new shapes of converted layers' weights, by name.
    """
    for graph, converted in states:
        for name, users in _sharers(graph, converted).items():
            changed = [layer for layer, shape in users if shape]
            if changed and len({shape for _, shape in users}) > 1:
                others = ", ".join(f'"{layer.name}"' for layer, _ in users)
                why = f'{others} share the parameter "{name}" and would need it in different shapes'
                raise Refused(changed, why)


def _sharers(
    graph: Graph, converted: Mapping[str, Shape]
) -> dict[str, list[tuple[Layer, Shape | None]]]:
    """The layers that use each named parameter, with the shape that it is to have there."""
    owners: dict[str, list[tuple[Layer, Shape | None]]] = {}
    for layer in graph.layers:
        for blob, name in enumerate(param_names(layer)):
            if name:
                shape = converted.get(layer.name) if blob == 0 else None
                owners.setdefault(name, []).append((layer, shape))
    return owners
