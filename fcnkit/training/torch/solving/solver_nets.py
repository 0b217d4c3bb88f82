"""Finds the nets that a solver names: the one that it trains and those that it tests."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from fcnkit.errors import EngineError
from fcnkit.formats import prototxt
from fcnkit.formats.prototxt import Field, Prototxt
from fcnkit.formats.schema import View
from fcnkit.nets.graph import Graph, build
from fcnkit.plural import number_of
from fcnkit.training.states import state_of

_TRAINED = ("net", "net_param", "train_net", "train_net_param")


class Tested(NamedTuple):
    """A net that is tested, and the number of batches of a test."""

    graph: Graph
    batches: int


class Nets(NamedTuple):
    """The graph that is trained, and those that are tested, in Caffe's order."""

    train: Graph
    tests: tuple[Tested, ...] = ()


def nets(solver: Prototxt, folder: str | os.PathLike[str] = ".") -> Nets:
    """The nets of a solver, in the states that it gives them,
    as Solver::InitTrainNet and InitTestNets do.

    Files are relative to `folder`, where Caffe would be started.  Raises
    EngineError where the solver names none to train, or more than one, or
    where numbers of test nets, states and batches disagree; PrototxtError and
    NetError for the nets themselves.
    """
    view = View("SolverParameter", solver.root)
    given = [name for name in _TRAINED if view.has(name)]
    if len(given) != 1:
        fact = f"it names {number_of(len(given), 'net')} to train ({', '.join(given) or 'none'})"
        raise refused(solver, f"{fact}; give one of {', '.join(_TRAINED)}")
    text = _net(solver.root.required(given[0]), Path(folder))
    return Nets(
        build(text, state_of("TRAIN", text, view.view("train_state"))),
        tuple(_tests(solver, Path(folder))),
    )


def refused(solver: Prototxt, fact: str) -> EngineError:
    """An error that names the solver."""
    return EngineError(f"{solver.path}: the solver: {fact}")


def _tests(solver: Prototxt, folder: Path) -> Iterator[Tested]:
    view = View("SolverParameter", solver.root)
    batches = view.list("test_iter")
    texts = list(_test_texts(solver.root, len(batches), folder))
    states: Sequence[View] = view.views("test_state")
    if len(texts) != len(batches):
        raise refused(
            solver,
            f"it has {len(batches)} test_iter for {number_of(len(texts), 'test net')}; give one "
            "each",
        )
    if len(states) not in (0, len(texts)):
        raise refused(
            solver,
            f"it has {len(states)} test_state for {number_of(len(texts), 'test net')}; give one "
            "each",
        )
    if texts and view.get("test_interval") <= 0:
        raise refused(
            solver, "it has test nets and no test_interval; give it, to test every N iterations"
        )
    for number, (text, count) in enumerate(zip(texts, batches, strict=True)):
        given = states[number] if states else View("NetState", None)
        yield Tested(build(text, state_of("TEST", text, given)), count)


def _test_texts(solver: Field, batches: int, folder: Path) -> Iterator[Prototxt]:
    """The test nets that the solver names, and its own net for every test_iter that is left."""
    own = [*solver.all("test_net_param"), *solver.all("test_net")]
    for field in own:
        yield _net(field, folder)
    for both in filter(None, map(solver.last, ("net_param", "net"))):
        yield from [_net(both, folder)] * (batches - len(own))


def _net(field: Field, folder: Path) -> Prototxt:
    """The net that a field has in itself, or in the file that it names."""
    if field.fields is not None:
        return Prototxt(field.source, field)
    return prototxt.read(folder / field.string, field.string)
