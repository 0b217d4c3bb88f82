"""What work on weights costs, beside cp, protobuf and pycaffe; `make bench` runs it.

First on a file of VGG-16's size, then on one of nearly 2 GB, the most that
Caffe reads.

Every job is a process of its own.  The jobs take turns, so that a busy moment
of the machine falls on all of them, and each starts with nothing waiting to be
written.  Times are wall clock, memory is the process's largest resident set.
Imports of ONNX models are measured beside a cp of the model.
Images are run by each engine, beside ONNX Runtime in a bare loop, and nets by pycaffe's
interface, beside Caffe.
Figures for long nets follow, where time must grow as the net does, and what
sliding by convolution saves.
"""

import argparse
import csv
import filecmp
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import bench_import
import bench_infer
import bench_pycaffe
import sliding
from bench_files import large_net, long_net, long_weights, make_half, make_weights
from bench_programs import CONVERT, PROTOBUF, PYCAFFE, SURGERY, TRANSPLANT

import fcnkit as fk
from fcnkit import templates
from fcnkit.engines import caffe_runtime
from fcnkit.errors import EngineError
from fcnkit.formats import prototxt
from fcnkit.formats.prototxt import Prototxt
from fcnkit.weights import store

ROOT = Path(__file__).resolve().parent.parent
LONG = (1000, 2000, 5000, 10000)
FCNKIT = [str(Path(sys.executable).with_name("fcnkit"))]


class Job(NamedTuple):
    """One thing to measure: its words, how often at most, and whether it says its own time."""

    name: str
    words: list[str]
    most: int = 1000
    own_clock: bool = False


class Figures(NamedTuple):
    """What one job came to: seconds of each run, and the largest peak memory in megabytes."""

    name: str
    seconds: list[float]
    megabytes: float

    @property
    def median(self) -> float:
        """The middle one of its times."""
        return statistics.median(self.seconds)


# A process starts with its parent's largest memory: this small parent keeps that out of the
# figures.
LAUNCH = """
import json, os, subprocess, sys, time
start = time.perf_counter()
child = subprocess.Popen(sys.argv[2:], cwd=sys.argv[1], stdout=2)
_, status, usage = os.wait4(child.pid, 0)
seconds = time.perf_counter() - start
print(json.dumps([os.waitstatus_to_exitcode(status), seconds, usage.ru_maxrss * 1024 / 1e6]))
"""


def run(job: Job, cwd: Path) -> tuple[float, float]:
    """Seconds and peak megabytes of one run; SystemExit, with its last words, when it fails."""
    words = [sys.executable, "-I", "-S", "-c", LAUNCH, str(cwd), *job.words]
    environment = {**os.environ, "GLOG_minloglevel": "2"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, errors="replace")
    status, seconds, megabytes = json.loads(done.stdout) if done.stdout else (done.returncode, 0, 0)
    if status:
        raise SystemExit(f"{job.name} failed with exit status {status}:\n{done.stderr}")
    return float(done.stderr.split()[-1]) if job.own_clock else seconds, megabytes


def measure(jobs: list[Job], runs: int, cwd: Path, output: Path) -> list[Figures]:
    """The figures of all jobs, run in turn;
    the output is removed and the disk is quiet before each.
    """
    figures = {job.name: Figures(job.name, [], 0) for job in jobs}
    for turn in range(runs):
        for job in jobs:
            if turn < job.most:
                output.unlink(missing_ok=True)
                os.sync()
                seconds, megabytes = run(job, cwd)
                old = figures[job.name]
                figures[job.name] = Figures(
                    job.name, [*old.seconds, seconds], max(old.megabytes, megabytes)
                )
    return list(figures.values())


def jobs(folder: Path, source: Path, output: Path) -> list[Job]:
    """Everything that makes `output` out of `source` and old.prototxt, one way or another."""
    python, old_net, new_net = (
        sys.executable,
        str(folder / "old.prototxt"),
        str(folder / "new.prototxt"),
    )
    old, new = str(source), str(output)
    return [
        Job("cp", ["cp", old, new]),
        Job(
            "fcnkit: transplant and save alone",
            [python, "-c", SURGERY, old_net, old, new],
            own_clock=True,
        ),
        Job("fcnkit: transplant, whole process", [python, "-c", TRANSPLANT, old_net, old, new]),
        Job("fcnkit surgery", [*FCNKIT, "surgery", old_net, old, new_net, "-o", new, "--force"]),
        Job("fcnkit: to HDF5 alone", [python, "-c", CONVERT, old, new], own_clock=True),
        Job("fcnkit convert to HDF5", [*FCNKIT, "convert", old, new, "--to", "h5", "--force"]),
    ]


