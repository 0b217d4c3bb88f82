"""The command `fcn`: makes an FCN, its solver and its first weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from fcnkit.cli import fcn_files as files
from fcnkit.cli.arguments import (
    WEIGHTS,
    Channels,
    Classes,
    Number,
    load_net,
    plan_options,
    shape_option,
    show_plan,
    transplanted,
)
from fcnkit.cli.engines import proof_options
from fcnkit.cli.outputs import check_names, say_written, write_all
from fcnkit.cli.preprocessing import note, of_training, one_scale, unknown_mean
from fcnkit.cli.proofs import check_verify, end_with, proof_of_plan, show_rows
from fcnkit.cli.records import keep_proof, kept
from fcnkit.cli.text import say
from fcnkit.errors import quoted
from fcnkit.formats.prototxt import Prototxt
from fcnkit.formats.suffixes import check_folder
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of
from fcnkit.plan import Plan
from fcnkit.plural import number_of
from fcnkit.preprocessing import place
from fcnkit.reporting.records import PROOF
from fcnkit.rewrites.operations import finite_number, whole_number
from fcnkit.shape import Shape


@click.command(short_help="Make a classifier an FCN, ready to train.")
@click.argument("net", metavar="NET")
@click.option(
    "--classes",
    type=Classes(),
    metavar="N",
    help="Classes to score, or HEAD=N,HEAD=N.",
)
@click.option(
    "--keep-scores",
    is_flag=True,
    help="Instead of --classes: the classifier's own classes at every pixel, without training.",
)
@click.option(
    "--stride",
    type=click.IntRange(1),
    required=True,
    help="Stride of the finest scores: 32, 16 or 8 for VGG-16; other nets differ.",
)
@click.option(
    "-o",
    "--output",
    metavar="DIR",
    help="Write deploy, train_val, solver (and weights) into this folder.",
)
@click.option(
    "--weights",
    type=WEIGHTS,
    metavar="IN",
    help=(
        "The classifier's caffemodel, copied into init.caffemodel; NAME=IN,... for each "
        "image of --late."
    ),
)
@click.option(
    "--pad",
    metavar="auto|N|keep",
    help="Padding of the first layer; by default auto, or 100 in berkeley style.",
)
@click.option(
    "--min-size",
    type=click.IntRange(1),
    default=32,
    show_default=True,
    help="The smallest image that must work.",
)
@click.option(
    "--group/--no-group",
    default=None,
    help="Upsample each class separately (the default), or all together.",
)
@click.option(
    "--at-once",
    is_flag=True,
    help="Scale the skips by 0.01 and 0.0001, to train in one go instead of in stages.",
)
@click.option(
    "--early",
    type=Channels(),
    metavar="NAME=ABC,...",
    help=(
        "Early fusion: images stacked into one, with a letter for each channel: color=bgr,depth=d."
    ),
)
@click.option(
    "--late",
    metavar="NAME,NAME",
    help="Late fusion: a trunk for each image, with averaged scores: color,hha.",
)
@click.option(
    "--style",
    type=click.Choice(["fcnkit", "berkeley"]),
    default="fcnkit",
    show_default=True,
    help="berkeley: write every field as the FCN authors' published nets have it.",
)
@click.option(
    "--filler",
    type=click.Choice(["msra", "xavier", "keep"]),
    default="msra",
    show_default=True,
    help="Weight filler of layers that have none, in train_val.",
)
@click.option(
    "--refill",
    is_flag=True,
    help="Use --filler for all layers, to start from random weights.",
)
@click.option(
    "--bias-rate",
    type=Number(0),
    metavar="R",
    help="lr_mult of biases to which NET gives none; 2 by default; with adam and --refill, try 20.",
)
@click.option(
    "--ignore",
    type=int,
    default=255,
    show_default=True,
    help="The label value that loss and accuracy ignore.",
)
@click.option(
    "--misaligned",
    is_flag=True,
    help="Accept branches that are misaligned, as in BN-Inception; the first branch then counts.",
)
@click.option("--head", metavar="LAYER", help="The classifier layer, if the net has several.")
@shape_option
@click.option(
    "--data",
    metavar="DIR",
    help="Folder of the LMDBs that train_val reads, relative to the FCN's folder; by default "
    "that folder itself.",
)
@click.option(
    "--mean",
    metavar="B,G,R",
    help="The mean that train_val subtracts from each channel; NET's mean_value by default.",
)
@click.option(
    "--scale",
    type=Number(),
    help="Factor that train_val applies after the mean; NET's own scale by default.",
)
@click.option(
    "--labels",
    metavar="FILE",
    help="Names of the classes, one per line; by default those of the data set in --data.",
)
@click.option("--cpu", is_flag=True, help="Write a solver for the CPU; by default for the GPU.")
@click.option(
    "--solver",
    "kind",
    type=click.Choice(["sgd", "adam"]),
    default="sgd",
    show_default=True,
    help="sgd: as published; adam: for short training runs, with a rate that falls to zero.",
)
@proof_options
@plan_options
def fcn(
    net,
    classes,
    keep_scores,
    stride,
    output,
    weights,
    pad,
    min_size,
    group,
    at_once,
    early,
    late,
    style,
    filler,
    refill,
    bias_rate,
    ignore,
    misaligned,
    head,
    inputs,
    data,
    mean,
    scale,
    labels,
    cpu,
    kind,
    verified,
    engine,
    diff,
    as_json,
    force,
) -> None:
    """Make the fully convolutional network of a classifier, ready to train.

    DIR gets deploy.prototxt, train_val.prototxt and solver.prototxt; in berkeley style,
    train.prototxt and val.prototxt replace train_val.prototxt. With --weights, with --no-group or
    in berkeley style, it also gets init.caffemodel. deploy.preprocessing.json tells `fcnkit infer`
    how to prepare images; plan.json, and with --verify proof.json, are for `fcnkit report`. Train
    in that folder with

    \b
    caffe train -solver solver.prototxt -weights init.caffemodel

    With --keep-scores the scores are the classifier's own, upsampled and cropped to the image;
    deploy.prototxt with init.caffemodel is ready for `fcnkit infer`.

    \b
    fcnkit fcn template:alexnet --classes 21 --stride 32
    fcnkit fcn deploy.prototxt --classes 21 --stride 8 \\
        --weights net.caffemodel -o fcn8s
    fcnkit fcn deploy.prototxt --keep-scores --stride 32 \\
        --weights net.caffemodel -o dense
    fcnkit fcn template:vgg16 --classes 21 --stride 8 --style berkeley \\
        -o voc-fcn8s
    fcnkit fcn template:vgg16 --classes 40 --stride 32 --style berkeley \\
        --late color,hha --weights vgg16.caffemodel -o nyud-fcn32s-color-hha
    """
    from fcnkit.rewrites.berkeley import deployed
    from fcnkit.rewrites.fcn import fcn as rewrite
    from fcnkit.rewrites.parts import BIAS_RATE
    from fcnkit.rewrites.to_train import Images

    data = data or ""
    if keep_scores and classes is not None:
        raise click.UsageError(
            "--classes starts new scores, --keep-scores keeps the old ones: give one of them"
        )
    if not keep_scores and classes is None:
        raise click.UsageError(
            "give the classes: --classes N, or --keep-scores for the classifier's own"
        )
    old = check_verify(verified, engine, weights)
    if output:
        check_folder(output, "nets")
    if early and late is not None:
        raise click.UsageError("--early and --late exclude each other; give one of them")
    if verified and (early or late is not None):
        fact = "--verify compares a net of one image with its FCN, and the fused net has several"
        raise click.UsageError(f"{fact}; verify the FCN of one image, without --early and --late")
    berkeley = style == "berkeley"
    if berkeley and keep_scores:
        raise click.UsageError("--style berkeley starts new scores; --keep-scores keeps the old")
    if berkeley and kind != "sgd":
        raise click.UsageError(
            f"--style berkeley has the solvers published for it, not --solver {kind}"
        )
    if berkeley and bias_rate is not None:
        raise click.UsageError("--style berkeley has the rates published for it, not --bias-rate")
    source, images_late = load_net(net), late.split(",") if late is not None else []
    how: dict[str, Any] = {
        "classes": classes,
        "stride": stride,
        "pad": _pad(("100" if berkeley else "auto") if pad is None else pad),
        "group": not berkeley if group is None else group,
        "at_once": at_once,
        "least": min_size,
        "head": head,
        "inputs": dict(inputs),
        "misaligned": misaligned,
        "keep_scores": keep_scores,
        "early": early,
    }
    plan = rewrite(source, **how, late=images_late)
    by_image = files.of_images(weights, images_late)
    start = files.of_each(plan, rewrite(source, **how), by_image) if by_image else weights
    wanted = of_training(
        source,
        _input_shape(plan.net),
        mean=_mean(mean),
        scale=scale,
        labels=labels,
        data=data or output or "",
        classes=_count(plan) if keep_scores else classes if isinstance(classes, int) else 0,
    )
    images = Images(data, wanted.mean or (), one_scale(wanted.scale, source))
    if berkeley:
        trunk, plan = plan.net, plan.then(deployed)
        texts = {
            "deploy.prototxt": plan.net,
            **files.berkeley_nets(
                trunk,
                {"ignore": ignore, "images": images, "fused": _fused(trunk, early, images_late)},
                {"stride": stride, "at_once": at_once, "late": bool(images_late), "cpu": cpu},
            ),
        }
    else:
        training = {
            "ignore": ignore,
            "filler": filler,
            "refill": refill,
            "images": images,
            "bias_rate": BIAS_RATE if bias_rate is None else bias_rate,
        }
        trained = files.trained_plan(plan, training)
        texts = files.nets(plan, trained, cpu, kind)
    folder = Path(output) if output else None
    outputs = files.outputs(plan, texts, folder, start) if folder else []
    if folder:
        # Behind the weights, which take long: a kill meanwhile leaves nothing.
        at = len(outputs) - len(texts)
        outputs[at:at] = [(place(folder / "deploy.prototxt"), wanted.save), kept(plan, folder)]
    if folder and verified:
        check_names([(folder / PROOF, wanted.save)], force)
    if weights and "mean" not in wanted.origins:
        channels = (_input_shape(plan.net) or (0, 0))[1]
        each = f"give --mean with a number for each of {number_of(channels, 'channel')}"
        why = each if early or images_late else unknown_mean(plan.net, weights)
        note(f"no mean is subtracted from the images: {why}")
    # The authors' solvers put snapshots into a folder, without which Caffe does not start.
    write_all(outputs, force=force, folder=folder / "snapshot" if folder and berkeley else folder)
    proof = None
    if old:
        made = folder / "init.caffemodel" if folder else transplanted(plan, weights, partly=True)
        words = {"engine": engine, "inputs": dict(inputs)}
        deployed_net = str(folder / "deploy.prototxt") if folder else None
        proof = proof_of_plan(plan, old, made, net=deployed_net, **words)
        outputs += keep_proof(proof, folder) if folder else []
    show_plan(plan, diff=diff, as_json=as_json, more={"verify": proof.json()} if proof else {})
    say_written(outputs, as_json or diff)
    for line in files.notes(trained, texts) if not berkeley else ():
        say(line, err=True)
    if proof and not as_json:
        show_rows(proof)
    end_with(proof)


def _count(plan: Plan) -> int:
    """How many classes the net scores at every pixel."""
    from fcnkit.rewrites.trunk import END

    graph = build(plan.net)
    return (shapes_of(graph).tops[graph.top(END)] or (0, 0))[1]


def _input_shape(net: Prototxt) -> Shape | None:
    graph = build(net)
    layer = graph.producer(graph.inputs[0])
    return layer.input_shapes[graph.inputs[0].index]


def _fused(net: Prototxt, early: Mapping[str, str] | None, late: Sequence[str]) -> dict[str, int]:
    """How many channels each image has, of those that are fused."""
    if early:
        return {name: len(letters) for name, letters in early.items()}
    channels = (_input_shape(net) or (0, 0))[1]
    return {name: channels // len(late) for name in late}


def _pad(text: str) -> str | int:
    if text in ("auto", "keep"):
        return text
    try:
        return whole_number(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{error}, and neither auto nor keep", param_hint="--pad"
        ) from None


def _mean(text: str | None) -> list[float]:
    try:
        return [finite_number(part) for part in text.split(",")] if text else []
    except ValueError:
        raise click.BadParameter(
            f"{quoted(str(text))}: write it as 104,117,123", param_hint="--mean"
        ) from None
