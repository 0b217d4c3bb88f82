"""The small edits of rewrites: each makes what it says, and the text around it stays."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sketches import conv, data, layer, net

from fcnkit.errors import NetError
from fcnkit.formats.prototxt import Style, Word, parse, render
from fcnkit.nets.graph import build
from fcnkit.rewrites import changes

NEW = [("kernel_size", 6)]


def edited(text: str, make) -> str:
    """The text after the edit that `make` gives for its first field."""
    before = parse(text)
    made = make(before.root.fields[0])
    return before.edit(made if isinstance(made, list) else [made]).text


def plain(message):
    """A message as lists of names and values."""
    return [
        (field.name, plain(field) if field.fields is not None else field.raw)
        for field in message.fields
    ]


# ---- laws

SPACES = st.sampled_from([" ", "  ", "\t", "\n", "\n  ", "\r\n\t", " # c\n", "\n# c\n  "])
VALUES = st.sampled_from(
    ["1", "'s'", '"s"', "WORD", "[1, 2]", "[ 7 ]", "{ a: 1 }", "< a: 1 >", "{}"]
)
ENDS = st.sampled_from(["", ",", ";", " ,"])
FIELDS = st.lists(st.tuples(SPACES, VALUES, ENDS), min_size=1, max_size=4)


def written(fields) -> str:
    return "".join(f"{space}f: {value}{end}" for space, value, end in fields)


@given(FIELDS, SPACES)
@settings(max_examples=200, deadline=None)
def test_a_new_field_inside_is_the_last_and_nothing_else_changes(fields, tail):
    before = parse(f"m {{{written(fields)}{tail}}}\nrest: 1")
    message = before.root.fields[0]
    after = before.edit([changes.inside(message, [("new", 5)], before.style)])
    assert plain(after.root.fields[0]) == [*plain(message), ("new", "5")]
    assert plain(after.root)[1:] == plain(before.root)[1:]
    kept = iter(after.text)
    assert all(character in kept for character in before.text)


@given(FIELDS, st.data())
@settings(max_examples=200, deadline=None)
def test_a_new_field_beside_one_follows_it(fields, drawn):
    before = parse(f"m {{{written(fields)}\n}}")
    message = before.root.fields[0]
    at = drawn.draw(st.integers(0, len(message.fields) - 1))
    if message.fields[at].listed and at + 1 < len(message.fields) and message.fields[at + 1].listed:
        return  # not the last of its list
    after = plain(
        before.edit([changes.beside(message.fields[at], [("new", 5)], before.style)]).root.fields[0]
    )
    assert after == [*plain(message)[: at + 1], ("new", "5"), *plain(message)[at + 1 :]]


# ---- tables


@pytest.mark.parametrize(
    ("text", "value", "changed"),
    [
        ("a: 1 # c", 2, "a: 2 # c"),
        ("a: 'x'", "y", "a: 'y'"),
        ('a: "x"', "y'z", 'a: "y\\\'z"'),
        ("a: WORD", Word("OTHER"), "a: OTHER"),
        ("a: [1]", 2, "a: [2]"),
        ("a:1", True, "a:true"),
    ],
)
def test_a_value_is_set_in_its_own_quotes(text, value, changed):
    assert edited(text, lambda field: changes.set_value(field, value)) == changed


@pytest.mark.parametrize(
    ("text", "changed"), [("abc { x: 1 }", "n { x: 1 }"), ("abc : 1", "n : 1")]
)
def test_a_field_is_renamed(text, changed):
    assert edited(text, lambda field: changes.set_name(field, "n")) == changed


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("m {\n  num_output: 5\n}", "m {\n  num_output: 5\n  kernel_size: 6\n}"),
        ("m {\n\tnum_output: 5 # five\n}", "m {\n\tnum_output: 5 # five\n\tkernel_size: 6\n}"),
        ("m { num_output: 5 }", "m { num_output: 5 kernel_size: 6 }"),
        ("m { num_output: 5, }", "m { num_output: 5, kernel_size: 6, }"),
        ("m { num_output: 5; }", "m { num_output: 5 kernel_size: 6; }"),
        ("m {num_output:5}", "m {num_output:5 kernel_size: 6}"),
        ("m {\r\n  num_output: 5\r\n}", "m {\r\n  num_output: 5\r\n  kernel_size: 6\r\n}"),
        ("m {\n  num_output: 5 }", "m {\n  num_output: 5 kernel_size: 6 }"),
        ("m { num_output: [5, 6] }", "m { num_output: [5, 6] kernel_size: 6 }"),
        ("m {}", "m { kernel_size: 6 }"),
    ],
)
def test_a_new_field_is_laid_out_as_its_neighbour(text, changed):
    style = parse(text).style
    assert edited(text, lambda field: changes.inside(field, NEW, style)) == changed


CONV = "num_output: 4 pad: 1 kernel_size: 3"


@pytest.mark.parametrize(
    ("params", "fields", "replacing", "changed"),
    [
        (CONV, [("pad", 9)], (), "num_output: 4 pad: 9 kernel_size: 3"),
        (
            "num_output: 4 pad_h: 1 pad_w: 2",
            [("pad", 9)],
            ("pad_h", "pad_w"),
            "num_output: 4 pad: 9 ",
        ),
        ("num_output: 4", [("pad", 9)], ("pad_h", "pad_w"), "num_output: 4 pad: 9"),
        ("pad: 1 pad: 2 num_output: 4", [("pad", 9)], (), "pad: 9  num_output: 4"),
        (
            CONV,
            [("weight_filler", [("type", "msra")])],
            (),
            CONV + ' weight_filler { type: "msra" }',
        ),
    ],
)
def test_parameters_are_set(params, fields, replacing, changed):
    text = net(
        data(1, 1, 9, 9),
        layer("c", "Convolution", "data", more=f"convolution_param {{ {params} }}"),
    )
    found = build(text).layer("c")
    after = text.edit(
        changes.set_param(found, "convolution_param", fields, text.style, replacing=replacing)
    )
    assert f"convolution_param {{ {changed.strip()}" in after.text.replace("  }", " }")


def test_a_message_that_is_missing_is_added():
    text = net(data(1, 1, 9, 9), layer("c", "Convolution", "data"))
    after = text.edit(
        changes.set_param(build(text).layer("c"), "convolution_param", [("pad", 9)], text.style)
    )
    assert after.text.endswith('  top: "c"\n  convolution_param {\n    pad: 9\n  }\n}\n')


@pytest.mark.parametrize("end", ["\n", "", "\n\n", " # c", "\r\n"])
def test_layers_are_appended_behind_a_layer(end):
    text = net(conv("a", "data", 1, 1).rstrip("\n") + end)
    field = text.root.fields[-1]
    after = text.edit([changes.appended(text, field, [[("name", "x")], [("name", "y")]])])
    assert [each.last("name").string for each in after.root.fields] == ["a", "x", "y"]
    assert after.text.startswith(text.text) and after.text.endswith("\n")


LAYERS = [[("name", "x"), ("type", "ReLU")], [("name", "y")]]
A_LINE = 'layer { name: "a" } layer { name: "b" }\n'
# Each layout of two layers a and b.
LAYOUTS = {
    "lines": 'layer {\n  name: "a"\n}\nlayer {\n  name: "b"\n}\n',
    "blank lines": 'layer {\n  name: "a"\n}\n\nlayer {\n  name: "b"\n}\n',
    "a layer a line": 'layer { name: "a" } # a\nlayer { name: "b" } # b\n',
    "one line": A_LINE,
    "one line, separated": A_LINE.replace("} layer", "}; layer"),
    "one line, no end": A_LINE.rstrip(),
    "braces meet": 'layer {\n  name: "a" } layer {\n  name: "b" }',
    "list": 'layer [\n  { name: "a" },\n  { name: "b" }\n]\n',
    "list with a colon": 'layer: [\n\t{ name: "a" }, # ]\n\t{ name: "b" }\n]',
    "list on a line": 'layer [{ name: "a" }, { name: "b" }]',
    "list, commas first": 'layer [\n  { name: "a" }\n  , { name: "b" }\n]',
    "two lists": 'layer [{ name: "a" }] layer [{ name: "b" }]',
    "list of one, and more": 'layer [ { name: "a" } ] layer { name: "b" }',
    "angles": 'layer < name: "a" > layer < name: "b" >\n',
    "windows": 'layer {\r\n\tname: "a"\r\n}\r\nlayer {\r\n\tname: "b"\r\n}\r\n',
    "mark": '\ufefflayer { name: "a" }\nlayer { name: "b" }',
}


def names(text):
    return [field.last("name").string for field in text.root.all("layer")]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("make", "at", "order"),
    [
        (changes.appended, 0, "axyb"),
        (changes.appended, 1, "abxy"),
        (changes.before, 0, "xyab"),
        (changes.before, 1, "axyb"),
        (changes.instead, 0, "xyb"),
        (changes.instead, 1, "axy"),
    ],
)
def test_layers_stand_where_they_should_in_every_layout(layout, make, at, order):
    text = parse(LAYOUTS[layout])
    after = text.edit([make(text, text.root.fields[at], LAYERS)])
    assert "".join(names(after)) == order
    kept = iter(after.text)
    if make is not changes.instead:
        assert all(character in kept for character in text.text if character not in " \t")
    if "\r" in text.text:
        assert after.text.count("\n") == after.text.count("\r\n")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("gone", [(0,), (1,), (0, 1)])
def test_layers_are_removed_in_every_layout(layout, gone):
    text = parse(LAYOUTS[layout])
    after = text.edit([changes.removed(text.root.fields[at]) for at in gone])
    assert names(after) == [name for at, name in enumerate("ab") if at not in gone]


@pytest.mark.parametrize(
    ("make", "changed"),
    [
        (changes.appended, 'layer [\n  { name: "a" },\n  {\n    name: "n"\n  }\n]\n'),
        (changes.before, 'layer [\n  {\n    name: "n"\n  },\n  { name: "a" }\n]\n'),
        (changes.instead, 'layer [\n  {\n    name: "n"\n  }\n]\n'),
    ],
)
def test_an_element_is_laid_out_as_its_neighbour(make, changed):
    text = parse('layer [\n  { name: "a" }\n]\n')
    assert text.edit([make(text, text.root.fields[0], [[("name", "n")]])]).text == changed


@pytest.mark.parametrize("make", [changes.appended, changes.before, changes.instead])
def test_a_net_of_an_older_format_is_to_be_upgraded_first(make):
    text = parse('layers { name: "a" type: RELU }', "net.prototxt")
    with pytest.raises(NetError, match=r"net.prototxt:1: its `layers` .* `fcnkit upgrade`"):
        make(text, text.root.fields[0], LAYERS)


@pytest.mark.parametrize(
    ("inputs", "left"),
    [
        ('layer { name: "data" type: "Input" top: "data" }\n', ""),
        ('input: "data"\ninput_dim: 1 input_dim: 1\ninput_dim: 9 input_dim: 9\n', ""),
        ('input: ["data"] input_dim: [1, 1, 9, 9]\n', ""),
        ('name: "n"\ninput: ["data"]\ninput_shape [ { dim: [1, 1] } ]\n', 'name: "n"\n'),
    ],
)
def test_layers_come_in_the_place_of_the_input(inputs, left):
    text = parse(inputs + 'layer { name: "b" type: "ReLU" bottom: "data" top: "b" }')
    field = build(text).layers[0].field
    after = text.edit(changes.instead_of_input(text, field, [[("name", "x")], [("name", "y")]]))
    assert names(after) == ["x", "y", "b"]
    assert "input" not in after.text and "data" in after.text and after.text.startswith(left)


def test_a_blob_is_renamed_where_it_is_read_and_written():
    text = net(
        data(1, 1, 9, 9),
        conv("a", "data", 1, 1),
        layer("r", "ReLU", "a", top="a"),
        layer("b", "Power", "a"),
    )
    graph = build(text)
    after = text.edit(changes.renamed_blob(graph.layers, "a", "z"))
    assert after.text.count('"a"') == 1 and after.text.count('"z"') == 4


def test_what_is_removed_takes_its_line_along():
    assert edited("a: 1 # c\nb: 2\n", changes.removed) == "b: 2\n"
    assert edited("a: 1, b: 2\n", changes.removed).strip() == "b: 2"


def test_one_line_is_what_render_writes_on_many():
    fields = [("a", [("b", [("c", "x"), ("d", Word("W"))]), ("e", True)])]
    one = changes._inline(fields, Style())
    assert plain(parse(one).root) == plain(parse(render(fields, Style())).root)
