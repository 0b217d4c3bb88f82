"""`fk.fit`: what a target finds is mended where surgery can, and the rest is named."""

import numpy as np
import pytest
from sketches import conv, data, fc, images, layer, net, pool, relu, weights
from test_cli import run

import fcnkit as fk
from fcnkit.engines.torch import engine as torch_engine
from fcnkit.errors import TargetError
from fcnkit.nets.graph import build
from fcnkit.weights.surgery import transplant

V1 = net(
    'input: "data" input_dim: 1 input_dim: 3 input_dim: 9 input_dim: 9\n'
    'layers { name: "c" type: CONVOLUTION bottom: "data" top: "c" '
    "convolution_param { num_output: 4 kernel_size: 3 } }\n"
)
FLOORED = net(
    data(1, 3, 19, 19), conv("c", "data", 4, 3), pool("p", "c", 3, 2, "round_mode: FLOOR")
)
GROUPS = net(data(1, 4, 9, 9), conv("c", "data", 6, 3, "group: 2"), relu("c"))
BIAS = net(
    data(1, 3, 9, 9),
    conv("c", "data", 4, 3),
    layer("b", "Bias", "c", top="c"),
    relu("c"),
)
SIX = net(data(1, 3, 9, 9), conv("c", "data", 4, 3, "hole: 2"), layer("r", "ReLU6", "c"))
SQUEEZED = net(
    data(1, 3, 9, 9),
    layer("g", "Pooling", "data", more="pooling_param { pool: AVE global_pooling: true }"),
    layer("s", "Squeeze", "g", more="squeeze_param { axis: 2 axis: 3 }"),
    fc("fc", "s", 4),
)
WHOLE = net(data(1, 1, 256, 256), conv("c", "data", 2, 256))
CUT = net(
    data(1, 3, 9, 9),
    conv("c", "data", 4, 3, "pad: 2"),
    pool("p", "data", 2, 2),
    layer("cut", "Crop", "c", "p", more="crop_param { axis: 2 offset: 3 }"),
    layer("both", "Concat", "cut", "p"),
)
MENDED = [
    (CUT, "armnn", "--do uncrop=cut"),
    (CUT, "vitis", "--do uncrop=cut"),
    (WHOLE, "ascend", "--do fc"),
    (V1, "ncnn", "--do upgrade"),
    (FLOORED, "ncnn", "--do ceil"),
    (FLOORED, "tensorrt8", "--do ceil"),
    (GROUPS, "mace", "--do dense=c"),
    (BIAS, "tensorrt8", "--do fold"),
    (BIAS, "armnn", "--do fold"),
    (SIX, "bvlc", "ReLU6 -> Clip, 0 to 6"),
    (SQUEEZED, "ncnn", "--do bvlc"),
]


@pytest.mark.parametrize(("before", "target", "word"), MENDED)
def test_a_net_fits_its_target_and_computes_what_it_did(caffe, before, target, word, tmp_path):
    pytest.importorskip("torch")
    plan = fk.fit(before, target)
    assert word in [step.what for step in plan.steps]
    assert not [step for step in plan.steps if step.verb == "skip"]
    found = fk.lint(plan.net, target=target)
    assert not [each for each in found if each.name in ("target-refuses", "target-misreads")]
    old = weights(before, tmp_path / "w.caffemodel")
    made, image = transplant(plan, old), images(before)
    blob = build(before).outputs[-1].blob
    (new,) = caffe.ask([caffe.Question("run", plan.net, made, image, [blob])])
    known = fk.upgrade(before).net if before is V1 else before
    wanted = torch_engine.run(known, old, image, [blob])[blob]
    assert wanted.size == new[blob].size  # 1 x C x 1 x 1 may be 1 x C
    assert np.abs(wanted.ravel() - new[blob].ravel()).max() <= 1e-5 * np.abs(wanted).max()


