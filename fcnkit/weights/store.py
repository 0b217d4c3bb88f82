"""Weights files as values: opened by their headers, edited as spans, saved at the speed of a copy.

A caffemodel, V1 or V2, is edited where it stands; HDF5, .npz and the history
of a solver come as the same Weights and are written anew.

`open` reads names, types and shapes; tensors stay in the file until `array`
asks for one.  Every change gives new Weights; `save` copies what is unchanged
from the open file in pieces, so that the memory it takes does not grow with
the file, and the file that is read may be the one that is written.
"""

import mmap
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from fcnkit import expected, files, notebook
from fcnkit.edits import Edit, pieces
from fcnkit.errors import WeightsError
from fcnkit.foreign import reason
from fcnkit.formats import caffemodel, hdf5, npz, signature, solverstate
from fcnkit.formats.blobproto import shown_shape
from fcnkit.formats.caffemodel import CaffemodelLayout
from fcnkit.plural import number_of
from fcnkit.progress import Progress, no_progress, reported
from fcnkit.system import READ, read_at
from fcnkit.tables import columns
from fcnkit.weights import caffemodel_edits, containers
from fcnkit.weights.blobs import (
    Blob,
    HasWeights,
    Lazy,
    OpenFile,
    StoredLayer,
    reshaped,
    stamp,
    stored,
    writable,
    zeros,
)
from fcnkit.weights.blobs import blob as as_blob
from fcnkit.weights.caffemodel_edits import Content

__all__ = ["Blob", "Lazy", "Weights", "create", "open", "zeros"]


KINDS = {"layer": "V2", "layers": "V1", "hdf5": "HDF5", "npz": "npz", "solverstate": "solver state"}
"""The formats by Weights.kind, as they are called."""


@expected.checked
def open(path: str | os.PathLike[str] | HasWeights) -> "Weights":
    """Opens a weights file: caffemodel V1 or V2, .caffemodel.h5, .npz or .solverstate.

    >>> weights = fk.weights("net.caffemodel")
    >>> weights["conv1"][0].array().shape
    (16, 1, 5, 5)

    `path` is the file; its content decides the format. Only headers are read; tensors are read
    when you ask for them. `path` may also be a module that `fk.module` made. The history of a
    solverstate is one layer, "history". Returns Weights: blobs by layer name. Raises
    WeightsError if the file cannot be read, or is not a complete file in one of these formats.
    """
    if isinstance(path, HasWeights):
        return path.weights()
    name = os.fspath(expected.path("path", path))
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            fact = signature.refusal_at(signature.WEIGHTS, name)
            raise WeightsError(f"{name}: {fact or 'is not a file; name the caffemodel itself'}")
        source = _opened(name)
    except WeightsError:
        raise
    except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
        raise WeightsError(f"{name}: cannot be read: {reason(error)}; check the name") from error
    try:
        head = read_at(source.file, signature.ENOUGH, 0)
    except OSError as error:
        raise WeightsError(f"{name}: cannot be read: {reason(error)}; check the name") from error
    for magic, kind, read in (
        (hdf5.MAGIC, "hdf5", containers.read_hdf5),
        (npz.MAGIC, "npz", containers.read_npz),
    ):
        if head.startswith(magic):
            signature.check(signature.WEIGHTS, head, name, WeightsError)
            return _whole(source, kind, read(source))
    return _mapped(source)


def _whole(source: OpenFile, kind: str, found: Mapping[str, tuple[Blob, ...]]) -> "Weights":
    layers = tuple(StoredLayer(name, "", None, blobs) for name, blobs in found.items())
    return Weights(source.path, kind, layers, source, CaffemodelLayout(kind, (), 0), layers)


