"""The fields of a message in protobuf's wire format, as text format has them."""

import struct
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import NamedTuple

from fcnkit.formats import wire
from fcnkit.formats.prototxt import Word
from fcnkit.formats.schema import numbered
from fcnkit.formats.values import Slot
from fcnkit.formats.wire import FIXED32, FIXED64, LENGTH, VARINT, Buffer, Damage, WireField

Value = object
_BITS = {"int32": 32, "int64": 64}


class Said(NamedTuple):
    """What a message says: its fields, for `prototxt.render`, and what no schema names.

    `strange` are the numbers of fields that Caffe does not have, each behind
    the message that it stands in.
    """

    fields: tuple[tuple[str, Value], ...]
    strange: tuple[str, ...]


def said(
    buffer: Buffer, start: int, stop: int, message: str, *, leave: Collection[str] = ()
) -> Said:
    """What the message of Caffe's schema that lies at [start, stop) says.

    Fields named in `leave` are stepped over.  Raises wire.Damage for bytes that
    are no message.
    """
    found: list[tuple[str, Value]] = []
    strange: list[str] = []
    slots = numbered(message)
    for field in wire.fields(buffer, start, stop):
        slot = slots.get(field.number)
        if slot is None:
            strange.append(f"{message} {field.number}")
        elif slot.name not in leave:
            found += ((slot.name, value) for value in _values(buffer, field, slot, leave, strange))
    return Said(tuple(found), tuple(strange))


def _values(
    buffer: Buffer, field: WireField, slot: Slot, leave: Collection[str], strange: list[str]
) -> Iterator[Value]:
    """The field's value, or all of them where they are packed."""
    if slot.message:
        wire.expect_wire(field, (LENGTH,))
        inner = said(buffer, field.value, field.stop, slot.message, leave=leave)
        strange += inner.strange
        yield inner.fields
    elif slot.kind in ("string", "bytes"):
        wire.expect_wire(field, (LENGTH,))
        yield bytes(buffer[field.value : field.stop]).decode("utf-8", "surrogateescape")
    elif field.wire == LENGTH and slot.repeated:
        at = field.value
        while at < field.stop:
            value, at = _number(buffer, at, field.stop, slot, field.start)
            yield value
    else:
        wire.expect_wire(field, (_WIRE.get(slot.kind, VARINT),))
        yield _number(buffer, field.value, field.stop, slot, field.start)[0]


_WIRE = {"float": FIXED32, "double": FIXED64}


def _number(buffer: Buffer, at: int, stop: int, slot: Slot, start: int) -> tuple[Value, int]:
    if slot.kind in _WIRE:
        form, size = ("<f", 4) if slot.kind == "float" else ("<d", 8)
        if at + size > stop:
            raise Damage(start, f"expected {size} bytes for {slot.name}, found {stop - at}")
        (value,) = struct.unpack(form, bytes(buffer[at : at + size]))
        return Word(shortest(value)) if size == 4 else value, at + size
    value, stop = wire.read_varint(buffer, at, stop)
    if slot.enum:
        names = {number: name for name, number in slot.enum.items()}
        return Word(names.get(value, str(value))), stop
    if slot.kind == "bool":
        return bool(value), stop
    bits = _BITS.get(slot.kind, 0)
    return value - (1 << 64) if bits and value >= 1 << 63 else value, stop


def shortest(value: float) -> str:
    """The shortest number that 32 bits round to this one, as protobuf writes it: 30, not 3e+01."""
    for digits in range(6, 9):
        text = f"{value:.{digits}g}"
        with suppress(OverflowError):  # rounded up beyond the largest
            if struct.pack("<f", float(text)) == struct.pack("<f", value):
                return text
    return f"{value:.9g}"
