"""What `doctor` finds out about this machine: libraries, engines, GPUs, Caffe and folders."""

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from fcnkit.engines.engine import ENGINES
from fcnkit.libraries import LIBRARIES

OK, MISSING, BROKEN = "ok", "missing", "broken"
# No engine needs as long for a net of six numbers, even on a machine that is busy.
_SECONDS = 120


class Part(NamedTuple):
    """A library or an engine: its version, whether it works, and what there is to say of it.

    `install` is the command that installs it, "" where it cannot be had here.
    """

    name: str
    version: str
    state: str
    note: str
    install: str
    devices: tuple[str, ...] = ()


class Place(NamedTuple):
    """A folder that fcnkit keeps things in: the bytes that are in it, and those that are free."""

    what: str
    folder: str
    bytes: int
    free: int


class Machine(NamedTuple):
    """All that was found."""

    fcnkit: str
    python: str
    system: str
    libraries: tuple[Part, ...]
    engines: tuple[Part, ...]
    gpus: tuple[str, ...]
    caffe: dict[str, Any]
    places: tuple[Place, ...]

    @property
    def broken(self) -> list[Part]:
        """What is installed and does not work."""
        return [part for part in (*self.libraries, *self.engines) if part.state == BROKEN]

    def commands(self) -> list[str]:
        """What installs all that is missing: one command for all of Python, one for Caffe."""
        lacking = {part.name for part in self.libraries if part.state == MISSING}
        missing = [library for library in LIBRARIES if library.package in lacking]
        extras = dict.fromkeys(library.extra for library in missing)
        found = [f"pip install 'fcnkit[{','.join(filter(None, extras))}]'"] if extras else []
        return found + [
            part.install
            for part in self.engines
            if part.name == "caffe" and part.state == MISSING and part.install
        ]

    def json(self) -> dict[str, Any]:
        """All of it as plain data."""
        data = self._asdict()
        for name in ("libraries", "engines", "places"):
            data[name] = [each._asdict() for each in data[name]]
        return {**data, "install": self.commands(), "ok": not self.broken}


def examine() -> Machine:
    """What is here; each library and engine is tried in a process of its own."""
    import fcnkit

    with ThreadPoolExecutor(2) as pool:  # each waits for a process
        libraries = pool.submit(_libraries)
        engines = list(pool.map(_engine, (engine.name for engine in ENGINES)))
    where = f"Python {platform.python_version()} ({sys.executable})"
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return Machine(
        fcnkit.__version__,
        where,
        system,
        tuple(libraries.result()),
        tuple(engines),
        _gpus(engines),
        _caffe(),
        tuple(_places()),
    )


# ---- what processes of their own say


def _libraries() -> list[Part]:
    found: dict[str, dict] = {}
    left = [library.package for library in LIBRARIES]
    while left:  # once more for those after one that ends the process
        tried = list(_tried("libraries", *left)) or [{"name": left[0]}]
        found |= {each["name"]: each for each in tried}
        left = [name for name in left if name not in found]
    return [
        _part(library.package, found[library.package], library.use, _install(library))
        for library in LIBRARIES
    ]


def _install(library) -> str:
    return f"pip install 'fcnkit{f'[{library.extra}]' if library.extra else ''}'"


def _engine(name: str) -> Part:
    engine = next(each for each in ENGINES if each.name == name)
    found = list(_tried(name)) or [{}]
    install = engine.install if engine.installable() else ""
    return _part(name, found[-1], "", install)


def _part(name: str, found: Mapping[str, Any], use: str, install: str) -> Part:
    fault = found.get("fault", "ended without a word")
    state = MISSING if fault is None else BROKEN if fault else OK
    devices = tuple(found.get("devices", ()))
    return Part(name, found.get("version", ""), state, fault or use, install, devices)


def _tried(*what: str) -> Iterator[dict]:
    """What the process says; where it ends before its end, what it was at is at fault."""
    words = [sys.executable, "-m", "fcnkit.cli.examined", *what]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
        )
        said, ended = done.stdout, _ended(done.returncode, done.stderr)
    except subprocess.TimeoutExpired as error:
        said, ended = _text(error.stdout), f"has not ended after {_SECONDS} seconds"
    last = {"name": what[-1] if len(what) == 1 else what[1]}
    for line in said.splitlines():
        if line.startswith("{"):  # a library may print what it likes
            last = json.loads(line)
            if "fault" in last:
                yield last
    if ended:
        yield {"name": last["name"], "version": "", "fault": ended}


def _text(said: bytes | str | None) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said or ""


def _ended(status: int, said: str) -> str:
    if not status:
        return ""
    if status < 0:
        return f"ends Python by {signal.Signals(-status).name}"
    lines = said.strip().splitlines() or [f"ends Python with status {status}"]
    return lines[-1][:200]


# ---- what is asked here


def _gpus(engines: list[Part]) -> tuple[str, ...]:
    """The GPUs by nvidia-smi, with their memory and driver; or else those that PyTorch names."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
        found = [line.strip() for line in done.stdout.splitlines() if line.strip()]
        if found and not done.returncode:
            return tuple(found)
    except (OSError, subprocess.TimeoutExpired):
        pass
    return tuple(device for part in engines for device in part.devices)


def _caffe() -> dict[str, Any]:
    """Where Caffe is, None where it is not, and where the one for GPUs is."""
    from fcnkit.engines import caffe_runtime

    place, gpu = caffe_runtime.place(), caffe_runtime.gpu_runtime()
    built = os.path.exists(gpu / caffe_runtime.GPU_MARKER)
    return {"folder": place and str(place), "gpu_folder": str(gpu) if built else None}


def _places() -> Iterator[Place]:
    from fcnkit.engines.caffe_runtime import gpu_runtime, runtime
    from fcnkit.models.cache import folder

    places = (("Caffe", runtime()), ("Caffe for GPUs", gpu_runtime()), ("models", folder()))
    for what, place in places:
        yield Place(what, str(place), _size(place), _free(place))


def _size(folder: Path) -> int:
    """The bytes of the files in a folder and below it."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(where, name)).st_size
            except OSError:  # gone meanwhile
                continue
    return total


def _free(folder: Path) -> int:
    """The bytes that are free where the folder is, or would be."""
    there = next((each for each in (folder, *folder.parents) if os.path.exists(each)), Path("/"))
    return shutil.disk_usage(there).free