def _mapped(source: OpenFile) -> "Weights":
    """The weights of a file in protobuf's wire format."""
    if not source.stamp[0]:
        signature.check(signature.WEIGHTS, b"", source.path, WeightsError)
    with mmap.mmap(source.file, 0, access=mmap.ACCESS_READ) as mapped:
        signature.check(signature.WEIGHTS, mapped, source.path, WeightsError)
        if solverstate.looks_like(mapped):
            state = solverstate.scan(mapped, source.path)
            found = _whole(
                source, "solverstate", {"history": stored("history", source, state.history)}
            )
            return replace(
                found, note=f"iteration {state.iteration}, beside {state.learned_net or 'no net'}"
            )
        layout = caffemodel.scan(mapped, source.path)
    layers = tuple(
        StoredLayer(span.name, span.type, span, stored(span.name, source, span.blobs))
        for span in layout.layers
    )
    return Weights(source.path, layout.kind, layers, source, layout)


def create(*, kind: str = "layer") -> "Weights":
    """Weights without any layer, to be filled with `put` and saved; "layers" makes a V1 file."""
    return Weights("new weights", kind, (), None, CaffemodelLayout(kind, (), 0))


def _opened(name: str) -> OpenFile:
    file = os.open(name, READ)
    return OpenFile(name, file, stamp(file))


