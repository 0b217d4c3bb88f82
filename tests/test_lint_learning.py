"""What lint says of what keeps a net from learning, and real Caffe of the same nets."""

from contextlib import nullcontext as nothing

import numpy as np
import pytest
from caffe_training import log_of

import fcnkit
from fcnkit.engines.caffe import Question
from fcnkit.errors import WeightsError
from fcnkit.formats import prototxt
from fcnkit.formats.wire import framed, varint
from fcnkit.nets.graph import State
from fcnkit.weights import store
from fcnkit.weights.convert import as_named, convert

XAVIER = 'weight_filler { type: "xavier" }'


def data(size: str) -> str:
    """Images from a database of unknown size, or of the given one, and labels."""
    if "dim" not in size:
        source = f'data_param {{ source: "x" batch_size: {size} }}'
        return f'layer {{ name: "d" type: "Data" top: "data" top: "label" {source} }}\n'
    return (
        f'layer {{ name: "d" type: "Input" top: "data" input_param {{ shape {{ {size} }} }} }}\n'
        'layer { name: "l" type: "Input" top: "label" '
        f"input_param {{ shape {{ {size[: size.index(' dim')]} }} }} }}\n"
    )


def scale(name: str, more: str = "") -> str:
    return f'layer {{ name: "{name}" type: "Scale" bottom: "c" top: "c" {more} }}\n'


def net(size: str, *layers: str) -> prototxt.Prototxt:
    conv = (
        'layer { name: "c" type: "Convolution" bottom: "data" top: "c" '
        f"convolution_param {{ num_output: 4 kernel_size: 1 {XAVIER} }} }}\n"
    )
    end = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }'
    last = (
        'layer { name: "ip" type: "InnerProduct" bottom: "c" top: "ip" '
        f"inner_product_param {{ num_output: 2 {XAVIER} }} }}\n"
    )
    return prototxt.parse(data(size) + conv + "".join(layers) + last + end, "net.prototxt")


def found(text: prototxt.Prototxt, passes: int = 20) -> list:
    words = f'base_lr: 0.1\nlr_policy: "fixed"\niter_size: {passes}\n'
    return list(fcnkit.lint(text, solver=prototxt.parse(words, "solver.prototxt")))


# ---- gradients that Caffe overwrites


@pytest.mark.parametrize(
    "size, passes, layers, words",
    [
        ("1", 20, [scale("s")], 'layer "s" (net.prototxt:3): only the last of a step\'s 20 passes'),
        ("1", 20, [scale("s"), scale("t")], 'layer "s" (net.prototxt:3) and 1 more'),
        ("1", 1, [scale("s")], None),
        ("2", 20, [scale("s")], None),
        ("1", 20, [scale("s", "param { lr_mult: 0 }")], None),
        ("1", 20, [scale("s", "param { lr_mult: 0.5 }")], "give it lr_mult: 0"),
        ("2", 20, [scale("s", "scale_param { axis: 0 num_axes: -1 }")], "give it lr_mult: 0"),
        ("dim: 2 dim: 3 dim: 5 dim: 5", 20, [scale("s", "scale_param { axis: 0 }")], "give it"),
        ("dim: 1 dim: 3 dim: 5 dim: 5", 20, [scale("s")], "give it"),
    ],
)
def test_a_gradient_that_is_not_added_up_is_said_of_the_solver(size, passes, layers, words):
    hits = [one for one in found(net(size, *layers), passes) if "overwritten" in one.name]
    expected = ("overwritten-gradient", "solver.prototxt", 3)
    assert [(one.name, one.path, one.line) for one in hits] == [expected] * bool(words)
    assert words is None or words in hits[0].text


def test_without_a_solver_nobody_knows_how_many_passes_there_are():
    assert not fcnkit.lint(net("1", scale("s")))


SHARED = 'param { name: "g" }'


@pytest.mark.parametrize("batch, said", [(1, True), (2, False)])
def test_what_is_shared_is_overwritten_in_one_pass(batch, said, caffe):
    text = net(f"dim: {batch} dim: 3 dim: 2 dim: 2", scale("s", SHARED), scale("t", SHARED))
    hits = [one for one in found(text) if one.name == "overwritten-share"]
    assert [one.line for one in hits] == [4] * said
    apart = prototxt.parse(text.text.replace(SHARED, ""), "net.prototxt")
    rng = np.random.default_rng(0)
    inputs = {"data": rng.normal(size=(batch, 3, 2, 2)), "label": np.zeros(batch)}
    shared, alone = caffe.ask(
        [Question("gradients", each, None, inputs, None, State("TRAIN")) for each in (text, apart)]
    )
    first, second = (alone.params[name][0] for name in "st")
    right = first if said else first + second
    np.testing.assert_allclose(shared.params["s"][0], right, rtol=1e-4, atol=1e-7)


