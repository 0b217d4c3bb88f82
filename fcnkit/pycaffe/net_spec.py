"""Nets out of Python expressions, as pycaffe's net_spec makes them.

A Function is a layer without a name, a Top one of its blobs; what a NetSpec calls its
tops gives the layers their names.  Fields of a layer are keywords: those of the
message of its own type, and those of LayerParameter.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, MutableMapping
from functools import cache
from typing import TYPE_CHECKING, Any

from fcnkit.formats.schema import message, slots
from fcnkit.formats.values import nearest
from fcnkit.nets.layers.table import TYPES

if TYPE_CHECKING:
    from google.protobuf.message import Message

_MESSAGE = "Parameter"
_FIELD = "_param"
Names = dict["Top | Function", str]


@cache
def own_fields() -> Mapping[str, str]:
    """The field of LayerParameter with the parameters of a type, by the name of the type.

    A type without a message of its own, such as Deconvolution, has none.
    """
    return {
        slot.message.removesuffix(_MESSAGE): name
        for name, slot in slots("LayerParameter").items()
        if name.endswith(_FIELD) and slot.message.endswith(_MESSAGE)
    }


class Top:
    """A blob that a layer makes: number `n` of those of its Function `fn`."""

    def __init__(self, fn: "Function", n: int) -> None:
        self.fn = fn
        self.n = n

    def to_proto(self) -> "Message":
        """The net that makes this blob, all it needs and nothing else."""
        return to_proto(self)


class Function:
    """A layer: its type, the tops that it reads, and its fields, checked as they are given."""

    def __init__(self, type_name: str, inputs: tuple[Top, ...], params: dict[str, Any]) -> None:
        for number, each in enumerate(inputs):
            if not isinstance(each, Top):
                fact = f"{type_name} input {number} is not a Top (type is {type(each)})"
                raise TypeError(fact)
        self.type_name = type_name
        self.inputs = inputs
        self.params = dict(params)
        self.ntop = self.params.pop("ntop", 1)
        self.in_place = self.params.pop("in_place", False)
        self.tops = tuple(Top(self, number) for number in range(self.ntop))

    def layer(self, names: "Named") -> "Message":
        """The layer as a message; what it reads has its names already."""
        made = message("LayerParameter")(type=self.type_name)
        made.bottom.extend(names.of(each) for each in self.inputs)
        made.top.extend(made.bottom if self.in_place else map(names.of, self.tops))
        made.name = names.of_layer(self)
        for name, value in self.params.items():
            self._assign(made, name, value)
        return made

    def _assign(self, made: "Message", name: str, value: Any) -> None:
        """A name that ends in param is the layer's; another its type's own, or else the layer's."""
        own = own_fields().get(self.type_name)
        of_type = slots(slots("LayerParameter")[own].message) if own else {}
        if own and name in of_type and not name.endswith("param"):
            assign(getattr(made, own), name, value)
        elif name in slots("LayerParameter"):
            assign(made, name, value)
        else:
            near = nearest(name, (*of_type, *slots("LayerParameter")))
            hint = f'; did you mean "{near}"?' if near else ""
            where = "" if own else f"; fields of this type are in {_message_of(self.type_name)}"
            raise AttributeError(f"{self.type_name} has no field {name}{hint}{where}")


def _message_of(type_name: str) -> str:
    kind = TYPES.get(type_name)
    return f"{kind.message}=dict(...)" if kind and kind.message else "the messages of a layer"


class Named:
    """The names of tops and layers of one net: given ones, and numbered ones by type."""

    def __init__(self, given: Names) -> None:
        self.given = given
        self._counts: Counter[str] = Counter()

    def of(self, top: Top) -> str:
        """The top's blob; a layer in place leaves that of its bottom."""
        if top.fn.in_place:
            return self.of(top.fn.inputs[top.n])
        return self._named(top, top.fn)

    def of_layer(self, function: Function) -> str:
        """The name of its first top, as it was given; numbered where there is none."""
        if function.tops:
            return self._named(function.tops[0], function)
        return self._named(function, function)

    def _named(self, key: "Top | Function", function: Function) -> str:
        if key not in self.given:
            self._counts[function.type_name] += 1
            self.given[key] = f"{function.type_name}{self._counts[function.type_name]}"
        return self.given[key]


