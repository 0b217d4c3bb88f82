"""How other people's nets fare: what real Caffe
is asked about each, and what its answers come to.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import corpus
import numpy as np
from learned import learned

import fcnkit as fk
from fcnkit.engines.caffe import Gradients, Question
from fcnkit.errors import FcnkitError
from fcnkit.formats import prototxt
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.graph import Graph, build
from fcnkit.nets.layers.table import trait
from fcnkit.nets.layers.traits import Trait
from fcnkit.nets.shapes import Shapes, shapes_of
from fcnkit.rewrites.changes import removed
from fcnkit.rewrites.upgrade import upgrade
from fcnkit.weights.surgery import transplant

STRIDES = (32, 16, 8, 4)
ODD_SIZES = ((32, 33), (61, 77), (97, 64))
# What becomes of a net; any other word is what is wrong.
EQUAL, NOTHING, KEPT, GOOD = "equal", "nothing to convert", "kept", "good"
REFUSED, NO_CAFFE, UNKNOWN = "refused by fcnkit", "refused by Caffe as it was", "not known to us"
LARGE, NOT_IMPORTED = "too large", "refused by import"
BUILT, BUILT_NOW, LEFT = "built as it was", "built in BVLC's words", "left words of forks"
NOT_FINITE, OVERWRITTEN = "not finite in Caffe", "overwritten in Caffe before its gradient"
WORDS = (
    EQUAL,
    NOTHING,
    KEPT,
    GOOD,
    REFUSED,
    NO_CAFFE,
    UNKNOWN,
    LARGE,
    NOT_FINITE,
    OVERWRITTEN,
    NOT_IMPORTED,
    BUILT,
    BUILT_NOW,
    LEFT,
)
# What Caffe says of a fork's words, or of a file that it could never read.
_FORKS = ("Failed to parse", "Unknown layer type")


class Trial(NamedTuple):
    """Questions for real Caffe, and what its answers come to."""

    questions: list[Question]
    verdict: Callable[[Sequence], str]


def verdicts(trials: Iterable[Trial], caffe) -> list[str]:
    """What each trial comes to, for one start of Caffe."""
    trials = list(trials)
    answers = iter(caffe.ask([question for trial in trials for question in trial.questions]))
    return [trial.verdict([next(answers) for _ in trial.questions]) for trial in trials]


def question(action: str, net: Prototxt, *more) -> Question:
    return Question(action, corpus.in_caffes_words(net), *more)


def settled(word: str) -> Trial:
    return Trial([], lambda answers: word)


def _is_forks(answer: object) -> bool:
    return isinstance(answer, Exception) and any(word in str(answer) for word in _FORKS)


# ---- shapes


def shapes(net: Prototxt) -> Trial:
    """Every top's shape in what TEST builds."""
    given = corpus.fed(net, corpus.sizes(build(net)))
    ours = {top.blob: shape for top, shape in shapes_of(build(given)).tops.items()}

    def verdict(answers: Sequence) -> str:
        (found,) = answers
        if isinstance(found, Exception):
            return NO_CAFFE
        for blob, shape in ours.items():
            if shape is not None and found[blob] != shape:
                return f"{blob} is {found[blob]}, not {shape}"
        return UNKNOWN if None in ours.values() else EQUAL

    return Trial([question("shapes", given)], verdict)


# ---- convolutionalize


def convolutionalized(net: Prototxt) -> Trial:
    """The outputs of the net before and after, at its own size, with random weights."""
    sizes = corpus.sizes(build(net))
    try:
        plan = fk.convolutionalize(net, inputs=sizes)
    except FcnkitError:
        return settled(REFUSED)
    verbs = {step.verb for step in plan.steps}
    if "convert" not in verbs:
        return settled(KEPT if "keep" in verbs else NOTHING)
    before, after = corpus.fed(net, sizes), corpus.fed(plan.net, sizes)
    weights = corpus.weights(before)
    if weights is None:
        return Trial([question("shapes", before)], not_known)
    data = corpus.noise(sizes)
    return Trial(
        [
            question("run", before, weights, data),
            question("run", after, transplant(plan, weights), data),
        ],
        _same_outputs,
    )


def not_known(answers: Sequence) -> str:
    return NO_CAFFE if isinstance(answers[0], Exception) else UNKNOWN


def _same_outputs(answers: Sequence) -> str:
    expected, found = answers
    if isinstance(expected, Exception):
        return NO_CAFFE
    return str(found) if isinstance(found, Exception) else compared(expected, found)


