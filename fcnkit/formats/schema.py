"""What a field is in Caffe: its type, its default, whether it repeats.

The schema is caffe.proto beside this file, read as a compiled descriptor set.
Protobuf itself is needed for the wire format alone (`message`): there the set
is in a descriptor pool of its own, so that it lives in one process with
pycaffe and under every protobuf from 4 to 7.

What forks add is in forks.proto, loaded when such a field is first asked for.
It serves reading prototxts alone; `unknown` and `check` go by Caffe.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fcnkit.errors import PrototxtError
from fcnkit.formats.descriptors import (
    REPEATED,
    REQUIRED,
    DeclaredField,
    Descriptors,
    message_class,
)
from fcnkit.formats.prototxt import BOM, Field
from fcnkit.formats.values import READERS, Slot, nearest, read_message, wrong

if TYPE_CHECKING:
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message import Message

_CAFFE, _FORKS = "caffe", "forks"
OTHERS = "others"
"""Whose the words of single authors are, which have no fork's name."""

# What a FillerParameter's type may say; caffe.proto has a string there, filler.hpp the list.
FILLERS = ("bilinear", "constant", "gaussian", "msra", "positive_unitball", "uniform", "xavier")


def message(message_name: str) -> "type[Message]":
    """The class of a Caffe message, for reading and writing its wire format.

    Raises KeyError for a name that Caffe does not have.
    """
    return message_class(_pool(), f"caffe.{message_name}")


def messages() -> list[str]:
    """The names of Caffe's messages, in the order of caffe.proto."""
    return _descriptors(_CAFFE).messages()


def enums() -> dict[str, int]:
    """The values of Caffe's enums that are in no message, TRAIN and TEST."""
    return _descriptors(_CAFFE).enums()


@cache
def slots(message_name: str) -> dict[str, Slot]:
    """The fields of a message of Caffe's by name, in the order of caffe.proto.

    Raises KeyError for a name that Caffe does not have.
    """
    return {field.name: _slot(field) for field in _descriptors(_CAFFE).fields(message_name)}


@cache
def numbered(message_name: str) -> dict[int, Slot]:
    """The fields of a message of Caffe's by the number that they have in binary files."""
    return {field.number: _slot(field) for field in _descriptors(_CAFFE).fields(message_name)}


def fork_of(message_name: str, field_name: str) -> str | None:
    """The fork of Caffe that has this field, such as "DeepLab" for ConvolutionParameter's hole.

    None where Caffe itself has it, and where no known fork does; "others" for
    single authors' work.  `message_name` is Caffe's or a fork's own.
    """
    if field_name not in fork_slots(message_name) or _in_caffe(message_name, field_name):
        return None
    fields = _descriptors(_FORKS).fields(message_name)
    return _owner(next(field.number for field in fields if field.name == field_name))


def fork_of_word(message_name: str, field_name: str, word: str) -> str | None:
    """The fork that has this word for an enum of Caffe's, such as "Intel" for MKL2017.

    None where no known fork does.
    """
    slot = fork_slots(message_name).get(field_name)
    return _owner(slot.enum[word]) if slot and word in slot.enum else None


