"""What people do with pycaffe, from the first line to the last, beside real pycaffe."""

import pytest
from beside_pycaffe import check_equal

pytest.importorskip("torch")

pytestmark = pytest.mark.usefixtures("one_thread")

HEAD = """
import os
from caffe import layers as L, params as P
from caffe.proto import caffe_pb2
from google.protobuf import text_format

def fill(net, seed=0):
    rng = np.random.RandomState(seed)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = rng.randn(*blob.data.shape) * 0.1

def write(name, text):
    with open(name, "w") as file:
        file.write(str(text))

def solver(name, text, net):
    write(name + "_net.prototxt", net)
    write(name + ".prototxt", 'net: "%s_net.prototxt" snapshot_prefix: "%s" lr_policy: "fixed" %s'
          % (name, name, text))
    made = caffe.get_solver(name + ".prototxt")
    fill(made.net)
    return made
"""

# A generator and a discriminator, whose gradients go from net to net.
ADVERSARIES = """
n = caffe.NetSpec()
n.z = L.Input(shape=dict(dim=[4, 3]))
n.g1 = L.InnerProduct(n.z, num_output=8)
n.relu = L.ReLU(n.g1, in_place=True)
n.x = L.InnerProduct(n.relu, num_output=5)
makes = solver("makes", "base_lr: 0.05 momentum: 0.5",
               str(n.to_proto()) + " force_backward: true").net
n = caffe.NetSpec()
n.x, n.label = L.Input(shape=dict(dim=[4, 5])), L.Input(shape=dict(dim=[4, 1]))
n.d1 = L.InnerProduct(n.x, num_output=6)
n.relu = L.ReLU(n.d1, in_place=True, negative_slope=0.2)
n.score = L.InnerProduct(n.relu, num_output=1)
n.loss = L.SigmoidCrossEntropyLoss(n.score, n.label)
tells = solver("tells", "base_lr: 0.05 momentum: 0.5",
               str(n.to_proto()) + " force_backward: true").net
one, two = caffe.SGDSolver("makes.prototxt"), caffe.SGDSolver("tells.prototxt")
makes, tells = one.net, two.net
fill(makes, 1)
fill(tells, 2)
rng, seen = np.random.RandomState(0), []
for step in range(10):
    tells.clear_param_diffs()
    makes.clear_param_diffs()
    makes.blobs["z"].data[...] = rng.rand(4, 3)
    makes.forward()
    for real, images in ((1, rng.rand(4, 5)), (0, makes.blobs["x"].data)):
        tells.blobs["x"].data[...], tells.blobs["label"].data[...] = images, real
        seen.append(float(tells.forward()["loss"]))
        tells.backward()
    two.apply_update()
    tells.blobs["label"].data[...] = 1
    tells.forward()
    makes.blobs["x"].diff[...] = tells.backward()["x"]
    makes.backward()
    one.apply_update()
out["losses"], out["iters"] = seen, [one.iter, two.iter]
out["makes"], out["tells"] = makes.params["g1"][0].data, tells.params["d1"][0].data
"""

# Two branches of one set of weights; snapshots, and what is read of them again.
SIAMESE = """
n = caffe.NetSpec()
n.a, n.b = L.Input(shape=dict(dim=[3, 5])), L.Input(shape=dict(dim=[3, 5]))
n.same = L.Input(shape=dict(dim=[3]))
rates = [dict(name="w", lr_mult=1), dict(name="bias", lr_mult=2)]
n.fa = L.InnerProduct(n.a, num_output=4, param=rates)
n.fb = L.InnerProduct(n.b, num_output=4, param=rates)
n.loss = L.ContrastiveLoss(n.fa, n.fb, n.same, contrastive_loss_param=dict(margin=1))
made = solver("x", 'base_lr: 0.1 type: "Adam" momentum: 0.9 momentum2: 0.999', n.to_proto())
rng = np.random.RandomState(1)
for name in "ab":
    made.net.blobs[name].data[...] = rng.rand(3, 5)
made.net.blobs["same"].data[...] = [1, 0, 1]
made.step(5)
made.snapshot()
for name in ("fa", "fb"):
    out[name], out[name + " diff"] = (made.net.params[name][0].data, made.net.params[name][0].diff)
read = caffe.Net("x_net.prototxt", "x_iter_5.caffemodel", caffe.TEST)
read.save_hdf5("x.h5")
again = caffe.Net("x_net.prototxt", caffe.TEST)
again.load_hdf5("x.h5")
out["read"], out["again"] = read.params["fb"][0].data, again.params["fb"][0].data
on = caffe.get_solver("x.prototxt")
on.restore("x_iter_5.solverstate")
for name in ("a", "b", "same"):
    on.net.blobs[name].data[...] = made.net.blobs[name].data
on.step(3)
# Not the bias: its two gradients cancel, and Adam would enlarge what rounding leaves of them.
out["on"], out["iter"] = on.net.params["fa"][0].data, on.iter
"""

