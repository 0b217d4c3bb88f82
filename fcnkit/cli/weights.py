"""Commands that read and write weights, and compare what nets compute."""

import click

from fcnkit.cli.arguments import (
    Pairs,
    encodable,
    load_net,
    open_weights,
    shape_option,
    show_json,
    weights_saver,
    write_all,
)

NET = click.argument("net", metavar="NET")


@click.command()
@NET
@click.argument("weights", metavar="WEIGHTS")
@click.argument("new_net", metavar="NEW_NET")
@click.option("-o", "--output", metavar="OUT", help="Write the caffemodel for NEW_NET here.")
@click.option("--map", "names", type=Pairs(), metavar="OLD=NEW,...", help="Layers of other names to match.")
@click.option(
    "--strict", is_flag=True, help="Refuse layers left to their fillers, unused, or in another order."
)
@click.option("--json", "as_json", is_flag=True, help="Print the match as JSON.")
@click.option("--force", is_flag=True, help="Overwrite a file that exists.")
@shape_option
def surgery(net, weights, new_net, output, names, strict, as_json, force, inputs) -> None:
    """Transplant the WEIGHTS of NET into NEW_NET, layer by layer.

    Layers are matched by name; equal counts are reshaped.  Prints what becomes
    of each layer, and warns where the layers between two matched ones come in
    another order.

    \b
    fcnkit surgery deploy.prototxt net.caffemodel fcn.prototxt -o fcn.caffemodel
    """
    from fcnkit.nets.graph import build
    from fcnkit.nets.shapes import infer
    from fcnkit.weights.surgery import match, transplant

    after = build(load_net(new_net))
    old = open_weights(weights)
    found = match(build(load_net(net)), after, infer(after, dict(inputs)), old, names=names)
    if as_json:
        show_json(found.json())
    else:
        click.echo(encodable(found.table()), nl=False)
    found.check(strict=strict)
    write_all([(output, weights_saver(transplant(found, old)))] if output else [], force=force)
    if output and not as_json:
        click.echo(f"wrote {output}", err=True)


@click.command()
@NET
@click.argument("weights", metavar="WEIGHTS")
@click.argument("new_net", metavar="NEW_NET")
@click.argument("new_weights", metavar="NEW_WEIGHTS")
@click.option(
    "--engine", type=click.Choice(["caffe", "opencv"]), help="Caffe where it is installed, else OpenCV."
)
@click.option("--tolerance", type=float, default=1e-4, show_default=True, help="Largest relative difference.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@shape_option
def verify(net, weights, new_net, new_weights, engine, tolerance, as_json, inputs) -> None:
    """Run both nets on the same input and compare their outputs; exit with 1 if they differ.

    \b
    fcnkit verify deploy.prototxt net.caffemodel conv.prototxt conv.caffemodel
    """
    from fcnkit.verify import verify as compare

    nets = load_net(net), weights, load_net(new_net), new_weights
    found = compare(*nets, engine=engine, inputs=dict(inputs), tolerance=tolerance)
    if as_json:
        show_json([row._asdict() | {"ok": row.ok} for row in found])
    else:
        click.echo(encodable("".join(f"{row}\n" for row in found)), nl=False)
    if not all(row.ok for row in found):
        raise SystemExit(1)
