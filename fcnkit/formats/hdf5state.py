"""Reads and writes a .solverstate.h5: iter, learned_net, current_step, and history/<number>.

As in hdf5.py, HDF5 itself never touches a file on disk, and no link leads to
another file.
"""

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from fcnkit.errors import WeightsError
from fcnkit.foreign import refusing
from fcnkit.plural import number_of

if TYPE_CHECKING:
    import h5py
    import numpy

AGAIN = "the file is damaged, or no solver state; get it again"


class SolverState(NamedTuple):
    """How far a solver is: the iteration,
    the weights file beside it, the steps of its rate, its history.

    `history` is in Caffe's order: an array for each parameter, and where a
    solver keeps two of each, all the second ones after all the first.
    """

    iteration: int
    learned_net: str
    step: int
    history: "tuple[numpy.ndarray, ...]"


def parse(data: bytes, path: str) -> SolverState:
    """The state in the bytes of a file;
    WeightsError, with `path`, for what Caffe would not read.
    """
    import h5py

    place = f"{path}: expected a solver state in HDF5, found that"
    with (
        refusing(lambda reason: WeightsError(f"{place} {reason}; {AGAIN}")),
        h5py.File(io.BytesIO(data), "r") as file,
    ):
        return _state(file, len(data))


def _state(file: "h5py.File", size: int) -> SolverState:
    numbers = [int(_values(file, name, size).item()) for name in ("iter", "current_step")]
    name = _values(file, "learned_net", size)
    return SolverState(
        numbers[0],
        bytes(name).split(b"\0")[0].decode("utf-8", "surrogateescape"),
        numbers[1],
        tuple(_history(_inside(file, "history"), size)),
    )


def _history(group: "h5py.Group", size: int) -> "Iterator[numpy.ndarray]":
    for number in range(len(group)):
        yield _values(group, str(number), size).astype("<f4", copy=False)


def _values(group: "h5py.Group", name: str, size: int) -> Any:
    """The values of a dataset as Caffe writes them: as many bytes of the file as they need.

    Those of a compressed one would need any amount of memory.
    """
    import h5py

    found = _inside(group, name)
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        raise ValueError(f"its {name} is not a dataset")
    if found.chunks or found.id.get_storage_size() != found.nbytes or found.nbytes > size:
        fact = f"its {name}, {number_of(found.nbytes, 'byte')} of values, is not stored plainly"
        raise ValueError(f"{fact} (h5repack -f NONE -l CONTI OLD NEW)")
    return found[()]


def _inside(group: "h5py.Group", name: str) -> "h5py.Dataset | h5py.Group":
    """What has this name, in this very file."""
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"it has no {name}")
    found = group[name]
    if isinstance(found, h5py.Dataset) and (found.external or found.is_virtual):
        raise ValueError(f"its {name} stands in another file")
    return found


def render(state: SolverState) -> bytes:
    """The bytes of a file that Caffe reads."""
    import h5py
    import numpy as np

    name = state.learned_net.encode("utf-8", "surrogateescape")
    whole = io.BytesIO()
    with h5py.File(whole, "w", libver=("earliest", "v108")) as file:
        for field, number in (("iter", state.iteration), ("current_step", state.step)):
            file.create_dataset(field, data=np.array([number], "<i4"))
        # Caffe reads it as a C string: a zero byte ends it.
        file.create_dataset("learned_net", data=np.array(name, f"S{len(name) + 1}"))
        group = file.create_group("history")
        for number, values in enumerate(state.history):
            group.create_dataset(str(number), data=np.asarray(values, "<f4"))
    return whole.getvalue()
