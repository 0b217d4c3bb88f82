"""A small net of all that a solver treats differently,
its data, and what real Caffe makes of it.
"""

import os
import re
import subprocess
import tempfile
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fcnkit.edits import Edit
from fcnkit.engines import caffe_runtime
from fcnkit.errors import EngineError
from fcnkit.formats import prototxt
from fcnkit.formats.prototxt import Prototxt
from fcnkit.weights import store

ITEMS, BATCH, SIDE, CLASSES, IGNORED = 12, 4, 6, 3, 255

NET = """
name: "small"
layer { name: "data" type: "HDF5Data" top: "data" top: "label"
  hdf5_data_param { source: "data.txt" batch_size: 4 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  convolution_param { num_output: 4 kernel_size: 3 pad: 1
    weight_filler { type: "xavier" } bias_filler { type: "constant" value: 0.1 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "relu" }
layer { name: "one" type: "Convolution" bottom: "relu" top: "one"
  param { name: "shared" lr_mult: 0.5 }
  convolution_param { num_output: 4 kernel_size: 1 bias_term: false
    weight_filler { type: "msra" } } }
layer { name: "two" type: "Convolution" bottom: "one" top: "two"
  param { name: "shared" decay_mult: 3 }
  convolution_param { num_output: 4 kernel_size: 1 bias_term: false } }
layer { name: "bn" type: "BatchNorm" bottom: "two" top: "two"
  batch_norm_param { moving_average_fraction: 0.9 } }
layer { name: "scale" type: "Scale" bottom: "two" top: "two" scale_param { bias_term: true } }
layer { name: "pool" type: "Pooling" bottom: "two" top: "pool"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "up" type: "Deconvolution" bottom: "pool" top: "up" param { lr_mult: 0 }
  convolution_param { num_output: 4 group: 4 kernel_size: 4 stride: 2 pad: 1 bias_term: false
    weight_filler { type: "bilinear" } } }
layer { name: "sum" type: "Eltwise" bottom: "up" bottom: "relu" top: "sum" }
layer { name: "score" type: "Convolution" bottom: "sum" top: "score"
  convolution_param { num_output: 3 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss"
  loss_weight: 0.5 loss_param { ignore_label: 255 normalization: VALID } }
layer { name: "norm" type: "Reduction" bottom: "one" top: "norm" loss_weight: 0.001
  reduction_param { operation: SUMSQ } include { phase: TRAIN } }
layer { name: "accuracy" type: "Accuracy" bottom: "score" bottom: "label" top: "accuracy"
  accuracy_param { ignore_label: 255 } include { phase: TEST } }
"""


class Case(NamedTuple):
    """A net and its data in a folder, and weights to start from."""

    folder: Path
    data: np.ndarray
    labels: np.ndarray
    weights: Path

    def solver(self, text: str, *, net: str = NET) -> Prototxt:
        """A solver of this net, which lies in the folder as solver.prototxt."""
        (self.folder / "net.prototxt").write_text(net)
        (self.folder / "solver.prototxt").write_text(
            f'{text}\nsnapshot_prefix: "caffe"\nrandom_seed: 1\n'
        )
        return prototxt.read(self.folder / "solver.prototxt")

    def start(self, solver) -> None:
        """What the solver's net begins with is in the file of weights."""
        store.create().put_all(solver.net.saved()).save(self.weights)

    def feed(self, graph):
        """The batches that Caffe's HDF5Data layer makes."""
        for at in cycle(range(0, ITEMS, BATCH)):
            yield {"data": self.data[at : at + BATCH], "label": self.labels[at : at + BATCH]}

    def feed_halves(self, graph):
        """The same batches, halved."""
        for at in cycle(range(0, ITEMS, 2)):
            yield {"data": self.data[at : at + 2], "label": self.labels[at : at + 2]}


def case(folder: Path) -> Case:
    """Noise, labels that depend on it, and weights from the net's fillers."""
    import h5py

    random = np.random.default_rng(0)
    data = random.normal(size=(ITEMS, 3, SIDE, SIDE)).astype("f4")
    labels = data.argmax(1)[:, None].astype("f4")
    labels[::3, :, 0] = IGNORED
    with h5py.File(folder / "data.h5", "w") as file:
        file["data"], file["label"] = data, labels
    (folder / "data.txt").write_text("data.h5\n")
    return Case(folder, data, labels, folder / "init.caffemodel")


def log_of(caffe, folder: Path, *words: str) -> str:
    """What `caffe train` says in the folder."""
    done = subprocess.run(
        [*caffe_runtime.command("caffe"), "train", "--solver=solver.prototxt", *words],
        cwd=folder,
        env=caffe_runtime.environment(log=True),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def trained(
    solver: str | os.PathLike,
    weights: Path | None = None,
    iterations: int | None = None,
    *,
    folder: Path,
    snapshot: bool = False,
) -> list[tuple[int, float]]:
    """Caffe has trained in CPU mode in the folder; the loss that it displayed at each iteration.

    `iterations` replaces the solver's max_iter.  Nothing is saved unless
    `snapshot`.  Raises EngineError with Caffe's own words.
    """
    text = prototxt.read(folder / solver)
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(on_cpu(text, iterations, snapshot).text)
        file.flush()
        words = [*caffe_runtime.command("caffe"), "train", f"--solver={file.name}"]
        done = subprocess.run(
            words + [f"--weights={weights}"] * bool(weights),
            cwd=folder,
            env=caffe_runtime.environment(log=True),
            capture_output=True,
            text=True,
            errors="replace",
        )
    if done.returncode:
        raise EngineError(caffe_runtime.last_words(done.stderr, done.returncode))
    found = re.findall(r"\] Iteration (\d+)[^\n]*, loss = (\S+)", done.stderr)
    return [(int(number), float(loss)) for number, loss in found]


def on_cpu(text: Prototxt, iterations: int | None, snapshot: bool) -> Prototxt:
    """The solver in CPU mode, showing every loss."""
    fields: list[tuple[str, object]] = [("solver_mode", prototxt.Word("CPU")), ("display", 1)]
    if iterations is not None:
        fields.append(("max_iter", iterations))
    if not snapshot:
        fields += [("snapshot", 0), ("snapshot_after_train", False)]
    gap = "" if text.text.endswith("\n") or not text.text else text.style.newline
    end, added = len(text.text), prototxt.render(fields, text.style)
    replaced = map(prototxt.without, text.root.all(*(name for name, _ in fields)))
    return text.edit([*replaced, Edit(end, end, gap + added)])


def rates_of(log: str) -> dict[int, float]:
    """The rate that Caffe displayed at each iteration."""
    return {
        int(number): float(rate) for number, rate in re.findall(r"Iteration (\d+), lr = (\S+)", log)
    }


def differences(found: Path, expected: Path, tolerance: float):
    """What of the first file's blobs differs from the second's
    by more than so much of the largest value.
    """
    one, other = store.open(found), store.open(expected)
    for name, blobs in other.items():
        for number, blob in enumerate(blobs):
            mine, theirs = one[name][number].array(), blob.array()
            worst, largest = np.abs(mine - theirs).max(), np.abs(theirs).max()
            if mine.shape != theirs.shape or not worst <= tolerance * largest:
                yield f"{name} {number}: {worst} of {largest}"
