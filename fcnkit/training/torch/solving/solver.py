"""Trains as Caffe's Solver does, with the same steps, tests and snapshots, on PyTorch."""

import os
import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import Parameter

from fcnkit.engines.torch.engine import chosen, memory
from fcnkit.engines.torch.net import Net
from fcnkit.formats.prototxt import Prototxt
from fcnkit.formats.schema import View
from fcnkit.training.torch.solving import snapshot
from fcnkit.training.torch.solving.batches import Batches, Feed
from fcnkit.training.torch.solving.descent import Descent
from fcnkit.training.torch.solving.precision import cast, checked, products
from fcnkit.training.torch.solving.rates import Point, Rates
from fcnkit.training.torch.solving.sharing import has_all, share
from fcnkit.training.torch.solving.snapshot import SnapshotFiles, SolverState
from fcnkit.training.torch.solving.solver_nets import Tested, nets, refused
from fcnkit.training.torch.solving.statistics import Add, MovingAverages
from fcnkit.weights import store
from fcnkit.weights.store import Weights

# A context in which the last backward pass of a step is run: when it ends, the gradients of these
# parameters are the sums of those of all processes.
AddingGradients = Callable[[Sequence[Parameter]], AbstractContextManager]


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


class TestOutputs(NamedTuple):
    """The mean outputs of a test net, and its mean loss where test_compute_loss asks for it."""

    outputs: tuple[Output, ...]
    loss: float | None


class Test(NamedTuple):
    """A net that is tested, its batches, and how many of them are a test."""

    net: Net
    batches: Batches
    length: int


