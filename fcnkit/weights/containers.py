"""Weights in HDF5 and .npz: what the file says of each blob as Blobs, and files of these formats from Blobs.

The values of such a blob are a stretch of the file, as in a caffemodel, so
that it is read, compared and copied by the same means.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO, NamedTuple

from fcnkit.errors import WeightsError
from fcnkit.files import New
from fcnkit.formats import hdf5, npz
from fcnkit.formats.blobproto import Chunk
from fcnkit.weights.blobs import Blob, Progress, Source, Stored, heard, writable

Layers = Mapping[str, Sequence[Blob]]


class Extent(NamedTuple):
    """Where the values of a blob stand."""

    chunks: tuple[Chunk, ...]


def _stored(source: Source, shape: tuple[int, ...], dtype: str, start: int, stop: int, place: str) -> Blob:
    extent = Extent((Chunk(start, stop, 0),) if stop > start else ())
    return Blob(shape, dtype, False, Stored(source, extent), f"{source.path}: {place}, byte {start}")


def read_hdf5(source: Source) -> dict[str, tuple[Blob, ...]]:
    """The layers of a .caffemodel.h5 and their blobs; raises as `hdf5.scan` does."""
    return {
        group.name: tuple(
            _stored(source, found.shape, found.dtype, found.start, found.stop,
                    f'layer "{group.name}", blob {number}')
            for number, found in enumerate(group.datasets)
        )
        for group in hdf5.scan(source.path)
    }  # fmt: skip


def read_npz(source: Source) -> dict[str, tuple[Blob, ...]]:
    """The layers of an .npz and their blobs; raises as `npz.scan` does.

    Raises WeightsError too where a layer's blobs are not numbered from 0 on.
    """
    with open(source.file, "rb", closefd=False) as file:
        arrays = npz.scan(file, source.path)
    layers: dict[str, dict[int, Blob]] = {}
    for found in arrays:
        place = f'layer "{found.layer}", blob {found.number}'
        made = _stored(source, found.shape, found.dtype, found.start, found.stop, place)
        layers.setdefault(found.layer, {})[found.number] = made
    for name, blobs in layers.items():
        if set(blobs) != set(range(len(blobs))):
            numbers = ", ".join(map(str, sorted(blobs)))
            fact = f"expected blobs numbered from 0 on, found {numbers}; add the others"
            raise WeightsError(f'{source.path}: layer "{name}": {fact}')
    return {name: tuple(blobs[number] for number in range(len(blobs))) for name, blobs in layers.items()}


def write_hdf5(new: New, layers: Layers, progress: Progress) -> None:
    """The new file is a .caffemodel.h5 of these layers, each with a group, if only an empty one."""
    ready = {name: [writable(blob) for blob in blobs] for name, blobs in layers.items()}
    frame = [(name, [(blob.shape, blob.dtype) for blob in blobs]) for name, blobs in ready.items()]
    places = hdf5.frame(new.path, frame)
    for blobs, starts in zip(ready.values(), places, strict=True):
        for blob, start in zip(blobs, starts, strict=True):
            _place(new.file, blob, start, progress)


def _place(file: BinaryIO, blob: Blob, start: int, progress: Progress) -> None:
    if blob.count:
        file.seek(start)
    for piece in heard(blob.pieces(), progress):
        file.write(piece)


def write_npz(new: New, layers: Layers, progress: Progress) -> None:
    """The new file is an .npz of these layers; a layer without blobs leaves no trace in it."""
    npz.write(new.file, _arrays(layers, progress))


def _arrays(layers: Layers, progress: Progress) -> Iterator[tuple]:
    for name, blobs in layers.items():
        for number, blob in enumerate(map(writable, blobs)):
            yield f"{name}/{number}", blob.shape, blob.dtype, heard(blob.pieces(), progress)


WRITERS = {"hdf5": write_hdf5, "npz": write_npz}
"""What writes a new file of a format, by Weights.kind."""
