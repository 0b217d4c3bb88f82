"""What pycaffe has for the whole process: CPU or GPU, the seed, how many solvers there are."""

import os
import random
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import numpy
    import torch

    from fcnkit.training.torch.program.log_lines import Log
    from fcnkit.training.torch.reading.draws import Draws

_SEEDS = 1 << 32
# Where it is above 0, Caffe's logger keeps what is only told.
_LEVEL = "GLOG_minloglevel"


class _Process:
    """What is set, of this process."""

    gpu = False
    number = 0
    told = False
    # Where True, what asks for a GPU is computed on the CPU and nothing is said.
    cpu_only = False
    solvers = 1
    rank = 0
    multiprocess = False
    chance: "Draws | None" = None
    fillers: "numpy.random.Generator | None" = None


def set_mode_cpu() -> None:
    """From now on, layers compute on the CPU."""
    _Process.gpu = False


def set_mode_gpu() -> None:
    """From now on, layers compute on the GPU. Without a GPU they compute on the CPU, and the log
    says so.
    """
    _Process.gpu = True


def set_device(number: int) -> None:
    """Chooses the GPU to compute on, by its number."""
    _Process.number = number


def stay_on_cpu() -> None:
    """Layers compute on the CPU, whatever the script says."""
    _Process.cpu_only = True


def device() -> "torch.device":
    """Where layers compute."""
    import torch

    if not _Process.gpu or _Process.cpu_only:
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda", _Process.number)
    if not _Process.told:
        _Process.told = True
        log("set_mode_gpu(): PyTorch finds no GPU here; computing on the CPU")
    return torch.device("cpu")


def set_random_seed(seed: int) -> None:
    """Sets the seed for fillers, Dropout and data layers.

    Raises OverflowError for a seed below 0.
    """
    import numpy as np
    import torch

    from fcnkit.training.torch.reading.draws import Draws

    if not 0 <= seed < _SEEDS:
        raise OverflowError(f"a seed of {seed}; give one from 0 to {_SEEDS - 1}")
    _Process.chance, _Process.fillers = Draws(seed), np.random.default_rng(seed)
    torch.manual_seed(seed)


def chance() -> "Draws":
    """The generator that layers draw their seeds from, one of the process as in Caffe."""
    if _Process.chance is None:
        set_random_seed(random.SystemRandom().getrandbits(31))
    return cast("Draws", _Process.chance)


def filling() -> "numpy.random.Generator":
    """The generator that fillers draw from, apart from the layers' so that these draw as Caffe's.

    Where a net has random fillers before its data layers, Caffe's draw other numbers.
    """
    chance()
    return cast("numpy.random.Generator", _Process.fillers)


def solver_count() -> int:
    """How many solvers train one net together."""
    return _Process.solvers


def set_solver_count(count: int) -> None:
    """Sets how many solvers train one net together."""
    _Process.solvers = count


def solver_rank() -> int:
    """The number of this solver among several."""
    return _Process.rank


def set_solver_rank(rank: int) -> None:
    """Sets the number of this solver among several."""
    _Process.rank = rank


def set_multiprocess(several: bool) -> None:
    """Says whether each solver is a process of its own."""
    _Process.multiprocess = several


def has_nccl() -> bool:
    """Whether solvers in several processes can train together (`caffe.NCCL`)."""
    return find_spec("torch") is not None


def init_log(level: int = 0, to_stderr: bool = False) -> None:
    """Does nothing: the log is always on stderr."""


def log(line: str) -> None:
    """Writes a line to the log, on stderr."""
    speaker().say(line)


def speaker() -> "Log":
    """The log: of several solvers the first alone speaks, and none where GLOG_minloglevel is
    above 0, as Caffe's own logger has it.
    """
    from fcnkit.training.torch.program.log_lines import Log

    quiet = os.environ.get(_LEVEL, "0").strip() not in ("", "0")
    return Log(first=_Process.rank == 0 and not quiet)
