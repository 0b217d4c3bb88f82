"""struct, which takes text and gives strings of bytes."""

import struct as _struct
from struct import *  # noqa: F403
from typing import Any

from fcnkit.pycaffe.python2.byte_strings import ByteString, as_bytes


def pack(form: str, *values: Any) -> ByteString:  # type: ignore[no-redef]
    """The values as bytes."""
    return ByteString(_struct.pack(form, *map(as_bytes, values)))


def unpack(form: str, data: Any) -> tuple[Any, ...]:  # type: ignore[no-redef]
    """The values that the bytes hold."""
    return _strings(_struct.unpack(form, as_bytes(data)))


def unpack_from(  # type: ignore[no-redef]
    form: str, data: Any, offset: int = 0
) -> tuple[Any, ...]:
    """The values that the bytes hold from there on."""
    return _strings(_struct.unpack_from(form, as_bytes(data), offset))


def _strings(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(ByteString(each) if isinstance(each, bytes) else each for each in values)
