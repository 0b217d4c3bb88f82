"""The values of one blob: where they are, and how they are read in pieces of bounded size."""

import math
import os
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from fcnkit import notebook
from fcnkit.errors import WeightsError, printable
from fcnkit.formats import blobproto
from fcnkit.formats.blobproto import BlobSpan, Chunk, shown_shape
from fcnkit.formats.caffemodel import LayerSpan
from fcnkit.plural import number_of
from fcnkit.shape import Shape
from fcnkit.system import read_into

if TYPE_CHECKING:
    import numpy

# Larger writes are slower: for them Linux looks for larger runs of free memory, up to six times as
# long.
PIECE = 1 << 16


def stamp(file: int) -> tuple[int, int]:
    """The size and the time of change of an open file."""
    status = os.fstat(file)
    return status.st_size, status.st_mtime_ns


@dataclass(frozen=True, eq=False)
class OpenFile:
    """A file that stays open for reading, whatever becomes of its name.

    `stamp` is its size and time when it was opened: what is read later must
    still be that file.
    """

    path: str
    file: int
    stamp: tuple[int, int]
    place: str = field(init=False)

    def __post_init__(self) -> None:
        # The folder of the process may change, and where a link leads.
        object.__setattr__(self, "place", os.path.realpath(self.path))
        weakref.finalize(self, os.close, self.file)

    def there(self) -> Path | None:
        """Where the file stands under the name that it was opened by; None where it is another now,
        or none.
        """
        try:
            now, own = os.stat(self.place), os.fstat(self.file)
        except OSError:
            return None
        same = (now.st_dev, now.st_ino) == (own.st_dev, own.st_ino)
        return Path(self.place) if same and stamp(self.file) == self.stamp else None

    def check(self) -> None:
        """Raises WeightsError when the file has been changed since it was opened."""
        if stamp(self.file) != self.stamp:
            raise WeightsError(f"{self.path}: it was changed after it was opened; open it again")

    def read_into(self, buffer: memoryview, start: int) -> None:
        """`buffer` holds the bytes from `start` on; WeightsError where the file ends before."""
        done = 0
        while done < len(buffer):
            got = read_into(self.file, buffer[done:], start + done)
            if not got:
                raise WeightsError(f"{self.path}: it ends at byte {start + done}; open it again")
            done += got

    def pieces(self, start: int, stop: int, place: int = 0) -> Iterator[memoryview]:
        """The bytes of [start, stop) in turn; each piece is overwritten by the next.

        When they are written from offset `place` on, all pieces but the first
        begin at a multiple of PIECE, which makes half the work for the system.
        """
        buffer = memoryview(bytearray(min(PIECE, stop - start)))
        at = start
        while at < stop:
            piece = buffer[: min(PIECE - (place + at - start) % PIECE, stop - at)]
            self.read_into(piece, at)
            yield piece
            at += len(piece)


class Lazy(NamedTuple):
    """Values that are made when they are written.

    `chunks()` gives bytes-like pieces of little-endian `dtype` numbers that
    come to math.prod(shape) numbers in all.
    """

    shape: Shape
    chunks: Callable[[], Iterable]
    dtype: str = "float32"


def zeros(shape: Sequence[int]) -> Lazy:
    """As many zeros as `shape` says, which take no memory."""
    return Lazy(tuple(shape), lambda: _zero_chunks(4 * math.prod(shape)))


def _zero_chunks(length: int) -> Iterator[bytes]:
    whole = bytes(min(PIECE, length))
    for at in range(0, length, PIECE):
        yield whole[: length - at]


class Stored(NamedTuple):
    """Values that stand in a file."""

    source: OpenFile
    span: "Stands"


class Stands(Protocol):
    """Where values stand in a file."""

    @property
    def chunks(self) -> tuple[Chunk, ...]: ...

    @property
    def raw(self) -> bool: ...


