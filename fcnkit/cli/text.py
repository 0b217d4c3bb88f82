"""Text for people: the one place that prints it.

A name in a net or a weights file may hold anything: what would move a
terminal's cursor or colour it is written out.
"""

import sys

import click

from fcnkit.errors import visible


def say(text: object, *, err: bool = False, nl: bool = True) -> None:
    """The text is on standard output, or with `err` on standard error."""
    click.echo(shown(str(text)), err=err, nl=nl)


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
