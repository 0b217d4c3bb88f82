"""Keeps BatchNorm's moving averages equal to those of one process, where several train one net.

That one process would make the first pass of every process in turn, then the
second of each, and so on; a later pass counts more.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import repeat

import torch
from torch import Tensor
from torch.nn import Parameter

from fcnkit.engines.torch.forward import phase_of
from fcnkit.engines.torch.layers.normal import by_batch
from fcnkit.engines.torch.net import Net
from fcnkit.nets.layers.table import keeps_statistics

# Each tensor becomes the sum of its values in all processes.
Add = Callable[[Sequence[Tensor]], None]


class MovingAverages:
    """The averages of a net in one of several `processes`, number `rank` of them."""

    def __init__(self, net: Net, *, processes: int, rank: int, add: Add):
        moving = list(_moving(net)) if processes > 1 else []
        self._blobs: list[Tensor] = [blob for blob, _ in moving]
        self._fade = [fraction**processes for _, fraction in moving]
        self._share = [fraction ** (processes - 1 - rank) for _, fraction in moving]
        self._first, self._add = rank == 0, add
        self._sums: list[Tensor] = []

    def begin(self) -> None:
        """An iteration begins: what was before it counts once, in the first process."""
        if self._blobs:
            self._sums = [blob.detach() * self._first for blob in self._blobs]
            torch._foreach_zero_(self._blobs)

    def passed(self) -> None:
        """A pass was made: what it found goes to what those before it did."""
        if self._blobs:
            torch._foreach_mul_(self._sums, self._fade)
            torch._foreach_mul_(self._blobs, self._share)
            torch._foreach_add_(self._sums, self._blobs)
            torch._foreach_zero_(self._blobs)

    def end(self) -> None:
        """An iteration ends: the averages are those of all processes' passes."""
        if self._blobs:
            self._add(self._sums)
            torch._foreach_copy_(self._blobs, self._sums)


def _moving(net: Net) -> Iterator[tuple[Parameter, float]]:
    """The averages that passes move, and by what they fade."""
    for built in net.layers:
        layer = built.layer
        if keeps_statistics(layer) and by_batch(
            layer, training=phase_of(layer, net.graph.state.phase) == "TRAIN"
        ):
            fraction = layer.param("batch_norm_param").get("moving_average_fraction")
            yield from zip(
                (net.blobs[use.number] for use in built.uses), repeat(fraction), strict=False
            )
