"""One net of scripts/speed.py: made by fcnkit, written by hand, and timed in real Caffe."""

import re
import statistics
import subprocess
import sys
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import by_hand
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fcnkit.engines import caffe_runtime
from fcnkit.engines.torch.net import Net
from fcnkit.formats import prototxt
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of
from fcnkit.training.torch.solving.solver import Solver
from fcnkit.weights import store

# As the program fcnkit, wherever the package is: there may be none on a machine with a GPU.
FCNKIT = [sys.executable, "-c", "from fcnkit.cli.main import run; run()"]
IGNORED = 255
# Steps of real Caffe on the CPU and on a GPU.
CAFFE, CAFFE_GPU = 4, 40


class Case(NamedTuple):
    """One net in a folder, made by fcnkit, on a device."""

    name: str
    folder: Path
    size: int
    device: torch.device

    @property
    def on_gpu(self) -> bool:
        """Whether all is to be done on a GPU."""
        return self.device.type == "cuda"

    @property
    def caffe(self) -> list[str]:
        """What starts real Caffe."""
        return caffe_runtime.command("caffe", gpu=self.on_gpu)

    @property
    def where(self) -> list[str]:
        """What tells real Caffe to compute on the device."""
        return [f"--gpu={self.device.index or 0}"] * self.on_gpu

    @property
    def steps(self) -> int:
        """So many of real Caffe."""
        return CAFFE_GPU if self.on_gpu else CAFFE

    def batch(self) -> dict[str, Tensor]:
        """One image and its label, in which a border is ignored."""
        rng = np.random.default_rng(0)
        image = rng.normal(0, 60, (1, 3, self.size, self.size)).astype(np.float32)
        label = rng.integers(0, by_hand.CLASSES, (1, 1, self.size, self.size)).astype(np.float32)
        label[:, :, :8] = IGNORED
        return {"data": torch.from_numpy(image), "label": torch.from_numpy(label)}

    def solver(self, precision: str = "fp32") -> Solver:
        """fcnkit's training, one pass a step."""
        text = prototxt.read(self.folder / "solver.prototxt")
        device = str(self.device)
        return Solver(
            text,
            lambda graph: repeat(self.batch()),
            folder=self.folder,
            device=device,
            precision=precision,
        )

    def deploy(self, weights: Path) -> Net:
        """fcnkit's net for inference, with these parameters."""
        graph = build(prototxt.read(self.folder / "deploy.prototxt"))
        sizes = shapes_of(graph, {"data": (1, 3, self.size, self.size)})
        return Net(sizes, store.open(weights)).to(self.device)

    def by_hand(self, parameters: dict[str, list[np.ndarray]], *, grouped: bool) -> torch.nn.Module:
        """The hand-written net with the parameters of fcnkit's."""
        net = by_hand.NETS[self.name][0](grouped)
        for name, blobs in parameters.items():
            if not name.startswith("up"):  # made bilinear
                layer = net.get_submodule(name)
                layer.weight.data, layer.bias.data = map(torch.from_numpy, blobs)
        return net.to(self.device)


def make(name: str, folder: Path, size: int, device: torch.device) -> Case:
    """The net lies in the folder, with the solver."""
    _, template, stride = by_hand.NETS[name]
    run(
        [
            *FCNKIT,
            "fcn",
            template,
            "--classes",
            str(by_hand.CLASSES),
            "--stride",
            str(stride),
            "--pad",
            "100",
            "--data",
            str(folder / "data"),
            "--cpu",
            "-o",
            str(folder),
            "--force",
        ]
    )
    path = folder / "solver.prototxt"
    kept = re.sub(
        r"(?m)^(iter_size|display|test_|average_loss|snapshot:|max_iter).*\n", "", path.read_text()
    )
    case = Case(name, folder, size, device)
    path.write_text(
        f"{kept}iter_size: 1\ndisplay: 1\nmax_iter: {case.steps}\nsnapshot_after_train: false\n"
    )
    return case


def run(words: list, cwd: Path | None = None) -> str:
    """What a program prints; the measurement ends where it fails."""
    done = subprocess.run(
        list(map(str, words)),
        capture_output=True,
        text=True,
        cwd=cwd,
        env=caffe_runtime.environment(log=True),
    )
    if done.returncode:
        sys.exit(f"{words[0]} failed:\n{done.stderr[-2000:]}")
    return done.stdout + done.stderr


# ---- in real Caffe


def caffe_times(case: Case) -> dict[str, float]:
    """Real Caffe's seconds, where it is there for the device."""
    built = (caffe_runtime.gpu_runtime() / caffe_runtime.GPU_MARKER).exists()
    if not (built if case.on_gpu else caffe_runtime.available()):
        return {}
    pictures(case)
    return {"inference": caffe_inference(case), "step": caffe_step(case)}


def pictures(case: Case) -> None:
    """A data set of two images and their labels, one to train on and one to validate with."""
    rng = np.random.default_rng(0)
    places = [case.folder / kind for kind in ("images", "labels")]
    shapes = (case.size, case.size, 3), (case.size, case.size)
    for place, shape, most in zip(places, shapes, (256, by_hand.CLASSES), strict=True):
        place.mkdir()
        for name in ("a.png", "b.png"):
            Image.fromarray(rng.integers(0, most, shape).astype(np.uint8)).save(place / name)
    words = ["--classes", by_hand.CLASSES, "--split", "0.5", "--force"]
    run([*FCNKIT, "dataset", "create", *places, "-o", case.folder / "data", *words])


def caffe_step(case: Case) -> float:
    """Seconds of a training step of real Caffe, the median; the first is left out."""
    words = [*case.caffe, "train", "--solver=solver.prototxt", *case.where]
    rates = re.findall(r"Iteration \d+ \(([\d.e+-]+) iter/s", run(words, case.folder))
    return statistics.median(1 / float(rate) for rate in rates[1:])


def caffe_inference(case: Case) -> float:
    """Seconds of a forward pass of real Caffe."""
    text = (case.folder / "deploy.prototxt").read_text()
    sized = re.sub(
        r"(dim: 3)\s+dim: \d+\s+dim: \d+", rf"\1 dim: {case.size} dim: {case.size}", text, count=1
    )
    (case.folder / "timed.prototxt").write_text(sized)
    words = [
        *case.caffe,
        "time",
        f"--model={case.folder / 'timed.prototxt'}",
        "--phase=TEST",
        *case.where,
    ]
    log = run([*words, f"--iterations={case.steps - 1}"])
    return float(re.search(r"Average Forward pass: ([\d.]+) ms", log)[1]) / 1e3
