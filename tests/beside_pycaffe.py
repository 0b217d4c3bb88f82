"""Runs one script in real pycaffe and in fcnkit's, and compares the arrays that it saves.

A script has `caffe` and numpy as np, fills the dict `out` with arrays and strings, and is
started in a folder of its own.
"""

import contextlib
import os
import subprocess
from pathlib import Path

import numpy as np

from fcnkit.engines import caffe_runtime
from fcnkit.pycaffe.run import run

_HEAD = "import sys\nimport caffe\nimport numpy as np\nout = {}\n"
_TAIL = "\nnp.savez(sys.argv[1], **{key: np.asarray(value) for key, value in out.items()})\n"

Arrays = dict[str, np.ndarray]


def in_both(script: str, folder: Path) -> tuple[Arrays, Arrays]:
    """What the script saves in real pycaffe, and in fcnkit's."""
    return _in_real(script, folder / "real"), in_ours(script, folder / "ours")


def _in_real(script: str, folder: Path) -> Arrays:
    _write(script, folder)
    done = subprocess.run(
        [*caffe_runtime.command("python"), "script.py", "out.npz"],
        env={**caffe_runtime.environment(), "GLOG_minloglevel": "2"},
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return _saved(folder)


def in_ours(script: str, folder: Path) -> Arrays:
    """What the script saves in fcnkit's pycaffe."""
    _write(script, folder)
    with _at(folder):
        run("script.py", ["out.npz"])
    return _saved(folder)


@contextlib.contextmanager
def _at(folder: Path):
    """The working folder, in the block."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _write(script: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "script.py").write_text(_HEAD + script + _TAIL)


def _saved(folder: Path) -> Arrays:
    with np.load(folder / "out.npz") as found:
        return dict(found)


def check_equal(script: str, folder: Path, *, tolerance: float = 2e-5) -> None:
    """Both save the same, numbers to the tolerance of the largest."""
    real, ours = in_both(script, folder)
    assert set(ours) == set(real)
    for key, expected in real.items():
        found = ours[key]
        assert found.shape == expected.shape, key
        if expected.dtype.kind in "US":
            assert found.tolist() == expected.tolist(), key
        else:
            largest = max(np.abs(expected).max(initial=0), 1e-6)
            assert np.abs(found - expected).max(initial=0) <= tolerance * largest, key
