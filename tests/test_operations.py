"""`fcnkit surgery --do`: every operation by its word, alone and in turn, and mistakes."""

import json

import numpy as np
import pytest
from sketches import conv, crop, data, deconv, fc, images, layer, net, pool, relu, weights
from test_cli import listing, run

import fcnkit as fk
from fcnkit.errors import quoted
from fcnkit.rewrites.operations import every

NET = net(
    data(1, 3, 24, 24),
    conv("conv1", "data", 4, 3),
    layer("bn1", "BatchNorm", "conv1", top="conv1"),
    layer("sc1", "Scale", "conv1", top="conv1", more="scale_param { bias_term: true }"),
    relu("conv1"),
    pool("pool1", "conv1", 2, 2),
    conv("conv2", "pool1", 6, 3, "group: 2"),
    pool("pool2", "conv2", 2, 2),
    conv("fc3", "pool2", 8, 5),
    relu("fc3"),
    fc("fc4", "fc3", 10),
    layer("prob", "Softmax", "fc4"),
)
UP = net(
    data(1, 1, 8, 8),
    conv("score", "data", 3, 3),
    deconv("upscore", "score", 3, 4, 2, "group: 3"),
)
OLD = net(
    'input: "data"\n' + "".join(f"input_dim: {n}\n" for n in (1, 1, 9, 9)), conv("a", "data", 2, 3)
)
WIDE = net(data(1, 1, 20, 20), conv("score", "data", 3, 7, "pad: 9 stride: 4"))
FORKS = net(
    data(1, 3, 20, 20),
    conv("conv", "data", 4, 3, "hole: 2 relu: true"),
    layer("act", "HardSwish", "conv"),
    pool("pool", "act", 2, 2, "ceil_mode: false"),
    layer("up", "Upsample", "pool", more="upsample_param { scale: 2 }"),
)
FLOORED = net(
    data(1, 3, 20, 20),
    conv("conv", "data", 4, 3, "stride: 2"),
    pool("pool", "conv", 3, 2, "round_mode: FLOOR"),
    pool("last", "pool", 2, 2, "round_mode: FLOOR"),
)
CUT = net(
    data(1, 1, 8, 8),
    conv("score", "data", 3, 3),
    pool("small", "data", 2, 2),
    crop("cut", "score", "small", 0),
    layer("both", "Concat", "cut", "small"),
)
# Every operation on a net, and a word of its plan.
DONE = {
    "conv": (NET, "InnerProduct -> Convolution"),
    "fc": (NET, "fc3  keep"),
    "fold": (NET, "absorbs bn1 (BatchNorm), sc1 (Scale)"),
    "classes=fc4:0-2,5,new": (NET, "10 -> 5 classes; 1 new with zero weights"),
    "classes=fc4:9,xavier,xavier": (NET, "10 -> 3 classes; 2 new with xavier weights"),
    "classes=score:2,new": (UP, "upsampled as class 0"),
    "swap": (NET, "channels in the other order"),
    "swap=data": (NET, "channels in the other order"),
    "gray": (NET, "its 3 channels summed"),
    "colour": (UP, "0.114, 0.587, 0.299"),
    "colour=rgb": (UP, "0.299, 0.587, 0.114"),
    "colour=mean": (UP, "0.333333, 0.333333, 0.333333"),
    "channels=4": (NET, "3 channels to 4; new weights are zero"),
    "channels=5:mean": (NET, "the mean of the old"),
    "dense": (NET, "2 groups -> dense"),
    "dense=upscore": (UP, "3 groups -> dense"),
    "decimate=fc3:3": (NET, "kernel 5 -> 3"),
    "decimate=fc3:3x5": (NET, "kernel 5 -> 3x5"),
    "filters=conv1:2": (NET, "filters"),
    "filters=fc3:2:first": (NET, "the first of them"),
    "extract=data:pool1": (NET, "it is not between"),
    "extract=pool1:": (NET, "Input, 1 x 4 x 11 x 11"),
    "extract=:fc3,pool2": (NET, "it is not between"),
    "rename=fc4:score,conv1:c": (NET, "renamed score"),
    "floor": (NET, "either way"),
    "ceil": (FLOORED, "no round_mode"),
    "fork=deeplab": (NET, "nothing to do"),
    "fork=ssd": (FORKS, "ReLU"),
    "fit=ncnn": (FLOORED, "its parser stops"),
    "uncrop": (CUT, "what the kernel gains is zero"),
    "uncrop=cut": (CUT, "what the kernel gains is zero"),
    "pad=score:2": (UP, "pad 2"),
    "resize=data:2,1,11,9": (UP, "data 2 x 1 x 11 x 9"),
    "batch=3": (NET, "batch of 3"),
    "bake=104,117,123:0.017": (NET, "subtracts 104,117,123, then multiplies by 0.017"),
    "bake=20": (UP, "subtracts 20, then"),
    "input=legacy": (NET, "Input -> input fields"),
    "input=layer": (OLD, "Input"),
    "upsample=score:data": (WIDE, "begins at pixel"),
    "upsample=score:4": (WIDE, "begins at pixel"),
    "bvlc": (FORKS, "ceil_mode -> round_mode: FLOOR"),
    "bvlc=1.0": (FORKS, "HardSwish -> Power, ReLU, Eltwise PROD"),
    "drop=fc4": (NET, 'it needs "fc4"'),
}


