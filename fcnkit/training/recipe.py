"""Adapts a solver and its nets to a run; all else stays as the user wrote it."""

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

from fcnkit import files
from fcnkit.edits import Edit
from fcnkit.errors import NetError, PrototxtError
from fcnkit.formats import binaryproto, prototxt
from fcnkit.formats.prototxt import Field, Prototxt, Word
from fcnkit.formats.schema import View
from fcnkit.nets.graph import Graph, Layer, State, build
from fcnkit.nets.layers.table import is_softmax_loss, of
from fcnkit.rewrites.changes import removed, set_param, set_value
from fcnkit.training.runs import OWN, SOLVER, Run
from fcnkit.training.states import state_of
from fcnkit.training.trainers import Caffe, Trainer

NORMALIZED, UNNORMALIZED = "normalized", "unnormalized"
_SNAPSHOT, _DISPLAY = 1000, 20


class Options(NamedTuple):
    """What a run changes; None leaves what the solver says.

    `trainer` trains; `cpu` is True for the CPU, False for the GPU.  `loss` is
    NORMALIZED or UNNORMALIZED.  `loss_weights` is as `weighting.weighted` takes it.
    """

    data: Path | None = None
    cpu: bool | None = None
    trainer: Trainer = Caffe()
    iterations: int | None = None
    snapshot: int | None = None
    display: int | None = None
    test: int | None = None
    loss: str | None = None
    loss_weights: str | None = None
    seed: int | None = None
    rate: float | None = None


_PLAIN = Options()


class Trained(NamedTuple):
    """A net as run, and in which states Caffe builds it."""

    path: Path
    net: Prototxt
    states: tuple[State, ...]

    def graphs(self) -> Iterator[Graph]:
        """The net as Caffe builds it, in each of its states."""
        for state in self.states:
            yield build(self.net, state)


class Matrix(NamedTuple):
    """What Caffe multiplies the logarithms of one loss's probabilities by:
    the classes' weights, and zeros.

    The weight of class c stands in row c, the true class, and column c, the scored one.
    `names` are the classes', where they are known; `absent` are those without a training label.
    """

    path: Path
    layer: str
    weights: tuple[float, ...]
    names: tuple[str, ...] = ()
    absent: tuple[int, ...] = ()

    @property
    def data(self) -> bytes:
        """The binaryproto that Caffe's InfogainLoss reads."""
        import numpy as np

        return binaryproto.written(np.diag(self.weights))


class Recipe(NamedTuple):
    """All that the trainer reads for one run, as it will stand in the run's folder.

    `level` is that of the net that is trained.
    """

    run: Run
    solver: Prototxt
    nets: tuple[Trained, ...]
    trainer: Trainer = Caffe()
    matrices: tuple[Matrix, ...] = ()
    level: int = 0

    @property
    def view(self) -> View:
        """The solver, read with Caffe's types and defaults."""
        return View("SolverParameter", self.solver.root)

    @property
    def iterations(self) -> int:
        """How many iterations the run has in the end."""
        return self.view.get("max_iter")

    @property
    def on_gpu(self) -> bool:
        """Whether the solver asks for a GPU; it does unless it says otherwise."""
        return self.view.get("solver_mode") == "GPU"

    def words(self, *start: str) -> list[str]:
        """The trainer's arguments, in the folder of the net; `start` are those of its start.

        The level of the net that is trained is said here alone: `caffe train` takes no other.
        """
        return [
            "train",
            f"--solver={self.run.name}/{self.run.solver.name}",
            *start,
            *[f"--level={self.level}"] * bool(self.level),
            *self.trainer.options,
        ]

    def command(self, *start: str) -> list[str]:
        """All the words that start the trainer and tell it this;
        EngineError where it is not installed.
        """
        return [*self.trainer.command(gpu=self.on_gpu), *self.words(*start)]

    def save(self) -> None:
        """Solver, nets and the matrices of their losses lie in the run's folder."""
        for path in set(self.run.matrices()) - {each.path for each in self.matrices}:
            path.unlink()
        for each in self.matrices:
            files.write(each.path, each.data, force=True)
        for path, text in (
            (self.run.solver, self.solver),
            *((each.path, each.net) for each in self.nets),
        ):
            text.save(path, force=True)


