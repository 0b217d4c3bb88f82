"""A net with a layer on trial, what Caffe says of it, and how two answers are compared."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from type_nets import Planned
from type_oracle import Asked, asked, given_tops, is_opened, weights
from type_text import written

from fcnkit.formats.prototxt import Prototxt
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of
from fcnkit.plan import Plan
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
    """What is asked of the net after, and what the answers come to."""

    verdict: Callable[..., str]
    asked: tuple[Asked, ...]


Change = Callable[[np.ndarray], np.ndarray]
Judge = Callable[[Tried, Plan, Values], Answer]


class Deed(NamedTuple):
    """One rewrite on trial; `before` changes what is asked of the net before it."""

    act: Callable[[Tried, Prototxt], Plan]
    judge: Judge
    before: Callable[[Tried, Asked], Asked] | None = None


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
    return asked(plan.net, moved(plan, tried.weights), values, tried.given)


def moved(plan: Plan, weights: store.Weights) -> store.Weights:
    """The weights after, each of them made: what they cannot be is seen here."""
    made = transplant(plan, weights)
    return store.create().put_all(
        {name: [blob.array() for blob in blobs] for name, blobs in made.items()}
    )


def keeps_outputs(change: Change | None = None) -> Judge:
    """Every output stays what it was, of an image changed in this way, that weights see."""

    def judge(tried: Tried, plan: Plan, before: Values) -> Answer:
        blobs = [blob for blob in outputs(tried) if not change or blob in tried.learned]
        return Answer(lambda found: same(before, found, blobs), (after(tried, plan, change),))

    return judge


def start(planned: Planned) -> Tried:
    """The net as it is first written, with its weights and the values of its inputs."""
    net = written(planned.specs, "V2", "lines")
    graph = build(net)
    values = {**planned.values, **given_tops(graph, planned.given)}
    return Tried(planned, net, weights(shapes_of(graph, dict(planned.given))), values)
