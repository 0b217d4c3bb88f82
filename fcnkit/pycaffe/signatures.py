"""What `L.Type` takes, as Python's signatures: the schema's fields with Caffe's defaults.

Of a message that Caffe has these are Caffe's alone; what forks add to it is taken too.
"""

from inspect import Parameter, Signature
from typing import Any, NamedTuple

from fcnkit.formats import with_forks
from fcnkit.formats.values import Slot
from fcnkit.nets.layers.table import CAFFE, TYPES
from fcnkit.pycaffe.fields import LAYER, own_fields

# But for the names of old formats, such as MAT_WRITE.
TYPE_NAMES = tuple(sorted(name for name in TYPES if not name.isupper() or name in CAFFE))
# What any layer may say; of `*_param` only those that its type reads.
_ANY = ("name", "param", "include", "exclude", "loss_weight", "propagate_down", "phase")
_KINDS = {"int32": "int", "int64": "int", "uint32": "int", "enum": "int", "bytes": "str"} | {
    name: name for name in ("float", "bool")
} | {"string": "str", "message": "dict[str, Any]"}  # fmt: skip


class Code(NamedTuple):
    """Something that shows itself as this code."""

    text: str

    def __repr__(self) -> str:
        return self.text


_UNSAID = Code("...")
# What is not Caffe's: see `Function`.
_OURS = (
    ("ntop", Code("int"), 1),
    ("in_place", Code("bool"), False),
    ("tops", Code("str | Sequence[str]"), ()),
    ("comment", Code("str"), Code('""')),
)


def signature(type_name: str) -> Signature:
    """The bottoms of a layer of this type and its fields, its own first.

    A field's default is Caffe's; `...` stands where there is none.
    """
    kind = TYPES.get(type_name)
    own, layers = own_fields().get(type_name), with_forks.slots(LAYER)
    message = layers[own].message if own else ""
    fields = [(message, slot) for slot in (slots(message).values() if message else ())]
    named = [kind.message, *kind.reads] if kind else []
    fields += [(LAYER, layers[name]) for name in (*filter(None, named), *_ANY)]
    ours = [_keyword(name, shown, default) for name, shown, default in _OURS]
    given = {slot.name: _of(name, slot) for name, slot in fields}
    bottoms = Parameter("bottoms", Parameter.VAR_POSITIONAL, annotation=Code("Top"))
    return Signature([bottoms, *given.values(), *ours], return_annotation=Code(_made(type_name)))


def slots(message: str) -> dict[str, Slot]:
    """The fields of a message that are shown: Caffe's, or a fork's where Caffe has no such."""
    return with_forks.caffes(message) or with_forks.slots(message)


def _made(type_name: str) -> str:
    """What a call returns; several tops are a tuple."""
    kind = TYPES.get(type_name)
    return "Top" if kind and (kind.tops == (1, 1) or kind.paired) else "Any"


def _of(message: str, slot: Slot) -> Parameter:
    one = _KINDS[slot.kind]
    shown = f"{one} | list[{one}]" if slot.repeated else one
    return _keyword(slot.name, Code(shown), _default(message, slot))


def _default(message: str, slot: Slot) -> Any:
    if not slot.declared:
        return _UNSAID
    if slot.kind == "string":
        return Code(f'"{slot.default}"')
    if not slot.enum:
        return slot.default
    name = message.removesuffix("Parameter")
    return slot.enum[slot.default] if message == LAYER else Code(f"params.{name}.{slot.default}")


def _keyword(name: str, shown: Code, default: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=shown, default=default)
