"""Reads Caffe's log as events: losses, validation scores and snapshots."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Values: TypeAlias = Mapping[str, "float | list[float]"]


@dataclass(frozen=True)
class Loss:
    """The loss before the update of this number;
    averaged over average_loss updates, as Caffe displays it.

    `rate` is the learning rate, None where Caffe ended before it printed it; `parts`
    are the outputs of the training net in the last pass.
    """

    iteration: int
    loss: float
    rate: float | None
    parts: Values


@dataclass(frozen=True)
class Validation:
    """The outputs of a test net, each the mean over its test_iter passes;
    a list for an output of several.
    """

    iteration: int
    values: Values
    net: int = 0


@dataclass(frozen=True)
class Saved:
    """Caffe has saved a snapshot; its solver state is the last thing that it writes."""

    path: str


@dataclass(frozen=True)
class Ignored:
    """A layer of the weights that this net does not have."""

    layer: str


@dataclass(frozen=True)
class Device:
    """What PyTorch computes on, and how."""

    words: str


Event: TypeAlias = Loss | Validation | Saved | Ignored | Device

# Numbers as C++ prints them; a line with anything else, such as one cut by another, is not read.
_COUNT = r"([0-9]{1,18})"
_NUMBER = r"([-+]?(?:[0-9]+(?:\.[0-9]*)?(?:e[-+]?[0-9]+)?|nan|inf))(?!\S)"
_LOSS = re.compile(rf"\] Iteration {_COUNT}\b[^\n]*, loss = {_NUMBER}")
_RATE = re.compile(rf"\] Iteration {_COUNT}, lr = {_NUMBER}")
_TEST = re.compile(rf"\] Iteration {_COUNT}, Testing net \(#{_COUNT}\)")
_OUTPUT = re.compile(rf"\]     (Train|Test) net output #[0-9]+: (.*?) = {_NUMBER}")
_STATE = re.compile(r"\] Snapshotting solver state to (?:binary proto|HDF5) file (.*)$")
_DEVICE = re.compile(r"\] (PyTorch \d\S* on .*)$")
_IGNORED = re.compile(r"\] Ignoring source layer (.*)$")
# Said by the solver alone, after the last output of a net: other threads talk in between.
_NEXT = re.compile(r"\] (Iteration \d+|Optimization |Snapshotting )")


class _Reader:
    """Collects what the log has on one iteration, until it is complete."""

    def __init__(self) -> None:
        self.open: Loss | Validation | None = None
        self.outputs: dict[str, list[float]] = {}
        self.state = ""

    def read(self, line: str) -> Iterator[Event]:
        """The events that this line completes."""
        if found := _OUTPUT.search(line):
            self.outputs.setdefault(found[2], []).append(float(found[3]))
        elif found := _RATE.search(line):
            yield from self.close(rate=float(found[2]))
        elif found := _IGNORED.search(line):
            yield Ignored(found[1].rstrip())
        elif found := _DEVICE.search(line):
            yield Device(found[1].rstrip())
        elif _NEXT.search(line):
            yield from self.close()
            self._begin(line)

    def _begin(self, line: str) -> None:
        if found := _LOSS.search(line):
            self.open = Loss(int(found[1]), float(found[2]), None, {})
        elif found := _TEST.search(line):
            self.open = Validation(int(found[1]), {}, int(found[2]))
        elif found := _STATE.search(line):
            self.state = found[1].rstrip()

    def close(self, rate: float | None = None) -> Iterator[Event]:
        """What has been open, with all its outputs; nothing where nothing has."""
        values = {name: some[0] if len(some) == 1 else some for name, some in self.outputs.items()}
        if isinstance(self.open, Loss):
            yield Loss(self.open.iteration, self.open.loss, rate, values)
        elif isinstance(self.open, Validation) and values:
            yield Validation(self.open.iteration, values, self.open.net)
        if self.state:
            yield Saved(self.state)
        self.open, self.outputs, self.state = None, {}, ""


def events(lines: Iterable[str]) -> Iterator[Event]:
    """The events of Caffe's log, each as soon as its last line is there.

    A Loss waits for the learning rate, which Caffe says next; Scores and Saved
    for the next thing that the solver says.
    """
    reader = _Reader()
    for line in lines:
        yield from reader.read(line)
    yield from reader.close()
