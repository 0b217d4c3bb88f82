"""The fcnkit command: Caffe classifiers become fully convolutional networks."""

import gc
import sys
from collections.abc import Mapping
from importlib import import_module
from keyword import iskeyword

import click

from fcnkit.cli import streams, tab
from fcnkit.cli.empty import without_empty
from fcnkit.cli.settings import with_settings
from fcnkit.cli.tab import with_completion
from fcnkit.cli.text import say
from fcnkit.errors import FcnkitError, OutputError

# Every command and the file of fcnkit/cli that has it, in the order of work.
COMMANDS = {
    "inspect": "nets",
    "draw": "nets",
    "lint": "lint",
    "upgrade": "upgrade",
    "convolutionalize": "nets",
    "fcn": "fcn",
    "align": "nets",
    "deploy": "deploy",
    "surgery": "weights",
    "diff": "diff",
    "convert": "convert",
    "import": "importing",
    "export": "export",
    "verify": "verify",
    "dataset": "dataset",
    "train": "train",
    "infer": "infer",
    "score": "score",
    "report": "report",
    "run": "run",
    "templates": "templates",
    "models": "models",
    "caffe": "caffe",
    "doctor": "doctor",
    "completion": "completion",
}


class _Commands(Mapping):
    """The commands, each imported when it is asked for:
    one that runs does not wait for the others.
    """

    def __getitem__(self, name):
        # A word of Python's own is a function's name with a "_" behind it.
        function = f"{name}_" if iskeyword(name) else name
        command = getattr(import_module(f"fcnkit.cli.{COMMANDS[name]}"), function)
        return with_columns(with_completion(with_settings(without_empty(command))))

    def __iter__(self):
        return iter(COMMANDS)

    def __len__(self):
        return len(COMMANDS)


def with_columns(command: click.Command) -> click.Command:
    """The help of the command, and of all below it, says what the columns of its tables are."""
    for below in getattr(command, "commands", {}).values():
        with_columns(below)
    written = command.format_epilog

    def format_epilog(ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from fcnkit.cli.columns import sections

        sections(ctx, formatter)
        written(ctx, formatter)

    if not hasattr(written, "__wrapped__"):
        format_epilog.__wrapped__ = written  # type: ignore[attr-defined]
        command.format_epilog = format_epilog  # type: ignore[method-assign]
    return command


class _Group(click.Group):
    """Turns the user's mistakes into a message and exit status 2, in the order of work."""

    def list_commands(self, ctx):
        return list(self.commands)

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except FcnkitError as error:
            say(f"fcnkit: {error}", err=True)
            sys.exit(2)
        except KeyboardInterrupt:  # as a shell says it of what Ctrl-C has ended
            sys.exit(130)


@click.group(
    cls=_Group,
    commands=_Commands(),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="fcnkit")
def main() -> None:
    """Caffe classifiers become fully convolutional networks.

    NET is a prototxt, "-" for standard input, or a template such as
    template:alexnet (`fcnkit templates` lists them). Without an output option such as -o, a
    rewrite prints its plan and writes nothing. Exit status: 0 fine, 1 a check said no, 2 usage or
    bad input.

    `fcnkit COMMAND --help` explains a command and the columns of its tables. `fcnkit doctor` shows
    what works on this machine, and `fcnkit completion --help` how Tab completes commands,
    templates, models, layers and blobs.

    \b
    fcnkit inspect deploy.prototxt
    fcnkit convolutionalize deploy.prototxt -o conv.prototxt
    fcnkit fcn deploy.prototxt --classes 21 --stride 8 -o fcn8s \\
        --weights net.caffemodel
    """


# New objects between two searches for reference cycles; Python's own 700 would cost a large net a
# fifth of its time, and none at all would let the pictures of a long training pile up.
_OBJECTS = 200_000


def run() -> None:
    """The command, in a process of its own."""
    gc.set_threshold(_OBJECTS)
    streams.prepare()
    tab.prepare()
    try:
        with streams.written():
            main(prog_name="fcnkit")
    except OutputError as error:
        say(f"fcnkit: {error}", err=True)
        sys.exit(2)
    finally:
        # Python's last search for cycles would go through all that ends with the process.
        gc.freeze()
