"""The edits to a caffemodel that change its layers: a name, a shape, or blobs written anew."""

from collections.abc import Sequence
from dataclasses import dataclass

from fcnkit.edits import Edit
from fcnkit.formats import blobproto, caffemodel, wire
from fcnkit.formats.blobproto import BlobSpan
from fcnkit.formats.caffemodel import LayerSpan
from fcnkit.weights.blobs import Blob, OpenFile, StoredLayer, writable


@dataclass(frozen=True)
class Content:
    """New bytes that may be long: bytes, and blobs whose values come in pieces."""

    parts: tuple[bytes | Blob, ...]

    def __len__(self) -> int:
        """How many bytes it is."""
        return sum(map(_size, self.parts))


def _size(part: bytes | Blob) -> int:
    return part.nbytes if isinstance(part, Blob) else len(part)


def added(kind: str, layer: StoredLayer) -> Content:
    """The whole field of a layer that the file does not have yet."""
    number = caffemodel.KINDS[kind].blobs
    content = [part for blob in layer.blobs for part in _new_blob(number, blob).parts]
    size = sum(map(_size, content))
    return Content((caffemodel.layer_frame(kind, layer.name, layer.type, size), *content))


def changed(kind: str, layer: StoredLayer, span: LayerSpan, source: OpenFile | None) -> list[Edit]:
    """The edits that make of the layer that stands at `span` in `source` this one."""
    numbers = caffemodel.KINDS[kind]
    edits = _name_edits(span, layer.name, numbers.name)
    edits += _blobs_edits(span, layer.blobs, numbers.blobs, source)
    return _length_edits(span.start, span.body, span.stop, numbers.layer, edits) + edits


def _new_blob(number: int, blob: Blob) -> Content:
    """The whole field of a blob that is written anew, as float32 unless its type is Caffe's own."""
    blob = writable(blob)
    before, after = blobproto.blob_frame(number, blob.shape, blob.dtype, legacy=blob.legacy)
    return Content((before, blob, after))


def _name_edits(span: LayerSpan, name: str, number: int) -> list[Edit]:
    if name == span.name:
        return []
    field = span.name_field
    start, stop = (field.start, field.stop) if field else (span.body, span.body)
    return [Edit(start, stop, wire.framed(number, name.encode("utf-8", "surrogateescape")))]


def _blobs_edits(
    span: LayerSpan, blobs: Sequence[Blob], number: int, source: OpenFile | None
) -> list[Edit]:
    edits = []
    for old, blob in zip(span.blobs, blobs, strict=False):
        if blob.values == (source, old):
            edits += _shape_edits(old, blob, number)
        else:
            edits.append(Edit(old.start, old.stop, _new_blob(number, blob)))
    edits += (Edit(old.start, old.stop, b"") for old in span.blobs[len(blobs) :])
    added = [part for blob in blobs[len(span.blobs) :] for part in _new_blob(number, blob).parts]
    if added:
        at = span.blobs[-1].stop if span.blobs else span.blobs_at
        edits.append(Edit(at, at, Content(tuple(added))))
    return edits


def _shape_edits(span: BlobSpan, blob: Blob, number: int) -> list[Edit]:
    """Another shape for values that stay where they are: the header bytes that change."""
    if (blob.shape, blob.legacy) == (span.shape, span.legacy):
        return []
    if blob.legacy:
        edits = [Edit(field.start, field.stop, b"") for field in span.shape_fields]
        edits.append(Edit(span.body, span.body, blobproto.shape_field(blob.shape, legacy=True)))
        return _length_edits(span.start, span.body, span.stop, number, edits) + edits
    modern = [field for field in span.shape_fields if field.number == 7]
    at, stop = (modern[0].start, modern[0].stop) if modern else (span.shape_at, span.shape_at)
    others = [field for field in span.shape_fields if field not in modern[:1]]
    edits = [Edit(field.start, field.stop, b"") for field in others]
    edits.append(Edit(at, stop, blobproto.shape_field(blob.shape)))
    return _length_edits(span.start, span.body, span.stop, number, edits) + edits


def _length_edits(
    start: int, body: int, stop: int, number: int, edits: Sequence[Edit]
) -> list[Edit]:
    """The field's own tag and length, when the edits within it change its length."""
    more = sum(map(growth, edits))
    if not more:
        return []
    return [Edit(start, body, wire.tag(number) + wire.varint(stop - body + more))]


def growth(edit: Edit) -> int:
    """How many bytes longer the file is for it."""
    return len(edit.new) - (edit.stop - edit.start)
