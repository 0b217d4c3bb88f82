"""Which blobs of two nets are compared, and what their values may hide.

A layer that keeps its tops to bounds, or picks, makes equal tops of different
bottoms: a Softmax gives 0 and 1 for scores far apart, a ReLU 0 for all that is
negative.  Whoever compares two nets compares what such a layer reads as well.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

from fcnkit.edits import splice
from fcnkit.errors import NetError
from fcnkit.formats.prototxt import Prototxt, parse
from fcnkit.nets.graph import Graph, Layer, Top
from fcnkit.nets.layers.table import of
from fcnkit.nets.layers.traits import Trait
from fcnkit.plural import number_of
from fcnkit.rewrites.changes import set_value

# So near a bound a value tells nothing: of 1, or of the range.
_NEAR = 1e-3


def hides(layer: Layer, *, near: bool = False) -> bool:
    """Whether different bottoms of the layer may give equal tops.

    Near the end of a net one bound is enough, or that it picks.  Far from it there is a
    ReLU behind every layer, and what follows weighs what is left.
    """
    kind = of(layer)
    if not layer.bottoms or kind.trait is Trait.LOSS:
        return False
    bounds = sum(map(isfinite, kind.range(layer)))
    some = bounds == 1 or kind.picks(layer)
    return kind.trait is Trait.JUDGE or bounds == 2 or (near and some)


def first_bends(graph: Graph, top: Top, *, near: bool) -> list[Layer]:
    """The layers that may hide differences from this top, none of them behind another:
    each path back ends there, or at a layer that learns.
    """
    found: dict[Layer, None] = {}
    for layer in _back(graph, [top], lambda layer: hides(layer, near=near) or of(layer).learns):
        if hides(layer, near=near):
            found[layer] = None
    return list(found)


def far_bends(graph: Graph, outputs: Iterable[Top]) -> list[Layer]:
    """The layers that may hide differences and have one that learns behind them, in file order."""
    tops = list(outputs)
    near = set(_back(graph, tops, lambda layer: of(layer).learns))
    far = set(_back(graph, tops, lambda layer: False)) - near
    return [layer for layer in graph.layers if layer in far and hides(layer)]


def _back(graph: Graph, tops: Iterable[Top], ends: Callable[[Layer], bool]) -> Iterator[Layer]:
    """The layers from the tops backward, each once; none behind one at which a path ends."""
    todo, seen = list(reversed(list(tops))), set()
    while todo:
        layer = graph.producer(todo.pop())
        if layer.index in seen:
            continue
        seen.add(layer.index)
        yield layer
        if not ends(layer):
            todo += reversed(read_by(layer))


def is_fixed(graph: Graph, top: Top) -> bool:
    """Whether the top is made of no input and nothing learned, such as boxes of a net's sizes: the
    net's text alone decides on its values.
    """
    makers = _back(graph, [top], lambda layer: False)
    return not any(layer.is_input or of(layer).learns for layer in makers)


def read_by(layer: Layer) -> list[Top]:
    """The bottoms whose values count in its tops, each once."""
    kind = of(layer)
    idle = {*kind.sized(layer), *kind.unweighed(layer)}
    return list(dict.fromkeys(top for at, top in enumerate(layer.bottoms) if at not in idle))


def hidden(graph: Graph, top: Top, values: Any) -> str:
    """Why values of this top may hide a difference; "" where they would show it.

    A channel of which every value is at a bound could hide one, whatever the others
    show.
    """
    makers = _back(graph, [top], lambda layer: not _passes(layer))
    return next(filter(None, (_hidden_by(layer, values) for layer in makers)), "")


def _passes(layer: Layer) -> bool:
    """Whether the layer gives on the values that it reads."""
    return of(layer).trait is Trait.ARRANGES or of(layer).shares


def _hidden_by(layer: Layer, values: Any) -> str:
    if of(layer).trait is Trait.JUDGE or of(layer).picks(layer):
        return f"{layer.type} picks some of its values"
    if not hides(layer, near=True):
        return ""
    low, high = of(layer).range(layer)
    channels = [values] if values.ndim < 2 else list(values.swapaxes(0, 1))
    still = sum(_at_bounds(channel, low, high) for channel in channels)
    if not still:
        return ""
    if low == high:
        return f"{low:g} for every input"
    many = f" in {still} of {number_of(len(channels), 'channel')}" if still < len(channels) else ""
    known = [f"{bound:g}" for bound in (low, high) if isfinite(bound)]
    return f"saturated at {' or '.join(known)}{many}"


def _at_bounds(values: Any, low: float, high: float) -> bool:
    if isfinite(low) and isfinite(high):
        margin = _NEAR * (high - low)
        return not ((values > low + margin) & (values < high - margin)).any()
    if isfinite(low):
        return not (values > low + _NEAR * max(1, abs(low))).any()
    return not (values < high - _NEAR * max(1, abs(high))).any()


# ---- two nets


class Pair(NamedTuple):
    """A top of each net to compare.

    `ends` are the tops of the old net that could hide its differences, `bends` the
    layers that read it and make them so; where it is not `sure`, it is to be
    compared only if one of these hides something.
    """

    old: Top
    new: Top
    ends: tuple[Top, ...] = ()
    bends: tuple[Layer, ...] = ()
    sure: bool = True

    def with_ends(self, other: "Pair") -> "Pair":
        """This pair, for the other's ends too."""
        return self._replace(
            ends=self.ends + other.ends,
            bends=self.bends + other.bends,
            sure=self.sure or other.sure,
        )


