"""caffe.NCCL: several solvers, each a process of its own, that train one net together.

They meet through torch.distributed: over NVIDIA's NCCL on GPUs, over gloo on CPUs.
"""

import socket
from datetime import timedelta
from typing import Any

from fcnkit.pycaffe import modes

_HERE = "127.0.0.1"
# While one process tests its nets, the others wait.
_PATIENCE = timedelta(days=1)


class NCCL:
    """Connects the solvers of several processes that have the same `uid`; this is one of them.

    After solver.add_callback(nccl), every solver learns from the mean of all gradients. Make it
    in each process after set_solver_count and set_solver_rank; it waits for the other processes.
    `solver` is any of pycaffe's solvers.
    """

    def __init__(self, solver: Any, uid: bytes) -> None:
        from torch import distributed as dist

        self._solver, self._device = solver, modes.device()
        dist.init_process_group(
            "nccl" if self._device.type == "cuda" else "gloo",
            init_method=uid.decode(),
            rank=modes.solver_rank(),
            world_size=modes.solver_count(),
            timeout=_PATIENCE,
        )

    @staticmethod
    def new_uid() -> bytes:
        """Returns a free port of this machine, at which the processes of one training meet."""
        with socket.socket() as found:
            found.bind((_HERE, 0))
            return f"tcp://{_HERE}:{found.getsockname()[1]}".encode()

    def bcast(self) -> None:
        """Gives every solver the parameters of solver 0."""
        from torch import distributed as dist

        for each in self._solver.net._built.learned:
            dist.broadcast(each.blob.values(self._device, write=True), 0)

    def reduce(self) -> None:
        """Replaces the gradients of every solver's parameters by their mean over all solvers."""
        from torch import distributed as dist

        for each in self._solver.net._built.learned:
            gradients = each.blob.gradients(self._device, write=True)
            dist.all_reduce(gradients)
            gradients.div_(modes.solver_count())
