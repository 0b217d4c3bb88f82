"""What transplanted weights and skips are worth; `make experiment` runs it.

A classifier is made an FCN three times and trained for as many steps each: from
random weights, from its own, and from its own with skips to a finer stride.
The whole validation set is scored; tables, curves and pictures go into a folder.
By default on CamVid, with SqueezeNet v1.0 (ImageNet) and the trunk of an age
classifier.  Real Caffe trains, or PyTorch (`make experiment ENGINE=torch`).
Everything is done by fcnkit's own commands, several at a time with one thread
each.  When it is stopped, the same command goes on.

Weights that are not of every layer of the classifier start those that they are
of; the others start from fillers.
"""

import argparse
import importlib.util
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import experiment_report

import fcnkit as fk
from fcnkit.cli.arguments import TEMPLATE, load
from fcnkit.datasets.colours import read_classes
from fcnkit.engines import caffe_runtime
from fcnkit.inference.preparation import read_mean
from fcnkit.nets import graph, shapes
from fcnkit.training.runs import Run
from fcnkit.training.train import finished

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("FCNKIT_DATA") or ROOT.parent / "shared" / "data")
SEED = 1
# A net that starts from random weights: its biases begin at 0, and have a long way at Adam's pace.
RANDOM = ["--refill", "--bias-rate", "20"]
# Adam's at the start.
RATE = "3e-4"
FCNKIT = Path(sys.executable).with_name("fcnkit")


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
        sizes = shapes.infer(graph.build(load(self.net)))
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


# ---- how they are run


def say(text: str) -> None:
    print(text, flush=True)


def call(words: Sequence[str]) -> str:
    """What one command prints; the experiment ends where it fails."""
    say(f"$ fcnkit {shlex.join(words)}")
    done = subprocess.run([FCNKIT, *words], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def together(commands: Sequence[Sequence[str]], jobs: int) -> None:
    """All commands have run, `jobs` at a time with one thread each;
    the first that fails stops the others.
    """
    begun: list[subprocess.Popen] = []
    with ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(_followed, words, begun) for words in commands]
        try:
            for each in as_completed(waiting):
                if each.result():
                    sys.exit(each.result())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in begun:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)  # a training saves a snapshot


