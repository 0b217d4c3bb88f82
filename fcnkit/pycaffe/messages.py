"""Layers and nets as Caffe's messages, and as the bytes that Caffe saves of them."""

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from fcnkit import files
from fcnkit.formats import blobproto, wire
from fcnkit.formats.schema import numbered
from fcnkit.formats.with_forks import message
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.table import keeps_statistics
from fcnkit.pycaffe.memory import CPU, Blob
from fcnkit.pycaffe.wiring import AUTOMATIC, Part

if TYPE_CHECKING:
    from google.protobuf.message import Message


def message_of(layer: Layer) -> "Message":
    """The layer as a LayerParameter; of a net in the words of Caffe 1.0 and its forks.

    Raises PrototxtError for what Caffe's message does not have.
    """
    from google.protobuf import text_format

    try:
        return text_format.Parse(layer.field.raw[1:-1], message("LayerParameter")())
    except text_format.ParseError as error:
        raise layer.field.error(
            f'layer "{layer.name}" is not a message of Caffe\'s: {error}'
        ) from None


def _saved(part: Part, blobs: int, phase: int) -> "Message":
    """What Caffe saves of a layer beside its blobs: with the names of Splits, and its phase."""
    made = message_of(part.layer) if part.layer else message("LayerParameter")()
    for name in ("bottom", "top", "loss_weight"):
        made.ClearField(name)
    made.name, made.type = part.name, part.type
    made.bottom.extend(part.bottoms)
    made.top.extend(blob for blob in part.tops if blob != AUTOMATIC)
    if any(part.losses):
        made.loss_weight.extend(part.losses)
    if not made.HasField("phase"):
        made.phase = phase
    if part.layer and keeps_statistics(part.layer):
        for _ in range(blobs - len(made.param)):
            made.param.add().lr_mult = 0
    return made


def save(
    path: str | os.PathLike[str],
    name: str,
    parts: Sequence[Part],
    blobs: Sequence[Sequence[Blob]],
    phase: int,
) -> None:
    """The file at `path` is the net as Net::ToProto has it: every layer, with its blobs.

    Raises OutputError where it cannot be written; what stood there then still stands.
    """
    with files.atomic(path, force=True) as file:
        # Caffe writes a name that is empty too.
        file.write(wire.framed(_number("NetParameter", "name"), name.encode()))
        for part, own in zip(parts, blobs, strict=True):
            for piece in _pieces(_saved(part, len(own), phase).SerializeToString(), own):
                file.write(piece)


def _pieces(head: bytes, blobs: Sequence[Blob]) -> Iterator[bytes | memoryview]:
    """The bytes of a layer in a net: its message, and its blobs behind that."""
    number = _number("LayerParameter", "blobs")
    frames = [blobproto.blob_frame(number, blob.sizes, "float32") for blob in blobs]
    size = sum(len(before) + len(after) for before, after in frames)
    size += len(head) + sum(4 * blob.count for blob in blobs)
    yield wire.tag(_number("NetParameter", "layer")) + wire.varint(size) + head
    for blob, (before, after) in zip(blobs, frames, strict=True):
        yield before
        yield blob.values(CPU).numpy().astype("<f4", copy=False).tobytes()
        yield after


def _number(message_name: str, field: str) -> int:
    return next(key for key, slot in numbered(message_name).items() if slot.name == field)
