"""pycaffe's solvers: steps, tests and snapshots of a net whose blobs a script can reach into."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from torch.nn import Parameter

from fcnkit.engines.torch.parameters import Learned
from fcnkit.formats import prototxt
from fcnkit.formats.prototxt import Prototxt, literal
from fcnkit.formats.schema import View
from fcnkit.nets.graph import Graph, build
from fcnkit.nets.solver_types import kind_of
from fcnkit.pycaffe import modes
from fcnkit.pycaffe.calls import Path, checked, opened
from fcnkit.pycaffe.nccl import NCCL
from fcnkit.pycaffe.net import Net
from fcnkit.pycaffe.vectors import Vec
from fcnkit.training.torch.program.log_lines import outputs
from fcnkit.training.torch.solving import snapshot
from fcnkit.training.torch.solving.descent import Descent
from fcnkit.training.torch.solving.rates import Point, Rates
from fcnkit.training.torch.solving.snapshot import SolverState
from fcnkit.training.torch.solving.solver import check
from fcnkit.training.torch.solving.solver_nets import nets, refused

Callback = Callable[[], object]


def _net(graph: Graph) -> Net:
    """The net of a graph, in Caffe 1.0's own words."""
    return Net._of(build(checked(graph.prototxt, "NetParameter"), graph.state))


class SolverParameter:
    """The fields of a solver that a script reads and sets: `solver.param.max_iter = 100`."""

    layer_wise_reduce = True

    def __init__(self, solver: "SGDSolver") -> None:
        self._solver = solver

    @property
    def max_iter(self) -> int:
        """How many steps `solve` makes."""
        return self._solver._get("max_iter")

    @max_iter.setter
    def max_iter(self, value: int) -> None:
        """`solve` makes so many steps."""
        self._solver._set("max_iter", int(value))

    @property
    def display(self) -> int:
        """Every how many steps the loss is logged."""
        return self._solver._get("display")

    @display.setter
    def display(self, value: int) -> None:
        """The loss is logged every so many steps."""
        self._solver._set("display", int(value))

    @property
    def base_lr(self) -> float:
        """The rate that lr_policy makes the rates of."""
        return self._solver._get("base_lr")

    @base_lr.setter
    def base_lr(self, value: float) -> None:
        """lr_policy makes the rates of this one."""
        self._solver._set("base_lr", float(value))


