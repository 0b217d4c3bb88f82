"""The whole recipe: a classifier becomes an FCN of stride 32, 16, 8 or another.

Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic
Segmentation": the net is made convolutional, its classifier layer starts
afresh with the new classes, its scores are upsampled and cropped to the
image, through skips where a finer stride is asked for.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from functools import cache
from typing import NamedTuple

from fcnkit import expected
from fcnkit.errors import AlignError, NetError
from fcnkit.formats.prototxt import NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets import coords
from fcnkit.nets.graph import Graph, Layer, Top, build
from fcnkit.nets.sizes import Sizes, Track
from fcnkit.plan import Offset, Plan
from fcnkit.plural import number_of
from fcnkit.rewrites.fusion import early_fusion, fused_name, late_fusion, left_to_fillers
from fcnkit.rewrites.ladder import Apart, Rung, accepted, ladder, score_place
from fcnkit.rewrites.padding import first_layers, pad_first, padded_axes, padding_of
from fcnkit.rewrites.parts import Pairs, added
from fcnkit.rewrites.round_down import round_down
from fcnkit.rewrites.trunk import END, Head, check_one_image, heads_of, scored_trunk, trunk_of
from fcnkit.rewrites.upsample import Added, Climb, Names, Negative, Short, Unbuilt, scored
from fcnkit.shape import Shape

# How much less each skip weighs than the coarser scores, trained at once.
_SCALE = 0.01


@expected.checked
def fcn(
    net: NetOrPath,
    *,
    classes: int | Mapping[str, int] | None = None,
    stride: int = 32,
    pad: str | int = "auto",
    group: bool = True,
    at_once: bool = False,
    least: int = 32,
    head: str | None = None,
    inputs: Mapping[str, Shape] | None = None,
    misaligned: bool = False,
    keep_scores: bool = False,
    early: Mapping[str, str] | None = None,
    late: Sequence[str] = (),
) -> Plan:
    """Turns a classifier into an FCN that scores every pixel of an image of any size.

    >>> plan = fk.fcn(fk.template("alexnet"), classes=21, stride=32)
    >>> plan.offsets[0].offset
    (3, 3)
    >>> plan.net.save("fcn32s.prototxt")

    A net in an old format, which has no Crop, is upgraded first.

    - `net`: a Prototxt or its path.
    - `classes`: the number of classes; or several heads on one trunk, {"sem": 33, "geo": 3}.
    - `stride`: the stride of the finest scores. At the stride of the net's last layer there are
      no skips; a smaller stride adds skips.
    - `pad`: the padding of the first layer in pixels; "keep"; or "auto": the smallest padding
      with which every offset is whole and not negative, and every Crop fits, for all inputs of
      at least `least` pixels.
    - `least`: the smallest height and width that must work.
    - `group`: upsample each class separately, or with False by one dense kernel.
    - `at_once`: scale the skips by 0.01 and 0.0001, so that all of them can be trained at once.
    - `head`: the layer that scores the classifier's classes; by default the last such layer.
    - `inputs`: the size for which the classifier is made, by blob name, instead of that in the
      file.
    - `misaligned`: accept branches that lie a fraction of a pixel or more apart; the first
      branch then counts.
    - `keep_scores`: instead of `classes`: keep the classifier's own scores and weights. The
      result needs no training; skips, if there are any, start from zero.
    - `early`: fuse several images in the first layer: the name of each image, with one letter
      for each of its channels, {"color": "bgr", "depth": "d"}. The classifier's own channels
      come first. The weights of new channels start as the mean of the old ones.
    - `late`: fuse several images at the scores: their names. Each image gets a trunk of its
      own, all with the same weights, and the mean of their scores is upsampled.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.

    Raises NetError if the net has no such stride, and AlignError if the padding is too small or
    branches lie apart.
    """
    net = given_net(net)
    expected.whole("stride", stride, least=1)
    if isinstance(pad, str) and pad not in ("auto", "keep"):
        raise NetError(f'pad "{pad}": is neither a number nor auto nor keep')
    if keep_scores == (classes is not None):
        raise ValueError("fcn takes either classes or keep_scores")
    if classes is None:
        trunk, kept = scored_trunk(net, head, inputs)
        heads: tuple[Head, ...] = (kept,)
    else:
        heads = heads_of(net, classes)
        trunk = trunk_of(net, heads[0], head, inputs)
    check_one_image(trunk.net)
    if early is not None and late:
        raise ValueError("fcn takes either early or late")

    def made(loose: bool) -> Plan:
        graph = build(trunk.net)
        rungs = tuple(ladder(graph, stride, heads[0].score, loose=loose))
        steps = *trunk.steps, *accepted(graph, heads[0].score)
        recipe = _Recipe(heads, rungs, group, at_once, least)
        plan = _fitting(replace(trunk, steps=steps), recipe, pad)
        plan = plan if early is None else plan.then(early_fusion, early)
        return _fused_late(plan, recipe, late) if late else plan

    try:
        return made(misaligned)
    except Apart as error:
        try:
            made(True)
        except NetError:  # what stands against it besides comes next
            raise error from None
        raise Apart(f"{error}, or accept it with --misaligned (misaligned=True)") from None


def _fitting(trunk: Plan, recipe: "_Recipe", pad: str | int) -> Plan:
    """The scores brought up; where that cannot be, with poolings that round down."""
    try:
        return _padded(trunk, recipe, pad)
    except NetError as error:
        # Branches that are made with another framework's rounding disagree at some sizes.
        down = trunk.then(_all_round_down)
        if down.net.text != trunk.net.text:
            with suppress(NetError):
                return _padded(down, recipe, pad)
        told = _unbuilt(trunk, recipe) if isinstance(error, Unbuilt) else None
        raise told or error from None


def _unbuilt(trunk: Plan, recipe: "_Recipe") -> Unbuilt | None:
    """At which size of the image the net cannot be built, in the sizes of the net as it is padded.

    None where it can be, and its padding is what does not fit.
    """
    path = trunk.net.path
    for size, known in recipe.sizes(build(trunk.net)).worth_checking(recipe.least):
        if isinstance(known, NetError):
            why = str(known).removeprefix(f"{path}:")
            fact = f"the net cannot be built for an input of {size} pixels, at {why}"
            return Unbuilt(f"{path}: {fact}; the branches of an FCN have to fit at every size")
    return None


def _all_round_down(net: Prototxt) -> Plan:
    plan = round_down(net)
    return replace(plan, steps=tuple(each for each in plan.steps if each.verb == "change"))


def _padded(trunk: Plan, recipe: "_Recipe", pad: str | int) -> Plan:
    """The scores brought up, the image padded as is said."""
    axes = padded_axes(score_place(build(trunk.net), recipe.heads[0].score))
    if pad == "auto":
        return _least_pad(trunk, recipe, axes)
    asked = trunk if isinstance(pad, str) else trunk.then(pad_first, pad, axes)
    try:
        return recipe.upsampled(asked)
    except Short as error:
        raise _padded_more(error, trunk, asked, recipe, axes) from None


def _padded_more(
    error: Short, trunk: Plan, asked: Plan, recipe: "_Recipe", axes: tuple[bool, bool]
) -> AlignError:
    """The same with the padding that is enough, at both ends and at every size."""
    try:
        first = first_layers(build(asked.net))
    except NetError:  # no layer that can be padded
        return error
    least, has = _least(trunk, recipe, axes), padding_of(first, axes)
    if least is None or len(has) > 1:
        return error
    layers = " and ".join(f'layer "{layer.name}"' for layer in first)
    more = f"pad {layers} by {least - min(has)} more, {least} in all, as pad auto does"
    return AlignError(f"{error.fact}; {more}")


class _Recipe(NamedTuple):
    """How the scores of a trunk come up to the image."""

    heads: tuple[Head, ...]
    ladder: tuple[Rung, ...]
    group: bool
    at_once: bool
    least: int

    def scores(self) -> list[str]:
        """The blobs of every head's scores, coarsest first."""
        rungs = self.ladder[:-1]
        return [
            score
            for head in self.heads
            for score in (
                head.score,
                *(names.score for names in _skip_names(rungs, head.suffix, self.at_once)),
            )
        ]

    def upsampled(self, plan: Plan) -> Plan:
        """The plan, and the layers of every head after it."""
        sizes = self.sizes(build(plan.net))
        try:
            return plan.then(added, *self.climbed(sizes))
        except Negative as error:
            scores = sizes.track(self._scores(sizes.graph))
            missing = error.missing * max(scores.place.scale, default=Fraction(1))
            remedy = coords.pad_remedy(sizes.graph, self._scores(sizes.graph), missing)
            raise Short(str(error), remedy) from error

    def sizes(self, graph: Graph, first: Sequence[Layer] = ()) -> Sizes:
        """Those of the trunk's tops that the climb meets."""
        start, scores = graph.inputs[0], self._scores(graph)
        tops = (scores, *_below(graph, scores), *(graph.top(rung.top) for rung in self.ladder))
        shape = graph.producer(start).input_shapes[start.index]
        if shape is None:
            fact = f'the size of its input "{start.blob}" is not known; write it into the net'
            raise NetError(f"{graph.prototxt.path}: {fact}")
        return Sizes(graph, start, shape, tops, first=first)

    def climbed(self, sizes: Sizes) -> tuple[list[tuple[Pairs, str]], list[Offset]]:
        """The layers of every head with their reasons, and their Crops."""
        layers, crops = [], []
        scores = self._scores(sizes.graph)
        for head in self.heads:
            start = sizes.track(scores)
            if head is not self.heads[0]:
                (trunk,) = _below(sizes.graph, scores)
                start = sizes.track(trunk)._replace(blob=head.score)
                layers.append(scored(head.score, trunk.blob, head.classes))
            for new in self._climb(sizes, head, start):
                layers += new.layers
                crops.append(new.crop)
        return layers, crops

    def _scores(self, graph: Graph) -> Top:
        return graph.top(self.heads[0].score)

    def _climb(self, sizes: Sizes, head: Head, scores: Track) -> Iterator[Added]:
        climb, rungs = Climb(sizes, head.classes, self.group, self.least), self.ladder[:-1]
        skips = _skip_names(rungs, head.suffix, self.at_once)
        for number, (rung, names) in enumerate(zip(rungs, skips, strict=True), 1):
            source = sizes.track(sizes.graph.top(rung.top))
            yield (new := climb.skipped(scores, source, names, _SCALE**number))
            scores = new.end
        last = f"upscore{rungs[-1].stride}{head.suffix}" if rungs else f"upscore{head.suffix}"
        last = f"upscore{head.suffix}" if last in {names.upscore for names in skips} else last
        image = sizes.track(sizes.graph.top(self.ladder[-1].top))
        yield climb.upsampled(scores, image, Names(last, f"{END}{head.suffix}"))


