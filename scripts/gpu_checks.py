"""All that is to be checked and measured on a GPU, in under nine minutes: `make gpu-checks`.

    python3 scripts/gpu_checks.py [-o docs/gpu.md] [--limit 530]

It needs the Python and the PyTorch that a machine with a GPU has, this checkout, and no network.
What it uses beside PyTorch and is not there is taken from build/gpu/site, where `make gpu-carry`
puts it on a machine with a network; a Caffe that `make gpu` has built is taken from
build/gpu/caffe, or where FCNKIT_CAFFE_GPU says.  What cannot be had is said, and left out.

The steps: the machine; tests/test_gpu.py; FCN-AlexNet and FCN-8s trained on the GPU and on the
CPU, losses and parameters compared; Caffe's own program; and scripts/speed.py, whose table goes
into docs/gpu.md, with the comparison behind it.  Exit status: 0 all that ran is right, 1 something
is not, 2 there is no PyTorch.
"""

import argparse
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SITE, CAFFE = ROOT / "build" / "gpu" / "site", ROOT / "build" / "gpu" / "caffe"
# What is used beside PyTorch and numpy: by all steps, and by one alone.
ALL, TESTS, SPEED = ("click", "google.protobuf", "filelock"), ("pytest",), ("lmdb", "PIL")
# Seconds that a step must have left to be begun.
LEAST = 15
OK, FAILED, LEFT_OUT = "ok", "FAILED", "left out"


class Result(NamedTuple):
    """What became of a step, in how many seconds, and what it said last."""

    step: str
    verdict: str
    seconds: float
    words: str

    def line(self) -> str:
        """As it is printed."""
        return f"{self.verdict:<8}  {self.step:<28} {self.seconds:5.0f} s  {self.words}"


