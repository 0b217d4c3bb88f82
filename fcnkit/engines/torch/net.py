"""A Caffe net of one state as a PyTorch module, with the same parameters, tops and gradients."""

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from fcnkit.engines.torch.forward import Forward, check, check_graph, given_tops
from fcnkit.engines.torch.parameters import blobs, load, parameters
from fcnkit.nets.graph import Layer, Top
from fcnkit.nets.shapes import Shapes
from fcnkit.weights.store import Weights


class Net(torch.nn.Module):
    """The net that Caffe would build of a graph,
    for inputs with the numbers of axes that `sizes` knows.

    Parameters are those of `weights` by layer name, and else by the net's
    fillers from `seed`.  `learned` has each with its place and its lr_mult,
    and `losses` the loss_weight of every top that has one.  Those with lr_mult
    0 have no gradient, unless the net says force_backward.  The layers that
    are `given` are not filled: what they hold comes later.  `kept` are the
    layers that are run, all when not given.  What the phase
    changes (Dropout, BatchNorm) goes by the graph's state, not by `train()`
    and `eval()`.

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
        kept: Collection[Layer] | None = None,
    ):
        super().__init__()
        self.graph = sizes.graph
        kept = self.graph.layers if kept is None else kept
        for layer in kept:
            check(layer, sizes)
        check_graph(self.graph)
        self._kept = [layer.name for layer in kept]
        self.learned, self._uses = parameters(sizes, seed, {*given, *(weights or ())}, kept)
        self._forward = Forward(sizes, self._uses, kept, self.graph.state.phase)
        self.layers, self.losses = self._forward.layers, self._forward.losses
        # Whether layers may write over what no later one reads: no gradients are asked for.
        self.over = False
        self._outputs = self.graph.outputs
        self._shown = tuple(dict.fromkeys((*self._outputs, *self.losses)))
        self._given = given_tops(self.graph)
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
        self._forward.schedule(self._shown, everything=self._all)
        self._forward.settle([*self.blobs])

    def tops(self, inputs: Mapping[str, Tensor], wanted: Collection[Top]) -> dict[Top, Tensor]:
        """The tensors of the wanted tops; others are let go when the last layer has read them."""
        blobs = [*self.blobs]
        how = {"everything": self._all, "over": self.over}
        return self._forward.tops(inputs, blobs, wanted, self.device, **how)

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
        load(self.graph, self._uses, self.learned, weights, self._kept)

    def saved(self) -> dict[str, list]:
        """The parameters of every layer that has any,
        as arrays in Caffe's shapes, by layer name.
        """
        return dict(blobs(self.graph, self._uses, [each.value for each in self.learned]))
