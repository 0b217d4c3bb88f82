"""Makes and checks what a net needs before it runs: an array per input, weights for each layer."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fcnkit.errors import EngineError, NetError, WeightsError
from fcnkit.nets.graph import Graph, Top
from fcnkit.nets.layers.table import of, whole_numbers
from fcnkit.nets.layers.traits import Trait
from fcnkit.nets.shapes import shapes_of
from fcnkit.shape import Shape
from fcnkit.weights import store
from fcnkit.weights.store import GivenWeights

UNIT = 1 / 64
"""What makes noise of a few units of that of images."""


def input_arrays(graph: Graph, given: Mapping[str, Any], seed: int = 0) -> dict[str, Any]:
    """An array per input of the net: the given one, or noise of the given or the nominal shape.

    What a layer takes for numbers of rows, items or classes gets such numbers in place of noise.
    Raises NetError where the net has no input or no such one, or says no shape.
    """
    import numpy as np

    names = [top.blob for top in graph.inputs]
    path = graph.prototxt.path
    if not names:
        raise NetError(f"{path}: its only inputs are data layers; give the deploy net")
    for name in given:
        if name not in names:
            raise NetError(
                f'{path}: "{name}" is not an input of this net; its inputs are {", ".join(names)}'
            )
    shapes = {
        name: tuple(value) for name, value in given.items() if isinstance(value, (tuple, list))
    }
    arrays = {name: value for name, value in given.items() if name not in shapes}
    sizes: dict[str, Shape | None] = {**nominal(graph), **shapes}
    known = {
        name: np.shape(arrays[name]) if name in arrays else known_size(graph, name, sizes[name])
        for name in names
    }
    counts, gated = _counts(graph, known), _gated(graph)

    def drawn(name: str, seed: int) -> Any:
        if name in counts:
            numbers = _numbers(known[name], counts[name], seed)
            if name in gated:  # a sequence that goes on has what the run before has left
                numbers[:1] = 0
            return numbers
        return noise(known[name], seed) * (UNIT if name in gated else 1)

    return {
        name: arrays[name] if name in arrays else drawn(name, seed + number)
        for number, name in enumerate(names)
    }


def other_arrays(
    graph: Graph, given: Mapping[str, Any], arrays: Mapping[str, Any], seed: int = 0
) -> dict[str, Any]:
    """Arrays of the same shapes, and of like values, as those that `input_arrays` has made.

    Noise is drawn anew; of an array that was given the values change their places, so
    that whatever it held is still of the kind that the net takes.
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    fresh = input_arrays(graph, {name: array.shape for name, array in arrays.items()}, seed + 7919)
    return {
        name: array
        if isinstance(given.get(name, ()), (tuple, list))
        else generator.permutation(np.ravel(given[name])).reshape(np.shape(given[name]))
        for name, array in fresh.items()
    }


def _counts(graph: Graph, shapes: Mapping[str, Shape]) -> dict[str, int]:
    """The inputs that hold whole numbers, and how many there are of them, 0 and up."""
    sizes = shapes_of(graph, shapes, refuse=lambda *refused: None)
    counts: dict[str, int] = {}
    for layer in graph.layers:
        bottoms = sizes.bottoms(layer)
        for top, count in whole_numbers(layer, bottoms).items() if bottoms else ():
            source = _source(graph, top)
            counts[source] = min(count, counts.get(source, count))
    return counts


def _gated(graph: Graph) -> set[str]:
    """The inputs that go into gates, which values of more than a few units shut."""
    gates = (layer for layer in graph.layers if of(layer).gated)
    return {_source(graph, top) for layer in gates for top in layer.bottoms}


def _source(graph: Graph, top: Top) -> str:
    """The blob of which a top has the values."""
    layer = graph.producer(top)
    while layer.bottoms and (of(layer).trait is Trait.ARRANGES or of(layer).shares):
        top = layer.bottoms[0]
        layer = graph.producer(top)
    return top.blob


def _numbers(shape: Sequence[int], count: int, seed: int) -> Any:
    """Float32 whole numbers below the count, each as often as any other: all, where there is room.

    Drawn one by one, they would leave out a third of the rows of a table as long as the input.
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    every = np.resize(generator.permutation(max(count, 1)), math.prod(shape))
    return generator.permutation(every).reshape(shape).astype(np.float32)


def nominal(graph: Graph) -> dict[str, Shape | None]:
    """The shape that the prototxt gives each input."""
    layers = [layer for layer in graph.layers if layer.is_input]
    return {
        top.blob: shape
        for layer in layers
        for top, shape in zip(layer.tops, layer.input_shapes, strict=True)
    }


def known_size(graph: Graph, name: str, shape: Shape | None) -> Shape:
    """The shape of an input; NetError where there is none."""
    if shape is None:
        fact = f'{graph.prototxt.path}: it gives its input "{name}" no shape'
        raise NetError(f"{fact}; give one, such as --input {name}=1,3,227,227")
    return tuple(shape)


def noise(shape: Sequence[int], seed: int = 0) -> Any:
    """Float32 noise like a batch of images less their mean:
    -128 to 128, coarse and fine in equal parts.

    Noise of single pixels alone averages out in the first layers, and the deep
    ones would see little but biases; squares of 8 x 8 pixels do not.
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    fine = generator.uniform(-64, 64, shape)
    if len(shape) < 4:
        return (2 * fine).astype(np.float32)
    coarse = generator.uniform(-64, 64, (*shape[:-2], -(-shape[-2] // 8), -(-shape[-1] // 8)))
    coarse = coarse.repeat(8, -2).repeat(8, -1)[..., : shape[-2], : shape[-1]]
    return (fine + coarse).astype(np.float32)


def float_arrays(path: str, names: Sequence[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """The given arrays as float32, for exactly the input blobs of these names.

    Raises EngineError that names the net, `path`, where one is missing, unknown or empty.
    """
    import numpy as np

    known = ", ".join(names) or "none"
    for name in given:
        if name not in names:
            raise EngineError(
                f'{path}: "{name}" is not an input of this net; its inputs are {known}'
            )
    for name in names:
        if name not in given:
            raise EngineError(
                f'{path}: no data is given for the input "{name}"; give an array for it'
            )
    arrays = {name: np.ascontiguousarray(given[name], np.float32) for name in names}
    for name, array in arrays.items():
        if not array.size:
            raise EngineError(
                f'{path}: input "{name}" has the shape {array.shape}: no values; give some'
            )
    return arrays


def opened(weights: GivenWeights) -> store.Weights | None:
    """The weights of a path, or those that are given, or none."""
    if weights is None or isinstance(weights, store.Weights):
        return weights
    return store.open(weights)


def check_weights(graph: Graph, weights: GivenWeights, shapes: Mapping[str, Shape]) -> None:
    """Every layer that learns has weights:
    Caffe fills the others with zeros or noise and says nothing.

    `shapes` are those of the inputs.  Raises WeightsError for the first layer that has none.
    """
    sizes, weights = shapes_of(graph, shapes), opened(weights)
    for layer in graph.layers:
        if sizes.blobs(layer) and (weights is None or not weights.get(layer.name)):
            place = f'{graph.prototxt.path}:{layer.line}: layer "{layer.name}"'
            fact = (
                "no weights file is given"
                if weights is None
                else f"{weights.path} has no weights for it"
            )
            raise WeightsError(f"{place}: {fact}; give the weights of this net, or transplant them")
