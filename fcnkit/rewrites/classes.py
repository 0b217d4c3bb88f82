"""The classes of a net: selected, reordered, and new ones beside them.

Scores are made by learned layers, and what adds, upsamples or crops them keeps
one channel for each class.  All of it follows when the classes change.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from fcnkit import expected
from fcnkit.edits import Edit
from fcnkit.formats.prototxt import NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.formats.schema import FILLERS
from fcnkit.nets.graph import Layer, Top
from fcnkit.nets.layers.strange_fields import understood
from fcnkit.nets.layers.table import (
    channels_of,
    count_of_outputs,
    groups_of,
    of,
    sized_by,
    trait,
)
from fcnkit.nets.layers.traits import Trait
from fcnkit.plan import Move, Plan, ScoresBefore, Step
from fcnkit.plural import number_of
from fcnkit.rewrites.changes import set_param
from fcnkit.rewrites.operations import (
    MOST,
    Arguments,
    Operation,
    comma_separated,
    name_and_rest,
    whole_number,
)
from fcnkit.rewrites.states import Known, States, refused, states
from fcnkit.shape import Shape

ZERO = "zero"
# What keeps each class in its channel, and knows nothing of how many there are.
_ALIKE = (Trait.VALUE, Trait.PLACES, Trait.ARRANGES)
# Where scores end: what these give is for each class, or for none.
_ENDS = (Trait.LOSS, Trait.JUDGE, Trait.SINK)


class _Scores(NamedTuple):
    """What has a channel for each class in one state."""

    known: Known
    heads: tuple[Layer, ...]
    upscores: tuple[Layer, ...]


@expected.checked
def reclass(
    net: NetOrPath,
    layer: str,
    classes: Sequence[int | None],
    *,
    filler: str = ZERO,
    seed: int = 0,
    inputs: Mapping[str, Shape] | None = None,
) -> Plan:
    """The scores of `layer` are for these classes: a number keeps an old class, None adds a new
    one.

    >>> plan = fk.reclass("deploy.prototxt", "ip2", [0, 1, None])
    >>> plan.steps[0].what
    '11 -> 3 classes; 1 new with zero weights'

    Old classes keep their scores bit for bit. A new class starts from zero, or from `filler`,
    with a bias of zero. Layers whose scores are summed with these, such as those of skips,
    change in the same way. If each class is upsampled separately, a new class is upsampled like
    class 0.

    - `net`: a Prototxt or its path.
    - `layer`: the name of the layer of scores.
    - `classes`: for each new class, the number of an old class, or None.
    - `filler`: "zero", or one of Caffe's fillers.
    - `seed`: the random seed of the filler.
    - `inputs`: shapes by blob name, such as {"data": (1, 3, 227, 227)}, instead of those in the
      file.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError if the scores reach a layer that cannot be adapted, if parameters are
    shared, and for a class that does not exist.
    """
    net = given_net(net)
    work = states(net, inputs)
    start = work.named(layer)
    found = [scores for known in work.each for scores in _found(known, start)]
    count = count_of_outputs(start[0])
    _check(net, layer, classes, count, filler)
    heads, upscores = (_each(group) for group in zip(*(each[1:] for each in found), strict=True))
    rows = tuple(() if index is None else ((index, 1),) for index in classes)
    steps, edits, moves = {}, [], []
    for each in (*heads, *upscores):
        group = groups_of(each)
        made = _head_moves if each in heads else _upscore_moves
        moves += made(work, each, rows, count, group, (filler, seed) if filler != ZERO else ())
        edits += _edits(net, each, len(classes), each in upscores and group > 1)
        steps[each.field.start] = _step(each, classes, count, filler if each in heads else "")
    plan = work.plan(edits, steps, moves)
    # Raises where a layer cannot take so many, as an Accuracy of the top 5.
    states(plan.net, inputs)
    scores = (ScoresBefore(each.name, tuple(classes)) for each in heads)
    return replace(plan, scores=tuple(dict.fromkeys(scores)))


def _found(known: Known, start: Sequence[Layer]) -> Iterator[_Scores]:
    """The layers that score or upsample the classes of the layers `start`, in one state."""
    places = {layer.field.start for layer in start}
    here = [layer for layer in known.graph.layers if layer.field.start in places]
    for layer in here:
        if not of(layer).linear:
            raise layer.error(
                f"its type is {layer.type}; name the Convolution or InnerProduct that scores"
            )
        yield _spread(known, layer)


def _spread(known: Known, start: Layer) -> _Scores:
    """Every layer with a channel for each class,
    reached from `start` through what keeps the channels.
    """
    graph, count = known.graph, count_of_outputs(start)
    heads, upscores, seen, todo = [], [], set(), list(start.tops)
    while todo:
        top = todo.pop()
        if top in seen:
            continue
        seen.add(top)
        producer = graph.producer(top)
        if _upsamples(known, producer, count):
            upscores.append(producer)
            todo += producer.bottoms + producer.tops
        elif of(producer).linear:
            heads.append(producer)
            todo += producer.tops
        else:
            todo += _carried(producer, channels_of(producer), top)
        for user in graph.consumers[top]:
            todo += _after(known, user, top, count)
    return _Scores(known, tuple(dict.fromkeys(heads)), tuple(dict.fromkeys(upscores)))


def _upsamples(known: Known, layer: Layer, count: int) -> bool:
    """Whether it brings scores to a higher resolution, as a Deconvolution does."""
    if not of(layer).spreads:
        return False
    return known.shapes.channels(layer.bottoms[0]) == count_of_outputs(layer) == count


def _carried(layer: Layer, others: Sequence[Top], top: Top) -> Sequence[Top]:
    """The tops or bottoms that have the channels of `top`, of a layer that keeps them."""
    # A Softmax makes other probabilities of fewer classes, which is what is asked for.
    if (trait(layer) not in _ALIKE and layer.type != "Softmax") or not channels_of(layer):
        fact = (
            f'its type is {layer.type}, and the classes of "{top.blob}" cannot be followed '
            f"through it"
        )
        raise layer.error(f"{fact}; change that part of the net by hand first")
    understood(layer)
    return others


def _after(known: Known, user: Layer, top: Top, count: int) -> Sequence[Top]:
    """The tops of a layer that reads scores, where they are scores of the same classes."""
    kept = channels_of(user)
    # An InfogainLoss is given a matrix with a row for each class.
    if trait(user) in _ENDS and user.type != "InfogainLoss":
        return ()
    if kept and top not in kept and top in sized_by(user):
        return ()
    return user.tops if _upsamples(known, user, count) else _carried(user, user.tops, top)


def _each(groups: Sequence[Sequence[Layer]]) -> list[Layer]:
    return list({layer.field.start: layer for group in groups for layer in group}.values())


def _check(
    net: Prototxt, layer: str, classes: Sequence[int | None], count: int, filler: str
) -> None:
    if not classes:
        raise refused(net, f'layer "{layer}": no classes are left; give at least one')
    # At the first: a range may be long.
    for index in classes:
        if index is not None and not 0 <= index < count:
            fact = f"it has {number_of(count, 'class')}, 0 to {count - 1}, and no {index}"
            raise refused(net, f'layer "{layer}": {fact}')
    if filler != ZERO and filler not in FILLERS:
        fact = f'new classes cannot start with filler "{filler}": Caffe has no such filler'
        remedy = f"give zero (in --do: new) or one of {', '.join(FILLERS)}"
        raise refused(net, f'layer "{layer}": {fact}; {remedy}')


def _head_moves(
    work: States, layer: Layer, rows: tuple, count: int, group: int, filler: tuple
) -> list[Move]:
    """A layer that scores: its outputs are the rows;
    along axis 1 where weights are inputs x outputs.
    """
    weights, *bias = (tuple(shape) for shape in work.blobs(work.alone(layer)))
    axis = of(layer).output_axis(layer)
    if group > 1 or (axis and filler):
        what = (
            f"it has {number_of(group, 'group')}"
            if group > 1
            else "its outputs are not along the first axis of its weights"
        )
        raise layer.error(
            f"{what}; " + ("make it dense first" if group > 1 else "let new classes be zero")
        )
    new = (*weights[:axis], len(rows), *weights[axis + 1 :])
    return [
        Move(layer.name, 0, new, layer.name, "mix", (weights, ((axis, rows),), filler)),
        *_bias_moves(layer, bias, rows),
    ]


def _bias_moves(layer: Layer, bias: Sequence[Shape], rows: tuple) -> list[Move]:
    return [
        Move(layer.name, 1, (len(rows),), layer.name, "mix", (shape, ((0, rows),)))
        for shape in bias
    ]


def _upscore_moves(
    work: States, layer: Layer, rows: tuple, count: int, group: int, filler: tuple
) -> list[Move]:
    """A layer that upsamples each class by itself: the rows, class 0's for a new one.

    Dense weights are taken as one group for each class, and made dense again.
    """
    weights, *bias = (tuple(shape) for shape in work.blobs(work.alone(layer)))
    if group not in (1, count):
        raise layer.error(
            f"it upsamples {number_of(count, 'class')} in {number_of(group, 'group')}; give it "
            "one for each, or one"
        )
    planes, new = (count, 1, *weights[2:]), (len(rows), 1, *weights[2:])
    own = tuple(row or ((0, 1),) for row in rows)
    apart = Move(layer.name, 0, planes, layer.name, "group", (count,))
    mixed = Move(layer.name, 0, new, layer.name, "mix", (planes, ((0, own),)))
    if group == count and group > 1:
        return [mixed, *_bias_moves(layer, bias, rows)]
    mixed = mixed._replace(after=(apart,))
    dense = Move(
        layer.name, 0, (len(rows), *new[:1], *new[2:]), layer.name, "dense", (len(rows),), (mixed,)
    )
    return [dense, *_bias_moves(layer, bias, rows)]


def _edits(net: Prototxt, layer: Layer, count: int, grouped: bool) -> list[Edit]:
    fields = [("num_output", count), *([("group", count)] if grouped else [])]
    return set_param(layer, of(layer).message, fields, net.style, why=f'classes of "{layer.name}"')


def _step(layer: Layer, classes: Sequence[int | None], count: int, filler: str) -> Step:
    new, kept = (
        sum(index is None for index in classes),
        [index for index in classes if index is not None],
    )
    what = f"{count} -> {number_of(len(classes), 'class')}"
    start = "" if not new else f"; {new} new{_START.get(filler, f' with {filler} weights')}"
    same = kept == sorted(kept)
    order = f"old classes {_ranges(kept)}" if kept else "no old class"
    return Step(
        "change", layer.name, layer.line, what + start, order + ("" if same else ", in this order")
    )


_START = {ZERO: " with zero weights", "": ", upsampled as class 0"}


def _ranges(numbers: Sequence[int]) -> str:
    """0-3, 7, 5: runs of following numbers as their ends."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)