# ---- what starts at zero


def learner(*middle: str, last: str = "") -> prototxt.Prototxt:
    """Layers between noise and a loss, which is the distance to other noise."""
    noise = 'data_filler { type: "gaussian" std: 1 }'
    head = (
        'layer { name: "d" type: "DummyData" top: "x" top: "t" dummy_data_param { '
        f"shape {{ dim: 4 dim: 3 }} shape {{ dim: 4 dim: 2 }} {noise} {noise} }} }}\n"
    )
    end = 'layer { name: "loss" type: "EuclideanLoss" bottom: "%s" bottom: "t" top: "loss" }\n'
    top = ("".join(middle) + last).rpartition('top: "')[2].partition('"')[0]
    return prototxt.parse(head + "".join(middle) + last + end % top, "net.prototxt")


def fc(name: str, bottom: str, more: str = "", outputs: int = 2, params: str = "") -> str:
    return (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}" {params} '
        f"inner_product_param {{ num_output: {outputs} {more} }} }}\n"
    )


def one(kind: str, bottom: str, more: str = "") -> str:
    wires = " ".join(f'bottom: "{each}"' for each in bottom.split())
    return f'layer {{ name: "{kind}" type: "{kind}" {wires} top: "{kind}" {more} }}\n'


LEAKY = "relu_param { negative_slope: 0.1 }"
BIASED = 'bias_filler { type: "constant" value: 1 }'
STARTS = [
    ("one alone learns", [fc("a", "x")], ""),
    ("two do not", [fc("a", "x"), fc("b", "a")], "ab"),
    ("one of them filled", [fc("a", "x", XAVIER), fc("b", "a")], ""),
    ("the other filled", [fc("a", "x"), fc("b", "a", XAVIER)], ""),
    ("after a ReLU", [fc("a", "x"), one("ReLU", "a"), fc("b", "ReLU", XAVIER)], "a"),
    (
        "behind a leaky one",
        [fc("a", "x"), one("ReLU", "a", LEAKY), fc("b", "ReLU", XAVIER)],
        "",
    ),
    ("behind a TanH", [fc("a", "x"), one("TanH", "a"), fc("b", "TanH", XAVIER)], ""),
    ("behind a Sigmoid", [fc("a", "x"), one("Sigmoid", "a"), fc("b", "Sigmoid")], ""),
    ("three", [fc("a", "x"), fc("b", "a"), one("TanH", "b"), fc("c", "TanH")], "abc"),
    ("with a bias", [fc("a", "x", BIASED), fc("b", "a")], ""),
    (
        "a way around",
        [fc("a", "x"), fc("b", "a"), fc("c", "x", XAVIER), one("Eltwise", "b c")],
        "ab",
    ),
    ("around one", [fc("a", "x"), fc("c", "x"), one("Eltwise", "a c")], ""),
    ("kept", [fc("a", "x", params="param { lr_mult: 0 }"), fc("b", "a")], "b"),
]  # fmt: skip


@pytest.mark.parametrize("name, layers, still", STARTS, ids=[each[0] for each in STARTS])
def test_what_stays_at_zero_is_known(name, layers, still, caffe, tmp_path):
    text = learner(*layers)
    hits = [hit for hit in fcnkit.lint(text) if hit.name == "stays-zero"]
    assert len(hits) == bool(still) and all(hit.level == "note" for hit in hits)
    if still:
        assert f'layer "{still[0]}"' in hits[0].text
        assert (f"{len(still) - 1} more layer" in hits[0].text) == (len(still) > 1)
    (tmp_path / "net.prototxt").write_text(text.text)
    words = 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 30 random_seed: 1'
    (tmp_path / "s").write_text(f'{words} snapshot_prefix: "s" solver_mode: CPU momentum: 0.9')
    log_of(caffe, tmp_path, "--solver=s")
    after = store.open(tmp_path / "s_iter_30.caffemodel")
    zeros = {name for name, blobs in after.items() if blobs and not blobs[0].array().any()}
    assert zeros == set(still) | ({"a"} if "lr_mult: 0" in text.text else set())


