"""The schema against real Caffe, and a prototxt's values against those that Caffe reads."""

import json
import math
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import caffe_text
import pytest

from fcnkit.errors import PrototxtError
from fcnkit.formats import prototxt, schema
from fcnkit.formats.schema import View

FORMATS = Path(schema.__file__).parent
ROOT = FORMATS.parent.parent


def root(text: str) -> prototxt.Field:
    return prototxt.parse(text, "net.prototxt").root


def view(text: str, message: str = "NetParameter") -> View:
    return View(message, root(text))


def files_of(descriptor_set: bytes) -> list:
    from google.protobuf import descriptor_pb2

    return list(descriptor_pb2.FileDescriptorSet.FromString(descriptor_set).file)


def table(file) -> dict[tuple, tuple]:
    """(message or enum, field or value) -> all that matters of it, nested names spelt out."""
    found = {}
    for enum in file.enum_type:
        found.update(((enum.name, value.name), value.number) for value in enum.value)
    for message in file.message_type:
        found[message.name, ""] = ()
        for enum in message.enum_type:
            found.update(
                ((f"{message.name}.{enum.name}", value.name), value.number) for value in enum.value
            )
        for field in message.field:
            found[message.name, field.name] = (
                field.number,
                field.type,
                field.label,
                field.type_name,
                field.default_value,
                field.options.packed,
                field.options.deprecated,
            )
    return found


# ---- laws


def test_a_message_that_is_not_there_answers_caffes_defaults():
    pooling = View("LayerParameter", None).view("pooling_param")
    assert pooling.source_field is None
    assert [pooling.get(name) for name in ("pool", "stride", "global_pooling")] == ["MAX", 1, False]
    assert pooling.get("kernel_h") == 0 and not pooling.has("kernel_h")
    assert View("ConvolutionParameter", None).list("kernel_size") == []


def test_every_field_of_every_message_can_be_asked_for():
    for message in schema.message("NetParameter").DESCRIPTOR.file.message_types_by_name:
        empty = View(message, None)
        for name, slot in schema.slots(message).items():
            assert not empty.has(name) and empty.field(name) is None and empty.list(name) == []
            assert empty.get(name) == slot.default
            if slot.kind == "message":
                assert empty.view(name).message_name == slot.message and empty.views(name) == []


def test_the_last_of_several_values_counts_and_all_are_listed():
    net = view('name: "a" name: "b" input: "x" input: ["y", "z"]')
    assert net.get("name") == "b"
    assert net.list("input") == ["x", "y", "z"]
    assert net.field("name").raw == '"b"'
    assert net.field("name").start == 10


def test_views_keep_the_order_of_the_text():
    net = view('layer { name: "a" } layers { name: "old" } layer: [{ name: "b" }, < name: "c" >]')
    assert [layer.get("name") for layer in net.views("layer")] == ["a", "b", "c"]
    assert net.view("layer").get("name") == "c"
    assert net.view("layer").source_field.line == 1


def test_fields_of_forks_are_not_in_the_way():
    layer = view('layer { ext: { a: 1 } [x.y]: 2 name: "a" permute_param { order: 0 } }').views(
        "layer"
    )[0]
    assert layer.get("name") == "a"


@pytest.mark.parametrize("method", ["has", "get", "list", "view", "views", "field"])
def test_a_name_that_caffe_does_not_have_is_our_own_defect(method):
    with pytest.raises(KeyError):
        getattr(view(""), method)("kernal_size")


@pytest.mark.parametrize("name", ["Nothing", "caffe.NetParameter", ""])
def test_a_message_that_caffe_does_not_have_is_our_own_defect(name):
    with pytest.raises(KeyError):
        schema.slots(name)
    with pytest.raises(KeyError):
        schema.message(name)


def test_message_classes_write_and_read_the_wire_format():
    blob = schema.message("BlobProto")(num=1, channels=2, data=[1.5, -2])
    blob.shape.dim.extend([1, 2])
    again = schema.message("BlobProto").FromString(blob.SerializeToString())
    assert again == blob and schema.message("BlobProto") is type(again)


def test_a_view_shows_what_it_has():
    assert repr(view('name: "x" layer {} layer {}')) == "<View NetParameter: name, layer>"
    assert repr(View("NetParameter", None)) == "<View NetParameter: defaults>"


