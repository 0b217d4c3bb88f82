"""The nets and weights files that scripts/bench.py measures work on."""

from collections.abc import Iterator
from pathlib import Path

import fcnkit as fk
from fcnkit import templates
from fcnkit.formats import blobproto, prototxt, wire
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.shapes import shapes_of
from fcnkit.weights import store


def make_weights(net: Prototxt, path: Path) -> None:
    """A caffemodel of the net's shapes with seeded
    random values is at `path`, written in pieces.
    """
    graph = fk.build(net)
    shapes = shapes_of(graph)
    values = {
        layer.name: [
            _random(shape, [layer.index, blob]) for blob, shape in enumerate(shapes.blobs(layer))
        ]
        for layer in graph.layers
    }
    types = {layer.name: layer.type for layer in graph.layers}
    store.create().put_all(values, types=types).save(path)


def _random(shape: tuple[int, ...], seed: list[int]) -> store.Lazy:
    def chunks() -> Iterator[bytes]:
        import numpy as np

        count, generator = int(np.prod(shape)), np.random.default_rng(seed)
        for at in range(0, count, 1 << 20):
            size = min(1 << 20, count - at)
            yield (generator.standard_normal(size, np.float32) * np.float32(0.01)).tobytes()

    return store.Lazy(shape, chunks)


def large_net() -> Prototxt:
    """VGG-16 with wider fc layers: 525 million parameters, just under what Caffe reads."""
    text = fk.read(templates.path("vgg16")).text
    return prototxt.parse(text.replace("num_output: 4096", "num_output: 12000"), "large")


def make_half(source: Path, path: Path) -> None:
    """The weights of a caffemodel, half as precise and as NVCaffe writes them, are at `path`."""
    with open(path, "wb") as file:
        for name, blobs in store.open(source).items():
            content = wire.framed(1, name.encode()) + b"".join(
                wire.framed(7, _half(blob)) for blob in blobs
            )
            file.write(wire.framed(100, content))


def _half(blob: store.Blob) -> bytes:
    """NVCaffe's BlobProto: shape, raw_data_type 2 for half precision, raw_data."""
    values = wire.framed(12, blob.array().astype("<f2").tobytes())
    return blobproto.shape_field(blob.shape) + wire.tag(10, wire.VARINT) + wire.varint(2) + values


def long_net(layers: int) -> str:
    """A chain of that many convolutions and ReLUs, and a classifier at its end."""
    text = ['input: "data" input_shape { dim: 1 dim: 3 dim: 32 dim: 32 }\n']
    below = "data"
    for number in range(layers // 2):
        text.append(
            f'layer {{ name: "c{number}" type: "Convolution" bottom: "{below}" top: "c{number}" '
            "convolution_param { num_output: 3 kernel_size: 3 pad: 1 } }\n"
            f'layer {{ name: "r{number}" type: "ReLU" bottom: "c{number}" top: "c{number}" }}\n'
        )
        below = f"c{number}"
    text.append(
        f'layer {{ name: "fc" type: "InnerProduct" bottom: "{below}" top: "fc" '
        "inner_product_param { num_output: 10 } }\n"
    )
    return "".join(text)


def long_weights(path: Path, layers: int) -> None:
    """The weights of `long_net(layers)`, all zeros, are at `path`."""
    graph = fk.build(prototxt.parse(long_net(layers), "long"))
    shapes = shapes_of(graph)
    values = {
        layer.name: [store.zeros(shape) for shape in shapes.blobs(layer)] for layer in graph.layers
    }
    store.create().put_all(values).save(path)
