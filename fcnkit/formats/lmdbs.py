"""Opens LMDBs for reading: only whole ones, and LMDB's errors become errors of fcnkit."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from fcnkit.errors import DatasetError, OutputError
from fcnkit.libraries import load

if TYPE_CHECKING:
    import lmdb

# What LMDB says where a file is no database, or holds what it cannot.
_DAMAGE = (
    "CorruptedError",
    "InvalidError",
    "PageNotFoundError",
    "PanicError",
    "VersionMismatchError",
)


def opened(folder: Path) -> "lmdb.Environment":
    """The database in a folder, to be read.

    Raises DatasetError where there is none, or only a part of one.
    """
    if not (folder / "data.mdb").is_file():
        raise DatasetError(f"{folder}: is no LMDB; name a folder that holds data.mdb")
    with refused(folder):
        store = load("lmdb").open(str(folder), readonly=True, lock=False)
    check_whole(folder, store)
    return store


def check_whole(folder: Path, store: "lmdb.Environment") -> None:
    """The file has all its pages: to read one behind the file's end would end this process.

    Raises DatasetError where it has not, and closes the database.
    """
    needed = (store.info()["last_pgno"] + 1) * store.stat()["psize"]
    found = (folder / "data.mdb").stat().st_size
    if found < needed and store.stat()["entries"]:
        store.close()
        raise DatasetError(f"{folder}: is cut off: {found:,} of {needed:,} bytes; make it anew")


@contextlib.contextmanager
def refused(folder: Path) -> Iterator[None]:
    """What LMDB raises is an error of ours: damage, or a disk that does not take or give it."""
    module = load("lmdb")
    try:
        yield
    except tuple(getattr(module, name) for name in _DAMAGE) as error:
        raise DatasetError(f"{folder}: is damaged: {error}; make it anew") from None
    except module.Error as error:
        raise OutputError(
            f"{folder}: cannot be used: {error}; is there room, and permission?"
        ) from None
