"""InnerProduct to Convolution: what changes,
what stays and why, and that real Caffe computes the same.
"""

import signal
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from sketches import conv, data, differences, fc, kept_lines, layer, net, pool, relu, template, thin

import fcnkit as fk
from fcnkit.cli.main import main
from fcnkit.errors import EditConflict, NetError

CONV = conv("conv", "data", 4, 3)


def flat(bottom="conv", name="flat", kind="Flatten"):
    more = "reshape_param { shape { dim: 0 dim: -1 } }" if kind == "Reshape" else ""
    return layer(name, kind, bottom, more=more)


def batch(bottom, scale="bias_term: true"):
    """BatchNorm and Scale, in place."""
    return layer(f"bn_{bottom}", "BatchNorm", bottom, top=bottom) + layer(
        f"sc_{bottom}", "Scale", bottom, top=bottom, more=f"scale_param {{ {scale} }}"
    )


START = data(2, 3, 8, 8) + CONV
GLOBAL = layer("gap", "Pooling", "conv", more="pooling_param { pool: AVE global_pooling: true }")
SHARED = 'param { name: "w" } param { name: "b" } '

CONVERTS = {
    "one": START + fc("fc", "conv", 5),
    "two": START + fc("fc", "conv", 5) + relu("fc") + fc("top", "fc", 3),
    "flatten": START + flat() + fc("fc", "flat", 5),
    "reshape": START + flat(kind="Reshape") + fc("fc", "flat", 5),
    "flatten, dropout in place": START
    + flat()
    + layer("drop", "Dropout", "flat", top="flat")
    + fc("fc", "flat", 5),
    "flatten, dropout": START + flat() + layer("drop", "Dropout", "flat") + fc("fc", "drop", 5),
    "flatten, relu, power": START
    + flat()
    + relu("flat")
    + layer("p", "Power", "flat", more="power_param { shift: 1 }")
    + fc("fc", "p", 5),
    "flatten for two": START + flat() + fc("fc", "flat", 5) + fc("other", "flat", 2),
    "flatten of a vector": START + fc("fc", "conv", 5) + flat("fc") + fc("top", "flat", 3),
    "axis 1 and -3": START + fc("fc", "conv", 5, "axis: 1") + fc("other", "conv", 5, "axis: -3"),
    "transpose": START + fc("fc", "conv", 5, "transpose: true"),
    "no bias": START + fc("fc", "conv", 5, "bias_term: false"),
    "transpose, no bias": START + fc("fc", "conv", 5, "bias_term: false transpose: true axis: -3"),
    "H is not W": data(2, 3, 8, 11) + CONV + fc("fc", "conv", 5),
    "of the image": data(2, 3, 5, 7) + fc("fc", "data", 5),
    "of one pixel": data(2, 3, 1, 1) + fc("fc", "data", 5),
    "batch norm": START + fc("fc", "conv", 5) + batch("fc") + fc("top", "fc", 3),
    "prelu": START + fc("fc", "conv", 5) + layer("p", "PReLU", "fc", top="fc"),
    "softmax": START + fc("fc", "conv", 5) + layer("prob", "Softmax", "fc"),
    "a signal": data(2, 3, 9) + CONV + relu("conv") + fc("fc", "conv", 5) + fc("top", "fc", 2),
    "a volume": data(1, 2, 5, 6, 7) + CONV + fc("fc", "conv", 5) + layer("prob", "Softmax", "fc"),
    "a volume of unequal windows": data(1, 2, 5, 6, 7)
    + conv("conv", "data", 4, 2).replace("kernel_size: 2", "kernel_size: [1, 2, 3] pad: [0, 1, 1]")
    + fc("fc", "conv", 5),
    "a volume of equal sides": data(1, 2, 5, 5, 5) + CONV + flat() + fc("fc", "flat", 5),
    "five axes of space": data(1, 2, 3, 3, 4, 3, 3) + CONV + fc("fc", "conv", 5),
    "concat of two": START
    + fc("a", "conv", 5)
    + fc("b", "conv", 3)
    + layer("c", "Concat", "a", "b")
    + fc("d", "c", 2),
    "sum of two": START
    + fc("a", "conv", 5)
    + fc("b", "conv", 5)
    + layer("c", "Eltwise", "a", "b")
    + fc("d", "c", 2),
    "slice": START
    + fc("a", "conv", 6)
    + layer("s", "Slice", "a", top="s1", more='top: "s2" slice_param { axis: 1 }')
    + fc("b", "s1", 2)
    + fc("c", "s2", 2),
    "siamese": data(2, 3, 8, 8)
    + data(2, 3, 8, 8, name="twin")
    + fc("a", "data", 5, outer=SHARED)
    + fc("b", "twin", 5, outer=SHARED),
    "global AVE": START + GLOBAL + fc("fc", "gap", 5),
    "global MAX": START + GLOBAL.replace("AVE", "MAX") + flat("gap") + fc("fc", "flat", 5),
    "ceil pooling": START + pool("p", "conv", 3, 2) + fc("fc", "p", 5),
}

