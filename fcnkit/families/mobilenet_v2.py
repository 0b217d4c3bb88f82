"""MobileNet v2 as Caffe's port publishes it: https://arxiv.org/abs/1801.04381."""

from functools import partial

from fcnkit.families import mobilenet
from fcnkit.families.mobilenet import MEAN, SCALE, SIZE, scored
from fcnkit.families.parts import about, images
from fcnkit.pycaffe import NetSpec
from fcnkit.pycaffe import layers as L  # noqa: N812
from fcnkit.pycaffe.fields import Fields

# The blocks: name, channels, stride.
INVERTED = (
    *(("2_1", 16, 1), ("2_2", 24, 2), ("3_1", 24, 1), ("3_2", 32, 2), ("4_1", 32, 1)),
    *(("4_2", 32, 1), *((f"4_{number}", 64, 1) for number in range(3, 7)), ("4_7", 96, 2)),
    *(("5_1", 96, 1), ("5_2", 96, 1), ("5_3", 160, 2), ("6_1", 160, 1), ("6_2", 160, 1)),
    ("6_3", 320, 1),
)
WORDS = """\
MobileNet v2: blocks that widen by 1x1, convolve each channel alone and narrow again.
Its Caffe port has stride 16 from conv4_7 on; in the paper that is so from conv4_3 on."""


def mobilenet_v2() -> NetSpec:
    """Seventeen blocks, narrow between them; one that keeps its shape is added to its input."""
    n = NetSpec(name="MOBILENET_V2", comment=about(WORDS, SIZE, MEAN, SCALE))
    convolution = partial(mobilenet.convolution, n, own_top=True)
    data = images(n, SIZE, MEAN, (32, 25), scale=SCALE)
    top, channels = convolution("conv1", "relu1", data, 32, 3, stride=2), 32
    for name, count, stride in INVERTED:
        wide = channels if name == "2_1" else 6 * channels
        inner = convolution(f"conv{name}/expand", f"relu{name}/expand", top, wide, 1)
        apart: Fields = {"group": wide, "stride": stride}
        inner = convolution(f"conv{name}/dwise", f"relu{name}/dwise", inner, wide, 3, **apart)
        inner = convolution(f"conv{name}/linear", "", inner, count, 1)
        if stride == 1 and count == channels:
            n[f"block_{name}"] = L.Eltwise(top, inner)
            inner = n[f"block_{name}"]
        top, channels = inner, count
    return scored(n, convolution("conv6_4", "relu6_4", top, 1280, 1))