class Checks:
    """Runs steps one after the other, as long as there is time."""

    def __init__(self, package: Path, limit: float) -> None:
        self.ends = time.monotonic() + limit
        self.results: list[Result] = []
        paths = [str(package), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.environment = {**os.environ, "FCNKIT_PACKAGE": paths[0], "PYTHONUNBUFFERED": "1"}
        self.environment["PYTHONPATH"] = os.pathsep.join(paths)
        if CAFFE.exists():  # without cuBLAS and cuRAND, which PyTorch has
            self.environment.setdefault("FCNKIT_CAFFE_GPU", str(CAFFE))
            self.environment["LD_LIBRARY_PATH"] = os.pathsep.join(cuda_libraries())

    def step(self, name: str, words: list, *, needs: tuple[str, ...] = ()) -> bool:
        """The words have run and ended with 0; False where they have not, which is printed."""
        left = self.ends - time.monotonic()
        lacking = [module for module in (*ALL, *needs) if not (has(module) or carried(module))]
        if lacking or left < LEAST:
            why = f"there is no {', '.join(lacking)}" if lacking else "no time is left"
            return self._add(Result(name, LEFT_OUT, 0, why))
        print(f"--- {name}", flush=True)
        begun = time.monotonic()
        status, said = shown(list(map(str, words)), self.environment, left)
        verdict = OK if status == 0 else FAILED
        words_ = said if status != 124 else f"stopped after {left:.0f} s"
        return self._add(Result(name, verdict, time.monotonic() - begun, words_))

    def _add(self, result: Result) -> bool:
        self.results.append(result)
        print(result.line(), flush=True)
        return result.verdict == OK


def shown(words: list[str], environment: dict[str, str], limit: float) -> tuple[int, str]:
    """What a program says is printed as it comes; its status, 124 for one that took too long, and
    its last line.
    """
    last = ""
    process = subprocess.Popen(
        words,
        cwd=environment["FCNKIT_PACKAGE"],  # not the checkout, whose fcnkit is in parts
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    late: list[bool] = []
    timer = threading.Timer(limit, lambda: (late.append(True), process.kill()))
    timer.start()
    try:
        for line in process.stdout:
            print(f"  {line.rstrip()}", flush=True)
            last = line.strip() or last
        status = process.wait()
    finally:
        timer.cancel()
    return (124 if late else status), last[:120]


def cuda_libraries() -> list[str]:
    """The folders of CUDA's libraries: those of PyTorch's packages, and of a toolkit."""
    import torch

    beside = Path(torch.__file__).parents[1] / "nvidia"
    folders = [*beside.glob("*/lib"), Path("/usr/local/cuda/lib64")]
    return [*map(str, folders), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]


def has(module: str) -> bool:
    """Whether this Python has the module."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def carried(module: str) -> bool:
    """Whether the module was carried along."""
    return (SITE / module.replace(".", "/")).exists() or (SITE / f"{module}.py").exists()


def lent(folder: Path) -> None:
    """What was carried along is in the folder, but for modules that this Python has itself."""
    for entry in sorted(SITE.iterdir()) if SITE.exists() else ():
        module = "google.protobuf" if entry.name == "google" else entry.stem
        if not has(module) and not (folder / entry.name).exists():
            (folder / entry.name).symlink_to(entry)


@contextmanager
def packaged() -> Iterator[Path]:
    """A folder in which this checkout's fcnkit is as a wheel installs it, with what it lacks."""
    with tempfile.TemporaryDirectory(prefix="fcnkit-gpu-") as folder:
        ignored = shutil.ignore_patterns("__pycache__")
        package = Path(folder) / "fcnkit"
        shutil.copytree(ROOT / "fcnkit", package, ignore=ignored)
        shutil.copytree(ROOT / "prototxt_templates", package / "templates", ignore=ignored)
        lent(Path(folder))
        yield Path(folder)


def machine(device: str) -> str:
    """The machine, in words."""
    import torch

    gpu = torch.cuda.get_device_name(0) if device == "cuda" else "no GPU is used"
    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "built for the CPU"
    cores = os.cpu_count()
    return (
        f"{gpu}; {cores} cores; Python {platform.python_version()}; "
        f"PyTorch {torch.__version__}, {built}"
    )


def run(checks: Checks, options: argparse.Namespace) -> None:
    """All steps, the quick ones first."""
    python = sys.executable
    checks.environment["FCNKIT_TEST_DEVICE"] = options.device
    tests = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", ROOT / "tests" / "test_gpu.py"]
    checks.step("tests of the GPU", tests, needs=TESTS)
    comparison = Path(checks.environment["FCNKIT_PACKAGE"]) / "comparison.md"
    words = [python, ROOT / "scripts" / "gpu_training.py", "--device", options.device]
    words += ["-o", comparison, *(["--quick"] if options.quick else [])]
    checks.step("training against the CPU", words)
    caffe(checks, options)
    words = [
        python,
        ROOT / "scripts" / "speed.py",
        "--device",
        options.device,
        "-o",
        options.output,
    ]
    words += ["--passes", "5", "--turns", "3"] if not options.quick else QUICK
    if checks.step("speed", words, needs=SPEED) and comparison.exists():
        with open(options.output, "a", encoding="utf-8") as page:
            page.write(comparison.read_text(encoding="utf-8"))


# As tests run it: a small net on a small image.
QUICK = [
    "--nets",
    "FCN-AlexNet",
    "--size",
    "48",
    "--passes",
    "1",
    "--turns",
    "1",
    "--without-caffe",
]


def caffe(checks: Checks, options: argparse.Namespace) -> None:
    """Caffe's own program for GPUs names the device, where one was carried along."""
    folder = checks.environment.get("FCNKIT_CAFFE_GPU", "")
    program = Path(folder) / "bin" / "caffe"
    if options.device == "cuda" and folder and program.exists():
        checks.step("Caffe's program", [program, "device_query", "--gpu=0"])
    else:
        why = "no GPU is used" if options.device == "cpu" else "none was carried along"
        checks._add(Result("Caffe's program", LEFT_OUT, 0, why))


def arguments() -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "gpu.md")
    parser.add_argument("--limit", type=float, default=530, help="seconds for all steps")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--quick", action="store_true", help="small nets, to try this script")
    options = parser.parse_args()
    options.output = options.output.absolute()
    return options


def main() -> int:
    options = arguments()
    if not has("torch"):
        print(f"{sys.executable} has no PyTorch: name one that has: make gpu-checks GPU_PYTHON=...")
        return 2
    import torch

    if options.device == "cuda" and not torch.cuda.is_available():
        print(f"there is no GPU that PyTorch {torch.__version__} knows: nothing was measured")
        return 0
    begun = time.monotonic()
    print(machine(options.device), flush=True)
    with packaged() as package:
        checks = Checks(package, options.limit)
        run(checks, options)
    print(f"\n{machine(options.device)}")
    print("\n".join(result.line() for result in checks.results))
    print(f"{time.monotonic() - begun:.0f} s in all; the table is in {options.output}")
    return int(any(result.verdict == FAILED for result in checks.results))


if __name__ == "__main__":
    sys.exit(main())