KEEPS = {
    "a convolution of the vector": (
        START + fc("fc", "conv", 5) + conv("c", "fc", 3, 3, "pad: 1"),
        "fc",
        "after it: its own weights would need another shape",
    ),
    "axis 2": (START + fc("fc", "conv", 5, "axis: 2"), "fc", "axis 2"),
    "a vector": (data(2, 12) + fc("fc", "data", 5), "fc", "2 x 12"),
    "concat of flattens": (
        START
        + conv("other", "data", 2, 5)
        + flat()
        + flat("other", "flat2")
        + layer("c", "Concat", "flat", "flat2")
        + fc("fc", "c", 5),
        "fc",
        'after layer "c"',
    ),
    "batch norm of a flatten": (
        START + flat() + layer("bn", "BatchNorm", "flat") + fc("fc", "bn", 5),
        "fc",
        '"bn"',
    ),
    "flatten is an output": (
        START + flat() + relu("flat") + layer("o", "Sigmoid", "flat") + fc("fc", "flat", 5),
        "fc",
        "flat",
    ),
    "over a kept one": (
        START + fc("a", "conv", 6, "axis: 2") + fc("b", "a", 5),
        "a",
        "axis 2",
    ),
    "two flattens": (
        START + flat() + flat("flat", "again") + fc("fc", "again", 5),
        "fc",
        'after layer "again"',
    ),
    "softmax over the last": (
        START
        + fc("fc", "conv", 6)
        + layer("prob", "Softmax", "fc", more="softmax_param { axis: -1 }"),
        "fc",
        "axis -1",
    ),
    "scale over the last": (
        START + fc("fc", "conv", 6) + layer("s", "Scale", "fc", more="scale_param { axis: -1 }"),
        "fc",
        "axis -1",
    ),
    "a python layer": (
        START
        + fc("fc", "conv", 6)
        + layer("py", "Python", "fc", more='python_param { module: "m" layer: "L" }'),
        "fc",
        'layer "py" (Python',
    ),
    "a type that is not known": (
        START + fc("fc", "conv", 6) + layer("odd", "Warp", "fc"),
        "fc",
        'layer "odd" (Warp',
    ),
    "argmax over everything": (
        START + fc("fc", "conv", 6) + layer("best", "ArgMax", "fc"),
        "fc",
        'layer "best"',
    ),
    "reduction": (
        START
        + fc("fc", "conv", 6)
        + layer("sum", "Reduction", "fc", more="reduction_param { axis: -1 }"),
        "fc",
        '"sum"',
    ),
    "shared with another shape": (
        data(2, 4, 3, 3)
        + data(2, 36, 1, 1, name="twin")
        + fc("a", "data", 5, outer=SHARED)
        + fc("b", "twin", 5, outer=SHARED),
        "a",
        '"a", "b" share the parameter "w"',
    ),
}


