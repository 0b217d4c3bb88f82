"""Reads and writes a .solverstate.h5: iter, learned_net, current_step, and history/<number>.

As in hdf5.py, HDF5 itself never touches a file on disk, and no link leads to
another file.
"""

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from fcnkit.errors import WeightsError, error_text

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

    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            return _state(file)
    except Exception as error:  # h5py says what HDF5 finds wrong with many kinds of exceptions
        fact = f"expected a solver state in HDF5, found that {error_text(error)}"
        raise WeightsError(f"{path}: {fact}; {AGAIN}") from None


def _state(file: "h5py.File") -> SolverState:
    numbers = [int(_inside(file, name)[()].item()) for name in ("iter", "current_step")]
    name = _inside(file, "learned_net")[()]
    return SolverState(
        numbers[0],
        bytes(name).split(b"\0")[0].decode("utf-8", "surrogateescape"),
        numbers[1],
        tuple(_history(_inside(file, "history"))),
    )


def _history(group: "h5py.Group") -> "Iterator[numpy.ndarray]":
    for number in range(len(group)):
        yield _inside(group, str(number))[()].astype("<f4", copy=False)


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
