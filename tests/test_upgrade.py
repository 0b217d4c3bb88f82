"""fcnkit.rewrites.upgrade and fcnkit.weights.upgrade: old nets in Caffe 1.0's words."""

import csv
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st

from fcnkit.engines import caffe_runtime
from fcnkit.errors import FcnkitError, NetError, OutputError, PrototxtError, WeightsError
from fcnkit.formats import prototxt
from fcnkit.formats.schema import message
from fcnkit.nets.graph import build, states
from fcnkit.nets.shapes import shapes_of
from fcnkit.rewrites.upgrade import upgrade
from fcnkit.weights import store
from fcnkit.weights.upgrade import upgrade as upgrade_weights
from tests import small_models
from tests.small_models import floats, modern_blob, old_blob, v2_layer, whole
from tests.small_models import message as wire

V1 = """name: "old"  # a comment
layers {
  name: "data"
  type: DATA
  top: "data"
  data_param {
    source: "db"
    scale: 0.5  # of a pixel
    batch_size: 2
  }
}
layers {
  name: "conv1"   # the first
  type: CONVOLUTION
  bottom: "data"
  top: "conv1"
  # how fast it learns
  blobs_lr: 1     # weights
  blobs_lr: 2     # biases
  # how fast it forgets
  weight_decay: 1
  convolution_param { num_output: 8 kernel_size: 3 }
}
"""
V2 = """name: "old"  # a comment
layer {
  name: "data"
  type: "Data"
  top: "data"
  data_param {
    source: "db"
    batch_size: 2
  }
  transform_param {
    scale: 0.5  # of a pixel
  }
}
layer {
  name: "conv1"   # the first
  type: "Convolution"
  bottom: "data"
  top: "conv1"
  # how fast it learns
  param {
    lr_mult: 1     # weights
    # how fast it forgets
    decay_mult: 1
  }
  param {
    lr_mult: 2     # biases
  }
  convolution_param { num_output: 8 kernel_size: 3 }
}
"""
V0 = """# V0
name: "older"
layers {
  layer {
    name: "data"
    type: "data"
    source: "db"
    meanfile: "mean"  # of the images
    batchsize: 4
  }
  top: "data"
}
# the border
layers { layer { name: "pad" type: "padding" pad: 2 } bottom: "data" top: "pad" }
layers {
  layer {
    name: "conv"
    type: "conv"
    # how many
    num_output: 8
    kernelsize: 5
    blobs_lr: 1.
    blobs_lr: 2.
    weight_decay: 1.
    weight_decay: 0.
  }
  bottom: "pad"
  top: "conv"
}
layers { layer { name: "relu" type: "relu" } bottom: "conv" top: "conv" }
"""
V0_UP = """# V0
name: "older"
layer {
  name: "data"
  type: "Data"
  data_param {
    source: "db"
    batch_size: 4
  }
  transform_param {
    mean_file: "mean"  # of the images
  }
  top: "data"
}
# the border
layer {
  name: "conv"
  type: "Convolution"
  param {
    lr_mult: 1.
    decay_mult: 1.
  }
  param {
    lr_mult: 2.
    decay_mult: 0.
  }
  convolution_param {
    # how many
    num_output: 8
    kernel_size: 5
    pad: 2
  }
  bottom: "data"
  top: "conv"
}
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
"""


def up(text: str) -> str:
    return upgrade(prototxt.parse(text)).net.text


