"""Every rewrite as it is tried on a net with a layer of any type, and what it promises.

A deed's `act` makes the plan.  Its `judge` is given what Caffe computes of the net before, says
what to ask of the net after, and what the answers come to: EQUAL, or what is wrong.
"""

from collections.abc import Callable

import numpy as np
from type_fcn import coarse, judge_coarse, judge_size
from type_nets import X
from type_oracle import Asked, asked
from type_text import Spec, written
from type_tried import (
    EQUAL,
    Answer,
    Deed,
    Tried,
    Values,
    after,
    equal,
    keeps_outputs,
    outputs,
    same,
)

import fcnkit as fk
from fcnkit.formats.prototxt import Field, Prototxt
from fcnkit.nets.graph import build
from fcnkit.nets.layers.table import FORKS, TYPES, is_pointwise
from fcnkit.nets.layers.traits import Trait
from fcnkit.nets.shapes import shapes_of
from fcnkit.plan import Plan
from fcnkit.rewrites.changes import removed
from fcnkit.rewrites.slide import slide
from fcnkit.rewrites.upsample import Names
from fcnkit.shape import Shape


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
        return Answer(lambda found: f"{', '.join(missing)} went too", (after(tried, plan),))
    return Answer(lambda found: same(before, found, stay), (after(tried, plan),))


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
    return Answer(lambda found: verdict, (after(tried, plan),))


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
    """Old classes have the scores that they had, new ones 0; what is apart from them stays."""
    others = [blob for blob in outputs(tried) if blob not in tried.below("fc")]
    layer = build(tried.net).layer(X)
    alone = ["t"] if is_pointwise(layer) and tried.read == "fc" else []

    def verdict(found: Values) -> str:
        for blob in ["fc", *alone]:
            kept = [(at, old) for at, old in enumerate(KEPT) if old is not None]
            if not all(equal(before[blob][:, old], found[blob][:, at]) for at, old in kept):
                return f"{blob} differs"
        return "a new class is not 0" if found["fc"][:, 1].any() else same(before, found, others)

    return Answer(verdict, (after(tried, plan),))


# ---- extract


def judge_start(tried: Tried, plan: Plan, before: Values) -> Answer:
    """The part computes of its start what the net computes of it there."""
    more = {top.blob: before[top.blob] for top in build(plan.net).inputs if top.blob in before}
    found = after(tried, plan, more=more)
    blobs = [blob for blob in outputs(tried) if blob in found.blobs]
    return Answer(lambda answer: same(before, answer, blobs), (found,))


def judge_end(tried: Tried, plan: Plan, before: Values) -> Answer:
    """The end is what it was."""
    ends = [top.blob for top in build(plan.net).outputs if top.blob in before]
    return Answer(lambda found: same(before, found, ends), (after(tried, plan),))


def _from(tried: Tried, net: Prototxt) -> Plan:
    return fk.extract(net, tried.read or tried.image, inputs=tried.given)


def _to(tried: Tried, net: Prototxt) -> Plan:
    end = tried.planned.tried.tops[:1] or (tried.read,)
    return fk.extract(net, None, end, inputs=tried.given)


# ---- upsample and align


def _highest(net: Prototxt, tried: Tried) -> str:
    """The last blob that is a map."""
    shapes = shapes_of(build(net), dict(tried.given)).tops
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

    return Answer(verdict, (after(tried, plan),))


def _skipped(tried: Tried, net: Prototxt) -> Plan:
    names = Names("upscore2", "cropped", "skip_score", "fuse")
    return fk.skip(net, _highest(net, tried), "c", names=names)


def judge_skip(tried: Tried, plan: Plan, before: Values) -> Answer:
    """The outputs are what they were; the sum is the upsampled scores, since the new ones are 0."""
    layers = build(plan.net).layers[-4:]
    read = {top.blob for layer in layers for top in layer.bottoms}
    blobs = [blob for blob in outputs(tried) if blob not in read]

    def verdict(found: Values) -> str:
        kept = [top.blob for top in layers[-1].bottoms if found[top.blob].any()]
        fused = not kept or equal(found[kept[0]], found["fuse"])
        return same(before, found, blobs) if fused else "fuse is not the upsampled scores"

    return Answer(verdict, (after(tried, plan),))


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
    found = asked(plan.net, tried.weights, tried.values, tried.given)
    return Answer(lambda answer: verdict, (found,))


# ---- new heads


def judge_rescore(tried: Tried, plan: Plan, before: Values) -> Answer:
    """What the new scores are made of is what the old ones were made of."""
    head = build(plan.net).layer("score_fr")
    blobs = [top.blob for top in head.bottoms]
    blobs += [blob for blob in outputs(tried) if blob not in tried.below("fc")]
    return Answer(
        lambda found: same({**tried.values, **before}, {**tried.values, **found}, blobs),
        (after(tried, plan),),
    )


