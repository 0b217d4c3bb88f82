"""A net up to some of its blobs, as a module has it: its layers, its inputs and their sizes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from fcnkit.engines.torch.forward import Forward, check, check_graph, given_tops
from fcnkit.engines.torch.parameters import Learned, Use, parameters
from fcnkit.errors import NetError
from fcnkit.formats import prototxt
from fcnkit.formats.blobproto import shown_shape
from fcnkit.nets.graph import Graph, Layer, State, Top, build, needed
from fcnkit.nets.layers.table import of
from fcnkit.nets.shapes import Shapes, shapes_of
from fcnkit.shape import Shape

# Of so many sizes of inputs it is known that they fit.
_SIZES = 256


class Wiring:
    """The layers that the wanted blobs need, as functions for both phases.

    It is copied, and pickled, as what it was made of: the net's text, its state,
    the shapes of its inputs and the blobs that are wanted.
    """

    def __init__(
        self,
        graph: Graph,
        shapes: Mapping[str, Shape],
        wanted: Sequence[Top],
        uses: Sequence[tuple[Use, ...]],
    ):
        self.graph, self.wanted, self.uses = graph, tuple(wanted), uses
        self._shapes = dict(shapes)
        self.kept = needed(graph, wanted)
        self._sizes = sizes_of(graph, shapes, self.kept)
        self._forward = {
            training: Forward(self._sizes, uses, self.kept, phase)
            for training, phase in ((False, "TEST"), (True, "TRAIN"))
        }
        sources = set(given_tops(graph))
        read = {top for layer in self.kept for top in layer.bottoms} | set(wanted)
        self._known = tuple(top.blob for top in given_tops(graph))
        self.inputs = tuple(top.blob for top in given_tops(graph) if top in read & sources)
        self._fit: set[tuple] = set()

    def forward(self, training: bool) -> Forward:
        """The layers as they are in this phase."""
        return self._forward[training]

    def given(self, inputs: Sequence[Tensor], named: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensor of each input by its name, whole numbers as float32, as Caffe has them.

        Raises NetError where they are not those that the net takes.
        """
        if len(inputs) > len(self.inputs):
            raise self._error(f"{len(inputs)} inputs are given; it takes {self._expected()}")
        values = dict(zip(self.inputs, inputs, strict=False))
        for name, value in named.items():
            if name not in self._known:
                raise self._error(f'"{name}" is not an input of this net; give {self._expected()}')
            if name in values:
                raise self._error(f'input "{name}" is given twice; give it once')
            values[name] = value
        for name in self.inputs:
            if name not in values:
                raise self._error(f'no input "{name}" is given; give {self._expected()}')
        found = {name: self._floats(name, values[name]) for name in self.inputs}
        self._check_sizes(found)
        return found

    def _floats(self, name: str, value: Any) -> Tensor:
        if not isinstance(value, Tensor):
            kind = type(value).__name__
            raise TypeError(f'input "{name}" is a tensor, not {kind}; give torch.as_tensor(...)')
        return value if value.is_floating_point() else value.float()

    def _check_sizes(self, values: Mapping[str, Tensor]) -> None:
        """Layers take these inputs with the parameters that they have.

        While PyTorch traces a module, sizes are no numbers, and it is not looked at.
        """
        if torch.jit.is_tracing() or torch.compiler.is_compiling():
            return
        shapes = {name: tuple(value.shape) for name, value in values.items()}
        key = tuple(shapes.items())
        if key in self._fit:
            return
        for name, shape in shapes.items():
            self._check_axes(name, shape)
        self._check_parameters(shapes)
        if len(self._fit) >= _SIZES:
            self._fit.clear()
        self._fit.add(key)

    def _check_axes(self, name: str, shape: Shape) -> None:
        built = self._size(name)
        if len(shape) != len(built):
            fact = f'input "{name}" is {shown_shape(shape)}, {len(shape)} axes'
            batch = len(shape) == len(built) - 1
            remedy = "add one for the batch: x[None]" if batch else f"give {len(built)}"
            raise self._error(f"{fact}; it was made for {shown_shape(built)}; {remedy}")
        if 0 in shape:
            raise self._error(f'input "{name}" is {shown_shape(shape)}: no values; give some')

    def _check_parameters(self, shapes: Mapping[str, Shape]) -> None:
        said = ", ".join(f'"{name}" is {shown_shape(shape)}' for name, shape in shapes.items())
        try:
            sizes = sizes_of(self.graph, shapes, self.kept)
        except NetError as error:
            raise NetError(f"{error} (input {said})") from error
        for layer in self.kept:
            old, new = self._sizes.blobs(layer) or [], sizes.blobs(layer) or []
            differ = next((pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]), None)
            if differ:
                has, needs = map(shown_shape, differ)
                fact = f"input {said}: its weights are {has} and would have to be {needs}"
                raise layer.error(f"{fact}; {self._remedy(layer)}")

    def _remedy(self, layer: Layer) -> str:
        made = ", ".join(f'"{name}" of {shown_shape(self._size(name))}' for name in self.inputs)
        conv = ", or fk.convolutionalize the net" * of(layer).dense
        return f"give {made}{conv}"

    def _size(self, name: str) -> Shape:
        top = next(top for top in given_tops(self.graph) if top.blob == name)
        return self._sizes.tops[top] or ()

    def _expected(self) -> str:
        return ", ".join(self.inputs) or "none"

    def _error(self, fact: str) -> NetError:
        return NetError(f"{self.graph.prototxt.path}: {fact}")

    def __reduce__(self) -> tuple[Callable[..., "Wiring"], tuple]:
        net = self.graph.prototxt
        blobs = [top.blob for top in self.wanted]
        return _again, (net.text, net.path, self.graph.state, self._shapes, blobs)