@dataclass(frozen=True, eq=False)
class Blob:
    """One parameter blob: its shape, and the place of its values.

    `dtype` is the type of the stored values. `legacy` is True if the file writes the shape as
    num, channels, height, width. `where` names the blob in messages. `numpy.asarray(blob)` gives
    its values.
    """

    shape: Shape
    dtype: str
    legacy: bool
    values: Stored | Lazy
    where: str

    @property
    def raw(self) -> bool:
        """Whether the file stores it as NVCaffe's raw data; BVLC's Caffe aborts on these."""
        return isinstance(self.values, Stored) and self.values.span.raw

    @property
    def count(self) -> int:
        """The number of values."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """The size of the stored values in bytes."""
        return self.count * blobproto.ITEM_BYTES[self.dtype]

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether Caffe accepts the blob for this shape. A legacy blob has four axes, and Caffe
        adds missing axes in front.

        The rule is Blob::ShapeEquals in Caffe's blob.cpp.
        """
        missing = 4 - len(shape) if self.legacy else 0
        return self.shape == (1,) * missing + tuple(shape)

    def array(self) -> "numpy.ndarray":
        """Returns the values as a new array of this shape and of the stored type."""
        import numpy

        flat = numpy.empty(self.nbytes, numpy.uint8)
        at = 0
        for piece in self.pieces():
            flat[at : at + len(piece)] = numpy.frombuffer(piece, numpy.uint8)
            at += len(piece)
        return flat.view(numpy.dtype(self.dtype).newbyteorder("<")).reshape(self.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> "numpy.ndarray":
        """What numpy.asarray makes of it: `array`, in another type where one is asked for."""
        if copy is False:
            raise ValueError("the values are in a file, and reading them makes a copy")
        found = self.array()
        return found if dtype is None else found.astype(dtype, copy=False)

    def pieces(self) -> Iterator[memoryview]:
        """Yields the stored bytes of the values, piece by piece. A piece may be overwritten by
        the next one.

        Raises WeightsError if the file has changed since it was opened, or if computed values
        are not as many as their shape says.
        """
        if isinstance(self.values, Lazy):
            yield from _counted(self.values.chunks(), self.nbytes, self.where)
            return
        source, span = self.values
        source.check()
        size = blobproto.ITEM_BYTES[self.dtype]
        for chunk in span.chunks:
            if chunk.lead:
                yield from _unpacked(source, chunk, size)
            else:
                yield from source.pieces(chunk.start, chunk.stop)
        source.check()

    @property
    def place(self) -> tuple[OpenFile, int] | None:
        """The file that the values stand in, one beside the other, and at which byte; or None."""
        if isinstance(self.values, Lazy):
            return None
        source, span = self.values
        if len(span.chunks) != 1 or span.chunks[0].lead:
            return None
        return source, span.chunks[0].start

    def _repr_html_(self) -> str:
        return notebook.text(repr(self))

    def __repr__(self) -> str:
        return f"<Blob {shown_shape(self.shape)} {self.dtype}{', legacy' if self.legacy else ''}>"


class StoredLayer(NamedTuple):
    """One layer's name, type and blobs; `span` is where it stands in the file, if it does."""

    name: str
    type: str
    span: LayerSpan | None
    blobs: tuple[Blob, ...]


def stored(layer: str, source: OpenFile, spans: Sequence[BlobSpan]) -> tuple[Blob, ...]:
    """The blobs of a layer of a caffemodel, as they stand in it."""
    return tuple(
        Blob(
            blob.shape,
            blob.dtype,
            blob.legacy,
            Stored(source, blob),
            f'{source.path}: layer "{printable(layer)}", blob {number}, byte {blob.start}',
        )
        for number, blob in enumerate(spans)
    )


def _unpacked(source: OpenFile, chunk: blobproto.Chunk, size: int) -> Iterator[memoryview]:
    """The values of a run in which each has a tag of its own."""
    step = chunk.lead + size
    whole = PIECE // step * step
    for start in range(chunk.start, chunk.stop, whole):
        buffer = bytearray(min(whole, chunk.stop - start))
        source.read_into(memoryview(buffer), start)
        yield memoryview(
            b"".join(buffer[at + chunk.lead : at + step] for at in range(0, len(buffer), step))
        )


def _counted(chunks: Iterable, expected: int, where: str) -> Iterator[memoryview]:
    found = 0
    for chunk in chunks:
        view = memoryview(chunk).cast("B")
        found += len(view)
        if found > expected:
            break
        yield view
    if found != expected:
        raise WeightsError(
            f"{where}: expected {expected} bytes of values, found {found}; "
            "give as many values as the shape says"
        )


def reshaped(blob: Blob, shape: Sequence[int]) -> Blob:
    """The same values in the same order under another shape, written the modern way.

    Raises WeightsError when the counts differ.
    """
    shape = tuple(shape)
    if any(dim < 0 for dim in shape) or math.prod(shape) != blob.count:
        raise WeightsError(
            f"{blob.where}: {shown_shape(blob.shape)} is {number_of(blob.count, 'value')}, "
            f"{shown_shape(shape)} would be "
            f"{math.prod(shape):,}; they can only be rearranged when the counts are equal"
        )
    return replace(blob, shape=shape, legacy=False)


def blob(value: object, where: str) -> Blob:
    """`value` as a Blob: a Blob as it is, Lazy values as given, an array copied as float32."""
    if isinstance(value, Blob):
        return value
    if isinstance(value, Lazy):
        return Blob(tuple(value.shape), value.dtype, False, value, where)
    import numpy

    array = numpy.array(value, dtype="<f4", order="C")
    return Blob(
        array.shape, "float32", False, Lazy(array.shape, lambda: [array.reshape(-1)]), where
    )


def writable(blob: Blob) -> Blob:
    """The blob as every Caffe reads it: not as NVCaffe's raw data, and float32 unless float64."""
    if blob.dtype in ("float32", "float64"):
        return replace(blob, values=Lazy(blob.shape, blob.pieces)) if blob.raw else blob
    values = Lazy(blob.shape, lambda: _as_float32(blob))
    return Blob(blob.shape, "float32", False, values, blob.where)


def _as_float32(blob: Blob) -> Iterator[bytes]:
    import numpy

    stored = numpy.dtype(blob.dtype).newbyteorder("<")
    for piece in blob.pieces():
        yield numpy.frombuffer(piece, stored).astype("<f4").tobytes()


@runtime_checkable
class HasWeights(Protocol):
    """What can give its parameters as Weights, such as a module that `fk.module` made."""

    def weights(self) -> Any:
        """Its parameters, by layer."""
        ...
