"""Finds the parts of a .solverstate by their place in the file: the wire format of SolverState.

Its fields are the iteration (1), the name of the caffemodel that was saved
beside it (2), the solver's history (3), with one BlobProto or several for each
parameter, and the step of the learning rate (4).
"""

from typing import NamedTuple

from fcnkit.formats.blobproto import BlobSpan, blob_span, check_parts
from fcnkit.formats.wire import (
    AGAIN,
    LENGTH,
    VARINT,
    Buffer,
    Damage,
    WireField,
    expect_wire,
    fields,
    read_varint,
)
from fcnkit.plural import number_of


class SolverStateSpans(NamedTuple):
    """What a .solverstate says, and where its blobs are."""

    iteration: int
    learned_net: str
    step: int
    history: tuple[BlobSpan, ...]


def looks_like(buffer: Buffer) -> bool:
    """Whether the file begins as a .solverstate does: with the iteration, then a name or a blob.

    A mean image begins with a number too, and goes on with another.
    """
    try:
        field = next(iter(fields(buffer, 0, min(len(buffer), 20))), None)
    except Damage:
        return False
    if field is None or (field.number, field.wire) != (1, VARINT) or field.stop >= len(buffer):
        return False
    return buffer[field.stop] in (2 << 3 | LENGTH, 3 << 3 | LENGTH)


def scan(buffer: Buffer, path: str) -> SolverStateSpans:
    """The iteration, the name, the step, and the place of every blob; no value is read.

    Raises WeightsError, with path, blob and byte, for anything that is not a
    whole and consistent solver state.
    """
    try:
        return _state(buffer)
    except Damage as damage:
        raise damage.error(path) from None


def _state(buffer: Buffer) -> SolverStateSpans:
    history: list[BlobSpan] = []
    numbers, name, parts = {1: 0, 4: 0}, "", 0
    for field in fields(buffer, 0, len(buffer)):
        if field.number in numbers:
            expect_wire(field, (VARINT,))
            numbers[field.number] = read_varint(buffer, field.value, field.stop)[0]
        elif field.number == 2:
            name = _name(buffer, field)
        elif field.number == 3:
            expect_wire(field, (LENGTH,))
            history.append(blob_span(buffer, field, len(history)))
            parts += history[-1].parts
            check_parts(field, parts)
    return SolverStateSpans(numbers[1], name, numbers[4], tuple(history))


def _name(buffer: Buffer, field: WireField) -> str:
    expect_wire(field, (LENGTH,))
    if field.stop - field.value > 4096:
        raise Damage(
            field.start,
            f"expected the name of a file, found {number_of(field.stop - field.value, 'byte')}; "
            f"{AGAIN}",
        )
    return bytes(buffer[field.value : field.stop]).decode("utf-8", "surrogateescape")
