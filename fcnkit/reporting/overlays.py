"""What a net sees after so many iterations, as pictures: the classes over some images."""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from fcnkit.engines.engine import ENGINES, Engine
from fcnkit.engines.fastest import ORDER
from fcnkit.errors import EngineError, NetError
from fcnkit.formats import prototxt
from fcnkit.inference.overlay import overlay, png
from fcnkit.reporting.held_out import HeldOut
from fcnkit.reporting.predicted import Predictions, Runner, chosen, on_data
from fcnkit.reporting.predictions import data_of, runner_of
from fcnkit.reporting.subject import DEPLOY, FCN, Subject, Wishes
from fcnkit.training.runs import Run
from fcnkit.weights import store

# How many images, and how strong the colours are.
_COUNT, _OPACITY = 4, 0.5
# What ends its process at some nets, and the training with it.
_APART = ("opencv",)


def iteration_of(state: str) -> int | None:
    """How many iterations a snapshot has, as the name of its solver state says."""
    found = re.search(r"_iter_(\d+)\.solverstate", state)
    return int(found[1]) if found else None


class Overlays:
    """A few images of the data set that a run reads, the same ones each time."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.data: HeldOut | None = None
        self.numbers: list[int] = []

    def draw(self, weights: Path) -> Mapping[str, bytes]:
        """PNGs by the names of their images, with the classes that the net gives with these
        weights; none where its folder has no net to deploy, or the run read no data set.

        They are computed on the CPU: a GPU's memory is the training's.
        """
        folder = self.run.folder
        if not os.path.isfile(folder / DEPLOY):
            return {}
        net, held = prototxt.read(folder / DEPLOY), store.open(weights)
        of = Subject(FCN, str(folder), Wishes(count=_COUNT), folder, net, held, runs=(self.run,))
        self.data = self.data or data_of(of)
        runner = runner_of(of, self.data)
        if runner is None or self.data is None:
            return {}
        self.numbers = self.numbers or chosen(self.data, len(runner.names), _COUNT)
        found = self._run(runner, self.data)
        return {
            each.name: png(overlay(each.image, each.classes, found.colours, _OPACITY))
            for each in found.seen
        }

    def _run(self, runner: Runner, data: HeldOut) -> Predictions:
        """What the fastest engine says that takes the net."""
        engines = _engines()
        for number, engine in enumerate(engines, 1):
            with suppress(*((EngineError, NetError) if number < len(engines) else ())):
                return on_data(runner._replace(engine=engine), data, _COUNT, self.numbers)
        raise EngineError("no engine is installed that could run the net")


def _engines() -> list[Engine]:
    """The installed engines that may run beside a training, the fastest on a CPU first."""
    known = {engine.name: engine for engine in ENGINES if engine.name not in _APART}
    found = [known[name] for name in dict.fromkeys((*ORDER, *known)) if name in known]
    found = [engine for engine in found if engine.available()]
    return [each._replace(device="cpu") if each.devices else each for each in found]
