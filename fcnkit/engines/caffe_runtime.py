"""Finds the installed Caffe, starts its programs, and says why one ended."""

import importlib.util
import os
import re
import signal
import sys
from pathlib import Path

from fcnkit.engines.debian import obstacle
from fcnkit.errors import EngineError

INSTALL = "fcnkit caffe install"
CAFFE_DEBIAN = (
    "Caffe's binaries are those of Debian 11, for Debian and Ubuntu on x86-64; PyTorch runs and "
    "trains the same nets: `pip install 'fcnkit[torch]'`, --engine torch"
)
"""Why a machine has none, behind what it is; and the way out."""
MARKER, GPU_MARKER = ".fcnkit-caffe-whole", ".fcnkit-caffe-gpu-whole"


def runtime() -> Path:
    """The folder of the runtime, whether or not it is there."""
    return _folder("FCNKIT_CAFFE", "caffe")


def gpu_runtime() -> Path:
    """The folder that `make gpu` of fcnkit's sources builds a `caffe` for GPUs in,
    whether or not it is there.
    """
    return _folder("FCNKIT_CAFFE_GPU", "caffe-gpu")


def _folder(variable: str, name: str) -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get(variable) or f"{cache}/fcnkit/{name}").expanduser()


def available() -> bool:
    """Whether Caffe can be asked at all."""
    return _own() or os.path.exists(runtime() / MARKER)


def for_cpus_alone() -> bool:
    """Whether Caffe's program is Debian's, which knows no GPUs, and there is none that does."""
    own = _own() and not os.path.exists(runtime() / MARKER)
    return not own and not os.path.exists(gpu_runtime() / GPU_MARKER)


def command(tool: str, *, gpu: bool = False) -> list[str]:
    """The words that start one of Caffe's programs:
    "caffe", "upgrade_net_proto_text", "python", ...

    With `gpu` the "caffe" that is built for GPUs, where there is one.

    Raises EngineError when Caffe is not installed, or has no such program.
    """
    if tool == "python" and _own():
        return [sys.executable]
    if gpu and tool == "caffe" and os.path.exists(gpu_runtime() / GPU_MARKER):
        return [str((gpu_runtime() / "bin" / tool).absolute())]
    program = runtime() / "bin" / tool
    if not available():
        raise EngineError(f"Caffe: not found: {runtime()} holds none; {remedy()}")
    if _own() and not os.path.exists(runtime() / MARKER):
        return [tool]
    if not os.path.exists(program):
        raise EngineError(f'Caffe: {runtime()} has no program "{tool}"; see {runtime() / "bin"}')
    return [str(program.absolute())]


def installable() -> bool:
    """Whether `INSTALL` can do its work on this machine."""
    return not obstacle()


def place() -> Path | None:
    """The folder of the Caffe that is used, of pycaffe's own where this Python has it;
    None where there is none.
    """
    if _own():
        return _pycaffe()
    return runtime() if available() else None


def remedy() -> str:
    """What to do where there is no Caffe: how this machine gets one, or what does its work."""
    if not installable():
        return f"{obstacle()}, and {CAFFE_DEBIAN}"
    return f"install it with `{INSTALL}`, or name its folder in FCNKIT_CAFFE"


def _own() -> bool:
    """Whether this Python's own `import caffe` is pycaffe, not a folder of that name."""
    if os.environ.get("FCNKIT_CAFFE"):
        return False
    return _pycaffe() is not None


def _pycaffe() -> Path | None:
    """The folder of this Python's own pycaffe."""
    spec = importlib.util.find_spec("caffe")
    places = map(Path, (spec and spec.submodule_search_locations) or ())
    return next((place for place in places if any(place.glob("_caffe*.so"))), None)


def environment(*, log: bool = False) -> dict[str, str]:
    """The environment that Caffe starts in:
    ours, with its whole log on stderr or no more than its errors.
    """
    whole = {"GLOG_minloglevel": "0", "GLOG_logtostderr": "1", "GLOG_log_prefix": "1"}
    return {
        **os.environ,
        "PYTHONIOENCODING": "utf-8",
        **(whole if log else {"GLOG_minloglevel": "2"}),
    }


# ---- why a program ended


_FATAL = re.compile(
    r"^F\d{4,8} [\d:.]+ +\d+ [^ \]]+\] (.*?)(?=^\*\*\* Check failure|^\w\d{4,8} [\d:.]+ |\Z)",
    re.S | re.M,
)
# What begins a Python layer's module that is not found, and what is to be done.
NO_MODULE = "a Python layer raised ModuleNotFoundError"
FIND_MODULE = (
    "name the folder of the module in FCNKIT_PYTHONPATH; in PYTHONPATH for a Caffe of your own"
)
# The last line of a traceback, when an error of Python's ends Caffe.
_THROWN = re.compile(r"^(\w[\w.]*(?:Error|Exception)\b.*)\n(?=terminate called after)", re.M)
_PARSER = re.compile(r"^\[libprotobuf ERROR [^\]]*\] (.*)$", re.M)


def last_words(log: str, status: int) -> str:
    """Why Caffe ended with this exit status (or, negative, this signal), as its log says."""
    return fatal_words(log) or (
        _ended(-status, log) if status < 0 else tail(log) or "ended without a word"
    )


def fatal_words(log: str) -> str:
    """Caffe's last messages: the fatal one, and the text parser's before it."""
    fatal = [match[1].strip() for match in _FATAL.finditer(log)]
    return "; ".join([*_PARSER.findall(log)[-1:], *fatal[-1:]])


def _ended(number: int, log: str) -> str:
    if not number:
        return tail(log) or "ended without a word"
    name = signal.Signals(number).name
    if thrown := _THROWN.findall(log):
        return f"ended by {name}: a Python layer raised {thrown[-1]}"
    more = "; is there enough memory?" if name == "SIGKILL" else f": {tail(log)}"
    return f"ended by {name}{more}"


def tail(log: str) -> str:
    """The last lines of a log, as one."""
    lines = [line for line in log.splitlines() if line.strip()]
    return " | ".join(lines[-3:])
