"""Saves and loads what a solver resumes from: the weights, its iteration and its history.

Both of Caffe's formats are read and written: .caffemodel with .solverstate,
and .caffemodel.h5 with .solverstate.h5.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fcnkit import files
from fcnkit.errors import OutputError, WeightsError
from fcnkit.formats import blobproto, hdf5, hdf5state, solverstate, wire
from fcnkit.formats.hdf5state import SolverState
from fcnkit.formats.prototxt import Prototxt
from fcnkit.formats.schema import View
from fcnkit.weights import store

ENDINGS = {"BINARYPROTO": "", "HDF5": ".h5"}
"""What the names of both files end with, by snapshot_format."""
_KINDS = {"BINARYPROTO": "layer", "HDF5": "hdf5"}


class SnapshotFiles(NamedTuple):
    """The two files of a snapshot."""

    weights: Path
    state: Path


def save(
    folder: str | os.PathLike[str],
    prefix: str,
    form: str,
    blobs: Mapping[str, Sequence[np.ndarray]],
    types: Mapping[str, str],
    state: SolverState,
) -> SnapshotFiles:
    """Weights and solver state are in the files that Caffe would name so;
    each is whole or not there.

    `prefix` is relative to `folder`, and `form` one of ENDINGS.  The state
    names the weights as Caffe does, relative to `folder`, whatever `state`
    names.  Raises OutputError where a file cannot be written.
    """
    name = f"{prefix}_iter_{state.iteration}"
    weights = f"{name}.caffemodel{ENDINGS[form]}"
    saved = SnapshotFiles(Path(folder, weights), Path(folder, f"{name}.solverstate{ENDINGS[form]}"))
    made = store.create(kind=_KINDS[form]).put_all(blobs, types=types)
    made.save(saved.weights, force=True)
    save_state(saved.state, state._replace(learned_net=weights), form)
    return saved


def save_state(path: str | os.PathLike[str], state: SolverState, form: str = "BINARYPROTO") -> None:
    """The file at `path` is a solver state that Caffe reads."""
    if form == "HDF5":
        files.write(path, hdf5state.render(state), force=True)
        return
    with files.atomic(path, force=True) as file:
        for part in _parts(state):
            file.write(part)


def _parts(state: SolverState) -> Iterator[bytes | memoryview]:
    """The bytes of a SolverState; current_step is there also when it is 0, as from Caffe."""
    name = state.learned_net.encode("utf-8", "surrogateescape")
    yield wire.tag(1, wire.VARINT) + wire.varint(state.iteration) + wire.framed(2, name)
    for values in state.history:
        before, after = blobproto.blob_frame(3, values.shape, "float32")
        yield before
        yield np.ascontiguousarray(values, "<f4").tobytes()
        yield after
    yield wire.tag(4, wire.VARINT) + wire.varint(state.step)


def read_state(path: str | os.PathLike[str]) -> SolverState:
    """The solver state in a file, by Caffe or by us, in either format.

    Raises WeightsError when it cannot be read or is none.
    """
    name = os.fspath(path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise WeightsError(f"{name}: cannot be read: {error.strerror}; check the name") from error
    if data.startswith(hdf5.MAGIC):
        return hdf5state.parse(data, name)
    if not solverstate.looks_like(data):
        raise WeightsError(f"{name}: is not a solver state; give a .solverstate that Caffe saved")
    found = solverstate.scan(data, name)
    history = store.open(path)["history"]
    return SolverState(
        found.iteration, found.learned_net, found.step, tuple(blob.array() for blob in history)
    )


def weights_of(
    path: str | os.PathLike[str], state: SolverState, folder: str | os.PathLike[str]
) -> Path:
    """The weights file that a solver state names,
    relative to `folder`, or else that of its name beside it.

    Raises WeightsError where there is none.
    """
    places = (Path(folder, state.learned_net), Path(path).with_name(Path(state.learned_net).name))
    for place in places:
        if os.path.isfile(place):
            return place
    fact = f"its weights are in {state.learned_net}, which is neither in {folder} nor beside it"
    raise WeightsError(f"{path}: {fact}; put it there")


def prefix(solver: Prototxt, folder: str | os.PathLike[str]) -> str:
    """What the names of a solver's snapshots begin with:
    its snapshot_prefix, or the solver's own name.

    In a folder that the prefix names, it is the name of the solver.
    """
    given = View("SolverParameter", solver.root).get("snapshot_prefix")
    own = Path(solver.path).with_suffix("")
    if given and os.path.isdir(Path(folder, given)):
        return str(Path(given) / own.name)
    return given or str(own)


def check(folder: str | os.PathLike[str], prefix: str) -> None:
    """Snapshots of this prefix can be saved, so far as one sees before; OutputError where not."""
    place = Path(folder, prefix).parent
    if not os.path.isdir(place) or not os.access(place, os.W_OK):
        fact = "is not writable" if os.path.isdir(place) else "is not a folder"
        raise OutputError(
            f"{prefix}: snapshots would go to {place}, which {fact}; make it, or name another"
        )
