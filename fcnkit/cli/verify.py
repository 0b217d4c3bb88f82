"""The command `verify`: compares what two nets compute."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from fcnkit.cli.arguments import (
    IMAGE,
    WEIGHTS,
    Means,
    Number,
    Targets,
    load_net,
    show_json,
    values_option,
)
from fcnkit.cli.proofs import end_with, proof_of, show_rows
from fcnkit.cli.records import command
from fcnkit.cli.text import say
from fcnkit.engines.engine import choose, names, with_devices
from fcnkit.plural import number_of
from fcnkit.verifying.differences import Difference
from fcnkit.verifying.results import given_words

if TYPE_CHECKING:
    from fcnkit.engines.engine import Engine
    from fcnkit.formats.prototxt import Prototxt
    from fcnkit.verifying.layers import LayerDifferences


class Engines(click.ParamType):
    """NAME,...: engines, each once."""

    name = "engine,..."

    def convert(self, value, param, ctx):
        """The names."""
        if isinstance(value, tuple):
            return value
        found = tuple(value.split(","))
        for name in found:
            if name not in names():
                known = ", ".join(map(repr, names()))
                self.fail(f"{name!r} is not an engine; there are {known}", param, ctx)
        return tuple(dict.fromkeys(found))


@click.command(short_help="Compare what two nets compute.")
@click.argument("net", metavar="NET")
@click.argument("weights", type=WEIGHTS, metavar="WEIGHTS")
@click.argument("new_net", metavar="NEW_NET")
@click.argument("new_weights", type=WEIGHTS, metavar="NEW_WEIGHTS")
@click.option(
    "--layers",
    is_flag=True,
    help="Compare every blob that both nets have, and name the first layer that differs.",
)
@click.option(
    "--map",
    "renamed",
    type=Targets(),
    metavar="OLD=NEW,...",
    help="With --layers: pairs of layers whose names differ.",
)
@click.option(
    "--slide",
    is_flag=True,
    help="Compare the scores of NEW_NET on a large image with those of NET on each window of it.",
)
@click.option(
    "--images",
    multiple=True,
    type=IMAGE,
    metavar="DIR|FILE",
    help="Compare on real images, resized to the net's input, not on noise; may be repeated.",
)
@click.option(
    "--mean",
    type=Means(),
    metavar="B,G,R",
    help="With --images: the mean to subtract; by default that of NET.preprocessing.json.",
)
@click.option(
    "--engine",
    "engines",
    type=Engines(),
    metavar="ENGINE,...",
    help=f"One or several of {', '.join(names())}; by default the first that is installed.",
)
@click.option(
    "--device",
    metavar="DEVICE",
    help=f"For {' or '.join(with_devices())}: cpu, cuda, cuda:1; by default a GPU if there is one.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the noise.")
@click.option(
    "--tolerance",
    type=Number(0),
    default=1e-4,
    show_default=True,
    help="Largest relative difference that counts as equal.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@values_option
def verify(
    net,
    weights,
    new_net,
    new_weights,
    layers,
    renamed,
    slide,
    images,
    mean,
    engines,
    device,
    seed,
    tolerance,
    as_json,
    inputs,
) -> None:
    """Run both nets on the same input and compare their outputs.

    The exit status is 0 if they are equal and their values prove it. It is 1 if they differ, or if
    a difference could not be seen: because values saturate, are the same for every input, or do not
    reach an output. Instead of such an output, verify compares the blobs from which the output is
    computed, as far back as necessary; if none of them helps, verify says why.

    The result names the engine and its version, the input, and the SHA-256 of the files.

    \b
    fcnkit verify deploy.prototxt net.caffemodel conv.prototxt conv.caffemodel
    fcnkit verify old.prototxt net.caffemodel new.prototxt new.caffemodel \\
        --layers --map fc6=conv6
    fcnkit verify old.prototxt net.caffemodel new.prototxt new.caffemodel \\
        --images photos --engine caffe,torch,onnx
    """
    if renamed and not layers:
        raise click.UsageError("--map goes with --layers; outputs are matched by name")
    if layers and (slide or images) or (slide and images):
        raise click.UsageError(
            "--layers, --slide and --images exclude each other; give one of them"
        )
    if mean and not images:
        raise click.UsageError("--mean goes with --images; noise has no mean to subtract")
    nets = load_net(net), weights, load_net(new_net), new_weights
    contents = dict(zip((net, weights, new_net, new_weights), nets, strict=True))
    runners = [choose(name, device, nets=(nets[0], nets[2])) for name in engines or (None,)]
    given = dict(inputs)
    if layers:
        _layers(nets, contents, renamed or {}, runners, given, tolerance, seed, as_json)
        return
    what = given_words(given, seed)
    if slide:
        rows = _each(runners, lambda each: _slid(nets, each, given, tolerance, seed))
    elif images:
        arrays = _arrays(nets[0], weights, images, mean, given)
        what = number_of(len(arrays), "image")
        rows = {each.name: _over(nets, each, device, arrays, tolerance, seed) for each in runners}
    else:
        rows = _each(runners, lambda each: _compared(nets, each, device, given, tolerance, seed))
    proof = proof_of(rows, runners, what, tolerance, contents)
    if as_json:
        show_json({"command": command(), **proof.json()})
    else:
        show_rows(proof)
    end_with(proof)


def _compared(nets, engine: "Engine", device, inputs, tolerance, seed) -> tuple[Difference, ...]:
    from fcnkit.verifying.verify import verify as compare

    return compare(
        *nets, engine=engine.name, device=device, inputs=inputs, tolerance=tolerance, seed=seed
    )


def _each(runners: "Sequence[Engine]", run: Callable[["Engine"], Any]) -> dict[str, Any]:
    """What each engine gives, by its name; a terminal shows which is at work."""
    from fcnkit.cli.progress import waiting

    found = {}
    for each in runners:
        with waiting(f"comparing by {each.name}"):
            found[each.name] = run(each)
    return found


# ---- images and windows


def _arrays(net: "Prototxt", weights, images, mean, given) -> list[dict[str, Any]]:
    """Each image as the net takes it, at its own size or that of --input."""
    import tempfile
    from pathlib import Path

    import numpy as np
    from PIL import Image

    from fcnkit.cli.infer_images import Reading, pictures_of
    from fcnkit.cli.preprocessing import for_images
    from fcnkit.engines.inputs import known_size, nominal
    from fcnkit.inference.preparation import Preparation
    from fcnkit.nets.graph import build

    graph = build(net)
    if len(graph.inputs) != 1:
        raise click.UsageError(
            f"{net.path}: it has {number_of(len(graph.inputs), 'input')}; --images needs a net "
            "of one input"
        )
    blob = graph.inputs[0].blob
    size = given.get(blob) or known_size(graph, blob, nominal(graph)[blob])
    if not isinstance(size, tuple) or len(size) != 4 or size[1] not in (1, 3):
        raise click.UsageError(
            f'{net.path}: "{blob}" does not take pictures; give --input {blob}=FILE'
        )
    known = for_images(
        net, weights, channels=size[1], classes=0, mean=mean or (), mean_file=None,
        scale=None, order=None,
    )  # fmt: skip
    prepare = Preparation(size[1], known.mean or (), None, known.scale, known.order)
    prepare.check()
    read = Reading(size[1], "apply", "ignore")
    found = []
    with tempfile.TemporaryDirectory(prefix="fcnkit-") as spare:
        for picture in pictures_of(images, Path(spare)):
            image = Image.fromarray(np.asarray(read.net(picture)))
            resized = image.resize((size[3], size[2]), Image.Resampling.BILINEAR)
            array = prepare(np.asarray(resized))[None]
            found.append({blob: np.repeat(array, size[0], 0)})
    return found


def _over(nets, engine, device, arrays, tolerance, seed) -> tuple[Difference, ...]:
    """Of each output its largest difference over all images."""
    from fcnkit.cli.progress import counted

    worst: dict[str, Difference] = {}
    with counted(len(arrays), f"comparing by {engine.name}") as progress:
        for each in arrays:
            for row in _compared(nets, engine, device, each, tolerance, seed):
                known = worst.get(row.output)
                if known is None or _rank(row) > _rank(known):
                    worst[row.output] = row
            progress(1)
    return tuple(worst.values())


def _rank(row: Difference) -> tuple[bool, bool, float]:
    """What differs counts more than what is equal, and what shows something more than what not."""
    return not row.ok, row.shows, row.relative


def _slid(nets, engine: "Engine", given, tolerance, seed) -> tuple[Difference, ...]:
    from fcnkit.verifying.windows import canvas_of, slide

    net, weights, new_net, new_weights = nets
    canvas, stride = canvas_of(net, new_net, given, seed)
    found = slide(
        net, weights, new_net, new_weights, canvas,
        stride=stride, engine=engine.name, tolerance=tolerance,
    )  # fmt: skip
    if not found.ok:
        _say_neighbours(net)
    return (found,)


def _say_neighbours(net: "Prototxt") -> None:
    """Standard error says what makes a window see more of a large image than of itself."""
    from fcnkit.nets.graph import build
    from fcnkit.rewrites.convolutionalize import convolutionalize, pads

    padded = [layer for layer in build(net).layers if pads(layer)]
    if padded:
        more = f" (so do {len(padded) - 1} more layers)" if padded[1:] else ""
        fact = f'{net.path}:{padded[0].line}: layer "{padded[0].name}" pads its input{more}'
        say(
            f"fcnkit: {fact}: each window is padded with zeros, but a large image only at its "
            "border",
            err=True,
        )
    for step in convolutionalize(net).steps:
        if step.verb == "keep":
            say(f'fcnkit: {net.path}:{step.line}: layer "{step.layer}": {step.why}', err=True)


# ---- layers


def _layers(nets, contents, renamed, runners, given, tolerance, seed, as_json) -> None:
    from fcnkit.verifying.layers import verify_layers

    def run(each: "Engine"):
        return verify_layers(
            *nets,
            names=renamed,
            engine=each.name,
            device=each.device,
            inputs=given,
            tolerance=tolerance,
            seed=seed,
        )

    found = _each(runners, run)
    rows = {name: [row.found for row in each.rows if row.found] for name, each in found.items()}
    proof = proof_of(rows, runners, given_words(given, seed), tolerance, contents)
    if as_json:
        engines = [
            {"engine": name, "version": proof.versions[name], **_layers_json(each)}
            for name, each in found.items()
        ]
        show_json({"command": command(), **proof.json(), "engines": engines})
    else:
        for name, each in found.items():
            say(f"{name}:\n" if len(found) > 1 else "", nl=False)
            say(layers_table(each, nets[2].path), nl=False)
        say(proof.record, nl=False)
    for unseen in dict.fromkeys(each.unseen for each in found.values() if each.unseen):
        say(f"fcnkit: {unseen}", err=True)
    if any(each.first or each.unseen for each in found.values()):
        raise SystemExit(1)


def _layers_json(found: "LayerDifferences") -> dict[str, Any]:
    return {
        "layers": [
            row._asdict() | {"found": row.found and row.found._asdict(), "ok": row.ok}
            for row in found.rows
        ],
        "alone": found.alone,
        "new_alone": found.new_alone,
        "unseen": found.unseen,
    }


def layers_table(found: "LayerDifferences", path: str) -> str:
    """A line for each layer, the first that differs, and the layers that only one net has."""
    from fcnkit.tables import aligned

    head = ["line", "layer", "values", "|difference|", "relative", ""]
    rows = []
    for row in found.rows:
        name = row.layer if row.layer == row.new_layer else f"{row.layer} -> {row.new_layer}"
        one = row.found
        cells = [str(row.new_line), name, " x ".join(map(str, row.new_shape))]
        cells += [f"{one.absolute:.3g}", f"{one.relative:.2g}"] if one else ["", ""]
        verdict = "" if row.ok else "DIFFERENT" if one else "another count"
        rows.append(dict(zip(head, [*cells, verdict], strict=True)))
    text = aligned(head, rows, ("layer", "values", ""))
    first = found.first
    if first:
        place = f'{path}:{first.new_line}: layer "{first.new_layer}"'
        was = " x ".join(map(str, first.shape))
        why = f"is the first that differs:\n  {first.found}" if first.found else (
            f"is the first with another number of values: {was} before"
        )  # fmt: skip
        text += f"{place} {why}\n"
    else:
        text += f"{number_of(len(found.rows), 'layer')} compared: all equal\n"
    for what, names_ in (("the old net", found.alone), ("the new net", found.new_alone)):
        if names_:
            few = ", ".join(names_[:5]) + (f" and {len(names_) - 5} more" if names_[5:] else "")
            text += f"only in {what}: {few}\n"
    return text