class SGDSolver:
    """Trains a net as a solver prototxt says. `net` is trained; `test_nets` share its
    parameters. Paths in the file are relative to the working folder.

    Raises RuntimeError for a missing file; EngineError, NetError, PrototxtError or WeightsError
    for what Caffe refuses or the engine does not run.
    """

    _TYPE = "SGD"

    def __init__(self, param_file: Path) -> None:
        self._text = opened(param_file, "SolverParameter")
        self._set("type", self._TYPE)
        check(self._text, View("SolverParameter", self._text.root))
        if self._get("snapshot") > 0:
            snapshot.check("", snapshot.prefix(self._text, ""))
        if self._get("random_seed") >= 0:
            modes.set_random_seed(self._get("random_seed") + modes.solver_rank())
        named = nets(self._text)
        self._net = _net(named.train)
        self._test_nets = [_net(each.graph) for each in named.tests]
        for each in self._weights():
            for net in (self._net, *self._test_nets):
                net.copy_from(each)
        self._device = modes.device()
        self._descent = self._descending()
        self._at = Point(0, 0)
        self._losses: deque[float] = deque(maxlen=self._get("average_loss"))
        self._callbacks: list[tuple[Callback, Callback]] = []
        self._log, self._param = modes.speaker(), SolverParameter(self)
        self._shown = 0, time.monotonic()

    # ---- what there is

    @property
    def _first(self) -> bool:
        """Whether it is the solver that tests, saves and speaks, of several that train together."""
        return modes.solver_rank() == 0

    @property
    def net(self) -> Net:
        """The net that is trained."""
        return self._net

    @property
    def test_nets(self) -> Vec[Net]:
        """The nets that are tested."""
        return Vec(self._test_nets)

    @property
    def iter(self) -> int:
        """The number of steps so far."""
        return self._at.iteration

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return self._rates.rate(self._next)

    @property
    def param(self) -> SolverParameter:
        """The fields of the solver."""
        return self._param

    def _get(self, name: str) -> Any:
        return View("SolverParameter", self._text.root).get(name)

    def _set(self, name: str, value: Any) -> None:
        """The solver says so: of a field that stands there twice the later counts."""
        text: Prototxt = self._text
        self._text = prototxt.parse(f"{text.text}\n{name}: {literal(value)}\n", text.path)
        self._rates = Rates(self._text)

    def _weights(self) -> Iterator[str]:
        """The files that the solver names, several with commas between."""
        view = View("SolverParameter", self._text.root)
        yield from (name.strip() for names in view.list("weights") for name in names.split(","))

    # ---- steps

    def step(self, iters: int) -> None:
        """Runs so many iterations, whatever max_iter says, with the tests and snapshots that are
        due.
        """
        self._losses.clear()
        for _ in range(iters):
            self._net.clear_param_diffs()
            if self._due("test_interval") and (self.iter or self._get("test_initialization")):
                self._test()
            self._iterate()

    def _iterate(self) -> None:
        for on_start, _ in self._callbacks:
            on_start()
        shown, passes = self._due("display"), self._get("iter_size")
        losses = [self._pass() for _ in range(passes)]
        self._losses.append(sum(losses) / passes)
        if shown:
            self._show()
        for _, on_gradients in self._callbacks:
            on_gradients()
        if shown:
            self._log.say(f"Iteration {self.iter}, lr = {self.lr:g}")
        self.apply_update()
        if self._due("snapshot") and self._first:
            self.snapshot()

    def _pass(self) -> float:
        loss = self._net._forward(0, len(self._net.layers) - 1)
        self._net._backward(len(self._net.layers) - 1, 0)
        return loss

    def apply_update(self) -> None:
        """Updates the parameters with their gradients, which are sums over iter_size passes.
        Afterwards the gradients hold what was subtracted from the parameters.
        """
        device, blobs = modes.device(), [each.blob for each in self._net._built.learned]
        values = [blob.values(device, write=True) for blob in blobs]
        held = [each.value for each in self._descent.learned]
        if any(one.data_ptr() != other.data_ptr() for one, other in zip(values, held, strict=True)):
            history, self._device = self._descent.history(), device
            self._descent = self._descending()
            self._descent.remember(history, "the solver")
        for each, blob in zip(self._descent.learned, blobs, strict=True):
            each.value.grad = blob.gradients(device, write=True)
        self._descent.descend(self.lr, self.iter + 1)
        self._at = Point(self.iter + 1, self._next.step)

    @property
    def _next(self) -> Point:
        return self._at._replace(step=self._rates.step(self._at))

    def _descending(self) -> Descent:
        """What changes the parameters, in the memory of the net's blobs on this device."""
        learned = []
        for each in self._net._built.learned:
            values = each.blob.values(self._device, write=True)
            rate, decay = (
                1.0 if number is None else number for number in (each.lr_mult, each.decay_mult)
            )
            learned.append(Learned(each.layer, 0, Parameter(values), rate, decay))
        return Descent(self._text, learned, shows=True)

    def solve(self, resume_file: Path | None = None) -> None:
        """Trains up to max_iter, from a solver state if one is given."""
        self._log.say(f"Learning Rate Policy: {self._get('lr_policy')}")
        if resume_file is not None:
            self.restore(resume_file)
        self.step(self._get("max_iter") - self.iter)
        if self._get("snapshot_after_train") and not self._due("snapshot") and self._first:
            self.snapshot()
        if self._due("display"):
            self._losses.append(self._net._forward(0, len(self._net.layers) - 1))
            self._log.say(f"Iteration {self.iter}, loss = {self._smoothed():g}")
        if self._due("test_interval"):
            self._test()
        self._log.say("Optimization Done.")

    def add_callback(
        self, on_start: Callback | NCCL, on_gradients: Callback = lambda: None
    ) -> None:
        """Both functions are called in each iteration: one before the passes, and one when the
        gradients are computed. With an NCCL, these gradients are then the mean over all its
        solvers.
        """
        if isinstance(on_start, NCCL):
            self._callbacks.append((lambda: None, on_start.reduce))
        else:
            self._callbacks.append((on_start, on_gradients))

    def _due(self, field: str) -> bool:
        """Whether the solver asks for it at this iteration, by a field such as snapshot."""
        every = self._get(field)
        return every > 0 and self.iter % every == 0

    # ---- tests

    def _test(self) -> None:
        """Every test net is run for its test_iter batches, and the means are logged."""
        counts = View("SolverParameter", self._text.root).list("test_iter") if self._first else []
        for number, (net, count) in enumerate(zip(self._test_nets, counts, strict=False)):
            self._log.say(f"Iteration {self.iter}, Testing net (#{number})")
            net.share_with(self._net)
            sums: dict[str, np.ndarray] = {}
            loss = 0.0
            for _ in range(count):
                loss += net._forward(0, len(net.layers) - 1)
                for name in net.outputs:
                    sums[name] = sums.get(name, 0) + net.blobs[name].data
            if self._get("test_compute_loss"):
                self._log.say(f"Test loss: {loss / count:g}")
            means = {name: values / count for name, values in sums.items()}
            self._say_outputs("Test", net, means)

    def share_weights(self, net: Net) -> None:
        """Lets the net use the parameters of the net that is trained, in the same memory."""
        net.share_with(self._net)

    # ---- snapshots

    def snapshot(self) -> None:
        """Writes the files PREFIX_iter_N: the weights, and the state from which training
        resumes.

        Raises OutputError if a file cannot be written.
        """
        form = self._get("snapshot_format")
        name = f"{snapshot.prefix(self._text, '')}_iter_{self.iter}"
        ending = snapshot.ENDINGS[form]
        weights = f"{name}.caffemodel{ending}"
        self._log.say(f"Snapshotting to binary proto file {weights}")
        (self._net.save_hdf5 if form == "HDF5" else self._net.save)(weights)
        state = SolverState(self.iter, weights, self._at.step, self._descent.history())
        self._log.say(f"Snapshotting solver state to binary proto file {name}.solverstate{ending}")
        snapshot.save_state(f"{name}.solverstate{ending}", state, form)

    def restore(self, state_file: Path) -> None:
        """Sets parameters, iteration and history to those of a solver state and its weights.

        Raises WeightsError if a file cannot be read, or belongs to another solver.
        """
        path = os.fsdecode(state_file)
        state = snapshot.read_state(path)
        self._descent.remember(state.history, path)
        if state.learned_net:
            self._net.copy_from(snapshot.weights_of(path, state, os.curdir))
        self._at = Point(state.iteration, state.step)

    # ---- the log

    def _smoothed(self) -> float:
        return sum(self._losses) / len(self._losses)

    def _show(self) -> None:
        (iteration, at), now = self._shown, time.monotonic()
        self._shown = self.iter, now
        done, seconds = self.iter - iteration, now - at
        pace = f"{done / max(seconds, 1e-9):g} iter/s, {seconds:g}s/{done} iters"
        self._log.say(f"Iteration {self.iter} ({pace}), loss = {self._smoothed():g}")
        net = self._net
        self._say_outputs("Train", net, {name: net.blobs[name].data for name in net.outputs})

    def _say_outputs(self, phase: str, net: Net, values: dict[str, np.ndarray]) -> None:
        weights = net.blob_loss_weights
        found = ((name, each.ravel().tolist(), weights[name]) for name, each in values.items())
        for line in outputs(phase, found):
            self._log.say(line)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._text.path}, iteration {self.iter}>"


