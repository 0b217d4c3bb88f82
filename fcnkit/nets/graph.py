"""The net that Caffe would build from a prototxt in one state, as layers and tops.

The rules are those of Net::FilterNet, InsertSplits and Net::Init in Caffe's
net.cpp: file order is execution order, a bottom means the latest layer before
it that writes a blob of that name, and a layer whose top has its bottom's name
works in place.  V1 layers (`layers`, enum types) and net-level `input` fields
are seen as what Caffe upgrades them to.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

from fcnkit.errors import NetError
from fcnkit.formats.prototxt import Field, Prototxt
from fcnkit.formats.schema import View

Shape = tuple[int, ...]

V1_TYPES = {
    "NONE": "", "ABSVAL": "AbsVal", "ACCURACY": "Accuracy", "ARGMAX": "ArgMax", "BNLL": "BNLL",
    "CONCAT": "Concat", "CONTRASTIVE_LOSS": "ContrastiveLoss", "CONVOLUTION": "Convolution",
    "DATA": "Data", "DECONVOLUTION": "Deconvolution", "DROPOUT": "Dropout", "DUMMY_DATA": "DummyData",
    "EUCLIDEAN_LOSS": "EuclideanLoss", "ELTWISE": "Eltwise", "EXP": "Exp", "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data", "HDF5_OUTPUT": "HDF5Output", "HINGE_LOSS": "HingeLoss",
    "IM2COL": "Im2col", "IMAGE_DATA": "ImageData", "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct", "LRN": "LRN", "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss", "MVN": "MVN", "POOLING": "Pooling",
    "POWER": "Power", "RELU": "ReLU", "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss", "SILENCE": "Silence",
    "SLICE": "Slice", "SOFTMAX": "Softmax", "SOFTMAX_LOSS": "SoftmaxWithLoss", "SPLIT": "Split",
    "TANH": "TanH", "THRESHOLD": "Threshold", "WINDOW_DATA": "WindowData",
}  # fmt: skip


class State(NamedTuple):
    """What Caffe's include and exclude rules look at."""

    phase: str = "TEST"
    level: int = 0
    stages: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "+".join((self.phase, *(f"level {self.level}",) * bool(self.level), *self.stages))


TEST = State()


class Top(NamedTuple):
    """One output of one layer; an in-place layer makes a new Top of the same blob."""

    blob: str
    layer: int
    index: int


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer as Caffe builds it; `type` is the V2 word also in a V1 file.

    `input_shapes` is one shape per top of an Input layer, None where the
    prototxt does not say it; it is () for every other type.
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
        """The line, from 1, on which this layer begins."""
        return self.field.line

    def param(self, name: str) -> View:
        """This layer's `name` message; one that answers defaults when it is not written."""
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
        """An error that says where this layer stands."""
        return _error(self.field, self.name, fact)

    def __repr__(self) -> str:
        return f"<Layer {self.name}: {self.type}, line {self.line}>"


@dataclass(frozen=True, eq=False)
class Graph:
    """The layers that one state keeps, in file order, each wired to its producers."""

    prototxt: Prototxt
    state: State
    layers: tuple[Layer, ...]

    def top(self, blob: str) -> Top:
        """The last top of that blob name: what Caffe gives under the name after a run.

        Raises NetError, naming the nearest blob, when there is none.
        """
        if blob not in self._last:
            raise NetError(f"{self._no('blob', blob)}; {_near(blob, self._last)}")
        return self._last[blob]

    def layer(self, name: str) -> Layer:
        """The first layer of that name; NetError, naming the nearest, when there is none."""
        if name not in self._named:
            raise NetError(f"{self._no('layer', name)}; {_near(name, self._named)}")
        return self._named[name]

    def producer(self, top: Top) -> Layer:
        """The layer that writes this top."""
        return self.layers[top.layer]

    @cached_property
    def tops(self) -> tuple[Top, ...]:
        """Every top, in file order."""
        return tuple(top for layer in self.layers for top in layer.tops)

    @cached_property
    def consumers(self) -> Mapping[Top, tuple[Layer, ...]]:
        """The layers that read each top, each once, in file order; () for an output."""
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
        return tuple(top for layer in self.layers if layer.type == "Input" for top in layer.tops)

    @cached_property
    def _last(self) -> dict[str, Top]:
        return {top.blob: top for top in self.tops}

    @cached_property
    def _named(self) -> dict[str, Layer]:
        return {layer.name: layer for layer in reversed(self.layers)}

    def _no(self, what: str, name: str) -> str:
        return f'{self.prototxt.path}: no {what} "{name}" in state {self.state}'

    def __repr__(self) -> str:
        return f"<Graph {self.prototxt.path}, {self.state}: {len(self.layers)} layers>"


