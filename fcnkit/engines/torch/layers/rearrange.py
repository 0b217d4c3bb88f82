"""Layers that join, cut, choose and reorder: Concat to ArgMax."""

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor

from fcnkit.engines.torch.layers.site import Run, Site, Tensors
from fcnkit.nets.layers import forks, rearrange


def _shaped(rule: Callable) -> Callable[[Site], Run]:
    """The bottom in the shape that the rule of nets/layers/rearrange.py gives."""

    def build(site: Site) -> Run:
        def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
            return [bottoms[0].reshape(rule(site.layer, [tuple(bottoms[0].shape)])[0])]

        return run

    return build


flatten = _shaped(rearrange.flatten)
reshape = _shaped(rearrange.reshape)
squeeze = _shaped(forks.squeeze)


def concat(site: Site) -> Run:
    """The bottoms one behind the other."""
    axis = rearrange.join_axis(site.layer, len(site.shapes[0]), "concat_param", "concat_dim")
    return lambda bottoms, blobs: [
        torch.cat(list(bottoms), axis) if len(bottoms) > 1 else bottoms[0]
    ]


def slices(site: Site) -> Run:
    """The bottom cut into its tops."""
    layer = site.layer
    axis = rearrange.join_axis(layer, len(site.shapes[0]), "slice_param", "slice_dim")

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        sizes = [shape[axis] for shape in rearrange.slices(layer, [tuple(bottoms[0].shape)])]
        return torch.split(bottoms[0], sizes, axis)

    return run


def split(site: Site) -> Run:
    """The bottom once for each top."""
    return lambda bottoms, blobs: [bottoms[0]] * len(site.layer.tops)


def crop(site: Site) -> Run:
    """The part of the first bottom that begins at the offsets and is as large as the second."""
    offsets = rearrange.crop_offsets(site.layer, len(site.shapes[0]))
    start = len(site.shapes[0]) - len(offsets)

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        x, reference = bottoms
        for axis, offset in enumerate(offsets, start):
            x = x.narrow(axis, offset, reference.shape[axis])
        return [x]

    return run


def tile(site: Site) -> Run:
    """The axis repeated."""
    axis, tiles = site.axis("tile_param"), site.param("tile_param").get("tiles")
    return lambda bottoms, blobs: [torch.cat([bottoms[0]] * tiles, axis)]


def reduction(site: Site) -> Run:
    """coeff times the sum of all values from the axis on,
    of their magnitudes or squares, or their mean.
    """
    param, axis = site.param("reduction_param"), site.axis("reduction_param")
    operation, coefficient = param.get("operation"), param.get("coeff")
    if operation not in _REDUCTIONS:
        raise site.error(f"it has no operation {operation}; use {', '.join(_REDUCTIONS)}")
    function = _REDUCTIONS[operation]

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        x = bottoms[0]
        return [function(x.reshape(*x.shape[:axis], prod(x.shape[axis:]))) * coefficient]

    return run


_REDUCTIONS = {
    "SUM": lambda x: x.sum(-1),
    "ASUM": lambda x: x.abs().sum(-1),
    "SUMSQ": lambda x: (x * x).sum(-1),
    "MEAN": lambda x: x.mean(-1),
}


def silence(site: Site) -> Run:
    """Nothing."""
    return lambda bottoms, blobs: []


def argmax(site: Site) -> Run:
    """The places of the top_k largest values, or those; of equal values Caffe takes the last."""
    param = site.param("argmax_param")
    axis = site.axis("argmax_param") if param.has("axis") else 0
    top_k, valued = param.get("top_k"), param.get("out_max_val")

    def run(bottoms: Tensors, blobs: Tensors) -> Tensors:
        x = bottoms[0].detach()
        values, places = _last_largest(x, axis, top_k)
        return [values if valued else places]

    def both(bottoms: Tensors, blobs: Tensors) -> Tensors:
        x = bottoms[0].detach()
        values, places = _last_largest(x.reshape(x.shape[0], -1), 1, top_k)
        found = torch.stack([places, values] if valued else [places], 1)
        return [found.reshape(rearrange.argmax(site.layer, [tuple(x.shape)])[0])]

    return run if param.has("axis") else both


def _last_largest(x: Tensor, axis: int, top_k: int) -> tuple[Tensor, Tensor]:
    """The top_k largest values along an axis and their places, later ones first among equals."""
    values, places = torch.sort(x.flip(axis), dim=axis, descending=True, stable=True)
    places = x.shape[axis] - 1 - places
    return values.narrow(axis, 0, top_k), places.narrow(axis, 0, top_k).to(x.dtype)


def batch_reindex(site: Site) -> Run:
    """The items that the second bottom names."""
    return lambda bottoms, blobs: [bottoms[0][bottoms[1].detach().long()]]
