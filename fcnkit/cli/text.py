"""Text for people: the one place that prints it.

A name in a net or a weights file may hold anything: what would move a
terminal's cursor or colour it is written out.
"""

import shutil
import sys

import click

from fcnkit.errors import visible
from fcnkit.tables import fold


def say(text: object, *, err: bool = False, nl: bool = True, width: int = 0) -> None:
    """The text is on standard output, or with `err` on standard error.

    Its lines are folded to `width`, where that is given. A message on standard error is folded to
    the terminal that shows it, and stays one line in a log.
    """
    words = shown(str(text))
    columns = width or (terminal_width() if err and sys.stderr.isatty() else 0)
    click.echo(fold(words, columns) if columns else words, err=err, nl=nl)


def terminal_width() -> int:
    """The columns of the terminal, 80 where they are not known."""
    return shutil.get_terminal_size().columns


def table_width() -> int:
    """The columns of the terminal; as many as a table likes where there is none."""
    return terminal_width() if sys.stdout.isatty() else 10_000


def say_diff(text: str) -> None:
    """A diff is on standard output, byte for byte unless that is a terminal."""
    if sys.stdout.isatty():
        say(text, nl=False)
    else:
        write_out(text.encode("utf-8", "surrogateescape"))


def write_out(data: bytes) -> None:
    """These bytes are on standard output."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def shown(text: str) -> str:
    """The text without control characters, and with bytes that were not UTF-8 as question marks."""
    return visible(text.encode("utf-8", "replace").decode("utf-8"))
