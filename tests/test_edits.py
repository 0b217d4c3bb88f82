"""Edits: laws of splice, what conflicts, and the order of insertions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fcnkit.edits import Edit, arrange, merge, pieces, splice
from fcnkit.errors import EditConflict, FcnkitError


@st.composite
def edited(draw) -> tuple[str, list[Edit]]:
    """A text and edits that do not overlap, in any order."""
    text = draw(st.text(max_size=30))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=10)))
    spans = zip(cuts[::2], cuts[1::2], strict=False)
    edits = [Edit(start, stop, draw(st.text(max_size=5))) for start, stop in spans]
    unique = {edit.start: edit for edit in edits if edit.start < edit.stop}
    return text, draw(st.permutations(list(unique.values())))


# ---- laws


@given(st.text() | st.binary())
def test_no_edits_no_change(source):
    assert splice(source, ()) == source
    assert list(pieces(source, ())) == ([source] if source else [])


@given(edited())
def test_splice_is_what_slicing_from_the_end_gives(case):
    text, edits = case
    expected = text
    for edit in sorted(edits, reverse=True):
        expected = expected[: edit.start] + edit.new + expected[edit.stop :]
    assert splice(text, edits) == expected == "".join(pieces(text, edits))
    assert splice(text, [*edits, *edits]) == expected


@given(edited())
def test_bytes_are_edited_as_text_is(case):
    text, edits = case
    wide = [Edit(4 * edit.start, 4 * edit.stop, edit.new.encode("utf-32-le")) for edit in edits]
    assert splice(text.encode("utf-32-le"), wide).decode("utf-32-le") == splice(text, edits)


@given(edited())
def test_an_edit_can_be_taken_back(case):
    text, edits = case
    back, shift = [], 0
    for edit in arrange(edits):
        start = edit.start + shift
        back.append(Edit(start, start + len(edit.new), text[edit.start : edit.stop]))
        shift += len(edit.new) - (edit.stop - edit.start)
    new = splice(text, edits)
    for edit in reversed(back):
        new = splice(new, [edit])
    assert new == text


@given(edited())
def test_arranging_again_changes_nothing(case):
    _, edits = case
    once = arrange(edits)
    assert arrange(once) == once
    assert list(once) == sorted(once, key=lambda edit: edit[:2])


# ---- tables


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([Edit(0, 0, "x")], "xabcdef"),
        ([Edit(6, 6, "x")], "abcdefx"),
        ([Edit(0, 6, "")], ""),
        ([Edit(0, 6, "x")], "x"),
        ([Edit(2, 4, "")], "abef"),
        ([Edit(4, 5, "E"), Edit(1, 2, "B")], "aBcdEf"),
        ([Edit(1, 2, "B"), Edit(2, 3, "C")], "aBCdef"),
        ([Edit(2, 2, "1"), Edit(2, 2, "2"), Edit(2, 2, "3")], "ab123cdef"),
        ([Edit(2, 2, "2"), Edit(2, 2, "1")], "ab21cdef"),
        ([Edit(2, 3, "C"), Edit(2, 2, "1")], "ab1Cdef"),
        ([Edit(1, 2, "B"), Edit(2, 2, "1")], "aB1cdef"),
        ([Edit(2, 3, "C", "one"), Edit(2, 3, "C", "two")], "abCdef"),
        ([Edit(2, 2, "1", "one"), Edit(2, 2, "1", "two")], "ab1cdef"),
        ([Edit(3, 3, "")], "abcdef"),
    ],
)
def test_where_edits_fall(edits, expected):
    assert splice("abcdef", edits) == expected


def test_what_stays_is_handed_on_in_slices_that_copy_nothing():
    source = memoryview(bytes(1000))
    parts = list(pieces(source, [Edit(10, 20, b"new")]))
    assert [bytes(part) for part in parts] == [bytes(10), b"new", bytes(980)]
    assert parts[0].obj is parts[2].obj is source.obj


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Edit(1, 3, "x"), Edit(2, 4, "y")),
        (Edit(1, 3, "x"), Edit(1, 3, "y")),
        (Edit(0, 6, ""), Edit(2, 3, "y")),
        (Edit(0, 6, ""), Edit(2, 2, "y")),
        (Edit(1, 3, "x"), Edit(1, 2, "x")),
    ],
)
def test_edits_that_disagree_are_refused_in_either_order(one, other):
    for edits in ([one, other], [other, one]):
        with pytest.raises(EditConflict):
            splice("abcdef", edits)


def test_a_conflict_names_the_steps_and_the_texts():
    with pytest.raises(EditConflict) as caught:
        arrange(
            [
                Edit(5, 9, "kernel_size: 7", "convolutionalize fc6"),
                Edit(5, 9, "x" * 99, "rename fc6"),
            ]
        )
    said = str(caught.value)
    assert "convolutionalize fc6 puts 'kernel_size: 7'" in said and "rename fc6 puts 'xxx" in said
    assert said.startswith("characters 5 to 9: ") and len(said) < 250
    assert isinstance(caught.value, FcnkitError) and isinstance(caught.value, ValueError)


def test_a_conflict_of_nameless_edits_is_told_too():
    with pytest.raises(EditConflict, match="one edit puts b'a' where another puts b'b'"):
        arrange([Edit(0, 2, b"a"), Edit(1, 2, b"b")])


# ---- the union over states


def test_what_several_states_ask_for_is_done_once():
    train = [Edit(0, 1, "A", "one"), Edit(3, 3, "x", "two")]
    test = [Edit(3, 3, "x", "two"), Edit(5, 6, "F", "three")]
    merged = merge([("TRAIN", train), ("TEST", test)])
    assert [edit[:3] for edit in merged] == [(0, 1, "A"), (3, 3, "x"), (5, 6, "F")]
    assert [edit.why for edit in merged] == ["one (TRAIN)", "two (TRAIN)", "three (TEST)"]
    assert splice("abcdef", merged) == "AbcxdeF"


def test_several_insertions_at_one_place_are_kept_in_order():
    both = [Edit(2, 2, "1"), Edit(2, 2, "2")]
    assert splice("ab", merge([("TRAIN", both), ("TEST", both)])) == "ab12"


def test_one_state_merges_to_its_own_edits():
    assert merge([("TEST", [Edit(1, 2, "x", "why")])]) == (Edit(1, 2, "x", "why (TEST)"),)
    assert merge([]) == merge([("TEST", [])]) == ()


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ([Edit(2, 2, "x")], [Edit(2, 2, "y")]),
        ([Edit(2, 2, "x"), Edit(2, 2, "y")], [Edit(2, 2, "x")]),
        ([Edit(2, 2, "x"), Edit(2, 2, "y")], [Edit(2, 2, "y"), Edit(2, 2, "x")]),
        ([Edit(1, 3, "x", "step")], [Edit(1, 3, "y", "step")]),
        ([Edit(1, 3, "x", "step")], [Edit(0, 2, "", "step")]),
    ],
)
def test_states_that_disagree_are_both_named(train, test):
    with pytest.raises(EditConflict) as caught:
        merge([("TRAIN", train), ("TEST", test)])
    assert "TRAIN" in str(caught.value) and "TEST" in str(caught.value)


def test_insertions_that_differ_in_length_are_told_what_they_are():
    states = [("TRAIN", [Edit(2, 2, "x"), Edit(2, 2, "y")]), ("TEST", [Edit(2, 2, "x")])]
    with pytest.raises(
        EditConflict, match="2: state TRAIN inserts 'xy' and state TEST inserts 'x';"
    ):
        merge(states)


def test_what_one_state_asks_for_twice_is_no_disagreement():
    twice = [Edit(2, 2, "x", "one"), Edit(2, 2, "x", "two")]
    assert splice("ab", merge([("TRAIN", twice), ("TEST", twice[:1])])) == "abx"
