"""caffe.Net without Caffe, beside real pycaffe: what it shows, its passes, its files."""

import subprocess
import sys

import numpy as np
import pytest
from beside_pycaffe import check_equal, in_both

pytest.importorskip("torch")

import torch

import fcnkit.pycaffe as caffe
from fcnkit.errors import EngineError, FcnkitError, NetError, WeightsError
from fcnkit.pycaffe import running
from fcnkit.pycaffe.memory import CPU, Blob, Memory

pytestmark = pytest.mark.usefixtures("one_thread")

# Blobs that several layers read, layers in place, a loss beside an output, two phases.
NET = """
name: "tried" force_backward: true
layer { name: "data" type: "Input" top: "data"
  input_param { shape { dim: 2 dim: 3 dim: 9 dim: 8 } } }
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 2 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 kernel_size: 3 bias_term: false
  weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "wide" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "wide" top: "wide" }
layer { name: "zz" type: "Pooling" bottom: "wide" top: "zz"
  pooling_param { kernel_size: 3 stride: 2 pool: MAX } }
layer { name: "aa" type: "LRN" bottom: "wide" top: "aa" }
layer { name: "flat" type: "Flatten" bottom: "zz" top: "flat" }
layer { name: "ip" type: "InnerProduct" bottom: "flat" top: "ip"
  inner_product_param { num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "drop" type: "Dropout" bottom: "ip" top: "ip" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss"
  loss_weight: 2 }
layer { name: "more" type: "EuclideanLoss" bottom: "ip" bottom: "ip" }
layer { name: "acc" type: "Accuracy" bottom: "ip" bottom: "label" top: "acc"
  include { phase: TEST } }
"""

FILLED = f"""
open("net.prototxt", "w").write('''{NET}''')

def seeded(net):
    rng = np.random.RandomState(0)
    for name, blobs in net.params.items():
        for blob in blobs:
            blob.data[...] = rng.rand(*blob.data.shape) - 0.3
    for name in net.inputs:
        data = net.blobs[name].data
        data[...] = rng.randint(0, 5, data.shape) if name == "label" else rng.randn(*data.shape)
    return net

def everything(net, word):
    for name, blob in net.blobs.items():
        out[word + " data " + name] = blob.data.copy()
        out[word + " diff " + name] = blob.diff.copy()
    for name, blobs in net.params.items():
        for number, blob in enumerate(blobs):
            out["%s param %s %d" % (word, name, number)] = blob.data.copy()
            out["%s param diff %s %d" % (word, name, number)] = blob.diff.copy()
"""

SHOWN = """
for phase in (caffe.TRAIN, caffe.TEST):
    net = caffe.Net("net.prototxt", phase)
    out["names %d" % phase] = list(net._layer_names)
    out["types %d" % phase] = [layer.type for layer in net.layers]
    out["blobs %d" % phase] = list(net.blobs)
    out["params %d" % phase] = [repr((k, [b.data.shape for b in v])) for k, v in net.params.items()]
    out["tops %d" % phase] = [repr((k, list(v))) for k, v in net.top_names.items()]
    out["bottoms %d" % phase] = [repr((k, list(v))) for k, v in net.bottom_names.items()]
    out["ends %d" % phase] = [repr(net.inputs), repr(net.outputs)]
    out["weights %d" % phase] = list(net._blob_loss_weights)
    out["ids %d" % phase] = [repr([list(net._top_ids(i)), list(net._bottom_ids(i))])
                             for i in range(len(net.layers))]
    out["in %d" % phase] = list(net._inputs) + list(net._outputs)
"""

PASSES = """
net = seeded(caffe.Net("net.prototxt", caffe.TRAIN))
out["loss"] = net._forward(0, len(net.layers) - 1)
net.blobs["aa"].diff[...] = np.arange(net.blobs["aa"].count).reshape(net.blobs["aa"].data.shape)
net.backward()
net.backward()
everything(net, "twice")
net.clear_param_diffs()
net.blobs["wide"].diff[...] = 7
net.backward(start="relu", end="conv")
everything(net, "part")
net.blobs["wide"].data[...] = np.sin(net.blobs["wide"].data)
net.forward(start="zz", end="ip")
everything(net, "middle")
found = net.forward(data=np.cos(net.blobs["data"].data), label=np.zeros(2, "f"), blobs=["conv"])
out["keys"] = sorted(found)
out["all"] = sorted(net.forward(end="aa"))
net.blobs["data"].reshape(1, 3, 9, 8)
net.blobs["label"].reshape(1)
net.reshape()
net.forward()
everything(net, "smaller")
"""

