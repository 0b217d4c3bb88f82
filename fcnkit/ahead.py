"""Work that is done in a thread before it is asked for."""

import queue
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TypeVar

Each = TypeVar("Each")


@contextmanager
def ahead(items: Iterator[Each], count: int) -> Iterator[Iterator[Each]]:
    """The items, up to `count` of them made before they are asked for,
    in a thread that ends with the block.

    What goes wrong in it is raised where the item would have been.
    """
    ready: queue.Queue = queue.Queue(count)
    stop = threading.Event()
    thread = threading.Thread(target=_work, args=(items, ready, stop), daemon=True)
    thread.start()
    try:
        yield _taken(ready)
    finally:
        stop.set()
        thread.join()


def _work(items: Iterator, ready: queue.Queue, stop: threading.Event) -> None:
    try:
        for item in items:
            if not _put(ready, (item, None), stop):
                break
        else:
            _put(ready, (None, StopIteration()), stop)
    except BaseException as error:
        _put(ready, (None, error), stop)
    finally:
        if isinstance(items, Generator):
            items.close()


def _put(ready: queue.Queue, item: tuple, stop: threading.Event) -> bool:
    """The item is in the queue, or the reading has been ended."""
    while not stop.is_set():
        try:
            ready.put(item, timeout=0.1)
            return True
        except queue.Full:
            continue
    return False


def _taken(ready: queue.Queue) -> Iterator:
    while True:
        item, error = ready.get()
        if isinstance(error, StopIteration):
            return
        if error is not None:
            raise error
        yield item
