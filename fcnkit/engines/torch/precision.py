"""In how many bits products are made while parameters and sums stay float32."""

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager

import torch

from fcnkit.engines.torch.engine import exact
from fcnkit.errors import EngineError

PRECISIONS = ("fp32", "tf32", "bf16")
"""float32 as in Caffe; TF32, of 10 bits, on GPUs that have it; bfloat16, of 7, between layers too."""


def checked(precision: str) -> str:
    """The precision; EngineError for what is none of PRECISIONS."""
    if precision not in PRECISIONS:
        raise EngineError(f'PyTorch: precision "{precision}"; give one of {", ".join(PRECISIONS)}')
    return precision


def products(precision: str) -> AbstractContextManager:
    """What holds around passes forward and backward."""
    return exact() if precision == "fp32" else _tf32()


@contextlib.contextmanager
def _tf32() -> Iterator[None]:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = True
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def cast(precision: str, device: torch.device) -> AbstractContextManager:
    """What holds around a pass forward; the pass backward has the types of that one."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
