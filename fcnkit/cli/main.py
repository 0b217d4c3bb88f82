"""The fcnkit command: Caffe classifiers become fully convolutional networks."""

import gc
import sys

import click

from fcnkit.cli.arguments import encodable
from fcnkit.cli.fcn import fcn
from fcnkit.cli.lint import lint
from fcnkit.cli.nets import align, convolutionalize, inspect
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
    template:alexnet.  Without -o, nothing is written: the plan is printed.
    Exit status: 0 fine, 1 a check said no, 2 usage or bad input.

    \b
    fcnkit inspect deploy.prototxt
    fcnkit convolutionalize deploy.prototxt -o conv.prototxt
    fcnkit fcn deploy.prototxt --classes 21 --stride 8 -o fcn8s --weights net.caffemodel
    """


for command in (inspect, lint, upgrade, convolutionalize, fcn, align, surgery, verify):
    main.add_command(command)


def run() -> None:
    """The command, in a process of its own.

    Python's search for reference cycles would take a fifth of the time that a
    large net takes, and find next to nothing before the process ends.
    """
    gc.disable()
    main()
