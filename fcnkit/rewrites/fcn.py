"""The whole recipe: a classifier becomes an FCN of stride 32, 16, 8 or another.

Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic
Segmentation": the net is made convolutional, its classifier layer starts
afresh with the new classes, its scores are upsampled and cropped to the
image, through skips where a finer stride is asked for.
"""

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple

from fcnkit.errors import AlignError, NetError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets import coords
from fcnkit.nets.graph import Graph, Layer, Top, build
from fcnkit.nets.shapes import infer
from fcnkit.plan import Plan, Step
from fcnkit.rewrites.changes import removed, renamed_blob, set_param
from fcnkit.rewrites.convolutionalize import convolutionalize
from fcnkit.rewrites.deploy import deploy
from fcnkit.rewrites.rescore import find_head, rescore
from fcnkit.rewrites.upsample import Names, skip, upsample

Shape = tuple[int, ...]

# What ends a block of layers: the tops that a skip starts from.
_BLOCK_ENDS = ("Pooling", "Concat", "Eltwise")


def fcn(
    net: Prototxt,
    *,
    classes: int,
    stride: int = 32,
    pad: str | int = "auto",
    group: bool = True,
    least: int = 32,
    head: str | None = None,
    inputs: Mapping[str, Shape] | None = None,
) -> Plan:
    """A net that scores `classes` classes at every pixel of an image of any size.

    `stride` is that of the finest scores used: the net's own for none but its
    last layer's, a smaller one for skips.  The first layer's padding is `pad`
    pixels, "keep", or "auto": the smallest that keeps every offset whole and
    not negative and every crop valid for each input of `least` pixels and
    more.  `group` upsamples each class by itself.

    Raises NetError when the net has no such stride, AlignError when the
    padding does not suffice.
    """
    if isinstance(pad, str) and pad not in ("auto", "keep"):
        raise NetError(f'pad "{pad}": is neither a number nor auto nor keep')
    trunk = deploy(net, head=head, inputs=inputs)
    name = find_head(build(trunk.net)).name
    trunk = trunk.then(convolutionalize)
    for step in trunk.steps:
        if step.verb == "keep":
            raise NetError(f'{net.path}: layer "{step.layer}" stays an {step.what}: {step.why}; an FCN cannot slide it')
    trunk = trunk.then(without_last_pooling, name).then(rescore, classes, name="score_fr")
    ladder = _ladder(build(trunk.net), stride)
    if pad == "auto":
        return _least_pad(trunk, ladder, group, least)
    padded = trunk if pad == "keep" else trunk.then(pad_first, pad)
    return _upsampled(padded, ladder, group, least)


def without_last_pooling(net: Prototxt, head: str) -> Plan:
    """A pooling that averages the whole map before the head scores it is gone.

    Averaging and scoring are both linear: scoring each place and averaging
    the scores would give the same, and the FCN keeps the places.
    """
    graph = build(net)
    layer = graph.layer(head)
    users, top = [layer], layer.bottoms[0]
    while graph.producer(top).type == "Dropout":
        users.append(graph.producer(top))
        top = graph.producer(top).bottoms[0]
    pool = graph.producer(top)
    if (
        pool.type != "Pooling"
        or pool.param("pooling_param").get("pool") != "AVE"
        or (infer(graph).tops[top] or ())[2:] != (1, 1)
    ):
        return Plan(net, net)
    why = f'remove "{pool.name}"'
    edits = [removed(pool.field, why), *renamed_blob(graph, users, top.blob, pool.bottoms[0].blob, why)]
    step = Step(
        "remove", pool.name, pool.line, "average pooling", "the FCN scores every place, not their average"
    )
    return Plan(net, net.edit(edits), (step,))


def pad_first(net: Prototxt, pad: int) -> Plan:
    """The convolutions that read the image are padded by `pad` pixels on each side.

    Raises NetError where the image meets another layer with a window first.
    """
    if pad < 0:
        raise NetError(f"{net.path}: a padding of {pad} pixels; give 0 or more")
    graph = build(net)
    first = first_layers(graph)
    edits, steps = [], []
    for layer in first:
        edits += set_param(
            layer, "convolution_param", [("pad", pad)], net.style, replacing=("pad_h", "pad_w"), why="pad"
        )
        steps.append(
            Step("change", layer.name, layer.line, f"pad {pad}", "room for the crop at the image's border")
        )
    return Plan(net, net.edit(edits), tuple(steps))


def first_layers(graph: Graph) -> list[Layer]:
    """The convolutions that the image meets first, on any way from the inputs."""
    reached, found = set(graph.inputs), []
    for layer in graph.layers:
        if not reached.intersection(layer.bottoms):
            continue
        if layer.type == "Convolution":
            found.append(layer)
        elif layer.type in ("Pooling", "Deconvolution", "InnerProduct"):
            raise layer.error(
                f"a {layer.type} reads the image, and only a Convolution can be padded; use pad keep"
            )
        else:
            reached.update(layer.tops)
    return found


