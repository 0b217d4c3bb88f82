"""Sizes of inputs in the file, wherever they stand; the net that Caffe then builds."""

import pytest
from click.testing import CliRunner
from sketches import conv, data, fc, layer, net, template

import fcnkit as fk
from fcnkit.cli.main import main
from fcnkit.errors import NetError
from fcnkit.nets.graph import build
from fcnkit.nets.shapes import shapes_of

LAYERS = conv("c", "data", 4, 3)
LEGACY = 'input: "data"\ninput_dim: 1\ninput_dim: 3\ninput_dim: 16\ninput_dim: 16\n'
SHAPED = 'input: "data"\ninput_shape { dim: 1 dim: 3 dim: 16 dim: 16 }\n'
TWO = (
    'input: "data"\ninput: "more"\ninput_dim: 1\ninput_dim: 3\ninput_dim: 16\ninput_dim: 16\n'
    "input_dim: 1\ninput_dim: 2\ninput_dim: 5\ninput_dim: 6\n"
)
SPREAD = 'layer { name: "i" type: "Input" top: "data" top: "more" input_param {\n %s } }\n'
EACH = SPREAD % "shape { dim: 1 dim: 3 dim: 16 dim: 16 }\n  shape { dim: 1 dim: 2 }"


@pytest.mark.parametrize("text", [data(1, 3, 16, 16), LEGACY, SHAPED, TWO, EACH])
def test_the_size_is_written_where_it_stands(text, caffe):
    """No other number of the file changes, and Caffe's blob has the new size."""
    text += LAYERS
    plan = fk.resize(net(text), "data", (2, 3, 21, 18))
    sizes = shapes_of(build(plan.net)).tops
    assert {top.blob: shape for top, shape in sizes.items()}["data"] == (2, 3, 21, 18)
    changed = [
        (old, new)
        for old, new in zip(text.split(), plan.net.text.split(), strict=True)
        if old != new
    ]
    assert changed == [("1", "2"), ("16", "21"), ("16", "18")]
    (found,) = caffe.ask([caffe.Question("shapes", plan.net)])
    assert found["data"] == (2, 3, 21, 18) and found["c"] == (2, 4, 19, 16)
    assert not fk.resize(plan.net, "data", (2, 3, 21, 18)).changed


@pytest.mark.parametrize("text", [TWO, EACH])
def test_every_input_has_the_batch(text):
    plan = fk.batch(net(text + LAYERS), 7)
    sizes = {top.blob: shape for top, shape in shapes_of(build(plan.net)).tops.items()}
    assert sizes["data"][0] == sizes["more"][0] == 7


DATA = (
    'layer {{ name: "d{0}" type: "Data" top: "data" top: "label" include {{ phase: {0} }}\n'
    "  transform_param {{ crop_size: 16 mean_value: 1 mean_value: 2 mean_value: 3 }}\n"
    '  data_param {{ source: "x" batch_size: 32 backend: LMDB }} }}\n'
)
TRAINED = DATA.format("TRAIN") + DATA.format("TEST") + LAYERS


def test_data_layers_of_every_phase_have_the_batch_and_the_crop():
    assert fk.batch(net(TRAINED), 4).net.text == TRAINED.replace("batch_size: 32", "batch_size: 4")
    plan = fk.resize(net(TRAINED), "data", (8, 3, 24, 24))
    expected = TRAINED.replace("batch_size: 32", "batch_size: 8").replace("size: 16", "size: 24")
    assert plan.net.text == expected and len(plan.steps) == 2


@pytest.mark.parametrize(
    ("text", "blob", "shape", "reason"),
    [
        (data(1, 3, 16, 16) + fc("fc", "data", 5), "data", (1, 3, 20, 20), "put --do conv before"),
        (data(1, 3, 16, 16) + LAYERS, "data", (1, 4, 16, 16), "its weights are 4 x 3 x 3 x 3"),
        (data(1, 3, 16, 16) + LAYERS, "data", (3, 16, 16), "4 sizes here, and 3 are given"),
        (data(1, 3, 16, 16) + LAYERS, "c", (1, 4, 5, 5), "it computes"),
        (data(1, 3, 16, 16) + LAYERS, "date", (1, 4, 5, 5), 'did you mean "data"|near'),
        (data(1, 3, 16, 16) + LAYERS, "data", (1, 3, 2, 2), "kernel"),
        (TRAINED, "data", (8, 3, 24, 20), "do batch=8"),
        (TRAINED, "label", (8,), "its size is that of its data"),
    ],
)
def test_it_refuses(text, blob, shape, reason):
    with pytest.raises(NetError, match=reason):
        fk.resize(net(text), blob, shape)


def test_no_input_without_a_size_has_a_batch():
    text = layer("d", "Python", top="data", more='python_param { module: "m" layer: "L" }') + LAYERS
    with pytest.raises(NetError, match="no input says a size here"):
        fk.batch(net(text), 2)


