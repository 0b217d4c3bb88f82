"""Builds a net that runs, layer by layer as Net::Init does: blobs, layers, what they learn."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from fcnkit.engines.torch.forward import phase_of
from fcnkit.engines.torch.parameters import forced, rate_of
from fcnkit.nets.graph import Graph, Layer
from fcnkit.nets.layers.strange_fields import check_net
from fcnkit.nets.layers.table import of
from fcnkit.nets.shapes import check_counts
from fcnkit.nets.specs import Spec, check_shared, specs_of
from fcnkit.pycaffe import modes
from fcnkit.pycaffe.calls import PHASES
from fcnkit.pycaffe.memory import CPU, Blob, BlobVec
from fcnkit.pycaffe.python_layer import Scripted
from fcnkit.pycaffe.running import Computed, Running, Shared, Split
from fcnkit.pycaffe.sources import source
from fcnkit.pycaffe.wiring import AUTOMATIC, SPLIT, Gradients, Part, gradients, parts


@dataclass
class Learned:
    """A parameter that no other owns: its layer, and what a solver multiplies by, if any says."""

    blob: Blob
    layer: Layer
    lr_mult: float | None
    decay_mult: float | None


@dataclass
class Built:
    """A net as it stands: its layers in their order, and its blobs by name."""

    parts: list[Part]
    phase: str
    layers: list[Running | Scripted] = field(default_factory=list)
    blobs: dict[str, Blob] = field(default_factory=dict)
    # All blobs with their names, as losses without tops all have blobs of one name.
    every: list[tuple[str, Blob]] = field(default_factory=list)
    learned: list[Learned] = field(default_factory=list)
    # The blobs of each layer that it shares with no earlier one.
    owned: list[list[Blob]] = field(default_factory=list)
    gradients: Gradients = field(default_factory=lambda: Gradients([], []))

    def outputs(self) -> list[str]:
        """The blobs that no layer reads, in the order of their names, as Caffe's set has them."""
        found: set[str] = set()
        for part in self.parts:
            found.difference_update(part.bottoms)
            found.update(part.tops)
        return sorted(found - {AUTOMATIC})

    def inputs(self) -> list[str]:
        """The blobs of Input layers."""
        return [blob for part in self.parts if _is_input(part) for blob in part.tops]


def _is_input(part: Part) -> bool:
    return part.layer is not None and part.layer.is_input


def built(graph: Graph, given: Collection[str] = ()) -> Built:
    """The net of a graph, its parameters filled, but for the layers that are `given`.

    Raises NetError where Caffe would refuse, EngineError for what the engine does not run.
    """
    check_net(graph.prototxt)
    made = Built(parts(graph), graph.state.phase)
    builder = _Builder(made, modes.filling(), given)
    for part in made.parts:
        builder.add(part)
    made.gradients = gradients(made.parts, builder.learns, forced=forced(graph))
    for layer, own, back in zip(made.layers, builder.learns, made.gradients.layers, strict=True):
        layer.learns = [True] * len(own) if forced(graph) else own
        layer.recorded = back
    _mark_last(made.layers)
    return made


def _mark_last(layers: Sequence[Running | Scripted]) -> None:
    """Each layer knows which of its tops no later layer writes over, by their memory."""
    written: set[int] = set()
    for layer in reversed(layers):
        places = [id(top.place[0]) for top in layer.tops]
        layer.last = [place not in written for place in places]
        if not isinstance(layer, Shared | Split):
            written.update(places)


class _Builder:
    """The net so far, and the parameters that have names."""

    def __init__(self, made: Built, rng: np.random.Generator, given: Collection[str]) -> None:
        self._made, self._rng, self._given = made, rng, set(given)
        self._named: dict[str, Learned] = {}
        # Of each layer, of each of its parameters, whether the text lets it be learned.
        self.learns: list[list[bool]] = []

    def add(self, part: Part) -> None:
        """The next layer is set up."""
        blobs = self._made.blobs
        bottoms = [blobs[name] for name in part.bottoms]
        tops = [self._top(part, name) for name in part.tops]
        layer = self._layer(part, bottoms, tops)
        layer.setup()
        layer.reshape()
        for top, weight in zip(tops, part.losses, strict=False):
            if weight:
                top.gradients(CPU, write=True).fill_(weight)
        self._made.layers.append(layer)
        self._own(part, layer.blobs)

    def _top(self, part: Part, name: str) -> Blob:
        """The blob of a top; in place the bottom's."""
        if name not in part.bottoms:
            self._made.blobs[name] = Blob()
            self._made.every.append((name, self._made.blobs[name]))
        return self._made.blobs[name]

    def _layer(
        self, part: Part, bottoms: Sequence[Blob], tops: Sequence[Blob]
    ) -> Running | Scripted:
        layer, phase = part.layer, self._made.phase
        if layer is None or layer.type == SPLIT:
            return Split(bottoms, tops)
        if layer.type == "Python":
            return Scripted(layer, bottoms, tops, PHASES.index(phase_of(layer, phase)))
        check_counts(layer, of(layer))
        if of(layer).shares:
            return Shared(layer, bottoms, tops)
        found = source(layer, tops, phase, self._rng)
        given = layer.name in self._given
        self._given.discard(layer.name)  # of several of one name the file gives the first's
        return found or Computed(layer, bottoms, tops, phase, self._rng, given=given)

    def _own(self, part: Part, blobs: BlobVec) -> None:
        """The layer's parameters are owned by it, or in the memory of those of their name."""
        layer = part.layer
        specs = specs_of(layer, len(blobs)) if layer else []  # a Split has none
        owned = self._owned(layer, blobs, specs) if layer else ()
        self._made.owned.append([*owned])
        # Net::Init asks the text, and not the layer, which gives its statistics lr_mult 0.
        self.learns.append([spec.lr_mult != 0 for spec in specs])

    def _owned(self, layer: Layer, blobs: BlobVec, specs: Sequence[Spec]) -> Iterator[Blob]:
        for blob, spec in zip(blobs, specs, strict=True):
            if spec.name in self._named:
                _share(layer, blob, spec, self._named[spec.name])
                continue
            # What the layer does not say, one that shares the parameter may.
            rate = spec.lr_mult if rate_of(layer, spec) else 0.0
            learned = Learned(blob, layer, rate, spec.decay_mult)
            self._made.learned.append(learned)
            if spec.name:
                self._named[spec.name] = learned
            yield blob


def _share(layer: Layer, blob: Blob, spec: Spec, owner: Learned) -> None:
    """The blob is in the memory of the owner's; NetError where they are not of one kind."""
    check_shared(layer, spec, blob.sizes, owner.layer, owner.blob.sizes)
    blob.share_data(owner.blob)
    blob.share_diff(owner.blob)
    for name in ("lr_mult", "decay_mult"):
        new, old = getattr(spec, name), getattr(owner, name)
        if None not in (new, old) and new != old:
            fact = f'its {name} of "{spec.name}" is {new:g}, that of "{owner.layer.name}" {old:g}'
            raise layer.error(f"{fact}; give both the same")
        if new is not None:
            setattr(owner, name, new)
