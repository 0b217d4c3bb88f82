"""The losses and Accuracy: values as Caffe has them, gradients as Caffe writes them by hand.

Where Caffe caps a probability in a loss and not in its gradient, _at_least does.
"""

from collections.abc import Sequence
from math import log, prod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from fcnkit.engines.torch.layers.site import Run, Site, Tensors
from fcnkit.formats import binaryproto
from fcnkit.formats.schema import View
from fcnkit.plural import number_of

FLT_MIN = torch.finfo(torch.float32).tiny
"""The least probability whose logarithm SoftmaxWithLoss takes."""
LOG_THRESHOLD = 1e-20
"""The least probability whose logarithm InfogainLoss and MultinomialLogisticLoss take."""


def _normalization(param: View, default: str) -> str:
    """By which of FULL, VALID, BATCH_SIZE and NONE a loss is divided."""
    if not param.has("normalization") and param.has("normalize"):
        return "VALID" if param.get("normalize") else "BATCH_SIZE"
    return param.get("normalization") if param.has("normalization") else default


def _divisor(normalization: str, counted: Tensor, outer: int) -> Tensor | int:
    """What the loss is divided by, at least 1; `counted` says which places count."""
    if normalization == "VALID":
        return counted.sum().clamp(min=1)
    return max({"FULL": counted.numel(), "BATCH_SIZE": outer, "NONE": 1}[normalization], 1)


class _Labels:
    """Class numbers, and where they count: everywhere but on the label to ignore."""

    def __init__(self, site: Site, param: View):
        self.site = site
        self.ignored = param.get("ignore_label") if param.has("ignore_label") else None

    def of(self, labels: Tensor, shape: Sequence[int], classes: int) -> tuple[Tensor, Tensor]:
        """The labels as whole numbers of this shape,
        0 where they do not count, and where they do.
        """
        labels = labels.detach().reshape(shape).long()
        counted = (
            labels != self.ignored if self.ignored is not None else torch.ones_like(labels).bool()
        )
        if not labels.is_cuda and not torch.compiler.is_compiling():
            self._check(labels[counted], classes)
        return labels * counted, counted

    def _check(self, labels: Tensor, classes: int) -> None:
        wrong = labels[(labels < 0) | (labels >= classes)]
        if len(wrong):
            fact = f"a label is {int(wrong[0])} and there are {number_of(classes, 'class')}"
            raise self.site.error(f"{fact}; map it to a class, or set it as ignore_label")


def _rows(x: Tensor, axis: int) -> Tensor:
    """outer x classes x inner."""
    return x.reshape(prod(x.shape[:axis]), x.shape[axis], prod(x.shape[axis + 1 :]))


class _AtLeast(torch.autograd.Function):
    """max(x, least), with the gradient of x itself, as Caffe writes these by hand.

    No sum of x and a difference to it: for large x such a sum loses the smaller value.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, least: float) -> Tensor:
        """The larger of the two."""
        return x.clamp(min=least)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """The gradient of x."""
        return gradients[0], None


def _at_least(values: Tensor, least: float) -> Tensor:
    """The values, not below the least; their gradients as they were."""
    found: Tensor = _AtLeast.apply(values, least)
    return found


def softmax_loss(site: Site) -> Run:
    """-log of the label's probability, at most 87.34, summed and divided; and the probabilities."""
    axis, param = site.axis("softmax_param"), site.param("loss_param")
    normalization, wanted = _normalization(param, "VALID"), _Labels(site, param)
    if len(site.shapes) != 2:
        raise site.error(
            "it has a third bottom, weights of the places, which Caffe does not have; remove it"
        )

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        rows = _rows(bottoms[0], axis)
        labels, counted = wanted.of(bottoms[1], (rows.shape[0], rows.shape[2]), rows.shape[1])
        logarithms = F.log_softmax(rows, 1)
        chosen = _at_least(logarithms.gather(1, labels[:, None])[:, 0], log(FLT_MIN))
        loss = 0 - (chosen * counted).sum() / _divisor(normalization, counted, rows.shape[0])
        if len(site.layer.tops) < 2:
            return [loss]
        return [loss, logarithms.detach().exp().reshape(bottoms[0].shape)]

    return run


def infogain_loss(site: Site) -> Run:
    """-log of every probability, weighted by the label's row of a matrix, summed and divided."""
    axis, param = site.axis("infogain_loss_param"), site.param("loss_param")
    normalization, wanted = _normalization(param, "VALID"), _Labels(site, param)
    matrix = None if len(site.shapes) == 3 else _matrix(site)
    placed: dict[torch.device, Tensor] = {}  # copied once: a copy to a GPU waits for it

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        rows = _rows(bottoms[0], axis)
        classes = rows.shape[1]
        labels, counted = wanted.of(bottoms[1], (rows.shape[0], rows.shape[2]), classes)
        if matrix is not None and rows.device not in placed:
            placed[rows.device] = matrix.to(rows.device)
        gain = bottoms[2].detach() if matrix is None else placed[rows.device].to(rows.dtype)
        if gain.numel() != classes * classes:
            raise site.error(
                f"its matrix has {number_of(gain.numel(), 'value')}; {classes} classes need "
                f"{classes**2}"
            )
        gain = gain.reshape(classes, classes)[labels].movedim(-1, 1)
        logarithms = F.log_softmax(rows, 1)
        chosen = (gain * _at_least(logarithms, log(LOG_THRESHOLD))).sum(1)
        loss = 0 - (chosen * counted).sum() / _divisor(normalization, counted, rows.shape[0])
        if len(site.layer.tops) < 2:
            return [loss]
        return [loss, logarithms.detach().exp().reshape(bottoms[0].shape)]

    return run


