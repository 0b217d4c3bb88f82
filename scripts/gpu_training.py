"""FCN-AlexNet and FCN-8s trained on a GPU and on the CPU from the same weights on the same image.

    python3 scripts/gpu_training.py --device cuda -o comparison.md

After each step the losses are compared, and at the end all parameters; scripts/gpu_checks.py runs
it.  Sums are in another order on a GPU: float32 is not equal there, but close.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from speed_case import make

import fcnkit as fk

# What losses, and what parameters move by, may differ by relative to their size.
LOSS, PARAMETERS = 1e-3, 1e-2
NETS = ("FCN-AlexNet", "FCN-8s VGG-16")
HEAD = (
    "## Trained on a GPU and on the CPU",
    "",
    "From the same weights on the same image, in fp32 and without Dropout: how far losses differ,",
    "and what parameters moved by, relative to their size.",
    "",
    "| net | steps | image | losses differ by | moves differ by | GPU, s a step | CPU, s a step |",
    "|---|---|---|---|---|---|---|",
)


class Trained(NamedTuple):
    """The loss of each step, what the parameters moved by, and the seconds of a step."""

    losses: list[float]
    moved: dict[str, list[np.ndarray]]
    seconds: float


def trained(name: str, folder: Path, size: int, device: str, steps: int) -> Trained:
    """So many steps on the device, from weights that the seed fixes."""
    case = make(name, folder, size, torch.device(device))
    without_dropout(folder / "train_val.prototxt")
    solver = case.solver("fp32")
    rng = np.random.default_rng(0)
    for each in solver.net.learned:
        with torch.no_grad():  # drawn on the CPU, so that both begin alike
            spread = 1 / max(1, np.prod(each.value.shape[1:])) ** 0.5
            drawn = rng.normal(0, spread, tuple(each.value.shape)).astype(np.float32)
            each.value.copy_(torch.from_numpy(drawn))
    before = copies(solver)
    losses, begun = [], 0.0
    for step in range(steps):
        losses.append(float(solver.step().loss))
        begun = begun or time.perf_counter() if step == 0 else begun
    seconds = (time.perf_counter() - begun) / max(1, steps - 1)
    after = copies(solver)
    moved = {
        layer: [new - old for new, old in zip(after[layer], before[layer], strict=True)]
        for layer in after
    }
    return Trained(losses, moved, seconds)


def without_dropout(path: Path) -> None:
    """The net has no layer that draws: no two devices draw alike."""
    net = fk.read(path)
    layers = fk.build(net, fk.State("TRAIN")).layers
    names = [layer.name for layer in layers if layer.type == "Dropout"]
    fk.drop(net, names).net.save(path, force=True)


def copies(solver) -> dict[str, list[np.ndarray]]:
    """All parameters as they are now."""
    return {
        name: [np.array(blob, np.float64) for blob in blobs]
        for name, blobs in solver.net.saved().items()
    }


def apart(one: Trained, other: Trained) -> tuple[float, float]:
    """How far losses and moves differ, relative to their size."""
    losses = max(
        abs(a - b) / max(abs(b), 1e-9) for a, b in zip(one.losses, other.losses, strict=True)
    )
    moves = 0.0
    for name, blobs in other.moved.items():
        for here, there in zip(one.moved[name], blobs, strict=True):
            size = float(np.sqrt((there**2).sum()))
            if size:  # a bilinear kernel does not move
                moves = max(moves, float(np.sqrt(((here - there) ** 2).sum())) / size)
    return losses, moves


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="one net, a small image")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    rows, wrong = [], []
    steps, size = (2, 48) if options.quick else (8, 224)
    for number, name in enumerate(NETS[: 1 if options.quick else None]):
        with tempfile.TemporaryDirectory(prefix=f"fcnkit-gpu-{number}-") as place:
            here = trained(name, Path(place) / "gpu", size, options.device, steps)
            there = trained(name, Path(place) / "cpu", size, "cpu", steps)
        losses, moves = apart(here, there)
        row = f"| {name} | {steps} | {size} x {size} | {losses:.1e} | {moves:.1e} "
        row += f"| {here.seconds:.3f} | {there.seconds:.2f} |"
        print(row, flush=True)
        rows.append(row)
        if not (losses < LOSS and moves < PARAMETERS):
            wrong.append(name)
    options.output.write_text("\n".join(["", *HEAD, *rows, ""]), encoding="utf-8")
    if wrong:
        print(f"{', '.join(wrong)}: differs by more than float32 does")
        return 1
    print(f"{len(rows)} nets learn on {options.device} as on the CPU")
    return 0


if __name__ == "__main__":
    sys.exit(main())
