"""The net that Caffe would build from a prototxt in one state, as layers and tops.

The rules are those of Net::FilterNet, InsertSplits and Net::Init in Caffe's
net.cpp: file order is execution order, a bottom means the latest layer before
it that writes a blob of that name, and a layer whose top has its bottom's name
works in place.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations, islice
from typing import NamedTuple

from fcnkit import expected, notebook
from fcnkit.errors import NetError
from fcnkit.formats.prototxt import Field, NetOrPath, Prototxt
from fcnkit.formats.prototxt import given as given_net
from fcnkit.formats.schema import View
from fcnkit.nets.declared import TEST, Declared, Refuse, State, declared, merged, raising
from fcnkit.nets.declared import error as layer_error
from fcnkit.shape import Shape


class Top(NamedTuple):
    """One output of one layer. A layer that works in place makes a new Top of the same blob."""

    blob: str
    layer: int
    index: int  # type: ignore[assignment]  # in place of tuple.index, which nobody asks of a Top


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer as Caffe builds it; `type` is its V2 name, also in a V1 file.

    `input_shapes` has one shape for each top of an Input layer, None if it is not given.
    """

    name: str
    type: str
    bottoms: tuple[Top, ...]
    tops: tuple[Top, ...]
    view: View
    field: Field
    index: int
    input_shapes: tuple[Shape | None, ...] = ()

    @property
    def line(self) -> int:
        """The line on which this layer starts, counted from 1."""
        return self.field.line

    @property
    def is_input(self) -> bool:
        """Whether its tops are inputs of the net, whose shapes the prototxt gives."""
        return self.type == "Input"

    def param(self, name: str) -> View:
        """This layer's message `name`; one with the defaults, if it is not written."""
        if name not in self._params:
            try:
                self._params[name] = self.view.view(name)
            except KeyError:  # V1 has no field for the messages of later layer types
                self._params[name] = View("LayerParameter", None).view(name)
        return self._params[name]

    @cached_property
    def _params(self) -> dict[str, View]:
        return {}  # read once: sizes are asked for again and again

    def error(self, fact: str) -> NetError:
        """A NetError with this fact that names the layer and its line."""
        return layer_error(self.field, self.name, fact)

    def __repr__(self) -> str:
        return f"<Layer {self.name}: {self.type}, line {self.line}>"


@dataclass(frozen=True, eq=False)
class Graph:
    """The layers of one state, in the order of the file, each connected to the layers that it
    reads.
    """

    prototxt: Prototxt
    state: State
    layers: tuple[Layer, ...]
    _repr_html_ = notebook.drawn

    def top(self, blob: str) -> Top:
        """The last top with this blob name, which is what Caffe has under the name after a run.
        Raises NetError, with the nearest name, if there is none.
        """
        if blob not in self._last:
            raise NetError(f"{self._no('blob', blob)}; {_near(blob, self._last)}")
        return self._last[blob]

    def layer(self, name: str) -> Layer:
        """The first layer with this name; NetError, with the nearest name, if there is none."""
        if name not in self._named:
            raise NetError(f"{self._no('layer', name)}; {_near(name, self._named)}")
        return self._named[name]

    def producer(self, top: Top) -> Layer:
        """The layer that writes this top."""
        return self.layers[top.layer]

    @cached_property
    def tops(self) -> tuple[Top, ...]:
        """Every top, in the order of the file."""
        return tuple(top for layer in self.layers for top in layer.tops)

    @cached_property
    def consumers(self) -> Mapping[Top, tuple[Layer, ...]]:
        """The layers that read each top, in the order of the file; () for an output."""
        found: dict[Top, list[Layer]] = {top: [] for top in self.tops}
        for layer in self.layers:
            for top in dict.fromkeys(layer.bottoms):
                found[top].append(layer)
        return {top: tuple(layers) for top, layers in found.items()}

    @property
    def outputs(self) -> tuple[Top, ...]:
        """The tops that no layer reads."""
        return tuple(top for top, layers in self.consumers.items() if not layers)

    @property
    def inputs(self) -> tuple[Top, ...]:
        """The tops of Input layers."""
        return tuple(top for layer in self.layers if layer.is_input for top in layer.tops)

    @cached_property
    def _last(self) -> dict[str, Top]:
        return {top.blob: top for top in self.tops}

    @cached_property
    def _named(self) -> dict[str, Layer]:
        return {layer.name: layer for layer in reversed(self.layers)}

    def _no(self, what: str, name: str) -> str:
        expected.text(what, name)
        return f'{self.prototxt.path}: no {what} "{name}" in state {self.state}'

    def __repr__(self) -> str:
        return f"<Graph {self.prototxt.path}, {self.state}: {len(self.layers)} layers>"


