"""Tab completes what a parameter may be; what knows of it is imported when Tab is pressed."""

import os
from functools import partial

import click
from click.shell_completion import CompletionItem


def with_completion(command: click.Command) -> click.Command:
    """Tab completes the values of the command's parameters, and of all below it."""
    for below in getattr(command, "commands", {}).values():
        with_completion(below)
    for param in command.params:
        if not isinstance(param.type, click.Choice):
            param.shell_complete = partial(_complete, param)  # type: ignore[method-assign]
    return command


def _complete(param: click.Parameter, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
    from fcnkit.cli.completion import complete

    return complete(param, ctx, incomplete)


def prepare() -> None:
    """Where it is a shell that asks, click answers it as fcnkit has it."""
    if "_FCNKIT_COMPLETE" in os.environ:
        from fcnkit.cli.completion import register

        register()
