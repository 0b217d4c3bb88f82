"""The layers of a net as functions on PyTorch, run in turn; their parameters stand elsewhere."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fcnkit.engines.engine import instead
from fcnkit.engines.torch.layers.site import Run, Site, check_fields, refusal
from fcnkit.engines.torch.layers.table import LAYERS, is_source
from fcnkit.engines.torch.parameters import Use, forced
from fcnkit.nets.graph import Graph, Layer, Top
from fcnkit.nets.layers.strange_fields import check_net
from fcnkit.nets.layers.table import of
from fcnkit.nets.layers.traits import ALWAYS_NEUTRAL
from fcnkit.nets.shapes import Shapes
from fcnkit.nets.shared import overwritten
from fcnkit.plural import number_of

Blobs = Sequence[Tensor]
"""The values of all parameters of a net, by their number in `Use`."""


class BuiltLayer(NamedTuple):
    """One layer as it is run: all its tops,
    its parameters, and the bottoms that gradients go to.

    `over` runs it in its bottom's memory, for when nobody needs that any more.
    """

    layer: Layer
    tops: tuple[Top, ...]
    run: Run
    uses: tuple[Use, ...]
    backward: tuple[bool, ...]
    over: Run | None = None


class Forward:
    """What the layers of a graph compute of inputs with the numbers of axes that `sizes` knows.

    `kept` are the layers that are run; `phase` is that of those which say
    none.  A parameter that one layer learns and another, with lr_mult 0, shares
    has its gradient from the one that learns it.

    Values are kept where Caffe overwrites them.  So gradients are right also
    where Caffe's are not: before a layer in place whose backward pass reads
    what a later one in place has changed, such as ReLU, then BatchNorm.

    Raises NetError for what a layer says of gradients or losses and Caffe would refuse.
    """

    def __init__(
        self, sizes: Shapes, uses: Sequence[tuple[Use, ...]], kept: Collection[Layer], phase: str
    ):
        self.layers = tuple(_built_layers(sizes, uses, kept, phase))
        self.losses = {
            top: weight for built in self.layers for top, weight in _loss_weights(built) if weight
        }
        self._given = given_tops(sizes.graph)
        self._learned = {use.number for built in self.layers for use in built.uses if use.learns}
        self._schedules: dict[tuple[tuple[Top, ...], bool], Schedule] = {}

    def tops(
        self,
        inputs: Mapping[str, Tensor],
        blobs: Blobs,
        wanted: Collection[Top],
        device: torch.device,
        *,
        everything: bool = False,
        over: bool = False,
    ) -> dict[Top, Tensor]:
        """The tensors of the wanted tops; others are let go when the last layer has read them.

        With `everything` each layer is run, for what it does beside making its tops; with
        `over`, which leaves nothing for gradients, some run in their bottom's memory.
        """
        wanted = tuple(dict.fromkeys(wanted))
        values = {top: inputs[top.blob] for top in self._given if top.blob in inputs}
        for number, dead in self.schedule(wanted, everything=everything):
            built = self.layers[number]
            if over and built.over and built.layer.bottoms[0] in dead:
                built = built._replace(run=built.over)
            self._run_layer(built, values, blobs, device)
            for top in dead:
                values.pop(top, None)
        return {top: values[top] for top in wanted}

    def settle(self, blobs: Blobs) -> None:
        """What is found out once, of some layers from their parameters' values, is known:
        to be compiled.
        """
        for built in self.layers:
            if of(built.layer).spreads:
                built.run((), self._of(built, blobs))

    def _run_layer(
        self, built: BuiltLayer, values: dict[Top, Tensor], blobs: Blobs, device: torch.device
    ) -> None:
        bottoms = [
            values[top] if through else values[top].detach()
            for top, through in zip(built.layer.bottoms, built.backward, strict=True)
        ]
        found = built.run(bottoms, self._of(built, blobs))
        if not built.layer.bottoms and not built.uses:  # made up, and not where the net is
            found = [value.to(device) for value in found]
        values.update(zip(built.tops, found, strict=False))

    def _of(self, built: BuiltLayer, blobs: Blobs) -> list[Tensor]:
        return [self._blob(use, blobs[use.number]) for use in built.uses]

    def _blob(self, use: Use, value: Tensor) -> Tensor:
        frozen = not use.learns and use.number in self._learned
        value = value.detach() if frozen else value
        return value if value.shape == use.shape else value.reshape(use.shape)

    def schedule(self, wanted: tuple[Top, ...], *, everything: bool = False) -> "Schedule":
        """The layers to run in turn, each with the tops that no later layer needs."""
        key = wanted, everything
        if key not in self._schedules:
            self._schedules[key] = tuple(_schedule(self.layers, wanted, everything))
        return self._schedules[key]


Schedule = tuple[tuple[int, tuple[Top, ...]], ...]


def given_tops(graph: Graph) -> tuple[Top, ...]:
    """The tops that have to be given."""
    return tuple(top for layer in graph.layers if is_source(layer) for top in layer.tops)


def check_graph(graph: Graph) -> None:
    """The net says nothing beside its layers that is not known; PrototxtError.
    No layer counts on memory that it shares with another, as tensors share none; NetError.
    """
    check_net(graph.prototxt)
    for each in overwritten(graph):
        raise each.writer.error(each.fact)


def check(layer: Layer, sizes: Shapes) -> None:
    """The engine runs this layer, and nothing that the text says of it is passed over."""
    if is_source(layer):
        return
    if layer.type not in LAYERS:
        remedy = instead(layer.type, but="torch")
        raise refusal(layer, f"it does not run the type {layer.type}; {remedy}")
    check_fields(layer, LAYERS[layer.type].heeds | ALWAYS_NEUTRAL)
    if sizes.bottoms(layer) is None:
        bottom = next(top for top in layer.bottoms if sizes.tops[top] is None)
        raise refusal(
            layer, f'its bottom "{bottom.blob}" is of unknown size; {sizes.reason(bottom)}'
        )


def _built_layers(
    sizes: Shapes, uses: Sequence[tuple[Use, ...]], kept: Collection[Layer], phase: str
) -> Iterator[BuiltLayer]:
    everywhere, kept = forced(sizes.graph), set(kept)
    for layer in sizes.graph.layers:
        if is_source(layer) or layer not in kept:
            continue
        training = phase_of(layer, phase) == "TRAIN"
        site = Site(layer, tuple(sizes.bottoms(layer) or ()), training)
        kind = LAYERS[layer.type]
        over = kind.over(site) if kind.over and _has_its_own(sizes.graph, layer) else None
        yield BuiltLayer(
            layer,
            _all_tops(layer),
            kind.build(site),
            uses[layer.index],
            _backward(layer, everywhere),
            over,
        )


def _has_its_own(graph: Graph, layer: Layer) -> bool:
    """Whether the memory of its bottom is that of no other top, as a product's is not."""
    (bottom,) = layer.bottoms[:1] or (None,)
    return bottom is not None and of(graph.producer(bottom)).linear