class NesterovSolver(SGDSolver):
    """Like SGDSolver, with Nesterov's rule."""

    _TYPE = "Nesterov"


class AdaGradSolver(SGDSolver):
    """Like SGDSolver, with AdaGrad's rule."""

    _TYPE = "AdaGrad"


class RMSPropSolver(SGDSolver):
    """Like SGDSolver, with RMSProp's rule."""

    _TYPE = "RMSProp"


class AdaDeltaSolver(SGDSolver):
    """Like SGDSolver, with AdaDelta's rule."""

    _TYPE = "AdaDelta"


class AdamSolver(SGDSolver):
    """Like SGDSolver, with Adam's rule."""

    _TYPE = "Adam"


SOLVERS: dict[str, type[SGDSolver]] = {
    each._TYPE: each
    for each in (
        SGDSolver,
        NesterovSolver,
        AdaGradSolver,
        RMSPropSolver,
        AdaDeltaSolver,
        AdamSolver,
    )
}


def get_solver(param_file: Path) -> SGDSolver:
    """Returns a solver of the type that the file names, or an SGDSolver if it names none.

    Raises RuntimeError for a missing file, and EngineError for an unknown type.
    """
    text = opened(param_file, "SolverParameter")
    name = kind_of(View("SolverParameter", text.root))
    if name not in SOLVERS:
        raise refused(text, f'type "{name}"; Caffe knows {", ".join(SOLVERS)}')
    return SOLVERS[name](param_file)
