"""What NetSpec can beyond pycaffe's: names, comments, phases, prototxts, errors where they are."""

import json
import re
import subprocess
import sys
import traceback
from pathlib import Path

import caffe_text
import pytest
from google.protobuf import text_format

import fcnkit as fk
import fcnkit.pycaffe as caffe
from fcnkit import templates
from fcnkit.engines import caffe_runtime
from fcnkit.formats import schema
from fcnkit.formats.with_forks import message
from fcnkit.nets.graph import State, build
from fcnkit.pycaffe import coord_map
from fcnkit.pycaffe import layers as L  # noqa: N812
from fcnkit.pycaffe import params as P  # noqa: N812

ROOT = Path(__file__).resolve().parent.parent
NET = message("NetParameter")
TRAIN, TEST = {"phase": caffe.TRAIN}, {"phase": caffe.TEST}


def lenet():
    n = caffe.NetSpec(name="LeNet", comment="LeNet for MNIST.")
    n.data, n.label = caffe.either(
        L.Data(source="train_lmdb", batch_size=64, backend=P.Data.LMDB, include=TRAIN, ntop=2,
               transform_param={"scale": 1 / 256}, comment="28x28 gray images."),
        L.Data(source="val_lmdb", batch_size=100, backend=P.Data.LMDB, include=TEST, ntop=2,
               transform_param={"scale": 1 / 256}),
    )  # fmt: skip
    learned = {
        "param": [{"lr_mult": 1}, {"lr_mult": 2}],
        "weight_filler": {"type": "gaussian", "std": 0.01},
    }
    n.conv1 = L.Convolution(n.data, kernel_size=5, num_output=20, **learned)
    n.bn1 = L.BatchNorm(n.conv1, in_place=True)
    n.pool1 = L.Pooling(n.bn1, stride=2, kernel_size=2, pool=P.Pooling.MAX)
    n.ip1 = L.InnerProduct(n.pool1, num_output=10, **learned)
    n.accuracy = L.Accuracy(n.ip1, n.label, include=TEST)
    n.loss = L.SoftmaxWithLoss(n.ip1, n.label)
    return n


LENET = """\
# LeNet for MNIST.
name: "LeNet"
# 28x28 gray images.
layer {
  name: "data"
  type: "Data"
  top: "data"
  top: "label"
  include { phase: TRAIN }
  transform_param { scale: 0.00390625 }
  data_param { source: "train_lmdb" backend: LMDB batch_size: 64 }
}
layer {
  name: "data"
  type: "Data"
  top: "data"
  top: "label"
  include { phase: TEST }
  transform_param { scale: 0.00390625 }
  data_param { source: "val_lmdb" backend: LMDB batch_size: 100 }
}
layer {
  name: "conv1"
  type: "Convolution"
  bottom: "data"
  top: "conv1"
  param { lr_mult: 1 }
  param { lr_mult: 2 }
  convolution_param {
    num_output: 20
    kernel_size: 5
    weight_filler { type: "gaussian" std: 0.01 }
  }
}
layer {
  name: "bn1"
  type: "BatchNorm"
  bottom: "conv1"
  top: "conv1"
}
layer {
  name: "pool1"
  type: "Pooling"
  bottom: "conv1"
  top: "pool1"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 }
}
layer {
  name: "ip1"
  type: "InnerProduct"
  bottom: "pool1"
  top: "ip1"
  param { lr_mult: 1 }
  param { lr_mult: 2 }
  inner_product_param {
    num_output: 10
    weight_filler { type: "gaussian" std: 0.01 }
  }
}
layer {
  name: "accuracy"
  type: "Accuracy"
  bottom: "ip1"
  bottom: "label"
  top: "accuracy"
  include { phase: TEST }
}
layer {
  name: "loss"
  type: "SoftmaxWithLoss"
  bottom: "ip1"
  bottom: "label"
  top: "loss"
}
"""


# ---- as text


def parsed(net):
    return text_format.Parse(net.text, NET())


def test_a_net_is_laid_out_as_people_write_it():
    assert lenet().to_prototxt().text == LENET