def comments(text: str) -> Counter:
    tokens = re.finditer(r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|#[^\n]*', text)
    return Counter(token[0].rstrip() for token in tokens if token[0].startswith("#"))


def meaning(text: str, name: str = "NetParameter"):
    return text_format.Parse(text, message(name)())


# ---- laws

NETS = {
    "V1": V1,
    "V0": V0,
    "inputs": 'input: "a" # in\ninput_dim: 1\ninput_dim: 3 # rgb\ninput_dim: 4\ninput_dim: 5\n'
    + V1,
    "lists": 'input: ["a", "b"] input_dim: [1, 2, 3, 4, # four\n 5, 6, 7, 8]\n'
    'layers: [{ name: "c" type: RELU bottom: "a" top: "c" blobs_lr: [1, 2], weight_decay: [0] }]',
    "lists without a colon": 'input: "a" input_shape [ { dim: [1, 2] } ]\n'
    'layers [\n  { name: "c" type: RELU bottom: "a" top: "c" },\n'
    '  { name: "d" type: RELU bottom: "c" top: "d" blobs_lr: 1 }\n]\n',
    "one line": 'layers { name: "c" type: CONVOLUTION blobs_lr: 1 blobs_lr: 2 top: "c" }',
}


@pytest.mark.parametrize("text", NETS.values(), ids=NETS)
def test_once_is_enough(text):
    once = upgrade(prototxt.parse(text))
    twice = upgrade(once.net)
    assert once.changed
    assert not twice.changed
    assert not twice.steps
    assert twice.net.text == once.net.text


@pytest.mark.parametrize("text", NETS.values(), ids=NETS)
def test_every_comment_stays(text):
    assert comments(up(text)) == comments(text)


@pytest.mark.parametrize("text", NETS.values(), ids=NETS)
def test_what_ends_a_line_is_kept(text):
    new = up(text.replace("\n", "\r\n"))
    assert new.count("\n") == new.count("\r\n")
    assert meaning(new) == meaning(up(text))


_TOKENS = re.compile(r'"[^"]*"|#[^\n]*|[A-Za-z_0-9.]+|[^\s]')


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([V0, V1, NETS["inputs"], NETS["lists"]]), st.data())
def test_layout_and_comments_change_no_meaning(text, data):
    """Any white space and comments between any tokens: the same net, and all comments are there."""
    tokens = [token for token in _TOKENS.findall(text) if not token.startswith("#")]
    gaps = st.sampled_from([" ", " ", " ", "\n", "\n\n  ", " # c\n", "  # d: {\n\t# e\n", "\r\n"])
    chosen = data.draw(st.lists(gaps, min_size=len(tokens), max_size=len(tokens)))
    spread = "".join(token + gap for token, gap in zip(tokens, chosen, strict=True))
    new = up(spread)
    assert meaning(new) == meaning(up(text))
    assert comments(new) == comments(spread)
    assert not upgrade(prototxt.parse(new)).changed


def test_a_new_net_is_left_alone():
    net = prototxt.parse(V2)
    plan = upgrade(net)
    assert plan.net is net
    assert not plan.steps


def test_the_graph_stays():
    memory = (
        "  type: MEMORY_DATA\n  memory_data_param { batch_size: 2 channels: 3 height: 9 "
        "width: 9 }\n"
    )
    fed = re.sub(r"(?s)  data_param.*?  }\n", '  top: "label"\n', V1).replace(
        "  type: DATA\n", memory
    )
    for text in (fed, NETS["lists"]):
        net = prototxt.parse(text)
        assert layers_of(net) == layers_of(upgrade(net).net)


def layers_of(net):
    """Names, types, wires and shapes in every state."""
    found = []
    for state in states(net):
        graph = build(net, state)
        shapes = shapes_of(graph)
        found += [
            (one.name, one.type, one.bottoms, [(top, shapes.tops[top]) for top in one.tops])
            for one in graph.layers
        ]
    return found


# ---- tables


def test_v1():
    assert up(V1) == V2


def test_v0():
    assert up(V0) == V0_UP


INPUT = 'layer {\n  name: "input"\n  type: "Input"\n'
RELU = 'layer { name: "r" type: "ReLU" bottom: "a" }\n'