# ---- values, one table per kind

KINDS = {
    "int32": ("NetParameter", "input_dim", "%s"),
    "uint32": ("PoolingParameter", "pad", "layer { pooling_param { %s } }"),
    "int64": ("SolverParameter", "random_seed", "%s"),
    "float": ("LayerParameter", "loss_weight", "layer { %s }"),
    "bool": ("NetParameter", "force_backward", "%s"),
    "string": ("NetParameter", "name", "%s"),
    "enum": ("NetState", "phase", "state { %s }"),
}


def read(kind: str, value: str) -> object:
    owner, name, _ = KINDS[kind]
    return view(f"{name}: {value}", owner).get(name)


TAKEN = {
    "int32": [
        ("0", 0),
        ("-0", 0),
        ("0x1F", 31),
        ("0X1f", 31),
        ("017", 15),
        ("-0x10", -16),
        ("- 5", -5),
        ("-\n# no, 7\n5", -5),
        ("2147483647", 2**31 - 1),
        ("-2147483648", -(2**31)),
    ],
    "uint32": [("4294967295", 2**32 - 1), ("037777777777", 2**32 - 1), ("0", 0)],
    "int64": [("-9223372036854775808", -(2**63)), ("9223372036854775807", 2**63 - 1)],
    "float": [
        ("1", 1.0),
        ("-1", -1.0),
        ("1.5f", 1.5),
        ("2F", 2.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("5.f", 5.0),
        ("1e-5", 1e-5),
        ("1E+5", 1e5),
        ("0.1", 0.1),
        ("inf", math.inf),
        ("-inf", -math.inf),
        ("Infinity", math.inf),
        ("- .5", -0.5),
        ("123456789012345678901", 123456789012345678901.0),
    ],
    "bool": [
        *((text, True) for text in ("true", "True", "t", "1", "0x1", "01")),
        *((text, False) for text in ("false", "False", "f", "0", "00")),
    ],
    "string": [
        ('"a"', "a"),
        ("'a'", "a"),
        ('"a" \'b\'# "c"\n "d"', "abd"),
        ('""', ""),
        ('"é"', "é"),
        (r'"\n\t\\\"\'\x41\101\?"', "\n\t\\\"'AA?"),
        (r'"\303\251"', "é"),
        ('"\udcff"', "\udcff"),
        (r'"\u00e9 \U0001F600 \ud83d\ude00"', "é \U0001f600 \U0001f600"),
        ("'say \"x\"'", 'say "x"'),
    ],
    "enum": [("TRAIN", "TRAIN"), ("0", "TRAIN"), ("0x1", "TEST"), ("01", "TEST")],
}
VALUES = [(kind, text, value) for kind, rows in TAKEN.items() for text, value in rows]


@pytest.mark.parametrize(("kind", "text", "value"), VALUES)
def test_a_value_is_read_as_caffe_reads_it(kind, text, value):
    found = read(kind, text)
    assert found == value and type(found) is type(value)


def test_not_a_number_is_a_number():
    assert math.isnan(read("float", "nan")) and math.isnan(read("float", "-NaN"))


WRONG = {
    "int32": ["1.0", "1e2", '"1"', "true", "2147483648", "-2147483649", "{}", "9" * 5000, "08"],
    "uint32": ["-1", "-0", "4294967296", "- 1"],
    "int64": ["9223372036854775808"],
    "float": ['"1"', "0x10", "01", "01.5", "inff", "true", "{}"],
    "bool": ["TRUE", "yes", "2", "-1", '"true"', "1.0", "-true", "{}", "T"],
    "string": ["a", "3", "{}", "-a"],
    "enum": ["Test", '"TEST"', "2", "-1", "TESTX", "{}", "1.0"],
}
REFUSED = [(kind, text) for kind, texts in WRONG.items() for text in texts]


@pytest.mark.parametrize(("kind", "text"), REFUSED)
def test_a_value_of_the_wrong_type_is_shown_where_it_stands(kind, text):
    with pytest.raises(PrototxtError) as caught:
        read(kind, text)
    name = KINDS[kind][1]
    column = len(name) + 3
    assert str(caught.value).startswith(f'net.prototxt:1:{column}: "{name}" takes ')
    assert str(caught.value).endswith(" " * column + " ^")


ASKED = [row[:2] for row in VALUES] + REFUSED + [("float", "nan")]


@pytest.mark.parametrize(("kind", "text"), ASKED)
def test_real_caffe_agrees_on_what_a_value_may_be(kind, text, agreement):
    assert agreement[kind, text], f"real Caffe does otherwise with {kind} {text}"


@pytest.fixture(scope="module")
def agreement(caffe) -> dict[tuple[str, str], bool]:
    """For each row of the tables, whether real Caffe takes what we take, with the same value."""
    agreed = {}
    for message, kinds in (
        ("SolverParameter", ("int64",)),
        ("NetParameter", set(KINDS) - {"int64"}),
    ):
        asked = [row for row in ASKED if row[0] in kinds]
        texts = [in_a_net(*row) for row in asked]
        encoded = [text.encode("utf-8", "surrogateescape") for text in texts]
        for row, text, answer in zip(asked, texts, caffe_text.reads(encoded, message), strict=True):
            agreed[row] = equal(message, root(text), answer)
    return agreed


def in_a_net(kind: str, value: str) -> str:
    _, name, frame = KINDS[kind]
    return frame % f"{name}: {value}"


def equal(message: str, parsed: prototxt.Field, answer: bytes | None) -> bool:
    try:
        schema.check(message, parsed)
    except PrototxtError:
        return answer is None
    if answer is None:
        return False
    theirs = schema.message(message).FromString(answer)
    return not list(differences(View(message, parsed), theirs))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            'state { phase: "TEST" }',
            'takes TRAIN or TEST, found "TEST"; did you mean TEST, without quotes?',
        ),
        (
            "layers { type: CONVOLUTON }",
            "takes one of 40 names, found CONVOLUTON; did you mean CONVOLUTION",
        ),
        (
            "input_dim: 3.0",
            '"input_dim" takes a whole number from -2147483648 to 2147483647, found 3.0',
        ),
        ('name: { x: "1" }', '"name" takes a quoted string, found a message'),
        ("layer { pooling_param { pool: avg } }", '"pool" takes MAX, AVE or STOCHASTIC, found avg'),
        ("name: a", '"name" takes a quoted string, found a'),
        ("state: 3", '"state" takes a message in { }, found 3'),
        (f'input_dim: "{"long" * 99}"', '"longlonglong'),
    ],
)
def test_what_was_expected_and_what_was_found(text, words):
    with pytest.raises(PrototxtError) as caught:
        schema.check("NetParameter", root(text))
    assert (
        words in str(caught.value).splitlines()[0] and len(str(caught.value).splitlines()[0]) < 150
    )


