"""The command `upgrade`: brings old nets and weights up to date."""

import click

from fcnkit.cli.arguments import WEIGHTS, check_stdout, load, plan_options, show_plan
from fcnkit.cli.outputs import file_saver, saver, say_written, write_all
from fcnkit.formats import suffixes
from fcnkit.plan import Plan


@click.command(short_help="Bring V0 and V1 nets and weights up to date.")
@click.argument("net", metavar="NET", required=False)
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    help='Write the net here; "-" is standard output.',
)
@click.option("--weights", type=WEIGHTS, metavar="IN", help="A caffemodel of any age.")
@click.option(
    "--weights-out",
    metavar="OUT",
    help="Write the caffemodel in the V2 format here.",
)
@plan_options
def upgrade(net, output, weights, weights_out, diff, as_json, force) -> None:
    """Rewrite a V0 or V1 net, solver or caffemodel in the format of Caffe 1.0.

    \b
    fcnkit upgrade old.prototxt --diff
    fcnkit upgrade old.prototxt -o new.prototxt
    fcnkit upgrade --weights old.caffemodel --weights-out new.caffemodel
    """
    if bool(weights) != bool(weights_out):
        raise click.UsageError(
            "--weights and --weights-out go together: one is read, the other is written"
        )
    if output and not net:
        raise click.UsageError("-o needs a NET to upgrade")
    if not net and not weights:
        raise click.UsageError("give a NET, or --weights and --weights-out")
    check_stdout(output, diff=diff, as_json=as_json)
    plan = _plan(net) if net else None
    outputs = [(output, saver(plan.net))] if plan and output else []
    if weights:
        outputs.append((weights_out, _saver(weights)))
    write_all(outputs, force=force)
    if plan:
        show_plan(plan, diff=diff, as_json=as_json, quiet=output == "-")
    say_written(outputs, as_json or diff)


def _plan(net: str) -> Plan:
    from fcnkit.rewrites.upgrade import upgrade as rewrite

    return rewrite(load(net))


def _saver(weights: str):
    from fcnkit.rewrites.upgrade import upgrade as rewrite
    from fcnkit.weights.upgrade import upgrade as upgraded

    return file_saver(upgraded(weights, rewrite), suffixes.WEIGHTS)