TABLE = {
    "input_dim": (
        'name: "n"\ninput: "a"\ninput_dim: 1\ninput_dim: 3\ninput_dim: 4\ninput_dim: 5\n' + RELU,
        'name: "n"\n' + INPUT + '  top: "a"\n  input_param {\n'
        "    shape { dim: 1 dim: 3 dim: 4 dim: 5 }\n  }\n}\n" + RELU,
    ),
    "input_shape": (
        'input: "a"\ninput_shape {\n  dim: 1\n  dim: 2\n}\ninput: "b"\ninput_shape { dim: 3 }\n',
        INPUT
        + '  top: "a"\n  top: "b"\n  input_param {\n    shape {\n      dim: 1\n      dim: 2\n    '
        "}\n"
        "    shape { dim: 3 }\n  }\n}\n",
    ),
    "inputs after the layers": (
        RELU + 'input: "a"\ninput_shape { dim: 3 }\nname: "n"\n',
        INPUT
        + '  top: "a"\n  input_param {\n    shape { dim: 3 }\n  }\n}\n'
        + RELU
        + 'name: "n"\n',
    ),
    "both sizes: the shapes count": (
        'input: "a"\ninput_shape { dim: 3 }\ninput_dim: 1 # b\ninput_dim: 2 input_dim: 2 '
        "input_dim: 2\n",
        INPUT + '  top: "a"\n  # b\n  input_param {\n    shape { dim: 3 }\n  }\n}\n',
    ),
    "input without size is dropped": ('input: "a" # why\nname: "n"\n', '# why\nname: "n"\n'),
    "batch norm": (
        'layer {\n  type: "BatchNorm"\n  param { }\n  param { lr_mult: 1 }\n'
        "  param { lr_mult: 0 decay_mult: 0 }\n}",
        'layer {\n  type: "BatchNorm"\n  param { lr_mult: 0 decay_mult: 0  }\n'
        "  param { lr_mult: 0 decay_mult: 0 }\n  param { lr_mult: 0 decay_mult: 0 }\n}",
    ),
    "shared params": (
        'layers {\n  type: INNER_PRODUCT\n  param: "w" param: "b"\n  blob_share_mode: '
        "PERMISSIVE\n}\n",
        'layer {\n  type: "InnerProduct"\n  param {\n    name: "w"\n    share_mode: PERMISSIVE\n '
        " }\n"
        '  param {\n    name: "b"\n  }\n}\n',
    ),
    "params apart": (
        'layers {\n  blobs_lr: 0\n  name: "x"\n  weight_decay: 0\n}\n',
        'layer {\n  param {\n    lr_mult: 0\n    decay_mult: 0\n  }\n  name: "x"\n}\n',
    ),
    "single quotes": ("layers { type: TANH name: 'x' }", "layer { type: 'TanH' name: 'x' }"),
    "type by number": ('layers { type: 18 name: "x" }', 'layer { type: "ReLU" name: "x" }'),
    "no type": ('layers { type: NONE name: "x" }', 'layer { type: "" name: "x" }'),
    "a fork's type": (
        'layers { type: IMAGE_SEG_DATA name: "x" }',
        'layer { type: "ImageSegData" name: "x" }',
    ),
    "a fork's field": (
        "layers { type: LRN odd_param { k: 1 } }",
        'layer { type: "LRN" odd_param { k: 1 } }',
    ),
    "transform over another": (
        "layers {\n  type: DATA\n  transform_param {\n    scale: 1 # t\n  }\n"
        "  data_param {\n    scale: 2 # d\n    mirror: true\n  }\n}\n",
        'layer {\n  type: "Data"\n  transform_param {\n    # t\n    scale: 2 # d\n    mirror: '
        "true\n  }\n"
        "  data_param {\n  }\n}\n",
    ),
    "transform into an empty one": (
        "layers { type: DATA transform_param { } data_param { scale: 2 } }",
        'layer { type: "Data" transform_param { scale: 2 } data_param { } }',
    ),
    "every data layer has both": (
        "layers { type: DATA } layers { type: IMAGE_DATA image_data_param { mirror: true } }",
        'layer { type: "Data" data_param {} transform_param {} } '
        'layer { type: "ImageData" image_data_param { } transform_param { mirror: true } }',
    ),
    "V0 drops what it does not know": (
        'state { phase: TEST } # s\nlayers {\n  layer {\n    name: "r" # n\n    type: "relu"\n'
        '    stride: 2 # x\n  }\n  name: "u"\n}\n',
        '# s\nlayer {\n  name: "r" # n\n  type: "ReLU"\n  # x\n}\n',
    ),
    "V0 and a layer without `layer`": (
        'input: "a" input_dim: 1 input_dim: 1 input_dim: 1 input_dim: 1\n'
        'layers { layer { name: "r" type: "relu" } bottom: "a" }\nlayers { type: RELU bottom: '
        '"a" }\n',
        INPUT + '  top: "a"\n  input_param {\n    shape { dim: 1 dim: 1 dim: 1 dim: 1 }\n  }\n}\n'
        'layer { name: "r" type: "ReLU" bottom: "a" }\nlayer { bottom: "a" }\n',
    ),
    "solver": ("base_lr: 0.1\nsolver_type: ADAM # best\n", 'base_lr: 0.1\ntype: "Adam" # best\n'),
    "solver by number": ("base_lr: 0.1\nsolver_type: 3\n", 'base_lr: 0.1\ntype: "RMSProp"\n'),
    "solver, new": ('base_lr: 0.1\ntype: "Adam"\n', 'base_lr: 0.1\ntype: "Adam"\n'),
}


