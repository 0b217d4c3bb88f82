"""What a page is of, by what its argument holds: a net, an FCN's folder, or a data set's."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fcnkit.errors import NetError
from fcnkit.formats import prototxt
from fcnkit.formats.prototxt import Prototxt
from fcnkit.formats.schema import View
from fcnkit.nets.graph import State, build
from fcnkit.shape import Shape
from fcnkit.training.runs import SOLVER, Run
from fcnkit.weights import store
from fcnkit.weights.store import Weights

NET, FCN, DATA = "net", "fcn", "data"
DEPLOY, START = "deploy.prototxt", "init.caffemodel"
Source = str | os.PathLike[str] | Prototxt


@dataclass(frozen=True)
class Wishes:
    """What else was given with the argument: the options of `fcnkit report`."""

    images: Sequence[str | os.PathLike[str]] = ()
    labels: str | os.PathLike[str] | None = None
    mean: tuple[float, ...] | None = None
    engine: str | None = None
    device: str | None = None
    inputs: Mapping[str, Shape] = field(default_factory=dict)
    proofs: Sequence[str | os.PathLike[str]] = ()


@dataclass(frozen=True)
class Subject:
    """What a page is of.

    `kind` is NET, FCN or DATA; `folder` is that of an FCN or a data set.  An FCN's `net` is the
    one to deploy, and its `weights` those of the newest whole snapshot, else the first ones.
    """

    kind: str
    path: str
    wishes: Wishes
    folder: Path | None = None
    net: Prototxt | None = None
    weights: Weights | None = None

    @property
    def title(self) -> str:
        """The page's heading."""
        return Path(self.path).name or self.path


def subject(
    source: Source, weights: "str | os.PathLike[str] | Weights | None", wishes: Wishes
) -> Subject:
    """What there is to show of a net, or of the folder at a path.

    Raises NetError for a folder that holds neither net nor data set.
    """
    if isinstance(source, Prototxt) or not os.path.isdir(source):
        net = _with_layers(prototxt.given(source))
        return Subject(NET, net.path, wishes, None, net, _given(weights))
    folder = Path(source)
    if os.path.isfile(folder / DEPLOY):
        net = _with_layers(prototxt.read(folder / DEPLOY))
        held = _given(weights) or _held(folder)
        return Subject(FCN, str(source), wishes, folder, net, held)
    if any(folder.glob("*_image_lmdb")):
        return Subject(DATA, str(source), wishes, folder)
    fact = f"holds no {DEPLOY} and no databases of images"
    raise NetError(f"{folder}: {fact}; name an FCN's folder, a data set's, or a prototxt")


def _with_layers(net: Prototxt) -> Prototxt:
    """The net; NetError where Caffe would build none to test."""
    if not build(net).layers:
        raise NetError(f"{net.path}: no layers in state {State()}; name the net to deploy")
    return net


def _given(weights: "str | os.PathLike[str] | Weights | None") -> Weights | None:
    return None if weights is None else store.given(weights)


def _held(folder: Path) -> Weights | None:
    """The weights that an FCN's folder holds, the newest first."""
    for run in runs(folder):
        snapshot, _ = run.newest()
        if snapshot:
            return store.open(snapshot.weights)
    return store.open(folder / START) if os.path.isfile(folder / START) else None


def runs(folder: Path) -> list[Run]:
    """The trainings of an FCN's folder: each has a folder of its own in it, with a record."""
    names = sorted(each.parent.name for each in folder.glob("*/train.jsonl"))
    return [Run(folder, name, _prefix(folder / name / SOLVER)) for name in names]


def _prefix(solver: Path) -> str:
    """What the names of a run's snapshots begin with."""
    if not os.path.isfile(solver):
        return "fcn"
    view = View("SolverParameter", prototxt.read(solver).root)
    return os.path.basename(view.get("snapshot_prefix")) or "fcn"