@expected.checked
def build(prototxt: NetOrPath, state: State = TEST, *, refuse: Refuse = raising) -> Graph:
    """Builds the Graph that Caffe would build from this file in this state, in linear time.

    >>> graph = fk.build(fk.template("lenet"))
    >>> [layer.name for layer in graph.layers][:4]
    ['data', 'conv1', 'pool1', 'conv2']

    `prototxt` is a Prototxt or its path. `state` gives the phase and level; its stages are
    added to those of the file's own `state`, as in Caffe. `refuse` is called with the name
    of each fault and the error. If it returns, the rest is built; a bottom that no layer makes
    then comes from a layer without a type.

    Raises NetError for a bottom that no earlier layer makes, a top that is made twice, a layer
    with include and exclude or without a type, and files of the V0 format or of two formats.
    """
    prototxt = given_net(prototxt)
    return _built(prototxt, state) if refuse is raising else _wired(prototxt, state, refuse)


@lru_cache(maxsize=4)
def _built(prototxt: Prototxt, state: State) -> Graph:
    """A graph is asked for again and again while a net is rewritten, and never changes."""
    return _wired(prototxt, state, raising)


def _wired(prototxt: Prototxt, state: State, refuse: Refuse) -> Graph:
    wanted = merged(prototxt, state)
    wires = _Wires(prototxt, wanted, refuse)
    for one in declared(prototxt, refuse):
        if one.kept(wanted):
            wires.add(one)
    return Graph(prototxt, state, tuple(wires.layers))


def states(prototxt: Prototxt, *, refuse: Refuse = raising) -> tuple[State, ...]:
    """The states worth building, one of each set that keep the same layers.

    TEST and TRAIN, and each of them with each stage that a rule mentions.  Then
    those of several stages, or of another level, that can be built and keep a
    layer that is in none of the others that can.
    """
    all_layers = declared(prototxt, refuse)
    stages = [*dict.fromkeys(stage for one in all_layers for stage in one.stages)]
    levels = sorted({level for one in all_layers for level in one.levels} - {0})
    distinct: dict[tuple[bool, ...], State] = {}
    for chosen in ((), *((stage,) for stage in stages)):
        for phase in ("TEST", "TRAIN"):
            state = State(phase, 0, chosen)
            distinct.setdefault(_kept(prototxt, all_layers, state), state)
    if len(stages) > 1 or levels:
        distinct |= _combined(prototxt, all_layers, distinct, stages, levels)
    return tuple(distinct.values())


def needed(graph: Graph, tops: Iterable[Top]) -> tuple[Layer, ...]:
    """The layers that decide these tops, in order."""
    wanted, layers = set(tops), []
    for layer in reversed(graph.layers):
        if wanted.intersection(layer.tops):
            layers.append(layer)
            wanted.update(layer.bottoms)
    return tuple(reversed(layers))


# Of so many combinations of stages and levels those are found that are needed.
_COMBINATIONS = 1000


def _combined(
    prototxt: Prototxt,
    layers: Sequence[Declared],
    simple: Mapping[tuple[bool, ...], State],
    stages: Sequence[str],
    levels: Sequence[int],
) -> dict[tuple[bool, ...], State]:
    """The states of several stages, or of a level, that are needed beside the simple ones."""
    found: dict[tuple[bool, ...], State] = {}
    lacking = set(range(len(layers)))
    for kept, state in simple.items():
        lacking -= _members(kept) if _builds(prototxt, state) else set()
    chosen = (
        State(phase, level, some)
        for count in range(len(stages) + 1)
        for some in combinations(stages, count)
        for level in (0, *levels)
        for phase in ("TEST", "TRAIN")
    )
    for state in islice(chosen, _COMBINATIONS):
        kept = _kept(prototxt, layers, state)
        more = _members(kept) & lacking
        if more and kept not in simple and kept not in found and _builds(prototxt, state):
            found[kept] = state
            lacking -= more
    return found


def _kept(prototxt: Prototxt, layers: Sequence[Declared], state: State) -> tuple[bool, ...]:
    wanted = merged(prototxt, state)
    return tuple(one.kept(wanted) for one in layers)


def _members(kept: Sequence[bool]) -> set[int]:
    return {index for index, there in enumerate(kept) if there}


def _builds(prototxt: Prototxt, state: State) -> bool:
    try:
        build(prototxt, state)
    except NetError:
        return False
    return True


def graphs(prototxt: Prototxt) -> tuple[Graph, ...]:
    """The graph of each of `states`, but for those that no one means.

    A file may be for one phase only, so that the other has no data; and a
    stage may not go together with a phase.

    Raises NetError as `build` does, where no state can be built or a phase by itself has another
    fault.
    """
    found, missing = buildable(prototxt)
    for state, error in missing.items():
        if not state.stages and not isinstance(error, Elsewhere):
            raise error
    return found