def more_jobs(folder: Path, source: Path, output: Path) -> list[Job]:
    """What is looked at with one size only: other ways, other formats, and what others take."""
    python, old_net, new_net = (
        sys.executable,
        str(folder / "old.prototxt"),
        str(folder / "new.prototxt"),
    )
    old, new = str(source), str(output)
    over = f"import sys; open(sys.argv[3], 'w').close()\n{SURGERY}"
    everything = [
        Job("cp, then sync of the copy", ["sh", "-c", 'cp "$0" "$1" && sync "$1"', old, new]),
        Job(
            "fcnkit: over an old file, synced",
            [python, "-c", over, old_net, old, new],
            own_clock=True,
        ),
        Job(
            "fcnkit convolutionalize --weights",
            [
                *FCNKIT,
                "convolutionalize",
                old_net,
                "-o",
                str(folder / "out.prototxt"),
                "--weights",
                old,
            ]
            + ["--weights-out", new, "--force"],
        ),
        Job(
            "fcnkit convert, half to float32",
            [*FCNKIT, "convert", str(folder / "half"), new, "--force"],
        ),
        Job("protobuf, by hand", [python, "-c", PROTOBUF, old, new], most=3),
    ]
    try:
        words = [*caffe_runtime.command("python"), "-c", PYCAFFE, old_net, new_net, old, new]
        return [*everything, Job("pycaffe: two nets, .flat, save", words, most=3)]
    except EngineError as error:
        print(f"without pycaffe: {error}")
        return everything


def surgery_table(figures: list[Figures]) -> Iterator[str]:
    """One line per job, cp first, each beside cp."""
    copy = figures[0].median
    yield f"{'':36}{'median':>8}{'fastest':>9}{'slowest':>9}{'x cp':>7}{'+ cp':>8}{'memory':>11}"
    for job in figures:
        yield (
            f"{job.name:36}{job.median:>6.2f} s{min(job.seconds):>7.2f} s{max(job.seconds):>7.2f} s"
            f"{job.median / copy:>7.2f}{job.median - copy:>+6.2f} s{job.megabytes:>8.0f} MB"
        )


def goals(figures: dict[str, Figures]) -> Iterator[str]:
    """What is asked of the figures, and whether they are so."""
    copy = figures["cp"].median
    alone = figures["fcnkit: transplant and save alone"]
    surgery = figures["fcnkit surgery"]
    yield _goal("transplant and save, times cp", alone.median / copy, 1.1, "")
    yield _goal("`fcnkit surgery`, seconds more than cp", surgery.median - copy, 0.2, " s")
    yield _goal(
        "conversion to HDF5, times cp", figures["fcnkit: to HDF5 alone"].median / copy, 2, ""
    )
    largest = max(job.megabytes for name, job in figures.items() if name.startswith("fcnkit"))
    yield _goal("largest memory of fcnkit", largest, 64, " MB")


def _goal(what: str, found: float, most: float, unit: str) -> str:
    return (
        f"{what:44}{found:>8.2f}{unit} of {most}{unit}: {'reached' if found <= most else 'MISSED'}"
    )


def length_table(folder: Path) -> Iterator[str]:
    """Milliseconds per 1,000 layers for nets of growing length; even columns are linear time."""
    yield f"{'layers':>8}{'convolutionalize':>20}{'open weights':>16}{'surgery and save':>20}"
    for layers in LONG:
        net, path = prototxt.parse(long_net(layers), "long"), folder / f"{layers}.caffemodel"
        long_weights(path, layers)
        plan, weights = fk.convolutionalize(net), store.open(path)
        steps = (
            lambda net=net: fk.convolutionalize(prototxt.parse(net.text, "long")),
            lambda path=path: store.open(path),
            lambda plan=plan, weights=weights: fk.transplant(plan, weights).save(
                folder / "out", force=True
            ),
        )
        each = [1e6 * _shortest(step) / layers for step in steps]
        yield f"{layers:>8}{each[0]:>17.1f} ms{each[1]:>13.1f} ms{each[2]:>17.1f} ms"


