"""A net that takes bytes makes of them in real Caffe what it made of prepared images."""

import numpy as np
import pytest
from click.testing import CliRunner
from sketches import conv, data, fc, layer, net, pool, relu, weights

import fcnkit as fk
from fcnkit.cli.main import main
from fcnkit.errors import NetError
from fcnkit.nets.graph import build
from fcnkit.preprocessing import Preprocessing, place

MEAN, SCALE = (104.0, 117.0, 123.0), (0.017, 0.02, 0.015)
INPUT = data(2, 3, 11, 12)
FIELDS = 'input: "data"\ninput_dim: 2\ninput_dim: 3\ninput_dim: 11\ninput_dim: 12\n'
TAIL = relu("c") + pool("p", "c", 2, 2) + fc("out", "p", 4)
# Which nets hold it in weights, and which in a Scale behind the input.
FOLDED = {
    "conv": INPUT + conv("c", "data", 5, 3, "stride: 2") + TAIL,
    "no bias": INPUT + conv("c", "data", 5, 3, "bias_term: false") + TAIL,
    "fields": FIELDS + conv("c", "data", 5, 3) + TAIL,
    "fc": INPUT + fc("c", "data", 6) + relu("c") + fc("out", "c", 4),
    "fc transposed": INPUT + fc("c", "data", 6, "transpose: true") + fc("out", "c", 4),
    "two readers": INPUT
    + conv("c", "data", 5, 3)
    + conv("d", "data", 5, 3, "bias_term: false")
    + layer("e", "Eltwise", "c", "d")
    + fc("out", "e", 4),
}
BEFORE = {
    "padded": INPUT + conv("c", "data", 5, 3, "pad: 1") + TAIL,
    "fields padded": FIELDS + conv("c", "data", 5, 3, "pad_h: 2 pad_w: 0") + TAIL,
    "pooled": INPUT + pool("p", "data", 3, 2) + fc("out", "p", 4),
    "normalised": INPUT + layer("n", "BatchNorm", "data") + fc("out", "n", 4),
    "in place": INPUT + relu("data") + conv("c", "data", 5, 3) + TAIL,
    "one of two pads": INPUT
    + conv("c", "data", 5, 3, "pad: 1")
    + conv("d", "data", 5, 3)
    + fc("x", "c", 4)
    + fc("y", "d", 4)
    + layer("out", "Eltwise", "x", "y"),
    "groups": INPUT + conv("c", "data", 6, 3, "group: 3") + TAIL,
}


def check(caffe, text, folder, mean=MEAN, scale=SCALE, plan=None):
    folder = folder / str(len(list(folder.iterdir())))
    folder.mkdir()
    old = weights(net(text), folder / "old.caffemodel")
    made = plan or fk.bake(net(text), mean, scale)
    fk.transplant(made, old).save(folder / "new.caffemodel")
    image = np.random.default_rng(3).integers(0, 256, (2, 3, 11, 12)).astype("f4")
    mean, scale = (np.reshape(each, (1, -1, 1, 1)) for each in (mean, scale))
    prepared = ((image - mean) * scale).astype("f4")
    (wanted,) = caffe.run_all(net(text), old, [{"data": prepared}], ["out"])
    (found,) = caffe.run_all(made.net, folder / "new.caffemodel", [{"data": image}], ["out"])
    apart = np.abs(found["out"] - wanted["out"]).max()
    assert apart <= 2e-5 * np.abs(wanted["out"]).max() and wanted["out"].any()
    return made


@pytest.mark.parametrize("name", FOLDED)
def test_the_first_layer_holds_it(name, caffe, tmp_path):
    made = check(caffe, FOLDED[name], tmp_path)
    assert len(build(made.net).layers) == len(build(net(FOLDED[name])).layers)
    check(caffe, FOLDED[name], tmp_path, mean=(100.0,), scale=(0.0078125,))


@pytest.mark.parametrize("name", BEFORE)
def test_the_border_is_exact(name, caffe, tmp_path):
    """A Scale does it where a zero of the padding would stand for the mean."""
    made = check(caffe, BEFORE[name], tmp_path)
    assert [step.verb for step in made.steps] == ["insert"]
    assert [each.type for each in build(made.net).layers][1] == "Scale"


