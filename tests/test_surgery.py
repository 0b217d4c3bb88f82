"""Moves carried out on weights, and moves found between a caffemodel and a net."""

import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from small_models import V1, V2, modern_blob, v2_layer

import fcnkit as fk
from fcnkit import templates
from fcnkit.cli.main import main
from fcnkit.errors import WeightsError
from fcnkit.formats import prototxt
from fcnkit.nets.shapes import shapes_of
from fcnkit.plan import Move
from fcnkit.weights import blobs, matching, store, surgery
from fcnkit.weights.fillers import bilinear_planes
from fcnkit.weights.surgery import match, transplant, transposed

CLASSIFIERS = [
    ("age_net_v1/deploy_age.prototxt", "age_net_v1/age_net.caffemodel"),
    ("lenet_v1/lenet.prototxt", "lenet_v1/lenet_iter_10000.caffemodel"),
    ("lenet_v2/lenet.prototxt", "lenet_v2/lenet_iter_10000.caffemodel"),
    ("cifar10_full_v1/cifar10_full.prototxt", "cifar10_full_v1/cifar10_full_iter_70000.caffemodel"),
    (
        "cifar10_quick_v2/cifar10_quick.prototxt",
        "cifar10_quick_v2/cifar10_quick_iter_5000.caffemodel",
    ),
]


def bilinear_blob(shape, group=None):
    """The planes as one array."""
    return np.stack(list(bilinear_planes(shape, group))).reshape(shape)


@pytest.fixture(params=[V1, V2], ids=["V1", "V2"])
def small(request, tmp_path):
    """The weights of a small file of either generation."""
    (tmp_path / "small").write_bytes(request.param)
    return store.open(tmp_path / "small")


def planned(*moves: Move) -> SimpleNamespace:
    return SimpleNamespace(moves=moves)


def values(weights) -> dict:
    return {name: [blob.array().tolist() for blob in found] for name, found in weights.items()}


def written(weights, tmp_path) -> store.Weights:
    weights.save(tmp_path / "out", force=True)
    return store.open(tmp_path / "out")


# transplant: laws


def test_no_moves_change_nothing(small):
    assert transplant(planned(), small).edits() == ()


def test_a_pure_reshape_decodes_nothing(small, tmp_path, monkeypatch):
    def refuse(self):
        raise AssertionError("a blob was decoded")

    monkeypatch.setattr(blobs.Blob, "pieces", refuse)
    plan = planned(Move("conv", 0, (2, 3, 1, 1), "fc"), Move("conv", 1, (2,), "fc"))
    weights = transplant(plan, small)
    weights.save(tmp_path / "out")
    assert sum(len(edit.new) for edit in weights.edits()) < 50


def test_what_is_not_mentioned_stays(small, tmp_path):
    plan = planned(Move("fc", 0, (3, 2), "fc"), Move("fc", 1, (2, 1), "fc"))
    after = written(transplant(plan, small), tmp_path)
    assert list(after) == list(small)
    assert values(after)["top"] == values(small)["top"]


def test_what_is_written_is_what_the_weights_say(small, tmp_path):
    plan = planned(
        Move("fc", 0, (3, 2), "fc", "transpose"),
        Move("fc", 1, (2,), "fc"),
        Move("zero", 0, (4, 2), how="zero"),
        Move("up", 0, (2, 1, 4, 4), how="bilinear"),
        Move("top", 0, (), how="drop"),
    )
    weights = transplant(plan, small)
    assert values(written(weights, tmp_path)) == values(weights)


# transplant: tables


def test_new_layers(small, tmp_path):
    plan = planned(
        Move("score", 0, (4, 2, 1, 1), how="zero"),
        Move("score", 1, (4,), how="zero"),
        Move("up", 0, (4, 1, 4, 4), how="bilinear"),
        Move("dense", 0, (2, 2, 3, 3), how="bilinear"),
    )
    after = written(transplant(plan, small), tmp_path)
    assert not after["score"][0].array().any() and after["score"][1].shape == (4,)
    np.testing.assert_array_equal(after["up"][0].array(), bilinear_blob((4, 1, 4, 4)))
    np.testing.assert_array_equal(after["dense"][0].array(), bilinear_blob((2, 2, 3, 3)))
    assert list(after) == ["data", "fc", "top", "score", "up", "dense"]


