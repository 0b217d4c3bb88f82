"""A score map is brought to the resolution of another top, and laid over it.

A Deconvolution with a bilinear kernel upsamples, a Crop aligns, and for a skip
an Eltwise adds the scores of a finer layer.  Long, Shelhamer and Darrell,
"Fully Convolutional Networks for Semantic Segmentation", sections 3.3 and 4.2.
"""

from fractions import Fraction
from typing import NamedTuple

from fcnkit.errors import AlignError, NetError
from fcnkit.formats.prototxt import Prototxt, Word
from fcnkit.nets import coords, fit
from fcnkit.nets.coordmap import show
from fcnkit.nets.graph import Graph, State, Top, build
from fcnkit.nets.shapes import infer
from fcnkit.plan import Move, Offset, Plan, Step
from fcnkit.rewrites.changes import appended

Pairs = list[tuple[str, object]]
_SUM = Word("SUM")
_LEARN: Pairs = [
    ("param", [("lr_mult", 1), ("decay_mult", 1)]),
    ("param", [("lr_mult", 2), ("decay_mult", 0)]),
]


class Names(NamedTuple):
    """The names of the layers that one upsampling adds, after the FCN authors'."""

    upscore: str
    crop: str
    score: str = ""
    fuse: str = ""


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
    graph = build(net, State())
    work = _Work(net, graph, graph.top(score), graph.top(reference), names, group)
    kernel, exact = work.kernel()
    with_up = work.add([work.deconvolution(kernel)])
    offset = coords.whole(with_up, with_up.top(names.upscore), with_up.top(reference), exact)
    sizes = work.sizes(with_up, (with_up.top(names.upscore), with_up.top(reference)))
    found = fit.check(sizes, with_up.top(names.upscore), with_up.top(reference), offset, least)
    if not found.valid:
        raise work.too_small(found, offset, least)
    crop = crop_layer(names.crop, names.upscore, reference, offset)
    return work.plan(
        [work.deconvolution(kernel), crop],
        kernel,
        Offset(names.crop, names.upscore, reference, offset),
        least,
    )


def skip(net: Prototxt, score: str, source: str, *, names: Names, group: bool = True, least: int = 1) -> Plan:
    """The scores `score`, upsampled, and new scores of the finer top `source` are added.

    Of the upsampled scores and the new ones the larger is cropped to the
    smaller.  Where each reaches beyond the other on one side, the
    Deconvolution's pad cuts the upsampled scores on both sides, as little as
    lets the new ones be cropped to them.  The new scores start from zero.

    Raises AlignError when no kernel makes the offset whole or the two cannot
    be made to fit at every input size from `least` up.
    """
    graph = build(net, State())
    work = _Work(net, graph, graph.top(score), graph.top(source), names, group)
    kernel, exact = work.kernel()
    return _Skip(work, kernel, exact, least).plan()


def crop_layer(name: str, cropped: str, reference: str, offset: tuple[int, ...]) -> Pairs:
    """A Crop layer; axis and offset are always written, since other tools centre one without."""
    values = offset[:1] if len(set(offset)) == 1 else offset
    return [
        ("name", name), ("type", "Crop"), ("bottom", cropped), ("bottom", reference), ("top", name),
        ("crop_param", [("axis", 4 - len(offset)), *(("offset", value) for value in values)]),
    ]  # fmt: skip


def score_layer(name: str, bottom: str, classes: int) -> Pairs:
    """A 1 x 1 Convolution that scores classes; without fillers it starts from zero."""
    return [
        ("name", name), ("type", "Convolution"), ("bottom", bottom), ("top", name), *_LEARN,
        ("convolution_param", [("num_output", classes), ("kernel_size", 1)]),
    ]  # fmt: skip


def why_crop(crop: Offset, least: int) -> str:
    """The reason that a Crop's step gives."""
    place = "x".join(map(str, dict.fromkeys(crop.offset)))
    where = f'"{crop.reference}" begins at pixel {place} of "{crop.cropped}"'
    return f"{where}; fits inputs of {least} pixels and more"


