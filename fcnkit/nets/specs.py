"""What layers say of their parameters: names under which they share them, and multipliers."""

from math import prod
from typing import NamedTuple

from fcnkit.formats.blobproto import shown_shape
from fcnkit.formats.schema import View
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.table import keeps_statistics
from fcnkit.plural import number_of
from fcnkit.shape import Shape


class Spec(NamedTuple):
    """What a layer says of one of its parameters; None where it does not."""

    name: str = ""
    lr_mult: float | None = None
    decay_mult: float | None = None
    permissive: bool = False


def check_shared(layer: Layer, spec: Spec, shape: Shape, owner: Layer, theirs: Shape) -> None:
    """The layer may share this parameter, of this shape, with its owner's: NetError where Caffe
    refuses, which wants equal shapes, or with PERMISSIVE equal counts.
    """
    if prod(theirs) == prod(shape) if spec.permissive else tuple(theirs) == tuple(shape):
        return
    fact = f'its parameter "{spec.name}" is {shown_shape(shape)}, that of layer "{owner.name}"'
    raise layer.error(f"{fact} {shown_shape(theirs)}; share parameters of one shape")


def specs_of(layer: Layer, count: int) -> list[Spec]:
    """What the layer says of each of its parameters; NetError where it speaks of more."""
    said = _said_of(layer)
    if len(said) > count:
        fact = f"{len(said)} param for {number_of(count, 'parameter')}"
        raise layer.error(f"{fact}; remove the surplus")
    return said + [Spec()] * (count - len(said))


def _said_of(layer: Layer) -> list[Spec]:
    """What the layer says of its parameters, in their order; perhaps not of all."""
    if layer.view.message_name == "LayerParameter":
        specs = [_spec(view) for view in layer.view.views("param")]
        # Caffe's UpgradeNetBatchNorm: before it knew better, people had to write all three.
        old = keeps_statistics(layer) and len(specs) == 3
        return [spec._replace(lr_mult=0.0, decay_mult=0.0) if old else spec for spec in specs]
    lists = [
        layer.view.list(name) for name in ("param", "blobs_lr", "weight_decay", "blob_share_mode")
    ]
    columns = [
        [*column, *[None] * max(map(len, lists))][: max(map(len, lists))] for column in lists
    ]
    return [
        Spec(name or "", rate, decay, mode == "PERMISSIVE")
        for name, rate, decay, mode in zip(*columns, strict=True)
    ]


def _spec(view: View) -> Spec:
    rate, decay = (view.get(name) if view.has(name) else None for name in ("lr_mult", "decay_mult"))
    return Spec(view.get("name"), rate, decay, view.get("share_mode") == "PERMISSIVE")
