"""The layers of a net that runs: each reads the blobs before it and writes those behind it.

A backward pass is that of the last forward one, as far as the layer keeps anything of it in
Caffe (a mask, the probabilities), and goes by what blobs and parameters hold by now, as they
share memory with what PyTorch has kept.  Where there was no forward pass, one is made of them.
"""

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from fcnkit.engines.torch.forward import phase_of
from fcnkit.engines.torch.layers.filling import filled, is_known
from fcnkit.engines.torch.layers.site import Site, check_fields, refusal
from fcnkit.engines.torch.layers.table import LAYERS
from fcnkit.errors import FcnkitError
from fcnkit.formats.blobproto import shown_shape
from fcnkit.formats.values import nearest
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.table import CAFFE, TYPES, of, trait
from fcnkit.nets.layers.traits import Trait
from fcnkit.pycaffe.memory import Blob, BlobVec
from fcnkit.shape import Shape

Blobs = Sequence[Blob]


class Running:
    """One layer, with its parameters in `blobs`; what a Split does, or any layer without any."""

    type = ""

    def __init__(self, bottoms: Blobs, tops: Blobs) -> None:
        self.blobs = BlobVec()
        self.bottoms, self.tops = bottoms, tops
        # Which of its parameters get gradients, and whether any gradient is asked for.
        self.learns: list[bool] = []
        self.recorded = False
        # What a forward pass takes, in multiply-adds.
        self.work = 0
        # Of each top, whether no later layer writes over it.
        self.last: list[bool] = []

    def setup(self) -> None:
        """What the layer does once, before its first `reshape`."""

    def reshape(self) -> None:
        """The tops have the sizes that the bottoms' sizes make."""

    def forward(self, device: torch.device) -> None:
        """The tops have the values that the bottoms' values make."""

    def backward(self, down: Sequence[bool], device: torch.device) -> None:
        """The bottoms that gradients go `down` to have theirs, and parameters have more of them."""

    def __repr__(self) -> str:
        return f"<Layer of type {self.type}, {len(self.blobs)} parameters>"


class Split(Running):
    """Several blobs in the memory of one, whose gradient is the sum of theirs."""

    type = "Split"

    def reshape(self) -> None:
        """The tops have the bottom's sizes, and memory."""
        for top in self.tops:
            top.resize(self.bottoms[0].sizes)
            top.share_data(self.bottoms[0])

    def backward(self, down: Sequence[bool], device: torch.device) -> None:
        """The bottom has the sum."""
        if down[0]:
            found = self.bottoms[0].gradients(device, write=True)
            found.copy_(self.tops[0].gradients(device))
            for top in self.tops[1:]:
                found.add_(top.gradients(device))


class Shared(Running):
    """A blob in another shape, its values and gradients in one memory: Flatten and Reshape."""

    def __init__(self, layer: Layer, bottoms: Blobs, tops: Blobs) -> None:
        super().__init__(bottoms, tops)
        self.layer, self.type = layer, layer.type

    def setup(self) -> None:
        """Raises EngineError for a field that Caffe has not."""
        check_fields(self.layer)

    def reshape(self) -> None:
        """The top has its sizes, and the bottom's memory."""
        (top,), (bottom,) = self.tops, self.bottoms
        top.resize(_sizes(self.layer, [bottom.sizes])[0])
        top.share_data(bottom)
        top.share_diff(bottom)


class _Kept:
    """A tensor that PyTorch keeps for a backward pass."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor.detach()


class _Record(NamedTuple):
    """A forward pass as PyTorch keeps it: where it was made, from what, what it gave, and what
    is kept.
    """

    places: list[Any]
    bottoms: list[Tensor]
    parameters: list[Tensor]
    tops: list[Tensor]
    kept: list[_Kept]

    def share(
        self, bottoms: Blobs, tops: Blobs, last: Sequence[bool], device: torch.device
    ) -> None:
        """What it gave lies in the tops' memory, as far as no later layer writes over that."""
        for top, value, final in zip(tops, self.tops, last, strict=False):
            own, held = value.data_ptr(), top.values(device)
            for each in self.kept if final else ():
                if each.tensor.data_ptr() == own and each.tensor.shape == held.shape:
                    each.tensor = held
            value.data = held
        for bottom, value in zip(bottoms, self.bottoms, strict=True):
            if bottom in tops:  # the copy is kept above, where it is asked for
                value.data = bottom.values(device)


