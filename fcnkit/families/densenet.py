"""DenseNet as Caffe's port publishes it: https://arxiv.org/abs/1608.06993."""

from fcnkit.families import parts
from fcnkit.families.parts import CLASSES, MSRA, about, ends, images, learned, normal, pool, relu
from fcnkit.pycaffe import NetSpec
from fcnkit.pycaffe import layers as L  # noqa: N812
from fcnkit.pycaffe import params as P  # noqa: N812
from fcnkit.pycaffe.tops import Top

SIZE, MEAN, SCALE = 224, [103.94, 116.78, 123.68], 0.017
# Channels that each layer adds, those of the first convolution, and layers of each block.
BLOCKS = {
    121: (32, 64, (6, 12, 24, 16)),
    161: (48, 96, (6, 12, 36, 24)),
    169: (32, 64, (6, 12, 32, 32)),
    201: (32, 64, (6, 12, 48, 32)),
}
WORDS = """\
DenseNet-{}: each layer of a block reads all before it, and adds {} channels.
pool1 rounds down, as where the weights were trained."""


def densenet(depth: int) -> NetSpec:
    """Four blocks of layers whose channels are collected, with an average between them."""
    growth, channels, blocks = BLOCKS[depth]
    words = WORDS.format(depth, growth)
    n = NetSpec(name=f"DENSENET_{depth}", comment=about(words, SIZE, MEAN, SCALE))
    data = images(n, SIZE, MEAN, (32, 25), scale=SCALE)
    top = parts.convolution(n, "conv1", data, channels, 7, learned(MSRA, None), stride=2)
    top = relu(n, "relu1", normal(n, "conv1/bn", "conv1/scale", top, in_place=False))
    top = pool(n, "pool1", top, 3, 2, pad=1, round_mode=P.Pooling.FLOOR)
    for block, layers in enumerate(blocks, 2):
        for number in range(1, layers + 1):
            few = convolution(n, f"{block}_{number}/x1", top, 4 * growth, 1)
            new = convolution(n, f"{block}_{number}/x2", few, growth, 3)
            n[f"concat_{block}_{number}"] = top = L.Concat(top, new)
        channels += layers * growth
        # As they are called in the published weights.
        end = f"{block}_{layers}/blk" if depth == 201 else f"{block}_blk"
        if block < 5:
            channels //= 2
            top = convolution(n, end, top, channels, 1)
            top = pool(n, f"pool{end[:-4]}", top, 2, 2, pool=P.Pooling.AVE)
    top = activated(n, end, top)
    n.pool5 = L.Pooling(top, pool=P.Pooling.AVE, global_pooling=True)
    n.fc6 = L.Convolution(n.pool5, num_output=CLASSES, kernel_size=1, **learned())
    return ends(n, n.fc6)


def activated(n: NetSpec, name: str, bottom: Top) -> Top:
    """BatchNorm and ReLU, beside the channels that others read."""
    top = normal(n, f"conv{name}/bn", f"conv{name}/scale", bottom, in_place=False)
    return relu(n, f"relu{name}", top)


def convolution(n: NetSpec, name: str, bottom: Top, count: int, kernel: int) -> Top:
    """A convolution of what is activated first."""
    top = activated(n, name, bottom)
    return parts.convolution(n, f"conv{name}", top, count, kernel, learned(MSRA, None))
