"""Runs a training in the order of `caffe train`: steps, tests, snapshots, and lines of the log."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fcnkit.formats.prototxt import Prototxt
from fcnkit.formats.schema import View
from fcnkit.nets.graph import Graph
from fcnkit.training.torch.program.launch import Place
from fcnkit.training.torch.program.log_lines import Log, outputs
from fcnkit.training.torch.program.processes import ProcessGroup, process_group
from fcnkit.training.torch.reading.ahead import Batch, batches
from fcnkit.training.torch.reading.draws import Draws
from fcnkit.training.torch.solving.solver import Solver
from fcnkit.weights import store


class StartingPoint(NamedTuple):
    """What a training starts from: a solver state,
    or weights files, later over earlier ones, or fillers.
    """

    weights: tuple[str, ...] = ()
    snapshot: str = ""


class Setup(NamedTuple):
    """On which device, with which products, and which of several processes this is."""

    device: str = "cpu"
    precision: str = "fp32"
    compiled: bool = False
    place: Place | None = None


def train(
    text: Prototxt, start: StartingPoint, how: Setup, *, log: Log, stopping: Callable[[], bool]
) -> None:
    """The solver's net is trained to its last iteration,
    or until `stopping`; the snapshots are saved.

    Paths are relative to the working folder.

    Raises EngineError for a layer, a solver or data that the engine does not
    train with; NetError and WeightsError where Caffe would refuse too.
    """
    view, device = View("SolverParameter", text.root), torch.device(how.device)
    with ExitStack() as stack:
        group = stack.enter_context(process_group(how.place, device))
        feed = _Feed(stack, _chance(view, group), group, device)
        log.say(_described(how, device, group))
        solver = Solver(
            text,
            feed.of,
            weights=start.weights or None,
            device=how.device,
            precision=how.precision,
            compiled=how.compiled,
            adding_gradients=group.adding_gradients,
            add=group.add,
            processes=group.ranks,
            rank=group.rank,
        )
        _say_ignored(solver, start, log)
        group.broadcast([*solver.net.blobs])
        if start.snapshot:
            log.say(f"Resuming from {start.snapshot}")
            solver.restore(start.snapshot)
        _run(_Training(view, solver, group, log, stopping))


def _described(how: Setup, device: torch.device, group: ProcessGroup) -> str:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    place = f"{how.device} ({name})" if name else how.device
    many = f", {group.ranks} processes" if group.ranks > 1 else ""
    return (
        f"PyTorch {torch.__version__} on {place}{many}, "
        f"{how.precision}{', compiled' * how.compiled}"
    )


def _chance(view: View, group: ProcessGroup) -> Draws:
    """Caffe's generator, as each of its processes seeds it."""
    seed = view.get("random_seed")
    return Draws(seed + group.rank if seed >= 0 else None)


class _Feed(NamedTuple):
    """The batches of a graph, read until the stack is closed."""

    stack: ExitStack
    chance: Draws
    group: ProcessGroup
    device: torch.device

    def of(self, graph: Graph) -> Iterator[Batch]:
        """Those of one net."""
        rank, ranks = self.group.rank, self.group.ranks
        placed = self._pinned if self.device.type == "cuda" else torch.from_numpy
        found = batches(graph, chance=self.chance, rank=rank, ranks=ranks, placed=placed)
        return self.stack.enter_context(found)

    def _pinned(self, array: np.ndarray) -> Tensor:
        """The array where the GPU fetches it from while others are computed."""
        with torch.cuda.device(self.device):  # of this thread
            return torch.from_numpy(array).pin_memory()


def _say_ignored(solver: Solver, start: StartingPoint, log: Log) -> None:
    """The layers of the weights that the net does not have are named."""
    known = {layer.name for layer in solver.net.graph.layers}
    for path in start.weights:
        log.say(f"Finetuning from {path}")
        for name in store.open(path):
            if name not in known:
                log.say(f"Ignoring source layer {name}")


# ---- the loop


class _Training(NamedTuple):
    """A training under way, in one of the processes that share it."""

    view: View
    solver: Solver
    group: ProcessGroup
    log: Log
    stopping: Callable[[], bool]

    def due(self, field: str) -> bool:
        """Whether the solver asks for it at this iteration, by a field such as snapshot."""
        every = self.view.get(field)
        return every > 0 and self.solver.iteration % every == 0

    def stops(self) -> bool:
        """Whether any process is asked to stop."""
        return self.group.any(self.stopping())


def _run(job: _Training) -> None:
    solver, limit, shown = job.solver, job.view.get("max_iter"), _Shown(job)
    job.log.say(f"Learning Rate Policy: {job.view.get('lr_policy')}")
    stopped = False
    while solver.iteration < limit and not stopped:
        if job.due("test_interval") and (solver.iteration or job.view.get("test_initialization")):
            _test(job)
            if stopped := job.stops():
                break
        shown.step()
        stopped = job.stops()
        if job.due("snapshot"):
            _save(job)
    if job.view.get("snapshot_after_train") and not job.due("snapshot"):
        _save(job)
    if not stopped:
        _end(job, shown)
    job.log.say("Optimization stopped early." if stopped else "Optimization Done.")


def _end(job: _Training, shown: "_Shown") -> None:
    """The loss and the scores after the last step are logged."""
    if job.due("display"):
        shown.last()
    if job.due("test_interval"):
        _test(job)


def _save(job: _Training) -> None:
    """A snapshot is saved, by the first process."""
    if not job.group.first:
        return
    saved = job.solver.snapshot()
    job.log.say(f"Snapshotting to binary proto file {saved.weights}")
    job.log.say(f"Snapshotting solver state to binary proto file {saved.state}")


def _test(job: _Training) -> None:
    """Every test net is tested, by the first process; a stop in between is the end of it."""
    for number in range(len(job.solver.tests) if job.group.first else 0):
        job.log.say(f"Iteration {job.solver.iteration}, Testing net (#{number})")
        found = job.solver.test(number, stopping=job.stopping)
        if found is None:
            job.log.say("Test interrupted.")
            return
        if found.loss is not None:
            job.log.say(f"Test loss: {found.loss:g}")
        for line in outputs("Test", found.outputs):
            job.log.say(line)


class _Shown:
    """What has been shown of the losses, and when."""

    def __init__(self, job: _Training) -> None:
        self.job, self.iteration, self.at = job, job.solver.iteration, time.monotonic()

    def step(self) -> None:
        """One iteration is done, and logged where the solver asks for it."""
        job, iteration, due = self.job, self.job.solver.iteration, self.job.due("display")
        done = job.solver.step()
        if not due:
            return
        job.log.say(f"Iteration {iteration} ({self._pace(iteration)}), loss = {self._loss():g}")
        for line in outputs("Train", job.solver.outputs(done)):
            job.log.say(line)
        job.log.say(f"Iteration {iteration}, lr = {done.rate:g}")

    def last(self) -> None:
        """The loss after the last update is computed and logged."""
        self.job.solver.forward()
        self.job.log.say(f"Iteration {self.job.solver.iteration}, loss = {self._loss():g}")

    def _loss(self) -> float:
        """The mean of the last losses, of all processes."""
        return float(self.job.group.mean(self.job.solver.smoothed()))

    def _pace(self, iteration: int) -> str:
        now = time.monotonic()
        done, seconds = iteration - self.iteration, now - self.at
        self.iteration, self.at = iteration, now
        return f"{done / max(seconds, 1e-9):g} iter/s, {seconds:g}s/{done} iters"
