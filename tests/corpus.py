"""Other people's nets as questions to real Caffe:
no data files, no huge fc layers, random weights.
"""

import csv
from collections.abc import Iterator
from contextlib import suppress
from math import prod, sqrt
from pathlib import Path

import numpy as np

from fcnkit.edits import Edit
from fcnkit.errors import FcnkitError
from fcnkit.formats import prototxt
from fcnkit.formats.prototxt import Field, Prototxt, render
from fcnkit.nets.graph import Graph, Layer, State, build, graphs
from fcnkit.nets.shapes import shapes_of
from fcnkit.rewrites.changes import removed, set_value
from fcnkit.rewrites.upgrade import upgrade
from fcnkit.shape import Shape
from fcnkit.weights import store

WIDEST = 64
SIDE = 227


def files(shared: Path) -> list[Path]:
    """Every net of the corpus and of the models, in the order of the index."""
    with open(shared / "prototxts" / "INDEX.csv", newline="") as table:
        listed = [shared / "prototxts" / row["path"] for row in csv.DictReader(table)]
    return [path for path in listed if path.is_file()] + sorted(
        (shared / "models").glob("*/*.prototxt")
    )


def read(path: Path) -> Prototxt | None:
    """The net, V0 brought up to date; None for another file, and for a V0 net that cannot be."""
    try:
        found = prototxt.read(path)
        if any(field.all("layer") for field in found.root.all("layers")):
            found = upgrade(found).net
    except FcnkitError:
        return None
    return found if found.root.all("layer", "layers") else None


def is_built(net: Prototxt) -> bool:
    """Whether fcnkit builds the net as it stands, in every state that is meant."""
    try:
        return all(shapes_of(graph) for graph in graphs(net))
    except FcnkitError:
        return False


def net(path: Path) -> Prototxt | None:
    """The net, changed as little as it takes to be a question; None where nothing does."""
    found = read(path)
    return next(filter(_can_be_asked, _variants(found)), None) if found else None


def _variants(net: Prototxt) -> Iterator[Prototxt]:
    """With narrow fc layers where that can be,
    and without its losses where labels are of unknown size.
    """
    with suppress(FcnkitError):
        here = in_test(net)
        narrow = narrowed(here)
        yield from (narrow, unlabelled(narrow), here, unlabelled(here))


def _can_be_asked(net: Prototxt) -> bool:
    try:
        return shapes_of(build(fed(net, sizes(build(net))))) is not None
    except FcnkitError:
        return False


def in_test(net: Prototxt) -> Prototxt:
    """A net that TEST builds: what another state builds of it where TEST has no data."""
    graph = next((graph for graph in graphs(net) if graph.state == State()), graphs(net)[0])
    if graph.state == State():
        return net
    kept = {layer.field.start for layer in graph.layers}
    edits = [removed(field) for field in net.root.all("layer", "layers") if field.start not in kept]
    return net.edit(edits + [removed(rule) for layer in graph.layers for rule in _rules(layer)])


def _rules(layer: Layer) -> list[Field]:
    return layer.field.all("include", "exclude")


def unlabelled(net: Prototxt) -> Prototxt:
    """The net without what looks at anything but its images."""
    graph = build(net)
    sources = [top for layer in graph.layers if not layer.bottoms for top in layer.tops]
    others, gone = set(sources[1:]), []
    for layer in graph.layers:
        if others.intersection(layer.bottoms):
            gone.append(layer)
            others.update(layer.tops)
    return net.edit(removed(layer.field) for layer in gone)


def narrowed(net: Prototxt) -> Prototxt:
    """No InnerProduct has more than WIDEST outputs:
    the question is where they lie, not how many.
    """
    params = (
        param
        for layer in net.root.all("layer", "layers")
        for param in layer.all("inner_product_param")
    )
    counts = (field for param in params for field in param.all("num_output"))
    return net.edit([set_value(field, WIDEST) for field in counts if int(field.raw, 0) > WIDEST])


def sizes(graph: Graph) -> dict[str, Shape]:
    """A shape with a batch of one for every top that nothing computes."""
    known = shapes_of(graph).tops
    sources = [layer for layer in graph.layers if not layer.bottoms and layer.type != "Parameter"]
    return {
        top.blob: _size(layer, known[top], top.index) for layer in sources for top in layer.tops
    }


def _size(layer: Layer, shape: Shape | None, index: int) -> Shape:
    if shape is not None and len(shape) != 1:
        return (1, *shape[1:])
    if index or shape is not None:
        return (1,)
    crop = layer.param("transform_param").get("crop_size") or SIDE
    return 1, 3, crop, crop


