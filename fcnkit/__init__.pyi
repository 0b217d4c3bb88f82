"""The names of fcnkit for editors and type checkers; `make stubs` writes this file.

__init__.py imports each when it is first used.
"""

from os import PathLike

from fcnkit.drawing.draw import Drawing, draw
from fcnkit.drawing.fields import draw_fields
from fcnkit.engines.engine import installed_engines
from fcnkit.engines.torch.as_module import module
from fcnkit.errors import FcnkitError
from fcnkit.exporting.export import export
from fcnkit.exporting.exported import Exported
from fcnkit.formats.prototxt import Prototxt, parse, read
from fcnkit.importing.from_onnx import from_onnx
from fcnkit.importing.from_torch import from_torch
from fcnkit.importing.imported import Imported
from fcnkit.inference.inferred import Inferred, infer
from fcnkit.inference.picture import Picture, beside
from fcnkit.inspection import Inspection, inspect
from fcnkit.linting.findings import Finding
from fcnkit.linting.walk import lint
from fcnkit.nets.coordmap import CoordMap
from fcnkit.nets.declared import State
from fcnkit.nets.graph import Graph, build
from fcnkit.plan import Move, Offset, Plan, Step
from fcnkit.reporting.page import Report
from fcnkit.reporting.report import report
from fcnkit.rewrites.align import align
from fcnkit.rewrites.bake import bake
from fcnkit.rewrites.bvlc import bvlc
from fcnkit.rewrites.channels import add_channels, swap_channels, to_colour, to_gray
from fcnkit.rewrites.classes import reclass
from fcnkit.rewrites.convolutionalize import convolutionalize
from fcnkit.rewrites.decimate import decimate
from fcnkit.rewrites.deploy import deploy
from fcnkit.rewrites.drop import drop
from fcnkit.rewrites.extract import extract
from fcnkit.rewrites.fc import to_fc
from fcnkit.rewrites.fcn import fcn
from fcnkit.rewrites.filters import fewer_filters
from fcnkit.rewrites.fold import fold
from fcnkit.rewrites.fork import fork
from fcnkit.rewrites.groups import regroup, ungroup
from fcnkit.rewrites.inputs import input_as
from fcnkit.rewrites.padding import pad
from fcnkit.rewrites.rename import rename
from fcnkit.rewrites.rescore import rescore
from fcnkit.rewrites.resize import batch, resize
from fcnkit.rewrites.round_down import round_down, round_up
from fcnkit.rewrites.to_train import to_train
from fcnkit.rewrites.uncrop import uncrop
from fcnkit.rewrites.upgrade import upgrade
from fcnkit.rewrites.upsample import skip, upsample
from fcnkit.scoring.metrics import Scores, confusion, score
from fcnkit.targets.fit import fit
from fcnkit.verifying.differences import Difference
from fcnkit.verifying.imports import verify_import
from fcnkit.verifying.layers import verify_layers
from fcnkit.verifying.plans import verify_plan
from fcnkit.verifying.verify import verify
from fcnkit.weights.compare import compare
from fcnkit.weights.difference import Comparison
from fcnkit.weights.skeleton import skeleton
from fcnkit.weights.statistics import Statistics, statistics
from fcnkit.weights.store import Weights
from fcnkit.weights.store import open as weights
from fcnkit.weights.surgery import transplant

__all__ = [
    "Comparison",
    "CoordMap",
    "Difference",
    "Drawing",
    "Exported",
    "FcnkitError",
    "Finding",
    "Graph",
    "Imported",
    "Inferred",
    "Inspection",
    "Move",
    "Offset",
    "Picture",
    "Plan",
    "Prototxt",
    "Report",
    "Scores",
    "State",
    "Statistics",
    "Step",
    "Weights",
    "add_channels",
    "align",
    "bake",
    "batch",
    "beside",
    "build",
    "bvlc",
    "compare",
    "confusion",
    "convolutionalize",
    "coords",
    "decimate",
    "deploy",
    "draw",
    "draw_fields",
    "drop",
    "export",
    "extract",
    "fcn",
    "fewer_filters",
    "fit",
    "fold",
    "fork",
    "from_onnx",
    "from_torch",
    "infer",
    "input_as",
    "inspect",
    "installed_engines",
    "lint",
    "module",
    "pad",
    "parse",
    "read",
    "reclass",
    "regroup",
    "rename",
    "report",
    "rescore",
    "resize",
    "round_down",
    "round_up",
    "score",
    "skeleton",
    "skip",
    "statistics",
    "swap_channels",
    "template",
    "to_colour",
    "to_fc",
    "to_gray",
    "to_train",
    "transplant",
    "uncrop",
    "ungroup",
    "upgrade",
    "upsample",
    "verify",
    "verify_import",
    "verify_layers",
    "verify_plan",
    "weights",
]
__version__: str

def coords(net: Prototxt | str | PathLike[str], start: str, end: str) -> CoordMap: ...
def template(name: str, file: str = "deploy.prototxt") -> Prototxt: ...
