"""A Caffe net as a torch.nn.Module that stands by itself: tensors in and out, Caffe's names."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fcnkit.engines.torch.layers.table import LAYERS
from fcnkit.engines.torch.parameters import Learned, blobs
from fcnkit.engines.torch.wiring import Wiring
from fcnkit.formats.blobproto import shown_shape
from fcnkit.nets.graph import Layer
from fcnkit.plural import number_of
from fcnkit.tables import columns
from fcnkit.weights import store
from fcnkit.weights.store import Weights

_HALVES = (torch.float16, torch.bfloat16)


class Place(NamedTuple):
    """Where a parameter stands in a module: in which one within it, under which name."""

    path: tuple[str, ...]
    name: str


class Blobs(torch.nn.Module):
    """The parameters of a layer, and what has names that go on with a dot.

    A BatchNorm's statistics stay in float32 where all else becomes float16 or
    bfloat16: they are sums, and may be larger than float16 can hold.
    """

    def _apply(self, fn: Callable[[Tensor], Tensor], *args: Any, **options: Any) -> "Blobs":
        def kept(value: Tensor) -> Tensor:
            found = fn(value)
            return value.to(found.device) if found.dtype in _HALVES else found

        own = dict(self._buffers)
        super()._apply(fn, *args, **options)
        self._buffers.update(
            {name: kept(value) for name, value in own.items() if value is not None}
        )
        return self


class CaffeModule(torch.nn.Module):
    """A Caffe net in PyTorch, as `fk.module` makes it.

    Called with a tensor for each of `inputs`, in their order or by name, it
    gives the blob that it is made for, or of several `outputs` a dict by name.
    """

    def __init__(self, wiring: Wiring, learned: Sequence[Learned]):
        super().__init__()
        self._wiring = wiring
        self._places = tuple(self._put(each) for each in learned)
        self.train(wiring.graph.state.phase == "TRAIN")

    @property
    def inputs(self) -> tuple[str, ...]:
        """The blobs to be given, in their order."""
        return self._wiring.inputs

    @property
    def outputs(self) -> tuple[str, ...]:
        """The blobs that come out."""
        return tuple(top.blob for top in self._wiring.wanted)

    def forward(self, *inputs: Tensor, **named: Tensor) -> Tensor | dict[str, Tensor]:
        """The output blob, or of several a dict by name.

        Raises NetError for inputs that are missing, unknown or of sizes that
        the net cannot take.
        """
        wiring = self._wiring
        given = wiring.given(inputs, named)
        values = self._values()
        device = (*values, *given.values(), torch.empty(0))[0].device
        found = wiring.forward(self.training).tops(given, values, wiring.wanted, device)
        if len(found) == 1:
            return next(iter(found.values()))
        return {top.blob: value for top, value in found.items()}

    def weights(self) -> Weights:
        """The parameters as a weights file has them: by layer, as Caffe saves them.

        `fk.weights(module)` calls it.
        """
        graph, types = self._wiring.graph, {}
        for layer in reversed(graph.layers):
            types[layer.name] = layer.type
        found = dict(blobs(graph, self._wiring.uses, self._values()))
        return store.create().put_all(found, types=types)

    def _put(self, learned: Learned) -> Place:
        """A parameter stands under its layer's name, a statistic too, as a buffer."""
        layer, number = learned.layer, learned.number
        path, name = tuple(layer.name.split(".")), _names(layer, number)
        at: torch.nn.Module = self
        for part in path:
            if part not in at._modules:
                _check_free(layer, at, part, name)
                at.add_module(part, Blobs())
            at = at._modules[part] or at
        _check_free(layer, at, name, name)
        if LAYERS[layer.type].learns:
            at.register_parameter(name, learned.value)
        else:
            at.register_buffer(name, learned.value.detach())
        return Place(path, name)

    def _values(self) -> list[Tensor]:
        """Every parameter, from where it stands now: PyTorch may put others there."""
        return [getattr(_within(self, place.path), place.name) for place in self._places]

    def __repr__(self) -> str:
        graph = self._wiring.graph
        count = sum(value.numel() for value in self._values())
        title = f"{', '.join(self.inputs) or 'nothing'} -> {', '.join(self.outputs)}"
        phase = "TRAIN" if self.training else "TEST"
        rows = [("layer", "type", "bottoms", "tops", "parameters"), *self._rows()]
        table = "".join(f"\n  {line}" for line in columns(rows, left=range(5)))
        path = graph.prototxt.path
        return f"<CaffeModule {path}, {phase}: {title}, {number_of(count, 'parameter')}>{table}"

    def _rows(self) -> Iterator[tuple[str, ...]]:
        values, wiring = self._values(), self._wiring
        for layer in wiring.kept:
            used = enumerate(wiring.uses[layer.index])
            shown = (
                f"{_names(layer, number)} {shown_shape(values[use.number].shape)}"
                for number, use in used
            )
            bottoms, tops = (
                ", ".join(top.blob for top in ends) for ends in (layer.bottoms, layer.tops)
            )
            yield layer.name, layer.type, bottoms, tops, ", ".join(shown)


def _within(module: torch.nn.Module, path: tuple[str, ...]) -> torch.nn.Module:
    for part in path:
        module = module._modules[part] or module
    return module


def _names(layer: Layer, number: int) -> str:
    """What a layer's parameter of this number is called."""
    names = LAYERS[layer.type].names(layer)
    return names[number] if number < len(names) else str(number)


def _check_free(layer: Layer, at: torch.nn.Module, part: str, name: str) -> None:
    """The module has nothing of this name yet, and PyTorch can have something there."""
    if part and not hasattr(at, part):
        return
    what = f'"{part}" is taken, by another layer or by PyTorch' if part else "a part is empty"
    raise layer.error(
        f"PyTorch cannot have its parameter {layer.name}.{name}: {what}; give the layer another "
        f'name: fk.rename(net, {{"{layer.name}": NAME}})'
    )