def test_a_convolutional_net_of_any_size():
    """AlexNet's classifier, for images of another size after it has been made convolutional."""
    with pytest.raises(NetError, match="do conv before"):
        fk.resize(template("alexnet"), "data", (1, 3, 301, 277))
    plan = fk.convolutionalize(template("alexnet")).then(fk.resize, "data", (1, 3, 301, 277))
    assert shapes_of(build(plan.net)).tops[build(plan.net).top("fc8")] == (1, 1000, 4, 3)


@pytest.mark.parametrize("text", [data(1, 3, 16, 16), LEGACY, SHAPED, TWO, EACH])
def test_inputs_stand_in_fields_of_the_net_or_in_layers(text, caffe):
    """Either way Caffe builds the same blobs, and going there and back changes nothing of them."""
    text += LAYERS
    legacy = fk.input_as(net(text), "legacy").net
    layers = fk.input_as(legacy, "layer").net
    assert '"Input"' not in legacy.text and "input_dim" not in layers.text
    assert "input_shape" in legacy.text if text.startswith(EACH) else True
    found = caffe.ask([caffe.Question("shapes", each) for each in (net(text), legacy, layers)])
    assert found[0] == found[1] == found[2]
    assert not fk.input_as(legacy, "legacy").changed and not fk.input_as(layers, "layer").changed


def test_an_input_of_one_state_alone_stays_a_layer():
    text = data(1, 3, 16, 16).replace("input_param", "include { phase: TEST }\n  input_param")
    with pytest.raises(NetError, match="in some states only"):
        fk.input_as(net(text + LAYERS), "legacy")
    with pytest.raises(NetError, match="give layer or legacy"):
        fk.input_as(net(LAYERS), "other")


def test_a_map_is_upsampled_by_its_own_stride_alone():
    text = data(1, 1, 20, 20) + conv("score", "data", 3, 7, "pad: 9 stride: 4")
    from fcnkit.rewrites.operations import every

    (upsample,) = (each for each in every() if each.name == "upsample")
    made = upsample.rewrite(net(text), "score", "4")
    assert made.net.text == upsample.rewrite(net(text), "score", "data").net.text
    with pytest.raises(NetError, match='a pixel of "score" is 4 of "data", not 8'):
        upsample.rewrite(net(text), "score", "8")


def test_a_net_whose_kernels_are_of_another_size_is_brought_to_it():
    made = fk.convolutionalize(template("lenet"), inputs={"data": (1, 1, 44, 44)})
    (said,) = [step.why for step in made.steps if step.verb == "keep"]
    assert "`fcnkit surgery --do resize=data:1,1,44,44` changes that" in said
    with pytest.raises(NetError):
        shapes_of(build(made.net))
    sized = fk.resize(made.net, "data", (1, 1, 44, 44)).net
    assert shapes_of(build(sized)).tops[build(sized).top("ip2")] == (1, 10, 1, 1)


def test_a_size_that_only_counts_for_the_plan_is_said(tmp_path):
    out = tmp_path / "n.prototxt"
    words = ["surgery", "template:lenet", "--do", "fold", "--net-out", str(out), "--input"]
    found = CliRunner().invoke(main, [*words, "data=2,1,28,28"])
    fact = f'{out}: "data" is still 1 x 1 x 28 x 28 in it, not 2 x 1 x 28 x 28 as in --input'
    assert f"{fact}; `fcnkit surgery {out} --do resize=data:2,1,28,28`" in found.stderr
    found = CliRunner().invoke(main, [*words, "data=1,1,28,28", "--force"])
    assert "is still" not in found.stderr


OTHER = """layer { name: "x" type: "Input" top: "other" input_param { shape { %s } } }
layer { name: "e" type: "Eltwise" bottom: "data" bottom: "other" top: "e" }
"""
FOUR = "dim: 1 dim: 3 dim: 8 dim: 9"


@pytest.mark.parametrize(
    "own, field",
    [
        (f"input_shape {{ {FOUR} }}", "input_shape"),
        ("input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 9", "input_dim"),
    ],
)
def test_inputs_that_are_fields_already_say_how_sizes_are_said(own, field):
    made = fk.input_as(net(f'input: "data" {own}\n' + OTHER % FOUR), "legacy").net
    graph = build(made)
    assert {blob: shapes_of(graph).tops[graph.top(blob)] for blob in ("data", "other")} == {
        "data": (1, 3, 8, 9),
        "other": (1, 3, 8, 9),
    }
    assert {each.name for each in made.root.fields} == {"input", field, "layer"}


def test_sizes_that_go_not_together():
    with pytest.raises(fk.FcnkitError, match="an input of the net has no size"):
        fk.input_as(net('input: "data"\n' + OTHER % FOUR), "legacy")
    dims = 'input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 9\n'
    with pytest.raises(fk.FcnkitError, match='"other" is 5, but input_dim needs four sizes'):
        fk.input_as(net(dims + (OTHER % "dim: 5").splitlines()[0]), "legacy")
