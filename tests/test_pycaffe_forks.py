"""Nets with layers of Caffe's forks in `caffe.Net`."""

import numpy as np
import pytest

from fcnkit.errors import PrototxtError

pytest.importorskip("torch")
import fcnkit.pycaffe as caffe  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

SSD = """
input: "data" input_dim: 2 input_dim: 3 input_dim: 8 input_dim: 8
layer { name: "loc" type: "Convolution" bottom: "data" top: "loc"
  convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: "xavier" } hole: 1 } }
layer { name: "perm" type: "Permute" bottom: "loc" top: "perm"
  permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "flat" type: "Flatten" bottom: "perm" top: "flat" }
layer { name: "conf" type: "Slice" bottom: "flat" top: "score" top: "rest"
  slice_param { slice_point: 128 } }
layer { name: "prior" type: "PriorBox" bottom: "loc" bottom: "data" top: "prior"
  prior_box_param { min_size: 3 } }
layer { name: "found" type: "DetectionOutput" bottom: "flat" bottom: "score" bottom: "prior"
  top: "found" detection_output_param { num_classes: 2 confidence_threshold: 0.1 } }
layer { name: "quiet" type: "Silence" bottom: "rest" }
"""


def test_a_net_of_ssd_finds_boxes_of_each_image(tmp_path):
    (tmp_path / "ssd.prototxt").write_text(SSD)
    caffe.set_random_seed(1)
    net = caffe.Net(str(tmp_path / "ssd.prototxt"), caffe.TEST)
    assert list(net.blobs["prior"].shape) == [1, 2, 256]
    net.blobs["data"].data[...] = np.random.default_rng(0).normal(size=(2, 3, 8, 8))
    found = net.forward()["found"]
    assert found.shape[:2] == (1, 1) and found.shape[3] == 7 and found.shape[2] > 2
    assert set(found[0, 0, :, 0]) == {0, 1} and (found[0, 0, :, 2] > 0.1).all()
    net.blobs["data"].data[...] = 0
    assert net.forward()["found"].tolist() == [[[[0, *[-1] * 6], [1, *[-1] * 6]]]]


def test_a_field_of_no_fork_is_refused_in_a_layer_of_a_fork(tmp_path):
    (tmp_path / "ssd.prototxt").write_text(SSD.replace("order: 0", "ordre: 0"))
    with pytest.raises(PrototxtError, match='has no field "ordre"; did you mean "order"'):
        caffe.Net(str(tmp_path / "ssd.prototxt"), caffe.TEST)


def test_segnets_bn_shows_the_statistics_of_the_batch(tmp_path):
    text = """input: "data" input_dim: 2 input_dim: 3 input_dim: 4 input_dim: 4
        layer { name: "bn" type: "BN" bottom: "data" top: "y" top: "mean" top: "var"
          bn_param { bn_mode: LEARN scale_filler { type: "constant" value: 2 } } }"""
    (tmp_path / "net.prototxt").write_text(text)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TRAIN)
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype(np.float32)
    net.blobs["data"].data[...] = x
    out = net.forward()
    assert np.allclose(out["mean"].ravel(), x.mean((0, 2, 3)), atol=1e-6)
    assert np.allclose(out["var"].ravel(), x.var((0, 2, 3)), atol=1e-5)
    assert np.allclose(out["y"].std((0, 2, 3)), 2, atol=1e-3)
