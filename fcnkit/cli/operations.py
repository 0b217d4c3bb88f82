"""`fcnkit surgery --do`: how the operations of the rewrites are read, shown and carried out."""

from collections.abc import Mapping

import click

from fcnkit.errors import quoted
from fcnkit.formats.prototxt import Prototxt
from fcnkit.plan import Plan
from fcnkit.shape import Shape


class WithOperations(click.Command):
    """A command whose help lists every operation's form and its line."""

    def format_options(self, ctx, formatter):
        """The operations after the options; they are imported when the help is asked for."""
        from fcnkit.rewrites.operations import every

        super().format_options(ctx, formatter)
        with formatter.section("Operations"):
            formatter.write_dl([(operation.form, operation.help) for operation in every()])


class Do(click.ParamType):
    """OPERATION[=ARGS]."""

    name = "operation[=args]"

    def convert(self, value, param, ctx):
        """The operation, its arguments and its options."""
        from fcnkit.rewrites.operations import every

        if isinstance(value, tuple):
            return value
        name, _, text = value.partition("=")
        known = {operation.name: operation for operation in every()}
        if name not in known:
            self.fail(
                f"{quoted(name)} is not an operation; there are {', '.join(known)}", param, ctx
            )
        try:
            return known[name], *known[name].read(text)
        except ValueError as error:
            self.fail(f"{quoted(value)}: {error}; write it as {known[name].form}", param, ctx)


def carried_out(net: Prototxt, operations: tuple, inputs: Mapping[str, Shape]) -> Plan:
    """The plan of all of these in turn; the sizes of inputs count as long as the net has them."""
    from fcnkit.rewrites.states import present

    plan = Plan(net, net)
    changing = ""
    for operation, args, options in operations:
        if operation.reads_images and not args and changing:
            fact = f"--do {changing} changes what that file says"
            raise click.UsageError(
                f"{fact}; --do {operation.name} first, or give its arguments: {operation.form}"
            )
        known = inputs if plan.net is net else present(plan.net, inputs)
        before, plan = plan, plan.then(operation.rewrite, *args, inputs=known, **options)
        if not operation.keeps_images or plan.images != before.images:
            changing = changing or operation.name
    return plan
