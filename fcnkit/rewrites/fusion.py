"""FCNs of several images, such as colour and depth: fused early, in the first layer, or late.

Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic
Segmentation", section 5 (NYUDv2).  Early, the images are channels of one, and
the first weights have more of them.  Late, each image has a trunk of its own up
to its scores, whose mean is upsampled.  Weights are those of one classifier, as
surgery.py and nyud-fcn32s-color-d/solve.py of fcn.berkeleyvision.org make them:
copied under other names, and for channels that are new the mean of the others.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from fcnkit.edits import Edit
from fcnkit.errors import NetError, quoted
from fcnkit.formats.prototxt import Field, Prototxt, Word
from fcnkit.nets.graph import Graph, Layer, Top, build
from fcnkit.nets.shapes import shapes_of
from fcnkit.plan import Move, Plan, Step
from fcnkit.plural import number_of
from fcnkit.rewrites.changes import appended, instead_of_input, renamed_blob, set_value
from fcnkit.rewrites.channels import add_channels
from fcnkit.rewrites.parts import Pairs
from fcnkit.rewrites.rename import rename
from fcnkit.rewrites.trunk import SCORES

_NAME = re.compile(r"\w+", re.ASCII)
_FUSED = "score_fused"


def check_images(net: Prototxt, names: Sequence[str], how: str) -> None:
    """Two names or more of images that are fused, each once; NetError otherwise."""
    bad = next((name for name in names if not _NAME.fullmatch(name)), None)
    if bad is not None:
        fact = f"the image {quoted(bad)} is to be fused; name it with letters and digits"
    elif len(names) < 2:
        fact = f"{how} fusion of {len(names)} image; name two or more"
    elif len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        fact = f'{how} fusion of "{twice}" twice; name each image once'
    else:
        return
    raise NetError(f"{net.path}: {fact}")


# ---- early


def early_fusion(net: Prototxt, images: Mapping[str, str]) -> Plan:
    """The image of the net is several, one behind the other; `images` {name: its channels}.

    Channels are letters, as in {"color": "bgr", "depth": "d"}, the net's own image
    first.  The layers that see the image have all the letters in their names, since
    weights of the old names do not fit: conv1_1_bgrd.  The weights of new channels
    are the mean of the old ones'.

    Raises NetError where the first image has not the channels that the net has.
    """
    check_images(net, [*images], "early")
    bad = next((each for each in images.values() if not _NAME.fullmatch(each)), None)
    if bad is not None:
        fact = f"its channels are called {quoted(bad)}; give one letter per channel, such as bgr"
        raise NetError(f"{net.path}: {fact}")
    letters, first = "".join(images.values()), next(iter(images))
    top, channels = _image(build(net))
    if len(images[first]) != channels:
        fact = (
            f'"{first}" has {number_of(len(images[first]), "channel")}, and the net\'s image '
            f"{channels}"
        )
        raise NetError(f"{net.path}: {fact}; name that image first, with a letter for each channel")
    if top.blob in images:
        raise NetError(
            f'{net.path}: "{top.blob}" is the blob that the images are joined into; choose '
            "another name"
        )
    plan = add_channels(net, len(letters), start="mean")
    readers = list(dict.fromkeys(move.layer for move in plan.moves))
    return plan.then(_called, {name: f"{name}_{letters}" for name in readers})


def _called(net: Prototxt, names: Mapping[str, str]) -> Plan:
    """The layers in `names` have their new ones, and so have their tops of the same name."""
    plan = rename(net, names)
    layers = build(plan.net).layers
    known = {top.blob for layer in layers for top in layer.tops}
    edits = [
        edit
        for old, new in names.items()
        if old in known and new not in known
        for edit in renamed_blob(layers, old, new, "name of the layer")
    ]
    return Plan(net, plan.net.edit(edits), plan.steps, plan.moves)


# ---- late


def left_to_fillers(plan: Plan) -> set[str]:
    """The new layers of a plan of which its moves say nothing, such as the Scales of skips."""
    new = {step.layer for step in plan.steps if step.verb == "insert"}
    return new - {move.layer for move in plan.moves}


def late_fusion(
    net: Prototxt, images: Sequence[str], scores: Sequence[str], fresh: Collection[str] = ()
) -> Plan:
    """Each of `images` has a trunk of its own; the blobs `scores` are the mean of theirs.

    The names of a trunk's layers and blobs end in that of its image.  The net's
    image has the channels of all of them, one behind the other, and a Slice parts
    it.  All trunks have the weights that the one had; those of the layers `fresh`
    are left to their fillers.

    Raises NetError where a name is taken, or where anything but the scores and the
    size of the image is read from the trunk.
    """
    check_images(net, images, "late")
    graph = build(net)
    work = _Late(graph, tuple(images), tuple(scores))
    work.check()
    edits = [*work.parted(), *work.rewired()]
    for run in work.runs:
        edits += work.suffixed(run)
        edits.append(appended(net, run[-1].field, work.behind(run), "late fusion"))
    moves = tuple(work.moves(fresh))
    return Plan(net, net.edit(edits), tuple(work.steps()), moves)


@dataclass(frozen=True, eq=False)
class _Late:
    """The layers that are there once for each image, and where their scores meet."""

    graph: Graph
    images: tuple[str, ...]
    scores: tuple[str, ...]

    @cached_property
    def image(self) -> Top:
        return _image(self.graph)[0]

    @cached_property
    def trunk(self) -> tuple[Layer, ...]:
        """The layers that the scores need, without the input, in the order of the file."""
        todo, found = [self.graph.top(score) for score in self.scores], set()
        while todo:
            layer = self.graph.producer(todo.pop())
            if layer.bottoms and layer.index not in found:
                found.add(layer.index)
                todo += layer.bottoms
        return tuple(self.graph.layers[index] for index in sorted(found))

    @cached_property
    def blobs(self) -> frozenset[str]:
        return frozenset(top.blob for layer in self.trunk for top in layer.tops)

    @cached_property
    def rest(self) -> tuple[Layer, ...]:
        """The layers behind the scores."""
        own = {layer.index for layer in self.trunk}
        return tuple(each for each in self.graph.layers if each.bottoms and each.index not in own)

    @cached_property
    def runs(self) -> list[list[Layer]]:
        """The trunk's layers that stand one behind the other in the file."""
        found: list[list[Layer]] = []
        for layer in self.trunk:
            if found and found[-1][-1].index + 1 == layer.index:
                found[-1].append(layer)
            else:
                found.append([layer])
        return found

    def check(self) -> None:
        """The names are free, and the rest of the net reads the scores and the image alone."""
        path = self.graph.prototxt.path
        for layer in self.rest:
            for top in layer.bottoms:
                if top.blob in self.blobs and top.blob not in self.scores:
                    fact = f'it reads "{top.blob}", of which there is one for each image'
                    raise layer.error(f"{fact}; late fusion needs it after the scores")
        taken = {name for layer in self.rest for name in (layer.name, *_tops(layer))}
        taken |= {self.image.blob, *(layer.name for layer in self.trunk), *self.blobs}
        made = [*self.images, *(fused_name(score) for score in self.scores)]
        made += [f"{name}{image}" for name in self._names() for image in self.images]
        for name in made:
            if name in taken:
                fact = f'late fusion adds "{name}", but the net already has one'
                raise NetError(f"{path}: {fact}; choose other names for the images")

    def _names(self) -> Iterator[str]:
        yield from dict.fromkeys(layer.name for layer in self.trunk)
        yield from self.blobs

    def parted(self) -> list[Edit]:
        """All images in one input, and the Slice behind it."""
        source, top = self.graph.producer(self.image), self.image
        own, each, *rest = source.input_shapes[top.index] or ()
        dims = [("dim", size) for size in (own, each * len(self.images), *rest)]
        points = [("slice_point", each * number) for number in range(1, len(self.images))]
        feed: Pairs = [
            ("name", top.blob),
            ("type", "Input"),
            ("top", top.blob),
            ("input_param", [("shape", dims)]),
        ]
        cut: Pairs = [
            ("name", "images"),
            ("type", "Slice"),
            ("bottom", top.blob),
            *(("top", name) for name in self.images),
            ("slice_param", [("axis", 1), *points]),
        ]
        return instead_of_input(self.graph.prototxt, source.field, [feed, cut], "late fusion")

    def rewired(self) -> Iterator[Edit]:
        """The rest reads the fused scores, and the size of the first image."""
        names = {score: fused_name(score) for score in self.scores}
        names |= {self.image.blob: self.images[0]}
        for layer in self.rest:
            for field in layer.field.all("bottom"):
                if field.string in names:
                    yield set_value(field, names[field.string], "late fusion")

    def suffixed(self, run: Sequence[Layer]) -> Iterator[Edit]:
        """The layers as they stand become those of the first image."""
        for layer in run:
            for field in _naming(layer.field):
                yield set_value(field, self._called(field, self.images[0]), "late fusion")

    def _called(self, field: Field, image: str) -> str:
        blob = field.name in ("bottom", "top")
        return image if blob and field.string == self.image.blob else f"{field.string}{image}"

    def behind(self, run: Sequence[Layer]) -> list[Pairs]:
        """The layers of the other images, and the sums of the scores among them."""
        others = [self._copied(each.field, image) for image in self.images[1:] for each in run]
        made = {top.blob for layer in run for top in layer.tops}
        return others + [self._sum(score) for score in self.scores if score in made]

    def _copied(self, field: Field, image: str) -> Pairs:
        """A layer's fields as they are written, but for the names."""
        naming = {each.start for each in _naming(field)}

        def value(each: Field) -> object:
            if each.fields is not None:
                return [(one.name, value(one)) for one in each.fields]
            return self._called(each, image) if each.start in naming else Word(each.raw)

        return [(each.name, value(each)) for each in field.fields or ()]

    def _sum(self, score: str) -> Pairs:
        name, share = fused_name(score), 1 / len(self.images)
        coeff = [("coeff", share)] * len(self.images)
        return [
            ("name", name),
            ("type", "Eltwise"),
            *(("bottom", f"{score}{image}") for image in self.images),
            ("top", name),
            ("eltwise_param", [("operation", Word("SUM")), *coeff]),
        ]

    def moves(self, fresh: Collection[str]) -> Iterator[Move]:
        sizes = shapes_of(self.graph)
        for layer in self.trunk:
            for at, shape in enumerate(sizes.blobs(layer) or ()):
                if layer.name not in fresh:
                    for image in self.images:
                        yield Move(f"{layer.name}{image}", at, tuple(shape), layer.name)

    def steps(self) -> Iterator[Step]:
        many, first = len(self.images), self.trunk[0]
        names = ", ".join(self.images)
        source = self.graph.producer(self.image)
        what = f"{self.image.blob} has the channels of {number_of(many, 'image')}, split by a Slice"
        yield Step("change", source.name, source.line, what, f"late fusion of {names}")
        each = ", ".join(f"...{image}" for image in self.images)
        what = f"the trunk's {number_of(len(self.trunk), 'layer')} once for each image: {each}"
        yield Step("change", first.name, first.line, what, "all start from the same weights")
        for score in self.scores:
            what = f"Eltwise, mean of {number_of(many, 'score')}"
            yield Step("insert", fused_name(score), None, what, "the images count alike")


def _image(graph: Graph) -> tuple[Top, int]:
    """The net's one input and how many channels it has; NetError where that is not known."""
    tops = graph.inputs
    shape = graph.producer(tops[0]).input_shapes[tops[0].index] if len(tops) == 1 else None
    if shape is None or len(shape) < 2:
        fact = (
            f"{number_of(len(tops), 'input')}"
            if len(tops) != 1
            else "the size of its input is not known"
        )
        raise NetError(f"{graph.prototxt.path}: {fact}; fusion needs one image with its channels")
    return tops[0], shape[1]


def _tops(layer: Layer) -> Iterator[str]:
    return (top.blob for top in layer.tops)


def _naming(layer: Field) -> list[Field]:
    """The fields that name a layer, its blobs and its shared parameters."""
    params = (each for param in layer.all("param") for each in param.all("name"))
    return [*layer.all("name", "bottom", "top"), *params]


def fused_name(score: str) -> str:
    """What the FCN authors call the mean of several scores: score_fused for score_fr."""
    return score.replace(SCORES, _FUSED, 1) if score.startswith(SCORES) else f"{score}_fused"