@pytest.fixture(autouse=True)
def alarm():
    """A plan that is never found must not hang the tests."""
    signal.alarm(60)
    yield
    signal.alarm(0)


# ---- laws


@pytest.mark.parametrize("name", CONVERTS)
def test_no_inner_product_is_left_and_again_changes_nothing(name):
    plan = fk.convolutionalize(net(CONVERTS[name]))
    graph = fk.build(plan.net)
    assert not [
        each for each in graph.layers if each.type in ("InnerProduct", "Flatten", "Reshape")
    ]
    again = fk.convolutionalize(plan.net)
    assert not again.changed and not again.steps


@pytest.mark.parametrize("name", KEEPS)
def test_what_cannot_be_converted_stays_with_its_reason(name):
    text, kept, why = KEEPS[name]
    plan = fk.convolutionalize(net(text))
    found = {step.layer: step for step in plan.steps}
    assert found[kept].verb == "keep" and why in found[kept].why
    assert fk.build(plan.net).layer(kept).type == "InnerProduct"
    assert kept not in {move.layer for move in plan.moves}


@pytest.mark.parametrize(
    "text", [START, START + flat(), START + flat() + relu("flat"), data(1, 3, 4, 4), ""]
)
def test_a_net_without_inner_products_does_not_change(text):
    plan = fk.convolutionalize(net(text))
    assert not plan.changed and plan.net.text == text and not plan.steps


# ---- tables


def test_a_kernel_has_the_size_of_the_input():
    plan = fk.convolutionalize(template("alexnet"))
    assert [step.what.split("kernel ")[1] for step in plan.steps] == ["6", "1", "1"]
    assert plan.steps[0].why == "pool5 is 256 x 6 x 6"
    assert plan.moves[0].shape == (4096, 256, 6, 6)
    found = fk.inspect(plan.net)
    assert {row.name: row.params for row in found.rows}["fc6"] == 37_752_832
    assert found.params == 60_965_224


def test_another_input_gives_another_kernel():
    plan = fk.convolutionalize(net(CONVERTS["one"]), inputs={"data": (1, 3, 20, 10)})
    assert plan.moves[0].shape == (5, 4, 18, 8) and "kernel_h: 18 kernel_w: 8" in plan.net.text


@pytest.mark.parametrize(
    ("rename", "names"),
    [
        ("{name}-conv", ["fc-conv", "top-conv"]),
        ({"fc": "conv6"}, ["conv6", "top"]),
        ({"fc": "top", "top": "fc"}, ["top", "fc"]),
    ],
)
def test_layers_are_renamed_and_their_weights_found(rename, names):
    plan = fk.convolutionalize(net(CONVERTS["two"]), rename=rename)
    assert [each.name for each in fk.build(plan.net).layers if each.type == "Convolution"] == [
        "conv",
        *names,
    ]
    assert {move.layer: move.source for move in plan.moves} == dict(
        zip(names, ["fc", "top"], strict=True)
    )
    assert fk.build(plan.net).top("fc")  # blobs keep their names


@pytest.mark.parametrize(
    "rename",
    [
        "fixed",
        {"conv": "c"},
        {"nothing": "x"},
        {"fc": "conv"},
        {"fc": "top"},
        {"fc": "n", "top": "n"},
    ],
)
def test_a_rename_that_cannot_be_is_refused(rename):
    with pytest.raises(NetError, match="rename"):
        fk.convolutionalize(net(CONVERTS["two"]), rename=rename)


# ---- states


def stored(phase):
    """Data of a stated crop, for one phase."""
    rules = f"include {{ phase: {phase} }} transform_param {{ crop_size: 8 }}"
    return layer("d", "Data", top="data", more=f'top: "label" {rules} data_param {{ source: "x" }}')


TRAIN_VAL = stored("TRAIN") + stored("TEST") + CONV
LOSS = layer("loss", "SoftmaxWithLoss", "fc", "label")
ACCURACY = layer("acc", "Accuracy", "fc", "label", more="include { phase: TEST }")


