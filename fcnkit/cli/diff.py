"""The command `diff`, and `inspect` of a weights file."""

import sys

import click

from fcnkit.cli.arguments import (
    WEIGHTS,
    Number,
    Pairs,
    holds_weights,
    load_net,
    open_weights,
    shape_option,
    show_json,
)
from fcnkit.cli.progress import measured
from fcnkit.cli.text import say, table_width


@click.command(short_help="Show how weights differ, or whether they fit a net.")
@click.argument("first", type=WEIGHTS, metavar="WEIGHTS")
@click.argument("second", type=WEIGHTS, metavar="WEIGHTS_OR_NET")
@click.option(
    "--map",
    "names",
    type=Pairs(),
    metavar="OLD=NEW,...",
    help="Layers to match whose names differ.",
)
@click.option(
    "--tolerance",
    type=Number(0),
    default=0,
    show_default=True,
    help="Largest relative difference that counts as equal.",
)
@shape_option
@click.option("--all", "every", is_flag=True, help="List the blobs that are equal or fit, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, every blob.")
def diff(first, second, names, tolerance, inputs, every, as_json) -> None:
    """Say which blobs of two weights files differ, or which do not fit a net; exit with 1 if any.

    Layers are matched by name. A blob that has the same values in another shape is not a
    difference. A relative difference is the largest difference divided by the largest
    magnitude in the first file's blob. A net is a prototxt or a template; all its phases and
    stages are looked at.

    \b
    fcnkit diff before.caffemodel after.caffemodel
    fcnkit diff net.caffemodel other.caffemodel --map fc6=conv6 --tolerance 1e-3
    fcnkit diff net.caffemodel deploy.prototxt
    """
    from fcnkit.weights.compare import compare

    old, is_net = open_weights(first), not holds_weights(second)
    new = load_net(second) if is_net else open_weights(second)
    if is_net and tolerance or inputs and not is_net:
        raise click.UsageError("--tolerance is for two weights files, --input for a net")
    options = {"names": names, "tolerance": tolerance, "inputs": dict(inputs)}
    length = 0 if is_net else _length(old) + _length(new)
    with measured(length, "comparing") as advance:
        found = compare(old, new, progress=advance, **options)
    if as_json:
        show_json(found.json())
    else:
        say(found.table(every=every), nl=False)
    if not found.equal:
        sys.exit(1)


def show_statistics(path: str, *, as_json: bool) -> None:
    """Prints the figures of every blob of a weights file."""
    from fcnkit.weights.statistics import statistics

    weights = open_weights(path)
    with measured(_length(weights), "reading") as advance:
        found = statistics(weights, progress=advance)
    if as_json:
        show_json(found.json())
    else:
        say(found.table(table_width()), nl=False)


def _length(weights) -> int:
    return sum(blob.nbytes for blobs in weights.values() for blob in blobs)
