"""Runs Deconvolutions that do not mix channels, such as bilinear ones, with one kernel a channel.

Caffe's bilinear filler is right only where every channel has its own kernel.
FCNs have either as many groups as channels, or a dense weight with zeros off
its diagonal.  With a dense weight nearly all products are with zeros.  Groups
are slow on GPUs, where the kernel's two factors, each made a matrix of its
axis, give the same result in two products.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from fcnkit.nets.layers.sliding import Spatial

# By how much of the largest value the product of two factors may miss: some roundings of float32.
_CLOSE = 5e-7
_MATRICES = 64  # of how many sizes they are kept


Factors = tuple[Tensor, Tensor]
# By the axis and the size of an input.
Matrices = dict[tuple[int, int], Tensor]


class Kernels(NamedTuple):
    """A kernel of each channel, C x 1 x k x k, and their factors:
    C x k each, or 1 x k where all are one.

    `matrices` are those that the factors have been made into for some sizes of inputs.
    """

    weight: Tensor
    factors: Factors | None
    matrices: Matrices


class KernelFinder:
    """Finds out whether a weight keeps channels apart, anew only when it has changed."""

    def __init__(self, group: int):
        self._group = group
        # The weight is kept: no other one can come to lie where it lies.
        self._seen: tuple[Tensor, int] | None = None
        self._found: Kernels | None = None

    def of(self, weight: Tensor) -> Kernels | None:
        """The kernels of a weight that is not learned now; None where channels are mixed.

        While a net is compiled they are what was found last: values cannot be looked at.
        While it is traced there are none: what is found once would be no part of each trace.
        """
        if weight.requires_grad and torch.is_grad_enabled() or torch.jit.is_tracing():
            return None
        if torch.compiler.is_compiling():
            return self._found
        if not self._is_as_seen(weight):
            self._seen = weight.detach(), weight._version
            self._found = _kernels(self._seen[0], self._group)
        return self._found

    def _is_as_seen(self, weight: Tensor) -> bool:
        if self._seen is None:
            return False
        seen, version = self._seen
        return weight.data_ptr() == seen.data_ptr() and weight._version == version


@torch.inference_mode(False)
@torch.no_grad()
def _kernels(weight: Tensor, group: int) -> Kernels | None:
    """Whether they are is looked at, which waits for a GPU once."""
    planes = _planes(weight, group)
    return None if planes is None else Kernels(planes, _factors(planes), {})


def _planes(weight: Tensor, group: int) -> Tensor | None:
    if weight.dim() != 4:
        return None
    channels, each = weight.shape[:2]
    if group == channels:
        return weight if each == 1 else None
    if group != 1 or channels != each:
        return None
    diagonal = weight.diagonal().movedim(-1, 0)
    if weight.count_nonzero() != diagonal.count_nonzero():
        return None
    return diagonal[:, None].contiguous()


def _factors(planes: Tensor) -> Factors | None:
    """A column and a row whose product is the plane, of each plane; None where there are none."""
    exact = planes[:, 0].cpu().double()
    if not exact.isfinite().all():
        return None
    if (exact == exact[:1]).all():
        exact = exact[:1]
    left, size, right = torch.linalg.svd(exact, full_matrices=False)
    root = size[:, :1].sqrt()
    column, row = left[:, :, 0] * root, right[:, 0] * root
    missed = (exact - column[:, :, None] * row[:, None]).abs().amax()
    if missed > _CLOSE * exact.abs().amax():
        return None
    return tuple(factor.to(planes.device, torch.float32) for factor in (column, row))


def by_kernels(x: Tensor, kernels: Kernels, bias: Tensor | None, window: Spatial) -> Tensor:
    """N x C x H x W deconvolved: by factors on a GPU where there are any, else by groups."""
    if x.is_cuda and kernels.factors:
        return by_factors(x, kernels, bias, window)
    return F.conv_transpose2d(
        x,
        kernels.weight,
        bias,
        window.stride,
        window.pad,
        groups=len(kernels.weight),
        dilation=window.dilation,
    )


def by_factors(x: Tensor, kernels: Kernels, bias: Tensor | None, window: Spatial) -> Tensor:
    """Columns and rows of N x C x H x W deconvolved, each by a product with a matrix."""
    down, across = (
        _matrix(factor, kernels.matrices, axis, x.shape[2 + axis], window).to(x.dtype)
        for axis, factor in enumerate(kernels.factors or ())
    )
    y = down @ (x @ across.mT)
    return y if bias is None else y + bias[:, None, None]


def _matrix(factor: Tensor, known: Matrices, axis: int, size: int, window: Spatial) -> Tensor:
    """The matrix of an axis of an input, made once for each of the last few sizes."""
    if torch.compiler.is_compiling():
        return _made(factor, size, axis, window)
    key = axis, size
    if key not in known:
        if len(known) >= _MATRICES:
            known.clear()
        known[key] = _made(factor, size, axis, window)
    return known[key]


@torch.inference_mode(False)
@torch.no_grad()
def _made(factor: Tensor, size: int, axis: int, window: Spatial) -> Tensor:
    """C x OUT x SIZE, or without C where the factor is one: a deconvolution along one axis."""
    stride, pad, dilation = window.stride[axis], window.pad[axis], window.dilation[axis]
    taps = factor.shape[1]
    whole = factor.new_zeros(len(factor), stride * (size - 1) + dilation * (taps - 1) + 1, size)
    at = torch.arange(size, device=factor.device)
    rows = stride * at + dilation * torch.arange(taps, device=factor.device)[:, None]
    whole[:, rows, at] = factor[:, :, None].expand(-1, -1, size)
    cut = whole[:, pad : whole.shape[1] - pad]
    return cut[0] if len(cut) == 1 else cut
