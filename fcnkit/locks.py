"""Locks between processes, which the system drops when a process ends, however it ends."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock


def taken(path: str | os.PathLike[str]) -> "BaseFileLock | None":
    """The lock on the file at `path`, ours until its `release()`; None where another has it.

    The file is made where there is none, and stays.  Raises OSError where it cannot be.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except (Timeout, RuntimeError):  # the second where it is this thread that has it
        return None
    return lock