def recipe(folder: Path, name: str = "run", options: Options = _PLAIN) -> Recipe:
    """The run `name` of the solver in `folder`, with these options.

    Data sources become absolute: those in options.data of the same names, or
    else as the net says, from its own folder.  Snapshots go to the run's
    folder, with what Caffe needs to resume.

    Raises PrototxtError, or NetError where the solver or a database is not there.
    """
    if not os.path.isfile(folder / SOLVER):
        fact = f"holds no {SOLVER}" if os.path.isdir(folder) else "is not a folder"
        raise NetError(f"{folder}: {fact}; name a folder that `fcnkit fcn -o DIR` wrote")
    solver = prototxt.read(folder / SOLVER)
    view = View("SolverParameter", solver.root)
    run = Run(folder, name, os.path.basename(view.get("snapshot_prefix")) or "fcn")
    named = _net_fields(solver, view)
    places = [_place(run, field) for field in named]
    names = run_names(places)
    texts = {place: prototxt.read(place) for place in names}
    states = {place: _states_of(view, named, places, place, texts[place]) for place in names}
    nets = [
        _trained(run, texts[place], name, states[place], options) for place, name in names.items()
    ]
    edits = [
        set_value(field, f"{name}/{names[place]}", "as run")
        for field, place in zip(named, places, strict=True)
    ]
    edits += _set(solver, _fields(view, run, options, nets), drop=("snapshot_format",))
    return Recipe(
        run,
        solver.edit(edits),
        tuple(nets),
        options.trainer,
        level=state_of("TRAIN", texts[places[0]], view.view("train_state")).level,
    )


_TRAINED = ("net", "train_net")


def _net_fields(solver: Prototxt, view: View) -> list[Field]:
    """Where the solver names its nets, first the one that is trained."""
    if view.says("net_param", "train_net_param", "test_net_param"):
        raise PrototxtError(
            f"{solver.path}: contains its net; put that into a file, and name it in `net`"
        )
    found = solver.root.all("net", "train_net", "test_net")
    if not any(field.name in _TRAINED for field in found):
        raise PrototxtError(f'{solver.path}: names no net; add net: "train_val.prototxt"')
    return sorted(found, key=lambda field: field.name not in _TRAINED)


def _place(run: Run, field: Field) -> Path:
    """Where the net that a field of the solver names lies."""
    path = run.folder / os.path.normpath(field.string)
    # Public solvers name their nets from Caffe's own folder.
    return path if os.path.exists(path) else run.folder / os.path.basename(field.string)


def run_names(places: Sequence[Path]) -> dict[Path, str]:
    """What each net is called in the run's folder: its own name, unless that is taken.

    Those of the run's own files are, and that of a net before it; the net's folder then goes before
    its own name, and a number behind where that does not do.  They depend on the solver
    alone, so that a resume gives the same.
    """
    found: dict[Path, str] = {}
    taken = set(OWN)
    for place in dict.fromkeys(places):
        name = next(name for name in _candidates(place) if name.lower() not in taken)
        taken.add(name.lower())
        found[place] = name
    return found


# What the files that a training writes beside it end in.
_SNAPSHOTS = (".caffemodel", ".solverstate", ".h5")


def _candidates(place: Path) -> Iterator[str]:
    if place.suffix.lower() in _SNAPSHOTS:
        place = place.with_name(f"{place.name}.prototxt")
    yield place.name
    own = f"{place.parent.name}_{place.name}" if place.parent.name.strip(".") else place.name
    yield own
    stem, suffix = os.path.splitext(own)
    yield from (f"{stem}_{number}{suffix}" for number in count(2))


def _states_of(
    view: View, named: Sequence[Field], places: Sequence[Path], place: Path, net: Prototxt
) -> tuple[State, ...]:
    """The states of all the fields that name the net at this place; one file may be both."""
    fields = [field for field, each in zip(named, places, strict=True) if each == place]
    return tuple(
        dict.fromkeys(state for field in fields for state in _states(view, field.name, net))
    )


