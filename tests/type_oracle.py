"""What real Caffe says of a net with a layer of any type: forks' types are put in BVLC's words.

A fork's type is asked about as one of BVLC's that does alike to shapes and values (STAND_INS).
Where there is none, the net is opened at the layer: what it reads is compared, and what it gives
is an input.  So are data layers, and a Python layer.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple
from zlib import crc32

import numpy as np

from fcnkit.edits import Edit
from fcnkit.formats.prototxt import Prototxt, Word, parse, render
from fcnkit.nets.graph import Graph, Layer, Top, build
from fcnkit.nets.layers.table import FORKS
from fcnkit.nets.shapes import Shapes, shapes_of
from fcnkit.rewrites.changes import removed
from fcnkit.shape import Shape
from fcnkit.weights import store


class Asked(NamedTuple):
    """A net that Caffe can run, and the weights for it."""

    net: Prototxt
    weights: store.Weights | None
    values: dict[str, np.ndarray]
    blobs: tuple[str, ...]


def asked(
    net: Prototxt,
    weights: store.Weights,
    values: Mapping[str, np.ndarray],
    given: Mapping[str, Shape],
) -> Asked:
    """The net in BVLC's words, the values of its inputs, and the blobs that it computes."""
    graph = build(net)
    shapes = _shapes(graph, values, given)
    edits, opened = [], {}
    for layer in graph.layers:
        if layer.type in STAND_INS:
            edits += _stand_in(layer, *STAND_INS[layer.type](layer, shapes.tops[layer.bottoms[0]]))
            weights = _in_its_shape(weights, layer)
        elif is_opened(layer.type):
            edits.append(removed(layer.field))
            opened |= {top.blob: _value(top, shapes, values) for top in layer.tops}
    theirs = net.edit(edits)
    found = {**values, **opened}
    if opened:
        theirs = _with_inputs(theirs, found)
    built = build(theirs)
    inputs = {top.blob for top in built.inputs}
    blobs = dict.fromkeys(top.blob for top in built.tops if top.blob not in inputs)
    used = {blob: value for blob, value in found.items() if blob in inputs}
    return Asked(theirs, weights or None, used, tuple(blobs))


def is_opened(kind: str) -> bool:
    """Whether the net is parted at a layer of this type."""
    return kind in _OUTSIDE or kind in FORKS and kind not in STAND_INS


_OUTSIDE = ("Data", "ImageData", "WindowData", "MemoryData", "HDF5Data", "Python", "HDF5Output")


def given_tops(graph: Graph, given: Mapping[str, Shape]) -> dict[str, np.ndarray]:
    """A value for every top of a layer at which the net is parted."""
    shapes = _shapes(graph, {}, given)
    return {
        top.blob: _value(top, shapes, {})
        for layer in graph.layers
        for top in layer.tops
        if is_opened(layer.type)
    }


def _shapes(graph: Graph, values: Mapping[str, np.ndarray], given: Mapping[str, Shape]) -> Shapes:
    """The shapes of a net whose sources bring these values."""
    own = {top.blob for top in graph.tops}
    brought = {
        top.blob: values[top.blob].shape
        for layer in graph.layers
        for top in layer.tops
        if top.blob in values and not layer.bottoms
    }
    return shapes_of(graph, {blob: shape for blob, shape in given.items() if blob in own} | brought)


