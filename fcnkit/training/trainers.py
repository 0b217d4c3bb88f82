"""The two programs that train a net by a solver: Caffe's own, and PyTorch's.

Both are called `train --solver=...`, with `--weights` or `--snapshot`, in the
folder of the net; both write the same log and the same files, and both save a
snapshot and stop at SIGINT.
"""

import sys
from dataclasses import dataclass
from typing import ClassVar

from fcnkit.engines import caffe_runtime
from fcnkit.engines.caffe_runtime import FIND_MODULE, NO_MODULE, command
from fcnkit.engines.engine import how_to_install
from fcnkit.errors import EngineError

PRECISIONS = ("fp32", "tf32", "bf16")
"""float32 as in Caffe; TF32, of 10 bits, on GPUs that have it;
bfloat16, of 7, between layers too.
"""
_MEMORY = "the GPU's memory is full: train on smaller images, or on another GPU"

_RAW = "these are NVCaffe's raw weights: make a caffemodel that this Caffe reads: `fcnkit convert`"
_OTHER_HISTORY = (
    "the snapshot is of a net with other parameters: restore its layers, or start "
    "over with --restart"
)


@dataclass(frozen=True)
class Caffe:
    """Real Caffe; `gpus` is "all" or numbers with commas, "" for those of the solver."""

    gpus: str = ""

    name: ClassVar[str] = "Caffe"
    remedies: ClassVar[tuple[tuple[str, str], ...]] = (
        (
            "CPU-only",
            "this Caffe is built without GPU support: train with --cpu, or --engine torch, or "
            "name the folder of a Caffe built with CUDA in FCNKIT_CAFFE_GPU (`make gpu` in "
            "fcnkit's sources builds one)",
        ),
        (
            "rebuild with USE_NCCL",
            "this Caffe trains on one GPU at a time: --gpu 0, or another number",
        ),
        (
            "invalid device ordinal",
            "there is no such GPU: nvidia-smi -L lists those there are, from 0",
        ),
        ("no CUDA-capable device", "this machine has no GPU that CUDA knows: train with --cpu"),
        ("driver version is insufficient", "update the GPU's driver, or train with --cpu"),
        ("out of memory", _MEMORY),
        (NO_MODULE, FIND_MODULE),
        ("count_ == proto.data_size()", _RAW),
        ("Incorrect length of history blobs", _OTHER_HISTORY),
    )

    @staticmethod
    def knows_gpus() -> bool:
        """Whether it may be built for GPUs."""
        return not caffe_runtime.for_cpus_alone()

    def command(self, *, gpu: bool) -> list[str]:
        """The words that start it; with `gpu` the one that is built for GPUs, where there is one.

        Raises EngineError where it is not installed.
        """
        try:
            return command("caffe", gpu=gpu)
        except EngineError as error:
            raise EngineError(f"{error}, or train on PyTorch: --engine torch") from None

    @property
    def options(self) -> list[str]:
        """The words at the end of its command."""
        return [f"--gpu={self.gpus}"] if self.gpus else []


@dataclass(frozen=True)
class Torch:
    """PyTorch, with Caffe's solvers;
    `device` is one of PyTorch's names, "" for a GPU where there is one.

    `precision` is one of PRECISIONS.  With several `processes`, or GPUs, each
    has its share of every step's batches.
    """

    gpus: str = ""
    device: str = ""
    precision: str = "fp32"
    compiled: bool = False
    processes: int = 1

    name: ClassVar[str] = "PyTorch"
    remedies: ClassVar[tuple[tuple[str, str], ...]] = (
        ("out of memory", _MEMORY),
        ("give a state that this type of solver saved", _OTHER_HISTORY),
        ("give a state of this net", _OTHER_HISTORY),
    )

    @staticmethod
    def knows_gpus() -> bool:
        """Whether it may be built for GPUs; the program itself looks for one."""
        return True

    def command(self, *, gpu: bool) -> list[str]:
        """The words that start it; EngineError where PyTorch is not installed."""
        from fcnkit.engines.torch.engine import check_installed

        check_installed()
        return program()

    @property
    def options(self) -> list[str]:
        """The words at the end of its command: the options that differ from the defaults."""
        words = [f"--gpu={self.gpus}"] * bool(self.gpus)
        words += [f"--device={self.device}"] * bool(self.device)
        words += [f"--precision={self.precision}"] * (self.precision != "fp32")
        words += ["--compile"] * self.compiled
        return words + [f"--processes={self.processes}"] * (self.processes > 1)


Trainer = Caffe | Torch

TRAINERS: dict[str, type[Trainer]] = {"caffe": Caffe, "torch": Torch}
"""Every trainer by the name that the command line gives it, the preferred one first."""


def first_installed(*, gpu: bool = False) -> str:
    """The name of the first trainer that is installed; with `gpu` of those that know GPUs.

    Raises EngineError where there is none.
    """
    from fcnkit.engines.torch.engine import available as has_torch

    if caffe_runtime.available() and not (gpu and caffe_runtime.for_cpus_alone()):
        return "caffe"
    if has_torch():
        return "torch"
    if caffe_runtime.available():
        return "caffe"  # which says why it cannot
    raise EngineError(f"nothing that trains is installed; {how_to_install(tuple(TRAINERS))}")


def program() -> list[str]:
    """The words that start the program that trains on PyTorch.

    It is run in a folder of nets, in which Python is not to look for modules;
    Python before 3.11 has no option for that, and the program itself sees to it.
    """
    safe = ["-P"] if sys.version_info >= (3, 11) else []
    return [sys.executable, *safe, "-m", "fcnkit.training.torch.program.main"]
