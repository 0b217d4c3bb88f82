"""The weights of a net of several trunks, each trunk's from a file of its own.

As solve.py of nyud-fcn32s-color-hha in fcn.berkeleyvision.org transplants two
trained nets, each under the suffix of its image.
"""

from collections.abc import Collection, Mapping

from fcnkit.errors import WeightsError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of
from fcnkit.weights.matching import match
from fcnkit.weights.store import Weights
from fcnkit.weights.surgery import transplant


def of_each(
    one: Prototxt, fused: Prototxt, weights: Mapping[str, Weights], fresh: Collection[str] = ()
) -> Weights:
    """Weights for `fused`, whose trunks are that of the net `one` under names that end in an image.

    `weights` {image: weights} are for `one`; what is behind the trunks is of the first.
    Layers in `fresh` that a file lacks are left to their fillers.

    Raises WeightsError where a file does not fit `one`, or lacks a layer of its trunk.
    """
    graph = build(one)
    trunk = {layer.name for layer in graph.layers} - {layer.name for layer in build(fused).layers}
    shapes = shapes_of(graph)
    learned = [each.name for each in graph.layers if each.name in trunk and shapes.blobs(each)]
    made: dict[str, Weights] = {}
    for image, own in weights.items():
        found = match(graph, graph, shapes, own)
        found.check()
        made[image] = transplant(found, own)
        lacking = next((name for name in learned if name not in {*own, *fresh}), None)
        if lacking is not None:
            fact = f'{own.path}: no layer "{lacking}", which the trunk of "{image}" needs'
            raise WeightsError(f"{fact}; give weights of this net, or of its classifier")
    first, *others = made
    has = [name for name in learned if name in made[first]]
    start = made[first].rename({name: f"{name}{first}" for name in has})
    more = {
        f"{name}{image}": made[image][name]
        for image in others
        for name in learned
        if name in made[image]
    }
    types = {f"{name}{image}": graph.layer(name).type for image in others for name in learned}
    return start.put_all(more, types=types)
