"""Trains several nets one after another, each from the last weights of the one before."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fcnkit.errors import NetError, OutputError, WeightsError
from fcnkit.formats import prototxt
from fcnkit.formats.schema import View
from fcnkit.linting import solvers
from fcnkit.linting.findings import ERROR, FORKS, Finding
from fcnkit.linting.seen import Seen
from fcnkit.linting.walk import lint
from fcnkit.nets.layers.table import of
from fcnkit.nets.shapes import shapes_of
from fcnkit.nets.solver_types import kind_of
from fcnkit.training import databases_fit, train
from fcnkit.training.recipe import Options, Recipe, recipe
from fcnkit.training.trainers import Caffe
from fcnkit.training.weighting import check_resumed, weighted
from fcnkit.weights import store

INIT = "init.caffemodel"


@dataclass(frozen=True)
class Stage:
    """One net of several; `before` is the stage whose weights it starts from."""

    recipe: Recipe
    given: tuple[Path, ...]
    before: "Stage | None" = None

    @property
    def folder(self) -> Path:
        """The folder of the net, in which Caffe works."""
        return self.recipe.run.folder

    def weights(self) -> tuple[Path, ...]:
        """The files that it starts from;
        layers of the stage before replace those of its own init.caffemodel.

        The last is named even before it is there.
        """
        if self.before is None:
            return self.given
        run = self.before.recipe.run
        done = train.finished(run, self.before.recipe.iterations)
        return (*self.given, done.weights if done else run.weights(self.before.recipe.iterations))

    def command(self, *, restart: bool = False) -> list[str]:
        """The command that trains in this stage's folder."""
        begin = train.start(self.recipe.run, self.weights(), restart=restart, force=True)
        return self.recipe.command(*begin.words(self.recipe.run))


def stages(
    folders: Sequence[Path], name: str, options: Options, weights: Sequence[str] = ()
) -> list[Stage]:
    """A stage for each folder, in order; `weights` are for the first,
    later ones over earlier ones, in place of its init.caffemodel.

    Raises WeightsError for a file that Caffe could not read, and as `recipe` and `weighted` do.
    """
    found: list[Stage] = []
    for folder in folders:
        own = tuple(map(Path, weights)) if weights and not found else _own(folder)
        for path in own:
            _check_weights(path)
        made = recipe(folder, name, options)
        if options.loss_weights:
            made = weighted(made, options.loss_weights)
        if weights and not found:
            _check_names(made, own)
        found.append(Stage(made, own, found[-1] if found else None))
    return found


def _stored(weights: Sequence[Path]) -> set[str]:
    """The names of the layers that the files have blobs for."""
    return {name for path in weights for name, blobs in store.open(path).items() if blobs}


def _check_names(made: Recipe, weights: Sequence[Path]) -> None:
    """A layer of the net has a name in one of the files: else Caffe would train from fillers."""
    graph = next(made.nets[0].graphs())
    if not _stored(weights) & {layer.name for layer in graph.layers}:
        files = ", ".join(map(str, weights))
        fact = f"no layer of {graph.prototxt.path} is in it, so training would start from fillers"
        raise WeightsError(f"{files}: {fact}; give weights of this net, or leave out --weights")


def _own(folder: Path) -> tuple[Path, ...]:
    return (folder / INIT,) if os.path.exists(folder / INIT) else ()


def _check_weights(path: Path) -> None:
    kind = store.open(path).kind
    if kind == "solverstate":
        fact = "is a solver state, which holds no weights"
        remedy = (
            "give the caffemodel beside it; a run is resumed by the same command that started it"
        )
        raise WeightsError(f"{path}: {fact}; {remedy}")
    if kind == "npz" or kind == "hdf5" and path.suffix != ".h5":
        raise WeightsError(
            f"{path}: is {store.KINDS[kind]}, which Caffe does not start from under this name; "
            "make a caffemodel of it with `fcnkit convert`"
        )
    if "," in str(path.absolute()):
        raise WeightsError(
            f"{path}: Caffe takes a comma for the end of a name; rename it without one"
        )


