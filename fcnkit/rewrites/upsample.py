"""A score map is brought to the resolution of another top, and laid over it.

A Deconvolution with a bilinear kernel upsamples, a Crop aligns, and for a skip
an Eltwise adds the scores of a finer layer.  Long, Shelhamer and Darrell,
"Fully Convolutional Networks for Semantic Segmentation", sections 3.3 and 4.2.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import NamedTuple

from fcnkit import expected
from fcnkit.errors import AlignError, NetError
from fcnkit.formats.prototxt import NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.nets import coords
from fcnkit.nets.coordmap import IDENTITY, CoordMap, show
from fcnkit.nets.graph import Graph, Top, build
from fcnkit.nets.layers.axes import show as shown
from fcnkit.nets.layers.sliding import deconvolved
from fcnkit.nets.shapes import shapes_of
from fcnkit.nets.sizes import Fit, Sizes, TopShapes, Track, crop_fit, track
from fcnkit.plan import Offset, Plan
from fcnkit.plural import number_of
from fcnkit.rewrites.operations import Operation, name_and_rest
from fcnkit.rewrites.parts import (
    Pairs,
    added,
    crop_layer,
    fuse_layer,
    scale_layer,
    score_layer,
    upscore_layer,
)
from fcnkit.rewrites.upgrade import upgrade
from fcnkit.shape import Shape

# The smallest image that an operation has to fit, as by default in `fcn`.
_LEAST = 32
_SCALE_WHY = "skips trained at once begin as small additions"


class Names(NamedTuple):
    """The names of the layers that one upsampling adds, as the FCN authors use them."""

    upscore: str
    crop: str
    score: str = ""
    fuse: str = ""
    scale: str = ""


def scored(name: str, source: str, classes: int) -> tuple[Pairs, str]:
    """The layer of new scores of the blob `source`, and why it starts as it does."""
    return score_layer(name, source, classes), "its weights start at zero"


@expected.checked
def upsample(
    net: NetOrPath,
    score: str,
    reference: str,
    *,
    names: Names = Names("upscore", "score"),
    group: bool = True,
    least: int = 1,
) -> Plan:
    """Upsamples the blob `score` to the resolution of `reference`, and crops it to its size.

    >>> trunk = fk.drop(fk.convolutionalize(fk.template("vgg16")).net, "prob").net
    >>> padded = fk.pad(trunk, "conv1_1", 100).net
    >>> fk.upsample(padded, "fc8", "data", least=32).offsets[0].offset
    (19, 19)

    For a stride of s, the kernel of the Deconvolution is 2s, or 2s - 1 if that makes the Crop's
    offset whole. With either, the bilinear weights at each point sum to 1. A net in an old
    format, which has no Crop, is upgraded first.

    - `net`: a Prototxt or its path, and `names`: the names of the new layers.
    - `group`: upsample each class separately, with Caffe's bilinear filler. With False, the
      kernel is dense and its off-diagonal planes are zero, which only a weights file can hold.
    - `least`: the smallest input size for which the Crop must fit.

    Returns a Plan: the new net, the steps with their reasons, and what happens to the weights.
    Raises AlignError if no kernel makes the offset whole, if the offset is negative, or if the
    Crop does not fit at every input size from `least` up.
    """
    net = given_net(net)
    if net.root.all("layers"):
        options = {"names": names, "group": group, "least": least}
        return upgrade(net).then(upsample, score, reference, **options)
    work = _work(net, score, reference, group, least)
    try:
        new = work.climb.upsampled(work.scores, work.wanted, names)
    except Negative as error:
        missing = error.missing * max(work.scores.place.scale, default=Fraction(1))
        raise AlignError(f"{error}; {coords.pad_remedy(work.graph, work.top, missing)}") from error
    return added(net, new.layers, [new.crop])


@expected.checked
def skip(
    net: NetOrPath,
    score: str,
    source: str,
    *,
    names: Names,
    group: bool = True,
    scale: float = 1,
    least: int = 1,
) -> Plan:
    """Upsamples `score`, and adds new scores of the finer top `source`.

    >>> from fcnkit.rewrites.upsample import Names
    >>> trunk = fk.drop(fk.convolutionalize(fk.template("vgg16")).net, "prob").net
    >>> names = Names("upscore2", "score_pool4c", "score_pool4", "fuse_pool4")
    >>> plan = fk.skip(fk.pad(trunk, "conv1_1", 100).net, "fc8", "pool4", names=names)
    >>> [step.layer for step in plan.steps]
    ['upscore2', 'score_pool4', 'score_pool4c', 'fuse_pool4']
    >>> plan.offsets[0].offset
    (5, 5)

    The larger of the two score maps is cropped to the smaller one. If each extends beyond the other
    on one side, the padding of the Deconvolution cuts the upsampled scores on both sides, just
    enough for the new scores to be cropped to them. The new scores start from zero. `net`, `group`,
    `least` and the Plan are as for `upsample`. If `names` has a `scale`, a layer of that name
    multiplies the input of the new scores by the fixed factor `scale`.

    Raises AlignError if no kernel makes the offset whole, or if the two cannot be aligned at
    every input size from `least` up.
    """
    net = given_net(net)
    if net.root.all("layers"):
        options = {"names": names, "group": group, "scale": scale, "least": least}
        return upgrade(net).then(skip, score, source, **options)
    work = _work(net, score, source, group, least)
    new = work.climb.skipped(work.scores, work.wanted, names, scale)
    return added(net, new.layers, [new.crop])


class Negative(AlignError):
    """A Crop's offset is negative: what it cuts begins `missing` pixels too late."""

    def __init__(self, fact: str, missing: Fraction):
        super().__init__(fact)
        self.missing = missing


