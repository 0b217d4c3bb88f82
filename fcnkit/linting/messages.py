"""Which messages of a layer its type reads: what stands in another one is ignored by Caffe."""

from functools import cache

from fcnkit.formats import schema
from fcnkit.formats.prototxt import Field
from fcnkit.nets.layers.old_names import V1_TYPES
from fcnkit.nets.layers.table import CAFFE
from fcnkit.nets.layers.traits import Trait


@cache
def messages() -> frozenset[str]:
    """The messages that are for some types only."""
    return frozenset(
        slot.name
        for slot in schema.slots("LayerParameter").values()
        if slot.name.endswith("_param")
    )


@cache
def read_by(kind: str) -> tuple[str, ...]:
    """The messages that a type of Caffe's reads; () for any other type."""
    if kind not in CAFFE:
        return ()
    own = CAFFE[kind]
    if not own.message:
        return own.reads
    found = (own.message, *own.reads)
    # Not read, but often left there by the loss that the layer stands for: no slip.
    losses = [one for one in CAFFE.values() if one.trait is Trait.LOSS]
    taken = any(own.message in (one.message, *one.reads) for one in losses)
    return (*found, "loss_param") if taken and own.trait is Trait.NORMAL else found


def type_of(layer: Field) -> str:
    """The type that a layer's text gives, as V2 calls it; "" where it gives none."""
    written = layer.last("type")
    word = written.raw.strip("\"'") if written else ""
    return V1_TYPES.get(word, word)
