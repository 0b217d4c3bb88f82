"""Runs work on all cores and gives the results in order, with few of them waiting at a time."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

from fcnkit.errors import EngineError

Item = TypeVar("Item")
Result = TypeVar("Result")

# So many tasks a process wait for it: enough to keep it busy, few enough for memory.
_AHEAD = 4
# For fewer tasks than this, starting processes takes longer than the work.
_FEW = 24


def in_order(
    function: Callable[[Item], Result], items: Sequence[Item], jobs: int
) -> Generator[Result, None, None]:
    """function(item) of every item, in order, by `jobs` processes;
    with 1, or for a few items, in this one.

    Raises EngineError where a process ends before its work does.
    """
    if jobs <= 1 or len(items) < _FEW:
        yield from map(function, items)
        return
    # Spawned, not forked: a fork would take the locks on our files along.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, context, initializer=_begin)
    try:
        yield from _windowed(lambda item: pool.submit(function, item), items, jobs * _AHEAD)
    except BrokenProcessPool:
        raise EngineError(
            "a process that reads images was ended early; if memory is short, use fewer with --jobs"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _windowed(
    submit: Callable[[Item], "Future[Result]"], items: Sequence[Item], ahead: int
) -> Iterator[Result]:
    rest = iter(items)
    waiting = deque(submit(item) for item in islice(rest, ahead))
    while waiting:
        yield waiting.popleft().result()
        waiting.extend(submit(item) for item in islice(rest, 1))


def _begin() -> None:
    """A worker leaves Ctrl-C to its parent, and ends when that is gone, even if it was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