def _value(top: Top, shapes: Shapes, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """The value that is known, in the shape that it has here."""
    known, shape = values.get(top.blob), shapes.tops[top]
    if known is None:
        rng = np.random.default_rng(top.index)
        return rng.uniform(-3, 3, (1,) if shape is None else shape).astype("f4")
    return known.reshape(shape) if shape and known.size == np.prod(shape) else known


def _with_inputs(net: Prototxt, values: Mapping[str, np.ndarray]) -> Prototxt:
    """The net with inputs of these names and shapes at net level, its own among them."""
    graph = build(net, refuse=lambda fault, error: None)  # who made some blobs is gone
    gone = net.root.all("input", "input_dim", "input_shape")
    gone += [layer.field for layer in graph.layers if layer.type == "Input"]
    needed = {top.blob for layer in graph.layers for top in (*layer.bottoms, *layer.tops)}
    fields = [
        pair
        for blob, value in values.items()
        if blob in needed
        for pair in (("input", blob), ("input_shape", [("dim", size) for size in value.shape]))
    ]
    edits = {field.start: removed(field) for field in gone}
    return parse(render(fields, net.style) + net.edit(edits.values()).text, net.path)


# ---- forks' types in BVLC's words

# The type and the parameters of what stands in for a layer, for what it reads.
Words = Callable[[Layer, Shape], tuple[str, str]]


def _same(kind: str, params: str = "") -> Words:
    return lambda layer, bottom: (kind, params)


def _each_channel(params: str) -> Words:
    """A bilinear Deconvolution of each channel."""
    more = f'bias_term: false weight_filler {{ type: "bilinear" }} {params}'
    return lambda layer, bottom: ("Deconvolution", _by_channel(bottom, more))


def _padded(layer: Layer, bottom: Shape) -> tuple[str, str]:
    more = "bias_term: false kernel_size: 1 pad: 1 weight_filler { value: 1 }"
    return "Convolution", _by_channel(bottom, more)


def _by_channel(bottom: Shape, more: str) -> str:
    return f"convolution_param {{ num_output: {bottom[1]} group: {bottom[1]} {more} }}"


def _depthwise(layer: Layer, bottom: Shape) -> tuple[str, str]:
    return "Convolution", f"group: {bottom[1]}"


def _resized(layer: Layer, bottom: Shape) -> tuple[str, str]:
    """Means over windows down to the layer's size, or a bilinear kernel up to it."""
    more = layer.param("mask_resize_param").get("output_height") - bottom[2]
    if more > 0:
        return _each_channel(f"kernel_size: {more + 1}")(layer, bottom)
    return "Pooling", f"pooling_param {{ pool: AVE kernel_size: {1 - more} }}"


STAND_INS: dict[str, Words] = {
    "DepthwiseConvolution": _same("Convolution"),
    "ConvolutionDepthwise": _depthwise,
    "Interp": _each_channel("kernel_size: 3 stride: 2 pad: 1"),
    "INTERP": _each_channel("kernel_size: 3 stride: 2 pad: 1"),
    "MaskResize": _resized,
    "Upsample": _each_channel("kernel_size: 2 stride: 2"),
    "UpsampleDarknet": _each_channel("kernel_size: 2 stride: 2"),
    "ResizeNearestNeighbor": _each_channel("kernel_size: 2 stride: 2"),
    "Padding": _padded,
    "PADDING": _padded,
    "Pad": _padded,
    "CROP": _same("Crop"),
    "AutoCrop": _same("Crop"),
    "ReLU6": _same("Clip", "clip_param { min: 0 max: 6 }"),
    "HardSwish": _same("Swish"),
    "HardSigmoid": _same("Sigmoid"),
    "Mish": _same("Swish", "swish_param { beta: 2 }"),
    "Add": _same("Eltwise"),
    "Mul": _same("Eltwise", "eltwise_param { operation: PROD }"),
    "MaskPooling": _same("Eltwise", "eltwise_param { operation: MAX }"),
    "BN": _same("Scale", "scale_param { bias_term: true }"),
    "MatWrite": _same("Silence"),
    "MAT_WRITE": _same("Silence"),
    "SmoothL1Loss": _same("EuclideanLoss"),
    "SmoothL1LossOHEM": _same("EuclideanLoss"),
    "SoftmaxWithLossOHEM": _same("SoftmaxWithLoss"),
}
_V1 = {
    "Deconvolution": "DECONVOLUTION",
    "Convolution": "CONVOLUTION",
    "Silence": "SILENCE",
}


def _stand_in(layer: Layer, kind: str, params: str) -> Iterator[Edit]:
    """The layer has another type and other parameters, or more where it has a message of BVLC's."""
    word, own = layer.field.last("type"), layer.field.last("convolution_param")
    new = f'"{kind}"' if word.raw[0] in "\"'" else _V1[kind]
    yield Edit(word.value_start, word.stop, Word(new))
    owner = own or layer.field
    yield Edit(owner.body_stop, owner.body_stop, f" {params} ")
    for field in layer.field.fields:
        if field.name.endswith("_param") and field is not own:
            yield removed(field)


def _in_its_shape(weights: store.Weights, layer: Layer) -> store.Weights:
    """Weights of a layer that stands in with one axis for each."""
    if layer.type != "BN" or layer.name not in weights:
        return weights
    return weights.put(layer.name, [blob.array().ravel() for blob in weights[layer.name]])


# ---- weights


def weights(shapes: Shapes) -> store.Weights:
    """Random weights of both signs for every layer of a net, by the layers' names."""
    made = {}
    for layer in shapes.graph.layers:
        blobs = shapes.blobs(layer)
        if blobs:
            rng = np.random.default_rng(crc32(layer.name.encode()))
            made[layer.name] = [_values(rng, layer, *each) for each in enumerate(blobs)]
    return store.create().put_all(made)


def _values(rng: np.random.Generator, layer: Layer, number: int, shape: Shape) -> np.ndarray:
    if layer.type == "BatchNorm" and number:
        values = rng.uniform(0.5, 2, shape)  # the variance, and what it is divided by
    elif len(shape) < 2 or layer.type == "BN":
        values = rng.normal(0, 1, shape)
    else:
        values = rng.normal(0, 1.5, shape) / np.sqrt(np.prod(shape[1:]))
    return values.astype("f4")
