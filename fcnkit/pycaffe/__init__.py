"""pycaffe's interface without Caffe: `import fcnkit.pycaffe as caffe`.

    from fcnkit.pycaffe import layers as L, params as P

    net = caffe.NetSpec(name="CaffeNet")
    net.data = L.Input(shape=dict(dim=[1, 3, 227, 227]))
    net.conv1 = L.Convolution(net.data, num_output=96, kernel_size=11, stride=4)
    net.to_prototxt().save("net.prototxt")

The names, their arguments and their results are pycaffe's own; docs/pycaffe.md lists them.
NetSpec needs only protobuf; nets and solvers run on PyTorch. docs/net-spec.md shows what pycaffe
lacks: `either` (layers of one name for two phases), `to_prototxt`, `to_deploy`, names and comments.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fcnkit.pycaffe import net_spec, proto
from fcnkit.pycaffe.modes import (
    has_nccl,
    init_log,
    log,
    set_device,
    set_mode_cpu,
    set_mode_gpu,
    set_multiprocess,
    set_random_seed,
    set_solver_count,
    set_solver_rank,
    solver_count,
    solver_rank,
)
from fcnkit.pycaffe.nccl import NCCL
from fcnkit.pycaffe.net_spec import NetSpec, either, layers, params, to_proto
from fcnkit.pycaffe.python_layer import Layer
from fcnkit.pycaffe.types import layer_type_list

if TYPE_CHECKING:
    from fcnkit.pycaffe.classifier import Classifier
    from fcnkit.pycaffe.detector import Detector
    from fcnkit.pycaffe.net import Net
    from fcnkit.pycaffe.run import install
    from fcnkit.pycaffe.solver import (
        AdaDeltaSolver,
        AdaGradSolver,
        AdamSolver,
        NesterovSolver,
        RMSPropSolver,
        SGDSolver,
        get_solver,
    )
    from fcnkit.pycaffe.timer import Timer

TRAIN, TEST = 0, 1
__version__ = "1.0.0"

# The modules of the names that PyTorch or numpy are needed for, imported when they are first used.
_MODULES = {
    "AdaDeltaSolver": "solver",
    "AdaGradSolver": "solver",
    "AdamSolver": "solver",
    "Classifier": "classifier",
    "Detector": "detector",
    "Net": "net",
    "NesterovSolver": "solver",
    "RMSPropSolver": "solver",
    "SGDSolver": "solver",
    "Timer": "timer",
    "get_solver": "solver",
    "install": "run",
}
# Modules of this package that are names of it, imported when they are first used.
_SUBMODULES = ("classifier", "coord_map", "detector", "draw", "io")
# pycaffe's own modules of what is all in this package.
_SAME = ("_caffe", "pycaffe")

__all__ = [
    "NCCL",
    "TEST",
    "TRAIN",
    "AdaDeltaSolver",
    "AdaGradSolver",
    "AdamSolver",
    "Classifier",
    "Detector",
    "Layer",
    "NesterovSolver",
    "Net",
    "NetSpec",
    "RMSPropSolver",
    "SGDSolver",
    "Timer",
    "either",
    "get_solver",
    "has_nccl",
    "init_log",
    "install",
    "layer_type_list",
    "layers",
    "log",
    "net_spec",
    "params",
    "proto",
    "set_device",
    "set_mode_cpu",
    "set_mode_gpu",
    "set_multiprocess",
    "set_random_seed",
    "set_solver_count",
    "set_solver_rank",
    "solver_count",
    "solver_rank",
    "to_proto",
]


def __getattr__(name: str) -> Any:
    """The name of a module that is not imported yet."""
    if name in _SAME:
        return import_module(__name__)
    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_SUBMODULES})