SIZE = {"data": (2, 3, 8, 8)}


def test_phases_are_converted_together():
    plan = fk.convolutionalize(net(TRAIN_VAL + fc("fc", "conv", 5) + LOSS + ACCURACY), inputs=SIZE)
    assert [step.verb for step in plan.steps] == ["convert"] and "kernel_size: 6" in plan.net.text


def test_each_phase_may_have_layers_of_its_own():
    head = fc("fc", "conv", 5, outer="include { phase: TRAIN } ") + fc(
        "fc", "conv", 5, outer="include { stage: 'deploy' } "
    )
    plan = fk.convolutionalize(net(TRAIN_VAL + head), inputs=SIZE)
    assert plan.net.text.count("kernel_size: 6") == 2


def test_phases_of_different_sizes_are_a_conflict_that_names_them():
    train, test = (
        data(1, 3, size, size).replace("\n}", f"\n  include {{ phase: {phase} }}\n}}")
        for size, phase in ((8, "TRAIN"), (9, "TEST"))
    )
    text = train + test + fc("fc", "data", 5)
    with pytest.raises(EditConflict, match="TRAIN.*TEST|TEST.*TRAIN"):
        fk.convolutionalize(net(text))


def test_data_of_no_stated_size_asks_for_input():
    text = TRAIN_VAL.replace("crop_size: 8", "mirror: true") + fc("fc", "conv", 5) + LOSS
    plan = fk.convolutionalize(net(text))
    assert plan.steps[0].verb == "keep" and "--input data=1,3,227,227" in plan.steps[0].why
    assert fk.convolutionalize(net(text), inputs={"data": (1, 3, 8, 8)}).steps[0].verb == "convert"


def test_a_flatten_that_one_phase_needs_stays_in_both():
    probe = layer("probe", "BatchNorm", "flat", more="include { phase: TRAIN }")
    plan = fk.convolutionalize(net(TRAIN_VAL + flat() + fc("fc", "flat", 5) + probe), inputs=SIZE)
    assert not plan.changed and plan.steps[-1].verb == "keep"


def test_a_file_for_one_phase_is_converted_in_that_phase():
    text = START.replace('type: "Input"', 'type: "Input"\n  include { phase: TRAIN }') + fc(
        "fc", "conv", 5
    )
    assert [step.verb for step in fk.convolutionalize(net(text)).steps] == ["convert"]


@pytest.mark.parametrize(
    "rest, why",
    [
        (fc("fc", "dada", 5, outer="include { phase: TRAIN } "), 'bottom "dada"'),
        (
            conv("big", "data", 2, 99).replace("{", "{ include { phase: TRAIN } ", 1)
            + fc("fc", "big", 5, outer="include { phase: TRAIN } "),
            "no output",
        ),
    ],
)
def test_a_fault_in_one_phase_keeps_what_is_in_that_phase_alone(rest, why):
    text = START + fc("top", "conv", 3) + rest
    plan = fk.convolutionalize(net(text))
    assert [(step.layer, step.verb) for step in plan.steps] == [("top", "convert"), ("fc", "keep")]
    assert "no state that has it can be built: " in plan.steps[1].why
    alone = fk.convolutionalize(net(text), phase="TEST")
    assert alone.net.text == plan.net.text and alone.steps[1].why == "no state has it"
    with pytest.raises(NetError):
        fk.convolutionalize(net(text), phase="TRAIN")


STAGES = """
layer { name: "big" type: "InnerProduct" bottom: "conv" top: "ip"
  include { phase: TRAIN } include { phase: TEST stage: "big" stage: "val" }
  inner_product_param { num_output: 4 } }
layer { name: "small" type: "InnerProduct" bottom: "conv" top: "ip"
  include { phase: TEST stage: "small" stage: "val" } inner_product_param { num_output: 2 } }
layer { name: "late" type: "InnerProduct" bottom: "conv" top: "late"
  include { min_level: 3 } inner_product_param { num_output: 2 } }
layer { name: "out" type: "ReLU" bottom: "ip" top: "out" }
"""


