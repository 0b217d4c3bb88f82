"""Trains the digits template with real Caffe on scikit-learn's digits; `make digits` runs it.

The network sees a 28x28 window and says which digit is in its middle, or that
none is, so that it can slide over a canvas.  Windows are cut from random
canvases; a window is a digit's when their middles are at most NEAR pixels
apart, background from FAR pixels up, and left out in between.

Writes digits.caffemodel and heldout.npz (the digits that training never saw)
into prototxt_templates/digits, and prints the accuracy on the held-out digits.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import lmdb
import numpy as np
from canvas import Placed, glyph, scatter
from sklearn.datasets import load_digits

from fcnkit.engines import caffe_runtime
from fcnkit.formats import datum

WINDOW = 28
NEAR, FAR = 7, 10
BACKGROUND = 10
HELD_OUT = 500
CANVASES = 500
PER_CANVAS = 128
TEMPLATE = Path(__file__).resolve().parent.parent / "prototxt_templates" / "digits"


def split(rng: np.random.Generator) -> tuple[tuple, tuple]:
    """The training digits and the held-out digits, each as (images, labels)."""
    data = load_digits()
    order = rng.permutation(len(data.target))
    kept, held = order[HELD_OUT:], order[:HELD_OUT]
    images, labels = data.images.astype(np.uint8), data.target.astype(np.uint8)
    return (images[kept], labels[kept]), (images[held], labels[held])


def label_at(middle: np.ndarray, placed: list[Placed]) -> int | None:
    """The class of a window by its middle; None where it could be called either way."""
    middles = np.array([(digit.row, digit.column) for digit in placed])
    distances = np.hypot(*(middles - middle).T)
    nearest = int(distances.argmin())
    if distances[nearest] <= NEAR:
        return placed[nearest].digit
    return BACKGROUND if distances[nearest] >= FAR else None


def windows(rng: np.random.Generator, images: np.ndarray, labels: np.ndarray) -> Iterator[tuple]:
    """Windows of a random canvas with their classes, about half of them digits."""
    canvas, placed = scatter(rng, images, labels, shape=(256, 256), pitch=int(rng.integers(26, 44)))
    canvas = noisy(rng, canvas)
    half = WINDOW // 2
    for k in range(PER_CANVAS):
        middle = rng.integers(half, np.array(canvas.shape) - half + 1, 2)
        if k % 2:
            digit = placed[rng.integers(len(placed))]
            middle = np.array([digit.row, digit.column]) + rng.integers(-NEAR, NEAR + 1, 2)
            middle = middle.clip(half, np.array(canvas.shape) - half)
        label = label_at(middle, placed)
        if label is not None:
            row, column = middle - half
            yield canvas[row : row + WINDOW, column : column + WINDOW], label


def noisy(rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
    shaken = canvas * rng.uniform(0.7, 1) + rng.normal(0, rng.uniform(0, 12), canvas.shape)
    return shaken.clip(0, 255).astype(np.uint8)


def centred(images: np.ndarray, labels: np.ndarray) -> Iterator[tuple]:
    """Every digit alone in the middle of a window."""
    for image, label in zip(images, labels, strict=True):
        yield np.pad(glyph(image, 26), 1), int(label)


def write_lmdb(folder: Path, samples: list[tuple]) -> None:
    with lmdb.open(str(folder), map_size=1 << 30) as store, store.begin(write=True) as transaction:
        for number, (window, label) in enumerate(samples):
            transaction.put(b"%08d" % number, datum.written(window[None], label))


def train(folder: Path) -> float:
    """Runs Caffe's solver in `folder`; returns the accuracy of the last test."""
    # One thread: the order of additions, and so the weights, are the same every time.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [*caffe_runtime.command("caffe"), "train", "--solver=solver.prototxt"]
    accuracy = None
    with subprocess.Popen(
        command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True
    ) as solver:
        for line in solver.stderr:
            if found := re.search(
                r"Iteration (\d+).*loss = (\S+)|accuracy = (\S+)|(Check failed.*)", line
            ):
                print(found[0], flush=True)
                accuracy = float(found[3]) if found[3] else accuracy
    if solver.returncode or accuracy is None:
        sys.exit(f"caffe train ended with {solver.returncode}")
    return accuracy


def main() -> None:
    rng = np.random.default_rng(1)
    seen, held = split(rng)
    samples = [sample for _ in range(CANVASES) for sample in windows(rng, *seen)]
    samples = [samples[k] for k in rng.permutation(len(samples))]
    print(
        f"{len(samples)} windows, {sum(label == BACKGROUND for _, label in samples)} of them "
        f"background"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in ("train_val.prototxt", "solver.prototxt"):
            shutil.copy(TEMPLATE / file, folder)
        write_lmdb(folder / "train_lmdb", samples)
        write_lmdb(folder / "val_lmdb", list(centred(*held)))
        accuracy = train(folder)
        shutil.copyfile(next(folder.glob("*.caffemodel")), TEMPLATE / "digits.caffemodel")
    np.savez_compressed(TEMPLATE / "heldout.npz", images=held[0], labels=held[1])
    print(f"accuracy on {HELD_OUT} held-out digits: {accuracy:.1%}")


if __name__ == "__main__":
    main()
