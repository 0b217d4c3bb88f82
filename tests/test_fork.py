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
    with pytest.raises(NetError, match='no fork "nccn" is known; give one of deeplab, segnet'):
        fk.fork(normed(), "nccn")


MIXED = net(
    data(1, 4, 12, 13),
    conv("c", "data", 4, 3, "hole: 2"),
    layer("six", "ReLU6", "c"),
    pool("p", "six", 3, 2, "ceil_mode: false"),
    layer("n", "Normalize", "p", more="norm_param { scale_filler { value: 2 } }"),
    layer("order", "Permute", "n", more="permute_param { order: 0 order: 2 order: 3 order: 1 }"),
)
# What each fork has of it stays; of the rest all that BVLC's Caffe 1.0 can say is in its words.
OWN = {
    "ssd": (("Normalize", "Permute"), ("hole", "ReLU6", "ceil_mode")),
    "deeplab": (("hole",), ("ReLU6", "ceil_mode")),
    "synopsys": (("ceil_mode: false",), ("hole",)),
    "nvcaffe": (("torch_pooling: true",), ("hole", "ReLU6", "ceil_mode")),
}


@pytest.mark.parametrize("name", OWN)
def test_the_words_of_other_forks_are_bvlcs(name):
    stays, goes = OWN[name]
    plan = fk.fork(MIXED, name)
    for word in stays:
        assert word in plan.net.text, plan.net.text
    for word in goes:
        assert word not in plan.net.text or word in plan.table(), plan.net.text
    # Of the new net the linter names those that the plan does, and no more.
    named = [each for each in fk.lint(plan.net, target=name) if each.name == "target-unjudged"]
    skipped = [step for step in plan.steps if step.verb == "skip"]
    assert len(named) == len(skipped), (named, plan.table())
    if name == "ssd":
        image, graph = images(MIXED), build(plan.net)
        blob = graph.outputs[-1].blob
        wanted = engine.run(MIXED, None, image, [blob])[blob]
        assert np.allclose(wanted, engine.run(plan.net, None, image, [blob])[blob], atol=1e-5)


def test_fit_to_a_fork_is_fork():
    assert fk.fit(MIXED, "ssd").net.text == fk.fork(MIXED, "ssd").net.text
