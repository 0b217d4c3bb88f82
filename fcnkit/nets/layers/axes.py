"""What the layer types share in looking at shapes: axes, equality, and how messages give them."""

from collections.abc import Sequence

from fcnkit.errors import NetError
from fcnkit.formats.schema import View
from fcnkit.nets.graph import Layer
from fcnkit.plural import number_of
from fcnkit.shape import Shape
from fcnkit.shape import show as shape_text


def canonical(layer: Layer, axis: int, ndim: int, name: str = "axis") -> int:
    """The axis counted from the front; NetError where the blob has no such axis."""
    if not -ndim <= axis < ndim:
        raise layer.error(
            f"{name} {axis} of a bottom with {number_of(ndim, 'axis', 'axes')}; give one from "
            f"{-ndim} to {ndim - 1}"
        )
    return axis % ndim


def same(layer: Layer, bottoms: Sequence[Shape], but: int | None = None) -> None:
    """NetError unless all bottoms have one shape, the axis `but` left out."""

    def rest(shape: Shape) -> Shape:
        return shape if but is None else (*shape[:but], -1, *shape[but + 1 :])

    for bottom, shape in zip(layer.bottoms, bottoms, strict=True):
        if rest(shape) != rest(bottoms[0]):
            where = "" if but is None else f" on every axis but {but}"
            raise layer.error(
                f'bottom "{bottom.blob}" is {show(shape)} and bottom "{layer.bottoms[0].blob}" is '
                f"{show(bottoms[0])}; make them equal{where}"
            )


class Open(NetError):
    """A layer leaves the number of its outputs open, as DIGITS' files do for the classes."""


def outputs_of(layer: Layer, message: str) -> int:
    """The layer's num_output, in `message`; Open where it says none, NetError where it says 0."""
    param = layer.param(message)
    outputs = param.get("num_output")
    if outputs < 1:
        error = layer.error(_no_outputs(param))
        raise error if param.says("num_output") else Open(str(error))
    return outputs


def show(shape: Shape) -> str:
    """2 x 3 x 4, as messages give a shape."""
    return shape_text(shape) or "a scalar"


def four(layer: Layer, shape: Shape) -> Shape:
    """The shape itself; NetError unless it has four axes."""
    if len(shape) != 4:
        raise layer.error(f"its bottom is {show(shape)}; {layer.type} takes 4 axes")
    return shape


def _no_outputs(param: View) -> str:
    """What is wrong with the message of a layer that says no number of outputs above 0."""
    fact = "num_output is 0" if param.has("num_output") else "it has no num_output"
    return f"{fact}; give 1 output or more"
