"""The commands `caffe install`, `where` and `remove`: real Caffe for fcnkit."""

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import click

from fcnkit.cli.progress import Bar, Lines, progress
from fcnkit.cli.text import say

_STOPPED = 130
_HERE = click.argument("folder", metavar="[DIR]", required=False)


@click.group(short_help="Install real Caffe, find it, remove it.")
def caffe() -> None:
    """Install real Caffe for fcnkit, say where it is, or remove it.

    It is BVLC Caffe 1.0 for the CPU with pycaffe, from Debian 11's packages, in a
    folder of its own: no root is needed, and the system's packages stay as they are.
    DIR is $FCNKIT_CAFFE by default, or fcnkit/caffe in $XDG_CACHE_HOME or ~/.cache.
    To use a Caffe in another DIR, set FCNKIT_CAFFE to that DIR.  A Python that has a
    pycaffe of its own needs none of this.

    \b
    fcnkit caffe install
    fcnkit caffe where
    fcnkit caffe remove
    """


@caffe.command(short_help="Install Caffe; takes half a minute.")
@_HERE
def install(folder) -> None:
    """Install Caffe in DIR: downloads 160 MB, and takes 650 MB of disk.

    It works on Debian and Ubuntu on x86-64, with apt. DIR holds the whole Caffe at the end, or
    stays as it was. If apt's own mirrors have no Debian 11, set FCNKIT_DEBIAN_MIRROR to one that
    has it. If DIR already holds Caffe, nothing is done. Exit status: 0 installed, 2 not installed,
    130 stopped.

    \b
    fcnkit caffe install
    fcnkit caffe install ~/caffe
    """
    from fcnkit.engines.caffe_install import install, whole
    from fcnkit.engines.caffe_runtime import runtime

    place = Path(folder).expanduser() if folder else runtime()
    if whole(place):
        say(f"Caffe is in {place}")
        return
    with _stoppable(), ExitStack() as displays, closing(install(place)) as stages:
        shown, display = "", None
        for stage in stages:
            if stage.words != shown:
                displays.close()
                shown, display = stage.words, _display(displays, stage.words, stage.total)
            if display:
                display.at(stage.done)
    say(f"Caffe is in {place}")
    if place != runtime():
        say(f"to let fcnkit use it: export FCNKIT_CAFFE={place}", err=True)


def _display(displays: ExitStack, words: str, total: int) -> Bar | Lines | None:
    """A line for what cannot be counted, and where nobody watches; else a bar."""
    if not total or not sys.stderr.isatty():
        say(words, err=True)
        return None
    display = progress(words, total)
    displays.enter_context(display)
    return display


@contextmanager
def _stoppable() -> Iterator[None]:
    """What asks the process to end makes it clear away first what was begun."""

    def stop(number: int, frame: object) -> None:
        sys.exit(_STOPPED)

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    old = {getattr(signal, name): signal.signal(getattr(signal, name), stop) for name in names}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


@caffe.command(short_help="Print the folder that Caffe is in.")
def where() -> None:
    """Print the folder of the Caffe that fcnkit uses.

    Exit status: 0 there is one, 1 there is none.

    \b
    fcnkit caffe where
    """
    from fcnkit.engines.caffe_runtime import place, remedy, runtime

    found = place()
    if found:
        say(found)
        return
    say(f"fcnkit: {runtime()} holds no Caffe; {remedy()}", err=True)
    sys.exit(1)


@caffe.command(short_help="Remove the Caffe that was installed.")
@_HERE
def remove(folder) -> None:
    """Remove the Caffe that `fcnkit caffe install` has put in DIR, and nothing else.

    A folder that holds anything else is refused.

    \b
    fcnkit caffe remove
    """
    from fcnkit.engines.caffe_install import remove
    from fcnkit.engines.caffe_runtime import runtime

    place = Path(folder).expanduser() if folder else runtime()
    gone = remove(place)
    say(f"removed {place}" if gone else f"there is no Caffe in {place}")