def _arguments(text: str) -> Arguments:
    """LAYER:0-4,15,new as the layer, the classes, and what new ones start from."""
    layer, rest = name_and_rest(text)
    classes: list[int | None] = []
    fillers = set()
    for word in map(str.strip, comma_separated(rest)):
        if not word:
            raise ValueError("a class is missing")
        if word[:1].isdigit():
            classes += _range(word, MOST - len(classes))
        else:
            classes.append(None)
            fillers.add(ZERO if word == "new" else word)
    if len(fillers) > 1:
        raise ValueError(f"new classes start in several ways, {' and '.join(sorted(fillers))}")
    return (layer, classes), {"filler": fillers.pop() if fillers else ZERO}


def _range(word: str, most: int) -> range:
    """FIRST or FIRST-LAST as the numbers, at most so many."""
    first, dash, last = word.partition("-")
    found = range(whole_number(first), whole_number(last if dash else first) + 1)
    if not found:
        raise ValueError(f'"{word}" goes down')
    if len(found) > most:
        raise ValueError(f"more than {MOST:,} classes")
    return found


OPERATIONS = (
    Operation(
        "classes",
        "classes=LAYER:0-4,15,new",
        "select, reorder or add classes (new, or a filler)",
        reclass,
        _arguments,
    ),
)
