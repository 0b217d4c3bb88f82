"""The command `convert`: writes weights in another format."""

from pathlib import Path

import click

from fcnkit.cli.arguments import WEIGHTS, open_weights
from fcnkit.cli.outputs import Saver, file_saver, say_unread, say_written, write_all
from fcnkit.formats import suffixes


@click.command(short_help="Write weights in another format.")
@click.argument("source", metavar="IN")
@click.argument("output", metavar="OUT")
@click.option(
    "--to",
    type=click.Choice(["v2", "h5", "npz", "bvlc"]),
    help="The format of OUT; by default its name decides.  v2: a caffemodel that every Caffe since "
    "2015 reads; bvlc: the same, but V1 stays V1.",
)
@click.option(
    "--layout",
    type=click.Choice(["shape", "legacy"]),
    default="shape",
    show_default=True,
    help="How a caffemodel stores shapes; legacy is for readers older than 2014.",
)
@click.option("--force", is_flag=True, help="Overwrite a file that exists.")
def convert(source, output, to, layout, force) -> None:
    """Write weights in another format; no value changes.

    IN is a caffemodel (V1 or V2, also with NVCaffe's raw blobs), a .caffemodel.h5, or an .npz
    with arrays <layer>/<number>; its content tells which. A .solverstate can be written as
    .npz. A mean image or a matrix goes from .binaryproto to .npy and back.

    \b
    fcnkit convert nvcaffe.caffemodel bvlc.caffemodel
    fcnkit convert net.caffemodel net.caffemodel.h5
    fcnkit convert net.caffemodel net.npz
    fcnkit convert mean.binaryproto mean.npy
    """
    kinds = suffixes.SUFFIXES[suffixes.MATRIX]
    if all(Path(path).suffix.lower() in kinds for path in (source, output)):
        _matrix(source, output, to, force)
        return
    source = WEIGHTS.convert(source, None, click.get_current_context())
    from fcnkit.weights.convert import convert as converted
    from fcnkit.weights.convert import format_of

    weights = open_weights(source)
    made = converted(weights, to or format_of(output), layout=layout)
    outputs = [(output, file_saver(made, suffixes.WEIGHTS))]
    write_all(outputs, force=force)
    say_written(outputs, False)
    say_unread(made, output)


def _matrix(source: str, output: str, to: str | None, force: bool) -> None:
    from fcnkit.weights import matrices

    if to:
        raise click.UsageError(f"--to {to} is of weights; a mean is written by the name of OUT")
    outputs = [(output, Saver(suffixes.MATRIX, matrices.read(source).save))]
    write_all(outputs, force=force)
    say_written(outputs, False)
