"""Small nets around one layer "x" of any type, in every place and way of writing.

A net is planned as Specs, and written in a generation of Caffe's format and a layout of its text.
"""

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from type_fragments import (
    ALL,
    CHOSEN,
    IMAGE,
    IT,
    ITEMS,
    LABELS,
    LESS,
    LIKE,
    NOISE,
    POOLED,
    REGIONS,
    SHARES,
    fragment,
)
from type_text import Spec, written

from fcnkit.errors import NetError
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of
from fcnkit.shape import Shape

CLASSES = 5
X = "x"


class Planned(NamedTuple):
    """A net: its layers, the values of its inputs, and the shapes that no prototxt says."""

    specs: tuple[Spec, ...]
    values: Mapping[str, np.ndarray]
    given: Mapping[str, Shape]

    @property
    def tried(self) -> Spec:
        """The layer of the type that is tried."""
        return next(spec for spec in self.specs if spec.name == X)


class Unfit(Exception):
    """A layer of this type cannot stand here."""


# ---- what is around it


class _Draft:
    """A net that grows layer by layer; `it` is the blob that the next layer reads."""

    def __init__(self, kind: str):
        self.kind, self.specs, self.values, self.given = kind, [], {}, {}
        self.rng = np.random.default_rng(7)
        self.it = ""

    def input(self, name: str, what: str, shape: Shape) -> str:
        self.values[name] = _values(self.rng, what, shape)
        self.specs.insert(0, Spec(name, "Input", (), (name,), shape=shape))
        return name

    def layer(self, name: str, kind: str, *bottoms: str, params: str = "") -> str:
        self.specs.append(Spec(name, kind, bottoms or (self.it,), (name,), params))
        self.it = name
        return name

    def shape(self, blob: str) -> Shape | None:
        return _sizes(tuple(self.specs), tuple(self.given.items())).get(blob)

    def tail(self, parts: str) -> None:
        """Those of the layers c, d, p, f (an InnerProduct) that fit what is there."""
        for part in parts:
            shape = self.shape(self.it) or ()
            fits = len(shape) >= 2 if part == "f" else len(shape) == 4 and min(shape[2:]) > 1
            if fits:
                kind, params = _PARTS[part](shape)
                self.layer("fc" if part == "f" else part, kind, params=params)

    def tried(self, *, place: bool = False) -> None:
        """The layer that is tried, on `it`, and on what its type needs beside that."""
        wanted, read = fragment(self.kind), self.it
        shape = (self.shape(read) if read else None) or IMAGE
        if not wanted.alone and not read:
            raise Unfit
        bottoms = tuple(
            self._beside(number, what)
            for number, what in enumerate(wanted.bottoms(shape))
            if not (wanted.alone and what == IT)
        )
        tops = ("t", "u", "v")[: wanted.tops]
        if place:
            tops = (read,)
        self.specs.append(Spec(X, self.kind, bottoms, tops, wanted.text(shape)))
        if self.kind == "Input":
            self.values[tops[0]] = _values(self.rng, NOISE, shape)
        if wanted.given:
            self.given[tops[0]] = wanted.given
            self.given |= {top: wanted.given[:1] for top in tops[1:]}
        made = self.shape(tops[0]) if tops else None  # raises where it does not fit
        if tops and made and len(made) >= 2:
            self.it = tops[0]

    def _beside(self, number: int, what) -> str:
        """The blob that is one of the bottoms."""
        if what == IT:
            return self.it
        name, made = f"o{number}", {LIKE: _LIKE, LESS: _LESS, POOLED: _POOLED}
        if what in made:
            self.specs.append(Spec(name, made[what][0], (self.it,), (name,), made[what][1]))
            return name
        return self.input(name, *what)

    def planned(self) -> Planned:
        return Planned(tuple(self.specs), self.values, self.given)


_LIKE = ("Power", "power_param { scale: -0.5 shift: 1 }")
_LESS = ("Pooling", "pooling_param { pool: AVE kernel_size: 3 }")
_POOLED = ("Pooling", "pooling_param { pool: AVE global_pooling: true }")
_PARTS: dict[str, Callable[[Shape], tuple[str, str]]] = {
    "c": lambda shape: ("Convolution", _conv(4, "kernel_size: 3 stride: 2 pad: 1")),
    "d": lambda shape: ("Convolution", _conv(6, f"kernel_size: 3 pad: 1{_two(shape)}")),
    "p": lambda shape: ("Pooling", "pooling_param { pool: MAX kernel_size: 2 stride: 2 }"),
    "f": lambda shape: ("InnerProduct", f"inner_product_param {{ num_output: {CLASSES} }}"),
}


def _conv(outputs: int, more: str) -> str:
    return f"convolution_param {{ num_output: {outputs} {more} }}"


def _two(shape: Shape) -> str:
    return "" if shape[1] % 2 else " group: 2"