def _owner(number: int) -> str:
    names = _descriptors(_FORKS).enum("Fork").items()
    return next(name for name, hundred in names if hundred == number // 100).replace("_", "-")


def fork_names() -> tuple[str, ...]:
    """The forks of Caffe whose fields are known, as `fork_of` names them."""
    return tuple(name.replace("_", "-") for name in _descriptors(_FORKS).enum("Fork"))


def fork_of_field(message_name: str, field: Field) -> str | None:
    """As `fork_of`, by the fields within where there are any: forks may share a message's name."""
    slot = fork_slots(message_name).get(field.name)
    inner = (field.fields or ()) if slot and slot.message else ()
    forks = (fork_of(slot.message, one.name) for one in inner) if slot and slot.message else ()
    return next(filter(None, forks), None) or fork_of(message_name, field.name)


def _in_caffe(message_name: str, field_name: str) -> bool:
    try:
        return field_name in slots(message_name)
    except KeyError:
        return False


# As View has a `list` of its own.
Values = list[Any]


class View:
    """A message of a prototxt, read with Caffe's types and defaults.

    Nothing is read before it is asked for; fields that nobody asks for are not
    seen (`unknown` finds those that Caffe does not know).  A message that
    Caffe has answers for the fields that forks add to it too, and a fork's own
    message is read like Caffe's.  Where the text gives a value of the wrong
    type, the read raises PrototxtError at the place.  Asking for a name that
    is in no schema is a KeyError.

    A float is given as it is written; Caffe rounds it to 32 bits.
    """

    __slots__ = ("_fields", "_slots", "message_name", "source_field")

    def __init__(self, message_name: str, field: Field | None) -> None:
        self.message_name = message_name
        self.source_field = field
        self._slots = _slots(message_name)
        self._fields = field.fields or () if field else ()

    def knows(self, name: str) -> bool:
        """Whether this message has such a field, written or not; the fields of forks apart."""
        return name in self._slots

    @property
    def names(self) -> tuple[str, ...]:
        """The fields that this message may have, those of forks last."""
        return (*self._slots, *fork_slots(self.message_name))

    def repeats(self, name: str) -> bool:
        """Whether the field may be given several times."""
        return self._slot(name).repeated

    @property
    def strange(self) -> bool:
        """Whether the text gives a field that neither Caffe nor any known fork has here."""
        return bool(self.strange_fields)

    @property
    def strange_fields(self) -> "list[Field]":
        """The fields of the text that neither Caffe nor any known fork has here."""
        found = [field for field in self._fields if field.name not in self._slots]
        known = fork_slots(self.message_name) if found else {}
        return [field for field in found if field.name not in known]

    def has(self, name: str) -> bool:
        """Whether the text gives this field."""
        return self.field(name) is not None

    def says(self, *names: str) -> bool:
        """Whether the text gives any of these fields;
        no schema is asked, so that none is loaded.
        """
        return any(field.name in names for field in self._fields)

    def get(self, name: str) -> Any:
        """The field's last value, or Caffe's default;
        an enum as its name, which may be a fork's.
        """
        slot = self._slot(name)
        field = self.field(name)
        if field is None:
            return slot.default
        if (
            slot.kind == "enum"
            and field.raw not in slot.enum
            and self._is_a_forks_word(name, field.raw)
        ):
            return field.raw
        return slot.read(field, slot)

    def list(self, name: str) -> Values:
        """Every value that the text gives for a field, in order."""
        slot = self._slot(name)
        return [slot.read(field, slot) for field in self._fields if field.name == name]

    def view(self, name: str) -> "View":
        """The last message of this name; where there is none, one that answers defaults."""
        slot = self._slot(name)
        field = self.field(name)
        return View(slot.message, read_message(field, slot) if field else None)

    def views(self, name: str) -> "Views":
        """Every message of this name, in order."""
        return [View(self._slot(name).message, field) for field in self.list(name)]

    def field(self, name: str) -> Field | None:
        """Where the text gives this field last, None where it does not."""
        self._slot(name)
        for field in reversed(self._fields):
            if field.name == name:
                return field
        return None

    def required(self, name: str) -> Field:
        """Where the text gives this field last; PrototxtError where it does not."""
        found = self.field(name)
        if found is not None:
            return found
        if self.source_field is None:
            raise PrototxtError(f'{self.message_name}: its "{name}" is not written; add one')
        return self.source_field.required(name)

    def _slot(self, name: str) -> Slot:
        slot = self._slots.get(name)
        return fork_slots(self.message_name)[name] if slot is None else slot

    def _is_a_forks_word(self, name: str, word: str) -> bool:
        slot = fork_slots(self.message_name).get(name)
        return slot is not None and word in slot.enum

    def __repr__(self) -> str:
        names = dict.fromkeys(field.name for field in self._fields)
        return f"<View {self.message_name}: {', '.join(names) or 'defaults'}>"


Views = list[View]


def unknown(message_name: str, field: Field) -> list[tuple[Field, str | None]]:
    """The fields of a message, and of those in it, that Caffe does not know.

    Each comes with the known name that is nearest to it, None when no name
    is near.
    """
    known = slots(message_name)
    found = []
    for one in field.fields or ():
        slot = known.get(one.name)
        if slot is None:
            found.append((one, nearest(one.name, tuple(known))))
        elif slot.message:
            found += unknown(slot.message, one)
    return found


def check(message_name: str, root: Field, fields: Callable[[str], dict[str, Slot]] = slots) -> None:
    """Caffe's parser would read this message; or that of `fields`, which knows others' too.

    Raises PrototxtError for the first thing that it would refuse: a field
    that it does not know, a value of the wrong type, a second value for a
    field that takes one, a required field that is not there.
    """
    if root.source.text.startswith(BOM) and root.name == "":
        raise root.source.error(
            0, "the file starts with a byte order mark (BOM), which Caffe refuses; save it without"
        )
    known = fields(message_name)
    seen: set[str] = set()
    for field in root.fields or ():
        slot = known.get(field.name)
        if slot is None:
            raise _unknown_error(message_name, field, known)
        if field.name in seen and not slot.repeated:
            raise field.error(
                f'"{field.name}" is given a second time and takes one value; remove one'
            )
        if field.listed and not slot.repeated:
            raise wrong(field, "one value", "a list")
        seen.add(field.name)
        slot.read(field, slot)
        if slot.message:
            check(slot.message, field, fields)
    for slot in known.values():
        if slot.required and slot.name not in seen:
            raise root.error(f'{message_name} lacks "{slot.name}", which Caffe requires; add it')


def _unknown_error(message_name: str, field: Field, known: dict[str, Slot]) -> PrototxtError:
    near = nearest(field.name, tuple(known))
    remedy = (
        f'did you mean "{near}"?' if near else "remove it, or use the fork of Caffe that has it"
    )
    return field.error(f'{message_name} has no field "{field.name}"; {remedy}')


# ---- the compiled schemas


@cache
def _descriptors(schema: str) -> Descriptors:
    return Descriptors(compiled(schema))


def compiled(schema: str) -> bytes:
    """The descriptor set of caffe.proto, or of forks.proto."""
    return Path(__file__).with_name(f"{schema}.desc").read_bytes()


@cache
def _pool() -> "DescriptorPool":
    from google.protobuf.descriptor_pb2 import FileDescriptorSet
    from google.protobuf.descriptor_pool import DescriptorPool

    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString(compiled(_CAFFE)).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


@cache
def fork_slots(message_name: str) -> dict[str, Slot]:
    """What forks add to a message, or all of a fork's own; empty for one that no fork touches."""
    try:
        return {field.name: _slot(field) for field in _descriptors(_FORKS).fields(message_name)}
    except KeyError:
        return {}


@cache
def _slots(message_name: str) -> dict[str, Slot]:
    """A message's fields: those of Caffe, or all of a fork's own message."""
    try:
        return slots(message_name)
    except KeyError:
        found = fork_slots(message_name)
        if not found and message_name != "Opaque":
            raise
        return found


def _slot(field: DeclaredField) -> Slot:
    values = _enum(field.type) if field.kind == "enum" else {}
    repeated = field.label == REPEATED
    return Slot(
        name=field.name,
        kind=field.kind,
        repeated=repeated,
        required=field.label == REQUIRED,
        default=None if repeated or field.kind == "message" else _default(field, values),
        message=field.type.rpartition(".")[2] if field.kind == "message" else "",
        enum=values,
        read=READERS[field.kind],
        declared=field.default is not None,
    )


def _enum(name: str) -> dict[str, int]:
    """The values of the enum of this full name, which may be Caffe's where a fork has the field."""
    for schema in (_CAFFE, _FORKS):
        package = f".{_descriptors(schema).package}."
        if name.startswith(package):
            return _descriptors(schema).enum(name.removeprefix(package))
    raise KeyError(name)


def _default(field: DeclaredField, values: dict[str, int]) -> object:
    """The value of a field that is not given, as protobuf has it."""
    written = field.default
    if field.kind == "enum":
        return written or next(iter(values))
    if field.kind in ("string", "bytes"):
        return (written or "") if field.kind == "string" else (written or "").encode()
    if field.kind == "bool":
        return written == "true"
    return float(written or 0) if field.kind in ("float", "double") else int(written or 0)