def check(
    found: Sequence[Stage],
    on_database: Callable[[Path, int], None],
    on_warning: Callable[[str], None] = lambda words: None,
    *,
    one_class: bool = False,
) -> None:
    """The databases fit every stage's net; NetError as `databases_fit.check`."""
    for stage in found:
        databases_fit.check(stage.recipe, on_database, on_warning, one_class=one_class)


def check_words(found: Sequence[Stage]) -> list[str]:
    """Caffe refuses no solver and no net of the stages; what lint warns of in them, each once.

    Raises NetError with what it refuses.  Where Caffe itself trains, it may be a fork
    that has the fields and types that BVLC's lacks, and these are warnings.
    """
    said: dict[str, None] = {}
    for stage in found:
        caffe = isinstance(stage.recipe.trainer, Caffe)
        said |= dict.fromkeys(_ignored(stage.recipe))
        for one in _findings(stage.recipe):
            if one.level == ERROR and not (caffe and FORKS in one.text):
                raise NetError(f"{one.path}:{one.line}: {one.text} [{one.name}]")
            from_nothing = one.name in _FROM_NOTHING and not (stage.given or stage.before)
            if one.level == ERROR or one.name in _DOUBTS or from_nothing:
                said[f"{one.path}:{one.line}: {one.text}"] = None
    return [*said]


# What a training is not to begin with unsaid; other warnings of lint are of style, or of files.
_DOUBTS = {
    *("parted", "scaled-labels", "overwritten-gradient", "overwritten-share"),
    *(each.name for each in solvers.CHECKS if each.name != "state-level"),
}


# And where it begins without weights.
_FROM_NOTHING = ("stays-zero", "unmeasured", "unfilled-deconvolution")


def _findings(made: Recipe) -> Iterator[Finding]:
    for each in made.nets:
        yield from lint(each.net, solver=made.solver, states=each.states)


def _ignored(made: Recipe) -> Iterator[str]:
    """What PyTorch does not do of what the solver or a net says."""
    if isinstance(made.trainer, Caffe):
        return
    views = [made.view, *(View("NetParameter", each.net.root) for each in made.nets)]
    for view in (view for view in views if view.get("debug_info")):
        field = view.field("debug_info")
        place = f"{field.source.path}:{field.line}: " if field else ""
        yield (
            f"{place}debug_info: PyTorch does not print layers' values; leave it out, or use Caffe"
        )


def check_runs(found: Sequence[Stage]) -> None:
    """Every run that has begun goes on with the type of solver and the class weights that it has;
    OutputError otherwise.
    """
    for stage in found:
        _check_type(stage.recipe)
        check_resumed(stage.recipe)


def _check_type(made: Recipe) -> None:
    """What a snapshot remembers for each parameter is of one type of solver."""
    run = made.run
    if not run.snapshots() or not os.path.exists(run.solver):
        return
    had = kind_of(View("SolverParameter", prototxt.read(run.solver).root))
    now = kind_of(made.view)
    if had != now:
        fact = (
            f'{run.path}: was started with the solver type "{had}", but it is "{now}" now: what a'
        )
        remedy = f'set type: "{had}", or start over with --restart --force'
        raise OutputError(f"{fact} snapshot stores is for one type only; {remedy}")


def check_restart(found: Sequence[Stage], *, force: bool) -> None:
    """No stage has a run that a restart would lose, or `force` is given; OutputError otherwise."""
    for stage in found:
        if stage.recipe.run.begun and not force:
            path = stage.recipe.run.path
            raise OutputError(
                f"{path}: holds a run that a restart would delete; give --force to delete it"
            )


def unfilled(made: Recipe, weights: Sequence[Path]) -> Iterator[str]:
    """The learned layers of the net that none of the weights files has,
    but for bilinear upsampling.
    """
    names = _stored(weights)
    graph = next(made.nets[0].graphs())
    seen = Seen(graph, shapes_of(graph, refuse=lambda name, error: None))
    for layer in graph.layers if weights else ():
        if layer.name not in names and seen.count(layer) and not of(layer).spreads:
            yield layer.name