def _fused_late(plan: Plan, recipe: _Recipe, images: Sequence[str]) -> Plan:
    """The plan, with a trunk for each image up to every score."""
    names = {score: fused_name(score) for score in recipe.scores()}
    names |= {build(plan.net).inputs[0].blob: images[0]}
    after = plan.then(late_fusion, images, recipe.scores(), left_to_fillers(plan))
    offsets = (
        crop._replace(
            cropped=names.get(crop.cropped, crop.cropped),
            reference=names.get(crop.reference, crop.reference),
        )
        for crop in after.offsets
    )
    return replace(after, offsets=tuple(offsets))


def _below(graph: Graph, scores: Top) -> tuple[Top, ...]:
    """What the scores are computed from."""
    return graph.producer(scores).bottoms


def _least_pad(trunk: Plan, recipe: _Recipe, axes: tuple[bool, bool]) -> Plan:
    """The recipe with the smallest padding that works, from what the net has upward."""
    own = _own_pad(trunk, axes)
    pad = _least(trunk, recipe, axes)
    if pad is None:
        return _said(trunk, recipe, own + 100, axes)
    return recipe.upsampled(trunk if pad == own else trunk.then(pad_first, pad, axes))


def _own_pad(trunk: Plan, axes: tuple[bool, bool]) -> int:
    return max(padding_of(first_layers(build(trunk.net)), axes))


