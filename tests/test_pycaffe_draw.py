"""caffe.draw beside real pycaffe's: the same boxes, lines and labels.

Real pycaffe draws through pydot, which Debian's has not got; a pydot that only writes down
what it is given stands in for it.
"""

import json
import os
import subprocess
import sys

import pytest
from google.protobuf import text_format

from fcnkit.engines import caffe_runtime
from fcnkit.pycaffe import draw
from fcnkit.pycaffe.proto import caffe_pb2

NET = """
name: "small"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  data_param { batch_size: 5 source: "x" } }
layer { name: "input" type: "Input" top: "data" exclude { phase: TRAIN } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  param { lr_mult: 2 } convolution_param { num_output: 6 kernel_size: 5 stride: 2 } }
layer { name: "pad" type: "Convolution" bottom: "conv" top: "pad"
  param { lr_mult: 0 } param { lr_mult: 0 } convolution_param { num_output: 6 kernel_h: 5 pad: 2 } }
layer { name: "relu" type: "ReLU" bottom: "pad" top: "pad" }
layer { name: "pool" type: "Pooling" bottom: "pad" top: "pool"
  pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
layer { name: "up" type: "Deconvolution" bottom: "pool" top: "up"
  convolution_param { num_output: 3 kernel_size: 4 stride: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "up" top: "fc"
  param { lr_mult: 1 } param { lr_mult: 2 } inner_product_param { num_output: 7 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
"""
CALLS = [
    {"rankdir": "LR"},
    {"rankdir": "TB", "display_lrm": True},
    {"rankdir": "LR", "phase": 0},
    {"rankdir": "BT", "phase": 1, "label_edges": False},
]
PYDOT = """
class Node:
    def __init__(self, name, **shown):
        self.name, self.shown = name, shown

class Edge:
    def __init__(self, start, end, label):
        self.words = [start.name, end.name, label]

class Dot:
    def __init__(self, name, graph_type, rankdir):
        self.name, self.rankdir, self.nodes, self.edges = name, rankdir, [], []
    def add_node(self, node):
        self.nodes.append([node.name, node.shown])
    def add_edge(self, edge):
        self.edges.append(edge.words)
"""
REAL = """
import json, sys
from google.protobuf import text_format
import caffe.draw
from caffe.proto import caffe_pb2
net = text_format.Parse(open("net.prototxt").read(), caffe_pb2.NetParameter())
graphs = [caffe.draw.get_pydot_graph(net, **call) for call in json.loads(sys.argv[1])]
print(json.dumps([[each.name, each.rankdir, each.nodes, each.edges] for each in graphs]))
"""


def message():
    return text_format.Parse(NET, caffe_pb2.NetParameter())


def test_real_pycaffe_makes_the_same_graphs(caffe, tmp_path):
    del caffe  # real Caffe is there
    for name, text in {"net.prototxt": NET, "pydot.py": PYDOT, "real.py": REAL}.items():
        (tmp_path / name).write_text(text)
    words = [*caffe_runtime.command("python"), "real.py", json.dumps(CALLS)]
    done = subprocess.run(
        words, env=caffe_runtime.environment(), cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for call, real in zip(CALLS, json.loads(done.stdout), strict=True):
        graph = draw.get_pydot_graph(message(), **call)
        labels = {name: shown["label"] for name, shown in graph.nodes.items()}
        nodes = [
            [labels[name], {key: value for key, value in shown.items() if key != "label"}]
            for name, shown in graph.nodes.items()
        ]
        edges = [[labels[start], labels[end], label] for start, end, label in graph.edges]
        assert [graph.name, graph.rankdir, nodes, edges] == _unquoted(real)


def _unquoted(value):
    """Without the quotes that pydot wants around some texts."""
    if isinstance(value, dict):
        return {key: _unquoted(each) for key, each in value.items()}
    return [_unquoted(each) for each in value] if isinstance(value, list) else value.strip('"')


def test_nets_are_drawn_to_files(tmp_path):
    pytest.importorskip("pygraphviz")
    draw.draw_net_to_file(message(), str(tmp_path / "net.png"))
    draw.draw_net_to_file(message(), str(tmp_path / "net.svg"), "TB", caffe_pb2.TEST, True)
    draw.draw_net_to_file(message(), str(tmp_path / "net.raw"))
    assert (tmp_path / "net.png").read_bytes().startswith(b"\x89PNG")
    shown = (tmp_path / "net.svg").read_text()
    assert "lr mult: 2.0, 1.0" in shown
    assert "Batch 5" not in shown
    assert (tmp_path / "net.raw").read_text().startswith('digraph "small" {\nrankdir=LR;\n')


def test_the_methods_of_pydot(tmp_path):
    pytest.importorskip("pygraphviz")
    graph = draw.get_pydot_graph(message(), "LR")
    assert graph.create_png().startswith(b"\x89PNG")
    for write, start in ((graph.write_png, b"\x89PNG"), (graph.write_pdf, b"%PDF")):
        assert write(tmp_path / "net")
        assert (tmp_path / "net").read_bytes().startswith(start)
    assert graph.write(tmp_path / "net")
    assert (tmp_path / "net").read_text() == graph.to_string()
    with pytest.raises(ValueError, match="nonsense"):
        graph.create(format="nonsense")


def test_a_layer_is_either_included_or_excluded():
    net = caffe_pb2.NetParameter()
    net.layer.add(name="a", include=[{"phase": 0}], exclude=[{"phase": 1}])
    with pytest.raises(ValueError, match="layer a has both include and exclude specified"):
        draw.get_pydot_graph(net, "LR", phase=0)
    net.layer[0].ClearField("include")
    net.layer[0].type = "InnerProduct"
    net.layer[0].param.extend([caffe_pb2.ParamSpec()] * 3)
    with pytest.raises(ValueError, match="Could not parse the learning rate multiplier"):
        draw.get_pydot_graph(net, "LR", display_lrm=True)


def test_a_name_with_quotes_is_drawn():
    net = caffe_pb2.NetParameter(name='a "net"')
    net.layer.add(name='the "layer"', type="ReLU", bottom=["x"], top=["y"])
    assert r'"the \"layer\"_ReLU"' in draw.get_pydot_graph(net, "LR").to_string()


def test_draw_is_a_module_of_caffe(tmp_path):
    (tmp_path / "s.py").write_text("import caffe.draw\nassert caffe.draw.draw_net\n")
    code = "from fcnkit.cli.main import run; run()"
    words = [sys.executable, "-c", code, "run", str(tmp_path / "s.py")]
    subprocess.run(words, env=dict(os.environ), check=True)
