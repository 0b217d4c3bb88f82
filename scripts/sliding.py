"""What sliding by convolution saves:
a whole image in one pass, against the classifier on every window of it.

`make bench` runs it last.  Both ways run on the same engine with the same
weights, random and seeded, and give a score for every window, one each stride.
The classifier gets its windows in batches.  Only the passes are timed, after a
first one that is not: no start of a process, no reading of files.
"""

import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import fcnkit as fk
from fcnkit import templates
from fcnkit.engines import caffe_runtime, opencv
from fcnkit.engines.inputs import noise
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.shapes import shapes_of
from fcnkit.weights import fillers, store

BATCH = 64
# Times are the best of three passes, of one where that takes longer than this, in seconds.
PATIENCE = 1.0

# Passes over the arrays of a file, in batches; prints the best time and writes the scores.
PASSES = """
import sys, time
import numpy as np
import caffe
net_file, weights, blob, batch, patience, source, target = sys.argv[1:]
data, batch = np.load(source), int(batch)
net = caffe.Net(net_file, weights, caffe.TEST)
given = net.blobs[net.inputs[0]]

def one(part):
    if given.data.shape != part.shape:
        given.reshape(*part.shape)
    given.data[...] = part
    net.forward()
    return net.blobs[blob].data.copy()

parts = [data[at : at + batch] for at in range(0, len(data), batch)]
one(parts[0])
times = []
while len(times) < 3 and not (times and times[0] > float(patience)):
    start = time.perf_counter()
    scores = [one(part) for part in parts]
    times.append(time.perf_counter() - start)
np.save(target, np.concatenate(scores))
print(min(times))
"""


class Subject(NamedTuple):
    """A classifier to slide: what to call it, its net,
    the blob of its scores, and the images' sizes.
    """

    name: str
    net: Prototxt
    blob: str
    sizes: tuple[int, ...]


class Pass(NamedTuple):
    """The best time in seconds, and the scores, one row for each input."""

    seconds: float
    scores: np.ndarray


class Line(NamedTuple):
    """One size of image: how many windows, both times, and how far the scores are apart."""

    size: int
    windows: int
    dense: float
    each: float
    difference: float

    def __str__(self) -> str:
        return (
            f"{self.size:>5} x {self.size:<5}{self.windows:>9,}{1e3 * self.each:>15,.1f} ms"
            f"{1e3 * self.dense:>10,.1f} ms{self.each / self.dense:>8.1f}{self.difference:>13.1e}"
        )


HEAD = (
    f"{'image':^13}{'windows':>9}{'window by window':>18}{'dense':>13}"
    f"{'ratio':>8}{'difference':>13}"
)


def subjects() -> list[Subject]:
    """LeNet, AlexNet, and AlexNet without padding, whose window is what its fc6 sees."""
    lenet, alexnet = (fk.read(templates.path(name)) for name in ("lenet", "alexnet"))
    return [
        Subject("LeNet, 28 x 28 windows", lenet, "ip2", (28, 56, 112, 224, 448)),
        Subject("AlexNet, 227 x 227 windows", alexnet, "fc8", (227, 259, 323, 451)),
        Subject(
            "AlexNet without padding, 355 x 355 windows", unpadded(alexnet), "fc8", (355, 387, 451)
        ),
    ]


def unpadded(alexnet: Prototxt) -> Prototxt:
    """AlexNet whose convolutions do not pad; its window is so large that fc6 still takes 6 x 6."""
    text = re.sub(r" pad: \d+", "", alexnet.text)
    return fk.parse(text.replace("dim: 227", "dim: 355"), "unpadded.prototxt")


def make_weights(net: Prototxt) -> store.Weights:
    """Seeded weights of the net's shapes that keep the size
    of its signals, by Caffe's msra filler.
    """
    graph = fk.build(net)
    shapes = shapes_of(graph)
    blobs = {layer.name: shapes.blobs(layer) for layer in graph.layers}
    values = {
        name: [
            fillers.fill("msra" if len(shape) > 1 else "constant", shape, rng=number)
            for shape in own
        ]
        for number, (name, own) in enumerate(blobs.items())
        if own
    }
    return store.create().put_all(values, types={layer.name: layer.type for layer in graph.layers})


