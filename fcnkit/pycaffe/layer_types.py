"""pycaffe's `layers` and `params`: what a layer of each type may be given, and values of enums."""

from functools import cache
from typing import TYPE_CHECKING, Any

from fcnkit.formats.with_forks import message
from fcnkit.pycaffe.tops import layer

if TYPE_CHECKING:
    from inspect import Signature


class Maker:
    """Makes layers of one type: `L.Convolution(bottom, num_output=96, ...)`."""

    def __init__(self, type_name: str) -> None:
        self.__name__ = type_name

    def __call__(self, *bottoms: Any, **fields: Any) -> Any:
        return layer(self.__name__, *bottoms, **fields)

    @property
    def __signature__(self) -> "Signature":
        """What help and completion in a notebook ask for."""
        from fcnkit.pycaffe.signatures import signature

        return signature(self.__name__)

    def __repr__(self) -> str:
        return f"<layers.{self.__name__}>"


class Layers:
    """`L.Type(bottom, ..., field=value)` makes a layer of any type."""

    def __getattr__(self, name: str) -> Maker:
        return _maker(name)

    def __dir__(self) -> list[str]:
        from fcnkit.pycaffe.signatures import TYPE_NAMES

        return list(TYPE_NAMES)


@cache
def _maker(name: str) -> Maker:
    return Maker(name)


class Parameters:
    """`P.Pooling.MAX` is the number of an enum of PoolingParameter."""

    def __getattr__(self, name: str) -> Any:
        return message(f"{name}Parameter")


layers = Layers()
params = Parameters()