def _again(
    text: str, path: str, state: State, shapes: Mapping[str, Shape], wanted: Sequence[str]
) -> Wiring:
    """The wiring of a copy, whose parameters are copied by themselves."""
    graph = build(prototxt.parse(text, path), state)
    with torch.device("meta"):
        return wired(graph, shapes, [graph.top(blob) for blob in wanted])[0]


def wired(
    graph: Graph,
    shapes: Mapping[str, Shape],
    wanted: Sequence[Top],
    *,
    seed: int = 1,
    given: Sequence[str] | None = None,
) -> tuple[Wiring, list[Learned]]:
    """The wiring, and its parameters, filled but for the layers that are `given`, by default all.

    Raises EngineError for a layer that the engine does not run, with its line;
    NetError where Caffe would refuse.
    """
    kept = needed(graph, wanted)
    sizes = sizes_of(graph, shapes, kept)
    for layer in kept:
        _check_inputs(layer, sizes)
        check(layer, sizes)
    check_graph(graph)
    those = [layer.name for layer in graph.layers] if given is None else given
    learned, uses = parameters(sizes, seed, those, kept)
    return Wiring(graph, shapes, wanted, uses), learned


def _check_inputs(layer: Layer, sizes: Shapes) -> None:
    """What the layer reads of the net's inputs is of known size."""
    for top in set(given_tops(sizes.graph)).intersection(layer.bottoms):
        if sizes.tops[top] is None:
            source = sizes.graph.producer(top)
            fact = f'it says no size of "{top.blob}"; give it, such as inputs='
            raise source.error(f'{fact}{{"{top.blob}": (1, 3, 227, 227)}}')


def sizes_of(graph: Graph, shapes: Mapping[str, Shape], kept: Sequence[Layer]) -> Shapes:
    """The shapes of the net's blobs; NetError where one of the layers cannot be."""
    errors: list[NetError] = []
    sizes = shapes_of(graph, shapes, refuse=lambda kind, error: errors.append(error))
    those = {layer.index for layer in kept}
    for index, error in zip(sorted(sizes.refused), errors, strict=True):
        if index in those:
            raise error
    return sizes
