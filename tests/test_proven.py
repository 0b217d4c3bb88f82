"""What a comparison of two nets shows: ends that keep to bounds or pick hide no difference."""

import numpy as np
import pytest
from click.testing import CliRunner

from fcnkit.cli.main import main
from fcnkit.formats.prototxt import parse
from fcnkit.verify import proven, unproven, verify
from fcnkit.weights import store

END = """
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 1 dim: 1 dim: 6 dim: 6 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
  inner_product_param { num_output: 5 bias_term: false } }
"""
BENDS = {
    "Softmax": 'layer { name: "p" type: "Softmax" bottom: "fc" top: "p" }',
    "Softmax, Flatten": 'layer { name: "q" type: "Softmax" bottom: "fc" top: "q" }\n'
    'layer { name: "p" type: "Flatten" bottom: "q" top: "p" }',
    "Sigmoid": 'layer { name: "p" type: "Sigmoid" bottom: "fc" top: "p" }',
    "Clip": 'layer { name: "p" type: "Clip" bottom: "fc" top: "p" clip_param { min: -1 max: 1 } }',
    "TanH, Power": 'layer { name: "q" type: "TanH" bottom: "fc" top: "q" }\n'
    'layer { name: "p" type: "Power" bottom: "q" top: "p" power_param { scale: 3 } }',
    "Threshold": 'layer { name: "p" type: "Threshold" bottom: "fc" top: "p" }',
    "ArgMax": 'layer { name: "p" type: "ArgMax" bottom: "fc" top: "p" }',
}


def scores(factor=1.0):
    rng = np.random.default_rng(1)
    return store.create().put("fc", [(factor * rng.normal(0, 9, (5, 36))).astype("f4")])


@pytest.mark.parametrize("bend", BENDS)
def test_what_an_end_hides_is_compared_before_it(bend, caffe):
    net = parse(END + BENDS[bend])
    same = verify(net, scores(), net, engine="caffe")
    assert [row.output for row in same] == ["fc", "p"] and proven(same)
    other = verify(net, scores(), net, scores(1.2), engine="caffe")
    assert not other[0].ok and not proven(other)


@pytest.mark.parametrize("end", ["", 'layer { name: "p" type: "Flatten" bottom: "fc" top: "p" }'])
def test_scores_that_cannot_be_read_prove_nothing_where_they_saturate(end, caffe):
    softmax = 'layer { name: "prob" type: "Softmax" bottom: "fc" top: "fc" }\n'
    net = parse(END + softmax + end)
    (row,) = verify(net, scores(), net, scores(1.2), engine="caffe")
    assert row.ok and not row.shows and not proven([row])
    assert "all at its bounds 0 and 1: this shows nothing" in str(row)
    (row,) = verify(net, scores(0.0005), net, scores(0.0005), engine="caffe")
    assert proven([row]) and 0 < row.low < row.high < 1


def test_zeros_prove_nothing(caffe, tmp_path):
    net = parse(END, "net.prototxt")
    rows = verify(net, scores(0), net, engine="caffe")
    assert rows[0].ok and unproven(rows) == [*rows]
    paths = [str(tmp_path / name) for name in ("net.prototxt", "w.caffemodel")]
    net.save(paths[0])
    scores(0).save(paths[1])
    result = CliRunner().invoke(main, ["verify", *paths, *paths])
    assert result.exit_code == 1 and "fc: that it is equal is not shown" in result.output
    scores().save(paths[1], force=True)
    assert CliRunner().invoke(main, ["verify", *paths, *paths]).exit_code == 0
