"""Runs a training program, Caffe's or PyTorch's, in a process that ends when ours does."""

import ctypes
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fcnkit.engines.caffe_runtime import environment
from fcnkit.system import read_at

# Ctrl-C, a batch system that wants its machine back, a terminal that is gone.
_STOPS = ("SIGINT", "SIGTERM", "SIGHUP")
_PR_SET_PDEATHSIG = 1
# How often the log is looked at, in seconds, and how much of it is read at a time.
_LOOK_EVERY, _READ = 0.05, 1 << 16


@contextmanager
def running(command: Sequence[str], *, cwd: Path, log: int) -> Iterator["subprocess.Popen[bytes]"]:
    """The command is running; `log`, an open file, gets all that it says.

    It writes there itself: what it has said is there however we end, and it waits for
    no reader.  It is in a session of its own, so that a terminal's Ctrl-C reaches only
    this process.  On Linux it is killed when this process is.  When the block is left
    before it ends, it is asked to stop, which makes it save a snapshot, and waited for.
    """
    process = subprocess.Popen(
        [*command],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env=environment(log=True),
        start_new_session=True,
        preexec_fn=bound(),
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait()


def said(process: "subprocess.Popen[bytes]", log: int, start: int) -> Iterator[str]:
    """The lines of the log from this byte on, each soon after it is whole, until the process ends.

    The file may be renamed or deleted meanwhile.
    """
    rest = b""
    while True:
        ended = process.poll() is not None  # whatever it wrote is there then
        while data := read_at(log, _READ, start):
            start += len(data)
            *lines, rest = (rest + data).split(b"\n")
            yield from (line.decode("utf-8", "replace") + "\n" for line in lines)
        if ended:
            break
        time.sleep(_LOOK_EVERY)
    if rest:
        yield rest.decode("utf-8", "replace")


def bound() -> Callable[[], None] | None:
    """What makes a new process end with ours, even a killed one;
    None where the system has no such thing.
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@contextmanager
def stoppable(process: subprocess.Popen, on_signal: Callable[[int], None]) -> Iterator[list[int]]:
    """Signals that ask us to stop go to the process instead; the list holds those that came.

    The first makes it save a snapshot and stop, a second ends it at once;
    `on_signal` is called with how many there have been.  A signal that is ignored, as
    SIGHUP is under nohup, stays so.  Outside the main thread nothing changes,
    for Python hears signals there alone.
    """
    caught: list[int] = []

    def stop(number: int, frame: object) -> None:
        caught.append(number)
        process.send_signal(signal.SIGINT if len(caught) == 1 else signal.SIGKILL)
        on_signal(len(caught))

    main = threading.current_thread() is threading.main_thread()
    numbers = [getattr(signal, name) for name in _STOPS if main and hasattr(signal, name)]
    old = {number: signal.getsignal(number) for number in numbers}
    ours = [
        number for number, was in old.items() if was != signal.SIG_IGN or number == signal.SIGINT
    ]
    for number in ours:
        signal.signal(number, stop)
    try:
        yield caught
    finally:
        for number in ours:
            signal.signal(number, old[number] or signal.SIG_DFL)
