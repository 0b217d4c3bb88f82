"""What inspect tells: published sizes, costs, offsets in both directions and receptive fields."""

import json
from fractions import Fraction as F

import pytest
from sketches import conv, crop, data, deconv, fc, layer, net, pool, relu, template, weights

import fcnkit as fk
from fcnkit.errors import NetError
from fcnkit.nets.graph import State


@pytest.fixture(scope="module")
def alexnet():
    """FCN-AlexNet with pad 100, seen at 500 x 500."""
    plan = fk.fcn(template("alexnet"), classes=21, stride=32, pad=100)
    return {row.name: row for row in fk.inspect(plan.net, inputs={"data": (1, 3, 500, 500)}).rows}


# ---- published facts


@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        ("alexnet", 60_965_224, 724_406_816),
        ("caffenet", 60_965_224, 724_406_816),
        ("vgg16", 138_357_544, 15_470_264_320),
    ],
)
def test_parameters_and_multiply_adds(name, params, macs):
    found = fk.inspect(template(name))
    assert (found.params, found.macs) == (params, macs)
    assert f"{params:,} parameters, {macs:,} multiply-adds" in found.table()


@pytest.mark.parametrize(("name", "fc6", "pool5"), [("alexnet", 355, 195), ("vgg16", 404, 212)])
def test_receptive_fields(name, fc6, pool5):
    found = {
        row.name: row.field for row in fk.inspect(fk.convolutionalize(template(name)).net).rows
    }
    assert found["fc6"] == found["fc7"] == (fc6, fc6) and found["pool5"] == (pool5, pool5)


@pytest.mark.parametrize(
    ("layer", "scale", "own", "offset", "back"),
    [
        ("conv1", F(1, 4), F(95, 4), F(95, 4), 18),
        ("pool1", F(1, 8), F(-1, 2), F(91, 8), -77),
        ("conv2", F(1, 8), 0, F(91, 8), -73),
        ("pool2", F(1, 16), F(-1, 2), F(83, 16), -73),
        ("conv3", F(1, 16), 0, F(83, 16), -65),
        ("conv4", F(1, 16), 0, F(83, 16), -65),
        ("conv5", F(1, 16), 0, F(83, 16), -65),
        ("pool5", F(1, 32), F(-1, 2), F(67, 32), -65),
        ("fc6", F(1, 32), F(-5, 2), F(-13, 32), -49),
        ("fc7", F(1, 32), 0, F(-13, 32), 31),
        ("score_fr", F(1, 32), 0, F(-13, 32), 31),
        ("upscore", 1, 31, 18, 31),
    ],
)
def test_the_offset_table_in_both_directions(layer, scale, own, offset, back, alexnet):
    row = alexnet[layer]
    assert (row.scale, row.own, row.offset, row.back) == tuple(
        (each, each) for each in (scale, own, offset, back)
    )


def test_the_table_shows_decimal_offsets(alexnet):
    plan = fk.fcn(template("alexnet"), classes=21, stride=32, pad=100)
    lines = {
        line.split()[1]: line
        for line in fk.inspect(plan.net).table().splitlines()
        if len(line.split()) > 5
    }
    assert "23.75" in lines["conv1"] and "11.375" in lines["pool1"] and "-0.40625" in lines["fc6"]
    assert "18" in lines["upscore"]


# ---- laws


def test_the_totals_are_the_sums():
    found = fk.inspect(template("lenet"))
    assert found.params == sum(row.params for row in found.rows)
    assert found.macs == sum(row.macs for row in found.rows)


def test_back_and_forth_meet():
    plan = fk.fcn(template("vgg16"), classes=21, stride=8, pad=100)
    found = fk.inspect(plan.net)
    last = next(row for row in found.rows if row.name == found.end)
    for row in found.rows:
        if row.back is not None and row.name.startswith("conv1_1"):
            assert row.back == last.offset


def test_json_is_the_table():
    found = fk.inspect(fk.fcn(template("lenet"), classes=2, stride=4).net)
    again = json.loads(json.dumps(found.json()))
    assert [row["name"] for row in again["layers"]] == [row.name for row in found.rows]
    assert again["parameters"] == found.params
    assert F(again["layers"][-2]["offset"][0]) == found.rows[-2].offset[0]


def test_a_notebook_shows_every_layer():
    found = fk.inspect(net(data(1, 1, 9, 9), conv("<c>", "data", 1, 3)))
    assert "&lt;c&gt;" in found._repr_html_() and str(found) == repr(found) == found.table()


# ---- tables


def test_offsets_may_be_counted_from_another_blob():
    found = fk.inspect(template("vgg16"), to="pool2")
    rows = {row.name: row for row in found.rows}
    assert (
        rows["pool3"].scale == (F(1, 2),) * 2
        and rows["pool1"].offset is None
        and found.origin == "pool2"
    )


def test_inputs_change_shapes_alone():
    small, large = (
        fk.inspect(template("lenet"), inputs={"data": (1, 1, size, size)}) for size in (28, 28)
    )
    assert small.rows == large.rows
    with pytest.raises(NetError, match="dato"):
        fk.inspect(template("lenet"), inputs={"dato": (1, 1, 9, 9)})


def test_states_have_layers_of_their_own():
    text = net(data(1, 1, 9, 9), layer("r", "ReLU", "data", more="include { phase: TRAIN }"))
    assert len(fk.inspect(text).rows) == 1 and len(fk.inspect(text, state=State("TRAIN")).rows) == 2


