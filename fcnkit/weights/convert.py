"""Weights from one format into another:
the same tensors, each written as that format's readers want it.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from fcnkit.errors import WeightsError
from fcnkit.formats.blobproto import shown_shape
from fcnkit.formats.caffemodel import KINDS
from fcnkit.weights.blobs import Blob, StoredLayer, writable
from fcnkit.weights.store import Weights

FORMATS = {
    "v2": "a caffemodel that every Caffe since 2015 reads",
    "h5": "HDF5, of any size; Caffe reads it where its name ends in .h5",
    "npz": "numpy's archive, an array <layer>/<number> for each blob",
    "bvlc": "NVCaffe's raw blobs as BVLC Caffe's; a V1 caffemodel stays one",
}
LAYOUTS = ("shape", "legacy")


def convert(weights: Weights, to: str, *, layout: str = "shape") -> Weights:
    """The same tensors, to be saved in another format: a key of FORMATS.

    Values of other types than Caffe's become float32; float64 stays.  `layout`
    is how a caffemodel says its shapes: "shape" since 2014, or "legacy", num x
    channels x height x width, for readers older than that.  A legacy shape
    loses the leading ones that fill it up where the shape is modern: an
    InnerProduct's 1 x 1 x O x I becomes O x I, a bias 1 x 1 x 1 x N becomes N.
    Gradients (diff) are not carried over into blobs that change.

    Raises WeightsError for another format, a tensor of more than four axes in
    the legacy layout, and a legacy shape that cannot be told.
    """
    if to not in FORMATS or layout not in LAYOUTS:
        raise WeightsError(
            f"{weights.path}: {to} ({layout}): no such format; there are {', '.join(FORMATS)}"
        )
    if weights.kind == "solverstate" and to != "npz":
        raise WeightsError(
            f"{weights.path}: a solver's history is not weights of a net; convert it to npz only"
        )
    if layout == "legacy" and to in ("h5", "npz"):
        raise WeightsError(f"{weights.path}: {to} has no legacy layout; convert to v2 or bvlc")
    kind = {"h5": "hdf5", "npz": "npz"}.get(to, "layer")
    kind = weights.kind if to == "bvlc" and weights.kind in KINDS else kind
    typed = _typed(weights) if kind == "layer" != weights.kind else weights
    result = typed.to(kind)
    return result.put_all(dict(_changed(weights, layout)))


_BY_NAME = {".h5": "h5", ".hdf5": "h5", ".npz": "npz"}


def format_of(path: str | os.PathLike[str]) -> str:
    """The format that a file's name tells, a key of FORMATS: Caffe goes by the name alone."""
    return _BY_NAME.get(Path(path).suffix.lower(), "v2")


def as_named(weights: Weights, path: str | os.PathLike[str]) -> Weights:
    """The weights in the format that the file's name tells; a caffemodel keeps its generation.

    Its blobs are such as every Caffe reads.

    Raises as `convert` does.
    """
    to = format_of(path)
    if weights.kind == {"h5": "hdf5", "npz": "npz"}.get(to) or (
        to == "v2" and weights.kind in KINDS
    ):
        return weights.readable()
    return convert(weights, to)


def _typed(weights: Weights) -> Weights:
    """The layers of a V1 file with the words for their types, which it gives as numbers."""
    if weights.kind != "layers":
        return weights
    return replace(
        weights, layers=tuple(layer._replace(type=type_of(layer)) for layer in weights.layers)
    )


def type_of(layer: StoredLayer) -> str:
    """Caffe's word for a layer's type, "" where the file does not say it."""
    if layer.type or layer.span is None or not layer.span.code:
        return layer.type
    from fcnkit.formats.schema import slots
    from fcnkit.nets.layers.old_names import V1_TYPES

    names = {number: name for name, number in slots("V1LayerParameter")["type"].enum.items()}
    return V1_TYPES.get(names.get(layer.span.code, ""), "")


def _changed(weights: Weights, layout: str) -> Iterator[tuple[str, list[Blob]]]:
    """The layers of which a blob is to be written in another way."""
    for name, blobs in weights.items():
        shaped = legacy if layout == "legacy" else modern
        type_ = type_of(weights.layer(name)) if any(blob.legacy for blob in blobs) else ""
        made = [writable(shaped(blob, number, type_)) for number, blob in enumerate(blobs)]
        if any(new is not old for new, old in zip(made, blobs, strict=True)):
            yield name, made


def modern(blob: Blob, number: int, type_: str) -> Blob:
    """The blob with the shape that Caffe gives it today; itself where it has one.

    `number` is its place in a layer of type `type_`.  Raises WeightsError
    where a legacy 1 x 1 x H x W may be a window or a matrix.
    """
    if not blob.legacy:
        return blob
    from fcnkit.nets.layers.table import TYPES

    num, channels, height, width = blob.shape
    # The weights of what counts its outputs are windows, or a matrix.
    counts = number == 0 and type_ in TYPES and TYPES[type_].outputs
    windowed = counts and TYPES[type_].message == "convolution_param"
    if (num, channels) != (1, 1) or windowed:
        return replace(blob, legacy=False)
    if counts:
        return replace(blob, legacy=False, shape=(height, width))
    if height == 1:
        return replace(blob, legacy=False, shape=(width,))
    if not type_:
        fact = (
            f"its legacy shape {shown_shape(blob.shape)} is a window or a matrix: its layer "
            f"has no type"
        )
        remedy = "write a caffemodel, which keeps it (convert: --layout legacy)"
        raise WeightsError(f"{blob.where}: {fact}; {remedy}")
    return replace(blob, legacy=False, shape=(height, width))


def legacy(blob: Blob, number: int, type_: str) -> Blob:
    """The blob with its shape as num x channels x height x width, the missing ones first."""
    if blob.legacy:
        return blob
    if len(blob.shape) > 4:
        fact = f"its shape {shown_shape(blob.shape)} has more than four axes"
        raise WeightsError(f"{blob.where}: {fact}; use --layout shape")
    return replace(blob, legacy=True, shape=(1,) * (4 - len(blob.shape)) + blob.shape)
