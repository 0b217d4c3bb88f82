"""The options --engine and --device of the commands that run nets."""

from collections.abc import Callable

import click

from fcnkit.engines.engine import names, with_devices


def engine_options(function: Callable) -> Callable:
    """--engine and --device: what runs the net, and on what."""
    engines = click.Choice(names())
    devices = f"For {' or '.join(with_devices())}: cpu, cuda, cuda:1; a GPU where there is one."
    for option in (
        click.option("--device", metavar="DEVICE", help=devices),
        click.option("--engine", type=engines, help="The first of these that is installed."),
    ):
        function = option(function)
    return function