# Layers in Python: data, one that learns, one in place, one that only looks.
SCRIPTED = """
import json, sys
write("mine.py", '''
import caffe, json
import numpy as np

class Feed(caffe.Layer):
    def setup(self, bottom, top):
        self.batch, self.at = json.loads(self.param_str)["batch"], 0
        self.rng = np.random.RandomState(3)
    def reshape(self, bottom, top):
        self.data = self.rng.rand(self.batch, 3, 8 + self.at, 8)
        top[0].reshape(*self.data.shape)
        top[1].reshape(self.batch)
    def forward(self, bottom, top):
        top[0].data[...], top[1].data[...] = self.data, np.arange(self.batch)
        self.at = (self.at + 1) % 3
    def backward(self, top, propagate_down, bottom):
        pass

class Gain(caffe.Layer):
    def setup(self, bottom, top):
        self.blobs.add_blob(bottom[0].channels)
        self.blobs[0].data[...] = 2
    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)
    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data * self.blobs[0].data[:, None, None]
    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[...] += (top[0].diff * bottom[0].data).sum(axis=(0, 2, 3))
        bottom[0].diff[...] = top[0].diff * self.blobs[0].data[:, None, None]

class Twice(caffe.Layer):
    def setup(self, bottom, top):
        self.passes = 0
    def reshape(self, bottom, top):
        pass
    def forward(self, bottom, top):
        self.passes += 1
        bottom[0].data[...] *= 2
    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] *= 2
''')
sys.path.insert(0, ".")
n = caffe.NetSpec()
n.data, n.label = L.Python(module="mine", layer="Feed", param_str='{"batch": 2}', ntop=2)
n.conv = L.Convolution(n.data, num_output=4, kernel_size=3)
n.twice = L.Python(n.conv, module="mine", layer="Twice", in_place=True)
n.gain = L.Python(n.twice, module="mine", layer="Gain")
n.pool = L.Pooling(n.gain, pool=P.Pooling.AVE, global_pooling=True)
n.flat = L.Flatten(n.pool)
n.loss = L.SoftmaxWithLoss(n.flat, n.label)
made = solver("s", "base_lr: 0.05 momentum: 0.9", n.to_proto())
made.net.params["gain"][0].data[...] = 1.5
seen = []
for step in range(9):
    made.step(1)
    seen.append(float(made.net.blobs["loss"].data))
    out["shape %d" % step] = made.net.blobs["gain"].data.shape
out["losses"], out["types"] = seen, [layer.type for layer in made.net.layers]
out["passes"] = made.net.layers[list(made.net._layer_names).index("twice")].passes
for name in ("conv", "gain"):
    out[name], out[name + " diff"] = made.net.params[name][0].data, made.net.params[name][0].diff
"""

# A net and a solver that are edited as messages; rates by layer, two passes a step.
EDITED = """
n = caffe.NetSpec()
n.data = L.Input(shape=dict(dim=[2, 3, 8, 8]))
n.conv1 = L.Convolution(n.data, num_output=4, kernel_size=3)
n.relu1 = L.ReLU(n.conv1, in_place=True)
n.fc = L.InnerProduct(n.relu1, num_output=9)
n.prob = L.Softmax(n.fc)
net = caffe_pb2.NetParameter()
text_format.Merge(str(n.to_proto()), net)
net.name = "edited"
net.layer.remove(net.layer[-1])
for layer in net.layer:
    if layer.type == "Input":
        layer.input_param.shape[0].dim[0] = 4
    elif layer.name == "conv1":
        for rate in (0.1, 0.2):
            layer.param.add(lr_mult=rate)
    elif layer.name == "fc":
        layer.inner_product_param.num_output = 4
label = net.layer.add(name="label", type="Input", top=["label"])
label.input_param.shape.add().dim.extend([4])
net.layer.add().CopyFrom(caffe_pb2.LayerParameter(
    name="loss", type="SoftmaxWithLoss", bottom=["fc", "label"], top=["loss"]))
write("n.prototxt", text_format.MessageToString(net))
asked = caffe_pb2.SolverParameter()
text_format.Parse('net: "n.prototxt" base_lr: 0.1 lr_policy: "multistep" stepvalue: 3 '
                  'stepvalue: 6 gamma: 0.5 momentum: 0.9 clip_gradients: 2', asked)
asked.iter_size, asked.weight_decay = 2, 0.01
write("s.prototxt", asked)
made = caffe.get_solver("s.prototxt")
fill(made.net)
made.net.blobs["data"].data[...] = np.random.RandomState(1).rand(4, 3, 8, 8)
made.net.blobs["label"].data[...] = range(4)
made.step(8)
for name, blobs in made.net.params.items():
    for number, blob in enumerate(blobs):
        out["%s %d" % (name, number)], out["%s %d diff" % (name, number)] = blob.data, blob.diff
out["names"] = [layer.name + layer.type for layer in net.layer]
out["set"] = [name.name for name, _ in net.layer[1].ListFields()]
"""


@pytest.mark.parametrize(
    "job",
    [ADVERSARIES, SIAMESE, SCRIPTED, EDITED],
    ids=["adversaries", "siamese", "scripted", "edited"],
)
def test_a_job_ends_as_in_pycaffe(job, caffe, tmp_path):
    check_equal(HEAD + job, tmp_path, tolerance=1e-4)
