"""The fields of a layer, as keywords give them: checked by the schema, without protobuf.

Those that forks add are known too.

A message is a dict of its fields that are given; a field that repeats is a list.  Numbers
are taken as pycaffe takes them, numpy's too.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from operator import index
from typing import TYPE_CHECKING, Any, NamedTuple

from fcnkit.formats.binary import shortest
from fcnkit.formats.prototxt import STYLE, Word, literal
from fcnkit.formats.values import Slot, nearest
from fcnkit.formats.with_forks import caffes, slots

if TYPE_CHECKING:
    from google.protobuf.message import Message

Fields = dict[str, Any]


class Written(NamedTuple):
    """A layer with all its names: its fields, and what stands above it as a comment."""

    fields: Fields
    comment: str


LAYER = "LayerParameter"
_MESSAGE, _FIELD = "Parameter", "_param"
_RANGES = {
    "int32": (-(1 << 31), 1 << 31),
    "int64": (-(1 << 63), 1 << 63),
    "uint32": (0, 1 << 32),
    "bool": (-(1 << 63), 1 << 63),
    "enum": (0, 0),
}
# A message stands on a line of its own where it is no longer.
_WIDTH = 80


@cache
def own_fields() -> Mapping[str, str]:
    """The field of LayerParameter with the parameters of a type, by the name of the type.

    A type without a message of its own, such as Deconvolution, has none.
    """
    found: dict[str, str] = {}
    for name, slot in slots(LAYER).items():
        if name.endswith(_FIELD) and slot.message.endswith(_MESSAGE):
            found.setdefault(slot.message.removesuffix(_MESSAGE), name)  # Caffe's come first
    return found


def layer_fields(type_name: str, given: Mapping[str, Any], *, short: bool = False) -> Fields:
    """The fields of a layer of this type, by the keywords that give them.

    A name that ends in param is the layer's; another its type's own, or else the layer's.
    With `short`, those of a message that the type shares, as Deconvolution does Convolution's,
    need not stand in it: coord_map reads them so, and a net with them is refused.

    Raises AttributeError for a field that there is not, TypeError and ValueError for a
    value that it does not take.
    """
    own = own_fields().get(type_name) or (_shared(type_name) if short else None)
    of_type = slots(slots(LAYER)[own].message) if own else {}
    found: Fields = {}
    for name, value in given.items():
        if own and name in of_type and not name.endswith("param"):
            _assign(found, LAYER, own, {name: value})
        elif name in slots(LAYER):
            _assign(found, LAYER, name, value)
        else:
            raise AttributeError(_unknown(type_name, name, (*of_type, *slots(LAYER))))
    return found


def _unknown(type_name: str, name: str, known: tuple[str, ...]) -> str:
    fact = f"{type_name} has no field {name}{_hint(name, known)}"
    if type_name in own_fields():
        return fact
    shared = _shared(type_name)
    if shared:
        return f"{fact}; fields of this type are in {shared}=dict(...)"
    from fcnkit.nets.layers.table import TYPES

    if type_name in TYPES:
        return f"{fact}; it has none but those of every layer"
    return f"Caffe has no layer type {type_name}{_hint(type_name, tuple(TYPES))}"


def _shared(type_name: str) -> str | None:
    """The message of a type that has none of its own; None where it has none at all."""
    from fcnkit.nets.layers.table import TYPES

    kind = TYPES.get(type_name)
    return kind.message or None if kind else None


def _hint(name: str, known: tuple[str, ...]) -> str:
    near = nearest(name, known)
    return f'; did you mean "{near}"?' if near else ""


# ---- values


def _assign(found: Fields, message_name: str, name: str, value: Any) -> None:
    """The field has this value too: a dict is a message, a list repeats.

    What is given twice is merged as in protobuf.
    """
    slot = slots(message_name).get(name)
    if slot is None:
        near = _hint(name, tuple(slots(message_name)))
        raise AttributeError(f"{message_name} has no field {name}{near}")
    if slot.repeated:
        values = value if isinstance(value, list) else [value]
        if not values:
            raise IndexError(f"{name} is an empty list; leave it out")
        found.setdefault(name, []).extend(_value(message_name, slot, each) for each in values)
    elif isinstance(value, Mapping) and (slot.message or not value):
        inner = found.get(name, {})
        for key, each in value.items():
            _assign(inner, slot.message, key, each)
        if inner:  # an empty one says nothing, as in pycaffe
            found[name] = inner
    else:
        found[name] = _value(message_name, slot, value)


def _value(message_name: str, slot: Slot, value: Any) -> Any:
    """One value of the field, as Python's own int, float, bool, str or dict."""
    if slot.message or isinstance(value, Mapping):
        if slot.message and isinstance(value, Mapping):
            inner: Fields = {}
            for key, each in value.items():
                _assign(inner, slot.message, key, each)
            return inner
        wanted = "a dict" if slot.message else _KINDS[slot.kind]
        raised = TypeError if slot.repeated and not isinstance(value, Mapping) else AttributeError
        raise raised(_wrong(slot, wanted, value))
    if isinstance(value, list):
        raise AttributeError(_wrong(slot, _wanted(message_name, slot), value))
    if getattr(value, "size", None) == 1 and hasattr(value, "item"):
        value = value.item()  # a number of numpy's
    return _scalar(message_name, slot, value)


