"""What the conversions between InnerProduct and Convolution share:
who can live with other shapes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, NoReturn

from fcnkit.errors import NetError
from fcnkit.nets.graph import Graph, Layer
from fcnkit.nets.layers.axes import show
from fcnkit.nets.layers.table import axis_of, is_pointwise, of, trait
from fcnkit.nets.layers.traits import Trait
from fcnkit.nets.shapes import Shapes, all_known
from fcnkit.shape import Shape


class State(NamedTuple):
    """One state of the net and what is already known of it."""

    name: str
    graph: Graph
    shapes: Shapes


class Refused(Exception):
    """A layer cannot take what the conversions before it would give it."""

    def __init__(self, layers: Sequence[Layer], why: str):
        self.layers, self.why = layers, why


def follow(
    state: State,
    layer: Layer,
    given: list[Shape | None],
    converted: Mapping,
    same: Callable[[Shape], Sequence[Shape]],
) -> list[Shape | None]:
    """The tops of a layer that stays, on bottoms that have changed their shape.

    `same` gives the shapes in which the numbers of an old shape are in the
    order that they have always had.

    Raises Refused, blaming the conversions before it, if they are not.
    """
    old = all_known(state.shapes.tops[top] for top in layer.tops)
    bottoms = all_known(given)
    if trait(layer) is Trait.OPAQUE:
        blame(state, layer, converted, "it may need the matrix that it gets")
    if bottoms is None or old is None:
        return [None] * len(layer.tops)
    if is_pointwise(layer):
        return [*bottoms] * len(old)
    try:
        made = of(layer).shapes(layer, bottoms)[: len(old)]
    except NetError as error:
        blame(state, layer, converted, f"it would fail: {str(error).split(': ', 2)[-1]}")
    if axis_of(layer) < 0:
        counts = (
            f"its axis {axis_of(layer)} counts from the end, where height and width would stand"
        )
        blame(state, layer, converted, counts)
    new = [before if after is None else after for before, after in zip(old, made, strict=True)]
    for before, after in zip(old, new, strict=True):
        if after not in same(before):
            blame(
                state,
                layer,
                converted,
                f"its output would be {show(after)} in place of {show(before)}",
            )
    return [*new]


def blame(state: State, layer: Layer, converted: Mapping[str, Shape], why: str) -> NoReturn:
    """Raises Refused for the nearest conversions above `layer`."""
    graph, seen, todo, blamed = state.graph, set(), list(layer.bottoms), []
    while todo:
        top = todo.pop()
        producer = graph.producer(top)
        if top in seen:
            continue
        seen.add(top)
        if producer.name in converted:
            blamed.append(producer)
        else:
            todo += producer.bottoms
    raise Refused(blamed, f'layer "{layer.name}" ({layer.type}, line {layer.line}) after it: {why}')


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


def param_names(layer: Layer) -> list[str]:
    """The names that the layer gives its parameters, "" for one without."""
    if layer.field.name == "layers":
        return layer.view.list("param")
    return [param.get("name") for param in layer.view.views("param")]