class _Work(NamedTuple):
    """One upsampling under construction."""

    net: Prototxt
    graph: Graph
    score: Top
    target: Top
    names: Names
    group: bool

    @property
    def classes(self) -> int:
        shape = infer(self.graph).tops[self.score]
        if shape is None:
            raise NetError(
                f'{self.net.path}: the shape of "{self.score.blob}" is not known; give the input a size'
            )
        return shape[1]

    @property
    def factor(self) -> int:
        scale = coords.between(self.graph, self.score, self.target).scale
        if len(set(scale)) != 1 or scale[0].denominator != 1:
            raise AlignError(
                f'{self.net.path}: "{self.target.blob}" has {show(scale)} times the resolution of '
                f'"{self.score.blob}"; upsampling needs one whole factor for both axes'
            )
        return int(scale[0])

    def kernel(self) -> tuple[int, tuple[Fraction, ...]]:
        """The kernel of {2s, 2s - 1} with a whole offset, and that offset (which may be negative)."""
        tried = {}
        for kernel in (2 * self.factor, 2 * self.factor - 1):
            after = self.add([self.deconvolution(kernel)])
            exact = coords.offset(after, after.top(self.names.upscore), after.top(self.target.blob))
            if all(value.denominator == 1 for value in exact):
                return kernel, exact
            tried[kernel] = exact
        ways = " and ".join(f"{show(exact)} with kernel {kernel}" for kernel, exact in tried.items())
        raise AlignError(
            f'{self.net.path}: from "{self.score.blob}" up to "{self.target.blob}" the offset is {ways}; '
            "change the parity of a pad between them"
        )

    def deconvolution(self, kernel: int, pad: int = 0) -> Pairs:
        classes = self.classes
        param: Pairs = [("num_output", classes)]
        param += [("group", classes)] if self.group and classes > 1 else []
        param += [("bias_term", False)]
        param += [("pad", pad)] if pad else []
        param += [("kernel_size", kernel), ("stride", self.factor)]
        param += [("weight_filler", [("type", "bilinear")])] if self.group or classes == 1 else []
        name = self.names.upscore
        return [
            ("name", name), ("type", "Deconvolution"), ("bottom", self.score.blob), ("top", name),
            ("param", [("lr_mult", 0)]), ("convolution_param", param),
        ]  # fmt: skip

    def add(self, layers: list[Pairs]) -> Graph:
        return build(self.text(layers), State())

    def text(self, layers: list[Pairs]) -> Prototxt:
        return self.net.edit(
            [appended(self.net, self.graph.layers[-1].field, layers, f'upsample "{self.score.blob}"')]
        )

    def sizes(self, graph: Graph, tops: tuple[Top, ...]) -> fit.Sizes:
        start = graph.inputs[0]
        return fit.Sizes(graph, start, infer(graph).tops[start], tops)

    def plan(self, layers: list[Pairs], kernel: int, crop: Offset, least: int) -> Plan:
        why = why_crop(crop, least)
        steps = tuple(
            Step("insert", dict(layer)["name"], None, _describe(layer), _reason(layer, self, why))
            for layer in layers
        )
        return Plan(self.net, self.text(layers), steps, self.moves(layers, kernel), (crop,))

    def moves(self, layers: list[Pairs], kernel: int) -> tuple[Move, ...]:
        classes, moves = self.classes, []
        for layer in map(dict, layers):
            if layer["type"] == "Deconvolution":
                shape = (classes, 1 if self.group else classes, kernel, kernel)
                moves.append(Move(layer["name"], 0, shape, how="bilinear"))
            elif layer["type"] == "Convolution":
                channels = infer(self.graph).tops[self.target][1]
                moves += [
                    Move(layer["name"], 0, (classes, channels, 1, 1), how="zero"),
                    Move(layer["name"], 1, (classes,), how="zero"),
                ]
        return tuple(moves)

    def too_small(self, found: fit.Fit, offset: tuple[int, ...], least: int) -> AlignError:
        what = f'cropping "{self.names.upscore}" at {show(offset)} to "{self.target.blob}"'
        fact = "the net cannot be built" if found.slack is None else f"{-found.slack} pixels are missing"
        return AlignError(
            f"{self.net.path}: {what}: {fact} for an input of {found.size} pixels; "
            f"pad the first layer more, or ask for inputs larger than {least}"
        )


