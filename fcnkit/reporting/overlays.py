"""What a net sees after so many iterations, as pictures: the classes over some images."""

import os
import re
from pathlib import Path

from fcnkit.engines.engine import ENGINES, Engine
from fcnkit.engines.fastest import ORDER
from fcnkit.errors import EngineError, NetError
from fcnkit.formats import prototxt
from fcnkit.inference.overlay import overlay, png
from fcnkit.reporting.predicted import on_data
from fcnkit.reporting.predictions import data_of, runner_of
from fcnkit.reporting.subject import DEPLOY, FCN, Subject, Wishes
from fcnkit.training.runs import Run
from fcnkit.weights import store

# How many images, and how strong the colours are.
_COUNT, _OPACITY = 4, 0.5


def iteration_of(state: str) -> int | None:
    """How many iterations a snapshot has, as the name of its solver state says."""
    found = re.search(r"_iter_(\d+)\.solverstate", state)
    return int(found[1]) if found else None


def overlays(run: Run, weights: Path) -> dict[str, bytes]:
    """PNGs by the names of their images; none where the net's folder has no net to deploy,
    or the run read no data set.

    They are computed on the CPU: a GPU's memory is the training's.
    """
    folder = run.folder
    if not os.path.isfile(folder / DEPLOY):
        return {}
    net = prototxt.read(folder / DEPLOY)
    held = store.open(weights)
    of = Subject(FCN, str(folder), Wishes(count=_COUNT), folder, net, held, (run,))
    runner, data = runner_of(of), data_of(of)
    if runner is None or data is None:
        return {}
    engines = _engines()
    for number, engine in enumerate(engines, 1):
        try:
            found = on_data(runner._replace(engine=engine), data, _COUNT)
        except (EngineError, NetError):
            if number == len(engines):
                raise
        else:
            return {
                each.name: png(overlay(each.image, each.classes, found.colours, _OPACITY))
                for each in found.seen
            }
    return {}


def _engines() -> list[Engine]:
    """The installed engines, the fastest on a CPU first."""
    known = {engine.name: engine for engine in ENGINES}
    found = [known[name] for name in dict.fromkeys((*ORDER, *known)) if known[name].available()]
    return [each._replace(device="cpu") if each.devices else each for each in found]