def phase_of(layer: Layer, phase: str) -> str:
    """The phase that a layer says of itself, or else that of its net."""
    says = layer.view.message_name == "LayerParameter" and layer.view.has("phase")
    return layer.view.get("phase") if says else phase


def _backward(layer: Layer, everywhere: bool) -> tuple[bool, ...]:
    """Whether a gradient goes to each bottom: as propagate_down says, but where all have one."""
    v2 = layer.view.message_name == "LayerParameter"
    given = layer.view.list("propagate_down") if v2 else []
    if len(given) not in (0, len(layer.bottoms)):
        fact = f"{len(given)} propagate_down for {number_of(len(layer.bottoms), 'bottom')}"
        raise layer.error(f"{fact}; give one each, or none")
    return (True,) * len(layer.bottoms) if everywhere or not given else tuple(given)


def _all_tops(layer: Layer) -> tuple[Top, ...]:
    """The layer's tops; a loss that has none makes one all the same."""
    return layer.tops or (Top("(automatic)", layer.index, 0),) * LAYERS[layer.type].loss


def _loss_weights(built: BuiltLayer) -> list[tuple[Top, float]]:
    layer = built.layer
    weights = layer.view.list("loss_weight")
    if not weights and LAYERS[layer.type].loss:
        weights = [1.0]
    if len(weights) not in (0, len(built.tops)):
        fact = f"{len(weights)} loss_weight for {number_of(len(built.tops), 'top')}"
        raise layer.error(f"{fact}; give {len(built.tops)}, one for each")
    return list(zip(built.tops, weights, strict=False))


def _schedule(
    layers: Sequence[BuiltLayer], wanted: Collection[Top], everything: bool
) -> Iterator[tuple[int, tuple[Top, ...]]]:
    needed, run = set(wanted), []
    for number in reversed(range(len(layers))):
        bottoms, tops = layers[number].layer.bottoms, layers[number].tops
        if everything or needed.intersection(tops):
            run.append((number, tuple(top for top in {*bottoms, *tops} if top not in needed)))
            needed.update(bottoms)
    return reversed(run)