def build(prototxt: Prototxt, state: State = TEST) -> Graph:
    """The net that Caffe builds from this file in this state.

    The phase and level are those of `state`; stages that the file's own
    `state` lists are added to its, as Caffe does.  Time is linear in the
    number of layers.

    Raises NetError for a bottom that no earlier layer makes, a top made twice,
    a layer with both include and exclude, a layer without type, and for files of
    the V0 format or of two formats mixed.
    """
    wanted = _merged(prototxt, state)
    wires = _Wires(prototxt, wanted)
    for declared in _declared(prototxt):
        if declared.kept(wanted):
            wires.add(declared)
    return Graph(prototxt, state, tuple(wires.layers))


def states(prototxt: Prototxt) -> tuple[State, ...]:
    """The states worth building, one of each set that keep the same layers.

    TEST and TRAIN, and each of them with each stage that a rule mentions.
    """
    declared = _declared(prototxt)
    stages = dict.fromkeys(stage for one in declared for stage in one.stages)
    distinct: dict[tuple[bool, ...], State] = {}
    for chosen in ((), *((stage,) for stage in stages)):
        for phase in ("TEST", "TRAIN"):
            state = State(phase, 0, chosen)
            merged = _merged(prototxt, state)
            distinct.setdefault(tuple(one.kept(merged) for one in declared), state)
    return tuple(distinct.values())


def graphs(prototxt: Prototxt) -> tuple[Graph, ...]:
    """The graph of each of `states`, but for states that have no data: a file may be for one phase only.

    Raises NetError as `build` does, where no state can be built or one has another fault.
    """
    found: list[Graph] = []
    missing: list[_Elsewhere] = []
    for state in states(prototxt):
        try:
            found.append(build(prototxt, state))
        except _Elsewhere as error:
            missing.append(error)
    if not found:
        raise NetError(str(missing[0]))
    return tuple(found)


class _Elsewhere(NetError):
    """A bottom is made by a layer that this state does not keep."""


@dataclass(frozen=True, eq=False)
class _Declared:
    """A layer as the file declares it, before its bottoms are resolved."""

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    view: View
    field: Field
    input_shapes: tuple[Shape | None, ...] = ()
    include: tuple[View, ...] = ()
    exclude: tuple[View, ...] = ()

    def kept(self, state: State) -> bool:
        """Whether Net::FilterNet keeps this layer in this state."""
        if self.include:
            return any(_meets(rule, state) for rule in self.include)
        return not any(_meets(rule, state) for rule in self.exclude)

    @property
    def stages(self) -> Iterable[str]:
        rules = (*self.include, *self.exclude)
        return (stage for rule in rules for name in ("stage", "not_stage") for stage in rule.list(name))


def _meets(rule: View, state: State) -> bool:
    """Net::StateMeetsRule."""
    return (
        (not rule.has("phase") or rule.get("phase") == state.phase)
        and (not rule.has("min_level") or state.level >= rule.get("min_level"))
        and (not rule.has("max_level") or state.level <= rule.get("max_level"))
        and set(rule.list("stage")) <= set(state.stages)
        and not set(rule.list("not_stage")) & set(state.stages)
    )


def _merged(prototxt: Prototxt, state: State) -> State:
    own = View("NetParameter", prototxt.root).view("state")
    return state._replace(stages=(*own.list("stage"), *state.stages))


@lru_cache(maxsize=4)
def _declared(prototxt: Prototxt) -> tuple[_Declared, ...]:
    """Every layer of the file, the net-level inputs first; kept, for the next state of the same file."""
    net = View("NetParameter", prototxt.root)
    old, new = prototxt.root.all("layers"), prototxt.root.all("layer")
    if old and new:
        raise NetError(
            f"{prototxt.path}:{old[0].line}: `layers` here and `layer` on line {new[0].line}: Caffe refuses "
            f"a file of two formats; write all of them in one"
        )
    if old and any(field.all("layer") for field in old):
        fact = f"{prototxt.path}:{old[0].line}: this is Caffe's V0 format"
        raise NetError(f"{fact}; run `fcnkit upgrade` on it first")
    read = _v1 if old else _v2
    return (*_inputs(prototxt, net), *map(read, net.views("layers" if old else "layer")))


def _v1(view: View) -> _Declared:
    field = view.field("type")
    if field is not None and field.raw not in V1_TYPES and field.raw.isidentifier():
        return _layer(view, field.raw)  # a fork's type, or a slip: like an unknown V2 type
    return _layer(view, V1_TYPES[view.get("type")])


def _v2(view: View) -> _Declared:
    return _layer(view, view.get("type"))


def _layer(view: View, kind: str) -> _Declared:
    field, name = view.source_field, view.get("name")
    if not kind:
        raise _error(field, name, 'it has no type; add one, such as type: "Convolution"')
    include, exclude = tuple(view.views("include")), tuple(view.views("exclude"))
    if include and exclude:
        raise _error(field, name, "it has both include and exclude rules; Caffe takes one kind, not both")
    tops = tuple(view.list("top"))
    shapes = _input_shapes(view, len(tops)) if kind == "Input" else ()
    return _Declared(name, kind, tuple(view.list("bottom")), tops, view, field, shapes, include, exclude)


