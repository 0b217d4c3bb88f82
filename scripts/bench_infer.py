"""What running a net on images costs by each engine, beside ONNX Runtime in a bare loop.

An FCN of SqueezeNet at stride 4, random weights, on 40 images of 480 x 360, prepared: what
`fcnkit infer` does of reading and writing is not in it.  All in one process, in turn.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from bench_files import make_weights

import fcnkit as fk
from fcnkit.engines import onnx
from fcnkit.engines.engine import installed_engines
from fcnkit.engines.fastest import AUTO
from fcnkit.inference.score_maps import Head, classes, head, scores

COUNT, HEIGHT, WIDTH, CLASSES = 40, 360, 480, 11


def table(folder: Path, runs: int) -> Iterator[str]:
    """Lines of the table: seconds, times the bare loop, pixels of another class."""
    found = _head(folder)
    weights = folder / "fcn.caffemodel"
    make_weights(found.graph.prototxt, weights)
    rng = np.random.default_rng(0)
    images = [rng.normal(0, 50, (3, HEIGHT, WIDTH)).astype(np.float32) for _ in range(COUNT)]
    yield f"{COUNT} images of {WIDTH} x {HEIGHT}, SqueezeNet's FCN at stride 4, one process"
    if "onnx" not in installed_engines():
        yield "no ONNX Runtime to compare with: pip install 'fcnkit[onnx]'"
        return
    jobs: dict[str, Callable[[], list]] = {"bare loop": lambda: _bare(found, weights, images)}
    for name in (AUTO, *installed_engines()):
        jobs[name] = lambda name=name: [
            classes(each) for each in scores(found, weights, images, engine=name)
        ]
    times: dict[str, list[float]] = {name: [] for name in jobs}
    maps: dict[str, list] = {}
    for _ in range(min(runs, 7)):
        for name, job in jobs.items():
            begun = time.perf_counter()
            maps[name] = job()
            times[name].append(time.perf_counter() - begun)
    bare = statistics.median(times["bare loop"])
    yield f"{'':12}{'seconds':>9}{'x bare':>8}   pixels of another class"
    for name, took in times.items():
        middle = statistics.median(took)
        other = sum(int((a != b).sum()) for a, b in zip(maps[name], maps["bare loop"], strict=True))
        yield f"{name:12}{middle:>9.2f}{middle / bare:>8.2f}   {other}"
    for name, goal in ((AUTO, 1.1), ("torch", 1.5)):
        if name in times:
            ratio = statistics.median(times[name]) / bare
            verdict = "reached" if ratio <= goal else "MISSED"
            yield f"{name}, times the bare loop: {ratio:.2f} of {goal:g}: {verdict}"


def _head(folder: Path) -> Head:
    net = fk.fcn(fk.template("squeezenet"), classes=CLASSES, stride=4, group=True).net
    net.save(folder / "fcn.prototxt", force=True)
    return head(net)


def _bare(found: Head, weights: Path, images: list) -> list:
    """ONNX Runtime alone: one session, its own inputs and outputs."""
    blob, scored = found.image.blob, found.scores.blob
    size = {blob: (1, 3, HEIGHT, WIDTH)}
    model = fk.export(found.graph.prototxt, str(weights), inputs=size, outputs=[scored])
    session = onnx.opened(model.bytes(), "fcn")
    return [session.run([scored], {blob: image[None]})[0][0].argmax(0) for image in images]