def choose() -> tuple[str, Callable[..., Pass]]:
    """Real Caffe where it is installed, or else OpenCV, by its name."""
    if caffe_runtime.available():
        return "Caffe", on_caffe
    return "OpenCV", on_opencv


def on_caffe(net: Prototxt, weights: Path, blob: str, data: np.ndarray, folder: Path) -> Pass:
    """The passes in real Caffe, in its own process;
    SystemExit with its last words when it fails.
    """
    net_file, source, target = folder / "net.prototxt", folder / "in.npy", folder / "out.npy"
    net.save(net_file, force=True)
    np.save(source, data)
    words = [net_file, weights, blob, BATCH, PATIENCE, source, target]
    command = [*caffe_runtime.command("python"), "-c", PASSES, *map(str, words)]
    done = subprocess.run(
        command, env=caffe_runtime.environment(), capture_output=True, text=True, errors="replace"
    )
    if done.returncode:
        raise SystemExit(
            f"{net.path}: Caffe failed with exit status {done.returncode}:\n{done.stderr}"
        )
    return Pass(float(done.stdout.split()[-1]), np.load(target))


def on_opencv(net: Prototxt, weights: Path, blob: str, data: np.ndarray, folder: Path) -> Pass:
    """The same passes in OpenCV, in this process."""
    parts = [data[at : at + BATCH] for at in range(0, len(data), BATCH)]
    (name,) = (top.blob for top in fk.build(net).inputs)
    passes = opencv.run_all(net, weights, ({name: part} for part in _again(parts)), [blob])
    next(passes)
    times: list[float] = []
    while len(times) < 3 and not (times and times[0] > PATIENCE):
        start = time.perf_counter()
        scores = [next(passes)[blob] for _ in parts]
        times.append(time.perf_counter() - start)
    return Pass(min(times), np.concatenate(scores))


def _again(parts: list[np.ndarray]) -> Iterator[np.ndarray]:
    """The first part, and then all of them again and again."""
    yield parts[0]
    while True:
        yield from parts


def slid(subject: Subject, folder: Path, run: Callable[..., Pass]) -> Iterator[Line]:
    """A line for each size of image."""
    plan, old = fk.convolutionalize(subject.net), make_weights(subject.net)
    paths = folder / "old.caffemodel", folder / "new.caffemodel"
    old.save(paths[0], force=True)
    fk.transplant(plan, old).save(paths[1], force=True)
    stride = int(fk.coords(plan.net, subject.blob, "data").scale[-1])
    _, channels, height, width = shapes_of(fk.build(subject.net)).tops[
        fk.build(subject.net).inputs[0]
    ]
    for size in subject.sizes:
        image = noise((1, channels, size, size), seed=size)
        views = sliding_window_view(image[0], (height, width), (1, 2))[:, ::stride, ::stride]
        windows = views.transpose(1, 2, 0, 3, 4).reshape(-1, channels, height, width)
        each = run(subject.net, paths[0], subject.blob, windows, folder)
        dense = run(plan.net, paths[1], subject.blob, image, folder)
        yield Line(
            size,
            len(windows),
            dense.seconds,
            each.seconds,
            largest_difference(each.scores, dense.scores),
        )


def largest_difference(each: np.ndarray, dense: np.ndarray) -> float:
    """The largest difference of windows' scores from dense ones, by the largest score.

    `each` is (windows, classes), `dense` (1, classes, rows, columns).
    """
    expected = dense[0].reshape(dense.shape[1], -1).T
    return float(np.abs(each - expected).max() / np.abs(expected).max())


NOTE = """difference: the largest between scores of the two ways, by the largest score.
AlexNet pads within each window; of a whole image only the border is padded, so that
its inner windows see their neighbours in place of zeros and score otherwise.  One
window alone, and the net without padding, show that nothing else differs."""


def table(folder: Path) -> Iterator[str]:
    """The lines to print, each as soon as it is measured."""
    name, run = choose()
    yield f"dense: one pass over an image; window by window: in batches of {BATCH}; both on {name}"
    for subject in subjects():
        yield f"\n{subject.name}\n{HEAD}"
        yield from map(str, slid(subject, folder, run))
    yield f"\n{NOTE}"


def main() -> None:
    """The table is printed."""
    with tempfile.TemporaryDirectory(prefix="fcnkit-sliding-") as folder:
        for line in table(Path(folder)):
            print(line, flush=True)


if __name__ == "__main__":
    main()
