"""Writes what a training does for TensorBoard: its scalars, and pictures, in an event file.

An event file is a chain of records, each a length, a message `Event`, and checksums of
both: https://www.tensorflow.org/tutorials/load_data/tfrecord, and event.proto and
summary.proto of TensorFlow, of which the few fields that are needed stand here.
"""

import socket
import struct
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from fcnkit import files
from fcnkit.formats import wire
from fcnkit.training import record
from fcnkit.training.log import Loss, Validation
from fcnkit.training.runs import EVENTS, Run

# The polynomial of CRC-32C, Castagnoli's, its lowest bit first; and what TFRecords add to a sum.
_CASTAGNOLI, _MASK = 0x82F63B78, 0xA282EAD8
_VERSION = b"brain.Event:2"
# Numbers of fields: of Event, Summary, Value and Image.
_WALL_TIME, _STEP, _FILE_VERSION, _SUMMARY = 1, 2, 3, 5
_VALUE = 1
_TAG, _SIMPLE_VALUE, _IMAGE = 1, 2, 4
_HEIGHT, _WIDTH, _COLOURS, _ENCODED = 1, 2, 3, 4
_RGB = 3


# ---- records


@lru_cache(maxsize=1)
def _table() -> tuple[int, ...]:
    def entry(value: int) -> int:
        for _ in range(8):
            value = value >> 1 ^ (_CASTAGNOLI if value & 1 else 0)
        return value

    return tuple(map(entry, range(256)))


def crc32c(data: bytes) -> int:
    """The CRC-32C of these bytes: https://www.rfc-editor.org/rfc/rfc3720#appendix-B.4."""
    table, value = _table(), 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ table[(value ^ byte) & 255]
    return value ^ 0xFFFFFFFF


def _sum(data: bytes) -> bytes:
    """The checksum as a record has it: turned, so that sums of sums are no sums again."""
    value = crc32c(data)
    turned = ((value >> 15 | value << 17) + _MASK) & 0xFFFFFFFF
    return struct.pack("<I", turned)


def framed(data: bytes) -> bytes:
    """A record that holds these bytes."""
    length = struct.pack("<Q", len(data))
    return length + _sum(length) + data + _sum(data)


def records(data: bytes) -> Iterator[bytes]:
    """What the whole records of a file hold, up to the first that is cut or damaged."""
    at = 0
    while at + 12 <= len(data):
        length, check = data[at : at + 8], data[at + 8 : at + 12]
        stop = at + 12 + struct.unpack("<Q", length)[0]
        found, end = data[at + 12 : stop], data[stop : stop + 4]
        if check != _sum(length) or end != _sum(found):
            return
        yield found
        at = stop + 4


# ---- events


def _double(number: int, value: float) -> bytes:
    return wire.tag(number, wire.FIXED64) + struct.pack("<d", value)


def _whole(number: int, value: int) -> bytes:
    return wire.tag(number, wire.VARINT) + wire.varint(value)


def scalar(tag: str, value: float) -> bytes:
    """A value that TensorBoard shows as a point of a curve."""
    number = wire.tag(_SIMPLE_VALUE, wire.FIXED32) + struct.pack("<f", value)
    return wire.framed(_TAG, _name(tag)) + number


def picture(tag: str, png: bytes) -> bytes:
    """A value that TensorBoard shows as this picture."""
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    image = _whole(_HEIGHT, height) + _whole(_WIDTH, width) + _whole(_COLOURS, _RGB)
    return wire.framed(_TAG, _name(tag)) + wire.framed(_IMAGE, image + wire.framed(_ENCODED, png))


def _name(tag: str) -> bytes:
    return tag.encode("utf-8", "replace")


def event(when: float, step: int, values: Iterable[bytes]) -> bytes:
    """The Event of these values after so many iterations, at a time in seconds since 1970."""
    summary = b"".join(wire.framed(_VALUE, each) for each in values)
    return _double(_WALL_TIME, when) + _whole(_STEP, step) + wire.framed(_SUMMARY, summary)


