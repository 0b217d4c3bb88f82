"""What a page is of, by what its argument holds: a net, an FCN's folder, runs, or a data set."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fcnkit.errors import FcnkitError, NetError
from fcnkit.formats import prototxt
from fcnkit.formats.prototxt import Prototxt
from fcnkit.formats.schema import View
from fcnkit.nets.graph import State, build
from fcnkit.progress import Progress, no_progress
from fcnkit.reporting.choice import COUNT
from fcnkit.shape import Shape
from fcnkit.training.runs import RECORD, SOLVER, Run
from fcnkit.weights import store
from fcnkit.weights.store import Weights

NET, FCN, RUNS, DATA = "net", "fcn", "runs", "data"
DEPLOY, START = "deploy.prototxt", "init.caffemodel"
# A heading names so many runs.
_NAMED = 4
Place = str | os.PathLike[str]
Source = Place | Prototxt | Sequence[Place]


@dataclass(frozen=True)
class Wishes:
    """What else was given with the argument: the options of `fcnkit report`.

    `progress` hears of each image that is read, run or scored.
    """

    images: Sequence[str | os.PathLike[str]] = ()
    labels: str | os.PathLike[str] | None = None
    mean: tuple[float, ...] | None = None
    engine: str | None = None
    device: str | None = None
    inputs: Mapping[str, Shape] = field(default_factory=dict)
    proofs: Sequence[str | os.PathLike[str]] = ()
    data: str | os.PathLike[str] | None = None
    predictions: str | os.PathLike[str] | None = None
    count: int = COUNT
    progress: Progress = no_progress


@dataclass(frozen=True)
class Subject:
    """What a page is of.

    `kind` is NET, FCN, RUNS or DATA; `folder` is that of an FCN or a data set.  An FCN's `net`
    is the one to deploy, and its `weights` those of the newest whole snapshot, else the first
    ones.  `runs` are the trainings of an FCN, or those that are to be compared.
    """

    kind: str
    path: str
    wishes: Wishes
    folder: Path | None = None
    net: Prototxt | None = None
    weights: Weights | None = None
    runs: tuple[Run, ...] = ()

    @property
    def title(self) -> str:
        """The page's heading."""
        if self.kind == RUNS and len(self.runs) <= _NAMED:
            folders = (Path(os.path.realpath(run.folder)).name for run in self.runs)
            pairs = zip(folders, self.runs, strict=True)
            return ", ".join(f"{folder}/{run.name}" for folder, run in pairs)
        return Path(self.path).name or self.path


def subject(
    source: Source, weights: "str | os.PathLike[str] | Weights | None", wishes: Wishes
) -> Subject:
    """What there is to show of a net, of the folder at a path, or of several runs' folders.

    Raises NetError for a folder that holds neither net nor run nor data set.
    """
    if isinstance(source, Sequence) and not isinstance(source, str | bytes):
        return _of_runs([Path(each) for each in source], wishes)
    if isinstance(source, Prototxt) or not os.path.isdir(source):
        net = _with_layers(prototxt.given(source))
        return Subject(NET, net.path, wishes, None, net, _given(weights))
    folder = Path(source)
    if os.path.isfile(folder / DEPLOY) and not _is_run(folder):
        net = _with_layers(prototxt.read(folder / DEPLOY))
        held = _given(weights) or _held(folder)
        return Subject(FCN, str(source), wishes, folder, net, held, tuple(runs(folder)))
    if any(folder.glob("*_image_lmdb")):
        return Subject(DATA, str(source), wishes, folder)
    return _of_runs([folder], wishes)


def _of_runs(folders: Sequence[Path], wishes: Wishes) -> Subject:
    """The runs at these paths: each that of a run, of a net with runs, or of several such."""
    found: dict[str, Run] = {}
    for folder in folders:
        here = [run for each in (folder, *sorted(folder.glob("*/"))) for run in runs(each)]
        here = [_run(folder)] if _is_run(folder) else here
        if not here:
            if len(folders) > 1:
                fact = f"holds no {RECORD}, and several folders are compared by their trainings"
                raise NetError(f"{folder}: {fact}; name one folder a page, or folders of trainings")
            fact = f"holds no {DEPLOY}, no {RECORD} of a training and no databases of images"
            raise NetError(f"{folder}: {fact}; name an FCN's folder, a data set's, or a prototxt")
        found |= {os.path.realpath(run.path): run for run in here}
    return Subject(RUNS, ", ".join(map(str, folders)), wishes, runs=tuple(found.values()))


def _is_run(folder: Path) -> bool:
    return os.path.isfile(folder / RECORD)


def _with_layers(net: Prototxt) -> Prototxt:
    """The net; NetError where Caffe would build none to test."""
    if not build(net).layers:
        raise NetError(f"{net.path}: no layers in state {State()}; name the net to deploy")
    return net


def _given(weights: "str | os.PathLike[str] | Weights | None") -> Weights | None:
    return None if weights is None else store.given(weights)


def _held(folder: Path) -> Weights | None:
    """The weights that an FCN's folder holds: of its trainings' last ones the newest."""
    found = [snapshot.weights for run in runs(folder) if (snapshot := run.newest()[0])]
    if found:
        return store.open(max(found, key=lambda path: (os.stat(path).st_mtime_ns, str(path))))
    return store.open(folder / START) if os.path.isfile(folder / START) else None


def runs(folder: Path) -> list[Run]:
    """The trainings of an FCN's folder: each has a folder of its own in it, with a record."""
    return [_run(each.parent) for each in sorted(folder.glob(f"*/{RECORD}"))]


def _run(folder: Path) -> Run:
    """The run in a folder of its own."""
    whole = Path(os.path.abspath(folder))
    return Run(folder.parent if folder.name else whole.parent, whole.name, _prefix(folder / SOLVER))


def _prefix(solver: Path) -> str:
    """What the names of a run's snapshots begin with."""
    if os.path.isfile(solver):
        with suppress(FcnkitError):  # its text is shown as it is
            view = View("SolverParameter", prototxt.read(solver).root)
            return os.path.basename(view.get("snapshot_prefix")) or "fcn"
    return "fcn"