def pairs(graph: Graph, new_graph: Graph, outputs: Iterable[str] | None = None) -> list[Pair]:
    """The outputs of both nets, each after what it is made of, in the order to be shown in.

    `outputs` are blobs of both nets, to compare in place of the outputs.
    """
    if outputs is None:
        return pairs_of(graph, new_graph, _outputs(graph, new_graph))
    return pairs_of(graph, new_graph, [(graph.top(blob), new_graph.top(blob)) for blob in outputs])


def pairs_of(graph: Graph, new_graph: Graph, ends: Sequence[tuple[Top, Top]]) -> list[Pair]:
    """These tops of both nets, each after what it is made of, in the order to be shown in."""
    found = _Pairs(graph, new_graph, {})
    for layer, other in _far(graph, new_graph, ends):
        found.add_read(layer, other, sure=False)
    for old, new in ends:
        found.add(Pair(old, new))
    return list(found.pairs.values())


class _Pairs(NamedTuple):
    """The pairs of two nets as they are found, each once."""

    graph: Graph
    new_graph: Graph
    pairs: dict[tuple[Top, Top], Pair]

    def add(self, pair: Pair) -> None:
        """The pair is there, and before it what it is made of as far as nothing learns between."""
        key = pair[:2]
        if key in self.pairs:
            self.pairs[key] = self.pairs[key].with_ends(pair)
            return
        bends = first_bends(self.graph, pair.old, near=True)
        new_bends = first_bends(self.new_graph, pair.new, near=True)
        if len(bends) + len(new_bends) == 1 and all(map(hides, (*bends, *new_bends))):
            # One of the two nets lacks the end: the scores are compared.
            made = _read_first(bends, pair.old), _read_first(new_bends, pair.new)
            self.add(pair._replace(old=made[0], new=made[1]))
            return
        for bend, other in _matched(bends, new_bends):
            self.add_read(bend, other, (pair.old,), sure=pair.sure and hides(bend))
        self.pairs[key] = pair

    def add_read(
        self, bend: Layer, other: Layer, ends: tuple[Top, ...] = (), *, sure: bool
    ) -> None:
        """What a layer and its like in the other net read, but for the net's inputs."""
        for old, new in zip(read_by(bend), read_by(other), strict=False):
            if not self.graph.producer(old).is_input:
                self.add(Pair(old, new, ends, (bend,), sure))


def _read_first(bends: list[Layer], top: Top) -> Top:
    return read_by(bends[0])[0] if bends else top


def _matched(bends: list[Layer], new_bends: list[Layer]) -> Iterator[tuple[Layer, Layer]]:
    """Layers of one name, or in their order where names differ and counts do not."""
    named = {layer.name: layer for layer in new_bends}
    if all(layer.name in named for layer in bends):
        return iter([(layer, named[layer.name]) for layer in bends])
    return zip(bends, new_bends, strict=True) if len(bends) == len(new_bends) else iter(())