class _Skip(NamedTuple):
    """The choice of what is cropped where a skip joins."""

    work: _Work
    kernel: int
    exact: tuple[Fraction, ...]
    least: int

    def plan(self) -> Plan:
        names, work = self.work.names, self.work
        score = score_layer(names.score, work.target.blob, work.classes)
        graph = work.add([score, work.deconvolution(self.kernel)])
        up, new = graph.top(names.upscore), graph.top(names.score)
        # Positive where the upsampled scores begin inside the new ones.
        begin = tuple(-int(value) for value in self.exact)
        sizes = work.sizes(graph, (up, new))
        if min(begin) >= 0 and fit.check(sizes, new, up, begin, self.least).valid:
            return self.finish(score, 0, (names.score, names.upscore), begin)
        ahead = tuple(-value for value in begin)
        if min(ahead) >= 0 and fit.check(sizes, up, new, ahead, self.least).valid:
            return self.finish(score, 0, (names.upscore, names.score), ahead)
        pad = self.pad(sizes, up, new, begin)
        return self.finish(score, pad, (names.score, names.upscore), tuple(value + pad for value in begin))

    def pad(self, sizes: fit.Sizes, up: Top, new: Top, begin: tuple[int, ...]) -> int:
        """The least Deconvolution pad P with begin + P >= 0 and new - begin - P >= up - 2 P."""
        found = fit.check(sizes, new, up, begin, self.least)
        if found.slack is None:
            raise self.work.too_small(found, begin, self.least)
        return max(0, -min(begin), -found.slack)

    def finish(self, score: Pairs, pad: int, crop: tuple[str, str], offset: tuple[int, ...]) -> Plan:
        names, work = self.work.names, self.work
        cropped, reference = crop
        kept = names.upscore if cropped == names.score else names.score
        layers = [
            work.deconvolution(self.kernel, pad),
            score,
            crop_layer(names.crop, cropped, reference, offset),
            _fuse_layer(names.fuse, kept, names.crop),
        ]
        return work.plan(layers, self.kernel, Offset(names.crop, cropped, reference, offset), self.least)


def _fuse_layer(name: str, first: str, second: str) -> Pairs:
    return [
        ("name", name), ("type", "Eltwise"), ("bottom", first), ("bottom", second), ("top", name),
        ("eltwise_param", [("operation", _SUM)]),
    ]  # fmt: skip


def _describe(layer: Pairs) -> str:
    given = dict(layer)
    param = dict(given.get("convolution_param", ()))
    if given["type"] == "Deconvolution":
        return f"Deconvolution, kernel {param['kernel_size']}, stride {param['stride']}, bilinear"
    if given["type"] == "Crop":
        offset = [value for name, value in given["crop_param"] if name == "offset"]
        return f"Crop, offset {'x'.join(map(str, offset))}"
    if given["type"] == "Convolution":
        return f"Convolution 1x1 of {given['bottom']}, {param['num_output']} classes"
    return f"{given['type']}, sum"


def _reason(layer: Pairs, work: _Work, why: str) -> str:
    kind = dict(layer)["type"]
    if kind == "Deconvolution":
        return f'"{work.target.blob}" has {work.factor} times the resolution of "{work.score.blob}"'
    return {
        "Crop": why,
        "Convolution": "its weights start from zero",
        "Eltwise": "the skip adds to the coarser scores",
    }[kind]
