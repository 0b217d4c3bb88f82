"""Blobs in one memory: what a layer in place changes beside its own, as real Caffe has it."""

import numpy as np
import pytest
from sketches import conv, data, layer, net, weights

import fcnkit as fk
from fcnkit.errors import NetError
from fcnkit.nets.graph import State, build
from fcnkit.nets.shared import overwritten

SHAPE = "reshape_param { shape { dim: 0 dim: -1 } }"
TRIPLED = layer("r", "Power", "s", top="s", more="power_param { scale: 3 }")
END = layer("o", "AbsVal", "c")


def text(kind, between=TRIPLED, end=END):
    shared = layer("s", kind, "c", more=SHAPE if kind == "Reshape" else "")
    return data(1, 2, 4, 4) + conv("c", "data", 3, 1) + shared + between + end


def found(sketch, phase="TEST"):
    every = overwritten(build(net(sketch), State(phase)))
    return [(each.writer.name, each.top.blob, each.reader and each.reader.name) for each in every]


@pytest.mark.parametrize(
    "sketch, expected",
    [
        (text("Flatten"), [("r", "c", "o")]),
        (text("Reshape"), [("r", "c", "o")]),
        (text("Split"), [("r", "c", "o")]),
        (text("Power"), []),  # has a memory of its own
        (text("Flatten", TRIPLED.replace('top: "s"', 'top: "t"')), []),
        (text("Flatten", END, TRIPLED), []),  # who reads before is not reached
        (text("Flatten", layer("d", "Dropout", "s", top="s")), []),  # nothing, when it is tested
        (text("Flatten", TRIPLED, layer("o", "AbsVal", "s")), []),
        # Two of one memory, one of which is an output.
        (text("Flatten", layer("t", "Reshape", "c", more=SHAPE) + TRIPLED, ""), [("r", "t", None)]),
        # Through one more that shares, and behind a layer in place.
        (
            text("Flatten", layer("t", "Reshape", "s", more=SHAPE) + TRIPLED.replace('"s"', '"t"')),
            [("r", "c", "o")],
        ),
    ],
)
def test_what_is_changed_beside_its_own_blob(sketch, expected):
    assert found(sketch) == expected


def test_in_training_a_dropout_changes_it_too():
    assert found(text("Flatten", layer("d", "Dropout", "s", top="s")), "TRAIN") == [("d", "c", "o")]


@pytest.mark.parametrize("kind", ["Flatten", "Reshape", "Split", "Power"])
def test_caffe_changes_it(kind, caffe, tmp_path):
    """What is read later is three times as large, where one memory holds both."""
    before, old = net(text(kind)), weights(net(text(kind)), tmp_path / "w.caffemodel")
    image = np.random.default_rng(0).normal(size=(1, 2, 4, 4)).astype("f4")
    alone = net(text(kind, ""))
    three, one = (caffe.run(each, old, {"data": image}, ["o"])["o"] for each in (before, alone))
    assert np.allclose(three, (3 if found(text(kind)) else 1) * one, rtol=1e-5)


def test_engines_without_such_memory_refuse_it(tmp_path):
    before, old = net(text("Flatten")), weights(net(text("Flatten")), tmp_path / "w.caffemodel")
    with pytest.raises(NetError, match='in one memory with "c"'):
        fk.export(before, old)
    pytest.importorskip("torch")
    with pytest.raises(NetError, match='in one memory with "c"'):
        fk.verify(before, old, before, engine="torch")
