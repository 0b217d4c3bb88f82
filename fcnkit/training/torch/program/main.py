"""The command line of the program that trains on PyTorch: the words and the log of `caffe`.

    python -m fcnkit.training.torch.program.main train --solver=solver.prototxt
        [--weights=a.caffemodel,b.caffemodel | --snapshot=fcn_iter_1000.solverstate]
        [--level=0] [--stage=one,two] [--gpu=0,1|all | --device=cpu]
        [--processes=2] [--precision=tf32] [--compile]

Paths, also those in the solver and its nets, are relative to the working
folder.  As in Caffe the level of the net that is trained is that of --level,
whatever the solver's train_state says, and stages are added to train_state's.
SIGINT saves a snapshot and stops.  torchrun may start the program as well, on
several machines.  Exit status: 0 for done or stopped, 1 for failed; the log
then ends with the reason, as after a failed check in Caffe.
"""

import argparse
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from fcnkit.edits import Edit
from fcnkit.engines.torch import engine
from fcnkit.errors import EngineError, FcnkitError
from fcnkit.formats import prototxt
from fcnkit.formats.prototxt import Prototxt
from fcnkit.formats.schema import View
from fcnkit.rewrites.changes import inside, removed
from fcnkit.training.torch.program import launch
from fcnkit.training.torch.program.log_lines import Log
from fcnkit.training.trainers import PRECISIONS, program


def main() -> None:
    """The process ends with the status of `run`."""
    _forget_the_folder()
    sys.exit(run(sys.argv[1:]))


def run(words: Sequence[str]) -> int:
    """It is done what the words say; the exit status."""
    asked = _parser().parse_args(words)
    stops: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: stops.append(number))
    place = launch.place()
    log = Log(first=place is None or place.rank == 0)
    try:
        solver = _in_state(prototxt.read(Path(asked.solver)), asked.level, asked.stage)
        devices = _devices(asked, solver, place)
        if not devices:
            raise EngineError("PyTorch: it knows no GPU on this machine; train with --device cpu")
        if place is None and len(devices) > 1:
            return 0 if stops else _in_processes(words, len(devices), log)
        _train(asked, solver, devices[place.local if place else 0], place, log, stops)
    except FcnkitError as error:
        log.fail(str(error))
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fcnkit.training.torch.program.main", allow_abbrev=False)
    parser.add_argument("action", choices=["train"])
    parser.add_argument("--solver", required=True)
    parser.add_argument("--level", type=int, default=0)
    parser.add_argument("--stage", default="")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--weights", default="")
    start.add_argument("--snapshot", default="")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--gpu", default="")
    where.add_argument("--device", default="")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp32")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--processes", type=int, default=1)
    return parser


def _in_state(solver: Prototxt, level: int, stages: str) -> Prototxt:
    """The solver with a train_state of this level and, after its own, these stages."""
    state = solver.root.last("train_state")
    fields: list[tuple[str, object]] = [("level", level)]
    fields += [("stage", stage) for stage in stages.split(",") if stage]
    if state is None:
        end = len(solver.text)
        text = "\n" + prototxt.render([("train_state", fields)], solver.style)
        return solver.edit([Edit(end, end, text)])
    return solver.edit([*map(removed, state.all("level")), inside(state, fields, solver.style)])


def _forget_the_folder() -> None:
    """Modules are not looked for in the working folder,
    where Python puts it first: it holds nets.
    """
    here, ours = os.getcwd(), Path(__file__).parents[3]
    if Path(here) != ours:
        sys.path[:] = [place for place in sys.path if place not in ("", here)]


# ---- where


def _devices(asked: argparse.Namespace, solver: Prototxt, place: launch.Place | None) -> list[str]:
    """PyTorch's name of the device of every process on this machine;
    none is touched, which takes memory.
    """
    engine.check_installed()
    if asked.gpu and asked.gpu != "all":
        return [f"cuda:{number}" for number in asked.gpu.split(",")]
    count = place.here if place else _gpus() if asked.gpu else asked.processes
    name = "cuda" if asked.gpu else asked.device or _usual(solver, alone=count == 1 and not place)
    if name == "cuda" and (count > 1 or place):
        return [f"cuda:{number}" for number in range(count)]
    if count > 1 and re.fullmatch(r"cuda:\d+", name):
        raise EngineError(f"PyTorch: {count} processes on {name}; give each a GPU with --gpu 0,1")
    return [name] * count


def _usual(solver: Prototxt, *, alone: bool) -> str:
    """The CPU where the solver asks for it, and else a GPU where there is one.

    A process `alone` takes that of the solver's device_id, as Caffe does.
    """
    view = View("SolverParameter", solver.root)
    if view.has("solver_mode") and view.get("solver_mode") == "CPU" or not _gpus():
        return "cpu"
    return f"cuda:{view.get('device_id')}" if alone and view.get("device_id") else "cuda"


def _gpus() -> int:
    import torch

    return torch.cuda.device_count()


def _in_processes(words: Sequence[str], count: int, log: Log) -> int:
    log.say(f"Training in {count} processes")
    status = launch.run_in_processes([*program(), *words], count)
    if status < 0:
        log.fail(
            f"one of {count} processes was ended by {signal.Signals(-status).name}; is memory "
            f"enough?"
        )
    return abs(status)


# ---- the training


def _train(
    asked: argparse.Namespace,
    solver: Prototxt,
    device: str,
    place: launch.Place | None,
    log: Log,
    stops: list[int],
) -> None:
    from fcnkit.training.torch.program import train

    engine.chosen(device)
    start = train.StartingPoint(tuple(filter(None, asked.weights.split(","))), asked.snapshot)
    how = train.Setup(device, asked.precision, asked.compile, place)
    train.train(solver, start, how, log=log, stopping=lambda: bool(stops))


if __name__ == "__main__":
    main()
