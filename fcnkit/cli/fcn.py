"""The command `fcn`: makes an FCN, its solver and its first weights."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from fcnkit.cli.arguments import (
    WEIGHTS,
    Classes,
    Number,
    load_net,
    plan_options,
    shape_option,
    show_plan,
    transplanted,
)
from fcnkit.cli.outputs import Output, saver, say_written, weights_saver, write_all
from fcnkit.cli.preprocessing import note, of_training, one_scale, unknown_mean
from fcnkit.cli.text import say
from fcnkit.errors import quoted
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of
from fcnkit.plan import Plan
from fcnkit.preprocessing import place
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
    help="In place of --classes: the classifier's own scores at every pixel, without training.",
)
@click.option(
    "--stride",
    type=click.IntRange(1),
    required=True,
    help="Stride of the finest scores: 32, 16 or 8.",
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
    help="The classifier's caffemodel, to be transplanted into init.caffemodel.",
)
@click.option(
    "--pad",
    metavar="auto|N|keep",
    help="Padding of the first layer; auto, or 100 in berkeley style.",
)
@click.option(
    "--min-size",
    type=click.IntRange(1),
    default=32,
    show_default=True,
    help="Smallest image to be valid.",
)
@click.option(
    "--group/--no-group", default=None, help="Upsample each class by itself (default), or densely."
)
@click.option(
    "--at-once",
    is_flag=True,
    help="Scale the skips by 0.01, 0.0001: trained in one go, not in stages.",
)
@click.option(
    "--style",
    type=click.Choice(["fcnkit", "berkeley"]),
    default="fcnkit",
    show_default=True,
    help="berkeley: field for field as the FCN authors publish theirs.",
)
@click.option(
    "--filler",
    type=click.Choice(["msra", "xavier", "keep"]),
    default="msra",
    show_default=True,
    help="For layers that have none, in train_val.",
)
@click.option(
    "--refill",
    is_flag=True,
    help="--filler for layers that have one, too: to start from random weights.",
)
@click.option(
    "--bias-rate",
    type=Number(0),
    metavar="R",
    help="lr_mult of biases where NET has none: 2; try 20 for adam with --refill.",
)
@click.option(
    "--ignore",
    type=int,
    default=255,
    show_default=True,
    help="Label that loss and accuracy leave out.",
)
@click.option(
    "--misaligned",
    is_flag=True,
    help="Accept branches that lie a part of a pixel apart, as BN-Inception's do.",
)
@click.option("--head", metavar="LAYER", help="The classifier layer, where the net has several.")
@shape_option
@click.option(
    "--data",
    metavar="DIR",
    help="Folder of the LMDBs train_val reads; its own by default.",
)
@click.option(
    "--mean",
    metavar="B,G,R",
    help="What train_val takes off each channel; NET's mean_value by default.",
)
@click.option(
    "--scale",
    type=Number(),
    help="What train_val multiplies pixels by; NET's own scale by default.",
)
@click.option(
    "--labels",
    metavar="FILE",
    help="Names of the classes, one a line; by default those of the data set in DIR.",
)
@click.option("--cpu", is_flag=True, help="A solver for the CPU; for the GPU by default.")
@click.option(
    "--solver",
    "kind",
    type=click.Choice(["sgd", "adam"]),
    default="sgd",
    show_default=True,
    help="sgd as published; adam, its rate falling to nothing, for short trainings.",
)
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
    diff,
    as_json,
    force,
) -> None:
    """Make the fully convolutional network of a classifier, ready to train.

    With -o DIR: deploy.prototxt, train_val.prototxt, solver.prototxt and, with
    --weights or --no-group, init.caffemodel; in berkeley style train.prototxt
    and val.prototxt in place of train_val.  deploy.preprocessing.json says what
    the net wants of an image, and `fcnkit infer` heeds it.  Train in that folder with

    \b
    caffe train -solver solver.prototxt -weights init.caffemodel

    With --keep-scores the scores are the classifier's own, upsampled and cropped to
    the image; `fcnkit infer` takes deploy.prototxt with init.caffemodel as they are.

    \b
    fcnkit fcn template:alexnet --classes 21 --stride 32
    fcnkit fcn deploy.prototxt --classes 21 --stride 8 \\
        --weights net.caffemodel -o fcn8s
    fcnkit fcn deploy.prototxt --keep-scores --stride 32 \\
        --weights net.caffemodel -o dense
    fcnkit fcn template:vgg16 --classes 21 --stride 8 --style berkeley \\
        -o voc-fcn8s
    """
    from fcnkit.rewrites.berkeley import deployed
    from fcnkit.rewrites.fcn import fcn as rewrite
    from fcnkit.rewrites.parts import BIAS_RATE
    from fcnkit.rewrites.to_train import Images

    data = data or ""
    if keep_scores and classes is not None:
        raise click.UsageError("--classes starts new scores; --keep-scores keeps the old: give one")
    if not keep_scores and classes is None:
        raise click.UsageError(
            "say what to score: --classes N, or --keep-scores for the classifier's own classes"
        )
    berkeley = style == "berkeley"
    if berkeley and keep_scores:
        raise click.UsageError("--style berkeley starts new scores; --keep-scores keeps the old")
    if berkeley and kind != "sgd":
        raise click.UsageError(
            f"--style berkeley has the solvers published for it, not --solver {kind}"
        )
    if berkeley and bias_rate is not None:
        raise click.UsageError("--style berkeley has the rates published for it, not --bias-rate")
    source = load_net(net)
    plan = rewrite(
        source,
        classes=classes,
        stride=stride,
        pad=_pad(("100" if berkeley else "auto") if pad is None else pad),
        group=not berkeley if group is None else group,
        at_once=at_once,
        least=min_size,
        head=head,
        inputs=dict(inputs),
        misaligned=misaligned,
        keep_scores=keep_scores,
    )
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
            **_berkeley_texts(trunk, stride, at_once, ignore, images, cpu),
        }
    else:
        how = {
            "ignore": ignore,
            "filler": filler,
            "refill": refill,
            "images": images,
            "bias_rate": BIAS_RATE if bias_rate is None else bias_rate,
        }
        trained = _trained(plan, how)
        texts = _texts(plan, trained, cpu, kind)
    folder = Path(output) if output else None
    outputs = _outputs(plan, texts, folder, weights) if folder else []
    if folder:
        outputs.insert(0, (place(folder / "deploy.prototxt"), wanted.save))
    if weights and "mean" not in wanted.origins:
        note(f"nothing is taken off the images: {unknown_mean(plan.net, weights)}")
    # The authors' solvers put snapshots into a folder, without which Caffe does not start.
    write_all(outputs, force=force, folder=folder / "snapshot" if folder and berkeley else folder)
    show_plan(plan, diff=diff, as_json=as_json)
    say_written(outputs, as_json or diff)
    for line in _of_training(trained, texts) if not berkeley else ():
        say(line, err=True)


def _count(plan: Plan) -> int:
    """How many classes the net scores at every pixel."""
    from fcnkit.rewrites.trunk import END

    graph = build(plan.net)
    return (shapes_of(graph).tops[graph.top(END)] or (0, 0))[1]


def _input_shape(net: Prototxt) -> Shape | None:
    graph = build(net)
    layer = graph.producer(graph.inputs[0])
    return layer.input_shapes[graph.inputs[0].index]


_TRAINED = "train_val.prototxt"


def _trained(plan: Plan, how: Mapping[str, Any]) -> Plan:
    from fcnkit.rewrites.to_train import to_train

    zero = {move.layer for move in plan.moves if move.how == "zero"}
    return to_train(plan.net, zero=zero, **how)


def _texts(plan: Plan, trained: Plan, cpu: bool, kind: str) -> dict[str, Prototxt]:
    from fcnkit.formats.prototxt import parse
    from fcnkit.rewrites.to_train import solver

    return {
        "deploy.prototxt": plan.net,
        _TRAINED: parse(trained.net.text, _TRAINED),
        "solver.prototxt": solver(_TRAINED, kind=kind, cpu=cpu, style=plan.net.style),
    }


def _of_training(trained: Plan, texts: Mapping[str, Prototxt]) -> Iterator[str]:
    """What is to be known of the net to train beside the plan, which is of the deployed one."""
    from fcnkit.linting.learning import said_of_training

    for step in trained.steps:
        if step.verb == "change":
            yield f'{_TRAINED}: layer "{step.layer}": {step.what}; {step.why}'
    yield from said_of_training(texts[_TRAINED], texts["solver.prototxt"])


def _berkeley_texts(
    net: Prototxt, stride: int, at_once: bool, ignore: int, images, cpu
) -> dict[str, Prototxt]:
    from fcnkit.rewrites import berkeley

    splits = {
        f"{split}.prototxt": berkeley.trained(net, split=split, ignore=ignore, images=images).net
        for split in ("train", "val")
    }
    solver = berkeley.solver(net, stride=stride, at_once=at_once, cpu=cpu, style=net.style)
    return {**splits, "solver.prototxt": solver}


def _outputs(
    plan: Plan, texts: Mapping[str, Prototxt], folder: Path, weights: str | None
) -> list[Output]:
    start = transplanted(plan, weights, partly=True) if weights else _dense_start(plan)
    # Weights first: nets without them would train from fillers, and nobody would see it.
    first = [] if start is None else [(folder / "init.caffemodel", weights_saver(start))]
    return [*first, *((folder / name, saver(text)) for name, text in texts.items())]


def _dense_start(plan: Plan):
    """Bilinear kernels that no filler of Caffe gives; None where there are none.

    They are those of ungrouped deconvolutions, and those that are not square.
    """
    from fcnkit.weights import store
    from fcnkit.weights.surgery import transplant

    dense = tuple(
        move
        for move in plan.moves
        if move.how == "bilinear" and (move.shape[1] > 1 or len(set(move.shape[2:])) > 1)
    )
    return transplant(replace(plan, moves=dense), store.create()) if dense else None


def _pad(text: str) -> str | int:
    if text in ("auto", "keep"):
        return text
    try:
        return whole_number(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}, nor auto nor keep", param_hint="--pad") from None


def _mean(text: str | None) -> list[float]:
    try:
        return [finite_number(part) for part in text.split(",")] if text else []
    except ValueError:
        raise click.BadParameter(
            f"{quoted(str(text))}: write it as 104,117,123", param_hint="--mean"
        ) from None