BATCHES = """
open("one.prototxt", "w").write('''force_backward: true
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 4
  weight_filler { type: "constant" value: 0.5 } } }''')
net = caffe.Net("one.prototxt", caffe.TEST)
rows = np.arange(15, dtype="f").reshape(5, 3)
out["rows"] = net.forward_all(data=rows)["ip"]
values, diffs = net.forward_backward_all(data=rows, ip=np.ones((5, 4), "f"))
out["values"], out["diffs"] = values["ip"], diffs["data"]
heard = []
net.before_forward(lambda number: heard.append(("bf", number)))
net.after_forward(lambda number: heard.append(("af", number)))
net.before_backward(lambda number: heard.append(("bb", number)))
net.after_backward(lambda number: heard.append(("ab", number)))
net.forward(data=rows[:2])
net.backward(ip=np.ones((2, 4), "f"))
out["heard"] = [repr(each) for each in heard]
open("memory.prototxt", "w").write('''
layer { name: "data" type: "MemoryData" top: "data" top: "label"
  memory_data_param { batch_size: 2 channels: 1 height: 2 width: 3 } }
layer { name: "power" type: "Power" bottom: "data" top: "power" power_param { scale: 2 } }''')
net = caffe.Net("memory.prototxt", caffe.TEST)
images = np.arange(24, dtype="f").reshape(4, 1, 2, 3)
net.set_input_arrays(images, np.arange(4, dtype="f"))
for number in range(3):
    net.forward()
    out["images %d" % number] = net.blobs["power"].data.copy()
    out["labels %d" % number] = net.blobs["label"].data.copy()
"""

SHARED = """
open("shared.prototxt", "w").write('''force_backward: true
layer { name: "data" type: "DummyData" top: "data" top: "moved" dummy_data_param {
  shape { dim: 2 dim: 3 } shape { dim: 1 } data_filler { type: "constant" value: 2 }
  data_filler { type: "uniform" } } }
layer { name: "one" type: "InnerProduct" bottom: "data" top: "one" param { name: "w" }
  inner_product_param { num_output: 3 bias_term: false
    weight_filler { type: "constant" value: 3 } } }
layer { name: "two" type: "InnerProduct" bottom: "one" top: "two" param { name: "w" }
  inner_product_param { num_output: 3 bias_term: false } }
layer { name: "loss" type: "Reduction" bottom: "two" top: "loss" loss_weight: 1 }''')
net = caffe.Net("shared.prototxt", caffe.TRAIN)
net.forward()
net.backward()
out["sum"] = net.params["one"][0].diff
out["same"] = net.params["two"][0].diff
before = net.blobs["moved"].data.copy()
net.blobs["data"].data[...] = 5
net.forward()
out["constant"] = net.blobs["data"].data
out["drawn"] = str((before != net.blobs["moved"].data).all())
other = caffe.Net("shared.prototxt", caffe.TRAIN)
other.share_with(net)
net.params["one"][0].data[...] = 9
out["theirs"] = other.params["two"][0].data
net.save("net.caffemodel")
net.save_hdf5("net.h5")
for name in ("net.caffemodel", "net.h5"):
    read = caffe.Net("shared.prototxt", name, caffe.TEST)
    out[name] = read.params["one"][0].data
"""


@pytest.mark.parametrize("script", [SHOWN, PASSES], ids=["shown", "passes"])
def test_a_net_is_as_pycaffes(script, caffe, tmp_path):
    check_equal(FILLED + script, tmp_path)


@pytest.mark.parametrize("script", [BATCHES, SHARED], ids=["batches", "shared"])
def test_what_else_a_net_does_is_as_pycaffes(script, caffe, tmp_path):
    check_equal(script, tmp_path)