class Solver:
    """A training: `iteration` steps are done,
    `net` is what is trained, `tests` are the nets that are tested.

    `solver` names its nets, relative to `folder`, and `feed` gives the batches
    of each, the trained one's first; they may be of several sizes.  The start
    is `weights`, paths or Weights, later ones over earlier ones, or what the
    solver itself names, over what the nets' fillers draw from random_seed.

    Products are made in `precision` (one of trainers.PRECISIONS); parameters
    and histories are float32 always.  So is in tests what lies between layers:
    among bfloat16 scores many are equal, which Accuracy takes for wrong.

    With several `processes`, `adding_gradients` adds their gradients and `add` any
    tensors, and a step is that of one process with so many times iter_size;
    `rank` is the number of this one.

    Raises EngineError, PrototxtError, NetError or WeightsError for what Caffe
    refuses, or the engine does not run.
    """

    def __init__(
        self,
        solver: Prototxt,
        feed: Feed,
        *,
        folder: str | os.PathLike[str] = ".",
        weights: Iterable[Any] | None = None,
        device: str | None = None,
        precision: str = "fp32",
        compiled: bool = False,
        adding_gradients: AddingGradients | None = None,
        add: Add | None = None,
        processes: int = 1,
        rank: int = 0,
    ) -> None:
        self.solver, self.folder = solver, Path(folder)
        self.view = View("SolverParameter", solver.root)
        check(solver, self.view)
        if self.view.get("snapshot") > 0 and rank == 0:
            snapshot.check(folder, snapshot.prefix(solver, folder))
        self.precision, self._rates, named = checked(precision), Rates(solver), nets(solver, folder)
        self._batches = Batches(named.train, feed)
        start = list(_opened(self.view, self.folder, weights))
        self._seed = _seed(self.view, rank)
        self.net = _net(self._batches, start, self._seed).to(chosen(device))
        self._loss = _compiled(self.net) if compiled else self.net.loss
        self.tests = tuple(self._test(each, feed, start) for each in named.tests)
        self._descent = Descent(solver, self.net.learned, processes=processes)
        self._adding_gradients = adding_gradients or (lambda parameters: nullcontext())
        shared = processes if add else 1
        self._statistics = MovingAverages(self.net, processes=shared, rank=rank, add=add or _alone)
        self._at = Point(0, 0)
        self._losses: deque[Tensor] = deque(maxlen=self.view.get("average_loss"))

    @property
    def iteration(self) -> int:
        """How many steps are done."""
        return self._at.iteration

    @property
    def rate(self) -> float:
        """The rate of the next step."""
        return self._rates.rate(self._next)

    @property
    def _next(self) -> Point:
        return self._at._replace(step=self._rates.step(self._at))

    def step(self) -> Done:
        """One iteration is done: iter_size passes, and the update."""
        rate, passes = self.rate, self.view.get("iter_size")
        self._descent.forget_gradients()
        losses = []
        with products(self.precision), memory(self.net.graph):
            self._statistics.begin()
            for number in range(passes):
                loss, outputs = self._forward()
                self._statistics.passed()
                losses.append(loss.detach())
                self._backward(loss, last=number == passes - 1)
            self._statistics.end()
            self._descent.descend(rate, self.iteration + 1)
        self._at = Point(self.iteration + 1, self._next.step)
        return Done(self._heard(losses), rate, outputs)

    def forward(self) -> Tensor:
        """The loss of the next batch, which is not learned from:
        Caffe shows it after the last step.
        """
        with torch.no_grad(), products(self.precision), memory(self.net.graph):
            loss, _ = self._forward()
        return self._heard([loss])

    def smoothed(self) -> Tensor:
        """The mean loss of the last average_loss iterations that this solver has run."""
        return torch.stack([*self._losses]).mean()

    def outputs(self, done: Done) -> tuple[Output, ...]:
        """The outputs of a step's last pass, in Caffe's order."""
        return _outputs(self.net, done.outputs)

    def test(
        self, number: int = 0, *, stopping: Callable[[], bool] = lambda: False
    ) -> TestOutputs | None:
        """What test net `number` gives on its next test_iter batches,
        with the parameters as they are.

        None where `stopping` became true before it had them all.
        """
        test = self.tests[number]
        share(self.net, test.net)
        with torch.no_grad(), products(self.precision), memory(test.net.graph):
            numbers = takewhile(lambda number: not stopping(), range(test.length))
            loss, found = _summed(test.net, (self._tried(test) for _ in numbers))
        if stopping():
            return None
        means = {name: value / test.length for name, value in found.items()}
        wanted = self.view.get("test_compute_loss")
        return TestOutputs(_outputs(test.net, means), float(loss) / test.length if wanted else None)

    def snapshot(self, prefix: str | None = None) -> SnapshotFiles:
        """The files PREFIX_iter_N that Caffe would save now are there; their paths.

        `prefix` is relative to the folder; the solver's snapshot_prefix when not
        given.  Raises OutputError where a file cannot be written.
        """
        state = SolverState(self.iteration, "", self._at.step, self._descent.history())
        prefix = snapshot.prefix(self.solver, self.folder) if prefix is None else prefix
        types = {layer.name: layer.type for layer in self.net.graph.layers}
        form = self.view.get("snapshot_format")
        # Caffe names every layer; in HDF5 not every name can be one.
        others = {} if form == "HDF5" else dict.fromkeys(types, ())
        return snapshot.save(
            self.folder, prefix, form, {**others, **self.net.saved()}, types, state
        )

    def restore(self, path: str | os.PathLike[str]) -> None:
        """Parameters, iteration and history are those
        of a solver state and the weights that it names.

        Both may be Caffe's.  The batches go on as they are.  Raises
        WeightsError where a file cannot be read or is not of this solver.
        """
        state = snapshot.read_state(path)
        self._descent.remember(state.history, os.fspath(path))
        if state.learned_net:
            self.net.load(store.open(snapshot.weights_of(path, state, self.folder)))
        self._at = Point(state.iteration, state.step)
        self._losses.clear()

    def _forward(self) -> tuple[Tensor, dict[str, Tensor]]:
        batch = self._batches.next(self.net.device)
        with cast(self.precision, self.net.device):
            return self._loss(batch)

    def _backward(self, loss: Tensor, *, last: bool) -> None:
        """The gradients are added to those of the passes before;
        after the last, those of all processes.
        """
        learning = self._descent.learning
        with self._adding_gradients(learning) if last else nullcontext():
            if loss.requires_grad:
                loss.backward()

    def _heard(self, losses: Sequence[Tensor]) -> Tensor:
        """The mean loss of an iteration, kept for `smoothed`."""
        loss = losses[0] if len(losses) == 1 else torch.stack([*losses]).mean()
        self._losses.append(loss.float())
        return self._losses[-1]

    def _test(self, tested: Tested, feed: Feed, start: Sequence[Weights]) -> Test:
        """A net that is tested, with the parameters of the trained one's layers."""
        batches = Batches(tested.graph, feed)
        given = [layer.name for layer in self.net.graph.layers]
        net = Net(batches.sizes, given=given, seed=self._seed)
        for weights in () if has_all(self.net, net) else start:
            net.load(weights)
        share(self.net, net)
        return Test(net.to(self.net.device), batches, tested.batches)

    def _tried(self, test: Test) -> tuple[Tensor, dict[str, Tensor]]:
        return test.net.loss(test.batches.next(self.net.device))


