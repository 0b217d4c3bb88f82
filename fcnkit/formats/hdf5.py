"""Finds every blob of a .caffemodel.h5, data/<layer>/<number>, by its place in the file.

h5py reads the groups; the values of each blob are one stretch of the file.
Only files as Caffe writes them are accepted: no compression, no values in
another file, no soft or external links.  So no name in the file opens another
file, and no tensor is larger than the file.  A "/" in a layer's name makes
nested groups.

HDF5 itself never touches a file on disk.  It reads through `_Whole`, because
h5py fills in memory contents where a file ends too early.
"""

import io
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fcnkit.errors import WeightsError, printable
from fcnkit.foreign import refusing
from fcnkit.plural import number_of
from fcnkit.shape import Shape

if TYPE_CHECKING:
    import h5py
    from h5py.h5d import DatasetID
    from h5py.h5g import GroupID
    from h5py.h5t import TypeID

MAGIC = b"\x89HDF\r\n\x1a\n"
AGAIN = "the file is damaged or cut short, get it again"
_REPACK = "write it plainly (h5repack -f NONE -l CONTI OLD NEW)"
_SHARED = "Caffe leaves out a blob that another layer shares: give the binary caffemodel"
_LARGEST_COUNT = 2**31 - 1
DEEPEST = 32
"""How many groups may stand in each other."""


class Dataset(NamedTuple):
    """One blob: its shape, its type, and the place [start,
    stop) of its values; `byte` is its header's.
    """

    shape: Shape
    dtype: str
    start: int
    stop: int
    byte: int


class Group(NamedTuple):
    """One layer and its blobs in order."""

    name: str
    datasets: tuple[Dataset, ...]


class _Fault(Exception):
    """A group or dataset is not as Caffe makes it;
    `place` names it, `byte` is where its header stands.
    """

    def __init__(self, place: str, byte: int, fact: str) -> None:
        super().__init__(fact)
        self.place, self.byte, self.fact = place, byte, fact


class _Whole(io.FileIO):
    """A file that gives all the bytes it is asked for, or an error."""

    def readinto(self, buffer: Any) -> int:
        """The buffer is full; OSError where the file ends before."""
        if super().readinto(buffer) != len(buffer):
            raise OSError("it ends in the middle of its headers")
        return len(buffer)


def scan(file: int, path: str) -> tuple[Group, ...]:
    """Every layer, blob, shape and stretch of values of an open file is known; no value is read.

    `file` is its descriptor, `path` its name in messages.  Layers come in the
    order in which Caffe reads them, that of their names.  Raises WeightsError,
    with path, layer, blob and byte, for anything that is not a whole file as
    Caffe writes it.
    """
    import h5py

    place = f"{path}: byte 0: expected an HDF5 file, found that"
    with refusing(lambda reason: WeightsError(f"{place} {reason}; {AGAIN}")):
        try:
            with _Whole(file, closefd=False) as whole, h5py.File(whole, "r") as opened:
                groups = tuple(_layers(opened, whole.seek(0, io.SEEK_END)))
        except _Fault as fault:
            raise WeightsError(f"{path}: {fault.place}byte {fault.byte}: {fault.fact}") from None
    _check_no_overlap(path, groups)
    return groups


def _layers(file: "h5py.File", size: int) -> Iterator[Group]:
    from h5py import h5g

    if file.userblock_size:
        raise _Fault("", 0, f"expected HDF5 from the first byte on, found a user block; {_REPACK}")
    root = h5g.open(file.id, b"/")
    if not root.links.exists(b"data"):
        names = _listed(_text(name) for name in root) or "nothing"
        raise _Fault(
            "", 0, f"expected the group data, found {names}; give the .caffemodel.h5 of a net"
        )
    _check_link(root, b"data", "", 0)
    yield from _Walk(size, set()).group(h5g.open(root, b"data"), ())


class _Walk(NamedTuple):
    """The file's size, and the headers of groups that have been met: each is in one place only."""

    size: int
    met: set[int]

    def group(self, group: "GroupID", names: tuple[str, ...]) -> Iterator[Group]:
        """The layers in a group, itself the first: a layer is a group with blobs, or with nothing.

        Of what is in it, one group or dataset at a time is open.
        """
        from h5py import h5g, h5o

        place, byte = _place("/".join(names)), h5o.get_info(group).addr
        if byte in self.met or len(names) > DEEPEST:
            raise _Fault(
                place, byte, f"expected each group in one place, found it in itself; {AGAIN}"
            )
        self.met.add(byte)
        kinds = {name: _kind(group, name, place, byte) for name in group}
        blobs = [name for name, kind in kinds.items() if kind == h5o.TYPE_DATASET]
        if names and (blobs or not kinds):
            yield Group("/".join(names), tuple(self.datasets(group, place, byte, blobs)))
        for name, kind in kinds.items():
            if kind != h5o.TYPE_DATASET:
                yield from self.group(h5g.open(group, name), (*names, _text(name)))

    def datasets(
        self, group: "GroupID", place: str, byte: int, found: Sequence[bytes]
    ) -> Iterator[Dataset]:
        """The blobs of a layer, numbered from 0 on."""
        from h5py import h5d

        numbers = [b"%d" % number for number in range(len(found))]
        if sorted(found) != sorted(numbers):
            names = _listed(map(_text, found))
            raise _Fault(
                place, byte, f"expected blobs numbered from 0 on, found {names}; {_SHARED}"
            )
        for name in numbers:
            yield self.dataset(h5d.open(group, name), f"{place}blob {_text(name)}, ")

    def dataset(self, dataset: "DatasetID", place: str) -> Dataset:
        """What is known of one blob; _Fault unless its values are one stretch of this file."""
        from h5py import h5o

        byte = h5o.get_info(dataset).addr
        _check_storage(dataset, place, byte)
        shape, dtype = _shape(dataset, place, byte), _type(dataset, place, byte)
        count, length = math.prod(shape), math.prod(shape) * _SIZES[dtype]
        start = dataset.get_offset() if length else 0
        stored = dataset.get_storage_size()
        if (
            start is None
            or stored != length
            or start + length > self.size
            or count > _LARGEST_COUNT
        ):
            where = f"{stored} bytes" + (
                "" if start is None else f" at byte {start} of {self.size}"
            )
            raise _Fault(
                place,
                byte,
                f"expected {length} bytes of values for its shape, found {where}; {AGAIN}",
            )
        return Dataset(shape, dtype, start, start + length, byte)