def first_event(when: float) -> bytes:
    """The Event that begins a file."""
    return _double(_WALL_TIME, when) + wire.framed(_FILE_VERSION, _VERSION)


# ---- a run's file


def scalars(row: Mapping) -> Iterator[tuple[str, float]]:
    """The numbers of a row of the record by their names in TensorBoard.

    A score of one value a class has a curve for each.
    """
    net = f"validation ({row['net']})" if row.get("net") else "validation"
    groups = {"": {name: row.get(name) for name in ("loss", "rate")}}
    groups |= {"training/": row.get("outputs", {}), f"{net}/": row.get("test", {})}
    for group, values in groups.items():
        for name, value in values.items():
            parts = enumerate(value) if isinstance(value, list) else [("", value)]
            for number, part in parts:
                if part is not None:
                    yield f"{group}{name}" + f"/{number}" * (number != ""), part


class Board:
    """The event file of a run: what the record has when it is opened, and what comes after."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.path: Path | None = None
        self.rate: float | None = None

    def begin(self, kept: Sequence[dict], iteration: int = 0) -> None:
        """A new file holds the rows that are kept, and the pictures up to this iteration;
        those of the run's earlier files go.

        TensorBoard reads a file to its end and then the next by name, so that one that is
        open already sees the resumed run.
        """
        old = self.run.event_files()
        now, trained = time.time(), record.seconds(kept)
        parts = [first_event(now), *(each for path in old for each in _pictures(path, iteration))]
        seconds = 0.0
        for row in kept:
            seconds = row.get("seconds") or seconds
            self.rate = row.get("rate", self.rate)
            parts.append(self._event(row, now - trained + seconds))
        number = max(int(now), *(_number(path) + 1 for path in old), 0)
        name = f"{EVENTS}{number:010}.{socket.gethostname()}"
        self.path = self.run.path / name
        files.write(self.path, b"".join(map(framed, parts)), force=True)
        for path in old:
            path.unlink(missing_ok=True)

    def keep(self, found: Loss | Validation) -> None:
        """The file has the numbers of what has happened, as the record has them."""
        if isinstance(found, Loss):
            # With the loss after the last update no rate is said: it is still the last one.
            self.rate = self.rate if found.rate is None else found.rate
            found = replace(found, rate=self.rate)
        self._add(self._event(record.row(found, 0.0), time.time()))

    def show(self, iteration: int, pictures: Mapping[str, bytes]) -> None:
        """The file has these pictures, PNGs by their names."""
        values = [picture(name, png) for name, png in pictures.items()]
        self._add(event(time.time(), iteration, values))

    def _event(self, row: Mapping, when: float) -> bytes:
        finite = ((name, value) for name, value in scalars(row) if value - value == 0)
        return event(when, row["iteration"], (scalar(name, value) for name, value in finite))

    def _add(self, data: bytes) -> None:
        if self.path is not None:
            with open(self.path, "ab") as file:
                file.write(framed(data))


def _number(path: Path) -> int:
    """When the file was begun, as its name says."""
    digits = path.name.removeprefix(EVENTS).partition(".")[0]
    return int(digits) if digits.isdecimal() else 0


def _pictures(path: Path, iteration: int) -> Iterator[bytes]:
    """The events of a file that hold pictures, up to this iteration."""
    for data in records(path.read_bytes()):
        step, shown = 0, False
        for field in wire.fields(data, 0, len(data)):
            if field.number == _STEP:
                step = wire.read_varint(data, field.value, field.stop)[0]
            elif field.number == _SUMMARY:
                shown = _shows(data[field.value : field.stop])
        if shown and step <= iteration:
            yield data


def _shows(summary: bytes) -> bool:
    values = (summary[each.value : each.stop] for each in wire.fields(summary, 0, len(summary)))
    return any(
        field.number == _IMAGE for value in values for field in wire.fields(value, 0, len(value))
    )
