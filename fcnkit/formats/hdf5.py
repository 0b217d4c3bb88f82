"""Where things stand in a .caffemodel.h5: data/<layer>/<number> is one blob; and the frame of a new one.

h5py reads the groups; the values of a blob are then one stretch of the file.
Only such files are taken as Caffe writes: nothing compressed, nothing that
stands in another file, no link but a plain one, so that no name in the file
opens another and no tensor is larger than the file.  A "/" in a layer's name
makes nested groups.
"""

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fcnkit.errors import WeightsError

if TYPE_CHECKING:
    import h5py

MAGIC = b"\x89HDF\r\n\x1a\n"
AGAIN = "the file is damaged or cut short, get it again"
_REPACK = "write it plainly (h5repack -f NONE -l CONTI OLD NEW)"
_SHARED = "Caffe leaves out a blob that another layer shares: give the binary caffemodel"
_TYPES = {"<f2": "float16", "<f4": "float32", "<f8": "float64"}
_LARGEST_COUNT = 2**31 - 1
_DEEPEST = 32


class Dataset(NamedTuple):
    """One blob: its shape, its type, and the place [start, stop) of its values; `byte` is its header's."""

    shape: tuple[int, ...]
    dtype: str
    start: int
    stop: int
    byte: int


class Group(NamedTuple):
    """One layer and its blobs in order."""

    name: str
    datasets: tuple[Dataset, ...]


class _Fault(Exception):
    """A group or dataset is not as Caffe makes it; `place` names it, `byte` is where its header stands."""

    def __init__(self, place: str, byte: int, fact: str) -> None:
        super().__init__(fact)
        self.place, self.byte, self.fact = place, byte, fact


def scan(path: str) -> tuple[Group, ...]:
    """Every layer, blob, shape and stretch of values of the file at `path` is known; no value is read.

    Layers come in the order in which Caffe reads them, that of their names.
    Raises WeightsError, with path, layer, blob and byte, for anything that is
    not a whole file as Caffe writes it.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            groups = tuple(_layers(file, os.stat(path).st_size))
    except _Fault as fault:
        raise WeightsError(f"{path}: {fault.place}byte {fault.byte}: {fault.fact}") from None
    except Exception as error:  # h5py says what HDF5 finds wrong with many kinds of exceptions
        fact = " ".join(str(error).split()) or type(error).__name__
        raise WeightsError(f"{path}: byte 0: expected an HDF5 file, found that {fact}; {AGAIN}") from None
    _check_apart(path, groups)
    return groups


def _layers(file: "h5py.File", size: int) -> Iterator[Group]:
    if file.userblock_size:
        raise _Fault("", 0, f"expected HDF5 from the first byte on, found a user block; {_REPACK}")
    if "data" not in file:
        names = ", ".join(map(repr, file)) or "nothing"
        raise _Fault("", 0, f"expected the group data, found {names}; give the .caffemodel.h5 of a net")
    yield from _Walk(size, set()).group(_child(file, "data", ""), ())


class _Walk(NamedTuple):
    """The file's size, and the headers that have been met: each object is in one place only."""

    size: int
    met: set[int]

    def group(self, group: "h5py.Group", names: tuple[str, ...]) -> Iterator[Group]:
        """The layers in a group, itself the first: a layer is a group with blobs, or with nothing."""
        import h5py

        place, byte = _place("/".join(names)), _address(group)
        if byte in self.met or len(names) > _DEEPEST:
            raise _Fault(place, byte, f"expected each group in one place, found it in itself; {AGAIN}")
        self.met.add(byte)
        children = {name: _child(group, name, place) for name in group}
        datasets = {name: child for name, child in children.items() if isinstance(child, h5py.Dataset)}
        if names and (datasets or not children):
            yield Group("/".join(names), tuple(self.datasets(place, byte, datasets)))
        for name, child in children.items():
            if name not in datasets:
                yield from self.group(child, (*names, name))

    def datasets(self, place: str, byte: int, found: "dict[str, h5py.Dataset]") -> Iterator[Dataset]:
        """The blobs of a layer, numbered from 0 on."""
        for number in range(len(found)):
            if str(number) not in found:
                names = ", ".join(found)
                fact = f"expected blobs numbered from 0 on, found {names}; {_SHARED}"
                raise _Fault(place, byte, fact)
            yield self.dataset(found[str(number)], f"{place}blob {number}, ")

    def dataset(self, dataset: "h5py.Dataset", place: str) -> Dataset:
        """What is known of one blob; _Fault unless its values are one stretch of this file."""
        byte = _address(dataset)
        _check_storage(dataset, place, byte)
        shape, dtype = dataset.shape, _TYPES.get(dataset.dtype.str)
        if dtype is None or shape is None:
            raise _Fault(place, byte, f"expected floating-point values, found {dataset.dtype}; {AGAIN}")
        count, length = math.prod(shape), math.prod(shape) * dataset.dtype.itemsize
        start = dataset.id.get_offset() if length else 0
        stored = dataset.id.get_storage_size()
        if start is None or stored != length or start + length > self.size or count > _LARGEST_COUNT:
            where = f"{stored} bytes" + ("" if start is None else f" at byte {start} of {self.size}")
            raise _Fault(
                place, byte, f"expected {length} bytes of values for its shape, found {where}; {AGAIN}"
            )
        return Dataset(tuple(shape), dtype, start, start + length, byte)


