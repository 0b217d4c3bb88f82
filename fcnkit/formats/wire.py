"""Protobuf's wire format: where each field of a message stands, and how fields are written.

https://protobuf.dev/programming-guides/encoding/.  Nothing here knows Caffe.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from fcnkit.errors import WeightsError

VARINT, FIXED64, LENGTH, START_GROUP, END_GROUP, FIXED32 = range(6)

AGAIN = "the file is damaged or cut short, get it again"


class Buffer(Protocol):
    """bytes, a memoryview of bytes, or an mmap."""

    def __len__(self) -> int: ...
    def __getitem__(self, at: Any) -> Any: ...


class WireField(NamedTuple):
    """One field of a message: its tag at `start`, its value at [value, stop)."""

    number: int
    wire: int
    start: int
    value: int
    stop: int


class Damage(Exception):
    """Something at `byte` is not as it must be; `where` grows from blob to layer."""

    def __init__(self, byte: int, fact: str, where: str = "") -> None:
        super().__init__(fact)
        self.byte, self.fact, self.where = byte, fact, where

    def within(self, place: str) -> "Damage":
        """The same, seen from one place further out."""
        return Damage(self.byte, self.fact, f"{place}, {self.where}" if self.where else place)

    def error(self, path: str) -> WeightsError:
        """The error that a user sees."""
        where = f"{self.where}, " if self.where else ""
        return WeightsError(f"{path}: {where}byte {self.byte}: {self.fact}")


def fields(buffer: Buffer, start: int, stop: int) -> Iterator[WireField]:
    """The fields of the message at [start, stop), each checked to lie within it.

    As in protobuf itself, tags and lengths are of at most 5 bytes.
    """
    at = start
    while at < stop:
        tag, value = read_varint(buffer, at, stop)
        number, wire = tag >> 3, tag & 7
        if value - at > 5:
            raise Damage(at, f"expected a tag of at most 5 bytes, found {value - at}; {AGAIN}")
        if not 0 < number < 2**29:
            raise Damage(
                at, f"expected a field number from 1 to 536870911, found {number}; {AGAIN}"
            )
        end, value = _extent(buffer, wire, value, stop, at)
        if end > stop:
            raise Damage(
                at,
                f"expected field {number} to end by byte {stop}, found it to need byte {end}; "
                f"{AGAIN}",
            )
        yield WireField(number, wire, at, value, end)
        at = end


def _extent(buffer: Buffer, wire: int, value: int, stop: int, at: int) -> tuple[int, int]:
    """Where the value that begins at `value` ends, and where its content begins."""
    if wire == VARINT:
        return read_varint(buffer, value, stop)[1], value
    if wire == LENGTH:
        length, content = read_varint(buffer, value, stop)
        if content - value > 5:
            raise Damage(
                at, f"expected a length of at most 5 bytes, found {content - value}; {AGAIN}"
            )
        return content + length, content
    if wire in (FIXED32, FIXED64):
        return value + (4 if wire == FIXED32 else 8), value
    found = "a group" if wire in (START_GROUP, END_GROUP) else "an unknown kind of value"
    raise Damage(at, f"expected wire type 0, 1, 2 or 5, found {wire} ({found}); {AGAIN}")


def read_varint(buffer: Buffer, at: int, stop: int) -> tuple[int, int]:
    """The unsigned 64-bit number at `at`, and where it ends."""
    value = buffer[at] if at < stop else 128
    if value < 128:  # most numbers are one byte
        return value, at + 1
    value = 0
    for shift, place in enumerate(range(at, min(at + 10, stop))):
        byte = buffer[place]
        value |= (byte & 127) << 7 * shift
        if byte < 128:
            return value & (2**64 - 1), place + 1
    if stop - at < 10:
        raise Damage(
            at, f"expected a whole number, found the end of its message at byte {stop}; {AGAIN}"
        )
    raise Damage(at, f"expected a number of at most 10 bytes, found a longer one; {AGAIN}")


def expect_wire(field: WireField, wires: tuple[int, ...]) -> None:
    """Raises Damage unless the field is written in one of these ways."""
    if field.wire not in wires:
        expected = " or ".join(map(str, wires))
        raise Damage(
            field.start,
            f"expected field {field.number} with wire type {expected}, found {field.wire}; {AGAIN}",
        )


def varint(value: int) -> bytes:
    """`value` as protobuf writes an unsigned number: 7 bits a byte, lowest first."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def tag(number: int, wire: int = LENGTH) -> bytes:
    """The bytes that begin a field."""
    return varint(number << 3 | wire)


def framed(number: int, content: bytes) -> bytes:
    """A field that holds `content`: tag, length, content."""
    return tag(number) + varint(len(content)) + content
