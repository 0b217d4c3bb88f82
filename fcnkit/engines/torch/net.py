"""A Caffe net of one state as a PyTorch module, with the same parameters, tops and gradients."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fcnkit.engines.engine import instead
from fcnkit.engines.torch.layers.site import Run, Site, check_fields, refusal
from fcnkit.engines.torch.layers.table import LAYERS, is_source
from fcnkit.engines.torch.parameters import Use, blobs, forced, load, parameters
from fcnkit.nets.graph import Graph, Layer, Top
from fcnkit.nets.layers.table import of
from fcnkit.nets.shapes import Shapes
from fcnkit.nets.shared import overwritten
from fcnkit.weights.store import Weights


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


class Net(torch.nn.Module):
    """The net that Caffe would build of a graph,
    for inputs with the numbers of axes that `sizes` knows.

    Parameters are those of `weights` by layer name, and else by the net's
    fillers from `seed`.  `learned` has each with its place and its lr_mult,
    and `losses` the loss_weight of every top that has one.  Those with lr_mult
    0 have no gradient, unless the net says force_backward.  The layers that
    are `given` are not filled: what they hold comes later.  What the phase
    changes (Dropout, BatchNorm) goes by the graph's state, not by `train()`
    and `eval()`.

    Values are kept where Caffe overwrites them.  So gradients are right also
    where Caffe's are not: before a layer in place whose backward pass reads
    what a later one in place has changed, such as ReLU, then BatchNorm.

    Raises EngineError for a layer that the engine does not run, with its
    line; NetError and WeightsError where Caffe would refuse.
    """

    def __init__(
        self,
        sizes: Shapes,
        weights: Weights | None = None,
        *,
        seed: int = 1,
        given: Collection[str] = (),
    ):
        super().__init__()
        self.graph = sizes.graph
        for layer in self.graph.layers:
            _check(layer, sizes)
        for each in overwritten(self.graph):  # tensors are no memory that layers share
            raise each.writer.error(each.fact)
        self.learned, self._uses = parameters(sizes, seed, {*given, *(weights or ())})
        self.layers = tuple(_built_layers(sizes, self._uses))
        self.losses = {
            top: weight for built in self.layers for top, weight in _loss_weights(built) if weight
        }
        self._outputs = self.graph.outputs
        self._shown = tuple(dict.fromkeys((*self._outputs, *self.losses)))
        self._given = tuple(
            top for layer in self.graph.layers if is_source(layer) for top in layer.tops
        )
        self._schedules: dict[tuple[Top, ...], tuple] = {}
        self.blobs = torch.nn.ParameterList(each.value for each in self.learned)
        if weights is not None:
            self.load(weights)

    def forward(
        self, inputs: Mapping[str, Tensor], outputs: Sequence[str] | None = None
    ) -> dict[str, Tensor]:
        """The tensor of each output blob; the net's own outputs when not given.

        `inputs` has every blob that an Input or a data layer makes, by name.
        """
        graph = self.graph
        wanted = graph.outputs if outputs is None else tuple(graph.top(blob) for blob in outputs)
        found = self.tops(inputs, wanted)
        return {top.blob: found[top] for top in wanted}

    def loss(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum of all tops with a loss_weight,
        times that, and every output of the net by name.
        """
        found = self.tops(inputs, self._shown)
        none = torch.zeros((), device=self.device)
        total = sum((found[top].sum() * weight for top, weight in self.losses.items()), none)
        return total, {top.blob: found[top].detach() for top in self._outputs}

    def settle(self) -> None:
        """What is found out once, of some layers from their parameters' values, is known:
        to be compiled.
        """
        self._schedule(self._shown)
        for built in self.layers:
            if of(built.layer).spreads:
                built.run((), [self._blob(use) for use in built.uses])

    def tops(self, inputs: Mapping[str, Tensor], wanted: Collection[Top]) -> dict[Top, Tensor]:
        """The tensors of the wanted tops; others are let go when the last layer has read them."""
        wanted = tuple(dict.fromkeys(wanted))
        values = {top: inputs[top.blob] for top in self._given}
        kept = not torch.is_inference_mode_enabled()
        for number, dead in self._schedule(wanted):
            built = self.layers[number]
            if built.over and not kept and built.layer.bottoms[0] in dead:
                built = built._replace(run=built.over)
            self._run_layer(built, values)
            for top in dead:
                del values[top]
        return values

    def _run_layer(self, built: BuiltLayer, values: dict[Top, Tensor]) -> None:
        bottoms = [
            values[top] if through else values[top].detach()
            for top, through in zip(built.layer.bottoms, built.backward, strict=True)
        ]
        found = built.run(bottoms, [self._blob(use) for use in built.uses])
        if not built.layer.bottoms and not built.uses:  # made up, and not where the net is
            found = [value.to(self.device) for value in found]
        values.update(zip(built.tops, found, strict=False))

    def _blob(self, use: Use) -> Tensor:
        value = self.blobs[use.number]
        value = value if use.learns == value.requires_grad else value.detach()
        return value if value.shape == use.shape else value.reshape(use.shape)

    def _schedule(self, wanted: tuple[Top, ...]) -> tuple[tuple[int, tuple[Top, ...]], ...]:
        """The layers to run in turn, each with the tops that no later layer needs."""
        if wanted not in self._schedules:
            self._schedules[wanted] = tuple(_schedule(self.layers, wanted, self._all))
        return self._schedules[wanted]

    @property
    def _all(self) -> bool:
        """Whether every layer is run, for what it does beside making its tops."""
        return self.graph.state.phase == "TRAIN"

    @property
    def given(self) -> tuple[str, ...]:
        """The names of the blobs that have to be given."""
        return tuple(top.blob for top in self._given)

    @property
    def device(self) -> torch.device:
        """Where the parameters are; the CPU where there are none."""
        return self.blobs[0].device if len(self.blobs) else torch.device("cpu")

    def channels_last(self) -> None:
        """The numbers of a place lie together in filters, as PyTorch is fast with on a CPU."""
        with torch.no_grad():
            for value in self.blobs:
                if value.dim() == 4:
                    value.data = value.contiguous(memory_format=torch.channels_last)

    def load(self, weights: Weights) -> None:
        """The parameters of every layer that the weights have,
        by name, are theirs; see `parameters.load`.
        """
        load(self.graph, self._uses, self.learned, weights)

    def saved(self) -> dict[str, list]:
        """The parameters of every layer that has any,
        as arrays in Caffe's shapes, by layer name.
        """
        return dict(blobs(self.graph, self._uses, self.learned))


