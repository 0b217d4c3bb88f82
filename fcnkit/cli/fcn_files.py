"""What the command `fcn` writes: nets to deploy and to train, their solver, first weights."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcnkit.cli.arguments import WEIGHTS, transplanted
from fcnkit.cli.outputs import Output, saver, weights_saver
from fcnkit.errors import quoted
from fcnkit.formats.prototxt import Prototxt
from fcnkit.plan import Plan

if TYPE_CHECKING:
    from fcnkit.weights.store import Weights

_TRAINED = "train_val.prototxt"


def trained_plan(plan: Plan, how: Mapping[str, Any]) -> Plan:
    """The net to train, of that to deploy."""
    from fcnkit.rewrites.to_train import to_train

    zero = {move.layer for move in plan.moves if move.how == "zero"}
    return to_train(plan.net, zero=zero, **how)


def nets(plan: Plan, trained: Plan, cpu: bool, kind: str) -> dict[str, Prototxt]:
    """Each file's name, and its text."""
    from fcnkit.formats.prototxt import parse
    from fcnkit.rewrites.to_train import solver

    return {
        "deploy.prototxt": plan.net,
        _TRAINED: parse(trained.net.text, _TRAINED),
        "solver.prototxt": solver(_TRAINED, kind=kind, cpu=cpu, style=plan.net.style),
    }


def notes(trained: Plan, texts: Mapping[str, Prototxt]) -> Iterator[str]:
    """What is to be known of the net to train beside the plan, which is of the deployed one."""
    from fcnkit.linting.learning import said_of_training

    for step in trained.steps:
        if step.verb == "change":
            yield f'{_TRAINED}: layer "{step.layer}": {step.what}; {step.why}'
    yield from said_of_training(texts[_TRAINED], texts["solver.prototxt"])


def berkeley_nets(
    net: Prototxt, how: Mapping[str, Any], solving: Mapping[str, Any]
) -> dict[str, Prototxt]:
    """As `nets`, in the FCN authors' style, for their deploy net without its changes."""
    from fcnkit.rewrites import berkeley

    splits = {
        f"{split}.prototxt": berkeley.trained(net, split=split, **how).net
        for split in ("train", "val")
    }
    return {**splits, "solver.prototxt": berkeley.solver(net, **solving, style=net.style)}


def of_images(weights: str | None, images: Sequence[str]) -> dict[str, str]:
    """{image: file} of NAME=IN,NAME=IN; nothing where it is one file for all.

    Raises click's error where not each image has a file.
    """
    words = "|".join(re.escape(name) for name in images)
    if not weights or not images or not re.match(rf"(?:{words})=", weights):
        return {}
    pairs = [part.partition("=") for part in re.split(rf",(?=(?:{words})=)", weights)]
    named = [name for name, _, _ in pairs]
    if sorted(named) != sorted(images) or not all(file for _, _, file in pairs):
        fact = f"{quoted(weights)}: has files for {', '.join(named)}"
        remedy = f"give a file for each of {', '.join(images)}, or one file for all"
        raise click.BadParameter(f"{fact}; {remedy}", param_hint="--weights")
    found = {name: str(WEIGHTS.convert(file, None, None)) for name, _, file in pairs}
    return {name: found[name] for name in images}


def of_each(plan: Plan, one: Plan, weights: Mapping[str, str]) -> "Weights":
    """First weights of a net of several trunks, from a file for each image.

    A file has the scores of `one`, the same net with one trunk, trained; or is a
    classifier's.
    """
    from fcnkit.rewrites.fusion import left_to_fillers
    from fcnkit.rewrites.trunk import SCORES
    from fcnkit.weights import store, streams

    made = {}
    for image, path in weights.items():
        own = store.open(path)
        trained = any(name.startswith(SCORES) for name in own)
        made[image] = own if trained else transplanted(one, path, partly=True)
    return streams.of_each(one.net, plan.net, made, left_to_fillers(one))


def outputs(
    plan: Plan,
    texts: Mapping[str, Prototxt],
    folder: Path,
    weights: "str | Weights | None",
) -> list[Output]:
    """Each file's path, and what saves it; `weights` are those before the plan, or after it."""
    if isinstance(weights, str):
        start = transplanted(plan, weights, partly=True)
    else:
        start = _dense_start(plan) if weights is None else weights
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
