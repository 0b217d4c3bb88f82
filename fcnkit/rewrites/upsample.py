"""A score map is brought to the resolution of another top, and laid over it.

A Deconvolution with a bilinear kernel upsamples, a Crop aligns, and for a skip
an Eltwise adds the scores of a finer layer.  Long, Shelhamer and Darrell,
"Fully Convolutional Networks for Semantic Segmentation", sections 3.3 and 4.2.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from fcnkit.errors import AlignError, NetError
from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets import coords, fit
from fcnkit.nets.coordmap import show
from fcnkit.nets.graph import Graph, Top, build
from fcnkit.nets.shapes import infer
from fcnkit.plan import Offset, Plan
from fcnkit.rewrites.parts import (
    Pairs,
    added,
    crop_layer,
    fuse_layer,
    scale_layer,
    score_layer,
    upscore_layer,
    with_layers,
)

_SCORES_WHY = "its weights start from zero"


class Names(NamedTuple):
    """The names of the layers that one upsampling adds, after the FCN authors'."""

    upscore: str
    crop: str
    score: str = ""
    fuse: str = ""
    scale: str = ""


def score(net: Prototxt, name: str, source: str, classes: int) -> Plan:
    """New scores of the blob `source` come at the end of the net, starting from zero."""
    return added(net, [(score_layer(name, source, classes), _SCORES_WHY)])


def upsample(
    net: Prototxt,
    score: str,
    reference: str,
    *,
    names: Names = Names("upscore", "score"),
    group: bool = True,
    least: int = 1,
) -> Plan:
    """The blob `score` is upsampled to the resolution of `reference` and cropped to its size.

    The Deconvolution's kernel is 2s, or 2s - 1 where that makes the Crop's
    offset whole; both keep bilinear weights a partition of unity.  With
    `group`, every class is upsampled by itself with Caffe's bilinear filler;
    without, the kernel is dense and its off-diagonal planes are zero, which
    only a weights file can hold.

    Raises AlignError when no kernel makes the offset whole, when it is
    negative, or when the crop does not fit at every input size from `least` up.
    """
    work = _work(net, score, reference, names.upscore, group)
    kernel, exact = work.kernel()
    graph = work.built([work.upscore(kernel)])
    up, wanted = graph.top(names.upscore), graph.top(reference)
    crop = Offset(names.crop, names.upscore, reference, coords.whole(graph, up, wanted, exact))
    found = fit.check(_sizes(graph, (up, wanted)), up, wanted, crop.offset, least)
    if not found.valid:
        raise _too_small(net, crop, found, least)
    return added(net, [(work.upscore(kernel), work.why), (crop_layer(crop), _why(crop, least))], [crop])


def skip(
    net: Prototxt,
    score: str,
    source: str,
    *,
    names: Names,
    group: bool = True,
    scale: float = 1,
    least: int = 1,
) -> Plan:
    """The scores `score`, upsampled, and new scores of the finer top `source` are added.

    Of the upsampled scores and the new ones the larger is cropped to the
    smaller.  Where each reaches beyond the other on one side, the
    Deconvolution's pad cuts the upsampled scores on both sides, as little as
    lets the new ones be cropped to them.  The new scores start from zero.
    Where `names` has a `scale`, a layer of that name scales what they see by
    the fixed factor `scale`.

    Raises AlignError when no kernel makes the offset whole or the two cannot
    be made to fit at every input size from `least` up.
    """
    work = _work(net, score, source, names.upscore, group)
    kernel, exact = work.kernel()
    finer: list[tuple[Pairs, str]] = [
        (score_layer(names.score, names.scale or source, work.classes), _SCORES_WHY)
    ]
    if names.scale:
        finer.insert(
            0, (scale_layer(names.scale, source, scale), "skips trained at once begin as small additions")
        )
    graph = work.built([work.upscore(kernel), *(layer for layer, _ in finer)])
    pad, crop = _joint(graph, names, exact, least)
    kept = names.upscore if crop.cropped == names.score else names.score
    layers = [
        (work.upscore(kernel, pad), work.why),
        *finer,
        (crop_layer(crop), _why(crop, least)),
        (fuse_layer(names.fuse, kept, names.crop), "the skip adds to the coarser scores"),
    ]
    return added(net, layers, [crop])


