"""Nets out of Python expressions, as pycaffe's net_spec makes them, and more than it could say.

What a NetSpec calls its tops gives the layers their names.  New here: `comment` and `tops`
of a layer, `either`, and NetSpec's name, comment, `to_prototxt` and `to_deploy`.
"""

from collections import OrderedDict
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

from fcnkit.pycaffe.fields import Written, own_fields
from fcnkit.pycaffe.layer_types import Layers, Parameters, layers, params
from fcnkit.pycaffe.tops import (
    Function,
    Names,
    Top,
    either,
    named_layers,
    net_message,
    text_of,
    to_proto,
)

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from fcnkit.formats.prototxt import Prototxt
    from fcnkit.shape import Shape

__all__ = [
    "Function",
    "Layers",
    "NetSpec",
    "Parameters",
    "Top",
    "either",
    "layers",
    "own_fields",
    "params",
    "to_proto",
]


class NetSpec:
    """A net as named tops: `net.conv1 = L.Convolution(net.data, ...)`.

    `name` is the name of the net, and `comment` is written above it in a prototxt.
    """

    tops: MutableMapping[str, Top]
    _about: tuple[str, str]

    def __init__(self, *, name: str = "", comment: str = "") -> None:
        object.__setattr__(self, "tops", OrderedDict())
        about = text_of("name", name), text_of("comment", comment)
        object.__setattr__(self, "_about", about)

    def __setattr__(self, name: str, value: Top) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Top:
        return self.tops[name]

    def __setitem__(self, name: str, value: Top) -> None:
        self.tops[name] = value

    def __getitem__(self, name: str) -> Top:
        return self.tops[name]

    def __delitem__(self, name: str) -> None:
        del self.tops[name]

    def keys(self) -> list[str]:
        """The names of the tops, in the order in which they were set."""
        return list(self.tops)

    def vals(self) -> list[Top]:
        """The tops."""
        return list(self.tops.values())

    def update(self, name: str, fields: Mapping[str, Any]) -> None:
        """Adds fields to the layer of the top with this name, as in SSD's pycaffe.

        Raises as `L.Type(...)` does for a field that does not exist.
        """
        top = self.tops[name]
        (top if isinstance(top, Function) else top.fn).give(fields)

    def to_proto(self) -> "Message":
        """Returns the NetParameter of all tops, with layers in the order of the names."""
        return net_message(self._layers(), self._about[0])

    def to_prototxt(self) -> "Prototxt":
        """The same net as text: comments above their layers, fields in the order people use.

        net.to_prototxt().save("train_val.prototxt")
        """
        from fcnkit.pycaffe.text import written

        return written(self._layers(), *self._about)

    def to_deploy(self, inputs: "Mapping[str, Shape] | None" = None) -> "Prototxt":
        """The net that is deployed, where this one is trained and tested.

            net.to_deploy({"data": (1, 3, 224, 224)}).save("deploy.prototxt")

        As `fk.deploy`, for inputs of these sizes; rates and fillers of what is learned go
        too, and BatchNorm takes its stored statistics in either phase.
        """
        from fcnkit.pycaffe.text import deployed, written
        from fcnkit.rewrites.deploy import deploy

        layers = [layer._replace(fields=deployed(layer.fields)) for layer in self._layers()]
        return deploy(written(layers, *self._about), inputs=inputs).net

    def _layers(self) -> list[Written]:
        for name, top in self.tops.items():
            if not isinstance(top, (Top, Function)):
                raise AttributeError(f"{name} is {type(top)}, not a Top")
        # Of two names of one top the last counts.
        names: Names = {top: name for name, top in self.tops.items()}
        return named_layers(*self.tops.values(), names=names)[0]
