"""What `make bench` says of sliding:
both ways score alike on an engine, and a difference would be seen.
"""

from pathlib import Path

import numpy as np
import pytest
from sketches import template

import fcnkit as fk

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"


@pytest.fixture
def sliding(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    import sliding

    monkeypatch.setattr(sliding, "BATCH", 3)
    return sliding


def digits(sliding):
    return sliding.Subject("digits", template("digits"), "ip2", (28, 40))


@pytest.mark.parametrize("engine", ["opencv", "caffe"])
def test_both_ways_score_every_window_alike(sliding, engine, request, tmp_path):
    run = sliding.on_opencv
    if engine == "caffe":
        request.getfixturevalue("caffe")
        run = sliding.on_caffe
    else:
        pytest.importorskip("cv2")
    one, more = sliding.slid(digits(sliding), tmp_path, run)
    assert (one.windows, more.windows) == (1, 16)
    assert max(one.difference, more.difference) < 1e-5
    assert min(more.dense, more.each) > 0


def test_a_difference_is_seen(sliding):
    dense = np.arange(24.0).reshape(1, 2, 3, 4)
    each = dense[0].reshape(2, 12).T.copy()
    assert sliding.largest_difference(each, dense) == 0
    each[5, 1] += 2.3
    assert sliding.largest_difference(each, dense) == pytest.approx(0.1)
    assert sliding.largest_difference(each[::-1], dense) > 0.1


def test_alexnet_without_padding_sees_its_whole_window(sliding):
    net = sliding.unpadded(template("alexnet"))
    rows = {row.name: row for row in fk.inspect(fk.convolutionalize(net).net).rows}
    assert rows["pool5"].shape == (1, 256, 6, 6) and rows["fc8"].shape == (1, 1000, 1, 1)
    assert rows["fc8"].field == rows["data"].shape[2:], "the window is all that a score sees"


def test_weights_are_the_same_each_time(sliding):
    one, two = (sliding.make_weights(template("lenet")) for _ in range(2))
    assert fk.compare(one, two).equal and fk.compare(one, template("lenet")).equal