class _Rung(NamedTuple):
    """One finer resolution on the way up: its stride, the top to add, and the factor from below."""

    stride: int
    top: str
    factor: int


def _ladder(graph: Graph, stride: int) -> list[_Rung]:
    """The tops that scores are added from, coarsest first; the last is the image.

    At each stride the deepest top that ends a block (a pooling, concatenation
    or sum, with the in-place layers after it), or the deepest of all where
    none does.
    """
    start = graph.inputs[0]
    strides = _strides(graph, start)
    score = graph.top("score_fr")
    if score not in strides:
        coords.between(graph, start, score)
        fact = f'the branches from "{start.blob}" to "{score.blob}" disagree'
        raise AlignError(f"{graph.prototxt.path}: {fact}; make their pads agree")
    own = strides[score]
    finer = sorted({value for value in strides.values() if stride <= value < own}, reverse=True)
    if own != stride and stride not in finer:
        there = ", ".join(
            str(value) for value in sorted({*finer, own, *strides.values()}, reverse=True) if value > 1
        )
        raise NetError(f"{graph.prototxt.path}: no layer has stride {stride}; this net has {there}")
    rungs = [
        _Rung(int(value), _deepest(graph, strides, value).blob, int(below / value))
        for below, value in zip([own, *finer], finer, strict=False)
    ]
    return [*rungs, _Rung(1, start.blob, int([own, *finer][-1]))]


def _strides(graph: Graph, start: Top) -> dict[Top, Fraction]:
    """Image pixels per pixel of each top that leads to the scores."""
    up = coords.upward(graph, graph.top("score_fr")).maps
    down = coords.downward(graph, start)
    return {top: 1 / min(down[top].scale, default=Fraction(1)) for top in down if top in up}


def _deepest(graph: Graph, strides: Mapping[Top, Fraction], stride: Fraction) -> Top:
    tops = [top for top in strides if strides[top] == stride and graph.top(top.blob) == top]
    ends = [top for top in tops if _maker(graph, top).type in _BLOCK_ENDS]
    return max(ends or tops, key=lambda top: top.layer)


def _maker(graph: Graph, top: Top) -> Layer:
    """The layer that made the blob, past the in-place layers after it."""
    layer = graph.producer(top)
    while layer.bottoms and layer.bottoms[0].blob == top.blob:
        layer = graph.producer(layer.bottoms[0])
    return layer


def _least_pad(trunk: Plan, ladder: list[_Rung], group: bool, least: int) -> Plan:
    """The recipe with the smallest padding that works, from what the net has upward.

    One more pixel of padding adds one to the last offset, so that one padding
    that works tells where to begin.
    """
    own = max(_pad_of(layer) for layer in first_layers(build(trunk.net)))

    def attempt(pad: int) -> Plan:
        return _upsampled(trunk if pad == own else trunk.then(pad_first, pad), ladder, group, least)

    works = _first_that_works(attempt, [own, *(own + 100 * 2**power for power in range(5))])
    pad, plan = works
    begin = max(own, pad - min(plan.offsets[-1].offset))
    return plan if begin == pad else _first_that_works(attempt, range(begin, pad + 1))[1]


def _first_that_works(attempt: Callable[[int], Plan], pads: Iterable[int]) -> tuple[int, Plan]:
    for pad in pads:
        try:
            return pad, attempt(pad)
        except AlignError as error:
            failure = error
    raise failure


def _pad_of(layer: Layer) -> int:
    view = layer.param("convolution_param")
    return max([*view.list("pad"), view.get("pad_h"), view.get("pad_w")])


def _upsampled(plan: Plan, ladder: list[_Rung], group: bool, least: int) -> Plan:
    score, rungs = "score_fr", ladder[:-1]
    skips = _skip_names(rungs)
    for rung, names in zip(rungs, skips, strict=True):
        plan = plan.then(skip, score, rung.top, names=names, group=group, least=least)
        score = names.fuse
    last = f"upscore{rungs[-1].stride}" if rungs else "upscore"
    last = "upscore" if last in {names.upscore for names in skips} else last
    return plan.then(upsample, score, ladder[-1].top, names=Names(last, "score"), group=group, least=least)


def _skip_names(rungs: list[_Rung]) -> list[Names]:
    """The FCN authors' names: upscore2, then upscore_pool4 after the skip from pool4.

    A "/" becomes "_": Caffe's HDF5 files cannot hold layers with it.
    """
    tops = [rung.top.replace("/", "_") for rung in rungs]
    befores = [f"upscore{rung.factor}" for rung in rungs[:1]] + [f"upscore_{top}" for top in tops]
    return [
        Names(before, f"score_{top}c", f"score_{top}", f"fuse_{top}")
        for before, top in zip(befores, tops, strict=False)
    ]
