"""The nets that a solver names are those that real Caffe builds of it,
in its order and in its states.
"""

import re

import pytest
from caffe_training import log_of

from fcnkit.errors import EngineError, PrototxtError
from fcnkit.formats import prototxt
from fcnkit.training.torch.solving.solver_nets import nets

# A layer's name says in which state it is.
NET = """%s
layer { name: "x" type: "DummyData" top: "%s" dummy_data_param { shape { dim: 1 } } }
layer { name: "TRAIN" type: "AbsVal" bottom: "%s" top: "TRAIN" include { phase: TRAIN } }
layer { name: "TEST" type: "AbsVal" bottom: "%s" top: "TEST" include { phase: TEST } }
layer { name: "own" type: "AbsVal" bottom: "%s" top: "own" include { stage: "own" } }
layer { name: "a" type: "AbsVal" bottom: "%s" top: "a" include { stage: "a" } }
layer { name: "deep" type: "AbsVal" bottom: "%s" top: "deep" include { min_level: 3 } }
"""
LINES = 'base_lr: 1 lr_policy: "fixed" max_iter: 0 snapshot_after_train: false\n'


def net(blob, state=""):
    return NET % (state, *[blob] * 6)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "n.prototxt").write_text(net("n"))
    (tmp_path / "o.prototxt").write_text(net("o", 'state { level: 3 stage: "own" }'))
    return tmp_path


# The level of the net that is trained: Caffe's program takes it from its command, 0 without, and no
# solver or net has a say; its Solver, which other programs make, does what is tested here.
SOLVERS = [
    (0, 'net: "n.prototxt"'),
    (5, 'train_net: "n.prototxt" train_state { stage: "a" level: 5 }'),
    (4, 'train_net_param { NET } test_net: "n.prototxt" test_iter: 7'),
    (3, 'net: "o.prototxt" test_iter: [1, 2] test_state { stage: "a" } test_state { level: 1 }'),
    (0, 'net: "n.prototxt" test_net: "o.prototxt" test_net_param { NET } test_iter: [1, 2, 3]'),
    (4, "net_param { NET } test_iter: 4 train_state { phase: TEST }"),
]
COUNTS = [[], [], [7], [1, 2], [1, 2, 3], [4]]


@pytest.mark.parametrize("number", range(len(SOLVERS)))
def test_they_are_those_of_caffe(caffe, folder, number):
    level, text = SOLVERS[number]
    text = text.replace("NET", net("p", "state { level: 4 }"))
    (folder / "solver.prototxt").write_text(f"{LINES}test_interval: 1 {text}")
    parts = log_of(caffe, folder, f"--level={level}").split("Initializing net from")[1:]
    expected = [re.findall(r"\] Creating Layer (\S+)", part) for part in parts]
    found = nets(prototxt.read(folder / "solver.prototxt"), folder)
    ours = [found.train, *(test.graph for test in found.tests)]
    assert [names(graph) for graph in ours] == [without_splits(each) for each in expected]
    assert [test.batches for test in found.tests] == COUNTS[number]


def names(graph):
    return [layer.name for layer in graph.layers]


def without_splits(found):
    return [name for name in found if not name.endswith("_split")]


@pytest.mark.parametrize(
    "text, words",
    [
        ("", r"it names 0 nets to train \(none\); give one of net, net_param"),
        (
            'net: "n.prototxt" train_net: "n.prototxt"',
            r"it names 2 nets to train \(net, train_net\)",
        ),
        ('net: "n.prototxt" test_net: "n.prototxt"', "it has 0 test_iter for 1 test net"),
        ('train_net: "n.prototxt" test_iter: 3', "it has 1 test_iter for 0 test nets"),
        ('net: "n.prototxt" test_iter: 3', "it has test nets and no test_interval"),
        (
            'net: "n.prototxt" test_iter: [3, 3] test_interval: 1 test_state {}',
            "it has 1 test_state for 2",
        ),
    ],
)
def test_refused_as_by_caffe(caffe, folder, text, words):
    (folder / "solver.prototxt").write_text(LINES + text)
    with pytest.raises(EngineError, match=f"solver.prototxt: the solver: {words}"):
        nets(prototxt.read(folder / "solver.prototxt"), folder)
    with pytest.raises(AssertionError, match="Check failed"):
        log_of(caffe, folder)


def test_a_net_that_is_not_there_is_named(folder):
    with pytest.raises(PrototxtError, match="none.prototxt: cannot be read"):
        nets(prototxt.parse('net: "none.prototxt"'), folder)