def _check(layer: Layer, sizes: Shapes) -> None:
    """The engine runs this layer, and nothing that the text says of it is passed over."""
    if is_source(layer):
        return
    if layer.type not in LAYERS:
        remedy = instead(layer.type, but="torch")
        raise refusal(layer, f"it does not run the type {layer.type}; {remedy}")
    check_fields(layer)
    if sizes.bottoms(layer) is None:
        bottom = next(top for top in layer.bottoms if sizes.tops[top] is None)
        raise refusal(
            layer, f'its bottom "{bottom.blob}" is of unknown size; {sizes.reason(bottom)}'
        )


def _built_layers(sizes: Shapes, uses: Sequence[tuple[Use, ...]]) -> Iterator[BuiltLayer]:
    everywhere = forced(sizes.graph)
    for layer in sizes.graph.layers:
        if is_source(layer):
            continue
        site = Site(
            layer, tuple(sizes.bottoms(layer) or ()), phase_of(layer, sizes.graph) == "TRAIN"
        )
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


def phase_of(layer: Layer, graph: Graph) -> str:
    """The phase that a layer says of itself, or else that of its net."""
    says = layer.view.message_name == "LayerParameter" and layer.view.has("phase")
    return layer.view.get("phase") if says else graph.state.phase


def _backward(layer: Layer, everywhere: bool) -> tuple[bool, ...]:
    """Whether a gradient goes to each bottom: as propagate_down says, but where all have one."""
    v2 = layer.view.message_name == "LayerParameter"
    given = layer.view.list("propagate_down") if v2 else []
    if len(given) not in (0, len(layer.bottoms)):
        fact = f"{len(given)} propagate_down for {len(layer.bottoms)} bottoms"
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
        fact = f"{len(weights)} loss_weight for {len(built.tops)} tops"
        raise layer.error(f"{fact}; give one each: loss_weight: 1 loss_weight: 0")
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
