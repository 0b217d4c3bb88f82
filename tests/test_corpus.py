"""Real nets of every age and fork, converted and run in real Caffe.

A part of the corpus by default, all of it with `pytest --corpus` (`make corpus`).
"""

import corpus
import numpy as np
import pytest

import fcnkit as fk
from fcnkit.errors import FcnkitError
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import infer
from fcnkit.weights.surgery import transplant

# Every so manieth file, where not all are asked for.
STEP = {"convolutionalize": 23, "fcn": 31, "shapes": 19, "operations": 41}
STRIDES = (32, 16, 8, 4)
# What Caffe says of a fork's words, or of a file that it could never read.
FORKS = ("Failed to parse", "Unknown layer type")
ODD_SIZES = ((32, 33), (61, 77), (97, 64))


@pytest.fixture
def nets(shared, request):
    """(path, net) of the corpus's nets, or of a part of them."""
    step = 1 if request.config.getoption("--corpus") else STEP[request.node.name.split("_")[1]]
    paths = corpus.files(shared)[::step]
    return [(path, net) for path in paths if (net := corpus.net(path)) is not None]


def said(capsys, title, counts):
    with capsys.disabled():
        print(f"\n{title}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))


def test_convolutionalize_gives_the_classifiers_own_output(nets, caffe, capsys):
    counts = dict.fromkeys(("equal", "nothing to convert", "not asked", "refused by Caffe as they were"), 0)
    wrong = []
    for path, net in nets:
        verdict = converted(net, caffe)
        if verdict in counts:
            counts[verdict] += 1
        else:
            wrong.append(f"{path}: {verdict}")
    said(capsys, "convolutionalize", counts)
    assert not wrong
    assert counts["equal"] > 0


def converted(net, caffe):
    """How one net fares: a word, or what is wrong."""
    shapes = corpus.sizes(build(net))
    images = {blob: shape for blob, shape in shapes.items() if len(shape) > 1}
    plan = fk.convolutionalize(net, inputs=images)
    if not any(step.verb == "convert" for step in plan.steps):
        return "nothing to convert"
    before, after = corpus.fed(net, shapes), corpus.fed(plan.net, shapes)
    weights = corpus.weights(before)
    if weights is None:
        return "not asked"
    new, data = transplant(plan, weights), corpus.noise(shapes)
    questions = [caffe.Question("run", before, weights, data), caffe.Question("run", after, new, data)]
    expected, found = caffe.ask(questions)
    if isinstance(expected, Exception):
        return "refused by Caffe as they were"
    return str(found) if isinstance(found, Exception) else compared(expected, found)


def compared(expected, found):
    for blob, values in expected.items():
        if found[blob].size != values.size:
            return f"{blob} is {found[blob].shape} in place of {values.shape}"
        worst, largest = np.abs(found[blob].ravel() - values.ravel()).max(), np.abs(values).max()
        if np.isfinite(largest) and worst > 1e-4 * largest:
            return f"{blob} differs by {worst} of {largest}"
    return "equal"


def test_shapes_equal_real_caffes(nets, caffe, capsys):
    """Of every top, in what TEST builds."""
    counts = dict.fromkeys(("equal", "not known to us", "refused by Caffe"), 0)
    fed = [corpus.fed(net, corpus.sizes(build(net))) for _, net in nets]
    known = [net for net in fed if None not in infer(build(net)).tops.values()]
    counts["not known to us"] = len(fed) - len(known)
    wrong = []
    for net, answer in zip(known, caffe.ask([caffe.Question("shapes", net) for net in known]), strict=True):
        ours = {top.blob: shape for top, shape in infer(build(net)).tops.items()}
        if isinstance(answer, Exception):
            counts["refused by Caffe"] += 1
        elif {blob: answer[blob] for blob in ours} == ours:
            counts["equal"] += 1
        else:
            wrong.append(net.path)
    said(capsys, "shapes", counts)
    assert not wrong
    assert counts["equal"] > 0


def test_fcn_scores_every_pixel_at_odd_sizes(nets, caffe, capsys):
    counts = dict.fromkeys(("good", "refused by fcnkit", "refused by Caffe"), 0)
    wrong = []
    for path, net in nets:
        images = {blob: shape for blob, shape in corpus.sizes(build(net)).items() if len(shape) == 4}
        for stride in STRIDES:
            verdict = scored(net, images, stride, caffe)
            if verdict in counts:
                counts[verdict] += 1
            else:
                wrong.append(f"{path} at stride {stride}: {verdict}")
    said(capsys, "fcn", counts)
    assert not wrong
    assert counts["good"] > 0


def scored(net, images, stride, caffe):
    try:
        plan = fk.fcn(net, classes=3, stride=stride, inputs=images)
    except FcnkitError:
        return "refused by fcnkit"
    data = build(plan.net).inputs[0]
    channels = build(plan.net).producer(data).input_shapes[data.index][1]
    asked = [
        caffe.Question("shapes", plan.net, None, {data.blob: (1, channels, *size)}) for size in ODD_SIZES
    ]
    answers = caffe.ask(asked)
    if all(
        isinstance(answer, Exception) and any(word in str(answer) for word in FORKS) for answer in answers
    ):
        return "refused by Caffe"
    for size, answer in zip(ODD_SIZES, answers, strict=True):
        if isinstance(answer, Exception) or answer["score"] != (1, 3, *size):
            return f"{size}: {answer if isinstance(answer, Exception) else answer['score']}"
    return "good"


# Each gives what the same image computes as before; the largest nets are left out for their time.
OPERATIONS = {
    "fold": fk.fold,
    "to_fc": lambda net: fk.convolutionalize(net).then(fk.to_fc),
    "ungroup": fk.ungroup,
    "swap twice": lambda net: fk.swap_channels(net).then(fk.swap_channels),
    "colour to gray to colour": lambda net: fk.to_gray(net).then(fk.to_colour),
}
MOST_MACS = 5e9


def test_operations_give_the_nets_own_output(nets, caffe, capsys):
    counts = dict.fromkeys(("equal", "nothing to do", "too large", "refused", "refused by Caffe"), 0)
    wrong = []
    for path, net in nets:
        for name, rewrite in OPERATIONS.items():
            verdict = operated(net, rewrite, caffe, gray="gray" in name)
            if verdict in counts:
                counts[verdict] += 1
            else:
                wrong.append(f"{path}: {name}: {verdict}")
    said(capsys, "operations", counts)
    assert not wrong
    assert counts["equal"] > 0


def operated(net, rewrite, caffe, gray):
    shapes = corpus.sizes(build(net))
    before = corpus.fed(net, shapes)
    sizes = infer(build(before))
    if sum(sizes.macs(layer) or 0 for layer in sizes.graph.layers) > MOST_MACS:
        return "too large"
    weights = corpus.weights(before)
    try:
        plan = rewrite(before)
    except FcnkitError:
        return "refused"
    if not plan.moves or weights is None:
        return "nothing to do"
    data = corpus.noise(shapes)
    if gray:  # exact for images whose channels are equal
        data = {blob: image[:, :1].repeat(image.shape[1], 1) if image.ndim == 4 else image
                for blob, image in data.items()}  # fmt: skip
    outputs = [top.blob for top in build(before).outputs if top not in build(before).inputs]
    new = transplant(plan, weights)
    expected, found = caffe.ask([
        caffe.Question("run", before, weights, data, outputs),
        caffe.Question("run", plan.net, new, data, outputs),
    ])  # fmt: skip
    if isinstance(expected, Exception):
        return "refused by Caffe"
    return str(found) if isinstance(found, Exception) else compared(expected, found)