def _followed(words: Sequence[str], begun: list) -> int:
    """One command's exit status; what it says is said.  A terminal's Ctrl-C reaches us alone."""
    say(f"$ fcnkit {shlex.join(words)}")
    with subprocess.Popen(
        [FCNKIT, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
    ) as process:
        begun.append(process)
        said = []
        for line in process.stdout:
            said.append(line)
            if words[0] == "train":
                say(line.rstrip())
    if process.returncode and words[0] != "train":
        say("".join(said))
    return process.returncode


class Clock:
    """How long each part took, kept in a file: what was done before an interruption counts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.parts: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}

    def timed(self, part: str, work) -> None:
        """The work is done, and its time is added to the part's."""
        say(f"\n{part}\n{'-' * len(part)}")
        begun = time.monotonic()
        try:
            work()
        finally:
            took = time.monotonic() - begun
            self.parts[part] = self.parts.get(part, 0.0) + took
            self.path.write_text(json.dumps(self.parts))
        say(f"{part}: {took:.0f} s")


def experiment(options: argparse.Namespace, chosen: Sequence[Trunk]) -> None:
    """Every part that is not done yet is done, in order."""
    work, data = options.work, options.work / "dataset"
    runs = [each for trunk in chosen for each in trainings(trunk, options)]
    classes = len(read_classes(options.data / "classes.txt"))
    clock = Clock(work / "times.json")

    def prepare() -> None:
        if not (data / "report.json").exists():
            call(dataset(options.data, options.void, data))
        for each in runs:
            if not (each.folder / "solver.prototxt").exists():
                call(net(each, classes))

    def evaluate() -> None:
        rest = [each for each in runs if not (each.folder / "scores.json").exists()]
        together([infer(each, options.data / "val/images") for each in rest], options.jobs)
        for each in rest:
            (each.folder / "scores.json").write_text(call(score(each, data)))

    # The longest first, so that no core waits long at the end.
    order = sorted(runs, key=lambda each: (-each.trunk.steps, each.stride, not each.transplanted))

    def learn() -> None:
        rest = [each for each in order if not finished(each.run, each.trunk.steps)]
        together([train(each, data) for each in rest], options.jobs)

    clock.timed("dataset and nets", prepare)
    clock.timed("training", learn)
    clock.timed("evaluation", evaluate)
    say(f"\nreport in {options.output}")
    commands = [dataset(options.data, options.void, data)]
    for each in runs:
        commands += [
            net(each, classes),
            train(each, data),
            infer(each, options.data / "val/images"),
            score(each, data),
        ]
    experiment_report.write(options, runs, clock.parts, list(_shown(commands, options, chosen)))


def _shown(commands: Sequence[Sequence[str]], options, chosen: Sequence[Trunk]) -> Iterator[str]:
    """The commands as typed, without the folders of this machine."""
    folders = {Path(path).parent for trunk in chosen for path in (trunk.net, trunk.weights)} - {
        Path()
    }
    places = [
        (options.work, "work"),
        (options.data, "data"),
        *((each, each.name) for each in folders),
    ]
    for words in commands:
        text = shlex.join(["fcnkit", *words])
        for place, name in places:
            text = text.replace(str(place), name)
        yield text


# ---- what is asked for


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument(
        "--data",
        type=Path,
        default=SHARED / "camvid",
        metavar="DIR",
        help="train/images, train/labels, val/images, val/labels and classes.txt",
    )
    parser.add_argument(
        "--void", default="11", metavar="V", help='label values to ignore, "" for none'
    )
    parser.add_argument(
        "--models",
        type=Path,
        default=SHARED / "models",
        metavar="DIR",
        help="squeezenet_v1.0_imagenet and age_net_v1, where no --trunk is given",
    )
    parser.add_argument(
        "--trunk",
        nargs=8,
        action="append",
        help="another classifier; may be repeated",
        metavar=("TITLE", "NET", "WEIGHTS", "MEAN", "STRIDE", "FINE", "PAD", "STEPS"),
    )
    parser.add_argument("--credit", default="", help="whose images these are, for the report")
    parser.add_argument("--engine", choices=["caffe", "torch"], default="caffe", help="what trains")
    parser.add_argument("--device", default="cpu", help="PyTorch's, such as cuda")
    parser.add_argument(
        "--work", type=Path, metavar="DIR", help="build/experiment, or .../experiment-torch"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="docs/experiment, or its torch/"
    )
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    parser.add_argument(
        "--jobs", type=int, default=cores, help="trainings at a time; one for each core"
    )
    options = parser.parse_args(words)
    torch = options.engine == "torch"
    if not torch and options.device != "cpu":
        parser.error("Caffe trains on the CPU here; give --engine torch with --device")
    options.work = options.work or Path("build/experiment-torch" if torch else "build/experiment")
    options.output = options.output or Path("docs/experiment/torch" if torch else "docs/experiment")
    return options


def check(options: argparse.Namespace, chosen: Sequence[Trunk]) -> None:
    """The engine and all files are there,
    and the work folder is this experiment's; else it ends.
    """
    if options.engine == "caffe" and not caffe_runtime.available():
        sys.exit("make experiment: no Caffe on this machine; run `make caffe`")
    if options.engine == "torch" and importlib.util.find_spec("torch") is None:
        sys.exit("make experiment: no PyTorch in this Python; run `pip install 'fcnkit[torch]'`")
    wanted = [
        options.data / name
        for name in ("classes.txt", "train/images", "train/labels", "val/images", "val/labels")
    ]
    named = [path for trunk in chosen for path in (trunk.net, trunk.weights)]
    wanted += [Path(path) for path in named if not path.startswith(TEMPLATE)]
    missing = [str(path) for path in wanted if not path.exists()]
    if missing:
        sys.exit(
            "make experiment: not there: "
            + ", ".join(missing)
            + "\nName a folder of images and labels with "
            "--data and a trained classifier with --trunk (scripts/experiment.py --help), or set "
            "FCNKIT_DATA."
        )
    where = [options.engine, options.device, str(options.data.resolve()), options.void]
    settings = json.dumps([*where, *map(list, chosen)])
    options.work.mkdir(parents=True, exist_ok=True)
    kept = options.work / "settings.json"
    if kept.exists() and kept.read_text() != settings:
        fact = f"{options.work}: holds an experiment with other settings"
        sys.exit(f"{fact}; remove it, or name another --work")
    kept.write_text(settings)


def main() -> None:
    options = arguments()
    given = [
        Trunk(*texts, int(coarse), int(fine), pad, int(steps))
        for *texts, coarse, fine, pad, steps in options.trunk or ()
    ]
    chosen = given or trunks(options.models)
    check(options, chosen)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.data == SHARED / "camvid" and not options.credit:
        options.credit = experiment_report.CAMVID
    options.tried = "" if given else experiment_report.TRIED
    try:
        experiment(options, chosen)
    except KeyboardInterrupt:
        sys.exit("stopped; the same command goes on")


if __name__ == "__main__":
    main()
