"""The messages and enums of Caffe's schema and its forks', by the names that protobuf gives them.

They are of fcnkit's own descriptor pool, so that they live in one process with a real
pycaffe; `google.protobuf.text_format` reads and writes them.
"""

from typing import TYPE_CHECKING

from fcnkit.formats.schema import enums
from fcnkit.formats.with_forks import message, messages

if TYPE_CHECKING:
    from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper


def _enum(name: str) -> "EnumTypeWrapper":
    from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

    return EnumTypeWrapper(DESCRIPTOR.enum_types_by_name[name])


DESCRIPTOR = message("NetParameter").DESCRIPTOR.file
Phase = _enum("Phase")
globals().update({name: message(name) for name in messages()} | enums())