class Short(AlignError):
    """The scores do not reach the image's ends, as `fact` says; more padding would help."""

    def __init__(self, fact: str, remedy: str):
        super().__init__(f"{fact}; {remedy}")
        self.fact = fact


class Added(NamedTuple):
    """Layers that bring scores up, each with its reason; the Crop among them, and their end."""

    layers: list[tuple[Pairs, str]]
    crop: Offset
    end: Track


class Climb(NamedTuple):
    """How the scores of one head are brought up: in which net, and for which sizes of its input."""

    sizes: Sizes
    classes: int
    group: bool
    least: int

    @property
    def path(self) -> str:
        """The net's file, for errors."""
        return self.sizes.graph.prototxt.path

    def upsampled(self, scores: Track, wanted: Track, names: Names) -> Added:
        """The layers of `upsample`.

        Raises AlignError as that does; Negative where a pad would help.
        """
        rise = self._rise(scores, wanted, names.upscore)
        if min(rise.exact) < 0:
            what = f'cropping "{names.upscore}" to "{wanted.blob}"'
            fact = f"{what} needs the offset {show(rise.exact)}, a negative number"
            raise Negative(f"{self.path}: {fact}", -min(rise.exact))
        crop = Offset(names.crop, names.upscore, wanted.blob, tuple(map(int, rise.exact)))
        found = crop_fit(self.sizes, rise.top, wanted, crop.offset, self.least)
        if not found.valid:
            raise self._too_small(crop, found)
        layers = [self._upscore(rise), (crop_layer(crop), self._why(crop))]
        return Added(layers, crop, wanted._replace(blob=names.crop))

    def skipped(self, scores: Track, source: Track, names: Names, scale: float) -> Added:
        """The layers of `skip`.

        Raises AlignError as that does.
        """
        rise = self._rise(scores, source, names.upscore)
        new = source._replace(blob=names.score)
        pad, crop = self._joint(rise, new, names)
        rise = rise._replace(pad=pad)
        kept = rise.top if crop.cropped == names.score else new
        finer = [scored(names.score, names.scale or source.blob, self.classes)]
        if names.scale:
            finer.insert(0, (scale_layer(names.scale, source.blob, scale), _SCALE_WHY))
        layers = [
            self._upscore(rise),
            *finer,
            (crop_layer(crop), self._why(crop)),
            (fuse_layer(names.fuse, kept.blob, names.crop), "adds the skip to the coarser scores"),
        ]
        return Added(layers, crop, kept._replace(blob=names.fuse))

    def _rise(self, scores: Track, wanted: Track, name: str) -> "_Rise":
        """The kernel of {2s, 2s - 1} on each axis with a whole offset, which may be negative.

        An axis of factor 1 stays as it is if it can.  Raises AlignError where neither has one.
        """
        factor, tried = self._factor(scores, wanted), {}
        kernel = [0, 0]
        for odd in (False, True):
            each = tuple(2 * times - (odd == (times > 1)) for times in factor)
            rise = tried[each] = _Rise(scores, wanted, name, factor, each)
            for axis, value in enumerate(rise.exact):
                if value.denominator == 1:
                    kernel[axis] = kernel[axis] or each[axis]
        if all(kernel):
            return _Rise(scores, wanted, name, factor, tuple(kernel))
        ways = " and ".join(
            f"{show(rise.exact)} with kernel {_show(each)}" for each, rise in tried.items()
        )
        raise AlignError(
            f'{self.path}: from "{scores.blob}" up to "{wanted.blob}" the offset is {ways}; '
            "change the parity of a pad between them"
        )

    def _factor(self, scores: Track, wanted: Track) -> Shape:
        """How many times finer each axis is to be."""
        scale = scores.place.inverse().then(wanted.place).scale
        if any(value.denominator != 1 for value in scale):
            raise AlignError(
                f'{self.path}: "{wanted.blob}" has {show(scale)} times the resolution of '
                f'"{scores.blob}"; '
                "upsampling needs a whole-number factor for each axis"
            )
        return tuple(map(int, ((Fraction(1),) * 2 + scale)[-2:]))

    def _joint(self, rise: "_Rise", new: Track, names: Names) -> tuple[Shape, Offset]:
        """The Deconvolution's pad and the Crop with which upsampled and new scores meet."""
        # Positive where the upsampled scores begin inside the new ones.
        begin = tuple(-int(value) for value in rise.exact)
        ahead = tuple(map(int, rise.exact))
        inner = Offset(names.crop, names.score, names.upscore, begin)
        found = crop_fit(self.sizes, new, rise.top, begin, self.least)
        if min(begin) >= 0 and found.valid:
            return (0, 0), inner
        if min(ahead) >= 0 and crop_fit(self.sizes, rise.top, new, ahead, self.least).valid:
            return (0, 0), Offset(names.crop, names.upscore, names.score, ahead)
        # A pad P moves the beginning by P and takes 2 P off the size.
        if found.slack is None:
            raise self._too_small(inner, found)
        most = max(0, -min(begin), -found.slack)
        pad = tuple(most if times > 1 else 0 for times in rise.factor)
        return pad, inner._replace(offset=tuple(map(sum, zip(begin, pad, strict=True))))

    def _upscore(self, rise: "_Rise") -> tuple[Pairs, str]:
        name, scores, kernel, factor, pad = (
            rise.name,
            rise.scores.blob,
            rise.kernel,
            rise.factor,
            rise.pad,
        )
        layer = upscore_layer(name, scores, self.classes, kernel, factor, group=self.group, pad=pad)
        return layer, f'"{rise.wanted.blob}" has {_show(factor)} times the resolution of "{scores}"'

    def _why(self, crop: Offset) -> str:
        where = f'"{crop.reference}" begins at pixel {show(crop.offset)} of "{crop.cropped}"'
        return f"{where}; fits inputs of {self.least} pixels and more"

    def _too_small(self, crop: Offset, found: Fit) -> AlignError:
        remedy = f"pad the first layer more, or ask for inputs larger than {self.least}"
        if found.slack is None:
            why = found.why.removeprefix(f"{self.path}:")
            fact = f"the net cannot be built for an input of {found.size} pixels, at {why}"
            return Unbuilt(f"{self.path}: {fact}; {remedy}")
        what = (
            f'cropping "{crop.cropped}" at {"x".join(map(str, crop.offset))} to "{crop.reference}"'
        )
        fact = f"{number_of(-found.slack, 'pixel')} missing for an input of {found.size} pixels"
        return Short(f"{self.path}: {what}: {fact}", remedy)


