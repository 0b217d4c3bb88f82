"""pycaffe's interface without Caffe, beside real pycaffe: the same nets, the same errors."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

import fcnkit.pycaffe as caffe
from fcnkit.cli.main import main
from fcnkit.engines import caffe_runtime
from fcnkit.formats.with_forks import message
from fcnkit.pycaffe import coord_map, net_spec
from fcnkit.pycaffe import layers as L  # noqa: N812
from fcnkit.pycaffe import params as P  # noqa: N812

# What both run: each net is built and serialised, each mistake says what it raises.
NETS = """
import json
import caffe
from caffe import layers as L, params as P
from caffe.coord_map import coord_map_from_to, crop

def lenet():
    n = caffe.NetSpec()
    n.data, n.label = L.Data(batch_size=64, backend=P.Data.LMDB, source="x",
                             transform_param=dict(scale=1. / 255), ntop=2)
    n.conv1 = L.Convolution(n.data, kernel_size=5, num_output=20, weight_filler=dict(type="xavier"),
                            param=[dict(lr_mult=1), dict(lr_mult=2)])
    n.pool1 = L.Pooling(n.conv1, kernel_size=2, stride=2, pool=P.Pooling.MAX)
    n.ip1 = L.InnerProduct(n.pool1, num_output=500)
    n.relu1 = L.ReLU(n.ip1, in_place=True)
    n.score = L.InnerProduct(n.relu1, num_output=10)
    n.loss = L.SoftmaxWithLoss(n.score, n.label, loss_weight=0.5, include=dict(phase=0))
    n.acc = L.Accuracy(n.score, n.label, include={"phase": caffe.TEST})
    return n.to_proto()

def unnamed():
    data, label = L.DummyData(shape=[dict(dim=[1, 3]), dict(dim=[1])], ntop=2)
    a = L.InnerProduct(data, num_output=4)
    return caffe.to_proto(L.Sigmoid(L.Concat(a, L.ReLU(a, in_place=True), label)))

def second_top():
    n = caffe.NetSpec()
    n["lab"] = L.Data(ntop=2)[1]
    return n.to_proto()

def two_names():
    n = caffe.NetSpec()
    n.x = L.Input(shape=dict(dim=[1, 2, 3]))
    n.y = n.x
    n.z = L.Deconvolution(n.y, convolution_param=dict(num_output=2, kernel_size=[3, 3]), name="up")
    n.quiet = L.Silence(n.z, ntop=0)
    return n.to_proto()

def fcn():
    n = caffe.NetSpec()
    n.data = L.Input(shape=[dict(dim=[1, 3, 99, 99])])
    n.conv = L.Convolution(n.data, num_output=4, kernel_size=3, pad=50, stride=1)
    n.pool = L.Pooling(n.conv, kernel_size=2, stride=2)
    n.relu = L.ReLU(n.pool, in_place=True)
    n.up = L.Deconvolution(n.relu, convolution_param=dict(num_output=4, kernel_size=4, stride=2))
    n.score = crop(n.up, n.data)
    return n.to_proto()

def odd():
    n = caffe.NetSpec()
    n.a = L.Input(shape=dict(dim=[1, 3, 8, 8]))
    n.b = L.Convolution(n.a, num_output=3, kernel_size=3, convolution_param=dict(num_output=5))
    n.b = L.ReLU(n.b)
    n.c = L.Slice(n.b, ntop=2, slice_param=dict(axis=1, slice_point=[1]))[1]
    n.d = L.Data(name="dd", top=["x", "y"], ntop=0, include=[dict(phase=0), dict(stage=["s"])])
    n.e = L.Dropout(n.c, in_place=True, dropout_param={})
    n.f = L.Eltwise(n.e, n.c, eltwise_param=dict(coeff=[1, -1]), loss_weight=2)
    n.g = L.Power(n.f, name="other", type="Exp", power=2)
    n.h = L.DiceLoss(n.g, bottom="label", argmax_param=dict(axis=1))
    return n.to_proto()

def mistakes():
    data = L.Input(shape=dict(dim=[1, 3, 9, 9]))
    conv = L.Convolution(data, num_output=1, kernel_size=3, stride=2)
    found = {}
    for name, work in {
        "no top": lambda: L.ReLU(3),
        "no field": lambda: caffe.to_proto(L.ReLU(data, kernal=3)),
        "no short form": lambda: caffe.to_proto(L.Deconvolution(data, num_output=2)),
        "a fraction": lambda: caffe.to_proto(L.Convolution(data, num_output=2.5)),
        "None": lambda: caffe.to_proto(L.Convolution(data, num_output=None)),
        "a tuple": lambda: caffe.to_proto(L.Convolution(data, kernel_size=(3, 3))),
        "an empty list": lambda: caffe.to_proto(L.Convolution(data, kernel_size=[])),
        "no such name": lambda: caffe.NetSpec().nothing,
        "no such enum": lambda: P.Pooling.NONE,
        "scale": lambda: crop(conv, data),
        "negative": lambda: crop(L.Convolution(data, num_output=1, kernel_size=3), data),
        "apart": lambda: crop(conv, L.Input(shape=dict(dim=[1]))),
    }.items():
        try:
            work()
            found[name] = "nothing"
        except Exception as error:
            found[name] = type(error).__name__
    return found

