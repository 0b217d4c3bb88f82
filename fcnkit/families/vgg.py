"""VGG, configurations A, B, D and E: https://arxiv.org/abs/1409.1556."""

from fcnkit.families.parts import CLASSES, about, dense, ends, images, learned, pool, relu
from fcnkit.pycaffe import NetSpec
from fcnkit.pycaffe import layers as L  # noqa: N812

SIZE, MEAN = 224, [103.939, 116.779, 123.68]
# Convolutions of each block.
BLOCKS = {
    11: ("A", (1, 1, 2, 2, 2)),
    13: ("B", (2, 2, 2, 2, 2)),
    16: ("D", (2, 2, 3, 3, 3)),
    19: ("E", (2, 2, 4, 4, 4)),
}
CHANNELS = (64, 128, 256, 512, 512)
WORDS = "VGG-{} (configuration {}).  msra fillers, so it trains from scratch in one go."


def vgg(depth: int) -> NetSpec:
    """Five blocks of 3x3 convolutions, each with a pooling behind it, and three fc layers."""
    letter, blocks = BLOCKS[depth]
    words = WORDS.format(depth, letter)
    n = NetSpec(name=f"VGG{depth}", comment=about(words, SIZE, MEAN))
    top = images(n, SIZE, MEAN, (64, 25))
    for block, (count, channels) in enumerate(zip(blocks, CHANNELS, strict=True), 1):
        for number in range(1, count + 1):
            name = f"{block}_{number}"
            n[f"conv{name}"] = L.Convolution(
                top, num_output=channels, kernel_size=3, pad=1, **learned()
            )
            top = relu(n, f"relu{name}", n[f"conv{name}"])
        top = pool(n, f"pool{block}", top, 2, 2)
    for number in (6, 7):
        top = dense(n, number, top, 4096, **learned())
    n.fc8 = L.InnerProduct(top, num_output=CLASSES, **learned())
    return ends(n, n.fc8)