def test_a_message_field_with_a_scalar_is_refused_by_both_kinds_of_view():
    for ask in (
        lambda net: net.view("state"),
        lambda net: net.views("state"),
        lambda net: net.get("state"),
    ):
        with pytest.raises(PrototxtError, match="takes a message"):
            ask(view("state: 3"))


# ---- unknown fields and check


def test_unknown_fields_are_found_at_every_depth_with_the_nearest_name():
    net = root(
        "nmae: 'x'\nlayer {\n  convolution_param { kernal_size: 3 weight_filler { tpye: 'msra' } "
        "}\n"
        "  permute_param { order: 0 }\n  [a.b]: 3\n}\nlayers { layer { kernel_size: 3 } }"
    )
    found = [
        (field.name, field.line, nearest) for field, nearest in schema.unknown("NetParameter", net)
    ]
    assert found == [
        ("nmae", 1, "name"),
        ("kernal_size", 3, "kernel_size"),
        ("tpye", 3, "type"),
        ("permute_param", 4, None),
        ("[a.b]", 5, None),
        ("kernel_size", 7, "kernelsize"),
    ]


def test_unknown_sees_nothing_in_what_caffe_knows():
    assert schema.unknown("NetParameter", root('name: "x" layer { name: 3 } state: 4')) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("layer {\n  kernal_size: 3 }", ':2:3: LayerParameter has no field "kernal_size"'),
        ("nmae: 3", 'did you mean "name"?'),
        ("NAME: 3", 'did you mean "name"?'),
        ("layer { bn_param {} }", "remove it, or use the fork"),
        ("layer { convoluton_param {} }", 'did you mean "convolution_param"?'),
        ("zzzzzz: 3", "remove it, or use the fork"),
        ("[a.b]: 3", 'no field "[a.b]"'),
        ('name: "a"\nname: "b"', ':2:1: "name" is given a second time'),
        ("state {}\nstate {}", ':2:1: "state" is given a second time'),
        ('name: ["a"]', "takes one value, found a list"),
        ("layer { clip_param { min: 1 } }", 'ClipParameter lacks "max", which Caffe requires'),
        ("layer {\n clip_param { } }", ':2:2: ClipParameter lacks "min"'),
        ("\ufeffname: 'a'", ":1:1: the file starts with a byte order mark"),
    ],
)
def test_check_says_what_caffe_would_refuse(text, words):
    with pytest.raises(PrototxtError) as caught:
        schema.check("NetParameter", root(text))
    assert words in str(caught.value)


