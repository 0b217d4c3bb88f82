"""What a comparison of two nets does not show, found by running one of them on two inputs.

A blob that is the same on both inputs shows nothing of the layers before it: a ReLU of
negative values, a factor of 0, a Sigmoid of huge values, an MVN of one value.  So it is with
a branch that moves and is never picked, counts 0 times or is thrown away.  Such layers are
looked at where their values still move, and it is said where they never do.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from fcnkit.nets.graph import Graph, Layer, Top
from fcnkit.nets.layers.normal import by_batch
from fcnkit.nets.layers.table import of
from fcnkit.nets.layers.traits import Trait
from fcnkit.nets.shapes import Shapes
from fcnkit.plural import number_of
from fcnkit.verifying.answers import answers
from fcnkit.verifying.compared import Pair, hidden, is_fixed, needed, read_by, to_read
from fcnkit.verifying.differences import PINNED, STILL, Difference, Moved, compare, moved
from fcnkit.verifying.lookups import not_looked_up


class Motion(NamedTuple):
    """What two inputs make of the tops of a net: its values on both, by names of the tops.

    `moved` says how far each channel moves from the one to the other.
    """

    names: Mapping[Top, str]
    values: Mapping[str, Any]
    others: Mapping[str, Any]
    moved: Mapping[str, Moved]
    tolerance: float

    def moves(self, top: Top) -> bool:
        """Whether a channel of the top moves; what was not read does."""
        still, channels = self.still(top)
        return still < channels or not channels

    def still(self, top: Top) -> tuple[int, int]:
        """How many channels of the top are the same on both inputs, and of how many."""
        found = self.moved.get(self.names.get(top, ""))
        return (int(found.still.sum()), len(found.still)) if found else (0, 0)

    def held(self, top: Top) -> str:
        """How the channels of the top that do not move are held, in words."""
        found = self.moved.get(self.names.get(top, ""))
        return PINNED if found and found.pinned.any() else STILL

    def tells(self, layer: Layer) -> bool:
        """Whether the layer's parameters make its tops what they are: it does not read zeros.

        Slopes take values below zero to tell.
        """
        read = [self.values[self.names[top]] for top in read_by(layer) if top in self.names]
        if of(layer).slopes:
            return any(bool((values < 0).any()) for values in read)
        return any(bool(values.any()) for values in read) or not read


def motion(
    names: Mapping[Top, str],
    values: Mapping[str, Any],
    others: Mapping[str, Any],
    tolerance: float,
) -> Motion:
    """The motion of a net that has these values on one input, and those on another."""
    found = {name: moved(values[name], others[name]) for name in dict.fromkeys(names.values())}
    return Motion(names, values, others, found, tolerance)


class Sight(NamedTuple):
    """What is not shown of a net.

    `ends` are tops that move, or hold what parameters make of constants, though nothing of
    them shows in what is compared; `blind` are layers that learn, and read only zeros;
    `partly` says of which blobs some channels do not move.  `told` are the tops that
    parameters make of more than zeros.
    """

    ends: tuple[Top, ...]
    blind: tuple[Layer, ...]
    partly: tuple[str, ...]
    told: frozenset[Top]


def learners(graph: Graph, sizes: Shapes) -> list[Layer]:
    """The layers whose parameters have a part in what they make of the net's inputs."""
    moved: set[Top] = set(graph.inputs)
    found = []
    for layer in graph.layers:
        if any(top in moved for top in read_by(layer)):
            moved |= set(layer.tops)
            if sizes.blobs(layer) and not by_batch(layer):
                found.append(layer)
    return found


def leads_to(
    graph: Graph, tops: Iterable[Top], read: Callable[[Layer], Sequence[Top]] = read_by
) -> set[int]:
    """The indices of the layers whose values count in one of the tops."""
    todo, found = list(tops), set()
    while todo:
        layer = graph.producer(todo.pop())
        if layer.index not in found:
            found.add(layer.index)
            todo += read(layer)
    return found


def readable(graph: Graph, tops: Iterable[Top]) -> list[Top]:
    """What the tops are made of, as far as a run leaves it: no layer in place overwrites it."""
    within = leads_to(graph, tops)
    return [
        top
        for layer in graph.layers
        if layer.index in within and not layer.is_input
        for top in layer.tops
        if graph.top(top.blob) == top
    ]


