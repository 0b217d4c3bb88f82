"""Every rewrite as it is tried on a net with a layer of any type, and what it promises.

A deed's `act` makes the plan.  Its `judge` is given what Caffe computes of the net before, says
what to ask of the net after, and what the answer comes to: EQUAL, or what is wrong.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from type_nets import Planned, X
from type_oracle import Asked, asked, is_opened, tops_of, weights
from type_text import Spec, written

import fcnkit as fk
from fcnkit.formats.prototxt import Field, Prototxt
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import infer
from fcnkit.plan import Plan
from fcnkit.rewrites.changes import removed
from fcnkit.rewrites.slide import slide
from fcnkit.shape import Shape
from fcnkit.weights import store
from fcnkit.weights.surgery import transplant

EQUAL = "equal"
Values = Mapping[str, np.ndarray]
_NONE: Values = {}


class Tried(NamedTuple):
    """A net and all that is known of it before a rewrite."""

    planned: Planned
    net: Prototxt
    weights: store.Weights
    values: Values

    @property
    def given(self) -> Mapping[str, Shape]:
        """The shapes that the net does not say."""
        return self.planned.given

    @property
    def image(self) -> str:
        """The blob that is the image."""
        return "data" if "data" in self.values else self.planned.tried.tops[0]

    @property
    def read(self) -> str | None:
        """The blob that the tried layer reads first."""
        return next(iter(self.planned.tried.bottoms), None)

    @property
    def learned(self) -> set[str]:
        """The blobs that some weights have a part in."""
        heads = [
            spec for spec in self.planned.specs if spec.type in ("Convolution", "InnerProduct")
        ]
        return set().union(*(self.below(spec.tops[0]) for spec in heads))

    def below(self, blob: str) -> set[str]:
        """The blobs that depend on this one, itself among them."""
        found = {blob}
        for spec in self.planned.specs:
            if found.intersection(spec.bottoms):
                found.update(spec.tops)
        return found


class Answer(NamedTuple):
    """A question about the net after, and what its answer comes to."""

    asked: Asked
    verdict: Callable[[Values], str]


Change = Callable[[np.ndarray], np.ndarray]
Judge = Callable[[Tried, Plan, Values], Answer]


class Deed(NamedTuple):
    """One rewrite on trial; `before` changes the image of the net before it."""

    act: Callable[[Tried, Prototxt], Plan]
    judge: Judge
    before: Change | None = None


# ---- what is compared


def equal(expected: np.ndarray, found: np.ndarray) -> bool:
    """Whether these are the same numbers, in order, to 1e-4 of the largest."""
    one, two = expected.ravel(), found.ravel()
    largest = np.abs(one[np.isfinite(one)]).max(initial=1e-6)
    return one.size == two.size and np.allclose(one, two, 0, 1e-4 * largest, equal_nan=True)


def same(before: Values, after: Values, blobs: Sequence[str]) -> str:
    """EQUAL where all of these blobs are, or the first that is not."""
    for blob in blobs:
        if blob not in after:
            return f"{blob} is gone"
        if not equal(before[blob], after[blob]):
            shapes = before[blob].shape, after[blob].shape
            return f"{blob} differs ({shapes[0]} before, {shapes[1]} after)"
    return EQUAL


def outputs(tried: Tried, but: set[str] = frozenset()) -> list[str]:
    """The net's outputs, and what the tried layer reads where Caffe does not have it."""
    ends = [top.blob for top in build(tried.net).outputs]
    if is_opened(tried.planned.tried.type):
        ends += tried.planned.tried.bottoms
    known = asked(tried.net, tried.weights, tried.values, tried.given).blobs
    return [blob for blob in dict.fromkeys(ends) if blob in known and blob not in but]


def after(tried: Tried, plan: Plan, change: Change | None = None, more: Values = _NONE) -> Asked:
    """The net after with its weights, and its image changed as the rewrite wants it."""
    values = {**tried.values, **more}
    if change and tried.image in values:
        values[tried.image] = change(values[tried.image])
    return asked(plan.net, transplant(plan, tried.weights), values, tried.given)


def keeps_outputs(change: Change | None = None) -> Judge:
    """Every output stays what it was, of an image changed in this way, that weights see."""

    def judge(tried: Tried, plan: Plan, before: Values) -> Answer:
        blobs = [blob for blob in outputs(tried) if not change or blob in tried.learned]
        return Answer(after(tried, plan, change), lambda found: same(before, found, blobs))

    return judge