def _show(values: Shape) -> str:
    """One number where both axes have one."""
    return "x".join(map(str, dict.fromkeys(values)))


class Unbuilt(AlignError):
    """At some size of the input the net itself cannot be built."""


class _Rise(NamedTuple):
    """A bilinear Deconvolution that brings scores to the resolution of another top."""

    scores: Track
    wanted: Track
    name: str
    factor: Shape
    kernel: Shape
    pad: Shape = (0, 0)

    @property
    def top(self) -> Track:
        """The upsampled scores."""
        axes = zip(self.factor, self.kernel, self.pad, strict=True)
        own = CoordMap.of((Fraction(s), Fraction(k - 1, 2) - p) for s, k, p in axes)
        return Track(self.name, self.scores.place.then(own), self._size)

    def _size(self, known: TopShapes) -> Shape:
        sizes = self.scores.size(known)
        return tuple(map(deconvolved, sizes, self.kernel, self.factor, self.pad))

    @property
    def exact(self) -> tuple[Fraction, ...]:
        """Where the first pixel of the other top lies in the upsampled scores."""
        shift = self.wanted.place.inverse().then(self.top.place).shift
        return ((Fraction(0),) * 2 + shift)[-2:]


class _Work(NamedTuple):
    """One upsampling in a net: of which of its tops, to which, as tracks over the latter."""

    graph: Graph
    top: Top
    climb: Climb
    scores: Track
    wanted: Track