def _matrix(site: Site) -> Tensor:
    """The matrix in the file that the layer names."""
    source = site.param("infogain_loss_param").get("source")
    try:
        return torch.from_numpy(binaryproto.read(source)).flatten()
    except OSError as error:
        raise site.error(
            f"its matrix {source!r} cannot be read: {error.strerror}; see its source"
        ) from error
    except ValueError as error:
        raise site.error(
            f"its source {source!r} is not a matrix ({error}); make it again"
        ) from None


def sigmoid_loss(site: Site) -> Run:
    """The cross entropy of sigmoid(x) and the targets, summed and divided."""
    param = site.param("loss_param")
    normalization = _normalization(param, "BATCH_SIZE")
    ignored = param.get("ignore_label") if param.has("ignore_label") else None

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        x, targets = bottoms[0], bottoms[1].detach().reshape(bottoms[0].shape)
        # Caffe compares the target as a whole number.
        counted = torch.ones_like(x).bool() if ignored is None else targets.trunc() != ignored
        losses = F.binary_cross_entropy_with_logits(x, targets, reduction="none")
        loss = losses.where(counted, 0).sum() / _divisor(normalization, counted, x.shape[0])
        return [loss, torch.sigmoid(x).detach()][: max(len(site.layer.tops), 1)]

    return run


def euclidean_loss(site: Site) -> Run:
    """Half the sum of the squared differences, divided by the batch."""

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        one, other = bottoms
        difference = one - other.reshape(one.shape)
        return [(difference * difference).sum() / (2 * one.shape[0])]

    return run


def hinge_loss(site: Site) -> Run:
    """max(0, 1 - x) of the label's score and max(0,
    1 + x) of the others', or its square, by the batch.
    """
    squared = site.param("hinge_loss_param").get("norm") == "L2"
    wanted = _Labels(site, View("LossParameter", None))

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        x = bottoms[0].flatten(1)
        labels, _ = wanted.of(bottoms[1], (len(x),), x.shape[1])
        sign = 1 - 2 * F.one_hot(labels, x.shape[1])
        margin = F.relu(1 + sign * x)
        return [(margin * margin if squared else margin).sum() / len(x)]

    return run


def multinomial_loss(site: Site) -> Run:
    """-log of the label's probability, which is the bottom itself, divided by the batch."""
    wanted = _Labels(site, View("LossParameter", None))

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        x = bottoms[0].flatten(1)
        labels, _ = wanted.of(bottoms[1], (len(x),), x.shape[1])
        chosen = x.gather(1, labels[:, None])
        # Its gradient is 1 over the capped probability.
        capped = _at_least(chosen, LOG_THRESHOLD)
        return [0 - capped.log().sum() / len(x)]

    return run


class _Distance(torch.autograd.Function):
    """The root of a square, with the gradient that Caffe has: of no distance it is 0."""

    @staticmethod
    def forward(ctx: Any, square: Tensor) -> Tensor:
        """The root."""
        root = square.sqrt()
        ctx.save_for_backward(root)
        return root

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Over twice the distance, and a little more."""
        (root,) = ctx.saved_tensors
        return gradients[0] / (2 * (root + 1e-4))


def _distance(square: Tensor) -> Tensor:
    """The root, with Caffe's gradient."""
    found: Tensor = _Distance.apply(square)
    return found


def contrastive_loss(site: Site) -> Run:
    """Half the squared distance of similar pairs,
    and of what others lack to the margin, by the batch.
    """
    param = site.param("contrastive_loss_param")
    margin, legacy = param.get("margin"), param.get("legacy_version")

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        one, other = bottoms[0].flatten(1), bottoms[1].flatten(1)
        similar = bottoms[2].detach().reshape(-1) != 0
        square = ((one - other) ** 2).sum(1)
        distance = square if legacy else _distance(square)
        lacking = F.relu(margin - distance)
        losses = torch.where(similar, square, lacking if legacy else lacking * lacking)
        return [losses.sum() / (2 * len(one))]

    return run


def accuracy(site: Site) -> Run:
    """The share of places whose label is among the top_k scores, and that of each class.

    A score equal to the label's counts as better than it.
    """
    param = site.param("accuracy_param")
    axis, top_k, wanted = site.axis("accuracy_param"), param.get("top_k"), _Labels(site, param)

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        rows = _rows(bottoms[0].detach(), axis)
        classes = rows.shape[1]
        labels, counted = wanted.of(bottoms[1], (rows.shape[0], rows.shape[2]), classes)
        own = rows.gather(1, labels[:, None])
        right = ((rows >= own).sum(1) - 1 < top_k) & counted
        share = right.sum() / counted.sum().clamp(min=1)
        if len(site.layer.tops) < 2:
            return [share.to(rows.dtype)]
        many, hits = (
            torch.bincount(labels[where], minlength=classes) for where in (counted, right)
        )
        return [share.to(rows.dtype), (hits / many.clamp(min=1)).to(rows.dtype)]

    return run
