"""Layers and the blobs that they make, before they have names.

A Function is a layer, a Top one of its blobs.  Fields of a layer are keywords: those of the
message of its own type, and those of LayerParameter.  They are checked where the layer is
made, so that a traceback shows the line with the mistake.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from fcnkit.formats.with_forks import message
from fcnkit.pycaffe.fields import Fields, Written, fill, layer_fields

if TYPE_CHECKING:
    from google.protobuf.message import Message

Names = dict["Top | Function", str]


class Top:
    """A blob that a layer makes: number `n` of those of its Function `fn`."""

    def __init__(self, fn: "Function", n: int) -> None:
        self.fn = fn
        self.n = n

    def to_proto(self) -> "Message":
        """The net that makes this blob, all it needs and nothing else."""
        return to_proto(self)


class Function:
    """A layer: its type, the tops that it reads, and its fields, checked as they are given.

    `ntop` is the number of its tops, and with `in_place` they are its bottoms.  `tops` are
    names for them whatever a NetSpec calls them; then that names the layer alone.
    `comment` stands above the layer in a prototxt.
    """

    def __init__(self, type_name: str, inputs: tuple[Top, ...], params: dict[str, Any]) -> None:
        for number, each in enumerate(inputs):
            if not isinstance(each, Top):
                fact = f"{type_name} input {number} is not a Top (type is {type(each)})"
                raise TypeError(fact)
        self.type_name = type_name
        self.inputs = inputs
        self.params = dict(params)
        self.comment = text_of("comment", self.params.pop("comment", ""))
        self.in_place = self.params.pop("in_place", False)
        self.named = _top_names(self.params.pop("tops", ()))
        self.ntop = self.params.pop("ntop", len(self.named) or 1)
        if self.named and (self.in_place or len(self.named) != self.ntop):
            wanted = "no tops in place" if self.in_place else f"{self.ntop} tops"
            raise TypeError(f"{type_name} has {wanted}, and {len(self.named)} named: {self.named}")
        self.tops = tuple(Top(self, number) for number in range(self.ntop))
        self._check(self.params)

    def give(self, fields: Mapping[str, Any]) -> None:
        """The layer has these fields, too; what it had of one gives way."""
        self._check(fields)
        self.params |= fields

    def _check(self, fields: Mapping[str, Any]) -> None:
        # A list that is still empty may be filled before the net is written.
        full = {name: each for name, each in fields.items() if type(each) is not list or each}
        layer_fields(self.type_name, full, short=True)

    def layers(self, names: "Named", *, short: bool = False) -> Iterator[Written]:
        """The layer; what it reads has its names already; `short` as in `layer_fields`."""
        bottoms = [names.of(each) for each in self.inputs]
        tops = bottoms if self.in_place else [names.of(each) for each in self.tops]
        given = layer_fields(self.type_name, self.params, short=short)
        made: Fields = {"name": names.of_layer(self), "type": self.type_name} | given
        for name, blobs in (("bottom", bottoms), ("top", tops)):
            if blobs or name in given:
                made[name] = [*blobs, *given.get(name, ())]
        yield Written(made, self.comment)


def text_of(what: str, given: Any) -> str:
    """The words themselves; TypeError for anything else."""
    if not isinstance(given, str):
        raise TypeError(f"{what} is text; found {given!r}")
    return given


def _top_names(given: Any) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else tuple(given)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"tops are names; found {given!r}")
    return names


class Either(Function):
    """Layers of one name and the same tops, of which each state of the net has one."""

    def __init__(self, choices: tuple[Function, ...]) -> None:
        inputs = (top for each in choices for top in each.inputs)
        super().__init__(choices[0].type_name, tuple(dict.fromkeys(inputs)), {})
        self.choices = choices
        self.ntop, self.in_place, self.named = _tops_of(choices[0])
        self.tops = tuple(Top(self, number) for number in range(self.ntop))

    def layers(self, names: "Named", *, short: bool = False) -> Iterator[Written]:
        """All of them, in the order that they were given in."""
        for each in self.choices:
            names.given[each] = names.of_layer(self)
            names.given |= {
                own: names.of(top) for own, top in zip(each.tops, self.tops, strict=True)
            }
            yield from each.layers(names, short=short)


def either(*choices: "Top | Function | tuple[Top, ...]") -> Any:
    """Makes layers of one name for different states; a layer that reads their top reads the one
    that exists in its state.

        n.data, n.label = caffe.either(
            L.Data(source="train_lmdb", include=dict(phase=caffe.TRAIN), ntop=2),
            L.Data(source="val_lmdb", include=dict(phase=caffe.TEST), ntop=2),
        )

    All of them have the same number of tops. Returns these tops, as a call of L does.
    """
    functions = tuple(_function(each) for each in choices)
    if len({_tops_of(each) for each in functions}) != 1:
        found = ", ".join(f"{each.type_name} with {each.ntop}" for each in functions)
        raise TypeError(f"either takes layers with the same tops; found {found or 'none'}")
    return _made(Either(functions))


def _tops_of(function: Function) -> tuple[int, bool, tuple[str, ...]]:
    return function.ntop, bool(function.in_place), function.named


def _function(made: "Top | Function | tuple[Top, ...]") -> Function:
    """The layer that one call of L made."""
    first = made[0] if isinstance(made, tuple) and made else made
    if isinstance(first, Top):
        return first.fn
    if isinstance(first, Function):
        return first
    raise TypeError(f"either takes layers, L.Type(...); found {made!r}")


def _made(function: Function) -> "Top | Function | tuple[Top, ...]":
    """What a call of L returns."""
    if function.ntop == 0:
        return function
    return function.tops[0] if function.ntop == 1 else function.tops


class Named:
    """The names of tops and layers of one net: given ones, and numbered ones by type."""

    def __init__(self, given: Names) -> None:
        self.given = given
        self._counts: Counter[str] = Counter()

    def of(self, top: Top) -> str:
        """The top's blob; a layer in place leaves that of its bottom."""
        if top.fn.in_place:
            return self.of(top.fn.inputs[top.n])
        return top.fn.named[top.n] if top.fn.named else self._called(top, top.fn)

    def of_layer(self, function: Function) -> str:
        """The name of its first top, as it was given; numbered where there is none."""
        if function in self.given:
            return self.given[function]
        first = function.tops[0] if function.tops else function
        if first not in self.given and function.named:
            return function.named[0]
        return self._called(first, function)

    def _called(self, key: "Top | Function", function: Function) -> str:
        if key not in self.given:
            self._counts[function.type_name] += 1
            self.given[key] = f"{function.type_name}{self._counts[function.type_name]}"
        return self.given[key]