def _inputs(rewrite: Callable[..., Plan], *args, **options) -> Callable[[Tried, Prototxt], Plan]:
    return lambda tried, net: rewrite(net, *args, inputs=tried.given, **options)


# ---- drop


def judge_drop(tried: Tried, plan: Plan, before: Values) -> Answer:
    """What reads the layer reads what that read; or it goes too, and nothing else is lost."""
    left = {layer.name for layer in build(plan.net).layers}
    spec = tried.planned.tried
    lost = set().union(*(tried.below(top) for top in spec.tops)) if spec.tops else set()
    readers = [other for other in tried.planned.specs if set(other.bottoms) & set(spec.tops)]
    passes = any(other.name in left for other in readers if other is not spec) or (
        not readers and len(spec.tops) == len(spec.bottoms) == 1
    )
    if passes and spec.tops:
        return _by_hand(tried, plan, spec)
    stay = [blob for blob in outputs(tried) if blob not in lost]
    kept = {s.name for s in tried.planned.specs if not lost & set(s.bottoms) and s is not spec}
    missing = {name for name in kept if name not in left and name not in tried.values}
    if missing:
        return Answer(after(tried, plan), lambda found: f"{', '.join(missing)} went too")
    return Answer(after(tried, plan), lambda found: same(before, found, stay))


def _by_hand(tried: Tried, plan: Plan, spec: Spec) -> Answer:
    """As the net written without the layer, whose readers read its bottom."""
    old, new = spec.tops[0], spec.bottoms[0]
    specs = tuple(
        other._replace(bottoms=tuple(new if blob == old else blob for blob in other.bottoms))
        for other in tried.planned.specs
        if other is not spec
    )
    mine = written(specs, "V2", "lines")
    ours, theirs = _canonical(mine), _canonical(_as_v2(plan.net))
    verdict = EQUAL if ours == theirs else "it is not the net written without the layer"
    return Answer(after(tried, plan), lambda found: verdict)


def _as_v2(net: Prototxt) -> Prototxt:
    return fk.upgrade(net).net


def _canonical(net: Prototxt) -> list:
    """What the net says, layer by layer, however it is laid out."""
    graph = build(net)
    return [
        (layer.name, layer.type, [top.blob for top in layer.bottoms], [t.blob for t in layer.tops])
        for layer in graph.layers
        if layer.type != "Input"
    ]


# ---- classes

KEPT = (2, None, 0, 1)


def judge_classes(tried: Tried, plan: Plan, before: Values) -> Answer:
    """Old classes have the scores that they had; new ones 0."""

    def verdict(found: Values) -> str:
        old, new = before["fc"], found["fc"]
        rows = [old[:, at] if at is not None else 0 * old[:, 0] for at in KEPT]
        return EQUAL if equal(np.stack(rows, 1), new) else "fc differs"

    return Answer(after(tried, plan), verdict)


# ---- decimate


def judge_decimate(tried: Tried, plan: Plan, before: Values) -> Answer:
    """As the old kernel with zeros at the taps that go; `before` is computed with those."""
    return keeps_outputs()(tried, plan, before)


# ---- extract


def judge_start(tried: Tried, plan: Plan, before: Values) -> Answer:
    """The part computes of its start what the net computes of it there."""
    more = {top.blob: before[top.blob] for top in build(plan.net).inputs if top.blob in before}
    found = after(tried, plan, more=more)
    blobs = [blob for blob in outputs(tried) if blob in found.blobs]
    return Answer(found, lambda answer: same(before, answer, blobs))


def judge_end(tried: Tried, plan: Plan, before: Values) -> Answer:
    """The end is what it was."""
    ends = [top.blob for top in build(plan.net).outputs if top.blob in before]
    return Answer(after(tried, plan), lambda found: same(before, found, ends))


def _from(tried: Tried, net: Prototxt) -> Plan:
    return fk.extract(net, tried.read or tried.image, inputs=tried.given)


def _to(tried: Tried, net: Prototxt) -> Plan:
    end = tried.planned.tried.tops[:1] or (tried.read,)
    return fk.extract(net, None, end, inputs=tried.given)


# ---- upsample and align


