"""Weights in HDF5 and .npz: what the file says of each blob as Blobs,
and files of these formats from Blobs.

The values of such a blob are a stretch of the file, as in a caffemodel, so
that it is read, compared and copied by the same means.
"""

import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from fcnkit import files
from fcnkit.errors import WeightsError, printable
from fcnkit.formats import hdf5, npz
from fcnkit.formats.blobproto import Chunk
from fcnkit.progress import Progress, reported
from fcnkit.shape import Shape
from fcnkit.weights.blobs import Blob, Lazy, OpenFile, Stored, writable

if TYPE_CHECKING:
    from fcnkit.formats.hdf5_frame import Frame

Layers = Mapping[str, Sequence[Blob]]


class Extent(NamedTuple):
    """Where the values of a blob stand."""

    chunks: tuple[Chunk, ...]
    raw: bool = False


def _stored(source: OpenFile, shape: Shape, dtype: str, start: int, stop: int, place: str) -> Blob:
    extent = Extent((Chunk(start, stop, 0),) if stop > start else ())
    return Blob(
        shape, dtype, False, Stored(source, extent), f"{source.path}: {place}, byte {start}"
    )


def read_hdf5(source: OpenFile) -> dict[str, tuple[Blob, ...]]:
    """The layers of a .caffemodel.h5 and their blobs; raises as `hdf5.scan` does."""
    return {
        group.name: tuple(
            _stored(
                source,
                found.shape,
                found.dtype,
                found.start,
                found.stop,
                f'layer "{printable(group.name)}", blob {number}',
            )
            for number, found in enumerate(group.datasets)
        )
        for group in hdf5.scan(source.file, source.path)
    }


def read_npz(source: OpenFile) -> dict[str, tuple[Blob, ...]]:
    """The layers of an .npz and their blobs; raises as `npz.scan` does.

    Raises WeightsError too where a layer's blobs are not numbered from 0 on.
    """
    with open(source.file, "rb", closefd=False) as file:
        arrays = npz.scan(file, source.path)
    layers: dict[str, dict[int, Blob]] = {}
    for found in arrays:
        place = f'layer "{printable(found.layer)}", blob {found.number}'
        made = _summed(source, found, f"{source.path}: {place}, byte {found.start}")
        layers.setdefault(found.layer, {})[found.number] = made
    for name, blobs in layers.items():
        if set(blobs) != set(range(len(blobs))):
            numbers = ", ".join(map(str, sorted(blobs)))
            fact = f"expected blobs numbered from 0 on, found {numbers}; add the others"
            raise WeightsError(f'{source.path}: layer "{printable(name)}": {fact}')
    return {
        name: tuple(blobs[number] for number in range(len(blobs))) for name, blobs in layers.items()
    }


def _summed(source: OpenFile, found: npz.Array, where: str) -> Blob:
    """A blob whose values are checked against the zip's checksum whenever they are read."""

    def chunks() -> Iterator[memoryview]:
        source.check()
        crc = found.begun
        for piece in source.pieces(found.start, found.stop):
            crc = zlib.crc32(piece, crc)
            yield piece
        if crc != found.crc:
            fact = f"expected values with checksum {found.crc:08x}, found {crc:08x}; {npz.AGAIN}"
            raise WeightsError(f"{where}: {fact}")

    return Blob(found.shape, found.dtype, False, Lazy(found.shape, chunks, found.dtype), where)


def save_hdf5(
    path: str | os.PathLike[str], layers: Layers, *, force: bool, progress: Progress
) -> None:
    """The file at `path` is a .caffemodel.h5 of these layers;
    a layer without blobs leaves no trace in it.

    Caffe itself writes an empty group for such a layer, which it does not need
    and which a "/" in the name puts inside another layer's.  Raises
    WeightsError where a layer would still stand inside another.
    """
    from fcnkit.formats import hdf5_frame  # most files are read

    _check_not_inside(layers)
    ready = {name: [writable(blob) for blob in blobs] for name, blobs in layers.items() if blobs}
    made = hdf5_frame.frame(
        (name, [(blob.shape, blob.dtype) for blob in blobs]) for name, blobs in ready.items()
    )
    with files.atomic(path, force=force, size=made.size) as file:
        done = 0
        for start, blob in _in_order(ready, made):
            file.write(made.between(done, start))
            for piece in reported(blob.pieces(), progress):
                file.write(piece)
            done = start + blob.nbytes
        file.write(made.between(done, made.size))


def _check_not_inside(layers: Layers) -> None:
    """Raises WeightsError where the group of a layer would stand inside another layer's.

    Caffe opens the groups in `data` alone, counts all that is in one as blobs of
    the layer of that name, and ends the process where there are too many.
    """
    for name in (name for name, blobs in layers.items() if blobs):
        outer, inside, _ = name.partition("/")
        if inside and outer in layers:
            fact = f'in HDF5 it would be inside the layer "{printable(outer)}"'
            raise WeightsError(
                f'layer "{printable(name)}": {fact}, and Caffe refuses such a file; '
                "write a .caffemodel, or rename one of the layers first"
            )


def _in_order(layers: Layers, frame: "Frame") -> list[tuple[int, Blob]]:
    """The blobs that have values, by where these go."""
    placed = (
        (start, blob)
        for blobs, starts in zip(layers.values(), frame.starts, strict=True)
        for blob, start in zip(blobs, starts, strict=True)
        if blob.count
    )
    return sorted(placed, key=lambda each: each[0])


def save_npz(
    path: str | os.PathLike[str], layers: Layers, *, force: bool, progress: Progress
) -> None:
    """The file at `path` is an .npz of these layers;
    a layer without blobs leaves no trace in it.
    """
    with files.atomic(path, force=force) as file:
        npz.write(file, _arrays(layers, progress))


def _arrays(layers: Layers, progress: Progress) -> Iterator[tuple]:
    for name, blobs in layers.items():
        for number, blob in enumerate(map(writable, blobs)):
            yield f"{name}/{number}", blob.shape, blob.dtype, reported(blob.pieces(), progress)


SAVERS = {"hdf5": save_hdf5, "npz": save_npz}
"""What writes a new file of a format, by Weights.kind."""
