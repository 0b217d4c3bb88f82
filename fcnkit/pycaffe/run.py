"""Runs a script in which `import caffe` is fcnkit's pycaffe."""

import builtins
import os
import runpy
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from fcnkit import files
from fcnkit.errors import OutputError
from fcnkit.pycaffe.old_pillow import old_pillow
from fcnkit.pycaffe.python2.reading import Reader, importing
from fcnkit.pycaffe.python2.unittests import old_assertions

_OURS = "fcnkit.pycaffe"
# Modules of pycaffe's whose names are all in the package.
_SAME = ("caffe.pycaffe", "caffe._caffe")


class _Caffe(MetaPathFinder, Loader):
    """Imports caffe and its modules: fcnkit.pycaffe's, under Caffe's names.

    A module that pycaffe does not have is a fork's, such as SSD's model_libs: from a folder
    caffe of the path, as its scripts expect.
    """

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if not _is_caffe(fullname):
            return None
        if find_spec(_ours(fullname)):
            return ModuleSpec(fullname, self)
        folders = [str(Path(each, "caffe")) for each in sys.path]
        later = sys.meta_path[sys.meta_path.index(self) + 1 :]
        found = (each.find_spec(fullname, folders, target) for each in later)
        return next(filter(None, found), None)

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


def install() -> None:
    """Makes `import caffe` give fcnkit's pycaffe, in this process. For notebooks."""
    _without_caffe()
    if not any(isinstance(each, _Caffe) for each in sys.meta_path):
        sys.meta_path.insert(0, _Caffe())


def _without_caffe() -> dict[str, ModuleType]:
    """The modules of a caffe, which are imported no more."""
    names = [name for name in sys.modules if _is_caffe(name)]
    return {name: sys.modules.pop(name) for name in names}


def run(
    script: str,
    words: Sequence[str] = (),
    *,
    module: bool = False,
    tell: Callable[[str], object] = lambda line: None,
    keep: str | None = None,
    old: bool = False,
) -> None:
    """The script has run as Python runs one, with these words as its arguments.

    With `module` it is the name of a module, as of `python -m`.  A script of Python 2, and
    modules of its own, run converted; `tell` hears so in a line, and `keep` is the file to be
    that has the converted script.  One that shows nothing of its age is today's, or with `old`
    Python 2's.  What the script raises is not caught.

    Raises OutputError where the file to be kept is there already.
    """
    arguments, path = sys.argv, list(sys.path)
    sys.argv = [script, *words]
    sys.path.insert(0, str(Path.cwd() if module else Path(script).resolve().parent))
    try:
        reader = Reader(None if module else script, tell, old=old)
        with as_caffe(), importing(reader), old_assertions(), old_pillow():
            if module:
                runpy.run_module(script, run_name="__main__", alter_sys=True)
            else:
                _keep(reader, script, keep, tell)
                _run(reader, script)
    finally:
        sys.argv, sys.path[:] = arguments, path


def _keep(reader: Reader, script: str, keep: str | None, tell: Callable[[str], object]) -> None:
    text = reader.kept(script) if keep else None
    if keep and text is None:
        tell(f"{script} runs unchanged, so {keep} is not written")
    elif keep and text:
        if os.path.exists(keep):
            raise OutputError(f"{keep}: exists already; give another name, or remove it")
        files.write(keep, text)


def _run(reader: Reader, script: str) -> None:
    code = reader.code(script)
    if code is None:
        runpy.run_path(script, run_name="__main__")
        return
    main, before = ModuleType("__main__"), sys.modules["__main__"]
    main.__file__, main.__builtins__ = script, builtins  # type: ignore[attr-defined]
    sys.modules["__main__"] = main
    try:
        exec(code, main.__dict__)
    finally:
        sys.modules["__main__"] = before
