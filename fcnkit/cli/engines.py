"""The options --engine and --device of the commands that run nets."""

from collections.abc import Callable

import click

from fcnkit.engines.engine import names, with_devices
from fcnkit.engines.fastest import AUTO


def engine_options(function: Callable) -> Callable:
    """--engine and --device: what runs the net, and on what."""
    engines = click.Choice([AUTO, *names()])
    devices = (
        f"For {' or '.join(with_devices())}: cpu, cuda, cuda:1; by default a GPU if there is one."
    )
    for option in (
        click.option("--device", metavar="DEVICE", help=devices),
        click.option(
            "--engine",
            type=engines,
            default=AUTO,
            show_default=True,
            help="What runs the net; auto is the fastest that is installed and runs it.",
        ),
    ):
        function = option(function)
    return function


def proof_options(function: Callable) -> Callable:
    """--verify and --engine, for a command that has a plan and weights."""
    for option in (
        click.option("--engine", type=click.Choice(names()), help="What --verify runs nets on."),
        click.option(
            "--verify",
            "verified",
            is_flag=True,
            help="Run the net before and after, compare, and exit with 1 if not equal.",
        ),
    ):
        function = option(function)
    return function