@pytest.mark.parametrize(("old", "new"), TABLE.values(), ids=TABLE)
def test_table(old, new):
    assert up(old) == new


@pytest.mark.parametrize("indent", ["", "  ", "\t"])
def test_the_indent_of_v0_fields_stays(indent):
    twice = indent * 2
    text = f'layers {{\n{indent}layer {{\n{twice}type: "lrn"\n{twice}alpha: 1\n{indent}}}\n}}\n'
    want = f'layer {{\n{indent}type: "LRN"\n{indent}lrn_param {{\n{twice}alpha: 1\n{indent}}}\n}}\n'
    if indent:
        assert up(text) == want
    assert meaning(up(text)) == meaning(want)


def test_the_diff_shows_only_what_changed():
    diff = upgrade(prototxt.parse(V1)).diff().splitlines()[2:]
    changed = [line for line in diff if line[0] in "+-"]
    assert not [line for line in changed if re.search("convolution_param|source|name", line)]
    assert '+  type: "Convolution"' in changed


def test_steps_say_what_and_where():
    steps = upgrade(prototxt.parse(V1)).steps
    assert [(step.layer, step.line, step.what) for step in steps] == [
        ("", 2, "2 `layers` of format V1 -> `layer`"),
        ("data", 2, 'type DATA -> "Data"'),
        ("data", 2, "data_param's scale -> transform_param"),
        ("conv1", 12, 'type CONVOLUTION -> "Convolution"'),
        ("conv1", 12, "blobs_lr, weight_decay -> 2 param blocks"),
    ]


def test_steps_of_v0_name_the_padding_that_went():
    steps = {step.layer: step for step in upgrade(prototxt.parse(V0)).steps}
    assert steps["pad"].verb == "remove"
    assert steps["conv"].what == 'type "conv" -> "Convolution", pad 2'
    assert '"pad"' in steps["conv"].why


@pytest.mark.parametrize(
    "old",
    [
        'input: "a"\nlayer { name: "r" }',
        "state { } layers { layer { } }",
        'layers { layer { type: "relu" pad: 1 } }',
    ],
)
def test_what_is_dropped_is_said(old):
    steps = upgrade(prototxt.parse(old)).steps
    assert any(step.verb == "remove" and "drop" in step.why for step in steps)


# ---- refusals

