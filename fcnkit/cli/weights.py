"""The command `surgery`: changes weights, and nets with them."""

from functools import partial

import click

from fcnkit.cli.arguments import (
    WEIGHTS,
    Targets,
    check_stdout,
    load_net,
    open_weights,
    shape_option,
    show_json,
    show_plan,
    transplanted,
)
from fcnkit.cli.engines import proof_options
from fcnkit.cli.operations import Do, WithOperations, carried_out
from fcnkit.cli.outputs import (
    Output,
    preprocessing_beside,
    saver,
    say_old_sizes,
    say_written,
    weights_saver,
    write_all,
)
from fcnkit.cli.proofs import check_verify, end_with, proof_of_plan, show_rows
from fcnkit.cli.text import say
from fcnkit.errors import OutputError
from fcnkit.plural import number_of

NET = click.argument("net", metavar="NET")


@click.command(
    cls=WithOperations, short_help="Transplant weights, or change a net and its weights."
)
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
    help='With --do: write the net here; "-" is standard output.',
)
@click.option(
    "--map",
    "names",
    type=Targets(),
    metavar="OLD=NEW,...",
    help="Layers to match whose names differ; one OLD may go to several NEW.",
)
@click.option(
    "--strict",
    is_flag=True,
    help=(
        "Refuse layers left to their fillers, unused, or in another order; with --do, exit "
        "with 1 if an operation skips something."
    ),
)
@click.option("--diff", is_flag=True, help="With --do, print what would change as a unified diff.")
@proof_options
@click.option("--json", "as_json", is_flag=True, help="Print the match or the plan as JSON.")
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
@shape_option
def surgery(
    net,
    weights,
    new_net,
    output,
    operations,
    net_out,
    names,
    strict,
    diff,
    verified,
    engine,
    as_json,
    force,
    inputs,
):
    """Transplant the WEIGHTS of NET into NEW_NET, or change NET and WEIGHTS by operations.

    With NEW_NET, layers are matched by name. Blobs whose new shape holds the same values in
    the same order are reshaped. The command prints what becomes of each layer, and warns if
    layers that are matched stand in another order. Without -o it only checks. The exit status is
    2 if the weights do not fit.

    With --do, net and weights change together, by one operation after the other. The command prints
    the plan, with the reason for each step; --net-out writes the net and -o the weights. --verify
    runs both nets and compares them. If the plan changes the input, such as the order of channels,
    the old net gets the same image in its own form. If it selects classes, only their scores are
    compared.

    \b
    fcnkit surgery deploy.prototxt net.caffemodel fcn.prototxt -o fcn.caffemodel
    fcnkit surgery net.prototxt net.caffemodel --do fold --do swap \\
        --net-out rgb.prototxt -o rgb.caffemodel --verify
    fcnkit surgery fcn.prototxt fcn.caffemodel --do classes=score_fr:0,15,new
    """
    if operations:
        if new_net or names:
            raise click.UsageError("--do makes the new net; leave out NEW_NET and --map")
        if strict and not any(each.skips for each, _, _ in operations):
            raise click.UsageError(
                "--strict goes with operations that may skip layers, such as bvlc and fit"
            )
        old = check_verify(verified, engine, weights)
        proving = _proving(operations, engine, old) if old else None
        left = _operate(
            net, weights, operations, output, net_out, diff, as_json, force, dict(inputs), proving
        )
        if left and not as_json:
            stays = f"{number_of(left, 'step')} could not be carried out: see skip above"
            say(
                f"fcnkit: {stays}{'' if strict else '; --strict makes the exit status 1'}", err=True
            )
        if strict and left:
            raise SystemExit(1)
        return
    if verified or engine:
        raise click.UsageError("--verify goes with --do; `fcnkit verify` compares two nets")
    if not new_net:
        raise click.UsageError(
            "give WEIGHTS and NEW_NET to transplant, or --do OPERATION to change the net"
        )
    if net_out or diff:
        raise click.UsageError("--net-out and --diff go with --do, which changes the net")
    _transplant(net, weights, new_net, output, names, strict, as_json, force, dict(inputs))


def _proving(operations, engine, old):
    """What makes the proof of a plan; a usage error where an operation means to change values."""
    _check_kept(each for each, _, _ in operations if not each.keeps_with)
    return partial(proof_of_plan, old=old, engine=engine)


def _check_kept(operations) -> None:
    for each in operations:
        if not each.keeps_values:
            fact = f"--do {each.name} changes what the net computes, so --verify would fail"
            raise click.UsageError(f"{fact}; `fcnkit verify` measures the difference")


def _operate(
    net, weights, operations, output, net_out, diff, as_json, force, inputs, proving
) -> int:
    """Writes what is asked for; how many things that were to be done had to stay."""
    check_stdout(net_out, diff=diff, as_json=as_json)
    if output and not weights:
        raise click.UsageError("-o writes weights; give the old WEIGHTS after NET")
    if output and output == net_out:
        raise click.UsageError(
            f"-o and --net-out both name {output}; give the net a name of its own"
        )
    document = load_net(net)
    if proving:
        asked = ((each, args) for each, args, _ in operations if each.keeps_with)
        _check_kept(each for each, args in asked if not each.keeps_with(document, args))
    plan = carried_out(document, operations, inputs)
    made = transplanted(plan, weights, inputs) if weights else None
    if output and made is not None and not made:
        fact = "no layer with weights is left, so there is nothing to write"
        raise OutputError(f"{output}: {fact}; leave out -o")
    outputs: list[Output] = [(output, weights_saver(made))] if output and made else []
    if net_out:
        kept = all(each.keeps_images for each, _, _ in operations)
        outputs += [
            (net_out, saver(plan.net)),
            *preprocessing_beside(plan, net_out, kept=kept),
        ]
    write_all(outputs, force=force)
    proof = proving and proving(plan, new_weights=output or made, inputs=inputs, net=net_out)
    more = {"verify": proof.json()} if proof else {}
    show_plan(plan, diff=diff, as_json=as_json, quiet=net_out == "-", more=more)
    if not plan.steps and not (diff or as_json):
        for each, args, _ in operations:
            if each.name == "fit":
                say(f"no rule of {args[0]} is broken", err=net_out == "-")
    say_written(outputs, as_json or diff)
    if output and plan.changed and not net_out:
        say(f"fcnkit: {output} is for the changed net; write that with --net-out", err=True)
    if not output and (net_out or not weights and any(each.skips for each, _, _ in operations)):
        _say_changing(plan, weights)
    if net_out:
        say_old_sizes(plan.net, net_out, inputs)
    if proof and not as_json:
        show_rows(proof, err=net_out == "-")
    end_with(proof)
    return sum(step.verb == "skip" for step in plan.steps)


def _say_changing(plan, weights) -> None:
    """Whose weights are others with the new net, where none are written."""
    names = list(dict.fromkeys(move.layer for move in plan.moves if move.how != "drop"))
    if names:
        shown = ", ".join(names[:3]) + f" and {len(names) - 3} more" * (len(names) > 3)
        fact = f"the weights of {shown} change with the net"
        say(
            f"fcnkit: {fact}; {'' if weights else 'give WEIGHTS, and '}write the new ones with -o",
            err=True,
        )


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
