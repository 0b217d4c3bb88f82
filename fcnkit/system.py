"""What systems do in different ways: files read from a place in them, on Windows too."""

import os
import threading

READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
"""How a file is opened to be read, byte for byte."""

_AT_ONCE = threading.Lock()


def read_at(file: int, size: int, place: int) -> bytes:
    """At most `size` bytes of an open file from `place` on; fewer where it ends before."""
    if hasattr(os, "pread"):
        return os.pread(file, size, place)
    with _AT_ONCE:  # the place is the file's, for all threads
        os.lseek(file, place, os.SEEK_SET)
        return os.read(file, size)


def read_into(file: int, buffer: memoryview, place: int) -> int:
    """How many bytes of an open file are now in the buffer, those from `place` on."""
    if hasattr(os, "preadv"):
        return os.preadv(file, [buffer], place)
    data = read_at(file, len(buffer), place)
    buffer[: len(data)] = data
    return len(data)
