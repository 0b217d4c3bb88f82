"""Reads and writes BlobProto, Caffe's message for one tensor: where its values and sizes stand.

Field numbers are those of caffe.proto: num, channels, height, width 1 to 4 (the
legacy shape), data 5, diff 6, shape 7, double_data 8, double_diff 9, and
NVCaffe's raw_data_type 10, raw_data 12.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fcnkit.formats.wire import (
    AGAIN,
    FIXED32,
    FIXED64,
    LENGTH,
    VARINT,
    Buffer,
    Damage,
    WireField,
    expect_wire,
    fields,
    framed,
    read_varint,
    tag,
    varint,
)
from fcnkit.plural import number_of
from fcnkit.shape import Shape
from fcnkit.shape import show as shape_text

ITEM_BYTES = {"float64": 8, "float32": 4, "float16": 2, "int32": 4, "uint32": 4}
RAW_TYPES = (
    "float64",
    "float32",
    "float16",
    "int32",
    "uint32",
)  # NVCaffe's enum Type, in its order
LARGEST_COUNT = 2**31 - 1
MOST_AXES = 32
MOST_CHUNKS = 1024
MOST_PARTS = 2**16


class Chunk(NamedTuple):
    """A stretch of values; `lead` bytes of tag stand before each one (0: packed)."""

    start: int
    stop: int
    lead: int


class BlobSpan(NamedTuple):
    """A BlobProto: field at [start, stop), its message from `body` on.

    `chunks` are the places of the values.  `shape_fields` are the places of
    all that says the shape; `shape_at` is where protobuf would write it.
    """

    start: int
    body: int
    stop: int
    shape: Shape
    legacy: bool
    dtype: str
    raw: bool
    chunks: tuple[Chunk, ...]
    shape_fields: tuple[WireField, ...]
    shape_at: int

    @property
    def parts(self) -> int:
        """How many places it takes to say where it is."""
        return 1 + len(self.chunks) + len(self.shape_fields)


class _Parts(NamedTuple):
    """What one BlobProto holds, before it is known to be consistent."""

    data: list[Chunk]
    double: list[Chunk]
    raw: list[Chunk]
    shape_fields: list[WireField]
    raw_type: list[int]


def blob_span(buffer: Buffer, blob: WireField, number: int) -> BlobSpan:
    """Where things stand in blob `number`, the message of this field;
    Damage unless all of it agrees.
    """
    try:
        return _checked_blob(buffer, blob)
    except Damage as damage:
        raise damage.within(f"blob {number}") from None


def check_parts(field: WireField, parts: int) -> None:
    """Raises Damage where a file has more layers, blobs and runs of values than any net.

    Each takes some hundred bytes of memory, and as few as three in the file.
    """
    if parts > MOST_PARTS:
        raise Damage(
            field.start, f"expected at most {MOST_PARTS} layers and blobs, found more; {AGAIN}"
        )


def _checked_blob(buffer: Buffer, blob: WireField) -> BlobSpan:
    parts = _Parts([], [], [], [], [])
    shape_at = blob.stop
    for field in fields(buffer, blob.value, blob.stop):
        _sort_in(buffer, field, parts)
        if field.number > 7:
            shape_at = min(shape_at, field.start)
    dtype, raw, chunks = _values(parts, blob)
    legacy = any(field.number <= 4 for field in parts.shape_fields)
    shape = _shape(buffer, parts.shape_fields)
    if legacy:
        shape = _legacy_shape(buffer, parts.shape_fields)
    _check_count(blob, shape, dtype, chunks)
    return BlobSpan(
        blob.start,
        blob.value,
        blob.stop,
        shape,
        legacy,
        dtype,
        raw,
        tuple(chunks),
        tuple(parts.shape_fields),
        shape_at,
    )


def _sort_in(buffer: Buffer, field: WireField, parts: _Parts) -> None:
    if field.number in (1, 2, 3, 4, 7):
        expect_wire(field, (VARINT,) if field.number < 7 else (LENGTH,))
        _check_number(field, len(parts.shape_fields), MOST_AXES, "fields for its shape")
        parts.shape_fields.append(field)
    elif field.number == 5:
        expect_wire(field, (LENGTH, FIXED32))
        _extend(parts.data, field, 4)
    elif field.number == 8:
        expect_wire(field, (LENGTH, FIXED64))
        _extend(parts.double, field, 8)
    elif field.number == 10:
        expect_wire(field, (VARINT,))
        parts.raw_type[:] = [read_varint(buffer, field.value, field.stop)[0]]
    elif field.number == 12:
        expect_wire(field, (LENGTH,))
        parts.raw[:] = [Chunk(field.value, field.stop, 0)]  # not repeated: the last one counts


def _extend(chunks: list[Chunk], field: WireField, size: int) -> None:
    """The values of one field are added; a run of unpacked ones is one chunk."""
    lead = 0 if field.wire == LENGTH else field.value - field.start
    if (field.stop - field.value) % size:
        raise Damage(
            field.start,
            f"expected values of {size} bytes each, found "
            f"{number_of(field.stop - field.value, 'byte')} in all; {AGAIN}",
        )
    start = field.value if lead == 0 else field.start
    if lead and chunks and chunks[-1].lead == lead and chunks[-1].stop == start:
        start = chunks.pop().start
    _check_number(field, len(chunks), MOST_CHUNKS, "runs of values")
    if field.stop > start:
        chunks.append(Chunk(start, field.stop, lead))


def _check_number(field: WireField, count: int, most: int, what: str) -> None:
    """Raises Damage where one more would be too many:
    in memory each takes more than in the file.
    """
    if count >= most:
        raise Damage(field.start, f"expected at most {most} {what}, found more; {AGAIN}")


def _values(parts: _Parts, blob: WireField) -> tuple[str, bool, list[Chunk]]:
    """The type and places of the values that Caffe would take: doubles first."""
    if parts.double:
        return "float64", False, parts.double
    if parts.data or not parts.raw:
        return "float32", False, parts.data
    number = parts.raw_type[0] if parts.raw_type else 0
    if number >= len(RAW_TYPES):
        raise Damage(
            blob.start,
            f"expected a raw_data_type from 0 to 4, found {number}; "
            "save it again with the Caffe that wrote it",
        )
    return RAW_TYPES[number], True, parts.raw


def _legacy_shape(buffer: Buffer, shape_fields: Sequence[WireField]) -> Shape:
    """num, channels, height, width:
    Caffe takes these four when any is there, 0 for one that is not.
    """
    dims = [0, 0, 0, 0]
    for field in shape_fields:
        if field.number < 7:
            dims[field.number - 1] = _dim(buffer, field.value, field.stop)[0]
    return tuple(dims)


def _shape(buffer: Buffer, shape_fields: Sequence[WireField]) -> Shape:
    dims: list[int] = []
    for message in (field for field in shape_fields if field.number == 7):
        for field in fields(buffer, message.value, message.stop):
            if field.number == 1:
                expect_wire(field, (LENGTH, VARINT))
                dims += _dims(buffer, field)
    return tuple(dims)


def _dims(buffer: Buffer, field: WireField) -> list[int]:
    dims, at = [], field.value
    while at < field.stop:
        dim, at = _dim(buffer, at, field.stop)
        dims.append(dim)
        if len(dims) > MOST_AXES:
            raise Damage(
                field.start, f"expected at most {MOST_AXES} dimensions, found more; {AGAIN}"
            )
    return dims


def _dim(buffer: Buffer, at: int, stop: int) -> tuple[int, int]:
    value, end = read_varint(buffer, at, stop)
    if value > LARGEST_COUNT:
        shown = value - 2**64 if value >= 2**63 else value
        raise Damage(at, f"expected a dimension from 0 to {LARGEST_COUNT}, found {shown}; {AGAIN}")
    return value, end


def _check_count(blob: WireField, shape: Shape, dtype: str, chunks: list[Chunk]) -> None:
    if len(shape) > MOST_AXES:
        raise Damage(
            blob.start, f"expected at most {MOST_AXES} dimensions, found {len(shape)}; {AGAIN}"
        )
    count, found = math.prod(shape), sum(_count(chunk, dtype) for chunk in chunks)
    if count != found or count > LARGEST_COUNT:
        raise Damage(
            blob.start,
            f"expected {number_of(count, 'value')} for its shape {shown_shape(shape)}, found "
            f"{found}; {AGAIN}",
        )


def _count(chunk: Chunk, dtype: str) -> int:
    values, rest = divmod(chunk.stop - chunk.start, chunk.lead + ITEM_BYTES[dtype])
    return values if rest == 0 else -1


def counted(blobs: int) -> str:
    """So many blobs, in words."""
    return f"{blobs} blob{'' if blobs == 1 else 's'}"


def shown_shape(shape: Iterable[int]) -> str:
    """A shape as it is written in messages and tables: 4096 x 512 x 7 x 7."""
    return shape_text(tuple(shape)) or "(one value)"


def shape_field(shape: Sequence[int], *, legacy: bool = False) -> bytes:
    """What says a shape, as protobuf writes it:
    the field `shape`, or num, channels, height and width.
    """
    if legacy:
        four = (1,) * (4 - len(shape)) + tuple(shape)
        return b"".join(tag(number, VARINT) + varint(dim) for number, dim in enumerate(four, 1))
    dims = b"".join(map(varint, shape))
    return framed(7, framed(1, dims) if dims else b"")


def blob_frame(
    number: int, shape: Sequence[int], dtype: str, *, legacy: bool = False
) -> tuple[bytes, bytes]:
    """What stands before and after a blob's values when the blob is field `number`.

    The values themselves are math.prod(shape) little-endian numbers: float32
    in `data`, float64 in `double_data`, in the order that protobuf writes.
    """
    length = math.prod(shape) * ITEM_BYTES[dtype]
    shaped = shape_field(shape, legacy=legacy)
    values = tag(5 if dtype == "float32" else 8) + varint(length) if length else b""
    first = legacy or dtype == "float64"
    before, after = (shaped + values, b"") if first else (values, shaped)
    return tag(number) + varint(len(before) + length + len(after)) + before, after
