"""MobileNet and MobileNet v2 as Caffe's port publishes them.

https://arxiv.org/abs/1704.04861, https://arxiv.org/abs/1801.04381.
"""

from typing import Any

from fcnkit.families.parts import CLASSES, MSRA, about, ends, images, learned, normal, relu
from fcnkit.pycaffe import NetSpec
from fcnkit.pycaffe import layers as L  # noqa: N812
from fcnkit.pycaffe import params as P  # noqa: N812
from fcnkit.pycaffe.fields import Fields
from fcnkit.pycaffe.tops import Top

SIZE, MEAN, SCALE = 224, [103.94, 116.78, 123.68], 0.017
# The layers of v1: name, channels, stride.
SEPARABLE = (
    *(("2_1", 64, 1), ("2_2", 128, 2), ("3_1", 128, 1), ("3_2", 256, 2), ("4_1", 256, 1)),
    *(("4_2", 512, 2), *((f"5_{number}", 512, 1) for number in range(1, 6))),
    *(("5_6", 1024, 2), ("6", 1024, 1)),
)
# The blocks of v2: name, channels, stride.
INVERTED = (
    *(("2_1", 16, 1), ("2_2", 24, 2), ("3_1", 24, 1), ("3_2", 32, 2), ("4_1", 32, 1)),
    *(("4_2", 32, 1), *((f"4_{number}", 64, 1) for number in range(3, 7)), ("4_7", 96, 2)),
    *(("5_1", 96, 1), ("5_2", 96, 1), ("5_3", 160, 2), ("6_1", 160, 1), ("6_2", 160, 1)),
    ("6_3", 320, 1),
)
WORDS = "MobileNet: each 3x3 convolution keeps channels apart, a 1x1 convolution mixes them."
WORDS_V2 = """\
MobileNet v2: blocks that widen by 1x1, convolve each channel alone and narrow again.
Its Caffe port has stride 16 from conv4_7 on; in the paper that is so from conv4_3 on."""


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


def mobilenet_v2() -> NetSpec:
    """Seventeen blocks, narrow between them; one that keeps its shape is added to its input."""
    n = NetSpec(name="MOBILENET_V2", comment=about(WORDS_V2, SIZE, MEAN, SCALE))
    data = images(n, SIZE, MEAN, (32, 25), scale=SCALE)
    top, channels = convolution(n, "conv1", "relu1", data, 32, 3, stride=2, own_top=True), 32
    for name, count, stride in INVERTED:
        wide = channels if name == "2_1" else 6 * channels
        part = f"conv{name}/expand"
        inner = convolution(n, part, f"relu{name}/expand", top, wide, 1, own_top=True)
        part, apart = f"conv{name}/dwise", {"group": wide, "stride": stride}
        inner = convolution(n, part, f"relu{name}/dwise", inner, wide, 3, own_top=True, **apart)
        inner = convolution(n, f"conv{name}/linear", "", inner, count, 1, own_top=True)
        if stride == 1 and count == channels:
            n[f"block_{name}"] = L.Eltwise(top, inner)
            inner = n[f"block_{name}"]
        top, channels = inner, count
    return scored(n, convolution(n, "conv6_4", "relu6_4", top, 1280, 1, own_top=True))


def convolution(
    n: NetSpec, name: str, act: str, bottom: Top, count: int, kernel: int,
    *, own_top: bool = False, **fields: Any,
) -> Top:  # fmt: skip
    """A convolution without biases, its BatchNorm, in place or not, and its ReLU if it has one."""
    window: Fields = {"pad": 1} if kernel == 3 else {}
    window |= {key: value for key, value in fields.items() if value > 1}
    n[name] = L.Convolution(
        bottom, num_output=count, kernel_size=kernel, **window, **learned(MSRA, None)
    )
    top = normal(n, f"{name}/bn", f"{name}/scale", n[name], in_place=not own_top)
    return relu(n, act, top) if act else top


def scored(n: NetSpec, bottom: Top) -> NetSpec:
    """An average over all pixels, and a score for each class."""
    n.pool6 = L.Pooling(bottom, pool=P.Pooling.AVE, global_pooling=True)
    n.fc7 = L.Convolution(n.pool6, num_output=CLASSES, kernel_size=1, **learned())
    return ends(n, n.fc7)