def to_proto(*tops: Top) -> "Message":
    """The NetParameter that makes these tops, each layer behind those that it reads."""
    return named_net(*tops)[0]


def named_net(*tops: "Top | Function", names: Names | None = None) -> "tuple[Message, Named]":
    """As `to_proto`, with what its tops and layers are called."""
    found: dict[Function, Message] = {}
    named = Named(names or {})
    for top in tops:
        for function in _needed(top.fn if isinstance(top, Top) else top, found):
            found[function] = function.layer(named)
    net = message("NetParameter")()
    net.layer.extend(found.values())
    return net, named


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


def assign(owner: "Message", name: str, value: Any) -> None:
    """The field of the message has this value: a dict is a message, a list repeats.

    Raises AttributeError for a field that the message has not, TypeError for a value of
    another type.
    """
    field = owner.DESCRIPTOR.fields_by_name.get(name)
    if field is None:
        near = nearest(name, tuple(owner.DESCRIPTOR.fields_by_name))
        hint = f'; did you mean "{near}"?' if near else ""
        raise AttributeError(f"{owner.DESCRIPTOR.name} has no field {name}{hint}")
    if isinstance(value, Mapping):
        inner = getattr(owner, name)
        inner = inner.add() if hasattr(inner, "add") else inner
        for key, each in value.items():
            assign(inner, key, each)
    elif isinstance(value, list):
        if isinstance(value[0], Mapping):
            for each in value:
                assign(owner, name, each)
        else:
            getattr(owner, name).extend(value)
    elif hasattr(getattr(owner, name), "extend"):
        getattr(owner, name).extend([value])
    else:
        setattr(owner, name, value)


class NetSpec:
    """Tops by the names that they get: `net.conv1 = L.Convolution(net.data, ...)`."""

    tops: MutableMapping[str, Top]

    def __init__(self) -> None:
        object.__setattr__(self, "tops", OrderedDict())

    def __setattr__(self, name: str, value: Top) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Top:
        return self.tops[name]

    def __setitem__(self, name: str, value: Top) -> None:
        self.tops[name] = value

    def __getitem__(self, name: str) -> Top:
        return self.tops[name]

    def __delitem__(self, name: str) -> None:
        del self.tops[name]

    def keys(self) -> list[str]:
        """The names of the tops, in the order in which they were given."""
        return list(self.tops)

    def vals(self) -> list[Top]:
        """The tops."""
        return list(self.tops.values())

    def update(self, other: "NetSpec") -> None:
        """The other's tops are this one's too."""
        self.tops.update(other.tops)

    def to_proto(self) -> "Message":
        """The NetParameter of all tops, layers in the order of the names."""
        for name, top in self.tops.items():
            if not isinstance(top, (Top, Function)):
                raise AttributeError(f"{name} is {type(top)}, not a Top")
        # Of two names of one top the last counts.
        names: Names = {top: name for name, top in self.tops.items()}
        return named_net(*self.tops.values(), names=names)[0]


class Layers:
    """`L.Type(bottom, ..., field=value)` makes a layer of any type."""

    def __getattr__(self, name: str) -> Any:
        def layer(*inputs: Top, **params: Any) -> "Top | Function | tuple[Top, ...]":
            function = Function(name, inputs, params)
            if function.ntop == 0:
                return function
            return function.tops[0] if function.ntop == 1 else function.tops

        layer.__name__ = name
        return layer


class Parameters:
    """`P.Pooling.MAX` is the number of an enum of PoolingParameter."""

    def __getattr__(self, name: str) -> Any:
        return message(f"{name}{_MESSAGE}")


layers = Layers()
params = Parameters()
