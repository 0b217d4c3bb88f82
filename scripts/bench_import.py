"""What `fcnkit import` costs: VGG-16's 553 MB, and MobileNet v2 as a whole process."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

import fcnkit as fk
from fcnkit.weights.store import Weights

# Sandler et al., "MobileNetV2", table 2: expansion, channels, how many blocks, the first's stride.
BLOCKS = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip


class _Model:
    """Nodes in a row, as PyTorch exports a convolution, BatchNorm and ReLU6 in eval mode."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.rng = np.random.default_rng(0)

    def blob(self, *shape: int) -> str:
        """A tensor of positive random weights; its name."""
        values = self.rng.uniform(0.01, 1, shape).astype(np.float32)
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def node(self, kind: str, *inputs: str, **fields) -> str:
        """A node; the name of its output."""
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **fields))
        return name

    def conv(
        self, x: str, old: int, new: int, kernel: int = 1, stride: int = 1, group: int = 1,
        clip: bool = True,
    ) -> str:  # fmt: skip
        """A convolution, its normalisation, and unless the block ends here a ReLU6."""
        x = self.node(
            "Conv", x, self.blob(new, old // group, kernel, kernel), group=group,
            strides=[stride] * 2, pads=[kernel // 2] * 4, kernel_shape=[kernel] * 2,
        )  # fmt: skip
        x = self.node("BatchNormalization", x, *(self.blob(new) for _ in range(4)))
        return self.node("Clip", x, "zero", "six") if clip else x


def mobilenet(path: Path) -> None:
    """MobileNet v2 with random weights, any batch of 224 x 224 images, is at the path."""
    made = _Model()
    x, channels = made.conv("input", 3, 32, 3, 2), 32
    for expansion, count, repeats, first in BLOCKS:
        for number in range(repeats):
            stride, wide = first if number == 0 else 1, expansion * channels
            inner = made.conv(x, channels, wide) if expansion > 1 else x
            inner = made.conv(inner, wide, wide, 3, stride, wide)
            inner = made.conv(inner, wide, count, clip=False)
            x = made.node("Add", x, inner) if stride == 1 and channels == count else inner
            channels = count
    x = made.node("GlobalAveragePool", made.conv(x, channels, 1280))
    made.node("Gemm", made.node("Flatten", x), made.blob(1000, 1280), made.blob(1000), transB=1)
    made.weights += [
        numpy_helper.from_array(np.float32(v), n) for n, v in (("zero", 0), ("six", 6))
    ]
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        made.nodes,
        "mobilenet_v2",
        [helper.make_tensor_value_info("input", kind, ["batch", 3, 224, 224])],
        [helper.make_tensor_value_info(made.nodes[-1].output[0], kind, ["batch", 1000])],
        made.weights,
    )
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)


def models(folder: Path, net: fk.Prototxt, weights: Weights) -> Iterator[tuple[str, Path]]:
    """What is imported: its title and its file, made in the folder."""
    large, small = folder / "vgg16.onnx", folder / "mobilenet_v2.onnx"
    fk.export(net, weights).save(large, force=True)
    mobilenet(small)
    yield "VGG-16", large
    yield "MobileNet v2", small