def judge_train(tried: Tried, plan: Plan, before: Values) -> Answer:
    """The scores are what they were, of the image that the data layer brings."""
    blobs = [top.blob for top in build(tried.net).outputs if top.blob in before]
    shape = shapes_of(build(tried.net), dict(tried.given)).tops[build(tried.net).outputs[-1]]
    labels = {
        top.blob: np.zeros((shape[0], *((1,) * (len(shape) > 2)), *shape[2:]), "f4")
        for layer in build(plan.net).layers
        for top in layer.tops
        if layer.type == "Data" and top.blob not in tried.values
    }
    found = after(tried, plan, more=labels)
    return Answer(lambda answer: same(before, answer, blobs), (found,))


# ---- deploy


def judge_deploy(tried: Tried, plan: Plan, before: Values) -> Answer:
    """What is predicted is what it was; losses and what reads labels alone are gone."""
    graph, kind = build(plan.net), TYPES[tried.planned.tried.type]
    tops = {top.blob for top in graph.tops}
    judged = kind.trait in (Trait.LOSS, Trait.JUDGE) or kind.labelled
    may_go = (
        set().union(*(tried.below(top) for top in tried.planned.tried.tops)) if judged else set()
    )
    blobs = [blob for blob in outputs(tried, may_go - tops) if blob in tried.learned]
    new = [layer for layer in graph.layers if layer.name.startswith("prob")]

    def verdict(found: Values) -> str:
        for layer in new:
            scores = before[layer.bottoms[0].blob]
            expected = np.exp(scores) if layer.type == "Softmax" else 1 / (1 + np.exp(-scores))
            if layer.type == "Softmax":
                expected /= expected.sum(1, keepdims=True)
            if not equal(expected, found[layer.tops[0].blob]):
                return f"{layer.name} is not the {layer.type} of its scores"
        return same(before, found, blobs)

    made = {top.blob: before[top.blob] for top in graph.inputs if top.blob in before}
    return Answer(verdict, (after(tried, plan, more=made),))


# ---- all of them


def _gray(image: np.ndarray) -> np.ndarray:
    return image[:, :1].repeat(3, 1)


def _of_gray(tried: Tried, before: Asked) -> Asked:
    """The image of the net before has equal channels."""
    changed = {b: _gray(v) if b == tried.image else v for b, v in before.values.items()}
    return before._replace(values=changed)


def _holed(tried: Tried, before: Asked) -> Asked:
    """The kernel of "c" has zeros at the taps that decimation takes out."""
    if "c" not in tried.weights:
        return before
    kernel, *bias = (blob.array() for blob in tried.weights["c"])
    taps = np.zeros_like(kernel)
    taps[..., ::2, ::2] = kernel[..., ::2, ::2]
    return before._replace(weights=before.weights.put("c", [taps, *bias]))


def _unread(tried: Tried, before: Asked) -> Asked:
    """The channels of "c" that go are zero, and "d", where it reads them, takes no notice."""
    weights = before.weights
    kind = TYPES[tried.planned.tried.type].trait
    names = ["c", *[X] * (kind is Trait.CHANNEL), *["d"] * (kind is not Trait.MIXES)]
    for name in names if "c" in tried.weights else ():
        blobs = [blob.array().copy() for blob in weights[name]] if name in weights else []
        for blob in blobs:
            _silence(blob, name)
        weights = weights.put(name, blobs) if blobs else weights
    return before._replace(weights=weights)


def _silence(blob: np.ndarray, name: str) -> None:
    """Every second one of four is zero."""
    if name == "d" and blob.ndim == 4 and blob.shape[1] in (2, 4):  # in two groups, or dense
        blob[:, 1::2] = 0
    elif name == X and blob.size == 4:  # a number of each channel
        blob.reshape(-1)[1::2] = 0
    elif name == "c":
        blob[1::2] = 0


def judge_bvlc(tried: Tried, plan: Plan, before: Values) -> Answer:
    """What does not depend on a layer that only its fork has stays what it was; what does is
    tried in test_bvlc.py, beside PyTorch.
    """
    new = {layer.name: layer.type for layer in build(plan.net).layers}.get(X)
    spec = tried.planned.tried
    said_anew = spec.type in FORKS and new != spec.type
    lost = set().union(*(tried.below(top) for top in spec.tops)) if said_anew else set()
    blobs = [blob for blob in outputs(tried, lost) if blob in tried.learned]
    return Answer(lambda found: same(before, found, blobs), (after(tried, plan),))