def _scalar(message_name: str, slot: Slot, value: Any) -> Any:
    if slot.kind in ("string", "bytes"):
        return _text(slot, value)
    if isinstance(value, str | bytes | bytearray | None):
        raise TypeError(_wrong(slot, _wanted(message_name, slot), value))
    try:
        if slot.kind == "float":
            return float(value)
        number = int(value) if slot.kind == "bool" else index(value)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(_wrong(slot, _wanted(message_name, slot), value)) from None
    low, high = _RANGES[slot.kind]
    if number not in slot.enum.values() if slot.enum else not low <= number < high:
        raised = TypeError if slot.kind == "bool" else ValueError
        raise raised(_wrong(slot, _wanted(message_name, slot), value))
    return bool(number) if slot.kind == "bool" else number


def _text(slot: Slot, value: Any) -> str:
    if not isinstance(value, str | bytes):
        raise TypeError(_wrong(slot, _KINDS[slot.kind], value))
    try:
        return value.encode().decode() if isinstance(value, str) else value.decode()
    except UnicodeDecodeError:
        raise ValueError(_wrong(slot, "text in UTF-8", value)) from None


_KINDS = {
    "int32": "a whole number",
    "int64": "a whole number",
    "uint32": "a whole number, 0 or more",
    "float": "a number",
    "bool": "True or False",
    "string": "a string",
    "bytes": "a string",
    "enum": "a number",
}


def _wanted(message_name: str, slot: Slot) -> str:
    """What the field takes; an enum's values as a script writes them."""
    if not slot.enum:
        return _KINDS[slot.kind]
    words = caffes(message_name).get(slot.name, slot).enum
    *names, last = (f"{_place(message_name, slot)}{name}" for name in words)
    return f"{', '.join(names)} or {last}" if names else last


def _place(message_name: str, slot: Slot) -> str:
    """Where a script finds the values of an enum."""
    return "caffe." if "TRAIN" in slot.enum else f"P.{message_name.removesuffix(_MESSAGE)}."


def _wrong(slot: Slot, wanted: str, value: Any) -> str:
    shown = repr(value)
    shown = shown if len(shown) < 60 else f"{shown[:57]}..."
    remedy = "; write a list" if slot.repeated and isinstance(value, tuple) else ""
    return f"{slot.name} takes {wanted}; found {shown}{remedy}"


# ---- as protobuf's message, and as text


def fill(owner: "Message", fields: Fields) -> None:
    """The message has these fields, which are checked."""
    for name, value in fields.items():
        if isinstance(value, dict):
            fill(getattr(owner, name), value)
        elif not isinstance(value, list):
            setattr(owner, name, value)
        elif isinstance(value[0], dict):
            for each in value:
                fill(getattr(owner, name).add(), each)
        else:
            getattr(owner, name).extend(value)


def text(fields: Fields, message_name: str, order: Sequence[str] = (), depth: int = 0) -> str:
    """The fields as lines of text, those of `order` first, the others as Caffe's schema has them.

    An enum has its name, a float the shortest number that 32 bits round to it.
    """
    known = slots(message_name)
    names = [*order, *(name for name in known if name not in order)]
    pad = STYLE.indent * depth
    lines = []
    for name in (name for name in names if name in fields):
        value, slot = fields[name], known[name]
        for each in value if isinstance(value, list) else [value]:
            lines.append(f"{pad}{_field(slot, each, depth)}\n")
    return "".join(lines)


def _field(slot: Slot, value: Any, depth: int) -> str:
    """One field; a message of values alone, or of one message, on a line where it fits."""
    if not slot.message:
        return f"{slot.name}: {_literal(slot, value)}"
    line = _line(slot, value)
    if line and len(STYLE.indent) * depth + len(line) <= _WIDTH:
        return line
    inside = text(value, slot.message, depth=depth + 1)
    return f"{slot.name} {{\n{inside}{STYLE.indent * depth}}}"


def _line(slot: Slot, value: Fields) -> str:
    """The message on one line; "" where it is no such message."""
    known = slots(slot.message)
    parts = [
        (known[name], each)
        for name in known
        if name in value
        for each in (value[name] if isinstance(value[name], list) else [value[name]])
    ]
    if len(parts) > 1 and any(inner.message for inner, _ in parts):
        return ""
    shown = [_line(*part) if part[0].message else _field(*part, 0) for part in parts]
    return f"{slot.name} {{ {''.join(f'{each} ' for each in shown)}}}" if all(shown) else ""


def _literal(slot: Slot, value: Any) -> str:
    if slot.enum:
        return next(name for name, number in slot.enum.items() if number == value)
    return literal(Word(shortest(value)) if slot.kind == "float" else value)
