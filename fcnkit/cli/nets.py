"""Commands that read and rewrite prototxts."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import click

from fcnkit.cli.arguments import (
    Rename,
    encodable,
    load,
    plan_options,
    saver,
    shape_option,
    show_json,
    show_plan,
    write_all,
)
from fcnkit.formats.prototxt import Prototxt
from fcnkit.plan import Plan

NET = click.argument("net", metavar="NET")


@click.command()
@NET
@click.option("--weights", metavar="FILE", help="A caffemodel: say how its blobs fit each layer.")
@click.option("--phase", type=click.Choice(["TEST", "TRAIN"]), default="TEST", show_default=True)
@click.option("--stage", "stages", multiple=True, help="A stage that rules ask for; may be repeated.")
@shape_option
@click.option("--to", metavar="BLOB", help="Count offsets from this blob; the first input by default.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def inspect(net, weights, phase, stages, inputs, to, as_json) -> None:
    """Print each layer's line, shape, parameters, cost, offsets and receptive field.

    \b
    fcnkit inspect template:vgg16
    fcnkit inspect deploy.prototxt --input data=1,3,500,500 --weights net.caffemodel
    """
    from fcnkit.inspection import inspect as look
    from fcnkit.nets.graph import State

    blobs = _open(weights) if weights else None
    found = look(load(net), weights=blobs, state=State(phase, 0, tuple(stages)), inputs=dict(inputs), to=to)
    if as_json:
        show_json(found.json())
    else:
        click.echo(encodable(found.table(_width())), nl=False)


@click.command()
@NET
@click.option("-o", "--output", metavar="OUT", help='Write the net here; "-" is standard output.')
@shape_option
@click.option(
    "--rename", type=Rename(), help="New names for converted layers: '{name}-conv', or fc6=conv6,..."
)
@click.option("--weights", metavar="IN", help="The classifier's caffemodel.")
@click.option("--weights-out", metavar="OUT", help="Write the transplanted caffemodel here.")
@plan_options
def convolutionalize(net, output, inputs, rename, weights, weights_out, diff, as_json, force) -> None:
    """Turn each InnerProduct into the Convolution that computes the same.

    \b
    fcnkit convolutionalize deploy.prototxt --diff
    fcnkit convolutionalize deploy.prototxt -o conv.prototxt \\
        --weights net.caffemodel --weights-out conv.caffemodel
    """
    from fcnkit.rewrites.convolutionalize import convolutionalize as rewrite

    if bool(weights) != bool(weights_out):
        raise click.UsageError("--weights and --weights-out go together: one is read, the other is written")
    plan = rewrite(load(net), inputs=dict(inputs), rename=rename)
    outputs = [(weights_out, _transplanted(plan, weights).save)] if weights else []
    if output:
        outputs.append((output, saver(plan.net)))
    write_all(outputs, force=force)
    show_plan(plan, diff=diff, as_json=as_json, quiet=output == "-")
    _say_written(outputs, as_json or diff)


@click.command()
@NET
@click.option(
    "--classes", type=click.IntRange(1), required=True, help="Classes to score, background included."
)
@click.option(
    "--stride", type=click.IntRange(1), required=True, help="Stride of the finest scores: 32, 16 or 8."
)
@click.option(
    "-o", "--output", metavar="DIR", help="Write deploy, train_val, solver (and weights) into this folder."
)
@click.option(
    "--weights", metavar="IN", help="The classifier's caffemodel, to be transplanted into init.caffemodel."
)
@click.option(
    "--pad", default="auto", show_default=True, metavar="auto|N|keep", help="Padding of the first layer."
)
@click.option(
    "--min-size", type=click.IntRange(1), default=32, show_default=True, help="Smallest image to be valid."
)
@click.option("--group/--no-group", default=True, help="Upsample each class by itself (default), or densely.")
@click.option("--filler", type=click.Choice(["msra", "xavier", "keep"]), default="msra", show_default=True,
              help="For layers that have none, in train_val.")  # fmt: skip
@click.option(
    "--ignore", type=int, default=255, show_default=True, help="Label that loss and accuracy leave out."
)
@click.option("--head", metavar="LAYER", help="The classifier layer, where the net has several.")
@shape_option
@click.option(
    "--data", default="", metavar="DIR", help="Folder of the LMDBs train_val reads; its own by default."
)
@click.option(
    "--mean", metavar="B,G,R", help="What train_val takes off each channel; NET's own mean_value by default."
)
@click.option("--scale", type=float, help="What train_val multiplies pixels by; NET's own scale by default.")
@click.option("--cpu", is_flag=True, help="A solver for the CPU; for the GPU by default.")
@plan_options
def fcn(
    net, classes, stride, output, weights, pad, min_size, group, filler, ignore, head, inputs, data,
    mean, scale, cpu, diff, as_json, force,
) -> None:  # fmt: skip
    """Make the fully convolutional network of a classifier, ready to train.

    With -o DIR: deploy.prototxt, train_val.prototxt, solver.prototxt and, with
    --weights or --no-group, init.caffemodel.  Train in that folder with

    \b
    caffe train -solver solver.prototxt -weights init.caffemodel

    \b
    fcnkit fcn template:alexnet --classes 21 --stride 32
    fcnkit fcn deploy.prototxt --classes 21 --stride 8 --weights net.caffemodel -o fcn8s
    """
    from fcnkit.rewrites.fcn import fcn as rewrite
    from fcnkit.rewrites.train import Images, images_of

    source = load(net)
    plan = rewrite(
        source, classes=classes, stride=stride, pad=_pad(pad), group=group, least=min_size, head=head,
        inputs=dict(inputs),
    )  # fmt: skip
    own = images_of(source)
    images = Images(data, _mean(mean) or own.mean, own.scale if scale is None else scale)
    outputs = _fcn_outputs(plan, Path(output), weights, ignore, filler, images, cpu) if output else []
    write_all(outputs, force=force, folder=Path(output) if output else None)
    show_plan(plan, diff=diff, as_json=as_json)
    _say_written(outputs, as_json or diff)


@click.command()
@NET
@click.option("-o", "--output", metavar="OUT", help='Write the net here; "-" is standard output.')
@click.option("--check", is_flag=True, help="Exit with 1 if a Crop's offset is not the right one.")
@plan_options
def align(net, output, check, diff, as_json, force) -> None:
    """Compute every Crop's offset; correct it, or check it.

    \b
    fcnkit align fcn.prototxt --check
    fcnkit align fcn.prototxt -o aligned.prototxt
    """
    from fcnkit.rewrites.align import align as rewrite

    plan = rewrite(load(net))
    outputs = [(output, saver(plan.net))] if output else []
    write_all(outputs, force=force)
    show_plan(plan, diff=diff, as_json=as_json, quiet=output == "-")
    _say_written(outputs, as_json or diff)
    if check and plan.changed:
        raise SystemExit(1)


def _open(path: str):
    from fcnkit.weights import store

    return store.open(path)


def _transplanted(plan: Plan, weights: str):
    from fcnkit.weights.surgery import transplant

    return transplant(plan, _open(weights))


def _fcn_outputs(plan: Plan, folder: Path, weights: str | None, ignore, filler, images, cpu) -> list:
    from fcnkit.rewrites.train import solver, train

    zero = {move.layer for move in plan.moves if move.how == "zero"}
    net = train(plan.net, ignore=ignore, filler=filler, zero=zero, images=images).net
    texts: dict[str, Prototxt] = {
        "deploy.prototxt": plan.net,
        "train_val.prototxt": net,
        "solver.prototxt": solver("train_val.prototxt", cpu=cpu, style=plan.net.style),
    }
    outputs = [(folder / name, saver(text)) for name, text in texts.items()]
    start = _transplanted(plan, weights) if weights else _dense_start(plan)
    return outputs + ([(folder / "init.caffemodel", start.save)] if start is not None else [])


def _dense_start(plan: Plan):
    """Bilinear kernels for ungrouped deconvolutions, which no filler gives; None without those."""
    from fcnkit.weights import store
    from fcnkit.weights.surgery import transplant

    dense = tuple(move for move in plan.moves if move.how == "bilinear" and move.shape[1] > 1)
    return transplant(replace(plan, moves=dense), store.create()) if dense else None


def _pad(text: str) -> str | int:
    if text in ("auto", "keep"):
        return text
    if not text.isdigit():
        raise click.BadParameter(f"{text!r}: is neither a number nor auto nor keep", param_hint="--pad")
    return int(text)


def _mean(text: str | None) -> list[float]:
    try:
        return [float(part) for part in text.split(",")] if text else []
    except ValueError:
        raise click.BadParameter(f"{text!r}: write it as 104,117,123", param_hint="--mean") from None


def _say_written(outputs, quiet: bool) -> None:
    for path, _ in outputs:
        if not quiet and str(path) != "-":
            click.echo(f"wrote {path}", err=True)


def _width() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 10_000
