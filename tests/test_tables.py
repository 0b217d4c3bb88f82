"""Text tables: every cell under its name, nothing lost by folding."""

import pytest

from fcnkit.tables import Done, aligned, columns, fields, fold, folded, grouped


def test_columns_are_as_wide_as_their_widest_cell():
    assert columns([("a", "1,000", "x"), ("bcd", "7", "")], left=(0, 2)) == [
        "a    1,000  x",
        "bcd      7",
    ]


def test_no_rows():
    assert columns([]) == fields([]) == [] and folded([]) == ""
    assert aligned(("a", "b"), [], ()) == "a  b\n"


def test_words_are_flush_left_and_numbers_flush_right():
    rows = [{"n": "12", "name": "x", "other": "left out"}]
    assert aligned(("n", "name"), rows, ("name",)) == " n  name\n12  x\n"


def test_a_field_without_a_value_has_no_blanks_at_its_end():
    assert fields([("size", "3"), ("licence", "")], indent="  ") == ["  size     3", "  licence"]


TEXTS = ("one two three four five six seven", "because")


@pytest.mark.parametrize("width", (10, 30, 80))
def test_folding_loses_no_word_and_keeps_to_the_width(width):
    text = folded([(("7", "conv"), TEXTS), (("12", "a"), TEXTS)], width=width, right=(0,))
    assert text.split() == [
        "7",
        "conv",
        *" ".join(TEXTS).split(),
        "12",
        "a",
        *" ".join(TEXTS).split(),
    ]
    assert max(map(len, text.splitlines())) <= max(width, len("12  conv  ") + 20)
    assert text.startswith(" 7  conv  one") and "\n12  a     one" in text


def test_long_lines_are_folded_under_their_indent_and_commands_stay_whole():
    text = "short\n  net: a fact that is long; try `fcnkit surgery NET --do bvlc`, or not at all\n"
    assert fold(text, 40) == (
        "short\n  net: a fact that is long; try\n    `fcnkit surgery NET --do bvlc`, or\n"
        "    not at all\n"
    )
    assert fold(text, 200) == text and fold("", 40) == ""


def test_a_line_that_a_caret_points_into_is_not_folded():
    line = "  layer { name: and much more than forty columns of it }"
    text = f"net.prototxt:1:3: found no }}\n{line}\n  ^"
    assert fold(text, 40) == text


def test_a_cell_that_is_too_long_stands_alone():
    text = folded([(("long name",), ("text",)), (("b",), ("text",))], most=3)
    assert text == "long name\n     text\nb    text\n"


def removed(name, of, line="7"):
    return Done(line, name, "remove", "Scale", f'it is part of "{of}"')


def test_few_equal_steps_stand_each_in_its_place():
    steps = [removed("a", "x"), Done("+", "b", "insert", "Crop", "fits"), removed("c", "y", "9")]
    assert list(grouped(steps, least=3)) == [
        (("7", "a"), ("remove: Scale", 'it is part of "x"')),
        (("+", "b"), ("insert: Crop", "fits")),
        (("9", "c"), ("remove: Scale", 'it is part of "y"')),
    ]


def test_many_equal_steps_are_one_row_where_the_first_stands():
    steps = [removed(name, name.upper()) for name in "abcdef"]
    steps[1:1] = [Done("+", "other", "insert", "Crop", "fits")]
    first, other = grouped(steps, least=3)
    assert first == (
        ("", "6 layers"),
        ("remove: Scale", 'it is part of "..."', "a, b, c, d and 2 more"),
    )
    assert other == (("+", "other"), ("insert: Crop", "fits"))
    same = [removed(name, "x") for name in "abc"]
    assert list(grouped(same, least=3)) == [
        (("", "3 layers"), ("remove: Scale", 'it is part of "x"', "a, b, c"))
    ]


def test_the_types_of_other_layers_count_and_their_names_do_not():
    steps = [Done("1", name, "change", f"takes {name}_bn (BatchNorm)", "") for name in "ab"]
    ((_, texts),) = grouped(steps, least=2)
    assert texts == ("change: takes BatchNorm", "", "a, b")


def test_all_layers_that_were_passed_over_are_named():
    steps = [Done("1", name, "skip", "InnerProduct", "no size") for name in "abcdefgh"]
    ((_, texts),) = grouped(steps, least=8)
    assert texts[-1] == "a, b, c, d, e, f, g, h"
