"""docs/pycaffe.md names every public name of real pycaffe; what it says is offered is there."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from fcnkit.engines import caffe_runtime

PAGE = Path(__file__).resolve().parent.parent / "docs" / "pycaffe.md"

# The public names of pycaffe by where they stand, but for modules that it imports itself.
NAMES = """
import json, types
import caffe, caffe.coord_map, caffe.io, caffe.draw
open("n.prototxt", "w").write('''layer { name: "d" type: "DummyData" top: "d"
  dummy_data_param { shape { dim: 1 } } }''')
open("s.prototxt", "w").write('net: "n.prototxt" base_lr: 1 lr_policy: "fixed"')
net, solver = caffe.Net("n.prototxt", caffe.TEST), caffe.SGDSolver("s.prototxt")
def public(owner):
    found = [name for name in dir(owner) if not name.startswith("_")]
    return [name for name in found if not isinstance(getattr(owner, name), types.ModuleType)]
own = lambda module: [name for name in public(module)
                      if getattr(getattr(module, name), "__module__", None) == module.__name__]
print(json.dumps({
    "caffe": public(caffe), "Net": public(caffe.Net), "Blob": public(net.blobs["d"]),
    "Layer": public(caffe.Layer), "Solver": public(caffe.SGDSolver), "Timer": public(caffe.Timer),
    "param": public(solver.param), "NetSpec": public(caffe.NetSpec()), "io": own(caffe.io),
    "Transformer": public(caffe.io.Transformer), "coord_map": own(caffe.coord_map),
    "draw": own(caffe.draw), "Classifier": public(caffe.Classifier)}))
"""
PYDOT = """
import sys, types
sys.modules.setdefault("pydotplus", types.ModuleType("pydotplus"))
"""
# In rows of the page that offer nothing, or something else.
MISSING = {
    "PASS_THROUGH_LAYERS",
    "choose_color_by_layertype",
    "conv_params",
    "coord_map",
    "crop_params",
    "get_layer_lr_mult",
    "get_pooling_types_dict",
}


@pytest.fixture(scope="module")
def names(caffe, tmp_path_factory):
    done = subprocess.run(
        [*caffe_runtime.command("python"), "-c", PYDOT + NAMES],
        env={**caffe_runtime.environment(), "GLOG_minloglevel": "2"},
        cwd=tmp_path_factory.mktemp("names"),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_every_name_is_on_the_page(names):
    prose = re.sub(r"```.*?```", "", PAGE.read_text(), flags=re.S)
    said = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", prose))))
    parts = {"detect_windows", "predict", "set_mean"}  # of what the page names as a whole
    known = said | parts
    for owner in ("caffe", "Net", "Blob", "Layer", "Solver", "param", "io", "coord_map", "draw"):
        assert set(names[owner]) <= known, owner


def test_what_is_offered_is_there(names, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    pytest.importorskip("PIL")
    import fcnkit.pycaffe as caffe
    from fcnkit.pycaffe import coord_map, draw, io

    monkeypatch.chdir(tmp_path)
    Path("n.prototxt").write_text(
        'layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 1 } } }'
    )
    Path("s.prototxt").write_text('net: "n.prototxt" base_lr: 1 lr_policy: "fixed"')
    solver = caffe.SGDSolver("s.prototxt")
    owners = {
        "caffe": caffe,
        "Net": solver.net,
        "Blob": solver.net.blobs["d"],
        "Layer": caffe.Layer(None),
        "Solver": solver,
        "Timer": caffe.Timer(),
        "param": solver.param,
        "NetSpec": caffe.NetSpec(),
        "io": io,
        "Transformer": io.Transformer,
        "coord_map": coord_map,
        "draw": draw,
        "Classifier": caffe.Classifier,
    }
    lacking = {
        f"{owner}.{name}"
        for owner, those in names.items()
        for name in those
        if name not in MISSING | {"blobs"} and name not in dir(owners[owner])
    }
    assert lacking == set()
