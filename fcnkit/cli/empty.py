"""Empty text is no value of an option or argument: a mistake, and not none."""

from typing import Any

import click


class _Text(click.types.StringParamType):
    """Text that is not empty: `--weights "$W"` where W is not set is a mistake, and not none."""

    def convert(self, value, param, ctx):
        """The text as it is given."""
        return not_empty(super().convert(value, param, ctx), param, ctx)


def not_empty(value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
    """The value of an option or argument; BadParameter for an empty one that is no default."""
    if value == "" and (param is None or param.default != ""):
        raise click.BadParameter("is empty; give it a value, or leave it out", ctx, param)
    return value


def without_empty(command: click.Command) -> click.Command:
    """The command, and all below it, take no empty text."""
    for param in command.params:
        if param.type is click.STRING:
            param.type = _Text()
    for below in getattr(command, "commands", {}).values():
        without_empty(below)
    return command