@pytest.mark.parametrize("head", ['name: "n"\n', ""])
def test_each_reads_what_the_other_saves(head, caffe, tmp_path):
    """A net without a name is saved with one that is empty."""
    script = (
        FILLED
        + f"""
text = open("net.prototxt").read()
open("net.prototxt", "w").write({head!r} + text[text.index("layer"):])
seeded(caffe.Net("net.prototxt", caffe.TRAIN)).save("saved.caffemodel")
"""
    )
    in_both(script, tmp_path)
    read = f"""
from caffe.proto import caffe_pb2
for number, who in enumerate(("real", "ours")):
    net = caffe_pb2.NetParameter()
    net.ParseFromString(open("{tmp_path}/%s/saved.caffemodel" % who, "rb").read())
    out[str(number)] = str(net)
    caffe.Net("{tmp_path}/ours/net.prototxt", "{tmp_path}/%s/saved.caffemodel" % who, 1)
"""
    for found in in_both(read, tmp_path / "read"):
        assert found["0"] == found["1"]


SCRIPTED = '''
import sys
open("layers_here.py", "w").write("""
import caffe
class Twice(caffe.Layer):
    def setup(self, bottom, top):
        self.factor = float(self.param_str)
        self.asked = []
        self.blobs.add_blob(3)
        self.blobs[0].data[...] = 1
    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)
    def forward(self, bottom, top):
        top[0].data[...] = self.factor * bottom[0].data * self.blobs[0].data
    def backward(self, top, propagate_down, bottom):
        self.asked.append(list(propagate_down))
        self.blobs[0].diff[...] += (self.factor * top[0].diff * bottom[0].data).sum(0)
        if propagate_down[0]:
            bottom[0].diff[...] = self.factor * top[0].diff * self.blobs[0].data
class Wrong(caffe.Layer):
    def setup(self, bottom, top):
        raise KeyError("mine")
class Phase(Twice):
    def forward(self, bottom, top):
        top[0].data[...] = self.phase
""")
sys.path.insert(0, ".")
NET = """force_backward: %s
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "twice" type: "Python" bottom: "data" top: "twice"
  python_param { module: "layers_here" layer: "%s" param_str: "2.5" } }
layer { name: "loss" type: "Reduction" bottom: "twice" top: "loss" loss_weight: 3 }"""
open("net.prototxt", "w").write(NET % ("true", "Twice"))
net = caffe.Net("net.prototxt", caffe.TRAIN)
net.forward(data=np.arange(6, dtype="f").reshape(2, 3))
net.backward()
out["diff"], out["weights"] = net.blobs["data"].diff, net.params["twice"][0].diff
out["asked"] = [repr(net.layers[1].asked), str(net.layers[1].phase), net.layers[1].param_str]
for number, word in enumerate(("", "phase: TEST")):
    text = NET.replace("bottom", word + " bottom", 1)
    open("phase.prototxt", "w").write(text % ("true", "Phase"))
    net = caffe.Net("phase.prototxt", caffe.TRAIN)
    out["phase %d" % number] = net.forward(blobs=["twice"])["twice"]
open("wrong.prototxt", "w").write(NET % ("true", "Wrong"))
try:
    caffe.Net("wrong.prototxt", caffe.TEST)
except KeyError as error:
    out["raised"] = str(error)
'''


def test_a_python_layer_is_as_pycaffes(caffe, tmp_path):
    check_equal(SCRIPTED, tmp_path)


def test_a_python_layer_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    layer = 'layer {{ name: "p" type: "Python" top: "p" python_param {{ {} }} }}'
    for words, fact in (
        ('module: "nowhere_at_all" layer: "L"', 'there is no module "nowhere_at_all"; put'),
        ('module: "json" layer: "L"', 'module "json" has no class "L"; check python_param'),
        ('module: "json" layer: "JSONDecoder"', r"json.JSONDecoder is not a caffe.Layer"),
    ):
        (tmp_path / "n.prototxt").write_text(layer.format(words))
        with pytest.raises(NetError, match=fact):
            caffe.Net("n.prototxt", caffe.TEST)


def test_where_a_layer_goes_wrong_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "wrong_layer.py").write_text(
        "import caffe\nclass L(caffe.Layer):\n    def setup(self, bottom, top):\n        1 / 0\n"
    )
    python = 'python_param { module: "wrong_layer" layer: "L" }'
    (tmp_path / "n.prototxt").write_text(f'layer {{ name: "p" type: "Python" top: "p" {python} }}')
    with pytest.raises(ZeroDivisionError) as raised:
        caffe.Net("n.prototxt", caffe.TEST)
    if hasattr(raised.value, "__notes__"):
        assert raised.value.__notes__ == ['n.prototxt:1: in layer "p"']
    (tmp_path / "n.prototxt").write_text(
        'layer { name: "d" type: "Data" top: "d" data_param { source: "x" backend: LMDB '
        "batch_size: 1 } }"
    )
    with pytest.raises(NetError, match='n.prototxt:1: layer "d": x: is not an LMDB'):
        caffe.Net("n.prototxt", caffe.TEST)


