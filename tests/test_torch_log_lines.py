"""What a training on PyTorch says is read as Caffe's log is."""

import io

from fcnkit.engines.caffe_runtime import last_words
from fcnkit.training.log import Device, Ignored, Loss, Saved, Validation, events
from fcnkit.training.torch.program.log_lines import Log, outputs


def said(*texts, first=True):
    stream = io.StringIO()
    log = Log(first=first, stream=stream)
    for text in texts:
        log.say(text)
    return stream.getvalue()


def test_it_is_read_as_caffes_log_is():
    text = said(
        "PyTorch 2.13.0 on cuda:0 (Some GPU), 2 processes, bf16",
        "Ignoring source layer fc8",
        "Iteration 0, Testing net (#0)",
        *outputs("Test", [("accuracy", [0.25], 0.0), ("each", [1, 0.5], 0.0)]),
        "Iteration 0 (0 iter/s, 0.1s/20 iters), loss = 2.22793",
        *outputs("Train", [("loss", [2.3714], 1.0)]),
        "Iteration 0, lr = 1e-10",
        "Snapshotting to binary proto file run/fcn_iter_1.caffemodel",
        "Snapshotting solver state to binary proto file run/fcn_iter_1.solverstate",
        "Optimization Done.",
    )
    assert list(events(text.splitlines(keepends=True))) == [
        Device("PyTorch 2.13.0 on cuda:0 (Some GPU), 2 processes, bf16"),
        Ignored("fc8"),
        Validation(0, {"accuracy": 0.25, "each": [1, 0.5]}),
        Loss(0, 2.22793, 1e-10, {"loss": 2.3714}),
        Saved("run/fcn_iter_1.solverstate"),
    ]


def test_lines_have_caffes_words():
    assert list(outputs("Test", [("loss", [1 / 3], 2.0), ("accuracy", [1e-5], 0.0)])) == [
        "    Test net output #0: loss = 0.333333 (* 2 = 0.666667 loss)",
        "    Test net output #1: accuracy = 1e-05",
    ]


def test_of_several_processes_one_says_how_it_goes_and_each_what_fails():
    assert said("Iteration 0", first=False) == ""
    stream = io.StringIO()
    log = Log(first=False, stream=stream)
    log.fail('net.prototxt:3: layer "x": no\nand more')
    assert last_words(stream.getvalue(), 1) == 'net.prototxt:3: layer "x": no\nand more'
