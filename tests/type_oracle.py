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
from fcnkit.nets.shapes import Shapes, infer
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
    edits, opened = [], {}
    for layer in graph.layers:
        if layer.type in STAND_INS:
            edits += _stand_in(layer, *STAND_INS[layer.type](layer, graph))
            weights = _in_its_shape(weights, layer)
        elif is_opened(layer.type):
            edits.append(removed(layer.field))
            opened |= tops_of(layer, graph, values, given)
    theirs = net.edit(edits)
    found = {**values, **opened}
    if opened:
        theirs = _with_inputs(theirs, {blob: value.shape for blob, value in opened.items()})
    built = build(theirs)
    inputs = {top.blob for top in built.inputs}
    blobs = dict.fromkeys(top.blob for top in built.tops if top.blob not in inputs)
    used = {blob: value for blob, value in found.items() if blob in inputs}
    return Asked(theirs, weights or None, used, tuple(blobs))


def is_opened(kind: str) -> bool:
    """Whether the net is parted at a layer of this type."""
    return kind in _OUTSIDE or kind in FORKS and kind not in STAND_INS


_OUTSIDE = ("Data", "ImageData", "WindowData", "MemoryData", "HDF5Data", "Python", "HDF5Output")


def tops_of(
    layer: Layer, graph: Graph, values: Mapping[str, np.ndarray], given: Mapping[str, Shape]
) -> dict[str, np.ndarray]:
    """What the layer gives: the values that are known, in the shape that they have here."""
    own = {top.blob for top in graph.tops}
    shapes = infer(graph, {blob: shape for blob, shape in given.items() if blob in own})
    return {top.blob: _value(top, shapes.tops[top], values) for top in layer.tops}


def _value(top: Top, shape: Shape | None, values: Mapping[str, np.ndarray]) -> np.ndarray:
    known = values.get(top.blob)
    if known is None:
        rng = np.random.default_rng(top.index)
        return rng.uniform(-3, 3, (1,) if shape is None else shape).astype("f4")
    return known.reshape(shape) if shape and known.size == np.prod(shape) else known


def _with_inputs(net: Prototxt, shapes: Mapping[str, Shape]) -> Prototxt:
    """The net with inputs of these names, whatever way it writes its own."""
    names = [field.string for field in net.root.all("input")]
    own = {top.blob: shape for top, shape in _input_shapes(_loose(net)) if top.blob in names}
    fields = net.root.all("input", "input_dim", "input_shape")
    text = render(
        [
            pair
            for blob, shape in (own | dict(shapes)).items()
            for pair in (("input", blob), ("input_shape", [("dim", size) for size in shape]))
        ],
        net.style,
    )
    return parse(text + net.edit([removed(field) for field in fields]).text, net.path)


def _loose(net: Prototxt) -> Graph:
    """The graph of a net that has lost the layers which made some of its blobs."""
    return build(net, refuse=lambda fault, error: None)


def _input_shapes(graph: Graph) -> Iterator[tuple]:
    for layer in graph.layers:
        if layer.type == "Input":
            yield from zip(layer.tops, layer.input_shapes, strict=True)


# ---- forks' types in BVLC's words

Words = tuple[str, str]


def _same(kind: str, params: str = "") -> Callable[[Layer, Graph], Words]:
    return lambda layer, graph: (kind, params)


def _each_channel(params: str) -> Callable[[Layer, Graph], Words]:
    """A bilinear Deconvolution of each channel."""

    def words(layer: Layer, graph: Graph) -> Words:
        count = infer(graph).tops[layer.bottoms[0]][1]
        more = f"num_output: {count} group: {count} bias_term: false {params}"
        return (
            "Deconvolution",
            f'convolution_param {{ {more} weight_filler {{ type: "bilinear" }} }}',
        )

    return words


def _depthwise(layer: Layer, graph: Graph) -> Words:
    return "Convolution", f"group: {infer(graph).tops[layer.bottoms[0]][1]}"


def _padded(layer: Layer, graph: Graph) -> Words:
    count = infer(graph).tops[layer.bottoms[0]][1]
    more = f"num_output: {count} group: {count} bias_term: false kernel_size: 1 pad: 1"
    return "Convolution", f"convolution_param {{ {more} weight_filler {{ value: 1 }} }}"


def _resized(layer: Layer, graph: Graph) -> Words:
    """Means over windows down to the layer's size, or a bilinear kernel up to it."""
    had = infer(graph).tops[layer.bottoms[0]][2]
    wanted = layer.param("mask_resize_param").get("output_height")
    if had < wanted:
        return _each_channel(f"kernel_size: {wanted - had + 1}")(layer, graph)
    return "Pooling", f"pooling_param {{ pool: AVE kernel_size: {had - wanted + 1} }}"


STAND_INS: dict[str, Callable[[Layer, Graph], Words]] = {
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
