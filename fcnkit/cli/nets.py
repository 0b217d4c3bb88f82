"""Commands that read and rewrite prototxts."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from fcnkit.cli.arguments import (
    WEIGHTS,
    Rename,
    check_stdout,
    holds_weights,
    load_net,
    open_weights,
    plan_options,
    shape_option,
    show_json,
    show_plan,
    transplanted,
)
from fcnkit.cli.diff import show_statistics
from fcnkit.cli.engines import proof_options
from fcnkit.cli.outputs import (
    Output,
    drawing_saver,
    preprocessing_beside,
    saver,
    say_old_sizes,
    say_written,
    weights_saver,
    write_all,
)
from fcnkit.cli.proofs import check_verify, end_with, proof_of_plan, show_rows
from fcnkit.cli.text import say, table_width, write_out
from fcnkit.errors import FcnkitError, NetError
from fcnkit.formats.prototxt import Prototxt

if TYPE_CHECKING:
    from fcnkit.nets.graph import State

NET = click.argument("net", metavar="NET")


@click.command(short_help="Shapes, cost and offsets of a net; statistics of weights.")
@click.argument("net", type=WEIGHTS, metavar="NET_OR_WEIGHTS")
@click.option(
    "--weights",
    type=WEIGHTS,
    metavar="FILE",
    help="A caffemodel: show whether its blobs fit each layer.",
)
@click.option("--phase", type=click.Choice(["TEST", "TRAIN"]), default="TEST", show_default=True)
@click.option(
    "--stage",
    "stages",
    multiple=True,
    help="A stage that the net's rules name, such as deploy; may be repeated.",
)
@shape_option
@click.option(
    "--to",
    metavar="BLOB",
    help="Count scale, offset and field from this blob; the first input by default.",
)
@click.option(
    "--memory",
    is_flag=True,
    help="Show the memory that Caffe needs for data, per layer and in total.",
)
@click.option("--net", "as_net", is_flag=True, help="Print the prototxt that a caffemodel holds.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def inspect(ctx, net, weights, phase, stages, inputs, to, memory, as_net, as_json) -> None:
    """Print each layer's line, shape, parameters, cost, offsets and receptive field.

    For a weights file it prints each blob's shape, bytes, minimum, maximum, mean and share of
    zeros, and names blobs that are all zero or hold NaN or infinity. --net prints the prototxt
    that Caffe stored in a caffemodel. If that is a training net, `fcnkit deploy` turns it into the
    net to use.

    \b
    fcnkit inspect template:vgg16
    fcnkit inspect net.caffemodel
    fcnkit inspect net.caffemodel --net > net.prototxt
    fcnkit inspect deploy.prototxt --input data=1,3,500,500 \\
        --weights net.caffemodel
    fcnkit inspect train_val.prototxt --phase TRAIN --memory \\
        --input data=1,3,375,500
    """
    from fcnkit.inspection import inspect as look
    from fcnkit.nets.graph import State

    if holds_weights(net):
        _check_options(ctx, net)
        if as_net:
            _show_net(net, as_json)
            return
        show_statistics(net, as_json=as_json)
        return
    if as_net:
        raise click.UsageError(f"{net} is a net already; --net is for a weights file")
    blobs = open_weights(weights) if weights else None
    state = State(phase, 0, tuple(stages))
    file = load_net(net)
    with other_phase(file, state):
        found = look(file, weights=blobs, state=state, inputs=dict(inputs), to=to)
        if not found.rows:
            raise NetError(
                f"{file.path}: no layers in state {state}; choose another phase or stage"
            )
    if as_json:
        show_json(found.json())
    else:
        say(found.table(table_width(), memory=memory), nl=False)


def _show_net(path: str, as_json: bool) -> None:
    from fcnkit.weights.skeleton import skeleton

    if as_json:
        raise click.UsageError("--net prints a prototxt and --json the figures; give one of them")
    write_out(skeleton(path).text.encode("utf-8", "surrogateescape"))


@contextmanager
def other_phase(net: Prototxt, state: "State") -> Iterator[None]:
    """A NetError of a net that can be built in the other phase alone names that phase."""
    try:
        yield
    except NetError as error:
        other = state._replace(phase="TRAIN" if state.phase == "TEST" else "TEST")
        if _has_layers(net, state) or not _has_layers(net, other):
            raise
        fact = str(error).rpartition("; ")[0]
        raise NetError(f"{fact}; look at --phase {other.phase}") from None


def _has_layers(net: Prototxt, state: "State") -> bool:
    from fcnkit.nets.graph import build

    try:
        return bool(build(net, state).layers)
    except FcnkitError:
        return False


def _check_options(ctx: click.Context, path: str) -> None:
    """Nothing was asked of a weights file that only a net has."""
    for option in ctx.command.params:
        given = ctx.get_parameter_source(option.name) == ParameterSource.COMMANDLINE
        if given and option.name not in ("net", "as_net", "as_json"):
            raise click.UsageError(f"{path} is a weights file; {option.opts[0]} is for a net")


@click.command(short_help="Draw a net as SVG.")
@NET
@click.option(
    "-o",
    "--output",
    metavar="OUT.svg",
    required=True,
    help='Write the picture here; "-" is standard output.',
)
@click.option("--phase", type=click.Choice(["TEST", "TRAIN"]), default="TEST", show_default=True)
@click.option(
    "--stage",
    "stages",
    multiple=True,
    help="A stage that the net's rules name, such as deploy; may be repeated.",
)
@shape_option
@click.option("--force", is_flag=True, help="Overwrite a file that exists.")
def draw(net, output, phase, stages, inputs, force) -> None:
    """Draw the net: a box for each layer and the in-place layers after it.

    Open the SVG in a browser; point at a box to see names and parameter counts. A dashed line
    leads to a Crop from the blob of which it takes only the size.

    \b
    fcnkit draw deploy.prototxt -o net.svg
    fcnkit draw train_val.prototxt --phase TRAIN --input data=1,3,500,500 \\
        -o net.svg
    """
    from fcnkit.drawing.draw import draw as drawn
    from fcnkit.nets.graph import State

    if output != "-" and not output.lower().endswith(".svg"):
        raise click.BadParameter(
            f"{output!r}: a drawing is an SVG file; name it OUT.svg", param_hint="-o"
        )
    file, state = load_net(net), State(phase, 0, tuple(stages))
    with other_phase(file, state):
        picture = drawn(file, state=state, inputs=dict(inputs))
    outputs = [(output, drawing_saver(picture))]
    write_all(outputs, force=force)
    say_written(outputs, False)


@click.command(short_help="Turn each InnerProduct into a Convolution.")
@NET
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    help='Write the net here; "-" is standard output.',
)
@shape_option
@click.option(
    "--rename",
    type=Rename(),
    help="New names for converted layers: '{name}-conv', or fc6=conv6,...",
)
@click.option("--weights", type=WEIGHTS, metavar="IN", help="The classifier's caffemodel.")
@click.option(
    "--phase",
    type=click.Choice(["TRAIN", "TEST"]),
    help="Look at this phase only; by default at every state that Caffe can build.",
)
@click.option("--weights-out", metavar="OUT", help="Write the transplanted caffemodel here.")
@proof_options
@plan_options
def convolutionalize(
    net, output, inputs, rename, weights, phase, weights_out, verified, engine, diff, as_json, force
) -> None:
    """Turn each InnerProduct into the Convolution that computes the same.

    \b
    fcnkit convolutionalize deploy.prototxt --diff
    fcnkit convolutionalize deploy.prototxt -o conv.prototxt \\
        --weights net.caffemodel --weights-out conv.caffemodel --verify
    """
    from fcnkit.nets.layers.table import TYPES
    from fcnkit.nets.layers.traits import Trait
    from fcnkit.rewrites.convolutionalize import convolutionalize as rewrite

    check_stdout(output, diff=diff, as_json=as_json)
    old = check_verify(verified, engine, weights)
    if bool(weights) != bool(weights_out):
        raise click.UsageError(
            "--weights and --weights-out go together: one is read, the other is written"
        )
    plan = rewrite(load_net(net), inputs=dict(inputs), rename=rename, phase=phase)
    outputs: list[Output] = []
    if weights:
        outputs.append((weights_out, weights_saver(transplanted(plan, weights, dict(inputs)))))
    if output:
        outputs += [(output, saver(plan.net)), *preprocessing_beside(plan, output)]
    write_all(outputs, force=force)
    proof = None
    if old:
        words = {"engine": engine, "inputs": dict(inputs), "net": output}
        proof = proof_of_plan(plan, old, weights_out, **words)
    more = {"verify": proof.json()} if proof else {}
    show_plan(plan, diff=diff, as_json=as_json, quiet=output == "-", more=more)
    for step in plan.steps if output or diff else ():
        if step.what in TYPES and TYPES[step.what].trait is Trait.SOURCE:
            say(f'fcnkit: {net}:{step.line}: layer "{step.layer}": {step.why}', err=True)
    say_written(outputs, as_json or diff)
    if output:
        say_old_sizes(plan.net, output, dict(inputs))
    if proof and not as_json:
        show_rows(proof, err=output == "-")
    end_with(proof)


@click.command(short_help="Compute, check or correct every Crop's offset.")
@NET
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    help='Write the net here; "-" is standard output.',
)
@click.option("--check", is_flag=True, help="Exit with 1 if a Crop's offset is not the right one.")
@plan_options
def align(net, output, check, diff, as_json, force) -> None:
    """Compute every Crop's offset; correct it, or check it.

    \b
    fcnkit align fcn.prototxt --check
    fcnkit align fcn.prototxt -o aligned.prototxt
    """
    from fcnkit.rewrites.align import align as rewrite

    check_stdout(output, diff=diff, as_json=as_json)
    plan = rewrite(load_net(net))
    outputs = [(output, saver(plan.net))] if output else []
    write_all(outputs, force=force)
    show_plan(plan, diff=diff, as_json=as_json, quiet=output == "-")
    say_written(outputs, as_json or diff)
    if check and plan.changed:
        raise SystemExit(1)
