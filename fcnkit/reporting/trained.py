"""What a training has left: its record, its solver, its data, what it started from."""

import mmap
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from fcnkit.errors import FcnkitError
from fcnkit.formats import prototxt
from fcnkit.formats.schema import View
from fcnkit.nets.graph import build
from fcnkit.nets.layers.table import of as of_type
from fcnkit.nets.solver_types import kind_of
from fcnkit.reporting.chart import Points
from fcnkit.ticks import plain
from fcnkit.training import record
from fcnkit.training.runs import Run, in_use
from fcnkit.training.states import state_of

_STARTED = re.compile(rb"\] (?:Finetuning from|PyTorch) ([^\n]*)")
# Fields of a solver that say how the rate falls, in the order in which they are shown.
_POLICY = ("lr_policy", "gamma", "stepsize", "stepvalue", "power")
_MORE = ("momentum", "momentum2", "weight_decay", "rms_decay", "delta", "random_seed")


class Read(NamedTuple):
    """A data layer of the net that is trained: its database, and how many images it takes."""

    layer: str
    source: str
    batch: int


@dataclass(frozen=True)
class Trained:
    """A run's record, and what its files say; `running` while a trainer has it."""

    run: Run
    rows: Sequence[dict]
    running: bool
    solver: str = ""
    engine: str = ""
    weights: tuple[str, ...] = ()

    @property
    def iteration(self) -> int:
        """How many updates there have been, as far as the record and the snapshots say."""
        losses = [each["iteration"] for each in self.rows if "loss" in each]
        saved = [each.iteration for each in self.run.snapshots()[:1]]
        return max([*losses, *saved], default=0)

    @property
    def seconds(self) -> float:
        """For how long it has trained."""
        return record.seconds(self.rows)

    @cached_property
    def view(self) -> View | None:
        """The solver as run; None where there is none that can be read."""
        with suppress(FcnkitError):
            text = prototxt.parse(self.solver, str(self.run.solver))
            return View("SolverParameter", text.root) if self.solver else None
        return None

    @property
    def iterations(self) -> int:
        """How many there are to be; 0 where that is not known."""
        with suppress(FcnkitError):
            return self.view.get("max_iter") if self.view and self.view.has("max_iter") else 0
        return 0

    def line(self, name: str) -> Points:
        """The loss or the rate over the iterations."""
        return [(each["iteration"], each[name]) for each in self.rows if name in each]

    def outputs(self) -> dict[str, Points]:
        """The outputs of the net that is trained, where it has several."""
        return _lines((each["iteration"], each.get("outputs", {}), "") for each in self.rows)

    def scores(self) -> dict[str, Points]:
        """The outputs of the test nets, but for those of one value a class."""
        return _lines(
            (
                each["iteration"],
                each.get("test", {}),
                f" ({each['net']})" if each.get("net") else "",
            )
            for each in self.rows
        )

    def solver_facts(self) -> list[tuple[str, str]]:
        """How the weights are updated; nothing where the solver cannot be read."""
        with suppress(FcnkitError):
            return [*self._solver_facts(self.view)] if self.view else []
        return []

    def _solver_facts(self, view: View) -> Iterator[tuple[str, str]]:
        yield "solver", kind_of(view)
        yield "base_lr", plain(view.get("base_lr"))
        yield "rate", ", ".join(_said(view, name) for name in _POLICY if view.has(name)) or "fixed"
        for name in _MORE:
            if view.has(name):
                yield name, _shown(view.get(name))
        if view.get("iter_size") > 1:
            yield "iter_size", str(view.get("iter_size"))

    @cached_property
    def data(self) -> tuple[Read, ...]:
        """The databases that are trained on; none where the net cannot be read."""
        with suppress(FcnkitError, OSError):
            return tuple(self._read())
        return ()

    def _read(self) -> Iterator[Read]:
        view = self.view
        named = view and next(
            (view.get(name) for name in ("net", "train_net") if view.has(name)), ""
        )
        if not view or not named:
            return
        net = prototxt.read(self.run.folder / named)
        for layer in build(net, state_of("TRAIN", net, view.view("train_state"))).layers:
            message = of_type(layer).message
            param = layer.param(message) if message else None
            if param is not None and param.says("source") and param.says("batch_size"):
                yield Read(layer.name, param.get("source"), param.get("batch_size"))


def _lines(found: Iterator[tuple[int, dict, str]]) -> dict[str, Points]:
    lines: dict[str, list[tuple[float, float | None]]] = {}
    for iteration, values, more in found:
        for name, value in values.items():
            if not isinstance(value, list):
                lines.setdefault(name + more, []).append((iteration, value))
    return dict(lines)


def _said(view: View, name: str) -> str:
    value = view.list(name) if name == "stepvalue" else view.get(name)
    return str(value) if name == "lr_policy" else f"{name} {_shown(value)}"


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value))
    return plain(value) if isinstance(value, int | float) else str(value)


def trained(run: Run) -> Trained:
    """What the run's folder says of it now."""
    engine, weights = _started(run)
    rows = [_cleaned(row) for row in record.read(run.record) if 0 <= row["iteration"] < _MOST]
    return Trained(run, rows, in_use(run), _text(run), engine, weights)


# No loss is larger, and no number of iterations.
_MOST = 1e18
_NUMBERS, _GROUPS = ("loss", "rate", "seconds"), ("outputs", "test")


def _cleaned(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row without what is no number, wherever one is to be: others may have written it."""
    found: dict[str, Any] = {"iteration": row["iteration"]}
    found |= {name: _number(row[name]) for name in _NUMBERS if name in row}
    if isinstance(row.get("net"), int):
        found["net"] = row["net"]
    for group in _GROUPS:
        values = row.get(group)
        if isinstance(values, dict):
            found[group] = {
                name: [*map(_number, value)] if isinstance(value, list) else _number(value)
                for name, value in values.items()
            }
    return found


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < _MOST else None  # nor NaN


def _text(run: Run) -> str:
    with suppress(OSError):
        return run.solver.read_text(encoding="utf-8", errors="replace")
    return ""


def _started(run: Run) -> tuple[str, tuple[str, ...]]:
    """What trained last, and the weights that the run began with, as its log says."""
    engine, weights = "Caffe", []
    with suppress(OSError, ValueError), open(run.log, "rb") as file:  # ValueError: it is empty
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as log:
            for found in _STARTED.finditer(log):
                text = found[1].decode("utf-8", "replace").strip()
                if b"PyTorch" in found[0][:10]:
                    engine = f"PyTorch {text}"
                else:
                    weights.append(
                        os.path.relpath(text, run.folder) if os.path.isabs(text) else text
                    )
        return engine, tuple(dict.fromkeys(weights))
    return "", ()