def test_states_of_several_stages_and_of_levels_are_looked_at():
    plan = fk.convolutionalize(net(START + STAGES))
    assert [(step.layer, step.verb) for step in plan.steps] == [
        (name, "convert") for name in ("big", "small", "late")
    ]
    assert fk.lint(net(START + STAGES)) == ()


# ---- the text


STYLES = """# a head comment
name: 'odd'   # quotes
input: 'data'
input_dim: 1 input_dim: 3
input_dim: 8\tinput_dim: 8
layer {
\tname: 'fc'   # the classifier
\ttype: 'InnerProduct'
\tbottom: 'data' top: 'fc'
\tforward_type: FLOAT
\tparam { lr_mult: 3 decay_mult: 1 }
\tinner_product_param {
\t\tnum_output: 5   # classes
\t\tweight_filler { type: 'gaussian' std: 0.01 }
\t\tbias_filler < type: 'constant' >
\t}
}
# a tail comment
layer { name: 'prob', type: 'Softmax', bottom: 'fc'; top: 'prob' }"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_only_what_changes_changes(newline):
    before = net(STYLES.replace("\n", newline))
    plan = fk.convolutionalize(before)
    gone, new = kept_lines(plan)
    assert gone == ["\ttype: 'InnerProduct'", "\tinner_product_param {"]
    assert new == ["\ttype: 'Convolution'", "\tconvolution_param {", "\t\tkernel_size: 8"]
    assert (
        plan.net.text.count(newline) == plan.net.text.count("\n") == before.text.count(newline) + 1
    )


ONE_LINE = (
    'layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param '
    "{ num_output: 5 } }"
)


@pytest.mark.parametrize(
    "line",
    [
        ONE_LINE,
        ONE_LINE.replace(" }", "}").replace("{ ", "{"),
        ONE_LINE.replace("output: 5", "output: 5,"),
        ONE_LINE.replace("output: 5", "output: 5;"),
        ONE_LINE.replace("num_output: 5", "num_output: 5 # five\n"),
        ONE_LINE.replace("{ num_output: 5 }", "< num_output: 0x5 >"),
        ONE_LINE.replace("param {", "param: {"),
        ONE_LINE.replace(
            "num_output: 5 }", "axis: 1 } inner_product_param { transpose: false num_output: 5 }"
        ),
    ],
)
@pytest.mark.parametrize("tail", ["\n", ""])
def test_layers_on_one_line(line, tail):
    plan = fk.convolutionalize(net(data(1, 3, 8, 8) + line + tail))
    assert fk.build(plan.net).layer("fc").param("convolution_param").list("kernel_size") == [8]
    assert fk.inspect(plan.net).rows[-1].shape == (1, 5, 1, 1)


V1 = """input: "data"
input_dim: 2 input_dim: 3 input_dim: 8 input_dim: 8
layers { name: "fc" type: INNER_PRODUCT bottom: "data" top: "fc" blobs_lr: 1 blobs_lr: 2
  weight_decay: 1 weight_decay: 0 inner_product_param { num_output: 5 } }
layers { name: "fc2" type: INNER_PRODUCT bottom: "fc" top: "fc2"
  inner_product_param { num_output: 3 bias_term: false } }