def strange():
    """Fields and values of every kind."""
    n = caffe.NetSpec(name='a "net"')
    n.x = L.Input(shape=[{"dim": [1, 3, 5, 5]}])
    n["a/b"] = L.Convolution(n.x, num_output=2, kernel_size=[3, 1], pad=[1, 0], engine=1,
                             param=[{}, {"lr_mult": 1e-7}], bias_term=False)  # fmt: skip
    n.relu = L.ReLU(n["a/b"], negative_slope=0.1, in_place=True, comment="one\n\ntwo # three")
    n.p = L.Python(n.relu, module="m", layer="l", param_str="{'a': \"b\\n\"}", loss_weight=[0.3])
    n.power = L.Power(n.x, power=1e30, shift=-2.5, scale=float("inf"))
    n.fork = L.Unheard(n.power, convolution_param={"num_output": 3}, exclude=[TRAIN, TEST])
    n.up = L.Deconvolution(n.fork, convolution_param={"num_output": 2, "stride": 8}, name="up8")
    n.quiet = L.Silence(n.up, ntop=0, propagate_down=[False])
    return n


@pytest.mark.parametrize("make", [lenet, strange])
def test_the_text_is_the_message(make):
    n = make()
    assert parsed(n.to_prototxt()) == n.to_proto()


@pytest.mark.parametrize("make", [lenet, strange])
def test_caffe_itself_reads_the_message_from_the_text(make, caffe):
    n = make()
    (read,) = caffe_text.reads([n.to_prototxt().text.encode()])
    assert NET.FromString(read) == n.to_proto()


def test_comments_stand_above_their_layers():
    lines = strange().to_prototxt().text.splitlines()
    at = lines.index("# one")
    assert lines[at : at + 5] == ["# one", "#", "# two # three", "layer {", '  name: "relu"']


def test_one_layer_may_be_of_a_type_that_caffe_has_not():
    (made,) = caffe.to_proto(L.Unheard(name="u")).layer
    assert (made.name, made.type) == ("u", "Unheard")


# ---- names


def test_tops_may_have_names_of_their_own():
    n = caffe.NetSpec()
    n.read, n.unnamed = L.Data(tops=["images", "labels"])
    n.relu = L.ReLU(n.read, tops="positive")
    n.sigmoid = L.Sigmoid(n.relu)
    data, relu, sigmoid = n.to_proto().layer
    assert (data.name, list(data.top)) == ("read", ["images", "labels"])
    assert (relu.name, list(relu.bottom), list(relu.top)) == ("relu", ["images"], ["positive"])
    assert list(sigmoid.bottom) == ["positive"] and list(sigmoid.top) == ["sigmoid"]


def test_named_tops_name_a_layer_outside_of_a_spec():
    data, label = L.Data(tops=("data", "label"))
    first, last = caffe.to_proto(L.Eltwise(data, label)).layer
    assert (first.name, last.name, last.top[0]) == ("data", "Eltwise1", "Eltwise1")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"tops": ["a", "b"], "ntop": 3}, "has 3 tops, and 2 named"),
        ({"tops": ["a"], "in_place": True}, "has no tops in place"),
        ({"tops": [1]}, "tops are names"),
    ],
)
def test_names_that_do_not_fit(fields, says):
    with pytest.raises(TypeError, match=says):
        L.ReLU(L.Input(), **fields)


def test_a_nets_name_and_comment_leave_all_names_of_tops_free():
    n = caffe.NetSpec(name="net", comment="words")
    n.name = L.Input()
    n.comment = L.ReLU(n.name)
    made = n.to_proto()
    assert made.name == "net" and [layer.name for layer in made.layer] == ["name", "comment"]


@pytest.mark.parametrize("make", [L.Input, caffe.NetSpec])
def test_words_are_text(make):
    with pytest.raises(TypeError, match="comment is text; found 3"):
        make(comment=3)


# ---- phases


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_each_phase_has_its_layer_of_the_name(phase):
    graph = build(lenet().to_prototxt(), State(phase))
    source = graph.layer("data").param("data_param").get("source")
    assert source == {"TRAIN": "train_lmdb", "TEST": "val_lmdb"}[phase]
    assert [top.blob for top in graph.layer("data").tops] == ["data", "label"]


