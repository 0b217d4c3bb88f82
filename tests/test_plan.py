"""Plans: what they show, how they compose;
the moves of two are the moves of one after the other.
"""

import json

import numpy as np
import pytest
from sketches import conv, data, fc, net, template, weights

import fcnkit as fk
from fcnkit.nets.layers.traits import Affine
from fcnkit.plan import Move, Plan, Step, compose
from fcnkit.rewrites.rescore import rescore

TEXT = net(
    data(1, 3, 8, 8),
    conv("c", "data", 4, 3),
    fc("a", "c", 5, "transpose: true"),
    fc("b", "a", 6, "bias_term: false"),
)


ROWS = (((2, 1),), (), ((0, 0.5), (3, 0.25)))
BACK = ((), (), (), ((2, 1),), ((1, 2.0),), ((0, 1),))
LINK = (("new", Affine(summand=0)),)
FOLD = (
    Move("a", 0, (5, 4, 6, 6), "a", "fold", (LINK, 0, 1)),
    Move("a", 1, (5,), "a", "fold bias", (LINK,)),
)


def stored(found):
    return {name: [blob.array() for blob in blobs] for name, blobs in found.items() if blobs}


# ---- laws


def raw(*moves):
    """A plan for the weights alone."""
    return lambda text: Plan(text, text, moves=moves)


def twice(rewrite, text, *moves):
    return rewrite(text).then(
        raw(*moves or [Move("b", 0, (6, 5), "b", "mix", ((3, 5), ((0, BACK),)))])
    )


@pytest.mark.parametrize(
    ("rename", "second"),
    [
        (None, fk.convolutionalize),
        (None, lambda text: rescore(text, 3, head="b")),
        ("{name}x", lambda text: rescore(text, 3, head="bx")),
        ({"a": "b", "b": "a"}, lambda text: rescore(text, 3, head="a")),
        ({"a": "b", "b": "a"}, raw(Move("a", 0, (), how="drop"))),
        (None, raw(Move("a", 0, (5, 144), "a"), Move("a", 1, (5,), "a"))),
        ("{name}x", raw(Move("y", 0, (6, 5), "bx"))),
        (None, raw(Move("b", 0, (), how="drop"))),
        (None, raw()),
        (None, raw(Move("b", 0, (3, 5, 1, 1), "b", "mix", ((6, 5, 1, 1), ((0, ROWS),))))),
        ({"a": "b", "b": "a"}, raw(Move("a", 0, (3, 5), "a", "mix", ((6, 5), ((0, ROWS),))))),
        ("{name}x", raw(Move("y", 0, (6, 10, 1, 1), "bx", "dense", (2,)))),
        (
            None,
            raw(
                Move(
                    "a",
                    0,
                    (144, 5),
                    "a",
                    "mix",
                    ((144, 5), ()),
                ),
                Move("a", 1, (5,), "a"),
            ),
        ),
        (None, lambda text: twice(raw(Move("new", 0, (5,), how="zero")), text, *FOLD)),
        (
            None,
            lambda text: twice(raw(Move("b", 0, (3, 5), "b", "mix", ((6, 5), ((0, ROWS),)))), text),
        ),
        (
            None,
            lambda text: twice(raw(Move("bb", 0, (6, 5), "b")), text, Move("c", 0, (), how="drop")),
        ),
    ],
)
def test_one_transplant_of_both_is_two_transplants(rename, second, tmp_path):
    first, old = (
        fk.convolutionalize(TEXT, rename=rename),
        weights(TEXT, tmp_path / "old.caffemodel"),
    )
    fk.transplant(first, old).save(tmp_path / "middle.caffemodel")
    fk.transplant(second(first.net), fk.weights(tmp_path / "middle.caffemodel")).save(
        tmp_path / "two.caffemodel"
    )
    fk.transplant(first.then(second), old).save(tmp_path / "one.caffemodel")
    one, two = (stored(fk.weights(tmp_path / f"{name}.caffemodel")) for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name in one:
        assert [each.shape for each in one[name]] == [each.shape for each in two[name]], name
        assert all(np.array_equal(*pair) for pair in zip(one[name], two[name], strict=True)), name


def test_nothing_after_a_plan_is_the_plan():
    plan = fk.convolutionalize(TEXT)
    assert plan.then(lambda text: Plan(text, text)) == plan


def test_a_plan_after_nothing_is_the_plan():
    plan = Plan(TEXT, TEXT).then(fk.convolutionalize)
    assert (plan.steps, plan.moves, plan.net.text) == (
        fk.convolutionalize(TEXT).steps,
        fk.convolutionalize(TEXT).moves,
        fk.convolutionalize(TEXT).net.text,
    )


def test_lines_are_those_of_the_first_net():
    plan = fk.fcn(template("alexnet"), classes=2, stride=32, pad=100)
    lines = template("alexnet").text.splitlines()
    for step in plan.steps:
        if step.line:
            assert f'name: "{step.layer}"' in lines[step.line]
        else:
            assert step.verb == "insert" or step.layer == "score_fr"


# ---- tables


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ([Move("n", 0, (2,), "o")], [Move("m", 0, (1, 2), "n")], [Move("m", 0, (1, 2), "o")]),
        (
            [Move("n", 0, (2,), "o", "transpose")],
            [Move("n", 0, (1, 2), "n")],
            [Move("n", 0, (1, 2), "o", "transpose")],
        ),
        ([Move("n", 0, (2,), "o")], [Move("n", 0, (), how="drop")], [Move("o", 0, (), how="drop")]),
        (
            [Move("n", 0, (2,), how="zero")],
            [Move("n", 0, (), how="drop")],
            [Move("n", 0, (), how="drop")],
        ),
        ([], [Move("n", 0, (), how="drop")], [Move("n", 0, (), how="drop")]),
        (
            [Move("n", 0, (2,), how="zero")],
            [Move("m", 0, (2,), "n")],
            [Move("m", 0, (2,), how="zero")],
        ),
        (
            [Move("n", 0, (2,), "o")],
            [Move("p", 0, (2,), "q")],
            [Move("n", 0, (2,), "o"), Move("p", 0, (2,), "q")],
        ),
    ],
)
def test_moves_compose(first, second, both):
    assert sorted(compose(tuple(first), tuple(second))) == sorted(both)


