"""Fields of forks that may change what a layer computes, which nobody may then compute across."""

from collections.abc import Collection, Iterator

from fcnkit.formats import schema
from fcnkit.formats.prototxt import Field, Prototxt
from fcnkit.nets.graph import Layer
from fcnkit.nets.layers.table import of
from fcnkit.nets.layers.traits import ALWAYS_NEUTRAL, LayerType, Trait

# Messages that every layer may have.
_OF_ALL_TYPES = frozenset(("transform_param", "loss_param"))


def check_net(net: Prototxt) -> None:
    """Beside its layers the net says nothing that neither Caffe nor any known fork has.

    Raises PrototxtError, which points at the field.
    """
    for field in schema.View("NetParameter", net.root).strange_fields:
        fact = f'a net has no field "{field.name}", in Caffe or any fork that is known'
        raise field.error(f"{fact}; remove it")


def fork_fields(layer: Layer) -> Iterator[tuple[Field, str | None]]:
    """The fields that may change what the layer computes, unknown to Caffe and to its entry.

    Each comes with the name of the fork that has it, None where no fork is known to.
    A message of another type counts: Caffe skips it, and a fork may have joined the two.
    """
    kind = of(layer)
    if kind.trait in (Trait.OPAQUE, Trait.SOURCE):
        return
    neutral = kind.neutral | ALWAYS_NEUTRAL
    for field in layer.field.fields or ():
        for strange, fork in _strange(layer, kind, field):
            if strange.name not in neutral and field.name != "transform_param":
                yield strange, fork


def _strange(layer: Layer, kind: LayerType, own: Field) -> Iterator[tuple[Field, str | None]]:
    """Of a field of a layer: itself or what is in it, if Caffe or the type does not have it."""
    slot = schema.slots("LayerParameter").get(own.name)
    known = {kind.message, *kind.reads}
    if slot is not None and slot.message and own.name.endswith("_param") and own.name not in known:
        if own.name not in _OF_ALL_TYPES:
            yield own, None
    elif slot is not None and slot.message:
        for field, _ in schema.unknown(slot.message, own):
            yield field, schema.fork_of(slot.message, field.name)
    elif slot is None and own.name in known:  # a message that a fork alone has
        yield from not_heeded(layer)
    elif slot is None and own.name not in schema.slots("V1LayerParameter"):
        yield own, schema.fork_of("LayerParameter", own.name)


def not_heeded(layer: Layer) -> Iterator[tuple[Field, str | None]]:
    """The fields of a fork's own message that no fork is known to have, or that nothing follows.

    Each comes with the fork that has it.
    """
    kind = of(layer)
    own = layer.param(kind.message)
    yield from ((field, None) for field in own.strange_fields)
    for field in own.source_field.fields or () if own.source_field else ():
        if field.name in kind.unheeded:
            yield field, schema.fork_of(own.message_name, field.name)


def not_understood(layer: Layer, heeded: Collection[str] = ()) -> str:
    """Why nothing may be computed across this layer: a field that may change it; "" for none.

    `heeded` are fields of forks that whoever asks takes into account.
    """
    for field, fork in fork_fields(layer):
        name = field.name
        if name not in heeded:
            return f'its field "{name}", {_whose(name, fork)}, may change what it computes'
    return ""


def _whose(name: str, fork: str | None) -> str:
    if fork:
        return "of a fork of Caffe" if fork == schema.OTHERS else f"of {fork}'s Caffe"
    if name in schema.slots("LayerParameter"):
        return "which is for layers of another type"
    return "of no Caffe that is known"


def understood(layer: Layer) -> None:
    """Raises NetError for a layer that nothing may be computed across."""
    strange = not_understood(layer)
    if strange:
        raise layer.error(f"{strange}; remove the field, or change the layer by hand")
