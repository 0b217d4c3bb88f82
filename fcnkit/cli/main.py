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
        return with_completion(with_settings(without_empty(command)))

    def __iter__(self):
        return iter(COMMANDS)

    def __len__(self):
        return len(COMMANDS)


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
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 88},
)
@click.version_option(package_name="fcnkit")
def main() -> None:
    """Caffe classifiers become fully convolutional networks.

    NET is a prototxt, "-" for standard input, or a template such as
    template:alexnet (`fcnkit templates` lists them).  Without -o, nothing is written: the plan is
    printed. Exit status: 0 fine, 1 a check said no, 2 usage or bad input.

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
            main()
    except OutputError as error:
        say(f"fcnkit: {error}", err=True)
        sys.exit(2)
    finally:
        # Python's last search for cycles would go through all that ends with the process.
        gc.freeze()
