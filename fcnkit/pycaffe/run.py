"""Runs a script in which `import caffe` is fcnkit's pycaffe."""

import runpy
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

_OURS = "fcnkit.pycaffe"
# What scripts import of caffe, the package itself among it.
_MODULES = ("", ".net_spec", ".coord_map", ".proto", ".proto.caffe_pb2")


@contextmanager
def as_caffe() -> Iterator[None]:
    """In the block `import caffe` gives fcnkit's pycaffe, a real one or not."""
    ours = {f"caffe{name}": import_module(f"{_OURS}{name}") for name in _MODULES}
    before = {name: module for name, module in sys.modules.items() if _is_caffe(name)}
    for name in before:
        del sys.modules[name]
    sys.modules.update(ours)
    try:
        yield
    finally:
        for name in [name for name in sys.modules if _is_caffe(name)]:
            del sys.modules[name]
        sys.modules.update(before)


def _is_caffe(name: str) -> bool:
    return name == "caffe" or name.startswith("caffe.")


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