def _work(net: Prototxt, score: str, target: str, group: bool, least: int) -> _Work:
    graph = build(net)
    scores, wanted = graph.top(score), graph.top(target)
    shapes = shapes_of(graph).tops
    start = next(iter(graph.inputs), scores)
    size, shape = shapes[start], shapes[scores]
    if size is None or shape is None or not graph.inputs:
        raise NetError(f'{net.path}: the shape of "{score}" is not known; give the input a size')
    if len(shape) != 4:
        fact = f'its top "{score}" is {shown(shape)}, and only maps of 4 axes can be upsampled'
        remedy = "name one, or write a Deconvolution and a Crop by hand"
        if len(shape) == 2:
            remedy = "name one, or convolutionalize the net first"
        if len(size) == len(shape) == 3:
            row = shown((*size[:2], 1, size[2]))
            remedy = f"write the signal as an image of one row, {row}, with kernels of kernel_h 1"
        raise graph.producer(scores).error(f"{fact}; {remedy}")
    place = coords.between(graph, scores, wanted).inverse()
    sizes = Sizes(graph, start, size, (scores, wanted))
    climb = Climb(sizes, shape[1], group, least)
    return _Work(graph, scores, climb, track(scores, place), track(wanted, IDENTITY))


def _operated(
    net: Prototxt, score: str, reference: str, *, inputs: Mapping[str, Shape] | None = None
) -> Plan:
    """Upsampled to the size of a blob, or to the image's by a factor, which has to be the stride's.

    The map between them does not depend on the size of the inputs.
    """
    graph = build(net)
    names = Names("upscore", "score")
    if {layer.name for layer in graph.layers} & {*names}:
        names = Names(f"upscore_{score}", f"{score}_upsampled")
    if not reference.isdigit():
        return upsample(net, score, reference, names=names, least=_LEAST)
    if len(graph.inputs) != 1:
        raise NetError(f"{net.path}: has {len(graph.inputs)} inputs; give the blob to upsample to")
    (image,) = graph.inputs
    stride = 1 / min(coords.between(graph, image, graph.top(score)).scale)
    if stride != int(reference):
        fact = f'a pixel of "{score}" is {show([stride])} of "{image.blob}", not {reference}'
        raise graph.producer(graph.top(score)).error(
            f"{fact}; write upsample={score}:{show([stride])}"
        )
    return upsample(net, score, image.blob, names=names, least=_LEAST)


OPERATIONS = (
    Operation(
        "upsample",
        "upsample=MAP:BLOB|N",
        "upsample a map N times, or to a blob's size",
        _operated,
        lambda text: (name_and_rest(text), {}),
    ),
)
