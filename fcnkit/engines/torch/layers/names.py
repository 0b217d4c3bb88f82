"""What the parameters of a layer are called in PyTorch; Caffe only counts them."""

from collections.abc import Callable, Sequence

from fcnkit.nets.graph import Layer


def named(*names: str) -> Callable[[Layer], Sequence[str]]:
    """These, whatever the layer says."""
    return lambda layer: names


def factors(layer: Layer) -> Sequence[str]:
    """A Scale's factors, where they are no bottom, and its summands."""
    return ("weight", "bias")[len(layer.bottoms) - 1 :]