def _shortest(step: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return min(times)


def corpus_jobs(shared: Path) -> list[Job]:
    """The longest and the largest net of the corpus
    through the commands that plan, and all through lint.
    """
    with open(shared / "prototxts" / "INDEX.csv", newline="") as table:
        rows = [
            row for row in csv.DictReader(table) if (shared / "prototxts" / row["path"]).is_file()
        ]
    longest, largest = (
        max(rows, key=lambda row: int(row[column])) for column in ("layers", "bytes")
    )
    fcn = ["--classes", "21", "--stride", "8"]
    found = [
        Job(
            f"{words[0]}, {row['layers']} layers",
            [*FCNKIT, words[0], *_paths(shared, row), *words[1:]],
        )
        for row, words in (
            (longest, ["inspect"]),
            (longest, ["convolutionalize"]),
            (longest, ["fcn", *fcn]),
            (largest, ["inspect"]),
            (largest, ["convolutionalize"]),
        )
    ]
    # That lint finds something is no failure here.
    lint = ["sh", "-c", '"$@"; test $? -le 1', "sh", *FCNKIT, "lint", *_paths(shared, *rows)]
    return [*found, Job(f"lint, {len(rows)} files", lint, most=1)]


def _paths(shared: Path, *rows: dict[str, str]) -> list[str]:
    return [str(shared / "prototxts" / row["path"]) for row in rows]


def corpus_table(runs: int, folder: Path) -> Iterator[str]:
    """What real nets cost, from the start of a process to its end; or that they are not here."""
    shared = Path(os.environ.get("FCNKIT_DATA") or ROOT.parent / "shared" / "data")
    if not (shared / "prototxts" / "INDEX.csv").is_file():
        yield f"no corpus of real nets: {shared} has none; name its folder in FCNKIT_DATA"
        return
    yield "real nets, whole processes"
    figures = measure(corpus_jobs(shared), runs, folder, folder / "out")
    for job in figures:
        yield _goal(job.name, job.median, 60 if job.name.startswith("lint") else 1, " s")


def prepare(folder: Path, net: Prototxt) -> Path:
    """The weights of a net, which are at the path;
    old.prototxt and new.prototxt are beside them.
    """
    source = folder / "in.caffemodel"
    source.unlink(missing_ok=True)
    make_weights(net, source)
    net.save(folder / "old.prototxt", force=True)
    fk.convolutionalize(net).net.save(folder / "new.prototxt", force=True)
    return source


def bench(folder: Path, runs: int) -> None:
    """All the figures are printed."""
    output = folder / "out.caffemodel"
    source = prepare(folder, fk.read(templates.path("vgg16")))
    make_half(source, folder / "half")
    print(f"VGG-16 with random weights, {source.stat().st_size:,} bytes; {runs} runs in turn\n")
    figures = measure(
        jobs(folder, source, output) + more_jobs(folder, source, output), runs, folder, output
    )
    print("\n".join(surgery_table(figures)))
    print("\n".join(["", *goals({job.name: job for job in figures})]))
    plan = Job(
        "fcnkit convolutionalize template:vgg16", [*FCNKIT, "convolutionalize", "template:vgg16"]
    )
    (found,) = measure([plan], runs, folder, output)
    print(_goal("`fcnkit convolutionalize template:vgg16`", found.median, 0.4, " s"))
    compare(folder, source, output)
    print("\n".join(["", *import_table(runs, folder, source)]))
    source = prepare(folder, large_net())
    print(f"\na wider VGG-16, {source.stat().st_size:,} bytes; {min(runs, 3)} runs in turn\n")
    figures = measure(jobs(folder, source, output), min(runs, 3), folder, output)
    print("\n".join(surgery_table(figures)))
    print("\n".join(["", *goals({job.name: job for job in figures})]))
    print("\nmilliseconds per 1,000 layers, best of 3")
    print("\n".join(length_table(folder)))
    print()
    print("\n".join(corpus_table(runs, folder)))
    print()
    for line in bench_infer.table(folder, runs):
        print(line, flush=True)
    print()
    for line in bench_pycaffe.table(folder):
        print(line, flush=True)
    print()
    for line in sliding.table(folder):
        print(line, flush=True)


def import_table(runs: int, folder: Path, weights: Path) -> Iterator[str]:
    """What `fcnkit import` takes of ONNX models, each beside a cp of the file."""
    net, output = prototxt.read(folder / "old.prototxt"), folder / "imported.caffemodel"
    for title, model in bench_import.models(folder, net, store.open(weights)):
        words = ["import", str(model), "-o", str(folder / "imported.prototxt"), "--force"]
        both = [
            Job("cp", ["cp", str(model), str(output)]),
            Job("import", [*FCNKIT, *words, "--weights-out", str(output)]),
        ]
        copy, made = measure(both, runs, folder, output)
        yield (
            f"import of {title}, {model.stat().st_size / 1e6:.0f} MB: {made.median:.2f} s, "
            f"cp {copy.median:.2f} s, {made.megabytes:.0f} MB of memory"
        )
        if title == "MobileNet v2":
            yield _goal("a whole process", made.median, 1, " s")
        else:
            yield _goal("memory", made.megabytes, 200, " MB")


def compare(folder: Path, source: Path, output: Path) -> None:
    """Says whether our file is what protobuf writes."""
    ours, words = folder / "ours", [str(folder / "old.prototxt"), str(source)]
    run(Job("fcnkit", [sys.executable, "-c", TRANSPLANT, *words, str(ours)]), folder)
    run(Job("protobuf", [sys.executable, "-c", PROTOBUF, str(source), str(output)]), folder)
    same = filecmp.cmp(ours, output, shallow=False)
    print(f"the file is {'byte for byte' if same else 'NOT'} what protobuf writes")
    ours.unlink()


def main() -> None:
    """The benchmark has run, and its large files are gone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="runs of each job (5)")
    parser.add_argument(
        "--folder", help="where its 6 GB of files go for the time being (the system's)"
    )
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fcnkit-bench-", dir=options.folder))
    try:
        bench(folder, options.runs)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
