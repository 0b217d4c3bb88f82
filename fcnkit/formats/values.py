"""The values of a prototxt's fields, read as the C++ TextFormat parser of Caffe reads them."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from fcnkit.errors import PrototxtError
from fcnkit.formats.prototxt import Field
from fcnkit.plural import number_of


class Slot(NamedTuple):
    """One field of a message, as the schema has it.

    `kind` is protobuf's word: int32, uint32, int64, float, double, bool,
    string, bytes, enum or message.  `default` is None for what repeats and
    for messages; an enum's is its name.  `declared` says that it is written there, and
    not protobuf's own.
    """

    name: str
    kind: str
    repeated: bool
    required: bool
    default: Any
    message: str
    enum: dict[str, int]
    read: "Callable[[Field, Slot], Any]"
    declared: bool = False


@cache
def nearest(name: str, known: tuple[str, ...]) -> str | None:
    """The known name that is nearest to this one; None when no name is near."""
    import difflib

    # What most names end in must not make all of them alike.
    stems = {_stem(one): one for one in known}
    near = difflib.get_close_matches(_stem(name), stems, n=1, cutoff=0.7)
    return stems[near[0]] if near else None


def _stem(name: str) -> str:
    return name.lower().removesuffix("_param")


_INTEGER = re.compile(r"(-?)(?:0[xX]([0-9A-Fa-f]+)|0([0-7]+)|(0|[1-9][0-9]*))")
_FLOAT = re.compile(
    r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fF]?|-?(?:inf|infinity|nan)",
    re.IGNORECASE,
)
_SPACE_IN_NUMBER = re.compile(r"#[^\n]*|\s+")
_BOOLS = {"true": True, "True": True, "t": True, "false": False, "False": False, "f": False}
_RANGES = {
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
}


def _read_integer(field: Field, slot: Slot) -> int:
    low, high = _RANGES[slot.kind]
    value = _integer(field)
    # Caffe's parser refuses even -0 where there is no sign.
    if value is None or not low <= value <= high or (low == 0 and field.raw[0] == "-"):
        raise wrong(field, f"a whole number from {low} to {high}")
    return value


def _integer(field: Field) -> int | None:
    match = _INTEGER.fullmatch(_bare(field))
    if not match:
        return None
    sign, hexadecimal, octal, decimal = match.groups()
    # Python refuses to read thousands of digits; 30 are out of every range already.
    value = int(decimal[:30]) if decimal else int(hexadecimal, 16) if hexadecimal else int(octal, 8)
    return -value if sign else value


def _bare(field: Field) -> str:
    """A scalar as written, without what may stand between a sign and its number."""
    if field.fields is not None:
        return ""
    return _SPACE_IN_NUMBER.sub("", field.raw) if field.raw[0] == "-" else field.raw


def _read_float(field: Field, slot: Slot) -> float:
    bare = _bare(field)
    if not _FLOAT.fullmatch(bare):
        raise wrong(field, "a number")
    return float(bare if bare[-3:].lower() == "inf" else bare.rstrip("fF"))


def _read_bool(field: Field, slot: Slot) -> bool:
    bare = _bare(field)
    value = _BOOLS.get(bare)
    if value is None:
        number = _integer(field) if bare[:1] != "-" else None
        value = bool(number) if number in (0, 1) else None
    if value is None:
        raise wrong(field, "true or false")
    return value


def _read_string(field: Field, slot: Slot) -> str:
    if field.fields is not None or field.raw[:1] not in ('"', "'"):
        raise wrong(field, "a quoted string")
    return field.string


def _read_bytes(field: Field, slot: Slot) -> bytes:
    return _read_string(field, slot).encode("utf-8", "surrogateescape")


def _read_enum(field: Field, slot: Slot) -> str:
    raw = field.raw
    if raw in slot.enum:
        return raw
    number = _integer(field)
    for name, value in slot.enum.items():
        if value == number:
            return name
    near = nearest(raw.strip("\"'"), tuple(slot.enum))
    *names, last = slot.enum
    wanted = (
        f"{', '.join(names)} or {last}"
        if len(names) < 8
        else f"one of {number_of(len(slot.enum), 'name')}"
    )
    raise wrong(field, wanted, remedy=f"did you mean {near}, without quotes?" if near else "")


def read_message(field: Field, slot: Slot) -> Field:
    """The field itself, which is a message.

    Raises PrototxtError where it is a scalar.
    """
    if field.fields is None:
        raise wrong(field, "a message in { }")
    return field


def wrong(field: Field, wanted: str, found: str = "", remedy: str = "") -> PrototxtError:
    """An error at a value that is not what its field takes."""
    shown = found or ("a message" if field.fields is not None else " ".join(field.raw.split()))
    shown = shown if len(shown) <= 40 else shown[:37] + "..."
    fact = f'"{field.name}" takes {wanted}, found {shown}'
    return field.source.error(field.value_start, f"{fact}; {remedy}" if remedy else fact)


READERS = {
    "double": _read_float,
    "float": _read_float,
    "int64": _read_integer,
    "int32": _read_integer,
    "bool": _read_bool,
    "string": _read_string,
    "message": read_message,
    "bytes": _read_bytes,
    "uint32": _read_integer,
    "enum": _read_enum,
}