def test_either_of_layers_with_bottoms_and_in_place():
    n = caffe.NetSpec()
    n.a, n.b = L.Input(), L.Input()
    n.mixed = caffe.either(L.ReLU(n.a, include=TRAIN), L.Eltwise(n.a, n.b, include=TEST))
    n.drop = caffe.either(
        L.Dropout(n.mixed, in_place=True, include=TRAIN), L.ReLU(n.mixed, in_place=True)
    )
    n.end = L.Sigmoid(n.drop)
    layers = [(x.name, x.type, [*x.bottom], [*x.top]) for x in n.to_proto().layer[2:]]
    assert layers == [
        ("mixed", "ReLU", ["a"], ["mixed"]),
        ("mixed", "Eltwise", ["a", "b"], ["mixed"]),
        ("drop", "Dropout", ["mixed"], ["mixed"]),
        ("drop", "ReLU", ["mixed"], ["mixed"]),
        ("end", "Sigmoid", ["mixed"], ["end"]),
    ]


def test_either_unnamed_and_without_tops():
    n = caffe.NetSpec()
    n.x = L.Input()
    n.quiet = caffe.either(L.Silence(n.x, ntop=0), L.Silence(n.x, ntop=0, include=TEST))
    assert [each.name for each in n.to_proto().layer] == ["x", "quiet", "quiet"]
    made = caffe.to_proto(caffe.either(L.Input(include=TRAIN), L.Input(include=TEST)))
    assert [each.name for each in made.layer] == ["Input1", "Input1"]


def test_either_refuses_what_has_other_tops():
    with pytest.raises(TypeError, match="the same tops; found Data with 2, Input with 1"):
        caffe.either(L.Data(ntop=2), L.Input())
    with pytest.raises(TypeError, match="takes layers, L.Type"):
        caffe.either(L.Input(), "data")
    with pytest.raises(TypeError, match="found none"):
        caffe.either()


# ---- deploy


def test_one_description_is_deployed_too():
    made = lenet().to_deploy({"data": (1, 1, 28, 28)})
    layers = parsed(made).layer
    assert [layer.name for layer in layers] == ["data", "conv1", "bn1", "pool1", "ip1", "prob"]
    assert not any(layer.param or layer.include for layer in layers)
    assert "filler" not in made.text
    assert layers[2].batch_norm_param.use_global_stats
    assert fk.inspect(made).params == 20 * 25 + 20 + 41 + 20 * 12 * 12 * 10 + 10


def test_what_stays_as_it_starts_keeps_its_filler():
    n = lenet()
    n.up = L.Deconvolution(n.pool1, param={"lr_mult": 0}, convolution_param={
        "num_output": 20, "kernel_size": 4, "stride": 2, "group": 20, "bias_term": False,
        "weight_filler": {"type": "bilinear"}})  # fmt: skip
    made = parsed(n.to_deploy({"data": (1, 1, 28, 28)}))
    (up,) = (layer for layer in made.layer if layer.name == "up")
    assert up.convolution_param.weight_filler.type == "bilinear"
    assert [each.lr_mult for each in up.param] == [0]


# ---- mistakes

MISTAKES = {
    'L.Convolution(x, kernal_size=3)': 'no field kernal_size; did you mean "kernel_size"',
    'L.Convolution(x, weight_filler=dict(tipe="xavier"))': 'no field tipe; did you mean "type"',
    'L.Convolution(x, num_output=2.5)': "num_output takes a whole number, 0 or more; found 2.5",
    'L.Convolution(x, num_output=-1)': "num_output takes a whole number, 0 or more; found -1",
    'L.Convolution(x, kernel_size=(3, 3))': r"found \(3, 3\); write a list",
    'L.Convolution(x, param=3)': "param takes a dict; found 3",
    'L.Pooling(x, pool="MAX")': "pool takes P.Pooling.MAX, P.Pooling.AVE or P.Pooling.STOCHASTIC; "
    "found 'MAX'",
    'L.Pooling(x, pool=3)': "pool takes P.Pooling.MAX.*; found 3",
    'L.ReLU(x, include=dict(phase="TRAIN"))': "phase takes caffe.TRAIN or caffe.TEST",
    'L.Data(source=3)': "source takes a string; found 3",
    'L.Deconvolution(x, num_outputs=2)': 'did you mean "num_output".*are in convolution_param=dict',
    'L.Deconvolution(x, num_output="2")': "num_output takes a whole number, 0 or more; found '2'",
}  # fmt: skip


