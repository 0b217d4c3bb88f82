"""Turns gradients into updates by Caffe's six solvers, formula by formula.

A rule may change the gradients that it is given; nobody reads them afterwards.
Factors are rounded to 32 bits first, as in Caffe: 1 - 0.999 is another number
there.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fcnkit.formats.prototxt import Prototxt
from fcnkit.formats.schema import View
from fcnkit.nets.solver_types import kind_of, wrong_decay, wrong_momentum
from fcnkit.training.torch.solving.rates import single
from fcnkit.training.torch.solving.solver_nets import refused

Tensors = list[Tensor]


class Coefficients(NamedTuple):
    """What a solver's formulas have in them, rounded to 32 bits."""

    momentum: float
    momentum2: float
    rms_decay: float
    delta: float


class ParameterStep(NamedTuple):
    """One update of parameters that share a rate and a decay: values, gradients and histories.

    The gradients are sums over `passes`.  `second` is empty but for AdaDelta
    and Adam.  `decay` is weight_decay times decay_mult, `number` the number
    of the step, from 1.
    """

    values: Tensors
    gradients: Tensors
    first: Tensors
    second: Tensors
    rate: float
    decay: float
    passes: int
    number: int


class Rule(NamedTuple):
    """A solver's update, how many histories it keeps of each parameter,
    and whether these grow at rate 0.
    """

    update: Callable[[ParameterStep, Coefficients], None]
    histories: int = 1
    grows: bool = False


def sgd(step: ParameterStep, its: Coefficients) -> None:
    """The history is momentum times what it was and rate times the gradient;
    the values go down by it.
    """
    _blend(step.first, its.momentum, step.gradients, step.rate)
    torch._foreach_sub_(step.values, step.first)


def nesterov(step: ParameterStep, its: Coefficients) -> None:
    """As SGD, but the values go down by 1 + momentum times the history,
    less momentum times what it was.
    """
    torch._foreach_add_(step.values, step.first, alpha=its.momentum)
    _blend(step.first, its.momentum, step.gradients, step.rate)
    torch._foreach_sub_(step.values, step.first, alpha=_rounded(1 + its.momentum))


def adagrad(step: ParameterStep, its: Coefficients) -> None:
    """The gradient over the root of the sum of all its squares."""
    torch._foreach_addcmul_(step.first, step.gradients, step.gradients)
    _divided(step, [*torch._foreach_sqrt(step.first)], its.delta)


def rmsprop(step: ParameterStep, its: Coefficients) -> None:
    """The gradient over the root of the fading mean of its squares."""
    _blend_squares(step.first, its.rms_decay, step.gradients)
    _divided(step, [*torch._foreach_sqrt(step.first)], its.delta)


def adadelta(step: ParameterStep, its: Coefficients) -> None:
    """The gradient times the root of the fading mean
    of squared steps over that of squared gradients.
    """
    _blend_squares(step.first, its.momentum, step.gradients)
    ratio = torch._foreach_add(step.second, its.delta)
    torch._foreach_div_(ratio, torch._foreach_add(step.first, its.delta))
    torch._foreach_sqrt_(ratio)
    torch._foreach_mul_(step.gradients, ratio)
    _blend_squares(step.second, its.momentum, step.gradients)
    torch._foreach_sub_(step.values, step.gradients, alpha=step.rate)


def adam(step: ParameterStep, its: Coefficients) -> None:
    """The fading mean of the gradients over the root of that of their squares;
    both allow for the start.
    """
    _blend(step.first, its.momentum, step.gradients, _rounded(1 - its.momentum))
    _blend_squares(step.second, its.momentum2, step.gradients)
    torch._foreach_copy_(step.gradients, step.second)
    torch._foreach_sqrt_(step.gradients)
    torch._foreach_add_(step.gradients, its.delta)
    rate = step.rate * _correction(its, step.number)
    torch._foreach_addcdiv_(step.values, step.first, step.gradients, value=-rate)


def normalised(step: ParameterStep) -> None:
    """The gradients are means over the passes."""
    if step.passes != 1:
        torch._foreach_mul_(step.gradients, 1 / step.passes)


def decayed(step: ParameterStep, *, l1: bool) -> None:
    """The gradients have that of the decay: of half the values' squares, or of their magnitudes."""
    if step.decay:
        pull = torch._foreach_sign(step.values) if l1 else step.values
        torch._foreach_add_(step.gradients, pull, alpha=step.decay)


RULES: dict[str, Rule] = {
    "SGD": Rule(sgd),
    "Nesterov": Rule(nesterov),
    "AdaGrad": Rule(adagrad, grows=True),
    "RMSProp": Rule(rmsprop, grows=True),
    "AdaDelta": Rule(adadelta, histories=2, grows=True),
    "Adam": Rule(adam, histories=2, grows=True),
}


def rule(solver: Prototxt) -> Rule:
    """The rule of a solver's `type`, or of its older `solver_type`.

    Raises EngineError for a type that Caffe does not know, for both fields at
    once, and for numbers that it refuses with the type.
    """
    view = View("SolverParameter", solver.root)
    if view.has("type") and view.has("solver_type"):
        raise refused(
            solver, "it has both type and solver_type; remove solver_type, which is the older"
        )
    name = kind_of(view)
    if name not in RULES:
        raise refused(solver, f'type "{name}"; Caffe knows {", ".join(RULES)}')
    if words := wrong_momentum(view) or wrong_decay(view):
        raise refused(solver, words)
    return RULES[name]


# Values of a parameter that a CPU updates at a time: many are still in its cache for the next
# formula, and what lies between two formulas takes no more room.
_PIECE = 1 << 20


def pieces(step: ParameterStep) -> Iterator[ParameterStep]:
    """The step, on a CPU in pieces."""
    lists = (step.values, step.gradients, step.first, step.second)
    if step.values[0].is_cuda or sum(value.numel() for value in step.values) <= _PIECE:
        yield step
        return
    for each in zip(*filter(None, lists), strict=True):
        flat = [tensor.view(-1).split(_PIECE) for tensor in each]
        for piece in zip(*flat, strict=True):
            values, gradients, first, *second = ([tensor] for tensor in piece)
            yield step._replace(
                values=values, gradients=gradients, first=first, second=(second or [[]])[0]
            )


def coefficients(solver: Prototxt) -> Coefficients:
    """The numbers of a solver's formulas."""
    view = View("SolverParameter", solver.root)
    return Coefficients(*(single(view, name) for name in Coefficients._fields))


def _blend(old: Tensors, share: float, new: Tensors, factor: float) -> None:
    torch._foreach_mul_(old, share)
    torch._foreach_add_(old, new, alpha=factor)


def _blend_squares(old: Tensors, share: float, new: Tensors) -> None:
    torch._foreach_mul_(old, share)
    torch._foreach_addcmul_(old, new, new, value=_rounded(1 - share))


def _divided(step: ParameterStep, roots: Tensors, delta: float) -> None:
    torch._foreach_add_(roots, delta)
    torch._foreach_addcdiv_(step.values, step.gradients, roots, value=-step.rate)


def _correction(its: Coefficients, count: int) -> float:
    one, many = np.float32(1), np.float32(count)
    root = np.sqrt(one - np.float32(its.momentum2) ** many)
    return float(root / (one - np.float32(its.momentum) ** many))


def _rounded(value: float) -> float:
    return float(np.float32(value))
