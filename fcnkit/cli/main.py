"""The fcnkit command: Caffe classifiers become fully convolutional networks."""

import gc
import sys

import click

from fcnkit.cli.arguments import encodable
from fcnkit.cli.convert import convert
from fcnkit.cli.dataset import dataset
from fcnkit.cli.diff import diff
from fcnkit.cli.fcn import fcn
from fcnkit.cli.infer import infer
from fcnkit.cli.lint import lint
from fcnkit.cli.nets import align, convolutionalize, draw, inspect
from fcnkit.cli.score import score
from fcnkit.cli.templates import templates
from fcnkit.cli.train import train
from fcnkit.cli.upgrade import upgrade
from fcnkit.cli.weights import surgery, verify
from fcnkit.errors import FcnkitError


class _Commands(click.Group):
    """Turns the user's mistakes into a message and exit status 2, in the order of work."""

    def list_commands(self, ctx):
        return list(self.commands)

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except FcnkitError as error:
            click.echo(encodable(f"fcnkit: {error}"), err=True)
            sys.exit(2)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 88})
@click.version_option(package_name="fcnkit")
def main() -> None:
    """Caffe classifiers become fully convolutional networks.

    NET is a prototxt, "-" for standard input, or a template such as
    template:alexnet (`fcnkit templates` lists them).  Without -o, nothing is written: the plan is printed.
    Exit status: 0 fine, 1 a check said no, 2 usage or bad input.

    \b
    fcnkit inspect deploy.prototxt
    fcnkit convolutionalize deploy.prototxt -o conv.prototxt
    fcnkit fcn deploy.prototxt --classes 21 --stride 8 -o fcn8s --weights net.caffemodel
    """


COMMANDS = (
    inspect,
    draw,
    lint,
    upgrade,
    convolutionalize,
    fcn,
    align,
    surgery,
    diff,
    convert,
    verify,
    dataset,
    train,
    infer,
    score,
    templates,
)

for command in COMMANDS:
    main.add_command(command)


# New objects between two searches for reference cycles; Python's own 700 would cost a large net a fifth of
# its time, and none at all would let the pictures of a long training pile up.
_OBJECTS = 200_000


def run() -> None:
    """The command, in a process of its own."""
    gc.set_threshold(_OBJECTS)
    main()
