"""The command that writes weights in another format."""

from pathlib import Path

import click

from fcnkit.cli.arguments import encodable, open_weights, say_written, weights_saver, write_all

_BY_NAME = {".h5": "h5", ".hdf5": "h5", ".npz": "npz"}


@click.command()
@click.argument("source", metavar="IN")
@click.argument("output", metavar="OUT")
@click.option("--to", type=click.Choice(["v2", "h5", "npz", "bvlc"]),
              help="The format of OUT; told by its name otherwise.")  # fmt: skip
@click.option("--layout", type=click.Choice(["shape", "legacy"]), default="shape", show_default=True,
              help="How a caffemodel says its shapes; legacy for readers older than 2014.")  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite a file that exists.")
def convert(source, output, to, layout, force) -> None:
    """Write weights in another format, no tensor changed.

    IN is a caffemodel (V1 or V2, NVCaffe's raw blobs too), a .caffemodel.h5,
    an .npz with arrays <layer>/<number>, or to npz a .solverstate; its content
    tells which.  Formats: v2, a caffemodel that every Caffe since 2015 reads;
    bvlc, the same, but V1 stays V1; h5 and npz.

    \b
    fcnkit convert nvcaffe.caffemodel bvlc.caffemodel
    fcnkit convert net.caffemodel net.caffemodel.h5
    fcnkit convert net.caffemodel net.npz
    """
    from fcnkit.weights.convert import convert as converted

    weights = open_weights(source)
    made = converted(weights, to or _BY_NAME.get(Path(output).suffix.lower(), "v2"), layout=layout)
    outputs = [(output, weights_saver(made))]
    write_all(outputs, force=force)
    say_written(outputs, False)
    unread = [name for name in made if "/" in name] if made.kind == "hdf5" else []
    if unread:
        fact = f'{len(unread)} layers have a "/" in their names, the first "{unread[0]}"'
        click.echo(encodable(f"fcnkit: {output}: {fact}; Caffe ignores such layers in HDF5"), err=True)
    if made.kind == "hdf5" and not output.endswith(".h5"):
        click.echo(f"fcnkit: {output}: Caffe takes it for HDF5 only under a name that ends in .h5", err=True)
