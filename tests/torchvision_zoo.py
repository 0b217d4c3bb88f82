"""torchvision's classifiers with random weights whose values neither vanish nor explode."""

import importlib
import re
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from fcnkit.shape import Shape


class Net(NamedTuple):
    """A classifier: torchvision's name of it, the sizes of images to try, the strides that an
    FCN of it has, and keyword arguments of its builder.
    """

    name: str
    sizes: tuple[tuple[int, int], ...] = ((97, 113), (131, 95))
    strides: tuple[int, ...] = (32, 16, 8)
    more: tuple[tuple[str, Any], ...] = ()


# Adaptive pooling to 6 x 6 or 7 x 7 is exported at one size.
_FIXED = ((224, 224),)
# For training alone, and slow.
_PLAIN = (("aux_logits", False), ("init_weights", False))
NETS = (
    Net("alexnet", _FIXED),
    Net("convnext_tiny"),
    Net("densenet121"),
    Net("efficientnet_b0"),
    Net("googlenet", more=_PLAIN),
    Net("inception_v3", ((107, 123), (139, 155)), more=_PLAIN),
    Net("mnasnet1_0"),
    Net("mobilenet_v2"),
    Net("mobilenet_v3_large"),
    Net("mobilenet_v3_small"),
    Net("regnet_x_400mf"),
    Net("regnet_y_400mf"),
    Net("resnet18"),
    Net("resnet50"),
    Net("shufflenet_v2_x1_0"),
    Net("squeezenet1_1", strides=(16, 8)),
    Net("vgg16", _FIXED),
)
_SMALL = ((49, 65), (67, 47))
# A few of them, in seconds.
QUICK = (
    Net("mobilenet_v2", _SMALL, (8,)),
    Net("resnet18", _SMALL, (8,)),
    Net("shufflenet_v2_x0_5", _SMALL, (8,)),
    Net("squeezenet1_1", _SMALL, (8,)),
)


def torchvision() -> ModuleType:
    """torchvision's models, also where its own operators cannot be loaded.

    PyPI's torchvision is made for PyPI's torch, and its compiled part does not load beside
    another build.  The classifiers call none of its operators, but importing it describes
    them, which PyTorch refuses for operators that nobody has declared.
    """
    try:
        return importlib.import_module("torchvision.models")
    except RuntimeError as error:
        if "does not exist" not in str(error):
            raise
    _declare()
    return importlib.import_module("torchvision.models")


def _declare() -> None:
    """The operators that torchvision describes are declared, and nothing computes them."""
    import sys

    from torch import library as registry

    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    folder = Path(find_spec("torchvision").submodule_search_locations[0])
    text = (folder / "_meta_registrations.py").read_text(encoding="utf-8")
    names = re.findall(r'register_(?:meta|fake)\("(?:torchvision::)?(\w+)"', text)
    for name in dict.fromkeys(names):
        registry.define(f"torchvision::{name}", "(Tensor x) -> Tensor")


def built(net: Net, seed: int = 0) -> Any:
    """The classifier in eval mode, its weights drawn from this seed.

    Every BatchNorm has factors and offsets of its own, and the statistics of what it was
    given for some noise, so that each layer's values are near 1.  So has what scales a
    branch, which begins as almost nothing.
    """
    import torch
    from torch import nn

    torch.manual_seed(seed)
    more = dict(net.more)
    module = getattr(torchvision(), net.name)(weights=None, **more)
    norms = [each for each in module.modules() if isinstance(each, nn.BatchNorm2d)]
    module.eval()
    for name, parameter in module.named_parameters():
        if name.endswith("layer_scale"):
            nn.init.uniform_(parameter, 0.1, 0.4)
    for each in norms:
        nn.init.uniform_(each.weight, 0.6, 1.4)
        nn.init.normal_(each.bias, 0, 0.3)
        each.momentum = None  # the statistics of all that has been seen
        each.train()
    if norms:
        with torch.no_grad():
            module(torch.randn(4, 3, *net.sizes[0]) * 2)
    return module.eval()


def segmenting(name: str) -> Any:
    """A net that segments, in eval mode, with random weights; it gives the scores alone."""
    import torch

    torchvision()
    models = importlib.import_module("torchvision.models.segmentation")
    torch.manual_seed(0)

    class Scores(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = getattr(models, name)(weights=None, weights_backbone=None)

        def forward(self, x: Any) -> Any:
            return self.net(x)["out"]

    return Scores().eval()


def images(shape: Shape, seed: int = 0) -> np.ndarray:
    """Noise of a few units."""
    return np.random.default_rng(seed).normal(0, 2, shape).astype(np.float32)
