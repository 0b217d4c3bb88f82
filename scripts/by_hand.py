"""FCNs as one writes them in PyTorch,
layer for layer those that `fcnkit fcn` makes; for scripts/speed.py.

Modules are named as Caffe's layers.  Upsampling is bilinear, one kernel for
each class as fcnkit makes it (`grouped`), or one dense kernel.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CLASSES = 21
VGG = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


class Vgg(nn.Module):
    """FCN-32s of VGG-16, or with `skips` FCN-8s; (n, 3, h, w) to (n, 21, h, w)."""

    def __init__(self, *, skips: bool, grouped: bool) -> None:
        super().__init__()
        channels = 3
        for block, (width, count) in enumerate(VGG, 1):
            for number in range(1, count + 1):
                pad = 100 if channels == 3 else 1
                self.add_module(f"conv{block}_{number}", nn.Conv2d(channels, width, 3, padding=pad))
                channels = width
        _add_head(self, channels, 7)
        self.skips = skips
        if skips:
            self.score_pool4, self.score_pool3 = (
                nn.Conv2d(512, CLASSES, 1),
                nn.Conv2d(256, CLASSES, 1),
            )
            self.upscore2, self.upscore_pool4 = _upsampling(2, grouped), _upsampling(2, grouped)
            self.upscore8 = _upsampling(8, grouped)
        else:
            self.upscore = _upsampling(32, grouped)

    def forward(self, image: Tensor) -> Tensor:
        *_, pool3, pool4, pool5 = self.pooled(image)
        score = _head(self, pool5)
        if not self.skips:
            return _cropped(self.upscore(score), 19, image)
        up = self.upscore2(score)
        up = self.upscore_pool4(up + _cropped(self.score_pool4(pool4), 5, up))
        up = self.upscore8(up + _cropped(self.score_pool3(pool3), 9, up))
        return _cropped(up, 31, image)

    def pooled(self, x: Tensor) -> Iterator[Tensor]:
        """What each block ends with."""
        for block, (_, count) in enumerate(VGG, 1):
            for number in range(1, count + 1):
                x = F.relu_(self.get_submodule(f"conv{block}_{number}")(x))
            x = F.max_pool2d(x, 2, 2, ceil_mode=True)
            yield x


class AlexNet(nn.Module):
    """FCN-AlexNet: stride 32."""

    def __init__(self, *, grouped: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 96, 11, stride=4, padding=100)
        self.conv2 = nn.Conv2d(96, 256, 5, padding=2, groups=2)
        self.conv3 = nn.Conv2d(256, 384, 3, padding=1)
        self.conv4 = nn.Conv2d(384, 384, 3, padding=1, groups=2)
        self.conv5 = nn.Conv2d(384, 256, 3, padding=1, groups=2)
        _add_head(self, 256, 6)
        self.upscore = _upsampling(32, grouped, kernel=63)

    def forward(self, image: Tensor) -> Tensor:
        x = F.local_response_norm(F.relu_(self.conv1(image)), 5, 1e-4, 0.75)
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        x = F.local_response_norm(F.relu_(self.conv2(x)), 5, 1e-4, 0.75)
        x = F.max_pool2d(x, 3, 2, ceil_mode=True)
        x = F.relu_(self.conv4(F.relu_(self.conv3(x))))
        x = F.max_pool2d(F.relu_(self.conv5(x)), 3, 2, ceil_mode=True)
        return _cropped(self.upscore(_head(self, x)), 18, image)


def _add_head(net: nn.Module, channels: int, kernel: int) -> None:
    net.fc6 = nn.Conv2d(channels, 4096, kernel)
    net.fc7 = nn.Conv2d(4096, 4096, 1)
    net.score_fr = nn.Conv2d(4096, CLASSES, 1)


def _head(net: nn.Module, x: Tensor) -> Tensor:
    x = F.dropout(F.relu_(net.fc6(x)), training=net.training)
    x = F.dropout(F.relu_(net.fc7(x)), training=net.training)
    return net.score_fr(x)


def _upsampling(factor: int, grouped: bool, kernel: int | None = None) -> nn.ConvTranspose2d:
    """Bilinear and frozen."""
    size = kernel or 2 * factor
    centre = (size - 1) / 2
    ramp = 1 - (torch.arange(size) - centre).abs() / factor
    groups = CLASSES if grouped else 1
    up = nn.ConvTranspose2d(CLASSES, CLASSES, size, stride=factor, bias=False, groups=groups)
    weight = torch.zeros_like(up.weight)
    weight[range(CLASSES), 0 if grouped else range(CLASSES)] = torch.outer(ramp, ramp)
    up.weight = nn.Parameter(weight, requires_grad=False)
    return up


def _cropped(x: Tensor, offset: int, like: Tensor) -> Tensor:
    height, width = like.shape[2:]
    return x[:, :, offset : offset + height, offset : offset + width]


NETS = {
    "FCN-AlexNet": (lambda grouped: AlexNet(grouped=grouped), "template:alexnet", 32),
    "FCN-32s VGG-16": (lambda grouped: Vgg(skips=False, grouped=grouped), "template:vgg16", 32),
    "FCN-8s VGG-16": (lambda grouped: Vgg(skips=True, grouped=grouped), "template:vgg16", 8),
}
"""Each net: how it is made by hand, the template that fcnkit makes it of, and its stride."""