def test_what_is_not_known_is_a_question_mark():
    text = net(
        layer("d", "Data", top="data", more='data_param { source: "x" batch_size: 1 }'),
        fc("f", "data", 3),
    )
    found = fk.inspect(text)
    assert found.rows[1].params is None and found.params == 0 and "?" in found.table()


def test_rows_of_a_crop_and_a_branch():
    text = net(
        data(1, 1, 40, 40),
        conv("c", "data", 1, 3, "pad: 12"),
        pool("p", "c", 2, 2),
        deconv("u", "p", 1, 4, 2),
        crop("score", "u", "data", 12),
        layer("sum", "Eltwise", "score", "data"),
        relu("sum"),
    )
    rows = {row.name: row for row in fk.inspect(text).rows}
    assert rows["score"].offset == rows["sum"].offset == (0, 0)
    assert rows["score"].field == rows["sum"].field == rows["u"].field
    assert rows["u"].field[0] == 3 + 1 + 2


def test_branches_that_disagree_are_left_blank():
    text = net(
        data(1, 1, 40, 40),
        pool("a", "data", 2, 2),
        conv("b", "data", 1, 3, "stride: 2 pad: 1"),
        layer("sum", "Eltwise", "a", "b"),
        deconv("u", "sum", 1, 4, 2),
    )
    rows = {row.name: row for row in fk.inspect(text).rows}
    assert rows["sum"].offset is None and rows["a"].offset == (F(-1, 4),) * 2


def test_columns_are_split_where_they_do_not_fit():
    found = fk.inspect(template("alexnet"))
    wide, narrow = found.table(), found.table(80)
    assert narrow.count("conv1 ") == 2 * wide.count("conv1 ")
    assert max(map(len, narrow.splitlines())) < max(map(len, wide.splitlines()))


# ---- weights


def test_each_layer_says_how_the_files_blobs_fit(tmp_path):
    text = net(
        data(1, 3, 8, 8), conv("a", "data", 4, 3), fc("b", "a", 5), fc("c", "b", 2), relu("c")
    )
    found = weights(text, tmp_path / "w.caffemodel")
    conv_text = fk.convolutionalize(text).net
    said = {row.name: row.weights for row in fk.inspect(conv_text, weights=found.drop("c")).rows}
    assert (
        said["a"] == "fits"
        and said["b"] == "reshape 5x144"
        and said["c"] == "missing"
        and said["relu_c"] == "-"
    )
    other = net(text.text.replace("num_output: 5", "num_output: 6"))
    assert fk.inspect(other, weights=found).rows[2].weights == "MISMATCH 5x144"
    bare = net(text.text.replace("num_output: 2", "num_output: 2 bias_term: false"))
    assert fk.inspect(bare, weights=found).rows[3].weights == "2 blobs for 1"


# ---- real data


GOOGLENET = "prototxts/repos/BVLC+caffe/models/bvlc_googlenet/train_val.prototxt"
ONE_IMAGE = {"data": (1, 3, 224, 224)}


def test_googlenet_of_the_corpus(shared):
    """The published 6,998,552 parameters; 907 pixels after the last pooling, 715 before it."""
    found = fk.inspect(fk.read(shared / GOOGLENET), inputs=ONE_IMAGE)
    rows = [row for row in found.rows if not row.name.startswith(("loss1", "loss2"))]
    assert sum(row.params or 0 for row in rows) == 6_998_552
    assert sum(row.macs or 0 for row in rows) == 1_582_671_872
    fields = {row.name: row.field for row in rows}
    assert fields["inception_5b/output"] == (715, 715) and fields["pool5/7x7_s1"] == (907, 907)


@pytest.mark.parametrize(("pad", "offset"), [("keep", 1), (100, 98), ("auto", 1)])
def test_googlenet_of_the_corpus_as_an_fcn(pad, offset, shared):
    plan = fk.fcn(
        fk.read(shared / GOOGLENET),
        classes=21,
        stride=32,
        pad=pad,
        head="loss3/classifier",
        inputs=ONE_IMAGE,
    )
    assert plan.offsets[-1].offset == (offset, offset) and "kernel_size: 63" in plan.net.text


def test_age_net_fits_its_own_weights(shared):
    folder = shared / "models" / "age_net_v1"
    found = fk.inspect(
        fk.read(folder / "deploy_age.prototxt"), weights=fk.weights(folder / "age_net.caffemodel")
    )
    assert {row.weights for row in found.rows} == {"fits", "-"}


def test_an_open_number_of_outputs_is_said_and_the_rest_is_known():
    text = data(1, 3, 8, 8) + conv("c", "data", 4, 3) + fc("fc", "c", 0) + relu("fc")
    found = fk.inspect(net(text.replace("num_output: 0", "")))
    assert [row.shape for row in found.rows] == [(1, 3, 8, 8), (1, 4, 6, 6), None, None]
    assert [row.params for row in found.rows] == [0, 112, None, None]
    (note,) = found.notes
    assert 'layer "fc": it has no num_output; give 1 output' in note
    assert note in found.table() and found.json()["notes"] == [note]
    with pytest.raises(NetError, match="num_output is 0; give 1 output or more"):
        fk.inspect(net(text))
