"""MobileNet as Caffe's port publishes it: https://arxiv.org/abs/1704.04861."""

from typing import Any

from fcnkit.families import parts
from fcnkit.families.parts import CLASSES, MSRA, about, ends, images, learned, normal, relu
from fcnkit.pycaffe import NetSpec
from fcnkit.pycaffe import layers as L  # noqa: N812
from fcnkit.pycaffe import params as P  # noqa: N812
from fcnkit.pycaffe.fields import Fields
from fcnkit.pycaffe.tops import Top

SIZE, MEAN, SCALE = 224, [103.94, 116.78, 123.68], 0.017
# Name, channels, stride.
SEPARABLE = (
    *(("2_1", 64, 1), ("2_2", 128, 2), ("3_1", 128, 1), ("3_2", 256, 2), ("4_1", 256, 1)),
    *(("4_2", 512, 2), *((f"5_{number}", 512, 1) for number in range(1, 6))),
    *(("5_6", 1024, 2), ("6", 1024, 1)),
)
WORDS = "MobileNet: each 3x3 convolution keeps channels apart, a 1x1 convolution mixes them."


def mobilenet() -> NetSpec:
    """Thirteen layers of a 3x3 convolution of each channel and a 1x1 of all."""
    n = NetSpec(name="MOBILENET", comment=about(WORDS, SIZE, MEAN, SCALE))
    data = images(n, SIZE, MEAN, (32, 25), scale=SCALE)
    top, channels = convolution(n, "conv1", "relu1", data, 32, 3, stride=2), 32
    for name, count, stride in SEPARABLE:
        apart: Fields = {"group": channels, "stride": stride}
        top = convolution(n, f"conv{name}/dw", f"relu{name}/dw", top, channels, 3, **apart)
        top = convolution(n, f"conv{name}/sep", f"relu{name}/sep", top, count, 1)
        channels = count
    return scored(n, top)


def convolution(
    n: NetSpec, name: str, act: str, bottom: Top, count: int, kernel: int,
    *, own_top: bool = False, **fields: Any,
) -> Top:  # fmt: skip
    """A convolution without biases, its BatchNorm, in place or not, and its ReLU if it has one."""
    made = parts.convolution(n, name, bottom, count, kernel, learned(MSRA, None), **fields)
    top = normal(n, f"{name}/bn", f"{name}/scale", made, in_place=not own_top)
    return relu(n, act, top) if act else top


def scored(n: NetSpec, bottom: Top) -> NetSpec:
    """An average over all pixels, and a score for each class."""
    n.pool6 = L.Pooling(bottom, pool=P.Pooling.AVE, global_pooling=True)
    n.fc7 = L.Convolution(n.pool6, num_output=CLASSES, kernel_size=1, **learned())
    return ends(n, n.fc7)
