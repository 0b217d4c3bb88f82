"""ResNet as its authors publish it: https://arxiv.org/abs/1512.03385."""

from fcnkit.families import parts
from fcnkit.families.parts import CLASSES, MSRA, about, ends, images, learned, normal, pool, relu
from fcnkit.pycaffe import NetSpec
from fcnkit.pycaffe import layers as L  # noqa: N812
from fcnkit.pycaffe import params as P  # noqa: N812
from fcnkit.pycaffe.tops import Top

SIZE, MEAN = 224, [103.063, 115.903, 123.152]
# Blocks of each stage, and whether each is a bottleneck.
STAGES = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
    152: ((3, 8, 36, 3), True),
}
WORDS = """\
ResNet-{} in the published layout: {} blocks of {}, each added
to its input.  Stages 3 to 5 have their stride in their first convolutions.
In training BatchNorm takes each batch's own statistics; Caffe itself keeps the solver from \
the stored ones."""


def resnet(depth: int) -> NetSpec:
    """Four stages of residual blocks behind one convolution, and an average before the scores."""
    stages, deep = STAGES[depth]
    inside = "a 1x1, a 3x3 and a 1x1 convolution" if deep else "two 3x3 convolutions"
    words = WORDS.format(depth, sum(stages), inside)
    n = NetSpec(name=f"ResNet-{depth}", comment=about(words, SIZE, MEAN))
    data = images(n, SIZE, MEAN, (32, 25))
    # In the authors' ResNet-50 alone conv1 has a bias, which its BatchNorm takes off again.
    how = learned() if depth == 50 else learned(MSRA, None)
    top = parts.convolution(n, "conv1", data, 64, 7, how, stride=2)
    top = relu(n, "conv1_relu", normal(n, "bn_conv1", "scale_conv1", top))
    top = pool(n, "pool1", top, 3, 2)
    for stage, blocks in enumerate(stages, 2):
        for place in range(blocks):
            top = block(n, f"{stage}{called(depth, stage, place)}", top, 64 << stage - 2, deep)
    top = pool(n, "pool5", top, 7, 1, pool=P.Pooling.AVE)
    n.fc1000 = L.InnerProduct(top, num_output=CLASSES, **learned())
    return ends(n, n.fc1000)


def called(depth: int, stage: int, place: int) -> str:
    """A letter, or in the middle stages of the deepest nets b and a number."""
    if depth > 100 and stage in (3, 4):
        return f"b{place}" if place else "a"
    return "abcdef"[place]


def block(n: NetSpec, name: str, bottom: Top, channels: int, deep: bool) -> Top:
    """A block and its sum; a convolution on the shortcut where a stage begins with other shapes."""
    first, stride = name[1:] == "a", 2 if name[1:] == "a" and name[0] != "2" else 1
    whole = 4 * channels if deep else channels
    windows = ((channels, 1), (channels, 3), (whole, 1)) if deep else ((channels, 3), (whole, 3))
    shortcut = top = bottom
    if first and (deep or stride == 2):
        shortcut = convolution(n, f"{name}_branch1", bottom, whole, 1, stride)
    for number, (count, kernel) in enumerate(windows):
        if number:
            top = relu(n, f"res{name}_branch2{'abc'[number - 1]}_relu", top)
        part = f"{name}_branch2{'abc'[number]}"
        top = convolution(n, part, top, count, kernel, 1 if number else stride)
    n[f"res{name}"] = L.Eltwise(shortcut, top)
    return relu(n, f"res{name}_relu", n[f"res{name}"])


def convolution(n: NetSpec, name: str, bottom: Top, count: int, kernel: int, stride: int) -> Top:
    """A convolution without biases, and its BatchNorm."""
    how = learned(MSRA, None)
    top = parts.convolution(n, f"res{name}", bottom, count, kernel, how, stride=stride)
    return normal(n, f"bn{name}", f"scale{name}", top)