@pytest.fixture
def folder(tmp_path):
    for name, each in (
        ("net", NET),
        ("up", UP),
        ("wide", WIDE),
        ("old", OLD),
        ("forks", FORKS),
        ("floored", FLOORED),
        ("cut", CUT),
    ):
        each.save(tmp_path / f"{name}.prototxt")
        weights(each, tmp_path / f"{name}.caffemodel")
    return tmp_path


def files(folder, which):
    name = {
        NET: "net",
        UP: "up",
        WIDE: "wide",
        OLD: "old",
        FORKS: "forks",
        FLOORED: "floored",
        CUT: "cut",
    }[which]
    return folder / f"{name}.prototxt", folder / f"{name}.caffemodel"


def test_every_operation_is_in_the_help_and_tried_here():
    shown = run("surgery", "--help").output
    tried = {word.partition("=")[0] for word in DONE} | {"group"}
    assert sorted(tried) == sorted(operation.name for operation in every())
    assert all(operation.form in shown and operation.help in shown for operation in every())


@pytest.mark.parametrize("word", DONE)
def test_it_prints_its_plan_and_writes_nothing(word, folder):
    before = listing(folder)
    result = run("surgery", *files(folder, DONE[word][0]), "--do", word)
    assert result.exit_code == 0, result.output
    assert word == "fc" or DONE[word][1] in " ".join(result.stdout.split())
    assert listing(folder) == before
    bare = run("surgery", files(folder, DONE[word][0])[0], "--do", word)
    assert bare.stdout == result.stdout


def test_caffe_loads_what_every_operation_writes(caffe, folder):
    asked = []
    for number, (word, (which, _)) in enumerate(DONE.items()):
        out, net_out = folder / f"{number}.caffemodel", folder / f"{number}.prototxt"
        result = run(
            "surgery", *files(folder, which), "--do", word, "-o", out, "--net-out", net_out
        )
        assert result.exit_code == 0, result.output
        assert f"wrote {out}" in result.stderr and f"wrote {net_out}" in result.stderr
        asked.append(caffe.Question("load", fk.read(net_out), out))
    assert [answer for answer in caffe.ask(asked) if answer is not None] == []


def test_operations_in_turn(caffe, folder):
    words = ("fold", "dense", "swap", "conv", "classes=fc4:3,1", "rename=fc4:score", "drop=prob")
    made = folder / "new.prototxt", folder / "new.caffemodel"
    dos = [part for word in words for part in ("--do", word)]
    result = run("surgery", *files(folder, NET), *dos, "--net-out", made[0], "-o", made[1])
    assert result.exit_code == 0, result.output
    image = images(NET)
    old = caffe.run(NET, folder / "net.caffemodel", image, ["fc4"])["fc4"]
    new = caffe.run(fk.read(made[0]), made[1], {"data": image["data"][:, ::-1]}, ["fc4"])["fc4"]
    assert list(fk.weights(made[1])) == ["conv1", "conv2", "fc3", "score"]
    np.testing.assert_allclose(new.ravel(), old[:, [3, 1]].ravel(), atol=1e-5 * np.abs(old).max())


