"""Compiled schemas, read without protobuf, against protobuf's own reading of them."""

import pytest
from google.protobuf import descriptor_pb2

from fcnkit.formats import schema
from fcnkit.formats.descriptors import KINDS, DeclaredField, Descriptors


def compiled(name: str) -> bytes:
    return schema.compiled(name)


@pytest.mark.parametrize("name", ["caffe", "forks"])
def test_every_message_and_enum_is_as_protobuf_reads_it(name):
    (file,) = descriptor_pb2.FileDescriptorSet.FromString(compiled(name)).file
    ours = Descriptors(compiled(name))
    assert ours.package == file.package and len(file.message_type) > 30
    enums = {enum.name: enum for enum in file.enum_type}
    for message in file.message_type:
        enums |= {f"{message.name}.{enum.name}": enum for enum in message.enum_type}
        assert list(ours.fields(message.name)) == [
            DeclaredField(
                field.name,
                field.number,
                KINDS[field.type],
                field.label,
                field.type_name,
                field.default_value if field.HasField("default_value") else None,
            )
            for field in message.field
        ]
    assert len(enums) > 1
    for full, enum in enums.items():
        assert ours.enum(full) == {value.name: value.number for value in enum.value}


def test_numbers_of_kinds_are_protobufs():
    field = descriptor_pb2.FieldDescriptorProto
    assert {number: f"TYPE_{kind.upper()}" for number, kind in KINDS.items()}.items() <= {
        number: kind for kind, number in field.Type.items()
    }.items()


def test_names_that_are_not_there():
    ours = Descriptors(compiled("caffe"))
    for ask, name in ((ours.fields, "Nothing"), (ours.enum, "Nothing"), (ours.enum, "Datum.Phase")):
        with pytest.raises(KeyError):
            ask(name)
