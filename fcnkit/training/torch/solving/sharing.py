"""Gives a test net the parameters of the training net, as Net::ShareTrainedLayersWith does."""

from collections.abc import Iterator

from torch.nn import Parameter

from fcnkit.engines.torch.forward import BuiltLayer
from fcnkit.engines.torch.net import Net


def share(source: Net, target: Net) -> None:
    """Layers of the target have the very parameters of the source's layers of their names.

    Raises NetError where such layers have other numbers of parameters, or other shapes.
    """
    for one, other in _pairs(source, target):
        shapes = [[use.shape for use in built.uses] for built in (one, other)]
        if shapes[0] != shapes[1]:
            fact = f"its parameters are {shapes[1]}, and {shapes[0]} in the net that is trained"
            raise other.layer.error(f"{fact}; give the layer the same numbers in both")
        for mine, theirs in zip(other.uses, one.uses, strict=True):
            _share(target, mine.number, source.blobs[theirs.number])


def _share(target: Net, index: int, value: Parameter) -> None:
    own = target.blobs[index]
    if own.shape == value.shape:
        target.blobs[index] = value
    else:  # as a layer has it that shares by count alone
        own.data = value.data.view(own.shape)


def has_all(source: Net, target: Net) -> bool:
    """Whether each layer of the target that has parameters is one of the source's too."""
    names = {built.layer.name for built in source.layers}
    return all(built.layer.name in names for built in target.layers if built.uses)


def _pairs(source: Net, target: Net) -> Iterator[tuple[BuiltLayer, BuiltLayer]]:
    first = {built.layer.name: built for built in reversed(target.layers)}
    for built in source.layers:
        if built.layer.name in first:
            yield built, first[built.layer.name]
