"""Layers that a script writes itself, in Python: `class MyLayer(caffe.Layer)`."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fcnkit.pycaffe.vectors import BoolVec, Vec

if TYPE_CHECKING:
    from fcnkit.nets.graph import Layer as GraphLayer
    from fcnkit.pycaffe.memory import Blob, BlobVec


class Layer:
    """The base class of layers in Python; a subclass defines `setup`, `reshape`, `forward` and
    `backward`.

    Before `setup` is called, the layer has the `param_str` of the prototxt and its `phase`, 0 in
    training. In `setup`, `self.blobs.add_blob(...)` makes parameters, which are learned.
    """

    type = "Python"
    param_str = ""
    phase = 0
    blobs: "BlobVec"

    def __init__(self, layer_param: Any) -> None:
        """`layer_param` is the layer's message."""
        self.layer_param = layer_param

    def setup(self, bottom: Sequence["Blob"], top: Sequence["Blob"]) -> None:
        """Is called once. By default it does nothing."""

    def reshape(self, bottom: Sequence["Blob"], top: Sequence["Blob"]) -> None:
        """Sets the shapes of the tops; it is called before every forward pass."""
        raise NotImplementedError(f"{type(self).__name__} has no reshape(self, bottom, top)")

    def forward(self, bottom: Sequence["Blob"], top: Sequence["Blob"]) -> None:
        """Computes the data of the tops from the data of the bottoms."""
        raise NotImplementedError(f"{type(self).__name__} has no forward(self, bottom, top)")

    def backward(
        self, top: Sequence["Blob"], propagate_down: Sequence[bool], bottom: Sequence["Blob"]
    ) -> None:
        """Computes the diffs of the bottoms from the diffs of the tops."""
        words = "has no backward(self, top, propagate_down, bottom), and gradients are asked for"
        raise NotImplementedError(f"{type(self).__name__} {words}")


class Scripted:
    """A Python layer of a net: `object` is the script's own, of the class that the layer names."""

    type = "Python"

    def __init__(
        self, layer: "GraphLayer", bottoms: Sequence["Blob"], tops: Sequence["Blob"], phase: int
    ) -> None:
        self.layer, self.bottoms, self.tops = layer, bottoms, tops
        self.learns: list[bool] = []
        self.recorded = False
        self.last: list[bool] = []
        self.work = 0
        from fcnkit.engines.torch.layers.site import check_fields

        self._bottom, self._top = Vec(bottoms), Vec(tops)
        check_fields(layer)
        self.object = _made(layer)
        self.object.param_str = layer.param("python_param").get("param_str")
        self.object.phase = phase

    @property
    def blobs(self) -> "BlobVec":
        """The parameters that it made in `setup`."""
        return self.object.blobs

    def setup(self) -> None:
        """As the script's layer does."""
        with self._named():
            self.object.setup(self._bottom, self._top)

    def reshape(self) -> None:
        """As the script's layer does."""
        with self._named():
            self.object.reshape(self._bottom, self._top)

    def forward(self, device: Any) -> None:
        """As the script's layer does."""
        with self._named():
            self.object.forward(self._bottom, self._top)

    def backward(self, down: Sequence[bool], device: Any) -> None:
        """As the script's layer does."""
        with self._named():
            self.object.backward(self._top, BoolVec(down), self._bottom)

    @contextmanager
    def _named(self) -> Iterator[None]:
        """What goes wrong in the script's layer says which layer of the net it is."""
        try:
            yield
        except Exception as error:
            if sys.version_info >= (3, 11):
                path = self.layer.field.source.path
                error.add_note(f'{path}:{self.layer.line}: in layer "{self.layer.name}"')
            raise


def _made(layer: "GraphLayer") -> Layer:
    """The object of the class and the module that the layer names.

    Raises NetError where there is no such class; what the module itself raises is not caught.
    """
    from fcnkit.pycaffe.memory import BlobVec
    from fcnkit.pycaffe.messages import message_of
    from fcnkit.pycaffe.run import as_caffe

    param = layer.param("python_param")
    module, name = param.get("module"), param.get("layer")
    try:
        with as_caffe():  # which the module imports
            found = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        fact = f'there is no module "{module}"'
        remedy = f"put {module}.py beside the script, or its folder on PYTHONPATH"
        raise layer.error(f"{fact}; {remedy}") from error
    except (AttributeError, ValueError) as error:
        fact = f'module "{module}" has no class "{name}"'
        raise layer.error(f"{fact}; check python_param") from error
    if not (isinstance(found, type) and issubclass(found, Layer)):
        raise layer.error(f"{module}.{name} is not a caffe.Layer; write class {name}(caffe.Layer)")
    made: Layer = found(message_of(layer))
    made.blobs = BlobVec()
    return made