def test_a_table_has_a_line_and_a_reason_per_step():
    plan = Plan(
        TEXT,
        TEXT,
        (
            Step("keep", "a", 7, "InnerProduct", "because"),
            Step("insert", "long_name", None, "Crop", ""),
        ),
    )
    assert (
        plan.table()
        == "7  a          keep: InnerProduct\n              because\n+  long_name  insert: Crop\n"
    )
    assert Plan(TEXT, TEXT).table() == "sketch.prototxt: nothing to do\n"
    assert "because" in plan._repr_html_() and "because" in repr(plan) and str(plan) == plan.table()


def test_names_are_escaped_in_a_notebook():
    assert "<b>" not in Plan(TEXT, TEXT, (Step("keep", "<b>", 1, "&", ""),))._repr_html_()


@pytest.mark.parametrize(
    ("before", "after", "diff"),
    [
        ("a: 1\n", "a: 1\n", ""),
        (
            "a: 1",
            "a: 2",
            "-a: 1\n\\ No newline at end of file\n+a: 2\n\\ No newline at end of file\n",
        ),
        ("a: 1\n", "a: 2", "-a: 1\n+a: 2\n\\ No newline at end of file\n"),
        ("a: 1\r\nb: 1\r\n", "a: 1\r\nb: 2\r\n", " a: 1\r\n-b: 1\r\n+b: 2\r\n"),
        ("# \f form feed\na: 1\n", "# \f form feed\na: 2\n", " # \f form feed\n-a: 1\n+a: 2\n"),
        ("", "a: 1\n", "+a: 1\n"),
    ],
)
def test_a_diff_is_unified(before, after, diff):
    plan = Plan(fk.parse(before, "n"), fk.parse(after, "n"))
    assert plan.diff().partition("@@\n")[2] == diff and plan.changed == (before != after)


def test_json_is_plain():
    plan = fk.fcn(template("lenet"), classes=2, stride=4)
    again = json.loads(json.dumps(plan.json()))
    assert len(again["steps"]) == len(plan.steps) and len(again["moves"]) == len(plan.moves)
    assert [tuple(each["offset"]) for each in again["offsets"]] == [
        each.offset for each in plan.offsets
    ]


def test_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = fk.fcn(template("lenet"), classes=2, stride=4)
    assert plan.changed and not list(tmp_path.iterdir())