def test_check_passes_what_caffe_takes():
    schema.check(
        "NetParameter", root('name: "a" layer { name: "x" clip_param { min: -1 max: 1 } } layer {}')
    )
    schema.check(
        "SolverParameter", root("base_lr: 0.1 solver_mode: GPU stepvalue: [1, 2] random_seed: -1")
    )


# ---- the files of the schema


def test_the_compiled_schema_is_that_of_the_source(tmp_path):
    pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed; run `make setup`")
    target = tmp_path / "caffe.desc"
    subprocess.run(
        [sys.executable, ROOT / "scripts" / "make_schema.py", target], check=True, timeout=60
    )
    assert files_of(target.read_bytes()) == files_of((FORMATS / "caffe.desc").read_bytes())


def test_a_schema_that_does_not_compile_is_refused(tmp_path):
    pytest.importorskip("grpc_tools", reason="grpcio-tools is not installed; run `make setup`")
    (tmp_path / "scripts").mkdir()
    (tmp_path / "fcnkit" / "formats").mkdir(parents=True)
    script = tmp_path / "scripts" / "make_schema.py"
    script.write_bytes((ROOT / "scripts" / "make_schema.py").read_bytes())
    (tmp_path / "fcnkit" / "formats" / "caffe.proto").write_text("message {")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "caffe.proto: not compiled" in done.stderr
    assert not (tmp_path / "fcnkit" / "formats" / "caffe.desc").exists()


def program(code: str) -> str:
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_schema_imports_no_protobuf():
    code = (
        "import sys, fcnkit.formats.schema; print([name for name in sys.modules if 'google' "
        "in name])"
    )
    assert program(code).strip() == "[]"


OTHER_CAFFE = """
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
other = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
message = other.message_type.add(name="NetParameter")
field = message.field.add(name="another", number=1, type=9, label=1)
def add():
    descriptor_pool.Default().AddSerializedFile(other.SerializeToString())
    return descriptor_pool.Default().FindMessageTypeByName("caffe.NetParameter")
"""
OURS = """
from fcnkit.formats import schema
ours = schema.message("NetParameter")(name="x")
assert schema.View("NetParameter", None).get("force_backward") is False
"""


@pytest.mark.parametrize("order", ["theirs = add()" + OURS, OURS + "theirs = add()"])
def test_another_caffe_proto_may_be_in_the_default_pool(order):
    check = (
        "\nprint(*[field.name for field in theirs.fields], ours.name, "
        "len(schema.slots('NetParameter')))"
    )
    assert program(OTHER_CAFFE + order + check).split() == ["another", "x", "9"]


# ---- real Caffe

ADDED = {
    ("BlobProto", name) for name in ("raw_data_type", "raw_diff_type", "raw_data", "raw_diff")
} | {("Type", name) for name in ("DOUBLE", "FLOAT", "FLOAT16", "INT", "UINT")}


