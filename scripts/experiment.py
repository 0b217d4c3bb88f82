"""What transplanted weights and skips are worth; `make experiment` runs it.

A classifier is made an FCN three times and trained for as many steps each: from
random weights, from its own, and from its own with skips to a finer stride.
The whole validation set is scored; tables, curves and pictures go into a folder.
By default on CamVid, with SqueezeNet v1.0 (ImageNet) and the trunk of an age
classifier.  Real Caffe trains, or PyTorch (`make experiment ENGINE=torch`).
Everything is done by fcnkit's own commands, several at a time on the cores that
there are.  When it is stopped, the same command goes on.

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

import experiment_report
from experiment_commands import (
    Trunk,
    dataset,
    infer,
    net,
    score,
    train,
    trainings,
    trunks,
)

from fcnkit.cli.arguments import TEMPLATE
from fcnkit.datasets.colours import read_classes
from fcnkit.engines import caffe_runtime
from fcnkit.training.train import finished

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("FCNKIT_DATA") or ROOT.parent / "shared" / "data")
FCNKIT = Path(sys.executable).with_name("fcnkit")


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


def run_at_once(commands: Sequence[Sequence[str]], jobs: int, threads: int) -> None:
    """All commands have run, `jobs` at a time with so many threads each;
    the first that fails stops the others.
    """
    begun: list[subprocess.Popen] = []
    with ThreadPoolExecutor(jobs) as pool:
        waiting = [pool.submit(_followed, words, begun, threads) for words in commands]
        try:
            for each in as_completed(waiting):
                if each.result():
                    sys.exit(each.result())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in begun:
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)  # a training saves a snapshot


def _followed(words: Sequence[str], begun: list, threads: int) -> int:
    """One command's exit status; what it says is said.  A terminal's Ctrl-C reaches us alone."""
    say(f"$ fcnkit {shlex.join(words)}")
    with subprocess.Popen(
        [FCNKIT, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)},
    ) as process:
        begun.append(process)
        lines = []
        for line in process.stdout:
            lines.append(line)
            if words[0] == "train":
                say(line.rstrip())
    if process.returncode and words[0] != "train":
        say("".join(lines))
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
    runs = [
        each
        for trunk in chosen
        for each in trainings(trunk, options)
        if not options.only or each.name in options.only
    ]
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
        run_at_once(
            [infer(each, options.data / "val/images") for each in rest],
            options.jobs,
            options.threads,
        )
        for each in rest:
            (each.folder / "scores.json").write_text(call(score(each, data)))

    # The longest first, so that no core waits long at the end.
    order = sorted(runs, key=lambda each: (-each.trunk.steps, each.stride, not each.transplanted))

    def learn() -> None:
        rest = [each for each in order if not finished(each.run, each.trunk.steps)]
        run_at_once([train(each, data) for each in rest], options.jobs, options.threads)

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
        "--only",
        action="append",
        choices=["random", "transplanted", "skips"],
        help="these trainings alone; may be repeated",
    )
    parser.add_argument(
        "--beside", type=Path, metavar="FILE", help="the results.json of another report, to compare"
    )
    parser.add_argument(
        "--jobs", type=int, default=cores, help="trainings at a time; one for each core"
    )
    options = parser.parse_args(words)
    options.threads = max(1, cores // options.jobs)
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
        sys.exit("make experiment: no Caffe on this machine; run `fcnkit caffe install`")
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
