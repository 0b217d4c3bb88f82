"""A net in all its states at once, for rewrites that change it and its weights together."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from fcnkit import expected
from fcnkit.edits import Edit, arrange
from fcnkit.errors import NetError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.graph import Graph, Layer, Top, buildable, graphs
from fcnkit.nets.layers.strange_fields import understood
from fcnkit.nets.shapes import Shapes, shapes_of
from fcnkit.plan import Move, Plan, Step
from fcnkit.shape import Shape


class Known(NamedTuple):
    """One state of the net and the sizes in it."""

    graph: Graph
    shapes: Shapes

    @property
    def name(self) -> str:
        """The state, as messages show it."""
        return str(self.graph.state)

    def shape(self, top: Top) -> Shape | None:
        """A top's shape, None where it is not known."""
        return self.shapes.tops[top]


@dataclass(frozen=True, eq=False)
class States:
    """Every state worth building of one net."""

    net: Prototxt
    each: tuple[Known, ...]

    @cached_property
    def layers(self) -> list[Layer]:
        """The layers of all states in file order, each once."""
        found = {layer.field.start: layer for known in self.each for layer in known.graph.layers}
        return [found[start] for start in sorted(found)]

    @cached_property
    def _built(self) -> Mapping[int, list[tuple[Layer, Shapes]]]:
        """Where a layer stands: it in every state that has it, and the sizes there."""
        found = defaultdict(list)
        for graph, shapes in self.each:
            for layer in graph.layers:
                found[layer.field.start].append((layer, shapes))
        return found

    @cached_property
    def _users(self) -> Mapping[str, list[str]]:
        """The name of a parameter: the layers that use it."""
        found = defaultdict(list)
        for layer in self.layers:
            for name in dict.fromkeys(param_names(layer)):
                found[name].append(layer.name)
        return found

    def named(self, name: str) -> list[Layer]:
        """The layers of this name; NetError, naming the nearest, when there is none."""
        found = [layer for layer in self.layers if layer.name == name]
        return found or [self.each[0].graph.layer(name)]

    def places(self, layer: Layer) -> list[tuple[Known, Layer]]:
        """Each state that has the layer, and the layer in it."""
        start = layer.field.start
        return [
            (known, each)
            for known in self.each
            for each in known.graph.layers
            if each.field.start == start
        ]

    def blobs(self, layer: Layer) -> list[Shape]:
        """The shapes of a layer's parameters.

        Raises NetError where no state knows the size of what it reads.
        """
        fact = ""
        for other, shapes in self._built[layer.field.start]:
            found = shapes.blobs(other)
            if found is not None:
                return found
            for top in other.bottoms:
                if shapes.reason(top):
                    fact = f"({shapes.reason(top)}); {shapes.say_it(top)}"
        raise layer.error(f"the size of what it reads is not known {fact or SAY_IT}")

    def sharing(self, layer: Layer) -> str:
        """What other layers use the layer's parameters; "" when none does."""
        for name in filter(None, param_names(layer)):
            others = [f'"{other}"' for other in self._users[name] if other != layer.name]
            if others:
                return f'it shares the parameter "{name}" with {", ".join(others)}'
        return ""

    def alone(self, layer: Layer) -> Layer:
        """The layer itself, whose parameters may be changed.

        Raises NetError where others use them too, or a field of the layer is not understood.
        """
        understood(layer)
        shared = self.sharing(layer)
        if shared:
            raise layer.error(f"{shared}, which would change too; give each its own parameters")
        return layer

    def plan(
        self,
        edits: Iterable[Edit],
        steps: Mapping[int, Step] | Iterable[Step],
        moves: Iterable[Move],
    ) -> Plan:
        """The plan of these edits, its steps in the order of the file, equal moves once.

        Raises NetError where two layers of one name would have different weights.
        """
        ordered = [steps[at] for at in sorted(steps)] if isinstance(steps, Mapping) else steps
        net = self.net.edit(arrange(edits))
        made: dict[tuple[str, int, bool], Move] = {}
        for move in moves:
            if made.setdefault((move.layer, move.blob, move.how == "drop"), move) != move:
                fact = "layers of this name in different states would need different weights"
                raise self.named(move.layer)[0].error(f"{fact}; give them different names")
        return Plan(self.net, net, tuple(ordered), tuple(made.values()))


SAY_IT = "give it with --input, as in --input data=1,3,227,227"


def states(net: Prototxt, inputs: Mapping[str, Shape] | None = None) -> States:
    """The net in every state, with its sizes; `inputs` {blob: shape} as in `shapes_of`.

    Raises NetError as `graphs` and `shapes_of` do, and for an input that no state has.
    """
    found = graphs(net)
    for blob in inputs or {}:
        if not any(top.blob == blob for graph in found for top in graph.tops):
            found[0].top(blob)
    return States(
        net, tuple(Known(graph, shapes_of(graph, _own(graph, inputs or {}))) for graph in found)
    )


def looked_at(
    net: Prototxt, inputs: Mapping[str, Shape] | None = None, phase: str | None = None
) -> tuple[list[Known], list[NetError]]:
    """The states that Caffe can build, all or those of a phase, and what is wrong with the others.

    Raises NetError where none can be built, and for an input that no state has.
    """
    every, missing = buildable(net)
    blobs = {top.blob for graph in every for top in graph.tops}
    for blob in inputs or {}:
        if blob not in blobs:
            every[0].top(blob)
    found: list[Known] = []
    broken = [error for state, error in missing.items() if phase in (None, state.phase)]
    for graph in every:
        if phase in (None, graph.state.phase):
            try:
                found.append(Known(graph, shapes_of(graph, _own(graph, inputs or {}))))
            except NetError as error:
                broken.append(error)
    if not found:
        raise (
            broken[0]
            if broken
            else NetError(f"{net.path}: its rules do not distinguish a phase {phase}")
        )
    return found, broken


def present(net: Prototxt, inputs: Mapping[str, Shape]) -> dict[str, Shape]:
    """Those of the inputs whose blobs some state of the net has."""
    blobs = {top.blob for graph in graphs(net) for top in graph.tops}
    return {blob: shape for blob, shape in inputs.items() if blob in blobs}


def _own(graph: Graph, inputs: Mapping[str, Shape]) -> dict[str, Shape]:
    blobs = {top.blob for top in graph.tops}
    return {blob: shape for blob, shape in inputs.items() if blob in blobs}


def copies(layer: Layer, shapes: Iterable[Shape], start: int = 0) -> list[Move]:
    """The layer's blobs from number `start` on, as they are."""
    return [
        Move(layer.name, at, tuple(shape), layer.name)
        for at, shape in enumerate(shapes)
        if at >= start
    ]


def each_name(given: Iterable[str | Sequence[str]]) -> list[str]:
    """The names, one by one: some may have come in lists."""
    form = "names, or lists of names"
    every = (expected.instance("layers", each, Iterable, form) for each in given)
    return [name for each in every for name in ([each] if isinstance(each, str) else each)]


def refused(net: Prototxt, fact: str) -> NetError:
    """An error that says which net it is."""
    return NetError(f"{net.path}: {fact}")


def param_names(layer: Layer) -> list[str]:
    """The names that the layer gives its parameters, "" for one without."""
    if layer.field.name == "layers":
        return layer.view.list("param")
    return [param.get("name") for param in layer.view.views("param")]
