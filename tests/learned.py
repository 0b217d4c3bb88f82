"""What PyTorch answers where Caffe is asked for gradients."""

from collections.abc import Mapping

import numpy as np

from fcnkit.engines.caffe import Gradients


def learned(
    net, inputs: Mapping[str, np.ndarray], *, force: bool = True, passes: int = 1
) -> Gradients:
    """Passes forward and backward of a Net; `force` gives its inputs gradients too."""
    import torch

    for _ in range(passes):
        given = {
            blob: torch.from_numpy(values).requires_grad_(force) for blob, values in inputs.items()
        }
        total, found = net.loss(given)
        if total.requires_grad:
            total.backward()
    params = {
        step.layer.name: [_gradient(net.blobs[use.number]).reshape(use.shape) for use in step.uses]
        for step in net.layers
        if step.uses
    }
    outputs = {blob: value.numpy() for blob, value in found.items()}
    return Gradients(
        outputs, {blob: _gradient(value) for blob, value in given.items()}, params, net.saved()
    )


def _gradient(value) -> np.ndarray:
    return np.zeros(value.shape, np.float32) if value.grad is None else value.grad.numpy()
