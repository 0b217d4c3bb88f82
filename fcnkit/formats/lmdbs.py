"""Reads LMDBs page by page, without mapping them: whatever stands in one, the process lives.

LMDB's own library maps the file and follows the numbers in it unchecked, so
that one wrong byte ends the process by SIGBUS or an assertion.  Here every
page is read by its number, and every number is compared with the file before
it is used.  That costs a system call for each leaf and each large value; no
more of a file is read than is asked for.

The layout is that of LMDB 0.9 on machines of 64 bits, lmdb.h's MDB_DATA_VERSION
1: https://github.com/LMDB/lmdb/blob/LMDB_0.9/libraries/liblmdb/mdb.c.
"""

import contextlib
import io
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from fcnkit.errors import DatasetError, OutputError
from fcnkit.formats import signature
from fcnkit.libraries import load
from fcnkit.plural import number_of
from fcnkit.system import read_at

Entry = tuple[bytes, Callable[[], bytes]]

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_NO_PAGE = (1 << 64) - 1
_SMALLEST, _LARGEST = 256, 1 << 16
# What a page is.
_BRANCH, _LEAF, _OVERFLOW, _META = 1, 2, 4, 8
# With those of lists within a value; the bits beside these say that a page is being changed.
_KINDS = 0x6F
# A leaf's value stands on pages of its own.
_BIG = 1
# What the list of free pages is kept under: numbers.
_INTEGER_KEYS = 8
# LMDB's cursors go no deeper.
_DEEPEST = 32

_HEADER = struct.Struct("<QHHHH")  # number, unused, kind, where its free room begins, ends
_HEAD = struct.Struct("<IIQQ")  # magic, version, address, size of the map
_TREE = struct.Struct("<IHHQQQQQ")  # page size, flags, depth, pages of three kinds, entries, root
_NODE = struct.Struct("<HHHH")  # lower and upper half of a size, flags, size of the key
_TAIL = struct.Struct("<QQ")  # last page, number of the transaction
_META_SIZE = _HEADER.size + _HEAD.size + 2 * _TREE.size + _TAIL.size


class _Tree(NamedTuple):
    """One of the two trees of pages in a file: the free pages, and the entries."""

    flags: int
    depth: int
    entries: int
    root: int


class _Meta(NamedTuple):
    """What one of the first two pages says of the file."""

    page_size: int
    free: _Tree
    main: _Tree
    last: int
    transaction: int


