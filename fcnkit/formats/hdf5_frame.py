"""Makes a new .caffemodel.h5 except for its values: groups, headers, and a place for each blob.

HDF5 writes into `Sparse`, a file in memory, because HDF5 ends the process when
a disk is full.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fcnkit.errors import WeightsError, printable
from fcnkit.formats.hdf5 import DEEPEST, types
from fcnkit.shape import Shape

if TYPE_CHECKING:
    from h5py.h5g import GroupID


class Frame(NamedTuple):
    """A .caffemodel.h5 of `size` bytes without its values;
    those of each blob go to its place in `starts`.
    """

    size: int
    starts: list[list[int]]
    rest: "Sparse"

    def between(self, start: int, stop: int) -> bytes:
        """What stands at [start, stop), where no values are."""
        self.rest.seek(start)
        return self.rest.read(stop - start)


class Sparse:
    """A file in memory that takes room only where something was written;
    what h5py asks of a file.
    """

    PAGE = 4096

    def __init__(self) -> None:
        self.pages: dict[int, bytearray] = {}
        self.at = self.size = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """The next byte is the one at `offset`."""
        self.at = offset + (0, self.at, self.size)[whence]
        return self.at

    def tell(self) -> int:
        """Which byte is next."""
        return self.at

    def truncate(self, size: int) -> None:
        """The file ends at byte `size`."""
        self.size = size

    def flush(self) -> None:
        """Nothing has to be done."""

    def write(self, data: memoryview) -> None:
        """The next bytes are these."""
        for number, offset, part in self._parts(len(data)):
            page = self.pages.setdefault(number, bytearray(self.PAGE))
            page[offset : offset + len(part)] = data[part.start : part.stop]
        self.size = max(self.size, self.at)

    def read(self, length: int) -> bytes:
        """The next `length` bytes, zero where nothing was written."""
        empty = bytes(self.PAGE)
        return b"".join(
            self.pages.get(page, empty)[offset : offset + len(part)]
            for page, offset, part in self._parts(length)
        )

    def readinto(self, buffer: memoryview) -> None:
        """The buffer holds the next bytes."""
        buffer[:] = self.read(len(buffer))

    def _parts(self, length: int) -> Iterator[tuple[int, int, range]]:
        """The next `length` bytes by pages:
        which one, from where in it, and which of these bytes.
        """
        done = 0
        while done < length:
            page, offset = divmod(self.at, self.PAGE)
            part = range(done, min(length, done + self.PAGE - offset))
            yield page, offset, part
            done = part.stop
            self.at += len(part)


Slot = tuple[Shape, str]


def frame(layers: Iterable[tuple[str, Sequence[Slot]]]) -> Frame:
    """All of a .caffemodel.h5 but its values.

    `layers` gives (name, [(shape, dtype) of each blob]); dtype is "float32" or
    "float64".  The same layers give the same bytes.  Raises WeightsError for a
    name that cannot be a group.
    """
    import h5py

    rest = Sparse()
    with h5py.File(rest, "w", libver=("earliest", "v108")) as file:
        data = h5py.h5g.create(file.id, b"data")
        starts = [_framed(data, name, blobs) for name, blobs in layers]
    return Frame(rest.size, starts, rest)


def _framed(data: "GroupID", name: str, blobs: Sequence[Slot]) -> list[int]:
    parts = name.split("/")
    if "\0" in name or not {"", "."}.isdisjoint(parts) or len(parts) > DEEPEST:
        fact = "its name cannot be that of a group in HDF5"
        raise WeightsError(f'layer "{printable(name)}": {fact}; rename it first')
    try:
        group = _nested(data, [part.encode("utf-8", "surrogateescape") for part in parts])
        return [_reserved(group, number, *blob) for number, blob in enumerate(blobs)]
    except (TypeError, ValueError, KeyError) as error:
        fact = f"its name or a blob of it is taken in HDF5 ({error})"
        raise WeightsError(
            f'layer "{printable(name)}": {fact}; rename one of the layers first'
        ) from None


def _nested(group: "GroupID", names: Sequence[bytes]) -> "GroupID":
    """The group at the end of these names, made where it is not there."""
    from h5py import h5g

    for name in names:
        group = h5g.open(group, name) if group.links.exists(name) else h5g.create(group, name)
    return group


def _reserved(group: "GroupID", number: int, shape: Shape, dtype: str) -> int:
    """Where the values of a new, empty dataset go."""
    from h5py import h5d, h5p, h5s

    how = h5p.create(h5p.DATASET_CREATE)
    how.set_layout(h5d.CONTIGUOUS)
    how.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    how.set_fill_time(h5d.FILL_TIME_NEVER)
    how.set_obj_track_times(False)
    space = h5s.create_simple(shape) if shape else h5s.create(h5s.SCALAR)
    dataset = h5d.create(group, b"%d" % number, types()[dtype], space, how)
    return dataset.get_offset() or 0