def _highest(net: Prototxt, tried: Tried) -> str:
    """The last blob that is a map."""
    shapes = infer(build(net), dict(tried.given)).tops
    maps = [top.blob for top, shape in shapes.items() if shape is not None and len(shape) == 4]
    return maps[-1] if maps else "fc"


def _upsampled(tried: Tried, net: Prototxt) -> Plan:
    return fk.upsample(net, _highest(net, tried), tried.image)


def judge_upsample(tried: Tried, plan: Plan, before: Values) -> Answer:
    """The outputs are what they were, and the new scores have the image's size."""
    last = build(plan.net).layers[-1].tops[0].blob
    read = {top.blob for layer in build(plan.net).layers[-2:] for top in layer.bottoms}
    blobs = [blob for blob in outputs(tried) if blob not in read]

    def verdict(found: Values) -> str:
        size = tried.values.get(tried.image, np.zeros((2, 3, 15, 15))).shape[2:]
        if found[last].shape[2:] != size:
            return f"{last} is {found[last].shape}"
        return same(before, found, blobs)

    return Answer(after(tried, plan), verdict)


def _aligned(tried: Tried, net: Prototxt) -> Plan:
    """Align, on the net upsampled, whose Crop says nothing of its offset."""
    plan = _upsampled(tried, net)
    return fk.align(plan.net.edit([removed(field) for field in _crops(plan.net)]))


def _crops(net: Prototxt) -> list[Field]:
    return [field for layer in net.root.all("layer") for field in layer.all("crop_param")][-1:]


def judge_align(tried: Tried, plan: Plan, before: Values) -> Answer:
    """The offset is the one that upsampling wrote."""
    wanted = _upsampled(tried, tried.net)
    offset = {each for each in plan.offsets if each.layer == wanted.offsets[0].layer}
    verdict = EQUAL if offset == set(wanted.offsets) else f"{offset}, not {wanted.offsets}"
    return Answer(asked(plan.net, tried.weights, tried.values, tried.given), lambda found: verdict)


# ---- new heads


def judge_rescore(tried: Tried, plan: Plan, before: Values) -> Answer:
    """What the new scores are made of is what the old ones were made of."""
    head = build(plan.net).layer("score_fr")
    blobs = [top.blob for top in head.bottoms]
    blobs += [blob for blob in outputs(tried) if blob not in tried.below("fc")]
    return Answer(
        after(tried, plan),
        lambda found: same({**tried.values, **before}, {**tried.values, **found}, blobs),
    )


def judge_train(tried: Tried, plan: Plan, before: Values) -> Answer:
    """The scores are what they were, of the image that the data layer brings."""
    blobs = outputs(tried)
    labels = {
        top.blob: np.zeros((2, 1, 1, 1), "f4")
        for layer in build(plan.net).layers
        for top in layer.tops
        if layer.type == "Data" and top.blob != tried.image
    }
    found = after(tried, plan, more=labels)
    return Answer(found, lambda answer: same(before, answer, blobs))


# ---- all of them


def _gray(image: np.ndarray) -> np.ndarray:
    return image[:, :1].repeat(3, 1)


def _more(image: np.ndarray) -> np.ndarray:
    return np.concatenate([image, np.full_like(image[:, :1], 7)], 1)


def _then(first: Callable[..., Plan], second: Callable[..., Plan]) -> Callable:
    return lambda tried, net: first(net, inputs=tried.given).then(second)


DEEDS: dict[str, Deed] = {
    "convolutionalize": Deed(_inputs(fk.convolutionalize), keeps_outputs()),
    "slide": Deed(_inputs(slide), keeps_outputs()),
    "drop": Deed(_inputs(fk.drop, X), judge_drop),
    "fold": Deed(_inputs(fk.fold), keeps_outputs()),
    "swap": Deed(_inputs(fk.swap_channels), keeps_outputs(lambda image: image[:, ::-1])),
    "gray": Deed(_inputs(fk.to_gray), keeps_outputs(lambda image: image[:, :1]), _gray),
    "extract to": Deed(_to, judge_end),
}


def start(planned: Planned) -> Tried:
    """The net as it is first written, with its weights and the values of its inputs."""
    net = written(planned.specs, "V2", "lines")
    graph, values = build(net), dict(planned.values)
    for layer in graph.layers:
        if is_opened(layer.type):
            values |= tops_of(layer, graph, values, planned.given)
    return Tried(planned, net, weights(infer(graph, dict(planned.given))), values)