def first_look(
    graph: Graph, learn: Sequence[Layer], seen: Motion, compared: Iterable[Top]
) -> Sight | None:
    """What shows, where every layer that learns moves something that does; None where some do not.

    Of a top that a layer in place overwrites the last value is taken.
    """
    last = {top: graph.top(top.blob) for layer in graph.layers for top in layer.tops}
    known = {top: seen.names[each] for top, each in last.items() if each in seen.names}
    seen = seen._replace(names=known | dict(seen.names))
    tops = [top for layer in learn for top in layer.tops]
    if not all(top in seen.names and seen.moves(top) for top in tops):
        return None
    sight = look(graph, learn, seen, compared)
    return None if sight.ends or sight.blind else sight


def look(graph: Graph, learn: Sequence[Layer], seen: Motion, compared: Iterable[Top]) -> Sight:
    """What is not shown of a net where these tops are compared."""
    told = {top for layer in learn if seen.tells(layer) for top in layer.tops}

    def moves(top: Top) -> bool:
        return top in told or seen.moves(top)

    every = set(compared)
    shown = {top for top in every if moves(top)}
    learned = _after(graph, learn) & set(seen.names)
    ends: list[Top] = []
    for layer in reversed(graph.layers):
        for top in layer.tops:
            if top in learned and moves(top) and top not in shown:
                ends.append(top)
                shown.add(top)
        shown |= {
            top
            for top in read_by(layer)
            if moves(top)
            # What moves is not shown by what parameters make of it that does not.
            if any(each in shown and seen.moves(each) >= seen.moves(top) for each in layer.tops)
            if _gives(layer, top, shown, seen)
        }
    blind = tuple(layer for layer in learn if not told & set(layer.tops))
    return Sight(
        tuple(reversed(ends)), blind, tuple(_partly(graph, learn, seen, every)), frozenset(told)
    )


def _after(graph: Graph, learn: Sequence[Layer]) -> set[Top]:
    """The tops of these layers, and those that are made of them."""
    found = {top for layer in learn for top in layer.tops}
    for layer in graph.layers:
        if found & set(layer.bottoms):
            found |= set(layer.tops)
    return found


def _gives(layer: Layer, bottom: Top, shown: Collection[Top], seen: Motion) -> bool:
    """Whether the whole of the bottom has a part in the layer's tops."""
    kind, names = of(layer), seen.names
    if not {bottom, *layer.tops} <= set(names):
        return True
    if kind.picks(layer) and len(layer.bottoms) > 1:
        rivals = [names[each] for each in layer.bottoms if each != bottom and each in names]
        runs = (seen.values, seen.others)
        return any(_picked(run, names[bottom], names[layer.tops[0]], rivals) for run in runs)
    if kind.trait is Trait.ARRANGES and not kind.kept_channels(layer):
        sizes = [seen.values[names[top]].size for top in layer.tops if top in shown]
        return sum(sizes) >= seen.values[names[bottom]].size
    if kind.trait is Trait.MIXES:
        return not seen.moved[names[bottom]].dwarfed(seen.tolerance)
    if kind.trait is Trait.VALUE and len(layer.bottoms) > 1:
        most = max(float(seen.moved[names[top]].by.max()) for top in layer.tops)
        return not seen.moved[names[bottom]].dwarfed(seen.tolerance, most)
    return True


def _picked(values: Mapping[str, Any], own: str, top: str, rivals: Sequence[str]) -> bool:
    """Whether a number of the top is that of this bottom, and of no other."""
    mine = values[own] == values[top]
    for rival in rivals:
        mine &= values[own] != values[rival]
    return bool(mine.any())


def _partly(
    graph: Graph, learn: Sequence[Layer], seen: Motion, compared: Collection[Top]
) -> Iterable[str]:
    """Of the blobs inside that layers with parameters make, which are still in some channels."""
    for top in dict.fromkeys(graph.top(top.blob) for layer in learn for top in layer.tops):
        still, channels = seen.still(top)
        if 0 < still < channels and top not in compared:
            yield f"{still} of {number_of(channels, 'channel')} of {seen.names[top]}"


# ---- two nets


class Run(NamedTuple):
    """What two nets make of one input, and the old one of another: values by names of tops."""

    names: Mapping[Top, str]
    values: Mapping[str, Any]
    others: Mapping[str, Any]
    new_names: Mapping[Top, str]
    new_values: Mapping[str, Any]


class Runs(NamedTuple):
    """What runs both nets: `run` reads these tops of the old one and of the new one.

    `inputs` are what the old net is given, by blobs: first what the new one is given, too.
    """

    run: Callable[[Collection[Top], Collection[Top]], Run]
    inputs: tuple[Mapping[str, Any], Mapping[str, Any]]

    def motion(self, graph: Graph, done: Run, tolerance: float) -> Motion:
        """The motion of the tops that were read, and of the inputs."""
        names = {top: f"the input {top.blob}" for top in graph.inputs}
        values, others = (
            {names[top]: each[top.blob] for top in graph.inputs} for each in self.inputs
        )
        return motion(
            {**names, **done.names},
            {**values, **done.values},
            {**others, **done.others},
            tolerance,
        )


