"""The command `deploy`: what a training net predicts, as a net of its own."""

from typing import TYPE_CHECKING

import click

from fcnkit.cli.arguments import (
    WEIGHTS,
    check_stdout,
    load_net,
    plan_options,
    shape_option,
    show_plan,
    transplanted,
)
from fcnkit.cli.outputs import (
    Output,
    preprocessing_beside,
    saver,
    say_written,
    weights_saver,
    write_all,
)

if TYPE_CHECKING:
    from fcnkit.plan import Plan


@click.command(short_help="Make the deploy net of a training net.")
@click.argument("net", metavar="TRAIN_VAL")
@click.option(
    "-o",
    "--output",
    metavar="DEPLOY",
    help='Write the net here; "-" is standard output.',
)
@shape_option
@click.option("--weights", type=WEIGHTS, metavar="IN", help="The trained caffemodel.")
@click.option(
    "--weights-out",
    metavar="OUT",
    help="Write here the weights that the net still needs.",
)
@plan_options
def deploy(net, output, inputs, weights, weights_out, diff, as_json, force) -> None:
    """Turn a training net into the net to deploy.

    Data layers become an Input. A loss becomes the layer that it applies to the scores: a Softmax
    "prob" for SoftmaxWithLoss. Labels, Accuracy layers and auxiliary scores are removed. What the
    data layers do to an image is written beside the net, in DEPLOY.preprocessing.json. The trained
    caffemodel fits the new net as it is; --weights-out writes one without the layers that were
    removed.

    \b
    fcnkit deploy train_val.prototxt -o deploy.prototxt
    fcnkit deploy train_val.prototxt -o deploy.prototxt \\
        --input data=1,3,227,227
    fcnkit deploy train_val.prototxt -o deploy.prototxt \\
        --weights trained.caffemodel --weights-out small.caffemodel
    """
    from fcnkit.rewrites.deploy import deploy as rewrite

    check_stdout(output, diff=diff, as_json=as_json)
    if bool(weights) != bool(weights_out):
        raise click.UsageError(
            "--weights and --weights-out go together: one is read, the other is written"
        )
    plan = rewrite(load_net(net), inputs=dict(inputs))
    outputs: list[Output] = []
    if weights:
        outputs.append((weights_out, weights_saver(transplanted(plan, weights, dict(inputs)))))
    if output:
        outputs += [(output, saver(plan.net)), *_preprocessing(plan, output)]
    write_all(outputs, force=force)
    show_plan(plan, diff=diff, as_json=as_json, quiet=output == "-")
    say_written(outputs, as_json or diff)


def _preprocessing(plan: "Plan", output: str) -> list[Output]:
    """What the file beside the training net says of images, or its data layers."""
    from fcnkit.nets.graph import build
    from fcnkit.nets.shapes import shapes_of
    from fcnkit.preprocessing import beside, of_data, place

    made = of_data(plan.before)
    if output == "-" or beside(plan.before) or made is None:
        return preprocessing_beside(plan, output)
    graph = build(plan.net)
    size = shapes_of(graph).tops[graph.inputs[0]] if graph.inputs else None
    if size and len(size) == 4:
        made = made.with_origin(output, size=(size[2], size[3]))
    return [(place(output), made.save)]
