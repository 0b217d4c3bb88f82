"""StringIO of Python 2, which holds text or bytes."""

import io
from typing import Any


class StringIO(io.BytesIO):
    """A file in memory: what is read is text where nothing but text was written."""

    def __init__(self, initial: str | bytes = "") -> None:
        self._text = isinstance(initial, str)
        super().__init__(_bytes(initial))

    def write(self, data: Any) -> int:
        """Text, or bytes."""
        self._text = self._text and isinstance(data, str)
        return super().write(_bytes(data))

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
        return self._found(super().__next__())

    def _found(self, data: bytes) -> Any:
        return data.decode("utf-8", "surrogateescape") if self._text else data


def _bytes(data: Any) -> Any:
    return data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