def _input_shapes(view: View, tops: int) -> tuple[Shape | None, ...]:
    """An Input layer's shapes: none, one for all tops, or one each."""
    shapes = [tuple(shape.list("dim")) for shape in view.view("input_param").views("shape")]
    if len(shapes) not in (0, 1, tops):
        fact = f"{len(shapes)} shapes for {tops} tops; give one for all of them, one for each, or none"
        raise _error(view.source_field, view.get("name"), fact)
    return (None,) * tops if not shapes else tuple(shapes * tops if len(shapes) == 1 else shapes)


def _inputs(prototxt: Prototxt, net: View) -> list[_Declared]:
    """The Input layer that Caffe makes of net-level `input`, `input_shape` and `input_dim`."""
    names = net.list("input")
    if not names:
        return []
    field = prototxt.root.all("input")[0]
    shapes = [tuple(shape.list("dim")) for shape in net.views("input_shape")]
    dims = net.list("input_dim")
    shapes = shapes or [tuple(dims[at : at + 4]) for at in range(0, len(dims) - 3, 4)]
    if len(shapes) < len(names) and (shapes or dims):
        fact = f"{len(names)} net-level inputs, and sizes for {len(shapes)}"
        raise _error(field, "input", f"{fact}; give each an input_shape, or four input_dim")
    given = tuple(shapes[: len(names)]) or (None,) * len(names)
    return [_Declared("input", "Input", (), tuple(names), View("LayerParameter", None), field, given)]


class _Wires:
    """The layers built so far, the latest writer of each blob, the first reader of each top."""

    def __init__(self, prototxt: Prototxt, state: State):
        self.prototxt, self.state = prototxt, state
        self.layers: list[Layer] = []
        self.latest: dict[str, Top] = {}
        self.readers: dict[Top, Layer] = {}

    def add(self, declared: _Declared) -> None:
        """Appends a layer, bound to the latest writers of its bottoms."""
        index = len(self.layers)
        bottoms = tuple(self._bottom(declared, blob) for blob in declared.bottoms)
        tops = tuple(Top(blob, index, at) for at, blob in enumerate(declared.tops))
        its = declared
        layer = Layer(its.name, its.type, bottoms, tops, its.view, its.field, index, its.input_shapes)
        for bottom in bottoms:
            self.readers.setdefault(bottom, layer)
        for top in tops:
            self._write(layer, top)
        self.layers.append(layer)

    def _bottom(self, declared: _Declared, blob: str) -> Top:
        top = self.latest.get(blob)
        if top is None:
            raise self._missing(declared, blob)
        return top

    def _write(self, layer: Layer, top: Top) -> None:
        before = self.latest.get(top.blob)
        if before is not None:
            self._check_in_place(layer, top, before)
        self.latest[top.blob] = top

    def _check_in_place(self, layer: Layer, top: Top, before: Top) -> None:
        if layer.bottoms[top.index : top.index + 1] != (before,):
            maker = layer if before.layer == layer.index else self.layers[before.layer]
            raise layer.error(
                f'top "{top.blob}" is already made by layer "{maker.name}" on line {maker.line}; '
                f"give it another name, or make it the bottom too to work in place"
            )
        other = self.readers[before]
        if other is not layer or layer.bottoms.count(before) > 1:
            raise layer.error(
                f'it works in place on "{top.blob}", which layer "{other.name}" on line {other.line} also '
                f"reads; Caffe refuses this: give its top a name of its own"
            )

    def _missing(self, declared: _Declared, blob: str) -> NetError:
        """A bottom that no earlier layer makes, and what to do about it."""
        makers = [one for one in _declared(self.prototxt) if blob in one.tops]
        later = [one for one in makers if one.kept(self.state)]
        remedy = _near(blob, self.latest)
        for maker in (later or makers)[:1]:
            where = "later; move it up" if later else f"but not in state {self.state}; change its rules"
            remedy = f'layer "{maker.name}" on line {maker.field.line} makes it{"" if later else ","} {where}'
        fact = f'bottom "{blob}" is not the top of an earlier layer; {remedy}'
        error = _error(declared.field, declared.name, fact)
        return _Elsewhere(str(error)) if makers and not later else error


def _near(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    known = tuple(known)
    close = get_close_matches(name, known, 1, 0.5)
    if close:
        return f'did you mean "{close[0]}"?'
    shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    return f"known here: {shown}" if known else "nothing is known here"


def _error(field: Field, name: str, fact: str) -> NetError:
    return NetError(f'{field.source.path}:{field.line}: layer "{name}": {fact}')
