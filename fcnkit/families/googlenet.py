"""GoogLeNet as Caffe's authors publish it: https://arxiv.org/abs/1409.4842."""

from functools import partial
from typing import Any

from fcnkit.families import parts
from fcnkit.families.alexnet import norm
from fcnkit.families.parts import CLASSES, XAVIER, about, images, learned, pool, relu
from fcnkit.pycaffe import TEST, NetSpec
from fcnkit.pycaffe import layers as L  # noqa: N812
from fcnkit.pycaffe import params as P  # noqa: N812
from fcnkit.pycaffe.tops import Top

SIZE, MEAN = 224, [104.0, 117.0, 123.0]
HOW = learned(XAVIER, {"type": "constant", "value": 0.2})
# Channels of 1x1; of 3x3, reduced and whole; of 5x5, reduced and whole; of the pooled ones.
INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
# Behind which modules there is a pooling, or scores that only help to train.
POOLED, HELPED = {"3b": "pool3/3x3_s2", "4e": "pool4/3x3_s2"}, {"4a": "loss1", "4d": "loss2"}
WORDS = """\
GoogLeNet in Caffe's published layout: nine inception modules, each four branches side by side.
Two auxiliary heads, loss1 and loss2, help to train it; deploy leaves them out."""


def googlenet() -> NetSpec:
    """Nine inception modules behind two convolutions, and an average before the classifier."""
    n = NetSpec(name="GoogLeNet", comment=about(WORDS, SIZE, MEAN))
    top = convolution(n, "conv1", "7x7_s2", images(n, SIZE, MEAN, (32, 50)), 64)
    top = norm(n, "pool1/norm1", pool(n, "pool1/3x3_s2", top, 3, 2))
    top = convolution(n, "conv2", "3x3", convolution(n, "conv2", "3x3_reduce", top, 64), 192)
    top = pool(n, "pool2/3x3_s2", norm(n, "conv2/norm2", top), 3, 2)
    for module in INCEPTIONS:
        top = inception(n, module, top)
        if module in POOLED:
            top = pool(n, POOLED[module], top, 3, 2)
        if module in HELPED:
            auxiliary(n, HELPED[module], top)
    top = pool(n, "pool5/7x7_s1", top, 7, 1, pool=P.Pooling.AVE)
    n["pool5/drop_7x7_s1"] = L.Dropout(top, in_place=True, dropout_ratio=0.4)
    return judged(n, "loss3", "loss3", n["pool5/drop_7x7_s1"])


def inception(n: NetSpec, module: str, bottom: Top) -> Top:
    """Four branches side by side."""
    name, (ones, few, threes, fewer, fives, pooled) = f"inception_{module}", INCEPTIONS[module]
    part = partial(convolution, n, name)
    n[f"{name}/output"] = L.Concat(
        part("1x1", bottom, ones),
        part("3x3", part("3x3_reduce", bottom, few), threes),
        part("5x5", part("5x5_reduce", bottom, fewer), fives),
        part("pool_proj", pool(n, f"{name}/pool", bottom, 3, 1, pad=1), pooled),
    )
    return n[f"{name}/output"]


def convolution(n: NetSpec, stage: str, part: str, bottom: Top, count: int) -> Top:
    """A convolution, whose name says its kernel and its stride if they are not 1; its ReLU."""
    size = part.removesuffix("_s2")
    kernel = int(size[0]) if size[1:] in ("x3", "x5", "x7") else 1
    stride = 1 if size == part else 2
    top = parts.convolution(n, f"{stage}/{part}", bottom, count, kernel, HOW, stride=stride)
    return relu(n, f"{stage}/relu_{size}", top)


def auxiliary(n: NetSpec, name: str, bottom: Top) -> None:
    """Scores of a shallower part, whose loss weighs 0.3."""
    top = pool(n, f"{name}/ave_pool", bottom, 5, 3, pool=P.Pooling.AVE)
    n[f"{name}/fc"] = L.InnerProduct(convolution(n, name, "conv", top, 128), num_output=1024, **HOW)
    top = relu(n, f"{name}/relu_fc", n[f"{name}/fc"])
    n[f"{name}/drop_fc"] = L.Dropout(top, in_place=True, dropout_ratio=0.7)
    judged(n, name, "loss", n[f"{name}/drop_fc"], loss_weight=0.3)


def judged(n: NetSpec, name: str, loss: str, bottom: Top, **weight: Any) -> NetSpec:
    """A score for each class, their loss, and whether the class is among their first."""
    zero = learned(XAVIER, {"type": "constant", "value": 0})
    scores = n[f"{name}/classifier"] = L.InnerProduct(bottom, num_output=CLASSES, **zero)
    n[f"{name}/{loss}"] = L.SoftmaxWithLoss(scores, n.label, tops=f"{name}/{name}", **weight)
    n[f"{name}/top-1"] = L.Accuracy(scores, n.label, include={"phase": TEST})
    n[f"{name}/top-5"] = L.Accuracy(scores, n.label, top_k=5, include={"phase": TEST})
    return n
