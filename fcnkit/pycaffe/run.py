"""Runs a script in which `import caffe` is fcnkit's pycaffe."""

import runpy
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

_OURS = "fcnkit.pycaffe"
# Modules of pycaffe's whose names are all in the package.
_SAME = ("caffe.pycaffe", "caffe._caffe")


class _Caffe(MetaPathFinder, Loader):
    """Imports caffe and its modules: fcnkit.pycaffe's, under Caffe's names."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if _is_caffe(fullname) and find_spec(_ours(fullname)):
            return ModuleSpec(fullname, self)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        sys.modules[module.__name__] = import_module(_ours(module.__name__))


def _ours(name: str) -> str:
    return _OURS if name in _SAME else f"{_OURS}{name[len('caffe') :]}"


def _is_caffe(name: str) -> bool:
    return name == "caffe" or name.startswith("caffe.")


@contextmanager
def as_caffe() -> Iterator[None]:
    """In the block `import caffe` gives fcnkit's pycaffe, a real one or not."""
    before = _without_caffe()
    ours = _Caffe()
    sys.meta_path.insert(0, ours)
    try:
        yield
    finally:
        sys.meta_path.remove(ours)
        _without_caffe()
        sys.modules.update(before)


def _without_caffe() -> dict[str, ModuleType]:
    """The modules of a caffe, which are imported no more."""
    names = [name for name in sys.modules if _is_caffe(name)]
    return {name: sys.modules.pop(name) for name in names}


def run(script: str, words: Sequence[str] = (), *, module: bool = False) -> None:
    """The script has run as Python runs one, with these words as its arguments.

    With `module` it is the name of a module, as of `python -m`.  What it raises is
    not caught.
    """
    arguments, path = sys.argv, list(sys.path)
    sys.argv = [script, *words]
    sys.path.insert(0, str(Path.cwd() if module else Path(script).resolve().parent))
    try:
        with as_caffe():
            if module:
                runpy.run_module(script, run_name="__main__", alter_sys=True)
            else:
                runpy.run_path(script, run_name="__main__")
    finally:
        sys.argv, sys.path[:] = arguments, path
