"""A net is dense where its scores lie a pixel apart, however many there are: it has no windows."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import fcnkit as fk
from fcnkit.cli.main import main
from fcnkit.formats.prototxt import parse
from fcnkit.inference.score_maps import head
from fcnkit.weights import store

VALID = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 32 dim: 32 } } }
layer { name: "c1" type: "Convolution" bottom: "data" top: "c1"
  convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "c2" type: "Convolution" bottom: "c1" top: "score"
  convolution_param { num_output: 2 kernel_size: 3 } }
"""
PADDED = VALID.replace("kernel_size: 3", "kernel_size: 3 pad: 1")
STRIDED = VALID.replace("num_output: 4", "num_output: 4 stride: 2")


DECONVOLUTION = """
layer { name: "up" type: "Deconvolution" bottom: "%s" top: "%s"
  convolution_param { num_output: %d kernel_size: 4 stride: 2 bias_term: false } }
"""
TWICE = VALID + DECONVOLUTION % ("score", "up", 2)  # two scores for each pixel
DECODER = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 3 dim: 32 dim: 32 } } }
layer { name: "c1" type: "Convolution" bottom: "data" top: "c1"
  convolution_param { num_output: 4 kernel_size: 3 stride: 4 } }
%s
layer { name: "c2" type: "Convolution" bottom: "u" top: "score"
  convolution_param { num_output: 2 kernel_size: 1 } }
""" % (DECONVOLUTION % ("c1", "u", 4))  # scores 2 pixels apart, of a resolution brought up
ACROSS = VALID.replace("num_output: 4", "num_output: 4 stride_h: 1 stride_w: 2")


@pytest.mark.parametrize(
    "text, dense",
    [
        (VALID, True),
        (PADDED, True),
        (TWICE, True),
        (DECODER, True),
        (ACROSS.replace("kernel_size: 3\n", "kernel_h: 3 kernel_w: 3\n"), True),
        (STRIDED, False),
    ],
)
def test_the_coordinates_say_which_it_is(text, dense):
    assert head(parse(text)).dense is dense


@pytest.fixture
def files(tmp_path):
    def written(text):
        rng = np.random.default_rng(0)
        weights = store.create()
        for name, shape in (("c1", (4, 3, 3, 3)), ("c2", (2, 4, 3, 3))):
            weights = weights.put(name, [rng.normal(0, 1, shape).astype("f4"), np.zeros(shape[0])])
        weights.save(tmp_path / "w.caffemodel")
        (tmp_path / "net.prototxt").write_text(text)
        image = rng.integers(0, 255, (40, 52, 3), np.uint8)
        Image.fromarray(image).save(tmp_path / "a.png")
        return [str(tmp_path / name) for name in ("net.prototxt", "w.caffemodel", "a.png")]

    return written


@pytest.mark.parametrize("text, dense", [(VALID, True), (STRIDED, False)])
def test_a_net_that_scores_no_border_lists_no_windows(files, tmp_path, text, dense):
    words = ["infer", *files(text), "-o", str(tmp_path / "o"), "--engine", "opencv", "--json"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    (record,) = json.loads(result.stdout)
    assert ("windows" in record) is not dense
    assert (tmp_path / "o" / "a.png").exists()
    if dense:  # two pixels on each side have no score
        classes = np.asarray(Image.open(tmp_path / "o" / "a.png"))
        inner = classes[2:-2, 2:-2]
        assert set(np.unique(inner)) <= {0, 1} and (classes == 255).sum() == 40 * 52 - inner.size


def test_the_value_shows_itself_as_dense(files):
    net, weights, image = files(VALID)
    seen = fk.infer(fk.read(net), weights, image, engine="opencv")
    assert seen.dense and "every pixel" in repr(seen)
    assert seen.classes.shape == (40, 52) and min(seen.heat(1).size) > 40