def _kind(group: "GroupID", name: bytes, place: str, byte: int) -> int:
    """Whether a name in a group is that of a group or a dataset; _Fault where it is neither."""
    from h5py import h5o

    if name in (b"", b".") or b"/" in name:
        raise _Fault(place, byte, f"expected plain names, found {_text(name)!r}; {AGAIN}")
    _check_link(group, name, place, byte)
    kind = h5o.get_info(group, name).type
    if kind not in (h5o.TYPE_GROUP, h5o.TYPE_DATASET):
        fact = f"expected groups and datasets, found {_text(name)!r} to be a type"
        raise _Fault(place, byte, f"{fact}; {AGAIN}")
    return kind


def _check_link(group: "GroupID", name: bytes, place: str, byte: int) -> None:
    """Raises _Fault for a link to elsewhere, which is not followed."""
    from h5py import h5l

    kind = group.links.get_info(name).type
    if kind != h5l.TYPE_HARD:
        kinds = {h5l.TYPE_SOFT: "a soft link", h5l.TYPE_EXTERNAL: "a link to another file"}
        fact = (
            f"expected plain links, found {_text(name)!r} to be "
            f"{kinds.get(kind, 'another kind of link')}"
        )
        raise _Fault(place, byte, f"{fact}; {_REPACK}")


def _check_storage(dataset: "DatasetID", place: str, byte: int) -> None:
    from h5py import h5d

    how = dataset.get_create_plist()
    kinds = {h5d.COMPACT: "compact", h5d.CHUNKED: "chunked", h5d.VIRTUAL: "virtual"}
    kind = "compressed" if how.get_nfilters() else kinds.get(how.get_layout(), "")
    if how.get_external_count():
        kind = "external: in another file"
    if kind:
        raise _Fault(place, byte, f"expected contiguous storage, found it {kind}; {_REPACK}")


def _shape(dataset: "DatasetID", place: str, byte: int) -> Shape:
    from h5py import h5s

    space = dataset.get_space()
    if space.get_simple_extent_type() == h5s.NULL:
        raise _Fault(place, byte, f"expected a shape, found none (a null dataspace); {AGAIN}")
    return space.get_simple_extent_dims()


_SIZES = {"float16": 2, "float32": 4, "float64": 8}


def _type(dataset: "DatasetID", place: str, byte: int) -> str:
    """Which of the three types the values are.

    The very types are asked for: numpy's names also stand for numbers that
    HDF5 would have to convert.
    """
    stored = dataset.get_type()
    for name, known in types().items():
        if stored.equal(known):
            return name
    fact = f"expected little-endian floating-point values, found {_described(stored)}"
    raise _Fault(place, byte, f"{fact}; write them as float32")


def types() -> "dict[str, TypeID]":
    """The types of values, by their names."""
    from h5py import h5t

    return {"float16": h5t.IEEE_F16LE, "float32": h5t.IEEE_F32LE, "float64": h5t.IEEE_F64LE}


def _described(stored: "TypeID") -> str:
    try:
        return str(stored.dtype)
    except (TypeError, ValueError):
        return f"a type of {number_of(stored.get_size(), 'byte')} that numpy lacks"


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _listed(names: Iterable[str]) -> str:
    """The first few names."""
    first = [repr(name[:80]) for name in itertools.islice(names, 6)]
    return ", ".join(first[:5]) + (", ..." if len(first) > 5 else "")


def _place(layer: str) -> str:
    return f'layer "{printable(layer)}", ' if layer else ""


def _check_no_overlap(path: str, groups: Sequence[Group]) -> None:
    """Raises WeightsError where the values of two blobs overlap."""
    blobs = [
        (blob.start, blob.stop, f"{_place(group.name)}blob {number}")
        for group in groups
        for number, blob in enumerate(group.datasets)
        if blob.stop > blob.start
    ]
    blobs.sort()
    for (_, stop, one), (start, _, other) in zip(blobs, blobs[1:], strict=False):
        if start < stop:
            fact = f"expected values of its own, found those of {one}; {AGAIN}"
            raise WeightsError(f"{path}: {other}, byte {start}: {fact}")