PADDING = 'layers { layer { name: "p" type: "padding" pad: 1 } bottom: "a" top: "p" }\n'
REFUSED = {
    "two formats": (
        'layer { name: "a" }\nlayers { name: "b" }',
        NetError,
        ":2: .*line 1.*write all of them in one",
    ),
    "V0 type": (
        'layers {\n layer { name: "x" type: "reshape" } }',
        NetError,
        ':1: layer "x": "reshape".*V2',
    ),
    "V0 field": (
        'layers { layer { type: "conv" kernel_size: 3 } }',
        PrototxtError,
        'did you mean "kernelsize"',
    ),
    "unknown bottom": (
        'layers { layer { type: "relu" } bottom: "no" }',
        NetError,
        'bottom "no".*correct',
    ),
    "padding before relu": (
        'input: "a"\n' + PADDING + 'layers { layer { name: "r" type: "relu" } bottom: "p" }',
        NetError,
        ':3: layer "r".*"p".*remove the padding layer',
    ),
    "padding before padding": (
        'input: "a"\n'
        + PADDING
        + 'layers { layer { name: "q" type: "padding" } bottom: "p" top: "q" }',
        NetError,
        ':3: layer "q"',
    ),
    "padding and another bottom": (
        'input: "a"\n'
        + PADDING
        + 'layers { layer { name: "c" type: "conv" } bottom: "p" bottom: "a" }',
        NetError,
        ":3: .*more than one bottom",
    ),
    "V1 type in quotes": (
        'layers { type: "Convolution" }',
        PrototxtError,
        "CONVOLUTION, without quotes",
    ),
    "param of V2 in V1": (
        "layers { type: LRN param { lr_mult: 1 } }",
        PrototxtError,
        '"param" takes a quoted string',
    ),
    "rate": ("layers { type: LRN blobs_lr: fast }", PrototxtError, '"blobs_lr" takes a number'),
    "too few dims": ('\ninput: "a" input_dim: 1', NetError, ":2: 1 net-level input.*give each"),
    "too few shapes": (
        'input: "a" input: "b" input_shape { dim: 1 }',
        NetError,
        "2 net-level inputs.*sizes for 1",
    ),
    "solver twice": (
        'base_lr: 1 type: "SGD"\nsolver_type: SGD',
        PrototxtError,
        ":2:1: .*line 1; remove this one",
    ),
    "solver type": ("base_lr: 1 solver_type: ADAMM", PrototxtError, "did you mean ADAM"),
}


@pytest.mark.parametrize(("text", "error", "says"), REFUSED.values(), ids=REFUSED)
def test_refused(text, error, says):
    with pytest.raises(error, match=says):
        upgrade(prototxt.parse(text, "old.prototxt"))


# ---- Caffe's own tools


def corpus(shared: Path, *formats: str) -> list[Path]:
    index = shared / "prototxts" / "INDEX.csv"
    with index.open() as file:
        return [
            index.parent / row["path"] for row in csv.DictReader(file) if row["format"] in formats
        ]


def tool(caffe, name: str, old: Path, new: Path) -> bool:
    """Whether Caffe's tool wrote `new` from `old`."""
    program = Path(caffe_runtime.runtime()) / "bin" / name
    if not program.exists():
        pytest.skip(f"no Caffe: {program} is missing")
    new.unlink(missing_ok=True)
    subprocess.run([program, old, new], capture_output=True, timeout=60)
    return new.exists()


def check_equal(caffe, tmp_path: Path, old: Path, kind: str = "net") -> str:
    """Ours and Caffe's mean the same; says so, or that one refused."""
    accepted = tool(caffe, f"upgrade_{kind}_proto_text", old, tmp_path / "new")
    try:
        plan = upgrade(prototxt.read(old))
    except FcnkitError:
        assert not accepted, old
        return "refused"
    assert comments(plan.net.text) == comments(plan.before.text), old
    assert not upgrade(plan.net).changed, old
    if not accepted:
        return "refused by Caffe"
    name = f"{'Net' if kind == 'net' else 'Solver'}Parameter"
    theirs = (tmp_path / "new").read_text("utf-8", "surrogateescape")
    assert meaning(plan.net.text, name) == meaning(theirs, name), old
    return "equal"


@pytest.mark.parametrize("text", [*NETS.values(), *(old for old, _ in TABLE.values())])
def test_own_nets_as_caffe(caffe, tmp_path, text):
    old = tmp_path / "old.prototxt"
    old.write_text(text)
    kind = "solver" if text.startswith("base_lr") else "net"
    forks = "SEG_DATA" in text or "odd_param" in text
    assert check_equal(caffe, tmp_path, old, kind) == ("refused by Caffe" if forks else "equal")


