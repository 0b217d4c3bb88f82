"""The parameters of a net: filled, shared by name, and loaded by layer name, as Caffe does."""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import Parameter

from fcnkit.engines.torch.layers.filling import filled
from fcnkit.engines.torch.layers.table import LAYERS
from fcnkit.errors import WeightsError
from fcnkit.formats.blobproto import shown_shape
from fcnkit.formats.schema import View
from fcnkit.nets.graph import Graph, Layer
from fcnkit.nets.layers.table import learns_nothing
from fcnkit.nets.shapes import Shapes
from fcnkit.nets.specs import Spec, check_shared, specs_of
from fcnkit.plural import number_of
from fcnkit.shape import Shape
from fcnkit.weights.blobs import Blob
from fcnkit.weights.store import Weights


class Learned(NamedTuple):
    """One parameter, by the layer that owns it: its number there, lr_mult and decay_mult."""

    layer: Layer
    number: int
    value: Parameter
    lr_mult: float
    decay_mult: float


class Use(NamedTuple):
    """A parameter as one layer has it: which one of all,
    in which shape, and whether the layer learns it.
    """

    number: int
    shape: Shape
    learns: bool


def parameters(
    sizes: Shapes, seed: int, given: Collection[str], kept: Collection[Layer] | None = None
) -> tuple[list[Learned], list[tuple[Use, ...]]]:
    """Every parameter of the net, as its filler makes it, and those that each layer uses.

    The layers that are `given` will be loaded, and are not filled.  Those that are not
    among the `kept`, if that is given, have none.  Layers
    that give parameters one name share the first one's.  Raises NetError where
    such shapes differ, or a layer has more specifications than parameters.
    """
    made = _Made(sizes, np.random.default_rng(seed), given)
    every = sizes.graph.layers
    wanted = {*(every if kept is None else kept)}
    return made.owned, [made.uses(layer) if layer in wanted else () for layer in every]


def forced(graph: Graph) -> bool:
    """Whether the net asks for every gradient, whatever its layers say."""
    return View("NetParameter", graph.prototxt.root).get("force_backward")


class _Made:
    """The parameters made so far."""

    def __init__(self, sizes: Shapes, rng: np.random.Generator, given: Collection[str]):
        self.sizes, self.rng, self.given, self.forced = sizes, rng, given, forced(sizes.graph)
        self.owned: list[Learned] = []
        self.specs: list[Spec] = []
        self.named: dict[str, int] = {}

    def uses(self, layer: Layer) -> tuple[Use, ...]:
        shapes = self.sizes.blobs(layer) or []
        specs = specs_of(layer, len(shapes))
        return tuple(
            self._use(layer, number, tuple(shape), spec)
            for number, (shape, spec) in enumerate(zip(shapes, specs, strict=True))
        )

    def _use(self, layer: Layer, number: int, shape: Shape, spec: Spec) -> Use:
        rate = rate_of(layer, spec)
        learns = LAYERS[layer.type].learns and (rate != 0 or self.forced)
        if spec.name in self.named:
            index = self.named[spec.name]
            owner = self.owned[index]
            check_shared(layer, spec, shape, owner.layer, tuple(owner.value.shape))
            self._agree(layer, index, spec)
            return Use(index, shape, learns)
        self.owned.append(self._own(layer, number, shape, rate, spec))
        self.specs.append(spec)
        self.owned[-1].value.requires_grad_(learns)
        if spec.name:
            self.named[spec.name] = len(self.owned) - 1
        return Use(len(self.owned) - 1, shape, learns)

    def _own(self, layer: Layer, number: int, shape: Shape, rate: float, spec: Spec) -> Learned:
        decay = 1.0 if spec.decay_mult is None else spec.decay_mult
        return Learned(layer, number, Parameter(self._values(layer, number, shape)), rate, decay)

    def _values(self, layer: Layer, number: int, shape: Shape) -> torch.Tensor:
        if layer.name in self.given and layer is self.sizes.graph.layer(layer.name):
            return torch.empty(shape)
        fills = LAYERS[layer.type].fills(layer)
        fill = fills[number] if number < len(fills) else None
        return torch.from_numpy(filled(layer, fill, shape, self.rng))

    def _agree(self, layer: Layer, index: int, spec: Spec) -> None:
        """The multipliers of a shared parameter are those that any layer gives;
        NetError where two differ.
        """
        for name in ("lr_mult", "decay_mult"):
            new, old = getattr(spec, name), getattr(self.specs[index], name)
            if None not in (new, old) and new != old:
                owner = self.owned[index].layer.name
                fact = f'its {name} of "{spec.name}" is {new:g}, that of "{owner}" {old:g}'
                raise layer.error(f"{fact}; give both the same")
            if new is not None:
                self.specs[index] = self.specs[index]._replace(**{name: new})
                self.owned[index] = self.owned[index]._replace(**{name: new})


