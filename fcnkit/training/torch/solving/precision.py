"""Chooses the bits of products on GPUs, while parameters and sums stay float32."""

from contextlib import AbstractContextManager

import torch

from fcnkit.engines.torch import engine
from fcnkit.errors import EngineError
from fcnkit.training.trainers import PRECISIONS


def checked(precision: str) -> str:
    """The precision; EngineError for what is none of PRECISIONS."""
    if precision not in PRECISIONS:
        raise EngineError(f'PyTorch: precision "{precision}"; give one of {", ".join(PRECISIONS)}')
    return precision


def products(precision: str) -> AbstractContextManager:
    """What holds around passes forward and backward."""
    return engine.products(tf32=precision != "fp32")


def cast(precision: str, device: torch.device) -> AbstractContextManager:
    """What holds around a pass forward; the pass backward has the types of that one."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
