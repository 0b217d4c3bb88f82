"""What scripts of pycaffe cost without Caffe, beside Caffe itself on the same CPU.

Each program is a process of its own, and the two take turns; what is timed is in the program:
passes of nets that are there already, after one that is not counted.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fcnkit as fk
from fcnkit.engines import caffe_runtime

PASSES = 5
# net, batch
FORWARD = (("alexnet", 1), ("alexnet", 10), ("vgg16", 1))

_FORWARD = """
import json, sys, time
import caffe
net = caffe.Net(sys.argv[1], caffe.TEST)
data = net.blobs[net.inputs[0]]
data.reshape(int(sys.argv[2]), *data.data.shape[1:])
data.data[...] = 1
net.forward()
times = []
for _ in range(int(sys.argv[3])):
    begun = time.time()
    net.forward()
    times.append(time.time() - begun)
print(json.dumps(times))
"""

_STEP = """
import json, sys, time
import caffe
solver = caffe.SGDSolver(sys.argv[1])
solver.step(3)
times = []
for _ in range(int(sys.argv[3])):
    begun = time.time()
    solver.step(10)
    times.append((time.time() - begun) / 10)
print(json.dumps(times))
"""

_NETSPEC = """
import time
from fcnkit.pycaffe import NetSpec, layers as L
begun = time.perf_counter()
n = NetSpec()
top = n.data = L.Input(shape=dict(dim=[1, 3, 9, 9]))
for number in range(500):
    top = L.Convolution(top, kernel_size=3, pad=1, num_output=3, param=[dict(lr_mult=1)])
    n["relu%d" % number] = top = L.ReLU(top, in_place=True)
text = str(n.to_proto())
print(time.perf_counter() - begun)
"""

_TRAIN = """
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 64 dim: 1 dim: 28 dim: 28 } shape { dim: 64 }
  data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" } } }
"""


def table(folder: Path) -> Iterator[str]:
    """Lines of the table: seconds by Caffe and by fcnkit, and their ratio."""
    yield "pycaffe's interface, on Caffe and on PyTorch: seconds of one pass, in turn"
    yield f"{'':28}{'Caffe':>9}{'fcnkit':>9}{'ratio':>8}"
    for name, batch in FORWARD:
        net = folder / f"{name}.prototxt"
        fk.template(name).save(net, force=True)
        yield _line(f"forward of {name}, batch {batch}", _FORWARD, net, batch, goal=1)
    yield _line("a step of LeNet, batch 64", _STEP, _solver(folder), 64, goal=None)
    own = subprocess.run([sys.executable, "-c", _NETSPEC], capture_output=True, check=True)
    spent = float(own.stdout)
    verdict = "reached" if spent <= 0.5 else "MISSED"
    yield f"NetSpec of 1,000 layers: {spent:.2f} s of 0.5: {verdict}"
    spent = statistics.median(_import_time() for _ in range(5))
    verdict = "reached" if spent <= 0.1 else "MISSED"
    yield f"import fcnkit.pycaffe: {spent:.3f} s of 0.1: {verdict}"


def _line(name: str, program: str, net: Path, batch: int, *, goal: float | None) -> str:
    script = net.with_suffix(".py")
    script.write_text(program, encoding="utf-8")
    words = [str(script), str(net), str(batch), str(PASSES)]
    real: list[float] = []
    ours: list[float] = []
    for _ in range(3):
        real += _seconds([*caffe_runtime.command("python"), *words], caffe_runtime.environment())
        ours += _seconds([str(Path(sys.executable).with_name("fcnkit")), "run", *words], None)
    one, other = statistics.median(real), statistics.median(ours)
    verdict = "" if goal is None else f"  {'reached' if other <= goal * one else 'MISSED'}"
    return f"{name:28}{one:>9.4f}{other:>9.4f}{other / one:>8.2f}{verdict}"


def _seconds(words: list[str], environment: dict[str, str] | None) -> list[float]:
    quiet = None if environment is None else {**environment, "GLOG_minloglevel": "2"}
    done = subprocess.run(words, env=quiet, capture_output=True, text=True, check=True)
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _solver(folder: Path) -> Path:
    """A solver of LeNet on made-up data."""
    _, _, *layers, _ = fk.template("lenet").text.split("layer {")  # neither its Input nor prob
    body = "".join(f"layer {{{layer}" for layer in layers)
    loss = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" }'
    net = fk.parse(_TRAIN + body + loss)
    net.save(folder / "lenet-train.prototxt", force=True)
    path = folder / "lenet-solver.prototxt"
    path.write_text(
        f'net: "{folder / "lenet-train.prototxt"}" base_lr: 0.01 lr_policy: "fixed" momentum: 0.9',
        encoding="utf-8",
    )
    return path


def _import_time() -> float:
    program = (
        "import time; begun = time.perf_counter(); import fcnkit.pycaffe; "
        "print(time.perf_counter() - begun)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return float(done.stdout)