data = L.Input(shape=dict(dim=[1, 3, 9, 9]))
axis, a, b = coord_map_from_to(L.Convolution(data, num_output=1, kernel_size=5, stride=2), data)
makers = (lenet, unnamed, second_top, two_names, fcn, odd)
nets = [each().SerializeToString().hex() for each in makers]
print(json.dumps([nets, mistakes(), [axis, list(map(float, a)), list(map(float, b))]]))
"""


def test_real_pycaffe_makes_the_same_nets_and_mistakes(caffe, tmp_path):
    (tmp_path / "nets.py").write_text(NETS)
    words = [*caffe_runtime.command("python"), str(tmp_path / "nets.py")]
    real = subprocess.run(
        words, env=caffe_runtime.environment(), capture_output=True, text=True, check=True
    )
    code = "from fcnkit.cli.main import run; run()"
    words = [sys.executable, "-c", code, "run", str(tmp_path / "nets.py")]
    ours = subprocess.run(words, capture_output=True, text=True, check=True)
    (nets, errors, place), (own, said, lies) = json.loads(real.stdout), json.loads(ours.stdout)
    make = message("NetParameter").FromString
    assert [make(bytes.fromhex(each)) for each in own] == [
        make(bytes.fromhex(each)) for each in nets
    ]
    assert said == errors
    assert lies == place


def test_a_misspelt_field_is_named_with_the_nearest():
    data = L.Input(shape={"dim": [1, 3, 9, 9]})
    with pytest.raises(
        AttributeError, match='Convolution has no field kernal_size; .*"kernel_size"'
    ):
        caffe.to_proto(L.Convolution(data, kernal_size=3))
    with pytest.raises(AttributeError, match=r"fields of this type are in convolution_param=dict"):
        caffe.to_proto(L.Deconvolution(data, num_output=3))
    with pytest.raises(AttributeError, match='FillerParameter has no field tipe; .*"type"'):
        caffe.to_proto(L.Convolution(data, weight_filler={"tipe": "xavier"}))


def test_a_spec_is_a_mapping_of_its_tops():
    n = caffe.NetSpec()
    n.a = L.Input()
    n["b"] = L.ReLU(n.a)
    assert n.keys() == ["a", "b"]
    assert n.vals() == [n.a, n.b]
    assert n.b.fn.inputs == (n.a,)
    del n["b"]
    assert n.keys() == ["a"]
    assert P.Pooling.MAX == 0


def test_maps_compose_and_invert():
    down, back = (1, 0.5, -1.0), (1, 2.0, 2.0)
    assert coord_map.compose(down, back) == (1, 1.0, 0.0)
    assert coord_map.inverse(down) == back
    assert coord_map.compose((None, 1, 0), down) == down
    with pytest.raises(coord_map.AxisMismatchException):
        coord_map.compose((1, 1, 0), (2, 1, 0))


def test_a_long_net_is_made_without_recursion():
    n = caffe.NetSpec()
    n.data = L.Input()
    top = n.data
    for _ in range(3000):
        top = L.ReLU(top)
    assert len(caffe.to_proto(top).layer) == 3001


def test_modules_of_a_real_caffe_come_back(tmp_path, monkeypatch):
    marker = object()
    monkeypatch.setitem(sys.modules, "caffe", marker)
    script = tmp_path / "s.py"
    script.write_text(
        "import sys, caffe\nassert caffe.NetSpec\nassert sys.argv[1:] == ['a', '-x']\n"
    )
    done = CliRunner().invoke(main, ["run", str(script), "a", "-x"])
    assert done.exit_code == 0, done.output
    assert sys.modules["caffe"] is marker
    assert "caffe.net_spec" not in sys.modules


def test_a_script_that_is_not_there():
    done = CliRunner().invoke(main, ["run", "nowhere.py"])
    assert done.exit_code == 2
    assert "nowhere.py: is not a file; name a script, or a module with -m" in done.stderr


def test_no_engine_is_imported():
    code = "import sys, fcnkit.pycaffe; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_message_is_there():
    from fcnkit.pycaffe.proto import caffe_pb2

    assert caffe_pb2.NetParameter is message("NetParameter")
    assert caffe_pb2.TEST == 1
    assert caffe_pb2.Phase.Name(0) == "TRAIN"
    assert caffe_pb2.Phase.TEST == caffe_pb2.Phase.Value("TEST") == 1
    assert "Datum" in caffe_pb2.DESCRIPTOR.message_types_by_name
    assert net_spec.own_fields()["Convolution"] == "convolution_param"
