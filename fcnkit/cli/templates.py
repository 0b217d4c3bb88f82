"""The command `templates`: lists the networks that come with fcnkit."""

from typing import NamedTuple

import click

from fcnkit.cli.arguments import TEMPLATE, load, show_json
from fcnkit.cli.text import say
from fcnkit.tables import aligned


class Facts(NamedTuple):
    """One template: its input's dimensions after the batch, its sizes, and what it is.

    `macs` are the multiply-adds of one image.  `field` is the receptive field
    of one score, in pixels: of the last layer that learns, once InnerProducts
    are convolutions.  So a pooling before the classifier counts, as in the
    FCN paper's table, and one that averages its scores does not.
    """

    name: str
    input: tuple[int, ...]
    parameters: int
    macs: int
    field: tuple[int, ...]
    about: str


@click.command(short_help="List the networks that come with fcnkit.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def templates(as_json) -> None:
    """List the templates: input, size, cost, receptive field.

    Wherever a command takes a NET, it takes template:NAME; template:NAME/train_val.prototxt is the
    net that trains it. Parameters include BatchNorm's statistics; multiply-adds are for one image.
    The receptive field is that of one value of the last layer that learns, in pixels, once the net
    is convolutional. It includes a pooling before that layer (GoogLeNet, ResNet-50), but not one
    after it (SqueezeNet, NIN).

    \b
    fcnkit templates
    fcnkit inspect template:resnet50
    """
    from fcnkit.cli.progress import counted
    from fcnkit.families import ABOUT

    found = []
    with counted(len(ABOUT), "reading") as advance:
        for name, about in ABOUT.items():
            found.append(facts(name, about))
            advance(1)
    if as_json:
        show_json([each._asdict() for each in found])
    else:
        rows = [_cells(each) for each in found]
        say(aligned(tuple(rows[0]), rows, ("template", "what it is")), nl=False)


def facts(name: str, about: str) -> Facts:
    """What the deploy net of the template called `name` says of itself."""
    from fcnkit.inspection import inspect
    from fcnkit.rewrites.convolutionalize import convolutionalize

    found = inspect(convolutionalize(load(f"{TEMPLATE}{name}")).net)
    image = found.rows[0]
    score = [row for row in found.rows if row.params][-1]
    return Facts(name, (image.shape or ())[1:], found.params, found.macs, score.field or (), about)


def _cells(each: Facts) -> dict[str, str]:
    from fcnkit.nets.coordmap import show

    return {
        "template": each.name,
        "input": "x".join(map(str, each.input)),
        "parameters": f"{each.parameters:,}",
        "multiply-adds": f"{each.macs:,}",
        "field": show(each.field),
        "what it is": each.about,
    }