class Database:
    """An LMDB open for reading; its entries come in the order of their keys, as Caffe reads them.

    Every method raises DatasetError where the file says what it cannot.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / "data.mdb"
        if not os.path.isfile(path):
            found = signature.refusal_at(signature.DATABASE, folder)
            raise DatasetError(f"{folder}: is not an LMDB; {found or signature.DATABASE.remedy}")
        try:
            self._file = io.FileIO(path)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be used: {error.strerror}") from None
        try:
            self._meta = self._newest()
            self._check_size()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """The file is closed."""
        self._file.close()

    @property
    def count(self) -> int:
        """How many entries there are."""
        return self._meta.main.entries

    def entries(self) -> Iterator[Entry]:
        """Every key, and what reads its value."""
        return self._entries(self._meta.main)

    def check(self) -> None:
        """All pages but those of large values have been read, and are as LMDB writes them."""
        for _ in self.entries():
            pass
        for _, read in self._entries(self._meta.free):
            self._check_free(read())

    # ---- the first two pages

    def _newest(self) -> _Meta:
        first = self._meta_at(0)
        second = self._meta_at(first.page_size)
        if second.page_size != first.page_size:
            raise self._damaged("its first two pages differ in their size")
        return max(first, second, key=lambda meta: meta.transaction)

    def _meta_at(self, place: int) -> _Meta:
        data = self._read(place, _META_SIZE)
        _, _, kind, _, _ = _HEADER.unpack_from(data)
        magic, version, _, _ = _HEAD.unpack_from(data, _HEADER.size)
        if kind & _META == 0 or magic != _MAGIC:
            raise self._damaged("it does not begin as an LMDB")
        if version != _VERSION:
            raise DatasetError(
                f"{self.folder}: is of version {version} of LMDB's files, and Caffe reads "
                f"{_VERSION}; create it again with LMDB 0.9"
            )
        trees = [
            _TREE.unpack_from(data, _HEADER.size + _HEAD.size + n * _TREE.size) for n in (0, 1)
        ]
        last, transaction = _TAIL.unpack_from(data, _META_SIZE - _TAIL.size)
        size = trees[0][0]
        if not _SMALLEST <= size <= _LARGEST or size & (size - 1):
            raise self._damaged(f"its pages have {size:,} bytes")
        free, main = (_Tree(tree[1], tree[2], tree[6], tree[7]) for tree in trees)
        if main.flags:
            raise DatasetError(
                f"{self.folder}: has keys that are numbers or repeat, which Caffe does not read; "
                f"make it again"
            )
        return _Meta(size, free, main, last, transaction)

    def _check_size(self) -> None:
        needed = (self._meta.last + 1) * self._meta.page_size
        found = os.fstat(self._file.fileno()).st_size
        # An empty database that was just made has but its first two pages.
        if found < needed and self.count:
            raise DatasetError(
                f"{self.folder}: is cut off: {found:,} of {number_of(needed, 'byte')}; make it "
                "again"
            )

    # ---- the trees

    def _entries(self, tree: _Tree) -> Iterator[Entry]:
        """The entries of one tree.

        That keys ascend is checked, which ends every loop: a page that is met
        a second time has the keys of the first.
        """
        before: bytes | None = None
        count = 0
        for key, read in self._below(tree.root, tree.depth) if tree.root != _NO_PAGE else ():
            # Numbers are kept little-endian.
            order = key[::-1] if tree.flags & _INTEGER_KEYS else key
            if before is not None and order <= before:
                raise self._damaged(f"its keys do not ascend at {shown(key)}")
            before, count = order, count + 1
            yield key, read
        if count != tree.entries:
            raise self._damaged(f"it holds {number_of(count, 'entry')}, and says {tree.entries:,}")

    def _below(self, number: int, depth: int) -> Iterator[Entry]:
        """The entries below a page that is `depth` pages away from the last, itself counted."""
        if not 1 <= depth <= _DEEPEST:
            raise self._damaged(f"its tree has a depth of {depth:,}")
        page = self._page(number, _LEAF if depth == 1 else _BRANCH)
        for place in self._places(number, page):
            if depth == 1:
                yield self._leaf(number, page, place)
            else:
                low, high, highest, _ = _NODE.unpack_from(page, place)
                yield from self._below(low | high << 16 | highest << 32, depth - 1)

    def _page(self, number: int, kind: int) -> bytes:
        if not 2 <= number <= self._meta.last:
            raise self._damaged(f"it leads to page {number:,} of {self._meta.last + 1:,}")
        page = self._read(number * self._meta.page_size, self._meta.page_size)
        its, _, found, _, _ = _HEADER.unpack_from(page)
        if its != number or found & _KINDS != kind:
            raise self._damaged(f"page {number:,} is not what leads to it says")
        return page

    def _places(self, number: int, page: bytes) -> tuple[int, ...]:
        """Where the nodes of a page begin."""
        _, _, _, lower, upper = _HEADER.unpack_from(page)
        if not _HEADER.size < lower <= upper <= len(page) or lower % 2:
            raise self._damaged(f"page {number:,} has room from {lower} to {upper}")
        places = struct.unpack_from(f"<{(lower - _HEADER.size) // 2}H", page, _HEADER.size)
        if min(places) < upper or max(places) + _NODE.size > len(page):
            raise self._damaged(f"page {number:,} has a node outside")
        return places

    def _leaf(self, number: int, page: bytes, place: int) -> Entry:
        low, high, flags, key_size = _NODE.unpack_from(page, place)
        size, start = low | high << 16, place + _NODE.size + key_size
        if flags & ~_BIG:
            raise DatasetError(
                f"{self.folder}: holds several databases, of which Caffe reads none; make it again"
            )
        if start + (8 if flags else size) > len(page):
            raise self._damaged(f"page {number:,} has an entry that is longer than it")
        key = page[place + _NODE.size : start]
        if not flags:
            return key, lambda: page[start : start + size]
        (first,) = struct.unpack_from("<Q", page, start)
        return key, lambda: self._large(first, size)

    def _large(self, first: int, size: int) -> bytes:
        """A value of `size` bytes that stands on pages of its own."""
        page_size = self._meta.page_size
        pages = (_HEADER.size - 1 + size) // page_size + 1
        if not 2 <= first <= self._meta.last + 1 - pages:
            raise self._damaged(f"a value is at page {first:,} of {self._meta.last + 1:,}")
        its, _, kind, low, high = _HEADER.unpack(self._read(first * page_size, _HEADER.size))
        if its != first or kind & _KINDS != _OVERFLOW or low | high << 16 != pages:
            raise self._damaged(f"page {first:,} does not begin a value of {size:,} bytes")
        return self._read(first * page_size + _HEADER.size, size)

    def _check_free(self, value: bytes) -> None:
        """A list of free pages: how many, and their numbers, each in the file, descending."""
        count, *pages = struct.unpack(f"<{len(value) // 8}Q", value[: len(value) // 8 * 8]) or (1,)
        listed = pages[:count]
        inside = all(2 <= each <= self._meta.last for each in listed)
        if len(listed) != count or not inside or sorted(set(listed), reverse=True) != listed:
            raise self._damaged("its list of free pages is wrong")

    # ---- the file

    def _read(self, place: int, size: int) -> bytes:
        try:
            data = read_at(self._file.fileno(), size, place)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise DatasetError(f"{self.folder}: cannot be read: {reason}") from None
        if len(data) < size:
            raise self._damaged(f"it ends before byte {place + size:,}")
        return data

    def _damaged(self, fact: str) -> DatasetError:
        return DatasetError(f"{self.folder}: is damaged: {fact}; make it again")


def shown(key: bytes) -> str:
    """A key as messages quote it."""
    return ascii(key[:80].decode("utf-8", "replace"))


@contextlib.contextmanager
def refused(folder: Path) -> Iterator[None]:
    """What LMDB raises as it writes is an OutputError: a disk that does not take it."""
    try:
        yield
    except load("lmdb").Error as error:
        raise OutputError(
            f"{folder}: cannot be used: {error}; check the permissions and that the disk has room"
        ) from None
