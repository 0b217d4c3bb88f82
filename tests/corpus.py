"""Other people's nets as questions to real Caffe: no data files, no huge fc layers, random weights."""

import csv
from math import prod, sqrt
from pathlib import Path

import numpy as np

from fcnkit.errors import FcnkitError
from fcnkit.formats import prototxt
from fcnkit.formats.prototxt import Prototxt, render
from fcnkit.nets.graph import Graph, Layer, build
from fcnkit.nets.shapes import infer
from fcnkit.rewrites.changes import removed, set_value
from fcnkit.rewrites.upgrade import upgrade
from fcnkit.weights import store

Shape = tuple[int, ...]
WIDEST = 64
SIDE = 227


def files(shared: Path) -> list[Path]:
    """Every net of the corpus and of the models, in the order of the index."""
    with open(shared / "prototxts" / "INDEX.csv", newline="") as table:
        listed = [shared / "prototxts" / row["path"] for row in csv.DictReader(table)]
    return [path for path in listed if path.is_file()] + sorted((shared / "models").glob("*/*.prototxt"))


def net(path: Path) -> Prototxt | None:
    """The net with narrow fc layers, V0 brought up to date; None where there is none that can be."""
    try:
        read = prototxt.read(path)
        if any(field.all("layer") for field in read.root.all("layers")):
            read = upgrade(read).net
        if not read.root.all("layer", "layers"):
            return None
        narrow = narrowed(read)
        infer(build(fed(narrow, sizes(build(narrow)))))
    except FcnkitError:
        return None
    return narrow


def narrowed(net: Prototxt) -> Prototxt:
    """No InnerProduct has more than WIDEST outputs: the question is where they lie, not how many."""
    params = (
        param for layer in net.root.all("layer", "layers") for param in layer.all("inner_product_param")
    )
    counts = (field for param in params for field in param.all("num_output"))
    return net.edit([set_value(field, WIDEST) for field in counts if int(field.raw, 0) > WIDEST])


def sizes(graph: Graph) -> dict[str, Shape]:
    """A shape with a batch of one for every top that nothing computes."""
    known = infer(graph).tops
    sources = [layer for layer in graph.layers if not layer.bottoms and layer.type != "Parameter"]
    return {top.blob: _size(layer, known[top], top.index) for layer in sources for top in layer.tops}


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
    kept = {layer.field.start for layer in graph.layers if layer.bottoms or layer.type == "Parameter"}
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


def weights(net: Prototxt) -> store.Weights | None:
    """Random weights of about unit gain; None where a layer's parameters are not known."""
    graph, rng = build(net), np.random.default_rng(0)
    shapes = infer(graph)
    blobs = {layer.name: shapes.blobs(layer) for layer in graph.layers}
    if None in blobs.values():
        return None
    made = {name: [_values(rng, shape) for shape in wanted] for name, wanted in blobs.items() if wanted}
    return store.create().put_all(made)


def _values(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    values = rng.standard_normal(shape)
    if len(shape) > 1:
        return (values * sqrt(2 / max(1, prod(shape[1:])))).astype("float32")
    return (np.abs(values) * 0.1 + 0.5).astype("float32")  # variances too: positive


def noise(shapes: dict[str, Shape]) -> dict[str, np.ndarray]:
    """Images of noise; labels are all 0."""
    rng = np.random.default_rng(1)
    return {
        blob: (rng.uniform(-50, 50, shape) if len(shape) > 1 else np.zeros(shape)).astype("float32")
        for blob, shape in shapes.items()
    }