def test_a_source_that_goes_to_two_places(small, tmp_path):
    moves = [
        Move(name, blob, shape, "fc")
        for name in ("a", "b")
        for blob, shape in enumerate([(6,), (2,)])
    ]
    after = written(transplant(planned(*moves), small), tmp_path)
    assert list(after) == ["data", "a", "top", "b"]
    assert values(after)["a"] == values(after)["b"] == [[1, 2, 3, 4, 5, 6], [7, 8]]


def test_a_copy_beside_the_original(small, tmp_path):
    moves = [
        Move(name, blob, shape, "fc")
        for name in ("b", "fc")
        for blob, shape in enumerate([(6,), (2,)])
    ]
    after = written(transplant(planned(*moves), small), tmp_path)
    assert list(after) == ["data", "fc", "top", "b"]


def test_layers_swap_names(small, tmp_path):
    plan = planned(
        Move("top", 0, (6,), "fc"), Move("top", 1, (2,), "fc"), Move("fc", 0, (2,), "top")
    )
    assert values(written(transplant(plan, small), tmp_path)) == {
        "data": [],
        "top": [[1, 2, 3, 4, 5, 6], [7, 8]],
        "fc": [[9, 10]],
    }


def test_a_layer_moves_to_a_name_that_is_taken(small, tmp_path):
    plan = planned(Move("top", 0, (6,), "fc"), Move("top", 1, (2,), "fc"))
    assert values(written(transplant(plan, small), tmp_path)) == {
        "data": [],
        "top": [[1, 2, 3, 4, 5, 6], [7, 8]],
    }


def test_blobs_of_two_layers_in_one(small, tmp_path):
    (tmp_path / "two").write_bytes(
        v2_layer("a", modern_blob((2,), (1, 2))) + v2_layer("b", modern_blob((2,), (3, 4)))
    )
    plan = planned(Move("c", 1, (2,), how="zero"), Move("c", 0, (1, 2), "b"))
    with pytest.raises(WeightsError, match='layer "b": has 1 blob, and layer "c" takes 2'):
        transplant(plan, store.open(tmp_path / "two"))
    after = written(
        transplant(planned(Move("c", 0, (1, 2), "b")), store.open(tmp_path / "two")), tmp_path
    )
    assert values(after) == {"a": [[1, 2]], "c": [[[3, 4]]]}


def test_a_dropped_layer_gives_its_name_to_a_new_one(small, tmp_path):
    plan = planned(Move("top", 0, (), how="drop"), Move("top", 0, (3,), how="zero"))
    after = written(transplant(plan, small), tmp_path)
    assert values(after)["top"] == [[0, 0, 0]]


def test_dropping_what_is_not_there_is_done(small):
    assert transplant(planned(Move("nothing", 0, (), how="drop")), small).edits() == ()


@pytest.mark.parametrize(
    "moves, words",
    [
        ([Move("x", 0, (6,), "fd"), Move("x", 1, (2,), "fd")], 'small: has no layer "fd"'),
        (
            [Move("fc", 0, (6,), "fc")],
            'layer "fc": has 2 blobs, and layer "fc" takes 1; .*bias_term',
        ),
        ([Move("top", 0, (2,), "top"), Move("top", 1, (2,), "top")], 'layer "top": has 1 blob'),
        (
            [Move("c", 0, (2, 4), "fc"), Move("c", 1, (2,), "fc")],
            'layer "fc", blob 0, byte .* is 6 values, 2 x 4 would be 8; .*for layer "c", blob '
            "0.; .*new name",
        ),
        (
            [Move("new", 1, (2,), how="zero")],
            'layer "new": nothing is said of blob 0, but of blob 1',
        ),
        ([Move("up", 0, (3, 2, 4, 4), how="bilinear")], "each channel must go to itself"),
        ([Move("nowhere", 0, (2,))], 'has no layer "nowhere"'),
    ],
)
def test_moves_that_cannot_be(small, moves, words):
    with pytest.raises(WeightsError, match=words):
        transplant(planned(*moves), small)


# transposing


