"""The classifiers and trainings of scripts/experiment.py, and the commands that carry them out."""

import argparse
from pathlib import Path
from typing import NamedTuple

import fcnkit as fk
from fcnkit.cli.arguments import load
from fcnkit.inference.preparation import read_mean
from fcnkit.nets import graph, shapes
from fcnkit.training.runs import Run

SEED = 1
# A net that starts from random weights: its biases begin at 0, and have a long way at Adam's pace.
RANDOM = ["--refill", "--bias-rate", "20"]
# Adam's at the start.
RATE = "3e-4"


class Trunk(NamedTuple):
    """A trained classifier, and what is done with it.

    `net` is a path or a template, `mean` B,G,R or a mean file, `pad` what
    `fcnkit fcn` takes at the coarse stride; at the fine one it is left to choose.
    """

    title: str
    net: str
    weights: str
    mean: str
    coarse: int
    fine: int
    pad: str
    steps: int

    @property
    def key(self) -> str:
        """What its folders and pictures are called."""
        return "".join(
            letter if letter.isalnum() else "-" for letter in self.title.split(",")[0].lower()
        )

    @property
    def is_partial(self) -> bool:
        """Whether the weights lack a layer of the classifier's."""
        sizes = shapes.shapes_of(graph.build(load(self.net)))
        weights = fk.weights(self.weights)
        return any(sizes.blobs(layer) and layer.name not in weights for layer in sizes.graph.layers)


def trunks(models: Path) -> list[Trunk]:
    """Those of the default experiment."""
    squeezenet, age = models / "squeezenet_v1.0_imagenet", models / "age_net_v1"
    return [
        Trunk(
            "SqueezeNet v1.0, trained on ImageNet",
            str(squeezenet / "SqueezeNet_deploy.prototxt"),
            str(squeezenet / "squeezenet_v1.0_deepcompressed.caffemodel"),
            "104,117,123",
            16,
            4,
            "35",
            1500,
        ),
        Trunk(
            "age_net, trained to tell the age of faces",
            str(age / "deploy_age.prototxt"),
            str(age / "age_net.caffemodel"),
            str(age / "age_gender_mean.binaryproto"),
            32,
            8,
            "auto",
            200,
        ),
    ]


class Training(NamedTuple):
    """One of the trainings of a trunk, on an engine's device."""

    trunk: Trunk
    name: str
    stride: int
    transplanted: bool
    engine: str
    device: str
    work: Path

    @property
    def folder(self) -> Path:
        """Where its net and all that comes of it lies."""
        return self.work / f"{self.trunk.key}-{self.name}"

    @property
    def pad(self) -> str:
        """The padding of its first layer."""
        return self.trunk.pad if self.stride == self.trunk.coarse else "auto"

    @property
    def run(self) -> Run:
        """Its run folder."""
        return Run(self.folder, "run")


def trainings(trunk: Trunk, options: argparse.Namespace) -> list[Training]:
    """Random, transplanted, and with skips where the trunk has a finer stride."""
    where = options.engine, options.device, options.work
    found = [
        Training(trunk, "random", trunk.coarse, False, *where),
        Training(trunk, "transplanted", trunk.coarse, True, *where),
    ]
    finer = trunk.fine != trunk.coarse
    return found + [Training(trunk, "skips", trunk.fine, True, *where)] * finer


# ---- the commands


def dataset(data: Path, void: str, out: Path) -> list[str]:
    """Makes the LMDBs: every training pair and its mirror image, in one shuffled order."""
    return [
        "dataset",
        "create",
        str(data / "train/images"),
        str(data / "train/labels"),
        "-o",
        str(out),
        "--val-images",
        str(data / "val/images"),
        "--val-labels",
        str(data / "val/labels"),
        "--classes",
        str(data / "classes.txt"),
        *(["--void", void] if void else []),
        "--flip",
        "--force",
    ]


def net(each: Training, classes: int) -> list[str]:
    """Makes the FCN, its solver, and its first weights where they are not random."""
    weights = RANDOM
    if each.transplanted:
        weights = ["--refill"] if each.trunk.is_partial else ["--weights", each.trunk.weights]
    return [
        "fcn",
        each.trunk.net,
        "--classes",
        str(classes),
        "--stride",
        str(each.stride),
        "--pad",
        each.pad,
        *weights,
        "--mean",
        mean(each.trunk.mean),
        "--solver",
        "adam",
        "--cpu",
        "-o",
        str(each.folder),
        "--force",
    ]


def train(each: Training, data: Path) -> list[str]:
    """Trains it, and validates every 500 steps, or twice."""
    steps, every = str(each.trunk.steps), str(max(1, min(500, each.trunk.steps // 2)))
    start = ["--weights", each.trunk.weights] if each.transplanted and each.trunk.is_partial else []
    return [
        "train",
        str(each.folder),
        "--data",
        str(data),
        *start,
        *processor(each),
        "--seed",
        str(SEED),
        "--rate",
        RATE,
        "--iterations",
        steps,
        "--test",
        every,
        "--snapshot",
        every,
    ]


def processor(each: Training) -> list[str]:
    """On what it is trained."""
    return (
        ["--cpu"] if each.engine == "caffe" else ["--engine", each.engine, "--device", each.device]
    )


def infer(each: Training, images: Path) -> list[str]:
    """Class maps of all validation images."""
    return [
        "infer",
        str(each.folder / "deploy.prototxt"),
        str(each.run.weights(each.trunk.steps)),
        str(images),
        "-o",
        str(each.folder / "seen"),
        "--mean",
        mean(each.trunk.mean),
        "--no-overlay",
        "--engine",
        each.engine,
        *(["--device", each.device] if each.engine == "torch" else []),
        "--force",
    ]


def score(each: Training, data: Path) -> list[str]:
    """The scores of the class maps, as JSON."""
    return ["score", str(each.folder / "seen"), str(data), "--json"]


def mean(text: str) -> str:
    """B,G,R; of a mean file, its mean colour."""
    if not Path(text).exists():
        return text
    return ",".join(f"{value:.3f}" for value in read_mean(text).mean(axis=(1, 2)))