def _least(trunk: Plan, recipe: _Recipe, axes: tuple[bool, bool]) -> int | None:
    """The smallest padding that works, from what the net has upward; None where none does."""
    own = _own_pad(trunk, axes)
    sizes = _sizes_by_pad(trunk.net, recipe, own, axes)

    @cache
    def offset(pad: int) -> int | None:
        """The last Crop's, None where this padding does not suffice."""
        with suppress(AlignError):
            offsets = recipe.climbed(sizes(pad))[1][-1].offset
            return min(each for each, wanted in zip(offsets, axes, strict=True) if wanted)
        return None

    pads = [own, *(own + 100 * 2**power for power in range(5))]
    pad = next((pad for pad in pads if offset(pad) is not None), None)
    if pad is None:
        return None
    # With p more pixels on each side, an image of n is one of m = n + 2p: the last offset is o + p,
    # and its slack size(m) - (o + p) - n = size(m) - m - o + p. Both grow with p, the least slack
    # too, over fewer m. So what works with p works with more, and halving finds the first.
    begin = max(own, pad - offset(pad))
    while begin < pad:
        middle = (begin + pad) // 2
        begin, pad = (begin, middle) if offset(middle) is not None else (middle + 1, pad)
    return pad


def _said(trunk: Plan, recipe: _Recipe, pad: int, axes: tuple[bool, bool]) -> Plan:
    """The recipe with a padding that does not work, which says what is wrong."""
    try:
        return recipe.upsampled(trunk.then(pad_first, pad, axes))
    except AlignError:
        raise
    except NetError as error:
        path = trunk.net.path
        fact = (
            f"the net cannot be built for images of every size: padded by {number_of(pad, 'pixel')}"
        )
        remedy = "the branches of an FCN have to fit at every size"
        raise Unbuilt(f"{path}: {fact}, {str(error).removeprefix(path + ':')}; {remedy}") from None