def small(folder, text=NET):
    path = folder / "net.prototxt"
    path.write_text(text)
    return path


def test_calls_that_there_are_not(tmp_path):
    path = str(small(tmp_path))
    for call in (("nowhere", caffe.TEST), (path, "nowhere", caffe.TEST)):
        with pytest.raises(RuntimeError, match="Could not open file nowhere"):
            caffe.Net(*call)
    for call in ((path, "weights"), (path,), (path, 1.0), (path, caffe.TEST, 0, None, None, 5)):
        with pytest.raises(TypeError):
            caffe.Net(*call)
    with pytest.raises(TypeError, match="give strings"):
        caffe.Net(path, caffe.TEST, stages=[5])
    with pytest.raises(ValueError, match=r"phase 2: give caffe.TRAIN or caffe.TEST"):
        caffe.Net(path, 2)
    net = caffe.Net(path, caffe.TEST)
    for wrong in ({"data": np.zeros((2, 3, 9, 8))}, {"other": np.zeros(2)}):
        with pytest.raises(Exception, match="Input blob arguments do not match net inputs"):
            net.forward(**wrong)
    with pytest.raises(RuntimeError, match="no inputs are given"):
        net.forward_all()
    with pytest.raises(Exception, match="Input blob arguments do not match net inputs"):
        net.forward_backward_all(data=np.zeros((2, 3, 9, 8)), other=np.zeros(2))
    with pytest.raises(Exception, match="Input is not batch sized"):
        net.forward(data=np.zeros((1, 3, 9, 8)), label=np.zeros(2))
    with pytest.raises(ValueError, match='"con" is not a layer of this net; did you mean "conv"'):
        net.forward(start="con")
    with pytest.raises(KeyError, match="it has data, label, "):
        net.forward(blobs=["nothing"])
    with pytest.raises(RuntimeError, match="first layer is a MemoryDataLayer"):
        net.set_input_arrays(np.zeros((2, 3, 9, 8), "f"), np.zeros(2, "f"))


def test_what_aborts_caffe_is_an_error(tmp_path):
    with pytest.raises(
        EngineError, match="does not run the type Nowhere; run the script with the fork"
    ):
        caffe.Net(str(small(tmp_path, 'layer { name: "a" type: "Nowhere" top: "a" }')), 1)
    with pytest.raises(NetError, match='bottom "b" is not the top of an earlier layer'):
        caffe.Net(str(small(tmp_path, 'layer { name: "a" type: "ReLU" bottom: "b" top: "a" }')), 1)
    text = """
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 } } loss_weight: 1 }
layer { name: "r" type: "ReLU" bottom: "x" top: "x" }"""
    with pytest.raises(NetError, match='in place on "x", which has a loss_weight; Caffe refuses'):
        caffe.Net(str(small(tmp_path, text)), 1)
    net = caffe.Net(str(small(tmp_path)), caffe.TEST)
    net.blobs["data"].reshape(2, 3, 12, 12)
    with pytest.raises(NetError, match="its parameter 0 is 5 x 36 and would have to be 5 x 100"):
        net.forward()
    other = caffe.Net(str(small(tmp_path, NET.replace("num_output: 5", "num_output: 6"))), 1)
    other.save(str(tmp_path / "six.caffemodel"))
    with pytest.raises(WeightsError, match='layer "ip": blob 0 is 6 x 36, in the net 5 x 36'):
        net.copy_from(str(tmp_path / "six.caffemodel"))


def test_words_that_are_nearly_right(tmp_path):
    for old, new, error, words in (
        ('"Pooling"', '"Poolin"', EngineError, 'type Poolin; did you mean "Pooling"'),
        ('"xavier"', '"xaver"', NetError, 'net.prototxt:.*layer "conv": filler "xaver"'),
        ("loss_weight: 2", "loss_weight: 2 loss_weight: 0", NetError, "give 1, one for each"),
    ):
        with pytest.raises(error, match=words):
            caffe.Net(str(small(tmp_path, NET.replace(old, new))), caffe.TRAIN)


