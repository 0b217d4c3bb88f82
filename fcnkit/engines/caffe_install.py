"""Installs BVLC Caffe 1.0 (CPU, with pycaffe) from Debian 11 into a folder of its own.

The folder holds the packages' files and, in `bin`, a script for each program: a program starts
through the folder's own loader, so that its C library and the system's never mix.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from fcnkit.engines import debian
from fcnkit.engines.caffe_runtime import CAFFE_DEBIAN, MARKER, environment, tail
from fcnkit.errors import EngineError, OutputError
from fcnkit.plural import number_of

PACKAGES = ("python3-caffe", "caffe", "libopenblas0-pthread")
TOOLS = (
    "caffe",
    "upgrade_net_proto_text",
    "upgrade_net_proto_binary",
    "upgrade_solver_proto_text",
    "compute_image_mean",
    "convert_imageset",
    "extract_features",
)
_PYTHON = "python3.9"
# What unpacked packages, their archives and apt's lists take together while it is installed.
NEEDED = 1_000_000_000
_WRAPPER = """#!/bin/sh
self=$(readlink -f -- "$0") || exit 127
root=${self%/bin/*}
for loader in "$root"/lib/*/ld-2.31.so; do :; done
triplet=${loader%/*}; triplet=${triplet##*/}
lib=$root/usr/lib
unset LD_LIBRARY_PATH LD_PRELOAD PYTHONSTARTUP
PYTHONHOME=$root/usr PYTHONNOUSERSITE=1 MATPLOTLIBRC=$root/etc/matplotlibrc
PYTHONPATH=$lib/python3/dist-packages${FCNKIT_PYTHONPATH:+:$FCNKIT_PYTHONPATH}
export PYTHONHOME PYTHONPATH PYTHONNOUSERSITE MATPLOTLIBRC
own=$lib:$lib/$triplet/openblas-pthread:$lib/$triplet:$root/lib/$triplet
exec "$loader" --library-path "$own" "$root/usr/bin/PROGRAM" "$@"
"""


class Stage(NamedTuple):
    """What the installation is at: so much is done of `total`, which is 0 where nothing counts."""

    words: str
    done: int = 0
    total: int = 0


def whole(folder: Path) -> bool:
    """Whether the folder holds a whole Caffe."""
    return os.path.exists(folder / MARKER)


def install(folder: Path) -> Generator[Stage, None, None]:
    """The folder holds Caffe when the last stage has come; else it is as it was before.

    About 160 MB are fetched, and 650 MB are there afterwards.  Nothing happens where it is
    already whole.

    Raises EngineError where the machine cannot have Debian's Caffe, the packages cannot be
    fetched or Caffe does not start; OutputError where the folder cannot be made.
    """
    if whole(folder):
        return
    _check(folder)
    with _beside(folder) as work:
        apt = debian.Apt(work / "apt")
        for mirror in apt.find_suite("caffe"):
            yield Stage(f"asking {mirror} for Debian 11 ({debian.SUITE})")
        for percent in apt.fetch(PACKAGES):
            yield Stage("fetching Caffe 1.0 and what it needs (160 MB)", int(percent), 100)
        yield from _unpacked(apt, work / "root")
        _write_wrappers(work / "root")
        _mend(work / "root")
        yield Stage("starting it")
        _try(work / "root")
        (work / "root" / MARKER).write_text("Caffe 1.0 from Debian 11\n", encoding="utf-8")
        os.chmod(work / "root", 0o755)
        _move(work / "root", folder)


def remove(folder: Path) -> bool:
    """The Caffe in this folder is gone, the folder too; False where there was none.

    Raises OutputError for a folder that holds anything else, or that cannot be removed.
    """
    if not os.path.lexists(folder):
        return False
    if not whole(folder):
        fact = "holds no Caffe that fcnkit has installed"
        raise OutputError(f"{folder}: {fact}; name the folder of `fcnkit caffe install`")
    # First it is no longer whole: what an interruption leaves is not taken for a Caffe.
    try:
        os.unlink(folder / MARKER)
        shutil.rmtree(os.path.realpath(folder))
        if os.path.islink(folder):
            os.unlink(folder)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be removed: {error.strerror}; remove it by hand"
        ) from None
    return True


# ---- the stages


def _check(folder: Path) -> None:
    """Raises where this cannot end well."""
    obstacle = debian.obstacle()
    if obstacle:
        raise EngineError(f"Caffe: {obstacle}, and {CAFFE_DEBIAN}")
    if os.path.lexists(folder) and (not os.path.isdir(folder) or any(folder.iterdir())):
        fact = "exists but does not hold a complete Caffe"
        raise OutputError(f"{folder}: {fact}; remove it, or name another folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder.parent).free
    except OSError as error:
        fact = f"cannot be made: {error.strerror}"
        raise OutputError(f"{folder.parent}: {fact}; name another folder") from None
    if free < NEEDED:
        fact = f"has {free / 1e6:,.0f} MB of room, and this takes {NEEDED / 1e6:,.0f} MB"
        raise OutputError(f"{folder.parent}: {fact}; make room, or name another folder")


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A folder beside this one for what is being done, gone afterwards."""
    try:
        work = Path(tempfile.mkdtemp(prefix=".caffe.", dir=folder.parent))
    except OSError as error:
        fact = f"cannot be written: {error.strerror}"
        raise OutputError(f"{folder.parent}: {fact}; name another folder") from None
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _unpacked(apt: debian.Apt, root: Path) -> Iterator[Stage]:
    archives = sorted(apt.archives.glob("*.deb"))
    for number, archive in enumerate(archives):
        yield Stage(
            f"unpacking {number_of(len(archives), 'package')} (650 MB)", number, len(archives)
        )
        done = subprocess.run(
            ["dpkg", "-x", str(archive), str(root)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise EngineError(f"Caffe: {archive.name} cannot be unpacked: {tail(done.stderr)}")
        archive.unlink()
    yield Stage(
        f"unpacking {number_of(len(archives), 'package')} (650 MB)", len(archives), len(archives)
    )


def _write_wrappers(root: Path) -> None:
    (root / "bin").mkdir(parents=True, exist_ok=True)
    for name, program in (*((tool, tool) for tool in TOOLS), ("python", _PYTHON)):
        script = root / "bin" / name
        script.write_text(_WRAPPER.replace("PROGRAM", program), encoding="utf-8")
        os.chmod(script, 0o755)


def _mend(root: Path) -> None:
    """Debian's matplotlib, which pycaffe imports, finds its data in the folder, not in /usr/share:
    there those of the system's matplotlib may be, which it cannot read, or none.
    """
    data, package = root / "usr/share/matplotlib/mpl-data", root / "usr/lib/python3/dist-packages"
    if os.path.exists(data) and os.path.exists(package / "matplotlib"):
        link = package / "matplotlib" / "mpl-data"
        link.symlink_to(os.path.relpath(data, link.parent))


def _try(root: Path) -> None:
    """Caffe and pycaffe start; compiled Python modules stay behind and make later starts quicker.

    Raises EngineError with their last words where they do not.
    """
    modules = "import caffe, caffe.io, google.protobuf.text_format"
    for words in (["caffe", "--version"], ["python", "-c", modules]):
        program = str(root.absolute() / "bin" / words[0])
        done = subprocess.run(
            [program, *words[1:]],
            env=environment(),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            raise EngineError(f"Caffe: it does not start: {tail(done.stderr + done.stdout)}")


def _move(root: Path, folder: Path) -> None:
    """It is in its place at once; another that came there meanwhile is as good."""
    try:
        os.replace(root, os.path.realpath(folder))
    except OSError as error:
        if not whole(folder):
            fact = f"cannot be written: {error.strerror}"
            raise OutputError(f"{folder}: {fact}; name another folder") from None