class _Work(NamedTuple):
    """One upsampling under construction: which top to which, by what factor."""

    net: Prototxt
    graph: Graph
    score: Top
    target: Top
    upscores: str
    group: bool
    classes: int
    factor: int

    @property
    def why(self) -> str:
        return f'"{self.target.blob}" has {self.factor} times the resolution of "{self.score.blob}"'

    def upscore(self, kernel: int, pad: int = 0) -> Pairs:
        scores, classes = self.score.blob, self.classes
        return upscore_layer(self.upscores, scores, classes, kernel, self.factor, group=self.group, pad=pad)

    def built(self, layers: Sequence[Pairs]) -> Graph:
        return build(with_layers(self.net, layers))

    def kernel(self) -> tuple[int, tuple[Fraction, ...]]:
        """The kernel of {2s, 2s - 1} with a whole offset, and that offset (which may be negative).

        Raises AlignError where neither has one.
        """
        tried = {}
        for kernel in (2 * self.factor, 2 * self.factor - 1):
            after = self.built([self.upscore(kernel)])
            exact = coords.offset(after, after.top(self.upscores), after.top(self.target.blob))
            if all(value.denominator == 1 for value in exact):
                return kernel, exact
            tried[kernel] = exact
        ways = " and ".join(f"{show(exact)} with kernel {kernel}" for kernel, exact in tried.items())
        raise AlignError(
            f'{self.net.path}: from "{self.score.blob}" up to "{self.target.blob}" the offset is {ways}; '
            "change the parity of a pad between them"
        )


def _work(net: Prototxt, score: str, target: str, upscores: str, group: bool) -> _Work:
    graph = build(net)
    scores, wanted = graph.top(score), graph.top(target)
    shape = infer(graph).tops[scores]
    if shape is None:
        raise NetError(f'{net.path}: the shape of "{score}" is not known; give the input a size')
    scale = coords.between(graph, scores, wanted).scale or (Fraction(1),)
    if len(set(scale)) != 1 or scale[0].denominator != 1:
        raise AlignError(
            f'{net.path}: "{target}" has {show(scale)} times the resolution of "{score}"; '
            "upsampling needs one whole factor for both axes"
        )
    return _Work(net, graph, scores, wanted, upscores, group, shape[1], int(scale[0]))


def _joint(graph: Graph, names: Names, exact: tuple[Fraction, ...], least: int) -> tuple[int, Offset]:
    """The Deconvolution's pad and the Crop with which upsampled and new scores meet."""
    up, new = graph.top(names.upscore), graph.top(names.score)
    sizes = _sizes(graph, (up, new))
    # Positive where the upsampled scores begin inside the new ones.
    begin = tuple(-int(value) for value in exact)
    ahead = tuple(map(int, exact))
    inner = Offset(names.crop, names.score, names.upscore, begin)
    if min(begin) >= 0 and fit.check(sizes, new, up, begin, least).valid:
        return 0, inner
    if min(ahead) >= 0 and fit.check(sizes, up, new, ahead, least).valid:
        return 0, Offset(names.crop, names.upscore, names.score, ahead)
    # A pad P moves the beginning by P and takes 2 P off the size.
    found = fit.check(sizes, new, up, begin, least)
    if found.slack is None:
        raise _too_small(graph.prototxt, inner, found, least)
    pad = max(0, -min(begin), -found.slack)
    return pad, inner._replace(offset=tuple(value + pad for value in begin))


def _sizes(graph: Graph, tops: tuple[Top, ...]) -> fit.Sizes:
    start = graph.inputs[0]
    return fit.Sizes(graph, start, infer(graph).tops[start], tops)


def _why(crop: Offset, least: int) -> str:
    where = f'"{crop.reference}" begins at pixel {show(crop.offset)} of "{crop.cropped}"'
    return f"{where}; fits inputs of {least} pixels and more"


def _too_small(net: Prototxt, crop: Offset, found: fit.Fit, least: int) -> AlignError:
    what = f'cropping "{crop.cropped}" at {"x".join(map(str, crop.offset))} to "{crop.reference}"'
    fact = "the net cannot be built" if found.slack is None else f"{-found.slack} pixels are missing"
    return AlignError(
        f"{net.path}: {what}: {fact} for an input of {found.size} pixels; "
        f"pad the first layer more, or ask for inputs larger than {least}"
    )
