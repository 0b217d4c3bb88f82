"""Where a layer stands when it is built: its fields, the axes of its bottoms, its phase."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from fcnkit.engines.fields import strange_field
from fcnkit.errors import EngineError
from fcnkit.formats.schema import View
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.axes import canonical
from fcnkit.shape import Shape

Tensors = Sequence[Any]

# What a layer does: its tops, from its bottoms and its parameters.
Run = Callable[[Tensors, Tensors], Tensors]


class Site(NamedTuple):
    """A layer, the shapes of its bottoms when the net is built, and whether it trains.

    Later inputs may have other sizes, never another number of axes.
    """

    layer: Layer
    shapes: tuple[Shape, ...]
    training: bool

    def param(self, name: str) -> View:
        """The layer's `name` message."""
        return self.layer.param(name)

    def axis(self, message: str, name: str = "axis") -> int:
        """The axis that a field of the message says, counted from the front of the first bottom."""
        return canonical(self.layer, self.param(message).get(name), len(self.shapes[0]), name)

    def error(self, fact: str) -> EngineError:
        """An error that says where the layer stands."""
        return refusal(self.layer, fact)


def not_run(error: EngineError) -> Run:
    """What a layer does that cannot be run: a net may have it that is run in the other phase."""

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        raise error

    return run


def refusal(layer: Layer, fact: str) -> EngineError:
    """An error that says where the layer stands, and which engine it is that does not run it."""
    place = f'{layer.field.source.path}:{layer.line}: layer "{layer.name}"'
    return EngineError(f"{place}: PyTorch engine: {fact}")


def check_fields(layer: Layer, heeded: Collection[str] = ()) -> None:
    """Nothing that the text says of the layer is passed over:
    EngineError for a field that Caffe has not, and that is not `heeded`.
    """
    if strange := strange_field(layer, heeded):
        raise refusal(layer, strange)