class Comparison(NamedTuple):
    """The pairs of tops that are compared, what both nets make of them, and what is not shown.

    `unread` says of which rows of tables nothing is.
    """

    pairs: Sequence[Pair]
    run: Run
    seen: Motion
    sight: Sight
    lost: Sequence[Top]
    unread: str = ""


def rows_of(
    graph: Graph,
    new_graph: Graph,
    found: Comparison,
    tolerance: float,
) -> list[Difference]:
    """A Difference for each pair that is compared; the last says what these do not show."""
    *rows, last = (_row(graph, new_graph, pair, found, tolerance) for pair in found.pairs)
    unseen = "; ".join(filter(None, (why_blind(found.sight.blind, found.lost), found.unread)))
    return [*rows, last._replace(unseen=unseen, partly=found.sight.partly)]


def compared(
    graph: Graph,
    new_graph: Graph,
    learn: Sequence[Layer],
    every: Sequence[Pair],
    runs: Runs,
    tolerance: float,
) -> Comparison:
    """The nets have run, and what shows nowhere in their outputs is compared where it does.

    `learn` are the layers of which something is to be shown.
    """
    tops, new_tops = to_read(every)
    done = runs.run([*tops, *readable(graph, tops)], new_tops)
    seen = runs.motion(graph, done, tolerance)
    unread = not_looked_up(learn, seen.names, seen.values)
    pairs = needed(graph, every, done.names, done.values)
    olds = [pair.old for pair in pairs]
    sight = first_look(graph, learn, seen, olds)
    if sight:
        return Comparison(pairs, done, seen, sight, (), unread)
    within = leads_to(graph, tops, lambda layer: layer.bottoms)
    after = _after(graph, learn)
    whole = [
        top
        for layer in graph.layers
        for top in layer.tops
        if not layer.is_input and (layer.index in within or top in after)
    ]
    done = runs.run(whole, ())
    seen = runs.motion(graph, done, tolerance)
    sight = look(graph, learn, seen, olds)
    more = answers(graph, new_graph, sight.ends)
    done = Run(*done[:3], *runs.run((), [*new_tops, *(pair.new for pair in more)])[3:])
    found = {pair.old for pair in more}
    counts = leads_to(graph, tops)
    lost = [top for top in sight.ends if top not in found and graph.producer(top).index in counts]
    return Comparison([*more, *pairs], done, seen, sight, lost, unread)


def _row(
    graph: Graph, new_graph: Graph, pair: Pair, found: Comparison, tolerance: float
) -> Difference:
    run = found.run
    name, new_name = run.names[pair.old], run.new_names[pair.new]
    values = run.values[name]
    made_of = [each.old for each in found.pairs if pair.old in each.ends]
    row = compare(
        graph.prototxt,
        new_graph.prototxt,
        name,
        values,
        new_name,
        run.new_values[new_name],
        tolerance,
        other=run.others.get(name),
        alike=bool(made_of),
    )
    still, channels = found.seen.still(pair.old)
    why = row.hidden or hidden(graph, pair.old, values)
    told = row.largest and (pair.old in found.sight.told or is_fixed(graph, pair.old))
    if still == channels and not told:
        why = why or found.seen.held(pair.old)
        behind = leads_to(graph, [pair.old], lambda layer: layer.bottoms)
        made_of += [
            each.old
            for each in found.pairs
            if graph.producer(each.old).index in behind
            and each.old not in (pair.old, *made_of)
            and (found.seen.moves(each.old) or each.old in found.sight.told)
        ]
    names = tuple(run.names[top] for top in made_of)
    return row._replace(made_of=names, hidden=why, still=still, held=found.seen.held(pair.old))


def why_blind(layers: Sequence[Layer], lost: Sequence[Top]) -> str:
    """Which layers nothing is shown of, in words; "" where there are none."""
    said = []
    if layers:
        names = _some([f'"{layer.name}"' for layer in layers])
        several = "s" * (len(layers) > 1)
        said.append(f"layer{several} {names}, whose input is {_what(layers)}")
    if lost:
        names = _some([top.blob for top in lost])
        said.append(f"{names}, which no output shows and the other net does not have")
    return f"not tested: {'; '.join(said)}" if said else ""


def _what(layers: Sequence[Layer]) -> str:
    slopes = {of(layer).slopes for layer in layers}
    return " or ".join([*["always 0"] * (False in slopes), *["never negative"] * (True in slopes)])


def _some(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
