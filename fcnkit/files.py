"""Writes files whole or not at all."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from fcnkit.errors import OutputError

# Above this many bytes, waiting for the disk takes longer than all the rest.
_LARGE = 64 << 20
_BEHIND = 8 << 20


class Writer(Protocol):
    """Where a file's bytes go, in order."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Appends the bytes."""


@contextlib.contextmanager
def atomic(path: str | os.PathLike[str], *, force: bool = False, size: int = 0) -> Iterator[Writer]:
    """The file at `path` is afterwards the whole of what was written, or as before.

    What is written has no name until it is whole, or where the system cannot
    do so a temporary one in the same folder, which is removed after any error;
    then it is renamed over the target.  The target may be a file that is open
    for reading.  An overwritten file's permissions and owner are kept;
    other names (hard links) of it keep what it held.  With `size`, room
    for that many bytes is taken first, so that a full disk shows at once.

    What is overwritten is safe from a power cut too: the disk has the new file
    before the old one goes.  A new file of over 64 MB is left to the system to
    write out, as cp does: there is nothing old to lose, and waiting would
    double the time.

    Raises OutputError when the target exists and `force` is not given, or when
    the system refuses (no folder, no permission, no space).
    """
    try:
        target = Path(os.path.realpath(path))
        _permit(path, target, force)
        handle, temporary = _begun(target)
    except (OSError, ValueError) as error:  # ValueError for a name with a zero byte
        raise _refusal(path, error) from None
    try:
        with os.fdopen(handle, "w+b") as file:
            yield from _filled(file, size, target)
            _own(handle, target)
            if hasattr(os, "fchmod"):  # not on Windows before Python 3.13
                os.fchmod(handle, _mode(target))  # after it: a new owner takes some bits away
            if not temporary:
                temporary = _named(handle, target, force)
        if temporary:
            os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise _refusal(path, error) from error.__cause__
        raise


def _begun(target: Path) -> tuple[int, str]:
    """A new file in the target's folder, open, and its name:
    "" on Linux, where it can be without one.

    A file without a name goes with the process that writes it, even a killed one.
    """
    with contextlib.suppress(AttributeError, OSError):
        handle = os.open(target.parent, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        if os.path.exists(f"/proc/self/fd/{handle}"):
            return handle, ""
        os.close(handle)
    name = _hidden(target)
    flags = (
        os.O_RDWR
        | os.O_CREAT
        | os.O_EXCL
        | getattr(os, "O_CLOEXEC", 0)
        | getattr(os, "O_BINARY", 0)
    )
    return os.open(name, flags, 0o600), name


def _hidden(target: Path) -> str:
    """A name beside the target that no file has."""
    return str(target.with_name(f".{target.name[:40]}.{os.urandom(8).hex()}"))


def _named(handle: int, target: Path, force: bool) -> str:
    """A file without a name has that of the target;
    with `force` the one returned, to be renamed.
    """
    name = _hidden(target) if force else ""
    # With a folder given, however absolute the path, Python follows the link: see open(2) on
    # O_TMPFILE.
    os.link(f"/proc/self/fd/{handle}", name or target, src_dir_fd=handle, follow_symlinks=True)
    return name


def _filled(file: BinaryIO, size: int, target: Path) -> Iterator[Writer]:
    """Takes room, yields the writer once, and sees the bytes to where they must be."""
    replacing = os.path.exists(target)
    if size > _BEHIND:
        _reserve(file, size)
    yield _Behind(file) if replacing and size > _BEHIND else file
    file.truncate()
    if replacing or file.tell() <= _LARGE:
        file.flush()
        os.fsync(file.fileno())


def write(path: str | os.PathLike[str], data: bytes, *, force: bool = False) -> None:
    """The file at `path` holds `data`; see `atomic`."""
    with atomic(path, force=force) as file:
        file.write(data)


class _Behind:
    """Writes, and has the disk begin as soon as there is something to do.

    The disk works while the rest is still being written, so that the fsync
    at the end has little left to wait for.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.done = self.begun = 0

    def write(self, data: bytes | memoryview) -> None:
        """Appends the bytes."""
        self.file.write(data)
        self.done += len(data)
        if self.done - self.begun >= _BEHIND and hasattr(os, "posix_fadvise"):
            # Linux starts to write back the dirty pages of a range that is declared unneeded.
            os.posix_fadvise(
                self.file.fileno(), self.begun, self.done - self.begun, os.POSIX_FADV_DONTNEED
            )
            self.begun = self.done


def _reserve(file: BinaryIO, size: int) -> None:
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except AttributeError:  # not on this system
        pass
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise


def _permit(path: str | os.PathLike[str], target: Path, force: bool) -> None:
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


def _refusal(path: str | os.PathLike[str], error: OSError | ValueError) -> OutputError:
    if isinstance(error, OutputError):
        return error
    fact = f"cannot be written: {getattr(error, 'strerror', None) or error}"
    remedy = _REMEDIES.get(getattr(error, "errno", None) or 0)
    return OutputError(f"{path}: {fact}; {remedy}" if remedy else f"{path}: {fact}")


_REMEDIES = {
    errno.ENAMETOOLONG: "give a shorter name",
    errno.ENOENT: "make its folder first",
    errno.ENOTDIR: "name a folder, not a file, before the last /",
    errno.EACCES: "write into a folder of your own",
    errno.EROFS: "write to another disk",
    errno.ENOSPC: "make room, or write to another disk",
}


def _own(handle: int, target: Path) -> None:
    """The file has the owner and the group of the one it replaces, where the system allows it."""
    with contextlib.suppress(OSError, AttributeError):
        old, new = os.stat(target), os.fstat(handle)
        if (old.st_uid, old.st_gid) != (new.st_uid, new.st_gid):
            os.fchown(handle, old.st_uid, old.st_gid)


def _mode(target: Path) -> int:
    with contextlib.suppress(OSError):
        return target.stat().st_mode & 0o7777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
