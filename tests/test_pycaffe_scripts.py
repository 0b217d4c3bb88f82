"""A job as the FCN authors' scripts do it, in Python 2: a net, surgery, training, scores, files."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from fcnkit.cli.main import main

pytest.importorskip("torch")
pytest.importorskip("fissix")
Image = pytest.importorskip("PIL.Image")

pytestmark = pytest.mark.usefixtures("one_thread")

SHAPES = """
import caffe
import random
import numpy as np
from PIL import Image

class Shapes(caffe.Layer):
    def setup(self, bottom, top):
        params = eval(self.param_str)
        self.folder = params['folder']
        self.names = open('{}/names.txt'.format(self.folder), 'r').read().splitlines()
        self.idx = 0
        if len(top) != 2:
            raise Exception("two tops: data and label")

    def reshape(self, bottom, top):
        name = self.names[self.idx]
        im = np.array(Image.open('{}/{}.jpg'.format(self.folder, name)), dtype=np.float32)
        self.data = (im[:,:,::-1] - np.array((100., 110., 120.))).transpose((2,0,1))
        self.label = np.array(Image.open('{}/{}.png'.format(self.folder, name)), dtype=np.uint8)
        top[0].reshape(1, *self.data.shape)
        top[1].reshape(1, 1, *self.label.shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.data
        top[1].data[...] = self.label
        self.idx = (self.idx + 1) % len(self.names)

    def backward(self, top, propagate_down, bottom):
        pass
"""

NET = """
import caffe
from caffe import layers as L, params as P
from caffe.coord_map import crop

def fcn():
    n = caffe.NetSpec()
    n.data, n.label = L.Python(module='shapes', layer='Shapes', ntop=2,
            param_str=str(dict(folder='data', split='train')))
    n.conv1 = L.Convolution(n.data, kernel_size=3, pad=20, num_output=8,
        param=[dict(lr_mult=1), dict(lr_mult=2, decay_mult=0)], weight_filler=dict(type='xavier'))
    n.relu1 = L.ReLU(n.conv1, in_place=True)
    n.pool1 = L.Pooling(n.relu1, pool=P.Pooling.MAX, kernel_size=2, stride=2)
    n.score_fr = L.Convolution(n.pool1, kernel_size=1, num_output=3)
    n.upscore = L.Deconvolution(n.score_fr, convolution_param=dict(num_output=3, kernel_size=4,
        stride=2, bias_term=False), param=[dict(lr_mult=0)])
    n.score = crop(n.upscore, n.data)
    n.loss = L.SoftmaxWithLoss(n.score, n.label, loss_param=dict(normalize=True, ignore_label=255))
    return n.to_proto()

with open('train.prototxt', 'w') as f:
    f.write(str(fcn()))
print 'net of', len(fcn().layer), 'layers, half of them', len(fcn().layer) / 2
"""

SOLVE = """
import caffe
import surgery
import numpy as np
import os, sys
from PIL import Image

caffe.set_device(int(sys.argv[1]))
caffe.set_mode_gpu()
caffe.set_random_seed(3)
solver = caffe.SGDSolver('solver.prototxt')
surgery.interp(solver.net, [k for k in solver.net.params.keys() if 'up' in k])
for _ in xrange(2):
    solver.step(30)
net = solver.test_nets[0]
net.share_with(solver.net)
os.mkdir('out')
hist = np.zeros((3, 3))
for name in open('data/names.txt').read().split():
    net.forward()
    gt, out = net.blobs['label'].data[0, 0].flatten(), net.blobs['score'].data[0].argmax(0)
    k = (gt >= 0) & (gt < 3)
    hist += np.bincount(3 * gt[k].astype(int) + out.flatten()[k], minlength=9).reshape(3, 3)
    Image.fromarray(out.astype(np.uint8), mode='P').save(os.path.join('out', name + '.png'))
print >>sys.stdout, 'overall accuracy', repr(float(np.diag(hist).sum() / hist.sum()))
iu = np.diag(hist) / (hist.sum(1) + hist.sum(0) - np.diag(hist))
print 'mean IU', repr(float(np.nanmean(iu)))
"""

SURGERY = """
from __future__ import division
import numpy as np

def upsample_filt(size):
    factor = (size + 1) // 2
    center = factor - 1 if size % 2 == 1 else factor - 0.5
    og = np.ogrid[:size, :size]
    return (1 - abs(og[0] - center) / factor) * (1 - abs(og[1] - center) / factor)

def interp(net, layers):
    for l in layers:
        m, k, h, w = net.params[l][0].data.shape
        if m != k:
            print 'not square'
        net.params[l][0].data[range(m), range(k), :, :] = upsample_filt(h)
"""

SOLVER = """train_net: "train.prototxt" test_net: "train.prototxt" test_iter: 1
test_interval: 999999 test_initialization: false base_lr: 0.001 lr_policy: "fixed" momentum: 0.9
"""


def drawn(folder) -> None:
    """Photos of one rectangle each, with labels; a rim around it does not count."""
    random = np.random.default_rng(0)
    folder.mkdir()
    for number in range(4):
        label = np.zeros((30 + number, 41), np.uint8)
        image = random.integers(0, 60, (*label.shape, 3), np.uint8)
        kind = 1 + number % 2
        label[8:20, 9:26] = 255
        label[9:19, 10:25] = kind
        image[9:19, 10:25, kind] += 180
        Image.fromarray(image).save(folder / f"{number}.jpg", quality=100)
        Image.fromarray(label).save(folder / f"{number}.png")
    (folder / "names.txt").write_text("0\n1\n2\n3\n")


def test_a_net_is_made_trained_and_scored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    drawn(tmp_path / "data")
    files = {"shapes.py": SHAPES, "net.py": NET, "solve.py": SOLVE, "surgery.py": SURGERY}
    for name, text in {**files, "solver.prototxt": SOLVER}.items():
        (tmp_path / name).write_text(text)
    made = CliRunner().invoke(main, ["run", "net.py"])
    assert made.exit_code == 0, made.output
    assert "net of 8 layers, half of them 4" in made.stdout
    done = CliRunner().invoke(main, ["run", "solve.py", "0"])
    assert done.exit_code == 0, done.output
    said = dict(re.findall(r"^(overall accuracy|mean IU) ([\d.]+)$", done.stdout, re.M))
    labels = tmp_path / "labels"
    labels.mkdir()
    for path in (tmp_path / "data").glob("*.png"):
        (labels / path.name).write_bytes(path.read_bytes())
    scored = CliRunner().invoke(main, ["score", "out", "labels", "--classes", "3", "--json"])
    scores = json.loads(scored.stdout)
    assert scores["pixel_accuracy"] == pytest.approx(float(said["overall accuracy"]), abs=1e-12)
    assert scores["mean_iu"] == pytest.approx(float(said["mean IU"]), abs=1e-12)
    assert scores["mean_iu"] > 0.8


def test_an_error_is_shown_from_the_scripts_own_line_on(tmp_path):
    script = tmp_path / "wrong.py"
    script.write_text("import caffe\n\ncaffe.Net('nowhere.prototxt', caffe.TEST)\n")
    done = CliRunner().invoke(main, ["run", str(script)])
    assert done.exit_code == 1
    lines = done.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].endswith('wrong.py", line 3, in <module>')
    assert lines[-1] == "RuntimeError: Could not open file nowhere.prototxt"


@pytest.mark.parametrize(
    "text, words",
    [
        ("import caffe\nprint 'x'\nfoo bar\n", "SyntaxError"),
        ("import caffe\nimport nowhere_at_all\n", "No module named 'nowhere_at_all'"),
    ],
)
def test_what_python_does_not_run_is_said_without_our_frames(text, words, tmp_path):
    script = tmp_path / "wrong.py"
    script.write_text(text)
    done = CliRunner().invoke(main, ["run", str(script)])
    assert done.exit_code == 1
    assert words in done.stderr and "click" not in done.stderr and "runpy" not in done.stderr


def test_a_notebook_and_a_file_to_keep_that_is_there(tmp_path):
    (tmp_path / "n.ipynb").write_text("{}")
    done = CliRunner().invoke(main, ["run", str(tmp_path / "n.ipynb")])
    assert done.exit_code == 2
    assert "is a notebook; open it, and add a first cell: import fcnkit.pycaffe" in done.stderr
    script = tmp_path / "s.py"
    script.write_text("print 5 / 2\n")
    words = ["run", "--keep-2to3", str(script), str(script)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert "exists already; give another name, or remove it" in done.stderr
    assert script.read_text() == "print 5 / 2\n"


def test_from_a_cell_on_import_caffe_is_ours(tmp_path):
    code = (
        "import fcnkit.pycaffe as ours; ours.install(); import caffe; "
        "from caffe.proto import caffe_pb2; import caffe.io; assert caffe is ours"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_module_that_a_fork_adds_to_caffe_is_found_on_the_path(tmp_path, monkeypatch):
    """SSD's scripts import caffe.model_libs, which stands beside its pycaffe."""
    folder = tmp_path / "python" / "caffe"
    folder.mkdir(parents=True)
    for name in ("__init__.py", "io.py"):  # what fcnkit has is fcnkit's
        (folder / name).write_text("raise RuntimeError('the compiled caffe')\n")
    (folder / "model_libs.py").write_text(
        "from caffe import layers as L, params as P\n"
        "print 'of Python 2'\n"
        "def head(x):\n"
        "    return L.Permute(x, order=[0, 2, 3, 1])\n"
    )
    (tmp_path / "ssd.py").write_text(
        "import caffe, caffe.io\n"
        "from caffe.model_libs import *\n"
        "print(head(L.Input(shape=dict(dim=[1, 2, 3, 4]))).to_proto())\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "python"))
    done = CliRunner().invoke(main, ["run", str(tmp_path / "ssd.py")])
    assert done.exit_code == 0, done.output
    assert "of Python 2" in done.output and "order: 3" in done.output


def test_a_module_that_no_caffe_has_is_not_found(tmp_path):
    (tmp_path / "ssd.py").write_text("import caffe.model_library\n")
    done = CliRunner().invoke(main, ["run", str(tmp_path / "ssd.py")])
    assert "No module named 'caffe.model_library'" in done.output
