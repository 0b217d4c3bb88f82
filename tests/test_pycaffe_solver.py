"""pycaffe's solvers without Caffe, beside real pycaffe: steps, updates, tests, snapshots."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from beside_pycaffe import check_equal, in_both

pytest.importorskip("torch")

import fcnkit.pycaffe as caffe
from fcnkit.errors import EngineError, FcnkitError, OutputError, PrototxtError

pytestmark = pytest.mark.usefixtures("one_thread")

NET = """
layer { name: "d" type: "DummyData" top: "d" top: "l" dummy_data_param {
  shape { dim: 4 dim: 3 dim: 8 dim: 8 } shape { dim: 4 }
  data_filler { type: "constant" value: 0.5 } data_filler { type: "constant" value: 1 } } }
layer { name: "conv" type: "Convolution" bottom: "d" top: "c" param { lr_mult: 1 }
  param { lr_mult: 2 decay_mult: 0 } convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "relu" type: "ReLU" bottom: "c" top: "c" }
layer { name: "ip" type: "InnerProduct" bottom: "c" top: "ip"
  inner_product_param { num_output: 4 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "l" top: "loss" }
layer { name: "acc" type: "Accuracy" bottom: "ip" bottom: "l" top: "acc" include { phase: TEST } }
"""
HEAD = f"""
open("net.prototxt", "w").write('''{NET}''')

def solver(text, make=caffe.get_solver, seed=0):
    open("s.prototxt", "w").write('net: "net.prototxt" snapshot_prefix: "x" base_lr: 0.02 ' + text)
    made, rng = make("s.prototxt"), np.random.RandomState(seed)
    images = rng.randn(4, 3, 8, 8)
    for net in [made.net] + list(made.test_nets):
        net.blobs["d"].data[...], net.blobs["l"].data[...] = images, range(4)
    for blobs in made.net.params.values():
        for blob in blobs:
            blob.data[...] = rng.randn(*blob.data.shape) * 0.1
    return made

def keep(made, word):
    for name, blobs in made.net.params.items():
        for number, blob in enumerate(blobs):
            out["%s %s %d" % (word, name, number)] = blob.data.copy()
            out["%s diff %s %d" % (word, name, number)] = blob.diff.copy()
    for name, blob in made.net.blobs.items():
        out["%s blob %s" % (word, name)] = blob.data.copy()
    out[word + " iter"], out[word + " lr"] = made.iter, made.lr
"""

KINDS = """
STEP = 'lr_policy: "step" stepsize: 7 gamma: 0.5 weight_decay: 0.001 max_iter: 20 iter_size: 2 '
for kind, more in (("SGD", "momentum: 0.9"), ("Nesterov", "momentum: 0.9"), ("AdaGrad", ""),
                   ("RMSProp", "rms_decay: 0.9"), ("AdaDelta", "momentum: 0.95 delta: 1e-6"),
                   ("Adam", "momentum: 0.9 momentum2: 0.99")):
    made = solver('type: "%s" %s delta: 1e-4 clip_gradients: 3 %s' % (kind, STEP, more)
                  if "delta" not in more else 'type: "%s" %s %s' % (kind, STEP, more))
    out["kind " + kind] = type(made).__name__
    made.step(1)
    keep(made, kind + " 1")
    made.step(30)
    keep(made, kind + " 31")
"""

CALLS = """
made = solver('lr_policy: "fixed" momentum: 0.9 iter_size: 3 test_iter: 2 test_interval: 2 '
              'max_iter: 6 type: "Adam"', caffe.SGDSolver)
heard, counted = [], []
made.add_callback(lambda: heard.append(("start", made.iter)),
                  lambda: heard.append((made.iter, float(made.net.params["ip"][1].diff.sum()))))
made.test_nets[0].after_forward(lambda number: counted.append(number))
made.step(3)
out["heard"] = [each[0] if isinstance(each[0], str) else "ready" for each in heard]
out["sums"] = [each[1] for each in heard]
out["tests"] = len(counted)
keep(made, "stepped")
made.net.forward()
made.net.backward()
made.apply_update()
keep(made, "applied")
made.solve()
keep(made, "solved")
made.test_nets[0].forward()
out["shared"] = made.test_nets[0].params["ip"][0].data
one, other = (solver('lr_policy: "fixed" momentum: 0.9', seed=seed) for seed in (1, 2))
one.share_weights(other.net)
third = caffe.Net("net.prototxt", caffe.TRAIN)
for blobs in third.params.values():
    for blob in blobs:
        blob.data[...] = np.arange(blob.count).reshape(blob.data.shape) % 7 / 20.0
for number, each in enumerate((other, one, other, one)):
    if number == 3:
        one.net.share_with(third)
    each.step(2)
    keep(one, "one %d" % number)
    keep(other, "other %d" % number)
out["third"] = third.params["ip"][0].data
net = made.net
del made
out["outlives"] = net.params["conv"][0].data
"""

STATES = """
made = solver('lr_policy: "fixed" momentum: 0.9 snapshot_format: FORM max_iter: 100')
made.step(5)
made.snapshot()
made.step(4)
keep(made, "on")
again = solver('lr_policy: "fixed" momentum: 0.9 snapshot_format: FORM max_iter: 100')
again.restore("x_iter_5.solverstateENDING")
again.step(4)
keep(again, "again")
import os
out["files"] = sorted(os.listdir("."))[:3]
"""


# Caffe takes 100 steps; fcnkit takes each of them from the state that Caffe was in.  The first
# has no history: a gradient of nearly 0 is divided by its own size there.
EACH_STEP = """
import os
alone = not os.path.exists("../real/SGD_iter_99.solverstate")
for kind, more in (("SGD", "momentum: 0.9"), ("AdaGrad", ""), ("RMSProp", "rms_decay: 0.9"),
                   ("Adam", "momentum: 0.9 momentum2: 0.999")):
    made = solver('type: "%s" %s lr_policy: "fixed" weight_decay: 0.01 regularization_type: "L1" '
                  'snapshot_prefix: "../real/%s"' % (kind, more, kind))
    steps = []
    for number in range(100):
        if number and not alone:
            made.restore("../real/%s_iter_%d.solverstate" % (kind, number))
        made.step(1)
        if alone:
            made.snapshot()
        steps.append(np.concatenate([blob.data.flatten() for blobs in made.net.params.values()
                                     for blob in blobs]))
    out[kind] = steps[1:]
"""


def test_each_step_with_l1_decay_is_caffes_from_caffes_state(caffe, tmp_path):
    """Where weights near 0 part over many steps, it is by what was rounded before."""
    check_equal(HEAD.replace(' snapshot_prefix: "x"', "") + EACH_STEP, tmp_path, tolerance=1e-6)


def test_every_kind_steps_as_pycaffes(caffe, tmp_path):
    check_equal(HEAD + KINDS, tmp_path, tolerance=2e-4)


def test_calls_are_as_pycaffes(caffe, tmp_path):
    check_equal(HEAD + CALLS, tmp_path, tolerance=1e-4)


@pytest.mark.parametrize(("form", "ending"), [("BINARYPROTO", ""), ("HDF5", ".h5")])
def test_states_are_as_pycaffes(form, ending, caffe, tmp_path):
    script = HEAD + STATES.replace("FORM", form).replace("ENDING", ending)
    check_equal(script, tmp_path)
    for one, other in (("real", "ours"), ("ours", "real")):
        for name in ("caffemodel", "solverstate"):
            place = tmp_path / one / f"x_iter_5.{name}{ending}"
            place.rename(tmp_path / other / f"theirs_iter_5.{name}{ending}")
    real, ours = (
        in_both(
            HEAD
            + f"""
made = solver('lr_policy: "fixed" momentum: 0.9 max_iter: 100')
made.net.copy_from("{tmp_path / who}/theirs_iter_5.caffemodel{ending}")
keep(made, "read")
""",
            tmp_path / f"read {who}",
        )
        for who in ("real", "ours")
    )
    for key, expected in real[0].items():
        for found in (real[1], *ours):
            assert np.allclose(found[key], expected, atol=1e-5), key


def solver_file(folder, text):
    (folder / "net.prototxt").write_text(NET)
    path = folder / "s.prototxt"
    path.write_text(f'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" {text}')
    return str(path)


def test_what_aborts_caffe_is_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RuntimeError, match=r"Could not open file nowhere"):
        caffe.SGDSolver("nowhere")
    with pytest.raises(EngineError, match='type "Adamant"; Caffe knows SGD'):
        caffe.get_solver(solver_file(tmp_path, 'type: "Adamant"'))
    with pytest.raises(OutputError, match="snapshots would go to nowhere, which is not a folder"):
        caffe.SGDSolver(solver_file(tmp_path, 'snapshot: 5 snapshot_prefix: "nowhere/x"'))
    with pytest.raises(FcnkitError, match="iter_size 0 is below 1"):
        caffe.SGDSolver(solver_file(tmp_path, "iter_size: 0"))


@pytest.mark.parametrize(
    "text, words",
    [
        ("momentun: 0.9", 'no field "momentun"; did you mean "momentum"?'),
        ("max_iter: 3.5", "max_iter"),
        ("max_iter: 3 max_iter: 4", '"max_iter" is given a second time'),
        ("solver_mode: TPU", "solver_mode"),
    ],
)
def test_what_caffes_parser_refuses_is_refused(text, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for make in (caffe.SGDSolver, caffe.get_solver):
        with pytest.raises(PrototxtError, match=re.escape(words)):
            make(solver_file(tmp_path, text))
    (tmp_path / "net.prototxt").write_text(NET.replace("num_output: 4", "num_ouput: 4"))
    (tmp_path / "s.prototxt").write_text('net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed"')
    for make in (lambda: caffe.SGDSolver("s.prototxt"), lambda: caffe.Net("net.prototxt", 0)):
        with pytest.raises(PrototxtError, match=r'did you mean "num_output"\?'):
            make()


def test_the_log_is_quiet_where_glogs_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GLOG_minloglevel", "2")
    caffe.SGDSolver(solver_file(tmp_path, "display: 1")).step(2)
    assert capsys.readouterr().err == ""


def test_the_log_is_caffes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    made = caffe.SGDSolver(solver_file(tmp_path, "display: 2 test_iter: 1 test_interval: 2"))
    made.step(3)
    lines = [line.split("] ", 1)[1] for line in capsys.readouterr().err.splitlines()]
    assert lines[0] == "Iteration 0, Testing net (#0)"
    assert any(line.startswith("    Test net output #1: loss = 1.38629 (* 1 = ") for line in lines)
    assert "Iteration 2, lr = 0.1" in lines


def test_fields_can_be_set(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = caffe.SGDSolver(solver_file(tmp_path, "max_iter: 5"))
    made.param.base_lr, made.param.max_iter, made.param.display = 0.25, 7, 3
    assert (made.lr, made.param.max_iter, made.param.display) == (0.25, 7, 3)
    assert made.param.base_lr == 0.25


def test_weights_that_the_solver_names_are_where_it_starts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = caffe.SGDSolver(solver_file(tmp_path, ""))
    made.net.params["ip"][0].data[...] = 3
    made.net.save("w.caffemodel")
    again = caffe.SGDSolver(solver_file(tmp_path, 'weights: "w.caffemodel"'))
    assert (again.net.params["ip"][0].data == 3).all()


TOGETHER = """
import sys
import caffe
import numpy as np
from multiprocessing import Process

def solve(rank, count, uid):
    caffe.set_mode_cpu()
    caffe.set_solver_count(count)
    caffe.set_solver_rank(rank)
    caffe.set_multiprocess(count > 1)
    solver = caffe.SGDSolver("solver%d.prototxt" % count)
    if count > 1:
        solver.net.params["ip"][0].data[...] += rank  # bcast makes them those of the first
        nccl = caffe.NCCL(solver, uid)
        nccl.bcast()
        solver.add_callback(nccl)
        solver.net.after_backward(nccl)
    solver.step(5)
    np.save("weights %d of %d" % (rank, count), solver.net.params["ip"][0].data)

if __name__ == "__main__":
    assert caffe.has_nccl()
    solve(0, 1, None)
    uid = caffe.NCCL.new_uid()
    several = [Process(target=solve, args=(rank, 2, uid)) for rank in range(2)]
    for each in several:
        each.start()
    for each in several:
        each.join()
"""
TOGETHER_NET = """
layer { name: "rows" type: "HDF5Data" top: "rows" top: "label"
  hdf5_data_param { source: "list.txt" batch_size: %d } }
layer { name: "ip" type: "InnerProduct" bottom: "rows" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "constant" value: 0.1 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


def test_solvers_that_train_together_are_one_with_all_their_batches(tmp_path):
    import h5py

    random = np.random.default_rng(0)
    with h5py.File(tmp_path / "rows.h5", "w") as file:
        file["rows"], file["label"] = random.normal(size=(8, 4)), random.integers(0, 3, 8)
    (tmp_path / "list.txt").write_text("rows.h5")
    for count in (1, 2):
        (tmp_path / f"net{count}.prototxt").write_text(TOGETHER_NET % (4 // count))
        (tmp_path / f"solver{count}.prototxt").write_text(
            f'net: "net{count}.prototxt" base_lr: 0.5 lr_policy: "fixed" momentum: 0.9 '
            'snapshot: 5 snapshot_prefix: "x"'
        )
    (tmp_path / "train.py").write_text(TOGETHER)
    words = [sys.executable, "-c", "from fcnkit.cli.main import run; run()", "run", "train.py"]
    # The parent has computed in threads of its own before it forks.
    several = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        words, cwd=tmp_path, env=several, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    alone = np.load(tmp_path / "weights 0 of 1.npy")
    assert not np.allclose(alone, 0.1)
    for rank in range(2):
        found = np.load(tmp_path / f"weights {rank} of 2.npy")
        assert np.allclose(found, alone, atol=1e-6)
    assert done.stderr.count("Snapshotting solver state") == 2
