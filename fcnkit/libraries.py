"""The libraries that fcnkit uses, and what for; extras are imported when they are first used."""

import importlib
from types import ModuleType
from typing import NamedTuple

from fcnkit.errors import EngineError


class Library(NamedTuple):
    """A library: the module that is imported, the package that has it, what it is for.

    `extra` is the extra of fcnkit that installs it, "" for what fcnkit always needs.
    """

    module: str
    package: str
    extra: str
    use: str


LIBRARIES = (
    Library("click", "click", "", "the command line"),
    Library("numpy", "numpy", "", "the values of blobs"),
    Library("google.protobuf", "protobuf", "", "Caffe's schema"),
    Library("h5py", "h5py", "", "weights in HDF5"),
    Library("filelock", "filelock", "", "locks, so that one process at a time writes a folder"),
    Library("rich", "rich", "", "progress in a terminal"),
    Library("PIL", "pillow", "train", "images: dataset, infer, score"),
    Library("lmdb", "lmdb", "train", "databases of images: dataset, train"),
    Library("matplotlib", "matplotlib", "train", "curves and heat maps: train, infer"),
    Library("cv2", "opencv-python-headless", "opencv", "the engine opencv; training on images"),
    Library("torch", "torch", "torch", "the engine torch: runs and trains nets, on a GPU too"),
    Library("onnx", "onnx", "onnx", "ONNX: import, export"),
    Library("onnxruntime", "onnxruntime", "onnx", "the engine onnx"),
    Library("pygraphviz", "pygraphviz", "draw", "drawings of nets: draw"),
    Library("fissix", "fissix", "pycaffe", "scripts of Python 2: run"),
)
"""Every library that a user may need, those first without which nothing works."""


def toml() -> ModuleType:
    """The reader of TOML: Python's own since 3.11."""
    try:
        return importlib.import_module("tomllib")
    except ImportError:
        return importlib.import_module("tomli")


def load(module: str, extra: str = "train") -> ModuleType:
    """The module of this name, such as "PIL.Image".

    Raises EngineError, which names the extra that has it, where it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        whole = module.split(".")[0]
        missing = isinstance(error, ModuleNotFoundError) and error.name == whole
        what = "is not installed" if missing else f"does not load ({error})"
        raise EngineError(f"{whole} is needed, and {what}: pip install 'fcnkit[{extra}]'") from None
