"""AlexNet as Caffe's authors publish it: https://dl.acm.org/doi/10.1145/3065386."""

from typing import Any

from fcnkit.families.parts import CLASSES, about, dense, ends, images, learned, pool, relu
from fcnkit.pycaffe import NetSpec
from fcnkit.pycaffe import layers as L  # noqa: N812
from fcnkit.pycaffe.fields import Fields
from fcnkit.pycaffe.tops import Top

SIZE, MEAN = 227, [104.0, 117.0, 123.0]
# num_output, kernel, stride, pad, group, and what the biases start from.
CONVOLUTIONS: dict[int, tuple[Fields, float]] = {
    1: ({"num_output": 96, "kernel_size": 11, "stride": 4}, 0.0),
    2: ({"num_output": 256, "kernel_size": 5, "pad": 2, "group": 2}, 0.1),
    3: ({"num_output": 384, "kernel_size": 3, "pad": 1}, 0.0),
    4: ({"num_output": 384, "kernel_size": 3, "pad": 1, "group": 2}, 0.1),
    5: ({"num_output": 256, "kernel_size": 3, "pad": 1, "group": 2}, 0.1),
}
WORDS = """\
AlexNet in Caffe's published layout: each of the first two stages
normalizes (LRN) before it pools.  CaffeNet has the same shapes but pools first."""


def alexnet() -> NetSpec:
    """Five convolutions, three of them in two groups, and three fc layers."""
    n = NetSpec(name="AlexNet", comment=about(WORDS, SIZE, MEAN))
    top = images(n, SIZE, MEAN, (256, 50))
    for number, (window, bias) in CONVOLUTIONS.items():
        n[f"conv{number}"] = L.Convolution(top, **window, **gaussian(0.01, bias))
        top = relu(n, f"relu{number}", n[f"conv{number}"])
        if number in (1, 2):
            top = norm(n, f"norm{number}", top)
        if number in (1, 2, 5):
            top = pool(n, f"pool{number}", top, 3, 2)
    for number in (6, 7):
        top = dense(n, number, top, 4096, **gaussian(0.005, 0.1))
    n.fc8 = L.InnerProduct(top, num_output=CLASSES, **gaussian(0.01, 0.0))
    return ends(n, n.fc8)


def norm(n: NetSpec, name: str, bottom: Top) -> Top:
    """Each value divided by what is around it in the channels beside it."""
    n[name] = L.LRN(bottom, local_size=5, alpha=0.0001, beta=0.75)
    return n[name]


def gaussian(std: float, bias: float) -> dict[str, Any]:
    """Weights from a normal distribution, biases from one number."""
    return learned({"type": "gaussian", "std": std}, {"type": "constant", "value": bias})