def judge_filters(tried: Tried, plan: Plan, before: Values) -> Answer:
    """What is read of the channels that are left is what it was."""
    blobs, sizes = outputs(tried), shapes_of(build(plan.net), dict(tried.given)).tops
    opened = {
        top.blob: tried.values[top.blob][:, ::2]
        for top, shape in sizes.items()
        if top.blob in tried.values and shape[1:2] == (2,) and tried.values[top.blob].shape[1] == 4
    }

    def verdict(found: Values) -> str:
        left = {
            blob: value[:, ::2] if found[blob].shape[1:2] == (2,) and value.shape[1] == 4 else value
            for blob, value in before.items()
            if blob in found
        }
        return same(left, found, blobs)

    return Answer(verdict, (after(tried, plan, more=opened),))


def _more(image: np.ndarray) -> np.ndarray:
    return np.concatenate([image, np.full_like(image[:, :1], 7)], 1)


def _to_its_own(rewrite: Callable[[Prototxt, str, Shape], Plan]) -> Callable:
    """The rewrite for the size that the image, or else the first input, has already."""

    def plan(tried: Tried, net: Prototxt) -> Plan:
        blob = tried.image if tried.image in tried.values else next(iter(tried.values), "")
        return rewrite(net, blob, tried.values[blob].shape) if blob else Plan(net, net)

    return plan


def _then(first: Callable[..., Plan], second: Callable[..., Plan]) -> Callable:
    return lambda tried, net: first(net, inputs=tried.given).then(second)


DEEDS: dict[str, Deed] = {
    "convolutionalize": Deed(_inputs(fk.convolutionalize), keeps_outputs()),
    "slide": Deed(_inputs(slide), keeps_outputs()),
    "drop": Deed(_inputs(fk.drop, X), judge_drop),
    "fold": Deed(_inputs(fk.fold), keeps_outputs()),
    "swap": Deed(_inputs(fk.swap_channels), keeps_outputs(lambda image: image[:, ::-1])),
    "gray": Deed(_inputs(fk.to_gray), keeps_outputs(lambda image: image[:, :1]), _of_gray),
    "colour": Deed(_then(fk.to_gray, fk.to_colour), keeps_outputs(_gray), _of_gray),
    "channels": Deed(_inputs(fk.add_channels, 4), keeps_outputs(_more)),
    "decimate": Deed(_inputs(fk.decimate, "c", 2), keeps_outputs(), _holed),
    "filters": Deed(_inputs(fk.fewer_filters, "c", 2), judge_filters, _unread),
    "fcn": Deed(lambda tried, net: coarse(tried, net, 1), judge_coarse),
    "fcn of skips": Deed(lambda tried, net: coarse(tried, net, 2), judge_size),
    "classes": Deed(_inputs(fk.reclass, "fc", KEPT), judge_classes),
    "dense": Deed(_inputs(fk.ungroup), keeps_outputs()),
    "group": Deed(_then(fk.ungroup, lambda net: fk.regroup(net, "d", 2)), keeps_outputs()),
    "extract from": Deed(_from, judge_start),
    "extract to": Deed(_to, judge_end),
    "rename": Deed(_inputs(fk.rename, {X: "renamed", "fc": "last"}), keeps_outputs()),
    "fc": Deed(_inputs(fk.to_fc), keeps_outputs()),
    "conv and fc": Deed(_then(fk.convolutionalize, fk.to_fc), keeps_outputs()),
    "upsample": Deed(_upsampled, judge_upsample),
    "skip": Deed(_skipped, judge_skip),
    "align": Deed(_aligned, judge_align),
    "pad": Deed(
        _then(
            lambda net, inputs: fk.pad(net, "c", 3, inputs=inputs), lambda net: fk.pad(net, "c", 1)
        ),
        keeps_outputs(),
    ),
    "bake": Deed(_inputs(fk.bake, (3.0,), 0.5), keeps_outputs(lambda image: image * 2 + 3)),
    "resize": Deed(_to_its_own(fk.resize), keeps_outputs()),
    "batch": Deed(_to_its_own(lambda net, _, shape: fk.batch(net, shape[0])), keeps_outputs()),
    "inputs": Deed(
        lambda tried, net: fk.input_as(net, "legacy", inputs=tried.given), keeps_outputs()
    ),
    "round down": Deed(_inputs(fk.round_down), keeps_outputs()),
    "uncrop": Deed(_inputs(fk.uncrop), keeps_outputs()),
    "round up": Deed(_inputs(fk.round_up), keeps_outputs()),
    "fork": Deed(_inputs(fk.fork, "nvcaffe"), judge_bvlc),
    "fit": Deed(_inputs(fk.fit, "ncnn"), judge_bvlc),
    "bvlc": Deed(_inputs(fk.bvlc), judge_bvlc),
    "upgrade": Deed(lambda tried, net: fk.upgrade(net), keeps_outputs()),
    "rescore": Deed(_inputs(fk.rescore, 3), judge_rescore),
    "deploy": Deed(_inputs(fk.deploy), judge_deploy),
    "train": Deed(lambda tried, net: fk.to_train(net), judge_train),
}