def test_dense_and_back_by_group(folder):
    words = (
        "--do",
        "dense",
        "--do",
        "group=upscore",
        "--do",
        "dense=upscore",
        "--do",
        "group=upscore:3",
    )
    result = run("surgery", *files(folder, UP), *words, "-o", folder / "new.caffemodel")
    assert result.exit_code == 0, result.output
    old, new = (fk.weights(folder / f"{name}.caffemodel") for name in ("up", "new"))
    assert (old["upscore"][0].array() == new["upscore"][0].array()).all()


def test_diff_json_and_standard_output(folder):
    words = "surgery", files(folder, NET)[0], "--do", "fold"
    assert '-  name: "bn1"' in run(*words, "--diff").stdout
    plan = json.loads(run(*words, "--json").stdout)
    assert plan["changed"] and "fold" in {move["how"] for move in plan["moves"]}
    assert run(*words, "--net-out", "-").stdout == fk.fold(NET).net.text


def test_weights_for_a_net_that_is_not_written(folder):
    result = run("surgery", *files(folder, NET), "--do", "fold", "-o", folder / "new.caffemodel")
    assert (
        result.exit_code == 0 and "for the changed net; write that with --net-out" in result.stderr
    )


def test_an_input_that_an_operation_takes_away(folder):
    words = "surgery", files(folder, NET)[0], "--input", "data=2,3,24,24"
    result = run(*words, "--do", "extract=pool1:", "--do", "conv")
    assert result.exit_code == 0 and "2 x 4 x 11 x 11" in result.stdout
    wrong = run("surgery", files(folder, NET)[0], "--input", "date=2,3,24,24", "--do", "fold")
    assert wrong.exit_code == 2 and 'no blob "date"' in wrong.stderr


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("decimate=fc3:4", 'layer "fc3": 4 of 5 weights cannot be spread evenly'),
        ("group=conv1:3", "do not divide"),
        ("gray=nope", 'no blob "nope"'),
        ("classes=fc4:10", "10 classes, 0 to 9, and no 10"),
        ("classes=fc4:0,nosuch", 'filler "nosuch"'),
        ("rename=fc4:fc3", "two layers would be named"),
        ("extract=prob:data", '"data" does not depend on "prob"'),
        ("drop=fc5", 'no layer "fc5"'),
    ],
)
def test_what_cannot_be_is_an_error_that_leaves_nothing(word, message, folder):
    before = listing(folder)
    outs = "-o", folder / "o.caffemodel", "--net-out", folder / "o.prototxt"
    result = run("surgery", *files(folder, NET), "--do", word, *outs)
    assert result.exit_code == 2 and message in result.stderr and "Traceback" not in result.output
    assert not result.stdout and listing(folder) == before


@pytest.mark.parametrize(
    ("word", "fact"),
    [
        ("fold=1", "it takes no arguments"),
        ("classes=fc4", '"fc4" has no colon'),
        ("classes=fc4:new,xavier", "new classes start in several ways, xavier and zero"),
        ("classes=fc4:4-2", '"4-2" goes down'),
        ("classes=fc4:0,,1", "a name is missing"),
        ("classes=fc4:0-9999999999", "9999999999 is more than 1,000,000"),
        ("classes=fc4:0-600000,0-600000", "more than 1,000,000 classes"),
        ("classes=fc4:" + "9" * 5000, f"{'9' * 20} is more than 1,000,000"),
        ("classes=fc4:²", '"²" is not a whole number'),
        ("classes=fc4:0x10", '"0x10" is not a whole number'),
        ("classes=fc4:1_0", '"1_0" is not a whole number'),
        ("channels=+4", '"+4" is not a whole number'),
        ("channels=2147483647", "2147483647 is more than 1,000,000"),
        ("channels=4:one", '"one" is none of zero, mean'),
        ("colour=cmyk", '"cmyk" is none of bgr, rgb, mean'),
        ("group=conv1:²", '"²" is not a whole number'),
        ("group=conv1,conv2", "several layers; give --do group once for each"),
        ("filters=fc3:x", '"x" is not a whole number'),
        ("filters=fc3:first", '"fc3" has no colon'),
        ("decimate=fc3:3x", '"" is not a whole number'),
        ("rename=conv1:x,conv1:y", '"conv1" is given 2 new names'),
        ("extract=a", "it has no colon"),
    ],
)
def test_arguments_that_cannot_be_read(word, fact):
    result = run("surgery", "template:alexnet", "--do", word)
    form = next(each.form for each in every() if each.name == word.partition("=")[0])
    assert result.exit_code == 2
    assert f"{quoted(word)}: {fact}; write it as {form}" in result.stderr