@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 40), st.integers(1, 200))
def test_transposing(rows, columns, piece, band):
    array = np.arange(rows * columns, dtype=np.float32).reshape(rows, columns)
    raw = array.tobytes()
    chunks = [raw[at : at + piece * 4] for at in range(0, len(raw), piece * 4)]
    blob = store.create().put("a", [store.Lazy((rows, columns), lambda: chunks)])["a"][0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(surgery, "_BAND", band)
        np.testing.assert_array_equal(transposed(blob).array(), array.T)


def test_transposing_twice_is_the_original(small):
    blob = small["fc"][0]
    assert transposed(transposed(blob)).array().tolist() == blob.array().reshape(2, 3).tolist()


@pytest.mark.parametrize("shape", [(6,), (), (2, 3, 1), (2, 1, 3, 1)])
def test_what_is_no_matrix(shape):
    blob = store.create().put("a", [np.zeros(shape)])["a"][0]
    with pytest.raises(WeightsError, match="not a matrix"):
        transposed(blob)


def test_doubles_stay_doubles_when_transposed():
    given_ = store.Lazy((2, 2), lambda: [np.arange(4.0).tobytes()], "float64")
    array = transposed(store.create().put("a", [given_])["a"][0]).array()
    assert array.dtype == np.float64 and array.tolist() == [[0, 2], [1, 3]]


def test_caffe_reads_a_transposed_layer_the_same_way(caffe, tmp_path):
    net = """
        input: "data" input_shape {{ dim: 2 dim: 2 dim: 3 dim: 3 }}
        layer {{ name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
          inner_product_param {{ num_output: 5 transpose: {} }} }}"""
    old = prototxt.parse(net.format("true"), "old")
    rng = np.random.default_rng(4)
    weights = store.create().put("fc", [rng.normal(size=(18, 5)), rng.normal(size=5)])
    plan = fk.convolutionalize(old)
    assert "transpose" in {move.how for move in plan.moves}
    image = {"data": rng.normal(size=(2, 2, 3, 3)).astype(np.float32)}
    before = caffe.run(old, weights, image)["fc"]
    after = caffe.run(plan.net, transplant(plan, weights), image)["fc"]
    np.testing.assert_allclose(after.reshape(before.shape), before, rtol=1e-5, atol=1e-5)


# real files


@pytest.mark.parametrize("net, model", CLASSIFIERS)
def test_caffe_loads_what_is_transplanted(shared, caffe, tmp_path, net, model):
    source = fk.read(shared / "models" / net)
    plan = fk.convolutionalize(source, rename="{name}-conv")
    weights = store.open(shared / "models" / model)
    transplant(plan, weights).save(tmp_path / "out.caffemodel")
    params = caffe.params(plan.net, tmp_path / "out.caffemodel")
    assert any(name.endswith("-conv") for name in params)
    for name, loaded in params.items():
        for array, blob in zip(loaded, weights[name.removesuffix("-conv")], strict=True):
            np.testing.assert_array_equal(array.ravel(), blob.array().ravel())


@pytest.mark.parametrize("net, model", CLASSIFIERS)
def test_a_net_matches_itself_and_its_conversion(shared, net, model):
    source, weights = fk.read(shared / "models" / net), store.open(shared / "models" / model)
    own = matched(source, source, weights)
    assert {row.verdict for row in own.rows} == {"copied"} and own.moves == ()
    plan = fk.convolutionalize(source)
    found = matched(source, plan.net, weights)
    assert {row.verdict for row in found.rows} == {"copied", "reshaped"}
    assert transplant(found, weights).edits() == transplant(plan, weights).edits()


# match


def matched(before, after, weights, **names) -> matching.Match:
    graph = fk.build(after)
    return match(fk.build(before), graph, shapes_of(graph), weights, names=names or None)


def template(name: str, file: str = "deploy"):
    return fk.read(templates.path(name).parent / f"{file}.prototxt")


def empty(net) -> store.Weights:
    """Weights of zeros in the shapes of a net."""
    graph = fk.build(net)
    shapes = shapes_of(graph)
    return store.create().put_all(
        {
            layer.name: [store.zeros(shape) for shape in shapes.blobs(layer)]
            for layer in graph.layers
        }
    )


def verdicts(found: matching.Match) -> dict:
    return {
        row.layer or row.source: row.verdict for row in found.rows if row.verdict != matching.ORDER
    }


def test_alexnet_and_caffenet_differ_in_order_only():
    alexnet, caffenet = template("alexnet"), template("caffenet")
    found = matched(alexnet, caffenet, empty(alexnet))
    assert set(verdicts(found).values()) == {"copied"}
    rows = found.of(matching.ORDER)
    assert [row.layer for row in rows] == ["conv2", "conv3"]
    assert re.search(r"conv1 -> ReLU -> LRN -> Pooling -> conv2 in .*alexnet", rows[0].why)
    assert re.search(r"conv1 -> ReLU -> Pooling -> LRN -> conv2 in .*caffenet", rows[0].why)
    found.check()
    with pytest.raises(WeightsError, match='layer "conv2": ORDER DIFFERS: .*and 1 more'):
        found.check(strict=True)


def test_renamed_layers():
    net = template("alexnet")
    after = fk.convolutionalize(net, rename="{name}-conv").net
    pairs = {name: f"{name}-conv" for name in ("fc6", "fc7", "fc8")}
    found = matched(net, after, empty(net), **pairs)
    assert verdicts(found)["fc6-conv"] == "renamed, reshaped"
    assert Move("fc6-conv", 0, (4096, 256, 6, 6), "fc6", "copy") in found.moves
    assert not found.of(matching.ORDER, matching.UNUSED, matching.FILLER)
    assert "fc6 -> fc6-conv" in found.table()


def test_without_a_map_renamed_layers_are_strangers():
    net = template("lenet")
    after = fk.convolutionalize(net, rename="{name}-conv").net
    found = matched(net, after, empty(net))
    assert (
        verdicts(found)["ip1-conv"] == "left to the filler" and verdicts(found)["ip1"] == "unused"
    )
    assert "no weight_filler" in found.of("left to the filler")[0].why
    assert {move for move in found.moves if move.how == "drop"} == {
        Move("ip1", 0, (), how="drop"),
        Move("ip2", 0, (), how="drop"),
    }
    found.check()
    with pytest.raises(WeightsError, match="left to the filler"):
        found.check(strict=True)
    assert "ip1" not in transplant(found, empty(net))


def test_the_shapes_need_not_be_known():
    """A data layer does not say its size: the counts decide."""
    data = (
        'layer { name: "data" type: "Data" top: "data" data_param { source: "none" '
        "batch_size: 1 } }"
    )
    deploy = template("alexnet")
    blind = prototxt.parse(deploy.text.replace(deploy.root.all("layer")[0].raw, data[6:]), "blind")
    assert shapes_of(fk.build(blind)).blobs(fk.build(blind).layer("conv1")) is None
    assert set(verdicts(matched(deploy, blind, empty(deploy))).values()) == {"copied"}
    converted = blind.text.replace('"InnerProduct"', '"Convolution"')
    converted = converted.replace("inner_product_param {", "convolution_param { kernel_size: 6")
    found = matched(deploy, prototxt.parse(converted, "converted"), empty(deploy))
    assert found.of("reshaped")[0].new == ((4096, 256, 6, 6), (4096,))
    assert [row.layer for row in found.of("MISMATCH")] == ["fc7", "fc8"]


CHAIN = """
name: "chain"
layer {{ name: "data" type: "Input" top: "data"
  input_param {{ shape {{ dim: 1 dim: 2 dim: 8 dim: 8 }} }} }}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {{ num_output: {conv} kernel_size: 3 }} }}
{between}
layer {{ name: "fc" type: "InnerProduct" bottom: "conv" top: "fc"
  inner_product_param {{ num_output: {fc} transpose: {transpose} bias_term: {bias} }} }}
"""


def chain(conv=4, fc=3, between="", transpose="false", bias="true", path="chain"):
    return prototxt.parse(
        CHAIN.format(conv=conv, fc=fc, between=between, transpose=transpose, bias=bias), path
    )


RELU = 'layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }'
DROPOUT = 'layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }'


@pytest.mark.parametrize(
    "new, layer, words",
    [
        (
            chain(fc=5),
            "fc",
            "blob 0 is 3 x 144 .432 values. in the file, 5 x 144 .720. "
            ".*it makes 3 outputs and the new one 5: for another number of classes",
        ),
        (chain(conv=8), "fc", "its input or kernel differs"),
        (chain(bias="false"), "fc", "the file has 2 blobs, the new net takes 1; .*bias_term"),
    ],
)
def test_mismatches(new, layer, words):
    found = matched(chain(), new, empty(chain()))
    (row,) = [row for row in found.of("MISMATCH") if row.layer == layer]
    assert re.search(words, row.why)
    with pytest.raises(WeightsError, match="MISMATCH"):
        found.check()


def test_a_transposed_matrix_is_turned(tmp_path):
    rng = np.random.default_rng(0)
    weights = empty(chain()).put("fc", [rng.normal(size=(144, 3)), rng.normal(size=3)])
    found = matched(chain(transpose="true"), chain(), weights)
    assert verdicts(found)["fc"] == "reshaped" and "transposed" in found.of("reshaped")[0].why
    after = transplant(found, weights)
    np.testing.assert_array_equal(after["fc"][0].array(), weights["fc"][0].array().T)


@pytest.mark.parametrize(
    "old, new, rows", [(RELU, RELU, 0), (RELU, "", 1), ("", RELU, 1), (DROPOUT, "", 0)]
)
def test_layers_between(old, new, rows):
    found = matched(chain(between=old, path="old"), chain(between=new, path="new"), empty(chain()))
    assert len(found.of(matching.ORDER)) == rows
    if rows:
        assert "conv -> ReLU -> fc in " in found.of(matching.ORDER)[0].why


def test_a_layer_that_reads_another_one():
    def twins(first, second):
        text = "".join(
            f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" '
            "convolution_param { num_output: 2 kernel_size: 1 } }\n"
            for name, bottom in (("a", "data"), ("b", first), ("c", second))
        )
        return prototxt.parse(
            'input: "data" input_dim: 1 input_dim: 2 input_dim: 4 input_dim: 4\n' + text, "net"
        )

    old = twins("a", "b")
    assert not matched(old, twins("a", "b"), empty(old)).of(matching.ORDER)
    assert [row.layer for row in matched(old, twins("a", "a"), empty(old)).of(matching.ORDER)] == [
        "c"
    ]


@pytest.mark.parametrize(
    "pairs, words", [({"fd": "fc"}, 'no layer "fd"'), ({"fc": "x"}, 'chain: has no layer "x"')]
)
def test_maps_that_name_nothing(pairs, words):
    with pytest.raises(WeightsError, match=words):
        matched(chain(), chain(), empty(chain()), **pairs)


def test_what_a_match_looks_like():
    found = matched(chain(), chain(fc=5), empty(chain()))
    assert json.loads(json.dumps(found.json()))["rows"][0]["verdict"] == "copied"
    assert found.table().splitlines()[0].split()[:2] == ["conv", "copied"]
    assert str(found) == found.table()
    assert found._repr_html_().count("<tr>") == len(found.rows)


def test_digits_ship_with_weights_that_match():
    net = template("digits")
    weights = store.open(templates.path("digits").parent / "digits.caffemodel")
    assert set(verdicts(matched(net, net, weights)).values()) == {"copied"}


# ---- one source, several targets

TWIN = """
input: "x" input_shape { dim: 1 dim: 3 dim: 4 dim: 4 }
layer { name: "a" type: "Convolution" bottom: "x" top: "a"
  convolution_param { num_output: 2 kernel_size: 3 } }
"""
TWINS = (
    TWIN
    + """
layer { name: "d" type: "Convolution" bottom: "x" top: "d"
  convolution_param { num_output: 2 kernel_size: 3 } }
"""
)


@pytest.mark.parametrize("pairs, both", [("a=a,a=d", True), ("a=d,a=a", True), ("a=d", False)])
def test_one_layer_goes_to_several(tmp_path, caffe, pairs, both):
    (tmp_path / "one.prototxt").write_text(TWIN)
    (tmp_path / "two.prototxt").write_text(TWINS)
    arrays = [np.arange(54.0).reshape(2, 3, 3, 3), np.array([1.0, 2.0])]
    store.create().put("a", arrays).save(tmp_path / "one.caffemodel")
    words = ["one.prototxt", "one.caffemodel", "two.prototxt", "-o", "two.caffemodel"]
    words = [str(tmp_path / word) if "." in word else word for word in words]
    done = CliRunner().invoke(main, ["surgery", *words, "--map", pairs])
    assert done.exit_code == 0, done.output
    found = caffe.params(prototxt.parse(TWINS), tmp_path / "two.caffemodel")
    for name in "ad":
        right = arrays if both or name == "d" else [array * 0 for array in arrays]
        assert all((one == other).all() for one, other in zip(found[name], right, strict=True))


def test_a_layer_has_one_source(tmp_path):
    done = CliRunner().invoke(main, ["surgery", "a", "b", "c", "--map", "a=d,b=d"])
    assert done.exit_code == 2 and "'d' would be of two layers" in done.output