# ---- statistics that a BatchNorm has from its weights

NORM = 'layer { name: "n" type: "BatchNorm" bottom: "c" top: "c" %s }\n'
GLOBAL = "batch_norm_param { use_global_stats: true }"


def test_statistics_that_nobody_measured_are_noted():
    for more, names in ((GLOBAL, ["unmeasured"]), ("", [])):
        assert [hit.name for hit in found(net("2", NORM % more))] == names


@pytest.mark.parametrize(
    "blobs, more, words",
    [
        (None, GLOBAL, "has no statistics for it"),
        (None, "", None),
        (([1] * 4, [1] * 4, [1]), GLOBAL, None),
        (([1] * 4, [1] * 4, [0]), GLOBAL, "has the factor 0 beside its mean and variance"),
        (([0] * 4, [0] * 4, [0]), "", None),
        (([1] * 4, [1, 1, -0.5, 1], [2]), "", "has a variance of -0.25 for it"),
        (([1] * 4, [0, 0, -1e-9, 0], [1]), "", None),
    ],
)
def test_stored_statistics_are_looked_at(blobs, more, words, caffe):
    text = net("2", NORM % more)
    given = store.create().put_all({"c": [np.ones((4, 3, 1, 1)), np.ones(4)]})
    given = given.put_all({"ip": [np.ones((2, 400)), np.ones(2)]})
    if blobs:
        given = given.put_all({"n": [np.array(each) for each in blobs]})
    hits = [one for one in fcnkit.lint(text, given) if one.name == "stored-statistics"]
    assert len(hits) == bool(words) and all(words in one.text for one in hits)
    if blobs and words:
        with (
            pytest.raises(WeightsError, match="has no square root")
            if "-0.25" in words
            else nothing()
        ):
            made = fcnkit.fold(net("dim: 2 dim: 3 dim: 10 dim: 10", NORM % GLOBAL))
            values = fcnkit.transplant(made, given)["c"][0].array()
            assert np.isfinite(values).all()


# ---- NVCaffe's raw data


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_raw_weights_are_named_converted_and_never_written(kind, caffe, tmp_path):
    text = learner(fc("a", "x", XAVIER))
    arrays = [np.arange(6.0).reshape(2, 3), np.ones(2)]
    (tmp_path / "raw.caffemodel").write_bytes(raw_caffemodel("a", arrays, kind))
    raw = store.open(tmp_path / "raw.caffemodel")
    (hit,) = fcnkit.lint(text, raw)
    assert hit.name == "raw-weights" and "`fcnkit convert " in hit.text
    (tmp_path / "net.prototxt").write_text(text.text)
    words = 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 0 solver_mode: CPU'
    (tmp_path / "s").write_text(words)
    with pytest.raises(AssertionError, match="proto.data_size"):
        log_of(caffe, tmp_path, "--solver=s", "--weights=raw.caffemodel")
    made = {
        "converted": convert(raw, "bvlc"),
        "named": as_named(raw, "x.caffemodel"),
        "moved": fcnkit.transplant(fcnkit.rename(text, {"a": "a"}), raw),
    }
    for name, weights in made.items():
        weights.save(tmp_path / f"{name}.caffemodel")
        assert fcnkit.lint(text, store.open(tmp_path / f"{name}.caffemodel")) == ()
        log_of(caffe, tmp_path, "--solver=s", f"--weights={name}.caffemodel")
        for old, new in zip(arrays, store.open(tmp_path / f"{name}.caffemodel")["a"], strict=True):
            np.testing.assert_array_equal(new.array(), old)


def raw_caffemodel(layer: str, arrays, kind: int) -> bytes:
    """A layer as NVCaffe stores it, as float64, float32 or float16."""
    blobs = b""
    for array in arrays:
        shape = framed(7, framed(1, b"".join(map(varint, array.shape))))
        values = array.astype(("<f8", "<f4", "<f2")[kind]).tobytes()
        blobs += framed(7, shape + bytes([10 << 3]) + varint(kind) + framed(12, values))
    return framed(100, framed(1, layer.encode()) + framed(2, b"InnerProduct") + blobs)
