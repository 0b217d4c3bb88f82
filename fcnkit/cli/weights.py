"""The commands `surgery` and `verify`: change weights, and compare what nets compute."""

import click

from fcnkit.cli.arguments import (
    WEIGHTS,
    Number,
    Targets,
    check_stdout,
    exit_unless_proven,
    load_net,
    open_weights,
    shape_option,
    show_json,
    show_plan,
    transplanted,
    values_option,
)
from fcnkit.cli.engines import engine_options
from fcnkit.cli.operations import Do, WithOperations, carried_out
from fcnkit.cli.outputs import (
    Output,
    preprocessing_beside,
    saver,
    say_written,
    weights_saver,
    write_all,
)
from fcnkit.cli.text import say
from fcnkit.errors import OutputError

NET = click.argument("net", metavar="NET")


@click.command(cls=WithOperations, short_help="Transplant weights, or change a net and them.")
@NET
@click.argument("weights", type=WEIGHTS, metavar="[WEIGHTS]", required=False)
@click.argument("new_net", metavar="[NEW_NET]", required=False)
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    help="Write the caffemodel for the new net here.",
)
@click.option(
    "--do",
    "operations",
    type=Do(),
    multiple=True,
    metavar="OPERATION[=ARGS]",
    help="Change the net and its weights; may be repeated.",
)
@click.option(
    "--net-out",
    metavar="OUT",
    help='With --do, write the net here; "-" is standard output.',
)
@click.option(
    "--map",
    "names",
    type=Targets(),
    metavar="OLD=NEW,...",
    help="Layers of other names to match; an OLD may have several.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Refuse layers left to their fillers, unused, or in another order.",
)
@click.option("--diff", is_flag=True, help="With --do, print what would change as a unified diff.")
@click.option("--json", "as_json", is_flag=True, help="Print the match or the plan as JSON.")
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
@shape_option
def surgery(
    net, weights, new_net, output, operations, net_out, names, strict, diff, as_json, force, inputs
):
    """Transplant the WEIGHTS of NET into NEW_NET, or carry out operations on both.

    Into NEW_NET layers are matched by name; shapes that arrange
    the same values alike are reshaped.  Prints
    what becomes of each layer, and warns where the layers between two matched
    ones come in another order.

    With --do, in the order given, net and weights change together; the plan is
    printed, with the reason of each step.  --net-out writes the net, -o the
    weights.

    \b
    fcnkit surgery deploy.prototxt net.caffemodel fcn.prototxt -o fcn.caffemodel
    fcnkit surgery net.prototxt net.caffemodel --do fold --do swap \\
        --net-out rgb.prototxt -o rgb.caffemodel
    fcnkit surgery fcn.prototxt fcn.caffemodel --do classes=score_fr:0,15,new
    """
    if operations:
        if new_net or names or strict:
            raise click.UsageError(
                "--do makes the new net: give no NEW_NET, --map or --strict with it"
            )
        _operate(net, weights, operations, output, net_out, diff, as_json, force, dict(inputs))
        return
    if not new_net:
        raise click.UsageError(
            "name WEIGHTS and NEW_NET to transplant, or say with --do what is to change"
        )
    if net_out or diff:
        raise click.UsageError("--net-out and --diff go with --do; without it no net changes")
    _transplant(net, weights, new_net, output, names, strict, as_json, force, dict(inputs))


def _operate(net, weights, operations, output, net_out, diff, as_json, force, inputs) -> None:
    check_stdout(net_out, diff=diff, as_json=as_json)
    if output and not weights:
        raise click.UsageError(
            "-o writes weights: name those that they are made of, WEIGHTS, after NET"
        )
    if output and output == net_out:
        raise click.UsageError(
            f"-o and --net-out both name {output}; give the net a name of its own"
        )
    plan = carried_out(load_net(net), operations, inputs)
    made = transplanted(plan, weights, inputs) if weights else None
    if output and made is not None and not made:
        fact = "no layer with weights is left, so that there are none to write"
        raise OutputError(f"{output}: {fact}; leave out -o")
    outputs: list[Output] = [(output, weights_saver(made))] if output and made else []
    if net_out:
        changing = [each.name for each, _, _ in operations if not each.keeps_images]
        outputs += [
            (net_out, saver(plan.net)),
            *preprocessing_beside(plan.before, net_out, changing),
        ]
    write_all(outputs, force=force)
    show_plan(plan, diff=diff, as_json=as_json, quiet=net_out == "-")
    say_written(outputs, as_json or diff)
    if output and plan.changed and not net_out:
        say(f"fcnkit: {output} is for a net that changed too; --net-out writes it", err=True)


def _transplant(net, weights, new_net, output, names, strict, as_json, force, inputs) -> None:
    from fcnkit.nets.graph import build
    from fcnkit.nets.shapes import shapes_of
    from fcnkit.weights.surgery import match, transplant

    after = build(load_net(new_net))
    old = open_weights(weights)
    found = match(build(load_net(net)), after, shapes_of(after, inputs), old, names=names)
    if as_json:
        show_json(found.json())
    else:
        say(found.table(), nl=False)
    found.check(strict=strict)
    write_all([(output, weights_saver(transplant(found, old)))] if output else [], force=force)
    if output and not as_json:
        say(f"wrote {output}", err=True)


@click.command(short_help="Compare what two nets compute.")
@NET
@click.argument("weights", type=WEIGHTS, metavar="WEIGHTS")
@click.argument("new_net", metavar="NEW_NET")
@click.argument("new_weights", type=WEIGHTS, metavar="NEW_WEIGHTS")
@engine_options
@click.option(
    "--tolerance",
    type=Number(0),
    default=1e-4,
    show_default=True,
    help="Largest relative difference.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@values_option
def verify(net, weights, new_net, new_weights, engine, device, tolerance, as_json, inputs) -> None:
    """Run both nets on the same input and compare their outputs.

    The exit status is 0 where they are equal and the values show it, 1 where they
    differ, or where a difference would not be seen: values that saturate, that are the
    same whatever the input, that no output depends on.  What such an output is made of
    is compared in its place, as far back as values move; the reason is said where none do.

    \b
    fcnkit verify deploy.prototxt net.caffemodel conv.prototxt conv.caffemodel
    fcnkit verify old.prototxt net.caffemodel new.prototxt new.caffemodel \\
        --input data=images.npy
    """
    from fcnkit.verify import verify as compare

    nets = load_net(net), weights, load_net(new_net), new_weights
    found = compare(*nets, engine=engine, device=device, inputs=dict(inputs), tolerance=tolerance)
    if as_json:
        show_json([row._asdict() | {"ok": row.ok, "shows": row.shows} for row in found])
    else:
        say("".join(f"{row}\n" for row in found), nl=False)
    exit_unless_proven(found)
