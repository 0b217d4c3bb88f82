"""Python 2's strings of bytes: bytes that mix with text, as files, sockets and codecs give them."""

import codecs
from collections.abc import Callable, Iterator
from typing import Any, SupportsIndex

# What makes bytes of bytes: codecs of Python 2 that its strings named like encodings of text.
_OF_BYTES = ("base64", "bz2", "hex", "quopri", "uu", "zlib")


def as_bytes(value: Any) -> Any:
    """Text as its bytes; anything else as it is."""
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value


def as_text(value: Any) -> Any:
    """Bytes as text where they are plain ASCII, else as a string of bytes; other things as they
    are.
    """
    if not isinstance(value, bytes):
        return value
    return value.decode() if value.isascii() and b"\0" not in value else ByteString(value)


def _wrapped(value: Any) -> Any:
    if isinstance(value, bytes):
        return ByteString(value)
    if isinstance(value, list | tuple):
        return type(value)(_wrapped(each) for each in value)
    return value


def _taking_text(name: str) -> Callable[..., Any]:
    """The method of bytes, which takes text too and gives strings of bytes."""
    method = getattr(bytes, name)

    def taking_text(self: bytes, *args: Any) -> Any:
        given = (tuple(map(as_bytes, each)) if type(each) is tuple else each for each in args)
        found = method(self, *map(as_bytes, given))
        return found if found is NotImplemented else _wrapped(found)

    return taking_text


class ByteString(bytes):
    """A string of Python 2 that need not be text.

    It compares, adds up and is searched with text, whose bytes are UTF-8; one of its places is
    a string, not a number; and it is bytes wherever those are asked for.
    """

    def __str__(self) -> str:
        return bytes.decode(self, "utf-8", "surrogateescape")

    def __repr__(self) -> str:
        return bytes.__repr__(self)[1:]

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __eq__(self, other: object) -> bool:
        return bytes.__eq__(self, as_bytes(other))

    def __ne__(self, other: object) -> bool:
        return bytes.__ne__(self, as_bytes(other))

    def __hash__(self) -> int:
        return hash(str(self))

    def __getitem__(self, key: SupportsIndex | slice) -> Any:
        if isinstance(key, slice):
            return ByteString(bytes.__getitem__(self, key))
        return ByteString((bytes.__getitem__(self, key),))

    def __iter__(self) -> Iterator[Any]:
        return (ByteString((each,)) for each in bytes.__iter__(self))

    def __radd__(self, left: Any) -> "ByteString":
        return ByteString(as_bytes(left) + bytes(self))

    def __mod__(self, values: Any) -> "ByteString":
        given = values if isinstance(values, tuple | dict) else (values,)
        return ByteString(as_bytes(str(self) % given))

    def join(self, parts: Any) -> "ByteString":
        """The strings, with this one between them."""
        return ByteString(bytes(self).join(map(as_bytes, parts)))

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> Any:
        """The text that it is in this encoding, or the bytes that a codec such as hex gives."""
        return decode(bytes(self), encoding, errors)

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> Any:
        """The string in this encoding, or as a codec such as hex has it."""
        return encode(self, encoding, errors)

    def format(self, *args: Any, **named: Any) -> str:
        """As of text."""
        return str(self).format(*args, **named)

    __add__ = _taking_text("__add__")
    __contains__, __ge__, __gt__ = map(_taking_text, ("__contains__", "__ge__", "__gt__"))
    __le__, __lt__, __mul__ = map(_taking_text, ("__le__", "__lt__", "__mul__"))
    __rmul__, capitalize, center = map(_taking_text, ("__rmul__", "capitalize", "center"))
    count, endswith, expandtabs = map(_taking_text, ("count", "endswith", "expandtabs"))
    find, index, ljust, lower = map(_taking_text, ("find", "index", "ljust", "lower"))
    lstrip, partition, replace = map(_taking_text, ("lstrip", "partition", "replace"))
    rfind, rindex, rjust = map(_taking_text, ("rfind", "rindex", "rjust"))
    rpartition, rsplit, rstrip = map(_taking_text, ("rpartition", "rsplit", "rstrip"))
    split, splitlines, startswith = map(_taking_text, ("split", "splitlines", "startswith"))
    strip, swapcase, title = map(_taking_text, ("strip", "swapcase", "title"))
    upper, zfill = map(_taking_text, ("upper", "zfill"))


def encode(value: Any, encoding: str = "utf-8", errors: str = "strict") -> Any:
    """What value.encode(...) gives: a string, of bytes where it is not plain text."""
    if not isinstance(value, str | bytes):
        return value.encode(*(encoding, errors)[: 2 if errors != "strict" else 1])
    if _is_of_bytes(encoding):
        return as_text(codecs.encode(as_bytes(value), encoding))
    if _kind(encoding) == "rot13":
        return codecs.encode(str(value), "rot13")
    return value if isinstance(value, bytes) else as_text(value.encode(encoding, errors))


def decode(value: Any, encoding: str = "utf-8", errors: str = "strict") -> Any:
    """What value.decode(...) gives: text; what is text already stays so."""
    if not isinstance(value, str | bytes):
        return value.decode(*(encoding, errors)[: 2 if errors != "strict" else 1])
    if _is_of_bytes(encoding):
        return as_text(codecs.decode(as_bytes(value), encoding))
    if isinstance(value, bytes) or _kind(encoding) not in ("utf8", "ascii", "latin1", "iso88591"):
        return codecs.decode(as_bytes(value), encoding, errors)
    return value


def _kind(encoding: str) -> str:
    return encoding.lower().replace("-", "").replace("_", "").removesuffix("codec")


def _is_of_bytes(encoding: str) -> bool:
    return _kind(encoding) in _OF_BYTES