def _sizes_by_pad(
    net: Prototxt, recipe: _Recipe, own: int, axes: tuple[bool, bool]
) -> Callable[[int], Sizes]:
    """The sizes of a trunk at each padding from its own up, its own being as it is written."""
    graph = build(net)
    as_is = recipe.sizes(graph, first_layers(graph))

    @cache
    def even() -> Sizes:
        if padding_of(first_layers(graph), axes) == {own}:
            return as_is
        padded = build(pad_first(net, own, axes).net)
        return recipe.sizes(padded, first_layers(padded))

    def padded(pad: int) -> Sizes:
        more = [pad - own if wanted else 0 for wanted in axes]
        return as_is if pad == own else even().padded(*more)

    return padded


def _skip_names(rungs: Sequence[Rung], suffix: str, at_once: bool) -> list[Names]:
    """The FCN authors' names: upscore2, then upscore_pool4 after the skip from pool4.

    A "/" becomes "_": Caffe's HDF5 files cannot hold layers with it.
    """
    tops = [rung.top.replace("/", "_") for rung in rungs]
    befores = [f"upscore{rung.factor}" for rung in rungs[:1]] + [f"upscore_{top}" for top in tops]
    return [
        Names(
            f"{before}{suffix}",
            f"score_{top}{suffix}c",
            f"score_{top}{suffix}",
            f"fuse_{top}{suffix}",
            f"scale_{top}{suffix}" if at_once else "",
        )
        for before, top in zip(befores, tops, strict=False)
    ]
