"""Caffe's messages with all that forks add to them, for those who write nets of forks.

`schema` alone says what Caffe itself reads.  The forks give one number to different fields,
so here each field of a fork has a number that is nobody's: text is exact, and a binary file
keeps such a field for fcnkit alone.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

from fcnkit.formats import schema
from fcnkit.formats.descriptors import message_class
from fcnkit.formats.values import Slot

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message import Message

# Beyond all numbers of Caffe's fields, and of any fork's; less than protobuf's bound.
_NOBODYS = 1 << 20


@cache
def slots(message_name: str) -> dict[str, Slot]:
    """The fields of a message by name, Caffe's first; its enums with the words of forks.

    Raises KeyError for a name that neither Caffe nor any fork has.
    """
    known, forks = caffes(message_name), schema.fork_slots(message_name)
    if not known and not forks and message_name != "Opaque":
        raise KeyError(message_name)
    words = {
        name: slot._replace(enum=slot.enum | forks[name].enum)
        for name, slot in known.items()
        if name in forks
    }
    return {**known, **forks, **words}


def caffes(message_name: str) -> dict[str, Slot]:
    """The fields of a message that Caffe itself has; none of a fork's own message."""
    try:
        return schema.slots(message_name)
    except KeyError:
        return {}


def messages() -> list[str]:
    """The names of all messages, Caffe's first."""
    return [message.name for message in _file().message_types_by_name.values()]


def message(message_name: str) -> "type[Message]":
    """The class of a message with protobuf's interface.

    Raises KeyError for a name that neither Caffe nor any fork has.
    """
    return message_class(_pool(), f"caffe.{message_name}")


def _file() -> Any:
    return _pool().FindMessageTypeByName("caffe.NetParameter").file


@cache
def _pool() -> "DescriptorPool":
    """One pool of its own, so that it lives in one process with pycaffe."""
    from google.protobuf.descriptor_pb2 import FileDescriptorSet
    from google.protobuf.descriptor_pool import DescriptorPool

    caffe, forks = (
        FileDescriptorSet.FromString(schema.compiled(name)).file[0] for name in ("caffe", "forks")
    )
    known = {message.name: message for message in caffe.message_type}
    for message in forks.message_type:
        _renamed(message)
        if message.name in known:
            _add(known[message.name], message)
        else:
            caffe.message_type.append(message)
    caffe.enum_type.extend(enum for enum in forks.enum_type if enum.name != "Fork")
    pool = DescriptorPool()
    pool.AddSerializedFile(caffe.SerializeToString())
    return pool


def _renamed(message: "DescriptorProto") -> None:
    """What it refers to is in Caffe's package, and its numbers are nobody's."""
    for field in message.field:
        field.number += _NOBODYS
        if field.type_name.startswith(".fcnkit.forks."):
            field.type_name = field.type_name.replace(".fcnkit.forks.", ".caffe.", 1)


def _add(caffes: "DescriptorProto", forks: "DescriptorProto") -> None:
    """The fork's fields and words are Caffe's message's too; Caffe's own stay as they are."""
    fields = {field.name for field in caffes.field}
    caffes.field.extend(field for field in forks.field if field.name not in fields)
    enums = {enum.name: enum for enum in caffes.enum_type}
    for enum in forks.enum_type:
        if enum.name in enums:
            _add_words(enums[enum.name], enum)
        else:
            caffes.enum_type.append(enum)


def _add_words(caffes: "EnumDescriptorProto", forks: "EnumDescriptorProto") -> None:
    known = {value.name for value in caffes.value}
    caffes.value.extend(value for value in forks.value if value.name not in known)
