"""Files written whole or not at all."""

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from fcnkit.errors import OutputError

_BEHIND = 8 << 20


@contextlib.contextmanager
def atomic(path: str | os.PathLike, *, force: bool = False) -> Iterator[BinaryIO]:
    """The file at `path` is afterwards the whole of what was written, or as before.

    A temporary file in the same folder is written, flushed, synced and renamed
    over the target; it is removed after any error.  The target may be a file
    that is mapped for reading.  An overwritten file's permissions are kept.

    Raises OutputError when the target exists and `force` is not given, or when
    the system refuses (no folder, no permission, no space).
    """
    target = Path(os.path.realpath(path))
    try:
        _permit(path, target, force)
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name[:40]}.", dir=target.parent)
    except OSError as error:
        raise _refusal(path, error) from None
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), _mode(target))
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise _refusal(path, error) from error.__cause__
        raise


def write(path: str | os.PathLike, data: bytes, *, force: bool = False) -> None:
    """The file at `path` holds `data`; see `atomic`."""
    with atomic(path, force=force) as file:
        file.write(data)


def behind(file: BinaryIO, size: int = 0) -> Callable[[bytes | memoryview], None]:
    """A function that writes to `file`, and has the disk begin as soon as there is something to do.

    The disk works while the rest is still being written, so that the fsync
    which makes a large file durable has little left to wait for.  Room for a
    file of `size` bytes is taken at once, so that a full disk shows at the
    beginning and the file lies in one piece.
    """
    done = begun = 0
    if size > _BEHIND:
        _reserve(file, size)

    def write(data: bytes | memoryview) -> None:
        nonlocal done, begun
        file.write(data)
        done += len(data)
        if done - begun >= _BEHIND and hasattr(os, "posix_fadvise"):
            # Linux starts to write back the dirty pages of a range that is declared unneeded.
            os.posix_fadvise(file.fileno(), begun, done - begun, os.POSIX_FADV_DONTNEED)
            begun = done

    return write


def _reserve(file: BinaryIO, size: int) -> None:
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except AttributeError:  # not on this system
        pass
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise


def _permit(path: str | os.PathLike, target: Path, force: bool) -> None:
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise OutputError(f"{path}: is a folder; name a file in it")
    if not stat.S_ISREG(mode):
        # A rename over /dev/null would leave the system without one.
        raise OutputError(f"{path}: is a device or a pipe; name a file")
    if not force:
        raise OutputError(f"{path}: exists; give another name, or --force to overwrite it")


def _refusal(path: str | os.PathLike, error: OSError) -> OutputError:
    if isinstance(error, OutputError):
        return error
    return OutputError(f"{path}: cannot be written: {error.strerror or error}")


def _mode(target: Path) -> int:
    with contextlib.suppress(OSError):
        return target.stat().st_mode & 0o7777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
