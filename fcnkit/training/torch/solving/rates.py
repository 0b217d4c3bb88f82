"""Computes the learning rate of each iteration as SGDSolver::GetLearningRate does, to the bit.

C++ makes a power with a whole exponent, an iteration or a step, in 64 bits, and all else
in 32, each operation rounded.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fcnkit.formats.prototxt import Prototxt
from fcnkit.formats.schema import View
from fcnkit.training.torch.solving.solver_nets import refused


class Point(NamedTuple):
    """An iteration, counted from 0, and how often the rate has stepped."""

    iteration: int
    step: int


class Rates:
    """The rates of a solver; raises EngineError for a policy
    that Caffe does not know or cannot follow.
    """

    def __init__(self, solver: Prototxt):
        view = self._view = View("SolverParameter", solver.root)
        policy = view.get("lr_policy")
        if policy not in POLICIES:
            given = f'lr_policy "{policy}"' if policy else "no lr_policy"
            raise refused(solver, f"{given}; Caffe knows {', '.join(POLICIES)}")
        if policy not in ("fixed", "poly") and view.get("gamma") < 0:
            raise refused(solver, f"gamma {view.get('gamma'):g} is below 0; give one that is not")
        for divisor in ("stepsize",) * (policy == "step") + ("max_iter",) * (policy == "poly"):
            if view.get(divisor) <= 0:
                raise refused(
                    solver, f"{divisor} {view.get(divisor)} is not above 0; give one that is"
                )
        self._policy = POLICIES[policy]

    def step(self, at: Point) -> int:
        """How often the rate has stepped at this iteration, when it had at the one before.

        Caffe counts at most one of multistep's stepvalues an iteration, and never back.
        """
        view = self._view
        if view.get("lr_policy") == "step":
            return at.iteration // view.get("stepsize")
        values = view.list("stepvalue") if view.get("lr_policy") == "multistep" else []
        return at.step + (at.step < len(values) and at.iteration >= values[at.step])

    def rate(self, at: Point) -> float:
        """The rate at this iteration, of which `at.step` is the step."""
        return float(np.float32(single(self._view, "base_lr") * self._policy(self._view, at)))


def single(view: View, name: str) -> float:
    """A number of the solver, rounded to 32 bits as Caffe reads it."""
    return float(_single(view, name))


def _single(view: View, name: str) -> np.float32:
    return np.float32(view.get(name))


def _fixed(view: View, at: Point) -> float:
    return 1.0


def _step(view: View, at: Point) -> float:
    return single(view, "gamma") ** at.step


def _exp(view: View, at: Point) -> float:
    return single(view, "gamma") ** at.iteration


def _inv(view: View, at: Point) -> float:
    base = np.float32(1) + _single(view, "gamma") * np.float32(at.iteration)
    return _power(base, -_single(view, "power"))


def _poly(view: View, at: Point) -> float:
    left = np.float32(1) - np.float32(at.iteration) / np.float32(view.get("max_iter"))
    return _power(left, _single(view, "power"))


def _sigmoid(view: View, at: Point) -> float:
    past = np.float32(at.iteration) - np.float32(view.get("stepsize"))
    with np.errstate(over="ignore"):  # e to the power of much is infinite, and the rate 0
        grown = np.float32(np.exp(np.float64(-_single(view, "gamma") * past)))
    return float(np.float32(1) / (np.float32(1) + grown))


def _power(base: np.float32, exponent: np.float32) -> float:
    """A power in 32 bits; of a base below 0 it is NaN, as in C."""
    with np.errstate(all="ignore"):
        return float(np.float32(np.float64(base) ** np.float64(exponent)))


POLICIES: dict[str, Callable[[View, Point], float]] = {
    "fixed": _fixed,
    "step": _step,
    "exp": _exp,
    "inv": _inv,
    "multistep": _step,
    "poly": _poly,
    "sigmoid": _sigmoid,
}
"""What base_lr is multiplied by, by lr_policy."""
