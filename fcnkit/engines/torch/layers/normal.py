"""LRN, BatchNorm, MVN, and the layers of learned factors and weights."""

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from fcnkit.engines.torch.layers.site import Run, Site, Tensors, not_run
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.table import of


def lrn(site: Site) -> Run:
    """x / (k + alpha / n sum of n squares)^beta, over n channels or, k being 1, n x n places."""
    param = site.param("lrn_param")
    size, alpha, beta, k = (param.get(name) for name in ("local_size", "alpha", "beta", "k"))
    if param.get("norm_region") == "ACROSS_CHANNELS":
        return lambda bottoms, blobs: [_across(bottoms[0], size, alpha, beta, k)]

    def within(bottoms: Tensors, blobs: Tensors) -> Tensors:
        (x,) = bottoms
        # Every window counts its whole size, with the padding.
        mean = F.avg_pool2d(x * x, size, 1, (size - 1) // 2)
        return [x * (1 + alpha * mean) ** -beta]

    return within


def _across(x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
    traced = torch.compiler.is_compiling() or torch.jit.is_tracing()
    if x.device.type == "cpu" and not traced:
        found: Tensor = _Across.apply(x, size, alpha, beta, k)
        return found
    square = F.pad(x * x, (0, 0, 0, 0, size // 2, size // 2))
    channels = x.shape[1]
    total = square[:, :channels]
    for at in range(1, size):
        total = total + square[:, at : at + channels]
    return x * (k + alpha / size * total) ** -beta


class _Across(torch.autograd.Function):
    """LRN over channels, an image at a time, which stays in a CPU's cache."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, size: int, alpha: float, beta: float, k: float) -> Tensor:
        """The values; what they are divided by is kept where gradients are asked for."""
        scales = []
        found = torch.empty_like(x)
        for each, made in zip(x.split(1), found.split(1), strict=True):
            scale = torch.full_like(each, k)
            _add_window(scale, each * each, size, alpha / size)
            torch.pow(scale, -beta, out=made).mul_(each)
            scales += [scale] if ctx.needs_input_grad[0] else []
        if scales:
            ctx.save_for_backward(x, torch.cat(scales))
        ctx.how = size, alpha, beta
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient by the formula, an image at a time."""
        (x, scales), (size, alpha, beta) = ctx.saved_tensors, ctx.how
        found = torch.empty_like(x)
        those = (each.split(1) for each in (x, scales, gradient, found))
        for each, scale, above, made in zip(*those, strict=True):
            power = scale.pow(-beta)
            torch.mul(above, power, out=made)
            ratio = power.mul_(above).mul_(each).div_(scale)
            around = torch.zeros_like(ratio)
            _add_window(around, ratio, size, -2 * alpha * beta / size, back=True)
            made.addcmul_(each, around)
        return found, None, None, None, None


def _add_window(
    total: Tensor, values: Tensor, size: int, factor: float, *, back: bool = False
) -> None:
    """Each channel has the values of so many channels around it added, times the factor; `back`
    goes to those that it is around.
    """
    channels = total.shape[1]
    for shift in range(-(size // 2), size - size // 2):
        shift = -shift if back else shift
        start, stop = max(0, -shift), min(channels, channels - shift)
        if start < stop:
            total[:, start:stop].add_(values[:, start + shift : stop + shift], alpha=factor)


def batch_norm(site: Site) -> Run:
    """(x - mean) / sqrt(variance + eps) of each channel, of the batch or as stored.

    In training the three blobs take the batch's mean and variance (by m - 1,
    for m values of a channel) and 1 over, after moving_average_fraction times
    what they were; both statistics are stored times the third blob.  NVCaffe's
    has a factor and a summand behind them, and is run where it is tested alone.
    """
    param, parts = site.param("batch_norm_param"), of(site.layer).affine(site.layer)
    eps, fraction = param.get("eps"), param.get("moving_average_fraction")
    learns = parts is not None and parts.factor is not None
    if learns and (site.training or by_batch(site.layer, training=False)):
        fact = "the scale and bias of NVCaffe's BatchNorm are not computed in training"
        return not_run(site.error(f"{fact}; put a Scale layer after it instead"))
    if not by_batch(site.layer, training=site.training):
        return lambda bottoms, blobs: [_by_stored(bottoms[0], blobs, parts.eps if parts else eps)]

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        (x,) = bottoms
        mean, variance = torch.zeros_like(blobs[0]), torch.zeros_like(blobs[1])
        y = torch.batch_norm(x, None, None, mean, variance, True, 1.0, eps, False)
        with torch.no_grad():
            many = x.numel() // x.shape[1] > 1
            for blob, new in zip(blobs, (mean, variance if many else 0, 1), strict=True):
                blob.mul_(fraction).add_(new)
        return [y]

    return run


def by_batch(layer: Layer, *, training: bool) -> bool:
    """Whether a BatchNorm takes the batch's statistics and moves its own:
    in training, unless it is told.
    """
    param = layer.param("batch_norm_param")
    return not param.get("use_global_stats") if param.has("use_global_stats") else training


def _by_stored(x: Tensor, blobs: Tensors, eps: float) -> Tensor:
    mean, variance, total, *own = blobs
    divided = torch.where(total == 0, total, 1 / total)
    known = mean * divided, variance * divided
    factor, summand = own or (None, None)
    return torch.batch_norm(x, factor, summand, *known, False, 0.0, eps, False)


def mvn(site: Site) -> Run:
    """x less its mean and, unless told otherwise,
    over its standard deviation + eps, of each plane.
    """
    param = site.param("mvn_param")
    start = 1 if param.get("across_channels") else 2
    scaled, eps = param.get("normalize_variance"), param.get("eps")
    missing = 4 - len(site.shapes[0])

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        x = bottoms[0].reshape(*bottoms[0].shape, *(1,) * missing)
        flat = x.flatten(start)
        flat = flat - flat.mean(-1, keepdim=True)
        return [(flat / _deviation(flat, eps) if scaled else flat).reshape(x.shape)]

    return run


def _deviation(flat: Tensor, eps: float) -> Tensor:
    """The standard deviation + eps; Caffe's gradient
    of it is that of the root of a variance so large.
    """
    variance = (flat * flat).mean(-1, keepdim=True)
    value = (variance.sqrt() + eps).detach()
    # Where the squares overflow, so does the variance: inf - inf is no number.
    slope = (variance - variance.detach()).nan_to_num(nan=0.0)
    return value + slope / (2 * value)


def scale(site: Site) -> Run:
    """The first bottom times the second or the first blob, and with bias_term a summand."""
    start = _start(site, "scale_param")
    biased = site.param("scale_param").get("bias_term")

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        own = [*bottoms[1:], *blobs]
        y = bottoms[0] * _spread(own[0], start, bottoms[0])
        return [y + _spread(own[1], start, y) if biased else y]

    return run


def bias(site: Site) -> Run:
    """The first bottom and the second or the blob, summed."""
    start = _start(site, "bias_param")
    return lambda bottoms, blobs: [
        bottoms[0] + _spread([*bottoms[1:], *blobs][0], start, bottoms[0])
    ]


def _start(site: Site, message: str) -> int:
    """The first axis of the bottom that the factors have; one number goes with all of them."""
    scalar = (
        site.param(message).get("num_axes") == 0 if len(site.shapes) == 1 else site.shapes[1] == ()
    )
    return 0 if scalar else site.axis(message)


def _spread(factors: Tensor, start: int, like: Tensor) -> Tensor:
    behind = like.dim() - start - factors.dim()
    return factors.reshape(*factors.shape, *(1,) * behind) if factors.dim() else factors


def inner_product(site: Site) -> Run:
    """All values from `axis` on times a matrix, and a summand."""
    axis, turned = (
        site.axis("inner_product_param"),
        site.param("inner_product_param").get("transpose"),
    )

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        weight = blobs[0].t() if turned else blobs[0]
        x = bottoms[0]
        rows = x.reshape(*x.shape[:axis], prod(x.shape[axis:]))
        return [F.linear(rows, weight, blobs[1] if len(blobs) > 1 else None)]

    return run


def add_weights(site: Site) -> Callable[[Tensor, Tensor, Tensor], None]:
    """What adds an InnerProduct's gradient of its matrix, of a bottom and the top's gradient."""
    axis = site.axis("inner_product_param")
    turned = site.param("inner_product_param").get("transpose")

    def add(x: Tensor, gradient: Tensor, held: Tensor) -> None:
        rows = x.reshape(prod(x.shape[:axis]), prod(x.shape[axis:]))
        above = gradient.reshape(len(rows), gradient.shape[-1])
        held.addmm_(*((rows.t(), above) if turned else (above.t(), rows)))

    return add


def embed(site: Site) -> Run:
    """The row of the matrix that each value names, and a summand."""

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        rows = F.embedding(bottoms[0].long(), blobs[0])
        return [rows + blobs[1] if len(blobs) > 1 else rows]

    return run


def parameter(site: Site) -> Run:
    """The blob itself."""
    return lambda bottoms, blobs: [blobs[0]]


def prelu(site: Site) -> Run:
    """x above 0, a learned slope times x elsewhere."""
    return lambda bottoms, blobs: [F.prelu(bottoms[0], blobs[0].reshape(-1))]


def softmax(site: Site) -> Run:
    """e^x over the sum of e^x along the axis."""
    axis = site.axis("softmax_param")
    return lambda bottoms, blobs: [F.softmax(bottoms[0], axis)]
