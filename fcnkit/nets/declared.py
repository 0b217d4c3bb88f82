"""Layers as a prototxt declares them, before the state chooses and their bottoms are resolved.

V1 layers (`layers`, enum types) and net-level `input` fields are seen as what
Caffe's upgrade_proto.cpp makes of them.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from fcnkit.errors import NetError
from fcnkit.formats.prototxt import Field, Prototxt
from fcnkit.formats.schema import View
from fcnkit.nets.layers.old_names import V1_TYPES
from fcnkit.plural import number_of
from fcnkit.shape import Shape

# Hears of each thing that Caffe would refuse: what kind of fault it is, and the error.
Refuse = Callable[[str, NetError], None]


def raising(fault: str, error: NetError) -> None:
    """Raises the error: the first fault ends the reading."""
    raise error


class State(NamedTuple):
    """A phase, a level and stages: they decide which layers of a file are built."""

    phase: str = "TEST"
    level: int = 0
    stages: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "+".join((self.phase, *(f"level {self.level}",) * bool(self.level), *self.stages))


TEST = State()


@dataclass(frozen=True, eq=False)
class Declared:
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
        """Every stage that a rule of this layer mentions."""
        rules = (*self.include, *self.exclude)
        return (
            stage for rule in rules for name in ("stage", "not_stage") for stage in rule.list(name)
        )

    @property
    def levels(self) -> Iterable[int]:
        """The levels from which a rule of this layer says something else."""
        for rule in (*self.include, *self.exclude):
            if rule.has("min_level"):
                yield rule.get("min_level")
            if rule.has("max_level"):
                yield rule.get("max_level") + 1


def _meets(rule: View, state: State) -> bool:
    """Net::StateMeetsRule."""
    return (
        (not rule.has("phase") or rule.get("phase") == state.phase)
        and (not rule.has("min_level") or state.level >= rule.get("min_level"))
        and (not rule.has("max_level") or state.level <= rule.get("max_level"))
        and set(rule.list("stage")) <= set(state.stages)
        and not set(rule.list("not_stage")) & set(state.stages)
    )


def merged(prototxt: Prototxt, state: State) -> State:
    """The state in which Caffe filters the file: its own stages come before those given."""
    own = View("NetParameter", prototxt.root).view("state")
    return state._replace(stages=(*own.list("stage"), *state.stages))


@lru_cache(maxsize=4)
def declared(prototxt: Prototxt, refuse: Refuse = raising) -> tuple[Declared, ...]:
    """Every layer of the file, the net-level inputs first;
    kept, for the next state of the same file.

    Raises NetError for files of the V0 format or of two formats mixed, for a layer with both
    include and exclude, and for one without a type; or tells `refuse` of each and reads on.
    """
    net = View("NetParameter", prototxt.root)
    old, new = prototxt.root.all("layers"), prototxt.root.all("layer")
    if old and new:
        fact = f"{prototxt.path}:{old[0].line}: `layers` here and `layer` on line {new[0].line}"
        remedy = "Caffe refuses a file of two formats; write all layers in one"
        refuse("two-formats", NetError(f"{fact}: {remedy}"))
    if old and any(field.all("layer") for field in old):
        fact = f"{prototxt.path}:{old[0].line}: this is Caffe's V0 format"
        refuse("v0", NetError(f"{fact}; run `fcnkit upgrade` on it first"))
    layers = (
        _layer(view, field, kind(view), refuse)
        for name, kind in (("layers", _v1), ("layer", _v2))
        for view, field in zip(net.views(name), prototxt.root.all(name), strict=True)
    )
    return (*_inputs(prototxt, net, refuse), *sorted(layers, key=lambda layer: layer.field.start))


def _v1(view: View) -> str:
    field = view.field("type")
    if field is not None and field.raw not in V1_TYPES and field.raw.isidentifier():
        return field.raw  # a fork's type, or a slip: like an unknown V2 type
    return V1_TYPES[view.get("type")]


def _v2(view: View) -> str:
    return view.get("type")


def _layer(view: View, field: Field, kind: str, refuse: Refuse) -> Declared:
    name = view.get("name")
    if not kind:
        fact = 'it has no type; add one, such as type: "Convolution"'
        refuse("no-type", error(field, name, fact))
    include, exclude = tuple(view.views("include")), tuple(view.views("exclude"))
    if include and exclude:
        fact = "it has both include and exclude rules; Caffe takes one kind, not both"
        refuse("include-and-exclude", error(field, name, fact))
    tops = tuple(view.list("top"))
    # Of all types, Input alone has shapes that are read before the state is chosen.
    shapes = _input_shapes(view, field, len(tops), refuse) if kind == "Input" else ()
    return Declared(
        name, kind, tuple(view.list("bottom")), tops, view, field, shapes, include, exclude
    )


def _input_shapes(view: View, field: Field, tops: int, refuse: Refuse) -> tuple[Shape | None, ...]:
    """An Input layer's shapes: none, one for all tops, or one each."""
    shapes = [tuple(shape.list("dim")) for shape in view.view("input_param").views("shape")]
    if len(shapes) not in (0, 1, tops):
        fact = (
            f"{number_of(len(shapes), 'shape')} for {number_of(tops, 'top')}; give one for "
            "all of them, one for each, or none"
        )
        refuse("shape", error(field, view.get("name"), fact))
        return (None,) * tops
    return (None,) * tops if not shapes else tuple(shapes * tops if len(shapes) == 1 else shapes)


def _inputs(prototxt: Prototxt, net: View, refuse: Refuse) -> list[Declared]:
    """The Input layer that Caffe makes of net-level `input`, `input_shape` and `input_dim`."""
    names = net.list("input")
    if not names:
        return []
    field = prototxt.root.all("input")[0]
    shapes = [tuple(shape.list("dim")) for shape in net.views("input_shape")]
    dims = net.list("input_dim")
    shapes = shapes or [tuple(dims[at : at + 4]) for at in range(0, len(dims) - 3, 4)]
    if len(shapes) < len(names) and (shapes or dims):
        fact = f"{number_of(len(names), 'net-level input')}, and sizes for {len(shapes)}"
        refuse(
            "shape",
            error(field, "input", f"{fact}; give each input an input_shape, or four input_dim"),
        )
    given = (*shapes[: len(names)], *(None,) * (len(names) - len(shapes)))
    return [
        Declared("input", "Input", (), tuple(names), View("LayerParameter", None), field, given)
    ]


def error(field: Field, name: str, fact: str) -> NetError:
    """An error that says where the layer `name` stands."""
    return NetError(f'{field.source.path}:{field.line}: layer "{name}": {fact}')
