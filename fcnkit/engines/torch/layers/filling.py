"""What parameters and DummyData begin with, by the fillers that a layer names."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fcnkit.engines.torch.layers.site import Run, Site, Tensors
from fcnkit.formats.schema import FILLERS, View
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers import sources
from fcnkit.nets.shapes import all_known
from fcnkit.plural import number_of
from fcnkit.shape import Shape
from fcnkit.weights import fillers


class Fill(NamedTuple):
    """A filler of a layer; `default` is the constant
    that Caffe takes where the layer names none.
    """

    message: str
    name: str
    default: float = 0.0


def nothing(layer: Layer) -> Sequence[Fill]:
    """It has no parameters."""
    return ()


def zeros(layer: Layer) -> Sequence[Fill]:
    """Every parameter begins with 0."""
    return ()


def weights(message: str) -> Callable[[Layer], Sequence[Fill]]:
    """Weights and biases by weight_filler and bias_filler of the message."""
    return lambda layer: (Fill(message, "weight_filler"), Fill(message, "bias_filler"))


def slopes(layer: Layer) -> Sequence[Fill]:
    """PReLU's slopes, 0.25."""
    return (Fill("prelu_param", "filler", 0.25),)


def factors(layer: Layer) -> Sequence[Fill]:
    """Scale's factors, 1, where they are no bottom, and its summands."""
    own = (Fill("scale_param", "filler", 1.0),) * (len(layer.bottoms) == 1)
    return (*own, Fill("scale_param", "bias_filler"))


def summands(layer: Layer) -> Sequence[Fill]:
    """Bias's summands."""
    return (Fill("bias_param", "filler"),)


def with_factors(layer: Layer) -> Sequence[Fill | None]:
    """A BatchNorm's statistics, 0, and NVCaffe's factor and summand."""
    message = "batch_norm_param"
    return (*(None,) * 3, Fill(message, "scale_filler", 1.0), Fill(message, "bias_filler"))


def norms(layer: Layer) -> Sequence[Fill]:
    """SSD's factors, 1."""
    return (Fill("norm_param", "scale_filler", 1.0),)


def statistics(layer: Layer) -> Sequence[Fill]:
    """A BN's factor and summand; both statistics begin with 0."""
    param = layer.param("bn_param")
    names = ("slope_filler", "bias_filler")
    if not param.says(*names):
        names = ("scale_filler", "shift_filler")
    return (Fill("bn_param", names[0], 1.0), Fill("bn_param", names[1]))


def filled(layer: Layer, fill: Fill | None, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """An array of the shape as the layer's filler makes it; zeros where there is no filler."""
    if fill is None:
        return np.zeros(shape, np.float32)
    param = layer.param(fill.message)
    if not param.has(fill.name):
        return np.full(shape, fill.default, np.float32)
    return by_filler(param.view(fill.name), shape, rng)


def is_known(layer: Layer, fill: Fill | None) -> bool:
    """Whether the layer's filler is one that Caffe has, or it names none."""
    param = layer.param(fill.message) if fill else None
    named = param.view(fill.name) if param and fill and param.has(fill.name) else None
    return named is None or named.get("type") in FILLERS


def by_filler(filler: View, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """An array of the shape with the values of a FillerParameter."""
    kind = filler.get("type")
    return fillers.fill(
        kind, shape, rng=rng, **{name: filler.get(name) for name in fillers.takes(kind)}
    )


def dummy_data(site: Site) -> Run:
    """A tensor of each shape by its data_filler, 0 without one; what is random is new each time."""
    shapes = all_known(sources.dummy(site.layer, [])) or []
    given = site.param("dummy_data_param").views("data_filler")
    if len(given) not in (0, 1, len(shapes)):
        raise site.error(
            f"{len(given)} data_filler for {number_of(len(shapes), 'top')}; give none, one, or "
            "one each"
        )
    each = [*given] or [View("FillerParameter", None)]
    each = each * len(shapes) if len(each) == 1 else each
    rng = np.random.default_rng(1)

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        return [_made(filler, shape, rng) for filler, shape in zip(each, shapes, strict=True)]

    return run


def _made(filler: View, shape: Shape, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(by_filler(filler, shape, rng))