@dataclass(frozen=True, eq=False, repr=False)
class Weights(Mapping[str, tuple[Blob, ...]]):
    """The blobs of every layer of one file, by layer name in file order, and edits to them.

    `kind` is the format: "layer" (caffemodel V2), "layers" (V1), "hdf5", "npz"
    or "solverstate".  `opened` are the layers as they stand in a file that
    cannot be edited in place.  `note` is a remark on what else is in the file.

    When a file names a layer twice, Caffe loads one after the other, so the
    last one counts and is the one shown here; the earlier ones are removed
    when the layer is changed.
    """

    path: str
    kind: str
    layers: tuple[StoredLayer, ...]
    source: OpenFile | None
    layout: CaffemodelLayout
    opened: tuple[StoredLayer, ...] = ()
    note: str = ""

    @cached_property
    def _by_name(self) -> dict[str, StoredLayer]:
        return {layer.name: layer for layer in self.layers}

    def __getitem__(self, layer: str) -> tuple[Blob, ...]:
        return self._by_name[layer].blobs

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def nbytes(self) -> int:
        """The size of all values as they are stored, in bytes."""
        return sum(blob.nbytes for blobs in self.values() for blob in blobs)

    @property
    def total(self) -> int:
        """The number of all values."""
        return sum(blob.count for blobs in self.values() for blob in blobs)

    def layer(self, name: str) -> StoredLayer:
        """The layer of this name. Raises WeightsError if there is none, and suggests the
        nearest.
        """
        found = self._by_name.get(name)
        if found is None:
            raise self._error(f'has no layer "{name}"; {_nearest(name, self._by_name)}')
        return found

    def reshape(self, layer: str, blob: int, shape: Sequence[int]) -> "Weights":
        """Gives a blob another shape; its values stay, in the same order. Raises WeightsError if
        the number of values differs or there is no such blob.
        """
        old = self.layer(layer)
        if not 0 <= blob < len(old.blobs):
            raise self._error(
                f'layer "{layer}" has {len(old.blobs)} blobs, no blob {blob}; count from 0'
            )
        blobs = list(old.blobs)
        blobs[blob] = reshaped(blobs[blob], shape)
        return self.put(layer, blobs)

    def rename(self, names: Mapping[str, str]) -> "Weights":
        """Renames layers, {old: new}, all at once, so that two can swap names.

        Raises WeightsError for a layer that does not exist, or if two layers would get one name.
        """
        for old in names:
            self.layer(old)
        taken = [names.get(name, name) for name in self]
        twice = sorted(name for name in names.values() if taken.count(name) > 1)
        if twice:
            raise self._error(
                f'two layers would be named "{twice[0]}"; drop or rename the other one'
            )
        layers = (layer._replace(name=names.get(layer.name, layer.name)) for layer in self.layers)
        return replace(self, layers=tuple(layers))

    def drop(self, *names: str) -> "Weights":
        """Removes these layers. Raises WeightsError for a layer that does not exist."""
        for name in names:
            self.layer(name)
        return replace(
            self, layers=tuple(layer for layer in self.layers if layer.name not in names)
        )

    def put(self, layer: str, arrays: Iterable, *, type: str = "") -> "Weights":
        """Sets the blobs of a layer: to arrays, Lazy values, or Blobs of other weights.

        Arrays are copied, and written as float32. A layer that does not exist is added after the
        others, in the format of the file; `type` is its Caffe type.
        """
        return self.put_all({layer: arrays}, types={layer: type})

    def put_all(
        self, layers: Mapping[str, Iterable], *, types: Mapping[str, str] | None = None
    ) -> "Weights":
        """Does the same as `put` for many layers at once, in time proportional to their number."""
        new = {
            name: self._made(name, arrays, (types or {}).get(name, ""))
            for name, arrays in layers.items()
        }
        there = (
            new.get(layer.name, layer)
            for layer in self.layers
            if layer.name not in new or layer is self._by_name[layer.name]
        )
        added = (layer for name, layer in new.items() if name not in self)
        return replace(self, layers=(*there, *added))

    def readable(self) -> "Weights":
        """The same weights without NVCaffe's raw data, on which BVLC's Caffe aborts."""
        raw = self.raw
        return self.put_all({name: map(writable, self[name]) for name in raw}) if raw else self

    @property
    def raw(self) -> tuple[str, ...]:
        """The names of the layers that the file stores as NVCaffe's raw data."""
        return tuple(name for name, blobs in self.items() if any(blob.raw for blob in blobs))

    def _made(self, name: str, arrays: Iterable, type: str) -> StoredLayer:
        where = f'{self.path}: layer "{name}", new blob'
        blobs = tuple(as_blob(array, f"{where} {number}") for number, array in enumerate(arrays))
        return self._by_name.get(name, StoredLayer(name, type, None, ()))._replace(blobs=blobs)

    def to(self, kind: str) -> "Weights":
        """The same blobs, to be saved in another format. Of a layer's other fields only the type
        is kept.
        """
        if kind == self.kind:
            return self
        layers = tuple(
            layer._replace(span=None) for layer in self.layers if layer is self._by_name[layer.name]
        )
        return replace(
            self, kind=kind, layers=layers, layout=CaffemodelLayout(kind, (), 0), opened=()
        )

    @property
    def unchanged(self) -> bool:
        """Whether these are the weights of the opened file, without a change."""
        if self.source is None or self.layout.kind != self.kind:
            return False
        return not self.edits() if self.kind in caffemodel.KINDS else self.layers == self.opened

    @property
    def unchanged_file(self) -> Path | None:
        """The path of the opened file, if these are its weights without a change; else None."""
        return self.source.there() if self.source and self.unchanged else None

    def edits(self) -> tuple[Edit, ...]:
        """The changes to the opened file; `save` copies the rest."""
        kept = {layer.span.start for layer in self.layers if layer.span}
        at = self.layout.layers[-1].stop if self.layout.layers else 0
        edits = [
            Edit(span.start, span.stop, b"")
            for span in self.layout.layers
            if span.start not in kept
        ]
        for layer in self.layers:
            edits += (
                caffemodel_edits.changed(self.kind, layer, layer.span, self.source)
                if layer.span
                else [Edit(at, at, caffemodel_edits.added(self.kind, layer))]
            )
        return tuple(edits)

    def save(
        self, path: str | os.PathLike[str], *, force: bool = False, progress: Progress = no_progress
    ) -> None:
        """Writes these weights to `path`, completely or not at all.

        The path may be that of the file these weights were opened from.
        `progress` is called with each number of bytes that has been written.
        Raises WeightsError when there is no layer, when a caffemodel would be
        larger than Caffe can read, or when the opened file has changed;
        OutputError when `path` cannot be written or exists (see `force`).
        """
        if not self.layers:
            raise self._error("has no layers; add some before saving")
        if self.kind in caffemodel.KINDS or self.unchanged:
            self._save_spliced(path, force, progress)
        elif self.kind in containers.SAVERS:
            containers.SAVERS[self.kind](path, self, force=force, progress=progress)
        else:
            raise self._error(
                "a solver's history is kept as it is; write it as .npz to work with it"
            )

    def _save_spliced(self, path: str | os.PathLike[str], force: bool, progress: Progress) -> None:
        edits = self.edits() if self.kind in caffemodel.KINDS else ()
        old = self.source.stamp[0] if self.source and self.unchanged else self.layout.size
        size = old + sum(caffemodel_edits.growth(edit) for edit in edits)
        if size > caffemodel.LARGEST_FILE and self.kind in caffemodel.KINDS:
            raise self._error(
                f"would take {size} bytes, and Caffe reads at most {caffemodel.LARGEST_FILE}; "
                "write HDF5 (OUT.caffemodel.h5), or drop some layers"
            )
        with files.atomic(path, force=force, size=size) as file:
            done = 0
            for part in pieces(range(old), edits):
                for piece in reported(self._bytes(part, done), progress):
                    file.write(piece)
                    done += len(piece)
            if self.source:
                self.source.check()

    def _bytes(self, part: "range | bytes | Content | Blob", place: int = 0) -> Iterable:
        """The bytes of one part of the file, which is to stand at `place`, in turn."""
        if isinstance(part, range):
            return self.source.pieces(part.start, part.stop, place) if self.source else ()
        if isinstance(part, Content):
            return (piece for inner in part.parts for piece in self._bytes(inner))
        return part.pieces() if isinstance(part, Blob) else (part,)

    def _error(self, fact: str) -> WeightsError:
        return WeightsError(f"{self.path}: {fact}")

    def table(self) -> str:
        """One line for each blob: layer, number, shape, count, bytes."""
        rows = [("layer", "blob", "shape", "count", "bytes"), *_rows(self)]
        return "".join(f"{line}\n" for line in columns(rows, left=(0, 2)))

    def __repr__(self) -> str:
        return f"<Weights {self.title}>\n{self.table()}"

    @property
    def title(self) -> str:
        """The name of the file, its format, and how much it holds."""
        held = (self.note, number_of(len(self), "layer"), number_of(self.total, "value"))
        return f"{self.path} ({KINDS[self.kind]}): {', '.join(filter(None, held))}"

    def _repr_html_(self) -> str:
        head = ("layer", "blob", "shape", "count", "bytes")
        return notebook.table(_rows(self), head=head, caption=self.title, left=(0, 2))


def _rows(weights: Weights) -> Iterator[tuple[str, str, str, str, str]]:
    for name, blobs in weights.items():
        for number, blob in enumerate(blobs):
            yield name, str(number), shown_shape(blob.shape), f"{blob.count:,}", f"{blob.nbytes:,}"


def _nearest(name: str, names: Iterable[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, list(names), 3)
    return f"near it: {', '.join(near)}" if near else f"there are: {', '.join(names)}"[:200]


# What nets are run with: the path of a weights file, what one holds, or nothing.
GivenWeights = Weights | str | os.PathLike[str] | None

WeightsOrPath: TypeAlias = Weights | str | os.PathLike[str]


def given(weights: WeightsOrPath) -> Weights:
    """The weights themselves, or those of the file at this path.

    Raises WeightsError as `open` does, and TypeError for what is neither.
    """
    if isinstance(weights, Weights):
        return weights
    if isinstance(weights, str | os.PathLike):
        return open(weights)
    raise TypeError(f"weights: give Weights or a path, not {type(weights).__name__}")