def compared(expected: dict, found: dict, losses: Mapping[str, str] = {}) -> str:
    """Whether every output holds the same numbers, to 1e-4 of the largest.

    `losses` has the scores of each loss: that is a difference of numbers of their size, and
    is as exact as they are.
    """
    for blob, values in expected.items():
        if found[blob].size != values.size:
            return f"{blob} is {found[blob].shape} in place of {values.shape}"
        worst, largest = np.abs(found[blob].ravel() - values.ravel()).max(), np.abs(values).max()
        if losses.get(blob) in expected:
            largest = max(largest, np.abs(expected[losses[blob]]).max())
        if np.isfinite(largest) and not worst <= 1e-4 * largest:
            return f"{blob} differs by {worst} of {largest}"
    return EQUAL


# ---- fcn


def fcn(net: Prototxt, stride: int) -> Trial:
    """Three classes for every pixel of images of odd sizes."""
    images = {blob: shape for blob, shape in corpus.sizes(build(net)).items() if len(shape) == 4}
    try:
        plan = fk.fcn(net, classes=3, stride=stride, inputs=images)
    except FcnkitError:
        return settled(REFUSED)
    data = build(plan.net).inputs[0]
    channels = build(plan.net).producer(data).input_shapes[data.index][1]
    questions = [
        Question("shapes", plan.net, None, {data.blob: (1, channels, *size)}) for size in ODD_SIZES
    ]
    return Trial(questions, _all_scored)


def _all_scored(answers: Sequence) -> str:
    if all(map(_is_forks, answers)):
        return NO_CAFFE
    for size, answer in zip(ODD_SIZES, answers, strict=True):
        if isinstance(answer, Exception) or answer["score"] != (1, 3, *size):
            return f"{size}: {answer if isinstance(answer, Exception) else answer['score']}"
    return GOOD


# ---- operations

# Each gives what the same image computes as before.
OPERATIONS = {
    "fold": fk.fold,
    "to_fc": lambda net: fk.convolutionalize(net).then(fk.to_fc),
    "ungroup": fk.ungroup,
    "swap twice": lambda net: fk.swap_channels(net).then(fk.swap_channels),
    "colour to gray to colour": lambda net: fk.to_gray(net).then(fk.to_colour),
}
# Nets that take more multiply-adds are left out for their time.
_MOST_MACS = 5e9


def is_large(sizes: Shapes) -> bool:
    return sum(sizes.macs(layer) or 0 for layer in sizes.graph.layers) > _MOST_MACS


def operated(net: Prototxt, name: str) -> Trial:
    """The outputs of the net before and after an operation, with random weights."""
    given = corpus.sizes(build(net))
    before = corpus.fed(net, given)
    found = shapes_of(build(before))
    if is_large(found):
        return settled(LARGE)
    weights = corpus.weights(before)
    try:
        plan = OPERATIONS[name](before)
    except FcnkitError:
        return settled(REFUSED)
    if not plan.moves or weights is None:
        return settled(NOTHING)
    data = corpus.noise(given)
    if "gray" in name:  # exact for images whose channels are equal
        data = {blob: _gray(image) for blob, image in data.items()}
    outputs = [top.blob for top in build(before).outputs if top not in build(before).inputs]
    new = transplant(plan, weights)
    return Trial(
        [
            question("run", before, weights, data, outputs),
            question("run", plan.net, new, data, outputs),
        ],
        _same_outputs,
    )


def _gray(image: np.ndarray) -> np.ndarray:
    return image[:, :1].repeat(image.shape[1], 1) if image.ndim == 4 else image


# ---- engines


def on_torch(net: Prototxt) -> Trial:
    """What the net computes on PyTorch and in Caffe,
    with random weights: outputs and scores before them.
    """
    from fcnkit.engines import torch

    given = corpus.sizes(build(net))
    net = corpus.in_caffes_words(corpus.fed(net, given))
    graph = build(net)
    if is_large(shapes_of(graph)):
        return settled(LARGE)
    weights, outputs = corpus.weights(net), _told(graph)
    data = corpus.noise(given)
    data |= {blob: np.zeros_like(data[blob]) for blob in _labels(graph)}
    if weights is None:
        return Trial([question("shapes", net)], not_known)
    weights = weights or None  # a file needs a layer
    asked = Question("run", net, weights, data, outputs)
    losses = _losses(graph)

    def verdict(answers: Sequence) -> str:
        (expected,) = answers
        if isinstance(expected, Exception):
            return NO_CAFFE
        try:
            mine = torch.run(net, weights, data, outputs, device="cpu")
        except FcnkitError as error:
            return f"{REFUSED}: {error}"
        if not all(np.isfinite(values).all() for values in expected.values()):
            return NOT_FINITE
        return compared(expected, mine, losses)

    return Trial([asked], verdict)