@pytest.mark.parametrize("code", MISTAKES)
def test_a_mistake_is_refused_where_it_is_written(code):
    with pytest.raises((AttributeError, TypeError, ValueError), match=MISTAKES[code]) as found:
        eval(compile(f"\n\n{code}", "user.py", "eval"), {"L": L, "x": L.Input()})
    frames = traceback.extract_tb(found.tb)
    assert ("user.py", 3) in [(frame.filename, frame.lineno) for frame in frames]


def test_a_list_may_be_filled_and_fields_changed_before_the_net_is_written():
    rates = []
    made = L.Convolution(L.Input(), param=rates)
    rates.append({"lr_mult": 3})
    made.fn.params["num_output"] = 7
    layer = caffe.to_proto(made).layer[1]
    assert (layer.param[0].lr_mult, layer.convolution_param.num_output) == (3, 7)


def test_a_short_form_that_pycaffe_maps_and_does_not_write():
    """Of a type without a message of its own; BVLC's own tests of coord_map make such layers."""
    data = L.Input(shape={"dim": [1, 1, 100, 100]})
    made = L.Deconvolution(L.Pooling(data, kernel_size=2, stride=2), kernel_size=4, stride=2)
    axis, scale, shift = coord_map.coord_map_from_to(made, data)
    assert (axis, scale.tolist(), shift.tolist()) == (1, [1.0], [-1.0])
    with pytest.raises(AttributeError, match=r"are in convolution_param=dict\(\.\.\.\)"):
        caffe.to_proto(made)


def test_maps_along_axes_that_differ_have_a_number_for_each():
    data = L.Input(shape={"dim": [1, 1, 100, 100]})
    made = L.Convolution(data, num_output=1, kernel_size=3, stride=1, pad=[0, 1])
    _, scale, shift = coord_map.coord_map_from_to(made, data)
    assert (scale.tolist(), shift.tolist()) == ([1.0, 1.0], [1.0, 0.0])


# Where ours takes what real pycaffe's NumPy and Python did not yet, and the other way round: a
# fraction is none of ours as a whole number.
APART = {
    *(f"{kind} 1-d" for kind in ("int32", "many int64", "bool", "many bool", "enum")),
    *(f"{kind} {value}" for kind in ("bool", "many bool") for value in ("fraction", "0-d float")),
    *(f"{kind} 0-d float" for kind in ("uint32", "many uint32")),
}


def test_every_value_is_taken_or_refused_as_by_real_pycaffe(caffe):
    script = str(ROOT / "tests" / "pycaffe_values.py")
    words = [*caffe_runtime.command("python"), script]
    environment = caffe_runtime.environment()
    real = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    words = [sys.executable, "-c", "from fcnkit.cli.main import run; run()", "run", script]
    ours = subprocess.run(words, capture_output=True, text=True, check=True)
    theirs, found = json.loads(real.stdout), json.loads(ours.stdout)
    assert len(theirs) > 500
    # A NaN has many forms on the wire.
    wrong = {name for name in theirs if theirs[name] != found[name] and " nan" not in name}
    assert wrong == APART


# ---- size, speed, stubs


def test_a_thousand_layers_are_written_in_one_pass(monkeypatch):
    """Each layer is made once for each text, whatever reads it."""
    from fcnkit.pycaffe import tops

    n = caffe.NetSpec()
    top = n.data = L.Input(shape={"dim": [1, 3, 8, 8]})
    for number in range(500):
        top = n[f"conv{number}"] = L.Convolution(top, num_output=3, kernel_size=3, pad=1)
        n[f"relu{number}"] = L.ReLU(top, in_place=True)
    calls = []
    monkeypatch.setattr(
        tops,
        "layer_fields",
        lambda *given, **how: calls.append(given) or tops_fields(*given, **how),
    )
    tops_fields = sys.modules["fcnkit.pycaffe.fields"].layer_fields
    assert len(n.to_prototxt().fields) == 1001 == len(calls)


