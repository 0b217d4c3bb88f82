"""Deconvolutions that do not mix channels give what
any Deconvolution gives, values and gradients.
"""

import numpy as np
import pytest

from fcnkit.weights import fillers

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'fcnkit[torch]'")

from torch.nn import functional as F  # noqa: E402, N812

from fcnkit.engines.torch.layers import channelwise  # noqa: E402
from fcnkit.engines.torch.layers.channelwise import KernelFinder, by_factors, by_kernels  # noqa: E402
from fcnkit.nets.layers.windows import Spatial  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
CHANNELS = 3


def window(kernel, stride, pad=0, dilation=1):
    return Spatial((kernel,) * 2, (stride,) * 2, (pad,) * 2, (dilation,) * 2, (pad,) * 2)


def bilinear(kernel, channels=CHANNELS):
    shape = (channels, 1, kernel, kernel)
    return torch.from_numpy(fillers.fill("bilinear", shape, rng=np.random.default_rng(0)))


def dense(grouped):
    """The same kernels on the diagonal of a weight without groups."""
    channels = len(grouped)
    whole = torch.zeros(channels, channels, *grouped.shape[2:])
    whole[range(channels), range(channels)] = grouped[:, 0]
    return whole


def both(function, x):
    """Values, and gradients for one that differs everywhere."""
    x = x.clone().requires_grad_()
    y = function(x)
    y.backward(torch.linspace(-1, 1, y.numel()).reshape(y.shape))
    return y.detach(), x.grad


WINDOWS = [(64, 32, 0, 1), (63, 32, 0, 1), (4, 2, 1, 1), (16, 8, 0, 1), (5, 3, 2, 1), (3, 2, 1, 2)]


def errors(found, expected):
    """By how much of the largest value each differs."""
    return [
        float((one - other).abs().max() / other.abs().max())
        for one, other in zip(found, expected, strict=True)
    ]


def plain(weight, bias, its):
    return lambda x: F.conv_transpose2d(x, weight, bias, its.stride, its.pad, dilation=its.dilation)


@pytest.mark.parametrize("numbers", WINDOWS)
@pytest.mark.parametrize("alike", [True, False])
def test_every_way_is_as_near_to_the_exact_values_as_the_plain_one(numbers, alike):
    its, x = window(*numbers), torch.randn(2, CHANNELS, 5, 7, generator=torch.manual_seed(0))
    weight = bilinear(numbers[0])
    if not alike:
        weight = weight * torch.tensor([1.0, -0.5, 0.0]).reshape(-1, 1, 1, 1)
    bias = torch.arange(3.0)
    exact = both(plain(dense(weight).double(), bias.double(), its), x.double())
    usual = errors(both(plain(dense(weight), bias, its), x), exact)
    for given, group in ((weight, CHANNELS), (dense(weight), 1)):
        kernels = KernelFinder(group).of(given)
        assert kernels.weight.shape == weight.shape and len(kernels.factors[0]) == (
            1 if alike else 3
        )
        ways = (
            both(lambda x, kernels=kernels: by_kernels(x, kernels, bias, its), x),
            both(lambda x, kernels=kernels: by_factors(x, kernels, bias, its), x),
        )
        for way in ways:
            for one, other in zip(errors(way, exact), usual, strict=True):
                assert one <= max(1.5 * other, 1e-6)


def test_a_kernel_without_factors_goes_by_groups():
    weight = torch.randn(3, 1, 4, 4, generator=torch.manual_seed(1))
    kernels = KernelFinder(1).of(dense(weight))
    assert kernels.factors is None and torch.equal(kernels.weight, weight)
    weight[0, 0, 0, 0] = float("nan")
    assert KernelFinder(3).of(weight).factors is None


@pytest.mark.parametrize(
    "weight, group",
    [
        (torch.ones(3, 3, 4, 4), 1),
        (torch.ones(4, 1, 4, 4), 2),
        (torch.ones(3, 2, 4, 4), 3),
        (torch.zeros(3, 4, 4, 4), 1),
        (torch.zeros(3, 3, 4), 1),
        (torch.ones(3, 1, 4, 4, requires_grad=True), 3),
    ],
)
def test_what_mixes_channels_or_is_learned(weight, group):
    assert KernelFinder(group).of(weight) is None


def test_it_is_found_out_anew_when_the_weight_changes_and_not_else(monkeypatch):
    looked, real = [], channelwise._kernels
    monkeypatch.setattr(channelwise, "_kernels", lambda *words: looked.append(1) or real(*words))
    weight, its = dense(bilinear(4)), KernelFinder(1)
    assert its.of(weight) is its.of(weight.detach()) and len(looked) == 1
    weight[0, 1, 0, 0] = 1
    assert its.of(weight) is None and len(looked) == 2
    with torch.no_grad():  # a learned one, when it is only run
        learned = torch.nn.Parameter(bilinear(4))
        assert KernelFinder(3).of(learned) is not None


def test_matrices_are_kept_for_some_sizes_and_right_for_all(monkeypatch):
    monkeypatch.setattr(channelwise, "_MATRICES", 3)
    kernels, its = KernelFinder(3).of(bilinear(4)), window(4, 2, 1)
    with torch.inference_mode():
        for side in (5, 6, 5, 7, 8, 5):
            x = torch.randn(1, 3, side, side, generator=torch.manual_seed(side))
            torch.testing.assert_close(
                by_factors(x, kernels, None, its), by_kernels(x, kernels, None, its)
            )
    assert 0 < len(kernels.matrices) <= 3
    x = torch.randn(1, 3, 5, 5, requires_grad=True)
    by_factors(x, kernels, None, its).sum().backward()  # with what was made without gradients


def test_another_weight_in_the_place_of_the_last_is_looked_at():
    its = KernelFinder(1)
    for count in range(4):
        weight = dense(bilinear(4)) * (count + 1)
        assert float(its.of(weight).weight.sum()) == pytest.approx(12 * (count + 1))
        del weight
