"""Python 2's strings where they leave the script: StringIO and open take text and bytes alike."""

import builtins
import io
from typing import Any

from fcnkit.pycaffe.python2.byte_strings import ByteString, as_bytes


class StringIO(io.BytesIO):
    """A file in memory: what is read is text where nothing but text was written."""

    def __init__(self, initial: str | bytes = "") -> None:
        self._text = isinstance(initial, str)
        super().__init__(as_bytes(initial))

    def write(self, data: Any) -> int:
        """Text, or bytes."""
        self._text = self._text and isinstance(data, str)
        return super().write(as_bytes(data))

    def writelines(self, lines: Any) -> None:
        """Each of them is written."""
        for line in lines:
            self.write(line)

    def getvalue(self) -> Any:
        """All that it holds."""
        return self._found(super().getvalue())

    def read(self, size: int | None = -1) -> Any:
        """The rest, or so many bytes of it."""
        return self._found(super().read(size))

    def readline(self, size: int | None = -1) -> Any:
        """The rest of the line."""
        return self._found(super().readline(size))

    def readlines(self, hint: int | None = None) -> Any:
        """The rest of the lines."""
        return [self._found(line) for line in super().readlines(hint)]

    def __next__(self) -> Any:
        found = self._found(super().__next__())
        return found if self._text else ByteString(found)

    def _found(self, data: bytes) -> Any:
        return data.decode("utf-8", "surrogateescape") if self._text else data


class _Text(io.TextIOWrapper):
    """A file opened as text: what is not UTF-8 is read as bytes, and bytes are written."""

    def read(self, size: int | None = -1, /) -> Any:
        """The rest, or so many characters of it."""
        return _text_or_bytes(super().read(size))

    def readline(self, size: int = -1, /) -> Any:  # type: ignore[override]
        """The rest of the line."""
        return _text_or_bytes(super().readline(size))

    def readlines(self, hint: int | None = -1, /) -> Any:
        """The rest of the lines."""
        return [_text_or_bytes(line) for line in super().readlines(-1 if hint is None else hint)]

    def __next__(self) -> Any:
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    def xreadlines(self) -> Any:
        """The rest of the lines, as they are asked for."""
        return self

    def write(self, data: Any, /) -> int:
        """Text, or bytes."""
        given = data if isinstance(data, str) else bytes(data).decode("utf-8", "surrogateescape")
        return super().write(given)


class Reader(io.BufferedReader):
    """A file opened for bytes, whose lines are strings."""

    def __next__(self) -> Any:
        return ByteString(super().__next__())


class Pipe(io.BufferedWriter):
    """A file opened for bytes, which takes text too."""

    def write(self, data: Any, /) -> int:
        """Bytes, or text."""
        return super().write(as_bytes(data))


def open(name: Any, mode: str = "r", buffering: int = -1, **named: Any) -> Any:
    """The file, opened; `mode` may say U, as Python 2's could."""
    mode = mode.replace("U", "") or "r"
    if named or isinstance(name, int) or "+" in mode:
        return builtins.open(name, mode, buffering, **named)
    file = io.FileIO(name, mode.replace("b", "").replace("t", ""))
    held = (Reader if "b" in mode else io.BufferedReader)(file) if mode[0] == "r" else Pipe(file)
    return held if "b" in mode else _Text(held, "utf-8", "surrogateescape", newline="\n")


def _text_or_bytes(text: str) -> str | bytes:
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return ByteString(as_bytes(text))
    return text