class Computed(Running):
    """A layer that the engine on PyTorch computes."""

    def __init__(
        self,
        layer: Layer,
        bottoms: Blobs,
        tops: Blobs,
        phase: str,
        rng: np.random.Generator,
        *,
        given: bool = False,
    ) -> None:
        """With `given` a file gives its parameters, which are not filled."""
        super().__init__(bottoms, tops)
        self.layer, self.type, self._rng, self._given = layer, layer.type, rng, given
        self._training = phase_of(layer, phase) == "TRAIN"
        self._sizes: tuple[list[Shape], list[Shape]] | None = None
        self._record: _Record | None = None
        self._axes: list[int] | None = None

    def setup(self) -> None:
        """The parameters are there, as their fillers make them, or 0 until a file gives them.

        Raises EngineError for a type that the engine does not run and for a field that Caffe
        has not, NetError for sizes that Caffe refuses.
        """
        layer = self.layer
        if layer.type not in LAYERS:
            raise refusal(layer, f"it does not run the type {layer.type}; {_instead(layer.type)}")
        self._kind = LAYERS[layer.type]
        check_fields(layer, self._kind.heeds)
        fills = self._kind.fills(layer)
        for number, shape in enumerate(self._parameters()):
            blob = Blob(*shape)
            fill = fills[number] if number < len(fills) else None
            self.blobs.add(blob)
            if self._given and is_known(layer, fill):
                continue
            try:
                blob.data[...] = filled(layer, fill, tuple(shape), self._rng)
            except FcnkitError as error:  # which knows of a filler alone
                raise layer.error(str(error)) from error

    def reshape(self) -> None:
        """As `Running`'s; NetError where the parameters no longer fit."""
        sizes = [blob.sizes for blob in self.bottoms]
        if self._sizes is None or self._sizes[0] != sizes:
            self._check_parameters()
            self._sizes = sizes, self._built(sizes)
            self.work = _work(self.layer, *self._sizes)
        for top, shape in zip(self.tops, self._sizes[1], strict=True):
            top.resize(shape)

    def _built(self, sizes: list[Shape]) -> list[Shape]:
        """The sizes of the tops; what is run is that for so many axes."""
        found = _sizes(self.layer, sizes, len(self.tops))
        axes = [len(shape) for shape in sizes]
        if axes != self._axes:
            site = Site(self.layer, tuple(sizes), self._training)
            self._axes, self._run = axes, self._kind.build(site)
            self._over = self._kind.over(site) if self._kind.over else None
            self._adds = self._kind.adds(site) if self._kind.adds else None
        return found

    def forward(self, device: torch.device) -> None:
        """As `Running`'s; it is kept where gradients are asked for."""
        if self.recorded:
            self._record = self._recorded(device)
            found = self._record.tops
        else:
            with torch.no_grad():
                values = [blob.values(device) for blob in self.bottoms]
                run = self._over if self._over and self._in_place else self._run
                found = [*run(values, self._held(device))]
        with torch.no_grad():
            for top, value in zip(self.tops, found, strict=False):
                if self._decides:
                    top.resize(tuple(value.shape))
                _write(top.values(device, write=True), value)
        if self._record is not None and self.recorded:
            self._record.share(self.bottoms, self.tops, self.last, device)

    @property
    def _decides(self) -> bool:
        """Whether the values that it reads decide on how many there are, as of boxes found."""
        return trait(self.layer) is Trait.JUDGE and bool(of(self.layer).unknown)

    @property
    def _in_place(self) -> bool:
        return bool(self.tops) and self.tops[0] is self.bottoms[0]

    def _recorded(self, device: torch.device) -> _Record:
        """A forward pass whose gradients can be asked for."""
        places = [blob.place for blob in (*self.bottoms, *self.blobs)] + [device]
        bottoms = [self._leaf(blob, device) for blob in self.bottoms]
        parameters = self._held(device)
        for value, learns in zip(parameters, self.learns, strict=False):
            value.requires_grad_(learns and self._kind.learns)
        kept: list[_Kept] = []

        def keep(tensor: Tensor) -> _Kept:
            kept.append(_Kept(tensor))
            return kept[-1]

        hooks = saved_tensors_hooks(keep, lambda each: each.tensor)
        with torch.enable_grad(), hooks:
            return _Record(places, bottoms, parameters, [*self._run(bottoms, parameters)], kept)

    def _leaf(self, blob: Blob, device: torch.device) -> Tensor:
        """The blob's values; a copy of those that the layer itself writes over."""
        value = blob.values(device).data
        return (value.clone() if blob in self.tops else value).requires_grad_()

    def _held(self, device: torch.device) -> list[Tensor]:
        """The parameters; what is not learned the layer itself may change."""
        changes = not self._kind.learns
        return [blob.values(device, write=changes).data for blob in self.blobs]

    def backward(self, down: Sequence[bool], device: torch.device) -> None:
        """As `Running`'s; 0 where no gradient leads."""
        places = [blob.place for blob in (*self.bottoms, *self.blobs)] + [device]
        record = self._record
        for blob in (*self.bottoms, *self.blobs):
            blob.values(device)  # what a script has written since is where the record is
        if record is None or record.places != places:
            record = self._record = self._recorded(device)
        # The first parameter, whose gradient is added without room for it.
        alone = self._adds is not None and record.parameters[0].requires_grad
        wanted = [
            (blob, value, False)
            for blob, value, through in zip(self.bottoms, record.bottoms, down, strict=True)
            if through
        ] + [
            (blob, value, True)
            for blob, value in list(zip(self.blobs, record.parameters, strict=True))[alone:]
            if value.requires_grad
        ]
        found = self._gradients(record, [value for _, value, _ in wanted], device)
        for (blob, _, adds), gradient in zip(wanted, found, strict=True):
            held = blob.gradients(device, write=True)
            if adds and gradient is not None:
                held.add_(gradient)
            elif not adds:
                held.zero_() if gradient is None else held.copy_(gradient)
        if alone and self._adds:
            held = self.blobs[0].gradients(device, write=True)
            with torch.no_grad():
                self._adds(record.bottoms[0], self.tops[0].gradients(device), held)

    def _gradients(
        self, record: _Record, wanted: list[Tensor], device: torch.device
    ) -> Sequence[Tensor | None]:
        pairs = [
            (value, top.gradients(device))
            for value, top in zip(record.tops, self.tops, strict=False)
            if value.requires_grad
        ]
        if not pairs or not wanted:
            return [None] * len(wanted)
        values, gradients = zip(*pairs, strict=True)
        how = {"retain_graph": True, "allow_unused": True}
        return torch.autograd.grad(values, wanted, gradients, **how)

    def _parameters(self) -> list[Shape]:
        return [*of(self.layer).blobs(self.layer, [blob.sizes for blob in self.bottoms])]

    def _check_parameters(self) -> None:
        for number, (blob, shape) in enumerate(zip(self.blobs, self._parameters(), strict=True)):
            if blob.sizes != tuple(shape):
                fact = f"its parameter {number} is {shown_shape(blob.sizes)}"
                conv = ", or convolutionalize it" * of(self.layer).dense
                remedy = f"give the net inputs of its own size{conv}"
                raise self.layer.error(
                    f"{fact} and would have to be {shown_shape(shape)}; {remedy}"
                )