def rate_of(layer: Layer, spec: Spec) -> float:
    """The lr_mult of a parameter;
    NetError where a solver would change what no gradient reaches.
    """
    kind = LAYERS.get(layer.type)
    if kind is None or kind.learns or not learns_nothing(layer):
        return 1.0 if spec.lr_mult is None else spec.lr_mult
    if spec.lr_mult:
        fact = f"lr_mult {spec.lr_mult:g} for statistics, which are not learned"
        raise layer.error(f"{fact}; give its params lr_mult: 0, or none a param")
    return 0.0


def load(
    graph: Graph,
    uses: Sequence[tuple[Use, ...]],
    owned: Sequence[Learned],
    weights: Weights,
    kept: Collection[str] | None = None,
) -> None:
    """Every layer of the net that the file has holds the file's values; of some, those `kept`.

    Layers are matched by name, in the file's order; of layers that share a
    parameter the last one counts.  Raises WeightsError where the number of
    blobs or a shape is another than the net's.
    """
    names = {layer.name for layer in graph.layers} if kept is None else {*kept}
    for name, blobs in weights.items():
        if name in names:
            layer = graph.layer(name)
            used = uses[layer.index]
            own = [number for number, use in enumerate(used) if owned[use.number].layer is layer]
            shapes = [use.shape for use in used]
            for number, array in stored(layer, blobs, shapes, own, weights):
                value = owned[used[number].number].value
                shaped = np.ascontiguousarray(array, np.float32).reshape(tuple(value.shape))
                value.data = torch.from_numpy(shaped).to(value.device)


def stored(
    layer: Layer,
    blobs: Sequence[Blob],
    shapes: Sequence[Shape],
    own: Sequence[int],
    weights: Weights,
) -> Iterator[tuple[int, np.ndarray]]:
    """The numbers of a layer's parameters, of these shapes, and what the file has for each.

    HDF5 has what is shared with the layer that owns it alone: of this one, those numbered `own`.
    """
    alone = weights.kind == "hdf5" and len(blobs) == len(own)
    numbers = own if alone else range(len(shapes))
    place = f'{weights.path}: layer "{layer.name}"'
    if len(blobs) != len(numbers):
        fact = (
            f"{number_of(len(blobs), 'parameter blob')}, and the net has {len(numbers)} "
            f"({_where(layer)})"
        )
        raise WeightsError(f"{place}: {fact}; give the weights that belong to this net")
    for number, blob in zip(numbers, blobs, strict=True):
        if not blob.fits(shapes[number]):
            sizes = f"{shown_shape(blob.shape)}, in the net {shown_shape(shapes[number])}"
            remedy = "rename the layer to train it from scratch, or transplant it: fcnkit surgery"
            raise WeightsError(f"{place}: blob {number} is {sizes} ({_where(layer)}); {remedy}")
        yield number, blob.array()


def _where(layer: Layer) -> str:
    return f"{layer.field.source.path}:{layer.line}"


def blobs(
    graph: Graph, uses: Sequence[tuple[Use, ...]], values: Sequence[torch.Tensor]
) -> Iterator[tuple[str, list[np.ndarray]]]:
    """(layer name, arrays) of every layer with parameters, as Caffe saves them."""
    for layer, used in zip(graph.layers, uses, strict=True):
        if used:
            tensors = (values[use.number].detach().cpu().float().reshape(use.shape) for use in used)
            yield layer.name, [tensor.numpy() for tensor in tensors]
