"""Layers under other names, with their weights."""

import pytest
from sketches import net, weights
from test_extract import TEXT, names

import fcnkit as fk
from fcnkit.errors import NetError
from fcnkit.plan import Move
from fcnkit.weights.surgery import transplant


def test_renamed(tmp_path):
    before = net(TEXT)
    plan = fk.rename(before, {"f": "g", "g": "f", "prob": "p2"})
    assert names(plan.net) == ["data", "c", "relu_c", "p", "g", "relu_f", "f", "p2"]
    assert plan.moves[0] == Move("g", 0, (5, 36), "f")
    old = weights(before, tmp_path / "old.caffemodel")
    new = transplant(plan, old)
    assert list(new) == ["c", "g", "f"]
    assert (new["g"][0].array() == old["f"][0].array()).all()
    assert fk.rename(plan.net, {"f": "g", "g": "f", "p2": "prob"}).net.text == before.text


@pytest.mark.parametrize(
    "pairs, words",
    [
        ({"f": "c"}, 'rename "f": two layers would be named "c"'),
        ({"f": "x", "g": "x"}, "two layers would be named"),
        ({"f": ""}, "needs a name"),
        ({"nope": "x"}, 'no layer "nope"'),
    ],
)
def test_names_that_cannot_be(pairs, words):
    with pytest.raises(NetError, match=words):
        fk.rename(net(TEXT), pairs)
