"""Standard output and error as a command needs them, whatever they are connected to.

A reader that has gone, as in `| head`, is no failure of the work: what else
would be written to it is dropped.  Anything else that keeps the output from being
written, a full disk or a closed descriptor, is a failure.
"""

import contextlib
import io
import os
import sys
from typing import Any

from fcnkit.errors import OutputError
from fcnkit.foreign import reason


class _Unwritable(Exception):
    """Standard output takes nothing; no OSError, of which click would make a status of its own."""


class _Out(io.FileIO):
    """A descriptor that drops what nobody reads any more."""

    def write(self, data: Any, /) -> int:
        """All of the bytes are written, or nobody is there to read them."""
        try:
            return super().write(data)
        except BrokenPipeError:
            _drop(self.fileno())
        except OSError as error:
            _drop(self.fileno())  # or Python would fail a second time as it ends
            raise _Unwritable(reason(error)) from None
        return len(memoryview(data).cast("B"))


class _Error(_Out):
    """A descriptor that drops what it cannot take: there is nowhere to say so."""

    def write(self, data: Any, /) -> int:
        """The bytes are written, or not."""
        with contextlib.suppress(_Unwritable):
            return super().write(data)
        return len(memoryview(data).cast("B"))


def _drop(descriptor: int) -> None:
    """Whatever is written to this descriptor from now on is gone."""
    with contextlib.suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)


def prepare() -> None:
    """Standard input, output and error are open, and take any character."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # Else the next file that is opened would have its number.  It is read only, so that
            # what is written to it fails.
            os.open(os.devnull, os.O_RDONLY)
    if sys.stdin is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)))
    sys.stdout = _text(_Out(1, "w", closefd=False), sys.stdout)
    sys.stderr = _text(_Error(2, "w", closefd=False), sys.stderr)


def _text(raw: io.FileIO, before: Any) -> io.TextIOWrapper:
    """Text on a descriptor, in the encoding that Python has chosen for it."""
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(before, "encoding", None) or "utf-8",
        errors="backslashreplace",
        line_buffering=raw.isatty(),
    )


@contextlib.contextmanager
def written():
    """All that is said is written when the block ends; OutputError where it cannot be."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except _Unwritable as error:
        raise OutputError(
            f"standard output cannot be written: {error}; check that it is open and the disk is "
            "not full"
        ) from None