def test_the_schema_is_real_caffes_field_by_field(caffe):
    from google.protobuf import descriptor_pb2

    code = "import caffe.proto.caffe_pb2 as caffe; print(caffe.DESCRIPTOR.serialized_pb.hex())"
    theirs = table(
        descriptor_pb2.FileDescriptorProto.FromString(bytes.fromhex(caffe_text.python(code)))
    )
    ours = table(files_of((FORMATS / "caffe.desc").read_bytes())[0])
    assert len(theirs) > 590
    assert {key: ours.get(key) for key in theirs} == theirs
    assert set(ours) - set(theirs) == ADDED


def test_defaults_are_the_32_bit_numbers_that_caffe_has(caffe):
    code = """
import json, caffe.proto.caffe_pb2 as caffe
print(json.dumps({message.name: {
    field.name: field.enum_type.values_by_number[field.default_value].name if field.enum_type
    else field.default_value
    for field in message.fields if field.label != 3 and field.cpp_type != 10 and field.type != 12
} for message in caffe.DESCRIPTOR.message_types_by_name.values()}))
"""
    for message, defaults in json.loads(caffe_text.python(code)).items():
        slots = schema.slots(message)
        for name, default in defaults.items():
            same = single if slots[name].kind == "float" else lambda value: value
            assert same(slots[name].default) == same(default), (message, name)


def single(value: float) -> bytes:
    try:
        return struct.pack("f", value)
    except OverflowError:
        return struct.pack("f", math.copysign(math.inf, value))


def differences(ours: View, theirs, place: str = "") -> Iterator[str]:
    """Where a view and a message that Caffe has read do not say the same."""
    for name, slot in schema.slots(ours.message_name).items():
        if not slot.repeated and ours.has(name) != theirs.HasField(name):
            yield f"{place}.{name} is given in one only"
        elif slot.message:
            values = (
                getattr(theirs, name) if slot.repeated else [getattr(theirs, name)] * ours.has(name)
            )
            views = ours.views(name)
            if len(views) != len(values):
                yield f"{place}.{name}: {len(views)}, {len(values)}"
            for one, other in zip(views, values, strict=False):
                yield from differences(one, other, f"{place}.{name}")
        else:
            mine = ours.list(name) if slot.repeated else [ours.get(name)]
            values = list(getattr(theirs, name)) if slot.repeated else [getattr(theirs, name)]
            if [plain(value, slot) for value in mine] != [plain(value, slot) for value in values]:
                yield f"{place}.{name}: {mine}, {values}"


def plain(value: object, slot: schema.Slot) -> object:
    if slot.kind == "float":
        return "nan" if math.isnan(value) else single(value)
    if slot.kind == "enum":
        return slot.enum.get(value, value)
    # A string that is not UTF-8 comes as bytes from some versions of protobuf.
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value


@pytest.fixture(scope="module")
def corpus(shared) -> list[prototxt.Prototxt]:
    paths = sorted(path for path in shared.rglob("*prototxt*") if path.is_file())
    return [prototxt.read(path) for path in paths]


@pytest.mark.parametrize(("message", "least"), [("NetParameter", 250), ("SolverParameter", 40)])
def test_every_real_prototxt_has_the_values_that_caffe_reads(corpus, caffe, message, least):
    texts = [file.text.encode("utf-8", "surrogateescape") for file in corpus]
    answers = caffe_text.reads(texts, message)
    pairs = zip(corpus, answers, strict=True)
    assert [file.path for file, answer in pairs if not equal(message, file.root, answer)] == []
    assert sum(answer is not None for answer in answers) >= least


# ---- hostile


def test_check_and_unknown_do_not_go_deeper_than_the_schema():
    text = "a {" * 5000 + "}" * 5000
    assert [name for _, name in schema.unknown("NetParameter", root(text))] == [None]
    with pytest.raises(PrototxtError, match='no field "a"'):
        schema.check("NetParameter", root("layer { " + text + "}"))


def test_asking_reads_only_what_is_asked_for(monkeypatch):
    count = 0
    original = prototxt.Field.raw.fget

    def counted(field):
        nonlocal count
        count += 1
        return original(field)

    net = view('name: "x" input_dim: 1 ' + "layer { loss_weight: oops }" * 100)
    monkeypatch.setattr(prototxt.Field, "raw", property(counted))
    assert net.get("name") == "x"
    assert len(net.views("layer")) == 100
    assert 0 < count < 5
