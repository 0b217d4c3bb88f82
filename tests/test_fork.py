"""`fk.fork`: BVLC's words in a fork's; real Caffe before, and PyTorch, which knows them, after."""

import numpy as np
import pytest
from sketches import conv, data, images, layer, net, pool, relu, weights

import fcnkit as fk
from fcnkit.errors import NetError
from fcnkit.nets.graph import build
from fcnkit.weights.surgery import transplant

pytest.importorskip("torch")
from fcnkit.engines.torch import engine  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")


def normed(scale: str = "bias_term: true", bn: str = "", top: str = "c"):
    return net(
        data(2, 3, 9, 8),
        conv("c", "data", 4, 3),
        layer("bn", "BatchNorm", "c", top=top, more=f"batch_norm_param {{ {bn} }}"),
        layer("sc", "Scale", top, more=f"scale_param {{ {scale} }}"),
        relu("sc"),
    )


@pytest.mark.parametrize(
    ("before", "name", "word"),
    [
        (net(data(1, 3, 12, 13), conv("c", "data", 4, 3, "dilation: 2")), "deeplab", "hole: 2"),
        (
            net(data(1, 3, 12, 13), conv("c", "data", 4, 3, "dilation: 2 dilation: 1 pad: 1")),
            "deeplab",
            "hole_w: 1",
        ),
        (net(data(1, 3, 12, 13), pool("p", "data", 3, 2, "round_mode: FLOOR")), "nvcaffe",
         "torch_pooling: true"),
        (net(data(1, 3, 12, 13), pool("p", "data", 3, 2, "round_mode: CEIL")), "nvcaffe", "pool"),
        (normed(), "nvcaffe", "scale_bias: true"),
        (normed("bias_term: true filler { value: 2 }", "eps: 1e-3", "b"), "nvcaffe",
         "scale_filler"),
    ],
)  # fmt: skip
def test_a_fork_computes_what_caffe_did(caffe, before, name, word, tmp_path):
    plan, image = fk.fork(before, name), images(before)
    assert plan.changed and word in plan.net.text and "round_mode" not in plan.net.text
    learned = any(layer.type in ("Convolution", "Scale") for layer in build(before).layers)
    old = weights(before, tmp_path / "w.caffemodel") if learned else None
    blob = build(before).outputs[-1].blob
    (wanted,) = caffe.ask([caffe.Question("run", before, old, image, [blob])])
    found = engine.run(plan.net, transplant(plan, old) if old else None, image, [blob])
    assert np.abs(wanted[blob] - found[blob]).max() <= 1e-5 * np.abs(wanted[blob]).max()
    back = fk.bvlc(plan.net)
    made = transplant(back, transplant(plan, old)) if old else None
    (again,) = caffe.ask([caffe.Question("run", back.net, made, image, [blob])])
    assert np.abs(wanted[blob] - again[blob]).max() <= 1e-5 * np.abs(wanted[blob]).max()


@pytest.mark.parametrize(
    ("before", "fact"),
    [
        (normed("bias_term: false"), "has no summand"),
        (normed(bn="eps: 1e-6"), "its eps is less than 1e-05"),
        (normed("bias_term: true axis: 2"), "has not one number for each channel"),
    ],
)
def test_what_a_fork_cannot_say_stays(before, fact):
    plan = fk.fork(before, "nvcaffe")
    (step,) = plan.steps
    assert not plan.changed and step.verb == "skip" and fact in step.why


def test_forks_that_there_are_not():
    with pytest.raises(NetError, match='no words for the fork "ssd"; say deeplab or nvcaffe'):
        fk.fork(normed(), "ssd")