def _child(group: "h5py.Group", name: str, place: str) -> "h5py.Group | h5py.Dataset":
    """What a name in a group is; _Fault for a link to elsewhere, which is not followed."""
    import h5py

    link = group.get(name, getlink=True)
    if not isinstance(link, h5py.HardLink):
        kind = "a link to another file" if isinstance(link, h5py.ExternalLink) else "a soft link"
        raise _Fault(place, _address(group), f"expected plain links, found {name!r} to be {kind}; {_REPACK}")
    return group[name]


def _check_storage(dataset: "h5py.Dataset", place: str, byte: int) -> None:
    import h5py

    how = dataset.id.get_create_plist()
    kinds = {h5py.h5d.COMPACT: "compact", h5py.h5d.CHUNKED: "chunked", h5py.h5d.VIRTUAL: "virtual"}
    kind = "compressed" if how.get_nfilters() else kinds.get(how.get_layout(), "")
    if how.get_external_count():
        kind = "external: in another file"
    if kind:
        raise _Fault(place, byte, f"expected contiguous storage, found it {kind}; {_REPACK}")


def _address(thing: "h5py.Group | h5py.Dataset") -> int:
    """The byte at which the header of a group or dataset stands."""
    import h5py

    return h5py.h5o.get_info(thing.id).addr


def _place(layer: str) -> str:
    return f'layer "{layer}", ' if layer else ""


def _check_apart(path: str, groups: Sequence[Group]) -> None:
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


Slot = tuple[tuple[int, ...], str]


def frame(path: str, layers: Iterable[tuple[str, Sequence[Slot]]]) -> list[list[int]]:
    """The file at `path` is a .caffemodel.h5 without its values; where those of each blob go.

    `layers` gives (name, [(shape, dtype) of each blob]); dtype is "float32" or
    "float64".  Raises WeightsError for a name that cannot be a group.
    """
    import h5py

    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        return [_framed(data, path, name, blobs) for name, blobs in layers]


def _framed(
    data: "h5py.Group", path: str, name: str, blobs: Sequence[tuple[tuple[int, ...], str]]
) -> list[int]:
    if not all(part not in ("", ".") for part in name.split("/")) or "\0" in name:
        raise WeightsError(f'layer "{name}": its name cannot be that of a group in HDF5; rename it first')
    try:
        group = data.require_group(name.encode("utf-8", "surrogateescape"))
        return [_reserved(group, number, *blob) for number, blob in enumerate(blobs)]
    except (TypeError, ValueError) as error:
        fact = f"its name or a blob of it is taken in HDF5 ({error})"
        raise WeightsError(f'layer "{name}": {fact}; rename one of the layers first') from None


def _reserved(group: "h5py.Group", number: int, shape: tuple[int, ...], dtype: str) -> int:
    """Where the values of a new, empty dataset go."""
    from h5py import h5d, h5p, h5s, h5t

    how = h5p.create(h5p.DATASET_CREATE)
    how.set_layout(h5d.CONTIGUOUS)
    how.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    how.set_fill_time(h5d.FILL_TIME_NEVER)
    kind = h5t.IEEE_F64LE if dtype == "float64" else h5t.IEEE_F32LE
    space = h5s.create_simple(shape) if shape else h5s.create(h5s.SCALAR)
    dataset = h5d.create(group.id, str(number).encode(), kind, space, how)
    return dataset.get_offset() or 0
