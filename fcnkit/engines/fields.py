"""What a net says in words of a fork: an engine that passed over them would run another net."""

import re
from collections.abc import Collection

from fcnkit.formats.prototxt import Prototxt
from fcnkit.formats.schema import unknown
from fcnkit.nets.graph import Layer, build
from fcnkit.nets.layers.replacements import in_its_place
from fcnkit.nets.layers.strange_fields import not_heeded
from fcnkit.nets.layers.table import CAFFE, of


def strange_field(layer: Layer, heeded: Collection[str] = ()) -> str:
    """The first field of a layer that Caffe has not, and what to do; "" where it has all.

    `heeded` are those of forks that whoever asks computes as the fork does.

    The message of a type that a fork alone has is for the engines that run that type.
    """
    own = of(layer).message
    found = [field for field, _ in unknown(layer.view.message_name, layer.field)]
    if any(field.name == own for field in found):
        found = [field for field in found if field.name != own]
        found += [field for field, _ in not_heeded(layer)]
    for field in (field for field in found if field.name not in heeded):
        fact = f'Caffe has no field "{field.name}" (line {field.line})'
        return f"{fact}; {in_its_place(field) or 'remove it'}"
    return ""


def of_forks(net: Prototxt) -> bool:
    """Whether Caffe itself refuses the net for a layer type or a field of a fork."""
    layers = build(net).layers
    return any(layer.type not in CAFFE or strange_field(layer) for layer in layers)


def not_parsed(net: Prototxt, words: str) -> str:
    """What to do where Caffe's parser says `words` of a field of this net; "" for other words."""
    said = re.search(r'(\d+):\d+: Message type "[\w.]+" has no field named "(\w+)"', words)
    if said is None:
        return ""
    for field, near in unknown("NetParameter", net.root):
        if (field.line, field.name) == (int(said[1]), said[2]) and (near or in_its_place(field)):
            return f'did you mean "{near}"?' if near else in_its_place(field)
    return "`fcnkit lint` tells for each such field which fork it is from and what to do"