def test_writing_a_prototxt_needs_neither_protobuf_nor_an_engine():
    code = (
        "import sys, fcnkit.pycaffe as c; n = c.NetSpec(); n.x = c.layers.Input(); n.to_prototxt();"
        "sys.exit(bool({'google.protobuf', 'torch', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_stub_of_layers_is_what_make_stubs_writes(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    import make_stubs

    assert make_stubs.LAYERS.read_text() == make_stubs.layers_stub()


def test_help_and_completion_know_a_types_fields():
    import inspect

    fields = inspect.signature(L.Convolution).parameters
    assert {"num_output", "weight_filler", "include", "comment"} <= fields.keys()
    assert fields["bias_term"].default is True and fields["axis"].default == 1
    assert repr(fields["engine"].default) == "params.Convolution.DEFAULT"
    assert "transform_param" in inspect.signature(L.Data).parameters
    assert "Convolution" in dir(L) and "Input" in dir(L)
    assert repr(L.ReLU) == "<layers.ReLU>"
    assert "loss_weight" in inspect.signature(L.Unheard).parameters


def test_the_examples_of_the_page_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (ROOT / "docs" / "net-spec.md").read_text()
    names = {}
    for code in re.findall(r"^```python\n(.*?)^```", page, re.M | re.S):
        exec(compile(code, "net-spec.md", "exec"), names)
    assert '# A head of our own.\nlayer {\n  name: "half"' in Path("two_heads.prototxt").read_text()
    trained, deployed = (fk.read(f"{name}.prototxt") for name in ("train_val", "deploy"))
    for made, file in ((trained, "train_val.prototxt"), (deployed, "deploy.prototxt")):
        shipped = fk.read(templates.path("lenet", file))
        names = [
            [each.last("name").string for each in net.root.all("layer")] for net in (made, shipped)
        ]
        assert names[0] == names[1]
    assert fk.inspect(deployed).params == 431_080
    for line in re.findall(r"^net.py:\d+: \w+: (.*)$", page, re.M):
        assert any(re.search(says, line) for says in MISTAKES.values()), line


# ---- words of forks


def ssd() -> caffe.NetSpec:
    """A head of SSD, as its own scripts describe it."""
    n = caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[1, 3, 64, 64]))
    n.conv = L.Convolution(n.data, num_output=4, kernel_size=3, hole=2)
    n.norm = L.Normalize(
        n.conv,
        scale_filler=dict(type="constant", value=20),
        across_spatial=False,
        channel_shared=False,
    )
    n.perm = L.Permute(n.norm, order=[0, 2, 3, 1])
    n.prior = L.PriorBox(n.norm, n.data, min_size=30.0, variance=[0.1, 0.2], flip=True)
    n.found = L.DetectionOutput(
        *(n.perm, n.perm, n.prior),
        detection_output_param=dict(num_classes=21, code_type=P.PriorBox.CENTER_SIZE),
    )
    return n


def test_layers_of_forks_are_described_with_their_own_fields():
    text = ssd().to_prototxt().text
    assert "convolution_param { num_output: 4 kernel_size: 3 hole: 2 }" in text
    assert "permute_param { order: 0 order: 2 order: 3 order: 1 }" in text
    assert "prior_box_param { min_size: 30 flip: true variance: 0.1 variance: 0.2 }" in text
    assert "detection_output_param { num_classes: 21 code_type: CENTER_SIZE }" in text
    assert parsed(ssd().to_prototxt()) == ssd().to_proto()
    assert "1x60x60x4" in str(fk.inspect(ssd().to_prototxt()))


def test_a_field_of_no_fork_is_refused_with_the_one_that_is_near():
    with pytest.raises(AttributeError, match='Permute has no field ordre; did you mean "order"'):
        L.Permute(L.Input(), ordre=[0, 2, 3, 1])


def test_a_label_map_is_read_as_ssds_scripts_do():
    read = text_format.Parse(
        'item { name: "bird" label: 3 display_name: "a bird" }', message("LabelMap")()
    )
    assert [(item.name, item.label) for item in read.item] == [("bird", 3)]


def test_a_word_of_a_fork_is_nobodys_number_in_a_binary_file():
    """The forks give one number to different fields."""
    caffes = schema.message("NetParameter").FromString(ssd().to_proto().SerializeToString())
    assert [layer.type for layer in caffes.layer][2] == "Normalize"
    assert "order" not in str(caffes)


def test_a_layer_is_given_more_fields_as_in_ssds_pycaffe():
    n = ssd()
    n.update("prior", {"max_size": 60.0, "min_size": [20.0]})
    text = n.to_prototxt().text
    assert "    min_size: 20\n    max_size: 60\n    flip: true\n" in text
    with pytest.raises(AttributeError, match='no field max_sise; did you mean "max_size"'):
        n.update("prior", {"max_sise": 1})
