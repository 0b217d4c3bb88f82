"""Which published model a net's layers are those of, and so what was taken off its images."""

from fcnkit.formats import prototxt
from fcnkit.models.index import Model, known
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of
from fcnkit.templates import path
from fcnkit.weights.store import Weights

# An FCN has all layers of its trunk but the classifier, and some trunks have few.
_SHARE = 0.75


def trained_like(weights: Weights) -> Model | None:
    """The published model with a known mean whose layers most of these weights' are; None for none.

    Layers are told by their names and their shapes: those of fc6 may be a matrix's
    or windows'.
    """
    best, most = None, 0
    for model in known():
        if model.mean and model.template:
            shared, every = _shared(model.template, weights)
            if shared > most and shared >= _SHARE * every:
                best, most = model, shared
    return best


def _shared(template: str, weights: Weights) -> tuple[int, int]:
    """How many layers of a template the weights have, and how many it has."""
    graph = build(prototxt.read(path(template)))
    sizes = shapes_of(graph)
    learned = {layer.name: blobs[0] for layer in graph.layers if (blobs := sizes.blobs(layer))}
    shared = sum(
        weights[name][0].shape == shape or len(shape) == 2
        for name, shape in learned.items()
        if weights.get(name)
    )
    return shared, len(learned)