def fed(net: Prototxt, shapes: dict[str, Shape]) -> Prototxt:
    """What TEST builds of the net, with Inputs of these shapes for its data layers."""
    graph = build(net)
    kept = {
        layer.field.start for layer in graph.layers if layer.bottoms or layer.type == "Parameter"
    }
    edits = [removed(field) for field in net.root.all("input", "input_dim", "input_shape", "state")]
    for field in net.root.all("layer", "layers"):
        if field.start in kept:
            edits += [removed(rule) for rule in field.all("include", "exclude")]
        else:
            edits.append(removed(field))
    inputs = [
        pair
        for blob, shape in shapes.items()
        for pair in (("input", blob), ("input_shape", [("dim", size) for size in shape]))
    ]
    return prototxt.parse(render(inputs, net.style) + net.edit(edits).text, net.path)


# What forks say of how a net is computed, or of values alone: no shape depends on it.
_COMPUTED = {
    "engine",
    "version",
    "default_forward_type",
    "default_backward_type",
    "default_forward_math",
    "default_backward_math",
    "forward_type",
    "backward_type",
    "forward_math",
    "backward_math",
    "eltwise_mem_sharing",
    "bn_stats_batch_size",
    "quantization_param",
    "mem_group_size",
    "relu6",
    "scale_train",
    "sample_weights_test",
    "add_eps_before_sqrt",
}
_TYPES = {'"DepthwiseConvolution"': '"Convolution"', '"ReLU6"': '"ReLU"'}
_SIDES = ("pad_t", "pad_b", "pad_l", "pad_r")


def in_caffes_words(net: Prototxt) -> Prototxt:
    """The net as BVLC Caffe reads it, where it has words for what a fork says in its own.

    No shape is another, and so values that differ do so before and after a rewrite.
    """
    edits = [removed(field) for field in net.root.fields if field.name in _COMPUTED]
    for layer in net.root.all("layer", "layers"):
        kind = layer.last("type")
        if kind and kind.raw in _TYPES:
            edits.append(Edit(kind.value_start, kind.stop, _TYPES[kind.raw]))
        for field in layer.fields:
            if field.name in _COMPUTED:
                edits.append(removed(field))
            else:
                edits += _translated(field, net)
    return net.edit(edits)


def _translated(message: Field, net: Prototxt) -> list[Edit]:
    edits = [removed(field) for field in message.fields or () if field.name in _COMPUTED]
    if message.name == "batch_norm_param":
        edits += [removed(field) for field in message.all("filler")]
    for field in message.all("ceil_mode"):
        edits.append(removed(field))
        if field.raw == "false":
            edits[-1] = edits[-1]._replace(new="round_mode: FLOOR" + net.style.newline)
    edits += [
        Edit(field.value_start, field.stop, "AVE")
        for field in message.all("pool")
        if "AVE_" in field.raw
    ]
    top, bottom, left, right = (
        int(field.raw) if field else 0 for field in map(message.last, _SIDES)
    )
    if message.all(*_SIDES) and (top, left) == (bottom, right):
        edits += [removed(field) for field in message.all(*_SIDES)]
        edits[-1] = edits[-1]._replace(new=f" pad_h: {top} pad_w: {left}{net.style.newline}")
    return edits


def weights(net: Prototxt) -> store.Weights | None:
    """Random weights of about unit gain; None where a layer's parameters are not known."""
    graph, rng = build(net), np.random.default_rng(0)
    shapes = shapes_of(graph)
    blobs = {layer.name: shapes.blobs(layer) for layer in graph.layers}
    if None in blobs.values():
        return None
    made = {
        name: [_values(rng, shape) for shape in wanted] for name, wanted in blobs.items() if wanted
    }
    return store.create().put_all(made)


def _values(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    values = rng.standard_normal(shape)
    if len(shape) > 1:
        return (values * sqrt(2 / max(1, prod(shape[1:])))).astype("float32")
    return (np.abs(values) * 0.1 + 0.5).astype("float32")  # variances too: positive


def noise(shapes: dict[str, Shape]) -> dict[str, np.ndarray]:
    """Images of noise; labels, one number for each image, are all 0.

    Of a label that is no class Caffe reads what lies beside its memory.
    """
    rng = np.random.default_rng(1)
    return {
        blob: (rng.uniform(-50, 50, shape) if prod(shape[1:]) > 1 else np.zeros(shape)).astype(
            "float32"
        )
        for blob, shape in shapes.items()
    }
