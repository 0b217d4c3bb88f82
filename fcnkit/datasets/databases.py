"""LMDBs of Datums, as Caffe's Data layer reads them."""

import contextlib
import re
from collections.abc import Container, Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fcnkit.errors import DatasetError
from fcnkit.formats import datum, lmdbs
from fcnkit.libraries import load
from fcnkit.plural import number_of

if TYPE_CHECKING:
    import numpy

_FIRST_SIZE = 1 << 26
# How many bytes of a key come before the name: the number, and what parts them.
NUMBER = 9
# LMDB takes no longer keys.
_LONGEST_KEY = 511


class Record(NamedTuple):
    """One entry of a database: (channels, height, width) of uint8, or of float32."""

    key: str
    array: "numpy.ndarray"


def key(number: int, name: str) -> bytes:
    """The key of one entry: zero-padded, so that Caffe,
    which goes by the keys' order, reads by number.
    """
    return b"%08d_%b" % (number, name.encode("utf-8", "surrogateescape")[: _LONGEST_KEY - NUMBER])


def encoded(array: "numpy.ndarray") -> bytes:
    """A Datum that holds (channels, height, width) of uint8 as a PNG.

    It is smaller, and Caffe needs OpenCV and more time to read it.
    """
    return datum.written_picture(png(array), array.shape)


def png(array: "numpy.ndarray") -> bytes:
    """A PNG of (channels, height, width) of uint8, of which a colour image's are blue to red."""
    import io

    import numpy as np

    planes = array[0] if len(array) == 1 else np.moveaxis(array[::-1], 0, 2)
    file = io.BytesIO()
    load("PIL.Image").fromarray(np.ascontiguousarray(planes)).save(file, "PNG")
    return file.getvalue()


class DatabaseWriter:
    """An LMDB that grows as entries come; the whole of a batch is there or nothing of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if _size_of(folder):
            with lmdbs.Database(folder) as there:
                there.check()
        with lmdbs.refused(folder):
            self.store = load("lmdb").open(
                str(folder), map_size=max(_FIRST_SIZE, 2 * _size_of(folder))
            )

    def put(self, entries: Sequence[tuple[bytes, bytes]]) -> None:
        """The entries are on the disk; those of the same keys are replaced."""
        with lmdbs.refused(self.folder):
            while not self._put(entries):
                self.store.set_mapsize(self.store.info()["map_size"] * 2)

    def _put(self, entries: Sequence[tuple[bytes, bytes]]) -> bool:
        try:
            with self.store.begin(write=True) as transaction:
                for name, value in entries:
                    transaction.put(name, value)
        except load("lmdb").MapFullError:
            return False
        return True

    def after(self) -> int:
        """The number behind the last entry's; 0 in an empty database."""
        with self.store.begin() as transaction, transaction.cursor() as cursor:
            last = cursor.key() if cursor.last() else b"-0000001"
        if not re.fullmatch(rb"-?[0-9]+", last[:8]):
            fact = f"its last key is {lmdbs.shown(last)}"
            raise DatasetError(f"{self.folder}: is damaged: {fact}; start over with --force")
        return int(last[:8]) + 1

    def cut(self, number: int) -> None:
        """No entry of this number or a higher one is left."""
        with lmdbs.refused(self.folder), self.store.begin(write=True) as transaction:
            cursor = transaction.cursor()
            found = cursor.set_range(b"%08d" % number)
            while found:
                found = cursor.delete()

    def records(self) -> Iterator[Record]:
        """Every entry, in order."""
        with lmdbs.Database(self.folder) as database:
            yield from _records(database)

    def close(self) -> None:
        """The database is closed, and its lock file is gone."""
        self.store.close()
        with contextlib.suppress(OSError):
            (self.folder / "lock.mdb").unlink()


def raw(folder: str | Path) -> Iterator[tuple[str, bytes]]:
    """The key and the bytes of every entry of a database, in the order in which Caffe reads them.

    Raises DatasetError where there is no database, or a damaged one.
    """
    with lmdbs.Database(Path(folder)) as database:
        for name, value in database.entries():
            yield name.decode("utf-8", "replace"), value()


def read(
    folder: str | Path, every: int = 1, *, numbers: Container[int] | None = None
) -> Generator[Record, None, None]:
    """The entries of a database in the order in which Caffe reads them, or every `every`-th,
    or those of these `numbers`, from 0.

    Raises DatasetError where there is no database, or an entry is no image.
    """
    with lmdbs.Database(Path(folder)) as database:
        yield from _records(database, every, numbers)


def _records(
    database: lmdbs.Database, every: int = 1, numbers: Container[int] | None = None
) -> Iterator[Record]:
    # The values in between are not read: the keys alone are passed over.
    for number, (name, value) in enumerate(database.entries()):
        if number % every == 0 and (numbers is None or number in numbers):
            shown = name.decode("utf-8", "replace")
            yield Record(shown, _array(database.folder, shown, value()))


def count(folder: str | Path) -> int:
    """How many entries a database has."""
    with lmdbs.Database(Path(folder)) as database:
        return database.count


def check_channels(folder: str | Path, channels: int, net: str) -> None:
    """A database's first image has as many channels as the net takes; DatasetError otherwise."""
    with lmdbs.Database(Path(folder)) as database:
        record = next(_records(database), None)
    found = len(record.array) if record else channels
    if found == channels:
        return
    word = {(1, 3): "gray", (3, 1): "colour"}.get(
        (found, channels), f"channels={found}" if found > channels else ""
    )
    order = {1: "gray", 3: "bgr"}.get(channels)
    ways = (
        order and f"make the data set with `fcnkit dataset create --order {order}`",
        word and f"change the net with `fcnkit surgery --do {word}`",
    )
    fact = f"{number_of(found, 'channel')}, and {net} takes {number_of(channels, 'channel')}"
    remedy = ", or ".join(filter(None, ways)) or "give images of that many"
    raise DatasetError(f"{folder}: its images have {fact}; {remedy}")


def _array(folder: str | Path, name: str, value: bytes) -> "numpy.ndarray":
    place = f"{folder}: entry {name}"
    try:
        found = datum.read(value)
    except ValueError as error:
        raise DatasetError(f"{place}: {error}; it may be damaged") from None
    if found.values is None:
        return _decoded(place, found.picture)
    return found.values


def whole(record: Record, place: str | Path) -> "numpy.ndarray":
    """The labels of an entry, (height, width), floats cut to whole numbers as Caffe does.

    Raises DatasetError for a number that no label has.
    """
    import numpy as np

    values = record.array[0]
    if values.dtype == np.uint8:
        return values
    cut = np.trunc(values)
    if not ((cut >= 0) & (cut <= 255)).all():
        fact = f"has the label {values[~((cut >= 0) & (cut <= 255))][0]:g}"
        raise DatasetError(f"{place}: {record.key}: {fact}; give classes numbers from 0 to 254")
    return cut.astype(np.uint8)


def _decoded(place: str, data: bytes) -> "numpy.ndarray":
    import io

    import numpy as np

    from fcnkit.datasets.images import opened

    with opened(io.BytesIO(data), f"{place}: its picture") as image:
        values = np.asarray(image)
    return values[None] if values.ndim == 2 else np.moveaxis(values, 2, 0)[::-1]


def _size_of(folder: Path) -> int:
    """The bytes of a database; 0 where there is none."""
    with contextlib.suppress(OSError):
        return (folder / "data.mdb").stat().st_size
    return 0