def _compiled(net: Net) -> Callable[[Mapping[str, Tensor]], tuple[Tensor, dict[str, Tensor]]]:
    """The net's loss, compiled for the sizes of its inputs; after the second one, for any."""
    loss = torch.compile(net.loss)

    def run(inputs: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        net.settle()
        return loss(inputs)

    return run


def _alone(values: Sequence[Tensor]) -> None:
    """The sum of one process's values is what they are."""


def check(solver: Prototxt, view: View) -> None:
    """Raises EngineError for numbers that Caffe cannot work with, and for what is not done here."""
    for name in ("average_loss", "iter_size"):
        if view.get(name) < 1:
            raise refused(solver, f"{name} {view.get(name)} is below 1; give one that is not")
    if view.get("snapshot_diff"):
        raise refused(
            solver, "snapshot_diff: gradients are not saved by PyTorch's solver; remove it"
        )


def _opened(view: View, folder: Path, weights: Iterable[Any] | None) -> Iterator[Weights]:
    """The weights to start from: those given,
    or those that the solver names, several with commas between.
    """
    named = (name.strip() for names in view.list("weights") for name in names.split(","))
    for each in (folder / name for name in named) if weights is None else weights:
        yield each if isinstance(each, Weights) else store.open(each)


def _seed(view: View, rank: int) -> int:
    """What this process draws from; PyTorch's own generator, Dropout's, is set to it."""
    given = view.get("random_seed")
    seed = given + rank if given >= 0 else random.SystemRandom().getrandbits(31)
    torch.manual_seed(seed)
    return seed


def _net(batches: Batches, start: Sequence[Weights], seed: int) -> Net:
    given = {name for weights in start for name in weights}
    net = Net(batches.sizes, seed=seed, given=given)
    for weights in start:
        net.load(weights)
    return net


def _summed(
    net: Net, passes: Iterable[tuple[Tensor, dict[str, Tensor]]]
) -> tuple[Tensor, dict[str, Tensor]]:
    """The sum of the losses, and of each output."""
    total = torch.zeros((), device=net.device)
    sums: dict[str, Tensor] = {}
    for loss, found in passes:
        total = total + loss
        for name, value in found.items():
            before = sums.get(name)
            if before is not None and before.shape != value.shape:
                top = net.graph.top(name)
                shapes = f"{tuple(before.shape)} and {tuple(value.shape)}"
                fact = f'its output "{name}" has the shapes {shapes} in one test'
                raise net.graph.producer(top).error(
                    f"{fact}, and has no mean; end it with a Silence layer"
                )
            sums[name] = value.float() if before is None else before + value
    return total, sums


def _outputs(net: Net, found: Mapping[str, Tensor]) -> tuple[Output, ...]:
    """The values, in the order of the names, as Caffe says them."""
    weights = {top.blob: weight for top, weight in net.losses.items()}
    return tuple(
        Output(name, found[name].flatten().tolist(), weights.get(name, 0.0))
        for name in sorted(found)
    )