def test_a_sure_loss_is_0(tmp_path):
    text = """layer { name: "a" type: "Input" top: "a" top: "b"
  input_param { shape { dim: 2 dim: 4 } shape { dim: 2 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "a" bottom: "b" top: "loss" }"""
    net = caffe.Net(str(small(tmp_path, text)), caffe.TEST)
    net.blobs["a"].data[:, 0] = 1000
    assert str(net.forward()["loss"]) == "0.0"


def test_a_blob_that_shrinks_keeps_its_memory():
    blob = Blob(2, 3)
    view = blob.data
    blob.reshape(1, 3)
    blob.data[...] = 4
    assert view[0].tolist() == [4, 4, 4]
    blob.reshape(20)
    blob.data[...] = 5
    assert view.max() == 4
    assert not blob.diff.any()
    assert list(blob.shape) == [20]
    assert (blob.num, blob.channels, blob.height, blob.width) == (20, 1, 1, 1)
    assert blob.shape != [20]


def test_a_blob_takes_whole_numbers_alone():
    blob = Blob(2)
    for wrong in ((1.0,), ((2, 3),)):
        with pytest.raises(TypeError):
            blob.reshape(*wrong)
    with pytest.raises(ValueError, match="sizes are 0 or more"):
        blob.reshape(-1)
    with pytest.raises(AttributeError):
        blob.data = 5
    blob.reshape(1, 1, 1, 1, 1)
    with pytest.raises(ValueError, match="5 axes has no num, channels"):
        _ = blob.num


def test_what_is_written_last_counts_on_either_side():
    # A second memory on the CPU stands for that of a GPU.
    memory = Memory(3)
    here = memory.on(CPU, write=True)
    here.fill_(1)
    there = memory._on_device(CPU, write=False)
    assert there.tolist() == [1, 1, 1]
    assert there.data_ptr() != here.data_ptr()
    memory._on_device(CPU, write=True).fill_(2)
    assert here.tolist() == [1, 1, 1]
    assert memory.on(CPU).tolist() == [2, 2, 2]
    memory.on(CPU, write=True).fill_(3)
    assert memory._on_device(CPU, write=False).tolist() == [3, 3, 3]
    assert memory.on(CPU) is here


def test_arrays_outlive_their_net(tmp_path):
    net = caffe.Net(str(small(tmp_path)), caffe.TEST)
    weights = net.params["conv"][0].data
    total = weights.sum()
    del net
    assert weights.sum() == total


def test_one_seed_draws_the_same(tmp_path):
    path = str(small(tmp_path))
    found = []
    for _ in range(2):
        caffe.set_random_seed(7)
        net = caffe.Net(path, caffe.TRAIN)
        found.append(net.params["conv"][0].data.copy())
    assert (found[0] == found[1]).all()
    with pytest.raises(OverflowError):
        caffe.set_random_seed(-1)


def test_a_dropped_value_is_dropped_on_the_way_back_too(tmp_path):
    text = """force_backward: true
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1000 } } }
layer { name: "drop" type: "Dropout" bottom: "x" top: "x" }"""
    net = caffe.Net(str(small(tmp_path, text)), caffe.TRAIN)
    values = net.forward(x=np.ones(1000, "f"))["x"].copy()
    gradients = net.backward(x=np.ones(1000, "f"))["x"]
    assert 350 < (values == 0).sum() < 650
    assert (values == gradients).all()


def test_no_gpu_is_said_and_the_cpu_computes(tmp_path, capsys, monkeypatch):
    from fcnkit.pycaffe import modes

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(modes._Process, "told", False)
    caffe.set_mode_gpu()
    caffe.set_device(0)
    try:
        net = caffe.Net(str(small(tmp_path)), caffe.TEST)
        net.forward()
        net.forward()
    finally:
        caffe.set_mode_cpu()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("set_mode_gpu(): PyTorch finds no GPU here; computing on the CPU")


def test_a_timer_counts_milliseconds():
    timer = caffe.Timer()
    timer.stop()
    assert timer.ms == 0
    timer.start()
    timer.stop()
    assert 0 < timer.ms < 10_000


def test_every_type_of_caffes_is_listed():
    names = list(caffe.layer_type_list())
    assert {"Convolution", "Data", "InnerProduct", "Python"} <= set(names)
    assert names == sorted(names)