def test_what_surgery_cannot_mend_is_named():
    """A floor that makes another size stays: without it the net would be another."""
    other = net(
        data(1, 3, 20, 20), conv("c", "data", 4, 3), pool("p", "c", 3, 2, "round_mode: FLOOR")
    )
    plan = fk.fit(other, "ncnn")
    (left,) = plan.steps
    assert not plan.changed and left.verb == "skip" and left.layer == "p"
    assert "round_mode FLOOR" in left.what and "its parser stops" in left.why


def test_what_is_for_training_is_for_deploy():
    loss = net(
        data(1, 3, 9, 9), data(1, name="label"), fc("fc", "data", 4),
        layer("loss", "SoftmaxWithLoss", "fc", "label")
    )  # fmt: skip
    (left,) = fk.fit(loss, "ncnn").steps
    assert "fcnkit deploy" in left.why


def test_a_net_that_breaks_no_rule_is_said_to_break_none(tmp_path):
    net(data(1, 3, 9, 9), conv("c", "data", 4, 3)).save(tmp_path / "net.prototxt")
    done = run("surgery", tmp_path / "net.prototxt", "--do", "fit=ncnn")
    assert done.exit_code == 0 and "no rule of ncnn is broken" in done.output


def test_one_mend_after_the_other():
    both = net(
        data(1, 4, 19, 19),
        conv("c", "data", 6, 3, "group: 2"),
        layer("b", "Bias", "c", top="c"),
        pool("p", "c", 3, 2, "round_mode: FLOOR"),
    )
    plan = fk.fit(both, "mace")
    done = [step.what for step in plan.steps if step.what.startswith("--do")]
    assert sorted(done) == ["--do ceil", "--do dense=c"]
    assert "group" not in plan.net.text and "round_mode" not in plan.net.text


def test_words_of_bvlcs_that_a_target_does_not_know_are_not_put_in():
    """Said in the words of BVLC's master the net would have round_mode, which ncnn refuses."""
    floors = [
        pool(f"p{n}", "g" if not n else f"p{n - 1}", 1, 1, "ceil_mode: false") for n in (0, 1)
    ]
    before = net(
        data(1, 3, 19, 19),
        pool("g", "data", 3, 2, "ceil_mode: false"),
        *floors,
        pool("last", "p1", 9, 1),
        layer("s", "Squeeze", "last", more="squeeze_param { axis: 2 axis: 3 }"),
    )
    plan = fk.fit(before, "ncnn")
    assert not any(word in plan.net.text for word in ("round_mode", "ceil_mode", "Squeeze"))
    assert not [step for step in plan.steps if step.verb == "skip"]


def test_forks_layers_that_a_target_takes_stay():
    """Where others of a fork's layers have to be said otherwise, too."""
    before = net(
        data(1, 3, 9, 9),
        conv("c", "data", 4, 3),
        layer("six", "ReLU6", "c"),
        layer("s", "Squeeze", "six", more="squeeze_param { axis: 0 }"),
    )
    plan = fk.fit(before, "ncnn")
    assert '"ReLU6"' in plan.net.text and "Squeeze" not in plan.net.text
    assert [step.layer for step in plan.steps if step.verb == "change"] == ["s", "s"]
    # Alone it needs no list of names.
    alone = fk.fit(net(data(1, 3, 9, 9), layer("s", "Squeeze", "data")), "ncnn")
    assert alone.steps[0].what == "--do bvlc"


def test_a_net_that_fits_is_left_alone():
    plan = fk.fit(net(data(1, 3, 9, 9), conv("c", "data", 4, 3)), "ncnn")
    assert not plan.changed and not plan.steps


def test_targets_that_there_are_not():
    with pytest.raises(TargetError, match='no target "nccn"'):
        fk.fit(GROUPS, "nccn")


def test_verify_proves_it(tmp_path):
    FLOORED.save(tmp_path / "n.prototxt")
    weights(FLOORED, tmp_path / "w.caffemodel")
    words = ["surgery", *map(str, (tmp_path / "n.prototxt", tmp_path / "w.caffemodel"))]
    found = run(*words, "--do", "fit=ncnn", "--verify", "--strict")
    assert found.exit_code == 0, found.output
    assert "no round_mode" in found.output