def _instead(kind: str) -> str:
    """What to do about a type that does not run."""
    near = None if kind in TYPES else nearest(kind, tuple(TYPES))
    if near:
        return f'did you mean "{near}"?'
    whose = "Caffe" if kind in CAFFE else "the fork of Caffe that has it"
    return f"run the script with {whose}"


def _write(memory: Tensor, value: Tensor) -> None:
    """The memory has the value, if it is not there already."""
    value = value.detach()
    if value.data_ptr() != memory.data_ptr() or value.shape != memory.shape:
        memory.copy_(value)


def _work(layer: Layer, bottoms: list[Shape], tops: list[Shape]) -> int:
    """Its multiply-adds, or how many numbers it makes where these are more."""
    return max(of(layer).macs(layer, bottoms, tops), *map(prod, tops), 0)


def _sizes(layer: Layer, bottoms: list[Shape], count: int | None = None) -> list[Shape]:
    """The sizes of the layer's tops; a loss without any has made one, of a number.

    Before it has run a judge that finds boxes has none.
    """
    kind = of(layer)
    found = [*kind.shapes(layer, bottoms)][: len(layer.tops)]
    if any(shape is None for shape in found) and trait(layer) is not Trait.JUDGE:
        raise layer.error(f"the sizes of its tops are not known: {kind.unknown}")
    missing = (count or len(layer.tops)) - len(found)
    return [tuple(shape or ()) for shape in found] + [()] * missing