def _trained(
    run: Run, net: Prototxt, name: str, states: tuple[State, ...], options: Options
) -> Trained:
    """The net with its data and loss as run."""
    graphs = [build(net, state) for state in states]
    layers = [layer for graph in graphs for layer in graph.layers]
    edits = [edit for layer in layers for edit in _sources(layer, run.folder, options.data)]
    edits += [edit for layer in layers for edit in _normalization(net, layer, options.loss)]
    return Trained(run.path / name, net.edit(edits), states)


def _states(view: View, name: str, net: Prototxt) -> tuple[State, ...]:
    train = [state_of("TRAIN", net, view.view("train_state"))] * (name in _TRAINED)
    given = [*view.views("test_state")] or [View("NetState", None)]
    tests = [state_of("TEST", net, each) for each in given]
    tested = name == "test_net" or name == "net" and bool(view.list("test_iter"))
    return tuple(dict.fromkeys(train + tests * tested))


def _sources(layer: Layer, folder: Path, data: Path | None) -> Iterator[Edit]:
    """The layer's database, by its absolute path."""
    if of(layer).message != "data_param":
        return
    field = layer.param("data_param").field("source")
    if field is None:
        raise layer.error("it names no database; add data_param { source }")
    place = folder / field.string if data is None else data / os.path.basename(field.string)
    if not os.path.exists(place):
        remedy = (
            "give its folder with --data" if data is None else "create it, or give another --data"
        )
        raise layer.error(f"its database {place} does not exist; {remedy}")
    yield set_value(field, os.path.realpath(place), "as run")


def _normalization(net: Prototxt, layer: Layer, loss: str | None) -> list[Edit]:
    if loss is None or not is_softmax_loss(layer):
        return []
    fields = [("normalize", loss == NORMALIZED)]
    return set_param(
        layer, "loss_param", fields, net.style, replacing=("normalization",), why="as run"
    )


def _fields(
    view: View, run: Run, options: Options, nets: Sequence[Trained]
) -> Iterator[tuple[str, object]]:
    """What the solver says as run."""
    yield "snapshot_prefix", f"{run.name}/{run.prefix}"
    yield "snapshot", options.snapshot or view.get("snapshot") or _SNAPSHOT
    yield "snapshot_after_train", True  # Ctrl-C saves by it
    yield "display", options.display or view.get("display") or _DISPLAY
    if options.iterations:
        yield "max_iter", options.iterations
    if options.test:
        yield "test_interval", options.test
    if options.rate is not None:
        yield "base_lr", options.rate
    if options.seed is not None:
        yield "random_seed", options.seed
    if options.cpu is not None:
        yield "solver_mode", Word("CPU" if options.cpu else "GPU")
    if options.loss:
        yield from _rates(options.loss, nets[0])


def _rates(loss: str, trained: Trained) -> list[tuple[str, object]]:
    """The rates that the FCN authors published for the
    mean over pixels (voc-fcn-alexnet) and for the sum.

    The rate of a net trained in stages is a hundred times less at each.
    """
    rate = f"1e-{(4 if loss == NORMALIZED else 10) + 2 * stage(next(trained.graphs()))}"
    few = loss == NORMALIZED
    return [
        ("base_lr", Word(rate)),
        ("lr_policy", "fixed"),
        ("momentum", 0.9 if few else 0.99),
        ("iter_size", 20 if few else 1),
    ]


def stage(graph: Graph) -> int:
    """How many stages come before this net's:
    its skips, none where they are scaled for all at once.
    """
    names = [layer.name for layer in graph.layers]
    if any(name.startswith("scale_") for name in names):
        return 0
    heads = max(1, sum(map(is_softmax_loss, graph.layers)))
    return sum(name.startswith("fuse_") for name in names) // heads


def _set(text: Prototxt, fields: Iterable[tuple[str, object]], drop: Sequence[str]) -> list[Edit]:
    """The text says these fields, where it has them
    or else at its end, and none of those to drop.
    """
    edits = [removed(field) for field in text.root.all(*drop)]
    missing = []
    for name, value in fields:
        found = text.root.all(name)
        edits += [set_value(field, value, "as run") for field in found[:1]] + [
            *map(removed, found[1:])
        ]
        missing += [] if found else [(name, value)]
    end = len(text.text)
    gap = "" if text.text.endswith("\n") or not text.text else text.style.newline
    return (
        [*edits, Edit(end, end, gap + prototxt.render(missing, text.style))] if missing else edits
    )