def test_a_typo_is_no_new_class():
    result = run("surgery", "template:alexnet", "--do", "classes=fc8:0,nwe")
    assert result.exit_code == 2 and 'filler "nwe": Caffe has no such filler' in result.stderr
    with pytest.raises(fk.FcnkitError, match="no such filler; give zero"):
        fk.reclass(NET, "fc4", [0, None], filler="nwe")


def test_bounds_are_looked_at_before_anything_of_that_length_is_made():
    with pytest.raises(fk.FcnkitError, match="10 classes, 0 to 9, and no 10"):
        fk.reclass(NET, "fc4", range(10**12))
    with pytest.raises(fk.FcnkitError, match="2147483647 channels are asked for; the most"):
        fk.add_channels(NET, 2**31 - 1)


def test_numbers_in_the_name_of_a_layer_are_its_name():
    """A layer's name may have colons: what follows the last one is a count only in digits."""
    named = net(data(1, 4, 8, 8), conv("a:b", "data", 8, 3))
    (group,) = [each for each in every() if each.name == "group"]
    assert group.read("a:b") == (("a:b",), {}) and group.read("a:b:4") == (("a:b", 4), {})
    plan = group.rewrite(named, *group.read("a:b:4")[0])
    assert "group: 4" in plan.net.text


def test_weights_that_refuse_late_leave_nothing(folder):
    """Whether a layer is block-diagonal is seen when it is written."""
    net(data(1, 4, 8, 8), conv("c", "data", 6, 3)).save(folder / "c.prototxt")
    weights(fk.read(folder / "c.prototxt"), folder / "c.caffemodel")
    before = listing(folder)
    outs = "-o", folder / "o.caffemodel", "--net-out", folder / "o.prototxt"
    result = run(
        "surgery", folder / "c.prototxt", folder / "c.caffemodel", "--do", "group=c:2", *outs
    )
    assert result.exit_code == 2 and "outside the blocks of 2 groups" in result.stderr
    assert listing(folder) == before


@pytest.mark.parametrize(
    "words",
    [
        ("n",),
        ("n", "w"),
        ("n", "w", "m", "--do", "fold"),
        ("n", "w", "--do", "fold", "--strict"),
        ("n", "--do", "fold", "-o", "out"),
        ("n", "w", "m", "--diff"),
        ("n", "w", "m", "--net-out", "o"),
        ("net.prototxt", "net.caffemodel", "--do", "fold", "-o", "o", "--net-out", "o"),
        ("n", "--do", "fold=1"),
        ("n", "--do", "melt"),
        ("n", "--do", "classes=fc4"),
        ("n", "--do", "classes=fc4:new,xavier"),
        ("n", "--do", "channels=x"),
        ("n", "--do", "colour=cmyk"),
        ("n", "--do", "decimate=fc3"),
        ("n", "--do", "decimate=fc3:axb"),
        ("n", "--do", "rename=a"),
        ("n", "--do", "drop="),
        ("n", "--do", "extract=a"),
        ("n", "--do", "dense=a,,b"),
        ("n", "--do", "group="),
        ("n", "--do", "fold", "--net-out", "-", "--json"),
    ],
)
def test_wrong_usage_is_exit_2(words, folder, monkeypatch):
    monkeypatch.chdir(folder)
    before = listing(folder)
    result = run("surgery", *words)
    assert result.exit_code == 2 and isinstance(result.exception, SystemExit), result.output
    assert "Usage" in result.stderr and listing(folder) == before