def to_proto(*tops: Top) -> "Message":
    """Returns the NetParameter that makes these tops; each layer comes after those that it
    reads.
    """
    return net_message(named_layers(*tops)[0])


def named_layers(
    *tops: "Top | Function", names: Names | None = None, short: bool = False
) -> "tuple[list[Written], Named]":
    """The layers that make these tops, and what the tops are called; `short` as `layer_fields`."""
    found: dict[Function, list[Written]] = {}
    named = Named(names or {})
    for top in tops:
        for function in _needed(top.fn if isinstance(top, Top) else top, found):
            found[function] = [*function.layers(named, short=short)]
    return [layer for layers in found.values() for layer in layers], named


def _needed(last: Function, found: Mapping[Function, Any]) -> Iterator[Function]:
    """The functions that this one needs and that are not there yet, depth first; itself last."""
    todo, seen = [(last, False)], set()
    while todo:
        function, ready = todo.pop()
        if ready:
            yield function
        elif function not in found and function not in seen:
            seen.add(function)
            todo.append((function, True))
            todo += [(each.fn, False) for each in reversed(function.inputs)]


def net_message(layers: list[Written], name: str = "") -> "Message":
    """The NetParameter of these layers, under its name if it has one."""
    net = message("NetParameter")()
    if name:
        net.name = name
    for layer in layers:
        fill(net.layer.add(), layer.fields)
    return net


def layer(type_name: str, *inputs: Top, **params: Any) -> "Top | Function | tuple[Top, ...]":
    """A layer of this type: its top, a tuple where it has several, itself where it has none."""
    return _made(Function(type_name, inputs, params))
