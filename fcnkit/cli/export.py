"""The command `export`: writes a net and its weights as an ONNX model."""

from typing import TYPE_CHECKING

import click

from fcnkit.cli.arguments import (
    WEIGHTS,
    Number,
    exit_unless_proven,
    load_net,
    open_weights,
    show_json,
    values_option,
)
from fcnkit.cli.outputs import file_saver, say_written, write_all
from fcnkit.cli.text import say
from fcnkit.engines.engine import names
from fcnkit.formats import suffixes

if TYPE_CHECKING:
    from fcnkit.verifying.verify import Difference

# What a model may be compared with; "onnx" is what runs it.
OTHERS = [name for name in names() if name != "onnx"]


@click.command(short_help="Write a net and its weights as ONNX.")
@click.argument("net", metavar="NET")
@click.argument("weights", type=WEIGHTS, metavar="WEIGHTS")
@click.option("-o", "--output", metavar="OUT.onnx", help="Write the model here.")
@values_option
@click.option(
    "--blob",
    "blobs",
    multiple=True,
    metavar="BLOB",
    help="Make this blob an output, instead of the net's own; may be repeated.",
)
@click.option(
    "--verify",
    "verified",
    is_flag=True,
    help="Run ONNX Runtime beside Caffe, or OpenCV, at several sizes, and compare; exit with 1 "
    "if not equal.",
)
@click.option("--engine", type=click.Choice(OTHERS), help="What --verify compares with.")
@click.option(
    "--tolerance",
    type=Number(0),
    default=1e-4,
    show_default=True,
    help="Largest relative difference that --verify allows.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--force", is_flag=True, help="Overwrite a file that exists.")
def export(
    net, weights, output, inputs, blobs, verified, engine, tolerance, as_json, force
) -> None:
    """Write the net, in its TEST phase, and its weights as an ONNX model.

    Batch, height and width stay free if the net can take other sizes with the same parameters.
    Inputs and outputs have the names of their blobs. Without -o, the command prints what the
    model would hold and what is left out.

    \b
    fcnkit export fcn8s/deploy.prototxt fcn8s.caffemodel
    fcnkit export fcn8s/deploy.prototxt fcn8s.caffemodel -o fcn8s.onnx --verify
    """
    from fcnkit.exporting.export import export as exported

    if output and not output.lower().endswith(".onnx"):
        raise click.BadParameter(
            f"{output!r}: a model is an ONNX file; name it OUT.onnx", param_hint="-o"
        )
    parsed, opened = load_net(net), open_weights(weights)
    shapes = {blob: getattr(value, "shape", value) for blob, value in inputs}
    model = exported(parsed, opened, inputs=shapes, outputs=blobs or None)
    outputs = [(output, file_saver(model, suffixes.MODEL))] if output else []
    write_all(outputs, force=force)
    rows: tuple[Difference, ...] = ()
    if verified:
        from fcnkit.cli.progress import waiting
        from fcnkit.verifying.exports import verify_export

        words = {
            "inputs": dict(inputs),
            "outputs": blobs or None,
            "engine": engine,
            "tolerance": tolerance,
        }
        with waiting("comparing the net and the model"):
            rows = verify_export(parsed, opened, output or model.bytes(), **words)
    if as_json:
        verdicts = [row._asdict() | {"ok": row.ok, "shows": row.shows} for row in rows]
        show_json(model.json() | ({"verify": verdicts} if verified else {}))
    else:
        say(model.table(), nl=False)
        if rows:
            from fcnkit.verifying.results import Differences

            say(str(Differences(rows)))
    say_written(outputs, as_json)
    if rows:
        exit_unless_proven(rows)
