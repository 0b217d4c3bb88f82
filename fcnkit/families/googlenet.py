"""GoogLeNet as Caffe's authors publish it: https://arxiv.org/abs/1409.4842."""

from typing import Any

from fcnkit.families.alexnet import norm
from fcnkit.families.parts import CLASSES, XAVIER, about, images, learned, pool, relu
from fcnkit.pycaffe import TEST, NetSpec
from fcnkit.pycaffe import layers as L  # noqa: N812
from fcnkit.pycaffe import params as P  # noqa: N812
from fcnkit.pycaffe.fields import Fields
from fcnkit.pycaffe.tops import Top

SIZE, MEAN = 224, [104.0, 117.0, 123.0]
BIASES = {"type": "constant", "value": 0.2}
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
    top = convolution(n, "conv1", "7x7_s2", "7x7", images(n, SIZE, MEAN, (32, 50)), 64)
    top = norm(n, "pool1/norm1", pool(n, "pool1/3x3_s2", top, 3, 2))
    top = convolution(n, "conv2", "3x3_reduce", "3x3_reduce", top, 64)
    top = norm(n, "conv2/norm2", convolution(n, "conv2", "3x3", "3x3", top, 192))
    top = pool(n, "pool2/3x3_s2", top, 3, 2)
    for module in INCEPTIONS:
        top = inception(n, module, top)
        if module in POOLED:
            top = pool(n, POOLED[module], top, 3, 2)
        if module in HELPED:
            auxiliary(n, HELPED[module], top)
    top = pool(n, "pool5/7x7_s1", top, 7, 1, pool=P.Pooling.AVE)
    n["pool5/drop_7x7_s1"] = L.Dropout(top, in_place=True, dropout_ratio=0.4)
    judged(n, "loss3", "loss3", classifier(n, "loss3", n["pool5/drop_7x7_s1"]))
    return n


def inception(n: NetSpec, module: str, bottom: Top) -> Top:
    """Four branches side by side."""
    name, counts = f"inception_{module}", INCEPTIONS[module]
    parts = ("1x1", "3x3_reduce", "3x3", "5x5_reduce", "5x5", "pool_proj")
    count = dict(zip(parts, counts, strict=True))

    def branch(part: str, bottom: Top) -> Top:
        return convolution(n, name, part, part, bottom, count[part])

    ones = branch("1x1", bottom)
    threes = branch("3x3", branch("3x3_reduce", bottom))
    fives = branch("5x5", branch("5x5_reduce", bottom))
    pooled = branch("pool_proj", pool(n, f"{name}/pool", bottom, 3, 1, pad=1))
    n[f"{name}/output"] = L.Concat(ones, threes, fives, pooled)
    return n[f"{name}/output"]


def convolution(n: NetSpec, stage: str, part: str, rest: str, bottom: Top, count: int) -> Top:
    """A convolution that keeps the size, or halves it, as its name says; its ReLU."""
    kernel = int(part[0]) if part[0].isdigit() else 1
    kernel = 1 if part.endswith("reduce") else kernel
    fields: Fields = {"stride": 2} if part.endswith("s2") else {}
    fields |= {"pad": kernel // 2} if kernel > 1 else {}
    n[f"{stage}/{part}"] = L.Convolution(
        bottom, num_output=count, kernel_size=kernel, **fields, **learned(XAVIER, BIASES)
    )
    return relu(n, f"{stage}/relu_{rest}", n[f"{stage}/{part}"])


def auxiliary(n: NetSpec, name: str, bottom: Top) -> None:
    """Scores of a shallower part, whose loss weighs 0.3."""
    top = pool(n, f"{name}/ave_pool", bottom, 5, 3, pool=P.Pooling.AVE)
    top = convolution(n, name, "conv", "conv", top, 128)
    n[f"{name}/fc"] = L.InnerProduct(top, num_output=1024, **learned(XAVIER, BIASES))
    top = relu(n, f"{name}/relu_fc", n[f"{name}/fc"])
    n[f"{name}/drop_fc"] = L.Dropout(top, in_place=True, dropout_ratio=0.7)
    judged(n, name, "loss", classifier(n, name, n[f"{name}/drop_fc"]), loss_weight=0.3)


def classifier(n: NetSpec, name: str, bottom: Top) -> Top:
    """A score for each class."""
    zero = {"type": "constant", "value": 0}
    n[f"{name}/classifier"] = L.InnerProduct(bottom, num_output=CLASSES, **learned(XAVIER, zero))
    return n[f"{name}/classifier"]


def judged(n: NetSpec, name: str, loss: str, scores: Top, **weight: Any) -> None:
    """The loss of the scores, and whether the class is their first or among their first five."""
    n[f"{name}/{loss}"] = L.SoftmaxWithLoss(scores, n.label, tops=f"{name}/{name}", **weight)
    n[f"{name}/top-1"] = L.Accuracy(scores, n.label, include={"phase": TEST})
    n[f"{name}/top-5"] = L.Accuracy(scores, n.label, top_k=5, include={"phase": TEST})
