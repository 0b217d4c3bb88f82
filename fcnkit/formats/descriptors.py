"""A compiled .proto: the fields of its messages and the values of its enums.

It is a descriptor set, as protobuf's compiler writes it: messages of
google/protobuf/descriptor.proto, in which a number stands for each kind and
label.  Protobuf can read them too, but takes longer to start than most of
fcnkit's commands take in all.
"""

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from fcnkit.formats import wire

if TYPE_CHECKING:
    from google.protobuf.message import Message

_NAME = 1
_PACKAGE, _MESSAGES, _ENUMS = 2, 4, 5
_FIELDS, _NESTED_ENUMS = 2, 4
_VALUES, _NUMBER = 2, 2
_FIELD_NUMBER, _LABEL, _KIND, _TYPE, _DEFAULT = 3, 4, 5, 6, 7

REQUIRED, REPEATED = 2, 3
# FieldDescriptorProto.Type, those that are in caffe.proto and in forks' of it.
KINDS = {
    1: "double",
    2: "float",
    3: "int64",
    4: "uint64",
    5: "int32",
    8: "bool",
    9: "string",
    11: "message",
    12: "bytes",
    13: "uint32",
    14: "enum",
}


class DeclaredField(NamedTuple):
    """One field of a message as its .proto declares it.

    `type` is the full name of a message or an enum, with a dot before it;
    `default` is as it is written there, None where it is not.
    """

    name: str
    number: int
    kind: str
    label: int
    type: str
    default: str | None


class Descriptors:
    """The one .proto of a descriptor set; a message is read when it is asked for."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        ((_, file),) = self._parts(slice(0, len(data)))
        parts = list(self._parts(file))
        self.package = next(self._text(value) for number, value in parts if number == _PACKAGE)
        self._messages = self._named(value for number, value in parts if number == _MESSAGES)
        self._enums = self._named(value for number, value in parts if number == _ENUMS)

    def messages(self) -> list[str]:
        """The names of all messages, in the order of the .proto."""
        return list(self._messages)

    def enums(self) -> dict[str, int]:
        """The values of all enums that are in no message."""
        return {name: value for enum in self._enums for name, value in self.enum(enum).items()}

    def fields(self, message: str) -> Iterator[DeclaredField]:
        """The fields of a message, in the order of the .proto;
        KeyError where it has no such message.
        """
        return (
            self._field(value)
            for number, value in self._parts(self._messages[message])
            if number == _FIELDS
        )

    def enum(self, name: str) -> dict[str, int]:
        """The values of an enum by name; one that is in a message has its name before a dot."""
        message, _, short = name.rpartition(".")
        enums = self._enums
        if message:
            parts = self._parts(self._messages[message])
            enums = self._named(value for number, value in parts if number == _NESTED_ENUMS)
        values = (value for number, value in self._parts(enums[short]) if number == _VALUES)
        return {self._text(one[_NAME]): one.get(_NUMBER, 0) for one in map(self._one, values)}

    def _field(self, extent: slice) -> DeclaredField:
        one = self._one(extent)
        type_name, default = one.get(_TYPE), one.get(_DEFAULT)
        return DeclaredField(
            self._text(one[_NAME]),
            one[_FIELD_NUMBER],
            KINDS[one[_KIND]],
            one[_LABEL],
            self._text(type_name) if type_name else "",
            self._text(default) if default else None,
        )

    def _named(self, extents: Iterator[slice]) -> dict[str, slice]:
        """Where each message lies, by its name, which protobuf's compiler writes first."""
        return {self._text(next(self._parts(extent))[1]): extent for extent in extents}

    def _one(self, extent: slice) -> dict[int, Any]:
        """The fields of the message that lies there, the last of each number."""
        return dict(self._parts(extent))

    def _parts(self, extent: slice) -> Iterator[tuple[int, Any]]:
        """Every field of the message that lies there:
        its number, and its value or where that lies.
        """
        for field in wire.fields(self._data, extent.start, extent.stop):
            if field.wire == wire.VARINT:
                yield field.number, wire.read_varint(self._data, field.value, field.stop)[0]
            else:
                yield field.number, slice(field.value, field.stop)

    def _text(self, extent: slice) -> str:
        return self._data[extent].decode()


def message_class(pool: Any, name: str) -> "type[Message]":
    """Protobuf's class of the message of this full name in a pool; KeyError where it has none."""
    from google.protobuf import message_factory

    found = pool.FindMessageTypeByName(name)
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(found)
    return _factory(pool).GetPrototype(found)


@cache
def _factory(pool: Any) -> Any:
    """What makes the classes of a pool in protobuf before 4.22: one for all of them."""
    from google.protobuf import message_factory

    return message_factory.MessageFactory(pool)