READ = """
open("read.prototxt", "w").write('''
layer {{ name: "data" type: "Data" top: "data" top: "label"
  data_param {{ source: "{folder}/images" backend: LMDB batch_size: 3 }}
  transform_param {{ mirror: true crop_size: 4 scale: 0.5 mean_value: 7 }} }}
layer {{ name: "rows" type: "HDF5Data" top: "rows"
  hdf5_data_param {{ source: "{folder}/list.txt" batch_size: 2 }} }}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {{ num_output: 2 kernel_size: 3
    weight_filler {{ type: "constant" value: 1 }} }} }}
''')
for phase in (caffe.TRAIN, caffe.TEST):
    caffe.set_random_seed(5)
    net = caffe.Net("read.prototxt", phase)
    out["sizes %d" % phase] = list(net.blobs["data"].shape) + list(net.blobs["rows"].shape)
    for number in range(3):
        net.forward()
        for name, blob in net.blobs.items():
            out["%s %d %d" % (name, phase, number)] = blob.data.copy()
"""


def test_data_layers_read_what_pycaffes_read(caffe, tmp_path):
    lmdb = pytest.importorskip("lmdb")
    import h5py

    from fcnkit.formats.schema import message

    random = np.random.default_rng(0)
    with (
        lmdb.open(str(tmp_path / "images"), map_size=1 << 20) as database,
        database.begin(write=True) as transaction,
    ):
        for number in range(5):
            image = random.integers(0, 256, (3, 6, 7), np.uint8)
            fields = {"channels": 3, "height": 6, "width": 7, "label": number}
            datum = message("Datum")(data=image.tobytes(), **fields)
            transaction.put(b"%04d" % number, datum.SerializeToString())
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file["rows"] = random.normal(size=(5, 2)).astype("f")
    (tmp_path / "list.txt").write_text(f"{tmp_path / 'rows.h5'}\n")
    check_equal(READ.format(folder=tmp_path), tmp_path / "both")


# 64 MB each: the image, the features and their gradients, a matrix and its gradients.
LARGE = """
import re
import torch
import fcnkit.pycaffe as caffe

def most():  # of this program alone: getrusage begins with what the tests' process has
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])

torch.set_num_threads(1)
# What PyTorch takes once, whatever the net.
caffe.Net("small.prototxt", caffe.TRAIN).forward()
before = most()
net = caffe.Net("large.prototxt", caffe.TRAIN)
for _ in range(2):
    net.clear_param_diffs()
    net.forward()
    net.backward()
print((most() - before) / 1024)
"""
LARGE_NET = """
layer { name: "d" type: "DummyData" top: "d" top: "e" dummy_data_param {
  shape { dim: 1 dim: SIDE dim: 512 dim: SIDE } shape { dim: 2 dim: WIDE } } }
layer { name: "c" type: "Convolution" bottom: "d" top: "c" convolution_param {
  num_output: SIDE kernel_size: 1 } }
layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
layer { name: "i" type: "InnerProduct" bottom: "e" top: "i" inner_product_param {
  num_output: WIDE weight_filler { type: "constant" value: 1 } } }
layer { name: "l" type: "Reduction" bottom: "c" top: "l" loss_weight: 1 }
layer { name: "m" type: "Reduction" bottom: "i" top: "m" loss_weight: 1 }
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in kilobytes on Linux")
def test_a_pass_takes_little_memory_beside_the_blobs(tmp_path):
    """Five arrays of 64 MB are the net's own, and fewer than four come and go in a pass."""
    for name, side, wide in (("small", 4, 4), ("large", 181, 4096)):
        net = LARGE_NET.replace("SIDE", str(side)).replace("WIDE", str(wide))
        (tmp_path / f"{name}.prototxt").write_text(net)
    command = [sys.executable, "-c", LARGE]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert 5 * 64 < float(done.stdout) < 8.5 * 64


