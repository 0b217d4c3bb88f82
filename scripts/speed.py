"""How long FCNs take on PyTorch:
by fcnkit, and written by hand, side by side; `make speed` runs it.

A training step (forward, backward, update) and an inference of one image, by
turns with the same weights and the same batch, which is in memory; real Caffe
beside them, on a GPU that which `make gpu` builds, in fp32.  What fcnkit's net and the hand-written
one (scripts/by_hand.py) make of the image is compared first.  How fast batches are read from LMDBs
is timed as well.  The table goes into docs/gpu.md with the day and the device.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import NamedTuple

import by_hand
import torch
from experiment_report import machine
from speed_case import IGNORED, Case, caffe_times, make, pictures
from torch import Tensor
from torch.nn import functional as F

from fcnkit import files
from fcnkit.engines.torch.net import Net
from fcnkit.formats import prototxt
from fcnkit.nets.graph import State, build
from fcnkit.training.torch.reading.ahead import batches
from fcnkit.training.torch.solving.precision import cast, products
from fcnkit.training.torch.solving.solver import Solver
from fcnkit.training.trainers import PRECISIONS

# Batches that are read.
READ = 200
RATE, MOMENTUM, DECAY = 1e-4, 0.9, 5e-4


class Timed(NamedTuple):
    """Seconds of each turn: fcnkit's, the hand-written net's;
    Caffe's alone, None where it was not asked.

    `upsampling` is how the hand-written one upsamples.
    """

    what: str
    upsampling: str
    ours: list[float]
    theirs: list[float]
    caffe: float | None

    @property
    def ratio(self) -> float:
        """Ours over theirs, the median of the turns."""
        return statistics.median(
            one / other for one, other in zip(self.ours, self.theirs, strict=True)
        )

    def row(self) -> str:
        """A line of the table."""
        ours, theirs = statistics.median(self.ours), statistics.median(self.theirs)
        real = f"{1e3 * self.caffe:,.0f}" if self.caffe else ""
        hand = f"{1e3 * theirs:,.0f}, {self.upsampling}"
        return f"| {self.what} | {1e3 * ours:,.0f} | {hand} | {self.ratio:.2f} | {real} |"


# ---- what is timed


def seconds(work: Callable[[], object], passes: int, device: torch.device) -> float:
    """Seconds of one of so many passes, all of which are done at the end."""
    _wait(device)
    begun = time.perf_counter()
    for _ in range(passes):
        work()
    _wait(device)
    return (time.perf_counter() - begun) / passes


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def by_turns(
    what: str,
    ours: Callable,
    hands: Mapping[str, Callable],
    options: argparse.Namespace,
    real: float | None,
) -> Timed:
    """Our work and the faster of those by hand, in turn,
    after one that does not count; the first changes.
    """
    taken = {
        name: seconds(each, 1, options.device) for _ in range(2) for name, each in hands.items()
    }
    fastest = min(taken, key=taken.get)
    works = ours, hands[fastest]
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(options.turns + 1):
        for which in (0, 1) if turn % 2 else (1, 0):
            found = seconds(works[which], options.passes if turn else 1, options.device)
            if turn:
                times[which].append(found)
    timed = Timed(what, fastest, *times, real)
    print(timed.row(), flush=True)
    return timed


def hand_step(net: torch.nn.Module, batch: dict[str, Tensor], precision: str) -> Callable[[], None]:
    """A training step as one writes it."""
    net.train()
    learned = [each for each in net.parameters() if each.requires_grad]
    descent = torch.optim.SGD(learned, lr=RATE, momentum=MOMENTUM, weight_decay=DECAY)
    image, label = batch["data"], batch["label"][:, 0].long()

    def step() -> None:
        descent.zero_grad(set_to_none=True)
        with products(precision):
            with cast(precision, image.device):
                loss = F.cross_entropy(net(image), label, ignore_index=IGNORED)
            loss.backward()
        descent.step()

    return step


def inference(
    forward: Callable[[Tensor], object], image: Tensor, precision: str
) -> Callable[[], None]:
    """One image, without gradients."""

    def once() -> None:
        with torch.no_grad(), products(precision), cast(precision, image.device):
            forward(image)

    return once


def reading(case: Case) -> float:
    """Seconds until the next batch of one image and its label is read, with nobody to wait for."""
    pictures(case)
    graph = build(prototxt.read(case.folder / "train_val.prototxt"), State("TRAIN"))
    with batches(graph) as found:
        next(found)
        return seconds(lambda: next(found), READ, torch.device("cpu"))


# ---- the measurement


def measured(name: str, options: argparse.Namespace, folder: Path) -> Iterator[Timed]:
    """The rows of one net; SystemExit where the two nets do not compute the same."""
    case = make(name, folder, options.size, options.device)
    real = {} if options.without_caffe else caffe_times(case)
    for precision in options.precisions:
        batch = {blob: value.to(options.device) for blob, value in case.batch().items()}
        solver = case.solver(precision)
        wake(solver)
        parameters = solver.net.saved()
        hands = {
            way: case.by_hand(parameters, grouped=way == "grouped") for way in ("grouped", "dense")
        }
        saved = solver.snapshot(str(folder / "start")).weights
        net = case.deploy(saved)
        for way, hand in hands.items():
            difference = compared(net, hand, batch["data"])
            print(
                f"{name}, {precision}: scores differ by {difference:.1e}, {way} by hand", flush=True
            )
        ours = inference(lambda x, net=net: net({"data": x}), batch["data"], precision)
        theirs = {way: inference(hand, batch["data"], precision) for way, hand in hands.items()}
        yield by_turns(
            f"{name}, {precision}, inference", ours, theirs, options, real.get("inference")
        )
        del net, ours, theirs
        theirs = {way: hand_step(hand, batch, precision) for way, hand in hands.items()}
        yield by_turns(
            f"{name}, {precision}, training step", solver.step, theirs, options, real.get("step")
        )


def wake(solver: Solver) -> None:
    """New score layers begin from zero,
    and scores of nothing but zeros would be equal: no weight is zero.
    """
    with torch.no_grad():
        for each in solver.net.learned:
            if not each.value.any():
                each.value.normal_(0, 0.01)


def compared(net: Net, hand: torch.nn.Module, image: Tensor) -> float:
    """The largest difference of the scores over the largest score, in float32."""
    hand.eval()
    with torch.no_grad(), products("fp32"):
        ours, theirs = net({"data": image})["score"], hand(image)
    difference = float((ours - theirs).abs().max() / theirs.abs().max())
    if not difference < 1e-4:
        sys.exit(f"the two nets differ by {difference:.1e}: they are not the same net")
    return difference


HEAD = (
    "| net, precision, task | fcnkit, ms | by hand, ms | ratio | Caffe, ms |",
    "|---|---|---|---|---|",
)


def report(rows: list[Timed], read: float, options: argparse.Namespace) -> str:
    """docs/gpu.md."""
    on_cpu = options.device.type == "cpu"
    device = machine() if on_cpu else torch.cuda.get_device_name(options.device)
    no_gpu = "No GPU was measured here. `make speed` uses one if there is one: fp32, tf32 and bf16."
    turns, passes = options.turns, options.passes
    each = "one pass" if passes == 1 else f"{passes} passes"
    return "\n".join(
        [
            "# Speed on PyTorch: fcnkit's engine and nets written by hand",
            "",
            f"Written by `make speed` (scripts/speed.py) on {date.today()}. {device};",
            f"PyTorch {torch.__version__}.",
            "",
            f"The input is one image of {options.size} x {options.size} pixels, with "
            f"{by_hand.CLASSES} classes and padding 100. The",
            f"two nets take turns in one process: {turns} turns of {each}. The table shows the",
            "median in milliseconds; the ratio is the median of the ratios of the turns.",
            "",
            "A training step is forward, backward and update (SGD with momentum and weight decay),",
            "with the batch in memory. The hand-written net (scripts/by_hand.py) upsamples with",
            "one kernel for each class (grouped) or with one dense kernel, whichever is faster. It",
            "does not train that kernel. The scores of both nets are equal within 1e-4.",
            "",
            *HEAD,
            *(row.row() for row in rows),
            "",
            f"Threads read the batches from LMDBs during training: {1e3 * read:.1f} ms for an",
            "image and its labels. A training step that takes longer does not wait for data.",
            "",
            *([no_gpu, ""] if on_cpu else []),
        ]
    )


def main() -> None:
    options = arguments()
    torch.manual_seed(0)
    print("\n".join(HEAD))
    with tempfile.TemporaryDirectory(prefix="fcnkit-speed-") as place:
        rows = []
        for number, name in enumerate(options.nets or by_hand.NETS):
            folder = Path(place) / str(number)
            rows += measured(name, options, folder)
            shutil.rmtree(folder)
        read = reading(make("FCN-AlexNet", Path(place), options.size, options.device))
    print(f"an image and its label are read in {1e3 * read:.1f} ms")
    if options.output:
        files.write(options.output, report(rows, read, options).encode(), force=True)
        print(f"wrote {options.output}")


def arguments() -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    has_gpu = torch.cuda.is_available()
    parser.add_argument(
        "--device", type=torch.device, default=torch.device("cuda" if has_gpu else "cpu")
    )
    parser.add_argument(
        "--nets", nargs="+", choices=by_hand.NETS, metavar="NAME", help="by default all"
    )
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=PRECISIONS,
        default=None,
        help="fp32 on a CPU, all on a GPU",
    )
    parser.add_argument("--size", type=int, default=500, help="of the image, in pixels")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--passes", type=int, default=10 if has_gpu else 1, help="in each turn")
    parser.add_argument("--without-caffe", action="store_true", help="do not time Caffe")
    parser.add_argument("-o", "--output", type=Path, help="the report, such as docs/gpu.md")
    options = parser.parse_args()
    options.precisions = options.precisions or (
        PRECISIONS if options.device.type == "cuda" else ["fp32"]
    )
    return options


if __name__ == "__main__":
    main()