def test_a_factor_alone_needs_no_layer(caffe, tmp_path):
    """Zeros stay zeros."""
    made = check(caffe, BEFORE["padded"], tmp_path, mean=(0.0,))
    assert [step.verb for step in made.steps] == ["change"]


def test_after_a_swap_it_takes_bgr(caffe, tmp_path):
    """A net of PyTorch's takes RGB; swapped and baked it takes what Caffe's tools give."""
    text = FOLDED["conv"]
    plan = fk.swap_channels(net(text)).then(fk.bake, MEAN[::-1], SCALE[::-1])
    old = weights(net(text), tmp_path / "old.caffemodel")
    image = np.random.default_rng(3).integers(0, 256, (2, 3, 11, 12)).astype("f4")
    mean, scale = (np.reshape(each, (1, -1, 1, 1)) for each in (MEAN, SCALE))
    given = {"data": ((image - mean) * scale).astype("f4")}
    (wanted,) = caffe.run_all(net(text), old, [given], ["out"])
    bgr = np.ascontiguousarray(image[:, ::-1])
    new = fk.transplant(plan, old)
    (found,) = caffe.run_all(plan.net, new, [{"data": bgr}], ["out"])
    assert np.allclose(found["out"], wanted["out"], rtol=1e-4, atol=1e-4)


def test_folding_before_and_after(caffe, tmp_path):
    norm = layer("n", "BatchNorm", "c", top="c")
    text = INPUT + conv("c", "data", 5, 3, "bias_term: false") + norm + TAIL
    for plan in (
        fk.fold(net(text)).then(fk.bake, MEAN, SCALE),
        fk.bake(net(text), MEAN, SCALE).then(fk.fold),
    ):
        check(caffe, text, tmp_path, plan=plan)


def test_what_the_file_beside_the_net_says(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(FOLDED["conv"])
    with pytest.raises(NetError, match="is not there; give the mean"):
        fk.bake(path)
    Preprocessing("rgb", MEAN, SCALE).save(place(path))
    plan = fk.bake(path)
    assert plan.moves == fk.bake(net(FOLDED["conv"]), MEAN, SCALE).moves
    with pytest.raises(NetError, match="give a mean, or a path"):
        fk.swap_channels(path).then(fk.bake)
    words = ["surgery", str(path), "--do", "swap", "--do", "bake"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2 and "--do bake first" in result.output
    result = CliRunner().invoke(main, [*words[:2], "--do", "bake", "--do", "swap"])
    assert result.exit_code == 0 and "subtracts 104,117,123, then" in result.output
    Preprocessing("rgb", None, SCALE).save(place(path), force=True)
    with pytest.raises(NetError, match="says no mean"):
        fk.bake(path)
    Preprocessing("rgb", (), 1.0).save(place(path), force=True)
    assert not fk.bake(path).changed


@pytest.mark.parametrize(
    ("text", "mean", "scale", "reason"),
    [
        (FOLDED["conv"], (1.0, 2.0), 1, "2 numbers as mean for 3 channels"),
        (FOLDED["conv"], (1.0,), 0, "a scale of 0 would erase"),
        (INPUT + data(2, 3, 4, 4, name="more") + TAIL.replace('"c"', '"data"'), (1,), 1, "images"),
        (
            'layer { name: "data" type: "Data" top: "data" '
            "transform_param { crop_size: 9 mean_value: 1 mean_value: 2 mean_value: 3 } "
            'data_param { source: "x" batch_size: 1 } }\n' + conv("c", "data", 5, 3),
            (1,),
            1,
            "this layer already prepares its images",
        ),
    ],
)
def test_it_refuses(text, mean, scale, reason):
    with pytest.raises(NetError, match=reason):
        fk.bake(net(text), mean, scale)


def test_a_mean_image_is_no_colour():
    done = CliRunner().invoke(main, ["surgery", "template:lenet", "--do", "bake=mean.binaryproto"])
    assert done.exit_code == 2 and "a mean image cannot be baked into a net" in done.output
