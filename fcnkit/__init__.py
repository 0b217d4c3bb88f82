"""fcnkit turns trained Caffe classifiers into fully convolutional networks.

The names of this module are the library: functions that read, rewrite, compare and run nets, and
the values that they return. `help(fk.fcn)` explains one; docs/python lists all of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fcnkit import expected
from fcnkit.rewrites import REWRITES

# Called as its module is, which Python would put in its place on a later import.
from fcnkit.weights.store import open as weights

if TYPE_CHECKING:
    from os import PathLike

    from fcnkit.formats.prototxt import Prototxt
    from fcnkit.nets.coordmap import CoordMap

__version__ = "0.1.0"

# The modules of the other names, each imported when it is first used: a command pays for what it
# needs alone. `make stubs` writes the same into __init__.pyi, for editors and type checkers.
_MODULES = {
    "Comparison": "fcnkit.weights.difference",
    "CoordMap": "fcnkit.nets.coordmap",
    "Difference": "fcnkit.verifying.differences",
    "Drawing": "fcnkit.drawing.draw",
    "Exported": "fcnkit.exporting.exported",
    "FcnkitError": "fcnkit.errors",
    "Finding": "fcnkit.linting.findings",
    "Graph": "fcnkit.nets.graph",
    "Imported": "fcnkit.importing.imported",
    "Inferred": "fcnkit.inference.inferred",
    "Inspection": "fcnkit.inspection",
    "Move": "fcnkit.plan",
    "Offset": "fcnkit.plan",
    "Picture": "fcnkit.inference.picture",
    "Plan": "fcnkit.plan",
    "Prototxt": "fcnkit.formats.prototxt",
    "Report": "fcnkit.reporting.page",
    "Scores": "fcnkit.scoring.metrics",
    "State": "fcnkit.nets.graph",
    "Statistics": "fcnkit.weights.statistics",
    "Step": "fcnkit.plan",
    "Weights": "fcnkit.weights.store",
    "beside": "fcnkit.inference.picture",
    "build": "fcnkit.nets.graph",
    "compare": "fcnkit.weights.compare",
    "confusion": "fcnkit.scoring.metrics",
    "draw": "fcnkit.drawing.draw",
    "draw_fields": "fcnkit.drawing.fields",
    "export": "fcnkit.exporting.export",
    "fit": "fcnkit.targets.fit",
    "from_onnx": "fcnkit.importing.from_onnx",
    "from_torch": "fcnkit.importing.from_torch",
    "infer": "fcnkit.inference.inferred",
    "inspect": "fcnkit.inspection",
    "installed_engines": "fcnkit.engines.engine",
    "lint": "fcnkit.linting.walk",
    "module": "fcnkit.engines.torch.as_module",
    "parse": "fcnkit.formats.prototxt",
    "read": "fcnkit.formats.prototxt",
    "report": "fcnkit.reporting.report",
    "score": "fcnkit.scoring.metrics",
    "skeleton": "fcnkit.weights.skeleton",
    "statistics": "fcnkit.weights.statistics",
    "transplant": "fcnkit.weights.surgery",
    "verify": "fcnkit.verifying.verify",
    "verify_import": "fcnkit.verifying.imports",
    "verify_layers": "fcnkit.verifying.layers",
    "verify_plan": "fcnkit.verifying.plans",
} | {name: f"fcnkit.rewrites.{file}" for file, names in REWRITES.items() for name in names}

# Names of the version before.
_RENAMED = {"train": "to_train"}

__all__ = [*_MODULES, "coords", "template", "weights"]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in _RENAMED:
        return _renamed(name, _RENAMED[name])
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return found


def _renamed(old: str, new: str) -> Any:
    from warnings import warn

    fact = f"fcnkit.{old} is called fcnkit.{new}; the old name goes with the next version"
    warn(fact, DeprecationWarning, stacklevel=3)
    return getattr(import_module(__name__), new)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


@expected.checked
def template(name: str, file: str = "deploy.prototxt") -> "Prototxt":
    """Returns the net of a template that comes with fcnkit.

    >>> fk.template("vgg16").path
    'template:vgg16'
    >>> training = fk.template("vgg16", "train_val.prototxt")

    - `name`: one of those that `fcnkit templates` lists; on the command line the net is
      template:NAME.
    - `file`: "deploy.prototxt" or "train_val.prototxt".

    Returns a Prototxt.

    Raises NetError for a name that does not exist.
    """
    from fcnkit.families import template

    return template(name, file)


@expected.checked
def coords(net: "Prototxt | str | PathLike[str]", start: str, end: str) -> "CoordMap":
    """Computes the exact map from coordinates of blob `start` to coordinates of blob `end`.

    >>> fk.coords(fk.template("lenet"), "data", "pool2")
    CoordMap(scale=1/4, shift=-15/8)

    - `net`: a Prototxt or its path.
    - `start`, `end`: the names of the blobs.

    Returns a CoordMap: pixel p of `start` lies at point scale * p + shift of `end`.

    Raises NetError for a blob that does not exist, and AlignError if no map leads from one blob
    to the other.
    """
    from fcnkit.nets.coords import between
    from fcnkit.nets.graph import build

    graph = build(net)
    return between(graph, graph.top(start), graph.top(end))