@pytest.mark.parametrize(("format", "every"), [("V0", 5), ("V1", 12), ("V2", 60), ("solver", 10)])
def test_real_nets_as_caffe(shared, caffe, tmp_path, format, every, request):
    kind = "solver" if format == "solver" else "net"
    every = 1 if request.config.getoption("--corpus") else every
    results = Counter(
        check_equal(caffe, tmp_path, old, kind) for old in corpus(shared, format)[::every]
    )
    assert results["equal"] >= sum(results.values()) // 3, results


def test_real_nets_keep_their_graph(shared):
    same = 0
    for old in corpus(shared, "V1"):
        net = prototxt.read(old)
        try:
            before = layers_of(net)
            new = upgrade(net).net
        except FcnkitError:
            continue
        after = layers_of(new)
        same += before == after
        assert before == after or any(
            step.why.startswith("not a type") for step in upgrade(net).steps
        ), old
    assert same > 50


# ---- caffemodels

V0_MODEL = (
    wire(1, b"older")
    + wire(3, b"data")
    + b"".join(whole(4, dim) for dim in (1, 1, 3, 3))
    + b"".join(
        (
            wire(
                2,
                wire(1, wire(1, b"pad"), wire(2, b"padding"), whole(7, 1)),
                wire(2, b"data"),
                wire(3, b"pad"),
            ),
            wire(
                2,
                wire(
                    1,
                    wire(1, b"conv"),
                    wire(2, b"conv"),
                    whole(3, 2),
                    whole(8, 1),
                    wire(50, old_blob((2, 1, 1, 1), (1, 2))),
                    wire(50, old_blob((1, 1, 1, 2), (3, 4))),
                    wire(51, floats(1, 2)),
                ),
                wire(2, b"pad"),
                wire(3, b"conv"),
            ),
        )
    )
)
BATCH_NORM = v2_layer(
    "bn", modern_blob((1,), (5,)), type="BatchNorm", after=b"".join(wire(6, b"") for _ in range(3))
) + v2_layer("fc", modern_blob((2,), (6, 7)), after=whole(10, 1))
MODELS = {"V1": small_models.V1, "V2": small_models.V2, "V0": V0_MODEL, "BatchNorm": BATCH_NORM}


def upgraded(tmp_path: Path, data: bytes) -> bytes:
    old, new = tmp_path / "old.caffemodel", tmp_path / "new.caffemodel"
    old.write_bytes(data)
    upgrade_weights(old, upgrade).save(new, force=True)
    return new.read_bytes()


def net_of(data: bytes):
    net = message("NetParameter")()
    net.ParseFromString(data)
    return net


@pytest.mark.parametrize("data", MODELS.values(), ids=MODELS)
def test_weights_once_is_enough(tmp_path, data):
    once = upgraded(tmp_path, data)
    assert upgraded(tmp_path, once) == once


@pytest.mark.parametrize("data", MODELS.values(), ids=MODELS)
def test_weights_as_caffe(caffe, tmp_path, data):
    mine = upgraded(tmp_path, data)
    assert tool(caffe, "upgrade_net_proto_binary", tmp_path / "old.caffemodel", tmp_path / "theirs")
    assert net_of(mine) == net_of((tmp_path / "theirs").read_bytes())


def test_weights_keep_their_values(tmp_path):
    upgraded(tmp_path, small_models.V1)
    old, new = (store.open(tmp_path / f"{age}.caffemodel") for age in ("old", "new"))
    assert new.kind == "layer"
    assert list(old) == list(new)
    for name in old:
        assert [blob.array().tolist() for blob in old[name]] == [
            blob.array().tolist() for blob in new[name]
        ]


