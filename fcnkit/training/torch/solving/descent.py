"""Updates the parameters of a net as Caffe does: clips gradients, adds decay, keeps histories."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fcnkit.engines.torch.parameters import Learned
from fcnkit.errors import WeightsError
from fcnkit.formats.blobproto import shown_shape
from fcnkit.formats.prototxt import Prototxt
from fcnkit.formats.schema import View
from fcnkit.plural import number_of
from fcnkit.training.torch.solving.rates import single
from fcnkit.training.torch.solving.solver_nets import refused
from fcnkit.training.torch.solving.updates import (
    ParameterStep,
    coefficients,
    decayed,
    normalised,
    pieces,
    rule,
)


class _ParameterGroup(NamedTuple):
    """Parameters with one lr_mult and one decay_mult, and a list for each of their histories."""

    lr_mult: float
    decay_mult: float
    values: list[Tensor]
    histories: tuple[list[Tensor], ...]


class Descent:
    """The updates of a solver's parameters, and what it remembers for them.

    A parameter that neither learns nor remembers anything is passed over: its
    history stays 0 and takes no room.  With `shows`, gradients are afterwards what was taken
    off their parameters, as in Caffe.
    """

    def __init__(
        self,
        solver: Prototxt,
        learned: Sequence[Learned],
        *,
        processes: int = 1,
        shows: bool = False,
    ):
        view = View("SolverParameter", solver.root)
        self.learned, self._shows = learned, shows
        self.learning = [each.value for each in learned if each.value.requires_grad]
        self._rule, self._numbers, self._l1 = rule(solver), coefficients(solver), _l1(solver)
        self._decay, self._clip = single(view, "weight_decay"), single(view, "clip_gradients")
        self._passes = view.get("iter_size") * processes
        self._groups = self._grouped([None] * len(learned) * self._rule.histories)

    def forget_gradients(self) -> None:
        """The gradients are 0, and take no room."""
        for each in self.learned:
            each.value.grad = None

    @torch.no_grad()
    def descend(self, rate: float, count: int) -> None:
        """Step number `count`, from 1, is made at this rate
        with the gradients that the parameters have.

        They are sums over all passes, and are overwritten.
        """
        self._clipped()
        for group in self._groups:
            gradients = [_gradient(value) for value in group.values]
            first, second, *_ = (*group.histories, [])
            whole = ParameterStep(
                group.values,
                gradients,
                first,
                second,
                _product(rate, group.lr_mult),
                _product(self._decay, group.decay_mult),
                self._passes,
                count,
            )
            for step in pieces(whole):
                normalised(step)
                decayed(step, l1=self._l1)
                if self._shows:
                    self._shown(step)
                else:
                    self._rule.update(step, self._numbers)

    def _shown(self, step: ParameterStep) -> None:
        """The update is made of values of 0, and then taken off those that there are."""
        taken = [torch.zeros_like(value) for value in step.values]
        self._rule.update(step._replace(values=taken), self._numbers)
        torch._foreach_neg_(taken)
        torch._foreach_copy_(step.gradients, taken)
        torch._foreach_sub_(step.values, taken)

    def _clipped(self) -> None:
        """All gradients together are no longer than clip_gradients, where that is not negative.

        The length is not looked at, which would wait for the GPU.
        """
        gradients = [value.grad for value in self.learning if value.grad is not None]
        if self._clip < 0 or not gradients:
            return
        length = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        torch._foreach_mul_(gradients, torch.where(length > self._clip, self._clip / length, 1.0))

    def history(self) -> tuple[np.ndarray, ...]:
        """What is remembered, in Caffe's order:
        every parameter's first history, then every second one.
        """
        found = {
            id(value): [each.cpu().numpy() for each in histories]
            for group in self._groups
            for value, *histories in zip(group.values, *group.histories, strict=True)
        }
        return tuple(
            found[id(each.value)][number]
            if id(each.value) in found
            else np.zeros(tuple(each.value.shape), np.float32)
            for number in range(self._rule.histories)
            for each in self.learned
        )

    def remember(self, history: Sequence[np.ndarray], place: str) -> None:
        """The history is this one, in Caffe's order.

        Raises WeightsError, which names `place`, where it is not of these parameters and this
        solver.
        """
        shapes = [tuple(each.value.shape) for each in self.learned] * self._rule.histories
        if len(history) != len(shapes):
            fact = (
                f"it has {number_of(len(history), 'history')}, and this solver and net "
                f"{len(shapes)}"
            )
            raise WeightsError(
                f"{place}: {fact}; give a state that this type of solver saved of this net"
            )
        for number, (values, shape) in enumerate(zip(history, shapes, strict=True)):
            if values.size != np.prod(shape):
                fact = (
                    f"history {number} is {shown_shape(values.shape)}, in the net "
                    f"{shown_shape(shape)}"
                )
                raise WeightsError(f"{place}: {fact}; give a state of this net")
        self._groups = self._grouped(history)

    def _grouped(self, history: Sequence[np.ndarray | None]) -> list[_ParameterGroup]:
        """The parameters that a step changes, or their histories, by what is done with them."""
        groups: dict[tuple[float, float], _ParameterGroup] = {}
        many = len(self.learned)
        for number, each in enumerate(self.learned):
            own = history[number::many]
            if not self._awake(each, own):
                continue
            empty: tuple[list[Tensor], ...] = tuple([] for _ in own)
            group = groups.setdefault(
                (each.lr_mult, each.decay_mult),
                _ParameterGroup(each.lr_mult, each.decay_mult, [], empty),
            )
            group.values.append(each.value)
            for those, values in zip(group.histories, own, strict=True):
                those.append(_held(values, each.value))
        return list(groups.values())

    def _awake(self, each: Learned, own: Sequence[np.ndarray | None]) -> bool:
        """Whether a step changes the parameter or its history.

        Where the gradients' squares are remembered they are so at rate 0 too,
        and with them those of the decay.
        """
        moved = self._rule.grows and (
            each.value.requires_grad or self._decay * each.decay_mult != 0
        )
        return (
            each.lr_mult != 0 or moved or any(values is not None and values.any() for values in own)
        )


def _product(one: float, other: float) -> float:
    """The product of two numbers as Caffe has them, in 32 bits."""
    return float(np.float32(one) * np.float32(other))


def _gradient(value: Tensor) -> Tensor:
    """The parameter's gradient, in one piece; zeros where the loss does not depend on it."""
    return torch.zeros_like(value) if value.grad is None else value.grad.contiguous()


def _held(values: np.ndarray | None, like: Tensor) -> Tensor:
    if values is None:
        return torch.zeros_like(like, requires_grad=False)
    found = torch.from_numpy(np.array(values, np.float32).reshape(tuple(like.shape)))
    return found.to(like.device)


def _l1(solver: Prototxt) -> bool:
    view = View("SolverParameter", solver.root)
    kind = view.get("regularization_type")
    if kind not in ("L1", "L2") and view.get("weight_decay"):
        raise refused(solver, f'regularization_type "{kind}"; Caffe knows L1 and L2')
    return kind == "L1"