@pytest.mark.parametrize("side, threads", [(8, 1), (200, 2)])
def test_few_numbers_are_computed_in_one_thread(side, threads, tmp_path, monkeypatch):
    """Threads that wait for each other take many times as long."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "n.prototxt").write_text(
        f'layer {{ name: "d" type: "Input" top: "d" input_param {{ shape {{ dim: 1 dim: 3 '
        f"dim: {side} dim: {side} }} }} }}"
        'layer { name: "c" type: "Convolution" bottom: "d" top: "c" convolution_param { '
        "num_output: 8 kernel_size: 3 } }"
    )
    net, seen = caffe.Net("n.prototxt", caffe.TEST), []
    net.before_forward(lambda number: seen.append(torch.get_num_threads()))
    torch.set_num_threads(2)
    net.forward()
    assert (seen, torch.get_num_threads()) == ([threads] * 2, 2)


def test_layers_that_a_file_gives_are_not_filled_first(tmp_path, monkeypatch):
    """Drawing a large net's numbers takes longer than reading them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.prototxt").write_text(NET)
    net = caffe.Net("net.prototxt", caffe.TEST)
    net.save("net.caffemodel")
    drawn = []
    filled = running.filled
    monkeypatch.setattr(
        running, "filled", lambda layer, *how: drawn.append(layer.name) or filled(layer, *how)
    )
    again = caffe.Net("net.prototxt", caffe.TEST, weights="net.caffemodel")
    assert drawn == []
    for name, blobs in net.params.items():
        for blob, other in zip(blobs, again.params[name], strict=True):
            assert np.array_equal(blob.data, other.data)
    text = NET.replace('name: "ip"', 'name: "conv"')
    (tmp_path / "net.prototxt").write_text(text)
    caffe.Net("net.prototxt", caffe.TEST, weights="net.caffemodel")
    assert drawn == ["conv"] * 2
    (tmp_path / "net.prototxt").write_text(NET.replace('"xavier"', '"xaver"'))
    monkeypatch.undo()
    with pytest.raises(NetError, match='layer "conv": filler "xaver"'):
        caffe.Net(str(tmp_path / "net.prototxt"), str(tmp_path / "net.caffemodel"), caffe.TEST)


FORKS = """
input: "data" input_shape { dim: 1 dim: 4 dim: 8 dim: 8 }
layer { name: "c" type: "Convolution" bottom: "data" top: "c"
  convolution_param { num_output: 4 kernel_size: 3 hole: 2 weight_filler { type: "xavier" } } }
layer { name: "p" type: "Permute" bottom: "c" top: "p"
  permute_param { order: 0 order: 2 order: 3 order: 1 } }
"""


def test_a_net_has_the_layers_and_words_of_forks_that_are_computed(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(FORKS)
    net = caffe.Net(str(path), caffe.TEST)
    net.blobs["data"].data[...] = np.random.RandomState(0).randn(1, 4, 8, 8)
    net.forward()
    values, weights = net.blobs["c"].data, net.params["c"][0].data
    seen = net.blobs["data"].data[0, :, 1:6:2, 1:6:2]  # every second pixel, by the hole
    assert values.shape == (1, 4, 4, 4)
    assert np.allclose(values[0, :, 1, 1], (weights * seen).sum((1, 2, 3)), atol=1e-5)
    assert np.array_equal(net.blobs["p"].data, values.transpose(0, 2, 3, 1))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("hole: 2", "hol: 2", 'ConvolutionParameter has no field "hol"'),
        ("hole: 2", "saturate: Signed", 'Caffe has no field "saturate"'),
        ('"Permute"', '"Permute" norm_param { eps: 1 }', 'Caffe has no field "norm_param"'),
        ("input: ", "default_forward_type: FLOAT16 input: ", '"default_forward_type"'),
        ("order: 1", "order: x", "order"),
    ],
)
def test_words_of_forks_that_are_not_computed_are_named(old, new, says, tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(FORKS.replace(old, new, 1))
    with pytest.raises(FcnkitError, match=says):
        caffe.Net(str(path), caffe.TEST)


@pytest.mark.parametrize("kind", ["ReLU", "Softmax", "Permute", "LRN", "Sigmoid"])
@pytest.mark.parametrize(
    ("more", "says"),
    [('top: "more"', "takes 1 top and has 2"), ('bottom: "data"', "takes 1 bottom and has 2")],
)
def test_what_a_layer_would_pass_over_is_refused_as_in_caffe(kind, more, says, tmp_path):
    path = tmp_path / "net.prototxt"
    layer = f'layer {{ name: "x" type: "{kind}" bottom: "data" top: "t" {more} }}'
    path.write_text('input: "data" input_shape { dim: 1 dim: 2 dim: 3 dim: 3 }\n' + layer)
    with pytest.raises(NetError, match=says):
        caffe.Net(str(path), caffe.TEST)