def test_weights_of_v0(tmp_path):
    net = net_of(upgraded(tmp_path, V0_MODEL))
    assert [(layer.name, layer.type, len(layer.blobs)) for layer in net.layer] == [
        ("input", "Input", 0),
        ("conv", "Convolution", 2),
    ]
    assert list(net.layer[1].blobs[1].data) == [3, 4]
    assert list(net.layer[1].convolution_param.pad) == [1]


def test_new_weights_are_copied_with_what_is_not_known(tmp_path):
    data = small_models.V2 + v2_layer("fork", type="Odd", after=wire(2000, b"own"))
    assert upgraded(tmp_path, data) == data


def test_tensors_are_not_read(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(store.Blob, "array", lambda self: read.append(self))
    size = len(upgraded(tmp_path, small_models.V1))
    weights = upgrade_weights(tmp_path / "old.caffemodel", upgrade)
    assert not read
    spans = [part for part in weights.parts if isinstance(part, range)]
    blobs = [
        blob
        for span in store.open(tmp_path / "old.caffemodel").layout.layers
        for blob in span.blobs
    ]
    assert [(part.start, part.stop) for part in spans] == [(blob.body, blob.stop) for blob in blobs]
    assert sum(map(len, weights.parts)) == size


@pytest.mark.parametrize(
    "model",
    ["age_net_v1/age_net", "lenet_v1/lenet_iter_10000", "cifar10_full_v1/cifar10_full_iter_70000"],
)
def test_real_weights_as_caffe(shared, caffe, tmp_path, model):
    old = shared / "models" / f"{model}.caffemodel"
    upgrade_weights(old, upgrade).save(tmp_path / "mine")
    assert tool(caffe, "upgrade_net_proto_binary", old, tmp_path / "theirs")
    assert (tmp_path / "mine").read_bytes() == (tmp_path / "theirs").read_bytes()


@pytest.mark.parametrize("data", [b"", b"<html>", b"\x12\x05", small_models.V1[:-3], V0_MODEL[:-3]])
def test_what_is_no_caffemodel_is_refused(tmp_path, data):
    with pytest.raises(WeightsError):
        upgraded(tmp_path, data)
    assert not (tmp_path / "new.caffemodel").exists()


def test_weights_that_are_there_stay(tmp_path):
    (tmp_path / "old").write_bytes(small_models.V1)
    (tmp_path / "new").write_bytes(b"mine")
    with pytest.raises(OutputError, match="--force"):
        upgrade_weights(tmp_path / "old", upgrade).save(tmp_path / "new")
    assert (tmp_path / "new").read_bytes() == b"mine"


def test_weights_over_themselves(tmp_path):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(small_models.V1)
    upgrade_weights(path, upgrade).save(path, force=True)
    assert store.open(path).kind == "layer"


# ---- the command


def run(*arguments, **options):
    from click.testing import CliRunner

    from fcnkit.cli.main import main

    return CliRunner().invoke(main, ["upgrade", *map(str, arguments)], **options)


def test_command(tmp_path):
    old, new = tmp_path / "old.prototxt", tmp_path / "new.prototxt"
    old.write_text(V1)
    shown = run(old)
    assert shown.exit_code == 0
    assert "blobs_lr, weight_decay -> 2 param blocks" in shown.output
    assert run(old, "--diff").output.startswith("---")
    assert run(old, "-o", new).exit_code == 0
    assert new.read_text() == V2
    assert run(old, "-o", new).exit_code == 2
    assert run(old, "-o", new, "--force").exit_code == 0
    assert "nothing to do" in run(new).output


def test_command_through_pipes():
    assert run("-", "-o", "-", input=V1).stdout == V2


def test_command_on_weights(tmp_path):
    old, new = tmp_path / "old.caffemodel", tmp_path / "new.caffemodel"
    old.write_bytes(small_models.V1)
    assert run("--weights", old, "--weights-out", new).exit_code == 0
    assert store.open(new).kind == "layer"


@pytest.mark.parametrize("arguments", [(), ("--weights", "w"), ("-o", "x"), ("missing.prototxt",)])
def test_command_used_wrongly(arguments):
    assert run(*arguments).exit_code == 2