def learned_on_torch(net: Prototxt) -> Trial:
    """Every gradient that PyTorch and Caffe make of the net's losses,
    or of a distance to each output.
    """
    from fcnkit.engines.torch.net import Net

    fed = corpus.in_caffes_words(corpus.fed(net, corpus.sizes(build(net))))
    try:
        net = _judged(upgrade(fed).net)
        graph = build(net)
        sizes = shapes_of(graph)
    except FcnkitError:  # without MAX pooling there is no mask of it
        return settled(REFUSED)
    if _is_overwritten(graph):
        return settled(OVERWRITTEN)
    if is_large(sizes):
        return settled(LARGE)
    weights = corpus.weights(net)
    if weights is None:
        return Trial([question("shapes", net)], not_known)
    weights = weights or None  # a file needs a layer
    data = {blob: values * 0.02 for blob, values in corpus.noise(corpus.sizes(graph)).items()}
    data |= {
        blob: np.zeros_like(data[blob]) for blob in _labels(graph) if not blob.startswith(_TARGET)
    }

    def verdict(answers: Sequence) -> str:
        (expected,) = answers
        if isinstance(expected, Exception):
            return NO_CAFFE
        try:
            mine = learned(Net(sizes, weights), data)
        except FcnkitError as error:
            return f"{REFUSED}: {error}"
        theirs = _each(expected)
        if not all(np.isfinite(each).all() for values in theirs.values() for each in values):
            return NOT_FINITE
        return next(apart(theirs, _each(mine)), EQUAL)

    return Trial([Question("gradients", net, weights, data)], verdict)


def _each(answer: Gradients) -> dict[str, list[np.ndarray]]:
    """The gradients of each input and of each layer's parameters."""
    return {f"input {blob}": [values] for blob, values in answer.inputs.items()} | answer.params


def apart(expected: dict, found: dict) -> Iterator[str]:
    """Gradients that differ by 1e-3 of the largest in their blob, or in their layer by 1e-5 of it.

    Of a bias whose mean a BatchNorm takes off again both have nothing but roundings.
    """
    for name, values in expected.items():
        layer = max(np.abs(each).max(initial=0) for each in values)
        for number, (theirs, mine) in enumerate(zip(values, found[name], strict=True)):
            worst, largest = np.abs(theirs - mine).max(initial=0), np.abs(theirs).max(initial=0)
            if not worst <= max(1e-3 * largest, 1e-5 * layer):
                yield (
                    f"gradient {number} of {name} differs by {worst} of {largest}, in its "
                    f"layer {layer}"
                )


def _is_overwritten(graph: Graph) -> bool:
    """Whether a layer in place changes what one before it reads in its backward pass:
    Caffe's is wrong.
    """
    return any(
        graph.producer(bottom).type in _BENT
        for layer in graph.layers
        if layer.type != "Dropout"
        for bottom in layer.bottoms
        if bottom.blob in [top.blob for top in layer.tops]
    )


_TARGET, _LOSS = "target of ", "loss of "
# Caffe stops where all gradients are asked for and these are in the net.
_NO_GRADIENT = {"Accuracy", "ArgMax"}
# Layers whose backward pass reads their tops, or bottoms in place of them.
_BENT = {"ELU", "PReLU", "Sigmoid", "TanH", "Power", "Softmax", "LRN"}


def _judged(net: Prototxt) -> Prototxt:
    """The net without kinks, all gradients made,
    with a distance to noise at every output that has no loss.

    Kinks are those of ReLU and MAX: of so many values some lie so near one that
    rounding decides on which side, and two correct engines differ by 1e-2.
    """
    net = net.edit(
        removed(layer.field) for layer in build(net).layers if layer.type in _NO_GRADIENT
    )
    smooth = net.text.replace('"ReLU"', '"ELU"').replace("pool: MAX", "pool: AVE")
    graph = build(net)
    sizes = shapes_of(graph).tops
    text = [f"force_backward: true\n{smooth}\n"]
    for top in graph.outputs:
        if top in graph.inputs or sizes[top] is None or graph.producer(top).type.endswith("Loss"):
            continue
        blob, shape = top.blob, " ".join(f"dim: {size}" for size in sizes[top])
        text.append(
            f'layer {{ name: "{_TARGET}{blob}" type: "Input" top: "{_TARGET}{blob}"\n'
            f"  input_param {{ shape {{ {shape} }} }} }}\n"
            f'layer {{ name: "{_LOSS}{blob}" type: "EuclideanLoss" top: "{_LOSS}{blob}"\n'
            f'  bottom: "{blob}" bottom: "{_TARGET}{blob}" }}\n'
        )
    return prototxt.parse("".join(text), net.path)


