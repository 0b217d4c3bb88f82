"""What a check looks at: a net as Caffe builds it in one state, and what is known beside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from fcnkit.errors import NetError
from fcnkit.formats.prototxt import Field
from fcnkit.formats.schema import View
from fcnkit.nets import coords
from fcnkit.nets.coordmap import CoordMap
from fcnkit.nets.graph import Graph, Layer, Top
from fcnkit.nets.layers.table import has_bias, has_field, of
from fcnkit.nets.layers.traits import Trait
from fcnkit.nets.shapes import Shapes
from fcnkit.plan import Offset
from fcnkit.shape import Shape
from fcnkit.weights.matching import COPIED, RESHAPED, Match
from fcnkit.weights.store import Weights

# Of so many layers at least this share fits, unless the weights are another net's.
_SEVERAL, _SHARE = 4, 0.25


class Hit(NamedTuple):
    """A layer of which `text` is wrong;
    `field` is the place where it is not the layer's first line.
    """

    layer: Layer
    text: str
    field: Field | None = None


@dataclass(frozen=True, eq=False)
class Seen:
    """What a check looks at: the net in one state, and what is known beside it."""

    graph: Graph
    shapes: Shapes
    weights: Weights | None = None
    match: Match | None = None
    solver: View | None = None
    offsets: Mapping[str, Offset] = field(default_factory=dict)
    trains: bool = False

    @cached_property
    def of_another_net(self) -> bool:
        """Whether the weights fit so few of several layers that they are some other net's."""
        if self.weights is None or self.match is None or len(self.learning) < _SEVERAL:
            return False
        return len(self.fitting) < _SHARE * len(self.learning)

    @cached_property
    def learning(self) -> list[str]:
        """The names of the layers that have parameters."""
        return [layer.name for layer in self.graph.layers if self.count(layer)]

    @cached_property
    def fitting(self) -> set[str]:
        """The names of those of them that the weights fit."""
        rows = self.match.of(COPIED, RESHAPED) if self.match else ()
        return {row.layer for row in rows} & {*self.learning}

    def blobs(self, layer: Layer) -> list[Shape] | None:
        """The shapes of a layer's parameters, None where they are not known."""
        try:
            return self.shapes.blobs(layer)
        except NetError:
            return None

    def count(self, layer: Layer) -> int | None:
        """How many parameter blobs a layer has, None where that is not known."""
        blobs, kind = self.blobs(layer), of(layer)
        if blobs is not None:
            return len(blobs)
        if kind.linear:
            return 1 + has_bias(layer)
        return None if kind.learns or kind.trait is Trait.OPAQUE else 0

    @cached_property
    def reached(self) -> Mapping[Top, CoordMap]:
        """The tops that lie over the net's images, each with its map from them."""
        source = next(
            (layer.tops[0] for layer in self.graph.layers if layer.tops and not layer.bottoms), None
        )
        try:
            return coords.downward(self.graph, source) if source else {}
        except NetError:
            return {}

    @cached_property
    def batch(self) -> int | None:
        """How many images a pass takes at once, None where that is not known."""
        for layer in (layer for layer in self.graph.layers if layer.tops and not layer.bottoms):
            shape, message = self.shapes.tops[layer.tops[0]], of(layer).message
            if shape:
                return shape[0]
            if has_field(layer, "batch_size"):
                return layer.param(message).get("batch_size") or None
        return None

    def classes(self, top: Top, axis: int = 1) -> int | None:
        """How many channels a top has, from its shape or from the layer that makes them."""
        shape = self.shapes.tops[top]
        if shape is None:
            return self.shapes.channels(top) if axis == 1 else None
        return shape[axis] if -len(shape) <= axis < len(shape) else None


def rate_of(layer: Layer, number: int) -> float:
    """The lr_mult of one of the layer's parameters."""
    if layer.view.message_name == "V1LayerParameter":
        return [*layer.view.list("blobs_lr"), *[1.0] * (number + 1)][number]
    params = layer.view.views("param")
    return params[number].get("lr_mult") if number < len(params) else 1.0


def fills_zero(layer: Layer) -> bool:
    """Whether a layer that the weights say nothing of starts with all weights 0."""
    kind = of(layer)
    filler = layer.param(kind.message).view("weight_filler") if kind.linear else None
    return filler is not None and filler.get("type") == "constant" and not filler.get("value")
