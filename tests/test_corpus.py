"""Real nets of every age and fork, converted and run in real Caffe.

A part of the corpus by default, all of it with `pytest --corpus` (`make corpus`).
"""

from collections import Counter

import corpus
import numpy as np
import pytest
import round_trips
import sweeps
from sweeps import BUILT_NOW, EQUAL, GOOD, STRIDES, WORDS

# Every so manieth file, where not all are asked for.
STEP = {
    "convolutionalize": 23,
    "fcn": 31,
    "shapes": 19,
    "operations": 41,
    "bvlc": 13,
    "computed": 29,
    "pytorch": 83,
    "gradients": 97,
    "export": 61,
}
# Nets that are asked about at once.
BATCH = 8


@pytest.fixture
def nets(shared, request):
    """The corpus's nets, or a part of them."""
    step = 1 if request.config.getoption("--corpus") else STEP[request.node.name.split("_")[1]]
    return [net for path in corpus.files(shared)[::step] if (net := corpus.net(path)) is not None]


def swept(nets, trials, caffe, good):
    """Each trial of each net comes to a word that is not wrong, and some to the good one."""
    counts, wrong = Counter(), []
    for start in range(0, len(nets), BATCH):
        asked = [(net, trial) for net in nets[start : start + BATCH] for trial in trials]
        words = sweeps.verdicts([trial(net) for net, trial in asked], caffe)
        counts.update(word for word in words if word in WORDS)
        wrong += [
            f"{net}: {word}"
            for (net, _), word in zip(asked, words, strict=True)
            if word not in WORDS
        ]
    print(", ".join(f"{count} {word}" for word, count in counts.items()))
    assert not wrong
    assert counts[good] > 0


def test_convolutionalize_gives_the_classifiers_own_output(nets, caffe):
    swept(nets, [sweeps.convolutionalized], caffe, EQUAL)


def test_shapes_equal_real_caffes(nets, caffe):
    swept(nets, [sweeps.shapes], caffe, EQUAL)


def test_bvlc_builds_what_it_has_words_for(nets, caffe):
    swept(nets, [sweeps.in_bvlcs_words], caffe, BUILT_NOW)


def test_computed_in_bvlcs_words_is_what_the_fork_computes(nets, caffe):
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'fcnkit[torch]'")
    swept(nets, [sweeps.computed_in_bvlcs_words], caffe, EQUAL)


def test_fcn_scores_every_pixel_at_odd_sizes(nets, caffe):
    strides = [lambda net, stride=stride: sweeps.fcn(net, stride) for stride in STRIDES]
    swept(nets, strides, caffe, GOOD)


def test_operations_give_the_nets_own_output(nets, caffe):
    operations = [lambda net, name=name: sweeps.operated(net, name) for name in sweeps.OPERATIONS]
    swept(nets, operations, caffe, EQUAL)


def test_pytorch_computes_what_caffe_does(nets, caffe):
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'fcnkit[torch]'")
    swept(nets, [sweeps.on_torch], caffe, EQUAL)


def test_gradients_on_pytorch_are_caffes(nets, caffe):
    pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'fcnkit[torch]'")
    swept(nets, [sweeps.learned_on_torch], caffe, EQUAL)


def test_export_and_import_give_the_nets_own_output(nets, caffe):
    pytest.importorskip("onnx", reason="onnx is not installed: pip install 'fcnkit[onnx]'")
    swept(nets, [round_trips.exported_and_imported], caffe, EQUAL)


# ---- the judges


@pytest.mark.parametrize(
    ("weight", "bias", "count"),
    [(0.9995, 1e-5, 0), (0.99, 0, 1), (1, 2e-5, 1), (np.nan, np.nan, 2), (1, np.inf, 1)],
)
def test_gradients_are_compared_by_blob_and_roundings_by_layer(weight, bias, count):
    theirs, mine = (
        {"conv": [np.ones(2), np.zeros(1)]},
        {"conv": [np.array([1, weight]), np.array([bias])]},
    )
    assert len(list(sweeps.apart(theirs, mine))) == count


@pytest.mark.parametrize(
    ("found", "word"),
    [
        ([1, 2], EQUAL),
        ([1, 2.0001], EQUAL),
        ([1, 2.1], "top differs by 0.1"),
        ([1, np.nan], "top differs by nan"),
        ([1, 2, 3], r"top is (3,) in place of (2,)"),
    ],
)
def test_outputs_are_compared(found, word):
    assert sweeps.compared({"top": np.array([1, 2.0])}, {"top": np.array(found)}).startswith(word)


def test_a_loss_is_as_exact_as_its_scores():
    scores, loss = np.array([90.0, 1.0]), np.array(1.88)
    other = {"scores": scores + 1e-4, "loss": loss + 3e-4}
    assert sweeps.compared({"scores": scores, "loss": loss}, other, {"loss": "scores"}) == EQUAL
    assert sweeps.compared({"loss": loss}, other, {"loss": "scores"}).startswith("loss differs")
    wrong = {"scores": scores, "loss": loss + 0.02}
    assert sweeps.compared({"scores": scores, "loss": loss}, wrong, {"loss": "scores"}) != EQUAL
