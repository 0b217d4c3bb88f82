"""The trunk of an FCN: a classifier up to its scores, with a score for every place."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from fcnkit.errors import NetError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.graph import build
from fcnkit.nets.layers.table import count_of_outputs, of
from fcnkit.nets.shapes import shapes_of
from fcnkit.plan import Plan, Step
from fcnkit.plural import number_of
from fcnkit.rewrites.changes import removed, renamed_blob
from fcnkit.rewrites.convolutionalize import convolutionalize
from fcnkit.rewrites.rescore import completed, find_head, rescore
from fcnkit.rewrites.up_to_scores import up_to_scores
from fcnkit.rewrites.upgrade import upgrade
from fcnkit.shape import Shape

# What the FCN authors call the coarsest scores.
SCORES = "score_fr"
# And those of every pixel.
END = "score"


class Head(NamedTuple):
    """One set of classes; its layers' names end in `suffix`, `score` is the blob of its scores."""

    suffix: str
    classes: int
    score: str


def heads_of(net: Prototxt, classes: int | Mapping[str, int]) -> tuple[Head, ...]:
    """The sets of classes that are asked for; NetError for none."""
    if isinstance(classes, int):
        return (Head("", classes, SCORES),)
    if not classes:
        raise NetError(f"{net.path}: no classes are given; give a number, or one for each head")
    return tuple(Head(f"_{name}", count, f"{SCORES}_{name}") for name, count in classes.items())


def trunk_of(
    net: Prototxt, first: Head, head: str | None, inputs: Mapping[str, Shape] | None
) -> Plan:
    """The net up to the scores of its first head, every place scored."""
    plan = (
        _upgraded(net).then(completed, first.classes).then(up_to_scores, head=head, inputs=inputs)
    )
    scored = find_head(build(plan.net))
    plan = _slid(plan, scored.name).then(rescore, first.classes, name=first.score)
    if count_of_outputs(scored) != first.classes:
        return plan
    *before, last = plan.steps
    why = f"{last.why}; --keep-scores keeps the {first.classes} trained ones"
    return replace(plan, steps=(*before, last._replace(why=why)))


def scored_trunk(
    net: Prototxt, head: str | None, inputs: Mapping[str, Shape] | None
) -> tuple[Plan, Head]:
    """The net up to its own scores, every place scored, and what they are."""
    plan = _upgraded(net).then(up_to_scores, head=head, inputs=inputs, with_tail=True)
    scored = find_head(build(plan.net))
    plan = _slid(plan, scored.name)
    graph = build(plan.net)
    (scores,) = graph.outputs
    if scores.blob == END:
        fact = f'its scores are called "{END}", as those of every pixel are to be'
        remedy = f"rename them with `fcnkit surgery --do rename={END}:{SCORES}`"
        raise graph.producer(scores).error(f"{fact}; {remedy}")
    step = Step(
        "keep",
        scored.name,
        scored.line,
        f"{number_of(count_of_outputs(scored), 'class')}",
        "their weights are trained",
    )
    plan = replace(plan, steps=(*plan.steps, step))
    return plan, Head("", count_of_outputs(scored), scores.blob)


def _upgraded(net: Prototxt) -> Plan:
    return upgrade(net) if net.root.all("layers") else Plan(net, net)


def _slid(plan: Plan, head: str) -> Plan:
    """The net as convolutions, its scores not averaged; NetError where a layer cannot slide."""
    path, plan = plan.before.path, plan.then(convolutionalize)
    for step in plan.steps:
        if step.verb == "keep" and step.what == "InnerProduct":
            fact = f'layer "{step.layer}" stays an {step.what}: {step.why}'
            raise NetError(f"{path}:{step.line}: {fact}; an FCN cannot slide it over an image")
    # What a window's scores are at the border matters to those who slide a classifier alone.
    plan = replace(plan, steps=tuple(step for step in plan.steps if step.verb != "keep"))
    return plan.then(without_last_pooling, head)


def check_one_image(net: Prototxt) -> None:
    """The scores need one input, the image; NetError otherwise."""
    blobs = [top.blob for top in build(net).inputs]
    if len(blobs) > 1:
        fact = (
            f"its scores need {number_of(len(blobs), 'input')}, {', '.join(blobs)}; an FCN "
            "has one input, the image"
        )
        raise NetError(f"{net.path}: {fact}: join them in one blob, and split it with a Slice")


def without_last_pooling(net: Prototxt, head: str) -> Plan:
    """A pooling that averages the whole map before the head scores it is gone.

    Averaging and scoring are both linear: scoring each place and averaging
    the scores would give the same, and the FCN keeps the places.
    """
    graph = build(net)
    layer = graph.layer(head)
    users, top = [layer], layer.bottoms[0]
    while of(graph.producer(top)).identity(graph.producer(top)):
        users.append(graph.producer(top))
        top = graph.producer(top).bottoms[0]
    pool = graph.producer(top)
    if (
        of(pool).message != "pooling_param"
        or pool.param("pooling_param").get("pool") != "AVE"
        or (shapes_of(graph).tops[top] or ())[2:] != (1, 1)
    ):
        return Plan(net, net)
    why = f'remove "{pool.name}"'
    edits = [removed(pool.field, why), *renamed_blob(users, top.blob, pool.bottoms[0].blob, why)]
    step = Step(
        "remove",
        pool.name,
        pool.line,
        "average pooling",
        "an FCN scores every place instead of their average",
    )
    return Plan(net, net.edit(edits), (step,))