def _labels(graph: Graph) -> set[str]:
    """The inputs that a loss or an Accuracy reads beside its scores: noise is no class."""
    judges = [layer for layer in graph.layers if layer.type.endswith(("Loss", "Accuracy"))]
    return {top.blob for layer in judges for top in layer.bottoms[1:] if top in graph.inputs}


def _losses(graph: Graph) -> dict[str, str]:
    """Each loss, and the scores that it is made of."""
    return {
        top.blob: layer.bottoms[0].blob
        for layer in graph.layers
        for top in layer.tops
        if trait(layer) is Trait.LOSS
    }


def _told(graph: Graph) -> list[str]:
    """The outputs, and what a final Softmax or loss reads."""
    outputs = [top for top in graph.outputs if top not in graph.inputs]
    read = [top for top in outputs for top in graph.producer(top).bottoms[:1]]
    kept = [
        top for top in (*outputs, *read) if graph.top(top.blob) == top and top not in graph.inputs
    ]
    return list(dict.fromkeys(top.blob for top in kept))


# ---- in BVLC's words


def in_bvlcs_words(net: Prototxt) -> Trial:
    """Whether BVLC's Caffe builds what TEST has of the net, before and after `bvlc`.

    It is asked about the words as they stand.  What has no word left that `bvlc` names has to be
    built, and blobs of one name have the sizes that they had.
    """
    given = corpus.fed(net, corpus.sizes(build(net)))
    try:
        plan = fk.bvlc(given)
    except FcnkitError:
        return settled(REFUSED)
    ours = {top.blob: shape for top, shape in shapes_of(build(given)).tops.items()}

    def verdict(answers: Sequence) -> str:
        before, after = answers
        if not isinstance(before, Exception):
            return BUILT if not isinstance(after, Exception) else f"no longer built: {after}"
        if isinstance(after, Exception):
            if any(step.verb == "skip" for step in plan.steps):
                return LEFT
            python = any(layer.type == "Python" for layer in build(given).layers)
            return NO_CAFFE if python or not plan.changed else str(after)
        for blob in ours.keys() & after.keys():
            if ours[blob] not in (None, after[blob]):
                return f"{blob} is {after[blob]}, not {ours[blob]}"
        return BUILT_NOW

    return Trial([Question("shapes", given), Question("shapes", plan.net)], verdict)


def computed_in_bvlcs_words(net: Prototxt) -> Trial:
    """What the net computes on PyTorch in its fork's words, and in Caffe after `bvlc`."""
    from fcnkit.engines import torch

    given = corpus.sizes(build(net))
    before = corpus.fed(net, given)
    try:
        plan = fk.bvlc(before)
    except FcnkitError:
        return settled(REFUSED)
    if not plan.changed or any(step.verb == "skip" for step in plan.steps):
        return settled(LEFT if plan.changed else NOTHING)
    graph = build(before)
    if is_large(shapes_of(graph)) or any(layer.type == "Python" for layer in graph.layers):
        return settled(LARGE)
    weights, data = corpus.weights(before), corpus.noise(given)
    data |= {blob: np.zeros_like(data[blob]) for blob in _labels(graph)}
    made = {top.blob for top in build(plan.net).tops}
    outputs = [blob for blob in _told(graph) if blob in made]
    if weights is None:
        return settled(UNKNOWN)
    asked = Question("run", plan.net, transplant(plan, weights), data, outputs)

    def verdict(answers: Sequence) -> str:
        (found,) = answers
        try:
            expected = torch.run(before, weights, data, outputs, device="cpu")
        except FcnkitError:
            return REFUSED
        if isinstance(found, Exception):
            return str(found)
        if not all(np.isfinite(values).all() for values in expected.values()):
            return NOT_FINITE
        return compared(expected, found, _losses(graph))

    return Trial([asked], verdict)