def buildable(prototxt: Prototxt) -> tuple[tuple[Graph, ...], Mapping[State, NetError]]:
    """The graph of each of `states` that can be built, and why the others cannot.

    Raises NetError as `build` does, where there is none.
    """
    found: list[Graph] = []
    missing: dict[State, NetError] = {}
    for state in states(prototxt):
        try:
            found.append(build(prototxt, state))
        except NetError as error:
            missing[state] = error
    if not found:
        real = [each for each in missing.values() if not isinstance(each, Elsewhere)]
        raise NetError(str((real or [*missing.values()])[0]))
    return tuple(found), missing


class Elsewhere(NetError):
    """A bottom is made by a layer that this state does not keep."""


class _Wires:
    """The layers built so far, the latest writer of each blob, the first reader of each top."""

    def __init__(self, prototxt: Prototxt, state: State, refuse: Refuse):
        self.prototxt, self.state, self.refuse = prototxt, state, refuse
        self.layers: list[Layer] = []
        self.latest: dict[str, Top] = {}
        self.undefined: set[str] = set()
        self.readers: dict[Top, Layer] = {}

    def add(self, its: Declared) -> None:
        """Appends a layer, bound to the latest writers of its bottoms."""
        bottoms = tuple(self._bottom(its, blob) for blob in its.bottoms)
        index = len(self.layers)
        tops = tuple(Top(blob, index, at) for at, blob in enumerate(its.tops))
        layer = Layer(
            its.name, its.type, bottoms, tops, its.view, its.field, index, its.input_shapes
        )
        for bottom in bottoms:
            self.readers.setdefault(bottom, layer)
        for top in tops:
            self._write(layer, top)
        self.layers.append(layer)

    def _bottom(self, its: Declared, blob: str) -> Top:
        top = self.latest.get(blob)
        if top is None or blob in self.undefined:
            self.refuse("undefined-bottom", self._missing(its, blob))
        return top or self._undefined(its, blob)

    def _undefined(self, its: Declared, blob: str) -> Top:
        """A layer of no type is put there to make the blob, so that the rest can be built."""
        index = len(self.layers)
        top = self.latest[blob] = Top(blob, index, 0)
        self.undefined.add(blob)
        self.layers.append(
            Layer(blob, "", (), (top,), View("LayerParameter", None), its.field, index)
        )
        return top

    def _write(self, layer: Layer, top: Top) -> None:
        before = self.latest.get(top.blob)
        if before is not None and top.blob not in self.undefined:
            self._check_in_place(layer, top, before)
        self.latest[top.blob] = top
        self.undefined.discard(top.blob)

    def _check_in_place(self, layer: Layer, top: Top, before: Top) -> None:
        if layer.bottoms[top.index : top.index + 1] != (before,):
            maker = layer if before.layer == layer.index else self.layers[before.layer]
            fact = f'top "{top.blob}" is already made by layer "{maker.name}" on line {maker.line}'
            remedy = "give it another name, or make it the bottom too to work in place"
            self.refuse("duplicate-top", layer.error(f"{fact}; {remedy}"))
            return
        other = self.readers[before]
        if other is not layer or layer.bottoms.count(before) > 1:
            fact = (
                f'it works in place on "{top.blob}", which layer "{other.name}" on line '
                f"{other.line} also"
            )
            remedy = "give its top a name of its own"
            self.refuse("in-place", layer.error(f"{fact} reads; Caffe refuses this: {remedy}"))

    def _missing(self, its: Declared, blob: str) -> NetError:
        """A bottom that no earlier layer makes, and what to do about it."""
        every = declared(self.prototxt, self.refuse)
        makers = [one for one in every if blob in one.tops and blob not in one.bottoms]
        later = [one for one in makers if one.kept(self.state)]
        known = [each for each in self.latest if each not in self.undefined]
        remedy = _near(blob, known) if known else f"it is the first layer: {_ADD_INPUT % blob}"
        for maker in (later or makers)[:1]:
            where = (
                "later; move it up" if later else f"but not in state {self.state}; {_rules(makers)}"
            )
            remedy = (
                f'layer "{maker.name}" on line {maker.field.line} makes '
                f"it{'' if later else ','} {where}"
            )
        fact = f'bottom "{blob}" is not the top of an earlier layer; {remedy}'
        error = layer_error(its.field, its.name, fact)
        return Elsewhere(str(error)) if makers and not later else error


_ADD_INPUT = 'add the net\'s input, such as input: "%s" input_shape { dim: [1, 3, 224, 224] }'


def _rules(makers: Iterable[Declared]) -> str:
    stages = dict.fromkeys(f'"{stage}"' for one in makers for stage in one.stages)
    return f"choose its stage (here {', '.join(stages)}), or " * bool(stages) + "change its rules"


def _near(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    known = tuple(known)
    close = get_close_matches(name, known, 1, 0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    return f"known here: {shown}" if known else "nothing is known here"
