"""Finds every layer and blob of a caffemodel by its place in the file, without reading tensors.

A caffemodel is one protobuf message, NetParameter.  `scan` walks its tags and
lengths, steps over every tensor and every hyper-parameter, and checks what it
walks over, so that no user of the spans has to check again.  Reading a 553 MB
file this way touches a few kilobytes.

Wire format: https://protobuf.dev/programming-guides/encoding/.  Field numbers
are those of caffe.proto: NetParameter (layer 100, layers 2), LayerParameter
(name 1, type 2, blobs 7), V1LayerParameter (name 4, blobs 6), BlobProto.
"""

from typing import NamedTuple

from fcnkit.errors import printable
from fcnkit.formats.blobproto import BlobSpan, blob_span, check_parts
from fcnkit.formats.wire import (
    AGAIN,
    LENGTH,
    VARINT,
    Buffer,
    Damage,
    WireField,
    fields,
    framed,
    read_varint,
    tag,
    varint,
)

LARGEST_FILE = 2**31 - 1


class LayerSpan(NamedTuple):
    """A layer: field at [start, stop), its message from `body` on.

    `type` is "" in a V1 layer, whose `code` is the number of its type.
    `name_field` is None when the file gives none.  `blobs_at` is where
    protobuf would write blobs if there were any.
    """

    name: str
    type: str
    code: int
    start: int
    body: int
    stop: int
    name_field: WireField | None
    blobs: tuple[BlobSpan, ...]
    blobs_at: int


class FieldNumbers(NamedTuple):
    """The field numbers of one generation of layers."""

    layer: int
    name: int
    blobs: int
    type: int


KINDS = {"layer": FieldNumbers(100, 1, 7, 2), "layers": FieldNumbers(2, 4, 6, 5)}


class CaffemodelLayout(NamedTuple):
    """The layers of a file of `size` bytes; `kind` is "layer" (V2) or "layers" (V1)."""

    kind: str
    layers: tuple[LayerSpan, ...]
    size: int


def scan(buffer: Buffer, path: str = "weights") -> CaffemodelLayout:
    """The place of every layer, name, blob, shape and stretch of values is known.

    No tensor is read.  Raises WeightsError, with path, layer, blob and byte,
    for anything that is not a whole and consistent caffemodel.
    """
    try:
        return _net(buffer)
    except Damage as damage:
        raise damage.error(path) from None


def _net(buffer: Buffer) -> CaffemodelLayout:
    layers: list[LayerSpan] = []
    found, parts = "", 0
    for field in fields(buffer, 0, len(buffer)):
        kind = {2: "layers", 100: "layer"}.get(field.number)
        if kind is None:
            continue
        if found and kind != found:
            raise Damage(
                field.start,
                "expected one generation of layers, found both `layers` (V1) and "
                "`layer` (V2), which Caffe refuses; save the net again with one Caffe",
            )
        _expect_message(field, kind)
        layers.append(_layer(buffer, field, KINDS[kind], len(layers)))
        parts += 1 + sum(blob.parts for blob in layers[-1].blobs)
        check_parts(field, parts)
        found = kind
    if not layers:
        raise Damage(0, "expected layers, found none; this is not a caffemodel, or an empty one")
    return CaffemodelLayout(found, tuple(layers), len(buffer))


def _expect_message(field: WireField, name: str) -> None:
    if field.wire != LENGTH:
        raise Damage(
            field.start,
            f"expected {name} (field {field.number}) with wire type 2, found {field.wire}; {AGAIN}",
        )


def _layer(buffer: Buffer, layer: WireField, kind: FieldNumbers, number: int) -> LayerSpan:
    blobs: list[BlobSpan] = []
    name_field, type_field, code, blobs_at = None, None, 0, layer.stop
    parts = 0
    try:
        for field in fields(buffer, layer.value, layer.stop):
            if field.number == kind.name:
                _expect_message(field, "name")
                name_field = field
            elif field.number == kind.blobs:
                _expect_message(field, "blobs")
                blobs.append(blob_span(buffer, field, len(blobs)))
                parts += blobs[-1].parts
                check_parts(field, parts)
            elif field.number == kind.type and field.wire == LENGTH:
                type_field = field
            elif field.number == kind.type and field.wire == VARINT:
                code = read_varint(buffer, field.value, field.stop)[0]
            elif field.number == 1 and kind.name == 4:
                raise Damage(
                    field.start,
                    "expected a V1 or V2 layer, found a V0 one; "
                    "run `fcnkit upgrade --weights` on the file first",
                )
            if field.number > kind.blobs:
                blobs_at = min(blobs_at, field.start)
    except Damage as damage:
        place = (
            f'layer "{printable(_text(buffer, name_field))}"'
            if name_field
            else f"layer number {number}"
        )
        raise damage.within(place) from None
    name, type_ = _text(buffer, name_field), _text(buffer, type_field)
    places = (layer.start, layer.value, layer.stop, name_field, tuple(blobs), blobs_at)
    return LayerSpan(name, type_, code, *places)


def _text(buffer: Buffer, field: WireField | None) -> str:
    return (
        bytes(buffer[field.value : field.stop]).decode("utf-8", "surrogateescape") if field else ""
    )


def layer_frame(kind: str, name: str, type_: str, content: int) -> bytes:
    """What stands before the blobs of a new layer whose blobs take `content` bytes.

    A V1 layer is written without its type, an enum that Caffe does not need
    to load weights.
    """
    numbers = KINDS[kind]
    head = framed(numbers.name, name.encode("utf-8", "surrogateescape"))
    if kind == "layer" and type_:
        head += framed(numbers.type, type_.encode("utf-8", "surrogateescape"))
    return tag(numbers.layer) + varint(len(head) + content) + head
