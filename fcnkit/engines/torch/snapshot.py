"""What a solver saves to go on later: the weights, and the iteration and history beside them, as Caffe does.

Both of Caffe's formats are read and written: .caffemodel with .solverstate,
and .caffemodel.h5 with .solverstate.h5.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fcnkit import files
from fcnkit.errors import EngineError, WeightsError
from fcnkit.formats import hdf5, schema
from fcnkit.weights import store


class State(NamedTuple):
    """How far a solver is: the iteration, the steps of its rate, its history, and the weights file beside it.

    `history` is in Caffe's order: an array for each parameter, and where a
    solver keeps two of each, all the second ones after all the first.
    """

    iteration: int
    learned_net: str
    step: int
    history: tuple[np.ndarray, ...]


class Snapshot(NamedTuple):
    """The two files of a snapshot."""

    weights: Path
    state: Path


ENDINGS = {"BINARYPROTO": "", "HDF5": ".h5"}
"""What the names of both files end with, by snapshot_format."""
