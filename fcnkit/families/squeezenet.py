"""SqueezeNet 1.1 as its authors publish it: https://arxiv.org/abs/1602.07360."""

from typing import Any

from fcnkit.families.parts import CLASSES, XAVIER, ZERO, about, ends, images, learned, pool, relu
from fcnkit.pycaffe import NetSpec
from fcnkit.pycaffe import layers as L  # noqa: N812
from fcnkit.pycaffe import params as P  # noqa: N812
from fcnkit.pycaffe.tops import Top

SIZE, MEAN = 227, [104.0, 117.0, 123.0]
# Channels that are left of each fire module's input; it makes eight times as many of them.
SQUEEZED = {2: 16, 3: 16, 4: 32, 5: 32, 6: 48, 7: 48, 8: 64, 9: 64}
WORDS = """\
SqueezeNet 1.1: eight fire modules, each a 1x1 convolution that squeezes the channels and a 1x1
and a 3x3 one that expand them.  Its classifier is a convolution, averaged over all pixels."""


def squeezenet() -> NetSpec:
    """Fire modules behind one convolution, and a convolution as the classifier."""
    n = NetSpec(name="SqueezeNet-1.1", comment=about(WORDS, SIZE, MEAN))
    data = images(n, SIZE, MEAN, (32, 25), mirror=False)
    n.conv1 = L.Convolution(data, num_output=64, kernel_size=3, stride=2, **learned(XAVIER))
    top = pool(n, "pool1", relu(n, "relu_conv1", n.conv1), 3, 2)
    for number, squeezed in SQUEEZED.items():
        top = fire(n, f"fire{number}", top, squeezed)
        if number in (3, 5):
            top = pool(n, f"pool{number}", top, 3, 2)
    n.drop9 = L.Dropout(top, in_place=True, dropout_ratio=0.5)
    scored = learned({"type": "gaussian", "std": 0.01}, ZERO)
    n.conv10 = L.Convolution(n.drop9, num_output=CLASSES, kernel_size=1, **scored)
    relu(n, "relu_conv10", n.conv10)
    n.pool10 = L.Pooling(n.relu_conv10, pool=P.Pooling.AVE, global_pooling=True)
    return ends(n, n.pool10)


def fire(n: NetSpec, name: str, bottom: Top, squeezed: int) -> Top:
    """1x1 to few channels, then 1x1 and 3x3 side by side to four times as many each."""

    def convolution(part: str, bottom: Top, count: int, kernel: int, **pad: Any) -> Top:
        n[f"{name}/{part}"] = L.Convolution(
            bottom, num_output=count, kernel_size=kernel, **pad, **learned(XAVIER)
        )
        return relu(n, f"{name}/relu_{part}", n[f"{name}/{part}"])

    few = convolution("squeeze1x1", bottom, squeezed, 1)
    ones = convolution("expand1x1", few, 4 * squeezed, 1)
    n[f"{name}/concat"] = L.Concat(ones, convolution("expand3x3", few, 4 * squeezed, 3, pad=1))
    return n[f"{name}/concat"]
