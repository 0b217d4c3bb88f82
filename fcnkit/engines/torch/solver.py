"""A training as Caffe's Solver runs it: the same steps, tests and snapshots, on PyTorch."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from torch import Tensor
from torch.nn import Parameter

from fcnkit.engines.torch.net import Net
from fcnkit.engines.torch.snapshot import Snapshot
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.graph import Graph

# The batches of a graph's data layers without end: an array (or tensor) of each of their tops, by name.
Feed = Callable[[Graph], Iterator[Mapping[str, Any]]]
# A context in which the last backward pass of a step is run: when it ends, the gradients of the
# parameters are the sums of those of all processes.
Summed = Callable[[Sequence[Parameter]], AbstractContextManager]


class Done(NamedTuple):
    """One step: the mean loss of its passes, the rate, and the outputs of the last pass by blob.

    The tensors are where the net is; nothing has waited for them.
    """

    loss: Tensor
    rate: float
    outputs: Mapping[str, Tensor]


class Output(NamedTuple):
    """An output of a net, its values in a row, and its loss_weight, 0 where it has none."""

    name: str
    values: list[float]
    weight: float


class TestResult(NamedTuple):
    """The outputs of a test net, each the mean of its batches; the loss where test_compute_loss asks for it."""

    outputs: tuple[Output, ...]
    loss: float | None


class Solver:
    """A training.

    `iteration` is the number of steps done, `net` what is trained,
    `test_nets` are those that are tested.
    """

    net: Net
    test_nets: tuple[Net, ...]
    iteration: int

    def __init__(
        self,
        solver: Prototxt,
        feed: Feed,
        *,
        folder: str | os.PathLike = ".",
        weights: Sequence[Any] | None = None,
        device: str | None = None,
        precision: str = "fp32",
        compiled: bool = False,
        summed: Summed | None = None,
        processes: int = 1,
        rank: int = 0,
    ) -> None: ...

    @property
    def rate(self) -> float:
        """The rate of the next step."""

    def step(self) -> Done:
        """One iteration is done: iter_size passes, and the update."""

    def forward(self) -> Tensor:
        """The loss of the next batch, which is not learned from; Caffe shows it after the last step."""

    def smoothed(self) -> Tensor:
        """The mean loss of the last average_loss iterations."""

    def test(self, number: int = 0) -> TestResult:
        """What test net `number` gives on its next test_iter batches, with the weights as they are."""

    def outputs(self, done: Done) -> tuple[Output, ...]:
        """The outputs of a step's last pass, in Caffe's order."""

    def snapshot(self, prefix: str | None = None) -> Snapshot:
        """Weights and solver state are saved under prefix_iter_N; the paths."""

    def restore(self, path: str | os.PathLike) -> None:
        """Weights, iteration and history are those of a solver state, Caffe's or ours."""
