"""What verify gives says with what it was found, and shows itself."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

import fcnkit as fk
from fcnkit import templates
from fcnkit.engines import opencv
from fcnkit.verifying.results import Differences, given_words

pytestmark = pytest.mark.skipif(not opencv.available(), reason="no OpenCV with a Caffe importer")
NET = fk.template("digits")
PLAN = fk.convolutionalize(NET)


@pytest.fixture
def weights(tmp_path):
    shutil.copy(templates.path("digits", "digits.caffemodel"), tmp_path / "digits.caffemodel")
    return tmp_path / "digits.caffemodel"


def verified(weights, new_net=PLAN.net, new=None, **options):
    return fk.verify(NET, weights, new_net, new, engine="opencv", **options)


def sha256(data) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def test_it_is_a_tuple_of_differences(weights):
    found = verified(weights, new=fk.transplant(PLAN, fk.weights(weights)))
    assert isinstance(found, tuple) and isinstance(found, Differences)
    assert [each.output for each in found] == ["ip2", "prob"] and all(each.ok for each in found)
    assert tuple(found) == found and Differences(found).made is None
    assert found.proven and not Differences(each._replace(absolute=1, relative=1)
                                            for each in found).proven  # fmt: skip
    assert "the nets compute the same" in Differences(found)._repr_html_()


@pytest.mark.parametrize("opened", [str, Path, fk.weights])
def test_it_says_the_engine_the_noise_and_the_files(weights, opened):
    made = fk.transplant(PLAN, fk.weights(weights))
    made.save(weights.with_name("new.caffemodel"))
    new = opened(weights.with_name("new.caffemodel"))
    lines = verified(opened(weights), new=new, seed=3, tolerance=1e-3).made.text.splitlines()
    assert lines[0].startswith("by opencv 4.") and lines[0].endswith(
        "; on noise of seed 3; tolerance 0.001"
    )
    digests = [
        *(sha256(NET.text.encode()), sha256(weights.read_bytes()), sha256(PLAN.net.text.encode())),
        sha256(weights.with_name("new.caffemodel").read_bytes()),
    ]
    assert [line.rpartition(" ")[2] for line in lines[1:]] == digests
    assert [line.partition(":")[0] for line in lines[1:]] == ["old", "old", "new", "new"]


def test_weights_in_no_file_have_no_digest(weights):
    text = verified(weights, new=fk.transplant(PLAN, fk.weights(weights))).made.text
    assert text.endswith(f"new: weights computed from {weights}, in no file")


def test_a_file_that_is_another_now_has_no_digest(weights):
    found = verified(weights, NET)
    weights.write_bytes(weights.read_bytes() + b"\0")
    assert "digits.caffemodel, which has changed since" in found.made.text
    weights.unlink()
    assert "digits.caffemodel, which is gone" in found.made.text


def test_given_arrays_are_named():
    assert given_words({"data": (1, 3, 8, 8)}, 5) == "noise of seed 5"
    assert given_words({"data": np.zeros(3)}, 5) == "the arrays of data"


def test_what_differs_and_what_shows_nothing_is_seen(weights):
    old = fk.weights(weights)
    first, bias = old["conv2"]
    changed = verified(old, NET, old.put("conv2", [first.array() + 0.01, bias]))
    html = changed._repr_html_()
    assert "the nets differ in ip2" in html and ">different</span>" in html
    assert ">equal, proves nothing</span>" in html, "prob is 0 or 1 whatever it is made of"
    still = verified(old.put("ip2", [np.zeros((11, 80)), np.zeros(11)]), NET)
    assert "one could be hidden" in still._repr_html_()


def test_layers_show_where_they_begin_to_differ(weights):
    old = fk.weights(weights)
    first, bias = old["conv2"]
    new = old.put("conv2", [first.array() + 0.01, bias])
    found = fk.verify_layers(NET, old, NET, new, engine="opencv")
    html = found._repr_html_()
    assert found.first.layer == "conv2" and "the first that differs is conv2" in html
    assert html.index(">equal<") < html.index(">different<")
    same = fk.verify_layers(NET, old, NET, engine="opencv")
    assert "all layers are equal" in same._repr_html_()
