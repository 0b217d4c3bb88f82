"""A user's script from a classifier to a picture of classes; `mypy --strict` passes on it.

What comes back from each call is written down, so that a public name without a type, or with
another one, is an error. tests/test_types.py runs mypy on it.
"""

import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

import fcnkit as fk
import fcnkit.pycaffe as caffe
from fcnkit.pycaffe import layers as L  # noqa: N812
from fcnkit.pycaffe import params as P  # noqa: N812


def shown(net: fk.Prototxt) -> Iterator[str]:
    """A line for each layer of the net."""
    table: fk.Inspection = fk.inspect(net, inputs={"data": (1, 3, 500, 500)})
    for row in table.rows:
        name: str = row.name
        shape: tuple[int, ...] | None = row.shape
        yield f"{row.line}: {name} {shape}"
    parameters: int = table.params
    yield f"{parameters:,} parameters"


def layers(net: fk.Prototxt) -> list[str]:
    """The names of the layers in the state TRAIN."""
    graph: fk.Graph = fk.build(net, fk.State("TRAIN"))
    return [layer.name for layer in graph.layers]


def converted(net: fk.Prototxt, weights: fk.Weights, folder: Path) -> fk.Plan:
    """The classifier as a convolutional net, with its weights, beside it."""
    plan: fk.Plan = fk.convolutionalize(net, rename="{name}-conv")
    for step in plan.steps:
        line: int | None = step.line
        print(f"{line}: {step.verb} {step.layer}: {step.what}, {step.why}")
    made: fk.Weights = fk.transplant(plan, weights)
    plan.net.save(folder / "conv.prototxt", force=True)
    made.save(folder / "conv.caffemodel", force=True)
    return plan


def segmenter(net: fk.Prototxt) -> fk.Plan:
    """An FCN of stride 8 with 21 classes, its images in RGB."""
    plan: fk.Plan = fk.fcn(net, classes=21, stride=8).then(fk.swap_channels)
    offsets: dict[str, tuple[int, ...]] = {crop.layer: crop.offset for crop in plan.offsets}
    print(offsets, plan.diff())
    return plan


def described() -> fk.Prototxt:
    """A net of Python expressions, a layer of a fork among them."""
    n = caffe.NetSpec(name="net")
    n.data, n.label = L.Data(source="train_lmdb", backend=P.Data.LMDB, batch_size=8, ntop=2)
    n.conv = L.Convolution(n.data, num_output=8, kernel_size=3, weight_filler=dict(type="msra"))
    n.fork = L.Unheard(n.conv, param=dict(lr_mult=0))
    n.loss = L.SoftmaxWithLoss(n.fork, n.label, loss_weight=0.5, include=dict(phase=caffe.TEST))
    return n.to_prototxt()


def offset(net: fk.Prototxt) -> tuple[Fraction, ...]:
    """Where the scores begin over the image."""
    place: fk.CoordMap = fk.coords(net, "upscore8", "data")
    return place.shift


def equal(net: fk.Prototxt, weights: fk.Weights, plan: fk.Plan) -> bool:
    """Whether the plan's net computes the same."""
    found: tuple[fk.Difference, ...] = fk.verify(
        net, weights, plan.net, fk.transplant(plan, weights), tolerance=1e-5
    )
    largest: float = max(each.largest for each in found)
    print(f"{largest:g}")
    return all(each.ok for each in found)


def classes(net: fk.Prototxt, weights: str, image: Path) -> list[str]:
    """The classes that the net sees in an image; their picture lies beside it."""
    found: fk.Inferred = fk.infer(net, weights, image, mean=(104.0, 117.0, 123.0))
    picture: fk.Picture = found.overlay(0.6)
    picture.save(image.with_suffix(".png"), force=True)
    shares: dict[str, float] = found.shares()
    return sorted(shares, key=lambda name: shares[name])


def largest(weights: fk.Weights) -> dict[str, float]:
    """The largest value of each layer's first blob."""
    return {name: float(np.abs(blobs[0].array()).max()) for name, blobs in weights.items() if blobs}


def faults(net: fk.Prototxt) -> list[str]:
    """What lint finds."""
    found: tuple[fk.Finding, ...] = fk.lint(net)
    return [f"{each.path}:{each.line}: {each.text}" for each in found]


def main(path: str, weights_path: str, image: str) -> None:
    """All of it, in a folder of its own."""
    net: fk.Prototxt = fk.read(path)
    weights: fk.Weights = fk.weights(weights_path)
    folder = Path("out")
    folder.mkdir(exist_ok=True)
    plan = converted(net, weights, folder)
    scores = segmenter(net)
    trained: fk.Plan = fk.to_train(scores.net)
    trained.net.save(folder / "train_val.prototxt", force=True)
    fk.transplant(scores, weights).save(folder / "init.caffemodel", force=True)
    print(*shown(net), *layers(net), *faults(net), offset(scores.net), sep="\n")
    print(equal(net, weights, plan), largest(weights))
    print(classes(scores.net, str(folder / "init.caffemodel"), Path(image)), fk.__version__)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:4])
    except fk.FcnkitError as error:
        message: str = str(error)
        raise SystemExit(message) from None
