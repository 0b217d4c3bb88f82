"""Starts one command in several processes that find each other, as torchrun does on one machine.

torchrun itself can start the program too, and over several machines.  Its
library, torch.distributed.launcher, is not used here: it kills its processes
30 seconds after SIGINT, or at a second SIGINT, although a snapshot may take
longer; when it is killed itself, it leaves them running; after SIGINT its exit
status is 1; and it takes two seconds to start.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from typing import NamedTuple

from fcnkit.training.caffe import bound


class Place(NamedTuple):
    """Which one of all processes this is, and of those on this machine."""

    rank: int = 0
    ranks: int = 1
    local: int = 0
    here: int = 1


def place() -> Place | None:
    """Where this process stands, as `run_in_processes` and torchrun say it;
    None where it is the only one.
    """
    if "RANK" not in os.environ:
        return None
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    return Place(*(int(os.environ[name]) for name in names))


def run_in_processes(command: Sequence[str], count: int) -> int:
    """The command has ended in `count` processes;
    the exit status is that of the first that failed, or 0.

    SIGINT goes to all of them; where one fails, the others are ended, and on
    Linux all are when this process is.
    """
    processes: list[subprocess.Popen] = []
    stops: list[int] = []

    def stop(number: int, frame: object) -> None:
        stops.append(number)
        for process in processes:
            process.send_signal(signal.SIGINT)

    signal.signal(signal.SIGINT, stop)
    for environment in _environments(count):
        processes.append(subprocess.Popen([*command], env=environment, preexec_fn=bound()))
        if stops:  # while this one was being started
            processes[-1].send_signal(signal.SIGINT)
    try:
        return _status(processes)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _environments(count: int) -> list[dict[str, str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    same = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    same |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    return [{**os.environ, **same, "RANK": str(n), "LOCAL_RANK": str(n)} for n in range(count)]


def _status(processes: Sequence[subprocess.Popen]) -> int:
    """The first exit status that is not 0, as soon as there is one; 0 when all have ended."""
    while True:
        found = [process.poll() for process in processes]
        failed = [status for status in found if status]
        if failed or None not in found:
            return failed[0] if failed else 0
        time.sleep(0.05)