"""


# ---- real Caffe


def test_caffe_computes_the_classifiers_own_numbers(caffe, tmp_path):
    """A siamese net is not among them: the two random twins would not be equal."""
    nets = {name: net(text) for name, text in CONVERTS.items() if name != "siamese"} | {
        "V1": net(V1)
    }
    found = differences(
        caffe, [(before, fk.convolutionalize(before)) for before in nets.values()], tmp_path
    )
    assert {name: value for name, value in zip(nets, found, strict=True) if not value < 1e-4} == {}


def test_templates_compute_their_own_numbers(caffe, tmp_path):
    nets = [
        thin("alexnet", 16),
        thin("caffenet", 16),
        thin("vgg16", 32),
        thin("vgg19", 32),
        thin("lenet", 1),
    ]
    nets += [thin("googlenet", 16), thin("resnet50", 32), thin("squeezenet", 8)]
    found = differences(
        caffe,
        [(before, fk.convolutionalize(before, rename="{name}-conv")) for before in nets],
        tmp_path,
    )
    assert max(found) < 1e-4


# ---- hostile


def chain(layers: int):
    body = "".join(layer(f"r{n}", "ReLU", f"r{n - 1}" if n else "data") for n in range(layers))
    return net(data(1, 3, 4, 4) + body + fc("fc", f"r{layers - 1}", 2))


def calls(rewrite, text) -> int:
    count = 0

    def hook(frame, event, argument):
        nonlocal count
        count += event == "call"

    sys.setprofile(hook)
    try:
        rewrite(text)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("rewrite", [fk.convolutionalize, fk.inspect, fk.align])
def test_the_work_grows_with_the_net_and_no_faster(rewrite):
    one, two = (calls(rewrite, chain(size)) for size in (500, 1000))
    assert two < 2.2 * one


def test_ten_thousand_layers():
    text = chain(10_000)
    assert [step.verb for step in fk.convolutionalize(text).steps] == ["convert"]
    assert len(fk.inspect(text).rows) == 10_002


def test_a_size_that_only_the_user_knows_stays_what_he_says():
    text = net(START, fc("fc", "conv", 5), layer("found", "DetectionOutput", "fc"))
    plan = fk.convolutionalize(text, inputs={"found": (2, 6)})
    assert [step.verb for step in plan.steps] == ["convert"]


SIZED = """\
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc" inner_product_param { num_output: 2 } }
"""  # noqa: E501


@pytest.mark.parametrize(
    "size, says", [((1, 3, 12, 12), True), ((1, 3, 8, 8), False), ((4, 3, 8, 8), False)]
)
def test_kernels_for_another_size_than_the_net_says_are_named(size, says):
    steps = fk.convolutionalize(fk.parse(SIZED), inputs={"data": size}).steps
    found = [step for step in steps if step.verb == "keep"]
    assert bool(found) == says
    if found:
        assert found[0].layer == "data" and "the net still says 1 x 3 x 8 x 8" in found[0].why


def test_the_command_says_so_on_standard_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("n.prototxt").write_text(SIZED)
    words = ["convolutionalize", "n.prototxt", "--input", "data=1,3,12,12", "-o", "-"]
    done = CliRunner().invoke(main, words)
    assert 'n.prototxt:1: layer "data": the kernels are for' in done.stderr
    assert "kernel_size: 12" in done.stdout and "the kernels" not in done.stdout
    done = CliRunner().invoke(main, [*words[:4], "--json"])
    assert "still says 1 x 3 x 8 x 8" in done.stdout


@pytest.mark.parametrize("size, pad, says", [(9, 0, False), (10, 0, True), (10, 1, False)])
def test_a_pooling_whose_last_window_is_cut_off_is_named(size, pad, says):
    text = (
        f'input: "data" input_dim: 1 input_dim: 3 input_dim: {size} input_dim: {size}\n'
        'layer { name: "c" type: "Convolution" bottom: "data" top: "c" '
        f"convolution_param {{ num_output: 2 kernel_size: 1 pad: {pad} }} }}\n"
        'layer { name: "p" type: "Pooling" bottom: "c" top: "p" '
        "pooling_param { kernel_size: 3 stride: 2 } }\n"
        'layer { name: "fc" type: "InnerProduct" bottom: "p" top: "fc" '
        "inner_product_param { num_output: 2 } }\n"
    )
    steps = fk.convolutionalize(fk.parse(text)).steps
    assert [step.layer for step in steps if step.verb == "keep"] == ["p"] * says