def _far(
    graph: Graph, new_graph: Graph, ends: Sequence[tuple[Top, Top]]
) -> Iterator[tuple[Layer, Layer]]:
    """The layers that may hide differences before others learn, by their names in both nets."""
    named = {layer.name: layer for layer in far_bends(new_graph, [new for _, new in ends])}
    for layer in far_bends(graph, [old for old, _ in ends]):
        if layer.name in named:
            yield layer, named[layer.name]


def to_read(found: Iterable[Pair]) -> tuple[list[Top], list[Top]]:
    """The tops of the old net, and of the new one, of which values are needed."""
    every = list(found)
    bent = [bend.tops[0] for pair in every for bend in pair.bends if not pair.sure]
    return [*(pair.old for pair in every), *bent], [pair.new for pair in every]


def needed(
    graph: Graph, found: Iterable[Pair], names: Mapping[Top, str], values: Mapping[str, Any]
) -> list[Pair]:
    """The pairs to compare where the old net has these values, by these names of its tops."""

    def hidden_by(bend: Layer) -> bool:
        return bool(hidden(graph, bend.tops[0], values[names[bend.tops[0]]]))

    return [pair for pair in found if pair.sure or any(map(hidden_by, pair.bends))]


def _outputs(graph: Graph, new_graph: Graph) -> list[tuple[Top, Top]]:
    """The outputs of both nets, by name; the one that is left of each belong together."""
    old = {top.blob: top for top in graph.outputs if top not in graph.inputs}
    new = {top.blob: top for top in new_graph.outputs if top not in new_graph.inputs}
    for each, outputs in ((graph, old), (new_graph, new)):
        if not outputs:
            fact = "it has no output that could be compared"
            raise NetError(f"{each.prototxt.path}: {fact}; remove the Silence layer at its end")
    pairs = [(top, new[blob]) for blob, top in old.items() if blob in new]
    left = [top for blob, top in old.items() if blob not in new]
    new_left = [top for blob, top in new.items() if blob not in old]
    if len(left) == len(new_left) == 1:
        return [*pairs, (left[0], new_left[0])]
    if left or not pairs:
        names = ", ".join(top.blob for top in left) or "any"
        raise NetError(
            f"{new_graph.prototxt.path}: no output answers to {names} of {graph.prototxt.path}; "
            f"its outputs are {', '.join(new) or 'none'}; give outputs that correspond the same "
            "name"
        )
    return pairs


# ---- blobs that a layer in place overwrites


def named_apart(graph: Graph, tops: Collection[Top]) -> tuple[Prototxt, Mapping[Top, str]]:
    """The net with a blob of its own for each of these tops, and the names of the blobs.

    A top that a layer in place overwrites cannot be read after a run; it gets the
    name "BLOB, before LAYER", as the layers in place before it do.  The inputs keep
    their names.
    """
    wanted = set(tops)
    turns: dict[str, list[Top]] = {top.blob: [] for top in wanted if graph.top(top.blob) != top}
    for top in graph.tops:
        if top.blob in turns:
            turns[top.blob].append(top)
    names = {top: name for each in turns.values() for top, name in _own_names(graph, each, wanted)}
    net = graph.prototxt
    edits = [
        set_value(field, names[top])
        for layer in graph.layers
        for word, ends in (("bottom", layer.bottoms), ("top", layer.tops))
        for field, top in zip(layer.field.all(word), ends, strict=False)
        if names.get(top, top.blob) != top.blob
    ]
    apart = parse(splice(net.text, edits), net.path) if edits else net
    return apart, {top: names.get(top, top.blob) for top in tops}


def _own_names(
    graph: Graph, turns: Sequence[Top], wanted: Collection[Top]
) -> Iterable[tuple[Top, str]]:
    """A name for each top that a blob holds in turn: one for all up to each that is wanted.

    The last keeps the blob's name, or where an input has it the first.
    """
    names, blob = {}, turns[0].blob
    name = blob
    for top, after in zip(reversed(turns), reversed([*turns[1:], None]), strict=True):
        if after is not None and top in wanted:
            layer = graph.producer(after)
            name = f"{blob}, before {layer.name or layer.type}"
        names[top] = name
    first = turns[0]
    if graph.producer(first).is_input:
        old = names[first]
        names = {top: blob if name == old else name for top, name in names.items()}
        if old != blob:
            last = f"{blob}, in the end"
            names |= {top: last for top in turns if names[top] == blob and top != first}
    return names.items()