def _values(rng: np.random.Generator, what: str, shape: Shape) -> np.ndarray:
    made = {
        NOISE: lambda: rng.uniform(-3, 3, shape),
        SHARES: lambda: rng.uniform(0, 1, shape),
        LABELS: lambda: rng.integers(0, 2, shape),
        ITEMS: lambda: rng.integers(0, 2, shape),
        CHOSEN: lambda: np.resize([1, 0, 1, 1], shape),
        ALL: lambda: np.ones(shape),
        REGIONS: lambda: np.resize([0, 1, 1, 5, 5], shape),
    }
    return made[what]().astype("f4")


def _start(draft: _Draft, parts: str) -> None:
    if fragment(draft.kind).alone:
        raise Unfit
    draft.it = draft.input("data", NOISE, IMAGE)
    draft.tail(parts)


def _first(draft: _Draft) -> None:
    """The layer brings the image, or reads it."""
    if not fragment(draft.kind).alone:
        draft.it = draft.input("data", NOISE, IMAGE)
    draft.tried()
    draft.tail("cdpf")


def _behind(draft: _Draft) -> None:
    """Between two convolutions."""
    _start(draft, "c")
    draft.tried()
    draft.tail("dpf")


def _before(draft: _Draft) -> None:
    """Before the InnerProduct."""
    _start(draft, "cdp")
    draft.tried()
    draft.tail("f")


def _in_place(draft: _Draft) -> None:
    """In place behind a convolution."""
    _start(draft, "cd")
    if not works_in_place(draft.kind):
        raise Unfit
    draft.tried(place=True)
    draft.tail("pf")


def _flat(draft: _Draft) -> None:
    """Between a Flatten and an InnerProduct."""
    _start(draft, "cdp")
    draft.layer("flat", "Flatten")
    draft.tried()
    draft.tail("f")


def _pooled(draft: _Draft) -> None:
    """Between two 1 x 1 convolutions behind a global pooling."""
    _start(draft, "cd")
    draft.layer("p", *_POOLED[:1], params=_POOLED[1])
    draft.layer("e", "Convolution", params=_conv(6, "kernel_size: 1"))
    draft.tried()
    if len(draft.shape(draft.it) or ()) != 4:
        raise Unfit
    draft.layer("fc", "Convolution", params=_conv(CLASSES, "kernel_size: 1"))


def _scored(draft: _Draft) -> None:
    """It reads the scores."""
    _start(draft, "cdpf")
    draft.tried()


def _branch(draft: _Draft) -> None:
    """On one of two branches, which are joined where their shapes allow it."""
    if fragment(draft.kind).alone:
        _source_beside(draft)
        return
    _start(draft, "cd")
    read = draft.it
    draft.tried()
    _join(draft, read, draft.it)
    draft.tail("pf")


def _source_beside(draft: _Draft) -> None:
    """What it brings is added to the image."""
    draft.it = read = draft.input("data", NOISE, IMAGE)
    draft.tried()
    _join(draft, read, draft.it)
    draft.tail("cdpf")


def _join(draft: _Draft, one: str, other: str) -> None:
    left, right = draft.shape(one), draft.shape(other)
    if one == other or right is None:
        draft.it = one
    elif left == right:
        draft.layer("join", "Eltwise", one, other)
    elif len(left) == len(right) and (left[0], *left[2:]) == (right[0], *right[2:]):
        draft.layer("join", "Concat", one, other)
    else:
        draft.it = one


POSITIONS: dict[str, Callable[[_Draft], None]] = {
    "first": _first,
    "behind": _behind,
    "before": _before,
    "in place": _in_place,
    "flat": _flat,
    "pooled": _pooled,
    "scored": _scored,
    "branch": _branch,
}

# Types that compute in place as they do elsewhere; Caffe refuses the others, or computes nonsense.
_IN_PLACE = (
    *("ReLU", "ELU", "Sigmoid", "TanH", "Swish", "Clip", "BNLL", "Power", "Exp", "Log", "Dropout"),
    *("PReLU", "BatchNorm", "Scale", "Bias", "Softmax"),
    *("ReLU6", "HardSwish", "HardSigmoid", "Mish", "BN"),
)


def works_in_place(kind: str) -> bool:
    """Whether the top of a layer of this type may be its bottom."""
    return kind in _IN_PLACE


@cache
def planned(kind: str, position: str) -> Planned | None:
    """The net with a layer of this type in this position; None where it cannot stand there."""
    draft = _Draft(kind)
    try:
        POSITIONS[position](draft)
        draft.shape(draft.it)
    except (Unfit, NetError):
        return None
    return draft.planned()


@lru_cache(maxsize=8)
def _sizes(specs: tuple[Spec, ...], given: tuple) -> dict[str, Shape | None]:
    """The shape of each blob of a net that is being made."""
    net = written(specs, "V2", "lines")
    return {top.blob: shape for top, shape in shapes_of(build(net), dict(given)).tops.items()}
