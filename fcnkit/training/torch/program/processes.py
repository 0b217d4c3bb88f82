"""Joins several processes into one training: one start, the sum of their gradients, one stop.

A step of n processes equals a step of one process with n times its iter_size.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from fcnkit.training.torch.program.launch import Place

# While the first process validates, the others wait.
_PATIENCE = timedelta(days=1)


class ProcessGroup:
    """All processes of a training, of which this is one; a process alone waits for none."""

    # PyTorch's releases type a group of processes differently.
    def __init__(self, place: Place | None = None, words: Any = None) -> None:
        self.rank, self.ranks = (place.rank, place.ranks) if place else (0, 1)
        self._words = words

    @property
    def first(self) -> bool:
        """Whether this process speaks, tests and saves for all."""
        return self.rank == 0

    def broadcast(self, values: Sequence[Tensor]) -> None:
        """The values are those of the first process."""
        for value in values if self.ranks > 1 else ():
            dist.broadcast(value.detach(), 0)

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        if self.ranks == 1:
            return flag
        found = torch.tensor(int(flag))
        dist.all_reduce(found, dist.ReduceOp.MAX, group=self._words)
        return bool(found)

    def mean(self, value: Tensor) -> Tensor:
        """The mean of every process's value."""
        if self.ranks == 1:
            return value
        found = value.detach().clone()
        dist.all_reduce(found)
        return found / self.ranks

    def add(self, values: Sequence[Tensor]) -> None:
        """Each value is the sum of every process's."""
        for value in values if self.ranks > 1 else ():
            dist.all_reduce(value)

    @contextmanager
    def adding_gradients(self, values: Sequence[Tensor]) -> Iterator[None]:
        """Gradients that are completed in the block
        are those of all processes together when it ends.

        Each is on its way as soon as it is known, while others are still computed.
        """
        if self.ranks == 1:
            yield
            return
        works: list[dist.Work] = []

        def send(value: Tensor) -> None:
            if value.grad is not None:
                value.grad = value.grad.contiguous()  # as gloo wants it
                works.append(dist.all_reduce(value.grad, async_op=True))

        handles = [value.register_post_accumulate_grad_hook(send) for value in values]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
        for work in works:
            work.wait()


@contextmanager
def process_group(place: Place | None, device: torch.device) -> Iterator[ProcessGroup]:
    """The processes have found each other, and part when the block ends."""
    if place is None:
        yield ProcessGroup()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    elif device.type == "cpu":
        torch.set_num_threads(max(1, torch.get_num_threads() // place.here))
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    yield ProcessGroup(place, dist.new_group(backend="gloo", timeout=_PATIENCE))
    # Not where one has failed: it would wait for the others, which wait for it.
    dist.destroy_process_group()
